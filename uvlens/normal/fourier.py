"""W by fast Fourier transforms on a CPU: a block of 8 columns at a time, the empty half of the padded grid skipped."""

import numpy as np
import scipy.fft

from .products import ColumnProducts
from .sparse import BLOCK, compiled


class FourierProducts(ColumnProducts):
    """T = sum over beams of P irfft2(rfft2(kernel) rfft2(P L)), 3/4 of the work of full transforms.

    Rows of the padded grid beyond the mask are zero on the way in and not looked at on the way out.

    Args:
        transforms: rfft2 of each padded kernel, zero offset in the corner.
        beams: primary beam (N,) of each, or None.
        rows, columns: of the N pixels in the mask's bounding box.
        shape: of the padded grid.
    """

    def __init__(self, transforms, beams, rows, columns, shape):
        self.transforms, self.beams = [np.asarray(t) for t in transforms], beams
        self.rows, self.columns_of_pixels, self.shape = rows, columns, shape
        self.n_rows, self.n_columns = int(rows.max()) + 1, int(columns.max()) + 1
        self.position = rows * self.n_columns + columns

    def workspace(self):
        return np.empty((BLOCK, self.n_rows * self.n_columns))

    def columns(self, lens, first, needed, workspace, out):
        last = min(first + BLOCK, lens.n_source)
        start = lens.column_start[first : last + 1]
        out[:] = 0.0
        for transform, beam in zip(self.transforms, self.beams):
            workspace[:] = 0.0
            _scatter(start, lens.pixel, lens.column_value, self.position, beam, workspace)
            half = scipy.fft.rfft(workspace.reshape(BLOCK, self.n_rows, self.n_columns), self.shape[1], axis=2)
            full = scipy.fft.fft(half, self.shape[0], axis=1, overwrite_x=True)
            full *= transform
            half = scipy.fft.ifft(full, axis=1, overwrite_x=True)[:, : self.n_rows]
            image = scipy.fft.irfft(half, self.shape[1], axis=2)[:, self.rows, self.columns_of_pixels]
            out += (image if beam is None else image * beam).T


@compiled
def _scatter(start, pixel, value, position, beam, images):
    """Columns of L as images, times the primary beam."""
    for b in range(len(start) - 1):
        for k in range(start[b], start[b + 1]):
            factor = 1.0 if beam is None else beam[pixel[k]]
            images[b, position[pixel[k]]] += factor * value[k]
