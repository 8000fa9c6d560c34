"""What a fit leaves behind: derived quantities with their errors, InferenceData, the folder as objects again."""

import dataclasses
import json
from types import SimpleNamespace

import arviz
import jax.numpy as jnp
import numpy as np
import pytest
from fitted import laplace_result, small_data, small_model

import uvlens as uvl
from uvlens.apertures import NO_SETTINGS, Aperture, aperture_columns, parse_derived
from uvlens.files import to_json
from uvlens.inference.identity import describe_model, difference, fingerprint
from uvlens.lens import Lens, effective_einstein_radius
from uvlens.lens.polar import einstein_radii
from uvlens.schema import Section
from uvlens.sourcedraws import draw_sources, source_errors, with_source

APERTURES = (Aperture("core", (0.06, 0.03), 0.15), Aperture("sky", (0.0, 0.0), 1.25, "image"))


@pytest.fixture(scope="module")
def result():
    return laplace_result(small_model(small_data(), positions="none"))[0].with_derived(
        APERTURES, {"peak": lambda found, lenses: np.asarray(found[0].source(found[0].parts[0])).max()}
    )


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    place = tmp_path_factory.mktemp("fit")
    result.save(place)
    return place


def test_einstein_radii_in_polar_form_equal_critical_curves():
    """An elliptical power law with shear against the host's curves, and one that has no polar form."""

    def lens_at(v):
        return Lens([uvl.EPL(v[0], v[1], v[2], v[3]), uvl.Shear(v[4], 0.03)])

    rng, best = np.random.default_rng(1), np.array([1.2, 2.1, 0.15, -0.1, 0.05])
    vectors = best + rng.normal(size=(70, 5)) * [0.03, 0.05, 0.03, 0.03, 0.02]
    radii, at_best = einstein_radii(lens_at, vectors, best, (0.0, 0.0), 3.0)
    for vector, radius in [*zip(vectors[:2], radii[:2]), (best, at_best)]:
        assert abs(radius / effective_einstein_radius(lens_at(jnp.asarray(vector)), (0.0, 0.0), 3.0) - 1.0) < 1e-6
    assert np.isfinite(radii).all()

    def two(v):
        return Lens([uvl.SIS(v[0], -0.45, 0.0), uvl.SIS(v[0], 0.45, 0.0)])

    radii, at_best = einstein_radii(two, np.array([[0.5], [0.49]]), np.array([0.5]), (0.0, 0.0), 3.0)
    assert np.isclose(radii[0], at_best, rtol=1e-3) and radii[1] < radii[0]


def test_draws_of_a_source_have_its_covariance(result):
    inversion = result.best[0]
    drawn = draw_sources(inversion, 4000, np.random.default_rng(0))
    covariance = np.asarray(inversion.system.inverse())
    assert np.allclose(source_errors(inversion), np.sqrt(np.diag(covariance)), rtol=1e-9)
    whitened = np.linalg.solve(np.linalg.cholesky(covariance), (drawn - np.asarray(inversion.source)).T)
    n = whitened.shape[0]
    assert abs(np.mean(whitened**2) - 1.0) < 5.0 * np.sqrt(2.0 / (4000 * n)) and abs(whitened.mean()) < 0.01


def test_zeros_of_a_positive_source_stay(result):
    model = small_model(small_data(), positive=True)
    inversion = model.invert(jnp.asarray(result.best_vector))[0]
    zero = np.asarray(inversion.source) == 0.0
    drawn = draw_sources(inversion, 2000, np.random.default_rng(0))
    assert zero.any() and np.all(drawn[:, zero] == 0.0)
    matrix = np.asarray(inversion.curvature_matrix + inversion.system.regularization_matrix)[np.ix_(~zero, ~zero)]
    assert np.allclose(drawn[:, ~zero].std(axis=0), np.sqrt(np.diag(np.linalg.inv(matrix))), rtol=0.1)


def test_errors_of_fluxes_hold_the_errors_of_the_source(result):
    """var = E[var of the source at fixed lens] + var over the lens, the first in closed form."""
    one = result.reconstructions[0]
    columns = aperture_columns([one], APERTURES[0])[0][1]
    at_fixed_lens = columns @ one.covariance @ columns
    samples, best = result.derived["aperture.core.flux"]
    assert np.isclose(best, columns @ np.asarray(one.inversion.source))
    assert 0.8 * np.sqrt(at_fixed_lens) < samples.std() < 3.0 * np.sqrt(at_fixed_lens)
    solutions = samples.reshape(-1, 8).mean(axis=1)
    assert samples.std() ** 2 == pytest.approx(at_fixed_lens + solutions.var(), rel=0.35)


