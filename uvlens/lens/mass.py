"""What a mass component is: a thin pytree over the pure functions of its profile."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..domain import Component


class AbstractMass(Component):
    """A deflector: the functions of one profile module at this component's parameters.

    Attributes:
        profile: module with `deflection`, `convergence` and `potential` of (x, y, *parameters).
    """

    profile: eqx.AbstractClassVar[Any]

    @abc.abstractmethod
    def parameters(self):
        """Arguments of the profile's functions after x and y, in their order."""

    def deflection(self, x, y):
        """(alpha_x, alpha_y) [arcsec] at positions (x, y) [arcsec]."""
        return self.profile.deflection(x, y, *self.parameters())

    def convergence(self, x, y):
        """kappa = (psi_xx + psi_yy) / 2."""
        return self.profile.convergence(x, y, *self.parameters())

    def potential(self, x, y):
        """psi, grad psi = alpha [arcsec^2]."""
        return self.profile.potential(x, y, *self.parameters())

    def hessian(self, x, y):
        """(psi_xx, psi_xy, psi_yy) by forward differentiation of the deflection."""
        x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float))
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        _, (f_xx, f_xy) = jax.jvp(self.deflection, (x, y), (one, zero))
        _, (_, f_yy) = jax.jvp(self.deflection, (x, y), (zero, one))
        return f_xx, f_xy, f_yy
