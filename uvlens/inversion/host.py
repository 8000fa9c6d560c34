"""One evidence on a CPU, outside JAX: compiled sparse products, LAPACK for everything dense, one triangle of each.

The primal form: F (S x S), A = F + H, one Cholesky decomposition for ln det A and the unconstrained source, the
positive source on its passive set, and for the gradient one explicit inverse and one more product with W:

    F_bar = H_bar = -1/2 (s s^T + A^-1),   L_bar_is = 2 (W L F_bar)_is + d~_i s_s   at the entries of L

C dirty images that share W (the channels of a cube, see `normal.shared`) share F, its decomposition, the inverse and
the product with W: each of them adds a solve for s_c, and s s^T + A^-1 becomes sum_c s_c s_c^T + C A^-1. The dual
form serves one dirty image only, with a banded H that is positive definite.

Coefficients whose prior is no part of the evidence (optimised amplitudes) come last: ln det A is then that of its
leading block, a part of the diagonal of the same factor, and A^-1 above the inverse of that block, zero beyond.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf

from ..normal.factored import FactoredProducts
from ..normal.sparse import SparseLens, compiled
from . import dual
from .inverse import inverse_of
from .passive import DenseSystem, PassiveSet
from .pivoting import HostSolution, free_minimum, positive_minimum, stubborn_minimum


class HostEvidence(NamedTuple):
    """ln E - ln E_null without the term of ln det H, and its derivatives.

    Attributes:
        value: NaN where A is not positive definite or the positive source was not found.
        weights_bar: for the mapper's weights, shape (N, P); None if not asked for.
        bands_bar: for the lower bands of H, shape (b + 1, S); None if not asked for.
        solutions: the source and its certificate for each dirty image.
        tangent_bar: d value / d t along a tangent (dW/dt, d d~/dt) of W and d~; NaN where none was given.
    """

    value: float
    weights_bar: np.ndarray | None
    bands_bar: np.ndarray | None
    solutions: tuple[HostSolution, ...]
    tangent_bar: float = np.nan

    @property
    def solution(self):
        """The first of them, the only one where there is one dirty image."""
        return self.solutions[0]


def evidence(
    products,
    dirty_image,
    indices,
    weights,
    bands,
    allowed,
    start,
    positive,
    gradient,
    tangent=None,
    n_determined=None,
    constrained=None,
):
    """The evidence of one mapper, summed over the channels where there are C of them.

    Args:
        products: HostProducts of the normal operator.
        dirty_image: d~, shape (N,) or (C, N).
        indices, weights: of the mapper, shape (N, P).
        bands: lower bands of H, shape (b + 1, S), or H itself, shape (S, S) (see `banded`).
        allowed: boolean, shape (S,), False where s is fixed to 0.
        start: boolean, shape (S,), passive set the positive solver begins with (all: signs of the free minimum);
            channels after the first begin with that of the one before them.
        positive: whether s >= 0.
        gradient: whether the derivatives are wanted.
        tangent: (HostProducts of dW/dt, d d~/dt), for the derivative along t; one dirty image, with `gradient`.
        n_determined: rows and columns of A that enter ln det A, the leading ones; None: all S.
        constrained: boolean, shape (S,), where `positive` asks for s >= 0; None: everywhere.
    """
    dirty_images = np.atleast_2d(dirty_image)
    n_channels, n_source = len(dirty_images), bands.shape[1]
    n_determined = n_source if n_determined is None else n_determined
    constrained = np.ones(n_source, bool) if constrained is None else constrained
    # compiled kernels assume finite numbers: what is not (a lens with |e| >= 1, say) has no evidence
    if not (np.isfinite(np.sum(weights)) and np.isfinite(np.sum(bands))):
        unsolved = (HostSolution(np.zeros(n_source), allowed, np.inf, 0, False),) * n_channels
        return HostEvidence(np.nan, _nan_like(weights, gradient), _nan_like(bands, gradient), unsolved)
    lens = SparseLens.of(indices, weights, n_source)
    data = [lens.transposed_product(one) for one in dirty_images]
    if (
        tangent is None
        and n_channels == 1
        and n_determined == n_source
        and isinstance(products, FactoredProducts)
        and dual.pays(products.rank, bands.shape, positive)
        and np.all(bands[0] > 0.0)
    ):
        result = dual.evidence(products, lens, data[0], bands, allowed, start, positive, gradient, constrained)
        if result is not None:
            value, entries_bar, bands_bar, solution = result
            return _finish(lens, dirty_images, value, entries_bar, bands_bar, (solution,))
    curvature, kept = products.curvature(lens, keep=gradient)
    matrix, scale = _scaled_sum(curvature, bands)
    factor, info = dpotrf(matrix.T, lower=0, clean=0)
    known = factor.T
    if info > n_determined and positive:  # amplitudes that depend on one another; s >= 0 may tell them apart
        factor, info = dpotrf(matrix.T[:n_determined, :n_determined], lower=0, clean=0)
        known = None
    if info:
        unsolved = (HostSolution(np.zeros(n_source), allowed, np.inf, 1, False),) * n_channels
        return _finish(lens, dirty_images, np.nan, _nothing(lens, gradient), _nan_like(bands, gradient), unsolved)
    systems = [DenseSystem(matrix, one * scale, known) for one in data]
    solutions = tuple(
        one._replace(source=_clipped(np.where(one.passive, one.source * scale, 0.0), positive, constrained))
        for one in _solve(systems, allowed, start, positive, constrained)
    )
    sources = [one.source for one in solutions]
    log_det = 2.0 * np.sum(np.log(np.diagonal(factor)[:n_determined] / scale[:n_determined]))
    fit = sum(_quadratic(curvature, bands, s) - 2.0 * s @ d for s, d in zip(sources, data))
    value = -0.5 * (fit + n_channels * log_det)
    entries_bar = bands_bar = None
    if gradient:
        inverse = inverse_of(factor) if n_determined == n_source else _leading_inverse(factor, n_determined, n_source)
        if n_channels > 1:  # C A^-1 and every s_c s_c^T but the first, in units of the scaled matrix
            others = np.asfortranarray((np.array(sources[1:]) / scale).T)
            inverse = dsyrk(1.0, others, beta=float(n_channels), c=inverse, lower=0, overwrite_c=1)
        spread, bands_bar = _outer_and_inverse(inverse.T, scale, sources[0], len(bands))
        entries_bar = -products.pullback(lens, kept, spread)
    result = _finish(lens, dirty_images, value, entries_bar, bands_bar, solutions)
    if tangent is None or not gradient:
        return result
    change, _ = tangent[0].curvature(lens, keep=False)
    slope = sources[0] @ lens.transposed_product(tangent[1]) - 0.5 * _contracted(change, spread)
    return result._replace(tangent_bar=float(slope))


def _leading_inverse(factor, n_determined, n_source):
    """Upper triangle of the inverse of the leading block from its factor, zero beyond it, in Fortran's order."""
    inverse = np.zeros((n_source, n_source), order="F")
    if n_determined:
        inverse[:n_determined, :n_determined] = inverse_of(np.asfortranarray(factor[:n_determined, :n_determined]))
    return inverse


