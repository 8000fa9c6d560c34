"""Files of other programs and our own: what goes in comes out, and a point in the East and South stays there."""

import ast
import gzip
import importlib
import io
import json
import os
import sys
import tokenize
import types
import warnings

import numpy as np
import pytest
import reference
from astropy.io import fits
from click.testing import CliRunner

import uvlens as uvl
from uvlens import casa_script
from uvlens.cli import main
from uvlens.conventions import SPEED_OF_LIGHT
from uvlens.errors import UVLensWarning
from uvlens.primarybeam import FixedBeam, GaussianBeam, MixedBeam

EAST, NORTH = 0.83, -0.41
OPTIONAL = ("w", "antenna1", "antenna2", "time", "interval", "frequency", "channel_width", "field", "spw", "scan")


def point(u, v):
    """1 Jy there, by the definition."""
    return reference.fourier_matrix(u, v, [EAST], [NORTH])[:, 0]


def observation(times=4, antennas=5, channels=3, windows=2, **changes):
    """Everything known: rows of a time and baseline, channels of two windows, a point of 1 Jy, some flagged."""
    rng = np.random.default_rng(2)
    a1, a2 = np.triu_indices(antennas, 1)
    rows = times * len(a1)
    uvw = rng.normal(0.0, 300.0, (rows, 3))
    frequency = 3.4e11 + 1e10 * np.arange(windows)[:, None] + 1e8 * np.arange(channels)
    shape = (rows, windows, channels)

    def each(values):
        return np.broadcast_to(np.asarray(values).reshape(rows, 1, 1), shape).ravel()

    nu = np.broadcast_to(frequency, shape)
    u, v, w = ((uvw[:, i, None, None] * nu / SPEED_OF_LIGHT).ravel() for i in range(3))
    arrays = {
        "u": u,
        "v": v,
        "w": w,
        "vis": point(u, v),
        "weight": np.where(rng.random(u.size) < 0.1, 0.0, rng.uniform(1.0, 2.0, u.size)),
        "antenna1": each(np.tile(a1, times)),
        "antenna2": each(np.tile(a2, times)),
        "time": each(np.repeat(5.2e9 + 10.1 * np.arange(times), len(a1))),
        "interval": np.full(u.size, 10.1),
        "frequency": nu.ravel(),
        "channel_width": np.full(u.size, 1e8),
        "field": np.full(u.size, 1),
        "spw": np.broadcast_to(np.arange(windows)[:, None], shape).ravel(),
        "scan": np.full(u.size, 3),
        "primary_beam": GaussianBeam(12.0),
        "phase_center": (84.5, -50.5),
        "pointing_center": (84.501, -50.499),
        "name": "target",
    }
    return uvl.Visibilities(**(arrays | changes))


def bare(**changes):
    """u, v, vis and weight alone."""
    data = observation()
    return uvl.Visibilities(data.u, data.v, data.vis, data.weight, **changes)


def assert_same(again, data, keys=("u", "v", "vis", "weight"), rtol=1e-15):
    """The arrays relative to their largest."""
    assert len(again) == len(data)
    for key in keys:
        one, other = getattr(again, key), getattr(data, key)
        assert one is not None, key
        assert np.abs(one - other).max() <= rtol * np.abs(other).max(), key


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)


def refused(path, match, **options):
    with pytest.raises(uvl.InputError, match=match) as caught:
        uvl.read(path, **options)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ what can be written

PAIRS = {
    "npz": ("a.npz", {}, {}, 1e-15),
    "uvfits": ("a.uvfits", {}, {}, 1e-7),
    "uvfits in double precision": ("a.uvfits", {"precision": "double"}, {}, 1e-15),
    "uvplot": ("a.txt", {}, {}, 1e-15),
    "uvplot in metres": ("a.txt", {"uv_unit": "m"}, {}, 1e-15),
    "uvplot, compressed": ("a.dat.gz", {}, {}, 1e-15),
    "frank": ("a.txt", {"format": "frank"}, {}, 1e-15),
    "frank, compressed": ("a.txt.bz2", {"format": "frank"}, {}, 1e-15),
    "frank arrays": ("a.npz", {"format": "frank"}, {}, 1e-15),
    "visilens": ("a.bin", {}, {}, 1e-15),
    "triplet": ("a/", {}, {}, 1e-15),
    "triplet, v as it is": ("a/", {"sign": "casa"}, {}, 1e-15),
}


@pytest.mark.parametrize("name", PAIRS)
def test_round_trip_and_the_place_of_a_point(tmp_path, name):
    file, write_options, read_options, rtol = PAIRS[name]
    data = observation(primary_beam=None).unflagged() if file == "a/" else observation(primary_beam=None)
    data.write(f"{tmp_path}/{file}", **write_options)
    again = uvl.read(f"{tmp_path}/{file}", **read_options)
    assert_same(again, data, ("u", "v"), max(4e-15 if file == "a.uvfits" else 0.0, 1e-15))
    assert_same(again, data, ("weight",), rtol)
    assert np.array_equal(again.weight == 0.0, data.weight == 0.0)
    again, data = again.unflagged(), data.unflagged()  # of what is flagged UVFITS keeps no value
    assert_same(again, data, ("vis",), rtol)
    assert np.abs(again.vis - point(again.u, again.v)).max() < max(rtol, 1e-12)
    mirrored = reference.fourier_matrix(again.u, again.v, [EAST], [-NORTH])[:, 0]
    assert np.abs(again.vis - mirrored).max() > 0.5


# -------------------------------------------------------------------------------------------------------- .npz


def test_npz_holds_everything_in_metres_with_flags_and_a_header(tmp_path):
    data = observation()
    data.write(tmp_path / "a.npz", telescope="ALMA", source="target.ms", weight_scale="as they are")
    again = uvl.read(tmp_path / "a.npz")
    assert_same(again, data, ("u", "v", "w"), 1e-15)
    for key in ("vis", "weight", *OPTIONAL[1:]):
        assert np.array_equal(getattr(again, key), getattr(data, key)), key
    assert again.header() == data.header()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as file:
        header = json.loads(file["header"].item())
        assert np.allclose(file["u"] * file["frequency"] / 299792458.0, data.u, rtol=1e-14)
        assert np.abs(file["u"]).max() < 2000.0  # metres
        assert np.array_equal(file["flag"], data.weight == 0.0) and file["flag"].any()
    wanted = {"format": "uvlens", "version": 2, "sign": "casa", "uv_unit": "m", "telescope": "ALMA"}
    wanted |= {"source": "target.ms", "weight_scale": "as they are", "phase_center": [84.5, -50.5]}
    assert wanted.items() <= header.items() and header["uvlens"] and header["units"]["u, v, w"] == "m"


