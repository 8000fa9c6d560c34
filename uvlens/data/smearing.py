"""What averaging over time and channels takes from the amplitude of a source away from the phase centre.

A point at (l, m) turns by u l + v m cycles, so its mean over a channel of width B and an integration of length T is
lower by

    sinc(B / nu (u l + v m))  sinc(T d(u l + v m)/dt),      sinc(x) = sin(pi x) / (pi x)

    du/dt = omega (w cos delta - v sin delta),   dv/dt = omega u sin delta,   omega = 7.292e-5 rad/s
"""

import dataclasses
import math

import numpy as np

from ..conventions import ARCSEC
from ..errors import InputError
from .bins import NEEDED, Sampling, combined, ranks
from .stream import VisibilityStream

EARTH_ROTATION = 7.2921159e-5
"""rad/s."""
_BLOCK = 2**20


@dataclasses.dataclass(frozen=True)
class SmearingLoss:
    """The visibility that loses most of the amplitude of a point at the worst place at `radius`.

    Attributes:
        loss: of averages of these bins, 1 - amplitude; with what the data have lost before.
        own: the largest that the integrations and channels of the data themselves bring.
        time_loss, channel_loss: the two parts of `loss`.
        radius: from the phase centre [arcsec].
        x, y: of the worst place [arcsec East, North].
        uv_distance: of the visibility [wavelengths].
        antenna1, antenna2: or None.
        time_bin, channel_width: length [s] and width [Hz] of its bin.
    """

    loss: float
    own: float
    time_loss: float
    channel_loss: float
    radius: float
    x: float
    y: float
    uv_distance: float
    antenna1: int | None
    antenna2: int | None
    time_bin: float
    channel_width: float

    def describe(self):
        """One sentence."""
        where = "" if self.antenna1 is None else f"antennas {self.antenna1}-{self.antenna2}, "
        return (
            f'smearing at {self.radius:g}": at worst {_percent(self.loss)} of the amplitude '
            f"({where}{self.uv_distance / 1e3:.0f} klambda: {_percent(self.time_loss)} by {self.time_bin:.4g} s, "
            f"{_percent(self.channel_loss)} by {self.channel_width / 1e6:.4g} MHz); "
            f"the data have lost {_percent(self.own)} already"
        )


def smearing_factor(data, x, y, time_bin=None, channel_bin=None):
    """Amplitude that is left of a point at x, y [arcsec], shape (K,); negative beyond the first zero.

    Args:
        data: Visibilities.
        time_bin, channel_bin: of `average`; None: the integrations, the channels of the data.
    """
    length, width = _spans(data, time_bin, channel_bin)
    l, m = x * ARCSEC, y * ARCSEC
    u_rate, v_rate = _time_rates(data)
    factor = np.sinc(length * (u_rate * l + v_rate * m))
    if data.frequency is not None:
        factor *= np.sinc(width / data.frequency * (data.u * l + data.v * m))
    return factor


def smearing_loss(data, radius, time_bin=None, channel_bin=None):
    """The worst SmearingLoss on a circle about the phase centre.

    Without w or the declination, the rate in time is taken at its upper limit omega |b| radius, |b| the longest that is
    known of the baseline.

    Args:
        data: Visibilities, or a VisibilityStream that can be gone through again.
        radius: of the circle, such as the edge of the mask [arcsec].
        time_bin, channel_bin: of `average`; None: the integrations, the channels of the data.

    Raises:
        InputError: a radius that is not positive; bins of data without antennas, times or frequencies.
    """
    radius = _positive("radius", radius)
    if isinstance(data, VisibilityStream):
        losses = [smearing_loss(part, radius, time_bin, channel_bin) for part in data]
        return dataclasses.replace(max(losses, key=lambda one: one.loss), own=max(one.own for one in losses))
    data = data.unflagged()
    own = _worst(data, radius, *_spans(data, None, None))
    return dataclasses.replace(_worst(data, radius, *_spans(data, time_bin, channel_bin)), own=own.loss)


