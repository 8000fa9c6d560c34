"""What is known of a data set once its visibilities are gone: counts, ranges, antennas, fields, a hash."""

import dataclasses
import hashlib

import numpy as np

from ..errors import InputError

_HASHED = ("u", "v", "vis", "weight")


@dataclasses.dataclass(frozen=True)
class Observation:
    """Facts of one data set.

    Attributes:
        name: where it came from.
        n_visibilities, n_flagged: how many count, how many do not (weight 0).
        shortest, longest: baseline lengths above 0, flagged ones left out [wavelengths].
        phase_center, pointing_center: (right ascension, declination) in degrees, or None.
        primary_beam_fwhm: at the mean frequency [arcsec], or None.
        fields: numbers of its fields, () where unknown.
        n_antennas: or None.
        frequency, n_channels: mean [Hz] or None, number of different ones.
        sha256: of what is not flagged: the digests of u, v, vis and weight, joined and hashed.
        unweighted_sha256: the same of u, v and vis: data that differ in weights only share it.
    """

    name: str
    n_visibilities: int
    n_flagged: int
    shortest: float
    longest: float
    phase_center: tuple[float, float] | None
    primary_beam_fwhm: float | None
    fields: tuple[int, ...]
    n_antennas: int | None
    frequency: float | None
    n_channels: int
    sha256: str
    unweighted_sha256: str
    pointing_center: tuple[float, float] | None = None

    @staticmethod
    def from_dict(values):
        """From the dict that `dataclasses.asdict` made, tuples turned to lists by JSON."""
        return Observation(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


class ObservationBuilder:
    """Gathers an Observation from the parts of a data set, in order; the parts do not show in it."""

    def __init__(self):
        self._first = None
        self._kept = self._flagged = 0
        self._shortest, self._longest = np.inf, 0.0
        self._fields, self._antennas, self._frequencies = set(), set(), set()
        self._frequency_sum = 0.0
        self._digests = [hashlib.sha256() for _ in _HASHED]

    def add(self, part, n_flagged):
        """Count one part: Visibilities none of which is flagged, and how many were left out of it.

        Raises:
            InputError: a part of another phase centre or primary beam than the first one, or of another field.
        """
        first, header = self._first, part.header()
        first = self._first = header if first is None else first
        for key in ("phase_center", "pointing_center", "primary_beam"):
            if header[key] != first[key]:
                found = f"differ in {key}, {_show(first[key])} and {_show(header[key])}"
                raise InputError(f"{part.name}: the parts of one observation {found}; give observations as a list")
        self._kept += len(part)
        self._flagged += n_flagged
        distance = part.uv_distance
        shortest = np.min(distance, where=distance > 0.0, initial=np.inf)
        self._shortest, self._longest = min(self._shortest, shortest), max(self._longest, distance.max())
        if part.field is not None:
            self._fields |= _different(part.field)
            if len(self._fields) > 1:
                fields = ", ".join(map(str, sorted(self._fields)))
                keep = f"data.select(data.field == {min(self._fields)})"
                raise InputError(f"{part.name}: has fields {fields}; keep one, {keep}")
        if part.antenna1 is not None and part.antenna2 is not None:
            self._antennas |= _different(part.antenna1) | _different(part.antenna2)
        if part.frequency is not None:
            self._frequencies |= _different(part.frequency)
            self._frequency_sum += float(part.frequency.sum())
        for digest, key in zip(self._digests, _HASHED):
            digest.update(np.ascontiguousarray(getattr(part, key)).data)

    def finish(self):
        """The Observation of all parts so far.

        Raises:
            InputError: there was none.
        """
        if self._first is None:
            raise InputError("no visibilities: the stream gave no part")
        digests = [digest.digest() for digest in self._digests]
        beam = self._first["primary_beam"]
        frequency = self._frequency_sum / self._kept if self._frequencies else None
        return Observation(
            name=self._first["name"],
            phase_center=self._first["phase_center"],
            pointing_center=self._first["pointing_center"],
            primary_beam_fwhm=None if beam is None else beam.fwhm(frequency),
            n_visibilities=self._kept,
            n_flagged=self._flagged,
            shortest=float(self._shortest),
            longest=float(self._longest),
            fields=tuple(sorted(self._fields)),
            n_antennas=len(self._antennas) or None,
            frequency=frequency,
            n_channels=max(1, len(self._frequencies)),
            sha256=hashlib.sha256(b"".join(digests)).hexdigest(),
            unweighted_sha256=hashlib.sha256(b"".join(digests[:-1])).hexdigest(),
        )


def _show(value):
    return value.describe() if hasattr(value, "describe") else value


def _different(values):
    """The set of values of an array that holds few different ones."""
    if values[0] == values[-1] and np.all(values == values[0]):
        return {values[0].item()}
    return set(np.unique(values).tolist())
