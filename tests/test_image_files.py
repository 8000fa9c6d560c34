"""`uvlens image`: where its pixels are, and CASA's own files pixel by pixel."""

import dataclasses

import numpy as np
import pytest
import reference
from astropy.io import fits
from astropy.wcs import WCS
from click.testing import CliRunner

import uvlens as uvl
from uvlens.cli import main
from uvlens.primarybeam import GaussianBeam

CENTER = (84.5, -50.5)


def image(path, out, *options):
    result = CliRunner().invoke(main, ["image", str(path), "--out", str(out), *options])
    assert result.exit_code == 0, result.stderr
    return result


@pytest.mark.parametrize("size", [64, 65])
def test_a_point_is_where_it_is(tmp_path, size):
    """Off-centre by (+0.6", -0.4"): its pixel by the header's coordinates; the beam peaks on the phase centre."""
    rng = np.random.default_rng(0)
    u, v = rng.normal(0.0, 1.5e5, (2, 3000))
    vis = reference.fourier_matrix(u, v, [0.6], [-0.4])[:, 0]
    data = uvl.Visibilities(u, v, vis, np.ones(3000), phase_center=CENTER, frequency=np.full(3000, 3e11))
    data.write(tmp_path / "a.npz")
    image(tmp_path / "a.npz", tmp_path / "a.fits", "--cell", "0.1", "--size", str(size))
    with fits.open(tmp_path / "a.fits") as hdus:
        picture, wcs = hdus[0].data, WCS(hdus[0].header).celestial
    row, column = np.unravel_index(np.argmax(picture), picture.shape)
    position = wcs.pixel_to_world(column, row)
    east = (position.ra.deg - CENTER[0]) * 3600.0 * np.cos(np.deg2rad(CENTER[1]))
    north = (position.dec.deg - CENTER[1]) * 3600.0
    assert abs(east - 0.6) < 1e-3 and abs(north + 0.4) < 1e-3
    assert np.isclose(picture.max(), 1.0, atol=1e-3)
    middle = wcs.world_to_pixel_values(*CENTER)
    assert np.allclose(middle, size // 2, atol=1e-6)  # from 0: CASA's reference pixel
    with fits.open(tmp_path / "a.psf.fits") as hdus:
        psf = hdus[0].data
        peak = np.unravel_index(np.argmax(psf), psf.shape)
        assert psf.shape == picture.shape and peak == (size // 2, size // 2)
        assert np.allclose(WCS(hdus[0].header).celestial.world_to_pixel_values(*CENTER), size // 2, atol=1e-6)


def test_fields_within_a_beam_are_one_mosaic(tmp_path):
    """Two pointings of a UVFITS file 8" apart, a point between them, with its flux over the mosaic's beam."""
    rng, n = np.random.default_rng(1), 1200
    parts = []
    for i, offset in enumerate((-4.0, 4.0)):
        place = (CENTER[0] + offset / 3600.0 / np.cos(np.deg2rad(CENTER[1])), CENTER[1])
        u, v = rng.normal(0.0, 8e4, (2, n))
        power = GaussianBeam(12.0).power(1.0 - offset, 2.0, 3e11)
        vis = power * reference.fourier_matrix(u, v, [1.0 - offset], [2.0])[:, 0]
        parts.append((place, u, v, vis, np.full(n, i + 1)))
    sources = []
    for place, u, v, vis, field in parts:
        one = uvl.Visibilities(
            u,
            v,
            vis,
            np.ones(n),
            np.arange(n) % 7,
            7 + np.arange(n) % 5,
            np.arange(n) * 10.0,
            np.full(n, 3e11),
            field,
            w=0 * u,
            primary_beam=GaussianBeam(12.0),
            phase_center=place,
        )
        sources.append(one)
    # a file of both: two skies of one Visibilities are refused, so the rows of two files are joined
    for i, one in enumerate(sources):
        uvl.write(dataclasses.replace(one, field=None), tmp_path / f"{i}.uvfits")
    joined = join(tmp_path / "0.uvfits", tmp_path / "1.uvfits", tmp_path / "both.uvfits", [s[0] for s in parts])
    result = image(joined, tmp_path / "m.fits", "--cell", "0.25", "--size", "96")
    assert "mosaic of fields" in result.stderr
    picture, beam = fits.getdata(tmp_path / "m.fits"), fits.getdata(tmp_path / "m.pb.fits")
    row, column = np.unravel_index(np.argmax(picture), picture.shape)
    position = WCS(fits.getheader(tmp_path / "m.fits")).celestial.pixel_to_world(column, row)
    origin = parts[0][0]
    east = (position.ra.deg - origin[0]) * 3600.0 * np.cos(np.deg2rad(CENTER[1]))
    assert abs(east - 5.0) < 0.13 and abs((position.dec.deg - CENTER[1]) * 3600.0 - 2.0) < 0.13
    assert np.isclose(picture[row, column] / beam[row, column], 1.0, atol=0.03)


def join(first, second, out, centers):
    """A UVFITS file of two sources from two files of one."""
    with fits.open(first) as a, fits.open(second) as b:
        names = [*a[0].data.parnames, "SOURCE"]
        groups = [a[0].data, b[0].data]
        values = [np.concatenate([g.par(i) for g in groups]) for i in range(len(names) - 1)]
        values.append(np.concatenate([np.full(len(g), i + 1.0) for i, g in enumerate(groups)]))
        data = np.concatenate([g.data for g in groups])
        primary = fits.GroupsHDU(fits.GroupData(data, bitpix=-32, parnames=names, pardata=values))
        for key in a[0].header:
            if key[:5] in ("CTYPE", "CRVAL", "CDELT", "CRPIX"):
                primary.header[key] = a[0].header[key]
        columns = [
            fits.Column("ID. NO.", "1J", array=[1, 2]),
            fits.Column("SOURCE", "16A", array=["P1", "P2"]),
            fits.Column("RAEPO", "1D", array=[c[0] for c in centers]),
            fits.Column("DECEPO", "1D", array=[c[1] for c in centers]),
        ]
        tables = [hdu.copy() for hdu in a[1:]]
        fits.HDUList([primary, *tables, fits.BinTableHDU.from_columns(columns, name="AIPS SU")]).writeto(out)
    return out


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "oracle", "options", "tolerance"),
    [
        ("small", "small_nat", ["--cell", "0.025", "--size", "480"], 5e-4),
        ("small", "small_br", ["--cell", "0.025", "--size", "480", "--weighting", "briggs", "--robust", "0.5"], 2e-3),
        ("aca", "aca_mos", ["--cell", "0.5", "--size", "128", "--primary-beam", "casa7m"], 5e-3),
    ],
)
def test_files_are_casas_pixel_by_pixel(casa, data_folder, tmp_path, name, oracle, options, tolerance):
    """Inner 80 % of small, and of the mosaic what its primary beam sees above 0.3 (CASA's stops short in uv there)."""
    image(casa / f"{name}.ms", tmp_path / "x.fits", *options)
    folder = data_folder / "casa" / "oracle"
    ours, theirs = fits.getdata(tmp_path / "x.fits"), fits.getdata(folder / f"{oracle}.residual.fits").squeeze()
    n = ours.shape[0]
    inside = np.zeros(ours.shape, bool)
    inside[n // 10 : -(n // 10), n // 10 : -(n // 10)] = True
    if name == "aca":
        inside = fits.getdata(folder / "aca_mos.pb.fits").squeeze() > 0.3
    assert np.abs(ours - theirs)[inside].max() < tolerance * np.nanmax(theirs)
    a, b = fits.getheader(tmp_path / "x.fits"), fits.getheader(folder / f"{oracle}.residual.fits")
    for key in ("CRPIX1", "CRPIX2", "CRVAL1", "CRVAL2", "CDELT1", "CDELT2"):
        assert np.isclose(a[key], b[key], rtol=1e-9), key
