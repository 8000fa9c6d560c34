"""The image plane cut into triangles: small along critical curves and about the centres of deflectors.

A balanced quadtree (cells that share an edge differ by one level at most), each cell a fan of triangles from its
middle to its corners and to the corners of smaller neighbours on its edges. No triangle has a corner on another's
edge, so the piecewise linear map to the source plane is continuous: a source is covered by the right number of
triangles, and the contour of det A = 0 consists of closed curves, but for those that leave the box.

Cells are split
- where det A changes its sign, or might between the corners, down to `resolution`, and further within eight cells of
  a deflector's centre, which is where critical curves are small;
- around the centre of every mass component, seen through the planes in front of it, down to SMALLEST of the box;
- where the deflection at the middle is far from the mean of those at the corners, down to `resolution`.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from .tracing import component_centers, planes_of, trace_rays

SMALLEST = 1e-8
"""Cells about centres, as a fraction of the box."""
_BASE = 40
_BENT = 0.15
_CORNERS = np.array([[0, 0], [2, 0], [2, 2], [0, 2], [1, 1]])


class Tiling(NamedTuple):
    """Triangles of a box of the image plane.

    Attributes:
        x, y: nodes, shape (n,) [arcsec].
        beta: where they land in the source plane, (n, 2) [arcsec].
        determinant: det A there.
        triangles: (T, 3) nodes, counterclockwise.
        central: (T,) whether a triangle belongs to a smallest cell, thus to the centre of a deflector.
        box: (low_x, high_x, low_y, high_y) [arcsec].
    """

    x: np.ndarray
    y: np.ndarray
    beta: np.ndarray
    determinant: np.ndarray
    triangles: np.ndarray
    central: np.ndarray
    box: tuple[float, float, float, float]

    def holds(self, x, y):
        """Whether positions lie in the box."""
        low_x, high_x, low_y, high_y = self.box
        return (x >= low_x) & (x <= high_x) & (y >= low_y) & (y <= high_y)


def tile(lens, box, resolution, base=_BASE) -> Tiling:
    """Triangles of a box.

    Args:
        lens: anything with `ray_trace`; its planes and mass components, if it has them, say where to look closer.
        box: (low_x, high_x, low_y, high_y) [arcsec].
        resolution: size of the cells along critical curves [arcsec].
        base: cells along the longer side before anything is split.

    Raises:
        InputError: an empty box, or a resolution that is not positive.
    """
    low_x, high_x, low_y, high_y = (float(v) for v in box)
    width, height = high_x - low_x, high_y - low_y
    if not (width > 0.0 and height > 0.0 and np.isfinite([width, height]).all()):
        raise InputError(f"box: expected low < high on both axes [arcsec], got {tuple(box)}")
    if not resolution > 0.0:
        raise InputError(f"resolution: must be > 0 arcsec, got {resolution}")
    side = max(width, height) / base
    shape = (max(1, round(width / side)), max(1, round(height / side)))
    fine = max(0, int(np.ceil(np.log2(side / resolution))))
    deepest = max(fine, int(np.ceil(np.log2(1.0 / (base * SMALLEST)))))
    nodes = _Nodes(lens, (low_x, low_y), (width / shape[0], height / shape[1]), deepest)
    criterion = _Criterion(lens, nodes, fine)
    split = _grow(shape, deepest, criterion)
    return _fans(shape, deepest, split, nodes, (low_x, high_x, low_y, high_y))


class _Nodes:
    """Rays at nodes of the lattice of quarter-cells of the deepest level, each traced once."""

    def __init__(self, lens, origin, size, deepest):
        self.lens, self.origin, self.size = lens, origin, size
        self.unit = 1 << (deepest + 1)
        self.keys, self.values = np.zeros(0, np.int64), None

    def positions(self, keys):
        return tuple(
            o + s * (index / self.unit) for o, s, index in zip(self.origin, self.size, (keys >> 32, keys & 0xFFFFFFFF))
        )

    def indices(self, keys):
        """Row of each key, tracing what is new."""
        new = np.setdiff1d(keys.ravel(), self.keys)
        if new.size:
            rays = trace_rays(self.lens, *self.positions(new))
            flat = rays.met.reshape(new.size, -1)
            values = np.column_stack([rays.beta_x, rays.beta_y, rays.determinant, flat])
            merged = np.concatenate([self.keys, new])
            order = np.argsort(merged)
            self.keys = merged[order]
            self.values = values[order] if self.values is None else np.concatenate([self.values, values])[order]
        return np.searchsorted(self.keys, keys)


class _Criterion:
    """Which cells are to be split; see the module."""

    def __init__(self, lens, nodes, fine):
        self.nodes, self.fine = nodes, fine
        self.trees = [cKDTree(centers) if len(centers) else None for centers in map(component_centers, planes_of(lens))]

    def __call__(self, level, cells):
        corners = _corner_keys(cells, self.nodes.unit >> level)
        rows = self.nodes.indices(corners)
        values = self.nodes.values[rows]  # (cells, 5, :)
        beta, det, met = values[..., :2], values[..., 2], values[..., 3:]
        low, high = det.min(axis=1), det.max(axis=1)
        changes = (low <= 0.0) & (high > 0.0)
        nearness = self._nearness(met)
        wanted = (nearness < 1.5) | (changes & (nearness < 8.0))
        if level < self.fine:
            might = np.abs(det).min(axis=1) < 0.5 * (high - low)
            middle = beta[:, 4] - beta[:, :4].mean(axis=1)
            extent = np.linalg.norm(beta[:, :4] - beta[:, 4:], axis=-1).max(axis=1)
            wanted |= changes | might | (np.linalg.norm(middle, axis=-1) > _BENT * extent)
        return wanted

    def _nearness(self, met):
        """Distance to the nearest centre over the size of the cell, in the plane of that centre."""
        nearest = np.full(len(met), np.inf)
        for j, tree in enumerate(self.trees):
            if tree is None:
                continue
            place = met[..., 2 * j : 2 * j + 2]
            size = np.linalg.norm(place[:, :4] - place[:, 4:], axis=-1).max(axis=1)
            nearest = np.minimum(nearest, tree.query(place[:, 4])[0] / np.maximum(size, 1e-300))
        return nearest


def _grow(shape, deepest, wanted):
    """Keys of the cells split at each level, balanced."""
    split = [np.zeros(0, np.int64) for _ in range(deepest + 1)]
    judged = [np.zeros(0, np.int64) for _ in range(deepest)]
    while True:
        before = [keys.size for keys in split]
        for level in range(deepest):
            new = np.setdiff1d(_cells(level, shape, split), judged[level])
            if new.size:
                judged[level] = np.union1d(judged[level], new)
                split[level] = np.union1d(split[level], new[wanted(level, new)])
        for level in range(deepest - 1, 0, -1):
            split[level - 1] = np.union1d(split[level - 1], _parents_around(split[level], level, shape))
        if [keys.size for keys in split] == before:
            return split


def _fans(shape, deepest, split, nodes, box):
    """The triangles of all leaves."""
    keys, central = [], []
    for level in range(deepest + 1):
        leaves = np.setdiff1d(_cells(level, shape, split), split[level])
        if not leaves.size:
            continue
        unit = nodes.unit >> level
        corner = _corner_keys(leaves, unit)
        nodes.indices(corner)
        for first, second, across in ((0, 1, (0, -1)), (1, 2, (1, 0)), (2, 3, (0, 1)), (3, 0, (-1, 0))):
            a, b, middle = corner[:, first], corner[:, second], corner[:, 4]
            halved = np.isin(_moved(leaves, *across), split[level])
            half = (a[halved] + b[halved]) // 2
            keys += [
                np.stack([a[~halved], b[~halved], middle[~halved]], axis=1),
                np.stack([a[halved], half, middle[halved]], axis=1),
                np.stack([half, b[halved], middle[halved]], axis=1),
            ]
            central.append(np.full(leaves.size + halved.sum(), level == deepest))
    triangles = nodes.indices(np.concatenate(keys))
    x, y = nodes.positions(nodes.keys)
    values = nodes.values
    return Tiling(x, y, values[:, :2], values[:, 2], triangles, np.concatenate(central), box)


def _cells(level, shape, split):
    """Keys (column << 32 | row) of the cells there are at a level."""
    if level == 0:
        columns, rows = np.meshgrid(np.arange(shape[0], dtype=np.int64), np.arange(shape[1], dtype=np.int64))
        return np.unique((columns << 32) | rows)
    column, row = (split[level - 1] >> 32) << 1, (split[level - 1] & 0xFFFFFFFF) << 1
    return np.unique(np.concatenate([((column + i) << 32) | (row + j) for i in (0, 1) for j in (0, 1)]))


def _parents_around(cells, level, shape):
    """Cells of the level above that hold these or one of their eight neighbours."""
    column, row = cells >> 32, cells & 0xFFFFFFFF
    found = []
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            inside = (column + i >= 0) & (row + j >= 0)
            inside &= (column + i < shape[0] << level) & (row + j < shape[1] << level)
            found.append((((column + i) >> 1) << 32 | ((row + j) >> 1))[inside])
    return np.unique(np.concatenate(found))


def _moved(cells, i, j):
    """Keys of neighbours; beyond the box keys that no cell has."""
    column, row = (cells >> 32) + i, (cells & 0xFFFFFFFF) + j
    return np.where((column < 0) | (row < 0), -1, (column << 32) | np.maximum(row, 0))


def _corner_keys(cells, unit):
    """Keys of the four corners, counterclockwise, and the middle, shape (cells, 5)."""
    column, row = (cells >> 32) * unit, (cells & 0xFFFFFFFF) * unit
    half = unit // 2
    return ((column[:, None] + half * _CORNERS[:, 0]) << 32) | (row[:, None] + half * _CORNERS[:, 1])
