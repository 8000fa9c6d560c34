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
    lens, source, pixels = filled["lens"], filled["source"], model.pixel_source
    profile_name = {kind: name for name, kind in MASS_PROFILES.items()}
    mass = []
    for component in lens.mass:
        values = {f.name: getattr(component, f.name) for f in dataclasses.fields(component)}
        numbers = {key: float(value) for key, value in values.items() if value is not None}
        mass.append({"profile": profile_name[type(component)], **numbers})
    mesh = {"type": "rectangular", "shape": list(pixels.mesh.shape), "basis": pixels.mesh.basis}
    if pixels.mesh.extent is not None:
        mesh |= {"extent": pixels.mesh.extent, "center": list(pixels.mesh.center)}
    kind = next(name for name, kind in REGULARIZATIONS.items() if isinstance(pixels.regularization, kind))
    strength = float(model.strength(jnp.asarray(result.best_vector)))
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
    content["source"] = {
        **_redshift(source),
        "pixels": {
            "mesh": mesh,
            "regularization": {"type": kind, "strength": strength},
            "positive": pixels.positive,
        },
    }
    return content


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


def write_fits_products(model, inversion, geometry, directory, phase_center=None):
    """source.fits, source_error.fits, model.fits, residual.fits, and mask.fits where it is needed."""
    directory, mask = Path(directory), model.normal.mask
    brightness, error, grid = source_images(model, inversion, geometry)
    u, v, _, weight = all_cells(model.normal.reduction)
    beam = synthesized_beam(u, v, weight)
    residual = residual_image(model, inversion, mask.grid)
    write_image(directory / "source.fits", brightness, grid, phase_center=phase_center, unit="Jy/arcsec2")
    write_image(directory / "source_error.fits", error, grid, phase_center=phase_center, unit="Jy/arcsec2")
    sky = mask.to_image(np.asarray(inversion.image))
    write_image(directory / "model.fits", sky, mask.grid, phase_center=phase_center, unit="Jy/pixel")
    write_image(directory / "residual.fits", residual, mask.grid, phase_center=phase_center, unit="Jy/beam", beam=beam)
    if "fits" in mask_section(mask)["mask"]:
        write_image(directory / "mask.fits", mask.kept.astype(np.int16), mask.grid, phase_center=phase_center)


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
