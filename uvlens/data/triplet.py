"""PyAutoLens's folder of three FITS files, (K, 2): data (re, im), noise_map (sigmas), uv_wavelengths."""

import warnings

import numpy as np

from ..errors import InputError, UVLensWarning
from .visibilities import Visibilities

FILES = ("data.fits", "noise_map.fits", "uv_wavelengths.fits")
_SIGNS = ("casa", "pyautolens")
_KEYWORD = "UVSIGN"


def recognises(path):
    """A folder with the three files."""
    return path.is_dir() and all((path / name).is_file() for name in FILES)


def read(path, *, sign=None):
    """Visibilities from the three files.

        theirs:  V = sum_i I_i exp(-2 pi i (u x_i + v y_i)),    x West, y North  =>  v -> -v, V as it is

    Args:
        path: folder.
        sign: "pyautolens" if v was reversed for PyAutoLens (its images have North up), "casa" if u, v are
            those of the measurement set (its images are mirrored). Needed unless the files say it, as those
            written by this package do.
    """
    (vis, _), (sigma, _), (uv, stated_sign) = (_read_pairs(path / name) for name in FILES)
    for name, pairs in zip(FILES[:2], (vis, sigma)):
        if len(pairs) != len(uv):
            raise InputError(f"{path}: {name} has {len(pairs)} rows, {FILES[2]} has {len(uv)}")
    direction = -1.0 if _which_sign(path, sign, stated_sign) == "pyautolens" else 1.0
    return Visibilities(
        u=uv[:, 0],
        v=direction * uv[:, 1],
        vis=vis[:, 0] + 1j * vis[:, 1],
        weight=_pooled_weight(path, sigma.astype(np.float64)),
        name=path.name,
    )


def write(data, path, *, sign="pyautolens"):
    """The three files, with the sign in their headers; they have no place for flagged visibilities."""
    from astropy.io import fits

    if sign not in _SIGNS:
        raise InputError(f'{path}: sign must be "casa" or "pyautolens", got {sign!r}')
    kept = data.unflagged()
    if len(kept) < len(data):
        warnings.warn(f"{path}: {len(data) - len(kept)} flagged visibilities left out", UVLensWarning, stacklevel=4)
    sigma = kept.weight**-0.5
    columns = {
        "data.fits": (kept.vis.real, kept.vis.imag),
        "noise_map.fits": (sigma, sigma),
        "uv_wavelengths.fits": (kept.u, -kept.v if sign == "pyautolens" else kept.v),
    }
    path.mkdir(exist_ok=True)
    for name, pair in columns.items():
        file = fits.PrimaryHDU(np.stack(pair, axis=1))
        file.header[_KEYWORD] = (sign, "casa: v of the MS; pyautolens: v reversed")
        file.writeto(path / name, overwrite=True)


def _read_pairs(path):
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with open(path, "rb") as raw, fits.open(raw, memmap=False) as file:
                pairs, sign = file[0].data, file[0].header.get(_KEYWORD)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, fits.VerifyError) as error:
            raise InputError(f"{path}: not a readable FITS file") from error
    if pairs is None or pairs.ndim != 2 or pairs.shape[1] != 2:
        found = "nothing" if pairs is None else f"shape {pairs.shape}"
        raise InputError(f"{path}: wanted an array of shape (K, 2) in the first HDU, got {found}")
    return pairs, sign


def _which_sign(path, option, keyword):
    if option is not None and option not in _SIGNS:
        raise InputError(f'{path}: sign must be "casa" or "pyautolens", got {option!r}')
    if keyword is not None and keyword not in _SIGNS:
        raise InputError(f'{path}: {_KEYWORD} must be "casa" or "pyautolens", got {keyword!r}')
    if option is not None and keyword is not None and option != keyword:
        raise InputError(f"{path}: sign = {option!r}, but the files say {_KEYWORD} = {keyword!r}")
    if option is None and keyword is None:
        raise InputError(
            f'{path}: the files do not say the sign of v; give sign="casa" if u, v are those of the '
            'measurement set, sign="pyautolens" if v was reversed so that PyAutoLens shows North up'
        )
    return option or keyword


def _pooled_weight(path, sigma):
    """1 / sigma^2 with sigma^2 = (sigma_re^2 + sigma_im^2) / 2, shape (K, 2) -> (K,)."""
    bad = np.count_nonzero(~(sigma > 0.0))
    if bad:
        raise InputError(f"{path}: {FILES[1]} has {bad} values that are not positive; leave those rows out")
    with np.errstate(over="ignore", invalid="ignore"):
        differ = np.count_nonzero(np.abs(sigma[:, 0] - sigma[:, 1]) > 1e-6 * sigma.max(axis=1))
        variance = np.mean(sigma**2, axis=1)
    if differ:
        text = f"{path}: sigma of the real and imaginary part differ in {differ} rows; their mean square is used"
        warnings.warn(text, UVLensWarning, stacklevel=5)
    with np.errstate(divide="ignore"):
        return 1.0 / variance
