"""Thermal noise of a visibility, from the radiometer equation."""

import numpy as np

from ..errors import InputError
from .checks import positive

BOLTZMANN = 1.380649e-23
"""J/K, exact."""

JANSKY = 1e-26
"""W / m^2 / Hz."""


def visibility_sigma(sefd_jy, channel_width_hz, integration_s, n_polarizations=2, efficiency=1.0):
    """Standard deviation of the real part, and of the imaginary part, of one Stokes I visibility.

        sigma = SEFD / (efficiency sqrt(2 dnu dt)) / sqrt(n_polarizations)

    The product of two noise voltages of bandwidth dnu, averaged over 2 dnu dt independent samples, has a real
    part that scatters by SEFD / sqrt(2 dnu dt), and so has its imaginary part (Wrobel & Walker 1999, ASP 180,
    p. 171). Each of the two parallel hands carries the full Stokes I of an unpolarised source; their mean is
    better by sqrt 2.

    Args:
        sefd_jy: system equivalent flux density of one polarisation; of unlike antennas sqrt(SEFD_i SEFD_j).
        channel_width_hz: dnu.
        integration_s: dt.
        n_polarizations: parallel hands that are averaged, 1 or 2.
        efficiency: of the correlator and its digitisers, 0 < efficiency <= 1.

    Returns:
        Jy, of the shape of `sefd_jy`.

    Raises:
        InputError: a value that is not positive, an efficiency above 1, other than 1 or 2 hands.
    """
    if n_polarizations not in (1, 2):
        raise InputError(f"n_polarizations must be 1 or 2, got {n_polarizations!r}")
    width, time = positive("channel_width_hz", channel_width_hz), positive("integration_s", integration_s)
    samples = 2.0 * width * time * n_polarizations
    return positive("sefd_jy", sefd_jy) / (_efficiency("efficiency", efficiency) * np.sqrt(samples))


def sefd_from_tsys(tsys_k, diameter_m, aperture_efficiency):
    """System equivalent flux density of a dish, 2 k T / (eta A) with A = pi D^2 / 4.

    Args:
        tsys_k: system temperature T, referred to above the atmosphere.
        diameter_m: D.
        aperture_efficiency: eta, 0 < eta <= 1; about 0.7 for ALMA near 345 GHz.

    Returns:
        Jy.

    Raises:
        InputError: a value that is not positive, an efficiency above 1.
    """
    area = 0.25 * np.pi * positive("diameter_m", diameter_m) ** 2
    efficiency = _efficiency("aperture_efficiency", aperture_efficiency)
    return 2.0 * BOLTZMANN * positive("tsys_k", tsys_k) / (efficiency * area) / JANSKY


def _efficiency(name, value):
    if not np.all(positive(name, value) <= 1.0):
        raise InputError(f"{name} must be above 0 and at most 1, got {value!r}")
    return value
