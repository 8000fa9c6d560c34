"""Components as plain numbers and back: where every converter begins and ends.

Other codes write x to the West or an image upside down. A component is brought there by reflecting the sky, x -> sx x,
y -> sy y with signs sx, sy, so that

    center_x, F1, G1 -> sx times,   center_y, F2, G2 -> sy times,   e2, gamma2 -> sx sy times

e1, gamma1 stay, and an angle phi from +x becomes 180 deg - phi (sx = -1) or -phi (sy = -1).
"""

import dataclasses
import math

import numpy as np

from .. import lens as lens_package
from .. import light as light_package
from ..conventions import ellipticity_from_axis_ratio, shear_from_polar
from ..errors import InputError
from ..lens.lens import Lens
from ..lens.plane import LensPlane
from ..light.amplitudes import Linear

ALPHA_AT_R_S = 4.0 * (1.0 - math.log(2.0))
"""Deflection of an NFW halo at its scale radius in units of kappa_s R_s."""

_SIGNS = {
    "F1": lambda sx, sy: sx,
    "F2": lambda sx, sy: sy,
    "G1": lambda sx, sy: sx,
    "G2": lambda sx, sy: sy,
    "center_x": lambda sx, sy: sx,
    "center_y": lambda sx, sy: sy,
    "e2": lambda sx, sy: sx * sy,
    "gamma2": lambda sx, sy: sx * sy,
}


def fields_of(component, flux=None):
    """(name, fields) of a component: every field that is not None as a number, ellipticity as e1, e2, shear as gamma1,
    gamma2, multipoles by amplitude and angle, subhaloes as a TruncatedNFW, whatever they were stated as.

    Args:
        component: mass or light with numbers for parameters.
        flux: takes the place of a flux that is linear.

    Raises:
        InputError: a prior, or a linear flux whose value is not given.
    """
    name = type(component).__name__
    if name == "SubhaloNFW":
        return _subhalo(component)
    values = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}
    stated = "axis_ratio" in values or ("e1" in values and "e2" in values)
    q, angle = values.pop("axis_ratio", None), values.pop("position_angle", None)
    strength = values.pop("strength", None)
    if q is not None:
        values["e1"], values["e2"] = ellipticity_from_axis_ratio(_number(name, "axis_ratio", q), float(angle))
    elif stated:
        values |= {key: 0.0 for key in ("e1", "e2") if values.get(key) is None}
    if strength is not None:
        values["gamma1"], values["gamma2"] = shear_from_polar(_number(name, "strength", strength), float(angle))
    elif "gamma1" in values:
        values |= {key: 0.0 for key in ("gamma1", "gamma2") if values[key] is None}
    if values.get("cosine") is not None:
        values |= _wave(name, values)
    values = {key: value for key, value in values.items() if key not in ("cosine", "sine")}
    if isinstance(values.get("flux"), Linear):
        if flux is None:
            raise InputError(f"{name}: its flux is linear: give the solved one by amplitudes=")
        values["flux"] = flux
    return name, {key: _number(name, key, value) for key, value in values.items() if value is not None}


def make(name, fields):
    """The component `name` from numbers.

    Raises:
        InputError: this version has no such component.
    """
    kind = getattr(lens_package, name, None) or getattr(light_package, name, None)
    kind = kind or lens_package.MASS_PROFILES.get(name) or light_package.LINEAR_PROFILES.get(name)
    if kind is None:
        raise InputError(f"this version of uvlens has no component {name}")
    return kind(**fields)


def reflect(fields, sx=1, sy=1):
    """Fields on the sky (sx x, sy y), signs sx and sy."""
    reflected = {key: _SIGNS[key](sx, sy) * value if key in _SIGNS else value for key, value in fields.items()}
    if "angle" in fields:
        angle = 180.0 - fields["angle"] if sx < 0 else fields["angle"]
        reflected["angle"] = -angle if sy < 0 else angle
    return reflected


def masses_of(lens):
    """The mass components of a LensPlane, a Lens of one plane, or a list of them.

    Raises:
        InputError: several planes; something that is no mass.
    """
    if isinstance(lens, Lens):
        if len(lens.planes) > 1:
            raise InputError(f"the lens has {len(lens.planes)} planes: this format has one")
        check_reference(lens)
    components = lens.mass if isinstance(lens, Lens | LensPlane) else _as_list(lens)
    for component in components:
        if not isinstance(component, lens_package.AbstractMass):
            raise InputError(f"expected mass components, got a {type(component).__name__}")
    return tuple(components)


def check_reference(lens):
    """Refuse deflections that are scaled by hand: no other format says so."""
    if len(lens.planes) == 1 and not (isinstance(lens.to_source[0], float) and lens.to_source[0] == 1.0):
        raise InputError(
            "the deflections of this Lens are stated for another source, or scaled (deflection_scale), which this "
            "format cannot say; take the Lens of the reference source"
        )


def lights_of(light):
    """Light components from one or a list.

    Raises:
        InputError: something that is no light.
    """
    components = _as_list(light)
    for component in components:
        if not isinstance(component, light_package.AbstractLight):
            raise InputError(f"expected light components, got a {type(component).__name__}")
    return tuple(components)


def with_amplitudes(components, amplitudes):
    """(component, its share of the amplitudes or None) for each; those of linear flux take theirs in order.

    Args:
        components: light.
        amplitudes: of all columns of linear flux, in the order of the components, or None.

    Raises:
        InputError: too many amplitudes, or too few.
    """
    linear = [isinstance(component.flux, Linear) for component in components]
    if amplitudes is None:
        return [(component, None) for component in components]
    values = np.atleast_1d(np.asarray(amplitudes, dtype=float))
    wanted = sum(component.n_columns for component, is_linear in zip(components, linear) if is_linear)
    if values.shape != (wanted,):
        raise InputError(f"amplitudes must have shape ({wanted},), one for each linear column, got {values.shape}")
    shares, first = [], 0
    for component, is_linear in zip(components, linear):
        n = component.n_columns if is_linear else 0
        shares.append((component, values[first : first + n] if is_linear else None))
        first += n
    return shares


def is_round(fields):
    """Whether the ellipticity vanishes, or there is none."""
    return fields.get("e1", 0.0) == 0.0 and fields.get("e2", 0.0) == 0.0


def refuse(name, code, reason=""):
    """The error of a profile that a format has no counterpart for."""
    return InputError(f"{name} has no counterpart in {code}{': ' if reason else ''}{reason}")


def _wave(name, values):
    """Amplitude and angle [deg] of a multipole that is stated by cosine and sine."""
    cosine, sine = (_number(name, key, values[key]) for key in ("cosine", "sine"))
    return {"amplitude": math.hypot(cosine, sine), "angle": math.degrees(math.atan2(sine, cosine)) / values["order"]}


def _subhalo(component):
    """A halo by its mass is a TruncatedNFW by its lengths."""
    names = ("R_s", "kappa_s", "truncation_radius", "center_x", "center_y")
    values = zip(names, component.parameters(), strict=True)
    return "TruncatedNFW", {key: _number("SubhaloNFW", key, value) for key, value in values}


def _as_list(value):
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _number(name, field, value):
    if isinstance(value, str | tuple | dict):
        return value
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        message = f"{name}: {field} is {value}, not a number: settle the model first"
        raise InputError(message) from None
    return float(array) if array.ndim == 0 else array
