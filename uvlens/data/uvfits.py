"""UVFITS (random groups) through astropy, as CASA, AIPS, MIRIAD and the SMA's tools write it.

u, v are seconds times the frequency of each channel, CRVAL of the FREQ axis plus the offset of each IF in the AIPS FQ
table. The sign is that of a measurement set. A weight <= 0 means flagged. Coordinates are float32 in most files: phases
hold to about 5e-6 of the longest baseline. Files of `uvfits_write` say in UVLENS* keywords what was not known.
"""

import contextlib

import numpy as np

from ..errors import InputError
from ..primarybeam import beam_of_dishes
from .correlations import UVFITS_NAMES, total_intensity, usable_weight
from .uvfits_write import DAY, FIRST_DAY
from .visibilities import Visibilities


def recognises(path):
    """A FITS file whose first header says GROUPS = T."""
    if path.is_dir():
        return False
    with open(path, "rb") as file:
        block = file.read(2880)
    cards = [block[i : i + 80] for i in range(0, len(block), 80)]
    groups = [card for card in cards if card.startswith(b"GROUPS  =")]
    return block.startswith(b"SIMPLE  =") and bool(groups) and groups[0][10:30].split(b"/")[0].strip() == b"T"


def read(path, *, field=None, spw=None, stokes="both"):
    """Visibilities of one source of a UVFITS file.

    Args:
        path: of the file.
        field: number (from 1, as in the file) or name of the source, where there are several.
        spw: IFs, a number from 0 or a list; None: all.
        stokes: "both" parallel hands unflagged, or "any" of them.

    Raises:
        InputError: a file that is cut or has no complex groups, no such source (those there are listed).
    """
    with _opened(path) as file:
        header, groups = file[0].header, file[0].data
        if groups is None or len(groups) == 0:
            raise InputError(f"{path}: a UVFITS file without visibilities")
        tables = {hdu.name: hdu for hdu in file[1:]}
        axes = _axes(path, header)
        rows, center, number = _source(path, field, groups, tables, header)
        data = _ordered(groups.data[rows], axes)  # (rows, IF, channel, hand, 3)
        parameters = {key: _values(groups, name)[rows] for key, name in _parameters(path, groups).items()}
        frequency, width = _frequencies(header, tables, axes, parameters)
        hands = _hands(header, axes)
        diameters = _diameters(tables)
        pointing = _pointing_of_header(header)
    windows = np.arange(data.shape[1]) if spw is None else np.atleast_1d(spw).astype(int)
    if not np.all((windows >= 0) & (windows < data.shape[1])):
        raise InputError(f"{path}: spw {spw} is not there; it has {', '.join(map(str, range(data.shape[1])))}")
    data, frequency, width = data[:, windows], frequency[:, windows], width[:, windows]
    antenna1, antenna2 = _antennas(parameters)
    keep = antenna1 != antenna2
    data, frequency, width = data[keep].astype(np.float64), frequency[keep], width[keep]
    vis = data[..., 0] + 1j * data[..., 1]
    weight = usable_weight(data[..., 2], ~np.isfinite(vis))
    vis, weight = total_intensity(path, vis, weight, hands, stokes)

    def each(values):
        return np.broadcast_to(np.asarray(values)[keep][:, None, None], vis.shape).ravel()

    has_antennas, has_times, has_w = (header.get(f"UVLENS{key}", True) for key in ("AN", "TI", "W"))
    if not np.any(weight > 0.0):
        raise InputError(f"{path}: all {weight.size} visibilities are flagged")
    return Visibilities(
        w=(parameters["WW"][keep][:, None, None] * frequency).ravel() if "WW" in parameters and has_w else None,
        u=(parameters["UU"][keep][:, None, None] * frequency).ravel(),
        v=(parameters["VV"][keep][:, None, None] * frequency).ravel(),
        vis=vis.ravel(),
        weight=weight.ravel(),
        antenna1=each(antenna1) if has_antennas else None,
        antenna2=each(antenna2) if has_antennas else None,
        time=each(parameters["DATE"] - header.get("UVLENST0", 0.0)) if has_times else None,
        interval=each(parameters["INTTIM"]) if "INTTIM" in parameters else None,
        frequency=frequency.ravel(),
        channel_width=np.broadcast_to(width, frequency.shape).ravel() if np.any(width > 0.0) else None,
        field=np.full(vis.size, number),
        spw=np.broadcast_to(windows[:, None], vis.shape).ravel(),
        phase_center=center,
        pointing_center=pointing,
        primary_beam=beam_of_dishes(diameters),
        name=path.name,
    )


def count_fields(path):
    """{source number: (name, rows)}."""
    with _opened(path) as file:
        header, groups = file[0].header, file[0].data
        if groups is None or len(groups) == 0:
            raise InputError(f"{path}: a UVFITS file without visibilities")
        tables = {hdu.name: hdu for hdu in file[1:]}
        if "SOURCE" not in [name.upper() for name in groups.parnames] or "AIPS SU" not in tables:
            return {1: (str(header.get("OBJECT", "")).strip(), len(groups))}
        table = tables["AIPS SU"].data
        names = {int(n): str(name).strip() for n, name in zip(table["ID. NO."], table["SOURCE"])}
        numbers, rows = np.unique(np.asarray(groups.par("SOURCE")).astype(int), return_counts=True)
        return {int(number): (names.get(int(number), "?"), int(n)) for number, n in zip(numbers, rows)}


def field_centers(path):
    """{source number: phase centre (ra, dec) [deg], or None}."""
    with _opened(path) as file:
        header, groups = file[0].header, file[0].data
        tables = {hdu.name: hdu for hdu in file[1:]}
        if groups is None or "SOURCE" not in [name.upper() for name in groups.parnames] or "AIPS SU" not in tables:
            return {1: _center_of_header(header)}
        table = tables["AIPS SU"].data
        places = zip(table["ID. NO."], table["RAEPO"], table["DECEPO"])
        return {int(number): (float(ra), float(dec)) for number, ra, dec in places}


@contextlib.contextmanager
def _opened(path):
    """The file; a header that astropy cannot parse is a ValueError."""
    from astropy.io import fits

    try:
        with fits.open(path, memmap=False) as file:
            yield file
    except fits.VerifyError as error:
        raise ValueError(str(error)) from error


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


def _source(path, asked, groups, tables, header):
    """(rows, phase centre [deg], number) of the source that was asked for, or of the only one."""
    if "SOURCE" not in [name.upper() for name in groups.parnames] or "AIPS SU" not in tables:
        own = [str(header.get("OBJECT", "")).strip(), "1", "0"]
        if asked is not None and str(asked) not in own:
            raise InputError(f"{path}: there is no field {asked!r}; it has {own[0] or 'one without a name'}")
        return np.ones(len(groups), bool), _center_of_header(header), 1
    number = np.asarray(groups.par("SOURCE")).astype(int)
    table = tables["AIPS SU"].data
    names = {int(n): str(name).strip() for n, name in zip(table["ID. NO."], table["SOURCE"])}
    there = np.unique(number)
    listed = ", ".join(f"{n} ({names.get(n, '?')})" for n in there)
    if asked is None and len(there) > 1:
        raise InputError(f"{path}: has fields {listed}; say which one, field={there[-1]}")
    wanted = [n for n in there if asked is None or str(asked) in (str(n), names.get(n))]
    if not wanted:
        raise InputError(f"{path}: there is no field {asked!r}; it has {listed}")
    row = list(table["ID. NO."]).index(wanted[0])
    return number == wanted[0], (float(table["RAEPO"][row]), float(table["DECEPO"][row])), int(wanted[0])


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
