"""Which visibilities of a file are wanted: numbers, names and ranges as people write them, checked and resolved.

    field LENS1     spw 0,1 or 0~3 or B7a     scan 1,2,5~9     channel 0~5 or 0:1~5,1:3~8     uvrange 0~500klambda
    time 2016/07/22/09:00:00~09:30:00 or [start, end] in the seconds of the file
    baseline DV01 (all of its baselines), DV01&DV02, !DV03 (left out)

A range holds both its ends. Everything that is named is kept and nothing else: with `channel: 0:1~5` only window 0
remains. Times compare with the middle of an integration, uv distances with each channel's own [wavelengths].
"""

import dataclasses
import datetime
import re

import numpy as np

from ..errors import InputError

KEYS = ("field", "spw", "scan", "channel", "time", "baseline", "uvrange")
"""What `Selection.of` takes."""

_DAY = 86400.0
_MJD_OF_JD = 2400000.5
_MJD_ZERO = datetime.datetime(1858, 11, 17)
_UV_UNITS = {"lambda": 1.0, "klambda": 1e3, "Mlambda": 1e6}
_DATE = re.compile(r"(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?:[/T ](.*))?$")
_CLOCK = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d*)?))?$")


@dataclasses.dataclass(frozen=True)
class Selection:
    """A selection as it was asked for, its form checked; None where nothing was asked.

    Attributes:
        field, spw, scan: tuples of numbers, names and (first, last).
        channel: tuple of (window, or None for every window; tuple of numbers and (first, last)).
        time: tuple of (start, end, whether they are dates [MJD s] and not the file's own seconds).
        baseline: tuple of (whether it is kept, antennas, antennas or None for all).
        uvrange: (shortest, longest) [wavelengths].
    """

    field: tuple | None = None
    spw: tuple | None = None
    scan: tuple | None = None
    channel: tuple | None = None
    time: tuple | None = None
    baseline: tuple | None = None
    uvrange: tuple[float, float] | None = None

    @staticmethod
    def of(**asked):
        """From numbers, text and lists of them (see the head of this file); None for what is not asked.

        Raises:
            InputError: what cannot be understood, with an example of what can.
        """
        parsed = {key: _PARSERS[key](value) for key, value in asked.items() if value is not None}
        return Selection(**parsed)

    @property
    def is_empty(self):
        """Whether all is wanted."""
        return all(getattr(self, key) is None for key in KEYS)


def choose(name, what, items, there):
    """The numbers that items name, sorted.

    Args:
        name: of the file.
        what: "field", "spw", "scan", "antenna".
        items: tuple of numbers, names and (first, last); a name goes before a number, a range takes what is there.
        there: {number: name, "" for none}.

    Raises:
        InputError: an item that is not there; what is there is listed.
    """
    chosen = set()
    for item in items:
        if isinstance(item, tuple):
            found = {number for number in there if item[0] <= number <= item[1]}
        else:
            found = {number for number, label in there.items() if label and label == str(item)}
            found = found or {number for number in there if str(number) == str(item)}
        if not found:
            raise InputError(f"{name}: there is no {what} {_show(item)}; it has {listed(there)}")
        chosen |= found
    return sorted(chosen)


def listed(there, most=40):
    """ "0 (B7a), 1 (B7b)" of {number: name}."""
    shown = [f"{number} ({label})" if label else str(number) for number, label in sorted(there.items())[:most]]
    return ", ".join(shown or ["none"]) + (f" and {len(there) - most} more" if len(there) > most else "")


def chosen_channels(name, channel, windows, labels):
    """{window: boolean mask of its channels}, windows without any left out.

    Args:
        name: of the file.
        channel: of a Selection, not None.
        windows: {number: how many channels} of those that are wanted.
        labels: {number: name}.

    Raises:
        InputError: a window or a channel that is not there.
    """
    keep = {number: np.zeros(n, dtype=bool) for number, n in windows.items()}
    for window, items in channel:
        named = {number: labels.get(number, "") for number in windows}
        numbers = list(windows) if window is None else choose(name, "spw", (window,), named)
        for item in items:
            first, last = item if isinstance(item, tuple) else (item, item)
            if not any(first < windows[number] for number in numbers):
                found = ", ".join(f"spw {number}: 0~{windows[number] - 1}" for number in sorted(numbers)[:20])
                raise InputError(f"{name}: there is no channel {_show(item)}; it has {found}")
            for number in numbers:
                keep[number][first : last + 1] = True
    return {number: mask for number, mask in keep.items() if mask.any()}