def test_apertures_are_integrals(result):
    """All of the sky is the image flux; a disc over the source plane is a fine sum of the picture."""
    one = result.reconstructions[0]
    wide = Aperture("all", (0.0, 0.0), 5.0, "image")
    columns = aperture_columns([one], wide)[0][1]
    assert np.isclose(columns @ np.asarray(one.inversion.source), result.derived["source.image_flux"][1])
    brightness, _, grid = one.picture(one.parts[0], 12)
    x, y = grid.coordinates()
    inside = np.hypot(x - 0.06, y - 0.03) < 0.15
    assert np.isclose(brightness[inside].sum() * grid.pixel_area, result.derived["aperture.core.flux"][1], rtol=0.02)
    paths, covariance = result.derived_covariance()
    assert paths == ["aperture.core.flux", "aperture.sky.flux"] and np.all(np.linalg.eigvalsh(covariance) > 0.0)
    assert np.isclose(covariance[0, 0], result.derived["aperture.core.flux"][0].var(ddof=1))


def test_size_and_functions(result):
    derived = result.derived
    size = derived["source.half_light_radius"][1]
    assert 0.08 < size < 0.25 and 0.0 < derived["source.rms_minor"][1] <= derived["source.rms_major"][1]
    assert abs(derived["source.center_x"][1] - 0.06) < 0.04 and abs(derived["source.center_y"][1] - 0.03) < 0.04
    assert derived["peak"][1] == pytest.approx(float(np.max(result.best[0].source)))
    one, source = result.reconstructions[0], np.asarray(result.best[0].source)
    assert np.allclose(with_source(one, 2.0 * source).image, 2.0 * one.image)
    assert abs(derived["lens.einstein_radius"][1] - 0.8) < 0.03 and len(derived["lens.einstein_mass"][0]) == 200


def test_inference_data(result, folder):
    for data in (result.to_arviz(), arviz.from_netcdf(folder / "posterior.nc")):
        assert data.posterior["lens.mass.0.theta_E"].shape == (2, 100)
        assert data.sample_stats["diverging"].dtype == bool and data.sample_stats["n_steps"].shape == (2, 100)
        assert np.array_equal(data.log_likelihood["log_evidence_minus_null"].values.ravel(), result.log_likelihood)
        assert data.derived["lens.einstein_radius"].shape == (2, 100)
        assert "aperture.core.flux" in data.derived_source
        assert data.attrs["model_fingerprint"] == fingerprint(result.model) and data.attrs["seed"] == 1
    prior = float(result.model.parameters.log_prior(jnp.asarray(result.vectors[0])))
    assert np.isclose(data.sample_stats["lp"].values[0, 0], result.log_likelihood[0] + prior)


def test_a_folder_is_the_result_again(result, folder):
    again = uvl.load_result(folder)
    assert difference(describe_model(result.model), describe_model(again.model)) == ""
    plain = dataclasses.replace(again, derived_settings=result.derived_settings)
    plain.__dict__["derived"] = again.derived
    old, new = (json.loads(to_json(one.summary())) for one in (result, plain))
    assert old == new
    vector = jnp.asarray(result.vectors[7])
    assert abs(float(again.model.log_prob(vector)) - float(result.model.log_prob(vector))) < 1e-12
    assert again.vectors.shape == result.vectors.shape and np.array_equal(again.vectors, result.vectors)


def test_ties_guards_and_distributions_come_back(result, tmp_path):
    import numpyro.distributions as dist

    normal = result.model.normal
    lens = [uvl.SIE(dist.Laplace(0.8, 0.02), 0.1, 0.0, uvl.Normal(0.0, 0.1), uvl.Normal("lens.mass.0.center_x", 0.05))]
    lens.append(uvl.SIS(0.1, uvl.SameAs("lens.mass.0.center_x"), 0.5))
    guard = uvl.Positions(jnp.array([[0.7, 0.1], [-0.6, 0.0]]), 0.5)
    pixels = uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.5), uvl.Gradient("evidence"))
    model = uvl.Model(normal, lens, [uvl.Source(pixels)], rays=2, positions=guard)
    vector = np.asarray(model.parameters.median())
    fields = {"vectors": np.stack([vector, vector * 1.001]), "best_vector": vector, "log_likelihood": None}
    fields |= {"derived_settings": NO_SETTINGS, "n_chains": 1, "sample_stats": {}}
    changed = dataclasses.replace(result, model=model, **fields)
    changed.save(tmp_path)
    again = uvl.load_result(tmp_path)
    assert difference(describe_model(model), describe_model(again.model)) == ""
    value = float(again.model.log_prob(jnp.asarray(vector)))
    assert abs(value - float(model.log_prob(jnp.asarray(vector)))) < 1e-12


