"""One linear system: everything that a sky sees (or several skies that share a source), and its evidence.

L = [mesh 1, mesh 2, ..., marginalised amplitudes, optimised amplitudes],   rows: pixels of sky 1, of sky 2, ...
H = block diagonal of lambda_b G_b and of the amplitudes' own priors
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from .columns import Columns
from .entries import added, assembled, fixed_images, stacked, traced_block
from .inversion import (
    FixedImage,
    best_coefficient,
    invert_channels,
    join_bands,
    log_evidence_minus_null,
    matrix_from_bands,
    run_inversion,
    spectral_evidence_minus_null,
    take_out,
)
from .normal import operator_from_reduction
from .normal.operator import AbstractNormalOperator
from .normal.spectral import ProductsAt
from .normal.transforms import closed_form
from .reconstruction import Light, Part, Reconstruction
from .sky import Sky
from .source import Mapper
from .sourcemodel import STRENGTH_RANGE
from .weightscale import null_shift, scales_of


class Problem(NamedTuple):
    """A system at one point of parameter space.

    Attributes:
        mapper: L, all rows and columns.
        geometries: of the mesh of each block.
        prior: H, lower bands or dense.
        log_det: ln det H of what has a prior, and n ln 2 pi of amplitudes without one.
        strengths: dimensionless, of each block.
        index: spectral index, or None.
        fixed: FixedImage of the light whose fluxes are parameters, or None.
        profiles: light profiles of the columns and then of those that are none, filled with numbers.
        images: of those that are none, shape (N of their sky,).
        scales: factor of the weights of each member, or None.
    """

    mapper: Mapper
    geometries: tuple
    prior: Array
    log_det: Array
    strengths: tuple
    index: Array | None
    fixed: FixedImage | None = None
    profiles: tuple = ()
    images: tuple = ()
    scales: Array | None = None


class FittedSystem(eqx.Module):
    """One or several skies with the sources that are fitted to them; `fitted_system` makes it.

    Attributes:
        skies: the members; several only where they share a source.
        normal: operator of all their pixels.
        adapt: adapt image of each block at its pixels, or None.
        start: passive set the positive solver begins with, shape (S,).
        numbers: of the members among the skies of the model.
        grids: numbers of their rays among the grids of the model.
        columns: what the columns of L are.
        products_at: of a spectral index, or None.
    """

    skies: tuple[Sky, ...]
    normal: AbstractNormalOperator
    adapt: tuple
    start: Bool[Array, " S"]
    numbers: tuple[int, ...] = eqx.field(static=True)
    grids: tuple[int, ...] = eqx.field(static=True)
    columns: Columns = eqx.field(static=True)
    products_at: ProductsAt | None = eqx.field(static=True, default=None)

    @property
    def n_source(self):
        """S, amplitudes included."""
        return self.columns.n_source

    @property
    def n_channels(self):
        """C."""
        return self.skies[0].n_channels

    @property
    def reduction(self):
        """What its data were reduced to."""
        return self.normal.reduction

    @property
    def row_starts(self):
        """Row of L at which each member begins, and the number of rows."""
        return np.concatenate([[0], np.cumsum([sky.mask.n_pixels for sky in self.skies])])

    def problem(self, filled, scene):
        """The Problem at components filled with numbers, rays traced by a Scene."""
        traced = [traced_block(self, b, block, filled, scene) for b, block in enumerate(self.columns.blocks)]
        mapper = assembled(self, filled, scene, [entries for _, entries in traced])
        geometries = tuple(geometry for geometry, _ in traced)
        index = None
        if self.products_at is not None:
            index = jnp.asarray(filled["source"][self.skies[0].sources[0]].spectral_index, dtype=float)
        images = fixed_images(self, filled, scene)
        fixed = self._taken_out(filled, scene, images) if images else None
        data = self.normal.dirty_image if fixed is None else fixed.dirty_image
        scales = scales_of(filled, self.skies)
        rows, data = self._scaled(scales, mapper, data)
        prior, log_det, strengths = self._prior(filled, traced, mapper, rows, data)
        lights = self.columns.amplitudes + self.columns.fixed
        profiles = tuple(one.component(filled, self.skies) for one in lights)
        return Problem(mapper, geometries, prior, log_det, strengths, index, fixed, profiles, images, scales)

    def _scaled(self, scales, mapper, data):
        """(L, d~) with rows times sqrt(f), which make f F and f D."""
        if scales is None:
            return mapper, data
        root = jnp.repeat(jnp.sqrt(scales), np.diff(self.row_starts), total_repeat_length=int(self.row_starts[-1]))
        return Mapper(mapper.indices, mapper.weights * root[:, None], mapper.n_source), data * root

    def _scaled_fixed(self, problem):
        """The FixedImage with its data and chi squared under scaled weights, or None."""
        fixed, scales = problem.fixed, problem.scales
        if fixed is None or scales is None:
            return fixed
        _, data = self._scaled(scales, problem.mapper, fixed.dirty_image)
        chi_squared = scales[0] * fixed.chi_squared_minus_null
        if len(self.skies) > 1:
            terms = -fixed.image * (fixed.dirty_image + self.normal.dirty_image)
            starts = self.row_starts
            chi_squared = sum(f * jnp.sum(terms[a:b]) for f, a, b in zip(scales, starts[:-1], starts[1:]))
        return FixedImage(fixed.image, data, chi_squared)

    def _taken_out(self, filled, scene, images):
        """The FixedImage of the light whose fluxes are parameters; what has a closed form goes without its pixels."""
        closed = [
            closed_form(self.normal, one.profile)
            and not isinstance(one.place, int)
            and (one.place != "lens" or scene.is_first(one.plane or 0))
            for one in self.columns.fixed
        ]
        profiles = [one.component(filled, self.skies) for one, skip in zip(self.columns.fixed, closed) if skip]
        pixels = [jnp.zeros_like(image) if skip else image for image, skip in zip(images, closed)]
        return take_out(self.normal, added(self, images), added(self, pixels), profiles)

    def _prior(self, filled, traced, mapper, rows, data):
        """(H, ln det H, strengths): of the blocks, and of amplitudes that have a prior; `rows`: L as it is solved."""
        matrices, log_det, strengths, free = [], 0.0, [], None
        for number, (block, (geometry, found)) in enumerate(zip(self.columns.blocks, traced)):
            regularization = filled["source"][block.source].parts[block.part].regularization
            own = Mapper(*stacked([found[k] for k in block.skies]), block.mesh.n_source)
            prior = regularization.prior(block.mesh, geometry, self.reduction.resolution_area, own, self.adapt[number])
            scale = self.coefficient(regularization.strength)
            if block.maximised:
                free = number
            matrices.append((prior.matrix, scale))
            log_det += block.mesh.n_source * jnp.log(scale) + prior.log_det
            strengths.append(regularization.strength)
        priors = [one.prior for one in self.columns.amplitudes]
        rest = [(jnp.asarray(np.concatenate([one.diagonal for one in priors]))[None, :], 1.0)] if priors else []
        log_det += sum(one.log_det + 2.0 * one.constant for one in priors)
        if free is not None:
            best = self._best_coefficient(rows, matrices + rest, free, data)
            log_det += self.columns.blocks[free].mesh.n_source * (jnp.log(best) - jnp.log(matrices[free][1]))
            strengths[free] = best / self.coefficient(1.0)
            matrices[free] = (matrices[free][0], best)
        blocks = [matrix * scale for matrix, scale in matrices + rest]
        prior = join_bands(blocks) if blocks else jnp.zeros((0, 0))
        return prior, jnp.asarray(log_det), tuple(strengths)

    def coefficient(self, strength):
        """lambda_0 = strength sum_k w_k Omega_N^2 of a dimensionless strength."""
        return strength * self.reduction.sum_weight * self.reduction.resolution_area**2

    def _best_coefficient(self, mapper, matrices, free, data):
        """lambda_0 of block `free` at the maximum of the evidence, everything else fixed."""
        mapper, block = jax.lax.stop_gradient(mapper), self.columns.blocks[free]
        rest = None
        if len(matrices) > 1:
            others = [matrix * (0.0 if number == free else scale) for number, (matrix, scale) in enumerate(matrices)]
            rest = matrix_from_bands(join_bands(others))
        best = best_coefficient(
            self.normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
            mapper.transposed_product(jax.lax.stop_gradient(data)),
            matrix_from_bands(matrices[free][0]),
            *(self.coefficient(bound) for bound in STRENGTH_RANGE),
            rest=rest,
            first=block.first,
            **self._limits,
        )
        return jax.lax.stop_gradient(best)

    @property
    def _limits(self):
        """What bounds the coefficients, and which of them enter the determinants."""
        columns = self.columns
        constrained, n = columns.constrained, columns.n_determined
        return {
            "allowed": jnp.asarray(columns.allowed),
            "positive": bool(constrained.any()),
            "n_determined": None if n == columns.n_source else n,
            "constrained": None if constrained.all() or not constrained.any() else jnp.asarray(constrained),
        }

    def log_evidence_minus_null(self, problem):
        """ln E - ln E_null of all channels; NaN where the positive source was not found."""
        limits, fixed, scales = self._limits, self._scaled_fixed(problem), problem.scales
        mapper, scaled = self._scaled(scales, problem.mapper, self.normal.dirty_image)
        outside = 0.0 if fixed is None else -0.5 * fixed.chi_squared_minus_null
        if scales is not None:
            outside = outside - 0.5 * sum(null_shift(scales, self.skies))
        if self.n_source == 0:
            return outside
        arguments = (mapper.indices, mapper.weights, problem.prior, limits["allowed"], self.start, limits["positive"])
        if self.products_at is None:
            arguments += (limits["n_determined"], limits["constrained"])
            data = (None if scales is None else scaled) if fixed is None else fixed.dirty_image
            value = log_evidence_minus_null(self.normal, *arguments, data)
        else:
            value = spectral_evidence_minus_null(self.products_at, problem.index, *arguments)
        return value + outside + 0.5 * self.n_channels * problem.log_det

    def settled(self, problem):
        """The same system with its spectral index, if it has one, in the sums of its operator."""
        if problem.index is None:
            return self
        old = self.skies[0]
        assert old.spectral is not None
        operator = operator_from_reduction(old.spectral.at(float(problem.index)), "auto")
        law = (float(problem.index), old.spectral.reference_frequency)
        sky = Sky(operator, old.name, old.sources, old.frequencies, law=law, rays=old.rays)
        return dataclasses.replace(self, skies=(sky,), normal=operator, products_at=None)

    def inversions(self, problem):
        """[Inversion] of the channels: sources in flux per arcsec^2, then amplitudes."""
        h = matrix_from_bands(problem.prior) if self.n_source else problem.prior
        if self.skies[0].shared is not None:
            return list(
                invert_channels(self.skies[0].shared, self.normal, problem.mapper, h, problem.log_det, **self._limits)
            )
        normal = self.settled(problem).normal
        if problem.scales is None:
            return [run_inversion(normal, problem.mapper, h, problem.log_det, **self._limits, fixed=problem.fixed)]
        mapper, data = self._scaled(problem.scales, problem.mapper, normal.dirty_image)
        fixed = self._scaled_fixed(problem)
        nothing = FixedImage(jnp.zeros_like(data), data, jnp.zeros(()))
        found = run_inversion(normal, mapper, h, problem.log_det, **self._limits, fixed=fixed or nothing)
        shift = tuple(float(value) for value in null_shift(problem.scales, self.skies))
        return [dataclasses.replace(found, mapper=problem.mapper, fixed=fixed, null_shift=shift)]

    def reconstructions(self, problem):
        """[Reconstruction] of every channel of every member."""
        parts = [
            Part(block, geometry, float(strength))
            for block, geometry, strength in zip(self.columns.blocks, problem.geometries, problem.strengths)
        ]
        starts, found = self.row_starts, []
        for channel, inversion in enumerate(self.inversions(problem)):
            for k, (number, sky) in enumerate(zip(self.numbers, self.skies)):
                normal = inversion.normal if len(self.skies) == 1 else sky.normal
                own = [part for part in parts if k in part.block.skies]
                lights = self._lights(problem, inversion, k)
                rows = slice(int(starts[k]), int(starts[k + 1]))
                scale = 1.0 if problem.scales is None else float(problem.scales[k])
                found.append(Reconstruction(number, channel, sky, normal, inversion, rows, tuple(own), lights, scale))
        return sorted(found, key=lambda one: (one.sky, one.channel))

    def _lights(self, problem, inversion, sky):
        """(Light, ...) of one member."""
        linear, found = self.columns.amplitudes, []
        rows = slice(*(int(row) for row in self.row_starts[sky : sky + 2]))
        for one, profile in zip(linear, problem.profiles):
            if one.sky == sky:
                amplitudes = np.asarray(inversion.source[one.first : one.stop])
                chosen = jnp.zeros(self.n_source).at[one.first : one.stop].set(amplitudes)
                found.append(Light(one, profile, amplitudes, np.asarray(inversion.mapper.apply(chosen)[rows])))
        for one, profile, image in zip(self.columns.fixed, problem.profiles[len(linear) :], problem.images):
            if one.sky == sky:
                found.append(Light(one, profile, np.asarray(profile.flux).reshape(1), np.asarray(image)))
        return tuple(found)
