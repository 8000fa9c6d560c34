"""Weights: how far those in the file are from the scatter of the data, and what to do about it."""

import dataclasses
import warnings

import numpy as np

from ..errors import InputError, UVLensWarning
from .stream import VisibilityStream

_FEWEST_PAIRS = 100
_FEWEST_PAIRS_OF_A_BASELINE = 10
_LONGEST_STEP = 2.1
_FLAGGED_IN_EFFECT = 1e-6
_HEAD = 4_000_000
"""Visibilities at the beginning of a stream from which the scale of its weights is measured."""


def weight_from_sigma(path, sigma):
    """1 / sigma^2; 0 and infinity mean flagged, weight 0.

    Raises:
        InputError: negative or NaN.
    """
    sigma = np.asarray(sigma)
    if sigma.dtype.kind not in "fiu":
        raise InputError(f"{path}: sigma must be real numbers, got {sigma.dtype}")
    bad = np.count_nonzero(~(sigma >= 0))
    if bad:
        raise InputError(f"{path}: sigma has {bad} values that are negative or NaN; 0 or infinity means flagged")
    with np.errstate(divide="ignore", over="ignore"):
        return np.where(sigma > 0, sigma.astype(np.float64) ** -2.0, 0.0)


def weight_factor(data):
    """True weight over weight in the file, from the differences of neighbours in time on one baseline.

        d = V_j - V_i,   var(Re d) = var(Im d) = (1/w_i + 1/w_j) / factor
        factor = 1 / mean[d^2 / (1/w_i + 1/w_j)] over Re and Im,   relative error = sqrt(2 / n), n = 2 n_pairs

    Neighbours share antennas, field and frequency and follow each other in time (by at most 2.1 x the median
    step of that baseline) or, where no time is known, in the file. No visibility is in two pairs: the numbers
    are independent. The signal must change little from one to the next.

    Args:
        data: Visibilities.

    Returns:
        (factor, relative_error, n_pairs), or None where it cannot be estimated: antennas unknown, fewer than
        100 pairs, or no scatter at all.
    """
    pairs = _neighbours(data)
    return None if pairs is None else _factor(data, *pairs)


def factors_by_window(data):
    """{spectral window: weight_factor}, None with fewer than two windows or where one of them has no estimate."""
    if data.spw is None or len(np.unique(data.spw)) < 2:
        return None
    windows = np.unique(data.spw[data.weight > 0.0])
    factors = {int(number): weight_factor(data.select(data.spw == number)) for number in windows}
    return None if any(factor is None for factor in factors.values()) else factors


def apply_weights(data, mode):
    """Visibilities with the weights that a fit should use, and a sentence on what was done.

    Args:
        data: Visibilities, or a VisibilityStream, whose factor is measured on its first 4 million and which cannot
            have "differences".
        mode: "file": as they are. "rescale": all of a spectral window multiplied by its `weight_factor`.
            "differences": replaced by what the differences on each antenna pair say, per frequency where that has
            10 pairs or more; an antenna pair with fewer keeps its weights times `weight_factor`. Flagged stays flagged.

    Returns:
        (data, sentence). Where no factor can be estimated the weights stay as they are, with a UVLensWarning.
    """
    if mode not in ("file", "rescale", "differences"):
        raise InputError(f'weights must be "file", "rescale" or "differences", got {mode!r}')
    if mode == "file":
        return data, "weights as in the file"
    if isinstance(data, VisibilityStream):
        return _rescale_stream(data, mode)
    pairs = _neighbours(data)
    measured = None if pairs is None else _factor(data, *pairs)
    if pairs is None or measured is None:
        reason = "no antenna numbers" if pairs is None else f"fewer than {_FEWEST_PAIRS} neighbours that differ"
        sentence = f"weights as in the file: their scale cannot be checked, {reason}"
        warnings.warn(f"{data.name}: {sentence}", UVLensWarning, stacklevel=2)
        return data, sentence
    factor, error, n_pairs = measured
    scale = f"x {factor:.4g} +- {factor * error:.1g} (true over file, from {n_pairs:,} differences)"
    if mode == "rescale":
        windows = factors_by_window(data)
        if windows is None:
            return data.with_weights_scaled(factor), f"weights {scale}"
        weight = np.zeros(len(data))
        for number, (one, _, _) in windows.items():
            weight = np.where(data.spw == number, one * data.weight, weight)
        said = ", ".join(f"spw {number} x {one:.4g} +- {one * e:.1g}" for number, (one, e, _) in windows.items())
        return dataclasses.replace(data, weight=weight), f"weights {said} (true over file, from differences)"
    weight, n_replaced, n_baselines = _weights_of_baselines(data, *pairs, factor)
    sentence = f"weights from the scatter on {n_replaced:,} of {n_baselines:,} baselines; on the whole {scale}"
    return dataclasses.replace(data, weight=weight), sentence


