"""Synthetic observations against loops over the definitions, and against a measurement set made by CASA."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from uvlens.errors import InputError
from uvlens.grid import PixelGrid
from uvlens.simulate import (
    Array,
    lensed_image,
    observe,
    read_fits_sky,
    sefd_from_tsys,
    uv_tracks,
    visibility_sigma,
    write_fits_sky,
)
from uvlens.simulate.predict import beam_fwhm

ARCSEC = math.pi / 180.0 / 3600.0
C = 299_792_458.0

# East, North, Up of three antennas without any symmetry
TRIANGLE = Array("triangle", -23.0, [[0.0, 0.0, 0.0], [120.0, -40.0, 3.0], [-35.0, 210.0, -8.0]], [12.0] * 3)


class PointSource:
    """1 Jy times `flux` at (x, y) arcsec: V = flux exp(+2 pi i (u x + v y))."""

    def __init__(self, x, y, flux=1.0):
        self.x, self.y, self.flux = x, y, flux

    def visibilities(self, u, v):
        return self.flux * np.exp(2j * np.pi * (u * self.x + v * self.y) * ARCSEC)


def tracks_by_projection(array, declination, hour_angles, frequencies):
    """The same samples from dot products with the unit vectors East, North and source on the sky, one by one.

    Everything stays in the local frame: the vector to the source comes from the spherical triangle, those to
    the East and North from differencing it with respect to hour angle and declination.
    """

    def direction(hour_angle, dec):
        lat, h, d = math.radians(array.latitude), math.radians(15.0 * hour_angle), math.radians(dec)
        east = -math.cos(d) * math.sin(h)
        north = math.sin(d) * math.cos(lat) - math.cos(d) * math.cos(h) * math.sin(lat)
        up = math.sin(d) * math.sin(lat) + math.cos(d) * math.cos(h) * math.cos(lat)
        return np.array([east, north, up])

    rows = []
    for hour_angle in hour_angles:
        source = direction(hour_angle, declination)
        # right ascension grows to the East, hour angle to the West
        east = direction(hour_angle - 1e-4, declination) - direction(hour_angle + 1e-4, declination)
        north = direction(hour_angle, declination + 1e-3) - direction(hour_angle, declination - 1e-3)
        east, north = east / np.linalg.norm(east), north / np.linalg.norm(north)
        for i in range(len(array)):
            for j in range(i + 1, len(array)):
                for frequency in frequencies:
                    baseline = (array.enu[i] - array.enu[j]) * frequency / C
                    rows.append((baseline @ east, baseline @ north, baseline @ source, i, j, frequency))
    return np.array(rows).T


@pytest.mark.parametrize("declination", [-75.0, -23.0, 10.0])
def test_tracks_are_the_projections_on_the_sky(declination):
    hour_angles, frequencies = [-2.0, -0.3, 1.7], [230e9, 345e9]
    tracks = uv_tracks(TRIANGLE, declination, hour_angles, frequencies)
    u, v, w, first, second, frequency = tracks_by_projection(TRIANGLE, declination, hour_angles, frequencies)
    # the differenced unit vectors are good to 1e-9 of 2.6e5 wavelengths
    np.testing.assert_allclose(tracks.u, u, atol=1e-3)
    np.testing.assert_allclose(tracks.v, v, atol=1e-3)
    np.testing.assert_allclose(tracks.w, w, atol=1e-3)
    np.testing.assert_array_equal(tracks.antenna1, first)
    np.testing.assert_array_equal(tracks.antenna2, second)
    np.testing.assert_array_equal(tracks.frequency, frequency)
    seconds = np.repeat(hour_angles, len(tracks) // 3) * 3600.0 * 365.2422 / 366.2422
    np.testing.assert_allclose(tracks.time, seconds, atol=1e-3)


def test_east_source_gives_positive_phase_on_positive_u():
    """Antenna 0 stands 10 m East of antenna 1, source at the zenith: u = +10 m; East reaches it first."""
    array = Array("pair", 0.0, [[10.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [1.0, 1.0])
    wavelength = 1e-3
    tracks = uv_tracks(array, 0.0, [0.0], [C / wavelength])
    np.testing.assert_allclose([tracks.u[0], tracks.v[0], tracks.w[0]], [10.0 / wavelength, 0.0, 0.0], atol=1e-9)

    east = 1.0 * ARCSEC
    # how much further the wave travels, and a voltage exp(+i omega t) that is late by that
    paths = -array.enu @ np.array([math.sin(east), 0.0, math.cos(east)])
    voltage = np.exp(-2j * np.pi * paths / wavelength)
    data = observe(
        PointSource(1.0, 0.0),
        array,
        declination=0.0,
        hour_angle=(0.0, 0.0),
        frequency=C / wavelength,
        sigma=1.0,
        seed=0,
        add_noise=False,
    )
    assert data.vis[0].imag > 0.0
    np.testing.assert_allclose(data.vis[0], voltage[0] * voltage[1].conj(), atol=1e-9)


def test_north_baseline_gives_positive_v():
    array = Array("pair", 40.0, [[0.0, 10.0, 0.0], [0.0, 0.0, 0.0]], [1.0, 1.0])
    tracks = uv_tracks(array, 40.0, [0.0], [C])
    np.testing.assert_allclose([tracks.u[0], tracks.v[0], tracks.w[0]], [0.0, 10.0, 0.0], atol=1e-12)


def test_low_samples_are_left_out():
    # on the equator the source of declination 0 stands 90 - 15 |H| degrees high
    array = Array("pair", 0.0, [[50.0, 0.0, 0.0], [0.0, 0.0, 0.0]], [1.0, 1.0])
    hour_angles = np.linspace(-5.5, 5.5, 23)
    tracks = uv_tracks(array, 0.0, hour_angles, [1e9], min_elevation=30.1)
    assert len(tracks) == np.count_nonzero(90.0 - 15.0 * np.abs(hour_angles) > 30.1) == 15
    with pytest.raises(InputError, match="min_elevation"):
        uv_tracks(array, 70.0, hour_angles, [1e9], min_elevation=30.0)


def test_shadowed_antenna_is_the_one_behind():
    """Three dishes in a row, source in the West at 30 deg: the western one covers its neighbour."""
    array = Array("row", 0.0, [[0.0, 0.0, 0.0], [20.0, 0.0, 0.0], [200.0, 0.0, 0.0]], [12.0] * 3)
    kept = uv_tracks(array, 0.0, [4.0], [1e9])  # 20 m sin(30 deg) = 10 m < 12 m
    assert list(zip(kept.antenna1, kept.antenna2)) == [(0, 2)]
    assert len(uv_tracks(array, 0.0, [4.0], [1e9], drop_shadowed=False)) == 3
    rising = uv_tracks(array, 0.0, [-4.0], [1e9])
    assert list(zip(rising.antenna1, rising.antenna2)) == [(1, 2)]


LONGEST = {
    "aca.cycle10": 45.0,
    "alma.cycle10.1": 160.7,
    "alma.cycle10.2": 313.7,
    "alma.cycle10.3": 500.2,
    "alma.cycle10.4": 783.5,
    "alma.cycle10.5": 1397.9,
    "alma.cycle10.6": 2516.9,
    "alma.cycle10.7": 3637.8,
    "alma.cycle10.8": 8547.8,
    "alma.cycle10.9": 13894.8,
    "alma.cycle10.10": 16196.6,
    "sma.subcompact": 69.1,
    "sma.compact": 77.0,
    "sma.extended": 226.0,
    "sma.vextended": 508.9,
    "vla.a": 36.4e3,
    "vla.b": 11.1e3,
    "vla.c": 3.4e3,
    "vla.d": 1.03e3,
}
"""Metres: the maximum baselines of the ALMA Cycle 10 proposer's guide, of the SMA's and the VLA's configurations."""


