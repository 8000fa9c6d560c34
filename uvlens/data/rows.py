"""Files that are read in blocks of rows: from their blocks to Visibilities, whole, part by part, or in partitions.

A source is a picklable object of a format (a measurement set, a UVFITS file) with

    name, n_rows, rows_per_block, visibilities_per_row (about), most_visibilities (of the selection), header (of them)
    blocks(start, stop)   dicts of arrays of Visibilities, for each `rows_per_block` rows that have any
    nothing_left()        InputError: why no block has anything

Blocks begin at multiples of `rows_per_block`, which the file alone settles: the order of the visibilities does not
depend on how they are cut.
"""

import functools
import hashlib
import os
import pickle

import numpy as np

from ..errors import InputError
from .stream import Flagged, Partition, VisibilityStream
from .visibilities import Visibilities

BLOCK = 2**18
"""Visibilities of a block, about."""
PARTITION = 2**23
"""Visibilities of a partition, about."""
_MOST_PARTITIONS = 256
_LOCK_FILES = ("table.lock",)


def whole(source):
    """All that was selected, as Visibilities.

    Raises:
        InputError: nothing was, or nothing unflagged.
    """
    blocks = list(source.blocks(0, source.n_rows))
    if not blocks:
        raise source.nothing_left()
    arrays = {
        key: np.concatenate([block.pop(key) for block in blocks]) for key in list(blocks[0])
    }  # one copy at a time
    if not np.any(arrays["weight"] > 0.0):
        raise InputError(f"{source.name}: all {len(arrays['weight'])} visibilities of the selection are flagged")
    return Visibilities(**arrays, **source.header)


def parts(source, start, stop, chunk, guard=None):
    """Visibilities of at most `chunk` (a row at least) from a range of rows; Flagged for what no part can hold.

    Args:
        guard: context manager in which the file is read.
    """
    held, n_held, is_used = [], 0, False
    for block in _guarded(source.blocks(start, stop), guard):
        for piece in _cut(block, chunk):
            n = len(piece["weight"])
            if held and (n_held + n > chunk or n_held > BLOCK // 2):  # joining costs more than a part
                yield _part(source, held, n_held, is_used)
                held, n_held, is_used = [], 0, False
            held.append(piece)
            n_held += n
            is_used = is_used or bool(np.any(piece["weight"] > 0.0))
    if held:
        yield _part(source, held, n_held, is_used)


def stream_of(source, chunk, guard=None):
    """The VisibilityStream of a source, with its partitions."""
    rows = _rows_of_partition(source)
    identity = identity_of(source.path, pickle.dumps((source, chunk)))
    partitions = []
    for start in range(0, source.n_rows, rows):
        stop = min(start + rows, source.n_rows)
        partitions.append(
            Partition(
                functools.partial(parts, source, start, stop, chunk, guard),
                hashlib.sha256(f"{identity} {start} {stop}".encode()).hexdigest(),
                int((stop - start) * source.visibilities_per_row),
            )
        )
    return VisibilityStream(functools.partial(_all_parts, source, chunk, guard), partitions=partitions)


def _all_parts(source, chunk, guard):
    """The parts of a whole file, those that are flagged throughout left out."""
    is_empty, n_flagged = True, 0
    for part in parts(source, 0, source.n_rows, chunk, guard):
        if isinstance(part, Flagged):
            n_flagged += part.count
            continue
        is_empty = False
        yield part
    if is_empty:
        if n_flagged:
            raise InputError(f"{source.name}: all {n_flagged} visibilities of the selection are flagged")
        raise source.nothing_left()


def identity_of(path, extra=b""):
    """SHA-256 of what a file is known by: its path, sizes and times of change of what it consists of, and `extra`."""
    digest = hashlib.sha256(os.fspath(path.resolve()).encode())
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    for file in files:
        if file.name not in _LOCK_FILES:
            status = file.stat()
            digest.update(f"{file} {status.st_size} {status.st_mtime_ns}".encode())
    digest.update(extra)
    return digest.hexdigest()


def rows_per_block(visibilities_per_row):
    """Rows of about BLOCK visibilities."""
    return max(1, int(BLOCK / max(1.0, visibilities_per_row)))


def _rows_of_partition(source):
    """A multiple of the rows of a block."""
    per_row = max(1.0, source.visibilities_per_row)
    size = max(PARTITION, source.n_rows * per_row / _MOST_PARTITIONS)
    return max(1, round(size / per_row / source.rows_per_block)) * source.rows_per_block


def _guarded(blocks, guard):
    if guard is None:
        yield from blocks
        return
    while True:
        with guard():
            block = next(blocks, None)
        if block is None:
            return
        yield block


def _part(source, held, n, is_used):
    return Visibilities(**_join(held), **source.header) if is_used else Flagged(n)


def _join(blocks):
    if len(blocks) == 1:
        return blocks[0]
    return {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}


def _cut(block, chunk):
    n = len(block["weight"])
    if n <= chunk:
        return [block]
    return [{key: value[i : i + chunk] for key, value in block.items()} for i in range(0, n, chunk)]
