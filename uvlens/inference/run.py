"""What every search works with, and the climb that most of them begin with."""

import contextlib
import dataclasses
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..files import load_arrays, save_arrays
from ..threads import n_cores
from .density import IMPOSSIBLE, Density
from .optimize import Optimum, basins, climb, laplace_covariance, optimize
from .roughness import roughness
from .workers import Workers

_LEAPFROGS = 5
_ROUGHNESS_POINTS, _ROUGHNESS_SECONDS = 11, 20.0
"""Evaluations along each parameter, and what they may take."""
_WORTH_PROCESSES = 60.0
"""Seconds of sampling below which processes cost more than they gain."""
CLIMBING = ("n_starts", "n_screen", "optimizer")


@dataclasses.dataclass
class Run:
    """What a search works with.

    Attributes:
        density, seed, progress: see `fit`.
        checkpoint: prefix of its files, or None.
        resume: whether to continue from them.
        pool: number of processes, an executor, a Dask client, or None: as many as are worth it.
        stack: closes the processes.
        near: parameters (n,) from which one more climb begins, or None.
    """

    density: Density
    seed: int
    checkpoint: str | None
    resume: bool
    progress: Any
    pool: Any
    stack: contextlib.ExitStack
    near: Any = None

    def file(self, name):
        """Path of a checkpoint, or None."""
        return None if self.checkpoint is None else f"{self.checkpoint}.{name}"

    def rng(self, number):
        """A random generator for one purpose."""
        return np.random.default_rng([self.seed, number])

    def employ(self, n_likelihoods, n_most):
        """Start processes for about that many likelihoods with gradient, if that is asked for or worth it."""
        if self.density.workers is not None or self.pool == 1:
            return
        pool = self.pool
        if pool is None:
            z = np.zeros(self.density.size) if self.density.start is None else self.density.start
            self.density.compute("values_and_gradients", z[None])
            began = time.perf_counter()
            self.density.compute("values_and_gradients", z[None] + 1e-4)
            seconds = (time.perf_counter() - began) * n_likelihoods
            pool = min(n_cores(), n_most)
            if self.density.on_accelerator or pool < 2 or seconds < _WORTH_PROCESSES:
                return
        folder = None if self.checkpoint is None else os.path.dirname(self.checkpoint)
        self.density.workers = self.stack.enter_context(Workers(self.density.model, pool, folder))

    def employ_for_chains(self, sizes):
        """`employ` for n_chains of n_warmup + n_draws."""
        n_chains = sizes.get("n_chains", 4)
        self.employ(_LEAPFROGS * n_chains * (sizes["n_draws"] + sizes.get("n_warmup", 100)), n_chains)


def climb_and_measure(run, *, n_starts=8, n_screen=48, optimizer="lbfgs"):
    """(optima, covariance at the best, diagnostics of the starts), from the checkpoint where it has them."""
    density, file = run.density, run.file("optimum.npz")
    if run.pool is not None:
        run.employ(0, n_cores())
    saved = load_arrays(file) if run.resume else None
    if saved is None:
        settings = {"n_starts": n_starts, "n_screen": n_screen, "optimizer": optimizer}
        optima, starts = optimize(density, np.random.default_rng(run.seed), **settings, progress=run.progress)
        if run.near is not None:
            z = np.asarray(density.model.parameters.to_normal(jnp.asarray(run.near, dtype=float)))
            if np.all(np.isfinite(z)):
                optima = sorted([*optima, _climbed(density, z)], key=lambda one: -one.value)
        if optima[0].value <= IMPOSSIBLE:
            raise InputError("no starting point has a finite evidence: check the priors against the data and mask")
        saved = {
            "z": np.stack([o.z for o in optima]),
            "value": np.array([o.value for o in optima]),
            "start": np.array([o.start for o in optima]),
            "covariance": laplace_covariance(density, optima[0].z),
            "starts": np.stack([one["z"] for one in starts]),
            "starts_value": np.array([one["value"] for one in starts]),
            "starts_first_steps": np.array([one["first_steps"] for one in starts]),
            "starts_went_on": np.array([one["went_on"] for one in starts]),
        }
        saved["roughness"] = _measured_roughness(density, optima[0].z, saved["covariance"])
        saved["cost"] = density.cost()
        if file is not None:
            save_arrays(file, saved)
    else:
        density.add_cost(saved["cost"])
    optima = [Optimum(z, float(v), float(s)) for z, v, s in zip(saved["z"], saved["value"], saved["start"])]
    density.restart(optima[0].z)
    rows = zip(saved["starts"], saved["starts_value"], saved["starts_first_steps"], saved["starts_went_on"])
    known = {
        "starts": [
            {"parameters": vectors(density, z), "log_posterior": v, "first_steps": f, "went_on": bool(w)}
            for z, v, f, w in rows
        ]
    }
    if len(saved["roughness"]):
        known["roughness"] = dict(zip(density.model.parameters.paths, saved["roughness"].tolist()))
    return optima, saved["covariance"], known


def _climbed(density, z):
    """The Optimum above z; z itself where no step went up."""
    start = float(density.value_and_gradient(z)[0])
    found = climb(density, z, 200)
    if -float(found.fun) > start:
        return Optimum(found.x, -float(found.fun), start)
    return Optimum(z, start, start)


def _measured_roughness(density, z, covariance):
    """Scatter of ln E along each parameter (n,) where a source is pixelised; (0,) without, or where it is dear."""
    if not any(system.columns.blocks for system in getattr(density.model, "systems", ())):
        return np.zeros(0)
    began = time.perf_counter()
    density.value(z)
    if (time.perf_counter() - began) * _ROUGHNESS_POINTS * density.size > _ROUGHNESS_SECONDS:
        return np.zeros(0)
    return np.array(list(roughness(density, z, covariance, _ROUGHNESS_POINTS).values()))


def of_starts(density, optima, covariance, known):
    """Diagnostics: the basins that were found, the starts, the roughness of ln E."""
    found = [
        {
            "log_posterior": group["log_posterior"],
            "n_starts": group["n_starts"],
            "parameters": vectors(density, group["z"]),
        }
        for group in basins(optima, covariance)
    ]
    return {"basins": found, **known}


def split(options):
    """(other options, those of the climb)."""
    climbing = {key: value for key, value in options.items() if key in CLIMBING}
    return {key: value for key, value in options.items() if key not in CLIMBING}, climbing


def vectors(density, z):
    """Physical parameters of z (n,) or (M, n)."""
    function = density.model.parameters.from_normal
    return np.asarray((jax.vmap(function) if np.ndim(z) == 2 else function)(jnp.asarray(z)))


def best(density, candidates):
    """The candidate z of the highest physical posterior density, as a physical vector."""
    parameters = density.model.parameters
    physical = [vectors(density, z) for z in candidates]
    likelihoods = [density.log_likelihood(vector) for vector in physical]
    totals = [value + float(parameters.log_prior(jnp.asarray(v))) for value, v in zip(likelihoods, physical)]
    i = int(np.argmax(totals))
    return {"best_vector": physical[i], "best_log_likelihood": likelihoods[i]}
