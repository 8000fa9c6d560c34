"""Round profiles of unit total flux, functions of the squared radius R^2 [arcsec^2]; brightness in 1/arcsec^2.

    gaussian       exp(-R^2 / (2 sigma^2)) / (2 pi sigma^2)
    sersic         exp(-b (R / R_e)^(1/n)) / (2 pi n R_e^2 b^(-2n) Gamma(2n)),    b = b_n(n) (`half_light`)
    core_sersic    (1 + (R_b / R)^a)^(g / a) exp(-b ((R^a + R_b^a) / R_e^a)^(1 / (a n))) / its integral
    moffat         (beta - 1) / (pi s^2) (1 + R^2 / s^2)^-beta
    annulus        1 / (pi (R_out^2 - R_in^2)) between two radii

Sersic (1963), Trujillo et al. (2004, eq. 5), Moffat (1969). Everything is finite and differentiable at the centre:
where a profile has a cusp its gradient at the very centre is given as 0.
"""

import jax.numpy as jnp
from jax.scipy.special import gammaln

from .half_light import half_light_exponent

N_NODES = 800
"""Of the flux of a core-Sersic profile."""


def gaussian(squared, sigma):
    """Gaussian of standard deviation sigma [arcsec]; `squared` and sigma broadcast."""
    return jnp.exp(-0.5 * squared / sigma**2) / (2.0 * jnp.pi * sigma**2)


def sersic(squared, R_sersic, n_sersic):
    """Sersic profile of half-light radius R_sersic [arcsec] and index n_sersic, 0.3 <= n <= 10."""
    n = n_sersic
    b = half_light_exponent(n)
    log_norm = jnp.log(2.0 * jnp.pi * n) + 2.0 * jnp.log(R_sersic) - 2.0 * n * jnp.log(b) + gammaln(2.0 * n)
    return jnp.exp(-b * _power(squared, R_sersic, 1.0 / n) - log_norm)


def core_sersic(squared, R_sersic, n_sersic, break_radius, slope_inner, sharpness, b=None):
    """Sersic profile whose inner part, R < break_radius, is a power law R^-slope_inner.

    Infinite at the centre where slope_inner > 0, given there as 0. The flux is a sum over `N_NODES` nodes (trapezoidal
    rule in ln R), good to 1e-10 for 0.3 <= n <= 10, slope_inner <= 1, 0.5 <= sharpness <= 10 and break_radius up to
    4 R_sersic.

    Args:
        squared: R^2 [arcsec^2].
        R_sersic, n_sersic: of the Sersic profile that it follows far out [arcsec].
        break_radius: arcsec.
        slope_inner: 0 <= slope_inner <= 1.
        sharpness: of the transition, a.
        b: exponent; None: b_n of the Sersic profile.
    """
    b = half_light_exponent(n_sersic) if b is None else b
    log_radii, log_weight = _flux_nodes(R_sersic, n_sersic, break_radius, slope_inner, b)
    shape = R_sersic, n_sersic, break_radius, slope_inner, sharpness, b
    log_terms = _log_core_sersic(log_radii, *shape) + 2.0 * log_radii + log_weight
    top = jnp.max(log_terms)
    log_flux = jnp.log(2.0 * jnp.pi * jnp.sum(jnp.exp(log_terms - top))) + top
    at_center = squared == 0.0
    log_radius = 0.5 * jnp.log(jnp.where(at_center, 1.0, squared))
    values = jnp.exp(_log_core_sersic(log_radius, *shape) - log_flux)
    flat = jnp.exp(-b * (break_radius / R_sersic) ** (1.0 / n_sersic) - log_flux)
    at_zero = jnp.where(slope_inner > 0.0, 0.0, flat)
    return jnp.where(at_center, at_zero, values)


def moffat(squared, scale_radius, exponent):
    """Moffat profile of scale_radius s [arcsec] and exponent beta > 1."""
    return (exponent - 1.0) / (jnp.pi * scale_radius**2) * (1.0 + squared / scale_radius**2) ** (-exponent)


def annulus(squared, inner_radius, width):
    """Uniform between inner_radius and inner_radius + width [arcsec]; a disc for inner_radius = 0."""
    inside = (squared >= inner_radius**2) & (squared <= (inner_radius + width) ** 2)
    return jnp.where(inside, 1.0 / (jnp.pi * width * (2.0 * inner_radius + width)), 0.0)


def _power(squared, scale, power):
    """(R / scale)^power, 0 with gradient 0 at the very centre."""
    at_center = squared == 0.0
    safe = jnp.where(at_center, 1.0, squared)
    return jnp.where(at_center, 0.0, jnp.exp(0.5 * power * jnp.log(safe) - power * jnp.log(scale)))


def _log_core_sersic(log_radius, R_sersic, n_sersic, break_radius, slope_inner, sharpness, b):
    log_break = jnp.log(break_radius)
    log_both = jnp.logaddexp(sharpness * log_radius, sharpness * log_break) / sharpness
    return slope_inner * (log_both - log_radius) - b * jnp.exp((log_both - jnp.log(R_sersic)) / n_sersic)


def _flux_nodes(R_sersic, n_sersic, break_radius, slope_inner, b):
    """(ln R, ln of the step) of equally spaced nodes between radii beyond which 1e-17 of the flux lies.

    On the line the rule converges exponentially: R^2 I(R) falls as R^(2 - slope_inner) inwards and as
    exp(-b (R / R_e)^(1/n)) outwards.
    """
    at_break = b * (break_radius / R_sersic) ** (1.0 / n_sersic)
    high = jnp.log(R_sersic) + n_sersic * jnp.log((at_break + 45.0 + 5.0 * n_sersic) / b)
    start = jnp.minimum(jnp.log(break_radius), jnp.log(R_sersic) - n_sersic * jnp.log(jnp.maximum(b, 1.0)))
    low = start - 40.0 / (2.0 - slope_inner)
    t = jnp.linspace(0.0, 1.0, N_NODES)
    return low + (high - low) * t, jnp.log((high - low) / (N_NODES - 1))
