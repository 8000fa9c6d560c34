"""What an inversion found in one channel of one sky: its sources, its image, what is left of the data."""

import dataclasses
import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .columns import Amplitudes, Block
from .grid import PixelGrid
from .inversion import Inversion
from .normal.operator import AbstractNormalOperator
from .sky import Sky

_FINEST = 400
"""Pixels along the longer side of a picture of a source, at most."""
_SIDE, _SHARE = 240, 0.97
"""Pixels a side of a picture of light profiles; share of the light that it shows, about."""


class Part(NamedTuple):
    """A pixelised source of a reconstruction.

    Attributes:
        block: its columns and what it is.
        geometry: of its mesh.
        strength: of its prior, dimensionless.
    """

    block: Block
    geometry: Any
    strength: float

    @property
    def mesh(self):
        """Its mesh."""
        return self.block.mesh

    @property
    def columns(self):
        """Its columns, a slice."""
        return slice(self.block.first, self.block.stop)


class Light(NamedTuple):
    """A light profile of a reconstruction.

    Attributes:
        of: what it is.
        profile: filled with numbers.
        fluxes: of its columns, shape (E,).
        image: in the sky, shape (N,) [flux per pixel].
    """

    of: Amplitudes
    profile: Any
    fluxes: np.ndarray
    image: np.ndarray

    @property
    def flux(self):
        """Total flux; of a Background its level, per arcsec^2."""
        return float(np.asarray(self.profile.integrals) @ self.fluxes)

    @property
    def is_lensed(self):
        """Whether it is behind the lens."""
        return isinstance(self.of.place, int)

    def brightness(self, x, y):
        """In its own plane [flux per arcsec^2]."""
        return np.asarray(self.profile.columns(x, y)) @ self.fluxes


@dataclasses.dataclass(frozen=True, eq=False)
class Reconstruction:
    """One channel of one sky.

    Attributes:
        sky, channel: numbers.
        of_sky: the Sky.
        normal: operator of this channel.
        inversion: of the whole system, other skies that share a source included.
        rows: those of this sky in the system.
        parts: its pixelised sources.
        lights: its light profiles.
        weight_scale: f, by which its weights are multiplied (see `uvlens.weightscale`).
    """

    sky: int
    channel: int
    of_sky: Sky
    normal: AbstractNormalOperator
    inversion: Inversion
    rows: slice
    parts: tuple[Part, ...]
    lights: tuple[Light, ...]
    weight_scale: float = 1.0

    @property
    def geometry(self):
        """Of the first mesh."""
        return self.parts[0].geometry

    @property
    def reduction(self):
        """What the data of this channel were reduced to."""
        return self.normal.reduction

    @property
    def mask(self):
        """The pixels of its image."""
        return self.normal.mask

    @property
    def flux_unit(self):
        """Jy, or the unit of an image ("unit" where it is not known)."""
        return (self.reduction.unit or "unit") if self.of_sky.is_image else "Jy"

    def source(self, part):
        """s of a Part, shape (S,) [flux per arcsec^2]."""
        return self.inversion.source[part.columns]

    def image_of(self, columns):
        """L s of some columns alone, shape (N,) [flux per pixel]."""
        source = jnp.zeros_like(self.inversion.source).at[columns].set(self.inversion.source[columns])
        return self.inversion.mapper.apply(source)[self.rows]

    @functools.cached_property
    def image(self):
        """The model of the sky at the N pixels, before beam or PSF, shape (N,) [flux per pixel]."""
        return np.asarray(self.inversion.image[self.rows])

    @functools.cached_property
    def lensed_source(self):
        """The same without the light in front of the lens."""
        unlensed = [light.image for light in self.lights if not light.is_lensed]
        return self.image - sum(unlensed) if unlensed else self.image

    @property
    def amplitudes(self):
        """Amplitudes of the lights that are columns."""
        return tuple(light.of for light in self.lights if light.of.first >= 0)

    @functools.cached_property
    def covariance(self):
        """A^-1, shape (S, S)."""
        return np.asarray(self.inversion.system.inverse())

    @functools.cached_property
    def response(self):
        """W L s: what the model adds to the dirty image, shape (N,); on pixels, light with a closed form too."""
        return np.asarray(self.normal.apply(jnp.asarray(self.image)[:, None])[:, 0])

    @property
    def chi_squared_minus_null(self):
        """chi^2 of this sky and channel less that of an empty sky, both under the weights as they were given."""
        return float(self.image @ (self.response - 2.0 * np.asarray(self.normal.dirty_image)))

    @property
    def chi_squared(self):
        """f (chi^2(0) + chi^2 - chi^2(0)): of this sky and channel under the weights of the fit."""
        return self.weight_scale * (float(self.reduction.null_chi_squared) + self.chi_squared_minus_null)

    @property
    def dirty_residual(self):
        """(d~ - W L s) / sum of weights at the N pixels, primary beams applied, shape (N,)."""
        return (np.asarray(self.normal.dirty_image) - self.response) / self.reduction.sum_weight

    def interpolated(self, part, x, y):
        """Brightness of a Part at positions of any shape [flux per arcsec^2], 0 beyond its mesh."""
        indices, weights = part.mesh.interpolation(jnp.asarray(x), jnp.asarray(y), part.geometry)
        return np.sum(np.asarray(weights) * np.asarray(self.source(part))[np.asarray(indices)], axis=-1)

    def picture(self, part, pixels_per_node=4):
        """(brightness, its error, grid) of a Part on a fine grid that covers its mesh [flux per arcsec^2].

        The error is that of the interpolated brightness, sqrt(b^T A^-1 b) with b the interpolation weights.
        """
        grid = source_grid(part, pixels_per_node)
        x, y = grid.coordinates()
        indices, weights = part.mesh.interpolation(jnp.asarray(x.ravel()), jnp.asarray(y.ravel()), part.geometry)
        indices, weights = np.asarray(indices), np.asarray(weights)
        covariance = self.covariance[part.columns, part.columns]
        brightness = np.sum(weights * np.asarray(self.source(part))[indices], axis=1)
        variance = np.concatenate(
            [
                np.einsum("ip,ipq,iq->i", w, covariance[i[:, :, None], i[:, None, :]], w)
                for i, w in zip(np.array_split(indices, 16), np.array_split(weights, 16))
            ]
        )
        error = np.sqrt(np.maximum(variance, 0.0))
        return brightness.reshape(grid.shape), error.reshape(grid.shape), grid


