"""A Selection on Visibilities that are in memory, for formats that cannot leave rows out while they read.

Channels are numbered in each spectral window in the order in which their frequencies first come up, which is that of
the telescope in a file that was converted from one.
"""

import numpy as np

from ..errors import InputError
from .selection import choose, chosen_channels, in_time, on_baselines, resolve_baselines, show_time


def select_visibilities(name, data, selection):
    """The visibilities of a selection.

    Args:
        name: of the file.
        data: Visibilities.
        selection: Selection.

    Raises:
        InputError: the file does not have the information, an item that is not there, nothing left or all flagged.
    """
    keep = _Chooser(name, selection, data).keep(data)
    if not keep.any():
        raise InputError(f"{name}: no visibilities left of {len(data):,}; {_describe(data, selection)}")
    if not np.any(data.weight[keep] > 0.0):
        raise InputError(f"{name}: all {np.count_nonzero(keep)} visibilities of the selection are flagged")
    return data if keep.all() else data.select(keep)


def select_parts(name, parts, selection):
    """The same, part by part; that a number never comes up is not an error, as long as something is left."""
    chooser, is_empty, last = _Chooser(name, selection), True, None
    for part in parts:
        keep, last = chooser.keep(part), part
        if np.any(part.weight[keep] > 0.0):
            is_empty = False
            yield part if keep.all() else part.select(keep)
    if is_empty and last is not None:
        raise InputError(f"{name}: no visibilities left of the selection; at its end {_describe(last, selection)}")


class _Chooser:
    """Says what to keep of one part after the other; `whole` where all data are known, so that items can be missing."""

    def __init__(self, name, selection, whole=None):
        self._name, self._selection, self._whole = name, selection, whole
        self._channels = {}

    def keep(self, data):
        """Which visibilities are wanted, shape (K,)."""
        selection, keep = self._selection, np.ones(len(data), dtype=bool)
        for key in ("field", "spw", "scan"):
            items = getattr(selection, key)
            if items is not None:
                numbers = self._array(data, key)
                there = dict.fromkeys(np.unique(numbers).tolist(), "")
                keep &= np.isin(numbers, self._chosen(key, items, there))
        if selection.time is not None:
            keep &= in_time(self._name, selection.time, self._array(data, "time"))
        if selection.baseline is not None:
            antennas = self._array(data, "antenna1", "baseline"), self._array(data, "antenna2", "baseline")
            keep &= on_baselines(self._baselines(antennas), *antennas)
        if selection.uvrange is not None:
            distance = data.uv_distance
            keep &= (distance >= selection.uvrange[0]) & (distance <= selection.uvrange[1])
        if selection.channel is not None:
            keep &= self._on_channels(data)
        return keep

    def _array(self, data, key, asked=None):
        values = getattr(data, key)
        if values is None:
            raise InputError(f"{self._name}: has no {key}, so {asked or key} cannot be selected")
        return values

    def _chosen(self, what, items, there):
        if self._whole is None:
            there = dict.fromkeys([*there, *_numbers_of(self._name, what, items, there)], "")
        return choose(self._name, what, items, there)

    def _baselines(self, antennas):
        there = dict.fromkeys(np.unique(np.concatenate(antennas)).tolist(), "")
        if self._whole is None:
            for _, first, second in self._selection.baseline:
                asked = (*first, *(second or ()))
                there |= dict.fromkeys(_numbers_of(self._name, "antenna", asked, there), "")
        return resolve_baselines(self._name, self._selection.baseline, there)

    def _on_channels(self, data):
        windows = np.zeros(len(data), dtype=np.int64) if data.spw is None else data.spw
        frequency, number = self._array(data, "frequency", "channel"), np.empty(len(data), dtype=np.int64)
        for window in np.unique(windows).tolist():
            here = windows == window
            known = self._channels.setdefault(window, [])
            values, first, inverse = np.unique(frequency[here], return_index=True, return_inverse=True)
            known += [value for value in values[np.argsort(first)].tolist() if value not in known]
            number[here] = np.array([known.index(value) for value in values.tolist()])[inverse]
        counts = {window: len(known) for window, known in self._channels.items()}
        if self._whole is None:  # channels may still come
            asked = [item for _, items in self._selection.channel for item in items]
            most = 1 + max(max(item) if isinstance(item, tuple) else item for item in asked)
            counts = {window: max(n, most) for window, n in counts.items()}
            asked_windows = [window for window, _ in self._selection.channel if window is not None]
            named = _numbers_of(self._name, "spw", asked_windows, counts)
            counts |= {window: most for window in named if window not in counts}
        masks = chosen_channels(self._name, self._selection.channel, counts, {})
        keep = np.zeros(len(data), dtype=bool)
        for window, mask in masks.items():
            keep |= (windows == window) & mask[np.minimum(number, len(mask) - 1)]
        return keep


def _numbers_of(name, what, items, there):
    """The numbers among items, taken to be there; of a range those at its ends, a name is an error."""
    numbers = []
    for item in items:
        if isinstance(item, str):
            raise InputError(f"{name}: there is no {what} {item!r}; it has numbers, {', '.join(map(str, there))}")
        numbers += list(item) if isinstance(item, tuple) else [item]
    return numbers


def _describe(data, selection):
    """What is there of what was asked for."""
    said = []
    for key in ("field", "spw", "scan"):
        if getattr(selection, key) is not None and getattr(data, key) is not None:
            said.append(f"{key} {', '.join(map(str, np.unique(getattr(data, key))[:40]))}")
    if selection.time is not None and data.time is not None:
        said.append(f"times {show_time(data.time.min())}~{show_time(data.time.max())}")
    if selection.baseline is not None and data.antenna1 is not None and data.antenna2 is not None:
        numbers = np.unique(np.concatenate([data.antenna1, data.antenna2]))
        said.append(f"antennas {', '.join(map(str, numbers[:40]))}")
    distance = data.uv_distance
    said.append(f"baselines of {distance.min():.4g} to {distance.max():.4g} wavelengths")
    return "it has " + "; ".join(said)
