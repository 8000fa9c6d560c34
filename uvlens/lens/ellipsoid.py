"""Any convergence kappa(R) on similar ellipses, R^2 = q X^2 + Y^2 / q, by fixed quadrature over confocal ones.

With z = x + i y, m = (1 + |e|^2) / (1 - |e|^2) and eps = 2 e / (1 + |e|^2), |eps| = (1 - q^2) / (1 + q^2), the integral
of Schramm (1990) over the confocal ellipses outside z, in a variable v that is 1 on the one through z and 0 far out,
is

    alpha_x + i alpha_y = int_0^1 kappa(R_v) (z - eps v conj(z)) / (1 - |eps|^2 v^2)^(3/2) dv / m
    R_v^2 = v (|z|^2 - v Re(conj(eps) z^2)) / (m (1 - |eps|^2 v^2)),      R_1 = R(z)

analytic in e and finite at the centre, with real numbers alone at the nodes. v = v_max sin(angle)^power: the power
suits the cusp of kappa at 0, the sine what flattened ellipses do near v = 1. Beyond the radius `extent` where kappa has
died out, v_max < 1 keeps the nodes where the mass is. The integral depends on neither: power and v_max are held fixed
in derivatives.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .nodesum import node_sum

N_NODES = 32
_TINY = 1e-100
"""|z|^2 in units of the scale, below which a position is at the centre."""


def ellipsoid(kappa, power):
    """Deflection of a convergence.

    Args:
        kappa: (R^2, *shape) -> convergence, finite at 0.
        power: (*shape) -> such that kappa is smooth in R^(2 / power) about 0: 2 for a function of R^2.

    Returns:
        Function (x, y, e1, e2, extent_squared, *shape) -> (alpha_x, alpha_y), lengths in units of choice.
    """
    points, weights = np.polynomial.legendre.leggauss(N_NODES)
    angle = 0.25 * np.pi * (points + 1.0)
    nodes = np.log(np.sin(angle)), 0.25 * np.pi * weights * np.cos(angle) / np.sin(angle)

    def term(node, squared, product, limit, exponent, epsilon_squared, *shape):
        log_sine, weight = node
        v = limit * jnp.exp(exponent * log_sine)
        narrow = 1.0 / (1.0 - epsilon_squared * v**2)
        common = weight * exponent * v * narrow * jnp.sqrt(narrow) * kappa(v * narrow * (squared - v * product), *shape)
        return common, common * v

    quadrature = node_sum(term, nodes)

    def deflection(x, y, e1, e2, extent_squared, *shape):
        modulus = e1**2 + e2**2
        inverse_m = (1.0 - modulus) / (1.0 + modulus)
        epsilon1, epsilon2 = 2.0 * e1 / (1.0 + modulus), 2.0 * e2 / (1.0 + modulus)
        squared = x**2 + y**2
        at_center = squared < _TINY
        # |z|^2 / m and Re(conj(eps) z^2) / m
        safe = inverse_m * jnp.where(at_center, 1.0, squared)
        product = inverse_m * jnp.where(at_center, 0.0, epsilon1 * (x**2 - y**2) + 2.0 * epsilon2 * x * y)
        # R_v^2 >= v |z|^2 / 2 m, so that R at v_max is the extent or more
        limit = jax.lax.stop_gradient(jnp.minimum(1.0, 2.0 * extent_squared / safe))
        exponent = jax.lax.stop_gradient(power(*shape))
        a, b = quadrature(safe, product, limit, exponent, 1.0 - inverse_m**2, *shape)
        central = kappa(jnp.zeros(()), *shape)
        a = jnp.where(at_center, central, inverse_m * a)
        b = jnp.where(at_center, central / (1.0 + inverse_m), inverse_m * b)
        return (
            a * x - b * (epsilon1 * x + epsilon2 * y),
            a * y - b * (epsilon2 * x - epsilon1 * y),
        )

    return deflection


def elliptical_radius_squared(x, y, e1, e2):
    """R^2 = |z - e conj(z)|^2 / (1 - |e|^2)."""
    real, imaginary = x - (e1 * x + e2 * y), y - (e2 * x - e1 * y)
    return (real**2 + imaginary**2) / (1.0 - e1**2 - e2**2)
