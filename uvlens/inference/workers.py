"""Processes that evaluate a model beside one another: on this machine, under MPI, or on a Dask cluster.

A process keeps the Density of the model that it was sent and the functions compiled for it; tasks are functions of a
Density and arrays, defined at the top of a module. Processes of our own run the compiled evidence on one core each:
two chains on two cores finish sooner than one chain on both.
"""

import hashlib
import os
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, wait

import numpy as np

from ..errors import InputError
from .density import Density

_PATIENCE = 4
"""Parts of a batch for every worker: those that finish early take another."""
_SMALL = 1_000_000
"""Bytes of a model that goes with every task of an executor, whose processes may be on other machines."""
_LOST = ("KilledWorker", "CommClosedError", "CancelledError", "FutureCancelledError")
"""Names of what dask raises where a worker or the scheduler is gone."""
_known = {}
"""Densities of this process by the hash of their model: the last one used."""


class Workers:
    """Context manager over processes that hold a model.

    Args:
        model: Model.
        pool: number of processes on this machine, or an executor with `submit` (mpi4py.futures.MPIPoolExecutor), or a
            dask.distributed Client.
        folder: where a model that is too large to go with every task of an executor is put, seen by all its processes;
            None: the temporary folder of this machine.

    Raises:
        InputError: something else.
    """

    def __init__(self, model, pool, folder=None):
        import cloudpickle

        payload = cloudpickle.dumps(model)
        self._name = hashlib.sha256(payload).hexdigest()
        self._file = self._own = None
        if isinstance(pool, int) and not isinstance(pool, bool):
            if pool < 1:
                raise InputError(f"workers must be at least 1, got {pool}")
            from joblib.externals.loky import ProcessPoolExecutor

            self.n_workers = pool
            self._own = ProcessPoolExecutor(
                pool, env={"UVLENS_THREADS": "1"}, initializer=_settle, initargs=(os.getpid(),)
            )
            self._submit = self._own.submit
        elif hasattr(pool, "scatter") and hasattr(pool, "scheduler_info"):
            self.n_workers = max(1, len(pool.scheduler_info(n_workers=-1)["workers"]))
            source = pool.scatter(payload, broadcast=True, hash=False)
            self._submit = lambda *arguments: pool.submit(*arguments, pure=False)
            self._source = source
        elif hasattr(pool, "submit"):
            self.n_workers = getattr(pool, "_max_workers", None) or getattr(pool, "num_workers", None) or 2
            self._submit = pool.submit
        else:
            raise InputError(f"workers: expected a number, an executor or a dask Client, got {pool!r}")
        if not hasattr(self, "_source") and len(payload) <= _SMALL and self._own is None:
            self._source = payload
        if not hasattr(self, "_source"):
            kept_in = None if self._own is not None else folder
            handle, self._file = tempfile.mkstemp(prefix="uvlens-", suffix=".model", dir=kept_in)
            with os.fdopen(handle, "wb") as stream:
                stream.write(payload)
            self._source = self._file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._own is not None:
            self._own.shutdown(kill_workers=True)
        if self._file is not None and os.path.exists(self._file):
            os.remove(self._file)

    def submit(self, density, function, *arguments):
        """Future of function(Density, *arguments) in a process, its positive solver started as that of `density`."""
        return self._submit(_call, self._name, self._source, density.start, function, arguments)

    def evaluate(self, density, name, rows):
        """`Density.compute(name, rows)`, the rows shared among the processes."""
        parts = np.array_split(rows, min(len(rows), _PATIENCE * self.n_workers))
        found = self.gather([self.submit(density, _compute, name, part) for part in parts])
        if isinstance(found[0], tuple):
            return tuple(np.concatenate([one[i] for one in found]) for i in range(len(found[0])))
        return np.concatenate(found)

    def gather(self, futures):
        """Results in order; a dead process is an InputError."""
        return [result_of(future) for future in futures]


def result_of(future):
    """The result of a future.

    Raises:
        InputError: its process died.
    """
    import asyncio
    from concurrent.futures import BrokenExecutor

    try:
        return future.result()
    except (Exception, asyncio.CancelledError) as error:
        lost = any(kind.__name__ in _LOST for kind in type(error).__mro__)
        if not lost and not isinstance(error, BrokenExecutor):
            raise
        text = str(error).split(".")[0] or type(error).__name__
        raise InputError(
            f"a worker process died ({text}): out of memory? `--resume` continues; fewer workers"
        ) from None


def run_in_turns(workers, density, tasks, follow):
    """Run tasks and what follows each until nothing does.

    Args:
        workers: Workers, or None: one after another in this process.
        density: Density.
        tasks: iterable of (key, function, arguments).
        follow: (key, result) -> the next (function, arguments) of that key, or None.
    """
    if workers is None:
        for key, function, arguments in tasks:
            following = function, arguments
            while following is not None:
                function, arguments = following
                following = follow(key, function(density, *arguments))
        return
    running = {workers.submit(density, function, *arguments): key for key, function, arguments in tasks}
    while running:
        for done in _first_done(list(running)):
            key = running.pop(done)
            following = follow(key, result_of(done))
            if following is not None:
                function, arguments = following
                running[workers.submit(density, function, *arguments)] = key


def _first_done(futures):
    if type(futures[0]).__module__.startswith("distributed"):
        from distributed import wait as wait_distributed

        return list(wait_distributed(futures, return_when="FIRST_COMPLETED").done)
    return list(wait(futures, return_when=FIRST_COMPLETED).done)


def _settle(parent):
    """In a worker of our own: stay while the parent lives, and no longer.

    What a compilation takes is no leak that loky should end the process for. A parent that is killed tells nobody: its
    workers would wait for tasks, with their memory, until the machine is switched off.
    """
    from joblib.externals.loky import process_executor

    process_executor._USE_PSUTIL = False

    def watch():
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _compute(density, name, rows):
    return density.compute(name, rows)


def _call(name, source, start, function, arguments):
    """In a worker: the task, with the Density of the model named."""
    if name not in _known:
        import cloudpickle

        if isinstance(source, str):
            with open(source, "rb") as stream:
                source = stream.read()
        _known.clear()
        _known[name] = Density(cloudpickle.loads(source))
    density = _known[name]
    if start is not None and (density.start is None or not np.array_equal(start, density.start)):
        density.restart(start)
    return function(density, *arguments)
