"""Reductions of data that are larger than memory: partitions side by side, in threads or on a cluster, and resumed.

Each partition comes to PartialSums, a few megabytes whatever it holds. They are stored as soon as they are there, under
a hash of all they depend on, and added in the order of the data: neither the number of workers, nor who was first, nor
an interruption shows in the result.
"""

import concurrent.futures
import dataclasses
import hashlib
import pathlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import __version__
from ..data.stream import Flagged
from ..errors import InputError
from .accumulate import ReductionSums, checked_beam
from .checks import check_field, check_window
from .partial import is_partial, load_partial, save_partial

_WORKERS = 2
"""Threads where nothing is said: one reads while the other transforms, which has threads of its own."""
_NOT_INSTALLED = "a cluster needs dask: pip install dask distributed"


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Who reduces partitions, and where what is done is kept.

    Args:
        workers: threads of this process; None: 2.
        scheduler: a dask Client or the address of its scheduler ("tcp://host:8786"), in the place of threads; workers
            have to see the files under the same path.
        checkpoint: folder for what is done, from which the next call goes on; None: nothing is kept.
        progress: called with (message, fraction done).
    """

    workers: int | None = None
    scheduler: Any = None
    checkpoint: str | pathlib.Path | None = None
    progress: Callable | None = None

    def __post_init__(self):
        if self.workers is not None and (isinstance(self.workers, bool) or self.workers < 1):
            raise InputError(f"workers must be a positive number of threads, got {self.workers!r}")


def reduce_streams(streams, mask, primary_beam, pixel_window, options, schedule, is_alone):
    """The Reductions of streams with partitions, in order: those of the next are begun before this one is done."""
    work, sums = [], []
    for number, stream in enumerate(streams):
        first = stream.first().unflagged()
        if isinstance(primary_beam, str) and primary_beam == "auto" and first.primary_beam is not None:
            check_field(first.name, first.primary_beam_fwhm, np.inf, mask, first.pointing_offset, is_alone)
        reference = None if first.frequency is None else float(first.frequency[0])
        task = Task(mask, primary_beam, pixel_window, options, reference)
        sums.append(task.sums())
        work += [(number, partition, task) for partition in stream.partitions]
    finished = _run(work, schedule)
    last = {number: i for i, (number, *_) in enumerate(work)}
    reductions = []
    for i, partial in enumerate(finished):
        number, _, task = work[i]
        sums[number].merge(partial)
        if i == last[number]:
            observation = sums[number].observation
            if not (isinstance(primary_beam, str) and primary_beam == "auto" and observation.primary_beam_fwhm):
                check_field(observation.name, None, observation.shortest, mask)
            reductions.append(sums[number].finish())
            sums[number] = None
    return reductions


@dataclasses.dataclass(frozen=True)
class Task:
    """What is done to every partition of an observation (see ReductionSums)."""

    mask: Any
    primary_beam: Any
    pixel_window: bool
    options: dict
    reference_frequency: float | None

    def sums(self):
        """ReductionSums without anything in them."""
        return ReductionSums(
            self.mask,
            primary_beam=self.primary_beam,
            pixel_window=self.pixel_window,
            reference_frequency=self.reference_frequency,
            **self.options,
        )

    @property
    def identity(self):
        """SHA-256 of it and of this package's version."""
        beam = checked_beam(self.primary_beam, self.mask)
        stated = (self.mask.grid, self.pixel_window, sorted(self.options.items()), self.reference_frequency)
        digest = hashlib.sha256(repr((*stated, beam if isinstance(beam, str) else None, __version__)).encode())
        digest.update(np.ascontiguousarray(self.mask.kept).data)
        if not isinstance(beam, str):
            digest.update(np.ascontiguousarray(beam).data)
        return digest.hexdigest()


def reduce_partition(partition, task):
    """The PartialSums of one partition; what a worker does."""
    sums = task.sums()
    for part in partition.parts():
        if isinstance(part, Flagged):
            sums.add_flagged(part.count)
            continue
        if task.pixel_window:
            check_window(part, task.mask)
        sums.add(part)
    return sums.partial()


