"""Files of visibilities: `read` looks at the content, `write` at the name."""

import contextlib
import functools
import inspect
import os
import pathlib
import pickle
import zipfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

from ..errors import InputError
from . import (
    compressed,
    frank,
    measurement_set,
    mpol,
    ms_write,
    npz,
    npz_stream,
    pyuvimage,
    ripple,
    rows,
    selection,
    triplet,
    uvfits,
    uvfits_write,
    uvtable,
    visilens,
)
from .selected import select_parts, select_visibilities
from .selection import Selection
from .stream import Partition, VisibilityStream

CHUNK = 2**20
"""Visibilities in a part of a stream."""

LARGEST_IN_MEMORY = 20_000_000
"""Visibilities of a file up to which a command reads it at once: 2 to 3 GB with antennas and times."""


class Format(NamedTuple):
    """A file format: the keyword-only arguments of `read` and `write` are its options.

    Args:
        name: as in `write(..., format=name)`.
        recognises: path -> bool, from the content alone; false, never an exception, for anything else.
        read: (path, **options) -> Visibilities.
        write: (data, path, **options) -> None.
        suffixes: of file names that `write` gives to this format.
    """

    name: str
    recognises: Callable
    read: Callable
    write: Callable
    suffixes: tuple[str, ...] = ()


def read(path, **options):
    """Read visibilities from a file or folder, whatever its name.

    Args:
        path: measurement set, UVFITS, npz (ours and those of frank, uvplot, MPoL, visread, pyuvimage), text table,
            visilens .bin, or folder (data.fits, noise_map.fits and uv_wavelengths.fits; pyuvimage; Ripple).
        **options: what to take of it: `field`, `spw`, `scan`, `channel`, `time`, `baseline`, `uvrange` where the file
            has the information (see `uvlens.data.selection`). Of the format: `stokes` (measurement set, UVFITS),
            `column` (measurement set), `sign` (triplet, MPoL), `uv_unit` (text table, npz of others), `frequency`,
            `wavelength` (text table).

    Raises:
        InputError: one line that begins with the path, for everything that can be wrong with a file.
    """
    path = as_path(path)
    form = format_of_content(path)
    options, later = _split_options(path, form, options)
    with reading(path, form):
        data = form.read(path, **options)
        return data if later.is_empty else select_visibilities(path, data, later)


def stream(path, *, chunk=CHUNK, **options):
    """Read a file chunk by chunk: a VisibilityStream that can be gone through as often as needed.

    Args:
        path: measurement set, UVFITS or npz, which are never held in memory as a whole; other formats are read at once
            and make one part.
        chunk: visibilities in a part.
        **options: as for `read`.

    Raises:
        InputError: as `read`, what is wrong inside a chunk when that chunk is reached.
    """
    if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
        raise InputError(f"chunk must be a positive number of visibilities, got {chunk!r}")
    path = as_path(path)
    form = format_of_content(path)
    own, later = _split_options(path, form, options)
    if form.read in _SOURCES:
        with reading(path, form):
            return _stream_of(path, form, _SOURCES[form.read](path, **own), chunk)
    if form.read is not npz.read:
        return VisibilityStream([read(path, **options)])
    parts = functools.partial(_npz_parts, path.absolute(), form.name, chunk, later, own)
    identity = rows.identity_of(path, pickle.dumps((chunk, later, own)))
    with reading(path, form):
        n_visibilities = npz_stream.count(path)
    return VisibilityStream(parts, partitions=[Partition(parts, identity, n_visibilities)])


def read_or_stream(path, **options):
    """Visibilities, or a VisibilityStream of a selection with more than LARGEST_IN_MEMORY of them."""
    checked = as_path(path)
    form = format_of_content(checked)
    own, _ = _split_options(checked, form, options)
    with reading(checked, form):
        if form.read in _SOURCES:
            source = _SOURCES[form.read](checked, **own)
            is_large = source.most_visibilities > LARGEST_IN_MEMORY
            return _stream_of(checked, form, source, CHUNK) if is_large else rows.whole(source)
        is_large = form.read is npz.read and npz_stream.count(checked) > LARGEST_IN_MEMORY
    return stream(path, **options) if is_large else read(path, **options)


def _stream_of(path, form, source, chunk):
    return rows.stream_of(source, chunk, functools.partial(_reading_as, path, form.name))


def _reading_as(path, name):
    return reading(path, _format_called(name))


def _npz_parts(path, name, chunk, selection, options):
    with _reading_as(path, name):
        parts = npz_stream.read_parts(path, chunk, **options)
        yield from parts if selection.is_empty else select_parts(path, parts, selection)


def is_compressed(path):
    """Whether a file is a compressed data set, `.uvlens`."""
    return format_of_content(as_path(path)).name == "compressed"


@contextlib.contextmanager
def reading(path, form):
    """Whatever goes wrong with a file, in one line that begins with its path."""
    try:
        yield
    except InputError as error:
        raise InputError(_located(path, str(error))) from error.__cause__
    except _DAMAGE as error:
        raise InputError(f"{path}: damaged {form.name}: {_first_line(error)}") from error


def write(data, path, format=None, **options):
    """Write visibilities to a file or folder; what is there is replaced, but for measurement sets.

    Args:
        data: Visibilities.
        path: ending in .npz (keeps everything), .ms (measurement set), .uvfits, .txt or .dat (text table; .gz, .bz2),
            .bin (visilens), or a folder, one that exists or a name that ends in "/" (triplet).
        format: "npz", "measurement set", "uvfits", "uvtable", "frank", "visilens" or "triplet", whatever the name.
        **options: of the format: `sign` (triplet), `uv_unit` and `frequency` (text table), `precision` (UVFITS),
            `telescope` (measurement set, UVFITS, npz), `source` and `weight_scale` (npz).
    """
    form = _format_called(format or format_of_name(path))
    path = as_path(path)
    _check_options(path, form, form.write, options)
    try:
        form.write(data, path, **options)
    except InputError as error:
        raise InputError(_located(path, str(error))) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or _first_line(error)}") from error


