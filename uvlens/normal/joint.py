"""Several skies that one source is fitted to at once: their pixels one below the other, W block diagonal.

    L = [L_1; L_2; ...],  W = diag(W_1, W_2, ...),  F = sum_p L_p^T W_p L_p,  d~ = [d~_1; d~_2; ...]

An image and visibilities, two images with PSFs of their own, a mosaic of masks: each part is a normal operator with its
mask, and the rows of L are those of the first part's pixels, then those of the second, ...
"""

import dataclasses
import functools
import itertools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .operator import AbstractNormalOperator


@dataclasses.dataclass(frozen=True, eq=False)
class JointReduction:
    """The constants of several reductions, added; mask by mask the pixels follow one another.

    Args:
        parts: Reduction, ImagingReduction, ..., each with one dirty image.
    """

    parts: tuple[Any, ...]

    kind = "joint"
    mask = None
    terms = ()

    @functools.cached_property
    def dirty_image(self):
        """d~ of all parts, shape (N,)."""
        return np.concatenate([part.dirty_image for part in self.parts])

    @property
    def masks(self):
        """Mask of each part."""
        return tuple(part.mask for part in self.parts)

    @property
    def null_chi_squared(self):
        """d^H C^-1 d of all data."""
        return _added(part.null_chi_squared for part in self.parts)

    @property
    def noise_normalization(self):
        """Sum of ln(2 pi sigma^2) over all data."""
        return _added(part.noise_normalization for part in self.parts)

    @property
    def log_evidence_null(self):
        """ln E of an empty sky."""
        return -0.5 * float(self.null_chi_squared + self.noise_normalization)

    @property
    def n_visibilities(self):
        """K of all parts."""
        return sum(part.n_visibilities for part in self.parts)

    @property
    def n_real_data(self):
        """Real numbers that are fitted."""
        return sum(part.n_real_data for part in self.parts)

    @property
    def sum_weight(self):
        """Of the first part: a strength keeps the meaning that it has there."""
        return self.parts[0].sum_weight

    @property
    def resolution_area(self):
        """Of the first part [arcsec^2]."""
        return self.parts[0].resolution_area

    @property
    def pixel_window(self):
        """Of the first part."""
        return self.parts[0].pixel_window

    @property
    def phase_center(self):
        """Of the first part that knows it."""
        return next((part.phase_center for part in self.parts if part.phase_center is not None), None)

    @property
    def observations(self):
        """Of all parts."""
        return tuple(one for part in self.parts for one in part.observations)

    @property
    def hashes(self):
        """Of all parts."""
        return tuple(one for part in self.parts for one in part.hashes)

    def dense(self):
        """W, shape (N, N)."""
        import scipy.linalg

        return scipy.linalg.block_diag(*(part.dense() for part in self.parts))

    def __add__(self, other):
        raise InputError("joint operators do not add: join all their parts, joint_operator([...])")

    def save(self, path, **extra):
        raise InputError("the parts of a joint operator are saved one by one, each in a file of its own")


class JointNormalOperator(AbstractNormalOperator):
    """W = diag(W_1, W_2, ...) on the pixels of several masks.

    Attributes:
        parts: normal operators of one dirty image each.
    """

    parts: tuple[AbstractNormalOperator, ...]
    products: Any = eqx.field(static=True)
    reduction: JointReduction = eqx.field(static=True)  # pyright: ignore[reportIncompatibleVariableOverride]
    choice: str | None = eqx.field(static=True, default=None)

    @property
    def dirty_image(self):
        return jnp.concatenate([part.dirty_image for part in self.parts])

    @property
    def method(self):
        return " + ".join(part.method for part in self.parts)

    @property
    def rank(self):
        ranks = [part.rank for part in self.parts]
        return None if any(rank is None for rank in ranks) else sum(ranks)

    @property
    def edges(self):
        """First row of each part, and N: shape (parts + 1,)."""
        return _edges(part.n_pixels for part in self.parts)

    def apply(self, images):
        return jnp.concatenate([part.apply(rows) for part, rows in self._by_part(images)])

    def transform(self, lensing_operator):
        return tuple(part.transform(rows) for part, rows in self._by_part(lensing_operator))

    def curvature(self, lensing_operator, transformed):
        rows = self._by_part(lensing_operator)
        return sum(part.curvature(own, one) for (part, own), one in zip(rows, transformed))

    def pullback(self, transformed, right):
        return jnp.concatenate([part.pullback(one, right) for part, one in zip(self.parts, transformed)])

    def _by_part(self, array):
        """[(part, its rows), ...]."""
        return [(part, array[a:b]) for part, (a, b) in zip(self.parts, itertools.pairwise(self.edges))]


def joint_operator(parts):
    """The JointNormalOperator of normal operators that see one source, in the order of the rows of L.

    Raises:
        InputError: no part, or one with several channels on one W.
    """
    parts = tuple(parts)
    if not parts:
        raise InputError("a joint operator needs at least one operator")
    if any(part.dirty_image.ndim > 1 for part in parts):
        raise InputError("channels that share a curvature matrix cannot be part of a joint operator: give each its own")
    choices = [part.choice for part in parts]
    choice = None if all(one is None for one in choices) else "; ".join(one or "by name" for one in choices)
    products = [part.products for part in parts]
    joined = None
    if all(one is not None for one in products):
        from .joint_products import JointProducts

        joined = JointProducts(products, _edges(p.n_pixels for p in parts))
    return JointNormalOperator(parts, joined, JointReduction(tuple(part.reduction for part in parts)), choice)


def _edges(sizes):
    return tuple(itertools.accumulate(sizes, initial=0))


def _added(sums):
    return functools.reduce(lambda a, b: a + b, sums)
