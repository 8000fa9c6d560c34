"""The posterior as the searches see it: compiled once, counted, and finite whatever a search proposes."""

import time

import jax
import jax.numpy as jnp
import numpy as np

from ..compiled import Compiled

IMPOSSIBLE = -1e30
"""Log density of a point where the model gives no finite value (|e| >= 1, a source that was not found)."""
_BLOCK = 20
"""Likelihoods of a batch that one call evaluates."""


class Density:
    """ln E - ln E_null - z.z / 2 of a Model in the unconstrained space, with counters.

    Batches are shared among `workers` where there are some, evaluated together on an accelerator and one by one on a
    CPU, whose compiled evidence uses every core by itself.

    Attributes:
        model: the Model; `restart` exchanges it for one whose positive solver starts elsewhere (same values).
        workers: Workers that evaluate batches, or None.
        n_evaluations: likelihoods computed so far, those with gradient included.
        n_gradients: gradients computed so far.
        n_failed: evaluations so far that had no finite value.
        best_vector: physical parameters (n,) of the highest likelihood so far, or None; best_log_likelihood: that.
        kept: what searches compile for this density, by name.
        on_accelerator: whether batches are evaluated at once.
    """

    def __init__(self, model, workers=None):
        self.model = model
        self.workers = workers
        self.kept = {}
        self._start = self._guard = None
        self.on_accelerator = jax.default_backend() != "cpu"
        self._functions = {
            "values_and_gradients": Compiled(lambda model, z: jax.value_and_grad(model.log_posterior)(z), model),
            "many_gradients": Compiled(_together(lambda model, z: jax.value_and_grad(model.log_posterior)(z)), model),
            "values": Compiled(_together(lambda model, z: model.log_posterior(z)), model),
            "log_likelihoods": Compiled(_together(lambda model, vector: model.log_likelihood(vector)), model),
        }
        self.n_evaluations = self.n_gradients = self.n_failed = 0
        self.best_vector, self.best_log_likelihood = None, IMPOSSIBLE
        self._began = time.perf_counter()
        self._earlier_seconds = 0.0

    def restart(self, z):
        """Start the positive solver from the source at z (n,): quicker near there."""
        self._start = np.asarray(z)
        self.exchange(self.model.with_start(self.model.parameters.from_normal(jnp.asarray(z))))

    def exchange(self, model):
        """Take the same model with another start (other data would not reach the compiled products of a CPU)."""
        self.model = model
        for function in self._functions.values():
            function.exchange(model)

    @property
    def start(self):
        """The z that `restart` was given last, or None."""
        return self._start

    @property
    def seconds(self):
        """Wall time since the search began, that of interrupted sessions included."""
        return time.perf_counter() - self._began + self._earlier_seconds

    def cost(self):
        """(evaluations, gradients, seconds, failures) so far, for a checkpoint."""
        return np.array([self.n_evaluations, self.n_gradients, self.seconds, self.n_failed])

    def add_cost(self, cost):
        """Count what an interrupted session had spent."""
        self.n_evaluations += int(cost[0])
        self.n_gradients += int(cost[1])
        self._earlier_seconds += float(cost[2])
        self.n_failed += int(cost[3])

    def count(self, n, n_failed=0):
        """Count n likelihoods with gradient that a compiled search has made, and those without a finite value."""
        self.n_evaluations += n
        self.n_gradients += n
        self.n_failed += n_failed

    @property
    def compiled(self):
        """Compiled whose arrays and `model_of` a search hands to functions that it compiles itself."""
        return self._functions["values_and_gradients"]

    @property
    def size(self):
        """Number of free parameters n."""
        return len(self.model.parameters)

    def values(self, z):
        """Log densities at z (B, n), shape (B,)."""
        return self._counted("values", z)

    def log_likelihoods(self, vectors):
        """ln E - ln E_null at physical vectors (B, n), shape (B,)."""
        return self._counted("log_likelihoods", vectors)

    def values_and_gradients(self, z):
        """(log densities (B,), gradients (B, n)) at z (B, n)."""
        values, gradients = self._counted("values_and_gradients", z)
        self.n_gradients += len(values)
        return values, gradients

    def value(self, z):
        """Log density at z (n,)."""
        return float(self.values(np.asarray(z)[None])[0])

    def value_and_gradient(self, z):
        """(log density, gradient (n,)) at z (n,)."""
        values, gradients = self.values_and_gradients(np.asarray(z)[None])
        return float(values[0]), gradients[0]

    def guard(self, z):
        """(values (B,), gradients (B, n)) of the term of the positions guard at z (B, n), which the densities hold."""
        if self._guard is None:
            self._guard = guard_term(self.model)
        return self._guard(z)

    def log_likelihood(self, vector):
        """ln E - ln E_null at a physical vector (n,)."""
        return float(self.log_likelihoods(np.asarray(vector)[None])[0])

    def _counted(self, name, rows):
        rows = np.atleast_2d(np.asarray(rows, dtype=float))
        workers = None if len(rows) == 1 else self.workers
        result = self.compute(name, rows) if workers is None else workers.evaluate(self, name, rows)
        values = result[0] if isinstance(result, tuple) else result
        self.n_evaluations += len(rows)
        self.n_failed += int(np.sum(values <= IMPOSSIBLE))
        if name == "log_likelihoods":
            self._remember(rows, values)
        else:
            self.remember(rows, values)
        return result

    def remember(self, z, values):
        """Keep the best of log densities (B,) at z (B, n), if it is the best so far."""
        self._remember(z, values + 0.5 * np.sum(z**2, axis=1), self.model.parameters.from_normal)

    def _remember(self, rows, values, physical=np.asarray):
        i = int(np.argmax(values))
        if values[i] > self.best_log_likelihood:
            self.best_log_likelihood = float(values[i])
            self.best_vector = np.asarray(physical(jnp.asarray(rows[i])))

    def compute(self, name, rows):
        """What `values`, `log_likelihoods` or `values_and_gradients` return, here and uncounted."""
        if name == "values_and_gradients":
            if self.on_accelerator and len(rows) > 1:
                values, gradients = self._in_blocks("many_gradients", rows, 1 << (len(rows) - 1).bit_length())
            else:
                found = [self._functions[name](jnp.asarray(row)) for row in rows]
                values, gradients = (np.array([np.asarray(one[i]) for one in found]) for i in range(2))
            good = np.isfinite(values)
            return np.where(good, values, IMPOSSIBLE), np.where(good[:, None] & np.isfinite(gradients), gradients, 0.0)
        values = self._in_blocks(name, rows, _BLOCK if len(rows) > 1 else 1)
        return np.where(np.isfinite(values), values, IMPOSSIBLE)

    def _in_blocks(self, name, rows, length):
        """A function of blocks of fixed length, the last one padded."""
        padded = np.concatenate([rows, np.repeat(rows[-1:], -len(rows) % length, axis=0)])
        found = [self._functions[name](jnp.asarray(block)) for block in padded.reshape(-1, length, rows.shape[1])]
        joined = jax.tree.map(lambda *parts: np.concatenate([np.asarray(p) for p in parts])[: len(rows)], *found)
        return joined


