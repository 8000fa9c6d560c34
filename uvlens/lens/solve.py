"""The lens equation beta(theta) = beta by Newton's method, in JAX: in blocks for searches, differentiable for fits."""

import equinox as eqx
import jax
import jax.numpy as jnp

from .tracing import jacobian

_STEPS = 80


def newton(lens, x, y, beta_x, beta_y):
    """Images near starting positions; arrays of one shape, arcsec.

    Steps are halved where the residual would grow, and an image is done when no step makes it smaller: rounding is
    reached.

    Returns:
        x, y, |beta(theta) - beta|, as good as they got.
    """

    def residual(position):
        found, derivatives = jacobian(lens, *position)
        off = (beta_x - found[0], beta_y - found[1])
        size = jnp.hypot(*off)
        direction = tuple(jnp.where(jnp.isfinite(v), v, 0.0) for v in _solved(derivatives, off))
        return jnp.where(jnp.isfinite(size), size, jnp.inf), direction

    def step(state):
        count, position, size, direction, fraction = state
        trial = tuple(p + fraction * d for p, d in zip(position, direction))
        new_size, new_direction = residual(trial)
        better = new_size < size
        keep = lambda new, old: jnp.where(better, new, old)  # noqa: E731
        position = tuple(keep(t, p) for t, p in zip(trial, position))
        direction = tuple(keep(t, p) for t, p in zip(new_direction, direction))
        fraction = jnp.where(better, jnp.minimum(1.0, 4.0 * fraction), 0.25 * fraction)
        return count + 1, position, keep(new_size, size), direction, fraction

    def unfinished(state):
        count, _, size, _, fraction = state
        return (count < _STEPS) & jnp.any((size > 0.0) & (fraction > 1e-8))

    position = tuple(jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float)))
    size, direction = residual(position)
    state = (0, position, size, direction, jnp.ones_like(size))
    _, position, size, _, _ = jax.lax.while_loop(unfinished, step, state)
    return (*position, size)


def refine_images(lens, x, y, beta_x, beta_y):
    """Image positions near (x, y) of a source at (beta_x, beta_y), differentiable in the lens and the source.

    Newton's method to rounding, and the derivatives of the implicit function, to any order and in both modes:

        d theta = A^-1 (d beta + d alpha),   d alpha = -d_lens beta(theta) at fixed theta

    Args:
        lens: anything with `ray_trace`; its parameters may be traced by JAX.
        x, y: starting positions [arcsec]; (beta_x, beta_y): the source; shapes that broadcast.

    Returns:
        (x, y) [arcsec]. Where no image is near they are wherever the residual was least: check it with `ray_trace`.
    """
    numbers, rest = eqx.partition(lens, lambda v: isinstance(v, float) or eqx.is_inexact_array(v))
    numbers = jax.tree.map(jnp.asarray, numbers)

    @jax.custom_jvp
    def solve(numbers, start, beta):
        return newton(eqx.combine(numbers, rest), *start, *beta)[:2]

    @solve.defjvp
    def _(primals, tangents):
        (numbers, _, _), (by_numbers, _, by_beta) = primals, tangents
        theta = solve(*primals)
        _, moved = jax.jvp(lambda n: eqx.combine(n, rest).ray_trace(*theta), (numbers,), (by_numbers,))
        _, derivatives = jacobian(eqx.combine(numbers, rest), *theta)
        return theta, _solved(derivatives, tuple(b - m for b, m in zip(by_beta, moved)))

    args = jnp.broadcast_arrays(*(jnp.asarray(v, dtype=float) for v in (x, y, beta_x, beta_y)))
    return solve(numbers, tuple(args[:2]), tuple(args[2:]))


def _solved(derivatives, off):
    """A^-1 off, linear in off; 0 where A is singular."""
    xx, xy, yx, yy = derivatives
    det = xx * yy - xy * yx
    safe = jnp.isfinite(det) & (det != 0.0)
    det = jnp.where(safe, det, 1.0)
    found = (yy * off[0] - xy * off[1]) / det, (xx * off[1] - yx * off[0]) / det
    return tuple(jnp.where(safe, v, 0.0) for v in found)
