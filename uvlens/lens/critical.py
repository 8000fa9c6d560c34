"""Critical curves, caustics, the areas within, and Einstein radii.

    A = d beta / d theta,   det A = 0 on critical curves

A curve is tangential where the other eigenvalue of A, tr A, is positive (1 - kappa - gamma = 0 in a single plane) and
radial where it is negative. Points lie on det A = 0 to rounding; areas follow from them and the tangents,

    area = 1/2 sum [P0 x P1 + (P1 - P0) x (m1 - m0) / 5 - m0 x m1 / 30],   m = chord x tangent

(Green's theorem on cubic Hermite segments); those of caustics are signed in the same way, so that a part that is
wound around twice counts twice.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter1d

from ..errors import InputError
from .contour import chains, crossed_edges, roots_on_segments
from .tiling import Tiling, tile
from .tracing import trace_rays

_TURN = 0.1
"""Largest angle between tangents of consecutive points [rad]."""
_STEP = 1e-3
"""Step of differences along and across a curve, as a fraction of the distance between its points."""


class CriticalCurve(NamedTuple):
    """One critical curve and its caustic.

    Attributes:
        points: (M, 2) [arcsec]; the last repeats the first where the curve is closed.
        caustic: (M, 2) the same in the source plane.
        tangents: (M, 2) unit vectors along the curve; caustic_tangents: d beta along them.
        kind: "tangential" or "radial".
        closed: False for a curve that leaves the box.
        area, caustic_area: enclosed [arcsec^2]; NaN for open curves.
    """

    points: np.ndarray
    caustic: np.ndarray
    tangents: np.ndarray
    caustic_tangents: np.ndarray
    kind: str
    closed: bool
    area: float
    caustic_area: float


def find_critical_curves(lens, center=(0.0, 0.0), radius=3.0, resolution=None, tiling: Tiling | None = None):
    """Every critical curve in a box, the largest first.

    Args:
        lens: Lens, LensPlane, or anything with `ray_trace`; numbers for parameters.
        center, radius: middle and half the side of the box [arcsec].
        resolution: size of the cells along the curves [arcsec]; None: 1/200 of the box. Curves smaller than a cell
            are found about the centres of mass components, elsewhere where the deflection bends enough to notice.
        tiling: of the box, where it is there already.

    Returns:
        list of CriticalCurve; empty for a lens that is nowhere critical.
    """
    tiling = square_tiling(lens, center, radius, resolution) if tiling is None else tiling
    edges, links = crossed_edges(tiling.triangles, tiling.determinant > 0.0)
    if not len(edges):
        return []
    ends = [(tiling.x[e], tiling.y[e], tiling.determinant[e]) for e in edges.T]
    (x0, y0, f0), (x1, y1, f1) = ends
    x, y = roots_on_segments(lambda x, y: trace_rays(lens, x, y).determinant, x0, y0, x1, y1, f0, f1)
    points = np.stack([x, y], axis=1)
    found = []
    for order, closed in chains(links, len(edges)):
        chain = np.concatenate([order, order[:1]]) if closed else order
        found.append(_curve(lens, points[chain], closed))
    return sorted(found, key=lambda one: -(one.area if one.closed else 0.0))


def critical_curves(lens, x, y):
    """Where the magnification is infinite: det d beta / d theta = 0.

    Args:
        lens: Lens or LensPlane with numbers for parameters.
        x, y: axes of the grid that is searched, shapes (columns,), (rows,) [arcsec]: its box, and its spacing as the
            `resolution` of `find_critical_curves`.

    Returns:
        list of closed or open polylines, each of shape (points, 2) [arcsec].
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if x.ndim != 1 or y.ndim != 1 or x.size < 2 or y.size < 2:
        raise InputError(f"x, y: expected two axes of at least two nodes, got shapes {x.shape} and {y.shape}")
    box = x.min(), x.max(), y.min(), y.max()
    resolution = max((box[1] - box[0]) / (x.size - 1), (box[3] - box[2]) / (y.size - 1))
    return [one.points for one in find_critical_curves(lens, tiling=tile(lens, box, resolution))]


def caustics(lens, curves):
    """The critical curves traced to the source plane, a list of polylines of shape (points, 2) [arcsec]."""
    return [np.stack([r.beta_x, r.beta_y], axis=1) for r in (trace_rays(lens, c[:, 0], c[:, 1]) for c in curves)]


def effective_einstein_radius(lens, center, radius, n=200):
    """Radius of the circle with the area of the largest closed tangential critical curve [arcsec]; NaN without one.

    Args:
        lens: Lens or LensPlane with numbers for parameters.
        center: (x, y) of the middle of the search box [arcsec].
        radius: half its side [arcsec].
        n: cells along the curve a side of the box.
    """
    curves = find_critical_curves(lens, center, radius, 2.0 * radius / n)
    areas = [one.area for one in curves if one.closed and one.kind == "tangential"]
    return float(np.sqrt(max(areas) / np.pi)) if areas else float("nan")


