"""Data sets by the sky they see: those of one sky add up, every sky and every separate channel has its own source.

All are brought to one phase centre, that of the first data set that knows its own.
"""

from typing import NamedTuple

import numpy as np

from .data import Visibilities, VisibilityStream, shift_phase_center
from .data.imaging import Imaging
from .data.phaseshift import SAME_CENTER
from .datasection import load_entry
from .errors import InputError
from .grid import Mask
from .imagesection import ImageEntry, load_image_entry
from .subtract import subtract_components
from .wcs import sky_offset

_MOST_CHANNELS = 2000


class ImageSky(NamedTuple):
    """An image, placed in the frame of the fit.

    Attributes:
        name: of the sky.
        imaging: Imaging.
        mask: of the data pixels that are fitted.
        entry: ImageEntry it came from.
    """

    name: str
    imaging: Imaging
    mask: Mask
    entry: ImageEntry

    @property
    def data_sets(self):
        """The one data set."""
        return [self.imaging]


class SkyData(NamedTuple):
    """The data of one sky.

    Attributes:
        name: "" where nothing names it.
        channels: data sets (Visibilities, VisibilityStreams, Reductions) of each channel; one where they are merged.
        frequencies: of the channels [Hz], None where they are merged.
        subtract: what to take out of each of the data sets of a channel, tuples of Component.
    """

    name: str
    channels: tuple[list, ...]
    frequencies: tuple[float, ...] | None
    subtract: tuple[tuple, ...] = ()

    @property
    def data_sets(self):
        """Those of all channels."""
        return [one for channel in self.channels for one in channel]

    @property
    def observations(self):
        """The data sets with their channels put together again, as streams where there are several."""
        if len(self.channels) == 1:
            return list(self.channels[0])
        return [VisibilityStream(list(parts)) for parts in zip(*self.channels)]


def less_components(sky, mask, note=lambda _: None):
    """SkyData without the Components that its items name, fitted channel by channel; `note` gets their fluxes."""
    if not any(sky.subtract):
        return sky
    channels = tuple(
        [subtract_components(data, components, mask, note) for data, components in zip(channel, sky.subtract)]
        for channel in sky.channels
    )
    return sky._replace(channels=channels, subtract=())


def load_skies(entries, note=lambda _: None, image_plane=None):
    """Read the items of `data:`: SkyData and ImageSky in the order of their names' first use.

    Everything is placed about the phase centre of the first visibilities, or the position of the first image where
    there are none.

    Args:
        entries: DataEntry and ImageEntry.
        note: called with one sentence for each choice that was made.
        image_plane: ImagePlane, for the reach of averages and the mask of images.

    Raises:
        InputError: channels of one sky that do not fit together, or what `load_entry` refuses.
    """
    radius = 3.0 if image_plane is None else image_plane.reach()
    seen = [entry for entry in entries if not isinstance(entry, ImageEntry)]
    loaded = [(entry, load_entry(entry, note, radius)) for entry in seen]
    origin = next((one.phase_center for _, sets in loaded for one in sets if one.phase_center is not None), None)
    skies = {}
    for entry, data_sets in loaded:
        data_sets = [_at(origin, one, note) for one in data_sets]
        skies.setdefault(entry.sky, []).append((entry, data_sets))
    found = {name: _sky(name, parts) for name, parts in skies.items()}
    for entry in entries:
        if isinstance(entry, ImageEntry):
            if entry.sky in found:
                what = f"sky {entry.sky!r}" if entry.sky else "no sky"
                raise InputError(f"{entry.file.name}: {what} is taken; give every image a sky of its own")
            imaging, mask = load_image_entry(entry, origin, image_plane, note)
            origin = origin or imaging.reference_position
            found[entry.sky] = ImageSky(entry.sky, imaging, mask, entry)
    return tuple(found[name] for name in dict.fromkeys(entry.sky for entry in entries))


def _at(origin, data, note):
    """Data re-phased to the origin of the fit."""
    if not isinstance(data, Visibilities | VisibilityStream) or origin is None or data.phase_center is None:
        return data
    x, y = sky_offset(*data.phase_center, origin)
    if np.hypot(x, y) >= SAME_CENTER:
        note(f'{data.name}: phase centre moved by {-x:.4g}", {-y:.4g}" (East, North) to that of the first data set')
    return shift_phase_center(data, origin)


def _sky(name, parts):
    what = f"sky {name!r}" if name else "data"
    separate = {entry.separate for entry, _ in parts}
    if len(separate) > 1:
        raise InputError(f"{what}: channels separate in one file and merged in another; give them two skies")
    subtract = tuple(entry.subtract for entry, sets in parts for _ in sets)
    if not separate.pop():
        return SkyData(name, ([one for _, sets in parts for one in sets],), None, subtract)
    cubes = [_channels(one) for _, sets in parts for one in sets]
    frequencies = cubes[0][0]
    width = np.min(np.diff(frequencies)) if len(frequencies) > 1 else np.inf
    for other, _ in cubes[1:]:
        if len(other) != len(frequencies) or np.max(np.abs(np.subtract(other, frequencies))) > 0.5 * width:
            raise InputError(f"{what}: the channels of its files differ; regrid them to the same frequencies")
    channels = tuple([cube[1][i] for cube in cubes] for i in range(len(frequencies)))
    return SkyData(name, channels, tuple(frequencies), subtract)


def _channels(data):
    """(frequencies [Hz], data of each channel)."""
    if not isinstance(data, Visibilities):
        raise InputError(f"{data.name}: separate channels need data that fit in memory: select fewer, or average them")
    if data.frequency is None:
        raise InputError(f"{data.name}: channels: separate needs the frequency of every visibility")
    good = data.unflagged()
    assert good.frequency is not None
    frequencies = np.unique(good.frequency)
    if len(frequencies) > _MOST_CHANNELS:
        raise InputError(f"{data.name}: {len(frequencies):,} different frequencies; select or average channels")
    return frequencies.tolist(), [good.select(good.frequency == frequency) for frequency in frequencies]
