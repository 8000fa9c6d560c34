"""Images: noise, PSF and weights of an Imaging, FITS in and out, over-sampling, simulated images, items of `data:`."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.signal
import yaml
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.data import poisson_noise
from uvlens.data.psf import centroid, gaussian_psf, prepare_psf
from uvlens.datasection import parse_data_entry
from uvlens.errors import UVLensWarning
from uvlens.imagesection import absolute_files, load_image_entry
from uvlens.light import Gaussian, Sersic
from uvlens.oversampling import OverSampling, around, sub_grid
from uvlens.schema import Section
from uvlens.shapes import Annulus
from uvlens.simulate.image import blurred_sky
from uvlens.simulate.simfile import parse_simulation
from uvlens.wcs import sky_offset

PLACE = (146.736, 10.1147)


@pytest.fixture
def quiet():
    """A warning is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", UVLensWarning)
        yield


def lopsided():
    """A 5 x 5 kernel without any symmetry, centroid off by less than 0.1 pixel."""
    kernel = np.array([[0, 0, 1, 0, 0], [0, 6, 9, 3, 0], [2, 9, 60, 8, 0], [0, 5, 7, 6, 1], [0, 1, 0, 0, 0]], float)
    return kernel / kernel.sum()


def imaging(shape=(11, 14), seed=0, **extra):
    rng = np.random.default_rng(seed)
    grid = uvl.PixelGrid(shape, 0.05, extra.pop("center", (0.0, 0.0)))
    noise = extra.pop("noise", rng.uniform(0.5, 2.0, shape))
    return uvl.Imaging(extra.pop("data", rng.normal(size=shape)), noise, extra.pop("psf", lopsided()), grid, **extra)


# ---------------------------------------------------------------- the class


def test_weights_are_those_of_chi_squared(quiet):
    image = imaging()
    assert np.allclose(image.weight, image.noise**-2.0, rtol=1e-15)
    data, noise = image.data.copy(), image.noise.copy()
    data[0, 3], noise[2, 2], noise[4, 5] = np.nan, np.nan, np.inf
    left_out = imaging(data=data, noise=noise)
    assert left_out.n_excluded == 3
    assert np.array_equal(np.argwhere(left_out.weight == 0.0), [[0, 3], [2, 2], [4, 5]])
    assert all(np.isfinite(a).all() for a in (left_out.data, left_out.noise, left_out.weight))
    assert np.array_equal(left_out.weight[left_out.weight > 0.0], image.weight[left_out.weight > 0.0])


def test_scaled_noise_is_a_weight_of_exactly_zero(quiet):
    image = imaging((21, 21))
    region = np.zeros((21, 21), dtype=bool)
    region[3:6, 4:9] = True
    by_array = image.scale_noise(region)
    assert np.array_equal(by_array.weight == 0.0, region) and by_array.n_excluded == 15
    assert np.array_equal(by_array.data, image.data)
    by_mask = image.scale_noise(uvl.Mask(image.grid, region))
    assert np.array_equal(by_mask.weight, by_array.weight)
    disc = Annulus(0.0, 0.2, (0.1, -0.15))
    x, y = image.grid.coordinates()
    assert np.array_equal(image.scale_noise(disc).weight == 0.0, np.hypot(x - 0.1, y + 0.15) <= 0.2)
    both = by_array.scale_noise([disc])
    assert np.array_equal(both.weight == 0.0, region | (np.hypot(x - 0.1, y + 0.15) <= 0.2))
    mask = both.mask(Annulus(0.0, 0.4))
    assert mask.grid == image.grid and mask.n_pixels > np.count_nonzero(both.weight[mask.kept])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"noise": np.zeros((11, 14))}, "154 of 154"),
        ({"noise": -np.ones((11, 14))}, "zero or negative"),
        ({"noise": np.ones((14, 11))}, r"noise has shape \(14, 11\)"),
        ({"data": np.ones((3, 3))}, r"data has shape \(3, 3\)"),
        ({"noise": np.full((11, 14), np.nan)}, "no pixel"),
        ({"weight": np.ones((11, 14))}, "neither"),
        ({"psf": -lopsided()}, "negative"),
        ({"psf": np.full((3, 3), np.nan)}, "NaN"),
        ({"psf": np.zeros((3, 3))}, "zero everywhere"),
        ({"psf": np.ones(5)}, "two-dimensional"),
        ({"psf": np.ones((4, 4))}, "centroid"),
    ],
)
def test_what_cannot_be_an_image_is_refused_in_one_line(change, says):
    with pytest.raises(uvl.InputError, match=says) as error:
        imaging(**change)
    assert "\n" not in str(error.value)


def test_photon_noise_is_that_of_the_counts():
    rate = np.array([[-0.5, 0.0], [2.0, np.nan]])
    sigma = poisson_noise(rate, 50.0, 0.1, gain=2.0)
    assert sigma[0, 0] == sigma[0, 1] == 0.1
    assert sigma[1, 0] == pytest.approx(np.sqrt(0.01 + 2.0 / 100.0), rel=1e-15) and np.isnan(sigma[1, 1])
    with pytest.raises(uvl.InputError, match="exposure_time"):
        poisson_noise(rate, 0.0, 0.1)


# ---------------------------------------------------------------- PSF


