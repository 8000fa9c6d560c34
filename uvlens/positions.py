"""Image positions read off a CLEANed image: a proposal for `positions:` of a model file, to be looked at."""

import dataclasses

import numpy as np
from scipy.ndimage import map_coordinates, maximum_filter

MOST = 6
"""Positions that are proposed at most."""
_FAINTEST = 0.05
"""Of the brightest peak, below which sidelobes that a quick CLEAN leaves are not told from images."""


@dataclasses.dataclass(frozen=True)
class Peak:
    """A local maximum: offsets East, North [arcsec] and signal to noise."""

    x: float
    y: float
    snr: float


def peaks(image, grid, noise, separation, threshold=5.0, prominence=3.0, most=MOST):
    """Local maxima of an image, brightest first.

    A peak counts if it is above `threshold`, lies further than `separation` from every brighter one, and if the image
    between the two falls `prominence` below it.

    Args:
        image: shape `grid.shape`.
        grid: PixelGrid.
        noise: in the unit of the image.
        separation: arcsec.
        threshold, prominence: in units of the noise.
        most: peaks.

    Returns:
        List of Peak; positions by a parabola through the pixel and its neighbours.
    """
    is_top = (image == maximum_filter(image, size=3)) & (image > threshold * noise)
    is_top[[0, -1]] = is_top[:, [0, -1]] = False
    found = []
    for row, column in sorted(zip(*np.nonzero(is_top)), key=lambda index: -image[index]):
        one = refined(image, grid, noise, row, column)
        if all(_is_apart(image, grid, noise, one, other, separation, prominence) for other in found):
            found.append(one)
        if len(found) == most:
            break
    return found


def refined(image, grid, noise, row, column):
    """The Peak of the parabola through a pixel and its neighbours."""
    offset = []
    for line in (image[row, column - 1 : column + 2], image[row - 1 : row + 2, column]):
        curvature = line[0] - 2.0 * line[1] + line[2] if np.all(np.isfinite(line)) else 0.0
        offset.append(0.5 * (line[0] - line[2]) / curvature if curvature < 0.0 else 0.0)
    scale = grid.pixel_scale
    x, y = grid.x_axis[column] + offset[0] * scale, grid.y_axis[row] + offset[1] * scale
    return Peak(float(x), float(y), float(image[row, column] / noise))


def _is_apart(image, grid, noise, one, other, separation, prominence):
    distance = np.hypot(one.x - other.x, one.y - other.y)
    if distance < separation:
        return False
    steps = np.linspace(0.0, 1.0, max(3, int(2.0 * distance / grid.pixel_scale)))
    rows = (one.y + steps * (other.y - one.y) - grid.y_axis[0]) / grid.pixel_scale
    columns = (one.x + steps * (other.x - one.x) - grid.x_axis[0]) / grid.pixel_scale
    between = map_coordinates(image, [rows, columns], order=1).min() / noise
    return between < one.snr - prominence


def propose_positions(cleaned, radius=np.inf):
    """(peaks, threshold) for `positions:`, or None where fewer than two images stand out.

    The threshold is generous on purpose: two beams, 0.2 arcsec at least.

    Args:
        cleaned: CleanImage.
        radius: about (0, 0) beyond which nothing counts [arcsec].
    """
    found = peaks(cleaned.image, cleaned.grid, cleaned.noise, cleaned.beam.major)
    found = [one for one in found if np.hypot(one.x, one.y) <= radius and one.snr >= _FAINTEST * found[0].snr]
    if len(found) < 2:
        return None
    return found, max(0.2, 2.0 * cleaned.beam.major)


def positions_line(found, threshold):
    """The YAML line of a model file."""
    pairs = ", ".join(f"[{one.x:.3f}, {one.y:.3f}]" for one in found)
    return f"positions: {{xy: [{pairs}], threshold: {threshold:.2g}}}"
