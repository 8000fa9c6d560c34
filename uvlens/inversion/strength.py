"""The regularisation strength that maximises the evidence at fixed F and D.

With the generalised eigenvalues F u = w G u and z = U^T D,

    ln E(lambda) - ln E_null = 1/2 sum z^2 / (w + lambda) - 1/2 sum ln(w + lambda) + S/2 ln lambda

costs O(S) a value. Its derivative d ln E / d ln lambda = 1/2 (gamma - lambda s^T G s), gamma = sum w / (w + lambda),
vanishes at the optimum (Suyu et al. 2006); for positive sources the same condition holds with the source solved
again at every lambda.

Where lambda belongs to one block x of a system, H = lambda G + H_rest, everything else y is eliminated exactly: with
K = F_yy + H_yy,

    F' = F_xx + H_xx - F_xy K^-1 F_yx,   D' = D_x - F_xy K^-1 D_y,   det A = det K det(F' + lambda G)

are the same problem in x alone. The exponent has all of y eliminated, the determinant what of y is in it (optimised
amplitudes are not), so that there may be two sets of eigenvalues. Coefficients fixed to zero leave the exponent only:
they get eigenvalues 0 with z = 0.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .positive import solve_positive

_GRID = 97
_BISECTIONS = 50
_POSITIVE_STEPS = 24


class StrengthSpectrum(NamedTuple):
    """Generalised eigenvalues w (S,) of F against G and the data z (S,) in that basis.

    `determined`: the eigenvalues that stand in the determinant, where they are others; None: the same.
    """

    eigenvalues: Float[Array, " S"]
    data: Float[Array, " S"]
    determined: Any = None

    @property
    def _in_determinant(self):
        return self.eigenvalues if self.determined is None else self.determined

    def log_evidence_minus_null(self, lam):
        """ln E(lambda) - ln E_null of the unconstrained source (up to a constant where there is more than a block)."""
        total, determined = self.eigenvalues + lam, self._in_determinant + lam
        s = len(self.data)
        return 0.5 * jnp.sum(self.data**2 / total - jnp.log(determined)) + 0.5 * s * jnp.log(lam)

    def effective_parameters(self, lam):
        """gamma = sum w / (w + lambda), the number of source parameters that the data measure."""
        return jnp.sum(self._in_determinant / (self._in_determinant + lam))

    def slope(self, lam):
        """d ln E / d ln lambda."""
        penalty = jnp.sum(lam * self.data**2 / (self.eigenvalues + lam) ** 2)
        return 0.5 * (self.effective_parameters(lam) - penalty)


def strength_spectrum(curvature_matrix, data_vector, prior_matrix):
    """Decompose F against G (both (S, S)); eigenvalues that rounding made negative become 0."""
    cholesky = jnp.linalg.cholesky(prior_matrix)
    half = jax.scipy.linalg.solve_triangular(cholesky, curvature_matrix, lower=True)
    whitened = jax.scipy.linalg.solve_triangular(cholesky, half.T, lower=True)
    eigenvalues, vectors = jnp.linalg.eigh(0.5 * (whitened + whitened.T))
    data = vectors.T @ jax.scipy.linalg.solve_triangular(cholesky, data_vector, lower=True)
    return StrengthSpectrum(jnp.maximum(eigenvalues, 0.0), data)


def best_coefficient(
    curvature_matrix,
    data_vector,
    prior_matrix,
    lowest,
    highest,
    allowed=None,
    positive=False,
    *,
    rest=None,
    first=0,
    n_determined=None,
    constrained=None,
):
    """lambda in [lowest, highest] that maximises ln E; an edge is returned when the maximum lies beyond it.

    Args:
        curvature_matrix, data_vector: F (S, S), D (S,).
        prior_matrix: G, shape (B, B), of the block whose lambda is sought; B = S unless there is more in the system.
        lowest, highest: bounds of lambda.
        allowed: boolean, shape (S,), where the source may differ from 0; None: everywhere.
        positive: whether s >= 0.
        rest: H of everything else, shape (S, S) (zero in the block, or what is added to lambda G there); None: 0.
        first: index of the block's first coefficient (static).
        n_determined: leading coefficients that enter the determinants, with the block among them (static).
        constrained: boolean, shape (S,), where `positive` asks for s >= 0; None: everywhere.
    """
    curvature_matrix, data_vector, prior_matrix = map(jnp.asarray, (curvature_matrix, data_vector, prior_matrix))
    n = len(data_vector)
    last = first + len(prior_matrix)
    fixed = curvature_matrix if rest is None else curvature_matrix + rest
    spectrum = _block_spectrum(fixed, data_vector, prior_matrix, first, allowed, n_determined)
    grid = jnp.linspace(jnp.log(lowest), jnp.log(highest), _GRID)
    if not positive:
        values = jax.vmap(lambda t: spectrum.log_evidence_minus_null(jnp.exp(t)))(grid)
        best = jnp.argmax(values)
        low, high = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, _GRID - 1)]
        return jnp.exp(_bisect(lambda t: spectrum.slope(jnp.exp(t)), low, high, _BISECTIONS))
    allowed = jnp.ones(n, bool) if allowed is None else allowed

    def slope(t):
        lam = jnp.exp(t)
        matrix = fixed.at[first:last, first:last].add(lam * prior_matrix)
        s = solve_positive(matrix, data_vector, allowed, constrained=constrained).source[first:last]
        return 0.5 * (spectrum.effective_parameters(lam) - lam * s @ (prior_matrix @ s))

    return jnp.exp(_bisect(slope, grid[0], grid[-1], _POSITIVE_STEPS))


def _block_spectrum(matrix, data_vector, prior_matrix, first, allowed, n_determined):
    """Spectrum of G in a system F + H_rest whose other coefficients are eliminated."""
    n, size = len(data_vector), len(prior_matrix)
    n_determined = n if n_determined is None else n_determined
    everything = jnp.ones(n, bool) if allowed is None else allowed
    reduced, data = _eliminate(matrix, data_vector, first, size, everything)
    chosen = everything[first : first + size]
    both = chosen[:, None] & chosen
    prior = prior_matrix if allowed is None else jnp.where(both, prior_matrix, jnp.eye(size))
    spectrum = strength_spectrum(jnp.where(both, reduced, 0.0), jnp.where(chosen, data, 0.0), prior)
    if allowed is None and n_determined == n:
        return spectrum
    leading = matrix[:n_determined, :n_determined]
    reduced, _ = _eliminate(leading, data_vector[:n_determined], first, size, jnp.ones(n_determined, bool))
    return spectrum._replace(determined=strength_spectrum(reduced, data, prior_matrix).eigenvalues)


def _eliminate(matrix, vector, first, size, chosen):
    """(F', D') of a block: the chosen other coefficients at their minimum for each value of the block's."""
    last = first + size
    block, data = matrix[first:last, first:last], vector[first:last]
    if size == len(vector):
        return block, data
    others = jnp.array([i for i in range(len(vector)) if not first <= i < last])
    keep = chosen[others]
    inner = matrix[others[:, None], others]
    inner = jnp.where(keep[:, None] & keep, inner, jnp.eye(len(others)))
    border = jnp.where(keep[:, None], matrix[others, first:last], 0.0)
    factor = (jnp.linalg.cholesky(inner, symmetrize_input=False), True)
    right = jnp.where(keep, vector[others], 0.0)
    solved = jax.scipy.linalg.cho_solve(factor, jnp.column_stack([border, right]))
    return block - border.T @ solved[:, :-1], data - border.T @ solved[:, -1]


def _bisect(decreasing, low, high, steps):
    """Root of a decreasing function between low and high; the edge where it has none."""

    def step(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        above = decreasing(middle) > 0.0
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low, high = jax.lax.fori_loop(0, steps, step, (low, high))
    return 0.5 * (low + high)
