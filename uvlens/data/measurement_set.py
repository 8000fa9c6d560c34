"""Measurement sets: what is there and what is wanted of it; `measurement_rows.py` reads it, a range of rows at a time.

u, v in wavelengths are UVW / c times the frequency of each channel, the sign of V is the file's own. Of the data
columns CORRECTED_DATA is taken where it exists, as CASA does, and of the weights WEIGHT_SPECTRUM; WEIGHT, not SIGMA,
belongs to it. A row that is flagged, an autocorrelation, and a weight that is infinite never count.
"""

import dataclasses
import pathlib

import numpy as np

from ..errors import InputError
from ..primarybeam import beam_of_dishes
from . import rows
from .correlations import NAMES, check_stokes
from .measurement_rows import Window, describe_rows, read_blocks, survey
from .selection import Selection, choose, chosen_channels, listed, resolve_baselines
from .tables import Table


def recognises(path):
    """A folder with the `table.dat` of a casacore table."""
    return path.is_dir() and (path / "table.dat").is_file()


def read(
    path,
    *,
    field=None,
    spw=None,
    scan=None,
    channel=None,
    time=None,
    baseline=None,
    uvrange=None,
    stokes="both",
    column=None,
):
    """Visibilities of one field of a measurement set.

    Args:
        path: of its folder.
        field: number or name of the field (or several numbers and names of one pointing); needed where there are
            several.
        spw, scan, channel, time, baseline, uvrange: see `uvlens.data.selection`; None: all.
        stokes: "both" parallel hands unflagged, "any" of them, or one of XX, YY, RR, LL alone.
        column: "DATA", "CORRECTED_DATA" or another; None: the corrected one if there is one.

    Raises:
        InputError: no such field, window or column (those there are listed), several fields, nothing unflagged.
    """
    wanted = {"field": field, "spw": spw, "scan": scan, "channel": channel, "time": time}
    return rows.whole(source(path, **wanted, baseline=baseline, uvrange=uvrange, stokes=stokes, column=column))


