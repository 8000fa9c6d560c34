"""Time per likelihood and peak memory against the number of visibilities, on one mask.

    python benchmarks/reduction.py --visibilities 1e4 1e6 1e7

The floor of the reduction is reading the data once, 40 bytes a visibility (u, v, Re, Im, weight), and two type-1
transforms. Prints one JSON line a size: seconds of the reduction, milliseconds of a likelihood, peak memory.
"""

import argparse
import json
import platform
import resource
import time

import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.evaluate import seconds_per_evaluation


def simulated(n, seed=0):
    """n visibilities of noise on ALMA-like baselines (Gaussian, 99.5 % below 0.7 Mlambda)."""
    rng = np.random.default_rng(seed)
    u, v = rng.normal(0.0, 2e5, (2, n))
    vis = rng.normal(size=n) + 1j * rng.normal(size=n)
    return uvl.Visibilities(u, v, vis, np.full(n, 1.0))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visibilities", type=float, nargs="+", default=[1e4, 1e6, 1e7])
    parser.add_argument("--radius", type=float, default=2.0)
    parser.add_argument("--pixel-scale", type=float, default=0.08)
    parser.add_argument("--source", type=int, default=30, help="mesh nodes a side")
    a = parser.parse_args()
    mask = uvl.Mask.disc(a.radius, a.pixel_scale)
    lens = [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.1, 0.05), uvl.Shear(0.03, 0.02)]
    source = uvl.PixelSource(uvl.RectangularMesh(a.source, a.source), uvl.Gradient(1.0), positive=False)
    for n in a.visibilities:
        data = simulated(int(n))
        started = time.perf_counter()
        normal = uvl.normal_operator(data, mask)
        reduction = time.perf_counter() - started
        seconds = seconds_per_evaluation(uvl.Model(normal, lens, source), jnp.array([1.0]))
        facts = {
            "n_visibilities": int(n),
            "n_image_pixels": mask.n_pixels,
            "n_source_pixels": a.source**2,
            "operator": normal.method,
            "rank": normal.rank,
            "reduction_seconds": round(reduction, 3),
            "milliseconds_per_likelihood": round(1e3 * seconds, 2),
            "peak_memory_gib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            "machine": platform.machine(),
            "version": uvl.__version__,
        }
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
