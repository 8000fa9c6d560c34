"""A subhalo by its mass: M200c and concentration to a truncated NFW lens."""

import dataclasses
import math
from typing import Any, ClassVar

import equinox as eqx

from ..conventions import ARCSEC
from ..domain import LENGTH, NOT_NEGATIVE, POSITIVE, Domain
from ..errors import InputError
from . import truncated_nfw
from .concentration import RELATIONS, nfw_scale
from .mass import AbstractMass


class SubhaloNFW(AbstractMass):
    """Truncated NFW halo of M200c = 10^log10_mass, before truncation (see `truncated_nfw`, `concentration`).

    `SubhaloNFW.at(redshift, source_redshift, cosmology, ...)` fills in what depends on the cosmology.

    Args:
        log10_mass: log10 of M200c in solar masses.
        critical_surface_density: for the halo's redshift and the source's [solar masses / arcsec^2].
        arcsec_per_kpc: at the halo's redshift.
        critical_density: of the universe at the halo's redshift [solar masses / kpc^3]. Where these three are left out,
            a Model fills them in from the redshift of the plane, that of the reference and its cosmology (parameters
            of which are taken at the medians of their priors).
        center_x, center_y: arcsec.
        concentration: c200; None: from `relation`, which needs redshift and h.
        log10_concentration_offset: dex by which log10 c lies above the relation; its scatter is 0.11-0.15.
        tau: truncation radius in scale radii.
        redshift: of the halo.
        h: H0 / (100 km/s/Mpc).
        relation: "DuttonMaccio2014" or "Duffy2008".

    Raises:
        InputError: neither a concentration nor what the relation needs; an unknown relation.
    """

    profile = truncated_nfw
    domains: ClassVar = {
        "log10_mass": Domain(-math.inf, 18.0),
        "critical_surface_density": POSITIVE,
        "arcsec_per_kpc": LENGTH,
        "critical_density": POSITIVE,
        "concentration": POSITIVE,
        "tau": POSITIVE,
        "redshift": NOT_NEGATIVE,
        "h": POSITIVE,
    }
    log10_mass: Any
    critical_surface_density: Any = None
    arcsec_per_kpc: Any = None
    critical_density: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    concentration: Any = None
    log10_concentration_offset: Any = 0.0
    tau: Any = 20.0
    redshift: Any = None
    h: Any = None
    relation: str = eqx.field(static=True, default="DuttonMaccio2014")

    def __check_init__(self):
        if not isinstance(self.relation, str) or self.relation not in RELATIONS:
            raise InputError(f"SubhaloNFW: relation must be {' or '.join(RELATIONS)}, got {self.relation!r}")
        if self.is_placed and self.concentration is None and (self.redshift is None or self.h is None):
            raise InputError("SubhaloNFW: give concentration, or redshift and h for the mass-concentration relation")

    @property
    def is_placed(self):
        """Whether what depends on the cosmology is known."""
        return None not in (self.critical_surface_density, self.arcsec_per_kpc, self.critical_density)

    def placed(self, redshift, source_redshift, cosmology):
        """The same halo with what depends on the cosmology filled in (an astropy one, redshifts as for `at`)."""
        if self.is_placed:
            return self
        if redshift is None or source_redshift is None:
            raise InputError("SubhaloNFW: give the redshifts of the lens and of the source, or its units")
        own = SubhaloNFW.at(redshift, source_redshift, cosmology, 10.0, relation=self.relation)
        if self.redshift is not None and self.redshift != redshift:
            raise InputError(
                f"SubhaloNFW: redshift {self.redshift} in a plane at {redshift}: give it a plane of its own"
            )
        names = ("critical_surface_density", "arcsec_per_kpc", "critical_density", "redshift", "h")
        return dataclasses.replace(self, **{n: getattr(own, n) for n in names if getattr(self, n) is None})

    @classmethod
    def at(cls, redshift, source_redshift, cosmology, log10_mass, **fields):
        """The halo at a redshift before a source, in an astropy cosmology.

        Sigma_cr = c^2 D_s / (4 pi G D_l D_ls), angular-diameter distances.

        Raises:
            InputError: a source that is not behind the halo.
        """
        if not 0.0 < redshift < source_redshift:
            raise InputError(
                f"SubhaloNFW: redshift must lie between 0 and the source's {source_redshift}, got {redshift}"
            )
        from astropy import constants, units

        d_l = cosmology.angular_diameter_distance(redshift)
        d_s = cosmology.angular_diameter_distance(source_redshift)
        d_ls = _between(cosmology, redshift, source_redshift)
        sigma = constants.c**2 * d_s / (4.0 * math.pi * constants.G * d_l * d_ls)
        kpc = ARCSEC * float(d_l.to_value(units.kpc))
        return cls(
            log10_mass,
            critical_surface_density=float(sigma.to_value(units.Msun / units.kpc**2)) * kpc**2,
            arcsec_per_kpc=1.0 / kpc,
            critical_density=float(cosmology.critical_density(redshift).to_value(units.Msun / units.kpc**3)),
            redshift=float(redshift),
            h=float(cosmology.H0.to_value(units.km / units.s / units.Mpc)) / 100.0,
            **fields,
        )

    @property
    def scale(self):
        """(R_s [arcsec], kappa_s)."""
        if not self.is_placed:
            raise InputError("SubhaloNFW: its units are not known before a Model places it; see SubhaloNFW.at")
        mass = 10.0**self.log10_mass
        concentration = self.concentration
        if concentration is None:
            concentration = RELATIONS[self.relation](mass, self.redshift, self.h)
        concentration = concentration * 10.0**self.log10_concentration_offset
        r_s, rho_s = nfw_scale(mass, concentration, self.critical_density)
        sigma = self.critical_surface_density * self.arcsec_per_kpc**2
        return r_s * self.arcsec_per_kpc, rho_s * r_s / sigma

    def parameters(self):
        R_s, kappa_s = self.scale
        return R_s, kappa_s, self.tau * R_s, self.center_x, self.center_y


def _between(cosmology, redshift, source_redshift):
    """D_ls; before astropy 8 the function of two redshifts had a name of its own."""
    try:
        return cosmology.angular_diameter_distance(redshift, source_redshift)
    except TypeError:
        return cosmology.angular_diameter_distance_z1z2(redshift, source_redshift)