SITES = {"alma": (12.0, 43, -23.029), "aca": (7.0, 10, -23.029), "sma": (6.0, 8, 19.824), "vla": (25.0, 27, 34.078721)}


@pytest.mark.parametrize("name", Array.available())
def test_array_tables(name):
    array = Array.named(name)
    diameter, antennas, latitude = SITES[name.split(".")[0]]
    assert array.name == name
    assert len(array) == len(array.pads) == len(set(array.pads)) == antennas
    assert array.latitude == latitude
    np.testing.assert_array_equal(array.diameter, diameter)
    assert array.baseline_lengths.max() == pytest.approx(LONGEST[name], rel=0.01 if "vla" in name else 0.0, abs=0.1)
    assert array.baseline_lengths.min() > diameter
    assert f"{antennas} antennas" in repr(array)


def test_every_known_array_is_there():
    assert set(Array.available()) == set(LONGEST)
    assert Array.named("sma_compact").name == "sma.compact"
    with pytest.raises(InputError, match=r"alma\.cycle10\.5.*sma\.compact"):
        Array.named("vla.e")


def test_own_table(tmp_path):
    path = tmp_path / "mine.txt"
    path.write_text("# my array\n# Latitude: 31.5\n\n0 0 0 25 east\n10.5 -3 1e0 13 # no pad name\n")
    array = Array.read(path)
    assert (array.name, array.latitude, array.pads) == ("mine", 31.5, ("east", "2"))
    np.testing.assert_array_equal(array.enu, [[0.0, 0.0, 0.0], [10.5, -3.0, 1.0]])
    np.testing.assert_array_equal(array.diameter, [25.0, 13.0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0 0 12\n5 5 5 12\n", "latitude"),
        ("# latitude: north\n0 0 0 12\n5 5 5 12\n", "line 1: wanted a latitude"),
        ("# latitude: 10\n0 0 0 12\n5 5 12\n", "line 3: wanted East North Up diameter"),
        ("# latitude: 10\n0 0 0 12\n5 5 x 12\n", "line 3"),
        ("# latitude: 10\n0 0 0 12\n", "two antennas"),
        ("# latitude: 100\n0 0 0 12\n5 5 5 12\n", "-90 to 90"),
        ("# latitude: 10\n0 0 0 12\n5 5 5 -12\n", "diameter must be positive"),
        ("# latitude: 10\n0 0 0 12\n5 5 nan 12\n", "NaN"),
    ],
)
def test_bad_tables(tmp_path, text, message):
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        Array.read(path)


