"""Calibration nuisances against dense covariances: sums, operators, evidence, gradient, files."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from compiling import quick
from conftest import random_visibilities

import uvlens as uvl
from uvlens.errors import InputError
from uvlens.normal import Nuisances, Reduction, operator_from_reduction, reduce_calibrated
from uvlens.normal.storage import load_reduction
from uvlens.nuisancesection import nuisances_section, parse_nuisances
from uvlens.schema import Section

N_ANTENNAS, K = 5, 40
EVERYTHING = Nuisances(antenna_phases=15.0, antenna_amplitudes=0.1, flux_scale=0.08, shift=0.03)


def with_antennas(data, n_antennas=N_ANTENNAS, seed=1):
    """The data with random pairs of antennas, times and scans."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, n_antennas, len(data))
    second = (first + rng.integers(1, n_antennas, len(data))) % n_antennas
    time = np.sort(rng.uniform(0.0, 100.0, len(data)))
    return dataclasses.replace(data, antenna1=first, antenna2=second, time=time, scan=(time > 60.0).astype(int))


@pytest.fixture(scope="module")
def data():
    return with_antennas(random_visibilities(K, 3))


@pytest.fixture(scope="module")
def mask():
    return uvl.Mask.disc(0.9, 0.15)


@pytest.fixture(scope="module")
def image(mask):
    return np.random.default_rng(8).random(mask.n_pixels)


def starts(reduction, seed=4):
    """Values of about one prior width."""
    rng = np.random.default_rng(seed)
    (term,) = reduction.nuisances
    return dict(zip(term.keys, 0.7 * rng.normal(size=len(term)) * term.sigma))


@pytest.fixture(scope="module")
def start(data, mask, image):
    return starts(reduce_calibrated(data, mask, EVERYTHING, image))


@pytest.fixture(scope="module")
def reduction(data, mask, image, start):
    return reduce_calibrated(data, mask, EVERYTHING, image, start)


def tangents(data, keys, origin=None, length=None):
    """T by the definition, one entry at a time."""
    table = np.zeros((len(data), len(keys)), complex)
    for j, (kind, antenna, interval) in enumerate(keys):
        for k in range(len(data)):
            now = True if length is None else int((data.time[k] - origin) // length) == interval
            hit = (data.antenna1[k] == antenna) * now, (data.antenna2[k] == antenna) * now
            table[k, j] = {
                "antenna_phases": 1j * (float(hit[0]) - float(hit[1])),
                "antenna_amplitudes": float(hit[0]) + float(hit[1]),
                "flux_scale": 1.0,
                "shift_x": 2j * np.pi * data.u[k] * reference.ARCSEC,
                "shift_y": 2j * np.pi * data.v[k] * reference.ARCSEC,
            }[kind]
    return table


def dense(data, mask, image, term, power=1.0):
    """(A, divided data less its mean, C') in real numbers, and sum of 2 ln |G|^2."""
    t = tangents(data, term.keys)
    gain = np.exp(t @ term.start)
    weight = data.weight * np.abs(gain) ** 2
    a = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) * power
    b = t * (a @ image)[:, None]
    b, a = (np.concatenate([m.real, m.imag]) for m in (b, a))
    vis = data.vis / gain
    residual = np.concatenate([vis.real, vis.imag]) + b @ term.start
    covariance = np.diag(np.concatenate([1.0 / weight, 1.0 / weight])) + (b * term.sigma**2) @ b.T
    return a, residual, covariance, float(np.sum(2.0 * np.log(np.abs(gain) ** 2)))


def test_sums_are_those_of_the_dense_covariance(data, mask, image, reduction):
    (term,) = reduction.nuisances
    assert len(term) == 2 * N_ANTENNAS + 3
    a, residual, covariance, log_gain = dense(data, mask, image, term)
    inverse = np.linalg.inv(covariance)
    w = a.T @ inverse @ a
    assert np.allclose(reduction.dense(), w, rtol=0.0, atol=1e-9 * np.abs(w).max())
    dirty = a.T @ inverse @ residual
    assert np.allclose(reduction.dirty_image, dirty, rtol=0.0, atol=1e-9 * np.abs(dirty).max())
    assert float(reduction.null_chi_squared) == pytest.approx(residual @ inverse @ residual, rel=1e-10)
    normalization = np.linalg.slogdet(2.0 * np.pi * covariance)[1] + log_gain
    assert float(reduction.noise_normalization) == pytest.approx(normalization, rel=1e-10)


