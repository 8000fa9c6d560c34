"""Who computes on which core: our own pool for compiled loops, and linear algebra kept to one thread.

Loops are cut into one part a core and joined once; a library that joins its threads many times inside one Cholesky
decomposition loses 10 to 100 times its speed as soon as another process wants a core.
"""

import functools
import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import ThreadpoolController


def n_cores():
    """Cores that this process may use; at most UVLENS_THREADS of the environment, where that is a number."""
    n = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    most = os.environ.get("UVLENS_THREADS", "")
    return max(1, min(n, int(most))) if most.isdigit() else n


@functools.cache
def pool():
    """(threads, how many): one pool for the process, a thread for each core it may use."""
    n = n_cores()
    return ThreadPoolExecutor(n, thread_name_prefix="uvlens"), n


def in_parallel(work, n_items, n_parts=None):
    """Call work(start, stop) on contiguous parts of range(n_items), one part a core unless `n_parts` says otherwise."""
    threads, cores = pool()
    edges = np.linspace(0, n_items, min(n_items, n_parts or cores) + 1).astype(int)
    parts = [(int(a), int(b)) for a, b in itertools.pairwise(edges)]
    if len(parts) == 1:
        return [work(*parts[0])]
    return list(threads.map(lambda part: work(*part), parts))


@functools.cache
def _libraries():
    import scipy.linalg  # noqa: F401  (its BLAS must be loaded to be found)

    return ThreadpoolController()


def one_blas_thread():
    """Context in which NumPy's and SciPy's linear algebra runs on the calling thread alone."""
    return _libraries().limit(limits=1, user_api="blas")
