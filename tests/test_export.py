"""Model visibilities: by brute force at any coordinates, and in the files of people who image them elsewhere."""

import dataclasses
import functools
import shutil
import sys
import tarfile

import numpy as np
import pytest
import reference
from astropy.io import fits
from click.testing import CliRunner
from test_model import VECTOR, make_model
from test_ms_write import column, observation
from test_radio_formats import uvfits

import uvlens as uvl
from uvlens.cli import main
from uvlens.conventions import ARCSEC
from uvlens.data import ms_columns
from uvlens.export import _predictor, export
from uvlens.modelfile import ModelFile
from uvlens.prediction import visibilities_of_image
from uvlens.primarybeam import GaussianBeam, beam_of_dishes
from uvlens.skies import SkyData
from uvlens.wcs import sky_offset

_PREDICTOR = functools.cache(_predictor)


@pytest.fixture(autouse=True)
def fits_loaded_once(monkeypatch):
    """Loading a fit compiles its model: seconds."""
    monkeypatch.setattr("uvlens.export._predictor", _PREDICTOR)


def brute_force(image, mask, data, beams, pointing=(0.0, 0.0)):
    """sum_i A_k(x_i) I_i exp(+2 pi i u_k.x_i), each visibility with the beam of its own frequency."""
    phases = reference.fourier_matrix(data.u, data.v, mask.x, mask.y)
    x, y = mask.x - pointing[0], mask.y - pointing[1]
    power = np.array([beam.power(x, y, f) for beam, f in zip(beams, data.frequency)])
    return (phases * power) @ image


def test_predict_is_the_fitted_image_transformed():
    model = make_model(positive=True)
    data = observation(primary_beam=None)
    image = np.asarray(model.invert(VECTOR)[0].image)
    mask = model.normal.mask
    expected = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image
    assert np.abs(uvl.predict(model, VECTOR, data) - expected).max() < 1e-10 * np.abs(expected).max()


def test_beams_of_mixed_dishes_at_their_frequencies_and_pointing(mask):
    """Wide channels and small dishes of two kinds: 1e-6, the tolerance of grouping frequencies."""
    beam = beam_of_dishes([400.0, 250.0, 400.0, 250.0, 250.0])  # a FWHM of half an arcsec
    data = observation(primary_beam=beam, pointing_center=(84.5 + 0.3 / 3600.0, -50.5 + 0.1 / 3600.0))
    image = np.random.default_rng(0).random(mask.n_pixels)
    pointing = sky_offset(*data.pointing_center, data.phase_center)
    beams = [None] * len(data)
    for one, which in beam.groups(data.antenna1, data.antenna2):
        for k in np.flatnonzero(which):
            beams[k] = one
    expected = brute_force(image, mask, data, beams, pointing)
    found = visibilities_of_image(image, mask, data)
    assert np.abs(found - expected).max() < 3e-6 * np.abs(image).sum()
    centred = visibilities_of_image(image, mask, dataclasses.replace(data, pointing_center=None))
    assert np.abs(centred - expected).max() > 1e-2 * np.abs(expected).max()


def test_pixel_window_divides_by_the_response_of_a_pixel(mask):
    data = observation(primary_beam=None)
    image = np.random.default_rng(0).random(mask.n_pixels)
    points = visibilities_of_image(image, mask, data)
    step = mask.grid.pixel_scale * ARCSEC
    response = np.sinc(data.u * step) * np.sinc(data.v * step)
    squares = visibilities_of_image(image, mask, data, pixel_window=True)
    assert np.allclose(squares * response, points, rtol=1e-12)


