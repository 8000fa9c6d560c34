"""One model fitted to many data sets of the same coordinates and weights: everything is compiled once.

Only the dirty image d~ differs between such data, so it is an argument of the compiled functions: climb, NUTS and
evidence cost no compilation after the first. The evidence is the JAX one on every device: compiled products of a CPU
keep the data that they were made from. SciPy's BLAS, which JAX calls for triangular systems on a CPU, is kept to one
thread: with two, and other processes at work, a gradient of 64 source pixels took 10 ms in the place of 0.5.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer import NUTS
from scipy.special import gammaln, logsumexp

from ..inference.density import IMPOSSIBLE, guard_term
from ..inference.optimize import laplace_covariance, optimize
from ..threads import one_blas_thread
from .mocks import refuse_others

_DEGREES = 8.0
"""Of freedom of the Student t that importance samples come from: tails heavier than the posterior's."""


class Evidence(NamedTuple):
    """By importance sampling.

    Attributes:
        log_evidence: ln Z - ln E_null.
        error: standard error of ln Z.
        n_effective: effective sample size (sum w)^2 / sum w^2 of the last round.
        z: its draws, unconstrained, shape (M, n).
        log_weight: normalised, shape (M,).
    """

    log_evidence: float
    error: float
    n_effective: float
    z: np.ndarray
    log_weight: np.ndarray


class Draws(NamedTuple):
    """Of one chain.

    Attributes:
        z: unconstrained, shape (draws, n).
        log_posterior: ln E - ln E_null - z.z / 2 of each, shape (draws,).
        divergences: their number after the warm-up.
        n_steps: leapfrog steps in all.
        accept: mean acceptance probability after the warm-up.
    """

    z: np.ndarray
    log_posterior: np.ndarray
    divergences: int
    n_steps: int
    accept: float


