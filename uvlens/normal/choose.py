"""Which operator is the cheapest for a source: a written model of the seconds that one evidence takes.

Operations are counted; the rates they run at were measured with `benchmarks/operators.py` and matter only in their
ratios. The rank is not known before W is decomposed: what the uv coverage allows is counted instead.
"""

import dataclasses

import jax
import numpy as np

from ..conventions import ARCSEC
from ..threads import pool

_CORRELATE = 11e9
"""Multiplications and additions a second and core of the direct correlation."""
_SPARSE = 3.4e9
"""Of the sparse products."""
_DENSE = 25e9
"""Of matrix products and decompositions, on one core."""
_FOURIER = 1.5e9
"""Grid points times their logarithm, a second and core."""
_PER_BLOCK = 4e-5
"""Seconds of bookkeeping for a block of 8 columns."""
LARGEST_FACTOR = 2**32
"""Bytes of R that `auto` accepts."""
LARGEST_KEPT = 2**30
"""Bytes of T = W L that a value-and-gradient evaluation keeps; a larger T is computed twice."""


@dataclasses.dataclass(frozen=True)
class SourceSize:
    """The source an operator is to serve.

    Args:
        n_source: S.
        entries: source pixels that an image pixel sees: 4 for a bilinear mesh and one ray, about 18 for splines.
    """

    n_source: int = 900
    entries: float = 16.0


def expected_rank(reduction):
    """Rank of W at a relative tolerance of 1e-10, to about 10 %, from the uv cells that hold visibilities.

    With c the number of cells of side 1 / (width of the mask), conjugate ones counted once, and
    2.3 c + 16 sqrt(c) found for six masks and coverages; never above N or 2 K.
    """
    mask = reduction.mask
    width = max(np.ptp(mask.x), np.ptp(mask.y)) + mask.grid.pixel_scale
    occupied = set()
    for term in reduction.terms:
        flip = np.where(term.cells.v < 0.0, -1.0, 1.0) * width * ARCSEC
        column, row = (np.round(c * flip).astype(np.int64) for c in (term.cells.u, term.cells.v))
        occupied.update(np.unique(row * 2**32 + column).tolist())
    cells = len(occupied)
    return int(min(2.3 * cells + 16.0 * np.sqrt(cells), mask.n_pixels, 2 * reduction.n_visibilities))


def known_rank(normal):
    """Rank of the operator's W, expected where it was not decomposed; None for an image."""
    if normal.rank is not None or not normal.reduction.terms:
        return normal.rank
    return expected_rank(normal.reduction)


def seconds(method, reduction, source: SourceSize, rank):
    """Expected time of F, of ln det A and of the free source, on a CPU."""
    mask, s = reduction.mask, source.n_source
    n, cores = mask.n_pixels, pool()[1]
    entries = source.entries * n
    solve = s**3 / 6.0 / _DENSE
    sparse = entries * s / 2.0 / _SPARSE / cores
    ny, nx = np.ptp(mask.rows) + 1, np.ptp(mask.columns) + 1
    blocks = len(reduction.terms) * (s / 8.0)
    if method == "direct":
        return len(reduction.terms) * 0.55 * entries * n / _CORRELATE / cores + sparse + blocks * _PER_BLOCK + solve
    if method == "fft":
        points = 8.0 * 4.0 * ny * nx
        return blocks * points * np.log2(points) / _FOURIER / cores + sparse + blocks * _PER_BLOCK + solve
    product = entries * rank / _SPARSE / cores
    if rank < s:
        solve = min(solve, (s * rank**2 + rank**3 / 3.0) / 2.0 / _DENSE + 4.0 * s * np.sqrt(s) * rank / _SPARSE / cores)
    return product + s**2 * rank / 2.0 / _DENSE + solve


def cheapest(reduction, source: SourceSize):
    """(method, reason): the operator that `method="auto"` stands for."""
    rank = expected_rank(reduction)
    factor = 8 * rank * reduction.mask.n_pixels
    if jax.default_backend() != "cpu":
        if factor <= LARGEST_FACTOR:
            return "lowrank", f"an accelerator, and R of rank about {rank} fits"
        return "fft", f"an accelerator, and R of rank about {rank} would take {factor / 2**30:.0f} GiB"
    methods = ["direct", "fft"] + (["lowrank"] if factor <= LARGEST_FACTOR else [])
    if not _has_compiler():
        methods.remove("direct")
    expected = {method: seconds(method, reduction, source, rank) for method in methods}
    best = min(expected, key=lambda method: expected[method])
    listed = ", ".join(f"{method} {1e3 * expected[method]:.0f} ms" for method in sorted(expected, key=expected.get))
    return best, f"expected for {source.n_source} source pixels: {listed}"


def quickest(reduction):
    """(method, reason): an exact operator that needs no decomposition."""
    if jax.default_backend() == "cpu" and _has_compiler():
        return "direct", "no source yet"
    return "fft", "no source yet"


def _has_compiler():
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True
