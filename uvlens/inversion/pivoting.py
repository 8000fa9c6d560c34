"""Block principal pivoting on a CPU: min 1/2 s^T A s - D^T s, s >= 0, decomposing the passive set only.

Coefficients that may be negative (`constrained` False: the sky behind a galaxy, a column whose prior is exact) are
always in the passive set.

Each step solves on the passive set (s free, gradient zero) and reads the gradient A s - D on the active set
(s = 0); every index with the wrong sign changes sides (Portugal, Judice & Vicente 1994; Kim & Park 2011). A step is
progress if fewer signs are wrong than ever before, or if s >= 0 and its objective is lower than that of every such
source before. After three steps without, only the largest wrong index moves, which is certain to end, but may take
long where columns depend on one another (Gaussians of many widths): after twelve such moves without progress the source
is found by projected Newton steps instead, which lower the objective each time.

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
SINGLE_MOVES = 12
"""Moves of one index without progress after which pivoting gives up."""
DESCENT_STEPS = 100
_ROUNDING_STEPS = 5
SUFFICIENT = 1e-4
"""Of the decrease that a straight line predicts, what a projected step must reach (Armijo's rule)."""


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


def positive_minimum(system: System, allowed, start=None, max_steps=200, solver=None, constrained=None):
    """The minimum with s >= 0 on the allowed indices, 0 elsewhere; not converged after `max_steps`.

    Args:
        system: A s = D.
        allowed: boolean, shape (S,).
        start: passive set to begin with; None begins with the signs of the unconstrained minimum.
        max_steps: sets that are tried.
        solver: PassiveSet of the same A, whose last decomposition is taken over and which is left with its own.
        constrained: boolean, shape (S,), where s >= 0 is asked for; None: everywhere.
    """
    vector = system.vector
    if not np.all(np.isfinite(vector)):
        return _failed(system, allowed, 0)
    tolerance = GRADIENT_TOLERANCE * np.max(np.abs(vector), initial=0.0)
    constrained = np.ones_like(allowed) if constrained is None else constrained
    passive = allowed.copy() if start is None else allowed & (start | ~constrained)
    fewest, lowest, patience = len(vector) + 1, np.inf, PATIENCE
    solver = PassiveSet(system) if solver is None else solver
    n_before = solver.n_factorizations
    for _ in range(max_steps):
        if not solver.move_to(passive):
            break
        source, gradient = _solve(solver, system, passive)
        wrong = _wrong_signs(source, gradient, passive, allowed, constrained, tolerance)
        if not wrong.any():  # the certificate comes from a decomposition of just this set, and is refined
            if not solver.decompose(passive):
                break
            source, gradient = _solve(solver, system, passive, always_refine=True)
            wrong = _wrong_signs(source, gradient, passive, allowed, constrained, tolerance)
        count = np.count_nonzero(wrong)
        if count == 0:
            residual = _certificate(vector, gradient, passive, allowed)
            return HostSolution(source, passive, residual, solver.n_factorizations - n_before, True)
        objective = -0.5 * vector @ source if not np.any(wrong & passive) else np.inf
        patience = PATIENCE if count < fewest or objective < lowest else patience - 1
        fewest, lowest = min(count, fewest), min(objective, lowest)
        if patience < -SINGLE_MOVES:
            break
        if patience < 0:
            wrong = np.arange(len(vector)) == np.flatnonzero(wrong)[-1]
        passive = passive ^ wrong
    return _failed(system, allowed, solver.n_factorizations - n_before)


def projected_newton(system: System, allowed, constrained=None, max_steps=DESCENT_STEPS):
    """The same by Newton steps on the indices that are positive or would become so, cut off at 0 (Bertsekas 1982).

    Steps are halved until the objective falls as it should, so that it ends where pivoting runs in circles; near the
    solution steps are whole, and the last one solves on its passive set.
    """
    vector = system.vector
    if not np.all(np.isfinite(vector)):
        return _failed(system, allowed, 0)
    constrained = np.ones_like(allowed) if constrained is None else constrained
    tolerance = GRADIENT_TOLERANCE * np.max(np.abs(vector), initial=0.0)
    solver, source, gradient, value = PassiveSet(system), np.zeros_like(vector), -vector, 0.0
    for _ in range(max_steps):
        passive = allowed & (~constrained | (source > 0.0) | (gradient < -tolerance))
        if not solver.move_to(passive):
            break
        target, at_target = _solve(solver, system, passive)
        if not _wrong_signs(target, at_target, passive, allowed, constrained, tolerance).any():
            if not solver.decompose(passive):
                break
            target, at_target = _solve(solver, system, passive, always_refine=True)
            if not _wrong_signs(target, at_target, passive, allowed, constrained, tolerance).any():
                residual = _certificate(vector, at_target, passive, allowed)
                return HostSolution(target, passive, residual, solver.n_factorizations, True)
        fraction, before = 1.0, source
        while fraction > 1e-15:
            source = before + fraction * (target - before)
            source = np.where(constrained, np.maximum(source, 0.0), source)
            at_source = system.gradient(source)
            lower = 0.5 * source @ (at_source - vector)
            if lower <= value + SUFFICIENT * gradient @ (source - before):
                break
            fraction *= 0.5
        gradient, value = at_source, lower
    return _failed(system, allowed, solver.n_factorizations)


def lawson_hanson(system: DenseSystem, allowed, constrained=None):
    """The same by SciPy's one-index-at-a-time solver: slow, but it ends on nearly singular matrices too.

    With A = R^T R, R^T t = D and the unconstrained indices first, the rows of the triangle R below theirs are all that
    is left once they are at their minimum: |R_cc s_c - t_c|^2, s_c >= 0.
    """
    failed = _failed(system, allowed, 1)
    constrained = np.ones_like(allowed) if constrained is None else constrained
    free, bound = np.flatnonzero(allowed & ~constrained), np.flatnonzero(allowed & constrained)
    order = np.concatenate([free, bound])
    full = np.tril(system.matrix) + np.tril(system.matrix, -1).T
    try:
        root, target = _root(full[np.ix_(order, order)], system.vector[order])
        positive = scipy.optimize.nnls(root[len(free) :, len(free) :], target[len(free) :])[0]
    except (scipy.linalg.LinAlgError, RuntimeError, ValueError):  # too many steps, not finite
        return failed
    passive = np.zeros_like(allowed)
    passive[free] = True
    passive[bound] = positive > 0.0
    solver, tolerance = PassiveSet(system), 100.0 * GRADIENT_TOLERANCE * np.max(np.abs(system.vector), initial=0.0)
    for _ in range(_ROUNDING_STEPS):
        if not solver.decompose(passive):
            return failed
        source, gradient = _solve(solver, system, passive, always_refine=True)
        wrong = _wrong_signs(source, gradient, passive, allowed, constrained, tolerance)
        if not wrong.any():
            residual = _certificate(system.vector, gradient, passive, allowed)
            return HostSolution(source, passive, residual, 2, residual <= 100.0 * GRADIENT_TOLERANCE)
        passive = passive ^ wrong  # what rounding left a hair on the wrong side
    return failed


def stubborn_minimum(system: DenseSystem, allowed, constrained=None):
    """The same where pivoting gave up: by projected Newton steps, then by Lawson and Hanson's algorithm."""
    found = projected_newton(system, allowed, constrained)
    return found if found.converged else lawson_hanson(system, allowed, constrained)


def _root(matrix, vector):
    """(R, t) with R upper triangular, R^T R = A and R^T t = D; of a singular A what is not null of it."""
    try:
        root = scipy.linalg.cholesky(matrix)
        return root, scipy.linalg.solve_triangular(root, vector, trans="T")
    except scipy.linalg.LinAlgError:
        values, vectors = scipy.linalg.eigh(matrix)
        kept = values > len(values) * np.finfo(float).eps * values[-1]
        roots, vectors = np.sqrt(values[kept]), vectors[:, kept]
        rotation, root = scipy.linalg.qr(roots[:, None] * vectors.T, mode="economic")
        return root, rotation.T @ ((vectors.T @ vector) / roots)


def _wrong_signs(source, gradient, passive, allowed, constrained, tolerance):
    return np.where(passive, constrained & (source < 0.0), allowed & (gradient < -tolerance))


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
