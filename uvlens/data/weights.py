"""Weights: how far those in the file are from the scatter of the data, and what to do about it."""

import dataclasses
import warnings

import numpy as np

from ..errors import InputError, UVLensWarning
from .scatter import LONGEST_RUN, antenna_factors, is_usable, pairs, scatter_in_runs
from .stream import VisibilityStream

_FEWEST = 100
_FEWEST_PAIRS_OF_A_BASELINE = 10
MODES = ("file", "rescale", "antennas", "differences")
_TOO_FEW = f"fewer than {_FEWEST} neighbours that differ"
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
    """True weight over weight in the file, from how visibilities that follow each other in time scatter.

        factor = 2 sum_r n_r / sum_r chi^2_r,   relative error (sum_r n_r)^-1/2

    with chi^2_r about a straight line through each run of up to 8 integrations of one baseline, field and channel (see
    `scatter.scatter_in_runs`), n_r its complex degrees of freedom. Where the source changes too much along the runs,
    so that pairs of neighbours say more than 4 sigma more, or where no time is known and runs may hide gaps, the pairs
    count.

    Args:
        data: Visibilities.

    Returns:
        (factor, relative_error, n): n the independent differences; or None where it cannot be estimated: antennas
        unknown, fewer than 100 of them, or no scatter at all.
    """
    long, short = (_factor(scatter_in_runs(data, longest)) for longest in (LONGEST_RUN, 2))
    if data.time is None or long is None:
        return short
    if short is not None and short[0] > long[0] * (1.0 + 4.0 * short[1]):
        return short
    return long


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
        data: Visibilities, or a VisibilityStream, whose factor is measured on its first 4 million and which can have
            "file" and "rescale" only.
        mode: "file": as they are. "rescale": all of a spectral window multiplied by its `weight_factor`.
            "antennas": w_ij multiplied by a_i a_j, the factors of the antennas in that window (`antenna_factors`).
            "differences": replaced by what the differences on each antenna pair say, per frequency where that has
            10 pairs or more; an antenna pair with fewer keeps its weights times `weight_factor`. Flagged stays flagged.

    Returns:
        (data, sentence). Where no factor can be estimated the weights stay as they are, with a UVLensWarning.
    """
    if mode not in MODES:
        raise InputError(f"weights must be {', '.join(MODES)}, got {mode!r}")
    if mode == "file":
        return data, "weights as in the file"
    if isinstance(data, VisibilityStream):
        return _rescale_stream(data, mode)
    measured = weight_factor(data)
    if measured is None:
        reason = "no antenna numbers" if data.antenna1 is None or data.antenna2 is None else _TOO_FEW
        sentence = f"weights as in the file: their scale cannot be checked, {reason}"
        warnings.warn(f"{data.name}: {sentence}", UVLensWarning, stacklevel=2)
        return data, sentence
    factor, error, n = measured
    scale = f"x {factor:.4g} +- {factor * error:.1g} (true over file, from {n:,} differences)"
    if mode == "antennas":
        return _rescale_antennas(data, scale)
    if mode == "rescale":
        windows = factors_by_window(data)
        if windows is None:
            return data.with_weights_scaled(factor), f"weights {scale}"
        weight = np.zeros(len(data))
        for number, (one, _, _) in windows.items():
            weight = np.where(data.spw == number, one * data.weight, weight)
        said = ", ".join(f"spw {number} x {one:.4g} +- {one * e:.1g}" for number, (one, e, _) in windows.items())
        return dataclasses.replace(data, weight=weight), f"weights {said} (true over file, from differences)"
    weight, n_replaced, n_baselines = _weights_of_baselines(data, *pairs(data), factor)
    sentence = f"weights from the scatter on {n_replaced:,} of {n_baselines:,} baselines; on the whole {scale}"
    return dataclasses.replace(data, weight=weight), sentence


def _rescale_antennas(data, scale):
    """`apply_weights` with "antennas": a_i a_j of each spectral window."""
    weight, found = data.weight.copy(), []
    windows = [np.ones(len(data), bool)] if data.spw is None else [data.spw == n for n in np.unique(data.spw)]
    for which in windows:
        if not np.any(data.weight[which] > 0.0):
            continue
        part = data.select(which)
        estimate = antenna_factors(part, 2 if part.time is None else LONGEST_RUN)
        if estimate is None:
            sentence = f"weights as in the file: {_TOO_FEW} to tell the antennas apart; on the whole {scale}"
            warnings.warn(f"{data.name}: {sentence}", UVLensWarning, stacklevel=3)
            return data, sentence
        antennas, factors, errors = estimate
        by_number = np.full(max(part.antenna1.max(), part.antenna2.max()) + 1, float(np.median(factors)))
        by_number[antennas] = factors
        weight[which] *= by_number[part.antenna1] * by_number[part.antenna2]
        found.append((factors, errors))
    factors, errors = (np.concatenate(parts) for parts in zip(*found))
    low, middle, high = np.quantile(factors**2, [0.0, 0.5, 1.0])
    sentence = f"weights x a_i a_j by antenna, a^2 from {low:.3g} to {high:.3g} (median {middle:.4g}, each known to "
    sentence += f"{200.0 * np.median(errors):.2g} %); on the whole {scale}"
    return dataclasses.replace(data, weight=weight), sentence


def _rescale_stream(stream, mode):
    """`apply_weights` for data that are not held in memory."""
    if mode != "rescale":
        raise InputError(f"{stream.name}: weights by {mode} need all data in memory; take rescale or file")
    head = stream.head(_HEAD)
    estimate = weight_factor(head)
    if estimate is None:
        _, sentence = apply_weights(head, "rescale")
        return stream, sentence
    factor, error, n_pairs = estimate
    found = f"x {factor:.4g} +- {factor * error:.1g} (true over file, from {n_pairs:,} differences"
    return stream.with_weights_scaled(factor), f"weights {found} in the first {len(head):,} visibilities)"


def _factor(runs):
    """(factor, relative error, n) of runs, or None."""
    if runs is None or runs[1].sum() < _FEWEST or not runs[0].sum() > 0.0:
        return None
    n = runs[1].sum()
    return float(2.0 * n / runs[0].sum()), float(n**-0.5), int(n)


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
    weight, usable = data.weight * factor, is_usable(data)
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
