"""Batches of likelihoods on one device and on several."""

import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from test_evidence import problem

import uvlens as uvl

SEVERAL = """
import jax, numpy as np
from test_evidence import problem
import uvlens as uvl
assert len(jax.devices()) == 2
for method in ("direct", "lowrank"):
    model, vector = problem(method, True)
    vectors = np.asarray(vector) * (1.0 + 0.02 * np.arange(5)[:, None])
    values, gradients = uvl.evaluate_batch(model, vectors, gradient=True)
    assert len(values.sharding.device_set) >= 1
    for i in range(5):
        value, gradient = jax.value_and_grad(model.log_likelihood)(vectors[i])
        assert np.isclose(values[i], value, rtol=1e-12) and np.allclose(gradients[i], gradient, rtol=1e-9)
print("agreed")
"""


def test_batch_equals_the_loop():
    model, vector = problem("direct", False)
    vectors = np.asarray(vector) * (1.0 + 0.02 * np.arange(3)[:, None])
    values = uvl.evaluate_batch(model, vectors)
    assert np.allclose(values, [model.log_likelihood(v) for v in vectors], rtol=1e-12)
    one = uvl.evaluate_batch(model, vectors, devices=jax.devices()[:1], gradient=True)
    assert np.allclose(one[0], values, rtol=1e-13) and one[1].shape == vectors.shape


def test_batch_over_two_devices():
    """Two devices of the host, in a process of its own."""
    environment = dict(os.environ, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    here = pathlib.Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", SEVERAL], cwd=here, env=environment, capture_output=True, text=True, timeout=300
    )
    assert run.stdout.strip() == "agreed", run.stderr[-2000:]


def test_wrong_shape_is_named():
    model, _ = problem("direct", False)
    with pytest.raises(uvl.InputError, match=r"shape \(B, 3\)"):
        uvl.evaluate_batch(model, np.zeros((2, 7)))
