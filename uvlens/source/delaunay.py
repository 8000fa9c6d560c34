"""Linear interpolation in the triangles between traced vertices (Vegetti & Koopmans 2009).

    s(beta) = sum of the 3 barycentric weights of the ray's triangle times the values at its corners

It is continuous, with a kink at every edge, and where the vertices move so that a pair of triangles flips, the
brightness jumps by little: the price of this mesh (see `natural` for a smoother one).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .points import AbstractPointMesh, _floats, shared_among_twins
from .voronoi import triangle_areas


def barycentric_weights(beta_x, beta_y, corners, geometry):
    """Weights, shape (..., 3), of the vertices `corners`, of rays in the triangle or in the fade outside the hull.

    Args:
        beta_x, beta_y: rays, shape (...) [arcsec].
        corners: vertices of the triangle of each ray; (a, b, -1) of the nearest hull edge for rays outside.
        geometry: a PointGeometry.
    """
    outside = corners[..., 2] < 0
    corners = jnp.where(corners < 0, 0, corners)
    nodes = jnp.stack([geometry.x, geometry.y], axis=-1)[corners]
    (ax, bx, cx), (ay, by, cy) = (tuple(nodes[..., k, axis] for k in range(3)) for axis in (0, 1))
    ax, ay, bx, by, cx, cy = ax - beta_x, ay - beta_y, bx - beta_x, by - beta_y, cx - beta_x, cy - beta_y
    opposite_a, opposite_b = bx * cy - cx * by, cx * ay - ax * cy
    area = opposite_a + opposite_b + ax * by - bx * ay
    area = jnp.where(outside | (area == 0.0), 1.0, area)
    inner_a, inner_b = opposite_a / area, opposite_b / area
    ex, ey = bx - ax, by - ay
    squared = jnp.where(outside, ex**2 + ey**2, 1.0)
    along = jnp.clip(-(ax * ex + ay * ey) / squared, 0.0, 1.0)
    distance_squared = (ax + along * ex) ** 2 + (ay + along * ey) ** 2
    away = outside & (distance_squared != 0.0)
    distance = jnp.where(away, jnp.sqrt(jnp.where(away, distance_squared, 1.0)), 0.0)
    fade = jnp.maximum(0.0, 1.0 - distance / geometry.fade_length)
    a = jnp.where(outside, fade * (1.0 - along), inner_a)
    b = jnp.where(outside, fade * along, inner_b)
    c = jnp.where(outside, 0.0, 1.0 - inner_a - inner_b)
    return jnp.stack([a, b, c], axis=-1)


def find_corners(beta_x, beta_y, geometry):
    """Vertices of the triangle of each ray, shape (..., 3), -1 as the third outside the hull: one callback."""
    shape = jnp.shape(beta_x)
    arrays = jax.lax.stop_gradient((jnp.ravel(beta_x), jnp.ravel(beta_y), geometry.x, geometry.y))
    tables = (geometry.simplices, geometry.neighbours, geometry.n_simplices, geometry.hull)
    result = jax.ShapeDtypeStruct((int(np.prod(shape)), 3), np.int32)
    return jax.pure_callback(_corners, result, *arrays, *tables, vmap_method="sequential").reshape(*shape, 3)


def _corners(*arrays):
    from .location import corners

    return corners(*(np.asarray(a) for a in arrays))


class DelaunayMesh(AbstractPointMesh):
    """Nodes at traced points of the image plane, brightness linear in the triangles between them.

    Args:
        vertices_x, vertices_y: points of the image plane, shape (S,) [arcsec].
        zero_edges: fix the nodes on the edge to zero.
        n_edge: the last n_edge vertices are that edge; 0: the vertices on the hull in the image plane.

    Raises:
        InputError: fewer than 4 vertices, all on one line, two at one place, values that are not finite.
    """

    vertices_x: tuple[float, ...] = eqx.field(static=True, converter=_floats)
    vertices_y: tuple[float, ...] = eqx.field(static=True, converter=_floats)
    zero_edges: bool = eqx.field(static=True, default=False)
    n_edge: int = eqx.field(static=True, default=0)

    def __repr__(self):
        return f"DelaunayMesh({self.n_source} vertices, zero_edges={self.zero_edges}, n_edge={self.n_edge})"

    def entries(self, rays):
        """About how many nodes an image pixel sees through rays x rays rays."""
        return 3.0 + 1.5 * (1.0 - 1.0 / rays)

    def interpolation(self, beta_x, beta_y, geometry):
        """Indices and weights, shape (..., 3), of the brightness at positions of any shape: a callback and JAX.

        s(beta) = sum_p weights[..., p] s[indices[..., p]]; index 0 where the weight is 0.
        """
        beta_x, beta_y = jnp.asarray(beta_x), jnp.asarray(beta_y)
        corners = find_corners(beta_x, beta_y, geometry)
        weights = barycentric_weights(beta_x, beta_y, corners, geometry)
        return jnp.where(weights == 0.0, 0, corners), weights

    def node_areas(self, geometry):
        """Integral of each node's basis function inside the hull, shape (S,) [arcsec^2]: a third of its triangles.

        They add up to the hull's area; the fade outside is not counted.
        """
        thirds = triangle_areas(geometry) / 3.0
        areas = jnp.zeros_like(geometry.x)
        for k in range(3):
            areas = areas.at[geometry.simplices[:, k]].add(thirds)
        return shared_among_twins(areas, geometry)
