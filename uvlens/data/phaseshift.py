"""Moving the phase centre: the same sky, seen from another origin.

    V' = V exp[-2 pi i (u l0 + v m0 + w (n0 - 1))],    (u, v, w)' = R(ra1, dec1) R(ra0, dec0)^T (u, v, w)

with (l0, m0, n0) the direction cosines of the new centre in the old frame, R the rotation from equatorial axes to
those of a centre (East, North, towards it). Where the antennas pointed stays as it was.
"""

import dataclasses
import functools
import warnings

import numpy as np

from ..conventions import ARCSEC
from ..errors import InputError, UVLensWarning
from ..wcs import sky_offset
from .stream import VisibilityStream

SAME_CENTER = 1e-4
"""Phase centres closer than this are the same [arcsec]."""

_LARGEST_ERROR = 1e-3
"""rad, of a phase, from a w that is not known."""


def shift_phase_center(data, center):
    """Visibilities (or a VisibilityStream) re-phased to another centre.

    Args:
        data: with a phase centre; without w the shift takes w = 0, with a warning where that matters.
        center: (right ascension, declination) in degrees.

    Raises:
        InputError: data whose phase centre is not known, or a centre in the other half of the sky.
    """
    if isinstance(data, VisibilityStream):
        return data.map(functools.partial(shift_phase_center, center=center))
    old, new = data.phase_center, tuple(float(angle) for angle in center)
    if old is None:
        raise InputError(f"{data.name}: its phase centre is not known; it cannot be moved to {new}")
    if np.hypot(*sky_offset(*new, old)) < SAME_CENTER and abs(new[1] - old[1]) < 1.0:
        return data
    l0, m0, n0 = rotation(*old) @ rotation(*new)[2]
    if n0 <= 0.0:
        raise InputError(f"{data.name}: {new} is more than 90 degrees from its phase centre {old}")
    phase = data.u * l0 + data.v * m0
    w = np.zeros_like(data.u)
    if data.w is not None:
        w = data.w
        phase = phase + w * (n0 - 1.0)
    else:
        error = 2.0 * np.pi * float(data.uv_distance.max()) * (1.0 - n0 + np.hypot(l0, m0) * 10.0 * ARCSEC)
        if error > _LARGEST_ERROR:
            warnings.warn(
                f"{data.name}: moving the phase centre without w: phases may be wrong by {error:.2g} rad",
                UVLensWarning,
                stacklevel=2,
            )
    turned = rotation(*new) @ rotation(*old).T @ np.stack([data.u, data.v, w])
    return dataclasses.replace(
        data,
        u=turned[0],
        v=turned[1],
        w=None if data.w is None else turned[2],
        vis=data.vis * np.exp(-2j * np.pi * phase),
        phase_center=new,
        pointing_center=old if data.pointing_center is None else data.pointing_center,
    )


def rotation(ra, dec):
    """Rows: the directions East, North and towards a centre [deg] in equatorial axes."""
    a, d = np.deg2rad([ra, dec])
    return np.array(
        [
            [-np.sin(a), np.cos(a), 0.0],
            [-np.sin(d) * np.cos(a), -np.sin(d) * np.sin(a), np.cos(d)],
            [np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)],
        ]
    )
