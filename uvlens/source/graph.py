"""Priors on meshes of scattered nodes: the graph of neighbours, weighted so that its sums are integrals.

The mesh gives pairs of neighbours with weight = length of the dual (Voronoi) edge / length of the edge, and to nodes
of the hull a ghost neighbour of value 0 (j = -1). With A_i the dual areas,

    K: s^T K s = sum of weight (s_i - s_j)^2      integral of |grad s|^2 (finite volumes; exact for linear s)
    M = diag(A)                                   integral of s^2

    zeroth order  G = M / Omega_N        gradient  G = K        curvature  G = Omega_N K M^-1 K

The last is the integral of (Laplacian of s)^2, which is that of s_xx^2 + 2 s_xy^2 + s_yy^2; lattices leave the mixed
term out. The ghosts make K strictly positive definite.
"""

import jax.numpy as jnp
import numpy as np

from .logdet import log_det_dense
from .prior import Prior, total_log


def derivative_prior(mesh, geometry, unit_area, order):
    """The Prior of order 0, 1 or 2 on scattered nodes; dense."""
    areas = mesh.node_areas(geometry)
    if order == 0:
        return Prior((areas / unit_area)[None, :], total_log(areas) - mesh.n_source * jnp.log(unit_area))
    stiffness = laplacian(*mesh.edges(geometry), mesh.n_source)
    log_det = log_det_dense(stiffness)
    if order == 1:
        return Prior(stiffness, log_det)
    half = stiffness / jnp.sqrt(areas)
    log_det = 2.0 * log_det - total_log(areas) + mesh.n_source * jnp.log(unit_area)
    return Prior(unit_area * (half @ half.T), log_det)


def laplacian(i, j, weight, n_source):
    """K, shape (S, S), from pairs of neighbours, each once; j = -1 is a ghost of value 0, weight 0 is padding."""
    real = j >= 0
    other = jnp.where(real, j, i)
    between = jnp.where(real, weight, 0.0)
    matrix = jnp.zeros((n_source, n_source), jnp.asarray(weight).dtype)
    rows = jnp.concatenate([i, other, i, other])
    columns = jnp.concatenate([i, other, other, i])
    # a ghost has other = i: one entry on the diagonal is left
    values = jnp.concatenate([weight, between, -between, -between])
    return matrix.at[rows, columns].add(values)


def cross_differences(mesh, geometry):
    """(indices (S, 4, P + 1), weights): at +-1/2 sqrt(A_i) to the East and North of node i, s there minus s_i.

    s is the mesh's own interpolation. Where its weights sum to less than 1 (beyond the hull) s_i counts with that
    sum, so that a constant source has no differences: the edge is the ghosts' business.
    """
    x, y = mesh.node_positions(geometry)
    step = 0.5 * jnp.sqrt(mesh.node_areas(geometry))[:, None]
    directions = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    indices, weights = mesh.interpolation(
        x[:, None] + step * directions[:, 0], y[:, None] + step * directions[:, 1], geometry
    )
    own = jnp.broadcast_to(jnp.arange(mesh.n_source, dtype=indices.dtype)[:, None, None], (*indices.shape[:2], 1))
    return (
        jnp.concatenate([indices, own], axis=-1),
        jnp.concatenate([weights, -jnp.sum(weights, axis=-1, keepdims=True)], axis=-1),
    )


def squared_sum(indices, weights, n_source):
    """B^T B, shape (S, S), for rows of B given by their entries: indices and weights of shape (..., P)."""
    products = weights[..., :, None] * weights[..., None, :]
    rows = jnp.broadcast_to(indices[..., :, None], products.shape)
    columns = jnp.broadcast_to(indices[..., None, :], products.shape)
    return jnp.zeros((n_source, n_source), weights.dtype).at[rows, columns].add(products)
