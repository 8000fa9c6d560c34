"""Averages against a loop and CASA's, smearing against simulations, noise of smoothed channels against chi^2."""

import dataclasses

import numpy as np
import pytest
import reference
from click.testing import CliRunner

import uvlens as uvl
from uvlens.averagesection import AverageSettings, apply_averaging, parse_average
from uvlens.cli import main
from uvlens.data.averaging import average, average_baselines
from uvlens.data.hanning import channel_correlation
from uvlens.data.smearing import bins_for_tolerance, phase_of_loss, smearing_factor, smearing_loss
from uvlens.schema import Section
from uvlens.simulate import Array

C = 299792458.0
DAY = 5.23e9


def sampled(seed=0, n_antennas=4, n_times=9, n_channels=(6, 5), flagged=0.2, shuffled=True):
    """Visibilities of two fields, two scans each, in two windows; weights of all sizes, some flagged."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n_antennas, 1)
    rows = []
    for scan in range(4):
        for i in range(n_times):
            for a, b in zip(first, second):
                for spw, n in enumerate(n_channels):
                    u, v, w = rng.normal(size=3) * 400.0  # metres
                    for channel in range(n):
                        rows.append((u, v, w, scan % 2, scan, spw, a, b, 1000.0 * scan + 6.0 * i, channel))
    table = np.array(rows)
    if shuffled:
        table = rng.permutation(table)
    u, v, w, field, scan, spw, a, b, time, channel = table.T
    n = len(table)
    frequency = 3.4e11 + 8e9 * spw + 1e8 * channel
    scale = frequency / C
    weight = rng.uniform(0.5, 2.0, n) * (rng.random(n) > flagged)
    return uvl.Visibilities(
        u * scale,
        v * scale,
        rng.normal(size=n) + 1j * rng.normal(size=n),
        weight,
        w=w * scale,
        antenna1=a,
        antenna2=b,
        time=DAY + time,
        frequency=frequency,
        interval=np.full(n, 6.0),
        channel_width=np.full(n, 1e8),
        field=field,
        spw=spw,
        scan=scan,
        phase_center=(84.0, -50.0),
        name="sampled",
    )


def by_loop(data, time_bin, channel_bin, weighted=False):
    """The averages one by one, {bin: values}."""
    bins = {}
    for k in range(len(data)):
        start = data.time[data.scan == data.scan[k]].min() - 3.0
        slot = data.time[k] if time_bin is None else int((data.time[k] - start) // (6.0 * max(1, time_bin // 6.0)))
        channel = round((data.frequency[k] - 3.4e11 - 8e9 * data.spw[k]) / 1e8)
        group = channel if channel_bin is None else channel // channel_bin
        key = (data.scan[k], data.antenna1[k], data.antenna2[k], data.spw[k], slot, group)
        bins.setdefault(key, []).append(k)
    averages = []
    for members in bins.values():
        k = np.array(members)
        weight = data.weight[k]
        total = weight.sum()
        share = weight / total if weighted and total > 0.0 else np.full(len(k), 1.0 / len(k))
        frequency = np.sum(share * data.frequency[k])
        u, v, w = (np.sum(share * getattr(data, key)[k] / data.frequency[k]) * frequency for key in "uvw")
        vis = np.sum(weight * data.vis[k]) / total if total > 0.0 else 0.0
        interval, width = 6.0 * len(set(data.time[k])), 1e8 * len(set(data.frequency[k]))
        time = np.sum(share * (data.time[k] - DAY))
        averages.append((k.min(), u, v, w, vis, total, time, frequency, interval, width, data.scan[k[0]]))
    return [np.array(column) for column in zip(*sorted(averages))]


@pytest.mark.parametrize("centroid", ["all", "weighted"])
@pytest.mark.parametrize("time_bin, channel_bin", [(None, 4), (20.0, None), (18.0, 2), (1e4, 100), (1.0, None)])
def test_averages_are_those_of_a_loop(time_bin, channel_bin, centroid):
    data = sampled()
    result = average(data, time_bin, channel_bin, centroid=centroid, correlation=None)
    _, u, v, w, vis, weight, time, frequency, interval, width, scan = by_loop(
        data, time_bin, channel_bin, centroid == "weighted"
    )
    assert len(result) == len(u) and np.any(weight == 0.0) == (time_bin is None or channel_bin is None)
    assert np.allclose(result.vis, vis, rtol=0.0, atol=1e-13) and np.allclose(result.weight, weight, rtol=1e-13)
    for found, expected in ((result.u, u), (result.v, v), (result.w, w), (result.frequency, frequency)):
        assert np.allclose(found, expected, rtol=1e-12, atol=1e-9)
    assert np.allclose(result.time - DAY, time, rtol=0.0, atol=3e-6)  # the last digit of 5e9 s is 1e-6 s
    assert np.allclose(result.interval, interval) and np.allclose(result.channel_width, width)
    assert np.array_equal(result.scan, scan) and np.array_equal(result.field, scan % 2)
    assert result.phase_center == data.phase_center and result.name == "sampled"


def test_a_bin_keeps_to_its_baseline_window_field_and_scan_whatever_the_order():
    data = sampled(shuffled=False)
    shuffled = np.random.default_rng(1).permutation(len(data))
    one, other = (average(d, 1e9, "spw", correlation=None) for d in (data, data.select(shuffled)))
    assert len(one) == len(other) == 4 * 6 * 2
    keys = [(d.scan, d.spw, d.antenna2, d.antenna1) for d in (one, other)]
    assert np.allclose(one.vis[np.lexsort(keys[0])], other.vis[np.lexsort(keys[1])], rtol=0.0, atol=1e-14)
    assert np.isclose(one.weight.sum(), data.weight.sum())
    assert average(data) is data


def test_scans_are_told_by_gaps_where_none_are_numbered():
    data = sampled()
    bare = dataclasses.replace(data, scan=None)
    assert len(average(bare, 1e9, "spw", correlation=None)) == 4 * 6 * 2
    unknown = dataclasses.replace(bare, interval=None, channel_width=None, w=None)
    averaged = average(unknown, 1e9, "spw", correlation=None)
    assert len(averaged) == 4 * 6 * 2 and averaged.interval is None and averaged.w is None


def test_channel_bins_in_hertz_and_in_words():
    data = sampled()
    for same in (2, 2.5e8, "0.2 GHz", "250 MHz", "2"):
        assert np.array_equal(average(data, None, same).vis, average(data, None, 2).vis)
    assert len(average(data, None, 1e3)) == len(data)
    for wrong in (0, -1, 2.5, "4 cm", "many", True, float("nan")):
        with pytest.raises(uvl.InputError, match="channel bin"):
            average(data, None, wrong)
    for wrong in (0.0, -3.0, True, "long", float("inf")):
        with pytest.raises(uvl.InputError, match="time bin"):
            average(data, wrong)
    with pytest.raises(uvl.InputError, match="centroid"):
        average(data, 1.0, centroid="middle")
    with pytest.raises(uvl.InputError, match="it has no time"):
        average(dataclasses.replace(data, time=None), 30.0)


def test_a_stream_is_averaged_part_by_part():
    data = sampled(shuffled=False)
    parts = [data.select(data.scan == scan) for scan in range(4)]
    whole = average(data, 20.0, 2, correlation=None)
    averaged = average(uvl.VisibilityStream(parts), 20.0, 2, correlation=None)
    assert np.allclose(np.concatenate([part.vis for part in averaged]), whole.vis, rtol=0.0, atol=1e-14)
    cut = uvl.VisibilityStream([data.select(slice(k, k + 100)) for k in range(0, len(data), 100)])
    assert np.isclose(sum(part.weight.sum() for part in average(cut, 20.0, 2)), data.weight.sum())
    assert smearing_loss(data, 1.0, *bins_for_tolerance(uvl.VisibilityStream(parts), 1.0)).loss < 1e-3
    worst = smearing_loss(uvl.VisibilityStream(parts), 1.0, 20.0, 2)
    assert worst.loss == smearing_loss(data, 1.0, 20.0, 2).loss


ARRAY = Array(
    "four",
    -23.0,
    np.array([[0.0, 0.0, 0.0], [900.0, 200.0, 0.0], [-400.0, 1500.0, 5.0], [2500.0, -1800.0, 20.0]]),
    np.full(4, 12.0),
)
EAST, NORTH = 1.6, -1.1


def point(u, v):
    """1 Jy away from the phase centre."""
    return reference.fourier_matrix(u, v, [EAST], [NORTH])[:, 0]


def finely_sampled(hours=0.5, **settings):
    """A point, every visibility of an instant and of one frequency."""
    settings = {"integration": 3.0, "bandwidth": 1e9, "n_channels": 32, "frequency": 345e9} | settings
    return uvl.observe(
        point,
        ARRAY,
        seed=1,
        phase_center=(84.0, -50.0),
        hour_angle=(1.0, 1.0 + hours),
        sigma=1.0,
        add_noise=False,
        drop_shadowed=False,
        **settings,
    )


@pytest.mark.parametrize("time_bin, channel_bin", [(60.0, None), (None, 16), (48.0, 16)])
def test_the_loss_of_an_average_is_the_predicted_one(time_bin, channel_bin):
    data = finely_sampled()
    averaged = average(data, time_bin, channel_bin, correlation=None)
    full = averaged.interval == averaged.interval.max()
    amplitude = np.abs(averaged.vis)[full]
    # the sampling is that of instants: what the integrations themselves would have lost has to be put back
    instants = {"interval": np.full(len(averaged), 3.0), "channel_width": np.full(len(averaged), 1e9 / 32)}
    own = dataclasses.replace(averaged, **instants)
    predicted = (smearing_factor(averaged, EAST, NORTH) / smearing_factor(own, EAST, NORTH))[full]
    assert 1.0 - amplitude.min() > 0.003
    assert np.abs(amplitude - predicted).max() < 1e-3 * (1.0 - amplitude.min())
    before = smearing_factor(data, EAST, NORTH, time_bin, channel_bin)
    assert np.isclose(before.min(), smearing_factor(averaged, EAST, NORTH)[full].min(), atol=2e-4)
    loss = smearing_loss(data, np.hypot(EAST, NORTH), time_bin, channel_bin)
    circle = loss.radius * np.exp(1j * np.linspace(0.0, np.pi, 60))
    around = [smearing_factor(data, z.real, z.imag, time_bin, channel_bin) for z in circle]
    assert np.isclose(1.0 - np.min(around), loss.loss, rtol=3e-3)
    there = smearing_factor(data, loss.x, loss.y, time_bin, channel_bin)
    assert np.isclose(1.0 - there.min(), loss.loss, rtol=1e-6) and np.isclose(np.hypot(loss.x, loss.y), loss.radius)


def test_the_phase_stays_right_to_second_order():
    data = finely_sampled()
    averaged = average(data, 60.0, 8, correlation=None)
    error = np.angle(averaged.vis * point(averaged.u, averaged.v).conj())
    assert np.abs(error).max() < 3e-4


def test_the_centroid_of_what_is_not_flagged():
    data = finely_sampled()
    channel = np.round((data.frequency - data.frequency.min()) / (1e9 / 32))
    data = dataclasses.replace(data, weight=np.where(channel % 8 < 3, 0.0, 1.0))
    errors = {}
    for centroid in ("all", "weighted"):
        averaged = average(data, None, 8, centroid=centroid, correlation=None)
        errors[centroid] = np.abs(averaged.vis - point(averaged.u, averaged.v)).max()
    assert errors["weighted"] < 0.004 and errors["all"] > 10.0 * errors["weighted"]


def test_rates_are_those_of_the_tracks():
    data = finely_sampled(n_channels=1, integration=1.0, hours=0.02)
    number = 6 * np.arange(2)  # the first baseline at the first two times
    u, v, t = data.u[number], data.v[number], data.time[number]
    from uvlens.data.smearing import _time_rates

    for values, rate in zip((u, v), _time_rates(data)):
        assert np.isclose(np.diff(values)[0] / np.diff(t)[0], rate[number].mean(), rtol=1e-6)
    limit = np.hypot(*_time_rates(dataclasses.replace(data, phase_center=None)))
    assert np.all(limit >= np.hypot(*_time_rates(data)) * (1.0 - 1e-12))
    unknown = dataclasses.replace(data, w=None)
    assert np.allclose(np.hypot(*_time_rates(unknown)), 7.2921159e-5 * data.uv_distance, rtol=1e-3)


def test_bins_of_a_tolerance_lose_just_that():
    assert np.allclose(1.0 - np.sinc(phase_of_loss(np.array([0.0, 1e-3, 0.3]))), [0.0, 1e-3, 0.3], atol=1e-12)
    data, radius = finely_sampled(), float(np.hypot(EAST, NORTH))
    for tolerance in (1e-3, 1e-2):
        time_bin, width = bins_for_tolerance(data, radius, tolerance)
        assert 0.4 * tolerance < smearing_loss(data, radius, time_bin, width).loss <= tolerance
        averaged = average(data, time_bin, width, correlation=None)
        assert len(averaged) < len(data) / 2 and np.abs(averaged.vis).min() > 1.0 - tolerance
    coarse = finely_sampled(n_channels=1, integration=30.0)
    time_bin, width = bins_for_tolerance(coarse, radius, 1e-3)  # the channel alone loses more
    assert len(average(coarse, time_bin, width)) == len(coarse)
    with pytest.raises(uvl.InputError, match="radius must be a positive"):
        bins_for_tolerance(data, 0.0)


def test_each_baseline_by_what_it_allows():
    data, radius, tolerance = finely_sampled(), float(np.hypot(EAST, NORTH)), 1e-3
    averaged = average_baselines(data, radius, tolerance, correlation=None)
    same = average(data, *bins_for_tolerance(data, radius, tolerance), correlation=None)
    assert len(averaged) < 0.5 * len(same)
    assert np.abs(averaged.vis).min() > 1.0 - tolerance and smearing_loss(averaged, radius).loss < tolerance
    assert np.isclose(averaged.weight.sum(), data.weight.sum())
    lengths = {int(b): averaged.interval[averaged.antenna2 == b].max() for b in (1, 3)}
    assert lengths[1] > lengths[3]
    limited = average_baselines(data, radius, tolerance, 9.0, 2, correlation=None)
    assert limited.interval.max() == 9.0 and np.isclose(limited.channel_width.max(), 2e9 / 32)


def noise_of_channels(smoothing, n_channels=64, n_times=150, n_antennas=12, seed=5, signal=0.0):
    """Noise of a spectrometer that smooths, weights right for each channel by itself; chi^2 of it is known."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n_antennas, 1)
    rows, pad = n_times * len(first), len(smoothing) // 2
    white = rng.normal(size=(2, rows, n_channels + 2 * pad))
    noise = sum(c * white[:, :, k : k + n_channels] for k, c in enumerate(smoothing))
    sigma = np.repeat(rng.uniform(0.5, 2.0, rows), n_channels)
    time = np.repeat(np.arange(n_times) * 6.0, len(first) * n_channels)
    vis = sigma * (noise[0] + 1j * noise[1]).ravel() + signal * np.exp(0.5j * np.arange(rows)).repeat(n_channels)
    flagged = rng.random(len(vis)) < 0.05
    n = len(vis)
    return uvl.Visibilities(
        np.full(n, 1e4),
        np.zeros(n),
        vis,
        np.where(flagged, 0.0, 1.0 / (sigma**2 * np.sum(np.square(smoothing)))),
        antenna1=np.tile(first.repeat(n_channels), n_times),
        antenna2=np.tile(second.repeat(n_channels), n_times),
        time=time,
        frequency=np.tile(3.4e11 + 1e6 * np.arange(n_channels), rows),
        name="noise",
    )


