"""The package's own file, one .npz with a JSON header, and the .npz of others, with other names of arrays.

Version 2 holds u, v, w in metres where the frequency of every visibility is known, else in wavelengths (`uv_unit` of
the header says which), the weights with the flags beside them, and in its header the sign, units, phase and pointing
centre, primary beam, telescope, source file, what was done to the weights and the version that wrote it. Version 1
(wavelengths) is read as well. There are no pickles in either.
"""

import json
import zipfile

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError
from ..primarybeam import beam_from_dict
from .visibilities import PER_VISIBILITY, Visibilities
from .weights import weight_from_sigma

_VERSION = 2
LONGEST_AMBIGUOUS = 2e4
"""Shorter than this, u and v of a file that does not say it may be in metres as well as in wavelengths."""
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


def read(path, *, uv_unit=None):
    """Visibilities from an .npz in Jy and the sign of a measurement set; no pickles.

    Our own, or any with u, v, vis (or V, visibilities, data, re + im), weight (or weights, sigma, w) and
    optionally ant1, ant2, time, freq, field, flag, pb_fwhm_arcsec.

    Args:
        path: file.
        uv_unit: "lambda" or "m" (which needs freq) for a file of another program; wavelengths where it is left out.

    Raises:
        InputError: arrays that are missing or do not fit, u, v below 2e4 in a file that does not say their unit.
    """
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: an .npz that is cut short or damaged")
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        data = from_arrays(path, file, uv_unit)
        if "header" not in file and uv_unit is None:
            refuse_ambiguous(path, (data.u, data.v))
        return data


def refuse_ambiguous(path, lengths):
    """Refuse coordinates none of which is longer than could be a baseline in metres; `lengths` are arrays.

    Raises:
        InputError: all are shorter than 2e4.
    """
    for length in lengths:
        if length.dtype.kind not in "fiu" or not length.size or not np.max(np.abs(length)) < LONGEST_AMBIGUOUS:
            return
    raise InputError(f'{path}: is u in wavelengths or metres? All are below 2e4; give uv_unit="lambda" or uv_unit="m"')


def from_arrays(path, file, uv_unit=None):
    """Visibilities from the arrays of an .npz, `file` any mapping of their names."""
    header = read_header(path, file)
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
    coordinates = {"u": _array(path, file, "u"), "v": _array(path, file, "v")}
    coordinates |= {"w": optional.pop("w")} if "w" in optional else {}
    if _which_unit(path, header, uv_unit) == "m":
        coordinates = _to_wavelengths(path, coordinates, optional.get("frequency"))
    return Visibilities(
        **coordinates,
        vis=vis,
        weight=weight,
        primary_beam=beam,
        **{key: tuple(header[key]) for key in ("phase_center", "pointing_center") if header.get(key)},
        name=str(header.get("name", path.name)),
        **optional,
    )


def write(data, path, *, telescope=None, source=None, weight_scale=None):
    """Everything the visibilities hold; u, v, w in metres where frequencies are known (1e-15 when read again).

    Args:
        data: Visibilities.
        path: file.
        telescope: name, optional.
        source: file that the data came from; default: their name.
        weight_scale: what was done to the weights, in words.
    """
    import uvlens

    in_metres = data.frequency is not None
    unit = "m" if in_metres else "wavelengths"
    header = {
        "format": "uvlens",
        "version": _VERSION,
        "sign": "casa",
        "formula": "V(u, v) = sum I exp(+2 pi i (u l + v m)), l East, m North, u and v in wavelengths",
        "uv_unit": "m" if in_metres else "lambda",
        "units": {"u, v, w": unit, "vis": "Jy", "weight": "Jy^-2", "time, interval": "s", "frequency": "Hz"},
        "primary_beam": None if data.primary_beam is None else data.primary_beam.to_dict(),
        "phase_center": None if data.phase_center is None else [float(angle) for angle in data.phase_center],
        "pointing_center": None if data.pointing_center is None else [float(angle) for angle in data.pointing_center],
        "telescope": telescope,
        "name": data.name,
        "source": str(source or data.name),
        "weight_scale": weight_scale or "as given",
        "uvlens": getattr(uvlens, "__version__", "unknown"),
    }
    arrays = {key: getattr(data, key) for key in ("u", "v", "vis", "weight", *PER_VISIBILITY)}
    arrays = {key: value for key, value in arrays.items() if value is not None}
    if in_metres:
        arrays |= {key: arrays[key] * SPEED_OF_LIGHT / data.frequency for key in ("u", "v", "w") if key in arrays}
    with open(path, "wb") as file:
        np.savez(file, header=np.array(json.dumps(header)), flag=data.weight == 0.0, **arrays)


def read_header(path, file):
    """Our header, {} where there is none; another program's may say metres or another sign: refused."""
    if "header" not in file:
        return {}
    try:
        header = json.loads(file["header"].item())
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: the header is no JSON; save without it, u, v in wavelengths") from error
    if not isinstance(header, dict) or header.get("format") != "uvlens":
        raise InputError(f"{path}: the header is another program's; save without it, u, v in wavelengths")
    if header.get("version") not in (1, 2) or header.get("sign") != "casa":
        found = f"version {header.get('version')!r}, sign {header.get('sign')!r}"
        raise InputError(f"{path}: {found} in the header, this release reads versions 1 and 2, sign 'casa'")
    if header["version"] == 2 and header.get("uv_unit") not in ("m", "lambda"):
        raise InputError(f"{path}: uv_unit must be 'm' or 'lambda' in the header, got {header.get('uv_unit')!r}")
    return header


def _which_unit(path, header, option):
    if option not in (None, "lambda", "m"):
        raise InputError(f'{path}: uv_unit must be "lambda" or "m", got {option!r}')
    said = header.get("uv_unit", "lambda") if header else None
    if said and option and said != option:
        raise InputError(f"{path}: uv_unit = {option!r}, but the header says {said!r}; leave uv_unit out")
    return said or option or "lambda"


def _to_wavelengths(path, coordinates, frequency):
    if frequency is None:
        raise InputError(f"{path}: u, v are in metres, and there is no array freq [Hz]")
    for key, values in coordinates.items():
        if values.shape != frequency.shape:
            raise InputError(f"{path}: {key} has shape {values.shape}, frequency {frequency.shape}")
    return {key: values * frequency / SPEED_OF_LIGHT for key, values in coordinates.items()}


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
