"""`fit`: from a Model to a Result by the method asked for, every stage saved as soon as it is there."""

import fnmatch
import hashlib
import json
import os

import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from .. import __version__
from ..errors import InputError
from ..files import load_arrays, save_arrays, save_json
from ..results import PRODUCTS, Result
from . import nested, nuts
from .density import IMPOSSIBLE, Density
from .optimize import Optimum, basins, climb, laplace_covariance, optimize

_CLIMBING = ("n_starts", "n_screen")
_OPTIONS = {
    "optimize": _CLIMBING,
    "nuts": (*_CLIMBING, "n_chains", "n_warmup", "n_draws", "target_accept"),
    "nautilus": ("n_live", "n_effective"),
}
_LAPLACE_DRAWS = 2000


def fit(model, method="auto", *, seed=1, directory=None, resume=False, progress=None, notes=(), **options):
    """Fit a model.

    Args:
        model: Model with n >= 1 free parameters.
        method: "optimize" (multi-start L-BFGS and the Gaussian at the top), "nuts" (the same, then NUTS from there),
            "nautilus" (nested sampling) or "auto" (nuts).
        seed: whole number; the same seed gives the same result.
        directory: folder for checkpoints; None keeps none.
        resume: continue from the checkpoints in `directory`.
        progress: called with (message, fraction done of this stage).
        notes: sentences about the data, kept in the result.
        options: n_starts, n_screen (optimize, nuts); n_chains, n_warmup, n_draws (nuts); n_live, n_effective
            (nautilus).

    Returns:
        Result.

    Raises:
        InputError: nothing to fit, an unknown method or option, checkpoints of another model, or a model that has no
            finite evidence anywhere.
    """
    method = "nuts" if method == "auto" else method
    search = {"optimize": _optimize, "nuts": _nuts, "nautilus": _nautilus}.get(method)
    if search is None:
        raise InputError(f"method must be auto, {', '.join(_OPTIONS)}, got {method!r}")
    for name in options:
        if name not in _OPTIONS[method]:
            raise InputError(f"fit: {name} is not an option of {method}, which takes {', '.join(_OPTIONS[method])}")
    if len(model.parameters) == 0:
        raise InputError("nothing to fit: every parameter is fixed; use evaluate")
    checkpoint = _prepare(model, method, seed, options, directory, resume)
    density = Density(model)
    try:
        fields = search(density, seed, checkpoint, resume, progress, dict(options))
    except InputError:
        if checkpoint is not None and not resume:
            _remove_leftovers(directory)
        raise
    result = Result(
        model=model,
        method=method,
        seed=seed,
        n_evaluations=density.n_evaluations,
        n_gradients=density.n_gradients,
        wall_seconds=density.seconds,
        notes=tuple(notes),
        **fields,
    )
    return result


def _prepare(model, method, seed, options, directory, resume):
    """The prefix of checkpoint files; stale ones are removed, foreign ones refused."""
    if directory is None:
        return None
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {directory}: {error.strerror}") from None
    prefix = os.path.join(directory, "checkpoint")
    identity = {"model": fingerprint(model), "method": method, "seed": seed, "options": dict(options)}
    if resume and os.path.exists(f"{prefix}.json"):
        try:
            with open(f"{prefix}.json", encoding="utf-8") as stream:
                saved = json.load(stream)
        except ValueError:
            raise InputError(f"{prefix}.json is damaged; fit without --resume") from None
        for key, value in identity.items():
            if saved.get(key) != value:
                raise InputError(f"{directory}: its checkpoints belong to another {key}; fit without --resume")
        return prefix
    for name in os.listdir(directory):
        if name.startswith("checkpoint.") or any(fnmatch.fnmatchcase(name, pattern) for pattern in PRODUCTS):
            os.remove(os.path.join(directory, name))
    save_json(f"{prefix}.json", identity)
    return prefix


def _remove_leftovers(directory):
    """What a refused fit leaves: its checkpoints, and the folder if nothing else is in it."""
    for name in os.listdir(directory):
        if name.startswith("checkpoint."):
            os.remove(os.path.join(directory, name))
    if not os.listdir(directory):
        os.rmdir(directory)


def fingerprint(model):
    """SHA-256 of the data, the mask and everything stated about the model."""
    positions = model.positions
    guard = None if positions is None else (np.asarray(positions.xy).tolist(), positions.threshold)
    profiles = [type(component).__name__ for component in model.components["lens"].mass]
    skies = [(sky.sources, sky.n_channels, repr(sky.light), sky.rays, sky.reduction.hashes) for sky in model.skies]
    for system in model.systems:
        for block in system.columns.blocks:
            pixels = block.pixels
            prior = (type(pixels.regularization).__name__, pixels.positive, block.maximised, block.skies)
            skies.append((block.source, block.part, repr(pixels.mesh), prior, _of_adapt(pixels.adapt)))
        skies += [(one.sky, one.place, one.number, repr(one.profile)) for one in system.columns.amplitudes]
    stated = (model.parameters.describe(), profiles, skies, guard, model.n_rays)
    return hashlib.sha256(repr((stated, __version__)).encode()).hexdigest()


def _of_adapt(adapt):
    return None if adapt is None else hashlib.sha256(adapt.image.tobytes()).hexdigest()


