"""Antenna phases solved for with the lens: mocks whose truth is known, resumed loops, model files, SPT0346-52."""

import dataclasses
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import yaml

import uvlens as uvl
from uvlens import selfcal
from uvlens.cli import main
from uvlens.commands import profile_model
from uvlens.conventions import ARCSEC
from uvlens.errors import InputError
from uvlens.inference.density import Density
from uvlens.inference.optimize import laplace_covariance
from uvlens.nufft import type1
from uvlens.selfcalsteps import Climber
from uvlens.simulate.arrays import Array
from uvlens.simulate.sky import lensed_image

TRUTH = {
    "lens.mass.0.theta_E": 0.8,
    "lens.mass.0.e1": 0.1,
    "lens.mass.0.e2": -0.06,
    "lens.mass.0.center_x": 0.03,
    "lens.mass.0.center_y": -0.02,
    "lens.mass.1.gamma1": 0.03,
    "lens.mass.1.gamma2": -0.02,
    "source.light.0.flux": 0.02,
    "source.light.0.sigma": 0.08,
    "source.light.0.center_x": 0.09,
    "source.light.0.center_y": 0.03,
}
PRIORS = {
    "lens.mass.0.theta_E": uvl.Uniform(0.5, 1.2),
    "lens.mass.0.e1": uvl.Normal(0.0, 0.2),
    "lens.mass.0.e2": uvl.Normal(0.0, 0.2),
    "lens.mass.0.center_x": uvl.Normal(0.0, 0.05),
    "lens.mass.0.center_y": uvl.Normal(0.0, 0.05),
    "lens.mass.1.gamma1": uvl.Normal(0.0, 0.1),
    "lens.mass.1.gamma2": uvl.Normal(0.0, 0.1),
    "source.light.0.flux": uvl.LogUniform(1e-3, 1.0),
    "source.light.0.sigma": uvl.LogUniform(0.01, 0.5),
    "source.light.0.center_x": uvl.Normal(0.0, 0.2),
    "source.light.0.center_y": uvl.Normal(0.0, 0.2),
}
MASK = uvl.Mask.disc(1.5, 0.08)
PHASES = uvl.Nuisances(antenna_phases=10.0)


def lens_of(values):
    """SIE and shear."""
    own = [values[path] for path in list(TRUTH)[:7]]
    return [uvl.SIE(*own[:5]), uvl.Shear(*own[5:])]


def source_of(values):
    """A Gaussian."""
    flux, sigma, x, y = (values[path] for path in list(TRUTH)[7:])
    return uvl.Gaussian(flux=flux, sigma=sigma, center_x=x, center_y=y)


def parametric(normal):
    return uvl.Model(normal, lens_of(PRIORS), source_of(PRIORS), rays=4)


def mock(seed, snr=100.0, rms=10.0, n_antennas=12, radius=200.0):
    """(data with phase errors of `rms` degrees, phases [rad], positions of the antennas [m]).

    `snr` is the peak of the naturally weighted image over its noise.
    """
    rng = np.random.default_rng(seed)
    r, angle = radius * np.sqrt(rng.random(n_antennas)), rng.uniform(0.0, 2.0 * np.pi, n_antennas)
    positions = np.stack([r * np.cos(angle), r * np.sin(angle), np.zeros(n_antennas)], axis=1)
    array = Array("mock", -23.0, positions, np.full(n_antennas, 12.0))
    fine = uvl.Mask.disc(1.6, 0.02)
    image = lensed_image(uvl.LensPlane(lens_of(TRUTH)).ray_trace, source_of(TRUTH).brightness, fine.grid, 3)
    options = {"declination": -30.0, "hour_angle": (-0.5, 0.5), "integration": 360.0, "frequency": 345e9}
    data = uvl.observe(
        (np.asarray(image), 0.02), array, seed=seed, sigma=1.0, add_noise=False, primary_beam=False, **options
    )
    peak = type1(data.u, data.v, data.vis, fine.grid).real.max() / len(data)
    sigma = peak * np.sqrt(len(data)) / snr
    phases = np.deg2rad(rms) * rng.normal(size=n_antennas)
    vis = data.vis * np.exp(1j * (phases[data.antenna1] - phases[data.antenna2]))
    vis = vis + sigma * (rng.normal(size=len(data)) + 1j * rng.normal(size=len(data)))
    return dataclasses.replace(data, vis=vis, weight=np.full(len(data), sigma**-2.0)), phases, positions


