"""W by non-uniform transforms of the visibilities themselves: W X = P Re A^H w A P X, only constants reduced.

What the other operators are checked against, and the one that knows the visibilities: light in front of the lens whose
transform has a closed form needs no pixels (`visibilities` of a profile). An evaluation costs 2 K transforms, so it
suits few visibilities on many pixels, and fits of light profiles rather than of pixelised sources.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex, Float, Int

from ..errors import InputError
from ..nufft import Transform, transform
from .operator import AbstractNormalOperator
from .reduction import Reduction


class DataTerm(eqx.Module):
    """Visibilities of one data set under one primary beam.

    Attributes:
        u, v: wavelengths, shape (K,).
        vis, weight: shape (K,).
        primary_beam: at the N pixels, or None.
        points, phase, shape, eps: of their Transform.
    """

    u: Float[Array, " K"]
    v: Float[Array, " K"]
    vis: Complex[Array, " K"]
    weight: Float[Array, " K"]
    primary_beam: Float[Array, " N"] | None
    points: tuple
    phase: Complex[Array, " K"]
    shape: tuple[int, int] = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    @property
    def transform(self):
        """Between its baselines and the grid of the mask."""
        return Transform(self.points, self.phase, self.shape, self.eps)


class TransformNormalOperator(AbstractNormalOperator):
    """W applied through the visibilities, two transforms a product; `transforms_operator` makes it.

    Attributes:
        terms: the data.
        rows, columns: of the N pixels in their grid.
    """

    dirty_image: Float[Array, " N"]
    terms: tuple[DataTerm, ...]
    rows: Int[Array, " N"]
    columns: Int[Array, " N"]
    products: Any = eqx.field(static=True)
    reduction: Reduction = eqx.field(static=True)
    choice: str | None = eqx.field(static=True, default=None)

    @property
    def method(self):
        return "nufft"

    @property
    def rank(self):
        return None

    def predict(self, image):
        """[visibilities of an image (N,) in each data set, shape (K,)]."""
        return [self._forward(term, image) for term in self.terms]

    def dirty(self, visibilities):
        """P Re A^H w V of visibilities in each data set, shape (N,)."""
        return sum(self._adjoint(term, vis) for term, vis in zip(self.terms, visibilities))

    def apply(self, images):
        return jax.lax.map(lambda image: self.dirty(self.predict(image)), images.T).T

    def transform(self, lensing_operator):
        return self.apply(lensing_operator)

    def curvature(self, lensing_operator, transformed):
        product = lensing_operator.T @ transformed
        return 0.5 * (product + product.T)

    def pullback(self, transformed, right):
        return transformed @ right

    def _forward(self, term, image):
        image = image if term.primary_beam is None else image * term.primary_beam
        grid = jnp.zeros(term.shape).at[self.rows, self.columns].set(image, unique_indices=True)
        return term.transform.forward(grid)

    def _adjoint(self, term, vis):
        image = term.transform.adjoint(term.weight * vis).real[self.rows, self.columns]
        return image if term.primary_beam is None else image * term.primary_beam


def transforms_operator(data_sets, reductions, eps=1e-12):
    """The operator of Visibilities whose Reductions on one mask are known.

    Args:
        data_sets: Visibilities, each under one primary beam.
        reductions: Reduction of each.
        eps: of the transforms.

    Raises:
        InputError: data that are not in memory; a primary beam that changes along the band; a pixel window.
    """
    from ..data.visibilities import Visibilities

    terms, total = [], None
    for data, reduction in zip(data_sets, reductions):
        if not isinstance(data, Visibilities):
            raise InputError("operator nufft needs the visibilities themselves: not a stream, nor compressed data")
        if len(reduction.terms) > 1:
            raise InputError("operator nufft takes one primary beam a data set: select one spectral window at a time")
        if reduction.pixel_window:
            raise InputError("operator nufft has no pixel window: take smaller pixels")
        kept, beam = data.unflagged(), reduction.terms[0].primary_beam
        found = transform(kept.u, kept.v, reduction.mask.grid, eps)
        arrays = (jnp.asarray(a) for a in (kept.u, kept.v, kept.vis, kept.weight))
        beam = None if beam is None else jnp.asarray(beam)
        terms.append(DataTerm(*arrays, beam, found.points, found.phase, found.shape, found.eps))
        total = reduction if total is None else total + reduction
    assert total is not None
    mask = total.mask
    return TransformNormalOperator(
        jnp.asarray(total.dirty_image), tuple(terms), jnp.asarray(mask.rows), jnp.asarray(mask.columns), None, total
    )


def closed_form(operator, profile):
    """Whether light in front of the lens is transformed without pixels: it can be, under no primary beam."""
    if not isinstance(operator, TransformNormalOperator) or not profile.has_visibilities:
        return False
    return all(term.primary_beam is None for term in operator.terms)
