"""Light profiles, and light as columns of the linear system."""

from .amplitudes import AmplitudePrior, Linear, amplitude_prior, column_names
from .columns import column_entries, light_columns
from .profiles import (
    LIGHT_PROFILES,
    LINEAR_PROFILES,
    MGE,
    AbstractLight,
    Background,
    Gaussian,
    PointSource,
    Sersic,
)

__all__ = [
    "LIGHT_PROFILES",
    "LINEAR_PROFILES",
    "MGE",
    "AbstractLight",
    "AmplitudePrior",
    "Background",
    "Gaussian",
    "Linear",
    "PointSource",
    "Sersic",
    "amplitude_prior",
    "column_entries",
    "column_names",
    "light_columns",
]
