"""Which visibilities are averaged together: numbers of groups, integrations and channels, and of the bins in them."""

import dataclasses
from typing import NamedTuple

import numpy as np

from ..errors import InputError

NEEDED = ("antenna1", "antenna2", "time", "frequency")
_LONGEST_GAP = 4.0
"""Integrations without data after which a new scan begins, where the file numbers none."""


def ranks(values):
    """(index of each value in the sorted different ones, those)."""
    if values[0] == values[-1] and np.all(values == values[0]):
        return np.zeros(len(values), dtype=np.int64), values[:1]
    different = np.unique(values)
    return np.searchsorted(different, values), different


def combined(*columns):
    """One whole number for each different combination, in the order of the columns; columns hold numbers >= 0."""
    key = np.zeros(len(columns[0]), dtype=np.int64)
    size = 1
    for column in columns:
        n = int(column.max()) + 1
        if size * n >= 2**62:
            key, different = ranks(key)
            size = len(different)
        key *= n
        key += column
        size *= n
    return key


@dataclasses.dataclass(frozen=True, eq=False)
class Sampling:
    """K visibilities by scan, window, integration and channel.

    Attributes:
        scan: number of the scan of one field, shape (K,).
        window: number of the spectral window, shape (K,).
        integration: number of the time among all different times, shape (K,).
        channel: number of the channel in its window, shape (K,).
        n_channels: of each window.
        width: of a channel, by window [Hz].
        start, length: of a scan, by scan [s].
        interval: of an integration, by scan [s].
    """

    scan: np.ndarray
    window: np.ndarray
    integration: np.ndarray
    channel: np.ndarray
    n_channels: np.ndarray
    width: np.ndarray
    start: np.ndarray
    length: np.ndarray
    interval: np.ndarray

    @staticmethod
    def of(data):
        """Of Visibilities.

        Where the file numbers no scans, a new one begins after a gap of 4 integrations; without intervals they are the
        median step in time, without widths the median step in frequency.

        Raises:
            InputError: antennas, times or frequencies are not known.
        """
        missing = [key for key in NEEDED if getattr(data, key) is None]
        if missing:
            raise InputError(f"{data.name}: averaging needs {', '.join(NEEDED)}; it has no {', '.join(missing)}")
        integration, times = ranks(data.time)
        step = _median_step(times)
        scan = _scans(data, integration, times, step)
        window = _numbers(data.spw, len(data))
        channel, n_channels, width = _channels(data, window)
        start, end, interval = _extent_of_scans(data, scan, step)
        return Sampling(scan, window, integration, channel, n_channels, width, start, end - start, interval)

    def integrations_of(self, time_bin):
        """Integrations in a bin of at most `time_bin` seconds, at least 1; by scan."""
        return np.maximum(1, np.floor(time_bin / np.maximum(self.interval, 1e-9) + 1e-6)).astype(np.int64)

    def channels_of(self, channel_bin):
        """Channels in a bin; by window.

        Args:
            channel_bin: "spw" (all of them), a whole number of channels, or a float [Hz]: as many as fit into it.
        """
        if channel_bin == "spw":
            return self.n_channels
        if isinstance(channel_bin, int | np.integer):
            return np.minimum(int(channel_bin), self.n_channels)
        fits = np.floor(channel_bin / np.maximum(self.width, 1e-9) + 1e-6).astype(np.int64)
        return np.clip(fits, 1, self.n_channels)


class Bins(NamedTuple):
    """Visibilities sorted by bin, inside it by time and channel.

    Attributes:
        order: indices, shape (K,).
        starts: where a bin begins in `order`, shape (bins,).
        place: bins in the order of their first visibilities in the data, shape (bins,).
    """

    order: np.ndarray
    starts: np.ndarray
    place: np.ndarray


def sort_bins(data, sampling, integrations, channels):
    """Bins of Visibilities.

    Args:
        sampling: theirs.
        integrations: in a bin counted from the start of the scan, broadcast to (K,); None: none are averaged.
        channels: in a bin counted from the first of the window, broadcast to (K,); None: none are averaged.
    """
    slot = sampling.integration
    if integrations is not None:
        length = integrations * np.maximum(sampling.interval, 1e-9)[sampling.scan]
        slot = np.floor((data.time - sampling.start[sampling.scan]) / length).astype(np.int64)
        np.clip(slot, 0, None, out=slot)
    group = sampling.channel if channels is None else sampling.channel // channels
    baseline = (_numbers(data.antenna1, len(data)), _numbers(data.antenna2, len(data)))
    key = combined(sampling.scan, *baseline, sampling.window, slot, group)
    order = np.argsort(key, kind="stable")
    key = key[order]
    same = key[1:] == key[:-1]
    del key
    inner = combined(sampling.integration, sampling.channel)
    if np.any(same & (np.diff(inner[order]) < 0)):
        order = np.lexsort((inner, combined(sampling.scan, *baseline, sampling.window, slot, group)))
    starts = np.flatnonzero(np.concatenate([[True], ~same]))
    first = np.minimum.reduceat(order, starts)
    return Bins(order, starts, np.argsort(first, kind="stable"))


def _numbers(values, n):
    return np.zeros(n, dtype=np.int64) if values is None else ranks(values)[0]


def _scans(data, integration, times, step):
    field = _numbers(data.field, len(data))
    if data.scan is not None:
        scan = _numbers(data.scan, len(data))
    else:
        long = step if data.interval is None else float(np.median(data.interval))
        scan = np.concatenate([[0], np.cumsum(np.diff(times) > _LONGEST_GAP * long)]).astype(np.int64)[integration]
    return ranks(combined(field, scan))[0]


def _channels(data, window):
    """(channel in the window, by visibility; number of channels and median width, by window)."""
    number, frequencies = ranks(data.frequency)
    used = np.zeros((int(window.max()) + 1, len(frequencies)), dtype=bool)
    used[window, number] = True
    index = np.cumsum(used, axis=1) - 1
    width = np.array([_median_step(frequencies[row]) for row in used])
    if data.channel_width is not None:
        width = np.zeros(len(used))
        np.maximum.at(width, window, data.channel_width)
    return index[window, number], used.sum(axis=1), width


def _extent_of_scans(data, scan, step):
    """(start, end, length of an integration [s]) by scan."""
    n = int(scan.max()) + 1
    interval = np.full(n, step)
    if data.interval is not None:
        interval[:] = np.inf
        np.minimum.at(interval, scan, data.interval)
    start, end = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(start, scan, data.time)
    np.maximum.at(end, scan, data.time)
    return start - 0.5 * interval, end + 0.5 * interval, interval


def _median_step(values):
    """Between neighbours of sorted values; 0 for one."""
    return float(np.median(np.diff(values))) if len(values) > 1 else 0.0
