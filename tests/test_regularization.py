"""Priors on every mesh: matrices, determinants and derivatives against definitions, integrals and dense algebra."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import scipy.fft
import scipy.integrate
import scipy.special
from meshes import LatticeMesh, TriangleMesh, graded, scattered

import uvlens as uvl
from uvlens.inversion import bands_from_matrix, best_coefficient
from uvlens.parse_regularization import parse_regularization, regularization_section
from uvlens.schema import Section
from uvlens.source import covariance, lattice, logdet

AREA = 0.02
WEIGHT = 100.0
DERIVATIVES = [uvl.ZerothOrder(1.0), uvl.Gradient(1.0), uvl.Curvature(1.0)]
COVARIANCES = [
    (uvl.GaussianCovariance(0.3, 1.0), np.inf),
    (uvl.ExponentialCovariance(0.3, 1.0), 0.5),
    (uvl.MaternCovariance(0.3, 1.0), 1.5),
    (uvl.MaternCovariance(0.3, 1.0, nu=2.5), 2.5),
]


def uniform(rows, columns, extent=1.0):
    """(mesh, geometry) of a fixed uniform lattice."""
    mesh = uvl.RectangularMesh(rows, columns, extent=extent)
    return mesh, mesh.geometry(jnp.zeros(1), jnp.zeros(1))


def uneven(rows=5, columns=7):
    """(mesh, geometry) of a lattice whose nodes crowd."""
    return LatticeMesh((rows, columns)), (graded(rows, -1.0, 0.8), graded(columns, -0.9, 1.1))


def points(n=30, seed=0):
    """(mesh, geometry) of Delaunay triangles."""
    return TriangleMesh.of(*scattered(n, 1.0, seed))


MESHES = {"uniform": lambda: uniform(5, 7), "uneven": uneven, "points": points}


def mapped(mesh, geometry, n_pixels=80, seed=3):
    """(Mapper, adapt image) of random rays, some of them beyond the mesh."""
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-1.3, 1.3, (2, n_pixels, 2))
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry)
    mapper = uvl.Mapper(indices.reshape(n_pixels, -1), weights.reshape(n_pixels, -1), mesh.n_source)
    return mapper, np.exp(-np.mean(x**2 + y**2, axis=1) / 0.3) + 0.02 * rng.normal(size=n_pixels)


def all_priors(mesh):
    """Every prior that a mesh has."""
    split = [uvl.SplitCross(1.0)] if hasattr(mesh, "edges") else []
    return [*DERIVATIVES, *(kind for kind, _ in COVARIANCES), uvl.AdaptiveBrightness(1.0, 0.5, 4.0, 0.7), *split]


@pytest.mark.parametrize("name", MESHES)
def test_every_prior_is_positive_definite_with_its_determinant(name):
    mesh, geometry = MESHES[name]()
    mapper, adapt = mapped(mesh, geometry)
    kinds = all_priors(mesh)
    made = jax.jit(lambda geometry: [kind.prior(mesh, geometry, AREA, mapper, adapt) for kind in kinds])(geometry)
    for regularization, prior in zip(kinds, made):
        matrix = prior.dense()
        assert matrix.shape == (mesh.n_source, mesh.n_source)
        assert prior.is_dense or prior.matrix.shape[0] < mesh.n_source
        assert np.array_equal(matrix, matrix.T) or np.allclose(matrix, matrix.T, atol=1e-9 * np.abs(matrix).max())
        assert np.linalg.eigvalsh(matrix).min() > 0.0
        assert np.isclose(prior.log_det, np.linalg.slogdet(matrix)[1], rtol=1e-10, atol=1e-8), type(regularization)


@pytest.mark.parametrize("regularization", DERIVATIVES)
def test_uniform_lattice_has_the_difference_matrices(regularization):
    mesh, geometry = uniform(5, 4)
    scale = (AREA / geometry.spacing**2) ** (regularization.order - 1)
    matrix = regularization.prior(mesh, geometry, AREA).dense()
    assert np.allclose(matrix, scale * reference.difference_prior((5, 4), regularization.order), atol=1e-12)
    # what the same strength comes to with the matrices of spacing 1
    old = regularization.coefficient(2.0, 3.0, AREA, geometry.spacing) * regularization.matrix((5, 4)).toarray()
    assert np.allclose(2.0 * 3.0 * AREA**2 * matrix, old, atol=1e-14)


@pytest.mark.parametrize("regularization", DERIVATIVES)
def test_uneven_lattice_sums_squares_of_differences(regularization):
    mesh, geometry = uneven()
    expected = reference.lattice_prior(*map(np.asarray, geometry), regularization.order, AREA)
    assert np.allclose(regularization.prior(mesh, geometry, AREA).dense(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("regularization", DERIVATIVES)
def test_lattice_of_even_axes_is_the_uniform_one(regularization):
    mesh, geometry = uniform(6, 4)
    axes = tuple(h0 + geometry.spacing * np.arange(-1, n + 1) for h0, n in zip((geometry.y0, geometry.x0), mesh.shape))
    expected = regularization.prior(mesh, geometry, AREA)
    found = regularization.prior(LatticeMesh(mesh.shape), axes, AREA)
    assert np.allclose(found.matrix, expected.matrix, atol=1e-12) and np.isclose(found.log_det, expected.log_det)


def gaussian_integrals(sigma):
    """Integrals of s^2 / O, |grad s|^2, (s_xx^2 + s_yy^2) O and (Laplacian s)^2 O of exp(-r^2 / 2 sigma^2)."""
    step = 0.02
    x, y = np.meshgrid(np.arange(-3.0, 3.0, step), np.arange(-3.0, 3.0, step))
    s = np.exp(-0.5 * (x**2 + y**2) / sigma**2)
    xx, yy = ((a**2 / sigma**2 - 1.0) / sigma**2 * s for a in (x, y))
    gradient = (x**2 + y**2) / sigma**4 * s**2
    integrands = (s**2 / AREA, gradient, (xx**2 + yy**2) * AREA, (xx + yy) ** 2 * AREA)
    return [np.sum(values) * step**2 for values in integrands]


def test_penalties_converge_to_integrals():
    """Second order in the spacing on lattices; Delaunay triangles to a few percent."""
    sigma = 0.3
    zeroth, gradient, curvature, laplacian = gaussian_integrals(sigma)

    def errors(mesh, geometry, kinds, expected):
        def penalty(geometry, kind):
            x, y = mesh.node_positions(geometry)
            s = jnp.exp(-0.5 * (x**2 + y**2) / sigma**2)
            return s @ kind.prior(mesh, geometry, AREA).dense() @ s

        found = jax.jit(lambda geometry: jnp.stack([penalty(geometry, kind) for kind in kinds]))(geometry)
        return np.asarray(found) / np.array(expected) - 1.0

    for make in (lambda n: (LatticeMesh((n, n + 3)), (graded(n, -1.6, 1.6), graded(n + 3, -1.6, 1.6))), uniform_of):
        coarse, fine = (errors(*make(n), DERIVATIVES, (zeroth, gradient, curvature)) for n in (12, 24))
        assert np.all(np.abs(fine) < 0.08)
        assert np.all(np.abs(fine) < 0.35 * np.abs(coarse) + 1e-9)
    kinds, expected = [*DERIVATIVES, uvl.SplitCross(1.0)], (zeroth, gradient, laplacian, gradient)
    coarse, fine = (errors(*TriangleMesh.of(*scattered(n, 1.5)), kinds, expected) for n in (225, 784))
    assert np.all(np.abs(fine) < 0.06) and np.all(np.abs(fine) < 0.5 * np.abs(coarse) + 1e-3), (coarse, fine)


def uniform_of(n):
    """(mesh, geometry) of n x n nodes in |x| < 1.6, ghost nodes at the ends."""
    return uniform(n, n, 1.6 * (n - 1) / (n + 1))


def test_log_det_of_bands_and_dense():
    """Value and derivative on the host, on the device and by NumPy; NaN where it is not positive definite."""
    rng = np.random.default_rng(1)
    lower = np.tril(rng.normal(size=(14, 14)))
    lower[np.subtract.outer(np.arange(14), np.arange(14)) > 4] = 0.0
    matrix = lower @ lower.T + np.eye(14)
    bands = jnp.asarray(bands_from_matrix(matrix))
    assert bands.shape == (5, 14)
    inverse = np.linalg.inv(matrix)
    on_bands = bands_from_matrix(np.where(matrix != 0.0, inverse, 0.0)) * np.where(np.arange(5) > 0, 2.0, 1.0)[:, None]
    for function, device, argument, expected in (
        (logdet.log_det_bands, logdet._device_bands, bands, on_bands),
        (logdet.log_det_dense, logdet._device_dense, jnp.asarray(matrix), inverse),
    ):
        value, gradient = jax.jit(jax.value_and_grad(function))(argument)
        assert np.isclose(value, np.linalg.slogdet(matrix)[1]) and np.isclose(function(argument), value)
        assert np.allclose(gradient, expected, atol=1e-13)
        assert np.allclose(device(argument, True)[1], expected, atol=1e-13)
        several = jax.vmap(function)(jnp.stack([argument, 2.0 * argument]))
        assert np.allclose(several, [value, value + 14 * np.log(2.0)])
        for bad in (argument.at[0].add(-50.0), argument.at[0, 0].set(np.nan)):
            value, gradient = jax.value_and_grad(function)(bad)
            assert np.isnan(value) and np.all(np.isnan(gradient))


def test_inverse_has_its_derivative():
    rng = np.random.default_rng(2)
    root = rng.normal(size=(6, 6))
    matrix, cotangent = root @ root.T + np.eye(6), rng.normal(size=(6, 6))

    def of(t):
        inverse, log_det = logdet.inverse_and_log_det(jnp.asarray(matrix) + t * jnp.diag(jnp.arange(6.0)))
        return jnp.sum(inverse * (cotangent + cotangent.T)) + log_det

    assert np.allclose(logdet.inverse_and_log_det(jnp.asarray(matrix))[0], np.linalg.inv(matrix), atol=1e-12)
    numeric = reference.central_difference(lambda t: float(of(t[0])), [0.1], 1e-3)
    assert np.isclose(jax.grad(of)(0.1), numeric[0], rtol=1e-8)


@pytest.mark.parametrize("name", MESHES)
def test_derivatives_of_every_prior_in_the_geometry_and_in_the_mapper(name):
    """A random contraction of G plus ln det G, against finite differences; jit and vmap give the same."""
    mesh, geometry = MESHES[name]()
    mapper, adapt = mapped(mesh, geometry)
    flat, unravel = jax.flatten_util.ravel_pytree(geometry)
    rng = np.random.default_rng(4)
    direction, shift = (jnp.asarray(rng.normal(size=shape)) for shape in (flat.shape, mapper.weights.shape))

    def of(t, regularization):
        moved = uvl.Mapper(mapper.indices, mapper.weights * (1.0 + 0.3 * t * shift), mesh.n_source)
        prior = regularization.prior(mesh, unravel(flat + 0.02 * t * direction), AREA, moved, adapt)
        pattern = jnp.sin(jnp.arange(prior.matrix.size)).reshape(prior.matrix.shape)
        return jnp.sum(prior.matrix * pattern) / jnp.sqrt(jnp.sum(prior.matrix**2)) + prior.log_det

    if name == "points":  # on the hull, where crosses lie on its edges and would fall off, nodes stay where they are
        on_hull = np.isin(np.arange(mesh.n_source), mesh.hull)
        direction = jnp.where(np.tile(on_hull, 2), 0.0, direction)
    adaptive = uvl.AdaptiveBrightness(1.0, 0.5, 4.0, 0.7)
    for kind in {
        "uniform": [uvl.Gradient(1.0), COVARIANCES[3][0]],
        "uneven": [uvl.Curvature(1.0), adaptive],
        "points": [uvl.Curvature(1.0), COVARIANCES[1][0], uvl.SplitCross(1.0)],
    }[name]:
        jitted = jax.jit(jax.value_and_grad(lambda t, kind=kind: of(t, kind)))
        numeric = reference.central_difference(lambda t, jitted=jitted: float(jitted(t[0])[0]), [0.0], 2e-3)[0]
        value, exact = jitted(0.0)
        assert np.isclose(exact, numeric, rtol=2e-6, atol=1e-7), type(kind)
    if name == "uneven":
        assert np.isclose(value, of(0.0, kind), rtol=1e-10)
        batched = jax.vmap(lambda t: jitted(t)[0])(jnp.array([0.0, 0.01]))
        assert np.allclose(batched, [value, jitted(0.01)[0]], rtol=1e-9)


@pytest.mark.parametrize("name", MESHES)
def test_adaptive_brightness_is_the_sum_over_neighbours(name):
    mesh, geometry = MESHES[name]()
    mapper, adapt = mapped(mesh, geometry)
    dense = np.asarray(mapper.dense())
    seen = dense.sum(axis=0)
    mean = np.maximum(dense.T @ adapt / (seen + 0.01 * seen.mean()), 0.0)
    signal = (mean / mean.max()) ** 0.7
    factor = 0.5 * signal + 4.0 * (1.0 - signal)
    gradient = np.asarray(uvl.Gradient(1.0).prior(mesh, geometry, AREA).dense())
    expected = np.diag(factor * gradient.sum(axis=1))  # the ghosts: rows of the gradient prior sum to theirs
    for i in range(mesh.n_source):
        for j in range(i):
            pair = np.zeros(mesh.n_source)
            pair[i], pair[j] = 1.0, -1.0
            expected -= 0.5 * (factor[i] + factor[j]) * gradient[i, j] * np.outer(pair, pair)
    found = uvl.AdaptiveBrightness(1.0, 0.5, 4.0, 0.7).prior(mesh, geometry, AREA, mapper, adapt).dense()
    assert np.allclose(found, expected, atol=1e-12 * np.abs(expected).max())
    doubled = uvl.AdaptiveBrightness(1.0, 1.0, 8.0, 0.7).prior(mesh, geometry, AREA, mapper, adapt).dense()
    assert np.allclose(doubled, 2.0 * found)
    even = uvl.AdaptiveBrightness(1.0, 3.0, 3.0).prior(mesh, geometry, AREA, mapper, adapt).dense()
    assert np.allclose(even, 3.0 * gradient, atol=1e-12 * np.abs(gradient).max())
    brighter = uvl.AdaptiveBrightness(1.0, 0.5, 4.0, 0.7).prior(mesh, geometry, AREA, mapper, 1e-6 * adapt).dense()
    assert np.allclose(brighter, found, rtol=1e-12)


def test_adaptive_brightness_of_dark_images_and_unseen_nodes():
    """No NaN, in the gradient neither, where a node sees no pixel, all pixels are dark, or none sees anything."""
    mesh, geometry = uniform(5, 7)

    @jax.jit
    @jax.value_and_grad
    def of(arguments, indices, adapt):
        weights, numbers = arguments
        mapper = uvl.Mapper(indices[:, 0], weights[:, 0], mesh.n_source)
        prior = uvl.AdaptiveBrightness(1.0, *numbers).prior(mesh, geometry, AREA, mapper, adapt)
        return jnp.sum(prior.matrix) + prior.log_det

    for beta in (np.array([[0.1], [0.2]]), np.array([[9.0], [9.0]])):
        indices, weights = mesh.interpolation(jnp.asarray(beta), jnp.asarray(beta), geometry)
        for adapt in (0.0, -1.0, 1.0):
            value, gradients = of((weights, jnp.array([0.5, 2.0, 0.3])), indices, np.full(2, adapt))
            assert np.isfinite(value) and all(np.all(np.isfinite(g)) for g in gradients)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_matern_is_its_bessel_function_and_its_power_spectrum(nu):
    r = np.linspace(0.01, 5.0, 40)
    z = np.sqrt(2.0 * nu) * r
    expected = 2.0 ** (1.0 - nu) / scipy.special.gamma(nu) * z**nu * scipy.special.kv(nu, z)
    assert np.allclose(covariance.correlation(jnp.asarray(r) ** 2, nu), expected, rtol=1e-12)
    assert covariance.correlation(jnp.zeros(1), nu)[0] == 1.0
    check_spectrum(nu)


def test_gaussian_power_spectrum():
    check_spectrum(np.inf)


def check_spectrum(nu):
    """P = 2 pi integral of C J_0(k r) r dr, and its integral above k."""
    r = np.linspace(0.0, 60.0, 200_001)
    values = np.asarray(covariance.correlation(jnp.asarray(r) ** 2, nu))
    for k in (0.0, 0.7, 2.0):
        hankel = 2.0 * np.pi * scipy.integrate.simpson(values * scipy.special.j0(k * r) * r, x=r)
        assert np.isclose(covariance.power_spectrum(k**2, nu), hankel, rtol=1e-6)

    def density(k):
        return float(covariance.power_spectrum(k**2, nu)) * k / (2.0 * np.pi)

    above = 1.0 - scipy.integrate.quad(density, 0.0, 1.7)[0]
    assert np.isclose(covariance.variance_beyond(1.7**2, nu), above, rtol=1e-8)


def test_covariances_of_six_points_of_the_literature():
    """Corner elements of H that PyAutoLens's tests hold for these points (jitter 1e-8, scale 2)."""
    x, y = jnp.array([0.1, 0.6, 0.1, 1.1, 7.1, 1.1]), jnp.array([0.1, 1.1, 2.1, 0.4, 1.1, 2.1])
    for nu, expected in ((np.inf, 8.6290664), (0.5, 1.71521)):
        inverse, _ = logdet.inverse_and_log_det(covariance.correlation_matrix(x, y, 2.0, nu, 1e-8))
        assert np.isclose(inverse[0, 0], expected, rtol=3e-6)


