"""Pipelines: fits one after the other, each model made from the results of those before it, every stage resumable.

stages = [
    uvl.Stage("simple", lambda earlier: uvl.Model(normal, lens, sersic), "optimize"),
    uvl.Stage("pixels", lambda earlier: uvl.Model(normal, earlier["simple"].lens_priors(), pixels, chained=True)),
]
results = uvl.run_pipeline(stages, "fit", resume=True)
"""

import contextlib
import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .files import load_arrays, save_arrays, to_json
from .inference.fit import fit
from .inference.identity import describe_model, difference
from .leftovers import clear
from .results import Result
from .selfcal import Calibration

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_FINISHED = "stage.npz"
_HANDED_ON = "handed_on.npz"
_STATED = ("method", "seed", "n_chains", "best_log_likelihood", "diagnostics", "log_evidence_minus_null")
_STATED += ("n_evaluations", "n_gradients", "wall_seconds", "notes")


@dataclasses.dataclass(frozen=True)
class Stage:
    """One fit of a pipeline.

    Args:
        name: of letters, digits, ".", "_" and "-"; that of its folder is NUMBER_NAME.
        build: {name: Result} of the stages before it -> Model. The same results have to give the same model.
        method, seed, options: of the fit, see `uvl.fit`.
        apertures: measured on its source, see `Result.with_derived`.
    """

    name: str
    build: Callable[[dict[str, Result]], Any]
    method: str = "auto"
    seed: int = 1
    options: dict = dataclasses.field(default_factory=dict)
    apertures: tuple = ()

    def __post_init__(self):
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InputError(f"a stage's name has letters, digits, '.', '_' and '-' only, got {self.name!r}")


def run_pipeline(
    stages,
    directory=None,
    *,
    resume=False,
    progress=None,
    note=lambda _: None,
    notes=(),
    data_section=None,
    finish=None,
    quick_look=None,
):
    """Fit the stages in order.

    Stage k of n is kept in DIRECTORY/k_NAME, the last one in DIRECTORY itself, whose summary has all `stages`. A run
    that was stopped and is started again with `resume` takes finished stages from their files, without a likelihood,
    and goes on in the others from their checkpoints, with the numbers of a run that was not stopped.

    Args:
        stages: Stages with different names.
        directory: folder; None keeps nothing.
        resume: continue what is in the folder.
        progress: called with (message, fraction done of this search).
        note: called with a sentence when a stage begins or is taken from its files.
        notes: sentences about the data, kept in the results; read when a stage begins.
        data_section: see `Result.save`.
        finish: called with the Result and the folder of every stage once it is saved.
        quick_look: see `fit`; into the folder of the stage.

    Returns:
        {name: Result} in the order of the stages.

    Raises:
        InputError: no stages, a name twice; what building or fitting a stage raises; with `resume`, a folder that holds
            another stage.
    """
    stages = tuple(stages)
    folders = folders_of([stage.name for stage in stages], directory)
    if not resume:
        for folder in folders.values():
            clear(folder)
    results, facts = {}, []
    for number, stage in enumerate(stages, 1):
        folder, where = folders.get(stage.name), f"stage {stage.name} ({number} of {len(stages)})"
        with _named(where):
            built = stage.build(dict(results))
            calibration = built if isinstance(built, Calibration) else None
            model = built if calibration is None else calibration.model
            result = _finished(folder, model, stage) if resume else None
        if result is not None:
            result = dataclasses.replace(result.with_derived(stage.apertures), calibration=calibration)
            note(f"{where}: finished before, {result.n_evaluations} likelihoods")
            results[stage.name] = result
            facts.append(_facts(stage, result, number, len(stages)))
            if folder is not None and not _has_measured(folder, stage):
                result.save(folder, data_section=data_section)
                (folder / "report.html").unlink(missing_ok=True)
            if folder is not None and finish is not None and not (folder / "report.html").exists():
                finish(result, folder)
            continue
        note(f"{where}: {len(model.parameters)} free parameters")
        with _named(where):
            result = fit(
                model,
                stage.method,
                seed=stage.seed,
                directory=folder,
                resume=resume,
                progress=None if progress is None else _prefixed(progress, stage.name),
                notes=tuple(notes),
                near=None if calibration is None else calibration.vector,
                quick_look=quick_look,
                **stage.options,
            )
        facts.append(_facts(stage, result, number, len(stages)))
        result = dataclasses.replace(
            result.with_derived(stage.apertures),
            stages=tuple(facts) if number == len(stages) else (),
            handed_on=None if folder is None else folder / _HANDED_ON,
            calibration=calibration,
        )
        if folder is not None:
            _keep(result, folder, stage)
            result.save(folder, data_section=data_section)
            if finish is not None:
                finish(result, folder)
        results[stage.name] = result
    return results