def test_psf_is_made_to_sum_to_one_and_says_so():
    kernel, said = prepare_psf(3.0 * lopsided())
    assert np.allclose(kernel, lopsided(), rtol=1e-14) and "sums to 3" in said[0]
    with pytest.warns(UVLensWarning, match="sums to 3"):
        image = imaging(psf=3.0 * lopsided())
    assert image.psf.sum() == pytest.approx(1.0, rel=1e-14)
    assert prepare_psf(lopsided())[1] == []


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("end", [False, True])
def test_even_psf_is_padded_to_the_same_kernel(axis, end):
    """A row of zeros more on one side, taken away, comes back: the same blurred image, no shift."""
    full = np.pad(lopsided(), 1)
    even = np.delete(full, -1 if end else 0, axis=axis)
    kernel, said = prepare_psf(even)
    assert np.array_equal(kernel, full) and "zeros was added" in said[0]


def test_psf_between_pixels_and_off_centre():
    with pytest.raises(uvl.InputError, match="by part of a pixel"):
        prepare_psf(gaussian_psf(0.2, 0.05, 21)[:, :-1] + gaussian_psf(0.2, 0.05, 21)[:, 1:])
    off = np.roll(gaussian_psf(0.2, 0.05, 31), 1, axis=1)
    _, said = prepare_psf(off)
    assert "+1.00, +0.00" in said[0]
    assert centroid(off) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_psf_cut_to_a_stamp():
    kernel, said = prepare_psf(gaussian_psf(0.2, 0.05, 41), size=11)
    assert kernel.shape == (11, 11) and kernel.sum() == pytest.approx(1.0, rel=1e-14) and "%" in said[0]
    for size in (10, 43, -1, 2.5):
        with pytest.raises(uvl.InputError, match="psf_size"):
            prepare_psf(gaussian_psf(0.2, 0.05, 41), size=size)


