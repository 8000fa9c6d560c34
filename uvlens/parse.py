"""From the sections of a model file to components: profiles, priors, meshes, every key checked."""

import dataclasses
import difflib
from pathlib import Path

from .adapt import AdaptFile
from .errors import InputError
from .lens import MASS_PROFILES, LensPlane
from .parse_light import parse_light
from .parse_mesh import parse_mesh
from .parse_regularization import parse_regularization
from .priors import PRIORS, SameAs
from .schema import Section, as_list, as_number


def parse_lens(value, path):
    """A LensPlane from its section; profiles and their parameters are checked."""
    if isinstance(value, list):
        if len(value) != 1:
            raise InputError(f"{path}: one lens plane is available in this version, got {len(value)}")
        value = value[0]
    section = Section(value, path)
    redshift = section.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, section.name("redshift"), positive=True)
    items = as_list(section.require("mass"), section.name("mass"))
    mass = [
        parse_component(Section(item, f"{section.name('mass')}.{i}"), MASS_PROFILES) for i, item in enumerate(items)
    ]
    if not mass:
        raise InputError(f"{section.name('mass')}: expected at least one profile")
    light, skies = _light(section)
    section.finish()
    return LensPlane(mass, redshift, light, skies)


def _light(section):
    """(profiles, names of the skies that see each)."""
    items = as_list(section.get("light") or [], section.name("light"))
    names = []
    items = [dict(item) if isinstance(item, dict) else item for item in items]
    for item in items:
        name = item.pop("sky", ()) if isinstance(item, dict) else ()
        names.append((name,) if isinstance(name, str) else tuple(name))
    return parse_light(items, section.name("light")), tuple(names) if any(names) else ()


def parse_sources(value, folder=None):
    """(Source, ()) from the section of one source; ([Source], names of the skies that see each) from a list.

    Args:
        value: the section.
        folder: that paths of adapt images are relative to.
    """
    if not isinstance(value, list):
        return parse_source(Section(value, "source"), folder), ()
    sections = [Section(item, f"source.{i}") for i, item in enumerate(value)]
    if not sections:
        raise InputError("source: expected at least one source, got an empty list")
    names = []
    for section in sections:
        if section.get("sky") is not None and section.get("skies") is not None:
            raise InputError(f"{section.name('sky')}: give sky (a source for each) or skies (one for all), not both")
        key = "skies" if section.get("skies") is not None else "sky"
        given = section.get(key, ())
        names.append((given,) if isinstance(given, str) else tuple(str(name) for name in given))
    return [parse_source(section, folder) for section in sections], tuple(names)


def parse_source(section, folder=None):
    """A Source from its section."""
    from .model import Source

    redshift = section.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, section.name("redshift"), positive=True)
    index = section.get("spectral_index")
    if index is not None:
        index = parse_parameter(index, section.name("spectral_index"))
    scale = parse_parameter(section.get("deflection_scale", 1.0), section.name("deflection_scale"))
    shared = section.get("skies") is not None
    colour = section.get("colour", {})
    if colour and not shared:
        raise InputError(f"{section.name('colour')}: a colour belongs to a source of several skies: give skies: [a, b]")
    colour = {name: parse_parameter(one, f"{section.name('colour')}.{name}") for name, one in colour.items()}
    for name in colour:
        if name not in section.get("skies"):
            raise InputError(f"{section.name('colour')}.{name}: not one of skies: {', '.join(section.get('skies'))}")
    items = section.get("pixels")
    pixels = [
        parse_pixels(
            Section(item, f"{section.name('pixels')}.{i}" if isinstance(items, list) else section.name("pixels")),
            folder,
        )
        for i, item in enumerate([] if items is None else as_list(items, section.name("pixels")))
    ]
    light = parse_light(as_list(section.get("light") or [], section.name("light")), section.name("light"))
    section.finish()
    if not pixels and not light:
        raise InputError(f"{section.path}: expected pixels or light")
    return Source(
        (pixels[0] if not isinstance(items, list) else tuple(pixels)) if pixels else None,
        light,
        redshift,
        index,
        scale,
        colour,
        shared,
    )


def parse_pixels(section, folder=None):
    """A PixelSource from its section."""
    from .model import PixelSource

    mesh = parse_mesh(section.section("mesh"))
    regularization = parse_regularization(section.section("regularization", {}))
    positive = section.boolean("positive", False)
    adapt = section.get("adapt")
    if adapt is not None:
        place = Section(adapt if isinstance(adapt, dict) else {"file": adapt}, section.name("adapt"))
        adapt = AdaptFile(Path(folder or ".") / Path(place.text("file")).expanduser(), place.text("sky", ""))
        place.finish()
    section.finish()
    return PixelSource(mesh, regularization, positive, adapt)


def parse_parameter(value, path):
    """A number, a prior or a tie."""
    if not isinstance(value, dict):
        return as_number(value, path)
    if len(value) != 1:
        raise InputError(f"{path}: a prior is one name and its arguments, got {', '.join(map(str, value))}")
    (kind, arguments), known = next(iter(value.items())), [*PRIORS, "same_as"]
    if kind == "same_as":
        return SameAs(str(arguments))
    if kind not in PRIORS:
        near = difflib.get_close_matches(str(kind), known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"{path}: unknown prior {kind!r} ({hint})")
    make, count = PRIORS[kind]
    if not isinstance(arguments, list) or len(arguments) != count:
        raise InputError(f"{path}: {kind} takes {count} arguments in a list, got {arguments!r}")
    try:
        return make(*(_argument(argument) for argument in arguments))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _argument(value):
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def parse_component(section, profiles):
    """A component from its section, `profile:` naming one of `profiles`."""
    name = section.choice("profile", list(profiles))
    kind = profiles[name]
    fields = [field for field in dataclasses.fields(kind)]
    values = {}
    for field in fields:
        required = field.default is dataclasses.MISSING
        value = section.require(field.name) if required else section.get(field.name)
        if value is not None:
            values[field.name] = parse_parameter(value, section.name(field.name))
    if not {"position_angle"} & set(values):
        values |= {key: 0.0 for key in ("e1", "e2", "gamma1", "gamma2") if _unset(key, fields, values)}
    section.finish()
    if isinstance(values.get("theta_E"), float) and values["theta_E"] <= 0.0:
        raise InputError(f"{section.name('theta_E')}: expected a positive number, got {values['theta_E']}")
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _unset(key, fields, values):
    return key in [field.name for field in fields] and key not in values
