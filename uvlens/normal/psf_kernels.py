"""Compiled loops over tiles of 4 x 8 fitted pixels: what they see of a sparse L through a PSF, and the way back.

Arguments that return: `layout` is a Layout as a tuple of arrays (see `psf_products`), `lens` the row_start, source and
value of a SparseLens, `dense_of` (S,) the number of a source among the dense columns or -1. A range of tiles, first ..
last - 1, sees the sources `sources[start[t] : start[t + 1]]` (sorted), t counted from `first`; `tiles` has a row of 32
for each of them.
"""

import numpy as np

from .sparse import compiled

ROWS, COLUMNS = 4, 8
"""Of a tile: 8 columns are one vector register of float64."""
PIXELS = ROWS * COLUMNS
"""Of a tile."""
_DOT_ROWS = 64
"""Rows of F_UU made at once: below the diagonal half of the square is left out."""


@compiled
def sources_of_tiles(layout, lens, n_source, first, last):
    """(start, sources, counts): the source pixels whose light reaches each tile of a range, in order, and by how many
    entries of L each of them does."""
    tile_row, tile_column, _root_weight, number, stamps = layout
    row_start, source, _ = lens
    seen = np.zeros(n_source, np.int32)
    start = np.zeros(last - first + 1, np.int64)
    sources, counts = np.empty(1024, np.int32), np.empty(1024, np.int32)
    count = 0
    for tile in range(first, last):
        low, high = n_source, -1
        for row in range(tile_row[tile], tile_row[tile] + stamps.shape[0]):
            for column in range(tile_column[tile], tile_column[tile] + stamps.shape[1]):
                j = number[row, column]
                if j >= 0:
                    for k in range(row_start[j], row_start[j + 1]):
                        s = source[k]
                        seen[s] += 1
                        low, high = min(low, s), max(high, s)
        for s in range(low, high + 1):
            if seen[s] > 0:
                if count == len(sources):
                    sources, counts = _doubled(sources), _doubled(counts)
                sources[count], counts[count] = s, seen[s]
                seen[s] = 0
                count += 1
        start[tile - first + 1] = count
    return start, sources[:count].copy(), counts[:count].copy()


@compiled
def _doubled(array):
    larger = np.empty(2 * len(array), array.dtype)
    larger[: len(array)] = array
    return larger


@compiled
def _most(start, values):
    """Largest sum of the values of one tile."""
    most = 0
    for t in range(len(start) - 1):
        most = max(most, np.sum(values[start[t] : start[t + 1]]))
    return most


@compiled
def _sort_entries(layout, lens, dense_of, tile, sources, counts, where, end, entry, stamp):
    """The entries of L that reach a tile, those of one source together: `end` of each source, `entry` in L, `stamp`.

    Dense sources keep their place in `end` and have no entries.
    """
    tile_row, tile_column, _root_weight, number, stamps = layout
    row_start, source, _ = lens
    total = 0
    for u in range(len(sources)):
        s = sources[u]
        end[u] = total
        where[s] = u
        if dense_of[s] >= 0:
            where[s] = -1
        else:
            total += counts[u]
    for row in range(stamps.shape[0]):
        for column in range(stamps.shape[1]):
            j = number[tile_row[tile] + row, tile_column[tile] + column]
            if j < 0:
                continue
            at = (row * stamps.shape[1] + column) * PIXELS
            for k in range(row_start[j], row_start[j + 1]):
                u = where[source[k]]
                if u >= 0:
                    position = end[u]
                    entry[position], stamp[position] = k, at
                    end[u] = position + 1


@compiled
def build_tiles(layout, lens, dense_of, dense_tiles, first, start, sources, counts, tiles):
    """tiles[u] = N^-1/2 B L of each source u of each tile; `dense_tiles` (dense, tiles, 32) has B L of the dense."""
    root_weight, flat, value = layout[2], layout[4].ravel(), lens[2]
    where, end = np.empty(len(dense_of), np.int32), np.empty(len(dense_of), np.int64)
    most = _most(start, counts)
    entry, stamp = np.empty(most, np.int64), np.empty(most, np.uint64)
    for t in range(len(start) - 1):
        tile, mine = first + t, sources[start[t] : start[t + 1]]
        _sort_entries(layout, lens, dense_of, tile, mine, counts[start[t] : start[t + 1]], where, end, entry, stamp)
        k = 0
        for u in range(len(mine)):
            row = tiles[start[t] + u]
            if dense_of[mine[u]] >= 0:
                for i in range(PIXELS):
                    row[i] = root_weight[tile, i] * dense_tiles[dense_of[mine[u]], tile, i]
                continue
            for i in range(PIXELS):
                row[i] = 0.0
            while k + 4 <= end[u]:
                s0, v0 = flat[stamp[k] :], value[entry[k]]
                s1, v1 = flat[stamp[k + 1] :], value[entry[k + 1]]
                s2, v2 = flat[stamp[k + 2] :], value[entry[k + 2]]
                s3, v3 = flat[stamp[k + 3] :], value[entry[k + 3]]
                for i in range(PIXELS):
                    row[i] += v0 * s0[i] + v1 * s1[i] + v2 * s2[i] + v3 * s3[i]
                k += 4
            while k < end[u]:
                s0, v0 = flat[stamp[k] :], value[entry[k]]
                for i in range(PIXELS):
                    row[i] += v0 * s0[i]
                k += 1
            for i in range(PIXELS):
                row[i] *= root_weight[tile, i]