def bins_for_tolerance(data, radius, tolerance=1e-3):
    """(time bin [s], channel bin [Hz]) for all baselines at which none loses more than `tolerance` at `radius`.

    Channels get half of what may be lost, integrations the rest. Where the integrations or channels of the data
    themselves lose it, the bins are as long as those: `average` then leaves the data as they are.

    Args:
        data: Visibilities, or a VisibilityStream that can be gone through again.
        radius: from the phase centre [arcsec].
        tolerance: largest loss of amplitude.

    Raises:
        InputError: no antennas, times or frequencies; a radius or tolerance that is not positive.
    """
    radius, tolerance = _positive("radius", radius), _positive("tolerance", tolerance)
    if isinstance(data, VisibilityStream):
        each = [bins_for_tolerance(part, radius, tolerance) for part in data]
        return min(time for time, _ in each), min(width for _, width in each)
    data = data.unflagged()
    sampling = Sampling.of(data)
    time_rate, channel_rate = (float(rate.max()) for rate in _rates(data, radius))
    interval, width = float(sampling.interval.max()), float(sampling.width.max())
    budget = max(0.0, tolerance - max(1.0 - np.sinc(time_rate * interval), 0.5 * tolerance))
    bandwidth = max(width, float(phase_of_loss(budget)) / max(channel_rate, 1e-300))
    bandwidth = min(bandwidth, float((sampling.width * sampling.n_channels).max()))
    budget = max(0.0, tolerance - (1.0 - np.sinc(channel_rate * bandwidth)))
    longest = min(float(phase_of_loss(budget)) / max(time_rate, 1e-300), float(sampling.length.max()))
    return max(interval, longest), bandwidth


def steps_for_tolerance(data, sampling, radius, tolerance, time_bin=None, channel_bin=None):
    """(integrations, channels) in a bin, each of shape (K,), as `bins_for_tolerance`, by baseline, scan and window.

    Args:
        data, sampling: Visibilities and their Sampling.
        radius: from the phase centre [arcsec].
        tolerance: largest loss of amplitude.
        time_bin, channel_bin: upper limits, of `average`.
    """
    radius, tolerance = _positive("radius", radius), _positive("tolerance", tolerance)
    group = ranks(combined(sampling.scan, ranks(data.antenna1)[0], ranks(data.antenna2)[0], sampling.window))[0]
    n = int(group.max()) + 1
    scan, window = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    scan[group], window[group] = sampling.scan, sampling.window
    time_rate, channel_rate = np.zeros(n), np.zeros(n)
    for rate, largest in zip(_rates(data, radius), (time_rate, channel_rate)):
        np.maximum.at(largest, group, rate)
    interval, width = sampling.interval[scan], sampling.width[window]
    most = sampling.n_channels if channel_bin is None else sampling.channels_of(channel_bin)
    longest = sampling.length if time_bin is None else np.full(len(sampling.length), float(time_bin))
    own = 1.0 - np.sinc(time_rate * interval)
    may_average = np.floor(longest[scan] / np.maximum(interval, 1e-9) + 1e-6) > 1
    budget = np.clip(tolerance - np.where(may_average, np.maximum(own, 0.5 * tolerance), own), 0.0, None)
    channels = _steps(phase_of_loss(budget), channel_rate * width, most[window])
    budget = np.clip(tolerance - (1.0 - np.sinc(channel_rate * channels * width)), 0.0, None)
    limit = np.maximum(1, np.floor(longest[scan] / np.maximum(interval, 1e-9) + 1e-6))
    integrations = _steps(phase_of_loss(budget), time_rate * interval, limit)
    return integrations[group], channels[group]


def phase_of_loss(loss):
    """x in [0, 1] with 1 - sinc(x) = loss in [0, 1]."""
    low, high = np.zeros(np.shape(loss)), np.ones(np.shape(loss))
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = 1.0 - np.sinc(middle) > loss
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return low


def _steps(phase, phase_of_one, most):
    """Whole steps whose phase is at most `phase`, from 1 to `most`."""
    return np.clip(np.floor(phase / np.maximum(phase_of_one, 1e-300) + 1e-9), 1, most).astype(np.int64)


def _spans(data, time_bin, channel_bin):
    """(length [s], width [Hz]) of the bin that each visibility falls in, shape (K,); 0 where it is not known."""
    n = len(data)
    known = all(getattr(data, key) is not None for key in NEEDED)
    if not known and time_bin is None and channel_bin is None:
        zero = np.zeros(n)
        return (zero if value is None else value for value in (data.interval, data.channel_width))
    sampling = Sampling.of(data)
    interval = sampling.interval[sampling.scan] if data.interval is None else data.interval
    width = sampling.width[sampling.window] if data.channel_width is None else data.channel_width
    if time_bin is not None:
        length = np.minimum(sampling.integrations_of(time_bin) * sampling.interval, sampling.length)
        interval = np.maximum(interval, length[sampling.scan])
    if channel_bin is not None:
        width = np.maximum(width, (sampling.channels_of(channel_bin) * sampling.width)[sampling.window])
    return interval, width


