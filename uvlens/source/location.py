"""In which triangle a ray lands, on the host: a walk from triangle to triangle that starts where the last ray was."""

import numpy as np

from ..threads import in_parallel
from .triangulation import compiled


def parts_of(n_rays):
    """In how many parts rays are shared among the cores: few rays stay on one, None leaves it to `in_parallel`."""
    return 1 if n_rays < 4096 else None


def locate(beta_x, beta_y, x, y, simplices, neighbours, n_simplices, hull):
    """For rays of shape (M,) the number of their triangle, or -1 - h of the nearest hull edge h of rays outside.

    Args:
        beta_x, beta_y: rays, shape (M,).
        x, y: vertices, shape (S,).
        simplices, neighbours, n_simplices, hull: of the Triangulation.
    """
    found = np.empty(len(beta_x), np.int32)
    hull = hull[hull[:, 0] != hull[:, 1]]
    if n_simplices == 0 or not len(hull):
        return np.full(len(beta_x), -1, np.int32)
    simplices, neighbours = simplices[:n_simplices], neighbours[:n_simplices]

    def part(start, stop):
        _locate(start, stop, beta_x, beta_y, x, y, simplices, neighbours, hull, found)

    in_parallel(part, len(beta_x), parts_of(len(beta_x)))
    return found


def corners(beta_x, beta_y, x, y, simplices, neighbours, n_simplices, hull):
    """Vertices of the triangle of each ray, shape (M, 3): (a, b, -1) of the nearest hull edge for rays outside."""
    found = locate(beta_x, beta_y, x, y, simplices, neighbours, n_simplices, hull)
    result = np.empty((len(found), 3), np.int32)
    in_parallel(
        lambda start, stop: _corners(start, stop, found, simplices, hull, result), len(found), parts_of(len(found))
    )
    return result


@compiled
def _corners(start, stop, found, simplices, hull, result):
    for ray in range(start, stop):
        t = found[ray]
        if t >= 0:
            for k in range(3):
                result[ray, k] = simplices[t, k]
        else:
            result[ray, 0], result[ray, 1], result[ray, 2] = hull[-1 - t, 0], hull[-1 - t, 1], -1


@compiled
def _locate(start, stop, beta_x, beta_y, x, y, simplices, neighbours, hull, found):
    here = 0
    for ray in range(start, stop):
        px, py = beta_x[ray], beta_y[ray]
        if not np.isfinite(px + py):
            found[ray] = -1
            continue
        t = _walk(px, py, here, x, y, simplices, neighbours)
        if t >= 0:
            here = t
            found[ray] = t
        else:
            here = -1 - t
            found[ray] = -1 - _nearest_edge(px, py, x, y, hull)


@compiled
def _walk(px, py, start, x, y, simplices, neighbours):
    """Triangle of a point, or -1 - t if the walk left the hull from triangle t."""
    t, previous = start, -1
    for _ in range(4 * len(simplices) + 8):
        step = -1
        for k in range(3):
            other = neighbours[t, k]
            if other == previous and other >= 0:
                continue  # never straight back: rounding cannot make the walk go to and fro
            a, b = simplices[t, (k + 1) % 3], simplices[t, (k + 2) % 3]
            if (x[b] - x[a]) * (py - y[a]) - (y[b] - y[a]) * (px - x[a]) < 0.0:
                if other < 0:
                    return -1 - t
                step = other
                break
        if step < 0:
            return t
        t, previous = step, t
    return _by_trying(px, py, x, y, simplices)


@compiled
def _by_trying(px, py, x, y, simplices):
    """The triangle in which the point lies deepest, for walks that do not end."""
    best, depth = 0, -np.inf
    for t in range(len(simplices)):
        least = np.inf
        for k in range(3):
            a, b = simplices[t, k], simplices[t, (k + 1) % 3]
            ex, ey = x[b] - x[a], y[b] - y[a]
            least = min(least, (ex * (py - y[a]) - ey * (px - x[a])) / np.sqrt(ex * ex + ey * ey))
        if least > depth:
            best, depth = t, least
    return best


@compiled
def _nearest_edge(px, py, x, y, hull):
    best, distance = 0, np.inf
    for h in range(len(hull)):
        a, b = hull[h]
        ex, ey = x[b] - x[a], y[b] - y[a]
        along = ((px - x[a]) * ex + (py - y[a]) * ey) / (ex * ex + ey * ey)
        along = min(max(along, 0.0), 1.0)
        dx, dy = px - x[a] - along * ex, py - y[a] - along * ey
        if dx * dx + dy * dy < distance:
            best, distance = h, dx * dx + dy * dy
    return best
