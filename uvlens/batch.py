"""Many likelihoods at once: batches of parameter vectors, spread over every device of a machine.

On an accelerator a batch shares each launch (vmap): small systems that leave it idle one by one run together. On a
CPU the compiled evidence already uses every core, and a batch is evaluated one vector after another.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .errors import InputError


def evaluate_batch(model, vectors, gradient=False, devices=None):
    """ln L of many parameter vectors, and its gradient.

    Args:
        model: Model with n free parameters.
        vectors: shape (B, n), physical parameters.
        gradient: also the gradients.
        devices: JAX devices to share the batch; default all. B is padded to a multiple of their number.

    Returns:
        values, shape (B,); with `gradient` a pair (values, gradients), the latter of shape (B, n).

    Raises:
        InputError: vectors of the wrong shape.
    """
    vectors = jnp.asarray(vectors, dtype=float)
    if vectors.ndim != 2 or vectors.shape[1] != len(model.parameters.paths) or not len(vectors):
        raise InputError(f"vectors must have shape (B, {len(model.parameters.paths)}), got {vectors.shape}")
    mesh = Mesh(np.asarray(jax.devices() if devices is None else devices), ("batch",))
    n = len(vectors)
    missing = -n % mesh.size
    padded = jnp.concatenate([vectors, jnp.tile(vectors[-1:], (missing, 1))])
    padded = jax.device_put(padded, NamedSharding(mesh, PartitionSpec("batch")))
    result = _evaluate(model, padded, gradient, mesh)
    return jax.tree.map(lambda array: array[:n], result)


@eqx.filter_jit
def _evaluate(model, vectors, gradient, mesh):
    """The batch, each device on its own part: the model is copied to all, results stay where they were made."""
    arrays, static = eqx.partition(model, eqx.is_array)

    def part(arrays, vectors):
        model = eqx.combine(arrays, static)
        function = jax.value_and_grad(model.log_likelihood) if gradient else model.log_likelihood
        return jax.vmap(function)(vectors)

    everywhere, batch = PartitionSpec(), PartitionSpec("batch")
    return jax.shard_map(part, mesh=mesh, in_specs=(everywhere, batch), out_specs=batch, check_vma=False)(
        arrays, vectors
    )
