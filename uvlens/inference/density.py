"""The posterior as the searches see it: compiled once, counted, and finite whatever a search proposes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

IMPOSSIBLE = -1e30
"""Log density of a point where the model gives no finite value (|e| >= 1, say)."""


@eqx.filter_jit
def _value(model, z):
    return model.log_posterior(z)


@eqx.filter_jit
def _value_and_gradient(model, z):
    return jax.value_and_grad(model.log_posterior)(z)


@eqx.filter_jit
def _log_likelihood(model, vector):
    return model.log_likelihood(vector)


class Density:
    """ln E - ln E_null - z.z / 2 of a Model in the unconstrained space, with counters.

    Attributes:
        model: the Model.
        n_evaluations: likelihoods computed so far, those with gradient included.
        n_gradients: gradients computed so far.
    """

    def __init__(self, model):
        self.model = model
        self.n_evaluations = 0
        self.n_gradients = 0

    @property
    def size(self):
        """Number of free parameters n."""
        return len(self.model.parameters)

    def value(self, z):
        """Log density at z (n,)."""
        self.n_evaluations += 1
        return _finite(_value(self.model, jnp.asarray(z)))

    def value_and_gradient(self, z):
        """(log density, gradient (n,)) at z (n,)."""
        self.n_evaluations += 1
        self.n_gradients += 1
        value, gradient = _value_and_gradient(self.model, jnp.asarray(z))
        return _finite(value), np.nan_to_num(np.asarray(gradient), posinf=0.0, neginf=0.0)

    def log_likelihood(self, vector):
        """ln E - ln E_null at a physical vector (n,)."""
        self.n_evaluations += 1
        return _finite(_log_likelihood(self.model, jnp.asarray(vector)))


def _finite(value):
    value = float(value)
    return value if np.isfinite(value) else IMPOSSIBLE