def test_the_solution_is_the_posterior_of_the_linear_problem(data, mask, image, reduction):
    (term,) = reduction.nuisances
    t = tangents(data, term.keys)
    gain = np.exp(t @ term.start)
    model = np.random.default_rng(2).random(mask.n_pixels)
    a = reference.fourier_matrix(data.u, data.v, mask.x, mask.y)
    left, b = data.vis / gain - a @ model, t * (a @ image)[:, None]
    weight = np.tile(data.weight * np.abs(gain) ** 2, 2)
    left, b = (np.concatenate([m.real, m.imag]) for m in (left, b))
    covariance = np.linalg.inv((b.T * weight) @ b + np.diag(term.sigma**-2.0))
    delta = covariance @ (b.T @ (weight * left) - term.start / term.sigma**2)
    values, found = term.solve(model)
    assert np.allclose(values, term.start + delta, rtol=1e-8, atol=1e-10)
    assert np.allclose(found, covariance, rtol=1e-8, atol=1e-12)
    change = np.sum(weight * ((left - b @ delta) ** 2 - left**2))
    assert term.chi_squared_change(model) == pytest.approx(change, rel=1e-9)
    rows, own = np.random.default_rng(3).random((mask.n_pixels, 4)), np.diag([1.0, 2.0, 0.5, 0.1])
    slope = covariance @ (b.T * weight) @ np.concatenate([(a @ rows).real, (a @ rows).imag])
    assert np.allclose(term.spread(term.response @ rows, own), slope @ own @ slope.T, rtol=1e-8, atol=1e-14)


METHODS = ["fft", "direct", "lowrank"]


def pixel_model(reduction, method, **options):
    mesh = uvl.RectangularMesh(6, 7, extent=0.6)
    prior = uvl.Gradient(uvl.LogUniform(0.01, 10.0))
    lens = [uvl.SIE(uvl.Uniform(0.3, 0.7), 0.1, -0.05, uvl.Uniform(-0.1, 0.1), 0.01)]
    operator = operator_from_reduction(reduction, method)
    return uvl.Model(operator, lens, uvl.PixelSource(mesh, prior, **options), rays=2)


VECTOR = jnp.array([0.52, 0.02, 0.4])


@pytest.mark.parametrize("method", METHODS)
def test_evidence_equals_dense_algebra(data, mask, image, reduction, method):
    """-1/2 [r^T K^-1 r + ln det 2 pi K], K = C' + A L H^-1 L^T A^T, and the Jacobian of the division."""
    model = pixel_model(reduction, method)
    mapper, bands, _ = model.linear_problem(VECTOR)
    from uvlens.inversion import matrix_from_bands

    lensing, prior = np.asarray(mapper.dense()), np.asarray(matrix_from_bands(bands))
    a, residual, covariance, log_gain = dense(data, mask, image, reduction.nuisances[0])
    total = covariance + a @ lensing @ np.linalg.solve(prior, lensing.T) @ a.T
    log_det = np.linalg.slogdet(2.0 * np.pi * total)[1]
    expected = -0.5 * (residual @ np.linalg.solve(total, residual) + log_det + log_gain)
    found = float(model.log_likelihood(VECTOR)) + model.log_evidence_null
    assert found == pytest.approx(expected, abs=1e-9 * abs(model.log_evidence_null))


