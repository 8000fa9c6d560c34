"""Where the time of one likelihood and its gradient goes, step by step, and what of it cannot be avoided.

On a CPU the evidence is one compiled call; its steps are timed one by one with the same functions and inputs, and their
sum stands beside the time of the whole call. What the whole takes and no step does is shown as "not accounted for".
Floors are operations (multiplications and additions) over what one BLAS thread of this machine does in a second.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg.lapack import dpotrf

from .compiled import Compiled
from .entries import traced_block
from .errors import InputError
from .planes import lenses_of
from .scene import Scene
from .threads import one_blas_thread

_CALLS = 5


def profile_likelihood(model, vector=None, calls=_CALLS):
    """Times of the steps of one likelihood and gradient.

    Args:
        model: Model.
        vector: physical parameters (n,); None: the medians of the priors.
        calls: of each step, the smallest time of which is taken.

    Returns:
        dict: steps, a list of {step, seconds, share, floor}, share of the likelihood or of the gradient's extra time;
        likelihood, likelihood_and_gradient, sum_of_steps, not_accounted_for [s]; on_host, n_source, n_image_pixels,
        n_entries, rank, operator, factorizations, gigaflops.

    Raises:
        InputError: no finite evidence at the parameters.
    """
    vector = model.parameters.median() if vector is None else jnp.asarray(vector)
    value = Compiled(lambda model, v: model.log_likelihood(v), model)
    if not np.isfinite(float(value(vector))):
        raise InputError("profile: ln E is not finite at these parameters")
    whole = _seconds(lambda: value(vector), calls)
    both = None
    if len(model.parameters):
        gradient = Compiled(lambda model, v: jax.value_and_grad(model.log_likelihood)(v), model)
        both = _seconds(lambda: gradient(vector), calls)
    steps = _steps_in_jax(model, vector, calls)
    on_host = jax.default_backend() == "cpu" and all(system.normal.products is not None for system in model.systems)
    rates = {"gigaflops": _gigaflops()}
    more, facts = [], {"n_entries": None, "factorizations": None}
    if on_host:
        for system, problem in zip(model.systems, model._problems(vector)):
            if system.n_source and system.products_at is None:
                more_steps, found = _steps_on_host(system, problem, calls, rates["gigaflops"])
                more += more_steps
                facts = {key: (facts[key] or 0) + found[key] for key in facts}
    steps += [one for one in more if not one["gradient"]]
    total = sum(one["seconds"] for one in steps)
    extra = [one for one in more if one["gradient"]]
    for one in steps:
        one["share"] = one["seconds"] / whole
    for one in extra:
        one["share"] = None if both is None or both <= whole else one["seconds"] / (both - whole)
    return {
        "steps": steps + (extra if both is not None else []),
        "likelihood": whole,
        "likelihood_and_gradient": both,
        "sum_of_steps": total,
        "not_accounted_for": whole - total,
        "on_host": on_host,
        "n_source": model.n_source,
        "n_image_pixels": model.normal.mask.n_pixels,
        "n_rays": model.n_rays,
        "rank": model.normal.rank,
        "operator": model.normal.method,
        **facts,
        **rates,
    }


def print_profile(result):
    """The table for people."""
    from rich.console import Console
    from rich.table import Table

    title = f"N {result['n_image_pixels']}, S {result['n_source']}, {result['operator']}"
    table = Table(title=title)
    for column in ("step", "ms", "share", "floor [ms]"):
        table.add_column(column, justify="left" if column == "step" else "right")

    def row(name, seconds, share=None, floor=None):
        shown = ("" if share is None else f"{100 * share:.0f} %", "" if floor is None else f"{1e3 * floor:.2f}")
        table.add_row(name, f"{1e3 * seconds:.2f}", *shown)

    for one in result["steps"]:
        if not one["gradient"]:
            row(one["step"], one["seconds"], one["share"], one["floor"])
    row("not accounted for", result["not_accounted_for"], result["not_accounted_for"] / result["likelihood"])
    row("one likelihood", result["likelihood"], 1.0)
    table.add_section()
    for one in result["steps"]:
        if one["gradient"]:
            row(one["step"], one["seconds"], one["share"], one["floor"])
    if result["likelihood_and_gradient"] is not None:
        row("likelihood and gradient", result["likelihood_and_gradient"])
    Console().print(table)
    console = Console()
    if not result["on_host"]:
        console.print("the evidence runs as one compiled program of the device: its steps are not timed apart")
    console.print(f"floors: operations at {result['gigaflops']:.1f} GFlop/s, one BLAS thread of this machine")


def _steps_in_jax(model, vector, calls):
    """From the parameters to L and H: each stage compiled up to its end, and the differences between them."""

    def scene(model, vector):
        filled, _ = model.filled(vector)
        return filled, Scene(lenses_of(filled, model.reference_redshift), model.grids)

    def blocks(model):
        return [(system, b, block) for system in model.systems for b, block in enumerate(system.columns.blocks)]

    def rays(model, vector):
        _, own = scene(model, vector)
        return [own.rays(system.grids[k], block.source) for system, _, block in blocks(model) for k in block.skies]

    def geometry(model, vector):
        filled, own = scene(model, vector)
        return [_arrays(traced_block(system, b, block, filled, own)[0]) for system, b, block in blocks(model)]

    def entries(model, vector):
        filled, own = scene(model, vector)
        return [list(traced_block(system, b, block, filled, own)[1].values()) for system, b, block in blocks(model)]

    def problems(model, vector):
        return [(p.mapper.weights, p.prior, p.log_det) for p in model.problems(vector)]

    names = (
        ("ray tracing", rays),
        ("mesh geometry", geometry),
        ("interpolation: rows of L", entries),
        ("light, assembly of L, H and ln det H", problems),
    )
    found, before = [], 0.0
    for name, function in names:
        compiled = Compiled(function, model)
        seconds = _seconds(lambda compiled=compiled: compiled(vector), calls)
        found.append(_step(name, max(0.0, seconds - before)))
        before = max(before, seconds)
    return found


def _steps_on_host(system, problem, calls, gigaflops):
    """The evidence of one system, step by step as `inversion.host` makes it."""
    from .inversion import host
    from .inversion.inverse import inverse_of
    from .normal.sparse import SparseLens

    indices, weights, bands = (np.asarray(a) for a in (problem.mapper.indices, problem.mapper.weights, problem.prior))
    products, limits, n = system.normal.products, system._limits, system.n_source
    dirty = np.asarray(system.normal.dirty_image if problem.fixed is None else problem.fixed.dirty_image)
    allowed, start, positive = (np.asarray(a) for a in (limits["allowed"], system.start, limits["positive"]))
    positive = bool(positive)
    chosen = None if limits["constrained"] is None else np.asarray(limits["constrained"])

    def evidence(gradient):
        options = {"n_determined": limits["n_determined"], "constrained": chosen}
        return host.evidence(
            products, dirty, indices, weights, bands, allowed, start, positive, gradient, **options
        )  # fmt: skip

    with one_blas_thread():
        solved = evidence(False)
        value, both = (_seconds(lambda g=g: evidence(g), calls) for g in (False, True))
        lens = SparseLens.of(indices, weights, n)
        merge = _seconds(lambda: SparseLens.of(indices, weights, n), calls)
        curvature, kept = products.curvature(lens, keep=True)
        f = _seconds(lambda: products.curvature(lens, keep=False), calls)
        f_kept = _seconds(lambda: products.curvature(lens, keep=True), calls)
        scaled = _seconds(lambda: host._scaled_sum(curvature, bands), calls)
        matrix, scale = host._scaled_sum(curvature, bands)
        cholesky = _seconds(lambda: dpotrf(matrix.T, lower=0, clean=0), calls)
        factor = dpotrf(matrix.T, lower=0, clean=0)[0]
        s = solved.solution.source
        inverse = _seconds(lambda: inverse_of(np.array(factor, order="F")), calls)
        spread, _ = host._outer_and_inverse(inverse_of(np.array(factor, order="F")).T, scale, s, len(bands))
        pulled = _seconds(lambda: products.pullback(lens, kept, spread), calls)
    entries, pixels, rank = len(lens.source), system.normal.mask.n_pixels, system.normal.rank
    operations = entries * pixels / 2 + entries * n / 2 if rank is None else entries * rank + rank * n**2 / 2

    def floor(count):
        return 2.0 * count / (1e9 * gigaflops)

    made = f_kept - f + inverse + pulled
    rest = max(0.0, value - merge - f - scaled - cholesky)
    steps = [
        _step("sparse L: entries merged", merge),
        _step("F = L^T W L", f, floor(operations)),
        _step("A = F + H, scaled", scaled),
        _step("Cholesky: ln det A", cholesky, floor(n**3 / 6)),
        _step(f"source and ln E ({solved.solution.n_factorizations} decompositions)", rest),
        _step("W L kept, the other half", max(0.0, f_kept - f), None, True),
        _step("A^-1", inverse, floor(n**3 / 3), True),
        _step("W L (s s^T + A^-1) at the entries", pulled, floor(entries * (n if rank is None else rank)), True),
        _step("the rest of the gradient on the host", max(0.0, both - value - made), None, True),
    ]
    return steps, {"n_entries": entries, "factorizations": int(solved.solution.n_factorizations)}


def _step(name, seconds, floor=None, gradient=False):
    return {"step": name, "seconds": seconds, "floor": floor, "gradient": gradient, "share": None}


def _arrays(tree):
    return eqx.filter(tree, eqx.is_array)


def _seconds(function, calls):
    """Smallest wall time of some calls after a first one that compiles."""
    jax.block_until_ready(function())
    times = []
    for _ in range(calls):
        started = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - started)
    return min(times)


def _gigaflops(n=512):
    """What one BLAS thread multiplies and adds, 1e9 a second."""
    a = np.random.default_rng(0).normal(size=(n, n))
    with one_blas_thread():
        return 2e-9 * n**3 / _seconds(lambda: a @ a, 3)
