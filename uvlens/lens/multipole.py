"""Circular multipoles (Xu et al. 2013, eq. B12), of any order m.

With r, phi about the centre and c = a cos m phi_m, s = a sin m phi_m [arcsec]:

    kappa = (c cos m phi + s sin m phi) / (2 r) = a cos(m (phi - phi_m)) / (2 r)
    psi   = r (c cos m phi + s sin m phi) / (1 - m^2),   m > 1
    psi   = r ln(r / theta_E) (c cos phi + s sin phi) / 2,   m = 1

Added to a round isothermal lens they displace its isodensity contour of r = theta_E by a cos(m (phi - phi_m)).
theta_E matters for m = 1 alone, where it sets a uniform deflection, which nothing observes.
"""

import jax.numpy as jnp


def deflection(x, y, order, cosine, sine, theta_E=1.0, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec]; at the very centre, where it has no limit, 0 with gradient 0.

    Args:
        x, y: image-plane position [arcsec], any common shape.
        order: m, a whole number >= 1.
        cosine, sine: c and s [arcsec].
        theta_E: scale of the logarithm of m = 1 [arcsec].
        center_x, center_y: arcsec.
    """
    _, radius, direction, at_center = _polar(x, y, center_x, center_y)
    c, conj_c = cosine - 1j * sine, cosine + 1j * sine
    if order == 1:
        logarithm = jnp.where(at_center, 0.0, jnp.log(radius / theta_E) + 0.5)
        alpha = 0.5 * (0.5 * c * direction**2 + conj_c * logarithm)
    else:
        inward = conj_c * jnp.conj(direction) ** (order - 1) / (1 - order)
        alpha = 0.5 * (c * direction ** (order + 1) / (1 + order) + inward)
    return alpha.real, alpha.imag


def convergence(x, y, order, cosine, sine, theta_E=1.0, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as 0."""
    _, radius, direction, _ = _polar(x, y, center_x, center_y)
    return ((cosine - 1j * sine) * direction**order).real / (2.0 * radius)


def potential(x, y, order, cosine, sine, theta_E=1.0, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    _, radius, direction, at_center = _polar(x, y, center_x, center_y)
    wave = jnp.where(at_center, 0.0, radius) * ((cosine - 1j * sine) * direction**order).real
    return 0.5 * wave * jnp.log(radius / theta_E) if order == 1 else wave / (1 - order**2)


def _polar(x, y, center_x, center_y):
    """(z, r, z / r, at the centre): there r is 1 and the direction 0."""
    z = (x - center_x) + 1j * (y - center_y)
    squared = z.real**2 + z.imag**2
    at_center = squared == 0.0
    radius = jnp.sqrt(jnp.where(at_center, 1.0, squared))
    return z, radius, jnp.where(at_center, 0.0, z) / radius, at_center
