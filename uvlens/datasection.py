"""`data:` of a model file: from its items to data sets with their weights and primary beams settled."""

import dataclasses
from pathlib import Path

import numpy as np

from .conventions import ARCSEC, SPEED_OF_LIGHT
from .data import VisibilityStream, apply_weights, is_compressed, read_or_stream
from .errors import InputError
from .schema import Section

READ_OPTIONS = ("sign", "uv_unit", "frequency", "wavelength")
BEAM_DISHES = {"alma12m": 12.0, "alma7m": 7.0, "sma": 6.0}
_LATER = {"channels": "channel handling"}
_SELECT = ("field", "spw", "stokes", "column")


@dataclasses.dataclass(frozen=True)
class DataEntry:
    """One item of `data:`; `given` are the keys that its section has, `uv_range` wavelengths to keep."""

    file: Path
    weights: str
    primary_beam: str | float
    options: dict
    given: frozenset[str] = frozenset()
    uv_range: tuple[float, float] | None = None


def parse_data_entry(section, folder):
    """A DataEntry from its section; nothing is read yet."""
    file = folder / Path(section.text("file")).expanduser()
    weights = section.choice("weights", ["rescale", "file", "differences"], "rescale")
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
    beam = section.get("primary_beam", "auto")
    if isinstance(beam, dict):
        inner = Section(beam, section.name("primary_beam"))
        beam = inner.number("gaussian", positive=True)
        inner.finish()
    elif beam not in ("auto", "none", *BEAM_DISHES):
        known = ", ".join(["auto", "none", *BEAM_DISHES, "{gaussian: FWHM}"])
        raise InputError(f"{section.name('primary_beam')}: expected one of {known}, got {beam!r}")
    section.finish()
    return DataEntry(file, weights, beam, options, frozenset(section.value), uv_range)


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
    if isinstance(entry.primary_beam, float):
        return _with_beam(data, entry.primary_beam)
    if entry.primary_beam in BEAM_DISHES:
        frequency = (data.first() if isinstance(data, VisibilityStream) else data).frequency
        if frequency is None:
            raise InputError(f"{data.name}: primary_beam {entry.primary_beam} needs the frequency, the file has none")
        dish = BEAM_DISHES[str(entry.primary_beam)]
        return _with_beam(data, 1.13 * SPEED_OF_LIGHT / float(np.mean(frequency)) / dish / ARCSEC)
    fwhm = data.primary_beam_fwhm
    beam = "none known" if fwhm is None else f'Gaussian, FWHM {fwhm:.2f}"'
    note(f"{data.name}: primary beam {beam}")
    return data


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


def _within(data, shortest, longest):
    """The visibilities on baselines of a range of lengths [wavelengths]."""

    def change(part):
        keep = (part.uv_distance >= shortest) & (part.uv_distance <= longest)
        if not keep.any():
            raise InputError(f"{part.name}: no visibilities between {shortest:g} and {longest:g} wavelengths")
        return part.select(keep)

    return data.map(change) if isinstance(data, VisibilityStream) else change(data)


def _with_beam(data, fwhm):
    def change(part):
        return dataclasses.replace(part, primary_beam_fwhm=fwhm)

    return data.map(change) if isinstance(data, VisibilityStream) else change(data)