def truth_of(model):
    return np.array([TRUTH[path] for path in model.parameters.paths])


def offsets(climber, vector):
    """(fit - truth) / Laplace error of everything but absolute positions: those of the source are about the lens."""
    model, parameters = climber.model, climber.model.parameters
    z, truth = (np.asarray(parameters.to_normal(jnp.asarray(one))) for one in (vector, truth_of(model)))
    covariance = laplace_covariance(climber, z)
    width = np.array([0.05 if "lens" in path else 0.2 for path in parameters.paths])
    change = np.eye(len(z))
    for axis in "xy":
        own, other = (parameters.paths.index(f"{one}.center_{axis}") for one in ("source.light.0", "lens.mass.0"))
        change[own, own], change[own, other] = width[own], -width[other]
    kept = [i for i, path in enumerate(parameters.paths) if not path.startswith("lens.mass.0.center")]
    return (change @ (z - truth) / np.sqrt(np.diagonal(change @ covariance @ change.T)))[kept]


def solved_phases(found):
    """(phases [rad], antennas) at the end of the loop."""
    (term,) = found.model.skies[0].reduction.nuisances
    (one,) = found.model.inversions(jnp.asarray(found.vector))
    return term.solve(one.image)[0], [antenna for _, antenna, _ in term.keys]


def less_gradient(phases, positions):
    """Without the global phase and the gradient, which no interferometer sees apart from a shift."""
    basis = np.column_stack([np.ones(len(phases)), positions[:, :2]])
    return phases - basis @ np.linalg.lstsq(basis, phases, rcond=None)[0]


def fitted_without(data):
    """(climber, best vector) without nuisances, climbed from the truth."""
    climber = Climber(parametric(uvl.normal_operator(data, MASK, pixel_window=True)))
    return climber, climber.climb(truth_of(climber.model))[0]


def compared(seed):
    """(offsets without nuisances, offsets with them, correlation of the phases, Calibration)."""
    data, phases, positions = mock(seed)
    climber, vector = fitted_without(data)
    without = offsets(climber, vector)
    found = uvl.calibrate(data, MASK, parametric, PHASES, start=vector, pixel_window=True)
    solved, antennas = solved_phases(found)
    pair = less_gradient(solved, positions[antennas]), less_gradient(phases[antennas], positions[antennas])
    return without, offsets(Climber(found.model), found.vector), np.corrcoef(*pair)[0, 1], found


@pytest.fixture(scope="module")
def first():
    return compared(1)


def test_phases_of_a_mock_are_found_and_the_lens_with_them(first):
    without, with_phases, correlation, found = first
    assert np.sqrt(np.mean(without**2)) > 2.0
    assert np.sqrt(np.mean(with_phases**2)) < 1.8
    assert correlation > 0.95
    assert found.converged and found.warning is None
    (one,) = found.model.inversions(jnp.asarray(found.vector))
    k = one.reduction.n_real_data
    assert one.reduction.null_chi_squared.leading + one.chi_squared_minus_null == pytest.approx(
        k, abs=5.0 * np.sqrt(2.0 * k)
    )
    assert found.chi_squared_without > 1.5 * k


@pytest.mark.slow
def test_ten_mocks():
    results = [compared(seed) for seed in range(1, 11)]
    without, with_phases = (np.concatenate([one[i] for one in results]) for i in (0, 1))
    correlations = [one[2] for one in results]
    for one in results:
        print(np.round(one[0], 1), np.round(one[1], 2))
    print(f"rms z {np.sqrt(np.mean(without**2)):.2f} without, {np.sqrt(np.mean(with_phases**2)):.2f} with")
    print("correlations", np.round(correlations, 4), "passes", [len(one[3].passes) for one in results])
    assert np.sqrt(np.mean(without**2)) > 2.0
    assert np.sqrt(np.mean(with_phases**2)) <= 1.3
    assert min(correlations) > 0.95


