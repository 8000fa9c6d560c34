"""Progress on the terminal: a bar where there is one, a line now and then where there is not."""

import sys
import time

_SECONDS_BETWEEN_LINES = 20.0


class Progress:
    """Context manager, called with (message, fraction done); `stream` is where it writes, default the terminal."""

    def __init__(self, stream=None):
        self._stream = sys.stderr if stream is None else stream

    def __enter__(self):
        self._bar = None
        self._last = 0.0
        if self._stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(file=self._stream))
            self._bar.start()
            self._task = self._bar.add_task("starting", total=1.0)
        return self

    def __exit__(self, *_):
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, message, fraction):
        if self._bar is not None:
            self._bar.update(self._task, description=message, completed=fraction)
        elif time.monotonic() - self._last > _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            print(f"{message} ({100 * fraction:.0f} %)", file=self._stream, flush=True)
