"""Point spread functions of images: what makes a kernel usable, and what is done to one that is not yet.

A kernel B is odd-sized, sums to 1 and is in the pixels of the image. The model image is the convolution

    model_i = sum_j B[i - j + middle] sky_j,

so a point source in the middle of pixel j is seen as B with its middle pixel on j.
"""

import math

import numpy as np

from ..errors import InputError

_CENTERED = 0.1
"""Pixels by which the centroid of a kernel may lie off its middle before it is said."""
_HALFWAY = 0.25
"""Pixels from a pixel's middle beyond which an even-sized kernel is taken to be centred between pixels."""


def check_psf(kernel):
    """A kernel as float64, refused unless it is two-dimensional, finite, not negative and has a positive sum.

    Raises:
        InputError: saying what is wrong.
    """
    kernel = np.asarray(kernel, dtype=np.float64)
    if kernel.ndim != 2 or not kernel.size:
        raise InputError(f"psf must be a two-dimensional array, got shape {kernel.shape}")
    bad = np.count_nonzero(~np.isfinite(kernel))
    if bad:
        raise InputError(f"psf has {bad} values that are NaN or infinite; replace them")
    negative = np.count_nonzero(kernel < 0.0)
    if negative:
        raise InputError(
            f"psf has {negative} negative values (lowest {kernel.min():.3g}, peak {kernel.max():.3g}): "
            "no image of a star has; subtract its background or set them to 0"
        )
    if kernel.sum() <= 0.0:
        raise InputError("psf is zero everywhere")
    return kernel


def prepare_psf(kernel, size=None):
    """(kernel that can be used, sentences on what was done).

    Even sides: a row or column of zeros is added where that brings the pixel of the centroid to the middle, which
    changes nothing else; a kernel centred between two pixels is refused. Then it is cut to `size` and divided by its
    sum.

    Args:
        kernel: in the pixels and the orientation of the image.
        size: odd number of pixels to cut a side to; None leaves it as it is.

    Raises:
        InputError: as `check_psf`; centred between pixels; a size that is even or larger than the kernel.
    """
    kernel, said = check_psf(kernel), []
    total = float(kernel.sum())
    rows, columns = kernel.shape
    for axis, what in ((0, "row"), (1, "column")):
        if kernel.shape[axis] % 2 == 0:
            kernel, where = _odd(kernel, axis, what)
            said.append(
                f"psf is {rows} x {columns}: a {what} of zeros was added {where}, so that its peak is in a pixel"
            )
    if size is not None:
        kernel = _cut(kernel, size)
        said.append(f"psf cut to {size} x {size} pixels, which hold {100.0 * float(kernel.sum()) / total:.2f} % of it")
    if abs(total - 1.0) > 1e-6:
        said.append(f"psf sums to {total:.6g}: divided by it, so that it keeps the flux of what it blurs")
    kernel = kernel / kernel.sum()
    x, y = centroid(kernel)
    if max(abs(x), abs(y)) > _CENTERED:
        said.append(
            f"psf has its centroid {x:+.2f}, {y:+.2f} pixels (column, row) from its middle: positions of the model "
            "are off by as much"
        )
    return kernel, said


def centroid(kernel):
    """(column, row) of the centroid from the middle (n - 1) / 2 [pixels]."""
    total = kernel.sum()
    rows, columns = (np.arange(n) - 0.5 * (n - 1) for n in kernel.shape)
    return float(kernel.sum(axis=0) @ columns / total), float(kernel.sum(axis=1) @ rows / total)


def gaussian_psf(fwhm, pixel_scale, size=None):
    """A circular Gaussian averaged over each pixel (differences of error functions), summing to 1.

    Args:
        fwhm, pixel_scale: arcsec.
        size: odd number of pixels a side; None: 6 sigma to each side.
    """
    if not (math.isfinite(fwhm) and fwhm > 0.0):
        raise InputError(f"psf: expected a positive FWHM in arcsec, got {fwhm}")
    sigma = fwhm / math.sqrt(8.0 * math.log(2.0)) / pixel_scale
    if size is None:
        size = 2 * max(1, math.ceil(6.0 * sigma)) + 1
    _check_size(size)
    edges = (np.arange(size + 1) - 0.5 * size) / (math.sqrt(2.0) * sigma)
    profile = np.diff([math.erf(edge) for edge in edges])
    kernel = np.outer(profile, profile)
    return kernel / kernel.sum()


def _odd(kernel, axis, what):
    """(kernel with one more row or column of zeros on axis, on which side)."""
    n = kernel.shape[axis]
    along = kernel.sum(axis=1 - axis)
    middle = float(along @ np.arange(n) / along.sum())
    nearest = round(middle)
    if abs(middle - nearest) > _HALFWAY or nearest not in (n // 2 - 1, n // 2):
        raise InputError(
            f"psf is {kernel.shape[0]} x {kernel.shape[1]} with its centroid at {what} {middle:.2f} (from 0), not in "
            "the middle of a pixel: everything would shift by part of a pixel; give one of odd size, centred on its "
            "middle pixel"
        )
    width = [(0, 0), (0, 0)]
    width[axis] = (0, 1) if nearest == n // 2 else (1, 0)
    return np.pad(kernel, width), "at the end" if nearest == n // 2 else "in front"


def _cut(kernel, size):
    _check_size(size)
    if size > min(kernel.shape):
        raise InputError(f"psf_size must be at most the {min(kernel.shape)} pixels of the psf, got {size}")
    first = [(n - size) // 2 for n in kernel.shape]
    return kernel[first[0] : first[0] + size, first[1] : first[1] + size]


def _check_size(size):
    if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1 or size % 2 == 0:
        raise InputError(f"psf_size must be an odd number of pixels, got {size!r}")
