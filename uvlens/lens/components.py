"""Mass components: thin pytrees over the pure functions; their fields are numbers, or priors inside a Model."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..conventions import ellipticity_from_axis_ratio, shear_from_polar
from ..errors import InputError
from . import isothermal, power_law, shear


class AbstractMass(eqx.Module):
    """A deflector: the functions of one profile module at this component's parameters.

    Attributes:
        profile: module with `deflection`, `convergence` and `potential` of (x, y, *parameters).
    """

    profile: eqx.AbstractClassVar[Any]

    @abc.abstractmethod
    def parameters(self):
        """Arguments of the profile's functions after x and y, in their order."""

    def deflection(self, x, y):
        """(alpha_x, alpha_y) [arcsec] at positions (x, y) [arcsec]."""
        return self.profile.deflection(x, y, *self.parameters())

    def convergence(self, x, y):
        """kappa = (psi_xx + psi_yy) / 2."""
        return self.profile.convergence(x, y, *self.parameters())

    def potential(self, x, y):
        """psi, grad psi = alpha [arcsec^2]."""
        return self.profile.potential(x, y, *self.parameters())

    def hessian(self, x, y):
        """(psi_xx, psi_xy, psi_yy) by forward differentiation of the deflection."""
        x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float))
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        _, (f_xx, f_xy) = jax.jvp(self.deflection, (x, y), (one, zero))
        _, (_, f_yy) = jax.jvp(self.deflection, (x, y), (zero, one))
        return f_xx, f_xy, f_yy


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
    theta_E: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _check_pairs(self, ("e1", "e2"), ("axis_ratio", "position_angle"))

    def parameters(self):
        return self.theta_E, *self.ellipticity, self.center_x, self.center_y

    @property
    def ellipticity(self):
        """(e1, e2), however they were stated."""
        return _ellipticity(self)


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
    theta_E: Any
    slope: Any = 2.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _check_pairs(self, ("e1", "e2"), ("axis_ratio", "position_angle"))

    def parameters(self):
        return self.theta_E, self.slope, *self.ellipticity, self.center_x, self.center_y

    @property
    def ellipticity(self):
        """(e1, e2), however they were stated."""
        return _ellipticity(self)


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
        _check_pairs(self, ("gamma1", "gamma2"), ("strength", "position_angle"))

    @property
    def components(self):
        """(gamma1, gamma2), however they were stated."""
        if self.strength is not None:
            return shear_from_polar(self.strength, self.position_angle)
        return _or_zero(self.gamma1), _or_zero(self.gamma2)

    def parameters(self):
        return *self.components, self.center_x, self.center_y


def _check_pairs(component, cartesian, polar):
    """Refuse half a pair, or both pairs."""
    name = type(component).__name__
    given = [field for field in (*cartesian, *polar) if getattr(component, field) is not None]
    if any(field in given for field in polar) and set(given) != set(polar):
        raise InputError(f"{name}: give {' and '.join(cartesian)}, or {' and '.join(polar)}; got {', '.join(given)}")


def _or_zero(value):
    return 0.0 if value is None else value


def _ellipticity(component):
    """(e1, e2), however they were stated."""
    if component.axis_ratio is not None:
        return ellipticity_from_axis_ratio(component.axis_ratio, component.position_angle)
    return _or_zero(component.e1), _or_zero(component.e2)


MASS_PROFILES = {"SIE": SIE, "EPL": EPL, "Shear": Shear}
"""Names in a model file."""
