"""Visibilities, their files (signs pinned by an off-centre point source), and the scale of their weights."""

import dataclasses
import os
import pathlib
import warnings

import numpy as np
import pytest

from uvlens.conventions import ARCSEC, SPEED_OF_LIGHT
from uvlens.data import Visibilities, WeightHistogram, apply_weights, read, weight_factor, write
from uvlens.errors import InputError, UVLensWarning

EAST, NORTH, FLUX = 0.7, -0.4, 2.5e-3
NAMES = ("data.npz", "data.txt", "data.dat", "data.bin", "triplet/")


def point_source(u, v):
    return FLUX * np.exp(2j * np.pi * (u * EAST + v * NORTH) * ARCSEC)


def point_data(n=60, **changes):
    random = np.random.default_rng(5)
    u, v = random.normal(0.0, 3e5, (2, n))
    columns = {"u": u, "v": v, "vis": point_source(u, v), "weight": random.uniform(1e4, 4e4, n)}
    return Visibilities(**(columns | changes))


def full_data():
    n = 60
    return point_data(
        antenna1=np.arange(n) % 4,
        antenna2=np.arange(n) % 4 + 1,
        time=5e9 + np.arange(n),
        frequency=np.linspace(2.30e11, 2.32e11, n),
        field=np.zeros(n, int),
        primary_beam=25.3,
        phase_center=(57.2, -52.08),
        name="a name",
    )


def message_of(function, *arguments, **options):
    """The one line of an InputError; anything else fails."""
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def refused(path, **options):
    message = message_of(read, path, **options)
    assert message.startswith(str(path))
    return message


def write_triplet(folder, vis, sigma, uv):
    fits = pytest.importorskip("astropy.io.fits")
    folder.mkdir()
    for name, array in (("data", vis), ("noise_map", sigma), ("uv_wavelengths", uv)):
        fits.PrimaryHDU(np.asarray(array)).writeto(folder / f"{name}.fits")


# ------------------------------------------------------------------------------------------- all formats


@pytest.mark.parametrize("name", NAMES)
def test_round_trip(tmp_path, name):
    data = point_data()
    data.write(f"{tmp_path}/{name}")
    again = Visibilities.read(f"{tmp_path}/{name}")
    for key in ("u", "v", "vis"):
        np.testing.assert_array_equal(getattr(again, key), getattr(data, key))
    np.testing.assert_allclose(again.weight, data.weight, rtol=1e-14)
    assert again.antenna1 is None and again.primary_beam_fwhm is None


@pytest.mark.parametrize("name", NAMES)
def test_an_off_centre_point_source_keeps_its_place(tmp_path, name):
    write(point_data(), f"{tmp_path}/{name}")
    data = read(f"{tmp_path}/{name}")
    np.testing.assert_allclose(data.vis, point_source(data.u, data.v), rtol=0.0, atol=1e-12 * FLUX)


def test_npz_keeps_everything(tmp_path):
    data = full_data()
    data.write(tmp_path / "data.npz")
    again = read(tmp_path / "data.npz")
    for key in ("vis", "weight", "antenna1", "antenna2", "time", "frequency", "field"):
        np.testing.assert_array_equal(getattr(again, key), getattr(data, key))
    for key in ("u", "v"):  # in metres in the file
        np.testing.assert_allclose(getattr(again, key), getattr(data, key), rtol=1e-15)
    assert (again.name, again.primary_beam_fwhm, again.phase_center) == ("a name", 25.3, (57.2, -52.08))


def test_visilens_keeps_antennas_and_primary_beam(tmp_path):
    data = full_data()
    data.write(tmp_path / "data.bin")
    again = read(tmp_path / "data.bin")
    np.testing.assert_array_equal(again.antenna1, data.antenna1)
    np.testing.assert_array_equal(again.antenna2, data.antenna2)
    assert again.primary_beam_fwhm == 25.3
    assert (tmp_path / "data.bin").stat().st_size == (7 * len(data) + 1) * 8


