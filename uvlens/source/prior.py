"""What a quadratic prior on the source is: H = lambda0 G, and how G is handed over.

    p(s) = sqrt(det H / (2 pi)^S) exp(-1/2 s^T H s),   H = lambda0 G,   lambda0 = strength sum_k w_k Omega_N^2

G is a discretised integral over the source plane, in units of Omega_N = (2 u_99.5)^-2 [arcsec^2], so that the same
`strength` is the same continuum prior on every mesh and ln E does not depend on the unit of flux.
"""

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..errors import InputError


class Prior(NamedTuple):
    """G of a mesh.

    Attributes:
        matrix: lower bands, G[j + k, j] = matrix[k, j], shape (b + 1, S) with b + 1 < S; of shape (S, S) it is the
            symmetric matrix itself.
        log_det: ln det G; NaN where G is not positive definite.
    """

    matrix: Float[Array, "rows S"]
    log_det: Float[Array, ""]

    @property
    def is_dense(self):
        """Whether `matrix` is G itself, not its bands."""
        return self.matrix.shape[0] == self.matrix.shape[1]

    def dense(self):
        """G, shape (S, S)."""
        from ..inversion.banded import matrix_from_bands

        return self.matrix if self.is_dense else matrix_from_bands(self.matrix)


class AbstractRegularization(eqx.Module):
    """A prior exp(-1/2 lambda0 s^T G s).

    Attributes:
        strength: dimensionless, > 0; "auto" has a loguniform prior, "evidence" maximises ln E over it inside every
            evaluation.
    """

    strength: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None) -> Prior:
        """G and ln det G, differentiable.

        Args:
            mesh: where the source coefficients live.
            geometry: of the mesh, from `mesh.geometry`.
            unit_area: Omega_N [arcsec^2].
            mapper: Mapper of this source (S its own), for priors that look at the image.
            adapt: image whose brightness the prior follows, on the N image pixels, or None.

        Raises:
            InputError: a prior that this mesh does not have, or an `adapt` image that is missing.
        """


def check_numbers(regularization, **limits):
    """Refuse numbers outside their range; priors and ties are left alone.

    Args:
        regularization: the component.
        limits: (lowest, whether it is itself allowed) by field.
    """
    for name, (lowest, inclusive) in limits.items():
        value = getattr(regularization, name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if not (value >= lowest if inclusive else value > lowest) or value == float("inf"):
            least = "at least" if inclusive else "greater than"
            raise InputError(f"{type(regularization).__name__}: {name} must be {least} {lowest:g}, got {value}")


def is_scattered(mesh):
    """Whether a mesh states its pairs of neighbours (Delaunay), rather than two axes whose products are its nodes."""
    return hasattr(mesh, "edges")


def no_such_prior(regularization, mesh, instead):
    """The error of a prior that a mesh does not have."""
    return InputError(f"{type(regularization).__name__} is not available on a {type(mesh).__name__}: use {instead}")


def total_log(*parts):
    """Sum of the logarithms of arrays of positive numbers; NaN where one is not positive."""
    total = 0.0
    for part in parts:
        total = total + jnp.sum(jnp.log(jnp.where(part > 0.0, part, jnp.nan)))
    return total
