"""Linear systems A s = D on changing sets of indices, decomposed as rarely as can be."""

import abc
from collections.abc import Callable

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsymv
from scipy.linalg.lapack import dpotrf, dpotrs

_MOST_CHANGES = 96
"""Indices by which a set may differ from the decomposed one."""


class System(abc.ABC):
    """A s = D with A symmetric positive definite, of unit diagonal; `vector` is D, shape (S,)."""

    vector: np.ndarray

    @abc.abstractmethod
    def decompose(self, indices):
        """Function b -> A_PP^-1 b for b of shape (m,) or (m, k); None where A_PP is not positive definite."""

    @abc.abstractmethod
    def rows(self, chosen, columns):
        """A[chosen][:, columns]."""

    @abc.abstractmethod
    def gradient(self, source):
        """A s - D."""


class DenseSystem(System):
    """A given as a lower triangle in C order (the upper one in the Fortran order of LAPACK).

    Args:
        matrix: A, shape (S, S).
        vector: D, shape (S,).
        cholesky: lower factor of A in C order, if it is known.
    """

    def __init__(self, matrix, vector, cholesky=None):
        self.matrix, self.vector, self.cholesky = matrix, vector, cholesky

    def decompose(self, indices):
        if self.cholesky is not None and len(indices) == len(self.vector):
            factor = self.cholesky.T
        elif len(indices) == 0:
            return lambda right: right
        else:
            factor, info = dpotrf(self.matrix[np.ix_(indices, indices)].T, lower=0, overwrite_a=1, clean=0)
            if info:
                return None
        return lambda right: dpotrs(factor, right, lower=0)[0]

    def rows(self, chosen, columns):
        full = [np.concatenate([self.matrix[i, :i], self.matrix[i:, i]])[columns] for i in chosen]
        return np.array(full).reshape(len(chosen), len(columns))

    def gradient(self, source):
        return dsymv(1.0, self.matrix.T, source, lower=0) - self.vector


class PassiveSet:
    """Solves A_PP x = b for a set P that changes, from the decomposition of one set P0 near it.

    With B = [A_0a, E_r] for the indices a added to P0 and r removed from it, and V = A_00^-1 B,

        (C - B^T V) w = c - B^T A_00^-1 b_0,   x_0 = A_00^-1 b_0 - V w,   C = [[A_aa, 0], [0, 0]],   c = [b_a, 0]

    where w holds x on the added indices and the multipliers that keep the removed ones at 0.

    Attributes:
        n_factorizations: decompositions so far.
    """

    def __init__(self, system: System):
        self.system = system
        self.n_factorizations = 0
        self.base = None
        self.inverse: Callable = np.zeros_like

    def decompose(self, passive):
        """Make `passive` the base, unless it is; False where A_PP is not positive definite."""
        self.changed = np.empty(0, int)
        if self.base is not None and np.array_equal(passive, self.base):
            return True
        self.n_factorizations += 1
        self.indices = np.flatnonzero(passive)
        self.base, self.known = passive.copy(), {}
        inverse = self.system.decompose(self.indices)
        if inverse is None:
            self.base = None  # `inverse` belongs to the set before: nothing may be solved with it
            return False
        self.inverse = inverse
        return True

    def move_to(self, passive):
        """Prepare to solve on `passive`; False where A_PP is not positive definite."""
        if self.base is None:
            return self.decompose(passive)
        changed = np.flatnonzero(passive != self.base)
        if len(changed) > min(_MOST_CHANGES, len(self.indices) // 6):
            return self.decompose(passive)
        self.changed = changed
        if len(changed) == 0:
            return True
        self._learn([i for i in changed if i not in self.known])
        border, self.solved = (np.array(columns) for columns in zip(*(self.known[i] for i in changed)))
        self.border, self.added = border, passive[changed]
        small = -border @ self.solved.T
        added = np.flatnonzero(self.added)
        if len(added):
            small[np.ix_(added, added)] += self.system.rows(changed[added], changed[added])
        try:
            self.small = scipy.linalg.lu_factor(small, check_finite=False)
        except (scipy.linalg.LinAlgError, ValueError):
            return self.decompose(passive)
        return True

    def _learn(self, new):
        """Columns of B and of V for indices that were not met since the last decomposition."""
        if not new:
            return
        base = self.base
        assert base is not None  # something was decomposed before anything can differ from it
        outside = [i for i in new if not base[i]]
        border = dict(zip(outside, self.system.rows(outside, self.indices)))
        for i in new:
            if base[i]:
                border[i] = np.zeros(len(self.indices))
                border[i][np.searchsorted(self.indices, i)] = 1.0
        columns = np.array([border[i] for i in new])
        solved = self.inverse(np.asfortranarray(columns.T)).T
        self.known.update({i: (b, v) for i, b, v in zip(new, columns, solved)})

    def solve(self, vector):
        """x on the passive set, 0 elsewhere, for b of shape (S,)."""
        x = np.zeros(len(vector))
        base = self.inverse(vector[self.indices])
        if len(self.changed) == 0:
            x[self.indices] = base
            return x
        right = np.where(self.added, vector[self.changed], 0.0) - self.border @ base
        w = scipy.linalg.lu_solve(self.small, right, check_finite=False)
        x[self.indices] = base - w @ self.solved
        x[self.changed] = np.where(self.added, w, 0.0)
        return x
