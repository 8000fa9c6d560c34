"""Images from FITS files and back: which HDU, where North and East are, what noise and PSF go with it."""

import os
import warnings
from pathlib import Path

import numpy as np

from ..errors import InputError, UVLensWarning
from ..grid import PixelGrid
from ..wcs import image_header
from .image_frame import frame_of, placed
from .imaging import Imaging, poisson_noise
from .psf import prepare_psf

KINDS = ("sigma", "variance", "inverse_variance")
"""What the values of a noise map may be."""
_DATA, _NOISE, _PSF = ("SCI", "DATA", "IMAGE"), ("ERR", "NOISE", "SIGMA", "RMS"), ("PSF",)


def read_image(
    file,
    noise=None,
    psf=None,
    *,
    hdu=None,
    pixel_scale=None,
    center=None,
    origin=None,
    flip_x=None,
    psf_size=None,
    name=None,
    note=None,
):
    """An `Imaging` from FITS files.

    Pixels must be square and North must be up within 0.1 degrees; an image with East to the left is reversed, and noise
    and PSF with it: both are in the pixels of the data file. Without coordinates in the header `pixel_scale` is needed.

    Args:
        file: image; the first two-dimensional HDU among SCI, DATA, IMAGE, else the first of the file.
        noise: file or array of standard deviations; a dict {file:, hdu:, kind: sigma | variance | inverse_variance} of
            a map, or {background_rms:, exposure_time:, gain:} of `poisson_noise`; None: an HDU ERR, NOISE, SIGMA or RMS
            of `file`.
        psf: file, array, {file:, hdu:}; None: an HDU PSF of `file`.
        hdu: name or number in `file`.
        pixel_scale: arcsec; of an image that does not say.
        center: (x, y) of the middle of the image in the frame of the fit [arcsec], or {"ra":, "dec":} of it.
        origin: (ra, dec) that is (x, y) = (0, 0) [deg]; None: the middle of the image, or what `center` makes it.
        flip_x: of an image without coordinates: whether its columns run to the West.
        psf_size: odd number of pixels to cut the PSF to.
        name: for messages; default: that of the file.
        note: called with a sentence for each thing that was settled; None: they become warnings.

    Raises:
        InputError: one line that begins with the file.
    """
    path = Path(file)
    name = name or path.name
    tell = note or _warn
    data, header = read_plane(path, hdu, _DATA)
    frame = frame_of(header, data.shape, path, pixel_scale, flip_x)
    if frame.position is None and frame.center is None and flip_x is None:
        tell(f"{name}: no sky coordinates: columns are taken to run to the East (flip_x: true if East is to the left)")
    noise = _noise_of(noise, path, data)
    psf = _psf_of(psf, path)
    for what, array in (("noise", noise),):
        if array.shape != data.shape:
            raise InputError(f"{path}: the {what} map has shape {array.shape}, the image {data.shape}")
    missing = np.count_nonzero(~(np.isfinite(data) & np.isfinite(noise)))
    if missing:
        tell(f"{name}: {missing:,} of {data.size:,} pixels have no value or no noise (NaN): weight 0")
    psf, said = _prepared(psf, psf_size, path)
    for sentence in said:
        tell(f"{name}: {sentence}")
    grid_center, reference = placed(frame, center, origin, path)
    # a kernel turns with the image: what blurs to the right of the file blurs to the left of a mirrored one
    return Imaging(
        frame.turned(data),
        frame.turned(noise),
        frame.turned(psf),
        PixelGrid(data.shape, frame.pixel_scale, grid_center),
        reference_position=reference,
        unit=str(header.get("BUNIT", "")).strip(),
        name=name,
    )


def read_plane(path, hdu=None, names=_DATA):
    """(two-dimensional float64 array, header) of one HDU: that which is named, else one of `names`, else the first.

    Raises:
        InputError: no such file or HDU, or no image in it.
    """
    from astropy.io import fits

    try:
        with warnings.catch_warnings(action="ignore"), fits.open(path, memmap=False) as hdus:
            found = _choose_hdu(hdus, hdu, names, path)
            values = np.squeeze(np.asarray(found.data))
            header = found.header.copy()
    except InputError:
        raise
    except (OSError, TypeError, ValueError, IndexError) as error:
        reason = "no such file" if not os.path.exists(path) else f"not a readable FITS image ({_line(error)})"
        raise InputError(f"{path}: {reason}") from None
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise InputError(f"{path}: expected one two-dimensional image, HDU {found.name or 0} has shape {values.shape}")
    return np.ascontiguousarray(values, dtype=np.float64), header


