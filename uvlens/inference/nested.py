"""Nested sampling with nautilus: the evidence of the whole model, every mode, no gradients; resumable from its file."""

import dataclasses
import os
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..files import load_arrays, save_arrays

_SECONDS_BETWEEN_FILES = 10.0


@dataclasses.dataclass(frozen=True)
class NestedSamples:
    """Weighted posterior of nautilus.

    Attributes:
        vectors: physical parameters, shape (M, n).
        log_weight: normalised log weights, shape (M,).
        log_likelihood: shape (M,).
        log_evidence: ln Z - ln E_null.
        n_effective: effective sample size.
        n_likelihoods: calls.
    """

    vectors: np.ndarray
    log_weight: np.ndarray
    log_likelihood: np.ndarray
    log_evidence: float
    n_effective: float
    n_likelihoods: int


def sample(density, seed, *, n_live=500, n_effective=2000, checkpoint=None, resume=False, progress=None):
    """Sample the posterior; batches of likelihoods are shared among the density's workers.

    Args:
        density: Density of n parameters.
        seed: whole number.
        n_live: live points.
        n_effective: effective sample size to reach.
        checkpoint: prefix of the HDF5 file that nautilus keeps its state in; None: not saved. It is written anew beside
            the old one, then moved over it: a killed run leaves a whole file.
        resume: continue from that file.
        progress: called with (message, fraction done).

    Raises:
        InputError: a single parameter; a damaged file.
    """
    from nautilus import Sampler

    if density.size < 2:
        raise InputError("nautilus needs two free parameters or more; take nuts, svi or laplace")
    from_unit = jax.jit(jax.vmap(density.model.parameters.from_unit))
    file = None if checkpoint is None else Path(f"{checkpoint}.nautilus.hdf5")
    resume = resume and file is not None and file.exists()

    def prior(cube):
        return np.asarray(from_unit(jnp.atleast_2d(cube))).reshape(np.shape(cube))

    try:
        sampler = Sampler(
            prior,
            density.log_likelihoods,
            n_dim=density.size,
            n_live=n_live,
            vectorized=True,
            pass_dict=False,
            seed=seed,
            filepath=file if resume else None,
            resume=resume,
        )
    except (OSError, KeyError, RuntimeError) as error:
        raise InputError(f"{file} is damaged ({error}); fit without --resume") from None
    sampler.filepath = None  # nautilus would change the file in place
    if resume:
        _restore_cost(density, file, int(sampler.n_like))
    report = progress or (lambda *_: None)
    step, written = max(100, n_live // 5), time.monotonic()
    while not sampler.run(n_eff=n_effective, n_like_max=sampler.n_like + step, discard_exploration=True):
        effective = 0.0 if sampler.n_eff is None else float(sampler.n_eff)
        report(f"nautilus: {sampler.n_like} likelihoods, effective size {effective:.0f}", effective / n_effective)
        if file is not None and time.monotonic() - written > _SECONDS_BETWEEN_FILES:
            _write(sampler, file, density)
            written = time.monotonic()
    if file is not None:
        _write(sampler, file, density)
    vectors, log_weight, log_likelihood = sampler.posterior()
    return NestedSamples(
        vectors=vectors,
        log_weight=log_weight,
        log_likelihood=log_likelihood,
        log_evidence=float(sampler.log_z),
        n_effective=float(sampler.n_eff),
        n_likelihoods=int(sampler.n_like),
    )


def _cost_file(file):
    return file.with_suffix(".cost.npz")


def _restore_cost(density, file, n_likelihoods):
    """Count what the interrupted run had spent: its likelihoods, its time, its failures."""
    saved = load_arrays(_cost_file(file))
    if saved is None:
        density.n_evaluations += n_likelihoods
    else:
        density.add_cost(saved["cost"] - density.cost())


def _write(sampler, file, density):
    partial = file.with_suffix(".partial.hdf5")
    try:
        sampler.write(partial, overwrite=True)
        os.replace(partial, file)
        save_arrays(_cost_file(file), {"cost": density.cost()})
    except (OSError, RuntimeError) as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"cannot write {file}: {getattr(error, 'strerror', None) or error}") from None