@pytest.mark.parametrize(("method", "positive"), [("fft", False), ("direct", True), ("lowrank", False)])
def test_gradient_is_that_of_finite_differences_on_both_paths(reduction, method, positive):
    """Compiled products of a CPU and plain JAX; free and positive sources."""
    model = pixel_model(reduction, method, positive=positive)
    on_host = jax.jit(jax.value_and_grad(model.log_likelihood))
    value, gradient = on_host(VECTOR)
    for i in range(len(VECTOR)):
        step = 1e-5
        slope = (on_host(VECTOR.at[i].add(step))[0] - on_host(VECTOR.at[i].add(-step))[0]) / (2 * step)
        assert float(gradient[i]) == pytest.approx(float(slope), rel=2e-5, abs=1e-6 * np.abs(gradient).max())
    (system,) = model.systems
    plain = dataclasses.replace(system, normal=dataclasses.replace(system.normal, products=None))
    without = eqx.tree_at(lambda model: model.systems, model, (plain,))
    other, slopes = quick(jax.value_and_grad(without.log_likelihood))(VECTOR)
    assert float(other) == pytest.approx(float(value), rel=1e-9)
    assert np.allclose(slopes, gradient, rtol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_products_of_every_operator_are_those_of_the_dense_matrix(reduction, mask, method):
    operator, w = operator_from_reduction(reduction, method), reduction.dense()
    images = np.random.default_rng(0).normal(size=(mask.n_pixels, 3))
    assert np.allclose(operator.apply(jnp.asarray(images)), w @ images, rtol=0.0, atol=1e-9 * np.abs(w @ images).max())
    assert np.allclose(operator.dense(), w)


def test_fluxes_that_are_parameters_beside_pixels(data, mask, image, reduction):
    """ln L of a parametric model is that of its image under C'."""
    light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=0.2, center_x=0.1)
    model = uvl.Model(operator_from_reduction(reduction, "auto"), [uvl.SIS(uvl.Uniform(0.1, 1.0))], light, rays=2)
    vector = jnp.array([0.4, 2.0])
    (found,) = model.inversions(vector)
    a, residual, covariance, log_gain = dense(data, mask, image, reduction.nuisances[0])
    left = residual - a @ found.image
    log_det = np.linalg.slogdet(2.0 * np.pi * covariance)[1]
    expected = -0.5 * (left @ np.linalg.solve(covariance, left) + log_det + log_gain)
    assert float(model.log_likelihood(vector)) + model.log_evidence_null == pytest.approx(expected, rel=1e-10)