def test_another_phase_centre_is_another_frame():
    """Every pixel's direction in the frame of the data, sphere and w term included; a pointing a degree away too."""
    mask = uvl.Mask.disc(0.8, 0.12, center=(0.4, -0.2))
    image = np.random.default_rng(0).random(mask.n_pixels)
    data = observation(primary_beam=GaussianBeam(12.0), phase_center=(84.5, -50.5))
    origin = (84.5 - 8.0 / 3600.0, -50.5 + 6.0 / 3600.0)

    def axes(ra, dec):
        a, d = np.deg2rad([ra, dec])
        toward = np.array([np.cos(d) * np.cos(a), np.cos(d) * np.sin(a), np.sin(d)])
        east = np.array([-np.sin(a), np.cos(a), 0.0])
        return np.array([east, np.cross(toward, east), toward])

    l, m = mask.x * ARCSEC, mask.y * ARCSEC
    directions = np.stack([l, m, np.sqrt(1.0 - l**2 - m**2)], axis=1) @ axes(*origin)
    l, m, n = (directions @ axes(*data.phase_center).T).T
    phase = np.outer(data.u, l) + np.outer(data.v, m) + np.outer(data.w, n - 1.0)
    power = np.array([data.primary_beam.power(l / ARCSEC, m / ARCSEC, f) for f in data.frequency])
    expected = (np.exp(2j * np.pi * phase) * power) @ image
    found = visibilities_of_image(image, mask, data, phase_center=origin)
    # w (n - 1) over the mask itself, 2 pi 1e6 (1 arcsec)^2 / 2, is left out as in the fit
    assert np.abs(found - expected).max() < 2e-4 * np.abs(expected).max()
    unshifted = visibilities_of_image(image, mask, data)
    assert np.abs(unshifted - expected).max() > 0.5 * np.abs(expected).max()
    with pytest.raises(uvl.InputError, match="no w"):
        visibilities_of_image(image, mask, dataclasses.replace(data, w=None), phase_center=origin)


MODEL = """
data: [{{file: {file}, weights: file, primary_beam: {beam}{more}}}]
image_plane: {{pixel_scale: 0.07, mask: {{disc: {{radius: 1.1}}}}, rays: 2}}
lens: {{mass: [{{profile: SIE, theta_E: 0.9, e1: 0.1, e2: -0.05, center_x: 0.1, center_y: 0.0}}]}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [8, 8], extent: 0.8}}
    regularization: {{type: gradient, strength: 0.01}}
    positive: true
"""


def fit_folder(folder, file, more="", text=MODEL, beam="none"):
    """What a fit leaves that export needs; (folder, chi^2 of its best model, exact without a primary beam)."""
    folder.mkdir()
    (folder / "best_fit.yaml").write_text(text.format(file=file, more=more, beam=beam))
    (folder / "posterior.nc").touch()
    model_file = ModelFile.read(folder / "best_fit.yaml")
    data_sets = model_file.load_data()
    (sky,) = model_file.build_skies(data_sets, model_file.build_mask(data_sets))
    normal = sky.normal
    normal.reduction.save(folder / "normal.npz", phase_center=normal.reduction.phase_center)
    inversion, _ = model_file.build_model(normal).invert(np.zeros(0))
    return folder, inversion.terms["chi_squared"]


def noisy_set(path, **changes):
    """A measurement set of a point with noise, a tenth of it flagged."""
    data = observation(**changes)
    rng = np.random.default_rng(5)
    noise = (rng.normal(size=len(data)) + 1j * rng.normal(size=len(data))) / np.sqrt(data.weight)
    weight = np.where(rng.random(len(data)) < 0.1, 0.0, data.weight)
    data = dataclasses.replace(data, vis=3.0 * data.vis + noise, weight=weight)
    uvl.write(data, path)
    return data


def chi_squared(data):
    return float(np.sum(data.weight * np.abs(data.vis) ** 2))


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """(measurement set, fit folder, chi^2 of the fit)."""
    pytest.importorskip("arcae")
    folder = tmp_path_factory.mktemp("export")
    noisy_set(folder / "lens.ms")
    return folder / "lens.ms", *fit_folder(folder / "fit", folder / "lens.ms")


