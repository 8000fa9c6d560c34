"""The examples and simulators run, and end as they promise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.demo import MODEL, SIMULATION
from uvlens.modelfile import ModelFile
from uvlens.simulate.simfile import parse_simulation

ROOT = Path(__file__).parents[1]


def run_example(name, **environment):
    """It ends in assertions of its own."""
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py"], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


SIMULATED = (
    "quickstart", "sma", "multi_array", "imaging", "joint_alma_hst", "self_calibration", "gpu_batch", "cube",
    "many_lenses",
)  # fmt: skip
REAL = ("spt0346_parametric", "spt0346_pixelised")


@pytest.mark.whole
@pytest.mark.parametrize("name", SIMULATED)
def test_examples(name):
    """Up to two minutes on two cores each; `.ci/run` runs them."""
    run_example(name)


@pytest.mark.whole
def test_the_pipeline_finds_the_lens(tmp_path):
    """Its first stage, one profile for five clumps, is 50 errors off; pixels and adaptive pixels are not."""
    for name in ("pipeline", "pipeline_simulation"):
        content = yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())
        if "pipeline" in content:
            content["pipeline"] = content["pipeline"][:3]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    runs = (["simulate", "pipeline_simulation.yaml", "--out", "pipeline.npz"], ["fit", "pipeline.yaml", "--out", "fit"])
    for command, file, option, out in runs:
        done = CliRunner().invoke(main, [command, str(tmp_path / file), option, str(tmp_path / out)])
        assert done.exit_code == 0, done.stderr
    truth = yaml.safe_load((tmp_path / "pipeline_simulation.yaml").read_text())["lens"]["mass"]
    for folder in ("fit/2_pixels", "fit"):
        found = json.loads((tmp_path / folder / "summary.json").read_text())["parameters"]
        for path, s in found.items():
            if path.startswith("lens.mass."):
                number, name = path.split(".")[2:]
                assert abs(s["median"] - truth[int(number)][name]) < 3.5 * s["std"], (folder, path)


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
def test_examples_of_real_data(name, data_folder):
    run_example(name, UVLENS_DATA=os.fspath(data_folder))


def test_every_example_is_run():
    """None is forgotten, and each has cells and ends in an assertion."""
    files = {path.stem: path.read_text() for path in (ROOT / "examples").glob("*.py")}
    assert set(files) == {*SIMULATED, *REAL}
    for text in files.values():
        assert text.startswith("# %% [markdown]") and "assert " in text.strip().splitlines()[-1]


def simulate(name, out, *options):
    """What a simulator prints."""
    command = [sys.executable, ROOT / "simulators" / f"{name}.py", "--out", out, *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("name", "options", "longest"),
    [
        ("alma", ["--configuration", "compact", "--hours", "0.02", "--channels", "1"], 360e3),
        ("alma", ["--configuration", "long", "--hours", "0.02", "--channels", "1"], 16e6),
        ("sma", ["--hours", "0.5"], 300e3),
        ("vla", ["--hours", "0.1"], 1.3e6),
    ],
)
def test_simulators_of_visibilities(name, options, longest, tmp_path):
    out = tmp_path / "data.npz"
    printed = simulate(name, out, *options)
    data = uvl.Visibilities.read(out)
    assert len(data) > 100 and printed.startswith(f"{len(data)} visibilities")
    assert 0.5 * longest < data.uv_distance.max() < longest
    assert data.phase_center is not None and data.primary_beam_fwhm is not None


@pytest.mark.parametrize("name", ["hst", "jwst"])
def test_simulators_of_images(name, tmp_path):
    out = tmp_path / "image"
    printed = simulate(name, out, "--pixels", "40")
    assert {path.name for path in out.iterdir()} == {"data.fits", "noise.fits", "psf.fits", "truth.json"}
    data, noise = (fits.getdata(out / f"{kind}.fits") for kind in ("data", "noise"))
    assert data.shape == noise.shape == (40, 40) and noise.min() > 0.0
    assert f"highest S/N {(data / noise).max():.0f}" in printed


def test_simulator_of_a_cube(tmp_path):
    """The two sides of the line lie on either side of the middle; its flux is that of the lensed disc."""
    out = tmp_path / "cube"
    options = ["--channels", "4", "--hours", "0.02", "--integration", "60", "--configuration", "1", "--tsys", "0.01"]
    simulate("cube", out, *options, "--pixel-scale", "0.1")
    line, continuum = (uvl.Visibilities.read(out / f"{name}.npz") for name in ("line", "continuum"))
    frequency = np.unique(line.frequency)
    assert len(frequency) == 4 and len(np.unique(continuum.frequency)) == 1
    short = line.uv_distance < 30e3
    flux = np.array([line.vis[short & (line.frequency == nu)].real.mean() for nu in frequency])
    width = 900.0 / 4
    mu = flux.sum() * width / json.loads((out / "truth.json").read_text())["disc"]["flux"]
    assert 2.0 < mu < 20.0 and flux.min() > 0.0


@pytest.mark.parametrize("path", sorted((ROOT / "simulators").glob("*.py")), ids=lambda path: path.stem)
def test_simulators_say_what_they_do(path):
    """--help of each; nothing is simulated."""
    import runpy

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(path), "--help"])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0


def test_demo_data_and_model_fit_each_other(tmp_path):
    """More than 1e5 visibilities, and at the true parameters chi^2 is what it should be."""
    simulation = parse_simulation(SIMULATION)
    data = simulation.run()
    assert len(data) >= 1e5
    data.write(tmp_path / "demo.npz")
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(MODEL))
    model_file = ModelFile.read(tmp_path / "model.yaml")
    data_sets = model_file.load_data()
    model = model_file.build_model(model_file.build_skies(data_sets, model_file.build_mask(data_sets)))
    vector = np.array([simulation.truth.get(path, 0.01) for path in model.parameters.paths])
    inversion, _ = model.invert(vector)
    expected = 2 * len(data) - float(inversion.effective_parameters)
    assert abs(inversion.terms["chi_squared"] - expected) < 4 * np.sqrt(2 * expected)


@pytest.mark.realdata
def test_spt0346_is_fitted_by_its_model_file(data_folder, tmp_path, monkeypatch):
    """Einstein radius of Spilker et al. (2016) and chi^2 with the file's weights, from prior draws alone."""
    monkeypatch.setenv("UVLENS_DATA", os.fspath(data_folder))
    content = yaml.safe_load((ROOT / "examples" / "spt0346_pixelised.yaml").read_text())
    content["fit"] = {"method": "optimize", "seed": 1}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "fit"
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert summary["n_real_data"] == 43_338
    assert summary["terms"]["chi_squared"] <= 44_650
    assert 0.95 < summary["parameters"]["lens.mass.0.theta_E"]["median"] < 1.03
    # the published axis ratio's position angle, 70.9 deg East of North, and the shear's
    assert abs(summary["derived"]["lens.mass.0.position_angle"]["median"] - 70.9) < 10.0
    assert abs(summary["derived"]["lens.mass.1.shear_position_angle"]["median"] - 32.1) < 25.0


@pytest.mark.realdata
def test_slacs0946_is_fitted_by_its_model_file(data_folder, tmp_path, monkeypatch):
    """HST image with lens light, pixelised source and noise-scaled galaxies: the published Einstein radius, 1.38"."""
    monkeypatch.setenv("UVLENS_DATA", os.fspath(data_folder))
    out = tmp_path / "fit"
    command = ["fit", str(ROOT / "examples" / "slacs0946.yaml"), "--out", str(out)]
    result = CliRunner().invoke(main, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    summary = json.loads((out / "summary.json").read_text())
    assert abs(summary["derived"]["lens.einstein_radius"]["median"] - 1.38) < 0.04
    assert summary["terms"]["chi_squared"] < summary["n_real_data"]
    # the first ring: what is left of it is noise
    residual = fits.getdata(out / "residual_sigma.fits")
    y, x = 0.05 * (np.indices(residual.shape) - 0.5 * (np.array(residual.shape) - 1)[:, None, None])
    ring = (np.hypot(x, y) > 0.75) & (np.hypot(x, y) < 1.75) & (residual != 0.0)
    assert 0.7 < residual[ring].std() < 1.1