def resolve_baselines(name, baseline, there):
    """The `baseline` of a Selection with numbers for names: ((kept, numbers, numbers or None), ...).

    Args:
        there: {antenna number: name}.
    """
    resolved = []
    for kept, first, second in baseline:
        numbers = tuple(choose(name, "antenna", first, there))
        resolved.append((kept, numbers, None if second is None else tuple(choose(name, "antenna", second, there))))
    return tuple(resolved)


def on_baselines(baseline, antenna1, antenna2):
    """Which pairs of antennas are on the baselines of `resolve_baselines`, shape (K,)."""
    keep = np.full(len(antenna1), not any(kept for kept, *_ in baseline))
    for kept, first, second in sorted(baseline, key=lambda one: not one[0]):  # what is left out goes last
        if second is None:
            found = np.isin(antenna1, first) | np.isin(antenna2, first)
        else:
            found = np.isin(antenna1, first) & np.isin(antenna2, second)
            found |= np.isin(antenna2, first) & np.isin(antenna1, second)
        keep = keep | found if kept else keep & ~found
    return keep


def in_time(name, ranges, time):
    """Which times [s, MJD or JD or of an origin of the file's own] lie in one of the ranges, shape (K,).

    Raises:
        InputError: a range of dates for times whose origin is not known.
    """
    keep = np.zeros(len(time), dtype=bool)
    for start, end, is_date in ranges:
        origin = 0.0
        if is_date:
            origin = origin_of(time)
            if origin is None:
                raise InputError(f"{name}: its times have no known origin; give the range in its own seconds")
        keep |= (time >= start + origin) & (time <= end + origin)
    return keep


def origin_of(time):
    """Seconds to add to MJD seconds for the file's own, from how large they are; None where that does not tell."""
    first = float(time[0]) if len(time) else 0.0
    if 2e9 < first < 1e10:
        return 0.0
    return _MJD_OF_JD * _DAY if 2e11 < first < 3e11 else None


def show_time(time):
    """A time of a file for people: the date, or seconds where the origin is not known."""
    origin = origin_of([time])
    if origin is None:
        return f"{time:.1f} s"
    return (_MJD_ZERO + datetime.timedelta(seconds=float(time) - origin)).strftime("%Y/%m/%d/%H:%M:%S")


def _numbers(key):
    def parse(value):
        return tuple(_number_or_name(key, item) for item in _items(value))

    return parse


