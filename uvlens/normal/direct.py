"""W by direct correlation on a CPU: the kernel stays in cache, L is sparse, F is symmetric.

Column s of T = W L is a sum of shifted pieces of the kernel, T[:, s] = sum_k L_ks w(. - x_k). Image rows are cut into
tiles of contiguous pixels so that every piece is a straight vector loop; tiles without a pixel that is needed are
skipped. Cost: 2 n N operations for the n entries of L (about half where only F is asked for), plus n S for F.
Columns with an entry in most pixels, as light of known shape has, go by FFT where that is quicker.
"""

from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from .operator import AbstractNormalOperator
from .products import ColumnProducts
from .reduction import Reduction
from .sparse import BLOCK, compiled
from .toeplitz import FFTNormalOperator

_TILE = np.uint64(32)
_TRANSFORM_RATE = 0.15
"""Speed of the transforms over that of the correlation, operation by operation."""


class DirectNormalOperator(AbstractNormalOperator):
    """W by direct correlation in compiled code on a CPU; where there is none (another device), by FFT.

    Attributes:
        fft: the same W by circulant embedding.
    """

    fft: FFTNormalOperator
    products: Any = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)
    choice: str | None = eqx.field(static=True, default=None)

    @staticmethod
    def from_reduction(reduction, precision="float64"):
        """`precision="float32"` correlates in single precision and accumulates F in double."""
        fft = FFTNormalOperator.from_reduction(reduction)
        products = DirectProducts(reduction.mask, reduction.terms, precision, fft.products)
        return DirectNormalOperator(fft, products, reduction)

    @property
    def dirty_image(self) -> Float[Array, "*C N"]:
        return self.fft.dirty_image

    @property
    def method(self):
        return "direct" if self.products.dtype == np.float64 else "direct32"

    @property
    def rank(self):
        return None

    def apply(self, images):
        return self.fft.apply(images)

    def transform(self, lensing_operator):
        return self.fft.transform(lensing_operator)

    def curvature(self, lensing_operator, transformed):
        return self.fft.curvature(lensing_operator, transformed)

    def pullback(self, transformed, right):
        return self.fft.pullback(transformed, right)


