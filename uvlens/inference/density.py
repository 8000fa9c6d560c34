"""The posterior as the searches see it: compiled once, counted, and finite whatever a search proposes."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from ..compiled import Compiled

IMPOSSIBLE = -1e30
"""Log density of a point where the model gives no finite value (|e| >= 1, say)."""


_BLOCK = 20
"""Points of a batch that are evaluated by one call."""


class Density:
    """ln E - ln E_null - z.z / 2 of a Model in the unconstrained space, with counters.

    Attributes:
        model: the Model; `restart` exchanges it for one whose positive solver starts elsewhere (same values).
        n_evaluations: likelihoods computed so far, those with gradient included.
        n_gradients: gradients computed so far.
    """

    def __init__(self, model):
        self.model = model
        self._value = Compiled(lambda model, z: model.log_posterior(z), model)
        self._value_and_gradient = Compiled(lambda model, z: jax.value_and_grad(model.log_posterior)(z), model)
        self._log_likelihood = Compiled(lambda model, vector: model.log_likelihood(vector), model)
        self._log_likelihoods = Compiled(lambda model, vectors: jax.lax.map(model.log_likelihood, vectors), model)
        self.n_evaluations = 0
        self.n_gradients = 0
        self._started = time.perf_counter()
        self._earlier_seconds = 0.0

    def restart(self, z):
        """Start the positive solver from the source at z (n,): quicker near there."""
        self.model = self.model.with_start(self.model.parameters.from_normal(jnp.asarray(z)))
        for function in (self._value, self._value_and_gradient, self._log_likelihood, self._log_likelihoods):
            function.exchange(self.model)

    @property
    def seconds(self):
        """Wall time since the search began, that of interrupted sessions included."""
        return time.perf_counter() - self._started + self._earlier_seconds

    def cost(self):
        """(evaluations, gradients, seconds) so far, for a checkpoint."""
        return np.array([self.n_evaluations, self.n_gradients, self.seconds])

    def add_cost(self, cost):
        """Count what an interrupted session had spent."""
        self.n_evaluations += int(cost[0])
        self.n_gradients += int(cost[1])
        self._earlier_seconds += float(cost[2])

    @property
    def size(self):
        """Number of free parameters n."""
        return len(self.model.parameters)

    def value(self, z):
        """Log density at z (n,)."""
        self.n_evaluations += 1
        return _finite(self._value(jnp.asarray(z)))

    def value_and_gradient(self, z):
        """(log density, gradient (n,)) at z (n,)."""
        self.n_evaluations += 1
        self.n_gradients += 1
        value, gradient = self._value_and_gradient(jnp.asarray(z))
        return _finite(value), np.nan_to_num(np.asarray(gradient), posinf=0.0, neginf=0.0)

    def log_likelihoods(self, vectors):
        """ln E - ln E_null at physical vectors (M, n), compiled for blocks of fixed length."""
        vectors = np.atleast_2d(vectors)
        self.n_evaluations += len(vectors)
        padding = -len(vectors) % _BLOCK
        blocks = np.concatenate([vectors, np.repeat(vectors[-1:], padding, axis=0)]).reshape(-1, _BLOCK, self.size)
        values = [np.asarray(self._log_likelihoods(jnp.asarray(block))) for block in blocks]
        values = np.concatenate(values)[: len(vectors)]
        return np.where(np.isfinite(values), values, IMPOSSIBLE)

    def log_likelihood(self, vector):
        """ln E - ln E_null at a physical vector (n,)."""
        self.n_evaluations += 1
        return _finite(self._log_likelihood(jnp.asarray(vector)))


def _finite(value):
    value = float(value)
    return value if np.isfinite(value) else IMPOSSIBLE
