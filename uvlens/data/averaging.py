"""Averages of visibilities over time, channels, or what each baseline allows."""

import dataclasses
import math
import re

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError
from .bins import Sampling, sort_bins
from .hanning import channel_correlation, corrected_weight
from .smearing import steps_for_tolerance
from .stream import VisibilityStream

CENTROIDS = ("all", "weighted")
_HEAD = 4_000_000
"""Visibilities of a stream from which the correlation of its channels is measured."""
_UNITS = {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}


def average(data, time_bin=None, channel_bin=None, *, centroid="all", correlation="measure"):
    """Weighted means of the visibilities of a bin: one scan of one field, one baseline, one spectral window.

        V = sum_k w_k V_k / sum_k w_k,   w = sum_k w_k     over the unflagged k of the bin

    u, v, w are the means over the bin in metres times the mean frequency / c; u, v, w [m], time and frequency are plain
    means over all its visibilities, flagged ones too, as CASA's mstransform has them; interval and channel width are
    sums. A bin is flagged (weight 0) if all of it is. Bins stand in the order of their first visibilities.

    Args:
        data: Visibilities, or a VisibilityStream: each part is averaged by itself, so that bins end with the part.
        time_bin: longest bin [s], counted from the start of the scan: as many whole integrations as fit; None: none.
        channel_bin: number of channels (int), counted from the first of the window; Hz (float, or text, "10 MHz"): as
            many channels as fit; "spw": all of a window; None: none.
        centroid: "all"; or "weighted": u, v, w [m], time and frequency are weighted means over the unflagged
            visibilities. Where part of a bin is flagged, V then belongs to (u, v) to first order.
        correlation: of the noise of neighbouring channels, by which the weight of their mean is lowered:
            {spw: Correlation}, None: none, or "measure": what `channel_correlation` finds where channels are merged.

    Raises:
        InputError: no antennas, times or frequencies; bins that are no positive numbers.
    """
    time_bin, channel_bin = checked_time_bin(time_bin), checked_channel_bin(channel_bin)
    _check_centroid(centroid)
    if time_bin is None and channel_bin is None:
        return data
    if isinstance(data, VisibilityStream):
        found = stream_correlation(data) if correlation == "measure" and channel_bin is not None else correlation
        return data.map(lambda part: average(part, time_bin, channel_bin, centroid=centroid, correlation=found))
    sampling = Sampling.of(data)
    integrations = None if time_bin is None else sampling.integrations_of(time_bin)[sampling.scan]
    channels = None if channel_bin is None else sampling.channels_of(channel_bin)[sampling.window]
    return _merge(data, sampling, integrations, channels, centroid, correlation)


def average_baselines(
    data, radius, tolerance=1e-3, time_bin=None, channel_bin=None, *, centroid="all", correlation="measure"
):
    """Baseline-dependent averages: each baseline has the bins at which a point at `radius` loses `tolerance`.

    Args:
        data: Visibilities, or a VisibilityStream (part by part).
        radius: from the phase centre [arcsec].
        tolerance: largest loss of amplitude, with what the integrations and channels of the file lose already.
        time_bin, channel_bin: as for `average`, upper limits here; None: none.
        centroid, correlation: as for `average`.

    Raises:
        InputError: as `average`; a radius or tolerance that is not positive.
    """
    time_bin, channel_bin = checked_time_bin(time_bin), checked_channel_bin(channel_bin)
    _check_centroid(centroid)
    if isinstance(data, VisibilityStream):
        found = stream_correlation(data) if correlation == "measure" else correlation
        limits = {"time_bin": time_bin, "channel_bin": channel_bin, "centroid": centroid, "correlation": found}
        return data.map(lambda part: average_baselines(part, radius, tolerance, **limits))
    sampling = Sampling.of(data)
    integrations, channels = steps_for_tolerance(data, sampling, radius, tolerance, time_bin, channel_bin)
    return _merge(data, sampling, integrations, channels, centroid, correlation)


