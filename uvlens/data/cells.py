"""Visibilities averaged over small cells of the uv plane: for plots and residual statistics, never for a fit."""

import dataclasses

import numpy as np

CELL_ARRAYS = ("u", "v", "vis", "weight")
MAXIMUM_CELLS = 2**18
"""Cells beyond which their side doubles: 10 MB, whatever the number of visibilities."""

_DENSE = 2**22
"""Cells of a rectangle up to which sums are made on all of it, without sorting."""


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
        """Average K visibilities; those of weight 0 drop out.

        The cells are made twice as wide until no more than MAXIMUM_CELLS are filled.
        """
        flip = np.where((v < 0.0) | ((v == 0.0) & (u < 0.0)), -1.0, 1.0)
        u, v = u * flip, v * flip
        column, row = np.rint(u / size).astype(np.int64), np.rint(v / size).astype(np.int64)
        west = column.min()
        width = int(column.max() - west) + 1
        height = int(row.max()) + 1
        cell = row * width + (column - west)
        if width * height > _DENSE:
            cell = np.unique(cell, return_inverse=True)[1]
        total = np.bincount(cell, weights=weight)
        filled = total > 0.0
        total = total[filled]

        def mean(values):
            return np.bincount(cell, weights=weight * values)[filled] / total

        cells = UVCells(size, mean(u), mean(v), mean(vis.real) + 1j * mean(flip * vis.imag), total)
        return cells if len(total) <= MAXIMUM_CELLS else cells.widened(2.0 * size)

    def widened(self, size):
        """The same data in cells of another side, if that is wider."""
        return self if size <= self.size else UVCells.of(self.u, self.v, self.vis, self.weight, size)

    def __add__(self, other):
        size = max(self.size, other.size)
        arrays = (np.concatenate([getattr(self, key), getattr(other, key)]) for key in CELL_ARRAYS)
        return UVCells.of(*arrays, size)

    @property
    def uv_distance(self):
        """sqrt(u^2 + v^2), shape (C,) [wavelengths]."""
        return np.hypot(self.u, self.v)
