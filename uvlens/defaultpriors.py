"""Default priors: what `theta_E: free` or `priors: default` of a model file stands for (the table of docs/priors.md).

Wide enough for galaxy-scale lenses, scaled by the mask where a length has no scale of its own: R is the distance of the
mask's edge from its centre, (X, Y) that centre.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np

from .domain import Component
from .errors import InputError
from .paths import path_name
from .priors import Free, LogUniform, Normal, TruncNormal, Uniform, prior_by_name


class Field(NamedTuple):
    """Where a model looks: half the side of the mask's bounding box, and its centre [arcsec]."""

    radius: float
    center: tuple[float, float]


def field_of(mask):
    """Field of a Mask."""
    edge = 0.5 * mask.grid.pixel_scale
    middle, half = zip(*((0.5 * (axis.max() + axis.min()), 0.5 * np.ptp(axis) + edge) for axis in (mask.x, mask.y)))
    return Field(float(max(half)), (float(middle[0]), float(middle[1])))


def _length(low, high):
    """Log-uniform between these shares of R."""
    return lambda field: LogUniform(_round(low * field.radius), _round(high * field.radius))


def _near(place, share):
    """Normal about the centre, of a width that is this share of R."""
    return lambda field: Normal(field.center[place], _round(share * field.radius))


def _anywhere(place):
    """Uniform over the mask's box."""
    return lambda field: Uniform(field.center[place] - _round(field.radius), field.center[place] + _round(field.radius))


def _always(prior):
    return lambda field: prior


def _round(value):
    """Three figures: a default is nothing exact."""
    return float(f"{value:.3g}")


_SHAPE = {"e1": _always(TruncNormal(0.0, 0.2, -0.7, 0.7)), "e2": _always(TruncNormal(0.0, 0.2, -0.7, 0.7))}
MASS = {
    "theta_E": _length(0.05, 1.0),
    "b0": _length(0.05, 1.0),
    **_SHAPE,
    "center_x": _near(0, 0.1),
    "center_y": _near(1, 0.1),
    "slope": _always(TruncNormal(2.0, 0.2, 1.2, 2.8)),
    "slope_inner": _always(TruncNormal(1.0, 0.3, 0.0, 2.0)),
    "core_radius": lambda field: prior_by_name("halfnormal", _round(0.05 * field.radius)),
    "truncation_radius": _length(0.5, 50.0),
    "R_s": _length(0.5, 30.0),
    "alpha_R_s": _length(0.05, 5.0),
    "kappa_s": _always(LogUniform(1e-3, 10.0)),
    "gamma1": _always(Normal(0.0, 0.05)),
    "gamma2": _always(Normal(0.0, 0.05)),
    "kappa": _always(Normal(0.0, 0.05)),
    "cosine": lambda field: Normal(0.0, _round(0.01 * field.radius)),
    "sine": lambda field: Normal(0.0, _round(0.01 * field.radius)),
    "log10_mass": _always(Uniform(6.0, 11.0)),
    "log10_concentration_offset": _always(Normal(0.0, 0.15)),
    "R_sersic": _length(0.02, 1.0),
    "n_sersic": _always(LogUniform(0.5, 8.0)),
}
"""Of mass components, by field: Field -> Prior."""

LENS_LIGHT = {
    **_SHAPE,
    "center_x": _near(0, 0.1),
    "center_y": _near(1, 0.1),
    "R_sersic": _length(0.02, 1.0),
    "n_sersic": _always(LogUniform(0.5, 8.0)),
    "sigma": _length(0.01, 0.5),
    "radius": _length(0.01, 0.5),
    "inner_radius": _length(0.01, 0.5),
    "width": _length(0.01, 0.5),
    "scale_radius": _length(0.01, 0.5),
    "exponent": _always(Uniform(1.5, 6.0)),
    "beta": _length(0.01, 0.3),
    "break_radius": _length(0.005, 0.2),
    "slope_inner": _always(Uniform(0.0, 1.0)),
    "sharpness": _always(Uniform(1.0, 10.0)),
}
"""Of light in front of the lens."""