def checked_time_bin(value):
    """Positive seconds, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < math.inf:
        raise InputError(f"a time bin must be a positive number of seconds, got {value!r}")
    return float(value)


def checked_channel_bin(value):
    """A whole number of channels, a float [Hz], "spw", or None."""
    if value is None or value == "spw":
        return value
    number = value
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+\.?\d*(?:e\+?\d+)?)\s*([kMG]?Hz)?\s*", value, re.IGNORECASE)
        if match and match[2]:
            number = float(match[1]) * _UNITS[match[2].lower()]
        elif match:
            number = int(match[1]) if match[1].isdigit() else float(match[1])
    is_number = isinstance(number, int | float | np.number) and not isinstance(number, bool)
    if not is_number or not 0.0 < number < math.inf:
        raise InputError(f'a channel bin must be a number of channels, a width ("10 MHz") or "spw", got {value!r}')
    if isinstance(number, int | np.integer):
        return int(number)
    if number < 1e3:
        raise InputError(f"a channel bin must be a whole number of channels or at least 1000 Hz, got {value!r}")
    return float(number)


def stream_correlation(stream):
    """`channel_correlation` of the beginning of a stream."""
    return channel_correlation(stream.head(_HEAD)) if stream.is_repeatable else None


def _check_centroid(centroid):
    if centroid not in CENTROIDS:
        raise InputError(f"centroid must be one of {', '.join(CENTROIDS)}, got {centroid!r}")


def _merge(data, sampling, integrations, channels, centroid, correlation):
    """The averaged Visibilities; integrations and channels of a bin have shape (K,) or are None."""
    if correlation == "measure":
        correlation = None if channels is None or channels.max() == 1 else channel_correlation(data, sampling)
    bins = sort_bins(data, sampling, integrations, channels)
    order, starts, place = bins
    count = np.diff(np.append(starts, len(order)))[place]

    def total(values):
        return np.add.reduceat(values[order], starts)[place]

    weight = total(data.weight)
    flagged = weight == 0.0
    vis = total(data.weight * data.vis) / np.where(flagged, 1.0, weight)
    share = None
    if centroid == "weighted":
        number = _bin_of(bins)
        share = np.where(flagged[number], 1.0 / count[number], data.weight / np.where(flagged, 1.0, weight)[number])

    def mean(values):
        return total(values) / count if share is None else total(share * values)

    arrays = {"vis": vis, "weight": weight}
    first_frequency, first_time = data.frequency.mean(), data.time.mean()  # small numbers lose no digits
    arrays["frequency"] = first_frequency + mean(data.frequency - first_frequency)
    arrays["time"] = first_time + mean(data.time - first_time)
    for key in ("u", "v", "w"):
        if getattr(data, key) is not None:
            metres = getattr(data, key) * (SPEED_OF_LIGHT / data.frequency)
            arrays[key] = mean(metres) * (arrays["frequency"] / SPEED_OF_LIGHT)
    times = _different_times(sampling.integration, bins)
    if data.interval is not None:
        arrays["interval"] = total(data.interval) / count * times
    if data.channel_width is not None:
        arrays["channel_width"] = total(data.channel_width) / times
    for key in ("antenna1", "antenna2", "field", "spw", "scan"):
        if getattr(data, key) is not None:
            arrays[key] = getattr(data, key)[order[starts]][place]
    if correlation:
        arrays["weight"] = corrected_weight(data, sampling, bins, weight, correlation)
    return dataclasses.replace(data, **arrays)


def _bin_of(bins):
    """Place of the bin of each visibility among the averages, shape (K,)."""
    number = np.empty(len(bins.order), dtype=np.int64)
    rank = np.empty(len(bins.starts), dtype=np.int64)
    rank[bins.place] = np.arange(len(rank))
    number[bins.order] = np.repeat(rank, np.diff(np.append(bins.starts, len(bins.order))))
    return number


def _different_times(integration, bins):
    """How many different times each bin has."""
    sorted_times = integration[bins.order]
    new = np.ones(len(sorted_times), dtype=np.int64)
    new[1:] = sorted_times[1:] != sorted_times[:-1]
    new[bins.starts] = 1
    return np.add.reduceat(new, bins.starts)[bins.place]
