"""What a light profile is: images of unit flux at the parameters of a component, and the flux that goes with them."""

import abc
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from ..conventions import ARCSEC
from ..domain import Component
from ..errors import InputError
from .amplitudes import Linear
from .ellipse import squared_frequency, squared_radius


class AbstractLight(Component):
    """Light of known shape: `n_columns` images of unit flux, and the flux of a single one.

    Where a profile is elliptical its shape is e1, e2 or axis_ratio, position_angle, as for mass. Where its transform
    has a closed form it has a method `transform(squared)`: (K, E) of the round profile, for kappa^2 in 1/arcsec^2.

    Attributes:
        flux: total flux [Jy], a prior on it, or "linear" (see `amplitudes.Linear`).
        n_columns: E.
        several: whether it is made of a number of columns that the user chooses.
        either_sign: whether its amplitude may be negative unless stated otherwise.
    """

    flux: eqx.AbstractVar[Any]
    n_columns: eqx.AbstractVar[int]
    several: ClassVar[bool] = False
    either_sign: ClassVar[bool] = False

    @abc.abstractmethod
    def columns(self, x, y) -> Any:
        """Brightness at unit flux [1/arcsec^2], shape (..., E), at positions of any shape [arcsec]."""

    @property
    def integrals(self):
        """Flux of each column at amplitude 1, shape (E,)."""
        return jnp.ones(self.n_columns)

    def brightness(self, x, y):
        """I(x, y) [Jy/arcsec^2]."""
        if isinstance(self.flux, Linear):
            raise InputError(f"{type(self).__name__}: a linear flux has no value before it is solved for")
        return self.flux * self.columns(x, y)[..., 0]

    @property
    def has_visibilities(self):
        """Whether `visibilities` has a closed form."""
        return hasattr(self, "transform")

    def visibilities(self, u, v):
        """V = int I exp(+2 pi i (u x + v y)) at unit flux, exact, without pixels.

        Args:
            u, v: shape (K,) [wavelengths].

        Returns:
            complex, shape (K, E).

        Raises:
            InputError: a profile whose transform has no closed form.
        """
        transform = getattr(self, "transform", None)
        if transform is None:
            raise InputError(f"{type(self).__name__}: its transform has no closed form; put it on pixels instead")
        u, v = jnp.asarray(u, dtype=float) * ARCSEC, jnp.asarray(v, dtype=float) * ARCSEC
        angle = 2.0 * jnp.pi * (u * self.center_x + v * self.center_y)
        values = transform(squared_frequency(u, v, *self.ellipticity))
        return jnp.exp(1j * angle)[:, None] * values

    def squared_radius(self, x, y):
        """R^2 = q X^2 + Y^2 / q [arcsec^2] of an elliptical profile."""
        return squared_radius(x, y, *self.ellipticity, self.center_x, self.center_y)
