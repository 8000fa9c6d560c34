"""The fields (sources) of files that hold several."""

import numpy as np

from . import measurement_set, uvfits
from .files import as_path, format_of_content, reading
from .tables import Table


def has_fields(path):
    """Whether a file is of a format that holds several fields: a measurement set or UVFITS."""
    return format_of_content(as_path(path)).read in (measurement_set.read, uvfits.read)


def count_fields(path):
    """{field number: (name, rows)} of a file that `has_fields`."""
    path = as_path(path)
    form = format_of_content(path)
    with reading(path, form):
        return (measurement_set if form.read is measurement_set.read else uvfits).count_fields(path)


def fields_of(path):
    """{field number: name}."""
    return {number: name for number, (name, _) in sorted(count_fields(path).items())}


def largest_field(path):
    """(number, list of all or "" where there is one) of the field with the most rows."""
    fields = count_fields(path)
    number = max(fields, key=lambda key: fields[key][1])
    listed = ", ".join(f"{key} ({name}, {rows:,} rows)" for key, (name, rows) in fields.items())
    return number, listed if len(fields) > 1 else ""


def centers_of(path):
    """{field number: (ra, dec) of its phase centre [deg]} of a measurement set with several fields, else {}."""
    path = as_path(path)
    form = format_of_content(path)
    if form.read is not measurement_set.read:
        return {}
    with reading(path, form):
        fields, numbers = Table(path / "FIELD"), count_fields(path)
        centers = {n: np.degrees(fields.column("PHASE_DIR", [n]).reshape(-1)[:2]) for n in numbers}
    return {n: (float(ra % 360.0), float(dec)) for n, (ra, dec) in centers.items()} if len(centers) > 1 else {}
