"""Measurement sets: rows of one data description at a time, flags before weights, Stokes I from the parallel hands.

u, v in wavelengths are UVW / c times the frequency of each channel, the sign of V is the file's own. Of the data
columns CORRECTED_DATA is taken where it exists, as CASA does, and of the weights WEIGHT_SPECTRUM; WEIGHT, not SIGMA,
belongs to it. A row that is flagged, an autocorrelation, and a weight that is infinite never count.
"""

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError
from ..primarybeam import beam_of_dishes
from .correlations import NAMES, total_intensity, usable_weight
from .tables import Table
from .visibilities import Visibilities

_ROW_COLUMNS = {
    "ANTENNA1": "antenna1",
    "ANTENNA2": "antenna2",
    "TIME": "time",
    "INTERVAL": "interval",
    "FIELD_ID": "field",
    "SCAN_NUMBER": "scan",
}
"""One number a row, and what Visibilities calls them."""

_ROWS = 50_000
"""Rows read together."""


def recognises(path):
    """A folder with the `table.dat` of a casacore table."""
    return path.is_dir() and (path / "table.dat").is_file()


def read(path, *, field=None, spw=None, stokes="both", column=None):
    """Visibilities of one field of a measurement set.

    Args:
        path: of its folder.
        field: number or name of the field (or several numbers and names of one pointing); needed where there are
            several.
        spw: spectral windows, a number or a list; None: all.
        stokes: "both" parallel hands unflagged, or "any" of them.
        column: "DATA", "CORRECTED_DATA" or another; None: the corrected one if there is one.

    Raises:
        InputError: no such field, window or column (those there are listed), several fields, nothing unflagged.
    """
    main = Table(path)
    if "UVW" not in main.columns or "ANTENNA1" not in main.columns:
        raise InputError(f"{path}: a casacore table, but no measurement set")
    column = _data_column(path, main.columns, column)
    numbers = {key: main.column(key) for key in (*_ROW_COLUMNS, "DATA_DESC_ID", "FLAG_ROW")}
    fields = Table(path / "FIELD")
    names = [str(name) for name in fields.column("NAME")]
    chosen = _chosen_fields(path, field, names, np.unique(numbers["FIELD_ID"]))
    windows = Windows(path)
    wanted = None if spw is None else {int(number) for number in np.atleast_1d(spw)}
    if wanted is not None and not wanted <= set(windows.used(numbers["DATA_DESC_ID"])):
        there = ", ".join(map(str, windows.used(numbers["DATA_DESC_ID"])))
        raise InputError(f"{path}: spw {spw} is not there; it has {there}")
    keep = (
        np.isin(numbers["FIELD_ID"], chosen)
        & (numbers["ANTENNA1"] != numbers["ANTENNA2"])
        & ~numbers["FLAG_ROW"].astype(bool)
    )
    parts = []
    for description in np.unique(numbers["DATA_DESC_ID"][keep]):
        if wanted is not None and windows.number(description) not in wanted:
            continue
        rows = np.flatnonzero(keep & (numbers["DATA_DESC_ID"] == description))
        for start in range(0, len(rows), _ROWS):
            parts.append(
                _read_rows(path, main, rows[start : start + _ROWS], numbers, windows, description, column, stokes)
            )
    if not parts:
        raise InputError(f"{path}: no visibilities left: every row of field {', '.join(map(str, chosen))} is flagged")
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    if not np.any(arrays["weight"] > 0.0):
        raise InputError(f"{path}: all {len(arrays['weight'])} visibilities of the selection are flagged")
    center = np.degrees(fields.column("PHASE_DIR", [chosen[0]]).reshape(-1)[:2])
    return Visibilities(
        **arrays,
        phase_center=(float(center[0] % 360.0), float(center[1])),
        primary_beam=beam_of_dishes(Table(path / "ANTENNA").column("DISH_DIAMETER")),
        name=path.name,
    )


def count_fields(path):
    """{field number: (name, rows that are no autocorrelations)}."""
    main, names = Table(path), Table(path / "FIELD").column("NAME")
    cross = main.column("ANTENNA1") != main.column("ANTENNA2")
    numbers, rows = np.unique(main.column("FIELD_ID")[cross], return_counts=True)
    return {int(number): (str(names[number]), int(n)) for number, n in zip(numbers, rows)}


def field_centers(path):
    """{field number: phase centre (ra, dec) [deg]} of all in the FIELD table."""
    table = Table(path / "FIELD")
    centers = {}
    for i in range(len(table.column("NAME"))):  # cell by cell: their shapes may differ
        ra, dec = np.degrees(table.column("PHASE_DIR", [i]).reshape(-1)[:2])
        centers[i] = (float(ra % 360.0), float(dec))
    return centers


