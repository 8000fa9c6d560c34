"""Meshes whose nodes are chosen points of the image plane, traced to the source plane with the rays.

The nodes ("vertices") follow the lens, so the source is resolved where the image shows it magnified. They are joined
by the Delaunay triangulation of where they land. Outside its hull there is one fade for all of these meshes: a ray at
distance d of the hull sees the brightness of the nearest point of the hull times

    max(0, 1 - d / l),     l = sqrt(2 / sqrt(3) hull area / S)

l is the spacing of S nodes that fill the hull evenly. The brightness is continuous everywhere, and a ray is never cut
off at once. The ghost edges of the prior have the length l too, so that its gradient is that of the fade.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..errors import InputError
from .voronoi import dual_weights, triangle_areas


class PointGeometry(NamedTuple):
    """Vertices in the source plane and how they are connected; the tables are those of a Triangulation.

    Attributes:
        x, y: traced vertices, shape (S,) [arcsec], differentiable.
        fade_length: l [arcsec]; NaN where there is no triangulation, which makes every weight NaN.
    """

    x: Float[Array, " S"]
    y: Float[Array, " S"]
    fade_length: Float[Array, ""]
    simplices: Int[Array, "2S 3"]
    neighbours: Int[Array, "2S 3"]
    n_simplices: Int[Array, ""]
    edge_nodes: Int[Array, "3S 2"]
    edge_opposite: Int[Array, "3S 2"]
    edge_clip: Int[Array, "3S 2"]
    hull: Int[Array, "S 2"]
    twin: Int[Array, " S"]
    multiplicity: Int[Array, " S"]
    valid: Bool[Array, ""]


def point_geometry(x, y):
    """PointGeometry of vertices at x, y in the source plane, shape (S,) [arcsec]: one callback to the host."""
    x, y = jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float)
    tables = jax.pure_callback(
        _triangulate,
        _table_shapes(len(x)),
        jax.lax.stop_gradient(x),
        jax.lax.stop_gradient(y),
        vmap_method="sequential",
    )
    geometry = PointGeometry(x, y, jnp.ones((), x.dtype), *tables)
    area = jnp.sum(triangle_areas(geometry))
    length = jnp.sqrt(2.0 / np.sqrt(3.0) * jnp.where(geometry.valid, area, 1.0) / len(x))
    return geometry._replace(fade_length=jnp.where(geometry.valid, length, jnp.nan))


def _triangulate(x, y):
    from .triangulation import triangulate

    return tuple(triangulate(np.asarray(x), np.asarray(y)))


def _table_shapes(n):
    def table(*shape, dtype=np.int32):
        return jax.ShapeDtypeStruct(shape, dtype)

    return (
        *(table(2 * n, 3), table(2 * n, 3), table()),
        *(table(3 * n, 2), table(3 * n, 2), table(3 * n, 2)),
        *(table(n, 2), table(n), table(n), table(dtype=np.bool_)),
    )


def _floats(values):
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise InputError(f"vertices must be two arrays of one shape (S,), got {array.shape}")
    return tuple(array.tolist())


class AbstractPointMesh(eqx.Module):
    """S nodes that are traced points of the image plane.

    Attributes:
        vertices_x, vertices_y: the points, S numbers each [arcsec].
        zero_edges: whether the nodes on the edge are fixed to zero.
        n_edge: how many of the last vertices are that edge; 0: those on the hull in the image plane.
    """

    vertices_x: eqx.AbstractVar[tuple[float, ...]]
    vertices_y: eqx.AbstractVar[tuple[float, ...]]
    zero_edges: eqx.AbstractVar[bool]
    n_edge: eqx.AbstractVar[int]

    def __check_init__(self):
        x, y = np.array(self.vertices_x), np.array(self.vertices_y)
        if len(x) != len(y):
            raise InputError(f"vertices must be two arrays of one shape (S,), got {len(x)} x and {len(y)} y")
        if len(x) < 4:
            raise InputError(f"a mesh of points needs at least 4 vertices, got {len(x)}")
        if not np.all(np.isfinite(x + y)):
            raise InputError("vertices has values that are NaN or infinite")
        if len(np.unique(np.column_stack([x, y]), axis=0)) < len(x):
            raise InputError("two vertices are at the same place in the image plane: give each once")
        spread = np.linalg.svd(np.column_stack([x - x.mean(), y - y.mean()]), compute_uv=False)
        if spread[1] <= 1e-9 * spread[0]:
            raise InputError("the vertices lie on one line: a triangulation needs points spread over an area")
        if not 0 <= self.n_edge <= len(x) - 1:
            raise InputError(f"n_edge must be at least 0 and less than the {len(x)} vertices, got {self.n_edge}")
        if not self.allowed.any():
            raise InputError("zero_edges fixes every vertex to zero: all lie on the hull; add vertices inside")

    @property
    def n_source(self):
        """S."""
        return len(self.vertices_x)

    @property
    def allowed(self):
        """NumPy boolean, shape (S,): False where the node is fixed to zero."""
        free = np.ones(self.n_source, bool)
        if self.zero_edges and self.n_edge:
            free[-self.n_edge :] = False
        elif self.zero_edges:
            from scipy.spatial import ConvexHull

            free[ConvexHull(np.column_stack([self.vertices_x, self.vertices_y])).vertices] = False
        return free

    def geometry(self, beta_x, beta_y, ray_trace=None, ray_weights=None):
        """PointGeometry: the vertices traced by `ray_trace(x, y)`, or as they are where there is none.

        The rays and their weights have no part in it.
        """
        x, y = jnp.asarray(self.vertices_x), jnp.asarray(self.vertices_y)
        return point_geometry(*((x, y) if ray_trace is None else ray_trace(x, y)))

    def node_positions(self, geometry):
        """(x, y) of the nodes, each of shape (S,) [arcsec]."""
        return geometry.x, geometry.y

    def edges(self, geometry):
        """(i, j, weight), each of shape (4 S,): neighbouring nodes, dual edge length over edge length >= 0.

        Dual cells end at the hull. A node whose cell meets the hull has an edge to a ghost of value zero, j = -1,
        with weight = the hull's length in its cell over l. Coinciding nodes are joined with weight 1. Padding has
        weight 0.
        """
        weights, shares, _ = dual_weights(geometry)
        nodes = jnp.arange(self.n_source, dtype=jnp.int32)
        return (
            jnp.concatenate([geometry.edge_nodes[:, 0], nodes]),
            jnp.concatenate([geometry.edge_nodes[:, 1], jnp.full_like(nodes, -1)]),
            jnp.concatenate([weights, shares / geometry.fade_length]),
        )

    def frame(self, geometry):
        """(west, east, south, north) of all that is not zero, for pictures [arcsec]."""
        x, y, margin = geometry.x, geometry.y, geometry.fade_length
        return x.min() - margin, x.max() + margin, y.min() - margin, y.max() + margin


def shared_among_twins(values, geometry):
    """Values of the triangulation's vertices, shape (S,), divided equally where several vertices coincide."""
    return values[geometry.twin] / geometry.multiplicity
