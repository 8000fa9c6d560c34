"""Distributions by name: x(z) with F(x) = Phi(z) in closed form, and its inverse; or a table of the standard one.

Families whose quantiles have no closed form (those that have: `closedforms`) are x = place + width q(z), with q of the
standard one tabulated (`quantiles`): place and width may then be other parameters, the numbers that shape q may
not.
"""

import functools
import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.stats

from . import closedforms
from .closedforms import limited
from .quantiles import QuantileTable

_DRAWS, _BLOCK = 4000, 8192


class Family(NamedTuple):
    """A distribution by name.

    Attributes:
        arguments: names of its arguments, in order.
        make: arguments -> numpyro distribution, whose log_prob counts within `bounds`.
        from_normal: (z, *arguments) -> x.
        to_normal: (x, *arguments) -> z.
        check: arguments (numbers) -> message if they leave no support, else None.
        defaults: arguments that may be left out.
        shapes: names of arguments that must be numbers, because a table is made for them.
        bounds: arguments -> (low, high) of its support.
        aliases: other names of arguments, those of numpyro among them.
        infinite: names of arguments that may be infinite.
    """

    arguments: tuple[str, ...]
    make: Callable
    from_normal: Callable
    to_normal: Callable
    check: Callable = lambda *_: None
    defaults: Mapping = MappingProxyType({})
    shapes: tuple[str, ...] = ()
    bounds: Callable = lambda *_: (-math.inf, math.inf)
    aliases: Mapping = MappingProxyType({})
    infinite: tuple[str, ...] = ()


@functools.lru_cache(maxsize=256)
def _standard_table(name, *shapes):
    """QuantileTable of a standard distribution by its shape numbers."""
    make, low, high = {
        "studentt": (scipy.stats.t, -math.inf, math.inf),
        "gamma": (scipy.stats.gamma, 0.0, math.inf),
        "inversegamma": (scipy.stats.invgamma, 0.0, math.inf),
        "beta": (scipy.stats.beta, 0.0, 1.0),
        "vonmises": (scipy.stats.vonmises, -math.pi, math.pi),
    }[name]
    standard = make(*shapes)
    draws = standard.rvs(_DRAWS, random_state=np.random.default_rng(0))
    listed = ", ".join(f"{one:g}" for one in shapes)
    return QuantileTable(standard.logpdf, low, high, draws, f"{name}({listed})")


def _vonmises(z, mean, concentration, period):
    return mean + period / (2.0 * math.pi) * _standard_table("vonmises", float(concentration)).from_normal(z)


def _vonmises_z(x, mean, concentration, period):
    angle = (x - mean) * (2.0 * math.pi) / period
    return limited(_standard_table("vonmises", float(concentration)).to_normal(angle))


def table_of(distribution, name):
    """The QuantileTable of a numpyro distribution of one number whose support is an interval."""
    with jax.ensure_compile_time_eval():
        low, high = bounds_of(distribution)
        draws = distribution.sample(jax.random.PRNGKey(0), (_DRAWS,))
        return QuantileTable(in_blocks(distribution.log_prob), low, high, draws, name)


def in_blocks(log_density):
    """A density in JAX for NumPy arrays of any shape, compiled once."""
    compiled = jax.jit(log_density)

    def of(x):
        flat = np.ravel(x)
        padded = np.concatenate([flat, np.full(-len(flat) % _BLOCK, flat[0])]).reshape(-1, _BLOCK)
        values = np.concatenate([np.asarray(compiled(row)) for row in padded])
        return values[: len(flat)].reshape(np.shape(x))

    return of


def bounds_of(distribution):
    """(low, high) of the support of a numpyro distribution."""
    support = distribution.support
    low = getattr(support, "lower_bound", -math.inf)
    high = getattr(support, "upper_bound", math.inf)
    return float(low), float(high)


def _tabulated(name, n_shapes, place_width):
    """(from_normal, to_normal) of x = place + width q(z); `place_width` of all arguments."""

    def from_normal(z, *arguments):
        place, width = place_width(*arguments)
        return place + width * _standard_table(name, *_floats(arguments[:n_shapes])).from_normal(z)

    def to_normal(x, *arguments):
        place, width = place_width(*arguments)
        return limited(_standard_table(name, *_floats(arguments[:n_shapes])).to_normal((x - place) / width))

    return from_normal, to_normal


def _floats(values):
    return tuple(float(value) for value in values)


def _ordered(low, high, *_):
    return None if low < high else "no support, it needs low < high"


def _positive(*names):
    """A check that the arguments at these places are positive."""

    def check(*arguments):
        for place, name in names:
            if not arguments[place] > 0.0:
                return f"no support, it needs {name} > 0"
        return None

    return check