@pytest.mark.parametrize(("regularization", "nu"), COVARIANCES)
def test_covariances_on_points_and_uneven_lattices_are_inverses(regularization, nu):
    for mesh, geometry in (uneven(), points()):
        x, y = map(np.asarray, mesh.node_positions(geometry))
        distance = np.hypot(x[:, None] - x, y[:, None] - y) / 0.3
        c = 1.0 - regularization.nugget
        r = c * np.asarray(covariance.correlation(distance**2, nu)) + regularization.nugget * np.eye(len(x))
        assert np.allclose(regularization.prior(mesh, geometry, AREA).matrix @ r, np.eye(len(x)), atol=1e-9)


@pytest.mark.parametrize(("regularization", "nu"), COVARIANCES)
def test_sine_prior_is_the_covariance_in_the_middle_of_a_large_mesh(regularization, nu):
    """To 0.2 % of the variance, 4 scales from the edge; its mirror image is subtracted next to an edge."""
    mesh, geometry = uniform(27, 25, extent=2.0)  # spacing 0.154, scale 2 spacings
    r = np.linalg.inv(regularization.prior(mesh, geometry, AREA).matrix)
    x, y = map(np.asarray, mesh.node_positions(geometry))
    middle = 13 * 25 + 12
    near = np.hypot(x - x[middle], y - y[middle]) < 0.5

    def exact(x0, y0):
        square = ((x - x0) ** 2 + (y - y0) ** 2) / 0.3**2
        c = np.asarray(covariance.correlation(jnp.asarray(square), nu))
        return (1.0 - regularization.nugget) * c + regularization.nugget * (square == 0.0)

    assert np.abs(r[middle] - exact(x[middle], y[middle]))[near].max() < 2e-3
    edge = 13 * 25 + 1
    mirrored = 2.0 * (x.min() - geometry.spacing) - x[edge]
    assert np.abs(r[edge] - exact(x[edge], y[edge]) + exact(mirrored, y[edge])).max() < 2e-3


