"""External shear.

    psi = gamma1 (x^2 - y^2) / 2 + gamma2 x y,   alpha = (gamma1 x + gamma2 y, gamma2 x - gamma1 y)

about (0, 0) unless a centre is given. Images are stretched along PA = 90 deg - atan2(gamma2, gamma1) / 2; the
perturber lies at right angles to that.
"""

import jax.numpy as jnp


def deflection(x, y, gamma1, gamma2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec] at x, y [arcsec]."""
    dx, dy = x - center_x, y - center_y
    return gamma1 * dx + gamma2 * dy, gamma2 * dx - gamma1 * dy


def convergence(x, y, gamma1, gamma2, center_x=0.0, center_y=0.0):
    """kappa = 0."""
    return jnp.zeros(jnp.broadcast_shapes(jnp.shape(x), jnp.shape(y)))


def potential(x, y, gamma1, gamma2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2]."""
    dx, dy = x - center_x, y - center_y
    return 0.5 * gamma1 * (dx**2 - dy**2) + gamma2 * dx * dy
