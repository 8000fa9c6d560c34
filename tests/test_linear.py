"""Mixed linear systems: pixels beside amplitudes, dense priors, coefficients of either sign; columns of light."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import scipy.optimize
from conftest import random_visibilities

import uvlens as uvl
from uvlens.inversion import (
    bands_from_matrix,
    best_coefficient,
    host,
    join_bands,
    log_evidence_minus_null,
    matrix_from_bands,
    run_inversion,
    solve_positive,
)
from uvlens.inversion.evidence import _on_device
from uvlens.inversion.passive import DenseSystem
from uvlens.inversion.pivoting import lawson_hanson, positive_minimum, projected_newton
from uvlens.inversion.positive import _pivot_on_device
from uvlens.light import (
    MGE,
    Background,
    Gaussian,
    Linear,
    PointSource,
    Sersic,
    amplitude_prior,
    column_entries,
    column_names,
    light_columns,
)
from uvlens.normal.sparse import SparseLens
from uvlens.parse_light import parse_light

MASK = uvl.Mask.disc(0.8, 0.12)
DATA = random_visibilities(60, seed=1, signal=20.0)
MESH = uvl.RectangularMesh(6, 5, extent=0.5)
H_PIXELS = 2.0 * uvl.Gradient(1.0).matrix(MESH.shape).toarray()
S = MESH.n_source
LENS = uvl.LensPlane([uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03)])


def operator(method="direct"):
    return uvl.normal_operator(DATA, MASK, method)


def sub_pixels(rays=2):
    """Arguments of `light_columns` for rays x rays equal sub-pixels."""
    x, y = MASK.rays(rays)
    n, m = x.shape
    return x.ravel(), y.ravel(), np.repeat(np.arange(n), m), np.full(n * m, 1.0 / m), n, MASK.grid.pixel_area


def pixel_entries(rays=2):
    """The mesh's entries of the traced rays."""
    beta = LENS.ray_trace(*map(jnp.asarray, MASK.rays(rays)))
    indices, weights = MESH.interpolation(*beta, MESH.geometry(*beta))
    n = MASK.n_pixels
    return indices.reshape(n, -1), weights.reshape(n, -1) * MASK.grid.pixel_area / rays**2


def mixed(components, h_pixels=H_PIXELS):
    """(indices, weights, bands, prior of the amplitudes) of pixels and light in one system."""
    prior = amplitude_prior(components)
    columns = light_columns(components, *sub_pixels())[:, prior.order]
    parts = pixel_entries(), column_entries(columns, S)
    indices, weights = (jnp.concatenate(part, axis=1) for part in zip(*parts))
    return indices, weights, join_bands([bands_from_matrix(h_pixels), prior.diagonal[None]]), prior


def evidence(normal, components, positive=False, h_pixels=H_PIXELS):
    """Full ln E of a mixed system."""
    indices, weights, bands, prior = mixed(components, h_pixels)
    n = bands.shape[1]
    everywhere, constrained = jnp.ones(n, bool), jnp.concatenate([jnp.ones(S, bool), jnp.asarray(prior.constrained)])
    value = log_evidence_minus_null(
        normal, indices, weights, bands, everywhere, everywhere, positive, n - prior.n_optimised, constrained
    )
    log_det = np.linalg.slogdet(h_pixels)[1] + prior.log_det
    return float(value) + 0.5 * log_det + prior.constant + normal.reduction.log_evidence_null


def dense(components):
    """L of a mixed system as a matrix, light columns in the order of the system."""
    indices, weights, *_ = mixed(components)
    return np.asarray(uvl.Mapper(indices, weights, int(indices.max()) + 1).dense())


def brute_force(lensing_operator, h, vis=DATA.vis):
    return reference.dense_evidence(DATA.u, DATA.v, DATA.weight, vis, MASK.x, MASK.y, lensing_operator, h)


SPOT, DISC = Gaussian("linear", 0.2, 0.1, -0.05, 0.1, 0.05), Sersic("linear", 0.3, 1.5, center_x=-0.2)


def with_flux(component, flux):
    """The component with another Linear."""
    return dataclasses.replace(component, flux=flux)


