"""All images of a point source.

1. The box is cut into triangles (see `tiling`); those whose images in the source plane cover the source each hold an
   image, as far as the deflection is linear in them.
2. Pairs that are close to merging may be missed by straight triangles: every critical point whose caustic passes
   close to the source gives two positions more, theta_c +- s n + w, n the null vector of A, from the expansion of the
   fold, beta - beta_c = s^2/2 d^2 beta / dn^2 + A w. The same for images next to a centre where the deflection jumps
   (see `starts`).
3. Newton's method takes all of them to rounding; what does not solve the equation is dropped, and what is found twice
   counts once.

The centre of a singular profile is not an image: there beta(theta) is not continuous, or has no derivative.
"""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .contour import boundary
from .critical import find_critical_curves, square_tiling
from .solve import newton
from .starts import Centers, Folds, winding
from .tracing import in_blocks, trace_rays

_ROUNDING = 1e-15


class Images(NamedTuple):
    """Images of one point source, the brightest first; arrays of shape (n,).

    Attributes:
        x, y: arcsec.
        magnification: signed, 1 / det A; negative at saddle points.
        residual: |beta(theta) - beta| [arcsec].
        complete: whether the parities, before faint images are left out, add up to the number of times that the box
            without the smallest tiles about centres covers the source, its winding number: if not, an image is
            missing, or lies on the edge of the box. A pair of opposite parities would not be missed.
    """

    x: np.ndarray
    y: np.ndarray
    magnification: np.ndarray
    residual: np.ndarray
    complete: bool

    @property
    def parity(self):
        return np.sign(self.magnification).astype(int)


def image_positions(
    lens, beta_x, beta_y, center=(0.0, 0.0), radius=3.0, *, resolution=None, faintest=1e-8, tolerance=1e-11
) -> Images:
    """All images of a point source inside a box.

    Args:
        lens: Lens, LensPlane, or anything with `ray_trace`; numbers for parameters.
        beta_x, beta_y: the source [arcsec].
        center, radius: middle and half the side of the box of the image plane that is searched [arcsec].
        resolution: size of the tiles along critical curves [arcsec]; None: 1/200 of the box.
        faintest: images of a smaller |magnification| are left out; the centre of a profile with a slope below 2 has
            one as faint as one likes.
        tolerance: largest residual [arcsec].

    For many sources of one lens make an ImageSearch once.
    """
    search = ImageSearch(lens, center, radius, resolution=resolution, faintest=faintest, tolerance=tolerance)
    return search(beta_x, beta_y)


