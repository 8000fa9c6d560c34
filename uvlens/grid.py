"""Where the image plane is sampled: a regular grid of square pixels, and the mask of those that hold emission."""

import dataclasses
import functools
import math

import numpy as np

from .errors import InputError

MAXIMUM_SIDE = 4096
"""Pixels along one side beyond which a grid is taken for a mistake (a wrong unit, most often)."""


@dataclasses.dataclass(frozen=True)
class PixelGrid:
    """A grid of square pixels; array index [row, column], row towards North, column towards East.

    Pixel centres lie at center + (index - (n - 1) / 2) pixel_scale on each axis.

    Args:
        shape: (rows, columns).
        pixel_scale: arcsec.
        center: (x, y) = offset to the (East, North) of the phase centre [arcsec].
    """

    shape: tuple[int, int]
    pixel_scale: float
    center: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self):
        shape = tuple(int(n) for n in self.shape)
        center = tuple(float(c) for c in self.center)
        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"grid shape must be two positive integers, got {self.shape}")
        if max(shape) > MAXIMUM_SIDE:
            raise InputError(f"grid of {shape[0]} x {shape[1]} pixels: more than {MAXIMUM_SIDE} a side; check arcsec")
        if not (math.isfinite(self.pixel_scale) and self.pixel_scale > 0.0):
            raise InputError(f"pixel_scale must be a positive number of arcsec, got {self.pixel_scale}")
        if len(center) != 2 or not all(math.isfinite(c) for c in center):
            raise InputError(f"center must be two finite numbers (East, North) in arcsec, got {self.center}")
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "pixel_scale", float(self.pixel_scale))
        object.__setattr__(self, "center", center)

    @property
    def pixel_area(self):
        """arcsec^2."""
        return self.pixel_scale**2

    @property
    def x_axis(self):
        """x of the columns, shape (columns,) [arcsec East]."""
        return self.center[0] + (np.arange(self.shape[1]) - 0.5 * (self.shape[1] - 1)) * self.pixel_scale

    @property
    def y_axis(self):
        """y of the rows, shape (rows,) [arcsec North]."""
        return self.center[1] + (np.arange(self.shape[0]) - 0.5 * (self.shape[0] - 1)) * self.pixel_scale

    @property
    def extent(self):
        """(West, East, South, North) outer edges [arcsec]."""
        half_x, half_y = (0.5 * n * self.pixel_scale for n in self.shape[::-1])
        return (
            self.center[0] - half_x,
            self.center[0] + half_x,
            self.center[1] - half_y,
            self.center[1] + half_y,
        )

    def coordinates(self):
        """(x, y) of every pixel centre, each of shape `shape` [arcsec]."""
        return np.meshgrid(self.x_axis, self.y_axis)


