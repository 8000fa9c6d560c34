"""The dual pseudo-isothermal ellipsoid (Kassiola & Kovner 1993; Eliasdottir et al. 2007), two cored isothermals.

    kappa = b0/2 s / (s - a) (1 / sqrt(a^2 + R^2) - 1 / sqrt(s^2 + R^2)),   R^2 = q X^2 + Y^2 / q

with core a and truncation s. The differences of deflections and potentials (`cored_isothermal`) are written so that
nothing is lost or infinite as a -> s: with m_a, m_s, n of that module and D = (m_s - m_a) / (s - a),

    D = n + n^2 (s + a) / (sqrt(|zeta|^2 + n^2 a^2) + sqrt(|zeta|^2 + n^2 s^2))
    K = zeta D / (m_a m_s + conj(e) zeta^2)
    alpha_x + i alpha_y = n b0 s K arctan(sqrt w) / sqrt w,   w = conj(e) (s - a)^2 K^2

b0 is the Einstein radius of the singular isothermal ellipsoid that it becomes for a -> 0, s -> infinity; all three
lengths are on the intermediate axis.

Of other codes, at q = 1: PyAutoLens dPIEMassB0 has the same b0, ra, rs; lenstronomy PJAFFE: b0 = 2 sigma0 Ra;
GLEE and herculens: theta_E of theirs = b0 (s + a) / s. Where q < 1 the elliptical radius of PyAutoLens, GLEE and
herculens is (1 + q) / (2 sqrt q) R, so that b0, a, s here are 2 sqrt(q) / (1 + q) times theirs.
"""

import jax.numpy as jnp

from .cored_isothermal import core_terms, inside_logarithm
from .ellipse import elliptical_position
from .isothermal import arctan_ratio

_SERIES_BELOW = 1e-3


def deflection(x, y, b0, core_radius, truncation_radius, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; 0 with gradient 0 at the centre of a singular one.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        b0: Einstein radius of the isothermal it becomes without core and truncation [arcsec].
        core_radius: a >= 0 [arcsec].
        truncation_radius: s > 0 [arcsec]; s < a is the same profile with other normalisation.
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    _, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, _, _, ratio, _ = _terms(zeta, core_radius, truncation_radius, e)
    w = jnp.conj(e) * ((truncation_radius - core_radius) * ratio) ** 2
    alpha = n * b0 * truncation_radius * ratio * arctan_ratio(w)
    return alpha.real, alpha.imag


def convergence(x, y, b0, core_radius, truncation_radius, e1, e2, center_x=0.0, center_y=0.0):
    """kappa; at the centre of one with a = 0, where it is infinite, 0."""
    _, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, inner, outer, _, singular = _terms(zeta, core_radius, truncation_radius, e)
    a, s = core_radius, truncation_radius
    kappa = 0.5 * b0 * s * (s + a) * n**3 / (inner * outer * (inner + outer))
    return jnp.where(singular, 0.0, kappa)


def potential(x, y, b0, core_radius, truncation_radius, e1, e2, center_x=0.0, center_y=0.0):
    """psi = (theta - center) . alpha + b0 s (l_s - a (l_a - l_s) / (s - a)) [arcsec^2], up to a constant.

    l = ln sqrt(L) with L of `cored_isothermal`, for core and truncation.
    """
    z, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, inner, outer, _, singular = _terms(zeta, core_radius, truncation_radius, e)
    a, s, p_a, p_s = core_radius, truncation_radius, inner / n, outer / n
    alpha_x, alpha_y = deflection(x, y, b0, core_radius, truncation_radius, e1, e2, center_x, center_y)
    l_s = inside_logarithm(z, s, p_s, e)
    l_a = jnp.where(singular, 1.0, inside_logarithm(z, a, p_a, e))
    # L_a / L_s = 1 + (s - a) v, of use where it is near 1
    v = -(2.0 * (p_s + a * (s + a) / (p_a + p_s)) + 2.0 * (a + s) * (2.0 / n**2 - 1.0)) / l_s
    near = jnp.abs((s - a) * v) < 0.5
    v = jnp.where(near, v, 0.0)
    far = jnp.log(l_a / l_s) / jnp.where(near, 1.0, s - a)
    difference = jnp.where(near, v * _log_ratio((s - a) * v), far)
    return z.real * alpha_x + z.imag * alpha_y + 0.5 * b0 * s * (jnp.log(l_s) - a * difference)


def _terms(zeta, a, s, e):
    """(n, sqrt(|zeta|^2 + n^2 a^2), the same of s, K, whether the first vanishes: it is 1 there)."""
    n, inner, m_a, singular = core_terms(zeta, a, e)
    _, outer, m_s, _ = core_terms(zeta, s, e)
    zeta = jnp.where(singular, 0.0, zeta)
    ratio = zeta * (n + n**2 * (s + a) / (inner + outer)) / (m_a * m_s + jnp.conj(e) * zeta**2)
    return n, inner, outer, ratio, singular


def _log_ratio(v):
    """ln(1 + v) / v; six terms leave 1e-19 at 1e-3."""
    small = jnp.abs(v) < _SERIES_BELOW
    v_small, v_large = jnp.where(small, v, 0.0), jnp.where(small, 1.0, v)
    series = 1.0 - v_small * (1 / 2 - v_small * (1 / 3 - v_small * (1 / 4 - v_small * (1 / 5 - v_small / 6))))
    return jnp.where(small, series, jnp.log1p(v_large) / v_large)
