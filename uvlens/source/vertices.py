"""Which points of the image plane become the nodes of a mesh: a lattice over the mask, or more where it is bright.

Brightness is that of an adapt image, one value for each of the mask's N pixels (the model image of an earlier fit,
say). Points are drawn with density

    (max(image, 0) / its maximum + weight_floor) ^ weight_power

from the mask's pixels, each cut into 4 x 4 parts; weight_floor = 0 puts none where the image is zero.
"""

import dataclasses
import math
import warnings

import numpy as np

from ..errors import InputError

KINDS = ("overlay", "hilbert", "kmeans")
PARTS = 4
"""Parts of a pixel along each side: points closer than these are never made."""
_CANDIDATES = 400


def overlay_vertices(mask, n_points):
    """(x, y) of about n_points on a regular hexagonal lattice, those that lie in kept pixels [arcsec].

    Of several hundred spacings the one whose count comes closest is taken: what comes back may have a few points more
    or less. No point of the lattice lies in the middle of the mask, where a lens may be singular.

    Raises:
        InputError: fewer than 4 points, or more than there are parts of pixels.
    """
    _check_count(mask, n_points)
    expected = math.sqrt(2.0 / math.sqrt(3.0) * mask.solid_angle / n_points)
    best = None
    for spacing in expected * np.linspace(0.8, 1.25, _CANDIDATES):
        x, y = _lattice_in(mask, spacing)
        miss = abs(len(x) - n_points)
        if best is None or miss < best[0]:
            best = miss, x, y
        if miss == 0:
            break
    assert best is not None
    return best[1:]


def hilbert_vertices(mask, adapt_image, n_points, weight_floor=0.0, weight_power=1.0):
    """(x, y) of n_points at equal steps of the brightness summed along a Hilbert curve [arcsec].

    The curve passes all parts of the grid's pixels such that neighbours on it are neighbours on the sky, so equal
    steps make clumps nowhere and follow the brightness everywhere (as the Hilbert image mesh of PyAutoLens does).

    Args:
        mask: a Mask of N pixels.
        adapt_image: brightness, shape (N,).
        n_points: how many.
        weight_floor, weight_power: see the module.

    Raises:
        InputError: no adapt image, or one of another shape; settings out of range; more points than parts of pixels.
    """
    _check_count(mask, n_points)
    weight = _pixel_weights(mask, adapt_image, weight_floor, weight_power)
    rows, columns, pixel = _parts(mask)
    side = PARTS * max(mask.grid.shape)
    order = np.argsort(hilbert_order(columns, rows, math.ceil(math.log2(max(side, 2)))))
    summed = np.cumsum(weight[pixel[order]])
    steps = (np.arange(n_points) + 0.5) / n_points * summed[-1]
    chosen = order[_distinct(np.searchsorted(summed, steps), len(order))]
    return _part_positions(mask, rows[chosen], columns[chosen])


def kmeans_vertices(mask, adapt_image, n_points, weight_floor=0.0, weight_power=1.0, seed=0):
    """(x, y) of the centres of n_points clusters of points drawn with the brightness as density [arcsec].

    Arguments and errors as for `hilbert_vertices`; `seed` makes the draw, so the same seed gives the same points.
    Centres that fall outside the mask move to the nearest point drawn.
    """
    from scipy.cluster.vq import kmeans2
    from scipy.spatial import cKDTree

    _check_count(mask, n_points)
    weight = _pixel_weights(mask, adapt_image, weight_floor, weight_power)
    rng = np.random.default_rng(seed)
    rows, columns, pixel = _parts(mask)
    density = weight[pixel]
    if np.count_nonzero(density) < n_points:
        raise InputError(
            f"{n_points} vertices, but the adapt image is above zero in {np.count_nonzero(density)} parts of pixels "
            "only: ask for fewer or give a weight_floor"
        )
    drawn = rng.choice(len(rows), max(20 * n_points, 2000), p=density / density.sum())
    points = np.column_stack(_part_positions(mask, rows[drawn], columns[drawn]))
    points += rng.uniform(-0.5, 0.5, points.shape) * mask.grid.pixel_scale / PARTS
    start = points[rng.choice(len(points), n_points, replace=False)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")  # its centre stays where it was
        centres, _ = kmeans2(points, start, iter=15, minit="matrix", missing="warn")
    outside = ~_in_mask(mask, *centres.T)
    centres[outside] = points[cKDTree(points).query(centres[outside])[1]]
    return np.ascontiguousarray(centres[:, 0]), np.ascontiguousarray(centres[:, 1])


def edge_vertices(mask, n_edge):
    """(x, y) of n_edge points evenly spaced one pixel outside the convex outline of the mask [arcsec]."""
    from scipy.spatial import ConvexHull

    if n_edge < 3:
        raise InputError(f"n_edge must be 0 or at least 3, got {n_edge}")
    angle = 2.0 * np.pi * np.arange(64) / 64
    # beyond the corners of every pixel, one pixel away from them on all sides
    corners = np.array([(dx, dy) for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)])
    around = (corners[:, None] + np.column_stack([np.cos(angle), np.sin(angle)])).reshape(-1, 2)
    border = ConvexHull(np.column_stack([mask.x, mask.y])).vertices if _spreads(mask) else np.arange(mask.n_pixels)
    points = np.column_stack([mask.x[border], mask.y[border]])[:, None] + around * mask.grid.pixel_scale
    points = points.reshape(-1, 2)
    outline = points[ConvexHull(points).vertices]
    outline = np.vstack([outline, outline[:1]])
    length = np.append(0.0, np.cumsum(np.hypot(*np.diff(outline, axis=0).T)))
    at = length[-1] * np.arange(n_edge) / n_edge
    return np.interp(at, length, outline[:, 0]), np.interp(at, length, outline[:, 1])


