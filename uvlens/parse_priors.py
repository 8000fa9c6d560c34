"""Parameters of a model file: numbers, priors by name, ties, arithmetic, joint priors, constraints."""

import dataclasses
import difflib

from .defaultpriors import fields_with_default
from .errors import InputError
from .expressions import parse_constraint, parse_expression
from .families import FAMILIES
from .jointpriors import EllipticityPrior, MultivariateNormal, PositionPrior, ShearPrior
from .priors import FREE, Mixture, SameAs, is_free, known_name, prior_by_name
from .schema import Section, as_list, as_number

PAIRS = {
    "ellipticity": (("e1", "e2"), ("axis_ratio", "position_angle")),
    "shear": (("gamma1", "gamma2"), ("strength", "position_angle")),
    "position": (("center_x", "center_y"), ()),
}
"""Keys of a component that state two parameters together: those parameters, and the others that stand for them."""


def parse_parameter(value, path):
    """A number, a prior or a tie.

        1.2                                                   fixed
        free                                                  its default prior
        {uniform: [0.5, 1.5]}, {gamma: {concentration: 2, rate: 0.5}}
        {normal: ["0.5 * lens.mass.0.theta_E", 0.05]}         arguments may be arithmetic of other parameters
        {mixture: {weights: [1, 3], priors: [{normal: [0, 1]}, {normal: [0, 0.1]}]}}
        {same_as: lens.mass.0.center_x}, {equals: "lens.mass.0.center_x + 0.1"}

    Raises:
        InputError: naming `path`.
    """
    if value == "free":
        return FREE
    if not isinstance(value, dict):
        return as_number(value, path)
    if len(value) != 1:
        raise InputError(
            f"{path}: a prior is one name and its arguments, got {', '.join(map(str, value)) or 'nothing'}"
        )
    kind, arguments = next(iter(value.items()))
    try:
        if kind == "same_as":
            return SameAs(str(arguments))
        if kind == "equals":
            return parse_expression(arguments)
        if kind == "mixture":
            return _mixture(arguments, f"{path}.mixture")
        return _by_name(kind, arguments)
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{path}.") else f"{path}: {text}") from None


def _by_name(kind, arguments):
    if known_name(kind) is None:
        known = [*FAMILIES, "mixture", "same_as", "equals"]
        near = difflib.get_close_matches(str(kind), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"unknown prior {kind!r} ({hint})")
    if isinstance(arguments, dict):
        return prior_by_name(kind, **{str(key): _argument(one) for key, one in arguments.items()})
    arguments = arguments if isinstance(arguments, list) else [arguments]
    return prior_by_name(kind, *(_argument(one) for one in arguments))


