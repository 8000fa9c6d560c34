"""Timings on the user's machine: what one evidence costs, by operator, and how the operators agree."""

import importlib.metadata
import os
import pathlib
import platform
import time

import jax
import jax.numpy as jnp
import numpy as np

from . import __version__
from .compiled import Compiled
from .data import Visibilities
from .grid import Mask
from .lens import SIE, Shear
from .model import Model, PixelSource
from .normal import operator_from_reduction, reduce
from .priors import LogUniform, Normal, Uniform
from .source import Gradient, RectangularMesh

LENS = [SIE(Uniform(0.5, 1.5), Normal(0.1, 0.1), Normal(0.05, 0.1)), Shear(Normal(0.03, 0.1), Normal(0.02, 0.1))]
CASES = {
    "SMA, 190 visibilities": {"visibilities": (190, 6e4), "mask": (3.0, 0.1), "nodes": 20, "basis": "bilinear"},
    "ALMA, 1e4 visibilities": {"visibilities": (10_000, 2.5e5), "mask": (2.0, 0.08), "nodes": 30, "basis": "spline"},
    "ALMA, 1e5 visibilities": {"visibilities": (100_000, 4e5), "mask": (3.0, 0.05), "nodes": 30, "basis": "bilinear"},
}


def simulated_visibilities(n, width, seed=0):
    """n visibilities of a lensed spot: Gaussian uv coverage of standard deviation `width` [wavelengths], S/N 3 each."""
    from .nufft import type2

    rng = np.random.default_rng(seed)
    u, v = rng.normal(0.0, width, (2, n))
    sky = Mask.disc(1.8, 0.04)
    beta_x, beta_y = _truth().ray_trace(sky.x, sky.y)
    image = sky.to_image(np.exp(-0.5 * ((beta_x - 0.05) ** 2 + (beta_y + 0.03) ** 2) / 0.12**2))
    vis = type2(np.asarray(image), u, v, sky.grid)
    vis *= 3.0 / np.sqrt(np.mean(np.abs(vis) ** 2))
    return Visibilities(u, v, vis + rng.normal(size=n) + 1j * rng.normal(size=n), np.ones(n))


def _truth():
    from .lens import LensPlane

    return LensPlane([SIE(1.0, 0.1, 0.05), Shear(0.03, 0.02)])


def machine():
    """Processor, cores, load and versions: what a timing means nothing without."""
    processor = platform.processor() or platform.machine()
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        processor = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), processor)
    except OSError:
        pass
    device = jax.devices()[0]
    return {
        "processor": processor,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": f"{device.platform} {device.device_kind}",
        "load": round(os.getloadavg()[0], 2),
        "precision": "float64",
        "versions": {"uvlens": __version__, **{p: importlib.metadata.version(p) for p in ("jax", "numpy", "scipy")}},
    }


def time_calls(model, vector, gradient=False, calls=9):
    """(seconds of each warm call, ln E at `vector`, seconds of the first call): new parameters in every call."""
    if gradient:
        function = Compiled(lambda model, vector: jax.value_and_grad(model.log_likelihood)(vector), model)
    else:
        function = Compiled(lambda model, vector: model.log_likelihood(vector), model)
    started = time.perf_counter()
    value = jax.block_until_ready(function(vector))
    first = time.perf_counter() - started
    vectors = [vector * (1.0 + 1e-3 * (i + 1) / calls) for i in range(calls)]
    jax.block_until_ready(vectors)
    seconds = []
    for moved in vectors:
        started = time.perf_counter()
        jax.block_until_ready(function(moved))
        seconds.append(time.perf_counter() - started)
    return seconds, float(value[0] if gradient else value), first


def run(note, quick=False):
    """Rows of the table that `uvlens benchmark` prints, one for each case and operator, and the machine's facts."""
    rows, calls = [], 3 if quick else 9
    for name, case in list(CASES.items())[: 1 if quick else None]:
        data, mask = simulated_visibilities(*case["visibilities"]), Mask.disc(*case["mask"])
        started = time.perf_counter()
        reduction = reduce(data, mask)
        note(f"{name}: {mask.n_pixels} image pixels, reduced in {time.perf_counter() - started:.2f} s")
        reference = None
        for method in ("auto", "direct", "fft", "lowrank"):
            normal = operator_from_reduction(reduction, method)
            row = {"case": name, "method": method, **_time_row(normal, case, calls)}
            reference = row["log_evidence"] if reference is None else reference
            row["delta_log_evidence"] = row.pop("log_evidence") - reference
            rows.append(row)
            note(f"  {method} ({row['operator']}): {1e3 * row['positive']:.1f} ms")
    return {"rows": rows, **machine()}


def _time_row(normal, case, calls):
    mesh = RectangularMesh(case["nodes"], case["nodes"], basis=case["basis"])
    rays = 1 if case["basis"] == "bilinear" else 4
    row = {
        "operator": normal.method,
        "rank": normal.rank,
        "n_image_pixels": normal.mask.n_pixels,
        "n_source_pixels": mesh.n_source,
    }
    for kind, positive, gradient in (
        ("unconstrained", False, False),
        ("positive", True, False),
        ("positive_gradient", True, True),
    ):
        model = Model(normal, LENS, PixelSource(mesh, Gradient(LogUniform(1e-6, 1e6)), positive), rays=rays)
        vector = jnp.asarray([1.0, 0.1, 0.05, 0.03, 0.02, 1e-2])
        seconds, row["log_evidence"], row[f"{kind}_first_call"] = time_calls(model, vector, gradient, calls)
        row[kind] = float(np.median(seconds))
    return row


def print_table(result):
    """The rows for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{result['processor']}, {result['cores']} cores, {result['device']}, load {result['load']}")
    for column in ("case", "operator", "rank", "N", "S", "free", "positive", "and gradient", "delta ln E"):
        table.add_column(column, justify="left" if column in ("case", "operator") else "right")
    for row in result["rows"]:
        method, operator = row["method"], row["operator"]
        table.add_row(
            row["case"],
            method if method == operator else f"{method}: {operator}",
            "" if row["rank"] is None else str(row["rank"]),
            str(row["n_image_pixels"]),
            str(row["n_source_pixels"]),
            *(f"{1e3 * row[key]:.1f} ms" for key in ("unconstrained", "positive", "positive_gradient")),
            f"{row['delta_log_evidence']:.1e}",
        )
    Console().print(table)
