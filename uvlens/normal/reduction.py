"""From visibilities to the few sums that a likelihood needs, once, on the host, in chunks.

    W_ij  = sum_k w_k cos 2 pi (u_k . (x_i - x_j))          kept as a kernel of pixel offsets
    d~_i  = sum_k w_k Re[V_k exp(-2 pi i u_k . x_i)]        the natural-weighted dirty image, unnormalised
    d^H C^-1 d = sum_k w_k |V_k|^2                          and the normalisation sum_k 2 ln(2 pi sigma_k^2)

Reductions of different data on the same mask add.
"""

import dataclasses
import functools
import hashlib
import json

import numpy as np

from .. import __version__
from ..conventions import ARCSEC
from ..data.cells import CELL_ARRAYS, UVCells
from ..data.coverage import WeightHistogram
from ..errors import InputError
from ..files import write_atomically
from ..grid import Mask, PixelGrid
from ..nufft import CHUNK, chunks, type1
from .compensated import CompensatedSum


@dataclasses.dataclass(frozen=True, eq=False)
class ToeplitzTerm:
    """One block-Toeplitz part of W, seen through one primary beam: P W P.

    Args:
        kernel: w(dx, dy), shape (2 ny - 1, 2 nx - 1), offset zero in the middle [Jy^-2].
        primary_beam: P at the N mask pixels, or None for 1.
        cells: its data averaged over small uv cells, for plots.
    """

    kernel: np.ndarray
    primary_beam: np.ndarray | None
    cells: UVCells


@dataclasses.dataclass(frozen=True, eq=False)
class Reduction:
    """Everything a fit needs of the visibilities, on one mask.

    Args:
        mask: the N pixels.
        terms: parts of W, one for each different primary beam.
        dirty_image: d~, shape (N,), primary beams applied [Jy^-1].
        null_chi_squared: d^H C^-1 d.
        noise_normalization: sum over real and imaginary parts of ln(2 pi sigma^2).
        histogram: of weight over baseline length.
        n_visibilities: K, flagged ones not counted.
        pixel_window: whether the response of a square pixel was divided out.
        hashes: one for each data set: of data, mask, options and version.
        names: one for each data set.
    """

    mask: Mask
    terms: tuple[ToeplitzTerm, ...]
    dirty_image: np.ndarray
    null_chi_squared: CompensatedSum
    noise_normalization: CompensatedSum
    histogram: WeightHistogram
    n_visibilities: int
    pixel_window: bool
    hashes: tuple[str, ...]
    names: tuple[str, ...]

    def __add__(self, other):
        if not (self.mask.grid == other.mask.grid and np.array_equal(self.mask.kept, other.mask.kept)):
            raise InputError("normal operators on different masks cannot be added")
        if self.pixel_window != other.pixel_window:
            raise InputError("normal operators with and without pixel_window cannot be added")
        return Reduction(
            mask=self.mask,
            terms=_merge_terms(self.terms + other.terms),
            dirty_image=self.dirty_image + other.dirty_image,
            null_chi_squared=self.null_chi_squared + other.null_chi_squared,
            noise_normalization=self.noise_normalization + other.noise_normalization,
            histogram=self.histogram + other.histogram,
            n_visibilities=self.n_visibilities + other.n_visibilities,
            pixel_window=self.pixel_window,
            hashes=self.hashes + other.hashes,
            names=self.names + other.names,
        )

    @property
    def sum_weight(self):
        """sum_k w_k [Jy^-2]."""
        return float(self.histogram.weight.sum())

    @property
    def log_evidence_null(self):
        """ln E of an empty sky, -1/2 (d^H C^-1 d + noise_normalization)."""
        return -0.5 * float(self.null_chi_squared + self.noise_normalization)

    @functools.cached_property
    def resolution_area(self):
        """Omega_N = (2 u_99.5)^-2, the unit of area behind a dimensionless strength [arcsec^2]."""
        return (2.0 * self.histogram.quantile(0.995) * ARCSEC) ** -2

    def dense(self):
        """W on the mask, shape (N, N) [Jy^-2]."""
        mask = self.mask
        ny, nx = mask.grid.shape
        row_offset = mask.rows[:, None] - mask.rows + ny - 1
        column_offset = mask.columns[:, None] - mask.columns + nx - 1
        total = np.zeros((mask.n_pixels, mask.n_pixels))
        for term in self.terms:
            part = term.kernel[row_offset, column_offset]
            if term.primary_beam is not None:
                part *= term.primary_beam[:, None] * term.primary_beam
            total += part
        return total

    def save(self, path, **extra):
        """Write to one `.npz`; `extra` are small JSON values kept beside the arrays."""
        arrays = {}
        for i, term in enumerate(self.terms):
            arrays[f"kernel_{i}"] = term.kernel
            arrays |= {f"cell_{key}_{i}": getattr(term.cells, key) for key in CELL_ARRAYS}
            if term.primary_beam is not None:
                arrays[f"primary_beam_{i}"] = term.primary_beam
        header = {
            "format": "uvlens normal operator",
            "version": __version__,
            "n_terms": len(self.terms),
            "pixel_scale": self.mask.grid.pixel_scale,
            "center": self.mask.grid.center,
            "null_chi_squared": dataclasses.astuple(self.null_chi_squared),
            "noise_normalization": dataclasses.astuple(self.noise_normalization),
            "histogram_first": self.histogram.first,
            "cell_size": self.terms[0].cells.size,
            "n_visibilities": self.n_visibilities,
            "pixel_window": self.pixel_window,
            "hashes": self.hashes,
            "names": self.names,
            **extra,
        }
        arrays |= {
            "kept": self.mask.kept,
            "dirty_image": self.dirty_image,
            "histogram": self.histogram.weight,
        }
        write_atomically(
            path, lambda stream: np.savez_compressed(stream, header=np.array(json.dumps(header)), **arrays)
        )

    @staticmethod
    def load(path):
        """Read what `save` wrote: (reduction, header)."""
        try:
            with np.load(path, allow_pickle=False) as archive:
                header = json.loads(str(archive["header"]))
                arrays = {key: archive[key] for key in archive.files if key != "header"}
            if header["format"] != "uvlens normal operator":
                raise ValueError(f"format {header['format']!r}")
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path}: not a saved normal operator ({error})") from None
        mask = Mask(PixelGrid(arrays["kept"].shape, header["pixel_scale"], tuple(header["center"])), arrays["kept"])
        terms = []
        for i in range(header["n_terms"]):
            u, v, vis, weight = (arrays[f"cell_{key}_{i}"] for key in CELL_ARRAYS)
            cells = UVCells(header["cell_size"], u, v, vis, weight)
            terms.append(ToeplitzTerm(arrays[f"kernel_{i}"], arrays.get(f"primary_beam_{i}"), cells))
        reduction = Reduction(
            mask=mask,
            terms=tuple(terms),
            dirty_image=arrays["dirty_image"],
            null_chi_squared=CompensatedSum(*header["null_chi_squared"]),
            noise_normalization=CompensatedSum(*header["noise_normalization"]),
            histogram=WeightHistogram(header["histogram_first"], arrays["histogram"]),
            n_visibilities=header["n_visibilities"],
            pixel_window=header["pixel_window"],
            hashes=tuple(header["hashes"]),
            names=tuple(header["names"]),
        )
        return reduction, header


