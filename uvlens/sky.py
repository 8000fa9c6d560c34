"""One sky: a normal operator and the pixelised source that is fitted to it.

A Model holds one or several: data of different bands, a line beside its continuum, the channels of a cube. They share
the lens; every sky has a source vector of its own, on the mesh and with the prior of its source component.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .errors import InputError
from .inversion import (
    bands_from_matrix,
    best_coefficient,
    invert_channels,
    log_evidence_minus_null,
    matrix_from_bands,
    run_inversion,
    spectral_evidence_minus_null,
)
from .normal import SharedChannels, SourceSize, operator_from_reduction, suited
from .normal.operator import AbstractNormalOperator
from .normal.spectral import ProductsAt, SpectralReduction
from .source import Mapper
from .source.regularization import log_det


class Sky(eqx.Module):
    """What one source is fitted to.

    Args:
        normal: the normal operator; one whose dirty image has shape (C, N) holds C channels that share W.
        name: for messages and files, "" where there is one.
        source: number of the source component.
        frequencies: of the C channels [Hz], or None.
        shared: the SharedChannels of an operator with C channels, or None.
        spectral: the SpectralReduction of a source whose spectral index is a parameter, or None: the index, if the
            source has one, is in the sums of `normal` already.
    """

    normal: AbstractNormalOperator
    shared: SharedChannels | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    source: int = eqx.field(static=True)
    frequencies: tuple[float, ...] | None = eqx.field(static=True)
    spectral: SpectralReduction | None = eqx.field(static=True)

    def __init__(self, normal, name="", source=0, frequencies=None, shared=None, spectral=None):
        self.normal = normal
        self.name, self.source = name, source
        self.frequencies = None if frequencies is None else tuple(float(f) for f in frequencies)
        self.shared, self.spectral = shared, spectral

    @property
    def n_channels(self):
        """C."""
        return 1 if self.normal.dirty_image.ndim == 1 else self.normal.dirty_image.shape[0]


class FittedSky(eqx.Module):
    """A Sky with the stated source component (priors in place): evidence, strength and inversion.

    Methods take `component`, the Source filled with numbers, and where its mapper puts the rays.
    """

    sky: Sky
    prior_bands: Float[Array, "bands S"]
    start: Bool[Array, " S"]
    pixels: Any = eqx.field(static=True)
    strength_range: tuple[float, float] | None = eqx.field(static=True)
    products_at: ProductsAt | None = eqx.field(static=True)

    def __init__(self, sky, pixels, rays, strength_range):
        mesh = pixels.mesh
        if strength_range is not None and sky.n_channels > 1:
            raise InputError("channels that share a curvature matrix have one strength: a number, a prior or auto")
        if strength_range is not None and sky.spectral is not None:
            raise InputError("a source with a spectral index has one strength: a number, a prior or auto")
        normal = suited(sky.normal, SourceSize(mesh.n_source, mesh.entries(rays)))
        self.sky = eqx.tree_at(lambda s: s.normal, sky, normal, is_leaf=lambda leaf: leaf is sky.normal)
        self.prior_bands = jnp.asarray(bands_from_matrix(pixels.regularization.matrix(mesh.shape)))
        self.start = jnp.ones(mesh.n_source, bool)
        self.pixels = pixels
        self.strength_range = strength_range
        self.products_at = None
        if sky.spectral is not None:
            self.products_at = ProductsAt(sky.spectral, SourceSize(mesh.n_source, mesh.entries(rays)))

    @property
    def normal(self):
        """The normal operator."""
        return self.sky.normal

    @property
    def n_source(self):
        """S."""
        return self.pixels.mesh.n_source

    def trace(self, beta_x, beta_y):
        """(mapper, geometry): where rays (N, rays per pixel) land on the mesh; source in Jy/arcsec^2."""
        n_pixels, n_rays = beta_x.shape
        geometry = self.pixels.mesh.geometry(beta_x, beta_y)
        indices, weights = self.pixels.mesh.interpolation(beta_x, beta_y, geometry)
        area = self.normal.mask.grid.pixel_area / n_rays
        return Mapper(indices.reshape(n_pixels, -1), weights.reshape(n_pixels, -1) * area, self.n_source), geometry

    def prior(self, component, mapper, geometry):
        """(lambda, ln det H), the strength as it is or at the maximum of the evidence."""
        regularization = component.pixels.regularization
        lam = self.coefficient(regularization, regularization.strength, geometry)
        if self.strength_range is not None:
            bounds = (self.coefficient(regularization, bound, geometry) for bound in self.strength_range)
            lam = jax.lax.stop_gradient(self._best_coefficient(mapper, *bounds))
        constant = self.pixels.regularization.log_det_matrix(self.pixels.mesh.shape)
        return lam, log_det(lam, self.n_source, constant)

    def coefficient(self, regularization, strength, geometry):
        """lambda of a dimensionless strength."""
        reduction = self.normal.reduction
        return regularization.coefficient(strength, reduction.sum_weight, reduction.resolution_area, geometry.spacing)

    def _best_coefficient(self, mapper, lowest, highest):
        mapper = jax.lax.stop_gradient(mapper)
        return best_coefficient(
            self.normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
            mapper.transposed_product(self.normal.dirty_image),
            matrix_from_bands(self.prior_bands),
            lowest,
            highest,
            positive=self.pixels.positive,
        )

    def log_evidence_minus_null(self, component, mapper, geometry):
        """ln E - ln E_null of all channels; NaN where the positive source was not found."""
        lam, log_det_h = self.prior(component, mapper, geometry)
        arguments = (
            mapper.indices,
            mapper.weights,
            lam * self.prior_bands,
            jnp.ones(self.n_source, bool),
            self.start,
            self.pixels.positive,
        )
        if self.products_at is None:
            value = log_evidence_minus_null(self.normal, *arguments)
        else:
            index = jnp.asarray(component.spectral_index, dtype=float)
            value = spectral_evidence_minus_null(self.products_at, index, *arguments)
        return value + 0.5 * self.sky.n_channels * log_det_h

    def settled(self, index):
        """The Sky with its spectral index, if it has one, in the sums of its operator."""
        if self.sky.spectral is None:
            return self.sky
        operator = operator_from_reduction(self.sky.spectral.at(float(index)), "auto")
        return Sky(operator, self.sky.name, self.sky.source, self.sky.frequencies)

    def inversions(self, mapper, lam, log_det_h, index=None):
        """[Inversion] of the channels, sources in Jy/arcsec^2."""
        h, allowed = lam * matrix_from_bands(self.prior_bands), jnp.ones(self.n_source, bool)
        if self.sky.shared is None:
            normal = self.normal if index is None else self.settled(index).normal
            return [run_inversion(normal, mapper, h, log_det_h, allowed, self.pixels.positive)]
        return list(invert_channels(self.sky.shared, self.normal, mapper, h, log_det_h, allowed, self.pixels.positive))


def as_skies(normal):
    """A list of Sky from an operator, a Sky, or a list of these (each with a source component of its own)."""
    items = list(normal) if isinstance(normal, list | tuple) else [normal]
    return [one if isinstance(one, Sky) else Sky(one, _name(i, items), i) for i, one in enumerate(items)]


def _name(i, items):
    return f"sky{i}" if len(items) > 1 else ""