class ImageSearch:
    """The lens equation of one lens, prepared for many sources; arguments as for `image_positions`.

    Attributes:
        tiling: of the box; curves: the critical curves in it.
    """

    def __init__(
        self, lens, center=(0.0, 0.0), radius=3.0, *, resolution=None, faintest=1e-8, tolerance=1e-11, tiling=None
    ):
        self.lens, self.faintest, self.tolerance = lens, faintest, tolerance
        self.tiling = square_tiling(lens, center, radius, resolution) if tiling is None else tiling
        self.curves = find_critical_curves(lens, tiling=self.tiling)
        corners = self.tiling.beta[self.tiling.triangles]
        self._corners = corners
        self._low, self._high = corners.min(axis=1), corners.max(axis=1)
        self._folds = Folds(lens, self.curves) if self.curves else None
        self._centers = Centers(lens, self.tiling)
        self._edge = self.tiling.beta[boundary(self.tiling.triangles)]

    def __call__(self, beta_x, beta_y) -> Images:
        """Images of one source (beta_x, beta_y) [arcsec]."""
        return self.of_many([beta_x], [beta_y])[0]

    def of_many(self, beta_x, beta_y) -> list[Images]:
        """Images of each of many sources, arrays of shape (M,) [arcsec]."""
        sources = np.stack([np.asarray(v, dtype=float) for v in (beta_x, beta_y)], axis=-1)
        if sources.ndim != 2 or not np.isfinite(sources).all():
            raise InputError(f"beta_x, beta_y: expected finite numbers, one source an entry, got shape {sources.shape}")
        starts, expected = zip(*(self._starts(source) for source in sources)) if len(sources) else ((), ())
        counts = [len(s) for s in starts]
        if not sum(counts):
            return [Images(*np.zeros((4, 0)), complete=bool(number == 0)) for number in expected]
        owner = np.repeat(np.arange(len(sources)), counts)
        x, y = np.concatenate(starts).T
        x, y, residual = in_blocks(newton, self.lens, x, y, *sources[owner].T)
        found = self._accepted(x, y, residual, sources[owner])
        return [self._images(*(v[owner == i] for v in found), number) for i, number in enumerate(expected)]

    def _starts(self, source):
        """Positions (n, 2) to start from, and the sum of the parities of the images."""
        tiling = self.tiling
        slack = 1e-9 * (self._high - self._low) + 1e-14
        near = np.flatnonzero(np.all((source >= self._low - slack) & (source <= self._high + slack), axis=1))
        b = self._corners[near]
        weights = np.stack([_cross(b[:, (i + 1) % 3] - source, b[:, (i + 2) % 3] - source) for i in range(3)], axis=1)
        area = weights.sum(axis=1)
        sign = np.where(area < 0.0, -1.0, 1.0)
        covers = np.all(weights * sign[:, None] >= -1e-9 * np.abs(area)[:, None], axis=1)
        nodes = tiling.triangles[near[covers]]
        share = weights[covers] / np.where(area[covers] == 0.0, 1.0, area[covers])[:, None]
        share = np.where(area[covers, None] == 0.0, 1.0 / 3.0, np.clip(share, 0.0, 1.0))
        inside = np.stack([np.sum(share * tiling.x[nodes], axis=1), np.sum(share * tiling.y[nodes], axis=1)], axis=1)
        pairs = self._folds.starts(source) if self._folds is not None else np.zeros((0, 2))
        number = winding(self._edge, source) - self._centers.winding(source)
        return np.concatenate([inside, pairs, self._centers.starts(source)]), number

    def _accepted(self, x, y, residual, sources):
        """(x, y, magnification, residual, error of position, in a smallest tile, valid) of what Newton found."""
        rays = trace_rays(self.lens, x, y)
        det = rays.determinant
        scale = np.hypot(x, y) + np.hypot(*sources.T) + 1e-3
        size = np.sqrt(rays.xx**2 + rays.xy**2 + rays.yx**2 + rays.yy**2)
        error = (residual + _ROUNDING * scale) * size / np.maximum(np.abs(det), 1e-200)
        valid = (residual <= self.tolerance) & self.tiling.holds(x, y)
        valid &= self._regular(x, y, rays, size)
        return x, y, 1.0 / np.where(det == 0.0, 1e-200, det), residual, error, valid

    def _regular(self, x, y, rays, size):
        """Whether derivatives say what beta is a little to each side: not so at the centres of singular profiles."""
        good = np.ones(x.shape, bool)
        step = 1e-9
        for i, j in ((1.0, 0.3), (-0.3, 1.0), (-1.0, -0.3)):
            moved = trace_rays(self.lens, x + step * i, y + step * j)
            off = np.hypot(
                moved.beta_x - rays.beta_x - step * (rays.xx * i + rays.xy * j),
                moved.beta_y - rays.beta_y - step * (rays.yx * i + rays.yy * j),
            )
            good &= off <= 0.5 * step * (1.0 + size)
        return good

    def _images(self, x, y, magnification, residual, error, valid, number):
        order = np.argsort(residual, kind="stable")
        kept = []
        for i in order[valid[order]]:
            if not any(np.hypot(x[i] - x[k], y[i] - y[k]) <= 1e-10 + 10.0 * (error[i] + error[k]) for k in kept):
                kept.append(i)
        kept = np.array(sorted(kept, key=lambda i: -abs(magnification[i])), dtype=int)
        outside = ~self._centers.hold(x[kept], y[kept])
        complete = int(np.sign(magnification[kept][outside]).sum()) == number
        kept = kept[np.abs(magnification[kept]) >= self.faintest]
        return Images(x[kept], y[kept], magnification[kept], residual[kept], complete=complete)


def _cross(a, b):
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
