"""Text tables as galario, frank and uvplot read and write them, plain or compressed (.gz, .bz2).

u v Re Im w                       galario, frank, uvplot V0
u v Re Im w frequency [spw]       uvplot V1
u v V w frequency spw             uvplot V2, V complex: (1.0e+00-2.0e+00j)
"""

import bz2
import gzip
import json
import re
import warnings
import zlib

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError, UVLensWarning
from .visibilities import Visibilities

_UNITS = {"lambda": "lambda", "λ": "lambda", "wavelength": "lambda", "wavelengths": "lambda"}
_UNITS |= dict.fromkeys(("m", "metre", "metres", "meter", "meters"), "m")
_UNIT_OF_COLUMN = re.compile(r"\bu\s*[\[(]\s*([^\])]+?)\s*[\])]", re.IGNORECASE)
_UNITS_LINE = re.compile(r"\b(?:uv[ _-]?)?units?[\"']?\s*[:=]\s*\[?\s*[\"']?([^\W\d]+)", re.IGNORECASE)
_WAVELENGTH = re.compile(r"\bwavelength\s*\[m\]\s*[:=]\s*([^\s,;]+)", re.IGNORECASE)
_COLUMNS = ("u v re im weights", "u v re im weights freqs spws", "u v v weights freqs spws")
"""Of uvplot, V0 to V2, as its JSON header lists them."""
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open}
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r"))


def recognises(path):
    """No control characters in the first 64 kB, unpacked where the file is compressed."""
    if path.is_dir():
        return False
    try:
        with _opener(path)(path, "rb") as file:
            block = file.read(65536)
    except (OSError, EOFError, ValueError, zlib.error):
        return False
    return len(block) > 0 and len(block.translate(None, _CONTROL)) == len(block)


def read(path, *, uv_unit=None, frequency=None, wavelength=None):
    """Visibilities from a text table; '#' begins a comment, columns are parted by blanks or commas.

    Args:
        path: file.
        uv_unit: "lambda" (wavelengths) or "m"; needed unless a header says it: "u [lambda]", "Units: m", or
            "wavelength[m] = 0.00087", which means that u, v are in metres unless it says otherwise.
        frequency: Hz, or
        wavelength: m; one of them where u, v are in metres, unless the header or a sixth column says it. With
            a sixth column each row has its own.
    """
    header, n_before, n_columns, delimiter, is_complex = _read_header(path)
    _check_columns(path, header)
    table = _read_table(path, n_before, n_columns, delimiter, is_complex)
    if is_complex:
        table = np.column_stack([table[:, :2].real, table[:, 2].real, table[:, 2].imag, table[:, 3:].real])
    unit = _which_unit(path, uv_unit, header)
    frequencies = _frequencies(path, table, frequency, wavelength, header)
    u, v = table[:, 0], table[:, 1]
    if unit == "m":
        if frequencies is None:
            raise InputError(f"{path}: u, v are in metres; give frequency= [Hz] or wavelength= [m]")
        u, v = u * frequencies / SPEED_OF_LIGHT, v * frequencies / SPEED_OF_LIGHT
    vis = table[:, 2] + 1j * table[:, 3]
    spw = table[:, 6] if table.shape[1] > 6 else None
    return Visibilities(u=u, v=v, vis=vis, weight=table[:, 4], frequency=frequencies, spw=spw, name=path.name)


def write(data, path, *, uv_unit="lambda", frequency=None):
    """The table in double precision, as uvplot and numpy.loadtxt read it, its header saying the columns and units.

    Columns are those of uvplot's V1 where frequencies are known (spectral window 0 where it is not), else those of V0.

    Args:
        data: Visibilities.
        path: file; compressed where the name ends in .gz or .bz2.
        uv_unit: "lambda", or "m", which needs frequencies.
        frequency: Hz, for "m" where the data do not say it.
    """
    frequencies = data.frequency
    if frequency is not None:
        if frequencies is not None:
            raise InputError(f"{path}: frequency= given, but the data have their own")
        frequencies = np.full(len(data), _checked_frequency(path, "frequency", frequency))
    if uv_unit not in ("lambda", "m"):
        raise InputError(f'{path}: uv_unit must be "lambda" or "m", got {uv_unit!r}')
    if uv_unit == "m" and frequencies is None:
        raise InputError(f"{path}: u, v in metres need frequency= [Hz], the data do not say it")
    scale = 1.0 if uv_unit == "lambda" else SPEED_OF_LIGHT / frequencies
    columns = [data.u * scale, data.v * scale, data.vis.real, data.vis.imag, data.weight]
    names, units = "u v Re Im weights", f"{uv_unit} {uv_unit} Jy Jy Jy^-2"
    if frequencies is not None:
        columns += [frequencies, np.zeros(len(data)) if data.spw is None else data.spw]
        names, units = f"{names} freqs spws", f"{units} Hz -"
    lines = ["V(u, v) = sum I exp(+2 pi i (u l + v m)), l East, m North, as in a measurement set"]
    lines += [f"Columns:\t{names}", f"Units:\t{units}"]  # uvplot looks for its columns in the second line
    save_table(path, columns, "\n".join(lines))


def save_table(path, columns, header):
    """Columns of numbers as text; the file is compressed where its name says so."""
    np.savetxt(path, np.stack(columns, axis=1), fmt="%.17g", header=header, encoding="utf-8")


