"""Where parameters have a meaning: refused by name at construction, never a NaN inside a fit.

Numbers outside are errors. Priors must lie inside where they are bounded; of one that is not (a normal) the part
outside has probability 0: the model is evaluated at a harmless value there, and ln L is -inf.
"""

import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from .conventions import ellipticity_from_axis_ratio
from .errors import InputError
from .paths import path_name


class Domain(NamedTuple):
    """An interval of numbers.

    Attributes:
        low, high: its ends.
        unit: for messages, "arcsec" or "".
        includes_low, includes_high: whether the ends belong to it.
    """

    low: float
    high: float
    unit: str = ""
    includes_low: bool = False
    includes_high: bool = False

    def holds(self, value):
        """Whether it holds a number; arrays too."""
        above = value >= self.low if self.includes_low else value > self.low
        below = value <= self.high if self.includes_high else value < self.high
        return above & below

    @property
    def inside(self):
        """A number within."""
        if math.isinf(self.low):
            return 0.0 if math.isinf(self.high) else self.high - 1.0
        return self.low + 1.0 if math.isinf(self.high) else 0.5 * (self.low + self.high)

    def __str__(self):
        unit = f" {self.unit}" if self.unit else ""
        if math.isinf(self.high):
            return f"{'>= ' if self.includes_low else '> '}{self.low:g}{unit}"
        ends = "[" if self.includes_low else "(", "]" if self.includes_high else ")"
        return f"in {ends[0]}{self.low:g}, {self.high:g}{ends[1]}{unit}"


LENGTH = Domain(0.0, math.inf, "arcsec")
"""A radius or width that must be positive."""
CORE = Domain(0.0, math.inf, "arcsec", includes_low=True)
"""A radius that may vanish."""
NOT_NEGATIVE = Domain(0.0, math.inf, includes_low=True)
POSITIVE = Domain(0.0, math.inf)
AXIS_RATIO = Domain(0.0, 1.0, includes_high=True)


class Component(eqx.Module):
    """Something whose fields are parameters: numbers, or priors inside a Model.

    Attributes:
        domains: Domain of every field that has one. e1 and e2, where there are both, lie in |e| < 1 besides; where
            there are axis_ratio and position_angle, these may take their place.
    """

    domains: ClassVar[dict[str, Domain]] = {}

    @property
    def ellipticity(self):
        """(e1, e2), however they were stated; (0, 0) of what has no shape."""
        if getattr(self, "axis_ratio", None) is not None:
            return ellipticity_from_axis_ratio(self.axis_ratio, self.position_angle)
        return or_zero(getattr(self, "e1", None)), or_zero(getattr(self, "e2", None))

    def __check_init__(self):
        if hasattr(self, "axis_ratio"):
            check_pairs(self, ("e1", "e2"), ("axis_ratio", "position_angle"))
        name = type(self).__name__
        for field, domain in domains_of(self).items():
            value = getattr(self, field)
            if is_number(value) and not (math.isfinite(value) and domain.holds(value)):
                raise InputError(f"{name}: {field} must be {domain}, got {value}")
        e1, e2 = getattr(self, "e1", None), getattr(self, "e2", None)
        if is_number(e1) and is_number(e2) and not math.hypot(e1, e2) < 1.0:
            raise InputError(f"{name}: the ellipticity |e| = (1 - q) / (1 + q) must be < 1, got e1 {e1}, e2 {e2}")


def check_pairs(component, cartesian, polar):
    """Refuse half a pair, or both pairs."""
    name = type(component).__name__
    given = [field for field in (*cartesian, *polar) if getattr(component, field) is not None]
    if any(field in given for field in polar) and set(given) != set(polar):
        raise InputError(f"{name}: give {' and '.join(cartesian)}, or {' and '.join(polar)}; got {', '.join(given)}")


def or_zero(value):
    """0 for None."""
    return 0.0 if value is None else value


def domains_of(component):
    """Domain of every field of a Component that has one and holds a parameter: not None, no flux that is solved for."""
    values = {name: getattr(component, name) for name in component.domains}
    settings = (type(None), eqx.Module)
    found = {name: component.domains[name] for name, value in values.items() if not isinstance(value, settings)}
    if getattr(component, "axis_ratio", None) is not None:
        found["axis_ratio"] = AXIS_RATIO
    return found


def is_number(value):
    """Whether a field is a plain number, not a prior, a tie or an array that JAX traces."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_priors(tree, parameters, signed=()):
    """Refuse priors that reach outside the domain of their parameter where they are bounded, or lie outside of it.

    Args:
        tree: components, Components among them at any depth.
        parameters: Parameters of the tree.
        signed: paths of fluxes that may be negative.

    Raises:
        InputError: naming the parameter, its prior and its domain.
    """
    medians = parameters.values(parameters.median())
    priors = dict(zip(parameters.paths, parameters.priors))
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda leaf: isinstance(leaf, Component))
    for key, component in leaves:
        if not isinstance(component, Component):
            continue
        for field, domain in domains_of(component).items():
            path = f"{path_name(key)}.{field}"
            if path not in priors or path in signed:
                continue
            for end in priors[path].bounds:
                if not (domain.low <= end <= domain.high):
                    raise InputError(f"{path}: must be {domain}, its prior {priors[path]} reaches {end:g}")
            if not domain.holds(float(medians[path])):
                raise InputError(f"{path}: must be {domain}, the median of its prior {priors[path]} is not")


def confined(tree, signed=()) -> tuple[Any, jax.Array]:
    """(the tree with parameters outside their domains replaced by numbers inside, whether none was outside).

    `signed` are paths of fluxes that may be negative.
    """
    valid = jnp.array(True)
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda leaf: isinstance(leaf, Component))
    inside = []
    for key, leaf in leaves:
        if isinstance(leaf, Component):
            leaf, ok = _confined(leaf, f"{path_name(key)}.flux" in signed)
            valid = valid & ok
        inside.append(leaf)
    return jax.tree_util.tree_unflatten(structure, inside), valid


def _confined(component, is_signed=False):
    valid = jnp.array(True)
    for field, domain in domains_of(component).items():
        if field == "flux" and is_signed:
            continue
        value = jnp.asarray(getattr(component, field))
        ok = jnp.all(domain.holds(value))
        valid = valid & ok
        component = _with(component, field, jnp.where(domain.holds(value), value, domain.inside))
    e1, e2 = getattr(component, "e1", None), getattr(component, "e2", None)
    if e1 is not None and e2 is not None:
        ok = e1**2 + e2**2 < 1.0
        valid = valid & jnp.all(ok)
        component = _with(component, "e1", jnp.where(ok, e1, 0.0))
        component = _with(component, "e2", jnp.where(ok, e2, 0.0))
    return component, valid


def _with(component, field, value):
    return eqx.tree_at(lambda one: getattr(one, field), component, value, is_leaf=lambda leaf: leaf is None)