def test_intervals_split_antennas_and_a_stream_adds_up_to_the_same(data, mask, image):
    settings = Nuisances(antenna_phases=10.0, interval=40.0)
    whole = reduce_calibrated(data, mask, settings, image)
    (term,) = whole.nuisances
    present = set()
    for k in range(K):
        number = int((data.time[k] - data.time.min()) // 40.0)
        present |= {("antenna_phases", int(a), number) for a in (data.antenna1[k], data.antenna2[k])}
    assert set(term.keys) == present
    t = tangents(data, term.keys, data.time.min(), 40.0)
    b = t * (reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image)[:, None]
    assert np.allclose(term.gram, ((b.conj().T * data.weight) @ b).real, rtol=1e-9, atol=1e-9)
    parts = [data.select(slice(0, 7)), data.select(slice(7, 25)), data.select(slice(25, None))]
    other = reduce_calibrated(uvl.VisibilityStream(parts), mask, settings, image)
    assert other.nuisances[0].keys == term.keys
    assert np.allclose(other.dirty_image, whole.dirty_image, rtol=1e-9, atol=1e-9 * np.abs(whole.dirty_image).max())
    assert np.allclose(other.nuisances[0].response, term.response, rtol=1e-9, atol=1e-9 * np.abs(term.response).max())
    by_scan = reduce_calibrated(data, mask, Nuisances(antenna_phases=10.0, interval="scan"), image)
    assert {key[2] for key in by_scan.nuisances[0].keys} == {0, 1}


@pytest.mark.parametrize("interval", [None, 40.0])
def test_gains_are_those_that_the_data_were_divided_by(data, mask, image, interval, tmp_path):
    """exp(T p) at every row, 1 where nothing was solved for; after a file as well."""
    from uvlens.normal.calibrated import gains

    settings = dataclasses.replace(EVERYTHING, interval=interval)
    found = reduce_calibrated(data, mask, settings, image)
    found.save(tmp_path / "normal.npz")
    (term,) = load_reduction(tmp_path / "normal.npz")[0].nuisances
    assert (term.interval, term.origin) == (interval, None if interval is None else data.time.min())
    values = np.random.default_rng(2).normal(size=len(term)) * term.sigma
    table = tangents(data, [key for key in term.keys if key[1] < 0])
    others = [j for j, key in enumerate(term.keys) if key[1] >= 0]
    of_antennas = tangents(data, [term.keys[j] for j in others], data.time.min(), interval)
    whole = [j for j, key in enumerate(term.keys) if key[1] < 0]
    expected = np.exp(table @ values[whole] + of_antennas @ values[others])
    later = data.select(slice(5, None))  # the origin is that of the fit, not that of these rows
    assert np.allclose(gains(term, values, later), expected[5:], rtol=1e-12)
    phases = reduce_calibrated(data, mask, Nuisances(antenna_phases=10.0), image).nuisances[0]
    strange = dataclasses.replace(data, antenna1=data.antenna1 + 90, antenna2=data.antenna2 + 90)
    assert np.array_equal(gains(phases, np.ones(len(phases)), strange), np.ones(K))


def test_flagged_antennas_are_dropped(data, mask, image):
    of_two = (data.antenna1 == 2) | (data.antenna2 == 2)
    flagged = dataclasses.replace(data, weight=np.where(of_two, 0.0, data.weight))
    found = reduce_calibrated(flagged, mask, Nuisances(antenna_phases=10.0), image)
    assert {antenna for _, antenna, _ in found.nuisances[0].keys} == {0, 1, 3, 4}
    assert found.observations[0].n_flagged == np.count_nonzero(of_two)


def test_primary_beams_and_pixel_windows(data, mask, image):
    seen = dataclasses.replace(data, primary_beam=2.0, u=0.3 * data.u, v=0.3 * data.v)
    power = np.exp(-4.0 * np.log(2.0) * (mask.x**2 + mask.y**2) / 2.0**2)
    start = starts(reduce_calibrated(seen, mask, EVERYTHING, image))
    for window in (False, True):
        found = reduce_calibrated(seen, mask, EVERYTHING, image, start, pixel_window=window)
        step = mask.grid.pixel_scale * reference.ARCSEC
        response = np.sinc(seen.u * step) * np.sinc(seen.v * step) if window else np.ones(K)
        a, residual, covariance, _ = dense(seen, mask, image, found.nuisances[0], power / response[:, None])
        w = a.T @ np.linalg.solve(covariance, a)
        assert np.allclose(found.dense(), w, rtol=0.0, atol=1e-9 * np.abs(w).max())
        dirty = a.T @ np.linalg.solve(covariance, residual)
        assert np.allclose(found.dirty_image, dirty, rtol=0.0, atol=1e-9 * np.abs(dirty).max())


def test_reductions_with_nuisances_add_restrict_and_are_saved(data, mask, image, reduction, tmp_path):
    other = with_antennas(random_visibilities(30, 9), seed=5)
    plain = uvl.normal_operator(other, mask).reduction
    both = reduction + plain
    assert np.allclose(both.dense(), reduction.dense() + plain.dense())
    assert both.nuisances == reduction.nuisances
    fewer = uvl.Mask(mask.grid, mask.kept & (mask.grid.coordinates()[0] > 0.0))
    chosen = mask.x > 0.0
    small = both.restrict(fewer)
    assert np.allclose(small.dense(), both.dense()[np.ix_(chosen, chosen)])
    assert np.allclose(small.dirty_image, both.dirty_image[chosen])
    small.save(tmp_path / "normal.npz")
    again = load_reduction(tmp_path / "normal.npz")[0]
    assert isinstance(again, Reduction)
    assert again.hashes == small.hashes and again.nuisances[0].keys == small.nuisances[0].keys
    assert np.array_equal(again.dense(), small.dense())
    values, covariance = again.nuisances[0].solve(np.ones(fewer.n_pixels))
    assert np.array_equal(values, small.nuisances[0].solve(np.ones(fewer.n_pixels))[0]) and covariance.shape == (13, 13)


def test_the_hash_knows_the_nuisances(data, mask, image, reduction, start):
    others = [
        reduce_calibrated(data, mask, EVERYTHING, image),
        reduce_calibrated(data, mask, EVERYTHING, 1.01 * image, start),
        reduce_calibrated(data, mask, dataclasses.replace(EVERYTHING, shift=0.04), image, start),
    ]
    assert len({reduction.hashes, *(one.hashes for one in others)}) == 4
    assert reduce_calibrated(data, mask, EVERYTHING, image, start).hashes == reduction.hashes


def test_without_width_nuisances_change_nothing(data, mask, image):
    """ln E is as continuous in the widths as in the values."""
    term = reduce_calibrated(data, mask, EVERYTHING, image).nuisances[0]
    rng = np.random.default_rng(6)
    start = dict(zip(term.keys, 1e-7 * rng.normal(size=len(term)) * term.sigma))
    tight = Nuisances(*(1e-7 * np.array([15.0, 0.1, 0.08, 0.03])))
    found = reduce_calibrated(data, mask, tight, image, start)
    plain = uvl.normal_operator(data, mask).reduction
    assert np.allclose(found.dense(), plain.dense(), rtol=1e-6, atol=1e-6 * plain.dense().max())
    assert found.log_evidence_null == pytest.approx(plain.log_evidence_null, rel=1e-6)


def test_bad_input_is_named(data, mask, image):
    bare = random_visibilities(20, 1)
    with pytest.raises(InputError, match="need to know the antennas"):
        reduce_calibrated(bare, mask, Nuisances(antenna_phases=10.0), image)
    with pytest.raises(InputError, match="times"):
        timeless = dataclasses.replace(data, time=None)
        reduce_calibrated(timeless, mask, Nuisances(antenna_phases=10.0, interval=5.0), image)
    with pytest.raises(InputError, match="scan numbers"):
        reduce_calibrated(
            dataclasses.replace(data, scan=None), mask, Nuisances(antenna_phases=1.0, interval="scan"), image
        )
    with pytest.raises(InputError, match="reduced already"):
        reduce_calibrated(uvl.normal_operator(bare, mask).reduction, mask, Nuisances(flux_scale=0.1), image)
    with pytest.raises(InputError, match="antenna_phases"):
        Nuisances(antenna_phases=-1.0)
    with pytest.raises(InputError, match="interval"):
        Nuisances(antenna_phases=1.0, interval="hour")
    assert reduce_calibrated(bare, mask, Nuisances(flux_scale=0.1), image).nuisances[0].keys == (("flux_scale", -1, 0),)


@pytest.mark.parametrize("kind", ["flux", "both"])
def test_a_weight_scale_is_what_scaled_weights_are(data, mask, kind):
    """ln E with every constant, its terms and images, against data whose weights were multiplied by hand."""
    mesh = uvl.RectangularMesh(5, 5, extent=0.6)
    pixels = None if kind == "flux" else uvl.PixelSource(mesh, uvl.Gradient(0.5 / 1.7))
    light = (uvl.Gaussian(flux=2.0, sigma=0.2, center_x=0.1),)
    mass = [uvl.SIS(uvl.Uniform(0.1, 1.0))]
    lognormal = uvl.LogNormal(0.0, 0.3)
    model = uvl.Model(uvl.normal_operator(data, mask), mass, uvl.Source(pixels, light), rays=2, weight_scale=lognormal)
    assert model.parameters.paths == ("lens.mass.0.theta_E", "nuisances.weight_scale")
    vector = jnp.array([0.5, 1.7])
    by_hand = uvl.normal_operator(data.with_weights_scaled(1.7), mask)
    # the strength is in units of the sum of weights
    pixels = None if pixels is None else uvl.PixelSource(mesh, uvl.Gradient(0.5 / 1.7**2))
    other = uvl.Model(by_hand, mass, uvl.Source(pixels, light), rays=2)
    value, expected = model.log_likelihood(vector) + model.log_evidence_null, other.log_likelihood(vector[:1])
    assert float(value) == pytest.approx(float(expected) + other.log_evidence_null, rel=1e-10)
    from uvlens.terms import log_evidence_minus_null, log_evidence_terms

    found, truth = model.inversions(vector), other.inversions(vector[:1])
    assert np.allclose(found[0].image, truth[0].image, rtol=1e-8, atol=1e-12)
    assert log_evidence_minus_null(found) + model.log_evidence_null == pytest.approx(float(value), rel=1e-10)
    terms, right = log_evidence_terms(model, found), log_evidence_terms(other, truth)
    assert all(terms[key] == pytest.approx(right[key], rel=1e-8, abs=1e-8) for key in right)
    gradient = jax.grad(model.log_likelihood)(vector)
    for i in range(2):
        slope = model.log_likelihood(vector.at[i].add(1e-5)) - model.log_likelihood(vector.at[i].add(-1e-5))
        assert float(gradient[i]) == pytest.approx(float(slope) / 2e-5, rel=1e-5, abs=1e-5)


def test_errors_and_penalty_of_nuisances_under_a_weight_scale(reduction):
    """P^-1 / f and f p^T Sigma^-1 p; chi squared is the sum of its parts."""
    from uvlens.results import Result

    light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=0.2, center_x=0.1)
    found = []
    for f in (1.0, 4.0):
        normal = operator_from_reduction(reduction, "auto")
        model = uvl.Model(normal, [uvl.SIS(0.4)], light, rays=2, weight_scale=f)
        vectors = np.full((4, 1), 2.0)
        cost = {"n_evaluations": 1, "n_gradients": 1, "wall_seconds": 1.0}
        fit = Result(model, "nuts", 1, vectors, None, 1, vectors[0], 0.0, {}, None, **cost)
        found.append(fit.nuisances)
    one, four = ([own["data"][0]["parameters"]["antenna_phases"]["values"] for own in found][i] for i in range(2))
    for a, b in zip(one, four):
        assert b["value"] == pytest.approx(a["value"])
        assert b["error_of_fixed_model"] == pytest.approx(0.5 * a["error_of_fixed_model"])
        assert b["error"] == pytest.approx(0.5 * a["error"])
    for key in ("penalty", "chi_squared", "chi_squared_with_penalty"):
        assert found[1][key] == pytest.approx(4.0 * found[0][key])


