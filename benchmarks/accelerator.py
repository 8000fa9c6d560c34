"""Time per evidence on an accelerator, alone and in batches: N 15,400 image pixels, S 1,521 source pixels, positive.

    python benchmarks/accelerator.py [--compressed target.uvlens] [--quick] [--out FILE.jsonl]

Needs JAX and a compressed data set only (without one, visibilities are simulated and reduced on the host). One JSON
line for each operator, batch and kind: milliseconds a call and an evaluation (median, warm, new lens parameters every
call), the first call with its compilation, delta ln E against the FFT, memory expected and used. On a machine without
an accelerator it runs the same fixed-shape code on the CPU, slowly: --quick makes it small.

The floor on an H200 (67 TFLOP/s in float64 matrix products, 4.8 TB/s): F by low rank 2 r S^2 = 1.5e10 operations
0.3 ms; one Cholesky decomposition 1.2e9 operations, but about 0.8 ms of latency, 5 to 12 of them for a positive source.
"""

import argparse
import json
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens import memory
from uvlens.benchmark import LENS, machine, simulated_visibilities
from uvlens.inversion.evidence import _on_device
from uvlens.normal import SourceSize, operator_from_reduction, reduce

VECTOR = jnp.array([1.0, 0.1, 0.05, 0.03, 0.02, 1e-2])


def device_likelihood(model):
    """ln E - ln E_null through the code of accelerators, whatever this machine has."""

    def likelihood(vector):
        mapper, bands, log_det = model.linear_problem(vector)
        everywhere = jnp.ones(model.n_source, bool)
        arguments = (model.normal, mapper.indices, mapper.weights, bands, everywhere, everywhere)
        return _on_device(*arguments, positive=model.is_positive, gradient=False)[0] + 0.5 * log_det

    return likelihood


def measure(model, batch, gradient, calls):
    """(seconds of each call, of the first one, ln E at the first vector)."""
    likelihood = model.log_likelihood if gradient else device_likelihood(model)
    one = jax.value_and_grad(likelihood) if gradient else likelihood
    function = jax.jit(jax.vmap(one))
    scale = 1.0 + 1e-3 * jnp.arange(batch)[:, None] / batch
    started = time.perf_counter()
    first = jax.block_until_ready(function(VECTOR * scale))
    first_call = time.perf_counter() - started
    seconds = []
    for i in range(calls):
        vectors = jax.block_until_ready(VECTOR * scale * (1.0 + 1e-4 * (i + 1)))
        started = time.perf_counter()
        jax.block_until_ready(function(vectors))
        seconds.append(time.perf_counter() - started)
    return seconds, first_call, float((first[0] if gradient else first)[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compressed", help="a .uvlens file in the place of simulated data")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--methods", nargs="+", default=["fft", "lowrank"])
    parser.add_argument("--quick", action="store_true", help="a small problem")
    parser.add_argument("--out", help="also write the lines to this file")
    a = parser.parse_args()
    radius, nodes, batches, calls = (1.5, 12, [1, 2], 3) if a.quick else (3.5, 39, a.batches, 9)
    if a.compressed:
        reduction = uvl.load_normal_operator(a.compressed).reduction
    else:
        reduction = reduce(
            simulated_visibilities(1_000_000, 2.2e5), uvl.Mask.disc(radius, 0.05 if not a.quick else 0.1)
        )
    mesh = uvl.RectangularMesh(nodes, nodes, basis="bilinear")
    lines, reference = [], None
    for method in a.methods:
        normal = operator_from_reduction(reduction, method)
        for positive, gradient, batch in [(p, g, b) for p in (False, True) for g in (False, True) for b in batches]:
            if gradient and jax.default_backend() == "cpu":
                continue
            source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
            model = uvl.Model(normal, LENS, source, rays=1)
            facts = {
                "method": method,
                "rank": normal.rank,
                "n_image_pixels": reduction.mask.n_pixels,
                "n_source_pixels": mesh.n_source,
                "positive": positive,
                "gradient": gradient,
                "batch": batch,
                "memory": memory.estimate(
                    reduction, SourceSize(mesh.n_source, mesh.entries(1)), 1, method, normal.rank or 0, gradient, batch
                ),
            }
            try:
                seconds, first_call, value = measure(model, batch, gradient, calls)
            except jax.errors.JaxRuntimeError as error:
                facts["failed"] = str(error).splitlines()[0]
            else:
                reference = {**(reference or {}), **({positive: value} if positive not in (reference or {}) else {})}
                facts |= {
                    "milliseconds_per_call": 1e3 * float(np.median(seconds)),
                    "milliseconds_per_evaluation": 1e3 * float(np.median(seconds)) / batch,
                    "first_call_seconds": first_call,
                    "delta_log_evidence": value - reference[positive],
                    "device_memory": jax.devices()[0].memory_stats(),
                }
            lines.append(json.dumps({**facts, **machine()}))
            print(lines[-1], flush=True)
    if a.out:
        with open(a.out, "w") as stream:
            stream.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
