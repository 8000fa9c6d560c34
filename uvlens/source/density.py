"""Where the traced rays lie along one axis: their range and their cumulative density, as smooth functions of them all.

The density is a cubic B-spline through a histogram in which each ray is shared by four bins (a cubic B-spline again),
mixed with a constant; its integral u(beta) is strictly increasing, three times continuously differentiable in beta and
twice in every ray, and costs one pass over the rays.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .splines import cubic_pieces

SOFTNESS = 0.01
_SMALLEST = 1e-9
_BISECTIONS = 40


class Cumulative(NamedTuple):
    """u(beta), from 0 to 1 over `bins` bins.

    Attributes:
        low: beta at u = 0 [arcsec].
        width: of a bin [arcsec].
        density: coefficients of the density, shape (bins + 3,) [1 / bin].
        integral: u at the lower edge of each bin, shape (bins,).
    """

    low: Float[Array, ""]
    width: Float[Array, ""]
    density: Float[Array, " bins3"]
    integral: Float[Array, " bins"]

    def _around(self, position):
        bins = self.integral.shape[0]
        cell = jax.lax.stop_gradient(jnp.clip(jnp.floor(position), 0, bins - 1)).astype(jnp.int32)
        return cell, position - cell, self.density[cell[..., None] + jnp.arange(4)]

    def _fraction(self, position):
        cell, t, coefficients = self._around(position)
        r = 1.0 - t
        pieces = [1.0 - r**4, _middle(t), 11.0 - _middle(r), t**4]
        return self.integral[cell] + jnp.sum(coefficients * jnp.stack(pieces, axis=-1), axis=-1) / 24.0

    def _slope(self, position):
        _, t, coefficients = self._around(position)
        return jnp.sum(coefficients * jnp.stack(cubic_pieces(t), axis=-1), axis=-1)

    def fraction(self, beta):
        """u(beta), within the range."""
        return self._fraction((beta - self.low) / self.width)

    def quantile(self, fraction):
        """beta at u = `fraction`, by bisection and two steps of Newton that carry first and second derivatives."""
        bins = self.integral.shape[0]

        def halve(_, bounds):
            low, high = bounds
            middle = 0.5 * (low + high)
            above = frozen._fraction(middle) > target
            return jnp.where(above, low, middle), jnp.where(above, middle, high)

        frozen, target = jax.lax.stop_gradient((self, fraction))
        start = (jnp.zeros_like(target), jnp.full_like(target, bins))
        position = 0.5 * sum(jax.lax.fori_loop(0, _BISECTIONS, halve, start))
        for _ in range(2):
            position = position - (self._fraction(position) - fraction) / self._slope(position)
        return self.low + self.width * position


def _middle(t):
    return 16.0 * t - 8.0 * t**3 + 3.0 * t**4


def cumulative_density(values, weights, low, high, floor, bins):
    """Cumulative of values (any shape) between low and high.

    Args:
        values: [arcsec].
        weights: of the values, >= 0, or None for equal ones; negative weights count as 0.
        low, high: the range; what lies outside counts at its ends.
        floor: share of the constant in the density, 0 < floor <= 1.
        bins: number of bins.
    """
    values = values.ravel()
    width = (high - low) / bins
    position = jnp.clip((values - low) / width, 0.0, bins)
    cell = jax.lax.stop_gradient(jnp.minimum(jnp.floor(position), bins - 1))
    shares = jnp.stack(cubic_pieces(position - cell), axis=-1)
    if weights is None:
        total = float(values.size)
    else:
        weights = jnp.maximum(weights.ravel(), 0.0)
        shares, total = shares * weights[:, None], jnp.sum(weights)
        total = jnp.where(total > 0.0, total, 1.0)
    index = cell.astype(jnp.int32)[:, None] + jnp.arange(4, dtype=jnp.int32)
    counts = jnp.zeros(bins + 3).at[index].add(shares, mode="promise_in_bounds")
    density = (1.0 - floor) * counts / total + floor / bins
    cells = (density[:-3] + 11.0 * density[1:-2] + 11.0 * density[2:-1] + density[3:]) / 24.0
    sums = jnp.cumsum(cells)
    integral = jnp.concatenate([jnp.zeros(1), sums[:-1]])
    return Cumulative(low, width, density / sums[-1], integral / sums[-1])


def soft_range(values):
    """Differentiable smallest and largest value: a log-sum-exp with a scale of 1 % of the standard deviation.

    It lies outside the hard range, by at most that scale times the logarithm of the number of values. Values that are
    all alike get a range of about 1e-9 arcsec, not NaN.
    """
    scale = SOFTNESS * jnp.sqrt(jnp.var(values) + _SMALLEST**2)
    high = scale * jax.nn.logsumexp(values / scale)
    low = -scale * jax.nn.logsumexp(-values / scale)
    return low, high


def covered_range(values, cover, bins=64):
    """The soft range of a share `cover` of the values: (1 - cover) / 2 of them left out at either end."""
    low, high = soft_range(values)
    if cover == 1.0:
        return low, high
    # the constant keeps the quantiles of empty stretches distinct
    rays = cumulative_density(values, None, low, high, 1e-3, bins)
    return tuple(rays.quantile(jnp.array([0.5 * (1.0 - cover), 0.5 * (1.0 + cover)])))
