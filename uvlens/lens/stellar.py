"""Components of stellar mass, and mass that follows light."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..domain import LENGTH, NOT_NEGATIVE, Domain
from ..errors import InputError
from ..light.amplitudes import Linear
from ..priors import SameAs
from . import gaussian_mass, sersic_mass
from .mass import AbstractMass


class SersicMass(AbstractMass):
    """Sersic profile of mass (see `sersic_mass`).

    Args:
        kappa_eff: convergence at R_sersic; or flux and mass_to_light.
        R_sersic: half-mass radius on the intermediate axis [arcsec].
        n_sersic: index.
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        flux: of the light it follows [Jy].
        mass_to_light: integral of kappa over the flux [arcsec^2 / Jy].
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = sersic_mass
    domains: ClassVar = {
        "kappa_eff": NOT_NEGATIVE,
        "R_sersic": LENGTH,
        "n_sersic": Domain(sersic_mass.N_LOW, sersic_mass.N_HIGH, includes_low=True, includes_high=True),
        "flux": NOT_NEGATIVE,
        "mass_to_light": NOT_NEGATIVE,
    }
    kappa_eff: Any = None
    R_sersic: Any = None
    n_sersic: Any = 4.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = None
    mass_to_light: Any = None
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _one_normalisation(self, "kappa_eff")
        if self.R_sersic is None:
            raise InputError("SersicMass: give R_sersic in arcsec")

    def parameters(self):
        kappa_eff = self.kappa_eff
        if kappa_eff is None:
            kappa_eff = sersic_mass.kappa_eff(self.mass_to_light * self.flux, self.R_sersic, self.n_sersic)
        return kappa_eff, self.R_sersic, self.n_sersic, *self.ellipticity, self.center_x, self.center_y


class GaussianMass(AbstractMass):
    """Gaussian convergence (see `gaussian_mass`).

    Args:
        amplitude: integral of kappa [arcsec^2]; or flux and mass_to_light.
        sigma: width on the intermediate axis [arcsec].
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        flux, mass_to_light: as for SersicMass.
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = gaussian_mass
    domains: ClassVar = {"sigma": LENGTH, "flux": NOT_NEGATIVE, "mass_to_light": NOT_NEGATIVE}
    amplitude: Any = None
    sigma: Any = None
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = None
    mass_to_light: Any = None
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        _one_normalisation(self, "amplitude")
        if self.sigma is None:
            raise InputError("GaussianMass: give sigma in arcsec")

    def parameters(self):
        amplitude = self.mass_to_light * self.flux if self.amplitude is None else self.amplitude
        return amplitude, self.sigma, *self.ellipticity, self.center_x, self.center_y


class MGEMass(AbstractMass):
    """Multi-Gaussian expansion of mass: Gaussians of one centre and shape (see `gaussian_mass`).

    Args:
        amplitudes: integral of kappa of each [arcsec^2]; with mass_to_light, the flux of each [Jy].
        sigmas: width of each on the intermediate axis [arcsec], as many.
        e1, e2: ellipticity of the convergence.
        center_x, center_y: arcsec.
        mass_to_light: by which the amplitudes are multiplied [arcsec^2 / Jy].
        axis_ratio, position_angle: in the place of e1, e2, as for SIE.
    """

    profile = gaussian_mass
    domains: ClassVar = {"mass_to_light": NOT_NEGATIVE}
    amplitudes: tuple = eqx.field(converter=tuple)
    sigmas: tuple = eqx.field(converter=tuple)
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    mass_to_light: Any = 1.0
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        if not self.sigmas or len(self.sigmas) != len(self.amplitudes):
            raise InputError(f"MGEMass: {len(self.amplitudes)} amplitudes and {len(self.sigmas)} sigmas, give as many")
        for sigma in self.sigmas:
            if isinstance(sigma, int | float) and not LENGTH.holds(sigma):
                raise InputError(f"MGEMass: sigmas must be {LENGTH}, got {sigma}")

    def parameters(self):
        amplitudes = self.mass_to_light * jnp.stack([jnp.asarray(a, dtype=float) for a in self.amplitudes])
        sigmas = jnp.stack([jnp.asarray(s, dtype=float) for s in self.sigmas])
        return amplitudes, sigmas, *self.ellipticity, self.center_x, self.center_y


_SHAPES = ("e1", "e2", "center_x", "center_y", "axis_ratio", "position_angle")
_FOLLOWERS = {"Sersic": (SersicMass, ("R_sersic", "n_sersic")), "Gaussian": (GaussianMass, ("sigma",))}
_FIXED_INDEX = {"Exponential": 1.0, "DeVaucouleurs": 4.0}


def mass_following(light, path, mass_to_light):
    """The mass component whose shape is that of a light component, and whose mass is mass_to_light x flux.

    Args:
        light: Sersic, Exponential, DeVaucouleurs or Gaussian light whose flux is a number or a prior.
        path: of that component in the model ("lens.light.0"); its numbers and priors are followed through it.
        mass_to_light: integral of kappa over the flux [arcsec^2 / Jy], a number or a prior.

    Raises:
        InputError: light whose flux is solved for after the rays are traced, or of another kind.
    """
    name = type(light).__name__
    if isinstance(light.flux, Linear):
        raise InputError(f"mass_following: the flux of {path} is linear, known only after the lens; give it a prior")
    if name in _FIXED_INDEX:
        fields = {"R_sersic": SameAs(f"{path}.R_sersic"), "n_sersic": _FIXED_INDEX[name]}
        mass = SersicMass
    elif name in _FOLLOWERS:
        mass, lengths = _FOLLOWERS[name]
        fields = {field: SameAs(f"{path}.{field}") for field in lengths}
    else:
        raise InputError(f"mass_following: no mass follows {name} light")
    shape = {field: SameAs(f"{path}.{field}") for field in _SHAPES if getattr(light, field, None) is not None}
    return mass(**fields, **shape, flux=SameAs(f"{path}.flux"), mass_to_light=mass_to_light)


STELLAR_PROFILES = {"SersicMass": SersicMass, "GaussianMass": GaussianMass, "MGEMass": MGEMass}
"""Names in a model file."""


def _one_normalisation(component, field):
    given = [name for name in (field, "flux", "mass_to_light") if getattr(component, name) is not None]
    if given not in ([field], ["flux", "mass_to_light"]):
        raise InputError(
            f"{type(component).__name__}: give {field}, or flux and mass_to_light; got {', '.join(given) or 'none'}"
        )
