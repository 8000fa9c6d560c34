"""What a partition of an observation comes to, in memory and in one `.npz`: arrays and a JSON header, no pickles."""

import dataclasses
import json
import zipfile
import zlib

import numpy as np

from ..data.cells import CELL_ARRAYS, UVCells
from ..data.coverage import WeightHistogram
from ..data.observation import Counts
from ..files import write_atomically
from ..primarybeam import beam_from_dict
from .compensated import CompensatedSum

_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What is raised for files that are cut or not what they say."""


@dataclasses.dataclass(frozen=True, eq=False)
class GroupSums:
    """Sums over the visibilities that share a primary beam.

    Args:
        images: kernel and dirty image, shape (2, 2 ny, 2 nx).
        cells: UVCells.
        weight, frequency: sums of w and of w nu; 0 where no frequency is known.
    """

    images: np.ndarray
    cells: UVCells
    weight: float
    frequency: float


@dataclasses.dataclass(frozen=True, eq=False)
class PartialSums:
    """What a partition of an observation comes to; ReductionSums merges them in order.

    Args:
        groups: {(primary beam, number of the frequency step): GroupSums}.
        chi_squared, normalization: CompensatedSums.
        histogram: WeightHistogram, None where nothing was unflagged.
        pointing: (x, y) of the pointing centre [arcsec].
        counts: of the ObservationBuilder.
    """

    groups: dict[tuple, GroupSums]
    chi_squared: CompensatedSum
    normalization: CompensatedSum
    histogram: WeightHistogram | None
    pointing: tuple[float, float]
    counts: Counts


def save_partial(partial, path, key):
    """Write PartialSums in one step; `key` is what they depend on."""
    arrays, groups = {}, []
    for i, ((beam, number), sums) in enumerate(partial.groups.items()):
        arrays[f"images_{i}"] = sums.images
        arrays |= {f"cell_{name}_{i}": getattr(sums.cells, name) for name in CELL_ARRAYS}
        groups.append([_beam_to_dict(beam), number, sums.cells.size, sums.weight, sums.frequency])
    counts = dataclasses.asdict(dataclasses.replace(partial.counts, header=None))
    if partial.counts.header is not None:
        beam = partial.counts.header["primary_beam"]
        counts["header"] = partial.counts.header | {"primary_beam": _beam_to_dict(beam)}
    if partial.histogram is not None:
        arrays["histogram"] = partial.histogram.weight
    header = {
        "key": key,
        "groups": groups,
        "chi_squared": dataclasses.astuple(partial.chi_squared),
        "normalization": dataclasses.astuple(partial.normalization),
        "histogram_first": None if partial.histogram is None else partial.histogram.first,
        "pointing": partial.pointing,
        "counts": counts,
    }
    write_atomically(path, lambda stream: np.savez(stream, header=np.array(json.dumps(header)), **arrays))


def is_partial(path, key):
    """Whether a file says that it holds PartialSums of this key."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return json.loads(str(archive["header"]))["key"] == key
    except _DAMAGE:
        return False


def load_partial(path, key):
    """PartialSums that `save_partial` wrote under this key; None where they cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            header = json.loads(str(archive["header"]))
            if header["key"] != key:
                return None
            return _assemble(header, {name: archive[name] for name in archive.files if name != "header"})
    except _DAMAGE:
        return None


def _assemble(header, arrays):
    groups = {}
    for i, (beam, number, size, weight, frequency) in enumerate(header["groups"]):
        cells = UVCells(size, *(arrays[f"cell_{name}_{i}"] for name in CELL_ARRAYS))
        groups[beam_from_dict(beam), number] = GroupSums(arrays[f"images_{i}"], cells, weight, frequency)
    counts = {name: tuple(value) if isinstance(value, list) else value for name, value in header["counts"].items()}
    if counts["header"] is not None:
        stated = {name: tuple(value) if isinstance(value, list) else value for name, value in counts["header"].items()}
        counts["header"] = stated | {"primary_beam": beam_from_dict(stated["primary_beam"])}
    first = header["histogram_first"]
    return PartialSums(
        groups=groups,
        chi_squared=CompensatedSum(*header["chi_squared"]),
        normalization=CompensatedSum(*header["normalization"]),
        histogram=None if first is None else WeightHistogram(first, arrays["histogram"]),
        pointing=tuple(header["pointing"]),
        counts=Counts(**counts),
    )


def _beam_to_dict(beam):
    return None if beam is None else beam.to_dict()
