"""Searches on a small lens: recovery, agreement of methods, resumption, files."""

import json

import arviz
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits

import uvlens as uvl
from uvlens.inference.density import Density
from uvlens.inference.optimize import climb, laplace_covariance
from uvlens.simulate import Array, lensed_image, observe

TRUTH = {"theta_E": 0.9, "e1": 0.1, "e2": -0.06, "center_x": 0.03, "center_y": -0.02}


@pytest.fixture(scope="module")
def data():
    """A ring seen by ALMA's most compact configuration but one, a thousand visibilities."""
    lens = uvl.LensPlane([uvl.SIE(**TRUTH)])
    grid = uvl.PixelGrid((160, 160), 0.03)

    def brightness(x, y):
        return 0.08 * np.exp(-0.5 * ((x - 0.06) ** 2 + (y - 0.1) ** 2) / 0.12**2)

    image = lensed_image(lens.ray_trace, brightness, grid)
    array = Array.named("alma.cycle10.2")
    settings = {"declination": -30.0, "hour_angle": (-0.1, 0.1), "integration": 720.0, "sigma": 3e-3, "seed": 3}
    return observe((image, 0.03), array, frequency=345e9, **settings)


@pytest.fixture(scope="module")
def model(data):
    """Two free lens parameters and the strength."""
    normal = uvl.normal_operator(data, uvl.Mask.annulus(0.2, 1.6, data.suggested_pixel_scale()))
    sie = uvl.SIE(uvl.Uniform(0.6, 1.2), uvl.TruncNormal(0.0, 0.2, -0.5, 0.5), -0.06, 0.03, -0.02)
    mesh = uvl.RectangularMesh(12, 12, extent=0.6)
    return uvl.Model(normal, [sie], uvl.PixelSource(mesh, uvl.Gradient()), positions="none")


