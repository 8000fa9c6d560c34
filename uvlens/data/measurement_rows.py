"""Rows of a measurement set, a range at a time: no column is ever read as a whole.

Of each range the numbers that a row has are read first, then, for the rows that are wanted and one DATA_DESC_ID after
the other, data, flags, weights and coordinates. Visibilities come range by range, in a range by DATA_DESC_ID, then by
row, channels fastest.
"""

import dataclasses

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from .correlations import total_intensity, usable_weight
from .selection import in_time, on_baselines, show_time
from .tables import Table

_ROW_COLUMNS = {
    "ANTENNA1": "antenna1",
    "ANTENNA2": "antenna2",
    "TIME": "time",
    "INTERVAL": "interval",
    "FIELD_ID": "field",
    "SCAN_NUMBER": "scan",
}
"""One number a row, and what Visibilities calls them."""
_FULL_RANGE = 2**20
"""Rows of which integer columns are read together."""


@dataclasses.dataclass(frozen=True, eq=False)
class Window:
    """What is wanted of a spectral window, and how it is polarised.

    Args:
        number: SPECTRAL_WINDOW_ID.
        frequency, width: of the channels that are wanted [Hz].
        channels: which they are, numbers or slice(None).
        hands: names of the correlations.
    """

    number: int
    frequency: np.ndarray
    width: np.ndarray
    channels: np.ndarray | slice
    hands: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Survey:
    """{number: rows} of the fields, data descriptions and scans that have rows; `crossed` of the fields, where counted,
    without autocorrelations.
    """

    fields: dict[int, int]
    descriptions: dict[int, int]
    scans: dict[int, int]
    crossed: dict[int, int]


def survey(main, count=False):
    """The Survey of a main table; `count` counts the rows of each field that are no autocorrelations."""
    found = {key: np.zeros(0, dtype=np.int64) for key in ("FIELD_ID", "DATA_DESC_ID", "SCAN_NUMBER", "crossed")}
    for start in range(0, main.n_rows, _FULL_RANGE):
        there = slice(start, min(start + _FULL_RANGE, main.n_rows))
        columns = {key: main.column(key, there) for key in ("FIELD_ID", "DATA_DESC_ID", "SCAN_NUMBER")}
        if count:
            cross = main.column("ANTENNA1", there) != main.column("ANTENNA2", there)
            columns["crossed"] = columns["FIELD_ID"][cross]
        for key, values in columns.items():
            found[key] = _add_counts(found[key], np.bincount(np.maximum(values, 0)))
    return Survey(*({int(i): int(counts[i]) for i in np.flatnonzero(counts)} for counts in found.values()))


def read_blocks(source, start, stop):
    """Dicts of arrays of Visibilities, one for each `rows_per_block` rows that have any."""
    main = Table(source.path)
    for first in range(start, stop, source.rows_per_block):
        there = slice(first, min(first + source.rows_per_block, stop))
        numbers = {key: main.column(key, there) for key in (*_ROW_COLUMNS, "DATA_DESC_ID", "FLAG_ROW")}
        keep = _wanted_rows(source, numbers)
        found = []
        for description, window in sorted(source.windows.items()):
            chosen = np.flatnonzero(keep & (numbers["DATA_DESC_ID"] == description))
            if len(chosen):
                arrays = _read_rows(source, main, first, chosen, numbers, window)
                if len(arrays["weight"]):
                    found.append(arrays)
        if found:
            yield found[0] if len(found) == 1 else {key: np.concatenate([a[key] for a in found]) for key in found[0]}