def _solve(systems, allowed, start, positive, constrained):
    """Solutions of systems that differ in their vectors only."""
    solver = PassiveSet(systems[0])
    if not positive:
        return [free_minimum(system, allowed, solver) for system in systems]
    start, solutions = None if start.all() else start, []
    for system in systems:
        solution = positive_minimum(system, allowed, start, solver=solver, constrained=constrained)
        if not solution.converged:
            solution = stubborn_minimum(system, allowed, constrained)
        solutions.append(solution)
        if solution.converged:
            start = solution.passive
    return solutions


def _clipped(source, positive, constrained):
    return np.where(constrained, np.maximum(source, 0.0), source) if positive else source


def _finish(lens, dirty_images, value, entries_bar, bands_bar, solutions):
    if not all(solution.converged for solution in solutions):
        value = np.nan
    weights_bar = None
    if entries_bar is not None:
        for dirty_image, solution in zip(dirty_images, solutions):
            _add_data_term(lens.row_start, lens.source, dirty_image, solution.source, entries_bar)
        weights_bar = lens.spread(entries_bar)
    return HostEvidence(float(value), weights_bar, bands_bar, solutions)


def _nothing(lens, gradient):
    return np.full(len(lens.source), np.nan) if gradient else None


def _nan_like(array, gradient):
    return np.full(array.shape, np.nan) if gradient else None


