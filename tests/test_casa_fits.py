"""CASA's simulated lens from raw measurement sets, by model files: every lens parameter within 3.5 sigma."""

import json

import numpy as np
import pages
import pytest
import yaml
from click.testing import CliRunner

from uvlens.cli import main

TRUTH = {
    "lens.mass.0.theta_E": 1.2,
    "lens.mass.0.e1": -0.0617978,
    "lens.mass.0.e2": 0.1070368,
    "lens.mass.0.center_x": 0.05,
    "lens.mass.0.center_y": -0.03,
    "lens.mass.1.gamma1": 0.025,
    "lens.mass.1.gamma2": -0.015,
}
MODEL = """
data: [{{file: {file}{more}}}]
image_plane: {{pixel_scale: {scale}, mask: {{disc: {{radius: {radius}}}}}, pixel_window: true, rays: 3}}
lens:
  mass:
    - profile: SIE
      theta_E: {{uniform: [0.8, 1.6]}}
      e1: {{truncnormal: [0.0, 0.2, -0.6, 0.6]}}
      e2: {{truncnormal: [0.0, 0.2, -0.6, 0.6]}}
      center_x: {{normal: [0.0, 0.1]}}
      center_y: {{normal: [0.0, 0.1]}}
    - {{profile: Shear, gamma1: {{normal: [0.0, 0.05]}}, gamma2: {{normal: [0.0, 0.05]}}}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [{n}, {n}]{extent}}}
    regularization: {{type: gradient, strength: auto}}
    positive: true
positions: none
fit: {{method: optimize, seed: 1}}
"""
# small.ms is bright (S/N 600, magnified 17 times): its source needs pixels of 0.03"
SETS = {
    "small": {
        "more": ", select: {field: LENS1}, primary_beam: casa12m",
        "scale": 0.05,
        "radius": 1.9,
        "n": 32,
        "extent": ", extent: 0.5, center: [0.13, 0.05]",
    },
    "sma": {"more": "", "scale": "auto", "radius": 2.4, "n": 24, "extent": ""},
    "aca": {"more": ", primary_beam: casa7m", "scale": 0.3, "radius": 3.0, "n": 16, "extent": ""},
}


@pytest.mark.realdata
@pytest.mark.parametrize("name", SETS)
def test_the_lens_of_casas_measurement_sets(casa, tmp_path, name):
    """From prior draws; aca.ms as a mosaic of three pointings."""
    (tmp_path / "model.yaml").write_text(MODEL.format(file=casa / f"{name}.ms", **SETS[name]))
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--out", str(tmp_path / "fit")])
    assert result.exit_code == 0, result.stderr
    summary = json.loads((tmp_path / "fit" / "summary.json").read_text())
    off = {
        path: (summary["parameters"][path]["median"] - truth) / summary["parameters"][path]["std"]
        for path, truth in TRUTH.items()
    }
    assert max(map(abs, off.values())) < 3.5, off
    gamma = sum(sky["effective_parameters"] for sky in summary["skies"])
    n = summary["n_real_data"]
    assert abs(summary["terms"]["chi_squared"] - (n - gamma)) < 4.0 * np.sqrt(2.0 * n)


@pytest.mark.realdata
def test_the_model_of_the_quickstart_finds_the_lens(casa, tmp_path):
    """Its own priors and `positions: auto`, pixels twice as wide; S/N 580, where demagnified sources fit well."""
    (block, *_) = pages.blocks("yaml")["quickstart.md"]
    content = yaml.safe_load(block.text)
    content["data"] = [{"file": str(casa / "small.ms"), "select": {"field": "LENS1"}}]
    content["image_plane"] |= {"pixel_scale": 0.08, "mask": {"disc": {"radius": 2.1}}}
    content["source"]["pixels"]["mesh"]["shape"] = [20, 20]
    content["fit"] = {"method": "optimize", "seed": 1}
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--out", str(tmp_path / "fit")])
    assert result.exit_code == 0, result.stderr
    summary = json.loads((tmp_path / "fit" / "summary.json").read_text())
    assert summary["diagnostics"]["basins"][0]["n_starts"] == 3
    assert abs(summary["parameters"]["lens.mass.0.theta_E"]["median"] - 1.2) < 0.01
    assert "guard: images at (1.38, -0.1" in "".join(summary["notes"])
