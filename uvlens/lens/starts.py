"""Where to look for images that straight triangles miss, and how often a closed curve winds around a source.

Folds: pairs of images about to merge, on both sides of a critical curve. Centres: images next to the centre of a
profile whose deflection jumps there by 2 theta_E from one side to the other (a slope of 2). The source plane has a
cut for each, the curve beta_0(phi) of rays that pass the centre at angle phi, and a source just inside it an image
at a distance r -> 0 that triangles with straight sides cannot follow.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .tracing import trace_rays

_LADDER = np.array([0.03, 0.1, 0.3, 1.0, 3.0])
_ANGLES = 512


def winding(edges, source):
    """Winding number of closed curves about a point.

    Args:
        edges: (n, 2, 2), directed from [:, 0] to [:, 1], together without ends.
        source: (2,).
    """
    a, b = edges[:, 0], edges[:, 1]
    upward = (a[:, 1] <= source[1]) & (b[:, 1] > source[1])
    downward = (b[:, 1] <= source[1]) & (a[:, 1] > source[1])
    side = (b[:, 0] - a[:, 0]) * (source[1] - a[:, 1]) - (source[0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    return int((upward & (side > 0.0)).sum()) - int((downward & (side < 0.0)).sum())


class Folds:
    """Where pairs of images are born: null vectors and curvatures of the map at every critical point."""

    def __init__(self, lens, curves):
        self.points = np.concatenate([c.points for c in curves])
        self.caustic = np.concatenate([c.caustic for c in curves])
        spacing = [np.linalg.norm(np.diff(c.points, axis=0), axis=1) for c in curves]
        self.spacing = np.concatenate([np.maximum(np.append(s, s[-1]), np.insert(s, 0, s[0])) for s in spacing])
        self.spacing = np.maximum(self.spacing, np.concatenate([np.full(len(s) + 1, np.median(s)) for s in spacing]))
        rays = trace_rays(lens, *self.points.T)
        matrix = np.stack([np.stack([rays.xx, rays.xy], -1), np.stack([rays.yx, rays.yy], -1)], -2)
        left, values, right = np.linalg.svd(matrix)
        self.null, self.conull = right[:, 1], left[:, :, 1]
        # minimum-norm inverse in the direction that A does not annihilate
        self.inverse = right[:, 0, :, None] * left[:, None, :, 0] / np.maximum(values[:, 0], 1e-300)[:, None, None]
        self.stretch = values[:, 0]
        step = 1e-2 * self.spacing[:, None]
        ahead, behind = (trace_rays(lens, *(self.points + s * step * self.null).T) for s in (1.0, -1.0))
        ends = [np.stack([r.beta_x, r.beta_y], axis=1) for r in (ahead, behind)]
        self.bend = (ends[0] + ends[1] - 2.0 * self.caustic) / step**2
        self.reach = np.linalg.norm(self.bend, axis=1) * (4.0 * self.spacing) ** 2 + self.stretch * self.spacing

    def starts(self, source):
        """Positions near critical points, shape (n, 2)."""
        off = source - self.caustic
        distance = np.linalg.norm(off, axis=1)
        near = np.flatnonzero(distance < self.reach)
        if not near.size:
            return np.zeros((0, 2))
        off = off[near]
        across = np.sum(self.conull[near] * off, axis=1)
        bend = np.sum(self.conull[near] * self.bend[near], axis=1)
        ratio = 2.0 * across / np.where(bend == 0.0, 1.0, bend)
        s = np.sqrt(np.maximum(ratio, 0.0))
        rest = off - 0.5 * (s**2)[:, None] * self.bend[near]
        w = np.einsum("nij,nj->ni", self.inverse[near], rest)
        good = (ratio > 0.0) & (s < 6.0 * self.spacing[near]) & (np.linalg.norm(w, axis=1) < 1.5 * self.spacing[near])
        folded = [self.points[near] + sign * s[:, None] * self.null[near] + w for sign in (1.0, -1.0)]
        # cusps, where the bend vanishes: a ladder of distances from the nearest critical points
        nearest = near[np.argsort(distance[near])[:3]]
        ladder = np.concatenate([-_LADDER, _LADDER])[None, :, None] * self.spacing[nearest, None, None]
        rungs = self.points[nearest, None, :] + ladder * self.null[nearest, None, :]
        return np.concatenate([folded[0][good], folded[1][good], rungs.reshape(-1, 2)])


class Centers:
    """Rings around the smallest tiles, and the cuts they are mapped to."""

    def __init__(self, lens, tiling):
        triangles = tiling.triangles[tiling.central]
        self.lens, self.points, self.radii = lens, np.zeros((0, 2)), np.zeros(0)
        self.cuts, self.extent = np.zeros((0, _ANGLES, 2)), np.zeros(0)
        if not len(triangles):
            return
        nodes, numbers = np.unique(triangles, return_inverse=True)
        numbers = numbers.reshape(-1, 3)
        pairs = np.concatenate([numbers[:, :2], numbers[:, 1:]])
        graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(nodes.size, nodes.size))
        count, group = connected_components(graph, directed=False)
        place = np.stack([tiling.x[nodes], tiling.y[nodes]], axis=1)
        self.points = np.stack([place[group == k].mean(axis=0) for k in range(count)])
        reach = np.linalg.norm(place - self.points[group], axis=1)
        self.radii = np.array([1.1 * reach[group == k].max() for k in range(count)])
        angle = 2.0 * np.pi * np.arange(_ANGLES) / _ANGLES
        around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        ring = self.points[:, None] + self.radii[:, None, None] * around
        rays = trace_rays(lens, ring[..., 0], ring[..., 1])
        self.cuts = np.stack([rays.beta_x, rays.beta_y], axis=-1)
        self.extent = np.ptp(self.cuts, axis=1).max(axis=1)

    def hold(self, x, y):
        """Whether positions lie within the rings."""
        if not len(self.points):
            return np.zeros(np.shape(x), bool)
        distance = np.hypot(x[:, None] - self.points[:, 0], y[:, None] - self.points[:, 1])
        return np.any(distance < self.radii, axis=1)

    def winding(self, source):
        """Sum of the winding numbers of the cuts."""
        total = 0
        for i, cut in enumerate(self.cuts):
            distance, _ = _distance(cut, source)
            if distance.min() < 1e-3 * self.extent[i]:
                cut = self._close_up(i, int(np.argmin(distance)))
            total += winding(np.stack([cut, np.roll(cut, -1, axis=0)], axis=1), source)
        return total

    def _close_up(self, i, k):
        """A cut with many more points about its segment k."""
        angle = 2.0 * np.pi * (k - 1 + 3.0 * np.arange(3 * _ANGLES) / (3 * _ANGLES)) / _ANGLES
        x = self.points[i, 0] + self.radii[i] * np.cos(angle)
        rays = trace_rays(self.lens, x, self.points[i, 1] + self.radii[i] * np.sin(angle))
        kept = np.roll(self.cuts[i], -(k + 2), axis=0)[:-3]
        return np.concatenate([kept, np.stack([rays.beta_x, rays.beta_y], axis=1)])

    def starts(self, source):
        """Positions at a ladder of distances from centres whose cut passes near the source, shape (n, 2)."""
        found = [np.zeros((0, 2))]
        for point, radius, cut, extent in zip(self.points, self.radii, self.cuts, self.extent):
            distance, share = _distance(cut, source)
            lowest = (distance <= np.roll(distance, 1)) & (distance <= np.roll(distance, -1))
            # a jump, not the linear map of a smooth centre nor the far throw of a steeper one
            if extent < 100.0 * radius or distance.min() > 0.3 * extent:
                continue
            steps = np.geomspace(radius, max(0.3 * extent, 2.0 * radius), 14)
            for k in np.flatnonzero(lowest & (distance < 0.3 * extent))[:4]:
                angle = 2.0 * np.pi * (k + share[k]) / _ANGLES
                found.append(point + steps[:, None] * np.array([np.cos(angle), np.sin(angle)]))
        return np.concatenate(found)


def _distance(cut, source):
    """Distances from a closed polyline's segments, and how far along each the nearest point is (0 to 1)."""
    side = np.roll(cut, -1, axis=0) - cut
    share = np.sum((source - cut) * side, axis=1) / np.maximum(np.sum(side**2, axis=1), 1e-300)
    share = np.clip(share, 0.0, 1.0)
    return np.linalg.norm(cut + share[:, None] * side - source, axis=1), share
