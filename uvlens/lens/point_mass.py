"""A point mass.

    alpha = theta_E^2 (theta - center) / |theta - center|^2,   psi = theta_E^2 ln |theta - center|,   kappa = 0

outside the point; at the point itself alpha and psi, which are infinite, are given as 0.
"""

import jax.numpy as jnp


def deflection(x, y, theta_E, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec] at x, y [arcsec]; theta_E: Einstein radius [arcsec]."""
    dx, dy, squared, at_center = _offsets(x, y, center_x, center_y)
    strength = jnp.where(at_center, 0.0, theta_E**2 / squared)
    return strength * dx, strength * dy


def convergence(x, y, theta_E, center_x=0.0, center_y=0.0):
    """kappa = 0: the mass is in one point."""
    return jnp.zeros(jnp.broadcast_shapes(jnp.shape(x), jnp.shape(y), jnp.shape(theta_E)))


def potential(x, y, theta_E, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], the logarithm of arcsec."""
    _, _, squared, _ = _offsets(x, y, center_x, center_y)
    return 0.5 * theta_E**2 * jnp.log(squared)


def _offsets(x, y, center_x, center_y):
    dx, dy = x - center_x, y - center_y
    squared = dx**2 + dy**2
    at_center = squared == 0.0
    return dx, dy, jnp.where(at_center, 1.0, squared), at_center
