"""The FITS files of a result: source, model, dirty images and residual of every sky, cubes of its channels."""

from pathlib import Path

import numpy as np

from .conventions import ARCSEC
from .data.cells import CELL_ARRAYS
from .grid import MAXIMUM_SIDE, PixelGrid
from .imaging import synthesized_beam
from .labels import by_sky, file_suffix, part_labels
from .nufft import type1, type2
from .reconstruction import light_grid
from .wcs import write_image


def dirty_image(reduction, vis, grid):
    """Natural-weighted dirty image of values at its uv cells on a grid [Jy/beam], primary beam not divided out.

        I(x) = sum_c w_c Re[V_c exp(-2 pi i u_c . x)] / sum_c w_c

    Args:
        reduction: Reduction with uv cells.
        vis: at the cells of every term, joined, shape (C,) [Jy].
        grid: PixelGrid.
    """
    u, v, _, weight = all_cells(reduction)
    return type1(u, v, weight * vis, grid).real / weight.sum()


def dirty_beam(reduction, grid):
    """(psf, its grid): the dirty image of a point of 1 Jy at the middle of (2 rows - 1) x (2 columns - 1) pixels.

    Wide enough that the model convolved with it is the dirty image of the model anywhere on `grid`, where there is no
    primary beam.
    """
    wide = PixelGrid(tuple(min(2 * n, MAXIMUM_SIDE) - 1 for n in grid.shape), grid.pixel_scale)
    return dirty_image(reduction, 1.0, wide), wide


def write_fits_products(found, directory, phase_center=None):
    """Pictures of every sky, its name after a dot where there are several.

    source.fits, source_error.fits, source_snr.fits (files for each pixelised source), model.fits (the sky before beam
    or PSF), lensed_source.fits (the same without light in front of the lens), residual.fits; of visibilities also
    dirty.fits, dirty_model.fits, dirty_beam.fits; of an image model_image.fits (through the PSF) and
    residual_sigma.fits. Cubes for channels; mask.fits where it is needed.
    """
    directory = Path(directory)
    groups, labels = by_sky(found), part_labels(found)
    stated = stated_mask([one.of_sky for one in found])
    if "fits" in mask_section(stated)["mask"]:
        write_image(directory / "mask.fits", stated.kept.astype(np.int16), stated.grid, phase_center=phase_center)
    for name, members in groups.items():
        suffix = file_suffix((name or "sky") if len(groups) > 1 else "")
        first, mask = members[0], members[0].mask
        common = {"phase_center": phase_center}
        if len(members) > 1:
            common["frequencies"] = channel_frequencies(members)

        def write(kind, images, grid, unit, suffix=suffix, common=common, **more):
            data = images[0] if len(images) == 1 else np.array(images)
            write_image(directory / f"{kind}{suffix}.fits", data, grid, unit=unit, **common | more)

        unit = first.flux_unit
        own = {i: label for (sky, i), label in labels.items() if sky == name}
        _write_sources(members, own, write, unit)
        behind = [light for light in first.lights if light.is_lensed]
        if behind and not first.parts and len(members) == 1:
            _write_profiles(first, behind, write, unit, suffix)
        write("model", [mask.to_image(one.image) for one in members], mask.grid, f"{unit}/pixel")
        if first.parts or behind:
            images = [mask.to_image(one.lensed_source) for one in members]
            write("lensed_source", images, mask.grid, f"{unit}/pixel")
        if first.of_sky.is_image:
            _write_image_residuals(first, write, unit)
        else:
            _write_dirty(members, write)


def _write_sources(members, labels, write, unit):
    """source, source_error and source_snr of the parts in `labels`, {number: label}."""
    for i, label in labels.items():
        drawn = [one.picture(one.parts[i]) for one in members]
        grid, more = drawn[0][2], {"suffix": file_suffix(label), "of_source": True}
        brightness, error = ([picture[k] for picture in drawn] for k in range(2))
        write("source", brightness, grid, f"{unit}/arcsec2", **more)
        write("source_error", error, grid, f"{unit}/arcsec2", **more)
        write("source_snr", list(map(signal_to_noise, brightness, error)), grid, "", **more, extra={"BTYPE": "S/N"})


