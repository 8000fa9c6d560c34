"""B^T N^-1 B of an image on a CPU, by direct convolution: the PSF is small, L is sparse, F is symmetric.

The fitted pixels are cut into tiles of 4 x 8. All light that reaches a tile through the PSF comes from a patch of the
sky, and from the same few of the S source pixels, U of them. For each tile

    T = N^-1/2 B L      (U, 32): every entry of L near the tile times 4 rows of the PSF, 8 columns side by side
    F_UU += T T^T       a dense product, then added to F where it belongs

and for the gradient, with Y = N^-1/2 (X_UU T), (W L X)_js = sum_i psf_ij Y_si at the entries (j, s) of L near the tile.
A source that most pixels see (a smooth light profile, the sky) would take the time of a whole mesh: its column is
convolved by Fourier transforms and only takes part in the dense products.
"""

import itertools
from typing import NamedTuple

import numpy as np

from ..threads import in_parallel, pool
from .choose import LARGEST_KEPT
from .products import HostProducts
from .psf_kernels import (
    COLUMNS,
    PIXELS,
    ROWS,
    build_tiles,
    correlate_tiles,
    count_products,
    gather_dense,
    multiply_tiles,
    sources_of_tiles,
)

_DENSE = 0.5
"""Of the pixels of the model: a source that more of them see is a dense column."""
_PARTS = 8
"""Ranges of tiles, for each core: what a tile costs changes slowly from one to the next."""
_LARGEST_GROUP = 2**28
"""Bytes of T that are held at once where it is not kept."""


class Layout(NamedTuple):
    """Tiles, model pixels and PSF as the compiled loops want them.

    Attributes:
        tile_row, tile_column: upper left pixel of what each tile sees, in `number`.
        root_weight: 1 / sigma of its pixels, 0 where nothing is fitted, shape (tiles, 32).
        number: index of each model pixel or -1, in the frame of both kinds of pixels, padded.
        stamps: what each pixel of the patch around a tile sends to its 32, shape (rows, columns of the patch, 32).
    """

    tile_row: np.ndarray
    tile_column: np.ndarray
    root_weight: np.ndarray
    number: np.ndarray
    stamps: np.ndarray


class Part(NamedTuple):
    """A range of tiles with the sources that reach them (by how many entries of L), and T where it was built."""

    first: int
    start: np.ndarray
    sources: np.ndarray
    counts: np.ndarray
    tiles: np.ndarray | None = None


class Dense(NamedTuple):
    """The dense columns of an L: number of each source among them or -1, (S,); B L at all tiles, (dense, tiles, 32)."""

    number: np.ndarray
    tiles: np.ndarray


