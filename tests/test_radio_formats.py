"""Measurement sets and UVFITS: made here with astropy, and CASA's own with what CASA says about them."""

import sys

import numpy as np
import pytest
import reference
from astropy.io import fits
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.data import apply_weights, fields_of
from uvlens.data.correlations import total_intensity, usable_weight

C = 299792458.0
EAST, NORTH = 0.83, -0.41


def uvfits(path, sources=("LENS",), hands=(-5, -6), offsets=(0.0, 4e9), flagged=()):
    """An off-centre point of 1 Jy in two IFs of three channels, in float64 so that nothing is lost; its weights."""
    rng = np.random.default_rng(3)
    rows, channels, first, width = 40, 3, 3.4e11, 5e8
    u, v = rng.uniform(-3e-6, 3e-6, (2, rows))  # seconds
    data = np.zeros((rows, 1, 1, len(offsets), channels, len(hands), 3))
    weight = rng.uniform(0.5, 2.0, (rows, len(offsets), channels, len(hands)))
    for i, offset in enumerate(offsets):
        for k in range(channels):
            frequency = first + offset + (k - 1) * width  # CRPIX 2
            vis = reference.fourier_matrix(u * frequency, v * frequency, [EAST], [NORTH])[:, 0]
            data[:, 0, 0, i, k, :, 0], data[:, 0, 0, i, k, :, 1] = vis.real[:, None], vis.imag[:, None]
    for index in flagged:
        weight[index] *= -1.0
    data[:, 0, 0, :, :, :, 2] = weight
    names = ["UU", "VV", "WW", "BASELINE", "DATE", "DATE"]
    values = [
        u,
        v,
        0 * u,
        np.where(np.arange(rows) % 2, 256 * 1 + 2, 256 * 2 + 7),
        2460000.0 + 0 * u,
        np.arange(rows) / 1e4,
    ]
    if len(sources) > 1:
        names, values = [*names, "SOURCE"], [*values, 1 + np.arange(rows) % len(sources)]
    groups = fits.GroupData(data, bitpix=-64, parnames=names, pardata=values)
    primary = fits.GroupsHDU(groups)
    kinds = [("COMPLEX", 1.0, 1.0, 1.0), ("STOKES", hands[0], hands[1] - hands[0] if len(hands) > 1 else -1.0, 1.0)]
    kinds += [("FREQ", first, width, 2.0), ("IF", 1.0, 1.0, 1.0), ("RA", 84.5, 1.0, 1.0), ("DEC", -50.5, 1.0, 1.0)]
    for axis, (kind, value, step, pixel) in enumerate(kinds, 2):
        for key, entry in (("CTYPE", kind), ("CRVAL", value), ("CDELT", step), ("CRPIX", pixel)):
            primary.header[f"{key}{axis}"] = entry
    primary.header["OBJECT"] = sources[0]
    n = len(offsets)
    columns = [
        fits.Column("FRQSEL", "1J", array=[1]),
        fits.Column("IF FREQ", f"{n}D", array=[list(offsets)]),
        fits.Column("CH WIDTH", f"{n}E", array=[[width] * n]),
    ]
    hdus = [primary, fits.BinTableHDU.from_columns(columns, name="AIPS FQ")]
    hdus.append(fits.BinTableHDU.from_columns([fits.Column("DIAMETER", "1E", array=[12.0, 12.0])], name="AIPS AN"))
    if len(sources) > 1:
        table = [
            fits.Column("ID. NO.", "1J", array=np.arange(len(sources)) + 1),
            fits.Column("SOURCE", "16A", array=list(sources)),
            fits.Column("RAEPO", "1D", array=84.5 + np.arange(len(sources))),
            fits.Column("DECEPO", "1D", array=-50.5 + np.arange(len(sources))),
        ]
        hdus.append(fits.BinTableHDU.from_columns(table, name="AIPS SU"))
    fits.HDUList(hdus).writeto(path, overwrite=True)
    return weight


def point(data):
    """What an off-centre point of 1 Jy has to look like."""
    return reference.fourier_matrix(data.u, data.v, [EAST], [NORTH])[:, 0]


def test_uvfits_has_the_sign_the_units_and_the_frequencies(tmp_path):
    weight = uvfits(tmp_path / "a.uvfits")
    data = uvl.read(tmp_path / "a.uvfits")
    assert len(data) == 40 * 2 * 3
    assert np.abs(data.vis - point(data)).max() < 1e-12
    assert np.allclose(data.weight, weight.sum(axis=-1).ravel())
    assert set(np.unique(data.frequency)) == {3.395e11, 3.4e11, 3.405e11, 3.435e11, 3.44e11, 3.445e11}
    assert data.phase_center == (84.5, -50.5) and set(data.spw) == {0, 1}
    assert {(int(a), int(b)) for a, b in zip(data.antenna1, data.antenna2)} == {(1, 2), (2, 7)}
    expected = 1.13 * C / data.frequency.mean() / 12.0 / reference.ARCSEC
    assert np.isclose(data.primary_beam_fwhm, expected, rtol=1e-3)
    one = uvl.read(tmp_path / "a.uvfits", spw=1)
    assert len(one) == 120 and one.frequency.min() > 3.43e11


