"""Light profiles by total flux: the sky of a simulation, and the columns of a model's linear light.

With the elliptical radius R = sqrt(q X^2 + Y^2 / q), X along the major axis (so that q does not change the flux):

    Gaussian   I = flux / (2 pi sigma^2) exp(-R^2 / (2 sigma^2))
    Sersic     I = flux / (2 pi n R_e^2 b^(-2n) Gamma(2n)) exp(-b (R / R_e)^(1/n)),   P(2n, b) = 1/2
    MGE        n Gaussians of one centre and shape, sigma_k = sigma_min (sigma_max / sigma_min)^(k / (n - 1))

where P is the regularised incomplete gamma function: R_e holds half of the flux exactly.
"""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import scipy.special

from ..errors import InputError
from .amplitudes import Linear, as_flux

_LENGTHS = ("sigma", "R_sersic", "sigma_min", "sigma_max")


class AbstractLight(eqx.Module):
    """Light of known shape: `n_columns` images of unit flux, and the flux of a single one.

    Attributes:
        flux: total flux [Jy], a prior on it, or "linear" (see `amplitudes.Linear`).
        several: whether it is made of a number of columns that the user chooses.
        either_sign: whether its amplitude may be negative unless stated otherwise.
    """

    flux: eqx.AbstractVar[Any]
    several: ClassVar[bool] = False
    either_sign: ClassVar[bool] = False

    def __check_init__(self):
        name = type(self).__name__
        if isinstance(self.flux, int | float) and self.flux < 0.0:
            raise InputError(f"{name}: flux must not be negative, got {self.flux}")
        for field in _LENGTHS:
            length = getattr(self, field, None)
            if isinstance(length, int | float) and not length > 0.0:
                raise InputError(f"{name}: {field} must be a positive number of arcsec, got {length}")

    @property
    @abc.abstractmethod
    def n_columns(self) -> int:
        """E."""

    @abc.abstractmethod
    def columns(self, x, y) -> Any:
        """Brightness at unit flux [1/arcsec^2], shape (..., E), at positions of any shape [arcsec]."""

    def brightness(self, x, y):
        """I(x, y) [Jy/arcsec^2]."""
        if isinstance(self.flux, Linear):
            raise InputError(f"{type(self).__name__}: a linear flux has no value before it is solved for")
        return self.flux * self.columns(x, y)[..., 0]


class Gaussian(AbstractLight):
    """Elliptical Gaussian; sigma on the intermediate axis [arcsec]."""

    flux: Any = eqx.field(converter=as_flux)
    sigma: Any
    e1: Any = 0.0
    e2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    @property
    def n_columns(self):
        return 1

    def columns(self, x, y):
        r = elliptical_radius(x, y, self.e1, self.e2, self.center_x, self.center_y)
        return gaussians(r, jnp.reshape(self.sigma, 1))


class Sersic(AbstractLight):
    """Elliptical Sersic profile; R_sersic, the half-light radius, on the intermediate axis [arcsec]; n_sersic fixed."""

    flux: Any = eqx.field(converter=as_flux)
    R_sersic: Any
    n_sersic: Any = 1.0
    e1: Any = 0.0
    e2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    @property
    def n_columns(self):
        return 1

    def columns(self, x, y):
        n = float(self.n_sersic)
        b = float(scipy.special.gammaincinv(2.0 * n, 0.5))
        norm = 2.0 * jnp.pi * n * self.R_sersic**2 * b ** (-2.0 * n) * float(scipy.special.gamma(2.0 * n))
        r = elliptical_radius(x, y, self.e1, self.e2, self.center_x, self.center_y)
        return (jnp.exp(-b * (r / self.R_sersic) ** (1.0 / n)) / norm)[..., None]


class MGE(AbstractLight):
    """Multi-Gaussian expansion: Gaussians of logarithmically spaced sigma [arcsec], one amplitude each.

    Args:
        n_gaussians: E, a whole number.
        sigma_min, sigma_max: of the first and the last, on the intermediate axis.

    Raises:
        InputError: no Gaussian, sigma_max below sigma_min, a flux that is not linear.
    """

    n_gaussians: int = eqx.field(static=True)
    sigma_min: Any
    sigma_max: Any
    e1: Any = 0.0
    e2: Any = 0.0
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = eqx.field(converter=as_flux, default="linear")
    several: ClassVar[bool] = True

    def __check_init__(self):
        n, low, high = self.n_gaussians, self.sigma_min, self.sigma_max
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError(f"MGE: n_gaussians must be a whole number >= 1, got {n}")
        if isinstance(low, int | float) and isinstance(high, int | float) and n > 1 and not high > low:
            raise InputError(f"MGE: sigma_max must be larger than sigma_min, got {high} and {low}")
        if not isinstance(self.flux, Linear):
            raise InputError(f'MGE: its fluxes are solved for, flux must be "linear", got {self.flux!r}')

    @property
    def n_columns(self):
        return self.n_gaussians

    @property
    def sigmas(self):
        """Of every Gaussian, shape (E,) [arcsec]."""
        step = jnp.arange(self.n_gaussians) / max(self.n_gaussians - 1, 1)
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** step

    def columns(self, x, y):
        return gaussians(elliptical_radius(x, y, self.e1, self.e2, self.center_x, self.center_y), self.sigmas)


class PointSource(AbstractLight):
    """All of the flux at one position [arcsec], for the plane of the image (see `columns.point_column`)."""

    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = eqx.field(converter=as_flux, default="linear")

    @property
    def n_columns(self):
        return 1

    def columns(self, x, y):
        raise InputError("PointSource: a point has no brightness, only an image")


class Background(AbstractLight):
    """The same brightness everywhere, either sign: the sky of an image. Its amplitude is per arcsec^2, not a flux."""

    flux: Any = eqx.field(converter=as_flux, default="linear")
    either_sign: ClassVar[bool] = True

    @property
    def n_columns(self):
        return 1

    def columns(self, x, y):
        return jnp.ones_like(x)[..., None]


def gaussians(radius, sigmas):
    """exp(-R^2 / (2 sigma^2)) / (2 pi sigma^2), shape (..., E), for R of any shape and sigmas (E,)."""
    return jnp.exp(-0.5 * (radius[..., None] / sigmas) ** 2) / (2.0 * jnp.pi * sigmas**2)


def elliptical_radius(x, y, e1, e2, center_x, center_y):
    """R = sqrt(q X^2 + Y^2 / q) = |z - e conj(z)| / sqrt(1 - |e|^2), with z = x + i y from the centre."""
    dx, dy = x - center_x, y - center_y
    real, imaginary = dx - (e1 * dx + e2 * dy), dy - (e2 * dx - e1 * dy)
    return jnp.sqrt((real**2 + imaginary**2) / (1.0 - e1**2 - e2**2) + 1e-30)


LIGHT_PROFILES = {"Gaussian": Gaussian, "Sersic": Sersic}
"""Names in a simulation file."""

LINEAR_PROFILES = {**LIGHT_PROFILES, "MGE": MGE, "PointSource": PointSource, "Background": Background}
"""Names in the light of a model."""