def format_of_name(path):
    """Name of the format that `write` gives to a file or folder.

    Raises:
        InputError: a name that says none.
    """
    is_folder = os.fspath(path).endswith(("/", os.sep)) if isinstance(path, str | os.PathLike) else False
    return _format_of_name(as_path(path), is_folder).name


def check_writable(path, format=None):
    """Refuse a name or a format that `write` could not use, before anything is computed."""
    form = _format_called(format or format_of_name(path))
    path = as_path(path)
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}")
    if form.write is ms_write.write:
        ms_write.check_target(path)


_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What NumPy, zipfile and astropy raise for files that are cut, flipped or not what they say."""


def _write_not_yet(what):
    def write(data, path, **options):
        raise InputError(f"{path}: {what} cannot be written by this version; give a name ending in .npz")

    return write


_TABLES = tuple(kind + packing for kind in (".txt", ".dat") for packing in ("", ".gz", ".bz2"))

FORMATS = (
    Format(
        "measurement set",
        measurement_set.recognises,
        measurement_set.read,
        ms_write.write,
        (".ms",),
    ),
    Format(
        "uvfits",
        uvfits.recognises,
        uvfits.read,
        uvfits_write.write,
        (".uvfits", ".uvf"),
    ),
    Format("triplet", triplet.recognises, triplet.read, triplet.write),
    Format("pyuvimage", pyuvimage.recognises, pyuvimage.read, _write_not_yet("a data set of pyuvimage")),
    Format("ripple", ripple.recognises, ripple.read, _write_not_yet("a folder for Ripple")),
    Format("mpol", mpol.recognises, mpol.read, _write_not_yet("an .npz of MPoL")),
    Format("compressed", compressed.recognises, compressed.read, compressed.write, (compressed.SUFFIX,)),
    Format("frank", frank.recognises, frank.read, frank.write),
    Format("npz", npz.recognises, npz.read, npz.write, (".npz",)),
    Format("visilens", visilens.recognises, visilens.read, visilens.write, (".bin",)),
    Format("uvtable", uvtable.recognises, uvtable.read, uvtable.write, _TABLES),
)
"""In the order they are tried: a text is whatever else has no control characters."""

_SOURCES = {measurement_set.read: measurement_set.source, uvfits.read: uvfits.source}
"""What reads rows in blocks (see `rows.py`)."""

_OTHER_FILES = (
    (
        b"SIMPLE  =",
        "a FITS file, but no UVFITS; an image needs noise: and psf: in the model file; "
        f"for {', '.join(triplet.FILES)} give their folder",
    ),
    (b"\x1f\x8b", "a compressed file; unpack it first"),
    (b"\x93NUMPY", "a single array; save u, v, vis and weight with numpy.savez"),
)


def as_path(path):
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"path must be the name of a file or folder, got {path!r}")
    return pathlib.Path(path)


def format_of_content(path):
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        if not path.is_dir() and not path.is_file():
            raise InputError(f"{path}: neither a file nor a folder")
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty (0 bytes)")
        for form in FORMATS:
            if form.recognises(path):
                return form
        if path.is_dir():
            wanted = f"a measurement set, a triplet ({', '.join(triplet.FILES)}) or a folder of pyuvimage or Ripple"
            raise InputError(f"{path}: the folder is not {wanted}")
        with open(path, "rb") as file:
            start = file.read(9)
        size = path.stat().st_size
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {_first_line(error)}") from error
    for magic, what in _OTHER_FILES:
        if start.startswith(magic):
            raise InputError(f"{path}: {what}")
    wanted = "text, .npz, or visilens .bin: (7 K + 1) x 8 bytes, the last two rows antenna numbers"
    raise InputError(f"{path}: {size} bytes in no format that is known ({wanted})")


def _format_of_name(path, is_folder):
    for form in FORMATS:
        if path.name.lower().endswith(form.suffixes) and (not is_folder or form.read is measurement_set.read):
            return form
    if measurement_set.recognises(path):
        return _format_called("measurement set")
    if is_folder or path.is_dir():
        return _format_called("triplet")
    wanted = "a name that ends in .npz, .ms, .uvfits, .txt, .dat, .bin or / (or format=, --format)"
    raise InputError(f"{path}: the name says no format, wanted {wanted}")


def _format_called(name):
    for form in FORMATS:
        if form.name == name:
            return form
    raise InputError(f"format must be one of {', '.join(form.name for form in FORMATS)}, got {name!r}")


def _split_options(path, form, options):
    """(options of `form.read`, Selection of what it does not select itself)."""
    known = inspect.signature(form.read).parameters
    later = {key: options[key] for key in selection.KEYS if key in options and key not in known}
    own = {key: value for key, value in options.items() if key not in later}
    if form.name == "compressed":
        return own, Selection()
    _check_options(path, form, form.read, own)
    return own, Selection.of(**later)


def _check_options(path, form, function, options):
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return
    for option in options:
        if option not in known:
            wanted = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InputError(f"{path}: {option} is not an option of the format {form.name}; {wanted}")


def _located(path, message):
    return message if message.startswith(str(path)) else f"{path}: {message.removeprefix(f'{path.name}: ')}"


def _first_line(error):
    return next(iter(str(error).splitlines()), "") or type(error).__name__
