"""pyuvimage's data sets: one .npz of its CASA script, or a folder of FITS files, with one spectral window or several.

    uvw (rows, 3) [m]   frequencies (channels,) [Hz]   data, noise (channels, rows), parts re and im [Jy]   flags

Several windows stand side by side: arrays `spw000_uvw`, ... in the .npz, folders `spw000/`, ... on disk. noise is
sigma of the real and of the imaginary part; the sign is a measurement set's.
"""

import json
import warnings

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError, UVLensWarning
from ..primarybeam import GaussianBeam
from .frank import npz_names
from .visibilities import Visibilities

_ARRAYS = ("uvw", "frequencies", "data_re", "data_im", "noise_re", "noise_im")
_FITS = ("uvw.fits", "frequencies.fits", "data.fits", "noise.fits")


def recognises(path):
    """The arrays, or the files, of the first spectral window."""
    if path.is_dir():
        return any(all((folder / name).is_file() for name in _FITS) for folder in (path, path / "spw000"))
    names = npz_names(path)
    return any(all(prefix + name in names for name in _ARRAYS) for prefix in ("", "spw000_"))


def read(path, *, spw=None):
    """Visibilities of a data set.

    Args:
        path: .npz or folder.
        spw: spectral windows as the file numbers them in `meta`, a number or a list; None: all.

    Raises:
        InputError: arrays that do not fit, a window that is not there.
    """
    windows, meta = _read_folder(path) if path.is_dir() else _read_npz(path)
    if spw is not None:
        wanted = {int(number) for number in np.atleast_1d(spw)}
        if not wanted <= set(windows):
            raise InputError(f"{path}: spw {spw} is not there; it has {', '.join(map(str, windows))}")
        windows = {number: window for number, window in windows.items() if number in wanted}
    parts = [_flat(path, number, window) for number, window in windows.items()]
    pooled = sum(part.pop("differ") for part in parts)
    if pooled:
        text = f"{path}: sigma of real and imaginary part differ in {pooled} visibilities; their mean square is used"
        warnings.warn(text, UVLensWarning, stacklevel=5)
    common = set.intersection(*(set(part) for part in parts))
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0] if key in common}
    return Visibilities(**arrays, **_header(meta), name=path.name)


def _read_npz(path):
    """({number: {name: array}}, meta)."""
    with open(path, "rb") as raw, np.load(raw, allow_pickle=False) as file:
        meta = json.loads(file["meta"].item()) if "meta" in file else {}
        if "spw000_uvw" not in file:
            return {_numbers(meta, 1)[0]: dict(file)}, meta
        prefixes = sorted({name[:7] for name in file if name.startswith("spw") and name[6:7] == "_"})
        windows = [{name[7:]: file[name] for name in file if name.startswith(prefix)} for prefix in prefixes]
    return dict(zip(_numbers(meta, len(windows)), windows)), meta


def _read_folder(path):
    several = sorted(folder for folder in path.glob("spw*") if (folder / "data.fits").is_file())
    folders = [path] if (path / "data.fits").is_file() else several
    meta = _read_meta(path)
    windows = []
    for folder in folders:
        window = {name.removesuffix(".fits"): _array(folder / name) for name in _FITS}
        if (folder / "flags.fits").is_file():
            window["flags"] = _array(folder / "flags.fits")
        for key in ("data", "noise"):
            if window[key].ndim != 3 or window[key].shape[-1] != 2:
                shape = window[key].shape
                raise InputError(f"{path}: {key}.fits has shape {shape}, wanted (channels, rows, 2)")
            window[f"{key}_re"], window[f"{key}_im"] = window[key][..., 0], window.pop(key)[..., 1]
        windows.append(window)
    return dict(zip(_numbers(meta, len(windows)), windows)), meta


def _read_meta(folder):
    file = folder / "meta.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def _array(file):
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open(file, "rb") as raw, fits.open(raw, memmap=False) as hdus:
                if hdus[0].data is None:
                    raise InputError(f"{file}: no array in the first HDU")
                return np.asarray(hdus[0].data, dtype=np.float64)
        except fits.VerifyError as error:
            raise InputError(f"{file}: not a readable FITS file") from error


def _numbers(meta, n):
    """Numbers of n spectral windows: those of `meta` where it lists as many, else from 0."""
    listed = meta.get("spw") if isinstance(meta, dict) else None
    listed = listed if isinstance(listed, list) else [listed]
    return listed if len(listed) == n and all(isinstance(one, int) for one in listed) else list(range(n))


def _flat(path, number, window):
    """Arrays of Visibilities of one spectral window, row by row, channels fastest."""
    for name in _ARRAYS:
        if name not in window:
            raise InputError(f"{path}: spectral window {number} has no {name}")
    uvw, frequency = window["uvw"], np.atleast_1d(window["frequencies"]).astype(float)
    rows, channels = len(uvw), len(frequency)
    for name in ("data_re", "data_im", "noise_re", "noise_im", "flags"):
        if name in window and window[name].shape != (channels, rows):
            found = f"{name} has shape {window[name].shape}"
            raise InputError(f"{path}: {found}, wanted {channels} channels x {rows} rows")
    if uvw.shape != (rows, 3):
        raise InputError(f"{path}: uvw has shape {uvw.shape}, wanted (rows, 3)")
    flag = window["flags"].astype(bool) if "flags" in window else np.zeros((channels, rows), bool)
    weight, differ = _weight(path, window["noise_re"], window["noise_im"], flag)
    vis = window["data_re"] + 1j * window["data_im"]
    arrays = {key: np.outer(uvw[:, i], frequency / SPEED_OF_LIGHT).ravel() for i, key in enumerate("uvw")}
    arrays |= {"vis": vis.T.ravel(), "weight": weight.T.ravel(), "frequency": np.tile(frequency, rows)}
    arrays["spw"] = np.full(rows * channels, number)
    for key in ("antenna1", "antenna2", "time"):
        if key in window and window[key].shape == (rows,):
            arrays[key] = np.repeat(window[key], channels)
    return arrays | {"differ": differ}


def _weight(path, real, imaginary, flag):
    """(1 / sigma^2 with sigma^2 the mean of both parts', 0 where flagged; how many differ)."""
    bad = ~flag & ~((real > 0.0) & (imaginary > 0.0) & np.isfinite(real) & np.isfinite(imaginary))
    if bad.any():
        count = np.count_nonzero(bad)
        raise InputError(f"{path}: noise has {count} values that are not positive on unflagged visibilities")
    safe_real, safe_imaginary = (np.where(flag, 1.0, values) for values in (real, imaginary))
    differ = np.count_nonzero(np.abs(safe_real - safe_imaginary) > 1e-6 * np.maximum(safe_real, safe_imaginary))
    return np.where(flag, 0.0, 2.0 / (safe_real**2 + safe_imaginary**2)), differ


def _header(meta):
    """Phase centre and primary beam, where `meta` has them."""
    known = {}
    center = [meta.get(f"phase_centre_{key}_deg") for key in ("ra", "dec")]
    if all(isinstance(angle, int | float) for angle in center):
        known["phase_center"] = tuple(map(float, center))
    diameter = meta.get("dish_diameter_m")
    if isinstance(diameter, int | float) and diameter > 0.0:
        known["primary_beam"] = GaussianBeam(float(diameter))
    return known
