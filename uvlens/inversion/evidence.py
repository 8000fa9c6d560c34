"""The evidence of a pixelised source and its exact gradient.

    F = L^T W L,   D = L^T d~,   A = F + H,   s = argmin 1/2 s^T A s - D^T s   (optionally s >= 0)
    ln E - ln E_null = -1/2 [s^T F s - 2 s^T D + s^T H s + ln det A - ln det H]

(Suyu et al. 2006). For positive sources it is the same formula at the constrained mode: the field's convention, not
a marginal likelihood. The source enters only through the minimum of a convex function, so by the envelope theorem
the gradient needs no derivative of the solver, free and positive alike:

    D_bar = s,   F_bar = H_bar = -1/2 (s s^T + A^-1),   L_bar_is = 2 (W L F_bar)_is + d~_i s_s

with ln det H, known in closed form, differentiated on its own.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..normal.operator import AbstractNormalOperator
from ..source.mapper import dense_lensing_operator
from .positive import Solution, solve_positive, solve_unconstrained


class System(NamedTuple):
    """The linear system and its solution, S source pixels.

    Attributes:
        curvature_matrix: F, shape (S, S).
        data_vector: D, shape (S,).
        regularization_matrix: H, shape (S, S).
        cholesky: lower factor of A = F + H.
        solution: the source with its certificate.
        log_det_regularization: ln det H.
    """

    curvature_matrix: Float[Array, "S S"]
    data_vector: Float[Array, " S"]
    regularization_matrix: Float[Array, "S S"]
    cholesky: Float[Array, "S S"]
    solution: Solution
    log_det_regularization: Float[Array, ""]

    @property
    def chi_squared_minus_null(self):
        """s^T F s - 2 s^T D."""
        s = self.solution.source
        return s @ (self.curvature_matrix @ s) - 2.0 * s @ self.data_vector

    @property
    def regularization_term(self):
        """s^T H s."""
        s = self.solution.source
        return s @ (self.regularization_matrix @ s)

    @property
    def log_det_curvature_reg(self):
        """ln det A."""
        return 2.0 * jnp.sum(jnp.log(jnp.diagonal(self.cholesky)))

    @property
    def log_evidence_minus_null(self):
        """ln E - ln E_null."""
        return -0.5 * (
            self.chi_squared_minus_null
            + self.regularization_term
            + self.log_det_curvature_reg
            - self.log_det_regularization
        )

    def inverse(self):
        """A^-1, shape (S, S)."""
        return jax.scipy.linalg.cho_solve((self.cholesky, True), jnp.eye(len(self.data_vector)))


def solve_system(curvature_matrix, data_vector, regularization_matrix, log_det_regularization, allowed, positive):
    """Decompose A and solve for the source; `allowed` (boolean, shape (S,)) is False where s is fixed to 0."""
    matrix = curvature_matrix + regularization_matrix
    solve = solve_positive if positive else solve_unconstrained
    return System(
        curvature_matrix,
        data_vector,
        regularization_matrix,
        jnp.linalg.cholesky(matrix, symmetrize_input=False),
        solve(matrix, data_vector, allowed),
        log_det_regularization,
    )


@partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def log_evidence_minus_null(
    operator: AbstractNormalOperator,
    indices,
    weights,
    regularization_matrix,
    log_det_regularization,
    allowed,
    n_source: int,
    positive: bool,
):
    """ln E - ln E_null as a function that JAX can differentiate.

    Args:
        operator: the normal operator (N pixels); constant under differentiation.
        indices, weights: the mapper's entries, shape (N, P).
        regularization_matrix: H, shape (S, S).
        log_det_regularization: ln det H.
        allowed: boolean, shape (S,), False where the source is fixed to 0.
        n_source: S.
        positive: whether s >= 0.

    Returns:
        The value; NaN where the positive solver did not converge.
    """
    return _forward(
        operator, indices, weights, regularization_matrix, log_det_regularization, allowed, n_source, positive
    )[0]


def assemble(operator, indices, weights, regularization, log_det_regularization, allowed, n_source, positive):
    """(System, L, T) of a mapper: the chain from the mapper's entries to the solved system."""
    lensing_operator = dense_lensing_operator(indices, weights, n_source)
    transformed = operator.transform(lensing_operator)
    system = solve_system(
        operator.curvature(lensing_operator, transformed),
        lensing_operator.T @ operator.dirty_image,
        regularization,
        log_det_regularization,
        allowed,
        positive,
    )
    return system, lensing_operator, transformed


def _forward(operator, indices, weights, regularization, log_det_regularization, allowed, n_source, positive):
    system, _, transformed = assemble(
        operator, indices, weights, regularization, log_det_regularization, allowed, n_source, positive
    )
    # a source that was not found has no evidence: searches count such points and never accept them
    value = jnp.where(system.solution.converged, system.log_evidence_minus_null, jnp.nan)
    return value, (operator, indices, transformed, system)


def _backward(n_source, positive, residuals, cotangent):
    operator, indices, transformed, system = residuals
    s = system.solution.source
    matrix_bar = -0.5 * (jnp.outer(s, s) + system.inverse())
    product = 2.0 * operator.pullback(transformed, matrix_bar)
    rows = jnp.arange(indices.shape[0])[:, None]
    weights_bar = product[rows, indices] + operator.dirty_image[:, None] * s[indices]
    return None, None, cotangent * weights_bar, cotangent * matrix_bar, 0.5 * cotangent, None


log_evidence_minus_null.defvjp(_forward, _backward)