def _argument(value):
    """A number, or arithmetic of parameters as it is written; YAML 1.1 reads 1e-6 as text."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return parse_expression(value).text
    return value


def _mixture(value, path):
    section = Section(value, path)
    weights = [as_number(one, f"{path}.weights.{i}") for i, one in enumerate(as_list(section.require("weights"), path))]
    items = as_list(section.require("priors"), f"{path}.priors")
    priors = [parse_parameter(one, f"{path}.priors.{i}") for i, one in enumerate(items)]
    section.finish()
    if not all(is_free(one) and one != FREE for one in priors):
        raise InputError(f"{path}.priors: expected priors")
    return Mixture(weights, priors)


def parse_pairs(section, kind):
    """Parameters of a component that its section states two at a time.

    ellipticity: {axis_ratio: {uniform: [0.3, 1]}, position_angle: any}          # -> e1, e2
    shear: {strength: {halfnormal: 0.05}, position_angle: {normal: [30, 10]}}     # -> gamma1, gamma2
    position: {radius: {uniform: [0, 1]}, position_angle: any, center: [0, 0]}    # -> center_x, center_y

    Args:
        section: of the component.
        kind: its class.

    Raises:
        InputError: a key that the profile has no parameters for, a parameter that is stated twice.
    """
    names, found = [field.name for field in dataclasses.fields(kind)], {}
    for key, (fields, others) in PAIRS.items():
        if not set(fields) <= set(names) or section.get(key) is None:
            continue
        for other in (*fields, *others):
            if section.value.get(other) is not None:
                raise InputError(f"{section.name(other)}: {key} states it already; leave out one of the two")
        found |= dict(zip(fields, _pair(key, section.section(key))))
    return found


def _pair(key, section):
    size = {"ellipticity": "axis_ratio", "shear": "strength", "position": "radius"}[key]
    stated = parse_parameter(section.require(size), section.name(size))
    angle = section.get("position_angle", "any")
    angle = None if angle == "any" else parse_parameter(angle, section.name("position_angle"))
    extra = (section.numbers("center", 2, [0.0, 0.0]),) if key == "position" else ()
    section.finish()
    make = {"ellipticity": EllipticityPrior, "shear": ShearPrior, "position": PositionPrior}[key]
    if stated == FREE or angle == FREE:
        raise InputError(f"{section.path}: state the priors of {size} and position_angle")
    try:
        return make(stated, angle, *extra)
    except InputError as error:
        raise InputError(f"{section.path}: {str(error).partition(': ')[2]}") from None


def asked_defaults(section, kind):
    """FREE for the parameters that `priors: default` of a component leaves to `defaultpriors`."""
    if section.get("priors") is None:
        return {}
    section.choice("priors", ["default"])
    paired = [one for key, (fields, _) in PAIRS.items() if section.value.get(key) is not None for one in fields]
    given = {*(key for key, one in section.value.items() if one is not None), *paired}
    return {name: FREE for name in fields_with_default(kind) if not _is_stated(name, given)}


def _is_stated(name, given):
    """Whether a section states a parameter, by itself or by what takes its place."""
    instead = {
        "e1": {"axis_ratio", "position_angle"},
        "e2": {"axis_ratio", "position_angle"},
        "gamma1": {"strength", "position_angle"},
        "gamma2": {"strength", "position_angle"},
        "alpha_R_s": {"kappa_s"},
        "cosine": {"amplitude", "angle"},
        "sine": {"amplitude", "angle"},
    }
    return bool(({name} | instead.get(name, set())) & given)


def parse_constraints(value):
    """Tuple of Derived, inequalities between parameters, from `constraints:` of a model file.

    constraints: ["source.light.0.R_sersic < source.light.1.R_sersic", "lens.mass.0.e1**2 + lens.mass.0.e2**2 < 0.25"]
    """
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError("constraints: expected a list of inequalities")
    found = []
    for i, one in enumerate(value):
        try:
            found.append(parse_constraint(one))
        except InputError as error:
            raise InputError(f"constraints.{i}: {error}") from None
    return tuple(found)


def parse_joint_priors(value):
    """[(paths, members)] from `joint_priors:` of a model file: normals of several parameters.

    joint_priors:
      - {parameters: [lens.mass.0.theta_E, lens.mass.0.e1], mean: [1.0, 0.1], covariance: [[1e-4, 0], [0, 1e-4]]}
    """
    found = []
    for i, one in enumerate(as_list(value, "joint_priors") if value is not None else []):
        section = Section(one, f"joint_priors.{i}")
        paths = [str(path) for path in as_list(section.require("parameters"), section.name("parameters"))]
        mean = section.numbers("mean", len(paths))
        rows = as_list(section.require("covariance"), section.name("covariance"))
        if len(rows) != len(paths):
            raise InputError(f"{section.name('covariance')}: expected {len(paths)} rows, got {len(rows)}")
        covariance = [
            Section({j: row}, section.name("covariance")).numbers(j, len(paths)) for j, row in enumerate(rows)
        ]
        section.finish()
        if len(set(paths)) != len(paths):
            raise InputError(f"{section.name('parameters')}: a parameter stands twice")
        try:
            found.append((paths, MultivariateNormal(mean, covariance)))
        except InputError as error:
            raise InputError(f"{section.path}: {error}") from None
    return found
