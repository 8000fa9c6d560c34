"""Writing a measurement set (version 2) through arcae, for CASA and for `read`.

Stokes I becomes two hands XX and YY, each with V and half the weight, so that their weighted mean has V and w again.
UVW are in metres, the sign of V is as it is. What the data do not know is filled in: interval by the smallest step of
time, width of channels by their spacing, w by 0, antenna positions by one place, times of another origin (seconds since
transit, Julian dates) by modified Julian dates.
"""

import shutil
from pathlib import Path

import numpy as np

from ..errors import InputError
from .ms_rows import arrange
from .ms_tables import write_subtables

BLOCK = 2**20
"""Visibilities written together."""
_NEEDS_ARCAE = "writing a measurement set needs arcae: pip install arcae"
_DAY = 86400.0
_FIRST_DAY = 59000.0 * _DAY
"""Added to times that count from another origin: 2020-05-31."""
_JULIAN = 2400000.5 * _DAY
_TILED = {"DATA": 2, "FLAG": 2, "WEIGHT": 1, "SIGMA": 1, "WEIGHT_SPECTRUM": 2}
"""Columns whose cells have the shape of their window, and their number of axes."""
_TILE_BYTES = 2**20


def write(data, path, *, telescope="UNKNOWN"):
    """Write Visibilities as a measurement set; a measurement set of that name is replaced, once the new one is whole.

    Args:
        data: Visibilities with antennas, times and frequencies.
        path: of its folder.
        telescope: name in the table OBSERVATION; CASA takes its primary beam from it where it knows it.

    Raises:
        InputError: arcae is not installed; the data have no antennas, times or frequencies; something else of that
            name; a disk that is full.
    """
    path = Path(path)
    check_target(path)
    windows = arrange(data)
    with replacing(path) as partial:
        _write_tables(partial, data, windows, telescope)


def check_target(path):
    """Refuse whatever is there already, telescope data above all, and a machine without arcae."""
    path = Path(path)
    arcae_tables()
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        what = "a measurement set" if (path / "table.dat").is_file() else "something else"
        raise InputError(f"{path}: {what} is there, and is not overwritten; remove it or give another name")


def arcae_tables():
    """The module of arcae with its tables."""
    try:
        import arcae  # noqa: F401  (loads the libraries that its tables need)
        from arcae.lib import arrow_tables
    except ImportError:
        raise InputError(_NEEDS_ARCAE) from None
    return arrow_tables


class replacing:
    """A folder beside `path` to write to; it takes the place of `path` at the end, and goes away after an error."""

    def __init__(self, path):
        self._path = path
        self._partial = path.with_name(f"{path.name}.partial")

    def __enter__(self):
        shutil.rmtree(self._partial, ignore_errors=True)
        return self._partial

    def __exit__(self, kind, error, traceback):
        if error is None:
            old = self._path.with_name(f"{self._path.name}.old")
            shutil.rmtree(old, ignore_errors=True)
            if self._path.exists():
                self._path.rename(old)
            self._partial.rename(self._path)
            shutil.rmtree(old, ignore_errors=True)
            return
        shutil.rmtree(self._partial, ignore_errors=True)
        if is_library_error(error):
            raise InputError(f"{self._path}: cannot be written: {first_line(error)}") from error


def is_library_error(error):
    """Whether an exception came out of arcae or the file system."""
    import pyarrow

    return isinstance(error, pyarrow.lib.ArrowException | RuntimeError | OSError)


