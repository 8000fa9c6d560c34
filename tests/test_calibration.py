"""Posteriors and odds over mocks from the prior: the tables that are committed, and (slow) the same runs anew."""

import importlib.util
import pathlib

import pytest

BENCHMARKS = pathlib.Path(__file__).parents[1] / "benchmarks"


def load(name):
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures, studies = load("calibration_figures"), load("calibration")


def check_calibrated(found):
    """100 mocks: ranks uniform at 1 % over all tests, var(z) within three standard errors of 1, no mode missed."""
    assert found["mocks"] >= 100 and found["missed"] == 0
    assert figures.is_calibrated(found), found


def check_control(found):
    """Noise that is 1.3 times what the weights say is found out."""
    assert not figures.is_calibrated(found)
    assert found["var_z"] > 1.42, found


def check_odds(found):
    assert found["mocks"] >= 60 and found["smallest_n_effective"] > 100 and found["missed"] == 0
    for (value, error), expected in ((found["slope"], 1.0), (found["slope_alone"], 1.0), (found["intercept"], 0.0)):
        assert abs(value - expected) < 2.0 * error, found


@pytest.mark.parametrize("name", ["parametric", "pixels"])
def test_committed_ranks_are_uniform(name):
    check_calibrated(figures.summarise(name))


@pytest.mark.parametrize("name", ["control-parametric", "control-pixels"])
def test_committed_controls_are_found_out(name):
    check_control(figures.summarise(name))


def test_committed_odds_are_calibrated():
    check_odds(figures.summarise_odds())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["parametric", "pixels"])
def test_ranks_are_uniform(name, tmp_path):
    studies.fit_mocks(name, 100, tmp_path)
    check_calibrated(figures.summarise(name, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["control-parametric", "control-pixels"])
def test_controls_are_found_out(name, tmp_path):
    studies.fit_mocks(name, 100, tmp_path)
    check_control(figures.summarise(name, tmp_path))


@pytest.mark.slow
def test_odds_are_calibrated(tmp_path):
    studies.weigh_odds(100, tmp_path)
    check_odds(figures.summarise_odds(tmp_path))
