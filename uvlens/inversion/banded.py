"""Regularisation matrices by their lower bands: H[j + k, j] = bands[k, j], shape (b + 1, S), zero beyond S.

A gradient prior on m x n nodes has b = n, 8 (n + 1) S bytes instead of 8 S^2. A matrix of full bandwidth is handed
over as it is: an array of shape (S, S) is the dense symmetric H itself, wherever bands are asked for.
"""

import jax.numpy as jnp
import numpy as np


def is_dense(bands):
    """Whether what stands in the place of bands is H itself."""
    return bands.shape[0] == bands.shape[1]


def bands_from_matrix(matrix):
    """Lower bands of a symmetric NumPy matrix (dense, or scipy.sparse), up to the last that is not zero.

    The matrix itself, dense, where no band is zero.
    """
    n = matrix.shape[0]
    if hasattr(matrix, "todia"):
        diagonals = matrix.todia()
        lowest = max(0, -int(diagonals.offsets.min(initial=0)))
        if lowest + 1 == n:
            return matrix.toarray()
        bands = np.zeros((lowest + 1, n))
        for offset, values in zip(diagonals.offsets, diagonals.data):
            if offset <= 0:
                bands[-offset, : len(values)] = values[: bands.shape[1]]
        return bands
    rows, columns = np.nonzero(matrix)
    n_bands = int(np.max(rows - columns, initial=0)) + 1
    if n_bands == n:
        return np.array(matrix, dtype=float)
    bands = np.zeros((n_bands, n))
    for k in range(n_bands):
        bands[k, : n - k] = np.diagonal(matrix, -k)
    return bands


def matrix_from_bands(bands):
    """The symmetric matrix, shape (S, S), as a JAX array."""
    if is_dense(bands):
        return jnp.asarray(bands)
    n = bands.shape[1]
    i, j = jnp.arange(n)[:, None], jnp.arange(n)
    distance = jnp.abs(i - j)
    within = distance < bands.shape[0]
    return jnp.where(within, bands[jnp.where(within, distance, 0), jnp.minimum(i, j)], 0.0)


def bands_cotangent(matrix_cotangent, n_bands):
    """Cotangent of the bands, shape (n_bands, S), from that of the symmetric matrix, shape (S, S).

    A dense H has H_bar itself: d value = sum of H_bar o dH over all elements, for a symmetric dH.
    """
    n = matrix_cotangent.shape[0]
    if n_bands == n:
        return matrix_cotangent
    column, distance = jnp.arange(n), jnp.arange(n_bands)[:, None]
    factor = jnp.where(distance > 0, 2.0, 1.0) * (column + distance < n)
    return factor * matrix_cotangent[jnp.minimum(column + distance, n - 1), column]


def join_bands(blocks):
    """Bands of the block-diagonal matrix of several H, in order, as a JAX array.

    Args:
        blocks: of each its bands, shape (b + 1, S_m), or the dense matrix, shape (S_m, S_m). A diagonal block, as
            linear columns have, is an array of shape (1, E).

    Returns:
        Bands, shape (max b + 1, sum S_m); dense where a block is dense.
    """
    blocks = [jnp.asarray(block, dtype=float) for block in blocks if block.shape[1] > 0]
    if len(blocks) == 1:
        return blocks[0]
    if any(is_dense(block) and block.shape[1] > 1 for block in blocks):
        n = sum(block.shape[1] for block in blocks)
        joined, first = jnp.zeros((n, n)), 0
        for block in blocks:
            last = first + block.shape[1]
            joined = joined.at[first:last, first:last].set(matrix_from_bands(block))
            first = last
        return joined
    depth = max(block.shape[0] for block in blocks)
    return jnp.concatenate([jnp.pad(block, ((0, depth - block.shape[0]), (0, 0))) for block in blocks], axis=1)
