"""Observations of a sky that looks different in every channel."""

import dataclasses

import numpy as np

from ..data.visibilities import Visibilities
from ..errors import InputError
from .observe import _channels, _generator, observe


def observe_cube(skies, array, *, seed, frequency=345e9, bandwidth=7.5e9, **options):
    """Visibilities of C skies, one a channel, ordered by channel.

    Args:
        skies: one for each channel in order of frequency, as for `observe`.
        array, seed, options: as for `observe`; sefd or tsys give every channel the noise of its own width.
        frequency: centre of the band; bandwidth: total, divided equally among the channels [Hz].

    Returns:
        `Visibilities`, with the beam of the middle of the band.

    Raises:
        InputError: no sky, or what `observe` refuses.
    """
    skies = list(skies)
    if not skies:
        raise InputError("a cube needs at least one channel")
    generator = _generator(seed)
    channels, width = _channels(frequency, bandwidth, len(skies))
    parts = [
        observe(sky, array, seed=generator, frequency=nu, bandwidth=width, **options)
        for sky, nu in zip(skies, channels)
    ]
    return dataclasses.replace(parts[len(parts) // 2], **_joined(parts))


def _joined(parts):
    """The arrays of several Visibilities, one after the other, by name."""
    arrays = {}
    for field in dataclasses.fields(Visibilities):
        values = [getattr(part, field.name) for part in parts]
        if all(isinstance(one, np.ndarray) and one.shape == (len(part),) for one, part in zip(values, parts)):
            arrays[field.name] = np.concatenate(values)
    return arrays
