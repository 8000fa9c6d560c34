"""Pictures while a search runs: of its best model, every N likelihoods, and never its end."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from conftest import lensed_visibilities

import uvlens as uvl
from uvlens import quicklook
from uvlens.cli import main

SETTINGS = {"n_starts": 1, "n_screen": 6, "seed": 1}


def small_model(e1=0.1):
    data = lensed_visibilities(80, 1, uvl.LensPlane([uvl.SIE(0.4, 0.1, 0.0, 0.0, 0.0)]))
    normal = uvl.normal_operator(data, uvl.Mask.disc(0.7, 0.12))
    lens = uvl.LensPlane([uvl.SIE(uvl.Uniform(0.3, 0.6), e1, 0.0, 0.0, 0.0)])
    source = uvl.PixelSource(uvl.RectangularMesh(5, 5, 0.4), uvl.Gradient(0.01))
    return uvl.Model(normal, lens, source, rays=1, positions="none")


@pytest.mark.parametrize(
    "method", ["optimize", *(pytest.param(m, marks=pytest.mark.whole) for m in ("nuts", "nautilus"))]
)
def test_the_page_shows_the_best_so_far(tmp_path, monkeypatch, method):
    drawn = []
    draw = quicklook.QuickLook.draw

    def drawing(self, message=""):
        draw(self, message)
        drawn.append((self._density.n_evaluations, self._density.best_log_likelihood, self._density.best_vector))

    monkeypatch.setattr(quicklook.QuickLook, "draw", drawing)
    options = {
        "optimize": SETTINGS,
        "nuts": SETTINGS | {"n_chains": 2, "n_warmup": 20, "n_draws": 40},
        "nautilus": {"seed": 1, "n_live": 60, "n_effective": 100},
    }
    model = small_model(uvl.Uniform(0.0, 0.3)) if method == "nautilus" else small_model()
    every = {"optimize": 3, "nuts": 60, "nautilus": 100}[method]
    uvl.fit(model, method, directory=tmp_path, quick_look=every, **options[method])
    assert len(drawn) > 1 and np.all(np.diff([n for n, _, _ in drawn]) >= every)
    assert np.all(np.diff([best for _, best, _ in drawn]) >= 0.0)
    for _, best, vector in drawn:
        assert np.isclose(float(model.log_likelihood(vector)), best, rtol=1e-9)
    page = (tmp_path / quicklook.FILE).read_text()
    assert page.count("data:image/png") == 2 and "lens.mass.0.theta_E" in page and "refresh" in page
    assert f"{drawn[-1][1] + float(model.log_evidence_null):,.2f}" in page


def test_a_picture_that_fails_does_not_end_the_fit(tmp_path, monkeypatch):
    said = []

    def broken(*_):
        raise ValueError("no ink")

    monkeypatch.setattr(quicklook.QuickLook, "draw", broken)
    options = SETTINGS | {"quick_look": 5, "directory": tmp_path, "progress": lambda message, _: said.append(message)}
    uvl.fit(small_model(), "optimize", **options)
    assert any(one.startswith("quick look: ValueError: no ink") for one in said)
    assert not (tmp_path / quicklook.FILE).exists()


@pytest.mark.parametrize(("every", "folder", "words"), [(0, "x", "number of likelihoods"), (5, None, "directory")])
def test_bad_input(tmp_path, every, folder, words):
    with pytest.raises(uvl.InputError, match=words):
        uvl.fit(small_model(), "optimize", quick_look=every, directory=folder and tmp_path / folder, **SETTINGS)


def test_nautilus_wants_two_parameters():
    with pytest.raises(uvl.InputError, match="two free parameters"):
        uvl.fit(small_model(), "nautilus", seed=1)


def test_the_command(tmp_path):
    lensed_visibilities(80, 1, uvl.LensPlane([uvl.SIE(0.4, 0.1, 0.0, 0.0, 0.0)])).write(tmp_path / "lens.npz")
    sie = {"profile": "SIE", "theta_E": {"uniform": [0.3, 0.6]}, "e1": 0.1, "e2": 0.0, "center_x": 0.0, "center_y": 0.0}
    pixels = {
        "mesh": {"type": "rectangular", "shape": [5, 5], "extent": 0.4},
        "regularization": {"type": "gradient", "strength": 0.01},
    }
    content = {
        "data": [{"file": "lens.npz", "weights": "file"}],
        "image_plane": {"pixel_scale": 0.12, "rays": 1, "mask": {"disc": {"radius": 0.7}}},
        "lens": {"mass": [sie]},
        "source": {"pixels": pixels},
        "positions": "none",
        "fit": {"method": "optimize", **SETTINGS},
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(content))
    out = tmp_path / "out"
    run = ["fit", str(tmp_path / "model.yaml"), "--out", str(out), "--quick-look", "5"]
    assert CliRunner().invoke(main, run).exit_code == 0
    assert (out / "quick_look.html").exists() and (out / "report.html").exists()
    refused = CliRunner().invoke(main, [*run, "--jobs", "2"])
    assert refused.exit_code == 2 and "--quick-look" in refused.stderr
