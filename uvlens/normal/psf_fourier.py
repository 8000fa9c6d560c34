"""B^T N^-1 B of an image on a CPU by Fourier transforms, 8 columns of L at a time: for PSFs that are not small."""

import numpy as np

from .products import ColumnProducts
from .sparse import BLOCK


class BlurProducts(ColumnProducts):
    """T = B^T N^-1 B L, F = L^T T, for an ImagingReduction."""

    def __init__(self, reduction):
        self.blur, self.weight = reduction.blur, reduction.weight

    def workspace(self):
        return np.empty((BLOCK, len(self.blur.position)))

    def columns(self, lens, first, needed, workspace, out):
        last = min(first + BLOCK, lens.n_source)
        workspace[:] = 0.0
        for s in range(first, last):
            entries = slice(lens.column_start[s], lens.column_start[s + 1])
            workspace[s - first, lens.pixel[entries]] = lens.column_value[entries]
        out[:] = self.blur.transposed(self.weight * self.blur.apply(workspace)).T
