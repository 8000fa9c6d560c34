"""A smooth adaptive mesh, to be timed: nodes at equal steps of the cumulative density of the traced rays, per axis.

The density along an axis is a cubic B-spline through a histogram of the rays (each ray is shared smoothly by four
bins) plus a constant; its integral u(beta) is strictly increasing and three times differentiable, and a ray's place on
the mesh is (n - 1) u. O(rays) a call, exact gradients. The prior here is the one of a lattice in u: a mesh for timing,
not yet one for science (products and a prior in the source plane are missing).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from uvlens.source.mesh import _soft_range, axis_weights, outer_product

_BINS = 64
_CONSTANT = 0.25
"""Weight of the constant in the density: it keeps empty stretches from collapsing."""


class Axis(NamedTuple):
    """Cumulative density along one axis: first bin, width of a bin, coefficients, integrals up to each bin."""

    low: Array
    width: Array
    density: Array
    cumulative: Array

    def fraction(self, beta):
        """u(beta) in [0, 1], linear beyond the ends of the density."""
        position = jnp.clip((beta - self.low) / self.width, 0.0, _BINS - 1e-9)
        cell = jnp.floor(position).astype(jnp.int32)
        t = position - cell
        r = 1.0 - t

        def middle(x):
            return x / 1.5 - x**3 / 3.0 + x**4 / 8.0

        integrals = [(1.0 - r**4) / 24.0, middle(t), 11.0 / 24.0 - middle(r), t**4 / 24.0]
        integrals = jnp.stack(integrals, axis=-1)
        inside = jnp.sum(self.density[cell[..., None] + jnp.arange(4)] * integrals, axis=-1)
        return self.cumulative[cell] + inside


class Geometry(NamedTuple):
    """Both axes, and a mean spacing for the strength of the prior."""

    x: Axis
    y: Axis
    spacing: Array


class SmoothAdaptiveMesh(eqx.Module):
    """rows x columns nodes, dense where rays are dense."""

    rows: int = eqx.field(static=True)
    columns: int = eqx.field(static=True)
    basis: str = eqx.field(static=True, default="bilinear")

    @property
    def shape(self):
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def n_source(self):
        """S."""
        return self.rows * self.columns

    @property
    def entries_per_ray(self):
        """P of one ray."""
        return 16 if self.basis == "spline" else 4

    def entries(self, rays):
        """About how many nodes an image pixel sees."""
        return float(self.entries_per_ray) if rays == 1 else 1.4 * self.entries_per_ray

    def geometry(self, beta_x, beta_y):
        """Cumulative densities of the traced rays."""
        x, y = _axis(beta_x.ravel()), _axis(beta_y.ravel())
        area = (x.width * y.width) * _BINS**2 / self.n_source
        return Geometry(x, y, jnp.sqrt(area))

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights, shape (..., P)."""
        along_x = axis_weights(self.basis, geometry.x.fraction(beta_x) * (self.columns - 1), self.columns)
        along_y = axis_weights(self.basis, geometry.y.fraction(beta_y) * (self.rows - 1), self.rows)
        return outer_product(along_x, along_y, self.columns)


def _axis(beta):
    """Density and its integral from the rays of one axis."""
    low, high = _soft_range(beta)
    width = (high - low) / _BINS
    position = jnp.clip((beta - low) / width, 0.0, _BINS - 1e-9)
    cell = jnp.floor(position)
    t = position - cell
    r = 1.0 - t
    shares = jnp.stack([r**3, 4.0 - 6.0 * t**2 + 3.0 * t**3, 4.0 - 6.0 * r**2 + 3.0 * r**3, t**3], axis=-1) / 6.0
    bins = cell.astype(jnp.int32)[:, None] + jnp.arange(4)
    counts = jax.ops.segment_sum(shares.ravel(), bins.ravel(), num_segments=_BINS + 3) / len(beta)
    density = (1.0 - _CONSTANT) * counts + _CONSTANT / _BINS
    # integral of the spline over cell c: (density_c + 11 density_c+1 + 11 density_c+2 + density_c+3) / 24
    cells = (density[:-3] + 11.0 * density[1:-2] + 11.0 * density[2:-1] + density[3:]) / 24.0
    total = jnp.sum(cells)
    cumulative = jnp.concatenate([jnp.zeros(1), jnp.cumsum(cells)[:-1]]) / total
    return Axis(low, width, density / total, cumulative)
