"""What every normal operator offers: W and the products an inversion takes from it.

In JAX, for any device, with L the lensing operator (N x S) and T whatever the implementation keeps of W L:

    apply(X)        = W X                 (N, m) -> (N, m)
    transform(L)    = T                   W L itself, or R L when W = R^T R
    curvature(L, T) = F = L^T W L         (S, S)
    pullback(T, X)  = W L X               (N, m) for X of shape (S, m), the gradient's only product with W

On a CPU `products` has the same in compiled code (see `products`), which knows that L is sparse and F symmetric.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..errors import InputError
from ..source.mapper import dense_lensing_operator
from ..threads import one_blas_thread
from .reduction import Reduction


class AbstractNormalOperator(eqx.Module):
    """W = sum_k w_k cos 2 pi u_k.(x_i - x_j) on the N pixels of a mask, with the dirty image and the constants.

    Attributes:
        dirty_image: d~, shape (N,) [Jy^-1]; (C, N) for C channels that share W (see `shared`).
        products: compiled products for a CPU (HostProducts), None where numba is missing.
        reduction: the host-side sums it was made from (not traced by JAX).
        choice: why `method="auto"` took it; None if it was asked for by name.
    """

    dirty_image: eqx.AbstractVar[Float[Array, "*C N"]]
    products: eqx.AbstractVar[Any]
    reduction: eqx.AbstractVar[Reduction]
    choice: eqx.AbstractVar[str | None]

    @abc.abstractmethod
    def apply(self, images: Float[Array, "N m"]) -> Float[Array, "N m"]:
        """W X."""

    @abc.abstractmethod
    def transform(self, lensing_operator: Float[Array, "N S"]) -> Float[Array, "... S"]:
        """T: what of W L the two products below start from."""

    @abc.abstractmethod
    def curvature(self, lensing_operator: Float[Array, "N S"], transformed) -> Float[Array, "S S"]:
        """F = L^T W L."""

    @abc.abstractmethod
    def pullback(self, transformed, right: Float[Array, "S m"]) -> Float[Array, "N m"]:
        """W L X."""

    @property
    @abc.abstractmethod
    def method(self) -> str:
        """Name of the implementation."""

    @property
    @abc.abstractmethod
    def rank(self) -> int | None:
        """Rank of W kept, None where it is not known."""

    def curvature_matrix(self, indices, weights, n_source):
        """F = L^T W L of a mapper's entries (N, P): by the compiled products on a CPU, else in JAX."""

        def on_device(indices, weights):
            lensing_operator = dense_lensing_operator(indices, weights, n_source)
            return self.curvature(lensing_operator, self.transform(lensing_operator))

        products = self.products
        if products is None:
            return on_device(indices, weights)

        def call(indices, weights):
            from .sparse import SparseLens

            entries = np.asarray(indices), np.asarray(weights)
            if not np.isfinite(np.sum(entries[1])):
                return np.full(shape.shape, np.nan)
            with one_blas_thread():
                lens = SparseLens.of(*entries, n_source)
                lower = np.tril(products.curvature(lens, keep=False)[0])
            return lower + np.tril(lower, -1).T

        shape = jax.ShapeDtypeStruct((n_source, n_source), weights.dtype)

        def on_host(indices, weights):
            return jax.pure_callback(call, shape, indices, weights, vmap_method="sequential")

        return jax.lax.platform_dependent(indices, weights, cpu=on_host, default=on_device)

    @property
    def n_channels(self):
        """C: dirty images that share W, 1 where it has the shape (N,)."""
        return 1 if self.dirty_image.ndim == 1 else self.dirty_image.shape[0]

    @property
    def mask(self):
        """The mask it lives on; None where it has several."""
        return self.reduction.mask

    @property
    def n_pixels(self):
        """N."""
        return self.dirty_image.shape[-1]

    @property
    def kernel(self):
        """W-tilde as a kernel of offsets, shape (2 ny - 1, 2 nx - 1), zero offset in the middle [Jy^-2].

        W_ij = kernel[row_i - row_j + ny - 1, column_i - column_j + nx - 1]; summed over data sets, without
        primary beams.

        Raises:
            InputError: an image, whose W is not made of such kernels (`dense` has it).
        """
        if not self.reduction.terms:
            raise InputError(f"an operator of kind {self.reduction.kind} has no kernel of offsets; dense() gives W")
        return jnp.asarray(sum(term.kernel for term in self.reduction.terms))

    def dense(self):
        """W itself, shape (N, N) [Jy^-2], primary beams included."""
        return jnp.asarray(self.reduction.dense())

    def save(self, path):
        """Write to one `.npz` that `load_normal_operator` reads."""
        self.reduction.save(path, method=self.method)

    def __add__(self, other):
        from .build import operator_from_reduction

        return operator_from_reduction(self.reduction + other.reduction, self.method if self.choice is None else "auto")

    def __repr__(self):
        r = self.reduction
        rank = "" if self.rank is None else f", rank {self.rank}"
        data = f"{r.n_visibilities} visibilities" if r.kind == "visibilities" else f"{r.n_real_data} data, {r.kind}"
        return f"NormalOperator({self.method}: {data}, {self.n_pixels} pixels{rank})"


def host_products(make):
    """make(), or None where numba is not installed: the JAX path then serves the CPU as well."""
    try:
        return make()
    except ImportError:
        return None
