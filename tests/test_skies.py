"""Mosaics, several skies and cubes: one lens, sums that add, sources that do not."""

import dataclasses
import json

import numpy as np
import pytest
import reference
import yaml
from astropy.io import fits
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.data import chosen_fields
from uvlens.datasection import DataEntry
from uvlens.evaluate import evaluate_file
from uvlens.modelfile import ModelFile
from uvlens.primarybeam import NAMED_BEAMS, GaussianBeam
from uvlens.simulate import lensed_image
from uvlens.skies import load_skies

LENS = uvl.LensPlane([uvl.SIE(0.6, 0.08, -0.05, 0.02, -0.01)])
CENTER = (150.0, 2.0)
LIGHT_SPEED = 299792.458
"""km/s."""
GRADIENT = 400.0
"""km/s per arcsec, of the disc along its major axis."""
AXIS = np.deg2rad(35.0)
"""Direction of rising velocity, from East to North."""


def disc_cube(frequency, width=0.06):
    """Image grid and one image a channel [Jy/pixel] of a lensed disc whose velocity rises along AXIS."""
    grid = uvl.PixelGrid((80, 80), 0.03)
    images = []
    for nu in frequency:
        velocity = LIGHT_SPEED * (1.0 - nu / frequency.mean())
        shift = velocity / GRADIENT
        x0, y0 = 0.05 + shift * np.cos(AXIS), -0.03 + shift * np.sin(AXIS)
        images.append(
            lensed_image(
                LENS.ray_trace,
                lambda x, y, x0=x0, y0=y0: 0.4 * np.exp(-0.5 * ((x - x0) ** 2 + (y - y0) ** 2) / width**2),
                grid,
            )
        )
    return grid, images


@pytest.fixture(scope="module")
def cube(tmp_path_factory):
    """8 channels of 25 MHz, 3 GHz below them a continuum window; one file for each, and a model file for both."""
    folder = tmp_path_factory.mktemp("cube")
    frequency = 345e9 + 25e6 * (np.arange(8) - 3.5)
    grid, images = disc_cube(frequency)
    parts = []
    for i, (nu, image) in enumerate(zip(frequency, images)):
        parts.append(
            uvl.observe(
                (image, grid.pixel_scale),
                "alma.cycle10.4",
                seed=i,
                phase_center=CENTER,
                hour_angle=(-0.5, 0.5),
                integration=600.0,
                frequency=nu,
                bandwidth=25e6,
                sigma=0.06,
            )
        )
    arrays = {
        key: np.concatenate([getattr(part, key) for part in parts])
        for key in ("u", "v", "w", "vis", "weight", "antenna1", "antenna2", "time", "frequency")
    }
    line = uvl.Visibilities(**arrays, phase_center=CENTER, primary_beam=GaussianBeam(12.0), name="line")
    line.write(folder / "line.npz")
    spot = lensed_image(LENS.ray_trace, lambda x, y: np.exp(-0.5 * ((x + 0.05) ** 2 + y**2) / 0.08**2), grid)
    uvl.observe(
        (spot, grid.pixel_scale),
        "alma.cycle10.4",
        seed=20,
        phase_center=CENTER,
        hour_angle=(-0.5, 0.5),
        integration=600.0,
        frequency=342e9,
        bandwidth=2e9,
        sigma=0.02,
    ).write(folder / "continuum.npz")
    content = {
        "data": [{"file": "line.npz", "weights": "file", "channels": "separate"}],
        "image_plane": {"pixel_scale": 0.08, "rays": 2, "mask": {"disc": {"radius": 1.1}}},
        "lens": {
            "mass": [
                {"profile": "SIE", "theta_E": 0.6, "e1": 0.08, "e2": -0.05, "center_x": 0.02, "center_y": -0.01},
            ]
        },
        "source": {
            "pixels": {
                "mesh": {"type": "rectangular", "shape": [16, 16], "extent": 0.6, "center": [0.05, -0.03]},
                "regularization": {"type": "gradient", "strength": 0.03},
                "positive": True,
            }
        },
    }
    return folder, content


def write(folder, content, name="model.yaml"):
    (folder / name).write_text(yaml.safe_dump(content))
    return folder / name


