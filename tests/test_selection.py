"""Selections of files: the same visibilities as picking them by hand from all, in every format that has the numbers."""

import datetime

import numpy as np
import pytest
import reference
from click.testing import CliRunner
from measurement_sets import WINDOWS, point_source, write_measurement_set
from test_radio_formats import uvfits

import uvlens as uvl
from uvlens.cli import main
from uvlens.data.selection import Selection, origin_of, show_time
from uvlens.datasection import parse_data_entry
from uvlens.schema import Section

NAMES = [f"DV{i:02d}" for i in range(6)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With two.ms (fields CAL and LENS), one.ms (LENS), one.npz (from one.ms) and one.uvfits."""
    pytest.importorskip("arcae")
    folder = tmp_path_factory.mktemp("selection")
    write_measurement_set(folder / "two.ms", point_source(n_fields=2), WINDOWS, ("CAL", "LENS"), NAMES)
    write_measurement_set(folder / "one.ms", point_source(), WINDOWS, ("LENS",), NAMES)
    uvl.read(folder / "one.ms").write(folder / "one.npz")
    uvfits(folder / "one.uvfits")
    return folder


def channel_of(data):
    """Number of each visibility's channel in its window."""
    number = np.empty(len(data), dtype=int)
    for i, (_, frequency, _) in enumerate(WINDOWS):
        here = data.spw == i
        number[here] = np.abs(data.frequency[here, None] - frequency).argmin(axis=1)
    return number


def on(data, antenna):
    return (data.antenna1 == antenna) | (data.antenna2 == antenna)


SELECTIONS = {
    "spw by number": ({"spw": 1}, lambda d: d.spw == 1),
    "spw list": ({"spw": [0, 1]}, lambda d: d.spw >= 0),
    "scan": ({"scan": "1,3"}, lambda d: np.isin(d.scan, [1, 3])),
    "scan range": ({"scan": "2~3"}, lambda d: d.scan >= 2),
    "channel": ({"channel": "1~2"}, lambda d: np.isin(channel_of(d), [1, 2])),
    "channel of a window": ({"channel": "1:0;3~4"}, lambda d: (d.spw == 1) & np.isin(channel_of(d), [0, 3, 4])),
    "channels of two windows": (
        {"channel": ["0:1", "1:5"]},
        lambda d: np.where(d.spw == 0, channel_of(d) == 1, channel_of(d) == 5),
    ),
    "baseline": ({"baseline": "2&4"}, lambda d: on(d, 2) & on(d, 4)),
    "antenna": ({"baseline": 2}, lambda d: on(d, 2)),
    "antennas but one": ({"baseline": "!2"}, lambda d: ~on(d, 2)),
    "antennas, one pair left out": ({"baseline": ["2", 4, "!2&4"]}, lambda d: on(d, 2) ^ on(d, 4)),
    "uvrange": ({"uvrange": [1e5, 2.5e5]}, lambda d: (d.uv_distance >= 1e5) & (d.uv_distance <= 2.5e5)),
    "uvrange as text": ({"uvrange": "100~250klambda"}, lambda d: (d.uv_distance >= 1e5) & (d.uv_distance <= 2.5e5)),
    "seconds": ({"time": [4.97589540e9, 4.97589600e9]}, lambda d: (d.time >= 4.9758954e9) & (d.time <= 4.975896e9)),
    "date": ({"time": "2016/07/22/09:10:30~09:21:00"}, lambda d: (d.time >= 4.97589543e9) & (d.time <= 4.97589606e9)),
    "all at once": (
        {"spw": 1, "scan": 2, "channel": "0~3", "baseline": "!1", "uvrange": "50~400klambda"},
        lambda d: (
            (d.spw == 1)
            & (d.scan == 2)
            & (channel_of(d) < 4)
            & ~on(d, 1)
            & (d.uv_distance >= 5e4)
            & (d.uv_distance <= 4e5)
        ),
    ),
}


def same(a, b, rtol=0.0):
    for key in ("u", "v", "w", "vis", "weight", "antenna1", "time", "frequency", "channel_width", "spw", "scan"):
        assert np.allclose(getattr(a, key), getattr(b, key), rtol=rtol, atol=0.0), key


@pytest.mark.parametrize("name", SELECTIONS)
@pytest.mark.parametrize("file", ["one.ms", "one.npz"])
def test_a_selection_is_what_one_picks_by_hand(folder, file, name):
    options, rule = SELECTIONS[name]
    everything = uvl.read(folder / file)
    picked = everything.select(rule(everything))
    assert len(picked) > 0 and (len(picked) < len(everything) or name == "spw list")
    same(uvl.read(folder / file, **options), picked)
    parts = list(uvl.stream(folder / file, chunk=97, **options))
    for key in ("u", "vis", "weight", "frequency"):
        joined = np.concatenate([getattr(part, key)[part.weight > 0.0] for part in parts])
        assert np.array_equal(joined, getattr(picked, key)[picked.weight > 0.0])


def test_the_measurement_set_is_read_as_it_was_written(folder):
    """Against the rows themselves: what is flagged, weights, u in wavelengths, and the sign of the point's phase."""
    data = uvl.read(folder / "one.ms")
    expected = {key: [] for key in ("vis", "weight", "u")}
    for part in point_source():
        _, frequency, _ = WINDOWS[part["DATA_DESC_ID"][0]]
        rows = (part["ANTENNA1"] != part["ANTENNA2"]) & ~part["FLAG_ROW"]
        good = ~part["FLAG"][rows].any(axis=-1)
        weight = part["WEIGHT"][rows].astype(float)
        vis = (weight[:, None] * np.nan_to_num(part["DATA"][rows])).sum(axis=-1) / weight.sum(axis=-1)[:, None]
        expected["vis"].append(np.where(good, vis, 0.0).ravel())
        expected["weight"].append(np.where(good, weight.sum(axis=-1)[:, None], 0.0).ravel())
        expected["u"].append(np.outer(part["UVW"][rows, 0], frequency / 299792458.0).ravel())
    order = np.lexsort((data.u,)), np.lexsort((np.concatenate(expected["u"]),))
    for key, tolerance in (("vis", 1e-6), ("weight", 1e-6), ("u", 1e-9)):
        assert np.allclose(
            getattr(data, key)[order[0]], np.concatenate(expected[key])[order[1]], rtol=1e-9, atol=tolerance
        )
    good = data.unflagged()
    model = reference.fourier_matrix(good.u, good.v, [0.83], [-0.41])[:, 0]
    amplitude = (good.weight * good.vis * model.conj()).sum() / good.weight.sum()
    assert abs(amplitude - 1.0) < 5.0 / np.sqrt(len(good))
    assert data.phase_center == pytest.approx((84.5, -50.5)) and data.primary_beam is not None


def test_names_of_windows_antennas_and_fields(folder):
    same(uvl.read(folder / "one.ms", spw="high"), uvl.read(folder / "one.ms", spw=1))
    same(uvl.read(folder / "one.ms", channel="low:1~2"), uvl.read(folder / "one.ms", channel="0:1~2"))
    same(uvl.read(folder / "one.ms", baseline="DV02&DV04"), uvl.read(folder / "one.ms", baseline="4&2"))
    same(uvl.read(folder / "two.ms", field="LENS"), uvl.read(folder / "two.ms", field=1))
    assert set(uvl.read(folder / "two.ms", field="LENS").scan) == {2}


def test_one_hand_alone(folder):
    both, one = uvl.read(folder / "one.ms"), uvl.read(folder / "one.ms", stokes="XX")
    other = uvl.read(folder / "one.ms", stokes="YY")
    use = both.weight > 0.0
    assert np.allclose((one.weight + other.weight)[use], both.weight[use])
    mean = (one.weight * one.vis + other.weight * other.vis)[use] / both.weight[use]
    assert np.allclose(mean, both.vis[use])
    with pytest.raises(uvl.InputError, match="no correlation RR; it has XX, YY"):
        uvl.read(folder / "one.ms", stokes="RR")


def test_uvfits_selects_alike(folder):
    path = folder / "one.uvfits"
    data = uvl.read(path)
    assert np.array_equal(uvl.read(path, channel="1:0~1").vis, data.vis[data.spw == 1].reshape(-1, 3)[:, :2].ravel())
    same_pair = (data.antenna1 == 1) & (data.antenna2 == 2)
    assert np.array_equal(uvl.read(path, baseline="1&2").vis, data.vis[same_pair])
    half = float(np.median(data.time))
    assert np.array_equal(uvl.read(path, time=[0.0, half]).vis, data.vis[data.time <= half])
    assert np.array_equal(uvl.read(path, time=f"{show_time(0.0 + data.time[0])}~2100/01/01").vis, data.vis)
    parts = list(uvl.stream(path, chunk=50))
    assert len(parts) > 3 and np.array_equal(np.concatenate([part.u for part in parts]), data.u)
    with pytest.raises(uvl.InputError, match="no scan numbers"):
        uvl.read(path, scan=1)


NOTHING = {
    "scan": ({"scan": 99}, r"no scan 99; it has 1, 2, 3"),
    "scan range": ({"scan": "50~60"}, r"no scan 50~60; it has 1, 2, 3"),
    "spw": ({"spw": "middle"}, r"no spw 'middle'; it has 0 \(low\), 1 \(high\)"),
    "channel": ({"channel": 6}, r"no channel 6; it has spw 0: 0~3, spw 1: 0~5"),
    "antenna": ({"baseline": "DV77"}, r"no antenna 'DV77'; it has 0 \(DV00\)"),
    "uvrange": ({"uvrange": [1, 2]}, r"no visibilities left: .* baselines of"),
    "time": ({"time": "2001/01/01~2001/01/02"}, r"no visibilities left: .* 2016/07/22/09:10:00~2016/07/22/09:3"),
    "flagged": ({"scan": 1, "baseline": 3}, r"every row of field 0 that was selected is flagged"),
    "unknown field": ({"field": "NO"}, r"no field 'NO'; it has 0 \(LENS\)"),
    "form": ({"scan": "1~"}, r"no scan '1~'"),
}


@pytest.mark.parametrize("name", NOTHING)
def test_what_is_not_there_is_one_line_that_lists_what_is(folder, name):
    options, message = NOTHING[name]
    for read in (uvl.read, lambda *a, **k: list(uvl.stream(*a, **k))):
        with pytest.raises(uvl.InputError, match=message) as caught:
            read(folder / "one.ms", **options)
        assert str(caught.value).startswith(str(folder / "one.ms")) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scan": 9}, "no scan 9; it has 1, 2, 3"),
        ({"baseline": "DV01"}, "no antenna 'DV01'; it has 0, 1"),
        ({"uvrange": [1, 2]}, "no visibilities left"),
        ({"channel": 7}, "no channel 7"),
    ],
)
def test_npz_says_what_it_has(folder, options, message):
    with pytest.raises(uvl.InputError, match=message):
        uvl.read(folder / "one.npz", **options)


