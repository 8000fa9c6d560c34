"""UVFITS (random groups), written so that CASA's importuvfits, AIPS and astropy read it.

A row holds what shares time, baseline, field and coordinates; spectral windows are its IFs. What the data do not
have is padded with weight 0, which every reader takes for a flag. CASA refuses Stokes I, so that it is written as two
equal hands XX and YY of half the weight, whose weighted mean it is. UU, VV, WW are in seconds. In single precision (the
only one that CASA and AIPS read) each of them, and the day's fraction, is followed by its remainder as a second
parameter of the same name: the standard says that such parameters are to be added, which gives 4e-15, and who takes the
first one alone gets the 6e-8 of all such files.
"""

import warnings

import numpy as np

from ..errors import InputError, UVLensWarning
from ..primarybeam import GaussianBeam, MixedBeam
from .uvfits_windows import channel_cells

DAY = 86400.0
FIRST_DAY = 2400000.5
"""Julian date of modified Julian date 0."""
_REFERENCE_DAY = 51544.0
"""2000 January 1, for times that count from another origin."""
_OLDEST = 1e9
"""Seconds since MJD 0 below which a time cannot be a date of an observation."""


def write(data, path, *, precision="single", telescope="UNKNOWN"):
    """Visibilities of Stokes I as UVFITS.

    Args:
        data: Visibilities with frequencies. Without antennas or times the file gets placeholders, and says so in the
            keywords UVLENSAN and UVLENSTI = F.
        path: file.
        precision: "single", or "double" (BITPIX -64, for astropy but not for CASA or AIPS).
        telescope: its name.

    Raises:
        InputError: no frequencies; windows of different channel counts or unequal channel spacing.
    """
    from astropy.io import fits

    if precision not in ("single", "double"):
        raise InputError(f'{path}: precision must be "single" or "double", got {precision!r}')
    if data.frequency is None:
        raise InputError(f"{path}: UVFITS needs the frequency of each visibility, which these data do not have")
    cells = channel_cells(path, data)
    antenna1, antenna2 = _antennas(data)
    rows, first = _rows(data, antenna1, antenna2, cells.number)
    groups = np.zeros((len(first), 1, 1, *cells.shape, 2, 3), np.float32 if precision == "single" else np.float64)
    where = (rows, 0, 0, cells.window, cells.channel)
    for i, values in enumerate((data.vis.real, data.vis.imag, 0.5 * data.weight)):
        groups[(*where, slice(None), i)] = values[:, None]
    names, values, time_zero = _parameters(data, first, antenna1, antenna2, precision)
    bitpix = -32 if precision == "single" else -64
    primary = fits.GroupsHDU(fits.GroupData(groups, bitpix=bitpix, parnames=names, pardata=values))
    _fill_header(primary.header, data, cells, telescope, time_zero)
    diameters = _diameters(data, path, int(max(antenna1.max(), antenna2.max())))
    antennas = _antenna_table(fits, diameters, max(antenna1.max(), antenna2.max()), primary.header, cells)
    tables = [_frequency_table(fits, cells), antennas]
    if "SOURCE" in names:
        tables.append(_source_table(fits, data, cells))
    fits.HDUList([primary, *tables]).writeto(path, overwrite=True)


def _antennas(data):
    """Antenna numbers from 1; 1 and 2 where they are not known."""
    if data.antenna1 is None or data.antenna2 is None:
        return np.ones(len(data), int), np.full(len(data), 2)
    lowest = min(data.antenna1.min(), data.antenna2.min())
    shift = 1 - min(lowest, 1)
    return data.antenna1 + shift, data.antenna2 + shift


def _rows(data, antenna1, antenna2, cell):
    """(row of each visibility, index of the first of each row), in the order of their first visibilities.

    No two visibilities of a row share a cell, and all have the same u, v in seconds to 1e-9 of the longest.
    """
    seconds = [data.u / data.frequency, data.v / data.frequency]
    tolerance = 1e-9 * max(np.abs(values).max() for values in seconds) or 1.0
    keys = [key for key in (data.time, data.field) if key is not None]
    if data.antenna1 is None or data.antenna2 is None or data.time is None:
        keys += [np.rint(values / tolerance) for values in seconds]
    else:
        keys += [antenna1, antenna2]
    group, first = _group(keys)
    apart = [np.rint((values - values[first][group]) / tolerance) for values in seconds]
    group, _ = _group([group, *apart])
    return _group([group, _occurrence(group, cell)])


def _group(keys):
    """(number of the group of equal keys, first index of each group), groups in order of first appearance."""
    order = np.lexsort(keys)
    new = np.ones(len(order), bool)
    new[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    number = np.empty(len(order), int)
    number[order] = np.cumsum(new) - 1
    first = order[new]  # lexsort is stable: the lowest index of each
    rank = np.argsort(np.argsort(first))
    return rank[number], np.sort(first)


def _occurrence(group, cell):
    """How many of the same group and cell came before."""
    pair, first = _group([group, cell])
    if len(first) == len(pair):
        return np.zeros(len(pair), int)
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) > 0])
    count = np.empty(len(pair), int)
    count[order] = np.arange(len(pair)) - np.repeat(starts, np.diff(np.r_[starts, len(pair)]))
    return count


