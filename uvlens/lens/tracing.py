"""Rays through a lens by the thousand from the host: compiled once for each kind of lens, in blocks of fixed size.

A lens is whatever has `ray_trace(x, y)`: a Lens, a LensPlane, or a component of one's own. Its floats become
arrays before compilation, so lenses that differ by their numbers share one program.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError

_BLOCK = 2048


class Rays(NamedTuple):
    """Traced rays, arrays of one shape.

    Attributes:
        beta_x, beta_y: source-plane positions [arcsec].
        xx, xy, yx, yy: d beta / d theta.
        met: shape (..., planes, 2), where the rays meet each lens plane [arcsec].
    """

    beta_x: np.ndarray
    beta_y: np.ndarray
    xx: np.ndarray
    xy: np.ndarray
    yx: np.ndarray
    yy: np.ndarray
    met: np.ndarray

    @property
    def determinant(self):
        return self.xx * self.yy - self.xy * self.yx

    @property
    def trace(self):
        return self.xx + self.yy


def jacobian(lens, x, y):
    """(beta_x, beta_y), (xx, xy, yx, yy): rays and d beta / d theta by two forward derivatives; in JAX."""
    x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float))
    one, zero = jnp.ones_like(x), jnp.zeros_like(x)
    beta, (xx, yx) = jax.jvp(lens.ray_trace, (x, y), (one, zero))
    _, (xy, yy) = jax.jvp(lens.ray_trace, (x, y), (zero, one))
    return beta, (xx, xy, yx, yy)


def determinant(lens, x, y):
    """det d beta / d theta; in JAX."""
    _, (xx, xy, yx, yy) = jacobian(lens, x, y)
    return xx * yy - xy * yx


def trace_rays(lens, x, y) -> Rays:
    """Rays of positions (x, y) [arcsec], any common shape.

    Raises:
        InputError: the lens has no finite deflection somewhere.
    """
    rays = Rays(*in_blocks(_rays, lens, x, y))
    finite = np.isfinite(rays.beta_x) & np.isfinite(rays.beta_y) & np.isfinite(rays.determinant)
    if not finite.all():
        x, y = (np.broadcast_to(v, finite.shape)[~finite][0] for v in (x, y))
        raise InputError(f"lens: the ray at ({x:.6g}, {y:.6g}) arcsec or its derivative is not finite")
    return rays


def source_positions(lens, x, y):
    """(beta_x, beta_y), where the rays of positions (x, y) [arcsec] meet the source; NaN where they do not."""
    return in_blocks(_ray_trace, lens, x, y)


def in_blocks(function, lens, *arrays):
    """A function of (lens, *arrays) -> tree of arrays, jitted, on blocks of points; leading axes are those of `arrays`.

    Args:
        function: of the lens and arrays of shape (block,); it has to be the same object at every call.
        lens: a pytree.
        arrays: one for each argument, of any common shape.
    """
    arrays = np.broadcast_arrays(*(np.asarray(a, dtype=float) for a in arrays))
    shape, flat = arrays[0].shape, [a.ravel() for a in arrays]
    lens, n = with_arrays(lens), flat[0].size
    pieces = []
    for start in range(0, max(n, 1), _BLOCK):
        piece = [a[start : start + _BLOCK] for a in flat]
        count = piece[0].size
        fill = [np.pad(a, (0, _BLOCK - count), mode="edge") if count else np.zeros(_BLOCK) for a in piece]
        found = _compiled(function, lens, *fill)
        pieces.append(jax.tree.map(lambda v, count=count: np.asarray(v)[:count], found))
    whole = jax.tree.map(lambda *parts: np.concatenate(parts), *pieces)
    return jax.tree.map(lambda v: v.reshape(shape + v.shape[1:]), whole)


def with_arrays(lens):
    """The lens with arrays for plain floats."""
    return jax.tree.map(lambda v: jnp.asarray(v) if isinstance(v, float) else v, lens)


def planes_of(lens):
    """Lens planes in the order in which rays meet them; () where nothing says."""
    planes = getattr(lens, "planes", None)
    if planes is not None:
        return tuple(planes)
    return (lens,) if hasattr(lens, "mass") else ()


def component_centers(plane):
    """Centres of a plane's components, shape (n, 2) [arcsec]."""
    pairs = [_center(one) for one in plane.mass]
    pairs = [pair for pair in pairs if None not in pair]
    found = [np.stack(np.broadcast_arrays(*(np.ravel(np.asarray(v, float)) for v in pair)), axis=1) for pair in pairs]
    return np.unique(np.concatenate(found), axis=0) if found else np.zeros((0, 2))


def _center(component):
    """(x, y), of a borrowed profile among its arguments; None where it has no centre."""
    arguments = getattr(component, "arguments", {})
    return tuple(getattr(component, key, arguments.get(key)) for key in ("center_x", "center_y"))


@eqx.filter_jit
def _compiled(function, lens, *arrays):
    return function(lens, *arrays)


def _ray_trace(lens, x, y):
    return lens.ray_trace(x, y)


def _rays(lens, x, y):
    beta, derivatives = jacobian(lens, x, y)
    if hasattr(lens, "deflections"):
        met = [jnp.stack(jnp.broadcast_arrays(*found[:2]), axis=-1) for found in lens.deflections(x, y)]
    else:
        met = [jnp.stack([x, y], axis=-1) for _ in planes_of(lens)]
    stacked = jnp.stack(met, axis=-2) if met else jnp.zeros((*x.shape, 0, 2))
    return (*beta, *derivatives, stacked)
