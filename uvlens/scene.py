"""The lens at one point of parameter space, every ray traced once however many sources and skies ask for it."""

from .lens import Lens


class Scene:
    """What the systems of a model share within one evaluation.

    Args:
        lenses: Lens filled with numbers for each source; they differ in their last factors alone.
        grids: [(x, y)], image-plane positions of rays [arcsec].

    Attributes:
        mapped: a place for mappers by what they depend on.
    """

    def __init__(self, lenses: list[Lens], grids):
        self.lenses, self.grids = lenses, grids
        self.mapped = {}
        self._met = {}

    def trace(self, x, y, source):
        """Positions in the plane of a source of image-plane positions [arcsec], two arrays."""
        return self.lenses[source].ray_trace(x, y)

    def rays(self, number, source):
        """The same for grid `number`, traced once for all sources."""
        return self.lenses[source].to_plane(self._deflections(number), *self.grids[number])

    def to_plane(self, x, y, plane):
        """Positions in lens plane `plane` (its number as stated) of image-plane positions, bent by those in front."""
        lens = self.lenses[0]
        if self.is_first(plane):
            return x, y
        return lens.deflections(x, y)[lens.order.index(plane)][:2]

    def is_first(self, plane):
        """Whether nothing is in front of lens plane `plane` (its number as stated)."""
        return self.lenses[0].order[0] == plane

    def _deflections(self, number):
        if number not in self._met:
            self._met[number] = self.lenses[0].deflections(*self.grids[number])
        return self._met[number]