@pytest.mark.parametrize("method", ["direct", "lowrank"])
def test_marginalised_amplitudes_are_the_dense_normal(method):
    """ln E = ln N(d; 0, C + A (L H^-1 L^T + sum sigma^2 c c^T) A^H): a Gaussian prior integrated out exactly."""
    light = [with_flux(SPOT, Linear("marginalised", 3.0)), with_flux(DISC, Linear("marginalised", 0.7))]
    h = np.zeros((S + 2, S + 2))
    h[:S, :S] = H_PIXELS
    h[S, S], h[S + 1, S + 1] = 3.0**-2, 0.7**-2
    expected = brute_force(dense(light), h)
    assert np.isclose(evidence(operator(method), light), expected, rtol=1e-9)


def test_optimised_amplitude_is_the_best_fixed_one():
    """The maximum over a of ln E of d - a A c, found by SciPy; two amplitudes, either sign."""
    light = [with_flux(one, Linear(positive=False)) for one in (SPOT, DISC)]
    matrix = dense(light)
    response = reference.fourier_matrix(DATA.u, DATA.v, MASK.x, MASK.y) @ matrix[:, S:]
    found = scipy.optimize.minimize(
        lambda a: -brute_force(matrix[:, :S], H_PIXELS, DATA.vis - response @ a), np.zeros(2), method="BFGS"
    )
    assert np.isclose(evidence(operator(), light), -found.fun, rtol=0.0, atol=1e-6)


def test_flat_prior_is_the_limit_of_wide_ones():
    """ln E_flat = ln E_sigma + ln sigma + 1/2 ln 2 pi as sigma grows."""
    normal = operator()
    flat = evidence(normal, [with_flux(SPOT, Linear("marginalised"))])
    for sigma, tolerance in ((1e2, 1e-2), (1e5, 1e-7)):
        wide = evidence(normal, [with_flux(SPOT, Linear("marginalised", sigma))])
        assert abs(wide + np.log(sigma) + 0.5 * np.log(2 * np.pi) - flat) < tolerance
    grid = np.linspace(-400.0, 400.0, 4001)  # and it is the integral over the amplitude
    response = reference.fourier_matrix(DATA.u, DATA.v, MASK.x, MASK.y) @ dense([SPOT])[:, S]
    covariance = [brute_force(dense([SPOT])[:, :S], H_PIXELS, DATA.vis - a * response) for a in (-1.0, 0.0, 1.0)]
    curve = 0.5 * (covariance[2] + covariance[0]) - covariance[1], 0.5 * (covariance[2] - covariance[0])
    log_density = covariance[1] + curve[1] * grid + curve[0] * grid**2
    top = log_density.max()
    assert abs(top + np.log(np.trapezoid(np.exp(log_density - top), grid)) - flat) < 1e-6


MODES = {
    "gaussian": Linear("marginalised", 2.0),
    "flat": Linear("marginalised"),
    "optimised": Linear(positive=False),
    "optimised, positive": Linear(),
}


def shape_evidence(normal, mode, positive, run=log_evidence_minus_null):
    """ln E as a function of the light's shape, the strength and the lens."""
    prior = amplitude_prior([Gaussian(MODES[mode], 0.2), MGE(3, 0.1, 0.4, flux=MODES[mode])])
    n = S + 4
    constrained = jnp.concatenate([jnp.ones(S, bool), jnp.asarray(prior.constrained)])

    def value(p):
        lens = uvl.LensPlane([uvl.SIE(p[0], 0.15, -0.1, 0.02, 0.03)])
        beta = lens.ray_trace(*map(jnp.asarray, MASK.rays(2)))
        indices, weights = MESH.interpolation(*beta, MESH.geometry(*beta))
        shape = (MASK.n_pixels, -1)
        source = indices.reshape(shape), weights.reshape(shape) * MASK.grid.pixel_area / 4
        light = [
            Gaussian(MODES[mode], p[1], p[2], 0.1, p[3], 0.0),
            MGE(3, 0.08, p[4], 0.1, -0.1, p[5], -0.2, flux=MODES[mode]),
        ]
        columns = light_columns(light, *sub_pixels())[:, prior.order]
        entries = [jnp.concatenate(part, axis=1) for part in zip(source, column_entries(columns, S))]
        bands = join_bands([p[6] * jnp.asarray(bands_from_matrix(H_PIXELS)), prior.diagonal[None]])
        everywhere = jnp.ones(n, bool)
        return run(normal, *entries, bands, everywhere, everywhere, positive, n - prior.n_optimised, constrained)

    return value, jnp.array([0.5, 0.2, 0.1, 0.1, 0.4, -0.1, 1.3])