def discard(checkpoint):
    """Remove what `reduce_partitions` kept in a folder, and the folder if nothing else is in it."""
    folder = pathlib.Path(checkpoint)
    if folder.is_dir():
        for file in folder.glob("partial-*"):
            file.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _run(work, schedule):
    """PartialSums in the order of the work, each as soon as those before it are there."""
    files = _files(work, schedule.checkpoint)
    progress = _Rate(schedule.progress, sum(partition.n_visibilities for _, partition, _ in work))
    kept = {i for i, file in files.items() if is_partial(*file)}
    for i in kept:
        progress.resumed(work[i][1].n_visibilities)
    todo = [i for i in range(len(work)) if i not in kept]
    results = (_in_threads if schedule.scheduler is None else _on_cluster)(todo, [work[i][1:] for i in todo], schedule)
    held, due = dict.fromkeys(kept), 0
    while due < len(work):
        if due not in held:
            i, partial = next(results)
            if i in files:
                save_partial(partial, *files[i])
            progress.done(work[i][1].n_visibilities)
            held[i] = partial if i == due or i not in files else None
            continue
        partial = held.pop(due)
        if partial is None:  # it lies in its file
            partial = load_partial(*files[due])
        yield reduce_partition(*work[due][1:]) if partial is None else partial
        due += 1


def _files(work, folder):
    """{number in the work: (file, key)} of what can be kept."""
    if folder is None:
        return {}
    folder = pathlib.Path(folder)
    identities = {id(task): task.identity for *_, task in work}
    files = {}
    for i, (_, partition, task) in enumerate(work):
        if partition.identity is not None:
            key = hashlib.sha256(f"{partition.identity} {identities[id(task)]}".encode()).hexdigest()
            files[i] = folder / f"partial-{key[:24]}.npz", key
    if files:
        _make_folder(folder)
    return files


def _in_threads(todo, arguments, schedule):
    """Of the partitions that wait only as many are begun as there are threads: what is not needed yet is not held."""
    workers = min(schedule.workers or _WORKERS, len(todo))
    if workers <= 1:
        for i, pair in zip(todo, arguments):
            yield i, reduce_partition(*pair)
        return
    waiting = iter(zip(todo, arguments))
    with concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="uvlens-partition") as threads:
        running = {}
        try:
            for i, pair in waiting:
                running[threads.submit(reduce_partition, *pair)] = i
                if len(running) < workers:
                    continue
                yield from _finished(running)
            while running:
                yield from _finished(running)
        finally:
            for future in running:
                future.cancel()


def _finished(running):
    """Those of the running ones that are done, at least one, taken out."""
    done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
    for future in sorted(done, key=lambda one: running[one]):
        yield running.pop(future), future.result()


def _on_cluster(todo, arguments, schedule):
    """On dask's workers; what a lost worker had begun is begun again by another one."""
    try:
        from dask.distributed import Client, as_completed
    except ImportError:
        raise InputError(_NOT_INSTALLED) from None
    if not todo:
        return
    given = schedule.scheduler
    try:
        client = given if isinstance(given, Client) else Client(given, timeout="15s")
    except (OSError, ValueError, TimeoutError) as error:
        first = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{given}: no dask scheduler answers ({first})") from None
    futures = {}
    try:
        for i, (partition, task) in zip(todo, arguments):
            futures[
                client.submit(reduce_partition, partition, task, pure=False, key=f"uvlens-{time.time_ns()}-{i}")
            ] = i
        for future in as_completed(list(futures)):
            partial = future.result()
            i = futures.pop(future)
            future.release()
            yield i, partial
    finally:
        client.cancel(list(futures))
        if client is not given:
            client.close()


def _make_folder(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be created: {error.strerror}") from None


class _Rate:
    """Visibilities a second and the time that is left, from those that were not there before."""

    def __init__(self, progress, total):
        self._progress, self._total = progress, max(total, 1)
        self._done = self._new = 0
        self._started = time.perf_counter()

    def resumed(self, n):
        self._done += n

    def done(self, n):
        self._done += n
        self._new += n
        if self._progress is not None:
            rate = self._new / max(time.perf_counter() - self._started, 1e-9)
            left = (self._total - self._done) / rate
            message = f"reducing: {self._done:,} visibilities, {rate / 1e6:.2f} million/s, {_duration(left)} left"
            self._progress(message, self._done / self._total)


def _duration(seconds):
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