def test_sine_prior_by_its_definition():
    mesh, geometry = uniform(4, 6)
    variances = np.random.default_rng(5).uniform(0.5, 2.0, (4, 6))
    prior = covariance.sine.prior((4, 6), jnp.asarray(variances))
    phi = np.kron(*(scipy.fft.dst(np.eye(n), type=1, norm="ortho", axis=0) for n in (4, 6)))
    assert np.allclose(prior.matrix, phi @ np.diag(1.0 / variances.ravel()) @ phi.T, atol=1e-13)
    assert np.isclose(prior.log_det, -np.sum(np.log(variances)))
    for regularization in DERIVATIVES:  # the derivative priors are diagonal there too
        y, x = (lattice.uniform_eigenvalues(n) ** regularization.order for n in (4, 6))
        spectrum = y[:, None] + x if regularization.order else np.ones((4, 6))
        matrix = regularization.prior(mesh, geometry, geometry.spacing**2).dense()
        assert np.allclose(covariance.sine.prior((4, 6), jnp.asarray(1.0 / spectrum)).matrix, matrix, atol=1e-13)


def observed(mesh, geometry, seed=6):
    """(u, v, weight, vis, x, y, L): visibilities of a spot without a lens, on fine image pixels."""
    rng = np.random.default_rng(seed)
    u, v = rng.uniform(-1.2e5, 1.2e5, (2, 25))
    x, y = (a.ravel() for a in np.meshgrid(*[np.linspace(-0.95, 0.95, 39)] * 2))
    image = np.exp(-0.5 * ((x - 0.1) ** 2 + (y + 0.15) ** 2) / 0.25**2) * 0.05**2
    weight = np.full(25, WEIGHT)
    noise = (rng.normal(size=25) + 1j * rng.normal(size=25)) / np.sqrt(weight)
    vis = reference.fourier_matrix(u, v, x, y) @ image + noise
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry)
    lens = np.zeros((len(x), mesh.n_source))
    np.add.at(lens, (np.arange(len(x))[:, None], np.asarray(indices)), np.asarray(weights) * 0.05**2)
    return u, v, weight, vis, x, y, lens