@pytest.mark.parametrize("name", NAMES)
def test_flagged_visibilities(tmp_path, name):
    weight = np.where(np.arange(60) < 5, 0.0, 1e4)
    data = point_data(weight=weight)
    if name == "triplet/":
        with pytest.warns(UVLensWarning, match="5 flagged"):
            data.write(f"{tmp_path}/{name}")
        assert len(read(f"{tmp_path}/{name}")) == 55
    else:
        data.write(f"{tmp_path}/{name}")
        np.testing.assert_array_equal(read(f"{tmp_path}/{name}").weight == 0.0, weight == 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_the_content_decides_not_the_name(tmp_path, name):
    write(point_data(), f"{tmp_path}/{name}")
    (tmp_path / name.rstrip("/")).rename(tmp_path / "anything.ms")
    np.testing.assert_array_equal(read(tmp_path / "anything.ms").u, point_data().u)


def test_writing_by_format_and_to_an_existing_folder(tmp_path):
    write(point_data(), tmp_path / "a", format="visilens")
    assert len(read(tmp_path / "a")) == 60
    (tmp_path / "folder").mkdir()
    write(point_data(), tmp_path / "folder")
    write(point_data(30), tmp_path / "folder")
    assert len(read(tmp_path / "folder")) == 30


def test_names_that_cannot_be_written(tmp_path):
    assert "format=" in message_of(write, point_data(), tmp_path / "a.fits")
    assert "one of" in message_of(write, point_data(), tmp_path / "a.npz", format="hdf")
    assert "measurement set" in message_of(write, point_data(), tmp_path / "a.ms")
    assert "written" in message_of(write, point_data(), tmp_path / "missing" / "a.npz")
    (tmp_path / "file").write_text("x")
    assert "written" in message_of(write, point_data(), tmp_path / "file", format="triplet")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "table.dat").write_bytes(b"x")
    assert "measurement set" in message_of(write, point_data(), tmp_path / "set")


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_named(tmp_path, name):
    path = f"{tmp_path}/{name}"
    assert "colour" in message_of(write, point_data(), path, colour=1)
    write(point_data(), path)
    assert "colour" in message_of(read, path, colour=1)


def test_an_option_of_another_format_is_refused(tmp_path):
    write(point_data(), tmp_path / "a.npz")
    message = refused(tmp_path / "a.npz", sign="casa")
    assert "sign" in message and "npz" in message


def test_what_is_no_visibility_file(tmp_path):
    assert "no such file" in refused(tmp_path / "missing.npz")
    assert "path" in message_of(read, 3)
    (tmp_path / "empty.npz").touch()
    assert "empty" in refused(tmp_path / "empty.npz")
    (tmp_path / "folder").mkdir()
    assert "triplet" in refused(tmp_path / "folder")
    (tmp_path / "garbage.bin").write_bytes(np.random.default_rng(1).bytes((7 * 50 + 1) * 8))
    assert "no format" in refused(tmp_path / "garbage.bin")
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b" + bytes(50))
    assert "unpack" in refused(tmp_path / "a.gz")
    np.save(tmp_path / "a.npy", np.zeros(5))
    assert "single array" in refused(tmp_path / "a.npy")
    (tmp_path / "model.yaml").write_text("data:\n  - file: target.ms\n")
    assert "line" in refused(tmp_path / "model.yaml")


def test_empty_containers_of_known_formats(tmp_path):
    (tmp_path / "target.ms").mkdir()
    (tmp_path / "target.ms" / "table.dat").write_bytes(b"\xbe\xbe\xbe\xbe")
    assert "damaged measurement set" in refused(tmp_path / "target.ms", field=0)
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                  -32",
        "NAXIS   =                    2",
    ]
    cards += [
        "NAXIS1  =                    0",
        "NAXIS2  =                    3",
        "GROUPS  =                    T",
    ]
    block = "".join(card.ljust(80) for card in [*cards, "END"]).ljust(2880).encode()
    (tmp_path / "target.uvfits").write_bytes(block + bytes(2880))
    assert "damaged uvfits" in refused(tmp_path / "target.uvfits")
    (tmp_path / "image.fits").write_bytes(block.replace(b"GROUPS", b"GROAPS") + bytes(2880))
    assert "FITS" in refused(tmp_path / "image.fits")


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_refused_or_read_but_never_crash(tmp_path, name):
    """Cut at, or one byte changed at, 25 places each: what is left may be valid, or must be an InputError."""
    write(full_data() if name != "triplet/" else point_data(), f"{tmp_path}/{name}")
    file = tmp_path / name
    if name == "triplet/":
        file = file / "noise_map.fits"
    whole = file.read_bytes()
    random = np.random.default_rng(7)
    for place in random.integers(0, len(whole), 25):
        flipped = bytearray(whole)
        flipped[place] ^= 0xFF
        for content in (whole[:place], bytes(flipped)):
            file.write_bytes(content)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UVLensWarning)
                    read(f"{tmp_path}/{name}")
            except InputError as error:
                assert str(error).startswith(f"{tmp_path}/{name}".rstrip("/")) and "\n" not in str(error)


