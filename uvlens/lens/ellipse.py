"""Elliptical coordinates in complex form, analytic in the ellipticity: q = 1 and every angle are ordinary points.

With z = (x - center_x) + i (y - center_y) and e = e1 + i e2, |e| = (1 - q) / (1 + q):

    zeta = z - e conj(z),     |zeta| = 2 sqrt(q^2 X^2 + Y^2) / (1 + q),   X, Y along the axes
    E    = zeta / |zeta|      direction of the elliptical angle, on the sky
    w    = conj(e) E^2        the argument of the series of Tessore & Metcalf (2015), |w| = |e|

so that no rotation to the axes is ever needed.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array


class EllipticalCoordinates(NamedTuple):
    """z, |zeta|, E, w as above; at the very centre |zeta| = 1, E = w = 0 and `at_center` is True."""

    z: Array
    radius: Array
    direction: Array
    argument: Array
    at_center: Array


def elliptical_coordinates(x, y, e1, e2, center_x, center_y):
    """Elliptical coordinates of positions (x, y) [arcsec]."""
    z, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    squared = zeta.real**2 + zeta.imag**2
    at_center = squared == 0.0
    radius = jnp.sqrt(jnp.where(at_center, 1.0, squared))
    direction = jnp.where(at_center, 0.0, zeta) / radius
    return EllipticalCoordinates(z, radius, direction, jnp.conj(e) * direction**2, at_center)


def elliptical_position(x, y, e1, e2, center_x, center_y):
    """(z, e, zeta) of positions (x, y) [arcsec], complex."""
    z = (x - center_x) + 1j * (y - center_y)
    e = e1 + 1j * e2
    return z, e, z - e * jnp.conj(z)


def intermediate_axis_scale(theta_E, e1, e2):
    """theta_E sqrt(1 - |e|^2) = 2 sqrt(q) theta_E / (1 + q) [arcsec]: the scale that goes with |zeta|."""
    return theta_E * jnp.sqrt(1.0 - (e1**2 + e2**2))
