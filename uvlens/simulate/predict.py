"""What an array would measure of a sky without noise, seen through its primary beam."""

import numpy as np

from ..conventions import ARCSEC, SPEED_OF_LIGHT
from ..errors import InputError
from ..grid import PixelGrid
from .checks import positive_number

BEAM_FACTOR = 1.13
"""FWHM of an antenna's power pattern in lambda / D (ALMA Technical Handbook; close to it for the SMA)."""


def predict(sky, u, v, array, frequency, primary_beam):
    """Noise-free visibilities of a sky.

        V_k = sum_i A(x_i) I_i exp(+2 pi i (u_k x_i + v_k y_i)),    A(x) = exp(-4 ln 2 |x|^2 / FWHM^2)

    Args:
        sky, array, frequency, primary_beam: as for `observe`.
        u, v: wavelengths, shape (K,).

    Returns:
        (V, shape (K,) [Jy]; FWHM of the beam to record [arcsec], or None).

    Raises:
        InputError: a sky of another kind, or of the wrong shape; antennas of several diameters and no FWHM.
    """
    function = getattr(sky, "visibilities", sky)
    if callable(function):
        vis = np.asarray(function(u, v))
        if vis.shape != u.shape or vis.dtype.kind not in "cfiu":
            raise InputError(f"sky must give one number per (u, v), got {vis.dtype} of shape {vis.shape}")
        beam = None if isinstance(primary_beam, bool) else beam_fwhm(array, frequency, primary_beam)
        return vis.astype(np.complex128), beam
    from ..nufft import type2

    image, grid = _image(sky)
    beam = beam_fwhm(array, frequency, primary_beam)
    if beam is not None:
        x, y = grid.coordinates()
        image = image * np.exp(-4.0 * np.log(2.0) * (x**2 + y**2) / beam**2)
    return np.asarray(type2(image, u, v, grid)), beam


def beam_fwhm(array, frequency, primary_beam=True):
    """FWHM of the power pattern [arcsec]: 1.13 lambda / D for True, None for False, a number as it is."""
    if primary_beam is False or primary_beam is None:
        return None
    if primary_beam is not True:
        return positive_number("primary_beam", primary_beam)
    if np.ptp(array.diameter) > 0.0:
        raise InputError(f"primary_beam: {array.name} mixes dish diameters; give a FWHM in arcsec, or False")
    return float(BEAM_FACTOR * SPEED_OF_LIGHT / (frequency * array.diameter[0]) / ARCSEC)


def _image(sky):
    if not isinstance(sky, (tuple, list)) or len(sky) not in (2, 3):
        got = type(sky).__name__
        raise InputError(f"sky must be a callable or (image, pixel_scale[, center]), got {got}")
    image = np.asarray(sky[0])
    if image.ndim != 2 or image.dtype.kind not in "fiu" or not np.isfinite(image).all():
        got = f"{image.dtype} of shape {image.shape}"
        raise InputError(f"sky image must be two-dimensional, real and finite, got {got}")
    center = sky[2] if len(sky) == 3 else (0.0, 0.0)
    return image.astype(np.float64), PixelGrid(image.shape, positive_number("pixel_scale", sky[1]), center)