def test_stokes_i_needs_both_hands_unless_any_will_do(tmp_path):
    weight = uvfits(tmp_path / "a.uvfits", flagged=[(3, 0, 1, 0), (5, 1, 2, 0), (5, 1, 2, 1)])
    both, either = uvl.read(tmp_path / "a.uvfits"), uvl.read(tmp_path / "a.uvfits", stokes="any")
    assert np.count_nonzero(both.weight == 0.0) == 2 and np.count_nonzero(either.weight == 0.0) == 1
    lone = either.weight.reshape(40, 2, 3)[3, 0, 1]
    assert np.isclose(lone, weight[3, 0, 1, 1])
    with pytest.raises(uvl.InputError, match="both or any"):
        uvl.read(tmp_path / "a.uvfits", stokes="I")


def test_total_intensity_is_the_weighted_mean():
    vis = np.array([[1.0 + 1j, 9.0, 9.0, 3.0 - 1j]])
    mean, weight = total_intensity("x", vis, np.array([[1.0, 5.0, 5.0, 3.0]]), ["RR", "RL", "LR", "LL"], "both")
    assert np.isclose(mean[0], (1.0 + 1j + 3.0 * (3.0 - 1j)) / 4.0) and weight[0] == 4.0
    with pytest.raises(uvl.InputError, match="no parallel hands"):
        total_intensity("x", vis, np.ones((1, 4)), ["XY", "YX", "RL", "LR"], "both")
    bad = usable_weight([np.inf, np.nan, -1.0, 0.0, 2.0, 2.0], np.array([0, 0, 0, 0, 0, 1], bool))
    assert bad.tolist() == [0.0, 0.0, 0.0, 0.0, 2.0, 0.0]


def test_several_sources_have_to_be_named(tmp_path):
    path = tmp_path / "a.uvfits"
    uvfits(path, sources=("CAL", "LENS"))
    assert fields_of(path) == {1: "CAL", 2: "LENS"}
    with pytest.raises(uvl.InputError, match=r"has fields 1 \(CAL\), 2 \(LENS\)"):
        uvl.read(path)
    with pytest.raises(uvl.InputError, match="no field 'X'"):
        uvl.read(path, field="X")
    by_name, by_number = uvl.read(path, field="LENS"), uvl.read(path, field=2)
    assert np.array_equal(by_name.vis, by_number.vis) and by_name.phase_center == (85.5, -49.5)
    result = CliRunner().invoke(main, ["info", str(path), "--json"])
    assert result.exit_code == 0 and '"LENS"' in result.stdout and "--field says another" in result.stdout
    missing = CliRunner().invoke(main, ["info", str(path), "--field", "NO"])
    assert missing.exit_code == 2 and "CAL" in missing.stderr and len(missing.stderr.splitlines()) == 1


def test_uvfits_without_if_axis_or_of_single_hands(tmp_path):
    uvfits(tmp_path / "a.uvfits", hands=(-1,), offsets=(0.0,))
    data = uvl.read(tmp_path / "a.uvfits")
    assert len(data) == 120 and np.abs(data.vis - point(data)).max() < 1e-12


def test_damaged_uvfits_is_one_line(tmp_path):
    uvfits(tmp_path / "a.uvfits")
    content = (tmp_path / "a.uvfits").read_bytes()
    (tmp_path / "cut.uvfits").write_bytes(content[:6000])
    for command in (["info"], ["image", "--out", str(tmp_path / "x.fits")], ["convert"]):
        arguments = [command[0], str(tmp_path / "cut.uvfits"), *command[1:]]
        arguments += [str(tmp_path / "out.npz")] if command[0] == "convert" else []
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2 and len(result.stderr.strip().splitlines()) == 1, result.stderr
    assert not (tmp_path / "out.npz").exists()


def test_uvfits_to_npz_and_compressed(tmp_path):
    uvfits(tmp_path / "a.uvfits")
    for out in ("a.npz", "a.uvlens"):
        arguments = ["convert", str(tmp_path / "a.uvfits"), str(tmp_path / out), "--weights", "file"]
        arguments += ["--radius", "1.5"] if out.endswith("uvlens") else []
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.stderr
    again = uvl.read(tmp_path / "a.npz")
    assert np.array_equal(again.vis, uvl.read(tmp_path / "a.uvfits").vis) and set(again.spw) == {0, 1}