def test_fits_with_and_without_nuisances_are_compared(data, mask, image, reduction, start):
    """By ln Z itself: the evidences of the empty sky differ with the point of linearisation."""
    from uvlens.results import Result

    light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=0.2, center_x=0.1)
    plain = uvl.normal_operator(data, mask).reduction
    other = reduce_calibrated(data, mask, EVERYTHING, image)

    def fit(own):
        model = uvl.Model(operator_from_reduction(own, "auto"), [uvl.SIS(0.4)], light, rays=2)
        vectors = 2.0 + 0.1 * np.random.default_rng(1).normal(size=(50, 1))
        cost = {"n_evaluations": 1, "n_gradients": 1, "wall_seconds": 1.0}
        return Result(model, "nautilus", 1, vectors, None, 1, vectors[0], 3.0, {}, 5.0, **cost)

    fits = [fit(own) for own in (plain, reduction, other)]
    rows = {row["name"]: row for row in uvl.compare(*fits)}
    for i, own in enumerate(fits):
        row = rows[f"fit {i}"]
        assert row["log_evidence"] == pytest.approx(5.0 + own.model.log_evidence_null)
        best = max(one.model.log_evidence_null for one in fits)
        assert row["delta"] == pytest.approx(own.model.log_evidence_null - best)
    scaled = uvl.normal_operator(data.with_weights_scaled(2.0), mask).reduction
    with pytest.raises(InputError, match="different data"):
        uvl.compare(fits[1], fit(scaled))


