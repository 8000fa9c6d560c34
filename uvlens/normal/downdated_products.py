"""Products with W - U^T U on a CPU (see `downdated`)."""

from .factored import FactoredProducts
from .products import HostProducts


class DowndatedProducts(HostProducts):
    """Those of W less those of U^T U.

    Args:
        base: HostProducts of W.
        factor: U, shape (m, N).
    """

    def __init__(self, base, factor):
        self.base, self.own = base, FactoredProducts(factor, None)

    def curvature(self, lens, keep):
        total, kept = self.base.curvature(lens, keep)
        less, answers = self.own.curvature(lens, keep)
        return total - less, (kept, answers)

    def pullback(self, lens, kept, matrix):
        return self.base.pullback(lens, kept[0], matrix) - self.own.pullback(lens, kept[1], matrix)