@pytest.mark.parametrize("name", ("data.npz", "data.bin", "triplet/"))
def test_truncated_files_are_refused(tmp_path, name):
    write(full_data() if name != "triplet/" else point_data(1000), f"{tmp_path}/{name}")
    file = tmp_path / name if name != "triplet/" else tmp_path / name / "data.fits"
    whole = file.read_bytes()
    for size in (len(whole) // 2, len(whole) - 56 if name == "data.bin" else len(whole) * 3 // 4):
        file.write_bytes(whole[:size])
        refused(pathlib.Path(f"{tmp_path}/{name}"))


# --------------------------------------------------------------------------------------------------- npz


def test_npz_of_others(tmp_path):
    data = full_data()
    sigma = data.weight**-0.5
    np.savez(
        tmp_path / "a.npz",
        u=data.u,
        v=data.v,
        vis=data.vis,
        sigma=sigma,
        ant1=data.antenna1,
        ant2=data.antenna2,
        times=data.time,
        freq=2.3e11,
        pb_fwhm_arcsec=13.0,
        something_else="text",
    )
    again = read(tmp_path / "a.npz")
    np.testing.assert_allclose(again.weight, data.weight, rtol=1e-14)
    np.testing.assert_array_equal(again.antenna2, data.antenna2)
    np.testing.assert_array_equal(again.time, data.time)
    assert np.all(again.frequency == 2.3e11) and again.primary_beam_fwhm == 13.0 and again.name == "a.npz"
    np.savez(tmp_path / "b.npz", u=data.u, v=data.v, V=data.vis, weights=data.weight, flag=data.u > 0.0)
    again = read(tmp_path / "b.npz")
    np.testing.assert_array_equal(again.weight, np.where(data.u > 0.0, 0.0, data.weight))
    np.testing.assert_array_equal(again.vis, data.vis)
    np.savez(tmp_path / "c.npz", u=data.u, v=data.v, re=data.vis.real, im=data.vis.imag, w=data.weight)
    np.testing.assert_array_equal(read(tmp_path / "c.npz").vis, data.vis)


def test_npz_with_sigma_that_flags(tmp_path):
    sigma = np.full(60, 0.01)
    sigma[:2] = 0.0, np.inf
    data = point_data()
    np.savez(tmp_path / "a.npz", u=data.u, v=data.v, vis=data.vis, sigma=sigma)
    np.testing.assert_array_equal(read(tmp_path / "a.npz").weight[:3], [0.0, 0.0, 1e4])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"u": None}, ["no array u", "sigma, v, vis"]),
        ({"vis": None}, ["no array vis", "sigma, u, v"]),
        ({"sigma": None}, ["weight", "sigma", "u, v, vis"]),
        ({"sigma": -np.ones(60)}, ["sigma", "60"]),
        ({"sigma": np.full(60, np.nan)}, ["sigma", "NaN"]),
        ({"v": np.zeros(59)}, ["v has 59", "60"]),
        ({"vis": np.zeros((60, 1), complex)}, ["vis", "(60, 1)"]),
        ({"vis": np.array(["a"] * 60)}, ["vis", "complex"]),
        ({"u": np.array([object()] * 60)}, ["allow_pickle"]),
        ({"ant1": np.full(60, 0.5)}, ["antenna1", "whole"]),
        ({"flag": np.zeros(60)}, ["flag"]),
        ({"header": np.array("{}")}, ["header"]),
        ({"header": np.array("metres")}, ["header"]),
        ({"header": np.array('{"format": "uvlens", "version": 99, "sign": "casa"}')}, ["99"]),
    ],
)
def test_npz_errors(tmp_path, changes, words):
    data = point_data()
    arrays = {"u": data.u, "v": data.v, "vis": data.vis, "sigma": data.weight**-0.5} | changes
    np.savez(tmp_path / "a.npz", **{key: value for key, value in arrays.items() if value is not None})
    message = refused(tmp_path / "a.npz")
    assert all(word in message for word in words), message


# ----------------------------------------------------------------------------------------------- triplet


def test_triplet_content_follows_pyautolens_formula(tmp_path):
    """V = sum I exp(-2 pi i (u x + v y)), x to the West, y to the North."""
    fits = pytest.importorskip("astropy.io.fits")
    write(point_data(), tmp_path / "a/", format="triplet")
    uv, vis = (fits.getdata(tmp_path / "a" / f"{name}.fits") for name in ("uv_wavelengths", "data"))
    sigma, header = fits.getdata(tmp_path / "a" / "noise_map.fits", header=True)
    x, y = -EAST * ARCSEC, NORTH * ARCSEC
    expected = FLUX * np.exp(-2j * np.pi * (uv[:, 0] * x + uv[:, 1] * y))
    np.testing.assert_allclose(vis[:, 0] + 1j * vis[:, 1], expected, rtol=0.0, atol=1e-12 * FLUX)
    assert uv.shape == vis.shape == sigma.shape == (60, 2) and header["UVSIGN"] == "pyautolens"


def test_triplet_sign(tmp_path):
    data = point_data()
    vis = np.stack([data.vis.real, data.vis.imag], axis=1)
    write_triplet(tmp_path / "a", vis, np.full((60, 2), 0.01), np.stack([data.u, data.v], axis=1))
    message = refused(tmp_path / "a")
    assert 'sign="casa"' in message and 'sign="pyautolens"' in message
    np.testing.assert_array_equal(read(tmp_path / "a", sign="casa").v, data.v)
    np.testing.assert_array_equal(read(tmp_path / "a", sign="pyautolens").v, -data.v)
    assert "sign" in refused(tmp_path / "a", sign="tms")
    write(data, tmp_path / "b/", format="triplet", sign="casa")
    np.testing.assert_array_equal(read(tmp_path / "b", sign="casa").v, data.v)
    assert "UVSIGN" in refused(tmp_path / "b", sign="pyautolens")
    assert "sign" in message_of(write, data, tmp_path / "c/", format="triplet", sign="tms")


