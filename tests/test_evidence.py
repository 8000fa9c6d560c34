"""Every way to the same evidence: operators, host and device, primal and dual, batches, warm starts."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import lensed_visibilities, random_visibilities

import uvlens as uvl
from uvlens.inversion import bands_from_matrix, dual, host, log_evidence_minus_null, matrix_from_bands, solve_positive
from uvlens.inversion.banded import bands_cotangent
from uvlens.inversion.evidence import _on_device
from uvlens.inversion.inverse import inverse_of
from uvlens.inversion.passive import DenseSystem
from uvlens.inversion.pivoting import positive_minimum, stubborn_minimum
from uvlens.inversion.positive import _pivot_on_device
from uvlens.normal.sparse import SparseLens

METHODS = ["direct", "fft", "lowrank"]
LENS = [uvl.SIE(uvl.Uniform(0.3, 0.9), 0.15, -0.1, 0.02, 0.03), uvl.Shear(uvl.Normal(0.0, 0.1), -0.02)]


def problem(method, positive, shape=(9, 8), n_visibilities=120, basis="spline", **options):
    """(model, vector) of a lens seen by a few visibilities."""
    plane = uvl.LensPlane([uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)])
    data = lensed_visibilities(n_visibilities, 9, plane, center=(0.05, -0.05))
    normal = uvl.normal_operator(data, uvl.Mask.disc(0.8, 0.11), method)
    mesh = uvl.RectangularMesh(*shape, basis=basis)
    source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
    return uvl.Model(normal, LENS, source, rays=2, **options), jnp.array([0.52, 0.04, 1e-3])


def arguments_of(model, vector):
    """What `log_evidence_minus_null` takes, at a parameter vector."""
    mapper, bands, _ = model.linear_problem(vector)
    everywhere = jnp.ones(model.n_source, bool)
    return mapper.indices, mapper.weights, bands, everywhere, everywhere


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("basis", ["spline", "bilinear"])
def test_all_operators_agree(basis, positive):
    """ln E to 1e-6 nat and the gradient to 1e-5 relative (low rank drops 1e-10 of W)."""
    results = []
    for method in METHODS:
        model, vector = problem(method, positive, basis=basis)
        results.append(jax.value_and_grad(model.log_evidence_minus_null)(vector))
    for value, gradient in results[1:]:
        assert abs(value - results[0][0]) < 1e-6
        assert np.abs(gradient - results[0][1]).max() < 1e-5 * np.abs(gradient).max()


@pytest.mark.parametrize(("method", "positive"), list(itertools.product(METHODS, [False, True])))
def test_host_and_device_agree(method, positive):
    """The compiled evidence and the plain JAX one: value, weights and bands."""
    model, vector = problem(method, positive)
    arguments = arguments_of(model, vector)
    device = _on_device(model.normal, *arguments, positive=positive, gradient=True)
    dirty = np.asarray(model.normal.dirty_image)
    found = host.evidence(model.normal.products, dirty, *map(np.asarray, arguments), positive, True)
    assert np.isclose(found.value, device[0], rtol=1e-9)
    for mine, expected in ((found.weights_bar, device[1]), (found.bands_bar, device[2])):
        assert np.abs(mine - expected).max() < 1e-7 * np.abs(expected).max()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("fixed", [False, True])
def test_dual_equals_primal(positive, fixed, monkeypatch):
    """r x r systems against S x S systems: value, both derivatives, source; the gradient also by differences."""
    model, vector = problem("lowrank", positive, shape=(14, 13), n_visibilities=30)
    products, dirty = model.normal.products, np.asarray(model.normal.dirty_image)
    assert products.rank < model.n_source
    indices, weights, bands, allowed, start = map(np.array, arguments_of(model, vector))
    if fixed:
        allowed[::5] = False
    results = []
    for pays in (True, False):
        monkeypatch.setattr(dual, "pays", lambda *_, pays=pays: pays)
        results.append(host.evidence(products, dirty, indices, weights, bands, allowed, start, positive, True))
    a, b = results
    assert a.solution.converged and a.solution.residual < 1e-10
    assert np.isclose(a.value, b.value, rtol=1e-10)
    assert np.abs(a.solution.source - b.solution.source).max() < 1e-8 * np.abs(b.solution.source).max()
    assert np.abs(a.weights_bar - b.weights_bar).max() < 1e-8 * np.abs(b.weights_bar).max()
    assert np.abs(a.bands_bar - b.bands_bar).max() < 1e-8 * np.abs(b.bands_bar).max()


def test_dual_is_the_dense_normal():
    """ln E of 25 visibilities and 182 source pixels against N(d; 0, C + A L H^-1 L^T A^H)."""
    data, mask = random_visibilities(25, seed=3, signal=20.0), uvl.Mask.disc(0.8, 0.11)
    normal = uvl.normal_operator(data, mask, "lowrank")
    x, y = mask.rays(2)
    mesh = uvl.RectangularMesh(14, 13, extent=1.0)
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), mesh.geometry(x, y))
    n = mask.n_pixels
    mapper = uvl.Mapper(np.asarray(indices).reshape(n, -1), np.asarray(weights).reshape(n, -1), mesh.n_source)
    h = 3.0 * uvl.Gradient(1.0).matrix(mesh.shape).toarray()
    everywhere = np.ones(mesh.n_source, bool)
    bands = bands_from_matrix(h)
    assert dual.pays(normal.rank, bands.shape, False)
    value = log_evidence_minus_null(normal, mapper.indices, mapper.weights, bands, everywhere, everywhere, False)
    expected = reference.dense_evidence(
        data.u, data.v, data.weight, data.vis, mask.x, mask.y, np.asarray(mapper.dense()), h
    )
    total = float(value) + 0.5 * np.linalg.slogdet(h)[1] + normal.reduction.log_evidence_null
    assert np.isclose(total, expected, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_primary_beams_in_compiled_products(method):
    """Two data sets seen through different beams: F and W L X of the compiled code against the dense W."""
    mask = uvl.Mask.disc(0.8, 0.11)
    beams = [np.exp(-((mask.x - c) ** 2) - mask.y**2) for c in (0.0, 0.3)]
    parts = [
        uvl.normal_operator(random_visibilities(60, seed=i), mask, method, primary_beam=b) for i, b in enumerate(beams)
    ]
    normal = parts[0] + parts[1]
    rng = np.random.default_rng(0)
    indices, weights = rng.integers(0, 21, (mask.n_pixels, 3)), rng.normal(size=(mask.n_pixels, 3))
    weights[::4, 1] = 0.0
    dense = np.asarray(uvl.Mapper(indices, weights, 21).dense())
    lens = SparseLens.of(indices, weights, 21)
    w = np.asarray(normal.dense())
    assert np.allclose(lens.transposed_product(mask.x), dense.T @ mask.x)
    x = rng.normal(size=(21, 21))
    x = x + x.T
    expected, product = dense.T @ w @ dense, w @ dense @ x
    rows = np.repeat(np.arange(mask.n_pixels), np.diff(lens.row_start))
    for keep in (False, True):
        curvature, kept = normal.products.curvature(lens, keep)
        assert np.abs(np.tril(curvature - expected)).max() < 1e-8 * np.abs(expected).max()
        entries = normal.products.pullback(lens, kept, x)
        assert np.abs(entries - product[rows, lens.source]).max() < 1e-8 * np.abs(product).max()


def test_single_precision_correlation_is_close():
    """float32 correlation moves ln E by less than 1e-2 nat at S/N 20 and says so in its name."""
    model, vector = problem("direct", True)
    single = uvl.normal_operator(
        lensed_visibilities(
            120, 9, uvl.LensPlane([uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)]), center=(0.05, -0.05)
        ),
        uvl.Mask.disc(0.8, 0.11),
        "direct32",
    )
    assert single.method == "direct32"
    other = eqx.tree_at(lambda m: m.systems[0].normal, model, single)
    assert 0.0 < abs(float(model.log_likelihood(vector)) - float(other.log_likelihood(vector))) < 1e-2


@pytest.mark.parametrize("method", ["direct", "lowrank"])
def test_batches_equal_loops(method):
    """vmap of value and gradient against one call after another."""
    model, vector = problem(method, True)
    vectors = vector * (1.0 + 0.02 * jnp.arange(3)[:, None])
    function = jax.value_and_grad(model.log_likelihood)
    values, gradients = jax.jit(jax.vmap(function))(vectors)
    for i in range(3):
        value, gradient = function(vectors[i])
        assert np.isclose(values[i], value, rtol=1e-12)
        assert np.allclose(gradients[i], gradient, rtol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
def test_device_evidence_in_batches(positive):
    """The fixed-shape path of accelerators under vmap and jit."""
    model, vector = problem("lowrank", positive)
    arguments = arguments_of(model, vector)
    scales = jnp.array([0.5, 1.0, 20.0])

    def value(scale):
        indices, weights, bands, allowed, start = arguments
        return _on_device(
            model.normal, indices, weights, scale * bands, allowed, start, positive=positive, gradient=False
        )[0]

    batched = jax.jit(jax.vmap(value))(scales)
    for i, scale in enumerate(scales):
        assert np.isclose(batched[i], value(scale), rtol=1e-10)


def test_warm_start_changes_the_steps_not_the_source():
    model, vector = problem("direct", True)
    indices, weights, bands, allowed, start = map(np.asarray, arguments_of(model, vector))
    products, dirty = model.normal.products, np.asarray(model.normal.dirty_image)
    cold = host.evidence(products, dirty, indices, weights, bands, allowed, start, True, False)
    warm = host.evidence(products, dirty, indices, weights, bands, allowed, cold.solution.passive, True, False)
    assert warm.solution.n_factorizations == 1 < cold.solution.n_factorizations
    assert np.array_equal(warm.solution.passive, cold.solution.passive)
    assert np.isclose(warm.value, cold.value, rtol=1e-14)
    wrong = np.random.default_rng(0).random(len(allowed)) < 0.5
    other = host.evidence(products, dirty, indices, weights, bands, allowed, wrong, True, False)
    assert np.isclose(other.value, cold.value, rtol=1e-12)


def hard_systems():
    """Like real fits at their worst: no data on half of the pixels, S/N 1000, weak and strong priors."""
    rng = np.random.default_rng(1)
    prior = uvl.Gradient(1.0).matrix((15, 15)).toarray()
    response = np.exp(-0.5 * (np.arange(225) % 15 - rng.uniform(0, 15, 150)[:, None]) ** 2 / 2.0)
    response *= np.exp(-0.5 * (np.arange(225) // 15 - rng.uniform(0, 15, 150)[:, None]) ** 2 / 2.0)
    truth = np.maximum(rng.normal(size=225), 0.0)
    for strength, empty, signal in itertools.product([1e-6, 1e-3, 1.0, 1e6], [False, True], [3.0, 1000.0]):
        r = response * (np.arange(225) >= 112) if empty else response
        data = signal * r @ truth / np.abs(r @ truth).max() + rng.normal(size=150)
        yield r.T @ r + strength * prior, r.T @ data


@pytest.mark.parametrize("number", range(16))
def test_positive_certificate_on_hard_systems(number):
    """s >= 0 exactly, |gradient| <= 1e-10 max |D| where s is free and >= minus that elsewhere."""
    matrix, vector = list(hard_systems())[number]
    solution = jax.jit(solve_positive)(jnp.asarray(matrix), jnp.asarray(vector), jnp.ones(225, bool))
    s = np.asarray(solution.source)
    gradient = (matrix @ s - vector) / np.abs(vector).max()
    assert bool(solution.converged) and s.min() >= 0.0
    assert np.abs(gradient[s > 0]).max(initial=0.0) <= 1e-10
    assert gradient[s == 0].min(initial=0.0) >= -1e-10


def test_bands_round_trip():
    matrix = uvl.Curvature(1.0).matrix((4, 5))
    bands = bands_from_matrix(matrix)
    assert bands.shape == (11, 20) and np.array_equal(bands, bands_from_matrix(matrix.toarray()))
    assert np.array_equal(matrix_from_bands(jnp.asarray(bands)), matrix.toarray())
    rng = np.random.default_rng(0)
    bar = rng.normal(size=(20, 20))
    expected = jax.grad(lambda b: jnp.sum(matrix_from_bands(b) * (bar + bar.T) / 2))(jnp.asarray(bands))
    assert np.allclose(bands_cotangent((bar + bar.T) / 2, 11), expected)


def test_gradient_in_every_band():
    """The derivative for hyper-parameters of the prior: any change of H, by differences."""
    model, vector = problem("direct", True)
    indices, weights, bands, allowed, start = arguments_of(model, vector)
    change = jnp.asarray(np.random.default_rng(0).normal(size=bands.shape)) * bands

    def value(t):
        return log_evidence_minus_null(model.normal, indices, weights, bands + t * change, allowed, start, True)

    step = 1e-4
    numeric = (float(value(step)) - float(value(-step))) / (2 * step)
    assert np.isclose(float(jax.grad(value)(0.0)), numeric, rtol=1e-6)


def test_a_model_with_a_start_has_the_same_evidence():
    model, vector = problem("direct", True)
    started = model.with_start(vector)
    assert 0 < int(started.systems[0].start.sum()) < model.n_source
    for v in (vector, vector * 1.05):
        assert np.isclose(started.log_likelihood(v), model.log_likelihood(v), rtol=1e-13)
    free, _ = problem("direct", False)
    assert free.with_start(vector) is free


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("positive", [False, True])
def test_numbers_that_are_not_finite_have_no_evidence(method, positive):
    """NaN in the weights or in H: a NaN, never a number and never a crash."""
    model, vector = problem(method, positive)
    indices, weights, bands, allowed, start = arguments_of(model, vector)
    for broken in ((weights.at[3, 2].set(jnp.nan), bands), (weights, bands.at[0, 5].set(jnp.inf))):
        value, gradient = jax.value_and_grad(log_evidence_minus_null, 2)(
            model.normal, indices, *broken, allowed, start, positive
        )
        assert np.isnan(value) and np.all(np.isnan(gradient))
    assert np.isnan(model.normal.curvature_matrix(indices, weights.at[0, 0].set(jnp.nan), model.n_source)).any()


@pytest.mark.parametrize("number", range(0, 16, 3))
def test_fixed_shapes_take_the_same_steps_on_hard_systems(number):
    """The accelerator's solver against the host's: the same source, no more steps than sets that were tried."""
    matrix, vector = list(hard_systems())[number]
    scale = np.diagonal(matrix) ** -0.5
    scaled, right, everywhere = matrix * scale[:, None] * scale, vector * scale, np.ones(225, bool)
    source, _, steps, converged = jax.jit(_pivot_on_device, static_argnums=4)(
        jnp.asarray(scaled), jnp.asarray(right), everywhere, everywhere, 200
    )
    expected, most = positive_minimum(DenseSystem(scaled, right), everywhere), 60
    if not expected.converged:  # pivoting runs in circles: projected Newton steps on both
        expected, most = stubborn_minimum(DenseSystem(scaled, right), everywhere), 120
    assert bool(converged) and steps <= most
    assert np.abs(source - expected.source).max() < 1e-6 * np.abs(expected.source).max()


@pytest.mark.parametrize("n", [1, 40, 511, 512, 733])
def test_inverse_from_its_halves(n):
    """A^-1 below, at and above the size from which it is made in two halves, odd and even, against NumPy's."""
    root = np.random.default_rng(n).normal(size=(n, n))
    matrix = root @ root.T + n * np.eye(n)
    factor = np.asfortranarray(np.linalg.cholesky(matrix).T)
    factor[np.tril_indices(n, -1)] = np.nan  # never looked at
    inverse = np.triu(inverse_of(factor))
    expected = np.triu(np.linalg.inv(matrix))
    assert np.abs(inverse - expected).max() < 1e-13 * np.abs(expected).max()
