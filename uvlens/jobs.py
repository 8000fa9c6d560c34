"""Many fits at once: model files through the workers of a dask cluster, each into a folder of its own.

Every fit keeps checkpoints. A worker that dies loses nothing: dask gives its fit to another one, which goes on from
them. A fit that fails, or whose workers die again and again, leaves the others alone.
"""

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from .errors import InputError, UVLensWarning
from .files import save_json, write_atomically
from .jobcluster import run_jobs, worker_processes
from .provenance import as_command, command_line

LOG = "job.log"
_FINISHED = "job.json"
_SUFFIXES = (".yaml", ".yml")
_FILES = ("file", "noise", "psf", "mask", "image")
"""Keys of model files whose texts may name a file or folder without a dot in its name."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A model file and the folder that its fit goes to."""

    file: Path
    folder: Path

    @property
    def name(self):
        return self.folder.name


def fit_many(files, out, jobs=2, *, resume=False, scheduler=None, workers=None, note=lambda _: None):
    """Fit model files, each into OUT/STEM.

    OUT/jobs.json says at any time what became of each, OUT/results.csv has a row a finished fit (see
    `uvlens.load_results`), OUT/STEM/job.log what the fit said. In a script the call stands under
    `if __name__ == "__main__":`, because the workers import the script.

    Args:
        files: model files, folders of them (`*.yaml`, `*.yml`) or globs.
        out: folder.
        jobs: fits at once. Without a scheduler that many worker processes are started; they share the cores, and each
            has one BLAS thread.
        resume: finished fits of the same model files are left as they are, the others go on from their checkpoints.
        scheduler: address of a dask scheduler (or a Client): its workers, of one thread each, see the same files.
        workers: of reductions, see `commands.fit_model`.
        note: called with a sentence as each fit ends.

    Returns:
        [dict] in the order of the files: name, file, folder, status ("finished", "skipped", "failed"), error, seconds.

    Raises:
        InputError: nothing to fit, two files of one name, no dask, no scheduler at the address.
    """
    found = find_jobs(files, out)
    if jobs < 1:
        raise InputError(f"jobs must be at least 1, got {jobs}")
    out = Path(out)
    _make_folder(out)
    rows = {job.name: _row(job, "waiting") for job in found}
    for job in found:
        if resume and _is_finished(job):
            rows[job.name] = _row(job, "skipped")
        elif not resume:
            _clear(job.folder)
    _save(out, rows)
    todo = [job for job in found if rows[job.name]["status"] == "waiting"]
    if len(todo) < len(found):
        note(f"{len(found) - len(todo)} of {len(found)} fits finished before")
    done = len(found) - len(todo)
    if todo:
        with worker_processes(scheduler, min(jobs, len(todo))) as client:
            for job, outcome in run_jobs(client, todo, jobs, fit_one, workers, scheduler is None, command_line()):
                done += 1
                rows[job.name] = _row(job, **outcome)
                _save(out, rows)
                said = f"{outcome['status']} ({outcome['seconds']:.0f} s)"
                said += f": {outcome['error']}" if outcome["error"] else ""
                note(f"[{done} of {len(found)}] {job.name}: {said}")
    _save_table(out, rows)
    return list(rows.values())


def find_jobs(files, out):
    """[Job] of model files, folders and globs, in order, each file once.

    Raises:
        InputError: a file that is not there, no file at all, two files whose folders would be the same.
    """
    paths = []
    for given in [files] if isinstance(files, str | Path) else files:
        path = Path(given)
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in _SUFFIXES)
            if not inside:
                raise InputError(f"{path}: no model files (*.yaml, *.yml) in this folder")
            paths += inside
        elif path.exists():
            paths.append(path)
        else:
            matches = sorted(glob.glob(str(given)))
            if not matches:
                raise InputError(f"{given}: no such file")
            paths += [Path(one) for one in matches]
    jobs, known = [], {}
    for path in dict.fromkeys(one.resolve() for one in paths):
        if path.stem in known:
            raise InputError(f"{known[path.stem]} and {path} would both be fitted into {Path(out) / path.stem}")
        known[path.stem] = path
        jobs.append(Job(path, (Path(out) / path.stem).resolve()))
    if not jobs:
        raise InputError("no model files to fit")
    return jobs


