"""The operator that auto takes, the rank it expects, the memory it foretells, the timings it prints."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import random_visibilities

import uvlens as uvl
from uvlens import memory
from uvlens.benchmark import simulated_visibilities
from uvlens.cli import main
from uvlens.normal import SourceSize, expected_rank, operator_from_reduction, reduce, suited
from uvlens.normal.choose import cheapest

LENS = [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.1, 0.05)]


@pytest.fixture(scope="module")
def sparse():
    """Few visibilities, many pixels: a small rank."""
    return reduce(simulated_visibilities(100, 6e4), uvl.Mask.disc(2.0, 0.08))


@pytest.fixture(scope="module")
def dense():
    """A rank near the number of pixels."""
    return reduce(simulated_visibilities(20_000, 3e5), uvl.Mask.disc(1.2, 0.08))


def test_auto_takes_what_the_coverage_asks_for(sparse, dense):
    size = SourceSize(900, 16.0)
    assert cheapest(sparse, size)[0] == "lowrank"
    method, reason = cheapest(dense, size)
    assert method == "direct" and "direct" in reason and "fft" in reason and "900" in reason


def test_expected_rank(sparse, dense):
    """Within 30 % of the decomposition's, and never above N or 2 K."""
    for reduction in (sparse, dense):
        rank = operator_from_reduction(reduction, "lowrank").rank
        assert 0.7 < expected_rank(reduction) / rank < 1.4
        assert expected_rank(reduction) <= min(reduction.mask.n_pixels, 2 * reduction.n_visibilities)


def test_a_model_exchanges_the_operator_unless_it_was_named(sparse):
    source = uvl.PixelSource(uvl.RectangularMesh(20, 20), uvl.Gradient(1.0))
    automatic = operator_from_reduction(sparse, "auto")
    assert automatic.method == "direct" and automatic.choice
    model = uvl.Model(automatic, LENS, source)
    assert model.normal.method == "lowrank" and "expected for 400" in model.normal.choice
    named = uvl.Model(operator_from_reduction(sparse, "fft"), LENS, source)
    assert named.normal.method == "fft" and named.normal.choice is None
    assert suited(model.normal, SourceSize(400, 18.0)).method == "lowrank"
    assert (automatic + operator_from_reduction(reduce(random_visibilities(9), sparse.mask), "auto")).choice


def test_without_the_compiler_the_fft_serves(sparse, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert operator_from_reduction(sparse, "auto").method == "fft"


MEASURE = """
import jax, jax.numpy as jnp, numpy as np
import uvlens as uvl
from uvlens import memory
from uvlens.benchmark import simulated_visibilities
from uvlens.normal import SourceSize
normal = uvl.normal_operator(simulated_visibilities(5000, 3e5), uvl.Mask.disc(3.0, 0.06), METHOD)
mesh = uvl.RectangularMesh(36, 36)
model = uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.1, 0.05)], uvl.PixelSource(mesh, uvl.Gradient(1.0), True))
size = SourceSize(mesh.n_source, mesh.entries(4))
expected = memory.estimate(normal.reduction, size, 4, normal.method, normal.rank, gradient=True)
jax.jit(lambda v: jax.value_and_grad(model.log_likelihood)(v))(jnp.array([1.0]))[0].block_until_ready()
print(expected["peak"], memory.peak_bytes())
"""


@pytest.mark.parametrize("method", ["direct", "lowrank"])
def test_memory_is_foretold(method):
    """Expected against measured peak of a process with 7,860 image and 1,296 source pixels: within a factor 1.5."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE.replace("METHOD", repr(method))], capture_output=True, text=True, timeout=300
    )
    expected, measured = map(int, run.stdout.split())
    assert 1 / 1.5 < expected / measured < 1.5, (expected, measured)


@pytest.fixture
def model_file(tmp_path):
    uvl.write(random_visibilities(200, seed=2, signal=5.0), tmp_path / "data.npz")
    text = """
data: [{file: data.npz, weights: file}]
image_plane: {pixel_scale: 0.15, mask: {disc: {radius: 1.0}}, rays: 1}
lens: {mass: [{profile: SIE, theta_E: 0.5, e1: 0.1, e2: 0.0, center_x: 0.0, center_y: 0.0}]}
source: {pixels: {mesh: {type: rectangular, shape: [8, 8]}, regularization: {type: gradient, strength: 1.0}}}
"""
    (tmp_path / "model.yaml").write_text(text)
    return tmp_path / "model.yaml"


def test_evaluate_says_memory_and_operator(model_file):
    result = CliRunner().invoke(main, ["evaluate", str(model_file), "--memory", "--json", "--operator", "direct32"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["operator"] == "direct32" and facts["operator_choice"] == "asked for"
    assert facts["memory"]["fits"] and facts["memory"]["peak"] > facts["memory"]["operator"] > 0
    assert facts["memory"]["measured_peak"] > 0 and "memory expected" in result.stderr
    automatic = json.loads(CliRunner().invoke(main, ["evaluate", str(model_file), "--json"]).stdout)
    assert "expected for 64" in automatic["operator_choice"] and automatic["rank"] > 0
    assert abs(automatic["log_evidence"] - facts["log_evidence"]) < 1e-3


def test_evaluate_stops_where_memory_lacks(model_file, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10 * 2**20)
    result = CliRunner().invoke(main, ["evaluate", str(model_file), "--memory", "--json"])
    facts = json.loads(result.stdout)
    assert result.exit_code == 1 and not facts["memory"]["fits"] and "log_evidence" not in facts
    assert "does not fit" in result.stderr


def test_benchmark_prints_a_table_and_json():
    result = CliRunner().invoke(main, ["benchmark", "--quick", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert {row["method"] for row in facts["rows"]} == {"auto", "direct", "fft", "lowrank"}
    for row in facts["rows"]:
        assert abs(row["delta_log_evidence"]) < 1e-3
        assert row["unconstrained"] > 0.0 and row["positive_gradient"] > 0.0
    assert facts["processor"] and facts["versions"]["jax"] and facts["precision"] == "float64"