def test_gaussian_psf_has_its_width():
    kernel = gaussian_psf(0.3, 0.05)
    offset = 0.05 * (np.arange(len(kernel)) - len(kernel) // 2)
    variance = float(kernel.sum(axis=0) @ offset**2)
    # a pixel adds its own variance h^2 / 12
    assert variance == pytest.approx(0.3**2 / (8 * np.log(2)) + 0.05**2 / 12, rel=1e-5)


# ---------------------------------------------------------------- masks


@pytest.mark.parametrize("footprint", [lopsided() > 0, np.array([[0, 0, 1]]), np.ones((7, 3))])
@pytest.mark.parametrize("corner", [False, True])
def test_dilated_mask_holds_what_reaches_its_pixels(mask, footprint, corner):
    """Against the definition: every j with B[i - j + middle] > 0 for some i of the mask; pixel centres stay."""
    if corner:  # the grid grows on two sides alone
        kept = np.zeros((9, 12), dtype=bool)
        kept[7:, :2] = True
        mask = uvl.Mask(uvl.PixelGrid((9, 12), 0.1, (0.4, -0.3)), kept)
    wide = mask.dilated(footprint)
    half = [n // 2 for n in footprint.shape]
    scale = mask.grid.pixel_scale
    expected = {
        (r - (a - half[0]), c - (b - half[1]))
        for r, c in zip(mask.rows.tolist(), mask.columns.tolist())
        for a, b in np.argwhere(footprint).tolist()
    }
    found = {
        (round((y - mask.grid.y_axis[0]) / scale), round((x - mask.grid.x_axis[0]) / scale))
        for x, y in zip(wide.x, wide.y)
    }
    assert found == expected
    shift = (wide.grid.x_axis[0] - mask.grid.x_axis[0]) / scale, (wide.grid.y_axis[0] - mask.grid.y_axis[0]) / scale
    assert np.allclose(shift, np.round(shift), atol=1e-9)


def test_dilated_mask_keeps_its_grid_where_it_can():
    kept = np.zeros((20, 20), dtype=bool)
    kept[5:12, 6:9] = True
    inside = uvl.Mask(uvl.PixelGrid((20, 20), 0.1), kept)
    assert inside.dilated(np.ones((5, 5))).grid == inside.grid
    with pytest.raises(uvl.InputError, match="odd"):
        inside.dilated(np.ones((4, 5)))


# ---------------------------------------------------------------- FITS


def sky_header(shape, scale=0.05, position=PLACE, flip=(True, False), kind="CDELT", projection="TAN", turn=0.0):
    """A header with the reference pixel off the middle, columns to the West where flip[0], rows South where flip[1]."""
    sign_x, sign_y = (-1.0 if flip[0] else 1.0), (-1.0 if flip[1] else 1.0)
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"] = f"RA---{projection}", f"DEC--{projection}"
    header["CRVAL1"], header["CRVAL2"] = position
    header["CRPIX1"], header["CRPIX2"] = 0.5 * shape[1] + 3.25, 0.5 * shape[0] - 4.5
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    matrix = scale / 3600.0 * np.array([[c * sign_x, s * sign_y], [-s * sign_x, c * sign_y]])
    if kind == "CD":
        for i in (1, 2):
            for j in (1, 2):
                header[f"CD{i}_{j}"] = matrix[i - 1, j - 1]
    elif kind == "PC":
        header["CDELT1"] = header["CDELT2"] = scale / 3600.0
        for i in (1, 2):
            for j in (1, 2):
                header[f"PC{i}_{j}"] = matrix[i - 1, j - 1] * 3600.0 / scale
    else:
        header["CDELT1"], header["CDELT2"] = matrix[0, 0], matrix[1, 1]
    header["BUNIT"] = "electron/s"
    return header


def write_files(folder, header, shape=(31, 40), star=None, psf=None):
    """data.fits with one bright pixel at FITS pixel `star` (column, row, from 0), noise.fits, psf.fits."""
    rng = np.random.default_rng(4)
    data = 0.01 * rng.normal(size=shape)
    if star is not None:
        data[star[1], star[0]] = 100.0
    noise = rng.uniform(0.5, 1.5, shape)
    fits.PrimaryHDU(data, header).writeto(folder / "data.fits")
    fits.PrimaryHDU(noise).writeto(folder / "noise.fits")
    fits.PrimaryHDU(lopsided() if psf is None else psf).writeto(folder / "psf.fits")
    return data, noise


def read(folder, **options):
    return uvl.Imaging.read(folder / "data.fits", folder / "noise.fits", folder / "psf.fits", **options)


@pytest.mark.parametrize("kind", ["CDELT", "CD", "PC"])
@pytest.mark.parametrize("flip", [(True, False), (False, False), (True, True), (False, True)])
def test_a_star_lands_at_its_right_ascension_and_declination(tmp_path, kind, flip, quiet):
    """Position of the brightest pixel in (East, North) about any origin, against astropy's own coordinates."""
    header = sky_header((31, 40), flip=flip, kind=kind, projection="SIN" if kind == "PC" else "TAN")
    write_files(tmp_path, header, star=(33, 6))
    image = read(tmp_path)
    star = WCS(header).pixel_to_world(33, 6)
    row, column = np.unravel_index(np.argmax(image.data), image.grid.shape)
    here = image.grid.x_axis[column], image.grid.y_axis[row]
    assert here == pytest.approx(sky_offset(star.ra.deg, star.dec.deg, image.reference_position), abs=1e-5)
    middle = SkyCoord(*image.reference_position, unit="deg")
    east, north = (angle.arcsec for angle in middle.spherical_offsets_to(star))
    assert here == pytest.approx((east, north), abs=1e-4)
    origin = (PLACE[0] + 3e-4, PLACE[1] - 5e-4)
    for moved in (read(tmp_path, origin=origin), image.placed_at(origin)):
        there = moved.grid.x_axis[column], moved.grid.y_axis[row]
        assert there == pytest.approx(sky_offset(star.ra.deg, star.dec.deg, origin), abs=1e-4)
    assert image.unit == "electron/s"


@pytest.mark.parametrize("flip", [(True, False), (False, True)])
def test_noise_and_psf_turn_with_the_image(tmp_path, flip, quiet):
    """What is blurred in the file's own pixels is what is blurred in ours."""
    data, noise = write_files(tmp_path, sky_header((31, 40), flip=flip))
    image = read(tmp_path)
    turn = np.s_[:: -1 if flip[1] else 1, :: -1 if flip[0] else 1]
    assert np.array_equal(image.data, data[turn]) and np.array_equal(image.noise, noise[turn])
    blurred = scipy.signal.convolve2d(data, lopsided(), mode="same")
    assert np.allclose(scipy.signal.convolve2d(image.data, image.psf, mode="same"), blurred[turn], atol=1e-12)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize("position", [PLACE, None])
def test_files_come_back_as_they_were(tmp_path, single, position, quiet):
    image = imaging((12, 15), center=(0.3, -0.2), reference_position=position, unit="nJy")
    image = image.scale_noise(Annulus(0.0, 0.15, (0.3, -0.2)))
    out = tmp_path / ("all.fits" if single else "folder")
    image.write(out)
    files = (out,) if single else tuple(out / name for name in ("data.fits", "noise.fits", "psf.fits"))
    back = uvl.Imaging.read(*files, origin=position, note=lambda _: None)
    assert back.n_excluded == image.n_excluded > 0 and back.unit == "nJy"
    for name in ("data", "weight", "psf"):
        assert np.allclose(getattr(back, name), getattr(image, name), rtol=1e-14, atol=0.0), name
    assert back.grid.center == pytest.approx((0.3, -0.2), abs=1e-6)
    assert back.grid.pixel_scale == pytest.approx(0.05, rel=1e-9)
    header = fits.getheader(files[0], 1 if single else 0)
    assert header["CDELT1"] < 0.0 and ("RA" in header["CTYPE1"]) == (position is not None)
    if position is not None:
        center = WCS(header).pixel_to_world(7, 5.5)
        expected = image.grid.center
        assert sky_offset(center.ra.deg, center.dec.deg, position) == pytest.approx(expected, abs=1e-6)


def test_noise_in_all_its_forms(tmp_path, quiet):
    data, noise = write_files(tmp_path, sky_header((31, 40)))
    fits.HDUList(
        [
            fits.PrimaryHDU(),
            fits.ImageHDU(data, sky_header((31, 40)), name="SCI"),
            fits.ImageHDU(noise, name="ERR"),
            fits.ImageHDU(noise**2, name="VAR"),
            fits.ImageHDU(np.where(np.arange(40) < 3, 0.0, noise**-2.0), name="WHT"),
            fits.ImageHDU(lopsided(), name="PSF"),
        ]
    ).writeto(tmp_path / "all.fits")
    expected = read(tmp_path)
    one = tmp_path / "all.fits"
    assert np.array_equal(uvl.Imaging.read(one).noise, expected.noise)
    variance = uvl.Imaging.read(one, {"hdu": "VAR", "kind": "variance"})
    assert np.allclose(variance.noise, expected.noise, rtol=1e-14)
    weights = uvl.Imaging.read(one, {"hdu": "WHT", "kind": "inverse_variance"}, note=lambda _: None)
    assert weights.n_excluded == 3 * 31 and np.all(weights.weight[:, -3:] == 0.0)
    used = weights.weight > 0.0
    assert np.allclose(weights.noise[used], expected.noise[used], rtol=1e-14)
    photons = uvl.Imaging.read(one, {"background_rms": 0.02, "exposure_time": 100.0})
    assert np.allclose(photons.noise, np.sqrt(4e-4 + np.maximum(expected.data, 0.0) / 100.0), rtol=1e-14)


def test_missing_pixels_are_counted(tmp_path):
    write_files(tmp_path, sky_header((31, 40)))
    with fits.open(tmp_path / "data.fits", mode="update") as hdus:
        hdus[0].data[3, 4:6] = np.nan
    said = []
    assert read(tmp_path, note=said.append).n_excluded == 2
    assert len(said) == 1 and "2 of 1,240 pixels" in said[0]
    with pytest.warns(UVLensWarning, match="weight 0"):
        read(tmp_path)


def test_files_without_coordinates_need_a_scale(tmp_path):
    data, _ = write_files(tmp_path, None)
    with pytest.raises(uvl.InputError, match="pixel_scale"):
        read(tmp_path)
    with pytest.warns(UVLensWarning, match="run to the East"):
        image = read(tmp_path, pixel_scale=0.04, center=(0.2, 0.1))
    assert image.grid.center == (0.2, 0.1) and image.grid.pixel_scale == 0.04
    assert np.array_equal(image.data, data) and image.reference_position is None
    mirrored = read(tmp_path, pixel_scale=0.04, flip_x=True)
    assert np.array_equal(mirrored.data, data[:, ::-1]) and np.array_equal(mirrored.psf, lopsided()[:, ::-1])
    placed = read(tmp_path, pixel_scale=0.04, flip_x=True, center={"ra": "09h46m56.64s", "dec": "10d06m52.92s"})
    assert placed.reference_position == pytest.approx(PLACE, abs=1e-8)
    with pytest.raises(uvl.InputError, match="center"):
        read(tmp_path, pixel_scale=0.04, flip_x=True, origin=PLACE)


def test_center_says_where_the_middle_is(tmp_path, quiet):
    """With coordinates and center: the origin is the place that has the middle there."""
    write_files(tmp_path, sky_header((31, 40)))
    image, named = read(tmp_path), read(tmp_path, center=(1.5, -2.0))
    assert named.grid.center == (1.5, -2.0)
    assert named.placed_at(image.reference_position).grid.center == pytest.approx((0.0, 0.0), abs=1e-6)


@pytest.mark.parametrize(
    ("header", "options", "says"),
    [
        (sky_header((31, 40), kind="CD", turn=25.0), {}, r"North lies [+-]25.00 degrees"),
        (sky_header((31, 40), kind="CD", turn=90.0), {}, "North lies"),
        (sky_header((31, 40)), {"pixel_scale": 0.06}, "pixel_scale says 0.06"),
        (sky_header((31, 40)), {"flip_x": True}, "leave flip_x out"),
        (sky_header((31, 40)), {"hdu": "ERR"}, "no HDU 'ERR'"),
        (sky_header((31, 40)), {"hdu": 3}, "no HDU 3"),
        (fits.Header([("CTYPE1", "GLON-TAN"), ("CTYPE2", "GLAT-TAN"), ("CDELT2", 1e-5)]), {}, "RA and Dec"),
    ],
)
def test_images_that_do_not_lie_right_are_refused(tmp_path, header, options, says):
    write_files(tmp_path, header)
    with pytest.raises(uvl.InputError, match=says) as error:
        read(tmp_path, **options)
    assert "\n" not in str(error.value) and "data.fits" in str(error.value)


def test_a_small_rotation_is_taken(tmp_path, quiet):
    write_files(tmp_path, sky_header((31, 40), kind="CD", turn=0.05), star=(33, 6))
    read(tmp_path)


def test_unequal_pixels_are_refused(tmp_path):
    header = sky_header((31, 40))
    header["CDELT2"] *= 1.05
    write_files(tmp_path, header)
    with pytest.raises(uvl.InputError, match="square"):
        read(tmp_path)


def test_other_files_are_refused_in_one_line(tmp_path):
    write_files(tmp_path, sky_header((31, 40)))
    (tmp_path / "text.fits").write_text("no FITS")
    fits.PrimaryHDU(np.zeros((2, 31, 40))).writeto(tmp_path / "cube.fits")
    fits.PrimaryHDU(np.ones((31, 41))).writeto(tmp_path / "wide.fits")
    fits.PrimaryHDU().writeto(tmp_path / "empty.fits")
    good = [tmp_path / name for name in ("data.fits", "noise.fits", "psf.fits")]
    cases = [
        (0, "text.fits", "not a readable FITS"),
        (0, "none.fits", "no such file"),
        (1, "cube.fits", "two-dimensional"),
        (1, "wide.fits", r"noise map has shape \(31, 41\)"),
        (2, "empty.fits", "holds an image"),
        (2, "text.fits", "not a readable FITS"),
    ]
    for position, name, says in cases:
        files = [tmp_path / name if i == position else file for i, file in enumerate(good)]
        with pytest.raises(uvl.InputError, match=says):
            uvl.Imaging.read(*files)
    for files, says in ((good[:1], "noise is missing"), (good[:2], "psf is missing")):
        with pytest.raises(uvl.InputError, match=says):
            uvl.Imaging.read(*files)


# ---------------------------------------------------------------- over-sampling


def test_sub_pixels_are_those_of_each_pixel(mask):
    rng = np.random.default_rng(1)
    size = rng.integers(1, 6, mask.n_pixels)
    sub = sub_grid(mask, size)
    assert len(sub.x) == (size**2).sum() and np.all(np.diff(sub.pixel) >= 0)
    assert np.allclose(np.bincount(sub.pixel, sub.weight), 1.0, rtol=1e-14)
    for i in (0, mask.n_pixels // 2, mask.n_pixels - 1):
        chosen = sub.pixel == i
        step = (np.arange(size[i]) + 0.5) / size[i] - 0.5
        expected = {
            (round(mask.x[i] + a * mask.grid.pixel_scale, 9), round(mask.y[i] + b * mask.grid.pixel_scale, 9))
            for a in step
            for b in step
        }
        assert {(round(x, 9), round(y, 9)) for x, y in zip(sub.x[chosen], sub.y[chosen])} == expected
    uniform = sub_grid(mask, 3)
    x, y = mask.rays(3)
    assert np.allclose(uniform.x, x.ravel()) and np.allclose(uniform.y, y.ravel())


def test_average_is_the_mean_over_pixels(mask):
    sub = OverSampling((5, 2), (0.3,), ((0.1, 0.0),)).sub_grid(mask)
    values = np.random.default_rng(2).random((len(sub.x), 3))
    expected = [[values[sub.pixel == i, k].mean() for k in range(3)] for i in range(mask.n_pixels)]
    assert np.allclose(sub.average(values), expected, rtol=1e-13)
    assert np.allclose(jax.jit(lambda v: sub.average(v))(values), expected, rtol=1e-13)
    near = np.hypot(mask.x - 0.1, mask.y) <= 0.3
    assert np.array_equal(np.bincount(sub.pixel), np.where(near, 25, 4))


@pytest.mark.parametrize("center", [(0.0, 0.0), (0.013, 0.021)])
def test_default_sub_pixels_are_enough_for_a_de_vaucouleurs_profile(center):
    """Every pixel of a cuspy profile to 1.5e-3 of its value, where 4 x 4 alone is off by up to 2 %."""
    profile = Sersic(flux=1.0, R_sersic=0.5, n_sersic=4, e1=0.1, e2=0.05, center_x=center[0], center_y=center[1])
    mask = uvl.Mask.disc(0.8, 0.05)

    def image(sampling):
        sub = sampling.sub_grid(mask)
        return np.asarray(sub.average(profile.brightness(sub.x, sub.y)))

    fine = image(OverSampling((128, 16), (0.13,)))
    assert np.max(np.abs(image(around([(0.0, 0.0)], 0.05)) / fine - 1.0)) < 1.5e-3
    assert np.max(np.abs(image(OverSampling((4,))) / fine - 1.0)) > 5e-3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((4, 2),), "one more"),
        (((0,),), "whole numbers from 1"),
        (((4, 2, 1), (0.3, 0.2)), "grow"),
        (((4, 2), (0.3,), ()), "centers"),
    ],
)
def test_over_sampling_that_makes_no_sense(arguments, says):
    with pytest.raises(uvl.InputError, match=says):
        OverSampling(*arguments)
    with pytest.raises(uvl.InputError, match="sub-pixels"):
        OverSampling((128,)).sub_grid(uvl.Mask.disc(2.0, 0.05))


