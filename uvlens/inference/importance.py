"""Draws from an approximation, re-weighted to the posterior, with a certificate of whether that worked.

    w_m = p(z_m) / q(z_m),   ln Z = ln mean(w),   Pareto-smoothed importance sampling (Vehtari et al. 2024)

The shape k of the Pareto tail that is fitted to the largest weights says how far q can be trusted: below 0.7 the
re-weighted draws are the posterior to the accuracy of their effective number, above it they are not.
"""

import dataclasses

import numpy as np
from scipy.special import logsumexp

from ..files import load_arrays, save_arrays
from .density import IMPOSSIBLE

RELIABLE = 0.7
"""Largest Pareto k of weights that can be used."""
_BLOCK = 100


@dataclasses.dataclass(frozen=True)
class Weighted:
    """Draws with their weights.

    Attributes:
        z: draws of the approximation, shape (M, n).
        log_posterior: ln E - ln E_null - z.z / 2 of each, shape (M,).
        log_weight: smoothed, normalised, shape (M,).
        pareto_k: shape of the tail of the weights.
        n_effective: 1 / sum w^2.
        log_evidence: ln Z - ln E_null.
        log_evidence_error: standard error of it.
        elbo: mean of ln p - ln q over the draws, a lower bound of log_evidence; None where a draw is impossible (the
            mean of the others bounds nothing).
        impossible_share: of the draws, those at which the model has no value.
    """

    z: np.ndarray
    log_posterior: np.ndarray
    log_weight: np.ndarray
    pareto_k: float
    n_effective: float
    log_evidence: float
    log_evidence_error: float
    elbo: float | None
    impossible_share: float

    @property
    def is_reliable(self):
        """Whether the weights can be used."""
        return self.pareto_k <= RELIABLE

    def resample(self, rng, n_draws):
        """n_draws indices of equal weight, by systematic resampling."""
        return systematic(np.exp(self.log_weight), rng, n_draws)


def systematic(weights, rng, n_draws):
    """Indices drawn with probabilities `weights`, one uniform number deciding them all."""
    ticks = (rng.random() + np.arange(n_draws)) / n_draws
    cumulative = np.cumsum(weights)
    return np.minimum(np.searchsorted(cumulative / cumulative[-1], ticks), len(weights) - 1)


def reweight(density, z, log_q, *, checkpoint=None, resume=False, progress=None):
    """Weighted draws.

    Args:
        density: Density of n parameters.
        z: draws of the approximation, shape (M, n).
        log_q: its normalised log density there, shape (M,).
        checkpoint: file for the log posteriors found so far, None: not kept; `resume`: continue from it.
        progress: called with (message, fraction done).
    """
    import arviz

    report, values = progress or (lambda *_: None), np.zeros(0)
    saved = load_arrays(checkpoint) if resume else None
    if saved is not None and np.array_equal(saved["z"], z):
        values = saved["values"]
        density.add_cost(saved["cost"] - density.cost())
    while len(values) < len(z):
        values = np.append(values, density.values(z[len(values) : len(values) + _BLOCK]))
        if checkpoint is not None:
            save_arrays(checkpoint, {"z": z, "values": values, "cost": density.cost()})
        report("re-weighting", len(values) / len(z))
    size = density.size
    log_ratio = np.where(values <= IMPOSSIBLE, -np.inf, values - 0.5 * size * np.log(2.0 * np.pi) - log_q)
    finite = np.isfinite(log_ratio)
    lowest = log_ratio[finite].min() if finite.any() else 0.0
    smoothed, k = arviz.psislw(np.where(finite, log_ratio, lowest - 700.0))
    smoothed = np.asarray(smoothed) - logsumexp(smoothed)
    weight = np.exp(log_ratio - log_ratio[finite].max()) if finite.any() else np.zeros(len(z))
    mean = weight.mean()
    return Weighted(
        z=z,
        log_posterior=values,
        log_weight=smoothed,
        pareto_k=float(k),
        n_effective=float(np.exp(-logsumexp(2.0 * smoothed))),
        log_evidence=float(np.log(mean) + log_ratio[finite].max()) if finite.any() else -np.inf,
        log_evidence_error=float(weight.std() / np.sqrt(len(z)) / mean) if finite.any() else np.inf,
        elbo=float(log_ratio.mean()) if finite.all() else None,
        impossible_share=float(1.0 - finite.mean()),
    )
