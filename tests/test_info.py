"""`uvlens info` and `uvlens image`: what they say against what was put in, CLEAN, proposed positions, mosaics."""

import dataclasses
import functools
import json
import operator
import re

import numpy as np
import pytest
import reference
from astropy.io import fits
from click.testing import CliRunner
from conftest import random_visibilities

import uvlens as uvl
from uvlens.cli import main
from uvlens.data.weightwords import explain_factor
from uvlens.describe import describe_data
from uvlens.emission import clean, convolve, dirty_sums, sky_on_pixels, survey_grid
from uvlens.grid import PixelGrid
from uvlens.guard import flat_sums
from uvlens.imaging import make_image
from uvlens.infopage import info_page
from uvlens.mosaic import mosaic_image
from uvlens.normal import operator_from_reduction
from uvlens.outside import emission_radius
from uvlens.positions import peaks, propose_positions
from uvlens.primarybeam import GaussianBeam

C = 299792458.0
POINTS = ((0.9, 0.6, 0.10), (-0.7, -0.8, 0.06))


def observation(points=POINTS, sigma=0.05, misscale=1.0, seed=2, fwhm=None, **extra):
    """14 antennas of 12 m at 340 GHz, two scans of six 30 s, two windows of two channels; points (x, y, Jy)."""
    rng = np.random.default_rng(seed)
    east, north = rng.normal(0.0, 150.0, (2, 14))
    first, second = np.triu_indices(14, 1)
    step, baseline, channel = (part.ravel() for part in np.indices((12, len(first), 4)))
    time = 30.0 * step + 10_000.0 * (step // 6)
    angle = 7.292e-5 * time
    frequency = np.array([339e9, 340e9, 349e9, 350e9])[channel]
    x, y = (axis[first] - axis[second] for axis in (east, north))
    u = (x[baseline] * np.cos(angle) + y[baseline] * np.sin(angle)) * frequency / C
    v = (y[baseline] * np.cos(angle) - x[baseline] * np.sin(angle)) * frequency / C
    xs, ys, flux = np.array(points).T
    vis = reference.fourier_matrix(u, v, xs, ys) @ flux
    vis = vis + sigma * (rng.normal(size=len(u)) + 1j * rng.normal(size=len(u)))
    settings = {
        "weight": np.full(len(u), misscale * sigma**-2),
        "w": 0.1 * u,
        "antenna1": first[baseline],
        "antenna2": second[baseline],
        "time": 5.2e9 + time,
        "interval": np.full(len(u), 30.0),
        "frequency": frequency,
        "channel_width": np.full(len(u), 1e9),
        "spw": channel // 2,
        "scan": 1 + step // 6,
        "primary_beam": GaussianBeam(12.0),
        "phase_center": (84.5, -50.5),
        "name": "target",
    }
    return uvl.Visibilities(u, v, vis, **(settings | extra))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("info") / "data.npz"
    observation(misscale=0.5).write(path)
    return path


@pytest.fixture(scope="module")
def facts(file):
    return describe_data(file, {})


def test_facts_are_those_of_the_observation(facts):
    data = observation(misscale=0.5)
    assert facts["antennas"] == 14 and facts["n_visibilities"] == len(data) and facts["n_flagged"] == 0
    assert [one["n_channels"] for one in facts["spws"]] == [2, 2]
    assert facts["spws"][1]["channel_width_hz"] == 1e9
    assert facts["time"]["n_scans"] == 2 and facts["time"]["on_source"] == 360.0
    assert facts["sensitivity_jy_beam"] == pytest.approx(data.sensitivity)
    length = data.uv_distance * C / data.frequency
    assert np.allclose(facts["uv_range_m"], [length.min(), length.max()])
    for one in facts["spws"]:
        assert abs(one["weight_factor"] - 2.0) < 4.0 * one["weight_factor_error"]
    # wrong weights do not reach the signal to noise: 0.1 Jy over the true noise
    assert facts["peak_snr"] == pytest.approx(0.1 * len(data) ** 0.5 / 0.05, rel=0.1)
    assert facts["total_snr"] == pytest.approx((np.hypot(0.1, 0.06) * len(data) ** 0.5) / 0.05, rel=0.05)
    assert 1.2 < facts["suggested_mask_radius"] < 2.5


def test_smearing_and_w_term_are_the_formula(facts):
    """A point at the edge, averaged over one channel and one integration in small steps."""
    data, radius = observation(), facts["suggested_mask_radius"] * reference.ARCSEC
    k = np.argmax(data.uv_distance / data.frequency)
    turns = data.uv_distance[k] * radius
    frequency = np.linspace(-0.5, 0.5, 2001) * 1e9 / data.frequency[k]
    lost = 1.0 - np.abs(np.mean(np.exp(2j * np.pi * turns * frequency)))
    assert facts["smearing"]["channel"]["worst"] == pytest.approx(lost, rel=0.08)
    angle, turns = np.linspace(-0.5, 0.5, 2001) * 7.292e-5 * 30.0, data.uv_distance.max() * radius
    lost = 1.0 - np.abs(np.mean(np.exp(2j * np.pi * turns * angle)))
    assert facts["smearing"]["time"]["worst"] == pytest.approx(lost, rel=0.02)
    assert facts["w_term_rad"] == pytest.approx(np.pi * np.abs(data.w).max() * radius**2, rel=1e-4)


def test_proposed_positions_are_the_points(facts):
    found = np.array(facts["positions"]["xy"])
    assert len(found) == 2
    assert np.abs(found - np.array(POINTS)[:, :2]).max() < 0.2 * facts["beam"]["bmin"]


@pytest.mark.parametrize("mask", [uvl.Mask.disc(1.3, 0.08), uvl.Mask.annulus(0.6, 1.6, 0.08)])
def test_the_guard_of_a_fit_proposes_them_too(mask):
    """Of two primary beams, one a window; with sidelobes of what is bright, but no peaks outside the mask."""
    data = observation(sigma=0.002)
    normal = uvl.normal_operator(data, mask)
    assert len(normal.reduction.terms) == 2
    source = uvl.PixelSource(uvl.RectangularMesh(6, 6), uvl.Gradient())
    model = uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.0, 0.0)], source, positions="auto")
    assert model.positions.xy.shape == (2, 2)
    assert np.abs(np.asarray(model.positions.xy) - np.array(POINTS)[:, :2]).max() < 0.02


