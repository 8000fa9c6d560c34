"""Fermat potentials and arrival times.

One plane:     phi = |theta - beta|^2 / 2 - psi(theta),    t = D_dt / c phi,    D_dt = (1 + z_l) D_l D_s / D_ls

Several (Schneider, Ehlers & Falco 1992, ch. 9; planes j = 1..N in front of the source, theta_(N+1) = beta):

    t = sum_j (1 + z_j) / c D_j [ D_(j+1) / D_(j,j+1) |theta_j - theta_(j+1)|^2 / 2 - D_s / D_js f_js psi_j(theta_j) ]

psi_j as stated for the reference, f_js the factor of the plane for this source (see Lens): f_js D_s / D_js is the same
for every source. Zero point: the unlensed straight ray from the source at potentials 0, so images of a deep potential
have negative times, and the first to arrive has the least. A constant in a potential moves all images alike: only
differences are observable, t_2 - t_1 > 0 where image 2 comes later.
"""

import jax.numpy as jnp

from ..conventions import ARCSEC
from ..cosmology import distance_in_days
from ..errors import InputError
from .lens import Lens
from .tracing import planes_of


def fermat_potential(lens, x, y, beta_x=None, beta_y=None):
    """phi = |theta - beta|^2 / 2 - psi(theta) of a single plane [arcsec^2].

    Args:
        lens: a LensPlane, or a Lens of one plane, whose psi is scaled to its source.
        x, y: positions in the image plane [arcsec].
        beta_x, beta_y: the source; None: where the lens says that each ray ends. Given, phi is stationary at images,
            so that errors of their positions count in the second order.

    Raises:
        InputError: several planes: see `arrival_time`.
    """
    planes = planes_of(lens)
    if len(planes) != 1:
        raise InputError(f"fermat_potential: expected one lens plane, got {len(planes)}: use arrival_time")
    beta_x, beta_y = _source(lens, x, y, beta_x, beta_y)
    factor = lens.to_source[0] if isinstance(lens, Lens) else 1.0
    x, y = jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float)
    return 0.5 * ((x - beta_x) ** 2 + (y - beta_y) ** 2) - factor * planes[0].potential(x, y)


def arrival_time(lens: Lens, x, y, beta_x=None, beta_y=None, cosmology=None):
    """Arrival time of the rays that are seen at (x, y) [days]; see the module for its zero point.

    Differentiable in the parameters of the lens and, with `FlatLambdaCDM`, of the cosmology.

    Args:
        lens: a Lens with redshifts, of one plane or several.
        x, y: positions in the image plane [arcsec].
        beta_x, beta_y: the source; None: where the lens says that each ray ends.
        cosmology: in the place of the lens's for all distances of this sum; the rays stay as the lens traces them.

    Raises:
        InputError: without redshifts of the planes and the source, or without a cosmology.
    """
    if not isinstance(lens, Lens):
        raise InputError(f"arrival_time: expected a Lens with redshifts, got {type(lens).__name__}")
    cosmology = lens.cosmology if cosmology is None else cosmology
    z_s, redshifts = lens.source_redshift, [plane.redshift for plane in lens.planes]
    if cosmology is None or None in (z_s, *redshifts):
        raise InputError("arrival_time: needs the redshift of every plane and of the source")
    beta_x, beta_y = _source(lens, x, y, beta_x, beta_y)
    x, y = jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float)
    distance = cosmology.angular_diameter_distance
    met = lens.deflections(x, y)
    active = [j for j, z in enumerate(redshifts) if z < z_s]
    total = jnp.zeros(jnp.broadcast_shapes(x.shape, y.shape))
    for j, following in zip(active, [*active[1:], None]):
        plane, (theta_x, theta_y) = lens.planes[j], met[j][:2]
        z = redshifts[j]
        to_source = distance(0.0, z_s) / distance(z, z_s) * lens.to_source[j]
        delay = -to_source * plane.potential(theta_x, theta_y)
        z_next = z_s if following is None else redshifts[following]
        # planes at one redshift are met at one point
        if z_next > z:
            next_x, next_y = (beta_x, beta_y) if following is None else met[following][:2]
            stretch = distance(0.0, z_next) / distance(z, z_next)
            delay = delay + 0.5 * stretch * ((theta_x - next_x) ** 2 + (theta_y - next_y) ** 2)
        total = total + distance_in_days((1.0 + z) * distance(0.0, z) * ARCSEC**2) * delay
    return total


def _source(lens, x, y, beta_x, beta_y):
    """The source position that is given, or that of the rays."""
    if (beta_x is None) != (beta_y is None):
        raise InputError("beta_x, beta_y: give both or neither")
    return lens.ray_trace(x, y) if beta_x is None else (beta_x, beta_y)
