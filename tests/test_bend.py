"""Bent coordinates: one to one, exact in their Jacobian, and straight where a curved density is bent back."""

import jax
import jax.numpy as jnp
import numpy as np

from uvlens.inference.bend import Bend, fit_bend, straight


def wild(n, seed):
    """A Bend with every coefficient at work."""
    rng = np.random.default_rng(seed)
    slope = np.tril(rng.normal(size=(n, n)), -1)
    curve = np.zeros((n, n, n))
    for i in range(n):
        curve[i, :i, :i] = rng.normal(size=(i, i))
    parts = (rng.normal(size=n), rng.normal(size=(n, n)), rng.normal(size=n), 0.3 * rng.normal(size=n), slope, curve)
    return Bend(*map(jnp.asarray, parts))


def banana(z):
    """ln p of a banana in three coordinates: a unit normal of (a, (b - a^2 + 1) / 0.1, c)."""
    a, b, c = z
    return -0.5 * (a**2 + ((b - a**2 + 1.0) / 0.1) ** 2 + c**2)


def test_the_map_is_one_to_one_with_a_constant_jacobian():
    bend = wild(5, 1)
    u = np.random.default_rng(2).normal(size=(20, 5))
    z = jax.vmap(bend)(u)
    assert np.allclose(jax.vmap(bend.inverse)(z), u, atol=1e-9)
    expected = np.linalg.slogdet(bend.basis)[1] + bend.log_scale.sum()
    assert np.allclose(np.linalg.slogdet(jax.vmap(jax.jacfwd(bend))(u))[1], expected, atol=1e-9)


def test_the_formula_term_by_term():
    bend, u = wild(3, 3), np.array([0.3, -0.8, 1.1])
    shift, scale, slope, curve = bend.parts[2:]
    v = np.zeros(3)
    for i in range(3):
        v[i] = shift[i] + np.exp(scale[i]) * u[i]
        v[i] += sum(slope[i, j] * v[j] for j in range(i))
        v[i] += sum(curve[i, j, k] * v[j] * v[k] for j in range(i) for k in range(i))
    assert np.allclose(bend(u), bend.center + bend.basis @ v, atol=1e-12)


def test_a_widened_map_takes_smaller_steps():
    bend, u, factor = wild(3, 4), jnp.array([0.2, 0.5, -1.0]), jnp.array([2.0, 0.5, 1.0])
    assert np.allclose(bend.widened(factor)(u), bend(u * factor), atol=1e-12)


def test_gradients_change_coordinates_by_the_chain_rule():
    bend, u = wild(3, 4), jnp.array([0.2, 0.5, -1.0])
    along_u = jax.grad(lambda u: banana(bend(u)))(u)
    assert np.allclose(bend.gradient(u, along_u), jax.grad(banana)(bend(u)), rtol=1e-9)


def test_straight_coordinates_are_those_of_the_normal():
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    bend = straight(np.array([1.0, -1.0]), covariance)
    jacobian = jax.jacfwd(bend)(jnp.zeros(2))
    assert np.allclose(jacobian @ jacobian.T, covariance) and np.allclose(bend(jnp.zeros(2)), [1.0, -1.0])
    assert np.allclose(bend.covariance(), covariance, atol=0.15)


def test_a_banana_is_bent_back():
    """From gradients at 60 points of a wrong normal; the density in u is then the unit normal's, at its own draws."""
    rng = np.random.default_rng(5)
    z = np.array([0.0, 0.2, 0.0]) + rng.normal(size=(60, 3)) * [0.8, 0.5, 0.8]
    bend = fit_bend(z, jax.vmap(jax.grad(banana))(z), np.diag([1.2, 0.8, 1.0]))
    a = rng.normal(size=400)
    draws = np.stack([a, a**2 - 1.0 + 0.1 * rng.normal(size=400), rng.normal(size=400)], axis=1)
    u = np.asarray(jax.vmap(bend.inverse)(draws))
    gradient = np.asarray(jax.vmap(jax.grad(lambda u: banana(bend(u))))(u))
    assert np.mean(np.sum((u + gradient) ** 2, axis=1)) < 0.3
    assert np.allclose(u.std(axis=0), 1.0, atol=0.15) and np.allclose(u.mean(axis=0), 0.0, atol=0.15)


def test_few_points_bend_little_and_none_nothing():
    rng = np.random.default_rng(6)
    z = rng.normal(size=(12, 6))
    bend = fit_bend(z, -z, np.eye(6))
    assert not np.any(bend.curve)
    nothing = fit_bend(np.zeros((0, 6)), np.zeros((0, 6)), np.eye(6))
    assert np.allclose(nothing(jnp.ones(6)) @ nothing(jnp.ones(6)), 6.0)
    bad = np.vstack([z, np.full((1, 6), np.nan)])
    assert np.allclose(fit_bend(bad, -bad, np.eye(6)).basis, bend.basis)
