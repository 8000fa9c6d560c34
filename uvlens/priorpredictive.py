"""What a model expects before it sees the data: parameters, sources and lensed skies drawn from the prior."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .inversion import matrix_from_bands

_SWEEPS = 40
"""Of Gibbs sampling, for sources that must not be negative."""
_TRIES = 200


@dataclasses.dataclass(frozen=True, eq=False)
class PriorPredictive:
    """Draws from the prior of a model.

    Attributes:
        model: Model.
        vectors: parameters, shape (M, n).
        images: of each sky, its lensed sky and light without noise or beam, shape (M, N) [flux per pixel].
        sources: of each draw, [(geometry, coefficients)] of the pixelised sources of all systems, by draw.
        notes: what was left out of the draws.
    """

    model: object
    vectors: np.ndarray
    images: list
    sources: list
    notes: tuple[str, ...]

    def figure(self):
        """Lensed skies of every draw above their (first) pixelised source; a Matplotlib Figure."""
        return _figure(self)


def prior_predictive(model, n=6, key=0):
    """Draw from the prior of a model: parameters, sources, lensed skies.

        s ~ N(0, (lambda G)^-1) at the drawn strength, cut to s >= 0 where the source is positive;   sky = L s + light

    Args:
        model: Model.
        n: draws; what lies outside of a domain or constraint is drawn again.
        key: whole number, or a key of JAX.

    Returns:
        PriorPredictive. Marginalised amplitudes are drawn from their Gaussian priors; those without a prior (optimised,
        flat) are 0, and a strength that maximises the evidence is that of the data: `notes` says so.

    Raises:
        InputError: n < 1; no draw within the domains and constraints.
    """
    if not n >= 1:
        raise InputError(f"prior_predictive: expected at least one draw, got {n}")
    key = jax.random.PRNGKey(key) if isinstance(key, int) else key
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel().tolist())
    from_normal = jax.jit(model.parameters.from_normal)
    holds = jax.jit(lambda vector: model.filled(vector)[1])
    vectors, images, sources = [], [[] for _ in model.skies], []
    for _ in range(n):
        vector = _allowed(model, from_normal, holds, rng)
        vectors.append(np.asarray(vector))
        own = []
        for system, problem in zip(model.systems, model._problems(vector)):
            coefficients = _coefficients(system, problem, rng)
            sky = np.zeros(int(system.row_starts[-1]))
            if system.n_source:
                sky = sky + np.asarray(problem.mapper.apply(jnp.asarray(coefficients)))
            if problem.fixed is not None:
                sky = sky + np.asarray(problem.fixed.image)
            for k, number in enumerate(system.numbers):
                images[number].append(sky[system.row_starts[k] : system.row_starts[k + 1]])
            for block, geometry in zip(system.columns.blocks, problem.geometries):
                own.append((block, geometry, coefficients[block.first : block.stop]))
        sources.append(own)
    return PriorPredictive(model, np.array(vectors), [np.array(one) for one in images], sources, _notes(model))


def _allowed(model, from_normal, holds, rng):
    """A draw inside domains and constraints."""
    for _ in range(_TRIES):
        vector = from_normal(jnp.asarray(rng.normal(size=len(model.parameters))))
        if bool(holds(vector)):
            return vector
    raise InputError(f"prior_predictive: none of {_TRIES} draws lies within the domains and constraints")


def _coefficients(system, problem, rng):
    """A source vector from N(0, H^-1), cut to what is allowed; 0 where H has nothing."""
    n = system.n_source
    if not n:
        return np.zeros(0)
    h = np.asarray(matrix_from_bands(problem.prior))
    known = np.diag(h) > 0.0
    known &= np.asarray(system.columns.allowed)
    places = np.flatnonzero(known)
    precision = h[np.ix_(places, places)]
    factor = np.linalg.cholesky(precision)
    drawn = np.linalg.solve(factor.T, rng.normal(size=len(places)))
    constrained = np.asarray(system.columns.constrained)[places]
    if constrained.any():
        drawn = _truncated(precision, np.abs(drawn) * constrained + drawn * ~constrained, constrained, rng)
    found = np.zeros(n)
    found[places] = drawn
    return found


def _truncated(precision, start, constrained, rng):
    """N(0, P^-1) with some coordinates >= 0, by Gibbs sampling."""
    from scipy.special import ndtr, ndtri

    s, diagonal = start.copy(), np.diag(precision)
    for _ in range(_SWEEPS):
        uniform, normal = rng.random(len(s)), rng.normal(size=len(s))
        for i in range(len(s)):
            width = diagonal[i] ** -0.5
            mean = s[i] - precision[i] @ s / diagonal[i]
            if constrained[i]:
                # 1 - u of what lies above 0, in the tail that keeps its digits
                s[i] = max(0.0, mean - width * ndtri(uniform[i] * ndtr(mean / width)))
            else:
                s[i] = mean + width * normal[i]
    return s


def _notes(model):
    notes = []
    columns = [system.columns for system in model.systems]
    if any(one.is_optimised or one.prior.constant for own in columns for one in own.amplitudes):
        notes.append("linear amplitudes without a prior are 0 in these draws")
    if any(block.maximised for own in columns for block in own.blocks):
        notes.append('strength: "evidence" has no prior: the draws have the strength that the data choose')
    return tuple(notes)


def _figure(predictive):
    from matplotlib.figure import Figure

    n, skies = len(predictive.vectors), predictive.model.skies
    rows = len(skies) + bool(predictive.sources[0])
    figure = Figure(figsize=(2.3 * n, 2.5 * rows), layout="constrained")
    axes = figure.subplots(rows, n, squeeze=False)
    for i in range(n):
        for k, sky in enumerate(skies):
            image = np.full(sky.mask.grid.shape, np.nan)
            image[sky.mask.kept] = predictive.images[k][i]
            _picture(axes[k, i], image, sky.mask.grid.extent)
        if predictive.sources[0]:
            block, geometry, coefficients = predictive.sources[i][0]
            _source(axes[-1, i], block.mesh, geometry, coefficients)
    figure.suptitle("draws from the prior: lensed sky" + (" and source" if predictive.sources[0] else ""), fontsize=9)
    return figure


def _picture(axes, image, extent):
    west, east, south, north = extent
    axes.imshow(image, origin="lower", extent=(west, east, south, north), cmap="inferno")
    axes.set_xlim(east, west)
    axes.tick_params(labelsize=6)


def _source(axes, mesh, geometry, coefficients):
    x, y = (np.asarray(axis) for axis in mesh.node_positions(geometry))
    axes.tripcolor(x, y, coefficients, cmap="inferno") if len(x) > 2 else axes.plot(x, y, ".")
    axes.set_aspect("equal")
    axes.invert_xaxis()
    axes.tick_params(labelsize=6)
