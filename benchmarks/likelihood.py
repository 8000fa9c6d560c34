"""The table of one evidence: free, positive, positive with its gradient, for given data sets or simulated ones.

    python benchmarks/likelihood.py [--data FOLDER] [--calls 11] [--out FILE.jsonl]

FOLDER holds `sma_190.npz` and `alma_1e5.npz` with the arrays uv_wavelengths (K, 2), data (K,), sigma (K,), mask
(n, n, True where masked) and pixel_scale (see `peers/README.md`); without it, coverages of the same size are simulated.
One evidence is: new lens parameters, ray trace, mapper, F, H and determinants, solve, ln E; the gradient that of all
lens parameters and the strength. One JSON line a case with medians, the profile of one evaluation and its floor.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.benchmark import machine, simulated_visibilities, time_calls
from uvlens.inversion import host
from uvlens.normal import operator_from_reduction
from uvlens.normal.sparse import SparseLens
from uvlens.threads import one_blas_thread

sys.path.insert(0, str(pathlib.Path(__file__).parent / "peers"))

TRUTH = [1.6, 0.1, -0.05, 0.03, -0.02, 0.03, 0.04]
CASES = {
    "sma_190": {"data": "sma_190", "mask": None, "nodes": 20},
    "alma_1e5 S 900": {"data": "alma_1e5", "mask": None, "nodes": 30},
    "alma_1e5 S 1600": {"data": "alma_1e5", "mask": None, "nodes": 40},
    "alma_1e5 S 900 spline, 4 x 4 rays": {"data": "alma_1e5", "mask": None, "nodes": 30, "basis": "spline", "rays": 4},
    "alma_1e5 S 900, smooth adaptive mesh": {"data": "alma_1e5", "mask": None, "nodes": 30, "adaptive": True},
    "arcs, S 1024": {"data": "alma_1e5", "mask": uvl.Mask.annulus(0.95, 2.2, 0.05), "nodes": 32},
    '0.025" pixels, S 1521': {"data": "alma_1e5", "mask": uvl.Mask.disc(3.5, 0.025), "nodes": 39},
}
SIMULATED = {"sma_190": (190, 7e4), "alma_1e5": (100_000, 4e5)}


def data_and_mask(folder, case):
    """Visibilities and mask of a case."""
    name = case["data"]
    if folder is None:
        data, mask = simulated_visibilities(*SIMULATED[name]), uvl.Mask.disc(3.0, 0.1 if name == "sma_190" else 0.05)
    else:
        from uvlens_side import load_arrays

        data, mask, _ = load_arrays(pathlib.Path(folder), name)
    return data, mask if case["mask"] is None else case["mask"]


def profile(model, vector):
    """Milliseconds of the parts of one positive evaluation on the host (smallest of seven)."""
    mapper, bands, _ = model.linear_problem(vector)
    indices, weights = np.asarray(mapper.indices), np.asarray(mapper.weights)
    trace = jax.jit(lambda v: model.linear_problem(v)[0].weights)
    lens, products = SparseLens.of(indices, weights, model.n_source), model.normal.products
    bands = np.asarray(bands)
    everywhere, dirty = np.ones(model.n_source, bool), np.asarray(model.normal.dirty_image)

    def evidence(positive, gradient):
        return host.evidence(products, dirty, indices, weights, bands, everywhere, everywhere, positive, gradient)

    parts = {
        "mapper": lambda: jax.block_until_ready(trace(vector)),
        "merge": lambda: SparseLens.of(indices, weights, model.n_source),
        "curvature": lambda: products.curvature(lens, False),
        "all, free": lambda: evidence(False, False),
        "all, positive": lambda: evidence(True, False),
        "all, positive with gradient": lambda: evidence(True, True),
    }
    result = {"entries": len(lens.source), "factorizations": evidence(True, False).solution.n_factorizations}
    for name, part in parts.items():
        times = []
        with one_blas_thread():
            for _ in range(7):
                started = time.perf_counter()
                part()
                times.append(time.perf_counter() - started)
        result[name] = round(1e3 * min(times), 2)
    return result


def floor(model, entries):
    """Operations (multiplications and additions) of the parts that cannot be avoided."""
    n, s, rank = model.normal.mask.n_pixels, model.n_source, model.normal.rank
    curvature = entries * n / 2 + entries * s / 2 if rank is None else entries * rank + rank * s**2 / 2
    return {"curvature": curvature, "cholesky": s**3 / 6, "inverse": s**3 / 3, "pullback": entries * s}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with the data sets")
    parser.add_argument("--calls", type=int, default=11)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", help="also write the lines to this file")
    a = parser.parse_args()
    lines = []
    for name in a.cases:
        case = CASES[name]
        data, mask = data_and_mask(a.data, case)
        normal = uvl.normal_operator(data, mask)
        mesh_class = uvl.AdaptiveMesh if case.get("adaptive") else uvl.RectangularMesh
        mesh = mesh_class(case["nodes"], case["nodes"], basis=case.get("basis", "bilinear"))
        facts = {"case": name, "n_visibilities": len(data), "n_image_pixels": mask.n_pixels}
        for kind, positive, gradient in (("free", False, False), ("positive", True, False), ("gradient", True, True)):
            free = uvl.Uniform(-10.0, 10.0)
            lens = [uvl.SIE(free, free, free, free, free), uvl.Shear(free, free)]
            source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
            model = uvl.Model(normal, lens, source, rays=case.get("rays", 1))
            normal = model.normal
            vector = jnp.asarray([*TRUTH, 0.1])
            seconds, value, facts[f"{kind}_first_call"] = time_calls(model, vector, gradient, a.calls)
            facts[kind] = float(np.median(seconds))
            facts[f"{kind}_log_evidence_minus_null"] = value
        exact = uvl.Model(operator_from_reduction(normal.reduction, "fft"), lens, source, rays=case.get("rays", 1))
        facts["delta_log_evidence"] = value - float(exact.log_likelihood(vector))
        parts = profile(model, vector)
        facts |= {"n_source_pixels": mesh.n_source, "operator": normal.method, "rank": normal.rank, "profile_ms": parts}
        facts |= {"floor_operations": floor(model, parts["entries"]), **machine(), "load_after": os.getloadavg()[0]}
        lines.append(json.dumps(facts))
        print(lines[-1], flush=True)
    if a.out:
        with open(a.out, "w") as stream:
            stream.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
