"""casacore tables through whichever library is there: arcae (the extra `ms`), python-casacore or casatools."""

import threading

import numpy as np

from ..errors import InputError

_NOT_INSTALLED = "reading a measurement set needs a casacore library: pip install arcae (or python-casacore)"
_ONE_AT_A_TIME = threading.RLock()
"""Held by the libraries that are not safe in several threads: all but arcae."""


class Table:
    """One table, opened for reading.

    Args:
        path: of the table's folder.

    Raises:
        InputError: no library is installed.
    """

    def __init__(self, path):
        self._columns, self._n_rows, self._read = _open(str(path))

    @property
    def columns(self):
        """Names of the columns."""
        return self._columns

    @property
    def n_rows(self):
        """Number of rows."""
        return self._n_rows

    def column(self, name, rows=None):
        """A column as an array: whole, at some rows (numbers), or in a range of rows (slice).

        Rows of different shapes only one shape at a time.
        """
        return np.asarray(self._read(name, rows))


def _open(path):
    """(column names, number of rows, read(name, rows)) of a table."""
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
        if rows is None:
            return table.getcol(name)
        return table.getcol(name, index=(rows if isinstance(rows, slice) else np.asarray(rows),))

    return list(table.columns()), table.nrow(), read


def _casacore(path):
    from casacore.tables import table  # type: ignore[import-not-found]

    def read(name, rows):
        with _ONE_AT_A_TIME:
            if rows is None:
                return opened.getcol(name)
            if isinstance(rows, slice):
                return opened.getcol(name, rows.start, rows.stop - rows.start)
            return opened.selectrows(np.asarray(rows)).getcol(name)

    with _ONE_AT_A_TIME:
        opened = table(path, ack=False)
        return list(opened.colnames()), opened.nrows(), read


def _casatools(path):
    from casatools import table  # type: ignore[import-not-found]

    def read(name, rows):
        with _ONE_AT_A_TIME:
            if isinstance(rows, slice):
                found = opened.getcol(name, rows.start, rows.stop - rows.start)
            else:
                found = (opened if rows is None else opened.selectrows(np.asarray(rows).tolist())).getcol(name)
        return np.moveaxis(found, -1, 0).swapaxes(1, -1)

    with _ONE_AT_A_TIME:
        opened = table()
        opened.open(path)
        return list(opened.colnames()), opened.nrows(), read
