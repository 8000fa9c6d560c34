"""Noise that neighbouring channels share: Hanning smoothed spectra, and the weight of their means.

A spectrum smoothed with (1/4, 1/2, 1/4) has noise with the correlations rho_1 = 2/3 and rho_2 = 1/6. The mean of
channels of weights w_i then has

    var = sum_ij rho_|i-j| (w_i w_j)^1/2 / (sum_i w_i)^2     per real part,   not 1 / sum_i w_i.
"""

import dataclasses

import numpy as np

from .bins import NEEDED, Sampling, combined, ranks

_LARGEST = 2_000_000
"""Visibilities of a window that are looked at."""
_FEWEST_PAIRS = 1000
_SIGNIFICANT = 5.0
_SMALLEST = 0.02


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Of the noise of the channels of one spectral window.

    Attributes:
        lags: correlation with the next channel, the one after it, ...
        error: standard error of each.
        n_channels: of the window.
    """

    lags: tuple[float, ...]
    error: float
    n_channels: int

    @property
    def factor(self):
        """By which the summed weight of the whole window is lowered, n / (n + 2 sum_m (n - m) rho_m)."""
        n = self.n_channels
        return n / (n + 2.0 * sum((n - m) * rho for m, rho in enumerate(self.lags, 1)))

    def describe(self):
        """A few words."""
        lags = ", ".join(f"{rho:.3f}" for rho in self.lags)
        is_hanning = len(self.lags) >= 2 and abs(self.lags[0] - 2 / 3) < 0.05 and abs(self.lags[1] - 1 / 6) < 0.05
        return (
            f"the noise of neighbouring channels is correlated ({lags} +- {self.error:.1g}"
            f"{', Hanning smoothing' if is_hanning else ''}): weights of averaged channels are lowered, "
            f"to {self.factor:.3g} of their sum for a whole window"
        )


def channel_correlation(data, sampling=None):
    """{spw: Correlation} of the windows whose neighbouring channels are seen to share noise.

    From differences d of neighbours in time on one baseline, scaled to unit variance, on which a steady signal cancels,

        c_m = mean Re[d_i conj(d_{i+m})],      rho_m = (c_m - c_far) / (c_0 - c_far),

    where c_far is the mean of c_m over larger m: a signal that changes is the same in distant channels, noise is not. A
    correlation counts from 5 standard errors, and from 0.02. Windows of fewer than 4 channels are not looked at.

    Args:
        data: Visibilities; without antennas, times or frequencies there is no estimate.
        sampling: theirs, where it is known.
    """
    if any(getattr(data, key) is None for key in NEEDED):
        return {}
    sampling = Sampling.of(data) if sampling is None else sampling
    found = {}
    for window, n_channels in enumerate(sampling.n_channels):
        if n_channels < 4:
            continue
        chosen = np.flatnonzero(sampling.window == window)[:_LARGEST]
        one = _correlation(_differences(data, sampling, chosen, int(n_channels)))
        if one is not None:
            found[int(data.spw[chosen[0]]) if data.spw is not None else 0] = one
    return found


def corrected_weight(data, sampling, bins, weight, correlation):
    """Weights of averages, (sum w)^2 / sum_ij rho_ij (w_i w_j)^1/2 over pairs of the same time, shape (bins,).

    Args:
        data, sampling: Visibilities before they are averaged, and their Sampling.
        bins: Bins, sorted by time and channel inside a bin.
        weight: sum w, shape (bins,).
        correlation: {spw: Correlation}.
    """
    order, starts, place = bins
    lags = _table(data, sampling, correlation)
    time, channel, window = (getattr(sampling, key)[order] for key in ("integration", "channel", "window"))
    root = np.sqrt(data.weight[order])
    number = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(order))))
    shared = np.zeros(len(order))
    for offset in range(1, lags.shape[1]):
        near, far = slice(None, -offset), slice(offset, None)
        lag = channel[far] - channel[near]
        pair = (number[near] == number[far]) & (time[near] == time[far]) & (lag >= 0) & (lag < lags.shape[1])
        rho = lags[window[near], np.where(pair, lag, 0)]
        shared[near] += np.where(pair, 2.0 * rho * root[near] * root[far], 0.0)
    variance = weight + np.add.reduceat(shared, starts)[place]
    return np.where(weight > 0.0, weight**2 / np.where(variance > 0.0, variance, 1.0), 0.0)


def _table(data, sampling, correlation):
    """Correlation by window and lag, lag 0 not used, shape (windows, longest + 1)."""
    longest = max(len(one.lags) for one in correlation.values())
    table = np.zeros((len(sampling.n_channels), longest + 1))
    numbers = [0] if data.spw is None else np.unique(data.spw)
    for window, number in enumerate(numbers):
        if int(number) in correlation:
            lags = correlation[int(number)].lags
            table[window, 1 : 1 + len(lags)] = lags
    return table


def _differences(data, sampling, chosen, n_channels):
    """Differences of spectra, of unit variance, shape (pairs, channels); NaN where one of the two is flagged."""
    baseline = combined(sampling.scan[chosen], ranks(data.antenna1[chosen])[0], ranks(data.antenna2[chosen])[0])
    row, spectra = ranks(combined(baseline, sampling.integration[chosen]))
    vis = np.full((len(spectra), n_channels), np.nan, dtype=np.complex128)
    variance = np.ones((len(spectra), n_channels))
    use = data.weight[chosen] > 0.0
    where = row[use], sampling.channel[chosen][use]
    vis[where], variance[where] = data.vis[chosen][use], 1.0 / data.weight[chosen][use]
    group = np.empty(len(spectra), dtype=np.int64)
    group[row] = ranks(baseline)[0]
    follows = group[1:] == group[:-1]
    start = np.flatnonzero(np.concatenate([[True], ~follows]))
    position = np.arange(len(spectra)) - np.repeat(start, np.diff(np.append(start, len(spectra))))
    first = np.flatnonzero(follows & (position[:-1] % 2 == 0))
    return (vis[first + 1] - vis[first]) / np.sqrt(variance[first + 1] + variance[first])


def _correlation(difference):
    """Correlation, or None where it is not significant."""
    n_channels = difference.shape[1]
    n_lags = 3 if n_channels >= 8 else 2
    good = np.isfinite(difference)
    value = np.where(good, difference, 0.0)
    products, pairs = [], []
    for lag in range(min(n_channels, n_lags + 9)):
        near, far = slice(None, n_channels - lag), slice(lag, None)
        products.append(float(np.sum((value[:, near] * value[:, far].conj()).real)))
        pairs.append(int(np.count_nonzero(good[:, near] & good[:, far])))
    if min(pairs[: n_lags + 1]) < _FEWEST_PAIRS or products[0] <= 0.0 or sum(pairs[n_lags + 1 :]) == 0:
        return None
    mean = np.array(products) / np.maximum(pairs, 1)
    common = sum(products[n_lags + 1 :]) / sum(pairs[n_lags + 1 :])
    if common >= mean[0]:
        return None
    rho = (mean[1 : n_lags + 1] - common) / (mean[0] - common)
    error = (0.5 / min(pairs[1 : n_lags + 1]) + 0.5 / sum(pairs[n_lags + 1 :])) ** 0.5
    significant = np.abs(rho) > max(_SIGNIFICANT * error, _SMALLEST)
    if not significant[0]:
        return None
    return Correlation(tuple(float(one) for one in rho[: np.flatnonzero(significant)[-1] + 1]), error, n_channels)