def evidence(regularization, mesh, geometry, strength, units=(1.0,)):
    """ln E by the covariance of the data, with the flux in several units."""
    u, v, weight, vis, x, y, lens = observed(mesh, geometry)
    mapper = uvl.Mapper(*_entries(lens), mesh.n_source)
    adapt = np.exp(-0.5 * ((x - 0.1) ** 2 + (y + 0.15) ** 2) / 0.25**2)
    prior = jax.jit(lambda geometry: regularization.prior(mesh, geometry, AREA, mapper, adapt))(geometry)
    g, values = np.asarray(prior.dense()), []
    for unit in units:
        scaled = weight / unit**2
        h = strength * np.sum(scaled) * AREA**2 * g
        values.append(reference.dense_evidence(u, v, scaled, vis * unit, x, y, lens, h))
    return values if len(values) > 1 else values[0]


def _entries(dense):
    """Indices and weights (N, P) of a dense L."""
    width = int((dense != 0.0).sum(axis=1).max())
    order = np.argsort(dense == 0.0, axis=1, kind="stable")[:, :width]
    return order, np.take_along_axis(dense, order, axis=1)


CONVERGING = [
    uvl.Gradient(3.0),
    uvl.Curvature(3.0),
    uvl.AdaptiveBrightness(1.0, 1.0, 10.0),
    uvl.GaussianCovariance(0.3, 1.0),
    uvl.MaternCovariance(0.3, 1.0),
]
QUICK = {"uniform": (0, 4), "uneven": (1, 2), "points": (0, 3)}
CASES = [
    pytest.param(kind, one, id=f"{kind}-{type(one).__name__}", marks=() if i in QUICK[kind] else pytest.mark.slow)
    for kind in MESHES
    for i, one in enumerate(CONVERGING)
]