def chi_squared(data):
    """Per real number of what is not flagged."""
    good = data.unflagged()
    return np.sum(good.weight * np.abs(good.vis) ** 2) / (2 * len(good))


def test_hanning_smoothed_channels_make_averages_of_the_right_weight():
    data = noise_of_channels((0.25, 0.5, 0.25))
    found = channel_correlation(data)[0]
    assert np.allclose(found.lags[:2], (2 / 3, 1 / 6), atol=0.01) and "Hanning" in found.describe()
    assert np.isclose(found.factor, 64 / (64 + 2 * (63 * 2 / 3 + 62 / 6)), rtol=0.02)
    assert abs(chi_squared(data) - 1.0) < 0.01
    for time_bin, channel_bin in ((None, 2), (None, 8), (12.0, 8)):
        naive = chi_squared(average(data, time_bin, channel_bin, correlation=None))
        assert naive > 1.5 and abs(chi_squared(average(data, time_bin, channel_bin)) - 1.0) < 0.01
    only_in_time = average(data, 30.0)
    assert abs(chi_squared(only_in_time) - 1.0) < 0.02
    assert np.array_equal(only_in_time.weight, average(data, 30.0, correlation=None).weight)


def test_independent_channels_are_left_alone():
    data = noise_of_channels((1.0,))
    assert channel_correlation(data) == {}
    assert np.array_equal(average(data, None, 8).weight, average(data, None, 8, correlation=None).weight)
    assert abs(chi_squared(average(data, None, 8)) - 1.0) < 0.01
    assert channel_correlation(dataclasses.replace(data, time=None)) == {}


