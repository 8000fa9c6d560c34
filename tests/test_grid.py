"""Grids and masks."""

import numpy as np
import pytest
from astropy.io import fits

import uvlens as uvl


def test_axes_follow_the_convention():
    grid = uvl.PixelGrid((3, 4), 0.5, (1.0, -2.0))
    assert np.allclose(grid.x_axis, 1.0 + np.array([-0.75, -0.25, 0.25, 0.75]))
    assert np.allclose(grid.y_axis, -2.0 + np.array([-0.5, 0.0, 0.5]))
    assert grid.extent == (0.0, 2.0, -2.75, -1.25)


def test_slim_order_is_row_major_and_round_trips(mask):
    x, y = mask.grid.coordinates()
    assert np.array_equal(mask.x, x[mask.kept]) and np.array_equal(mask.y, y[mask.kept])
    slim = np.arange(mask.n_pixels, dtype=float)
    assert np.array_equal(mask.to_image(slim)[mask.kept], slim)
    assert np.all(mask.to_image(slim, outside=-1.0)[~mask.kept] == -1.0)


def test_disc_and_annulus_keep_what_they_say():
    disc = uvl.Mask.disc(1.0, 0.1, center=(0.3, 0.2))
    radius = np.hypot(disc.x - 0.3, disc.y - 0.2)
    assert radius.max() <= 1.0
    assert abs(disc.solid_angle / np.pi - 1.0) < 0.02
    ring = uvl.Mask.annulus(0.5, 1.0, 0.1)
    assert np.hypot(ring.x, ring.y).min() >= 0.5


def test_rays_average_to_the_pixel_centre_and_stay_inside(mask):
    x, y = mask.rays(4)
    assert x.shape == (mask.n_pixels, 16)
    assert np.allclose(x.mean(axis=1), mask.x) and np.allclose(y.mean(axis=1), mask.y)
    assert np.abs(x - mask.x[:, None]).max() < 0.5 * mask.grid.pixel_scale


def test_fits_mask_with_east_to_the_left(tmp_path):
    image = np.zeros((5, 6), dtype=np.int16)
    image[4, 0] = 1  # North, and first column: East in a file with CDELT1 < 0
    header = fits.Header({"CDELT1": -0.1 / 3600, "CDELT2": 0.1 / 3600, "CRPIX1": 3.5, "CRPIX2": 3.0})
    fits.writeto(tmp_path / "mask.fits", image, header)
    mask = uvl.Mask.from_fits(tmp_path / "mask.fits")
    assert mask.n_pixels == 1
    assert np.allclose([mask.x[0], mask.y[0]], [0.25, 0.2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uvl.Mask.disc(0.01, 0.1), "empty"),
        (lambda: uvl.Mask.annulus(2.0, 1.0, 0.1), "inner < outer"),
        (lambda: uvl.Mask.disc(1.0, -0.1), "pixel_scale"),
        (lambda: uvl.Mask.disc(1e4, 0.01), "pixels"),
        (lambda: uvl.Mask.from_array(np.zeros((3, 3)), 0.1), "empty"),
        (lambda: uvl.Mask(uvl.PixelGrid((2, 2), 0.1), np.ones((3, 3), bool)), "shape"),
        (lambda: uvl.Mask.disc(1.0, 0.1).rays(0), "rays"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()
