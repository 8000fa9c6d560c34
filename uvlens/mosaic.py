"""One picture of several pointings: every pointing's dirty image seen through its primary beam, added up.

With D_p(x) = sum_k w_k Re[V_k exp(-2 pi i u_k.x)] and the sum of weights W_p of pointing p, A_p its primary beam about
the point where the antennas looked:

    S(x) = sum_p A_p(x)^2 W_p                       weight of the mosaic; noise of the flat sky S^-1/2
    flat sky    I(x) = sum_p A_p(x) D_p(x) / S(x)                          the sky [Jy/beam], noise grows outwards
    flat noise  F(x) = I(x) P(x),  P = (S / max S)^1/2                     what tclean's gridder "mosaic" shows

P is the mosaic's own primary beam. Channels more than 0.2 % apart in frequency have their own A_p.
"""

import dataclasses

import numpy as np

from .errors import InputError
from .grid import PixelGrid
from .imageweights import image_weights
from .nufft import type1

_STEP = 2e-3
"""Of ln nu, over which one primary beam serves."""

_SAME_CENTER = 1e-3
"""arcsec."""


@dataclasses.dataclass(frozen=True, eq=False)
class MosaicImage:
    """A mosaic.

    Args:
        image: flat noise, shape `grid.shape` [Jy/beam]; 0 where no pointing sees anything.
        primary_beam: P, shape `grid.shape`, 1 at its best.
        noise: of `image`, the same everywhere, (max S)^-1/2 for natural weights [Jy/beam].
        grid: PixelGrid.
    """

    image: np.ndarray
    primary_beam: np.ndarray
    noise: float
    grid: PixelGrid

    def flat_sky(self, lowest=0.2):
        """I, NaN where P is below `lowest` [Jy/beam]."""
        seen = self.primary_beam >= lowest
        return np.where(seen, self.image / np.where(seen, self.primary_beam, 1.0), np.nan)


def mosaic_image(data_sets, grid, weighting="natural", robust=0.5, taper=None):
    """MosaicImage of several pointings.

    Args:
        data_sets: list of Visibilities of one phase centre (see `shift_phase_center`), each with a primary beam and
            its own `pointing_center`.
        grid: PixelGrid about that phase centre.
        weighting, robust, taper: of `image_weights`, the weights of all pointings together in a cell.

    Raises:
        InputError: phase centres that differ, or a data set without a primary beam.
    """
    data_sets = [one.unflagged() for one in data_sets]
    _check(data_sets)
    u, v, statistical = (np.concatenate([getattr(one, key) for one in data_sets]) for key in ("u", "v", "weight"))
    weights = image_weights(u, v, statistical, grid, weighting, robust, taper)
    x, y = grid.coordinates()
    seen, total, variance = np.zeros(grid.shape), np.zeros(grid.shape), np.zeros(grid.shape)
    for one, weight in zip(data_sets, np.split(weights, np.cumsum([len(one) for one in data_sets])[:-1])):
        x0, y0 = one.pointing_offset
        for beam, which, frequency in _groups(one):
            power = beam.power(x - x0, y - y0, frequency)
            w, statistical = weight[which], one.weight[which]
            seen += power * type1(one.u[which], one.v[which], w * one.vis[which], grid).real
            total += power**2 * float(w.sum())
            variance += power**2 * float(np.sum(w**2 / statistical))
    best = np.unravel_index(np.argmax(total), total.shape)
    beam = np.sqrt(total / total[best])
    flat_noise = seen / np.where(beam > 1e-3, beam, np.inf) / total[best]
    return MosaicImage(flat_noise, beam, float(variance[best] ** 0.5 / total[best]), grid)


def _groups(data):
    """[(primary beam, which, frequency)] of the visibilities that share one."""
    found = []
    for beam, which in data.primary_beam.groups(data.antenna1, data.antenna2):
        which = np.ones(len(data), dtype=bool) if which is None else which
        if data.frequency is None:
            found.append((beam, which, None))
            continue
        step = np.rint(np.log(data.frequency) / _STEP)
        for number in np.unique(step[which]):
            same = which & (step == number)
            found.append((beam, same, float(np.average(data.frequency[same], weights=data.weight[same]))))
    return found


def _check(data_sets):
    if not data_sets:
        raise InputError("a mosaic needs at least one data set")
    first = data_sets[0]
    for one in data_sets:
        if one.primary_beam is None:
            raise InputError(f"{one.name}: a mosaic needs the primary beam of every pointing")
        if (one.phase_center is None) != (first.phase_center is None):
            raise InputError(f"{one.name}: its phase centre is not known; a mosaic needs one that all share")
        if one.phase_center is not None and first.phase_center is not None:
            from .wcs import sky_offset

            distance = np.hypot(*sky_offset(*one.phase_center, first.phase_center))
            if not distance < _SAME_CENTER:
                raise InputError(f'{one.name}: its phase centre lies {distance:.3g}" from the first; shift it there')
