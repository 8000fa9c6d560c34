"""ln E of a model file at fixed parameters, with its gradient and what it costs."""

import dataclasses
import difflib
import time

import equinox as eqx
import jax
import numpy as np

from .compiled import Compiled
from .constraints import all_hold, as_constraints
from .errors import InputError
from .memory import estimate, peak_bytes
from .model import Model
from .normal import expected_rank, known_rank, operator_from_reduction
from .paths import path_name
from .priors import Normal, is_free, is_tied
from .schema import as_number
from .selfcal import Loop, calibrated_skies
from .terms import (
    describe_skies,
    effective_parameters,
    log_evidence_minus_null,
    log_evidence_terms,
    n_real_data,
    n_visibilities,
    worst_certificate,
)

_TIMED = 7


def every_number_free(tree):
    """The components with a placeholder prior in the place of every fixed number but the redshifts."""

    def free(key, leaf):
        if is_free(leaf) or is_tied(leaf) or isinstance(leaf, str) or path_name(key).endswith("redshift"):
            return leaf
        return Normal(float(leaf), 1.0)

    return jax.tree_util.tree_map_with_path(free, tree, is_leaf=lambda leaf: is_free(leaf) or is_tied(leaf))


def evaluate_file(model_file, settings=(), gradient=False, operator="auto", memory=False, note=lambda _: None):
    """Evaluate a ModelFile: the dict that `uvlens evaluate --json` prints; nuisances are solved for there.

    Args:
        model_file: ModelFile.
        settings: "path=value" for parameters that are to differ from their number or their prior's median.
        gradient: also d ln E for every parameter.
        operator: "auto" or the name of one.
        memory: also the memory it takes; where more is needed than there is, only that.
        note: called with sentences about the data.
    """
    # the placeholder priors say nothing of the share that constraints exclude: they are looked at where it is evaluated
    stated = model_file.constraints
    model_file = dataclasses.replace(model_file.replace_components(every_number_free), constraints=())
    started = time.perf_counter()
    data = model_file.load_data(note)
    read_seconds = time.perf_counter() - started
    mask = model_file.build_mask(data)
    started = time.perf_counter()
    if model_file.nuisances:
        data, visibilities = calibrated_skies(model_file, data, mask, note)
    skies = model_file.build_skies(data, mask, "auto" if memory else operator, note)
    reduction_seconds = time.perf_counter() - started
    expected = None
    if memory:
        expected = expected_memory(model_file, skies, operator, gradient)
        note(describe_memory(expected))
        if not expected["fits"]:
            return {
                "memory": expected,
                "n_image_pixels": mask.n_pixels,
                "n_visibilities": sum(sky.reduction.n_visibilities for sky in skies),
            }
    started = time.perf_counter()
    if memory and operator != "auto":
        skies = [
            eqx.tree_at(lambda s: s.normal, s, operator_from_reduction(s.normal.reduction, operator)) for s in skies
        ]
    model = model_file.build_model(skies)
    if model_file.nuisances:
        loop = Loop(visibilities, model_file.nuisances, model_file.build_model, fixed=parameter_vector(model, settings))
        model = loop.run(skies).model
    normal = model.normal
    operator_seconds = time.perf_counter() - started
    vector = parameter_vector(model, settings)
    check_constraints(stated, model.parameters, vector)
    found = model.inversions(vector)
    minus_null, k = log_evidence_minus_null(found), n_visibilities(model)
    facts = {
        "log_evidence": model.log_evidence_null + minus_null,
        "log_evidence_minus_null": minus_null,
        "terms": log_evidence_terms(model, found),
        "parameters": dict(zip(model.parameters.paths, np.asarray(vector))),
        "strength": float(strengths[0]) if (strengths := model.strengths(vector)) else None,
        "n_visibilities": k,
        "n_real_data": n_real_data(model),
        "n_image_pixels": normal.mask.n_pixels,
        "n_source_pixels": model.n_source,
        "n_rays": model.n_rays,
        "effective_parameters": effective_parameters(found),
        "pixel_scale": normal.mask.grid.pixel_scale,
        "rank": known_rank(normal),
        "rank_is_expected": normal.rank is None,
        "residual_trace": getattr(normal, "residual_trace", None),
        "operator": normal.method,
        "operator_choice": normal.choice or "asked for",
        "kkt": worst_certificate(found),
        "read_seconds": read_seconds,
        "reduction_seconds": reduction_seconds,
        "operator_seconds": operator_seconds,
        "positions_penalty": float(model.positions_penalty(vector)),
        "seconds": seconds_per_evaluation(model, vector),
    }
    if len(found) > 1:
        facts["skies"] = describe_skies(model, found)
    if gradient:
        function = Compiled(lambda model, vector: jax.value_and_grad(model.log_evidence_minus_null)(vector), model)
        facts["gradient"] = dict(zip(model.parameters.paths, np.asarray(function(vector)[1])))
        facts["seconds_with_gradient"] = seconds_per_evaluation(model, vector, function)
    if expected is not None:
        facts["memory"] = expected | {"measured_peak": peak_bytes()}
    if not np.isfinite(facts["log_evidence"]) or not facts["kkt"]["converged"]:
        raise InputError("ln E is not finite at these parameters: is an ellipticity >= 1 or a radius negative?")
    return facts


