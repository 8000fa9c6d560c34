"""From data and mask to a normal operator, the implementation chosen by what each costs."""

import dataclasses
import warnings
from functools import partial

import numpy as np

from ..conventions import ARCSEC
from ..data.visibilities import Visibilities
from ..errors import InputError, UVLensWarning
from .direct import DirectNormalOperator
from .lowrank import LowRankNormalOperator
from .reduction import Reduction, reduce
from .toeplitz import FFTNormalOperator

_OPERATORS = {
    "direct": DirectNormalOperator.from_reduction,
    "direct32": partial(DirectNormalOperator.from_reduction, precision="float32"),
    "fft": FFTNormalOperator.from_reduction,
    "lowrank": LowRankNormalOperator.from_reduction,
}
_SAME_CENTER = 0.001
"""arcsec."""

_LARGEST_DENSE = 12_000
"""Pixels up to which the dense W (8 N^2 bytes: 1.2 GB) is formed to be decomposed."""


def normal_operator(data, mask, method="auto", *, primary_beam="auto", pixel_window=False, **options):
    """Reduce visibilities to the normal operator of a mask: done once, whatever is fitted afterwards.

    Args:
        data: Visibilities, or a list of them that see the same sky (their sums add).
        mask: Mask of N pixels.
        method: "fft", "lowrank" or "auto" (low rank while W fits in memory, FFT beyond).
        primary_beam: "auto" (the Gaussian the data carry, none if they carry none), "none", or an array of
            shape (N,).
        pixel_window: divide out the response of a square pixel (for coarse pixels).
        options: backend, eps, chunk of the transforms (see `uvlens.nufft`).

    Returns:
        A normal operator (see `uvlens.normal.operator`).

    Raises:
        InputError: a mask that lies outside the field of view, or an unknown method.
    """
    data_sets = [data] if isinstance(data, Visibilities) else list(data)
    if not data_sets:
        raise InputError("normal_operator needs at least one data set")
    check_same_sky(data_sets)
    total = None
    for one in data_sets:
        check_field(one if primary_beam == "auto" else dataclasses.replace(one, primary_beam_fwhm=None), mask)
        if pixel_window:
            check_window(one, mask)
        beam = _beam(one, mask, primary_beam)
        reduction = reduce(one, mask, primary_beam=beam, pixel_window=pixel_window, **options)
        total = reduction if total is None else total + reduction
    assert total is not None
    _warn_if_undersampled(total)
    return operator_from_reduction(total, method)


def operator_from_reduction(reduction: Reduction, method="auto"):
    """The operator named `method` (or the cheapest, "auto") on sums already made."""
    if method == "auto":
        method = "lowrank" if reduction.mask.n_pixels <= _LARGEST_DENSE else "fft"
    if method not in _OPERATORS:
        raise InputError(f"method must be auto, {' or '.join(_OPERATORS)}, got {method!r}")
    return _OPERATORS[method](reduction)


def load_normal_operator(path):
    """Read a normal operator that `save` wrote."""
    reduction, header = Reduction.load(path)
    return operator_from_reduction(reduction, header["method"])


def gaussian_primary_beam(x, y, fwhm):
    """Power pattern exp(-4 ln 2 (x^2 + y^2) / fwhm^2) about the phase centre; x, y, fwhm in arcsec."""
    return np.exp(-4.0 * np.log(2.0) * (np.asarray(x) ** 2 + np.asarray(y) ** 2) / fwhm**2)


def check_same_sky(data_sets):
    """Refuse data that do not look at one sky: other phase centres, several fields in a file, the same data twice."""
    first = next((data for data in data_sets if data.phase_center is not None), None)
    for data in data_sets:
        if data.field is not None and len(np.unique(data.field)) > 1:
            fields = ", ".join(map(str, np.unique(data.field)))
            raise InputError(f"{data.name}: has fields {fields}; keep one, data.select(data.field == {data.field[0]})")
        if first is not None and data.phase_center is not None:
            from ..wcs import sky_offset

            distance = np.hypot(*sky_offset(*data.phase_center, first.phase_center))
            if not distance < _SAME_CENTER:
                raise InputError(f'{data.name}: its phase centre lies {distance:.3g}" from that of {first.name}')
    for i, a in enumerate(data_sets):
        for b in data_sets[:i]:
            if len(a) == len(b) and np.array_equal(a.vis, b.vis) and np.array_equal(a.u, b.u):
                raise InputError(f"{a.name}: the same visibilities stand twice in the list of data")


def check_window(data, mask):
    """Refuse a pixel window where the response of a pixel nears its zero: pixels coarser than 3/4 wavelength."""
    worst = float(max(np.abs(data.u).max(), np.abs(data.v).max())) * mask.grid.pixel_scale * ARCSEC
    if worst > 0.75:
        raise InputError(
            f'{data.name}: pixel_window needs finer pixels: {mask.grid.pixel_scale:.3g}" is {worst:.2f} fringes of the '
            f"longest baseline, at most 0.75"
        )


def check_field(data, mask):
    """Refuse a mask that the antennas cannot see.

    The field is where the data's primary beam is above 1 %. Where the data carry none, it is taken as 5 / u_min
    (five times the beam of dishes that touch on the shortest baseline), enough to catch a wrong unit or sign.
    """
    distance = np.hypot(mask.x, mask.y)
    if data.primary_beam_fwhm is not None:
        limit = data.primary_beam_fwhm * np.sqrt(np.log(100.0) / (4.0 * np.log(2.0)))
        what = f'its primary beam (FWHM {data.primary_beam_fwhm:.1f}") falls below 1 %'
        outside = distance.max() > limit
    else:
        positive = data.uv_distance[data.uv_distance > 0.0]
        limit = 5.0 / (positive.min() * ARCSEC) if len(positive) else np.inf
        what = "five times 1/u_min"
        outside = distance.min() > limit
    if outside:
        raise InputError(
            f'{data.name}: the mask lies outside the field: it reaches {distance.max():.1f}" from the phase centre, '
            f'{what} at {limit:.1f}"; check image_plane center and mask radius'
        )


def _beam(data, mask, primary_beam):
    if isinstance(primary_beam, str):
        if primary_beam not in ("auto", "none"):
            raise InputError(f'primary_beam must be "auto", "none" or an array, got {primary_beam!r}')
        if primary_beam == "none" or data.primary_beam_fwhm is None:
            return None
        return gaussian_primary_beam(mask.x, mask.y, data.primary_beam_fwhm)
    beam = np.asarray(primary_beam, dtype=float)
    if beam.shape != (mask.n_pixels,) or not np.all(np.isfinite(beam)):
        raise InputError(f"primary_beam must be {mask.n_pixels} finite numbers, got shape {beam.shape}")
    return beam


def _warn_if_undersampled(reduction):
    nyquist = 1.0 / (2.0 * reduction.mask.grid.pixel_scale * ARCSEC)
    longest = reduction.histogram.quantile(0.995)
    if nyquist < longest:
        warnings.warn(
            f'pixels of {reduction.mask.grid.pixel_scale:.4g}" undersample the longest baselines '
            f"(Nyquist / u_99.5 = {nyquist / longest:.2f}); suggested pixel scale "
            f'{reduction.histogram.pixel_scale():.4g}"',
            UVLensWarning,
            stacklevel=3,
        )
