"""uvlens and PyAutoLens side by side: seconds per likelihood and per gradient of the same problems, in one run.

    python benchmarks/peers/compare.py --peer-python VENV/bin/python --peer-bench FOLDER/bench.py --data FOLDER

PyAutoLens runs in its own interpreter, one process per route (see README.md); uvlens runs in this one, straight
after, on the same arrays and at the same lens parameters. Every JSON line is one of

    record = "peer"          what bench.py printed, with the load of the machine around it
    record = "comparison"    one case and kind: seconds of both, their ratio, sizes, versions, machine
    record = "core"          uvlens fed with PyAutoLens's own mapper and H: differences of chi^2 and ln det A
"""

import argparse
import json
import pathlib
import shutil
import time

from cases import CASES, DEFAULT_COEFFICIENT, DEFAULT_KINDS, KINDS
from machine import machine_facts, note
from peer import Peer, fastest, matching, read_peer_results, run_peer
from uvlens_side import compare_core, load_arrays, run_uvlens, uvlens_versions

import uvlens as uvl

NOISY = 0.15
"""Cores used by other processes from which a timing is marked."""


def comparison(case, name, normal, reduction_seconds, ours, peer_records, same_run):
    """The record of one case and kind."""
    best = fastest(peer_records)
    peer = None
    if best is not None:
        peer = {
            "seconds": best["eval"]["median"],
            "route": best["peer_route"],
            "calls": best["eval"]["n"],
            "setup_seconds": best.get("precompute_s"),
            "log_evidence": best.get("value_ref", best.get("value")),
            "chi_squared": _term(best, "chi_squared"),
            "peak_memory_mib": best.get("peak_rss_mib"),
            "precision": "float64" if best.get("x64", True) else "float32",
            "versions": {"python": best.get("py"), **best.get("versions", {})},
            "load_before": best.get("load_before"),
            "load_after": best.get("load_after"),
            "other_cores": best.get("other_cores"),
            "same_run": same_run,
            "routes": {r["peer_route"]: r["eval"]["median"] if r.get("ok") else r.get("error") for r in peer_records},
        }
    return {
        "record": "comparison",
        "case": f"{case.data}_S{case.n_source}",
        "kind": name,
        "n_visibilities": normal.reduction.n_visibilities,
        "n_image_pixels": normal.mask.n_pixels,
        "n_source_pixels": case.n_source,
        "peer_seconds": peer and peer["seconds"],
        "uvlens_seconds": ours["seconds"],
        "ratio": peer and peer["seconds"] / ours["seconds"],
        "precision": "float64",
        "warm": True,
        "batch": 1,
        "uvlens": {**ours, "setup_seconds": reduction_seconds, "versions": uvlens_versions()},
        "peer": peer,
        "machine": machine_facts(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def _term(record, name):
    """A term of the evidence at the reference parameters; None on its JAX routes, which give the sum only."""
    terms = record.get("terms")
    return terms.get(name) if isinstance(terms, dict) else None


def print_tables(records):
    """What was found, for people; a star marks timings with another process on more than NOISY cores."""
    rows = [("case", "K", "N", "S", "kind", "peer [s]", "route", "uvlens [s]", "peer/uvlens", "load", "other cores")]
    for r in (r for r in records if r["record"] == "comparison"):
        peer, ours = r["peer"] or {}, r["uvlens"]
        others = [x for x in (peer.get("other_cores"), ours["other_cores"]) if x is not None]
        rows.append(
            (
                r["case"],
                str(r["n_visibilities"]),
                str(r["n_image_pixels"]),
                str(r["n_source_pixels"]),
                r["kind"],
                f"{peer['seconds']:.4f}" if peer else "-",
                peer.get("route", "-"),
                f"{ours['seconds']:.4f}",
                f"{r['ratio']:.1f}" if peer else "-",
                f"{ours['load_before'][0]:.2f} {ours['load_after'][0]:.2f}",
                f"{max(others):.2f}{' *' if max(others) > NOISY else ''}" if others else "-",
            )
        )
    _print_rows(rows)
    rows = [("array-level core", "operator", "delta chi^2", "delta ln det A / ln det A", "delta ln E")]
    for r in (r for r in records if r["record"] == "core"):
        deltas = (r["delta_chi_squared"], r["delta_log_det_relative"], r["delta_log_evidence"])
        rows.append((r["oracle"], r["operator"], *(f"{delta:.1e}" for delta in deltas)))
    _print_rows(rows)


def _print_rows(rows):
    if len(rows) > 1:
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        for row in rows:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        print()


def parse_arguments():
    """The command line, checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = pathlib.Path
    parser.add_argument("--data", type=path, required=True, help="folder with NAME.npz (and coeff.json)")
    parser.add_argument("--peer-python", help="interpreter of PyAutoLens's environment")
    parser.add_argument("--peer-bench", type=path, help="its bench.py")
    parser.add_argument("--no-peer", action="store_true", help="time uvlens alone")
    parser.add_argument("--peer-results", type=path, help="JSON lines of an earlier run, in the place of running it")
    parser.add_argument("--peer-timeout", type=float, default=900.0, help="seconds per process (default %(default)s)")
    parser.add_argument("--oracle", type=path, help="PyAutoLens's matrices and terms (default DATA/oracle)")
    parser.add_argument("--no-core", action="store_true", help="skip the comparison of the array-level core")
    parser.add_argument("--cases", nargs="+", help="data sets to keep, of sma_190 and alma_1e5")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=DEFAULT_KINDS)
    parser.add_argument("--repetitions", type=int, default=11, help="timed calls (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="sma_190 with 3 calls: does everything run?")
    parser.add_argument("--out", type=path, help="append the JSON lines to this file (default: print them)")
    a = parser.parse_args()
    if a.quick:
        a.cases, a.repetitions = ["sma_190"], 3
    a.cases = [case for case in CASES if a.cases is None or case.data in a.cases]
    if not a.cases:
        parser.error("--cases keeps none of " + ", ".join(sorted({case.data for case in CASES})))
    missing = [case.data for case in a.cases if not (a.data / f"{case.data}.npz").exists()]
    if missing:
        parser.error(f"--data {a.data}: no {missing[0]}.npz")
    if a.peer_results and not a.peer_results.exists():
        parser.error(f"--peer-results {a.peer_results}: no such file")
    if not (a.no_peer or a.peer_results):
        if not (a.peer_python and a.peer_bench):
            parser.error("give --peer-python and --peer-bench, or --peer-results, or --no-peer")
        if not a.peer_bench.exists() or shutil.which(a.peer_python) is None:
            parser.error(f"not found: {a.peer_python} or {a.peer_bench}")
    a.oracle = a.oracle or a.data / "oracle"
    return a


def main():
    a = parse_arguments()
    records = []

    def write(record):
        records.append(record)
        line = json.dumps(record)
        if a.out is None:
            print(line, flush=True)
        else:
            with a.out.open("a") as file:
                file.write(line + "\n")

    peer = None
    if not (a.no_peer or a.peer_results):
        peer = Peer(shutil.which(a.peer_python), a.peer_bench, a.data, a.peer_timeout)
    earlier = read_peer_results(a.peer_results) if a.peer_results else []
    folders = [a.peer_bench.parent] if a.peer_bench else []
    file = next((f for folder in [*folders, a.data] if (f := folder / "coeff.json").exists()), None)
    coefficients = json.loads(file.read_text()) if file else {}
    normals, reduction_seconds = {}, {}
    for case in a.cases:
        if case.data not in normals:
            data, mask, _ = load_arrays(a.data, case.data)
            started = time.perf_counter()
            normals[case.data] = uvl.normal_operator(data, mask)
            reduction_seconds[case.data] = time.perf_counter() - started
        normal = normals[case.data]
        for name in a.kinds:
            kind = KINDS[name]
            note(f"{case.data}, S = {case.n_source}, {name}")
            peer_records = matching(earlier, case, kind)
            if peer is not None:
                peer_records = run_peer(peer, case, kind, a.repetitions, write)
            note("  uvlens")
            ours = run_uvlens(normal, case, kind, coefficients.get(case.data, DEFAULT_COEFFICIENT), a.repetitions)
            seconds = reduction_seconds[case.data]
            write(comparison(case, name, normal, seconds, ours, peer_records, same_run=peer is not None))
    if not a.no_core and a.oracle.is_dir():
        note("array-level core")
        compare_core(a.data, a.oracle, normals, {case.data for case in a.cases}, write)
    print_tables(records)


if __name__ == "__main__":
    main()
