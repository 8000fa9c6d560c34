"""From the sections of a model file to components: profiles, priors, meshes, every key checked."""

import dataclasses
from pathlib import Path

from .adapt import AdaptFile
from .cosmology import FlatLambdaCDM, as_cosmology
from .errors import InputError
from .lens import LensPlane
from .parse_light import parse_light
from .parse_mass import parse_mass
from .parse_mesh import parse_mesh
from .parse_priors import asked_defaults, parse_pairs, parse_parameter
from .parse_regularization import parse_regularization
from .schema import Section, as_list, as_number


def parse_lens(value, path, folder=None):
    """A LensPlane from its section, or a list of them from a list; profiles and their parameters are checked.

    `folder` is that paths of deflection maps are relative to.
    """
    if not isinstance(value, list):
        return _plane(Section(value, path), folder)
    if not value:
        raise InputError(f"{path}: expected at least one lens plane, got an empty list")
    return [_plane(Section(item, f"{path}.{i}"), folder) for i, item in enumerate(value)]


def parse_cosmology(value):
    """(cosmology, redshift that deflections are stated for or None) from the section.

    cosmology: Planck18
    cosmology: {name: WMAP9, reference_redshift: 2.4}
    cosmology: {H0: 70, Om0: {uniform: [0.1, 0.6]}}            # flat, LambdaCDM; may be free
    """
    if not isinstance(value, dict):
        return as_cosmology(str(value)), None
    section = Section(value, "cosmology")
    reference = section.get("reference_redshift")
    if reference is not None:
        reference = as_number(reference, section.name("reference_redshift"), positive=True)
    flat = {key: section.get(key) for key in ("H0", "Om0")}
    flat = {key: parse_parameter(one, section.name(key)) for key, one in flat.items() if one is not None}
    name = section.get("name")
    section.finish()
    if name is not None and flat:
        raise InputError("cosmology: give a name, or H0 and Om0, not both")
    try:
        return (FlatLambdaCDM(**flat) if flat else as_cosmology(name)), reference
    except InputError as error:
        raise InputError(f"cosmology: {str(error).removeprefix('cosmology: ')}") from None


def _plane(section, folder):
    redshift = section.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, section.name("redshift"), positive=True)
    light, skies = _light(section)
    mass = parse_mass(section, light, folder)
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
    scale = section.get("deflection_scale")
    if scale is not None:
        scale = parse_parameter(scale, section.name("deflection_scale"))
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


def parse_component(section, profiles):
    """A component from its section, `profile:` naming one of `profiles`."""
    name = section.choice("profile", list(profiles))
    kind = profiles[name]
    fields = [field for field in dataclasses.fields(kind)]
    given = parse_pairs(section, kind) | asked_defaults(section, kind)
    values = dict(given)
    for field in fields:
        required = field.default is dataclasses.MISSING and field.name not in given
        value = section.require(field.name) if required else section.get(field.name)
        if value is not None and field.metadata.get("static"):
            values[field.name] = value
        elif isinstance(value, list):
            name = section.name(field.name)
            values[field.name] = tuple(parse_parameter(one, f"{name}.{i}") for i, one in enumerate(value))
        elif value is not None:
            values[field.name] = parse_parameter(value, section.name(field.name))
    if not {"position_angle", "axis_ratio", "strength"} & set(values):
        values |= {key: 0.0 for key in ("e1", "e2", "gamma1", "gamma2") if _unset(key, fields, values)}
    section.finish()
    try:
        return kind(**values)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _unset(key, fields, values):
    return key in [field.name for field in fields] and key not in values
