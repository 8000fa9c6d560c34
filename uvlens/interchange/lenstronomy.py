"""lenstronomy (also JAXtronomy, herculens, gigalens): model lists and keyword arguments, both ways.

Its ellipticity, Einstein radii and deflections are ours. Which way its x axis points is the user's choice:

    frame="east-right"   (x, y) = (East, North)
    frame="east-left"    (x, y) = (-East, North), a picture as it is displayed: center_x, e2 and gamma2 change sign

Surface brightness is per arcsec^2, amplitudes of Sersic profiles are brightnesses at their radius. Its b_n is a
formula: radii of Sersic profiles are converted so that the image stays the same (see `sersic`).
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..lens import AbstractMass
from ..lens.lens import Lens
from ..lens.plane import LensPlane
from ..light.amplitudes import Linear
from .components import fields_of, lights_of, make, masses_of, reflect, with_amplitudes
from .lenstronomy_light import light_from, light_to
from .lenstronomy_mass import mass_from, mass_to
from .lenstronomy_names import CODE

FRAMES = {"east-right": 1, "east-left": -1}


class Light(NamedTuple):
    """Light components and the amplitudes of those whose flux is linear, in order, shape (E,)."""

    components: tuple
    amplitudes: np.ndarray


def to_lenstronomy(model, *, frame, amplitudes=None):
    """The settings lenstronomy takes.

    Args:
        model: a Lens, a LensPlane or a list of mass components; or light components. Of planes the mass alone.
        frame: "east-right" or "east-left".
        amplitudes: of light of linear flux, one for each column in the order of the components.

    Returns:
        dict with lens_model_list and kwargs_lens; for several planes (or a source that is not at the reference)
        also multi_plane, lens_redshift_list, z_source, z_source_convention and cosmo (one of astropy's, or None).
        For light: light_model_list and kwargs_light, and for point sources point_source_model_list and kwargs_ps.

    Raises:
        InputError: a profile that lenstronomy does not have, parameters that are no numbers, an unknown frame.
    """
    sx = _sign(frame)
    if isinstance(model, Lens) and (len(model.planes) > 1 or model.source_redshift != model.reference_redshift):
        return _planes_to(model, sx)
    if isinstance(model, Lens | LensPlane) or _first_is_mass(model):
        return _masses_to(masses_of(model), sx)
    return _lights_to(lights_of(model), sx, amplitudes)


def from_lenstronomy(
    *,
    frame,
    lens_model_list=None,
    kwargs_lens=None,
    light_model_list=None,
    kwargs_light=None,
    point_source_model_list=(),
    kwargs_ps=(),
    multi_plane=False,
    lens_redshift_list=None,
    z_source=None,
    z_source_convention=None,
    cosmo=None,
):
    """Components from what `to_lenstronomy` gives, or from lenstronomy's own settings.

    Returns:
        a tuple of mass components; a Lens where there are redshifts; a Light of light components.

    Raises:
        InputError: a profile or parameter that has no counterpart, lists of different lengths.
    """
    sx = _sign(frame)
    if lens_model_list is None:
        return _lights_from(light_model_list or (), kwargs_light or (), point_source_model_list, kwargs_ps, sx)
    if light_model_list is not None:
        raise InputError("give lens_model_list or light_model_list, not both")
    found = [mass_from(*pair) for pair in _pairs("kwargs_lens", lens_model_list, kwargs_lens)]
    masses = [[make(ours, reflect(fields, sx)) for ours, fields in group] for group in found]
    if not multi_plane and lens_redshift_list is None:
        return tuple(mass for group in masses for mass in group)
    if lens_redshift_list is None or z_source is None:
        raise InputError("several planes need lens_redshift_list and z_source")
    by_redshift = {}
    for z, group in _pairs("lens_redshift_list", lens_redshift_list, masses):
        by_redshift.setdefault(float(z), []).extend(group)
    planes = [LensPlane(members, z) for z, members in by_redshift.items()]
    reference = z_source if z_source_convention is None else z_source_convention
    return Lens(planes, z_source, cosmo, reference)


def _masses_to(masses, sx):
    converted = []
    for component in masses:
        name, fields = fields_of(component)
        converted.append(mass_to(name, reflect(fields, sx)))
    return {"lens_model_list": [name for name, _ in converted], "kwargs_lens": [values for _, values in converted]}


def _planes_to(lens, sx):
    if lens.is_scaled:
        raise InputError("a deflection_scale has no counterpart in lenstronomy: give redshifts")
    if any(plane.redshift is None for plane in lens.planes) or lens.source_redshift is None:
        raise InputError("a lens of several planes needs the redshift of each, and of the source")
    return {
        **_masses_to(lens.mass, sx),
        "multi_plane": True,
        "lens_redshift_list": [float(plane.redshift) for plane in lens.planes for _ in plane.mass],
        "z_source": float(lens.source_redshift),
        "z_source_convention": float(lens.reference_redshift),
        "cosmo": _astropy(lens.cosmology),
    }


def _lights_to(lights, sx, amplitudes):
    names, values, points, images = [], [], [], []
    for component, share in with_amplitudes(lights, amplitudes):
        name, fields = fields_of(component, share if share is None or component.several else share[0])
        fields = reflect(fields, sx)
        if name == "PointSource":
            points.append("UNLENSED")
            position = {"ra_image": [fields["center_x"]], "dec_image": [fields["center_y"]]}
            images.append(position | {"point_amp": [fields["flux"]]})
            continue
        if name == "Shapelets":
            fields["flux"] = fields["flux"] * _odd_orders(int(fields["n_max"]), sx)
        name, parameters = light_to(name, fields)
        names.append(name)
        values.append(parameters)
    found = {"light_model_list": names, "kwargs_light": values}
    return found | ({"point_source_model_list": points, "kwargs_ps": images} if points else {})


def _lights_from(names, values, points, images, sx):
    components, amplitudes = [], [np.zeros(0)]
    for name, parameters in _pairs("kwargs_light", names, values):
        for ours, fields in light_from(name, parameters):
            fields = reflect(fields, sx)
            if ours == "Shapelets":
                amplitudes.append(fields["flux"] * _odd_orders(fields["n_max"], sx))
                fields["flux"] = Linear()
            components.append(make(ours, fields))
    for name, parameters in _pairs("kwargs_ps", points, images):
        if name != "UNLENSED":
            raise InputError(f"{CODE}'s {name} has no counterpart in uvlens: point sources are UNLENSED")
        columns = (np.atleast_1d(parameters[key]) for key in ("ra_image", "dec_image", "point_amp"))
        for x, y, flux in zip(*columns):
            components.append(
                make("PointSource", {"center_x": sx * float(x), "center_y": float(y), "flux": float(flux)})
            )
    return Light(tuple(components), np.concatenate(amplitudes))


def _odd_orders(n_max, sx):
    """Signs of shapelet amplitudes, (n, m) = (0, 0), (1, 0), (0, 1), (2, 0), ...: odd n changes with x."""
    return np.array([float(sx) ** (total - m) for total in range(n_max + 1) for m in range(total + 1)])


def _pairs(what, names, values):
    names, values = list(names), list(values or ())
    if len(names) != len(values):
        raise InputError(f"{what} must have {len(names)} entries, one for each profile, got {len(values)}")
    return zip(names, values)


def _first_is_mass(model):
    first = model[0] if isinstance(model, list | tuple) and model else model
    return isinstance(first, AbstractMass)


def _sign(frame):
    if frame not in FRAMES:
        raise InputError(f'frame must be "east-right" (x = East) or "east-left" (x = -East), got {frame!r}')
    return FRAMES[frame]


def _astropy(cosmology):
    """The astropy cosmology of ours, or None."""
    if cosmology is None:
        return None
    if hasattr(cosmology, "known"):
        return cosmology.known.cosmology
    from astropy.cosmology import FlatLambdaCDM

    return FlatLambdaCDM(H0=float(cosmology.H0), Om0=float(cosmology.Om0))
