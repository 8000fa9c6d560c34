"""Files that survive a killed run: written beside their target, then moved over it in one step."""

import json
import os
import shutil
import zipfile

import numpy as np

from .errors import InputError


def save_arrays(path, arrays):
    """Write a `.npz` atomically."""
    write_atomically(path, lambda stream: np.savez(stream, **arrays))


def save_json(path, value):
    """Write JSON atomically."""
    text = to_json(value)
    write_atomically(path, lambda stream: stream.write(text.encode()))


def to_json(value):
    """JSON text of dicts, lists, numbers and arrays; NaN and infinities become null."""
    return json.dumps(_plain(value), indent=1, allow_nan=False)


def write_atomically(path, write):
    """Call `write(stream)` on a temporary file beside `path`, then rename it to `path`."""
    temporary = f"{path}.partial"
    try:
        with open(temporary, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if os.path.exists(temporary):
            os.remove(temporary)
        raise InputError(f"cannot write {path}: {error.strerror or error}") from None


def check_room(directory, n_bytes=20_000_000):
    """Refuse a folder that cannot be written to, or is on a disk that is full, before hours of work end there.

    Raises:
        InputError: naming the folder and what is wrong.
    """
    test = os.path.join(directory, ".uvlens.partial")
    try:
        free = shutil.disk_usage(directory).free
        with open(test, "wb") as stream:
            stream.write(b"0")
        os.remove(test)
    except OSError as error:
        raise InputError(f"cannot write to {directory}: {error.strerror or error}") from None
    if free < n_bytes:
        raise InputError(f"{directory}: {free / 1e6:.0f} MB are left on its disk, a fit needs {n_bytes / 1e6:.0f}")


def load_arrays(path):
    """The arrays of a `.npz` as a dict; None if there is no such file.

    Raises:
        InputError: the file is there but cannot be read.
    """
    if path is None or not os.path.exists(path):
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable checkpoint ({error}); delete it to start afresh") from None


def _plain(value):
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value if value is None else str(value)