@pytest.mark.parametrize(
    ("mode", "positive"), [*zip(MODES, [False] * 3), ("flat", True), ("optimised, positive", True)]
)
def test_gradients(mode, positive):
    """Every parameter of lens, light and prior, against differences; free and positive, host."""
    value, point = shape_evidence(operator(), mode, positive)
    gradient, quick = jax.jit(jax.grad(value))(point), jax.jit(value)
    numeric = reference.central_difference(lambda p: float(quick(p)), np.asarray(point), 2e-4)
    assert np.abs(gradient - numeric).max() < 2e-6 * np.abs(numeric).max()


@pytest.mark.parametrize(("mode", "positive"), [("flat", False), ("optimised", True), ("optimised, positive", True)])
def test_host_and_device_agree(mode, positive):
    """Compiled code and plain JAX: value and derivatives; jit = eager; vmap = loop."""
    normal = operator("lowrank")

    def on_device(normal, indices, weights, bands, allowed, start, positive, n, constrained):
        found = _on_device(
            normal,
            indices,
            weights,
            bands,
            allowed,
            start,
            positive,
            True,
            n,
            constrained,
        )
        return found[0], found[1].ravel()[::7], found[2]

    device, point = shape_evidence(normal, mode, positive, on_device)

    def on_host(normal, indices, weights, bands, allowed, start, positive, n, constrained):
        products, dirty = normal.products, np.asarray(normal.dirty_image)
        arrays = map(np.asarray, (indices, weights, bands, allowed, start))
        found = host.evidence(
            products, dirty, *arrays, positive, True, n_determined=n, constrained=np.asarray(constrained)
        )
        return found.value, found.weights_bar.ravel()[::7], found.bands_bar

    mine, expected = shape_evidence(normal, mode, positive, on_host)[0](point), jax.jit(device)(point)
    assert np.isclose(mine[0], expected[0], rtol=1e-9)
    for one, other in zip(mine[1:], expected[1:]):
        assert np.abs(one - other).max() < 1e-7 * np.abs(other).max()
    points = point * jnp.array([[1.0], [1.01]])
    value = shape_evidence(normal, mode, positive)[0]
    for function in (value, lambda p: device(p)[0]):
        batched = jax.jit(jax.vmap(function))(points)
        assert np.allclose(batched, [function(p) for p in points], rtol=1e-10)


@pytest.mark.parametrize("positive", [False, True])
def test_dense_prior_equals_its_bands(positive):
    """The same H handed over both ways: value, weights, and d ln E = sum H_bar o dH for a symmetric dH."""
    normal = operator()
    indices, weights = pixel_entries()
    bands, everywhere = jnp.asarray(bands_from_matrix(H_PIXELS)), jnp.ones(S, bool)

    def value(weights, h):
        return log_evidence_minus_null(normal, indices, weights, h, everywhere, everywhere, positive)

    a, (a_weights, a_bands) = jax.value_and_grad(value, (0, 1))(weights, bands)
    b, (b_weights, b_matrix) = jax.value_and_grad(value, (0, 1))(weights, jnp.asarray(H_PIXELS))
    assert np.isclose(a, b, rtol=1e-12) and np.allclose(a_weights, b_weights, rtol=1e-9, atol=1e-9)
    assert np.array_equal(b_matrix, b_matrix.T)
    change = np.random.default_rng(0).normal(size=bands.shape) * np.asarray(bands)
    assert np.isclose(np.sum(a_bands * change), np.sum(b_matrix * np.asarray(matrix_from_bands(change))), rtol=1e-9)
    device = _on_device(
        normal, indices, weights, jnp.asarray(H_PIXELS), everywhere, everywhere, positive=positive, gradient=True
    )
    assert np.isclose(device[0], b, rtol=1e-10) and np.allclose(device[2], b_matrix, rtol=1e-6, atol=1e-9)


