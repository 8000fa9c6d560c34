"""Draws of a source from what the data leave open at a fixed lens, and the errors of its pixels.

    s ~ N(s_MP, A^-1),   A = F + H          a free source: the exact posterior
    s_f ~ N(s_f, (A_ff)^-1)                 where some pixels are held at 0: the others, f, scatter about the solution

Of a positive source the pixels at zero stay there and the rest scatter freely, to below zero too: the mean of fluxes is
that of the solution. That is the Gaussian at the constrained mode, as its evidence is.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from scipy.linalg.lapack import dtrtri

from .reconstruction import Light

_APART = 1e-11


def draw_sources(inversion, n, rng):
    """n sources of an Inversion, shape (n, S)."""
    source = np.asarray(inversion.source)
    noise = rng.normal(size=(n, len(source)))
    if not len(source) or not n:
        return np.repeat(source[None], n, axis=0)
    free = source != 0.0
    drawn = np.repeat(source[None], n, axis=0)
    if free.all():
        factor = np.asarray(inversion.system.cholesky)
    elif free.any():
        system = inversion.system
        matrix = np.asarray(system.curvature_matrix + system.regularization_matrix)[np.ix_(free, free)]
        matrix[np.diag_indices_from(matrix)] *= 1.0 + _APART
        factor = np.linalg.cholesky(matrix)
    else:
        return drawn
    drawn[:, free] += scipy.linalg.solve_triangular(factor, noise[:, free].T, lower=True, trans="T").T
    return drawn


def source_errors(inversion):
    """sqrt diag A^-1, shape (S,), all pixels free."""
    factor = np.asarray(inversion.system.cholesky)
    if not len(factor):
        return np.zeros(0)
    inverse, info = dtrtri(factor.T, lower=0)  # the transpose of a C array is upper triangular in Fortran's order
    if info:
        return np.full(len(factor), np.nan)
    return np.sqrt(np.sum(np.triu(inverse) ** 2, axis=1))


def with_source(one, source):
    """A Reconstruction with another source (S,) in the place of its own, amplitudes of light included."""
    source = np.asarray(source)
    inversion = eqx.tree_at(lambda i: i.system.solution.source, one.inversion, jnp.asarray(source))
    lights = []
    for light in one.lights:
        if light.of.first >= 0:
            fluxes = source[light.of.first : light.of.stop]
            chosen = jnp.zeros(len(source)).at[light.of.first : light.of.stop].set(fluxes)
            image = np.asarray(inversion.mapper.apply(chosen)[one.rows])
            light = Light(light.of, light.profile, fluxes, image)
        lights.append(light)
    return dataclasses.replace(one, inversion=inversion, lights=tuple(lights))


def image_sums(one, pixel_weights=None):
    """Sum over the pixels of a sky of weight x column, for each column of L, shape (S,)."""
    mapper = one.inversion.mapper
    indices, weights = np.asarray(mapper.indices)[one.rows], np.asarray(mapper.weights)[one.rows]
    if pixel_weights is not None:
        weights = weights * np.asarray(pixel_weights)[:, None]
    return np.bincount(indices.ravel(), weights.ravel(), minlength=mapper.n_source)[: mapper.n_source]
