"""The evidence in the space of the compressed data, for r numbers and more source pixels than that.

With B = R L (r x S), d~ = R^T z and H banded, H = C C^T:

    Y = C^-1 B^T,   M = 1 + B H^-1 B^T = 1 + Y^T Y            (r x r)
    s = H^-1 B^T M^-1 z,   A^-1 = H^-1 - H^-1 B^T M^-1 B H^-1
    D^T A^-1 D = z^T z - z^T M^-1 z,   ln det A - ln det H = ln det M

(matrix inversion lemma). Nothing of size S x S is formed: S b^2 + 4 S b r + S r^2 + r^3 / 3 operations. A positive
source is found by the same pivoting, each passive set solved through the same formulas with the rows and columns of
H that it keeps. B_bar = z s^T - B (s s^T + A^-1), with B A^-1 = M^-1 B H^-1.
"""

import numpy as np
import scipy.linalg
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dpotrf, dpotrs

from ..normal.sparse import compiled
from ..threads import in_parallel
from .passive import System
from .pivoting import free_minimum, positive_minimum

_STEPS = 12
"""Passive sets that a positive solve is reckoned to need."""
_BANDED_RATE = 0.1
"""Speed of the banded solves over that of LAPACK's matrix products."""
_LARGEST_RESIDUAL = 1e-10


def pays(rank, bands_shape, positive):
    """Whether the dual form takes fewer operations than the primal one, weighted by the speed they run at.

    Never where H is dense: its shape is (S, S) then.
    """
    n_bands, s = bands_shape
    if n_bands == s:
        return False
    one = s * n_bands**2 + 4.0 * s * n_bands * rank
    dual = one / _BANDED_RATE + s * rank**2 + rank**3 / 3.0
    primal = s**2 * rank + s**3
    if positive:  # a passive set holds about half of the source
        dual += 0.5 * _STEPS * dual
        primal += _STEPS * (s / 2.0) ** 3 / 3.0
    return rank < s and dual < primal


def evidence(products, lens, data, bands, allowed, start, positive, gradient, constrained=None):
    """(value, entries_bar, bands_bar, solution) as `host.evidence` has them; None where the primal form must decide.

    Args:
        products: FactoredProducts.
        lens: SparseLens.
        data: D = L^T d~, shape (S,).
        bands, allowed, start, positive, gradient, constrained: as for `host.evidence`.
    """
    rows = products.response(lens)
    scale = (bands[0] + np.einsum("ij,ij->i", rows, rows)) ** -0.5
    rows *= scale[:, None]
    try:
        system = BandedSystem(rows, _scaled_bands(bands, scale), data * scale)
    except scipy.linalg.LinAlgError:
        return None
    if positive:
        solution = positive_minimum(system, allowed, None if start.all() else start, constrained=constrained)
    else:
        solution = free_minimum(system, allowed)
    if not (solution.converged and solution.residual < _LARGEST_RESIDUAL):
        return None
    s = solution.source
    answer = s @ rows
    quadratic = answer @ answer + s @ _banded_product(system.bands, s)
    log_det = system.full.log_det - 2.0 * np.sum(np.log(scale))
    value = -0.5 * (quadratic - 2.0 * s @ system.vector + log_det)
    solution = solution._replace(source=np.where(solution.passive, s * scale, 0.0))
    if not gradient:
        return value, None, None, solution
    full = system.full
    backward = _in_columns(_backward, full.cholesky, full.half)  # H^-1 B^T, shape (S, r)
    mixed = np.ascontiguousarray(dpotrs(full.factor, backward.T, lower=0)[0].T)  # its product with M^-1, (S, r)
    entries_bar = -products.at_entries(lens, (np.outer(s, answer) + mixed) * scale[:, None])
    bands_bar = _bands_of_inverse(full.cholesky)
    _bands_bar(bands_bar, backward, mixed, s)
    return value, entries_bar, _scaled_bands(bands_bar, scale), solution


class BandedSystem(System):
    """A = H + B^T B of unit diagonal, with H by its lower bands and B^T as rows, shape (S, r)."""

    def __init__(self, rows, bands, vector):
        self.response, self.bands, self.vector = rows, bands, vector
        self.full = _Inverse(rows, bands)

    def decompose(self, indices):
        if len(indices) == len(self.vector):
            return self.full
        try:
            return _Inverse(self.response[indices], _selected_bands(self.bands, indices))
        except scipy.linalg.LinAlgError:
            return None

    def rows(self, chosen, columns):
        return self.response[chosen] @ self.response[columns].T + _elements(
            self.bands, np.asarray(chosen, int), np.asarray(columns)
        )

    def gradient(self, source):
        return _banded_product(self.bands, source) + self.response @ (source @ self.response) - self.vector


