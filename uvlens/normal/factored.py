"""Products with W = R^T R on a CPU: the sparse product R L in compiled code, everything else a matrix product."""

import numpy as np
from scipy.linalg.blas import dgemm, dsyrk

from ..threads import in_parallel
from .products import HostProducts
from .sparse import BLOCK, accumulate, contract


class FactoredProducts(HostProducts):
    """F = (R L)^T (R L); the r rows of R are kept 8 side by side, shape (ceil(r / 8), N, 8).

    Args:
        factor: R, shape (r, N).
        compressed_data: z, shape (r,) or (r, C), with d~ = R^T z.
    """

    def __init__(self, factor, compressed_data):
        self.rank, n_pixels = factor.shape
        self.compressed_data = compressed_data
        n_blocks = -(-self.rank // BLOCK)
        self.blocks = np.zeros((n_blocks, n_pixels, BLOCK))
        for b in range(n_blocks):
            part = factor[b * BLOCK : (b + 1) * BLOCK]
            self.blocks[b, :, : len(part)] = part.T

    def response(self, lens):
        """(R L)^T, shape (S, r): what the compressed data answer to each source pixel."""
        response = np.zeros((lens.n_source, len(self.blocks) * BLOCK))
        everything = np.zeros(lens.n_pixels, int)

        def work(start, stop):
            for b in range(start, stop):
                accumulate(lens.row_start, lens.source, lens.value, 0, everything, self.blocks[b], response, b * BLOCK)

        in_parallel(work, len(self.blocks))
        return response

    def at_entries(self, lens, rows):
        """(R^T X)_is at the n entries of L, for X^T of shape (S, r padded to whole blocks)."""

        def work(start, stop):
            product = np.zeros(len(lens.source))
            for b in range(start, stop):
                right = np.ascontiguousarray(rows[:, b * BLOCK : (b + 1) * BLOCK])
                contract(lens.row_start, lens.source, self.blocks[b], right, product)
            return product

        return sum(in_parallel(work, len(self.blocks)))

    def curvature(self, lens, keep):
        response = self.response(lens)
        # in Fortran's order the C array is its transpose: the upper triangle there is the lower one here
        return dsyrk(1.0, response.T, trans=1, lower=0).T, response

    def pullback(self, lens, kept, matrix):
        return self.at_entries(lens, dgemm(1.0, kept.T, matrix.T).T)