def _check_loguniform(low, high):
    return "needs 0 < low" if low <= 0.0 else _ordered(low, high)


def _check_truncnormal(mean, sigma, low, high):
    if not sigma > 0.0:
        return "no support, it needs sigma > 0"
    if abs(mean - min(max(mean, low), high)) > 30.0 * sigma:
        return "the interval lies more than 30 sigma from the mean: no support"
    return _ordered(low, high)


def _check_beta(a, b, low, high):
    return _positive((0, "concentration1"), (1, "concentration0"))(a, b) or _ordered(low, high)


def _check_powerlaw(alpha, low, high):
    return "needs 0 < low" if low <= 0.0 else _ordered(low, high)


def _scaled_beta(a, b, low, high):
    return dist.TransformedDistribution(dist.Beta(a, b), dist.transforms.AffineTransform(low, high - low))


class _Periodic:
    """Von Mises of mean and concentration in the unit of its period."""

    def __init__(self, mean, concentration, period):
        self._unit = period / (2.0 * math.pi)
        self._mean, self._concentration = mean, concentration

    def log_prob(self, x):
        angle = (x - self._mean) / self._unit
        return dist.VonMises(0.0, self._concentration).log_prob(angle) - jnp.log(self._unit)


_LOC = {"loc": "mean"}
_LOC_SIGMA = {"loc": "mean", "scale": "sigma", "std": "sigma"}
_POSITIVE_HALF = (0.0, math.inf)

_GAMMA = _tabulated("gamma", 1, lambda a, rate: (0.0, 1.0 / rate))
_INVERSE_GAMMA = _tabulated("inversegamma", 1, lambda a, rate: (0.0, rate))
_BETA = _tabulated("beta", 2, lambda a, b, low, high: (low, high - low))
_STUDENT = _tabulated("studentt", 1, lambda df, mean, scale: (mean, scale))


