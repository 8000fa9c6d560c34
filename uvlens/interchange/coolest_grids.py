"""Pixels in COOLEST templates: sources and images as FITS files beside the JSON file.

Rows go North and columns West (x = -East grows to the right), which is how our FITS images are written. Its reader
takes an array's first axis for x, so that what is not square is padded with zeros. Values are per pixel of the
instrument.
"""

from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..files import write_atomically
from ..grid import PixelGrid
from ..wcs import write_image


class RegularPixels(NamedTuple):
    """A source on a regular grid.

    Attributes:
        image: brightness [flux / arcsec^2], shape `grid.shape`, [row North, column East].
        grid: PixelGrid of the source plane.
    """

    image: np.ndarray
    grid: PixelGrid


class IrregularPixels(NamedTuple):
    """A source on points: x, y [arcsec East, North] and brightness [flux / arcsec^2], each of shape (S,)."""

    x: np.ndarray
    y: np.ndarray
    brightness: np.ndarray


def write_regular(path, image, grid, phase_center=None, unit=None):
    """Write an image; returns its entry in the template. The file is referred to by its name alone."""
    image, grid = _square(np.asarray(image, dtype=float), grid)
    write_image(path, image, grid, phase_center=phase_center, unit=unit)
    return {"fits_file": {"path": path.name}, **regular_entry(grid)}


def regular_entry(grid):
    """Field of view and number of pixels of a grid."""
    west, east, south, north = grid.extent
    rows, columns = grid.shape
    return {
        "field_of_view_x": [-east, -west],
        "field_of_view_y": [south, north],
        "num_pix_x": columns,
        "num_pix_y": rows,
    }


def write_irregular(path, x, y, z):
    """Write points as a table of x (West), y, z; returns its entry in the template."""
    import io

    from astropy.io import fits

    names = ("x", "y", "z")
    table = [fits.Column(name, "D", array=np.asarray(values)) for name, values in zip(names, (-np.asarray(x), y, z))]
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU.from_columns(table)]).writeto(stream)
    write_atomically(path, lambda out: out.write(stream.getvalue()))
    limits = [[float(np.min(values)), float(np.max(values))] for values in (-np.asarray(x), y)]
    entry = {"field_of_view_x": limits[0], "field_of_view_y": limits[1], "num_pix": len(z)}
    return {"fits_file": {"path": path.name}, **entry}


def read_regular(folder, entry):
    """(image, PixelGrid) of an entry, [row North, column East]."""
    from astropy.io import fits

    path = _file(folder, entry)
    image = np.asarray(fits.getdata(path), dtype=float)
    if image.ndim != 2:
        raise InputError(f"{path}: expected an image of two axes, got {image.ndim}")
    left, right = (float(edge) for edge in entry["field_of_view_x"])
    bottom, top = (float(edge) for edge in entry["field_of_view_y"])
    rows, columns = image.shape
    scale = abs(right - left) / columns
    if abs(abs(top - bottom) / rows - scale) > 1e-6 * scale:
        raise InputError(f"{path}: its pixels are not square")
    # a field of view that runs the other way has its first pixel at the other end
    image = image[:, ::-1] if right > left else image
    image = image if top > bottom else image[::-1]
    return image, PixelGrid((rows, columns), scale, (-0.5 * (left + right), 0.5 * (bottom + top)))


def read_irregular(folder, entry):
    """(x, y, z) of an entry, x to the East."""
    from astropy.io import fits

    table: Any = np.asarray(fits.getdata(_file(folder, entry)))
    x, y, z = (np.asarray(table[name], dtype=float) for name in table.dtype.names[:3])
    return -x, y, z


def _square(image, grid):
    rows, columns = grid.shape
    if image.shape != (rows, columns):
        raise InputError(f"an image of shape {image.shape} does not fit its grid {grid.shape}")
    side = max(rows, columns)
    if rows == columns:
        return image, grid
    padded = np.zeros((side, side))
    padded[:rows, :columns] = image
    shift_x, shift_y = (0.5 * (side - n) * grid.pixel_scale for n in (columns, rows))
    return padded, PixelGrid((side, side), grid.pixel_scale, (grid.center[0] + shift_x, grid.center[1] + shift_y))


def _file(folder, entry):
    name = (entry.get("fits_file") or {}).get("path")
    if name is None:
        raise InputError("COOLEST: a profile of pixels without a FITS file")
    path = folder / name
    if not path.exists():
        raise InputError(f"{path}: the template refers to this file, which is not there")
    return path
