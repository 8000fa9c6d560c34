"""Multi-start maximisation of the posterior on exact gradients, and its Gaussian approximation at the top."""

import dataclasses
import queue
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.optimize
from scipy.stats import norm

from .density import IMPOSSIBLE
from .draws import allowed_draws

_WALL = 1e4
_FIRST_STEPS = 15
_GENTLE = 500.0
"""ln E - ln E_null of data of a signal to noise of 30, at which the starts make their first steps: the likelihood to
the power of _GENTLE over the best value of the screening. At full weight of a bright source the prior counts for
nothing and a line search ends in whatever needle or demagnified image fits a little better than where it began."""
_MET = 0.05
"""Distance per parameter, in prior standard deviations, of climbs that have come to the same place."""
_STRENGTHS = np.linspace(0.1, 0.9, 9)
"""Quantiles of the prior of a strength that are tried."""
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


def optimize(density, rng, *, n_starts=8, n_screen=48, max_iterations=200, optimizer="lbfgs", progress=None):
    """Maximise the posterior density from several starts.

    `n_screen` draws from the prior, inside domains and constraints, are evaluated once. From the best `n_starts` of
    them all climb a few steps on a likelihood tempered to a moderate signal to noise, the better third (those that met
    a better climb last) a few more on one half-way (in logarithms), and from there to the top. The positions guard is
    never tempered: it is what keeps the climbs from a demagnified source.

    Where priors come from an earlier fit, the first start is their median, with the best of some strengths of the new
    prior of the source, and climbs at full weight: tempered, or with a source that is far too smooth, it would forget
    where it began.

    Args:
        density: Density of n parameters.
        rng: numpy random Generator.
        n_starts, n_screen: numbers of climbs and of draws, the prior median included.
        max_iterations: of each climb.
        optimizer: "lbfgs", or "adam": more evaluations, and no line search that a rough evidence could stop.
        progress: called with (message, fraction done).

    Returns:
        (list of Optimum, the best first; list of the starts as dicts: z, value where they began and after the first
        steps, whether they went on).
    """
    report = progress or (lambda *_: None)
    ascend = {"lbfgs": climb_together, "adam": adam}[optimizer]
    drawn = allowed_draws(density.model, rng, max(n_screen, n_starts) - 1)
    draws = np.concatenate([np.zeros((1, density.size)), drawn])
    values = np.zeros(0)
    for part in np.array_split(draws, -(-len(draws) // 8)):
        values = np.append(values, density.values(part))
        report("screening starts", 0.2 * len(values) / len(draws))
    highest = np.max(values + 0.5 * np.sum(draws**2, axis=1) - density.guard(draws)[0])
    power = min(1.0, _GENTLE / max(highest, 1.0))
    tempered, _ = _tempered(density, values, np.zeros_like(draws), draws, power)
    near = [0] if _is_chained(density.model) else []
    if near:
        draws[0], values[0] = _with_best_strength(density, draws[0], values[0])
    order = [i for i in np.argsort(-tempered, kind="stable") if i not in near][: n_starts - len(near)]

    def follow(message, first, share):
        return lambda done: report(message, first + share * done)

    begun = ascend(density, draws[order], _FIRST_STEPS, power, follow("first steps", 0.2, 0.4)) if order else []
    kept = _apart(begun, -(-len(order) // 3))
    z = [begun[i][0] for i in kept]
    if power < 1.0 and z:
        z = [x for x, _ in ascend(density, np.array(z), _FIRST_STEPS, power**0.5, follow("climbing", 0.6, 0.1))]
    z = np.array([*(draws[i] for i in near), *z])
    ended = ascend(density, z, max_iterations, 1.0, follow("climbing", 0.7, 0.3))
    optima = [Optimum(x, value, float(values[o])) for o, (x, value) in zip([*near, *(order[i] for i in kept)], ended)]
    steps = [optima[0].value for _ in near] + [value for _, value in begun]
    went_on = [True for _ in near] + [i in kept for i in range(len(order))]
    starts = [
        {"z": draws[o], "value": float(values[o]), "first_steps": first, "went_on": on}
        for o, first, on in zip([*near, *order], steps, went_on, strict=True)
    ]
    return sorted(optima, key=lambda o: -o.value), starts


def _is_chained(model):
    """Whether a Model has priors from an earlier fit, so that the median of the prior is that of its posterior."""
    return model.chained or any(prior.is_chained for prior in model.parameters.priors)


def _with_best_strength(density, z, value):
    """(z, value) with the strengths of regularisations, all at one quantile of their priors, of the highest density."""
    strengths = [path.endswith(".regularization.strength") for path in density.model.parameters.paths]
    if not any(strengths):
        return z, value
    tried = np.repeat(z[None], len(_STRENGTHS), axis=0)
    tried[:, strengths] = norm.ppf(_STRENGTHS)[:, None]
    values = density.values(tried)
    best = int(np.argmax(values))
    return (tried[best], float(values[best])) if values[best] > value else (z, value)


def _apart(begun, n_kept):
    """Numbers of the climbs [(z, value)] that go on: the best, those that have met a better one after all others."""
    order, apart, met = sorted(range(len(begun)), key=lambda i: -begun[i][1]), [], []
    for i in order:
        distances = [np.linalg.norm(begun[i][0] - begun[k][0]) for k in apart]
        (met if distances and min(distances) < _MET * np.sqrt(len(begun[i][0])) else apart).append(i)
    return (apart + met)[:n_kept]


def climb_together(density, starts, max_iterations=200, power=1.0, progress=None):
    """`climb` from every row of starts (B, n): [(z, log density to `power`)].

    Where batches are evaluated at once (workers, an accelerator) all climbs advance side by side, each asking for its
    next point as soon as all have asked.
    """
    report, found = progress or (lambda *_: None), []
    if density.workers is None and not density.on_accelerator:
        for start in starts:
            one = climb(density, start, max_iterations, power)
            found.append((one.x, -float(one.fun)))
            report(len(found) / len(starts))
        return found
    asked, answers = queue.Queue(), [queue.Queue() for _ in starts]

    def run(i):
        def ask(z):
            asked.put((i, z))
            return answers[i].get()

        try:
            return climb(density, starts[i], max_iterations, power, ask)
        finally:
            asked.put((i, None))

    with ThreadPoolExecutor(len(starts)) as threads:
        futures = [threads.submit(run, i) for i in range(len(starts))]
        running = len(starts)
        while running:
            batch = [asked.get() for _ in range(running)]
            running -= sum(z is None for _, z in batch)
            batch = [(i, z) for i, z in batch if z is not None]
            if batch:
                for (i, _), value, gradient in zip(
                    batch, *density.values_and_gradients(np.array([z for _, z in batch]))
                ):
                    answers[i].put((value, gradient))
                report(1.0 - running / len(starts))
        return [(one.x, -float(one.fun)) for one in (future.result() for future in futures)]


def adam(density, starts, max_iterations=200, power=1.0, progress=None):
    """Adam from every row of starts (B, n), all in one batch, its rate falling from 0.1 to 0.001: as `climb_together`.

    The best point that each has met counts.
    """
    import optax

    report = progress or (lambda *_: None)
    z, n_steps = np.array(starts), max_iterations if power < 1.0 else 2 * max_iterations
    method = optax.adam(optax.cosine_decay_schedule(0.1, n_steps, 0.01))
    state = method.init(z)
    best_z, best = z.copy(), np.full(len(z), -np.inf)
    for step in range(n_steps):
        values, gradients = _tempered(density, *density.values_and_gradients(z), z, power)
        better = values > best
        best_z[better], best[better] = z[better], values[better]
        change, state = method.update(-gradients, state)
        z = np.clip(z + np.asarray(change), -_FARTHEST, _FARTHEST)
        report((step + 1) / n_steps)
    return [(x, float(value)) for x, value in zip(best_z, best)]


def _tempered(density, values, gradients, z, power):
    """Log densities (B,) and gradients (B, n) at z (B, n) with the evidence, not the guard, to a power.

    What is impossible stays so.
    """
    if power == 1.0:
        return values, gradients
    guard, slope = density.guard(z)
    quadratic = 0.5 * np.sum(z**2, axis=1)
    tempered = power * (values + quadratic - guard) + guard - quadratic
    return np.where(values <= IMPOSSIBLE, IMPOSSIBLE, tempered), power * (gradients + z - slope) + slope - z


def climb(density, z, max_iterations=200, power=1.0, ask=None):
    """L-BFGS from z, the evidence to a power; a SciPy OptimizeResult of the negative log density.

    `ask(z)` takes the place of `density.value_and_gradient`. A point where the model has no value counts as a wall of
    finite height, which a line search survives.
    """
    lowest = np.inf

    def objective(z):
        nonlocal lowest
        value, gradient = (ask or density.value_and_gradient)(z)
        if value <= IMPOSSIBLE:
            return lowest + _WALL, np.zeros_like(gradient)
        (value,), (gradient,) = _tempered(density, np.array([value]), gradient[None], z[None], power)
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
    _, above = density.values_and_gradients(z + np.diag(steps))
    _, below = density.values_and_gradients(z - np.diag(steps))
    hessian = -(above - below) / (2.0 * steps[:, None])
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