def test_channels_of_a_cube_share_the_curvature_matrix(cube):
    folder, content = cube
    model_file = ModelFile.read(write(folder, content))
    notes = []
    facts = evaluate_file(model_file, gradient=True, note=notes.append)
    assert len(facts["skies"]) == 1 and facts["skies"][0]["n_channels"] == 8
    assert any("one curvature matrix for 8 channels" in note for note in notes)
    alone, slope = 0.0, 0.0
    for nu in facts["skies"][0]["frequencies_hz"]:
        data = uvl.read(folder / "line.npz")
        data.select(data.frequency == nu).write(folder / "one.npz")
        one = dict(content, data=[{"file": "one.npz", "weights": "file"}])
        separate = evaluate_file(ModelFile.read(write(folder, one, "one.yaml")), gradient=True)
        alone += separate["log_evidence"]
        slope += separate["gradient"]["lens.mass.0.theta_E"]
    assert abs(facts["log_evidence"] - alone) < 0.1
    assert np.isclose(facts["gradient"]["lens.mass.0.theta_E"], slope, rtol=2e-3)
    gamma = facts["effective_parameters"]
    assert abs(facts["terms"]["chi_squared"] - (facts["n_real_data"] - gamma)) < 4 * np.sqrt(2 * facts["n_real_data"])


@pytest.mark.slow
def test_a_disc_rotates_in_the_reconstructed_cube(cube):
    """The fit's source.fits: velocity gradient and its direction, from the first moments of the channels."""
    folder, content = cube
    model = json.loads(json.dumps(content))
    model["lens"]["mass"][0]["theta_E"] = {"normal": [0.6, 0.02]}
    model |= {"fit": {"method": "optimize", "n_starts": 1, "n_screen": 1}, "positions": "none"}
    result = CliRunner().invoke(main, ["fit", str(write(folder, model, "fit.yaml")), "--out", str(folder / "fit")])
    assert result.exit_code == 0, result.stderr
    summary = json.loads((folder / "fit" / "summary.json").read_text())
    assert abs(summary["parameters"]["lens.mass.0.theta_E"]["median"] - 0.6) < 0.01
    with fits.open(folder / "fit" / "source.fits") as hdus:
        header, source = hdus[0].header, hdus[0].data
    assert source.shape[0] == 8 and header["CTYPE3"] == "FREQ"
    frequency = header["CRVAL3"] + header["CDELT3"] * np.arange(8)
    assert np.allclose(frequency, 345e9 + 25e6 * (np.arange(8) - 3.5), rtol=1e-12)
    x = (np.arange(source.shape[2]) + 1 - header["CRPIX1"]) * header["CDELT1"] * 3600.0
    y = (np.arange(source.shape[1]) + 1 - header["CRPIX2"]) * header["CDELT2"] * 3600.0
    clipped = np.where(source > 0.15 * source.max(), source, 0.0)
    total = clipped.sum(axis=(1, 2))
    middle = np.stack([(clipped.sum(axis=1) @ x) / total, (clipped.sum(axis=2) @ y) / total])
    velocity = LIGHT_SPEED * (1.0 - frequency / frequency.mean())
    along = np.array([np.polyfit(velocity, m, 1)[0] for m in middle])  # arcsec per km/s
    assert np.isclose(1.0 / np.hypot(*along), GRADIENT, rtol=0.1)
    assert abs(np.rad2deg(np.arctan2(along[1], along[0]) - AXIS)) < 5.0
    area = abs(header["CDELT1"] * 3600.0) ** 2
    assert np.allclose(area * total, 0.4 * 2 * np.pi * 0.06**2, rtol=0.25)  # noise below the clip is left out
    assert all(f"source.channel.{c}.flux" in summary["derived"] for c in range(8))
    report = CliRunner().invoke(main, ["report", str(folder / "fit")])
    assert report.exit_code == 0, report.stderr
    assert (folder / "fit" / "report.html").stat().st_size > 10_000


