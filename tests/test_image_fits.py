"""Images through the whole program: model file, fit, files, report; and what a galaxy beside the arcs does."""

import json

import numpy as np
import pytest
import yaml
from astropy.io import fits
from astropy.wcs import WCS
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main

TRUTH = uvl.LensPlane([uvl.SIE(theta_E=0.9, e1=0.1, e2=-0.05, center_x=0.02, center_y=-0.01)])
LENS_LIGHT = uvl.Gaussian(flux=20.0, sigma=0.25)
CENTER = (150.1, 2.2)


def arcs(x, y):
    """The lensed source, a Gaussian [electron/s/arcsec^2]."""
    bx, by = TRUTH.ray_trace(x, y)
    return 10.0 * np.exp(-0.5 * ((np.asarray(bx) - 0.05) ** 2 + (np.asarray(by) - 0.03) ** 2) / 0.1**2)


def contaminant(x, y):
    """A galaxy on the line of sight, beside the ring."""
    return 12.0 * np.exp(-0.5 * ((x - 0.85) ** 2 + (y - 0.6) ** 2) / 0.2**2)


def observed(*parts, seed=1):
    return uvl.observe_image(
        lambda x, y: sum(np.asarray(part(x, y)) for part in parts),
        0.07,
        (52, 52),
        psf=0.13,
        exposure_time=3000.0,
        background_rms=0.004,
        seed=seed,
        reference_position=CENTER,
        rays=4,
    )