def test_npz_without_frequencies_is_in_wavelengths_bit_for_bit(tmp_path):
    data = bare(phase_center=(1.0, 2.0))
    data.write(tmp_path / "a.npz")
    again = uvl.read(tmp_path / "a.npz")
    assert all(np.array_equal(getattr(again, key), getattr(data, key)) for key in ("u", "v", "vis", "weight"))
    assert again.frequency is None and again.phase_center == (1.0, 2.0)


def test_npz_of_version_1_is_still_read(tmp_path):
    data = observation()
    header = {"format": "uvlens", "version": 1, "sign": "casa", "primary_beam": None, "name": "old"}
    arrays = {key: getattr(data, key) for key in ("u", "v", "vis", "weight", *OPTIONAL)}
    np.savez(tmp_path / "a.npz", header=np.array(json.dumps(header)), **arrays)
    again = uvl.read(tmp_path / "a.npz")
    assert np.array_equal(again.u, data.u) and np.array_equal(again.w, data.w) and again.name == "old"


def test_npz_in_parts_is_the_npz_at_once(tmp_path):
    data = observation()
    data.write(tmp_path / "a.npz")
    whole, parts = uvl.read(tmp_path / "a.npz"), list(uvl.stream(tmp_path / "a.npz", chunk=50))
    assert len(parts) > 3
    for key in ("u", "v", "w", "vis", "weight", "spw"):
        assert np.array_equal(np.concatenate([getattr(part, key) for part in parts]), getattr(whole, key))


@pytest.mark.parametrize("reader", [uvl.read, lambda path, **options: list(uvl.stream(path, chunk=7, **options))])
def test_npz_of_others_with_a_unit_that_could_be_metres(tmp_path, reader):
    data = observation()
    metres = {key: getattr(data, key) * SPEED_OF_LIGHT / data.frequency for key in "uv"}
    np.savez(tmp_path / "a.npz", **metres, vis=data.vis, weight=data.weight, freq=data.frequency)
    with pytest.raises(uvl.InputError, match="wavelengths or metres"):
        reader(tmp_path / "a.npz")
    again = reader(tmp_path / "a.npz", uv_unit="m")
    first = again if isinstance(again, uvl.Visibilities) else again[0]
    assert np.allclose(first.u, data.u[: len(first)], rtol=1e-14)
    np.savez(tmp_path / "b.npz", **metres, vis=data.vis, weight=data.weight)
    with pytest.raises(uvl.InputError, match="no array freq"):
        reader(tmp_path / "b.npz", uv_unit="m")


def test_npz_options_against_the_header(tmp_path):
    observation().write(tmp_path / "a.npz")
    refused(tmp_path / "a.npz", "header says 'm'", uv_unit="lambda")
    refused(tmp_path / "a.npz", "uv_unit must be", uv_unit="km")


# ------------------------------------------------------------------------------------------------------ UVFITS


def in_order(data):
    keys = (data.frequency, data.antenna2, data.antenna1, data.time)
    return data.select(np.lexsort(keys))


def test_uvfits_holds_times_windows_and_dishes(tmp_path):
    data = in_order(observation(windows=2))
    for precision in ("single", "double"):
        data.write(tmp_path / "a.uvfits", precision=precision, telescope="ALMA")
        again = in_order(uvl.read(tmp_path / "a.uvfits"))
        assert_same(again, data, ("w", "frequency", "channel_width", "spw"), 4e-15)
        assert np.abs(again.time - data.time).max() < 2e-6
        assert np.allclose(again.interval, 10.1, rtol=1e-7)
        assert np.array_equal(again.antenna1, data.antenna1 + 1)  # AIPS counts from 1
        assert again.primary_beam == GaussianBeam(12.0) and again.phase_center == (84.5, -50.5)
        assert again.pointing_center == (84.501, -50.499)
        assert uvl.read(tmp_path / "a.uvfits", field="target", spw=1).frequency.min() == 3.5e11


def test_uvfits_content_as_the_standard_says(tmp_path):
    """Without our reader: parameters of one name add up, two hands of half the weight, frequencies by the axes."""
    data = observation(channels=1, windows=1, scan=None)
    data.write(tmp_path / "a.uvfits")
    with fits.open(tmp_path / "a.uvfits") as file:
        header, groups = file[0].header, file[0].data
        assert header["BITPIX"] == -32 and header["NAXIS1"] == 0 and header["GROUPS"] is True
        kinds = [header[f"CTYPE{i}"] for i in range(2, 8)]
        assert kinds == ["COMPLEX", "STOKES", "FREQ", "IF", "RA", "DEC"]
        assert np.abs(groups.par("UU") * data.frequency - data.u).max() < 4e-15 * np.abs(data.u).max()
        first = groups.par(groups.parnames.index("UU"))  # what CASA takes
        assert np.abs(first * data.frequency - data.u).max() < 1e-7 * np.abs(data.u).max()
        modified = (
            sum(groups.par(i).astype(float) for i, name in enumerate(groups.parnames) if name == "DATE") - 2400000.5
        )
        assert np.abs(modified * 86400.0 - data.time).max() < 1e-4
        assert np.array_equal(groups.par("BASELINE"), 256 * (data.antenna1 + 1) + data.antenna2 + 1)
        values = groups.data.reshape(len(data), 2, 3)
        assert np.allclose(values[..., 0] + 1j * values[..., 1], data.vis[:, None], atol=1e-7)
        assert np.allclose(values[..., 2].sum(axis=1), data.weight, rtol=1e-6)
        assert header["CRVAL3"] == -5.0 and header["CRVAL4"] == 3.4e11
        assert file["AIPS FQ"].data["CH WIDTH"].item() == 1e8 and file["AIPS AN"].data["DIAMETER"][0] == 12.0


def test_uvfits_of_dishes_of_two_kinds(tmp_path):
    beam = MixedBeam((GaussianBeam(7.0), GaussianBeam(12.0)), (0, 1, 1, 0, 1))
    data = observation(primary_beam=beam)
    data.write(tmp_path / "a.uvfits")
    again = uvl.read(tmp_path / "a.uvfits").primary_beam
    assert again.beams == beam.beams and again.kind[1:] == beam.kind
    with pytest.warns(UVLensWarning, match="no place in UVFITS"):
        observation(primary_beam=FixedBeam(20.0)).write(tmp_path / "b.uvfits")


