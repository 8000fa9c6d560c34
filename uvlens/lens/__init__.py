"""Mass profiles as pure functions, components over them, and the plane they lie in."""

from .components import EPL, MASS_PROFILES, SIE, AbstractMass, Shear
from .plane import LensPlane

__all__ = ["EPL", "MASS_PROFILES", "SIE", "AbstractMass", "LensPlane", "Shear"]
