"""The problems: data sets, sizes of the source mesh, what is evaluated, and the lens parameters it is evaluated at."""

import dataclasses

REFERENCE = (0.025, -0.033, 0.075, -0.115, 1.603, 0.032, -0.037)
"""bench.py's: centre (y, x), ell_comps (e_y, e_x), einstein_radius, gamma_1, gamma_2."""

JITTER = (0.002, 0.002, 0.003, 0.003, 0.004, 0.002, 0.002)
"""Standard deviations of the timed calls about it, in the same order."""

JITTER_SEED = 1
"""All three are bench.py's, so that both sides see the same parameters."""

DEFAULT_COEFFICIENT = 300.0
"""Of the regularisation, where coeff.json names none."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A data set and the nodes along one side of the source mesh."""

    data: str
    nodes: int

    @property
    def n_source(self):
        """S."""
        return self.nodes**2


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is evaluated: ln E or ln E with its gradient, for a free or a positive source."""

    positive: bool
    gradient: bool


CASES = (Case("sma_190", 20), Case("alma_1e5", 30), Case("alma_1e5", 40))
KINDS = {
    "unconstrained": Kind(positive=False, gradient=False),
    "positive": Kind(positive=True, gradient=False),
    "positive_gradient": Kind(positive=True, gradient=True),
    "unconstrained_gradient": Kind(positive=False, gradient=True),
}
DEFAULT_KINDS = ("unconstrained", "positive", "positive_gradient")