def test_blocks_join():
    """Banded blocks stay banded, one dense block makes all dense; the matrix is block diagonal either way."""
    banded, diagonal = bands_from_matrix(H_PIXELS), np.array([[2.0, 3.0, 0.0]])
    full = np.random.default_rng(0).normal(size=(4, 4))
    full = full @ full.T
    assert bands_from_matrix(full).shape == (4, 4)
    for blocks in ([banded, diagonal], [banded, full, diagonal], [full, np.ones((1, 1))]):
        joined = join_bands(blocks)
        matrices = [np.asarray(matrix_from_bands(jnp.asarray(block))) for block in blocks]
        assert np.array_equal(matrix_from_bands(joined), scipy.linalg.block_diag(*matrices))
    assert join_bands([banded, diagonal]).shape == (len(banded), S + 3)


def random_system(n, seed, n_free):
    """(A, D, constrained) with the last n_free coefficients unconstrained and pulled below zero."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n + 5, n))
    matrix, vector = root.T @ root, rng.normal(size=n) * 10.0
    constrained = np.arange(n) < n - n_free
    vector[~constrained] = -10.0
    return matrix, vector, constrained


def bounded_minimum(matrix, vector, constrained):
    """The same by SciPy's least squares with bounds."""
    root = np.linalg.cholesky(matrix).T
    low = np.where(constrained, 0.0, -np.inf)
    target = np.linalg.solve(root.T, vector)
    return scipy.optimize.lsq_linear(root, target, (low, np.inf), method="bvls", tol=1e-14).x


@pytest.mark.parametrize("seed", range(4))
def test_coefficients_of_either_sign(seed):
    """Host, device and the fallback against bounded least squares; cold and from a wrong set."""
    matrix, vector, constrained = random_system(40, seed, 3)
    expected = bounded_minimum(matrix, vector, constrained)
    assert expected[~constrained].min() < 0.0 and np.any(expected[constrained] == 0.0)
    everywhere = np.ones(40, bool)
    close = {"rtol": 0.0, "atol": 1e-8 * np.abs(expected).max()}
    for start in (None, np.random.default_rng(seed).random(40) < 0.5):
        system = DenseSystem(matrix, vector)
        assert np.allclose(
            positive_minimum(system, everywhere, start, constrained=constrained).source, expected, **close
        )
    for solve in (projected_newton, lawson_hanson):
        found = solve(DenseSystem(matrix, vector), everywhere, constrained)
        assert found.converged and np.allclose(found.source, expected, **close)
    solution = jax.jit(solve_positive)(matrix, vector, everywhere, constrained=constrained)
    assert bool(solution.converged) and float(solution.kkt_residual) < 1e-10
    assert np.allclose(solution.source, expected, **close)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_many_widths_at_once(noise):
    """30 pixels beside 16 Gaussians of almost the same shape (condition 1e12), where pivoting runs in circles."""
    rng = np.random.default_rng(0)
    x, widths = np.linspace(-3, 3, 400), np.geomspace(0.1, 2.0, 16)
    response = np.concatenate(
        [np.exp(-0.5 * ((x[:, None] - np.linspace(-2, 2, 30)) / 0.15) ** 2), np.exp(-0.5 * (x[:, None] / widths) ** 2)],
        1,
    )
    matrix = response.T @ response + 1e-3 * np.diag(np.arange(46) < 30)
    vector = response.T @ (100.0 * np.exp(-np.abs(x)) * (1.3 + np.sin(9.0 * x)) + noise * rng.normal(size=400))
    scale = np.diagonal(matrix) ** -0.5
    matrix, vector, everywhere = matrix * scale[:, None] * scale, vector * scale, np.ones(46, bool)
    expected = bounded_minimum(matrix, vector, everywhere)
    assert noise == 0.0 or not positive_minimum(DenseSystem(matrix, vector), everywhere).converged
    lowest = 0.5 * expected @ matrix @ expected - expected @ vector
    device = jax.jit(_pivot_on_device, static_argnums=4)(matrix, vector, everywhere, everywhere, 200)
    for source in (
        projected_newton(DenseSystem(matrix, vector), everywhere).source,
        np.asarray(solve_positive(jnp.asarray(matrix), jnp.asarray(vector), everywhere).source),
        np.asarray(device[0]),
    ):
        gradient = (matrix @ source - vector) / np.abs(vector).max()
        assert source.min() >= 0.0 and np.abs(gradient[source > 0]).max() < 1e-9 and gradient.min() > -1e-9
        assert abs(0.5 * source @ matrix @ source - source @ vector - lowest) < 1e-9 * abs(lowest)
    assert bool(device[3])


