"""The lens model: from a vector of free parameters to ln E, left to right.

parameters -> LensPlane.ray_trace(rays) -> mesh geometry -> Mapper (L) -> H -> ln E
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .errors import InputError
from .inversion import bands_from_matrix, best_coefficient, log_evidence_minus_null, matrix_from_bands, run_inversion
from .lens import LensPlane
from .normal import SourceSize, suited
from .normal.operator import AbstractNormalOperator
from .parameters import Parameters
from .priors import LogUniform
from .source import AbstractRegularization, Mapper, RectangularMesh
from .source.regularization import log_det

STRENGTH_RANGE = (1e-6, 1e6)
"""Of the default prior on a regularisation strength, and the bounds of `strength="evidence"`."""


class PixelSource(eqx.Module):
    """A source made of pixels.

    Args:
        mesh: where its coefficients live.
        regularization: the prior that ties neighbours together; strength "auto" is loguniform 1e-6..1e6.
        positive: require every coefficient >= 0.
    """

    mesh: RectangularMesh
    regularization: AbstractRegularization
    positive: bool = eqx.field(static=True, default=False)


class Source(eqx.Module):
    """What lies behind the lens.

    Args:
        pixels: its pixelised part.
        redshift: kept for the results.
    """

    pixels: PixelSource
    redshift: Any = None


class Positions(eqx.Module):
    """Guard of pixelised searches: images of one source must trace back to within `threshold` of each other.

    ln L gains -1/2 (excess / (0.1 threshold))^2, excess = largest separation in the source plane - threshold > 0.

    Args:
        xy: image positions, shape (M, 2), M >= 2 [arcsec East, North].
        threshold: arcsec.
    """

    xy: Float[Array, "M 2"]
    threshold: float = eqx.field(static=True)

    def __check_init__(self):
        if self.xy.ndim != 2 or self.xy.shape[1] != 2 or self.xy.shape[0] < 2:
            raise InputError(f"positions need at least two (x, y) pairs, got shape {self.xy.shape}")
        if not self.threshold > 0.0:
            raise InputError(f"positions threshold must be a positive number of arcsec, got {self.threshold}")

    def log_penalty(self, lens):
        """The term added to ln L."""
        beta_x, beta_y = lens.ray_trace(self.xy[:, 0], self.xy[:, 1])
        i, j = jnp.triu_indices(len(self.xy), 1)
        squared = (beta_x[i] - beta_x[j]) ** 2 + (beta_y[i] - beta_y[j]) ** 2
        excess = jnp.sqrt(jnp.maximum(jnp.max(squared), self.threshold**2)) - self.threshold
        return -0.5 * (excess / (0.1 * self.threshold)) ** 2


class Model(eqx.Module):
    """A lens and a pixelised source behind it, seen by one normal operator.

    Args:
        normal: the normal operator of the data.
        lens: a LensPlane, or a list of mass components.
        source: a Source or PixelSource.
        rays: rays per side of an image pixel; its brightness is the mean over rays x rays of them.
        positions: optional guard against demagnified solutions.

    Fields of components may be numbers, priors (`uvl.Uniform(...)` or a numpyro distribution) or `SameAs(path)`.
    """

    normal: AbstractNormalOperator
    rays_x: Float[Array, "N rays"]
    rays_y: Float[Array, "N rays"]
    prior_bands: Float[Array, "bands S"]
    start: Bool[Array, " S"]
    positions: Positions | None
    parameters: Parameters = eqx.field(static=True)
    components: dict = eqx.field(static=True)
    strength_is_maximised: bool = eqx.field(static=True)

    def __init__(self, normal, lens, source, rays=4, positions=None):
        lens = lens if isinstance(lens, LensPlane) else LensPlane(lens)
        source = source if isinstance(source, Source) else Source(source)
        strength = source.pixels.regularization.strength
        if isinstance(strength, str) and strength not in ("auto", "evidence"):
            raise InputError(f'strength must be a number, a prior, "auto" or "evidence", got {strength!r}')
        if isinstance(strength, int | float) and not strength > 0.0:
            raise InputError(f"strength must be positive, got {strength}")
        self.strength_is_maximised = isinstance(strength, str) and strength == "evidence"
        if isinstance(strength, str):
            value = 1.0 if self.strength_is_maximised else LogUniform(*STRENGTH_RANGE)
            source = eqx.tree_at(lambda s: s.pixels.regularization.strength, source, value)
        self.components = {"lens": lens, "source": source}
        self.parameters = Parameters(self.components)
        mesh = source.pixels.mesh
        self.normal = normal = suited(normal, SourceSize(mesh.n_source, mesh.entries(rays)))
        self.rays_x, self.rays_y = (jnp.asarray(r) for r in normal.mask.rays(rays))
        prior = source.pixels.regularization.matrix(source.pixels.mesh.shape)
        self.prior_bands = jnp.asarray(bands_from_matrix(prior))
        self.positions = positions
        self.start = jnp.ones(source.pixels.mesh.n_source, bool)

    def with_start(self, vector):
        """The same model, its positive solver starting from the source pixels that are > 0 at `vector` (n,).

        Changes the time of a likelihood near there, not its value.
        """
        if not self.pixel_source.positive:
            return self
        source = self.invert(vector)[0].source
        return eqx.tree_at(lambda model: model.start, self, source > 0.0)

    @property
    def pixel_source(self):
        """The PixelSource as it was stated, priors in place."""
        return self.components["source"].pixels

    @property
    def n_source(self):
        """S."""
        return self.pixel_source.mesh.n_source

    @property
    def n_rays(self):
        """Rays per image pixel."""
        return self.rays_x.shape[1]

    def lens(self, vector):
        """The LensPlane at a physical parameter vector (n,)."""
        return self.parameters.fill(vector)["lens"]

    def trace(self, lens):
        """(mapper, geometry): where the rays of every image pixel land on the mesh; source in Jy/arcsec^2."""
        beta_x, beta_y = lens.ray_trace(self.rays_x, self.rays_y)
        mesh = self.pixel_source.mesh
        geometry = mesh.geometry(beta_x, beta_y)
        indices, weights = mesh.interpolation(beta_x, beta_y, geometry)
        n_pixels = self.rays_x.shape[0]
        area = self.normal.mask.grid.pixel_area / self.n_rays
        return Mapper(indices.reshape(n_pixels, -1), weights.reshape(n_pixels, -1) * area, self.n_source), geometry

    def _prior(self, filled, mapper, geometry):
        """lambda and ln det H, the strength taken from the parameters or from the maximum of the evidence."""
        regularization = filled["source"].pixels.regularization
        reduction = self.normal.reduction

        def coefficient(strength):
            return regularization.coefficient(
                strength, reduction.sum_weight, reduction.resolution_area, geometry.spacing
            )

        lam = coefficient(regularization.strength)
        if self.strength_is_maximised:
            lam = jax.lax.stop_gradient(self._best_coefficient(mapper, *(coefficient(b) for b in STRENGTH_RANGE)))
        constant = self.pixel_source.regularization.log_det_matrix(self.pixel_source.mesh.shape)
        return lam, log_det(lam, self.n_source, constant)

    def _best_coefficient(self, mapper, lowest, highest):
        mapper = jax.lax.stop_gradient(mapper)
        return best_coefficient(
            self.normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
            mapper.transposed_product(self.normal.dirty_image),
            matrix_from_bands(self.prior_bands),
            lowest,
            highest,
            positive=self.pixel_source.positive,
        )

    def log_likelihood(self, vector):
        """ln E - ln E_null plus the positions term, if there is one, at a physical vector (n,)."""
        return self.log_evidence_minus_null(vector) + self.positions_penalty(vector)

    def positions_penalty(self, vector):
        """The term of the positions guard, 0 without one."""
        return jnp.array(0.0) if self.positions is None else self.positions.log_penalty(self.lens(vector))

    def log_evidence_minus_null(self, vector):
        """ln E - ln E_null at a physical vector (n,); NaN where the positive source was not found."""
        filled = self.parameters.fill(vector)
        mapper, geometry = self.trace(filled["lens"])
        lam, log_det_h = self._prior(filled, mapper, geometry)
        value = log_evidence_minus_null(
            self.normal,
            mapper.indices,
            mapper.weights,
            lam * self.prior_bands,
            jnp.ones(self.n_source, bool),
            self.start,
            self.pixel_source.positive,
        )
        return value + 0.5 * log_det_h

    def log_prob(self, vector):
        """ln E - ln E_null + ln prior at a physical vector (n,)."""
        return self.log_likelihood(vector) + self.parameters.log_prior(vector)

    def log_posterior(self, z):
        """Log density in the unconstrained space, where every prior is a unit normal: ln E - ln E_null - z.z / 2."""
        return self.log_likelihood(self.parameters.from_normal(z)) - 0.5 * jnp.sum(z**2)

    @eqx.filter_jit
    def strength(self, vector):
        """The dimensionless strength at a physical vector, found by maximisation if the model says so."""
        filled = self.parameters.fill(vector)
        mapper, geometry = self.trace(filled["lens"])
        lam, _ = self._prior(filled, mapper, geometry)
        reduction = self.normal.reduction
        unit = filled["source"].pixels.regularization.coefficient(
            1.0, reduction.sum_weight, reduction.resolution_area, geometry.spacing
        )
        return lam / unit

    def invert(self, vector):
        """(inversion, geometry) at a physical vector (n,): the source in Jy/arcsec^2 on its mesh."""
        mapper, geometry, h, log_det_h = self._linear_problem(vector)
        allowed = jnp.ones(self.n_source, bool)
        return run_inversion(self.normal, mapper, h, log_det_h, allowed, self.pixel_source.positive), geometry

    @eqx.filter_jit
    def _linear_problem(self, vector):
        filled = self.parameters.fill(vector)
        mapper, geometry = self.trace(filled["lens"])
        lam, log_det_h = self._prior(filled, mapper, geometry)
        return mapper, geometry, lam * matrix_from_bands(self.prior_bands), log_det_h