def source_grid(part, pixels_per_node=4):
    """PixelGrid that shows a mesh: `pixels_per_node` along a side for each node, were they evenly spread."""
    west, east, south, north = (float(edge) for edge in part.mesh.frame(part.geometry))
    width, height = east - west, north - south
    scale = (width * height / part.mesh.n_source) ** 0.5 / pixels_per_node
    scale = max(scale, max(width, height) / _FINEST)
    shape = (max(1, round(height / scale)), max(1, round(width / scale)))
    return PixelGrid(shape, scale, (0.5 * (west + east), 0.5 * (south + north)))


def light_grid(one, lights):
    """PixelGrid, a square that shows most of some Lights of a Reconstruction, found by halving that of the mask."""
    x, y = one.mask.x, one.mask.y
    center = np.array([0.5 * (x.min() + x.max()), 0.5 * (y.min() + y.max())])
    half = 0.5 * max(np.ptp(x), np.ptp(y))
    while True:
        grid = PixelGrid((_SIDE, _SIDE), 2.0 * half / _SIDE, (float(center[0]), float(center[1])))
        x, y = grid.coordinates()
        weight = np.maximum(sum(light.brightness(x, y) for light in lights), 0.0)
        if not weight.sum() > 0.0:
            return grid
        distance = np.maximum(np.abs(x - np.average(x, weights=weight)), np.abs(y - np.average(y, weights=weight)))
        order = np.argsort(distance, axis=None)
        summed = np.cumsum(weight.ravel()[order])
        needed = 1.4 * float(distance.ravel()[order][np.searchsorted(summed, _SHARE * summed[-1])])
        if needed > 0.7 * half:
            return grid
        center = np.array([np.average(x, weights=weight), np.average(y, weights=weight)])
        half = max(needed, 0.25 * half)
