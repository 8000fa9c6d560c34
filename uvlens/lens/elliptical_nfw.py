"""The NFW halo (Navarro, Frenk & White 1997) with elliptical convergence, as a mixture of cored steep ellipsoids.

    kappa = 2 kappa_s (1 - F(t)) / (t^2 - 1),   t = sqrt(q X^2 + Y^2 / q) / R_s,   F as in `nfw`

Deflections are good to 1e-9 for 1e-4 < t < 1e3 and q >= 0.2 (see `cored_steep`).
"""

from . import cored_steep


def deflection(x, y, R_s, kappa_s, e1, e2, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        R_s: scale radius on the intermediate axis [arcsec].
        kappa_s: rho_s R_s in units of the critical surface density.
        e1, e2: ellipticity of the convergence, |e| = (1 - q) / (1 + q) < 1.
        center_x, center_y: arcsec.
    """
    return cored_steep.deflection(cored_steep.NFW, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)


def convergence(x, y, R_s, kappa_s, e1, e2, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as that of a core of 1e-7 R_s."""
    return cored_steep.convergence(cored_steep.NFW, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)


def potential(x, y, R_s, kappa_s, e1, e2, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    return cored_steep.potential(cored_steep.NFW, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)
