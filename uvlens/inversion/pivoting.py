"""Block principal pivoting on a CPU: min 1/2 s^T A s - D^T s, s >= 0, decomposing the passive set only.

Each step solves on the passive set (s free, gradient zero) and reads the gradient A s - D on the active set
(s = 0); every index with the wrong sign changes sides (Portugal, Judice & Vicente 1994; Kim & Park 2011). A step is
progress if fewer signs are wrong than ever before, or if s >= 0 and its objective is lower than that of every such
source before. After three steps without, only the largest wrong index moves, which is certain to end; a solver that
has not ended after `max_steps` steps hands over to Lawson & Hanson's.

The first steps change hundreds of indices, the last ones a few: those reuse the last decomposition (`PassiveSet`).

Matrices are lower triangles in C order (the upper ones in the Fortran order of LAPACK), of unit diagonal.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize
from scipy.linalg.blas import dsymv
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs

GRADIENT_TOLERANCE = 1e-12
"""Of the gradient on the active set, in units of max |D|."""
RESIDUAL_TOLERANCE = 1e-11
"""Of the gradient on the passive set; above it the solution is refined once more."""
PATIENCE = 3
_MOST_CHANGES = 96
"""Indices by which a passive set may differ from the decomposed one."""


class HostSolution(NamedTuple):
    """A source and the proof that it solves the problem (see `positive.Solution`)."""

    source: np.ndarray
    passive: np.ndarray
    residual: float
    n_factorizations: int
    converged: bool


def free_minimum(matrix, vector, allowed, cholesky=None):
    """The unconstrained minimum on the allowed indices, 0 elsewhere."""
    solver = PassiveSet(matrix, cholesky)
    if not solver.decompose(allowed):
        return HostSolution(np.zeros_like(vector), allowed, np.inf, 1, False)
    source, gradient = _solve(matrix, vector, allowed, solver.solve, always_refine=True)
    residual = _certificate(vector, gradient, allowed, allowed)
    return HostSolution(source, allowed, residual, solver.n_factorizations, True)


def positive_minimum(matrix, vector, allowed, max_steps=200, start=None, cholesky=None):
    """The minimum with s >= 0 on the allowed indices, 0 elsewhere.

    Args:
        matrix: A, lower triangle, unit diagonal, shape (S, S).
        vector: D, shape (S,).
        allowed: boolean, shape (S,).
        max_steps: before the hand-over.
        start: passive set to begin with; None begins with the signs of the unconstrained minimum.
        cholesky: lower factor of A (upper in Fortran order) if it is known: the first solve is then free.
    """
    if not (np.all(np.isfinite(vector)) and np.all(np.isfinite(np.diagonal(matrix)))):
        return HostSolution(np.zeros_like(vector), allowed, np.inf, 0, False)
    tolerance = GRADIENT_TOLERANCE * np.max(np.abs(vector), initial=0.0)
    passive = allowed.copy() if start is None else allowed & start
    fewest, lowest, patience = len(vector) + 1, np.inf, PATIENCE
    solver = PassiveSet(matrix, cholesky)
    for _ in range(max_steps):
        if not solver.move_to(passive):
            break
        source, gradient = _solve(matrix, vector, passive, solver.solve)
        wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        if not wrong.any():  # the certificate comes from a decomposition of just this set, and is refined
            if not solver.decompose(passive):
                break
            source, gradient = _solve(matrix, vector, passive, solver.solve, always_refine=True)
            wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        count = np.count_nonzero(wrong)
        if count == 0:
            residual = _certificate(vector, gradient, passive, allowed)
            return HostSolution(source, passive, residual, solver.n_factorizations, True)
        objective = -0.5 * vector @ source if not np.any(wrong & passive) else np.inf
        patience = PATIENCE if count < fewest or objective < lowest else patience - 1
        fewest, lowest = min(count, fewest), min(objective, lowest)
        if patience < 0:
            wrong = np.arange(len(vector)) == np.flatnonzero(wrong)[-1]
        passive = passive ^ wrong
    return _lawson_hanson(matrix, vector, allowed, solver.n_factorizations)


class PassiveSet:
    """Solves A_PP x = b for a set P that changes, from the decomposition of one set P0 near it.

    With B = [A_0a, E_r] for the indices a added to P0 and r removed from it, and A_00 = U^T U, Y = U^-T B,

        (C - Y^T Y) w = c - Y^T U^-T b_0,   x_0 = U^-1 (U^-T b_0 - Y w),   C = [[A_aa, 0], [0, 0]],   c = [b_a, 0]

    where w holds x on the added indices and the multipliers that keep the removed ones at 0.

    Attributes:
        n_factorizations: decompositions so far.
    """

    def __init__(self, matrix, cholesky=None):
        self.matrix = matrix
        self.n_factorizations = 0
        self.base = None
        if cholesky is not None:
            self._set_base(np.ones(len(matrix), bool), cholesky.T)

    def _set_base(self, passive, factor):
        self.base, self.indices, self.factor = passive, np.flatnonzero(passive), factor
        self.n_factorizations += 1
        self.known = {}
        self.changed = np.empty(0, int)

    def decompose(self, passive):
        """Make `passive` the base, whatever it was; False where A_PP is not positive definite."""
        if self.base is not None and np.array_equal(passive, self.base):
            self.changed = np.empty(0, int)
            return True
        free = np.flatnonzero(passive)
        factor = np.zeros((0, 0))
        if len(free):
            factor, info = dpotrf(lower_part(self.matrix, free).T, lower=0, overwrite_a=1, clean=0)
            if info:
                return False
        self._set_base(passive.copy(), factor)
        return True

    def move_to(self, passive):
        """Prepare to solve on `passive`; False where A_PP is not positive definite."""
        if self.base is None:
            return self.decompose(passive)
        changed = np.flatnonzero(passive != self.base)
        if len(changed) > min(_MOST_CHANGES, len(self.indices) // 6):
            return self.decompose(passive)
        self.changed, self.added = changed, passive[changed]
        if len(changed) == 0:
            return True
        new = [i for i in changed if i not in self.known]
        if new:
            right = np.zeros((len(self.indices), len(new)), order="F")
            for k, i in enumerate(new):
                if passive[i]:
                    right[:, k] = row_of(self.matrix, i)[self.indices]
                else:
                    right[np.searchsorted(self.indices, i), k] = 1.0
            half = dtrtrs(self.factor, right, lower=0, trans=1)[0]
            self.known.update(zip(new, half.T))
        self.half = np.array([self.known[i] for i in changed]).T
        small = -self.half.T @ self.half
        added = np.flatnonzero(self.added)
        if len(added):
            corner = lower_part(self.matrix, changed[added])
            small[np.ix_(added, added)] += np.tril(corner) + np.tril(corner, -1).T
        try:
            self.small = scipy.linalg.lu_factor(small, check_finite=False)
        except (scipy.linalg.LinAlgError, ValueError):
            return self.decompose(passive)
        return True

    def solve(self, vector):
        """x on the passive set, 0 elsewhere, for b of shape (S,)."""
        x = np.zeros(len(vector))
        if len(self.indices) == 0:
            return x
        if len(self.changed) == 0:
            x[self.indices] = dpotrs(self.factor, vector[self.indices], lower=0)[0]
            return x
        y = dtrtrs(self.factor, vector[self.indices], lower=0, trans=1)[0]
        right = np.where(self.added, vector[self.changed], 0.0) - self.half.T @ y
        w = scipy.linalg.lu_solve(self.small, right, check_finite=False)
        x[self.indices] = dtrtrs(self.factor, y - self.half @ w, lower=0)[0]
        x[self.changed] = np.where(self.added, w, 0.0)
        return x


def _wrong_signs(source, gradient, passive, allowed, tolerance):
    return np.where(passive, source < 0.0, allowed & (gradient < -tolerance))


def _solve(matrix, vector, passive, solve, always_refine=False):
    """(s, A s - D) with s solved on the passive set, refined where the residual there asks for it."""
    source = solve(vector)
    gradient = dsymv(1.0, matrix.T, source, lower=0) - vector
    largest = np.max(np.abs(vector), initial=0.0)
    if always_refine or not np.max(np.abs(gradient[passive]), initial=0.0) <= RESIDUAL_TOLERANCE * largest:
        source -= solve(np.where(passive, gradient, 0.0))
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
    solver = PassiveSet(matrix)
    if not solver.decompose(passive):
        return failed
    source, gradient = _solve(matrix, vector, passive, solver.solve, always_refine=True)
    residual = _certificate(vector, gradient, passive, allowed)
    right = bool(np.all(source >= 0.0)) and residual <= 100.0 * GRADIENT_TOLERANCE
    return HostSolution(source, passive, residual, steps, right)


def lower_part(matrix, chosen):
    """Lower triangle of A[chosen][:, chosen], `chosen` ascending."""
    return matrix[np.ix_(chosen, chosen)]


def row_of(matrix, i):
    """Row i of the symmetric A, of which the lower triangle is given."""
    return np.concatenate([matrix[i, :i], matrix[i:, i]])
