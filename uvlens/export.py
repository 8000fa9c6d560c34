"""`uvlens export`: a fit's model, or what it leaves, at every visibility of the file that was fitted.

Into a copy of a measurement set (MODEL_DATA, and CORRECTED_DATA = data - model), a column of the set itself, a copy of
a UVFITS file, or any other format. Both parallel hands get the model, cross hands none; flagged rows are predicted too.

Data with calibration nuisances are left as they are: the model is that of what was measured, model visibilities times
the gains that were solved for, and residual = data - gains x model.
"""

import dataclasses
import sys
from pathlib import Path

import jax.numpy as jnp

from .data import Visibilities, VisibilityStream, check_writable, measurement_set, uvfits, write
from .data.files import as_path, format_of_content
from .data.ms_write import check_target
from .datasection import DataEntry, load_entry, parse_data_entry
from .errors import InputError
from .export_set import SetExport
from .export_uvfits import write_uvfits
from .imagesection import is_image_section
from .normal import Reduction
from .prediction import gains_of, predict_reconstructed
from .report import load_best_model
from .schema import Section, load_yaml

WHAT = ("model", "residual")
_UVFITS = (".uvfits", ".uvf", ".fits")


def export(directory, out=None, *, what="model", column=None, data=None, field=None, note=lambda _: None):
    """Write the best-fitting model of a result folder in the place of the data; the facts of `--json`.

    Args:
        directory: of the fit.
        out: file or folder to write; None with `column`: the measurement set that was fitted.
        what: "model", or "residual": data - model.
        column: of a measurement set; default MODEL_DATA = model, and CORRECTED_DATA = data - model for a residual.
        data: file to predict for, needed where the fit had several or compressed data; default: what was fitted.
        field: number or name of the field in `data`; default: that of the fit.
        note: called with sentences.

    Raises:
        InputError: everything that can be wrong with folders, files and columns; nothing is written then.
    """
    if what not in WHAT:
        raise InputError(f"export: what must be model or residual, got {what!r}")
    directory = Path(directory)
    entries = fitted_entries(directory, data, field)
    source = as_path(entries[0].file)
    form = format_of_content(source)
    is_set = form.read is measurement_set.read
    in_place = out is None or (Path(out).exists() and Path(out).samefile(source))
    if in_place and not (is_set and column):
        raise InputError("export: OUT names what to write; --column alone writes into the measurement set itself")
    target = source if in_place else Path(out)
    into_set = is_set and (in_place or target.suffix.lower() == ".ms")
    if column is not None and not into_set:
        raise InputError(f"{target}: --column is for a measurement set")
    into_uvfits = form.read is uvfits.read and target.suffix.lower() in _UVFITS
    if not (into_set or into_uvfits):
        check_writable(out)
    elif not target.absolute().parent.is_dir():
        raise InputError(f"{target}: there is no folder {target.parent}")
    if into_set:
        columns = {column: what} if column else {"MODEL_DATA": "model"}
        if not column and what == "residual":
            columns["CORRECTED_DATA"] = "residual"
        job = SetExport(source, entries, columns, in_place)
        if not in_place:
            check_target(target)
    predict = _predictor(directory, entries[0].sky)
    if into_set:
        count = job.run(target, predict)
    elif into_uvfits:
        columns = {}
        count = write_uvfits(source, target, entries, what, predict)
    else:
        columns = {}
        count = _write_other(out, entries, what, predict, note)
    return {"output": str(target), "what": what, "columns": columns, "n_visibilities": count, "data": str(source)}


def fitted_entries(directory, file=None, field=None, remedy="--data names the file"):
    """The items of `data:` of the fit that are in one file, that file replaced if another is asked for.

    Raises:
        InputError: no such folder, images, several files or compressed ones; `remedy` says what helps then.
    """
    if not (directory / "best_fit.yaml").exists():
        raise InputError(f"{directory}: no best_fit.yaml here; is it the folder of a finished fit?")
    items = load_yaml(directory / "best_fit.yaml").get("data") or []
    sections = [Section(item, f"data.{i}") for i, item in enumerate(items)]
    entries = [parse_data_entry(section, directory) for section in sections if not is_image_section(section.value)]
    if not entries:
        raise InputError(f"{directory}: fitted to images; there are no visibilities to export")
    if file is not None:
        file = Path(file)
        wanted = [entry for entry in entries if entry.file.resolve() == file.resolve()]
        if not wanted and len({entry.file.resolve() for entry in entries}) > 1:
            raise InputError(f"{file}: not among the data of {directory}: {_listed(entries)}")
        entries = [_moved(entry, file, directory) for entry in wanted or entries] or [
            DataEntry(file, "file", "auto", {}, frozenset())
        ]
    if not entries:
        raise InputError(f"{directory}/best_fit.yaml: does not say what was fitted; {remedy}")
    if len({entry.sky for entry in entries}) > 1:
        raise InputError(f"{entries[0].file}: seen as several skies in this fit; export them from files of their own")
    if len({entry.file.resolve() for entry in entries}) > 1:
        raise InputError(f"{directory}: fitted to {_listed(entries)}; {remedy}")
    if format_of_content(as_path(entries[0].file)).name == "compressed":
        raise InputError(f"{entries[0].file}: compressed; {remedy}")
    if field is not None:
        return [dataclasses.replace(entries[0], options=entries[0].options | {"field": field})]
    return entries


def _moved(entry, file, directory):
    """The entry with another file; what compressed data were made from is known by its fields."""
    options = entry.options
    if entry.file.suffix == ".uvlens" and file.suffix != ".uvlens" and "field" not in options:
        reduction, _ = Reduction.load(directory / "normal.npz")
        fields = sorted({number for one in reduction.observations for number in one.fields})
        form = format_of_content(as_path(file))
        if fields and form.read in (measurement_set.read, uvfits.read):
            options = options | {"field": fields if len(fields) > 1 else fields[0]}
    return dataclasses.replace(entry, file=file, options=options)


def _listed(entries):
    return ", ".join(dict.fromkeys(str(entry.file) for entry in entries))


def _predictor(directory, sky):
    """Visibilities -> model visibilities (K,) of the best fit of one sky, times the gains of its nuisances."""
    model, _ = load_best_model(directory)
    found = model.inversions(jnp.zeros(0))
    return lambda data: predict_reconstructed(found, data, sky=sky) * gains_of(found, data, sky=sky)


def _write_other(out, entries, what, predict, note):
    """In another format: one data set, its weights as they were fitted."""
    if len(entries) > 1:
        raise InputError(f"{out}: one field in a file; --field says which")
    data_sets = load_entry(entries[0], note)
    if len(data_sets) > 1:
        raise InputError(f"{out}: one field in a file; --field says which")
    (data,) = data_sets
    if isinstance(data, VisibilityStream):
        data = data.head(sys.maxsize)
    assert isinstance(data, Visibilities)
    vis = predict(data)
    write(dataclasses.replace(data, vis=vis if what == "model" else data.vis - vis), out)
    return len(data)
