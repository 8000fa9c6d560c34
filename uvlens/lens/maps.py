"""Magnification, convergence, shear and rotation from d beta / d theta, through however many planes.

    A = [[1 - kappa - gamma1, -gamma2 + omega], [-gamma2 - omega, 1 - kappa + gamma1]]

omega, the rotation, is 0 with a single plane; with several these are the effective quantities of the whole line of
sight.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .tracing import determinant, jacobian, source_positions


class LensMaps(NamedTuple):
    """convergence, gamma1, gamma2, rotation and magnification (signed, 1 / det A), arrays of one shape."""

    convergence: Array
    gamma1: Array
    gamma2: Array
    rotation: Array
    magnification: Array

    @property
    def shear(self):
        """|gamma|."""
        return jnp.hypot(self.gamma1, self.gamma2)


def magnification(lens, x, y):
    """1 / det A at positions [arcsec]: negative at saddle points, infinite on critical curves."""
    return 1.0 / determinant(lens, x, y)


def lens_maps(lens, x, y) -> LensMaps:
    """LensMaps at positions (x, y) [arcsec] of any common shape."""
    _, (xx, xy, yx, yy) = jacobian(lens, x, y)
    return LensMaps(
        convergence=1.0 - 0.5 * (xx + yy),
        gamma1=0.5 * (yy - xx),
        gamma2=-0.5 * (xy + yx),
        rotation=0.5 * (xy - yx),
        magnification=1.0 / (xx * yy - xy * yx),
    )


def disc_magnification(lens, beta_x, beta_y, source_radius, center=(0.0, 0.0), radius=3.0, n=1000):
    """Total magnification of a uniform disc: the area of its images over its own, by counting rays.

    Args:
        lens: anything with `ray_trace`, numbers for parameters.
        beta_x, beta_y, source_radius: the disc [arcsec].
        center, radius: middle and half the side of the box of the image plane that holds all images [arcsec].
        n: rays a side; the relative error is about (2 radius / n)^1.5 perimeter^0.5 / area of the images.
    """
    step = 2.0 * radius / n
    x, y = np.meshgrid(*(c + (np.arange(n) + 0.5) * step - radius for c in center))
    found_x, found_y = source_positions(lens, x, y)
    inside = np.count_nonzero((found_x - beta_x) ** 2 + (found_y - beta_y) ** 2 < source_radius**2)
    return inside * step**2 / (np.pi * source_radius**2)