def signal_to_noise(brightness, error):
    """brightness / error, 0 where the error is 0: pixels that the solution holds at zero."""
    return brightness / np.where(error > 0.0, error, np.inf)


def _write_profiles(one, behind, write, unit, suffix):
    """source of each source that is light profiles alone."""
    numbers = list(dict.fromkeys(light.of.place for light in behind))
    for number in numbers:
        own = [light for light in behind if light.of.place == number]
        grid = light_grid(one, own)
        brightness = sum(light.brightness(*grid.coordinates()) for light in own)
        word = file_suffix(str(number) if len(numbers) > 1 else "")
        write("source", [brightness], grid, f"{unit}/arcsec2", suffix=word + suffix, of_source=True)


def _write_dirty(members, write):
    """Dirty images of data, model and what is left, and the beam.

    Those of channels are on the mask alone, from the operator, with primary beams applied.
    """
    first, mask = members[0], members[0].mask
    u, v, vis, weight = all_cells(first.reduction)
    if len(members) == 1:
        model = dirty_image(first.reduction, np.concatenate(model_cells(first)), mask.grid)
        data = dirty_image(first.reduction, vis, mask.grid)
        images = {"dirty": [data], "dirty_model": [model], "residual": [data - model]}
    else:
        model = [mask.to_image(one.response / one.reduction.sum_weight) for one in members]
        left = [mask.to_image(one.dirty_residual) for one in members]
        images = {"dirty": [a + b for a, b in zip(model, left)], "dirty_model": model, "residual": left}
    noise = [(one.weight_scale * one.reduction.sum_weight) ** -0.5 for one in members]
    more = {"beam": synthesized_beam(u, v, weight), "extra": {"NOISE": (float(np.mean(noise)), "rms [Jy/beam]")}}
    for kind, values in images.items():
        write(kind, values, mask.grid, "Jy/beam", **more)
    psf, grid = dirty_beam(first.reduction, mask.grid)
    write("dirty_beam", [psf], grid, "Jy/beam", frequencies=None, beam=more["beam"])


def _write_image_residuals(one, write, unit):
    reduction, mask = one.reduction, one.reduction.data_mask
    model = reduction.predict(one.image)
    left = np.where(reduction.weight > 0.0, reduction.data - model, 0.0)
    write("model_image", [mask.to_image(model)], mask.grid, f"{unit}/pixel")
    write("residual", [mask.to_image(left)], mask.grid, f"{unit}/pixel")
    write("residual_sigma", [mask.to_image(left * np.sqrt(reduction.weight))], mask.grid, "sigma")


def stated_mask(skies):
    """The Mask that `image_plane:` stands for: that of the first visibilities, or the fitted pixels of an image."""
    sky = next((one for one in skies if not one.is_image), skies[0])
    return sky.reduction.data_mask if sky.is_image else sky.mask


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


def channel_frequencies(members):
    """Frequencies of the channels of [Reconstruction] [Hz]."""
    return [float(one.of_sky.frequencies[one.channel]) for one in members]


def model_cells(one):
    """Model visibilities at the uv cells of every term of the reduction, a list of arrays (C,) [Jy]."""
    mask, reduction = one.mask, one.reduction
    step = mask.grid.pixel_scale * ARCSEC
    predicted = []
    for term in reduction.terms:
        seen = one.image if term.primary_beam is None else one.image * term.primary_beam
        vis = type2(mask.to_image(seen), term.cells.u, term.cells.v, mask.grid)
        if reduction.pixel_window:
            vis = vis / (np.sinc(term.cells.u * step) * np.sinc(term.cells.v * step))
        predicted.append(vis)
    return predicted


def all_cells(reduction):
    """(u, v, vis, weight) of the uv cells of every term, joined, each of shape (C,)."""
    return tuple(np.concatenate([getattr(term.cells, key) for term in reduction.terms]) for key in CELL_ARRAYS)
