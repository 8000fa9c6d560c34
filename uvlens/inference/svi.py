"""Variational inference: a full-rank Gaussian, or a flow, fitted to the posterior on its gradients.

    maximise over q   E_q[ln p(z) - ln q(z)]        (numpyro's SVI; Adam)

in coordinates in which the Laplace approximation is a unit normal. The Gaussian's gradient goes along the path of its
draws alone (Roeder et al. 2017): its noise vanishes as q approaches a Gaussian posterior, and a hundred steps suffice.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from numpyro.distributions import constraints
from numpyro.infer import SVI, Trace_ELBO
from numpyro.infer.autoguide import AutoIAFNormal

from ..errors import InputError
from ..files import load_arrays, save_arrays
from .density import Failures

GUIDES = ("gaussian", "flow")
_BLOCK = 10
_RATES = {"gaussian": 0.05, "flow": 0.01}
_STEPS = {"gaussian": 150, "flow": 1000}
_DEPTH = 1e4
"""How far below the start a draw counts at most: what a search of a wild draw can do to the sum."""


@dataclasses.dataclass(frozen=True)
class Approximation:
    """A fitted q.

    Attributes:
        center, root: z = center + root x.
        distribution: numpyro distribution of x.
        covariance: of z, (n, n).
        elbo: lower bound of ln Z - ln E_null (a noisy mean over the last steps).
    """

    center: np.ndarray
    root: np.ndarray
    distribution: Any
    covariance: np.ndarray
    elbo: float

    def draw(self, key, n_draws):
        """(z (M, n), ln q (M,))."""
        x = self.distribution.sample(key, (n_draws,))
        log_q = self.distribution.log_prob(x) - np.linalg.slogdet(self.root)[1]
        return self.center + np.asarray(x) @ self.root.T, np.asarray(log_q)


class _OnPath(dist.MultivariateNormal):
    """A normal whose density does not follow its parameters: the gradient of a draw comes along its path alone."""

    def log_prob(self, value):
        fixed = jax.lax.stop_gradient((self.loc, self.scale_tril))
        return dist.MultivariateNormal(fixed[0], scale_tril=fixed[1]).log_prob(value)


def approximate(
    density,
    center,
    covariance,
    seed,
    *,
    guide="gaussian",
    n_steps=None,
    n_particles=4,
    checkpoint=None,
    resume=False,
    progress=None,
):
    """Fit q to the posterior.

    Args:
        density: Density of n parameters.
        center, covariance: of the Gaussian it starts from (Laplace).
        seed: whole number.
        guide: "gaussian" or "flow" (inverse autoregressive).
        n_steps: of Adam; default 150 (gaussian) or 1000 (flow).
        n_particles: draws in a step.
        checkpoint: file for the state, None: not kept; `resume`: continue from it.
        progress: called with (message, fraction done).

    Returns:
        Approximation.

    Raises:
        InputError: an unknown guide; a checkpoint of another run.
    """
    if guide not in GUIDES:
        raise InputError(f"guide must be gaussian or flow, got {guide!r}")
    n, n_steps = density.size, n_steps or _STEPS[guide]
    root = np.linalg.cholesky(covariance)
    compiled, floor, failures = density.compiled, density.value(center) - _DEPTH, Failures()

    def model(leaves):
        x = numpyro.sample("x", dist.ImproperUniform(constraints.real_vector, (), (n,)))
        value = failures.watch(compiled.model_of(leaves).log_posterior(center + root @ x))
        numpyro.factor("log_posterior", jnp.where(jnp.isfinite(value), jnp.maximum(value, floor), floor))

    def gaussian(leaves):
        location = numpyro.param("location", jnp.zeros(n))
        triangle = numpyro.param("triangle", jnp.eye(n), constraint=constraints.softplus_lower_cholesky)
        numpyro.sample("x", _OnPath(location, scale_tril=triangle))

    flow = AutoIAFNormal(model, num_flows=2, hidden_dims=[2 * n, 2 * n]) if guide == "flow" else None
    rate = optax.cosine_decay_schedule(_RATES[guide], n_steps, 0.05)
    loss = Trace_ELBO(num_particles=n_particles, vectorize_particles=density.on_accelerator)
    svi = SVI(model, flow or gaussian, optax.adam(rate), loss)
    state = svi.init(jax.random.PRNGKey(seed), compiled.leaves)

    @jax.jit
    def advance(state, leaves):
        def step(state, _):
            state, loss = svi.update(state, leaves)
            return state, (loss, svi.get_params(state))

        return jax.lax.scan(step, state, None, length=_BLOCK)

    stated = np.array([seed, n_steps, n_particles, GUIDES.index(guide)])
    state, losses, means, n_means = _restored(
        checkpoint if resume else None, state, svi.get_params(state), stated, density
    )
    report = progress or (lambda *_: None)
    failures.taken()  # those of the initialisation
    while len(losses) < n_steps:
        state, (values, params) = advance(state, compiled.leaves)
        losses = np.append(losses, np.asarray(values))
        density.count(_BLOCK * n_particles, failures.taken())
        if len(losses) > 0.6 * n_steps:  # the mean over the last steps is quieter than the last of them
            added = jax.tree.map(lambda leaf: np.asarray(leaf).sum(axis=0), params)
            means = added if n_means == 0 else jax.tree.map(np.add, means, added)
            n_means += _BLOCK
        if checkpoint is not None:
            _save(checkpoint, state, losses, means, n_means, stated, density)
        report(f"variational fit, ELBO {-losses[-_BLOCK:].mean():.1f}", min(1.0, len(losses) / n_steps))
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf / n_means), means)
    if flow is None:
        q = dist.MultivariateNormal(params["location"], scale_tril=params["triangle"])
        spread = np.asarray(params["triangle"])
        spread = root @ spread @ spread.T @ root.T
    else:
        q = flow.get_posterior(params)
        x = np.asarray(q.sample(jax.random.PRNGKey(seed), (4000,)))
        spread = root @ np.cov(x.T).reshape(n, n) @ root.T
    last = losses[int(0.6 * n_steps) :]
    return Approximation(
        np.asarray(center), root, q, spread, float(-np.mean(last)) - 0.5 * n * np.log(2.0 * np.pi) + _log_det(root)
    )


def _log_det(root):
    return float(np.linalg.slogdet(root)[1])


def _save(file, state, losses, means, n_means, stated, density):
    kept = {"losses": losses, "n_means": np.asarray(n_means), "stated": stated, "cost": density.cost()}
    save_arrays(file, {**_numbered("state", state), **_numbered("mean", means), **kept})


def _numbered(name, tree):
    return {f"{name}_{i}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(tree))}


def _restored(file, state, params, stated, density):
    """(state, losses, sums of parameters, how many) of an interrupted fit, or the beginning of one."""
    saved = load_arrays(file)
    if saved is None:
        return state, np.zeros(0), None, 0

    def tree(name, like):
        leaves, structure = jax.tree.flatten(like)
        return jax.tree.unflatten(structure, [jnp.asarray(saved[f"{name}_{i}"]) for i in range(len(leaves))])

    if "state_0" not in saved or not np.array_equal(saved["stated"], stated):
        raise InputError(f"{file} is of another run; fit without --resume")
    density.add_cost(saved["cost"] - density.cost())
    n_means = int(saved["n_means"])
    return tree("state", state), saved["losses"], tree("mean", params) if n_means else None, n_means