@dataclasses.dataclass(frozen=True, eq=False)
class Mask:
    """The N pixels of a grid that may hold emission; "slim" vectors list them in row-major order.

    Args:
        grid: the grid.
        kept: shape `grid.shape`, True where the pixel is part of the model.

    Raises:
        InputError: no pixel kept, or shapes that differ.
    """

    grid: PixelGrid
    kept: np.ndarray

    def __post_init__(self):
        kept = np.asarray(self.kept)
        if kept.shape != self.grid.shape:
            raise InputError(f"mask has shape {kept.shape}, its grid {self.grid.shape}")
        if kept.dtype != bool:
            raise InputError(f"mask must be boolean (True = kept), got {kept.dtype}")
        if not kept.any():
            raise InputError("mask is empty: it keeps no pixel")
        object.__setattr__(self, "kept", kept)

    @staticmethod
    def disc(radius, pixel_scale, center=(0.0, 0.0)):
        """Pixels whose centre lies within `radius` [arcsec] of `center`."""
        return Mask.annulus(0.0, radius, pixel_scale, center)

    @staticmethod
    def annulus(inner, outer, pixel_scale, center=(0.0, 0.0)):
        """Pixels whose centre lies between the radii `inner` and `outer` [arcsec] of `center`."""
        if not (math.isfinite(inner) and math.isfinite(outer) and 0.0 <= inner < outer):
            raise InputError(f"mask radii must be finite with 0 <= inner < outer, got inner {inner}, outer {outer}")
        grid = PixelGrid((1, 1), pixel_scale, center)
        if outer / grid.pixel_scale > MAXIMUM_SIDE:
            raise InputError(f'mask of radius {outer:.3g}" in pixels of {grid.pixel_scale:.3g}": too many pixels')
        side = 2 * math.ceil(outer / grid.pixel_scale)
        grid = PixelGrid((side, side), grid.pixel_scale, grid.center)
        x, y = grid.coordinates()
        radius = np.hypot(x - grid.center[0], y - grid.center[1])
        return Mask(grid, (radius >= inner) & (radius <= outer))

    @staticmethod
    def of_shapes(shapes, pixel_scale):
        """Pixels whose centre lies in any of several shapes (see `uvlens.shapes`), on one grid about all of them."""
        from .shapes import mask_of_shapes

        return mask_of_shapes(shapes, pixel_scale)

    @staticmethod
    def from_array(image, pixel_scale, center=(0.0, 0.0)):
        """Mask from a boolean image [row = y, column = x], True = kept."""
        image = np.asarray(image)
        if image.ndim != 2:
            raise InputError(f"mask image must be two-dimensional, got shape {image.shape}")
        return Mask(PixelGrid(image.shape, pixel_scale, center), image.astype(bool))

    @staticmethod
    def from_fits(path, phase_center=None):
        """Mask from a FITS image: pixels that are not 0 are kept; CDELT1 < 0 (East left) is understood.

        The scale is CDELT2. The reference pixel lies at (CRVAL1, CRVAL2) on the sky; without a `phase_center`
        (ra, dec) [deg] it is taken to be the phase centre.
        """
        from .wcs import read_image

        image, grid = read_image(path, phase_center)
        return Mask(grid, np.nan_to_num(image) != 0.0)

    @property
    def n_pixels(self):
        """N."""
        return int(np.count_nonzero(self.kept))

    @property
    def solid_angle(self):
        """arcsec^2."""
        return self.n_pixels * self.grid.pixel_area

    @functools.cached_property
    def rows(self):
        """Row of each slim pixel, shape (N,)."""
        return np.nonzero(self.kept)[0]

    @functools.cached_property
    def columns(self):
        """Column of each slim pixel, shape (N,)."""
        return np.nonzero(self.kept)[1]

    @property
    def x(self):
        """Slim x, shape (N,) [arcsec East]."""
        return self.grid.x_axis[self.columns]

    @property
    def y(self):
        """Slim y, shape (N,) [arcsec North]."""
        return self.grid.y_axis[self.rows]

    def rays(self, per_side=4):
        """(x, y) of per_side^2 rays, evenly spaced inside each pixel, each of shape (N, per_side^2) [arcsec]."""
        if int(per_side) != per_side or per_side < 1:
            raise InputError(f"rays must be a positive whole number per pixel side, got {per_side}")
        offset = ((np.arange(per_side) + 0.5) / per_side - 0.5) * self.grid.pixel_scale
        dy, dx = (o.ravel() for o in np.meshgrid(offset, offset, indexing="ij"))
        return self.x[:, None] + dx, self.y[:, None] + dy

    def dilated(self, footprint):
        """The pixels from which light reaches this mask through a footprint, on a grid large enough for them.

        Kept are all j = i - o with i in this mask and o an offset from the middle of the footprint where it is not 0:
        for a PSF the pixels of a model that its data pixels i see. The grid grows only where it must; pixel centres
        stay where they are.

        Args:
            footprint: odd-sized array, boolean or a kernel.
        """
        from scipy.ndimage import binary_dilation

        footprint = np.asarray(footprint) != 0
        if footprint.ndim != 2 or not all(n % 2 for n in footprint.shape) or not footprint.any():
            raise InputError(f"a footprint must be odd-sized and not all zero, got shape {footprint.shape}")
        half, grow = [n // 2 for n in footprint.shape], []
        for axis, reach in enumerate(half):
            used = np.flatnonzero(self.kept.any(axis=1 - axis))
            grow.append((max(0, reach - int(used[0])), max(0, reach - (self.kept.shape[axis] - 1 - int(used[-1])))))
        kept = binary_dilation(np.pad(self.kept, grow), footprint[::-1, ::-1])
        scale, (y_grow, x_grow) = self.grid.pixel_scale, grow
        center = (
            self.grid.center[0] + 0.5 * (x_grow[1] - x_grow[0]) * scale,
            self.grid.center[1] + 0.5 * (y_grow[1] - y_grow[0]) * scale,
        )
        return Mask(PixelGrid(kept.shape, scale, center), kept)

    def noise_scaling(self, imaging):
        """An Imaging whose pixels inside this mask carry weight 0, as with infinite noise: contaminating galaxies.

        They stay in the model (see `Imaging.scale_noise`).
        """
        return imaging.scale_noise(self)

    def to_image(self, slim, outside=0.0):
        """A slim vector (N,) as an image of `grid.shape`, `outside` elsewhere."""
        image = np.full(self.grid.shape, outside, dtype=np.asarray(slim).dtype)
        image[self.rows, self.columns] = np.asarray(slim)
        return image