def test_a_signal_that_changes_is_no_noise():
    assert channel_correlation(noise_of_channels((1.0,), signal=1.0)) == {}
    found = channel_correlation(noise_of_channels((0.25, 0.5, 0.25), signal=0.5))[0]
    assert np.allclose(found.lags[:2], (2 / 3, 1 / 6), atol=0.03)


def test_settings_of_a_model_file():
    read = parse_average({"time": 30, "channels": 4, "baseline_dependent": True, "smearing": 0.001}, "data.0.average")
    assert read == AverageSettings(30.0, 4, True, 0.001)
    assert (
        parse_average("auto", "average") == AverageSettings("auto", "auto") and parse_average(None, "average") is None
    )
    assert parse_average(None, "average", merge=8) == AverageSettings(channels=8)
    assert parse_average({"time": 30}, "average", merge=8) == AverageSettings(30.0, 8)
    for value, line in (
        ({"times": 30}, "average.times: unknown key"),
        ({"time": "long"}, "average.time: expected a number"),
        ({"channels": 2.5}, "average: a channel bin"),
        ({"smearing": 2.0, "time": 3}, "average: smearing"),
        ({}, "average: say time"),
        ("always", "average: expected keys"),
    ):
        with pytest.raises(uvl.InputError, match=line):
            parse_average(value, "average")
    with pytest.raises(uvl.InputError, match="says it already"):
        parse_average({"channels": 2}, "average", merge=8)
    from uvlens.datasection import parse_data_entry

    entry = parse_data_entry(Section({"file": "a.npz", "channels": {"merge": 4}}, "data.0"), _here())
    assert entry.average == AverageSettings(channels=4)


