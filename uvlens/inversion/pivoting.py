"""Block principal pivoting on a CPU: min 1/2 s^T A s - D^T s, s >= 0, decomposing the passive set only.

Each step solves on the passive set (s free, gradient zero) and reads the gradient A s - D on the active set
(s = 0); every index with the wrong sign changes sides (Portugal, Judice & Vicente 1994; Kim & Park 2011). A step is
progress if fewer signs are wrong than ever before, or if s >= 0 and its objective is lower than that of every such
source before. After three steps without, only the largest wrong index moves, which is certain to end.

The first steps change hundreds of indices, the last ones a few: those reuse the last decomposition (`PassiveSet`).
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.optimize

from .passive import DenseSystem, PassiveSet, System

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


def free_minimum(system: System, allowed, solver=None):
    """The unconstrained minimum on the allowed indices (boolean, shape (S,)), 0 elsewhere; `solver` as below."""
    solver = PassiveSet(system) if solver is None else solver
    if not solver.decompose(allowed):
        return _failed(system, allowed, 1)
    source, gradient = _solve(solver, system, allowed, always_refine=True)
    return HostSolution(source, allowed, _certificate(system.vector, gradient, allowed, allowed), 1, True)


def positive_minimum(system: System, allowed, start=None, max_steps=200, solver=None):
    """The minimum with s >= 0 on the allowed indices, 0 elsewhere; not converged after `max_steps`.

    Args:
        system: A s = D.
        allowed: boolean, shape (S,).
        start: passive set to begin with; None begins with the signs of the unconstrained minimum.
        max_steps: sets that are tried.
        solver: PassiveSet of the same A, whose last decomposition is taken over and which is left with its own.
    """
    vector = system.vector
    if not np.all(np.isfinite(vector)):
        return _failed(system, allowed, 0)
    tolerance = GRADIENT_TOLERANCE * np.max(np.abs(vector), initial=0.0)
    passive = allowed.copy() if start is None else allowed & start
    fewest, lowest, patience = len(vector) + 1, np.inf, PATIENCE
    solver = PassiveSet(system) if solver is None else solver
    n_before = solver.n_factorizations
    for _ in range(max_steps):
        if not solver.move_to(passive):
            break
        source, gradient = _solve(solver, system, passive)
        wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        if not wrong.any():  # the certificate comes from a decomposition of just this set, and is refined
            if not solver.decompose(passive):
                break
            source, gradient = _solve(solver, system, passive, always_refine=True)
            wrong = _wrong_signs(source, gradient, passive, allowed, tolerance)
        count = np.count_nonzero(wrong)
        if count == 0:
            residual = _certificate(vector, gradient, passive, allowed)
            return HostSolution(source, passive, residual, solver.n_factorizations - n_before, True)
        objective = -0.5 * vector @ source if not np.any(wrong & passive) else np.inf
        patience = PATIENCE if count < fewest or objective < lowest else patience - 1
        fewest, lowest = min(count, fewest), min(objective, lowest)
        if patience < 0:
            wrong = np.arange(len(vector)) == np.flatnonzero(wrong)[-1]
        passive = passive ^ wrong
    return _failed(system, allowed, solver.n_factorizations - n_before)


def lawson_hanson(system: DenseSystem, allowed):
    """The same by SciPy's one-index-at-a-time solver: slow, but it ends on nearly singular matrices too."""
    failed = _failed(system, allowed, 1)
    free = np.flatnonzero(allowed)
    full = np.tril(system.matrix) + np.tril(system.matrix, -1).T
    try:
        root = scipy.linalg.cholesky(full[np.ix_(free, free)])
        target = scipy.linalg.solve_triangular(root, system.vector[free], trans="T")
        positive = scipy.optimize.nnls(root, target)[0]
    except (scipy.linalg.LinAlgError, RuntimeError, ValueError):  # not positive definite, too many steps, not finite
        return failed
    passive = np.zeros_like(allowed)
    passive[free] = positive > 0.0
    solver = PassiveSet(system)
    if not solver.decompose(passive):
        return failed
    source, gradient = _solve(solver, system, passive, always_refine=True)
    residual = _certificate(system.vector, gradient, passive, allowed)
    right = bool(np.all(source >= 0.0)) and residual <= 100.0 * GRADIENT_TOLERANCE
    return HostSolution(source, passive, residual, 2, right)


def _wrong_signs(source, gradient, passive, allowed, tolerance):
    return np.where(passive, source < 0.0, allowed & (gradient < -tolerance))


def _solve(solver, system, passive, always_refine=False):
    """(s, A s - D) with s solved on the passive set, refined where the residual there asks for it."""
    source = solver.solve(system.vector)
    gradient = system.gradient(source)
    largest = np.max(np.abs(system.vector), initial=0.0)
    if always_refine or not np.max(np.abs(gradient[passive]), initial=0.0) <= RESIDUAL_TOLERANCE * largest:
        source -= solver.solve(np.where(passive, gradient, 0.0))
        gradient = system.gradient(source)
    return source, gradient


def _certificate(vector, gradient, passive, allowed):
    """The larger of max |A s - D| on the passive set and max(D - A s) on the active one, over max |D|."""
    residual = np.max(np.abs(gradient[passive]), initial=0.0)
    residual = max(residual, np.max(-gradient[allowed & ~passive], initial=0.0))
    largest = np.max(np.abs(vector), initial=0.0)
    return float(residual / largest) if largest > 0.0 else float(residual)


def _failed(system, allowed, n_factorizations):
    return HostSolution(np.zeros_like(system.vector), allowed, np.inf, n_factorizations, False)
