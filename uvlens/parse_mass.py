"""Mass of a model from its section: components by name, mass that follows light, maps, borrowed profiles."""

import dataclasses
import difflib
from pathlib import Path

from .errors import InputError
from .lens import MASS_PROFILES, DeflectionMap, JAXtronomyMass, mass_following
from .lens.deflection_map import MapFiles
from .schema import Section, as_list

FOLLOWING = "MassFollowingLight"
"""`profile:` of a mass that takes its shape from the light in the same plane."""


def parse_mass(section, light=(), folder=None):
    """Mass components from the key `mass` of a lens plane, every key checked.

        - {profile: EPL, theta_E: {uniform: [0.5, 1.5]}, slope: {normal: [2, 0.1]}, axis_ratio: 0.8, position_angle: 30}
        - {profile: Multipole, order: 4, cosine: {normal: [0, 0.01]}, sine: {normal: [0, 0.01]}}
        - {profile: SubhaloNFW, log10_mass: {uniform: [7, 11]}, center_x: 0.3, center_y: 1.1}
        - {profile: MassFollowingLight, light: 0, mass_to_light: {loguniform: [0.1, 100]}}     # arcsec^2 of kappa / Jy
        - {profile: DeflectionMap, alpha_x: x.fits, alpha_y: y.fits, components: sky, scale: {uniform: [0.5, 1.5]}}
        - {profile: JAXtronomyMass, name: SIS, arguments: {theta_E: {uniform: [0, 2]}, center_x: 0, center_y: 0}}

    Args:
        section: of the plane.
        light: its light components.
        folder: that paths of maps are relative to.

    Raises:
        InputError: no mass, an unknown key or profile, a value out of range.
    """
    path = section.name("mass")
    items = as_list(section.require("mass"), path)
    if not items:
        raise InputError(f"{path}: expected at least one profile")
    return [_component(Section(item, f"{path}.{i}"), section.path, light, folder) for i, item in enumerate(items)]


def _component(section, plane, light, folder):
    from .parse import parse_component

    names = [*MASS_PROFILES, FOLLOWING]
    name = section.get("profile")
    if name == FOLLOWING:
        return _following(section, plane, light)
    if name == "DeflectionMap":
        return _deflection_map(section, folder)
    if name == "JAXtronomyMass":
        return _borrowed(section)
    if name is not None and name not in names:
        near = difflib.get_close_matches(str(name), names, 1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError(f"{section.name('profile')}: expected {' | '.join(names)}, got {name!r}{hint}")
    return parse_component(section, MASS_PROFILES)


def _following(section, plane, light):
    from .parse import parse_parameter

    section.get("profile")
    number = section.integer("light", lowest=0)
    if number >= len(light):
        raise InputError(f"{section.name('light')}: there is no {plane}.light.{number}; the plane has {len(light)}")
    ratio = parse_parameter(section.require("mass_to_light"), section.name("mass_to_light"))
    section.finish()
    try:
        return mass_following(light[number], f"{plane}.light.{number}", ratio)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _deflection_map(section, folder):
    from .parse import parse_parameter

    section.get("profile")
    place = Path(folder or ".")
    paths = [place / Path(section.text(key)).expanduser() for key in ("alpha_x", "alpha_y")]
    potential = section.get("potential")
    files = MapFiles(
        *(str(path) for path in paths),
        section.choice("components", ["sky", "pixel"]),
        section.choice("unit", ["arcsec", "pixel"], "arcsec"),
        None if potential is None else str(place / Path(section.text("potential")).expanduser()),
    )
    fields = {
        key: parse_parameter(value, section.name(key))
        for key in ("scale", "center_x", "center_y")
        if (value := section.get(key)) is not None
    }
    section.finish()
    try:
        return DeflectionMap(files, **fields)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _borrowed(section):
    from .parse import parse_parameter

    section.get("profile")
    name, inner = section.text("name"), section.section("arguments")
    arguments = {key: parse_parameter(inner.get(key), inner.name(key)) for key in inner.value}
    section.finish()
    try:
        return JAXtronomyMass(name, arguments)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def mass_section(component, number=0):
    """What `parse_mass` reads, from a component filled with numbers; `number` is its own among the maps of a model."""
    from .bestfit import component_section

    if isinstance(component, DeflectionMap):
        values = {key: float(getattr(component, key)) for key in ("scale", "center_x", "center_y")}
        files = {key: f"deflection_map.{number}.{key}.fits" for key in ("alpha_x", "alpha_y")}
        if component.images.potential is not None:
            files["potential"] = f"deflection_map.{number}.potential.fits"
        return {"profile": "DeflectionMap", **files, "components": "sky", **values}
    if isinstance(component, JAXtronomyMass):
        arguments = {key: float(value) for key, value in component.arguments.items()}
        return {"profile": "JAXtronomyMass", "name": component.name, "arguments": arguments}
    return component_section(component, MASS_PROFILES)


def with_maps(lens, origin):
    """The lens (a LensPlane or a list of them) with the maps of its files read.

    Args:
        lens: components with priors in place.
        origin: (ra, dec) of x = y = 0 [deg], or None.
    """
    if isinstance(lens, list):
        return [with_maps(plane, origin) for plane in lens]
    mass = [
        one.images.read(origin, one) if isinstance(one, DeflectionMap) and isinstance(one.images, MapFiles) else one
        for one in lens.mass
    ]
    return dataclasses.replace(lens, mass=tuple(mass))
