"""The data: complex visibilities with their coordinates and weights, checked when they are made."""

import dataclasses

import numpy as np

from ..conventions import ARCSEC
from ..errors import InputError
from ..primarybeam import AbstractPrimaryBeam, FixedBeam
from ..wcs import sky_offset

PER_VISIBILITY = ("w", "antenna1", "antenna2", "time", "interval", "frequency", "channel_width", "field", "spw", "scan")
"""Optional arrays of shape (K,)."""
_REAL = ("w", "time", "interval", "frequency", "channel_width")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Visibilities:
    """K visibilities of one pointing, V_k = V(u_k, v_k) + noise, in the sign of a measurement set.

        V(u, v) = sum_i I_i exp(+2 pi i (u l_i + v m_i)),   l East, m North [rad]

    Args:
        u, v: baseline coordinates, shape (K,), in wavelengths.
        vis: complex visibilities, shape (K,), in Jy.
        weight: 1 / sigma^2, shape (K,) [Jy^-2], sigma of the real and of the imaginary part. 0 = flagged.
        w: third baseline coordinate, optional, shape (K,) [wavelengths]; only a shift of the phase centre uses it.
        antenna1, antenna2: antenna numbers, optional, shape (K,).
        time, interval: middle (any origin) and length of the integration, optional, shape (K,) [s].
        frequency, channel_width: centre and width of the channel, optional, shape (K,) [Hz].
        field, spw, scan: numbers of the field, the spectral window and the scan, optional, shape (K,).
        primary_beam: an AbstractPrimaryBeam, the FWHM of a Gaussian [arcsec], or None.
        phase_center: (right ascension, declination) in degrees, ICRS, optional.
        pointing_center: where the antennas pointed, (right ascension, declination) in degrees; None: the phase centre.
        name: where the data came from, for messages and products.

    Raises:
        InputError: shapes that differ, values that are not finite, negative weights, nothing left unflagged,
            or single-precision u, v that cannot hold the phase of a source at 1 arcsec.
    """

    u: np.ndarray
    v: np.ndarray
    vis: np.ndarray
    weight: np.ndarray
    antenna1: np.ndarray | None = None
    antenna2: np.ndarray | None = None
    time: np.ndarray | None = None
    frequency: np.ndarray | None = None
    field: np.ndarray | None = None
    spw: np.ndarray | None = None
    scan: np.ndarray | None = None
    w: np.ndarray | None = None
    interval: np.ndarray | None = None
    channel_width: np.ndarray | None = None
    primary_beam: AbstractPrimaryBeam | float | None = None
    phase_center: tuple[float, float] | None = None
    pointing_center: tuple[float, float] | None = None
    name: str = "visibilities"

    def __post_init__(self):
        for key in ("u", "v"):
            _refuse_coarse_precision(self.name, key, np.asarray(getattr(self, key)))
        for key, dtype in (
            ("u", np.float64),
            ("v", np.float64),
            ("vis", np.complex128),
            ("weight", np.float64),
        ):
            object.__setattr__(self, key, _as_vector(self.name, key, getattr(self, key), dtype))
        for key in PER_VISIBILITY:
            value = getattr(self, key)
            if value is not None:
                dtype = np.float64 if key in _REAL else np.int64
                object.__setattr__(self, key, _as_vector(self.name, key, value, dtype))
        _check_lengths(self)
        _clear_flagged(self)
        _check_values(self)
        if isinstance(self.primary_beam, int | float):
            if not 0.0 < self.primary_beam < np.inf:
                raise InputError(f"{self.name}: the FWHM of primary_beam must be positive, got {self.primary_beam}")
            object.__setattr__(self, "primary_beam", FixedBeam(float(self.primary_beam)))
        _check_header(self)

    def __len__(self):
        return len(self.u)

    def __repr__(self):
        longest = self.uv_distance.max() / 1e3
        return f"Visibilities({self.name}: {len(self)}, longest baseline {longest:.1f} klambda)"

    def header(self):
        """Name, phase centre, pointing centre and primary beam, by name."""
        return {key: getattr(self, key) for key in ("name", "phase_center", "pointing_center", "primary_beam")}

    @property
    def mean_frequency(self):
        """Hz, or None."""
        return None if self.frequency is None else float(self.frequency.mean())

    @property
    def primary_beam_fwhm(self):
        """Of the primary beam (of the widest, where antennas differ) at the mean frequency [arcsec], or None."""
        beam = self.primary_beam
        return beam.fwhm(self.mean_frequency) if isinstance(beam, AbstractPrimaryBeam) else None

    @property
    def pointing_offset(self):
        """(x, y) of the pointing centre from the phase centre [arcsec East, North]."""
        if self.pointing_center is None or self.phase_center is None:
            return 0.0, 0.0
        return sky_offset(*self.pointing_center, self.phase_center)

    @property
    def uv_distance(self):
        """sqrt(u^2 + v^2), shape (K,), wavelengths."""
        return np.hypot(self.u, self.v)

    @property
    def sensitivity(self):
        """Rms of the naturally weighted dirty image, (sum_k w_k)^-1/2 [Jy/beam]."""
        return float(self.weight.sum() ** -0.5)

    def select(self, keep):
        """The visibilities where `keep` (boolean or indices, shape (K,)) says so."""
        arrays = {key: getattr(self, key)[keep] for key in ("u", "v", "vis", "weight")}
        for key in PER_VISIBILITY:
            if getattr(self, key) is not None:
                arrays[key] = getattr(self, key)[keep]
        return dataclasses.replace(self, **arrays)

    def unflagged(self):
        """Without the visibilities of weight 0; self where there is none."""
        keep = self.weight > 0.0
        return self if keep.all() else self.select(keep)

    def with_weights_scaled(self, factor):
        """The same data with every weight multiplied by `factor` (> 0)."""
        return dataclasses.replace(self, weight=self.weight * factor)

    def suggested_pixel_scale(self):
        """Pixel scale [arcsec] whose Nyquist frequency is twice u_99.5: 1 / (4 u_99.5).

        u_99.5 is the baseline length that holds 99.5 % of the weight.
        """
        from .coverage import WeightHistogram

        return WeightHistogram.of(self.uv_distance, self.weight).pixel_scale()

    @staticmethod
    def read(path, **options):
        """Read a file or folder, its format recognised by content (see `uvlens.data.read`)."""
        from . import read

        return read(path, **options)

    def write(self, path, **options):
        """Write to a file, its format chosen by the name (see `uvlens.data.write`)."""
        from . import write

        return write(self, path, **options)


