"""Is a model adequate, which of two is better, and where its time goes."""

import dataclasses
import json
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from click.testing import CliRunner
from fitted import laplace_result, small_data, small_model

import uvlens as uvl
from uvlens.adequacy import tail_probability
from uvlens.cli import main
from uvlens.comparison import evidence_of
from uvlens.parameters import Parameters
from uvlens.terms import describe_skies, log_evidence_terms


@pytest.fixture(scope="module")
def result():
    return laplace_result(small_model(small_data()), n_samples=100)[0]


def gaussian_fit(method, n_samples=4000, seed=0):
    """(a fit whose likelihood is a Gaussian in z, its ln Z in closed form)."""
    parameters = Parameters({"lens": [uvl.Normal(1.0, 2.0), uvl.Uniform(0.0, 1.0), uvl.LogNormal(0.0, 1.0)]})
    middle, precision = np.array([0.3, -0.4, 0.5]), np.array([[30.0, 5.0, 0.0], [5.0, 8.0, 1.0], [0.0, 1.0, 12.0]])
    covariance = np.linalg.inv(precision + np.eye(3))
    peak = covariance @ precision @ middle
    rng = np.random.default_rng(seed)
    z = peak + rng.normal(size=(n_samples, 3)) @ np.linalg.cholesky(covariance).T

    def log_likelihood(z):
        return 7.0 - 0.5 * np.einsum("...i,ij,...j->...", z - middle, precision, z - middle)

    vectors = np.array([parameters.from_normal(jnp.asarray(one)) for one in z])
    exact = 7.0 + 0.5 * np.linalg.slogdet(covariance)[1]
    exact += -0.5 * middle @ precision @ middle + 0.5 * peak @ np.linalg.inv(covariance) @ peak
    fields = {"log_likelihood": log_likelihood(z), "best_log_likelihood": float(log_likelihood(peak))}
    best = np.asarray(parameters.from_normal(jnp.asarray(peak)))
    model = SimpleNamespace(parameters=parameters)
    common = {"log_evidence_minus_null": None, "diagnostics": {}, "method": method, "best_vector": best}
    return SimpleNamespace(model=model, vectors=vectors, **common, **fields), exact


@pytest.mark.parametrize("method", ["nuts", "optimize"])
def test_evidences_of_a_gaussian_are_exact(method):
    fit, exact = gaussian_fit(method, 1500)
    found = evidence_of(fit)
    assert found["method"].startswith("reciprocal" if method == "nuts" else "Laplace")
    assert abs(found["log_evidence_minus_null"] - exact) < 0.1 and found["n_parameters"] == 3
    if method == "nuts":
        assert abs(found["log_evidence_minus_null"] - exact) < 4.0 * found["error"] < 0.2


def test_nested_sampling_gives_its_own():
    fit, _ = gaussian_fit("nautilus", 50)
    fit.log_evidence_minus_null, fit.diagnostics = 12.5, {"n_effective": 400.0}
    assert evidence_of(fit) == {
        "log_evidence_minus_null": 12.5,
        "error": 0.05,
        "method": "nested sampling",
        "n_parameters": 3,
        "log_allowed_share": 0.0,
    }


@pytest.mark.parametrize("method", ["svi", "laplace"])
def test_reweighted_draws_give_their_own(method):
    fit, _ = gaussian_fit(method, 50)
    fit.log_evidence_minus_null, fit.diagnostics = 12.5, {"n_effective": 400.0, "log_evidence_error": 0.02}
    found = evidence_of(fit)
    assert (found["log_evidence_minus_null"], found["error"], found["method"]) == (12.5, 0.02, "importance sampling")


def test_comparisons(result, tmp_path):
    nested = {"method": "nautilus", "diagnostics": {"n_effective": 100.0}}
    better = dataclasses.replace(result, log_evidence_minus_null=900.0, **nested)
    worse = dataclasses.replace(better, log_evidence_minus_null=895.0)
    rows = uvl.compare(worse, better)
    assert [row["name"] for row in rows] == ["fit 1", "fit 0"] and rows[1]["delta"] == -5.0
    assert np.isclose(rows[1]["delta_error"], 0.1 * np.sqrt(2.0)) and np.isclose(
        rows[0]["probability"], 1 / (1 + np.exp(-5))
    )
    other = dataclasses.replace(result, model=small_model(small_data(seed=9)))
    with pytest.raises(uvl.InputError, match="different data"):
        uvl.compare(result, other)
    with pytest.raises(uvl.InputError, match="two fits"):
        uvl.compare(result)


@pytest.mark.whole
def test_the_folder_and_the_commands(result, tmp_path):
    result.save(tmp_path / "a")
    rows = uvl.compare(tmp_path / "a", tmp_path / "a")
    assert np.isclose(rows[0]["log_evidence_minus_null"], evidence_of(result)["log_evidence_minus_null"])
    run = CliRunner().invoke(main, ["compare", str(tmp_path / "a"), str(tmp_path / "a"), "--json"])
    assert run.exit_code == 0 and len(json.loads(run.stdout)) == 2
    run = CliRunner().invoke(main, ["compare", str(tmp_path / "a"), str(tmp_path / "b")])
    assert run.exit_code == 2 and "no summary.json" in run.output
    options = ["--grid", "2", "--extent", "0.8", "--log10-mass", "9.5", "--fixed-macro", "--json"]
    run = CliRunner().invoke(main, ["subhalo", str(tmp_path / "a"), *options])
    assert run.exit_code == 0, run.output
    assert (tmp_path / "a" / "subhalo_scan.fits").exists()
    run = CliRunner().invoke(main, ["subhalo", str(tmp_path / "a"), "--noise", "3"])
    assert run.exit_code == 2 and "--sensitivity" in run.output


