"""Block principal pivoting on a CPU: min 1/2 s^T A s - D^T s, s >= 0, decomposing the passive set only.

Each step solves on the passive set (s free, gradient zero) and reads the gradient A s - D on the active set
(s = 0); every index with the wrong sign changes sides. When the number of wrong signs has not fallen three times
running, only the largest such index moves, which is certain to end (Portugal, Judice & Vicente 1994; Kim & Park
2011). A solver that has not ended after `max_factorizations` hands over to Lawson & Hanson's.

Matrices are lower triangles in C order (the upper ones in the Fortran order of LAPACK), of unit diagonal.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
from scipy.linalg.blas import dsymv
from scipy.linalg.lapack import dpotrf, dpotrs

GRADIENT_TOLERANCE = 1e-12
"""Of the gradient on the active set, in units of max |D|."""
RESIDUAL_TOLERANCE = 1e-11
"""Of the gradient on the passive set; above it the solution is refined once more."""
PATIENCE = 3


class HostSolution(NamedTuple):
    """A source and the proof that it solves the problem (see `positive.Solution`)."""

    source: np.ndarray
    passive: np.ndarray
    residual: float
    n_factorizations: int
    converged: bool


def free_minimum(matrix, vector, allowed, cholesky=None):
    """The unconstrained minimum on the allowed indices, 0 elsewhere."""
    if cholesky is None or not allowed.all():
        solve = _factorized(matrix, np.flatnonzero(allowed))
    else:
        solve = _with_factor(cholesky)
    if solve is None:
        return HostSolution(np.zeros_like(vector), allowed, np.inf, 1, False)
    source, gradient = _solve(matrix, vector, allowed, solve, always_refine=True)
    return HostSolution(source, allowed, _certificate(vector, gradient, allowed, allowed), 1, True)


def positive_minimum(matrix, vector, allowed, max_factorizations=100, start=None, cholesky=None):
    """The minimum with s >= 0 on the allowed indices, 0 elsewhere.

    Args:
        matrix: A, lower triangle, unit diagonal, shape (S, S).
        vector: D, shape (S,).
        allowed: boolean, shape (S,).
        max_factorizations: before the hand-over.
        start: passive set to begin with; None begins with the signs of the unconstrained minimum.
        cholesky: lower factor of A (upper in Fortran order) if it is known: the first solve is then free.
    """
    if not (np.all(np.isfinite(vector)) and np.all(np.isfinite(np.diagonal(matrix)))):
        return HostSolution(np.zeros_like(vector), allowed, np.inf, 0, False)
    tolerance = GRADIENT_TOLERANCE * np.max(np.abs(vector), initial=0.0)
    passive = allowed.copy() if start is None else allowed & start
    fewest, patience = len(vector) + 1, PATIENCE
    for steps in range(1, max_factorizations + 1):
        if cholesky is not None and passive.all():
            solve = _with_factor(cholesky)
        else:
            solve = _factorized(matrix, np.flatnonzero(passive))
        if solve is None:
            break
        source, gradient = _solve(matrix, vector, passive, solve)
        wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        if not wrong.any():
            source, gradient = _solve(matrix, vector, passive, solve, always_refine=True)
            wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        count = np.count_nonzero(wrong)
        if count == 0:
            return HostSolution(source, passive, _certificate(vector, gradient, passive, allowed), steps, True)
        patience = PATIENCE if count < fewest else patience - 1
        fewest = min(count, fewest)
        if patience < 0:
            wrong = np.arange(len(vector)) == np.flatnonzero(wrong)[-1]
        passive = passive ^ wrong
    return _lawson_hanson(matrix, vector, allowed, max_factorizations)


def _wrong_signs(source, gradient, passive, allowed, tolerance):
    return np.where(passive, source < 0.0, allowed & (gradient < -tolerance))


def _with_factor(cholesky):
    return lambda vector: dpotrs(cholesky.T, vector, lower=0)[0]


def _factorized(matrix, free):
    """Function that solves A_PP x = b on the passive set, None where A_PP is not positive definite."""
    if len(free) == 0:
        return lambda vector: vector
    part = matrix[np.ix_(free, free)]
    factor, info = dpotrf(part.T, lower=0, overwrite_a=1, clean=0)
    return None if info else (lambda vector: dpotrs(factor, vector, lower=0)[0])


def _solve(matrix, vector, passive, solve, always_refine=False):
    """(s, A s - D) with s solved on the passive set, refined where the residual there asks for it."""
    source = np.zeros_like(vector)
    source[passive] = solve(vector[passive])
    gradient = dsymv(1.0, matrix.T, source, lower=0) - vector
    largest = np.max(np.abs(vector), initial=0.0)
    if always_refine or not np.max(np.abs(gradient[passive]), initial=0.0) <= RESIDUAL_TOLERANCE * largest:
        source[passive] -= solve(gradient[passive])
        gradient = dsymv(1.0, matrix.T, source, lower=0) - vector
    return source, gradient


def _certificate(vector, gradient, passive, allowed):
    """The larger of max |A s - D| on the passive set and max(D - A s) on the active one, over max |D|."""
    residual = np.max(np.abs(gradient[passive]), initial=0.0)
    residual = max(residual, np.max(-gradient[allowed & ~passive], initial=0.0))
    largest = np.max(np.abs(vector), initial=0.0)
    return float(residual / largest) if largest > 0.0 else float(residual)


def _lawson_hanson(matrix, vector, allowed, steps):
    """The same by SciPy's one-index-at-a-time solver: slow, but it ends on nearly singular matrices too."""
    failed = HostSolution(np.zeros_like(vector), allowed, np.inf, steps, False)
    free = np.flatnonzero(allowed)
    full = np.tril(matrix) + np.tril(matrix, -1).T
    try:
        root = scipy.linalg.cholesky(full[np.ix_(free, free)])
        target = scipy.linalg.solve_triangular(root, vector[free], trans="T")
        positive = scipy.optimize.nnls(root, target)[0]
    except (scipy.linalg.LinAlgError, RuntimeError, ValueError):  # not positive definite, too many steps, not finite
        return failed
    passive = np.zeros_like(allowed)
    passive[free] = positive > 0.0
    solve = _factorized(matrix, np.flatnonzero(passive))
    if solve is None:
        return failed
    source, gradient = _solve(matrix, vector, passive, solve, always_refine=True)
    residual = _certificate(vector, gradient, passive, allowed)
    right = bool(np.all(source >= 0.0)) and residual <= 100.0 * GRADIENT_TOLERANCE
    return HostSolution(source, passive, residual, steps, right)