def test_uvfits_without_antennas_times_and_centre_says_so(tmp_path):
    data = bare(frequency=observation().frequency).unflagged()
    data.write(tmp_path / "a.uvfits", precision="double")
    again = uvl.read(tmp_path / "a.uvfits").unflagged()
    assert again.antenna1 is None and again.time is None and again.phase_center is None and again.w is None
    assert again.primary_beam is None and again.interval is None
    order, other = (np.lexsort((one.frequency, one.v, one.u)) for one in (data, again))
    assert len(again) == len(data)
    assert np.allclose(again.vis[other], data.vis[order], atol=1e-12)
    assert np.allclose(again.u[other], data.u[order], rtol=1e-9)


def test_uvfits_of_times_that_count_from_0(tmp_path):
    data = in_order(observation(time=observation().time - 5.2e9))
    data.write(tmp_path / "a.uvfits")
    again = in_order(uvl.read(tmp_path / "a.uvfits"))
    assert np.abs(again.time - data.time).max() < 2e-6
    assert fits.getheader(tmp_path / "a.uvfits")["DATE-OBS"].startswith("2000-01-01")


def test_uvfits_of_several_fields(tmp_path):
    field = np.where(np.arange(240) < 120, 0, 4)
    data = observation(field=field)
    data.write(tmp_path / "a.uvfits")
    refused(tmp_path / "a.uvfits", r"1 \(FIELD0\), 5 \(FIELD4\)")
    again = uvl.read(tmp_path / "a.uvfits", field="FIELD4")
    assert len(again) == 120 and again.phase_center == (84.5, -50.5)
    wanted = data.select(field == 4).unflagged()
    assert_same(in_order(again.unflagged()), in_order(wanted), ("u", "v", "vis"), 1e-7)


def test_uvfits_pads_what_is_missing_and_keeps_what_is_twice(tmp_path):
    data = observation()
    keep = np.ones(len(data), bool)
    keep[1] = False  # a channel of a row
    keep = np.r_[np.flatnonzero(keep), 5]  # and a visibility twice
    part = data.select(keep)
    part.write(tmp_path / "a.uvfits", precision="double")
    good = uvl.read(tmp_path / "a.uvfits").unflagged()
    wanted = part.unflagged()
    assert len(good) == len(wanted)
    assert np.isclose(good.weight.sum(), wanted.weight.sum(), rtol=1e-14)
    assert np.abs(good.vis - point(good.u, good.v)).max() < 1e-12
    gap = data.select((data.frequency != 3.401e11) & (data.frequency != 3.501e11))
    gap.write(tmp_path / "b.uvfits")
    assert set(uvl.read(tmp_path / "b.uvfits").frequency) == {3.4e11, 3.402e11, 3.5e11, 3.502e11}


def test_uvfits_of_unrelated_frequencies_without_windows_has_an_if_each(tmp_path):
    frequency = np.resize([3.4e11, 3.41e11, 3.55e11, 3.66e11 + 7e4], 240)
    data = bare(frequency=frequency)
    data.write(tmp_path / "a.uvfits")
    again = uvl.read(tmp_path / "a.uvfits").unflagged()
    assert set(again.frequency) == set(frequency[data.weight > 0.0]) and set(again.spw) == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (lambda: bare(), "needs the frequency"),
        (lambda: observation().select(np.arange(240) % 6 != 5), "channel counts .*spw 0: .*--spw"),
        (lambda: observation(frequency=np.tile([1e11, 1.1e11, 1.25e11], 80)), "not equally spaced"),
    ],
)
def test_uvfits_that_cannot_be(tmp_path, data, match):
    with pytest.raises(uvl.InputError, match=match) as caught:
        data().write(tmp_path / "a.uvfits")
    assert not (tmp_path / "a.uvfits").exists() and "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------------------- text tables


def test_uvplot_reads_the_columns_from_the_second_line(tmp_path):
    data = observation()
    data.write(tmp_path / "a.txt")
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines[1].split(":\t")[1].split(" ") == ["u", "v", "Re", "Im", "weights", "freqs", "spws"]
    columns = np.loadtxt(tmp_path / "a.txt", unpack=True)
    assert np.array_equal(columns[0], data.u) and np.array_equal(columns[6], data.spw)
    again = uvl.read(tmp_path / "a.txt")
    assert np.array_equal(again.frequency, data.frequency) and np.array_equal(again.spw, data.spw)
    bare().write(tmp_path / "b.txt")
    assert (tmp_path / "b.txt").read_text().splitlines()[1].endswith("Columns:\tu v Re Im weights")


def test_uvplot_with_a_json_header(tmp_path):
    """As its save_ascii_uvtable writes it: seven columns, tabs, spectral windows as floats."""
    data = observation()
    columns = [data.u, data.v, data.vis.real, data.vis.imag, data.weight, data.frequency, data.spw]
    header = {
        "columns": ["u", "v", "Re", "Im", "weights", "freqs", "spws"],
        "units": ["lambda", "lambda", "Jy", "None", "Hz"],
    }
    np.savetxt(tmp_path / "a.txt", np.stack(columns, 1), fmt="%.17e", delimiter="\t", header=json.dumps(header))
    assert_same(uvl.read(tmp_path / "a.txt"), data, ("u", "v", "vis", "weight", "frequency", "spw"))
    header["columns"] = ["u", "v", "Re", "Im", "freqs", "weights", "spws"]
    np.savetxt(tmp_path / "b.txt", np.stack(columns, 1), header=json.dumps(header))
    refused(tmp_path / "b.txt", "lists columns u v Re Im freqs")


def test_uvplot_with_complex_visibilities(tmp_path):
    data = observation()
    columns = [data.u, data.v, data.vis, data.weight, data.frequency, data.spw]
    header = "Extracted\nColumns:\tu v V weights freqs spws\nu [lambda]"
    rows = "\n".join(
        f"{u!r} {v!r} ({vis.real!r}{vis.imag:+.17g}j) {w!r} {nu!r} {spw}"
        for u, v, vis, w, nu, spw in zip(*(column.tolist() for column in columns))
    )
    (tmp_path / "a.txt").write_text("# " + header.replace("\n", "\n# ") + "\n" + rows + "\n")
    again = uvl.read(tmp_path / "a.txt")
    assert_same(again, data, ("u", "v", "vis", "weight", "frequency", "spw"))
    (tmp_path / "a.txt").write_text("1 2 (1+1j) 4 3e11\n1 2 (1+j 4 3e11\n")
    refused(tmp_path / "a.txt", "line 2 is not 5 numbers", uv_unit="lambda")


