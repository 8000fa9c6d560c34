"""Uniform, Briggs and tapered images: the definition cell by cell, and CASA's own dirty images."""

import numpy as np
import pytest
import reference
from click.testing import CliRunner
from conftest import random_visibilities

import uvlens as uvl
from uvlens.cli import main
from uvlens.grid import PixelGrid
from uvlens.imageweights import image_weights
from uvlens.imaging import make_image

GRID = PixelGrid((40, 32), 0.07)


def cell_sums(u, v, weight):
    """Sum of weights in the cell of each visibility, conjugates included, by a dictionary."""
    step = 0.07 * reference.ARCSEC
    cells = {}
    for sign in (1, -1):
        for k in range(len(u)):
            key = (np.floor(sign * v[k] * 40 * step), np.floor(sign * u[k] * 32 * step))
            cells[key] = cells.get(key, 0.0) + weight[k]
    mine = np.array([cells[(np.floor(v[k] * 40 * step), np.floor(u[k] * 32 * step))] for k in range(len(u))])
    return mine, sum(g**2 for g in cells.values())


@pytest.mark.parametrize("robust", [-2.0, 0.5, 2.0])
def test_briggs_and_uniform_weights_are_the_definition(robust):
    d = random_visibilities(300, seed=4)
    mine, squares = cell_sums(d.u, d.v, d.weight)
    factor = (5.0 * 10.0**-robust) ** 2 / (squares / (2.0 * d.weight.sum()))
    assert np.allclose(image_weights(d.u, d.v, d.weight, GRID, "briggs", robust), d.weight / (1.0 + mine * factor))
    assert np.allclose(image_weights(d.u, d.v, d.weight, GRID, "uniform"), d.weight / mine)
    assert image_weights(d.u, d.v, d.weight, GRID) is d.weight


def test_taper_is_a_gaussian_in_the_image():
    """The weights at u are the transform of a Gaussian of that full width."""
    x = np.linspace(-3.0, 3.0, 6001)
    gaussian = np.exp(-4.0 * np.log(2.0) * (x / 0.4) ** 2)
    u = np.array([0.0, 1e5, 3e5])
    expected = np.trapezoid(gaussian * np.cos(2 * np.pi * u[:, None] * x * reference.ARCSEC), x) / np.trapezoid(
        gaussian, x
    )
    assert np.allclose(image_weights(u, 0 * u, np.ones(3), GRID, taper=0.4), expected, atol=1e-9)


def test_noise_of_a_weighted_image_is_what_noise_does():
    """Rms over realisations of pure noise at one pixel."""
    rng = np.random.default_rng(0)
    d = random_visibilities(200, seed=1)
    image = make_image(d, GRID, "briggs", -0.5)
    weight = image_weights(d.u, d.v, d.weight, GRID, "briggs", -0.5)
    phase = reference.fourier_matrix(d.u, d.v, [0.3], [-0.2])[:, 0]
    noise = (rng.normal(size=(4000, 200)) + 1j * rng.normal(size=(4000, 200))) / np.sqrt(d.weight)
    pixel = (noise * (weight * phase.conj())).real.sum(axis=1) / weight.sum()
    assert np.isclose(pixel.std(), image.noise, rtol=0.05)
    assert image.noise > make_image(d, GRID).noise


@pytest.mark.parametrize("wrong", [{"weighting": "super"}, {"weighting": "briggs", "robust": 3.0}, {"taper": -1.0}])
def test_wrong_settings_are_named(wrong):
    d = random_visibilities(20)
    with pytest.raises(uvl.InputError, match=next(iter(wrong)) if len(wrong) == 1 else "robust"):
        image_weights(d.u, d.v, d.weight, GRID, **wrong)


def test_image_command_takes_a_weighting(tmp_path):
    uvl.write(random_visibilities(100, seed=2), tmp_path / "a.npz")
    sizes = {}
    for weighting in ("natural", "briggs"):
        arguments = ["image", str(tmp_path / "a.npz"), "--out", str(tmp_path / f"{weighting}.fits"), "--json"]
        result = CliRunner().invoke(main, [*arguments, "--weighting", weighting, "--robust", "-1", "--size", "64"])
        assert result.exit_code == 0, result.stderr
        sizes[weighting] = __import__("json").loads(result.stdout)["noise_jy_beam"]
    assert sizes["briggs"] > sizes["natural"]


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "how", "limit"), [("nat", "natural", 5e-4), ("br", "briggs", 2e-3)])
def test_dirty_images_are_casas(data_folder, name, how, limit):
    """The inner 80 % of tclean's dirty images of small.ms, to a fraction of the peak; same orientation and sky."""
    from astropy.io import fits

    folder = data_folder / "casa" / "oracle"
    expected = fits.getdata(folder / f"small_{name}.residual.fits").squeeze()
    data = uvl.read(data_folder / "casa" / "small.uvfits").unflagged()  # weights on another scale: no matter
    scale = 0.025
    ours = make_image(data, PixelGrid((480, 480), scale, (0.5 * scale, -0.5 * scale)), how, 0.5).image[:, ::-1]
    inner = slice(48, 432)
    assert np.abs(ours - expected)[inner, inner].max() < limit * np.abs(expected).max()
