"""The files of a result: best-fitting model as YAML, source, model and residual as FITS."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from .conventions import ARCSEC
from .data.cells import CELL_ARRAYS
from .grid import PixelGrid
from .imaging import synthesized_beam
from .lens import MASS_PROFILES
from .nufft import type1, type2
from .source import REGULARIZATIONS
from .wcs import write_image


def best_fit_content(result, data_section=None):
    """A model file with numbers in the place of priors: the model at the best-fitting parameters."""
    model = result.model
    filled = model.parameters.fill(jnp.asarray(result.best_vector))
    lens, sources = filled["lens"], filled["source"]
    profile_name = {kind: name for name, kind in MASS_PROFILES.items()}
    mass = []
    for component in lens.mass:
        values = {f.name: getattr(component, f.name) for f in dataclasses.fields(component)}
        numbers = {key: float(value) for key, value in values.items() if value is not None}
        mass.append({"profile": profile_name[type(component)], **numbers})
    content = {} if data_section is None else {"data": data_section}
    grid = model.normal.mask.grid
    plane = {"rays": round(np.sqrt(model.n_rays)), "pixel_window": model.normal.reduction.pixel_window}
    mask = mask_section(model.normal.mask)
    if "fits" not in mask["mask"]:
        plane |= {"pixel_scale": grid.pixel_scale, "center": list(grid.center)}
    content["image_plane"] = plane | mask
    if model.positions is not None:
        content["positions"] = {
            "xy": np.asarray(model.positions.xy).tolist(),
            "threshold": model.positions.threshold,
        }
    content["lens"] = {**_redshift(lens), "mass": mass}
    strengths = [float(value) for value in model.strengths(jnp.asarray(result.best_vector))]
    if isinstance(sources, list):
        content["source"] = []
        for number, source in enumerate(sources):
            mine = [i for i, sky in enumerate(model.skies) if sky.sky.source == number]
            section = _source_section(source, model.skies[mine[0]], [strengths[i] for i in mine])
            content["source"].append({"sky": model.skies[mine[0]].sky.name, **section})
    else:
        content["source"] = _source_section(sources, model.skies[0], strengths)
    return content


def _source_section(source, sky, strengths):
    """A source with the strength it has; strengths that differ between its skies stay "evidence"."""
    pixels = sky.pixels
    mesh = {"type": "rectangular", "shape": list(pixels.mesh.shape), "basis": pixels.mesh.basis}
    if pixels.mesh.extent is not None:
        mesh |= {"extent": pixels.mesh.extent, "center": list(pixels.mesh.center)}
    kind = next(name for name, kind in REGULARIZATIONS.items() if isinstance(pixels.regularization, kind))
    same = sky.strength_range is None or len(strengths) == 1
    strength = strengths[0] if same else "evidence"
    index = source.spectral_index
    return {
        **_redshift(source),
        **({} if index is None else {"spectral_index": float(index)}),
        "pixels": {
            "mesh": mesh,
            "regularization": {"type": kind, "strength": strength},
            "positive": pixels.positive,
        },
    }


def mask_section(mask):
    """The `mask:` of a model file that gives this mask back, a disc or annulus; a FITS file otherwise."""
    radius = np.hypot(mask.x - mask.grid.center[0], mask.y - mask.grid.center[1])
    inner, outer = float(radius.min()), float(radius.max())
    grid_x, grid_y = mask.grid.coordinates()
    distance = np.hypot(grid_x - mask.grid.center[0], grid_y - mask.grid.center[1])
    slack = 1e-9 * mask.grid.pixel_scale
    same = np.array_equal(mask.kept, (distance >= inner - slack) & (distance <= outer + slack))
    side = 2 * int(np.ceil((outer + slack) / mask.grid.pixel_scale))
    if same and mask.grid.shape == (side, side):
        if inner < mask.grid.pixel_scale:
            return {"mask": {"disc": {"radius": outer + slack}}}
        return {"mask": {"annulus": {"inner": inner - slack, "outer": outer + slack}}}
    return {"mask": {"fits": "mask.fits"}}


def _redshift(part):
    return {} if part.redshift is None else {"redshift": float(part.redshift)}


def source_grid(model, geometry, pixels_per_node=4):
    """PixelGrid that shows the mesh, finer than its nodes by `pixels_per_node`."""
    rows, columns = model.pixel_source.mesh.shape
    spacing = float(geometry.spacing)
    center = (
        float(geometry.x0) + 0.5 * (columns - 1) * spacing,
        float(geometry.y0) + 0.5 * (rows - 1) * spacing,
    )
    shape = (rows * pixels_per_node, columns * pixels_per_node)
    return PixelGrid(shape, spacing / pixels_per_node, center)


def source_images(model, inversion, geometry, pixels_per_node=4):
    """(brightness, its error, grid): the source and its one-sigma error on a fine grid [Jy/arcsec^2].

    The error is that of the interpolated brightness, sqrt(b^T A^-1 b) with b the interpolation weights.
    """
    grid = source_grid(model, geometry, pixels_per_node)
    x, y = grid.coordinates()
    indices, weights = model.pixel_source.mesh.interpolation(jnp.asarray(x.ravel()), jnp.asarray(y.ravel()), geometry)
    covariance = inversion.system.inverse()
    brightness = jnp.sum(weights * inversion.source[indices], axis=1)
    local = covariance[indices[:, :, None], indices[:, None, :]]
    variance = jnp.einsum("ip,ipq,iq->i", weights, local, weights)
    return (
        np.asarray(brightness).reshape(grid.shape),
        np.sqrt(np.maximum(np.asarray(variance), 0.0)).reshape(grid.shape),
        grid,
    )


def residual_image(model, inversion, grid):
    """Natural-weighted dirty image of data - model on a grid [Jy/beam], primary beam not divided out."""
    u, v, vis, weight = all_cells(model.normal.reduction)
    predicted = np.concatenate(model_cells(model, inversion))
    return type1(u, v, weight * (vis - predicted), grid).real / weight.sum()


def by_sky(model, found):
    """{name of the sky: its [Reconstruction]}, the channels of a cube together."""
    groups = {}
    for one in found:
        groups.setdefault(model.skies[one.sky].sky.name, []).append(one)
    return groups


def write_fits_products(model, found, directory, phase_center=None):
    """source.fits, source_error.fits, model.fits, residual.fits (cubes of channels; NAME after a dot for several
    skies), and mask.fits where it is needed.
    """
    directory, mask = Path(directory), model.normal.mask
    groups = by_sky(model, found)
    for name, members in groups.items():
        suffix = f".{name or 'sky'}" if len(groups) > 1 else ""

        def place(kind, suffix=suffix):
            return directory / f"{kind}{suffix}.fits"

        if len(members) == 1:
            _write_images(model.only(members[0].sky), members[0], place, phase_center)
        else:
            _write_cubes(model, members, place, phase_center)
    if "fits" in mask_section(mask)["mask"]:
        write_image(directory / "mask.fits", mask.kept.astype(np.int16), mask.grid, phase_center=phase_center)


def _write_images(model, found, place, phase_center):
    mask, inversion = model.normal.mask, found.inversion
    brightness, error, grid = source_images(model, inversion, found.geometry)
    u, v, _, weight = all_cells(model.normal.reduction)
    beam = synthesized_beam(u, v, weight)
    write_image(place("source"), brightness, grid, phase_center=phase_center, unit="Jy/arcsec2")
    write_image(place("source_error"), error, grid, phase_center=phase_center, unit="Jy/arcsec2")
    sky = mask.to_image(np.asarray(inversion.image))
    write_image(place("model"), sky, mask.grid, phase_center=phase_center, unit="Jy/pixel")
    residual = residual_image(model, inversion, mask.grid)
    write_image(place("residual"), residual, mask.grid, phase_center=phase_center, unit="Jy/beam", beam=beam)


def _write_cubes(model, members, place, phase_center):
    """Channels along the third axis, with their frequencies."""
    frequencies, mask = channel_frequencies(model, members), model.normal.mask
    source, error, sky, residual = ([] for _ in range(4))
    for one in members:
        alone = model.only(one.sky)
        brightness, uncertain, grid = source_images(alone, one.inversion, one.geometry)
        source.append(brightness)
        error.append(uncertain)
        sky.append(mask.to_image(np.asarray(one.inversion.image)))
        residual.append(mask.to_image(dirty_residual(one.inversion)))
    u, v, _, weight = all_cells(model.only(members[0].sky).normal.reduction)
    common = {"phase_center": phase_center, "frequencies": frequencies}
    write_image(place("source"), np.array(source), grid, unit="Jy/arcsec2", **common)
    write_image(place("source_error"), np.array(error), grid, unit="Jy/arcsec2", **common)
    write_image(place("model"), np.array(sky), mask.grid, unit="Jy/pixel", **common)
    beam = synthesized_beam(u, v, weight)
    write_image(place("residual"), np.array(residual), mask.grid, unit="Jy/beam", beam=beam, **common)


def channel_frequencies(model, members):
    """Frequencies of the channels of [Reconstruction] [Hz]."""
    return [float(model.skies[one.sky].sky.frequencies[one.channel]) for one in members]


def dirty_residual(inversion):
    """(d~ - W L s) / sum of weights at the mask pixels, primary beams applied, shape (N,) [Jy/beam]."""
    normal = inversion.normal
    left = normal.dirty_image - normal.apply(inversion.image[:, None])[:, 0]
    return np.asarray(left) / normal.reduction.sum_weight


def model_cells(model, inversion):
    """Model visibilities at the uv cells of every term of the reduction, a list of arrays (C,) [Jy]."""
    mask, reduction = model.normal.mask, model.normal.reduction
    image = np.asarray(inversion.image)
    step = mask.grid.pixel_scale * ARCSEC
    predicted = []
    for term in reduction.terms:
        seen = image if term.primary_beam is None else image * term.primary_beam
        vis = type2(mask.to_image(seen), term.cells.u, term.cells.v, mask.grid)
        if reduction.pixel_window:
            vis = vis / (np.sinc(term.cells.u * step) * np.sinc(term.cells.v * step))
        predicted.append(vis)
    return predicted


def all_cells(reduction):
    """(u, v, vis, weight) of the uv cells of every term, joined, each of shape (C,)."""
    return tuple(np.concatenate([getattr(term.cells, key) for term in reduction.terms]) for key in CELL_ARRAYS)
