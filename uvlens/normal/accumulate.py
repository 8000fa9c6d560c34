"""One pass over the visibilities of one observation, in blocks of fixed length, from which a Reduction is made.

    W_ij  = sum_k w_k cos 2 pi (u_k . (x_i - x_j))          kept as a kernel of pixel offsets
    d~_i  = sum_k w_k Re[V_k exp(-2 pi i u_k . x_i)]        the natural-weighted dirty image, unnormalised
    d^H C^-1 d = sum_k w_k |V_k|^2                          and the normalisation sum_k 2 ln(2 pi sigma_k^2)

Parts of any length are regrouped into blocks, so how the data were cut leaves no trace in the result; memory holds one
block. Kernel and dirty image come from one transform of two sets of coefficients.
"""

import hashlib

import numpy as np

from .. import __version__
from ..conventions import ARCSEC
from ..data.cells import UVCells
from ..data.coverage import WeightHistogram
from ..data.observation import ObservationBuilder
from ..errors import InputError
from ..grid import PixelGrid
from ..nufft import CHUNK, type1
from .compensated import CompensatedSum
from .partial import GroupSums, PartialSums
from .reduction import Reduction, ToeplitzTerm

BEAM_TOLERANCE = 1e-3
"""Largest error of A on the mask from taking one frequency for a group of channels."""


