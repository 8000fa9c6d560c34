"""Components of what lies around or perturbs a lens: shear, sheets, flexion and multipoles."""

import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..conventions import shear_from_polar
from ..domain import LENGTH, check_pairs, is_number, or_zero
from ..errors import InputError
from . import elliptical_multipole, flexion, multipole, shear, sheet
from .mass import AbstractMass


class Shear(AbstractMass):
    """External shear about (center_x, center_y) (see `shear`).

    Args:
        gamma1, gamma2: components; images are stretched along PA = 90 deg - atan2(gamma2, gamma1) / 2.
        center_x, center_y: where its deflection vanishes [arcsec].
        strength, position_angle: in the place of gamma1, gamma2; PA of the stretch, East of North [deg].
    """

    profile = shear
    gamma1: Any = None
    gamma2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    strength: Any = None
    position_angle: Any = None

    def __check_init__(self):
        check_pairs(self, ("gamma1", "gamma2"), ("strength", "position_angle"))

    @property
    def components(self):
        """(gamma1, gamma2), however they were stated."""
        if self.strength is not None:
            return shear_from_polar(self.strength, self.position_angle)
        return or_zero(self.gamma1), or_zero(self.gamma2)

    def parameters(self):
        return *self.components, self.center_x, self.center_y


class ConvergenceSheet(AbstractMass):
    """Constant convergence (see `sheet`).

    Args:
        kappa: of either sign.
        center_x, center_y: where its deflection vanishes [arcsec].
    """

    profile = sheet
    kappa: Any
    center_x: Any = 0.0
    center_y: Any = 0.0

    def parameters(self):
        return self.kappa, self.center_x, self.center_y


class ExternalPotential(AbstractMass):
    """Third-order external potential (see `flexion`); shear and sheet are its second order.

    Args:
        F1, F2: first flexion, the gradient of the convergence, (psi_xxx + psi_xyy, psi_xxy + psi_yyy) / 2 [1/arcsec].
        G1, G2: second flexion, (psi_xxx - 3 psi_xyy, 3 psi_xxy - psi_yyy) / 2 [1/arcsec].
        center_x, center_y: where deflection, convergence and shear of it vanish [arcsec].
    """

    profile = flexion
    F1: Any = 0.0
    F2: Any = 0.0
    G1: Any = 0.0
    G2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    def parameters(self):
        return self.F1, self.F2, self.G1, self.G2, self.center_x, self.center_y


def _whole(value):
    """`order` as an int; anything but a whole number >= 1, priors too, is refused."""
    if not is_number(value) or not math.isfinite(value) or value != int(value) or value < 1:
        raise InputError(f"order must be a whole number >= 1, got {value}")
    return int(value)


class Multipole(AbstractMass):
    """Circular multipole kappa = amplitude cos(order (phi - angle)) / (2 r) (see `multipole`).

    Args:
        order: m >= 1, a fixed number.
        amplitude: a_m [arcsec], displacement of the isodensity contours of an isothermal lens; either sign.
        angle: of a maximum of the convergence, from East towards North (90 - PA) [deg].
        theta_E: scale of the logarithm of order 1 [arcsec].
        center_x, center_y: arcsec.
        cosine, sine: amplitude times cos and sin of (order angle), in the place of amplitude and angle [arcsec]; they
            are regular where the amplitude vanishes, so better in a fit.
    """

    profile = multipole
    domains: ClassVar = {"theta_E": LENGTH}
    order: int = eqx.field(static=True, converter=_whole)
    amplitude: Any = None
    angle: Any = None
    theta_E: Any = 1.0
    center_x: Any = 0.0
    center_y: Any = 0.0
    cosine: Any = None
    sine: Any = None

    def __check_init__(self):
        _check_wave(self)

    @property
    def components(self):
        """(cosine, sine), however they were stated."""
        return _components(self)

    def parameters(self):
        return self.order, *self.components, self.theta_E, self.center_x, self.center_y


class EllipticalMultipole(AbstractMass):
    """Elliptical multipole kappa = amplitude cos(order (phi_E - angle)) / (2 R) (see `elliptical_multipole`).

    Args:
        order, amplitude, cosine, sine: as for Multipole.
        angle: of a maximum of the convergence in the elliptical angle on the sky, from East towards North [deg]: at the
            major axis, 90 deg minus its PA, order 4 is discy.
        theta_E: scale of the logarithm of odd orders [arcsec].
        e1, e2: ellipticity, usually that of the lens (`same_as`).
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = elliptical_multipole
    domains: ClassVar = {"theta_E": LENGTH}
    order: int = eqx.field(static=True, converter=_whole)
    amplitude: Any = None
    angle: Any = None
    theta_E: Any = 1.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    cosine: Any = None
    sine: Any = None
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _check_wave(self)

    @property
    def components(self):
        """(cosine, sine), however they were stated."""
        return _components(self)

    def parameters(self):
        return self.order, *self.components, self.theta_E, *self.ellipticity, self.center_x, self.center_y


def _check_wave(component):
    fields = ("amplitude", "angle", "cosine", "sine")
    given = tuple(field for field in fields if getattr(component, field) is not None)
    if given not in (fields[:2], fields[2:]):
        name = type(component).__name__
        raise InputError(f"{name}: give amplitude and angle, or cosine and sine; got {', '.join(given) or 'none'}")


def _components(component):
    if component.cosine is not None:
        return component.cosine, component.sine
    turn = component.order * jnp.deg2rad(component.angle)
    return component.amplitude * jnp.cos(turn), component.amplitude * jnp.sin(turn)
