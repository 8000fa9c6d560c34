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
from .entries import assembled, stacked, traced_block
from .errors import InputError
from .inversion import (
    best_coefficient,
    invert_channels,
    join_bands,
    log_evidence_minus_null,
    matrix_from_bands,
    run_inversion,
    spectral_evidence_minus_null,
)
from .normal import SourceSize, joint_operator, operator_from_reduction, suited
from .normal.operator import AbstractNormalOperator
from .normal.spectral import ProductsAt
from .reconstruction import Part, Reconstruction
from .sky import Sky
from .source import Mapper, check_mesh
from .sourcemodel import STRENGTH_RANGE


class Problem(NamedTuple):
    """A system at one point of parameter space.

    Attributes:
        mapper: L, all rows and columns.
        geometries: of the mesh of each block.
        prior: H, lower bands or dense.
        log_det: ln det H of what has a prior, and n ln 2 pi of amplitudes without one.
        strengths: dimensionless, of each block.
        index: spectral index, or None.
    """

    mapper: Mapper
    geometries: tuple
    prior: Array
    log_det: Array
    strengths: tuple
    index: Array | None


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
        prior, log_det, strengths = self._prior(filled, traced, mapper)
        return Problem(mapper, geometries, prior, log_det, strengths, index)

    def _prior(self, filled, traced, mapper):
        """(H, ln det H, strengths): of the blocks, and of amplitudes that have a prior."""
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
            best = self._best_coefficient(mapper, matrices + rest, free)
            log_det += self.columns.blocks[free].mesh.n_source * (jnp.log(best) - jnp.log(matrices[free][1]))
            strengths[free] = best / self.coefficient(1.0)
            matrices[free] = (matrices[free][0], best)
        prior = join_bands([matrix * scale for matrix, scale in matrices + rest])
        return prior, jnp.asarray(log_det), tuple(strengths)

    def coefficient(self, strength):
        """lambda_0 = strength sum_k w_k Omega_N^2 of a dimensionless strength."""
        return strength * self.reduction.sum_weight * self.reduction.resolution_area**2

    def _best_coefficient(self, mapper, matrices, free):
        """lambda_0 of block `free` at the maximum of the evidence, everything else fixed."""
        mapper, block = jax.lax.stop_gradient(mapper), self.columns.blocks[free]
        rest = None
        if len(matrices) > 1:
            others = [matrix * (0.0 if number == free else scale) for number, (matrix, scale) in enumerate(matrices)]
            rest = matrix_from_bands(join_bands(others))
        best = best_coefficient(
            self.normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
            mapper.transposed_product(self.normal.dirty_image),
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
        mapper, limits = problem.mapper, self._limits
        arguments = (mapper.indices, mapper.weights, problem.prior, limits["allowed"], self.start, limits["positive"])
        if self.products_at is None:
            value = log_evidence_minus_null(self.normal, *arguments, limits["n_determined"], limits["constrained"])
        else:
            value = spectral_evidence_minus_null(self.products_at, problem.index, *arguments)
        return value + 0.5 * self.n_channels * problem.log_det

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
        h = matrix_from_bands(problem.prior)
        if self.skies[0].shared is not None:
            return list(
                invert_channels(self.skies[0].shared, self.normal, problem.mapper, h, problem.log_det, **self._limits)
            )
        normal = self.settled(problem).normal
        return [run_inversion(normal, problem.mapper, h, problem.log_det, **self._limits)]

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
                amplitudes = tuple(one for one in self.columns.amplitudes if one.sky == k)
                rows = slice(int(starts[k]), int(starts[k + 1]))
                found.append(Reconstruction(number, channel, sky, normal, inversion, rows, tuple(own), amplitudes))
        return sorted(found, key=lambda one: (one.sky, one.channel))


def fitted_system(skies, numbers, grids, rays, columns):
    """The FittedSystem of some skies, operators chosen for what is fitted to them.

    Args:
        skies: its members.
        numbers, grids: see FittedSystem.
        rays: per pixel side, for the cost model.
        columns: Columns.

    Raises:
        InputError: what channels, spectral indices and shared sources cannot do together; more nodes than rays.
    """
    _check_channels(skies, columns)
    for block in columns.blocks:
        check_mesh(block.mesh, sum(skies[k].mask.n_pixels for k in block.skies) * rays**2)
    entries = sum(block.mesh.entries(rays) for block in columns.blocks)
    size = SourceSize(columns.n_source, entries + columns.n_source - columns.n_pixels)
    skies = tuple(_with_operator(sky, suited(sky.normal, size)) for sky in skies)
    operators = tuple(sky.normal for sky in skies)
    spectral = skies[0].spectral
    return FittedSystem(
        skies,
        operators[0] if len(operators) == 1 else joint_operator(operators),
        tuple(_adapt_rows(block, skies) for block in columns.blocks),
        jnp.ones(columns.n_source, bool),
        tuple(numbers),
        tuple(grids),
        columns,
        None if spectral is None else ProductsAt(spectral, size),
    )


def _adapt_rows(block, skies):
    """The adapt image at the pixels of the skies that see a block, shape (N,), or None."""
    if block.pixels.adapt is None:
        return None
    return jnp.asarray(np.concatenate([block.pixels.adapt.on(skies[k].mask) for k in block.skies]))


def _with_operator(sky, normal):
    return eqx.tree_at(lambda s: s.normal, sky, normal, is_leaf=lambda leaf: leaf is sky.normal)


def _check_channels(skies, columns):
    """Refuse what channels that share W, spectral indices and shared sources cannot do together."""
    maximised = [block for block in columns.blocks if block.maximised]
    if len(maximised) > 1:
        raise InputError('one pixelised source of a sky can have strength: "evidence"; give the others a prior')
    if maximised and skies[0].n_channels > 1:
        raise InputError("channels that share a curvature matrix have one strength: a number, a prior or auto")
    if maximised and skies[0].spectral is not None:
        raise InputError("a source with a spectral index has one strength: a number, a prior or auto")
    if skies[0].n_channels > 1 and any(one.profile.flux.sigma is not None for one in columns.amplitudes):
        raise InputError("amplitude_sigma is of one channel: leave it out where channels share a curvature matrix")
    if len(skies) > 1 and any(sky.n_channels > 1 or sky.spectral is not None for sky in skies):
        raise InputError("a source that skies share needs skies with one channel and no spectral index")
    if skies[0].spectral is not None and (columns.amplitudes or len(columns.blocks) > 1):
        raise InputError("a spectral index is for a sky with one pixelised source and nothing else")
