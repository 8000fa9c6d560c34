"""Meshes, mappers and regularisation against the double loops of the definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

import uvlens as uvl
from uvlens.source.regularization import log_det

BASES = {"bilinear": reference.hat, "spline": reference.cubic_spline}


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("shape", [(6, 5), (3, 8)])
def test_brightness_equals_the_definition_inside_and_outside(basis, shape):
    rng = np.random.default_rng(0)
    mesh = uvl.RectangularMesh(*shape, extent=1.0, center=(0.2, -0.3), basis=basis)
    x, y = rng.uniform(-2.0, 2.0, (2, 300))
    geometry = mesh.geometry(jnp.asarray(x), jnp.asarray(y))
    coefficients = rng.normal(size=mesh.n_source)
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry)
    found = np.sum(np.asarray(weights) * coefficients[np.asarray(indices)], axis=-1)
    expected = reference.mesh_brightness(
        BASES[basis], shape, geometry.x0, geometry.y0, geometry.spacing, coefficients, x, y
    )
    assert np.allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("basis", BASES)
def test_weights_sum_to_one_and_reproduce_linear_functions(basis):
    mesh = uvl.RectangularMesh(9, 7, extent=1.0, basis=basis)
    x, y = np.random.default_rng(1).uniform(-0.45, 0.45, (2, 100))
    geometry = mesh.geometry(jnp.asarray(x), jnp.asarray(y))
    node_x, node_y = mesh.node_positions(geometry)
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry)
    assert np.allclose(weights.sum(axis=-1), 1.0)
    for value_at_nodes, expected in ((node_x, x), (node_y, y), (2 * node_x - 3 * node_y + 1, 2 * x - 3 * y + 1)):
        assert np.allclose(jnp.sum(weights * value_at_nodes[indices], axis=-1), expected)


def test_mesh_is_not_mirrored_or_transposed():
    """A source to the North-East sits in the last rows and last columns."""
    mesh = uvl.RectangularMesh(5, 9, extent=1.0)
    geometry = mesh.geometry(jnp.zeros(1), jnp.zeros(1))
    indices, weights = mesh.interpolation(jnp.array([0.99]), jnp.array([0.49]), geometry)
    row, column = divmod(int(indices[0, jnp.argmax(weights[0])]), 9)
    assert (row, column) == (4, 8)


@pytest.mark.parametrize("basis", BASES)
def test_weights_are_differentiable(basis):
    mesh = uvl.RectangularMesh(6, 6, extent=1.0, basis=basis)
    coefficients = jnp.asarray(np.random.default_rng(2).normal(size=36))

    def brightness(p):
        x, y = p[:1], p[1:]
        indices, weights = mesh.interpolation(x, y, mesh.geometry(x, y))
        return jnp.sum(weights * coefficients[indices])

    for point in ([0.13, -0.27], [0.93, 0.1], [1.2, -1.1], [3.0, 3.0]):
        numeric = reference.central_difference(lambda p: float(brightness(jnp.asarray(p))), point, 1e-3)
        assert np.allclose(jax.grad(brightness)(jnp.asarray(point)), numeric, atol=1e-8)


def test_traced_extent_covers_the_rays_with_square_cells():
    mesh = uvl.RectangularMesh(12, 20)
    x, y = np.random.default_rng(3).normal(size=(2, 500)) * np.array([[0.5], [0.2]])
    geometry = mesh.geometry(jnp.asarray(x), jnp.asarray(y))
    node_x, node_y = mesh.node_positions(geometry)
    slack = 0.1 * x.std()
    assert node_x.min() <= x.min() and node_x.max() >= x.max()
    assert node_y.min() <= y.min() and node_y.max() >= y.max()
    tight = max((x.max() - x.min()) / 19, (y.max() - y.min()) / 11)
    assert tight <= geometry.spacing <= tight + slack


@pytest.mark.parametrize("regularization", [uvl.ZerothOrder(1.0), uvl.Gradient(1.0), uvl.Curvature(1.0)])
@pytest.mark.parametrize("shape", [(3, 3), (5, 4)])
def test_prior_matrix_and_its_determinant(regularization, shape):
    matrix = regularization.matrix(shape).toarray()
    assert np.allclose(matrix, reference.difference_prior(shape, regularization.order), atol=1e-13)
    assert np.linalg.eigvalsh(matrix).min() > 0.0
    assert np.isclose(regularization.log_det_matrix(shape), np.linalg.slogdet(matrix)[1], atol=1e-11)
    n = shape[0] * shape[1]
    total = log_det(0.03, n, regularization.log_det_matrix(shape))
    assert np.isclose(total, np.linalg.slogdet(0.03 * matrix)[1], atol=1e-10)


@pytest.mark.parametrize("regularization", [uvl.ZerothOrder(1.0), uvl.Gradient(1.0), uvl.Curvature(1.0)])
def test_penalty_is_an_integral_that_does_not_depend_on_the_spacing(regularization):
    """lambda s^T G s of a smooth source converges as the mesh is refined: the same continuum prior."""

    def penalty(n):
        spacing = 4.0 / (n - 1)
        axis = -2.0 + spacing * np.arange(n)
        x, y = np.meshgrid(axis, axis)
        s = np.exp(-0.5 * (x**2 + y**2) / 0.3**2).ravel()
        lam = regularization.coefficient(1.0, 1.0, 0.01, spacing)
        return lam * s @ regularization.matrix((n, n)) @ s

    coarse, fine = penalty(41), penalty(61)
    assert abs(coarse / fine - 1.0) < 0.03


def test_mapper_applies_and_is_dense():
    rng = np.random.default_rng(4)
    indices, weights = rng.integers(0, 6, (10, 5)), rng.normal(size=(10, 5))
    mapper = uvl.Mapper(indices, weights, 6)
    dense = np.zeros((10, 6))
    for i in range(10):
        for p in range(5):
            dense[i, indices[i, p]] += weights[i, p]
    s = rng.normal(size=6)
    assert np.allclose(mapper.dense(), dense)
    assert np.allclose(mapper.apply(s), dense @ s)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uvl.Mapper(np.zeros((3, 2), int), np.ones((3, 3)), 4), "one shape"),
        (lambda: uvl.Mapper(np.full((3, 2), 4), np.ones((3, 2)), 4), "n_source"),
        (lambda: uvl.Mapper(np.zeros((3, 2), int), np.full((3, 2), np.nan), 4), "NaN"),
        (lambda: uvl.RectangularMesh(2, 9), "3 x 3"),
        (lambda: uvl.RectangularMesh(9, 9, extent=-1.0), "extent"),
        (lambda: uvl.RectangularMesh(9, 9, basis="nearest"), "basis"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()
