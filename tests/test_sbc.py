"""Calibration of posteriors: draws from the prior, refits of one model to many data, ranks and odds."""

import jax.numpy as jnp
import numpy as np
import pytest
import reference
from compiling import quick
from scipy import integrate, optimize, stats

import uvlens as uvl
from uvlens import sbc
from uvlens.inversion.banded import matrix_from_bands
from uvlens.sbc.mocks import _truncated

MASK = uvl.Mask.disc(1.0, 0.16)


def observed(image, seed, n=40):
    """Visibilities of an image of unit-noise visibilities."""
    rng = np.random.default_rng(0)
    u, v = rng.uniform(-3e5, 3e5, (2, n))
    noise = np.random.default_rng(seed).normal(size=(2, n))
    vis = reference.fourier_matrix(u, v, MASK.x, MASK.y) @ image + noise[0] + 1j * noise[1]
    return uvl.Visibilities(u, v, vis, np.ones(n))


def model_of(image, seed, **options):
    normal = uvl.normal_operator(observed(image, seed), MASK, method="lowrank")
    mesh = uvl.RectangularMesh(5, 5, extent=0.4, basis="bilinear")
    prior = uvl.Gradient(uvl.LogUniform(1e-2, 10.0))
    return uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.5, 0.7), 0.1)], uvl.PixelSource(mesh, prior, **options), rays=1)


@pytest.fixture(scope="module")
def model():
    return model_of(np.zeros(MASK.n_pixels), 1)


@pytest.fixture(scope="module")
def mocks(model):
    return sbc.Mocks(model)


@pytest.fixture(scope="module")
def truth(mocks):
    return mocks.draw(np.random.default_rng(3))


@pytest.fixture(scope="module")
def linear(model):
    """vector -> (indices, weights, H), compiled."""

    def function(vector):
        mapper, bands, _ = model.linear_problem(vector)
        return mapper.indices, mapper.weights, matrix_from_bands(bands)

    return quick(function)


@pytest.fixture(scope="module")
def other(truth):
    """The same model on other data: those of the truth."""
    return model_of(truth.image, 2)


@pytest.fixture(scope="module")
def refit(model):
    return sbc.Refit(model, n_warmup=40, n_draws=600)


@pytest.fixture(scope="module")
def brute_force(refit, other):
    """(ln Z, mean, standard deviations) by a sum over a fine grid of both parameters."""
    density = refit.density(other.normal.dirty_image)
    top, covariance, _ = refit.climb(other.normal.dirty_image, 1)
    axes = [np.linspace(c - 7.0 * w, c + 7.0 * w, 41) for c, w in zip(top, np.sqrt(np.diag(covariance)))]
    log_density = np.array([[density.value(np.array([a, b])) for b in axes[1]] for a in axes[0]]) - np.log(2.0 * np.pi)
    highest = log_density.max()
    value = np.exp(log_density - highest)
    total = integrate.simpson(integrate.simpson(value, x=axes[1]), x=axes[0])
    margins = [integrate.simpson(value, x=axes[1], axis=1), integrate.simpson(value, x=axes[0], axis=0)]
    mean = np.array([np.sum(m * x) / np.sum(m) for m, x in zip(margins, axes)])
    std = np.sqrt([np.sum(m * (x - c) ** 2) / np.sum(m) for m, x, c in zip(margins, axes, mean)])
    return highest + np.log(total), mean, std


def test_an_image_of_a_truth_is_that_of_its_parameters(model, truth, linear):
    assert np.allclose(model.parameters.from_normal(jnp.asarray(truth.z)), truth.vector, rtol=1e-12)
    indices, weights, _ = (np.asarray(a) for a in linear(jnp.asarray(truth.vector)))
    lensing = np.zeros((MASK.n_pixels, 25))
    np.add.at(lensing, (np.arange(MASK.n_pixels)[:, None], indices), weights)
    assert np.allclose(truth.image, lensing @ truth.source, rtol=1e-12)


