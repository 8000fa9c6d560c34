"""Linear inversion of a pixelised source: system, positive solver, evidence with its gradient, strength."""

from .evidence import System, log_evidence_minus_null, solve_system
from .invert import Inversion, invert, run_inversion
from .positive import Solution, solve_positive, solve_unconstrained
from .strength import best_coefficient, strength_spectrum

__all__ = [
    "Inversion",
    "Solution",
    "System",
    "best_coefficient",
    "invert",
    "log_evidence_minus_null",
    "run_inversion",
    "solve_positive",
    "solve_system",
    "solve_unconstrained",
    "strength_spectrum",
]
