"""Light profiles, and light as columns of the linear system."""

from .amplitudes import AmplitudePrior, Linear, amplitude_prior, column_names
from .columns import column_entries, light_columns
from .light import AbstractLight
from .profiles import (
    LIGHT_PROFILES,
    CoreSersic,
    DeVaucouleurs,
    Exponential,
    Gaussian,
    Moffat,
    Ring,
    Sersic,
    UniformDisc,
)
from .sets import LINEAR_PROFILES, MGE, Background, PointSource, Shapelets

__all__ = [
    "LIGHT_PROFILES",
    "LINEAR_PROFILES",
    "MGE",
    "AbstractLight",
    "AmplitudePrior",
    "Background",
    "CoreSersic",
    "DeVaucouleurs",
    "Exponential",
    "Gaussian",
    "Linear",
    "Moffat",
    "PointSource",
    "Ring",
    "Sersic",
    "Shapelets",
    "UniformDisc",
    "amplitude_prior",
    "column_entries",
    "column_names",
    "light_columns",
]