# ---------------------------------------------------------------- simulated images


def test_image_of_a_gaussian_is_the_gaussian_of_both_widths():
    """Flux kept, variances added: an independent closed form of the blurred, pixel-averaged sky."""
    light = Gaussian(flux=3.0, sigma=0.15, center_x=0.11, center_y=-0.07)
    grid = uvl.PixelGrid((61, 64), 0.05, (0.02, 0.01))
    kernel = gaussian_psf(0.2, 0.05)
    image = blurred_sky(lambda x, y: np.asarray(light.brightness(x, y)), grid, kernel)
    x, y = grid.coordinates()
    assert image.sum() == pytest.approx(3.0, rel=1e-6)
    assert (np.sum(image * x) / 3.0, np.sum(image * y) / 3.0) == pytest.approx((0.11, -0.07), abs=1e-6)
    # both the sky and the kernel are averages over pixels
    variance = 0.15**2 + 0.2**2 / (8 * np.log(2)) + 2 * 0.05**2 / 12
    assert np.sum(image * (x - 0.11) ** 2) / 3.0 == pytest.approx(variance, rel=1e-3)
    fine = blurred_sky(lambda x, y: np.asarray(light.brightness(x, y)), grid, kernel, OverSampling((16,)))
    assert np.abs(fine - image).max() < 1e-4 * fine.max()


