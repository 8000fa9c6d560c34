"""Masks of several shapes, emission outside a mask, and components subtracted from the data."""

import dataclasses
import json
import re
import warnings

import numpy as np
import pytest
import yaml
from astropy.io import fits
from click.testing import CliRunner
from test_info import POINTS, observation

import uvlens as uvl
from uvlens.cli import main
from uvlens.errors import UVLensWarning
from uvlens.imageplane import parse_image_plane
from uvlens.outside import emission_outside, pixels_of, warn_of_emission_outside
from uvlens.schema import Section
from uvlens.shapes import Annulus, Arc, Polygon, mask_of_shapes
from uvlens.subtract import Component, fit_components, parse_components, subtract_components

ELSEWHERE = Component(-4.0, 5.0)


def plane(mask, folder=None, **extra):
    return parse_image_plane(Section({"pixel_scale": 0.1, "mask": mask, **extra}, "image_plane"), folder)


def test_patches_keep_what_any_of_them_holds():
    mask = plane(
        {
            "patches": [
                {"disc": {"radius": 1.0, "center": [2.0, 0.5]}},
                {"annulus": {"inner": 0.4, "outer": 0.8, "center": [-3.0, 0.0]}},
                {"polygon": [[0.0, 2.0], [1.0, 2.0], [1.0, 3.0], [0.0, 3.0]]},
            ]
        }
    ).build_mask([])
    x, y = mask.grid.coordinates()
    disc = np.hypot(x - 2.0, y - 0.5) <= 1.0
    radius = np.hypot(x + 3.0, y)
    square = (x > 0.0) & (x < 1.0) & (y > 2.0) & (y < 3.0)
    assert np.array_equal(mask.kept, disc | (radius >= 0.4) & (radius <= 0.8) | square)
    area = np.pi * (1.0 + 0.8**2 - 0.4**2) + 1.0
    assert mask.solid_angle == pytest.approx(area, rel=0.03)
    west, east, south, north = mask.grid.extent
    assert (west, east) == pytest.approx((-3.8, 3.0), abs=0.11) and (south, north) == pytest.approx(
        (-0.8, 3.0), abs=0.11
    )


def test_one_shape_alone_is_the_mask_it_was():
    disc, moved = plane({"disc": {"radius": 1.3}}), plane({"disc": {"radius": 1.3, "center": [0.4, -0.2]}})
    same = disc.build_mask([observation()])
    assert np.array_equal(same.kept, uvl.Mask.disc(1.3, 0.1).kept)
    mask = moved.build_mask([])
    assert np.hypot(mask.x - 0.4, mask.y + 0.2).max() <= 1.3
    assert mask.n_pixels == pytest.approx(same.n_pixels, rel=0.02)


@pytest.mark.parametrize("angle", [0.0, 37.0, 200.0])
def test_arc_is_the_part_of_a_ring_towards_its_angles(angle):
    """North to East is positive: an arc about PA 90 lies East."""
    arc = Arc(Annulus(0.5, 1.0, (0.2, 0.1)), angle - 30.0, angle + 30.0)
    mask = mask_of_shapes([arc], 0.02)
    mean = np.arctan2(np.mean(mask.x - 0.2), np.mean(mask.y - 0.1))
    assert np.angle(np.exp(1j * (mean - np.deg2rad(angle)))) == pytest.approx(0.0, abs=0.02)
    assert mask.solid_angle == pytest.approx(np.pi * 0.75 / 6.0, rel=0.03)


def test_polygon_by_the_winding_angle():
    """A concave polygon: a point is inside where the corners turn around it once."""
    corners = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (1.0, 0.7), (0.0, 2.0))
    x, y = np.random.default_rng(0).uniform(-0.5, 2.5, (2, 2000))
    angle = np.array([np.arctan2(b - y, a - x) for a, b in (*corners, corners[0])])
    winding = np.abs(np.sum(np.angle(np.exp(1j * np.diff(angle, axis=0))), axis=0)) > 3.0
    assert np.array_equal(Polygon(corners).contains(x, y), winding)


