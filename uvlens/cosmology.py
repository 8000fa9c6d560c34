"""Distances: astropy's cosmologies as they are, and a flat LambdaCDM whose H0 and Om0 can be parameters of a fit.

    D_C(z1, z2) = c / H0 int dz / sqrt(Om0 (1 + z)^3 + 1 - Om0),    D_A(z1, z2) = D_C(z1, z2) / (1 + z2)

(flat, no radiation, no massive neutrinos: astropy's `FlatLambdaCDM(H0, Om0)`). Angular diameter distances in Mpc.
"""

import abc
import functools
import math
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .conventions import ARCSEC
from .domain import POSITIVE, Component, Domain
from .errors import InputError

DEFAULT = "Planck18"
_LIGHT_KM_S = 299_792.458
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_CRITICAL = 1.6629165401756e18
"""c^2 / (4 pi G) [solar masses per Mpc], from astropy.constants (CODATA 2018, IAU 2015 solar mass)."""
_MPC_IN_LIGHT_DAYS = 1.1912861696104e9
"""One Mpc over c [days]."""


class AbstractCosmology(Component):
    """Distances between redshifts, which are plain numbers."""

    @abc.abstractmethod
    def angular_diameter_distance(self, near, far) -> Any:
        """D_A between redshifts near <= far [Mpc]."""

    def critical_surface_density(self, lens, source):
        """Sigma_cr = c^2 / (4 pi G) D_s / (D_l D_ls) [solar masses / arcsec^2 of the lens plane]."""
        d_l, d_s, d_ls = self._three(lens, source)
        return _CRITICAL * d_s / (d_l * d_ls) * (d_l * ARCSEC) ** 2

    def time_delay_distance(self, lens, source):
        """(1 + z_l) D_l D_s / D_ls [Mpc]."""
        d_l, d_s, d_ls = self._three(lens, source)
        return (1.0 + lens) * d_l * d_s / d_ls

    def kpc_per_arcsec(self, redshift):
        """Transverse scale [kpc / arcsec]."""
        return 1e3 * ARCSEC * self.angular_diameter_distance(0.0, redshift)

    def _three(self, lens, source):
        return (
            self.angular_diameter_distance(0.0, lens),
            self.angular_diameter_distance(0.0, source),
            self.angular_diameter_distance(lens, source),
        )


class FlatLambdaCDM(AbstractCosmology):
    """Flat LambdaCDM without radiation; its parameters are numbers, or priors inside a Model.

    Args:
        H0: km / s / Mpc.
        Om0: matter density today, 0 < Om0 <= 1.
    """

    domains: ClassVar = {"H0": POSITIVE, "Om0": Domain(0.0, 1.0, includes_high=True)}
    H0: Any = 70.0
    Om0: Any = 0.3

    def angular_diameter_distance(self, near, far):
        low, high = jnp.log1p(near), jnp.log1p(far)
        half = 0.5 * (high - low)
        a = jnp.exp(0.5 * (high + low) + half * _NODES)
        integrand = a / jnp.sqrt(self.Om0 * a**3 + (1.0 - self.Om0))
        return _LIGHT_KM_S / self.H0 * half * (integrand @ _WEIGHTS) / (1.0 + far)


class AstropyCosmology(AbstractCosmology):
    """A cosmology of astropy, of any curvature and content.

    D_M(z1, z2) = D_M2 sqrt(1 + Ok D_M1^2 / D_H^2) - D_M1 sqrt(1 + Ok D_M2^2 / D_H^2) (Hogg 1999).

    Args:
        cosmology: a name ("Planck18", "WMAP9", ...) or an astropy Cosmology.

    Raises:
        InputError: a name that astropy does not know.
    """

    known: "_Known" = eqx.field(static=True)

    def __init__(self, cosmology=DEFAULT):
        self.known = _Known(cosmology)

    def angular_diameter_distance(self, near, far):
        cosmology = self.known.cosmology
        first, second = (float(cosmology.comoving_transverse_distance(z).to_value("Mpc")) for z in (near, far))
        curvature = float(cosmology.Ok0) / float(cosmology.hubble_distance.to_value("Mpc")) ** 2
        between = second * math.sqrt(1.0 + curvature * first**2) - first * math.sqrt(1.0 + curvature * second**2)
        return between / (1.0 + far)

    def __str__(self):
        return self.known.name


class _Known:
    """An astropy cosmology that can be hashed, as static fields must be; astropy is imported when it is asked for."""

    def __init__(self, cosmology):
        self.stated = cosmology
        if cosmology != DEFAULT:
            _ = self.cosmology  # refuses what it does not know

    @functools.cached_property
    def cosmology(self):
        import astropy.cosmology

        if isinstance(self.stated, str):
            if self.stated not in astropy.cosmology.available:
                known = ", ".join(astropy.cosmology.available)
                raise InputError(f"cosmology: {self.stated!r} is not one of {known}")
            return getattr(astropy.cosmology, self.stated)
        if not isinstance(self.stated, astropy.cosmology.Cosmology):
            raise InputError(f"cosmology: expected a name or an astropy cosmology, got {self.stated!r}")
        return self.stated

    @property
    def name(self):
        """As in a model file."""
        return self.stated if isinstance(self.stated, str) else str(self.stated.name or self.stated)

    def __eq__(self, other):
        return isinstance(other, _Known) and bool(self.stated == other.stated)

    def __hash__(self):
        return hash(repr(self.stated))


def as_cosmology(value) -> AbstractCosmology:
    """A cosmology from one of ours, a name, an astropy Cosmology, or None for Planck18."""
    if isinstance(value, AbstractCosmology):
        return value
    return AstropyCosmology(DEFAULT if value is None else value)


def as_astropy(cosmology: AbstractCosmology):
    """The astropy cosmology of one of ours whose parameters are numbers."""
    import astropy.cosmology

    if isinstance(cosmology, AstropyCosmology):
        return cosmology.known.cosmology
    assert isinstance(cosmology, FlatLambdaCDM)
    return astropy.cosmology.FlatLambdaCDM(float(cosmology.H0), float(cosmology.Om0))


def distance_in_days(distance):
    """Light travel time of a distance [Mpc] in days."""
    return distance * _MPC_IN_LIGHT_DAYS
