"""The free parameters of a tree of components: their paths, order, ties, and the values put back into the tree."""

import difflib
import graphlib

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from .errors import InputError
from .expressions import Derived
from .paths import path_name
from .priors import SameAs, as_prior, is_free, is_tied
from .probing import told_apart


class Parameters:
    """The free parameters of a pytree whose leaves are numbers, priors and ties.

    Args:
        tree: components; a leaf that is a Prior, numpyro distribution or JointMember is free, one that is SameAs or
            Derived follows from others.

    Attributes:
        paths: names of the n free parameters, in the order of the vectors below.
        priors: one each.

    Raises:
        InputError: a tie or dependent prior that names an unknown parameter or itself; a joint prior whose parameters
            are not all there, once each.
    """

    def __init__(self, tree):
        self._tree = tree
        leaves, self._structure = jax.tree_util.tree_flatten_with_path(
            tree, is_leaf=lambda leaf: is_free(leaf) or is_tied(leaf)
        )
        self._leaves = {path_name(key): leaf for key, leaf in leaves}
        free = {path: as_prior(leaf) for path, leaf in self._leaves.items() if is_free(leaf)}
        self.paths = tuple(free)
        self.priors = tuple(free.values())
        self._ties = {path: leaf for path, leaf in self._leaves.items() if is_tied(leaf)}
        self._index = {path: i for i, path in enumerate(self.paths)}
        self._joint = self._groups()
        self._order = self._resolve_order(free)
        self._check_support()

    def __len__(self):
        return len(self.paths)

    def __reduce__(self):
        # the structure of a tree of modules does not survive pickling: it is found again
        return Parameters, (self._tree,)

    @property
    def all_paths(self):
        """Paths of every number in the tree, free, tied and fixed."""
        return tuple(self._leaves)

    def _groups(self):
        """Places of the parameters of each joint prior by the place of the first of them."""
        found = {}
        for i, prior in enumerate(self.priors):
            if hasattr(prior, "joint"):
                found.setdefault(id(prior.joint), []).append(i)
        groups = {}
        for places in found.values():
            joint = self.priors[places[0]].joint
            ordered = sorted(places, key=lambda i: self.priors[i].number)
            if [self.priors[i].number for i in ordered] != list(range(len(joint))):
                named = ", ".join(self.paths[i] for i in places)
                raise InputError(f"{named}: a joint prior of {len(joint)} parameters needs each of them once")
            groups[places[0]] = tuple(ordered)
        return groups

    def _check_support(self):
        """Refuse dependent priors that have no support where their parents are at their medians."""
        values = self._walk(lambda i, prior, values: prior.from_normal(0.0, values), jnp.zeros(len(self)))
        for path, prior in zip(self.paths, self.priors):
            if prior.parents and not hasattr(prior, "joint"):
                message = prior.check(*(float(one) for one in prior.numbers(values)))
                if message:
                    raise InputError(f"{path}: {prior}: {message}, with the other parameters at their medians")

    def stated(self, path):
        """The number, prior or tie at a path, as it was stated."""
        return self._leaves[path]

    def is_tied(self, path):
        """Whether the number at a path follows from others."""
        return path in self._ties

    def _resolve_order(self, free):
        """Every path after the ones that its value or prior depends on."""
        graph = {path: set(free[path].parents) if path in free else set() for path in self._leaves}
        for path, tie in self._ties.items():
            graph[path] = {tie.path} if isinstance(tie, SameAs) else set(tie.parents)
        for first, members in self._joint.items():
            # all of a joint prior are made when its first one is
            for i in members:
                if i != first:
                    graph[self.paths[i]] = {self.paths[first]}
        for path, parents in graph.items():
            self.check_known(parents, path)
        try:
            return tuple(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as error:
            raise InputError(f"parameters depend on each other in a circle: {' -> '.join(error.args[1])}") from None

    def check_known(self, paths, what):
        """Refuse paths that are not in the tree, naming the nearest one."""
        for path in paths:
            if path not in self._leaves:
                near = difflib.get_close_matches(path, self._leaves, 1)
                hint = f" (did you mean {near[0]!r}?)" if near else ""
                raise InputError(f"{what}: depends on {path!r}, which is not a parameter of the model{hint}")

    def _walk(self, of_free, z=None):
        """Values by path, dependencies first; `of_free(i, prior, values)` gives the i-th free one.

        Those of joint priors come from unconstrained numbers `z` (n,); None: from `of_free` like all others.
        """
        values = {}
        for path in self._order:
            if path in values:
                continue
            if path in self._index:
                i = self._index[path]
                if z is not None and i in self._joint:
                    members = self._joint[i]
                    found = self.priors[i].joint.from_normal(z[jnp.asarray(members)], values)
                    values |= {self.paths[member]: found[k] for k, member in enumerate(members)}
                else:
                    values[path] = of_free(i, self.priors[i], values)
            elif path in self._ties:
                tie = self._ties[path]
                values[path] = tie(values) if isinstance(tie, Derived) else values[tie.path]
            else:
                values[path] = self._leaves[path]
        return values

    def _vector(self, values):
        if not self.paths:
            return jnp.zeros(0)
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
        z = ndtri(jnp.asarray(cube, dtype=float))
        return self._vector(self._walk(lambda i, prior, values: prior.from_unit(cube[i], values), z))

    def from_normal(self, z):
        """Physical vector of an unconstrained vector, both (n,)."""
        z = jnp.asarray(z)
        return self._vector(self._walk(lambda i, prior, values: prior.from_normal(z[i], values), z))

    def to_normal(self, vector):
        """Unconstrained vector of a physical one, both (n,)."""
        values, vector = self.values(vector), jnp.asarray(vector)
        found = {}
        for i, prior in enumerate(self.priors):
            if i in self._joint:
                members = self._joint[i]
                z = prior.joint.to_normal(vector[jnp.asarray(members)], values)
                found |= {member: z[k] for k, member in enumerate(members)}
            elif i not in found:
                found[i] = prior.to_normal(vector[i], values)
        return jnp.stack([found[i] for i in range(len(self))]) if self.paths else jnp.zeros(0)

    def log_prior(self, vector):
        """Sum of ln p over the free parameters."""
        values, vector = self.values(vector), jnp.asarray(vector)
        total = jnp.array(0.0)
        for i, prior in enumerate(self.priors):
            if i in self._joint:
                total += prior.joint.log_prob(vector[jnp.asarray(self._joint[i])], values)
            elif not hasattr(prior, "joint"):
                total += prior.log_prob(vector[i], values)
        return total

    def median(self, fixed=None):
        """Physical vector at the medians of the priors; `fixed` (path -> number) are taken as they are."""
        fixed = fixed or {}
        joint = {self.paths[i] for members in self._joint.values() for i in members}
        if fixed.keys() & joint:
            # of a joint prior some are fixed: the rest stay where they are at the median
            start = dict(zip(self.paths, self.median({k: v for k, v in fixed.items() if k not in joint})))
            fixed = fixed | {path: start[path] for path in joint if path not in fixed}
            return self._vector(self._walk(lambda i, prior, values: self._middle(i, prior, values, fixed)))
        z = jnp.zeros(len(self))
        return self._vector(self._walk(lambda i, prior, values: self._middle(i, prior, values, fixed), z))

    def _middle(self, i, prior, values, fixed):
        return fixed[self.paths[i]] if self.paths[i] in fixed else prior.from_normal(0.0, values)

    def describe(self):
        """Every path with its number, prior or tie, as text: what identifies a model."""
        return tuple(told_apart(self, self._leaves | dict(zip(self.paths, self.priors))).items())
