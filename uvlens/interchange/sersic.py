"""Sersic profiles of codes whose b_n is a formula, without changing the image.

    I(R) = I_0 exp(-b (R / R_e)^(1/n)),      flux = 2 pi n R_e^2 b^(-2n) Gamma(2n) I_0

uvlens takes the exact b_n, P(2n, b_n) = 1/2. With another b the same image has another radius,

    R' = R_e (b / b_n)^n,      I(R') = I_0 exp(-b)

which these functions give: brightness and flux agree to rounding, the radius as that code states it does not hold half
of the light exactly (0.4 % off at n = 1, 1.5 % at n = 0.5 in lenstronomy).
"""

import numpy as np
from scipy.special import gamma, gammaincinv


def exact(n):
    """b_n of P(2n, b_n) = 1/2."""
    return float(gammaincinv(2.0 * n, 0.5))


def lenstronomy(n):
    """1.9992 n - 0.3271: lenstronomy, JAXtronomy, herculens."""
    return max(1.9992 * n - 0.3271, 1e-5)


def ciotti_bertin(n):
    """The expansion of Ciotti & Bertin (1999), eq. 18: PyAutoLens and visilens."""
    return (
        2.0 * n
        - 1.0 / 3.0
        + 4.0 / (405.0 * n)
        + 46.0 / (25515.0 * n**2)
        + 131.0 / (1148175.0 * n**3)
        - 2194697.0 / (30690717750.0 * n**4)
    )


def radius_for(R_sersic, n, b):
    """R' of the half-light radius."""
    return R_sersic * (b / exact(n)) ** n


def half_light_radius(radius, n, b):
    """The half-light radius of R'."""
    return radius * (exact(n) / b) ** n


def intensity_for(flux, R_sersic, n, b):
    """I(R') of a total flux [flux / arcsec^2]."""
    return flux * np.exp(-b) * exact(n) ** (2.0 * n) / (2.0 * np.pi * n * R_sersic**2 * gamma(2.0 * n))


def total_flux(intensity, R_sersic, n, b):
    """Total flux of I(R'), given the half-light radius."""
    return intensity * np.exp(b) * 2.0 * np.pi * n * R_sersic**2 * gamma(2.0 * n) / exact(n) ** (2.0 * n)
