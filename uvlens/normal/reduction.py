"""The few sums that a likelihood needs of the visibilities, on one mask; `accumulate.py` makes them, once.

    W_ij  = sum_k w_k cos 2 pi (u_k . (x_i - x_j))          kept as a kernel of pixel offsets
    d~_i  = sum_k w_k Re[V_k exp(-2 pi i u_k . x_i)]        the natural-weighted dirty image, unnormalised
    d^H C^-1 d = sum_k w_k |V_k|^2                          and the normalisation sum_k 2 ln(2 pi sigma_k^2)

Reductions of different data on the same mask add.
"""

import dataclasses
import functools
import hashlib

import numpy as np

from ..conventions import ARCSEC
from ..data.cells import UVCells
from ..data.coverage import WeightHistogram
from ..data.observation import Observation
from ..errors import InputError
from ..grid import Mask
from .compensated import CompensatedSum
from .nuisances import NuisanceTerm

_SAME_PIXEL = 1e-4
"""Of a pixel: what FITS headers may round off."""


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
        dirty_image: d~, shape (N,), primary beams applied [Jy^-1]; (C, N) for C channels that share W (see `shared`).
        null_chi_squared: d^H C^-1 d.
        noise_normalization: sum over real and imaginary parts of ln(2 pi sigma^2).
        histogram: of weight over baseline length.
        pixel_window: whether the response of a square pixel was divided out.
        observations: what is known of each data set apart from its visibilities.
        hashes: one for each data set: of data, mask, options and version.
        nuisances: calibration nuisances that are marginalised (see `nuisances`): dirty_image and the constants are
            those of C' = C + B Sigma B^T, W is that of the terms less U^T U of each.
    """

    mask: Mask
    terms: tuple[ToeplitzTerm, ...]
    dirty_image: np.ndarray
    null_chi_squared: CompensatedSum
    noise_normalization: CompensatedSum
    histogram: WeightHistogram
    pixel_window: bool
    observations: tuple[Observation, ...]
    hashes: tuple[str, ...]
    nuisances: tuple[NuisanceTerm, ...] = ()

    kind = "visibilities"

    def __add__(self, other):
        if not (self.mask.grid == other.mask.grid and np.array_equal(self.mask.kept, other.mask.kept)):
            raise InputError("normal operators on different masks cannot be added")
        if self.dirty_image.ndim > 1 or other.dirty_image.ndim > 1:
            raise InputError("channels that share W cannot be added to: add the data of each channel, then share")
        if self.pixel_window != other.pixel_window:
            raise InputError("normal operators with and without pixel_window cannot be added")
        return Reduction(
            mask=self.mask,
            terms=_merge_terms(self.terms + other.terms),
            dirty_image=self.dirty_image + other.dirty_image,
            null_chi_squared=self.null_chi_squared + other.null_chi_squared,
            noise_normalization=self.noise_normalization + other.noise_normalization,
            histogram=self.histogram + other.histogram,
            pixel_window=self.pixel_window,
            observations=self.observations + other.observations,
            hashes=self.hashes + other.hashes,
            nuisances=self.nuisances + other.nuisances,
        )

    @property
    def downdate(self):
        """U of all nuisances with W' = W - U^T U, shape (m, N)."""
        return np.concatenate([np.zeros((0, self.mask.n_pixels)), *(term.downdate for term in self.nuisances)])

    @property
    def n_visibilities(self):
        """K, flagged ones not counted."""
        return sum(observation.n_visibilities for observation in self.observations)

    @property
    def n_real_data(self):
        """2 K: real and imaginary parts."""
        return 2 * self.n_visibilities

    @property
    def phase_center(self):
        """(right ascension, declination) in degrees of the first data set that knows it, or None."""
        return next((one.phase_center for one in self.observations if one.phase_center is not None), None)

    @property
    def sum_weight(self):
        """sum_k w_k, of a mean channel where C of them share W [Jy^-2]."""
        total = float(self.histogram.weight.sum())
        return total if self.dirty_image.ndim == 1 else total / len(self.dirty_image)

    @property
    def log_evidence_null(self):
        """ln E of an empty sky, -1/2 (d^H C^-1 d + noise_normalization)."""
        return -0.5 * float(self.null_chi_squared + self.noise_normalization)

    @functools.cached_property
    def resolution_area(self):
        """Omega_N = (2 u_99.5)^-2, the unit of area behind a dimensionless strength [arcsec^2]."""
        return (2.0 * self.histogram.quantile(0.995) * ARCSEC) ** -2

    def restrict(self, mask):
        """The same data on fewer pixels.

        Args:
            mask: Mask of pixels that this reduction has.

        Raises:
            InputError: another pixel scale, pixels that lie between those of this reduction, or outside its mask.
        """
        own, (ny, nx) = self.mask, mask.grid.shape
        if own.grid == mask.grid and np.array_equal(own.kept, mask.kept):
            return self
        chosen = _positions(own, mask)
        shared_y, shared_x = min(ny, own.grid.shape[0]), min(nx, own.grid.shape[1])
        terms = []
        for term in self.terms:
            # pixels of both masks are never further apart than the smaller box: what lies beyond is not used
            kernel = np.zeros((2 * ny - 1, 2 * nx - 1))
            _middle(kernel, shared_y, shared_x)[...] = _middle(term.kernel, shared_y, shared_x)
            beam = None if term.primary_beam is None else term.primary_beam[chosen]
            terms.append(ToeplitzTerm(kernel, beam, term.cells))
        stated = repr((mask.grid, mask.kept.tobytes())).encode()
        return dataclasses.replace(
            self,
            mask=mask,
            terms=tuple(terms),
            dirty_image=self.dirty_image[..., chosen],
            hashes=tuple(hashlib.sha256(one.encode() + stated).hexdigest() for one in self.hashes),
            nuisances=tuple(term.restrict(chosen) for term in self.nuisances),
        )

    def save(self, path, **extra):
        """Write to one file, `.npz` inside; `extra` are small JSON values kept beside the arrays."""
        from .storage import save_reduction

        save_reduction(self, path, **extra)

    @staticmethod
    def load(path):
        """Read what `save` wrote: (reduction, header)."""
        from .storage import load_reduction

        return load_reduction(path)

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
        return total - self.downdate.T @ self.downdate if self.nuisances else total


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


