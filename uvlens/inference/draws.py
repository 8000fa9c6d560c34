"""Draws from the prior that are inside the domains of its parameters and inside all constraints."""

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError

_BLOCK, _MOST = 1000, 200_000
"""Draws that are looked at together, and in all, in the place of those that are outside."""


def allowed_draws(model, rng, n):
    """z of at most n draws from the prior of a Model, shape (m, n_free), each where its likelihood is not 0 by decree.

    Draws outside are drawn again, at most 200 000 times: m < n where next to nothing of the prior is allowed.

    Raises:
        InputError: no draw is inside.
    """
    size = len(model.parameters)
    found = rng.normal(size=(n, size))
    if n == 0 or not hasattr(model, "filled"):
        return found
    inside = jax.jit(jax.vmap(lambda z: model.filled(model.parameters.from_normal(z))[1]))
    padded = np.concatenate([found, np.zeros((-n % _BLOCK, size))])
    kept = found[np.concatenate([np.asarray(inside(jnp.asarray(one))) for one in padded.reshape(-1, _BLOCK, size)])[:n]]
    tried = 0
    while len(kept) < n and tried < _MOST:
        more = rng.normal(size=(_BLOCK, size))
        kept = np.concatenate([kept, more[np.asarray(inside(jnp.asarray(more)))]])
        tried += _BLOCK
    if not len(kept):
        raise InputError(f"none of {n + tried} draws from the prior lies within the domains and constraints")
    return kept[:n]
