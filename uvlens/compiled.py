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
        self.leaves, self._structure = jax.tree.flatten(arrays)
        self._jitted = jax.jit(lambda leaves, *arguments: function(self.model_of(leaves), *arguments))

    def model_of(self, leaves):
        """The model with these arrays: for functions that others compile."""
        return eqx.combine(jax.tree.unflatten(self._structure, leaves), self._static)

    def __call__(self, *arguments):
        return self._jitted(self.leaves, *arguments)

    def exchange(self, model):
        """Take the arrays of another model of the same structure and data (products of a CPU are no arrays)."""
        self.leaves = jax.tree.leaves(eqx.filter(model, eqx.is_array))
