"""Mass profiles as pure functions, components over them, the planes they lie in, and what a lens does to light."""

from .components import DPIE, EPL, MASS_PROFILES, NIE, SIE, SIS, CoredEPL, PointMass
from .critical import caustics, critical_curves, effective_einstein_radius, find_critical_curves
from .deflection_map import DeflectionMap
from .external import ConvergenceSheet, EllipticalMultipole, ExternalPotential, Multipole, Shear
from .halos import GNFW, HALO_PROFILES, NFW, EllipticalNFW, Hernquist, SubhaloNFW, TruncatedNFW
from .images import ImageSearch, image_positions
from .jaxtronomy import JAXTRONOMY_PROFILES, JAXtronomyMass
from .lens import Lens
from .maps import disc_magnification, lens_maps, magnification
from .mass import AbstractMass
from .plane import LensPlane
from .radial import (
    convergence_profile,
    einstein_mass,
    einstein_radius_by_mass,
    enclosed_mass,
    local_slope,
    mean_convergence,
    radial_deflection,
)
from .solve import refine_images
from .stellar import STELLAR_PROFILES, GaussianMass, MGEMass, SersicMass, mass_following
from .timedelay import arrival_time, fermat_potential

MASS_PROFILES = {
    **MASS_PROFILES,
    **HALO_PROFILES,
    **STELLAR_PROFILES,
    **JAXTRONOMY_PROFILES,
    "DeflectionMap": DeflectionMap,
}
"""Every mass component by its name in a model file."""

__all__ = [
    "DPIE",
    "EPL",
    "GNFW",
    "MASS_PROFILES",
    "NFW",
    "NIE",
    "SIE",
    "SIS",
    "AbstractMass",
    "ConvergenceSheet",
    "CoredEPL",
    "DeflectionMap",
    "EllipticalMultipole",
    "EllipticalNFW",
    "ExternalPotential",
    "GaussianMass",
    "Hernquist",
    "ImageSearch",
    "JAXtronomyMass",
    "Lens",
    "LensPlane",
    "MGEMass",
    "Multipole",
    "PointMass",
    "SersicMass",
    "Shear",
    "SubhaloNFW",
    "TruncatedNFW",
    "arrival_time",
    "caustics",
    "convergence_profile",
    "critical_curves",
    "disc_magnification",
    "effective_einstein_radius",
    "einstein_mass",
    "einstein_radius_by_mass",
    "enclosed_mass",
    "fermat_potential",
    "find_critical_curves",
    "image_positions",
    "lens_maps",
    "local_slope",
    "magnification",
    "mass_following",
    "mean_convergence",
    "radial_deflection",
    "refine_images",
]
