"""Where a data set has emission, quickly and without a lens: CLEAN, and the best sky on a set of pixels.

    d~(x) = sum_k w_k Re[V_k exp(-2 pi i u_k.x)],   sigma(d~) = (sum_k w_k)^1/2,   W(x) = sum_k w_k cos 2 pi u_k.x

For warnings, proposals and pictures; a fit uses none of it.
"""

import dataclasses

import numpy as np
import scipy.fft

from .conventions import ARCSEC
from .grid import PixelGrid
from .imaging import Beam, fit_beam
from .nufft import type1

_EPS = 1e-7
"""Accuracy of the transforms: far below the noise of an image."""


@dataclasses.dataclass(frozen=True, eq=False)
class DirtySums:
    """The naturally weighted dirty image of data, and all that is needed to know the sidelobes of a sky.

    Args:
        grid: PixelGrid.
        dirty: d~, shape `grid.shape` [Jy^-1].
        kernel: W of pixel offsets, zero in the middle, shape (2 rows - 1, 2 columns - 1) [Jy^-2].
    """

    grid: PixelGrid
    dirty: np.ndarray
    kernel: np.ndarray

    @property
    def sum_weight(self):
        """sum_k w_k [Jy^-2]."""
        rows, columns = self.grid.shape
        return float(self.kernel[rows - 1, columns - 1])

    @property
    def noise(self):
        """(sum_k w_k)^-1/2 [Jy/beam]."""
        return self.sum_weight**-0.5

    def signal_to_noise(self, sky=None):
        """d~ / sigma(d~), less what a sky [Jy/pixel] makes of it, shape `grid.shape`."""
        rest = self.dirty if sky is None else self.dirty - convolve(self.kernel, sky)
        return rest / self.sum_weight**0.5

    def beam(self):
        """Fitted Beam."""
        return fit_beam(self.kernel / self.sum_weight, self.grid.pixel_scale)


def dirty_sums(data, grid):
    """DirtySums of Visibilities, or of a stream of them, on a grid."""
    wide = PixelGrid(tuple(2 * n - 1 for n in grid.shape), grid.pixel_scale)
    dirty, kernel = 0.0, 0.0
    for part in [data] if hasattr(data, "vis") else data:
        dirty = dirty + type1(part.u, part.v, part.weight * part.vis, grid, eps=_EPS).real
        kernel = kernel + type1(part.u, part.v, part.weight, wide, eps=_EPS).real
    return DirtySums(grid, np.asarray(dirty), np.asarray(kernel))


def survey_grid(data, width, center=(0.0, 0.0), largest=384):
    """(data, grid) to look over a field: two and a half pixels per u_99.5 fringe.

    Where that takes more than `largest` pixels a side, the long baselines are left out until it does not, down to a
    quarter of the weight; then the field gets smaller.

    Args:
        data: Visibilities.
        width: of the field [arcsec].
        center: of the field (x, y) [arcsec].
    """
    from .data.coverage import WeightHistogram

    histogram = WeightHistogram.of(data.uv_distance, data.weight)
    longest = min(histogram.quantile(0.995), largest / (2.5 * width * ARCSEC))
    longest = max(longest, histogram.quantile(0.25))
    if longest < histogram.quantile(0.99):
        data = data.select(data.uv_distance <= longest)
    scale = 1.0 / (2.5 * longest * ARCSEC)
    side = scipy.fft.next_fast_len(int(np.clip(np.ceil(width / scale), 16, largest)))
    return data, PixelGrid((side, side), scale, center)


def convolve(kernel, sky):
    """sum_j kernel(x_i - x_j) sky_j, shape of `sky`; kernel of shape (2 rows - 1, 2 columns - 1)."""
    rows, columns = sky.shape
    return _Convolution(kernel)(sky)[:rows, :columns]