def _rescale_stream(stream, mode):
    """`apply_weights` for data that are not held in memory."""
    if mode == "differences":
        raise InputError(f"{stream.name}: weights by differences need all data in memory; take rescale or file")
    head = stream.head(_HEAD)
    estimate = weight_factor(head)
    if estimate is None:
        _, sentence = apply_weights(head, "rescale")
        return stream, sentence
    factor, error, n_pairs = estimate
    found = f"x {factor:.4g} +- {factor * error:.1g} (true over file, from {n_pairs:,} differences"
    return stream.with_weights_scaled(factor), f"weights {found} in the first {len(head):,} visibilities)"


def _is_usable(data):
    """Not flagged, nor flagged in effect by a sigma that is out of all proportion."""
    return data.weight > _FLAGGED_IN_EFFECT * np.median(data.weight[data.weight > 0.0])


def _neighbours(data):
    """Indices (first, second) of the pairs, or None without antenna numbers."""
    if data.antenna1 is None or data.antenna2 is None:
        return None
    use = np.flatnonzero(_is_usable(data) & (data.antenna1 != data.antenna2))
    keys = [key[use] for key in (data.frequency, data.field, data.antenna2, data.antenna1) if key is not None]
    order = np.lexsort(keys if data.time is None else [data.time[use], *keys])
    use, keys = use[order], [key[order] for key in keys]
    if len(use) < 2:
        return use[:0], use[:0]
    follows = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    if data.time is not None:
        follows &= _is_short_step(np.diff(data.time[use]), follows)
    starts = np.flatnonzero(np.concatenate([[True], ~follows]))
    run = np.concatenate([[0], np.cumsum(~follows)])
    position = np.arange(len(use)) - starts[run]
    first = np.flatnonzero(follows & (position[:-1] % 2 == 0))
    return use[first], use[first + 1]


def _is_short_step(step, follows):
    """Steps of at most 2.1 x the median positive one of their group; groups end where `follows` is not."""
    group = np.concatenate([[0], np.cumsum(~follows)])[:-1]
    positive = np.flatnonzero(follows & (step > 0.0))
    positive = positive[np.lexsort((step[positive], group[positive]))]
    count = np.bincount(group[positive], minlength=group[-1] + 1)
    middle = np.cumsum(count) - count + np.maximum(count - 1, 0) // 2
    median = np.zeros(len(count))
    median[count > 0] = step[positive[middle[count > 0]]]
    return step <= _LONGEST_STEP * median[group]


def _factor(data, first, second):
    n_pairs = len(first)
    if n_pairs < _FEWEST_PAIRS:
        return None
    half_square = 0.5 * np.abs(data.vis[second] - data.vis[first]) ** 2
    mean = np.mean(half_square / (1.0 / data.weight[first] + 1.0 / data.weight[second]))
    return (float(1.0 / mean), float(n_pairs**-0.5), n_pairs) if mean > 0.0 else None


def _weights_of_baselines(data, first, second, factor):
    """Weights from the differences, number of antenna pairs that have enough, number of antenna pairs.

    sigma^2 = sum d^2 / (2 n) over n = 2 n_pairs real numbers. The weight is (1 - 2/n) / sigma^2, because the
    mean of 1 / sigma^2 is too large by 1 / (1 - 2/n).
    """
    half_square = 0.5 * np.abs(data.vis[second] - data.vis[first]) ** 2
    antennas = np.stack([data.antenna1, data.antenna2], axis=1)
    baseline = np.unique(antennas, axis=0, return_inverse=True)[1].ravel()
    groups = [baseline]
    if data.frequency is not None:
        channel = np.unique(data.frequency, return_inverse=True)[1]
        groups.append(np.unique(baseline * (channel.max() + 1) + channel, return_inverse=True)[1])
    weight, usable = data.weight * factor, _is_usable(data)
    replaced = np.zeros(len(data), dtype=bool)
    for group in groups:
        n_pairs = np.bincount(group[first], minlength=group.max() + 1)
        total = np.bincount(group[first], weights=half_square, minlength=group.max() + 1)
        enough = (n_pairs >= _FEWEST_PAIRS_OF_A_BASELINE) & (total > 0.0)
        estimate = 2.0 * (n_pairs - 1.0) / np.where(enough, total, 1.0)
        here = enough[group] & usable
        weight = np.where(here, estimate[group], weight)
        replaced |= here
    return weight, len(np.unique(baseline[replaced])), baseline.max() + 1
