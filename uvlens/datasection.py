"""`data:` of a model file: from its items to data sets with their weights and primary beams settled."""

import dataclasses
import functools
from pathlib import Path

from .data import VisibilityStream, apply_weights, is_compressed, read_or_stream
from .data.selection import KEYS, Selection
from .errors import InputError
from .primarybeam import NAMED_BEAMS, AbstractPrimaryBeam, FitsBeam, FixedBeam
from .schema import Section, as_number

READ_OPTIONS = ("sign", "uv_unit", "frequency", "wavelength")
_LATER = {"channels": "channel handling"}


@dataclasses.dataclass(frozen=True)
class DataEntry:
    """One item of `data:`; `options` of `read`, `given` are the keys that its section has."""

    file: Path
    weights: str
    primary_beam: str | AbstractPrimaryBeam
    options: dict
    given: frozenset[str] = frozenset()


def parse_data_entry(section, folder):
    """A DataEntry from its section; nothing is read yet."""
    file = folder / Path(section.text("file")).expanduser()
    weights = section.choice("weights", ["rescale", "file", "differences"], "rescale")
    for key, what in _LATER.items():
        if section.get(key) is not None:
            raise InputError(f"{section.name(key)}: {what} is not available in this version")
    options = {key: section.get(key) for key in READ_OPTIONS if section.get(key) is not None}
    if section.get("select") is not None:
        options |= _parse_select(section.section("select"))
    beam = _parse_beam(section.get("primary_beam", "auto"), section.name("primary_beam"), folder)
    section.finish()
    return DataEntry(file, weights, beam, options, frozenset(section.value))


def _parse_select(section):
    """Options of `read`, their form checked; `antenna` is another word for `baseline`."""
    options = {key: section.get(key) for key in (*KEYS, "stokes", "column") if section.get(key) is not None}
    if section.get("antenna") is not None:
        if "baseline" in options:
            raise InputError(f"{section.name('antenna')}: baseline says the same; give one of them")
        options["baseline"] = section.get("antenna")
    section.finish()
    try:
        Selection.of(**{key: value for key, value in options.items() if key in KEYS})
    except InputError as error:
        raise InputError(f"{section.path}.{error}") from None
    return options


def load_entry(entry, note=lambda _: None):
    """Visibilities, a VisibilityStream (an npz too large to be held) or the Reduction of a compressed data set.

    Args:
        entry: DataEntry.
        note: called with one sentence for each choice that was made.
    """
    if is_compressed(entry.file):
        return _load_compressed(entry, note)
    data = read_or_stream(entry.file, **entry.options)
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
    for key in entry.options:
        raise InputError(f"{entry.file}: {key} is no option of a compressed data set")
    note(f"{entry.file.name}: {reduction.n_visibilities:,} visibilities, compressed by uvlens {header['version']}")
    for sentence in header.get("notes", ()):
        note(sentence)
    return reduction


def _with_beam(data, beam):
    change = functools.partial(_exchange_beam, beam=beam)
    return data.map(change) if isinstance(data, VisibilityStream) else change(data)


def _exchange_beam(part, beam):
    return dataclasses.replace(part, primary_beam=beam)
