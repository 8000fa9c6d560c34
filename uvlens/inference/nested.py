"""Nested sampling with nautilus: the evidence of the whole model, every mode, no gradients; resumable from its file."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError


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
    """Sample the posterior.

    Args:
        density: Density of n parameters.
        seed: whole number.
        n_live: live points.
        n_effective: effective sample size to reach.
        checkpoint: prefix of the HDF5 file that nautilus keeps its state in; None: not saved.
        resume: continue from that file.
        progress: called with (message, fraction done).
    """
    from nautilus import Sampler

    from_unit = jax.jit(jax.vmap(density.model.parameters.from_unit))
    file = None if checkpoint is None else f"{checkpoint}.nautilus.hdf5"
    if resume and file is not None:
        _check_readable(file)

    def prior(cube):
        return np.asarray(from_unit(jnp.atleast_2d(cube))).reshape(np.shape(cube))

    sampler = Sampler(
        prior,
        density.log_likelihoods,
        n_dim=density.size,
        n_live=n_live,
        vectorized=True,
        pass_dict=False,
        seed=seed,
        filepath=file,
        resume=resume,
    )
    report = progress or (lambda *_: None)
    step = max(200, n_live)
    while not sampler.run(n_eff=n_effective, n_like_max=sampler.n_like + step, discard_exploration=True):
        effective = 0.0 if sampler.n_eff is None else float(sampler.n_eff)
        report(f"nautilus: {sampler.n_like} likelihoods, effective size {effective:.0f}", effective / n_effective)
    vectors, log_weight, log_likelihood = sampler.posterior()
    return NestedSamples(
        vectors=vectors,
        log_weight=log_weight,
        log_likelihood=log_likelihood,
        log_evidence=float(sampler.log_z),
        n_effective=float(sampler.n_eff),
        n_likelihoods=int(sampler.n_like),
    )


def _check_readable(file):
    """Refuse a damaged checkpoint before nautilus meets it."""
    import os

    import h5py

    if os.path.exists(file):
        try:
            h5py.File(file, "r").close()
        except OSError as error:
            raise InputError(f"{file} is damaged ({error}); fit without --resume") from None
