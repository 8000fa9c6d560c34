"""The steps of the outer loop of calibration: climbs that end on top of narrow ridges, and passes accelerated."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from .compiled import Compiled

FARTHEST = 6.0
"""Prior standard deviations beyond which no climb goes."""
_WALL = 1e4


def images_of(model, vector):
    """The model of every sky at its pixels, in order."""
    found = {}
    for one in model.inversions(jnp.asarray(vector)):
        found.setdefault(one.sky, np.asarray(one.image))
    return [found[i] for i in range(len(model.skies))]


def _images_without_columns(model, vector):
    """The same where nothing is solved for, in JAX: image of every system, its skies one below the other."""
    return [problem.fixed.image for problem in model.problems(vector)]


class Memory:
    """Anderson's acceleration of the passes.

    Along a direction that the data hardly see (a phase gradient against the position of everything) a pass covers a
    fixed part of the way that is left: steps of the last passes tell how far it is.
    """

    def __init__(self, steps=(), depth=3, longest=8.0):
        self.depth, self.longest, self.steps = depth, longest, list(steps)

    def ahead(self, start, found, z):
        """(nuisances in their errors, z) to go on from, after a pass from `start` (m,) to `found` (m,)."""
        self.steps = [*self.steps, (found - start, found, z)][-self.depth - 1 :]
        if len(self.steps) < 2 or len({len(step[0]) for step in self.steps}) > 1:
            return found, z
        steps, ends, zs = (np.array([step[i] for step in self.steps]) for i in range(3))
        weights = np.linalg.lstsq(np.diff(steps, axis=0).T, steps[-1], rcond=1e-3)[0]
        extra, extra_z = -weights @ np.diff(ends, axis=0), -weights @ np.diff(zs, axis=0)
        length = np.linalg.norm(extra) / max(np.linalg.norm(steps[-1]), 1e-12)
        scale = min(1.0, self.longest / max(length, 1e-12))
        return found + scale * extra, z + scale * extra_z


def _has_columns(model):
    return any(system.n_source for system in model.systems)


class Climber:
    """Climbs of the log posterior; models without columns of L are compiled for once.

    Positions trade with phase gradients along a narrow ridge, on which a climb in the coordinates of the prior stops
    early: the last part goes in those of the posterior's Gaussian, measured once.
    """

    def __init__(self, model, root=None):
        self.model, self.root = model, root
        self._function = Compiled(lambda model, z: jax.value_and_grad(model.log_posterior)(z), model)
        self._images = None if _has_columns(model) else Compiled(_images_without_columns, model)

    def images(self, vector):
        """The model of every sky at its pixels, in order."""
        if self._images is None:
            return images_of(self.model, vector)
        found = {}
        for system, image in zip(self.model.systems, self._images(jnp.asarray(vector))):
            found |= dict(zip(system.numbers, np.split(np.asarray(image), system.row_starts[1:-1])))
        return [found[i] for i in range(len(found))]

    def on(self, model):
        """A climber for another model on operators of the same shapes."""
        if self._images is None or not self._fits(model):
            return Climber(model, self.root)  # compiled products of a CPU are part of what is compiled
        self.model = model
        self._function.exchange(model)
        self._images.exchange(model)
        return self

    def _fits(self, model):
        shapes = [
            [leaf.shape for leaf in jax.tree.leaves(eqx.filter(one, eqx.is_array))] for one in (self.model, model)
        ]
        return shapes[0] == shapes[1]

    @property
    def size(self):
        """Number of free parameters n."""
        return len(self.model.parameters)

    def value_and_gradient(self, z):
        """(log posterior, gradient (n,)) at z (n,); -inf and 0 where there is none."""
        if np.max(np.abs(z)) > FARTHEST:
            return -np.inf, np.zeros_like(z)
        value, gradient = self._function(jnp.asarray(z))
        value, gradient = float(value), np.asarray(gradient)
        known = np.isfinite(value) and np.all(np.isfinite(gradient))
        return (value, gradient) if known else (-np.inf, np.zeros_like(z))

    def values_and_gradients(self, z):
        """The same at every row of z (B, n)."""
        values, gradients = zip(*(self.value_and_gradient(row) for row in z))
        return np.array(values), np.array(gradients)

    def climb(self, vector):
        """(vector, log posterior) at the top, from a physical vector (n,)."""
        parameters = self.model.parameters
        if not self.size:
            return vector, float(self.model.log_posterior(jnp.zeros(0)))
        z = np.clip(np.asarray(parameters.to_normal(jnp.asarray(vector))), 0.999 * -FARTHEST, 0.999 * FARTHEST)
        if self.root is None:
            from .inference.optimize import laplace_covariance

            z, _ = self._in_coordinates(z, np.eye(self.size), 200)
            self.root = np.linalg.cholesky(laplace_covariance(self, z))
        z, value = self._in_coordinates(z, self.root, 100)
        return np.asarray(parameters.from_normal(jnp.asarray(z))), value

    def _in_coordinates(self, z, root, max_iterations):
        """L-BFGS from z in y, z + root y: (z, log posterior)."""
        lowest = np.inf

        def objective(y):
            nonlocal lowest
            value, gradient = self.value_and_gradient(z + root @ y)
            if not np.isfinite(value):
                return (lowest if np.isfinite(lowest) else 0.0) + _WALL, np.zeros_like(y)
            lowest = min(lowest, -value)
            return -value, -root.T @ gradient

        options = {"maxiter": max_iterations, "ftol": 1e-13, "gtol": 1e-3, "maxls": 30, "maxcor": 20}
        found = scipy.optimize.minimize(objective, np.zeros(self.size), jac=True, method="L-BFGS-B", options=options)
        return z + root @ found.x, -float(found.fun)