MODEL = {
    "data": [
        {
            "file": "hst/data.fits",
            "noise": "hst/noise.fits",
            "psf": "hst/psf.fits",
            "mask": {"disc": {"radius": 1.6}},
            "background": "linear",
            "rays": 2,
        }
    ],
    "lens": {
        "mass": [
            {
                "profile": "SIE",
                "theta_E": {"uniform": [0.8, 1.0]},
                "e1": {"normal": [0.1, 0.05]},
                "e2": {"normal": [-0.05, 0.05]},
                "center_x": 0.02,
                "center_y": -0.01,
            }
        ],
        "light": [{"profile": "MGE", "n_gaussians": 5, "sigma_min": 0.125, "sigma_max": 0.5, "flux": "linear"}],
    },
    "positions": "none",
    "source": {
        "pixels": {
            "mesh": {"type": "rectangular", "shape": [14, 14], "extent": 0.4},
            "regularization": {"type": "gradient", "strength": {"loguniform": [1e-5, 1.0]}},
            "positive": True,
        }
    },
    "fit": {"method": "optimize", "seed": 1, "n_starts": 1, "n_screen": 4},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    observed(arcs, LENS_LIGHT.brightness).write(folder / "hst")
    (folder / "model.yaml").write_text(yaml.safe_dump(MODEL))
    return folder


@pytest.fixture(scope="module")
def fitted(folder):
    out = folder / "fit"
    result = CliRunner().invoke(main, ["fit", str(folder / "model.yaml"), "--out", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return out, json.loads((out / "summary.json").read_text())


def test_an_image_is_fitted_by_the_same_command(fitted):
    _, summary = fitted
    found = summary["parameters"]["lens.mass.0.theta_E"]
    assert abs(found["median"] - 0.9) < 4.0 * found["std"] + 0.002
    n, gamma = summary["n_real_data"], summary["derived"]["source.effective_parameters"]["map"]
    assert summary["n_visibilities"] == 0 and summary["skies"][0]["kind"] == "image"
    assert abs(summary["terms"]["chi_squared"] - (n - gamma)) < 5.0 * np.sqrt(2.0 * n)
    # the light of the lens galaxy comes back, and the sky level is what was subtracted: nothing
    assert abs(summary["derived"]["lens.light.0.flux"]["map"] - 20.0) < 1.0
    assert abs(summary["derived"]["background.level"]["map"]) < 0.1
    assert summary["derived"]["source.magnification"]["map"] > 3.0


def test_files_of_an_image_fit(fitted, folder):
    out, _ = fitted
    for name in ("source", "model", "lensed_source", "model_image", "residual", "residual_sigma"):
        assert np.isfinite(fits.getdata(out / f"{name}.fits")).all()
    assert 0.9 < fits.getdata(out / "residual_sigma.fits")[10:-10, 10:-10].std() < 1.1
    with fits.open(out / "model_image.fits") as hdus, fits.open(folder / "hst" / "data.fits") as data:
        model, observed = hdus[0].data, data[0].data
        assert model.shape == observed.shape and np.corrcoef(model.ravel(), observed.ravel())[0, 1] > 0.98
        # the same pixel of both has the same place on the sky
        a, b = (WCS(one[0].header).pixel_to_world(11.0, 17.0) for one in (hdus, data))
        assert a.separation(b).arcsec < 1e-4
    assert "uvlens" in (out / "report.html").read_text()[:400]


def test_the_folder_rebuilds_its_report_and_its_evidence(fitted):
    out, summary = fitted
    (out / "report.html").unlink()
    assert CliRunner().invoke(main, ["report", str(out)], catch_exceptions=False).exit_code == 0
    assert (out / "report.html").exists()
    again = CliRunner().invoke(main, ["evaluate", str(out / "best_fit.yaml"), "--json"], catch_exceptions=False)
    assert again.exit_code == 0, again.output
    assert np.isclose(json.loads(again.stdout)["log_evidence"], summary["max_log_evidence"], rtol=1e-9)


def test_results_go_on_to_the_next_model(folder):
    """Adapt image, region of the source and priors of the lens from a fit, used by a second one."""
    model_file = uvl.modelfile.ModelFile.read(folder / "model.yaml")
    skies = model_file.build_skies(model_file.load_data(), None)
    first = uvl.fit(model_file.build_model(skies), method="optimize", seed=1, n_starts=1, n_screen=4)
    extent, center = first.source_region()
    assert np.hypot(center[0] - 0.05, center[1] - 0.03) < 0.04 and 0.12 < extent < 0.4
    adapt = first.adapt_image()
    truth = np.asarray(arcs(*adapt.grid.coordinates()))
    assert np.corrcoef(truth.ravel(), adapt.image.ravel())[0, 1] > 0.95
    lens = first.lens_priors(widen=3.0, floor=0.0)
    stated, samples = lens.mass[0].theta_E, first.vectors[:, first.model.parameters.paths.index("lens.mass.0.theta_E")]
    assert stated.name == "truncnormal" and np.allclose(
        stated.arguments, (np.median(samples), 3 * samples.std(), 0.8, 1.0)
    )
    assert lens.mass[0].center_x == 0.02
    pixels = uvl.PixelSource(
        uvl.AdaptiveMesh(12, 12, density="brightness"), uvl.AdaptiveBrightness(0.05), positive=True, adapt=adapt
    )
    second = uvl.Model(first.model.skies, lens, pixels, rays=2)
    assert np.isfinite(float(second.log_likelihood(second.parameters.median())))


@pytest.mark.parametrize("scaled", [False, True])
def test_noise_scaling_removes_the_bias_of_a_contaminating_galaxy(scaled):
    """A galaxy beside the ring pulls the Einstein radius; with its pixels at weight 0 it does not."""
    imaging = observed(arcs, contaminant)
    if scaled:
        x, y = imaging.grid.coordinates()
        imaging = imaging.scale_noise(np.hypot(x - 0.85, y - 0.6) < 0.6)
    normal = uvl.normal_operator(imaging, imaging.mask(uvl.Mask.disc(1.6, 0.07)))
    lens = [uvl.SIE(uvl.Uniform(0.7, 1.1), uvl.Normal(0.1, 0.1), uvl.Normal(-0.05, 0.1), 0.02, -0.01)]
    source = uvl.PixelSource(
        uvl.RectangularMesh(14, 14, extent=0.4), uvl.Gradient(uvl.LogUniform(1e-5, 1.0)), positive=True
    )
    result = uvl.fit(
        uvl.Model(normal, lens, source, rays=2, positions="none"), method="optimize", seed=1, n_starts=1, n_screen=6
    )
    theta_E = result.summary()["parameters"]["lens.mass.0.theta_E"]
    error = abs(theta_E["median"] - 0.9)
    if scaled:
        assert error < 0.004
    else:
        assert error > 0.006 and error > 4.0 * theta_E["std"]


def negative_noise(folder):
    noise = fits.getdata(folder / "hst" / "noise.fits").copy()
    noise[20:22, 20:22] = -1.0
    fits.writeto(folder / "wrong_noise.fits", noise, fits.getheader(folder / "hst" / "noise.fits"), overwrite=True)
    return {"noise": "wrong_noise.fits"}


def even_psf(folder):
    fits.writeto(folder / "wrong_psf.fits", np.ones((4, 4)) / 16.0, overwrite=True)
    return {"psf": "wrong_psf.fits"}


def other_mask(folder):
    fits.writeto(folder / "wrong_mask.fits", np.ones((7, 9)), overwrite=True)
    return {"mask": {"fits": "wrong_mask.fits"}}


@pytest.mark.parametrize(
    ("make", "mesh", "words"),
    [
        (negative_noise, None, "noise is zero or negative in 4"),
        (even_psf, None, "psf"),
        (other_mask, None, "7 x 9"),
        (lambda folder: {"mask": {"disc": {"radius": 0.5}}, "rays": 1}, [40, 40], "nodes for"),
    ],
)
def test_bad_input_gets_one_line(folder, make, mesh, words):
    content = MODEL | {"data": [MODEL["data"][0] | make(folder)]}
    if mesh is not None:
        pixels = MODEL["source"]["pixels"]
        content |= {"source": {"pixels": pixels | {"mesh": pixels["mesh"] | {"shape": mesh}}}}
    (folder / "wrong.yaml").write_text(yaml.safe_dump(content))
    result = CliRunner().invoke(main, ["evaluate", str(folder / "wrong.yaml")])
    last = result.stderr.strip().splitlines()[-1]
    assert result.exit_code == 2 and last.startswith("uvlens:") and words in last.lower().replace("(7, 9)", "7 x 9")
