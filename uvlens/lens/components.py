"""Mass components: thin pytrees over the pure functions; their fields are numbers, or priors inside a Model."""

from typing import Any, ClassVar

from ..domain import CORE, LENGTH, Domain
from . import cored_isothermal, cored_power_law, dual_isothermal, isothermal, point_mass, power_law
from .external import ConvergenceSheet, EllipticalMultipole, ExternalPotential, Multipole, Shear
from .mass import AbstractMass

SLOPE = Domain(1.0, 3.0)
"""Slopes of three-dimensional density with a finite deflection and an infinite mass."""


class SIS(AbstractMass):
    """Singular isothermal sphere, kappa = theta_E / (2 r): `isothermal` with e = 0.

    Args:
        theta_E: Einstein radius [arcsec].
        center_x, center_y: arcsec East, North.
    """

    profile = isothermal
    domains: ClassVar = {"theta_E": LENGTH}
    theta_E: Any
    center_x: Any = 0.0
    center_y: Any = 0.0

    def parameters(self):
        return self.theta_E, 0.0, 0.0, self.center_x, self.center_y


class SIE(AbstractMass):
    """Singular isothermal ellipsoid, kappa = theta_E / (2 sqrt(q X^2 + Y^2 / q)) (see `isothermal`).

    Args:
        theta_E: Einstein radius on the intermediate axis [arcsec].
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q), phi from East to North.
        center_x, center_y: arcsec East, North.
        axis_ratio, position_angle: minor over major axis and PA of the major axis, East of North [deg]; together
            they take the place of e1, e2.
    """

    profile = isothermal
    domains: ClassVar = {"theta_E": LENGTH}
    theta_E: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.theta_E, *self.ellipticity, self.center_x, self.center_y


class NIE(AbstractMass):
    """Cored isothermal ellipsoid, kappa = theta_E / (2 sqrt(core_radius^2 + R^2)) (see `cored_isothermal`).

    Args:
        theta_E: Einstein radius without the core, on the intermediate axis [arcsec].
        core_radius: on the intermediate axis [arcsec]; 0 is SIE.
        e1, e2: ellipticity.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = cored_isothermal
    domains: ClassVar = {"theta_E": LENGTH, "core_radius": CORE}
    theta_E: Any
    core_radius: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.theta_E, self.core_radius, *self.ellipticity, self.center_x, self.center_y


class EPL(AbstractMass):
    """Elliptical power law of three-dimensional slope `slope` (2 = isothermal; see `power_law`).

    Args:
        theta_E: Einstein radius on the intermediate axis [arcsec].
        slope: 1 < slope < 3.
        e1, e2: ellipticity.
        center_x, center_y: arcsec East, North.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = power_law
    domains: ClassVar = {"theta_E": LENGTH, "slope": SLOPE}
    theta_E: Any
    slope: Any = 2.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.theta_E, self.slope, *self.ellipticity, self.center_x, self.center_y


class CoredEPL(AbstractMass):
    """Elliptical power law with a core (see `cored_power_law`); takes some 50 times as long as EPL.

    Args:
        theta_E: Einstein radius without the core, on the intermediate axis [arcsec].
        slope: 1 < slope < 3, outside the core.
        core_radius: on the intermediate axis [arcsec]; 0 is EPL.
        e1, e2: ellipticity.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = cored_power_law
    domains: ClassVar = {"theta_E": LENGTH, "slope": SLOPE, "core_radius": CORE}
    theta_E: Any
    slope: Any
    core_radius: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.theta_E, self.slope, self.core_radius, *self.ellipticity, self.center_x, self.center_y


class DPIE(AbstractMass):
    """Dual pseudo-isothermal ellipsoid, an isothermal with core and truncation (see `dual_isothermal`).

    Args:
        b0: Einstein radius of the isothermal that it is without core and truncation [arcsec].
        core_radius: on the intermediate axis [arcsec].
        truncation_radius: on the intermediate axis, where kappa turns from R^-1 to R^-3 [arcsec].
        e1, e2: ellipticity.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = dual_isothermal
    domains: ClassVar = {"b0": LENGTH, "core_radius": CORE, "truncation_radius": LENGTH}
    b0: Any
    core_radius: Any
    truncation_radius: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.b0, self.core_radius, self.truncation_radius, *self.ellipticity, self.center_x, self.center_y


class PointMass(AbstractMass):
    """A point mass (see `point_mass`).

    Args:
        theta_E: Einstein radius [arcsec].
        center_x, center_y: arcsec East, North.
    """

    profile = point_mass
    domains: ClassVar = {"theta_E": LENGTH}
    theta_E: Any
    center_x: Any = 0.0
    center_y: Any = 0.0

    def parameters(self):
        return self.theta_E, self.center_x, self.center_y


MASS_PROFILES = {
    "SIS": SIS,
    "SIE": SIE,
    "NIE": NIE,
    "EPL": EPL,
    "CoredEPL": CoredEPL,
    "DPIE": DPIE,
    "PointMass": PointMass,
    "Shear": Shear,
    "ConvergenceSheet": ConvergenceSheet,
    "ExternalPotential": ExternalPotential,
    "Multipole": Multipole,
    "EllipticalMultipole": EllipticalMultipole,
}
"""Names in a model file."""