def check_constraints(stated, parameters, vector):
    """Refuse a vector (n,) at which a constraint does not hold: the likelihood is 0 there."""
    values = parameters.values(vector)
    for one in as_constraints(stated, parameters):
        if not all_hold((one,), values):
            raise InputError(f"constraint {one.text!r} does not hold at these parameters: their likelihood is 0")


def expected_memory(model_file, skies, operator, gradient):
    """Estimate for a model file, from sums already made and before operators are: of the sky that needs most."""
    from .normal.choose import SourceSize, cheapest

    expected = []
    for sky in skies:
        if sky.is_image:
            continue
        sources = model_file.source if isinstance(model_file.source, list) else [model_file.source]
        meshes = [part.mesh for number in sky.sources for part in sources[number].parts]
        rays, reduction = sky.rays or model_file.image_plane.rays, sky.reduction
        size = SourceSize(sum(mesh.n_source for mesh in meshes), sum(mesh.entries(rays) for mesh in meshes))
        method = cheapest(reduction, size)[0] if operator == "auto" else operator
        rank = expected_rank(reduction)
        expected.append(estimate(reduction, size, rays, method, rank, gradient))
    if not expected:
        raise InputError("--memory: estimates are for visibilities")
    return max(expected, key=lambda one: one["peak"])


def describe_memory(expected):
    """One line for people."""
    gib = {key: value / 2**30 for key, value in expected.items() if isinstance(value, int) and key != "fits"}
    line = (
        f"memory expected: {gib['peak']:.2f} GiB ({gib['operator']:.2f} operator, {gib['evaluation']:.2f} evaluation)"
    )
    if "available" in gib:
        line += f", {gib['available']:.1f} GiB available"
    return line if expected["fits"] else f"{line}: it does not fit; larger pixels, fewer rays or a smaller mask help"


def parameter_vector(model: Model, settings):
    """Prior medians, given the "path=value" settings that take the place of some, shape (n,)."""
    values = {}
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected PATH=VALUE")
        if path not in model.parameters.paths:
            near = difflib.get_close_matches(path, model.parameters.paths, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(model.parameters.paths)}"
            raise InputError(f"--set {path}: not a parameter of the model ({hint})")
        values[path] = as_number(value, f"--set {path}")
    return model.parameters.median(values)


def seconds_per_evaluation(model, vector, function=None):
    """Median wall time of one evaluation at slightly different parameters each, compiled before."""
    function = function or Compiled(lambda model, vector: model.log_likelihood(vector), model)
    jax.block_until_ready(function(vector))
    times = []
    for i in range(_TIMED):
        moved = vector * (1.0 + 1e-5 * (i + 1))
        started = time.perf_counter()
        jax.block_until_ready(function(moved))
        times.append(time.perf_counter() - started)
    return float(np.median(times))