def _parameters(data, first, antenna1, antenna2, precision):
    """(names, values, seconds that were added to the times) of the random parameters."""
    frequency = data.frequency[first]
    w = np.zeros(len(first)) if data.w is None else data.w[first] / frequency
    coordinates = {"UU": data.u[first] / frequency, "VV": data.v[first] / frequency, "WW": w}
    time = np.zeros(len(first)) if data.time is None else data.time[first]
    time_zero = 0.0 if data.time is not None and time.min() > _OLDEST else _REFERENCE_DAY * DAY
    if data.time is not None and time.max() > FIRST_DAY * DAY / 2.0:
        time_zero = -FIRST_DAY * DAY
    day = np.floor((time + time_zero) / DAY)
    fraction = (time + time_zero - day * DAY) / DAY
    large = max(antenna1.max(), antenna2.max()) > 255
    baseline = 2048 * antenna1 + antenna2 + 65536 if large else 256 * antenna1 + antenna2
    named = [*coordinates.items(), ("DATE", day + FIRST_DAY), ("DATE", fraction), ("BASELINE", baseline[first])]
    named.append(("FREQSEL", np.ones(len(first))))
    if data.field is not None and len(np.unique(data.field)) > 1:
        named.append(("SOURCE", data.field[first] - min(data.field.min(), 1) + 1))
    if data.interval is not None:
        named.append(("INTTIM", data.interval[first]))
    if precision == "single":
        for name, values in (*coordinates.items(), ("DATE", fraction)):
            named.append((name, values - values.astype(np.float32)))
    return [name for name, _ in named], [values for _, values in named], time_zero


def _fill_header(header, data, cells, telescope, time_zero):
    center = data.phase_center or (0.0, 0.0)
    axes = [("COMPLEX", 1.0, 1.0), ("STOKES", -5.0, -1.0), ("FREQ", cells.first[0], cells.step[0] or 1.0)]
    axes += [("IF", 1.0, 1.0), ("RA", float(center[0]), 1.0), ("DEC", float(center[1]), 1.0)]
    for axis, (kind, value, step) in enumerate(axes, 2):
        for key, entry in (("CTYPE", kind), ("CRVAL", value), ("CDELT", step), ("CRPIX", 1.0), ("CROTA", 0.0)):
            header[f"{key}{axis}"] = entry
    several = data.field is not None and len(np.unique(data.field)) > 1
    header["OBJECT"] = "MULTI" if several else _ascii(data.name)[:60]
    header["DATE-OBS"] = _date(data, time_zero)
    header["TELESCOP"] = header["INSTRUME"] = _ascii(telescope)
    header["EPOCH"] = 2000.0
    header["BUNIT"], header["SPECSYS"], header["ORIGIN"] = "JY", "TOPOCENT", "uvlens"
    if data.pointing_center is not None:
        header["OBSRA"], header["OBSDEC"] = (float(angle) for angle in data.pointing_center)
    header["UVLENSPC"] = (data.phase_center is not None, "phase centre known")
    header["UVLENSAN"] = (data.antenna1 is not None and data.antenna2 is not None, "antenna numbers known")
    header["UVLENSTI"] = (data.time is not None, "times known")
    header["UVLENSW"] = (data.w is not None, "WW known")
    header["UVLENST0"] = (time_zero, "added to the times [s]")
    header.add_history("AIPS WTSCAL = 1.0")
    header.add_history("Stokes I as two equal hands of half its weight 1/sigma^2; 0: flagged")


