"""The third-order external potential: flexion (Bacon, Goldberg, Rowe & Taylor 2006), about a centre.

With z = (x - center_x) + i (y - center_y), F = F1 + i F2, G = G1 + i G2 [1/arcsec]:

    psi   = |z|^2 Re(conj(F) z) / 4 + Re(conj(G) z^3) / 12
    alpha = (conj(F) z^2 + 2 F |z|^2 + G conj(z)^2) / 4,     kappa = F1 x + F2 y

    psi_xxx = (3 F1 + G1) / 2    psi_xxy = (F2 + G2) / 2         F1 = (psi_xxx + psi_xyy) / 2 = d kappa / dx
    psi_yyy = (3 F2 - G2) / 2    psi_xyy = (F1 - G1) / 2         F2 = (psi_xxy + psi_yyy) / 2 = d kappa / dy
                                                                 G1 = (psi_xxx - 3 psi_xyy) / 2
                                                                 G2 = (3 psi_xxy - psi_yyy) / 2

F has the symmetry of a vector, G that of a triangle. In the form psi = tau r^3 cos(theta - theta_tau) / 4 +
delta r^3 cos 3 (theta - theta_delta) / 6, F = tau exp(i theta_tau) and G = 2 delta exp(3 i theta_delta).
lenstronomy's FLEXION has g1, g2, g3, g4 = psi_xxx, psi_xxy, psi_xyy, psi_yyy; its FLEXIONFG has the same F1, F2, G1
and G2 of it is G2 - 2 F2 of ours (its psi_xxy is (3 F2 + G2) / 2, psi_yyy (F2 - G2) / 2).
"""

import jax.numpy as jnp


def deflection(x, y, F1, F2, G1, G2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec] at x, y [arcsec]; F1, F2, G1, G2 [1/arcsec]."""
    z, F, G = _complex(x, y, F1, F2, G1, G2, center_x, center_y)
    alpha = 0.25 * (jnp.conj(F) * z**2 + 2.0 * F * z * jnp.conj(z) + G * jnp.conj(z) ** 2)
    return alpha.real, alpha.imag


def convergence(x, y, F1, F2, G1, G2, center_x=0.0, center_y=0.0):
    """kappa = F1 (x - center_x) + F2 (y - center_y)."""
    return F1 * (x - center_x) + F2 * (y - center_y)


def potential(x, y, F1, F2, G1, G2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2]."""
    z, F, G = _complex(x, y, F1, F2, G1, G2, center_x, center_y)
    squared = z.real**2 + z.imag**2
    return squared * (jnp.conj(F) * z).real / 4.0 + (jnp.conj(G) * z**3).real / 12.0


def _complex(x, y, F1, F2, G1, G2, center_x, center_y):
    return (x - center_x) + 1j * (y - center_y), F1 + 1j * F2, G1 + 1j * G2
