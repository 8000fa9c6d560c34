"""Sub-pixels on which light profiles are averaged: many where a profile is steep, few elsewhere.

    image_i = pixel_area sum_m weight_m I(x_m, y_m),    m over the sub-pixels of pixel i, weights of a pixel sum to 1

How many a pixel gets depends on fixed places alone, so that an image is a smooth function of its parameters.
"""

import dataclasses
from typing import NamedTuple

import jax
import numpy as np

from .errors import InputError
from .grid import Mask

LARGEST_SIZE = 128
"""Sub-pixels a side of one pixel."""
_MOST = 20_000_000


class SubGrid(NamedTuple):
    """M sub-pixels, ordered by pixel.

    Attributes:
        x, y: centres, shape (M,) [arcsec East, North].
        pixel: slim index of the pixel that each lies in, shape (M,), ascending.
        weight: share of it in the mean over that pixel, shape (M,).
        n_pixels: N.
    """

    x: np.ndarray
    y: np.ndarray
    pixel: np.ndarray
    weight: np.ndarray
    n_pixels: int

    def average(self, values):
        """Mean of values (M, ...) over each pixel, shape (N, ...); differentiable."""
        weighted = (values.T * self.weight).T
        return jax.ops.segment_sum(weighted, self.pixel, self.n_pixels, indices_are_sorted=True)


@dataclasses.dataclass(frozen=True)
class OverSampling:
    """Sizes of sub-grids by distance from the nearest of some centres.

    A pixel whose centre lies within radii[0] of a centre gets sizes[0]^2 sub-pixels, within radii[1] sizes[1]^2, ...,
    beyond all of them sizes[-1]^2.

    Args:
        sizes: sub-pixels a side, one more than radii.
        radii: ascending [arcsec].
        centers: ((x, y), ...) [arcsec]; light profiles should be steep nowhere else.
    """

    sizes: tuple[int, ...] = (4,)
    radii: tuple[float, ...] = ()
    centers: tuple[tuple[float, float], ...] = ((0.0, 0.0),)

    def __post_init__(self):
        if len(self.sizes) != len(self.radii) + 1:
            raise InputError(
                f"over_sampling: sizes needs one more number than radii (for what lies beyond), got {len(self.sizes)} "
                f"and {len(self.radii)}"
            )
        for size in self.sizes:
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or not 1 <= size <= LARGEST_SIZE:
                raise InputError(f"over_sampling: sizes are whole numbers from 1 to {LARGEST_SIZE}, got {size!r}")
        if any(not (np.isfinite(r) and r > 0.0) for r in self.radii) or list(self.radii) != sorted(set(self.radii)):
            raise InputError(f"over_sampling: radii must be positive and grow, got {list(self.radii)}")
        if self.radii and (not self.centers or np.shape(self.centers) != (len(self.centers), 2)):
            raise InputError("over_sampling: centers must be a list of [x, y] in arcsec, at least one")

    def size_of(self, mask):
        """Sub-pixels a side of each pixel of a mask, shape (N,)."""
        if not self.radii:
            return np.full(mask.n_pixels, self.sizes[0])
        center = np.asarray(self.centers, dtype=float)
        distance = np.hypot(mask.x[:, None] - center[:, 0], mask.y[:, None] - center[:, 1]).min(axis=1)
        return np.asarray(self.sizes)[np.searchsorted(self.radii, distance, side="left")]

    def sub_grid(self, mask):
        """The SubGrid of a mask.

        Raises:
            InputError: more than 2e7 sub-pixels.
        """
        return sub_grid(mask, self.size_of(mask))


def around(centers, pixel_scale, outer=2):
    """The default for profiles with their centres near `centers`.

    32 sub-pixels a side within 2 pixels of a centre, 8 within 6, `outer` beyond.

    Args:
        centers: ((x, y), ...) [arcsec].
        pixel_scale: arcsec.
        outer: sub-pixels a side of the other pixels.
    """
    centers = tuple((float(x), float(y)) for x, y in centers)
    sizes = (32, max(8, outer), outer)
    return OverSampling(sizes, (2.0 * pixel_scale, 6.0 * pixel_scale), centers)


