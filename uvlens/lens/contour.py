"""Contours of a function that is known by its signs at the nodes of a triangulation."""

import numpy as np


def crossed_edges(triangles, positive):
    """Edges whose ends have different signs, and how triangles join them.

    Args:
        triangles: (T, 3) nodes of a triangulation without hanging nodes.
        positive: (n,) sign at each node.

    Returns:
        edges: (E, 2) nodes, the positive one first.
        links: (L, 2) pairs of edges that share a triangle; every edge is in one pair or two.
    """
    mixed = triangles[np.ptp(positive[triangles].astype(int), axis=1) > 0]
    pairs = np.stack([mixed, np.roll(mixed, -1, axis=1)], axis=-1)  # (L, 3, 2)
    crossed = positive[pairs[..., 0]] != positive[pairs[..., 1]]
    chosen = pairs[crossed]
    chosen = np.where(positive[chosen[:, :1]], chosen, chosen[:, ::-1])
    edges, numbers = np.unique(chosen, axis=0, return_inverse=True)
    return edges, numbers.reshape(-1, 2)


def boundary(triangles):
    """Directed edges (n, 2) that belong to one triangle only, of triangles (T, 3) that are all counterclockwise."""
    edges = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    _, first, counts = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    return edges[first[counts == 1]]


def chains(links, n):
    """Order edges along the contours they belong to.

    Args:
        links: (L, 2) pairs of the n edges.

    Returns:
        list of (indices of edges in order, whether the contour is closed).
    """
    neighbours = [[] for _ in range(n)]
    for a, b in links.tolist():
        neighbours[a].append(b)
        neighbours[b].append(a)
    seen, found = np.zeros(n, bool), []
    # open contours first, from their ends
    for start in sorted(range(n), key=lambda i: len(neighbours[i]) != 1):
        if seen[start]:
            continue
        seen[start], chain = True, [start]
        while True:
            following = [i for i in neighbours[chain[-1]] if not seen[i]]
            if not following:
                break
            chain.append(following[0])
            seen[following[0]] = True
        closed = len(neighbours[start]) == 2 and len(chain) > 2
        found.append((np.array(chain), closed))
    return found


def roots_on_segments(function, x0, y0, x1, y1, f0, f1, iterations=30, relative=1e-15):
    """Where a function of two coordinates vanishes between pairs of points at which its signs differ.

    Regula falsi with the weights of Anderson & Bjorck (1973), of order 1.7 at simple roots, and a bisection at every
    fourth step.

    Args:
        function: (x, y) -> values, all arrays of shape (E,).
        x0, y0, x1, y1: ends; f0 > 0 >= f1 the values there.

    Returns:
        x, y of shape (E,).
    """
    low, high, f_low, f_high = np.zeros_like(x0), np.ones_like(x0), np.array(f0), np.array(f1)
    best, smallest = np.where(f_high == 0.0, 1.0, 0.5), np.abs(f_high)
    for k in range(iterations):
        active = (high - low > relative) & (smallest > 0.0)
        if not active.any():
            break
        a, b, f_a, f_b = low[active], high[active], f_low[active], f_high[active]
        t = 0.5 * (a + b) if k % 4 == 3 else a + (b - a) * f_a / (f_a - f_b)
        t = np.where((t > a) & (t < b), t, 0.5 * (a + b))
        i = np.flatnonzero(active)
        f = function(x0[i] + t * (x1[i] - x0[i]), y0[i] + t * (y1[i] - y0[i]))
        better = np.abs(f) < smallest[i]
        best[i[better]], smallest[i[better]] = t[better], np.abs(f)[better]
        above = f > 0.0
        ratio = 1.0 - f / np.where(above, f_a, np.where(f_b == 0.0, 1.0, f_b))
        weight = np.where(ratio > 0.0, ratio, 0.5)
        low[i], high[i] = np.where(above, t, a), np.where(above, b, t)
        f_low[i] = np.where(above, f, f_a * weight)
        f_high[i] = np.where(above, f_b * weight, f)
    return x0 + best * (x1 - x0), y0 + best * (y1 - y0)
