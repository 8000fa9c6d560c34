"""Brute force for mass profiles: deflections from convergences by integration (Schramm 1990, Keeton 2001).

xi^2(u) = u (X^2 + Y^2 / (1 - (1 - q^2) u)),   alpha_X = q X J_0,  alpha_Y = q Y J_1,
J_n = int_0^1 kappa(xi(u)) / (1 - (1 - q^2) u)^(n + 1/2) du,   X, Y along the axes, xi on the major axis
"""

import numpy as np
from scipy.integrate import quad


def deflection(kappa, x, y, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """(alpha_x, alpha_y) at one position [arcsec].

    Args:
        kappa: convergence as a function of R = sqrt(q X^2 + Y^2 / q) [arcsec], finite or integrable at 0.
        e1, e2: ellipticity of its contours.
    """
    modulus = np.hypot(e1, e2)
    q, phi = (1.0 - modulus) / (1.0 + modulus), 0.5 * np.arctan2(e2, e1)
    z = (x - center_x + 1j * (y - center_y)) * np.exp(-1j * phi)
    X, Y = z.real, z.imag

    def integrand(t, n):  # u = t^4 tames cusps at the centre
        u = t**4
        narrow = 1.0 - (1.0 - q**2) * u
        xi = np.sqrt(u * (X**2 + Y**2 / narrow))
        return kappa(np.sqrt(q) * xi) / narrow ** (n + 0.5) * 4.0 * t**3

    j = [quad(integrand, 0.0, 1.0, args=(n,), epsabs=1e-13, epsrel=1e-12, limit=400)[0] for n in (0, 1)]
    alpha = q * (X * j[0] + 1j * Y * j[1]) * np.exp(1j * phi)
    return alpha.real, alpha.imag