def test_triplet_noise(tmp_path):
    data = point_data()
    vis, uv = np.stack([data.vis.real, data.vis.imag], axis=1), np.stack([data.u, data.v], axis=1)
    sigma = np.full((60, 2), 0.01)
    sigma[7] = 0.03, 0.01
    sigma[8] = 1e200
    write_triplet(tmp_path / "a", vis, sigma, uv)
    with pytest.warns(UVLensWarning, match="1 rows"):
        weight = read(tmp_path / "a", sign="casa").weight
    np.testing.assert_allclose(weight[6:9], [1e4, 1 / 5e-4, 0.0], rtol=1e-12)
    for value in (0.0, -0.01, np.nan):
        sigma[7] = value
        write_triplet(tmp_path / f"{value}", vis, sigma, uv)
        assert "noise_map.fits" in refused(tmp_path / f"{value}", sign="casa")


def test_triplet_shapes(tmp_path):
    good = np.ones((60, 2))
    write_triplet(tmp_path / "swapped", good, good, good.T)
    assert "(2, 60)" in refused(tmp_path / "swapped", sign="casa")
    write_triplet(tmp_path / "lengths", good, good[:59], good)
    assert "noise_map.fits has 59" in refused(tmp_path / "lengths", sign="casa")
    write_triplet(tmp_path / "float32", good, good, np.float32(1e9) * good.astype(np.float32))
    assert "float32" in refused(tmp_path / "float32", sign="casa")
    write_triplet(tmp_path / "garbage", good, good, good)
    (tmp_path / "garbage" / "data.fits").write_text("no FITS")
    assert "data.fits" in refused(tmp_path / "garbage", sign="casa")


# ----------------------------------------------------------------------------------------------- uvtable

ROWS = "1e5 -2e5 0.5 0.25 100\n3e5 4e5 0.125 -1 200\n"


def table(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "header",
    [
        "# u [lambda] v [lambda] Re Im w\n",
        "# Columns:\tu[λ]\tv[λ]\tRe(V)[Jy]\tIm(V)[Jy]\tweight\n",
        "# made by somebody\n#\n# Units: lambda\n\n",
        '# {"wle": 1.0, "units": ["lambda", "lambda", "Jy", "Jy", "None"]}\n',
        "# u [lambda]\n# wavelength[m] = 0.00087\n",
        "u(wavelengths) v(wavelengths) Re Im w\n",
    ],
)
def test_uvtable_in_wavelengths(tmp_path, header):
    data = read(table(tmp_path / "a.txt", header + ROWS))
    np.testing.assert_array_equal(data.u, [1e5, 3e5])
    np.testing.assert_array_equal(data.v, [-2e5, 4e5])
    np.testing.assert_array_equal(data.vis, [0.5 + 0.25j, 0.125 - 1j])
    np.testing.assert_array_equal(data.weight, [100, 200])


@pytest.mark.parametrize(
    ("header", "options"),
    [
        ("# Extracted from a.ms.\n# wavelength[m] = 0.001\n# Columns:\tu[m]\tv[m]\n", {}),
        ("# wavelength[m] = 0.001\n", {}),
        ("# Units: m\n", {"wavelength": 0.001}),
        ("# u [m], v [m]\n", {"frequency": SPEED_OF_LIGHT * 1e3}),
        ("", {"uv_unit": "m", "wavelength": 0.001}),
    ],
)
def test_uvtable_in_metres(tmp_path, header, options):
    data = read(table(tmp_path / "a.txt", header + ROWS), **options)
    np.testing.assert_allclose(data.u, [1e8, 3e8], rtol=1e-14)
    np.testing.assert_allclose(data.frequency, SPEED_OF_LIGHT * 1e3, rtol=1e-14)


def test_uvtable_with_a_frequency_per_row(tmp_path):
    rows = "1e3 2e3 1 0 1 1e11 0\n1e3 2e3 1 0 1 2e11 1\n"
    data = read(table(tmp_path / "a.txt", rows), uv_unit="m")
    np.testing.assert_allclose(data.u, 1e3 * np.array([1e11, 2e11]) / SPEED_OF_LIGHT, rtol=1e-14)
    np.testing.assert_array_equal(data.frequency, [1e11, 2e11])
    np.testing.assert_array_equal(read(tmp_path / "a.txt", uv_unit="lambda").u, [1e3, 1e3])
    assert "column 6" in refused(tmp_path / "a.txt", uv_unit="m", frequency=1e11)


def test_uvtable_with_commas_and_remarks(tmp_path):
    text = "u, v, Re, Im, w\n1e5, -2e5, 0.5, 0.25, 100  # first\n\n3e5, 4e5, 0.125, -1, 200\n"
    np.testing.assert_array_equal(read(table(tmp_path / "a.csv", text), uv_unit="lambda").u, [1e5, 3e5])


