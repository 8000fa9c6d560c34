"""The command line end to end on small data, and its answers to bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest
import yaml
from astropy.io import fits
from click.testing import CliRunner
from conftest import random_visibilities

import uvlens as uvl
from uvlens.cli import main

SIMULATION = {
    "array": "sma.extended",
    "phase_center": {"ra": "09h00m00s", "dec": "+02d00m00s"},
    "hour_angle": [-2.0, 2.0],
    "integration": 300.0,
    "frequency": 340e9,
    "noise": {"sigma": 0.002},
    "seed": 4,
    "sky": {"size": 8.0, "pixel_scale": 0.05},
    "lens": {"mass": [{"profile": "SIE", "theta_E": 1.3, "e1": 0.1, "e2": 0.05, "center_x": 0.1, "center_y": 0.0}]},
    "source": {"light": [{"profile": "Sersic", "flux": 0.01, "R_sersic": 0.3, "center_x": 0.2, "center_y": 0.1}]},
}
MODEL = {
    "data": [{"file": "data.npz", "weights": "file"}],
    "image_plane": {"pixel_scale": "auto", "rays": 2, "mask": {"disc": {"radius": 2.4}}},
    "lens": {
        "mass": [
            {
                "profile": "SIE",
                "theta_E": {"uniform": [1.0, 1.6]},
                "e1": {"truncnormal": [0.0, 0.2, -0.5, 0.5]},
                "e2": 0.05,
                "center_x": 0.1,
                "center_y": 0.0,
            }
        ]
    },
    "source": {
        "pixels": {
            "mesh": {"type": "rectangular", "shape": [10, 10], "extent": 1.2},
            "regularization": {"type": "gradient", "strength": "auto"},
            "positive": True,
        }
    },
    "positions": "none",
    "fit": {"method": "nuts", "seed": 1, "n_starts": 2, "n_screen": 8, "n_chains": 1, "n_warmup": 30, "n_draws": 60},
}


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def write_model(folder, change=None, name="model.yaml"):
    content = json.loads(json.dumps(MODEL))
    if change is not None:
        change(content)
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    (folder / "sim.yaml").write_text(yaml.safe_dump(SIMULATION))
    assert run("simulate", folder / "sim.yaml", "--out", folder / "data.npz").exit_code == 0
    write_model(folder)
    return folder


def test_info(folder):
    result = run("info", folder / "data.npz", "--json")
    facts = json.loads(result.stdout)
    data = uvl.Visibilities.read(folder / "data.npz")
    assert facts["n_visibilities"] == len(data) and facts["antennas"] == 8
    assert np.isclose(facts["sensitivity_jy_beam"], data.sensitivity)
    assert facts["spws"][0]["frequency_hz"] == 340e9
    assert np.isclose(facts["phase_center"]["ra"], 135.0)
    assert facts["beam"]["bmaj"] >= facts["beam"]["bmin"] > 0.5
    assert run("info", folder / "data.npz").exit_code == 0


def test_image_puts_a_point_where_it_is(tmp_path):
    """A point East and North of the phase centre: left and up, at its RA and Dec, with its flux."""
    data = random_visibilities(3000, seed=1, signal=0.0, phase_center=(150.0, -30.0))
    phase = 2j * np.pi * (data.u * 1.26 + data.v * 0.54) * np.pi / 648000
    point = uvl.Visibilities(data.u, data.v, 0.5 * np.exp(phase), data.weight, phase_center=(150.0, -30.0))
    point.write(tmp_path / "point.npz")
    result = run("image", tmp_path / "point.npz", "--out", tmp_path / "p.fits", "--cell", 0.06, "--size", 128)
    assert result.exit_code == 0
    from astropy.wcs import WCS

    image, header = fits.getdata(tmp_path / "p.fits"), fits.getheader(tmp_path / "p.fits")
    row, column = np.unravel_index(np.argmax(image), image.shape)
    sky = WCS(header).pixel_to_world(column, row)
    assert abs((sky.ra.deg - 150.0) * np.cos(np.deg2rad(-30.0)) * 3600 - 1.26) < 0.006
    assert abs((sky.dec.deg + 30.0) * 3600 - 0.54) < 0.006
    assert column < image.shape[1] / 2 and row > image.shape[0] / 2
    assert abs(image.max() - 0.5) < 0.01 and header["BUNIT"] == "Jy/beam"
    psf = fits.getdata(tmp_path / "p.psf.fits")
    assert np.isclose(psf[psf.shape[0] // 2, psf.shape[1] // 2], 1.0)
    assert (tmp_path / "p.png").exists()


def test_evaluate(folder):
    result = run("evaluate", folder / "model.yaml", "--gradient", "--json", "--set", "lens.mass.0.theta_E=1.3")
    facts = json.loads(result.stdout)
    assert facts["parameters"]["lens.mass.0.theta_E"] == 1.3
    terms = facts["terms"]
    total = terms["chi_squared"] + terms["regularization_term"] + terms["noise_normalization"]
    total += terms["log_det_curvature_reg_matrix"] - terms["log_det_regularization_matrix"]
    assert np.isclose(facts["log_evidence"], -0.5 * total, rtol=1e-12)

    def value(path, number):
        setting = ["--set", "lens.mass.0.theta_E=1.3", "--set", f"{path}={number!r}"]
        out = run("evaluate", folder / "model.yaml", "--json", *setting)
        return json.loads(out.stdout)["log_evidence_minus_null"]

    largest = max(abs(g) for g in facts["gradient"].values())
    for path in ("lens.mass.0.e2", "lens.mass.0.center_x", "source.pixels.regularization.strength"):
        start = facts["parameters"][path]
        h = 1e-5 * max(1.0, abs(start))
        slope = (value(path, start + h) - value(path, start - h)) / (2 * h)
        assert abs(slope - facts["gradient"][path]) < 1e-5 * largest
    fft = json.loads(run("evaluate", folder / "model.yaml", "--json", "--operator", "fft").stdout)
    low = json.loads(run("evaluate", folder / "model.yaml", "--json", "--operator", "lowrank").stdout)
    assert abs(fft["log_evidence_minus_null"] - low["log_evidence_minus_null"]) < 1e-5
    assert fft["operator"] == "fft" and low["rank"] > 0


def test_fit_and_report(folder):
    out = folder / "fit"
    assert run("fit", folder / "model.yaml", "--out", out).exit_code == 0
    summary = json.loads((out / "summary.json").read_text())
    theta_E = summary["parameters"]["lens.mass.0.theta_E"]
    assert abs(theta_E["median"] - 1.3) < 4 * theta_E["std"]
    for name in ("posterior.nc", "best_fit.yaml", "source.fits", "model.fits", "residual.fits", "report.html", "log"):
        assert (out / name).stat().st_size > 0
    # the best fit is a model file: evaluating it gives the same evidence
    facts = json.loads(run("evaluate", out / "best_fit.yaml", "--json").stdout)
    assert np.isclose(facts["log_evidence"], summary["max_log_evidence"], rtol=1e-9)
    (out / "report.html").unlink()
    assert run("report", out).exit_code == 0 and (out / "report.html").exists()
    again = run("fit", folder / "model.yaml", "--out", out, "--resume", "--json")
    resumed = json.loads(again.stdout)
    assert resumed["parameters"] == summary["parameters"]


def test_show_model(folder):
    result = run("fit", folder / "model.yaml", "--show-model")
    assert "lens.mass.0.theta_E" in result.stdout and "uniform(1.0, 1.6)" in result.stdout


def edit(path, value):
    """A change of a model file: the key at `path` set to a value, or removed where that is None."""

    def change(content):
        *parents, last = path
        for key in parents:
            content = content[key]
        if value is None:
            del content[last]
        else:
            content[last] = value

    return change


SIE_PATH = ("lens", "mass", 0)
BAD_MODELS = {
    "missing key": (edit(("lens",), None), "lens: missing"),
    "renamed key": (lambda c: c.update(image_plain=c.pop("image_plane")), "image_plain: unknown key"),
    "misspelt parameter": (edit((*SIE_PATH, "thetaE"), 1.0), "did you mean 'theta_E'"),
    "unknown profile": (edit((*SIE_PATH, "profile"), "SIEE"), "did you mean 'SIE'"),
    "unknown prior": (edit((*SIE_PATH, "e1"), {"unifrom": [0, 1]}), "did you mean 'uniform'"),
    "no support": (edit((*SIE_PATH, "theta_E"), {"uniform": [1.6, 1.0]}), "lens.mass.0.theta_E: .*no support"),
    "arguments": (edit((*SIE_PATH, "theta_E"), {"uniform": [1.0]}), "takes 2 arguments .*high missing"),
    "tie to nothing": (edit((*SIE_PATH, "e1"), {"same_as": "lens.mass.3.e1"}), "not a parameter"),
    "not a number": (edit((*SIE_PATH, "e2"), "round"), "lens.mass.0.e2: expected a number"),
    "empty mask": (edit(("image_plane", "mask"), {"annulus": {"inner": 0.01, "outer": 0.02}}), "mask is empty"),
    "inverted mask": (edit(("image_plane", "mask"), {"annulus": {"inner": 2.0, "outer": 1.0}}), "inner < outer"),
    "outside the field": (edit(("image_plane", "center"), [300.0, 0.0]), "outside the field"),
    "missing data": (edit(("data", 0, "file"), "nothing.npz"), "nothing.npz"),
    "unreadable data": (edit(("data", 0, "file"), "garbage.npz"), "garbage.npz"),
    "flagged data": (edit(("data", 0, "file"), "flagged.npz"), "all .* visibilities are flagged"),
    "NaN weights": (edit(("data", 0, "file"), "nan.npz"), "weight has"),
    "negative weights": (edit(("data", 0, "file"), "negative.npz"), "negative"),
    "swapped shapes": (edit(("data", 0, "file"), "shapes.npz"), "shape|values"),
    "variable": (edit(("data", 0, "file"), "${UVLENS_NOT_SET}/a.npz"), "UVLENS_NOT_SET"),
    "method": (edit(("fit", "method"), "nutz"), "did you mean 'nuts'"),
    "mesh": (edit(("source", "pixels", "mesh", "shape"), [1, 30]), "3 x 3"),
    "strength": (edit(("source", "pixels", "regularization", "strength"), -1), "positive"),
}


@pytest.fixture(scope="module")
def bad_files(folder):
    (folder / "garbage.npz").write_bytes(b"PK\x03\x04 this is no archive")
    good = {"u": np.ones(5) * 1e4, "v": np.ones(5) * 1e4, "vis": np.ones(5) + 0j, "weight": np.ones(5)}
    np.savez(folder / "flagged.npz", **{**good, "weight": np.zeros(5)})
    np.savez(folder / "nan.npz", **{**good, "weight": np.array([1, 1, np.nan, 1, 1.0])})
    np.savez(folder / "negative.npz", **{**good, "weight": np.array([1, 1, -1, 1, 1.0])})
    np.savez(folder / "shapes.npz", **{**good, "v": np.ones((5, 2))})
    return folder


@pytest.mark.parametrize("name", BAD_MODELS)
@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_bad_input_gets_one_line_and_status_two(bad_files, name, command, tmp_path):
    change, message = BAD_MODELS[name]
    file = write_model(bad_files, change, name="bad.yaml")
    out = tmp_path / "out"
    result = run(command, file, *(["--out", out] if command == "fit" else []))
    assert result.exit_code == 2, result.output
    lines = [line for line in result.stderr.splitlines() if line.startswith("uvlens:")]
    assert len(lines) == 1 and "Traceback" not in result.output
    import re

    assert re.search(message, lines[0]), lines[0]
    assert not out.exists()


@pytest.mark.parametrize("command", ["info", "image", "convert", "evaluate", "fit", "report", "simulate"])
def test_missing_and_empty_files(command, tmp_path):
    empty = tmp_path / "empty"
    empty.write_bytes(b"")
    extra = {"image": ["--out", tmp_path / "x.fits"], "fit": ["--out", tmp_path / "x"]}.get(command, [])
    extra = ["--out", tmp_path / "x.npz"] if command == "simulate" else extra
    extra = [tmp_path / "x.uvlens"] if command == "convert" else extra
    for target in (empty, tmp_path / "not-there"):
        result = run(command, target, *extra)
        assert result.exit_code == 2 and result.stderr.count("\n") == 1, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty"]


def test_help_is_quick_and_imports_nothing_heavy():
    code = "import sys, uvlens.cli; print([m for m in ('jax', 'numpy', 'scipy', 'matplotlib') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    for command in ("", "demo", "info", "image", "convert", "simulate", "evaluate", "fit", "report"):
        assert run(*command.split(), "--help").exit_code == 0


def test_constraints_are_looked_at_where_a_model_is_evaluated():
    """A narrow one too: of the placeholder priors of fixed numbers hardly a draw satisfies it."""
    from uvlens.constraints import as_constraints
    from uvlens.errors import InputError
    from uvlens.evaluate import check_constraints, every_number_free
    from uvlens.lens import SIE, LensPlane
    from uvlens.parameters import Parameters

    parameters = Parameters(every_number_free({"lens": LensPlane([SIE(1.3)])}))
    stated = as_constraints(["1.29999 < lens.mass.0.theta_E < 1.30001"], parameters)
    check_constraints(stated, parameters, parameters.median())
    with pytest.raises(InputError, match="does not hold"):
        check_constraints(stated, parameters, parameters.median({"lens.mass.0.theta_E": 1.4}))


def test_the_profile_is_part_of_the_json(monkeypatch):
    monkeypatch.setattr("uvlens.commands.profile_model", lambda *_: {"total": 1.0})
    monkeypatch.setattr("uvlens.commands.fit_model", lambda *_, **__: {"method": "nuts"})
    found = CliRunner().invoke(main, ["fit", "model.yaml", "--profile", "--json", "--out", "out"])
    assert json.loads(found.stdout) == {"method": "nuts", "profile": {"total": 1.0}}