def test_an_adequate_model_and_one_that_is_not(result, tmp_path):
    good = result.posterior_predictive(n_draws=8, n_replicates=40, bins=6)
    assert good.is_adequate and 0.01 < good.p_value <= 1.0
    sky = good.skies[0]
    assert abs(np.mean(sky["chi_squared"]) / sky["n_real"] - 1.0) < 4.0 * np.sqrt(2.0 / sky["n_real"])
    assert sky["uv_degrees"].sum() <= 2 * 300 and 2.0 < np.mean(sky["peak_of_noise"]) < 5.0
    good.save(tmp_path)
    assert (tmp_path / "adequacy.png").exists() and "adequate" in (tmp_path / "adequacy.txt").read_text()
    # an Einstein radius that is wrong by 0.07 arcsec, sources as the prior of the fit has them
    moved = result.vectors.copy()
    moved[:, 0] += 0.07
    bad = dataclasses.replace(result, vectors=moved).posterior_predictive(n_draws=8, n_replicates=40, bins=6)
    assert not bad.is_adequate


def test_a_residual_beyond_all_draws_of_noise_is_not_excused():
    """100 maxima of 300 normals: shares inside, a tail that is conservative beyond them and falls without a floor."""
    rng = np.random.default_rng(0)
    maxima = np.abs(rng.normal(size=(20_000, 300))).max(axis=1)
    at = np.quantile(maxima, [0.5, 0.9, 0.99, 0.999])
    found = np.mean([tail_probability(part, at) for part in maxima.reshape(200, 100)], axis=0)
    assert np.allclose(found[:2], [0.5, 0.1], rtol=0.05)
    assert np.all(found[2:] > [0.009, 0.0009]) and np.all(found[2:] < [0.02, 0.005])
    assert tail_probability(maxima[:100], [6.9]) < 1e-4


def test_weights_that_are_wrong_are_noticed():
    data = small_data()
    model = small_model(dataclasses.replace(data, weight=1.5 * data.weight))
    found = laplace_result(model, n_samples=20)[0].posterior_predictive(n_draws=5, n_replicates=20, bins=6)
    assert not found.is_adequate and found.skies[0]["p_chi_squared"] < 1e-3


def test_a_weight_scale_scales_chi_squared_and_residuals():
    """f = 0.25 of weights that are four times too large: everything is as with the right weights."""
    data = small_data()
    wrong = small_model(dataclasses.replace(data, weight=4.0 * data.weight), weight_scale=0.25)
    found = laplace_result(wrong, n_samples=20)[0]
    terms, (facts,) = log_evidence_terms(wrong, found.reconstructions), describe_skies(wrong, found.reconstructions)
    assert facts["chi_squared"] == pytest.approx(terms["chi_squared"], rel=1e-10)
    assert 0.7 < facts["chi_squared"] / facts["n_real_data"] < 1.3
    adequacy = found.posterior_predictive(n_draws=6, n_replicates=40, bins=5)
    (sky,) = adequacy.skies
    assert adequacy.is_adequate and abs(np.mean(sky["chi_squared"]) / sky["n_real"] - 1.0) < 0.2
    assert np.mean(sky["peak"]) < 1.3 * sky["peak_of_noise"].max()
    assert abs(sky["uv_chi_squared"].sum() / sky["uv_degrees"].sum() - 1.0) < 0.3


def test_antennas(result):
    rng = np.random.default_rng(0)
    data = small_data()
    numbers = rng.integers(0, 8, (2, len(data)))
    data = dataclasses.replace(data, antenna1=numbers[0], antenna2=numbers[1])
    found = result.posterior_predictive(n_draws=2, n_replicates=2, bins=3, data=data).antennas
    assert set(found) == set(range(8)) and all(0.5 < value < 1.6 for value in found.values())
    with pytest.raises(uvl.InputError, match="antennas"):
        result.posterior_predictive(n_draws=2, n_replicates=2, bins=3, data=small_data())


@pytest.mark.parametrize("positive", [False, True])
def test_a_profile_adds_up(positive):
    model = small_model(small_data(), positive)
    found = uvl.profile_likelihood(model, calls=4)
    assert found["n_source"] == 100 and found["n_entries"] > 0
    assert found["likelihood"] > 0.0 and found["likelihood_and_gradient"] > found["likelihood"] * 0.5
    assert all(one["seconds"] >= 0.0 for one in found["steps"])
    assert np.isclose(found["sum_of_steps"] + found["not_accounted_for"], found["likelihood"])
    assert found["sum_of_steps"] > 0.2 * found["likelihood"]
