"""Earth-rotation synthesis: the (u, v) points that an array samples while the sky turns."""

import dataclasses

import numpy as np

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError

SIDEREAL_RATE = 1.00273790935
"""Sidereal seconds in a second of time."""


@dataclasses.dataclass(frozen=True, eq=False)
class UVTracks:
    """K samples, ordered by time, then baseline, then frequency.

    Args:
        u, v, w: shape (K,) [wavelengths]; u to the East, v to the North, w towards the source.
        antenna1, antenna2: antenna numbers, antenna1 < antenna2, shape (K,).
        time: seconds since the transit of the source, shape (K,).
        frequency: shape (K,) [Hz].
    """

    u: np.ndarray
    v: np.ndarray
    w: np.ndarray
    antenna1: np.ndarray
    antenna2: np.ndarray
    time: np.ndarray
    frequency: np.ndarray

    def __len__(self):
        return len(self.u)


def uv_tracks(array, declination_deg, hour_angles_hours, frequencies_hz, *, min_elevation=20.0, drop_shadowed=True):
    """Baseline coordinates of an array that follows a source.

    A position (East, North, Up) = (e, n, h) at latitude b has the equatorial coordinates, X on the meridian,
    Y to the East, Z along the pole (Thompson, Moran & Swenson 2017, Interferometry and Synthesis in Radio
    Astronomy, ch. 4.1),

        X = h cos b - n sin b,    Y = e,    Z = n cos b + h sin b,

    and at hour angle H and declination d a baseline (X, Y, Z) = r(antenna1) - r(antenna2) is seen as

        u =  X sin H       + Y cos H
        v = -X sin d cos H + Y sin d sin H + Z cos d
        w =  X cos d cos H - Y cos d sin H + Z sin d.

    The wave reaches antenna r earlier by r.s / c, so V = <E1 conj(E2)> = sum I exp(+2 pi i (u l + v m)):
    these belong to that sign and are the baselines of a CASA measurement set. North is that of the date
    of observation; precession turns it by some tenths of a degree from that of J2000, which is ignored.

    Args:
        array: `Array`.
        declination_deg: of the phase centre.
        hour_angles_hours: local, shape (T,).
        frequencies_hz: shape (F,).
        min_elevation: samples are kept where the source stands at least this high [deg].
        drop_shadowed: leave out the baselines of an antenna that another one blocks: where their projected
            separation is below the mean of the two diameters, the one further from the source (lower w).

    Returns:
        `UVTracks`, K <= T B F.

    Raises:
        InputError: values that are not angles or frequencies, or no sample left.
    """
    declination = declination_deg
    hour_angles = _vector("hour_angles_hours", hour_angles_hours)
    frequencies = _vector("frequencies_hz", frequencies_hz)
    if not -90.0 <= declination <= 90.0:
        raise InputError(f"declination must be within -90 to 90 degrees, got {declination}")
    if frequencies.min() <= 0.0:
        raise InputError(f"frequencies_hz must be positive Hz, got {frequencies.min()}")
    height = elevation(array.latitude, declination, hour_angles)
    hour_angles = hour_angles[height >= min_elevation]
    if not len(hour_angles):
        raise InputError(
            f"declination {declination} is at most {height.max():.1f} deg above the horizon of {array.name} "
            f"at these hour angles, min_elevation is {min_elevation}"
        )
    angles = (array.latitude, declination, 15.0 * hour_angles)
    position = _project(array.enu, *(np.deg2rad(angle) for angle in angles))
    first, second = array.pairs
    baseline = position[:, :, first] - position[:, :, second]
    keep = np.ones(baseline.shape[1:], dtype=bool)
    if drop_shadowed:
        blocked = _shadowed(array, baseline)
        keep = ~(blocked[:, first] | blocked[:, second])
        if not keep.any():
            raise InputError(f"every baseline of {array.name} is shadowed at declination {declination}")
    when, which = np.nonzero(keep)
    u, v, w = (np.outer(b[keep], frequencies / SPEED_OF_LIGHT).ravel() for b in baseline)
    n = len(frequencies)
    return UVTracks(
        u,
        v,
        w,
        np.repeat(first[which], n),
        np.repeat(second[which], n),
        np.repeat(hour_angles[when] * 3600.0 / SIDEREAL_RATE, n),
        np.tile(frequencies, len(when)),
    )


def elevation(latitude, declination, hour_angles):
    """arcsin(sin b sin d + cos b cos d cos H) [deg]; latitude b, declination d [deg], hour angle H [h]."""
    b, d, h = np.deg2rad(latitude), np.deg2rad(declination), np.deg2rad(15.0 * np.asarray(hour_angles))
    sine = np.sin(b) * np.sin(d) + np.cos(b) * np.cos(d) * np.cos(h)
    return np.rad2deg(np.arcsin(np.clip(sine, -1.0, 1.0)))


def _project(enu, latitude, declination, hour_angle):
    """(u, v, w) of antennas (A, 3) at hour angles (T,), shape (3, T, A) [m]; angles in radians."""
    east, north, up = enu.T
    x = up * np.cos(latitude) - north * np.sin(latitude)
    z = north * np.cos(latitude) + up * np.sin(latitude)
    sin_h, cos_h = np.sin(hour_angle)[:, None], np.cos(hour_angle)[:, None]
    sin_d, cos_d = np.sin(declination), np.cos(declination)
    u, radial = x * sin_h + east * cos_h, x * cos_h - east * sin_h
    return np.stack([u, z * cos_d - radial * sin_d, radial * cos_d + z * sin_d])


def _shadowed(array, baseline):
    """Whether each antenna is blocked at each time, shape (T, A); `baseline` has shape (3, T, B) [m]."""
    first, second = array.pairs
    u, v, w = baseline
    close = np.hypot(u, v) < 0.5 * (array.diameter[first] + array.diameter[second])
    blocked = np.zeros((u.shape[0], len(array)), dtype=bool)
    time, pair = np.nonzero(close)
    behind = np.where(w[time, pair] < 0.0, first[pair], second[pair])
    blocked[time, behind] = True
    return blocked


def _vector(name, values):
    values = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise InputError(f"{name} must be a list of finite numbers, got {values.tolist()}")
    return values