def source(path, *, stokes="both", column=None, **selection):
    """The MeasurementSet of a path and the options of `read`: everything settled, no visibility read."""
    main = Table(path)
    if "UVW" not in main.columns or "ANTENNA1" not in main.columns:
        raise InputError(f"{path}: a casacore table, but no measurement set")
    check_stokes(path, stokes)
    column = _data_column(path, main.columns, column)
    wanted = Selection.of(**selection)
    there = survey(main)
    fields = Table(path / "FIELD")
    names = fields.column("NAME")
    chosen = _chosen_fields(path, wanted.field, {number: str(names[number]) for number in there.fields})
    windows = _chosen_windows(path, wanted, there.descriptions)
    antennas = Table(path / "ANTENNA")
    baselines = None
    if wanted.baseline is not None:
        stations = dict(enumerate(map(str, antennas.column("NAME"))))
        baselines = resolve_baselines(path, wanted.baseline, stations)
    channels = max(len(window.frequency) for window in windows.values())
    scans = None
    if wanted.scan is not None:
        scans = tuple(choose(path, "scan", wanted.scan, dict.fromkeys(there.scans, "")))
    most_rows = min(
        sum(there.fields[number] for number in chosen),
        sum(there.descriptions[number] for number in windows),
        sum(there.scans[number] for number in scans or there.scans),
    )
    center = np.degrees(fields.column("PHASE_DIR", [chosen[0]]).reshape(-1)[:2])
    header = {
        "phase_center": (float(center[0] % 360.0), float(center[1])),
        "primary_beam": beam_of_dishes(antennas.column("DISH_DIAMETER")),
        "name": path.name,
    }
    return MeasurementSet(
        path=path.absolute(),
        name=str(path),
        column=column,
        stokes=stokes,
        fields=tuple(chosen),
        windows=windows,
        scans=scans,
        time=wanted.time,
        baselines=baselines,
        uvrange=wanted.uvrange,
        header=header,
        n_rows=main.n_rows,
        rows_per_block=rows.rows_per_block(channels),
        visibilities_per_row=channels,
        most_visibilities=most_rows * channels,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class MeasurementSet:
    """What is wanted of a measurement set: a source of `rows.py`.

    Attributes:
        path: absolute, for processes that work elsewhere; name: as it was given, for messages.
        column, stokes: as in `read`.
        fields, scans: numbers, scans None for all.
        windows: {DATA_DESC_ID: Window}.
        time, uvrange: of a Selection; baselines: of `resolve_baselines`.
        header: of the Visibilities.
        n_rows, rows_per_block, visibilities_per_row, most_visibilities: of `rows.py`.
    """

    path: pathlib.Path
    name: str
    column: str
    stokes: str
    fields: tuple[int, ...]
    windows: dict[int, Window]
    scans: tuple[int, ...] | None
    time: tuple | None
    baselines: tuple | None
    uvrange: tuple[float, float] | None
    header: dict
    n_rows: int
    rows_per_block: int
    visibilities_per_row: int
    most_visibilities: int

    def blocks(self, start, stop):
        """See `rows.py`."""
        return read_blocks(self, start, stop)

    def nothing_left(self):
        """InputError that says what the file has."""
        return InputError(f"{self.name}: no visibilities left: {describe_rows(self)}")


def count_fields(path):
    """{field number: (name, rows that are no autocorrelations)}."""
    there, names = survey(Table(path), count=True), Table(path / "FIELD").column("NAME")
    return {number: (str(names[number]), n) for number, n in there.crossed.items()}


def field_centers(path):
    """{field number: phase centre (ra, dec) [deg]} of all in the FIELD table."""
    table = Table(path / "FIELD")
    centers = {}
    for i in range(len(table.column("NAME"))):  # cell by cell: their shapes may differ
        ra, dec = np.degrees(table.column("PHASE_DIR", [i]).reshape(-1)[:2])
        centers[i] = (float(ra % 360.0), float(dec))
    return centers


def _chosen_windows(path, wanted, descriptions):
    """{DATA_DESC_ID: Window} of those with rows that are wanted."""
    description = Table(path / "DATA_DESCRIPTION")
    numbers = description.column("SPECTRAL_WINDOW_ID")
    polarizations = description.column("POLARIZATION_ID")
    spectral, polar = Table(path / "SPECTRAL_WINDOW"), Table(path / "POLARIZATION")
    there = {int(numbers[one]) for one in descriptions}
    if not there:
        raise InputError(f"{path}: a measurement set without rows")
    labels = {}
    if "NAME" in spectral.columns:
        names = spectral.column("NAME")
        labels = {number: str(names[number]) for number in there}
    labels = {number: labels.get(number, "") for number in there}
    chosen = there if wanted.spw is None else choose(path, "spw", wanted.spw, labels)
    frequency = {number: spectral.column("CHAN_FREQ", [number]).reshape(-1) for number in chosen}
    keep = dict.fromkeys(chosen)
    if wanted.channel is not None:
        keep = chosen_channels(path, wanted.channel, {number: len(frequency[number]) for number in chosen}, labels)
    windows = {}
    for one in descriptions:
        number = int(numbers[one])
        if number in keep:
            width = np.abs(spectral.column("CHAN_WIDTH", [number]).reshape(-1))
            codes = polar.column("CORR_TYPE", [polarizations[one]]).reshape(-1)
            hands = tuple(NAMES.get(int(code), str(code)) for code in codes)
            channels = slice(None) if keep[number] is None else np.flatnonzero(keep[number])
            windows[int(one)] = Window(number, frequency[number][channels], width[channels], channels, hands)
    return windows


def _data_column(path, columns, asked):
    known = [name for name in ("CORRECTED_DATA", "DATA", "FLOAT_DATA", "MODEL_DATA") if name in columns]
    if asked is not None:
        if asked not in columns:
            raise InputError(f"{path}: no column {asked}; it has {', '.join(known) or 'no data column'}")
        return asked
    if not known or known[0] not in ("CORRECTED_DATA", "DATA"):
        raise InputError(f"{path}: no column DATA or CORRECTED_DATA; it has {', '.join(known) or 'no data column'}")
    return known[0]


def _chosen_fields(path, items, there):
    """Field numbers; those with data are listed where one has to be named."""
    if items is not None:
        return choose(path, "field", items, there)
    if len(there) > 1:
        raise InputError(f"{path}: has fields {listed(there)}; say which one, field={max(there)}")
    if not there:
        raise InputError(f"{path}: a measurement set without rows")
    return list(there)
