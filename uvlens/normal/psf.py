"""W = B^T N^-1 B: the normal operator of an image, B its PSF and N the variance of its pixels.

In JAX everything goes by fast Fourier transforms: T = N^-1/2 B L, F = T^T T, W L X = B^T N^-1/2 T X. On a CPU compiled
code takes its place: `direct` (see `psf_products`) where the PSF is small, `fft` column by column where it is not.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

from ..errors import InputError
from ..threads import pool
from .operator import AbstractNormalOperator, host_products
from .psf_reduction import ImagingReduction

METHODS = ("direct", "fft")
"""Implementations on a CPU."""
_BLOCK = 8
"""Images in a batch of transforms."""
_CONVOLVE = 3.5e9
"""Products of an entry of L and a pixel of the PSF, a second and core (measured with `benchmarks/imaging.py`)."""
_MULTIPLY = 3e10
"""Products of two entries of T, a second and core."""
_FOURIER = 3e9
"""Grid points times their logarithm, a second and core."""
_SCATTER = 3.4e9
"""Products of an entry of L and one of a column of W L, a second and core."""


class PSFNormalOperator(AbstractNormalOperator):
    """W = B^T N^-1 B of an ImagingReduction: N pixels of the model, M fitted ones.

    Attributes:
        psf_transform: rfft2 of the padded PSF.
        position, data_position: of model and fitted pixels in the flattened padded array.
        root_weight: 1 / sigma, 0 where a pixel is left out, shape (M,) [flux^-1].
        dirty_image: d~ = B^T N^-1 d, shape (N,) [flux^-1].
        padded_shape: of the array that is transformed.
        on_host: "direct" or "fft", on a CPU.
    """

    psf_transform: Complex[Array, "rows half"]
    position: Int[Array, " N"]
    data_position: Int[Array, " M"]
    root_weight: Float[Array, " M"]
    dirty_image: Float[Array, " N"]
    padded_shape: tuple[int, int] = eqx.field(static=True)
    on_host: str = eqx.field(static=True)
    products: Any = eqx.field(static=True)
    reduction: ImagingReduction = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    choice: str | None = eqx.field(static=True, default=None)

    @staticmethod
    def from_reduction(reduction, method="direct", choice=None):
        """The operator of an ImagingReduction; without numba the JAX path serves the CPU too.

        Raises:
            InputError: another method than `direct` or `fft`.
        """
        if method not in METHODS:
            raise InputError(f"method of an image must be auto, {' or '.join(METHODS)}, got {method!r}")
        blur = reduction.blur
        return PSFNormalOperator(
            jnp.asarray(blur.transform),
            jnp.asarray(blur.position),
            jnp.asarray(blur.data_position),
            jnp.asarray(np.sqrt(reduction.weight)),
            jnp.asarray(reduction.dirty_image),
            blur.shape,
            method,
            host_products(lambda: _products(reduction, method)),
            reduction,
            choice,
        )

    @property
    def method(self):
        return self.on_host

    @property
    def rank(self):
        return None

    def predict(self, images):
        """B X, (N, m) -> (M, m): images of the sky as the fitted pixels see them."""
        return self._convolve(images, self.position, self.psf_transform, self.data_position)

    def apply(self, images):
        return self._transposed(self.transform(images))

    def transform(self, lensing_operator):
        return self.root_weight[:, None] * self.predict(lensing_operator)

    def curvature(self, lensing_operator, transformed):
        return transformed.T @ transformed

    def pullback(self, transformed, right):
        return self._transposed(transformed @ right)

    def _transposed(self, images):
        """B^T N^-1/2 X, (M, m) -> (N, m)."""
        weighted = self.root_weight[:, None] * images
        return self._convolve(weighted, self.data_position, self.psf_transform.conj(), self.position)

    def _convolve(self, images, source, transform, target):
        """Columns at the pixels `source`, multiplied by a transform, at the pixels `target`."""
        n_pixels, n_images = images.shape
        size = min(_BLOCK, n_images)
        n_blocks = -(-n_images // size)
        padded = jnp.pad(images, ((0, 0), (0, n_blocks * size - n_images)))
        ny, nx = self.padded_shape

        def convolve(block):
            grid = jnp.zeros((size, ny * nx)).at[:, source].set(block, unique_indices=True)
            grid = jnp.fft.irfft2(jnp.fft.rfft2(grid.reshape(size, ny, nx)) * transform, s=(ny, nx))
            return grid.reshape(size, ny * nx)[:, target]

        blocks = jax.lax.map(convolve, padded.T.reshape(n_blocks, size, n_pixels))
        return blocks.reshape(n_blocks * size, len(target))[:n_images].T


def psf_operator(reduction, method="auto", source=None):
    """The operator of an ImagingReduction; "auto": the cheapest one for a SourceSize, `direct` without one."""
    if method != "auto":
        return PSFNormalOperator.from_reduction(reduction, method)
    if source is None:
        return PSFNormalOperator.from_reduction(reduction, "direct", "no source yet")
    expected = {name: seconds(name, reduction, source) for name in METHODS}
    best, other = sorted(METHODS, key=lambda name: expected[name])
    times = f"{best} {1e3 * expected[best]:.0f} ms, {other} {1e3 * expected[other]:.0f} ms"
    return PSFNormalOperator.from_reduction(reduction, best, f"expected for {source.n_source} source pixels: {times}")


def seconds(method, reduction, source):
    """Expected time of F on a CPU for a SourceSize.

    direct: an entry of L meets the PSF and the rows of a tile; a tile sees U of the S source pixels, about three times
    (the images of a lensed source) its share of the field. fft: two pairs of transforms for every column of L.
    """
    n, n_source, cores = reduction.mask.n_pixels, source.n_source, pool()[1]
    if method == "direct":
        py, px = reduction.psf.shape
        reach = reduction.mean_reach * (py + 3) * (px + 7) / (py * px)
        seen = min(n_source, 3.0 * n_source * reach / n + 2.0 * source.entries)
        convolve = reach * source.entries * reduction.n_real_data
        return (convolve / _CONVOLVE + seen**2 * reduction.n_real_data / _MULTIPLY) / cores
    ny, nx = reduction.blur.shape
    transforms = 4.0 * n_source * ny * nx * np.log2(ny * nx) / _FOURIER
    return (transforms + n * source.entries * n_source / 2.0 / _SCATTER) / cores


def _products(reduction, method):
    """Imported when asked for: it cannot do without numba."""
    if method == "fft":
        from .psf_fourier import BlurProducts

        return BlurProducts(reduction)
    from .psf_products import TileProducts

    return TileProducts(reduction)
