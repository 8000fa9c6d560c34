"""Skies to observe: images of lensed sources, and images kept in FITS files."""

import warnings
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..grid import PixelGrid
from ..wcs import write_image
from .checks import positive_integer, positive_number

_JANSKY_PER_PIXEL = ("jy/pixel", "jy/pix", "jypixel-1", "jypixel**-1", "jypixel^-1")


def lensed_image(ray_trace, source_brightness, grid, rays=4):
    """Image of a lensed source, integrated over the pixels.

        I_i = pixel_scale^2 / rays^2  sum_r  S(beta(x_ir))        [Jy/pixel]

    The rays x_ir are the centres of rays x rays squares in pixel i. Lensing conserves surface brightness.

    Args:
        ray_trace: (x, y) -> (beta_x, beta_y), arrays of arcsec, where the rays meet the source plane.
        source_brightness: (beta_x, beta_y) -> surface brightness [Jy/arcsec^2].
        grid: `uvlens.grid.PixelGrid` of the image.
        rays: per pixel side; take more where the source is as small as a pixel.

    Returns:
        Image [row North, column East] of `grid.shape`.

    Raises:
        InputError: a value that is not finite, or `rays` not a positive whole number.
    """
    rays = positive_integer("rays", rays)
    x, y = grid.coordinates()
    offsets = ((np.arange(rays) + 0.5) / rays - 0.5) * grid.pixel_scale
    total = np.zeros(grid.shape)
    for dy in offsets:
        for dx in offsets:
            total += np.asarray(source_brightness(*ray_trace(x + dx, y + dy)))
    bad = np.count_nonzero(~np.isfinite(total))
    if bad:
        raise InputError(f"source_brightness at ray_trace is NaN or infinite in {bad} of {total.size} pixels")
    return total * (grid.pixel_scale / rays) ** 2


def read_fits_sky(path):
    """A model image from a FITS file, in this package's array order.

    Degenerate axes (frequency, Stokes) are dropped; an East-left image (CDELT1 < 0) is reversed so that
    columns ascend to the East. Offsets are counted from the reference position (CRVAL), in the tangent plane.

    Args:
        path: FITS file, image in the first HDU, square pixels aligned with North, BUNIT = Jy/pixel.

    Returns:
        (image [row North, column East] in Jy/pixel, pixel_scale [arcsec], center (x, y) [arcsec]).

    Raises:
        InputError: not such a file.
    """
    header, data = _read_fits(path)
    if data is None or data.ndim < 2 or data.size != data.shape[-1] * data.shape[-2]:
        got = "no image" if data is None else f"shape {data.shape}"
        raise InputError(f"{path}: the first HDU must hold one two-dimensional image, got {got}")
    unit = str(header.get("BUNIT", "")).strip()
    if unit.lower().replace(" ", "") not in _JANSKY_PER_PIXEL:
        raise InputError(f"{path}: BUNIT must be Jy/pixel, got {unit!r}")
    ny, nx = data.shape[-2], data.shape[-1]
    image = data.reshape(ny, nx)
    bad = np.count_nonzero(~np.isfinite(image))
    if bad:
        raise InputError(f"{path}: the image has {bad} pixels that are NaN or infinite")
    step_x, step_y, reference_x, reference_y = _pixel_steps(path, header)
    center = (step_x * (0.5 * (nx + 1) - reference_x), step_y * (0.5 * (ny + 1) - reference_y))
    image = image[:: int(np.sign(step_y)), :: int(np.sign(step_x))]
    return np.ascontiguousarray(image), abs(step_y), center


def write_fits_sky(path, image, pixel_scale, center=(0.0, 0.0), phase_center=None, overwrite=False):
    """Write a model image as FITS: East to the left (CDELT1 < 0), RA---SIN and DEC--SIN, BUNIT Jy/pixel.

    Args:
        path: of the file.
        image: [row North, column East] [Jy/pixel].
        pixel_scale: arcsec.
        center: (x, y) of the image's middle, from the phase centre [arcsec].
        phase_center: (right ascension, declination), ICRS [deg]; unknown if None.
        overwrite: replace a file that is there.

    Raises:
        InputError: a file that is there, an image that is not two-dimensional.
    """
    if Path(path).exists() and not overwrite:
        raise InputError(f"{path} exists; give overwrite=True to replace it")
    image = np.asarray(image, dtype=np.float64)
    if image.ndim != 2:
        raise InputError(f"image must be two-dimensional, got shape {image.shape}")
    grid = PixelGrid(image.shape, positive_number("pixel_scale", pixel_scale), center)
    write_image(path, image, grid, phase_center=phase_center, unit="Jy/pixel")


def _read_fits(path):
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            header, data = hdus[0].header.copy(), hdus[0].data
            data = None if data is None else np.asarray(data, dtype=np.float64)
    except (OSError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a readable FITS image ({error})") from None
    return header, data


def _pixel_steps(path, header):
    """step_x, step_y [arcsec], CRPIX1, CRPIX2 of an image aligned with North."""
    from astropy.wcs import WCS, FITSFixedWarning, InconsistentAxisTypesError

    try:
        with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
            wcs = WCS(header)
    except (ValueError, InconsistentAxisTypesError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: the header has no usable coordinates ({reason})") from None
    if (wcs.wcs.lng, wcs.wcs.lat) != (0, 1):
        raise InputError(f"{path}: the first two axes must be RA and Dec, got {list(wcs.wcs.ctype)}")
    matrix = wcs.celestial.pixel_scale_matrix * 3600.0
    step_x, step_y = float(matrix[0, 0]), float(matrix[1, 1])
    rotation = max(abs(matrix[0, 1]), abs(matrix[1, 0]))
    if rotation > 1e-6 * abs(step_y) or not np.isclose(abs(step_x), abs(step_y), rtol=1e-6, atol=0.0):
        raise InputError(f"{path}: pixels must be square, aligned with North, got {matrix.tolist()} arcsec")
    return step_x, step_y, float(wcs.wcs.crpix[0]), float(wcs.wcs.crpix[1])