def test_continuum_and_line_have_sources_of_their_own(cube):
    folder, content = cube
    source = content["source"]
    content = dict(content)
    content["data"] = [
        {"file": "continuum.npz", "weights": "file", "sky": "continuum"},
        {"file": "line.npz", "weights": "file", "channels": "separate", "sky": "line"},
    ]
    content["source"] = [{"sky": "line", **source}, {"sky": "continuum", **source}]
    both = evaluate_file(ModelFile.read(write(folder, content, "both.yaml")))
    assert [sky["name"] for sky in both["skies"]] == ["continuum", "line"]
    assert "source.1.pixels.regularization.strength" in both["parameters"]
    total = sum(
        evaluate_file(ModelFile.read(write(folder, dict(content, data=[item], source=source), "one.yaml")))[
            "log_evidence"
        ]
        for item in (
            {"file": "continuum.npz", "weights": "file"},
            {"file": "line.npz", "weights": "file", "channels": "separate"},
        )
    )
    assert np.isclose(both["log_evidence"], total, atol=1e-6)
    stronger = evaluate_file(ModelFile.read(folder / "both.yaml"), ["source.1.pixels.regularization.strength=3.0"])
    assert stronger["skies"][1]["log_evidence_minus_null"] == both["skies"][1]["log_evidence_minus_null"]
    assert stronger["skies"][0]["log_evidence_minus_null"] != both["skies"][0]["log_evidence_minus_null"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"source": [{"sky": "other"}]}, "no source has sky"),
        ({"data": [{"file": "line.npz", "channels": "all"}]}, "channels"),
        ({"data": [{"file": "line.npz", "channels": "separate"}, {"file": "line.npz"}]}, "separate in one file"),
    ],
)
def test_skies_that_do_not_fit(cube, change, words):
    folder, content = cube
    content = dict(content)
    source = content["source"]
    content |= change
    if isinstance(content["source"], list):
        content["source"] = [one | source for one in content["source"]]
    result = CliRunner().invoke(main, ["evaluate", str(write(folder, content, "wrong.yaml"))])
    assert result.exit_code == 2 and words in result.stderr and "Traceback" not in result.stderr


def pointings(offsets, n=150, seed=4):
    """Data sets of one point source seen by 7 m dishes pointing at offsets from CENTER [arcsec East]."""
    rng = np.random.default_rng(seed)
    x, y, found = 3.0, -2.0, []
    for i, offset in enumerate(offsets):
        place = (CENTER[0] + offset / 3600.0 / np.cos(np.deg2rad(CENTER[1])), CENTER[1])
        u, v, w = rng.normal(0.0, 3e4, (3, n))
        power = GaussianBeam(7.0).power(x - offset, y, 345e9)
        # in the frame of the pointing, where a mosaic's fields have their phase centres
        vis = power * reference.fourier_matrix(u, v, [x - offset], [y])[:, 0]
        found.append(
            uvl.Visibilities(
                u,
                v,
                vis,
                rng.uniform(1.0, 2.0, n),
                w=w,
                frequency=np.full(n, 345e9),
                field=np.full(n, i),
                primary_beam=GaussianBeam(7.0),
                phase_center=place,
                name=f"field {i}",
            )
        )
    return found


def test_a_mosaic_is_the_sum_over_pointings():
    """W = sum_p A_p W_p A_p and d~ alike, from data of three phase centres; brute force in the common frame."""
    offsets = (-9.0, 0.0, 9.0)
    data = [uvl.data.shift_phase_center(one, CENTER) for one in pointings(offsets)]
    mask = uvl.Mask.disc(6.0, 0.8)
    normal = uvl.normal_operator(data, mask)
    w, dirty = np.zeros((mask.n_pixels,) * 2), np.zeros(mask.n_pixels)
    for one, offset in zip(data, offsets):
        response = reference.fourier_matrix(one.u, one.v, mask.x, mask.y)
        response = response * GaussianBeam(7.0).power(mask.x - offset, mask.y, 345e9)
        w += (response.conj().T @ (one.weight[:, None] * response)).real
        dirty += (response.conj().T @ (one.weight * one.vis)).real
    assert len(normal.reduction.terms) == 3
    assert np.abs(normal.dense() - w).max() < 1e-5 * np.abs(w).max()
    assert np.abs(np.asarray(normal.dirty_image) - dirty).max() < 1e-5 * np.abs(dirty).max()
    # the point is where it is, in all pointings
    for one, offset in zip(data, offsets):
        power = GaussianBeam(7.0).power(3.0 - offset, -2.0, 345e9)
        expected = power * reference.fourier_matrix(one.u, one.v, [3.0], [-2.0])[:, 0]
        assert np.abs(one.vis - expected).max() < 2e-3  # w terms of 10"