def test_galario_tables_have_to_say_their_unit(tmp_path):
    data = observation(windows=1, channels=1)
    np.savetxt(tmp_path / "a.txt", np.stack([data.u, data.v, data.vis.real, data.vis.imag, data.weight], 1))
    refused(tmp_path / "a.txt", "uv_unit")
    assert_same(uvl.read(tmp_path / "a.txt", uv_unit="lambda"), data)
    metres = np.stack([data.u * SPEED_OF_LIGHT / 3.4e11, data.v * SPEED_OF_LIGHT / 3.4e11], 1)
    columns = np.column_stack([metres, data.vis.real, data.vis.imag, data.weight])
    np.savetxt(tmp_path / "b.txt", columns, fmt="%.17g")
    result = run("convert", tmp_path / "b.txt", tmp_path / "b.npz")
    assert result.exit_code == 2 and "uv_unit" in result.stderr and not (tmp_path / "b.npz").exists()
    result = run("convert", tmp_path / "b.txt", tmp_path / "b.npz", "--uv-unit", "m", "--frequency", 3.4e11)
    assert result.exit_code == 0, result.stderr
    assert_same(uvl.read(tmp_path / "b.npz"), data, rtol=1e-14)


def test_a_compressed_text_that_is_cut(tmp_path):
    packed = gzip.compress(b"# u [lambda]\n" + b"1e5 2e5 1 0 1\n" * 20_000, mtime=0)
    (tmp_path / "a.txt.gz").write_bytes(packed)
    assert len(uvl.read(tmp_path / "a.txt.gz")) == 20_000
    (tmp_path / "a.txt.gz").write_bytes(packed[: len(packed) // 2])
    refused(tmp_path / "a.txt.gz", "damaged|unpack")


# ----------------------------------------------------------------------------------------- frank, uvplot: .npz


class Bomb:
    """An object whose unpickling would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_uvplot_npz_whose_header_is_a_pickle(tmp_path):
    data = observation()
    arrays = {"u": data.u, "v": data.v, "V": data.vis, "weights": data.weight}
    arrays |= {"freqs": data.frequency, "spws": data.spw}
    header = {"columns": ["u", "v", "V", "weights"], "units": ["lambda", "lambda", "Jy"], "x": Bomb(f"{tmp_path}/bang")}
    np.savez_compressed(tmp_path / "a.npz", **arrays, header=np.array(header, dtype=object))
    again = uvl.read(tmp_path / "a.npz")
    assert_same(again, data, ("u", "v", "vis", "weight", "frequency", "spw"))
    assert not (tmp_path / "bang").exists()
    header["units"][:2] = ["m", "m"]
    scaled = {key: arrays[key] * SPEED_OF_LIGHT / data.frequency for key in "uv"}
    np.savez(tmp_path / "b.npz", **(arrays | scaled), header=np.array(header, dtype=object))
    assert_same(uvl.read(tmp_path / "b.npz"), data, rtol=1e-14)
    np.savez(tmp_path / "c.npz", **(arrays | scaled), header=np.array({"by": "me"}, dtype=object))
    refused(tmp_path / "c.npz", "wavelengths or metres")


def test_frank_npz_with_its_units(tmp_path):
    data = observation()
    arrays = {"u": data.u, "v": data.v, "V": data.vis, "weights": data.weight}
    np.savez(tmp_path / "a.npz", **arrays, units=np.array({"u": "lambda", "v": "lambda"}, dtype=object))
    assert_same(uvl.read(tmp_path / "a.npz"), data)


# ------------------------------------------------------------------------------------- folders and data of others


def write_ripple(folder, data, **changes):
    folder.mkdir()
    pairs = {
        "vis_chan_0": np.stack([data.vis.real, data.vis.imag], 1),
        "sigma_squared_inv": np.stack([data.weight] * 2, 1),
    }
    arrays = {key: getattr(data, key) * SPEED_OF_LIGHT / data.frequency for key in "uv"} | pairs
    arrays |= {"ant1": data.antenna1, "ant2": data.antenna2, "frequencies": data.frequency} | changes
    for name, values in arrays.items():
        if values is not None:
            np.asarray(values, dtype=float).tofile(folder / f"{name}.bin")
    return folder


def test_ripple(tmp_path):
    data = observation()
    again = uvl.read(write_ripple(tmp_path / "a", data))
    assert_same(again, data, ("u", "v", "vis", "weight", "antenna1", "antenna2", "frequency"))
    assert np.abs(again.vis - point(again.u, again.v)).max() < 1e-12
    channel = np.arange(240) % 6
    per_channel = data.frequency[:6]
    again = uvl.read(write_ripple(tmp_path / "b", data, frequencies=per_channel, chan=channel))
    assert_same(again, data, ("u", "frequency"))
    one = observation(windows=1, channels=1)
    again = uvl.read(write_ripple(tmp_path / "c", one, frequencies=None, ant1=None), frequency=3.4e11)
    assert_same(again, one)
    assert again.antenna1 is None
    refused(write_ripple(tmp_path / "d", one, frequencies=None), "frequency=")
    refused(write_ripple(tmp_path / "e", data, frequencies=per_channel), "frequencies.bin has 6")
    refused(write_ripple(tmp_path / "f", data, v=data.v[1:]), "v.bin has 239")
    refused(write_ripple(tmp_path / "g", data, frequencies=[345.0]), "Hz")
    cut = write_ripple(tmp_path / "h", data)
    (cut / "u.bin").write_bytes((cut / "u.bin").read_bytes()[:-3])
    refused(cut, "no float64")


def pyuvimage_window(data, number):
    """Arrays of one spectral window, (channels, rows)."""
    part = data.select(data.spw == number)
    frequency = np.unique(part.frequency)
    shape = (-1, len(frequency))
    metres = [(getattr(part, key) * SPEED_OF_LIGHT / part.frequency).reshape(shape)[:, 0] for key in "uvw"]
    sigma = np.where(part.weight > 0.0, np.where(part.weight > 0.0, part.weight, 1.0) ** -0.5, 1.0).reshape(shape).T
    arrays = {"uvw": np.stack(metres, 1), "frequencies": frequency, "noise_re": sigma, "noise_im": sigma}
    arrays |= {"data_re": part.vis.real.reshape(shape).T, "data_im": part.vis.imag.reshape(shape).T}
    arrays["flags"] = (part.weight == 0.0).reshape(shape).T.astype(np.uint8)
    return arrays | {key: getattr(part, key).reshape(shape)[:, 0] for key in ("antenna1", "antenna2", "time")}


META = {"phase_centre_ra_deg": 84.5, "phase_centre_dec_deg": -50.5, "dish_diameter_m": 12.0}


def test_pyuvimage_files(tmp_path):
    data = observation()
    parts = [data.select(data.spw == number) for number in (0, 1)]
    keys = ("u", "v", "w", "vis", "weight", "frequency", "antenna1", "antenna2", "time")
    np.savez(tmp_path / "one.npz", meta=json.dumps(META | {"spw": 1}), **pyuvimage_window(data, 1))
    again = uvl.read(tmp_path / "one.npz")
    assert_same(again, parts[1], (*keys, "spw"))
    assert np.abs(again.vis - point(again.u, again.v)).max() < 1e-12
    assert again.phase_center == (84.5, -50.5) and again.primary_beam == GaussianBeam(12.0)
    both = {f"spw{i:03d}_{key}": value for i in (0, 1) for key, value in pyuvimage_window(data, i).items()}
    np.savez_compressed(tmp_path / "two.npz", n_spw=2, meta=json.dumps(META | {"spw": [0, 1]}), **both)
    again = uvl.read(tmp_path / "two.npz")
    assert_same(again.select(again.spw == 0), parts[0], keys)
    assert_same(uvl.read(tmp_path / "two.npz", spw=1), parts[1], keys)
    refused(tmp_path / "two.npz", "has 0, 1", spw=7)
    both["spw000_data_re"] = both["spw000_data_re"].T
    np.savez(tmp_path / "bad.npz", n_spw=2, **both)
    refused(tmp_path / "bad.npz", "wanted 3 channels x 40 rows")
    both = pyuvimage_window(data, 0)
    both["noise_re"] = np.zeros_like(both["noise_re"])
    np.savez(tmp_path / "noise.npz", **both)
    refused(tmp_path / "noise.npz", "noise has")


def test_pyuvimage_folders(tmp_path):
    data = observation()
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "meta.json").write_text(json.dumps(META | {"n_spw": 2}))
    for number in (0, 1):
        folder = tmp_path / "set" / f"spw{number:03d}"
        folder.mkdir()
        arrays = pyuvimage_window(data, number)
        for name in ("data", "noise"):
            arrays[name] = np.stack([arrays.pop(f"{name}_re"), arrays.pop(f"{name}_im")], axis=-1)
        for name in ("uvw", "frequencies", "data", "noise", "flags"):
            fits.writeto(folder / f"{name}.fits", arrays[name])
    again = uvl.read(tmp_path / "set")
    assert again.phase_center == (84.5, -50.5) and again.antenna1 is None
    for folder, number in (("set", None), ("set/spw001", 1)):
        again = uvl.read(tmp_path / folder)
        again = again if number else again.select(again.spw == 1)
        assert_same(again, data.select(data.spw == 1), ("u", "v", "vis", "weight", "frequency"))
    fits.writeto(tmp_path / "set" / "spw001" / "data.fits", np.zeros((3, 40)), overwrite=True)
    refused(tmp_path / "set", r"data.fits has shape \(3, 40\)")


def test_mpol_and_visread(tmp_path):
    """Their sign is the conjugate, and the unit has to be said."""
    data = observation(windows=1)
    shape = (3, 40)

    def channels_first(values):
        return values.reshape(40, 3).T

    arrays = {"uu": channels_first(data.u) / 1e3, "vv": channels_first(data.v) / 1e3}
    arrays |= {"data": np.conj(channels_first(data.vis)), "weight": channels_first(data.weight)}
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", "klambda", sign="mpol")
    with pytest.warns(UVLensWarning, match="conjugate"):
        again = uvl.read(tmp_path / "a.npz", uv_unit="klambda")
    assert again.frequency is None
    assert np.allclose(again.u.reshape(shape), channels_first(data.u), rtol=1e-14)
    assert np.abs(again.vis - point(again.u, again.v)).max() < 1e-12
    unconjugated = uvl.read(tmp_path / "a.npz", uv_unit="klambda", sign="casa")
    assert np.array_equal(unconjugated.vis, np.conj(again.vis))
    refused(tmp_path / "a.npz", "sign must be", uv_unit="klambda", sign="pyautolens")
    metres = {key + key: (getattr(data, key) * SPEED_OF_LIGHT / data.frequency).reshape(40, 3)[:, 0] for key in "uv"}
    arrays |= metres | {"frequencies": data.frequency[:3], "flag": channels_first(data.weight == 0.0)}
    arrays |= {"weight": np.full(40, 2.0), "antenna1": data.antenna1[::3], "sign": "mpol", "uv_unit": "m"}
    np.savez(tmp_path / "visread.npz", **arrays)
    again = uvl.read(tmp_path / "visread.npz")
    assert np.abs(again.vis - point(again.u, again.v)).max() < 1e-12
    assert np.array_equal(again.weight == 0.0, channels_first(data.weight == 0.0).ravel())
    assert np.array_equal(again.frequency.reshape(shape)[:, 0], data.frequency[:3])
    result = run("convert", tmp_path / "a.npz", tmp_path / "b.npz", "--uv-unit", "klambda", "--sign", "mpol")
    assert result.exit_code == 0, result.stderr
    assert_same(uvl.read(tmp_path / "b.npz"), uvl.read(tmp_path / "a.npz", uv_unit="klambda", sign="mpol"))


@pytest.mark.parametrize("name", ["pyuvimage", "ripple", "mpol"])
def test_formats_that_are_only_read(tmp_path, name):
    with pytest.raises(uvl.InputError, match="cannot be written"):
        observation().write(tmp_path / "a", format=name)


# -------------------------------------------------------------------------------------------------- command line

CHAIN = ("a.uvfits", "b.npz", "c.txt", "d.bin", "e/", "f.npz")


def test_convert_along_a_chain_of_formats(tmp_path):
    data = observation(primary_beam=None).unflagged()
    data.write(tmp_path / "start.npz")
    last = tmp_path / "start.npz"
    for name in CHAIN:
        result = run("convert", last, f"{tmp_path}/{name}", "--json")
        assert result.exit_code == 0, result.stderr
        last = f"{tmp_path}/{name}"
    again = uvl.read(last).unflagged()
    assert len(again) == len(data)
    assert np.abs(again.vis - point(again.u, again.v)).max() < 1e-6
    assert np.isclose(again.weight.sum(), data.weight.sum(), rtol=1e-6)


def test_convert_with_a_format_and_options_of_out(tmp_path):
    observation().write(tmp_path / "a.npz")
    facts = json.loads(run("convert", tmp_path / "a.npz", tmp_path / "b.txt", "--format", "frank", "--json").stdout)
    assert facts["format"] == "frank" and np.loadtxt(tmp_path / "b.txt").shape == (240, 5)
    assert run("convert", tmp_path / "a.npz", tmp_path / "c.txt", "--out-uv-unit", "m").exit_code == 0
    assert np.abs(np.loadtxt(tmp_path / "c.txt")[:, 0]).max() < 2000.0
    assert run("convert", tmp_path / "a.npz", tmp_path / "d.uvfits", "--precision", "double").exit_code == 0
    assert fits.getheader(tmp_path / "d.uvfits")["BITPIX"] == -64
    assert run("convert", tmp_path / "a.npz", f"{tmp_path}/e/", "--out-sign", "casa").exit_code == 0
    assert fits.getheader(tmp_path / "e" / "data.fits")["UVSIGN"] == "casa"
    assert run("convert", tmp_path / "a.npz", tmp_path / "f.npz", "--telescope", "SMA").exit_code == 0
    with np.load(tmp_path / "f.npz") as file:
        header = json.loads(file["header"].item())
    assert header["telescope"] == "SMA" and header["source"].endswith("a.npz") and header["weight_scale"]
    for options, words in (
        (("x.uvfits", "--out-sign", "casa"), "sign is not an option"),
        (("x.npz", "--format", "hdf"), "format must be one of"),
        (("x.uvlens", "--format", "npz"), "--format"),
        (("x.fits",), "--format"),
    ):
        result = run("convert", tmp_path / "a.npz", tmp_path / options[0], *options[1:])
        assert result.exit_code == 2 and words in result.stderr and not (tmp_path / options[0]).exists()


def test_help_lists_options_by_format():
    text = run("convert", "--help").stdout
    for words in ("frank", "Ripple", "pyuvimage", "MPoL", "galario", "visilens", "--out-uv-unit", "--precision"):
        assert words in text


def test_bad_files_are_one_line_and_nothing_is_written(tmp_path):
    data = observation()
    data.write(tmp_path / "good.uvfits")
    whole = (tmp_path / "good.uvfits").read_bytes()
    bad = {"cut.uvfits": whole[: len(whole) // 3], "header.uvfits": whole[:1000], "empty.npz": b"", "empty.uvfits": b""}
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    (tmp_path / "table.txt").write_text("1e5 2e5 1 0 1\n" * 5)
    arrays = {"u": data.u, "v": data.v, "vis": data.vis}
    np.savez(tmp_path / "flagged.npz", **arrays, weight=np.zeros(240))
    np.savez(tmp_path / "words.npz", **(arrays | {"u": np.array(["a"] * 240)}), weight=np.ones(240))
    hdus = fits.open(tmp_path / "good.uvfits")
    hdus[0].data.data[..., 2] = -1.0
    hdus.writeto(tmp_path / "flagged.uvfits")
    hdus.close()
    for name in (*bad, "folder", "table.txt", "flagged.npz", "words.npz", "flagged.uvfits", "missing.npz"):
        result = run("convert", tmp_path / name, tmp_path / "out.npz")
        assert result.exit_code == 2 and not (tmp_path / "out.npz").exists(), name
        assert str(tmp_path / name) in result.stderr and result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("name", ["a.uvfits", "a.txt.gz", "frank.npz", "ripple", "pyuvimage.npz", "mpol.npz"])
def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path, name):
    """Cut at, or one byte changed at, 25 places each."""
    data, path = observation(times=2), tmp_path / name
    options = {}
    if name == "ripple":
        path = write_ripple(path, data) / "frequencies.bin"
    elif name == "pyuvimage.npz":
        np.savez(path, meta=json.dumps(META), **pyuvimage_window(data, 0))
    elif name == "mpol.npz":
        np.savez(path, uu=data.u, vv=data.v, data=data.vis, weight=data.weight)
        options = {"uv_unit": "lambda", "sign": "mpol"}
    else:
        data.write(path, format="frank" if name == "frank.npz" else None)
    whole = path.read_bytes()
    target = path.parent if name == "ripple" else path
    random = np.random.default_rng(7)
    for place in random.integers(0, len(whole), 25):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        for content in (whole[:place], bytes(flipped)):
            path.write_bytes(content)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    uvl.read(target, **options)
            except uvl.InputError as error:
                assert "\n" not in str(error) and str(tmp_path) in str(error)


# --------------------------------------------------------------------------------------------------- casa-script


def exporter(monkeypatch, open_table):
    """The script as a module, its table tool replaced: `open_table(path)` gives (columns, cell, whole column)."""

    class Tool:
        def open(self, path):
            self.columns, self.cell, self.column = open_table(path)
            self.rows = None

        def colnames(self):
            return list(self.columns)

        def getcol(self, name):
            return np.asarray(self.column(name, self.rows)).T

        def getcell(self, name, row):
            return np.asarray(self.cell(name, row)).T

        def selectrows(self, rows):
            part = Tool()
            part.columns, part.cell, part.column, part.rows = self.columns, self.cell, self.column, rows
            return part

        def close(self):
            pass

    monkeypatch.setitem(sys.modules, "casatools", types.SimpleNamespace(table=Tool))
    return importlib.import_module("uvlens.casa_script_export")


def small_measurement_set():
    """Tables as {name: {column: list of cells}}: windows of 2 and 3 channels, XX XY YX YY, flags of every kind."""
    rng = np.random.default_rng(8)
    main_table = {key: [] for key in ("UVW", "DATA", "FLAG", "WEIGHT", "WEIGHT_SPECTRUM")}
    for row in range(12):
        channels = 2 + row % 2
        main_table["UVW"].append(rng.normal(0.0, 100.0, 3))
        data = rng.normal(size=(channels, 4)) + 1j * rng.normal(size=(channels, 4))
        main_table["DATA"].append(data.astype(np.complex64))
        main_table["FLAG"].append(rng.random((channels, 4)) < 0.1)
        main_table["WEIGHT"].append(rng.uniform(0.5, 2.0, 4).astype(np.float32))
        main_table["WEIGHT_SPECTRUM"].append(rng.uniform(0.5, 2.0, (channels, 4)).astype(np.float32))
    main_table["DATA"][4][0, 0] = np.nan
    main_table["WEIGHT_SPECTRUM"][5][1, 3] = np.inf
    numbers = {"ANTENNA1": [0, 0, 1, 1, 0, 0, 1, 2, 0, 0, 1, 1], "ANTENNA2": [1, 1, 2, 2, 1, 1, 2, 2, 2, 2, 2, 2]}
    numbers |= {"TIME": np.repeat([5e9, 5.1e9], 6), "INTERVAL": [6.0] * 12, "SCAN_NUMBER": [1] * 6 + [2] * 6}
    numbers |= {
        "FIELD_ID": [1] * 10 + [0, 1],
        "DATA_DESC_ID": [0, 1] * 6,
        "FLAG_ROW": [False] * 8 + [True] + [False] * 3,
    }
    return {
        "": main_table | numbers,
        "FIELD": {"NAME": ["CAL", "LENS"], "PHASE_DIR": [np.array([[0.0, 0.0]]), np.array([[-1.0, -0.5]])]},
        "DATA_DESCRIPTION": {"SPECTRAL_WINDOW_ID": [1, 0], "POLARIZATION_ID": [0, 0]},
        "SPECTRAL_WINDOW": {
            "CHAN_FREQ": [np.array([3e11, 3.01e11, 3.02e11]), np.array([3.5e11, 3.49e11])],
            "CHAN_WIDTH": [np.full(3, 1e9), np.full(2, -1e9)],
        },
        "POLARIZATION": {"CORR_TYPE": [np.array([9, 10, 11, 12])]},
        "ANTENNA": {"DISH_DIAMETER": [12.0, 7.0, 12.0]},
        "OBSERVATION": {"TELESCOPE_NAME": ["ALMA"]},
    }


def expected_of(tables, stokes="both"):
    """Loops over rows and channels: (u, v, vis, weight, spw) of field 1, by window, then row, then channel."""
    rows = tables[""]
    found = []
    for description in (0, 1):
        window = tables["DATA_DESCRIPTION"]["SPECTRAL_WINDOW_ID"][description]
        for row in range(12):
            if rows["DATA_DESC_ID"][row] != description or rows["FIELD_ID"][row] != 1 or rows["FLAG_ROW"][row]:
                continue
            if rows["ANTENNA1"][row] == rows["ANTENNA2"][row]:
                continue
            for channel, nu in enumerate(tables["SPECTRAL_WINDOW"]["CHAN_FREQ"][window]):
                total = weight = 0.0
                hands = 0
                for hand in (0, 3):
                    vis, w = rows["DATA"][row][channel, hand], rows["WEIGHT_SPECTRUM"][row][channel, hand]
                    if not rows["FLAG"][row][channel, hand] and np.isfinite(vis) and np.isfinite(w):
                        total, weight, hands = total + complex(vis) * float(w), weight + float(w), hands + 1
                good = hands == 2 or (hands == 1 and stokes == "any")
                u, v = (rows["UVW"][row][i] * nu / 299792458.0 for i in (0, 1))
                found.append((u, v, total / weight if good else 0.0, weight if good else 0.0, window))
    return [np.array(column) for column in zip(*found)]


@pytest.mark.parametrize("stokes", ["both", "any"])
@pytest.mark.parametrize("spectrum", [True, False])
def test_casa_script_against_loops(tmp_path, monkeypatch, stokes, spectrum):
    tables = small_measurement_set()
    if not spectrum:  # the column is there, but its cells are empty
        cells = tables[""]["WEIGHT"]
        expected_tables = tables | {"": tables[""] | {"WEIGHT_SPECTRUM": [np.tile(w, (3, 1)) for w in cells]}}
        tables[""]["WEIGHT_SPECTRUM"] = [None] * 12
    else:
        expected_tables = tables

    def open_table(path):
        table = tables[os.path.basename(path) if not path.endswith(".ms") else ""]

        def column(name, rows):
            cells = [table[name][row] for row in (range(len(table[name])) if rows is None else rows)]
            if len({np.shape(one) for one in cells}) > 1 or any(one is None for one in cells):
                raise RuntimeError("cells of different shape")
            return np.stack([np.asarray(one) for one in cells])

        return table, lambda name, row: table[name][row], column

    script = exporter(monkeypatch, open_table)
    with pytest.raises(ValueError, match=r"0 \(CAL\), 1 \(LENS\)"):
        script.main(["x.ms", str(tmp_path / "a.npz")])
    script.main(["x.ms/", str(tmp_path / "a.npz"), "--field", "LENS", "--stokes", stokes])
    data = uvl.read(tmp_path / "a.npz")
    u, v, vis, weight, spw = expected_of(expected_tables, stokes)
    assert (np.any(weight == 0.0) or stokes == "any") and len(data) == len(u)
    assert np.allclose(data.u, u, rtol=1e-14) and np.allclose(data.v, v, rtol=1e-14)
    assert np.allclose(data.vis, vis, rtol=1e-14) and np.allclose(data.weight, weight, rtol=1e-14)
    assert np.array_equal(data.spw, spw) and set(data.field) == {1} and set(data.scan) == {1, 2}
    assert np.allclose(data.phase_center, (360.0 - np.degrees(1.0), -np.degrees(0.5)))
    assert data.primary_beam == MixedBeam((GaussianBeam(7.0), GaussianBeam(12.0)), (1, 0, 1))
    assert np.all(data.channel_width == 1e9)
    script.main(["x.ms", str(tmp_path / "b.npz"), "--field", "1", "--spw", "0"])
    assert set(uvl.read(tmp_path / "b.npz").spw) == {0}
    for words, match in (
        (["x.ms", "o.npz", "--field", "7"], "no field '7'"),
        (["x.ms", "o.npz", "--field", "1", "--spw", "5"], "it has 0, 1"),
        (["x.ms", "o.npz", "--field", "1", "--column", "MODEL_DATA"], "no column MODEL_DATA"),
        (["x.ms", "o.npz", "--colour", "1"], "--colour"),
        (["x.ms"], "usage"),
    ):
        with pytest.raises(ValueError, match=match):
            script.main(words)


@pytest.mark.parametrize("rows, expected", [(["ALMA", "ACA"], "ALMA"), ([], None), (None, None)])
def test_casa_script_names_the_telescope(monkeypatch, rows, expected):
    """None where OBSERVATION has no row, or is not there."""

    def open_table(path):
        assert os.path.basename(path) == "OBSERVATION"
        if rows is None:
            raise RuntimeError("no such table")
        return {"TELESCOPE_NAME": rows}, lambda *_: None, lambda *_: rows

    assert exporter(monkeypatch, open_table).telescope_of("x.ms") == expected


def test_casa_script_is_printed_and_saved(tmp_path):
    text = run("casa-script").stdout
    assert text == casa_script.script_text() and "def export(" in text
    assert run("casa-script", "--out", tmp_path / "export.py").exit_code == 0
    assert (tmp_path / "export.py").read_text() == text
    result = run("casa-script", "--out", tmp_path / "no" / "export.py")
    assert result.exit_code == 2 and "cannot be written" in result.stderr


def test_casa_script_is_python_2_and_stands_alone():
    """No syntax that Python 2.7 lacks, nothing imported but the standard library, numpy and CASA's tools."""
    text = casa_script.script_text()
    text.encode("ascii")
    tree = ast.parse(text)
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Nonlocal, ast.YieldFrom, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        assert not isinstance(node, newer), ast.dump(node)
        if isinstance(node, ast.FunctionDef):
            assert not node.args.kwonlyargs and not node.args.posonlyargs and node.returns is None
            assert all(argument.annotation is None for argument in node.args.args)
        if isinstance(node, ast.Raise):
            assert node.cause is None
        if isinstance(node, ast.Dict):
            assert None not in node.keys
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            assert not any(isinstance(item, ast.Starred) for item in node.elts)
        if isinstance(node, ast.BinOp):
            assert not isinstance(node.op, ast.MatMult)
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= {"json", "os", "sys", "numpy"}
        if isinstance(node, ast.ImportFrom):
            assert node.module in ("__future__", "casatools", "taskinit", "casac")
    numbers = [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == 2]
    assert not any("_" in number for number in numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        driver = pytest.importorskip("lib2to3.pgen2.driver")
        grammar = importlib.import_module("lib2to3.pygram").python_grammar_no_print_statement
        pytree = importlib.import_module("lib2to3.pytree")
    driver.Driver(grammar, convert=pytree.convert).parse_string(text)


# ----------------------------------------------------------------------------------------------------- real data


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("small", {"field": "LENS1"}),
        ("small", {"field": "1", "spw": "1", "stokes": "any"}),
        ("small", {"field": "1", "column": "MODEL_DATA"}),
        ("sma", {}),
        ("varychan", {}),
        ("wtspec", {}),
        ("point", {"field": "0"}),
    ],
)
def test_casa_script_is_the_reader(casa, tmp_path, monkeypatch, name, options):
    arcae = pytest.importorskip("arcae")

    def open_table(path):
        table = arcae.table(path)

        def column(name, rows):
            return table.getcol(name) if rows is None else table.getcol(name, index=(np.asarray(rows),))

        return table.columns(), lambda name, row: column(name, [row])[0], column

    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    exporter(monkeypatch, open_table).main([str(casa / f"{name}.ms"), str(tmp_path / "a.npz"), *words])
    again = uvl.read(tmp_path / "a.npz")
    monkeypatch.delitem(sys.modules, "casatools")
    data = uvl.read(casa / f"{name}.ms", **(options | ({"spw": int(options["spw"])} if "spw" in options else {})))
    assert_same(again, data, ("u", "v", "w"), 1e-15)
    for key in ("vis", "weight", *OPTIONAL[1:]):
        assert np.array_equal(getattr(again, key), getattr(data, key)), key
    assert again.header() == data.header()


@pytest.mark.realdata
def test_uvfits_of_casa_has_the_times_of_its_measurement_set(casa, data_folder):
    ours, theirs = uvl.read(data_folder / "casa" / "small.uvfits"), uvl.read(casa / "small.ms", field=1)
    assert np.abs(np.unique(ours.time) - np.unique(theirs.time)).max() < 0.01  # day fractions in float32


@pytest.mark.realdata
def test_the_same_data_in_five_formats_have_the_same_evidence(casa, tmp_path):
    """small.ms and what is made of it: ln E at one model, weights as in the file."""
    from uvlens.evaluate import evaluate_file
    from uvlens.modelfile import ModelFile

    text = """
data: [{{file: {}, weights: file, primary_beam: {{gaussian: 16.9}}}}]
image_plane: {{pixel_scale: 0.05, mask: {{disc: {{radius: 1.9}}}}, rays: 2}}
lens:
  mass:
    - {{profile: SIE, theta_E: 1.2, e1: -0.0617978, e2: 0.1070368, center_x: 0.05, center_y: -0.03}}
    - {{profile: Shear, gamma1: 0.025, gamma2: -0.015}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [15, 15], extent: 0.7, center: [0.13, 0.05]}}
    regularization: {{type: gradient, strength: 0.01}}
    positive: true
"""
    measurement_set = casa / "small.ms"
    facts = {}
    for name in ("small.npz", "small.uvfits", "small/", "small.txt", "small.bin"):
        result = run("convert", measurement_set, f"{tmp_path}/{name}", "--field", "LENS1")
        assert result.exit_code == 0, result.stderr
        (tmp_path / "model.yaml").write_text(text.format(tmp_path / name))
        facts[name] = evaluate_file(ModelFile.read(tmp_path / "model.yaml"))
    model = text.replace("weights:", "select: {{field: LENS1}}, weights:")
    (tmp_path / "model.yaml").write_text(model.format(measurement_set))
    wanted = evaluate_file(ModelFile.read(tmp_path / "model.yaml"))
    for name, found in facts.items():
        assert found["n_visibilities"] == wanted["n_visibilities"]
        for key in ("log_evidence", "log_evidence_minus_null"):
            assert abs(found[key] / wanted[key] - 1.0) < 1e-6, (name, key)
