"""FITS products of visibilities as others open them: positions on the sky, beams, dirty images, CASA's own."""

import json

import numpy as np
import pytest
import reference
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from conftest import random_visibilities
from scipy.ndimage import map_coordinates
from scipy.signal import fftconvolve

import uvlens as uvl
from uvlens.leftovers import clear
from uvlens.products import write_fits_products

CENTER, OFFSET = (150.0, -50.0), (0.43, -0.31)
FWHM, PIXEL = 0.15, 0.06
DIRTY = ("dirty", "dirty_model", "residual")
POSITIONS = ("dirty", "dirty_model", "model", "lensed_source", "source")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Products of a round Gaussian of 1 Jy to the East and South of the phase centre, behind no lens."""
    data = random_visibilities(1500, seed=2, signal=0.0)
    phases = reference.fourier_matrix(data.u, data.v, np.array([OFFSET[0]]), np.array([OFFSET[1]]))[:, 0]
    taper = np.exp(-((np.pi * FWHM / 206264.806) ** 2) * (data.u**2 + data.v**2) / (4.0 * np.log(2.0)))
    # baselines shorter along one direction of the uv plane: an elongated beam
    turn = np.deg2rad(25.0)
    data = uvl.Visibilities(data.u, data.v, phases * taper, data.weight, phase_center=CENTER)
    kept = np.abs(data.u * np.cos(turn) - data.v * np.sin(turn)) < 2.2e5
    data = data.select(kept)
    normal = uvl.normal_operator(data, uvl.Mask.disc(1.1, PIXEL))
    mesh = uvl.RectangularMesh(24, 24, extent=0.6, center=(0.4, -0.3))
    source = uvl.PixelSource(mesh, uvl.Gradient(1e-5))
    model = uvl.Model(normal, uvl.LensPlane([uvl.Shear(0.0, 0.0)]), source, rays=2)
    target = tmp_path_factory.mktemp("products")
    write_fits_products(model.inversions(np.zeros(0)), target, data.phase_center)
    return target


def read(folder, kind):
    with fits.open(folder / f"{kind}.fits") as hdus:
        return hdus[0].data.astype(float), hdus[0].header


def peak(image):
    """(column, row) of the peak: of the paraboloid through the logarithms about the brightest pixel."""
    row, column = np.unravel_index(np.argmax(image), image.shape)
    a = np.log(image[row - 1 : row + 2, column - 1 : column + 2])
    slope = 0.5 * np.array([a[1, 2] - a[1, 0], a[2, 1] - a[0, 1]])
    cross = 0.25 * (a[2, 2] - a[2, 0] - a[0, 2] + a[0, 0])
    bend = [[a[1, 2] - 2 * a[1, 1] + a[1, 0], cross], [cross, a[2, 1] - 2 * a[1, 1] + a[0, 1]]]
    return np.array([column, row]) - np.linalg.solve(bend, slope)


def middle(image):
    """(column, row) of the centroid of what is brighter than a quarter of the peak."""
    weight = np.where(image > 0.25 * image.max(), image, 0.0)
    rows, columns = np.indices(image.shape)
    return np.average(columns, weights=weight), np.average(rows, weights=weight)


@pytest.mark.parametrize("kind", POSITIONS)
def test_a_source_is_at_its_right_ascension_and_declination(folder, kind):
    image, header = read(folder, kind)
    angle = np.arctan2(*OFFSET)
    true = SkyCoord(*CENTER, unit="deg").directional_offset_by(angle * units.rad, np.hypot(*OFFSET) * units.arcsec)
    x, y = WCS(header).world_to_pixel(true)
    found = middle(image) if kind == "source" else peak(image)
    # a tenth of a pixel of the sky: the picture of a source has finer ones
    assert np.hypot(found[0] - x, found[1] - y) * header["CDELT2"] * 3600.0 < 0.1 * PIXEL
    assert header["CDELT1"] < 0.0 < header["CDELT2"]
    assert found[0] < header["CRPIX1"] - 1.0 and found[1] < header["CRPIX2"] - 1.0


def test_source_planes_have_axes_in_arcsec_too(folder):
    image, header = read(folder, "source")
    x, y = WCS(header, key="A").pixel_to_world_values(*middle(image))
    assert np.hypot(x - OFFSET[0], y - OFFSET[1]) < 0.1 * PIXEL
    assert WCS(header).wcs.name == "source plane"
    snr, error = read(folder, "source_snr")[0], read(folder, "source_error")[0]
    assert np.allclose(snr * error, image)


def test_units_and_beams(folder):
    for kind in (*DIRTY, "dirty_beam"):
        header = read(folder, kind)[1]
        assert units.Unit(header["BUNIT"]) == units.Jy / units.beam
        assert header["BMAJ"] > 1.2 * header["BMIN"] > 0.0
    for kind, unit in (("model", "Jy/pixel"), ("source", "Jy/arcsec2"), ("source_snr", "")):
        header = read(folder, kind)[1]
        assert units.Unit(header["BUNIT"]) == units.Unit(unit) and "BMAJ" not in header
    psf, header = read(folder, "dirty_beam")
    middle = [n // 2 for n in psf.shape]
    assert psf[middle[0], middle[1]] == pytest.approx(1.0) and psf.max() == psf[middle[0], middle[1]]
    # half a full width from the centre along the axes of the ellipse the beam is near one half
    scale, angle = header["CDELT2"], np.deg2rad(header["BPA"])
    for width, along in ((header["BMAJ"], angle), (header["BMIN"], angle + 0.5 * np.pi)):
        east, north = 0.5 * width * np.sin(along) / scale, 0.5 * width * np.cos(along) / scale
        half = map_coordinates(psf, [[middle[0] + north], [middle[1] - east]], order=3)[0]
        assert half == pytest.approx(0.5, abs=0.06)


def test_dirty_images_are_the_model_through_the_beam(folder):
    """The model convolved with dirty_beam, without a transform of visibilities; data = model + what is left."""
    images = {kind: read(folder, kind)[0] for kind in (*DIRTY, "model", "dirty_beam")}
    assert np.allclose(images["dirty"], images["dirty_model"] + images["residual"], atol=1e-12)
    through = fftconvolve(images["model"], images["dirty_beam"], mode="same")
    assert images["dirty_beam"].shape == tuple(2 * n - 1 for n in images["model"].shape)
    assert np.abs(through - images["dirty_model"]).max() < 1e-9
    assert np.abs(images["residual"]).max() < 0.02 * images["dirty"].max()


def test_a_new_fit_removes_them(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(b"")
    (tmp_path / "dirty.line.fits").write_bytes(b"")
    (tmp_path / "mine.fits").write_bytes(b"")
    clear(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["mine.fits"]


@pytest.mark.realdata
def test_the_dirty_image_of_a_fit_is_casas(data_folder, tmp_path):
    """small.uvfits on 160 x 160 of tclean's own pixels: value, position, sign, orientation, beam."""
    scale = 0.025
    grid = uvl.PixelGrid((160, 160), scale, (0.5 * scale, -0.5 * scale))
    x, y = grid.coordinates()
    normal = uvl.normal_operator(
        uvl.read(data_folder / "casa" / "small.uvfits"), uvl.Mask(grid, np.hypot(x, y) < 1.9), method="fft"
    )
    source = uvl.PixelSource(uvl.RectangularMesh(8, 8, extent=0.5, center=(0.13, 0.05)), uvl.Gradient(1e-3))
    mass = [uvl.SIE(1.2, -0.0617978, 0.1070368, 0.05, -0.03), uvl.Shear(0.025, -0.015)]
    model = uvl.Model(normal, uvl.LensPlane(mass), source, rays=1)
    write_fits_products(model.inversions(np.zeros(0)), tmp_path, normal.reduction.phase_center)
    oracle = data_folder / "casa" / "oracle"
    beam = json.loads((oracle / "oracles.json").read_text())["dirty_small_natural"]["restoringbeam"]
    for ours, theirs, limit in (("dirty", "residual", 5e-3), ("dirty_beam", "psf", 5e-3)):
        image, header = read(tmp_path, ours)
        with fits.open(oracle / f"small_nat.{theirs}.fits") as hdus:
            expected, casa = np.squeeze(hdus[0].data), hdus[0].header
        if ours == "dirty":
            pixels = np.meshgrid(*(np.arange(n) for n in image.shape[::-1]))
            with pytest.warns(FITSFixedWarning):
                wcs = WCS(casa).celestial
            # as numbers: CASA's are FK5, which lies 6 mas from ICRS there
            columns, rows = wcs.world_to_pixel_values(*WCS(header).pixel_to_world_values(*pixels))
            assert np.abs(columns - np.rint(columns)).max() < 1e-3
            expected = expected[np.rint(rows).astype(int), np.rint(columns).astype(int)]
            assert 3600.0 * header["BMAJ"] == pytest.approx(beam["major"]["value"], rel=0.01)
            assert 3600.0 * header["BMIN"] == pytest.approx(beam["minor"]["value"], rel=0.01)
            turned = header["BPA"] - beam["positionangle"]["value"]
            assert abs((turned + 90.0) % 180.0 - 90.0) < 2.0
        else:
            middle = [n // 2 for n in image.shape]
            image = image[middle[0] - 60 : middle[0] + 61, middle[1] - 60 : middle[1] + 61]
            expected = expected[240 - 60 : 240 + 61, 240 - 60 : 240 + 61]
        assert np.abs(image - expected).max() < limit * expected.max()