@pytest.mark.slow
def test_two_arrays_have_phases_and_flux_scales_of_their_own():
    """The second array is 8 % too bright and 0.02" off: its flux scale, shift and phase gradient take that up."""
    one, own, places = mock(1)
    other, others, elsewhere = mock(2, n_antennas=10, radius=150.0)
    moved = np.exp(2j * np.pi * ARCSEC * (0.02 * other.u - 0.02 * other.v))
    other = dataclasses.replace(other, vis=1.08 * other.vis * moved)
    nuisances = uvl.Nuisances(antenna_phases=10.0, flux_scale=0.1, shift=0.02)
    normal = uvl.normal_operator([one, other], MASK, pixel_window=True)
    climber = Climber(parametric(normal))
    vector = climber.climb(truth_of(climber.model))[0]
    found = uvl.calibrate([one, other], MASK, parametric, nuisances, start=vector, pixel_window=True)
    assert found.converged, found.warning
    (best,) = found.model.inversions(jnp.asarray(found.vector))
    scales = []
    for term, phases, positions in zip(best.reduction.nuisances, (own, others), (places, elsewhere)):
        solved = dict(zip(term.keys, term.solve(best.image)[0]))
        antennas = [antenna for kind, antenna, _ in solved if kind == "antenna_phases"]
        values = np.array([solved[key] for key in solved if key[0] == "antenna_phases"])
        pair = less_gradient(values, positions[antennas]), less_gradient(phases[antennas], positions[antennas])
        assert np.corrcoef(*pair)[0, 1] > 0.95
        scales += [value for key, value in solved.items() if key[0] == "flux_scale"]
    assert scales[1] - scales[0] == pytest.approx(np.log(1.08), abs=0.01)
    off = offsets(Climber(found.model), found.vector)
    print("offsets", np.round(off, 2), "scales", np.round(scales, 4), found.passes)
    assert np.sqrt(np.mean(off**2)) < 1.8
    assert np.sqrt(np.mean(offsets(climber, vector) ** 2)) > 2.0


@pytest.mark.slow
def test_a_pixelised_source():
    """The same with a source of 400 pixels, its strength free."""
    data, phases, positions = mock(3)
    source = uvl.PixelSource(uvl.RectangularMesh(20, 20, extent=0.4, center=(0.08, 0.02)), uvl.Curvature())

    def make(normal):
        return uvl.Model(normal, lens_of(PRIORS), source, rays=3)

    model = make(uvl.normal_operator(data, MASK, pixel_window=True))
    start = np.array([TRUTH.get(path, 1.0) for path in model.parameters.paths])
    found = uvl.calibrate(data, MASK, make, PHASES, start=start, pixel_window=True)
    solved, antennas = solved_phases(found)
    pair = less_gradient(solved, positions[antennas]), less_gradient(phases[antennas], positions[antennas])
    print("correlation", np.corrcoef(*pair)[0, 1], found.passes)
    assert np.corrcoef(*pair)[0, 1] > 0.95
    z = np.asarray(found.model.parameters.to_normal(jnp.asarray(found.vector)))
    covariance = laplace_covariance(Density(found.model), z)
    paths = [path for path in found.model.parameters.paths if path in TRUTH and "center" not in path]
    index = [found.model.parameters.paths.index(path) for path in paths]
    truth = np.asarray(found.model.parameters.to_normal(jnp.asarray(start)))
    off = ((z - truth) / np.sqrt(np.diagonal(covariance)))[index]
    print("offsets", dict(zip(paths, np.round(off, 2))))
    assert np.sqrt(np.mean(off**2)) < 2.0