class Windows:
    """Spectral windows and correlations by DATA_DESC_ID."""

    def __init__(self, path):
        description = Table(path / "DATA_DESCRIPTION")
        self._window = description.column("SPECTRAL_WINDOW_ID")
        self._polarization = description.column("POLARIZATION_ID")
        self._spectral, self._polar = Table(path / "SPECTRAL_WINDOW"), Table(path / "POLARIZATION")

    def used(self, descriptions):
        """Numbers of the spectral windows that have rows."""
        return sorted({self.number(d) for d in np.unique(descriptions)})

    def number(self, description):
        """SPECTRAL_WINDOW_ID."""
        return int(self._window[description])

    def frequencies(self, description):
        """Channel centres, shape (channels,) [Hz]."""
        return self._spectral.column("CHAN_FREQ", [self._window[description]]).reshape(-1)

    def widths(self, description):
        """Channel widths, shape (channels,) [Hz]."""
        return np.abs(self._spectral.column("CHAN_WIDTH", [self._window[description]]).reshape(-1))

    def hands(self, description):
        """Names of the correlations."""
        codes = self._polar.column("CORR_TYPE", [self._polarization[description]]).reshape(-1)
        return [NAMES.get(int(code), str(code)) for code in codes]


def _read_rows(path, main, rows, numbers, windows, description, column, stokes):
    """Arrays of Visibilities for rows of one data description, row by row, channels fastest."""
    frequency = windows.frequencies(description)
    shape = (len(rows), len(frequency))
    vis = main.column(column, rows)
    flag = main.column("FLAG", rows).astype(bool)
    weight = usable_weight(_weights(main, rows, vis.shape), flag | ~np.isfinite(vis))
    vis, weight = total_intensity(path, vis.astype(np.complex128), weight, windows.hands(description), stokes)
    uvw = main.column("UVW", rows)

    def each(values):
        return np.broadcast_to(values[rows, None], shape).ravel()

    return {
        "u": np.outer(uvw[:, 0], frequency / SPEED_OF_LIGHT).ravel(),
        "v": np.outer(uvw[:, 1], frequency / SPEED_OF_LIGHT).ravel(),
        "w": np.outer(uvw[:, 2], frequency / SPEED_OF_LIGHT).ravel(),
        "vis": vis.ravel(),
        "weight": weight.ravel(),
        "frequency": np.broadcast_to(frequency, shape).ravel(),
        "channel_width": np.broadcast_to(windows.widths(description), shape).ravel(),
        **{name: each(numbers[key]) for key, name in _ROW_COLUMNS.items()},
        "spw": np.full(vis.size, windows.number(description)),
    }


def _weights(main, rows, shape):
    """WEIGHT_SPECTRUM where these rows have one of the data's shape, else WEIGHT for every channel."""
    if "WEIGHT_SPECTRUM" in main.columns:
        try:
            spectrum = main.column("WEIGHT_SPECTRUM", rows)
        except (TypeError, ValueError, RuntimeError):  # cells that were never written
            spectrum = np.empty(0)
        if spectrum.shape == shape:
            return spectrum
    return np.broadcast_to(main.column("WEIGHT", rows)[:, None, :], shape)


def _data_column(path, columns, asked):
    known = [name for name in ("CORRECTED_DATA", "DATA", "FLOAT_DATA", "MODEL_DATA") if name in columns]
    if asked is not None:
        if asked not in columns:
            raise InputError(f"{path}: no column {asked}; it has {', '.join(known) or 'no data column'}")
        return asked
    if not known or known[0] not in ("CORRECTED_DATA", "DATA"):
        raise InputError(f"{path}: no column DATA or CORRECTED_DATA; it has {', '.join(known) or 'no data column'}")
    return known[0]


def _chosen_fields(path, asked, names, there):
    """Field numbers, from numbers or names; those with data are listed where that does not work."""
    listed = ", ".join(f"{i} ({names[i]})" for i in there)
    if asked is None:
        if len(there) > 1:
            raise InputError(f"{path}: has fields {listed}; say which one, field={there[-1]}")
        return [int(there[0])]
    chosen = []
    for one in asked if isinstance(asked, list | tuple | np.ndarray) else [asked]:
        text = str(one)
        if text in names:
            chosen.append(names.index(text))
        elif text.lstrip("-").isdigit() and int(text) in there:
            chosen.append(int(text))
        else:
            raise InputError(f"{path}: there is no field {one!r}; it has {listed}")
    return chosen
