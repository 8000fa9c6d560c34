"""Noise of dirty images: draws whose covariance is W, from unit noise on the uv cells.

Where calibration nuisances are marginalised the data of a fit are those of C' = C + B Sigma B^T, and the covariance of
their dirty image is W' = W - U^T U (see `normal.nuisances`): W' = R^T R by pivoted Cholesky decomposition, draws R^T e.
"""

import numpy as np

from .conventions import ARCSEC
from .errors import InputError
from .normal.lowrank import factor_of
from .nufft import type1

_TOLERANCE = 1e-8
"""Largest diagonal element of W' - R^T R, in units of the largest of W'."""


class NoiseImages:
    """Draws of noise at the N pixels of a Reduction's mask: a function of a random generator.

    Raises:
        InputError: an image, whose noise is not of visibilities.
    """

    def __init__(self, reduction):
        if getattr(reduction, "kind", "visibilities") == "image":
            raise InputError("mock noise is of visibilities; leave it out for images")
        self._reduction = reduction
        self._factor = factor_of(reduction, _TOLERANCE)[0] if reduction.nuisances else None

    def __call__(self, rng):
        """One draw, shape (N,) [Jy^-1]."""
        if self._factor is not None:
            return rng.normal(size=len(self._factor)) @ self._factor
        return _of_cells(self._reduction, rng)


def noise_image(reduction, rng):
    """One draw of `NoiseImages`, shape (N,) [Jy^-1]."""
    return NoiseImages(reduction)(rng)


def _of_cells(reduction, rng):
    """sum_c sqrt(w_c) Re[e_c exp(-2 pi i u_c . x)] over the uv cells.

    e_c has unit variance in its real and in its imaginary part: the covariance is W up to the width of the cells.
    """
    mask = reduction.mask
    step, total = mask.grid.pixel_scale * ARCSEC, np.zeros(mask.n_pixels)
    for term in reduction.terms:
        cells = term.cells
        coefficients = np.sqrt(cells.weight) * (rng.normal(size=len(cells.u)) + 1j * rng.normal(size=len(cells.u)))
        if reduction.pixel_window:
            coefficients = coefficients * np.sinc(cells.u * step) * np.sinc(cells.v * step)
        image = np.asarray(type1(cells.u, cells.v, coefficients, mask.grid).real)[mask.kept]
        total += image if term.primary_beam is None else image * term.primary_beam
    return total


def noise_variance(reduction):
    """diag W, of marginalised nuisances diag W', shape (N,)."""
    total = np.zeros(reduction.mask.n_pixels)
    for term in reduction.terms:
        peak = term.kernel[term.kernel.shape[0] // 2, term.kernel.shape[1] // 2]
        total += peak if term.primary_beam is None else peak * term.primary_beam**2
    for term in reduction.nuisances:
        total -= np.sum(term.downdate**2, axis=0)
    return np.maximum(total, 0.0)
