"""Coordinates in which a curved posterior is nearly a unit normal: linear ones, bent by quadratic shifts.

    z = center + basis v
    v_i = shift_i + exp(log_scale_i) u_i + sum_{j<i} slope_ij v_j + sum_{j,k<i} curve_ijk v_j v_k

The basis is that of the principal axes of a covariance, the widest first, so that narrow directions follow the wide
ones round the bend: the banana of an Einstein radius, ellipticity and shear that the data constrain together. The map
is one to one everywhere and its Jacobian is constant, whatever the coefficients: a sampler in u is exact, and a good
map makes it quick.

The coefficients minimise the Fisher divergence from the unit normal, over points z with gradients of the log density,

    mean |u + (dz/du)^T grad ln p(z)|^2                     (0 where u is a unit normal)

which takes far fewer points than a covariance does: each has n equations. Adapting a sampler to gradients in this way
is the idea of nutpie (github.com/pymc-devs/nutpie), sampling in the coordinates of a flow that of Hoffman et al. (2019,
NeuTra).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

PARTS = ("center", "basis", "shift", "log_scale", "slope", "curve")
_EQUATIONS = 8
"""Equations that a coefficient of the bend wants."""
_RIDGE = 3.0
_WILD = 5.0
"""Points whose misfit is beyond this times n count ever less: far in the tail no quadratic is right."""


class Bend(eqx.Module):
    """The map, for n coordinates.

    Attributes:
        center: (n,).
        basis: (n, n), not singular.
        shift, log_scale: (n,).
        slope: (n, n), zero on and above the diagonal.
        curve: (n, n, n), zero unless j, k < i.
    """

    center: jax.Array
    basis: jax.Array
    shift: jax.Array
    log_scale: jax.Array
    slope: jax.Array
    curve: jax.Array

    def __call__(self, u):
        """z (n,) of u (n,)."""
        rows = (jnp.arange(len(u)), self.shift + jnp.exp(self.log_scale) * u, self.slope, self.curve)

        def add(v, row):  # entries of v beyond i are zero still
            i, own, slope, curve = row
            return v.at[i].set(own + slope @ v + v @ curve @ v), None

        return self.center + self.basis @ jax.lax.scan(add, jnp.zeros_like(u), rows)[0]

    def inverse(self, z):
        """u (n,) of z (n,)."""
        v = jnp.linalg.solve(self.basis, z - self.center)
        bent = jnp.einsum("ijk,j,k->i", self.curve, v, v)
        return (v - self.shift - self.slope @ v - bent) * jnp.exp(-self.log_scale)

    def gradient(self, u, gradient):
        """d f / d z (n,) of a function's d f / d u (n,) at u."""
        return jnp.linalg.solve(jax.jacfwd(self)(u).T, gradient)

    def widened(self, factor):
        """The Bend with factor (n,) u in the place of u."""
        return eqx.tree_at(lambda bend: bend.log_scale, self, self.log_scale + jnp.log(factor))

    def covariance(self):
        """That of z (n, n) where u is a unit normal, from 2,000 draws."""
        n = len(self.center)
        u = np.random.default_rng(0).normal(size=(2000, n))
        return np.cov(np.asarray(jax.vmap(self)(u)).T).reshape(n, n)

    @property
    def parts(self):
        """The arrays, of NumPy: what goes into files and to processes, for Bend(*parts)."""
        return tuple(np.asarray(getattr(self, name)) for name in PARTS)


def straight(center, covariance):
    """The Bend of a normal: u are its principal axes in units of their widths, the widest first."""
    width, axes = np.linalg.eigh(covariance)
    n = len(width)
    basis = axes[:, ::-1] * np.sqrt(width[::-1])
    parts = (center, basis, np.zeros(n), np.zeros(n), np.zeros((n, n)), np.zeros((n, n, n)))
    return Bend(*(jnp.asarray(part, dtype=float) for part in parts))


def fit_bend(z, gradient, covariance):
    """The map that makes points with the gradients of their log density most like a unit normal.

    Args:
        z: points (M, n), about where the density lives.
        gradient: d ln p / d z there, (M, n); points where it is not finite are left out.
        covariance: (n, n), whose principal axes are the basis.

    Returns:
        Bend; with few points only the widest directions bend the others, with none it is straight.
    """
    z, gradient = np.asarray(z, dtype=float), np.asarray(gradient, dtype=float)
    good = np.isfinite(z).all(axis=1) & np.isfinite(gradient).all(axis=1)
    z, gradient = z[good], gradient[good]
    m, n = z.shape
    if m < 2:
        return straight(z.mean(axis=0) if m else np.zeros(n), covariance)
    start = straight(z.mean(axis=0), covariance)
    lower = np.tril_indices(n, -1)
    bent = _bent(n, m * n // _EQUATIONS - 2 * n - len(lower[0]))
    cuts = np.cumsum([n, n, len(lower[0])])

    def unpacked(t):
        shift, scale, slope, curve = jnp.split(t, cuts)
        curve = jnp.zeros((n, n, n)).at[tuple(bent.T)].set(curve)
        slope = jnp.zeros((n, n)).at[lower].set(slope)
        return Bend(start.center, start.basis, shift, scale, slope, curve)

    def misfit(bend, z, gradient):
        u = bend.inverse(z)
        _, pull = jax.vjp(bend, u)
        return jnp.sum((u + pull(gradient)[0]) ** 2)

    @jax.jit
    @jax.value_and_grad
    def loss(t):
        found = jax.vmap(misfit, in_axes=(None, 0, 0))(unpacked(t), z, gradient)
        return (jnp.sum(found / (1.0 + found / (_WILD * n))) + _RIDGE * jnp.sum(t**2)) / m

    def objective(t):
        value, slope = loss(jnp.asarray(t))
        return float(value), np.asarray(slope)

    size = int(cuts[-1]) + len(bent)
    return unpacked(jnp.asarray(minimize(objective, np.zeros(size), jac=True, method="L-BFGS-B").x))


def _bent(n, n_coefficients):
    """(i, j, k), k <= j < i, of the terms v_j v_k in v_i, with j among as many directions as the number allows."""
    chosen = np.zeros((0, 3), dtype=int)
    for widest in range(1, n):
        terms = [(i, j, k) for i in range(1, n) for j in range(min(i, widest)) for k in range(j + 1)]
        if len(terms) > n_coefficients:
            break
        chosen = np.array(terms)
    return chosen
