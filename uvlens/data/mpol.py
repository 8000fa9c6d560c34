"""The .npz of MPoL and visread: uu, vv, data (or data_re, data_im), weight, with channels along the first axis.

Their sign is the conjugate of a measurement set's, V = sum I exp(-2 pi i (u l + v m)), as visread writes it; data that
were not conjugated are read with sign="casa". Nothing in these files says the unit of uu and vv: wavelengths and
thousands of wavelengths are both about, and visread's are in metres.
"""

import warnings

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError, UVLensWarning
from .frank import npz_names
from .visibilities import Visibilities

_DATA = ("data", "vis", "V")
_WEIGHT = ("weight", "weights")
_FREQUENCY = ("frequencies", "frequency", "freqs", "freq", "chan_freq")
_FLAG = ("flag", "flags")
_UNIT = ("uv_unit", "unit", "units")
_UNITS = {"lambda": "lambda", "klambda": "klambda", "m": "m", "kilolambda": "klambda", "wavelengths": "lambda"}


def recognises(path):
    """An .npz with uu and vv."""
    return {"uu", "vv"} <= npz_names(path)


def read(path, *, uv_unit=None, sign=None):
    """Visibilities of an .npz, shapes (K,) or (channels, K / channels).

    Args:
        path: file.
        uv_unit: "lambda", "klambda" or "m" (which needs frequencies in the file); needed unless the file has a text
            `uv_unit`.
        sign: "mpol", the conjugate (the default, which is said) or "casa", where the data were not conjugated;
            a text `sign` in the file says it too.

    Raises:
        InputError: no unit, arrays that are missing or do not fit.
    """
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file}
    sign = _sign(path, arrays, sign)
    unit = _unit(path, arrays, uv_unit)
    vis = _visibilities(path, arrays)
    if sign == "mpol":
        vis = np.conj(vis)
    shape = vis.shape
    frequency = _channel_values(path, "frequencies", _first(arrays, _FREQUENCY), shape)
    u, v = (_spread(path, key, arrays[key], shape) for key in ("uu", "vv"))
    if unit == "m":
        if frequency is None:
            raise InputError(f"{path}: uu, vv in metres, and no array frequencies [Hz]")
        scale = frequency / SPEED_OF_LIGHT
    else:
        scale = 1e3 if unit == "klambda" else 1.0
    weight = _first(arrays, _WEIGHT)
    if weight is None:
        raise InputError(f"{path}: no array weight; found {', '.join(sorted(arrays))}")
    weight = _spread(path, "weight", weight, shape)
    flag = _first(arrays, _FLAG)
    if flag is not None:
        weight = np.where(_spread(path, "flag", flag, shape).astype(bool), 0.0, weight)
    optional = {key: arrays[key] for key in ("antenna1", "antenna2", "time") if key in arrays}
    return Visibilities(
        u=(u * scale).ravel(),
        v=(v * scale).ravel(),
        vis=vis.ravel(),
        weight=weight.ravel(),
        frequency=None if frequency is None else np.broadcast_to(frequency, shape).ravel(),
        **{key: _spread(path, key, value, shape).ravel() for key, value in optional.items()},
        name=path.name,
    )


def _first(arrays, names):
    return next((arrays[name] for name in names if name in arrays), None)


def _sign(path, arrays, option):
    said = str(arrays["sign"]) if "sign" in arrays and arrays["sign"].ndim == 0 else None
    sign = option or said
    if sign not in (None, "mpol", "casa"):
        raise InputError(f'{path}: sign must be "mpol" or "casa", got {sign!r}')
    if sign is None:
        text = f'{path}: taken to be in the sign of MPoL and visread, the conjugate of CASA\'s; sign="casa" if not'
        warnings.warn(text, UVLensWarning, stacklevel=5)
    return sign or "mpol"


def _unit(path, arrays, option):
    said = _first(arrays, _UNIT)
    unit = option or (str(said) if said is not None and said.ndim == 0 else None)
    if unit is None:
        raise InputError(f'{path}: the unit of uu and vv is not in the file; give uv_unit="lambda", "klambda" or "m"')
    if unit not in _UNITS:
        raise InputError(f'{path}: uv_unit must be "lambda", "klambda" or "m", got {unit!r}')
    return _UNITS[unit]


def _visibilities(path, arrays):
    for real, imaginary in (("data_re", "data_im"), ("re", "im")):
        if real in arrays and imaginary in arrays:
            if arrays[real].shape != arrays[imaginary].shape:
                shapes = f"{arrays[real].shape} and {arrays[imaginary].shape}"
                raise InputError(f"{path}: {real} and {imaginary} have shapes {shapes}")
            return arrays[real] + 1j * arrays[imaginary]
    vis = _first(arrays, _DATA)
    if vis is None:
        raise InputError(f"{path}: no array data (or data_re and data_im); found {', '.join(sorted(arrays))}")
    return vis


def _channel_values(path, name, values, shape):
    """Something of each channel, to be broadcast to `shape`."""
    if values is None:
        return None
    values = np.asarray(values, dtype=np.float64)
    if values.ndim == 1 and len(shape) == 2 and len(values) == shape[0]:
        return values[:, None]
    if values.ndim == 0 or values.shape == shape or values.shape == (1,):
        return values
    raise InputError(f"{path}: {name} have shape {values.shape}, the data {shape}")


def _spread(path, name, values, shape):
    """An array of the data's shape, from one of a row of it as well."""
    if values.shape == shape or (len(shape) == 2 and values.shape == shape[1:]):
        return np.broadcast_to(values, shape)
    raise InputError(f"{path}: {name} has shape {values.shape}, the data {shape}")
