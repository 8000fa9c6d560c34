"""A function of a model, compiled once for it.

`eqx.filter_jit` looks at the whole model at every call, priors and names included: milliseconds, as long as a small
likelihood takes. Here only its arrays are arguments and everything else is fixed when the function is made.
"""

import equinox as eqx
import jax


class Compiled:
    """function(model, *arguments) under `jax.jit`; call it with the arguments alone.

    Args:
        function: of a model and arrays.
        model: a Module; others of the same structure can take its place (`exchange`) without a new compilation.
    """

    def __init__(self, function, model):
        arrays, self._static = eqx.partition(model, eqx.is_array)
        self._leaves, self._structure = jax.tree.flatten(arrays)
        self._jitted = jax.jit(lambda leaves, *arguments: function(self._model(leaves), *arguments))

    def _model(self, leaves):
        return eqx.combine(jax.tree.unflatten(self._structure, leaves), self._static)

    def __call__(self, *arguments):
        return self._jitted(self._leaves, *arguments)

    def exchange(self, model):
        """Take the arrays of another model of the same structure."""
        self._leaves = jax.tree.leaves(eqx.filter(model, eqx.is_array))
