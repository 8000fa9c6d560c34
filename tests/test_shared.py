"""Channels that share one curvature matrix, against each channel on its own by brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import scipy.optimize
from conftest import lensed_visibilities

import uvlens as uvl
from uvlens.inversion import bands_from_matrix, host, log_evidence_minus_null, matrix_from_bands
from uvlens.inversion.channels import invert_channels
from uvlens.inversion.evidence import _on_device
from uvlens.inversion.passive import DenseSystem, PassiveSet
from uvlens.normal import operator_from_reduction, reduce
from uvlens.normal.shared import can_share, share_curvature

METHODS = ["direct", "fft", "lowrank"]
MASK = uvl.Mask.disc(0.8, 0.11)
FACTORS = (1.0, 2.5, 0.3)
SHAPE = (9, 8)
STRENGTH = 2e-3


def lens(theta_e=0.5):
    return uvl.LensPlane([uvl.SIE(theta_e, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)])


def channel(number, factor=1.0, frequency=1.0, kept=slice(None), n=120, snr=3.0):
    """Visibilities of one channel: the same coverage for all, a source that moves, noise and weights of its own."""
    data = lensed_visibilities(n, 9, lens(), center=(0.05 - 0.06 * number, -0.05), snr=snr)
    rng = np.random.default_rng(100 + number)
    noise = (rng.normal(size=n) + 1j * rng.normal(size=n)) / np.sqrt(factor)
    u, v, vis, weight = data.u * frequency, data.v * frequency, data.vis + noise, np.full(n, factor)
    return uvl.Visibilities(u[kept], v[kept], vis[kept], weight[kept])


def mapper_and_prior(reduction, theta_e=0.52):
    """(indices, weights, bands of Hbar) for a reduction's sum of weights."""
    mesh = uvl.RectangularMesh(*SHAPE)
    x, y = MASK.rays(2)
    beta = lens(theta_e).ray_trace(x, y)
    geometry = mesh.geometry(*beta)
    indices, weights = mesh.interpolation(*beta, geometry)
    n = MASK.n_pixels
    prior = uvl.Gradient(1.0)
    lam = prior.coefficient(STRENGTH, reduction.sum_weight, reduction.resolution_area, geometry.spacing)
    bands = jnp.asarray(float(lam) * bands_from_matrix(prior.matrix(SHAPE)))
    return indices.reshape(n, -1), weights.reshape(n, -1) * MASK.grid.pixel_area / x.shape[1], bands


def brute_force(data_sets, weights, indices, bands, positive):
    """sum_c ln E_c - ln E_null,c + 1/2 ln det H_c by dense systems of each channel: W_c, d~_c and H_c of its own."""
    lensing = np.asarray(uvl.Mapper(indices, weights, bands.shape[1]).dense())
    h = np.asarray(matrix_from_bands(jnp.asarray(bands)))
    mean = np.mean([d.weight.sum() for d in data_sets])
    total = 0.0
    for d in data_sets:
        a = d.weight.sum() / mean
        w = reference.normal_matrix(d.u, d.v, d.weight, MASK.x, MASK.y)
        vector = lensing.T @ reference.dirty_image(d.u, d.v, d.weight, d.vis, MASK.x, MASK.y)
        matrix = lensing.T @ w @ lensing + a * h
        if positive:
            root = np.linalg.cholesky(matrix).T
            free = scipy.optimize.nnls(root, np.linalg.solve(root.T, vector))[0] > 0.0
            source = np.zeros(len(vector))
            source[free] = np.linalg.solve(matrix[np.ix_(free, free)], vector[free])
        else:
            source = np.linalg.solve(matrix, vector)
        # ln det A_c - S ln a_c: the determinants of a_c are those of H_c = a_c Hbar, and drop out
        log_det = np.linalg.slogdet(matrix)[1] - len(vector) * np.log(a)
        total -= 0.5 * (source @ matrix @ source - 2.0 * source @ vector + log_det)
    return total