@pytest.mark.filterwarnings("ignore")
def test_a_reloaded_fit_knows_its_calibration(reduction, tmp_path):
    """Loop, nuisances, apertures and what was handed on come back as objects; all that is made of them works."""
    from uvlens.results import Result
    from uvlens.selfcal import Calibration

    light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=0.2, center_x=0.1)
    model = uvl.Model(operator_from_reduction(reduction, "auto"), [uvl.SIS(0.4)], light, rays=2)
    vectors = 2.0 + 0.1 * np.random.default_rng(1).normal(size=(12, 1))
    passes = ({"log_posterior": 1.0, "largest_change": 3.0}, {"log_posterior": 2.0, "largest_change": 0.7})
    calibration = Calibration(model, EVERYTHING, vectors[0], (0,), passes, 123.0, False)
    more = {"calibration": calibration, "handed_on": tmp_path / "handed_on.npz", "n_evaluations": 1, "n_gradients": 1}
    fit = Result(model, "nuts", 1, vectors, None, 1, vectors[0], 3.0, {}, None, wall_seconds=1.0, **more)
    fit = fit.with_derived([uvl.Aperture("core", (0.1, 0.0), 0.2)])
    fit.save(tmp_path / "a")
    again = uvl.load_result(tmp_path / "a")
    assert isinstance(again.calibration, Calibration) and again.calibration.nuisances == EVERYTHING
    assert again.calibration.facts() == calibration.facts() and again.calibration.model is again.model
    assert any("0.7 of their errors" in text for text in again.warnings) and again.warnings == fit.warnings
    assert again.nuisances["change_of_chi_squared"] == pytest.approx(fit.nuisances["change_of_chi_squared"])
    assert again.handed_on == tmp_path / "handed_on.npz"
    assert again.summary()["aperture_covariance"]["paths"] == ["aperture.core.flux"]
    again.save(tmp_path / "b")
    for name in "ab":
        assert "antenna_phases: 15.0" in (tmp_path / name / "best_fit.yaml").read_text()