def square_tiling(lens, center, radius, resolution=None) -> Tiling:
    """Tiles of the box |x - center_x|, |y - center_y| <= radius [arcsec].

    Its middle is moved by a few millionths of the radius, so that no node falls on the centre of a singular profile.
    """
    if not radius > 0.0:
        raise InputError(f"radius: must be > 0 arcsec, got {radius}")
    x, y = (c + radius * shift for c, shift in zip(center, (3.7e-6 * np.sqrt(2.0), 2.3e-6 * np.sqrt(3.0))))
    box = (x - radius, x + radius, y - radius, y + radius)
    return tile(lens, box, 2.0 * radius / 200 if resolution is None else resolution)


def hermite_area(points, tangents):
    """Area within a closed curve of cubic segments, positive counterclockwise [arcsec^2].

    Args:
        points: (M, 2), the last the first again.
        tangents: (M - 1, 2, 2), derivatives at both ends of each segment by a coordinate from 0 to 1.
    """
    p0, p1, m0, m1 = points[:-1], points[1:], tangents[:, 0], tangents[:, 1]
    origin = points.mean(axis=0)
    twice = _cross(p0 - origin, p1 - origin) + 0.2 * _cross(p1 - p0, m1 - m0) - _cross(m0, m1) / 30.0
    return 0.5 * float(twice.sum())


def _curve(lens, points, closed):
    """A CriticalCurve from points on it: more where it turns, tangents, areas."""
    points, tangents = _refined(lens, points)
    rays = trace_rays(lens, points[:, 0], points[:, 1])
    t_x, t_y = tangents.T
    along = np.stack([rays.xx * t_x + rays.xy * t_y, rays.yx * t_x + rays.yy * t_y], axis=1)
    caustic = np.stack([rays.beta_x, rays.beta_y], axis=1)
    length = _lengths(points, tangents)[:, None]
    area, caustic_area = (
        abs(hermite_area(place, np.stack([length * d[:-1], length * d[1:]], axis=1))) if closed else float("nan")
        for place, d in ((points, tangents), (caustic, along))
    )
    kind = "tangential" if np.median(rays.trace) > 0.0 else "radial"
    return CriticalCurve(points, caustic, tangents, along, kind, closed, area, caustic_area)


def _refined(lens, points, rounds=6):
    """(points, unit tangents) with points added between those whose tangents differ by more than _TURN."""
    tangents = _tangents(lens, points)
    for _ in range(rounds):
        turned = np.sum(tangents[:-1] * tangents[1:], axis=1) < np.cos(_TURN)
        chord = np.linalg.norm(np.diff(points, axis=0), axis=1)
        where = np.flatnonzero(turned & (chord > 1e-9))
        if not where.size:
            break
        p0, p1, length = points[where], points[where + 1], chord[where]
        middle = 0.5 * (p0 + p1) + 0.125 * length[:, None] * (tangents[where] - tangents[where + 1])
        start, step = middle, _STEP * length[:, None]
        for _ in range(5):
            value, gradient = _value_and_gradient(lens, middle, step)
            steep = np.maximum(np.sum(gradient**2, axis=1), 1e-300)
            middle = middle - (value / steep)[:, None] * gradient
        kept = np.linalg.norm(middle - start, axis=1) < 0.4 * length
        if not kept.any():
            break
        points = np.insert(points, where[kept] + 1, middle[kept], axis=0)
        tangents = _tangents(lens, points)
    return points, tangents


def _tangents(lens, points):
    """Unit vectors at right angles to the gradient of det A, in the sense in which the points follow each other."""
    chord = np.linalg.norm(np.diff(points, axis=0), axis=1)
    step = _STEP * maximum_filter1d(np.append(chord, chord[-1]), 7, mode="nearest")[:, None]
    _, gradient = _value_and_gradient(lens, points, step)
    steep = np.linalg.norm(gradient, axis=1, keepdims=True)
    tangent = np.stack([-gradient[:, 1], gradient[:, 0]], axis=1) / np.where(steep > 0.0, steep, 1.0)
    # one sense for the whole curve: the contour keeps det A > 0 on one side
    forward = np.sum(_cross_sum(points, tangent))
    return tangent if forward >= 0.0 else -tangent


def _cross_sum(points, tangent):
    steps = np.diff(points, axis=0)
    return np.sum(steps * (tangent[:-1] + tangent[1:]), axis=1)


def _value_and_gradient(lens, points, step):
    """det A and its gradient by central differences: second derivatives of deflections would take long to compile."""
    shifts = step * np.array([[[0, 0]], [[1, 0]], [[-1, 0]], [[0, 1]], [[0, -1]]])
    value, right, left, up, down = trace_rays(lens, *np.moveaxis(points + shifts, -1, 0)).determinant
    return value, np.stack([right - left, up - down], axis=1) / (2.0 * step)


def _lengths(points, tangents):
    """Lengths of the segments as arcs: chord (a / 2) / sin(a / 2) with a the angle between the tangents."""
    chord = np.linalg.norm(np.diff(points, axis=0), axis=1)
    half = 0.5 * np.arctan2(np.abs(_cross(tangents[:-1], tangents[1:])), np.sum(tangents[:-1] * tangents[1:], axis=1))
    return chord / np.sinc(half / np.pi)


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
