"""Phase centres, pointing centres and primary beams: shifts against CASA's, beams against their formulas."""

import dataclasses

import numpy as np
import pytest
import reference
import scipy.special

import uvlens as uvl
from uvlens.data.phaseshift import shift_phase_center
from uvlens.primarybeam import NAMED_BEAMS, AiryBeam, FitsBeam, FixedBeam, GaussianBeam, MixedBeam, beam_from_dict

CENTER = (84.5, -50.5)


def direction(ra, dec):
    """Unit vector of a position [deg]."""
    a, d = np.deg2rad([ra, dec])
    return np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])


def axes(ra, dec):
    """East, North and line of sight, by finite differences of the direction itself."""
    h = 1e-3
    east = direction(ra + h, dec) - direction(ra - h, dec)
    north = direction(ra, dec + h) - direction(ra, dec - h)
    return np.stack([east / np.linalg.norm(east), north / np.linalg.norm(north), direction(ra, dec)])


def point_seen_from(center, point, baselines):
    """u, v, w and the exact visibilities of a 1 Jy point, from baselines in equatorial axes [wavelengths]."""
    u, v, w = axes(*center) @ baselines
    delay = baselines.T @ (direction(*point) - direction(*center))
    return u, v, w, np.exp(2j * np.pi * delay)


def observed(center, point, n=300):
    baselines = np.random.default_rng(1).normal(0.0, 2e5, (3, n))
    u, v, w, vis = point_seen_from(center, point, baselines)
    return uvl.Visibilities(u, v, vis, np.ones(n), w=w, phase_center=center), baselines


@pytest.mark.parametrize("new", [(84.5002, -50.4999), (84.51, -50.52), (85.7, -49.0)])
def test_a_shift_is_the_same_sky_from_elsewhere(new):
    point = (84.5001, -50.50005)
    data, baselines = observed(CENTER, point)
    shifted = shift_phase_center(data, new)
    u, v, w, vis = point_seen_from(new, point, baselines)
    assert np.abs(shifted.u - u).max() < 1e-3 and np.abs(shifted.v - v).max() < 1e-3  # of 1e6 wavelengths
    assert np.abs(shifted.w - w).max() < 1e-3
    assert np.abs(shifted.vis - vis).max() < 2e-6  # 3e-16 of 2e5 wavelengths by differences of directions
    assert shifted.phase_center == new and shifted.pointing_center == CENTER
    back = shift_phase_center(shifted, CENTER)
    assert np.abs(back.vis - data.vis).max() < 1e-8 and np.abs(back.u - data.u).max() < 1e-8
    assert back.pointing_offset == (0.0, 0.0)


def test_a_point_moved_to_the_centre_has_no_phase():
    data, _ = observed(CENTER, (84.5005, -50.4998))
    assert np.abs(np.angle(data.vis)).max() > 1.0
    assert np.abs(np.angle(shift_phase_center(data, (84.5005, -50.4998)).vis)).max() < 2e-6


def test_shifts_that_cannot_be_made():
    data, _ = observed(CENTER, CENTER)
    with pytest.raises(uvl.InputError, match="phase centre is not known"):
        shift_phase_center(dataclasses.replace(data, phase_center=None), CENTER)
    with pytest.raises(uvl.InputError, match="90 degrees"):
        shift_phase_center(data, (264.5, 50.5))
    with pytest.warns(uvl.UVLensWarning, match="without w"):
        shift_phase_center(dataclasses.replace(data, w=None), (84.51, -50.52))
    assert shift_phase_center(data, CENTER) is data