def test_a_copy_gets_model_and_residual(fitted, tmp_path):
    source, fit, chi2 = fitted
    facts = export(fit, tmp_path / "out.ms", what="residual")
    assert facts["columns"] == {"MODEL_DATA": "model", "CORRECTED_DATA": "residual"}
    for name in ("DATA", "FLAG", "WEIGHT", "SIGMA", "UVW", "TIME", "FIELD_ID", "INTERVAL", "FLAG_ROW"):
        assert np.array_equal(column(tmp_path / "out.ms", name), column(source, name)), name
    model = column(tmp_path / "out.ms", "MODEL_DATA")
    assert np.array_equal(model[..., 0], model[..., 1]) and facts["n_visibilities"] == model[..., 0].size
    assert np.all(np.abs(model) > 0.0)  # flagged ones are predicted too
    residual = column(tmp_path / "out.ms", "CORRECTED_DATA")
    assert np.abs(residual + model - column(source, "DATA")).max() < 1e-6
    assert np.isclose(chi_squared(uvl.read(tmp_path / "out.ms")), chi2, rtol=1e-6)
    data = dataclasses.replace(uvl.read(tmp_path / "out.ms", column="MODEL_DATA"), primary_beam=None)
    model_file = ModelFile.read(fit / "best_fit.yaml")
    loaded = dataclasses.replace(uvl.read(source), primary_beam=None)
    skies = (SkyData("", ([loaded],), None),)
    lens_model = model_file.build_model(model_file.build_skies(skies, model_file.build_mask(skies)))
    good = data.weight > 0.0
    assert np.abs(uvl.predict(lens_model, np.zeros(0), data) - data.vis)[good].max() < 1e-6
    assert "MODEL_DATA" not in uvl.data.measurement_set.Table(source).columns


def test_a_column_of_the_set_itself(fitted, tmp_path):
    """Twice over, the second time in its place; the rest of the set as before."""
    source, fit, chi2 = fitted
    shutil.copytree(source, tmp_path / "own.ms")
    for what in ("model", "residual"):
        done = run("export", fit, "--data", tmp_path / "own.ms", "--column", "LENS_DATA", "--what", what)
        assert done.exit_code == 0 and "LENS_DATA of" in done.stderr, done.stderr
    assert np.isclose(chi_squared(uvl.read(tmp_path / "own.ms", column="LENS_DATA")), chi2, rtol=1e-6)
    assert np.array_equal(column(tmp_path / "own.ms", "DATA"), column(source, "DATA"))
    assert [path.name for path in tmp_path.iterdir()] == ["own.ms"]


def test_an_interrupted_export_leaves_nothing_behind(fitted, tmp_path, monkeypatch):
    source, fit, _ = fitted
    shutil.copytree(source, tmp_path / "own.ms")
    before = uvl.data.measurement_set.Table(source).columns

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("uvlens.export_set.SetExport._predict", stop)
    for arguments in ((tmp_path / "out.ms",), (None,)):
        with pytest.raises(KeyboardInterrupt):
            export(fit, *arguments, data=tmp_path / "own.ms", column="LENS_DATA")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["own.ms"]
    assert uvl.data.measurement_set.Table(tmp_path / "own.ms").columns == before
    ms_columns._add(tmp_path / "own.ms", [ms_columns.PARTIAL], (4, 2))  # what a kill leaves
    export(fit, data=tmp_path / "own.ms", column="LENS_DATA")
    assert set(uvl.data.measurement_set.Table(tmp_path / "own.ms").columns) == {*before, "LENS_DATA"}