def test_sums_in_even_noise_are_those_of_the_operator():
    """Of two primary beams that are constant over the mask: exact; of one that is not: the diagonal is."""
    data, mask = random_visibilities(), uvl.Mask.disc(0.8, 0.1)
    sky = np.random.default_rng(1).normal(size=mask.n_pixels)
    beams = [np.full(mask.n_pixels, 0.9), np.full(mask.n_pixels, 0.6)]
    reduction = sum_of([uvl.normal_operator(data, mask, "direct", primary_beam=beam) for beam in beams])
    found = flat_sums(reduction)
    expected = operator_from_reduction(reduction, "direct").dense() @ sky
    assert np.allclose(convolve(found.kernel, mask.to_image(sky))[mask.kept], expected)
    assert np.allclose(found.dirty[mask.kept], reduction.dirty_image)
    beam = np.exp(-(mask.x**2) - mask.y**2)
    one = uvl.normal_operator(data, mask, "direct", primary_beam=beam)
    found, diagonal = flat_sums(one.reduction), np.diag(one.dense())
    assert found.sum_weight == pytest.approx(diagonal.mean())
    assert np.allclose(found.dirty[mask.kept], one.reduction.dirty_image / np.sqrt(diagonal / diagonal.mean()))


def sum_of(normals):
    return functools.reduce(operator.add, (one.reduction for one in normals))


def test_page_is_for_people(facts):
    page = info_page(facts)
    assert "None" not in page and not re.search(r"[\[({]'|dtype|array\(", page)
    assert all(len(line) == len(line.rstrip()) for line in page.splitlines())
    for expected in (
        "339.5000 GHz",
        "14 of 12 m",
        "05h38m00.000s -50d30m00.00s",
        "2 scans",
        "2023-08-29 04:26:25 to 07:19:05 UTC",
        "klambda",
    ):
        assert expected in page, page
    assert "two hands averaged" in page or "divided by the number of channels (2)" in page
    assert re.search(r"positions: \{xy: \[\[0\.\d+, 0\.\d+\], \[-0\.\d+, -0\.\d+\]\], threshold: ", page)


def test_page_of_bare_arrays_and_of_noise(tmp_path):
    """u, v, vis, weight alone: nothing is made up, nothing fails."""
    d = observation(points=((0.0, 0.0, 0.0),))
    uvl.Visibilities(d.u, d.v, d.vis, d.weight).write(tmp_path / "bare.npz")
    result = CliRunner().invoke(main, ["info", str(tmp_path / "bare.npz")])
    assert result.exit_code == 0, result.output
    for expected in ("frequency unknown", "no emission above 5 sigma", "weights cannot be checked"):
        assert expected in result.stdout
    assert "None" not in result.stdout and "positions" not in result.stdout


