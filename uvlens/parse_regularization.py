"""`regularization:` of a model file to a component, and back."""

from .errors import InputError
from .source.regularization import REGULARIZATIONS

NUMBERS = {
    "adaptive": ("inner", "outer", "signal_scale"),
    "gaussian": ("scale",),
    "exponential": ("scale",),
    "matern": ("scale",),
}
"""Settings of each type, besides `strength`, that are numbers or priors."""

SETTINGS = {"gaussian": ("nugget",), "exponential": ("nugget",), "matern": ("nugget", "nu")}
"""Settings that belong to the definition of a prior: numbers only."""


def parse_regularization(section):
    """A regularisation from its Section, every key checked.

        {type: gradient, strength: auto | evidence | number | prior}
        {type: adaptive, strength:, inner:, outer:, signal_scale:}
        {type: gaussian | exponential | matern, strength:, scale: [arcsec], nugget:, nu: 0.5 | 1.5 | 2.5}

    Raises:
        InputError: an unknown type or key, a number out of range, a covariance without a scale.
    """
    from .parse import parse_parameter

    name = section.choice("type", list(REGULARIZATIONS), "gradient")
    values = {"strength": section.get("strength", "auto")}
    if values["strength"] not in ("auto", "evidence"):
        values["strength"] = parse_parameter(values["strength"], section.name("strength"))
        if isinstance(values["strength"], float) and values["strength"] <= 0.0:
            raise InputError(f"{section.name('strength')}: expected a positive number, got {values['strength']}")
    for key in NUMBERS.get(name, ()):
        value = section.require(key) if key == "scale" else section.get(key)
        if value is not None:
            values[key] = parse_parameter(value, section.name(key))
    for key in SETTINGS.get(name, ()):
        if section.get(key) is not None:
            values[key] = section.number(key)
    section.finish()
    try:
        return REGULARIZATIONS[name](**values)
    except InputError as error:
        raise InputError(f"{section.path}: {str(error).partition(': ')[2]}") from None


def regularization_section(regularization, strength=None):
    """The section, as a dictionary, of a regularisation whose fields are numbers.

    Args:
        regularization: the component.
        strength: takes the place of its own ("evidence", or the number that was found).
    """
    name = next(name for name, kind in REGULARIZATIONS.items() if type(regularization) is kind)
    strength = regularization.strength if strength is None else strength
    keys = (*NUMBERS.get(name, ()), *SETTINGS.get(name, ()))
    numbers = {key: float(getattr(regularization, key)) for key in keys}
    return {"type": name, "strength": strength if isinstance(strength, str) else float(strength), **numbers}
