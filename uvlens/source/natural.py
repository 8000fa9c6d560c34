"""Natural neighbour interpolation between traced vertices (Sibson 1981): what a Voronoi mesh gives, smoothed.

    s(beta) = sum_i (A_i / A) s_i

with A_i the area that a point inserted at beta would take from the Voronoi cell of vertex i. It reproduces linear
functions inside the hull, has continuous derivatives everywhere there but at the vertices, and does not notice where
triangles flip: the brightness is a continuous function of the lens.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .points import AbstractPointMesh, _floats, shared_among_twins
from .voronoi import dual_weights


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def natural_weights(n_neighbours, beta_x, beta_y, x, y, fade_length, tables):
    """(indices, weights, dropped) of rays (M,): shapes (M, P), (M, P), (M,), P = n_neighbours; one callback.

    `dropped` is the weight of neighbours beyond the P largest, which are left out.
    Reverse mode only: value and derivatives are compiled code on the host (see `sibson`).
    """
    return _forward(n_neighbours, beta_x, beta_y, x, y, fade_length, tables)[0]


def _forward(n_neighbours, beta_x, beta_y, x, y, fade_length, tables):
    def call(*arrays):
        from . import sibson

        return sibson.natural_weights(n_neighbours, *(np.asarray(a) for a in arrays))

    n = len(beta_x)
    entries = (jax.ShapeDtypeStruct((n, n_neighbours), np.int32), jax.ShapeDtypeStruct((n, n_neighbours), np.float64))
    shapes = (*entries, jax.ShapeDtypeStruct((n,), np.int32), jax.ShapeDtypeStruct((n,), np.float64))
    arguments = (beta_x, beta_y, x, y, fade_length, *tables)
    indices, weights, found, dropped = jax.pure_callback(call, shapes, *arguments, vmap_method="sequential")
    return (indices, weights, dropped), (found, indices, weights, *arguments)


def _backward(n_neighbours, kept, cotangents):
    def call(*arrays):
        from . import sibson

        return sibson.natural_cotangents(*(np.asarray(a) for a in arrays))

    found, indices, weights, *arguments = kept
    shapes = tuple(jax.ShapeDtypeStruct(a.shape, np.float64) for a in arguments[:5])
    inputs = (found, indices, weights, cotangents[1], *arguments)
    return *jax.pure_callback(call, shapes, *inputs, vmap_method="sequential"), None


natural_weights.defvjp(_forward, _backward)


class NaturalNeighbourMesh(AbstractPointMesh):
    """Nodes at traced points of the image plane, natural neighbour interpolation between them.

    Args:
        vertices_x, vertices_y: points of the image plane, shape (S,) [arcsec].
        zero_edges: fix the nodes on the edge to zero.
        n_edge: the last n_edge vertices are that edge; 0: the vertices on the hull in the image plane.
        neighbours: P, the most a ray may have; of a ray with more the P largest weights are kept, divided by their
            sum (`dropped_weight` says how much that leaves out).

    Raises:
        InputError: fewer than 4 vertices, all on one line, two at one place, values that are not finite; fewer than
            3 neighbours.
    """

    vertices_x: tuple[float, ...] = eqx.field(static=True, converter=_floats)
    vertices_y: tuple[float, ...] = eqx.field(static=True, converter=_floats)
    zero_edges: bool = eqx.field(static=True, default=False)
    n_edge: int = eqx.field(static=True, default=0)
    neighbours: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        if not (isinstance(self.neighbours, int) and self.neighbours >= 3):
            raise InputError(f"neighbours must be a whole number of at least 3, got {self.neighbours}")

    def __repr__(self):
        return f"NaturalNeighbourMesh({self.n_source} vertices, zero_edges={self.zero_edges}, n_edge={self.n_edge})"

    def entries(self, rays):
        """About how many nodes an image pixel sees through rays x rays rays."""
        return 5.5 + 2.0 * (1.0 - 1.0 / rays)

    def _natural(self, beta_x, beta_y, geometry):
        tables = (geometry.simplices, geometry.neighbours, geometry.n_simplices, geometry.hull)
        rays = (jnp.ravel(jnp.asarray(beta_x, dtype=float)), jnp.ravel(jnp.asarray(beta_y, dtype=float)))
        return natural_weights(self.neighbours, *rays, geometry.x, geometry.y, geometry.fade_length, tables)

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights, shape (..., P), of the brightness at positions of any shape: one callback.

        s(beta) = sum_p weights[..., p] s[indices[..., p]]; index 0 where the weight is 0.
        """
        indices, weights, _ = self._natural(beta_x, beta_y, geometry)
        shape = (*jnp.shape(beta_x), self.neighbours)
        return indices.reshape(shape), weights.reshape(shape)

    def dropped_weight(self, beta_x, beta_y, geometry):
        """What each ray's neighbours beyond the P largest would have weighed, shape (...): 0 where there are none."""
        return self._natural(beta_x, beta_y, geometry)[2].reshape(jnp.shape(beta_x))

    def node_areas(self, geometry):
        """Area of each node's Voronoi cell inside the hull, shape (S,) [arcsec^2]; they add up to the hull's area."""
        return shared_among_twins(dual_weights(geometry)[2], geometry)
