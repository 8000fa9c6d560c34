"""Splines on the axes of a lattice: the weights of the nodes around a position.

Uniform axes have hat functions or cubic B-splines of the position in units of the spacing. On any other increasing
knots tau_0 .. tau_n-1, continued beyond both ends with the spacing of the outermost cell, node j has

    bilinear   the hat function from tau_j-1 to tau_j+1, node position xi_j = tau_j
    spline     the cubic B-spline from tau_j-2 to tau_j+2, node position xi_j = (tau_j-1 + tau_j + tau_j+1) / 3

The weights sum to 1 and sum_j xi_j B_j(beta) = beta wherever all nodes that count are there (xi are the Greville
abscissae; de Boor 1978, A Practical Guide to Splines), so linear functions of the node positions are reproduced. The
cubic B-spline is twice continuously differentiable in the position and in its knots, as long as these are distinct.
"""

import jax
import jax.numpy as jnp

_CONTINUED = 5
"""Cells continued beyond each end of the knots: all that a position with a weight on a node can touch."""


def uniform_axis(basis, position, n_nodes):
    """(nodes, weights), each (..., 2 or 4), of the nodes around a position in units of the spacing.

    Nodes outside 0 .. n_nodes - 1 become node 0 with weight 0.
    """
    cell = jnp.floor(position)
    t = position - cell
    r = 1.0 - t
    if basis == "spline":
        first, weights = -1, cubic_pieces(t)
    else:
        first, weights = 0, [r, t]
    return _inside(cell.astype(jnp.int32) + first, weights, n_nodes)


def cubic_pieces(t):
    """The four cubic B-splines of a uniform axis at 0 <= t < 1 of a cell, in order."""
    r = 1.0 - t
    return [r**3 / 6.0, (4.0 - 6.0 * t**2 + 3.0 * t**3) / 6.0, (4.0 - 6.0 * r**2 + 3.0 * r**3) / 6.0, t**3 / 6.0]


def knots_axis(basis, beta, knots):
    """(nodes, weights), each (..., 2 or 4), at positions `beta` on increasing knots (n,).

    A cell's constants are made once, so that a position costs no division. Of the four B-splines of a cell from a2 to
    a3, the outer two are alpha (1 - t)^3 and delta t^3; sum 1 and sum_j xi_j B_j = beta settle the two in the middle.
    """
    n, cell = knots.shape[0], cells_of(beta, knots)
    knots = continued(knots, _CONTINUED)
    reach = range(2) if basis == "bilinear" else range(-2, 4)
    start = _CONTINUED - 3  # cell -3 is the lowest
    around = [knots[start + k : start + k + n + 5] for k in reach]
    if basis == "bilinear":
        constants = jnp.stack([around[0], 1.0 / (around[1] - around[0])], axis=-1)[cell + 3]
        t = (beta - constants[..., 0]) * constants[..., 1]
        return _inside(cell, [1.0 - t, t], n)
    constants = jnp.stack(_cubic_constants(*around), axis=-1)[cell + 3]
    edge, inverse, alpha, delta, offset, slope, before, after = (constants[..., k] for k in range(8))
    t = (beta - edge) * inverse
    r = 1.0 - t
    first, last = alpha * r**3, delta * t**3
    third = offset + slope * t + before * first - after * last
    return _inside(cell - 1, [first, 1.0 - first - third - last, third, last], n)


def _cubic_constants(a0, a1, a2, a3, a4, a5):
    """Of the B-splines that are not zero from a2 to a3: where the cell begins, 1 / width, and six factors."""
    width = a3 - a2
    alpha, delta = width**2 / ((a3 - a1) * (a3 - a0)), width**2 / ((a4 - a2) * (a5 - a2))
    xi = (a0 + a1 + a2) / 3.0, (a1 + a2 + a3) / 3.0, (a2 + a3 + a4) / 3.0, (a3 + a4 + a5) / 3.0
    step = xi[2] - xi[1]
    factors = (a2 - xi[1]) / step, width / step, (xi[1] - xi[0]) / step, (xi[3] - xi[1]) / step
    return a2, 1.0 / width, alpha, delta, *factors


def _inside(first, weights, n_nodes):
    nodes = first[..., None] + jnp.arange(len(weights), dtype=jnp.int32)
    inside = (nodes >= 0) & (nodes < n_nodes)
    return jnp.where(inside, nodes, 0), jnp.where(inside, jnp.stack(weights, axis=-1), 0.0)


def continued(knots, count):
    """The knots and `count` more on either side, at the spacing of the outermost cell."""
    steps = jnp.arange(1, count + 1)
    low = knots[0] - steps[::-1] * (knots[1] - knots[0])
    high = knots[-1] + steps * (knots[-1] - knots[-2])
    return jnp.concatenate([low, knots, high])


def cells_of(beta, knots):
    """Cell of each position, int32: tau_cell <= beta < tau_cell+1, from -3 to n + 1 with the continued cells."""
    beta, knots = jax.lax.stop_gradient((beta, knots))
    found = jnp.searchsorted(continued(knots, 3), beta, side="right").astype(jnp.int32)
    return jnp.clip(found - 4, -3, knots.shape[0] + 1)


def outer_product(along_x, along_y, n_columns):
    """Indices and weights, shape (..., P), of the products of two axes."""
    (columns, weights_x), (rows, weights_y) = along_x, along_y
    indices = rows[..., :, None] * n_columns + columns[..., None, :]
    weights = weights_y[..., :, None] * weights_x[..., None, :]
    return indices.reshape(*columns.shape[:-1], -1), weights.reshape(*columns.shape[:-1], -1)