def _here():
    from pathlib import Path

    return Path(".")


def test_the_loss_is_told_before_and_a_promise_is_kept():
    data, radius, said = finely_sampled(), float(np.hypot(EAST, NORTH)), []
    averaged = apply_averaging(data, AverageSettings("auto", "auto"), radius, said.append)
    assert "smearing at 1.94" in said[0] and "averaged to" in said[-1]
    assert np.abs(averaged.vis).min() > 1.0 - 1e-3
    with pytest.warns(uvl.errors.UVLensWarning, match="auto, or each baseline"):
        apply_averaging(data, AverageSettings(120.0), radius)
    with pytest.raises(uvl.InputError, match=r"more than smearing 0\.001"):
        apply_averaging(data, AverageSettings(120.0, smearing=1e-3), radius)
    said.clear()
    each = apply_averaging(data, AverageSettings(baseline_dependent=True), radius, said.append)
    assert len(each) < len(averaged) and "no baseline loses more than 0.1 %" in said[0]
    said.clear()
    apply_averaging(noise_of_channels((0.25, 0.5, 0.25)), AverageSettings(None, 8), 1.0, said.append)
    assert any("Hanning smoothing" in sentence for sentence in said)
    assert apply_averaging(data, None, radius) is data


def test_convert_averages(tmp_path):
    data = sampled()
    one_field = data.select(data.field == 0)
    one_field.write(tmp_path / "a.npz")

    def run(*options, out="b.npz"):
        return CliRunner().invoke(main, ["convert", str(tmp_path / "a.npz"), str(tmp_path / out), *options])

    result = run("--time-average", "18", "--channel-average", "spw", "--centroid", "all")
    assert result.exit_code == 0 and "smearing at 3" in result.stderr
    expected = average(one_field, 18.0, "spw")
    assert np.array_equal(uvl.read(tmp_path / "b.npz").vis, expected.vis)
    assert run("--baseline-average", "--radius", "0.01").exit_code == 0
    assert len(uvl.read(tmp_path / "b.npz")) < len(expected)
    assert run("--time-average", "18", "--radius", "1.0", "--weights", "file", out="b.uvlens").exit_code == 0
    for wrong in (
        ("--time-average", "soon"),
        ("--channel-average", "2.5"),
        ("--smearing", "0.1"),
        ("--time-average", "18", "--smearing", "1e-9"),
        ("--time-average", "18", "--radius", "-1"),
    ):
        result = run(*wrong, out="c.npz")
        assert result.exit_code == 2 and not (tmp_path / "c.npz").exists(), wrong
        assert result.stderr.splitlines()[-1].startswith("uvlens: ")