def _frequency_table(fits, cells):
    n = len(cells.first)
    columns = [
        fits.Column("FRQSEL", "1J", array=[1]),
        fits.Column("IF FREQ", f"{n}D", unit="HZ", array=[cells.first - cells.first[0]]),
        fits.Column("CH WIDTH", f"{n}E", unit="HZ", array=[cells.step]),
        fits.Column("TOTAL BANDWIDTH", f"{n}E", unit="HZ", array=[cells.step * cells.shape[1]]),
        fits.Column("SIDEBAND", f"{n}J", array=[np.ones(n, int)]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="AIPS FQ", ver=1)
    table.header["NO_IF"] = n
    return table


def _antenna_table(fits, diameters, n, header, cells):
    """Of n antennas; their places are not known."""
    zeros = np.zeros(n)
    columns = [
        fits.Column("ANNAME", "8A", array=[f"A{i + 1:03d}" for i in range(n)]),
        fits.Column("STABXYZ", "3D", unit="METERS", array=np.zeros((n, 3))),
        fits.Column("ORBPARM", "0D", array=np.zeros((n, 0))),
        fits.Column("NOSTA", "1J", array=np.arange(n) + 1),
        fits.Column("MNTSTA", "1J", array=zeros.astype(int)),
        fits.Column("STAXOF", "1E", unit="METERS", array=zeros),
    ]
    for hand, letter in (("A", "X"), ("B", "Y")):
        columns.append(fits.Column(f"POLTY{hand}", "1A", array=[letter] * n))
        columns.append(fits.Column(f"POLA{hand}", "1E", unit="DEGREES", array=zeros))
        columns.append(fits.Column(f"POLCAL{hand}", "1E", array=zeros))
    if diameters is not None:
        columns.append(fits.Column("DIAMETER", "1E", array=diameters))
    table = fits.BinTableHDU.from_columns(columns, name="AIPS AN", ver=1)
    day = (np.datetime64(header["DATE-OBS"][:10]) - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    for key, value in {
        **dict.fromkeys(("ARRAYX", "ARRAYY", "ARRAYZ", "POLARX", "POLARY", "UT1UTC"), 0.0),
        "GSTIA0": (280.46061837 + 360.98564736629 * (day - 0.5)) % 360.0,
        "DEGPDY": 360.98564736629,
        "FREQ": cells.first[0],
        "RDATE": header["DATE-OBS"][:10],
        "IATUTC": 37.0,
        "TIMSYS": "UTC",
        "ARRNAM": header["TELESCOP"],
        "NUMORB": 0,
        "NOPCAL": 0,
        "POLTYPE": "",
        "XYZHAND": "RIGHT",
        "FRAME": "ITRF",
    }.items():
        table.header[key] = value
    return table


def _diameters(data, path, n):
    """Of n antennas [m], None where the primary beam has none; a beam that no diameter describes is left out."""
    beam = data.primary_beam
    if isinstance(beam, GaussianBeam):
        return np.full(n, beam.diameter)
    if isinstance(beam, MixedBeam) and all(isinstance(one, GaussianBeam) for one in beam.beams):
        by_number = np.array([beam.beams[kind].diameter for kind in beam.kind])  # type: ignore[attr-defined]
        shift = 0 if data.antenna1 is None else 1 - min(1, data.antenna1.min(), data.antenna2.min())
        number = np.arange(1, n + 1) - shift
        return by_number[np.clip(number, 0, len(by_number) - 1)]
    if beam is not None:
        text = f"{path}: the primary beam ({beam.describe()}) has no place in UVFITS and is left out"
        warnings.warn(text, UVLensWarning, stacklevel=5)
    return None


def _source_table(fits, data, cells):
    fields = np.unique(data.field)
    n, windows = len(fields), len(cells.first)
    center, pointing = data.phase_center or (0.0, 0.0), data.pointing_center or data.phase_center or (0.0, 0.0)
    columns = [
        fits.Column("ID. NO.", "1J", array=fields - min(fields.min(), 1) + 1),
        fits.Column("SOURCE", "16A", array=[f"FIELD{field}" for field in fields]),
        fits.Column("QUAL", "1J", array=np.zeros(n, int)),
        fits.Column("CALCODE", "4A", array=[""] * n),
    ]
    columns += [
        fits.Column(name, f"{windows}E", unit="JY", array=np.zeros((n, windows)))
        for name in ("IFLUX", "QFLUX", "UFLUX", "VFLUX")
    ]
    columns.append(fits.Column("FREQOFF", f"{windows}D", unit="HZ", array=np.zeros((n, windows))))
    for name, value in (
        ("BANDWIDTH", cells.step[0] * cells.shape[1]),
        *(("RAEPO", center[0]), ("DECEPO", center[1]), ("EPOCH", 2000.0)),
        *(("RAAPP", center[0]), ("DECAPP", center[1]), ("RAOBS", pointing[0]), ("DECOBS", pointing[1])),
    ):
        columns.append(fits.Column(name, "1D", array=np.full(n, value)))
    for name in ("LSRVEL", "RESTFREQ"):
        columns.append(fits.Column(name, f"{windows}D", array=np.zeros((n, windows))))
    for name in ("PMRA", "PMDEC"):
        columns.append(fits.Column(name, "1D", array=np.zeros(n)))
    table = fits.BinTableHDU.from_columns(columns, name="AIPS SU", ver=1)
    table.header["NO_IF"], table.header["FREQID"] = windows, 1
    table.header["VELDEF"], table.header["VELTYP"] = "RADIO", "TOPOCENT"
    return table


def _date(data, time_zero):
    """First time as ISO 8601."""
    seconds = (time_zero if data.time is None else data.time.min() + time_zero) or _REFERENCE_DAY * DAY
    return str(np.datetime64("1858-11-17T00:00:00.000000") + np.timedelta64(round(seconds * 1e6), "us"))


def _ascii(text):
    return str(text).encode("ascii", "replace").decode().strip() or "UNKNOWN"
