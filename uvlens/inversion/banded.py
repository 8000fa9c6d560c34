"""Regularisation matrices by their lower bands: H[j + k, j] = bands[k, j], shape (b + 1, S), zero beyond S.

A gradient prior on m x n nodes has b = n, 8 (n + 1) S bytes instead of 8 S^2. A dense H is the case b = S - 1.
"""

import jax.numpy as jnp
import numpy as np


def bands_from_matrix(matrix):
    """Lower bands of a symmetric NumPy matrix (dense, or scipy.sparse), up to the last that is not zero."""
    if hasattr(matrix, "todia"):
        diagonals = matrix.todia()
        lowest = max(0, -int(diagonals.offsets.min(initial=0)))
        bands = np.zeros((lowest + 1, matrix.shape[0]))
        for offset, values in zip(diagonals.offsets, diagonals.data):
            if offset <= 0:
                bands[-offset, : len(values)] = values[: bands.shape[1]]
        return bands
    n = len(matrix)
    rows, columns = np.nonzero(matrix)
    bands = np.zeros((int(np.max(rows - columns, initial=0)) + 1, n))
    for k in range(len(bands)):
        bands[k, : n - k] = np.diagonal(matrix, -k)
    return bands


def matrix_from_bands(bands):
    """The symmetric matrix, shape (S, S), as a JAX array."""
    n = bands.shape[1]
    i, j = jnp.arange(n)[:, None], jnp.arange(n)
    distance = jnp.abs(i - j)
    within = distance < bands.shape[0]
    return jnp.where(within, bands[jnp.where(within, distance, 0), jnp.minimum(i, j)], 0.0)


def bands_cotangent(matrix_cotangent, n_bands):
    """Cotangent of the bands, shape (n_bands, S), from that of the symmetric matrix, shape (S, S)."""
    n = matrix_cotangent.shape[0]
    column, distance = jnp.arange(n), jnp.arange(n_bands)[:, None]
    factor = jnp.where(distance > 0, 2.0, 1.0) * (column + distance < n)
    return factor * matrix_cotangent[jnp.minimum(column + distance, n - 1), column]
