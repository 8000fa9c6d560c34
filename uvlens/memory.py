"""How much memory a model will take, before it takes it."""

import os
import pathlib

import jax

from .normal.choose import LARGEST_KEPT
from .threads import pool

PROCESS = 500 * 2**20
"""Bytes of an interpreter with JAX and the compiled kernels."""
_RAY_ENTRY = 12
"""Bytes of an index and a weight."""
_MAPPER_COPIES = {"value": 3.0, "gradient": 7.0}
"""Arrays of the mapper's size alive at once while rays are traced (and traced back), found by measurement."""


def estimate(reduction, source, rays, method, rank, gradient=True, batch=1):
    """Bytes by purpose and their peak.

    Args:
        reduction: Reduction, for its mask.
        source: SourceSize.
        rays: per side of an image pixel.
        method: of the operator.
        rank: of W, known or expected.
        gradient: whether gradients will be taken.
        batch: parameter vectors at once, on an accelerator.

    Returns:
        dict: process, operator, evaluation, peak, available (None where unknown), fits.
    """
    n, s = reduction.mask.n_pixels, source.n_source
    ny, nx = reduction.mask.grid.shape
    n_terms = len(reduction.terms)
    host = jax.default_backend() == "cpu"
    operator = n_terms * 8 * (2 * ny) * (2 * nx) * (3 if method == "direct" else 2)
    if method == "lowrank":
        operator = (3 if host else 2) * 8 * rank * n
    mapper = n * rays**2 * min(source.entries, 16.0) * _RAY_ENTRY * _MAPPER_COPIES["gradient" if gradient else "value"]
    evaluation = mapper + (_host_algebra if host else _device_algebra)(n, s, rank, method, gradient, ny * nx)
    if host:
        total = PROCESS + operator + evaluation
    else:
        evaluation *= batch
        total = operator + evaluation
    available = available_bytes()
    return {
        "process": PROCESS,
        "operator": int(operator),
        "evaluation": int(evaluation),
        "peak": int(total),
        "available": available,
        "fits": available is None or total <= available,
    }


def _host_algebra(n, s, rank, method, gradient, box):
    """Dense matrices of one evidence in compiled code."""
    total = 4 * 8 * s * s
    if method == "lowrank":
        total += 8 * rank * s * (2 if gradient else 1)
    else:
        block = 8 * n * 8 + 8 * 8 * box * (1 if method == "direct" else 8)
        total += pool()[1] * block
        if gradient and 8 * n * s <= LARGEST_KEPT:
            total += 8 * n * s
    return total + (2 * 8 * s * s if gradient else 0)


def _device_algebra(n, s, rank, method, gradient, box):
    """Dense L, T and the S x S matrices, in fixed shapes."""
    transformed = 8 * rank * s if method == "lowrank" else 8 * n * s + 32 * 8 * 8 * box
    return 8 * n * s + transformed + 6 * 8 * s * s + (8 * n * s + 2 * 8 * s * s if gradient else 0)


def available_bytes():
    """Memory that is free for this process: of the accelerator, else of the machine; None where it is not told."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        statistics = device.memory_stats() or {}
        limit = statistics.get("bytes_limit")
        return None if limit is None else int(limit - statistics.get("bytes_in_use", 0))
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def peak_bytes():
    """Largest memory this process ever held; None where it is not told.

    From the kernel's own mark where there is one: what `resource` says includes the process that started this one.
    """
    try:
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