@pytest.fixture(scope="module")
def data_sets():
    """Three channels whose weights differ by factors."""
    return [channel(c, factor) for c, factor in enumerate(FACTORS)]


@pytest.fixture(scope="module")
def shared(data_sets):
    return share_curvature([reduce(data, MASK) for data in data_sets])


def evidence(normal, indices, weights, bands, positive, path):
    """(value, weights_bar, bands_bar) on the host or in plain JAX."""
    everywhere = np.ones(bands.shape[1], bool)
    if path == "device":
        return _on_device(
            normal, indices, weights, bands, jnp.asarray(everywhere), jnp.asarray(everywhere), positive, True
        )
    arrays = map(np.asarray, (indices, weights, bands))
    found = host.evidence(
        normal.products, np.asarray(normal.dirty_image), *arrays, everywhere, everywhere, positive, True
    )
    return found.value, found.weights_bar, found.bands_bar


@pytest.mark.parametrize(
    ("method", "path", "positive"), list(itertools.product(METHODS, ["host", "device"], [False, True]))
)
def test_value_and_gradient_against_brute_force(shared, data_sets, method, path, positive):
    """The value to 1e-8 and both derivatives by differences to 1e-6 of their largest (low rank drops 1e-10 of W)."""
    normal = operator_from_reduction(shared.reduction, method)
    indices, weights, bands = mapper_and_prior(shared.reduction)
    value, weights_bar, bands_bar = evidence(normal, indices, weights, bands, positive, path)
    expected = brute_force(data_sets, weights, indices, bands, positive)
    assert abs(expected) > 50.0
    assert abs(value - expected) < (1e-6 if method == "lowrank" else 1e-8) * abs(expected)
    weights_bar, weights = np.asarray(weights_bar), np.asarray(weights)
    largest = np.argsort(-np.abs(weights_bar), axis=None)[:3]
    entries = [*largest, *np.random.default_rng(0).choice(np.flatnonzero(weights), 3)]

    def moved(change):
        new = weights.copy()
        new.ravel()[entries] += change
        return brute_force(data_sets, new, indices, bands, positive)

    numeric = reference.central_difference(moved, np.zeros(6), 1e-5 * weights.max())
    tolerance = 1e-5 if method == "lowrank" else 1e-6
    assert np.abs(weights_bar.ravel()[entries] - numeric).max() < tolerance * np.abs(weights_bar).max()
    change = np.random.default_rng(1).normal(size=bands.shape) * np.asarray(bands)
    numeric = reference.central_difference(
        lambda t: brute_force(data_sets, weights, indices, bands + t[0] * change, positive), [0.0], 1e-4
    )
    assert np.isclose(np.sum(np.asarray(bands_bar) * change), numeric[0], rtol=tolerance)


