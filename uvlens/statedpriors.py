"""Priors and ties as a model file has them: the way back from the objects that `parse_priors` makes."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist

from .errors import InputError
from .expressions import Derived, parse_expression
from .families import FAMILIES
from .jointpriors import NormalPrior
from .parse_priors import PAIRS
from .paths import path_name
from .priors import SameAs, is_free, is_tied
from .schema import Section


def put_priors(content, model, put):
    """Priors, ties, joint priors and constraints of a Model in the content of its model file.

    Args:
        content: with numbers in all places; changed.
        model: Model.
        put: (content, path, value) -> None.

    Returns:
        {path: description} of numpyro distributions that a model file has no word for.

    Raises:
        InputError: what cannot be written: Python functions, mixtures, numpyro distributions that are made of others.
    """
    parameters, others, joint = model.parameters, {}, {}
    for path in parameters.all_paths:
        leaf = parameters.stated(path)
        if isinstance(leaf, SameAs | Derived):
            put(content, path, {"same_as": leaf.path} if isinstance(leaf, SameAs) else {"equals": _text(leaf, path)})
        elif path in parameters.paths:
            prior = parameters.priors[parameters.paths.index(path)]
            if hasattr(prior, "joint"):
                joint.setdefault(id(prior.joint), []).append((prior.number, path, prior.joint))
            elif prior.name in FAMILIES:
                put(content, path, prior_section(prior, path))
            else:
                others[path] = _distribution(prior, path)
    for members in joint.values():
        _put_joint(content, sorted(members, key=lambda one: one[0]), put)
    if model.constraints:
        content["constraints"] = [_text(one, "constraint", True) for one in model.constraints]
    return others


def prior_section(prior, path):
    """{name: arguments} of a Prior by name."""
    return {prior.name: [_text(one, path) if isinstance(one, str | Derived) else float(one) for one in prior.arguments]}


def _put_joint(content, members, put):
    """A joint prior under `joint_priors`, or as the pair of its component."""
    paths, joint = [path for _, path, _ in members], members[0][2]
    if isinstance(joint, NormalPrior):
        stated = {"parameters": paths, "mean": [float(one) for one in joint.mean]}
        stated["covariance"] = [[float(one) for one in row] for row in joint.covariance]
        content.setdefault("joint_priors", []).append(stated)
        return
    plane = joint.plane
    component = paths[0].rpartition(".")[0]
    section = {plane.size: prior_section(joint.size, component)}
    section["position_angle"] = "any" if joint.angle is None else prior_section(joint.angle, component)
    if plane.name == "position":
        section["center"] = [float(one) for one in joint.center]
    fields, others = PAIRS[plane.name]
    put(content, f"{component}.{plane.name}", section)
    for name in (*fields, *others):
        put(content, f"{component}.{name}", None)


def _text(value, path, comparison=False):
    """The text of arithmetic; a Python function has none that could be read back."""
    text = value if isinstance(value, str) else value.text
    try:
        if getattr(value, "is_python", False):
            raise InputError(text)
        if not comparison:
            parse_expression(text)
        elif not any(sign in text for sign in "<>"):
            raise InputError(text)
    except InputError:
        raise InputError(f"{path}: a Python function ({text}) cannot be written to a file") from None
    return text


def with_distributions(tree, stated):
    """The tree with numpyro distributions at their paths.

    Args:
        tree: components.
        stated: {path: {"distribution": class of numpyro, "arguments": {name: number}}}, as `put_priors` gives it.

    Raises:
        InputError: what numpyro does not have or does not take.
    """

    left = dict(stated)

    def of(key, leaf):
        said = left.pop(path_name(key), None)
        return leaf if said is None else _rebuilt(said, path_name(key))

    tree = jax.tree_util.tree_map_with_path(of, tree, is_leaf=lambda leaf: is_free(leaf) or is_tied(leaf))
    if left:
        raise InputError(f"numpyro_priors: {next(iter(left))!r} is not a parameter of the model that has a value")
    return tree


def _distribution(prior, path):
    """{distribution, arguments} of a numpyro distribution, if that is all there is to it."""
    distribution = prior.distribution({})
    refused = InputError(f"{path}: the prior {prior} cannot be written to a file")
    names = [key for key in getattr(distribution, "arg_constraints", {}) if hasattr(distribution, key)]
    if not names:
        raise refused
    try:
        said = {
            "distribution": type(distribution).__name__,
            "arguments": {key: float(getattr(distribution, key)) for key in names},
        }
        x = prior.from_normal(jnp.linspace(-3.0, 3.0, 7), {})
        again = _rebuilt(said, path).log_prob(x)
        same = np.allclose(again, distribution.log_prob(x), rtol=1e-9, atol=1e-9)
    except (InputError, TypeError, ValueError):
        raise refused from None
    if not same:
        raise refused
    return said


def _rebuilt(said, path):
    said = Section(said, f"numpyro_priors.{path}")
    name, arguments = said.text("distribution"), said.section("arguments", {}).value
    kind = getattr(dist, name, None)
    if not (isinstance(kind, type) and issubclass(kind, dist.Distribution)):
        raise InputError(f"{said.name('distribution')}: numpyro has no distribution {name!r}")
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        raise InputError(f"numpyro_priors.{path}: {name} cannot be made of these arguments: {error}") from None