@pytest.mark.parametrize("frequency", [np.full(60, 2.3e11), np.linspace(2.2e11, 2.4e11, 60), None])
def test_uvtable_written_in_metres(tmp_path, frequency):
    data = point_data(frequency=frequency)
    if frequency is None:
        assert "frequency" in message_of(write, data, tmp_path / "a.txt", uv_unit="m")
        write(data, tmp_path / "a.txt", uv_unit="m", frequency=2.3e11)
    else:
        assert "own" in message_of(write, data, tmp_path / "a.txt", uv_unit="m", frequency=2.3e11)
        write(data, tmp_path / "a.txt", uv_unit="m")
    again = read(tmp_path / "a.txt")
    np.testing.assert_allclose(again.u, data.u, rtol=1e-14)
    np.testing.assert_allclose(again.frequency, 2.3e11 if frequency is None else frequency, rtol=1e-14)
    assert abs(np.loadtxt(tmp_path / "a.txt")[0, 0] - data.u[0] * SPEED_OF_LIGHT / again.frequency[0]) < 1e-9


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (ROWS, {}, ["wavelengths or metres", "uv_unit"]),
        ("# u [klambda]\n" + ROWS, {}, ["klambda"]),
        ("# u [m]\n# units: lambda\n" + ROWS, {}, ["lambda and m"]),
        (ROWS, {"uv_unit": "km"}, ["uv_unit", "km"]),
        ("# u [m]\n" + ROWS, {}, ["frequency="]),
        ("# u [m]\n" + ROWS, {"frequency": 345.0}, ["Hz", "345"]),
        ("# u [m]\n" + ROWS, {"frequency": "high"}, ["Hz"]),
        ("# u [m]\n" + ROWS, {"wavelength": 870.0}, ["metres", "870"]),
        ("# u [m]\n" + ROWS, {"wavelength": 1e-3, "frequency": 3e11}, ["both"]),
        ("# wavelength[m] = unknown\n" + ROWS, {}, ["unknown"]),
        ("# u [lambda]\n\n" + ROWS + "1 2 3 four 5\n", {}, ["line 5", "four"]),
        ("# u [lambda]\n" + ROWS + "1 2 3 4\n", {}, ["line 4", "5 numbers"]),
        ("one 2 3 4 5\n" + ROWS, {"uv_unit": "lambda"}, ["line 1", "one"]),
        ("1 2 3 4\n", {"uv_unit": "lambda"}, ["line 1", "4 columns"]),
        ("# nothing\n", {"uv_unit": "lambda"}, ["no numbers"]),
        (ROWS + "1 2 nan 4 5\n", {"uv_unit": "lambda"}, ["vis", "NaN"]),
        (ROWS + "1 2 3 4 -5\n", {"uv_unit": "lambda"}, ["weight", "negative"]),
    ],
)
def test_uvtable_errors(tmp_path, text, options, words):
    message = refused(table(tmp_path / "a.txt", text), **options)
    assert all(word in message for word in words), message


def test_uvtable_option_against_the_header_is_used_and_said(tmp_path):
    with pytest.warns(UVLensWarning, match="header says m"):
        data = read(table(tmp_path / "a.txt", "# u [m]\n" + ROWS), uv_unit="lambda")
    assert data.u[0] == 1e5


# ---------------------------------------------------------------------------------------------- visilens


def test_visilens_sigma_antennas_and_primary_beam(tmp_path):
    rows = np.ones((7, 20))
    rows[4, :2] = 0.0, np.inf
    rows[5:] = 0.0
    np.append(rows.ravel(), -1.0).tofile(tmp_path / "a.bin")
    data = read(tmp_path / "a.bin")
    np.testing.assert_array_equal(data.weight[:3], [0.0, 0.0, 1.0])
    assert data.primary_beam_fwhm is None and data.antenna1 is None and data.antenna2 is None
    for bad in (-1.0, np.nan):
        rows[4, 5] = bad
        np.append(rows.ravel(), 10.0).tofile(tmp_path / "a.bin")
        assert "sigma has 1" in refused(tmp_path / "a.bin")


# ------------------------------------------------------------------------------------------ Visibilities


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"v": np.zeros(3)}, ["v has 3", "u has 60"]),
        ({"antenna1": np.zeros(3)}, ["antenna1 has 3"]),
        ({"u": np.zeros((6, 10))}, ["u", "(6, 10)"]),
        ({"vis": np.full(60, np.nan)}, ["vis has 60"]),
        ({"u": np.full(60, np.inf)}, ["u has 60"]),
        ({"time": np.full(60, np.nan)}, ["time has 60"]),
        ({"frequency": np.zeros(60)}, ["frequency", "positive"]),
        ({"weight": np.linspace(-1.0, 1.0, 60)}, ["weight has 30", "negative"]),
        ({"weight": np.zeros(60)}, ["all 60", "flagged"]),
        ({"weight": np.ones(60, complex)}, ["weight", "real"]),
        ({"vis": np.array(["1"] * 60)}, ["vis", "complex"]),
        ({"u": np.full(60, 1e9, np.float32)}, ["u is float32"]),
        ({"v": np.full(60, 1e9, ">f4")}, ["v is float32"]),
        ({"antenna2": np.full(60, np.nan)}, ["antenna2", "whole"]),
        ({"primary_beam": -1.0}, ["FWHM"]),
        ({"phase_center": (1.0,)}, ["phase_center"]),
        ({key: np.zeros(0) for key in ("u", "v", "vis", "weight")}, ["no visibilities"]),
    ],
)
def test_visibilities_are_checked_when_made(changes, words):
    message = message_of(point_data, name="mine", **changes)
    assert message.startswith("mine: ") and all(word in message for word in words), message


