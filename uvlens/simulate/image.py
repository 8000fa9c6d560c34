"""A synthetic image: a sky blurred by a point spread function on pixels, with photon and read-out noise."""

import numpy as np
import scipy.signal

from ..data.imaging import Imaging
from ..data.psf import gaussian_psf, prepare_psf
from ..errors import InputError
from ..grid import Mask, PixelGrid
from ..oversampling import OverSampling, sub_grid
from .checks import positive_integer, positive_number


def observe_image(
    sky,
    pixel_scale,
    shape,
    *,
    psf,
    exposure_time,
    seed,
    background_sky=0.0,
    read_noise=0.0,
    background_rms=None,
    rays=8,
    over_sampling=None,
    center=(0.0, 0.0),
    reference_position=None,
    add_noise=True,
    unit="electron/s",
    name="simulation",
):
    """The image that a camera would take of a sky, sky background subtracted.

        I_i = (B * sum over the sub-pixels of pixel i of the sky)_i                          [electron/s per pixel]
        lambda_i = t (I_i + background_sky),    n_i ~ Poisson(lambda_i) + Normal(0, read_noise^2)      [electrons]
        data_i = n_i / t - background_sky,      noise_i = (lambda_i + read_noise^2)^1/2 / t

    so that data_i has the mean I_i and the standard deviation noise_i exactly. With `background_rms` the noise is
    Poisson of the sky's own light plus Normal(0, background_rms^2), as of an image whose background is measured.

    Args:
        sky: (x, y) -> surface brightness [electron/s/arcsec^2], arrays of arcsec from (0, 0) to the East and North;
            or an array of `shape` [electron/s per pixel], nothing beyond its edges.
        pixel_scale: arcsec.
        shape: (rows, columns).
        psf: array (see `uvlens.data.psf`), or the FWHM of a Gaussian [arcsec].
        exposure_time: t [s].
        seed: of the noise, an integer or a numpy.random.Generator.
        background_sky: subtracted, its photons' noise stays [electron/s per pixel].
        read_noise: total of all read-outs [electrons per pixel].
        background_rms: [electron/s per pixel], instead of background_sky and read_noise.
        rays: sub-pixels a side of each pixel.
        over_sampling: OverSampling, instead of `rays`.
        center: (x, y) of the middle of the image [arcsec].
        reference_position: (ra, dec) of (0, 0) [deg].
        add_noise: False leaves the data exact; the noise map is the same.
        unit, name: of the image.

    Returns:
        `Imaging`.

    Raises:
        InputError: values that make no sense; a sky that is negative or not finite.
    """
    from .observe import _generator

    if np.shape(shape) != (2,):
        raise InputError(f"shape must be (rows, columns), got {shape!r}")
    size = (positive_integer("shape", shape[0]), positive_integer("shape", shape[1]))
    grid = PixelGrid(size, positive_number("pixel_scale", pixel_scale), center)
    time = positive_number("exposure_time", exposure_time)
    kernel = gaussian_psf(float(psf), grid.pixel_scale) if np.ndim(psf) == 0 else prepare_psf(psf)[0]
    rate = blurred_sky(sky, grid, kernel, over_sampling or OverSampling((positive_integer("rays", rays),)))
    if background_rms is not None:
        if background_sky or read_noise:
            raise InputError("give background_rms, or background_sky and read_noise, not both")
        background_sky, read_noise = 0.0, positive_number("background_rms", background_rms) * time
    for key, value in (("background_sky", background_sky), ("read_noise", read_noise)):
        if not (np.isfinite(value) and value >= 0.0):
            raise InputError(f"{key} must not be negative, got {value}")
    expected = time * (rate + background_sky)
    variance = expected + read_noise**2
    if np.any(variance <= 0.0):
        raise InputError(
            "pixels without any light would have no noise: give background_sky, read_noise or background_rms"
        )
    data = rate
    if add_noise:
        generator = _generator(seed)
        counts = generator.poisson(expected) + read_noise * generator.standard_normal(grid.shape)
        data = counts / time - background_sky
    return Imaging(
        data,
        np.sqrt(variance) / time,
        kernel,
        grid,
        reference_position=reference_position,
        unit=unit,
        name=name,
    )


def blurred_sky(sky, grid, kernel, over_sampling=None):
    """Mean image of a sky on a grid: averaged over sub-pixels and convolved with a kernel, light from outside too.

    Args:
        sky: as of `observe_image`.
        grid: PixelGrid.
        kernel: odd-sized PSF that sums to 1.
        over_sampling: OverSampling of the pixels; default 8 x 8.

    Returns:
        Image of `grid.shape` [electron/s per pixel].
    """
    half = [n // 2 for n in kernel.shape]
    if callable(sky):
        wide = PixelGrid(tuple(n + 2 * h for n, h in zip(grid.shape, half)), grid.pixel_scale, grid.center)
        image = sky_on_pixels(sky, wide, over_sampling or OverSampling((8,)))
        mode = "valid"
    else:
        image, mode = np.asarray(sky, dtype=np.float64), "same"
        if image.shape != grid.shape:
            raise InputError(f"sky must be a function or an image of shape {grid.shape}, got shape {image.shape}")
    bad = np.count_nonzero(~(np.isfinite(image) & (image >= 0.0)))
    if bad:
        raise InputError(f"the sky is negative or not finite in {bad} of {image.size} pixels")
    if mode == "same":
        image = np.pad(image, [(h, h) for h in half])
    # exact zeros of the sky stay zeros: transforms would leave rounding errors of either sign
    return np.maximum(scipy.signal.fftconvolve(image, kernel, mode="valid"), 0.0)


def sky_on_pixels(sky, grid, over_sampling):
    """Image of a surface brightness [1 / arcsec^2] averaged over sub-pixels, times the area of a pixel."""
    image = np.empty(grid.shape)
    rows = max(1, 200_000 // (grid.shape[1] * max(over_sampling.sizes) ** 2))
    for first in range(0, grid.shape[0], rows):
        kept = np.zeros(grid.shape, dtype=bool)
        kept[first : first + rows] = True
        mask = Mask(grid, kept)
        sub = sub_grid(mask, over_sampling.size_of(mask))
        values = np.asarray(sky(sub.x, sub.y), dtype=np.float64) * sub.weight
        image[first : first + rows] = np.bincount(sub.pixel, values, mask.n_pixels).reshape(-1, grid.shape[1])
    return image * grid.pixel_area
