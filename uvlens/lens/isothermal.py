"""The singular isothermal ellipsoid (Kormann, Schneider & Bartelmann 1994), in the coordinates of `ellipse`.

    kappa = theta_E / (2 sqrt(q X^2 + Y^2 / q)) = beta / (2 |zeta|),     beta = theta_E sqrt(1 - |e|^2)
    alpha_x + i alpha_y = beta E arctan(sqrt w) / sqrt w
    psi   = (x - center_x) alpha_x + (y - center_y) alpha_y

theta_E is measured on the intermediate axis, as in lenstronomy. The deflection is finite and differentiable in
every argument for all |e| < 1, e = 0 included; at the very centre it is 0 with gradient 0.
"""

import jax.numpy as jnp

from .ellipse import elliptical_coordinates, intermediate_axis_scale

_SERIES_BELOW = 1e-2
_SERIES = tuple((-1.0) ** n / (2 * n + 1) for n in range(10))


def deflection(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        theta_E: Einstein radius on the intermediate axis [arcsec].
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    beta = intermediate_axis_scale(theta_E, e1, e2)
    alpha = beta * position.direction * _arctan_ratio(position.argument)
    return alpha.real, alpha.imag


def convergence(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """kappa = beta / (2 |zeta|); infinite at the centre, given there as 0."""
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    kappa = 0.5 * intermediate_axis_scale(theta_E, e1, e2) / position.radius
    return jnp.where(position.at_center, 0.0, kappa)


def potential(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """psi = (theta - center) . alpha [arcsec^2]: the potential is homogeneous of degree 1."""
    alpha_x, alpha_y = deflection(x, y, theta_E, e1, e2, center_x, center_y)
    return (x - center_x) * alpha_x + (y - center_y) * alpha_y


def _arctan_ratio(w):
    """arctan(sqrt w) / sqrt w = sum_n (-w)^n / (2 n + 1) for complex |w| < 1; ten terms leave 1e-22 at 1e-2."""
    small = w.real**2 + w.imag**2 < _SERIES_BELOW**2
    w_small = jnp.where(small, w, 0.0)
    series = jnp.zeros_like(w)
    for coefficient in reversed(_SERIES):
        series = series * w_small + coefficient
    root = jnp.sqrt(jnp.where(small, 0.25, w))
    closed = -0.5j * jnp.log((1.0 + 1j * root) / (1.0 - 1j * root)) / root
    return jnp.where(small, series, closed)
