"""The round NFW halo in closed form (Bartelmann 1996; Wright & Brainerd 2000; Meneghetti et al. 2003).

    rho = rho_s / (t (1 + t)^2),   t = r / R_s,   kappa_s = rho_s R_s / Sigma_cr
    kappa = 2 kappa_s (1 - F) / (t^2 - 1)
    alpha = 4 kappa_s R_s [ln(t/2) + F] / t
    psi   = 2 kappa_s R_s^2 [ln^2(t/2) - (1 - t^2) F^2]
    F     = artanh(sqrt(1 - t^2)) / sqrt(1 - t^2)              (arctan(sqrt(t^2 - 1)) / sqrt(t^2 - 1) outside)

written so that nothing cancels at t -> 0 and t = 1 is an ordinary point.
"""

import jax.numpy as jnp
import numpy as np

_SERIES_BELOW = 0.06
_SERIES = tuple(1.0 / (2 * n + 1) for n in range(14))
ALPHA_AT_R_S = 4.0 * (1.0 - np.log(2.0))
"""Deflection at the scale radius in units of kappa_s R_s."""


def deflection(x, y, R_s, kappa_s, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; 0 with gradient 0 at the very centre.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        R_s: scale radius [arcsec].
        kappa_s: rho_s R_s in units of the critical surface density.
        center_x, center_y: arcsec.
    """
    dx, dy, t, at_center = radius(x, y, R_s, center_x, center_y)
    ratio = jnp.where(at_center, 0.0, 4.0 * kappa_s * enclosed(t))
    return ratio * dx, ratio * dy


def convergence(x, y, R_s, kappa_s, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as 0."""
    _, _, t, at_center = radius(x, y, R_s, center_x, center_y)
    return jnp.where(at_center, 0.0, 2.0 * kappa_s * slope_of_f(t))


def potential(x, y, R_s, kappa_s, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    _, _, t, at_center = radius(x, y, R_s, center_x, center_y)
    inside, t_in, t_out = split(t)
    _, small, log = near_center(t_in)
    # ln^2(t/2) - artanh^2(sqrt(1 - t^2)) as a product; the sum of the two logarithms is `small`
    within = (2.0 * log - small) * small
    beyond = jnp.log(0.5 * t_out) ** 2 - (1.0 - t_out**2) * _f_outside(1.0 - t_out**2) ** 2
    return jnp.where(at_center, 0.0, 2.0 * kappa_s * R_s**2 * jnp.where(inside, within, beyond))


def radius(x, y, R_s, center_x, center_y):
    """(x, y from the centre [arcsec], r / R_s, whether at the centre, where r / R_s is given as 1)."""
    dx, dy = x - center_x, y - center_y
    squared = (dx / R_s) ** 2 + (dy / R_s) ** 2
    at_center = squared < 1e-200
    return dx, dy, jnp.sqrt(jnp.where(at_center, 1.0, squared)), at_center


def split(t):
    """(whether t < 1/2, t where it is and 1/4 elsewhere, t where it is not and 1 elsewhere)."""
    inside = t < 0.5
    return inside, jnp.where(inside, t, 0.25), jnp.where(inside, 1.0, t)


def near_center(t):
    """(s, p, ln(t/2)) of t < 1/2: F = (p - ln(t/2)) / s with s = sqrt(1 - t^2), p = ln((1 + s)/2) = O(t^2)."""
    root = jnp.sqrt(1.0 - t**2)
    return root, jnp.log1p(-0.5 * t**2 / (1.0 + root)), jnp.log(0.5 * t)


def enclosed(t):
    """[ln(t/2) + F(t)] / t^2."""
    inside, t_in, t_out = split(t)
    root, small, log = near_center(t_in)
    within = (small / t_in**2 - log / (1.0 + root)) / root
    beyond = (jnp.log(0.5 * t_out) + _f_outside(1.0 - t_out**2)) / t_out**2
    return jnp.where(inside, within, beyond)


def f_of(t):
    """F(t), t > 0."""
    inside, t_in, t_out = split(t)
    root, small, log = near_center(t_in)
    return jnp.where(inside, (small - log) / root, _f_outside(1.0 - t_out**2))


def slope_of_f(t):
    """(1 - F) / (t^2 - 1) = sum_n y^n / (2 n + 3), y = 1 - t^2."""
    y = 1.0 - t**2
    near = jnp.abs(y) < _SERIES_BELOW
    t_far = jnp.where(near, 0.5, t)
    return jnp.where(near, _horner(jnp.where(near, y, 0.0), _SERIES[1:]), (1.0 - f_of(t_far)) / (t_far**2 - 1.0))


def _f_outside(y):
    """F as a function of y = 1 - t^2, y < 0.8: artanh(sqrt y) / sqrt y = sum_n y^n / (2 n + 1), analytic at y = 0."""
    near, y_near, root, inside, outside = _branches(y)
    closed = jnp.where(y > 0.0, jnp.arctanh(inside), jnp.arctan(outside)) / root
    return jnp.where(near, _horner(y_near, _SERIES), closed)


def _branches(y):
    near = jnp.abs(y) < _SERIES_BELOW
    y_far = jnp.where(near, 0.5, y)
    root = jnp.sqrt(jnp.abs(y_far))
    return near, jnp.where(near, y, 0.0), root, jnp.where(y_far > 0.0, root, 0.5), jnp.where(y_far > 0.0, 0.5, root)


def _horner(y, coefficients):
    total = jnp.zeros_like(y)
    for coefficient in reversed(coefficients):
        total = total * y + coefficient
    return total
