"""Elliptical Gaussian convergences (Shajib 2019), one or the sum of several of one shape.

    kappa = sum_k amplitude_k / (2 pi sigma_k^2) exp(-R^2 / (2 sigma_k^2)),    R^2 = q X^2 + Y^2 / q

The amplitude is the integral of kappa over the sky [arcsec^2]. Deflections by quadrature (see `ellipsoid`), good to
1e-11 at q >= 0.2 and any radius; nothing overflows or divides by zero at q = 1, where the paper's error functions do.
"""

import jax
import jax.numpy as jnp

from . import raypotential
from .ellipsoid import ellipsoid, elliptical_radius_squared

_EXTENT_SQUARED = 76.0
"""exp(-R^2 / 2) is 3e-17 there."""
_unit = ellipsoid(lambda squared: jnp.exp(-0.5 * squared), lambda: 2.0)


def deflection(x, y, amplitude, sigma, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        amplitude: integral of kappa [arcsec^2]: a number, or shape (n,) for n Gaussians.
        sigma: width on the intermediate axis [arcsec], of the same shape.
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    dx, dy = x - center_x, y - center_y
    return _over_gaussians(lambda a, s: _one(dx, dy, a, s, e1, e2), amplitude, sigma)


def convergence(x, y, amplitude, sigma, e1, e2, center_x=0.0, center_y=0.0):
    """kappa."""
    squared = elliptical_radius_squared(x - center_x, y - center_y, e1, e2)
    return _over_gaussians(lambda a, s: a / (2.0 * jnp.pi * s**2) * jnp.exp(-0.5 * squared / s**2), amplitude, sigma)


def potential(x, y, amplitude, sigma, e1, e2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre, by quadrature along the ray (see `raypotential`)."""
    dx, dy = x - center_x, y - center_y

    def one(a, s):
        return raypotential.potential(lambda u, v: _one(u, v, a / s**2, 1.0, e1, e2), dx / s, dy / s) * s**2

    return _over_gaussians(one, amplitude, sigma)


def _one(dx, dy, amplitude, sigma, e1, e2):
    alpha_x, alpha_y = _unit(dx / sigma, dy / sigma, e1, e2, _EXTENT_SQUARED)
    scale = amplitude / (2.0 * jnp.pi * sigma)
    return scale * alpha_x, scale * alpha_y


def _over_gaussians(function, amplitude, sigma):
    """Sum over a stack of Gaussians, one at a time."""
    amplitude, sigma = jnp.broadcast_arrays(jnp.asarray(amplitude, dtype=float), jnp.asarray(sigma, dtype=float))
    if amplitude.ndim == 0:
        return function(amplitude, sigma)
    example = jax.eval_shape(function, amplitude[0], sigma[0])
    start = jax.tree_util.tree_map(lambda one: jnp.zeros(one.shape, one.dtype), example)

    def step(total, one):
        return jax.tree_util.tree_map(jnp.add, total, function(*one)), None

    # a gradient evaluates each Gaussian again, and stores none of them
    return jax.lax.scan(jax.checkpoint(step), start, (amplitude, sigma))[0]
