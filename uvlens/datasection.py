"""An item of `data:` in a model file: from its keys to data sets with weights and primary beams settled."""

import dataclasses
import functools
from pathlib import Path

from .averagesection import AverageSettings, apply_averaging, parse_average, parse_merge
from .data import (
    VisibilityStream,
    apply_weights,
    chosen_fields,
    count_fields,
    has_fields,
    is_compressed,
    read_or_stream,
    shift_phase_center,
    stream,
)
from .data.selection import KEYS, Selection
from .errors import InputError
from .imagesection import is_image_section, parse_image_entry
from .primarybeam import NAMED_BEAMS, AbstractPrimaryBeam, FitsBeam, FixedBeam
from .schema import Section, as_number
from .subtract import parse_components
from .wcs import sky_position

_FEW = 10_000
"""Visibilities that show which beam and frequency a field has."""

READ_OPTIONS = ("sign", "uv_unit", "frequency", "wavelength")


@dataclasses.dataclass(frozen=True)
class DataEntry:
    """One item of `data:`.

    Attributes:
        file, weights, primary_beam: as stated.
        options: of the reader.
        given: the keys that its section has.
        sky: name of the sky it sees; data of one sky share a source.
        separate: whether every channel has a source of its own.
        pointing: (ra, dec) in degrees, where it is not the phase centre of the file.
        average: how to average, or None.
        subtract: Components (uvlens/subtract.py) that are taken out once the mask is known.
    """

    file: Path
    weights: str
    primary_beam: str | AbstractPrimaryBeam
    options: dict
    given: frozenset[str] = frozenset()
    sky: str = ""
    separate: bool = False
    pointing: tuple[float, float] | None = None
    average: AverageSettings | None = None
    subtract: tuple = ()


def parse_item(section, folder):
    """A DataEntry, or the ImageEntry of an item with `psf:`."""
    from .imagesection import is_image_section, parse_image_entry

    is_image = is_image_section(section.value)
    return (parse_image_entry if is_image else parse_data_entry)(section, folder)


def absolute_item(item, folder):
    """An item of `data:` as it was written, its files by absolute paths: for a model file that is kept elsewhere."""
    from .imagesection import absolute_files

    file = (folder / Path(item["file"]).expanduser()).resolve()
    return absolute_files(item, folder) | {"file": str(file)}


def parse_data_entry(section, folder):
    """A DataEntry from its section, an ImageEntry of an image (it has `psf:`); nothing is read yet."""
    if is_image_section(section.value):
        return parse_image_entry(section, folder)
    file = folder / Path(section.text("file")).expanduser()
    weights = section.choice("weights", ["rescale", "antennas", "file", "differences"], "rescale")
    merge = parse_merge(section.get("channels"), section.name("channels"))
    options = {key: section.get(key) for key in READ_OPTIONS if section.get(key) is not None}
    if section.get("select") is not None:
        options |= _parse_select(section.section("select"))
    separate = merge is None and section.choice("channels", ["merge", "separate"], "merge") == "separate"
    average = parse_average(section.get("average"), section.name("average"), merge)
    sky = section.text("sky", "")
    pointing = None
    if section.get("pointing") is not None:
        place = section.section("pointing")
        pointing = sky_position(place.require("ra"), place.require("dec"), place.path)
        place.finish()
    beam = parse_beam(section.get("primary_beam", "auto"), section.name("primary_beam"), folder)
    subtract = parse_components(section.get("subtract") or [], section.name("subtract"))
    section.finish()
    given = frozenset(section.value)
    return DataEntry(file, weights, beam, options, given, sky, separate, pointing, average, subtract)


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


def load_entry(entry, note=lambda _: None, radius=3.0):
    """The data sets of an item: one for each pointing, all with the phase centre of the first.

    Each is Visibilities, a VisibilityStream (data too large to be held) or the Reduction of a compressed data set.

    Args:
        entry: DataEntry.
        note: called with one sentence for each choice that was made.
        radius: of the edge of the mask from the phase centre [arcsec]: what averaging must not smear.
    """
    if is_compressed(entry.file):
        return [_load_compressed(entry, note)]
    if not has_fields(entry.file):
        return [_load_field(entry, entry.options, note, radius)]
    numbers = fields_of_entry(entry)
    data_sets = []
    for number in numbers:
        data = _load_field(entry, entry.options | {"field": number}, note, radius)
        if len(numbers) > 1:
            data = _renamed(data, f"{data.name} field {number}")
            data = shift_phase_center(data, (data_sets or [data])[0].phase_center)
        data_sets.append(data)
    if len(numbers) > 1:
        note(f"{entry.file.name}: mosaic of fields {', '.join(map(str, numbers))}; offsets are from field {numbers[0]}")
    return data_sets


def fields_of_entry(entry):
    """Numbers of the fields that an item means: one, or those of a mosaic."""
    return chosen_fields(entry.file, entry.options.get("field"), _widest_beam(entry))


def _widest_beam(entry):
    """FWHM by which fields of one file are told from a mosaic [arcsec], None where that is not known."""
    if entry.options.get("field") is not None or len(count_fields(entry.file)) == 1:
        return None
    number = next(iter(sorted(count_fields(entry.file))))
    first = stream(entry.file, chunk=_FEW, **entry.options | {"field": number}).first()
    beam = entry.primary_beam if isinstance(entry.primary_beam, AbstractPrimaryBeam) else None
    return first.primary_beam_fwhm if beam is None else _with_beam(first, beam).primary_beam_fwhm


def _renamed(data, name):
    if isinstance(data, VisibilityStream):
        return VisibilityStream(data, name)
    return dataclasses.replace(data, name=name)


def _load_field(entry, options, note, radius):
    """One data set."""
    data = read_or_stream(entry.file, **options)
    if entry.pointing is not None:
        data = _changed(data, pointing_center=entry.pointing)
    data, sentence = apply_weights(data, entry.weights)
    note(f"{data.name}: {sentence}")
    data = apply_averaging(data, entry.average, radius, note)
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


def parse_beam(value, name, folder):
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
    if entry.average is not None:
        raise InputError(f"{entry.file}: compressed data hold no visibilities to average; leave average out")
    for key in [*entry.options, *(["subtract"] if entry.subtract else [])]:
        raise InputError(f"{entry.file}: {key} is no option of a compressed data set")
    note(f"{entry.file.name}: {reduction.n_visibilities:,} visibilities, compressed by uvlens {header['version']}")
    for sentence in header.get("notes", ()):
        note(sentence)
    return reduction


def _with_beam(data, beam):
    return _changed(data, primary_beam=beam)


def _changed(data, **values):
    change = functools.partial(dataclasses.replace, **values)
    return data.map(change) if isinstance(data, VisibilityStream) else change(data)
