"""Linear inversion of a pixelised source: system, positive solver, evidence with its gradient, strength."""

from .banded import bands_from_matrix, join_bands, matrix_from_bands
from .channels import ChannelInversions, invert_channels
from .evidence import System, log_evidence_minus_null, solve_system
from .fixed import FixedImage, take_out
from .invert import Inversion, invert, run_inversion
from .positive import Solution, solve_positive, solve_unconstrained
from .spectral import spectral_evidence_minus_null
from .strength import best_coefficient, strength_spectrum

__all__ = [
    "ChannelInversions",
    "FixedImage",
    "Inversion",
    "Solution",
    "System",
    "bands_from_matrix",
    "best_coefficient",
    "invert",
    "invert_channels",
    "join_bands",
    "log_evidence_minus_null",
    "matrix_from_bands",
    "run_inversion",
    "solve_positive",
    "solve_system",
    "solve_unconstrained",
    "spectral_evidence_minus_null",
    "strength_spectrum",
    "take_out",
]