def test_a_file_without_the_information(folder, tmp_path):
    uvl.read(folder / "one.npz").write(tmp_path / "a.txt")
    with pytest.raises(uvl.InputError, match="has no scan, so scan cannot be selected"):
        uvl.read(tmp_path / "a.txt", scan=1)
    assert 0 < len(uvl.read(tmp_path / "a.txt", uvrange=[0, 2e5])) < len(uvl.read(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scan": "5~2"},
        {"scan": -1},
        {"spw": True},
        {"channel": "low"},
        {"channel": ":1"},
        {"time": "09:00~10:00"},
        {"time": [2.0, 1.0]},
        {"time": 5.0},
        {"time": ["2016/07/22/09:00:00", 5.0]},
        {"time": "2016/13/22~2016/14/01"},
        {"baseline": "A&"},
        {"baseline": "A&B&C"},
        {"uvrange": "5"},
        {"uvrange": [3.0, 1.0]},
        {"field": True},
    ],
)
def test_what_cannot_be_understood(wrong):
    (key,) = wrong
    with pytest.raises(uvl.InputError, match=key) as caught:
        Selection.of(**wrong)
    assert "\n" not in str(caught.value)


def test_forms_of_a_selection():
    start = datetime.datetime(2016, 7, 22, 9)
    dates = Selection.of(time="2016-07-22T09:00:00~2016/07/22/09:30:00").time
    assert dates == Selection.of(time=[start, start + datetime.timedelta(minutes=30)]).time
    assert dates == Selection.of(time="2016/07/22/09:00~09:30").time == ((4975894800.0, 4975896600.0, True),)
    assert Selection.of(time="1.0~2.0,5~6").time == ((1.0, 2.0, False), (5.0, 6.0, False))
    assert Selection.of(spw="0~2,5,B7a").spw == ((0, 2), 5, "B7a")
    assert Selection.of(uvrange="0~0.5Mlambda").uvrange == (0.0, 5e5) == Selection.of(uvrange="0~5e5").uvrange
    # 2016-07-22 is MJD 57591 and JD 2457591.5
    assert origin_of([57591 * 86400.0]) == 0.0 and origin_of([2457591.5 * 86400.0]) == 2400000.5 * 86400.0
    assert origin_of([12.0]) is None and show_time(57591.375 * 86400.0) == "2016/07/22/09:00:00"


