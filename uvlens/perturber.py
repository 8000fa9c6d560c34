"""A model with one more mass component, and the rest of it re-optimised: what subhalo scans are made of.

    f(z; p) = ln E(macro(z), perturber p) - ln E_null - z.z / 2

with z the parameters of the model without the perturber in the space where their priors are unit normals.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .compiled import Compiled
from .errors import InputError
from .inference.density import IMPOSSIBLE
from .inversion import FixedImage
from .lens import SIS, PointMass, SubhaloNFW
from .lens.lens import as_planes
from .model import Model
from .priors import Uniform

PERTURBERS = {"SubhaloNFW": (SubhaloNFW, "log10_mass"), "SIS": (SIS, "theta_E"), "PointMass": (PointMass, "theta_E")}
"""Profiles by name, with the parameter that says how massive they are."""
_BLOCK = 16
_ENOUGH = 0.01
"""Expected gain [nat] of a step that is not worth making."""


class Perturbed(NamedTuple):
    """A model with a perturber.

    Attributes:
        model: its Model, priors of the perturber included.
        macro: the Model without it.
        order: places of (macro parameters, x, y, size) in its vector.
    """

    model: Model
    macro: Model
    order: np.ndarray

    def vector(self, macro, place):
        """Physical vector of a macro vector (n,) and (x, y, size)."""
        values = jnp.concatenate([macro, place])
        return jnp.zeros(len(values)).at[self.order].set(values)


def with_perturber(model, profile="SubhaloNFW", plane=0, **fields):
    """The Perturbed model: one more component at the end of the masses of a lens plane.

    Args:
        model: Model.
        profile: name of `PERTURBERS`.
        plane: number of the lens plane.
        fields: of the component, fixed numbers (concentration, tau, ...).

    Raises:
        InputError: an unknown profile or field, no such plane; redshifts that a SubhaloNFW needs and are not known.
    """
    if profile not in PERTURBERS:
        raise InputError(f"perturber: profile must be {', '.join(PERTURBERS)}, got {profile!r}")
    kind, size = PERTURBERS[profile]
    known = {field.name for field in dataclasses.fields(kind)}
    for name in fields:
        if name not in known:
            raise InputError(f"perturber: {profile} has no field {name!r}; it has {', '.join(sorted(known))}")
    lens = model.components["lens"]
    planes = list(as_planes(lens))
    if not 0 <= plane < len(planes):
        raise InputError(f"perturber: there is no lens plane {plane}; the model has {len(planes)}")
    anywhere = Uniform(-1e3, 1e3)
    own = kind(**{size: Uniform(*((0.0, 17.0) if size == "log10_mass" else (0.0, 100.0)))}, center_x=anywhere,
               center_y=anywhere, **fields)  # fmt: skip
    planes[plane] = dataclasses.replace(planes[plane], mass=(*planes[plane].mass, own))
    number = len(planes[plane].mass) - 1
    path = f"lens.{plane}.mass.{number}" if isinstance(lens, list) else f"lens.mass.{number}"
    maximised = [[block.maximised for block in system.columns.blocks] for system in model.systems]
    if any(any(one) for one in maximised):
        raise InputError('perturber: a strength that is "evidence" cannot be kept; fit with strength: auto')
    changed = model.rebuilt(lens=planes if isinstance(lens, list) else planes[0])
    paths = list(changed.parameters.paths)
    names = [*model.parameters.paths, f"{path}.center_x", f"{path}.center_y", f"{path}.{size}"]
    return Perturbed(changed, model, np.array([paths.index(name) for name in names]))


class Climber:
    """f(z; p) and its gradient in blocks of points, and its maximum over z from a given metric.

    Args:
        model: Model that is evaluated, with arrays.
        vector_of: (z, p) -> its physical vector.
        mocked: whether calls bring the dirty images of mock data, one for each system.
    """

    def __init__(self, model, vector_of, mocked=False):
        def value(model, z, place, mock):
            vector = vector_of(z, place)
            likelihood = mock_log_evidence(model, vector, mock) if mocked else model.log_likelihood(vector)
            return likelihood - 0.5 * jnp.sum(z**2)

        accelerated = jax.default_backend() != "cpu"

        def batch(function, arguments):
            if accelerated:
                return jax.vmap(lambda one: function(*one))(arguments)
            return jax.lax.map(lambda one: function(*one), arguments)

        def values(model, *arguments):
            return batch(lambda *one: value(model, *one), arguments)

        def gradients(model, *arguments):
            return batch(lambda *one: jax.value_and_grad(lambda *a: value(model, *a))(*one), arguments)

        self._values, self._gradients = Compiled(values, model), Compiled(gradients, model)
        self.n_evaluations = 0

    def values(self, z, places, mocks=()):
        """f at points: z (B, n), places (B, 3), mocks a tuple of (B, N): shape (B,)."""
        return self._in_blocks(self._values, z, places, mocks)

    def gradients(self, z, places, mocks=()):
        """(f, df/dz)."""
        value, gradient = self._in_blocks(self._gradients, z, places, mocks)
        bad = value <= IMPOSSIBLE
        return value, np.where(bad[:, None], 0.0, np.nan_to_num(gradient))

    def _in_blocks(self, function, z, places, mocks):
        n = len(z)
        self.n_evaluations += n
        size = _BLOCK if n > 1 else 1
        arrays = [np.asarray(z, dtype=float), np.asarray(places, dtype=float)]
        mocks = [np.asarray(one) for one in mocks]

        def padded(array, start):
            part = array[start : start + size]
            return jnp.asarray(np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]))

        found = []
        for start in range(0, n, size):
            given = [padded(array, start) for array in arrays]
            result = function(*given, tuple(padded(one, start) for one in mocks))
            found.append(jax.tree.map(lambda v, start=start: np.asarray(v)[: n - start], result))
        result = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
        value = result[0] if isinstance(result, tuple) else result
        value = np.where(np.isfinite(value), value, IMPOSSIBLE)
        return (value, *result[1:]) if isinstance(result, tuple) else value

    def maximise(self, z, places, metric, steps, mocks=()):
        """(f, z) after quasi-Newton steps over z (B, n) that begin with `metric`, the inverse of -d2f/dz2 (n, n).

        Every point makes its own steps, all at once: BFGS with steps that are quartered until f rises.
        """
        z = np.array(z, dtype=float)
        value, gradient = self.gradients(z, places, mocks)
        inverse = np.repeat(np.asarray(metric)[None], len(z), axis=0)
        active = np.ones(len(z), bool)
        for _ in range(steps):
            step = np.einsum("bij,bj->bi", inverse, gradient)
            active &= np.einsum("bi,bi->b", step, gradient) > 2.0 * _ENOUGH
            pending = np.flatnonzero(active & (value > IMPOSSIBLE))
            for scale in (1.0, 0.25, 0.0625):
                if not pending.size:
                    break
                trial = z[pending] + scale * step[pending]
                own = tuple(one[pending] for one in mocks)
                new_value, new_gradient = self.gradients(trial, np.asarray(places)[pending], own)
                better = new_value > value[pending]
                for k, i in zip(np.flatnonzero(better), pending[better]):
                    inverse[i] = updated(inverse[i], trial[k] - z[i], gradient[i] - new_gradient[k])
                    z[i], value[i], gradient[i] = trial[k], new_value[k], new_gradient[k]
                pending = pending[~better]
            active[pending] = False
        return value, z


def updated(inverse, step, change):
    """BFGS of an inverse matrix M with M change = step; unchanged where the curvature is not positive."""
    slope = step @ change
    if not slope > 1e-10 * np.linalg.norm(step) * np.linalg.norm(change):
        return inverse
    left = np.eye(len(step)) - np.outer(step, change) / slope
    return left @ inverse @ left.T + np.outer(step, step) / slope


def mock_log_evidence(model, vector, mocks):
    """ln E - ln E_null of mock data, given by the dirty image of every system, at a physical vector; in JAX."""
    total = model.positions_penalty(vector)
    for system, problem, mock in zip(model.systems, model.problems(vector), mocks):
        given = FixedImage(jnp.zeros_like(mock), mock, jnp.zeros(()))
        total += system.log_evidence_minus_null(problem._replace(fixed=given))
    return jnp.where(model.filled(vector)[1], total, -jnp.inf)
