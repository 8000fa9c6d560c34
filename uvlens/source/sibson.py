"""Natural neighbour (Sibson 1981) weights and their derivatives, on the host.

A ray inserted at p would take the area A_i from the Voronoi cell of vertex i; its weights are A_i / sum of A. The
triangles whose circumcircle holds p form a cavity around it. What is taken from i is bounded by the bisector f_i of p
and i, and by the dual edges of i inside the cavity, each of which separates i from another vertex j. So a dual edge
from q_R to q_L (right and left of i -> j, seen from p) adds 1/2 q_R x q_L to A_i and takes it from A_j, and no
polygon has to be put in order. Each boundary between sites a and b of length L and midpoint m moves with them as

    d area of a = L / |a - b| [(m - a) . da - (m - b) . db]

which are all derivatives there are: with the sites (p, i) for f_i and (i, j) for dual edges.
"""

import functools
from typing import NamedTuple

import numpy as np

from ..threads import in_parallel
from .location import locate, parts_of
from .triangulation import compiled

COINCIDENT = 1e-9
"""Rays closer to a vertex than this part of the fade length take barycentric weights: there both are 1."""


class _Scratch(NamedTuple):
    """What one thread works in: see `_cavity`."""

    slot: np.ndarray
    mark: np.ndarray
    stack: np.ndarray
    node: np.ndarray
    area: np.ndarray
    face: np.ndarray
    pair: np.ndarray
    segment: np.ndarray


def _scratch(n_vertices, n_triangles):
    return _Scratch(
        np.full(n_vertices, -1, np.int32),
        np.full(n_triangles, -1, np.int64),
        np.empty((n_triangles + 1, 2), np.int32),
        np.empty(n_vertices, np.int32),
        np.empty(n_vertices),
        np.empty((n_vertices, 4)),
        np.empty((3 * n_triangles, 2), np.int32),
        np.empty((3 * n_triangles, 3)),
    )


def natural_weights(n_neighbours, beta_x, beta_y, x, y, fade_length, simplices, neighbours, n_simplices, hull):
    """(indices (M, P), weights (M, P), found (M,), dropped (M,)) of M rays, P = n_neighbours.

    A ray with more than P neighbours keeps the P largest weights, divided by their sum; `dropped` is what the others
    would have had. Outside the hull the fade of `points`. `found` is for `natural_cotangents`.
    """
    found = locate(beta_x, beta_y, x, y, simplices, neighbours, n_simplices, hull)
    indices = np.zeros((len(found), n_neighbours), np.int32)
    weights = np.zeros((len(found), n_neighbours))
    dropped = np.zeros(len(found))
    if n_simplices == 0 or not np.isfinite(fade_length):
        weights[:] = np.nan
        return indices, weights, found, dropped
    simplices, neighbours = simplices[:n_simplices], neighbours[:n_simplices]

    def part(start, stop):
        s = _scratch(len(x), n_simplices)
        fade = float(fade_length)
        _weights(
            start, stop, found, beta_x, beta_y, x, y, fade, simplices, neighbours, hull, s, indices, weights, dropped
        )

    in_parallel(part, len(found), parts_of(len(found)))
    return indices, weights, found, dropped


def natural_cotangents(
    found, indices, weights, weights_bar, beta_x, beta_y, x, y, fade_length, simplices, neighbours, n_simplices, hull
):
    """Cotangents of (beta_x, beta_y (M,), x, y (S,), fade_length) from those of the weights (M, P)."""
    beta_bar = np.zeros((len(found), 2))
    if n_simplices == 0 or not np.isfinite(fade_length):
        nothing = np.full(len(x), np.nan)
        return np.full(len(found), np.nan), np.full(len(found), np.nan), nothing, nothing, np.float64(np.nan)
    simplices, neighbours = simplices[:n_simplices], neighbours[:n_simplices]
    parts = []

    def part(start, stop):
        s = _scratch(len(x), n_simplices)
        vertices_bar = np.zeros((len(x) + 1, 2))
        fade = float(fade_length)
        arguments = (found, indices, weights, weights_bar, beta_x, beta_y, x, y, fade, simplices, neighbours, hull)
        _cotangents(start, stop, *arguments, s, beta_bar, vertices_bar)
        parts.append((start, vertices_bar))

    in_parallel(part, len(found), parts_of(len(found)))
    total = functools.reduce(np.add, (bar for _, bar in sorted(parts, key=lambda item: item[0])))
    columns = (beta_bar[:, 0], beta_bar[:, 1], total[:-1, 0], total[:-1, 1])
    return (*(np.ascontiguousarray(c) for c in columns), np.float64(total[-1, 0]))


