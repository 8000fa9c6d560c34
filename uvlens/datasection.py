"""`data:` of a model file: from its items to data sets with their weights and primary beams settled."""

import dataclasses
from pathlib import Path

from .data import VisibilityStream, apply_weights, is_compressed, read_or_stream
from .errors import InputError
from .primarybeam import NAMED_BEAMS, AbstractPrimaryBeam, FitsBeam, FixedBeam
from .schema import Section, as_number
from .subtract import parse_components

READ_OPTIONS = ("sign", "uv_unit", "frequency", "wavelength")
_LATER = {"channels": "channel handling"}
_SELECT = ("field", "spw", "stokes", "column")


@dataclasses.dataclass(frozen=True)
class DataEntry:
    """One item of `data:`; `given` are the keys that its section has, `uv_range` wavelengths to keep.

    `subtract` are the Components (uvlens/subtract.py) that are taken out once the mask is known.
    """

    file: Path
    weights: str
    primary_beam: str | AbstractPrimaryBeam
    options: dict
    given: frozenset[str] = frozenset()
    uv_range: tuple[float, float] | None = None
    subtract: tuple = ()


def parse_data_entry(section, folder):
    """A DataEntry from its section; nothing is read yet."""
    file = folder / Path(section.text("file")).expanduser()
    weights = section.choice("weights", ["rescale", "antennas", "file", "differences"], "rescale")
    for key, what in _LATER.items():
        if section.get(key) is not None:
            raise InputError(f"{section.name(key)}: {what} is not available in this version")
    options = {key: section.get(key) for key in READ_OPTIONS if section.get(key) is not None}
    uv_range = None
    if section.get("select") is not None:
        select = section.section("select")
        options |= {key: select.get(key) for key in _SELECT if select.get(key) is not None}
        if select.get("uvrange") is not None:
            uv_range = tuple(select.numbers("uvrange", 2))
            if not 0.0 <= uv_range[0] < uv_range[1]:
                raise InputError(f"{select.name('uvrange')}: expected [shortest, longest] in wavelengths")
        select.finish()
    beam = _parse_beam(section.get("primary_beam", "auto"), section.name("primary_beam"), folder)
    subtract = parse_components(section.get("subtract") or [], section.name("subtract"))
    section.finish()
    return DataEntry(file, weights, beam, options, frozenset(section.value), uv_range, subtract)


def load_entry(entry, note=lambda _: None):
    """Visibilities, a VisibilityStream (an npz too large to be held) or the Reduction of a compressed data set.

    Args:
        entry: DataEntry.
        note: called with one sentence for each choice that was made.
    """
    if is_compressed(entry.file):
        return _load_compressed(entry, note)
    data = read_or_stream(entry.file, **entry.options)
    if entry.uv_range is not None:
        data = _within(data, *entry.uv_range)
    data, sentence = apply_weights(data, entry.weights)
    note(f"{data.name}: {sentence}")
    if entry.primary_beam == "none":
        return _with_beam(data, None)
    if isinstance(entry.primary_beam, AbstractPrimaryBeam):
        data = _with_beam(data, entry.primary_beam)
    first = data.first() if isinstance(data, VisibilityStream) else data
    if first.primary_beam is None:
        if entry.primary_beam == "file":
            raise InputError(f"{data.name}: primary_beam file: the file records none")
        note(f"{data.name}: primary beam none known")
    else:
        note(f'{data.name}: primary beam {first.primary_beam.describe()}: {first.primary_beam_fwhm:.2f}" here')
    return data


def _parse_beam(value, name, folder):
    """ "auto", "none", "file" or a beam."""
    if isinstance(value, dict):
        inner = Section(value, name)
        frequency = inner.get("frequency")
        frequency = None if frequency is None else as_number(frequency, inner.name("frequency"), positive=True)
        if "fits" in value:
            beam = FitsBeam(str((folder / inner.text("fits")).resolve()), frequency)
        else:
            beam = FixedBeam(inner.number("gaussian", positive=True), frequency)
        inner.finish()
        return beam
    if value in ("auto", "none", "file"):
        return value
    if isinstance(value, str) and value in NAMED_BEAMS:
        return NAMED_BEAMS[value]
    if isinstance(value, str) and value.lower().endswith((".fits", ".fits.gz")):
        return FitsBeam(str((folder / value).resolve()))
    known = ", ".join(["auto", "none", "file", *NAMED_BEAMS, "{gaussian: FWHM, frequency: Hz}", "a .fits file"])
    raise InputError(f"{name}: expected one of {known}, got {value!r}")


def _load_compressed(entry, note):
    from .normal import Reduction

    reduction, header = Reduction.load(entry.file)
    modes = header.get("weights", [entry.weights])
    if "weights" in entry.given and set(modes) != {entry.weights}:
        found = " and ".join(sorted(set(modes)))
        raise InputError(f"{entry.file}: compressed with weights {found}, which {entry.weights} cannot change any more")
    if entry.primary_beam != "auto":
        raise InputError(f"{entry.file}: primary_beam was settled when the data were compressed; leave this key out")
    for key in [*entry.options, *(["subtract"] if entry.subtract else [])]:
        raise InputError(f"{entry.file}: {key} is no option of a compressed data set")
    note(f"{entry.file.name}: {reduction.n_visibilities:,} visibilities, compressed by uvlens {header['version']}")
    for sentence in header.get("notes", ()):
        note(sentence)
    return reduction


def _within(data, shortest, longest):
    """The visibilities on baselines of a range of lengths [wavelengths]."""

    def change(part):
        keep = (part.uv_distance >= shortest) & (part.uv_distance <= longest)
        if not keep.any():
            raise InputError(f"{part.name}: no visibilities between {shortest:g} and {longest:g} wavelengths")
        return part.select(keep)

    return data.map(change) if isinstance(data, VisibilityStream) else change(data)


def _with_beam(data, beam):
    def change(part):
        return dataclasses.replace(part, primary_beam=beam)

    return data.map(change) if isinstance(data, VisibilityStream) else change(data)
