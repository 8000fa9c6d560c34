"""casacore tables through whichever library is there: arcae (the extra `ms`), python-casacore or casatools."""

import numpy as np

from ..errors import InputError

_NOT_INSTALLED = "reading a measurement set needs a casacore library: pip install 'uvlens[ms]'"


class Table:
    """One table, opened for reading.

    Args:
        path: of the table's folder.

    Raises:
        InputError: no library is installed.
    """

    def __init__(self, path):
        self._columns, self._read = _open(str(path))

    @property
    def columns(self):
        """Names of the columns."""
        return self._columns

    def column(self, name, rows=None):
        """A column as an array, whole or at some rows; rows of different shapes only one shape at a time."""
        return np.asarray(self._read(name, rows))


def _open(path):
    """(column names, read(name, rows)) of a table."""
    for opener in (_arcae, _casacore, _casatools):
        try:
            return opener(path)
        except ImportError:
            continue
    raise InputError(_NOT_INSTALLED)


def _arcae(path):
    import arcae

    table = arcae.table(path)

    def read(name, rows):
        return table.getcol(name) if rows is None else table.getcol(name, index=(np.asarray(rows),))

    return list(table.columns()), read


def _casacore(path):
    from casacore.tables import table  # type: ignore[import-not-found]

    opened = table(path, ack=False)

    def read(name, rows):
        return opened.getcol(name) if rows is None else opened.selectrows(np.asarray(rows)).getcol(name)

    return list(opened.colnames()), read


def _casatools(path):
    from casatools import table  # type: ignore[import-not-found]

    opened = table()
    opened.open(path)

    def read(name, rows):
        part = opened if rows is None else opened.selectrows(np.asarray(rows).tolist())
        return np.moveaxis(part.getcol(name), -1, 0).swapaxes(1, -1)

    return list(opened.colnames()), read