@pytest.fixture(scope="module")
def nuts(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nuts")
    options = {"n_starts": 2, "n_screen": 10, "n_chains": 2, "n_warmup": 40, "n_draws": 150}
    return uvl.fit(model, method="nuts", seed=2, directory=folder, **options), folder, options


def test_nuts_recovers_the_truth(nuts):
    result, _, _ = nuts
    for path, true in (("lens.mass.0.theta_E", 0.9), ("lens.mass.0.e1", 0.1)):
        statistics = result.summary()["parameters"][path]
        assert abs(statistics["median"] - true) < 3.5 * statistics["std"]
    assert result.diagnostics["r_hat_max"] < 1.1
    inversion = result.best[0]
    expected = 2 * result.model.normal.reduction.n_visibilities - float(inversion.effective_parameters)
    assert abs(inversion.terms["chi_squared"] - expected) < 4 * np.sqrt(2 * expected)


def test_nuts_and_laplace_agree(nuts, model):
    result = nuts[0]
    laplace = uvl.fit(model, method="optimize", seed=5, n_starts=2, n_screen=10)
    sampled, approximate = result.vectors, laplace.vectors
    assert np.allclose(sampled.mean(axis=0)[:2], approximate.mean(axis=0)[:2], atol=0.5 * sampled.std(axis=0)[:2])
    assert np.allclose(sampled.std(axis=0)[:2] / approximate.std(axis=0)[:2], 1.0, atol=0.35)
    # the optimum is a maximum of the physical density or next to it
    assert laplace.best_log_likelihood > result.log_likelihood.max() - 1.0


@pytest.mark.slow
def test_nautilus_agrees_with_nuts_and_resumes(nuts, model, tmp_path):
    options = {"seed": 1, "n_live": 150, "n_effective": 300}
    first = uvl.fit(model, method="nautilus", directory=tmp_path, **options)
    again = uvl.fit(model, method="nautilus", directory=tmp_path, resume=True, **options)
    assert again.n_evaluations == first.n_evaluations
    assert again.log_evidence_minus_null == first.log_evidence_minus_null
    sampled = nuts[0].vectors
    assert np.allclose(first.vectors.mean(axis=0)[:2], sampled.mean(axis=0)[:2], atol=0.5 * sampled.std(axis=0)[:2])
    assert np.allclose(first.vectors.std(axis=0)[:2] / sampled.std(axis=0)[:2], 1.0, atol=0.35)


def test_a_killed_chain_continues_where_it_stopped(nuts, model, tmp_path, monkeypatch):
    """Interrupted in the middle, then resumed: the same draws as without interruption."""
    result, _, options = nuts
    calls = 0

    def interrupt(message, fraction):
        nonlocal calls
        calls += "sampling" in message
        if calls == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        uvl.fit(model, method="nuts", seed=2, directory=tmp_path, progress=interrupt, **options)
    resumed = uvl.fit(model, method="nuts", seed=2, directory=tmp_path, resume=True, **options)
    assert np.array_equal(resumed.vectors, result.vectors)
    with pytest.raises(uvl.InputError, match="seed"):
        uvl.fit(model, method="nuts", seed=3, directory=tmp_path, resume=True, **options)


def test_files_of_a_result(nuts):
    result, folder, _ = nuts
    report = result.report(folder)
    summary = json.loads((folder / "summary.json").read_text())
    for key in ("parameters", "derived", "log_evidence", "max_log_evidence", "terms", "n_visibilities", "rank"):
        assert key in summary
    for key in ("n_evaluations", "n_gradients", "wall_seconds", "seconds_per_evaluation", "diagnostics", "version"):
        assert summary[key] is not None
    assert set(summary["parameters"]["lens.mass.0.theta_E"]) == {"median", "mean", "std", "q16", "q84", "map"}
    assert np.isclose(summary["derived"]["lens.einstein_radius"]["median"], 0.9, atol=0.05)
    posterior = arviz.from_netcdf(folder / "posterior.nc").posterior
    assert posterior["lens.mass.0.theta_E"].shape == (2, 150)
    page = report.read_text()
    assert "http" not in page.replace("http://www.w3.org", "") and page.count("data:image/png;base64") >= 6
    table = uvl.load_results(folder)
    assert len(table) == 1 and np.isclose(
        table["lens.mass.0.theta_E"][0], summary["parameters"]["lens.mass.0.theta_E"]["median"]
    )


def test_fits_products_have_the_right_orientation(nuts, tmp_path):
    """The source lies North-East of the phase centre: in the file, upper left of the reference pixel."""
    result, _, _ = nuts
    result.save(tmp_path, phase_center=(150.0, -30.0))
    with fits.open(tmp_path / "source.fits") as hdus:
        header, image = hdus[0].header, hdus[0].data
    row, column = np.unravel_index(np.argmax(image), image.shape)
    east = (column + 1 - header["CRPIX1"]) * header["CDELT1"] * 3600
    north = (row + 1 - header["CRPIX2"]) * header["CDELT2"] * 3600
    assert header["CDELT1"] < 0 and header["BUNIT"] == "Jy/arcsec2" and header["CRVAL1"] == 150.0
    assert np.hypot(east - 0.06, north - 0.1) < 0.08
    model_sky = fits.getdata(tmp_path / "model.fits")
    assert np.isclose(np.nansum(model_sky), result.derived["source.image_flux"][1], rtol=1e-10)


def test_laplace_covariance_is_the_inverse_hessian(model):
    density = Density(model)
    found = climb(density, np.zeros(density.size))
    covariance = laplace_covariance(density, found.x)
    assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0.0
    # one sigma along an eigenvector costs about one half
    value, vector = np.linalg.eigh(covariance)
    for i in range(density.size):
        drop = -found.fun - density.value(found.x + np.sqrt(value[i]) * vector[:, i])
        assert abs(drop - 0.5) < 0.2


def test_impossible_points_have_a_finite_density(model):
    normal = model.normal
    wild = uvl.Model(normal, [uvl.SIE(1.0, uvl.Normal(0.0, 5.0))], model.components["source"])
    density = Density(wild)
    value, gradient = density.value_and_gradient(jnp.array([1.0, 0.0]))
    assert np.isfinite(value) and np.all(np.isfinite(gradient)) and value < -1e20


@pytest.mark.parametrize(
    ("options", "message"),
    [({"method": "emcee"}, "method"), ({"method": "nuts", "n_live": 10}, "not an option"), ({"n_drawz": 1}, "n_drawz")],
)
def test_bad_input_is_named(model, options, message):
    with pytest.raises(uvl.InputError, match=message):
        uvl.fit(model, **options)


def test_nothing_to_fit(model):
    fixed = uvl.Model(model.normal, [uvl.SIE(1.0)], uvl.PixelSource(uvl.RectangularMesh(5, 5), uvl.Gradient(1.0)))
    with pytest.raises(uvl.InputError, match="nothing to fit"):
        uvl.fit(fixed)
