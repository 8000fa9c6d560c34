"""The .npz tables of frank (u, v, V, weights) and of uvplot (with freqs, spws and a header), and frank's text.

frank's u, v are in wavelengths. uvplot's header says it; it is a pickle, of which only the strings are looked at:
nothing in it is ever run.
"""

import pickletools
import zipfile
import zlib

import numpy as np

from ..errors import InputError
from .npz import from_arrays, refuse_ambiguous
from .uvtable import save_table

_FRANK = {"u", "v", "V", "weights"}
_UVPLOT = ({"u", "v", "V", "weights", "header"}, {"u", "v", "Re", "Im", "weights", "header"})
_OPTIONAL = {"units", "freqs", "spws"}
_STRINGS = ("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")


def recognises(path):
    """An .npz with frank's arrays and no others, or with uvplot's and a header that is a pickle."""
    names = npz_names(path)
    if names - _OPTIONAL == _FRANK:
        return True
    try:
        return names - _OPTIONAL in _UVPLOT and _pickle_of(path, "header") is not None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError):
        return False


def read(path, *, uv_unit=None):
    """Visibilities of an .npz of frank or uvplot.

    Args:
        path: file.
        uv_unit: "lambda" or "m"; needed where u, v are below 2e4 and no header says what they are in.

    Raises:
        InputError: a unit that is not said, or arrays that do not fit.
    """
    said = _unit_of_header(_pickle_of(path, "header"))
    if said is not None and said not in ("lambda", "m"):
        raise InputError(f'{path}: the header says u in {said!r}; give uv_unit="lambda" or uv_unit="m"')
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file if key not in ("header", "units")}
    if "spws" in arrays:
        arrays["spw"] = arrays.pop("spws")
    data = from_arrays(path, arrays, uv_unit or said)
    if uv_unit is None and said is None:
        refuse_ambiguous(path, (data.u, data.v))
    return data


def write(data, path):
    """frank's table in wavelengths: arrays where the name ends in .npz, else text of five columns (.gz as well)."""
    if path.suffix.lower() == ".npz":
        with open(path, "wb") as file:
            np.savez(file, u=data.u, v=data.v, V=data.vis, weights=data.weight)
        return
    names = "u [lambda]\tv [lambda]\tRe(V) [Jy]\tIm(V) [Jy]\tWeight [Jy^-2]"
    save_table(path, [data.u, data.v, data.vis.real, data.vis.imag, data.weight], names)


def npz_names(path):
    """Names of the arrays of an .npz, empty for any other file."""
    if path.is_dir():
        return set()
    with open(path, "rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return set()
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(".npy") for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError, ValueError):
        return set()


def _pickle_of(path, name):
    """Bytes of an array of Python objects in an .npz; None where there is none or it is no such array."""
    with zipfile.ZipFile(path) as archive:
        if f"{name}.npy" not in archive.namelist():
            return None
        with archive.open(f"{name}.npy") as member:
            version = np.lib.format.read_magic(member)
            read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
            if read_header is None or not read_header(member)[2].hasobject:
                return None
            return member.read(2**20)


def _unit_of_header(pickled):
    """The string that follows "units" in a pickle, from its opcodes alone; None where that cannot be told."""
    if pickled is None:
        return None
    follows = False
    try:
        for opcode, value, _ in pickletools.genops(pickled):
            if opcode.name in _STRINGS:
                if follows:
                    return str(value)
                follows = value == "units"
            elif follows and opcode.name in ("GET", "BINGET", "LONG_BINGET"):
                return None
    except ValueError:
        return None
    return None
