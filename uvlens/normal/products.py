"""The products with W that one evidence takes on a CPU, outside JAX: F = L^T W L, and W L X where L has entries.

curvature(L)        F, lower triangle, and whatever `pullback` can reuse
pullback(L, X)      (W L X)_is at the entries (i, s) of L, X symmetric: all that the gradient needs
"""

import abc

import numpy as np

from ..threads import in_parallel, pool
from .choose import LARGEST_KEPT
from .sparse import BLOCK, SparseLens, accumulate, contract, last_source


class HostProducts(abc.ABC):
    """Products with W in NumPy and compiled code; float64 in and out."""

    @abc.abstractmethod
    def curvature(self, lens: SparseLens, keep: bool):
        """(F, kept): F (S, S), of which the lower triangle counts; `kept` for `pullback` if `keep`."""

    @abc.abstractmethod
    def pullback(self, lens: SparseLens, kept, matrix):
        """(W L X)_is at the n entries of L, shape (n,), for a symmetric X of shape (S, S)."""


class ColumnProducts(HostProducts):
    """Products for a W that is applied to columns of L, a block of 8 at a time: T = W L, F = L^T T.

    Blocks are dealt out to the threads. F_ts with t >= s needs of column s only the image pixels that see a source
    pixel >= s: `columns` may leave the others out. Columns at the end of L with an entry in most pixels, as light of
    known shape has, would spoil that: their part of F is made on its own, from whole columns of T.
    """

    @abc.abstractmethod
    def workspace(self):
        """Scratch memory of one thread."""

    @abc.abstractmethod
    def columns(self, lens: SparseLens, first: int, needed, workspace, out):
        """Columns first .. first + 7 of W L into `out` (N, 8), at least where `needed` (boolean (N,), or None: all)."""

    def curvature(self, lens, keep):
        n_blocks, workers = -(-lens.n_source // BLOCK), pool()[1]
        keep = keep and n_blocks * BLOCK * lens.n_pixels * 8 <= LARGEST_KEPT
        kept = np.empty((n_blocks, lens.n_pixels, BLOCK)) if keep else None
        curvature = np.zeros((n_blocks * BLOCK, n_blocks * BLOCK))
        tail = dense_from(lens)
        sparse = lens if tail == lens.n_source else lens.leading(tail)
        last = last_source(sparse.row_start, sparse.source)
        everywhere = np.full(lens.n_pixels, lens.n_source)

        def work(worker, _):
            workspace, block = self.workspace(), np.empty((lens.n_pixels, BLOCK))
            for b in range(worker, -(-tail // BLOCK) if kept is None else n_blocks, workers):
                first, out = b * BLOCK, block if kept is None else kept[b]
                self.columns(lens, first, None if keep else last >= first, workspace, out)
                accumulate(sparse.row_start, sparse.source, sparse.value, first, last, out, curvature, first)
            for first in range(tail + worker * BLOCK, lens.n_source, workers * BLOCK):
                self.columns(lens, first, None, workspace, block)
                product = np.zeros((lens.n_source, BLOCK))
                accumulate(lens.row_start, lens.source, lens.value, 0, everywhere, block, product, 0)
                width = min(BLOCK, lens.n_source - first)
                dense[first - tail : first - tail + width] = product[:, :width].T

        dense = np.empty((lens.n_source - tail, lens.n_source))
        in_parallel(work, workers)
        curvature[tail : lens.n_source, : lens.n_source] = dense
        return curvature[: lens.n_source, : lens.n_source], kept

    def pullback(self, lens, kept, matrix):
        n_blocks, workers = -(-lens.n_source // BLOCK), pool()[1]

        def work(worker, _):
            product = np.zeros(len(lens.source))
            workspace, block = None, None
            if kept is None:
                workspace, block = self.workspace(), np.empty((lens.n_pixels, BLOCK))
            for b in range(worker, n_blocks, workers):
                if kept is None:
                    self.columns(lens, b * BLOCK, None, workspace, block)
                out = block if kept is None else kept[b]
                contract(lens.row_start, lens.source, out, column_block(matrix, b * BLOCK), product)
            return product

        return sum(in_parallel(work, workers))


def dense_from(lens):
    """Index of the first of the columns at the end of L that have an entry in more than half of the pixels.

    S where there are none, or more than half of all: a mesh of few nodes has nothing to gain.
    """
    dense = np.diff(lens.column_start) > lens.n_pixels // 2
    n_dense = int(np.argmin(dense[::-1]))
    return lens.n_source - n_dense if n_dense <= lens.n_source // 2 else lens.n_source


def column_block(matrix, first):
    """Columns first .. first + 7 as an array of their own, shape (m, 8), zero beyond the last."""
    block = np.zeros((len(matrix), BLOCK))
    part = matrix[:, first : first + BLOCK]
    block[:, : part.shape[1]] = part
    return block