def test_a_killed_loop_continues_where_it_stopped(tmp_path, monkeypatch):
    data, _, _ = mock(1, n_antennas=7, snr=40.0, radius=120.0)

    def parametric(normal):
        free = {path: prior if "center" in path else TRUTH[path] for path, prior in PRIORS.items()}
        return uvl.Model(normal, lens_of(free), source_of(free), rays=2)

    start, small = np.array([0.03, -0.02, 0.09, 0.03]), uvl.Mask.disc(1.3, 0.15)
    whole = uvl.calibrate(data, small, parametric, PHASES, start=start, directory=tmp_path / "whole")
    save, saved = selfcal.LoopState.save, []

    def killed(self, *arguments):
        save(self, *arguments)
        saved.append(self)
        if len(saved) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(selfcal.LoopState, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        uvl.calibrate(data, small, parametric, PHASES, start=start, directory=tmp_path / "killed")
    monkeypatch.undo()
    again = uvl.calibrate(
        data, small, parametric, PHASES, start=0.0 * start, directory=tmp_path / "killed", resume=True
    )
    assert len(again.passes) == len(whole.passes) and again.converged
    assert np.allclose(again.vector, whole.vector, rtol=1e-3, atol=1e-4)
    finished = uvl.calibrate(data, small, parametric, PHASES, directory=tmp_path / "whole", resume=True)
    assert np.array_equal(finished.vector, whole.vector)
    assert finished.model.normal.reduction.hashes == whole.model.normal.reduction.hashes
    with pytest.raises(InputError, match="another model"):
        other = uvl.Nuisances(antenna_phases=5.0)
        uvl.calibrate(data, small, parametric, other, directory=tmp_path / "whole", resume=True)


def test_the_state_of_a_loop_belongs_to_everything_stated_about_the_model(tmp_path):
    """Another mesh, prior of the source, number of rays or positions: refused, and the difference is named."""
    data, _, _ = mock(1, n_antennas=7, snr=40.0, radius=120.0)
    normal = uvl.normal_operator(data, uvl.Mask.disc(1.3, 0.15))
    state = selfcal.LoopState(np.zeros(0), [np.zeros(1)], [[]], (), 1.0, done=True)

    def model(n=6, prior=uvl.Gradient, rays=2, **more):
        source = uvl.PixelSource(uvl.RectangularMesh(n, n, extent=0.5), prior(1.0))
        return uvl.Model(normal, [uvl.SIS(uvl.Uniform(0.5, 1.2))], source, rays=rays, **more)

    def identity(model, nuisances=PHASES):
        return selfcal.Loop([[data]], nuisances, lambda _: model)._identity(model, 1)

    file = tmp_path / "state.npz"
    state.save(file, identity(model()))
    assert selfcal.LoopState.load(file, identity(model())).done
    guard = uvl.Positions(jnp.array([[0.7, 0.1], [-0.6, 0.0]]), 0.5)
    others = [
        (identity(model(7)), "mesh"),
        (identity(model(prior=uvl.Curvature)), "regularization"),
        (identity(model(rays=1)), "rays"),
        (identity(model(positions=guard)), "positions"),
        (identity(model(), uvl.Nuisances(flux_scale=0.1)), "nuisances"),
    ]
    for other, word in others:
        with pytest.raises(InputError, match=f"another model: .*{word}"):
            selfcal.LoopState.load(file, other)


def model_file(folder, data, **changes):
    """A small model file of a mock with tight priors about the truth."""
    data.write(folder / "mock.npz")
    values = {
        path: {"normal": [value, 0.01]} if "center" in path or "theta_E" in path else value
        for path, value in TRUTH.items()
    }
    mass = [{"profile": "SIE"}, {"profile": "Shear"}]
    for i in range(2):
        mass[i] |= {path.split(".")[-1]: one for path, one in values.items() if path.startswith(f"lens.mass.{i}.")}
    light = {path.split(".")[-1]: one for path, one in values.items() if path.startswith("source.light.0.")}
    content = {
        "data": [{"file": "mock.npz", "weights": "file"}],
        "image_plane": {"pixel_scale": 0.1, "rays": 2, "mask": {"disc": {"radius": 1.3}}},
        "lens": {"mass": mass},
        "source": {"light": [{"profile": "Gaussian", **light}]},
        "nuisances": {"antenna_phases": 10.0, "weight_scale": {"lognormal": [0.0, 0.02]}},
        "fit": {"method": "optimize", "n_starts": 1, "n_screen": 1, "seed": 2},
    } | changes
    (folder / "model.yaml").write_text(yaml.safe_dump(content))
    return folder / "model.yaml"


def refused_of(data, folder):
    """What is said of a misspelt nuisance."""
    from click.testing import CliRunner

    (folder / "other").mkdir()
    bad = model_file(folder / "other", data, nuisances={"antenna_phase": 10.0})
    refused = CliRunner().invoke(main, ["fit", str(bad), "--out", str(folder / "bad")])
    assert refused.exit_code == 2
    return refused.output


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "thorough", [pytest.param(False, marks=pytest.mark.whole), pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_model_file_with_nuisances(tmp_path, monkeypatch, thorough):
    from click.testing import CliRunner

    data, phases, _ = mock(4, n_antennas=8, snr=40.0, radius=150.0)
    path = model_file(tmp_path, data)
    out = tmp_path / "fit"
    found = CliRunner().invoke(main, ["fit", str(path), "--out", str(out)])
    assert found.exit_code == 0, found.output
    summary = json.loads((out / "summary.json").read_text())
    facts = summary["nuisances"]
    assert facts == json.loads((out / "nuisances.json").read_text())
    assert facts["change_of_chi_squared"] < -50.0
    assert facts["chi_squared_with_penalty"] == pytest.approx(summary["terms"]["chi_squared"])
    (one,) = facts["data"]
    rows = one["parameters"]["antenna_phases"]["values"]
    assert [row["antenna"] for row in rows] == list(range(8))
    assert all(row["error"] >= row["error_of_fixed_model"] > 0.0 for row in rows)
    off = [(row["value"] - np.rad2deg(phases[row["antenna"]] - phases.mean())) / row["error"] for row in rows]
    assert np.sqrt(np.mean(np.square(off))) < 2.0
    assert "<h2>Calibration</h2>" in (out / "report.html").read_text() and (out / "antenna_phases.png").exists()
    assert [one.name for one in (out / "calibration").iterdir()] == ["state.npz"]
    again = CliRunner().invoke(main, ["fit", str(path), "--out", str(out), "--resume"])
    assert again.exit_code == 0 and "calibration, pass" not in again.output, again.output
    assert json.loads((out / "summary.json").read_text())["parameters"] == summary["parameters"]
    best = yaml.safe_load((out / "best_fit.yaml").read_text())
    scale = best["nuisances"].pop("weight_scale")
    assert best["nuisances"] == {"antenna_phases": 10.0} and scale == pytest.approx(1.0, abs=0.1)
    assert "antenna_phases" in refused_of(data, tmp_path)
    if not thorough:
        return
    assert CliRunner().invoke(main, ["report", str(out)]).exit_code == 0
    evaluated = CliRunner().invoke(main, ["evaluate", str(out / "best_fit.yaml"), "--json"])
    assert evaluated.exit_code == 0, evaluated.output
    value = json.loads(evaluated.stdout)["log_evidence"]
    assert value == pytest.approx(summary["max_log_evidence"], abs=0.5)
    profiled = []
    monkeypatch.setattr("uvlens.profiling.profile_likelihood", lambda model: profiled.append(model))
    profile_model(path, lambda _: None)
    assert len(profiled[0].normal.reduction.nuisances[0]) == 8
    exported = CliRunner().invoke(main, ["export", str(out), str(tmp_path / "left.npz"), "--what", "residual"])
    assert exported.exit_code == 0, exported.output
    left = uvl.read(tmp_path / "left.npz")
    assert np.sum(left.weight * np.abs(left.vis) ** 2) == pytest.approx(facts["chi_squared"], rel=0.02)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_pipeline_with_nuisances(tmp_path, monkeypatch):
    """Both stages have a loop of their own; a finished run is resumed without a search."""
    from click.testing import CliRunner

    monkeypatch.setattr("uvlens.commands.report_if_possible", lambda folder: (folder / "report.html").touch())
    data, _, _ = mock(4, n_antennas=8, snr=40.0, radius=150.0)
    stages = [{"name": "first"}, {"name": "second", "priors": {"from": "first"}}]
    path, out = model_file(tmp_path, data, pipeline=stages), tmp_path / "fit"
    run = ["fit", str(path), "--out", str(out)]
    found = CliRunner().invoke(main, run, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in (out / "1_first", out)]
    for one in summaries:
        assert one["nuisances"]["change_of_chi_squared"] < -50.0
    monkeypatch.setattr("uvlens.pipeline.fit", None)
    again = CliRunner().invoke(main, [*run, "--resume", "--json"], catch_exceptions=False)
    assert again.exit_code == 0 and json.loads(again.stdout) == summaries[1]


@pytest.mark.realdata
@pytest.mark.slow
def test_spt0346(data_folder, tmp_path):
    """Phases take chi squared from 44,794 to below 43,900."""
    from click.testing import CliRunner

    example = Path(__file__).parents[1] / "examples" / "spt0346_selfcal.yaml"
    environment = {**os.environ, "UVLENS_DATA": str(data_folder)}
    found = CliRunner().invoke(main, ["fit", str(example), "--out", str(tmp_path)], env=environment)
    assert found.exit_code == 0, found.output
    facts = json.loads((tmp_path / "summary.json").read_text())["nuisances"]
    assert facts["converged"]
    assert facts["chi_squared_without_nuisances"] == pytest.approx(44794.0, abs=30.0)
    assert facts["chi_squared_with_penalty"] < 43900.0