@pytest.mark.parametrize(("kind", "regularization"), CASES)
def test_evidence_converges_as_the_mesh_is_refined(kind, regularization):
    """The same strength is the same prior: ln E moves by less and less while S grows 4 x twice.

    All meshes tend to the same value, to what their edges differ. Curvature on points is left out: it keeps an error of
    a few percent in the penalty, which the mesh's irregularity decides.
    """
    if kind == "points" and isinstance(regularization, uvl.Curvature):
        pytest.skip("a few percent of the penalty do not converge")

    def on(n):
        if kind == "uniform":
            return uniform(n, n, 1.2 * (n - 1) / (n + 1))
        if kind == "uneven":
            return LatticeMesh((n, n)), (graded(n, -1.2, 1.2, 0.4), graded(n, -1.2, 1.2, 0.4))
        return TriangleMesh.of(*scattered(n**2, 1.2))

    values = [evidence(regularization, *on(n), regularization.strength) for n in (6, 12, 24)]
    first, second = np.abs(np.diff(values))
    assert second < 1.2 and second < max(0.6 * first, 0.1), values


def test_evidence_does_not_depend_on_the_unit_of_flux():
    mesh, geometry = uniform(5, 7)
    for regularization in CONVERGING[2:]:
        one, other = evidence(regularization, mesh, geometry, 0.1, (1.0, 1e3))
        assert np.isclose(one - other, 50 * np.log(1e3), rtol=1e-9), type(regularization)