def first_line(error):
    """Of its message."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _write_tables(path, data, windows, telescope):
    tables = arcae_tables()
    time = modified_julian(data.time)
    description, managers = _main_layout(tables, windows, _spectra_needed(data, windows))
    with tables.Table.ms_from_descriptor(str(path), "MAIN", description, managers) as main:
        _write_main(main, data, windows, time)
    write_subtables(path, tables, data, windows, (float(time.min()), float(time.max())), telescope)


def _main_layout(tables, windows, with_spectrum):
    """(columns, storage managers) of the main table."""
    complete = tables.ms_descriptor("MAIN", complete=True)
    description = tables.ms_descriptor("MAIN", complete=False)
    tiled = {key: axes for key, axes in _TILED.items() if with_spectrum or key != "WEIGHT_SPECTRUM"}
    channels = max(len(window.frequency) for window in windows)
    managers = {}
    for i, (column, axes) in enumerate(tiled.items(), 1):
        description[column], managers[f"*{i}"] = tiled_column(complete[column], column, axes, channels)
    description["UVW"] = description["UVW"] | {"dataManagerType": "TiledColumnStMan", "dataManagerGroup": "TiledUVW"}
    managers[f"*{len(tiled) + 1}"] = {
        "NAME": "TiledUVW",
        "TYPE": "TiledColumnStMan",
        "SPEC": {"DEFAULTTILESHAPE": [3, 8192]},
        "COLUMNS": ["UVW"],
    }
    return description, managers


def tiled_column(description, column, axes, channels, hands=2):
    """(description, storage manager) of a column whose cells have the shape of their window."""
    group = f"Tiled{column.title().replace('_', '')}"
    rows = max(1, _TILE_BYTES // (8 * hands * (channels if axes == 2 else 1)))
    shape = [hands, channels, rows] if axes == 2 else [hands, rows]
    changed = {"ndim": axes, "dataManagerType": "TiledShapeStMan", "dataManagerGroup": group}
    manager = {"NAME": group, "TYPE": "TiledShapeStMan", "SPEC": {"DEFAULTTILESHAPE": shape}, "COLUMNS": [column]}
    return description | changed, manager


def _spectra_needed(data, windows):
    """Whether unflagged weights differ within any row."""
    for window in windows:
        for rows in _blocks(window):
            weight = _weights(data, window.where[rows])
            lowest = np.where(weight > 0.0, weight, np.inf).min(axis=1)
            if np.any(weight.max(axis=1) > np.where(np.isfinite(lowest), lowest, 0.0) * (1.0 + 1e-6)):
                return True
    return False


def _blocks(window):
    size = max(1, BLOCK // len(window.frequency))
    return [slice(start, start + size) for start in range(0, len(window.where), size)]


def _weights(data, where):
    """Weight of one hand, 0 where there is no visibility, shape of `where`."""
    return np.where(where >= 0, 0.5 * data.weight[where], 0.0)


def _write_main(main, data, windows, time):
    main.addrows(sum(len(window.where) for window in windows))
    targets = _interleaved([time[window.first] for window in windows])
    interval = data.interval if data.interval is not None else np.broadcast_to(_step(time), len(time))
    for description, (window, target) in enumerate(zip(windows, targets)):
        uvw = window.uvw(data)
        for rows in _blocks(window):
            first, index = window.first[rows], (target[rows],)

            def put(column, values, index=index):
                main.putcol(column, np.ascontiguousarray(values), index=index)

            put("UVW", uvw[rows])
            _write_cells(put, data, window.where[rows], "WEIGHT_SPECTRUM" in main.columns())
            for column, values in (("TIME", time), ("TIME_CENTROID", time), ("INTERVAL", interval)):
                put(column, values[first])
            put("EXPOSURE", interval[first])
            for column, values in (("ANTENNA1", data.antenna1), ("ANTENNA2", data.antenna2)):
                put(column, values[first].astype(np.int32))
            for column, values, otherwise in (("FIELD_ID", data.field, 0), ("SCAN_NUMBER", data.scan, 1)):
                numbers = np.full(len(first), otherwise) if values is None else values[first]
                put(column, numbers.astype(np.int32))
            put("DATA_DESC_ID", np.full(len(first), description, np.int32))


def _interleaved(times):
    """Rows of each window in the table, so that it is in order of time."""
    order = np.argsort(np.concatenate(times), kind="stable")
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    return np.split(position, np.cumsum([len(one) for one in times])[:-1])


def _write_cells(put, data, where, with_spectrum):
    """DATA, FLAG, FLAG_ROW and weights of a block of rows."""
    weight = _weights(data, where)
    flag = weight == 0.0
    vis = np.where(where >= 0, data.vis[where], 0.0).astype(np.complex64)
    put("DATA", _both_hands(vis))
    put("FLAG", _both_hands(flag))
    put("FLAG_ROW", flag.all(axis=1).astype(np.uint8))
    count = np.count_nonzero(~flag, axis=1)
    mean = np.where(count > 0, weight.sum(axis=1) / np.maximum(count, 1), 0.0)
    if not with_spectrum:  # the very number, not a mean of equal ones
        mean = weight.max(axis=1)
    put("WEIGHT", _both_hands(mean.astype(np.float32)))
    put("SIGMA", _both_hands(np.where(mean > 0.0, np.where(mean > 0.0, mean, 1.0) ** -0.5, 0.0).astype(np.float32)))
    if with_spectrum:
        put("WEIGHT_SPECTRUM", _both_hands(weight.astype(np.float32)))


def _both_hands(values):
    return np.repeat(values[..., None], 2, axis=-1)


def modified_julian(time):
    """Seconds of modified Julian date: Julian dates are shifted, small numbers counted from 2020-05-31."""
    if time.max() > 1e11:
        return time - _JULIAN
    return time + _FIRST_DAY if np.abs(time).max() < 1e9 else time


def _step(time):
    """Smallest step of time, 1 s where there is only one time."""
    steps = np.diff(np.unique(time))
    steps = steps[steps > 1e-3]
    return float(steps.min()) if len(steps) else 1.0