@pytest.mark.parametrize(
    ("change", "factor", "channels", "words"),
    [
        ({}, 1.02, 4, None),
        ({}, 4.01, 4, "number of channels"),
        ({}, 2.01, 4, "averaged, not added"),
        ({}, 0.5, 4, "added for one"),
        ({}, 7.3, 4, "look wrong"),
        ({"weight": 1.0}, 400.0, 4, "it has none"),
        ({"weight": 4.0 * 1e9 * 30.0}, 1e-9, 4, "2 x channel width x integration time"),
    ],
)
def test_wrong_weights_are_explained(change, factor, channels, words):
    d = observation()
    d = dataclasses.replace(d, **{key: np.full(len(d), value) for key, value in change.items()})
    said = explain_factor(d, factor, 0.005 * factor, channels)
    assert said is None if words is None else words in said


def test_sky_on_pixels_takes_its_sidelobes_away():
    """All that two points leave outside their pixels is noise; the convolution is the direct sum."""
    d = observation()
    sums = dirty_sums(d, PixelGrid((60, 64), 0.08))
    x, y = sums.grid.coordinates()
    kept = np.hypot(x, y) < 1.6
    rest = sums.signal_to_noise(sky_on_pixels(sums, kept))
    assert sums.signal_to_noise()[~kept].max() > 20.0 > 5.0 > np.abs(rest).max()
    sky = np.zeros(sums.grid.shape)
    sky[7, 50], sky[33, 2] = 1.0, -0.4
    at = [(x[7, 50], y[7, 50]), (x[33, 2], y[33, 2])]
    model = reference.fourier_matrix(d.u, d.v, *np.array(at).T) @ np.array([1.0, -0.4])
    expected = dirty_sums(dataclasses.replace(d, vis=model), sums.grid).dirty
    assert np.allclose(convolve(sums.kernel, sky), expected, atol=1e-6 * sums.sum_weight)


def test_clean_finds_the_flux_and_no_sidelobe():
    d = observation()
    part, grid = survey_grid(d, 17.0)
    assert part is d
    sums = dirty_sums(d, grid)
    cleaned = clean(sums)
    x, y = grid.coordinates()
    for east, north, flux in POINTS:
        near = np.hypot(x - east, y - north) < cleaned.beam.major
        assert cleaned.components[near].sum() == pytest.approx(flux, rel=0.05)
    found = peaks(cleaned.image, grid, cleaned.noise, cleaned.beam.major)
    assert len(found) == 2 and found[0].snr > found[1].snr
    assert len(peaks(sums.dirty / sums.sum_weight, grid, sums.noise, cleaned.beam.major)) > 2  # what CLEAN is for
    assert 1.0 < emission_radius(sums, cleaned) < 2.5
    assert propose_positions(cleaned, radius=1.08) is None  # one of the two lies beyond


def test_a_wide_field_leaves_long_baselines_out():
    d = observation()
    part, grid = survey_grid(d, 200.0, largest=128)
    assert len(part) < len(d) and max(grid.shape) <= 128
    assert part.weight.sum() >= 0.2 * d.weight.sum()


def test_image_command_writes_weights_and_header(file, tmp_path):
    facts = {}
    for mode in ("file", "rescale"):
        arguments = [
            "image",
            str(file),
            "--out",
            str(tmp_path / f"{mode}.fits"),
            "--size",
            "64",
            "--weights",
            mode,
            "--json",
        ]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        facts[mode] = json.loads(result.stdout)
        assert ("look wrong" in result.stderr) == (mode == "file") and "positions: {xy:" in result.stderr
    assert facts["file"]["noise_jy_beam"] / facts["rescale"]["noise_jy_beam"] == pytest.approx(2.0**0.5, rel=0.02)
    header = fits.getheader(tmp_path / "file.fits")
    assert header["OBJECT"] == "data" and header["FREQ"] == pytest.approx(344.5e9)
    assert header["BMAJ"] * 3600.0 == pytest.approx(facts["file"]["beam"]["bmaj"])
    assert header["NOISE"] == pytest.approx(facts["file"]["noise_jy_beam"]) and header["BUNIT"] == "Jy/beam"
    assert (tmp_path / "file.png").stat().st_size > 10_000