def test_other_fields_and_windows_of_another_length(tmp_path):
    """Only rows of the fitted field change; windows of 3 and 5 channels; two dishes; a phase centre per field."""
    pytest.importorskip("arcae")
    beam = beam_of_dishes([12.0, 7.0, 12.0, 7.0, 7.0])
    lens = noisy_set(tmp_path / "lens.ms", channels=(3, 5), primary_beam=beam)
    both = {key: getattr(lens, key) for key in ("u", "v", "w", "vis", "weight", "antenna1", "antenna2", "time")}
    both |= {key: getattr(lens, key) for key in ("interval", "frequency", "channel_width", "spw", "scan")}
    joined = {key: np.concatenate([values, values]) for key, values in both.items()}
    joined["time"][len(lens) :] += 1e4
    field = np.repeat([1, 0], len(lens))
    uvl.write(uvl.Visibilities(**joined, field=field, **lens.header()), tmp_path / "two.ms")
    fit, chi2 = fit_folder(tmp_path / "fit", tmp_path / "two.ms", ", select: {field: 1}", beam="auto")
    export(fit, tmp_path / "out.ms", what="residual")
    assert np.isclose(chi_squared(uvl.read(tmp_path / "out.ms", field=1)), chi2, rtol=1e-4)  # its beams to 1e-3
    first, last = (uvl.read(tmp_path / name, field=0) for name in ("out.ms", "two.ms"))
    assert np.array_equal(first.vis, last.vis)
    assert np.all(uvl.read(tmp_path / "out.ms", field=0, column="MODEL_DATA").vis == 0.0)


