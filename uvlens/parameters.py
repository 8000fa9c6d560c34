"""The free parameters of a tree of components: their paths, order, ties, and the values put back into the tree."""

import graphlib

import jax
import jax.numpy as jnp

from .errors import InputError
from .priors import SameAs, as_prior, is_free


class Parameters:
    """The free parameters of a pytree whose leaves are numbers, priors and ties.

    Args:
        tree: components; a leaf that is a Prior or numpyro distribution is free, one that is SameAs is tied.

    Attributes:
        paths: names of the n free parameters, in the order of the vectors below.
        priors: one each.

    Raises:
        InputError: a tie or dependent prior that names an unknown parameter or itself.
    """

    def __init__(self, tree):
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(
            tree, is_leaf=lambda leaf: is_free(leaf) or isinstance(leaf, SameAs)
        )
        self._leaves = {path_name(key): leaf for key, leaf in leaves}
        free = {path: as_prior(leaf) for path, leaf in self._leaves.items() if is_free(leaf)}
        self.paths = tuple(free)
        self.priors = tuple(free.values())
        self._ties = {path: leaf.path for path, leaf in self._leaves.items() if isinstance(leaf, SameAs)}
        self._order = self._resolve_order(free)
        self._index = {path: i for i, path in enumerate(self.paths)}
        self._check_support()

    def __len__(self):
        return len(self.paths)

    @property
    def all_paths(self):
        """Paths of every number in the tree, free, tied and fixed."""
        return tuple(self._leaves)

    def _check_support(self):
        """Refuse dependent priors that have no support where their parents are at their medians."""
        values = self._walk(lambda i, prior, values: prior.from_normal(0.0, values))
        for path, prior in zip(self.paths, self.priors):
            if prior.parents:
                message = prior.check(*(float(values[a]) if isinstance(a, str) else a for a in prior.arguments))
                if message:
                    raise InputError(f"{path}: {prior}: {message}, with the other parameters at their medians")

    def stated(self, path):
        """The number, prior or tie at a path, as it was stated."""
        return self._leaves[path]

    def _resolve_order(self, free):
        """Every path after the ones that its value or prior depends on."""
        graph = {path: set(free[path].parents) if path in free else set() for path in self._leaves}
        for path, target in self._ties.items():
            graph[path] = {target}
        for path, parents in graph.items():
            for parent in parents:
                if parent not in self._leaves:
                    raise InputError(f"{path}: depends on {parent!r}, which is not a parameter of the model")
        try:
            return tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise InputError(f"parameters depend on each other in a circle: {' -> '.join(error.args[1])}") from None

    def _walk(self, of_free):
        """Values by path, dependencies first; `of_free(i, prior, values)` gives the i-th free one."""
        values = {}
        for path in self._order:
            if path in self._index:
                i = self._index[path]
                values[path] = of_free(i, self.priors[i], values)
            else:
                values[path] = values[self._ties[path]] if path in self._ties else self._leaves[path]
        return values

    def _vector(self, of_free):
        values = self._walk(of_free)
        return jnp.stack([jnp.asarray(values[path], dtype=float) for path in self.paths])

    def values(self, vector):
        """Every number of the tree by path, for the physical vector (n,)."""
        return self._walk(lambda i, prior, values: vector[i])

    def fill(self, vector):
        """The tree with numbers in the place of its priors and ties."""
        values = self.values(vector)
        return jax.tree_util.tree_unflatten(self._structure, [values[path] for path in self._leaves])

    def from_unit(self, cube):
        """Physical vector of a point in the unit cube, both (n,)."""
        return self._vector(lambda i, prior, values: prior.from_unit(cube[i], values))

    def from_normal(self, z):
        """Physical vector of an unconstrained vector, both (n,)."""
        return self._vector(lambda i, prior, values: prior.from_normal(z[i], values))

    def to_normal(self, vector):
        """Unconstrained vector of a physical one, both (n,)."""
        values = self.values(vector)
        return jnp.stack([prior.to_normal(vector[i], values) for i, prior in enumerate(self.priors)])

    def log_prior(self, vector):
        """Sum of ln p over the free parameters."""
        values = self.values(vector)
        return sum((prior.log_prob(vector[i], values) for i, prior in enumerate(self.priors)), jnp.array(0.0))

    def median(self, fixed=None):
        """Physical vector at the medians of the priors; `fixed` (path -> number) are taken as they are."""
        fixed = fixed or {}

        def of_free(i, prior, values):
            return fixed[self.paths[i]] if self.paths[i] in fixed else prior.from_normal(0.0, values)

        return self._vector(of_free) if self.paths else jnp.zeros(0)

    def describe(self):
        """Every path with its number, prior or tie, as text: what identifies a model."""
        return tuple((path, str(as_prior(leaf)) if is_free(leaf) else str(leaf)) for path, leaf in self._leaves.items())


def path_name(key):
    """Dotted name of a JAX key path: lens.mass.0.theta_E."""
    return ".".join(str(getattr(part, "name", getattr(part, "key", getattr(part, "idx", part)))) for part in key)