# ---------------------------------------------------------------------------------------------- mosaics


def pointings(sigma=0.05, flux=0.1):
    """The same point 3" North of the phase centre, seen by antennas that look 6" West and 6" East of it."""
    beam, found = GaussianBeam(12.0), []
    for i, offset in enumerate((-6.0, 6.0)):
        power = float(beam.power(-offset, 3.0, 344.5e9))
        pointing = (84.5 + offset / 3600.0 / np.cos(np.deg2rad(-50.5)), -50.5)
        found.append(observation(((0.0, 3.0, flux * power),), sigma, seed=4 + i, pointing_center=pointing))
    return found


def test_mosaic_is_the_sum_over_pointings():
    """Pixel by pixel from the definition, one frequency at a time."""
    sets, grid = pointings(), PixelGrid((12, 14), 0.9)
    mosaic = mosaic_image(sets, grid)
    x, y = grid.coordinates()
    seen, total = np.zeros(grid.shape), np.zeros(grid.shape)
    for one in sets:
        x0, y0 = one.pointing_offset
        for frequency in np.unique(one.frequency):
            part = one.select(one.frequency == frequency)
            fwhm = 1.13 * C / frequency / 12.0 / reference.ARCSEC
            power = np.exp(-4.0 * np.log(2.0) * ((x - x0) ** 2 + (y - y0) ** 2) / fwhm**2)
            matrix = reference.fourier_matrix(part.u, part.v, x.ravel(), y.ravel())
            seen += power * (matrix.conj().T @ (part.weight * part.vis)).real.reshape(grid.shape)
            total += power**2 * part.weight.sum()
    beam = np.sqrt(total / total.max())
    # the beam at a group's mean frequency, of channels up to 0.3 % apart
    assert np.abs(mosaic.primary_beam - beam).max() < 1e-3
    expected = seen / np.sqrt(total * total.max())
    assert np.abs(mosaic.image - expected).max() < 2e-3 * np.abs(expected).max()
    assert mosaic.noise == pytest.approx(total.max() ** -0.5, rel=1e-3)


def test_mosaic_has_the_flux_and_the_noise_of_the_sky():
    sky = mosaic_image(pointings(sigma=1e-4), PixelGrid((41, 41), 0.3, (0.0, 3.0)))
    assert np.nanmax(sky.flat_sky()) == pytest.approx(0.1, rel=0.01)
    assert sky.flat_sky()[20, 20] == pytest.approx(0.1, rel=0.01)
    noise = mosaic_image(pointings(flux=0.0), PixelGrid((61, 61), 0.3))
    assert np.std(noise.image[noise.primary_beam > 0.4]) == pytest.approx(noise.noise, rel=0.15)


def test_mosaic_refuses_what_does_not_belong_together():
    first, second = pointings()
    with pytest.raises(uvl.InputError, match="shift it there"):
        mosaic_image([first, dataclasses.replace(second, phase_center=(84.6, -50.5))], PixelGrid((8, 8), 1.0))
    with pytest.raises(uvl.InputError, match="primary beam"):
        mosaic_image([first, dataclasses.replace(second, primary_beam=None)], PixelGrid((8, 8), 1.0))


# ------------------------------------------------------------------------------------- CASA's own products


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "how", "limit"), [("nat", "natural", 5e-4), ("br", "briggs", 1.5e-3)])
def test_images_of_a_measurement_set_are_casas(casa, data_folder, name, how, limit):
    """Values, positions to 0.002 pixel, beam and sums of weights."""
    folder, scale = data_folder / "casa" / "oracle", 0.025
    data = uvl.read(casa / "small.ms", field=1).unflagged()
    expected = fits.getdata(folder / f"small_{name}.residual.fits").squeeze().astype(float)
    ours = make_image(data, PixelGrid((480, 480), scale, (0.5 * scale, -0.5 * scale)), how, 0.5)
    image, inner = ours.image[:, ::-1], np.s_[48:432, 48:432]
    assert np.abs(image - expected)[inner].max() < limit * expected.max()
    # the shift and the scale that bring one image to the other, by least squares on the gradient
    along_y, along_x = np.gradient(expected)
    design = np.stack([along_x[inner].ravel(), along_y[inner].ravel(), expected[inner].ravel()], axis=1)
    shift_x, shift_y, factor = np.linalg.lstsq(design, (image - expected)[inner].ravel(), rcond=None)[0]
    assert np.hypot(shift_x, shift_y) < 2e-3 and abs(factor) < 5e-4
    psf = fits.getdata(folder / f"small_{name}.psf.fits").squeeze()
    middle = np.s_[48:432, 48:432]
    assert np.abs(ours.psf[:, ::-1][:480, :480] - psf)[middle].max() < 5e-4
    casa_beam = json.loads((folder / "oracles.json").read_text())[
        f"dirty_small_{'natural' if name == 'nat' else 'briggs0.5'}"
    ]["restoringbeam"]
    assert ours.beam.major == pytest.approx(casa_beam["major"]["value"], rel=0.01)
    assert ours.beam.minor == pytest.approx(casa_beam["minor"]["value"], rel=0.01)
    if how == "natural":
        assert data.weight.sum() == pytest.approx(1280152704.0, rel=1e-6)
        assert ours.noise == pytest.approx(2.7949182012694826e-05, rel=1e-6)


