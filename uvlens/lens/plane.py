"""A lens plane: the deflectors at one redshift, and the lens equation beta = theta - sum of alpha(theta)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import InputError
from .mass import AbstractMass


class LensPlane(eqx.Module):
    """Mass components at one redshift.

    Args:
        mass: the components; their deflections add, scaled to the source.
        redshift: of the plane; None where there is one plane and nothing asks for distances.
        light: light profiles in the plane, bent by planes in front of it alone.
        light_skies: names of the skies that see each profile, () for all of them.
    """

    mass: tuple[AbstractMass, ...] = eqx.field(converter=tuple)
    redshift: Any = None
    light: tuple = eqx.field(converter=tuple, default=())
    light_skies: tuple = eqx.field(static=True, default=())

    def __check_init__(self):
        if self.light_skies and len(self.light_skies) != len(self.light):
            raise InputError(f"{len(self.light)} light profiles, {len(self.light_skies)} lists of skies that see them")

    def deflection(self, x, y):
        """(alpha_x, alpha_y) [arcsec] of all its components at positions in it."""
        alpha_x, alpha_y = jnp.zeros_like(x), jnp.zeros_like(y)
        for component in self.mass:
            by_x, by_y = component.deflection(x, y)
            alpha_x, alpha_y = alpha_x + by_x, alpha_y + by_y
        return alpha_x, alpha_y

    def convergence(self, x, y):
        """kappa of all its components."""
        return sum((component.convergence(x, y) for component in self.mass), jnp.zeros_like(x))

    def potential(self, x, y):
        """psi of all its components [arcsec^2]."""
        return sum((component.potential(x, y) for component in self.mass), jnp.zeros_like(x))

    def ray_trace(self, x, y):
        """Source-plane position (beta_x, beta_y) [arcsec] of image-plane positions (x, y)."""
        alpha_x, alpha_y = self.deflection(x, y)
        return x - alpha_x, y - alpha_y

    def inverse_magnification(self, x, y):
        """det d beta / d theta, shape of x: positive, negative at saddle points, 0 on critical curves."""
        x, y = jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float)
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        _, (xx, yx) = jax.jvp(self.ray_trace, (x, y), (one, zero))
        _, (xy, yy) = jax.jvp(self.ray_trace, (x, y), (zero, one))
        return xx * yy - xy * yx
