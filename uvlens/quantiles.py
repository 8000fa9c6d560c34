"""Quantiles of any density of one number, tabulated once: x of z with F(x) = Phi(z), and back.

The density is integrated from both ends on panels of ten Gauss-Legendre points, halved until nothing changes; both
tails keep their relative accuracy. What is interpolated is t(z), t = asinh((y - m) / s) of the coordinate y of x that
has no bounds, m and s the median and width of draws: a monotone cubic through its values and exact slopes.
"""

import math

import jax.numpy as jnp
import numpy as np
from scipy.special import log_expit, ndtri

from .errors import InputError

LARGEST_ERROR = 1e-6
"""Of a table, in z where |z| < 5: worse ones are refused. Those of smooth densities are good to 1e-9."""
_STEP = 0.02
"""Nodes are closer than this in z."""
_FURTHEST = 8.0
_ROUNDS, _REFINEMENTS, _MOST = 40, 8, 30_000
_WANTED_ERROR = 1e-11


class QuantileTable:
    """x(z) and z(x) of one density.

    Args:
        log_density: of an array of x inside the bounds.
        low, high: of its support, infinite where there is none.
        draws: some samples, for its place and scale.
        name: for messages.

    Attributes:
        error: largest |z(F(x)) - z| between nodes, |z| < 5.

    Raises:
        InputError: a density whose integral is not 1, one with gaps or spikes that no table can follow.
    """

    def __init__(self, log_density, low, high, draws, name):
        self.low, self.high, self.name = float(low), float(high), name
        self._log_density = log_density
        y = self._unbounded(np.asarray(draws, dtype=float))
        y = y[np.isfinite(y)]
        self._middle = float(np.median(y))
        self._scale = float(np.subtract(*np.quantile(y, [0.8, 0.2]))) or 1.0
        edges = self._edges()
        for _ in range(_REFINEMENTS):
            error = self._tabulate(edges)
            middle = 0.5 * (self._t[:-1] + self._t[1:])[error > _WANTED_ERROR]
            if not len(middle) or len(edges) > _MOST:
                break
            edges = np.sort(np.concatenate([edges, middle]))
        between = np.abs(0.5 * (self._z[:-1] + self._z[1:])) < 5.0
        self.error = float(error[between].max())
        if not self.error < LARGEST_ERROR:
            raise InputError(
                f"prior {name}: its quantiles cannot be tabulated (error {self.error:.1e} in z): gaps or spikes?"
            )

    def _tabulate(self, edges):
        """Nodes of the curve at edges of panels; its error half-way between them."""
        mass = self._mass(edges[:-1], edges[1:])
        total = mass.sum()
        if not abs(total - 1.0) < 1e-5:
            raise InputError(f"prior {self.name}: its density integrates to {total:.6g} in place of 1: no quantiles")
        z, edges = _normal(mass / total), edges[1:-1]
        kept = np.abs(z) < _FURTHEST + 0.3
        z, edges = z[kept], edges[kept]
        kept = np.concatenate([[True], np.diff(z) > 1e-9])
        z, edges = z[kept], edges[kept]
        if len(z) < 20:
            raise InputError(f"prior {self.name}: too narrow for a table of its quantiles")
        slopes = np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi) / np.maximum(self._density(edges) / total, 1e-300)
        secants = np.diff(edges) / np.diff(z)
        limit = 3.0 * np.minimum(np.append(secants, np.inf), np.append(np.inf, secants))
        self._z, self._t, self._slope = z, edges, np.minimum(slopes, limit)
        return self._errors()

    def from_normal(self, z):
        """x with F(x) = Phi(z), any shape, in JAX."""
        z = jnp.clip(z, max(self._z[0], -_FURTHEST), min(self._z[-1], _FURTHEST))
        k = jnp.clip(jnp.searchsorted(self._z, z) - 1, 0, len(self._z) - 2)
        place = [jnp.asarray(array)[k + i] for array in (self._z, self._t, self._slope) for i in (0, 1)]
        return self._physical(_cubic(z, *place), jnp)

    def to_normal(self, x):
        """z of x, the inverse of the same curve."""
        t = jnp.clip(jnp.arcsinh((self._unbounded(x, jnp) - self._middle) / self._scale), self._t[0], self._t[-1])
        k = jnp.clip(jnp.searchsorted(self._t, t) - 1, 0, len(self._t) - 2)
        z0, z1, t0, t1, d0, d1 = (
            jnp.asarray(array)[k + i] for array in (self._z, self._t, self._slope) for i in (0, 1)
        )
        z = z0 + (t - t0) / (t1 - t0) * (z1 - z0)
        for _ in range(6):
            slope = _cubic_slope(z, z0, z1, t0, t1, d0, d1)
            z = jnp.clip(z - (_cubic(z, z0, z1, t0, t1, d0, d1) - t) / slope, z0, z1)
        return z

    def _unbounded(self, x, np=np):
        if math.isfinite(self.low) and math.isfinite(self.high):
            return np.log(x - self.low) - np.log(self.high - x)
        if math.isfinite(self.low):
            return np.log(x - self.low)
        return -np.log(self.high - x) if math.isfinite(self.high) else x

    def _physical(self, t, np=np):
        """x of t."""
        y = self._middle + self._scale * np.sinh(t)
        if math.isfinite(self.low) and math.isfinite(self.high):
            from_low = self.low + (self.high - self.low) / (1.0 + np.exp(-np.maximum(y, -600.0)))
            from_high = self.high - (self.high - self.low) / (1.0 + np.exp(np.minimum(y, 600.0)))
            return np.where(y < 0.0, from_low, from_high)
        if math.isfinite(self.low):
            return self.low + np.exp(y)
        return self.high - np.exp(-y) if math.isfinite(self.high) else y

    def _density(self, t):
        """p(x) |dx/dt|."""
        y = self._middle + self._scale * np.sinh(t)
        x = self._physical(t)
        log_slope = np.log(self._scale * np.cosh(t))
        if math.isfinite(self.low) and math.isfinite(self.high):
            log_slope = log_slope + np.log(self.high - self.low) + log_expit(y) + log_expit(-y)
        elif math.isfinite(self.low) or math.isfinite(self.high):
            log_slope = log_slope + (y if math.isfinite(self.low) else -y)
        inside = (x > self.low) & (x < self.high) & np.isfinite(x)
        # what is outside is evaluated at a harmless place
        safe = np.where(inside, x, self._physical(np.zeros(())))
        with np.errstate(all="ignore"):
            value = np.exp(np.asarray(self._log_density(safe), dtype=float) + log_slope)
        return np.where(inside & np.isfinite(value), value, 0.0)

    def _mass(self, left, right):
        """Integral of the density over panels."""
        nodes, weights = np.polynomial.legendre.leggauss(10)
        half = 0.5 * (right - left)
        t = left[:, None] + half[:, None] * (1.0 + nodes)
        return half * (self._density(t) @ weights)

    def _edges(self):
        """Edges of panels in t over which the density is smooth and z changes little."""
        bounded = math.isfinite(self.low) or math.isfinite(self.high)
        far = 690.0 if bounded else 1e17 * self._scale
        low, high = (np.arcsinh((side * far - self._middle) / self._scale) for side in (-1.0, 1.0))
        edges = np.linspace(low, high, 801)
        for _ in range(_ROUNDS):
            left, right = edges[:-1], edges[1:]
            middle = 0.5 * (left + right)
            whole, parts = self._mass(left, right), self._mass(left, middle) + self._mass(middle, right)
            z = np.clip(_normal(parts / max(parts.sum(), 1e-300)), -39.0, 39.0)
            step = np.diff(np.concatenate([[-40.0], z, [40.0]]))
            near = np.minimum(np.abs(np.append(-40.0, z)), np.abs(np.append(z, 40.0))) < _FURTHEST + 0.3
            rough = np.abs(whole - parts) > 1e-16 + 1e-11 * parts
            wide = near & (step > _STEP)
            split = (rough | wide) & (right - left > 1e-14 * (1.0 + np.abs(middle)))
            if not split.any() or len(edges) > _MOST:
                break
            edges = np.sort(np.concatenate([edges, middle[split]]))
        return edges

    def _errors(self):
        """|z| between what the curve says half-way between nodes and the integral up to there."""
        middle = 0.5 * (self._z[:-1] + self._z[1:])
        t = _cubic(middle, *(a[i:][: len(middle)] for a in (self._z, self._t, self._slope) for i in (0, 1)))
        inside = self._mass(self._t[:-1], t)
        slope = np.exp(-0.5 * middle**2) / np.sqrt(2.0 * np.pi)
        step = self._z[1:] - self._z[:-1]
        # Phi over half a step, by Gauss-Legendre: exact to rounding
        nodes, weights = np.polynomial.legendre.leggauss(6)
        z = self._z[:-1, None] + 0.25 * step[:, None] * (1.0 + nodes)
        expected = 0.25 * step * (np.exp(-0.5 * z**2) @ weights) / np.sqrt(2.0 * np.pi)
        return np.abs(inside - expected) / slope


def _normal(mass):
    """z at the inner edges of panels that hold these probabilities, from the nearer end each."""
    below, above = np.cumsum(mass)[:-1], np.cumsum(mass[::-1])[::-1][1:]
    with np.errstate(divide="ignore"):
        return np.where(below < above, ndtri(np.minimum(below, 1.0)), -ndtri(np.minimum(above, 1.0)))


def _cubic(z, z0, z1, t0, t1, d0, d1):
    """Hermite's cubic through t0, t1 with slopes d0, d1."""
    h = z1 - z0
    u = (z - z0) / h
    return (
        t0 * (1.0 + 2.0 * u) * (1.0 - u) ** 2
        + h * d0 * u * (1.0 - u) ** 2
        + t1 * u**2 * (3.0 - 2.0 * u)
        + h * d1 * u**2 * (u - 1.0)
    )


def _cubic_slope(z, z0, z1, t0, t1, d0, d1):
    u = (z - z0) / (z1 - z0)
    return 6.0 * u * (1.0 - u) * (t1 - t0) / (z1 - z0) + d0 * (1.0 - u) * (1.0 - 3.0 * u) + d1 * u * (3.0 * u - 2.0)
