"""Time of the reduction and of a likelihood, and peak memory, against the number of visibilities, on one mask.

    python benchmarks/reduction.py --visibilities 1e4 1e6 1e7
    python benchmarks/reduction.py --visibilities 1e8 --stream        # generated and reduced a million at a time
    python benchmarks/reduction.py --visibilities 1e8 --ms 10         # from 10 measurement sets, in partitions

The floor of the reduction is reading the data once, 40 bytes a visibility (u, v, Re, Im, weight), and two type-1
transforms. Prints one JSON line a size: seconds of the reduction alone (kernels compiled before; of the simulation of
streamed data too, apart), the largest relative change of the kernel against blocks of another length, milliseconds of a
likelihood, peak memory of the process. One size a process gives an honest peak.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.evaluate import seconds_per_evaluation
from uvlens.memory import peak_bytes
from uvlens.normal import ReductionSums

_CHUNK = 2**20


def simulated(n, seed=0):
    """n visibilities of noise on ALMA-like baselines (Gaussian, 99.5 % below 0.7 Mlambda)."""
    rng = np.random.default_rng(seed)
    u, v, real, imaginary = rng.standard_normal((4, n))
    u *= 2e5
    v *= 2e5
    return uvl.Visibilities(u, v, real + 1j * imaginary, np.full(n, 1.0))


def reduced(parts, mask, chunk=_CHUNK):
    """(reduction, seconds spent in it, seconds spent waiting for parts)."""
    sums, inside, waited = ReductionSums(mask, chunk=chunk), 0.0, 0.0
    started = time.perf_counter()
    for part in parts:
        arrived = time.perf_counter()
        waited += arrived - started
        sums.add(part)
        started = time.perf_counter()
        inside += started - arrived
    reduction = sums.finish()
    return reduction, inside + time.perf_counter() - started, waited


def measure(n, mask, stream, repeats):
    """Facts of the reduction of n visibilities."""
    lengths = [min(_CHUNK, n - start) for start in range(0, n, _CHUNK)]
    for length in {lengths[0], lengths[-1]}:
        reduced([simulated(length)], mask)
    best = None
    for _ in range(1 if stream else repeats):
        parts = (simulated(length, seed) for seed, length in enumerate(lengths)) if stream else [simulated(n)]
        found = reduced(parts, mask)
        best = found if best is None or found[1] < best[1] else best
    reduction, seconds, waited = best
    facts = {"reduction_seconds": round(seconds, 3), "simulation_seconds": round(waited, 2) if stream else None}
    if not stream:
        other = reduced([simulated(n)], mask, chunk=_CHUNK // 3)[0].terms[0].kernel
        kernel = reduction.terms[0].kernel
        facts["kernel_change"] = float(np.abs(other - kernel).max() / np.abs(kernel).max())
    return reduction, facts


_ANTENNAS, _CHANNELS, _INTEGRATIONS = 41, 8, 40


def write_noise(path, n, seed):
    """A measurement set of noise: n visibilities of 820 baselines, 8 channels of two windows that take turns, XX YY."""
    sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))
    from measurement_sets import write_measurement_set

    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(_ANTENNAS, 1)
    position = np.random.default_rng(0).normal(size=(_ANTENNAS, 3)) * 250.0
    windows = [(f"w{i}", 3.4e11 + 1e10 * i + 2e8 * np.arange(_CHANNELS), 2e8) for i in (0, 1)]
    n_rows, step = n // _CHANNELS, _INTEGRATIONS * len(first)

    def rows():
        for start in range(0, n_rows, step):
            row = np.arange(start, min(start + step, n_rows))
            baseline, integration = row % len(first), row // len(first)
            angle, (x, y, z) = 4.4e-4 * integration, (position[first] - position[second])[baseline].T
            uvw = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle), z
            shape = (len(row), _CHANNELS, 2)
            integers = {
                "ANTENNA1": first[baseline],
                "ANTENNA2": second[baseline],
                "DATA_DESC_ID": integration % 2,
                "FIELD_ID": 0 * row,
                "SCAN_NUMBER": 1 + integration // 100,
            }
            yield {key: values.astype(np.int32) for key, values in integers.items()} | {
                "TIME": 5e9 + 1e5 * seed + 6.0 * integration,
                "INTERVAL": np.full(len(row), 6.0),
                "FLAG_ROW": np.zeros(len(row), bool),
                "UVW": np.stack(uvw, axis=1),
                "DATA": rng.standard_normal((*shape, 2), dtype=np.float32).view(np.complex64)[..., 0],
                "FLAG": np.zeros(shape, bool),
                "WEIGHT": np.ones((len(row), 2), np.float32),
            }

    write_measurement_set(path, rows(), windows, antennas=[f"A{i:02d}" for i in range(_ANTENNAS)])


def measure_files(n, n_files, mask, workers, scheduler, folder):
    """Facts of the reduction of n visibilities that are read from measurement sets."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
    try:
        started = time.perf_counter()
        paths = [folder / f"{i}.ms" for i in range(n_files)]
        for i, path in enumerate(paths):  # in a process of its own: it does not count in the peak
            code = f"import reduction; reduction.write_noise({str(path)!r}, {n // n_files}, {i})"
            here = pathlib.Path(__file__).parent
            environment = os.environ | {"PYTHONPATH": f"{here}{os.pathsep}{here.parent}"}
            subprocess.run([sys.executable, "-c", code], check=True, env=environment)
        n_bytes = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        print(f"{n_bytes / 1e9:.2f} GB written in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        started, processor = time.perf_counter(), time.process_time()
        streams = [uvl.stream(path) for path in paths]
        reduction = uvl.reduce_partitions(
            streams, mask, workers=workers, scheduler=scheduler, progress=lambda *said: print(*said, file=sys.stderr)
        )
        seconds, processor = time.perf_counter() - started, time.process_time() - processor
    finally:
        shutil.rmtree(folder)
    return reduction, {
        "files": n_files,
        "partitions": sum(len(stream.partitions) for stream in streams),
        "workers": workers,
        "bytes_on_disk": n_bytes,
        "reduction_seconds": round(seconds, 1),
        "processor_seconds": round(processor, 1),
        "million_visibilities_per_second": round(reduction.n_visibilities / seconds / 1e6, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visibilities", type=float, nargs="+", default=[1e4, 1e6, 1e7])
    parser.add_argument("--radius", type=float, default=3.0)
    parser.add_argument("--pixel-scale", type=float, default=0.05)
    parser.add_argument("--stream", action="store_true", help="generate the data in chunks; no likelihood")
    parser.add_argument("--ms", type=int, help="write so many measurement sets first, and read them in partitions")
    parser.add_argument("--folder", help="for the measurement sets, which are removed again")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", help="address of a dask scheduler")
    parser.add_argument("--likelihood", action="store_true", help="also time a likelihood")
    parser.add_argument("--source", type=int, default=30, help="mesh nodes a side")
    parser.add_argument("--repeats", type=int, default=3, help="the shortest counts")
    a = parser.parse_args()
    mask = uvl.Mask.disc(a.radius, a.pixel_scale)
    lens = [uvl.SIE(uvl.Uniform(0.5, 1.5), 0.1, 0.05), uvl.Shear(0.03, 0.02)]
    source = uvl.PixelSource(uvl.RectangularMesh(a.source, a.source), uvl.Gradient(1.0), positive=False)
    for n in map(int, a.visibilities):
        if a.ms:
            reduction, facts = measure_files(n, a.ms, mask, a.workers, a.scheduler, a.folder)
        else:
            reduction, facts = measure(n, mask, a.stream, a.repeats)
        peak = (peak_bytes() or 0) / 2**30
        if a.likelihood:
            from uvlens.normal import operator_from_reduction

            model = uvl.Model(operator_from_reduction(reduction), lens, source)
            seconds = seconds_per_evaluation(model, jnp.array([1.0]))
            facts |= {"operator": model.normal.method, "rank": model.normal.rank, "n_source_pixels": a.source**2}
            facts["milliseconds_per_likelihood"] = round(1e3 * seconds, 2)
        versions = {name: importlib.metadata.version(name) for name in ("numpy", "jax", "jax-finufft")}
        facts = {
            "n_visibilities": reduction.n_visibilities,
            "streamed": a.stream or bool(a.ms),
            "n_image_pixels": mask.n_pixels,
            "kernel_grid": [2 * side for side in mask.grid.shape],
            **facts,
            "peak_memory_gib": round(peak, 2),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "versions": {"uvlens": uvl.__version__, **versions},
        }
        print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