def test_missing_table(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Array.read(tmp_path / "none.txt")


def test_radiometer_equation_against_simulated_voltages():
    """Correlate receiver noise and count: 2 dnu dt samples of real voltages, one hand."""
    rng = np.random.default_rng(3)
    sefd, samples, trials = 70.0, 400, 20_000
    scale = math.sqrt(sefd)
    products = np.zeros(trials)
    for _ in range(samples):
        products += rng.standard_normal(trials) * rng.standard_normal(trials) * scale**2
    measured = (products / samples).std()
    width, time = 1e6, samples / 2e6
    # the scatter of a standard deviation of 20000 trials is 0.5 %
    assert visibility_sigma(sefd, width, time, n_polarizations=1) == pytest.approx(measured, rel=0.02)


def test_sigma_numbers():
    # 2 k 100 K / (0.7 pi 36 m^2) = 3488 Jy (a 12 m dish)
    assert sefd_from_tsys(100.0, 12.0, 0.7) == pytest.approx(3488.0, rel=1e-4)
    one = visibility_sigma(3488.0, 1.875e9, 30.0, n_polarizations=1)
    assert one == pytest.approx(3488.0 / math.sqrt(2 * 1.875e9 * 30.0))
    assert visibility_sigma(3488.0, 1.875e9, 30.0) == pytest.approx(one / math.sqrt(2.0))
    assert visibility_sigma(3488.0, 1.875e9, 30.0, efficiency=0.8) == pytest.approx(one / math.sqrt(2.0) / 0.8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1.0, 1e9, 10.0), "sefd_jy"),
        ((1.0, 0.0, 10.0), "channel_width_hz"),
        ((1.0, 1e9, math.nan), "integration_s"),
        ((1.0, 1e9, 10.0, 3), "n_polarizations"),
        ((1.0, 1e9, 10.0, 2, 1.5), "efficiency"),
    ],
)
def test_bad_noise(arguments, message):
    with pytest.raises(InputError, match=message):
        visibility_sigma(*arguments)


