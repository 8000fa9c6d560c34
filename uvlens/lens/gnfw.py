"""The NFW halo with a free inner slope (Zhao 1996; Wyithe, Turner & Spergel 2001), round or elliptical.

    rho = rho_s t^-slope_inner (1 + t)^(slope_inner - 3),   t = r / R_s,   0 <= slope_inner < 3

as a mixture of cored steep ellipsoids (see `cored_steep`, with its accuracy; within 1e-4 R_s it falls to 3e-5 for
slope_inner = 2.5). Convergence elliptical, R_s on the intermediate axis.
"""

from . import cored_steep


def deflection(x, y, R_s, kappa_s, slope_inner, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """Deflection angle (alpha_x, alpha_y) [arcsec].

    Args:
        x, y: image-plane position [arcsec], any common shape.
        R_s: scale radius [arcsec].
        kappa_s: rho_s R_s in units of the critical surface density.
        slope_inner: -d ln rho / d ln r at the centre; 1 is NFW.
        e1, e2: ellipticity of the convergence, |e| < 1.
        center_x, center_y: arcsec.
    """
    return cored_steep.deflection(cored_steep.GNFW, x, y, R_s, kappa_s, (slope_inner,), e1, e2, center_x, center_y)


def convergence(x, y, R_s, kappa_s, slope_inner, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """kappa; where it is infinite at the centre, given there as that of a core of 1e-7 R_s."""
    return cored_steep.convergence(cored_steep.GNFW, x, y, R_s, kappa_s, (slope_inner,), e1, e2, center_x, center_y)


def potential(x, y, R_s, kappa_s, slope_inner, e1=0.0, e2=0.0, center_x=0.0, center_y=0.0):
    """psi [arcsec^2], 0 at the centre."""
    return cored_steep.potential(cored_steep.GNFW, x, y, R_s, kappa_s, (slope_inner,), e1, e2, center_x, center_y)


def kappa_s(R_s, alpha_R_s, slope_inner):
    """kappa_s of a round halo that deflects by alpha_R_s [arcsec] at its scale radius."""
    return alpha_R_s / deflection(R_s, 0.0, R_s, 1.0, slope_inner)[0]
