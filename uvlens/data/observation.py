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


@dataclasses.dataclass(frozen=True)
class Counts:
    """What an ObservationBuilder gathered, for another one to go on from.

    Attributes:
        header: of the first part (see `Visibilities.header`), None where there was no unflagged visibility.
        kept, flagged: how many visibilities.
        shortest, longest: baseline lengths [wavelengths].
        fields, antennas, frequencies: the different ones, sorted.
        frequency_sum: over the kept visibilities [Hz].
        digests: SHA-256 of u, v, vis and weight, hexadecimal.
    """

    header: dict | None
    kept: int
    flagged: int
    shortest: float
    longest: float
    fields: tuple[int, ...]
    antennas: tuple[int, ...]
    frequencies: tuple[float, ...]
    frequency_sum: float
    digests: tuple[str, ...]


class ObservationBuilder:
    """Gathers an Observation from the parts of a data set, in order; the parts do not show in it.

    Of partitions, whose Counts are merged, only the hash shows how they were cut: it is that of their hashes in order.
    """

    def __init__(self):
        self._first = None
        self._merged = []
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
        self._check_header(part.header())
        self._kept += len(part)
        self._flagged += n_flagged
        distance = part.uv_distance
        shortest = np.min(distance, where=distance > 0.0, initial=np.inf)
        self._shortest, self._longest = min(self._shortest, shortest), max(self._longest, distance.max())
        if part.field is not None:
            self._add_fields(part.name, _different(part.field))
        if part.antenna1 is not None and part.antenna2 is not None:
            self._antennas |= _different(part.antenna1) | _different(part.antenna2)
        if part.frequency is not None:
            self._frequencies |= _different(part.frequency)
            self._frequency_sum += float(part.frequency.sum())
        for digest, key in zip(self._digests, _HASHED):
            digest.update(np.ascontiguousarray(getattr(part, key)).data)

    def add_flagged(self, n_flagged):
        """Count visibilities none of which is left."""
        self._flagged += n_flagged

    def merge(self, counts):
        """Go on from the Counts of another builder, which come after all that was added so far.

        Raises:
            InputError: as `add`.
        """
        self._flagged += counts.flagged
        if counts.header is None:
            return
        self._check_header(counts.header)
        self._kept += counts.kept
        self._shortest = min(self._shortest, counts.shortest)
        self._longest = max(self._longest, counts.longest)
        self._add_fields(counts.header["name"], set(counts.fields))
        self._antennas |= set(counts.antennas)
        self._frequencies |= set(counts.frequencies)
        self._frequency_sum += counts.frequency_sum
        self._merged.append([bytes.fromhex(digest) for digest in counts.digests])

    def counts(self):
        """The Counts of all parts so far."""
        return Counts(
            header=self._first,
            kept=self._kept,
            flagged=self._flagged,
            shortest=float(self._shortest),
            longest=float(self._longest),
            fields=tuple(sorted(self._fields)),
            antennas=tuple(sorted(self._antennas)),
            frequencies=tuple(sorted(self._frequencies)),
            frequency_sum=self._frequency_sum,
            digests=tuple(digest.hex() for digest in self._finished_digests()),
        )

    def _check_header(self, header):
        first = self._first = header if self._first is None else self._first
        for key in ("phase_center", "pointing_center", "primary_beam"):
            if header[key] != first[key]:
                found = f"differ in {key}, {_show(first[key])} and {_show(header[key])}"
                raise InputError(f"{header['name']}: the parts of one observation {found}; give observations as a list")

    def _add_fields(self, name, fields):
        self._fields |= fields
        if len(self._fields) > 1:
            listed = ", ".join(map(str, sorted(self._fields)))
            keep = f"data.select(data.field == {min(self._fields)})"
            raise InputError(f"{name}: has fields {listed}; keep one, {keep}")

    def _finished_digests(self):
        if not self._merged:
            return [digest.digest() for digest in self._digests]
        if len(self._merged) == 1:
            return self._merged[0]
        return [hashlib.sha256(b"".join(parts)).digest() for parts in zip(*self._merged)]

    def finish(self):
        """The Observation of all parts so far.

        Raises:
            InputError: there was none.
        """
        if self._first is None:
            raise InputError("no visibilities: the stream gave no part")
        digests = self._finished_digests()
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