@pytest.mark.realdata
def test_shift_is_casas(data_folder):
    """phaseshift of small.ms to 05h38m16.10s -50d30m49.60s: visibilities to 1e-8, uvw to 1e-10 m."""
    oracle = np.load(data_folder / "casa" / "oracle" / "small_phaseshift.npz")
    per_meter = float(oracle["freq_Hz"]) / 299792458.0
    old, new = (tuple(np.rad2deg(oracle[key]).tolist()) for key in ("from_rad", "to_rad"))
    for hand in (0, 1):
        use = ~oracle["FLAG"][hand, 0]
        u, v, w = oracle["UVW_in"][:, use] * per_meter
        vis = oracle["DATA_in"][hand, 0, use]
        data = uvl.Visibilities(u, v, vis, np.ones(len(u)), w=w, phase_center=old)
        shifted = shift_phase_center(data, new)
        expected = oracle["DATA_out"][hand, 0, use]
        error = np.abs(shifted.vis - expected)
        assert error[np.abs(expected) < 0.08].max() < 1e-8  # Jy; one rounding of the file's float32
        assert np.all(error < 1.2e-7 * np.abs(expected) + 1e-9)
        found = np.stack([shifted.u, shifted.v, shifted.w]) / per_meter
        assert np.abs(found - oracle["UVW_out"][:, use]).max() < 1e-10


def test_beams_at_published_values():
    """HPBW and powers at 345 GHz, from CASA's own tables of the patterns."""
    nu = 345e9
    for beam, width in (
        (NAMED_BEAMS["alma12m"], 16.88),
        (NAMED_BEAMS["alma7m"], 28.93),
        (NAMED_BEAMS["sma"], 33.76),
        (NAMED_BEAMS["casa12m"], 17.36),
        (NAMED_BEAMS["casa7m"], 30.08),
        (AiryBeam(10.7, 0.75), 17.19),
        (AiryBeam(6.25, 0.75), 29.27),
    ):
        assert abs(beam.fwhm(nu) - width) < 0.006, beam
        assert np.isclose(beam.power(0.0, 0.5 * beam.fwhm(nu), nu), 0.5, atol=1e-6)
        assert np.isclose(beam.power(0.0, 0.0, nu), 1.0) and np.isclose(beam.fwhm(2 * nu), 0.5 * beam.fwhm(nu))
        assert beam_from_dict(beam.to_dict()) == beam
    for beam, powers in (
        (NAMED_BEAMS["casa12m"], (0.9977, 0.9762, 0.8073)),
        (AiryBeam(10.7, 0.75), (0.9912, 0.9652, 0.7984)),
        (NAMED_BEAMS["alma12m"], (0.9903, 0.9618, 0.7840)),
    ):
        assert np.allclose([beam.power(r, 0.0, nu) for r in (1.0, 2.0, 5.0)], powers, atol=6e-5)


def test_airy_is_the_transform_of_a_blocked_disc():
    """Against the aperture integrated numerically: the voltage pattern is its Fourier transform."""
    nu, r, e = 230e9, 14.0, 0.75 / 10.7
    k = np.pi * 10.7 * nu / 299792458.0 * r * reference.ARCSEC
    rho = np.linspace(e, 1.0, 20001)
    voltage = np.trapezoid(scipy.special.j0(k * rho) * rho, rho) / np.trapezoid(rho, rho)
    assert np.isclose(AiryBeam(10.7, 0.75).power(0.0, r, nu), voltage**2, rtol=1e-6)


def test_a_fits_beam_is_the_picture(tmp_path):
    from astropy.io import fits

    y, x = np.mgrid[-40:41, -40:41] * 0.5
    image = np.exp(-0.01 * (x - 2.0) ** 2 - 0.02 * y**2)  # East of the pointing centre, elongated
    header = {"CDELT1": -0.5 / 3600, "CDELT2": 0.5 / 3600, "CRPIX1": 41.0, "CRPIX2": 41.0}
    hdu = fits.PrimaryHDU(image[:, ::-1])
    hdu.header.update(header)
    hdu.writeto(tmp_path / "beam.fits")
    beam = FitsBeam(str(tmp_path / "beam.fits"))
    expected = np.exp(-0.01 * (3.3 - 2.0) ** 2 - 0.02 * 1.7**2)
    assert np.isclose(beam.power(3.3, -1.7, None), expected, atol=1e-4)
    scaled = FitsBeam(str(tmp_path / "beam.fits"), 1e11)
    assert np.isclose(scaled.power(1.65, -0.85, 2e11), expected, atol=1e-4)
    assert beam.power(100.0, 0.0, None) == 0.0
    with pytest.raises(uvl.InputError, match="not a FITS image"):
        FitsBeam(str(tmp_path / "none.fits")).power(0.0, 0.0, None)


