"""The table of one evidence of an image: free, positive, positive with its gradient.

    python benchmarks/imaging.py [--calls 11] [--cases ...] [--out FILE.jsonl]

A lensed spot on pixels of 0.05", fitted in a disc of radius 3.0" (11,304 pixels), a Gaussian PSF of 21 x 21 pixels,
4 x 4 rays, 30 x 30 source pixels. The model has all pixels whose light the PSF carries into the disc ("blurring"), or
those of the disc alone ("clipped": what others do). One evidence is: new lens parameters, ray trace, mapper, F, H and
determinants, solve, ln E; the gradient that of all lens parameters and the strength. One JSON line a case with medians,
the profile of one evaluation, and the operations and bytes that cannot be avoided.
"""

import argparse
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
from likelihood import TRUTH

import uvlens as uvl
from uvlens.benchmark import machine, time_calls
from uvlens.inversion import host
from uvlens.normal import operator_from_reduction
from uvlens.normal.psf_reduction import ImagingReduction
from uvlens.normal.sparse import SparseLens
from uvlens.threads import one_blas_thread

CASES = {
    "bilinear, blurring": {"basis": "bilinear", "clipped": False},
    "spline, blurring": {"basis": "spline", "clipped": False},
    "bilinear, clipped": {"basis": "bilinear", "clipped": True},
    "spline, clipped": {"basis": "spline", "clipped": True},
    "spline, PSF 61 x 61": {"basis": "spline", "clipped": False, "psf": 61},
}


def gaussian(size, width=1.5):
    """A round PSF of `size` x `size` pixels that sums to 1."""
    offset = np.arange(size) - size // 2
    psf = np.exp(-0.5 * (offset[:, None] ** 2 + offset**2) / width**2)
    return psf / psf.sum()


def simulated(clipped=False, psf_size=21, pixel_scale=0.05, radius=3.0, seed=0):
    """The ImagingReduction of a lensed spot with noise that varies over the image."""
    rng = np.random.default_rng(seed)
    mask = uvl.Mask.disc(radius, pixel_scale)
    psf = gaussian(psf_size)
    blank = np.ones(mask.grid.shape)
    reduction = ImagingReduction.of(0.0 * blank, blank, psf, mask, model_mask=mask if clipped else None)
    lens = uvl.LensPlane([uvl.SIE(*TRUTH[:5]), uvl.Shear(*TRUTH[5:])])
    beta_x, beta_y = (np.asarray(b) for b in lens.ray_trace(*reduction.mask.rays(4)))
    sky = np.exp(-0.5 * ((beta_x - 0.05) ** 2 + (beta_y + 0.03) ** 2) / 0.12**2).mean(axis=1)
    model = mask.to_image(reduction.predict(sky))
    noise = 0.02 * np.sqrt(1.0 + 3.0 * model)
    image = model + noise * rng.normal(size=model.shape)
    return ImagingReduction.of(image, noise, psf, mask, model_mask=mask if clipped else None)


