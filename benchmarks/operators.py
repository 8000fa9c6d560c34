"""Every operator on a grid of masks, coverages and sources: what `method="auto"` picks against the best one.

    python benchmarks/operators.py [--quick] [--out FILE.jsonl]

One JSON line for each point: seconds of a positive evidence (median, new lens parameters every call) by method, the
expected ones of `uvlens.normal.choose`, the choice, its time over that of the best, the largest difference in ln E.
"""

import argparse
import itertools
import json

import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.benchmark import machine, simulated_visibilities, time_calls
from uvlens.normal import choose, operator_from_reduction

METHODS = ("direct", "fft", "lowrank")


def measure(reduction, nodes, basis, rays, positive=True, calls=5):
    """Facts of one point of the grid."""
    source = uvl.PixelSource(uvl.RectangularMesh(nodes, nodes, basis=basis), uvl.Gradient(1e-2), positive)
    lens = [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.1, 0.05), uvl.Shear(0.03, 0.02)]
    seconds, values, expected = {}, {}, {}
    size = choose.SourceSize(nodes**2, uvl.RectangularMesh(nodes, nodes, basis=basis).entries(rays))
    rank = choose.expected_rank(reduction)
    for method in METHODS:
        if method == "lowrank" and 8 * rank * reduction.mask.n_pixels > choose.LARGEST_FACTOR:
            continue
        operator = operator_from_reduction(reduction, method)
        model = uvl.Model(operator, lens, source, rays=rays)
        times, value, _ = time_calls(model, jnp.array([1.0]), calls=calls)
        seconds[method], values[method] = float(np.median(times)), value
        expected[method] = choose.seconds(method, reduction, size, rank)
        if method == "lowrank":
            true_rank = operator.rank
    choice, _ = choose.cheapest(reduction, size)
    reference = values["fft"]
    return {
        "n_image_pixels": reduction.mask.n_pixels,
        "n_visibilities": reduction.n_visibilities,
        "n_source_pixels": nodes**2,
        "basis": basis,
        "rays": rays,
        "expected_rank": rank,
        "rank": true_rank if "lowrank" in seconds else None,
        "seconds": seconds,
        "expected_seconds": expected,
        "auto": choice,
        "auto_over_best": seconds[choice] / min(seconds.values()),
        "largest_delta_log_evidence": max(abs(v - reference) for v in values.values()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest points only")
    parser.add_argument("--out", help="also write the lines to this file")
    a = parser.parse_args()
    coverages = {"sparse": (200, 8e4), "dense": (20_000, 3e5)}
    masks = [(1.5, 0.1)] if a.quick else [(1.5, 0.1), (2.0, 0.08), (2.0, 0.04), (3.0, 0.05)]
    sources = [(20, "bilinear", 1)] if a.quick else [(20, "bilinear", 1), (30, "spline", 2), (40, "bilinear", 2)]
    lines = []
    for (coverage, (n, width)), (radius, scale) in itertools.product(coverages.items(), masks):
        data = simulated_visibilities(n, width)
        reduction = uvl.normal_operator(data, uvl.Mask.disc(radius, scale), "fft").reduction
        for source in sources:
            facts = {"coverage": coverage, **measure(reduction, *source), **machine()}
            lines.append(json.dumps(facts))
            print(lines[-1], flush=True)
    worst = max(json.loads(line)["auto_over_best"] for line in lines)
    print(json.dumps({"worst_auto_over_best": worst}))
    if a.out:
        with open(a.out, "w") as stream:
            stream.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
