"""Light of a model from its section: components whose fluxes are amplitudes of the linear system."""

import dataclasses

from .errors import InputError
from .light import LINEAR_PROFILES, Linear
from .light.amplitudes import AMPLITUDES
from .schema import Section, as_list, as_number


def parse_light(items, path):
    """Tuple of light components from the list of a `light:` section, every key checked.

        - {profile: MGE, n_gaussians: 10, sigma_min: 0.02, sigma_max: 2.0, e1: {normal: [0, 0.2]}}
        - {profile: Sersic, R_sersic: {uniform: [0.1, 2]}, n_sersic: 4, flux: linear}
        - {profile: PointSource, center_x: 0.1, amplitude: marginalised, amplitude_sigma: 0.01}
        - {profile: Background, positive: false}

    Args:
        items: the list (or a single mapping).
        path: its dotted name, "lens.light".

    Raises:
        InputError: an unknown key or profile, a flux that is not linear, a value out of range.
    """
    items = as_list(items, path)
    return tuple(_component(Section(item, f"{path}.{i}")) for i, item in enumerate(items))


def _component(section):
    from .parse import parse_parameter

    kind = LINEAR_PROFILES[section.choice("profile", list(LINEAR_PROFILES))]
    values = {"flux": _flux(section)}
    for field in dataclasses.fields(kind):
        name = section.name(field.name)
        if field.name == "flux":
            continue
        if field.name == "n_gaussians":
            values[field.name] = section.integer(field.name)
            continue
        required = field.default is dataclasses.MISSING
        value = section.require(field.name) if required else section.get(field.name)
        if value is None:
            continue
        if field.name == "n_sersic":
            values[field.name] = as_number(value, name, positive=True)
        else:
            values[field.name] = parse_parameter(value, name)
    section.finish()
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _flux(section):
    """A Linear from the keys flux, amplitude, amplitude_sigma and positive."""
    flux = section.get("flux", "linear")
    if flux != "linear":
        raise InputError(f"{section.name('flux')}: fluxes of a model are solved for; write linear, got {flux!r}")
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
