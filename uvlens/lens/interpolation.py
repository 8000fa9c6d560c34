"""Cubic splines on a lattice: twice differentiable inside, linear beyond its edge.

f(x, y) = sum_ij c_ij B(row - i) B(column - j),    B the cubic B-spline, f = the given values at the nodes
"""

import jax.numpy as jnp
import numpy as np
from scipy.ndimage import spline_filter

_PAD = 14
"""Nodes of extrapolation on every side while coefficients are solved for: 0.268^14 = 1e-8 of what lies beyond."""


def spline_coefficients(values):
    """c of values on a lattice of shape (rows, columns), one further node on every side: (rows + 2, columns + 2)."""
    padded = _extended(_extended(np.asarray(values, dtype=float)).T).T
    keep = slice(_PAD - 1, 1 - _PAD)
    return spline_filter(padded, order=3, mode="mirror")[keep, keep]


def spline_value(coefficients, row, column):
    """f at positions in units of the lattice, the first node at (0, 0); broadcasts row and column."""
    coefficients = jnp.asarray(coefficients)
    rows, columns = (n - 2 for n in coefficients.shape)
    i, along_rows = _axis(row, rows)
    j, along_columns = _axis(column, columns)
    total = 0.0
    for a, weight_a in enumerate(along_rows):
        for b, weight_b in enumerate(along_columns):
            total = total + weight_a * weight_b * coefficients[i + a, j + b]
    return total


def _axis(position, n):
    """(index of the first of four coefficients, their weights), linear in the distance beyond either end."""
    inside = jnp.clip(position, 0.0, n - 1.0)
    beyond = position - inside
    base = jnp.minimum(jnp.floor(inside), n - 2.0).astype(jnp.int32)
    t = inside - base
    values = ((1.0 - t) ** 3, 3.0 * t**3 - 6.0 * t**2 + 4.0, -3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0, t**3)
    slopes = (-((1.0 - t) ** 2), 3.0 * t**2 - 4.0 * t, -3.0 * t**2 + 2.0 * t + 1.0, t**2)
    return base, [value / 6.0 + 0.5 * slope * beyond for value, slope in zip(values, slopes)]


def _extended(values):
    """_PAD more rows on either side, on the cubics through the outermost four."""
    steps = np.arange(1.0, _PAD + 1.0)
    # Lagrange weights of nodes 0..3 at -k
    nodes = np.arange(4.0)
    weights = np.stack([np.prod([(-steps - m) / (n - m) for m in nodes if m != n], axis=0) for n in nodes], axis=1)
    before = (weights @ values[:4])[::-1]
    after = weights @ values[-1:-5:-1]
    return np.concatenate([before, values, after])
