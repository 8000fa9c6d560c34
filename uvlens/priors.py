"""Priors of free parameters and the one transform between unit cube, physical and unconstrained values.

A parameter's prior is a distribution by name (`families`) or any numpyro distribution of one number; an argument may be
another parameter or arithmetic of several (dependent prior), and a parameter may be tied to others. With F the
cumulative distribution and Phi the normal one,

    unit cube -> physical        x = F^-1(u)
    unconstrained -> physical    x = F^-1(Phi(z)),    so that p(x) dx = N(z; 0, 1) dz

Every prior is a unit normal in z: the posterior there is ln E - z.z / 2, well scaled whatever the units.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import logsumexp, ndtri

from .errors import InputError
from .expressions import Derived, as_derived
from .families import FAMILIES, OF_NUMPYRO, Family, bounds_of, in_blocks, limited, table_of
from .quantiles import QuantileTable


@dataclasses.dataclass(frozen=True)
class SameAs:
    """Ties a parameter to the one at `path`."""

    path: str


@dataclasses.dataclass(frozen=True)
class Free:
    """Asks for the default prior of a parameter (`defaultpriors`), which a Model puts in its place."""

    def __str__(self):
        return "free"


FREE = Free()
"""`theta_E: free` of a model file."""


@dataclasses.dataclass(frozen=True)
class Prior:
    """A distribution whose arguments are numbers or follow from other parameters.

    Args:
        name: as in a model file.
        arguments: numbers; strings, paths of parameters or arithmetic of them; or `function_of` them.
        family: what the name stands for; default: that of `families.FAMILIES`.
        is_chained: whether it is the posterior of an earlier fit.

    Raises:
        InputError: arguments that are neither, that leave no support, or that must be numbers and are not.
    """

    name: str
    arguments: tuple = ()
    family: Family = dataclasses.field(default=None, compare=False, repr=False)
    is_chained: bool = dataclasses.field(default=False, compare=False)

    def __post_init__(self):
        if self.family is None:
            object.__setattr__(self, "family", FAMILIES[self.name])
        for name, value in zip(self.family.arguments, self.arguments):
            allowed = is_number(value) and (math.isfinite(value) or (name in self.family.infinite and value == value))
            if not isinstance(value, str | Derived) and not allowed:
                raise InputError(f"{self.name}: arguments must be finite numbers or parameter paths, got {value!r}")
        derived = tuple(as_derived(one) if isinstance(one, str | Derived) else one for one in self.arguments)
        object.__setattr__(self, "_derived", derived)
        for name, value in zip(self.family.arguments, derived):
            if isinstance(value, Derived) and name in self.family.shapes:
                raise InputError(f"{self.name}: {name} shapes a tabulated quantile: it must be a number, got {value}")
        if not self.parents:
            message = self.check(*self.arguments)
            if message:
                raise InputError(f"{self.name} {list(self.arguments)}: {message}")
            self.from_normal(0.0, {})  # makes the table, if it needs one

    @property
    def parents(self):
        """Paths this prior depends on."""
        found = [path for one in self._derived if isinstance(one, Derived) for path in one.parents]
        return tuple(dict.fromkeys(found))

    @property
    def bounds(self):
        """Numbers that bound its support, () where nothing does or another parameter decides."""
        if self.parents:
            return ()
        return tuple(float(end) for end in self.family.bounds(*self.arguments) if math.isfinite(end))

    @property
    def interval(self):
        """(low, high) of its support, or None where either is infinite or another parameter decides."""
        return self.bounds if len(self.bounds) == 2 else None

    def check(self, *numbers):
        """A message if these arguments leave no support, else None."""
        return self.family.check(*numbers)

    def numbers(self, values):
        """Its arguments, given the values of its parents by path."""
        return tuple(one(values) if isinstance(one, Derived) else one for one in self._derived)

    def distribution(self, values):
        """What gives its log_prob within its bounds: as a rule a numpyro distribution."""
        return self.family.make(*self.numbers(values))

    def from_unit(self, u, values):
        """x = F^-1(u)."""
        return self.from_normal(ndtri(jnp.asarray(u, dtype=float)), values)

    def from_normal(self, z, values):
        """x = F^-1(Phi(z))."""
        return self.family.from_normal(jnp.asarray(z, dtype=float), *self.numbers(values))

    def to_normal(self, x, values):
        """z = Phi^-1(F(x))."""
        return self.family.to_normal(jnp.asarray(x, dtype=float), *self.numbers(values))

    def log_prob(self, x, values):
        """ln p(x), -inf outside of its support."""
        numbers = self.numbers(values)
        low, high = self.family.bounds(*numbers)
        x = jnp.asarray(x, dtype=float)
        inside = (x >= low) & (x <= high)
        value = self.family.make(*numbers).log_prob(jnp.where(inside, x, self.from_normal(0.0, values)))
        return jnp.where(inside, value, -jnp.inf)

    def __str__(self):
        return f"{self.name}({', '.join(_shown(a) for a in self.arguments)})" if self.arguments else self.name


def _shown(value):
    return str(float(value)) if isinstance(value, int) else str(value)


def prior_by_name(name, *arguments, **keywords):
    """A Prior of `families.FAMILIES`, its arguments by place or by name.

    Args:
        name: such as "gamma"; underscores and capitals do not matter.
        arguments, keywords: numbers, paths, arithmetic of paths.

    Raises:
        InputError: an unknown name, arguments that are missing or unknown.
    """
    key = known_name(name)
    if key is None:
        raise InputError(f"unknown prior {name!r} (known: {', '.join(FAMILIES)})")
    family = FAMILIES[key]
    n = len(family.arguments)
    fewest = n - len(family.defaults)
    takes = f"{n} arguments" if fewest == n else f"{fewest} to {n} arguments"
    takes += f" ({', '.join(family.arguments)})"
    if len(arguments) > n:
        raise InputError(f"{key} takes {takes}, got {len(arguments)}")
    given = dict(zip(family.arguments, arguments))
    for word, value in keywords.items():
        argument = family.aliases.get(word, word)
        if argument not in family.arguments:
            raise InputError(f"{key} has no argument {word!r}: it takes {takes}")
        if argument in given:
            raise InputError(f"{key}: {argument} is given twice")
        given[argument] = value
    given = {**family.defaults, **given}
    missing = [one for one in family.arguments if one not in given]
    if missing:
        raise InputError(f"{key} takes {takes}; {', '.join(missing)} missing")
    return Prior(key, tuple(given[one] for one in family.arguments))


_OTHER_NAMES = {"truncatednormal": "truncnormal", "t": "studentt", "gaussian": "normal"}


def known_name(name):
    """The name in FAMILIES that someone means by half_normal or HalfNormal, or None."""
    key = str(name).replace("_", "").replace("-", "").replace(" ", "").lower()
    key = _OTHER_NAMES.get(key, key)
    return key if key in FAMILIES else None


def Uniform(low, high):
    """Uniform between low and high."""
    return Prior("uniform", (low, high))


def Normal(mean, sigma):
    """Normal of mean and standard deviation sigma."""
    return Prior("normal", (mean, sigma))


def LogNormal(mean, sigma):
    """exp of a normal: mean and standard deviation of ln x."""
    return Prior("lognormal", (mean, sigma))


def LogUniform(low, high):
    """Uniform in ln x between low and high."""
    return Prior("loguniform", (low, high))


def TruncNormal(mean, sigma, low, high):
    """Normal cut off outside [low, high], either of which may be infinite."""
    return Prior("truncnormal", (mean, sigma, low, high))


def Mixture(weights, priors):
    """Sum of priors: p = sum_k w_k p_k.

    Args:
        weights: positive numbers; their sum is made 1.
        priors: as many priors whose arguments are numbers.

    Raises:
        InputError: weights that are not positive; dependent priors; parts with a gap of no density between them.
    """
    parts = [as_prior(one) for one in priors]
    if not parts or len(parts) != len(weights) or not all(is_number(w) and w > 0.0 for w in weights):
        raise InputError(f"mixture: expected a positive weight for every prior, got {list(weights)}")
    if any(part.parents for part in parts):
        raise InputError("mixture: the arguments of its priors must be numbers")
    shares = [float(w) / sum(weights) for w in weights]
    low, high = _hull([part.family.bounds(*part.arguments) for part in parts])

    def log_density(x):
        terms = jnp.stack([part.log_prob(x, {}) for part in parts])
        # of parts that end, -inf where they do
        return logsumexp(terms + jnp.log(jnp.asarray(shares)).reshape(-1, *[1] * jnp.ndim(x)), axis=0)

    with jax.ensure_compile_time_eval():
        z = jnp.asarray(ndtri((jnp.arange(2000) + 0.5) / 2000))
        draws = jnp.concatenate([part.from_normal(z[:: max(1, int(1.0 / w))], {}) for part, w in zip(parts, shares)])
    listed = " + ".join(f"{share:.8g} {part}" for share, part in zip(shares, parts))

    table = QuantileTable(in_blocks(log_density), low, high, draws, listed)
    return Prior(f"mixture[{listed}]", (), _fixed_family(_Density(log_density), table, (low, high)))


class _Density:
    """A density by a function, where a numpyro distribution is expected."""

    def __init__(self, log_density):
        self.log_prob = log_density


def _hull(bounds):
    return min(low for low, _ in bounds), max(high for _, high in bounds)


def _fixed_family(distribution, table, bounds):
    """The Family of one distribution without arguments, its quantiles tabulated."""
    return Family(
        (),
        lambda: distribution,
        table.from_normal,
        lambda x: limited(table.to_normal(x)),
        bounds=lambda: bounds,
    )


_TRUNCATED = ("TwoSidedTruncatedDistribution", "LeftTruncatedDistribution", "RightTruncatedDistribution")
_TOLD_AT = (-3.0, -1.0, 0.0, 1.0, 3.0)
"""z of the quantiles that tell apart priors without a name of their own."""


def as_prior(value):
    """A Prior from a Prior, or from any one-dimensional numpyro distribution whose support is an interval.

    Those of `families` keep their closed forms; the quantiles of others are tabulated.

    Raises:
        InputError: no prior; several numbers; whole numbers; a density that cannot be tabulated.
    """
    if isinstance(value, Prior) or getattr(value, "joint", None) is not None:
        return value
    if isinstance(value, Free):
        raise InputError("a default prior is settled by the Model, which knows the mask")
    if not isinstance(value, dist.Distribution):
        raise InputError(f"not a prior: {value!r}")
    kind = type(value).__name__
    if value.batch_shape or value.event_shape:
        raise InputError(f"prior {kind} must be a distribution of one number")
    if type(getattr(value, "base_dist", None)) is dist.Normal and kind in _TRUNCATED:
        low, high = bounds_of(value)
        return TruncNormal(float(value.base_dist.loc), float(value.base_dist.scale), low, high)
    if type(value) in OF_NUMPYRO:
        name, keys = OF_NUMPYRO[type(value)]
        return prior_by_name(name, *(float(getattr(value, key)) for key in keys))
    if value.is_discrete:
        raise InputError(f"prior {kind}: parameters are continuous, this is a distribution of whole numbers")
    numbers = [f"{key}={getattr(value, key)}" for key in value.arg_constraints if hasattr(value, key)]
    name = f"{kind}[{', '.join(numbers)}]"
    try:
        table, bounds = table_of(value, name), bounds_of(value)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"prior {name} has no density or no samples to make quantiles of: {error}") from None
    # its arguments need not say all: what it is made of may stand in none of them
    quantiles = ", ".join(f"{float(one):.6g}" for one in table.from_normal(jnp.asarray(_TOLD_AT)))
    return Prior(f"{name[:-1]}{'; ' if numbers else ''}quantiles {quantiles}]", (), _fixed_family(value, table, bounds))


def is_free(value):
    """Whether a field of a component is a prior rather than a number."""
    return isinstance(value, Prior | Free | dist.Distribution) or getattr(value, "joint", None) is not None


def is_tied(value):
    """Whether a field follows from other parameters."""
    return isinstance(value, SameAs | Derived)


def is_number(value):
    """Whether it is a plain number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
