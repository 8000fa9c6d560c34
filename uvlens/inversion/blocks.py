"""H of several sources in one system: block diagonal, as lower bands where every block has them."""

import jax.numpy as jnp
import jax.scipy.linalg

from .banded import matrix_from_bands


def is_dense(matrix):
    """Whether a prior matrix is dense, (S, S), rather than lower bands (b + 1, S)."""
    return matrix.shape[0] == matrix.shape[1]


def block_diagonal(matrices):
    """One matrix from those of the blocks: lower bands (b + 1, S) with the largest b, or dense if one of them is.

    Args:
        matrices: lower bands (b_i + 1, S_i) or dense (S_i, S_i), in the order of the columns of L.
    """
    matrices = [m for m in matrices if m.shape[1]]
    if len(matrices) == 1:
        return matrices[0]
    if any(is_dense(m) and m.shape[0] > 1 for m in matrices):
        return jax.scipy.linalg.block_diag(*(m if is_dense(m) else matrix_from_bands(m) for m in matrices))
    n_bands = max(m.shape[0] for m in matrices)
    return jnp.concatenate([jnp.pad(m, ((0, n_bands - m.shape[0]), (0, 0))) for m in matrices], axis=1)