@compiled
def _weights(start, stop, found, beta_x, beta_y, x, y, fade, simplices, neighbours, hull, s, indices, weights, dropped):
    n_kept = indices.shape[1]
    for ray in range(start, stop):
        px, py, t = beta_x[ray], beta_y[ray], found[ray]
        if not np.isfinite(px + py):
            weights[ray, :] = np.nan
            continue
        if t < 0:
            a, b = hull[-1 - t]
            along, distance, _, _ = _onto_edge(px, py, x[a], y[a], x[b], y[b])
            rest = max(0.0, 1.0 - distance / fade)
            _put(indices, weights, ray, 0, a, rest * (1.0 - along))
            _put(indices, weights, ray, 1, b, rest * along)
            continue
        n, _ = _cavity(ray, px, py, t, x, y, simplices, neighbours, fade, s)
        if n == 0:
            for k in range(3):
                _put(indices, weights, ray, k, simplices[t, k], _barycentric(px, py, x, y, simplices[t], k)[0])
            continue
        total = 0.0
        for k in range(n):
            s.area[k] = max(s.area[k], 0.0)
            total += s.area[k]
        if n > n_kept:
            kept = _keep_largest(s.node, s.area, n, n_kept)
            dropped[ray] = 1.0 - kept / total
            n, total = n_kept, kept
        for k in range(n):
            _put(indices, weights, ray, k, s.node[k], s.area[k] / total)


@compiled
def _put(indices, weights, ray, k, node, weight):
    """Entry k of a ray: a node and its weight, index 0 where that is 0."""
    if weight != 0.0:
        indices[ray, k], weights[ray, k] = node, weight


@compiled
def _keep_largest(node, area, n, n_kept):
    """Moves the largest of n areas to the front; their sum."""
    kept = 0.0
    for k in range(n_kept):
        best = k
        for m in range(k + 1, n):
            if area[m] > area[best]:
                best = m
        node[k], node[best] = node[best], node[k]
        area[k], area[best] = area[best], area[k]
        kept += area[k]
    return kept


@compiled
def _cotangents(
    start,
    stop,
    found,
    indices,
    weights,
    weights_bar,
    beta_x,
    beta_y,
    x,
    y,
    fade,
    simplices,
    neighbours,
    hull,
    s,
    beta_bar,
    vertices_bar,
):
    """Adds to beta_bar (M, 2) and vertices_bar (S + 1, 2), whose last row begins with the cotangent of the fade."""
    area_bar = np.empty(len(x))
    for ray in range(start, stop):
        px, py, t = beta_x[ray], beta_y[ray], found[ray]
        if t < 0:
            _outside_cotangents(ray, px, py, hull[-1 - t], weights, weights_bar, x, y, fade, beta_bar, vertices_bar)
            continue
        mean = 0.0
        for k in range(indices.shape[1]):
            if weights[ray, k] != 0.0:
                mean += weights[ray, k] * weights_bar[ray, k]
        n, n_segments = _cavity(ray, px, py, t, x, y, simplices, neighbours, fade, s)
        if n == 0:
            _barycentric_cotangents(
                ray, px, py, simplices[t], indices, weights, weights_bar, x, y, beta_bar, vertices_bar
            )
            continue
        for k in range(n):
            s.slot[s.node[k]] = k
            area_bar[k] = 0.0
        total = 0.0
        for k in range(indices.shape[1]):
            if weights[ray, k] != 0.0:
                m = s.slot[indices[ray, k]]
                total += s.area[m]
                area_bar[m] = weights_bar[ray, k] - mean
        for k in range(n):
            i = s.node[k]
            s.slot[i] = -1
            factor = area_bar[k] / total
            inward_x, inward_y, outward_x, outward_y = s.face[k]
            ux, uy = x[i] - px, y[i] - py
            # f_i lies on the bisector, across u: its length over |u|
            along = (outward_y - inward_y) * ux - (outward_x - inward_x) * uy
            factor *= along / (ux * ux + uy * uy)
            mx, my = 0.5 * (inward_x + outward_x), 0.5 * (inward_y + outward_y)
            beta_bar[ray, 0] += factor * mx
            beta_bar[ray, 1] += factor * my
            vertices_bar[i, 0] -= factor * (mx - ux)
            vertices_bar[i, 1] -= factor * (my - uy)
        for k in range(n_segments):
            first, second = s.pair[k]
            i, j = s.node[first], s.node[second]
            factor = (area_bar[first] - area_bar[second]) / total * s.segment[k, 0]
            mx, my = s.segment[k, 1] + px, s.segment[k, 2] + py
            vertices_bar[i, 0] += factor * (mx - x[i])
            vertices_bar[i, 1] += factor * (my - y[i])
            vertices_bar[j, 0] -= factor * (mx - x[j])
            vertices_bar[j, 1] -= factor * (my - y[j])