def _opener(path):
    with open(path, "rb") as file:
        return _COMPRESSED.get(file.read(2), open)


def _check_columns(path, header):
    """Refuse a JSON header that lists columns in another order than uvplot's."""
    for line in header.splitlines():
        try:
            said = json.loads(line.lstrip("# "))
        except ValueError:
            continue
        columns = said.get("columns") if isinstance(said, dict) else None
        if columns and " ".join(map(str, columns)).lower() not in _COLUMNS:
            listed = " ".join(map(str, columns))
            raise InputError(f"{path}: the header lists columns {listed}; wanted u v Re Im weights [freqs spws]")


def _open(path):
    return _opener(path)(path, "rt", encoding="utf-8-sig", errors="replace")


def _is_number(text, kind=float):
    try:
        kind(text)
    except ValueError:
        return False
    return True


def _is_complex(text):
    return text.rstrip(")").endswith("j") and _is_number(text, complex)


def _read_header(path):
    """Lines before the numbers (comments, at most one of words), how many, how many columns, delimiter, complex V."""
    header = []
    with _open(path) as file:
        for n_before, line in enumerate(file):
            text = line.split("#")[0].strip()
            delimiter = "," if "," in text else None
            words = text.split(delimiter)
            is_title = not any(line and not line.startswith("#") for line in header)
            if not text or (is_title and not any(map(_is_number, words))):
                header.append(line.strip())
                continue
            is_complex = len(words) > 2 and _is_complex(words[2])
            if not 5 - is_complex <= len(words) <= 7 - is_complex:
                wanted = "wanted u v Re Im w [frequency [spw]]"
                raise InputError(f"{path}: line {n_before + 1} has {len(words)} columns, {wanted}")
            return "\n".join(header), n_before, len(words), delimiter, is_complex
    raise InputError(f"{path}: no numbers in this text; wanted lines of u v Re Im w")


def _read_table(path, n_before, n_columns, delimiter, is_complex):
    kind = complex if is_complex else float
    try:
        with _open(path) as file:
            table = np.loadtxt(file, dtype=kind, delimiter=delimiter, skiprows=n_before, ndmin=2)
    except ValueError as error:
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                words = line.split("#")[0].strip().split(delimiter)
                if number <= n_before or words in ([], [""]):
                    continue
                if len(words) != n_columns or not all(_is_number(word, kind) for word in words):
                    text = line.strip()[:60]
                    raise InputError(f"{path}: line {number} is not {n_columns} numbers: {text!r}") from error
        raise
    return table


def _which_unit(path, option, header):
    if option not in (None, "lambda", "m"):
        raise InputError(f'{path}: uv_unit must be "lambda" or "m", got {option!r}')
    columns = [word.lower() for word in _UNIT_OF_COLUMN.findall(header)]
    lines = [word.lower() for word in _UNITS_LINE.findall(header)]
    said: set[str] = {str(_UNITS.get(word, word)) for word in columns}
    said |= {_UNITS[word] for word in lines if word in _UNITS}
    if not said and _WAVELENGTH.search(header):
        said = {"m"}
    if option is not None:
        if said and said != {option}:
            text = f"{path}: uv_unit = {option!r} is used, the header says {' and '.join(sorted(said))}"
            warnings.warn(text, UVLensWarning, stacklevel=5)
        return option
    if len(said) == 1 and said <= {"lambda", "m"}:
        return said.pop()
    found = f"says {' and '.join(sorted(said))}" if said else "does not say it"
    raise InputError(
        f'{path}: is u in wavelengths or metres? The header {found}; give uv_unit="lambda", or uv_unit="m" '
        'with frequency= [Hz], or add the header line "# u [lambda] v [lambda] Re Im w"'
    )


def _frequencies(path, table, frequency, wavelength, header):
    """Hz, shape (K,), from the sixth column, an option or the header; None where nothing says it."""
    if frequency is not None and wavelength is not None:
        raise InputError(f"{path}: give frequency= or wavelength=, not both")
    if table.shape[1] > 5:
        if frequency is not None or wavelength is not None:
            raise InputError(f"{path}: column 6 is the frequency; leave frequency= and wavelength= out")
        return _checked_frequency(path, "column 6, the frequency,", table[:, 5])
    declared = _WAVELENGTH.search(header)
    if frequency is not None:
        value = _checked_frequency(path, "frequency", frequency)
    elif wavelength is not None:
        value = _frequency_of(path, wavelength)
    elif declared:
        value = _frequency_of(path, declared.group(1))
    else:
        return None
    return np.full(len(table), value)


def _frequency_of(path, wavelength):
    if not _is_number(wavelength) or not 1e-6 < float(wavelength) < 300.0:
        raise InputError(f"{path}: wavelength must be in metres, between 1e-6 and 300, got {wavelength!r}")
    return SPEED_OF_LIGHT / float(wavelength)


def _checked_frequency(path, name, value):
    try:
        hertz = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError):
        hertz = np.array(np.nan)
    bad = hertz[~((hertz > 1e6) & (hertz < 3e14))]
    if bad.size:
        raise InputError(f"{path}: {name} must be in Hz, between 1e6 and 3e14, got {bad.flat[0]:g}")
    return hertz
