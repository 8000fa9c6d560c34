"""Quadratic priors on the source by name, and those on its derivatives.

    zeroth order   s^T G s = integral of s^2 / Omega_N
    gradient       s^T G s = integral of |grad s|^2
    curvature      s^T G s = integral of (second derivatives)^2 Omega_N

over the source plane, with zero-Dirichlet edges: beyond its outermost nodes the source falls to ghost nodes of value
0, so that G is positive definite and nothing is ever added to its diagonal. `lattice` and `graph` hold the matrices;
`splitcross`, `brightness` and `covariance` the other priors; `prior` what they have in common.
"""

from typing import Any

import jax.numpy as jnp
import scipy.sparse
import scipy.sparse.linalg

from . import graph, lattice
from .brightness import AdaptiveBrightness
from .covariance import ExponentialCovariance, GaussianCovariance, MaternCovariance
from .prior import AbstractRegularization, Prior, is_scattered
from .splitcross import SplitCross

__all__ = [
    "REGULARIZATIONS",
    "AbstractRegularization",
    "AdaptiveBrightness",
    "Curvature",
    "ExponentialCovariance",
    "GaussianCovariance",
    "Gradient",
    "MaternCovariance",
    "Prior",
    "SplitCross",
    "ZerothOrder",
    "log_det",
]


class AbstractDerivative(AbstractRegularization):
    """A prior on the derivatives of one order."""

    strength: Any = "auto"
    order = 0

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G and ln det G; on lattices by bands and in closed form, on scattered nodes dense."""
        of = graph if is_scattered(mesh) else lattice
        return of.derivative_prior(mesh, geometry, unit_area, self.order)

    def coefficient(self, strength, sum_weight, resolution_area, spacing):
        """lambda of `matrix`, for sum_k w_k [Jy^-2], Omega_N [arcsec^2] and the node spacing [arcsec]."""
        return strength * sum_weight * resolution_area**2 * (resolution_area / spacing**2) ** (self.order - 1)

    def matrix(self, shape):
        """G of a uniform lattice with spacing 1 and Omega_N 1, sparse (SciPy), shape (S, S)."""
        rows, columns = (scipy.sparse.eye_array(n) for n in shape)
        if self.order == 0:
            return scipy.sparse.kron(rows, columns)
        power_y, power_x = (scipy.sparse.linalg.matrix_power(_second_difference(n), self.order) for n in shape)
        return scipy.sparse.kron(power_y, columns) + scipy.sparse.kron(rows, power_x)

    def log_det_matrix(self, shape):
        """ln det of `matrix`, in closed form."""
        return lattice.uniform_log_det(shape, self.order)


class ZerothOrder(AbstractDerivative):
    """Penalises the brightness itself."""

    order = 0


class Gradient(AbstractDerivative):
    """Penalises the gradient of the brightness ("constant" elsewhere)."""

    order = 1


class Curvature(AbstractDerivative):
    """Penalises the second derivatives of the brightness."""

    order = 2


REGULARIZATIONS = {
    "zeroth_order": ZerothOrder,
    "gradient": Gradient,
    "curvature": Curvature,
    "adaptive": AdaptiveBrightness,
    "split_cross": SplitCross,
    "gaussian": GaussianCovariance,
    "exponential": ExponentialCovariance,
    "matern": MaternCovariance,
}
"""Names in a model file."""


def log_det(strength_coefficient, n_source, log_det_matrix):
    """ln det(lambda G) = S ln lambda + ln det G."""
    return n_source * jnp.log(strength_coefficient) + log_det_matrix


def _second_difference(n):
    return scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()
