"""The live line of a fit: best so far, rate and time left; in a log now and then."""

import io
from types import SimpleNamespace

import numpy as np
import pytest

from uvlens.progress import LiveView, Progress, TimeLeft, duration


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.value = 1000.0

    def __call__(self):
        return self.value


def test_a_search_says_how_good_how_fast_and_how_long():
    model = SimpleNamespace(log_evidence_null=-5000.0)
    density = SimpleNamespace(n_evaluations=0, best_vector=None, best_log_likelihood=-1e30, model=model)
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock) as show:
        live = LiveView(density, show, clock)
        live("sampling", 0.0)
        for step in range(1, 6):
            clock.value += 30.0
            density.n_evaluations = 600 * step
            density.best_vector, density.best_log_likelihood = np.zeros(2), 100.0 + step
            live("sampling", 0.1 * step)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "sampling (0 %)"
    # 20 a second; half of it took 150 s
    assert lines[-1] == "sampling, best ln E -4,895.0, 20 evaluations/s, 2 min left (50 %)"


def test_a_log_gets_a_line_now_and_then():
    stream, clock = io.StringIO(), Clock()
    with Progress(stream, clock) as show:
        for _ in range(36_000):
            clock.value += 1.0
            show("sampling", 0.5)
    n = len(stream.getvalue().splitlines())
    # every 20 s for 1000 s, then after another 2 % of the time: ln(36000 / 1000) / ln(1.02) = 181 more
    assert 200 < n < 240


def test_a_terminal_gets_one_live_line():
    stream, clock = io.StringIO(), Clock()
    stream.isatty = lambda: True
    with Progress(stream, clock) as show:
        clock.value += 40.0
        show("sampling, best ln E 3.0", 0.2)
        clock.value += 40.0
        show("sampling, best ln E 3.0", 0.4)
    assert "sampling, best ln E 3.0, 2 min left" in stream.getvalue()


def test_time_left_begins_anew_with_a_stage():
    left = TimeLeft()
    assert left(0.0, 0.0) is None and left(0.5, 10.0) == pytest.approx(10.0)
    assert left(0.1, 20.0) is None and left(0.3, 40.0) == pytest.approx(70.0)
    # a search that is resumed has some of it done already
    resumed = TimeLeft()
    assert resumed(0.6, 0.0) is None and resumed(0.7, 5.0) == pytest.approx(15.0)


def test_durations_in_words():
    words = {4.6: "5 s", 99.4: "99 s", 180.0: "3 min", 5940.0: "99 min", 7800.0: "2 h 10 min"}
    assert [duration(one) for one in words] == list(words.values())
