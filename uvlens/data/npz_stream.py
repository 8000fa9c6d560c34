"""An .npz read chunk by chunk through the streams of its members, compressed or not; no array is held as a whole."""

import contextlib
import zipfile

import numpy as np

from ..errors import InputError
from .npz import KNOWN, from_arrays, refuse_ambiguous


def count(path):
    """Visibilities in a file: the length of u; 0 where that cannot be told."""
    with zipfile.ZipFile(path) as archive:
        if "u.npy" not in archive.namelist():
            return 0
        with archive.open("u.npy") as member:
            shape, _ = _read_array_header(member)
    return shape[0] if shape else 0


def read_parts(path, chunk, uv_unit=None):
    """Visibilities of at most `chunk` rows, one after the other; `uv_unit` as of `npz.read`.

    A chunk that is flagged throughout is joined to the one before or after it.
    """
    held = None
    if uv_unit is None:
        _refuse_ambiguous(path, chunk)
    for arrays in _read_chunks(path, chunk):
        if held is not None and not _all_flagged(held) and not _all_flagged(arrays):
            yield from_arrays(path, held, uv_unit)
            held = None
        held = arrays if held is None else _join(held, arrays)
    if held is not None:
        yield from_arrays(path, held, uv_unit)


def _read_chunks(path, chunk, wanted=KNOWN):
    """Dicts of arrays by name, those along the visibilities cut to `chunk` rows."""
    with contextlib.ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path))
        whole, members = {}, {}
        for entry in archive.namelist():
            name = entry.removesuffix(".npy")
            if name in wanted:
                member = stack.enter_context(archive.open(entry))
                shape, dtype = _read_array_header(member)
                if shape:
                    members[name] = member, shape, dtype
                else:
                    whole[name] = np.frombuffer(member.read(), dtype)[0:1].reshape(())
        if "u" not in members:
            yield whole | {name: np.empty((0, *shape[1:]), dtype) for name, (_, shape, dtype) in members.items()}
            return
        n = members["u"][1][0]
        for name, (_, shape, _) in members.items():
            if len(shape) != 1:
                raise InputError(f"{path}: {name} must be one-dimensional, got shape {shape}")
            if shape[0] != n:
                raise InputError(f"{path}: {name} has {shape[0]} values, u has {n}")
        for start in range(0, max(n, 1), chunk):
            rows = min(chunk, n - start)
            yield whole | {name: _read_rows(member, rows, dtype) for name, (member, _, dtype) in members.items()}


def _refuse_ambiguous(path, chunk):
    """As `npz.read` does it; the pass over u and v ends where one of them is long enough."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if "header.npy" not in names and "u.npy" in names and "v.npy" in names:
        refuse_ambiguous(path, (arrays[key] for arrays in _read_chunks(path, chunk, ("u", "v")) for key in "uv"))


def _read_array_header(member):
    """(shape, dtype) of the array that begins here; the member stands at its first number afterwards."""
    version = np.lib.format.read_magic(member)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(member)
    if dtype.hasobject:
        raise ValueError("arrays of Python objects are not read")
    return shape, dtype


def _read_rows(member, rows, dtype):
    array = np.empty(rows, dtype)
    view, done = memoryview(array.view(np.uint8)), 0
    while done < len(view):
        n_bytes = member.readinto(view[done:])
        if not n_bytes:
            raise EOFError("the archive ends before its arrays do")
        done += n_bytes
    return array


def _all_flagged(arrays):
    """Whether no row of a chunk counts; what is wrong with its weights is left for Visibilities to say."""
    flag = arrays.get("flag", arrays.get("flags"))
    weight = next((arrays[key] for key in ("weight", "weights", "w") if key in arrays), None)
    sigma = arrays.get("sigma")
    if flag is not None and flag.dtype.kind == "b" and flag.all():
        return True
    if weight is not None:
        counts = weight != 0.0
    elif sigma is not None:
        counts = (sigma != 0.0) & ~np.isposinf(sigma)
    else:
        return False
    return not np.any(counts if flag is None or flag.dtype.kind != "b" else counts & ~flag)


def _join(a, b):
    return {name: np.concatenate([a[name], b[name]]) if a[name].ndim else a[name] for name in a}
