"""Components of dark-matter halos: thin pytrees over the pure functions (see docs/mass_halos.md)."""

from typing import Any, ClassVar

from ..domain import CORE, LENGTH, NOT_NEGATIVE, Domain
from ..errors import InputError
from . import elliptical_nfw, gnfw, hernquist, nfw, truncated_nfw
from .mass import AbstractMass
from .subhalo import SubhaloNFW

_SCALED: dict[str, Domain] = {"R_s": LENGTH, "alpha_R_s": CORE, "kappa_s": NOT_NEGATIVE}


class NFW(AbstractMass):
    """Round NFW halo (see `nfw`).

    Args:
        R_s: scale radius [arcsec].
        alpha_R_s: deflection at R_s [arcsec], or
        kappa_s: rho_s R_s in units of the critical surface density; alpha_R_s = 4 kappa_s R_s (1 - ln 2).
        center_x, center_y: arcsec East, North.
    """

    profile = nfw
    domains: ClassVar = _SCALED
    R_s: Any
    alpha_R_s: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    kappa_s: Any = None

    def __check_init__(self):
        _one_normalisation(self)

    def parameters(self):
        return self.R_s, _nfw_kappa_s(self), self.center_x, self.center_y


class EllipticalNFW(AbstractMass):
    """NFW halo with elliptical convergence (see `elliptical_nfw`).

    Args:
        R_s: scale radius on the intermediate axis [arcsec].
        alpha_R_s: deflection at R_s of the round halo of the same kappa_s [arcsec], or
        kappa_s: as for NFW.
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = elliptical_nfw
    domains: ClassVar = _SCALED
    R_s: Any
    alpha_R_s: Any = None
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    kappa_s: Any = None
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _one_normalisation(self)

    def parameters(self):
        return self.R_s, _nfw_kappa_s(self), *self.ellipticity, self.center_x, self.center_y


class TruncatedNFW(AbstractMass):
    """Round NFW halo cut off by tau^2 / (tau^2 + t^2) (see `truncated_nfw`).

    Args:
        R_s: scale radius [arcsec].
        alpha_R_s: deflection at R_s of the halo before truncation [arcsec], or
        truncation_radius: tau R_s [arcsec].
        center_x, center_y: arcsec.
        kappa_s: as for NFW, in the place of alpha_R_s.
    """

    profile = truncated_nfw
    domains: ClassVar = {**_SCALED, "truncation_radius": LENGTH}
    R_s: Any
    alpha_R_s: Any = None
    truncation_radius: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    kappa_s: Any = None

    def __check_init__(self):
        _one_normalisation(self)
        if self.truncation_radius is None:
            raise InputError("TruncatedNFW: give truncation_radius in arcsec")

    def parameters(self):
        return self.R_s, _nfw_kappa_s(self), self.truncation_radius, self.center_x, self.center_y


class GNFW(AbstractMass):
    """NFW halo with a free inner slope, round unless an ellipticity is given (see `gnfw`).

    Args:
        R_s: scale radius on the intermediate axis [arcsec].
        alpha_R_s: deflection at R_s of the round halo of the same kappa_s [arcsec], or
        kappa_s: rho_s R_s in units of the critical surface density.
        slope_inner: -d ln rho / d ln r at the centre, 0 to 2.5; 1 is NFW.
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = gnfw
    domains: ClassVar = {**_SCALED, "slope_inner": Domain(0.0, 2.5, includes_low=True, includes_high=True)}
    R_s: Any
    alpha_R_s: Any = None
    slope_inner: Any = 1.0
    center_x: Any = 0.0
    center_y: Any = 0.0
    kappa_s: Any = None
    e1: Any = None
    e2: Any = None
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _one_normalisation(self)

    def parameters(self):
        kappa_s = self.kappa_s
        if kappa_s is None:
            kappa_s = gnfw.kappa_s(self.R_s, self.alpha_R_s, self.slope_inner)
        return self.R_s, kappa_s, self.slope_inner, *self.ellipticity, self.center_x, self.center_y


class Hernquist(AbstractMass):
    """Hernquist profile, round unless an ellipticity is given (see `hernquist`).

    Args:
        R_s: scale radius on the intermediate axis [arcsec]; half of the mass lies within 1.8153 R_s in projection.
        kappa_s: rho_s R_s in units of the critical surface density.
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = hernquist
    domains: ClassVar = {"R_s": LENGTH, "kappa_s": NOT_NEGATIVE}
    R_s: Any
    kappa_s: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def parameters(self):
        return self.R_s, self.kappa_s, *self.ellipticity, self.center_x, self.center_y


def _one_normalisation(component):
    if (component.alpha_R_s is None) == (component.kappa_s is None):
        raise InputError(f"{type(component).__name__}: give alpha_R_s [arcsec] or kappa_s, one of them")


def _nfw_kappa_s(component):
    if component.kappa_s is not None:
        return component.kappa_s
    return component.alpha_R_s / (nfw.ALPHA_AT_R_S * component.R_s)


HALO_PROFILES = {
    "NFW": NFW,
    "EllipticalNFW": EllipticalNFW,
    "TruncatedNFW": TruncatedNFW,
    "GNFW": GNFW,
    "Hernquist": Hernquist,
    "SubhaloNFW": SubhaloNFW,
}
"""Names in a model file."""