def test_fits_patch_takes_its_pixels(tmp_path):
    image = np.zeros((5, 6), dtype=np.int16)
    image[4, 0] = 1  # East of the middle, North
    header = fits.Header({"CDELT1": -0.5 / 3600, "CDELT2": 0.5 / 3600, "CRPIX1": 3.5, "CRPIX2": 3.0})
    fits.writeto(tmp_path / "mask.fits", image, header)
    section = {"patches": [{"fits": "mask.fits"}, {"disc": {"radius": 0.3, "center": [-2.0, 0.0]}}]}
    mask = plane(section, tmp_path).build_mask([observation()])
    east = mask.x > 0.0
    assert mask.x[east].min() == pytest.approx(1.0, abs=0.1) and mask.x[east].max() == pytest.approx(1.5, abs=0.1)
    assert mask.y[east].min() == pytest.approx(0.75, abs=0.1) and np.count_nonzero(east) == pytest.approx(25, abs=6)
    assert np.hypot(mask.x[~east] + 2.0, mask.y[~east]).max() <= 0.3


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ({"patches": []}, "mask.patches: expected at least one"),
        ({"patches": [{"disk": {"radius": 1.0}}]}, r"patches.0: expected one of disc, .* got disk"),
        ({"patches": [{"disc": {"radius": 1.0, "centre": [0, 0]}}]}, "patches.0.disc.centre: unknown key"),
        ({"polygon": [[0.0, 0.0], [1.0, 1.0]]}, "mask.polygon: expected at least three corners"),
        ({"polygon": [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]}, "enclose an area"),
        ({"arc": {"inner": 1.0, "outer": 0.5, "position_angles": [0, 90]}}, "mask.arc: expected 0 <= inner < outer"),
        ({"arc": {"inner": 0.1, "outer": 0.5, "position_angles": [90, 0]}}, "position angles that grow"),
        ({"disc": {"radius": 1.0}, "annulus": {}}, "expected one of disc, annulus"),
        ({}, "got nothing"),
    ],
)
def test_wrong_masks_are_named(mask, message):
    with pytest.raises(uvl.InputError, match=message):
        plane(mask)


def test_shapes_say_themselves_where_they_are():
    with pytest.raises(uvl.InputError, match=r"image_plane\.center: the shapes"):
        plane({"polygon": [[0, 0], [1, 0], [0, 1]]}, center=[1.0, 0.0])


# ----------------------------------------------------------------------------------- emission outside


def field(flux=0.02, **extra):
    """The two points of `observation` and one elsewhere."""
    return observation((*POINTS, (ELSEWHERE.x, ELSEWHERE.y, flux)), **extra)


def test_emission_outside_is_found_where_it_is():
    mask = uvl.Mask.disc(2.0, 0.1)
    found = emission_outside(field(), mask)
    assert len(found) == 1
    assert np.hypot(found[0].x - ELSEWHERE.x, found[0].y - ELSEWHERE.y) < 0.1
    with pytest.warns(UVLensWarning, match=r"emission outside the mask at \[-4\.\d+, [45]\.\d+\] \(S/N"):
        warn_of_emission_outside([field()], mask)
    assert emission_outside(field(), mask_of_shapes([Annulus(0, 2.0), Annulus(0, 0.8, (-4.0, 5.0))], 0.1)) == []


def test_sidelobes_of_what_is_inside_are_no_emission_outside():
    """They are 20 times the noise, and noise alone is none either; in a stream as in memory."""
    mask = uvl.Mask.disc(2.0, 0.1)
    data = observation()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_emission_outside([data, uvl.VisibilityStream([data])], mask)
    for seed in range(3):
        assert emission_outside(observation(points=((0, 0, 0.0),), seed=seed), mask) == []
    assert emission_outside(observation(), uvl.Mask.disc(0.7, 0.1, center=POINTS[0][:2]))  # the other point is left out


