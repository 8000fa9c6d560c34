"""Brute force for meshes of points: Voronoi cells by cutting a polygon with every bisector."""

import numpy as np


def area(polygon):
    """Shoelace formula, counterclockwise positive."""
    x, y = np.asarray(polygon).T
    return 0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y)


def nearer(polygon, site, other):
    """The part of a convex polygon that is nearer to `site` than to `other` (Sutherland-Hodgman)."""
    normal = other - site
    offset = [(p - 0.5 * (site + other)) @ normal for p in polygon]
    result = []
    for k, (p, d) in enumerate(zip(polygon, offset)):
        q, e = polygon[(k + 1) % len(polygon)], offset[(k + 1) % len(polygon)]
        if d <= 0.0:
            result.append(p)
        if d * e < 0.0:
            result.append(p + (q - p) * d / (d - e))
    return result


def cell(points, i, outline):
    """Voronoi cell of point i, cut off at a convex outline."""
    polygon = list(outline)
    for j in range(len(points)):
        if j != i and len(polygon):
            polygon = nearer(polygon, points[i], points[j])
    return polygon


def sibson(points, p, reach=1e4):
    """Sibson weights of p: what it takes from each cell of a very wide box."""
    box = [np.array([a, b]) for a, b in ((-reach, -reach), (reach, -reach), (reach, reach), (-reach, reach))]
    own = cell([p, *points], 0, box)
    taken = []
    for i in range(len(points)):
        polygon = cell(points, i, own)
        taken.append(area(polygon) if len(polygon) > 2 else 0.0)
    return np.array(taken) / area(own)


def dual(points, outline):
    """(weights (S, S) = dual edge / edge, shares (S,) of the outline, areas (S,)) of cells inside the outline."""
    n = len(points)
    weights, shares, areas = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for i in range(n):
        polygon = cell(points, i, outline)
        areas[i] = area(polygon)
        for k, p in enumerate(polygon):
            q = polygon[(k + 1) % len(polygon)]
            length = np.linalg.norm(q - p)
            if length < 1e-12:
                continue
            mid = 0.5 * (p + q)
            gaps = [abs(np.linalg.norm(mid - points[j]) - np.linalg.norm(mid - points[i])) for j in range(n)]
            gaps[i] = np.inf
            on_outline = min(
                abs(np.cross(b - a, mid - a)) / np.linalg.norm(b - a)
                for a, b in zip(outline, np.roll(outline, -1, axis=0))
            )
            if on_outline < 1e-10:
                shares[i] += length
            else:
                j = int(np.argmin(gaps))
                weights[i, j] = length / np.linalg.norm(points[i] - points[j])
    return weights, shares, areas
