"""The elliptical power law with a core, in the coordinates of `ellipse`.

    kappa = (3 - slope)/2 (theta_E^2 / (core^2 + R^2))^(t/2),   R^2 = q X^2 + Y^2 / q,   t = slope - 1

The integral of Schramm (1990) over confocal ellipses (see `ellipsoid`) in the variable that takes its root away: with
z = x + i y, m = (1 + |e|^2) / (1 - |e|^2), G = 2 e / (1 - |e|^2) and h(l) = sqrt(1 + |G|^2 l^2),

    alpha_x + i alpha_y = int_0^1 kappa(R_l) (z - G conj(z) l / h) dl,   R_l^2 = l (h |z|^2 - l Re(conj(G) z^2))

Gauss-Legendre nodes in ln(l + core^2 / (core^2 + |z|^2)) do it with relative errors, measured against adaptive
integration and Bourassa & Kantowski's integral for 1.3 <= slope <= 2.9 and core / R of 1e-4 and more, of 5e-13 for
q >= 0.2, 2e-12 at q = 0.1 and 5e-11 at q = 0.05; 3e-10, 1e-8 and 1e-7 with core / R = 1e-8. A core of exactly 0 is the
series of `power_law`.
psi, of degree 3 - slope in lengths, follows from Euler's rule and a real integral over confocal ellipses:

    (3 - slope) psi = (theta - center) . alpha + core d psi / d core
    d psi / d core  = 1/2 int_0^inf d m / d core (rho) dl / sqrt(p),   rho^2 = (R^2 + l |z|^2) / p

with p = (l + q) (l + 1/q) and m(r) = 2 int_0^r kappa r' dr'; by the trapezoidal rule in ln l, good to 1e-11.
"""

import jax
import jax.numpy as jnp
import numpy as np

from . import power_law
from .ellipse import elliptical_position
from .nodesum import node_sum

N_NODES = 48
N_CONFOCAL = 96
_TAIL = 26.0
"""Range in ln l over which the integrand of the potential falls on either side: e^-26 is 5e-12."""


def deflection(x, y, theta_E, slope, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        theta_E: Einstein radius without the core, on the intermediate axis [arcsec].
        slope: of the three-dimensional density outside the core, 1 < slope < 3; 2 is isothermal.
        core_radius: core >= 0 on the intermediate axis [arcsec].
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    singular = jnp.asarray(core_radius) == 0.0
    core = jnp.where(singular, 1.0, core_radius)
    sharp_x, sharp_y = power_law.deflection(x, y, theta_E, slope, e1, e2, center_x, center_y)
    dx, dy = x - center_x, y - center_y
    round_part = 1.0 - (e1**2 + e2**2)
    g1, g2 = 2.0 * e1 / round_part, 2.0 * e2 / round_part
    squared, product = dx**2 + dy**2, g1 * (dx**2 - dy**2) + 2.0 * g2 * dx * dy
    # the integral does not depend on where its nodes lie
    shift = jax.lax.stop_gradient(core**2 / (core**2 + squared))
    span = jnp.log1p(1.0 / shift)
    half = 0.5 * (slope - 1.0)
    a, b = _quadrature(squared, product, g1**2 + g2**2, core**2, half, shift, span)
    scale = 0.5 * (3.0 - slope) * theta_E ** (slope - 1.0) * shift * span
    alpha_x = scale * (a * dx - b * (g1 * dx + g2 * dy))
    alpha_y = scale * (a * dy - b * (g2 * dx - g1 * dy))
    return jnp.where(singular, sharp_x, alpha_x), jnp.where(singular, sharp_y, alpha_y)


def convergence(x, y, theta_E, slope, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """kappa; at the centre of one with core 0, where it is infinite, 0."""
    _, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    squared = core_radius**2 + _elliptical_radius_squared(zeta, e)
    infinite = squared == 0.0
    kappa = 0.5 * (3.0 - slope) * (theta_E**2 / jnp.where(infinite, 1.0, squared)) ** (0.5 * (slope - 1.0))
    return jnp.where(infinite, 0.0, kappa)


def potential(x, y, theta_E, slope, core_radius, e1, e2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    z, e, zeta = elliptical_position(x, y, e1, e2, center_x, center_y)
    alpha_x, alpha_y = deflection(x, y, theta_E, slope, core_radius, e1, e2, center_x, center_y)
    singular = jnp.asarray(core_radius) == 0.0
    core = jnp.where(singular, 1.0, core_radius)
    by_core = _core_term(z, _elliptical_radius_squared(zeta, e), e, slope - 1.0, core)
    by_core = jnp.where(singular, 0.0, 0.5 * theta_E ** (slope - 1.0) * by_core)
    return (z.real * alpha_x + z.imag * alpha_y) / (3.0 - slope) + by_core


def _elliptical_radius_squared(zeta, e):
    return (zeta.real**2 + zeta.imag**2) / (1.0 - (e.real**2 + e.imag**2))


def _term(node, squared, product, flattening, core_squared, half, shift, span):
    """(kappa dl, kappa dl l / h) at a node, without constant factors (see `nodesum` for how it is written)."""
    position, weight = node
    growth = jnp.exp(position * span)
    l = shift * (growth - 1.0)
    root = jnp.sqrt(1.0 + l**2 * flattening)
    elliptical = l * (root * squared - l * product)
    common = weight * growth * jnp.exp(-(half * jnp.log(core_squared + elliptical)))
    return common, common * (l / root)


_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(N_NODES)
_quadrature = node_sum(_term, (0.5 * (_POINTS + 1.0), 0.5 * _WEIGHTS))


def _core_term(z, squared, e, t, core):
    """2 core d psi / d core / ((3 - slope) theta_E^t) for core > 0, by the trapezoidal rule in ln l."""
    modulus = e.real**2 + e.imag**2
    trace = 2.0 * (1.0 + modulus) / (1.0 - modulus)  # q + 1/q
    round_squared = z.real**2 + z.imag**2
    width = 2.0 * _TAIL + jnp.log1p(round_squared / core**2)

    def node(total, position):
        l = jnp.exp(width * position - _TAIL)
        p = 1.0 + l * (trace + l)
        rho = (squared + l * round_squared) / p
        change = core ** (2.0 - t) * jnp.expm1(-0.5 * t * jnp.log1p(rho / core**2))
        return total + change * l / jnp.sqrt(p), None

    zero = jnp.zeros(jnp.broadcast_shapes(jnp.shape(width), jnp.shape(t)))
    positions = (jnp.arange(N_CONFOCAL) + 0.5) / N_CONFOCAL
    total, _ = jax.lax.scan(jax.checkpoint(node), zero, positions)
    return total * width / N_CONFOCAL