def test_free_sources_are_the_dense_normal(shared, data_sets):
    """sum_c ln N(d_c; 0, C_c + A L H_c^-1 L^T A^H) with C/2 ln det Hbar and every constant."""
    normal = operator_from_reduction(shared.reduction, "direct")
    indices, weights, bands = mapper_and_prior(shared.reduction)
    everywhere = jnp.ones(bands.shape[1], bool)
    value = log_evidence_minus_null(normal, indices, weights, bands, everywhere, everywhere, False)
    h = np.asarray(matrix_from_bands(bands))
    total = float(value) + 0.5 * 3 * np.linalg.slogdet(h)[1] + shared.reduction.log_evidence_null
    lensing = np.asarray(uvl.Mapper(indices, weights, len(h)).dense())
    expected = sum(
        reference.dense_evidence(d.u, d.v, d.weight, d.vis, MASK.x, MASK.y, lensing, a * h)
        for d, a in zip(data_sets, shared.scale)
    )
    assert np.isclose(total, expected, rtol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("path", ["host", "device"])
@pytest.mark.parametrize("method", METHODS)
def test_one_channel_is_the_operator_itself(method, path, positive):
    """A (1, N) dirty image and a (N,) one."""
    reduction = reduce(channel(0), MASK)
    shared = share_curvature([reduction])
    assert shared.scale == [1.0] and shared.error.total == 0.0
    problem = mapper_and_prior(reduction)
    one = evidence(operator_from_reduction(shared.reduction, method), *problem, positive, path)
    own = evidence(operator_from_reduction(reduction, method), *problem, positive, path)
    for a, b in zip(one, own):
        assert np.abs(np.asarray(a) - np.asarray(b)).max() <= 1e-12 * np.abs(np.asarray(b)).max()


@pytest.mark.parametrize("positive", [False, True])
def test_invariances(shared, positive):
    """The order of the channels does not count, and one channel twice is twice the evidence."""
    reductions = list(shared.channels)
    problem = mapper_and_prior(shared.reduction)

    def value(some, problem):
        normal = operator_from_reduction(share_curvature(some).reduction, "direct")
        return evidence(normal, *problem, positive, "host")

    for a, b in zip(value(reductions, problem), value(reductions[::-1], problem)):
        assert np.abs(a - b).max() < 1e-10 * np.abs(a).max()
    own = mapper_and_prior(reductions[0])
    for a, b in zip(value(reductions[:1], own), value([reductions[0]] * 2, own)):
        assert np.abs(2.0 * a - b).max() < 1e-10 * np.abs(b).max()


@pytest.mark.parametrize("method", ["direct", "lowrank"])
def test_under_jit_vmap_and_grad(shared, method):
    """A batch of priors in one call, and the gradient that JAX carries through."""
    normal = operator_from_reduction(shared.reduction, method)
    indices, weights, bands = mapper_and_prior(shared.reduction)
    everywhere = jnp.ones(bands.shape[1], bool)

    def value(scale):
        return log_evidence_minus_null(normal, indices, weights, scale * bands, everywhere, everywhere, True)

    scales = jnp.array([0.5, 2.0])
    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(value)))(scales)
    for i, scale in enumerate(scales):
        assert np.isclose(values[i], value(scale), rtol=1e-12)
        numeric = reference.central_difference(lambda t: float(value(t[0])), [float(scale)], 1e-4)
        assert np.isclose(slopes[i], numeric[0], rtol=1e-6)


def test_fixed_pixels_stay_at_zero(shared):
    """`allowed`: the same on the host, in JAX and by leaving the pixels out."""
    normal = operator_from_reduction(shared.reduction, "direct")
    indices, weights, bands = mapper_and_prior(shared.reduction)
    allowed = np.ones(bands.shape[1], bool)
    allowed[::5] = False
    everywhere = np.ones_like(allowed)
    arrays = [np.asarray(a) for a in (indices, weights, bands)]
    for positive in (False, True):
        found = host.evidence(
            normal.products, np.asarray(normal.dirty_image), *arrays, allowed, everywhere, positive, True
        )
        assert all(np.all(s.source[~allowed] == 0.0) and np.any(s.source) for s in found.solutions)
        value, weights_bar, bands_bar = _on_device(
            normal, indices, weights, bands, jnp.asarray(allowed), jnp.asarray(everywhere), positive, True
        )
        assert np.isclose(found.value, value, rtol=1e-10)
        for mine, other in ((found.weights_bar, weights_bar), (found.bands_bar, bands_bar)):
            assert np.abs(mine - other).max() < 1e-8 * np.abs(other).max()


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_numbers_that_are_not_finite_have_no_evidence(shared, method, positive):
    normal = operator_from_reduction(shared.reduction, method)
    indices, weights, bands = mapper_and_prior(shared.reduction)
    everywhere = jnp.ones(bands.shape[1], bool)
    for broken in ((weights.at[3, 2].set(jnp.nan), bands), (weights, bands.at[0, 5].set(jnp.inf))):
        value, gradient = jax.value_and_grad(log_evidence_minus_null, 2)(
            normal, indices, *broken, everywhere, everywhere, positive
        )
        assert np.isnan(value) and np.all(np.isnan(gradient))


