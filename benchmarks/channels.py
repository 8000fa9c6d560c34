"""What another channel of a cube costs: one evidence of C channels that share a curvature matrix, against that of one.

    python benchmarks/channels.py [--calls 7] [--channels 1 2 4 8 16] [--out FILE.jsonl]

An ALMA-like coverage (1e5 visibilities), a source whose position drifts from channel to channel, S 900. One evidence
is: new lens parameters, ray trace, mapper, F, H and determinants, C solves, ln E; the gradient that of all lens
parameters and the strength. One JSON line for each case: median seconds by C, the cost of an extra channel over a
single evaluation, and the floor of an extra channel: the operations that it cannot do without.
"""

import argparse
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.benchmark import machine
from uvlens.compiled import Compiled
from uvlens.inversion import host
from uvlens.normal import operator_from_reduction, reduce
from uvlens.normal.shared import share_curvature
from uvlens.nufft import type2

CASES = {
    "N 11,304, bilinear, 1 ray": {"mask": (3.0, 0.05), "basis": "bilinear", "rays": 1},
    "N 11,304, spline, 4 x 4 rays": {"mask": (3.0, 0.05), "basis": "spline", "rays": 4},
    "N 5,024, bilinear, 2 x 2 rays": {"mask": (2.0, 0.05), "basis": "bilinear", "rays": 2},
}
NODES = 30
VECTOR = jnp.asarray([1.0, 0.1, 0.05, 0.0, 0.0, 0.03, 0.02, 1e-1])


def channels(n, mask, snr=40.0, n_visibilities=100_000, width=4e5):
    """Reductions of n channels on one coverage: a spot that moves behind the lens, each of total S/N `snr`."""
    u, v = np.random.default_rng(0).normal(0.0, width, (2, n_visibilities))
    sky = uvl.Mask.disc(1.8, 0.04)
    lens = uvl.LensPlane([uvl.SIE(1.0, 0.1, 0.05), uvl.Shear(0.03, 0.02)])
    beta_x, beta_y = (np.asarray(b) for b in lens.ray_trace(sky.x, sky.y))
    reductions = []
    for c in range(n):
        rng = np.random.default_rng(1000 + c)
        x, y = 0.3 * (c / max(n - 1, 1) - 0.5), -0.03
        image = sky.to_image(np.exp(-0.5 * ((beta_x - x) ** 2 + (beta_y - y) ** 2) / 0.12**2))
        vis = type2(np.asarray(image), u, v, sky.grid)
        vis *= snr / np.sqrt(np.sum(np.abs(vis) ** 2))
        vis += rng.normal(size=len(u)) + 1j * rng.normal(size=len(u))
        reductions.append(reduce(uvl.Visibilities(u, v, vis, np.ones(len(u))), mask))
    return reductions


def log_evidence(model, vector):
    """ln E - ln E_null of all channels."""
    return model.log_evidence_minus_null(vector)


def model_of(reduction, case, positive, method="auto"):
    """Model of one lens on an operator."""
    free = uvl.Uniform(-10.0, 10.0)
    lens = [uvl.SIE(free, free, free, free, free), uvl.Shear(free, free)]
    mesh = uvl.RectangularMesh(NODES, NODES, basis=case["basis"])
    source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
    return uvl.Model(operator_from_reduction(reduction, method), lens, source, rays=case["rays"])


def steps(model):
    """Decompositions of the positive solves, channel by channel."""
    mapper, bands, _ = model.linear_problem(VECTOR)
    everywhere = np.ones(model.n_source, bool)
    arrays = (np.asarray(a) for a in (mapper.indices, mapper.weights, bands))
    found = host.evidence(
        model.normal.products, model.normal.reduction.dirty_image, *arrays, everywhere, everywhere, True, False
    )
    return [s.n_factorizations for s in found.solutions], [int(np.sum(s.source > 0)) for s in found.solutions]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=7)
    parser.add_argument("--channels", nargs="+", type=int, default=[1, 2, 4, 8, 16])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--snr", type=float, default=40.0, help="of each channel")
    parser.add_argument("--out", help="also write the lines to this file")
    a = parser.parse_args()
    lines = []
    for name in a.cases:
        case = CASES[name]
        mask = uvl.Mask.disc(*case["mask"])
        reductions = channels(max(a.channels), mask, a.snr)
        for positive in (False, True):
            facts = measure(reductions, case, positive, a.channels, a.calls)
            facts = {"case": name, "n_image_pixels": mask.n_pixels, "n_source_pixels": NODES**2, "snr": a.snr} | facts
            lines.append(json.dumps(facts | machine() | {"load_after": os.getloadavg()[0]}))
            print(lines[-1], flush=True)
    if a.out:
        with open(a.out, "w") as stream:
            stream.write("\n".join(lines) + "\n")


def measure(reductions, case, positive, numbers, calls):
    """Facts of one case: seconds by C of the value and of the value with its gradient, interleaved."""
    functions, models = {}, {}
    for n in numbers:
        reduction = reductions[0] if n == 1 else share_curvature(reductions[:n]).reduction
        models[n] = model = model_of(reduction, case, positive)
        functions["value", n] = Compiled(log_evidence, model)
        functions["value and gradient", n] = Compiled(jax.value_and_grad(log_evidence, 1), model)
    seconds = {key: [] for key in functions}
    for i in range(calls + 1):  # the first call compiles
        vector = jax.block_until_ready(VECTOR * (1.0 + 1e-3 * i / calls))
        for key, function in functions.items():
            started = time.perf_counter()
            jax.block_until_ready(function(vector))
            seconds[key].append(time.perf_counter() - started)
    facts = {"positive": positive, "operator": models[numbers[-1]].normal.method}
    for kind in ("value", "value and gradient"):
        median = {n: float(np.median(seconds[kind, n][1:])) for n in numbers}
        facts[kind] = median
        facts[f"{kind}: extra channel over one"] = {
            n: round((median[n] / median[1] - 1.0) / (n - 1), 4) for n in numbers if n > 1
        }
    s = NODES**2
    facts["floor_operations_of_an_extra_channel"] = {"solve": s**2, "residual_and_refinement": 2 * s**2}
    if positive:
        decompositions, sizes = steps(models[numbers[-1]])
        facts |= {"decompositions": decompositions, "positive_pixels": sizes}
        facts["floor_operations_of_an_extra_channel"]["passive_set"] = int(np.mean(sizes) ** 3 / 6)
    return facts


if __name__ == "__main__":
    main()