def test_sources_are_drawn_from_the_prior_of_the_fit(mocks, linear):
    """s^T H s of S numbers is chi^2 with S degrees of freedom, whatever the strength drawn."""
    rng, squares, strengths = np.random.default_rng(5), [], []
    for _ in range(200):
        one = mocks.draw(rng)
        h = np.asarray(linear(jnp.asarray(one.vector))[2])
        squares.append(one.source @ h @ one.source)
        strengths.append(one.vector[1])
    assert stats.kstest(squares, stats.chi2(25).cdf).pvalue > 1e-3
    assert stats.kstest(np.log10(strengths), stats.uniform(-2.0, 3.0).cdf).pvalue > 1e-3


@pytest.mark.parametrize("method", ["lowrank", "fft"])
def test_noise_of_dirty_images_has_the_covariance_of_noise_in_visibilities(truth, method):
    """W is that covariance (its largest elements); without noise the dirty image is that of exact visibilities."""
    data = observed(truth.image, 2)
    normal = uvl.normal_operator(data, MASK, method=method)
    mocks = sbc.Mocks(uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.5, 0.7))], uvl.Gaussian(1.0, 0.1), rays=1))
    exact = reference.fourier_matrix(data.u, data.v, MASK.x, MASK.y) @ truth.image
    quiet = mocks.observe(truth, np.random.default_rng(1), noise=0.0)
    expected = reference.dirty_image(data.u, data.v, data.weight, exact, MASK.x, MASK.y)
    assert np.allclose(quiet, expected, atol=1e-6 * np.abs(expected).max())
    rng = np.random.default_rng(2)
    noise = np.array([mocks.observe(truth, rng, noise=1.3) for _ in range(1000)]) - quiet
    w = 1.3**2 * reference.normal_matrix(data.u, data.v, data.weight, MASK.x, MASK.y)
    assert np.allclose(noise.T @ noise / 1000, w, atol=6.0 * w.max() / np.sqrt(1000))


def test_truncated_sources_equal_rejection_sampling():
    """Moments of N(0, H^-1) in the positive octant, by throwing away what lies outside."""
    h = np.array([[2.0, -1.0, 0.3], [-1.0, 2.0, -0.8], [0.3, -0.8, 1.5]])
    rng = np.random.default_rng(1)
    plain = rng.normal(size=(200_000, 3)) @ np.linalg.inv(np.linalg.cholesky(h))
    kept = plain[np.all(plain >= 0.0, axis=1)]
    drawn = np.array([_truncated(h, np.ones(3), rng) for _ in range(400)])
    assert drawn.min() >= 0.0
    assert np.all(np.abs(drawn.mean(axis=0) - kept.mean(axis=0)) < 4.0 * kept.std(axis=0) / 20.0)
    assert np.all(np.abs(drawn.std(axis=0) / kept.std(axis=0) - 1.0) < 0.2)


def test_a_refit_is_the_model_of_its_data(refit, model, other):
    """Data exchanged in what was compiled for others, against a Model made of them (and its compiled products)."""
    z = np.array([0.3, -0.4])
    for one in (model, other):
        expected = float(quick(lambda z, one=one: one.log_posterior(z))(jnp.asarray(z)))
        value, gradient = refit.density(one.normal.dirty_image).value_and_gradient(z)
        assert value == pytest.approx(expected, abs=1e-8 * max(1.0, abs(expected)))
        assert refit.density(one.normal.dirty_image).value(z) == pytest.approx(value, abs=1e-9)
        assert np.all(np.isfinite(gradient))
    assert abs(refit.density(model.normal.dirty_image).value(z) - expected) > 1.0


