"""UVFITS (random groups) through astropy, as CASA, AIPS, MIRIAD and the SMA's tools write it.

u, v are seconds times the frequency of each channel, CRVAL of the FREQ axis plus the offset of each IF in the AIPS FQ
table. The sign is that of a measurement set. A weight <= 0 means flagged. Coordinates are float32 in most files: phases
hold to about 5e-6 of the longest baseline. Files of `uvfits_write` say in UVLENS* keywords what was not known.
"""

import contextlib
import dataclasses
import pathlib

import numpy as np

from ..errors import InputError
from ..primarybeam import beam_of_dishes
from . import rows
from .correlations import UVFITS_NAMES, check_stokes, total_intensity, usable_weight
from .selection import Selection, choose, chosen_channels, in_time, listed, on_baselines, resolve_baselines, show_time
from .uvfits_write import DAY, FIRST_DAY


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
    with _open(path) as (header, groups, tables):
        axes = _axes(path, header)
        center, number = _source(path, wanted.field, groups, tables, header)
        n_channels = header[f"NAXIS{axes['FREQ']}"]
        n_windows = header[f"NAXIS{axes['IF']}"] if "IF" in axes else 1
        _parameters(path, groups)
        labels = dict.fromkeys(range(n_windows), "")
        windows = sorted(labels) if wanted.spw is None else choose(path, "spw", wanted.spw, labels)
        channels = dict.fromkeys(windows, np.ones(n_channels, dtype=bool))
        if wanted.channel is not None:
            channels = chosen_channels(path, wanted.channel, dict.fromkeys(windows, n_channels), labels)
        baselines = None
        if wanted.baseline is not None:
            baselines = resolve_baselines(path, wanted.baseline, _stations(tables))
        known = {
            "phase_center": center,
            "pointing_center": _pointing_of_header(header),
            "primary_beam": beam_of_dishes(_diameters(tables)),
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
        with _open(self.path) as (header, groups, tables):
            axes, names = _axes(self.name, header), _parameters(self.name, groups)
            hands = _hands(header, axes)
            for first in range(start, stop, self.rows_per_block):
                part = groups[first : min(first + self.rows_per_block, stop)]
                parameters = {key: _values(part, name) for key, name in names.items()}
                keep = _wanted_rows(self, part, parameters)
                if keep.any():
                    parameters = {key: values[keep] for key, values in parameters.items()}
                    frequency, width = _frequencies(header, tables, axes, parameters)
                    data = _ordered(part.data[keep], axes)  # (rows, IF, channel, hand, 3)
                    arrays = _arrays(self, data, parameters, frequency, width, hands, header)
                    if len(arrays["weight"]):
                        yield arrays

    def nothing_left(self):
        """InputError that says what the file has."""
        with _open(self.path) as (_, groups, _):
            time = _values(groups, "DATE")
        found = f"its times are {show_time(time.min())}~{show_time(time.max())}"
        return InputError(f"{self.name}: no visibilities left of {self.n_rows} rows; {found}")


@contextlib.contextmanager
def _open(path):
    """(header, groups, {name: table}) of a file; the groups stay on the disk until rows of them are looked at."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=True) as file:
            header, groups = file[0].header, file[0].data
            if groups is None or len(groups) == 0:
                raise InputError(f"{path}: a UVFITS file without visibilities")
            yield header, groups, {hdu.name: hdu for hdu in file[1:]}
    except fits.VerifyError as error:  # a header that astropy cannot parse
        raise ValueError(str(error)) from error


def _wanted_rows(wanted, part, parameters):
    """Which rows of a block are wanted, shape (rows,)."""
    antenna1, antenna2 = _antennas(parameters)
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
    antenna1, antenna2 = _antennas(parameters)
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
    with _open(path) as (header, groups, tables):
        return _sources(groups, tables) or {1: (str(header.get("OBJECT", "")).strip(), len(groups))}


def field_centers(path):
    """{source number: phase centre (ra, dec) [deg], or None}."""
    with _open(path) as (header, groups, tables):
        if not _sources(groups, tables):
            return {1: _center_of_header(header)}
        table = tables["AIPS SU"].data
        places = zip(table["ID. NO."], table["RAEPO"], table["DECEPO"])
        return {int(number): (float(ra), float(dec)) for number, ra, dec in places}


def _axes(path, header):
    """FITS axis number of each kind of axis; COMPLEX must be there with 2 or 3 values."""
    axes = {header.get(f"CTYPE{i}", "").strip(): i for i in range(2, header["NAXIS"] + 1)}
    if header.get(f"NAXIS{axes.get('COMPLEX')}") != 3 or "FREQ" not in axes or "STOKES" not in axes:
        raise InputError(f"{path}: no axes COMPLEX (3), STOKES and FREQ: not a UVFITS file of visibilities")
    return axes


def _ordered(data, axes):
    """Data with axes (row, IF, channel, hand, 3), all others of length 1 dropped."""
    n_axes = data.ndim
    position = {kind: n_axes - (axis - 1) for kind, axis in axes.items()}
    wanted = [position[kind] for kind in ("IF", "FREQ", "STOKES", "COMPLEX") if kind in position]
    others = [i for i in range(1, n_axes) if i not in wanted]
    ordered = np.transpose(data, [0, *others, *wanted])
    shape = ordered.shape[len(others) + 1 :]
    ordered = ordered.reshape(len(data), -1, *shape)[:, 0]
    return ordered if "IF" in position else ordered[:, None]


def _parameters(path, groups):
    """The random parameters that are used: {UU: UU---SIN, ...}."""
    names = {name.upper().split("-")[0]: name for name in groups.parnames}
    for wanted in ("UU", "VV", "DATE"):
        if wanted not in names:
            raise InputError(f"{path}: no random parameter {wanted}")
    known = ("UU", "VV", "WW", "DATE", "BASELINE", "ANTENNA1", "ANTENNA2", "FREQSEL", "INTTIM")
    return {key: names[key] for key in known if key in names}


def _values(groups, name):
    """A random parameter in double precision: the sum of all that have this name; DATE in seconds since MJD 0."""
    same = [i for i, other in enumerate(groups.parnames) if other == name]
    parts = [np.asarray(groups.par(i), dtype=np.float64) for i in same]
    if name.upper() == "DATE":
        return (parts[0] - FIRST_DAY) * DAY + sum(part * DAY for part in parts[1:])
    return sum(parts[1:], parts[0])


def _frequencies(header, tables, axes, parameters):
    """(channel centres, channel widths), shapes (rows, IF, channels) and one that broadcasts to it [Hz]."""
    axis = axes["FREQ"]
    channel = np.arange(header[f"NAXIS{axis}"]) + 1 - header[f"CRPIX{axis}"]
    n_if = header[f"NAXIS{axes['IF']}"] if "IF" in axes else 1
    rows = len(parameters["UU"])
    base = np.full((1, n_if, len(channel)), header[f"CRVAL{axis}"] + channel * header[f"CDELT{axis}"])
    if "AIPS FQ" not in tables:
        shape = (rows, n_if, len(channel))
        return np.broadcast_to(base, shape), np.broadcast_to(abs(header[f"CDELT{axis}"]), shape)
    table = tables["AIPS FQ"].data
    offset = np.asarray(table["IF FREQ"], dtype=np.float64).reshape(len(table), n_if)
    width = np.asarray(table["CH WIDTH"], dtype=np.float64).reshape(len(table), n_if)
    step = float(header[f"CDELT{axis}"])  # in double precision, which CH WIDTH is not
    width = np.where(np.abs(width - step) < 1e-6 * abs(step), step, width)
    per_setup = header[f"CRVAL{axis}"] + offset[..., None] + channel * width[..., None]
    setups = np.asarray(table["FRQSEL"]).astype(int)
    chosen = parameters.get("FREQSEL", np.ones(rows)).astype(int)
    which = np.clip(np.searchsorted(np.sort(setups), chosen), 0, len(setups) - 1)
    setup = np.argsort(setups)[which]
    return per_setup[setup], np.broadcast_to(np.abs(width[setup])[..., None], (rows, n_if, len(channel)))


def _hands(header, axes):
    axis = axes["STOKES"]
    first, step = header[f"CRVAL{axis}"], header.get(f"CDELT{axis}", 1.0)
    codes = first + (np.arange(header[f"NAXIS{axis}"]) + 1 - header.get(f"CRPIX{axis}", 1.0)) * step
    return [UVFITS_NAMES.get(round(code), str(round(code))) for code in codes]


def _antennas(parameters):
    if "ANTENNA1" in parameters and "ANTENNA2" in parameters:
        return parameters["ANTENNA1"].astype(int), parameters["ANTENNA2"].astype(int)
    baseline = np.floor(parameters["BASELINE"] + 1e-3).astype(int)
    large = baseline > 65536  # the convention for more than 255 antennas
    code = baseline - 65536
    return np.where(large, code // 2048, baseline // 256), np.where(large, code % 2048, baseline % 256)


def _source(path, items, groups, tables, header):
    """(phase centre [deg], number) of the source that was asked for, or of the only one (number None)."""
    there = _sources(groups, tables)
    if there is None:
        own = str(header.get("OBJECT", "")).strip()
        if items is not None and not {str(item) for item in items} <= {own, "1", "0"}:
            raise InputError(f"{path}: there is no field {items[0]!r}; it has {own or 'one without a name'}")
        return _center_of_header(header), None
    there = {number: name for number, (name, _) in there.items()}
    if items is None and len(there) > 1:
        raise InputError(f"{path}: has fields {listed(there)}; say which one, field={max(there)}")
    wanted = list(there) if items is None else choose(path, "field", items, there)
    if len(wanted) > 1:
        raise InputError(f"{path}: one field of a UVFITS file at a time, got {', '.join(map(str, wanted))}")
    table = tables["AIPS SU"].data
    row = list(table["ID. NO."]).index(wanted[0])
    return (float(table["RAEPO"][row]), float(table["DECEPO"][row])), int(wanted[0])


def _sources(groups, tables):
    """{number: (name, rows)} of the sources that have rows; None for a file of one source."""
    if "SOURCE" not in [name.upper() for name in groups.parnames] or "AIPS SU" not in tables:
        return None
    table = tables["AIPS SU"].data
    names = {int(number): _text(name) for number, name in zip(table["ID. NO."], table["SOURCE"])}
    numbers, n_rows = np.unique(np.asarray(groups.par("SOURCE")).astype(int), return_counts=True)
    return {int(number): (names.get(int(number), ""), int(n)) for number, n in zip(numbers, n_rows)}


def _stations(tables):
    """{antenna number: name}."""
    table = tables.get("AIPS AN")
    if table is None or "ANNAME" not in table.columns.names:
        return {} if table is None else dict.fromkeys(range(1, len(table.data) + 1), "")
    numbers = range(1, len(table.data) + 1)
    if "NOSTA" in table.columns.names:
        numbers = np.asarray(table.data["NOSTA"]).astype(int).tolist()
    return dict(zip(numbers, map(_text, table.data["ANNAME"])))


def _text(value):
    """What stands before the first NUL: CASA leaves what was in memory behind it."""
    return str(value).split("\0")[0].strip()


def _center_of_header(header):
    if not header.get("UVLENSPC", True):
        return None
    kinds = {str(header.get(f"CTYPE{i}", "")).strip()[:4].rstrip("-"): i for i in range(2, header["NAXIS"] + 1)}
    if "RA" in kinds and "DEC" in kinds:
        return float(header[f"CRVAL{kinds['RA']}"]), float(header[f"CRVAL{kinds['DEC']}"])
    return None


def _pointing_of_header(header):
    """Of our own files; others write there what they understand by it."""
    if header.get("ORIGIN") == "uvlens" and "OBSRA" in header and "OBSDEC" in header:
        return float(header["OBSRA"]), float(header["OBSDEC"])
    return None


def _diameters(tables):
    """Of the dishes by antenna number [m], () where the antenna table does not say."""
    table = tables.get("AIPS AN")
    if table is None or "DIAMETER" not in table.columns.names:
        return ()
    diameter = np.asarray(table.data["DIAMETER"], dtype=float)
    number = np.arange(1, len(table.data) + 1)
    if "NOSTA" in table.columns.names:
        number = np.asarray(table.data["NOSTA"]).astype(int)
    by_number = np.full(number.max() + 1, diameter[0])  # numbers that are left out are never used
    by_number[number] = diameter
    return by_number
