"""Priors of the next model about the posterior of a fit: one by one, or several as one normal.

    one parameter    N(median, w^2),    w = max(widen x standard deviation, floor x c)
    several          N(medians, w_i R_ij w_j),    R the correlation of the samples

with c half the distance between the 16 and 84 % quantiles of the prior stated here. The floor is what counts where the
earlier model was too simple: one profile in the place of a clumpy source puts a lens many of its errors off. Of what
says how massive a lens is the floor is at most 15 % of the median, so that demagnified sources stay excluded.
"""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .guard import SIZES
from .handedon import remembered
from .jointpriors import MultivariateNormal, NormalPrior
from .paths import path_name
from .priors import LogNormal, Normal, TruncNormal, as_prior, is_free, is_tied

_DRAWS = 4001
"""Of a joint prior, for the widths of its members."""
_WIDEST = 0.15
"""Floor of the size of a mass in units of its median."""
_JITTER = 1e-6
"""Added to the diagonal of a correlation: that of few samples, or of parameters that are one, is singular."""


class _Rule(NamedTuple):
    """Median and width of one parameter's new prior, or None in the place of a width that would tell nothing."""

    middle: float
    width: float | None
    is_logarithmic: bool = False


def priors_about(result, components, widen=3.0, floor=0.5, only=(), joint=False):
    """(components, paths): priors about the posterior of a fit for all parameters that are free in it and here.

        N(median, w^2) cut off at the bounds of the prior stated here,    w = max(widen x standard deviation, floor x c)

    with c half the distance between the 16 and 84 % quantiles of the prior stated here. Where that prior is one of ln x
    (loguniform, lognormal) median, w and c are those of ln x and the new prior is a lognormal, without bounds. Where w
    is no smaller than c the stated prior stays: the fit had nothing to say. A prior that depends on other parameters
    makes way for a normal; it has neither c nor bounds. Strengths of regularisations are not handed on: they belong
    to their mesh and prior.

    The parameters of a joint prior (an ellipticity by axis ratio and angle) are handed on together, or not at all: one
    normal of them with the correlation R of the samples, of covariance w_i R_ij w_j with w_i at most c_i. It has no
    bounds.

    Args:
        result: Result.
        components: {"lens": ..., "source": ..., "cosmology": ...}, some of these.
        widen: factor of the posterior's standard deviation, > 0: a posterior used twice counts its data twice, so 1
            would be too narrow.
        floor: smallest width in units of that of the prior stated here (of the size of a mass at most 15 % of it).
        only: beginnings of paths ("lens.mass"); default: all.
        joint: one normal, without bounds and of the parameters themselves, of all that are handed on.

    Returns:
        the components, and the paths of the new priors.

    Raises:
        InputError: widen not positive, floor negative; a parameter whose samples do not vary, or whose posterior lies
            outside the prior stated here.
    """
    if not widen > 0.0:
        raise InputError(f"widen must be positive, got {widen}")
    if not floor >= 0.0:
        raise InputError(f"floor must not be negative, got {floor}")
    known = {path: i for i, path in enumerate(result.model.parameters.paths)}
    moments = remembered(result, "moments", lambda: _moments(result.vectors))
    is_leaf = lambda leaf: is_free(leaf) or is_tied(leaf)  # noqa: E731
    leaves, structure = jax.tree_util.tree_flatten_with_path(components, is_leaf=is_leaf)
    leaves = {path_name(key): leaf for key, leaf in leaves}
    stated = {
        path: as_prior(leaf)
        for path, leaf in leaves.items()
        if is_free(leaf) and path in known and _is_wanted(path, only) and ".regularization." not in path
    }
    groups = _groups(stated)
    together, new = [], {}
    for path, prior in stated.items():
        if hasattr(prior, "joint"):
            continue
        both = tuple(moments[key][:, known[path]] for key in ("plain", "log"))
        try:
            rule = _rule(
                *(both[:1] * 2 if joint else both), prior, widen, floor, joint, bool({*path.split(".")} & {*SIZES})
            )
            if rule.width is None:
                continue
            new[path] = dataclasses.replace(_about(rule, prior), is_chained=True)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        if joint:
            together.append((path, rule.middle, rule.width))
    found = [members for paths in groups if (members := _members(paths, stated, moments, known, widen, floor))]
    if joint and (found or len(together) > 1):
        found = [[one for members in found for one in members] + together]
    for members in found:
        correlation = remembered(result, "correlation", lambda: {"it": _correlation(result.vectors)})["it"]
        new |= _normal_of(members, correlation, known)
    changed = [new.get(path, leaf) for path, leaf in leaves.items()]
    return jax.tree_util.tree_unflatten(structure, changed), [path for path in leaves if path in new]


