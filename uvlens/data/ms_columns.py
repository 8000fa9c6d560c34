"""New columns of visibilities in a measurement set, all of it or nothing.

A column is filled under another name and takes its own when it is whole: a run that is killed leaves at worst a column
UVLENS_PARTIAL, which the next one removes. Everything else in the set stays as it is, bit for bit.
"""

import contextlib
import re
import shutil
from pathlib import Path

import numpy as np

from ..errors import InputError
from .ms_write import arcae_tables, first_line, is_library_error, tiled_column

PARTIAL = "UVLENS_PARTIAL"
_OWN_STORAGE = ("StandardStMan", "IncrementalStMan")
_NEVER = ("DATA", "FLOAT_DATA", "LAG_DATA")


def check_columns(path, names):
    """Refuse names that are none, raw data, and columns that hold something else than visibilities.

    Raises:
        InputError: naming the column.
    """
    tables = arcae_tables()
    with tables.Table.from_filename(str(path)) as table:
        there, cells = table.columns(), _cell(table, "FLAG")
        for name in names:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name == PARTIAL:
                raise InputError(f"{path}: {name!r} is no name for a column; use letters, digits and _")
            if name in _NEVER:
                raise InputError(f"{path}: {name} holds the data as they were taken and is never written; name another")
            if name not in there:
                continue
            if "complex" not in table.tabledesc()[name]["valueType"].lower():
                raise InputError(f"{path}: the column {name} is there and holds no visibilities; name another")
            found = _cell(table, name)
            if found is not None and found != cells:
                raise InputError(f"{path}: the column {name} is there with cells of shape {found}, not {cells}")
            if not _removable(table, name):
                raise InputError(f"{path}: the column {name} shares its storage with others; name another")


def copy_set(path, target):
    """Copy a measurement set, so that the copy can be written to."""
    shutil.copytree(path, target, symlinks=True)
    for file in [target, *Path(target).rglob("*")]:
        if not file.is_symlink():
            file.chmod(file.stat().st_mode | 0o200)


def write_columns(path, names, blocks, shape):
    """Fill columns of visibilities, one after the other in name only: `blocks` is gone through once.

    Args:
        path: of the measurement set.
        names: of the columns; those that are there are replaced.
        blocks: iterable of (rows, {name: complex array of shape (rows, channels, hands)}), every row once.
        shape: (channels, hands) of most cells.

    Raises:
        InputError: a set that cannot be written to.
    """
    partial = {name: PARTIAL if i == 0 else f"{PARTIAL}_{i}" for i, name in enumerate(names)}
    try:
        _drop(path, partial.values())
        _add(path, partial.values(), shape)
        with _writable(path) as table:
            for rows, values in blocks:
                for name in names:
                    cells = np.ascontiguousarray(values[name], dtype=np.complex64)
                    table.putcol(partial[name], cells, index=(np.asarray(rows),))
        for name in names:
            _drop(path, [name])
            _taql(path, f"RENAME COLUMN {partial[name]} TO {name}")
    except BaseException as error:
        with contextlib.suppress(Exception):
            _drop(path, partial.values())
        if is_library_error(error):
            raise InputError(f"{path}: cannot be written: {first_line(error)}") from error
        raise


def _writable(path):
    return arcae_tables().Table.from_filename(str(path), 1, False)


def _add(path, names, shape):
    complete = arcae_tables().ms_descriptor("MAIN", complete=True)["MODEL_DATA"]
    with _writable(path) as table:
        managers = {manager["NAME"] for manager in table.getdminfo().values()}
        for name in names:
            description, manager = tiled_column(complete, name, 2, *shape)
            number = next(i for i in range(len(managers) + 1) if f"{manager['NAME']}{i}" not in managers)
            manager["NAME"] = description["dataManagerGroup"] = f"{manager['NAME']}{number}"
            managers.add(manager["NAME"])
            table.addcols({name: description}, {"*1": manager})


def _drop(path, names):
    with arcae_tables().Table.from_filename(str(path)) as table:
        there = set(table.columns())
    for name in names:
        if name in there:
            _taql(path, f"DROP COLUMN {name}")


def _taql(path, change):
    with _writable(path) as table:
        arcae_tables().Table.from_taql(f"ALTER TABLE $1 {change}", table).close()


def _cell(table, name):
    """Shape of the first cell of a column, None where it was never written."""
    try:
        return table.getcol(name, index=(np.array([0]),)).shape[1:]
    except Exception as error:
        if is_library_error(error):
            return None
        raise


def _removable(table, name):
    """Whether the column can go without others that are stored with it."""
    for manager in table.getdminfo().values():
        if name in manager["COLUMNS"]:
            return len(manager["COLUMNS"]) == 1 or manager["TYPE"] in _OWN_STORAGE
    return True
