"""The gradient prior of scattered nodes by a cross at each of them, whatever its neighbours are."""

from typing import Any

from .graph import cross_differences, laplacian, squared_sum
from .logdet import log_det_dense
from .prior import AbstractRegularization, Prior, is_scattered, no_such_prior


class SplitCross(AbstractRegularization):
    """Penalises derivatives at four points around each node, to the East, West, North and South.

    With A_i the area of node i, delta_i = 1/2 sqrt(A_i), and s(x) the interpolation of the mesh,

        s^T G s = sum_i A_i 1/2 sum over 4 directions e of [(s(x_i + delta_i e) - s_i) / delta_i]^2 + ghosts
                = sum_i 2 sum_e (s(x_i + delta_i e) - s_i)^2 + ghosts           about the integral of |grad s|^2

    where the ghosts are those of the gradient prior: weight s_i^2 for every hull node's edge to a neighbour of value
    0, which makes G positive definite. Where x_i + delta_i e lies beyond the hull there is no difference.

    Args:
        strength: dimensionless, as for Gradient.
    """

    strength: Any = "auto"

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G, dense, and ln det G."""
        if not is_scattered(mesh):
            raise no_such_prior(self, mesh, "Gradient, which is the same on a lattice")
        i, j, weight = mesh.edges(geometry)
        indices, weights = cross_differences(mesh, geometry)
        matrix = 2.0 * squared_sum(indices, weights, mesh.n_source)
        matrix = matrix + laplacian(i, j, weight * (j < 0), mesh.n_source)
        return Prior(matrix, log_det_dense(matrix))
