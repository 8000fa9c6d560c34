"""What tells a calibrated posterior from another: ranks, standardised errors, and the slope of odds.

u = (rank of the truth among L independent draws + U(0, 1)) / (L + 1)      uniform on (0, 1)  (Talts et al. 2018)
z = (truth - posterior mean) / posterior standard deviation                mean 0, variance 1
P(model A true | data) = 1 / (1 + exp(-(a + b ln odds)))                   a = 0, b = 1
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

_BINS = 10


class Scores(NamedTuple):
    """Of one mock, one number a parameter, shape (n,).

    Attributes:
        u: position of the truth among the draws, uniform if all is well.
        z: standardised error of the posterior mean.
        shrinkage: 1 - posterior variance over prior variance, 0 where the data say nothing (unconstrained parameters).
    """

    u: np.ndarray
    z: np.ndarray
    shrinkage: np.ndarray


def score(draws, truth, rng, thin=1):
    """Scores of a truth (n,) among draws (M, n), both unconstrained (prior N(0, 1)); ranks among every `thin`-th.

    Ranks are the same for any monotonic function of a parameter, such as its physical value.
    """
    kept = draws[::thin]
    below = np.sum(kept < truth, axis=0)
    u = (below + rng.random(len(truth))) / (len(kept) + 1)
    width = draws.std(axis=0, ddof=1)
    return Scores(u, (truth - draws.mean(axis=0)) / width, 1.0 - width**2)


def uniformity(u):
    """p values of Kolmogorov and Smirnov's test and of chi^2 in 10 bins, that numbers (M,) are uniform on (0, 1)."""
    counts = np.histogram(u, bins=_BINS, range=(0.0, 1.0))[0]
    return float(stats.kstest(u, "uniform").pvalue), float(stats.chisquare(counts).pvalue)


def calibration_slope(log_odds, is_true, intercept=True):
    """(a, b, their covariance): logistic regression of which model was true on the log odds, by maximum likelihood.

        ln L = sum ln P(true | a + b x)

    Args:
        log_odds: x = ln Z_A - ln Z_B, shape (M,).
        is_true: whether A was true, shape (M,).
        intercept: False keeps a = 0.

    Raises:
        ValueError: the odds tell all mocks apart: the slope is not bounded.
    """
    x, y = np.asarray(log_odds, dtype=float), np.asarray(is_true, dtype=float)
    scale = max(np.std(x), 1e-12)
    design = np.stack([np.ones_like(x), x / scale], axis=1) if intercept else (x / scale)[:, None]
    beta = np.zeros(design.shape[1])
    beta[-1] = scale
    for _ in range(200):
        p = 1.0 / (1.0 + np.exp(-np.clip(design @ beta, -500.0, 500.0)))
        hessian = (design.T * (p * (1.0 - p))) @ design
        try:
            step = np.linalg.solve(hessian, design.T @ (y - p))
        except np.linalg.LinAlgError:
            raise ValueError("the odds tell all mocks apart: the slope has no upper bound") from None
        beta = beta + step * min(1.0, 2.0 / np.max(np.abs(step)))
        if np.max(np.abs(step)) < 1e-10:
            break
    else:
        raise ValueError("the odds tell all mocks apart: the slope has no upper bound")
    covariance = np.linalg.inv(hessian)
    units = np.array([1.0, 1.0 / scale]) if intercept else np.array([1.0 / scale])
    beta, covariance = beta * units, covariance * np.outer(units, units)
    return (*beta, covariance) if intercept else (0.0, beta[0], covariance)
