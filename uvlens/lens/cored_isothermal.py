"""The cored isothermal ellipsoid (Kormann et al. 1994; Keeton & Kochanek 1998), in the coordinates of `ellipse`.

    kappa = theta_E / (2 sqrt(core^2 + R^2)),   R^2 = q X^2 + Y^2 / q = |zeta|^2 / n^2,   n = sqrt(1 - |e|^2)
    alpha_x + i alpha_y = n theta_E (zeta / m) arctan(sqrt w) / sqrt w,   w = conj(e) zeta^2 / m^2
    m = sqrt(|zeta|^2 + n^2 core^2) + n core
    psi = (theta - center) . alpha - theta_E core ln sqrt(L),   L = |z|^2 + 2 core sqrt(core^2 + R^2) + core^2 (q + 1/q)

which is the singular ellipsoid (`isothermal`) at core = 0, without a case of its own at e = 0 or at the centre.
theta_E, the Einstein radius of the singular one, and core are on the intermediate axis: lenstronomy's NIE, its
s_scale = core. (Bourassa & Kantowski's integral 2 int_0^R kappa rho d rho / sqrt(z^2 - 4 e rho^2 / n^2) of the
conjugate deflection, done in closed form.)
"""

import jax.numpy as jnp

from .ellipse import elliptical_position
from .isothermal import arctan_ratio


def deflection(x, y, theta_E, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; 0 with gradient 0 at the centre of a singular one.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        theta_E: Einstein radius without the core, on the intermediate axis [arcsec].
        core_radius: core, on the intermediate axis [arcsec]; >= 0.
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    _, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, _, m, singular = core_terms(zeta, core_radius, e)
    ratio = jnp.where(singular, 0.0, zeta) / m
    alpha = n * theta_E * ratio * arctan_ratio(jnp.conj(e) * ratio**2)
    return alpha.real, alpha.imag


def convergence(x, y, theta_E, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """kappa = theta_E / (2 sqrt(core^2 + R^2)); at the centre of a singular one, where it is infinite, 0."""
    _, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, root, _, singular = core_terms(zeta, core_radius, e)
    return jnp.where(singular, 0.0, 0.5 * n * theta_E / root)


def potential(x, y, theta_E, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], up to a constant: lengths inside the logarithm are in arcsec."""
    z, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    n, root, _, singular = core_terms(zeta, core_radius, e)
    within = jnp.where(singular, 1.0, inside_logarithm(z, core_radius, root / n, e))
    alpha_x, alpha_y = deflection(x, y, theta_E, core_radius, e1, e2, center_x, center_y)
    return z.real * alpha_x + z.imag * alpha_y - 0.5 * theta_E * core_radius * jnp.log(within)


def core_terms(zeta, core, e):
    """(n, sqrt(|zeta|^2 + n^2 core^2), m, whether the root vanishes: it is 1 there)."""
    n = jnp.sqrt(1.0 - (e.real**2 + e.imag**2))
    squared = zeta.real**2 + zeta.imag**2 + (n * core) ** 2
    singular = squared == 0.0
    root = jnp.sqrt(jnp.where(singular, 1.0, squared))
    return n, root, root + n * core, singular


def inside_logarithm(z, core, distance, e):
    """L at distance = sqrt(core^2 + R^2); q + 1/q = 2 (1 + |e|^2) / (1 - |e|^2)."""
    modulus = e.real**2 + e.imag**2
    return z.real**2 + z.imag**2 + 2.0 * core * distance + 2.0 * core**2 * (1.0 + modulus) / (1.0 - modulus)