def test_select_in_a_model_file(tmp_path):
    from uvlens.modelfile import ModelFile

    uvfits(tmp_path / "a.uvfits", sources=("CAL", "LENS"))
    text = """
data: [{file: a.uvfits, weights: file, select: {field: LENS, spw: [0], stokes: any, uvrange: [2.0e5, 1.0e6]}}]
lens: {mass: [{profile: SIE, theta_E: 0.5, e1: 0.1, e2: 0.0, center_x: 0.0, center_y: 0.0}]}
source: {pixels: {mesh: {type: rectangular, shape: [8, 8]}, regularization: {type: gradient, strength: 1.0}}}
"""
    (tmp_path / "model.yaml").write_text(text)
    (sky,) = ModelFile.read(tmp_path / "model.yaml").load_data()
    (data,) = sky.data_sets
    assert set(data.spw) == {0} and set(data.field) == {2}
    assert data.uv_distance.min() >= 2e5 and data.uv_distance.max() <= 1e6
    (tmp_path / "model.yaml").write_text(text.replace("stokes", "stoke"))
    with pytest.raises(uvl.InputError, match="stoke"):
        ModelFile.read(tmp_path / "model.yaml")


def test_each_window_gets_its_own_factor():
    """Weights wrong by 4 in one window and right in the other: both right after rescale, and the sentence says so."""
    rng = np.random.default_rng(0)
    n, times = 3, 400
    time, baseline, spw = (a.ravel() for a in np.meshgrid(np.arange(times), np.arange(n), [0, 1], indexing="ij"))
    noise = (rng.normal(size=(2, len(time))) * np.where(spw == 1, 0.5, 1.0)).view(float)
    data = uvl.Visibilities(
        1e4 * (1.0 + baseline),
        0.0 * time,
        noise[0] + 1j * noise[1],
        np.ones(len(time)),
        0 * baseline,
        1 + baseline,
        time,
    )
    from dataclasses import replace

    rescaled, sentence = apply_weights(replace(data, spw=spw), "rescale")
    assert np.allclose(rescaled.weight[spw == 0], 1.0, rtol=0.15)
    assert np.allclose(rescaled.weight[spw == 1], 4.0, rtol=0.15)
    assert "spw 0 x" in sentence and "spw 1 x" in sentence


def test_without_a_casacore_library_the_line_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.ms").mkdir()
    (tmp_path / "a.ms" / "table.dat").write_bytes(b"\xbe\xbe\xbe\xbe")
    for module in ("arcae", "casacore.tables", "casatools"):
        monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(main, ["info", str(tmp_path / "a.ms")])
    assert result.exit_code == 2 and "pip install arcae" in result.stderr


def component(data, flux, x, y, major=0.0, minor=0.0, angle=0.0):
    """A Gaussian [Jy, arcsec, deg East of North], w term of its centre included; a point where it has no width."""
    l, m = x * reference.ARCSEC, y * reference.ARCSEC
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    along = (data.u * sine + data.v * cosine) * major * reference.ARCSEC
    across = (data.u * cosine - data.v * sine) * minor * reference.ARCSEC
    phase = data.u * l + data.v * m + data.w * (np.sqrt(1.0 - l**2 - m**2) - 1.0)
    return flux * np.exp(-(np.pi**2) * (along**2 + across**2) / (4.0 * np.log(2.0)) + 2j * np.pi * phase)


@pytest.mark.realdata
def test_components_of_casa(casa, data_folder):
    """A point and a Gaussian, w term included: to 1e-7 through the set (float32 visibilities), 5e-6 through UVFITS.

    CASA keeps the Gaussian's minor axis and angle with 5e-7 arcsec and 1.4e-5 deg of its own.
    """
    point, gaussian = (uvl.read(casa / "point.ms", field=field) for field in (0, 1))
    assert np.abs(point.vis - component(point, 1.0, 1.0, 0.5)).max() < 1e-7
    stated = component(gaussian, 2.0, -0.4, 0.3, 1.2, 0.6, 40.0)
    assert np.abs(gaussian.vis - stated).max() < 2.0 * 8e-7
    kept = component(gaussian, 2.0, -0.4, 0.3, 1.2 - 6.3e-8, 0.6 + 5.15e-7, 40.0 - 1.415e-5)
    assert np.abs(gaussian.vis - kept).max() < 2.0 * 1e-7
    other = uvl.read(data_folder / "casa" / "point.uvfits")
    assert np.abs(other.vis - component(other, 1.0, 1.0, 0.5)).max() < 5e-6