def test_joint_priors_and_constraints_come_back():
    """Through the text of the model file alone: nothing is computed."""
    import yaml

    from uvlens.jointpriors import with_joint_priors
    from uvlens.parameters import Parameters
    from uvlens.parse import parse_lens
    from uvlens.parse_priors import parse_joint_priors
    from uvlens.reload import _put
    from uvlens.statedpriors import put_priors

    e1, e2 = uvl.EllipticityPrior(uvl.Uniform(0.4, 0.9))
    x, y = uvl.MultivariateNormal([0.0, 0.1], [[0.01, 0.002], [0.002, 0.02]])
    lens = uvl.LensPlane(
        [uvl.SIE(uvl.Normal(1.0, 0.1), e1, e2, x, y), uvl.SIS(uvl.Uniform(0.0, "lens.mass.0.theta_E"))]
    )
    parameters = Parameters({"lens": lens})
    model = SimpleNamespace(parameters=parameters, constraints=())
    content = {"lens": {"mass": [{"profile": "SIE", "theta_E": 1.0, "e1": 0.0, "e2": 0.0, "center_x": 0.0,
                                  "center_y": 0.0}, {"profile": "SIS", "theta_E": 0.1}]}}  # fmt: skip
    assert put_priors(content, model, _put) == {}
    content = yaml.safe_load(yaml.safe_dump(content))
    tree = with_joint_priors({"lens": parse_lens(content["lens"], "lens")}, parse_joint_priors(content["joint_priors"]))
    again = Parameters(tree)
    assert again.paths == parameters.paths
    z = jnp.linspace(-1.0, 1.0, len(again))
    assert np.allclose(again.from_normal(z), parameters.from_normal(z), rtol=1e-12)


def test_python_functions_cannot_be_written():
    from uvlens.parameters import Parameters
    from uvlens.reload import _put
    from uvlens.statedpriors import put_priors

    lens = uvl.LensPlane(
        [uvl.SIS(1.0, uvl.Normal(0.0, 1.0), uvl.function_of(lambda x: x + 0.1, "lens.mass.0.center_x"))]
    )
    model = SimpleNamespace(parameters=Parameters({"lens": lens}), constraints=())
    with pytest.raises(uvl.InputError, match="Python function"):
        put_priors({"lens": {"mass": [{}]}}, model, _put)


def test_a_distribution_made_of_others_is_not_written():
    """numpyro's arguments do not say what it is made of; a truncated normal has a name of ours."""
    import numpyro.distributions as dist

    from uvlens.parameters import Parameters
    from uvlens.reload import _put
    from uvlens.statedpriors import put_priors

    def written(prior):
        model = SimpleNamespace(parameters=Parameters({"lens": uvl.LensPlane([uvl.SIS(prior)])}), constraints=())
        content = {"lens": {"mass": [{}]}}
        return put_priors(content, model, _put), content["lens"]["mass"][0]

    others, mass = written(dist.TruncatedNormal(0.5, 0.1, low=0.0, high=1.0))
    assert others == {} and mass == {"theta_E": {"truncnormal": [0.5, 0.1, 0.0, 1.0]}}
    others, _ = written(dist.AsymmetricLaplace(0.2, 0.5, 2.0))
    assert others["lens.mass.0.theta_E"]["distribution"] == "AsymmetricLaplace"
    shifted = dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(5.0, 2.0))
    for prior in (shifted, dist.LeftTruncatedDistribution(dist.Cauchy(0.5, 0.1), 0.0)):
        with pytest.raises(uvl.InputError, match=r"lens.mass.0.theta_E: the prior .* cannot be written"):
            written(prior)