def profile(model, vector):
    """Milliseconds of the parts of one evaluation on the host (smallest of seven)."""
    mapper, bands, _ = model.linear_problem(vector)
    indices, weights, bands = (np.asarray(a) for a in (mapper.indices, mapper.weights, bands))
    trace = jax.jit(lambda v: model.linear_problem(v)[0].weights)
    lens, products = SparseLens.of(indices, weights, model.n_source), model.normal.products
    everywhere, dirty = np.ones(model.n_source, bool), np.asarray(model.normal.dirty_image)
    kept, square = products.curvature(lens, True)[1], np.eye(model.n_source)

    def evidence(positive, gradient):
        return host.evidence(products, dirty, indices, weights, bands, everywhere, everywhere, positive, gradient)

    parts = {
        "mapper": lambda: jax.block_until_ready(trace(vector)),
        "merge": lambda: SparseLens.of(indices, weights, model.n_source),
        "curvature": lambda: products.curvature(lens, False),
        "pullback": lambda: products.pullback(lens, kept, square),
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
    return result, floor(model, lens)


def floor(model, lens):
    """Multiplications and additions, and bytes, that cannot be avoided; U: source pixels that a fitted pixel sees."""
    reduction, s = model.normal.reduction, model.n_source
    touched = _touched(reduction, lens)
    m, reach = reduction.n_real_data, np.count_nonzero(reduction.psf)
    entries, mapper_entries = len(lens.source), lens.slot.size
    return {
        "source_pixels_seen": round(float(np.mean(touched)), 1),
        "operations": {
            "blur": entries * reach * m / len(lens.row_start),
            "curvature": float(np.sum(touched**2)) / 2.0,
            "cholesky": s**3 / 6,
            "inverse": s**3 / 3,
            "pullback": float(np.sum(touched**2)) + entries * reach * m / len(lens.row_start),
        },
        "bytes": {"mapper": 12 * mapper_entries, "curvature": 8 * s * s},
    }


def _touched(reduction, lens):
    """Source pixels whose light reaches each fitted pixel, shape (M,)."""
    import scipy.sparse

    lensing = scipy.sparse.csr_array(
        (np.ones(len(lens.source)), lens.source, lens.row_start), (lens.n_pixels, lens.n_source)
    )
    frame = reduction.frame
    number = np.full(frame.shape, -1)
    number[frame.rows, frame.columns] = np.arange(lens.n_pixels)
    row, column = (o.ravel() for o in np.indices(reduction.psf.shape))
    down, right = (o - n // 2 for o, n in zip((row, column), reduction.psf.shape))
    rows = frame.data_rows[:, None] - down
    columns = frame.data_columns[:, None] - right
    inside = (rows >= 0) & (rows < frame.shape[0]) & (columns >= 0) & (columns < frame.shape[1])
    found = np.where(inside, number[rows.clip(0, frame.shape[0] - 1), columns.clip(0, frame.shape[1] - 1)], -1)
    i, j = np.nonzero(found >= 0)
    blur = scipy.sparse.csr_array((np.ones(len(i)), (i, found[i, j])), (len(rows), lens.n_pixels))
    return np.diff((blur @ lensing).indptr).astype(float)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=11)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", help="also write the lines to this file")
    a = parser.parse_args()
    lines = []
    for name in a.cases:
        case = CASES[name]
        reduction = simulated(case["clipped"], case.get("psf", 21))
        normal = operator_from_reduction(reduction)
        mesh = uvl.RectangularMesh(30, 30, basis=case["basis"])
        facts = {"case": name, "n_data": reduction.n_real_data, "n_image_pixels": reduction.mask.n_pixels}
        for kind, positive, gradient in (("free", False, False), ("positive", True, False), ("gradient", True, True)):
            free = uvl.Uniform(-10.0, 10.0)
            lens = [uvl.SIE(free, free, free, free, free), uvl.Shear(free, free)]
            source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
            model = uvl.Model(normal, lens, source, rays=4)
            normal = model.normal
            vector = jnp.asarray([*TRUTH, 0.1])
            seconds, value, facts[f"{kind}_first_call"] = time_calls(model, vector, gradient, a.calls)
            facts[kind] = float(np.median(seconds))
            facts[f"{kind}_log_evidence_minus_null"] = value
        other = operator_from_reduction(reduction, "fft" if normal.method == "direct" else "direct")
        facts["delta_log_evidence"] = value - float(uvl.Model(other, lens, source, rays=4).log_likelihood(vector))
        parts, least = profile(model, vector)
        facts |= {"n_source_pixels": mesh.n_source, "operator": normal.method, "choice": normal.choice}
        facts |= {"profile_ms": parts, "floor": least, **machine(), "load_after": os.getloadavg()[0]}
        lines.append(json.dumps(facts))
        print(lines[-1], flush=True)
    if a.out:
        with open(a.out, "w") as stream:
            stream.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
