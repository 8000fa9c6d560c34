"""Subhalo scans and sensitivity maps on a small ring."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from fitted import TRUTH, small_data, small_model

import uvlens as uvl
from uvlens.inference.density import Density
from uvlens.inference.optimize import climb
from uvlens.light import Linear
from uvlens.mocknoise import noise_image
from uvlens.normal import operator_from_reduction
from uvlens.perturber import updated, with_perturber
from uvlens.scanmocks import MockData
from uvlens.scansetup import Setup
from uvlens.sky import Sky
from uvlens.substructure import position_grid

MASS, X, Y = 10.0, 0.62, 0.52


def subhalo(mass=MASS, x=X, y=Y):
    import astropy.cosmology

    return uvl.SubhaloNFW.at(0.5, 2.0, astropy.cosmology.Planck18, mass, center_x=x, center_y=y)


def lens_with(*more):
    return uvl.LensPlane([uvl.SIE(**TRUTH), *more])


def observed(*perturbers, seed):
    """(model, vector of its best fit) of data that hold perturbers; rays and noise of the model itself, no visibilities
    but those of the noise: dirty image = W (brightness at the rays) + dirty image of noise."""
    rng, n = np.random.default_rng(seed), 400
    radius, angle = 4e5 * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    noise = uvl.Visibilities(u, v, rng.normal(size=n) + 1j * rng.normal(size=n), np.ones(n))
    mask = uvl.Mask.annulus(0.3, 1.3, 0.1)
    reduction = uvl.normal_operator(noise, mask).reduction
    beta_x, beta_y = (np.asarray(b) for b in lens_with(*perturbers).ray_trace(*mask.rays(2)))
    image = 1.2 * np.exp(-0.5 * ((beta_x - 0.06) ** 2 + (beta_y - 0.03) ** 2) / 0.12**2).mean(axis=1)
    reduction = dataclasses.replace(reduction, dirty_image=reduction.dirty_image + reduction.dense() @ image)
    model = small_model(small_data(), low=0.6, strengths=(1e-6, 1e2))
    sky = Sky(operator_from_reduction(reduction, "lowrank"))
    sie = uvl.SIE(uvl.Uniform(0.75, 0.85), uvl.Uniform(0.0, 0.2), -0.06, 0.03, -0.02)
    model = uvl.Model(sky, uvl.LensPlane([sie], 0.5), model.components["source"], rays=2)
    start = model.parameters.to_normal(jnp.array([TRUTH["theta_E"], TRUTH["e1"], 0.05]))
    density = Density(model)
    z = climb(density, climb(density, np.asarray(start), 15, 1e-3).x, 80).x
    return model, np.asarray(model.parameters.from_normal(jnp.asarray(z)))


@pytest.fixture(scope="module")
def with_it():
    return observed(subhalo(), seed=3)


@pytest.fixture(scope="module")
def without_it():
    return observed(seed=5)


GRID = uvl.PixelGrid((5, 5), 0.26, (0.1, 0.0))


def test_an_injected_subhalo_is_recovered(with_it, without_it, tmp_path):
    scan = uvl.subhalo_scan(with_it, GRID, [9.5, 10.0, 10.5], steps=3)
    assert scan.best["delta_log_evidence"] > scan.threshold
    # half of lambda / baseline, 0.26 arcsec; about two of its errors at this Delta ln E
    assert np.hypot(scan.best["x"] - X, scan.best["y"] - Y) < 0.15 and abs(scan.best["log10_mass"] - MASS) < 0.35
    file = scan.save(tmp_path)
    assert {"subhalo_scan.npz", "subhalo_scan.fits", "subhalo_scan.png", "subhalo_scan.json"} <= {
        one.name for one in tmp_path.iterdir()
    } and file.exists()
    empty = uvl.subhalo_scan(without_it, GRID, [9.7, 10.2], steps=3, refine=False)
    assert empty.best["delta_log_evidence"] < empty.threshold


def test_at_a_fixed_macro_model_it_is_two_evaluations(with_it):
    model, best = with_it
    scan = uvl.subhalo_scan(with_it, uvl.PixelGrid((1, 1), 0.1, (0.5, 0.5)), [9.5], reoptimise=False, refine=False)
    plane = uvl.LensPlane([*model.components["lens"].mass, subhalo(9.5, 0.5, 0.5)], 0.5)
    plain = uvl.Model(model.skies, plane, model.components["source"], rays=2)
    expected = float(plain.log_likelihood(jnp.asarray(best))) - float(model.log_likelihood(jnp.asarray(best)))
    assert abs(scan.best["delta_log_evidence"] - expected) < 1e-9


@pytest.mark.parametrize("scale", [0.25, uvl.LogNormal(0.0, 0.1)], ids=["fixed", "free"])
def test_a_perturber_of_no_mass_leaves_every_option_of_the_model(scale):
    """weight_scale, fluxes of either sign and the missing guard are kept: ln E is that of the macro model."""
    flux = Linear(positive=False)
    pixels = uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.5), uvl.Gradient(0.1))
    source = uvl.Source(pixels, light=[uvl.Gaussian(flux, 0.08, center_x=0.05)])
    normal = uvl.normal_operator(small_data(), uvl.Mask.annulus(0.3, 1.3, 0.1))
    options = {"rays": 2, "amplitudes": "sampled", "positions": "none", "weight_scale": scale}
    model = uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.7, 0.9), 0.1)], source, **options)
    perturbed = with_perturber(model, "SIS")
    values = {"lens.mass.0.theta_E": 0.8, "source.light.0.flux": -1e-3, "nuisances.weight_scale": 0.9}
    macro = model.parameters.median({k: v for k, v in values.items() if k in model.parameters.paths})
    value = float(model.log_likelihood(macro))
    assert np.isfinite(value) and model.signed == perturbed.model.signed and perturbed.model.unguarded
    vector = perturbed.vector(macro, jnp.array([0.5, 0.5, 1e-12]))
    assert abs(float(perturbed.model.log_likelihood(vector)) - value) < 1e-6


def test_a_rebuilt_model_is_the_model():
    from uvlens.inference.identity import describe_model, difference

    pixels = uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.5), uvl.Gradient("evidence"))
    normal = uvl.normal_operator(small_data(), uvl.Mask.annulus(0.3, 1.3, 0.1))
    guard = uvl.Positions(jnp.array([[0.7, 0.1], [-0.6, 0.0]]), 0.5)
    constraints = ["lens.mass.0.theta_E > 0.75"]
    lens = [uvl.SIE(uvl.Uniform(0.7, 0.9), 0.1)]
    model = uvl.Model(normal, lens, [pixels], rays=2, positions=guard, constraints=constraints, chained=True)
    assert difference(describe_model(model), describe_model(model.rebuilt())) == ""
    assert "chained" in difference(describe_model(model), describe_model(model.rebuilt(chained=False)))


def test_optimising_can_only_help(with_it):
    grid = uvl.PixelGrid((1, 2), 0.2, (0.6, 0.5))
    fixed = uvl.subhalo_scan(with_it, grid, [9.7], reoptimise=False, refine=False)
    free = uvl.subhalo_scan(with_it, grid, [9.7], steps=3, refine=False)
    assert np.all(free.delta_log_posterior >= fixed.delta_log_posterior - 1e-3)
    assert free.macro.shape == (1, 1, 2, 3)


def test_a_scan_resumes(with_it, tmp_path):
    calls = []

    def stop(message, fraction):
        calls.append(message)
        if len(calls) == 2:
            raise KeyboardInterrupt

    arguments = (with_it, uvl.PixelGrid((7, 7), 0.2, (0.0, 0.0)), [9.5])
    options = {"reoptimise": False, "refine": False, "directory": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        uvl.subhalo_scan(*arguments, progress=stop, **options)
    assert (tmp_path / "subhalo_scan.checkpoint.npz").exists()
    resumed = uvl.subhalo_scan(*arguments, resume=True, **options)
    whole = uvl.subhalo_scan(*arguments, reoptimise=False, refine=False)
    assert np.array_equal(resumed.delta_log_evidence, whole.delta_log_evidence, equal_nan=True)
    with pytest.raises(uvl.InputError, match="another scan"):
        uvl.subhalo_scan(arguments[0], arguments[1], [9.6], resume=True, **options)


def test_sensitivity_is_a_scan_of_the_mock_data(without_it):
    """A mock put into an ordinary model: its scan at that place gives the same number."""
    model, best = without_it
    grid = uvl.PixelGrid((1, 1), 0.1, (0.62, 0.52))
    map_ = uvl.subhalo_sensitivity(without_it, grid, [9.0, 9.7], reoptimise=False)
    setup = Setup.of(without_it, grid, [9.7], "SubhaloNFW", 0, False, 4, {}, None)
    mock = MockData(setup)(setup.places)[0][0]
    reduction = dataclasses.replace(model.normal.reduction, dirty_image=mock)
    mocked = uvl.Model(
        Sky(operator_from_reduction(reduction, model.normal.method)),
        model.components["lens"],
        model.components["source"],
        rays=2,
    )
    scan = uvl.subhalo_scan((mocked, best), grid, [9.7], reoptimise=False, refine=False)
    assert abs(scan.delta_log_evidence[0, 0, 0] - map_.delta_log_evidence[1, 0, 0]) < 1e-6
    delta = map_.delta_log_evidence[:, 0, 0]
    assert delta[1] > delta[0] > -0.5
    free = uvl.subhalo_sensitivity(without_it, grid, [9.7], steps=3)
    assert 0.0 < free.delta_log_evidence[0, 0, 0] <= delta[1] + 0.1


def test_the_smallest_mass_is_where_the_threshold_is_passed(without_it):
    map_ = uvl.subhalo_sensitivity(without_it, uvl.PixelGrid((1, 1), 0.1, (0.62, 0.52)), [9.0, 9.7], reoptimise=False)
    delta = map_.delta_log_evidence[:, 0, 0]
    middle = dataclasses.replace(map_, threshold=float(delta.mean()))
    assert np.isclose(middle.smallest_size[0, 0], 9.35)
    assert np.isnan(dataclasses.replace(map_, threshold=1e9).smallest_size[0, 0])
    assert dataclasses.replace(map_, threshold=float(delta[0])).smallest_size[0, 0] == 9.0


def test_mock_noise_has_the_covariance_of_the_data(without_it):
    rng = np.random.default_rng(0)
    draws = np.array([noise_image(without_it[0].normal.reduction, rng) for _ in range(300)])
    w = np.asarray(without_it[0].normal.reduction.dense())
    assert np.allclose(draws.T @ draws / 300, w, atol=0.3 * w.max())
    assert abs(np.mean(draws**2) / np.mean(np.diag(w)) - 1.0) < 0.05


def test_quasi_newton_update_keeps_the_secant():
    rng = np.random.default_rng(0)
    step, matrix = rng.normal(size=4), np.eye(4)
    change = np.diag([1.0, 2.0, 3.0, 4.0]) @ step
    assert np.allclose(updated(matrix, step, change) @ change, step)
    assert updated(matrix, step, -change) is matrix


def test_bad_input_is_named(without_it):
    model = without_it[0]
    with pytest.raises(uvl.InputError, match="profile"):
        with_perturber(model, "SubHalo")
    with pytest.raises(uvl.InputError, match="no field 'taau'"):
        with_perturber(model, taau=1.0)
    with pytest.raises(uvl.InputError, match="increasing"):
        uvl.subhalo_scan(without_it, GRID, [9.0, 8.0])
    with pytest.raises(uvl.InputError, match="inside the mask"):
        uvl.subhalo_scan(without_it, uvl.PixelGrid((1, 1), 0.1, (5.0, 5.0)), [9.0])
    assert position_grid(model.normal.mask, 4).shape == (4, 4)
