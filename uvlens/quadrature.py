"""Integrals of a brightness over pixels: a rule of few nodes everywhere, pieces of pixels where that is not enough.

    value_i = int over pixel i of I(x, y) dx dy = sum over its pieces p, sum_m side_p^2 w_m I(x_p + side_p o_m)

At first every pixel is one piece. At each of `levels` levels the `n_refine` pieces of the largest estimated error, of
all there are, are split into 3 x 3: shapes are static, the centre of a steep profile and every image of a lensed source
end in pieces 3^levels times smaller, and the rest costs order^2 evaluations a pixel. The error of a piece is the
largest difference between its value and those of companion rules, as a share of the flux in the mask.

Which pieces are split is settled without gradient: an integral is a smooth function of the parameters wherever the
choice stays the same, and its gradient is exact there. `plan_pixels` keeps the choice, for parameters that move.
"""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .oversampling import SubGrid

RULES = ("gauss-legendre", "clenshaw-curtis", "gauss-kronrod", "uniform")
ESTIMATES = ("gauss-legendre", "clenshaw-curtis", "both")
SPLIT = 3
"""Pieces a side that a piece is split into."""
LARGEST_ORDER = 64


@dataclasses.dataclass(frozen=True)
class AdaptiveSampling:
    """How pixels are integrated.

    Args:
        order: nodes a side of the rule in every piece.
        levels: how often pieces are split; 0: the rule alone.
        n_refine: pieces split at each level (all of them where there are fewer). 20 for one steep centre; where
            several images of a steep source are seen, 20 for each.
        rule: "gauss-legendre", "clenshaw-curtis", "gauss-kronrod" (odd order) or "uniform" (squares).
        estimate: the error of a piece is its difference from "gauss-legendre" of the next lower order (of the same
            order for other rules, from the embedded one for "gauss-kronrod"), from "clenshaw-curtis" of the same order
            (lower for that rule), or the larger of "both".

    Raises:
        InputError: another rule or estimate, numbers that are not whole or out of range.
    """

    order: int = 3
    levels: int = 8
    n_refine: int = 20
    rule: str = "gauss-legendre"
    estimate: str = "gauss-legendre"

    def __post_init__(self):
        if self.rule not in RULES:
            raise InputError(f"quadrature: rule must be {' or '.join(RULES)}, got {self.rule!r}")
        if self.estimate not in ESTIMATES:
            raise InputError(f"quadrature: estimate must be {' or '.join(ESTIMATES)}, got {self.estimate!r}")
        smallest = {"gauss-legendre": 1, "uniform": 1, "clenshaw-curtis": 3, "gauss-kronrod": 3}[self.rule]
        limits = {"order": (smallest, LARGEST_ORDER), "levels": (0, 20), "n_refine": (1, 1_000_000)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InputError(f"quadrature: {name} must be a whole number from {low} to {high}, got {value!r}")
        if self.rule == "gauss-kronrod" and self.order % 2 == 0:
            raise InputError(f"quadrature: the order of gauss-kronrod must be odd, got {self.order}")

    def integrate(self, brightness, mask):
        """Integrals over the pixels of a mask (see `integrate_pixels`)."""
        return integrate_pixels(brightness, mask, **dataclasses.asdict(self))

    def plan(self, brightness, mask):
        """The SubGrid of the nodes that suit a brightness (see `plan_pixels`)."""
        return plan_pixels(brightness, mask, **dataclasses.asdict(self))

    def evaluations(self, n_pixels, chosen=False):
        """Evaluations of the brightness for N pixels; `chosen`: with pieces that are known beforehand."""
        squares = n_pixels + SPLIT**2 * self.n_refine * self.levels
        rules = () if chosen or not self.levels else companions(self.rule, self.order, self.estimate)
        return squares * (self.order**2 + sum(order**2 for _, order in rules))


def integrate_pixels(
    brightness,
    mask,
    rule="gauss-legendre",
    order=3,
    levels=8,
    n_refine=20,
    estimate="gauss-legendre",
    *,
    with_error=False,
    chosen=None,
):
    """Integrals of a brightness over every pixel of a mask.

    Args:
        brightness: function of positions (x, y), shapes (M,) [arcsec], with values (M,) or (M, E) [1/arcsec^2]; it may
            trace them through a lens, and be differentiated in what it closes over.
        mask: the N pixels.
        rule, order, levels, n_refine, estimate: as of AdaptiveSampling.
        with_error: also return the estimated errors.
        chosen: which pieces are split, shape (levels, n_refine), as `refinement` gives it; None: the worst of this
            brightness.

    Returns:
        Shape (N,) or (N, E); with_error: (values, errors), both of that shape.

    Raises:
        InputError: as AdaptiveSampling.
    """
    settings = AdaptiveSampling(order, levels, n_refine, rule, estimate)
    if chosen is not None and np.shape(chosen) != (levels, n_refine):
        raise InputError(f"quadrature: chosen must have shape {(levels, n_refine)}, got {np.shape(chosen)}")
    found = _refined(brightness, mask, settings, chosen, with_error)
    values, errors = (
        jax.ops.segment_sum(a * found.pool.kept[:, None], found.pool.pixel, mask.n_pixels)
        for a in (found.value, found.error)
    )
    values, errors = (a[:, 0] if found.single else a for a in (values, errors))
    return (values, errors) if with_error else values


def refinement(brightness, mask, rule="gauss-legendre", order=3, levels=8, n_refine=20, estimate="gauss-legendre"):
    """Which squares are split, shape (levels, n_refine): `chosen` of `integrate_pixels`."""
    settings = AdaptiveSampling(order, levels, n_refine, rule, estimate)
    return jax.jit(lambda: _refined(brightness, mask, settings).chosen)()


def plan_pixels(brightness, mask, rule="gauss-legendre", order=3, levels=8, n_refine=20, estimate="gauss-legendre"):
    """The nodes of `integrate_pixels` for a brightness, to be used while its parameters move.

    Integrals are `mask.grid.pixel_area * plan.average(brightness(plan.x, plan.y))`, smooth in the parameters
    everywhere and equal to those of `integrate_pixels` at the parameters of the plan.

    Returns:
        SubGrid of (N + 8 levels n_refine) order^2 nodes, at most.
    """
    settings = AdaptiveSampling(order, levels, n_refine, rule, estimate)
    pool = jax.jit(lambda: _refined(brightness, mask, settings).pool)()
    x, y, side, pixel, _, kept = (np.asarray(a) for a in pool)
    there = np.flatnonzero((kept > 0.0) & (side > 0.0))
    there = there[np.argsort(pixel[there], kind="stable")]
    x, y, side, pixel = (a[there, None] for a in (x, y, side, pixel))
    offset_x, offset_y, weight = _tensor(rule, order)
    share = (side / mask.grid.pixel_scale) ** 2 * weight
    nodes_x, nodes_y = x + side * offset_x, y + side * offset_y
    pixels = np.broadcast_to(pixel, share.shape)
    return SubGrid(*(a.ravel() for a in (nodes_x, nodes_y, pixels, share)), mask.n_pixels)


@functools.cache
def rule_nodes(rule, order):
    """(nodes, weights) on [-1/2, 1/2] of a rule of `order` nodes; the weights add up to 1.

    gauss-legendre is exact for polynomials of degree 2 order - 1, clenshaw-curtis (extrema of a Chebyshev polynomial,
    the ends included) for order - 1, gauss-kronrod (Kronrod 1965; half of the nodes those of Gauss) for
    (3 order - 1) / 2 at least; uniform has the midpoints of equal intervals.
    """
    if rule == "uniform":
        return (np.arange(order) + 0.5) / order - 0.5, np.full(order, 1.0 / order)
    if rule == "gauss-legendre":
        nodes = np.polynomial.legendre.leggauss(order)[0]
    elif rule == "clenshaw-curtis":
        nodes = -np.cos(np.pi * np.arange(order) / (order - 1))
    else:
        gauss = np.polynomial.legendre.leggauss(order // 2)[0]
        nodes = np.sort(np.concatenate([gauss, _stieltjes_roots(order // 2)]))
    legendre = np.polynomial.legendre.legvander(nodes, order - 1)
    moments = np.zeros(order)
    moments[0] = 1.0
    return 0.5 * nodes, np.linalg.solve(legendre.T, moments)


def _stieltjes_roots(n):
    """Roots of the polynomial E of degree n + 1 with int P_n E P_k = 0 for k <= n: the nodes Kronrod added."""
    points, weights = np.polynomial.legendre.leggauss(2 * n + 2)
    legendre = np.polynomial.legendre.legvander(points, n + 1)
    products = (legendre[:, : n + 1] * (weights * legendre[:, n])[:, None]).T @ legendre
    coefficients = np.linalg.lstsq(products[:, :-1], -products[:, -1], rcond=1e-12)[0]
    return np.polynomial.legendre.legroots(np.append(coefficients, 1.0))


def companions(rule, order, estimate):
    """(rule, order) of those whose differences from a rule estimate its error (see AdaptiveSampling)."""
    gauss = {"gauss-legendre": order - 1 if order > 1 else 2, "gauss-kronrod": order // 2}.get(rule, order)
    clenshaw = order - 1 if rule == "clenshaw-curtis" else max(order, 2)
    found = {"gauss-legendre": ("gauss-legendre", gauss), "clenshaw-curtis": ("clenshaw-curtis", clenshaw)}
    return tuple(found.values()) if estimate == "both" else (found[estimate],)


class _Pool(NamedTuple):
    """Squares of `side` about (x, y) in slim pixel `pixel`, shapes (P,): N pixels, then the parts of every level.

    `error` is -1 where a square was split or is not there yet; `kept` is 0 where it was split.
    """

    x: jax.Array
    y: jax.Array
    side: jax.Array
    pixel: jax.Array
    error: jax.Array
    kept: jax.Array


class _Refined(NamedTuple):
    """The pool after all levels, values and errors (P, E) of its squares, indices (levels, n_refine) of those split."""

    pool: _Pool
    value: jax.Array
    error: jax.Array
    chosen: jax.Array
    single: bool


def _refined(brightness, mask, settings, chosen=None, with_error=False):
    """Split the squares of the largest errors, level by level: one loop, so that a brightness is compiled twice."""
    x, y, n_pixels = jnp.asarray(mask.x), jnp.asarray(mask.y), mask.n_pixels
    side, n_parts = jnp.full(n_pixels, mask.grid.pixel_scale), SPLIT**2 * settings.n_refine
    estimate = with_error or (chosen is None and settings.levels > 0)
    value, error, single = _evaluated(brightness, settings, x, y, side, estimate)
    unit = jax.lax.stop_gradient(jnp.sum(jnp.abs(value), axis=0))
    per_unit = jnp.where(unit > 0.0, 1.0 / jnp.where(unit > 0.0, unit, 1.0), 0.0)
    n_later = settings.levels * n_parts
    pool = _Pool(
        # squares that are not there yet have no area, and lie where the brightness is known to be finite
        jnp.concatenate([x, jnp.full(n_later, x[0])]),
        jnp.concatenate([y, jnp.full(n_later, y[0])]),
        jnp.concatenate([side, jnp.zeros(n_later)]),
        jnp.concatenate([jnp.arange(n_pixels), jnp.zeros(n_later, int)]),
        jnp.concatenate([jnp.max(error * per_unit, axis=1), jnp.full(n_later, -1.0)]),
        jnp.ones(n_pixels + n_later),
    )

    def split(pool, level):
        first, indices = level
        if chosen is None:
            indices = jax.lax.top_k(pool.error, settings.n_refine)[1]
        parts = _parts(pool, indices)
        value, error, _ = _evaluated(brightness, settings, *parts[:3], estimate)
        new = _Pool(*parts, jnp.max(error * per_unit, axis=1), jnp.ones(n_parts))
        pool = pool._replace(error=pool.error.at[indices].set(-1.0), kept=pool.kept.at[indices].set(0.0))
        pool = jax.tree_util.tree_map(lambda old, part: jax.lax.dynamic_update_slice(old, part, (first,)), pool, new)
        return pool, (value, error, indices)

    if not settings.levels:
        return _Refined(pool, value, error, jnp.zeros((0, settings.n_refine), int), single)
    firsts = n_pixels + n_parts * jnp.arange(settings.levels)
    pool, (values, errors, indices) = jax.lax.scan(split, pool, (firsts, firsts if chosen is None else chosen))
    values, errors = (
        jnp.concatenate([one, later.reshape(-1, one.shape[1])]) for one, later in ((value, values), (error, errors))
    )
    return _Refined(pool, values, errors, indices, single)


def _parts(pool, indices):
    """(x, y, side, pixel) of the SPLIT^2 parts of squares."""
    step = (np.arange(SPLIT) + 0.5) / SPLIT - 0.5
    along_y, along_x = (a.ravel() for a in np.meshgrid(step, step, indexing="ij"))
    side = pool.side[indices]
    x = (pool.x[indices][:, None] + side[:, None] * along_x).ravel()
    y = (pool.y[indices][:, None] + side[:, None] * along_y).ravel()
    return x, y, jnp.repeat(side / SPLIT, SPLIT**2), jnp.repeat(pool.pixel[indices], SPLIT**2)


def _evaluated(brightness, settings, x, y, side, estimate):
    """(values (P, E), estimated errors (P, E), whether E is a single column) of pieces."""
    value, single = _applied(brightness, settings.rule, settings.order, x, y, side)
    error = jnp.zeros_like(value)
    if estimate:
        for rule, order in companions(settings.rule, settings.order, settings.estimate):
            other, _ = _applied(brightness, rule, order, x, y, side)
            error = jnp.maximum(error, jnp.abs(other - value))
    return value, jax.lax.stop_gradient(error), single


def _applied(brightness, rule, order, x, y, side):
    offset_x, offset_y, weight = _tensor(rule, order)
    nodes = x[:, None] + side[:, None] * offset_x, y[:, None] + side[:, None] * offset_y
    values = jnp.asarray(brightness(nodes[0].ravel(), nodes[1].ravel()))
    single = values.ndim == 1
    values = values.reshape(len(x), len(weight), -1)
    return jnp.einsum("pme,m->pe", values, weight) * side[:, None] ** 2, single


def _tensor(rule, order):
    """Offsets and weights of the rule on a square of side 1, shapes (order^2,)."""
    nodes, weights = rule_nodes(rule, order)
    along_y, along_x = (a.ravel() for a in np.meshgrid(nodes, nodes, indexing="ij"))
    return along_x, along_y, np.outer(weights, weights).ravel()
