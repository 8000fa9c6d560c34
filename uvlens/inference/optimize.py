"""Multi-start maximisation of the posterior on exact gradients, and its Gaussian approximation at the top."""

import dataclasses

import numpy as np
import scipy.optimize

from .density import IMPOSSIBLE

_WALL = 1e4
_FIRST_STEPS = 15
_GENTLE = 500.0
"""ln E - ln E_null of data of a signal to noise of 30, at which the starts make their first steps: the likelihood to
the power of _GENTLE over the best value of the screening. At full weight of a bright source the prior counts for
nothing and a line search ends in whatever needle or demagnified image fits a little better than where it began."""
_FARTHEST = 6.0
"""Prior standard deviations beyond which no climb goes."""


@dataclasses.dataclass(frozen=True)
class Optimum:
    """Where one start ended.

    Attributes:
        z: unconstrained position, shape (n,).
        value: log density there.
        start: log density where it began.
    """

    z: np.ndarray
    value: float
    start: float


def optimize(density, rng, *, n_starts=8, n_screen=48, max_iterations=200, progress=None):
    """Maximise the posterior density from several starts.

    `n_screen` draws from the prior are evaluated once; L-BFGS makes a few steps from the best `n_starts` of them on a
    likelihood tempered to a moderate signal to noise, a few more on one half-way (in logarithms) from the better third,
    and from there to the top.

    Args:
        density: Density of n parameters.
        rng: numpy random Generator.
        n_starts, n_screen: numbers of climbs and of draws, the prior median included.
        max_iterations: of each climb.
        progress: called with (message, fraction done).

    Returns:
        list of Optimum, the best first.
    """
    report = progress or (lambda *_: None)
    draws = np.concatenate([np.zeros((1, density.size)), rng.normal(size=(max(n_screen, n_starts) - 1, density.size))])
    values = []
    for i, z in enumerate(draws):
        values.append(density.value(z))
        report(f"screening starts, best {max(values):.1f}", 0.2 * (i + 1) / len(draws))
    order = np.argsort(values)[::-1][:n_starts]
    highest = max(value + 0.5 * z @ z for value, z in zip(values, draws))
    power = min(1.0, _GENTLE / max(highest, 1.0))
    begun = []
    for i, start in enumerate(order):
        found = climb(density, draws[start], _FIRST_STEPS, power)
        begun.append(Optimum(found.x, -found.fun, values[start]))
        report(f"first steps, best {max(o.value for o in begun):.1f}", 0.2 + 0.5 * (i + 1) / len(order))
    begun.sort(key=lambda o: -o.value)
    optima = []
    for i, optimum in enumerate(begun[: -(-n_starts // 3)]):
        found = climb(density, optimum.z, _FIRST_STEPS, power**0.5) if power < 1.0 else None
        found = climb(density, optimum.z if found is None else found.x, max_iterations)
        optima.append(Optimum(found.x, -found.fun, optimum.start))
        best = max(o.value for o in optima)
        report(f"climbing, best {best:.1f}", 0.7 + 0.3 * (i + 1) / -(-n_starts // 3))
    return sorted(optima, key=lambda o: -o.value)


def climb(density, z, max_iterations=200, power=1.0):
    """L-BFGS from z, the likelihood to a power; a SciPy OptimizeResult of the negative log density.

    A point where the model has no value (IMPOSSIBLE) counts as a wall of finite height, which a line search survives.
    """
    lowest = np.inf

    def objective(z):
        nonlocal lowest
        value, gradient = density.value_and_gradient(z)
        if value <= IMPOSSIBLE:
            return lowest + _WALL, np.zeros_like(gradient)
        if power < 1.0:
            value = power * (value + 0.5 * z @ z) - 0.5 * z @ z
            gradient = power * (gradient + z) - z
        lowest = min(lowest, -value)
        return -value, -gradient

    options = {"maxiter": max_iterations, "ftol": 1e-10, "gtol": 1e-3, "maxls": 30, "maxcor": 20}
    bounds = [(-_FARTHEST, _FARTHEST)] * len(z)
    return scipy.optimize.minimize(objective, z, jac=True, method="L-BFGS-B", bounds=bounds, options=options)


def laplace_covariance(density, z):
    """Inverse of the negative Hessian of the log density at z, by central differences of the gradient (n, n).

    The step along each coordinate is a third of its conditional standard deviation, found from a first, small one.
    Directions whose curvature is not positive get the prior's, 1.
    """
    small = _negative_hessian(density, z, np.full(density.size, 1e-4))
    steps = 0.3 / np.sqrt(np.maximum(np.diag(small), 1.0))
    eigenvalues, vectors = np.linalg.eigh(_negative_hessian(density, z, steps))
    eigenvalues = np.where(eigenvalues > 1e-3, eigenvalues, 1.0)
    return (vectors / eigenvalues) @ vectors.T


def _negative_hessian(density, z, steps):
    hessian = np.empty((density.size, density.size))
    for i, step in enumerate(steps):
        offset = np.zeros(density.size)
        offset[i] = step
        _, above = density.value_and_gradient(z + offset)
        _, below = density.value_and_gradient(z - offset)
        hessian[i] = -(above - below) / (2.0 * step)
    return 0.5 * (hessian + hessian.T)


def basins(optima, covariance):
    """The optima grouped: one dict for each distinct end point, best first, with how many starts reached it."""
    groups = []
    precision = np.linalg.inv(covariance)
    for optimum in optima:
        if optimum.value <= IMPOSSIBLE / 2:
            continue
        for group in groups:
            offset = optimum.z - group["z"]
            if offset @ precision @ offset < 9.0 * len(offset):
                group["n_starts"] += 1
                break
        else:
            groups.append({"z": optimum.z, "log_posterior": optimum.value, "n_starts": 1})
    return groups