class DirectProducts(ColumnProducts):
    """Products with W = sum of P K P over primary beams P, K block Toeplitz.

    Args:
        mask: the N pixels.
        terms: ToeplitzTerm list, kernels on the grid of the mask.
        precision: "float64" or "float32", of the correlation.
        fourier: FourierProducts of the same W for blocks of columns with many entries; None: direct throughout.
    """

    def __init__(self, mask, terms, precision="float64", fourier=None):
        self.dtype = np.dtype(precision)
        tile_width = int(_TILE)
        rows, columns = mask.rows - mask.rows.min(), mask.columns - mask.columns.min()
        ny, nx = int(rows.max()) + 1, int(columns.max()) + 1
        per_row = -(-nx // tile_width)
        self.width = 2 * nx - 1 + tile_width
        self.pixel_offset = (rows * self.width + columns).astype(np.uint64)
        tiles, self.pixel_tile = np.unique(rows * per_row + columns // tile_width, return_inverse=True)
        row, column = tiles // per_row, tiles % per_row * tile_width
        self.tile_offset = ((row + ny - 1) * self.width + column + nx - 1).astype(np.uint64)
        self.position = self.pixel_tile * tile_width + columns % tile_width
        self.kernels = [self._flat(term.kernel, ny, nx) for term in terms]
        self.beams = [term.primary_beam for term in terms]
        self.fourier, size = fourier, 4 * ny * nx
        transform = BLOCK * 5.0 * size * np.log2(size) / _TRANSFORM_RATE
        self.dense_from = transform / (2.0 * int(_TILE) * len(self.tile_offset))
        """Entries of a block of columns from which transforms are quicker."""

    def _flat(self, kernel, ny, nx):
        """The kernel of the mask's bounding box, rows padded so that no tile reads beyond them."""
        row, column = kernel.shape[0] // 2, kernel.shape[1] // 2
        padded = np.zeros((2 * ny, self.width), self.dtype)
        padded[: 2 * ny - 1, : 2 * nx - 1] = kernel[row - ny + 1 : row + ny, column - nx + 1 : column + nx]
        return padded.ravel()

    def workspace(self):
        return np.empty((BLOCK, len(self.tile_offset) * int(_TILE)), self.dtype)

    def columns(self, lens, first, needed, workspace, out):
        wanted = np.ones(len(self.tile_offset), bool)
        if needed is not None:
            wanted[:] = False
            wanted[self.pixel_tile[needed]] = True
        last = min(first + BLOCK, lens.n_source)
        start, stop = lens.column_start[first], lens.column_start[last]
        if self.fourier is not None and stop - start > self.dense_from:
            return self.fourier.columns(lens, first, needed, self.fourier.workspace(), out)
        entry_start, pixel = lens.column_start[first : last + 1] - start, lens.pixel[start:stop]
        offset = self.pixel_offset[pixel]
        out[:] = 0.0
        for kernel, beam in zip(self.kernels, self.beams):
            value = lens.column_value[start:stop]
            value = (value if beam is None else value * beam[pixel]).astype(self.dtype)
            _correlate(kernel, entry_start, offset, value, self.tile_offset, wanted, workspace)
            _collect(workspace, last - first, self.position, self.pixel_tile, wanted, beam, out)


@compiled
def _correlate(kernel, entry_start, offset, value, tile_offset, wanted, out):
    """out[b, tile] = sum_k value[k] kernel[tile - offset[k]] over the entries k of column b.

    Offsets are unsigned, without which the compiler would check every index for a negative one.
    """
    n_tiles = len(tile_offset)
    for b in range(len(entry_start) - 1):
        tile = 0
        while tile < n_tiles:
            if not wanted[tile]:
                tile += 1
                continue
            end = tile + 1  # tiles of an image row that follow one another make one long vector
            while end < n_tiles and wanted[end] and tile_offset[end] - tile_offset[end - 1] == _TILE:
                end += 1
            row = out[b, tile * _TILE : end * _TILE]
            begin = tile_offset[tile]
            row[:] = 0.0
            k, last = entry_start[b], entry_start[b + 1]
            while k + 8 <= last:
                k0, v0 = kernel[begin - offset[k] :], value[k]
                k1, v1 = kernel[begin - offset[k + 1] :], value[k + 1]
                k2, v2 = kernel[begin - offset[k + 2] :], value[k + 2]
                k3, v3 = kernel[begin - offset[k + 3] :], value[k + 3]
                k4, v4 = kernel[begin - offset[k + 4] :], value[k + 4]
                k5, v5 = kernel[begin - offset[k + 5] :], value[k + 5]
                k6, v6 = kernel[begin - offset[k + 6] :], value[k + 6]
                k7, v7 = kernel[begin - offset[k + 7] :], value[k + 7]
                for j in range(len(row)):
                    left = v0 * k0[j] + v1 * k1[j] + v2 * k2[j] + v3 * k3[j]
                    row[j] += left + v4 * k4[j] + v5 * k5[j] + v6 * k6[j] + v7 * k7[j]
                k += 8
            while k < last:
                k0, v0 = kernel[begin - offset[k] :], value[k]
                for j in range(len(row)):
                    row[j] += v0 * k0[j]
                k += 1
            tile = end


@compiled
def _collect(workspace, n_columns, position, pixel_tile, wanted, beam, out):
    """Add the columns (8, tiles) to out (N, 8), times the primary beam."""
    for i in range(len(position)):
        if wanted[pixel_tile[i]]:
            factor = 1.0 if beam is None else beam[i]
            for b in range(n_columns):
                out[i, b] += factor * workspace[b, position[i]]
