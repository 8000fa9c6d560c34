"""The model of a fit as columns of a measurement set, row by row of the file, flagged ones included."""

import numpy as np

from .conventions import SPEED_OF_LIGHT
from .data import Visibilities, measurement_set
from .data.correlations import NAMES
from .data.ms_columns import check_columns, copy_set, write_columns
from .data.ms_write import replacing
from .data.tables import Table
from .datasection import fields_of_entry
from .errors import InputError
from .primarybeam import AbstractPrimaryBeam, beam_of_dishes

BLOCK = 2**20
"""Visibilities predicted together."""
_SAID = (("time", "TIME"), ("scan", "SCAN_NUMBER"))
PARALLEL = ("I", "XX", "YY", "RR", "LL")
"""Hands that an unpolarised sky is seen in."""


class SetExport:
    """Columns for a measurement set: checked when made, written by `run`."""

    def __init__(self, path, entries, columns, in_place):
        self.path, self.columns, self.main = path, columns, Table(path)
        self.fitted = measurement_set._data_column(path, self.main.columns, entries[0].options.get("column"))
        self.numbers = {key: self.main.column(key) for key in ("FIELD_ID", "DATA_DESC_ID", "ANTENNA1", "ANTENNA2")}
        self.windows = Windows(path)
        fields = Table(path / "FIELD")
        diameters = Table(path / "ANTENNA").column("DISH_DIAMETER")
        self.headers = {}
        for entry in entries:
            for number in fields_of_entry(entry):
                center = np.degrees(fields.column("PHASE_DIR", [number]).reshape(-1)[:2])
                center = (float(center[0] % 360.0), float(center[1]))
                self.headers.setdefault(
                    number, {"phase_center": center, "primary_beam": beam_of_entry(entry, diameters)}
                )
        check_columns(path, columns)
        if in_place and self.fitted in columns:
            raise InputError(f"{path}: {self.fitted} was fitted and would be lost; name another column, or a copy")

    def run(self, target, predict):
        """Write to the set itself or to a copy; how many visibilities were predicted."""
        self.count = 0
        blocks = self._blocks(predict)
        description = self.numbers["DATA_DESC_ID"][0]
        shape = len(self.windows.frequencies(description)), len(self.windows.hands(description))
        if target == self.path:
            write_columns(target, list(self.columns), blocks, shape)
        else:
            with replacing(target) as partial:
                copy_set(self.path, partial)
                write_columns(partial, list(self.columns), blocks, shape)
        return self.count

    def _blocks(self, predict):
        for description in np.unique(self.numbers["DATA_DESC_ID"]):
            frequency = self.windows.frequencies(description)
            hands = self.windows.hands(description)
            parallel = [i for i, hand in enumerate(hands) if hand in PARALLEL]
            rows = np.flatnonzero(self.numbers["DATA_DESC_ID"] == description)
            size = max(1, BLOCK // len(frequency))
            for part in (rows[start : start + size] for start in range(0, len(rows), size)):
                known, vis = self._predict(predict, part, frequency)
                model = np.zeros((*vis.shape, len(hands)), complex)
                model[..., parallel] = vis[..., None]
                yield part, {name: self._values(name, what, part, known, model) for name, what in self.columns.items()}

    def _predict(self, predict, rows, frequency):
        """(rows that belong to the fit, model of shape (rows, channels), 0 in the others)."""
        vis = np.zeros((len(rows), len(frequency)), complex)
        field = self.numbers["FIELD_ID"][rows]
        seconds = self.main.column("UVW", rows) / SPEED_OF_LIGHT
        for number, header in self.headers.items():
            which = np.flatnonzero(field == number)
            if not len(which):
                continue
            antennas = [self.numbers[key][rows[which]] for key in ("ANTENNA1", "ANTENNA2")]
            grid = np.broadcast_to(frequency, (len(which), len(frequency)))
            said = {key: self.main.column(name, rows[which]) for key, name in _SAID if name in self.main.columns}
            said["field"] = np.full(len(which), number)
            part = coordinates(*seconds[which].T, grid, *antennas, **said, **header, name=self.path.name)
            vis[which] = predict(part).reshape(grid.shape)
            self.count += grid.size
        return np.isin(field, list(self.headers)), vis

    def _values(self, name, what, rows, known, model):
        if what == "residual":
            return self.main.column(self.fitted, rows) - model
        if known.all() or name not in self.main.columns:
            return model
        return np.where(known[:, None, None], model, self.main.column(name, rows))


class Windows:
    """Channels and correlations by DATA_DESC_ID."""

    def __init__(self, path):
        description = Table(path / "DATA_DESCRIPTION")
        self._window = description.column("SPECTRAL_WINDOW_ID")
        self._polarization = description.column("POLARIZATION_ID")
        self._spectral, self._polar = Table(path / "SPECTRAL_WINDOW"), Table(path / "POLARIZATION")

    def frequencies(self, description):
        """Channel centres, shape (channels,) [Hz]."""
        return self._spectral.column("CHAN_FREQ", [self._window[description]]).reshape(-1)

    def hands(self, description):
        """Names of the correlations."""
        codes = self._polar.column("CORR_TYPE", [self._polarization[description]]).reshape(-1)
        return [NAMES.get(int(code), str(code)) for code in codes]


def beam_of_entry(entry, diameters):
    """The primary beam that an entry asks for; diameters by antenna number [m]."""
    if isinstance(entry.primary_beam, AbstractPrimaryBeam):
        return entry.primary_beam
    return None if entry.primary_beam == "none" else beam_of_dishes(diameters)


def coordinates(u, v, w, frequency, antenna1, antenna2, *, time=None, scan=None, field=None, **header):
    """Visibilities of no value at u, v, w [s] and frequencies of shape (rows, ..., channels); the others (rows,)."""

    def each(values):
        return np.broadcast_to(values.reshape(-1, *(1,) * (frequency.ndim - 1)), frequency.shape)

    said = {"time": time, "scan": scan, "field": field}
    arrays = {key: (each(seconds) * frequency).ravel() for key, seconds in zip("uvw", (u, v, w)) if seconds is not None}
    return Visibilities(
        **arrays,
        vis=np.zeros(frequency.size, complex),
        weight=np.ones(frequency.size),
        frequency=frequency.ravel(),
        antenna1=each(antenna1).ravel(),
        antenna2=each(antenna2).ravel(),
        **{key: each(values).ravel() for key, values in said.items() if values is not None},
        **header,
    )
