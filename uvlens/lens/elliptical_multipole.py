"""Multipoles of elliptical isodensity contours (Paugnat & Gilman 2025) of any order m, in the coordinates of `ellipse`.

    kappa = (c cos m phi_E + s sin m phi_E) / (2 R) = a cos(m (phi_E - phi_m)) / (2 R)

R = sqrt(q X^2 + Y^2 / q) and phi_E = arg zeta, the elliptical angle on the sky (along the axes, tan phi_E = Y / (q X)).
On the unit circle of E = exp(i phi_E), with C = c - i s and n = sqrt(1 - |e|^2), the deflection solves

    d alpha / d E = n/2 (C E^m + conj(C) E^-m) / (1 + conj(e) E^2)

    alpha_x + i alpha_y = n/2 (C E^(m+1) A_(m+1)(w) + conj(C) E^(1-m) B_m(w))
    A_p = int_0^1 t^(p-1) / (1 + w t^2) dt
    B_m = sum_(k < m/2) (-w)^k / (2 k + 1 - m) + (-w)^(m/2) A_1(w)                                        m even
    B_m = sum_(k < (m-1)/2) (-w)^k / (2 k + 1 - m) + (-w)^((m-1)/2) (ln(R / theta_E) + ln(1 + w) / 2 + 1/2)

for m odd: the term in 1/E is a dipole of the convergence, which no function of the angle alone produces; the
logarithm of R that it needs has the scale theta_E, a uniform deflection, which nothing observes. Nothing is singular at
e = 0, where this is the circular multipole (`multipole`): phi_m is counted on the sky, not from the major axis.

A_p is a series of N_TERMS = 52 in the variable of `series`: better than 1e-13 for q >= 0.05.
"""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np

from .ellipse import elliptical_coordinates
from .series import derivative, real_polynomial, series_variable

N_TERMS = 52


def deflection(x, y, order, cosine, sine, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; at the very centre, where it has no limit, 0 with gradient 0.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        order: m, a whole number >= 1.
        cosine, sine: c and s [arcsec].
        theta_E: scale of the logarithm of odd m [arcsec].
        e1, e2: ellipticity, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    w, direction = position.argument, position.direction
    n = jnp.sqrt(1.0 - (e1**2 + e2**2))
    c, conj_c = cosine - 1j * sine, cosine + 1j * sine
    outward = direction ** (order + 1) * _integral(order + 1, w)
    inward = sum((-w) ** k / (2 * k + 1 - order) for k in range(order // 2))
    if order % 2 == 0:
        inward = inward + (-w) ** (order // 2) * _integral(1, w)
    else:
        logarithm = jnp.log(position.radius / (n * theta_E)) + 0.5 * jnp.log(1.0 + w) + 0.5
        inward = inward + (-w) ** (order // 2) * jnp.where(position.at_center, 0.0, logarithm)
    alpha = 0.5 * n * (c * outward + conj_c * jnp.conj(direction) ** (order - 1) * inward)
    return alpha.real, alpha.imag


def convergence(x, y, order, cosine, sine, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as 0."""
    position = elliptical_coordinates(x, y, e1, e2, center_x, center_y)
    n = jnp.sqrt(1.0 - (e1**2 + e2**2))
    return 0.5 * n * ((cosine - 1j * sine) * position.direction**order).real / position.radius


def potential(x, y, order, cosine, sine, theta_E, e1, e2, center_x=0.0, center_y=0.0):
    """psi = (theta - center) . (alpha - alpha_1) [arcsec^2], alpha_1 the factor of ln R in alpha for odd m."""
    z = (x - center_x) + 1j * (y - center_y)
    alpha_x, alpha_y = deflection(x, y, order, cosine, sine, theta_E, e1, e2, center_x, center_y)
    psi = z.real * alpha_x + z.imag * alpha_y
    if order % 2 == 0:
        return psi
    n = jnp.sqrt(1.0 - (e1**2 + e2**2))
    uniform = 0.5 * n * (cosine + 1j * sine) * (-(e1 - 1j * e2)) ** (order // 2)
    return psi - (z.real * uniform.real + z.imag * uniform.imag)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _integral(p, w):
    """A_p(w)."""
    return real_polynomial(jnp.asarray(_coefficients(p)), series_variable(w)[0])


@_integral.defjvp
def _integral_jvp(p, primals, tangents):
    """The derivative is a series too, so that a gradient stores none of the partial sums."""
    coefficients = jnp.asarray(_coefficients(p))
    u, by_w = series_variable(primals[0])
    return real_polynomial(coefficients, u), by_w * real_polynomial(derivative(coefficients), u) * tangents[0]


@functools.cache
def _coefficients(p):
    """A_p as a series in u, exact before rounding: the recurrence from 2 w A' + p A = 1 / (1 + w) is not stable."""
    b, terms = Fraction(p, 2), [Fraction(2, p)]
    for n in range(1, N_TERMS):
        source = {1: -2, 2: 1}.get(n, 0)
        before = (n - 2 - b) * terms[n - 2] if n > 1 else 0
        terms.append((source - 2 * b * terms[n - 1] + before) / (n + b))
    return np.array([0.5 * float(term) for term in terms])
