"""An item of `data:` that is an image: from its keys to an Imaging in the frame of the fit and the mask of its data.

data:
  - file: image.fits                  # any HDU with North up; hdu: NAME or number
    noise: noise.fits                 # or {file:, hdu:, kind: sigma | variance | inverse_variance}, or
                                      # {background_rms:, exposure_time:, gain:}; default: HDU ERR of the file
    psf: psf.fits                     # or {file:, hdu:}; psf_size: odd number of pixels to cut it to
    sky: hst                          # name of the sky; images of one sky share a source
    mask: {disc: {radius: 3.0}}       # as image_plane.mask, about its centre, which it replaces for this image
    noise_scaling: contaminants.fits  # or a shape, or a list of files and shapes: weight 0
    background: linear                # a constant that is fitted; default none
    pixel_scale: 0.05                 # of a file without coordinates, with center: [x, y] or {ra:, dec:}, flip_x: true
    offset: [0.0, 0.0]                # what its coordinates are off, East and North [arcsec]
    rays: 4                           # a side of a pixel for the lensed source; default image_plane.rays
    over_sampling: {sizes: [32, 8, 2], radii: [0.1, 0.3], centers: [[0, 0]]}      # of light profiles
"""

import dataclasses
from pathlib import Path

import numpy as np

from .data.image_files import KINDS, read_image, read_plane
from .data.image_frame import frame_of
from .errors import InputError
from .grid import Mask, PixelGrid
from .imageplane import parse_mask
from .oversampling import OverSampling, parse_over_sampling
from .schema import Section, as_number
from .shapes import Annulus, FitsFile, parse_shape
from .wcs import sky_offset

_PHOTON_NOISE = ("background_rms", "exposure_time", "gain")


@dataclasses.dataclass(frozen=True, eq=False)
class ImageEntry:
    """One image of `data:`.

    Attributes:
        file, hdu: the image.
        noise, psf: arguments of `read_image`.
        psf_size: or None.
        sky: name of the sky it sees.
        mask: ("disc", radius), ("annulus", inner, outer), ("fits", path) or ("shapes", list); None: as image_plane.
        noise_scaling: files and shapes of weight 0.
        background: whether a constant is fitted.
        pixel_scale, center, flip_x: of a file without coordinates, or None.
        offset: (East, North) that is added to its coordinates [arcsec].
        rays: a side of a pixel, or None.
        over_sampling: OverSampling of light profiles, or None.
    """

    file: Path
    hdu: object
    noise: object
    psf: object
    psf_size: int | None = None
    sky: str = ""
    mask: tuple | None = None
    noise_scaling: tuple = ()
    background: bool = False
    pixel_scale: float | None = None
    center: object = None
    flip_x: bool | None = None
    offset: tuple[float, float] = (0.0, 0.0)
    rays: int | None = None
    over_sampling: OverSampling | None = None
    kind: str = dataclasses.field(default="image", init=False)


def is_image_section(value):
    """Whether the mapping of an item of `data:` means an image: it has `psf:`."""
    return isinstance(value, dict) and "psf" in value


def parse_image_entry(section, folder):
    """An ImageEntry from its section; nothing is read yet.

    Raises:
        InputError: naming the key.
    """
    folder = Path(folder)
    mask = section.get("mask")
    scaling = section.get("noise_scaling")
    scaling = [] if scaling is None else scaling if isinstance(scaling, list) else [scaling]
    size, scale = section.get("psf_size"), section.get("pixel_scale")
    flip = section.get("flip_x")
    rays = None if section.get("rays") is None else section.integer("rays")
    if rays is not None and rays > 32:
        raise InputError(f"{section.name('rays')}: expected at most 32 per pixel side, got {rays}")
    entry = ImageEntry(
        file=_path(section.text("file"), folder),
        hdu=_hdu(section),
        noise=_parse_noise(section.get("noise"), section.name("noise"), folder),
        psf=_parse_map(section.require("psf"), section.name("psf"), folder),
        psf_size=None if size is None else section.integer("psf_size"),
        sky=section.text("sky", ""),
        mask=None if mask is None else parse_mask(section.section("mask"), folder),
        noise_scaling=tuple(
            _parse_region(one, f"{section.name('noise_scaling')}.{i}", folder) for i, one in enumerate(scaling)
        ),
        background=section.choice("background", ["linear", "none"], "none") == "linear",
        pixel_scale=None if scale is None else as_number(scale, section.name("pixel_scale"), positive=True),
        center=_parse_center(section),
        flip_x=None if flip is None else section.boolean("flip_x", False),
        offset=section.numbers("offset", 2, [0.0, 0.0]),
        rays=rays,
        over_sampling=parse_over_sampling(section),
    )
    section.finish()
    return entry


def absolute_files(item, folder):
    """An item as it was written with its FITS files as absolute paths, for a model file that is kept elsewhere."""
    if isinstance(item, dict):
        return {key: absolute_files(value, folder) for key, value in item.items()}
    if isinstance(item, list):
        return [absolute_files(value, folder) for value in item]
    if isinstance(item, str) and item.lower().endswith((".fits", ".fits.gz", ".fit")):
        return str(_path(item, Path(folder)).resolve())
    return item


