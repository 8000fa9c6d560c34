"""A source with a spectral index: against the dense normal distribution, its gradient, and what it finds."""

import jax
import numpy as np
import pytest
import reference
import yaml

import uvlens as uvl
from uvlens.evaluate import evaluate_file
from uvlens.modelfile import ModelFile
from uvlens.normal import reduce
from uvlens.normal.spectral import spectral_reduction
from uvlens.operators import sky_operators
from uvlens.primarybeam import GaussianBeam
from uvlens.skies import SkyData

LENS = uvl.LensPlane([uvl.SIE(0.6, 0.1, -0.05, 0.02, -0.01)])
FREQUENCIES = np.array([98e9, 100e9, 110e9, 112e9])


def observed(index, n=400, seed=0, snr=20.0):
    """n visibilities of a lensed spot whose flux goes as nu^index, at four frequencies."""
    rng = np.random.default_rng(seed)
    frequency = rng.choice(FREQUENCIES, n)
    radius, angle = 4e5 * np.sqrt(rng.random(n)), rng.uniform(0.0, 2.0 * np.pi, n)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    sky = uvl.Mask.disc(1.2, 0.05)
    beta_x, beta_y = (np.asarray(b) for b in LENS.ray_trace(sky.x, sky.y))
    image = np.exp(-0.5 * ((beta_x - 0.06) ** 2 + (beta_y - 0.03) ** 2) / 0.1**2)
    vis = reference.fourier_matrix(u, v, sky.x, sky.y) @ image
    vis = vis * snr / np.sqrt(np.mean(np.abs(vis) ** 2)) * (frequency / 105e9) ** index
    vis = vis + rng.normal(size=n) + 1j * rng.normal(size=n)
    return uvl.Visibilities(u, v, vis, np.ones(n), frequency=frequency)


class Plane:
    """The one method of an ImagePlane that sky_operators calls."""

    def reduce(self, data_sets, mask, schedule=None):
        return reduce(data_sets, mask)


def model_of(data, index, positive=False, mask=None, strength=0.3):
    mask = mask or uvl.Mask.disc(1.1, 0.12)
    skies = sky_operators(SkyData("", ([data],), None), 0, Plane(), mask, has_index=True)
    pixels = uvl.PixelSource(uvl.RectangularMesh(9, 9, extent=0.5), uvl.Gradient(strength), positive=positive)
    return uvl.Model(skies, LENS, uvl.Source(pixels, spectral_index=index), rays=2)


@pytest.mark.parametrize("index", [0.0, 1.3, -2.0])
def test_evidence_is_that_of_the_scaled_response(index):
    """Brute force: every visibility sees (nu / nu_0)^alpha of the sky."""
    data = observed(1.0)
    model = model_of(data, index)
    value = float(model.log_evidence_minus_null(np.zeros(0)))
    system, (sky,) = model.systems[0], model.skies
    problem = model.problems(np.zeros(0))[0]
    mapper, mesh = problem.mapper, system.columns.blocks[0].mesh
    mask = model.normal.mask
    factor = (data.frequency / sky.spectral.reference_frequency) ** index
    response = factor[:, None] * (reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ np.asarray(mapper.dense()))
    # on a uniform lattice the integral of |grad s|^2 is the sum of squared differences
    h = float(system.coefficient(0.3)) * reference.difference_prior(mesh.shape, 1)
    f = (response.conj().T @ (data.weight[:, None] * response)).real
    d = (response.conj().T @ (data.weight * data.vis)).real
    s = np.linalg.solve(f + h, d)
    expected = 0.5 * s @ d - 0.5 * np.linalg.slogdet(f + h)[1] + 0.5 * np.linalg.slogdet(h)[1]
    assert np.isclose(value, expected, rtol=1e-8)
    (found,) = model.inversions(np.zeros(0))
    assert np.isclose(float(found.inversion.log_evidence_minus_null), expected, rtol=1e-8)
    assert np.allclose(found.inversion.source, s, rtol=1e-6, atol=1e-8 * np.abs(s).max())


