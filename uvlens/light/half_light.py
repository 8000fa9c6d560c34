"""The exponent b_n that makes the radius of a Sersic profile enclose half of its light.

    P(2n, b_n) = 1/2,      P(a, x) = x^a e^-x sum_k x^k / Gamma(a + k + 1)    (regularised incomplete gamma function)

Solved to rounding for 0.3 <= n <= 10 (Ciotti & Bertin 1999 give the expansion it starts from), with derivatives of
every order by the implicit function theorem, d b_n / d n = -2 P_a / P_x.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

_TERMS = 90
"""Of the series, whose terms are positive and fall by x / (a + k): 1e-17 of the sum at n = 10."""
_NEWTON_STEPS = 6


@jax.custom_jvp
def half_light_exponent(n):
    """b_n of Sersic indices of any shape, 0.3 <= n <= 10."""
    n = jnp.asarray(n, dtype=float)
    b = 2.0 * n - 1.0 / 3.0 + 4.0 / (405.0 * n) + 46.0 / (25515.0 * n**2)

    def step(_, b):
        return b - (incomplete_gamma(2.0 * n, b) - 0.5) / _density(2.0 * n, b)

    # a loop, not six copies: it is the primal of a custom rule and never differentiated
    return jax.lax.fori_loop(0, _NEWTON_STEPS, step, b)


@half_light_exponent.defjvp
def _half_light_exponent_jvp(primals, tangents):
    (n,), (n_dot,) = primals, tangents
    b = half_light_exponent(n)
    a = 2.0 * jnp.asarray(n, dtype=float)
    _, by_a = jax.jvp(lambda a: incomplete_gamma(a, b), (a,), (jnp.ones_like(a),))
    return b, -2.0 * by_a / _density(a, b) * n_dot


def incomplete_gamma(a, x):
    """P(a, x) by its series, for 0 < x < a + 2; differentiable in a and x as often as one likes."""
    k = jnp.arange(1, _TERMS)
    # products as sums of logarithms by a constant matrix: a cumulative product takes seconds to compile
    terms = jnp.exp(jnp.log(x[..., None] / (a[..., None] + k)) @ np.triu(np.ones((_TERMS - 1, _TERMS - 1))))
    total = 1.0 + jnp.sum(terms, axis=-1)
    return jnp.exp(a * jnp.log(x) - x - gammaln(a + 1.0)) * total


def _density(a, x):
    """P_x = x^(a - 1) e^-x / Gamma(a)."""
    return jnp.exp((a - 1.0) * jnp.log(x) - x - gammaln(a))