def _items(value):
    """What a list or a text with commas holds."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    if isinstance(value, list | tuple | np.ndarray):
        return [item for part in value for item in _items(part)]
    return [value]


def _number_or_name(key, item):
    if isinstance(item, bool) or not isinstance(item, str | int | np.integer) or item == "":
        raise InputError(f"{key}: expected numbers, names or ranges as 0~5, got {item!r}")
    if not isinstance(item, str):
        if item < 0:
            raise InputError(f"{key}: expected a number >= 0, got {item}")
        return int(item)
    bounds = re.fullmatch(r"(\d+)\s*~\s*(\d+)", item)
    if bounds:
        first, last = int(bounds[1]), int(bounds[2])
        if last < first:
            raise InputError(f"{key}: a range goes upwards, got {item}")
        return first, last
    return int(item) if item.isdigit() else item


def _field(value):
    """Numbers and names; a name may hold commas and ~."""
    items = value if isinstance(value, list | tuple | np.ndarray) else [value]
    if not len(items) or any(isinstance(item, bool) or not isinstance(item, str | int | np.integer) for item in items):
        raise InputError(f"field: expected a number or a name, got {value!r}")
    return tuple(int(item) if str(item).isdigit() else str(item) for item in items)


def _channel(value):
    parsed = []
    for item in _items(value):
        window, colon, text = item.rpartition(":") if isinstance(item, str) else ("", "", item)
        ranges = tuple(_number_or_name("channel", part) for part in (str(text).split(";")))
        if any(isinstance(part, str) for part in ranges) or (colon and not window):
            raise InputError(f"channel: expected 0~5, or 0:1~5 for channels of one window, got {item!r}")
        parsed.append((_number_or_name("channel", window) if window else None, ranges))
    return tuple(parsed)


def _baseline(value):
    items = re.split("[,;]", value) if isinstance(value, str) else _items(value)
    parsed = []
    for item in items:
        text = str(item).strip()
        kept, sides = not text.startswith("!"), [side.strip() for side in text.removeprefix("!").split("&")]
        if isinstance(item, bool) or not all(sides) or len(sides) > 2 or sides[0] == "*":
            raise InputError(f"baseline: expected an antenna A, a pair A&B or !A for all but A, got {item!r}")
        first, second = (None if side == "*" else (_number_or_name("baseline", side),) for side in [*sides, "*"][:2])
        parsed.append((kept, first, second))
    return tuple(parsed)


def _uvrange(value):
    ends, unit = value, 1.0
    if isinstance(value, str):
        match = re.fullmatch(r"(.*?)([kM]?lambda)?", value.strip())
        assert match is not None  # it matches everything
        ends, unit = match[1].split("~"), _UV_UNITS[match[2] or "lambda"]
    try:
        shortest, longest = (unit * float(number) for number in ends)
    except (TypeError, ValueError):
        shortest, longest = 1.0, 0.0
    if not 0.0 <= shortest < longest:
        raise InputError(f"uvrange: expected [shortest, longest] in wavelengths, or 0~500klambda, got {value!r}")
    return shortest, longest


def _time(value):
    if isinstance(value, str):
        return tuple(_time_range(part.split("~")) for part in value.split(","))
    if isinstance(value, list | tuple) and value and all(isinstance(one, list | tuple) for one in value):
        return tuple(_time_range(part) for part in value)
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) and "~" in one for one in value):
        return tuple(_time_range(part.split("~")) for part in value)
    return (_time_range(value),)


def _time_range(ends):
    wanted = "time: expected [start, end], in seconds of the file or as 2016/07/22/09:00:00~2016/07/22/09:30:00"
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        raise InputError(f"{wanted}, got {ends!r}")
    try:
        start, is_date = _instant(ends[0], None)
        end, _ = second = _instant(ends[1], start if is_date else None)
    except (ValueError, OverflowError):
        raise InputError(f"{wanted}, got {'~'.join(map(str, ends))}") from None
    if second[1] is not is_date or not start <= end:
        raise InputError(f"{wanted}, got {'~'.join(map(str, ends))}")
    return start, end, is_date


def _instant(value, start):
    """(seconds, whether they are MJD seconds of a date); a clock alone takes the day of `start`."""
    if isinstance(value, datetime.datetime):
        return (value.replace(tzinfo=None) - _MJD_ZERO).total_seconds(), True
    if isinstance(value, datetime.date):
        return (datetime.datetime(value.year, value.month, value.day) - _MJD_ZERO).total_seconds(), True
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("no time")
    text = value.strip().removesuffix("Z") if isinstance(value, str) else ""
    date, clock = _DATE.match(text), text
    if date:
        day = (datetime.datetime(*map(int, date.groups()[:3])) - _MJD_ZERO).total_seconds()
        clock = date[4] or "0:0"
    elif ":" in text and start is not None:
        day = start - start % _DAY
    elif isinstance(value, str) and ":" in value:
        raise ValueError("a clock without a date")
    else:
        return float(value), False
    found = _CLOCK.match(clock)
    if not found:
        raise ValueError("no clock")
    return day + 3600.0 * int(found[1]) + 60.0 * int(found[2]) + float(found[3] or 0.0), True


def _show(item):
    return f"{item[0]}~{item[1]}" if isinstance(item, tuple) else repr(item)


_PARSERS = {
    "field": _field,
    "spw": _numbers("spw"),
    "scan": _numbers("scan"),
    "channel": _channel,
    "time": _time,
    "baseline": _baseline,
    "uvrange": _uvrange,
}