def test_wrong_targets_and_columns_are_one_line(fitted, tmp_path, monkeypatch):
    source, fit, _ = fitted
    shutil.copytree(source, tmp_path / "own.ms")
    (tmp_path / "mine.ms").mkdir()
    (tmp_path / "mine.ms" / "notes.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    own = ["--data", tmp_path / "own.ms"]
    for arguments, message in (
        ([fit], "OUT names what to write"),
        ([fit, source], "OUT names what to write"),
        ([fit, *own, "--column", "DATA"], "never written"),
        ([fit, *own, "--column", "WEIGHT"], "holds no visibilities"),
        ([fit, *own, "--column", "A B"], "no name for a column"),
        ([fit, tmp_path / "nowhere" / "a.ms"], "there is no folder"),
        ([fit, tmp_path / "mine.ms"], "something else is there"),
        ([fit, tmp_path / "a.npz", "--column", "X"], "for a measurement set"),
        ([fit, tmp_path / "a.ms", "--data", tmp_path / "no.ms"], "no such file"),
        ([fit, tmp_path / "a.ms", "--field", "NOPE"], "there is no field"),
        ([tmp_path / "empty", tmp_path / "a.ms"], "no best_fit.yaml"),
    ):
        done = run("export", *arguments)
        assert done.exit_code == 2 and message in done.stderr, (arguments, done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1
    ms_columns._add(tmp_path / "own.ms", ["OTHER"], (7, 2))
    with ms_columns._writable(tmp_path / "own.ms") as table:
        table.putcol("OTHER", np.zeros((60, 7, 2), np.complex64))
    done = run("export", fit, *own, "--column", "OTHER")
    assert done.exit_code == 2 and "cells of shape (7, 2), not (4, 2)" in done.stderr
    ms_columns._drop(tmp_path / "own.ms", ["OTHER", "DATA"])
    done = run("export", fit, tmp_path / "a.ms", *own)
    assert done.exit_code == 2 and "no column DATA" in done.stderr
    monkeypatch.setitem(sys.modules, "arcae", None)
    done = run("export", fit, tmp_path / "a.ms")
    assert done.exit_code == 2 and "pip install arcae" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "mine.ms", "own.ms"]


def test_the_fitted_column_is_not_overwritten_in_place(fitted, tmp_path):
    source, fit, _ = fitted
    shutil.copytree(source, tmp_path / "own.ms")
    export(fit, data=tmp_path / "own.ms", column="CORRECTED_DATA")
    with pytest.raises(uvl.InputError, match="CORRECTED_DATA was fitted and would be lost"):
        export(fit, data=tmp_path / "own.ms", column="CORRECTED_DATA", what="residual")


def test_a_uvfits_copy_differs_in_its_visibilities_alone(tmp_path):
    uvfits(tmp_path / "a.uvfits", sources=("CAL", "LENS"), flagged=[(3, 0, 1, 0)])
    fit, chi2 = fit_folder(tmp_path / "fit", tmp_path / "a.uvfits", ", select: {field: LENS}")
    assert run("export", fit, tmp_path / "b.uvfits", "--what", "residual").exit_code == 0
    assert np.isclose(chi_squared(uvl.read(tmp_path / "b.uvfits", field="LENS")), chi2, rtol=1e-9)
    other, before = (uvl.read(tmp_path / name, field="CAL").vis for name in ("b.uvfits", "a.uvfits"))
    assert np.array_equal(other, before)
    assert run("export", fit, tmp_path / "m.uvfits").exit_code == 0
    residual, model, data = (uvl.read(tmp_path / f"{name}.uvfits", field=2, stokes="any").vis for name in "bma")
    assert np.abs(residual + model - data).max() < 1e-12 and np.abs(model).max() > 0.1
    assert not np.any(uvl.read(tmp_path / "m.uvfits", field="CAL").vis)
    contents = [bytearray((tmp_path / name).read_bytes()) for name in ("a.uvfits", "b.uvfits")]
    with fits.open(tmp_path / "a.uvfits") as file:
        start, header = file.fileinfo(0)["datLoc"], file[0].header
        values = header["GCOUNT"] * (header["PCOUNT"] + 2 * 3 * 2 * 3)
    for content in contents:
        cells = np.frombuffer(content, ">f8", values, start).reshape(header["GCOUNT"], -1)[:, header["PCOUNT"] :]
        cells.reshape(-1, 3)[:, :2] = 0.0 if cells.flags.writeable else None
    assert contents[0][:start] == contents[1][:start]
    parameters, weights = [], []
    for content in contents:
        groups = np.frombuffer(content, ">f8", values, start).reshape(header["GCOUNT"], -1)
        parameters.append(groups[:, : header["PCOUNT"]])
        weights.append(groups[:, header["PCOUNT"] :].reshape(len(groups), -1, 3)[..., 2])
    assert np.array_equal(*parameters) and np.array_equal(*weights)
    assert contents[0][start + 8 * values :] == contents[1][start + 8 * values :]


def test_any_other_format_holds_the_weights_that_were_fitted(tmp_path):
    data = observation()
    uvl.write(data.with_weights_scaled(1e4), tmp_path / "a.npz")
    fit, chi2 = fit_folder(tmp_path / "fit", tmp_path / "a.npz")
    assert run("export", fit, tmp_path / "b.npz", "--what", "residual").exit_code == 0
    assert np.isclose(chi_squared(uvl.read(tmp_path / "b.npz")), chi2, rtol=1e-6)
    assert run("export", fit, tmp_path / "m.txt").exit_code == 0
    assert run("export", fit, tmp_path / "m.what").exit_code == 2
    uvl.write(observation(seed=1), tmp_path / "c.npz")
    text = MODEL.replace("data: [", "data: [{{file: {file}}}, ").replace("{file}", str(tmp_path / "c.npz"), 1)
    several, _ = fit_folder(tmp_path / "several", tmp_path / "a.npz", text=text)
    done = run("export", several, tmp_path / "d.npz")
    assert done.exit_code == 2 and "--data names the file" in done.stderr
    assert run("export", several, tmp_path / "d.npz", "--data", tmp_path / "c.npz").exit_code == 0


def test_a_compressed_data_set_needs_the_file_it_was_made_from(fitted, tmp_path):
    source, _, _ = fitted
    done = run("convert", source, tmp_path / "a.uvlens", "--radius", 1.1, "--pixel-scale", 0.07, "--weights", "file")
    assert done.exit_code == 0, done.stderr
    text = MODEL.replace("image_plane: {{pixel_scale: 0.07, mask: {{disc: {{radius: 1.1}}}}, ", "image_plane: {{")
    fit, chi2 = fit_folder(tmp_path / "fit", tmp_path / "a.uvlens", text=text, beam="auto")
    done = run("export", fit, tmp_path / "out.ms")
    assert done.exit_code == 2 and "--data names the file" in done.stderr
    assert run("export", fit, tmp_path / "out.ms", "--data", source, "--what", "residual").exit_code == 0
    assert np.isclose(chi_squared(uvl.read(tmp_path / "out.ms")), chi2, rtol=1e-4)


@pytest.fixture(scope="module")
def small(data_folder, tmp_path_factory):
    """CASA's measurement set of a lensed arc, unpacked."""
    folder = tmp_path_factory.mktemp("small")
    with tarfile.open(data_folder / "casa" / "small.ms.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "small.ms"


TRUTH = """
data: [{{file: {file}, weights: file, primary_beam: casa12m, select: {{field: LENS1{more}}}}}]
image_plane: {{pixel_scale: 0.05, mask: {{disc: {{radius: 1.9}}}}, pixel_window: true, rays: 4}}
lens:
  mass:
    - {{profile: SIE, theta_E: 1.2, e1: -0.0617978, e2: 0.1070368, center_x: 0.05, center_y: -0.03}}
    - {{profile: Shear, gamma1: 0.025, gamma2: -0.015}}
source:
  pixels:
    mesh: {{type: rectangular, shape: [40, 40], extent: 0.8, center: [0.13, 0.05]}}
    regularization: {{type: gradient, strength: {strength}}}
    positive: true
"""


@pytest.mark.realdata
def test_model_column_is_casas(small, tmp_path):
    """A source fitted to CASA's noise-free MODEL_DATA predicts it: rms 1e-3 of its peak, CASA's degridding error."""
    text = TRUTH.replace("{strength}", "1.0e-5")
    fit, _ = fit_folder(tmp_path / "fit", small, ", column: MODEL_DATA", text)
    export(fit, tmp_path / "out.ms")
    casa, ours = (column(path, "MODEL_DATA") for path in (small, tmp_path / "out.ms"))
    lens = column(small, "FIELD_ID") == 1
    assert np.array_equal(ours[~lens], casa[~lens])  # the calibrator's stays
    peak, off = np.abs(casa[lens]).max(), np.abs(ours - casa)[lens]
    assert np.sqrt(np.mean(off**2)) < 1.2e-3 * peak and off.max() < 7e-3 * peak
    scale = np.sum(ours[lens] * casa[lens].conj()).real / np.sum(np.abs(casa[lens]) ** 2)
    assert abs(scale - 1.0) < 2e-4


@pytest.mark.realdata
def test_residual_of_casas_data_has_the_chi_squared_of_the_fit(small, tmp_path):
    fit, chi2 = fit_folder(tmp_path / "fit", small, "", TRUTH.replace("{strength}", "0.01"))
    export(fit, tmp_path / "out.ms", what="residual")
    assert abs(chi_squared(uvl.read(tmp_path / "out.ms", field=1)) - chi2) < 0.2
    for name in ("DATA", "FLAG", "WEIGHT", "UVW"):
        assert np.array_equal(column(tmp_path / "out.ms", name), column(small, name))


@pytest.mark.realdata
def test_casas_measurement_set_written_again(small, tmp_path):
    """Read, written and read: the same visibilities in the same order."""
    data = uvl.read(small, field=1).unflagged()
    uvl.write(data, tmp_path / "again.ms", telescope="ALMA")
    again = uvl.read(tmp_path / "again.ms").unflagged()
    for key in ("u", "v", "w"):
        assert np.abs(getattr(again, key) - getattr(data, key)).max() <= 1e-12 * np.abs(getattr(data, key)).max()
    assert np.abs(again.vis - data.vis).max() < 1.2e-7 * np.abs(data.vis).max()
    for key in ("antenna1", "antenna2", "time", "interval", "frequency", "channel_width", "field", "spw", "scan"):
        assert np.array_equal(getattr(again, key), getattr(data, key)), key
