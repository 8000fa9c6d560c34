"""New data of a fitted sky: against the direct Fourier sum of its image, with its noise, and at any coverage."""

import json

import numpy as np
import pytest
import reference
import yaml
from click.testing import CliRunner
from test_export import fit_folder
from test_model import VECTOR, make_model
from test_ms_write import observation

import uvlens as uvl
from uvlens.cli import main
from uvlens.report import load_best_model
from uvlens.simulate.fromfit import resimulate, simulate_fit, sky_on

COVERAGE = {
    "array": "alma.cycle10.3",
    "hour_angle": [-0.2, 0.2],
    "integration": 300,
    "frequency": 300e9,
    "noise": {"sigma": 0.02},
    "primary_beam": False,
    "seed": 4,
}


@pytest.fixture(scope="module")
def fit(tmp_path_factory):
    """A fit of an .npz, its source to the East of the phase centre."""
    folder = tmp_path_factory.mktemp("fromfit")
    data = observation(primary_beam=None)
    rng = np.random.default_rng(5)
    # a point 0.5" to the East and 0.2" to the South
    vis = reference.fourier_matrix(data.u, data.v, np.array([0.5]), np.array([-0.2]))[:, 0]
    noise = (rng.normal(size=len(data)) + 1j * rng.normal(size=len(data))) / np.sqrt(data.weight)
    uvl.Visibilities(
        data.u, data.v, 3.0 * vis + 0.1 * noise, data.weight, w=data.w, frequency=data.frequency,
        antenna1=data.antenna1, antenna2=data.antenna2, phase_center=data.phase_center,
    ).write(folder / "lens.npz")  # fmt: skip
    return fit_folder(folder / "fit", folder / "lens.npz")[0]


def best_image(fit):
    model, _ = load_best_model(fit)
    (one,) = model.inversions(np.zeros(0))
    return one.mask, np.asarray(one.image)


def test_visibilities_are_the_direct_sum_of_the_image(fit):
    """East positive, sign +, every visibility: 1e-6 of the largest."""
    model, _ = load_best_model(fit)
    found = model.inversions(np.zeros(0))
    mask, image = best_image(fit)
    assert image @ mask.x > 0.05 * image.sum()  # off centre, to the East
    data = observation(primary_beam=None)
    expected = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image
    exact = resimulate(found, data, seed=1, add_noise=False)
    assert np.abs(exact.vis - expected).max() < 1e-6 * np.abs(expected).max()
    assert np.abs(exact.vis - expected.conj()).max() > 0.05 * np.abs(expected).max()
    left = (resimulate(found, data, seed=1).vis - exact.vis) * np.sqrt(data.weight)
    parts = np.concatenate([left.real, left.imag])
    assert abs(parts.std() - 1.0) < 5.0 / np.sqrt(2.0 * len(parts)) and abs(parts.mean()) < 5.0 / np.sqrt(len(parts))


def test_the_command_takes_a_new_coverage(fit, tmp_path):
    (tmp_path / "sim.yaml").write_text(yaml.safe_dump(COVERAGE))
    out = tmp_path / "new.npz"
    words = ["simulate", str(tmp_path / "sim.yaml"), "--out", str(out), "--from-fit", str(fit), "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    facts, data = json.loads(done.stdout), uvl.read(out)
    assert facts["n_visibilities"] == len(data) > 1000 and facts["truth"]["lens.mass.0.theta_E"] == 0.9
    assert data.phase_center == pytest.approx(observation().phase_center)  # that of the fit
    mask, image = best_image(fit)
    left = (data.vis - reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image) / 0.02
    for part in (left.real, left.imag):
        assert abs(part.std() - 1.0) < 5.0 / np.sqrt(2.0 * len(part)) and abs(part.mean()) < 5.0 / np.sqrt(len(part))
    assert np.all(data.frequency == 300e9)
    (tmp_path / "sim.yaml").write_text(yaml.safe_dump({k: v for k, v in COVERAGE.items() if k != "frequency"}))
    again = CliRunner().invoke(main, [*words[:-1], "--seed", "5"])
    assert again.exit_code == 0 and not np.array_equal(uvl.read(out).vis, data.vis)
    fitted = uvl.read(fit.parent / "lens.npz")
    assert np.all(uvl.read(out).frequency == pytest.approx(fitted.frequency[fitted.weight > 0.0].mean(), rel=1e-12))


def test_without_a_file_the_coverage_is_that_of_the_data(fit):
    data, _ = simulate_fit(fit)
    fitted = uvl.read(fit.parent / "lens.npz")
    for key in ("u", "v", "weight"):
        assert np.array_equal(getattr(data, key), getattr(fitted, key))
    assert not np.allclose(data.vis, fitted.vis)


def test_the_model_is_traced_anew_on_finer_pixels(fit):
    """Against a sum over the same rays as points; pixels of 0.023" lose (pi u dx)^2 / 6, 4 % at most."""
    model, _ = load_best_model(fit)
    found, lenses = model.inversions(np.zeros(0)), model.lenses(np.zeros(0))
    data = observation(primary_beam=None)
    fine = resimulate(found, data, seed=1, lenses=lenses, pixel_scale=0.03, add_noise=False)
    (one,) = found
    x, y = (axis.ravel() for axis in one.mask.rays(12))
    bright = one.interpolated(one.parts[0], *(np.asarray(beta) for beta in lenses[0].ray_trace(x, y)))
    expected = reference.fourier_matrix(data.u, data.v, x, y) @ bright * one.mask.grid.pixel_area / 144
    # of which the window of a pixel takes out all but the structure within it
    assert np.abs(fine.vis - expected).max() < 1e-2 * np.abs(expected).max()
    image, mask = sky_on(one, lenses, 0.03)
    assert np.isclose(mask.grid.pixel_scale, 0.07 / 3) and np.isclose(
        image.sum(), np.asarray(one.image).sum(), rtol=0.02
    )


def test_mistakes_are_one_line(fit, tmp_path):
    def run(content, *more):
        (tmp_path / "sim.yaml").write_text(yaml.safe_dump(content))
        words = ["simulate", str(tmp_path / "sim.yaml"), "--out", str(tmp_path / "x.npz"), "--from-fit", str(fit)]
        done = CliRunner().invoke(main, [*words, *more])
        assert done.exit_code == 2 and "Traceback" not in done.stderr
        return done.stderr

    assert "leave lens out" in run(COVERAGE | {"lens": {"mass": []}})
    assert "no sky 'band7'" in run(COVERAGE | {"sky": {"name": "band7"}})
    assert "sky.pixel_scale of at most" in run(COVERAGE | {"array": "alma.cycle10.8"})
    assert "scale" in run(COVERAGE | {"sky": {"scale": 1.0}})
    done = CliRunner().invoke(main, ["simulate", "--out", str(tmp_path / "x.npz")])
    assert done.exit_code == 2 and "--from-fit" in done.stderr
    done = CliRunner().invoke(main, ["simulate", "--out", str(tmp_path / "x.npz"), "--from-fit", str(tmp_path)])
    assert done.exit_code == 2 and "finished fit" in done.stderr


def test_python_objects_need_no_folder():
    model = make_model(positive=True)
    data = observation(primary_beam=None)
    found = model.inversions(VECTOR)
    assert np.allclose(resimulate(found, data, seed=1, add_noise=False).vis, uvl.predict(model, VECTOR, data))