def fit_one(job, workers=None, owns_process=False, command=None):
    """Fit a Job on this worker, from its checkpoints if there are any; its outcome as a dict, never an exception.

    In a process of our own all that libraries print as errors goes to the log of the job, from here on. `command` is
    what the provenance of the result says it was started by.
    """
    started = time.perf_counter()
    job.folder.mkdir(parents=True, exist_ok=True)
    error = ""
    with open(job.folder / LOG, "a", buffering=1, encoding="utf-8") as log, warnings.catch_warnings():

        def say(sentence):
            print(f"{time.strftime('%H:%M:%S')} {sentence}", file=log)

        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UVLensWarning)
        warnings.showwarning = lambda message, *_: say(f"warning: {message}")
        say(f"process {os.getpid()}")
        if owns_process:
            os.dup2(log.fileno(), 2)
        try:
            from .commands import fit_model

            stamp = _stamp(job)
            with as_command(command):
                fit_model(job.file, job.folder, True, say, workers, progress_to=log)
            save_json(job.folder / _FINISHED, {"stamp": stamp})
        except InputError as exception:
            error = " ".join(str(exception).split())
        except Exception as exception:
            error = " ".join(f"{type(exception).__name__}: {exception}".split())[:300]
            traceback.print_exc(file=log)
        if error:
            say(f"failed: {error}")
    return {"status": "failed" if error else "finished", "error": error, "seconds": time.perf_counter() - started}


def _row(job, status, error="", seconds=0.0):
    folder = str(job.folder)
    return {"name": job.name, "file": str(job.file), "folder": folder, "status": status, "error": error} | {
        "seconds": seconds
    }


def _save(out, rows):
    save_json(out / "jobs.json", {"jobs": list(rows.values())})


def _save_table(out, rows):
    """results.csv of the fits that have a summary, and none where there is none."""
    from .resultstable import load_results

    ended = [row for row in rows.values() if row["status"] in ("finished", "skipped")]
    with contextlib.suppress(FileNotFoundError):
        os.remove(out / "results.csv")
    if not ended:
        return
    table = load_results(f"{glob.escape(str(out))}/*")
    kept = {Path(row["folder"]).name for row in ended}
    table = table[[Path(folder).name in kept for folder in table["folder"]]]
    write_atomically(out / "results.csv", lambda stream: stream.write(_csv(table).encode()))


def _csv(table):
    import io

    text = io.StringIO()
    table.write(text, format="ascii.csv")
    return text.getvalue()


def _stamp(job):
    """What identifies a finished job: this version, the text of the model file, sizes and times of all files that it
    names, wherever it does (data, masks, beams, adapt images, maps of deflections), those in folders included.
    """
    from . import __version__
    from .schema import load_yaml

    content = load_yaml(job.file)
    named = {_path(job.file.parent, text) for key, text in _texts(content) if key in _FILES or {".", "/"} & set(text)}
    files = [(path.name, *_facts_of(path)) for path in sorted(named - {None})]
    return hashlib.sha256(repr((__version__, content, files)).encode()).hexdigest()


def _texts(value, key=""):
    """(key, text) of every text among the values of nested mappings and lists."""
    if isinstance(value, dict):
        return [found for key, one in value.items() for found in _texts(one, key)]
    if isinstance(value, list):
        return [found for one in value for found in _texts(one, key)]
    return [(key, value)] if isinstance(value, str) else []


def _path(folder, text):
    """The path that a text would be, where something of that name, or that begins with it and a dot, is there."""
    try:
        path = folder / Path(text).expanduser()
        there = path.name not in ("", "..") and (path.exists() or any(path.parent.glob(f"{glob.escape(path.name)}.*")))
    except (OSError, ValueError, RuntimeError):  # no name of a file
        return None
    return path if there else None


def _facts_of(path):
    """[(name, size, time)] of a file, of all files in a folder, or of all files whose names begin with it and a dot."""
    if path.is_dir():
        files = [one for one in path.rglob("*") if one.is_file()]
    else:
        files = [path] if path.exists() else list(path.parent.glob(f"{glob.escape(path.name)}.*"))
    return [(str(one.relative_to(path.parent)), one.stat().st_size, one.stat().st_mtime_ns) for one in sorted(files)]


def _is_finished(job):
    try:
        saved = json.loads((job.folder / _FINISHED).read_text())
        return (job.folder / "summary.json").exists() and saved.get("stamp") == _stamp(job)
    except (OSError, ValueError):
        return False


def _clear(folder):
    """Remove what an earlier fit, or the stages of one, left in the folder of a job."""
    from .leftovers import clear

    for name in (LOG, _FINISHED):
        with contextlib.suppress(OSError):
            os.remove(folder / name)
    clear(folder)
    for inside in folder.iterdir() if folder.is_dir() else ():
        if inside.is_dir() and inside.name.split("_")[0].isdigit():
            clear(inside)


def _make_folder(out):
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {out}: {error.strerror}") from None


def print_jobs(rows, stream=None):
    """The outcomes as a table, a line a fit."""
    stream = sys.stderr if stream is None else stream
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        line = f"{row['name']:<{width}}  {row['status']:<8}  {row['seconds']:8.1f} s  {row['error']}"
        print(line.rstrip(), file=stream)