@compiled
def _scaled_sum(curvature, bands):
    """(A, scale): scale (F + H) scale of unit diagonal, lower triangle, and scale = diag(F + H)^-1/2."""
    n_bands, n = bands.shape
    matrix = np.empty((n, n))
    scale = np.empty(n)
    for i in range(n):
        scale[i] = 1.0 / np.sqrt(curvature[i, i] + bands[i if n_bands == n else 0, i])
    for i in range(n):
        for j in range(i + 1):
            matrix[i, j] = curvature[i, j] * scale[j]
        if n_bands == n:
            for j in range(i + 1):
                matrix[i, j] += bands[i, j] * scale[j]
        else:
            for j in range(max(0, i - n_bands + 1), i + 1):
                matrix[i, j] += bands[i - j, j] * scale[j]
        for j in range(i + 1):
            matrix[i, j] *= scale[i]
    return matrix, scale


@compiled
def _contracted(curvature, matrix):
    """sum_ij F_ij X_ij of symmetric matrices, F given as its lower triangle."""
    total = 0.0
    for i in range(len(matrix)):
        row = 0.5 * curvature[i, i] * matrix[i, i]
        for j in range(i):
            row += curvature[i, j] * matrix[i, j]
        total += 2.0 * row
    return total


@compiled
def _quadratic(curvature, bands, s):
    """s^T (F + H) s from the lower triangles."""
    n_bands, n = bands.shape
    total = 0.0
    for i in range(n):
        row = 0.5 * (curvature[i, i] + bands[i if n_bands == n else 0, i]) * s[i]
        for j in range(i):
            row += curvature[i, j] * s[j]
        if n_bands == n:
            for j in range(i):
                row += bands[i, j] * s[j]
        else:
            for j in range(max(0, i - n_bands + 1), i):
                row += bands[i - j, j] * s[j]
        total += 2.0 * row * s[i]
    return total


@compiled
def _outer_and_inverse(inverse, scale, s, n_bands):
    """(s s^T + A^-1, H_bar on the bands), the inverse given for the scaled matrix as a lower triangle."""
    n = len(s)
    full = np.empty((n, n))
    bands_bar = np.zeros((n_bands, n))
    tile = 32
    for top in range(0, n, tile):
        for left in range(0, top + 1, tile):
            for i in range(top, min(top + tile, n)):
                for j in range(left, min(left + tile, i + 1)):
                    value = s[i] * s[j] + inverse[i, j] * scale[i] * scale[j]
                    full[i, j] = value
                    full[j, i] = value
    if n_bands == n:
        return full, -0.5 * full
    for k in range(n_bands):
        factor = -0.5 if k == 0 else -1.0
        for j in range(n - k):
            bands_bar[k, j] = factor * full[j + k, j]
    return full, bands_bar


@compiled
def _add_data_term(row_start, source, dirty_image, s, entries_bar):
    """entries_bar += d~_i s_s."""
    for i in range(len(row_start) - 1):
        for k in range(row_start[i], row_start[i + 1]):
            entries_bar[k] += dirty_image[i] * s[source[k]]