def test_the_section_of_a_model_file():
    def parsed(**content):
        return parse_nuisances(Section(content, "nuisances"))

    prior = {"lognormal": [0.0, 0.3]}
    found, scale = parsed(antenna_phases=10.0, shift="1e-2", interval="scan", weight_scale=prior)
    assert found == Nuisances(10.0, shift=0.01, interval="scan") and str(scale) == str(uvl.LogNormal(0.0, 0.3))
    assert nuisances_section(found) == {"antenna_phases": 10.0, "shift": 0.01, "interval": "scan"}
    found, scale = parsed(weight_scale={"alma": prior, "sma": 1.2})
    assert not found and list(scale) == ["alma", "sma"] and scale["sma"] == 1.2
    assert parsed() == (Nuisances(), None) and parsed(weight_scale=1.5)[1] == 1.5
    for content, message in (
        ({"antenna_phse": 1.0}, "antenna_phases"),
        ({"interval": "hour"}, "interval"),
        ({"weight_scale": {"alma": {"lognorml": [0.0, 1.0]}}}, "lognormal"),
        ({"flux_scale": -1.0}, "flux_scale"),
    ):
        with pytest.raises(InputError, match=message):
            parsed(**content)


def test_weight_scales_that_make_no_sense_are_refused(data, mask):
    normal, light = uvl.normal_operator(data, mask), uvl.Gaussian(flux=1.0, sigma=0.2)
    below = [uvl.Normal(1.0, 0.9), uvl.TruncNormal(1.0, 0.5, -0.1, 2.0), uvl.Uniform(-1.0, 1.0), -2.0]
    for scale, message in (*((one, "positive") for one in below), ({"alma": 1.0}, "no sky 'alma'")):
        with pytest.raises(InputError, match=message):
            uvl.Model(normal, [uvl.SIS(0.5)], light, weight_scale=scale)
    for scale in (uvl.Uniform(0.0, 2.0), uvl.LogNormal(0.0, 0.3), uvl.LogUniform(0.1, 10.0)):
        uvl.Model(normal, [uvl.SIS(0.5)], light, weight_scale=scale)


def test_noise_has_the_covariance_of_the_marginalised_data(reduction, mask):
    """Draws against W - U^T U, and its diagonal."""
    from uvlens.mocknoise import NoiseImages, noise_variance

    w = reduction.dense()
    assert np.allclose(noise_variance(reduction), np.diagonal(w), rtol=1e-8, atol=1e-9 * w.max())
    draw, rng = NoiseImages(reduction), np.random.default_rng(1)
    drawn = np.array([draw(rng) for _ in range(4000)])
    sigma = np.sqrt(np.diagonal(w))
    found = drawn.T @ drawn / len(drawn)
    assert np.abs(found - w).max() < 6.0 * np.sqrt(2.0 / len(drawn)) * sigma.max() ** 2