def test_data_of_other_phase_centres_are_moved(tmp_path):
    for i, one in enumerate(pointings((0.0, 9.0))):
        one.write(tmp_path / f"{i}.npz")
    entries = [DataEntry(tmp_path / f"{i}.npz", "file", "auto", {}) for i in (0, 1)]
    notes = []
    (sky,) = load_skies(entries, notes.append)
    first, second = sky.data_sets
    assert first.phase_center == second.phase_center == CENTER
    assert np.isclose(second.pointing_offset[0], 9.0, atol=1e-3) and first.pointing_offset == (0.0, 0.0)
    assert any("phase centre moved" in note for note in notes)
    assert dataclasses.asdict(entries[0])["sky"] == ""


def test_a_mask_that_no_pointing_sees():
    data = [uvl.data.shift_phase_center(one, CENTER) for one in pointings((-9.0, 9.0))]
    with pytest.raises(uvl.InputError, match="outside the field"):
        uvl.normal_operator(data, uvl.Mask.disc(2.0, 0.8, center=(90.0, 0.0)))


MODEL = """
data: [{{file: {file}, primary_beam: {beam}{select}}}]
image_plane: {{pixel_scale: {scale}, mask: {{disc: {{radius: {radius}}}}}, pixel_window: true, rays: 2}}
lens:
  mass:
    - {{profile: SIE, theta_E: 1.2, e1: -0.0617978, e2: 0.1070368, center_x: 0.05, center_y: -0.03}}
    - {{profile: Shear, gamma1: 0.025, gamma2: -0.015}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [20, 20], extent: 0.9, center: [0.13, 0.05]}}
    regularization: {{type: gradient, strength: {strength}}}
    positive: true
"""


@pytest.mark.realdata
def test_fields_of_casas_sets(casa):
    assert chosen_fields(casa / "aca.ms", fwhm=29.0) == [1, 0, 2]
    assert chosen_fields(casa / "aca.ms", "LENS1_*") == [1, 0, 2]
    with pytest.raises(uvl.InputError, match="LENS1"):
        chosen_fields(casa / "small.ms", fwhm=17.0)


@pytest.mark.realdata
def test_the_truth_fits_the_mosaic(casa, tmp_path):
    """aca.ms as three pointings: chi^2 at the true lens; a wrong beam centre or mirror image does not fit."""
    text = MODEL.format(file=casa / "aca.ms", beam="casa7m", select="", scale=0.3, radius=3.0, strength=0.001)
    (tmp_path / "model.yaml").write_text(text)
    model_file = ModelFile.read(tmp_path / "model.yaml")
    notes = []
    facts = evaluate_file(model_file, note=notes.append)
    assert any("mosaic of fields 1, 0, 2" in note for note in notes)
    expected = facts["n_real_data"] - facts["effective_parameters"]
    assert abs(facts["terms"]["chi_squared"] - expected) < 4.0 * np.sqrt(2.0 * facts["n_real_data"])
    unseen = dataclasses.replace(model_file, data=(dataclasses.replace(model_file.data[0], primary_beam="none"),))
    assert evaluate_file(unseen)["log_evidence"] < facts["log_evidence"] - 100.0
    alone = evaluate_file(
        dataclasses.replace(model_file, data=(dataclasses.replace(model_file.data[0], options={"field": 1}),))
    )
    assert alone["n_visibilities"] * 3 == facts["n_visibilities"]


@pytest.mark.realdata
def test_casas_beam_is_casas(casa, data_folder):
    """tclean's .pb of small.ms: CASA's Airy as coded, at the reference frequency of the image."""
    with fits.open(data_folder / "casa" / "oracle" / "small_nat.pb.fits") as hdus:
        header, image = hdus[0].header, np.squeeze(hdus[0].data)
    x = (np.arange(image.shape[1]) + 1 - header["CRPIX1"]) * header["CDELT1"] * 3600.0
    y = (np.arange(image.shape[0]) + 1 - header["CRPIX2"]) * header["CDELT2"] * 3600.0
    oracles = json.loads((data_folder / "casa" / "oracle" / "oracles.json").read_text())
    frequency = oracles["dirty_small_natural"]["refval"][3]
    power = NAMED_BEAMS["casa12m"].power(*np.meshgrid(x, y), frequency)
    assert np.abs(power - image)[np.isfinite(image)].max() < 1e-3