class ReductionSums:
    """Adds up the parts of one observation on a mask.

    Visibilities with the same primary beam share one kernel: they are grouped by the kinds of their antennas and by
    frequency, in steps of ln nu over which A changes on the mask by at most 2 BEAM_TOLERANCE.

    Args:
        mask: Mask (N).
        primary_beam: "auto" (what the data carry), "none", or an array of shape (N,).
        pixel_window: pixel values that are means over square pixels transform to V sinc(u dx) sinc(v dx): divide the
            model by that response. Since |V - M / r|^2 w = |V r - M|^2 w / r^2, V becomes V r and w becomes w / r^2.
        backend, eps: of the type-1 transforms (see `uvlens.nufft`).
        chunk: visibilities in a block.
        reference_frequency: at which the steps are settled [Hz]; None: that of the first visibility. The partitions of
            an observation have it in common.
    """

    def __init__(
        self,
        mask,
        *,
        primary_beam="auto",
        pixel_window=False,
        backend="finufft",
        eps=1e-12,
        chunk=CHUNK,
        reference_frequency=None,
    ):
        self._mask, self._pixel_window, self._beam = mask, pixel_window, checked_beam(primary_beam, mask)
        self._transform = _Transform(mask, pixel_window, {"backend": backend, "eps": eps, "chunk": chunk})
        self._builder = ObservationBuilder()
        self._groups, self._steps, self._pointing = {}, {}, (0.0, 0.0)
        self._reference_frequency = reference_frequency
        self._chi_squared = self._normalization = CompensatedSum()
        self._histogram = None

    @property
    def observation(self):
        """What is known of the parts so far."""
        return self._builder.finish()

    def add(self, part):
        """Add one part (Visibilities); flagged ones (weight 0) are left out."""
        kept = part.unflagged()
        self._builder.add(kept, len(part) - len(kept))
        self._pointing = kept.pointing_offset
        if self._reference_frequency is None and kept.frequency is not None:
            self._reference_frequency = float(kept.frequency[0])
        for key, which in self.groups_of(kept):
            if key not in self._groups:
                self._groups[key] = _Group(self._transform, self._count)
            arrays = (kept.u, kept.v, kept.vis, kept.weight, kept.frequency)
            self._groups[key].add([a if a is None or which is None else a[which] for a in arrays])

    def add_flagged(self, n_flagged):
        """Count visibilities that are all flagged."""
        self._builder.add_flagged(n_flagged)

    def partial(self):
        """The PartialSums of all parts so far; nothing can be added afterwards."""
        groups = {key: group.sums() for key, group in self._groups.items()}
        sums = self._chi_squared, self._normalization, self._histogram
        return PartialSums(groups, *sums, self._pointing, self._builder.counts())

    def merge(self, partial):
        """Add the PartialSums of a partition that follows on all that was added so far."""
        self._builder.merge(partial.counts)
        if partial.histogram is None:
            return
        self._pointing = partial.pointing
        for key, sums in partial.groups.items():
            if key not in self._groups:
                self._groups[key] = _Group(self._transform, self._count)
            self._groups[key].merge(sums)
        self._add_constants(partial.chi_squared, partial.normalization, partial.histogram)

    def groups_of(self, part):
        """[(key, which)]: key (beam, number of the frequency step), which boolean or None for all."""
        if not isinstance(self._beam, str) or self._beam == "none" or part.primary_beam is None:
            return [((None, 0), None)]
        found = []
        for beam, which in part.primary_beam.groups(part.antenna1, part.antenna2):
            if part.frequency is None:
                found.append(((beam, 0), which))
                continue
            log_frequency = np.log(part.frequency)
            number = np.rint(log_frequency / self._step_of(beam)).astype(np.int64)
            if which is not None:
                number = np.where(which, number, number.min() - 1)
            for step in np.unique(number if which is None else number[which]):
                same = number == step
                found.append(((beam, int(step)), None if same.all() else same))
        return found

    def _step_of(self, beam):
        """Step of ln nu over which A changes by 2 BEAM_TOLERANCE at most."""
        if beam not in self._steps:
            frequency = self._reference_frequency
            x, y = self._mask.x - self._pointing[0], self._mask.y - self._pointing[1]
            change = np.abs(beam.power(x, y, 1.005 * frequency) - beam.power(x, y, 0.995 * frequency)).max() / 0.01
            self._steps[beam] = max(2.0 * BEAM_TOLERANCE / change, 1e-3) if change > BEAM_TOLERANCE else np.inf
        return self._steps[beam]

    def _count(self, u, v, vis, weight):
        """What needs no pixels: sums over a block."""
        self._add_constants(
            CompensatedSum.of(weight * (vis.real**2 + vis.imag**2)),
            CompensatedSum.of(2.0 * np.log(2.0 * np.pi / weight)),
            WeightHistogram.of(np.hypot(u, v), weight),
        )

    def _add_constants(self, chi_squared, normalization, histogram):
        self._chi_squared += chi_squared
        self._normalization += normalization
        self._histogram = histogram if self._histogram is None else self._histogram + histogram

    def _power(self, key, frequency):
        """A of a group at the mask pixels, shape (N,), or None for 1."""
        if isinstance(self._beam, np.ndarray):
            return self._beam
        beam = key[0]
        if beam is None:
            return None
        return beam.power(self._mask.x - self._pointing[0], self._mask.y - self._pointing[1], frequency)

    def finish(self):
        """The Reduction of all parts.

        Raises:
            InputError: there was no part.
        """
        return self.finish_with_powers()[0]

    def finish_with_powers(self):
        """(the Reduction, {group: A at the mask pixels, shape (N,), or None for 1})."""
        observation = self.observation
        terms, dirty, powers = [], 0.0, {}
        for key, group in self._groups.items():
            kernel, image, cells, frequency = group.finish()
            power = powers[key] = self._power(key, frequency)
            terms.append(ToeplitzTerm(kernel, power, cells))
            dirty += image if power is None else image * power
        assert self._histogram is not None
        reduction = Reduction(
            mask=self._mask,
            terms=tuple(terms),
            dirty_image=dirty,
            null_chi_squared=self._chi_squared,
            noise_normalization=self._normalization,
            histogram=self._histogram,
            pixel_window=self._pixel_window,
            observations=(observation,),
            hashes=(_hash(observation, self._mask, [term.primary_beam for term in terms], self._pixel_window),),
        )
        return reduction, powers


