"""Numbers that must be positive, checked where a user's arguments come in."""

import numpy as np

from ..errors import InputError


def positive(name, value):
    """`value` as float64, a number or an array, every element finite and above 0; InputError otherwise."""
    try:
        number = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        number = np.array(np.nan)
    if not (np.isfinite(number).all() and (number > 0.0).all()):
        raise InputError(f"{name} must be positive and finite, got {value!r}")
    return number[()]


def positive_number(name, value):
    """As `positive`, one number."""
    if np.ndim(value) != 0:
        raise InputError(f"{name} must be one number, got shape {np.shape(value)}")
    return float(positive(name, value))


def positive_integer(name, value):
    """`value` as int, a whole number of at least 1; InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name} must be a positive whole number, got {value!r}")
    return int(value)