@compiled
def count_products(start, sources, work):
    """work[s] += entries of F's row s, up to the diagonal, that each tile of a range adds to."""
    for t in range(len(start) - 1):
        for u in range(start[t], start[t + 1]):
            work[sources[u]] += u - start[t] + 1


@compiled
def multiply_tiles(start, sources, tiles, first_source, last_source, curvature):
    """Rows first_source .. last_source - 1 of F, lower triangle, += sum over tiles of T T^T."""
    largest = 0
    for t in range(len(start) - 1):
        largest = max(largest, start[t + 1] - start[t])
    buffer = np.empty(_DOT_ROWS * largest)
    for t in range(len(start) - 1):
        base = start[t]
        mine = sources[base : start[t + 1]]
        low, high = np.searchsorted(mine, first_source), np.searchsorted(mine, last_source)
        for top in range(low, high, _DOT_ROWS):
            bottom = min(top + _DOT_ROWS, high)
            product = buffer[: (bottom - top) * bottom].reshape(bottom - top, bottom)
            np.dot(tiles[base + top : base + bottom], tiles[base : base + bottom].T, product)
            for u in range(top, bottom):
                row, part = curvature[mine[u]], product[u - top]
                for v in range(u + 1):
                    row[mine[v]] += part[v]


@compiled
def correlate_tiles(layout, lens, dense_of, matrix, first, start, sources, counts, tiles, product, dense_tiles):
    """product[k] += (B^T N^-1/2 T X) at every entry k of L near the tiles; for the dense sources, N^-1/2 T X itself."""
    root_weight, flat = layout[2], layout[4].ravel()
    where, end = np.empty(len(dense_of), np.int32), np.empty(len(dense_of), np.int64)
    most, largest = _most(start, counts), _most(start, np.ones_like(sources))
    entry, stamp = np.empty(most, np.int64), np.empty(most, np.uint64)
    square, right_flat = np.empty(largest**2), np.empty(largest * PIXELS)
    for t in range(len(start) - 1):
        tile, mine = first + t, sources[start[t] : start[t + 1]]
        n = len(mine)
        if n == 0:
            continue
        chosen, right = square[: n * n].reshape(n, n), right_flat[: n * PIXELS].reshape(n, PIXELS)
        for u in range(n):
            row = matrix[mine[u]]
            for v in range(n):
                chosen[u, v] = row[mine[v]]
        np.dot(chosen, tiles[start[t] : start[t + 1]], right)
        _sort_entries(layout, lens, dense_of, tile, mine, counts[start[t] : start[t + 1]], where, end, entry, stamp)
        k = 0
        for u in range(n):
            row = right[u]
            for i in range(PIXELS):
                row[i] *= root_weight[tile, i]
            if dense_of[mine[u]] >= 0:
                dense_tiles[dense_of[mine[u]], tile, :] = row
                continue
            while k + 4 <= end[u]:
                s0, s1, s2, s3 = flat[stamp[k] :], flat[stamp[k + 1] :], flat[stamp[k + 2] :], flat[stamp[k + 3] :]
                t0 = t1 = t2 = t3 = 0.0
                for i in range(PIXELS):
                    t0 += row[i] * s0[i]
                    t1 += row[i] * s1[i]
                    t2 += row[i] * s2[i]
                    t3 += row[i] * s3[i]
                product[entry[k]] += t0
                product[entry[k + 1]] += t1
                product[entry[k + 2]] += t2
                product[entry[k + 3]] += t3
                k += 4
            while k < end[u]:
                s0, t0 = flat[stamp[k] :], 0.0
                for i in range(PIXELS):
                    t0 += row[i] * s0[i]
                product[entry[k]] += t0
                k += 1


@compiled
def gather_dense(row_start, source, dense_of, images, product):
    """product[k] += images[d, j] at the entries k = (j, s) of the dense sources."""
    for j in range(len(row_start) - 1):
        for k in range(row_start[j], row_start[j + 1]):
            d = dense_of[source[k]]
            if d >= 0:
                product[k] += images[d, j]
