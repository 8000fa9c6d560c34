"""New data of a sky that was fitted: `uvlens simulate --from-fit DIR`.

The sky is the best-fitting model on the pixels of the fit: the reconstructed source through the lens, and the light in
front of it. With a simulation file the uv coverage and the noise are those of the file, which then has no `lens` and
no `source`:

array: alma.cycle10.6
hour_angle: [-1.0, 1.0]
noise: {tsys: 120}
sky: {name: band7, pixel_scale: 0.02}     # both optional: which sky of several; pixels cut to trace it anew

and the phase centre that of the fit unless it is stated. Without one they are those of the data that were fitted.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

from ..conventions import ARCSEC
from ..data import Visibilities, VisibilityStream
from ..errors import InputError
from ..grid import MAXIMUM_SIDE, Mask, PixelGrid
from ..labels import by_sky
from ..light import PointSource
from ..prediction import predict_reconstructed, visibilities_of_image
from ..sourcetools import SourcePlane

_EMPTY = (np.zeros((1, 1)), 1.0)


def simulate_fit(directory, simulation=None, seed=None, note=lambda _: None):
    """(Visibilities of the sky of a fit with new noise, {path: number} of its model).

    Args:
        directory: of the fit.
        simulation: simulation file without a sky, or None for the coverage of the data that were fitted.
        seed: of the noise; default: that of the file, or 1.
        note: called with sentences.

    Raises:
        InputError: a folder that is no fit, fits of images, a file with a sky of its own, baselines that are too long
            for the pixels of the fit, data that cannot be read again.
    """
    import jax.numpy as jnp

    from ..report import load_best_model

    directory = Path(directory)
    if simulation is None:
        coverage, sky, scale = _fitted_coverage(directory, note), None, None
    model, center = load_best_model(directory)
    if simulation is not None:
        coverage, sky, scale, own_seed = _new_coverage(Path(simulation), center, _frequencies(model))
        seed = own_seed if seed is None else seed
    nothing = jnp.zeros(0)
    found, lenses = model.inversions(nothing), model.lenses(nothing)
    if simulation is not None:
        _check_reach(found, coverage, sky, scale)
    data = resimulate(found, coverage, seed=1 if seed is None else seed, sky=sky, lenses=lenses, pixel_scale=scale)
    truth = {path: float(value) for path, value in model.parameters.values(nothing).items()}
    return data, truth


def resimulate(found, data, *, seed, sky=None, lenses=None, pixel_scale=None, add_noise=True):
    """A data set with the visibilities of a fit, and new noise, in the place of its own.

        V_k = sum_i A_k(x_i) I_i exp(+2 pi i (u_k l_i + v_k m_i)) + n_k,    Re n_k, Im n_k ~ N(0, 1 / w_k)

    as `predict` has the sum; visibilities of weight 0 get no noise.

    Args:
        found: [Reconstruction] of a Result, or of `model.inversions(vector)`.
        data: Visibilities: coordinates and weights.
        seed: of the noise, an integer or a numpy.random.Generator.
        sky: name; default: the first that has visibilities.
        lenses: [Lens] of each source, needed with `pixel_scale`.
        pixel_scale: pixels in which the model is traced anew [arcsec]; None: those of the fit.
        add_noise: False leaves the visibilities exact.

    Raises:
        InputError: what `predict` refuses; other pixels of a cube, of a spectral index, of a source that skies share.
    """
    from .observe import _generator

    sky = _first_sky(found) if sky is None else sky
    if pixel_scale is None:
        vis = predict_reconstructed(found, data, sky=sky)
    else:
        vis = _traced_anew(found, data, lenses, pixel_scale, sky)
    if add_noise:
        noise = _generator(seed).standard_normal((2, len(data)))
        sigma = np.where(data.weight > 0.0, 1.0 / np.sqrt(np.where(data.weight > 0.0, data.weight, 1.0)), 0.0)
        vis = vis + sigma * (noise[0] + 1j * noise[1])
    return dataclasses.replace(data, vis=vis)


def sky_on(one, lenses, pixel_scale, rays=4):
    """(image of the N' pixels [Jy/pixel], Mask): the model of a Reconstruction traced anew within its mask.

    The pixels of the fit are cut in equal squares of at most `pixel_scale`.

    Args:
        one: Reconstruction.
        lenses: [Lens] of each source.
        pixel_scale: arcsec.
        rays: a side of a square.

    Raises:
        InputError: more pixels than a grid may have.
    """
    old = one.mask.grid
    cut = max(1, int(np.ceil(old.pixel_scale / pixel_scale - 1e-9)))
    if max(old.shape) * cut > MAXIMUM_SIDE:
        raise InputError(f"sky.pixel_scale {pixel_scale:.3g}: more than {MAXIMUM_SIDE} pixels a side")
    grid = PixelGrid((old.shape[0] * cut, old.shape[1] * cut), old.pixel_scale / cut, old.center)
    mask = Mask(grid, np.kron(one.mask.kept, np.ones((cut, cut), bool)))
    x, y = mask.rays(rays)
    total = np.zeros(x.shape)
    for number in one.of_sky.sources:
        plane = SourcePlane(one, lenses[number], number)
        total += plane.brightness(*plane.trace(x, y))
    for light in one.lights:
        if not light.is_lensed:
            total += light.brightness(*_in_front(lenses[0], light, x, y))
    return total.mean(axis=1) * grid.pixel_area, mask


def _in_front(lens, light, x, y):
    """Where rays meet the plane of a light in front of the source."""
    plane = light.of.plane or 0
    if light.of.place != "lens" or lens.order[0] == plane:
        return x, y
    return tuple(np.asarray(theta) for theta in lens.deflections(x, y)[lens.order.index(plane)][:2])


def _first_sky(found):
    """Name of the first sky that has visibilities."""
    return next((one.of_sky.name for one in found if not one.of_sky.is_image), found[0].of_sky.name)


def _check_reach(found, data, sky, pixel_scale):
    """Refuse baselines whose fringes are finer than two pixels."""
    members = by_sky(found).get(_first_sky(found) if sky is None else sky)
    if members is None:
        raise InputError(f"the fit has no sky {sky!r}; it has {', '.join(map(repr, by_sky(found)))}")
    scale = members[0].mask.grid.pixel_scale if pixel_scale is None else pixel_scale
    longest = float(np.max(data.uv_distance))
    if longest * scale * ARCSEC > 0.5:
        raise InputError(
            f"baselines of {longest:.3g} wavelengths are too long for pixels of {scale:.3g} arcsec: a sky.pixel_scale "
            f"of at most {0.5 / (longest * ARCSEC):.2g} traces the model anew"
        )


def _traced_anew(found, data, lenses, pixel_scale, sky):
    """Visibilities of the model on other pixels."""
    one, *others = by_sky(found)[sky]
    if one.of_sky.is_image or others or one.of_sky.law is not None:
        raise InputError("sky.pixel_scale is for visibilities of merged channels without a spectral index")
    if any(len(part.block.skies) > 1 for part in one.parts):
        raise InputError("sky.pixel_scale is not for sources that skies share")
    if any(isinstance(light.profile, PointSource) for light in one.lights):
        raise InputError("sky.pixel_scale is not for point sources")
    image, mask = sky_on(one, lenses, pixel_scale)
    center = one.of_sky.reduction.phase_center
    return visibilities_of_image(image, mask, data, phase_center=center, pixel_window=True)


def _frequencies(model):
    """{name of a sky with visibilities: frequency of its first data set [Hz], or None}."""
    skies = [sky for sky in model.skies if not sky.is_image]
    return {sky.name: next((one.frequency for one in sky.reduction.observations), None) for sky in skies}


def _new_coverage(path, center, frequencies):
    """(Visibilities without a sky, name of the sky, pixel scale, seed) of a simulation file."""
    from ..schema import Section, load_yaml
    from .observe import observe
    from .simfile import parse_observation

    stated = load_yaml(path)
    root = Section(stated)
    for key in ("lens", "source", "image"):
        if root.get(key) is not None:
            raise InputError(f"{key}: with --from-fit the sky is that of the fit; leave {key} out")
    array, settings = parse_observation(root, path.parent)
    if settings.get("phase_center") is None and settings.get("declination") is None:
        if center is None:
            raise InputError("phase_center: missing, and the fit does not know its own")
        settings["phase_center"] = tuple(center)
    section = root.section("sky", {})
    name = section.get("name")
    scale = section.number("pixel_scale", positive=True) if section.get("pixel_scale") is not None else None
    section.finish()
    root.get("cosmology")
    root.finish()
    own = frequencies.get(name) if name is not None else next(iter(frequencies.values()), None)
    if stated.get("frequency") is None and own is not None:
        settings["frequency"] = own
    data = observe(_EMPTY, array, add_noise=False, **settings)
    return data, None if name is None else str(name), scale, settings["seed"]


def _fitted_coverage(directory, note):
    """The Visibilities that were fitted, their weights as the fit had them."""
    from ..datasection import load_entry
    from ..export import fitted_entries

    remedy = "a simulation file states another uv coverage"
    entries = fitted_entries(directory, remedy=remedy)
    data_sets = [data for entry in entries for data in load_entry(entry, note)]
    if len(data_sets) > 1:
        raise InputError(f"{directory}: fitted to {len(data_sets)} data sets; {remedy}")
    (data,) = data_sets
    if isinstance(data, VisibilityStream):
        data = data.head(sys.maxsize)
    assert isinstance(data, Visibilities)
    return data