@pytest.mark.parametrize("positive", [False, True])
def test_inversions_of_the_channels(shared, positive):
    """Every channel's source, terms and evidence in its own units, against its own inversion."""
    normal = operator_from_reduction(shared.reduction, "direct")
    indices, weights, bands = mapper_and_prior(shared.reduction)
    h = np.asarray(matrix_from_bands(bands))
    mapper = uvl.Mapper(indices, weights, len(h))
    inversions = invert_channels(shared, normal, mapper, h, np.linalg.slogdet(h)[1], positive=positive)
    assert len(inversions) == 3 and inversions.sources.shape == (3, len(h))
    for c, (mine, reduction, a) in enumerate(zip(inversions, shared.channels, shared.scale)):
        own = uvl.invert(operator_from_reduction(reduction, "direct"), mapper, a * h, positive)
        assert np.abs(mine.source - own.source).max() < 1e-7 * np.abs(own.source).max()
        assert np.array_equal(mine.source, inversions.sources[c])
        assert np.isclose(mine.log_evidence, own.log_evidence, rtol=1e-10)
        assert mine.terms == pytest.approx(own.terms, rel=1e-8)
        assert np.allclose(mine.source_error, own.source_error, rtol=1e-7)
        assert np.allclose(mine.data_vector, own.data_vector, rtol=1e-9, atol=1e-9 * np.abs(own.data_vector).max())
    together = evidence(normal, indices, weights, bands, positive, "host")[0] + 1.5 * np.linalg.slogdet(h)[1]
    assert np.isclose(sum(float(one.log_evidence_minus_null) for one in inversions), together, rtol=1e-10)
    assert np.array_equal(inversions[-1].source, inversions[2].source) and len(inversions[:2]) == 2


def test_sums_of_the_channels(shared):
    """Constants add; the sum of weights is that of a mean channel, so that a strength keeps its meaning."""
    reduction, channels = shared.reduction, shared.channels
    assert np.allclose(shared.scale, np.array(FACTORS) / np.mean(FACTORS), rtol=1e-12)
    assert np.isclose(reduction.log_evidence_null, sum(c.log_evidence_null for c in channels), rtol=1e-12)
    assert [operator_from_reduction(r, "fft").n_channels for r in (reduction, channels[0])] == [3, 1]
    assert reduction.n_visibilities == 360 and len(reduction.hashes) == 3
    for own, a in zip(channels, shared.scale):
        of_own = uvl.Gradient(1.0).coefficient(0.7, own.sum_weight, own.resolution_area, 0.1)
        of_mean = uvl.Gradient(1.0).coefficient(0.7, reduction.sum_weight, reduction.resolution_area, 0.1)
        assert np.isclose(of_own, a * of_mean, rtol=1e-12)
    smaller = uvl.Mask(MASK.grid, MASK.kept & (MASK.to_image(MASK.x, outside=1.0) < 0.2))
    expected = share_curvature([c.restrict(smaller) for c in channels]).reduction
    assert np.allclose(reduction.restrict(smaller).dirty_image, expected.dirty_image, rtol=1e-12)
    assert np.allclose(reduction.restrict(smaller).dense(), expected.dense(), rtol=1e-12)


def test_primary_beams_are_shared(data_sets):
    """Beams that are equal stay as they are; those of two terms stay two terms."""
    beams = [np.exp(-((MASK.x - c) ** 2) - MASK.y**2) for c in (0.0, 0.3)]
    reductions = [reduce(d, MASK, beams[0]) + reduce(channel(7), MASK, beams[1]) for d in data_sets]
    shared = share_curvature(reductions)
    assert [np.array_equal(t.primary_beam, b) for t, b in zip(shared.reduction.terms, beams)] == [True, True]
    mean = sum(r.dense() for r in reductions) / 3
    assert np.allclose(shared.reduction.dense(), mean, rtol=1e-12, atol=1e-12 * mean.max())


