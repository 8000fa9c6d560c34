"""Products of several operators on their rows of one sparse L, on a CPU (see `joint`)."""

import itertools

import numpy as np

from .products import HostProducts


class JointProducts(HostProducts):
    """Products of the parts on their rows of L.

    Args:
        parts: HostProducts.
        edges: first row of each part, and N.
    """

    def __init__(self, parts, edges):
        self.parts, self.edges = tuple(parts), tuple(edges)

    def curvature(self, lens, keep):
        rows = [lens.rows(a, b) for a, b in itertools.pairwise(self.edges)]
        found = [part.curvature(own, keep) for part, own in zip(self.parts, rows)]
        total = found[0][0]
        for curvature, _ in found[1:]:
            total = total + curvature
        return total, [(own, kept) for own, (_, kept) in zip(rows, found)]

    def pullback(self, lens, kept, matrix):
        if kept is None:
            raise ValueError("pullback of a joint operator needs what its curvature kept")
        return np.concatenate([part.pullback(own, one, matrix) for part, (own, one) in zip(self.parts, kept)])
