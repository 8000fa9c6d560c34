"""Priors of several parameters together: ellipticities, shears and offsets by size and angle; normals.

    e1 = -|e| cos 2 PA,   e2 = |e| sin 2 PA,   |e| = (1 - q) / (1 + q)          ellipticity
    gamma1 = -g cos 2 PA, gamma2 = g sin 2 PA                                   shear (PA of the stretch)
    x = x_0 + r sin PA,   y = y_0 + r cos PA                                    position

The parameters stay e1, e2 (gamma1, gamma2; center_x, center_y); only their prior is stated otherwise. An angle of which
nothing is known has no ends in the unconstrained space either: with (z1, z2) normal and z = |(z1, z2)|,

    |e| = G^-1(1 - exp(-z^2 / 2)),    direction of (e1, e2) = direction of (z1, z2)

G the cumulative distribution of |e|. A stated prior of the angle is z2 alone, and z1 is q; then the angle has ends, and
a posterior near them lies in two pieces.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr, ndtri

from .closedforms import FURTHEST
from .errors import InputError
from .paths import path_name
from .priors import as_prior, is_free, is_tied

_WRAPS = range(-4, 5)


class Plane(NamedTuple):
    """How a size and an angle make two numbers.

    Attributes:
        name: in a model file.
        size: of what is stated as a prior, "axis_ratio".
        modulus: size -> length of the vector, monotonic.
        size_of: its inverse.
        log_slope: ln |d modulus / d size|.
        turns: times that the vector turns while the angle goes round; its period is 360 / turns deg.
        falls: whether the modulus falls with the size.
    """

    name: str
    size: str
    modulus: Callable
    size_of: Callable
    log_slope: Callable
    turns: int
    falls: bool

    def vector(self, modulus, angle):
        """The two numbers; angle East of North [deg]."""
        phase = self.turns * jnp.deg2rad(angle)
        if self.turns == 2:
            return jnp.stack([-modulus * jnp.cos(phase), modulus * jnp.sin(phase)])
        return jnp.stack([modulus * jnp.sin(phase), modulus * jnp.cos(phase)])

    def angle(self, first, second):
        """The angle of two numbers, in [0, period) [deg]."""
        if self.turns == 2:
            return jnp.mod(0.5 * jnp.rad2deg(jnp.arctan2(second, -first)), 180.0)
        return jnp.mod(jnp.rad2deg(jnp.arctan2(first, second)), 360.0)


ELLIPTICITY = Plane(
    "ellipticity",
    "axis_ratio",
    lambda q: (1.0 - q) / (1.0 + q),
    lambda modulus: (1.0 - modulus) / (1.0 + modulus),
    lambda q: jnp.log(2.0) - 2.0 * jnp.log1p(q),
    2,
    True,
)
SHEAR = Plane("shear", "strength", lambda g: g, lambda g: g, lambda g: jnp.zeros_like(g), 2, False)
POSITION = Plane("position", "radius", lambda r: r, lambda r: r, lambda r: jnp.zeros_like(r), 1, False)


@dataclasses.dataclass(frozen=True, eq=False)
class PolarPrior:
    """A prior of two numbers by a size and an angle.

    Args:
        plane: ELLIPTICITY, SHEAR or POSITION.
        size: Prior of the size.
        angle: Prior of the angle [deg], or None: all are equally likely.
        center: of a position [arcsec].
    """

    plane: Plane
    size: object
    angle: object = None
    center: tuple[float, float] = (0.0, 0.0)
    parents: tuple = ()

    def __len__(self):
        return 2

    def from_normal(self, z, values):
        """The two numbers of (z1, z2)."""
        if self.angle is None:
            squared = jnp.sum(z**2)
            radius = jnp.sqrt(jnp.maximum(squared, 1e-30))
            size = self._size_at(radius)
            found = self.plane.modulus(size) * z / radius
        else:
            found = self.plane.vector(
                self.plane.modulus(self.size.from_normal(z[0], {})), self.angle.from_normal(z[1], {})
            )
        return found + jnp.asarray(self.center)

    def to_normal(self, x, values):
        """(z1, z2) of the two numbers; of angles that a prior holds several times, that of the highest density."""
        first, second = x - jnp.asarray(self.center)
        modulus = jnp.sqrt(jnp.maximum(first**2 + second**2, 1e-60))
        size = self.plane.size_of(modulus)
        if self.angle is None:
            z = self.size.to_normal(size, {})
            below = -z if self.plane.falls else z
            radius = jnp.sqrt(-2.0 * _log_phi(-below))
            return radius * jnp.stack([first, second]) / modulus
        angles = self._wrapped(first, second)
        densities = jnp.stack([self.angle.log_prob(one, {}) for one in angles])
        best = jnp.stack(angles)[jnp.argmax(densities)]
        return jnp.stack([self.size.to_normal(size, {}), self.angle.to_normal(best, {})])

    def log_prob(self, x, values):
        """ln of the density per unit area of the two numbers."""
        first, second = x - jnp.asarray(self.center)
        modulus = jnp.sqrt(jnp.maximum(first**2 + second**2, 1e-60))
        size = self.plane.size_of(modulus)
        # d^2 x = modulus d modulus d phase, phase = turns * angle
        log_density = self.size.log_prob(size, {}) - self.plane.log_slope(size) - jnp.log(modulus)
        if self.angle is None:
            return log_density - math.log(2.0 * math.pi)
        densities = jnp.stack([self.angle.log_prob(one, {}) for one in self._wrapped(first, second)])
        highest = jnp.max(densities)
        safe = jnp.where(jnp.isfinite(highest), highest, 0.0)
        summed = safe + jnp.log(jnp.sum(jnp.exp(densities - safe)))
        return log_density + summed - jnp.log(self.plane.turns * jnp.pi / 180.0)

    def _size_at(self, radius):
        """The size where 1 - exp(-radius^2 / 2) of the vectors are shorter."""
        radius = jnp.minimum(radius, FURTHEST)
        longer = jnp.exp(-0.5 * radius**2)
        shorter = -jnp.expm1(-0.5 * radius**2)
        z = jnp.where(longer < shorter, -_ndtri(longer), _ndtri(shorter))
        return self.size.from_normal(-z if self.plane.falls else z, {})

    def _wrapped(self, first, second):
        period = 360.0 / self.plane.turns
        angle = self.plane.angle(first, second)
        middle = self.angle.from_normal(0.0, {})
        nearest = angle + period * jnp.round((middle - angle) / period)
        return [nearest + period * k for k in _WRAPS]

    def __str__(self):
        angle = "any" if self.angle is None else str(self.angle)
        place = f", about {list(self.center)}" if any(self.center) else ""
        return f"{self.plane.name}({self.plane.size} {self.size}, position_angle {angle}{place})"


@dataclasses.dataclass(frozen=True, eq=False)
class NormalPrior:
    """Normal of n parameters.

    Args:
        mean: shape (n,).
        covariance: shape (n, n).
    """

    mean: np.ndarray
    covariance: np.ndarray
    parents: tuple = ()

    def __len__(self):
        return len(self.mean)

    @property
    def factor(self):
        """Lower Cholesky factor of the covariance."""
        return np.linalg.cholesky(self.covariance)

    def from_normal(self, z, values):
        """mean + C z."""
        return self.mean + self.factor @ z

    def to_normal(self, x, values):
        """C^-1 (x - mean)."""
        return jnp.asarray(np.linalg.inv(self.factor)) @ (x - self.mean)

    def log_prob(self, x, values):
        """ln of the density."""
        z = self.to_normal(x, values)
        log_det = float(np.sum(np.log(np.diag(self.factor))))
        return -0.5 * jnp.sum(z**2) - log_det - 0.5 * len(self) * math.log(2.0 * math.pi)

    def __str__(self):
        return f"normal of {len(self)} parameters, covariance {hash_of(self.covariance)}"


@dataclasses.dataclass(frozen=True, eq=False)
class JointMember:
    """One parameter of a joint prior, in the place of a prior of its own.

    Attributes:
        joint: the prior of all of them.
        number: which one it is.
        is_chained: whether it is the posterior of an earlier fit.
    """

    joint: object
    number: int
    is_chained: bool = False
    name = "joint"
    arguments = ()
    bounds = ()
    interval = None

    @property
    def parents(self):
        """Paths that the joint prior depends on."""
        return self.joint.parents

    def __str__(self):
        if isinstance(self.joint, NormalPrior):
            mean, sigma = self.joint.mean[self.number], math.sqrt(self.joint.covariance[self.number, self.number])
            return f"normal({mean:.6g}, {sigma:.6g}), {self.number + 1} of {self.joint}"
        return str(self.joint)


def members_of(joint, is_chained=False):
    """A JointMember for every parameter."""
    return tuple(JointMember(joint, i, is_chained) for i in range(len(joint)))


def EllipticityPrior(axis_ratio, position_angle=None):
    """(e1, e2) by priors of axis ratio and position angle: `uvl.SIE(theta_E, *uvl.EllipticityPrior(Uniform(0.3, 1)))`.

    Args:
        axis_ratio: prior within (0, 1].
        position_angle: prior [deg East of North], of whatever range; None: all angles alike.

    Raises:
        InputError: an axis ratio outside; dependent priors.
    """
    return _polar(ELLIPTICITY, axis_ratio, position_angle, 1.0)


def ShearPrior(strength, position_angle=None):
    """(gamma1, gamma2) by priors of strength and position angle of the stretch [deg East of North]; None: any."""
    return _polar(SHEAR, strength, position_angle, math.inf)


def PositionPrior(radius, position_angle=None, center=(0.0, 0.0)):
    """(x, y) by priors of distance [arcsec] and position angle [deg East of North] about a centre; None: any."""
    return _polar(POSITION, radius, position_angle, math.inf, tuple(float(one) for one in center))


def MultivariateNormal(mean, covariance, is_chained=False):
    """A JointMember for each of n parameters with a normal prior of all: a posterior's covariance, handed on.

    Args:
        mean: shape (n,).
        covariance: shape (n, n), positive definite.
        is_chained: whether it is the posterior of an earlier fit.

    Raises:
        InputError: shapes that do not agree, a covariance that is not positive definite.
    """
    mean, covariance = np.atleast_1d(np.asarray(mean, dtype=float)), np.asarray(covariance, dtype=float)
    n = len(mean)
    if mean.ndim != 1 or covariance.shape != (n, n) or not np.all(np.isfinite(covariance)) or not n:
        raise InputError(f"multivariate normal: expected n means and n x n, got {mean.shape} and {covariance.shape}")
    if not np.allclose(covariance, covariance.T, rtol=1e-8, atol=0.0):
        raise InputError("multivariate normal: the covariance is not symmetric")
    try:
        np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise InputError("multivariate normal: the covariance is not positive definite") from None
    return members_of(NormalPrior(mean, covariance), is_chained)


def hash_of(array):
    """Eight letters that identify an array."""
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:8]


def with_joint_priors(tree, stated):
    """The tree with members of joint priors at their paths.

    Args:
        tree: components.
        stated: [(paths, members)].

    Raises:
        InputError: a path that is not in the tree or stands in two joint priors.
    """
    if not stated:
        return tree
    chosen = {}
    for paths, members in stated:
        for path, member in zip(paths, members):
            if path in chosen:
                raise InputError(f"joint_priors: {path} stands twice")
            chosen[path] = member
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda one: is_free(one) or is_tied(one))
    known = [path_name(key) for key, _ in leaves]
    for path in chosen:
        if path not in known:
            raise InputError(f"joint_priors: {path!r} is not a parameter of the model that has a value of its own")
    return jax.tree_util.tree_unflatten(structure, [chosen.get(p, leaf) for p, (_, leaf) in zip(known, leaves)])


def _polar(plane, size, angle, largest, center=(0.0, 0.0)):
    for name, one in ((plane.size, size), ("position_angle", angle)):
        if one is None and name == "position_angle":
            continue
        if not is_free(one):
            raise InputError(f"{plane.name}: {name} must be a prior, got {one!r}; fix it in the component itself")
        if as_prior(one).parents:
            raise InputError(f"{plane.name}: the prior of {name} may not depend on other parameters")
    size = as_prior(size)
    low, high = size.family.bounds(*size.arguments)
    if low < 0.0 or high > largest:
        span = f"(0, {largest:g}]" if math.isfinite(largest) else "[0, infinity)"
        raise InputError(f"{plane.name}: {plane.size} must lie in {span}, its prior {size} does not: bound it")
    return members_of(PolarPrior(plane, size, None if angle is None else as_prior(angle), center))


def _ndtri(p):
    return ndtri(jnp.clip(p, 1e-300, 0.75))


def _log_phi(z):
    return log_ndtr(z)
