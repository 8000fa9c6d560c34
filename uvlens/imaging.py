"""Dirty images and the synthesised beam: for looking at data, never for fitting them.

I(x) = sum_k w_k Re[V_k exp(-2 pi i u_k.x)] / sum_k w_k   [Jy/beam],     psf(x) the same with V_k = 1

with w_k the statistical weights (natural) or those of `imageweights`.
"""

import dataclasses

import numpy as np
import scipy.optimize

from .conventions import ARCSEC
from .grid import PixelGrid
from .imageweights import image_weights
from .nufft import type1


@dataclasses.dataclass(frozen=True)
class Beam:
    """Gaussian fitted to the main lobe of the synthesised beam.

    Args:
        major, minor: full widths at half maximum [arcsec].
        position_angle: of the major axis, East of North, in [0, 180) deg.
    """

    major: float
    minor: float
    position_angle: float

    @property
    def area(self):
        """pi major minor / (4 ln 2) [arcsec^2]."""
        return np.pi * self.major * self.minor / (4.0 * np.log(2.0))


@dataclasses.dataclass(frozen=True, eq=False)
class DirtyImage:
    """A dirty image with its point spread function.

    Args:
        image: shape `grid.shape` [Jy/beam].
        psf: beam centred on the middle pixel of its own grid, shape `psf_grid.shape`, 1 at the centre.
        grid, psf_grid: PixelGrids.
        beam: fitted Beam.
        noise: rms expected from the statistical weights W, (sum w^2 / W)^1/2 / sum w, for natural ones
            (sum W)^-1/2 [Jy/beam].
    """

    image: np.ndarray
    psf: np.ndarray
    grid: PixelGrid
    psf_grid: PixelGrid
    beam: Beam
    noise: float


def picture_frame(size, cell, center=(0.0, 0.0)):
    """PixelGrid of size x size pixels of `cell` [arcsec] with `center` on a pixel, for even sizes CASA's: size / 2 + 1.

    (FITS counts from 1 and from East to West: the columns of the grid, from West to East, have it at size / 2 - 1.)
    """
    x, y = center
    half = 0.5 * cell if size % 2 == 0 else 0.0
    return PixelGrid((size, size), cell, (x + half, y - half))


def make_image(data, grid, weighting="natural", robust=0.5, taper=None):
    """DirtyImage of one data set, or of several that share a phase centre, on a grid (see `image_weights`)."""
    data_sets = data if isinstance(data, list | tuple) else [data]
    psf_grid = PixelGrid(tuple(n | 1 for n in grid.shape), grid.pixel_scale)
    image, psf, total, variance = np.zeros(grid.shape), np.zeros(psf_grid.shape), 0.0, 0.0
    u, v, statistical = (np.concatenate([getattr(one, key) for one in data_sets]) for key in ("u", "v", "weight"))
    weights = image_weights(u, v, statistical, grid, weighting, robust, taper)
    for one, weight in zip(data_sets, np.split(weights, np.cumsum([len(one) for one in data_sets])[:-1])):
        image += type1(one.u, one.v, weight * one.vis, grid).real
        psf += type1(one.u, one.v, weight, psf_grid).real
        total += float(weight.sum())
        variance += float(np.sum(weight[one.weight > 0.0] ** 2 / one.weight[one.weight > 0.0]))
    psf /= total
    return DirtyImage(image / total, psf, grid, psf_grid, fit_beam(psf, grid.pixel_scale), variance**0.5 / total)


def level(brightness):
    """A noise level [Jy/beam] in words: 27.9 µJy/beam, 1.2 mJy/beam."""
    return f"{1e6 * brightness:.3g} µJy/beam" if brightness < 1e-3 else f"{1e3 * brightness:.3g} mJy/beam"


def framed_psf(dirty):
    """(psf, its grid) with as many pixels as the image, its peak where `picture_frame` has the centre."""
    rows, columns = dirty.grid.shape
    psf = dirty.psf[:rows, dirty.psf.shape[1] - columns :]
    half = [0.5 * dirty.grid.pixel_scale if n % 2 == 0 else 0.0 for n in (columns, rows)]
    return psf, PixelGrid(dirty.grid.shape, dirty.grid.pixel_scale, (half[0], -half[1]))


def synthesized_beam(u, v, weight):
    """Beam of naturally weighted data, from a psf sampled eight times finer than the longest baseline needs."""
    longest = float(np.hypot(u, v).max())
    scale = 1.0 / (8.0 * longest * ARCSEC)
    # the main lobe is as wide as the rms baseline is short
    typical = float(np.sqrt(np.average(u**2 + v**2, weights=weight)))
    side = int(np.clip(6.0 / (typical * ARCSEC) / scale, 33, 257)) | 1
    grid = PixelGrid((side, side), scale)
    psf = type1(u, v, weight, grid).real / weight.sum()
    return fit_beam(psf, scale)


def fit_beam(psf, pixel_scale):
    """Least-squares Gaussian of peak 1 on the pixels above 0.4 that connect to the centre of a psf image."""
    from scipy.ndimage import label

    row, column = (n // 2 for n in psf.shape)
    labels, _ = label(psf > 0.4)
    rows, columns = np.nonzero(labels == labels[row, column])
    x, y = (columns - column) * pixel_scale, (rows - row) * pixel_scale
    values = psf[rows, columns]

    def misfit(form):
        return np.exp(-(form[0] * x**2 + 2.0 * form[1] * x * y + form[2] * y**2)) - values

    width = max(np.hypot(x, y).max(), 0.5 * pixel_scale)
    form = scipy.optimize.least_squares(misfit, [1.0 / width**2, 0.0, 1.0 / width**2]).x
    eigenvalues, vectors = np.linalg.eigh([[form[0], form[1]], [form[1], form[2]]])
    minor, major = (2.0 * np.sqrt(np.log(2.0) / max(value, 1e-300)) for value in eigenvalues[::-1])
    along_x, along_y = vectors[:, 0]
    return Beam(float(major), float(minor), float(np.rad2deg(np.arctan2(along_x, along_y)) % 180.0))
