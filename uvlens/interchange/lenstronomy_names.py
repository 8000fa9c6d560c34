"""Profiles of lenstronomy that differ from ours in the names of their parameters alone, and its aliases."""

import math

from ..errors import InputError
from .components import refuse

CODE = "lenstronomy"
CENTER = {"center_x": "center_x", "center_y": "center_y"}
ORIGIN = {"center_x": "ra_0", "center_y": "dec_0"}
SHAPE = {"e1": "e1", "e2": "e2", **CENTER}

_SAME_AS = {
    **{"EPL_NUMBA": "EPL", "PEMD": "EPL", "SPP": "EPL", "EPL_Q_PHI": "EPL", "SHEAR_GAMMA_PSI": "SHEAR"},
    "SERSIC_ELLIPSE_Q_PHI": "SERSIC_ELLIPSE",
}
"""Names whose parameters are those of another once `cartesian` has seen them."""


def renamed(name, fields, table):
    """(theirs, parameters) by a table {ours: (theirs, {our field: their parameter})}.

    Raises:
        InputError: no such entry, a field that it lacks.
    """
    if name not in table:
        raise refuse(name, CODE)
    theirs, names = table[name]
    unknown = set(fields) - set(names)
    if unknown:
        raise refuse(f"{name} with {', '.join(sorted(unknown))}", CODE)
    return theirs, {names[key]: value for key, value in fields.items()}


def named(theirs, parameters, table):
    """(ours, fields) by the same table."""
    for ours, (known, names) in table.items():
        if known == theirs:
            back = {b: a for a, b in names.items()}
            unknown = [key for key in parameters if key not in back]
            if unknown:
                raise InputError(f"{theirs} of {CODE}: unknown parameter {unknown[0]!r}, known: {', '.join(back)}")
            return ours, {back[key]: float(value) for key, value in parameters.items()}
    raise refuse(f"{CODE}'s {theirs}", "uvlens")


def cartesian(name, parameters):
    """A profile stated by axis ratio and angle, or strength and angle [rad], by components."""
    parameters = dict(parameters)
    if name in ("EPL_Q_PHI", "SERSIC_ELLIPSE_Q_PHI"):
        q, phi = parameters.pop("q"), parameters.pop("phi")
        modulus = (1.0 - q) / (1.0 + q)
        parameters |= {"e1": modulus * math.cos(2.0 * phi), "e2": modulus * math.sin(2.0 * phi)}
    elif name == "SHEAR_GAMMA_PSI":
        strength, psi = parameters.pop("gamma_ext"), parameters.pop("psi_ext")
        parameters |= {"gamma1": strength * math.cos(2.0 * psi), "gamma2": strength * math.sin(2.0 * psi)}
    return _SAME_AS.get(name, name), parameters