class _Convolution:
    """Products with one kernel of offsets."""

    def __init__(self, kernel):
        self._rows, self._columns = ((n + 1) // 2 for n in kernel.shape)
        # as large as the kernel: what wraps around never reaches the pixels
        self._shape = tuple(scipy.fft.next_fast_len(n, real=True) for n in kernel.shape)
        rolled = np.zeros(self._shape)
        rolled[: kernel.shape[0], : kernel.shape[1]] = kernel
        rolled = np.roll(rolled, (1 - self._rows, 1 - self._columns), axis=(0, 1))
        self._transform = scipy.fft.rfft2(rolled)

    def __call__(self, sky):
        product = self._transform * scipy.fft.rfft2(sky, self._shape)
        return scipy.fft.irfft2(product, self._shape)[: self._rows, : self._columns]


def sky_on_pixels(sums, kept, limit=1.5, most=200):
    """A sky [Jy/pixel] on some pixels that leaves nothing there: conjugate gradients on W s = d~ from s = 0.

    Args:
        sums: DirtySums.
        kept: where emission may be, boolean, shape `grid.shape`.
        limit: of what is left on those pixels [sigma].
        most: iterations.

    Returns:
        Sky of shape `grid.shape`, 0 elsewhere.
    """
    rows, columns = (np.flatnonzero(kept.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = kept[box]
    middle = [n // 2 for n in sums.kernel.shape]
    reach = [n - 1 for n in inside.shape]
    kernel = sums.kernel[tuple(slice(m - n, m + n + 1) for m, n in zip(middle, reach))]
    product = _Convolution(kernel)
    sky, rest = np.zeros(inside.shape), np.where(inside, sums.dirty[box], 0.0)
    direction, square, sigma = rest.copy(), float(np.sum(rest**2)), sums.sum_weight**0.5
    for _ in range(most):
        if np.abs(rest).max() < limit * sigma:
            break
        image = np.where(inside, product(direction), 0.0)
        step = square / float(np.sum(direction * image))
        sky += step * direction
        rest -= step * image
        square, before = float(np.sum(rest**2)), square
        direction = rest + square / before * direction
    whole = np.zeros(kept.shape)
    whole[box] = sky
    return whole


@dataclasses.dataclass(frozen=True, eq=False)
class CleanImage:
    """What CLEAN made of a dirty image.

    Args:
        grid: PixelGrid.
        components: shape `grid.shape` [Jy/pixel].
        residual: shape `grid.shape` [Jy/beam].
        image: components seen through the fitted beam, plus the residual [Jy/beam].
        beam: Beam.
        noise: of the dirty image [Jy/beam].
    """

    grid: PixelGrid
    components: np.ndarray
    residual: np.ndarray
    image: np.ndarray
    beam: Beam
    noise: float


def clean(sums, threshold=3.0, gain=0.1, most=5000, inside=None):
    """Hogbom's CLEAN of the whole grid or a window, positive components only.

    Args:
        sums: DirtySums.
        threshold: where it stops [sigma].
        gain: of the peak that a component takes.
        most: components.
        inside: boolean, shape `grid.shape`, where components may lie; None: everywhere.
    """
    (rows, columns), total = sums.grid.shape, sums.sum_weight
    rest, kernel = sums.dirty / total, sums.kernel / total
    rest, components = rest.copy(), np.zeros_like(rest)
    allowed = None if inside is None else np.where(inside, 0.0, -np.inf)
    for _ in range(most):
        index = int(np.argmax(rest if allowed is None else rest + allowed))
        row, column = divmod(index, columns)
        peak = rest[row, column]
        if peak < threshold * sums.noise:
            break
        components[row, column] += gain * peak
        rest -= (
            gain * peak * kernel[rows - 1 - row : 2 * rows - 1 - row, columns - 1 - column : 2 * columns - 1 - column]
        )
    beam = sums.beam()
    restored = rest + convolve(gaussian_kernel(beam, sums.grid), components)
    return CleanImage(sums.grid, components, rest, restored, beam, sums.noise)


def gaussian_kernel(beam, grid):
    """A beam's Gaussian, 1 in the middle, at the pixel offsets of a grid, shape (2 rows - 1, 2 columns - 1)."""
    wide = PixelGrid(tuple(2 * n - 1 for n in grid.shape), grid.pixel_scale)
    x, y = wide.coordinates()
    angle = np.deg2rad(beam.position_angle)
    along, across = x * np.sin(angle) + y * np.cos(angle), x * np.cos(angle) - y * np.sin(angle)
    return np.exp(-4.0 * np.log(2.0) * ((along / beam.major) ** 2 + (across / beam.minor) ** 2))
