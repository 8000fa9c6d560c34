"""Rectangular source meshes: where the source coefficients live, and how a ray's brightness follows from them.

The source is s(beta) = sum_ij s_ij B(beta_x / h - j) B(beta_y / h - i): node (i, j) of square spacing h, row i
towards North, column j towards East, flat index i n_columns + j. B is a hat function ("bilinear", 4 weights a
ray) or the cubic B-spline ("spline", 16 weights, brightness twice differentiable everywhere). Nodes outside the
mesh are zero: a ray that leaves the mesh fades out smoothly and sees nothing two cells further.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ..errors import InputError

BASES = ("spline", "bilinear")
_SOFTNESS = 0.01


class MeshGeometry(NamedTuple):
    """Position of a mesh in the source plane: x and y of node (0, 0) and the spacing of nodes [arcsec]."""

    x0: Array | float
    y0: Array | float
    spacing: Array | float


class RectangularMesh(eqx.Module):
    """rows x columns nodes on a square lattice.

    Args:
        rows, columns: number of nodes to the North and to the East.
        extent: None: the lattice follows the traced rays, from the (softened) smallest to the largest position.
            A number h: fixed, |beta - center| <= h on the longer axis [arcsec].
        center: (x, y) of a fixed mesh [arcsec].
        basis: "spline" (default) or "bilinear".

    Raises:
        InputError: fewer than 3 nodes on an axis, a non-positive extent, an unknown basis.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    extent: float | None = eqx.field(static=True, default=None)
    center: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    basis: str = eqx.field(static=True, default="spline")

    def __check_init__(self):
        if min(self.rows, self.columns) < 3:
            raise InputError(f"mesh shape must be at least 3 x 3, got {self.rows} x {self.columns}")
        if self.extent is not None and not self.extent > 0.0:
            raise InputError(f"mesh extent must be a positive number of arcsec, got {self.extent}")
        if self.basis not in BASES:
            raise InputError(f"mesh basis must be {' or '.join(BASES)}, got {self.basis!r}")

    @property
    def shape(self):
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def n_source(self):
        """S = rows x columns."""
        return self.rows * self.columns

    @property
    def entries_per_ray(self):
        """P of one ray: 4 or 16."""
        return 16 if self.basis == "spline" else 4

    def entries(self, rays):
        """About how many nodes an image pixel sees through rays x rays rays, where it is not highly magnified."""
        side = self.entries_per_ray**0.5
        return (side + 0.4 * (1.0 - 1.0 / rays)) ** 2

    def geometry(self, beta_x, beta_y):
        """Where the lattice lies, given the traced rays (any shape) [arcsec]."""
        if self.extent is not None:
            # 0 x a sum over all rays: a ray that is not finite spoils the mesh as it does a traced one, and because
            # the sum needs every ray first, XLA traces each once and not again for every weight it enters
            spacing = 2.0 * self.extent / (max(self.shape) - 1) + 0.0 * jnp.sum(beta_x + beta_y)
            (x_mid, y_mid) = self.center
        else:
            x_low, x_high = _soft_range(beta_x)
            y_low, y_high = _soft_range(beta_y)
            spacing = jnp.maximum((x_high - x_low) / (self.columns - 1), (y_high - y_low) / (self.rows - 1))
            x_mid, y_mid = 0.5 * (x_low + x_high), 0.5 * (y_low + y_high)
        return MeshGeometry(
            x_mid - 0.5 * (self.columns - 1) * spacing, y_mid - 0.5 * (self.rows - 1) * spacing, spacing
        )

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights of the brightness at positions of any shape: two arrays of shape (..., p), p = 4 or 16.

        s(beta) = sum_p weights[..., p] s[indices[..., p]]; entries outside the mesh have weight 0.
        """
        along_x = axis_weights(self.basis, (beta_x - geometry.x0) / geometry.spacing, self.columns)
        along_y = axis_weights(self.basis, (beta_y - geometry.y0) / geometry.spacing, self.rows)
        return outer_product(along_x, along_y, self.columns)

    def node_positions(self, geometry):
        """(x, y) of the nodes, each of shape (S,) [arcsec]."""
        x = geometry.x0 + jnp.arange(self.columns) * geometry.spacing
        y = geometry.y0 + jnp.arange(self.rows) * geometry.spacing
        grid_x, grid_y = jnp.meshgrid(x, y)
        return grid_x.ravel(), grid_y.ravel()


def _soft_range(values):
    """Differentiable smallest and largest value: a log-sum-exp with a scale of 1 % of the standard deviation.

    It lies outside the hard range, by at most that scale times the logarithm of the number of values.
    """
    scale = _SOFTNESS * jnp.std(values)
    high = scale * jax.nn.logsumexp(values / scale)
    low = -scale * jax.nn.logsumexp(-values / scale)
    return low, high


def axis_weights(basis, position, n_nodes):
    """[(node, weight), ...] of the 2 or 4 nodes around a position in units of the spacing, arrays of its shape.

    Nodes outside the mesh become node 0 with weight 0.
    """
    cell = jnp.floor(position)
    t = position - cell
    r = 1.0 - t
    if basis == "spline":
        first = -1
        weights = [r**3, 4.0 - 6.0 * t**2 + 3.0 * t**3, 4.0 - 6.0 * r**2 + 3.0 * r**3, t**3]
        weights = [weight / 6.0 for weight in weights]
    else:
        first, weights = 0, [r, t]
    nodes = [cell.astype(jnp.int32) + (first + k) for k in range(len(weights))]
    inside = [(node >= 0) & (node < n_nodes) for node in nodes]
    return [(jnp.where(i, n, 0), jnp.where(i, w, 0.0)) for i, n, w in zip(inside, nodes, weights)]


def outer_product(along_x, along_y, n_columns):
    """Indices and weights, shape (..., P), of the products of two axes."""
    columns, weights_x = (jnp.stack(part, axis=-1) for part in zip(*along_x))
    rows, weights_y = (jnp.stack(part, axis=-1) for part in zip(*along_y))
    indices = rows[..., :, None] * n_columns + columns[..., None, :]
    weights = weights_y[..., :, None] * weights_x[..., None, :]
    return indices.reshape(*columns.shape[:-1], -1), weights.reshape(*columns.shape[:-1], -1)