def test_visibilities_take_float32_that_is_precise_enough():
    data = point_data(u=np.linspace(0.0, 1e5, 60, dtype=np.float32), v=[0] * 60)
    assert data.u.dtype == data.v.dtype == np.float64


def test_selection_and_flags():
    data = full_data()
    part = data.select(data.u > 0.0)
    assert len(part) == np.count_nonzero(data.u > 0.0) == len(part.time) and part.name == data.name
    flagged = point_data(weight=np.where(np.arange(60) < 10, 0.0, 4.0))
    assert len(flagged.unflagged()) == 50 and data.unflagged() is data
    assert flagged.sensitivity == pytest.approx(200.0**-0.5)
    np.testing.assert_array_equal(flagged.with_weights_scaled(2.0).weight, 2.0 * flagged.weight)


# --------------------------------------------------------------------------------------- WeightHistogram


def test_histogram_quantile_is_numpys_weighted_quantile():
    """Within 0.2 %: bins are 0.1 % wide, and neighbours of 20,000 lengths are closer than that."""
    random = np.random.default_rng(3)
    length, weight = random.lognormal(12.0, 0.7, 20_000), random.uniform(0.0, 2.0, 20_000)
    histogram = WeightHistogram.of(length, weight)
    for fraction in (0.1, 0.5, 0.9):
        expected = np.quantile(length, fraction, method="inverted_cdf", weights=weight)
        assert histogram.quantile(fraction) == pytest.approx(expected, rel=2e-3)
    data = Visibilities(length, np.zeros(20_000), np.zeros(20_000), weight)
    assert data.suggested_pixel_scale() == 1.0 / (4.0 * histogram.quantile(0.995) * ARCSEC)


def test_histograms_add():
    random = np.random.default_rng(4)
    length, weight = random.lognormal(12.0, 0.7, 999), random.uniform(0.0, 2.0, 999)
    parts = [WeightHistogram.of(length[i::3], weight[i::3]) for i in range(3)]
    whole, total = WeightHistogram.of(length, weight), parts[0] + parts[1] + parts[2]
    assert total.first == whole.first
    np.testing.assert_allclose(total.weight, whole.weight, rtol=0.0, atol=1e-12)
    apart = WeightHistogram.of(np.array([1e2]), np.ones(1)) + WeightHistogram.of(np.array([1e6]), np.ones(1))
    assert apart.weight.sum() == 2.0 and apart.quantile(0.4) == pytest.approx(1e2, rel=1e-3)


# ----------------------------------------------------------------------------------------------- weights


def noisy_data(misscale=1.0, times=True, n_times=40, sigma=None, seed=11):
    """8 antennas, 2 frequencies, a slowly varying signal far above the noise, rows in time order.

    The weights in the file are `misscale` times too large.
    """
    random = np.random.default_rng(seed)
    first, second = np.triu_indices(8, 1)
    step, baseline, channel = (part.ravel() for part in np.indices((n_times, len(first), 2)))
    true = random.uniform(0.01, 0.03, step.size) if sigma is None else sigma[baseline]
    noise = random.normal(0.0, true, (2, step.size))
    return Visibilities(
        u=1e4 * baseline + step,
        v=1e4 * channel,
        vis=5.0 + 3.0 * channel + baseline + noise[0] + 1j * noise[1],
        weight=misscale / true**2,
        antenna1=first[baseline],
        antenna2=second[baseline],
        time=5e9 + 6.0 * step if times else None,
        frequency=1e11 * (1.0 + channel),
    )


@pytest.mark.parametrize("misscale", [1.0, 2.0, 0.0625])
@pytest.mark.parametrize("times", [True, False])
def test_weight_factor_finds_the_scale(misscale, times):
    factor, relative_error, n = weight_factor(noisy_data(misscale, times))
    assert n == 28 * 2 * (5 * 6 if times else 20)  # five runs of eight less a straight line each, or pairs
    assert relative_error == pytest.approx(n**-0.5)
    assert abs(factor * misscale - 1.0) < 5.0 * relative_error