@pytest.mark.parametrize("positive", [False, True])
def test_gradient(positive):
    data = observed(1.0)
    mask = uvl.Mask.disc(1.1, 0.12)
    skies = sky_operators(SkyData("", ([data],), None), 0, Plane(), mask, has_index=True)
    pixels = uvl.PixelSource(uvl.RectangularMesh(9, 9, extent=0.5), uvl.Gradient(uvl.LogUniform(0.1, 1.0)), positive)
    lens = uvl.LensPlane([uvl.SIE(uvl.Normal(0.6, 0.1), 0.1, -0.05, 0.02, -0.01)])
    model = uvl.Model(skies, lens, uvl.Source(pixels, spectral_index=uvl.Normal(1.0, 1.0)), rays=2)
    assert "source.spectral_index" in model.parameters.paths
    vector = np.asarray(model.parameters.median({}))
    gradient = np.asarray(jax.grad(model.log_evidence_minus_null)(vector))
    differences = []
    for i in range(len(vector)):
        step = 1e-4 * np.eye(len(vector))[i]
        up, down = (float(model.log_evidence_minus_null(vector + sign * step)) for sign in (1.0, -1.0))
        differences.append((up - down) / 2e-4)
    assert np.abs(gradient - differences).max() < 1e-6 * np.abs(gradient).max()


def test_beams_of_their_own_keep_their_terms():
    """Beams that differ between 98 and 112 GHz on a wide mask: a term each, and the same evidence as brute force."""
    data = observed(1.0)
    wide = uvl.Visibilities(
        data.u / 20, data.v / 20, data.vis, data.weight, frequency=data.frequency, primary_beam=GaussianBeam(12.0)
    )
    mask = uvl.Mask.disc(15.0, 2.0)
    spectral = spectral_reduction([wide], lambda members: reduce(members, mask))
    terms, dirty = spectral.merged(0.7)
    assert len(terms) > 1
    at = spectral.at(0.7)
    assert np.allclose(at.dirty_image, dirty)
    factor = (wide.frequency / spectral.reference_frequency) ** 0.7
    power = np.stack([GaussianBeam(12.0).power(mask.x, mask.y, nu) for nu in wide.frequency])
    response = factor[:, None] * power * reference.fourier_matrix(wide.u, wide.v, mask.x, mask.y)
    expected = (response.conj().T @ (wide.weight[:, None] * response)).real
    assert np.abs(at.dense() - expected).max() < 1e-9 * np.abs(expected).max()
    step = 1e-5
    _, up = spectral.merged(0.7 + step)
    _, down = spectral.merged(0.7 - step)
    assert np.allclose(spectral.merged(0.7, derivative=True)[1], (up - down) / (2 * step), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_the_index_is_found(tmp_path):
    observed(1.4, n=1500, snr=4.0).write(tmp_path / "data.npz")
    content = {
        "data": [{"file": "data.npz", "weights": "file"}],
        "image_plane": {"pixel_scale": 0.1, "rays": 2, "mask": {"disc": {"radius": 1.2}}},
        "lens": {
            "mass": [{"profile": "SIE", "theta_E": 0.6, "e1": 0.1, "e2": -0.05, "center_x": 0.02, "center_y": -0.01}]
        },
        "source": {
            "spectral_index": {"normal": [1.0, 2.0]},
            "pixels": {
                "mesh": {"type": "rectangular", "shape": [12, 12], "extent": 0.5},
                "regularization": {"type": "gradient", "strength": 0.1},
            },
        },
        "fit": {"method": "optimize", "n_starts": 1, "n_screen": 1},
    }
    (tmp_path / "model.yaml").write_text(yaml.safe_dump(content))
    model_file = ModelFile.read(tmp_path / "model.yaml")
    facts = [evaluate_file(model_file, [f"source.spectral_index={index}"]) for index in (1.3, 1.4, 1.5)]
    # parabola through three points: where it peaks, and how wide it is
    low, middle, high = (one["log_evidence"] for one in facts)
    curvature = (low - 2.0 * middle + high) / 0.1**2
    best, error = 1.4 - (high - low) / 0.2 / curvature, (-curvature) ** -0.5
    assert error < 0.3 and abs(best - 1.4) < 4.0 * error
    from click.testing import CliRunner

    from uvlens.cli import main

    result = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--out", str(tmp_path / "fit")])
    assert result.exit_code == 0, result.stderr
    summary = yaml.safe_load((tmp_path / "fit" / "summary.json").read_text())
    found = summary["parameters"]["source.spectral_index"]
    assert abs(found["map"] - best) < 0.1 * error and np.isclose(found["std"], error, rtol=0.1)
    n = summary["n_real_data"]
    assert abs(summary["terms"]["chi_squared"] - n) < 4 * np.sqrt(2 * n) + 60
    again = evaluate_file(ModelFile.read(tmp_path / "fit" / "best_fit.yaml"))
    assert np.isclose(again["log_evidence"], summary["max_log_evidence"], atol=1e-6)


def test_one_frequency_has_no_index():
    data = observed(1.0)
    with pytest.raises(uvl.InputError, match="several frequencies"):
        model_of(data.select(data.frequency == 98e9), 1.0)