def test_amplitudes_that_depend_on_one_another():
    """The same column twice: a singular A, and still a positive source with its evidence; free there is none."""
    normal = operator()
    once, twice = evidence(normal, [SPOT], True), evidence(normal, [SPOT, SPOT], True)
    assert np.isclose(once, twice, rtol=1e-10)
    assert np.isnan(evidence(normal, [with_flux(SPOT, Linear(positive=False))] * 2))


def test_dense_columns_go_by_transforms():
    """A light column has an entry in every pixel: the direct operator takes FFTs there, to the same F and pullback."""
    from uvlens.normal.direct import DirectProducts

    normal = operator()
    indices, weights, *_ = mixed([MGE(7, 0.1, 0.5), SPOT])
    lens = SparseLens.of(np.asarray(indices), np.asarray(weights), S + 8)
    plain = DirectProducts(MASK, normal.reduction.terms)
    always = DirectProducts(MASK, normal.reduction.terms, fourier=normal.products.fourier)
    always.dense_from, matrix = 600, np.diag(np.arange(1.0, S + 9))
    n_entries = np.diff(lens.column_start[::8])
    assert n_entries.min() < 600 < n_entries.max()
    for keep in (False, True):
        (a, kept_a), (b, kept_b) = plain.curvature(lens, keep), always.curvature(lens, keep)
        assert np.abs(np.tril(a - b)).max() < 1e-12 * np.abs(a).max() and not np.array_equal(a, b)
        a, b = plain.pullback(lens, kept_a, matrix), always.pullback(lens, kept_b, matrix)
        assert np.abs(a - b).max() < 1e-12 * np.abs(a).max()


def test_nodes_fixed_to_zero():
    """They leave the solve and stay in the determinants: host, device, inversion, start."""
    normal = operator()
    indices, weights, bands, _ = mixed([SPOT])
    n = S + 1
    allowed = np.ones(n, bool)
    allowed[[0, 7, 11]] = False
    constrained = np.arange(n) < S
    matrix = np.asarray(normal.curvature_matrix(indices, weights, n)) + np.asarray(matrix_from_bands(bands))
    vector = np.asarray(uvl.Mapper(indices, weights, n).transposed_product(normal.dirty_image))
    log_det = np.linalg.slogdet(matrix[:S, :S])[1]
    for positive in (False, True):
        s = np.zeros(n)
        inner = matrix[np.ix_(allowed, allowed)]
        s[allowed] = np.linalg.solve(inner, vector[allowed])
        if positive:
            s[allowed] = bounded_minimum(inner, vector[allowed], constrained[allowed])
        expected = -0.5 * (s @ matrix @ s - 2 * s @ vector + log_det)
        for start in (np.ones(n, bool), np.arange(n) % 2 == 0):
            arguments = normal, indices, weights, bands, allowed, start
            value = log_evidence_minus_null(*arguments, positive, S, constrained)
            device = _on_device(*arguments, positive, False, S, constrained)[0]
            assert np.isclose(value, expected, rtol=1e-8) and np.isclose(device, expected, rtol=1e-8)
        mapper, h = uvl.Mapper(indices, weights, n), matrix_from_bands(bands)
        inversion = run_inversion(normal, mapper, h, 0.0, allowed, positive, S, constrained)
        assert np.isclose(inversion.log_evidence_minus_null, expected, rtol=1e-8)
        assert np.allclose(inversion.source, s, rtol=0.0, atol=1e-7 * np.abs(s).max())
        fixed = np.flatnonzero(~allowed)
        either = uvl.invert(normal, mapper, np.asarray(h), constrained & positive, fixed, n_determined=S)
        assert np.allclose(either.source, s, rtol=0.0, atol=1e-7 * np.abs(s).max())


