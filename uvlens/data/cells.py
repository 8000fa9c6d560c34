"""Visibilities averaged over small cells of the uv plane: for plots and residual statistics, never for a fit."""

import dataclasses

import numpy as np

CELL_ARRAYS = ("u", "v", "vis", "weight")


@dataclasses.dataclass(frozen=True, eq=False)
class UVCells:
    """Weighted means over square cells of side `size`; (u, v, V) and (-u, -v, V*) fall in the same cell.

    Args:
        size: side of a cell [wavelengths]; 1 / (8 x the width of the mask) smears the sky by less than 1 %.
        u, v: weighted mean position of each cell, shape (C,) [wavelengths].
        vis: weighted mean visibility, shape (C,) [Jy].
        weight: sum of weights, shape (C,) [Jy^-2].
    """

    size: float
    u: np.ndarray
    v: np.ndarray
    vis: np.ndarray
    weight: np.ndarray

    @staticmethod
    def of(u, v, vis, weight, size):
        """Average K visibilities; those of weight 0 drop out."""
        flip = np.where((v < 0.0) | ((v == 0.0) & (u < 0.0)), -1.0, 1.0)
        u, v = u * flip, v * flip
        vis = np.where(flip > 0.0, vis, np.conj(vis))
        column, row = np.round(u / size).astype(np.int64), np.round(v / size).astype(np.int64)
        _, cell = np.unique(row * 2**32 + column, return_inverse=True)
        total = np.bincount(cell, weights=weight)

        def mean(values):
            return np.bincount(cell, weights=weight * values) / total

        return UVCells(size, mean(u), mean(v), mean(vis.real) + 1j * mean(vis.imag), total)

    def __add__(self, other):
        u, v, vis, weight = (np.concatenate([getattr(self, key), getattr(other, key)]) for key in CELL_ARRAYS)
        return UVCells.of(u, v, vis, weight, self.size)

    @property
    def uv_distance(self):
        """sqrt(u^2 + v^2), shape (C,) [wavelengths]."""
        return np.hypot(self.u, self.v)