def test_best_strength_of_a_dense_prior():
    """The maximum of ln E over a grid, with the inverse covariance of points for G."""
    mesh, geometry = points()
    u, v, weight, vis, x, y, lens = observed(mesh, geometry)
    prior = uvl.MaternCovariance(0.3, 1.0).prior(mesh, geometry, AREA)
    curvature = lens.T @ reference.normal_matrix(u, v, weight, x, y) @ lens
    vector = lens.T @ reference.dirty_image(u, v, weight, vis, x, y)
    best = best_coefficient(jnp.asarray(curvature), jnp.asarray(vector), prior.dense(), 1e-8, 1e4)

    def value(t):
        return reference.dense_evidence(u, v, weight, vis, x, y, lens, np.exp(t) * np.asarray(prior.dense()))

    t = float(np.log(best))
    assert value(t) > value(t - 0.02) and value(t) > value(t + 0.02)
    assert np.log(1e-8) + 1.0 < t < np.log(1e4) - 1.0


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, uvl.Gradient("auto")),
        ({"type": "zeroth_order", "strength": 3.0}, uvl.ZerothOrder(3.0)),
        ({"type": "curvature", "strength": "evidence"}, uvl.Curvature("evidence")),
        ({"type": "split_cross", "strength": 2}, uvl.SplitCross(2.0)),
        ({"type": "adaptive", "strength": 1.0, "inner": 0.1}, uvl.AdaptiveBrightness(1.0, 0.1, 10.0, 1.0)),
        ({"type": "gaussian", "scale": 0.2, "strength": 1.0}, uvl.GaussianCovariance(0.2, 1.0)),
        ({"type": "exponential", "scale": 0.2, "nugget": 0}, uvl.ExponentialCovariance(0.2, nugget=0.0)),
        ({"type": "matern", "scale": 0.2, "nu": 2.5, "strength": 1.0}, uvl.MaternCovariance(0.2, 1.0, nu=2.5)),
    ],
)
def test_sections_become_regularizations_and_back(section, expected):
    found = parse_regularization(Section(section, "regularization"))
    assert type(found) is type(expected) and vars(found) == vars(expected)
    again = parse_regularization(Section(regularization_section(found), "regularization"))
    assert vars(again) == vars(expected)
    assert regularization_section(found, 7.0)["strength"] == 7.0