@pytest.mark.parametrize(("positive", "fixed", "optimised"), [(0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1)])
def test_best_strength_of_one_block(positive, fixed, optimised):
    """The lambda of one of two meshes beside a light column, against a search over ln E itself."""
    normal = operator()
    flux = Linear() if optimised else Linear("marginalised", 1.0)
    light = [with_flux(SPOT, flux)]
    prior = amplitude_prior(light)
    g, n = uvl.Gradient(1.0).matrix(MESH.shape).toarray(), 2 * S + 1
    first, weights = pixel_entries()
    second = first + S, 0.3 * jnp.roll(weights, 5, 0)
    entries = (first, weights), second, column_entries(light_columns(light, *sub_pixels()), 2 * S)
    indices, weights = (jnp.concatenate(part, axis=1) for part in zip(*entries))
    matrix = np.asarray(normal.curvature_matrix(indices, weights, n))
    matrix = 1e6 * matrix / np.abs(matrix).max()
    rng, (values, vectors) = np.random.default_rng(5), np.linalg.eigh(matrix)
    truth = np.concatenate([np.abs(np.linalg.solve(np.linalg.cholesky(g).T, rng.normal(size=S))) for _ in range(2)])
    vector = matrix @ np.append(truth, 1.0) + vectors @ (np.sqrt(np.maximum(values, 0.0)) * rng.normal(size=n))
    rest = scipy.linalg.block_diag(5.0 * g, 0.0 * g, prior.diagonal[None])
    n_determined = n - prior.n_optimised
    allowed = np.ones(n, bool)
    allowed[[1, 2, S + 3]] = not fixed
    constrained = np.arange(n) < 2 * S

    def log_evidence(t):
        h = rest.copy()
        h[S : 2 * S, S : 2 * S] += np.exp(t) * g
        a, s = matrix + h, np.zeros(n)
        inner = a[np.ix_(allowed, allowed)]
        s[allowed] = np.linalg.solve(inner, vector[allowed])
        if positive:
            s[allowed] = bounded_minimum(inner, vector[allowed], constrained[allowed])
        log_det = np.linalg.slogdet(a[:n_determined, :n_determined])[1]
        return s @ vector - 0.5 * s @ a @ s - 0.5 * log_det + 0.5 * S * t

    best = best_coefficient(
        matrix,
        vector,
        g,
        1e-4,
        1e6,
        allowed if fixed else None,
        positive,
        rest=rest,
        first=S,
        n_determined=n_determined,
        constrained=constrained,
    )
    grid = np.linspace(np.log(1e-2), np.log(1e2), 11)
    start = grid[np.argmax([log_evidence(t) for t in grid])]
    found = scipy.optimize.minimize_scalar(lambda t: -log_evidence(t), (start - 1.0, start, start + 1.0), tol=1e-6)
    assert grid[1] < found.x < grid[-2]
    assert abs(float(jnp.log(best)) - found.x) < 1e-4


def test_columns_against_fine_quadrature():
    """Means over pixels of every profile, 12 x 12 sub-pixels against 60 x 60; the flux of a whole image is 1."""
    light = [SPOT, DISC, MGE(3, 0.1, 0.3, 0.1, 0.05, 0.02, -0.03)]
    coarse, fine = (np.asarray(light_columns(light, *sub_pixels(rays))) for rays in (12, 60))
    assert coarse.shape == (MASK.n_pixels, 5)
    assert np.abs(coarse - fine).max(axis=0).max() < 3e-3 * fine.max()
    smooth = [0, 2, 3, 4]
    assert np.abs(coarse - fine)[:, smooth].max() < 1e-3 * fine[:, smooth].max()  # (spacing / sigma)^2 / 24
    mask = uvl.Mask.from_array(np.ones((60, 60), bool), 0.1)
    x, y = mask.rays(4)
    arguments = x.ravel(), y.ravel(), np.repeat(np.arange(3600), 16), np.full(x.size, 1 / 16), 3600, 0.01
    sums = np.asarray(light_columns([SPOT, *light[2:]], *arguments)).sum(axis=0)
    assert np.abs(sums - 1.0).max() < 1e-6


