"""The elliptical power law (Tessore & Metcalf 2015, eqs. 11-13), in the coordinates of `ellipse`.

    kappa = (3 - slope)/2 (theta_E / sqrt(q X^2 + Y^2 / q))^(slope - 1) = (2 - t)/2 (beta / |zeta|)^t,   t = slope - 1
    alpha_x + i alpha_y = beta (beta / |zeta|)^(t - 1) E F(w),   beta = theta_E sqrt(1 - |e|^2)
    F(w) = 2F1(1, t/2; 2 - t/2; -w) = sum_n a_n (-w)^n,   a_n / a_(n-1) = (n - 1 + t/2) / (n + 1 - t/2)
    psi  = (theta - center) . alpha / (2 - t)

The series is cut after N_TERMS: the relative error is below |e|^N_TERMS / (1 - |e|), 1e-14 at q = 0.24 and
1e-6 at q = 0.1.
"""

import jax
import jax.numpy as jnp

from .ellipse import elliptical_coordinates, intermediate_axis_scale

N_TERMS = 64


def deflection(x, y, theta_E, slope, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; 0 with gradient 0 at the very centre.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        theta_E: Einstein radius on the intermediate axis [arcsec].
        slope: of the three-dimensional density, 1 < slope < 3; 2 is isothermal.
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    t = slope - 1.0
    beta = intermediate_axis_scale(theta_E, e1, e2)
    radial = beta * (beta / position.radius) ** (t - 1.0)
    alpha = radial * position.direction * _angular_series(position.argument, t)
    return alpha.real, alpha.imag


def convergence(x, y, theta_E, slope, e1, e2, center_x=0.0, center_y=0.0):
    """kappa = (2 - t)/2 (beta / |zeta|)^t; infinite at the centre, given there as 0."""
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    t = slope - 1.0
    kappa = 0.5 * (2.0 - t) * (intermediate_axis_scale(theta_E, e1, e2) / position.radius) ** t
    return jnp.where(position.at_center, 0.0, kappa)


def potential(x, y, theta_E, slope, e1, e2, center_x=0.0, center_y=0.0):
    """psi = (theta - center) . alpha / (3 - slope) [arcsec^2]: homogeneous of degree 3 - slope."""
    alpha_x, alpha_y = deflection(x, y, theta_E, slope, e1, e2, center_x, center_y)
    return ((x - center_x) * alpha_x + (y - center_y) * alpha_y) / (3.0 - slope)


@jax.custom_jvp
def _angular_series(w, t):
    """F(w) by Horner's rule, F = 1 - r_1 w (1 - r_2 w (1 - ...)), r_n = a_n / a_(n-1)."""

    def step(total, n):
        return 1.0 - _ratio(n, t) * w * total, None

    return jax.lax.scan(step, jnp.ones_like(w), jnp.arange(N_TERMS, 0, -1))[0]


@_angular_series.defjvp
def _angular_series_jvp(primals, tangents):
    """dF/dw and dF/dt by the same rule, so that a gradient stores none of the N_TERMS partial sums."""
    w, t = primals

    def step(carry, n):
        total, by_w, by_t = carry
        ratio, slope = jax.jvp(lambda t: _ratio(n, t), (t,), (jnp.ones_like(t),))
        by_w = -ratio * (total + w * by_w)
        by_t = -w * (slope * total + ratio * by_t)
        return (1.0 - ratio * w * total, by_w, by_t), None

    start = (jnp.ones_like(w), jnp.zeros_like(w), jnp.zeros_like(w))
    (total, by_w, by_t), _ = jax.lax.scan(step, start, jnp.arange(N_TERMS, 0, -1))
    return total, by_w * tangents[0] + by_t * tangents[1]


def _ratio(n, t):
    """a_n / a_(n-1)."""
    return (n - 1.0 + 0.5 * t) / (n + 1.0 - 0.5 * t)
