"""Compressed data sets: made by `uvlens convert`, used in the place of the visibilities, without their packages."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from conftest import lensed_visibilities
from test_cli import run, write_model

import uvlens as uvl
import uvlens.data
from uvlens.normal import Reduction

LENS = uvl.LensPlane([uvl.SIE(0.7, 0.1, 0.05, 0.02, -0.03)])
SIE = {"profile": "SIE", "theta_E": {"uniform": [0.5, 0.9]}, "e1": 0.1, "e2": 0.05, "center_x": 0.02, "center_y": -0.03}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two raw data sets, the first one with everything a header can say."""
    folder = tmp_path_factory.mktemp("compressed")
    for name, seed, beam in (("a", 1, 20.0), ("b", 2, None)):
        data = lensed_visibilities(400, seed, LENS)
        antennas = np.arange(400) % 7, 7 + np.arange(400) % 5
        data = uvl.Visibilities(
            data.u,
            data.v,
            data.vis,
            np.where(np.arange(400) < 390, data.weight, 0.0),
            *antennas,
            time=10.0 * (np.arange(400) // 35),
            frequency=np.full(400, 340e9),
            primary_beam=beam,
            phase_center=(135.0, 2.0),
            name=f"{name}.npz",
        )
        data.write(folder / f"{name}.npz")
    convert(folder / "a.npz", folder / "a.uvlens", "--radius", 1.2, "--pixel-scale", 0.1, "--weights", "file")
    return folder


def convert(*arguments, status=0):
    """The facts, or the one line of an error."""
    result = run("convert", *arguments, *(["--json"] if status == 0 else []))
    assert result.exit_code == status, result.output
    if status == 0:
        return json.loads(result.stdout)
    lines = [line for line in result.stderr.splitlines() if line.startswith("uvlens: ")]
    assert len(lines) == 1 and "Traceback" not in result.output, result.output
    return lines[0]


def model(folder, data, name="m.yaml", **plane):
    """A model file of these data; `plane` is all that image_plane says besides rays."""

    def change(content):
        content["data"] = [{"file": str(folder / file), "weights": "file"} for file in data]
        content["image_plane"] = {"rays": 2, **plane}
        content["lens"]["mass"] = [dict(SIE)]
        content["source"]["pixels"]["mesh"] = {"type": "rectangular", "shape": [8, 8], "extent": 0.5}
        content["fit"] = {"method": "optimize", "seed": 1, "n_starts": 1, "n_screen": 4}

    return write_model(folder, change, name)


def evaluate(*arguments):
    result = run("evaluate", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


DISC = {"mask": {"disc": {"radius": 1.2}}, "pixel_scale": 0.1}


@pytest.fixture(scope="module")
def raw(folder):
    """What the visibilities themselves give."""
    return evaluate(model(folder, ["a.npz"], **DISC), "--gradient")


@pytest.mark.parametrize("plane", [{}, DISC, {"center": [0.0, 0.0], "pixel_scale": 0.1}], ids=str)
def test_evidence_and_gradient_are_those_of_the_visibilities(folder, raw, plane):
    found = evaluate(model(folder, ["a.uvlens"], **plane), "--gradient")
    assert abs(raw["log_evidence"] - found["log_evidence"]) < 1e-9
    assert np.allclose(list(raw["gradient"].values()), list(found["gradient"].values()), rtol=1e-9)


def test_compressed_and_raw_data_add(folder):
    raw = evaluate(model(folder, ["a.npz", "b.npz"], **DISC))
    convert(folder / "b.npz", folder / "b.uvlens", "--radius", 1.2, "--pixel-scale", 0.1, "--weights", "file")
    both = convert("--model", model(folder, ["a.npz", "b.npz"], **DISC), folder / "both.uvlens")
    assert both["n_visibilities"] == 780
    for data in (["a.uvlens", "b.uvlens"], ["a.uvlens", "b.npz"], ["both.uvlens"]):
        assert abs(evaluate(model(folder, data))["log_evidence"] - raw["log_evidence"]) < 1e-8


def test_a_smaller_mask_on_the_same_pixels(folder):
    for plane in ({"disc": {"radius": 0.9}}, {"annulus": {"inner": 0.2, "outer": 1.1}}):
        raw = evaluate(model(folder, ["a.npz"], pixel_scale=0.1, mask=plane))
        found = evaluate(model(folder, ["a.uvlens"], mask=plane))
        assert found["n_image_pixels"] == raw["n_image_pixels"]
        assert abs(found["log_evidence"] - raw["log_evidence"]) < 1e-8


def test_restriction_of_every_part():
    data = lensed_visibilities(200, 3, LENS)
    large, small = uvl.Mask.disc(1.2, 0.1, (0.1, 0.2)), uvl.Mask.disc(0.6, 0.1, (0.3, 0.0))
    beam = np.exp(-(large.x**2))
    cut = uvl.normal_operator(data, large, "fft", primary_beam=beam).reduction.restrict(small)
    direct = uvl.normal_operator(data, small, "fft", primary_beam=np.exp(-(small.x**2))).reduction
    assert np.allclose(cut.dense(), direct.dense(), atol=1e-9 * np.abs(direct.dense()).max())
    assert np.allclose(cut.dirty_image, direct.dirty_image, atol=1e-9 * np.abs(direct.dirty_image).max())
    assert cut.hashes != direct.hashes
    # a mask array that is larger than that of the data, its pixels inside
    image = np.zeros((30, 30), bool)
    image[12:18, 13:18] = True
    wide = uvl.Mask.from_array(image, 0.1, large.grid.center)
    cut = uvl.normal_operator(data, large, "fft").reduction.restrict(wide)
    direct = uvl.normal_operator(data, wide, "fft").reduction
    assert np.allclose(cut.dense(), direct.dense(), atol=1e-9 * np.abs(direct.dense()).max())


BAD_PLANES = {
    "pixel scale": ({"pixel_scale": 0.11}, "reduced on pixels of 0.1"),
    "larger mask": ({"mask": {"disc": {"radius": 1.5}}}, "outside the mask"),
    "between pixels": ({"mask": {"disc": {"radius": 0.5}}, "center": [0.03, 0.0]}, "between"),
    "centre": ({"center": [0.3, 0.0]}, "image_plane.center"),
    "window": ({"pixel_window": True}, "pixel_window"),
}


@pytest.mark.parametrize("name", BAD_PLANES)
def test_an_image_plane_that_disagrees_is_refused(folder, name):
    plane, message = BAD_PLANES[name]
    result = run("evaluate", model(folder, ["a.uvlens"], "bad.yaml", **plane))
    assert result.exit_code == 2 and message in result.stderr, result.output
    assert len([line for line in result.stderr.splitlines() if line.startswith("uvlens:")]) == 1


def test_other_weights_are_refused(folder):
    def change(content):
        content["data"] = [{"file": str(folder / "a.uvlens"), "weights": "differences"}]

    result = run("evaluate", write_model(folder, change, "weights.yaml"))
    assert result.exit_code == 2 and "weights" in result.stderr


def test_the_same_data_twice_are_refused(folder):
    for data in (["a.uvlens", "a.uvlens"], ["a.uvlens", "a.npz"]):
        result = run("evaluate", model(folder, data, "twice.yaml"))
        assert result.exit_code == 2 and "twice" in result.stderr


def test_facts(folder):
    facts = convert(folder / "a.npz", folder / "facts.uvlens", "--center", 0.2, -0.1)
    reduction, header = Reduction.load(folder / "facts.uvlens")
    assert facts["n_image_pixels"] == reduction.mask.n_pixels and facts["n_visibilities"] == 390
    assert facts["center"] == [0.2, -0.1] and facts["bytes_out"] == (folder / "facts.uvlens").stat().st_size
    assert "true over file" in " ".join(header["notes"]) and header["weights"] == ["rescale"]
    raw, compressed = (json.loads(run("info", folder / n, "--json").stdout) for n in ("a.npz", "facts.uvlens"))
    for key in ("antennas", "fields", "phase_center", "primary_beam_fwhm", "uv_range"):
        assert compressed[key] == raw[key]
    assert compressed["spws"][0]["frequency_hz"] == 340e9 and compressed["n_flagged"] == 10
    assert np.isclose(compressed["beam"]["bmaj"], raw["beam"]["bmaj"], rtol=0.01)
    assert np.isclose(compressed["suggested_pixel_scale"], raw["suggested_pixel_scale"])
    assert run("info", folder / "facts.uvlens").exit_code == 0
    assert "390 visibilities" in run("convert", folder / "a.npz", folder / "facts.uvlens").stdout


def test_a_file_too_large_for_memory_is_streamed(folder, raw, monkeypatch):
    monkeypatch.setattr(uvlens.data.files, "LARGEST_IN_MEMORY", 100)
    options = ("--radius", 1.2, "--pixel-scale", 0.1)
    convert(folder / "a.npz", folder / "streamed.uvlens", *options, "--weights", "file")
    assert Reduction.load(folder / "streamed.uvlens")[0].hashes == Reduction.load(folder / "a.uvlens")[0].hashes
    assert abs(evaluate(model(folder, ["a.npz"], **DISC))["log_evidence"] - raw["log_evidence"]) < 1e-9
    facts = convert(folder / "a.npz", folder / "streamed.uvlens")
    assert "in the first 400 visibilities" in facts["notes"][0]
    assert "differences" in convert(folder / "a.npz", folder / "x.uvlens", "--weights", "differences", status=2)


@pytest.mark.parametrize("name", ["out.npz", "out.txt", "out.bin", "out/"])
def test_between_formats(folder, tmp_path, name):
    out = f"{tmp_path}/{name}"
    assert convert(folder / "a.npz", out)["n_visibilities"] == 400
    options = {"sign": "pyautolens"} if name == "out/" else {}
    first, second = uvl.read(folder / "a.npz").unflagged(), uvl.read(out, **options).unflagged()
    for key in ("u", "v", "vis"):
        assert np.allclose(getattr(first, key), getattr(second, key), rtol=1e-9)


def test_bad_conversions_get_one_line(folder, tmp_path):
    a, out = folder / "a.npz", tmp_path / "x.uvlens"
    (tmp_path / "garbage.uvlens").write_bytes(b"PK\x03\x04 nothing")
    assert "expected IN and OUT" in convert(a, status=2)
    assert "no such file" in convert(tmp_path / "none.npz", out, status=2)
    assert "no folder" in convert(a, tmp_path / "none" / "x.uvlens", status=2)
    assert "the name says no format" in convert(a, tmp_path / "x.xyz", status=2)
    assert "--radius" in convert(a, tmp_path / "x.npz", "--radius", 2.0, status=2)
    assert "--radius" in convert(a, out, "--radius", -1.0, status=2)
    assert "outside the field" in convert(a, out, "--center", 900.0, 0.0, status=2)
    assert "holds no visibilities" in convert(folder / "a.uvlens", tmp_path / "x.npz", status=2)
    assert "--radius" in convert("--model", model(folder, ["a.npz"]), out, "--radius", 1.0, status=2)
    assert "damaged" in convert(tmp_path / "garbage.uvlens", out, status=2)
    assert "not the one data file" in convert(folder / "b.npz", out, "--model", model(folder, ["a.npz"]), status=2)
    assert not out.exists()


def test_a_file_of_another_layout_is_refused(folder, tmp_path):
    with np.load(folder / "a.uvlens") as archive:
        arrays = dict(archive)
    header = json.loads(str(arrays.pop("header"))) | {"layout": 99}
    with open(tmp_path / "old.uvlens", "wb") as stream:
        np.savez(stream, header=np.array(json.dumps(header)), **arrays)
    with pytest.raises(uvl.InputError, match="layout"):
        uvl.load_normal_operator(tmp_path / "old.uvlens")


@pytest.mark.whole
def test_everything_but_pictures_runs_without_the_transform_packages(folder, tmp_path):
    """As on a machine where only the numerics are installed; the report is written later, elsewhere."""
    out = tmp_path / "fit"
    code = """
        import sys, warnings

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in ("jax_finufft", "pynufft", "finufft", "astropy", "numba"):
                    raise ImportError(f"{name} is not here")

        sys.meta_path.insert(0, Refuse())
        from uvlens.modelfile import ModelFile
        from uvlens.evaluate import evaluate_file
        from uvlens.commands import fit_model

        facts = evaluate_file(ModelFile.read(sys.argv[1]), gradient=True)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            summary = fit_model(sys.argv[1], sys.argv[2], False, lambda _: None)
        assert summary["parameters"]["lens.mass.0.theta_E"]["median"] > 0.5
        print(repr(facts["log_evidence"]))
        print([str(w.message) for w in caught if "uvlens report" in str(w.message)])
    """
    file = model(folder, ["a.uvlens"], "bare.yaml")
    command = [sys.executable, "-c", textwrap.dedent(code), str(file), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    value, warned = done.stdout.splitlines()
    assert abs(float(value) - evaluate(file)["log_evidence"]) < 1e-9
    assert "FITS products" in warned and "no report" in warned
    for name in ("summary.json", "posterior.nc", "best_fit.yaml", "normal.npz"):
        assert (out / name).exists()
    assert not (out / "source.fits").exists()
    assert run("report", out).exit_code == 0
    assert (out / "source.fits").exists() and (out / "report.html").exists()
    again = evaluate(out / "best_fit.yaml")
    assert np.isclose(again["log_evidence"], json.loads((out / "summary.json").read_text())["max_log_evidence"])
