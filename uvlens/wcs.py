"""Sky coordinates: offsets from a phase centre, and the FITS headers of images."""

import math

import numpy as np

from .conventions import ARCSEC
from .errors import InputError
from .grid import PixelGrid


def sky_position(ra, dec, name="center"):
    """(ra, dec) in degrees from numbers [deg] or text that astropy understands ("05h38m16.0s", "-50d30m50s").

    Raises:
        InputError: naming `name`.
    """
    if isinstance(ra, int | float) and isinstance(dec, int | float):
        return float(ra), float(dec)
    from astropy.coordinates import Angle

    try:
        ra = float(ra) if isinstance(ra, int | float) else Angle(ra, unit="hourangle").degree
        dec = float(dec) if isinstance(dec, int | float) else Angle(dec, unit="deg").degree
    except (ValueError, TypeError) as error:
        raise InputError(f"{name}: cannot read ra {ra!r}, dec {dec!r} ({error})") from None
    return float(ra), float(dec)


def sky_offset(ra, dec, phase_center):
    """(x, y) [arcsec East, North] of a position, by the SIN projection about the phase centre.

    l = cos dec sin(ra - ra0), m = sin dec cos dec0 - cos dec sin dec0 cos(ra - ra0).

    Args:
        ra, dec: as for `sky_position`.
        phase_center: (ra, dec) in degrees.
    """
    ra, dec, ra0, dec0 = np.deg2rad([*sky_position(ra, dec), *phase_center])
    l = np.cos(dec) * np.sin(ra - ra0)
    m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
    return float(l / ARCSEC), float(m / ARCSEC)


def image_header(grid, phase_center=None, unit=None, frequencies=None):
    """FITS header of an image on a grid whose columns are written from East to West.

    RA---SIN / DEC--SIN about the phase centre; without one, offsets about (0, 0), said in a COMMENT. `frequencies` [Hz]
    of a cube make a linear FREQ axis; where they are not evenly spaced it holds their mean spacing, and each is said
    in a card CHANn.
    """
    from astropy.io import fits

    rows, columns = grid.shape
    degrees = grid.pixel_scale / 3600.0
    ra, dec = phase_center or (0.0, 0.0)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = "RA---SIN", "DEC--SIN"
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    header["CRVAL1"], header["CRVAL2"] = ra, dec
    header["CDELT1"], header["CDELT2"] = -degrees, degrees
    header["CRPIX1"] = 0.5 * (columns + 1) + grid.center[0] / grid.pixel_scale
    header["CRPIX2"] = 0.5 * (rows + 1) - grid.center[1] / grid.pixel_scale
    header["RADESYS"] = "ICRS"
    if unit is not None:
        header["BUNIT"] = unit
    if frequencies is not None:
        step = (frequencies[-1] - frequencies[0]) / max(1, len(frequencies) - 1)
        header["CTYPE3"], header["CUNIT3"], header["CRPIX3"] = "FREQ", "Hz", 1.0
        header["CRVAL3"], header["CDELT3"] = frequencies[0], step or 1.0
        even = frequencies[0] + step * np.arange(len(frequencies))
        if np.max(np.abs(even - frequencies)) > 1e-3 * abs(step):
            for number, frequency in enumerate(frequencies[:9999], 1):
                header[f"CHAN{number}"] = (frequency, "Hz")
    if phase_center is None:
        header["COMMENT"] = "phase centre unknown: coordinates are offsets from (0, 0)"
    return header


def add_source_axes(header, grid):
    """Say in a header of `image_header` that its plane is that of a source, and add axes in arcsec as WCS "A".

    The first coordinates are those at which the source would be seen without the lens; WCS A counts arcsec to the East
    and North of the phase centre, in which caustics and the centres of light profiles are stated.
    """
    header["WCSNAME"] = "source plane"
    header["WCSNAMEA"] = "offset"
    for axis, (name, sign) in enumerate((("EAST", -1.0), ("NORTH", 1.0)), 1):
        header[f"CTYPE{axis}A"], header[f"CUNIT{axis}A"] = name, "arcsec"
        header[f"CRPIX{axis}A"], header[f"CRVAL{axis}A"] = header[f"CRPIX{axis}"], 0.0
        header[f"CDELT{axis}A"] = sign * grid.pixel_scale
    header["COMMENT"] = "source plane: positions are those without the lens"


def write_image(
    path, image, grid, *, phase_center=None, unit=None, beam=None, frequencies=None, of_source=False, extra=None
):
    """Write an image [row = y, column = x] as FITS with East to the left.

    Args:
        path: file, replaced if it is there.
        image: shape `grid.shape`, or (channels, *grid.shape) with `frequencies`.
        grid: PixelGrid.
        phase_center: (ra, dec) in degrees, or None.
        unit: BUNIT.
        beam: Beam, written as BMAJ, BMIN, BPA.
        frequencies: of the channels of a cube [Hz].
        of_source: whether it lies in the plane of a source (see `add_source_axes`).
        extra: {keyword: value, or (value, comment)} of the header, None left out.
    """
    import io

    from astropy.io import fits

    from .files import write_atomically

    header = image_header(grid, phase_center, unit, frequencies)
    if of_source:
        add_source_axes(header, grid)
    if beam is not None:
        header["BMAJ"], header["BMIN"], header["BPA"] = (
            beam.major / 3600.0,
            beam.minor / 3600.0,
            beam.position_angle,
        )
    header.update({key: value for key, value in (extra or {}).items() if value is not None})
    stream = io.BytesIO()
    fits.PrimaryHDU(np.asarray(image)[..., ::-1], header).writeto(stream)
    write_atomically(path, lambda out: out.write(stream.getvalue()))


def read_image(path, phase_center=None):
    """(image, PixelGrid) of a FITS image, [row North, column East]; CDELT1 < 0 (East left) is understood.

    The scale is CDELT2. The reference pixel lies at (CRVAL1, CRVAL2) on the sky; without a `phase_center` (ra, dec)
    [deg] it is taken to be the phase centre.

    Raises:
        InputError: not a FITS image with CDELT and CRPIX, a rotated one, several planes, pixels that are not square.
    """
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            header, image = hdus[0].header, np.squeeze(np.asarray(hdus[0].data, dtype=float))
        step_x, step_y = (float(header[f"CDELT{axis}"]) * 3600.0 for axis in (1, 2))
        reference = [float(header[f"CRPIX{axis}"]) for axis in (1, 2)]
        position = tuple(float(header[f"CRVAL{axis}"]) for axis in (1, 2)) if "CRVAL1" in header else None
        rotated = any(abs(header.get(key, 0.0)) > 1e-6 for key in ("CROTA2", "PC1_2", "PC2_1", "CD1_2", "CD2_1"))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a FITS image with CDELT1, CDELT2, CRPIX1, CRPIX2 ({error})") from None
    if rotated:
        raise InputError(f"{path}: North must be up, this image is rotated")
    if image.ndim != 2 or not math.isclose(abs(step_x), abs(step_y), rel_tol=1e-6) or step_y <= 0.0:
        raise InputError(f"{path}: expected one image with square pixels and CDELT2 > 0")
    ny, nx = image.shape
    offset = (0.0, 0.0)
    if phase_center is not None and position is not None:
        offset = sky_offset(*position, phase_center)
    center = (
        offset[0] + step_x * (0.5 * (nx + 1) - reference[0]),
        offset[1] + step_y * (0.5 * (ny + 1) - reference[1]),
    )
    if step_x < 0.0:
        image = image[:, ::-1]
    return image, PixelGrid((ny, nx), step_y, center)
