"""W = R^T R: the data compressed to r numbers of unit noise, r about 1.1 x solid angle x uv area."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from ..errors import InputError
from .operator import AbstractNormalOperator
from .reduction import Reduction

RELATIVE_TOLERANCE = 1e-10
"""Largest diagonal element of W - R^T R left, in units of the largest of W.

Against the exact operator ln E moved by 1e-8 nat on SPT0346-52 (S/N 129) and on the demo (S/N 260), by 5e-7 at 1e-9
and 5e-6 at 1e-8; a factor of ten costs 5 % of the rank.
"""


class LowRankNormalOperator(AbstractNormalOperator):
    """W = R^T R with R of shape (r, N), from a pivoted Cholesky decomposition of the dense W.

    F = (R L)^T (R L) runs at the speed of matrix multiplication, and z (d~ = R^T z) is the whole data set as r
    numbers of unit noise.

    Attributes:
        factor: R, shape (r, N) [Jy^-1].
        compressed_data: z, shape (r,), unit noise.
        residual_trace: trace of W - R^T R over the trace of W.
    """

    dirty_image: Float[Array, " N"]
    factor: Float[Array, "r N"]
    compressed_data: Float[Array, " r"]
    residual_trace: float = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)

    @staticmethod
    def from_reduction(reduction, relative_tolerance=RELATIVE_TOLERANCE):
        """Decompose W; N^2 x 8 bytes of memory and N r^2 operations."""
        dense = reduction.dense()
        diagonal = np.diag(dense).copy()
        lower, pivots, rank, info = scipy.linalg.lapack.dpstrf(
            dense, tol=relative_tolerance * diagonal.max(), lower=1, overwrite_a=True
        )
        if info < 0 or rank == 0:
            raise InputError("the curvature kernel is not positive: are there weights on this mask?")
        order = pivots - 1
        lower = np.tril(lower[:, :rank])
        compressed = scipy.linalg.solve_triangular(lower[:rank], reduction.dirty_image[order[:rank]], lower=True)
        factor = np.empty((rank, len(order)))
        factor[:, order] = lower.T
        residual = max(0.0, 1.0 - float(np.sum(factor**2) / diagonal.sum()))
        return LowRankNormalOperator(
            dirty_image=jnp.asarray(reduction.dirty_image),
            factor=jnp.asarray(factor),
            compressed_data=jnp.asarray(compressed),
            residual_trace=residual,
            reduction=reduction,
        )

    @property
    def method(self):
        return "lowrank"

    @property
    def rank(self):
        return self.factor.shape[0]

    def apply(self, images):
        return self.factor.T @ (self.factor @ images)

    def transform(self, lensing_operator):
        return self.factor @ lensing_operator

    def curvature(self, lensing_operator, transformed):
        return transformed.T @ transformed

    def pullback(self, transformed, right):
        return self.factor.T @ (transformed @ right)
