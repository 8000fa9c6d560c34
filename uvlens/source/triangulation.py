"""The Delaunay triangulation of traced vertices, on the host: integer tables in fixed shapes, nothing differentiable.

Positions are used to decide who is connected to whom; every length, area and weight is computed in JAX from these
tables (see `voronoi`, `delaunay`), so that derivatives are exact as long as the connectivity stays.

The dual cells are those of the Voronoi diagram cut off at the hull. A Voronoi edge whose circumcentre lies beyond
the hull ends on a line of the hull: the tables say on which. Cut like this, every length and area is a continuous
function of the vertices, also where a triangle flips or a vertex joins the hull.
"""

import functools
from typing import Any, NamedTuple

import numba
import numpy as np

compiled = functools.partial(numba.njit, nogil=True, cache=True, error_model="numpy")
"""Decorator of geometric kernels: no `fastmath`, signs of small numbers decide."""

FLAT = 1e-12
"""Triangles on the hull with less than this part of the area of the bounding square are taken off it."""


class Triangulation(NamedTuple):
    """Tables of S vertices, padded to fixed shapes.

    Attributes:
        simplices: vertices of each triangle, counterclockwise, shape (2 S, 3); padded with 0.
        neighbours: triangle across the edge opposite each vertex, shape (2 S, 3); -1 beyond the hull and as padding.
        n_simplices: number of triangles, scalar.
        edge_nodes: (i, j) of edges whose dual edge is not empty, shape (3 S, 2); padded with i = j = 0.
        edge_opposite: third vertex of the triangle on the left and on the right of i -> j, shape (3 S, 2); -1 where
            there is none. An edge with neither joins a vertex to the one it coincides with.
        edge_clip: hull edge on which the dual edge ends on the left and on the right, shape (3 S, 2); -1 where it
            ends in the circumcentre.
        hull: (a, b) of the hull's edges, counterclockwise each, shape (S, 2); padded with a = b = 0.
        twin: the vertex that stands for this one in the triangulation: itself, but for coinciding ones, shape (S,).
        multiplicity: how many vertices the twin stands for, shape (S,).
        valid: False where there is no triangulation: vertices on one line, or not finite.
    """

    simplices: Any
    neighbours: Any
    n_simplices: Any
    edge_nodes: Any
    edge_opposite: Any
    edge_clip: Any
    hull: Any
    twin: Any
    multiplicity: Any
    valid: Any


def triangulate(x, y):
    """The Triangulation of vertices at x, y, each of shape (S,), by SciPy (Qhull)."""
    from scipy.spatial import Delaunay, QhullError

    x, y = (np.ascontiguousarray(v, dtype=float) for v in (x, y))
    n = len(x)
    extent = max(np.ptp(x), np.ptp(y))
    if not (np.isfinite(extent) and extent > 0.0):
        return _nothing(n)
    x, y = (x - x.mean()) / extent, (y - y.mean()) / extent
    try:
        found = Delaunay(np.column_stack([x, y]))
    except (QhullError, ValueError):
        return _nothing(n)
    simplices, neighbours = _without_flat(x, y, found.simplices.astype(np.int32), found.neighbors.astype(np.int32))
    if not len(simplices):
        return _nothing(n)
    twin = _twins(x, y, simplices, n)
    nodes, opposite, clip, hull = _edges(x, y, simplices, neighbours, twin)
    return Triangulation(
        _padded(simplices, 2 * n, 0),
        _padded(neighbours, 2 * n, -1),
        np.int32(len(simplices)),
        _padded(nodes, 3 * n, 0),
        _padded(opposite, 3 * n, -1),
        _padded(clip, 3 * n, -1),
        _padded(hull, n, 0),
        twin,
        np.bincount(twin, minlength=n)[twin].astype(np.int32),
        np.bool_(True),
    )


def _nothing(n):
    empty = np.zeros((0, 2), np.int32)
    return Triangulation(
        np.zeros((2 * n, 3), np.int32),
        np.full((2 * n, 3), -1, np.int32),
        np.int32(0),
        _padded(empty, 3 * n, 0),
        _padded(empty, 3 * n, -1),
        _padded(empty, 3 * n, -1),
        _padded(empty, n, 0),
        np.arange(n, dtype=np.int32),
        np.ones(n, np.int32),
        np.bool_(False),
    )


def _padded(table, length, value):
    full = np.full((length, table.shape[1]), value, np.int32)
    full[: len(table)] = table
    return full


def _without_flat(x, y, simplices, neighbours):
    """(simplices, neighbours) without triangles on the hull that have no area, as regular lattices make them."""
    kept = np.ones(len(simplices), bool)
    _peel(x, y, simplices, neighbours, kept)
    number = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1).astype(np.int32)
    return simplices[kept], number[neighbours[kept]]