SOURCE_LIGHT = LENS_LIGHT | {
    "center_x": _near(0, 0.2),
    "center_y": _near(1, 0.2),
    "R_sersic": _length(0.005, 0.3),
    "sigma": _length(0.005, 0.3),
    "radius": _length(0.005, 0.3),
    "inner_radius": _length(0.005, 0.3),
    "width": _length(0.005, 0.3),
    "scale_radius": _length(0.005, 0.3),
    "beta": _length(0.005, 0.2),
}
"""Of light behind it."""

OTHERS = {
    "strength": _always(LogUniform(1e-6, 1e6)),
    "scale": _length(0.01, 0.5),
    "inner": _always(LogUniform(1e-4, 1e4)),
    "outer": _always(LogUniform(1e-4, 1e4)),
    "signal_scale": _always(Uniform(0.0, 2.0)),
    "spectral_index": _always(Uniform(-2.0, 5.0)),
    "deflection_scale": _always(Uniform(0.1, 2.0)),
    "H0": _always(Uniform(50.0, 100.0)),
    "Om0": _always(Uniform(0.05, 0.6)),
}
"""Of regularisation, sources and cosmology."""

_BY_CLASS = {"SubhaloNFW": {"center_x": _anywhere(0), "center_y": _anywhere(1)}}
_FIXED_UNLESS_ASKED = {
    "Shear": ("center_x", "center_y"),
    "ConvergenceSheet": ("center_x", "center_y"),
    "SubhaloNFW": ("log10_concentration_offset",),
    "Multipole": ("theta_E",),
    "EllipticalMultipole": ("theta_E",),
}
"""Parameters that `priors: default` leaves at their class's value."""
_TWO_NORMALISATIONS = ("kappa_s",)


def fields_with_default(kind):
    """Names of the parameters of a component's class that `priors: default` makes free."""
    names = [field.name for field in dataclasses.fields(kind)]
    table = MASS if hasattr(kind, "profile") else LENS_LIGHT
    fixed = _FIXED_UNLESS_ASKED.get(kind.__name__, ())
    fixed += _TWO_NORMALISATIONS if "alpha_R_s" in names else ()
    return [name for name in names if name in table and name not in fixed]


def with_default_priors(tree, field):
    """(tree with priors in the place of FREE, paths of these).

    Args:
        tree: {"lens": ..., "source": ..., "cosmology": ...}.
        field: Field, or a function that gives it, called where a default prior is asked for.

    Raises:
        InputError: a parameter that has no default prior.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda one: isinstance(one, Component))
    if not any(isinstance(one, Free) for one in jax.tree_util.tree_leaves(tree)):
        return tree, ()
    found, filled = [], []
    for key, leaf in leaves:
        path = path_name(key)
        if isinstance(leaf, Free):
            found.append(path)
            leaf = _prior(OTHERS, "", path, _settled(field))
        elif isinstance(leaf, Component):
            for own in dataclasses.fields(leaf):
                value = getattr(leaf, own.name)
                if isinstance(value, Free):
                    found.append(f"{path}.{own.name}")
                    prior = _prior(_table(path), type(leaf).__name__, found[-1], _settled(field))
                    leaf = eqx.tree_at(lambda one, name=own.name: getattr(one, name), leaf, prior)
        filled.append(leaf)
    return jax.tree_util.tree_unflatten(structure, filled), tuple(found)


def _settled(field):
    return field() if callable(field) else field


def _table(path):
    if ".mass." in path:
        return MASS
    return SOURCE_LIGHT if path.startswith("source") else LENS_LIGHT if ".light." in path else OTHERS


def _prior(table, kind, path, field):
    name = path.split(".")[-1]
    make = _BY_CLASS.get(kind, {}).get(name) or table.get(name) or OTHERS.get(name)
    if make is None:
        why = "it depends on the unit of the data: state a prior, or flux: linear" if name == "flux" else "state one"
        raise InputError(f"{path}: has no default prior; {why}")
    return make(field)
