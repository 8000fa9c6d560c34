"""Models in the conventions of other codes: lenstronomy, PyAutoLens, visilens, and the COOLEST standard.

Every converter takes and gives components with numbers for parameters, on the sky of this package: x to the East, y to
the North. What a format cannot say is refused by name.
"""

from .coolest import Coolest, read_coolest, write_coolest
from .coolest_grids import IrregularPixels, RegularPixels
from .lenstronomy import Light, from_lenstronomy, to_lenstronomy
from .pyautolens import from_pyautolens, to_pyautolens
from .visilens import from_visilens, to_visilens

__all__ = [
    "Coolest",
    "IrregularPixels",
    "Light",
    "RegularPixels",
    "from_lenstronomy",
    "from_pyautolens",
    "from_visilens",
    "read_coolest",
    "to_lenstronomy",
    "to_pyautolens",
    "to_visilens",
    "write_coolest",
]
