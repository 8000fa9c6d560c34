"""UVFITS (random groups) through astropy, as CASA, AIPS, MIRIAD and the SMA's tools write it.

u, v are seconds times the frequency of each channel, CRVAL of the FREQ axis plus the offset of each IF in the AIPS FQ
table. The sign is that of a measurement set. A weight <= 0 means flagged. Coordinates are float32 in most files: phases
hold to about 5e-6 of the longest baseline. Files of `uvfits_write` say in UVLENS* keywords what was not known.
"""

import dataclasses
import pathlib

import numpy as np

from ..errors import InputError
from ..primarybeam import beam_of_dishes
from . import rows
from .correlations import check_stokes, total_intensity, usable_weight
from .selection import Selection, choose, chosen_channels, in_time, on_baselines, resolve_baselines, show_time
from .uvfits_tables import (
    antennas_of,
    axes_of,
    center_of_header,
    diameters_of,
    frequencies_of,
    hands_of,
    opened,
    ordered,
    parameters_of,
    pointing_of_header,
    source_of,
    sources_of,
    stations_of,
    values_of,
)


def recognises(path):
    """A FITS file whose first header says GROUPS = T."""
    if path.is_dir():
        return False
    with open(path, "rb") as file:
        block = file.read(2880)
    cards = [block[i : i + 80] for i in range(0, len(block), 80)]
    groups = [card for card in cards if card.startswith(b"GROUPS  =")]
    return block.startswith(b"SIMPLE  =") and bool(groups) and groups[0][10:30].split(b"/")[0].strip() == b"T"


def read(path, *, field=None, spw=None, channel=None, time=None, baseline=None, uvrange=None, stokes="both", scan=None):
    """Visibilities of one source of a UVFITS file.

    Args:
        path: of the file.
        field: number (from 1, as in the file) or name of the source, where there are several.
        spw: IFs, numbered from 0.
        channel, time, baseline, uvrange: see `uvlens.data.selection`; None: all.
        stokes: "both" parallel hands unflagged, "any" of them, or one of XX, YY, RR, LL alone.
        scan: refused, because the format has none.

    Raises:
        InputError: a file that is cut or has no complex groups, no such source (those there are listed).
    """
    wanted = {"field": field, "spw": spw, "channel": channel, "time": time, "baseline": baseline, "uvrange": uvrange}
    return rows.whole(source(path, **wanted, stokes=stokes, scan=scan))


