"""The No-U-Turn sampler of numpyro, started at the optimum with its covariance as the metric, in resumable blocks."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import NUTS

from ..errors import InputError
from ..files import load_arrays, save_arrays

_BLOCK = 10
_FIRST_STEP = 0.1
"""numpyro pulls the step size towards ten times this: 1 in units of the metric, right for a near-Gaussian posterior."""

_COLLECTED = ("z", "potential_energy", "diverging", "num_steps", "accept_prob")


@dataclasses.dataclass(frozen=True)
class Chains:
    """Draws of all chains.

    Attributes:
        z: unconstrained, shape (chains, draws, n).
        log_posterior: shape (chains, draws).
        diverging: shape (chains, draws).
        n_steps: leapfrog steps, shape (chains, draws).
        accept: mean acceptance probability.
    """

    z: np.ndarray
    log_posterior: np.ndarray
    diverging: np.ndarray
    n_steps: np.ndarray
    accept: float


def sample(
    density,
    start,
    covariance,
    seed,
    *,
    n_chains=2,
    n_warmup=100,
    n_draws=400,
    target_accept=0.8,
    checkpoint=None,
    progress=None,
):
    """Sample the posterior.

    Args:
        density: Density of n parameters.
        start: z of the optimum, (n,); chains start from draws of N(start, covariance).
        covariance: (n, n), the inverse mass matrix (kept fixed; the step size adapts during the warm-up).
        seed: whole number.
        n_chains, n_warmup, n_draws: sizes.
        target_accept: mean acceptance probability aimed at.
        checkpoint: prefix of the files that every block is saved to, and that a resumed run continues from; None:
            not saved.
        progress: called with (message, fraction done).

    Returns:
        Chains.
    """
    model = density.model
    kernel = NUTS(
        potential_fn=lambda z: -model.log_posterior(z),
        dense_mass=True,
        adapt_mass_matrix=False,
        inverse_mass_matrix=jnp.asarray(covariance),
        target_accept_prob=target_accept,
        step_size=_FIRST_STEP,
        max_tree_depth=7,
    )

    @jax.jit
    def advance(state):
        def step(state, _):
            state = kernel.sample(state, (), {})
            return state, {key: getattr(state, key) for key in _COLLECTED}

        return jax.lax.scan(step, state, None, length=_BLOCK)

    total = n_warmup + n_draws
    root = np.linalg.cholesky(covariance)
    chains, report, earlier = [], progress or (lambda *_: None), 0.0
    for chain in range(n_chains):
        key, start_key = jax.random.split(jax.random.fold_in(jax.random.PRNGKey(seed), chain))
        first = jnp.asarray(start + root @ np.asarray(jax.random.normal(start_key, (density.size,))))
        state = kernel.init(key, n_warmup, first, (), {})
        file = None if checkpoint is None else f"{checkpoint}.chain{chain}.npz"
        state, blocks = _restore(file, state, {"seed": seed, "n_warmup": n_warmup, "n_free": density.size})
        done = sum(len(block["z"]) for block in blocks)
        before = float(blocks[0].pop("seconds")) if blocks else 0.0
        earlier += before
        started = time.perf_counter()
        while done < total:
            state, block = advance(state)
            blocks.append({key: np.asarray(value) for key, value in block.items()})
            done += _BLOCK
            seconds = before + time.perf_counter() - started
            _save(file, state, blocks, {"seed": seed, "n_warmup": n_warmup, "n_free": density.size}, seconds)
            what = "warming up" if done <= n_warmup else "sampling"
            report(f"chain {chain + 1} of {n_chains}, {what}", (chain + min(1.0, done / total)) / n_chains)
        chains.append({key: np.concatenate([block[key] for block in blocks])[:total] for key in _COLLECTED})
    steps = np.stack([chain["num_steps"] for chain in chains])
    density.add_cost((steps.sum(), steps.sum(), earlier))
    kept = {key: np.stack([chain[key][n_warmup:] for chain in chains]) for key in _COLLECTED}
    return Chains(
        z=kept["z"],
        log_posterior=-kept["potential_energy"],
        diverging=kept["diverging"],
        n_steps=kept["num_steps"],
        accept=float(np.mean([chain["accept_prob"][n_warmup:].mean() for chain in chains])),
    )


def _save(file, state, blocks, settings, seconds):
    if file is None:
        return
    leaves = {f"state_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    draws = {key: np.concatenate([block[key] for block in blocks]) for key in _COLLECTED}
    stated = {f"set_{key}": np.asarray(value) for key, value in settings.items()}
    save_arrays(file, {**leaves, **draws, **stated, "seconds": np.asarray(seconds)})


def _restore(file, state, settings):
    """(state, blocks) of an interrupted chain, or what was given where there is none."""
    saved = load_arrays(file)
    if saved is None:
        return state, []
    leaves, structure = jax.tree.flatten(state)
    names = [*_COLLECTED, "seconds", *(f"state_{i}" for i in range(len(leaves))), *(f"set_{key}" for key in settings)]
    if any(name not in saved for name in names):
        raise InputError(f"{file} is not a checkpoint of this version; fit without --resume")
    for key, value in settings.items():
        if int(saved[f"set_{key}"]) != value:
            raise InputError(f"{file}: the saved chain had {key} = {int(saved[f'set_{key}'])}, this run has {value}")
    restored = [jnp.asarray(saved[f"state_{i}"], dtype=jnp.asarray(leaf).dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, restored), [{key: saved[key] for key in (*_COLLECTED, "seconds")}]