def test_light_from_beyond_the_edge_is_scattered_in():
    light = Gaussian(flux=1.0, sigma=0.05, center_x=0.6, center_y=0.0)
    grid, wide = uvl.PixelGrid((20, 20), 0.05), uvl.PixelGrid((60, 60), 0.05)
    kernel = gaussian_psf(0.3, 0.05)
    small, large = (blurred_sky(lambda x, y: np.asarray(light.brightness(x, y)), g, kernel) for g in (grid, wide))
    assert small.sum() > 0.05 and np.allclose(small, large[20:40, 20:40], atol=1e-12)


def test_simulated_point_source_is_the_psf_where_it_stands():
    sky = np.zeros((15, 17))
    sky[4, 11] = 50.0
    image = uvl.observe_image(
        sky, 0.05, (15, 17), psf=lopsided(), exposure_time=10.0, seed=0, read_noise=1.0, add_noise=False
    )
    assert np.allclose(image.data[2:7, 9:14], 50.0 * lopsided(), atol=1e-12)
    assert image.data.sum() == pytest.approx(50.0, rel=1e-12)
    assert np.allclose(image.noise, np.sqrt(10.0 * image.data + 1.0) / 10.0, rtol=1e-12)


@pytest.mark.parametrize("noise", [{"background_sky": 0.4, "read_noise": 3.0}, {"background_rms": 0.05}])
def test_noise_of_simulated_images_has_its_mean_and_variance(noise):
    """Over 600 seeds: mean within 4.5 sigma, variance within 4.5 standard errors, in every pixel."""
    sky = np.random.default_rng(5).uniform(0.0, 2.0, (9, 9))
    settings = {"psf": lopsided(), "exposure_time": 60.0, **noise}
    exact = uvl.observe_image(sky, 0.05, (9, 9), seed=0, add_noise=False, **settings)
    assert np.allclose(exact.data, scipy.signal.convolve2d(sky, lopsided(), mode="same"), atol=1e-12)
    generator, n = np.random.default_rng(11), 600
    draws = [uvl.observe_image(sky, 0.05, (9, 9), seed=generator, **settings) for _ in range(n)]
    assert np.array_equal(draws[0].noise, exact.noise)
    residual = np.array([(one.data - exact.data) / exact.noise for one in draws])
    assert np.abs(residual.mean(axis=0)).max() < 4.5 / np.sqrt(n)
    assert np.abs((residual**2).mean(axis=0) - 1.0).max() < 4.5 * np.sqrt(2.2 / n)
    assert abs((residual**2).mean() - 1.0) < 4.5 * np.sqrt(2.2 / residual.size)


