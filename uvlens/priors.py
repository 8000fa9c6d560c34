"""Priors of free parameters and the one transform between unit cube, physical and unconstrained values.

A parameter's prior is a numpyro distribution; an argument may be the path of another parameter (dependent prior),
and a parameter may be tied to another one. With F the cumulative distribution and Phi the normal one,

    unit cube -> physical        x = F^-1(u)
    unconstrained -> physical    x = F^-1(Phi(z)),    so that p(x) dx = N(z; 0, 1) dz

Every prior is a unit normal in z: the posterior there is ln E - z.z / 2, well scaled whatever the units.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import ndtr, ndtri

from .errors import InputError

_FURTHEST = 8.0
"""|z| up to which quantiles are taken: 1 - Phi(8.3) is the rounding error of 1."""


@dataclasses.dataclass(frozen=True)
class SameAs:
    """Ties a parameter to the one at `path`."""

    path: str


@dataclasses.dataclass(frozen=True)
class Prior:
    """A distribution whose arguments are numbers or paths of other parameters.

    Args:
        name: as in a model file.
        arguments: numbers, or strings naming the parameters this one depends on.
        make: arguments -> numpyro distribution.
        check: arguments (numbers) -> message if they leave no support, else None.
    """

    name: str
    arguments: tuple
    make: Callable[..., Any]
    check: Callable[..., str | None] = lambda *_: None

    def __post_init__(self):
        for value in self.arguments:
            if not isinstance(value, str) and not (_is_number(value) and math.isfinite(value)):
                raise InputError(f"{self.name}: arguments must be finite numbers or parameter paths, got {value!r}")
        if not self.parents:
            message = self.check(*self.arguments)
            if message:
                raise InputError(f"{self.name} {list(self.arguments)}: {message}")

    @property
    def parents(self):
        """Paths this prior depends on."""
        return tuple(value for value in self.arguments if isinstance(value, str))

    def distribution(self, values):
        """The numpyro distribution, given the values of its parents by path."""
        return self.make(*(values[a] if isinstance(a, str) else a for a in self.arguments))

    def from_unit(self, u, values):
        """x = F^-1(u)."""
        return self.distribution(values).icdf(u)

    def from_normal(self, z, values):
        """x = F^-1(Phi(z)); written out for the normal families, where it is exact for every z."""
        distribution = self.distribution(values)
        if isinstance(distribution, dist.Normal):
            return distribution.loc + distribution.scale * z
        if isinstance(distribution, dist.LogNormal):
            return jnp.exp(distribution.loc + distribution.scale * z)
        return distribution.icdf(ndtr(jnp.clip(z, -_FURTHEST, _FURTHEST)))

    def to_normal(self, x, values):
        """z = Phi^-1(F(x))."""
        distribution = self.distribution(values)
        if isinstance(distribution, dist.Normal):
            return (x - distribution.loc) / distribution.scale
        if isinstance(distribution, dist.LogNormal):
            return (jnp.log(x) - distribution.loc) / distribution.scale
        return jnp.clip(ndtri(distribution.cdf(x)), -_FURTHEST, _FURTHEST)

    def log_prob(self, x, values):
        """ln p(x)."""
        return self.distribution(values).log_prob(x)

    def __str__(self):
        return f"{self.name}({', '.join(str(a) for a in self.arguments)})"


def Uniform(low, high):
    """Uniform between low and high."""
    return Prior("uniform", (low, high), dist.Uniform, _ordered)


def Normal(mean, sigma):
    """Normal of mean and standard deviation sigma."""
    return Prior("normal", (mean, sigma), dist.Normal, _positive_width)


def LogNormal(mean, sigma):
    """exp of a normal: mean and standard deviation of ln x."""
    return Prior("lognormal", (mean, sigma), dist.LogNormal, _positive_width)


def LogUniform(low, high):
    """Uniform in ln x between low and high."""

    def check(low, high):
        return "needs 0 < low" if low <= 0.0 else _ordered(low, high)

    return Prior("loguniform", (low, high), dist.LogUniform, check)


def TruncNormal(mean, sigma, low, high):
    """Normal cut off outside [low, high]."""

    def check(mean, sigma, low, high):
        if abs(mean - min(max(mean, low), high)) > 30.0 * sigma:
            return "the interval lies more than 30 sigma from the mean: no support"
        return _positive_width(mean, sigma) or _ordered(low, high)

    def make(mean, sigma, low, high):
        return dist.TruncatedNormal(mean, sigma, low=low, high=high)

    return Prior("truncnormal", (mean, sigma, low, high), make, check)


PRIORS = {
    "uniform": (Uniform, 2),
    "normal": (Normal, 2),
    "lognormal": (LogNormal, 2),
    "loguniform": (LogUniform, 2),
    "truncnormal": (TruncNormal, 4),
}
"""Names in a model file, with the number of arguments."""


def as_prior(value):
    """A Prior from a Prior or from any one-dimensional numpyro distribution that has a quantile function."""
    if isinstance(value, Prior):
        return value
    if isinstance(value, dist.Distribution):
        if value.batch_shape or value.event_shape:
            raise InputError(f"prior {type(value).__name__} must be a distribution of one number")
        try:
            value.icdf(0.5)
        except (NotImplementedError, ImportError):
            raise InputError(f"prior {type(value).__name__} has no quantile function (icdf) in numpyro") from None
        numbers = [f"{key}={getattr(value, key)}" for key in value.arg_constraints if hasattr(value, key)]
        return Prior(f"{type(value).__name__}[{', '.join(numbers)}]", (), lambda: value)
    raise InputError(f"not a prior: {value!r}")


def is_free(value):
    """Whether a field of a component is a prior rather than a number."""
    return isinstance(value, Prior | dist.Distribution)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _ordered(low, high):
    return None if low < high else "no support, it needs low < high"


def _positive_width(_, sigma):
    return None if sigma > 0.0 else "no support, it needs sigma > 0"
