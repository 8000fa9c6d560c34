"""ln E of a model file at fixed parameters, with its gradient and what it costs."""

import difflib
import time

import jax
import numpy as np

from .compiled import Compiled
from .errors import InputError
from .memory import estimate, peak_bytes
from .model import Model
from .normal import expected_rank, operator_from_reduction
from .parameters import path_name
from .priors import Normal, SameAs, is_free
from .schema import as_number

_TIMED = 7


def every_number_free(tree):
    """The components with a placeholder prior in the place of every fixed number but the redshifts."""

    def free(key, leaf):
        if is_free(leaf) or isinstance(leaf, SameAs | str) or path_name(key).endswith("redshift"):
            return leaf
        return Normal(float(leaf), 1.0)

    return jax.tree_util.tree_map_with_path(free, tree, is_leaf=lambda leaf: is_free(leaf) or isinstance(leaf, SameAs))


def evaluate_file(model_file, settings=(), gradient=False, operator="auto", memory=False, note=lambda _: None):
    """Evaluate a ModelFile: the dict that `uvlens evaluate --json` prints.

    Args:
        model_file: ModelFile.
        settings: "path=value" for parameters that are to differ from their number or their prior's median.
        gradient: also d ln E for every parameter.
        operator: "auto" or the name of one.
        memory: also the memory it takes; where more is needed than there is, only that.
        note: called with sentences about the data.
    """
    model_file = model_file.replace_components(every_number_free)
    started = time.perf_counter()
    data_sets = model_file.load_data(note)
    read_seconds = time.perf_counter() - started
    mask = model_file.build_mask(data_sets)
    started = time.perf_counter()
    quick = model_file.build_normal(data_sets, mask, "auto" if memory else operator, note)
    reduction_seconds = time.perf_counter() - started
    expected = None
    if memory:
        expected = expected_memory(model_file, quick, operator, gradient)
        note(describe_memory(expected))
        if not expected["fits"]:
            return {
                "memory": expected,
                "n_image_pixels": mask.n_pixels,
                "n_visibilities": quick.reduction.n_visibilities,
            }
    started = time.perf_counter()
    model = model_file.build_model(operator_from_reduction(quick.reduction, operator) if memory else quick)
    normal = model.normal
    operator_seconds = time.perf_counter() - started
    vector = parameter_vector(model, settings)
    inversion, _ = model.invert(vector)
    reduction = normal.reduction
    facts = {
        "log_evidence": inversion.log_evidence,
        "log_evidence_minus_null": float(inversion.log_evidence_minus_null),
        "terms": inversion.terms,
        "parameters": dict(zip(model.parameters.paths, np.asarray(vector))),
        "strength": float(model.strength(vector)),
        "n_visibilities": reduction.n_visibilities,
        "n_real_data": 2 * reduction.n_visibilities,
        "n_image_pixels": mask.n_pixels,
        "n_source_pixels": model.n_source,
        "n_rays": model.n_rays,
        "effective_parameters": float(inversion.effective_parameters),
        "pixel_scale": mask.grid.pixel_scale,
        "rank": normal.rank or expected_rank(reduction),
        "rank_is_expected": normal.rank is None,
        "residual_trace": getattr(normal, "residual_trace", None),
        "operator": normal.method,
        "operator_choice": normal.choice or "asked for",
        "kkt": inversion.kkt,
        "read_seconds": read_seconds,
        "reduction_seconds": reduction_seconds,
        "operator_seconds": operator_seconds,
        "positions_penalty": float(model.positions_penalty(vector)),
        "seconds": seconds_per_evaluation(model, vector),
    }
    if gradient:
        function = Compiled(lambda model, vector: jax.value_and_grad(model.log_evidence_minus_null)(vector), model)
        facts["gradient"] = dict(zip(model.parameters.paths, np.asarray(function(vector)[1])))
        facts["seconds_with_gradient"] = seconds_per_evaluation(model, vector, function)
    if expected is not None:
        facts["memory"] = expected | {"measured_peak": peak_bytes()}
    if not np.isfinite(facts["log_evidence"]) or not facts["kkt"]["converged"]:
        raise InputError("ln E is not finite at these parameters: is an ellipticity >= 1 or a radius negative?")
    return facts


def expected_memory(model_file, quick, operator, gradient):
    """Estimate for a model file, from sums already made and before an operator is."""
    from .normal.choose import SourceSize, cheapest

    mesh = model_file.source.pixels.mesh
    size = SourceSize(mesh.n_source, mesh.entries(model_file.image_plane.rays))
    method = cheapest(quick.reduction, size)[0] if operator == "auto" else operator
    rank = expected_rank(quick.reduction)
    return estimate(quick.reduction, mesh, model_file.image_plane.rays, method, rank, gradient)


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