def _time_rates(data):
    """(du/dt, dv/dt), each of shape (K,) [wavelengths/s].

    Without w or the declination a vector along the baseline as long as the upper limit omega |b|.
    """
    if data.w is not None and data.phase_center is not None:
        declination = np.deg2rad(data.phase_center[1])
        u_rate = data.w * np.cos(declination) - data.v * np.sin(declination)
        return EARTH_ROTATION * u_rate, EARTH_ROTATION * np.sin(declination) * data.u
    limit = EARTH_ROTATION * _length_limit(data) / np.maximum(data.uv_distance, 1e-300)
    return limit * data.u, limit * data.v


def _length_limit(data):
    """Upper limit of |b| of each visibility, shape (K,) [wavelengths]: the longest seen where w is not known."""
    if data.w is not None:
        return np.sqrt(data.u**2 + data.v**2 + data.w**2)
    if data.antenna1 is None or data.antenna2 is None:
        return data.uv_distance
    baseline = ranks(combined(ranks(data.antenna1)[0], ranks(data.antenna2)[0]))[0]
    longest = np.zeros(int(baseline.max()) + 1)
    scale = 1.0 if data.frequency is None else data.frequency
    np.maximum.at(longest, baseline, data.uv_distance / scale)
    return longest[baseline] * scale


def _rates(data, radius):
    """(cycles/s, cycles/Hz) of a point at the worst place of the circle, each of shape (K,)."""
    per_hertz = np.zeros(len(data)) if data.frequency is None else data.uv_distance / data.frequency
    return np.hypot(*_time_rates(data)) * (radius * ARCSEC), per_hertz * (radius * ARCSEC)


def _worst(data, radius, length, width):
    """SmearingLoss of the visibility with the largest loss on the circle; `own` is 0."""
    fraction = np.zeros(len(data)) if data.frequency is None else width / data.frequency
    u_rate, v_rate = _time_rates(data)
    best, k = (-1.0,), 0
    for start in range(0, len(data), _BLOCK):
        rows = slice(start, start + _BLOCK)
        channel = data.u[rows] * fraction[rows], data.v[rows] * fraction[rows]
        one = _worst_direction(radius * ARCSEC, channel, (u_rate[rows] * length[rows], v_rate[rows] * length[rows]))
        here = int(np.argmax(one[0]))
        if one[0][here] > best[0]:
            best, k = tuple(float(value[here]) for value in one), start + here
    loss, time, channel, angle = best
    return SmearingLoss(
        loss=loss,
        own=0.0,
        time_loss=time,
        channel_loss=channel,
        radius=radius,
        x=radius * math.cos(angle),
        y=radius * math.sin(angle),
        uv_distance=math.hypot(data.u[k], data.v[k]),
        antenna1=None if data.antenna1 is None else int(data.antenna1[k]),
        antenna2=None if data.antenna2 is None else int(data.antenna2[k]),
        time_bin=float(length[k]),
        channel_width=float(width[k]),
    )


def _worst_direction(radius, channel, time):
    """(loss, loss in time, loss in the channels, direction [rad]), each of the shape of the cycles per radian.

    The loss is pi^2/6 [(a.n)^2 + (b.n)^2] to lowest order, so the worst direction n is an eigenvector; the sincs are
    taken there, and everything is lost beyond their first zero.
    """
    (a_x, a_y), (b_x, b_y) = channel, time
    angle = 0.5 * np.arctan2(2.0 * (a_x * a_y + b_x * b_y), a_x**2 - a_y**2 + b_x**2 - b_y**2)
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    left = [np.sinc(np.minimum(np.abs(p_x * x + p_y * y), 1.0)) for p_x, p_y in (time, channel)]
    return 1.0 - left[0] * left[1], 1.0 - left[0], 1.0 - left[1], angle


def _percent(loss):
    return f"{100.0 * loss:.2g} %"


def _positive(name, value):
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0.0 < value < np.inf:
        raise InputError(f"{name} must be a positive number, got {value!r}")
    return float(value)
