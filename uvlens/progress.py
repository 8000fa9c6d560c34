"""Progress on the terminal: a live line where there is one, a line now and then where there is not."""

import sys
import time

_SHORTEST, _SHARE = 20.0, 0.02
"""Seconds between two lines of a log file: at least, and as a share of the time so far."""
_RATE_SECONDS = 10.0
"""Likelihoods per second are counted over about as long."""
_WIDE = 110
"""Characters of a terminal that has room for a bar beside the line."""


class Progress:
    """Context manager, called with (message, fraction done).

    Args:
        stream: where it writes, default the terminal.
        clock: seconds.
    """

    def __init__(self, stream=None, clock=time.monotonic):
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock

    def __enter__(self):
        self._bar = None
        self._began, self._last = self._clock(), -_SHORTEST
        self._left = TimeLeft()
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            console = Console(file=self._stream)
            bar = (BarColumn(bar_width=20),) if console.width >= _WIDE else ()
            self._bar = Bar(TextColumn("{task.description}"), *bar, TimeElapsedColumn(), console=console)
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0)
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, message, fraction):
        now = self._clock()
        left = self._left(fraction, now)
        line = message if left is None else f"{message}, {duration(left)} left"
        if self._bar is not None:
            self._bar.update(self._task, description=line, completed=fraction)
        elif now - self._began - self._last >= max(_SHORTEST, _SHARE * (now - self._began)):
            self._last = now - self._began
            print(f"{line} ({100 * fraction:.0f} %)", file=self._stream, flush=True)


class TimeLeft:
    """Seconds to the end of a stage at its speed so far; a fraction done that falls begins another stage."""

    def __init__(self):
        self._start = None

    def __call__(self, fraction, now):
        """Seconds, or None where little is done: fraction 0 to 1 at the time `now` [s]."""
        if self._start is None or fraction < self._start[2]:
            self._start = (now, fraction, fraction)
        began, first, _ = self._start
        self._start = (began, first, fraction)
        done = fraction - first
        if now == began or done < 0.01:
            return None
        return max(0.0, (1.0 - fraction) * (now - began) / done)


class LiveView:
    """A progress callback that adds the best fit so far and likelihoods per second to the messages of a search.

    Args:
        density: Density of the search.
        progress: called with (message, fraction done).
        clock: seconds.
    """

    def __init__(self, density, progress, clock=time.monotonic):
        self._density, self._progress, self._clock = density, progress, clock
        self._marks = [(clock(), density.n_evaluations)]

    def __call__(self, message, fraction):
        self._progress(", ".join([message, *self._facts()]), fraction)

    def _facts(self):
        density, now = self._density, self._clock()
        self._marks.append((now, density.n_evaluations))
        while len(self._marks) > 2 and now - self._marks[1][0] > _RATE_SECONDS:
            self._marks.pop(0)
        (began, before), (ended, after) = self._marks[0], self._marks[-1]
        facts = []
        if density.best_vector is not None:
            facts.append(f"best ln E {density.best_log_likelihood + density.model.log_evidence_null:,.1f}")
        if ended > began and after > before:
            facts.append(f"{(after - before) / (ended - began):.3g} evaluations/s")
        return facts


def duration(seconds):
    """5 s, 3 min, 2 h 10 min."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
