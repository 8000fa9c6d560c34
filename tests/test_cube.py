"""A rotating disc and the cube that is observed of it."""

import itertools

import numpy as np
import pytest
import reference
from scipy.integrate import quad

import uvlens as uvl
from uvlens.simulate import RotatingDisc, channel_velocities, observe_cube

DISC = RotatingDisc(2.0, 0.1, inclination=60.0, position_angle=30.0, center=(0.05, -0.02), velocity=20.0)


def test_the_line_has_its_flux():
    """Over the sky and all velocities: 2 Jy km/s, 12 channels."""
    grid = uvl.PixelGrid((400, 400), 0.008)
    edges = np.linspace(-600.0, 600.0, 13)
    total = sum(
        DISC.brightness(*grid.coordinates(), low, high).sum() * grid.pixel_area * (high - low)
        for low, high in itertools.pairwise(edges)
    )
    assert np.isclose(total, 2.0, rtol=2e-3)


def test_a_point_of_the_disc_is_a_gaussian_in_velocity():
    """0.08" along the receding side: its velocity by hand, the channel by quadrature."""
    angle, r = np.deg2rad(30.0), 0.08
    x, y = 0.05 + r * np.sin(angle), -0.02 + r * np.cos(angle)
    speed = 20.0 + 250.0 * 2.0 / np.pi * np.arctan(r / 0.05) * np.sin(np.deg2rad(60.0))
    assert np.isclose(DISC.line_of_sight(x, y)[1], speed)
    surface = 2.0 * np.exp(-r / 0.1) / (2.0 * np.pi * 0.1**2 * np.cos(np.deg2rad(60.0)))
    line = quad(lambda v: np.exp(-0.5 * ((v - speed) / 40.0) ** 2) / (40.0 * np.sqrt(2 * np.pi)), 150.0, 250.0)[0]
    assert np.isclose(DISC.brightness(x, y, 150.0, 250.0), surface * line / 100.0)
    # the other side approaches, the minor axis is at rest
    assert np.isclose(DISC.line_of_sight(0.1 - x, -0.04 - y)[1], 40.0 - speed)
    assert np.isclose(DISC.line_of_sight(0.05 + np.cos(angle), -0.02 - np.sin(angle))[1], 20.0)


def test_channels_are_in_the_order_of_frequency_and_recede_at_low_ones():
    low, high = channel_velocities([100e9], 1e9, 101e9)[0]
    assert np.isclose(0.5 * (low + high), 299792.458 / 101.0) and low < high


def test_every_channel_is_its_own_sky():
    skies = [(np.array([[float(c)]]), 0.1, (0.3, -0.2)) for c in (1, 2, 5)]
    data = observe_cube(
        skies, "sma.compact", seed=1, declination=20.0, hour_angle=(0.0, 0.0), frequency=340e9, bandwidth=3e9,
        sigma=1e-9, primary_beam=False, n_polarizations=2,
    )  # fmt: skip
    assert np.allclose(np.unique(data.frequency), [339e9, 340e9, 341e9]) and len(data) == 3 * 28
    for flux, nu in zip((1, 2, 5), (339e9, 340e9, 341e9)):
        own = data.select(np.isclose(data.frequency, nu))
        expected = flux * reference.fourier_matrix(own.u, own.v, np.array([0.3]), np.array([-0.2]))[:, 0]
        assert np.allclose(own.vis, expected, atol=1e-7)
    with pytest.raises(uvl.InputError, match="at least one channel"):
        observe_cube([], "sma.compact", seed=1)


def test_discs_that_make_no_sense():
    with pytest.raises(uvl.InputError, match="inclination"):
        RotatingDisc(1.0, 0.1, inclination=90.0)
    with pytest.raises(uvl.InputError, match="scale_length"):
        RotatingDisc(1.0, 0.0)
