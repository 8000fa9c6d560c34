"""Compiled loops of `logdet`: the inverse of a banded matrix where the matrix itself is not zero."""

import numpy as np

from ..normal.sparse import compiled


@compiled
def inverse_on_bands(factor):
    """Lower bands (b + 1, S) of A^-1 from the Cholesky factor of A, given by columns: factor[j, k] = C[j + k, j].

    Column j of C^T A^-1 = C^-1, from the last one back (Takahashi et al. 1973; Erisman & Tinney 1975):

        Z_ij = (delta_ij / C_jj - sum_(k = 1..b) C_(j+k, j) Z_(j+k, i)) / C_jj,   i >= j
    """
    n, n_bands = factor.shape
    inverse = np.zeros((n, n_bands))
    for j in range(n - 1, -1, -1):
        last = min(n_bands - 1, n - 1 - j)
        pivot = 1.0 / factor[j, 0]
        for t in range(1, last + 1):
            total = 0.0
            for k in range(1, t + 1):
                total += factor[j, k] * inverse[j + k, t - k]
            row = inverse[j + t]
            for k in range(t + 1, last + 1):
                total += factor[j, k] * row[k - t]
            inverse[j, t] = -total * pivot
        total = 0.0
        for k in range(1, last + 1):
            total += factor[j, k] * inverse[j, k]
        inverse[j, 0] = (pivot - total) * pivot
    bands = np.zeros((n_bands, n))
    for j in range(n):
        for k in range(min(n_bands, n - j)):
            bands[k, j] = inverse[j, k]
    return bands


@compiled
def symmetric(lower):
    """The full matrix of a lower triangle, shape (S, S)."""
    n = len(lower)
    full = np.empty((n, n))
    tile = 32
    for top in range(0, n, tile):
        for left in range(0, top + 1, tile):
            for i in range(top, min(top + tile, n)):
                for j in range(left, min(left + tile, i + 1)):
                    full[i, j] = lower[i, j]
                    full[j, i] = lower[i, j]
    return full
