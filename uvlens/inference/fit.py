"""`fit`: from a Model to a Result by the method asked for, every stage saved as soon as it is there."""

import contextlib
import json
import os

from ..errors import InputError
from ..files import check_room, save_json
from ..guard import check_guard
from ..leftovers import clear
from ..progress import LiveView
from ..provenance import provenance
from ..quicklook import QuickLook
from ..results import Result
from .density import Density
from .identity import describe_model, difference
from .run import Run
from .searches import SEARCHES


def fit(
    model,
    method="auto",
    *,
    seed=1,
    directory=None,
    resume=False,
    progress=None,
    notes=(),
    workers=None,
    near=None,
    quick_look=None,
    **options,
):
    """Fit a model.

    Args:
        model: Model with n >= 1 free parameters.
        method: "optimize" (multi-start L-BFGS and the Gaussian at the top), "laplace" (that Gaussian re-weighted),
            "svi" (a Gaussian or a flow fitted to the posterior, re-weighted), "nuts", "nautilus" (nested sampling) or
            "auto" (optimise, svi, then nuts until it converges; nautilus where there are several modes).
        seed: whole number; the same seed gives the same result (to rounding, whatever the workers).
        directory: folder for checkpoints; None keeps none.
        resume: continue from the checkpoints in `directory`.
        progress: called with (message, fraction done of this stage); messages have the best ln E so far and
            likelihoods per second.
        notes: sentences about the data, kept in the result.
        workers: processes that share batches of likelihoods and chains: their number, an executor
            (mpi4py.futures.MPIPoolExecutor), or a dask.distributed Client. Default: as many as are worth it here.
        near: parameters (n,) near the best fit, such as the vector of a Calibration: one more climb begins there (all
            methods but nautilus).
        quick_look: draw the best model so far into `quick_look.html` of `directory` every so many likelihoods.
        options: n_starts, n_screen, optimizer ("lbfgs", "adam") of all but nautilus; n_draws (laplace, svi); guide
            ("gaussian", "flow"), n_steps, n_particles (svi); n_chains, n_warmup, n_draws, target_accept, target_ess and
            max_draws (nuts, auto: draws go on until R-hat < 1.01 and the bulk effective size is target_ess); n_live,
            n_effective (nautilus).

    Returns:
        Result.

    Raises:
        InputError: nothing to fit, an unknown method or option, checkpoints of another model, or a model that has no
            finite evidence anywhere.
    """
    if method not in SEARCHES:
        raise InputError(f"method must be {', '.join(SEARCHES)}, got {method!r}")
    search, known = SEARCHES[method]
    for name in options:
        if name not in known:
            raise InputError(f"fit: {name} is not an option of {method}, which takes {', '.join(known)}")
    if len(model.parameters) == 0:
        raise InputError("nothing to fit: every parameter is fixed; use evaluate")
    check_guard(model)
    checkpoint = _prepare(model, method, seed, options, directory, resume)
    density = Density(model)
    progress = None if progress is None else LiveView(density, progress)
    if quick_look is not None:
        progress = QuickLook(density, _checked_look(quick_look, directory), directory, progress)
    try:
        with contextlib.ExitStack() as stack:
            fields = search(Run(density, seed, checkpoint, resume, progress, workers, stack, near), dict(options))
    except InputError:
        if checkpoint is not None and not resume:
            _remove_leftovers(directory)
        raise
    fields["diagnostics"]["failed_evaluations"] = density.n_failed
    fields["diagnostics"]["workers"] = 1 if density.workers is None else density.workers.n_workers
    return Result(
        **{"model": model, "method": method, "seed": seed, "n_chains": 1}
        | {"log_likelihood": None, "log_evidence_minus_null": None}
        | {"n_evaluations": density.n_evaluations, "n_gradients": density.n_gradients}
        | {"wall_seconds": density.seconds, "notes": tuple(notes), "provenance": provenance()}
        | fields
    )


def _checked_look(every, directory):
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise InputError(f"quick_look: expected a number of likelihoods, got {every!r}")
    if directory is None:
        raise InputError("quick_look: the pictures need a directory")
    return every


def _prepare(model, method, seed, options, directory, resume):
    """The prefix of checkpoint files; stale ones are removed, foreign ones refused."""
    if directory is None:
        return None
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {directory}: {error.strerror}") from None
    check_room(directory)
    prefix = os.path.join(directory, "checkpoint")
    identity = {"model": describe_model(model), "method": method, "seed": seed, "options": dict(options)}
    if resume and os.path.exists(f"{prefix}.json"):
        try:
            with open(f"{prefix}.json", encoding="utf-8") as stream:
                saved = json.load(stream)
        except ValueError:
            raise InputError(f"{prefix}.json is damaged; fit without --resume") from None
        found = difference(saved, identity)
        if found:
            raise InputError(f"{directory}: its checkpoints belong to another fit: {found}; fit without --resume")
        return prefix
    clear(directory, state=False)
    save_json(f"{prefix}.json", identity)
    return prefix


def _remove_leftovers(directory):
    """What a refused fit leaves: its checkpoints, and the folder if nothing else is in it."""
    for name in os.listdir(directory):
        if name.startswith("checkpoint."):
            os.remove(os.path.join(directory, name))
    if not os.listdir(directory):
        os.rmdir(directory)