def test_evidence_equals_a_sum_over_a_grid(refit, other, brute_force):
    top, covariance, _ = refit.climb(other.normal.dirty_image, 1)
    found = refit.evidence(other.normal.dirty_image, top, covariance, 2)
    assert abs(found.log_evidence - brute_force[0]) < 4.0 * found.error + 1e-3
    assert found.error < 0.05 and found.n_effective > 400


def test_nuts_equals_a_sum_over_a_grid(refit, other, brute_force):
    top, covariance, _ = refit.climb(other.normal.dirty_image, 1)
    draws = refit.nuts(other.normal.dirty_image, top, covariance, 3)
    _, mean, std = brute_force
    assert np.all(np.abs(draws.z.mean(axis=0) - mean) < 5.0 * std / np.sqrt(200.0))
    assert np.all(np.abs(draws.z.std(axis=0) / std - 1.0) < 0.2)
    density = refit.density(other.normal.dirty_image)
    assert draws.log_posterior[7] == pytest.approx(density.value(draws.z[7]), abs=1e-6)


def test_scores_tell_a_calibrated_posterior_from_one_that_is_too_narrow():
    rng = np.random.default_rng(2)
    for factor, calibrated in ((1.0, True), (1.3, False)):
        found = []
        for _ in range(300):
            truth = rng.normal(size=2)
            data = truth + 0.5 * factor * rng.normal(size=2)
            draws = data / 1.25 + np.sqrt(0.2) * rng.normal(size=(100, 2))
            found.append(sbc.score(draws, truth, rng))
        u, z = np.array([one.u for one in found]), np.array([one.z for one in found])
        assert (min(sbc.uniformity(u.ravel())) > 0.01) == calibrated
        assert (abs(z.var() - 1.0) < 0.25) == calibrated
        assert np.allclose(np.mean([one.shrinkage for one in found]), 0.8, atol=0.05)


def test_calibration_slope_is_the_maximum_of_its_likelihood():
    rng = np.random.default_rng(4)
    x = rng.normal(0.5, 3.0, 300)
    true = rng.random(300) < 1.0 / (1.0 + np.exp(-(0.4 + 0.7 * x)))

    def negative(beta):
        t = beta[0] + beta[1] * x
        return np.sum(np.logaddexp(0.0, -t) + (~true) * t)

    found = optimize.minimize(negative, [0.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    a, b, covariance = sbc.calibration_slope(x, true)
    assert np.allclose([a, b], found.x, atol=1e-6)
    assert abs(b - 0.7) < 4.0 * np.sqrt(covariance[1, 1]) and abs(a - 0.4) < 4.0 * np.sqrt(covariance[0, 0])
    alone = optimize.minimize_scalar(lambda b: negative([0.0, b]), bounds=(0.0, 3.0), method="bounded")
    assert sbc.calibration_slope(x, true, intercept=False)[1] == pytest.approx(alone.x, abs=1e-4)
    with pytest.raises(ValueError, match="tell all mocks apart"):
        sbc.calibration_slope(x, x > 0.0)


def test_models_without_a_prior_to_draw_from_are_refused(model):
    mesh = uvl.RectangularMesh(5, 5, extent=0.4)
    mass = [uvl.SIE(uvl.Uniform(0.5, 0.7))]
    best = uvl.Model(model.normal, mass, uvl.PixelSource(mesh, uvl.Gradient("evidence")), rays=1)
    with pytest.raises(uvl.InputError, match="maximised"):
        sbc.Mocks(best)
    linear = uvl.Model(model.normal, mass, uvl.Gaussian("linear", 0.1), rays=1)
    with pytest.raises(uvl.InputError, match="linear fluxes"):
        sbc.Mocks(linear)
    with pytest.raises(uvl.InputError, match="source must be"):
        sbc.Mocks(model, source="lognormal")
    two = uvl.Model([model.normal, model.normal], mass, uvl.PixelSource(mesh, uvl.Gradient(1.0)), rays=1)
    with pytest.raises(uvl.InputError, match="one sky"):
        sbc.Refit(two)
