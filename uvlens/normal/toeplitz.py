"""W by circulant embedding: every product with W is a pair of fast Fourier transforms."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int
from scipy.fft import next_fast_len

from .operator import AbstractNormalOperator, host_products
from .reduction import Reduction

_BLOCK = 32
"""Columns transformed together: what keeps the padded images of a block inside a few tens of megabytes."""


class FFTNormalOperator(AbstractNormalOperator):
    """W X = sum over primary beams of P irfft2(rfft2(kernel) rfft2(P X)) on a grid of at least (2 n - 1)^2.

    Exact to rounding; the reference for every other implementation. S FFT pairs a curvature matrix.
    """

    dirty_image: Float[Array, "*C N"]
    kernel_transforms: tuple[Complex[Array, "ny nx"], ...]
    primary_beams: tuple[Float[Array, " N"] | None, ...]
    rows: Int[Array, " N"]
    columns: Int[Array, " N"]
    padded_shape: tuple[int, int] = eqx.field(static=True)
    products: Any = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)
    choice: str | None = eqx.field(static=True, default=None)

    @staticmethod
    def from_reduction(reduction):
        """Transform the kernels of the mask's bounding box."""
        mask = reduction.mask
        rows, columns = mask.rows - mask.rows.min(), mask.columns - mask.columns.min()
        ny, nx = int(rows.max()) + 1, int(columns.max()) + 1
        shape = (next_fast_len(2 * ny - 1, real=False), next_fast_len(2 * nx - 1, real=True))
        transforms = []
        for term in reduction.terms:
            row, column = term.kernel.shape[0] // 2, term.kernel.shape[1] // 2
            padded = np.zeros(shape)
            padded[: 2 * ny - 1, : 2 * nx - 1] = term.kernel[row - ny + 1 : row + ny, column - nx + 1 : column + nx]
            padded = np.roll(padded, (1 - ny, 1 - nx), axis=(0, 1))
            transforms.append(np.fft.rfft2(padded))
        beams = tuple(term.primary_beam for term in reduction.terms)
        return FFTNormalOperator(
            dirty_image=jnp.asarray(reduction.dirty_image),
            kernel_transforms=tuple(map(jnp.asarray, transforms)),
            primary_beams=tuple(None if beam is None else jnp.asarray(beam) for beam in beams),
            rows=jnp.asarray(rows),
            columns=jnp.asarray(columns),
            padded_shape=shape,
            products=host_products(lambda: _products(transforms, beams, rows, columns, shape)),
            reduction=reduction,
        )

    @property
    def method(self):
        return "fft"

    @property
    def rank(self):
        return None

    def apply(self, images):
        n_pixels, n_images = images.shape
        block = min(_BLOCK, n_images)
        n_blocks = -(-n_images // block)
        padded = jnp.pad(images, ((0, 0), (0, n_blocks * block - n_images)))
        blocks = padded.T.reshape(n_blocks, block, n_pixels)
        return jax.lax.map(self._apply_block, blocks).reshape(-1, n_pixels)[:n_images].T

    def _apply_block(self, images):
        """W times the rows of `images`, shape (block, N)."""
        total = jnp.zeros_like(images)
        for kernel_transform, beam in zip(self.kernel_transforms, self.primary_beams):
            weighted = images if beam is None else images * beam
            grid = jnp.zeros((len(images), *self.padded_shape))
            grid = grid.at[:, self.rows, self.columns].set(weighted, unique_indices=True)
            grid = jnp.fft.irfft2(jnp.fft.rfft2(grid) * kernel_transform, s=self.padded_shape)
            product = grid[:, self.rows, self.columns]
            total += product if beam is None else product * beam
        return total

    def transform(self, lensing_operator):
        return self.apply(lensing_operator)

    def curvature(self, lensing_operator, transformed):
        product = lensing_operator.T @ transformed
        return 0.5 * (product + product.T)

    def pullback(self, transformed, right):
        return transformed @ right


def _products(transforms, beams, rows, columns, shape):
    from .fourier import FourierProducts

    return FourierProducts(transforms, beams, rows, columns, shape)