@dataclasses.dataclass(frozen=True)
class VertexSettings:
    """How the vertices of a mesh are chosen; `make` makes the mesh.

    Args:
        kind: "overlay" (a regular lattice), "hilbert" or "kmeans" (more points where the adapt image is bright).
        n_points: vertices inside the mask; an overlay reaches it to within a few.
        weight_floor, weight_power: see the module; not used by an overlay.
        n_edge: further vertices, on a ring one pixel outside the mask.
        natural: natural neighbour interpolation in the place of linear interpolation in triangles.
        zero_edges: fix the ring, or where there is none the vertices on the hull, to zero.
        seed: of the draw of "kmeans".

    Raises:
        InputError: an unknown kind, numbers out of range.
    """

    kind: str = "overlay"
    n_points: int = 500
    weight_floor: float = 0.0
    weight_power: float = 1.0
    n_edge: int = 0
    natural: bool = False
    zero_edges: bool = False
    seed: int = 0

    def __post_init__(self):
        if self.kind not in KINDS:
            raise InputError(f"vertices must be {', '.join(KINDS[:-1])} or {KINDS[-1]}, got {self.kind!r}")
        if int(self.n_points) != self.n_points or self.n_points < 4:
            raise InputError(f"n_points must be a whole number of at least 4, got {self.n_points}")
        if int(self.n_edge) != self.n_edge or (self.n_edge != 0 and self.n_edge < 3):
            raise InputError(f"n_edge must be 0 or a whole number of at least 3, got {self.n_edge}")
        _check_weighting(self.weight_floor, self.weight_power)

    @property
    def adaptive(self):
        """Whether `make` needs an adapt image."""
        return self.kind != "overlay"

    def make(self, mask, adapt_image=None):
        """The DelaunayMesh or NaturalNeighbourMesh over a mask of N pixels; adapt_image: brightness, shape (N,)."""
        from .delaunay import DelaunayMesh
        from .natural import NaturalNeighbourMesh

        weighting = (adapt_image, self.n_points, self.weight_floor, self.weight_power)
        if self.kind == "overlay":
            x, y = overlay_vertices(mask, self.n_points)
        elif self.kind == "hilbert":
            x, y = hilbert_vertices(mask, *weighting)
        else:
            x, y = kmeans_vertices(mask, *weighting, seed=self.seed)
        if self.n_edge:
            edge_x, edge_y = edge_vertices(mask, self.n_edge)
            x, y = np.append(x, edge_x), np.append(y, edge_y)
        kind = NaturalNeighbourMesh if self.natural else DelaunayMesh
        return kind(x, y, zero_edges=self.zero_edges, n_edge=self.n_edge)


