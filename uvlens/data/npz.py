"""The package's own file, one .npz with a JSON header, and the .npz of others, with other names of arrays."""

import json
import zipfile

import numpy as np

from ..errors import InputError
from ..primarybeam import beam_from_dict
from .visibilities import PER_VISIBILITY, Visibilities
from .weights import weight_from_sigma

_VERSION = 1
_ALIASES = {
    "vis": ("vis", "V", "visibilities", "data"),
    "weight": ("weight", "weights"),
    "antenna1": ("antenna1", "ant1"),
    "antenna2": ("antenna2", "ant2"),
    "time": ("time", "times"),
    "frequency": ("frequency", "frequencies", "freq", "freqs"),
    **{key: (key,) for key in ("field", "spw", "scan", "interval", "channel_width")},
    "flag": ("flag", "flags"),
    "primary_beam_fwhm": ("primary_beam_fwhm", "pb_fwhm_arcsec"),
}
_REAL_AND_IMAGINARY = (("re", "im"), ("Re", "Im"), ("real", "imag"))
KNOWN = {"header", "u", "v", "w", "sigma", *sum(_ALIASES.values(), ()), *sum(_REAL_AND_IMAGINARY, ())}
"""Every name of an array that is looked at."""


def recognises(path):
    """A zip archive, by its first bytes."""
    if path.is_dir():
        return False
    with open(path, "rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def read(path):
    """Visibilities from an .npz in wavelengths, Jy and the sign of a measurement set; no pickles.

    Our own, or any with u, v, vis (or V, visibilities, data, re + im), weight (or weights, sigma, w) and
    optionally ant1, ant2, time, freq, field, flag, pb_fwhm_arcsec.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: an .npz that is cut short or damaged")
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        return from_arrays(path, file)


def from_arrays(path, file):
    """Visibilities from the arrays of an .npz, `file` any mapping of their names."""
    header = _read_header(path, file)
    keys = {name: next((key for key in names if key in file), None) for name, names in _ALIASES.items()}
    optional = {name: file[keys[name]] for name in PER_VISIBILITY if keys.get(name)}
    if header and "w" in file:  # in other programs' files it is the weight
        optional["w"] = file["w"]
    vis = _read_vis(path, file, keys["vis"])
    if optional.get("frequency") is not None and optional["frequency"].ndim == 0:
        optional["frequency"] = np.full(vis.shape, optional["frequency"])
    weight = _read_weight(path, file, keys["weight"])
    if keys["flag"]:
        weight = _without_flagged(path, weight, file[keys["flag"]])
    beam = beam_from_dict(header.get("primary_beam"))
    if keys["primary_beam_fwhm"]:
        fwhm = file[keys["primary_beam_fwhm"]].item()
        beam = fwhm if fwhm and fwhm > 0.0 else None
    return Visibilities(
        u=_array(path, file, "u"),
        v=_array(path, file, "v"),
        vis=vis,
        weight=weight,
        primary_beam=beam,
        **{key: tuple(header[key]) for key in ("phase_center", "pointing_center") if header.get(key)},
        name=str(header.get("name", path.name)),
        **optional,
    )


def write(data, path):
    """Everything the visibilities hold, bit for bit."""
    import uvlens

    header = {
        "format": "uvlens",
        "version": _VERSION,
        "sign": "casa",
        "units": {"u, v": "wavelengths", "vis": "Jy", "weight": "Jy^-2", "time": "s", "frequency": "Hz"},
        "primary_beam": None if data.primary_beam is None else data.primary_beam.to_dict(),
        "phase_center": None if data.phase_center is None else [float(angle) for angle in data.phase_center],
        "pointing_center": None if data.pointing_center is None else [float(angle) for angle in data.pointing_center],
        "name": data.name,
        "uvlens": getattr(uvlens, "__version__", "unknown"),
    }
    arrays = {key: getattr(data, key) for key in ("u", "v", "vis", "weight", *PER_VISIBILITY)}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    with open(path, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), **arrays)


def _read_header(path, file):
    """Our header, {} where there is none; another program's may say metres or another sign: refused."""
    if "header" not in file:
        return {}
    try:
        header = json.loads(file["header"].item())
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the header is no JSON; save without it, u, v in wavelengths") from error
    if not isinstance(header, dict) or header.get("format") != "uvlens":
        raise InputError(f"{path}: the header is another program's; save without it, u, v in wavelengths")
    if header.get("version") != _VERSION or header.get("sign") != "casa":
        found = f"version {header.get('version')!r}, sign {header.get('sign')!r}"
        raise InputError(f"{path}: {found} in the header, this release reads version {_VERSION}, sign 'casa'")
    return header


def _array(path, file, key, *alternatives):
    if key not in file:
        wanted = " or ".join((key, *alternatives))
        raise InputError(f"{path}: no array {wanted}; found {', '.join(sorted(file)) or 'nothing'}")
    return file[key]


def _read_vis(path, file, key):
    for real, imaginary in _REAL_AND_IMAGINARY:
        if key is None and real in file and imaginary in file:
            parts = file[real], file[imaginary]
            if parts[0].shape != parts[1].shape:
                raise InputError(f"{path}: {real} has shape {parts[0].shape}, {imaginary} {parts[1].shape}")
            return parts[0] + 1j * parts[1]
    return _array(path, file, key or "vis", "V", "visibilities", "data", "re + im")


def _read_weight(path, file, key):
    if key is None and "sigma" in file:
        return weight_from_sigma(path, file["sigma"])
    return _array(path, file, key or "w", "weight", "sigma")


def _without_flagged(path, weight, flag):
    if flag.dtype.kind != "b" or flag.shape != weight.shape:
        found = f"{flag.dtype}, shape {flag.shape}"
        raise InputError(f"{path}: flag must be true or false, shape {weight.shape}; got {found}")
    return np.where(flag, 0.0, weight)
