"""Closed forms of distributions: x(z) with F(x) = Phi(z), and z(x), as pure functions of their arguments.

They are written with both tails, F = Phi(z) and S = 1 - F = Phi(-z), so that neither loses digits.
"""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtr, ndtri

FURTHEST = 8.0
"""|z| up to which quantiles are taken: 1 - Phi(8.3) is the rounding error of 1."""


def limited(z):
    """z no further out than there are quantiles."""
    return jnp.clip(z, -FURTHEST, FURTHEST)


def tails(z):
    z = limited(z)
    return ndtr(z), ndtr(-z)


def log_tails(z):
    z = limited(z)
    return log_ndtr(z), log_ndtr(-z)


def of_tails(below, above):
    """z of F and S, each at least tiny."""
    low, high = (ndtri(jnp.clip(one, 1e-300, 0.75)) for one in (below, above))
    return limited(jnp.where(below < above, low, -high))


def uniform(z, low, high):
    below, above = tails(z)
    return jnp.where(z < 0.0, low + (high - low) * below, high - (high - low) * above)


def uniform_z(x, low, high):
    return of_tails((x - low) / (high - low), (high - x) / (high - low))


def truncated_ends(mean, sigma, low, high):
    """(a, b, Phi(a), Phi(-b), Phi(b) - Phi(a)), no digits lost where both lie on one side."""
    a, b = (low - mean) / sigma, (high - mean) / sigma
    between = jnp.where(jnp.asarray(a) > 0.0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
    return ndtr(a), ndtr(-b), between


def truncnormal(z, mean, sigma, low, high):
    at_low, at_high, between = truncated_ends(mean, sigma, low, high)
    below, above = (at + part * between for at, part in zip((at_low, at_high), tails(z)))
    lower, upper = (ndtri(jnp.clip(one, 1e-300, 0.75)) for one in (below, above))
    return jnp.clip(mean + sigma * jnp.where(below < above, lower, -upper), low, high)


def truncnormal_z(x, mean, sigma, low, high):
    at_low, at_high, between = truncated_ends(mean, sigma, low, high)
    t = (x - mean) / sigma
    return of_tails((ndtr(t) - at_low) / between, (ndtr(-t) - at_high) / between)


def exponential_z(x, rate):
    return of_tails(-jnp.expm1(-rate * x), jnp.exp(-rate * x))


def halfnormal(z, sigma):
    below, above = tails(z)
    low = math.sqrt(2.0) * jax.scipy.special.erfinv(jnp.minimum(below, 0.6))
    return sigma * jnp.where(z < 0.0, low, -ndtri(0.5 * above))


def halfnormal_z(x, sigma):
    t = x / sigma / math.sqrt(2.0)
    return of_tails(jax.scipy.special.erf(t), jax.scipy.special.erfc(t))


def laplace(z, mean, scale):
    log_below, log_above = log_tails(z)
    return mean + scale * jnp.where(z < 0.0, math.log(2.0) + log_below, -math.log(2.0) - log_above)


def laplace_z(x, mean, scale):
    t = (x - mean) / scale
    low, high = 0.5 * jnp.exp(jnp.minimum(t, 0.0)), 0.5 * jnp.exp(-jnp.maximum(t, 0.0))
    return of_tails(jnp.where(t < 0.0, low, 1.0 - high), jnp.where(t < 0.0, 1.0 - low, high))


def cauchy(z, mean, scale):
    below, above = tails(z)
    return mean + scale * jnp.where(z < 0.0, -1.0 / jnp.tan(jnp.pi * below), 1.0 / jnp.tan(jnp.pi * above))


def cauchy_z(x, mean, scale):
    t = (x - mean) / scale
    return of_tails(jnp.arctan2(1.0, -t) / jnp.pi, jnp.arctan2(1.0, t) / jnp.pi)


def halfcauchy(z, scale):
    below, above = tails(z)
    high = 1.0 / jnp.tan(0.5 * jnp.pi * above)
    return scale * jnp.where(z < 0.0, jnp.tan(0.5 * jnp.pi * jnp.minimum(below, 0.6)), high)


def halfcauchy_z(x, scale):
    t = x / scale
    return of_tails(2.0 / jnp.pi * jnp.arctan2(t, 1.0), 2.0 / jnp.pi * jnp.arctan2(1.0, t))


def logistic(z, mean, scale):
    log_below, log_above = log_tails(z)
    return mean + scale * (log_below - log_above)


def logistic_z(x, mean, scale):
    t = (x - mean) / scale
    return of_tails(jax.nn.sigmoid(t), jax.nn.sigmoid(-t))


def gumbel_z(x, mean, scale):
    falling = jnp.exp(-jnp.clip((x - mean) / scale, -600.0, 600.0))
    return of_tails(jnp.exp(-falling), -jnp.expm1(-falling))


def weibull_z(x, scale, shape):
    power = (x / scale) ** shape
    return of_tails(-jnp.expm1(-power), jnp.exp(-power))


def pareto_z(x, scale, alpha):
    log_above = -alpha * jnp.log(x / scale)
    return of_tails(-jnp.expm1(log_above), jnp.exp(log_above))


def powerlaw(z, alpha, low, high):
    """Of density x^alpha: uniform in x^(alpha + 1), or in ln x."""
    if alpha == -1.0:
        return jnp.exp(uniform(z, jnp.log(low), jnp.log(high)))
    power = alpha + 1.0
    return uniform(z, low**power, high**power) ** (1.0 / power)


def powerlaw_z(x, alpha, low, high):
    if alpha == -1.0:
        return uniform_z(jnp.log(x), jnp.log(low), jnp.log(high))
    power = alpha + 1.0
    return uniform_z(x**power, low**power, high**power)
