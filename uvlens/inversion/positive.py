"""The source that minimises 1/2 s^T A s - D^T s subject to s >= 0, by block principal pivoting, with a certificate.

Each step solves on the passive set (s free, gradient zero) and reads the gradient A s - D on the active set
(s = 0); every index with the wrong sign changes sides. When the number of wrong signs has not fallen three times
running, only the largest such index moves, which is certain to end (Portugal, Judice & Vicente 1994; Kim & Park
2011).

Two implementations of the same steps: on a CPU, SciPy on the passive set alone (its size changes from step to step);
elsewhere, fixed shapes with the active rows and columns replaced by those of the identity.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.optimize
from jaxtyping import Array, Bool, Float, Int
from threadpoolctl import ThreadpoolController

_GRADIENT_TOLERANCE = 1e-12
_PATIENCE = 3


class Solution(NamedTuple):
    """A source and the proof that it solves the problem.

    Attributes:
        source: s, shape (S,), exactly >= 0 if positivity was asked for.
        kkt_residual: the larger of max |A s - D| where s is free and max(D - A s) where s is held at 0, over max |D|.
        n_factorizations: Cholesky decompositions used.
        converged: whether every sign is right.
    """

    source: Float[Array, " S"]
    kkt_residual: Float[Array, ""]
    n_factorizations: Int[Array, ""]
    converged: Bool[Array, ""]


class _State(NamedTuple):
    passive: Bool[Array, " S"]
    source: Float[Array, " S"]
    wrong: Bool[Array, " S"]
    fewest_wrong: Int[Array, ""]
    patience: Int[Array, ""]
    steps: Int[Array, ""]


def solve_unconstrained(matrix, vector, allowed):
    """Solution of A s = D on the allowed indices (boolean, shape (S,)), 0 elsewhere."""
    source = _solve_on(matrix, vector, allowed)
    return Solution(source, _kkt(matrix, vector, source, allowed, positive=False), jnp.array(1), jnp.array(True))


def solve_positive(matrix, vector, allowed, max_factorizations=100):
    """Solution with s >= 0 on the allowed indices, 0 elsewhere.

    Args:
        matrix: A, symmetric positive definite, shape (S, S).
        vector: D, shape (S,).
        allowed: boolean, shape (S,); False fixes s to 0.
        max_factorizations: after that many, a CPU falls back on Lawson & Hanson's algorithm; elsewhere the solver
            gives up (converged = False).
    """
    scale = jnp.diagonal(matrix) ** -0.5
    source, passive, steps, converged = jax.lax.platform_dependent(
        matrix * scale[:, None] * scale,
        vector * scale,
        allowed,
        cpu=lambda *arguments: _pivot_on_host(*arguments, max_factorizations),
        default=lambda *arguments: _pivot_on_device(*arguments, max_factorizations),
    )
    source = source * scale
    residual = _kkt(matrix, vector, source, passive, positive=True, allowed=allowed)
    return Solution(source, residual, steps, converged)


def _pivot_on_device(matrix, vector, allowed, max_factorizations):
    """(source, passive, steps, converged) for a matrix of unit diagonal, in fixed shapes."""
    tolerance = _GRADIENT_TOLERANCE * jnp.max(jnp.abs(vector))
    n = len(vector)

    def attempt(passive, steps, fewest, patience):
        source = _solve_on(matrix, vector, passive)
        gradient = matrix @ source - vector
        wrong = jnp.where(passive, source < 0.0, allowed & (gradient < -tolerance))
        return _State(passive, source, wrong, fewest, patience, steps + 1)

    def step(state):
        count = jnp.sum(state.wrong)
        fell = count < state.fewest_wrong
        patience = jnp.where(fell, _PATIENCE, state.patience - 1)
        largest = n - 1 - jnp.argmax(state.wrong[::-1])
        move = jnp.where(patience >= 0, state.wrong, jnp.arange(n) == largest)
        return attempt(state.passive ^ move, state.steps, jnp.minimum(count, state.fewest_wrong), patience)

    def unfinished(state):
        return jnp.any(state.wrong) & (state.steps < max_factorizations)

    start = attempt(allowed, jnp.array(0), jnp.array(n + 1), jnp.array(_PATIENCE))
    final = jax.lax.while_loop(unfinished, step, start)
    converged = ~jnp.any(final.wrong) & jnp.all(jnp.isfinite(final.source))
    return jnp.maximum(final.source, 0.0), final.passive, final.steps, converged


def _pivot_on_host(matrix, vector, allowed, max_factorizations):
    """The same through a callback into SciPy."""
    shapes = (
        jax.ShapeDtypeStruct(vector.shape, vector.dtype),
        jax.ShapeDtypeStruct(allowed.shape, allowed.dtype),
        jax.ShapeDtypeStruct((), jnp.asarray(0).dtype),
        jax.ShapeDtypeStruct((), bool),
    )

    def call(*arguments):
        arrays = [np.asarray(argument) for argument in arguments]
        with _blas_threads().limit(limits=1, user_api="blas"):
            source, passive, steps, converged = pivot_dynamic(*arrays, max_factorizations)
        return source, passive, np.asarray(steps, shapes[2].dtype), np.asarray(converged)

    return jax.pure_callback(call, shapes, matrix, vector, allowed, vmap_method="sequential")


@functools.cache
def _blas_threads():
    """Handle on SciPy's BLAS: at these sizes (a few hundred) a second thread costs twice what it gains."""
    return ThreadpoolController()