def test_weight_factor_error_is_the_scatter():
    """Over 200 realisations; the scatter of 200 is known to 5 %, so 20 % is four sigma."""
    found = np.array([weight_factor(noisy_data(n_times=8, seed=seed)) for seed in range(200)])
    assert np.std(found[:, 0]) == pytest.approx(found[0, 1], rel=0.2)
    assert np.mean(found[:, 0]) == pytest.approx(1.0, abs=4.0 * found[0, 1] / 200**0.5 + 2.0 / 336)


def test_weight_factor_ignores_row_order_flags_gaps_and_autocorrelations():
    data = noisy_data(2.0)
    factor, error, _ = weight_factor(data)
    order = np.random.default_rng(2).permutation(len(data))
    assert weight_factor(data.select(order))[0] == pytest.approx(factor, rel=1e-12)
    vis, weight, antenna2 = data.vis.copy(), data.weight.copy(), data.antenna2.copy()
    flagged, auto = slice(0, None, 97), slice(2, None, 97)
    vis[flagged] = vis[auto] = 1e3
    weight[flagged], antenna2[auto] = 0.0, data.antenna1[auto]
    spoilt = dataclasses.replace(data, vis=vis, weight=weight, antenna2=antenna2)
    assert abs(weight_factor(spoilt)[0] - factor) < 2.0 * error
    for step, tolerance in ((16, 1e-9), (17, 3.0 * error)):
        later = data.time - data.time[0] >= 6.0 * step
        gap = dataclasses.replace(data, time=data.time + 3600.0 * later, vis=data.vis + 2.0 * later)
        assert abs(weight_factor(gap)[0] - factor) < tolerance


def test_weight_factor_keeps_fields_apart():
    """Two fields, observed in turn on every baseline, of very different flux."""
    data = noisy_data(n_times=20)
    keys = ("u", "v", "weight", "antenna1", "antenna2", "frequency")
    twice = {key: np.concatenate([getattr(data, key)] * 2) for key in keys}
    vis, time = np.concatenate([data.vis, data.vis + 50.0]), np.concatenate([data.time, data.time + 3.0])
    both = Visibilities(vis=vis, field=np.repeat([0, 1], len(data)), time=time, **twice)
    assert weight_factor(both)[0] == pytest.approx(weight_factor(data)[0], rel=1e-12)


def test_weight_factor_ignores_what_a_huge_sigma_flags():
    data = noisy_data(2.0)
    hidden = np.arange(len(data)) % 5 == 0
    weight, vis = np.where(hidden, 1e-12, data.weight), np.where(hidden, 0.0, data.vis)
    spoilt = dataclasses.replace(data, weight=weight, vis=vis)
    factor, relative_error, _ = weight_factor(spoilt)
    assert abs(2.0 * factor - 1.0) < 4.0 * relative_error
    np.testing.assert_array_less(apply_weights(spoilt, "differences")[0].weight[hidden], 1e-9)


def test_weight_factor_that_cannot_be_estimated():
    assert weight_factor(point_data()) is None
    assert weight_factor(full_data()) is None
    assert weight_factor(full_data().select([0])) is None
    data = noisy_data()
    constant = Visibilities(data.u, data.v, np.ones(len(data)), data.weight, data.antenna1, data.antenna2)
    assert weight_factor(constant) is None


def test_apply_weights():
    data = noisy_data(2.0)
    factor, error, n = weight_factor(data)
    same, sentence = apply_weights(data, "file")
    assert same is data and "file" in sentence
    scaled, sentence = apply_weights(data, "rescale")
    np.testing.assert_array_equal(scaled.weight, data.weight * factor)
    assert sentence == f"weights x {factor:.4g} +- {factor * error:.1g} (true over file, from {n:,} differences)"
    for mode, reason in (("rescale", "antenna"), ("differences", "antenna")):
        with pytest.warns(UVLensWarning, match=reason):
            same, sentence = apply_weights(point_data(), mode)
        assert same.antenna1 is None and "cannot" in sentence
    with pytest.warns(UVLensWarning, match="fewer than 100"):
        apply_weights(full_data(), "rescale")
    assert "median" in message_of(apply_weights, data, "median")


def test_weight_factor_does_not_mind_a_source_that_drifts_or_turns():
    """A drift along the runs leaves nothing; one that no straight line follows falls back to pairs of neighbours."""
    data = noisy_data(sigma=np.full(28, 0.02))
    still, _, n = weight_factor(data)
    step = (data.time - data.time[0]) / 6.0
    drifting = dataclasses.replace(data, vis=data.vis + 0.05 * (1.0 - 2.0j) * step)
    assert weight_factor(drifting)[0] == pytest.approx(still, rel=1e-9)
    turning = dataclasses.replace(data, vis=data.vis + 0.05 * np.exp(0.5j * step))
    factor, _, n_pairs = weight_factor(turning)
    assert n_pairs == 28 * 2 * 20 < n and 0.6 < factor < 0.9


