"""A folder for Ripple: raw float64 files u.bin, v.bin [m], vis_chan_0.bin (Re, Im, Re, ...), sigma_squared_inv.bin, ...

The weights are interleaved as the visibilities are (or one each); ant1.bin, ant2.bin, time.bin and chan.bin hold one
number a visibility. frequencies.bin holds the frequency [Hz] of each visibility, or of each channel, or a single one.
"""

import warnings

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError, UVLensWarning
from .visibilities import Visibilities

_NEEDED = ("u.bin", "v.bin", "vis_chan_0.bin", "sigma_squared_inv.bin")


def recognises(path):
    """A folder with the four files that there must be."""
    return path.is_dir() and all((path / name).is_file() for name in _NEEDED)


def read(path, *, frequency=None):
    """Visibilities of a folder, in the sign of a measurement set.

    Args:
        path: folder.
        frequency: Hz, where there is no frequencies.bin.

    Raises:
        InputError: files of lengths that do not fit, or no frequency.
    """
    u, v = (_numbers(path / name) for name in ("u.bin", "v.bin"))
    n = len(u)
    parts = _numbers(path / "vis_chan_0.bin", 2 * n)
    weight = _numbers(path / "sigma_squared_inv.bin")
    if len(weight) == 2 * n:
        weight = _pooled(path, weight.reshape(n, 2))
    elif len(weight) != n:
        raise InputError(f"{path}: sigma_squared_inv.bin has {len(weight)} numbers, wanted {2 * n} or {n}")
    optional = {}
    for name, key in (("ant1", "antenna1"), ("ant2", "antenna2"), ("time", "time"), ("chan", "chan")):
        if (path / f"{name}.bin").is_file():
            optional[key] = _numbers(path / f"{name}.bin", n)
    channel = optional.pop("chan", np.zeros(n))
    frequencies = _frequencies(path, n, channel, frequency)
    if not {"antenna1", "antenna2"} <= set(optional):
        optional = {key: value for key, value in optional.items() if key == "time"}
    return Visibilities(
        u=u * frequencies / SPEED_OF_LIGHT,
        v=_same_length(path, "v.bin", v, n) * frequencies / SPEED_OF_LIGHT,
        vis=parts[0::2] + 1j * parts[1::2],
        weight=weight,
        frequency=frequencies,
        **optional,
        name=path.name,
    )


def _numbers(path, n=None):
    if path.stat().st_size % 8:
        raise InputError(f"{path}: {path.stat().st_size} bytes are no float64 numbers; is it cut short?")
    numbers = np.fromfile(path, dtype="<f8")
    return numbers if n is None else _same_length(path.parent, path.name, numbers, n)


def _same_length(folder, name, numbers, n):
    if len(numbers) != n:
        raise InputError(f"{folder}: {name} has {len(numbers)} numbers, wanted {n} for the length of u.bin")
    return numbers


def _pooled(path, pairs):
    """1 / sigma^2 of both parts from that of each: sigma^2 = (sigma_re^2 + sigma_im^2) / 2; 0 where one is 0."""
    differ = np.count_nonzero(np.abs(pairs[:, 0] - pairs[:, 1]) > 1e-6 * np.abs(pairs).max(axis=1))
    if differ:
        text = f"{path}: 1/sigma^2 of the real and imaginary part differ in {differ} visibilities; sigma^2 is averaged"
        warnings.warn(text, UVLensWarning, stacklevel=4)
    with np.errstate(divide="ignore"):
        return 2.0 / np.sum(1.0 / pairs, axis=1)


def _frequencies(path, n, channel, option):
    file = path / "frequencies.bin"
    if option is not None:
        values = np.array([float(option)])
    elif file.is_file():
        values = _numbers(file)
    else:
        raise InputError(f"{path}: u, v are in metres and there is no frequencies.bin; give frequency= [Hz]")
    bad = values[~((values > 1e6) & (values < 3e14))]
    if not values.size or bad.size:
        found = f"{bad[0]:g}" if bad.size else "nothing"
        raise InputError(f"{path}: frequencies must be in Hz, between 1e6 and 3e14, got {found}")
    if len(values) == 1:
        return np.full(n, values[0])
    if len(values) == n:
        return values
    number = channel.astype(int)
    if number.min() < 0 or number.max() >= len(values) or (len(values) > 1 and not np.any(channel)):
        raise InputError(
            f"{path}: frequencies.bin has {len(values)} numbers, wanted {n}, 1 or one a channel of chan.bin"
        )
    return values[number]
