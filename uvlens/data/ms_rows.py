"""From K visibilities to the rows and channels of a measurement set.

A row is one (time, antenna1, antenna2, field, spw), its channels are the frequencies of its window; cells that no
visibility fills are flagged. Three things a table can hold only in a special way:

    channels that never share a row (setups that move in frequency)     become windows of their own
    the same row and channel twice (data sets joined)                   becomes a second row
    u / frequency that differs within a row (averages around flags)     every channel becomes a window of its own
"""

import dataclasses

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError

NEEDED = ("antenna1", "antenna2", "time", "frequency")
_SAME_BASELINE = 1e-3
"""Wavelengths: a phase of 1e-6 rad at 30 arcsec."""
_LARGEST_NUMBER = 65_535


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """R rows of one spectral window of C channels.

    Args:
        number: of the spectral window in the file.
        frequency, width: of the channels, ascending, shape (C,) [Hz].
        where: index of the visibility of each row and channel, -1 where there is none, shape (R, C).
        first: index of one visibility of each row, shape (R,).
    """

    number: int
    frequency: np.ndarray
    width: np.ndarray
    where: np.ndarray
    first: np.ndarray

    def uvw(self, data):
        """u, v, w of the rows [m], shape (R, 3); w = 0 where it is not known."""
        scale = SPEED_OF_LIGHT / data.frequency[self.first]
        w = np.zeros(len(self.first)) if data.w is None else data.w[self.first]
        return np.stack([data.u[self.first], data.v[self.first], w], axis=1) * scale[:, None]


def arrange(data):
    """The windows of Visibilities; rows in order of time, otherwise as they came.

    Raises:
        InputError: no antennas, times or frequencies; numbers that no table has.
    """
    missing = [key for key in NEEDED if getattr(data, key) is None]
    if missing:
        raise InputError(f"{data.name}: a measurement set needs {', '.join(NEEDED)}; there is no {missing[0]}")
    for key in ("antenna1", "antenna2", "field", "spw"):
        values = getattr(data, key)
        if values is not None and not 0 <= values.min() <= values.max() <= _LARGEST_NUMBER:
            found = f"{values.min()} to {values.max()}"
            raise InputError(f"{data.name}: {key} must lie between 0 and {_LARGEST_NUMBER} to be written, got {found}")
    row = _rows(data)
    spw = np.zeros(len(data), np.int64) if data.spw is None else data.spw
    numbers = np.unique(spw)
    spare = int(numbers[-1]) + 1
    windows = []
    for number in numbers:
        members = np.arange(len(data)) if len(numbers) == 1 else np.flatnonzero(spw == number)
        for i, part in enumerate(_apart(row[members], data.frequency[members])):
            for j, window in enumerate(_windows(data, members if part is None else members[part], row)):
                own = i == j == 0
                windows.append(dataclasses.replace(window, number=int(number) if own else spare))
                spare += not own
    return windows


def _rows(data):
    """Number of the row of each visibility, shape (K,), ascending in time, then in order of appearance."""
    keys = [data.time, data.field, data.spw, data.antenna1, data.antenna2]
    keys = [key for key in keys if key is not None]
    changes = np.zeros(len(data), bool)
    changes[0] = True
    for key in keys:
        changes[1:] |= key[1:] != key[:-1]
    starts = np.flatnonzero(changes)
    code, time = np.zeros(len(starts), np.int64), np.empty(0)
    for i, key in enumerate(keys):
        values, number = np.unique(key[starts], return_inverse=True)
        time = number if i == 0 else time
        # numbered afresh after each key, so that no product grows beyond 64 bits
        code = np.unique(code * len(values) + number, return_inverse=True)[1]
    _, first, number = np.unique(code, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, time[first]))] = np.arange(len(first))
    return rank[number][np.cumsum(changes) - 1]


def _apart(row, frequency):
    """Visibilities (boolean, None: all) of each set of channels that is never found in a row with another set."""
    values, channel = np.unique(frequency, return_inverse=True)
    rows, row = np.unique(row, return_inverse=True)
    if len(values) == 1 or len(row) >= len(values) * len(rows):
        return [None]
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(rows) + len(values)
    links = coo_array((np.ones(len(row), bool), (row, len(rows) + channel)), shape=(n, n)).tocsr()
    count, label = connected_components(links, directed=False)
    if count == 1:
        return [None]
    order = list(dict.fromkeys(label[len(rows) :].tolist()))
    return [label[row] == one for one in order]


def _windows(data, members, row):
    """One window of the visibilities `members`, or one a channel where u / frequency differs within a row."""
    frequency, channel = np.unique(data.frequency[members], return_inverse=True)
    _, local = np.unique(row[members], return_inverse=True)
    where = _placed(members, local, channel)
    if np.count_nonzero(where >= 0) < len(members):  # some cells were wanted twice
        repeats = _repeats(local * len(frequency) + channel)
        _, local = np.unique(local * (repeats.max() + 1) + repeats, return_inverse=True)
        where = _placed(members, local, channel)
    first = where[np.arange(len(where)), np.argmax(where >= 0, axis=1)]
    widths = _widths(data, frequency, where)
    window = Window(0, frequency, widths, where, first)
    if _one_baseline_a_row(data, window, members, local):
        return [window]
    singles = []
    for i in range(len(frequency)):
        column = where[where[:, i] >= 0, i]
        singles.append(Window(0, frequency[i : i + 1], widths[i : i + 1], column[:, None], column))
    return singles


def _placed(members, row, channel):
    where = np.full((row.max() + 1, channel.max() + 1), -1, np.int64)
    where[row, channel] = members
    return where


def _repeats(cell):
    """How often each value came before, shape as `cell`."""
    order = np.argsort(cell, kind="stable")
    ordered = cell[order]
    fresh = np.r_[True, ordered[1:] != ordered[:-1]]
    position = np.arange(len(cell))
    repeats = np.empty(len(cell), np.int64)
    repeats[order] = position - np.maximum.accumulate(np.where(fresh, position, 0))
    return repeats


def _one_baseline_a_row(data, window, members, local):
    uvw = window.uvw(data)
    scale = data.frequency[members] / SPEED_OF_LIGHT
    return all(
        np.abs(uvw[local, axis] * scale - values[members]).max() < _SAME_BASELINE
        for axis, values in enumerate((data.u, data.v, data.w))
        if values is not None
    )


def _widths(data, frequency, where):
    """Of the channels [Hz]; where they are not known the spacing, or 1 MHz for a single channel."""
    if data.channel_width is not None:
        sample = where[np.argmax(where >= 0, axis=0), np.arange(len(frequency))]
        width = data.channel_width[sample]
        if np.all(width > 0.0):
            return width
    if len(frequency) == 1:
        return np.array([1e6])
    return np.full(len(frequency), np.diff(frequency).min())
