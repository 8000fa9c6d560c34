"""One observation that is read chunk by chunk, so that memory does not grow with the number of visibilities."""

import collections.abc
import dataclasses
import functools
import hashlib
import pickle

import numpy as np

from ..errors import InputError
from .coverage import WeightHistogram
from .visibilities import Visibilities


@dataclasses.dataclass(frozen=True)
class Flagged:
    """In the place of a part: visibilities that are all flagged, of which only the number counts."""

    count: int


@dataclasses.dataclass(frozen=True)
class Partition:
    """A piece of a stream that can be read on its own, by any process that sees the file.

    Args:
        parts: function without arguments that returns an iterator of Visibilities and Flagged, in order.
        identity: changes when what it gives changes; None where that cannot be told.
        n_visibilities: about how many, for the progress.
    """

    parts: collections.abc.Callable
    identity: str | None
    n_visibilities: int

    def map(self, function):
        """The partition of function(part)."""
        try:
            identity = hashlib.sha256(f"{self.identity}".encode() + pickle.dumps(function)).hexdigest()
        except (pickle.PicklingError, AttributeError, TypeError):  # a closure: what it does cannot be told
            identity = None
        return Partition(
            functools.partial(_mapped, self.parts, function), self.identity and identity, self.n_visibilities
        )


def _mapped(parts, function):
    for part in parts():
        yield part if isinstance(part, Flagged) else function(part)


class VisibilityStream:
    """The parts of one observation, in order: what `normal_operator` takes in the place of Visibilities.

        uvl.normal_operator(uvl.VisibilityStream(simulated_chunk(i) for i in range(100)), mask)

    Args:
        parts: an iterable of Visibilities, all of one phase centre, primary beam and field. A generator can be gone
            through once; a list, or a function without arguments that returns an iterator, as often as needed.
        name: for messages; default: that of the first part.
        partitions: the same in Partitions that can be reduced side by side, in order; () where it cannot be cut.

    Raises:
        InputError: something that cannot be iterated.
    """

    def __init__(self, parts, name=None, partitions=()):
        is_iterable = callable(parts) or isinstance(parts, collections.abc.Iterable)
        if not is_iterable or isinstance(parts, Visibilities):
            raise InputError(f"a stream needs an iterable of Visibilities, got {type(parts).__name__}")
        self._parts = parts
        self._name = name
        self._started = False
        self.partitions = tuple(partitions)

    @property
    def is_repeatable(self):
        """Whether it can be gone through more than once."""
        return not isinstance(self._parts, collections.abc.Iterator)

    def __iter__(self):
        if self._started and not self.is_repeatable:
            raise InputError("a stream made from a generator can be read once; give a function that returns one")
        self._started = True
        for part in self._parts() if callable(self._parts) else self._parts:
            if not isinstance(part, Visibilities):
                raise InputError(f"a stream gives Visibilities, got {type(part).__name__}")
            yield part if self._name is None else dataclasses.replace(part, name=self._name)

    def map(self, function):
        """The stream of function(part)."""
        if self.is_repeatable:
            partitions = [partition.map(function) for partition in self.partitions]
            return VisibilityStream(lambda: map(function, self), self._name, partitions)
        return VisibilityStream(map(function, self), self._name)

    def first(self):
        """Its first part.

        Raises:
            InputError: a stream that can be gone through once, or one without parts.
        """
        if not self.is_repeatable:
            raise InputError("a stream made from a generator can be read once; give a function that returns one")
        part = next(iter(self), None)
        if part is None:
            raise InputError("no visibilities: the stream gave no part")
        return part

    def head(self, n):
        """Its first n visibilities, or as many as there are, as Visibilities."""
        self.first()
        parts, total = [], 0
        for part in self:
            parts.append(part)
            total += len(part)
            if total >= n:
                break
        return _joined(parts, n)

    def sample(self, n, places=4):
        """About n visibilities, from as many places in the data as there are partitions, at most `places`."""
        if len(self.partitions) < 2:
            return self.head(n)
        chosen = np.unique(np.linspace(0, len(self.partitions) - 1, places).round().astype(int))
        parts = []
        for i in chosen:
            taken = 0
            for part in self.partitions[i].parts():
                if isinstance(part, Visibilities):
                    parts.append(part if self._name is None else dataclasses.replace(part, name=self._name))
                    taken += len(part)
                if taken >= n / len(chosen):
                    break
        return _joined(parts, n) if parts else self.head(n)

    @property
    def expected_count(self):
        """About how many visibilities there are, None where that is not known."""
        return sum(partition.n_visibilities for partition in self.partitions) or None

    def with_weights_scaled(self, factor):
        """The same stream with every weight multiplied by `factor` (> 0)."""
        return self.map(functools.partial(_with_weights_scaled, factor=factor))

    def suggested_pixel_scale(self):
        """As of Visibilities: 1 / (4 u_99.5) [arcsec], in a pass of its own."""
        total = None
        for part in self:
            new = WeightHistogram.of(part.uv_distance, part.weight)
            total = new if total is None else total + new
        if total is None:
            raise InputError("no visibilities: the stream gave no part")
        return total.pixel_scale()

    @property
    def name(self):
        """Name of the data."""
        return self._name or self.first().name

    @property
    def phase_center(self):
        """(right ascension, declination) in degrees, or None."""
        return self.first().phase_center

    @property
    def pointing_center(self):
        """(right ascension, declination) in degrees, or None for the phase centre."""
        return self.first().pointing_center

    @property
    def primary_beam_fwhm(self):
        """At the mean frequency of the first part [arcsec], or None."""
        return self.first().primary_beam_fwhm


def _joined(parts, n):
    """At most n visibilities of parts as one."""
    arrays = {}
    for field in dataclasses.fields(Visibilities):
        if isinstance(getattr(parts[0], field.name), np.ndarray):
            arrays[field.name] = np.concatenate([getattr(part, field.name) for part in parts])[:n]
    return dataclasses.replace(parts[0], **arrays)


def _with_weights_scaled(part, factor):
    return part.with_weights_scaled(factor)