def quick(sky=None, array="alma.cycle10.5", **changes):
    options = dict(declination=-30.0, hour_angle=(-0.1, 0.1), sigma=0.02, seed=7) | changes
    return observe(PointSource(0.4, -0.7, 0.05) if sky is None else sky, array, **options)


def test_observation_is_sky_plus_noise_of_the_stated_weight():
    data = quick(n_channels=2, bandwidth=4e9)
    truth = PointSource(0.4, -0.7, 0.05).visibilities(data.u, data.v)
    residual = (data.vis - truth) * np.sqrt(data.weight)
    n = len(data)
    assert n == 903 * 24 * 2  # 12 minutes of 30 s
    np.testing.assert_array_equal(data.weight, 0.02**-2)
    for part in (residual.real, residual.imag):
        assert abs(part.mean()) < 5.0 / math.sqrt(n)
        assert abs(part.var() - 1.0) < 5.0 * math.sqrt(2.0 / n)
    assert abs(np.mean(residual.real * residual.imag)) < 5.0 / math.sqrt(n)
    assert set(data.frequency) == {344e9, 346e9}
    np.testing.assert_allclose(np.diff(np.unique(data.time)), 30.0)
    np.testing.assert_allclose(data.time.min() + data.time.max(), 0.0, atol=1e-9)
    exact = quick(n_channels=2, bandwidth=4e9, add_noise=False)
    np.testing.assert_array_equal(exact.vis, truth)
    np.testing.assert_array_equal(exact.weight, data.weight)


def test_seeds():
    first, again, other = quick(seed=1), quick(seed=1), quick(seed=2)
    np.testing.assert_array_equal(first.vis, again.vis)
    assert not np.any(first.vis == other.vis)
    generator = np.random.default_rng(1)
    np.testing.assert_array_equal(first.vis, quick(seed=generator).vis)
    assert not np.any(first.vis == quick(seed=generator).vis)  # the generator has moved on


def test_weights_follow_the_antennas():
    temperature = np.array([80.0, 120.0, 200.0])
    array = Array("mixed", -23.0, TRIANGLE.enu, [12.0, 12.0, 7.0])
    options = dict(n_channels=4, bandwidth=2e9, integration=60.0)
    data = quick(array=array, sigma=None, tsys=temperature, aperture_efficiency=0.6, efficiency=0.9, **options)
    for i, j, weight in zip(data.antenna1, data.antenna2, data.weight):
        area = [0.6 * math.pi * array.diameter[k] ** 2 / 4 for k in (i, j)]
        sefd = [2 * 1.380649e-23 * temperature[k] / a * 1e26 for k, a in zip((i, j), area)]
        sigma = math.sqrt(sefd[0] * sefd[1]) / (0.9 * math.sqrt(2 * 0.5e9 * 60.0 * 2))
        assert weight == pytest.approx(sigma**-2)
    same = quick(array=array, sigma=None, sefd=500.0, n_polarizations=1, **options)
    np.testing.assert_allclose(same.weight**-0.5, 500.0 / math.sqrt(2 * 0.5e9 * 60.0))


def test_snapshot_phase_center_and_name():
    data = quick(declination=None, phase_center=(84.0, -30.0), hour_angle=(0.5, 0.5), name="snapshot")
    assert (len(data), data.phase_center, data.name) == (903, (84.0, -30.0), "snapshot")
    np.testing.assert_allclose(data.time, 1800.0 * 365.2422 / 366.2422)
    np.testing.assert_array_equal(data.u, quick(declination=-30.0, hour_angle=(0.5, 0.5)).u)
    assert quick().phase_center is None


def test_function_as_sky_and_its_beam():
    data = quick(PointSource(0.1, 0.2).visibilities)
    assert data.primary_beam_fwhm is None
    assert quick(primary_beam=20.0).primary_beam_fwhm == 20.0


