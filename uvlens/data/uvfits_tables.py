"""What a UVFITS file says about its groups: axes, random parameters, frequencies, sources, antennas."""

import contextlib

import numpy as np

from ..errors import InputError
from .correlations import UVFITS_NAMES
from .selection import choose, listed
from .uvfits_write import DAY, FIRST_DAY


@contextlib.contextmanager
def opened(path):
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


def axes_of(path, header):
    """FITS axis number of each kind of axis; COMPLEX must be there with 2 or 3 values."""
    axes = {header.get(f"CTYPE{i}", "").strip(): i for i in range(2, header["NAXIS"] + 1)}
    if header.get(f"NAXIS{axes.get('COMPLEX')}") != 3 or "FREQ" not in axes or "STOKES" not in axes:
        raise InputError(f"{path}: no axes COMPLEX (3), STOKES and FREQ: not a UVFITS file of visibilities")
    return axes


def ordered(data, axes):
    """Data with axes (row, IF, channel, hand, 3), all others of length 1 dropped."""
    n_axes = data.ndim
    position = {kind: n_axes - (axis - 1) for kind, axis in axes.items()}
    wanted = [position[kind] for kind in ("IF", "FREQ", "STOKES", "COMPLEX") if kind in position]
    others = [i for i in range(1, n_axes) if i not in wanted]
    ordered = np.transpose(data, [0, *others, *wanted])
    shape = ordered.shape[len(others) + 1 :]
    ordered = ordered.reshape(len(data), -1, *shape)[:, 0]
    return ordered if "IF" in position else ordered[:, None]


def parameters_of(path, groups):
    """The random parameters that are used: {UU: UU---SIN, ...}."""
    names = {name.upper().split("-")[0]: name for name in groups.parnames}
    for wanted in ("UU", "VV", "DATE"):
        if wanted not in names:
            raise InputError(f"{path}: no random parameter {wanted}")
    known = ("UU", "VV", "WW", "DATE", "BASELINE", "ANTENNA1", "ANTENNA2", "FREQSEL", "INTTIM")
    return {key: names[key] for key in known if key in names}


def values_of(groups, name):
    """A random parameter in double precision: the sum of all that have this name; DATE in seconds since MJD 0."""
    same = [i for i, other in enumerate(groups.parnames) if other == name]
    parts = [np.asarray(groups.par(i), dtype=np.float64) for i in same]
    if name.upper() == "DATE":
        return (parts[0] - FIRST_DAY) * DAY + sum(part * DAY for part in parts[1:])
    return sum(parts[1:], parts[0])


def frequencies_of(header, tables, axes, parameters):
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


def hands_of(header, axes):
    axis = axes["STOKES"]
    first, step = header[f"CRVAL{axis}"], header.get(f"CDELT{axis}", 1.0)
    codes = first + (np.arange(header[f"NAXIS{axis}"]) + 1 - header.get(f"CRPIX{axis}", 1.0)) * step
    return [UVFITS_NAMES.get(round(code), str(round(code))) for code in codes]


def antennas_of(parameters):
    if "ANTENNA1" in parameters and "ANTENNA2" in parameters:
        return parameters["ANTENNA1"].astype(int), parameters["ANTENNA2"].astype(int)
    baseline = np.floor(parameters["BASELINE"] + 1e-3).astype(int)
    large = baseline > 65536  # the convention for more than 255 antennas
    code = baseline - 65536
    return np.where(large, code // 2048, baseline // 256), np.where(large, code % 2048, baseline % 256)


def source_of(path, items, groups, tables, header):
    """(phase centre [deg], number) of the source that was asked for, or of the only one (number None)."""
    there = sources_of(groups, tables)
    if there is None:
        own = str(header.get("OBJECT", "")).strip()
        if items is not None and not {str(item) for item in items} <= {own, "1", "0"}:
            raise InputError(f"{path}: there is no field {items[0]!r}; it has {own or 'one without a name'}")
        return center_of_header(header), None
    there = {number: name for number, (name, _) in there.items()}
    if items is None and len(there) > 1:
        raise InputError(f"{path}: has fields {listed(there)}; say which one, field={max(there)}")
    wanted = list(there) if items is None else choose(path, "field", items, there)
    if len(wanted) > 1:
        raise InputError(f"{path}: one field of a UVFITS file at a time, got {', '.join(map(str, wanted))}")
    table = tables["AIPS SU"].data
    row = list(table["ID. NO."]).index(wanted[0])
    return (float(table["RAEPO"][row]), float(table["DECEPO"][row])), int(wanted[0])


def sources_of(groups, tables):
    """{number: (name, rows)} of the sources that have rows; None for a file of one source."""
    if "SOURCE" not in [name.upper() for name in groups.parnames] or "AIPS SU" not in tables:
        return None
    table = tables["AIPS SU"].data
    names = {int(number): text_of(name) for number, name in zip(table["ID. NO."], table["SOURCE"])}
    numbers, n_rows = np.unique(np.asarray(groups.par("SOURCE")).astype(int), return_counts=True)
    return {int(number): (names.get(int(number), ""), int(n)) for number, n in zip(numbers, n_rows)}


def stations_of(tables):
    """{antenna number: name}."""
    table = tables.get("AIPS AN")
    if table is None or "ANNAME" not in table.columns.names:
        return {} if table is None else dict.fromkeys(range(1, len(table.data) + 1), "")
    numbers = range(1, len(table.data) + 1)
    if "NOSTA" in table.columns.names:
        numbers = np.asarray(table.data["NOSTA"]).astype(int).tolist()
    return dict(zip(numbers, map(text_of, table.data["ANNAME"])))


def text_of(value):
    """What stands before the first NUL: CASA leaves what was in memory behind it."""
    return str(value).split("\0")[0].strip()


def center_of_header(header):
    if not header.get("UVLENSPC", True):
        return None
    kinds = {str(header.get(f"CTYPE{i}", "")).strip()[:4].rstrip("-"): i for i in range(2, header["NAXIS"] + 1)}
    if "RA" in kinds and "DEC" in kinds:
        return float(header[f"CRVAL{kinds['RA']}"]), float(header[f"CRVAL{kinds['DEC']}"])
    return None


def pointing_of_header(header):
    """Of our own files; others write there what they understand by it."""
    if header.get("ORIGIN") == "uvlens" and "OBSRA" in header and "OBSDEC" in header:
        return float(header["OBSRA"]), float(header["OBSDEC"])
    return None


def diameters_of(tables):
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