def _positions(own, mask):
    """Where the pixels of `mask` stand among the slim pixels of `own`, shape (N,)."""
    scale, side = own.grid.pixel_scale, max(*own.grid.shape, *mask.grid.shape)
    if abs(mask.grid.pixel_scale - scale) * side > _SAME_PIXEL * scale:
        raise InputError(f'the data were reduced on pixels of {scale:.6g}", not {mask.grid.pixel_scale:.6g}"')
    shift = [
        (a[0] - b[0]) / scale for a, b in zip((mask.grid.y_axis, mask.grid.x_axis), (own.grid.y_axis, own.grid.x_axis))
    ]
    if max(abs(value - round(value)) for value in shift) > _SAME_PIXEL:
        raise InputError(
            f"the data were reduced on pixels about {own.grid.center}, those about {mask.grid.center} lie between them"
        )
    rows, columns = mask.rows + round(shift[0]), mask.columns + round(shift[1])
    (ny, nx), number = own.grid.shape, own.to_image(np.arange(own.n_pixels), outside=-1)
    inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
    chosen = np.where(inside, number[rows.clip(0, ny - 1), columns.clip(0, nx - 1)], -1)
    missing = np.count_nonzero(chosen < 0)
    if missing:
        raise InputError(f"{missing} of {mask.n_pixels} pixels lie outside the mask that the data were reduced on")
    return chosen


def _middle(kernel, ny, nx):
    """The offsets below ny rows and nx columns of a kernel."""
    row, column = (n // 2 for n in kernel.shape)
    return kernel[row - ny + 1 : row + ny, column - nx + 1 : column + nx]
