"""R with W = R^T R by pivoted Cholesky decomposition, from columns of W that are made when they are needed.

A step draws candidates with a probability proportional to what is left of the diagonal, decomposes their small
residual matrix with full pivoting, keeps the pivots that are not spent, and takes their columns out of W. Everything
large is a matrix product: N r^2 operations, r N numbers, and never the N x N matrix (the scheme of Epperly, Tropp &
Webber 2024, with pivots chosen greedily inside a block).
"""

import numpy as np
import scipy.linalg

from ..errors import InputError

_CANDIDATES = 384
_SPENT = 0.02
"""A candidate is left for later once its residual is below this fraction of the largest residual."""


def pivoted_cholesky(columns, diagonal, relative_tolerance, largest_rank=None, seed=0):
    """(R, pivots, residual trace): R of shape (r, N) with diag(W - R^T R) <= relative_tolerance max diag(W).

    R[:, pivots] is upper triangular.

    Args:
        columns: function (indices, others) that returns W[indices][:, others], shape (m, k).
        diagonal: of W, shape (N,).
        relative_tolerance: largest diagonal element left, in units of the largest of W.
        largest_rank: stop with InputError beyond it.
        seed: of the draws; the result is the same to the tolerance for any.

    Raises:
        InputError: a W without positive diagonal, or a rank beyond `largest_rank`.
    """
    n = len(diagonal)
    total, largest = float(np.sum(diagonal)), float(np.max(diagonal))
    if not largest > 0.0:
        raise InputError("the curvature kernel is not positive: are there weights on this mask?")
    tolerance = relative_tolerance * largest
    everything = np.arange(n)
    rng = np.random.default_rng(seed)
    left = np.array(diagonal, dtype=float)
    factor = np.empty((min(n, 4 * _CANDIDATES), n))
    rank, pivots = 0, np.empty(0, int)
    while np.max(left) > tolerance and rank < n:
        candidates = _draw(rng, left, tolerance)
        known = factor[:rank, candidates]
        residual = columns(candidates, candidates) - known.T @ known
        kept, lower = _decompose(residual, tolerance, _SPENT * np.max(left))
        if len(kept) == 0:  # rounding: what is left of these pixels is noise
            left[candidates] = 0.0
            continue
        if largest_rank is not None and rank + len(kept) > largest_rank:
            raise InputError(f"the rank of W exceeds {largest_rank}: use another method")
        rows = columns(candidates[kept], everything) - known[:, kept].T @ factor[:rank]
        new = scipy.linalg.solve_triangular(lower, rows, lower=True, overwrite_b=True, check_finite=False)
        if rank + len(kept) > len(factor):
            factor = np.concatenate([factor, np.empty((min(n, 2 * len(factor)) - len(factor), n))])
        factor[rank : rank + len(kept)] = new
        rank, pivots = rank + len(kept), np.append(pivots, candidates[kept])
        left -= np.sum(new * new, axis=0)
        left[candidates[kept]] = 0.0
        np.maximum(left, 0.0, out=left)
    return factor[:rank].copy(), pivots, float(np.sum(left)) / total


def _draw(rng, left, tolerance):
    """Different pixels, each with a probability proportional to what is left of it."""
    open_pixels = np.flatnonzero(left > tolerance)
    if len(open_pixels) <= _CANDIDATES:
        return open_pixels
    weight = left[open_pixels]
    # the largest of log(weight) + Gumbel noise are draws without replacement
    score = np.log(weight) + rng.gumbel(size=len(weight))
    return np.sort(open_pixels[np.argpartition(-score, _CANDIDATES)[:_CANDIDATES]])


def _decompose(residual, tolerance, spent):
    """(kept, L): candidates whose pivots exceed both bounds, in pivot order, and their lower factor."""
    lower, pivots, rank, info = scipy.linalg.lapack.dpstrf(
        np.asfortranarray(0.5 * (residual + residual.T)), tol=max(tolerance, spent), lower=1
    )
    if info < 0:
        raise InputError("the curvature kernel is not finite: are there weights on this mask?")
    return pivots[:rank] - 1, np.tril(lower[:rank, :rank])
