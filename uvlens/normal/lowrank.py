"""W = R^T R: the data compressed to r numbers of unit noise, r about 1.1 x solid angle x uv area."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from jaxtyping import Array, Float

from .operator import AbstractNormalOperator, host_products
from .pivoted import pivoted_cholesky
from .reduction import Reduction

RELATIVE_TOLERANCE = 1e-10
"""Largest diagonal element of W - R^T R left, in units of the largest of W.

Against the exact operator ln E moved by 1e-8 nat on SPT0346-52 (S/N 129) and on the demo (S/N 260), by 5e-7 at 1e-9
and 5e-6 at 1e-8; a factor of ten costs 5 % of the rank.
"""

_LARGEST_FACTOR = 2**33
"""Bytes."""


class LowRankNormalOperator(AbstractNormalOperator):
    """W = R^T R with R of shape (r, N), from a pivoted Cholesky decomposition.

    F = (R L)^T (R L) runs at the speed of matrix multiplication, and z (d~ = R^T z) is the whole data set as r
    numbers of unit noise.

    Attributes:
        factor: R, shape (r, N) [Jy^-1].
        compressed_data: z, shape (r,), unit noise; (r, C) for C dirty images.
        residual_trace: trace of W - R^T R over the trace of W.
    """

    dirty_image: Float[Array, "*C N"]
    factor: Float[Array, "r N"]
    compressed_data: Float[Array, "r *C"]
    residual_trace: float = eqx.field(static=True)
    products: Any = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)
    choice: str | None = eqx.field(static=True, default=None)

    @staticmethod
    def from_reduction(reduction, relative_tolerance=RELATIVE_TOLERANCE):
        """Decompose W: N r^2 operations, r N numbers.

        Raises:
            InputError: R would need more than 8 GiB.
        """
        factor, pivots, residual = factor_of(reduction, relative_tolerance)
        compressed = scipy.linalg.solve_triangular(factor[:, pivots], reduction.dirty_image.T[pivots], trans="T")
        return LowRankNormalOperator(
            dirty_image=jnp.asarray(reduction.dirty_image),
            factor=jnp.asarray(factor),
            compressed_data=jnp.asarray(compressed),
            residual_trace=residual,
            products=host_products(lambda: _products(factor, compressed)),
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


def factor_of(reduction, relative_tolerance=RELATIVE_TOLERANCE):
    """(R, pivots, residual trace) of the W of a Reduction, its nuisances marginalised (see `pivoted_cholesky`).

    Raises:
        InputError: R would need more than 8 GiB.
    """
    largest_rank = _LARGEST_FACTOR // (8 * reduction.mask.n_pixels)
    return pivoted_cholesky(
        lambda some, others: _part(reduction, some, others), _diagonal(reduction), relative_tolerance, largest_rank
    )


def _part(reduction, some, others):
    """W[some][:, others] from the kernels of offsets."""
    rows, columns = reduction.mask.rows, reduction.mask.columns
    total = 0.0
    for term in reduction.terms:
        middle = term.kernel.shape[0] // 2, term.kernel.shape[1] // 2
        part = term.kernel[
            rows[some][:, None] - rows[others] + middle[0], columns[some][:, None] - columns[others] + middle[1]
        ]
        if term.primary_beam is not None:
            part *= term.primary_beam[some][:, None] * term.primary_beam[others]
        total += part
    for term in reduction.nuisances:
        total -= term.downdate[:, some].T @ term.downdate[:, others]
    return total


def _diagonal(reduction):
    total = np.zeros(reduction.mask.n_pixels)
    for term in reduction.terms:
        peak = term.kernel[term.kernel.shape[0] // 2, term.kernel.shape[1] // 2]
        total += peak if term.primary_beam is None else peak * term.primary_beam**2
    for term in reduction.nuisances:
        total -= np.einsum("ji,ji->i", term.downdate, term.downdate)
    return total


def _products(factor, compressed):
    from .factored import FactoredProducts

    return FactoredProducts(factor, compressed)