def test_same_seed_same_image():
    settings = {"psf": 0.1, "exposure_time": 60.0, "background_rms": 0.1}
    a, b, c = (uvl.observe_image(np.ones((9, 9)), 0.05, (9, 9), seed=s, **settings) for s in (3, 3, 4))
    assert np.array_equal(a.data, b.data) and not np.array_equal(a.data, c.data)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"exposure_time": 0.0}, "exposure_time"),
        ({"read_noise": -1.0}, "read_noise"),
        ({"background_rms": 0.1, "read_noise": 1.0}, "not both"),
        ({"read_noise": 0.0}, "no noise"),
        ({"psf": np.ones((4, 4))}, "centroid"),
        ({"sky": -np.ones((9, 9))}, "negative"),
        ({"sky": np.ones((8, 9))}, "shape"),
        ({"shape": (9.5, 9)}, "whole number"),
    ],
)
def test_simulations_that_make_no_sense(change, says):
    settings = {"psf": 0.1, "exposure_time": 60.0, "read_noise": 2.0, "seed": 0, "shape": (9, 9), **change}
    sky = settings.pop("sky", np.zeros((9, 9)))
    with pytest.raises(uvl.InputError, match=says):
        uvl.observe_image(sky, 0.05, **settings)


SIMULATION = {
    "image": {"shape": [60, 64], "pixel_scale": 0.05, "psf": {"gaussian": 0.1}},
    "exposure_time": 500,
    "noise": {"background_rms": 0.01},
    "phase_center": {"ra": PLACE[0], "dec": PLACE[1]},
    "seed": 2,
    "lens": {
        "mass": [{"profile": "SIE", "theta_E": 0.9, "e1": 0.1, "e2": 0.0}],
        "light": [{"profile": "Gaussian", "flux": 5.0, "sigma": 0.3, "center_x": 0.1}],
    },
    "source": {"redshift": 2.0, "light": [{"profile": "Gaussian", "flux": 1.0, "sigma": 0.1, "center_x": 0.2}]},
}


def test_simulation_file_of_an_image(tmp_path):
    """uvlens simulate writes files that read back, with lens light and lensed source at their places."""
    (tmp_path / "sim.yaml").write_text(yaml.safe_dump(SIMULATION))
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["simulate", str(tmp_path / "sim.yaml"), "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    truth = json.loads((out / "truth.json").read_text())
    assert truth["lens.mass.0.theta_E"] == 0.9 and truth["lens.light.0.flux"] == 5.0
    assert truth["source.light.0.center_x"] == 0.2 and truth["source.redshift"] == 2.0
    image = read(out, origin=PLACE)
    assert image.grid.shape == (60, 64) and image.grid.center == pytest.approx((0.0, 0.0), abs=1e-6)
    simulation = parse_simulation(SIMULATION)
    assert np.allclose(image.data, simulation.run().data, rtol=1e-12)
    x, _ = image.grid.coordinates()
    lens_only = parse_simulation(
        SIMULATION | {"source": {"light": [{"profile": "Gaussian", "flux": 1e-9, "sigma": 0.1}]}}
    )
    light = uvl.observe_image(lens_only.sky, **lens_only.settings, add_noise=False).data
    assert light.sum() == pytest.approx(5.0, rel=1e-3)
    assert (light * x).sum() / 5.0 == pytest.approx(0.1, abs=1e-3)
    lensed = uvl.observe_image(simulation.sky, **simulation.settings, add_noise=False).data - light
    assert lensed.sum() > 3.0  # magnified
    chi_squared = np.sum((image.data - light - lensed) ** 2 * image.weight)
    assert abs(chi_squared - image.data.size) < 4.5 * np.sqrt(2.0 * image.data.size)
    single = CliRunner().invoke(main, ["simulate", str(tmp_path / "sim.yaml"), "--out", str(tmp_path / "one.fits")])
    assert single.exit_code == 0 and "3840 pixels" in single.output
    assert np.allclose(uvl.Imaging.read(tmp_path / "one.fits").data, image.data, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"array": "alma.cycle10.4"}, "make two files"),
        ({"image": {"shape": [60, 64], "pixel_scale": 0.05}}, "image.psf"),
        ({"image": SIMULATION["image"] | {"psf": 3}}, "image.psf"),
        ({"noise": {"background": 0.01}}, "noise.background: unknown key"),
        ({"lens": {"mass": [{"profile": "SIE", "theta_E": {"uniform": [0.5, 1.5]}}]}}, "not a prior"),
        ({"source": {"light": []}}, "at least one"),
    ],
)
def test_wrong_simulation_files_of_images(change, says):
    with pytest.raises(uvl.InputError, match=says):
        parse_simulation(SIMULATION | change)


