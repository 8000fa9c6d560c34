"""`uvlens image` of a file with several pointings: the flat-noise mosaic, its primary beam, the beam of its middle."""

from pathlib import Path

import numpy as np

from .data import Visibilities, has_fields
from .datasection import DataEntry, fields_of_entry, load_entry, parse_beam
from .errors import InputError
from .imaging import framed_psf, make_image, picture_frame
from .mosaic import mosaic_image


def mosaic_of(path, options, weights, primary_beam, note):
    """[Visibilities] of the pointings of a file, their phase centres one; [] where it is no mosaic.

    Args:
        path: of the data.
        options: of the reader; `field` may name several ("LENS_*").
        weights: "file" or "rescale".
        primary_beam: as in a model file.
        note: called with sentences.
    """
    beam = parse_beam(primary_beam, "--primary-beam", Path("."))
    if not has_fields(path):
        return []
    entry = DataEntry(Path(path), weights, beam, options)
    try:
        several = len(fields_of_entry(entry)) > 1
    except InputError:
        if "field" in options:
            raise
        return []  # several fields that are no mosaic: the one with the most data is shown
    if not several:
        return []
    data_sets = load_entry(entry, note)
    if not all(isinstance(one, Visibilities) for one in data_sets):
        raise InputError(f"{path}: a mosaic image needs data that fit in memory; select fewer")
    return data_sets


def write_mosaic(path, data_sets, out, note, *, cell=None, size=None, center=(0.0, 0.0), **how):
    """Write NAME.fits (flat noise), NAME.pb.fits, NAME.psf.fits and NAME.png; the facts that `--json` prints."""
    from .plot_data import plot_mosaic
    from .wcs import write_image

    data_sets = [one.unflagged() for one in data_sets]
    cell = min(one.suggested_pixel_scale() for one in data_sets) if cell is None else cell
    if size is None:
        reach = max(max(map(abs, one.pointing_offset)) + 0.6 * (one.primary_beam_fwhm or 0.0) for one in data_sets)
        size = int(np.clip(np.ceil(2.0 * reach / cell), 64, 512))
    grid = picture_frame(size, cell, center)
    mosaic = mosaic_image(data_sets, grid, **how)
    dirty = make_image(data_sets, grid, **how)  # for its beam
    base, beam = out[: -len(".fits")], dirty.beam
    frequency = float(np.mean([one.mean_frequency or 0.0 for one in data_sets])) or None
    extra = {"OBJECT": Path(path).stem, "FREQ": frequency, "RESTFRQ": frequency, "NOISE": mosaic.noise}
    common = {"phase_center": data_sets[0].phase_center, "beam": beam, "extra": extra}
    write_image(out, mosaic.image, grid, unit="Jy/beam", **common)
    write_image(f"{base}.pb.fits", mosaic.primary_beam, grid, unit="", **common)
    write_image(f"{base}.psf.fits", *framed_psf(dirty), unit="Jy/beam", **common)
    pointings = [one.pointing_offset for one in data_sets]
    plot_mosaic(mosaic, beam, pointings, Path(path).name).savefig(f"{base}.png")
    note(f'beam {beam.major:.3f}" x {beam.minor:.3f}", PA {beam.position_angle:.1f} deg')
    note(f"noise {1e6 * mosaic.noise:.1f} uJy/beam (flat), peak S/N {mosaic.image.max() / mosaic.noise:.1f}")
    note(f"written {out}, {base}.pb.fits, {base}.psf.fits, {base}.png")
    return {
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "noise_jy_beam": mosaic.noise,
        "peak_jy_beam": float(mosaic.image.max()),
        "pixel_scale": cell,
        "size": size,
        "sum_of_weights": float(sum(one.weight.sum() for one in data_sets)),
        "pointings": [list(map(float, one)) for one in pointings],
    }
