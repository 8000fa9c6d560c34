"""Priors stated by the covariance of the source: Gaussian random fields with a correlation length.

    <s(x) s(x')> = C(|x - x'|) / lambda0,   C(0) = 1,   G = R^-1,   lambda0 = strength sum_k w_k Omega_N^2

    Gaussian     C = exp(-r^2 / 2 l^2)                              P = 2 pi l^2 exp(-k^2 l^2 / 2)
    Matern nu    C = 2^(1-nu) / Gamma(nu) z^nu K_nu(z)              P = 2 pi l^2 (1 + k^2 l^2 / 2 nu)^-(nu + 1)
                 z = sqrt(2 nu) r / l;   nu = 1/2: exp(-z),   3/2: (1 + z) exp(-z),   5/2: (1 + z + z^2/3) exp(-z)

R_ij is C between nodes, of which a fraction `nugget` is white: R = (1 - nugget) C + nugget 1. On scattered nodes and
adaptive lattices R is formed and inverted (dense). On a uniform lattice the prior is stated in the sine waves that
vanish on the ghost nodes, where R is diagonal: see `sine`.
"""

import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from ..errors import InputError
from . import sine
from .lattice import is_uniform
from .logdet import inverse_and_log_det
from .prior import AbstractRegularization, Prior, check_numbers

ORDERS = (0.5, 1.5, 2.5)
"""nu of the Matern covariances."""


def correlation(distance_squared, nu):
    """C, for (r / l)^2 of any shape; nu = inf is the Gaussian."""
    if math.isinf(nu):
        return jnp.exp(-0.5 * distance_squared)
    apart = distance_squared > 0.0
    z = jnp.where(apart, jnp.sqrt(2.0 * nu * jnp.where(apart, distance_squared, 1.0)), 0.0)
    polynomial = {0.5: 1.0, 1.5: 1.0 + z, 2.5: 1.0 + z + z**2 / 3.0}[nu]
    return polynomial * jnp.exp(-z)


def power_spectrum(wavenumber_squared, nu):
    """P / l^2, for (k l)^2 of any shape; nu = inf is the Gaussian."""
    if math.isinf(nu):
        return 2.0 * math.pi * jnp.exp(-0.5 * wavenumber_squared)
    return 2.0 * math.pi * (1.0 + wavenumber_squared / (2.0 * nu)) ** -(nu + 1.0)


def variance_beyond(wavenumber_squared, nu):
    """Fraction of the variance at wavenumbers above k, for (k l)^2; nu = inf is the Gaussian."""
    if math.isinf(nu):
        return jnp.exp(-0.5 * wavenumber_squared)
    return (1.0 + wavenumber_squared / (2.0 * nu)) ** -nu


def covariance_prior(mesh, geometry, scale, nu, nugget):
    """The Prior of a covariance on any mesh."""
    if is_uniform(geometry):
        ratio = scale / geometry.spacing
        variances = sine.variances(
            mesh.shape, ratio, lambda square: power_spectrum(square, nu), lambda square: variance_beyond(square, nu)
        )
        return sine.prior(mesh.shape, (1.0 - nugget) * variances + nugget)
    matrix = correlation_matrix(*mesh.node_positions(geometry), scale, nu, nugget)
    return Prior(*inverse_and_log_det(matrix))


def correlation_matrix(x, y, scale, nu, nugget):
    """R, shape (S, S), of nodes at x, y (S,) [arcsec]."""
    square = ((x[:, None] - x) ** 2 + (y[:, None] - y) ** 2) / scale**2
    return (1.0 - nugget) * correlation(square, nu) + nugget * jnp.eye(len(x))


class GaussianCovariance(AbstractRegularization):
    """Covariance exp(-r^2 / 2 l^2): infinitely smooth.

    Args:
        scale: l [arcsec], > 0.
        strength: 1 / variance of the source, in units of 1 / (sum_k w_k Omega_N^2).
        nugget: fraction of the variance that is white, 0 < nugget < 1; part of the prior, without which R could not be
            inverted in double precision: the rms of the white part is sqrt(nugget) of the source's.

    Raises:
        InputError: a number that is out of range.
    """

    scale: Any
    strength: Any = "auto"
    nugget: float = eqx.field(static=True, default=1e-4)

    def __check_init__(self):
        check_numbers(self, scale=(0.0, False), nugget=(0.0, False))
        _check_nugget(self)

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G, dense, and ln det G."""
        return covariance_prior(mesh, geometry, self.scale, math.inf, self.nugget)


class ExponentialCovariance(AbstractRegularization):
    """Covariance exp(-r / l): the Matern covariance of nu = 1/2, with a power spectrum that falls as k^-3.

    Args:
        scale: l [arcsec], > 0.
        strength: 1 / variance of the source, in units of 1 / (sum_k w_k Omega_N^2).
        nugget: fraction of the variance that is white, 0 <= nugget < 1; part of the prior.

    Raises:
        InputError: a number that is out of range.
    """

    scale: Any
    strength: Any = "auto"
    nugget: float = eqx.field(static=True, default=1e-4)

    def __check_init__(self):
        check_numbers(self, scale=(0.0, False), nugget=(0.0, True))
        _check_nugget(self)

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G, dense, and ln det G."""
        return covariance_prior(mesh, geometry, self.scale, 0.5, self.nugget)


class MaternCovariance(AbstractRegularization):
    """Matern covariance of nu = 1/2, 3/2 or 5/2: the source has nu - 1/2 derivatives (rounded down).

    Args:
        scale: l [arcsec], > 0.
        strength: 1 / variance of the source, in units of 1 / (sum_k w_k Omega_N^2).
        nu: 0.5, 1.5 or 2.5.
        nugget: fraction of the variance that is white, 0 <= nugget < 1; part of the prior.

    Raises:
        InputError: a number that is out of range, or another nu.
    """

    scale: Any
    strength: Any = "auto"
    nu: float = eqx.field(static=True, default=1.5)
    nugget: float = eqx.field(static=True, default=1e-4)

    def __check_init__(self):
        check_numbers(self, scale=(0.0, False), nugget=(0.0, True))
        _check_nugget(self)
        if self.nu not in ORDERS:
            raise InputError(f"MaternCovariance: nu must be 0.5, 1.5 or 2.5, got {self.nu}")

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G, dense, and ln det G."""
        return covariance_prior(mesh, geometry, self.scale, self.nu, self.nugget)


def _check_nugget(regularization):
    if not regularization.nugget < 1.0:
        raise InputError(f"{type(regularization).__name__}: nugget must be less than 1, got {regularization.nugget}")