@compiled
def _onto_edge(px, py, ax, ay, bx, by):
    """(part of the way from a to b, distance, unit vector from there) of the nearest point of an edge."""
    ex, ey = bx - ax, by - ay
    along = ((px - ax) * ex + (py - ay) * ey) / (ex * ex + ey * ey)
    along = min(max(along, 0.0), 1.0)
    dx, dy = px - ax - along * ex, py - ay - along * ey
    distance = np.sqrt(dx * dx + dy * dy)
    if distance == 0.0:
        return along, 0.0, 0.0, 0.0
    return along, distance, dx / distance, dy / distance


@compiled
def _outside_cotangents(ray, px, py, edge, weights, weights_bar, x, y, fade, beta_bar, vertices_bar):
    a, b = edge
    along, distance, ux, uy = _onto_edge(px, py, x[a], y[a], x[b], y[b])
    rest = 1.0 - distance / fade
    if not rest > 0.0:
        return
    first = weights_bar[ray, 0] if weights[ray, 0] != 0.0 else 0.0
    second = weights_bar[ray, 1] if weights[ray, 1] != 0.0 else 0.0
    rest_bar = first * (1.0 - along) + second * along
    away = -rest_bar / fade
    beta_bar[ray, 0] += away * ux
    beta_bar[ray, 1] += away * uy
    for node, part in ((a, 1.0 - along), (b, along)):
        vertices_bar[node, 0] -= away * part * ux
        vertices_bar[node, 1] -= away * part * uy
    vertices_bar[-1, 0] += rest_bar * distance / (fade * fade)
    if 0.0 < along < 1.0:
        ex, ey, dx, dy = x[b] - x[a], y[b] - y[a], px - x[a], py - y[a]
        along_bar = rest * (second - first) / (ex * ex + ey * ey)
        beta_bar[ray, 0] += along_bar * ex
        beta_bar[ray, 1] += along_bar * ey
        vertices_bar[a, 0] += along_bar * (2.0 * along * ex - ex - dx)
        vertices_bar[a, 1] += along_bar * (2.0 * along * ey - ey - dy)
        vertices_bar[b, 0] += along_bar * (dx - 2.0 * along * ex)
        vertices_bar[b, 1] += along_bar * (dy - 2.0 * along * ey)


@compiled
def _barycentric(px, py, x, y, corners, k):
    """(weight of corner k of a triangle, its gradient by p)."""
    a, b, c = corners[k], corners[(k + 1) % 3], corners[(k + 2) % 3]
    ex, ey = x[c] - x[b], y[c] - y[b]
    area = (x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a])
    if area == 0.0:
        return 1.0 / 3.0, 0.0, 0.0
    return (ex * (py - y[b]) - ey * (px - x[b])) / area, -ey / area, ex / area


@compiled
def _barycentric_cotangents(ray, px, py, corners, indices, weights, weights_bar, x, y, beta_bar, vertices_bar):
    bar_x = bar_y = 0.0
    for k in range(3):
        if weights[ray, k] != 0.0:
            _, slope_x, slope_y = _barycentric(px, py, x, y, corners, k)
            bar_x += weights_bar[ray, k] * slope_x
            bar_y += weights_bar[ray, k] * slope_y
    beta_bar[ray, 0] += bar_x
    beta_bar[ray, 1] += bar_y
    for k in range(3):
        share = _barycentric(px, py, x, y, corners, k)[0]
        vertices_bar[corners[k], 0] -= share * bar_x
        vertices_bar[corners[k], 1] -= share * bar_y


