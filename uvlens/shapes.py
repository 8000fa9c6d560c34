"""Shapes on the sky that masks are made of: disc, annulus, arc, polygon, another mask. arcsec East, North.

Each has `bounds()`, (West, East, South, North), and `contains(x, y)`.
"""

import dataclasses
import math
from pathlib import Path

import numpy as np

from .errors import InputError
from .grid import MAXIMUM_SIDE, Mask, PixelGrid


@dataclasses.dataclass(frozen=True)
class Annulus:
    """Between two radii about a centre; a disc where `inner` is 0.

    Args:
        inner, outer: arcsec.
        center: (x, y) [arcsec].
    """

    inner: float
    outer: float
    center: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self):
        if not (math.isfinite(self.outer) and 0.0 <= self.inner < self.outer):
            raise InputError(f"expected 0 <= inner < outer, got inner {self.inner}, outer {self.outer}")

    def bounds(self):
        (x, y), r = self.center, self.outer
        return x - r, x + r, y - r, y + r

    def contains(self, x, y):
        radius = np.hypot(x - self.center[0], y - self.center[1])
        return (radius >= self.inner) & (radius <= self.outer)


@dataclasses.dataclass(frozen=True)
class Arc:
    """The part of an annulus between two position angles.

    Args:
        ring: Annulus.
        first, last: position angles, East of North, from `first` on towards East [deg].
    """

    ring: Annulus
    first: float
    last: float

    def __post_init__(self):
        if not 0.0 < self.last - self.first <= 360.0:
            raise InputError(f"expected position angles that grow by up to 360 deg, got {self.first} and {self.last}")

    def bounds(self):
        return self.ring.bounds()

    def contains(self, x, y):
        angle = np.rad2deg(np.arctan2(x - self.ring.center[0], y - self.ring.center[1]))
        return self.ring.contains(x, y) & ((angle - self.first) % 360.0 <= self.last - self.first)


@dataclasses.dataclass(frozen=True)
class Polygon:
    """Inside a polygon (even-odd rule).

    Args:
        corners: ((x, y), ...), three or more, in order [arcsec].
    """

    corners: tuple[tuple[float, float], ...]

    def __post_init__(self):
        if len(self.corners) < 3:
            raise InputError(f"expected at least three corners [x, y], got {len(self.corners)}")
        x, y = np.array(self.corners).T
        if abs(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)) == 0.0:
            raise InputError("expected corners that enclose an area")

    def bounds(self):
        x, y = np.array(self.corners).T
        return float(x.min()), float(x.max()), float(y.min()), float(y.max())

    def contains(self, x, y):
        inside = np.zeros(np.shape(x), dtype=bool)
        for (x1, y1), (x2, y2) in zip(self.corners, self.corners[1:] + self.corners[:1]):
            if y1 != y2:
                crosses = (np.minimum(y1, y2) <= y) & (y < np.maximum(y1, y2))
                inside ^= crosses & (x < x1 + (y - y1) * (x2 - x1) / (y2 - y1))
        return inside


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels:
    """The pixels of another mask, whole squares.

    Args:
        mask: Mask.
    """

    mask: Mask

    def bounds(self):
        half = 0.5 * self.mask.grid.pixel_scale
        x, y = self.mask.x, self.mask.y
        return float(x.min()) - half, float(x.max()) + half, float(y.min()) - half, float(y.max()) + half

    def contains(self, x, y):
        grid = self.mask.grid
        rows = np.rint((y - grid.y_axis[0]) / grid.pixel_scale).astype(int)
        columns = np.rint((x - grid.x_axis[0]) / grid.pixel_scale).astype(int)
        inside = (rows >= 0) & (rows < grid.shape[0]) & (columns >= 0) & (columns < grid.shape[1])
        found = np.zeros(np.shape(x), dtype=bool)
        found[inside] = self.mask.kept[rows[inside], columns[inside]]
        return found


@dataclasses.dataclass(frozen=True)
class FitsFile:
    """A FITS mask that is not read yet; `Pixels` of it once the phase centre is known."""

    path: Path

    def read(self, phase_center):
        return Pixels(Mask.from_fits(self.path, phase_center))


def mask_of_shapes(shapes, pixel_scale):
    """The Mask of pixels whose centre lies in any of several shapes, on one grid about all of them.

    Args:
        shapes: of this module.
        pixel_scale: arcsec.

    Raises:
        InputError: no pixel inside, or a grid of too many.
    """
    west, east, south, north = (
        function(values) for function, values in zip((min, max, min, max), zip(*(one.bounds() for one in shapes)))
    )
    scale = PixelGrid((1, 1), pixel_scale).pixel_scale
    sides = [2 * max(1, math.ceil(0.5 * width / scale - 1e-9)) for width in (north - south, east - west)]
    if max(sides) > MAXIMUM_SIDE:
        widest = max(north - south, east - west)
        raise InputError(f'mask {widest:.3g}" wide in pixels of {scale:.3g}": too many pixels')
    grid = PixelGrid((sides[0], sides[1]), scale, (0.5 * (west + east), 0.5 * (south + north)))
    return Mask(grid, inside_any(shapes, *grid.coordinates()))


def inside_any(shapes, x, y):
    """Whether points lie in any of several shapes."""
    return np.logical_or.reduce([one.contains(x, y) for one in shapes])


def parse_shape(section, folder):
    """A shape from a section with one key: disc, annulus, arc, polygon or fits."""
    known = ("disc", "annulus", "arc", "polygon", "fits")
    kind = next(iter(section.value), None)
    if len(section.value) != 1 or kind not in known:
        given = ", ".join(map(str, section.value)) or "nothing"
        raise InputError(f"{section.path}: expected one of {', '.join(known)}, got {given}")
    name = section.name(kind)
    try:
        if kind == "fits":
            return FitsFile(folder / section.text(kind))
        if kind == "polygon":
            return Polygon(_corners(section.require(kind), name))
        inner = section.section(kind)
        center = inner.numbers("center", 2, [0.0, 0.0])
        if kind == "disc":
            ring = Annulus(0.0, inner.number("radius", positive=True), center)
        else:
            ring = Annulus(inner.number("inner"), inner.number("outer", positive=True), center)
        shape = Arc(ring, *inner.numbers("position_angles", 2)) if kind == "arc" else ring
        inner.finish()
        return shape
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(section.path) else f"{name}: {text}") from None


def _corners(value, name):
    from .schema import Section, as_list

    pairs = as_list(value, name)
    return tuple(Section({i: pair}, name).numbers(i, 2) for i, pair in enumerate(pairs))
