"""Measurement sets that are written: what is read back, and what arcae finds in the tables."""

import dataclasses
import sys

import numpy as np
import pytest
import reference
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.conventions import SPEED_OF_LIGHT
from uvlens.data import ms_write
from uvlens.primarybeam import CasaAiryBeam, GaussianBeam, beam_of_dishes

pytest.importorskip("arcae")
EAST, NORTH = 0.83, -0.41
EXACT = ("antenna1", "antenna2", "time", "interval", "frequency", "channel_width", "field", "spw", "scan")


def observation(times=3, antennas=5, channels=(4, 4), seed=0, field=1, **changes):
    """An off-centre point of 1 Jy seen by antennas on the ground, spectral window after spectral window."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(antennas, 1)
    position = rng.uniform(-500.0, 500.0, (times, antennas, 3))
    uvw = position[:, first] - position[:, second]
    parts = []
    for spw, n in enumerate(channels):
        frequency = 340e9 + 4e9 * spw + 1e8 * np.arange(n)
        shape = (times, len(first), n)
        parts.append(
            {
                **{key: uvw[..., i, None] * frequency / SPEED_OF_LIGHT for i, key in enumerate("uvw")},
                "weight": np.broadcast_to(rng.uniform(1.0, 2.0, shape[:2])[..., None], shape),
                "antenna1": np.broadcast_to(first[:, None], shape),
                "antenna2": np.broadcast_to(second[:, None], shape),
                "time": np.broadcast_to(5.1e9 + 10.0 * np.arange(times)[:, None, None], shape),
                "interval": np.full(shape, 10.0),
                "frequency": np.broadcast_to(frequency, shape),
                "channel_width": np.full(shape, 1e8),
                "field": np.full(shape, field),
                "spw": np.full(shape, spw),
                "scan": np.full(shape, 7),
            }
        )
    arrays = {key: np.concatenate([part[key].ravel() for part in parts]) for key in parts[0]}
    arrays["vis"] = reference.fourier_matrix(arrays["u"], arrays["v"], [EAST], [NORTH])[:, 0]
    header = {"phase_center": (84.5, -50.5), "primary_beam": GaussianBeam(12.0), "name": "LENS"}
    return uvl.Visibilities(**(arrays | header | changes))


def column(path, name, table=""):
    import arcae

    return arcae.table(str(path / table) if table else str(path)).getcol(name)


def ordered(data):
    keys = [data.frequency, data.vis.imag, data.v, data.u]
    return data.select(np.lexsort([np.round(key, 5) for key in keys]))


def assert_same(read, written):
    """u, v, w to 1e-12, visibilities and weights to single precision, all else exactly."""
    for key in ("u", "v", "w"):
        values = getattr(written, key)
        assert np.abs(getattr(read, key) - values).max() <= 1e-12 * np.abs(values).max(), key
    assert np.array_equal(read.vis.astype(np.complex64), written.vis.astype(np.complex64))
    assert np.allclose(read.weight, written.weight, rtol=1.2e-7, atol=0.0)
    for key in EXACT:
        assert np.array_equal(getattr(read, key), getattr(written, key)), key


def test_everything_is_read_back_in_its_order(tmp_path):
    data = observation()
    uvl.write(data, tmp_path / "a.ms")
    again = uvl.read(tmp_path / "a.ms")
    assert_same(again, data)
    assert np.allclose(again.phase_center, data.phase_center, atol=1e-12)
    assert again.primary_beam == data.primary_beam
    assert np.abs(again.vis - reference.fourier_matrix(again.u, again.v, [EAST], [NORTH])[:, 0]).max() < 1e-7


def test_tables_are_what_casa_wants(tmp_path):
    data = observation()
    uvl.write(data, tmp_path / "a.ms", telescope="ALMA")
    time = column(tmp_path / "a.ms", "TIME")
    assert np.all(np.diff(time) >= 0.0) and len(time) == 3 * 10 * 2
    hands = column(tmp_path / "a.ms", "DATA")
    assert hands.shape == (60, 4, 2) and hands.dtype == np.complex64
    assert np.array_equal(hands[..., 0], hands[..., 1])
    weight, sigma = (column(tmp_path / "a.ms", key) for key in ("WEIGHT", "SIGMA"))
    assert np.allclose(sigma**-2.0, weight, rtol=1e-6)
    assert np.isclose(4.0 * weight.sum(), data.weight.sum(), rtol=1e-6)
    assert column(tmp_path / "a.ms", "CORR_TYPE", "POLARIZATION").tolist() == [[9, 12]]
    assert column(tmp_path / "a.ms", "DISH_DIAMETER", "ANTENNA").tolist() == [12.0] * 5
    assert column(tmp_path / "a.ms", "TELESCOPE_NAME", "OBSERVATION").tolist() == ["ALMA"]
    uvw = column(tmp_path / "a.ms", "UVW")
    window = column(tmp_path / "a.ms", "DATA_DESC_ID")
    frequency = column(tmp_path / "a.ms", "CHAN_FREQ", "SPECTRAL_WINDOW")
    u = (uvw[:, :1] / SPEED_OF_LIGHT * frequency[window]).ravel()
    assert np.allclose(np.sort(u), np.sort(data.u), rtol=1e-12)


def test_windows_of_different_lengths_and_weights_of_channels(tmp_path):
    data = observation(channels=(3, 5))
    weight = data.weight * np.random.default_rng(1).uniform(0.5, 2.0, len(data))
    data = dataclasses.replace(data, weight=weight)
    uvl.write(data, tmp_path / "a.ms")
    assert_same(uvl.read(tmp_path / "a.ms"), data)


def test_flags_missing_channels_and_small_blocks(tmp_path, monkeypatch):
    """Flagged ones stay, those that are not there become flags; blocks of a few rows give the same."""
    monkeypatch.setattr(ms_write, "BLOCK", 12)
    data = observation()
    weight = data.weight.copy()
    weight[::7] = 0.0
    weight[:4] = 0.0  # a whole row
    flagged = dataclasses.replace(data, weight=weight)
    uvl.write(flagged, tmp_path / "a.ms")
    assert np.count_nonzero(column(tmp_path / "a.ms", "FLAG_ROW")) == 1
    again = uvl.read(tmp_path / "a.ms")
    assert len(again) == len(data) - 4
    assert_same(again.unflagged(), flagged.unflagged())
    uvl.write(flagged.unflagged(), tmp_path / "b.ms")
    assert_same(uvl.read(tmp_path / "b.ms").unflagged(), flagged.unflagged())


def test_numbers_of_windows_and_fields_stay(tmp_path):
    data = observation(field=3)
    data = dataclasses.replace(data, spw=np.where(data.spw == 0, 5, 2))
    uvl.write(data, tmp_path / "a.ms")
    again = uvl.read(tmp_path / "a.ms", field=3, spw=5)
    assert_same(ordered(again), ordered(data.select(data.spw == 5)))
    assert set(uvl.read(tmp_path / "a.ms").spw) == {2, 5}


def test_the_same_twice_moving_channels_and_baselines_of_their_own(tmp_path):
    """What rows and channels cannot hold directly: nothing is lost."""
    data = observation()
    numbers = np.arange(len(data))
    twice = data.select(np.r_[numbers, numbers[:5]])
    twice.vis[-5:] *= 2.0
    uvl.write(twice, tmp_path / "twice.ms")
    assert_same(ordered(uvl.read(tmp_path / "twice.ms").unflagged()), ordered(twice))
    later = data.time > data.time.min()
    moved = dataclasses.replace(data, frequency=data.frequency + 1e6 * later)
    uvl.write(moved, tmp_path / "moved.ms")
    again = uvl.read(tmp_path / "moved.ms")
    assert np.array_equal(np.sort(again.frequency), np.sort(moved.frequency)) and len(again) == len(data)
    averaged = dataclasses.replace(data, u=data.u + np.random.default_rng(2).normal(size=len(data)))
    uvl.write(averaged, tmp_path / "averaged.ms")
    again = ordered(uvl.read(tmp_path / "averaged.ms"))
    assert np.allclose(again.u, ordered(averaged).u, rtol=1e-12) and len(again) == len(data)


def test_what_is_not_known_is_filled_in(tmp_path):
    data = dataclasses.replace(observation(), **dict.fromkeys(("w", "interval", "channel_width", "field", "scan")))
    data = dataclasses.replace(data, time=data.time - 5.1e9)
    uvl.write(data, tmp_path / "a.ms")
    again = uvl.read(tmp_path / "a.ms")
    assert np.array_equal(again.vis.astype(np.complex64), data.vis.astype(np.complex64)) and np.all(again.w == 0.0)
    assert np.all(again.interval == 10.0) and np.all(again.channel_width == 1e8)
    assert np.allclose(again.time - again.time.min(), data.time) and again.time.min() > 4e9
    julian = ms_write.modified_julian(np.array([2_459_000.5 * 86400.0]))
    assert np.isclose(julian[0], 59_000.0 * 86400.0)


@pytest.mark.parametrize(
    ("beam", "diameters"),
    [
        (None, [0.0] * 5),
        (CasaAiryBeam(6.25, 0.75), [7.0] * 5),
        (beam_of_dishes([12.0, 12.0, 7.0, 12.0, 7.0]), [12.0, 12.0, 7.0, 12.0, 7.0]),
    ],
)
def test_dishes_carry_the_primary_beam(tmp_path, beam, diameters):
    data = observation(primary_beam=beam)
    uvl.write(data, tmp_path / "a.ms")
    assert column(tmp_path / "a.ms", "DISH_DIAMETER", "ANTENNA").tolist() == diameters
    again = uvl.read(tmp_path / "a.ms").primary_beam
    assert again == (GaussianBeam(7.0) if isinstance(beam, CasaAiryBeam) else beam)


def test_width_of_a_gaussian_as_a_dish(tmp_path):
    data = observation(primary_beam=20.0)
    uvl.write(data, tmp_path / "a.ms")
    assert np.isclose(uvl.read(tmp_path / "a.ms").primary_beam_fwhm, 20.0)


def test_pointing_center_is_in_the_pointing_table(tmp_path):
    uvl.write(observation(pointing_center=(84.51, -50.49)), tmp_path / "a.ms")
    direction = column(tmp_path / "a.ms", "DIRECTION", "POINTING")
    assert np.allclose(np.degrees(direction), [84.51, -50.49]) and len(direction) == 5


def test_wrong_targets_are_refused_and_no_set_is_lost(tmp_path, monkeypatch):
    data = observation()
    (tmp_path / "mine.ms").mkdir()
    (tmp_path / "mine.ms" / "notes.txt").write_text("mine")
    with pytest.raises(uvl.InputError, match=r"mine\.ms: something else is there"):
        uvl.write(data, tmp_path / "mine.ms")
    with pytest.raises(uvl.InputError, match=r"needs antenna1.* there is no antenna1"):
        uvl.write(dataclasses.replace(data, antenna1=None, antenna2=None), tmp_path / "a.ms")
    with pytest.raises(uvl.InputError, match="nowhere"):
        uvl.write(data, tmp_path / "nowhere" / "a.ms")
    uvl.write(data, tmp_path / "a.ms")
    with pytest.raises(uvl.InputError, match=r"a\.ms: a measurement set is there, and is not overwritten"):
        uvl.write(data.with_weights_scaled(2.0), tmp_path / "a.ms")
    assert np.allclose(uvl.read(tmp_path / "a.ms").weight, data.weight)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ms_write, "write_subtables", stop)
        with pytest.raises(KeyboardInterrupt):
            uvl.write(data, tmp_path / "c.ms")
    monkeypatch.setitem(sys.modules, "arcae", None)
    with pytest.raises(uvl.InputError, match="needs arcae"):
        uvl.write(data, tmp_path / "b.ms")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ms", "mine.ms"]


SIMULATION = """
array: sma.vextended
phase_center: {ra: 03h46m41.0s, dec: 12d05m02s}
hour_angle: [-0.1, 0.1]
integration: 120
frequency: 343.5e9
bandwidth: 4.0e9
n_channels: 2
noise: {sigma: 0.01}
sky: {size: 4.0, pixel_scale: 0.1}
lens: {mass: [{profile: SIE, theta_E: 1.0, e1: 0.1, e2: 0.05, center_x: 0.1, center_y: -0.1}]}
source: {light: [{profile: Gaussian, flux: 0.4, sigma: 0.1, center_x: 0.1, center_y: 0.0}]}
"""


def test_a_simulation_becomes_a_measurement_set(tmp_path):
    (tmp_path / "sim.yaml").write_text(SIMULATION)
    for name in ("a.npz", "a.ms", "b.ms/"):
        result = CliRunner().invoke(main, ["simulate", str(tmp_path / "sim.yaml"), "--out", f"{tmp_path}/{name}"])
        assert result.exit_code == 0, result.stderr
    original, written = uvl.read(tmp_path / "a.npz"), uvl.read(tmp_path / "a.ms")
    assert np.array_equal(written.vis.astype(np.complex64), original.vis.astype(np.complex64))
    assert np.abs(written.w - original.w).max() < 1e-9 * np.abs(original.w).max() and np.any(original.w != 0.0)
    assert np.all(written.interval == 120.0) and np.all(written.channel_width == 2e9)
    assert np.allclose(uvl.read(tmp_path / "b.ms").u, written.u)