@compiled
def _cavity(ray, px, py, first, x, y, simplices, neighbours, fade, s):
    """(number of neighbours, number of dual edges); 0 neighbours where p coincides with a vertex or lies on the hull.

    Fills, with positions relative to p: s.node, s.area of the neighbours; s.face, where their bisector with p begins
    and ends, counterclockwise about p; s.pair, the neighbours i, j of each dual edge, and s.segment, its length over
    |i - j| and its midpoint.
    """
    n = n_segments = top = 0
    s.stack[0, 0], s.stack[0, 1] = first, -1
    s.mark[first] = ray
    good = True
    while top >= 0 and good:
        t, parent = s.stack[top]
        top -= 1
        left_x, left_y = _centre(px, py, x, y, simplices[t])
        for k in range(3):
            other = neighbours[t, k]
            if other == parent and other >= 0:
                continue
            i, j = simplices[t, (k + 1) % 3], simplices[t, (k + 2) % 3]
            ux, uy, vx, vy = x[i] - px, y[i] - py, x[j] - px, y[j] - py
            cross = ux * vy - uy * vx
            slots = (s.slot[i], s.slot[j])
            for m in range(2):
                node = i if m == 0 else j
                if slots[m] < 0:
                    s.slot[node] = n
                    s.node[n] = node
                    s.area[n] = 0.0
                    n += 1
            a, b = s.slot[i], s.slot[j]
            inside = False
            if other >= 0:
                inside = cross <= 0.0 or _in_circle(px, py, x, y, simplices[other])
            if inside:
                if s.mark[other] == ray:
                    good = False
                    break
                s.mark[other] = ray
                top += 1
                s.stack[top, 0], s.stack[top, 1] = other, t
                right_x, right_y = _centre(px, py, x, y, simplices[other])
            else:
                u, v = ux * ux + uy * uy, vx * vx + vy * vy
                closest = (COINCIDENT * fade) ** 2
                if not (cross > 1e-14 * np.sqrt(u * v)) or u < closest or v < closest:
                    good = False
                    break
                right_x, right_y = 0.5 * (vy * u - uy * v) / cross, 0.5 * (ux * v - vx * u) / cross
                s.face[a, 2], s.face[a, 3] = right_x, right_y
                s.face[b, 0], s.face[b, 1] = right_x, right_y
            taken = 0.5 * (right_x * left_y - right_y * left_x)
            s.area[a] += taken
            s.area[b] -= taken
            ex, ey = vx - ux, vy - uy
            s.pair[n_segments, 0], s.pair[n_segments, 1] = a, b
            s.segment[n_segments, 0] = (ex * (left_y - right_y) - ey * (left_x - right_x)) / (ex * ex + ey * ey)
            s.segment[n_segments, 1], s.segment[n_segments, 2] = 0.5 * (left_x + right_x), 0.5 * (left_y + right_y)
            n_segments += 1
    for k in range(n):
        s.slot[s.node[k]] = -1
    if not good:
        return 0, 0
    for k in range(n):
        inward_x, inward_y, outward_x, outward_y = s.face[k]
        s.area[k] += 0.5 * (inward_x * outward_y - inward_y * outward_x)
    return n, n_segments


@compiled
def _in_circle(px, py, x, y, corners):
    """Whether p lies in the circumcircle of a counterclockwise triangle: the determinant about p."""
    a, b, c = corners
    ax, ay, bx, by, cx, cy = x[a] - px, y[a] - py, x[b] - px, y[b] - py, x[c] - px, y[c] - py
    return (
        (ax * ax + ay * ay) * (bx * cy - cx * by)
        + (bx * bx + by * by) * (cx * ay - ax * cy)
        + (cx * cx + cy * cy) * (ax * by - bx * ay)
    ) > 0.0


@compiled
def _centre(px, py, x, y, corners):
    """Circumcentre of a triangle, relative to p."""
    a, b, c = corners
    ux, uy, vx, vy = x[b] - x[a], y[b] - y[a], x[c] - x[a], y[c] - y[a]
    u, v, cross = ux * ux + uy * uy, vx * vx + vy * vy, 2.0 * (ux * vy - uy * vx)
    return (x[a] - px) + (vy * u - uy * v) / cross, (y[a] - py) + (ux * v - vx * u) / cross
