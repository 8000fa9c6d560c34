"""The lens at one point of parameter space, every ray traced once however many sources and skies ask for it."""

from .lens import LensPlane


class Scene:
    """What the systems of a model share within one evaluation.

    Args:
        lens: LensPlane filled with numbers.
        grids: [(x, y)], image-plane positions of rays [arcsec].

    Attributes:
        mapped: a place for mappers by what they depend on.
    """

    def __init__(self, lens: LensPlane, grids):
        self.lens, self.grids = lens, grids
        self.mapped = {}
        self._traced = {}

    def trace(self, x, y, scale=1.0):
        """beta = theta - scale alpha(theta) of positions [arcsec], two arrays."""
        return _scaled(x, y, *self.lens.ray_trace(x, y), scale)

    def rays(self, number, scale=1.0):
        """The same for grid `number`, traced once for all scales."""
        if number not in self._traced:
            self._traced[number] = self.lens.ray_trace(*self.grids[number])
        return _scaled(*self.grids[number], *self._traced[number], scale)


def _scaled(x, y, beta_x, beta_y, scale):
    if isinstance(scale, int | float) and scale == 1.0:
        return beta_x, beta_y
    return x + scale * (beta_x - x), y + scale * (beta_y - y)
