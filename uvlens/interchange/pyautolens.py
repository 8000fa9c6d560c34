"""PyAutoLens: mass and light profiles as dictionaries, both ways.

Its pairs are (y, x), its x axis points West, and its sky is mirrored North-South unless the visibilities that it fitted
were exported as (u, -v): `exported` says which, without a default,

    exported="u,-v"   (x, y) = (-East, North)
    exported="u,v"    (x, y) = (-East, -North), raw CASA coordinates

Its ellipticity is ours with the components swapped; its radii are not. With q the axis ratio and its elliptical radius
xi = sqrt(X^2 + Y^2 / q^2), X along the major axis,

    PowerLaw      kappa = (3 - slope) / (1 + q) (einstein_radius / xi)^(slope - 1)
                  theta_E = sqrt(q) (2 / (1 + q))^(1 / (slope - 1)) einstein_radius
    NFW           scale_radius along the major axis: R_s = sqrt(q) scale_radius, alpha_R_s = 4 kappa_s R_s (1 - ln 2)
    dPIEMassB0    b0, ra, rs are (1 + q) / (2 sqrt(q)) times b0, core_radius, truncation_radius
    Sersic        effective_radius on the intermediate axis, b_n the expansion of Ciotti & Bertin (see `sersic`);
                  intensity per pixel: ours [per arcsec^2] times pixel_scale^2

A profile is a dict {"profile": "Isothermal", "centre": (y, x), ...}; objects of PyAutoLens itself are read as well.
"""

import math
from collections.abc import Mapping

from ..errors import InputError
from ..lens import AbstractMass
from . import sersic
from .components import ALPHA_AT_R_S, fields_of, lights_of, make, masses_of, reflect, refuse, with_amplitudes

CODE = "PyAutoLens"
EXPORTED = {"u,-v": (-1, 1), "u,v": (-1, -1)}


def to_pyautolens(components, *, exported, pixel_scale=None, amplitudes=None):
    """Profiles of PyAutoLens.

    Args:
        components: a LensPlane or mass components, or light components.
        exported: "u,-v" or "u,v": how the visibilities that it is to fit are, or were, written.
        pixel_scale: of its real-space mask [arcsec], for light; 1.0 for brightness per arcsec^2.
        amplitudes: of light of linear flux, one for each column in the order of the components.

    Returns:
        list of dicts: "profile", its class, and the arguments of that class.

    Raises:
        InputError: no counterpart, parameters that are no numbers, a shear whose centre is not (0, 0).
    """
    sx, sy = _signs(exported)
    first = components[0] if isinstance(components, list | tuple) and components else components
    if isinstance(first, AbstractMass) or hasattr(components, "mass"):
        return [_mass_to(*_reflected(fields_of(one), sx, sy)) for one in masses_of(components)]
    area = _area(pixel_scale)
    found = []
    for one, share in with_amplitudes(lights_of(components), amplitudes):
        named = fields_of(one, share if share is None or one.several else share[0])
        found.append(_light_to(*_reflected(named, sx, sy), area))
    return found


def from_pyautolens(profiles, *, exported, pixel_scale=None):
    """Components from profiles of PyAutoLens.

    Args:
        profiles: dicts as `to_pyautolens` gives them, or instances of its classes.
        exported: "u,-v" or "u,v": how the visibilities that it fitted had been written.
        pixel_scale: of its real-space mask [arcsec], for light.

    Returns:
        tuple of components, mass and light in the order given.

    Raises:
        InputError: a profile that has no counterpart here.
    """
    sx, sy = _signs(exported)
    components = []
    for profile in profiles if isinstance(profiles, list | tuple) else [profiles]:
        ours, fields = _from(*_settings(profile), pixel_scale)
        components.append(make(ours, reflect(fields, sx, sy)))
    return tuple(components)


def einstein_radius_for(theta_E, q, slope=2.0):
    """Its einstein_radius of an Einstein radius on the intermediate axis."""
    return theta_E / (math.sqrt(q) * (2.0 / (1.0 + q)) ** (1.0 / (slope - 1.0)))


def theta_E_of(einstein_radius, q, slope=2.0):
    """Einstein radius on the intermediate axis of its einstein_radius."""
    return math.sqrt(q) * (2.0 / (1.0 + q)) ** (1.0 / (slope - 1.0)) * einstein_radius


def _mass_to(name, fields):
    shape = _shape_to(fields)
    q = _axis_ratio(fields)
    if name == "SIS":
        return {"profile": "IsothermalSph", "centre": shape["centre"], "einstein_radius": fields["theta_E"]}
    if name == "SIE":
        return {"profile": "Isothermal", **shape, "einstein_radius": einstein_radius_for(fields["theta_E"], q)}
    if name == "EPL":
        radius = einstein_radius_for(fields["theta_E"], q, fields["slope"])
        return {"profile": "PowerLaw", **shape, "einstein_radius": radius, "slope": fields["slope"]}
    if name == "Shear":
        if (fields["center_x"], fields["center_y"]) != (0.0, 0.0):
            raise refuse("Shear about another point than (0, 0)", CODE, "move the source instead")
        return {"profile": "ExternalShear", "gamma_1": fields["gamma1"], "gamma_2": fields["gamma2"]}
    if name == "PointMass":
        return {"profile": "PointMass", "centre": shape["centre"], "einstein_radius": fields["theta_E"]}
    if name == "ConvergenceSheet":
        return {"profile": "MassSheet", "centre": shape["centre"], "kappa": fields["kappa"]}
    if name in ("NFW", "EllipticalNFW"):
        kappa_s = fields["alpha_R_s"] / (ALPHA_AT_R_S * fields["R_s"]) if "alpha_R_s" in fields else fields["kappa_s"]
        halo = {"kappa_s": kappa_s, "scale_radius": fields["R_s"] / math.sqrt(q)}
        return {"profile": "NFW" if name == "EllipticalNFW" else "NFWSph", **shape, **halo}
    if name == "DPIE":
        lengths = {"b0": fields["b0"], "ra": fields["core_radius"], "rs": fields["truncation_radius"]}
        scale = 0.5 * (1.0 + q) / math.sqrt(q)
        return {"profile": "dPIEMassB0", **shape, **{key: scale * value for key, value in lengths.items()}}
    raise refuse(name, CODE)