def pivot_dynamic(matrix, vector, allowed, max_factorizations):
    """(source, passive, steps, converged) for a NumPy matrix of unit diagonal, decomposing the passive set only."""
    tolerance = _GRADIENT_TOLERANCE * np.max(np.abs(vector))
    passive, source = allowed.copy(), np.zeros_like(vector)
    fewest, patience = len(vector) + 1, _PATIENCE
    if not (np.all(np.isfinite(matrix)) and np.all(np.isfinite(vector))):
        return source, passive, 0, False
    for steps in range(1, max_factorizations + 1):
        free = np.flatnonzero(passive)
        source[:] = 0.0
        try:
            source[free] = _refined_solve(matrix[np.ix_(free, free)], vector[free])
        except scipy.linalg.LinAlgError:
            return source, passive, steps, False
        gradient = matrix[:, free] @ source[free] - vector
        wrong = np.where(passive, source < 0.0, allowed & (gradient < -tolerance))
        count = np.count_nonzero(wrong)
        if count == 0:
            return source, passive, steps, True
        patience = _PATIENCE if count < fewest else patience - 1
        fewest = min(count, fewest)
        if patience < 0:
            wrong = np.arange(len(vector)) == np.flatnonzero(wrong)[-1]
        passive = passive ^ wrong
    return _lawson_hanson(matrix, vector, allowed, tolerance, max_factorizations)


def _lawson_hanson(matrix, vector, allowed, tolerance, steps):
    """The same by SciPy's one-index-at-a-time solver: slow, but it ends on nearly singular matrices too."""
    free = np.flatnonzero(allowed)
    root = scipy.linalg.cholesky(matrix[np.ix_(free, free)])
    target = scipy.linalg.solve_triangular(root, vector[free], trans="T")
    source = np.zeros_like(vector)
    try:
        source[free] = scipy.optimize.nnls(root, target)[0]
    except RuntimeError:  # its own limit on iterations
        return source, allowed, steps, False
    passive = source > 0.0
    refined = _refined_solve(matrix[np.ix_(passive, passive)], vector[passive])
    if np.all(refined >= 0.0):
        source[passive] = refined
    gradient = matrix @ source - vector
    right = np.all(
        np.where(passive, np.abs(gradient) <= 100.0 * tolerance, ~allowed | (gradient >= -100.0 * tolerance))
    )
    return source, passive, steps, bool(right)


def _refined_solve(matrix, vector):
    factor = scipy.linalg.cho_factor(matrix, lower=True, check_finite=False)
    source = scipy.linalg.cho_solve(factor, vector, check_finite=False)
    return source + scipy.linalg.cho_solve(factor, vector - matrix @ source, check_finite=False)


def _solve_on(matrix, vector, chosen):
    """s with A s = D on the chosen indices and 0 elsewhere, refined once."""
    both = chosen[:, None] & chosen
    masked = jnp.where(both, matrix, jnp.eye(len(vector), dtype=matrix.dtype))
    cholesky = jnp.linalg.cholesky(masked, symmetrize_input=False)
    right = jnp.where(chosen, vector, 0.0)
    source = jax.scipy.linalg.cho_solve((cholesky, True), right)
    return source + jax.scipy.linalg.cho_solve((cholesky, True), right - masked @ source)


def _kkt(matrix, vector, source, passive, *, positive, allowed=None):
    gradient = matrix @ source - vector
    residual = jnp.max(jnp.where(passive, jnp.abs(gradient), 0.0))
    if positive:
        residual = jnp.maximum(residual, jnp.max(jnp.where(allowed & ~passive, -gradient, 0.0)))
    largest = jnp.max(jnp.abs(vector))
    return residual / jnp.where(largest > 0.0, largest, 1.0)
