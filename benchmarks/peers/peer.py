"""PyAutoLens, by its benchmark script in its own interpreter: one process per route, the fastest route counts."""

import dataclasses
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from machine import machine_load, note


@dataclasses.dataclass(frozen=True)
class Route:
    """One way through PyAutoLens: back-end, mesh, positive solver (JAX only) and threads of BLAS (None: all)."""

    backend: str
    mesh: str
    solver: str | None = None
    threads: int | None = None

    def __str__(self):
        parts = [{"np": "numba"}.get(self.backend, self.backend), self.mesh, self.solver]
        return " ".join(part for part in parts if part) + (f" {self.threads} thread" if self.threads else "")


def peer_routes(kind):
    """The routes tried for a kind; its only differentiable one is JAX, on the uniform mesh.

    On the adaptive bilinear mesh its gradient comes back as zero, and a smooth adaptive mesh (rtu) is slower.
    """
    solvers = (None, "certified") if kind.positive else (None,)
    if kind.gradient:
        return [Route("jax", "uniform", solver) for solver in solvers]
    routes = [Route("np", mesh, None, threads) for mesh in ("bilinear", "uniform") for threads in (None, 1)]
    return routes + [Route("jax", mesh, solver) for mesh in ("bilinear", "uniform") for solver in solvers]


class Peer:
    """PyAutoLens by its benchmark script, copied next to the data into a folder that it may write to.

    Args:
        python: interpreter of its environment.
        bench: its bench.py (with make_data.py and coeff.json beside it).
        data: folder of the npz files.
        timeout: seconds allowed to one process.
    """

    def __init__(self, python, bench, data, timeout):
        self.python, self.timeout = python, timeout
        self.folder = tempfile.TemporaryDirectory(prefix="peer-")
        folder = pathlib.Path(self.folder.name)
        for name in ("bench.py", "make_data.py", "coeff.json"):
            source = bench if name == "bench.py" else bench.with_name(name)
            if source.exists():
                shutil.copyfile(source, folder / name)
        for file in data.glob("*.npz"):
            (folder / file.name).symlink_to(file.resolve())

    def run(self, case, kind, route, repetitions):
        """One process: what it printed, or ok = False with the reason."""
        arguments = {
            "data": case.data,
            "mesh": f"{route.mesh}{case.nodes}",
            "backend": route.backend,
            "task": "grad" if kind.gradient else "pix",
            "pos": int(kind.positive),
            "reps": repetitions,
            "fdh": "1e-5",
        }
        if route.solver:
            arguments["solver"] = route.solver
        command = [self.python, "bench.py", *(f"--{key}={value}" for key, value in arguments.items())]
        # importing uvlens sets JAX_ENABLE_X64; PYTHONPATH and the like are meant for this interpreter
        ours = ("JAX_", "PYTHON", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        if route.threads:
            environment["OMP_NUM_THREADS"] = str(route.threads)
        try:
            done = subprocess.run(
                command, cwd=self.folder.name, env=environment, capture_output=True, text=True, timeout=self.timeout
            )
        except subprocess.TimeoutExpired:
            return {**arguments, "ok": False, "error": f"not done after {self.timeout:.0f} s"}
        printed = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not printed:
            return {**arguments, "ok": False, "error": done.stderr[-1000:]}
        return json.loads(printed[-1])


def run_peer(peer, case, kind, repetitions, write):
    """The peer's records of every route of a case."""
    records = []
    for route in peer_routes(kind):
        note(f"  PyAutoLens, {route}")
        facts, load = machine_load(lambda route=route: peer.run(case, kind, route, repetitions))
        record = {**facts, "record": "peer", "peer_route": str(route), **load}
        write(record)
        records.append(record)
    return records


def read_peer_results(path):
    """Records of an earlier run, or the results.jsonl of bench.py itself."""
    records = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    asked = {"formalism": "sparse", "reg": "constant", "coeff": None, "edges": 1, "route": None}
    return [
        record
        for record in records
        if "backend" in record
        and record.get("task") in ("pix", "grad")
        and all(record.get(key, value) == value for key, value in asked.items())
    ]


def matching(records, case, kind):
    """Those of a case and kind, the latest of each route."""
    latest = {}
    for record in records:
        mesh = re.fullmatch(r"([a-z]+)(\d+)", record["mesh"])
        same = mesh and int(mesh[2]) == case.nodes and record["data"] == case.data
        same = same and bool(record["pos"]) == kind.positive and (record.get("task") == "grad") == kind.gradient
        if same:
            threads = record.get("threads")
            route = Route(record["backend"], mesh[1], record.get("solver"), int(threads) if threads else None)
            latest[str(route)] = {**record, "peer_route": str(route)}
    return list(latest.values())


def fastest(records):
    """The record with the smallest median, leaving out failures and gradients that are zero; None without one."""
    usable = [r for r in records if r.get("ok") and "eval" in r and not _zero_gradient(r)]
    return min(usable, key=lambda record: record["eval"]["median"], default=None)


def _zero_gradient(record):
    """Whether the lens parameters of a gradient record have none (the strength, listed first, always has one)."""
    return "grad" in record and max(abs(g) for g in record["grad"][1:]) < 1e-6 * max(1.0, abs(record["value"]))