class Failures:
    """Counts values that are not finite inside compiled functions: a callback of JAX for each, or each batch."""

    def __init__(self):
        self._n = 0

    def watch(self, value):
        """The value, counted when it is computed."""
        jax.debug.callback(self._add, ~jnp.isfinite(value))
        return value

    def taken(self):
        """How many since this was asked last."""
        jax.effects_barrier()
        n, self._n = self._n, 0
        return n

    def _add(self, bad):
        self._n += int(np.sum(bad))


def guard_term(model):
    """The positions guard as a function of z (B, n): its (values (B,), gradients (B, n)) in the log density."""
    if model.positions is None:
        return lambda z: (np.zeros(len(z)), np.zeros(np.shape(z)))
    parameters, penalty = model.parameters, model.positions_penalty
    compiled = jax.jit(jax.value_and_grad(lambda z: penalty(parameters.from_normal(z))))

    def guard(z):
        values, gradients = zip(*(compiled(jnp.asarray(one)) for one in z), strict=True)
        return np.array(values), np.array(gradients)

    return guard


def _together(function):
    """function(model, rows): on an accelerator all rows at once, on a CPU one after another in one call."""
    if jax.default_backend() != "cpu":
        return lambda model, rows: jax.vmap(lambda row: function(model, row))(rows)
    return lambda model, rows: jax.lax.map(lambda row: function(model, row), rows)
