"""Truths drawn from the very prior of a model: its parameters, the coefficients of its source, and the image they make.

    z ~ N(0, 1),   theta = prior quantile of Phi(z),   s | theta ~ N(0, H^-1),   m = L s + light with sampled fluxes

H = lambda G is that of the fit, its zero edges included, so that the model is true of every mock. Noise in visibilities
is noise of covariance W in the dirty image, d~ = W m + R^T n with W = R^T R and n ~ N(0, 1): no visibility is needed.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import ndtr, ndtri

from ..errors import InputError
from ..inversion.banded import matrix_from_bands

SOURCES = ("gaussian", "truncated", "absolute")
_SWEEPS = 300
_ATTEMPTS = 1000


class Truth(NamedTuple):
    """One draw from the prior.

    Attributes:
        z: parameters, unconstrained, shape (n,).
        vector: the same, physical, shape (n,).
        source: coefficients, shape (S,).
        image: m, shape (N,) [flux per pixel].
    """

    z: np.ndarray
    vector: np.ndarray
    source: np.ndarray
    image: np.ndarray


class Mocks:
    """Draws truths of a Model with one sky; compiled once.

    Args:
        model: Model; pixels and amplitudes need proper priors.
        source: how s is drawn: "gaussian", N(0, H^-1); "truncated", the same where every s >= 0 (by Gibbs sampling);
            "absolute", |s| of a Gaussian one. None: gaussian, or truncated where the model asks for s >= 0.

    Raises:
        InputError: several skies or channels, a strength that is maximised, or amplitudes without a prior: no
            distribution to draw from.
    """

    def __init__(self, model, source=None):
        refuse_others(model)
        columns = model.systems[0].columns
        if any(block.maximised for block in columns.blocks):
            raise InputError("a strength that is maximised has no prior to draw truths from: give it one")
        if columns.n_determined != columns.n_source or any(
            one.profile.flux.sigma is None for one in columns.amplitudes
        ):
            raise InputError("linear fluxes without amplitude_sigma have no proper prior to draw truths from")
        self.source = source or ("truncated" if model.is_positive else "gaussian")
        if self.source not in SOURCES:
            raise InputError(f"source must be {', '.join(SOURCES)}, got {source!r}")
        self.model, self._root = model, None
        self._allowed = np.asarray(columns.allowed)

        @eqx.filter_jit
        def prior(model, z):
            vector = model.parameters.from_normal(z)
            inside = model.filled(vector)[1]
            return vector, inside, matrix_from_bands(model.problems(vector)[0].prior) if len(self._allowed) else None

        @eqx.filter_jit
        def image(model, vector, source):
            problem = model.problems(vector)[0]
            known = jnp.zeros(model.normal.n_pixels) if problem.fixed is None else problem.fixed.image
            return known + problem.mapper.apply(source) if len(self._allowed) else known

        self._prior, self._image = prior, image
        self._apply = jax.jit(lambda image: model.normal.apply(image[:, None])[:, 0])

    def draw(self, rng):
        """A Truth, by a numpy random Generator; draws where a parameter leaves its domain (ln L = -inf) are redone."""
        for _ in range(_ATTEMPTS):
            z = rng.normal(size=len(self.model.parameters))
            vector, inside, h = self._prior(self.model, z)
            if inside:
                break
        else:
            raise InputError("the prior lies outside the domain of a parameter nearly everywhere")
        source = np.zeros(len(self._allowed))
        if h is not None:
            source[self._allowed] = _coefficients(np.asarray(h)[np.ix_(self._allowed, self._allowed)], self.source, rng)
        return Truth(z, np.asarray(vector), source, np.asarray(self._image(self.model, vector, source)))

    def observe(self, truth, rng, noise=1.0):
        """d~ of a Truth, shape (N,) [Jy^-1], with `noise` times the noise that the weights of the data state."""
        normal = self.model.normal
        if self._root is None:
            self._root = np.asarray(normal.factor) if normal.method == "lowrank" else _root(np.asarray(normal.dense()))
        response = np.asarray(self._apply(jnp.asarray(truth.image)))
        return response + noise * rng.normal(size=len(self._root)) @ self._root


def refuse_others(model):
    """What can be drawn and refitted here: one sky, one channel, no spectral index.

    Raises:
        InputError: anything else.
    """
    system = model.systems[0]
    if len(model.systems) != 1 or len(system.skies) != 1 or system.n_channels != 1 or system.products_at is not None:
        raise InputError("simulation-based calibration is for models of one sky with one channel")


def _root(matrix):
    """R with R^T R = W, shape (N, N), by eigenvalues: W is singular."""
    values, vectors = np.linalg.eigh(matrix)
    return np.sqrt(np.maximum(values, 0.0))[:, None] * vectors.T


def _coefficients(h, kind, rng):
    root = np.linalg.cholesky(h)
    source = np.linalg.solve(root.T, rng.normal(size=len(h)))
    if kind == "gaussian":
        return source
    source = np.abs(source)
    return source if kind == "absolute" else _truncated(h, source, rng)


def _truncated(h, source, rng):
    """N(0, H^-1) where all s >= 0, every s_i in turn given the others: N(-sum_j H_ij s_j / H_ii, 1 / H_ii), j != i."""
    source, width = source.copy(), 1.0 / np.sqrt(np.diagonal(h))
    for uniform in rng.random((_SWEEPS, len(h))):
        for i, u in enumerate(uniform):
            mean = source[i] - (h[i] @ source) * width[i] ** 2
            # by the upper tail, which keeps its digits where the mean is far below 0
            source[i] = max(0.0, mean - width[i] * ndtri((1.0 - u) * ndtr(mean / width[i])))
    return source
