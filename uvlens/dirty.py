"""`uvlens image`: dirty image, beam and picture of a file of visibilities."""

from pathlib import Path

import numpy as np

from .data import apply_weights
from .describe import read_one_field, survey, windows_of
from .describeimage import is_image
from .errors import InputError
from .grid import MAXIMUM_SIDE
from .imaging import framed_psf, make_image, picture_frame
from .mosaicfile import mosaic_of, write_mosaic
from .positions import positions_line, propose_positions


def write_dirty_image(
    path, out, options, note, *, weights="file", primary_beam="auto", cell=None, size=None, center=(0.0, 0.0), **how
):
    """Write NAME.fits [Jy/beam], NAME.psf.fits and NAME.png; the facts that `uvlens image --json` prints.

    Of several pointings it is the mosaic (see `uvlens.mosaicfile`).

    Args:
        path: of the data.
        out: NAME.fits.
        options: of the format of the data.
        note: called with sentences.
        weights: "file" or "rescale" (see `apply_weights`).
        primary_beam: of the pointings of a mosaic, as in a model file.
        cell: pixel scale [arcsec]; None: from the longest baselines.
        size: pixels a side; None: enough for the primary beam, at most 512.
        center: East, North offset of the middle from the phase centre [arcsec].
        **how: weighting, robust, taper of `make_image`.

    Raises:
        InputError: before anything is written.
    """
    from .plot_data import plot_data_image
    from .wcs import write_image

    _check(out, cell, size)
    if is_image(path):
        raise InputError(
            f"{path}: is an image already, dirty images are of visibilities; uvlens info says what is in it"
        )
    pointings = mosaic_of(path, options, weights, primary_beam, note)
    if pointings:
        return write_mosaic(path, pointings, out, note, cell=cell, size=size, center=center, **how)
    read, remarks = read_one_field(path, options)
    data, sentence = apply_weights(read, weights)
    windows, said = windows_of(read)
    data = data.unflagged()
    for remark in remarks + ([sentence] if weights != "file" else said):
        note(f"{Path(path).name}: {remark}")
    cell = data.suggested_pixel_scale() if cell is None else cell
    if size is None:
        width = data.primary_beam_fwhm or 256 * cell
        size = int(np.clip(np.ceil(1.2 * width / cell), 64, 512))
    dirty = make_image(data, picture_frame(size, cell, center), **how)
    cleaned, _, reach = survey(data)
    proposal = None if reach is None else propose_positions(cleaned, reach)
    base = out[: -len(".fits")]
    header = {"OBJECT": _object(path, data), "FREQ": data.mean_frequency, "RESTFRQ": data.mean_frequency}
    header |= {"WEIGHTNG": _named(**how), "NOISE": dirty.noise}
    extra = {"phase_center": data.phase_center, "beam": dirty.beam, "extra": header}
    write_image(out, dirty.image, dirty.grid, unit="Jy/beam", **extra)
    write_image(f"{base}.psf.fits", *framed_psf(dirty), unit="Jy/beam", **extra)
    figure = plot_data_image(dirty, f"{Path(path).name}, {_named(**how)}", reach, proposal and proposal[0])
    figure.savefig(f"{base}.png")
    beam = dirty.beam
    note(f'beam {beam.major:.3f}" x {beam.minor:.3f}", PA {beam.position_angle:.1f} deg')
    note(f"noise {1e6 * dirty.noise:.1f} uJy/beam, peak S/N {dirty.image.max() / dirty.noise:.1f}")
    if proposal is not None:
        note(f"proposal, to be looked at: {positions_line(*proposal)}")
    note(f"written {out}, {base}.psf.fits, {base}.png")
    return {
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "noise_jy_beam": dirty.noise,
        "peak_jy_beam": float(dirty.image.max()),
        "pixel_scale": cell,
        "size": size,
        "sum_of_weights": float(data.weight.sum()),
        "weight_factors": {str(one["id"]): one["weight_factor"] for one in windows},
        "positions": None
        if proposal is None
        else {"xy": [[one.x, one.y] for one in proposal[0]], "threshold": proposal[1]},
    }


def _check(out, cell, size):
    if not Path(out).stem or not out.endswith(".fits"):
        raise InputError(f"--out must end in .fits, got {out}")
    if not Path(out).resolve().parent.is_dir():
        raise InputError(f"--out: there is no folder {Path(out).parent}")
    if cell is not None and not 0.0 < cell < np.inf:
        raise InputError(f"--cell must be a positive number of arcsec, got {cell}")
    if size is not None and not 8 <= size <= MAXIMUM_SIDE:
        raise InputError(f"--size must lie between 8 and {MAXIMUM_SIDE}, got {size}")


def _object(path, data):
    """Name of the field, or of the file."""
    from .data import fields_of, has_fields

    if data.field is not None and has_fields(path):
        name = fields_of(path).get(int(data.field[0]), "")
        if name.isascii() and name.strip():
            return name.strip()
    return Path(path).stem


def _named(weighting="natural", robust=0.5, taper=None):
    """The weighting in words."""
    text = f"briggs {robust:g}" if weighting == "briggs" else weighting
    return text + (f', taper {taper:g}"' if taper is not None else "")
