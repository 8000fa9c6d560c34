"""What Python functions of parameters are, told by what they give: their text says nothing (every lambda is `lambda`).

They are evaluated where the unconstrained parameters are 0 (the medians) and at draws of a fixed seed.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .expressions import Derived

_SHOWN, _DRAWS = 4, 256
"""Vectors at which numbers are stated; at which inequalities are, one bit each."""


def python_functions(leaf):
    """The Python functions among a tie, a constraint, or the arguments of a prior."""
    found = [leaf] if isinstance(leaf, Derived) else getattr(leaf, "arguments", ())
    return [one for one in found if isinstance(one, Derived) and one.is_python]


def told_apart(parameters, leaves):
    """{key: text} of ties, priors and constraints: their own, with values of the Python functions in them.

    Args:
        parameters: Parameters that they speak of.
        leaves: {key: leaf}.
    """
    functions = {key: found for key, leaf in leaves.items() if (found := python_functions(leaf))}
    texts = {key: str(leaf) for key, leaf in leaves.items()}
    if not functions:
        return texts
    z = np.random.default_rng(0).normal(size=(_DRAWS, len(parameters)))
    z[0] = 0.0

    def of(z):
        values = parameters.values(parameters.from_normal(z))
        return {key: [jnp.asarray(one(values)) for one in found] for key, found in functions.items()}

    values = jax.jit(jax.vmap(of))(jnp.asarray(z))
    return texts | {
        key: f"{texts[key]} = {', '.join(_shown(np.asarray(one)) for one in values[key])}" for key in values
    }


def _shown(values):
    """Six digits of the first numbers, which other machines agree on; booleans as hexadecimal digits."""
    if values.dtype == bool:
        return np.packbits(values).tobytes().hex()
    return "[" + ", ".join(f"{one:.6g}" for one in values[:_SHOWN].ravel()) + "]"
