"""The regularisation strength that maximises the evidence at fixed F and D.

With the generalised eigenvalues F u = w G u and z = U^T D,

    ln E(lambda) - ln E_null = 1/2 sum z^2 / (w + lambda) - 1/2 sum ln(w + lambda) + S/2 ln lambda

costs O(S) a value. Its derivative d ln E / d ln lambda = 1/2 (gamma - lambda s^T G s), gamma = sum w / (w + lambda),
vanishes at the optimum (Suyu et al. 2006); for positive sources the same condition holds with the source solved
again at every lambda.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .positive import solve_positive

_GRID = 97
_BISECTIONS = 50
_POSITIVE_STEPS = 24


class StrengthSpectrum(NamedTuple):
    """Generalised eigenvalues w (S,) of F against G and the data z (S,) in that basis."""

    eigenvalues: Float[Array, " S"]
    data: Float[Array, " S"]

    def log_evidence_minus_null(self, lam):
        """ln E(lambda) - ln E_null of the unconstrained source."""
        total = self.eigenvalues + lam
        s = len(self.data)
        return 0.5 * jnp.sum(self.data**2 / total - jnp.log(total)) + 0.5 * s * jnp.log(lam)

    def effective_parameters(self, lam):
        """gamma = sum w / (w + lambda), the number of source parameters that the data measure."""
        return jnp.sum(self.eigenvalues / (self.eigenvalues + lam))

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


def best_coefficient(curvature_matrix, data_vector, prior_matrix, lowest, highest, allowed=None, positive=False):
    """lambda in [lowest, highest] that maximises ln E; an edge is returned when the maximum lies beyond it.

    Args:
        curvature_matrix, data_vector: F (S, S), D (S,).
        prior_matrix: G, shape (S, S).
        lowest, highest: bounds of lambda.
        allowed: boolean, shape (S,), where the source may differ from 0 (positive only).
        positive: whether s >= 0.
    """
    spectrum = strength_spectrum(curvature_matrix, data_vector, prior_matrix)
    grid = jnp.linspace(jnp.log(lowest), jnp.log(highest), _GRID)
    values = jax.vmap(lambda t: spectrum.log_evidence_minus_null(jnp.exp(t)))(grid)
    best = jnp.argmax(values)
    low, high = grid[jnp.maximum(best - 1, 0)], grid[jnp.minimum(best + 1, _GRID - 1)]
    if not positive:
        return jnp.exp(_bisect(lambda t: spectrum.slope(jnp.exp(t)), low, high, _BISECTIONS))
    allowed = jnp.ones(len(data_vector), bool) if allowed is None else allowed

    def slope(t):
        lam = jnp.exp(t)
        s = solve_positive(curvature_matrix + lam * prior_matrix, data_vector, allowed).source
        return 0.5 * (spectrum.effective_parameters(lam) - lam * s @ (prior_matrix @ s))

    return jnp.exp(_bisect(slope, grid[0], grid[-1], _POSITIVE_STEPS))


def _bisect(decreasing, low, high, steps):
    """Root of a decreasing function between low and high; the edge where it has none."""

    def step(_, bounds):
        low, high = bounds
        middle = 0.5 * (low + high)
        above = decreasing(middle) > 0.0
        return jnp.where(above, middle, low), jnp.where(above, high, middle)

    low, high = jax.lax.fori_loop(0, steps, step, (low, high))
    return 0.5 * (low + high)
