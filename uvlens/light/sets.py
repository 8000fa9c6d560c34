"""Light whose amplitudes are solved for: expansions of many columns; and light that is no profile."""

from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..domain import LENGTH, NOT_NEGATIVE, is_number
from ..errors import InputError
from . import radial, shapelets, transforms
from .amplitudes import Linear, as_flux
from .light import AbstractLight
from .profiles import LIGHT_PROFILES


class MGE(AbstractLight):
    """Multi-Gaussian expansion: Gaussians of logarithmically spaced sigma [arcsec], one amplitude each.

    sigma_k = sigma_min (sigma_max / sigma_min)^(k / (n_gaussians - 1)), all of one centre and shape.

    Args:
        n_gaussians: E, a whole number.
        sigma_min, sigma_max: of the first and the last, on the intermediate axis.

    Raises:
        InputError: no Gaussian, sigma_max below sigma_min, a flux that is not linear.
    """

    domains: ClassVar = {"sigma_min": LENGTH, "sigma_max": LENGTH}
    several: ClassVar[bool] = True
    n_gaussians: int = eqx.field(static=True)
    sigma_min: Any
    sigma_max: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = eqx.field(converter=as_flux, default="linear")
    axis_ratio: Any = None
    position_angle: Any = None

    def __check_init__(self):
        n, low, high = self.n_gaussians, self.sigma_min, self.sigma_max
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise InputError(f"MGE: n_gaussians must be a whole number >= 1, got {n}")
        if is_number(low) and is_number(high) and n > 1 and not high > low:
            raise InputError(f"MGE: sigma_max must be larger than sigma_min, got {high} and {low}")
        _only_linear(self)

    @property
    def n_columns(self):
        return self.n_gaussians

    @property
    def sigmas(self):
        """Of every Gaussian, shape (E,) [arcsec]."""
        step = jnp.arange(self.n_gaussians) / max(self.n_gaussians - 1, 1)
        return self.sigma_min * (self.sigma_max / self.sigma_min) ** step

    def columns(self, x, y):
        return radial.gaussian(self.squared_radius(x, y)[..., None], self.sigmas)

    def transform(self, squared):
        return transforms.gaussian(squared[..., None], self.sigmas)


class Shapelets(AbstractLight):
    """Cartesian shapelets about a centre, one amplitude each, of either sign (see `shapelets` for their order).

    An amplitude is the coefficient of an orthonormal function [Jy/arcsec]: I = sum_e a_e B_e, sum a_e^2 = int I^2.

    Args:
        n_max: highest order n + m, a whole number >= 0: E = (n_max + 1) (n_max + 2) / 2.
        beta: their scale, the standard deviation of the first function, a Gaussian [arcsec].
    """

    domains: ClassVar = {"beta": LENGTH}
    several: ClassVar[bool] = True
    either_sign: ClassVar[bool] = True
    n_max: int = eqx.field(static=True)
    beta: Any
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = eqx.field(converter=as_flux, default="linear")

    def __check_init__(self):
        n = self.n_max
        if isinstance(n, bool) or not isinstance(n, int) or n < 0:
            raise InputError(f"Shapelets: n_max must be a whole number >= 0, got {n}")
        _only_linear(self)

    @property
    def n_columns(self):
        return (self.n_max + 1) * (self.n_max + 2) // 2

    @property
    def integrals(self):
        return self.beta * jnp.asarray(shapelets.integrals(self.n_max))

    def columns(self, x, y):
        return shapelets.basis(x - self.center_x, y - self.center_y, self.beta, self.n_max)


class PointSource(AbstractLight):
    """All of the flux at one position [arcsec], for the plane of the image (see `columns`)."""

    domains: ClassVar = {"flux": NOT_NEGATIVE}
    n_columns: ClassVar[int] = 1
    center_x: Any = 0.0
    center_y: Any = 0.0
    flux: Any = eqx.field(converter=as_flux, default="linear")

    def columns(self, x, y):
        raise InputError("PointSource: a point has no brightness, only an image")

    def transform(self, squared):
        return jnp.ones_like(squared)[..., None]


class Background(AbstractLight):
    """The same brightness everywhere, either sign: the sky of an image. Its amplitude is per arcsec^2, not a flux."""

    n_columns: ClassVar[int] = 1
    either_sign: ClassVar[bool] = True
    flux: Any = eqx.field(converter=as_flux, default="linear")

    def columns(self, x, y):
        return jnp.ones_like(x)[..., None]


def _only_linear(component):
    if not isinstance(component.flux, Linear):
        name = type(component).__name__
        raise InputError(f'{name}: its fluxes are solved for, flux must be "linear", got {component.flux!r}')


LINEAR_PROFILES = {
    **LIGHT_PROFILES,
    "MGE": MGE,
    "Shapelets": Shapelets,
    "PointSource": PointSource,
    "Background": Background,
}
"""Names in the light of a model."""
