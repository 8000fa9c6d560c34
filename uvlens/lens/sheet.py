"""A sheet of constant convergence.

psi = kappa |theta - center|^2 / 2,   alpha = kappa (theta - center)
"""

import jax.numpy as jnp


def deflection(x, y, kappa, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec] at x, y [arcsec]; kappa of either sign."""
    return kappa * (x - center_x), kappa * (y - center_y)


def convergence(x, y, kappa, center_x=0.0, center_y=0.0):
    """kappa."""
    return kappa * jnp.ones(jnp.broadcast_shapes(jnp.shape(x), jnp.shape(y)))


def potential(x, y, kappa, center_x=0.0, center_y=0.0):
    """psi [arcsec^2]."""
    return 0.5 * kappa * ((x - center_x) ** 2 + (y - center_y) ** 2)
