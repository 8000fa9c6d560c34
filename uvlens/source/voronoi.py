"""Lengths and areas of the dual (Voronoi) cells, cut off at the hull, in JAX from the tables of a Triangulation.

The dual edge of i -> j lies on the bisector of the two; in units of the edge it runs from

    t = -1/2 cot(angle opposite on the right)   to   t = 1/2 cot(angle opposite on the left)

or to where the bisector leaves the hull, and `length of the dual edge / length of the edge` is the difference of the
two. The part of a hull edge that belongs to a cell is the node's share of the hull's length.
"""

import jax.numpy as jnp


def dual_weights(geometry):
    """(weights (3 S,), shares (S,), cell areas (S,)) [1, arcsec, arcsec^2] of a PointGeometry.

    A weight is >= 0, also on the hull; that between coinciding vertices is 1, that of padding 0. The shares add up
    to the hull's perimeter and the areas to its area, without those of coinciding vertices, which are 0.
    """
    x, y = geometry.x, geometry.y
    i, j = geometry.edge_nodes[:, 0], geometry.edge_nodes[:, 1]
    triangulated = geometry.edge_opposite[:, 0] >= 0
    high = _end(geometry, i, j, side=0)
    low = _end(geometry, i, j, side=1)
    weights = jnp.where(triangulated, jnp.maximum(high - low, 0.0), jnp.where(i != j, 1.0, 0.0))
    cells = 0.25 * ((x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2) * jnp.where(triangulated, weights, 0.0)
    hull_x, hull_y, length, on_hull = _hull_edges(geometry)
    # contributions are gathered first and added once
    area_nodes, area_parts = [i, j], [cells, cells]
    share_nodes, share_parts = [geometry.hull[:, 1]], [jnp.where(on_hull, length, 0.0)]
    for side, end in ((0, high), (1, low)):
        # the point where this dual edge meets the hull ends the share of one cell and begins that of the other
        line = geometry.edge_clip[:, side]
        met = triangulated & (line >= 0)
        line = jnp.where(met, line, 0)
        first, along_x, along_y = geometry.hull[line, 0], hull_x[line], hull_y[line]
        end = jnp.where(met, end, 0.0)
        point_x = 0.5 * (x[i] + x[j]) + end * (y[i] - y[j]) - x[first]
        point_y = 0.5 * (y[i] + y[j]) + end * (x[j] - x[i]) - y[first]
        position = jnp.where(met, point_x * along_x + point_y * along_y, 0.0)
        i_first = (x[j] - x[i]) * along_x + (y[j] - y[i]) * along_y > 0.0
        position = jnp.where(i_first, position, -position)
        share_nodes += [i, j]
        share_parts += [position, -position]
        for node, sign in ((i, 0.5), (j, -0.5)):
            depth = along_x * (y[node] - y[first]) - along_y * (x[node] - x[first])
            area_nodes.append(node)
            area_parts.append(sign * depth * position)
    areas = _added(area_nodes, area_parts, len(x))
    shares = _added(share_nodes, share_parts, len(x))
    return weights, shares, areas


def _added(nodes, parts, n):
    """Sum of parts by node, shape (n,)."""
    parts = jnp.concatenate(parts)
    return jnp.zeros(n, parts.dtype).at[jnp.concatenate(nodes)].add(parts, mode="promise_in_bounds")


def triangle_areas(geometry):
    """Area of each triangle, shape (2 S,) [arcsec^2]; padding has 0."""
    (a, b, c), x, y = (geometry.simplices[:, k] for k in range(3)), geometry.x, geometry.y
    return 0.5 * ((x[b] - x[a]) * (y[c] - y[a]) - (x[c] - x[a]) * (y[b] - y[a]))


def _end(geometry, i, j, side):
    """Where the dual edge of i -> j ends on the left (side 0) or on the right (1), in units of the edge."""
    x, y = geometry.x, geometry.y
    line, apex = geometry.edge_clip[:, side], geometry.edge_opposite[:, side]
    clipped, present = line >= 0, apex >= 0
    apex = jnp.where(present, apex, 0)
    ux, uy, vx, vy = x[i] - x[apex], y[i] - y[apex], x[j] - x[apex], y[j] - y[apex]
    cross = ux * vy - uy * vx
    circumcentre = 0.5 * (ux * vx + uy * vy) / jnp.where(present & ~clipped & (cross != 0.0), cross, 1.0)
    a, b = (geometry.hull[jnp.where(clipped, line, 0), k] for k in (0, 1))
    gx, gy = x[b] - x[a], y[b] - y[a]
    start = gx * (0.5 * (y[i] + y[j]) - y[a]) - gy * (0.5 * (x[i] + x[j]) - x[a])
    slope = gx * (x[j] - x[i]) - gy * (y[i] - y[j])
    on_line = -start / jnp.where(clipped & (slope != 0.0), slope, 1.0)
    return jnp.where(clipped, on_line, circumcentre)


def _hull_edges(geometry):
    """Unit vector (x, y), length and presence of each hull edge, shape (S,)."""
    x, y, a, b = geometry.x, geometry.y, geometry.hull[:, 0], geometry.hull[:, 1]
    present = a != b
    ex, ey = x[b] - x[a], y[b] - y[a]
    length = jnp.sqrt(jnp.where(present, ex**2 + ey**2, 1.0))
    return ex / length, ey / length, length, present