def image_sky(seed=0, shape=(6, 8), center=(1.5, -0.8)):
    image = np.random.default_rng(seed).uniform(0.0, 1e-3, shape)
    grid = PixelGrid(shape, 0.3, center)
    return image, grid, (image, grid.pixel_scale, center)


@pytest.mark.parametrize("primary_beam", [True, False, 4.0])
def test_image_as_sky(primary_beam):
    image, grid, sky = image_sky()
    data = quick(sky, TRIANGLE, primary_beam=primary_beam, add_noise=False)
    fwhm = {True: 1.13 * C / 345e9 / 12.0 / ARCSEC, False: math.inf}.get(primary_beam, primary_beam)
    assert data.primary_beam_fwhm == (None if primary_beam is False else pytest.approx(fwhm))
    expected = np.zeros(len(data), dtype=complex)
    for row, y in enumerate(grid.y_axis):
        for column, x in enumerate(grid.x_axis):
            gain = math.exp(-4.0 * math.log(2.0) * (x * x + y * y) / fwhm**2)
            expected += gain * image[row, column] * PointSource(x, y).visibilities(data.u, data.v)
    np.testing.assert_allclose(data.vis, expected, rtol=0.0, atol=1e-10)


def test_beam_is_that_of_alma():
    assert beam_fwhm(Array.named("alma.cycle10.5"), 345e9) == pytest.approx(16.88, abs=0.01)
    assert beam_fwhm(Array.named("sma.compact"), 345e9) == pytest.approx(33.76, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(sigma=None), "exactly one of sefd, tsys and sigma, got none"),
        (dict(sefd=100.0), "got sefd and sigma"),
        (dict(sigma=-1.0), "sigma must be positive"),
        (dict(sigma=None, sefd=[1.0, 2.0]), r"sefd must be a number or of shape \(43,\)"),
        (dict(seed=None), "seed"),
        (dict(seed=1.5), "seed"),
        (dict(declination=None), "declination"),
        (dict(declination=-100.0), "declination"),
        (dict(declination=80.0), "above the horizon"),
        (dict(phase_center=(10.0, 20.0)), "phase_center"),
        (dict(hour_angle=(1.0, -1.0)), "hour_angle"),
        (dict(hour_angle=1.0), "hour_angle"),
        (dict(integration=0.0), "integration"),
        (dict(n_channels=0), "n_channels"),
        (dict(n_channels=1.5), "n_channels"),
        (dict(bandwidth=-1.0), "bandwidth"),
        (dict(bandwidth=700e9), "bandwidth"),
        (dict(frequency="345 GHz"), "frequency"),
        (dict(array=3), "array"),
        (dict(array="nowhere"), "available"),
        (dict(sky=3.0), "sky"),
        (dict(sky=(np.ones(4), 0.1)), "sky image"),
        (dict(sky=(np.full((4, 4), np.nan), 0.1)), "sky image"),
        (dict(sky=(np.ones((4, 4)), -0.1)), "pixel_scale"),
        (dict(sky=lambda u, v: 1.0), "sky"),
        (dict(primary_beam=-5.0), "primary_beam"),
    ],
)
def test_bad_observations(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        quick(**changes)
    assert "\n" not in str(caught.value)


def test_mixed_dishes_have_no_beam():
    array = Array("mixed", -23.0, TRIANGLE.enu, [12.0, 12.0, 7.0])
    with pytest.raises(InputError, match="mixes dish diameters"):
        quick(image_sky()[2], array)


def test_lensed_image_conserves_flux_without_a_lens():
    grid = PixelGrid((40, 50), 0.1, (0.3, -0.2))

    def gaussian(x, y):
        return 2.0 * np.exp(-0.5 * ((x - 0.5) ** 2 + (y + 0.6) ** 2) / 0.3**2) / (2.0 * np.pi * 0.3**2)

    image = lensed_image(lambda x, y: (x, y), gaussian, grid)
    x, y = grid.coordinates()
    assert image.sum() == pytest.approx(2.0, rel=1e-4)
    assert (image * x).sum() / image.sum() == pytest.approx(0.5, abs=1e-3)
    assert (image * y).sum() / image.sum() == pytest.approx(-0.6, abs=1e-3)


def test_lensed_image_by_loops():
    grid = PixelGrid((3, 4), 0.5, (0.2, 0.1))

    def trace(x, y):
        radius = np.hypot(x, y)
        return x - 0.8 * x / radius, y - 0.8 * y / radius

    def brightness(x, y):
        return np.exp(-np.hypot(x - 0.1, y))

    expected = np.zeros(grid.shape)
    for row, y in enumerate(grid.y_axis):
        for column, x in enumerate(grid.x_axis):
            for i in (-1, 0, 1):
                for j in (-1, 0, 1):
                    expected[row, column] += brightness(*trace(x + i * 0.5 / 3, y + j * 0.5 / 3)) * 0.25 / 9
    np.testing.assert_allclose(lensed_image(trace, brightness, grid, rays=3), expected, rtol=1e-12)
    with pytest.raises(InputError, match="rays"):
        lensed_image(trace, brightness, grid, rays=0)
    with pytest.raises(InputError, match="NaN"):
        lensed_image(trace, lambda x, y: np.full_like(x, np.nan), grid)


def test_fits_round_trip_and_orientation(tmp_path):
    from astropy.io import fits
    from astropy.wcs import WCS

    image, grid, _ = image_sky()
    path = tmp_path / "sky.fits"
    write_fits_sky(path, image, grid.pixel_scale, grid.center, phase_center=(84.0, -50.0))
    back, pixel_scale, center = read_fits_sky(path)
    np.testing.assert_array_equal(back, image)
    assert pixel_scale == pytest.approx(grid.pixel_scale)
    assert center == pytest.approx(grid.center)
    with fits.open(path) as hdus:
        assert hdus[0].header["CDELT1"] < 0.0
        # the first row and column are South and East: offsets on the sky, to first order in arcseconds
        ra, dec = WCS(hdus[0].header).wcs_pix2world([[0.0, 0.0]], 0)[0]
        assert (ra - 84.0) * 3600.0 * math.cos(math.radians(dec)) == pytest.approx(grid.x_axis[-1], abs=1e-3)
        assert (dec + 50.0) * 3600.0 == pytest.approx(grid.y_axis[0], abs=1e-3)
        assert hdus[0].data[0, 0] == image[0, -1]
    with pytest.raises(InputError, match="overwrite"):
        write_fits_sky(path, image, 0.1)
    write_fits_sky(path, image, 0.1, overwrite=True)


def edit(path, data=None, **cards):
    from astropy.io import fits

    with fits.open(path) as hdus:
        header, old = hdus[0].header, hdus[0].data
    for key, value in cards.items():
        header[key] = value
    fits.PrimaryHDU(old if data is None else data, header).writeto(path, overwrite=True)


def test_fits_of_other_origin(tmp_path):
    image, grid, _ = image_sky()
    path = tmp_path / "sky.fits"
    write_fits_sky(path, image, grid.pixel_scale, grid.center)
    # two more axes of length 1, columns to the East, rows to the South
    edit(path, image[None, None, ::-1, :], CTYPE3="STOKES", CRVAL3=1.0, CTYPE4="FREQ", CRVAL4=3.45e11)
    (ny, nx), step, (x, y) = grid.shape, grid.pixel_scale, grid.center
    edit(path, CDELT1=step / 3600, CRPIX1=(nx + 1) / 2 - x / step, BUNIT="JY/PIXEL")
    edit(path, CDELT2=-step / 3600, CRPIX2=(ny + 1) / 2 + y / step)
    back, pixel_scale, center = read_fits_sky(path)
    np.testing.assert_array_equal(back, image)
    assert (pixel_scale, *center) == pytest.approx((0.3, *grid.center))


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        (dict(BUNIT="Jy/beam"), "BUNIT must be Jy/pixel, got 'Jy/beam'"),
        (dict(CDELT1=-1.0 / 3600), "square"),
        (dict(CROTA2=30.0), "aligned with North"),
        (dict(CTYPE1="FREQ", CTYPE2="STOKES"), "no usable coordinates"),
        (dict(CTYPE1="FREQ", CTYPE2="STOKES", CUNIT1="Hz", CUNIT2=""), "RA and Dec"),
        (dict(data=np.ones((3, 6, 8))), "two-dimensional"),
        (dict(data=np.full((6, 8), np.nan)), "NaN"),
    ],
)
def test_bad_fits(tmp_path, cards, message):
    path = tmp_path / "sky.fits"
    write_fits_sky(path, image_sky()[0], 0.3)
    edit(path, **cards)
    with pytest.raises(InputError, match=message) as caught:
        read_fits_sky(path)
    assert "\n" not in str(caught.value)