class _Transform:
    """From a block of visibilities to their kernel of offsets and their dirty image, in one transform."""

    def __init__(self, mask, pixel_window, options):
        grid, (ny, nx) = mask.grid, mask.grid.shape
        self.mask, self.pixel_window, self.options = mask, pixel_window, options
        # offsets -n .. n - 1 from the pixel at `origin`
        self.offsets = PixelGrid((2 * ny, 2 * nx), grid.pixel_scale, (-0.5 * grid.pixel_scale,) * 2)
        self.origin = grid.x_axis[nx // 2] * ARCSEC, grid.y_axis[ny // 2] * ARCSEC
        self.cell_size = 1.0 / (8.0 * max(grid.shape) * grid.pixel_scale * ARCSEC)

    def images(self, u, v, vis, weight):
        """(kernel, dirty image) of a block, shape (2, 2 ny, 2 nx)."""
        if self.pixel_window:
            step = self.mask.grid.pixel_scale * ARCSEC
            window = np.sinc(u * step) * np.sinc(v * step)
            weight, vis = weight / window**2, vis * window
        phase = np.exp(-2j * np.pi * (u * self.origin[0] + v * self.origin[1]))
        return type1(u, v, np.stack([weight, weight * vis * phase]), self.offsets, **self.options).real


class _Group:
    """Sums over the visibilities that share a primary beam, in blocks of fixed length."""

    def __init__(self, transform, count):
        self._transform, self._count = transform, count
        self._pending, self._n_pending = [], 0
        self._images, self._cells = 0.0, None
        self._weight = self._frequency = 0.0

    def add(self, arrays):
        u, v, vis, weight, frequency = arrays
        if frequency is not None:
            self._weight += float(weight.sum())
            self._frequency += float(weight @ frequency)
        chunk, start = self._transform.options["chunk"], 0
        while start < len(u):
            stop = min(len(u), start + chunk - self._n_pending)
            self._pending.append(tuple(a[start:stop] for a in (u, v, vis, weight)))
            self._n_pending += stop - start
            start = stop
            if self._n_pending == chunk:
                self._flush()

    def _flush(self):
        pending, self._pending, self._n_pending = self._pending, [], 0
        u, v, vis, weight = pending[0] if len(pending) == 1 else map(np.concatenate, zip(*pending))
        self._count(u, v, vis, weight)
        size = self._transform.cell_size if self._cells is None else self._cells.size
        cells = UVCells.of(u, v, vis, weight, size)
        self._cells = cells if self._cells is None else self._cells + cells
        self._images += self._transform.images(u, v, vis, weight)

    def merge(self, sums):
        """Add GroupSums."""
        self._images = self._images + sums.images
        self._cells = sums.cells if self._cells is None else self._cells + sums.cells
        self._weight += sums.weight
        self._frequency += sums.frequency

    def sums(self):
        """The GroupSums so far."""
        if self._pending:
            self._flush()
        assert isinstance(self._images, np.ndarray) and self._cells is not None
        return GroupSums(self._images, self._cells, self._weight, self._frequency)

    def finish(self):
        """(kernel, dirty image at the mask pixels, uv cells, weighted mean frequency or None)."""
        if self._pending:
            self._flush()
        mask, (ny, nx) = self._transform.mask, self._transform.mask.grid.shape
        kernel, dirty = self._images
        slim = dirty[mask.rows + ny - ny // 2, mask.columns + nx - nx // 2]
        frequency = self._frequency / self._weight if self._weight else None
        # the first row and column, offsets -n, are never needed
        return np.ascontiguousarray(kernel[1:, 1:]), slim, self._cells, frequency


def checked_beam(primary_beam, mask):
    """ "auto", "none" or the power pattern on the mask as an array.

    Raises:
        InputError: anything else.
    """
    if isinstance(primary_beam, str):
        if primary_beam not in ("auto", "none"):
            raise InputError(f'primary_beam must be "auto", "none" or an array, got {primary_beam!r}')
        return primary_beam
    beam = np.asarray(primary_beam, dtype=float)
    if beam.shape != (mask.n_pixels,) or not np.all(np.isfinite(beam)):
        raise InputError(f"primary_beam must be {mask.n_pixels} finite numbers, got shape {beam.shape}")
    return beam


def _hash(observation, mask, primary_beams, pixel_window):
    """SHA-256 of everything that a reduction depends on: data, mask, options and this package's version."""
    digest = hashlib.sha256(repr((observation.sha256, mask.grid, pixel_window, __version__)).encode())
    digest.update(np.ascontiguousarray(mask.kept).data)
    for beam in primary_beams:
        if beam is not None:
            digest.update(np.ascontiguousarray(beam).data)
    return digest.hexdigest()
