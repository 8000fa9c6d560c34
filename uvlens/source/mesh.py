"""What every source mesh offers: where its nodes lie, and how a ray's brightness follows from theirs.

    s(beta) = sum_p weights[p] s[indices[p]],     P weights a ray, 0 where there is nothing to see

A mesh is static settings; what follows the lens is its geometry, a pytree made anew from the traced rays of every
likelihood. Everything is differentiable in the rays, at fixed neighbours where a mesh has neighbours.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..errors import InputError

BASES = ("spline", "bilinear")
BORDERS = ("none", "relocate")


class AbstractMesh(eqx.Module):
    """S nodes in the source plane.

    Lattices (`RectangularMesh`, `AdaptiveMesh`: node (i, j) has flat index i columns + j, row i towards North, column
    j towards East) also have `shape` = (rows, columns) and `axes(geometry)`; meshes of points have `edges(geometry)`.
    """

    @property
    @abc.abstractmethod
    def n_source(self) -> int:
        """S."""

    @property
    @abc.abstractmethod
    def allowed(self) -> np.ndarray:
        """Boolean, shape (S,): False where the node is fixed to zero (`zero_edges`)."""

    @abc.abstractmethod
    def entries(self, rays: int) -> float:
        """About how many nodes an image pixel sees through rays x rays rays, where it is not highly magnified."""

    @abc.abstractmethod
    def geometry(self, beta_x, beta_y, ray_trace=None, ray_weights=None) -> Any:
        """Where the mesh lies.

        Args:
            beta_x, beta_y: all traced rays, any shape [arcsec].
            ray_trace: (x, y) -> (beta_x, beta_y), traces points of the image plane; needed where nodes are such points.
            ray_weights: weights of the rays, shape of beta_x, for meshes that follow the brightness; None: all equal.
        """

    @abc.abstractmethod
    def interpolation(self, beta_x, beta_y, geometry) -> tuple[Any, Any]:
        """Indices (int32) and weights, each of shape (..., P), at positions of any shape, weight 0 where nothing is."""

    @abc.abstractmethod
    def node_positions(self, geometry) -> tuple[Any, Any]:
        """(x, y) of the nodes, each of shape (S,) [arcsec]."""

    @abc.abstractmethod
    def node_areas(self, geometry) -> Any:
        """Integral of each node's basis function, shape (S,) [arcsec^2]: flux = sum of s_i area_i."""

    @abc.abstractmethod
    def frame(self, geometry) -> tuple[Any, Any, Any, Any]:
        """(West, East, South, North) of a picture of the mesh [arcsec]."""


class AbstractLattice(AbstractMesh):
    """A mesh whose nodes are the products of two axes, rows towards North and columns towards East."""

    rows: eqx.AbstractVar[int]
    columns: eqx.AbstractVar[int]
    basis: eqx.AbstractVar[str]
    zero_edges: eqx.AbstractVar[bool]

    @abc.abstractmethod
    def axes(self, geometry) -> tuple[Any, Any]:
        """(y, x) of the nodes with one ghost node beyond each end, shapes (rows + 2,), (columns + 2,) [arcsec]."""

    @property
    def shape(self):
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def n_source(self):
        """S = rows x columns."""
        return self.rows * self.columns

    @property
    def allowed(self):
        """Boolean, shape (S,): all nodes, or those that are not on the outermost rows and columns (`zero_edges`)."""
        allowed = np.ones(self.shape, bool)
        if self.zero_edges:
            allowed[[0, -1], :] = allowed[:, [0, -1]] = False
        return allowed.ravel()

    @property
    def entries_per_ray(self):
        """P of one ray: 4 or 16."""
        return 16 if self.basis == "spline" else 4

    def node_positions(self, geometry):
        """(x, y) of the nodes, each of shape (S,) [arcsec]."""
        y, x = self.axes(geometry)
        grid_x, grid_y = jnp.meshgrid(x[1:-1], y[1:-1])
        return grid_x.ravel(), grid_y.ravel()


def check_mesh(mesh, n_rays):
    """The mesh, if `n_rays` traced rays can hold it.

    Raises:
        InputError: more nodes than rays.
    """
    if mesh.n_source > n_rays:
        raise InputError(
            f"mesh has {mesh.n_source} nodes for {n_rays} rays: take fewer nodes, more rays per pixel or smaller pixels"
        )
    return mesh


def check_lattice(mesh):
    """Settings that all lattices share.

    Raises:
        InputError: fewer than 3 nodes on an axis, an unknown basis or border, a share of rays that is not in (0, 1].
    """
    for n in mesh.shape:
        if isinstance(n, bool) or not isinstance(n, int | np.integer):
            raise InputError(f"mesh shape must be two whole numbers, got {mesh.shape[0]} x {mesh.shape[1]}")
    if min(mesh.shape) < 3:
        raise InputError(f"mesh shape must be at least 3 x 3, got {mesh.shape[0]} x {mesh.shape[1]}")
    if mesh.basis not in BASES:
        raise InputError(f"mesh basis must be {' or '.join(BASES)}, got {mesh.basis!r}")
    if mesh.border not in BORDERS:
        raise InputError(f"mesh border must be {' or '.join(BORDERS)}, got {mesh.border!r}")
    if not 0.5 < mesh.cover <= 1.0:
        raise InputError(f"mesh cover is a share of the rays, above 0.5 and at most 1, got {mesh.cover}")
