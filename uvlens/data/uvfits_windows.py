"""Which IF and which channel of a UVFITS file a visibility belongs to."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError

_TOLERANCE = 1e-4
"""Of the channel spacing, by which a channel may be off its place; and 1e-8 of its frequency."""


class Cells(NamedTuple):
    """Place of K visibilities in (IF, channel), and the frequencies of the places.

    Args:
        window, channel: IF and channel of each visibility, from 0, shape (K,).
        first, step: frequency of the first channel and channel spacing of each IF [Hz], shape (n_windows,); a step of
            0 is unknown.
        n_channels: of every IF.
    """

    window: np.ndarray
    channel: np.ndarray
    first: np.ndarray
    step: np.ndarray
    n_channels: int

    @property
    def shape(self):
        """(IFs, channels)."""
        return len(self.first), self.n_channels

    @property
    def number(self):
        """One number a place, shape (K,)."""
        return self.window * self.n_channels + self.channel


def channel_cells(path, data):
    """Cells of visibilities with frequencies.

    Without spectral windows, frequencies at equal distances are the channels of one, and others are IFs of one channel.

    Raises:
        InputError: windows of different channel counts, or one whose channels are not equally spaced.
    """
    numbers = np.zeros(len(data), int) if data.spw is None else data.spw
    spectra = {}
    for number in np.unique(numbers):
        chosen = numbers == number
        spectra[int(number)] = chosen, _spectrum(data.frequency[chosen])
    if data.spw is None and spectra[0][1] is None:
        frequency, window = np.unique(data.frequency, return_inverse=True)
        return Cells(window, np.zeros(len(data), int), frequency, _widths(data, window, len(frequency)), 1)
    for number, (_, spectrum) in spectra.items():
        if spectrum is None:
            what = f"the channels of spectral window {number} are not equally spaced, as UVFITS needs them"
            raise InputError(f"{path}: {what}; write .npz")
    counts = {number: spectrum[2] for number, (_, spectrum) in spectra.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"spw {number}: {count}" for number, count in counts.items())
        what = f"spectral windows of different channel counts ({listed}) do not fit into one UVFITS file"
        raise InputError(f"{path}: {what}; write each to its own, with --spw (spw=)")
    window, channel = np.empty((2, len(data)), int)
    for i, (chosen, (_, _, _, index)) in enumerate(spectra.values()):
        window[chosen], channel[chosen] = i, index
    first, step = (np.array([spectrum[k] for _, spectrum in spectra.values()]) for k in (0, 1))
    widths = _widths(data, window, len(first))
    return Cells(window, channel, first, np.where(step > 0.0, step, widths), max(counts.values()))


def _spectrum(frequency):
    """(first, step, channels, index of each visibility) of equally spaced channels with gaps, or None."""
    different, inverse = np.unique(frequency, return_inverse=True)
    if len(different) == 1:
        return different[0], 0.0, 1, inverse
    step = np.diff(different).min()
    place = np.rint((different - different[0]) / step)
    step = (different[-1] - different[0]) / place[-1]
    place = np.rint((different - different[0]) / step)
    off = np.abs(different[0] + place * step - different).max()
    if (
        off > min(_TOLERANCE * step, 1e-8 * different[0])
        or place[-1] + 1 > 10 * len(different)
        or len(np.unique(place)) < len(place)
    ):
        return None
    return different[0], step, int(place[-1]) + 1, place.astype(int)[inverse]


def _widths(data, window, n_windows):
    """Channel width of each window [Hz], 0 where unknown."""
    if data.channel_width is None:
        return np.zeros(n_windows)
    return np.array([np.median(data.channel_width[window == i]) for i in range(n_windows)])
