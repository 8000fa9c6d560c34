"""The singular isothermal ellipsoid (Kormann, Schneider & Bartelmann 1994), in the coordinates of `ellipse`.

    kappa = theta_E / (2 sqrt(q X^2 + Y^2 / q)) = beta / (2 |zeta|),     beta = theta_E sqrt(1 - |e|^2)
    alpha_x + i alpha_y = beta E arctan(sqrt w) / sqrt w
    psi   = (x - center_x) alpha_x + (y - center_y) alpha_y

theta_E is measured on the intermediate axis, as in lenstronomy. The deflection is finite and differentiable in
every argument for all |e| < 1, e = 0 included; at the very centre it is 0 with gradient 0.
"""

import jax
import jax.numpy as jnp
import numpy as np

from .ellipse import elliptical_coordinates, intermediate_axis_scale
from .series import derivative, real_polynomial

_SERIES_BELOW = 0.1
_SERIES = np.array([(-1.0) ** n / (2 * n + 1) for n in range(18)])


def deflection(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        theta_E: Einstein radius on the intermediate axis [arcsec].
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    beta = intermediate_axis_scale(theta_E, e1, e2)
    alpha = beta * position.direction * arctan_ratio(position.argument)
    return alpha.real, alpha.imag


def convergence(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """kappa = beta / (2 |zeta|); infinite at the centre, given there as 0."""
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    kappa = 0.5 * intermediate_axis_scale(theta_E, e1, e2) / position.radius
    return jnp.where(position.at_center, 0.0, kappa)


def potential(x, y, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """psi = (theta - center) . alpha [arcsec^2]: the potential is homogeneous of degree 1."""
    alpha_x, alpha_y = deflection(x, y, theta_E, e1, e2, center_x, center_y)
    return (x - center_x) * alpha_x + (y - center_y) * alpha_y


@jax.custom_jvp
def arctan_ratio(w):
    """arctan(sqrt w) / sqrt w = sum_n (-w)^n / (2 n + 1) for complex |w| < 1; 18 terms leave 3e-20 at 0.1.

    In real arithmetic, since complex roots, logarithms and quotients cost four times as much. The function is even in
    r = sqrt w, so either root serves: r = a + i b with b > 0 where Re w < 0, a > 0 elsewhere.

        arctan r = arctan2(2 a, 1 - |r|^2) / 2 - i ln(1 - 4 b / ((1 + b)^2 + a^2)) / 4
    """
    modulus_squared = w.real**2 + w.imag**2
    small = modulus_squared < _SERIES_BELOW**2
    series = real_polynomial(_SERIES, jnp.where(small, w, 0.0))
    p, q = jnp.where(small, 0.25, w.real), jnp.where(small, 0.0, w.imag)
    modulus = jnp.sqrt(jnp.where(small, 0.0625, modulus_squared))
    long = jnp.sqrt(0.5 * (modulus + jnp.abs(p)))
    short = 0.5 * q / long
    a, b = jnp.where(p < 0.0, short, long), jnp.where(p < 0.0, long, short)
    real = 0.5 * jnp.arctan2(2.0 * a, 1.0 - modulus)
    imaginary = -0.25 * jnp.log1p(-4.0 * b / ((1.0 + b) ** 2 + a**2))
    # times conj(r) / |r|^2
    closed_real, closed_imaginary = (real * a + imaginary * b) / modulus, (imaginary * a - real * b) / modulus
    return jax.lax.complex(jnp.where(small, series.real, closed_real), jnp.where(small, series.imag, closed_imaginary))


@arctan_ratio.defjvp
def _arctan_ratio_jvp(primals, tangents):
    """f' = (1 / (1 + w) - f) / (2 w), or the series of it."""
    (w,) = primals
    ratio = arctan_ratio(w)
    small = w.real**2 + w.imag**2 < _SERIES_BELOW**2
    series = real_polynomial(derivative(_SERIES), jnp.where(small, w, 0.0))
    p, q = jnp.where(small, 0.25, w.real), jnp.where(small, 0.0, w.imag)
    above = 0.5 / ((1.0 + p) ** 2 + q**2)
    real, imaginary = (1.0 + p) * above - 0.5 * ratio.real, -q * above - 0.5 * ratio.imag
    modulus_squared = p**2 + q**2
    closed_real, closed_imaginary = (
        (real * p + imaginary * q) / modulus_squared,
        (imaginary * p - real * q) / modulus_squared,
    )
    slope = jax.lax.complex(jnp.where(small, series.real, closed_real), jnp.where(small, series.imag, closed_imaginary))
    return ratio, slope * tangents[0]
