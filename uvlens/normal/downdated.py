"""W - U^T U on top of any operator for W: what marginalised calibration nuisances leave (see `nuisances`).

In JAX every product gains two with U (m x N); on a CPU F gains a rank-m downdate of (U L)^T (U L), and the gradient's
product U^T (U L X) at the entries of L.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .operator import AbstractNormalOperator, host_products
from .reduction import Reduction


class DowndatedNormalOperator(AbstractNormalOperator):
    """W - U^T U.

    Attributes:
        base: an operator for W, with the dirty image of the marginalised data.
        downdate: U, shape (m, N).
    """

    base: AbstractNormalOperator
    downdate: Float[Array, "m N"]
    products: Any = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)
    choice: str | None = eqx.field(static=True, default=None)

    @property
    def dirty_image(self) -> Float[Array, " N"]:
        return self.base.dirty_image

    @property
    def method(self):
        return self.base.method

    @property
    def rank(self):
        return None

    def apply(self, images):
        return self.base.apply(images) - self.downdate.T @ (self.downdate @ images)

    def transform(self, lensing_operator):
        return self.base.transform(lensing_operator), self.downdate @ lensing_operator

    def curvature(self, lensing_operator, transformed):
        own, answers = transformed
        return self.base.curvature(lensing_operator, own) - answers.T @ answers

    def pullback(self, transformed, right):
        own, answers = transformed
        return self.base.pullback(own, right) - self.downdate.T @ (answers @ right)


def downdated(base):
    """The operator of a base whose reduction has nuisances; the base itself where it has none."""
    reduction = base.reduction
    if not reduction.nuisances:
        return base
    factor = reduction.downdate
    products = None if base.products is None else host_products(lambda: _products(base.products, factor))
    return DowndatedNormalOperator(base, jnp.asarray(factor), products, reduction)


def _products(base, factor):
    from .downdated_products import DowndatedProducts

    return DowndatedProducts(base, np.ascontiguousarray(factor))
