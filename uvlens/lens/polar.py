"""Areas within tangential critical curves in polar form: one compiled function for thousands of lenses.

    det A(c + r (cos phi, sin phi)) = 0  ->  r(phi),        area = 1/2 int r^2 dphi

Along each ray from a point c inside the curve the sign of det A is looked up at a few radii about those of a known
curve; where it turns positive outwards exactly once the crossing is found by bracketed interpolation. The trapezoidal
rule over a period converges exponentially for a smooth curve: half of the angles give the same area, or the polar form
is not good enough (curves that are not star-shaped, pairs of curves, kinks) and the answer is NaN.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from .critical import effective_einstein_radius, find_critical_curves

_ANGLES = (96, 384)
"""Rays; lenses for which the first number is not enough get the second."""
_FACTORS = np.geomspace(0.6, 1.0 / 0.6, 15)
"""Radii at which signs are looked up, over those of the known curve."""
_ROOTS = 12
_AGREE = 5e-7
"""Largest relative difference between the radii of all angles and of half of them: the error is its square."""
_BLOCK = 64
_MOST_CURVES = 20
"""Lenses without a polar form whose curve is sought on the host, at most."""


def einstein_radii(lens_at, vectors, best, center, half, n=60):
    """Effective Einstein radii of many lenses of one kind.

    Args:
        lens_at: vector -> Lens, in JAX.
        vectors: parameters, shape (M, n).
        best: those of the lens whose curve the others are sought about, shape (n,).
        center, half: middle and half the side of the box in which that curve is sought [arcsec].
        n: cells along a curve a side of the box (see `effective_einstein_radius`).

    Returns:
        (radii, shape (M,) [arcsec], NaN where there is no curve; radius of `best`).
    """
    at_best = lens_at(jnp.asarray(best))
    curves = find_critical_curves(at_best, center, half, 2.0 * half / n)
    curves = [one for one in curves if one.closed and one.kind == "tangential"]
    radii = np.full(len(vectors), np.nan)
    curve = max(curves, key=lambda one: one.area, default=None)
    origin, known = (None, None) if curve is None else _polar(curve.points)
    if known is not None:
        for n_angles in _ANGLES:
            missing = np.flatnonzero(~np.isfinite(radii))
            if missing.size:
                radii[missing] = _polar_radii(lens_at, np.asarray(vectors)[missing], origin, known, n_angles)
    missing = np.flatnonzero(~np.isfinite(radii))
    stride = max(1, -(-len(missing) // _MOST_CURVES))
    for i in missing[::stride]:
        radii[i] = effective_einstein_radius(lens_at(jnp.asarray(vectors[i])), center, half, n)
    return radii, float("nan") if curve is None else float(np.sqrt(curve.area / np.pi))


def _polar(points):
    """(origin, angles -> radii) of a closed curve; None for one that is not star-shaped about its middle."""
    low, high = points.min(axis=0), points.max(axis=0)
    origin = 0.5 * (low + high)
    offset = points[:-1] - origin
    angle = np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]))
    angle = angle if angle[-1] > angle[0] else -angle
    if not (np.diff(angle) > 0.0).all():
        return origin, None
    order = np.argsort(np.arctan2(offset[:, 1], offset[:, 0]))
    phi, r = np.arctan2(offset[:, 1], offset[:, 0])[order], np.hypot(*offset[order].T)
    return origin, lambda angles: np.interp(angles, phi, r, period=2.0 * np.pi)


def _polar_radii(lens_at, vectors, origin, known, n_angles):
    """Radii, NaN where the polar form fails, shape (M,)."""
    phi = 2.0 * np.pi * (np.arange(n_angles) + 0.37) / n_angles
    scale = known(phi)
    padding = -len(vectors) % _BLOCK if len(vectors) > _BLOCK else 0
    padded = np.concatenate([vectors, np.repeat(vectors[-1:], padding, axis=0)])
    blocks = padded.reshape(-1, min(_BLOCK, len(padded)), vectors.shape[1])
    arguments = [jnp.asarray(a) for a in (origin, np.cos(phi), np.sin(phi), scale)]
    function = jax.jit(jax.vmap(functools.partial(_radius, lens_at), in_axes=(0, None, None, None, None)))
    found = [np.asarray(function(jnp.asarray(block), *arguments)) for block in blocks]
    return np.concatenate(found)[: len(vectors)]


def _radius(lens_at, vector, origin, cosine, sine, scale):
    """sqrt(mean r^2) of one lens, NaN where the polar form fails."""
    lens = lens_at(vector)

    def determinant(r):
        return lens.inverse_magnification(origin[0] + r * cosine, origin[1] + r * sine)

    radii = scale * _FACTORS[:, None]
    signs = jax.lax.map(determinant, radii)
    crossed = (signs[:-1] < 0.0) & (signs[1:] > 0.0)
    once = jnp.all(jnp.sum(crossed, axis=0) == 1)
    first = jnp.argmax(crossed, axis=0)
    rays = jnp.arange(len(scale))
    low, high = radii[first, rays], radii[first + 1, rays]
    r = _root(determinant, low, high, signs[first, rays], signs[first + 1, rays])
    every, half = jnp.sqrt(jnp.mean(r**2)), jnp.sqrt(jnp.mean(r[::2] ** 2))
    good = once & (jnp.abs(every - half) < _AGREE * every)
    return jnp.where(good, every, jnp.nan)


def _root(function, low, high, f_low, f_high):
    """Where the function vanishes between low and high, f_low < 0 < f_high: regula falsi of Anderson & Bjorck."""

    def step(_, state):
        low, high, f_low, f_high, _ = state
        r = low - f_low * (high - low) / (f_high - f_low)
        r = jnp.where((r > low) & (r < high), r, 0.5 * (low + high))
        f = function(r)
        below = f < 0.0
        ratio = 1.0 - f / jnp.where(below, f_low, f_high)
        weight = jnp.where(ratio > 0.0, ratio, 0.5)
        new_low, new_high = jnp.where(below, r, low), jnp.where(below, high, r)
        return new_low, new_high, jnp.where(below, f, f_low * weight), jnp.where(below, f_high * weight, f), r

    return jax.lax.fori_loop(0, _ROOTS, step, (low, high, f_low, f_high, low))[-1]
