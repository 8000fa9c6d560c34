"""The round NFW halo with a smooth truncation (Baltz, Marshall & Oguri 2009, eqs. A3-A8 with n = 1).

    rho = rho_s / (t (1 + t)^2) tau^2 / (tau^2 + t^2),   t = r / R_s,  tau = truncation_radius / R_s
    kappa_s = rho_s R_s / Sigma_cr,   T = sqrt(tau^2 + t^2),   L = ln(t / (T + tau)),   F as in `nfw`

    kappa = 2 kappa_s c {(tau^2 + 1) (1 - F) / (t^2 - 1) + 2 F - pi / T + (tau^2 - 1) L / (tau T)}
    alpha = 4 kappa_s R_s c {[tau^2 - 1 + 2 t^2] F + (tau^2 - 1) ln tau + pi (tau - T) + T (tau^2 - 1) L / tau} / t
    c     = tau^2 / (tau^2 + 1)^2                       (with tau^2 + 1 + 2 (t^2 - 1) written out)

The deflection is rearranged where t < 1/2, so that nothing cancels at the centre. The potential is the integral of the
deflection along the ray (see `raypotential`).
"""

import jax.numpy as jnp

from . import raypotential
from .nfw import f_of, near_center, radius, slope_of_f, split


def deflection(x, y, R_s, kappa_s, truncation_radius, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; 0 with gradient 0 at the very centre.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        R_s: scale radius [arcsec].
        kappa_s: rho_s R_s in units of the critical surface density.
        truncation_radius: tau R_s [arcsec].
        center_x, center_y: arcsec.
    """
    dx, dy, t, at_center = radius(x, y, R_s, center_x, center_y)
    ratio = jnp.where(at_center, 0.0, 4.0 * kappa_s * enclosed(t, truncation_radius / R_s))
    return ratio * dx, ratio * dy


def convergence(x, y, R_s, kappa_s, truncation_radius, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as 0."""
    _, _, t, at_center = radius(x, y, R_s, center_x, center_y)
    tau = truncation_radius / R_s
    c = tau**2 / (tau**2 + 1.0) ** 2
    edge = jnp.sqrt(tau**2 + t**2)
    log = jnp.log(t / (edge + tau))
    braces = (tau**2 + 1.0) * slope_of_f(t) + 2.0 * f_of(t) - jnp.pi / edge + (tau**2 - 1.0) * log / (tau * edge)
    return jnp.where(at_center, 0.0, 2.0 * kappa_s * c * braces)


def potential(x, y, R_s, kappa_s, truncation_radius, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    dx, dy, tau = (x - center_x) / R_s, (y - center_y) / R_s, truncation_radius / R_s
    # the smaller of scale and truncation radius, smoothly
    scale = tau / (1.0 + tau)

    def inner(u, v):
        return deflection(u, v, 1.0 / scale, kappa_s, tau / scale)

    return R_s**2 * scale**2 * raypotential.potential(inner, dx / scale, dy / scale)


def enclosed(t, tau):
    """c {...} / t^2 of the deflection."""
    c, odd = tau**2 / (tau**2 + 1.0) ** 2, tau**2 - 1.0
    inside, t_in, t_out = split(t)
    edge = jnp.sqrt(tau**2 + t_out**2)
    log = jnp.log(t_out / (edge + tau))
    beyond = (odd + 2.0 * t_out**2) * f_of(t_out) + odd * jnp.log(tau) + jnp.pi * (tau - edge) + edge * odd * log / tau
    # F = (small - log) / root and L = log - ln tau - growth; every coefficient is divided by t^2
    root, small, log = near_center(t_in)
    edge = jnp.sqrt(tau**2 + t_in**2)
    steep, lift = 1.0 / (root * (1.0 + root)), 1.0 / (edge + tau)
    growth = jnp.log1p(0.5 * t_in**2 * lift / tau)
    within = (
        log * (odd * (lift / tau - steep) - 2.0 / root)
        + (odd + 2.0 * t_in**2) * small / (t_in**2 * root)
        - jnp.pi * lift
        - odd * jnp.log(tau) * lift / tau
        - edge * odd * growth / (tau * t_in**2)
    )
    return c * jnp.where(inside, within, beyond / t_out**2)