def test_mge_is_a_sum_of_gaussians():
    expansion = MGE(4, 0.05, 0.4, 0.1, -0.2, 0.05, 0.1)
    assert np.allclose(expansion.sigmas, np.geomspace(0.05, 0.4, 4))
    columns = light_columns([expansion], *sub_pixels())
    for k, sigma in enumerate(np.geomspace(0.05, 0.4, 4)):
        alone = light_columns([Gaussian("linear", sigma, 0.1, -0.2, 0.05, 0.1)], *sub_pixels())
        assert np.allclose(columns[:, k], alone[:, 0], rtol=1e-12)
    beta = LENS.ray_trace(*map(jnp.asarray, sub_pixels()[:2]))
    lensed = light_columns([expansion], *beta, *sub_pixels()[2:], lensed=True)
    at_pixel = np.asarray(expansion.columns(*beta)).reshape(MASK.n_pixels, 4, 4).mean(axis=1)
    assert np.allclose(lensed, at_pixel * MASK.grid.pixel_area, rtol=1e-12)


@pytest.mark.parametrize("finer", [2.0, 4.0])
def test_point_source_is_the_exact_transform(finer):
    """Visibilities of the column against exp(2 pi i u.x), for pixels `finer` times finer than the longest baseline."""
    rng = np.random.default_rng(0)
    scale = 0.05
    mask = uvl.Mask.disc(0.9, scale, (0.13, -0.08))
    longest = 0.5 / (finer * scale * reference.ARCSEC)
    u, v = rng.uniform(-longest, longest, (2, 400))
    u[:4], v[:4] = [longest, -longest, 0.0, longest], [longest, longest, longest, 0.0]
    x, y = mask.rays(3)
    arguments = x.ravel(), y.ravel(), np.repeat(np.arange(mask.n_pixels), 9), np.full(x.size, 1 / 9), mask.n_pixels
    a, worst = reference.fourier_matrix(u, v, mask.x, mask.y), 0.0
    for x0, y0 in rng.uniform(-0.3, 0.3, (20, 2)):
        column = light_columns([PointSource(x0, y0)], *arguments, scale**2)[:, 0]
        assert np.isclose(column.sum(), 1.0, rtol=1e-12)
        exact = reference.fourier_matrix(u, v, np.array([x0]), np.array([y0]))[:, 0]
        worst = max(worst, np.abs(a @ np.asarray(column) - exact).max())
    assert worst < 2e-6


def test_point_source_moves_smoothly():
    """Its column is differentiable in the position, and continuous where the pixels it is spread over change."""
    pattern = np.cos(9.0 * MASK.x - 4.0 * MASK.y)
    mask = uvl.Mask.from_array(np.ones((40, 40), bool), 0.05)
    x, y = mask.rays(1)
    arguments = x[:, 0], y[:, 0], np.arange(1600), np.ones(1600), 1600, 0.05**2
    pattern = np.cos(9.0 * mask.x - 4.0 * mask.y)

    def value(p):
        return light_columns([PointSource(p[0], p[1])], *arguments)[:, 0] @ pattern

    point = jnp.array([0.0837, -0.0411])
    exact = -np.sin(9.0 * point[0] - 4.0 * point[1]) * np.array([9.0, -4.0])
    assert np.allclose(jax.grad(value)(point), exact, rtol=1e-4)
    edge = 0.025  # a pixel's centre
    below, above = value(jnp.array([edge - 1e-9, 0.0])), value(jnp.array([edge + 1e-9, 0.0]))
    assert abs(below - above) < 1e-7


def test_background_is_constant_and_free():
    prior = amplitude_prior([Background(), SPOT])
    assert list(prior.constrained) == [False, True] and prior.n_optimised == 2
    assert np.allclose(light_columns([Background()], *sub_pixels()), MASK.grid.pixel_area)