def source(path, *, stokes="both", **selection):
    """The UVFits of a path and the options of `read`: everything settled, no visibility read."""
    check_stokes(path, stokes)
    wanted = Selection.of(**selection)
    if wanted.scan is not None:
        raise InputError(f"{path}: UVFITS files have no scan numbers; select by time")
    with opened(path) as (header, groups, tables):
        axes = axes_of(path, header)
        center, number = source_of(path, wanted.field, groups, tables, header)
        n_channels = header[f"NAXIS{axes['FREQ']}"]
        n_windows = header[f"NAXIS{axes['IF']}"] if "IF" in axes else 1
        parameters_of(path, groups)
        labels = dict.fromkeys(range(n_windows), "")
        windows = sorted(labels) if wanted.spw is None else choose(path, "spw", wanted.spw, labels)
        channels = dict.fromkeys(windows, np.ones(n_channels, dtype=bool))
        if wanted.channel is not None:
            channels = chosen_channels(path, wanted.channel, dict.fromkeys(windows, n_channels), labels)
        baselines = None
        if wanted.baseline is not None:
            baselines = resolve_baselines(path, wanted.baseline, stations_of(tables))
        known = {
            "phase_center": center,
            "pointing_center": pointing_of_header(header),
            "primary_beam": beam_of_dishes(diameters_of(tables)),
            "name": path.name,
        }
        n_rows = len(groups)
        n_wanted = (
            n_rows if number is None else np.count_nonzero(np.asarray(groups.par("SOURCE")).astype(int) == number)
        )
    return UVFits(
        path=path.absolute(),
        name=str(path),
        field=number,
        channels=channels,
        time=wanted.time,
        baselines=baselines,
        uvrange=wanted.uvrange,
        stokes=stokes,
        header=known,
        n_rows=n_rows,
        rows_per_block=rows.rows_per_block(n_windows * n_channels),
        visibilities_per_row=n_windows * n_channels,
        most_visibilities=int(n_wanted) * sum(int(np.count_nonzero(mask)) for mask in channels.values()),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class UVFits:
    """What is wanted of a UVFITS file: a source of `rows.py`.

    Attributes:
        path: absolute, for processes that work elsewhere; name: as it was given, for messages.
        field: number of the source; None: the file has but one.
        channels: {IF: boolean mask of its channels}.
        time, uvrange: of a Selection; baselines: of `resolve_baselines`.
        stokes: as in `read`; header: of the Visibilities.
        n_rows, rows_per_block, visibilities_per_row, most_visibilities: of `rows.py`.
    """

    path: pathlib.Path
    name: str
    field: int | None
    channels: dict[int, np.ndarray]
    time: tuple | None
    baselines: tuple | None
    uvrange: tuple[float, float] | None
    stokes: str
    header: dict
    n_rows: int
    rows_per_block: int
    visibilities_per_row: int
    most_visibilities: int

    def blocks(self, start, stop):
        """See `rows.py`."""
        with opened(self.path) as (header, groups, tables):
            axes, names = axes_of(self.name, header), parameters_of(self.name, groups)
            hands = hands_of(header, axes)
            for first in range(start, stop, self.rows_per_block):
                part = groups[first : min(first + self.rows_per_block, stop)]
                parameters = {key: values_of(part, name) for key, name in names.items()}
                keep = _wanted_rows(self, part, parameters)
                if keep.any():
                    parameters = {key: values[keep] for key, values in parameters.items()}
                    frequency, width = frequencies_of(header, tables, axes, parameters)
                    data = ordered(part.data[keep], axes)  # (rows, IF, channel, hand, 3)
                    arrays = _arrays(self, data, parameters, frequency, width, hands, header)
                    if len(arrays["weight"]):
                        yield arrays

    def nothing_left(self):
        """InputError that says what the file has."""
        with opened(self.path) as (_, groups, _):
            time = values_of(groups, "DATE")
        found = f"its times are {show_time(time.min())}~{show_time(time.max())}"
        return InputError(f"{self.name}: no visibilities left of {self.n_rows} rows; {found}")


def _wanted_rows(wanted, part, parameters):
    """Which rows of a block are wanted, shape (rows,)."""
    antenna1, antenna2 = antennas_of(parameters)
    keep = antenna1 != antenna2
    if wanted.field is not None:
        keep &= np.asarray(part.par("SOURCE")).astype(int) == wanted.field
    if wanted.time is not None:
        keep &= in_time(wanted.name, wanted.time, parameters["DATE"])
    if wanted.baselines is not None:
        keep &= on_baselines(wanted.baselines, antenna1, antenna2)
    return keep


def _arrays(wanted, data, parameters, frequency, width, hands, header):
    """Arrays of Visibilities of the rows of a block, row by row, then by IF, channels fastest."""
    windows = np.array(list(wanted.channels))
    channels = np.array(list(wanted.channels.values()))
    data, frequency, width = data[:, windows].astype(np.float64), frequency[:, windows], width[:, windows]
    vis = data[..., 0] + 1j * data[..., 1]
    weight = usable_weight(data[..., 2], ~np.isfinite(vis))
    vis, weight = total_intensity(wanted.name, vis, weight, hands, wanted.stokes)
    antenna1, antenna2 = antennas_of(parameters)
    keep = None if channels.all() else np.broadcast_to(channels, vis.shape).ravel()

    def flat(values):
        values = np.broadcast_to(values, vis.shape).ravel()
        return values if keep is None else values[keep]

    def each(values):
        return flat(np.asarray(values)[:, None, None])

    arrays = {
        "u": flat(parameters["UU"][:, None, None] * frequency),
        "v": flat(parameters["VV"][:, None, None] * frequency),
        "vis": flat(vis),
        "weight": flat(weight),
        "frequency": flat(frequency),
        "field": flat(1 if wanted.field is None else wanted.field),
        "spw": flat(windows[:, None]),
    }
    has_antennas, has_times, has_w = (header.get(f"UVLENS{key}", True) for key in ("AN", "TI", "W"))
    if has_antennas:
        arrays |= {"antenna1": each(antenna1), "antenna2": each(antenna2)}
    if has_times:
        arrays["time"] = each(parameters["DATE"] - header.get("UVLENST0", 0.0))
    if "INTTIM" in parameters:
        arrays["interval"] = each(parameters["INTTIM"])
    if np.any(width > 0.0):
        arrays["channel_width"] = flat(width)
    if "WW" in parameters and has_w:
        arrays["w"] = flat(parameters["WW"][:, None, None] * frequency)
    if wanted.uvrange is None:
        return arrays
    distance = np.hypot(arrays["u"], arrays["v"])
    inside = (distance >= wanted.uvrange[0]) & (distance <= wanted.uvrange[1])
    return arrays if inside.all() else {key: value[inside] for key, value in arrays.items()}


def count_fields(path):
    """{source number: (name, rows)}."""
    with opened(path) as (header, groups, tables):
        return sources_of(groups, tables) or {1: (str(header.get("OBJECT", "")).strip(), len(groups))}


def field_centers(path):
    """{source number: phase centre (ra, dec) [deg], or None}."""
    with opened(path) as (header, groups, tables):
        if not sources_of(groups, tables):
            return {1: center_of_header(header)}
        table = tables["AIPS SU"].data
        places = zip(table["ID. NO."], table["RAEPO"], table["DECEPO"])
        return {int(number): (float(ra), float(dec)) for number, ra, dec in places}