def test_frequencies_of_channels_are_better_than_their_mean():
    """A point 1.9" away in 2 GHz: its peak in the dirty image is lower if all channels are taken at the mean."""
    data = finely_sampled(n_channels=16, bandwidth=2e9, frequency=100e9)
    grid = uvl.PixelGrid((9, 9), 0.01, (EAST, NORTH))
    scale = data.frequency.mean() / data.frequency
    at_mean = dataclasses.replace(data, u=data.u * scale, v=data.v * scale)
    right, wrong = (uvl.imaging.make_image(d, grid).image[4, 4] for d in (data, at_mean))
    assert abs(right - 1.0) < 1e-6 and wrong < 0.97
    residual = [np.sum(np.abs(d.vis - point(d.u, d.v)) ** 2) for d in (data, at_mean)]
    assert residual[0] < 1e-12 < residual[1]
    merged = average(data, None, 4, correlation=None)
    assert len(np.unique(merged.frequency)) == 4
    assert 1.0 - np.abs(uvl.imaging.make_image(merged, grid).image[4, 4]) < 0.2 * (1.0 - wrong)


# ----------------------------------------------------------------------------------------------------------------------
# CASA's own averages


def one_hand(path, field, hand):
    """Visibilities of one hand, flagged rows too."""
    from uvlens.data.tables import Table

    main_table, spectral = Table(path), Table(path / "SPECTRAL_WINDOW")
    names = {"ANTENNA1": "antenna1", "ANTENNA2": "antenna2", "TIME": "time", "INTERVAL": "interval"}
    names |= {"SCAN_NUMBER": "scan", "FIELD_ID": "field", "DATA_DESC_ID": "spw"}
    columns = {name: main_table.column(name) for name in (*names, "UVW", "DATA", "FLAG", "WEIGHT")}
    parts = []
    for window in np.unique(columns["DATA_DESC_ID"]):
        rows = np.flatnonzero((columns["FIELD_ID"] == field) & (columns["DATA_DESC_ID"] == window))
        frequency, width = (spectral.column(name, [window]).ravel() for name in ("CHAN_FREQ", "CHAN_WIDTH"))
        shape = len(rows), len(frequency)
        part = {name: np.outer(columns["UVW"][rows, i], frequency / C).ravel() for i, name in enumerate("uvw")}
        part |= {new: np.broadcast_to(columns[old][rows, None], shape).ravel() for old, new in names.items()}
        weight = np.broadcast_to(columns["WEIGHT"][rows, hand][:, None], shape)
        part["vis"] = columns["DATA"][rows, :, hand].ravel()
        part["weight"] = np.where(columns["FLAG"][rows, :, hand], 0.0, weight).ravel()
        part["frequency"] = np.broadcast_to(frequency, shape).ravel()
        part["channel_width"] = np.broadcast_to(width, shape).ravel()
        parts.append(part)
    return uvl.Visibilities(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


@pytest.fixture(scope="module")
def small(data_folder, tmp_path_factory):
    """The measurement set `small`, unpacked."""
    import tarfile

    folder = tmp_path_factory.mktemp("casa_averages")
    with tarfile.open(data_folder / "casa" / "small.ms.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "small.ms"


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name, time_bin, channel_bin", [("chan", None, 4), ("time", 60.0, None), ("both", 120.0, "spw")]
)
def test_averages_are_those_of_mstransform(small, data_folder, name, time_bin, channel_bin):
    with np.load(data_folder / "casa" / "oracle" / f"small_avg{name}.npz") as file:
        casa = {key: file[key] for key in file.files}
    rows = np.lexsort((casa["ANTENNA2"], casa["ANTENNA1"], casa["TIME"], casa["DATA_DESC_ID"]))
    n_channels = casa["DATA"].shape[1]

    def each(values):
        return np.repeat(values[rows], n_channels)

    for hand in (0, 1):
        ours = average(one_hand(small, 1, hand), time_bin, channel_bin)
        order = np.lexsort((ours.frequency, ours.antenna2, ours.antenna1, ours.time, ours.spw))
        ours = ours.select(order)
        assert len(ours) == casa["DATA"][0].size
        flag, vis, weight = (casa[key][hand][:, rows].T.ravel() for key in ("FLAG", "DATA", "WEIGHT_SPECTRUM"))
        good = ~flag.astype(bool)
        assert np.array_equal(ours.weight > 0.0, good)
        assert np.abs(ours.vis - vis)[good].max() < 2e-8  # CASA stores single precision
        assert np.abs(ours.weight / np.where(good, weight, 1.0) - 1.0)[good].max() < 2e-7
        for i, key in enumerate("uvw"):
            metres = getattr(ours, key) * C / ours.frequency
            assert np.abs(metres - each(casa["UVW"][i])).max() < 1e-8
        assert np.array_equal(ours.time, each(casa["TIME"])) and np.allclose(ours.interval, each(casa["INTERVAL"]))
        frequency, width = (casa[key][casa["DATA_DESC_ID"]][rows].ravel() for key in ("CHAN_FREQ", "CHAN_WIDTH"))
        assert np.array_equal(ours.frequency, frequency) and np.allclose(ours.channel_width, width)


@pytest.mark.realdata
def test_rates_are_those_of_casa(small):
    """Differences of UVW in time: pins the sign of w."""
    from uvlens.data.smearing import _time_rates

    data = uvl.read(small, field=1)
    checked = 0
    for a, b in ((0, 1), (3, 17), (12, 40)):
        chosen = (data.spw == 0) & (data.frequency == data.frequency[0]) & (data.antenna1 == a) & (data.antenna2 == b)
        one = data.select(chosen & (data.scan == data.scan[chosen].min()))
        for values, rate in zip((one.u, one.v), _time_rates(one)):
            step = np.diff(values) / np.diff(one.time)
            assert np.allclose(step, 0.5 * (rate[1:] + rate[:-1]), rtol=3e-3, atol=1e-4 * np.abs(rate).max())
            checked += len(step)
    assert checked >= 20


@pytest.mark.realdata
def test_chi_squared_of_casas_model_survives(small):
    """DATA - MODEL_DATA averaged is noise of the summed weight."""
    data, model = (uvl.read(small, field=1, column=column) for column in ("DATA", "MODEL_DATA"))
    noise = dataclasses.replace(data, vis=data.vis - model.vis)
    for averaged in (average(noise, 120.0, "spw"), average_baselines(noise, 3.0)):
        assert abs(chi_squared(averaged) - 1.0) < 4.0 / len(averaged) ** 0.5
