"""`uvlens info` of an image: its facts and their page."""

from pathlib import Path

import numpy as np

from .data.image_files import read_plane
from .data.image_frame import frame_of
from .errors import InputError


def is_image(path):
    """Whether a file is FITS with an image in it: not UVFITS (random groups), not a table alone."""
    path = Path(path)
    if not path.is_file():
        return False
    with open(path, "rb") as file:
        if file.read(9) != b"SIMPLE  =":
            return False
    from .data import uvfits

    if uvfits.recognises(path):
        return False
    try:
        read_plane(path)
    except InputError:
        return False
    return True


def describe_image(path):
    """The facts of an image in FITS.

    Returns:
        dict: kind "image", shape, pixel_scale [arcsec], center {ra, dec} [deg], unit, hdus, minimum, maximum, noise
        (scatter of the faint half by the median absolute deviation, in the unit of the data), warnings.
    """
    from astropy.io import fits

    path = Path(path)
    values, header = read_plane(path)
    warnings = []
    try:
        frame = frame_of(header, values.shape, path)
    except InputError as error:
        frame = None
        warnings.append(str(error).removeprefix(f"{path}: "))
    good = values[np.isfinite(values)]
    if good.size < values.size:
        warnings.append(f"{values.size - good.size:,} pixels are NaN: they will have weight 0")
    with fits.open(path) as hdus:
        names = [one.name for one in hdus]
    faint = good[good <= np.median(good)] if good.size else good
    position = None if frame is None else frame.position
    return {
        "kind": "image",
        "file": path.name,
        "name": path.name,
        "shape": list(values.shape),
        "hdus": names,
        "pixel_scale": None if frame is None else frame.pixel_scale,
        "center": None if position is None else {"ra": position[0], "dec": position[1]},
        "east_left": None if frame is None else frame.flip_x,
        "unit": str(header.get("BUNIT", "")).strip(),
        "minimum": float(good.min()) if good.size else None,
        "maximum": float(good.max()) if good.size else None,
        # below the median of Gaussian noise the distance to it is |n|, whatever stands above
        "noise": float(1.4826 * np.median(np.median(good) - faint)) if good.size else None,
        "warnings": warnings,
    }


def image_page(facts):
    """Text of several lines from the facts of `describe_image`."""
    from .infopage import _degrees, _hours

    rows, columns = facts["shape"]
    scale = f' of {facts["pixel_scale"]:.5g}"' if facts["pixel_scale"] else ""
    lines = [facts["file"], f"  image           {rows} x {columns} pixels{scale}, HDUs {', '.join(facts['hdus'])}"]
    if facts["center"]:
        lines.append(f"  middle          {_hours(facts['center']['ra'])} {_degrees(facts['center']['dec'])}")
    if facts["maximum"] is not None:
        unit = f" {facts['unit']}" if facts["unit"] else ""
        lines.append(f"  values          {facts['minimum']:.4g} to {facts['maximum']:.4g}{unit}")
        lines.append(f"  scatter         {facts['noise']:.3g}{unit}, of the half below the median")
    place = "" if facts["center"] else ", pixel_scale: ARCSEC"
    lines += ["", "For a fit", f"  - {{file: {facts['file']}, noise: NOISE.fits, psf: PSF.fits{place}}}"]
    if facts["warnings"]:
        lines += ["", "Warnings", *(f"  - {sentence}" for sentence in facts["warnings"])]
    return "\n".join(lines)
