"""The fields (sources) of files that hold several, and which of them make one mosaic."""

import fnmatch

import numpy as np

from ..errors import InputError
from ..wcs import sky_offset
from . import measurement_set, uvfits
from .files import as_path, format_of_content, reading

_READERS = {measurement_set.read: measurement_set, uvfits.read: uvfits}


def has_fields(path):
    """Whether a file is of a format that holds several fields: a measurement set or UVFITS."""
    return format_of_content(as_path(path)).read in _READERS


def count_fields(path):
    """{field number: (name, rows)} of a file that `has_fields`."""
    path = as_path(path)
    form = format_of_content(path)
    with reading(path, form):
        return _READERS[form.read].count_fields(path)


def field_centers(path):
    """{field number: phase centre (ra, dec) [deg], or None} of a file that `has_fields`."""
    path = as_path(path)
    form = format_of_content(path)
    with reading(path, form):
        return _READERS[form.read].field_centers(path)


def fields_of(path):
    """{field number: name}."""
    return {number: name for number, (name, _) in sorted(count_fields(path).items())}


def largest_field(path):
    """(number, list of all or "" where there is one) of the field with the most rows."""
    fields = count_fields(path)
    number = max(fields, key=lambda key: fields[key][1])
    return number, _listed(fields) if len(fields) > 1 else ""


def chosen_fields(path, asked=None, fwhm=None):
    """Numbers of the fields that are meant, the one nearest their middle first.

    Args:
        path: of a file that `has_fields`.
        asked: number or name (* and ? stand for anything), or a list of these; None: the only one, or all of a mosaic.
        fwhm: of the primary beam [arcsec]; fields that lie no further apart make a mosaic. None: not known, and
            several fields are never taken for one.

    Raises:
        InputError: a field that is not there, or several of which none was asked for; those there are listed.
    """
    fields, centers = count_fields(path), field_centers(path)
    if asked is None:
        numbers = sorted(fields)
        if len(numbers) > 1 and not _is_mosaic([centers[n] for n in numbers], fwhm):
            raise InputError(f"{path}: has fields {_listed(fields)}; say which one, field={numbers[-1]}")
    else:
        numbers = []
        for one in asked if isinstance(asked, list | tuple) else [asked]:
            found = [n for n, (name, _) in fields.items() if fnmatch.fnmatchcase(name, str(one))]
            found = found or [n for n in fields if str(n) == str(one)]
            if not found:
                raise InputError(f"{path}: there is no field {one!r}; it has {_listed(fields)}")
            numbers += [n for n in found if n not in numbers]
    if len(numbers) == 1 or any(centers[n] is None for n in numbers):
        return numbers
    offsets = np.array([sky_offset(*centers[n], centers[numbers[0]]) for n in numbers])
    middle = int(np.argmin(np.hypot(*(offsets - offsets.mean(axis=0)).T)))
    return [numbers[middle], *numbers[:middle], *numbers[middle + 1 :]]


def _is_mosaic(centers, fwhm):
    """Whether every field lies within a primary beam of another."""
    if fwhm is None or any(center is None for center in centers):
        return False
    reached, left = [centers[0]], list(centers[1:])
    while left:
        near = [c for c in left if any(np.hypot(*sky_offset(*c, r)) <= fwhm for r in reached)]
        if not near:
            return False
        reached += near
        left = [c for c in left if c not in near]
    return True


def _listed(fields):
    return ", ".join(f"{key} ({name}, {rows:,} rows)" for key, (name, rows) in sorted(fields.items()))