def _as_vector(name, key, value, dtype):
    array = np.asarray(value)
    if array.ndim != 1:
        raise InputError(f"{name}: {key} must be one-dimensional, got shape {array.shape}")
    if dtype is np.complex128 and array.dtype.kind not in "cfiu":
        raise InputError(f"{name}: {key} must be complex numbers, got {array.dtype}")
    if dtype is not np.complex128 and array.dtype.kind not in "fiub":
        raise InputError(f"{name}: {key} must be real numbers, got {array.dtype}")
    if dtype is np.int64 and array.dtype.kind == "f" and not np.all(array == np.floor(array)):
        raise InputError(f"{name}: {key} must be whole numbers")
    return np.ascontiguousarray(array, dtype=dtype)


def _refuse_coarse_precision(name, key, array):
    """float32 holds u to 1e-7 of itself: refuse it where that makes a phase error > 1e-3 rad at 1 arcsec."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8 and array.size:
        longest = float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))
        worst = 2.0 * np.pi * float(np.finfo(array.dtype).eps) * longest * ARCSEC
        if worst > 1e-3:
            found = f"{array.dtype.name}, a phase error of {worst:.1g} rad at 1 arcsec"
            raise InputError(f"{name}: {key} is {found}; give float64")


def _check_lengths(data):
    n = len(data.u)
    if n == 0:
        raise InputError(f"{data.name}: no visibilities")
    for key in ("v", "vis", "weight", *PER_VISIBILITY):
        value = getattr(data, key)
        if value is not None and len(value) != n:
            raise InputError(f"{data.name}: {key} has {len(value)} values, u has {n}")


def _clear_flagged(data):
    """Flagged visibilities (weight 0) often hold NaN: they become 0 Jy, and are never used."""
    bad = (data.weight == 0.0) & ~np.isfinite(data.vis)
    if bad.any():
        object.__setattr__(data, "vis", np.where(bad, 0.0, data.vis))


def _check_values(data):
    for key in ("u", "v", "vis", "weight", *_REAL):
        if getattr(data, key) is None:
            continue
        bad = np.count_nonzero(~np.isfinite(getattr(data, key)))
        if bad:
            raise InputError(f"{data.name}: {key} has {bad} values that are NaN or infinite")
    negative = np.count_nonzero(data.weight < 0.0)
    if negative:
        raise InputError(f"{data.name}: weight has {negative} negative values; a weight is 1/sigma^2, 0 means flagged")
    if not np.any(data.weight > 0.0):
        raise InputError(f"{data.name}: all {len(data)} visibilities are flagged (weight 0)")
    if data.frequency is not None and not np.all(data.frequency > 0.0):
        raise InputError(f"{data.name}: frequency must be positive [Hz], got {data.frequency.min():g}")


def _check_header(data):
    if not isinstance(data.primary_beam, AbstractPrimaryBeam | None):
        found = type(data.primary_beam).__name__
        raise InputError(f"{data.name}: primary_beam must be a beam, its FWHM [arcsec] or None, got {found}")
    for key in ("phase_center", "pointing_center"):
        center = getattr(data, key)
        if center is not None and (np.shape(center) != (2,) or not np.all(np.isfinite(center))):
            raise InputError(f"{data.name}: {key} must be (right ascension, declination) [deg], got {center}")
