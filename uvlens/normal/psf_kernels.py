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
    """(start, sources): the source pixels whose light reaches each tile of a range, in order."""
    tile_row, tile_column, _root_weight, number, stamps = layout
    row_start, source, _ = lens
    seen = np.zeros(n_source, np.bool_)
    start = np.zeros(last - first + 1, np.int64)
    sources = np.empty(1024, np.int32)
    count = 0
    for tile in range(first, last):
        low, high = n_source, -1
        for row in range(tile_row[tile], tile_row[tile] + stamps.shape[0]):
            for column in range(tile_column[tile], tile_column[tile] + stamps.shape[1]):
                j = number[row, column]
                if j >= 0:
                    for k in range(row_start[j], row_start[j + 1]):
                        s = source[k]
                        seen[s] = True
                        low, high = min(low, s), max(high, s)
        for s in range(low, high + 1):
            if seen[s]:
                seen[s] = False
                if count == len(sources):
                    larger = np.empty(2 * count, np.int32)
                    larger[:count] = sources
                    sources = larger
                sources[count] = s
                count += 1
        start[tile - first + 1] = count
    return start, sources[:count].copy()


@compiled
def build_tiles(layout, lens, dense_of, dense_tiles, first, start, sources, tiles):
    """tiles[u] = N^-1/2 B L of each source u of each tile; `dense_tiles` (dense, tiles, 32) has B L of the dense."""
    tile_row, tile_column, root_weight, number, stamps = layout
    row_start, source, value = lens
    flat, out = stamps.ravel(), tiles.ravel()
    where = np.zeros(len(dense_of), np.uint64)
    for t in range(len(start) - 1):
        tile = first + t
        for u in range(start[t], start[t + 1]):
            where[sources[u]] = u * PIXELS
            tiles[u, :] = 0.0
        for row in range(stamps.shape[0]):
            for column in range(stamps.shape[1]):
                j = number[tile_row[tile] + row, tile_column[tile] + column]
                if j < 0:
                    continue
                stamp = flat[(row * stamps.shape[1] + column) * PIXELS :]
                for k in range(row_start[j], row_start[j + 1]):
                    s = source[k]
                    if dense_of[s] >= 0:
                        continue
                    v, to = value[k], out[where[s] :]
                    for i in range(PIXELS):
                        to[i] += v * stamp[i]
        for u in range(start[t], start[t + 1]):
            d = dense_of[sources[u]]
            for i in range(PIXELS):
                tiles[u, i] = root_weight[tile, i] * (tiles[u, i] if d < 0 else dense_tiles[d, tile, i])


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
def correlate_tiles(layout, lens, dense_of, matrix, first, start, sources, tiles, product, dense_tiles):
    """product[k] += (B^T N^-1/2 T X) at every entry k of L near the tiles; for the dense sources, N^-1/2 T X itself."""
    tile_row, tile_column, root_weight, number, stamps = layout
    row_start, source, _ = lens
    flat = stamps.ravel()
    where = np.zeros(len(dense_of), np.uint64)
    largest = 0
    for t in range(len(start) - 1):
        largest = max(largest, start[t + 1] - start[t])
    square, right_flat = np.empty(largest**2), np.empty(largest * PIXELS)
    for t in range(len(start) - 1):
        tile, mine = first + t, sources[start[t] : start[t + 1]]
        n = len(mine)
        chosen, right = square[: n * n].reshape(n, n), right_flat[: n * PIXELS].reshape(n, PIXELS)
        for u in range(n):
            where[mine[u]] = u * PIXELS
            row = matrix[mine[u]]
            for v in range(n):
                chosen[u, v] = row[mine[v]]
        np.dot(chosen, tiles[start[t] : start[t + 1]], right)
        for u in range(n):
            for i in range(PIXELS):
                right[u, i] *= root_weight[tile, i]
            if dense_of[mine[u]] >= 0:
                dense_tiles[dense_of[mine[u]], tile, :] = right[u]
        for row in range(stamps.shape[0]):
            for column in range(stamps.shape[1]):
                j = number[tile_row[tile] + row, tile_column[tile] + column]
                if j < 0:
                    continue
                stamp = flat[(row * stamps.shape[1] + column) * PIXELS :]
                for k in range(row_start[j], row_start[j + 1]):
                    if dense_of[source[k]] >= 0:
                        continue
                    found, total = right_flat[where[source[k]] :], 0.0
                    for i in range(PIXELS):
                        total += found[i] * stamp[i]
                    product[k] += total


@compiled
def gather_dense(row_start, source, dense_of, images, product):
    """product[k] += images[d, j] at the entries k = (j, s) of the dense sources."""
    for j in range(len(row_start) - 1):
        for k in range(row_start[j], row_start[j + 1]):
            d = dense_of[source[k]]
            if d >= 0:
                product[k] += images[d, j]