class Refit:
    """A Model with one sky whose data are an argument.

    Args:
        model: Model; the data it holds are the first of many.
        n_warmup, n_draws: of a chain.

    Raises:
        InputError: several skies or channels.
    """

    def __init__(self, model, n_warmup=60, n_draws=240):
        refuse_others(model)
        self.size = len(model.parameters)
        system = model.systems[0]
        operator = dataclasses.replace(system.normal, products=None)
        self.model = eqx.tree_at(lambda m: m.systems[0], model, dataclasses.replace(system, normal=operator))
        leaves, static = eqx.partition(self.model, eqx.is_array)

        def density(leaves, dirty, z):
            model = eqx.combine(leaves, static)
            model = eqx.tree_at(lambda m: m.systems[0].normal.dirty_image, model, dirty)
            return model.log_posterior(z)

        def chain(leaves, dirty, center, root, key):
            kernel = NUTS(
                potential_fn=lambda x: -density(leaves, dirty, center + root @ x),
                adapt_mass_matrix=False,
                step_size=0.1,
                max_tree_depth=7,
            )
            start, key = jax.random.normal(key, (self.size,)), jax.random.fold_in(key, 1)
            state = kernel.init(key, n_warmup, start, (), {})

            def step(state, _):
                state = kernel.sample(state, (), {})
                return state, (state.z, state.potential_energy, state.diverging, state.num_steps, state.accept_prob)

            x, potential, diverging, steps, accept = jax.lax.scan(step, state, None, length=n_warmup + n_draws)[1]
            z = center + x[n_warmup:] @ root.T
            return z, -potential[n_warmup:], diverging[n_warmup:].sum(), steps.sum(), accept[n_warmup:].mean()

        self.guard = guard_term(self.model)
        self._leaves = leaves
        self._value = jax.jit(density)
        self._value_and_gradient = jax.jit(jax.value_and_grad(density, argnums=2))
        self._values = jax.jit(lambda leaves, dirty, z: jax.lax.map(lambda one: density(leaves, dirty, one), z))
        self._chain = jax.jit(chain)

    def density(self, dirty_image):
        """The posterior of one data set, its dirty image of shape (N,), as the searches want it."""
        return OneDensity(self, jnp.asarray(dirty_image))

    def climb(self, dirty_image, seed, n_starts=4, n_screen=32):
        """(z at the top (n,), covariance there (n, n), log density there) by the package's own multi-start search."""
        density = self.density(dirty_image)
        with one_blas_thread():
            optima, _ = optimize(density, np.random.default_rng(seed), n_starts=n_starts, n_screen=n_screen)
            return optima[0].z, laplace_covariance(density, optima[0].z), optima[0].value

    def nuts(self, dirty_image, center, covariance, seed):
        """Draws of a chain started from N(center, covariance), whose inverse is its mass matrix."""
        root = np.linalg.cholesky(covariance)
        arguments = (jnp.asarray(a) for a in (dirty_image, center, root))
        with one_blas_thread():
            found = jax.device_get(self._chain(self._leaves, *arguments, jax.random.PRNGKey(seed)))
        z, log_posterior, divergences, steps, accept = found
        return Draws(np.asarray(z), np.asarray(log_posterior), int(divergences), int(steps), float(accept))

    def evidence(self, dirty_image, center, covariance, seed, sizes=(400, 1600)):
        """ln Z = ln of the integral of E / E_null N(z; 0, 1) dz by importance sampling from a Student t, as Evidence.

        The first round is centred on N(center, covariance), every other on mean and covariance of the one before.
        Weights that vary little are the certificate (Evidence.n_effective); a second mode is not seen by them.
        """
        rng, n, found = np.random.default_rng(seed), self.size, None
        center, covariance = np.asarray(center), np.asarray(covariance)
        for size in sizes:
            root = np.linalg.cholesky(covariance)
            x = rng.normal(size=(size, n)) / np.sqrt(rng.chisquare(_DEGREES, size=(size, 1)) / _DEGREES)
            z = center + x @ root.T
            log_q = (
                gammaln(0.5 * (_DEGREES + n))
                - gammaln(0.5 * _DEGREES)
                - 0.5 * n * np.log(_DEGREES * np.pi)
                - np.sum(np.log(np.diagonal(root)))
                - 0.5 * (_DEGREES + n) * np.log1p(np.sum(x**2, axis=1) / _DEGREES)
            )
            with one_blas_thread():
                values = np.asarray(self._values(self._leaves, jnp.asarray(dirty_image), jnp.asarray(z)))
            values = np.where(np.isfinite(values), values, IMPOSSIBLE)
            log_weight = values - 0.5 * n * np.log(2.0 * np.pi) - log_q
            total = logsumexp(log_weight)
            weight = np.exp(log_weight - total)
            effective = 1.0 / np.sum(weight**2)
            error = np.sqrt(max(1.0 / effective - 1.0 / size, 0.0))
            found = Evidence(float(total - np.log(size)), float(error), float(effective), z, log_weight - total)
            center = weight @ z
            if effective > 5 * n:
                covariance = (weight[:, None] * (z - center)).T @ (z - center)
        return found


@dataclasses.dataclass
class OneDensity:
    """What `inference.optimize` asks of a density, for one data set."""

    refit: Refit
    dirty_image: jax.Array
    n_evaluations: int = 0
    workers = None
    on_accelerator = False

    @property
    def model(self):
        """The Model."""
        return self.refit.model

    @property
    def size(self):
        """Number of free parameters n."""
        return self.refit.size

    def guard(self, z):
        """(values (B,), gradients (B, n)) of the positions guard's term at z (B, n)."""
        return self.refit.guard(z)

    def values(self, z):
        """Those at every row of z (B, n)."""
        return np.array([self.value(row) for row in z])

    def values_and_gradients(self, z):
        """(values (B,), gradients (B, n)) at every row of z (B, n)."""
        values, gradients = zip(*(self.value_and_gradient(row) for row in z))
        return np.array(values), np.array(gradients)

    def value(self, z):
        """ln E - ln E_null - z.z / 2 at z (n,)."""
        self.n_evaluations += 1
        value = float(self.refit._value(self.refit._leaves, self.dirty_image, jnp.asarray(z)))
        return value if np.isfinite(value) else IMPOSSIBLE

    def value_and_gradient(self, z):
        """(value, gradient (n,)) at z (n,)."""
        self.n_evaluations += 1
        value, gradient = self.refit._value_and_gradient(self.refit._leaves, self.dirty_image, jnp.asarray(z))
        value = float(value) if np.isfinite(value) else IMPOSSIBLE
        return value, np.nan_to_num(np.asarray(gradient), posinf=0.0, neginf=0.0)
