"""Rays beyond the traced edge of the mask, moved onto it: an option of the meshes that follow the rays.

Close to the lens centre rays are demagnified: a few of them land far outside everything else. The outer edge of the
mask, traced to the source plane, gives a closed curve about its centroid c; R(phi), its radius as a function of the
direction, is a Fourier series of `HARMONICS` terms: its smoothed radii in 32 directions, averaged with Jackson's
positive kernel, so that R lies between the smallest and the largest of them. A ray at c + rho e(phi) moves to

    c + R f(rho / R) e(phi),      f(t) = t - d ln(1 + exp((t - 1) / d)),   d = 0.02

which leaves rays well inside where they are (at t = 0.8 they move by 1e-6 R), never lets one beyond R, and is smooth
in the ray and in the edge: the evidence stays as smooth as its mesh makes it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float

HARMONICS = 12
_DIRECTIONS = 32
_CONCENTRATION = 40.0
_SOFTNESS = 0.02
_SMALLEST = 1e-12


class Border(NamedTuple):
    """Points of the image plane on the outer edge of a mask, each of shape (B,) [arcsec]."""

    x: Float[Array, " B"] | np.ndarray
    y: Float[Array, " B"] | np.ndarray

    def relocate(self, beta_x, beta_y, ray_trace):
        """The rays (any shape) [arcsec], those beyond the border moved onto it.

        Args:
            beta_x, beta_y: traced rays.
            ray_trace: (x, y) -> (beta_x, beta_y), the lens.
        """
        return _moved(beta_x, beta_y, *_curve(*ray_trace(jnp.asarray(self.x), jnp.asarray(self.y))))


def border_of(mask):
    """The Border of a mask: its pixels that touch the outside; holes (an annulus's inside) have no part in it."""
    filled = scipy.ndimage.binary_fill_holes(mask.kept)
    edge = filled & ~scipy.ndimage.binary_erosion(filled) & mask.kept
    x, y = mask.grid.coordinates()
    return Border(x[edge], y[edge])


def _curve(x, y):
    """(center x, center y, Fourier coefficients of the radius, complex, shape (HARMONICS + 1,))."""
    center_x, center_y = jnp.mean(x), jnp.mean(y)
    dx, dy = x - center_x, y - center_y
    radius = jnp.sqrt(dx**2 + dy**2 + _SMALLEST)
    angles = 2.0 * np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    along = np.cos(angles)[:, None] * (dx / radius) + np.sin(angles)[:, None] * (dy / radius)
    radii = jax.nn.softmax(_CONCENTRATION * along, axis=1) @ radius
    transform = _jackson()[:, None] * np.exp(-1j * np.arange(HARMONICS + 1)[:, None] * angles) / _DIRECTIONS
    return center_x, center_y, jnp.asarray(transform) @ radii


def _jackson():
    """Factors of cos m phi, m = 0 .. HARMONICS, of Jackson's kernel: narrow and nowhere negative."""
    m, step = np.arange(HARMONICS + 1), np.pi / (HARMONICS + 2)
    factors = (1.0 - m / (HARMONICS + 2)) * np.cos(m * step) + np.sin(m * step) / (np.tan(step) * (HARMONICS + 2))
    return np.where(m > 0, 2.0, 1.0) * factors


def _moved(beta_x, beta_y, center_x, center_y, coefficients):
    dx, dy = beta_x - center_x, beta_y - center_y
    distance = jnp.sqrt(dx**2 + dy**2 + _SMALLEST)
    cosine, sine = dx / distance, dy / distance
    # real part of sum_m c_m exp(i m phi), by Horner's rule in exp(i phi)
    real, imaginary = coefficients[-1].real, coefficients[-1].imag
    for m in range(HARMONICS - 1, -1, -1):
        real, imaginary = (
            real * cosine - imaginary * sine + coefficients[m].real,
            real * sine + imaginary * cosine + coefficients[m].imag,
        )
    t = distance / real
    factor = (t - _SOFTNESS * jax.nn.softplus((t - 1.0) / _SOFTNESS)) / t
    return center_x + factor * dx, center_y + factor * dy
