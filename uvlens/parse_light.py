"""Light of a model from its section: components whose fluxes are amplitudes, numbers or priors."""

import dataclasses

from .errors import InputError
from .light import LINEAR_PROFILES, Linear
from .light.amplitudes import AMPLITUDES
from .schema import Section, as_list, as_number

_WHOLE_NUMBERS = {"n_gaussians": 1, "n_max": 0}
"""Fields that are whole numbers, with the smallest."""
_OF_LINEAR = ("amplitude", "amplitude_sigma", "positive")


def parse_light(items, path):
    """Tuple of light components from the list of a `light:` section, every key checked.

        - {profile: MGE, n_gaussians: 10, sigma_min: 0.02, sigma_max: 2.0, e1: {normal: [0, 0.2]}}
        - {profile: Sersic, R_sersic: {uniform: [0.1, 2]}, n_sersic: {uniform: [0.5, 6]}, flux: linear}
        - {profile: Exponential, flux: {loguniform: [0.001, 0.1]}, R_sersic: 0.2, axis_ratio: 0.6, position_angle: 30}
        - {profile: PointSource, center_x: 0.1, amplitude: marginalised, amplitude_sigma: 0.01}
        - {profile: Background, positive: false}

    `flux` is a number, a prior, or linear (understood where it is left out), which alone takes amplitude,
    amplitude_sigma and positive.

    Args:
        items: the list (or a single mapping).
        path: its dotted name, "lens.light".

    Raises:
        InputError: an unknown key or profile, a value out of range.
    """
    items = as_list(items, path)
    return tuple(_component(Section(item, f"{path}.{i}")) for i, item in enumerate(items))


def _component(section):
    from .parse_priors import asked_defaults, parse_pairs, parse_parameter

    kind = LINEAR_PROFILES[section.choice("profile", list(LINEAR_PROFILES))]
    given = parse_pairs(section, kind) | asked_defaults(section, kind)
    values = {"flux": _flux(section), **given}
    fields = [field for field in dataclasses.fields(kind) if field.name != "flux"]
    for field in fields:
        name = field.name
        if name in _WHOLE_NUMBERS:
            values[name] = section.integer(name, lowest=_WHOLE_NUMBERS[name])
            continue
        required = field.default is dataclasses.MISSING and name not in given
        value = section.require(name) if required else section.get(name)
        if value is not None:
            values[name] = parse_parameter(value, section.name(name))
    if not {"axis_ratio", "position_angle"} & set(values):
        names = [field.name for field in fields]
        values |= {key: 0.0 for key in ("e1", "e2") if key in names and key not in values}
    section.finish()
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _flux(section):
    """A number, a prior, or a Linear from the keys flux, amplitude, amplitude_sigma and positive."""
    from .parse import parse_parameter

    flux = section.get("flux", "linear")
    given = [key for key in _OF_LINEAR if section.get(key) is not None]
    if flux != "linear":
        if given:
            raise InputError(f"{section.name(given[0])}: belongs to flux: linear, and the flux is {flux!r}")
        return parse_parameter(flux, section.name("flux"))
    amplitude = section.choice("amplitude", list(AMPLITUDES), "optimised")
    sigma, positive = section.get("amplitude_sigma"), section.get("positive")
    if sigma is not None:
        sigma = as_number(sigma, section.name("amplitude_sigma"), positive=True)
    if positive is not None:
        positive = section.boolean("positive", None)
    try:
        return Linear(amplitude, sigma, positive)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None
