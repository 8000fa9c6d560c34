"""From the sections of a model file to components: profiles, priors, meshes, every key checked."""

import dataclasses
import difflib

from .errors import InputError
from .lens import MASS_PROFILES, LensPlane
from .priors import PRIORS, SameAs
from .schema import Section, as_list, as_number
from .source import REGULARIZATIONS, RectangularMesh

LARGEST_SOURCE = 20_000


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
    if section.get("light"):
        raise InputError(f"{section.name('light')}: unlensed light is not available in this version")
    section.finish()
    return LensPlane(mass, redshift)


def parse_sources(value):
    """(Source, ()) from the section of one source, ([Source], names of their skies) from a list."""
    if not isinstance(value, list):
        return parse_pixel_source(Section(value, "source")), ()
    sections = [Section(item, f"source.{i}") for i, item in enumerate(value)]
    names = tuple(section.text("sky", "") for section in sections)
    if len(set(names)) < len(names) or not names:
        raise InputError("source: every source of a list needs a sky of its own, as in data")
    return [parse_pixel_source(section) for section in sections], names


def parse_pixel_source(section):
    """A Source with pixels from its section."""
    from .model import PixelSource, Source

    redshift = section.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, section.name("redshift"), positive=True)
    if section.get("light"):
        raise InputError(f"{section.name('light')}: parametric sources are for simulations; fits use source.pixels")
    index = section.get("spectral_index")
    if index is not None:
        index = parse_parameter(index, section.name("spectral_index"))
    pixels = section.section("pixels")
    mesh, regularization = pixels.section("mesh"), pixels.section("regularization", {})
    source = PixelSource(_mesh(mesh), _regularization(regularization), pixels.boolean("positive", False))
    pixels.finish()
    section.finish()
    return Source(source, redshift, index)


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


def _mesh(section):
    section.choice("type", ["rectangular"], "rectangular")
    rows, columns = section.numbers("shape", 2, [30, 30])
    extent = section.get("extent")
    if extent is not None:
        extent = as_number(extent, section.name("extent"), positive=True)
    center = section.numbers("center", 2, [0.0, 0.0])
    basis = section.choice("basis", ["spline", "bilinear"], "spline")
    section.finish()
    if rows != int(rows) or columns != int(columns):
        raise InputError(f"{section.name('shape')}: expected two whole numbers, got {[rows, columns]}")
    if rows * columns > LARGEST_SOURCE:
        raise InputError(f"{section.name('shape')}: {rows * columns:.3g} nodes, at most {LARGEST_SOURCE} can be solved")
    try:
        return RectangularMesh(int(rows), int(columns), extent, center, basis)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _regularization(section):
    kind = REGULARIZATIONS[section.choice("type", list(REGULARIZATIONS), "gradient")]
    strength = section.get("strength", "auto")
    if strength not in ("auto", "evidence"):
        name = section.name("strength")
        strength = parse_parameter(strength, name)
        if isinstance(strength, float) and strength <= 0.0:
            raise InputError(f"{name}: expected a positive number, got {strength}")
    section.finish()
    return kind(strength)