def brute(data, mask, power):
    """W and d~ by the sums of their definition, the beam of each visibility on its own, shape (K, N)."""
    response = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) * power
    w = (response.conj().T @ (data.weight[:, None] * response)).real
    return w, (response.conj().T @ (data.weight * data.vis)).real


def test_antennas_of_two_kinds_at_two_frequencies():
    """12 m and 7 m dishes on one correlator: every pair and window has its own beam, sqrt(A_i A_j)."""
    rng = np.random.default_rng(2)
    n = 200
    first, second = np.sort(np.stack([rng.permutation(6)[:2] for _ in range(n)]), axis=1).T
    frequency = rng.choice([90e9, 110e9], n)
    u, v = rng.normal(0.0, 3e4, (2, n))
    kinds = MixedBeam((GaussianBeam(7.0), GaussianBeam(12.0)), (0, 0, 0, 1, 1, 1))
    data = uvl.Visibilities(
        u,
        v,
        rng.normal(size=n) + 1j * rng.normal(size=n),
        rng.uniform(1.0, 2.0, n),
        first,
        second,
        frequency=frequency,
        primary_beam=kinds,
        phase_center=CENTER,
        pointing_center=(84.5 + 10.0 / 3600.0, -50.5),
    )
    mask = uvl.Mask.disc(12.0, 1.0)
    normal = uvl.normal_operator(data, mask)
    east, north, _ = axes(*CENTER) @ direction(*data.pointing_center) / reference.ARCSEC
    diameter = np.where(np.arange(6) < 3, 7.0, 12.0)

    def exponent(antenna):
        fwhm = 1.13 * 299792458.0 / frequency / diameter[antenna] / reference.ARCSEC
        return ((mask.x - east) ** 2 + (mask.y - north) ** 2)[None, :] / fwhm[:, None] ** 2

    power = np.exp(-4.0 * np.log(2.0) * 0.5 * (exponent(first) + exponent(second)))
    w, dirty = brute(data, mask, power)
    assert len(normal.reduction.terms) == 6
    assert np.abs(normal.dense() - w).max() < 1e-7 * np.abs(w).max()  # the axes are differences here
    assert np.abs(np.asarray(normal.dirty_image) - dirty).max() < 1e-7 * np.abs(dirty).max()


@pytest.mark.filterwarnings("ignore:pixels of")
def test_close_frequencies_share_a_beam():
    rng = np.random.default_rng(3)
    frequency = np.linspace(340e9, 344e9, 64)
    u, v = rng.normal(0.0, 1e5, (2, 64))
    vis = np.ones(64, complex)
    data = uvl.Visibilities(u, v, vis, np.ones(64), frequency=frequency, primary_beam=GaussianBeam(12.0))
    small, large = (uvl.normal_operator(data, uvl.Mask.disc(r, 0.5)).reduction for r in (1.0, 9.0))
    assert len(small.terms) == 1 and 3 < len(large.terms) < 30
    for reduction, tolerance in ((small, 1e-3), (large, 2e-3)):
        power = np.stack([GaussianBeam(12.0).power(reduction.mask.x, reduction.mask.y, f) for f in frequency])
        w, _ = brute(data, reduction.mask, power)
        assert np.abs(reduction.dense() - w).max() < 2 * tolerance * np.abs(w).max()
    fixed = dataclasses.replace(data, primary_beam=FixedBeam(17.0))
    assert len(uvl.normal_operator(fixed, uvl.Mask.disc(9.0, 0.5)).reduction.terms) == 1
