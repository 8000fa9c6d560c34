"""Light profiles by total flux, for the sky of a simulation.

With the elliptical radius R = sqrt(q X^2 + Y^2 / q), X along the major axis (so that q does not change the flux):

    Gaussian   I = flux / (2 pi sigma^2) exp(-R^2 / (2 sigma^2))
    Sersic     I = flux / (2 pi n R_e^2 b^(-2n) Gamma(2n)) exp(-b (R / R_e)^(1/n)),   P(2n, b) = 1/2

where P is the regularised incomplete gamma function: R_e holds half of the flux exactly.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import scipy.special

from ..errors import InputError


class AbstractLight(eqx.Module):
    """A brightness distribution [Jy/arcsec^2] of known total flux [Jy]."""

    flux: eqx.AbstractVar[Any]

    def __check_init__(self):
        if isinstance(self.flux, int | float) and self.flux < 0.0:
            raise InputError(f"{type(self).__name__}: flux must not be negative, got {self.flux}")


class Gaussian(AbstractLight):
    """Elliptical Gaussian; sigma on the intermediate axis [arcsec]."""

    flux: Any
    sigma: Any
    e1: Any = 0.0
    e2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    def brightness(self, x, y):
        """I(x, y) [Jy/arcsec^2]."""
        r = elliptical_radius(x, y, self.e1, self.e2, self.center_x, self.center_y)
        return self.flux / (2.0 * jnp.pi * self.sigma**2) * jnp.exp(-0.5 * (r / self.sigma) ** 2)


class Sersic(AbstractLight):
    """Elliptical Sersic profile; R_sersic, the half-light radius, on the intermediate axis [arcsec]; n_sersic fixed."""

    flux: Any
    R_sersic: Any
    n_sersic: Any = 1.0
    e1: Any = 0.0
    e2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    def brightness(self, x, y):
        """I(x, y) [Jy/arcsec^2]."""
        n = float(self.n_sersic)
        b = float(scipy.special.gammaincinv(2.0 * n, 0.5))
        norm = 2.0 * jnp.pi * n * self.R_sersic**2 * b ** (-2.0 * n) * float(scipy.special.gamma(2.0 * n))
        r = elliptical_radius(x, y, self.e1, self.e2, self.center_x, self.center_y)
        return self.flux / norm * jnp.exp(-b * (r / self.R_sersic) ** (1.0 / n))


def elliptical_radius(x, y, e1, e2, center_x, center_y):
    """R = sqrt(q X^2 + Y^2 / q) = |z - e conj(z)| / sqrt(1 - |e|^2), with z = x + i y from the centre."""
    dx, dy = x - center_x, y - center_y
    real, imaginary = dx - (e1 * dx + e2 * dy), dy - (e2 * dx - e1 * dy)
    return jnp.sqrt((real**2 + imaginary**2) / (1.0 - e1**2 - e2**2) + 1e-30)


LIGHT_PROFILES = {"Gaussian": Gaussian, "Sersic": Sersic}
"""Names in a simulation file."""
