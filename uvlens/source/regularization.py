"""Quadratic priors on the source: H = lambda G with zero-Dirichlet edges, so that G is positive definite.

Differences run between neighbouring nodes and to a ghost node of value 0 beyond each edge. With D the second
difference matrix of one axis, tridiagonal (-1, 2, -1), whose eigenvalues are 2 - 2 cos(pi k / (n + 1)):

    zeroth order   G = 1                                integral of s^2 / Omega_N
    gradient       G = D_y + D_x                        integral of |grad s|^2
    curvature      G = D_y^2 + D_x^2                    integral of (s_xx^2 + s_yy^2) Omega_N

and ln det G is the sum of the logarithms of the eigenvalues: no decomposition is ever needed. The integrals are
over the source plane; for a node spacing h they turn the dimensionless `strength` into

    lambda = strength  sum_k w_k  Omega_N^2  (Omega_N / h^2)^(order - 1),     Omega_N = (2 u_99.5)^-2 [arcsec^2]

so that the prior is the same continuum prior for every spacing, and ln E does not depend on the unit of flux.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.sparse
import scipy.sparse.linalg


class AbstractRegularization(eqx.Module):
    """A prior exp(-1/2 lambda s^T G s).

    Attributes:
        strength: dimensionless, > 0; "evidence" maximises ln E over it inside every evaluation.
        order: of the derivative that is penalised.
    """

    strength: eqx.AbstractVar[Any]
    order: eqx.AbstractClassVar[int]

    def coefficient(self, strength, sum_weight, resolution_area, spacing):
        """lambda, for sum_k w_k [Jy^-2], Omega_N [arcsec^2] and the node spacing [arcsec]."""
        return strength * sum_weight * resolution_area**2 * (resolution_area / spacing**2) ** (self.order - 1)

    def matrix(self, shape):
        """G for a mesh of `shape` = (rows, columns), sparse (SciPy), shape (S, S)."""
        rows, columns = (scipy.sparse.eye_array(n) for n in shape)
        if self.order == 0:
            return scipy.sparse.kron(rows, columns)
        power_y, power_x = (scipy.sparse.linalg.matrix_power(_second_difference(n), self.order) for n in shape)
        return scipy.sparse.kron(power_y, columns) + scipy.sparse.kron(rows, power_x)

    def log_det_matrix(self, shape):
        """ln det G, in closed form."""
        if self.order == 0:
            return 0.0
        rows, columns = (_second_difference_eigenvalues(n) ** self.order for n in shape)
        return float(np.sum(np.log(rows[:, None] + columns)))


class ZerothOrder(AbstractRegularization):
    """Penalises the brightness itself."""

    strength: Any = "auto"
    order = 0


class Gradient(AbstractRegularization):
    """Penalises the gradient of the brightness ("constant" elsewhere)."""

    strength: Any = "auto"
    order = 1


class Curvature(AbstractRegularization):
    """Penalises the second derivatives of the brightness."""

    strength: Any = "auto"
    order = 2


REGULARIZATIONS = {"zeroth_order": ZerothOrder, "gradient": Gradient, "curvature": Curvature}
"""Names in a model file."""


def log_det(strength_coefficient, n_source, log_det_matrix):
    """ln det(lambda G) = S ln lambda + ln det G."""
    return n_source * jnp.log(strength_coefficient) + log_det_matrix


def _second_difference(n):
    return scipy.sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n)).tocsr()


def _second_difference_eigenvalues(n):
    return 2.0 - 2.0 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