def _climb_and_measure(density, seed, checkpoint, resume, progress, n_starts=8, n_screen=48):
    """(optima, covariance at the best), from the checkpoint where it has them."""
    file = None if checkpoint is None else f"{checkpoint}.optimum.npz"
    saved = load_arrays(file) if resume else None
    if saved is None:
        optima = optimize(density, np.random.default_rng(seed), n_starts=n_starts, n_screen=n_screen, progress=progress)
        if optima[0].value <= IMPOSSIBLE:
            raise InputError("no starting point has a finite evidence: check the priors against the data and mask")
        covariance = laplace_covariance(density, optima[0].z)
        saved = {
            "z": np.stack([o.z for o in optima]),
            "value": np.array([o.value for o in optima]),
            "start": np.array([o.start for o in optima]),
            "covariance": covariance,
            "cost": density.cost(),
        }
        if file is not None:
            save_arrays(file, saved)
    else:
        density.add_cost(saved["cost"])
    optima = [Optimum(z, float(v), float(s)) for z, v, s in zip(saved["z"], saved["value"], saved["start"])]
    density.restart(optima[0].z)
    return optima, saved["covariance"]


def _start_diagnostics(density, optima, covariance):
    return {
        "basins": [
            {
                "log_posterior": group["log_posterior"],
                "n_starts": group["n_starts"],
                "parameters": np.asarray(density.model.parameters.from_normal(group["z"])),
            }
            for group in basins(optima, covariance)
        ]
    }


def _optimize(density, seed, checkpoint, resume, progress, options):
    optima, covariance = _climb_and_measure(density, seed, checkpoint, resume, progress, **options)
    rng = np.random.default_rng(seed + 1)
    z = optima[0].z + rng.normal(size=(_LAPLACE_DRAWS, density.size)) @ np.linalg.cholesky(covariance).T
    vectors = _vectors(density, z)
    return {
        "vectors": vectors,
        "log_likelihood": None,
        "n_chains": 1,
        "diagnostics": _start_diagnostics(density, optima, covariance),
        "log_evidence_minus_null": None,
        **_best(density, [optima[0].z]),
    }


def _nuts(density, seed, checkpoint, resume, progress, options):
    import arviz

    climbing = {key: options.pop(key) for key in _CLIMBING if key in options}
    optima, covariance = _climb_and_measure(density, seed, checkpoint, resume, progress, **climbing)
    chains = nuts.sample(density, optima[0].z, covariance, seed, checkpoint=checkpoint, progress=progress, **options)
    n_chains, n_draws, n = chains.z.shape
    z = chains.z.reshape(-1, n)
    log_likelihood = chains.log_posterior.reshape(-1) + 0.5 * np.sum(z**2, axis=1)
    posterior = arviz.convert_to_dataset(
        {path: chains.z[..., i] for i, path in enumerate(density.model.parameters.paths)}
    )
    rhat, bulk = arviz.rhat(posterior), arviz.ess(posterior, method="bulk")
    diagnostics = {
        **_start_diagnostics(density, optima, covariance),
        "r_hat": {path: float(rhat[path]) for path in density.model.parameters.paths},
        "ess_bulk": {path: float(bulk[path]) for path in density.model.parameters.paths},
        "r_hat_max": float(np.max([float(rhat[path]) for path in density.model.parameters.paths])),
        "ess_bulk_min": float(np.min([float(bulk[path]) for path in density.model.parameters.paths])),
        "divergences": int(chains.diverging.sum()),
        "mean_accept_probability": chains.accept,
        "mean_leapfrog_steps": float(chains.n_steps.mean()),
        "n_chains": n_chains,
        "n_draws": n_draws,
    }
    return {
        "vectors": _vectors(density, z),
        "log_likelihood": log_likelihood,
        "n_chains": n_chains,
        "diagnostics": diagnostics,
        "log_evidence_minus_null": None,
        **_best(density, [optima[0].z, z[np.argmax(log_likelihood)]]),
    }


def _nautilus(density, seed, checkpoint, resume, progress, options):
    samples = nested.sample(density, seed, checkpoint=checkpoint, resume=resume, progress=progress, **options)
    weight = np.exp(samples.log_weight - logsumexp(samples.log_weight))
    n_equal = max(100, int(samples.n_effective))
    # systematic resampling: one uniform number decides them all
    ticks = (np.random.default_rng(seed).random() + np.arange(n_equal)) / n_equal
    chosen = np.minimum(np.searchsorted(np.cumsum(weight), ticks), len(weight) - 1)
    best = samples.vectors[np.argmax(samples.log_likelihood)]
    diagnostics = {"n_effective": samples.n_effective, "n_likelihoods": samples.n_likelihoods}
    density.n_evaluations = max(density.n_evaluations, samples.n_likelihoods)
    return {
        "vectors": samples.vectors[chosen],
        "log_likelihood": samples.log_likelihood[chosen],
        "n_chains": 1,
        "diagnostics": diagnostics,
        "log_evidence_minus_null": samples.log_evidence,
        **_best(density, [climb(density, np.asarray(density.model.parameters.to_normal(best)), 50).x]),
    }


def _vectors(density, z):
    import jax

    return np.asarray(jax.vmap(density.model.parameters.from_normal)(jnp.asarray(z)))


def _best(density, candidates):
    """The candidate z of the highest physical posterior density, as a physical vector."""

    parameters = density.model.parameters
    vectors = [np.asarray(parameters.from_normal(jnp.asarray(z))) for z in candidates]
    likelihoods = [density.log_likelihood(vector) for vector in vectors]
    totals = [value + float(parameters.log_prior(jnp.asarray(v))) for value, v in zip(likelihoods, vectors)]
    i = int(np.argmax(totals))
    return {"best_vector": vectors[i], "best_log_likelihood": likelihoods[i]}