FAMILIES = {
    "uniform": Family(
        ("low", "high"),
        dist.Uniform,
        closedforms.uniform,
        closedforms.uniform_z,
        _ordered,
        bounds=lambda low, high: (low, high),
    ),
    "normal": Family(
        ("mean", "sigma"),
        dist.Normal,
        lambda z, mean, sigma: mean + sigma * z,
        lambda x, mean, sigma: (x - mean) / sigma,
        _positive((1, "sigma")),
        aliases=_LOC_SIGMA,
    ),
    "lognormal": Family(
        ("mean", "sigma"),
        dist.LogNormal,
        lambda z, mean, sigma: jnp.exp(mean + sigma * z),
        lambda x, mean, sigma: (jnp.log(x) - mean) / sigma,
        _positive((1, "sigma")),
        bounds=lambda *_: _POSITIVE_HALF,
        aliases=_LOC_SIGMA,
    ),
    "loguniform": Family(
        ("low", "high"),
        dist.LogUniform,
        lambda z, low, high: jnp.exp(closedforms.uniform(z, jnp.log(low), jnp.log(high))),
        lambda x, low, high: closedforms.uniform_z(jnp.log(x), jnp.log(low), jnp.log(high)),
        _check_loguniform,
        bounds=lambda low, high: (low, high),
    ),
    "truncnormal": Family(
        ("mean", "sigma", "low", "high"),
        lambda mean, sigma, low, high: dist.TruncatedNormal(mean, sigma, low=low, high=high),
        closedforms.truncnormal,
        closedforms.truncnormal_z,
        _check_truncnormal,
        bounds=lambda mean, sigma, low, high: (low, high),
        aliases=_LOC_SIGMA,
        infinite=("low", "high"),
    ),
    "halfnormal": Family(
        ("sigma",),
        dist.HalfNormal,
        closedforms.halfnormal,
        closedforms.halfnormal_z,
        _positive((0, "sigma")),
        bounds=lambda *_: _POSITIVE_HALF,
        aliases={"scale": "sigma"},
    ),
    "exponential": Family(
        ("rate",),
        dist.Exponential,
        lambda z, rate: -closedforms.log_tails(z)[1] / rate,
        closedforms.exponential_z,
        _positive((0, "rate")),
        bounds=lambda *_: _POSITIVE_HALF,
    ),
    "laplace": Family(
        ("mean", "scale"),
        dist.Laplace,
        closedforms.laplace,
        closedforms.laplace_z,
        _positive((1, "scale")),
        aliases=_LOC,
    ),
    "cauchy": Family(
        ("mean", "scale"), dist.Cauchy, closedforms.cauchy, closedforms.cauchy_z, _positive((1, "scale")), aliases=_LOC
    ),
    "halfcauchy": Family(
        ("scale",),
        dist.HalfCauchy,
        closedforms.halfcauchy,
        closedforms.halfcauchy_z,
        _positive((0, "scale")),
        bounds=lambda *_: _POSITIVE_HALF,
    ),
    "logistic": Family(
        ("mean", "scale"),
        dist.Logistic,
        closedforms.logistic,
        closedforms.logistic_z,
        _positive((1, "scale")),
        aliases=_LOC,
    ),
    "gumbel": Family(
        ("mean", "scale"),
        dist.Gumbel,
        lambda z, mean, scale: mean - scale * jnp.log(-closedforms.log_tails(z)[0]),
        closedforms.gumbel_z,
        _positive((1, "scale")),
        aliases=_LOC,
    ),
    "weibull": Family(
        ("scale", "concentration"),
        dist.Weibull,
        lambda z, scale, shape: scale * (-closedforms.log_tails(z)[1]) ** (1.0 / shape),
        closedforms.weibull_z,
        _positive((0, "scale"), (1, "concentration")),
        bounds=lambda *_: _POSITIVE_HALF,
    ),
    "pareto": Family(
        ("scale", "alpha"),
        dist.Pareto,
        lambda z, scale, alpha: scale * jnp.exp(-closedforms.log_tails(z)[1] / alpha),
        closedforms.pareto_z,
        _positive((0, "scale"), (1, "alpha")),
        bounds=lambda scale, alpha: (scale, math.inf),
    ),
    "gamma": Family(
        ("concentration", "rate"),
        dist.Gamma,
        *_GAMMA,
        _positive((0, "concentration"), (1, "rate")),
        {"rate": 1.0},
        ("concentration",),
        lambda *_: _POSITIVE_HALF,
    ),
    "inversegamma": Family(
        ("concentration", "rate"),
        dist.InverseGamma,
        *_INVERSE_GAMMA,
        _positive((0, "concentration"), (1, "rate")),
        {"rate": 1.0},
        ("concentration",),
        lambda *_: _POSITIVE_HALF,
    ),
    "beta": Family(
        ("concentration1", "concentration0", "low", "high"),
        _scaled_beta,
        *_BETA,
        _check_beta,
        {"low": 0.0, "high": 1.0},
        ("concentration1", "concentration0"),
        lambda a, b, low, high: (low, high),
        {"alpha": "concentration1", "beta": "concentration0"},
    ),
    "studentt": Family(
        ("df", "mean", "scale"),
        dist.StudentT,
        *_STUDENT,
        _positive((0, "df"), (2, "scale")),
        {"mean": 0.0, "scale": 1.0},
        ("df",),
        aliases=_LOC,
    ),
    "vonmises": Family(
        ("mean", "concentration", "period"),
        _Periodic,
        _vonmises,
        _vonmises_z,
        _positive((1, "concentration"), (2, "period")),
        {"period": 360.0},
        ("concentration",),
        lambda mean, concentration, period: (mean - 0.5 * period, mean + 0.5 * period),
        _LOC,
    ),
    "powerlaw": Family(
        ("alpha", "low", "high"),
        dist.DoublyTruncatedPowerLaw,
        closedforms.powerlaw,
        closedforms.powerlaw_z,
        _check_powerlaw,
        {},
        ("alpha",),
        lambda alpha, low, high: (low, high),
    ),
}
"""By their names in a model file."""

OF_NUMPYRO = {
    dist.Uniform: ("uniform", ("low", "high")),
    dist.Normal: ("normal", ("loc", "scale")),
    dist.LogNormal: ("lognormal", ("loc", "scale")),
    dist.LogUniform: ("loguniform", ("low", "high")),
    dist.HalfNormal: ("halfnormal", ("scale",)),
    dist.Exponential: ("exponential", ("rate",)),
    dist.Laplace: ("laplace", ("loc", "scale")),
    dist.Cauchy: ("cauchy", ("loc", "scale")),
    dist.HalfCauchy: ("halfcauchy", ("scale",)),
    dist.Logistic: ("logistic", ("loc", "scale")),
    dist.Gumbel: ("gumbel", ("loc", "scale")),
    dist.Weibull: ("weibull", ("scale", "concentration")),
    dist.Pareto: ("pareto", ("scale", "alpha")),
    dist.Gamma: ("gamma", ("concentration", "rate")),
    dist.InverseGamma: ("inversegamma", ("concentration", "rate")),
    dist.Beta: ("beta", ("concentration1", "concentration0")),
    dist.StudentT: ("studentt", ("df", "loc", "scale")),
}
"""numpyro's classes that are one of these, and its names of their arguments in order."""