def test_not_fits(tmp_path):
    (tmp_path / "text.fits").write_text("no")
    for name in ("text.fits", "missing.fits"):
        with pytest.raises(InputError, match="not a readable FITS image"):
            read_fits_sky(tmp_path / name)


CASA = Path(os.environ.get("UVLENS_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")) / "casa"


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "name", "longitude"),
    [
        ("small", "alma.cycle10.5", -67.755),
        ("aca", "aca.cycle10", -67.755),
        ("sma", "sma.vextended", -155.478),
    ],
)
def test_baselines_of_a_casa_simulation(file, name, longitude):
    """UVW of CASA's simulator at the first, a middle and the last time, every baseline.

    CASA refers them to J2000: hour angle and declination of date come from the time, (u, v) is turned by the
    angle between the two Norths. What stays is aberration (1e-4) and a local vertical that CASA has 0.12 deg
    off for the SMA: 3e-3 of the longest baseline is allowed there, 2e-4 for ALMA. A wrong sign would be of
    order 1.
    """
    from astropy import units
    from astropy.coordinates import TETE, EarthLocation, SkyCoord
    from astropy.io import fits
    from astropy.time import Time
    from astropy.utils import iers

    path = CASA / f"{file}.uvfits"
    if not path.exists():
        pytest.skip(f"no {path}; set UVLENS_DATA")
    with fits.open(path) as hdus:
        groups, header, numbers = hdus[0].data, hdus[0].header, list(hdus["AIPS AN"].data["NOSTA"])
        u, v, w = (groups.par(key).astype(float) * C for key in ("UU", "VV", "WW"))
        date, baseline = groups.par("DATE"), groups.par("BASELINE").astype(int)
    array = Array.named(name)
    where = EarthLocation(lon=longitude * units.deg, lat=array.latitude * units.deg)
    target = SkyCoord(header["CRVAL6"], header["CRVAL7"], unit="deg")
    times = np.unique(date)
    for time in times[[0, len(times) // 2, -1]]:
        with iers.conf.set_temp("auto_download", False):
            moment = Time(time, format="jd", scale="utc", location=where)
            frame = TETE(obstime=moment, location=where)
            apparent = target.transform_to(frame)
            north = target.directional_offset_by(0.0 * units.deg, 1.0 * units.arcmin).transform_to(frame)
            turn = apparent.position_angle(north).rad
            sidereal = moment.sidereal_time("apparent")
        hour_angle = (sidereal - apparent.ra).wrap_at(180.0 * units.deg).hour
        ours = uv_tracks(array, apparent.dec.deg, [hour_angle], [C], min_elevation=0.0, drop_shadowed=False)
        index = {pair: k for k, pair in enumerate(zip(ours.antenna1, ours.antenna2))}
        rows = np.nonzero(date == time)[0]
        pairs = [(numbers.index(baseline[k] // 256), numbers.index(baseline[k] % 256)) for k in rows]
        match = [index[pair] for pair in pairs]
        assert len(match) == len(index)
        u_2000 = ours.u[match] * np.cos(turn) - ours.v[match] * np.sin(turn)
        v_2000 = ours.u[match] * np.sin(turn) + ours.v[match] * np.cos(turn)
        difference = np.abs([u_2000 - u[rows], v_2000 - v[rows], ours.w[match] - w[rows]]).max()
        allowed = 3e-3 if file == "sma" else 2e-4
        assert difference < allowed * array.baseline_lengths.max()