def hilbert_order(columns, rows, bits):
    """Place along the Hilbert curve of 2^bits x 2^bits cells, for integer columns and rows of any one shape.

    From the coarsest level down: each takes a quadrant's number 0..3 in the order of the curve, then turns or mirrors
    what is inside it so that the curve of the next level enters where this one left.
    """
    x, y = np.array(columns, dtype=np.int64), np.array(rows, dtype=np.int64)
    place = np.zeros(x.shape, np.int64)
    for level in range(bits - 1, -1, -1):
        side = np.int64(1) << level
        right, upper = (x & side) > 0, (y & side) > 0
        place += side * side * np.where(right, np.where(upper, 2, 3), np.where(upper, 1, 0))
        x, y = x & (side - 1), y & (side - 1)
        turned = right & ~upper
        x, y = np.where(turned, side - 1 - x, x), np.where(turned, side - 1 - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return place


def _check_count(mask, n_points):
    most = mask.n_pixels * PARTS**2
    if n_points < 4:
        raise InputError(f"a mesh of points needs at least 4 vertices, got {n_points}")
    if n_points > most:
        raise InputError(
            f"{n_points} vertices in a mask of {mask.n_pixels} pixels: more than {PARTS} x {PARTS} a pixel ({most}); "
            "ask for fewer"
        )


def _check_weighting(floor, power):
    if not (math.isfinite(floor) and floor >= 0.0):
        raise InputError(f"weight_floor must be a number >= 0, got {floor}")
    if not (math.isfinite(power) and power >= 0.0):
        raise InputError(f"weight_power must be a number >= 0, got {power}")


def _pixel_weights(mask, image, floor, power):
    _check_weighting(floor, power)
    if image is None:
        raise InputError("vertices that follow the brightness need an adapt image: give one, or take overlay")
    image = np.asarray(image, dtype=float)
    if image.shape != (mask.n_pixels,):
        raise InputError(f"adapt image has shape {image.shape}, the mask has {mask.n_pixels} pixels")
    if not np.all(np.isfinite(image)):
        raise InputError("adapt image has values that are NaN or infinite")
    if not image.max() > 0.0:
        raise InputError("adapt image is nowhere above zero: give the brightness of the lensed source")
    return (np.maximum(image, 0.0) / image.max() + floor) ** power


def _parts(mask):
    """(row, column, pixel number) of every part of the mask's pixels."""
    row, column = (v.ravel() for v in np.indices((PARTS, PARTS)))
    rows, columns = mask.rows[:, None] * PARTS + row, mask.columns[:, None] * PARTS + column
    pixel = np.repeat(np.arange(mask.n_pixels), PARTS**2)
    return rows.ravel(), columns.ravel(), pixel


def _part_positions(mask, rows, columns):
    west, _, south, _ = mask.grid.extent
    step = mask.grid.pixel_scale / PARTS
    return west + (columns + 0.5) * step, south + (rows + 0.5) * step


def _distinct(chosen, n):
    """Sorted numbers below n, moved up (and at the end down) as little as makes each different from the last."""
    up = np.arange(len(chosen))
    chosen = np.maximum.accumulate(chosen - up) + up
    return np.minimum(chosen, n - len(chosen) + up)


def _in_mask(mask, x, y):
    west, _, south, _ = mask.grid.extent
    columns = np.floor((x - west) / mask.grid.pixel_scale).astype(int)
    rows = np.floor((y - south) / mask.grid.pixel_scale).astype(int)
    height, width = mask.grid.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    return inside & mask.kept[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]


def _lattice_in(mask, spacing):
    """Points of a hexagonal lattice near the middle of the mask's pixels that lie in kept pixels."""
    mid_x, mid_y = (0.5 * (v.min() + v.max()) for v in (mask.x, mask.y))
    reach = 0.5 * max(np.ptp(mask.x), np.ptp(mask.y)) + mask.grid.pixel_scale
    n = math.ceil(reach / spacing) + 2
    column, row = np.meshgrid(np.arange(-n, n + 1), np.arange(-2 * n, 2 * n + 1))
    # off the middle by no simple fraction: points of a symmetric mask then come in one by one, not six at a time
    x = (mid_x + spacing * (column + 0.5 * (row % 2) + 0.29)).ravel()
    y = (mid_y + spacing * (0.5 * math.sqrt(3.0) * row + 0.17)).ravel()
    inside = _in_mask(mask, x, y)
    return x[inside], y[inside]


def _spreads(mask):
    return np.ptp(mask.rows) > 0 and np.ptp(mask.columns) > 0 and mask.n_pixels > 3