def test_order_of_amplitudes():
    """Marginalised columns first; what belongs to a column moves with it."""
    light = [SPOT, MGE(2, 0.1, 0.2, flux=Linear("marginalised", 0.5)), with_flux(DISC, Linear("marginalised"))]
    prior = amplitude_prior(light)
    assert list(prior.order) == [1, 2, 3, 0] and prior.n_optimised == 1
    assert np.allclose(prior.diagonal, [4.0, 4.0, 0.0, 0.0]) and np.isclose(prior.log_det, 2 * np.log(4.0))
    assert np.isclose(prior.constant, 0.5 * np.log(2 * np.pi)) and list(prior.constrained) == [0, 0, 0, 1]
    names = column_names(light, "lens.light")
    assert names == ["lens.light.0", "lens.light.1[0]", "lens.light.1[1]", "lens.light.2"]


def test_linear_light_has_no_flux_parameter():
    from uvlens.parameters import Parameters

    light = parse_light(
        [
            {"profile": "MGE", "n_gaussians": 3, "sigma_min": 0.05, "sigma_max": {"uniform": [0.2, 1.0]}},
            {"profile": "Sersic", "R_sersic": 0.3, "n_sersic": 4, "amplitude": "marginalised", "amplitude_sigma": 0.1},
            {"profile": "PointSource", "center_x": {"normal": [0, 0.1]}, "flux": "linear", "positive": False},
            {"profile": "Background"},
        ],
        "lens.light",
    )
    assert light[1].flux == Linear("marginalised", 0.1) and light[2].flux == Linear(positive=False)
    parameters = Parameters({"lens": {"light": light}})
    assert parameters.paths == ("lens.light.0.sigma_max", "lens.light.2.center_x")
    assert not any("flux" in path for path in parameters.all_paths)
    filled = parameters.fill(jnp.array([0.7, 0.02]))["lens"]["light"]
    assert light_columns(filled, *sub_pixels()).shape == (MASK.n_pixels, 6)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"profile": "MGE", "sigma_min": 0.1, "sigma_max": 1}, "lens.light.0.n_gaussians: missing"),
        ({"profile": "Sersc"}, "did you mean 'Sersic'"),
        ({"profile": "Gaussian", "sigma": 0.1, "flux": -3.0}, "flux must be >= 0"),
        ({"profile": "Gaussian", "sigma": 0.1, "flux": "lineer"}, "flux: expected a number"),
        ({"profile": "Gaussian", "sigma": 0.1, "flux": 3.0, "positive": True}, "belongs to flux: linear"),
        ({"profile": "Sersic", "R_sersic": 0.1, "n_sersic": 12}, r"n_sersic must be in \[0.3, 10\]"),
        ({"profile": "Sersic", "R_sersic": 0.1, "axis_ratio": 0.5}, "position_angle"),
        ({"profile": "Shapelets", "beta": 0.1, "n_max": -1}, "whole number >= 0"),
        ({"profile": "Shapelets", "beta": 0.1, "n_max": 2, "flux": 1.0}, 'must be "linear"'),
        ({"profile": "Gaussian", "sigma": -0.1}, "sigma must be > 0 arcsec"),
        ({"profile": "Gaussian", "sigma": 0.1, "amplitude_sigma": 1.0}, "belongs to a marginalised"),
        ({"profile": "Gaussian", "sigma": 0.1, "amplitude": "free"}, "optimised | marginalised"),
        ({"profile": "Gaussian", "sigma": 0.1, "sgima": 1}, "did you mean 'sigma'"),
        ({"profile": "MGE", "n_gaussians": 3, "sigma_min": 1.0, "sigma_max": 0.1}, "larger than sigma_min"),
        ({"profile": "PointSource", "positive": "yes"}, "expected true or false"),
    ],
)
def test_bad_light_is_named(item, message):
    with pytest.raises(uvl.InputError, match=message.replace("|", r"\|")):
        parse_light([item], "lens.light")


def test_bad_use_of_light_is_named():
    with pytest.raises(uvl.InputError, match='flux="linear"'):
        amplitude_prior([Gaussian(1.0, 0.1)])
    with pytest.raises(uvl.InputError, match="not to what a lens bends"):
        light_columns([PointSource()], *sub_pixels(), lensed=True)
    with pytest.raises(uvl.InputError, match="before it is solved for"):
        SPOT.brightness(0.0, 0.0)
    with pytest.raises(uvl.InputError, match="flux must be"):
        Gaussian("lineer", 0.1)