def test_priors_in_a_section_stay_priors():
    section = {"type": "matern", "scale": {"loguniform": [0.01, 1.0]}, "strength": {"same_as": "a.b"}}
    found = parse_regularization(Section(section, "regularization"))
    assert found.scale.name == "loguniform" and found.strength == uvl.SameAs("a.b")
    assert found.nu == 1.5 and found.nugget == 1e-4


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"type": "matern"}, "r.scale: missing"),
        ({"type": "gaussain", "scale": 1.0}, "did you mean 'gaussian'"),
        ({"type": "gradient", "scale": 1.0}, "r.scale: unknown key"),
        ({"type": "gradient", "strength": -1.0}, "r.strength: expected a positive number"),
        ({"type": "matern", "scale": 1.0, "nu": 2.0}, "nu must be 0.5, 1.5 or 2.5"),
        ({"type": "gaussian", "scale": 1.0, "nugget": 0.0}, "r: nugget must be greater than 0"),
        ({"type": "exponential", "scale": 1.0, "nugget": 1.5}, "nugget must be less than 1"),
        ({"type": "exponential", "scale": -0.1}, "scale must be greater than 0"),
        ({"type": "adaptive", "inner": 0.0}, "inner must be greater than 0"),
        ({"type": "adaptive", "signal_scale": -1.0}, "signal_scale must be at least 0"),
    ],
)
def test_bad_sections_are_named(section, message):
    with pytest.raises(uvl.InputError, match=message):
        parse_regularization(Section(section, "r"))


def test_priors_that_a_mesh_does_not_have_are_named():
    mesh, geometry = uniform(5, 5)
    with pytest.raises(uvl.InputError, match="use Gradient"):
        uvl.SplitCross(1.0).prior(mesh, geometry, AREA)
    with pytest.raises(uvl.InputError, match="needs an adapt image"):
        uvl.AdaptiveBrightness(1.0).prior(mesh, geometry, AREA)


def test_split_cross_ignores_a_constant_but_for_its_ghosts():
    mesh, geometry = points()
    matrix = np.asarray(uvl.SplitCross(1.0).prior(mesh, geometry, AREA).dense())
    i, j, weight = map(np.asarray, mesh.edges(geometry))
    ghosts = np.bincount(i[j < 0], weight[j < 0], mesh.n_source)
    assert np.allclose(matrix.sum(axis=1), ghosts, atol=1e-12)
    # by the definition, with the gradient of a plane: 1 for every cross inside the hull
    x, y = map(np.asarray, mesh.node_positions(geometry))
    areas, plane = np.asarray(mesh.node_areas(geometry)), x - 2.0 * y
    inside = plane @ (matrix - np.diag(ghosts)) @ plane
    assert 0.6 * 5.0 * areas.sum() < inside < 5.0 * areas.sum()
