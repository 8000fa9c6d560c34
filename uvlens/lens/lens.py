"""The lens as one source sees it: deflectors in one plane or several, traced by the multi-plane lens equation.

    theta_j = theta - sum_(i < j) f_ij alpha_i(theta_i),      f_ij = D_ij D_r / (D_j D_ir)

(Schneider, Ehlers & Falco 1992, ch. 9), alpha_i the deflection of plane i as stated, that of a source at the reference
redshift z_r behind this plane alone, and f_ij its factor for plane j, or for the source in its place; D are angular
diameter distances. One plane and one source need no distances: f = 1.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from ..cosmology import AbstractCosmology, as_cosmology
from ..errors import InputError
from .plane import LensPlane


class Lens(eqx.Module):
    """Every deflector between us and one source.

    Args:
        planes: LensPlanes, in any order; a single one; or a list of mass components.
        source_redshift: z_s. None: that of the reference.
        cosmology: a cosmology of `uvlens.cosmology`, the name of one of astropy's, or None for Planck18.
        reference_redshift: z_r, of the source that Einstein radii and all other deflections are stated for; None: z_s.
        scale: factor on all deflections in the place of distances, for a single plane; None: from redshifts.

    Attributes:
        planes: in order of redshift; order: their numbers as given.
        between: between[j][i] = f_ij for the planes i in front of plane j.
        to_source: f_is of every plane; 0 where it is not in front of the source.
        is_scaled: whether `scale` was given.

    Raises:
        InputError: several planes, or a source that is not at the reference, without redshifts; a reference in front
            of a plane; a source in front of all of them.
    """

    planes: tuple[LensPlane, ...]
    between: tuple
    to_source: tuple
    cosmology: AbstractCosmology | None
    source_redshift: Any
    reference_redshift: Any
    order: tuple[int, ...] = eqx.field(static=True)
    is_scaled: bool = eqx.field(static=True)

    def __init__(self, planes, source_redshift=None, cosmology=None, reference_redshift=None, scale=None):
        given = as_planes(planes)
        reference = source_redshift if reference_redshift is None else reference_redshift
        self.is_scaled = scale is not None
        if source_redshift is None and scale is None:
            source_redshift = reference
        check_redshifts(given, [source_redshift], reference, scale is not None)
        order = range(len(given))
        if len(given) > 1:
            order = sorted(order, key=lambda i: given[i].redshift)
        self.order = tuple(order)
        self.planes = tuple(given[i] for i in order)
        self.source_redshift, self.reference_redshift = source_redshift, reference
        needs = len(given) > 1 or (scale is None and source_redshift != reference)
        self.cosmology = as_cosmology(cosmology) if needs or reference is not None else None
        if not needs:
            self.between, self.to_source = ((),), (1.0 if scale is None else scale,)
            return
        redshifts = [plane.redshift for plane in self.planes]
        self.between = tuple(
            tuple(_factor(self.cosmology, z, far, reference) for z in redshifts[:j]) for j, far in enumerate(redshifts)
        )
        self.to_source = tuple(_factor(self.cosmology, z, source_redshift, reference) for z in redshifts)

    @property
    def mass(self):
        """The mass components of all planes."""
        return tuple(component for plane in self.planes for component in plane.mass)

    def deflections(self, x, y):
        """[(theta_x, theta_y, alpha_x, alpha_y)] of every plane: where the ray meets it and the deflection there."""
        met = []
        for plane, factors in zip(self.planes, self.between):
            theta = _bent(x, y, met, factors)
            met.append((*theta, *plane.deflection(*theta)))
        return met

    def to_plane(self, met, x, y):
        """Source-plane positions (beta_x, beta_y) of rays whose `deflections` are known."""
        return _bent(x, y, met, self.to_source)

    def ray_trace(self, x, y):
        """Source-plane position (beta_x, beta_y) [arcsec] of image-plane positions (x, y)."""
        return self.to_plane(self.deflections(x, y), x, y)

    def inverse_magnification(self, x, y):
        """det d beta / d theta, shape of x: positive, negative at saddle points, 0 on critical curves."""
        xx, xy, yx, yy = self.jacobian(x, y)
        return xx * yy - xy * yx

    def jacobian(self, x, y):
        """d beta / d theta: (xx, xy, yx, yy), with several planes not symmetric."""
        x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float))
        one, zero = jnp.ones_like(x), jnp.zeros_like(x)
        _, (xx, yx) = jax.jvp(self.ray_trace, (x, y), (one, zero))
        _, (xy, yy) = jax.jvp(self.ray_trace, (x, y), (zero, one))
        return xx, xy, yx, yy


def as_planes(planes) -> tuple[LensPlane, ...]:
    """LensPlanes from several, one, or a list of mass components in one plane."""
    if isinstance(planes, LensPlane):
        return (planes,)
    planes = tuple(planes)
    if planes and all(isinstance(plane, LensPlane) for plane in planes):
        return planes
    return (LensPlane(planes),)


def check_redshifts(planes, sources, reference, scaled=False):
    """Refuse what cannot be traced.

    Args:
        planes: LensPlanes; sources: redshifts of the sources; reference: that of the reference, or None.
        scaled: whether deflections are scaled by a number rather than by distances.

    Raises:
        InputError: see Lens.
    """
    redshifts = [plane.redshift for plane in planes]
    several = len(planes) > 1 or any(z is not None and z != reference for z in sources)
    if scaled and len(planes) > 1:
        raise InputError("deflection_scale is for a single lens plane: give redshifts")
    if several and not scaled and (None in redshifts or reference is None or None in sources):
        raise InputError("several lens planes, or sources at several distances, need the redshift of each")
    known = [z for z in redshifts if z is not None]
    for z in known:
        if reference is not None and not z < reference:
            raise InputError(f"the lens plane at redshift {z} is not in front of the source at {reference}")
    for source in sources:
        if source is not None and known and not min(known) < source:
            raise InputError(f"the source at redshift {source} is in front of the lens at {min(known)}")


def _factor(cosmology, plane, far, reference):
    """f = D(plane, far) D_r / (D_far D(plane, r)); 0 where the plane is not in front."""
    if not plane < far:
        return 0.0
    if far == reference:
        return 1.0
    distance = cosmology.angular_diameter_distance
    return distance(plane, far) * distance(0.0, reference) / (distance(0.0, far) * distance(plane, reference))


def _bent(x, y, met, factors):
    """theta - sum f alpha over the planes that were met."""
    for (_, _, alpha_x, alpha_y), factor in zip(met, factors):
        if isinstance(factor, float) and factor == 0.0:
            continue
        if not (isinstance(factor, float) and factor == 1.0):
            alpha_x, alpha_y = factor * alpha_x, factor * alpha_y
        x, y = x - alpha_x, y - alpha_y
    return x, y