@pytest.mark.realdata
def test_weights_and_flags_are_casas(casa):
    """Sums of weights as CASA's tclean and apparentsens have them, for both choices of hands; noise per window."""
    both = uvl.read(casa / "small.ms", field="LENS1")
    assert np.isclose(both.weight.sum(), 1.280152758e9, rtol=1e-6) and np.isclose(
        both.sensitivity, 27.949e-6, rtol=1e-4
    )
    assert np.isclose(uvl.read(casa / "small.ms", field=1, stokes="any").weight.sum(), 1.3256736e9, rtol=1e-6)
    for name, field in (("small", 1), ("sma", None)):
        data = uvl.read(casa / f"{name}.ms", field=field)
        for spw in (0, 1):
            assert abs(uvl.weight_factor(data.select(data.spw == spw))[0] - 1.0) < 0.01  # expected error 0.5 %
    assert len(uvl.read(casa / "varychan.ms")) == 4320  # windows of 4 and 20 channels
    assert len(uvl.read(casa / "wtspec.ms")) == 28_896  # WEIGHT_SPECTRUM


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "field"), [("small", 1), ("sma", None), ("aca", 1), ("wtspec", None)])
def test_uvfits_and_measurement_set_hold_the_same_data(casa, data_folder, name, field):
    """Visibilities identical, u to float32, weights up to the number of channels that exportuvfits divides by."""
    ms = uvl.read(casa / f"{name}.ms", field=field).unflagged()
    other = uvl.read(data_folder / "casa" / f"{name}.uvfits").unflagged()

    def order(d):
        first = d.antenna1 - d.antenna1.min(), d.antenna2 - d.antenna1.min()
        return np.lexsort((np.round(d.frequency / 1e6), *first[::-1], np.round(d.time - d.time.min())))

    i, j = order(ms), order(other)
    assert np.array_equal(ms.vis[i].astype(np.complex64), other.vis[j].astype(np.complex64))
    assert np.abs(ms.u[i] - other.u[j]).max() < 1e-7 * np.abs(ms.u).max()
    ratio = ms.weight.sum() / other.weight.sum()
    assert np.isclose(ratio, 1.0 if name == "wtspec" else 4.0, rtol=1e-6)
    assert np.isclose(ms.primary_beam_fwhm, other.primary_beam_fwhm, rtol=1e-6)
    assert np.allclose(ms.phase_center, other.phase_center, atol=1e-6)


@pytest.mark.realdata
def test_info_says_what_exportuvfits_did(data_folder):
    result = CliRunner().invoke(main, ["info", str(data_folder / "casa" / "small.uvfits")])
    assert "divided by the number of channels" in result.stdout


@pytest.mark.realdata
@pytest.mark.parametrize("wrong", [{"field": "NOPE"}, {"spw": 9}, {"column": "CORRECTED_DATA"}, {}])
def test_wrong_choices_list_what_is_there(casa, wrong):
    options = {"field": 1, **wrong} if wrong else {}
    with pytest.raises(uvl.InputError, match=r"LENS1|0 \(B7a\), 1 \(B7b\)|MODEL_DATA"):
        uvl.read(casa / "small.ms", **options)


@pytest.mark.realdata
def test_the_truth_fits_the_measurement_set(casa, tmp_path):
    """CASA's simulated arc at its true lens, read from the raw measurement set; mirrored it does not fit."""
    from uvlens.evaluate import evaluate_file
    from uvlens.modelfile import ModelFile

    text = f"""
data: [{{file: {casa / "small.ms"}, select: {{field: LENS1}}}}]
image_plane: {{pixel_scale: 0.05, mask: {{disc: {{radius: 1.9}}}}, pixel_window: true, rays: 2}}
lens:
  mass:
    - {{profile: SIE, theta_E: 1.2, e1: -0.0617978, e2: 0.1070368, center_x: 0.05, center_y: -0.03}}
    - {{profile: Shear, gamma1: 0.025, gamma2: -0.015}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [30, 30], extent: 0.7, center: [0.13, 0.05]}}
    regularization: {{type: gradient, strength: 0.01}}
    positive: true
"""
    (tmp_path / "model.yaml").write_text(text)
    model_file = ModelFile.read(tmp_path / "model.yaml")
    facts = evaluate_file(model_file)
    expected = facts["n_real_data"] - facts["effective_parameters"]
    assert abs(facts["terms"]["chi_squared"] - expected) < 4.0 * np.sqrt(2.0 * facts["n_real_data"])
    mirrored = evaluate_file(model_file, ["lens.mass.0.e2=-0.1070368", "lens.mass.1.gamma2=0.015"])
    assert mirrored["terms"]["chi_squared"] > facts["terms"]["chi_squared"] + 10_000