def write_image_files(imaging, path):
    """Write an `Imaging`: data.fits, noise.fits, psf.fits in a folder, or HDUs SCI, ERR, PSF of one NAME.fits.

    East to the left, RA---SIN / DEC--SIN about the reference position (offsets in degrees, CTYPE LINEAR, without one).
    The noise of pixels of weight 0 is written as NaN, which `read_image` understands.
    """
    import io

    from astropy.io import fits

    from ..files import write_atomically

    path, single = Path(path), str(path).endswith((".fits", ".fits.gz"))
    header = _header(imaging)
    noise = np.where(imaging.weight > 0.0, imaging.noise, np.nan)
    planes = {"SCI": (imaging.data, header), "ERR": (noise, header), "PSF": (imaging.psf, fits.Header())}
    hdus = {key: (np.ascontiguousarray(plane[:, ::-1]), head) for key, (plane, head) in planes.items()}
    if single:
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(plane, head, name=key) for key, (plane, head) in hdus.items())]
        parts = {path: fits.HDUList(hdus)}
    else:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create {path}: {error.strerror}") from None
        files = {"SCI": "data.fits", "ERR": "noise.fits", "PSF": "psf.fits"}
        parts = {path / files[key]: fits.HDUList([fits.PrimaryHDU(*one)]) for key, one in hdus.items()}
    for target, content in parts.items():
        stream = io.BytesIO()
        content.writeto(stream)
        write_atomically(target, lambda out, stream=stream: out.write(stream.getvalue()))


def _header(imaging):
    header = image_header(imaging.grid, imaging.reference_position, imaging.unit or None)
    if imaging.reference_position is None:
        header["CTYPE1"] = header["CTYPE2"] = "LINEAR"
        del header["COMMENT"], header["RADESYS"]
    if imaging.name.isascii():
        header["OBJECT"] = imaging.name[:60]
    return header


def _choose_hdu(hdus, wanted, names, path):
    if wanted is not None:
        try:
            found = hdus[wanted if isinstance(wanted, int) else str(wanted)]
        except (KeyError, IndexError):
            raise InputError(f"{path}: no HDU {wanted!r}; it has {_listed(hdus)}") from None
        if found.data is None:
            raise InputError(f"{path}: HDU {wanted!r} holds no image; it has {_listed(hdus)}")
        return found
    images = [one for one in hdus if one.is_image and one.data is not None]
    for name in names:
        for one in images:
            if one.name.upper() == name:
                return one
    if not images:
        raise InputError(f"{path}: no HDU of this file holds an image")
    return images[0]


def _listed(hdus):
    return ", ".join(f"{i} {one.name}".strip() for i, one in enumerate(hdus))


def _noise_of(noise, path, data):
    if isinstance(noise, np.ndarray):
        return np.asarray(noise, dtype=np.float64)
    if isinstance(noise, dict) and ("background_rms" in noise or "exposure_time" in noise):
        values = {key: noise.get(key) for key in ("exposure_time", "background_rms", "gain")}
        lacking = [key for key in ("exposure_time", "background_rms") if values[key] is None]
        if lacking:
            raise InputError(f"noise: {lacking[0]} is missing; photon noise needs background_rms and exposure_time")
        if isinstance(values["exposure_time"], str | os.PathLike):
            values["exposure_time"] = read_plane(values["exposure_time"])[0]
        return poisson_noise(data, values["exposure_time"], values["background_rms"], values["gain"] or 1.0)
    where = noise if isinstance(noise, dict) else {"file": noise}
    file, kind = where.get("file"), where.get("kind") or "sigma"
    if kind not in KINDS:
        raise InputError(f"noise: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    if file is None and where.get("hdu") is None and not _has_hdu(path, _NOISE):
        raise InputError(f"{path}: noise is missing: give a map of it, or {{background_rms:, exposure_time:}}")
    values, _ = read_plane(path if file is None else file, where.get("hdu"), _NOISE)
    if kind == "sigma":
        return values
    power = 0.5 if kind == "variance" else -0.5
    with np.errstate(invalid="ignore", divide="ignore"):
        # no weight is what 0 means in a weight map
        return np.where(values > 0.0, np.abs(values) ** power, np.nan if kind == "inverse_variance" else values)


def _psf_of(psf, path):
    if isinstance(psf, np.ndarray):
        return psf
    where = psf if isinstance(psf, dict) else {"file": psf}
    if where.get("file") is None and where.get("hdu") is None and not _has_hdu(path, _PSF):
        raise InputError(f"{path}: psf is missing: give a FITS file with the point spread function")
    return read_plane(where.get("file") or path, where.get("hdu"), _PSF)[0]


def _has_hdu(path, names):
    from astropy.io import fits

    with warnings.catch_warnings(action="ignore"), fits.open(path) as hdus:
        return any(one.name.upper() in names for one in hdus)


def _prepared(psf, size, path):
    try:
        return prepare_psf(psf, size)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _warn(sentence):
    warnings.warn(sentence, UVLensWarning, stacklevel=4)


def _line(error):
    return " ".join(str(error).split())[:120] or type(error).__name__
