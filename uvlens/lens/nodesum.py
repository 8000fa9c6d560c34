"""Sums over quadrature nodes whose derivatives store no more than one array for every argument.

    total(a_1, a_2, ...) = sum_k term(node_k, a_1, a_2, ...)

`term` acts element by element on real arrays. Reverse differentiation of such a sum would keep what every node
computed, nodes x rays numbers; here the partial derivatives by every argument are summed along with the value.

The derivatives repeat what the value computes, and XLA merges the copies only where they begin with the same operands.
JAX moves arithmetic that no node takes part in out of the loop, one copy for each derivative: it belongs in front of
the sum (half_power as an argument in the place of 0.5 / n), or behind the node's numbers (m (2 S^2), not 2 m S^2). So
do `where`s with constants.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def node_sum(term, nodes):
    """The function `total` of `term` and constant `nodes`.

    Args:
        term: (node, *arguments) -> tuple of real arrays of the arguments' common shape; `node` is a tuple of numbers.
        nodes: tuple of arrays of one length.

    Returns:
        Function of the arguments, real arrays of shapes that broadcast: a tuple of sums.
    """
    nodes = tuple(np.asarray(values, dtype=float) for values in nodes)

    def summed(function, example):
        """sum_k function(node_k), a pytree like `example`."""
        start = jax.tree_util.tree_map(lambda one: jnp.zeros(one.shape, one.dtype), example)

        def step(total, node):
            return jax.tree_util.tree_map(jnp.add, total, function(node)), None

        return jax.lax.scan(step, start, nodes)[0]

    def of_nodes(function):
        first = tuple(jnp.asarray(values[0]) for values in nodes)
        return summed(function, jax.eval_shape(function, first))

    @jax.custom_jvp
    def total(*arguments) -> Any:
        return of_nodes(lambda node: term(node, *arguments))

    def jvp(primals, tangents):
        wanted = [i for i, tangent in enumerate(tangents) if not _is_zero(tangent)]

        def value_and_partials(node):
            def along(i):
                def alone(argument):
                    return term(node, *primals[:i], argument, *primals[i + 1 :])

                return jax.jvp(alone, (primals[i],), (jnp.ones_like(primals[i]),))[1]

            return term(node, *primals), [along(i) for i in wanted]

        value, partials = of_nodes(value_and_partials)
        tangent = [jnp.zeros_like(part) for part in value]
        for i, partial in zip(wanted, partials):
            tangent = [so_far + part * tangents[i] for so_far, part in zip(tangent, partial)]
        return value, tuple(tangent)

    total.defjvp(jvp, symbolic_zeros=True)

    def call(*arguments):
        return total(*(jnp.asarray(a, dtype=float) for a in arguments))

    return call


def _is_zero(tangent):
    return isinstance(tangent, jax.custom_derivatives.SymbolicZero)
