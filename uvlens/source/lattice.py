"""Priors on lattices, whose nodes are the products of two axes: matrices made of two small ones.

With nodes x_1 < ... < x_n of one axis, ghost nodes x_0 and x_(n+1) of value 0 and spacings d_i = x_(i+1) - x_i,

    K = tridiagonal:  K_ii = 1 / d_(i-1) + 1 / d_i,  K_(i,i+1) = -1 / d_i        integral of s'^2  = s^T K s
    M = diagonal:     M_ii = (d_(i-1) + d_i) / 2                                 integral of s^2   = s^T M s
    K M^-1 K                                                                     integral of s''^2

and with the axes y and x (node (i, j) has index i columns + j; A x B is the Kronecker product)

    zeroth order   G = M_y x M_x / Omega_N                                    integral of s^2 / Omega_N
    gradient       G = K_y x M_x + M_y x K_x                                  integral of |grad s|^2
    curvature      G = Omega_N (K_y M_y^-1 K_y x M_x + M_y x K_x M_x^-1 K_x)  integral of (s_xx^2 + s_yy^2) Omega_N

M^-1/2 K M^-1/2 has n positive eigenvalues a, all different, and with p = 1 (gradient) or 2 (curvature)

    ln det G = columns ln det M_y + rows ln det M_x + sum_ij ln(a_i^p + a_j^p) + S (p - 1) ln Omega_N

so nothing larger than an axis is ever decomposed. On a uniform lattice of spacing h all of this is constants and
powers of h: K = D / h, M = h, D = tridiagonal (-1, 2, -1) with eigenvalues 2 - 2 cos(pi k / (n + 1)).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .prior import Prior, total_log


class Axis(NamedTuple):
    """K and M of one axis of n nodes.

    Attributes:
        links: 1 / spacing, ghost nodes included, shape (n + 1,) [1/arcsec].
        lengths: dual lengths M_ii, shape (n,) [arcsec].
    """

    links: Float[Array, " n+1"]
    lengths: Float[Array, " n"]

    @classmethod
    def of(cls, nodes):
        """From the node coordinates with one ghost node at each end, shape (n + 2,) [arcsec]."""
        spacing = jnp.diff(nodes)
        return cls(1.0 / spacing, 0.5 * (spacing[1:] + spacing[:-1]))

    @property
    def stiffness(self):
        """K, shape (n, n) [1/arcsec]."""
        inner = self.links[1:-1]
        return jnp.diag(self.links[1:] + self.links[:-1]) - jnp.diag(inner, 1) - jnp.diag(inner, -1)


def axes_of(mesh, geometry):
    """(Axis y, Axis x) of a lattice."""
    if is_uniform(geometry):
        return tuple(Axis(jnp.ones(n + 1) / geometry.spacing, jnp.ones(n) * geometry.spacing) for n in mesh.shape)
    return tuple(Axis.of(nodes) for nodes in mesh.axes(geometry))


def is_uniform(geometry):
    """Whether a lattice has one spacing, `geometry.spacing`."""
    return hasattr(geometry, "spacing")


def derivative_prior(mesh, geometry, unit_area, order):
    """The Prior of order 0, 1 or 2 on a lattice."""
    if is_uniform(geometry):
        bands, constant = _uniform(mesh.shape, order)
        factor = (unit_area / geometry.spacing**2) ** (order - 1)
        return Prior(factor * bands, constant + mesh.n_source * jnp.log(factor))
    y, x = axes_of(mesh, geometry)
    bands = _bands(_axis_bands(y, order), y.lengths, _axis_bands(x, order), x.lengths, order)
    lengths = len(x.lengths) * total_log(y.lengths) + len(y.lengths) * total_log(x.lengths)
    log_det = lengths + (order - 1) * mesh.n_source * jnp.log(unit_area)
    if order:
        log_det = log_det + total_log(_spectrum(y)[:, None] ** order + _spectrum(x) ** order)
    return Prior(unit_area ** (order - 1) * bands, log_det)


def edges(mesh, geometry):
    """Neighbouring nodes of a lattice as (i (E,), j (E,), weight (E,)): s^T G s = sum of weight (s_i - s_j)^2.

    G is the gradient prior; j = -1 marks a ghost node of value 0.
    """
    rows, columns = mesh.shape
    y, x = axes_of(mesh, geometry)
    node = np.pad(np.arange(rows * columns).reshape(rows, columns), 1, constant_values=-1)
    north = (node[:-1, 1:-1], node[1:, 1:-1], y.links[:, None] * x.lengths)
    east = (node[1:-1, :-1], node[1:-1, 1:], y.lengths[:, None] * x.links)
    first, second = (np.concatenate([a.ravel(), b.ravel()]) for a, b in zip(north[:2], east[:2]))
    weight = jnp.concatenate([north[2].ravel(), east[2].ravel()])
    return np.maximum(first, second), np.minimum(first, second), weight


def bands_of_edges(mesh, weight):
    """Lower bands, shape (columns + 1, S), of G for the `weight` (E,) of each of the `edges`."""
    rows, columns = mesh.shape
    count = (rows + 1) * columns
    north = weight[:count].reshape(rows + 1, columns)
    east = weight[count:].reshape(rows, columns + 1)
    diagonal = north[1:] + north[:-1] + east[:, 1:] + east[:, :-1]
    return _placed(
        {0: diagonal, 1: -east[:, 1:].at[:, -1].set(0.0), columns: -north[1:].at[-1].set(0.0)}, rows * columns
    )


def _axis_bands(axis, order):
    """Lower bands of M, K or K M^-1 K as a list of arrays (n,): value [k][j] belongs to row j + k."""
    if order == 0:
        return [axis.lengths]
    inner = jnp.append(axis.links[1:-1], 0.0)
    diagonal = axis.links[1:] + axis.links[:-1]
    if order == 1:
        return [diagonal, -inner]
    inverse = 1.0 / axis.lengths
    after = jnp.append(inverse[1:], 0.0)
    squared = inner**2
    before = jnp.concatenate([jnp.zeros(1), (squared * inverse)[:-1]])
    return [
        diagonal**2 * inverse + squared * after + before,
        -inner * (diagonal * inverse + jnp.append(diagonal[1:], 0.0) * after),
        inner * jnp.append(inner[1:], 0.0) * after,
    ]


def _bands(along_y, lengths_y, along_x, lengths_x, order):
    """Lower bands of A_y x M_x + M_y x A_x; of M_y x M_x for order 0."""
    rows, columns = len(lengths_y), len(lengths_x)
    if order == 0:
        return (lengths_y[:, None] * lengths_x).reshape(1, -1)
    parts = {k: lengths_y[:, None] * band for k, band in enumerate(along_x)}
    for k, band in enumerate(along_y):
        # an axis has 3 nodes or more and 3 bands at most: only k = 0 is met twice
        parts[k * columns] = parts.get(k * columns, 0.0) + band[:, None] * lengths_x
    return _placed(parts, rows * columns)


def _placed(parts, n_source):
    """Bands (b + 1, S) from those that are not zero: {k: values of any shape with S elements}."""
    bands = jnp.zeros((max(parts) + 1, n_source))
    return bands.at[np.array(list(parts))].set(jnp.stack([values.ravel() for values in parts.values()]))


def _spectrum(axis):
    """Eigenvalues of M^-1/2 K M^-1/2, shape (n,).

    By first-order perturbation about eigenvectors that are held fixed: the same values, exact first derivatives,
    and no division by differences of eigenvalues.
    """
    half = 1.0 / jnp.sqrt(axis.lengths)
    matrix = half[:, None] * axis.stiffness * half
    vectors = jnp.linalg.eigh(jax.lax.stop_gradient(matrix))[1]
    return jnp.einsum("ik,ij,jk->k", vectors, matrix, vectors)


@functools.lru_cache(maxsize=32)
def _uniform(shape, order):
    """(bands of G, ln det G) for spacing 1 and unit area 1, NumPy."""
    with jax.ensure_compile_time_eval():
        y, x = (Axis(jnp.ones(n + 1), jnp.ones(n)) for n in shape)
        bands = np.asarray(_bands(_axis_bands(y, order), y.lengths, _axis_bands(x, order), x.lengths, order))
    return bands, uniform_log_det(shape, order)


def uniform_log_det(shape, order):
    """ln det G of a uniform lattice of spacing 1 and unit area 1."""
    if order == 0:
        return 0.0
    y, x = (uniform_eigenvalues(n) ** order for n in shape)
    return float(np.sum(np.log(y[:, None] + x)))


def uniform_eigenvalues(n):
    """Eigenvalues of the second difference matrix, tridiagonal (-1, 2, -1), of n nodes."""
    return 2.0 - 2.0 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
