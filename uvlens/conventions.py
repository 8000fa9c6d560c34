"""Units, angles and ellipticities: the only file that converts between conventions.

Sky frame: x is the offset to the East (Delta alpha cos delta), y the offset to the North, both in arcsec from
the phase centre. Visibilities have the sign of a CASA measurement set,

    V(u, v) = sum_i I_i exp(+2 pi i (u l_i + v m_i)),    (l, m) = (x, y) in radians, u, v in wavelengths.

Position angles (PA) are East of North in degrees; phi is counted from +x (East) towards +y (North), so that
phi = 90 deg - PA. Ellipticity: |e| = (1 - q) / (1 + q), e1 = |e| cos 2 phi, e2 = |e| sin 2 phi.
"""

import math

import jax.numpy as jnp

ARCSEC = math.pi / (180.0 * 3600.0)
"""One arcsecond in radians."""

SPEED_OF_LIGHT = 299_792_458.0
"""Metres per second."""


def ellipticity_from_axis_ratio(q, position_angle):
    """Ellipticity components of an axis ratio and a position angle.

    e1 = -|e| cos 2 PA, e2 = |e| sin 2 PA with |e| = (1 - q) / (1 + q).

    Args:
        q: minor over major axis, 0 < q <= 1.
        position_angle: of the major axis, East of North [deg].

    Returns:
        (e1, e2).
    """
    modulus = (1.0 - q) / (1.0 + q)
    angle = 2.0 * jnp.deg2rad(position_angle)
    return -modulus * jnp.cos(angle), modulus * jnp.sin(angle)


def axis_ratio_from_ellipticity(e1, e2):
    """Axis ratio and position angle (East of North, in [0, 180) deg) of an ellipticity; PA is 90 for e = 0."""
    modulus = jnp.hypot(e1, e2)
    q = (1.0 - modulus) / (1.0 + modulus)
    return q, jnp.mod(90.0 - 0.5 * jnp.rad2deg(jnp.arctan2(e2, e1)), 180.0)


def shear_from_polar(strength, position_angle):
    """(gamma1, gamma2) of a shear that stretches images along a position angle, East of North [deg].

    gamma1 = -g cos 2 PA, gamma2 = g sin 2 PA. The perturber that causes it lies at PA +- 90 deg.
    """
    angle = 2.0 * jnp.deg2rad(position_angle)
    return -strength * jnp.cos(angle), strength * jnp.sin(angle)


def polar_from_shear(gamma1, gamma2):
    """Strength and stretch position angle (East of North, in [0, 180) deg) of a shear."""
    return jnp.hypot(gamma1, gamma2), jnp.mod(90.0 - 0.5 * jnp.rad2deg(jnp.arctan2(gamma2, gamma1)), 180.0)


def lens_from_pyautolens(*, einstein_radius, ell_comps, centre=(0.0, 0.0), slope=2.0, shear=(0.0, 0.0), exported):
    """Lens parameters in this package's conventions from those of a PyAutoLens fit.

    theta_E = sqrt(q) (2 / (1 + q))^(1 / (slope - 1)) einstein_radius. Its x axis points West, and the sky it
    reconstructs is mirrored North-South unless the visibilities were exported as (u, -v).

    Args:
        einstein_radius, slope: of its `Isothermal` / `PowerLaw`.
        ell_comps: (e_y, e_x), its order.
        centre: (y, x) [arcsec], its order.
        shear: (gamma_1, gamma_2).
        exported: "u,-v" if the data it fitted had v reversed, "u,v" if they were raw CASA coordinates.

    Returns:
        dict with theta_E, e1, e2, center_x, center_y, slope, gamma1, gamma2.
    """
    e_y, e_x = ell_comps
    modulus = math.hypot(e_x, e_y)
    q = (1.0 - modulus) / (1.0 + modulus)
    theta_E = math.sqrt(q) * (2.0 / (1.0 + q)) ** (1.0 / (slope - 1.0)) * einstein_radius
    y, x = centre
    if exported == "u,-v":
        frame = {
            "center_x": -x,
            "center_y": y,
            "e1": e_x,
            "e2": -e_y,
            "gamma1": shear[0],
            "gamma2": -shear[1],
        }
    elif exported == "u,v":
        frame = {"center_x": -x, "center_y": -y, "e1": e_x, "e2": e_y, "gamma1": shear[0], "gamma2": shear[1]}
    else:
        raise ValueError(f'exported must be "u,-v" or "u,v", got {exported!r}')
    return {"theta_E": theta_E, "slope": slope, **frame}