def test_simulator_of_an_image(tmp_path):
    script = Path(__file__).parents[1] / "simulators" / "hst.py"
    command = [sys.executable, script, "--out", tmp_path / "hst", "--pixels", "40"]
    subprocess.run(command, check=True, capture_output=True)
    image = read(tmp_path / "hst")
    assert image.grid.shape == (40, 40) and (image.data / image.noise).max() > 50.0
    assert json.loads((tmp_path / "hst" / "truth.json").read_text())["lens.light.0.n_sersic"] == 4.0


# ---------------------------------------------------------------- items of data:


def entry_of(folder, **extra):
    section = {"file": "data.fits", "noise": "noise.fits", "psf": "psf.fits", **extra}
    return parse_data_entry(Section(section, "data.0"), folder)


def test_item_of_data_becomes_an_image_and_its_mask(tmp_path, quiet):
    data, _ = write_files(tmp_path, sky_header((31, 40)), star=(33, 6))
    contaminants = np.zeros((31, 40))
    contaminants[2:9, 30:36] = 1
    fits.PrimaryHDU(contaminants).writeto(tmp_path / "bad.fits")
    entry = entry_of(
        tmp_path,
        sky="hst",
        mask={"annulus": {"inner": 0.1, "outer": 0.6}},
        noise_scaling=["bad.fits", {"disc": {"radius": 0.2, "center": [0.3, 0.4]}}],
        background="linear",
        offset=[0.02, -0.01],
        rays=2,
        over_sampling={"sizes": [16, 4], "radii": [0.2], "centers": [[0.0, 0.0]]},
    )
    assert entry.sky == "hst" and entry.background and entry.rays == 2
    assert entry.over_sampling == OverSampling((16, 4), (0.2,), ((0.0, 0.0),))
    said = []
    image, mask = load_image_entry(entry, note=said.append)
    assert np.array_equal(image.data, data[:, ::-1]) and image.grid.center == pytest.approx((0.02, -0.01))
    x, y = image.grid.coordinates()
    expected = (contaminants[:, ::-1] != 0) | (np.hypot(x - 0.3, y - 0.4) <= 0.2)
    assert np.array_equal(image.weight == 0.0, expected)
    radius = np.hypot(x, y)
    assert np.array_equal(mask.kept, (radius >= 0.1) & (radius <= 0.6))
    assert any("42 pixels of noise_scaling" in sentence for sentence in said) and "count" in said[-1]


def test_files_of_an_item_from_elsewhere(tmp_path):
    item = {"file": "a.fits", "noise": {"file": "n.fits", "kind": "sigma"}, "noise_scaling": ["b.fits"], "sky": "hst"}
    here = str(tmp_path.resolve())
    expected = {"file": f"{here}/a.fits", "noise": {"file": f"{here}/n.fits", "kind": "sigma"}}
    assert absolute_files(item, tmp_path) == expected | {"noise_scaling": [f"{here}/b.fits"], "sky": "hst"}


def test_masks_of_an_image_from_files(tmp_path, quiet):
    """Pixel for pixel in either direction of the columns, and by coordinates where the shapes differ."""
    write_files(tmp_path, sky_header((31, 40)))
    kept = np.zeros((31, 40))
    kept[10:20, 5:12] = 1
    fits.PrimaryHDU(kept).writeto(tmp_path / "plain.fits")
    east = sky_header((31, 40), flip=(False, False))
    # the same sky with columns to the East: the reference pixel is mirrored as well
    east["CRPIX1"] = 41 - east["CRPIX1"]
    fits.PrimaryHDU(kept[:, ::-1], east).writeto(tmp_path / "east.fits")
    cut = sky_header((31, 40), kind="CD")
    cut["CRPIX1"] -= 3
    fits.PrimaryHDU(kept[:, 3:30], cut).writeto(tmp_path / "cut.fits")
    masks = [
        load_image_entry(entry_of(tmp_path, mask={"fits": f"{name}.fits"}))[1] for name in ("plain", "east", "cut")
    ]
    assert np.array_equal(masks[0].kept, kept[:, ::-1] != 0)
    assert np.array_equal(masks[1].kept, masks[0].kept) and np.array_equal(masks[2].kept, masks[0].kept)
    cut["CRPIX1"] -= 4
    fits.PrimaryHDU(np.pad(kept, ((0, 0), (0, 7)))[:, 7:], cut).writeto(tmp_path / "elsewhere.fits")
    assert fits.getdata(tmp_path / "elsewhere.fits").shape == (31, 40)
    elsewhere = load_image_entry(entry_of(tmp_path, mask={"fits": "elsewhere.fits"}))[1]
    shown = np.pad(kept, ((0, 0), (0, 7)))[:, 7:]
    assert np.array_equal(elsewhere.kept[:, ::-1], np.pad(shown, ((0, 0), (7, 0)))[:, :40] != 0)
    fits.PrimaryHDU(kept[:, 3:30]).writeto(tmp_path / "bare.fits")
    with pytest.raises(uvl.InputError, match=r"31 x 27 pixels and no coordinates.* 31 x 40"):
        load_image_entry(entry_of(tmp_path, mask={"fits": "bare.fits"}))
    with pytest.raises(uvl.InputError, match="holds no pixel"):
        load_image_entry(entry_of(tmp_path, mask={"disc": {"radius": 0.5, "center": [50.0, 0.0]}}))


