"""The lensing operator L in sparse form: each image pixel's brightness as a weighted sum of source coefficients."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..errors import InputError


class Mapper(eqx.Module):
    """L_is = sum of weights[i, p] over the p with indices[i, p] = s.

    Args:
        indices: source index of each entry, shape (N, P), 0 <= index < S; entries may repeat.
        weights: shape (N, P); pad with weight 0. Whatever unit takes the source to Jy per image pixel: the mappers
            of a Model carry the pixel area (source in Jy/arcsec^2), one made by hand is used as it is.
        n_source: S.

    Raises:
        InputError: shapes that differ, or (for NumPy arrays) indices out of range and weights that are not finite.
    """

    indices: Int[Array, "N P"]
    weights: Float[Array, "N P"]
    n_source: int = eqx.field(static=True)

    def __check_init__(self):
        if self.indices.ndim != 2 or self.indices.shape != self.weights.shape:
            raise InputError(
                f"mapper: indices and weights must be two arrays of one shape (N, P), got {self.indices.shape} "
                f"and {self.weights.shape}"
            )
        if isinstance(self.indices, np.ndarray) and self.indices.size:
            low, high = int(self.indices.min()), int(self.indices.max())
            if low < 0 or high >= self.n_source:
                raise InputError(f"mapper: indices run from {low} to {high}, n_source is {self.n_source}")
        if isinstance(self.weights, np.ndarray) and not np.all(np.isfinite(self.weights)):
            raise InputError("mapper: weights has values that are NaN or infinite")

    def dense(self):
        """L, shape (N, S)."""
        return dense_lensing_operator(self.indices, self.weights, self.n_source)

    def apply(self, source):
        """L s, shape (N,), for s of shape (S,)."""
        return jnp.sum(self.weights * source[self.indices], axis=1)

    def transposed_product(self, image):
        """L^T image, shape (S,), for an image of shape (N,)."""
        entries = self.weights * image[:, None]
        return jnp.zeros(self.n_source, entries.dtype).at[self.indices].add(entries, mode="promise_in_bounds")


def dense_lensing_operator(indices, weights, n_source):
    """L of shape (N, S) from its entries (N, P)."""
    rows = jnp.arange(indices.shape[0])[:, None]
    empty = jnp.zeros((indices.shape[0], n_source), dtype=weights.dtype)
    return empty.at[rows, indices].add(weights, mode="promise_in_bounds")
