"""NUTS as the searches use it: its coordinates, how long it goes on, what says that it converged."""

import jax
import jax.numpy as jnp
import numpy as np

from ..files import load_arrays, save_arrays
from . import nuts
from .bend import PARTS, Bend, fit_bend
from .density import IMPOSSIBLE
from .run import best, vectors

R_HAT = 1.01
ESS = 400.0
"""What chains are to reach: R-hat below, bulk effective sample size above."""
_BEND_DRAWS = 160
"""Gradients that the coordinates of the chains are fitted to, before these have any of their own."""


def bent_by(run, q):
    """(Bend for NUTS, (draws of a variational q, gradients there) that it was fitted to)."""
    file = run.file("bend.npz")
    saved = load_arrays(file) if run.resume and file is not None else None
    if saved is None:
        before = run.density.cost()
        z, _ = q.draw(jax.random.PRNGKey(run.seed + 2), _BEND_DRAWS)
        values, gradients = run.density.values_and_gradients(z)
        good = values > IMPOSSIBLE
        saved = {"z": z[good], "gradient": gradients[good], "cost": run.density.cost() - before}
        saved |= dict(zip(PARTS, fit_bend(z[good], gradients[good], q.covariance).parts))
        if file is not None:
            save_arrays(file, saved)
    else:
        run.density.add_cost(saved["cost"])
    return Bend(*(jnp.asarray(saved[name]) for name in PARTS)), (saved["z"], saved["gradient"])


def sampled(run, center, bend, options, diagnostics, known=None):
    """Fields of a Result: chains in the coordinates `bend`, until they converge where `target_ess` is given."""
    density, options = run.density, dict(options)
    wanted = options.pop("target_ess", None)
    n_draws = options.pop("n_draws", 400)
    n_most = options.pop("max_draws", 4 * n_draws)
    n_chains = options.get("n_chains", 4)
    run.employ_for_chains(options | {"n_draws": n_draws})
    kept = {"checkpoint": run.checkpoint, "resume": run.resume, "progress": run.progress}
    begun = None
    while True:
        sizes = {**options, "n_draws": n_draws, "begun": begun, "known": known}
        chains = nuts.sample(density, bend, run.seed, **sizes, **kept)
        found = convergence(density.model.parameters.paths, chains)
        enough = wanted is None or (found["r_hat_max"] < R_HAT and found["ess_bulk_min"] > wanted)
        if enough or n_draws >= n_most or n_chains < 2:
            break
        more = min(1.0, max(0.15, 1.2 * wanted / found["ess_bulk_min"] - 1.0))
        n_draws, begun = min(n_most, n_draws + max(50, int(more * n_draws))), chains.states
    z = chains.z.reshape(-1, density.size)
    log_likelihood = chains.log_posterior.reshape(-1) + 0.5 * np.sum(z**2, axis=1)
    return {
        "vectors": vectors(density, z),
        "log_likelihood": log_likelihood,
        "n_chains": len(chains.z),
        "diagnostics": diagnostics | found,
        "sample_stats": {
            "diverging": chains.diverging.reshape(-1),
            "n_steps": chains.n_steps.reshape(-1),
            "acceptance_rate": chains.accept.reshape(-1),
        },
        **best(density, [center, z[np.argmax(log_likelihood)]]),
    }


def convergence(paths, chains):
    """R-hat, bulk and tail effective sample sizes by path, and what else says whether chains converged."""
    import arviz

    posterior = arviz.convert_to_dataset({path: chains.z[..., i] for i, path in enumerate(paths)})
    rhat, bulk = arviz.rhat(posterior), arviz.ess(posterior, method="bulk")
    tail = arviz.ess(posterior, method="tail")
    return {
        "r_hat": {path: float(rhat[path]) for path in paths},
        "ess_bulk": {path: float(bulk[path]) for path in paths},
        "ess_tail": {path: float(tail[path]) for path in paths},
        "r_hat_max": float(np.max([float(rhat[path]) for path in paths])),
        "ess_bulk_min": float(np.min([float(bulk[path]) for path in paths])),
        "divergences": int(chains.diverging.sum()),
        "mean_accept_probability": float(chains.accept.mean()),
        "mean_leapfrog_steps": float(chains.n_steps.mean()),
        "step_sizes": chains.step_size,
        "n_chains": chains.z.shape[0],
        "n_draws": chains.z.shape[1],
    }