def describe_rows(source):
    """What the rows of the chosen fields have, for a selection that leaves nothing."""
    main = Table(source.path)
    windows, scans, times, distances, n_flagged, n_wanted = set(), set(), [], [], 0, 0
    for first in range(0, main.n_rows, _FULL_RANGE):
        there = slice(first, min(first + _FULL_RANGE, main.n_rows))
        numbers = {key: main.column(key, there) for key in (*_ROW_COLUMNS, "DATA_DESC_ID", "FLAG_ROW")}
        here = np.isin(numbers["FIELD_ID"], source.fields)
        if here.any():
            windows |= set(np.unique(numbers["DATA_DESC_ID"][here]).tolist())
            scans |= set(np.unique(numbers["SCAN_NUMBER"][here]).tolist())
            times += [numbers["TIME"][here].min(), numbers["TIME"][here].max()]
            uvw = main.column("UVW", there)[here & (numbers["ANTENNA1"] != numbers["ANTENNA2"])]
            if len(uvw):
                length = np.hypot(uvw[:, 0], uvw[:, 1])
                distances += [length.min(), length.max()]
        n_wanted += np.count_nonzero(_wanted_rows(source, numbers | {"FLAG_ROW": 0 * numbers["FLAG_ROW"]}))
        n_flagged += np.count_nonzero(_wanted_rows(source, numbers))
    fields = ", ".join(map(str, source.fields))
    if n_wanted and not n_flagged:
        return f"every row of field {fields} that was selected is flagged"
    if not times:
        return f"field {fields} has no rows"
    said = f"field {fields} has scans {', '.join(map(str, sorted(scans)[:40]))}"
    said += f", times {show_time(min(times))}~{show_time(max(times))}"
    if distances:
        frequency = np.concatenate([window.frequency for window in source.windows.values()])
        lengths = min(distances) * frequency.min() / SPEED_OF_LIGHT, max(distances) * frequency.max() / SPEED_OF_LIGHT
        said += f", baselines of {lengths[0]:.4g} to {lengths[1]:.4g} wavelengths"
    missing = set(source.windows) - windows
    return said + (", and no rows in the spectral windows that were selected" if missing == set(source.windows) else "")


def _wanted_rows(source, numbers):
    """Which rows of a range are wanted, shape (rows,)."""
    keep = (numbers["ANTENNA1"] != numbers["ANTENNA2"]) & ~numbers["FLAG_ROW"].astype(bool)
    keep &= np.isin(numbers["FIELD_ID"], source.fields)
    if source.scans is not None:
        keep &= np.isin(numbers["SCAN_NUMBER"], source.scans)
    if source.time is not None:
        keep &= in_time(source.name, source.time, numbers["TIME"])
    if source.baselines is not None:
        keep &= on_baselines(source.baselines, numbers["ANTENNA1"], numbers["ANTENNA2"])
    return keep


def _read_rows(source, main, first, chosen, numbers, window):
    """Arrays of Visibilities for rows of one data description: `chosen` counts from the row `first`."""
    is_range = chosen[-1] - chosen[0] + 1 == len(chosen)
    there = slice(first + int(chosen[0]), first + int(chosen[-1]) + 1) if is_range else first + chosen
    vis = main.column(source.column, there)[:, window.channels]
    flag = main.column("FLAG", there)[:, window.channels].astype(bool)
    weight = usable_weight(_weights(main, there, window.channels, vis.shape), flag | ~np.isfinite(vis))
    vis, weight = total_intensity(source.name, vis, weight, window.hands, source.stokes)
    uvw = main.column("UVW", there)
    u, v, w = (np.outer(uvw[:, i], window.frequency / SPEED_OF_LIGHT).ravel() for i in range(3))

    def each(values):
        return np.broadcast_to(values[chosen, None], vis.shape).ravel()

    arrays = {
        "u": u,
        "v": v,
        "w": w,
        "vis": vis.ravel(),
        "weight": weight.ravel(),
        "frequency": np.broadcast_to(window.frequency, vis.shape).ravel(),
        "channel_width": np.broadcast_to(window.width, vis.shape).ravel(),
        **{name: each(numbers[key]) for key, name in _ROW_COLUMNS.items()},
        "spw": np.full(vis.size, window.number),
    }
    if source.uvrange is None:
        return arrays
    distance = np.hypot(u, v)
    keep = (distance >= source.uvrange[0]) & (distance <= source.uvrange[1])
    return arrays if keep.all() else {key: value[keep] for key, value in arrays.items()}


def _weights(main, there, channels, shape):
    """WEIGHT_SPECTRUM where these rows have one of the data's shape, else WEIGHT for every channel."""
    if "WEIGHT_SPECTRUM" in main.columns:
        try:
            spectrum = main.column("WEIGHT_SPECTRUM", there)[:, channels]
        except (TypeError, ValueError, RuntimeError, IndexError):  # cells that were never written
            spectrum = np.empty(0)
        if spectrum.shape == shape:
            return spectrum
    return np.broadcast_to(main.column("WEIGHT", there)[:, None, :], shape)


def _add_counts(a, b):
    total = np.zeros(max(len(a), len(b)), dtype=np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total