def test_signs_and_a_missing_guard_come_back(tmp_path):
    """ln L at a negative flux; the file is a model file for others too."""
    import numpyro.distributions as dist
    import yaml

    from uvlens.bestfit import best_fit_content
    from uvlens.light import Linear
    from uvlens.modelfile import ModelFile
    from uvlens.reload import FILE, fitted_content, load_model
    from uvlens.skyfiles import save_skies

    pixels = uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.5), uvl.Gradient(0.1))
    source = uvl.Source(pixels, light=[uvl.Gaussian(Linear(positive=False), 0.08, 0.05, 0.02, 0.0, 0.0)])
    lens = [uvl.SIE(dist.AsymmetricLaplace(0.8, 0.02, 2.0), 0.1, 0.0)]
    normal = uvl.normal_operator(small_data(), uvl.Mask.annulus(0.3, 1.3, 0.1))
    options = {"rays": 2, "amplitudes": "sampled", "positions": "none", "chained": True}
    model = uvl.Model(normal, lens, source, **options)
    vector = np.asarray(model.parameters.median({"source.light.0.flux": -1e-3}))
    found = SimpleNamespace(
        model=model, best_vector=vector, calibration=None, reconstructions=model.inversions(jnp.asarray(vector))
    )
    save_skies(model.skies, tmp_path, None)
    (tmp_path / FILE).write_text(yaml.safe_dump(fitted_content(found, best_fit_content(found))))
    again = load_model(tmp_path)
    assert difference(describe_model(model), describe_model(again)) == ""
    assert again.unguarded and again.signed == model.signed == ("source.0.light.0.flux",)
    value = float(model.log_prob(vector))
    assert np.isfinite(value) and abs(float(again.log_prob(vector)) - value) < 1e-10
    content = yaml.safe_load((tmp_path / FILE).read_text()) | {"data": [{"file": "data.npz"}]}
    read = ModelFile.of(content, tmp_path / FILE)
    assert read.chained and read.signed == ("source.light.0.flux",) and read.positions == "none"
    assert isinstance(read.lens.mass[0].theta_E, dist.AsymmetricLaplace)


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(uvl.InputError, match="no fitted_model"):
        uvl.load_result(tmp_path)


def test_differences_are_named(result):
    old = describe_model(result.model)
    assert fingerprint(result.model) == fingerprint(small_model(small_data(), positions="none"))
    text = difference(old, describe_model(small_model(small_data(), low=0.6, positions="none")))
    assert "lens.mass.0.theta_E: uniform(0.7, 0.9) before, uniform(0.6, 0.9) now" in text
    text = difference(old, describe_model(small_model(small_data(seed=4), positions="none")))
    assert ("other visibilities" in text and "data set 0" in text) or "hash" in text
    assert "positive: false before, true now" in difference(
        old, describe_model(small_model(small_data(), True, positions="none"))
    )
    assert difference({"seed": 1}, {"seed": 2}) == "seed: 1 before, 2 now"


def test_quantities_of_the_source_are_told_by_where_they_come_from(result):
    """As many draws of the source as samples are still no quantity of every sample; none is dropped."""
    from uvlens.inferencedata import datasets
    from uvlens.quantities import Quantities

    n, changed = len(result.vectors), dataclasses.replace(result)
    values = {"lens.q": np.ones(n), "source.flux": np.zeros(n), "aperture.a.flux": np.zeros(7)}
    derived = Quantities({path: (one, 1.0) for path, one in values.items()}, ["source.flux", "aperture.a.flux"])
    changed.__dict__["derived"] = derived
    groups = datasets(changed)
    assert list(groups["derived"].data_vars) == ["lens.q"]
    assert (
        groups["derived_source"]["source.flux"].shape == (n,) and groups["derived_source"]["aperture.a.flux"].size == 7
    )


def test_resample(result):
    few = result.resample(50, seed=2)
    assert few.vectors.shape == (50, 3) and len(np.unique(few.vectors[:, 0])) == 50 and few.n_chains == 1
    assert all((few.vectors[3] == row).all() for row in result.vectors[result.log_likelihood == few.log_likelihood[3]])
    assert len(result.resample(500).vectors) == 500
    with pytest.raises(uvl.InputError, match="at least 1"):
        result.resample(0)


def test_the_section_of_model_files():
    item = {"name": "arc", "plane": "image", "center": [0.9, 0.3], "radius": 0.4}
    settings = parse_derived(Section({"apertures": [item]}, "derived"))
    assert settings.apertures == (Aperture("arc", (0.9, 0.3), 0.4, "image"),)
    for wrong, message in (({**item, "radios": 1}, "radius"), ({**item, "plane": "lens"}, "plane")):
        with pytest.raises(uvl.InputError, match=message):
            parse_derived(Section({"apertures": [wrong]}, "derived"))