def load_image_entry(entry, origin=None, image_plane=None, note=lambda _: None):
    """(Imaging, Mask of the data pixels that are fitted) of an item, in the frame of the fit.

    Args:
        entry: ImageEntry.
        origin: (ra, dec) that is (x, y) = (0, 0) [deg]; None: the middle of the image, or what `center` makes it.
        image_plane: ImagePlane whose mask and centre serve an item without its own; None: a disc of 3 arcsec.
        note: called with one sentence for each choice that was made.

    Raises:
        InputError: what the files cannot give, and masks of another shape.
    """
    name = entry.file.name
    imaging = read_image(
        entry.file,
        entry.noise,
        entry.psf,
        hdu=entry.hdu,
        pixel_scale=entry.pixel_scale,
        center=entry.center,
        origin=origin,
        flip_x=entry.flip_x,
        psf_size=entry.psf_size,
        name=name,
        note=note,
    )
    if entry.offset != (0.0, 0.0):
        imaging = imaging.moved(*entry.offset)
        note(f'{name}: moved by {entry.offset[0]:+.4g}", {entry.offset[1]:+.4g}" (East, North)')
    frame = frame_of(
        read_plane(entry.file, entry.hdu)[1], imaging.grid.shape, entry.file, entry.pixel_scale, entry.flip_x
    )
    for one in entry.noise_scaling:
        region = _file_region(one.path, imaging, frame) if isinstance(one, FitsFile) else imaging.inside(one)
        before = imaging.n_excluded
        imaging = imaging.scale_noise(region)
        note(f"{name}: {imaging.n_excluded - before:,} pixels of noise_scaling have weight 0")
    mask = _data_mask(entry, imaging, frame, image_plane)
    used = int(np.count_nonzero(imaging.weight[mask.kept]))
    psf = " x ".join(map(str, imaging.psf.shape))
    note(f'{name}: {used:,} of {mask.n_pixels:,} pixels of {imaging.grid.pixel_scale:.4g}" count, psf {psf}')
    return imaging, mask


def _data_mask(entry, imaging, frame, image_plane):
    """Mask of an item."""
    form = entry.mask or (("disc", 3.0) if image_plane is None else image_plane.mask)
    kind, *arguments = form
    if kind == "fits":
        return imaging.mask(_file_region(arguments[0], imaging, frame))
    if kind == "shapes":
        inside = [
            _file_region(one.path, imaging, frame) if isinstance(one, FitsFile) else imaging.inside(one)
            for one in arguments[0]
        ]
        return imaging.mask(np.logical_or.reduce(inside))
    center = (0.0, 0.0) if image_plane is None else image_plane.center
    if isinstance(center, dict):
        if imaging.reference_position is None:
            raise InputError(f"image_plane.center: ra, dec need coordinates in {entry.file.name}; give [East, North]")
        center = sky_offset(center["ra"], center["dec"], imaging.reference_position)
    inner, outer = (0.0, arguments[0]) if kind == "disc" else arguments
    return imaging.mask(Annulus(inner, outer, center))


def _file_region(path, imaging, frame):
    """Pixels that are not 0 in a FITS file: pixel for pixel where it is on those of the data, else by coordinates."""
    values, header = read_plane(path, None, ("MASK",))
    has_sky = str(header.get("CTYPE1", "")).startswith("RA")
    own = frame_of(header, values.shape, path) if has_sky else frame
    inside = np.nan_to_num(own.turned(values)) != 0.0
    if values.shape == imaging.grid.shape and (own is frame or frame.position is None or _together(own, frame)):
        return inside
    if not has_sky or imaging.reference_position is None:
        raise InputError(
            f"{path}: this mask has {values.shape[0]} x {values.shape[1]} pixels and no coordinates, the image "
            f"{imaging.name} {imaging.grid.shape[0]} x {imaging.grid.shape[1]}: give one of the same shape"
        )
    grid = PixelGrid(values.shape, own.pixel_scale, sky_offset(*own.position, imaging.reference_position))
    return imaging.inside(Mask(grid, inside))


def _together(own, frame):
    """Whether the middles of two images are the same within half a pixel."""
    apart = sky_offset(*own.position, frame.position)
    return max(map(abs, apart)) < 0.5 * frame.pixel_scale


def _parse_noise(value, name, folder):
    if isinstance(value, dict) and set(value) & set(_PHOTON_NOISE):
        section = Section(value, name)
        noise = {"background_rms": section.number("background_rms", positive=True)}
        time = section.require("exposure_time")
        noise["exposure_time"] = (
            _path(time, folder)
            if isinstance(time, str) and time.endswith((".fits", ".fits.gz"))
            else section.number("exposure_time", positive=True)
        )
        noise["gain"] = section.number("gain", 1.0, positive=True)
        section.finish()
        return noise
    return None if value is None else _parse_map(value, name, folder, KINDS)


def _parse_map(value, name, folder, kinds=()):
    """{file:, hdu:, kind:} from a file name or a mapping; a file of None is that of the data."""
    if isinstance(value, str):
        return {"file": _path(value, folder)}
    if not isinstance(value, dict):
        raise InputError(f"{name}: expected a FITS file or {{file:, hdu:}}, got {value!r}")
    section = Section(value, name)
    file = section.get("file")
    parsed = {"file": None if file is None else _path(section.text("file"), folder), "hdu": _hdu(section)}
    if kinds:
        parsed["kind"] = section.choice("kind", list(kinds), "sigma")
    section.finish()
    if parsed["file"] is None and parsed["hdu"] is None:
        raise InputError(f"{name}: expected file: or hdu:")
    return parsed


def _parse_region(value, name, folder):
    if isinstance(value, str):
        return FitsFile(_path(value, folder))
    return parse_shape(Section(value, name), folder)


def _parse_center(section):
    value = section.get("center")
    if value is None:
        return None
    if isinstance(value, dict):
        inner = section.section("center")
        center = {"ra": inner.require("ra"), "dec": inner.require("dec")}
        inner.finish()
        return center
    return section.numbers("center", 2)


def _hdu(section):
    value = section.get("hdu")
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        raise InputError(f"{section.name('hdu')}: expected the name or the number of an HDU, got {value!r}")
    return value


def _path(text, folder):
    return folder / Path(text).expanduser()