def reduce(data, mask, *, primary_beam=None, pixel_window=False, backend="finufft", eps=1e-12, chunk=CHUNK):
    """Reduce one data set on a mask.

    Args:
        data: Visibilities (K). Flagged ones (weight 0) are left out.
        mask: Mask (N).
        primary_beam: power pattern at the mask pixels, shape (N,), or None for 1.
        pixel_window: pixel values that are means over square pixels transform to V sinc(u dx) sinc(v dx): divide the
            model by that response. Since |V - M / r|^2 w = |V r - M|^2 w / r^2, V becomes V r and w becomes w / r^2.
        backend, eps, chunk: of the type-1 transforms (see `uvlens.nufft`).

    Returns:
        Reduction.
    """
    grid = mask.grid
    ny, nx = grid.shape
    kernel_grid = PixelGrid((2 * ny, 2 * nx), grid.pixel_scale, (-0.5 * grid.pixel_scale,) * 2)
    kernel = np.zeros(kernel_grid.shape)
    dirty = np.zeros(grid.shape)
    chi_squared = normalization = CompensatedSum()
    histogram = cells = None
    n_visibilities = 0
    cell_size = 1.0 / (8.0 * max(grid.shape) * grid.pixel_scale * ARCSEC)
    for part in chunks(len(data), chunk):
        keep = data.weight[part] > 0.0
        if not keep.any():
            continue
        u, v, vis, weight = (array[part][keep] for array in (data.u, data.v, data.vis, data.weight))
        chi_squared += CompensatedSum.of(weight * (vis.real**2 + vis.imag**2))
        normalization += CompensatedSum.of(2.0 * np.log(2.0 * np.pi / weight))
        new = WeightHistogram.of(np.hypot(u, v), weight)
        histogram = new if histogram is None else histogram + new
        new = UVCells.of(u, v, vis, weight, cell_size)
        cells = new if cells is None else cells + new
        n_visibilities += len(u)
        if pixel_window:
            step = grid.pixel_scale * ARCSEC
            window = np.sinc(u * step) * np.sinc(v * step)
            weight, vis = weight / window**2, vis * window
        options = {"backend": backend, "eps": eps, "chunk": chunk}
        kernel += type1(u, v, weight, kernel_grid, **options).real
        dirty += type1(u, v, weight * vis, grid, **options).real
    assert histogram is not None and cells is not None  # Visibilities holds at least one that is not flagged
    slim = dirty[mask.rows, mask.columns]
    if primary_beam is not None:
        slim = slim * primary_beam
    # the grid of the kernel runs over offsets -n .. n - 1: the first row and column are never needed
    term = ToeplitzTerm(np.ascontiguousarray(kernel[1:, 1:]), primary_beam, cells)
    return Reduction(
        mask=mask,
        terms=(term,),
        dirty_image=slim,
        null_chi_squared=chi_squared,
        noise_normalization=normalization,
        histogram=histogram,
        n_visibilities=n_visibilities,
        pixel_window=pixel_window,
        hashes=(data_hash(data, mask, primary_beam, pixel_window),),
        names=(data.name,),
    )


def data_hash(data, mask, primary_beam, pixel_window):
    """SHA-256 of everything that a reduction depends on: data, mask, options and this package's version."""
    digest = hashlib.sha256()
    for array in (data.u, data.v, data.vis, data.weight, mask.kept):
        digest.update(np.ascontiguousarray(array).data)
    digest.update(repr((mask.grid, pixel_window, __version__)).encode())
    if primary_beam is not None:
        digest.update(np.ascontiguousarray(primary_beam).data)
    return digest.hexdigest()


def _merge_terms(terms):
    merged = []
    for term in terms:
        for i, other in enumerate(merged):
            if _same_beam(term.primary_beam, other.primary_beam):
                merged[i] = ToeplitzTerm(other.kernel + term.kernel, term.primary_beam, other.cells + term.cells)
                break
        else:
            merged.append(term)
    return tuple(merged)


def _same_beam(a, b):
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
