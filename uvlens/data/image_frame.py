"""How the pixels of a FITS image lie on the sky: scale, where North and East are, where its middle is."""

import dataclasses
import warnings

import numpy as np

from ..conventions import ARCSEC
from ..errors import InputError
from ..wcs import sky_offset, sky_position

_ROTATION = 0.1
"""Degrees by which North may lie off the rows."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """How the pixels of a FITS image lie on the sky.

    Attributes:
        pixel_scale: arcsec.
        flip_x, flip_y: whether columns run to the West, rows to the South.
        position: (ra, dec) of the middle of the image [deg], or None.
        center: (x, y) of the middle where the header says offsets alone, or None.
    """

    pixel_scale: float
    flip_x: bool
    flip_y: bool
    position: tuple[float, float] | None
    center: tuple[float, float] | None = None

    def turned(self, array):
        """An array as it is in the file as [row North, column East]."""
        return array[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]


def frame_of(header, shape, path, pixel_scale=None, flip_x=None):
    """The Frame of an image from its header, whatever its projection, by the directions at its middle.

    Raises:
        InputError: rotated, not square, or no coordinates and no `pixel_scale`.
    """
    wcs = _celestial(header, path)
    if wcs is None:
        return _frame_without_sky(header, shape, path, pixel_scale, flip_x)
    if flip_x is not None:
        raise InputError(f"{path}: the header says where East is; leave flip_x out")
    middle = [0.5 * (n - 1) for n in shape[::-1]]
    position = tuple(float(a) for a in wcs.all_pix2world([middle], 0)[0])
    # steps of ten pixels about the middle, rows (column, row), columns (x, y) [arcsec / pixel]
    half = 5.0
    ends = wcs.all_pix2world(
        [[middle[0] + a, middle[1] + b] for a, b in ((half, 0), (-half, 0), (0, half), (0, -half))], 0
    )
    if not np.isfinite([*position, *ends.ravel()]).all():
        raise InputError(f"{path}: the header's coordinates are not finite at the middle of the image")
    offsets = np.array([sky_offset(*end.tolist(), position) for end in ends])
    step = np.stack([offsets[0] - offsets[1], offsets[2] - offsets[3]]) / (2.0 * half)
    scales = np.hypot(step[:, 0], step[:, 1])
    if np.any(scales == 0.0):
        raise InputError(f"{path}: the header's coordinates do not change from pixel to pixel")
    # a pixel that is a tenth off at the edge of the image
    if abs(scales[1] / scales[0] - 1.0) * max(shape) > 0.2:
        raise InputError(f'{path}: pixels must be square, these are {scales[0]:.6g}" x {scales[1]:.6g}"; resample it')
    turned = np.degrees(max(abs(step[0, 1]) / scales[0], abs(step[1, 0]) / scales[1]))
    if turned > _ROTATION:
        angle = np.degrees(np.arctan2(-step[1, 0], step[1, 1]))
        raise InputError(
            f"{path}: North lies {angle:+.2f} degrees from the rows, not up: resample image, noise and PSF to North up "
            "(for instance with drizzle or reproject)"
        )
    scale = float(np.sqrt(scales[0] * scales[1]))
    if pixel_scale is not None and abs(pixel_scale / scale - 1.0) > 1e-3:
        raise InputError(f'{path}: the header has pixels of {scale:.6g}", pixel_scale says {pixel_scale:.6g}"')
    return Frame(scale, bool(step[0, 0] < 0.0), bool(step[1, 1] < 0.0), position)


def placed(frame, center, origin, path):
    """((x, y) of the middle of the image, (ra, dec) of x = y = 0 or None)."""
    position = frame.position
    if isinstance(center, dict):
        position, center = sky_position(center.get("ra"), center.get("dec"), "center"), None
    if center is not None:
        x, y = (float(value) for value in center)
        if origin is None and position is not None:
            # the middle is the tangent point, so minus its offset is the origin to second order of a small angle
            origin = _position_at(position, (-x, -y))
        return (x, y), origin
    if position is None:
        if origin is not None:
            raise InputError(f"{path}: no sky coordinates, so it cannot be placed; give center: [x, y] in arcsec")
        return frame.center or (0.0, 0.0), None
    if origin is None:
        return (0.0, 0.0), position
    return sky_offset(*position, origin), (float(origin[0]), float(origin[1]))


def _position_at(position, offset):
    """(ra, dec) [deg] at an offset (x, y) [arcsec] from a position, by the SIN projection."""
    ra, dec = np.deg2rad(position)
    l, m = (value * ARCSEC for value in offset)
    n = np.sqrt(1.0 - l**2 - m**2)
    new_dec = np.arcsin(m * np.cos(dec) + n * np.sin(dec))
    new_ra = ra + np.arctan2(l, n * np.cos(dec) - m * np.sin(dec))
    return float(np.rad2deg(new_ra) % 360.0), float(np.rad2deg(new_dec))


def _celestial(header, path):
    """The WCS of RA and Dec, None where the header has none."""
    from astropy.wcs import WCS, FITSFixedWarning

    try:
        with warnings.catch_warnings(action="ignore", category=FITSFixedWarning):
            wcs = WCS(header)
            if not wcs.has_celestial:
                return None
            wcs = wcs.celestial
    except Exception as error:  # whatever wcslib finds wrong with a header
        raise InputError(f"{path}: the header has no usable coordinates ({_line(error)})") from None
    if (wcs.wcs.lng, wcs.wcs.lat) != (0, 1) or not str(wcs.wcs.ctype[0]).startswith("RA"):
        raise InputError(f"{path}: the first two axes must be RA and Dec, got {list(wcs.wcs.ctype)}")
    return wcs


def _frame_without_sky(header, shape, path, pixel_scale, flip_x):
    steps = [header.get(f"CDELT{axis}") for axis in (1, 2)]
    linear = [str(header.get(f"CTYPE{axis}", "")).strip() == "LINEAR" for axis in (1, 2)]
    if all(linear) and all(isinstance(step, float) and step for step in steps):
        x, y = (3600.0 * step for step in steps)
        middle = [0.5 * (n + 1) - float(header.get(f"CRPIX{i}", 1.0)) for i, n in ((1, shape[1]), (2, shape[0]))]
        return Frame(abs(y), x < 0.0, y < 0.0, None, (x * middle[0], y * middle[1]))
    if pixel_scale is None:
        raise InputError(f"{path}: the header has no sky coordinates; give pixel_scale in arcsec")
    return Frame(float(pixel_scale), bool(flip_x), False, None)


def _line(error):
    return " ".join(str(error).split())[:120] or type(error).__name__