def _is_wanted(path, only):
    return not only or any(path == start or path.startswith(f"{start}.") for start in only)


def _moments(vectors):
    """Medians and standard deviations of the parameters and of their logarithms (NaN of those that are <= 0)."""
    vectors = np.asarray(vectors)
    logs = np.log(np.where(vectors > 0.0, vectors, np.nan))
    return {key: [np.median(v, axis=0), v.std(axis=0)] for key, v in (("plain", vectors), ("log", logs))}


def _correlation(vectors):
    """R of the samples, positive definite; 0 with parameters that do not vary."""
    vectors = np.asarray(vectors)
    deviations = vectors - vectors.mean(axis=0)
    sigma = deviations.std(axis=0)
    scaled = deviations / np.where(sigma > 0.0, sigma, 1.0)
    found = (scaled.T @ scaled / len(vectors) + _JITTER * np.eye(len(sigma))) / (1.0 + _JITTER)
    np.fill_diagonal(found, 1.0)
    return 0.5 * (found + found.T)


def _rule(plain, log, stated, widen, floor, is_plain, is_size):
    """The _Rule of a parameter with a prior of its own."""
    logarithmic = stated.name in ("loguniform", "lognormal") and not stated.parents and not is_plain
    middle, width = (float(one) for one in (log if logarithmic else plain))
    width *= widen
    if not width > 0.0:
        raise InputError("its samples do not vary: it has no posterior to hand on")
    if stated.parents:
        return _Rule(middle, _rounded(width))
    low, high = (float(stated.from_unit(u, {})) for u in (0.16, 0.84))
    own = 0.5 * (float(np.log(high / low)) if logarithmic else high - low)
    floor = floor * own
    if is_size:
        floor = min(floor, _WIDEST * (1.0 if logarithmic else abs(middle)))
    width = _rounded(max(width, floor))
    return _Rule(middle, width if width < own else None, logarithmic)


def _about(rule, stated):
    """The prior of a _Rule, cut off at the bounds of the stated one."""
    if stated.parents:
        return Normal(rule.middle, rule.width)
    if rule.is_logarithmic:
        return LogNormal(rule.middle, rule.width)
    low, high = (float(end) for end in stated.family.bounds(*stated.arguments))
    if not low <= rule.middle <= high:
        raise InputError(f"the posterior, {rule.middle:.6g}, lies outside the prior {stated} that is stated here")
    if math.isinf(low) and math.isinf(high):
        return Normal(rule.middle, rule.width)
    return TruncNormal(rule.middle, rule.width, low, high)


def _groups(stated):
    """[paths] of each joint prior that is there with all of its parameters."""
    found = {}
    for path, prior in stated.items():
        if hasattr(prior, "joint"):
            found.setdefault(id(prior.joint), []).append(path)
    return [paths for paths in found.values() if len(paths) == len(stated[paths[0]].joint)]


def _members(paths, stated, moments, known, widen, floor):
    """[(path, median, width)] of the parameters of a joint prior; none where the fit had nothing to say of any."""
    paths = sorted(paths, key=lambda path: stated[path].number)
    own, found = _own_widths(stated[paths[0]].joint), []
    for path, widest in zip(paths, own):
        middle, sigma = (float(one) for one in moments["plain"][:, known[path]])
        if not sigma > 0.0:
            raise InputError(f"{path}: its samples do not vary: it has no posterior to hand on")
        found.append((path, middle, _rounded(min(max(widen * sigma, floor * widest), widest))))
    return found if any(width < _rounded(widest) for (*_, width), widest in zip(found, own)) else []


def _own_widths(joint):
    """c of every parameter of a joint prior."""
    if isinstance(joint, NormalPrior):
        return [float(one) for one in 0.9944578832 * np.sqrt(np.diag(joint.covariance))]
    z = np.random.default_rng(0).normal(size=(_DRAWS, len(joint)))
    draws = np.asarray(jax.jit(jax.vmap(lambda one: joint.from_normal(one, {})))(jnp.asarray(z)))
    low, high = np.quantile(draws, [0.16, 0.84], axis=0)
    return [float(one) for one in 0.5 * (high - low)]


def _normal_of(members, correlation, known):
    """{path: JointMember} of [(path, median, width)]."""
    paths, middles, widths = (list(one) for one in zip(*members))
    places = [known[path] for path in paths]
    covariance = correlation[np.ix_(places, places)] * np.outer(widths, widths)
    return dict(zip(paths, MultivariateNormal(middles, covariance, is_chained=True)))


def _rounded(width):
    """Six digits: quantiles of priors may differ in their last ones from one machine to the next."""
    return float(f"{width:.6g}")
