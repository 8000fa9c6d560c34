"""Weights of visibilities in an image: natural, uniform, Briggs, with a Gaussian taper (Briggs 1995).

With G the sum of the statistical weights w, conjugate visibilities included, in the cell of the uv plane that a
visibility falls in (cells of 1 / (n dx), n pixels of dx):

    natural   w
    uniform   w / G
    briggs    w / (1 + G f^2),   f^2 = (5 10^-R)^2 / (sum over cells of G^2 / (2 sum w)),   R from -2 to 2

They shape the beam of a picture and lose sensitivity; a fit always uses w.
"""

import numpy as np

from .conventions import ARCSEC
from .errors import InputError

WEIGHTINGS = ("natural", "uniform", "briggs")


def image_weights(u, v, weight, grid, weighting="natural", robust=0.5, taper=None):
    """Weights for an image on a grid, shape (K,).

    Args:
        u, v: wavelengths, shape (K,).
        weight: 1 / sigma^2, shape (K,).
        grid: PixelGrid of the image: its width sets the cells of the uv plane (CASA's rule, floor(u n dx) + n / 2).
        weighting: "natural", "uniform" or "briggs".
        robust: R of Briggs' weights.
        taper: full width at half maximum of the Gaussian the image is smoothed with [arcsec], or None.

    Raises:
        InputError: an unknown weighting, robust outside -2 .. 2, a taper that is not positive.
    """
    if weighting not in WEIGHTINGS:
        raise InputError(f"weighting must be one of {', '.join(WEIGHTINGS)}, got {weighting!r}")
    if not -2.0 <= robust <= 2.0:
        raise InputError(f"robust must lie between -2 and 2, got {robust}")
    if weighting != "natural":
        total = _sum_in_cell(u, v, weight, grid)
        if weighting == "uniform":
            weight = weight / total[0]
        else:
            factor = (5.0 * 10.0**-robust) ** 2 / (total[1] / (2.0 * np.sum(weight)))
            weight = weight / (1.0 + total[0] * factor)
    if taper is not None:
        if not taper > 0.0:
            raise InputError(f"taper must be a positive number of arcsec, got {taper}")
        # the transform of exp(-4 ln 2 x^2 / taper^2)
        weight = weight * np.exp(-((np.pi * taper * ARCSEC) ** 2) * (u**2 + v**2) / (4.0 * np.log(2.0)))
    return weight


def _sum_in_cell(u, v, weight, grid):
    """(G at each visibility, sum over cells of G^2)."""
    rows, columns = grid.shape
    step = grid.pixel_scale * ARCSEC

    def cell(u, v):
        return np.floor(v * rows * step).astype(np.int64) * 2**32 + np.floor(u * columns * step).astype(np.int64)

    both = np.concatenate([cell(u, v), cell(-u, -v)])
    _, number = np.unique(both, return_inverse=True)
    total = np.bincount(number, weights=np.concatenate([weight, weight]))
    return total[number[: len(u)]], float(np.sum(total**2))