def sub_grid(mask: Mask, size) -> SubGrid:
    """Sub-pixels of equal squares in every pixel.

    Args:
        mask: the N pixels.
        size: sub-pixels a side, a number or shape (N,).

    Raises:
        InputError: more than 2e7 sub-pixels.
    """
    size = np.broadcast_to(np.asarray(size, dtype=np.int64), (mask.n_pixels,))
    count = size**2
    total = int(count.sum())
    if total > _MOST:
        raise InputError(f"over_sampling: {total:,} sub-pixels, at most {_MOST:,} can be held; take smaller sizes")
    pixel = np.repeat(np.arange(mask.n_pixels), count)
    number = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    side = size[pixel]
    row, column = np.divmod(number, side)
    scale = mask.grid.pixel_scale
    x = mask.x[pixel] + ((column + 0.5) / side - 0.5) * scale
    y = mask.y[pixel] + ((row + 0.5) / side - 0.5) * scale
    return SubGrid(x, y, pixel, 1.0 / count[pixel], mask.n_pixels)


def parse_over_sampling(section, key="over_sampling"):
    """An OverSampling or AdaptiveSampling from a section's key, None where it has none.

    over_sampling: 4                                                              # 4 x 4 in every pixel
    over_sampling: {sizes: [32, 8, 2], radii: [0.1, 0.3], centers: [[0, 0]]}
    over_sampling: adaptive                                                       # see `uvlens.quadrature`
    over_sampling: {adaptive: {order: 3, levels: 8, n_refine: 80}}
    """
    from .schema import Section

    value = section.get(key)
    if value is None:
        return None
    if value == "adaptive":
        return _adaptive(Section({}, section.name(key)))
    if isinstance(value, int) and not isinstance(value, bool):
        return _by_distance(Section({"sizes": [value]}, section.name(key)))
    inner = section.section(key)
    if inner.get("adaptive") is not None:
        settings = inner.section("adaptive")
        inner.finish()
        return _adaptive(settings)
    return _by_distance(inner)


def sampling_section(sampling):
    """What `parse_over_sampling` reads, from what it makes."""
    if not isinstance(sampling, OverSampling):
        return {"adaptive": dataclasses.asdict(sampling)}
    content = {"sizes": list(sampling.sizes), "radii": list(sampling.radii)}
    return content | {"centers": [list(center) for center in sampling.centers]}


def _adaptive(section):
    from .quadrature import AdaptiveSampling

    given = {key: section.integer(key, lowest=0) for key in ("order", "levels", "n_refine") if section.get(key)}
    given |= {key: section.text(key) for key in ("rule", "estimate") if section.get(key)}
    section.finish()
    try:
        return AdaptiveSampling(**{"n_refine": 80, **given})
    except InputError as error:
        raise InputError(f"{section.path}: {str(error).removeprefix('quadrature: ')}") from None


def _by_distance(section):
    """{sizes:, radii:, centers:}."""
    from .schema import as_list, as_number

    sizes = as_list(section.require("sizes"), section.name("sizes"))
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int):
            raise InputError(f"{section.name('sizes')}: expected whole numbers, got {size!r}")
    given = as_list(section.get("radii", []), section.name("radii"))
    radii = [as_number(radius, section.name("radii"), positive=True) for radius in given]
    pairs = as_list(section.get("centers", [[0.0, 0.0]]), section.name("centers"))
    centers = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError(f"{section.name('centers')}: expected pairs [x, y] in arcsec, got {pair!r}")
        centers.append(tuple(as_number(value, section.name("centers")) for value in pair))
    section.finish()
    try:
        return OverSampling(tuple(sizes), tuple(radii), tuple(centers))
    except InputError as error:
        raise InputError(f"{section.path}: {str(error).removeprefix('over_sampling: ')}") from None
