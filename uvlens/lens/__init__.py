"""Mass profiles as pure functions, components over them, and the plane they lie in."""

from .components import EPL, MASS_PROFILES, SIE, AbstractMass, Shear
from .critical import caustics, critical_curves, effective_einstein_radius
from .plane import LensPlane

__all__ = [
    "EPL",
    "MASS_PROFILES",
    "SIE",
    "AbstractMass",
    "LensPlane",
    "Shear",
    "caustics",
    "critical_curves",
    "effective_einstein_radius",
]
