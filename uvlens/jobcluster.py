"""Jobs on the workers of a dask cluster: its processes, and the order in which jobs are handed to them.

A worker that dies takes no job with it, and a job whose workers die does not hold the others up.
"""

import contextlib
import time
from collections import deque

from .errors import InputError

_NOT_INSTALLED = "fits on several workers need dask.distributed: pip install distributed"


@contextlib.contextmanager
def worker_processes(scheduler, n_workers):
    """A dask Client: of the scheduler given, or of worker processes that end with it, whatever happens."""
    try:
        import dask.config
        from dask.distributed import Client, LocalCluster
    except ImportError:
        raise InputError(_NOT_INSTALLED) from None
    if scheduler is not None:
        try:
            client = scheduler if isinstance(scheduler, Client) else Client(scheduler, timeout="15s")
        except (OSError, ValueError, TimeoutError) as error:
            first = next(iter(str(error).splitlines()), "") or type(error).__name__
            raise InputError(f"{scheduler}: no dask scheduler answers ({first})") from None
        try:
            yield client
        finally:
            if client is not scheduler:
                client.close()
        return
    # a long compiled loop that holds the interpreter is no reason to give a worker up
    settings = {"distributed.scheduler.worker-ttl": None, "distributed.admin.tick.limit": "1h"}
    with dask.config.set(settings):
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,
            dashboard_address=None,
            silence_logs=50,
            env=_threads_of(n_workers),
        )
        client = Client(cluster)
        try:
            yield client
        finally:
            client.close(timeout=5)
            cluster.close(timeout=10)


def _threads_of(n_workers):
    """Environment of a worker: one BLAS thread, its share of the cores for our own loops and for JAX."""
    from .threads import n_cores

    share = str(max(1, n_cores() // n_workers))
    alone = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    return alone | {"UVLENS_THREADS": share, "NUMBA_NUM_THREADS": share, "PJRT_NPROC": share}


def run_jobs(client, todo, n_at_once, work, *arguments):
    """(Job, outcome) as they end. Only `n_at_once` are handed out at a time: a worker that dies is blamed by dask on
    all tasks it was given, and a task with too much blame is given up. It may have been another task, or all of them
    together that needed too much memory: what was given up is tried once more, alone, when all others have ended.
    """
    from dask.distributed import as_completed

    waiting, given_up, tried_alone, running, begun = deque(todo), deque(), set(), {}, {}
    ended = as_completed()

    def begin():
        if waiting:
            job = waiting.popleft()
        elif given_up and not running:
            job = given_up.popleft()
            tried_alone.add(job)
        else:
            return
        future = client.submit(work, job, *arguments, pure=False, key=f"uvlens-fit-{job.name}-{time.time_ns()}")
        running[future] = job
        begun.setdefault(job, time.perf_counter())
        ended.add(future)

    try:
        for _ in range(n_at_once):
            begin()
        for future in ended:
            job = running.pop(future)
            error = future.exception()
            was_killed = type(error).__name__ == "KilledWorker"
            if was_killed and job not in tried_alone:
                given_up.append(job)
                begin()
                continue
            if error is None:
                outcome = future.result()
            else:
                what = "its workers died" if was_killed else type(error).__name__
                text = " ".join(f"{what}: {error}".split())[:300]
                outcome = {"status": "failed", "error": text, "seconds": time.perf_counter() - begun[job]}
            begin()
            yield job, outcome
    finally:
        client.cancel(list(running), force=True)
