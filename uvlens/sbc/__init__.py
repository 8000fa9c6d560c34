"""Simulation-based calibration: do posteriors and evidences mean what they say? (docs/calibration.md)"""

from .mocks import Mocks, Truth
from .refit import Evidence, Refit
from .scores import Scores, calibration_slope, score, uniformity

__all__ = ["Evidence", "Mocks", "Refit", "Scores", "Truth", "calibration_slope", "score", "uniformity"]