def _light_to(name, fields, area):
    n = {"Sersic": fields.get("n_sersic"), "Exponential": 1.0, "DeVaucouleurs": 4.0}.get(name)
    if n is None:
        raise refuse(name, CODE)
    b = sersic.ciotti_bertin(n)
    intensity = sersic.intensity_for(fields["flux"], fields["R_sersic"], n, b) * area
    radius = sersic.radius_for(fields["R_sersic"], n, b)
    own = {"intensity": intensity, "effective_radius": radius, "sersic_index": n}
    return {"profile": "Sersic", **_shape_to(fields), **own}


def _from(name, given, pixel_scale):
    """(our name, our fields in its frame) of one of its profiles."""
    y, x = given.get("centre", (0.0, 0.0))
    e_y, e_x = given.get("ell_comps", (0.0, 0.0))
    center = {"center_x": float(x), "center_y": float(y)}
    shape = {"e1": float(e_x), "e2": float(e_y), **center}
    q = _axis_ratio(shape)
    if name in ("Isothermal", "PowerLaw"):
        slope = float(given.get("slope", 2.0))
        fields = {"theta_E": theta_E_of(float(given["einstein_radius"]), q, slope), **shape}
        return ("SIE", fields) if name == "Isothermal" else ("EPL", fields | {"slope": slope})
    if name == "IsothermalSph":
        return "SIE", {"theta_E": float(given["einstein_radius"]), **center}
    if name == "PowerLawSph":
        return "EPL", {"theta_E": float(given["einstein_radius"]), "slope": float(given["slope"]), **center}
    if name == "ExternalShear":
        return "Shear", {"gamma1": float(given["gamma_1"]), "gamma2": float(given["gamma_2"])}
    if name == "PointMass":
        return "PointMass", {"theta_E": float(given["einstein_radius"]), **center}
    if name == "MassSheet":
        return "ConvergenceSheet", {"kappa": float(given["kappa"]), **center}
    if name in ("NFW", "NFWSph"):
        R_s = math.sqrt(q) * float(given["scale_radius"])
        halo = {"R_s": R_s, "alpha_R_s": ALPHA_AT_R_S * float(given["kappa_s"]) * R_s}
        return ("EllipticalNFW", halo | shape) if name == "NFW" else ("NFW", halo | center)
    if name in ("dPIEMassB0", "dPIEMassB0Sph"):
        scale = 2.0 * math.sqrt(q) / (1.0 + q)
        lengths = {"b0": "b0", "core_radius": "ra", "truncation_radius": "rs"}
        return "DPIE", {ours: scale * float(given[theirs]) for ours, theirs in lengths.items()} | shape
    if name in ("Sersic", "SersicSph", "Exponential", "ExponentialSph", "DevVaucouleurs", "DevVaucouleursSph"):
        n = {"E": 1.0, "D": 4.0}.get(name[0]) or float(given["sersic_index"])
        b, area = sersic.ciotti_bertin(n), _area(pixel_scale)
        R_sersic = sersic.half_light_radius(float(given["effective_radius"]), n, b)
        flux = sersic.total_flux(float(given["intensity"]), R_sersic, n, b) / area
        return "Sersic", {"flux": flux, "R_sersic": R_sersic, "n_sersic": n, **shape}
    raise refuse(f"{CODE}'s {name}", "uvlens")


def _settings(profile):
    """(class, arguments) of a dict or of an instance."""
    if isinstance(profile, Mapping):
        given = dict(profile)
        if "profile" not in given:
            raise InputError(f"a profile of {CODE} needs its class under 'profile', got {', '.join(map(str, given))}")
        return given.pop("profile"), given
    names = ("centre", "ell_comps", "einstein_radius", "slope", "gamma_1", "gamma_2", "kappa", "kappa_s")
    names = (*names, "b0", "ra", "rs", "scale_radius", "intensity", "effective_radius", "sersic_index")
    return type(profile).__name__, {key: getattr(profile, key) for key in names if hasattr(profile, key)}


def _shape_to(fields):
    shape = {"centre": (fields.get("center_y", 0.0), fields.get("center_x", 0.0))}
    return shape | ({"ell_comps": (fields["e2"], fields["e1"])} if "e1" in fields else {})


def _axis_ratio(fields):
    modulus = math.hypot(fields.get("e1", 0.0), fields.get("e2", 0.0))
    return (1.0 - modulus) / (1.0 + modulus)


def _reflected(named, sx, sy):
    name, fields = named
    return name, reflect(fields, sx, sy)


def _area(pixel_scale):
    if pixel_scale is None:
        raise InputError(f"{CODE} states light per pixel: give pixel_scale [arcsec], 1.0 for per arcsec^2")
    return float(pixel_scale) ** 2


def _signs(exported):
    if exported not in EXPORTED:
        raise InputError(f'exported must be "u,-v" or "u,v", got {exported!r}')
    return EXPORTED[exported]