@pytest.mark.realdata
def test_positions_of_small_go_back_to_one_source(casa):
    """Peaks of the quick CLEAN, traced through the true lens: the true source position to 0.02 arcsec."""
    facts = describe_data(casa / "small.ms", {})
    x, y = np.array(facts["positions"]["xy"]).T
    mass = [uvl.SIE(theta_E=1.2, e1=-0.0617978, e2=0.1070368, center_x=0.05, center_y=-0.03)]
    lens = uvl.LensPlane([*mass, uvl.Shear(gamma1=0.025, gamma2=-0.015)])
    beta_x, beta_y = (np.asarray(b) for b in lens.ray_trace(x, y))
    assert len(x) == 4
    assert np.hypot(beta_x - 0.13, beta_y - 0.05).max() < 0.02 < facts["positions"]["threshold"]
    assert 1.6 < facts["suggested_mask_radius"] < 2.4


@pytest.mark.realdata
def test_mosaic_is_casas(casa, data_folder):
    """tclean's mosaic of three ACA fields where P > 0.3: 0.31 % of the peak at worst, 0.07 % rms.

    Its P differs by up to 1.6 %: CASA's convolution functions have a finite support in the uv plane, which smooths
    the cusp that its Airy formula has in the middle; with the cusp cut off here, P agrees to 0.4 %.
    """
    from uvlens.data.phaseshift import shift_phase_center
    from uvlens.primarybeam import NAMED_BEAMS

    fields = [uvl.read(casa / "aca.ms", field=k) for k in range(3)]
    sets = [
        shift_phase_center(dataclasses.replace(one, primary_beam=NAMED_BEAMS["casa7m"]), fields[1].phase_center)
        for one in fields
    ]
    mosaic = mosaic_image(sets, PixelGrid((128, 128), 0.5, (0.25, -0.25)))
    expected, beam = (
        fits.getdata(data_folder / "casa" / "oracle" / f"aca_mos.{kind}.fits").squeeze().astype(float)
        for kind in ("residual", "pb")
    )
    inside = beam > 0.3
    off = (mosaic.image[:, ::-1] - expected)[inside] / expected[inside].max()
    assert np.abs(off).max() < 4e-3 and off.std() < 1e-3
    assert np.abs(mosaic.primary_beam[:, ::-1] - beam)[inside].max() < 0.02


def test_large_data_are_sampled_from_several_places(tmp_path, monkeypatch):
    """Of a set too large to be held `info` looks at parts, and says how many there are."""
    pytest.importorskip("arcae")
    import uvlens.data.files
    import uvlens.data.rows
    import uvlens.describe

    data = observation(((0.3, -0.2, 0.5),), 0.05)
    data.write(tmp_path / "a.ms")
    whole = describe_data(tmp_path / "a.ms", {})
    monkeypatch.setattr(uvlens.data.files, "LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr(uvlens.data.rows, "PARTITION", max(1, len(data) // 8))
    monkeypatch.setattr(uvlens.describe, "_SAMPLE", len(data) // 2)
    sampled = describe_data(tmp_path / "a.ms", {})
    assert sampled["n_visibilities"] == whole["n_visibilities"]
    assert np.isclose(sampled["sensitivity_jy_beam"], whole["sensitivity_jy_beam"], rtol=0.05)
    assert any("several places" in remark for remark in sampled["warnings"])
    assert np.isclose(sampled["beam"]["bmaj"], whole["beam"]["bmaj"], rtol=0.3)
