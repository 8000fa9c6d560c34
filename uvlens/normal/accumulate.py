"""One pass over the visibilities of one observation, in blocks of fixed length, from which a Reduction is made.

    W_ij  = sum_k w_k cos 2 pi (u_k . (x_i - x_j))          kept as a kernel of pixel offsets
    d~_i  = sum_k w_k Re[V_k exp(-2 pi i u_k . x_i)]        the natural-weighted dirty image, unnormalised
    d^H C^-1 d = sum_k w_k |V_k|^2                          and the normalisation sum_k 2 ln(2 pi sigma_k^2)

Parts of any length are regrouped into blocks, so how the data were cut leaves no trace in the result; memory holds one
block. Kernel and dirty image come from one transform of two sets of coefficients.
"""

import hashlib

import numpy as np

from .. import __version__
from ..conventions import ARCSEC
from ..data.cells import UVCells
from ..data.coverage import WeightHistogram
from ..data.observation import ObservationBuilder
from ..grid import PixelGrid
from ..nufft import CHUNK, type1
from .compensated import CompensatedSum
from .reduction import Reduction, ToeplitzTerm


class ReductionSums:
    """Adds up the parts of one observation on a mask.

    Args:
        mask: Mask (N).
        pixel_window: pixel values that are means over square pixels transform to V sinc(u dx) sinc(v dx): divide the
            model by that response. Since |V - M / r|^2 w = |V r - M|^2 w / r^2, V becomes V r and w becomes w / r^2.
        backend, eps: of the type-1 transforms (see `uvlens.nufft`).
        chunk: visibilities in a block.
    """

    def __init__(self, mask, *, pixel_window=False, backend="finufft", eps=1e-12, chunk=CHUNK):
        grid, (ny, nx) = mask.grid, mask.grid.shape
        self._mask, self._pixel_window, self._chunk = mask, pixel_window, chunk
        self._options = {"backend": backend, "eps": eps, "chunk": chunk}
        self._builder = ObservationBuilder()
        self._pending, self._n_pending = [], 0
        # offsets -n .. n - 1 from the pixel at `origin`
        self._offsets = PixelGrid((2 * ny, 2 * nx), grid.pixel_scale, (-0.5 * grid.pixel_scale,) * 2)
        self._origin = grid.x_axis[nx // 2] * ARCSEC, grid.y_axis[ny // 2] * ARCSEC
        self._images = np.zeros((2, 2 * ny, 2 * nx))
        self._cell_size = 1.0 / (8.0 * max(grid.shape) * grid.pixel_scale * ARCSEC)
        self._chi_squared = self._normalization = CompensatedSum()
        self._histogram = self._cells = None

    @property
    def observation(self):
        """What is known of the parts so far."""
        return self._builder.finish()

    def add(self, part):
        """Add one part (Visibilities); flagged ones (weight 0) are left out."""
        kept = part.unflagged()
        self._builder.add(kept, len(part) - len(kept))
        start = 0
        while start < len(kept):
            stop = min(len(kept), start + self._chunk - self._n_pending)
            self._pending.append(tuple(a[start:stop] for a in (kept.u, kept.v, kept.vis, kept.weight)))
            self._n_pending += stop - start
            start = stop
            if self._n_pending == self._chunk:
                self._flush()

    def _flush(self):
        pending, self._pending, self._n_pending = self._pending, [], 0
        self._add_block(*(pending[0] if len(pending) == 1 else map(np.concatenate, zip(*pending))))

    def _add_block(self, u, v, vis, weight):
        self._chi_squared += CompensatedSum.of(weight * (vis.real**2 + vis.imag**2))
        self._normalization += CompensatedSum.of(2.0 * np.log(2.0 * np.pi / weight))
        histogram = WeightHistogram.of(np.hypot(u, v), weight)
        self._histogram = histogram if self._histogram is None else self._histogram + histogram
        cells = UVCells.of(u, v, vis, weight, self._cell_size if self._cells is None else self._cells.size)
        self._cells = cells if self._cells is None else self._cells + cells
        if self._pixel_window:
            step = self._mask.grid.pixel_scale * ARCSEC
            window = np.sinc(u * step) * np.sinc(v * step)
            weight, vis = weight / window**2, vis * window
        phase = np.exp(-2j * np.pi * (u * self._origin[0] + v * self._origin[1]))
        self._images += type1(u, v, np.stack([weight, weight * vis * phase]), self._offsets, **self._options).real

    def finish(self, primary_beam=None):
        """The Reduction of all parts.

        Args:
            primary_beam: power pattern at the mask pixels, shape (N,), or None for 1.

        Raises:
            InputError: there was no part.
        """
        observation = self.observation
        if self._pending:
            self._flush()
        assert self._histogram is not None and self._cells is not None
        mask, (ny, nx) = self._mask, self._mask.grid.shape
        kernel, dirty = self._images
        slim = dirty[mask.rows + ny - ny // 2, mask.columns + nx - nx // 2]
        # the first row and column, offsets -n, are never needed
        term = ToeplitzTerm(np.ascontiguousarray(kernel[1:, 1:]), primary_beam, self._cells)
        return Reduction(
            mask=mask,
            terms=(term,),
            dirty_image=slim if primary_beam is None else slim * primary_beam,
            null_chi_squared=self._chi_squared,
            noise_normalization=self._normalization,
            histogram=self._histogram,
            pixel_window=self._pixel_window,
            observations=(observation,),
            hashes=(_hash(observation, mask, primary_beam, self._pixel_window),),
        )


def _hash(observation, mask, primary_beam, pixel_window):
    """SHA-256 of everything that a reduction depends on: data, mask, options and this package's version."""
    digest = hashlib.sha256(repr((observation.sha256, mask.grid, pixel_window, __version__)).encode())
    digest.update(np.ascontiguousarray(mask.kept).data)
    if primary_beam is not None:
        digest.update(np.ascontiguousarray(primary_beam).data)
    return digest.hexdigest()
