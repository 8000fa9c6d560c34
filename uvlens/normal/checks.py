"""What is refused before sums are trusted: another sky, the same data twice, a mask that the antennas cannot see."""

import numpy as np

from ..conventions import ARCSEC
from ..errors import InputError
from ..wcs import sky_offset

_SAME_CENTER = 0.001
"""arcsec."""


def check_same_sky(observations):
    """Refuse observations of different skies: other phase centres, or the same visibilities twice."""
    first = next((one for one in observations if one.phase_center is not None), None)
    for i, one in enumerate(observations):
        if first is not None and one.phase_center is not None:
            distance = np.hypot(*sky_offset(*one.phase_center, first.phase_center))
            if not distance < _SAME_CENTER:
                raise InputError(f'{one.name}: its phase centre lies {distance:.3g}" from that of {first.name}')
        if any(one.unweighted_sha256 == other.unweighted_sha256 for other in observations[:i]):
            raise InputError(f"{one.name}: the same visibilities stand twice in the list of data")


def check_window(part, mask):
    """Refuse a pixel window where the response of a pixel nears its zero: pixels coarser than 3/4 wavelength."""
    worst = float(max(np.abs(part.u).max(), np.abs(part.v).max())) * mask.grid.pixel_scale * ARCSEC
    if worst > 0.75:
        raise InputError(
            f'{part.name}: pixel_window needs finer pixels: {mask.grid.pixel_scale:.3g}" is {worst:.2f} fringes of the '
            f"longest baseline, at most 0.75"
        )


def check_field(name, fwhm, shortest, mask, pointing=(0.0, 0.0), is_alone=True):
    """Refuse a mask that the antennas cannot see.

    The field is where the primary beam is above 1 %. Where none is known, it is taken as 5 / u_min (five times the
    beam of dishes that touch on the shortest baseline), enough to catch a wrong unit or sign.

    Args:
        name: of the data.
        fwhm: of the primary beam [arcsec], or None.
        shortest: u_min [wavelengths].
        mask: Mask.
        pointing: (x, y) of the pointing centre [arcsec].
        is_alone: whether all of the mask has to be seen; one of several pointings has to see a part of it.
    """
    distance = np.hypot(mask.x - pointing[0], mask.y - pointing[1])
    if fwhm is not None:
        limit = fwhm * np.sqrt(np.log(100.0) / (4.0 * np.log(2.0)))
        what = f'its primary beam (FWHM {fwhm:.1f}") falls below 1 %'
        outside = (distance.max() if is_alone else distance.min()) > limit
    else:
        limit = 5.0 / (shortest * ARCSEC) if np.isfinite(shortest) else np.inf
        what = "five times 1/u_min"
        outside = distance.min() > limit
    if outside:
        raise InputError(
            f'{name}: the mask lies outside the field: it reaches {distance.max():.1f}" from the pointing centre, '
            f'{what} at {limit:.1f}"; check image_plane center and mask radius'
        )
