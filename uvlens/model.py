"""The lens model: from a vector of free parameters to ln E, left to right.

parameters -> LensPlane.ray_trace(rays) -> for every sky: mesh geometry -> Mapper (L) -> H -> ln E, added
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .errors import InputError
from .inversion import Inversion
from .lens import LensPlane
from .parameters import Parameters
from .priors import LogUniform
from .sky import FittedSky, as_skies
from .source import AbstractRegularization, RectangularMesh

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
        spectral_index: alpha of a brightness that goes as (nu / nu_0)^alpha, nu_0 the weighted mean frequency of its
            data; None: the same at all frequencies.
    """

    pixels: PixelSource
    redshift: Any = None
    spectral_index: Any = None


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
    """A lens and the pixelised sources behind it, seen by one or several normal operators.

        ln E = sum over skies of ln E(sky)

    Args:
        normal: the normal operator of the data; a Sky; or a list of these, each with a source of its own (bands that
            look different, a line and its continuum).
        lens: a LensPlane, or a list of mass components.
        source: a Source or PixelSource; a list has one for each sky (or for each `Sky.source`). Of a single one every
            sky takes mesh, prior and strength, with a source vector of its own.
        rays: rays per side of an image pixel; its brightness is the mean over rays x rays of them.
        positions: optional guard against demagnified solutions.

    Fields of components may be numbers, priors (`uvl.Uniform(...)` or a numpyro distribution) or `SameAs(path)`.

    Raises:
        InputError: skies on different masks, or as many sources as do not fit.
    """

    skies: tuple[FittedSky, ...]
    rays_x: Float[Array, "N rays"]
    rays_y: Float[Array, "N rays"]
    positions: Positions | None
    parameters: Parameters = eqx.field(static=True)
    components: dict = eqx.field(static=True)

    def __init__(self, normal, lens, source, rays=4, positions=None):
        lens = lens if isinstance(lens, LensPlane) else LensPlane(lens)
        skies = as_skies(normal)
        several = isinstance(source, list | tuple)
        sources, ranges = zip(*(_settled(one) for one in (source if several else [source])))
        if several and {sky.source for sky in skies} != set(range(len(sources))):
            raise InputError(f"{len(sources)} sources for {len({sky.source for sky in skies})} skies")
        self.components = {"lens": lens, "source": list(sources) if several else sources[0]}
        self.parameters = Parameters(self.components)
        which = [sky.source if several else 0 for sky in skies]
        self.skies = tuple(FittedSky(sky, sources[i].pixels, rays, ranges[i]) for sky, i in zip(skies, which))
        masks = [sky.normal.mask for sky in skies]
        if any(mask.grid != masks[0].grid or not np.array_equal(mask.kept, masks[0].kept) for mask in masks):
            raise InputError("the skies of a model need one mask")
        self.rays_x, self.rays_y = (jnp.asarray(r) for r in masks[0].rays(rays))
        self.positions = positions

    def with_start(self, vector):
        """The same model, its positive solvers starting from the source pixels that are > 0 at `vector` (n,).

        Changes the time of a likelihood near there, not its value.
        """
        if not any(sky.pixels.positive for sky in self.skies):
            return self
        found = {}
        for one in self.inversions(vector):
            found.setdefault(one.sky, one.inversion.source > 0.0)  # of the first channel
        return eqx.tree_at(lambda model: [sky.start for sky in model.skies], self, [found[i] for i in sorted(found)])

    def settled(self, vector):
        """The model with spectral indices, where there are any, in the sums of its operators: for plots and files."""
        model = self
        for i, (sky, problem) in enumerate(zip(self.skies, self._linear_problems(vector))):
            if sky.products_at is not None:
                alone = FittedSky(sky.settled(problem[-1]), sky.pixels, round(self.n_rays**0.5), sky.strength_range)
                skies = (*model.skies[:i], alone, *model.skies[i + 1 :])
                model = eqx.tree_at(lambda m: m.skies, model, skies)
        return model

    def only(self, i):
        """The model of sky i alone."""
        return eqx.tree_at(lambda model: model.skies, self, (self.skies[i],))

    @property
    def normal(self):
        """The normal operator of the first sky."""
        return self.skies[0].normal

    @property
    def pixel_source(self):
        """The PixelSource of the first sky as it was stated, priors in place."""
        return self.skies[0].pixels

    @property
    def n_source(self):
        """S of the first sky."""
        return self.skies[0].n_source

    @property
    def n_rays(self):
        """Rays per image pixel."""
        return self.rays_x.shape[1]

    @property
    def log_evidence_null(self):
        """ln E of an empty sky, all skies together."""
        return sum(sky.normal.reduction.log_evidence_null for sky in self.skies)

    def lens(self, vector):
        """The LensPlane at a physical parameter vector (n,)."""
        return self.parameters.fill(vector)["lens"]

    def _traced(self, vector):
        """[(fitted sky, its Source with numbers, mapper, geometry)]; skies of one source share the mapper."""
        filled, traced, mappers = self.parameters.fill(vector), [], {}
        beta = filled["lens"].ray_trace(self.rays_x, self.rays_y)
        for sky in self.skies:
            component = filled["source"]
            if isinstance(component, list):
                component = component[sky.sky.source]
            if id(component) not in mappers:
                mappers[id(component)] = sky.trace(*beta)
            traced.append((sky, component, *mappers[id(component)]))
        return traced

    def log_likelihood(self, vector):
        """ln E - ln E_null plus the positions term, if there is one, at a physical vector (n,)."""
        return self.log_evidence_minus_null(vector) + self.positions_penalty(vector)

    def positions_penalty(self, vector):
        """The term of the positions guard, 0 without one."""
        return jnp.array(0.0) if self.positions is None else self.positions.log_penalty(self.lens(vector))

    def log_evidence_minus_null(self, vector):
        """ln E - ln E_null at a physical vector (n,); NaN where a positive source was not found."""
        return sum(sky.log_evidence_minus_null(*rest) for sky, *rest in self._traced(vector))

    def log_prob(self, vector):
        """ln E - ln E_null + ln prior at a physical vector (n,)."""
        return self.log_likelihood(vector) + self.parameters.log_prior(vector)

    def log_posterior(self, z):
        """Log density in the unconstrained space, where every prior is a unit normal: ln E - ln E_null - z.z / 2."""
        return self.log_likelihood(self.parameters.from_normal(z)) - 0.5 * jnp.sum(z**2)

    @eqx.filter_jit
    def strengths(self, vector):
        """The dimensionless strength of each sky at a physical vector, found by maximisation if the model says so."""
        values = []
        for sky, component, mapper, geometry in self._traced(vector):
            lam, _ = sky.prior(component, mapper, geometry)
            values.append(lam / sky.coefficient(component.pixels.regularization, 1.0, geometry))
        return values

    def strength(self, vector):
        """That of the first sky."""
        return self.strengths(vector)[0]

    def linear_problem(self, vector):
        """(mapper, bands of H, ln det H) of the first sky at a physical vector (n,): what its evidence is made of."""
        sky, component, mapper, geometry = self._traced(vector)[0]
        lam, log_det_h = sky.prior(component, mapper, geometry)
        return mapper, lam * sky.prior_bands, log_det_h

    def inversions(self, vector):
        """[Reconstruction] of every channel of every sky at a physical vector (n,), in order."""
        found = []
        for i, (sky, problem) in enumerate(zip(self.skies, self._linear_problems(vector))):
            mapper, geometry, lam, log_det_h, index = problem
            several = sky.inversions(mapper, lam, log_det_h, index)
            found += [Reconstruction(i, c, inversion, geometry) for c, inversion in enumerate(several)]
        return found

    def invert(self, vector):
        """(inversion, geometry) of the first channel of the first sky: the source in Jy/arcsec^2 on its mesh."""
        first = self.inversions(vector)[0]
        return first.inversion, first.geometry

    @eqx.filter_jit
    def _linear_problems(self, vector):
        problems = []
        for sky, component, mapper, geometry in self._traced(vector):
            index = None if sky.products_at is None else jnp.asarray(component.spectral_index, dtype=float)
            problems.append((mapper, geometry, *sky.prior(component, mapper, geometry), index))
        return problems


class Reconstruction(NamedTuple):
    """The source of one channel of one sky.

    Attributes:
        sky, channel: numbers.
        inversion: source in Jy/arcsec^2, terms of ln E.
        geometry: of its mesh.
    """

    sky: int
    channel: int
    inversion: Inversion
    geometry: Any


def _settled(source):
    """(Source with a strength that is a number or a prior, range of a strength that is maximised or None)."""
    source = source if isinstance(source, Source) else Source(source)
    strength, strength_range = source.pixels.regularization.strength, None
    if isinstance(strength, str) and strength not in ("auto", "evidence"):
        raise InputError(f'strength must be a number, a prior, "auto" or "evidence", got {strength!r}')
    if isinstance(strength, int | float) and not strength > 0.0:
        raise InputError(f"strength must be positive, got {strength}")
    if isinstance(strength, str):
        strength_range = STRENGTH_RANGE if strength == "evidence" else None
        value = 1.0 if strength_range else LogUniform(*STRENGTH_RANGE)
        source = eqx.tree_at(lambda s: s.pixels.regularization.strength, source, value)
    return source, strength_range
