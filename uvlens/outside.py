"""Emission that a mask leaves out: what is still there once the best sky inside the mask is taken away.

A dirty image has sidelobes of everything. The sky that explains the dirty image on the pixels of the mask is found
first (`emission.sky_on_pixels`) and subtracted with its sidelobes; what stands out of the rest is not from inside.
"""

import warnings

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_edt

from .conventions import ARCSEC
from .data.stream import VisibilityStream
from .data.visibilities import Visibilities
from .emission import dirty_sums, sky_on_pixels, survey_grid
from .errors import UVLensWarning
from .positions import refined

MOST_VISIBILITIES = 4_000_000
"""Of a data set that are looked at."""

_BEAM_WIDTHS = 1.5
"""Width of the field that is searched, in FWHM of the primary beam (A > 0.2)."""

_MOST_SOURCES = 3


def emission_outside(data, mask, threshold=5.0):
    """Peaks of the dirty image above a threshold that come from outside a mask.

    Args:
        data: Visibilities.
        mask: Mask.
        threshold: in units of the noise, that of the weights or that of the image where that is larger; in a field of
            many beams one sigma more than the highest of that many draws of noise, (2 ln n)^1/2 + 1.

    Returns:
        List of at most three `positions.Peak`, the brightest first.
    """
    data = data.unflagged()
    x0, y0 = center = data.pointing_offset
    reach = 2.0 * float(np.hypot(mask.x - x0, mask.y - y0).max()) + 4.0 * mask.grid.pixel_scale
    if data.primary_beam_fwhm is not None:
        width = max(_BEAM_WIDTHS * data.primary_beam_fwhm, reach)
    else:
        width = max(1.5 * reach, 1.2 / (max(float(data.uv_distance.min()), 1.0) * ARCSEC))
        width = min(width, 6.0 * reach)
    part, grid = survey_grid(data, width, center)
    sums, kept = dirty_sums(part, grid), pixels_of(mask, grid)
    if not kept.any():
        return []
    found = []
    n_beams = sums.grid.pixel_area * np.count_nonzero(~kept) / sums.beam().area
    threshold = max(threshold, np.sqrt(2.0 * np.log(max(n_beams, 2.0))) + 1.0)
    while len(found) < _MOST_SOURCES:
        rest = rest_outside(sums, kept)
        row, column = np.unravel_index(np.argmax(rest), rest.shape)
        if rest[row, column] <= threshold:
            break
        inner = (min(max(row, 1), rest.shape[0] - 2), min(max(column, 1), rest.shape[1] - 2))
        found.append(refined(rest, grid, 1.0, *inner))
        x, y = grid.coordinates()
        kept = kept | (np.hypot(x - found[-1].x, y - found[-1].y) <= max(sums.beam().major, 2.0 * grid.pixel_scale))
    return found


def rest_outside(sums, kept):
    """Signal to noise that is left outside some pixels; -inf on them and within a beam of them.

    Args:
        sums: DirtySums.
        kept: boolean, shape `grid.shape`.
    """
    rest = sums.signal_to_noise(sky_on_pixels(sums, kept))
    near = distance_transform_edt(~kept) * sums.grid.pixel_scale <= max(sums.beam().major, 1.5 * sums.grid.pixel_scale)
    if near.all():
        return np.full(rest.shape, -np.inf)
    far = rest[~near]
    noise = max(1.0, 1.4826 * float(np.median(np.abs(far - np.median(far)))))
    return np.where(near, -np.inf, rest / noise)


def pixels_of(mask, grid):
    """The pixels of another grid that a mask touches, and their neighbours; boolean, shape `grid.shape`."""
    kept = np.zeros(grid.shape, dtype=bool)
    rows = np.rint((mask.y - grid.y_axis[0]) / grid.pixel_scale).astype(int)
    columns = np.rint((mask.x - grid.x_axis[0]) / grid.pixel_scale).astype(int)
    inside = (rows >= 0) & (rows < grid.shape[0]) & (columns >= 0) & (columns < grid.shape[1])
    kept[rows[inside], columns[inside]] = True
    reach = int(np.ceil(0.5 * mask.grid.pixel_scale / grid.pixel_scale))
    return binary_dilation(kept, np.ones((3, 3)), iterations=reach)


def emission_radius(sums, cleaned, threshold=5.0):
    """Radius about (0, 0) [arcsec] that leaves nothing above a threshold outside, or None where there is nothing.

    Candidates are the clumps of a CLEANed image from the inside out, a beam added; the first one that is enough
    counts, so that a sidelobe that CLEAN took for a source does not.

    Args:
        sums: DirtySums.
        cleaned: CleanImage of them.
        threshold: in units of the noise.
    """
    level = max(threshold * cleaned.noise, 0.01 * cleaned.image.max())
    bright = (cleaned.image > level) & binary_dilation(cleaned.components > 0.0)
    if not bright.any():
        return None
    x, y = cleaned.grid.coordinates()
    distance = np.hypot(x, y)
    radii, beam = np.sort(distance[bright]), cleaned.beam.major
    ends = radii[np.append(np.diff(radii) > beam, True)]
    for radius in ends[:6] + beam:
        kept = distance <= radius
        if kept.any() and rest_outside(sums, kept).max() <= threshold:
            return float(radius)
    return float(ends[-1] + beam)


def warn_of_emission_outside(data_sets, mask):
    """A UVLensWarning for each raw data set (Visibilities, repeatable VisibilityStream) that a mask does not cover."""
    for data in data_sets:
        if isinstance(data, VisibilityStream) and data.is_repeatable:
            data = data.head(MOST_VISIBILITIES)
        if not isinstance(data, Visibilities):
            continue
        found = emission_outside(data, mask)
        if found:
            listed = ", ".join(f"[{one.x:.2f}, {one.y:.2f}] (S/N {one.snr:.1f})" for one in found)
            warnings.warn(
                f"{data.name}: emission outside the mask at {listed} arcsec East, North: a larger mask, a patch there, "
                f"or `subtract:` of the data takes it into account",
                UVLensWarning,
                stacklevel=3,
            )
