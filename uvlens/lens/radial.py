"""Profiles in circles about a centre, and masses.

With alpha_r the deflection away from the centre, theta - beta, averaged over the circle of radius R, Gauss's theorem
gives everything without integrals over the plane, singular centres included:

    kappa_mean(<R) = <alpha_r> / R,     <kappa>(R) = (<alpha_r> / R + d<alpha_r>/dR) / 2
    M(<R) = Sigma_cr pi R^2 kappa_mean(<R),     slope = d ln <kappa> / d ln R

The average is the trapezoidal rule in the angle, which converges exponentially as long as no small deflector sits close
to the circle. Of a LensPlane these are the profiles of that plane; of a Lens with several planes they are of the
effective deflection theta - beta, in which planes do not simply add: for masses take `lens.planes[j]`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from ..errors import InputError
from .lens import Lens
from .tracing import source_positions

N_ANGLES = 256


def radial_deflection(lens, radius, center=(0.0, 0.0), n_angles=N_ANGLES):
    """<alpha_r>(R): mean radial deflection on circles [arcsec], shape of `radius` [arcsec]."""
    radius = jnp.asarray(radius, dtype=float)[..., None]
    angle = 2.0 * jnp.pi * (jnp.arange(n_angles) + 0.5) / n_angles
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = center[0] + radius * cos, center[1] + radius * sin
    beta_x, beta_y = lens.ray_trace(x, y)
    return jnp.mean((x - beta_x) * cos + (y - beta_y) * sin, axis=-1)


def mean_convergence(lens, radius, center=(0.0, 0.0), n_angles=N_ANGLES):
    """Mean convergence within circles, <alpha_r> / R; 1 at the Einstein radius by mass."""
    return radial_deflection(lens, radius, center, n_angles) / jnp.asarray(radius, dtype=float)


def convergence_profile(lens, radius, center=(0.0, 0.0), n_angles=N_ANGLES):
    """<kappa>(R): mean convergence on circles."""
    radius = jnp.asarray(radius, dtype=float)
    deflection, slope = jax.jvp(
        lambda r: radial_deflection(lens, r, center, n_angles), (radius,), (jnp.ones_like(radius),)
    )
    return 0.5 * (deflection / radius + slope)


def local_slope(lens, radius, center=(0.0, 0.0), n_angles=N_ANGLES):
    """d ln <kappa> / d ln R: 1 - slope of a power law, -1 for isothermal."""
    radius = jnp.asarray(radius, dtype=float)
    kappa, by_radius = jax.jvp(
        lambda r: convergence_profile(lens, r, center, n_angles), (radius,), (jnp.ones_like(radius),)
    )
    return radius * by_radius / kappa


def enclosed_mass(lens: Lens, radius, center=(0.0, 0.0), plane=None, n_angles=N_ANGLES):
    """Projected mass within circles [solar masses].

    Args:
        lens: a Lens with redshifts.
        radius: arcsec; of a plane behind others the angle at which it would be seen without them.
        center: of the circles in the plane [arcsec].
        plane: number of the plane in `lens.planes`; None: the only one.

    Its deflections are stated for the reference redshift, and so is the Sigma_cr that they are multiplied with.
    """
    one, sigma = _plane(lens, plane)
    radius = jnp.asarray(radius, dtype=float)
    return sigma * jnp.pi * radius * radial_deflection(one, radius, center, n_angles)


def einstein_radius_by_mass(lens, center=(0.0, 0.0), radius=10.0, n_angles=1024):
    """Largest radius within which the mean convergence is 1 [arcsec]; NaN where there is none up to `radius`.

    Args:
        lens: Lens, LensPlane, or anything with `ray_trace`, numbers for parameters.
        center: of the circles [arcsec]; radius: of the largest [arcsec].

    The same as the radius by area (`effective_einstein_radius`) for round lenses only: of an SIE it is theta_E
    (1 - |e|^2 / 4 + ...), and shear does not count.
    """
    if not radius > 0.0:
        raise InputError(f"radius: must be > 0 arcsec, got {radius}")

    def excess(r):
        r = np.atleast_1d(np.asarray(r, dtype=float))
        angle = 2.0 * np.pi * (np.arange(n_angles) + 0.5) / n_angles
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = center[0] + r[:, None] * cos, center[1] + r[:, None] * sin
        beta_x, beta_y = source_positions(lens, x, y)
        return np.mean((x - beta_x) * cos + (y - beta_y) * sin, axis=1) / r - 1.0

    radii = np.geomspace(1e-4 * radius, radius, 96)
    above = excess(radii) > 0.0
    crossings = np.flatnonzero(above[:-1] & ~above[1:])
    if not crossings.size:
        return float("nan")
    last = crossings[-1]
    return float(brentq(lambda r: excess(r)[0], radii[last], radii[last + 1], xtol=1e-13, rtol=1e-13))


def einstein_mass(lens: Lens, theta_E, plane=None):
    """Sigma_cr pi theta_E^2 [solar masses]: the mass within the Einstein radius theta_E [arcsec].

    Args:
        lens: a Lens with redshifts.
        theta_E: of this lens and its source, for instance `effective_einstein_radius(lens, ...)`.
        plane: the plane that is taken for the deflector; None: the only one. With several planes this is the mass that
            this plane would have if it deflected alone.

    Sigma_cr is that of the plane and the lens's own source.
    """
    number = _number(lens, plane)
    source = lens.source_redshift
    if lens.cosmology is None or lens.planes[number].redshift is None or source is None:
        raise InputError("einstein_mass: needs the redshifts of the plane and of the source")
    sigma = lens.cosmology.critical_surface_density(lens.planes[number].redshift, source)
    return sigma * jnp.pi * jnp.asarray(theta_E, dtype=float) ** 2


def _plane(lens, plane):
    """(LensPlane, Sigma_cr of the reference [solar masses / arcsec^2])."""
    number = _number(lens, plane)
    one = lens.planes[number]
    if lens.cosmology is None or one.redshift is None or lens.reference_redshift is None:
        raise InputError("enclosed_mass: needs the redshifts of the plane and of the reference source")
    return one, lens.cosmology.critical_surface_density(one.redshift, lens.reference_redshift)


def _number(lens, plane):
    if not isinstance(lens, Lens):
        raise InputError(f"lens: a mass needs a Lens with redshifts, got {type(lens).__name__}")
    if plane is None:
        if len(lens.planes) != 1:
            raise InputError(f"plane: which of the {len(lens.planes)} planes? Give its number")
        return 0
    if not -len(lens.planes) <= plane < len(lens.planes):
        raise InputError(f"plane: {plane} is not one of the {len(lens.planes)} planes")
    return plane
