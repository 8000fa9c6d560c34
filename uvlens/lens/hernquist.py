"""The Hernquist (1990) profile, round or elliptical in its convergence.

    rho = rho_s / (t (1 + t)^3),  t = r / R_s
    kappa = kappa_s [(2 + t^2) F(t) - 3] / (1 - t^2)^2,   t = sqrt(q X^2 + Y^2 / q) / R_s,   F as in `nfw`

as a mixture of cored steep ellipsoids (see `cored_steep`, with its accuracy).
"""

from . import cored_steep


def deflection(x, y, R_s, kappa_s, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        R_s: scale radius on the intermediate axis [arcsec].
        kappa_s: rho_s R_s in units of the critical surface density; lenstronomy's sigma0.
        e1, e2: ellipticity of the convergence, |e| < 1.
        center_x, center_y: arcsec.
    """
    return cored_steep.deflection(cored_steep.HERNQUIST, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)


def convergence(x, y, R_s, kappa_s, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """kappa; infinite at the centre, given there as that of a core of 1e-7 R_s."""
    return cored_steep.convergence(cored_steep.HERNQUIST, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)


def potential(x, y, R_s, kappa_s, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    return cored_steep.potential(cored_steep.HERNQUIST, x, y, R_s, kappa_s, (), e1, e2, center_x, center_y)