def test_selection_on_the_command_line(folder, tmp_path):
    path = str(folder / "two.ms")
    options = ["--field", "LENS", "--scan", "2", "--spw", "high", "--channel", "0~3", "--antenna", "!DV01"]
    result = CliRunner().invoke(main, ["convert", path, str(tmp_path / "a.npz"), *options, "--uvrange", "0~400klambda"])
    assert result.exit_code == 0, result.stderr
    wanted = {"scan": 2, "spw": 1, "channel": "0~3", "baseline": "!1", "uvrange": [0.0, 4e5]}
    same(uvl.read(tmp_path / "a.npz"), uvl.read(path, field=1, **wanted), rtol=1e-14)  # u is kept in metres
    for wrong in (["--channel", "x"], ["--time", "noon"], ["--scan", "77"], ["--stokes", "LL"]):
        result = CliRunner().invoke(main, ["convert", path, str(tmp_path / "b.npz"), "--field", "LENS", *wrong])
        assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1, result.stderr
        assert not (tmp_path / "b.npz").exists()


def test_selection_in_a_model_file():
    section = {"file": "a.ms", "select": {"field": "LENS", "scan": "1~3", "antenna": "!DV01", "uvrange": [0, 1e5]}}
    entry = parse_data_entry(Section(section, "data.0"), uvl.data.files.as_path("."))
    assert entry.options == {"field": "LENS", "scan": "1~3", "baseline": "!DV01", "uvrange": [0, 1e5]}
    for wrong, message in (({"scan": "3~1"}, "data.0.select.scan"), ({"scann": 1}, "scann")):
        with pytest.raises(uvl.InputError, match=message):
            parse_data_entry(Section({"file": "a.ms", "select": wrong}, "data.0"), uvl.data.files.as_path("."))
