"""How the weight is spread over baseline lengths; pixel scale and unit of `strength` follow from it."""

import dataclasses

import numpy as np

from ..conventions import ARCSEC

_BINS_PER_E_FOLD = 1000
_LOWEST = np.log(1e-3)
_N_BINS = int(np.ceil((np.log(1e12) - _LOWEST) * _BINS_PER_E_FOLD))


@dataclasses.dataclass(frozen=True, eq=False)
class WeightHistogram:
    """Sum of weights in bins of ln |u|, 0.1 % wide, the same bins for all data: histograms add.

    Args:
        first: number of the first bin that is kept.
        weight: sum of weights per bin from there on [Jy^-2].
    """

    first: int
    weight: np.ndarray

    @staticmethod
    def of(uv_distance, weight):
        """Histogram of baseline lengths [wavelengths] and weights, shapes (K,)."""
        position = (np.log(np.maximum(uv_distance, 1e-3)) - _LOWEST) * _BINS_PER_E_FOLD
        bins = np.minimum(position.astype(np.int64), _N_BINS - 1)
        first = int(bins.min())
        return WeightHistogram(first, np.bincount(bins - first, weights=weight))

    def __add__(self, other):
        first = min(self.first, other.first)
        last = max(self.first + len(self.weight), other.first + len(other.weight))
        total = np.zeros(last - first)
        for part in (self, other):
            start = part.first - first
            total[start : start + len(part.weight)] += part.weight
        return WeightHistogram(first, total)

    def quantile(self, fraction):
        """Baseline length [wavelengths] below which `fraction` of the weight lies, linear inside a bin."""
        cumulative = np.concatenate([[0.0], np.cumsum(self.weight)])
        edge = np.interp(fraction * cumulative[-1], cumulative, np.arange(len(cumulative)))
        return float(np.exp(_LOWEST + (self.first + edge) / _BINS_PER_E_FOLD))

    def pixel_scale(self):
        """1 / (4 u_99.5) [arcsec]: Nyquist frequency over u_99.5 is 2."""
        return 1.0 / (4.0 * self.quantile(0.995) * ARCSEC)
