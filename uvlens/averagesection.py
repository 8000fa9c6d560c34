"""`average:` of a data item, and the options of `uvlens convert` that say the same: settings, and what they do."""

import dataclasses
import warnings

from .data.averaging import average, average_baselines, checked_channel_bin, checked_time_bin, stream_correlation
from .data.bins import Sampling
from .data.hanning import channel_correlation
from .data.smearing import bins_for_tolerance, smearing_loss
from .data.stream import VisibilityStream
from .errors import InputError, UVLensWarning
from .schema import Section, as_number

TOLERANCE = 1e-3
"""Loss of amplitude at the edge of the mask up to which `auto` averages."""


@dataclasses.dataclass(frozen=True)
class AverageSettings:
    """How a data set is averaged.

    Attributes:
        time: seconds, "auto" or None.
        channels: number of channels, Hz, "spw", "auto" or None.
        baseline_dependent: whether each baseline has its own bins; time and channels are limits then.
        smearing: the largest loss that may be, or None: TOLERANCE for `auto`, a warning for explicit bins.
        centroid: "weighted", or "all" as CASA: of `average`. Where one channel of four is flagged, the coordinates of
            all four are off by an eighth of the bin: that is a larger error than any smearing allowed here.
    """

    time: float | str | None = None
    channels: int | float | str | None = None
    baseline_dependent: bool = False
    smearing: float | None = None
    centroid: str = "weighted"

    def __post_init__(self):
        if self.time != "auto":
            object.__setattr__(self, "time", checked_time_bin(self.time))
        if self.channels != "auto":
            object.__setattr__(self, "channels", checked_channel_bin(self.channels))
        if self.smearing is not None and not 0.0 < self.smearing < 1.0:
            raise InputError(f"smearing must be a fraction between 0 and 1, got {self.smearing}")

    @property
    def is_nothing(self):
        """Whether nothing is averaged."""
        return self.time is None and self.channels is None and not self.baseline_dependent


def parse_merge(value, name):
    """n of `channels: {merge: n}`; None for any other value of `channels:`."""
    if not isinstance(value, dict) or "merge" not in value:
        return None
    section = Section(value, name)
    n = section.integer("merge")
    section.finish()
    return n


def parse_average(value, name, merge=None):
    """AverageSettings from the value of `average:`: "auto", or a mapping; None where there is none.

    `merge`, the n of `channels: {merge: n}`, is another way to say `average: {channels: n}`.

    average: {time: 30 | auto, channels: 4 | 10 MHz | spw | auto, baseline_dependent: true, smearing: 0.001}
    """
    if value is None:
        return None if merge is None else AverageSettings(channels=merge)
    if value == "auto" and merge is None:
        return AverageSettings("auto", "auto")
    section = Section({} if value == "auto" else value, name)
    time, channels = ("auto", None) if value == "auto" else (section.get("time"), section.get("channels"))
    if merge is not None:
        if channels is not None:
            raise InputError(f"{section.name('channels')}: channels: {{merge: {merge}}} says it already")
        channels = merge
    if time not in (None, "auto"):
        time = as_number(time, section.name("time"), positive=True)
    smearing = section.get("smearing")
    if smearing is not None:
        smearing = as_number(smearing, section.name("smearing"), positive=True)
    baseline_dependent = section.boolean("baseline_dependent", False)
    centroid = section.choice("centroid", ["weighted", "all"], "weighted")
    section.finish()
    try:
        settings = AverageSettings(time, channels, baseline_dependent, smearing, centroid)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if settings.is_nothing:
        raise InputError(f"{name}: say time, channels or baseline_dependent: true")
    return settings


def apply_averaging(data, settings, radius, note=lambda _: None):
    """Visibilities (or a VisibilityStream) averaged as the settings say, the worst loss told before it is done.

    Args:
        data: Visibilities, or a VisibilityStream, which is averaged part by part.
        settings: AverageSettings, or None.
        radius: of the edge of the mask from the phase centre [arcsec].
        note: called with sentences.

    Raises:
        InputError: explicit bins that lose more than an explicit `smearing`; no antennas, times or frequencies.
    """
    if settings is None or settings.is_nothing:
        return data
    tolerance = TOLERANCE if settings.smearing is None else settings.smearing
    if settings.baseline_dependent:
        return _average_baselines(data, settings, radius, tolerance, note)
    time, channels = settings.time, settings.channels
    if "auto" in (time, channels):
        longest, widest = bins_for_tolerance(data, radius, tolerance)
        time, channels = longest if time == "auto" else time, widest if channels == "auto" else channels
    worst = smearing_loss(data, radius, time, channels)
    note(f"{data.name}: {worst.describe()}")
    explicit = settings.time not in (None, "auto") or settings.channels not in (None, "auto")
    if explicit and worst.loss > max(tolerance, worst.own) * (1.0 + 1e-9):
        said = f"{data.name}: these bins lose {100 * worst.loss:.2g} % at {radius:g} arcsec"
        if settings.smearing is not None:
            raise InputError(f"{said}, more than smearing {tolerance:g}; give shorter bins, auto, or a larger number")
        sentence = f"{said}, more than {100 * TOLERANCE:g} %; auto, or each baseline by itself, keeps below"
        warnings.warn(sentence, UVLensWarning, stacklevel=2)
    correlation = None if channels is None else _correlation(data, note)
    averaged = average(data, time, channels, centroid=settings.centroid, correlation=correlation)
    _report(data, averaged, _bins_in_words(time, channels), note)
    return averaged


def _average_baselines(data, settings, radius, tolerance, note):
    limits = [None if value == "auto" else value for value in (settings.time, settings.channels)]
    own = smearing_loss(data, radius)
    if own.loss > tolerance:
        said = f"{data.name}: {own.describe()}; what loses more than {100 * tolerance:.2g} % is not averaged further"
    else:
        said = f'{data.name}: smearing at {radius:g}": no baseline loses more than {100 * tolerance:.2g} %'
    note(said)
    correlation = _correlation(data, note)
    averaged = average_baselines(data, radius, tolerance, *limits, centroid=settings.centroid, correlation=correlation)
    _report(data, averaged, "each baseline by what it allows", note)
    return averaged


def _correlation(data, note):
    """{spw: Correlation}, said in words."""
    is_stream = isinstance(data, VisibilityStream)
    found = stream_correlation(data) if is_stream else channel_correlation(data, Sampling.of(data))
    for window, one in (found or {}).items():
        note(f"{data.name}: spw {window}: {one.describe()}")
    return found


def _report(data, averaged, how, note):
    if isinstance(data, VisibilityStream):
        note(f"{data.name}: averaged part by part, {how}")
    elif len(averaged) == len(data):
        note(f"{data.name}: nothing averaged, {how}")
    else:
        note(f"{data.name}: {len(data):,} visibilities averaged to {len(averaged):,}, {how}")


def _bins_in_words(time, channels):
    words = [] if time is None else [f"bins of {time:.4g} s"]
    if channels == "spw":
        words.append("all channels of a window")
    elif isinstance(channels, int):
        words.append(f"{channels} channels")
    elif channels is not None:
        words.append(f"channels of {channels / 1e6:.4g} MHz")
    return ", ".join(words)