def folders_of(names, directory):
    """{name of a stage: its folder}, empty where nothing is kept."""
    if not names:
        raise InputError("a pipeline needs at least one stage")
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two stages are called {name!r}")
    if directory is None:
        return {}
    directory = Path(directory)
    return {
        name: directory if number == len(names) else directory / f"{number}_{name}"
        for number, name in enumerate(names, 1)
    }


@contextlib.contextmanager
def _named(where):
    """An InputError says where it comes from."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _prefixed(progress, name):
    return lambda message, fraction: progress(f"{name}: {message}", fraction)


def _facts(stage, result, number, n_stages):
    """What the summary of the whole says of a stage; ln E with all constants."""
    model, ln_z = result.model, result.log_evidence_minus_null
    null = model.log_evidence_null
    penalty = float(model.positions_penalty(jnp.asarray(result.best_vector)))
    return {
        "name": stage.name,
        "folder": "." if number == n_stages else f"{number}_{stage.name}",
        "method": result.method,
        "seed": result.seed,
        "n_free": len(model.parameters),
        "log_evidence": None if ln_z is None else ln_z + null,
        "max_log_evidence": result.best_log_likelihood - penalty + null,
        "max_log_evidence_minus_null": result.best_log_likelihood - penalty,
        "n_evaluations": result.n_evaluations,
        "n_gradients": result.n_gradients,
        "wall_seconds": result.wall_seconds,
    }


def _has_measured(folder, stage):
    """Whether the summary of a finished stage has all its apertures."""
    derived = json.loads((folder / "summary.json").read_text()).get("derived", {}) if stage.apertures else {}
    return all(one.path in derived for one in stage.apertures)


def _identity(model, stage):
    options = {key: value for key, value in stage.options.items() if key != "workers"}  # the same numbers with others
    return to_json({"model": describe_model(model), "method": stage.method, "seed": stage.seed, "options": options})


def _keep(result, folder, stage):
    """stage.npz: all of a Result but its model, and which model that was."""
    stated = {name: getattr(result, name) for name in _STATED}
    arrays = {"vectors": result.vectors, "best_vector": result.best_vector, "stated": to_json(stated)}
    if result.log_likelihood is not None:
        arrays["log_likelihood"] = result.log_likelihood
    save_arrays(folder / _FINISHED, arrays | {"identity": _identity(result.model, stage)})


def _finished(folder, model, stage):
    """The Result of a stage from its files, or None where it is not finished.

    Raises:
        InputError: the files are of another model, method, seed or options.
    """
    if folder is None or not (folder / "summary.json").exists():
        return None
    saved = load_arrays(folder / _FINISHED)
    if saved is None:
        return None
    apart = difference(json.loads(str(saved["identity"])), json.loads(_identity(model, stage)))
    if apart:
        raise InputError(
            f"{folder} holds another stage: {apart}; move it away to fit this one, or fit all without --resume"
        )
    stated = json.loads(str(saved["stated"]))
    stated["notes"] = tuple(stated["notes"])
    summary = json.loads((folder / "summary.json").read_text())
    return Result(
        model=model,
        vectors=saved["vectors"],
        log_likelihood=saved.get("log_likelihood"),
        best_vector=np.asarray(saved["best_vector"]),
        stages=tuple(summary.get("stages", ())),
        handed_on=folder / _HANDED_ON,
        **stated,
    )
