"""The lensing operator L as compiled kernels on a CPU want it, and their two products with blocks of columns.

A block is 8 columns of an (N, m) matrix stored next to one another, shape (N, 8): one vector register of float64.
"""

import functools
from typing import NamedTuple

import numba
import numpy as np

from ..threads import in_parallel

BLOCK = 8
"""Columns in a block."""

compiled = functools.partial(numba.njit, nogil=True, fastmath=True, cache=True, error_model="numpy")
"""Decorator of every kernel: it releases the interpreter's lock, so that Python threads share the work."""


class SparseLens(NamedTuple):
    """L (N x S) with repeated entries merged and zero ones dropped; n entries are left.

    Attributes:
        row_start: shape (N + 1,); entries row_start[i] .. row_start[i + 1] belong to image pixel i.
        source: source pixel of each entry, shape (n,).
        value: shape (n,).
        slot: entry that each of the mapper's (N, P) went into, -1 for those of weight 0.
        column_start: shape (S + 1,); the same entries ordered by source pixel.
        pixel, column_value: image pixel and value of each entry in that order, shape (n,).
    """

    row_start: np.ndarray
    source: np.ndarray
    value: np.ndarray
    slot: np.ndarray
    column_start: np.ndarray
    pixel: np.ndarray
    column_value: np.ndarray

    @staticmethod
    def of(indices, weights, n_source):
        """From a mapper's indices and weights, both of shape (N, P)."""
        n_pixels, per_pixel = indices.shape
        source = np.empty(n_pixels * per_pixel, np.int32)
        value = np.empty(n_pixels * per_pixel)
        slot = np.empty((n_pixels, per_pixel), np.int32)
        count = np.empty(n_pixels, np.int64)

        def merge(start, stop):
            _merge(indices, weights, n_source, start, stop, source, value, slot, count)

        in_parallel(merge, n_pixels)
        row_start = np.zeros(n_pixels + 1, np.int64)
        np.cumsum(count, out=row_start[1:])
        n = int(row_start[-1])
        columns = _compact(row_start, per_pixel, n_source, source, value, slot)
        return SparseLens(row_start, source[:n], value[:n], slot, *columns)

    @property
    def n_source(self):
        """S."""
        return len(self.column_start) - 1

    @property
    def n_pixels(self):
        """N."""
        return len(self.row_start) - 1

    def rows(self, start, stop):
        """The L of image pixels start .. stop - 1 (without `slot`: it has no mapper of its own)."""
        first, last = self.row_start[start], self.row_start[stop]
        row_start, source, value = (
            self.row_start[start : stop + 1] - first,
            self.source[first:last],
            self.value[first:last],
        )
        columns = _by_source(row_start, source, value, self.n_source)
        return SparseLens(row_start, source, value, np.empty((0, 0), np.int32), *columns)

    def leading(self, n_columns):
        """The first columns alone, with the same S; entries by pixel only (`slot` stays that of all)."""
        kept = self.source < n_columns
        row_start = np.concatenate([[0], np.cumsum(kept)])[self.row_start]
        return self._replace(row_start=row_start, source=self.source[kept], value=self.value[kept])

    def transposed_product(self, image):
        """L^T image, shape (S,)."""
        return _transposed_product(self.column_start, self.pixel, self.column_value, image)

    def spread(self, entries):
        """Values of the merged entries, shape (n,), at the mapper's own entries, shape (N, P)."""
        return _spread(self.slot, entries)


@compiled
def _merge(indices, weights, n_source, start, stop, source, value, slot, count):
    """Merge the entries of image pixels start .. stop - 1 in place: pixel i keeps those from i P on."""
    per_pixel = indices.shape[1]
    where = np.full(n_source, -1, np.int32)
    for i in range(start, stop):
        base = i * per_pixel
        n = 0
        for p in range(per_pixel):
            w = weights[i, p]
            if w == 0.0:
                slot[i, p] = -1
                continue
            s = indices[i, p]
            k = where[s]
            if k < 0:
                k = n
                where[s] = n
                source[base + n] = s
                value[base + n] = w
                n += 1
            else:
                value[base + k] += w
            slot[i, p] = k
        for k in range(n):
            where[source[base + k]] = -1
        count[i] = n


@compiled
def _compact(row_start, per_pixel, n_source, source, value, slot):
    """Close the gaps between pixels (in place) and make the same entries ordered by source pixel."""
    for i in range(len(row_start) - 1):
        base = i * per_pixel
        first = row_start[i]
        for k in range(row_start[i + 1] - first):
            source[first + k] = source[base + k]
            value[first + k] = value[base + k]
        for p in range(per_pixel):
            if slot[i, p] >= 0:
                slot[i, p] += np.int32(first)
    return _by_source(row_start, source, value, n_source)


@compiled
def _by_source(row_start, source, value, n_source):
    """(column_start, pixel, column_value): the entries ordered by source pixel."""
    n_pixels, n = len(row_start) - 1, row_start[-1]
    column_start = np.zeros(n_source + 1, np.int64)
    for k in range(n):
        column_start[source[k] + 1] += 1
    for s in range(n_source):
        column_start[s + 1] += column_start[s]
    pixel = np.empty(n, np.int32)
    column_value = np.empty(n)
    fill = column_start[:-1].copy()
    for i in range(n_pixels):
        for k in range(row_start[i], row_start[i + 1]):
            position = fill[source[k]]
            pixel[position] = i
            column_value[position] = value[k]
            fill[source[k]] += 1
    return column_start, pixel, column_value


@compiled
def _transposed_product(column_start, pixel, column_value, image):
    product = np.zeros(len(column_start) - 1)
    for s in range(len(product)):
        total = 0.0
        for k in range(column_start[s], column_start[s + 1]):
            total += column_value[k] * image[pixel[k]]
        product[s] = total
    return product


@compiled
def _spread(slot, entries):
    spread = np.zeros(slot.shape)
    for i in range(slot.shape[0]):
        for p in range(slot.shape[1]):
            if slot[i, p] >= 0:
                spread[i, p] = entries[slot[i, p]]
    return spread


@compiled
def accumulate(lens_row_start, lens_source, lens_value, first_source, last, block, product, column):
    """product[s, column : column + 8] += (L^T B)[s] for s >= first_source; only pixels with last >= first_source."""
    for i in range(len(lens_row_start) - 1):
        if last[i] < first_source:
            continue
        for k in range(lens_row_start[i], lens_row_start[i + 1]):
            s = lens_source[k]
            v = lens_value[k]
            for b in range(8):
                product[s, column + b] += v * block[i, b]


@compiled
def contract(row_start, source, block, right, product):
    """product[k] += B[i, :] . right[s, :] for every entry k = (i, s) of L."""
    for i in range(len(row_start) - 1):
        for k in range(row_start[i], row_start[i + 1]):
            s = source[k]
            total = 0.0
            for b in range(8):
                total += block[i, b] * right[s, b]
            product[k] += total


@compiled
def last_source(row_start, source):
    """Largest source index of each image pixel, -1 for a pixel that sees none."""
    last = np.full(len(row_start) - 1, -1)
    for i in range(len(last)):
        for k in range(row_start[i], row_start[i + 1]):
            last[i] = max(last[i], source[k])
    return last