def test_a_mask_becomes_pixels_of_another_grid():
    mask, grid = uvl.Mask.disc(1.0, 0.3), uvl.PixelGrid((60, 60), 0.05)
    x, y = grid.coordinates()
    kept = pixels_of(mask, grid)
    assert kept[np.hypot(x, y) < 0.8].all() and not kept[np.hypot(x, y) > 1.3].any()


# ------------------------------------------------------------------------------------------ subtraction


def test_fluxes_are_unbiased_by_the_sky_in_the_mask():
    """Over realisations of the noise, with a lens ten times brighter; without the mask's sky they would be wrong."""
    mask, components = uvl.Mask.disc(2.0, 0.1), [ELSEWHERE, Component(5.0, -3.0, 0.4)]
    pulls = []
    for seed in range(6):
        data = field(0.01, seed=20 + seed)
        flux, error = fit_components(data, components, mask)
        pulls.append((flux - [0.01, 0.0]) / error)
    pulls = np.array(pulls)
    assert np.abs(pulls).max() < 4.0 and np.abs(pulls.mean(axis=0)).max() < 3.0 / 6**0.5 + 0.5
    model = ELSEWHERE.visibilities(data.u, data.v)
    alone = np.sum(data.weight * (model.conj() * data.vis).real) / data.weight.sum()
    assert abs(alone - 0.01) > 4.0 * error[0]


def test_gaussian_is_the_transform_of_its_picture():
    grid = uvl.PixelGrid((201, 201), 0.02, (0.3, -0.2))
    x, y = grid.coordinates()
    image = np.exp(-4.0 * np.log(2.0) * ((x - 0.3) ** 2 + (y + 0.2) ** 2) / 0.5**2)
    u, v = np.random.default_rng(1).uniform(-3e5, 3e5, (2, 20))
    import reference

    expected = reference.fourier_matrix(u, v, x.ravel(), y.ravel()) @ (image.ravel() / image.sum())
    assert np.allclose(Component(0.3, -0.2, 0.5).visibilities(u, v), expected, atol=1e-6)


def test_subtraction_leaves_the_rest_and_says_the_flux():
    mask, said = uvl.Mask.disc(2.0, 0.1), []
    data = field()
    clean = subtract_components(data, [ELSEWHERE], mask, said.append)
    assert emission_outside(clean, mask) == []
    expected = observation((*POINTS, (ELSEWHERE.x, ELSEWHERE.y, 0.0)))
    assert np.abs(clean.vis - expected.vis).max() < 5.0 * 0.05 * len(data) ** -0.5
    assert len(said) == 1 and "point at [-4, 5]" in said[0] and "mJy" in said[0] and "+-" in said[0]
    assert subtract_components(data, [], mask) is data


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ([Component(0.3, 0.2)], "inside the mask"),
        ([ELSEWHERE, ELSEWHERE], "cannot tell the components apart"),
    ],
)
def test_components_that_cannot_be_subtracted(components, message):
    with pytest.raises(uvl.InputError, match=message):
        fit_components(field(), components, uvl.Mask.disc(2.0, 0.1))


def test_components_of_a_model_file():
    found = parse_components([{"point": [1, 2]}, {"gaussian": {"center": [0, 3], "fwhm": 0.5}}], "data.0.subtract")
    assert found == (Component(1.0, 2.0), Component(0.0, 3.0, 0.5))
    for wrong, message in (
        ([{"spot": [1, 2]}], r"data.0.subtract.0: expected \{point"),
        ([{"point": [1]}], "data.0.subtract.0.point: expected 2 numbers"),
        ([{"gaussian": {"center": [0, 3]}}], "gaussian.fwhm: missing"),
        (3, "data.0.subtract: expected a list"),
    ):
        with pytest.raises(uvl.InputError, match=message):
            parse_components(wrong, "data.0.subtract")


