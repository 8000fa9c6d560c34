"""The adaptive lattice: cells narrow where the traced rays are dense, or where they are bright.

Along each axis the knots lie at equal steps of the cumulative density u of the rays (see `density`):

    u(tau_j) = u_low + j (u_high - u_low) / (n - 1),     j = 0 .. n - 1

and the source is a product of splines on those knots (see `splines`), so that brightness, weights and nodes live in
the source plane itself: weights sum to 1 and reproduce linear functions of the node positions. Beyond the outermost
node it fades to zero as on the uniform lattice. Nightingale & Dye (2015) adapt to the magnification with Voronoi cells;
on a lattice one smooth function an axis does it, and the evidence stays twice differentiable.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError
from .density import covered_range, cumulative_density
from .mesh import AbstractLattice, check_lattice
from .splines import continued, knots_axis, outer_product

DENSITIES = ("rays", "brightness")
_NARROWEST = 1e-3
"""Smallest width of the mesh along one axis, in units of that along the other."""


class AdaptiveGeometry(NamedTuple):
    """Knots of the splines along the two axes, increasing [arcsec]."""

    x_knots: Float[Array, " columns"]
    y_knots: Float[Array, " rows"]


class AdaptiveMesh(AbstractLattice):
    """rows x columns nodes on a lattice whose rows and columns crowd where the rays do.

    Args:
        rows, columns: number of nodes to the North and to the East.
        basis: "spline" (default) or "bilinear".
        density: "rays": of the traced rays, which is the magnification; "brightness": of the rays weighted by
            `ray_weights`, the brightness an earlier fit had at their pixels (the rays themselves where there is none).
        floor: share of the nodes that is spread evenly over the mesh, 0 < floor <= 1; 1 is a uniform lattice.
        zero_edges: fix the outermost nodes to zero.
        border: "none", or "relocate": rays beyond the traced edge of the mask are moved onto it (see `Border`).
        cover: share of the rays that the mesh spans on each axis; 1: all.

    Raises:
        InputError: fewer than 3 nodes on an axis, an unknown basis, density or border, a floor or cover out of range.
    """

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    basis: str = eqx.field(static=True, default="spline")
    density: str = eqx.field(static=True, default="rays")
    floor: float = eqx.field(static=True, default=0.5)
    zero_edges: bool = eqx.field(static=True, default=False)
    border: str = eqx.field(static=True, default="none")
    cover: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_lattice(self)
        if self.density not in DENSITIES:
            raise InputError(f"mesh density must be {' or '.join(DENSITIES)}, got {self.density!r}")
        if not 0.01 <= self.floor <= 1.0:
            raise InputError(f"mesh floor must lie between 0.01 and 1, got {self.floor}")

    def entries(self, rays):
        """About how many nodes an image pixel sees: more than on a uniform lattice, cells are small where rays are."""
        side = self.entries_per_ray**0.5
        return (side + 0.7 * (1.0 - 1.0 / rays)) ** 2

    def geometry(self, beta_x, beta_y, ray_trace=None, ray_weights=None):
        """The knots, given the traced rays (any shape) [arcsec] and their weights."""
        x_range, y_range = _not_too_narrow(covered_range(beta_x, self.cover), covered_range(beta_y, self.cover))
        weights = ray_weights if self.density == "brightness" else None
        return AdaptiveGeometry(
            self._knots(beta_x, weights, x_range, self.columns), self._knots(beta_y, weights, y_range, self.rows)
        )

    def _knots(self, beta, weights, ends, n):
        rays = cumulative_density(beta, weights, *ends, self.floor, _bins(n))
        inner = rays.quantile(jnp.arange(1, n - 1) / (n - 1))
        return jnp.concatenate([ends[0][None], inner, ends[1][None]])

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights of the brightness at positions of any shape: two arrays of shape (..., p), p = 4 or 16.

        s(beta) = sum_p weights[..., p] s[indices[..., p]]; entries outside the mesh have weight 0.
        """
        along_x = knots_axis(self.basis, beta_x, geometry.x_knots)
        along_y = knots_axis(self.basis, beta_y, geometry.y_knots)
        return outer_product(along_x, along_y, self.columns)

    def axes(self, geometry):
        """(y, x) of the nodes with one ghost node beyond each end, shapes (rows + 2,), (columns + 2,) [arcsec]."""
        return self._axis(geometry.y_knots), self._axis(geometry.x_knots)

    def _axis(self, knots):
        if self.basis == "bilinear":
            return continued(knots, 1)
        knots = continued(knots, 2)
        return (knots[:-2] + knots[1:-1] + knots[2:]) / 3.0

    def node_areas(self, geometry):
        """Integral of each node's product of splines, shape (S,) [arcsec^2]."""
        width_y, width_x = self._widths(geometry.y_knots), self._widths(geometry.x_knots)
        return (width_y[:, None] * width_x).ravel()

    def _widths(self, knots):
        if self.basis == "bilinear":
            knots = continued(knots, 1)
            return 0.5 * (knots[2:] - knots[:-2])
        knots = continued(knots, 2)
        return 0.25 * (knots[4:] - knots[:-4])

    def frame(self, geometry):
        """(West, East, South, North): half a cell beyond the outermost nodes [arcsec]."""
        (west, east), (south, north) = (_frame(axis) for axis in (geometry.x_knots, geometry.y_knots))
        return west, east, south, north


def _bins(n):
    return max(32, n)


def _frame(knots):
    return 1.5 * knots[0] - 0.5 * knots[1], 1.5 * knots[-1] - 0.5 * knots[-2]


def _not_too_narrow(*ranges):
    """Ranges of the two axes, each at least a thousandth of the other: rays may all lie on one line."""
    widths = [high - low for low, high in ranges]
    result = []
    for (low, high), other in zip(ranges, widths[::-1]):
        middle, width = 0.5 * (low + high), jnp.sqrt((high - low) ** 2 + (_NARROWEST * other) ** 2)
        result.append((middle - 0.5 * width, middle + 0.5 * width))
    return result