class TileProducts(HostProducts):
    """Products with W = B^T N^-1 B of an ImagingReduction."""

    def __init__(self, reduction):
        self.blur, frame, weight = reduction.blur, reduction.frame, reduction.weight
        psf = _trimmed(reduction.psf)
        half_y, half_x = (n // 2 for n in psf.shape)
        self.used = np.flatnonzero(weight > 0.0)
        rows, columns = frame.data_rows[self.used], frame.data_columns[self.used]
        top, left = rows.min(), columns.min()
        per_row = (columns.max() - left) // COLUMNS + 1
        tiles, self.tile = np.unique((rows - top) // ROWS * per_row + (columns - left) // COLUMNS, return_inverse=True)
        self.pixel = (rows - top) % ROWS * COLUMNS + (columns - left) % COLUMNS
        root_weight = np.zeros((len(tiles), PIXELS))
        root_weight[self.tile, self.pixel] = np.sqrt(weight[self.used])
        (ny, nx), pad_y, pad_x = frame.shape, half_y + ROWS, half_x + COLUMNS
        number = np.full((ny + 2 * pad_y, nx + 2 * pad_x), -1, np.int32)
        number[frame.rows + pad_y, frame.columns + pad_x] = np.arange(len(frame.rows))
        tile_row = tiles // per_row * ROWS + top - half_y + pad_y
        tile_column = tiles % per_row * COLUMNS + left - half_x + pad_x
        self.layout = Layout(tile_row, tile_column, root_weight, number, _stamps(psf))

    def curvature(self, lens, keep):
        dense, parts = self._dense(lens), self._parts(lens)
        size = sum(8 * PIXELS * len(part.sources) for part in parts)
        keep = keep and size <= LARGEST_KEPT
        curvature, ready = np.zeros((lens.n_source, lens.n_source)), []
        edges = _balanced(parts, lens.n_source)
        for group in [parts] if keep else _groups(parts):
            built = self._build(lens, dense, group)

            def work(first, last, built=built):
                for part in built:
                    multiply_tiles(part.start, part.sources, part.tiles, edges[first], edges[last], curvature)

            in_parallel(work, len(edges) - 1)
            if keep:
                ready += built
        return curvature, (dense, ready if keep else parts)

    def pullback(self, lens, kept, matrix):
        dense, parts = kept
        n_workers, rows = pool()[1], (lens.row_start, lens.source, lens.value)
        product, back = np.zeros(len(lens.source)), np.zeros_like(dense.tiles)
        matrix = np.ascontiguousarray(matrix)
        for group in [parts] if parts[0].tiles is not None else _groups(parts):
            built = group if group[0].tiles is not None else self._build(lens, dense, group)

            def work(worker, _, built=built):
                mine = np.zeros(len(lens.source))
                for part in built[worker::n_workers]:
                    arguments = (part.first, part.start, part.sources, part.counts, part.tiles, mine, back)
                    correlate_tiles(tuple(self.layout), rows, dense.number, matrix, *arguments)
                return mine

            product += sum(in_parallel(work, n_workers))
        if len(back):
            images = np.zeros((len(back), len(self.blur.data_position)))
            images[:, self.used] = back[:, self.tile, self.pixel]
            gather_dense(lens.row_start, lens.source, dense.number, self.blur.transposed(images), product)
        return product

    def _parts(self, lens):
        """[Part] of all tiles, not built."""
        rows, n_workers, n_tiles = (lens.row_start, lens.source, lens.value), pool()[1], len(self.layout.root_weight)
        edges = np.linspace(0, n_tiles, min(n_tiles, _PARTS * n_workers) + 1).astype(int)
        n_parts = len(edges) - 1

        def work(worker, _):
            mine = []
            for i in range(worker, n_parts, n_workers):
                found = sources_of_tiles(tuple(self.layout), rows, lens.n_source, edges[i], edges[i + 1])
                mine.append(Part(int(edges[i]), *found))
            return mine

        return _in_turn(in_parallel(work, n_workers))

    def _build(self, lens, dense, parts):
        """The same with T."""
        rows, n_workers = (lens.row_start, lens.source, lens.value), pool()[1]

        def work(worker, _):
            mine = []
            for part in parts[worker::n_workers]:
                one = part._replace(tiles=np.empty((len(part.sources), PIXELS)))
                build_tiles(tuple(self.layout), rows, dense.number, dense.tiles, *one)
                mine.append(one)
            return mine

        return _in_turn(in_parallel(work, n_workers))

    def _dense(self, lens):
        """The columns of L that most pixels see."""
        columns = np.flatnonzero(np.diff(lens.column_start) > _DENSE * lens.n_pixels)
        number, images = np.full(lens.n_source, -1), np.zeros((len(columns), lens.n_pixels))
        number[columns] = np.arange(len(columns))
        for image, s in zip(images, columns):
            entries = slice(lens.column_start[s], lens.column_start[s + 1])
            image[lens.pixel[entries]] = lens.column_value[entries]
        tiles = np.zeros((len(columns), *self.layout.root_weight.shape))
        if len(columns):
            tiles[:, self.tile, self.pixel] = self.blur.apply(images)[:, self.used]
        return Dense(number, tiles)


def _in_turn(dealt):
    """Lists that were dealt out one item at a time, as one list again."""
    return [one for turn in itertools.zip_longest(*dealt) for one in turn if one is not None]


def _groups(parts):
    """The parts in groups whose T takes about _LARGEST_GROUP bytes."""
    groups, size = [[]], 0
    for part in parts:
        size += 8 * PIXELS * len(part.sources)
        if size > _LARGEST_GROUP and groups[-1]:
            groups.append([])
            size = 8 * PIXELS * len(part.sources)
        groups[-1].append(part)
    return groups


def _balanced(parts, n_source):
    """Edges of ranges of F's rows that cost the same, one range a core."""
    work = np.zeros(n_source)
    for part in parts:
        count_products(part.start, part.sources, work)
    done = np.concatenate([[0.0], np.cumsum(work)])
    wanted = np.linspace(0.0, done[-1], pool()[1] + 1)
    return np.concatenate([[0], np.searchsorted(done, wanted[1:-1]), [n_source]]).astype(np.int64)


def _stamps(psf):
    """psf[i - j + h] for the pixels i of a tile and all j from which the PSF reaches it, shape (rows, columns, 32)."""
    py, px = psf.shape
    padded = np.pad(psf, ((ROWS - 1, ROWS - 1), (COLUMNS - 1, COLUMNS - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (ROWS, COLUMNS))[::-1, ::-1]
    return np.ascontiguousarray(windows).reshape(py + ROWS - 1, px + COLUMNS - 1, PIXELS)


def _trimmed(psf):
    """The PSF without the rows and columns of zeros outside, its middle where it was."""
    row, column = (np.flatnonzero(np.any(psf != 0.0, axis=axis)) for axis in (1, 0))
    half = [max(n // 2 - at[0], at[-1] - n // 2) for n, at in zip(psf.shape, (row, column))]
    middle = [n // 2 for n in psf.shape]
    return psf[middle[0] - half[0] : middle[0] + half[0] + 1, middle[1] - half[1] : middle[1] + half[1] + 1]
