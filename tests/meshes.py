"""Small meshes with the methods that priors ask for, written from the definitions alone."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial import Delaunay


class LatticeMesh(eqx.Module):
    """Nodes at the products of two axes, hat functions between them and the ghost nodes at the ends.

    The geometry is (y (rows + 2,), x (columns + 2,)), ghost nodes included.
    """

    shape: tuple = eqx.field(static=True)

    @property
    def n_source(self):
        return self.shape[0] * self.shape[1]

    def axes(self, geometry):
        return geometry

    def node_positions(self, geometry):
        y, x = geometry
        grid_x, grid_y = jnp.meshgrid(x[1:-1], y[1:-1])
        return grid_x.ravel(), grid_y.ravel()

    def interpolation(self, beta_x, beta_y, geometry):
        along = []
        for beta, nodes in zip((beta_y, beta_x), geometry):
            cell = jnp.clip(jnp.searchsorted(nodes, beta) - 1, 0, len(nodes) - 2)
            t = (beta - nodes[cell]) / (nodes[cell + 1] - nodes[cell])
            pair = jnp.stack([cell - 1, cell], -1)
            inside = (pair >= 0) & (pair < len(nodes) - 2) & ((t >= 0) & (t <= 1))[..., None]
            along.append((jnp.where(inside, pair, 0), jnp.where(inside, jnp.stack([1 - t, t], -1), 0.0)))
        (i, w), (j, v) = along
        index, weight = i[..., :, None] * self.shape[1] + j[..., None, :], w[..., :, None] * v[..., None, :]
        return index.reshape(*beta_x.shape, 4).astype(jnp.int32), weight.reshape(*beta_x.shape, 4)


class Points(NamedTuple):
    """Node positions (S,) [arcsec]."""

    x: jax.Array
    y: jax.Array


class TriangleMesh(eqx.Module):
    """Delaunay triangles of fixed connectivity, linear inside them, zero beyond the hull."""

    triangles: np.ndarray
    hull: np.ndarray
    n_source: int = eqx.field(static=True)

    @classmethod
    def of(cls, x, y):
        found = Delaunay(np.stack([x, y], 1))
        return cls(found.simplices, found.convex_hull, len(x)), Points(jnp.asarray(x), jnp.asarray(y))

    def node_positions(self, geometry):
        return geometry.x, geometry.y

    def _corners(self, geometry):
        return jnp.stack([geometry.x[self.triangles], geometry.y[self.triangles]], -1)

    def node_areas(self, geometry):
        """A third of every triangle around a node."""
        a, b, c = jnp.moveaxis(self._corners(geometry), 1, 0)
        area = 0.5 * jnp.abs(_cross(b - a, c - a))
        return jnp.zeros(self.n_source).at[self.triangles].add(area[:, None] / 3.0)

    def edges(self, geometry):
        """Half the cotangents of the angles that face an edge: dual length / length. Ghosts: hull edges, cell away."""
        corners = self._corners(geometry)
        i, j, weight = [], [], []
        for k in range(3):
            a, b, c = corners[:, k], corners[:, (k + 1) % 3], corners[:, (k + 2) % 3]
            i.append(self.triangles[:, (k + 1) % 3])
            j.append(self.triangles[:, (k + 2) % 3])
            weight.append(0.5 * jnp.sum((b - a) * (c - a), -1) / jnp.abs(_cross(b - a, c - a)))
        areas = self.node_areas(geometry)
        first, second = self.hull.T
        length = jnp.hypot(geometry.x[first] - geometry.x[second], geometry.y[first] - geometry.y[second])
        for node in (first, second):
            i.append(node)
            j.append(np.full(len(node), -1))
            weight.append(0.5 * length / jnp.sqrt(areas[node]))
        i.append(np.zeros(5, int))  # padding
        j.append(np.zeros(5, int))
        weight.append(jnp.zeros(5))
        return jnp.asarray(np.concatenate(i)), jnp.asarray(np.concatenate(j)), jnp.concatenate(weight)

    def interpolation(self, beta_x, beta_y, geometry):
        def locate(x, y, beta_x, beta_y):
            points = np.stack([x, y], 1)
            corners = points[self.triangles]
            edge_1, edge_2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
            inverse = np.linalg.inv(np.stack([edge_1, edge_2], -1))
            rays = np.stack([np.ravel(beta_x), np.ravel(beta_y)], -1)
            local = np.einsum("tab,rtb->rta", inverse, rays[:, None] - corners[:, 0])
            worst = np.minimum(local.min(-1), 1.0 - local.sum(-1))
            best = np.argmax(worst, 1)
            best[np.max(worst, 1) < -1e-9] = -1
            return best.reshape(np.shape(beta_x)).astype(np.int32)

        fixed = jax.lax.stop_gradient((geometry.x, geometry.y, beta_x, beta_y))
        shape = jax.ShapeDtypeStruct(beta_x.shape, jnp.int32)
        triangle = jax.pure_callback(locate, shape, *fixed, vmap_method="sequential")
        a, b, c = jnp.moveaxis(self._corners(geometry)[triangle], -2, 0)
        ray = jnp.stack([beta_x, beta_y], -1)
        total = _cross(b - a, c - a)
        second, third = _cross(ray - a, c - a) / total, _cross(b - a, ray - a) / total
        weights = jnp.stack([1.0 - second - third, second, third], -1)
        inside = (triangle >= 0)[..., None]
        return jnp.where(inside, jnp.asarray(self.triangles)[triangle], 0), jnp.where(inside, weights, 0.0)


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def graded(n, low, high, strength=0.6):
    """n + 2 coordinates from low to high, crowded in the middle."""
    t = np.linspace(-1.0, 1.0, n + 2)
    return jnp.asarray(0.5 * (low + high) + 0.5 * (high - low) * ((1.0 - strength) * t + strength * t**3))


def scattered(n, half, seed=0):
    """About n points in |x|, |y| <= half: a square lattice whose inner nodes are shifted at random."""
    side = round(n**0.5)
    step = 2.0 * half / (side - 1)
    y, x = np.meshgrid(*[np.linspace(-half, half, side)] * 2, indexing="ij")
    noise = np.random.default_rng(seed).uniform(-0.25, 0.25, (2, side, side)) * step
    noise[:, [0, -1], :] = noise[:, :, [0, -1]] = 0.0
    return (x + noise[0]).ravel(), (y + noise[1]).ravel()