@compiled
def _peel(x, y, simplices, neighbours, kept):
    changed = True
    while changed:
        changed = False
        for t in range(len(simplices)):
            if not kept[t]:
                continue
            on_hull = False
            for k in range(3):
                on_hull |= neighbours[t, k] < 0
            a, b, c = simplices[t]
            area = 0.5 * ((x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a]))
            if on_hull and not area > FLAT:
                kept[t] = False
                changed = True
                for k in range(3):
                    other = neighbours[t, k]
                    if other >= 0:
                        for m in range(3):
                            if neighbours[other, m] == t:
                                neighbours[other, m] = -1


def _twins(x, y, simplices, n):
    """For each vertex itself, or the nearest vertex of the triangulation where it is not part of it."""
    twin = np.arange(n, dtype=np.int32)
    used = np.zeros(n, bool)
    used[simplices] = True
    members = np.flatnonzero(used)
    for i in np.flatnonzero(~used):
        twin[i] = members[np.argmin((x[members] - x[i]) ** 2 + (y[members] - y[i]) ** 2)]
    return twin


@compiled
def _edges(x, y, simplices, neighbours, twin):
    """(nodes, opposite, clip, hull): see Triangulation."""
    n_triangles, n = len(simplices), len(x)
    hull = np.empty((n, 2), np.int32)
    own = np.full((n_triangles, 3), -1, np.int32)
    acute = np.empty(n_triangles, np.bool_)
    n_hull = 0
    for t in range(n_triangles):
        acute[t] = True
        for k in range(3):
            a, b = simplices[t, (k + 1) % 3], simplices[t, (k + 2) % 3]
            acute[t] &= _cotangent(x, y, simplices[t, k], a, b) >= 0.0
            if neighbours[t, k] < 0:
                hull[n_hull, 0], hull[n_hull, 1] = a, b
                own[t, k] = n_hull
                n_hull += 1
    nodes = np.zeros((3 * n, 2), np.int32)
    opposite = np.full((3 * n, 2), -1, np.int32)
    clip = np.full((3 * n, 2), -1, np.int32)
    count = 0
    for t in range(n_triangles):
        for k in range(3):
            other = neighbours[t, k]
            if other > t:
                continue  # the edge is listed by the triangle of the larger number, or by that on the hull
            i, j, left = simplices[t, (k + 1) % 3], simplices[t, (k + 2) % 3], simplices[t, k]
            high, low, right = 0.5 * _cotangent(x, y, left, i, j), -np.inf, -1
            inside = acute[t]
            if other >= 0:
                for m in range(3):
                    if neighbours[other, m] == t:
                        right = simplices[other, m]
                low = -0.5 * _cotangent(x, y, right, j, i)
                inside &= acute[other]
            high_line = low_line = -1
            if other < 0:
                low, low_line = 0.0, own[t, k]
            if not inside:
                high, low, high_line, low_line = _clipped(x, y, i, j, high, low, hull[:n_hull], high_line, low_line)
            if high > low:
                nodes[count, 0], nodes[count, 1] = i, j
                opposite[count, 0], opposite[count, 1] = left, right
                clip[count, 0], clip[count, 1] = high_line, low_line
                count += 1
    for i in range(n):
        if twin[i] != i:
            nodes[count, 0], nodes[count, 1] = i, twin[i]
            count += 1
    return nodes[:count], opposite[:count], clip[:count], hull[:n_hull]


@compiled
def _cotangent(x, y, apex, a, b):
    """Of the angle at `apex` of the counterclockwise triangle (apex, a, b)."""
    ux, uy, vx, vy = x[a] - x[apex], y[a] - y[apex], x[b] - x[apex], y[b] - y[apex]
    return (ux * vx + uy * vy) / (ux * vy - uy * vx)


@compiled
def _clipped(x, y, i, j, high, low, hull, high_line, low_line):
    """The interval [low, high] of the bisector of i -> j, in units of the edge, cut off at the hull's lines."""
    mx, my = 0.5 * (x[i] + x[j]), 0.5 * (y[i] + y[j])
    nx, ny = y[i] - y[j], x[j] - x[i]
    for h in range(len(hull)):
        a, b = hull[h]
        gx, gy = x[b] - x[a], y[b] - y[a]
        start, slope = gx * (my - y[a]) - gy * (mx - x[a]), gx * ny - gy * nx
        if slope < 0.0 and -start / slope < high:
            high, high_line = -start / slope, h
        elif slope > 0.0 and h != low_line and -start / slope > low:
            low, low_line = -start / slope, h
    return high, low, high_line, low_line