def separate(shared, positive, factor):
    """sum_c ln E_c of exact operators minus ln E of the shared one, the strength `factor` times that of the tests."""
    indices, weights, bands = mapper_and_prior(shared.reduction)
    bands = factor * bands
    together = evidence(operator_from_reduction(shared.reduction, "direct"), indices, weights, bands, positive, "host")[
        0
    ]
    total = 0.0
    for reduction, a in zip(shared.channels, shared.scale):
        own = operator_from_reduction(reduction, "direct")
        total += evidence(own, indices, weights, a * bands, positive, "host")[0]
        total += 0.5 * bands.shape[1] * np.log(a)
    return total - together


NARROW = [channel(c, frequency=1.0 + 1e-5 * (c - 1.5), n=1000, snr=0.3) for c in range(4)]
APART = [channel(c, frequency=1.0 + 0.05 * c, n=1000, snr=0.3) for c in range(2)]
FLAGS = [
    channel(c, kept=np.random.default_rng(c).random(1000) > 0.1, n=1000, snr=0.3)  # each its own tenth
    for c in range(3)
]
SPREAD = [channel(c, factor=1.0 + 0.2 * c, frequency=1.0 + 3e-4 * (c - 1), n=1000, snr=0.3) for c in range(3)]


@pytest.mark.parametrize(("data", "possible"), [(NARROW, True), (APART, False), (FLAGS, False)])
def test_what_may_be_shared(data, possible):
    """A narrow line: yes. 5 % apart in frequency on long baselines, or other flags: no, and the sentence says it."""
    verdict = can_share([reduce(d, MASK) for d in data])
    assert verdict.possible is possible
    assert (verdict.error <= 0.1) is possible
    assert ("within" if possible else "more than") in verdict.reason and "nat" in verdict.reason
    assert not can_share([reduce(d, MASK) for d in data], tolerance=0.5 * verdict.error).possible
    assert can_share([reduce(d, MASK) for d in data], tolerance=2.0 * verdict.error).possible


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("data", [NARROW, APART, FLAGS, SPREAD], ids=["narrow", "apart", "flags", "spread"])
def test_error_against_separate_evidences(data, positive):
    """The error is no less than what sharing changes, over a factor of 1e4 in strength, nor idle by a factor of 100."""
    shared = share_curvature([reduce(d, MASK) for d in data])
    changes = [abs(separate(shared, positive, factor)) for factor in (0.1, 1.0, 10.0, 1e3)]
    assert 0.0 < max(changes) <= shared.error.total < 100.0 * max(changes)


def test_channels_that_cannot_be_shared(data_sets):
    reductions = [reduce(data, MASK) for data in data_sets]
    shared = share_curvature(reductions)
    beam, wider = (np.exp(-(MASK.x**2 + MASK.y**2) / width) for width in (1.0, 1.5))
    cases = [
        ([], "at least one"),
        ([reductions[0], reduce(data_sets[1], uvl.Mask.disc(0.7, 0.11))], "another mask"),
        ([reductions[0], reduce(data_sets[1], MASK, beam)], "primary beam"),
        ([reduce(data_sets[0], MASK, beam), reduce(data_sets[1], MASK, wider)], "differ by"),
        ([reductions[0], reduce(data_sets[1], MASK, beam) + reductions[2]], "different primary beams"),
        ([reductions[0], shared.reduction], "several channels"),
    ]
    for some, text in cases:
        with pytest.raises(uvl.InputError, match=text):
            share_curvature(some)
        verdict = can_share(some)
        assert not verdict.possible and text in verdict.reason and verdict.error == np.inf
    with pytest.raises(uvl.InputError, match="then share"):
        _ = shared.reduction + reductions[0]


def test_a_failed_decomposition_is_not_taken_for_the_next_channel():
    """A set whose matrix is not positive definite is refused the second time as well."""
    solver = PassiveSet(DenseSystem(np.array([[1.0, 0.0], [2.0, 1.0]]), np.ones(2)))
    everywhere = np.ones(2, bool)
    assert not solver.decompose(everywhere)
    assert not solver.decompose(everywhere)