def test_evaluate_warns_subtracts_and_reports(tmp_path):
    """The same file with and without `subtract:`: a warning in one, a flux in the other; and in a compressed set."""
    field().write(tmp_path / "data.npz")
    content = {
        "data": [{"file": "data.npz", "weights": "file"}],
        "image_plane": {"pixel_scale": 0.12, "rays": 1, "mask": {"patches": [{"disc": {"radius": 2.0}}]}},
        "lens": {"mass": [{"profile": "SIE", "theta_E": 1.0, "center_x": 0.0, "center_y": 0.0}]},
        "source": {
            "pixels": {
                "mesh": {"type": "rectangular", "shape": [6, 6], "extent": 2.0},
                "regularization": {"type": "gradient", "strength": 1.0},
            }
        },
    }
    runner, facts = CliRunner(), {}
    for name, extra in (("as-it-is", {}), ("less", {"subtract": [{"point": [-4.0, 5.0]}]})):
        content["data"][0].update(extra)
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
        result = runner.invoke(main, ["evaluate", str(tmp_path / f"{name}.yaml"), "--json"])
        assert result.exit_code == 0, result.output
        assert ("warning: target: emission outside the mask" in result.stderr) == (not extra)
        assert ("subtracted the point at [-4, 5]" in result.stderr) == bool(extra)
        facts[name] = json.loads(result.stdout)
    flux, error = map(float, re.search(r"\[-4, 5\]: ([\d.]+) \+- ([\d.]+) mJy", result.stderr).groups())
    assert abs(flux - 20.0) < 4.0 * error and error == pytest.approx(1e3 * field().sensitivity, rel=0.01)
    assert facts["as-it-is"]["terms"]["chi_squared"] > facts["less"]["terms"]["chi_squared"] + 400.0
    out = tmp_path / "small.uvlens"
    result = runner.invoke(main, ["convert", str(out), "--model", str(tmp_path / "less.yaml"), "--json"])
    assert result.exit_code == 0 and any("subtracted" in note for note in json.loads(result.stdout)["notes"])
    content["data"] = [{"file": "small.uvlens", "subtract": [{"point": [-4.0, 5.0]}]}]
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(content))
    result = runner.invoke(main, ["evaluate", str(tmp_path / "again.yaml"), "--json"])
    assert result.exit_code == 2 and "subtract is no option of a compressed" in result.stderr
    content["data"] = [{"file": "small.uvlens"}]
    content["image_plane"] = {"mask": {"patches": [{"disc": {"radius": 1.5}}]}}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(content))
    result = runner.invoke(main, ["evaluate", str(tmp_path / "again.yaml"), "--json"])
    assert result.exit_code == 0, result.output
    content["image_plane"]["mask"]["patches"].append({"disc": {"radius": 0.5, "center": [3.0, 0.0]}})
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(content))
    result = runner.invoke(main, ["evaluate", str(tmp_path / "again.yaml"), "--json"])
    assert result.exit_code == 2 and "reaches out of the pixels" in result.stderr


@pytest.mark.realdata
def test_a_weak_companion_of_the_arc_in_casas_data(casa):
    """0.2 mJy (7 sigma) added 3.8 arcsec from an arc of S/N 180: found, measured, and nothing else is found."""
    data, mask = uvl.read(casa / "small.ms", field=1).unflagged(), uvl.Mask.disc(1.9, 0.05)
    assert emission_outside(data, mask) == []
    one = Component(3.1, -2.2)
    both = dataclasses.replace(data, vis=data.vis + 2e-4 * one.visibilities(data.u, data.v))
    (found,) = emission_outside(both, mask)
    assert np.hypot(found.x - 3.1, found.y + 2.2) < 0.05
    flux, error = fit_components(both, [one], mask)
    assert abs(flux[0] - 2e-4) < 3.0 * error[0] and error[0] == pytest.approx(2.795e-5, rel=1e-3)
    assert emission_outside(data, uvl.Mask.disc(1.0, 0.05))
