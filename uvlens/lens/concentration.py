"""Masses and concentrations of NFW halos: M200c to scale radius and density.

    r_200 = [3 M / (4 pi 200 rho_crit)]^(1/3),   r_s = r_200 / c
    rho_s = (200/3) rho_crit c^3 / [ln(1 + c) - c / (1 + c)]

    Duffy2008          c = 5.71 (M h / 2e12)^-0.084 (1 + z)^-0.47    (Duffy et al. 2008, Table 1, full sample, z 0-2)
    DuttonMaccio2014   log10 c = a + b log10(M h / 1e12),  b = -0.101 + 0.026 z,
                       a = 0.520 + 0.385 exp(-0.617 z^1.21)              (Dutton & Maccio 2014, eqs. 7, 10, 11, Planck)

M in solar masses, M200c. The scatter about either is 0.11-0.15 dex. The relations were fitted above 1e10 solar masses;
below they are extrapolated.
"""

import jax.numpy as jnp


def duffy_2008(mass, redshift, h):
    """c200 of a halo of M200c = mass [solar masses] in a cosmology of H0 = 100 h km/s/Mpc."""
    return 5.71 * (mass * h / 2e12) ** -0.084 * (1.0 + redshift) ** -0.47


def dutton_maccio_2014(mass, redshift, h):
    """c200, as above."""
    a = 0.520 + (0.905 - 0.520) * jnp.exp(-0.617 * jnp.asarray(redshift) ** 1.21)
    b = -0.101 + 0.026 * redshift
    return 10.0 ** (a + b * jnp.log10(mass * h / 1e12))


RELATIONS = {"Duffy2008": duffy_2008, "DuttonMaccio2014": dutton_maccio_2014}
"""Names of the relations."""


def nfw_scale(mass, concentration, critical_density):
    """(r_s [kpc], rho_s [solar masses / kpc^3]).

    Args:
        mass: M200c [solar masses].
        concentration: r_200 / r_s.
        critical_density: of the universe at the redshift of the halo [solar masses / kpc^3].
    """
    r_200 = (3.0 * mass / (800.0 * jnp.pi * critical_density)) ** (1.0 / 3.0)
    c = concentration
    return r_200 / c, 200.0 / 3.0 * critical_density * c**3 / (jnp.log1p(c) - c / (1.0 + c))
