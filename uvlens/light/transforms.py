"""Fourier transforms of round profiles of unit flux, F(kappa) = int I(x) exp(2 pi i k.x) d^2 x, functions of kappa^2.

    gaussian      exp(-2 pi^2 sigma^2 kappa^2)
    exponential   (1 + (2 pi h kappa)^2)^(-3/2),    h = R_e / b_1 the scale length
    disc          2 J_1(2 pi a kappa) / (2 pi a kappa)
    annulus       the discs of its two radii, weighted with their areas and subtracted

kappa in cycles per unit of length, kappa = (u^2 + v^2)^(1/2) for angles in radians. Smooth at kappa = 0.
"""

import jax.numpy as jnp
import numpy as np
import scipy.special

from .bessel import disc_transform

EXPONENTIAL_B = float(scipy.special.gammaincinv(2.0, 0.5))
"""b_1: half-light radius over scale length of an exponential disc."""


def gaussian(squared, sigma):
    """Of standard deviation sigma; `squared` and sigma broadcast."""
    return jnp.exp(-2.0 * np.pi**2 * sigma**2 * squared)


def exponential(squared, R_sersic):
    """Of half-light radius R_sersic."""
    return (1.0 + (2.0 * np.pi * R_sersic / EXPONENTIAL_B) ** 2 * squared) ** -1.5


def annulus(squared, inner_radius, width):
    """Between inner_radius and inner_radius + width; a disc for inner_radius = 0."""
    outer_radius = inner_radius + width
    wave = (2.0 * np.pi) ** 2 * squared
    outer = outer_radius**2 * disc_transform(wave * outer_radius**2)
    inner = inner_radius**2 * disc_transform(wave * inner_radius**2)
    return (outer - inner) / (width * (2.0 * inner_radius + width))