@pytest.mark.parametrize("n_times", [9, 120])
def test_antenna_factors_find_the_noise_of_each_antenna(n_times):
    """Weights wrong by a_i a_j with a from 0.5 to 2: found to their errors, whose scatter is 1."""
    from uvlens.data.scatter import antenna_factors

    true = np.geomspace(0.5, 2.0, 8)[np.random.default_rng(2).permutation(8)]
    data = noisy_data(n_times=n_times)
    wrong = dataclasses.replace(data, weight=data.weight / (true[data.antenna1] * true[data.antenna2]))
    antennas, factors, errors = antenna_factors(wrong)
    assert antennas.tolist() == list(range(8))
    pull = np.log(factors / true) / errors
    assert np.abs(pull).max() < 3.5 and 0.3 < pull.std() < 2.0
    assert errors.max() < 0.6 * n_times**-0.5
    scaled, sentence = apply_weights(wrong, "antennas")
    ratio = scaled.weight / data.weight
    assert np.abs(ratio - 1.0).max() < 8.0 * errors.max() and "a_i a_j" in sentence
    by_window = apply_weights(dataclasses.replace(wrong, spw=(wrong.frequency > 1.5e11).astype(int)), "antennas")[0]
    assert np.abs(by_window.weight / data.weight - 1.0).max() < 12.0 * errors.max()


def test_antennas_without_a_triangle_keep_their_weights():
    data = noisy_data()
    pair = data.select((data.antenna1 == 0) & (data.antenna2 == 1) | (data.antenna1 == 0) & (data.antenna2 == 2))
    with pytest.warns(UVLensWarning, match="tell the antennas apart"):
        same, _ = apply_weights(pair, "antennas")
    assert same is pair


def test_weights_from_differences_find_the_noise_of_each_baseline():
    """The file knows nothing of the noise; 60 pairs a baseline and frequency give 1 / sigma^2 to 13 %.

    One baseline has too few.
    """
    sigma = np.random.default_rng(1).uniform(0.01, 0.05, 28)
    noisy = noisy_data(n_times=120, sigma=sigma)
    weight = np.ones(len(noisy))
    weight[::101] = 0.0
    few = (noisy.antenna1 == 0) & (noisy.antenna2 == 1) & (noisy.time > noisy.time[0] + 24.0)
    arrays = {key: getattr(noisy, key)[~few] for key in ("u", "v", "vis", "antenna1", "antenna2", "time", "frequency")}
    data = Visibilities(weight=weight[~few], **arrays)
    result, sentence = apply_weights(data, "differences")
    np.testing.assert_array_equal(result.weight == 0.0, data.weight == 0.0)
    first, second = np.triu_indices(8, 1)
    number = np.zeros((8, 8), int)
    number[first, second] = np.arange(28)
    baseline = number[data.antenna1, data.antenna2]
    kept = data.weight > 0.0
    alone = baseline == 0
    ratio = result.weight[kept & ~alone] * sigma[baseline[kept & ~alone]] ** 2
    assert ratio.min() > 0.4 and ratio.max() < 1.7 and abs(ratio.mean() - 1.0) < 0.08
    np.testing.assert_array_equal(result.weight[kept & alone], weight_factor(data)[0])
    assert "27 of 28 baselines" in sentence


# --------------------------------------------------------------------------------------- telescope data


@pytest.fixture(scope="module")
def telescope_data():
    default = pathlib.Path(__file__).parents[1] / ".." / "shared" / "data"
    folder = pathlib.Path(os.environ.get("UVLENS_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no telescope data at {folder} (set UVLENS_DATA)")
    return folder


@pytest.mark.realdata
def test_spt0346(telescope_data):
    data = read(telescope_data / "spt0346" / "SPT0346-52_cont.bin")
    assert len(data) == 21_669 and len(np.unique([data.antenna1, data.antenna2])) == 41
    assert data.primary_beam_fwhm == pytest.approx(42.576, abs=1e-3)
    factor, relative_error, _ = weight_factor(data)
    assert abs(factor - 0.97**-2) < 3.0 * factor * relative_error


@pytest.mark.realdata
def test_spt2319(telescope_data):
    for part in ("continuum", "systemic", "wind"):
        data = read(telescope_data / "spt2319" / f"spt2319_alma_OHabs_{part}.npz")
        factor, relative_error, _ = weight_factor(data)
        assert len(data) == 24_180 and data.primary_beam_fwhm == 13.0
        assert abs(factor - 1.42**-2) < 3.0 * factor * relative_error


@pytest.mark.realdata
def test_atca(telescope_data):
    tracks = [read(path) for path in sorted((telescope_data / "atca").glob("*.bin"))]
    assert len(tracks) == 18 and sum(map(len, tracks)) == 28_120
    factors = np.array([weight_factor(track) for track in tracks])
    assert np.average(factors[:, 0], weights=factors[:, 2]) == pytest.approx(1.0, abs=0.1)


@pytest.mark.realdata
def test_fits_files_among_the_telescope_data(telescope_data):
    assert len(read(telescope_data / "casa" / "small.uvfits")) == 115_584
    assert "FITS" in refused(telescope_data / "sma" / "sma_uv_wavelengths.fits")
