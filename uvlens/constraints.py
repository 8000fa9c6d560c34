"""Inequalities between parameters: where they do not hold the likelihood is 0, and how much of the prior that is."""

import functools

import jax
import jax.numpy as jnp

from .errors import InputError
from .expressions import Derived, parse_constraint

N_DRAWS = 20_000
"""Prior draws by which the excluded share is measured: to 0.004 of the prior, 1 sigma, at worst."""


def as_constraints(values, parameters):
    """Tuple of Derived booleans from strings and `function_of`.

    Args:
        values: "lens.mass.0.theta_E < 2 * source.light.0.R_sersic", or `function_of` them that gives booleans.
        parameters: Parameters they speak of.

    Raises:
        InputError: no inequality, a path that the model does not have.
    """
    if isinstance(values, str | Derived):
        values = (values,)
    found = tuple(one if isinstance(one, Derived) else parse_constraint(one) for one in values or ())
    for one in found:
        parameters.check_known(one.parents, f"constraint {one.text!r}")
    return found


def all_hold(constraints, values):
    """Whether all of them hold, at values by path."""
    return functools.reduce(jnp.logical_and, [jnp.all(one(values)) for one in constraints], jnp.array(True))


def excluded_shares(constraints, parameters):
    """(share of the prior that is excluded by any of them, share by each alone), from draws of a fixed seed.

    Raises:
        InputError: no draw satisfies them all.
    """
    z = jax.random.normal(jax.random.PRNGKey(0), (N_DRAWS, len(parameters)))

    def of(z):
        values = parameters.values(parameters.from_normal(z))
        return jnp.stack([jnp.all(one(values)) for one in constraints])

    holds = jax.jit(jax.vmap(of))(z)
    excluded = float(1.0 - holds.all(axis=1).mean())
    each = tuple(float(one) for one in 1.0 - holds.mean(axis=0))
    if excluded == 1.0:
        never = [one.text for one, share in zip(constraints, each) if share == 1.0]
        which = f"{never[0]!r} is never true" if never else "they are never true together"
        raise InputError(f"constraints: none of {N_DRAWS} draws from the prior satisfies them: {which}")
    return excluded, each


def describe(excluded):
    """One sentence about the share that is excluded."""
    return (
        f"constraints exclude {100.0 * excluded:.3g} % of the prior; evidences are for the prior as it is stated, "
        f"ln Z of the prior cut to what is allowed is {-jnp.log1p(-excluded):.3g} larger"
    )