def test_image_and_visibilities_share_one_frame(tmp_path, quiet):
    """Placed about a phase centre, the image's pixels keep their sky positions; image_plane's mask serves."""
    from uvlens.imageplane import parse_image_plane

    header = sky_header((31, 40))
    write_files(tmp_path, header, star=(22, 14))
    origin = (PLACE[0] + 1e-4, PLACE[1] - 2e-4)
    star = WCS(header).pixel_to_world(22, 14)
    at = sky_offset(star.ra.deg, star.dec.deg, origin)
    plane = parse_image_plane(Section({"mask": {"disc": {"radius": 0.2}}, "center": list(at)}, "image_plane"), tmp_path)
    image, mask = load_image_entry(entry_of(tmp_path), origin, plane)
    brightest = np.argmax(image.data[mask.kept])
    assert (mask.x[brightest], mask.y[brightest]) == pytest.approx(at, abs=1e-4)
    assert np.hypot(mask.x - at[0], mask.y - at[1]).max() <= 0.2
    far = load_image_entry(entry_of(tmp_path))[0]
    with pytest.raises(uvl.InputError, match="degrees from the origin"):
        far.placed_at((PLACE[0] + 2.0, PLACE[1]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nois": "a.fits"}, "data.0.nois: unknown key .did you mean 'noise'"),
        ({"noise": {"background_rms": 0.1}}, "data.0.noise.exposure_time: missing"),
        ({"noise": {"file": "a.fits", "kind": "rms"}}, "data.0.noise.kind: expected sigma"),
        ({"noise": 3}, "data.0.noise: expected a FITS file"),
        ({"psf": {}}, "data.0.psf: expected file"),
        ({"background": "flat"}, "data.0.background"),
        ({"noise_scaling": [{"disk": {}}]}, "data.0.noise_scaling.0: expected one of disc"),
        ({"over_sampling": {"sizes": [4, 2]}}, "data.0.over_sampling: sizes needs one more"),
        ({"rays": 50}, "data.0.rays"),
        ({"offset": [1]}, "data.0.offset"),
        ({"weights": "rescale"}, "data.0.weights: unknown key"),
    ],
)
def test_wrong_items_name_their_key(tmp_path, change, says):
    with pytest.raises(uvl.InputError, match=says):
        entry_of(tmp_path, **change)


def test_info_shows_an_image_and_image_refuses_it(tmp_path):
    write_files(tmp_path, sky_header((31, 40)))
    run = CliRunner().invoke
    shown = run(main, ["info", str(tmp_path / "data.fits")])
    assert shown.exit_code == 0 and '31 x 40 pixels of 0.05"' in shown.output and "09h46m56" in shown.output
    facts = json.loads(run(main, ["info", str(tmp_path / "data.fits"), "--json"]).output)
    assert facts["kind"] == "image" and facts["pixel_scale"] == pytest.approx(0.05)
    assert facts["noise"] == pytest.approx(0.01, rel=0.1)
    bare = run(main, ["info", str(tmp_path / "psf.fits")])
    assert bare.exit_code == 0 and "no sky coordinates" in bare.output
    refused = run(main, ["image", str(tmp_path / "data.fits"), "--out", str(tmp_path / "x.fits")])
    assert refused.exit_code == 2 and "is an image already" in refused.output
    as_visibilities = run(main, ["convert", str(tmp_path / "data.fits"), str(tmp_path / "x.npz")])
    assert as_visibilities.exit_code == 2 and "psf:" in as_visibilities.output


# ---------------------------------------------------------------- a real image


@pytest.mark.realdata
def test_hst_image_of_j0946_is_read(data_folder):
    folder, said = data_folder / "slacs0946", []
    section = {
        "file": "data.fits",
        "noise": "noise_map.fits",
        "psf": "psf.fits",
        "pixel_scale": 0.05,
        "mask": {"disc": {"radius": 3.0}},
        "noise_scaling": "mask_extra_galaxies.fits",
    }
    image, mask = load_image_entry(parse_data_entry(Section(section, "data.0"), folder), note=said.append)
    assert image.grid.shape == (281, 281) and image.psf.shape == (21, 21)
    assert image.psf.sum() == pytest.approx(1.0, rel=1e-12) and any("0.956" in one for one in said)
    row, column = np.unravel_index(np.argmax(image.data), image.grid.shape)
    assert (image.grid.x_axis[column], image.grid.y_axis[row]) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert image.n_excluded == 10_230
    assert mask.n_pixels == pytest.approx(np.pi * 3.0**2 / 0.05**2, rel=0.01)
    # the ring: above the mean of its radius, at the two places in positions.json (y, x)
    x, y = image.grid.coordinates()
    radius = np.hypot(x, y)
    for north, east in json.loads((folder / "positions.json").read_text()):
        ring = np.abs(radius - np.hypot(north, east)) < 0.05
        assert image.data[np.hypot(x - east, y - north) < 0.08].mean() > 1.5 * np.median(image.data[ring])
    # photon noise explains the map: sigma^2 = rms^2 + d / t
    good = image.weight > 0.0
    design = np.stack([np.ones(good.sum()), np.maximum(image.data[good], 0.0)], axis=1)
    (variance, slope), *_ = np.linalg.lstsq(design, image.noise[good] ** 2)
    assert np.sqrt(variance) == pytest.approx(0.011, rel=0.05) and 1.0 / slope == pytest.approx(2066.0, rel=0.05)


def test_a_mask_scales_the_noise_of_an_image():
    """Mask.noise_scaling is Imaging.scale_noise of the same pixels."""
    imaging = uvl.observe_image(
        lambda x, y: 0.0 * x, 0.1, (12, 14), psf=0.2, exposure_time=1.0, background_rms=1.0, seed=1
    )
    kept = np.zeros(imaging.grid.shape, bool)
    kept[3:5, 7:10] = True
    scaled = uvl.Mask(imaging.grid, kept).noise_scaling(imaging)
    assert np.array_equal(scaled.weight == 0.0, kept) and np.array_equal(scaled.data, imaging.data)
