"""Working with a reconstructed source: its brightness anywhere, which pixels see what, fluxes of regions drawn on it.

A SourcePlane is a source of a Reconstruction with the lens in front of it. Regions are shapes of `uvlens.shapes`
(Annulus, Polygon, ...) in the source plane, or a Mask for whole pixels.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from .apertures import source_columns, sources_seen
from .errors import InputError
from .lens import Lens
from .lens.tracing import source_positions
from .reconstruction import Reconstruction
from .shapes import Pixels
from .source import border_of

_ACROSS = 400
"""Points across the longer side of a region."""


class RegionFlux(NamedTuple):
    """What a region of a source plane amounts to; errors are 1 sigma at fixed lens, from A^-1.

    Attributes:
        flux, flux_error: integral of the source over the region [flux].
        image_flux, image_flux_error: of its images inside the mask [flux].
        magnification, magnification_error: image_flux over flux, colours divided out; NaN of an empty region.
        area: solid angle of the region [arcsec^2].
        image_area: that of its images inside the mask [arcsec^2]; image_area / area is the magnification of an evenly
            bright region.
    """

    flux: float
    flux_error: float
    image_flux: float
    image_flux_error: float
    magnification: float
    magnification_error: float
    area: float
    image_area: float


@dataclasses.dataclass(frozen=True, eq=False)
class SourcePlane:
    """A source as one sky and channel of a fit found it.

    Args:
        found: Reconstruction.
        lens: Lens as the source sees it.
        number: of the source.
        rays: per side of an image pixel; those of the model make fluxes here those of its image.
        colour: factor of the brightness in this sky, of a source that skies share.

    Raises:
        InputError: a source that this sky does not see.
    """

    found: Reconstruction
    lens: Lens
    number: int = 0
    rays: int = 4
    colour: float = 1.0

    def __post_init__(self):
        seen = sources_seen(self.found)
        if self.number not in seen:
            raise InputError(f"source {self.number} is not seen here; seen are {sorted(seen) or 'none'}")

    @property
    def parts(self):
        """Its pixelised Parts."""
        return [part for part in self.found.parts if part.block.source == self.number]

    @property
    def lights(self):
        """Its light profiles."""
        return [light for light in self.found.lights if light.is_lensed and light.of.place == self.number]

    def trace(self, x, y):
        """(x, y) in the source plane of image-plane positions of any shape [arcsec]."""
        return source_positions(self.lens, x, y)

    def brightness(self, x, y):
        """s at positions of the source plane, of any shape [flux per arcsec^2]: the mesh's own basis, exactly.

        s(beta) = sum_p w_p(beta) s_p, the function that the rays of the fit met, plus the light profiles; 0 beyond the
        mesh.
        """
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        total = np.zeros(x.shape)
        for part in self.parts:
            total += self.found.interpolated(part, x, y)
        for light in self.lights:
            total += light.brightness(x, y)
        return total

    def on_grid(self, grid):
        """s at the pixel centres of a PixelGrid, shape `grid.shape` [flux per arcsec^2]."""
        return self.brightness(*grid.coordinates())

    @functools.cached_property
    def traced(self):
        """(x, y), each of shape (N, rays^2): where the rays of the image pixels meet the source [arcsec].

        Those beyond the border of a mesh that moves them onto it stand where the fit has them.
        """
        mask = self.found.mask
        beta = source_positions(self.lens, *mask.rays(self.rays))
        if any(getattr(part.mesh, "border", "none") == "relocate" for part in self.parts):
            beta = border_of(mask).relocate(*beta, self.lens.ray_trace)
        return tuple(np.asarray(one) for one in beta)

    def image_share(self, region):
        """Share of each image pixel that lies behind `region`, shape (N,): 1 where all rays of the pixel end in it."""
        return _shape(region).contains(*self.traced).mean(axis=1)

    def image_of(self, region):
        """The sky of the light from `region` alone, shape (N,) [flux per pixel]; `found.mask.to_image` makes it 2D."""
        x, y = self.traced
        inside = _shape(region).contains(x, y)
        bright = np.zeros(x.shape)
        bright[inside] = self.brightness(x[inside], y[inside])
        return bright.mean(axis=1) * self.found.mask.grid.pixel_area * self.colour

    def operator(self, part=0):
        """L of one pixelised part from the Mapper of the fit, scipy.sparse CSR of shape (N, S) [arcsec^2].

        Row i: the source nodes that image pixel i sees; column s: the image pixels that see node s. L s is the image
        of the part.
        """
        import scipy.sparse

        own, one = self._part(part), self.found
        indices, weights = (
            np.asarray(a)[one.rows] for a in (one.inversion.mapper.indices, one.inversion.mapper.weights)
        )
        kept = (indices >= own.block.first) & (indices < own.block.stop) & (weights != 0.0)
        pixels = np.nonzero(kept)[0]
        entries = (weights[kept], (pixels, indices[kept] - own.block.first))
        return scipy.sparse.csr_matrix(entries, shape=(len(indices), own.mesh.n_source))

    def image_pixels(self, nodes, part=0):
        """Boolean (N,): the image pixels that see any of `nodes` (numbers, or boolean of shape (S,))."""
        return np.diff(self.operator(part)[:, np.atleast_1d(nodes)].indptr) > 0

    def source_pixels(self, pixels, part=0):
        """Boolean (S,): the nodes that any of the image `pixels` sees (numbers, or boolean of shape (N,))."""
        return np.diff(self.operator(part)[np.atleast_1d(pixels)].tocsc().indptr) > 0

    def nodes(self, part=0):
        """(x, y) of the source nodes, each of shape (S,) [arcsec]."""
        own = self._part(part)
        return tuple(np.asarray(axis) for axis in own.mesh.node_positions(own.geometry))

    def measure(self, region, errors=True):
        """RegionFlux of a shape in the source plane.

            F = int_region s dOmega,    F_image = colour sum_r s(beta_r) a_r over the rays r that end in the region

        with a_r the solid angle of a ray. Both are linear in the source, f = c^T s, with the error
        (c^T A^-1 c)^1/2 at fixed lens; `errors=False` leaves them NaN and A^-1 alone.

        Raises:
            InputError: a region without area.
        """
        shape = _shape(region)
        x, y, area = _points(shape)
        if not len(x):
            raise InputError("the region holds no point")
        below, constant_below = source_columns(self.found, x, y, area, self.number)
        beta_x, beta_y = self.traced
        inside = shape.contains(beta_x, beta_y)
        solid_angle = self.found.mask.grid.pixel_area / beta_x.shape[1]
        above, constant_above = source_columns(self.found, beta_x[inside], beta_y[inside], solid_angle, self.number)
        source = np.asarray(self.found.inversion.source)
        flux, intrinsic = (c @ source + k for c, k in ((below, constant_below), (above, constant_above)))
        magnification = intrinsic / flux if flux != 0.0 else np.nan

        def error(columns):
            return float(np.sqrt(max(columns @ self.found.covariance @ columns, 0.0))) if errors else np.nan

        return RegionFlux(
            flux=float(flux),
            flux_error=error(below),
            image_flux=float(self.colour * intrinsic),
            image_flux_error=self.colour * error(above),
            magnification=float(magnification),
            magnification_error=error(above - magnification * below) / abs(flux) if flux != 0.0 else np.nan,
            area=len(x) * area,
            image_area=float(inside.sum() * solid_angle),
        )

    def _part(self, number):
        if not 0 <= number < len(self.parts):
            raise InputError(f"source {self.number} has {len(self.parts)} pixelised parts, no part {number}")
        return self.parts[number]


def source_plane(result, sky=None, channel=0, source=None):
    """The SourcePlane of a Result at its best fit.

    Args:
        result: Result.
        sky: its name; None: the first.
        channel: of a cube.
        source: its number; None: the first that the sky sees.

    Raises:
        InputError: no such sky, channel or source.
    """
    import jax.numpy as jnp

    from .labels import by_sky
    from .quantities import colours_of

    groups, model = by_sky(result.reconstructions), result.model
    name = next(iter(groups)) if sky is None else sky
    if name not in groups:
        raise InputError(f"the model has no sky {name!r}; it has {', '.join(map(repr, groups))}")
    if not 0 <= channel < len(groups[name]):
        raise InputError(f"sky {name!r} has {len(groups[name])} channels, no channel {channel}")
    found, vector = groups[name][channel], jnp.asarray(result.best_vector)
    number, lenses = found.of_sky.sources[0] if source is None else source, model.lenses(vector)
    if number not in found.of_sky.sources:
        raise InputError(f"sky {name!r} does not see source {number}; it sees {found.of_sky.sources}")
    colour = colours_of(model, model.filled(vector)[0])[name, number]
    return SourcePlane(found, lenses[number], number, found.of_sky.rays or model.rays, colour)


def _shape(region):
    """A shape; a Mask is the squares of its pixels."""
    from .grid import Mask

    return Pixels(region) if isinstance(region, Mask) else region


def _points(shape):
    """(x, y, solid angle of each) of evenly spaced points inside a shape [arcsec, arcsec^2]."""
    west, east, south, north = shape.bounds()
    step = max(east - west, north - south) / _ACROSS
    columns, rows = (max(1, int(np.ceil(width / step - 1e-9))) for width in (east - west, north - south))
    dx, dy = (east - west) / columns, (north - south) / rows
    x, y = np.meshgrid(west + (np.arange(columns) + 0.5) * dx, south + (np.arange(rows) + 0.5) * dy)
    inside = shape.contains(x, y)
    return x[inside], y[inside], dx * dy
