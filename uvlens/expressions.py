"""Arithmetic of parameters: "0.5 * lens.mass.0.theta_E" in a model file, a function with named parents in Python."""

import ast
import dataclasses
import functools
import operator
import re
from collections.abc import Callable

import jax.numpy as jnp

from .errors import InputError

_PATH = re.compile(r"(?<![\w.])[A-Za-z_]\w*(?:\.\w+)+")
_LONGEST = 1000

_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: jnp.power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_COMPARISONS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
FUNCTIONS = {
    "sqrt": jnp.sqrt,
    "exp": jnp.exp,
    "log": jnp.log,
    "log10": jnp.log10,
    "abs": jnp.abs,
    "hypot": jnp.hypot,
    "minimum": jnp.minimum,
    "maximum": jnp.maximum,
    "sin": lambda angle: jnp.sin(jnp.deg2rad(angle)),
    "cos": lambda angle: jnp.cos(jnp.deg2rad(angle)),
}
"""Functions of an expression; angles in degrees."""
_CONSTANTS = {"pi": float(jnp.pi)}


@dataclasses.dataclass(frozen=True)
class Derived:
    """A number, or a yes or no, that follows from other parameters.

    Args:
        function: of the values of the parents, in JAX.
        parents: their paths.
        text: what it is called in messages and tables.
        is_python: whether it is a Python function, of which the text says no more than the name.
    """

    function: Callable
    parents: tuple[str, ...]
    text: str
    is_python: bool = False

    def __call__(self, values):
        """Its value, given those of the parents by path."""
        return self.function(*(values[path] for path in self.parents))

    def __str__(self):
        return self.text


def function_of(function, *parents):
    """A parameter, or an argument of a prior, that is a function of others.

        uvl.SIE(theta_E=..., center_x=uvl.function_of(lambda x: x + 0.1, "source.light.0.center_x"))

    Args:
        function: of as many numbers as there are parents, in JAX.
        parents: paths of the parameters.

    Raises:
        InputError: no function, no parents.
    """
    if not callable(function) or not parents or not all(isinstance(one, str) for one in parents):
        raise InputError("function_of: expected a function and the paths of the parameters that it takes")
    name = getattr(function, "__name__", "function").strip("<>")
    return Derived(function, parents, f"{name}({', '.join(parents)})", True)


def parse_expression(text):
    """The Derived of an arithmetic expression of parameter paths and numbers.

    + - * / **, brackets, the functions of FUNCTIONS, pi. Nothing of it is ever executed as Python.

    Raises:
        InputError: anything else.
    """
    return _parsed(text, comparison=False)


def parse_constraint(text):
    """The Derived of an inequality, "a < b" or "a < b < c": a boolean.

    Raises:
        InputError: no inequality between expressions of paths and numbers.
    """
    return _parsed(text, comparison=True)


def as_derived(value):
    """A Derived as it is, a string parsed."""
    return value if isinstance(value, Derived) else parse_expression(value)


@functools.lru_cache(maxsize=1024)
def _parsed(text, comparison):
    what = 'an inequality such as "a.b < c.d"' if comparison else "arithmetic of parameter paths and numbers"
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
        raise InputError(f"expected {what}, got {str(text)[:60]!r}")
    parents = tuple(dict.fromkeys(_PATH.findall(text)))
    names = {path: f"parameter_{i}_" for i, path in enumerate(parents)}
    try:
        tree = ast.parse(_PATH.sub(lambda match: names[match[0]], text.strip()), mode="eval").body
        _check(tree, set(names.values()), comparison)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f"{text!r}: expected {what}") from None
    if comparison != isinstance(tree, ast.Compare):
        raise InputError(f"{text!r}: expected {what}")
    if comparison and not parents:
        raise InputError(f"{text!r}: names no parameter")

    def function(*values):
        return _value(tree, dict(zip(names.values(), values)))

    return Derived(function, parents, text.strip())


def _check(node, names, comparison):
    """Refuse every node that is not arithmetic."""
    if isinstance(node, ast.Compare) and comparison:
        if not all(type(one) in _COMPARISONS for one in node.ops):
            raise InputError("an inequality is made with <, <=, > or >=")
        children = [node.left, *node.comparators]
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        children = [node.operand]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id not in FUNCTIONS:
            raise InputError(f"unknown function {node.func.id!r} (known: {', '.join(FUNCTIONS)})")
        if len(node.args) != (2 if node.func.id in ("hypot", "minimum", "maximum") else 1):
            raise InputError(f"{node.func.id}: wrong number of arguments")
        children = node.args
    elif isinstance(node, ast.Name):
        if node.id not in names and node.id not in _CONSTANTS:
            raise InputError(f"{node.id!r} is neither a number nor the path of a parameter")
        children = []
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        float(node.value)
        children = []
    else:
        raise ValueError(ast.dump(node)[:40])
    for child in children:
        _check(child, names, comparison=False)


def _value(node, values):
    if isinstance(node, ast.Compare):
        terms = [_value(one, values) for one in (node.left, *node.comparators)]
        answers = [
            _COMPARISONS[type(comparison)](left, right)
            for comparison, left, right in zip(node.ops, terms[:-1], terms[1:])
        ]
        return functools.reduce(jnp.logical_and, answers)
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)](_value(node.operand, values))
    if isinstance(node, ast.Call):
        return FUNCTIONS[node.func.id](*(_value(one, values) for one in node.args))
    if isinstance(node, ast.Name):
        return values[node.id] if node.id in values else _CONSTANTS[node.id]
    return float(node.value)
