"""The uniform lattice of square cells.

The source is s(beta) = sum_ij s_ij B(beta_x / h - j) B(beta_y / h - i): node (i, j) of square spacing h, row i
towards North, column j towards East, flat index i n_columns + j. B is a hat function ("bilinear", 4 weights a
ray) or the cubic B-spline ("spline", 16 weights, brightness twice differentiable everywhere). Nodes outside the
mesh are zero: a ray that leaves the mesh fades out smoothly and sees nothing two cells further.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from ..errors import InputError
from .density import covered_range
from .mesh import AbstractLattice, check_lattice
from .splines import outer_product, uniform_axis


class MeshGeometry(NamedTuple):
    """Position of a mesh in the source plane: x and y of node (0, 0) and the spacing of nodes [arcsec]."""

    x0: Array | float
    y0: Array | float
    spacing: Array | float


class RectangularMesh(AbstractLattice):
    """rows x columns nodes on a square lattice.

    Args:
        rows, columns: number of nodes to the North and to the East.
        extent: None: the lattice follows the traced rays, from the (softened) smallest to the largest position.
            A number h: fixed, |beta - center| <= h on the longer axis [arcsec].
        center: (x, y) of a fixed mesh [arcsec].
        basis: "spline" (default) or "bilinear".
        zero_edges: fix the outermost nodes to zero.
        border: "none", or "relocate": rays beyond the traced edge of the mask are moved onto it (see `Border`).
        cover: share of the rays that the lattice spans on each axis, where it follows them; 1: all. Rays from near the
            lens centre, demagnified, land far out: 0.98 leaves them out.

    Raises:
        InputError: fewer than 3 nodes on an axis, a non-positive extent, an unknown basis or border.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    extent: float | None = eqx.field(static=True, default=None)
    center: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    basis: str = eqx.field(static=True, default="spline")
    zero_edges: bool = eqx.field(static=True, default=False)
    border: str = eqx.field(static=True, default="none")
    cover: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_lattice(self)
        if self.extent is not None and not self.extent > 0.0:
            raise InputError(f"mesh extent must be a positive number of arcsec, got {self.extent}")

    def entries(self, rays):
        """About how many nodes an image pixel sees through rays x rays rays, where it is not highly magnified."""
        side = self.entries_per_ray**0.5
        return (side + 0.4 * (1.0 - 1.0 / rays)) ** 2

    def geometry(self, beta_x, beta_y, ray_trace=None, ray_weights=None):
        """Where the lattice lies, given the traced rays (any shape) [arcsec]."""
        if self.extent is not None:
            # 0 x a sum over all rays: a ray that is not finite spoils the mesh as it does a traced one, and because
            # the sum needs every ray first, XLA traces each once and not again for every weight it enters
            spacing = 2.0 * self.extent / (max(self.shape) - 1) + 0.0 * jnp.sum(beta_x + beta_y)
            (x_mid, y_mid) = self.center
        else:
            x_low, x_high = covered_range(beta_x, self.cover)
            y_low, y_high = covered_range(beta_y, self.cover)
            spacing = jnp.maximum((x_high - x_low) / (self.columns - 1), (y_high - y_low) / (self.rows - 1))
            x_mid, y_mid = 0.5 * (x_low + x_high), 0.5 * (y_low + y_high)
        return MeshGeometry(
            x_mid - 0.5 * (self.columns - 1) * spacing, y_mid - 0.5 * (self.rows - 1) * spacing, spacing
        )

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights of the brightness at positions of any shape: two arrays of shape (..., p), p = 4 or 16.

        s(beta) = sum_p weights[..., p] s[indices[..., p]]; entries outside the mesh have weight 0.
        """
        along_x = uniform_axis(self.basis, (beta_x - geometry.x0) / geometry.spacing, self.columns)
        along_y = uniform_axis(self.basis, (beta_y - geometry.y0) / geometry.spacing, self.rows)
        return outer_product(along_x, along_y, self.columns)

    def axes(self, geometry):
        """(y, x) of the nodes with one ghost node beyond each end, shapes (rows + 2,), (columns + 2,) [arcsec]."""
        y = geometry.y0 + jnp.arange(-1, self.rows + 1) * geometry.spacing
        x = geometry.x0 + jnp.arange(-1, self.columns + 1) * geometry.spacing
        return y, x

    def node_areas(self, geometry):
        """h^2, the integral of each basis function, shape (S,) [arcsec^2]."""
        return jnp.broadcast_to(jnp.asarray(geometry.spacing) ** 2, (self.n_source,))

    def frame(self, geometry):
        """(West, East, South, North): half a cell beyond the outermost nodes [arcsec]."""
        half = 0.5 * geometry.spacing
        west, south = geometry.x0 - half, geometry.y0 - half
        return west, west + self.columns * geometry.spacing, south, south + self.rows * geometry.spacing