class _Inverse:
    """b -> (H + B^T B)^-1 b on some source pixels, for b of shape (m,) or (m, k).

    Attributes:
        cholesky: C, lower bands. half: Y, shape (m, r). factor: of M (upper, Fortran order).
        log_det: ln det(H + B^T B).
    """

    def __init__(self, rows, bands):
        self.cholesky = scipy.linalg.cholesky_banded(bands, lower=True, check_finite=False)
        self.half = _in_columns(_forward, self.cholesky, rows)
        small = dsyrk(1.0, self.half.T, lower=0)
        small[np.diag_indices_from(small)] += 1.0
        self.factor, info = dpotrf(small, lower=0, overwrite_a=1)
        if info:
            raise scipy.linalg.LinAlgError("M is not positive definite")
        diagonals = np.concatenate([self.cholesky[0], np.diagonal(self.factor)])
        self.log_det = 2.0 * float(np.sum(np.log(diagonals)))

    def __call__(self, right):
        half = _in_columns(_forward, self.cholesky, right.reshape(len(right), -1))
        half -= self.half @ dpotrs(self.factor, self.half.T @ half, lower=0)[0]
        return _in_columns(_backward, self.cholesky, half).reshape(right.shape)


def _in_columns(kernel, cholesky, right):
    """kernel(cholesky, columns of `right`) with the columns dealt out to the threads; a new array."""
    result = np.array(right, order="C")
    n_columns = result.shape[1]
    in_parallel(lambda start, stop: kernel(cholesky, result[:, start:stop]), n_columns, None if n_columns > 64 else 1)
    return result


@compiled
def _forward(cholesky, x):
    """x <- C^-1 x in place."""
    n_bands, n = cholesky.shape
    for i in range(n):
        row = x[i]
        for k in range(1, min(n_bands, i + 1)):
            c = cholesky[k, i - k]
            if c != 0.0:
                other = x[i - k]
                for r in range(x.shape[1]):
                    row[r] -= c * other[r]
        inverse = 1.0 / cholesky[0, i]
        for r in range(x.shape[1]):
            row[r] *= inverse


@compiled
def _backward(cholesky, x):
    """x <- C^-T x in place."""
    n_bands, n = cholesky.shape
    for i in range(n - 1, -1, -1):
        row = x[i]
        for k in range(1, min(n_bands, n - i)):
            c = cholesky[k, i]
            if c != 0.0:
                other = x[i + k]
                for r in range(x.shape[1]):
                    row[r] -= c * other[r]
        inverse = 1.0 / cholesky[0, i]
        for r in range(x.shape[1]):
            row[r] *= inverse


@compiled
def _banded_product(bands, s):
    """H s."""
    n_bands, n = bands.shape
    product = bands[0] * s
    for k in range(1, n_bands):
        for j in range(n - k):
            product[j + k] += bands[k, j] * s[j]
            product[j] += bands[k, j] * s[j + k]
    return product


@compiled
def _scaled_bands(bands, scale):
    """Bands of scale H scale."""
    scaled = np.zeros_like(bands)
    for k in range(bands.shape[0]):
        for j in range(bands.shape[1] - k):
            scaled[k, j] = bands[k, j] * scale[j] * scale[j + k]
    return scaled


@compiled
def _elements(bands, chosen, columns):
    """H[chosen][:, columns]."""
    elements = np.zeros((len(chosen), len(columns)))
    for i in range(len(chosen)):
        for j in range(len(columns)):
            distance = abs(chosen[i] - columns[j])
            if distance < bands.shape[0]:
                elements[i, j] = bands[distance, min(chosen[i], columns[j])]
    return elements


@compiled
def _selected_bands(bands, chosen):
    """Lower bands of H restricted to the chosen rows and columns."""
    n_bands, m = bands.shape[0], len(chosen)
    selected = np.zeros((min(n_bands, max(m, 1)), m))
    for j in range(m):
        for k in range(min(n_bands, m - j)):
            distance = chosen[j + k] - chosen[j]
            if distance >= n_bands:
                break
            selected[k, j] = bands[distance, chosen[j]]
    return selected


@compiled
def _bands_of_inverse(cholesky):
    """The bands of H^-1, from the last column backwards (Takahashi, Fagan & Chin 1973).

    Z = H^-1 obeys Z = C^-T C^-1, hence Z_ij = (delta_ij / C_jj - sum_(k > j) C_kj Z_ik) / C_jj for i >= j, where
    only elements inside the band occur.
    """
    n_bands, n = cholesky.shape
    inverse = np.zeros((n_bands, n))
    for j in range(n - 1, -1, -1):
        reach = min(n_bands, n - j)
        for i in range(j + reach - 1, j - 1, -1):
            total = 1.0 / cholesky[0, j] if i == j else 0.0
            for k in range(j + 1, j + reach):
                low, high = min(i, k), max(i, k)
                total -= cholesky[k - j, j] * inverse[high - low, low]
            inverse[i - j, j] = total / cholesky[0, j]
    return inverse


@compiled
def _bands_bar(bands, backward, mixed, s):
    """H_bar on the bands in place: -1/2 (s s^T + H^-1 - (H^-1 B^T) (M^-1 B H^-1)), twice that off the diagonal."""
    n_bands, n = bands.shape
    for k in range(n_bands):
        factor = -0.5 if k == 0 else -1.0
        for j in range(n - k):
            total = 0.0
            for r in range(backward.shape[1]):
                total += backward[j + k, r] * mixed[j, r]
            bands[k, j] = factor * (s[j + k] * s[j] + bands[k, j] - total)
