"""Fluxes in apertures of the source plane or the sky, and functions of one's own, as derived quantities of a fit.

derived:
  apertures:
    - {name: nucleus, plane: source, center: [0.05, 0.02], radius: 0.1}
    - {name: arc, plane: image, center: [0.9, 0.3], radius: 0.4}
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .labels import by_sky
from .schema import Section, as_list
from .sourcedraws import image_sums

_SIDE = 96
"""Points across a disc in a source plane."""
_SUB = 8
"""Points a side of a pixel at the edge of a disc in the sky."""


@dataclasses.dataclass(frozen=True)
class Aperture:
    """A disc whose flux is measured: that of the source in it.

    Args:
        name: of the quantity aperture.NAME.flux.
        center: (East, North) [arcsec].
        radius: arcsec.
        plane: "source", or "image" for the lensed source in the sky (light in front of the lens left out).
        sky: name of the sky; None: the first.
        source: number of the source, for plane "source"; None: all that the sky sees.
    """

    name: str
    center: tuple[float, float]
    radius: float
    plane: str = "source"
    sky: str | None = None
    source: int | None = None

    def __post_init__(self):
        if self.plane not in ("source", "image"):
            raise InputError(f"aperture {self.name}: plane must be source or image, got {self.plane!r}")
        if not self.radius > 0.0:
            raise InputError(f"aperture {self.name}: radius must be a positive number of arcsec, got {self.radius}")

    @property
    def path(self):
        """Name of its flux among the derived quantities."""
        return f"aperture.{self.name}.flux"


@dataclasses.dataclass(frozen=True)
class DerivedSettings:
    """What is measured beside the usual derived quantities.

    Args:
        apertures: Apertures.
        functions: name -> function of ([Reconstruction], [Lens of each source]) that gives a number; it is called for
            every draw of the source.
    """

    apertures: tuple[Aperture, ...] = ()
    functions: Mapping[str, Callable[..., Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        names = [one.name for one in self.apertures]
        if len(set(names)) < len(names):
            raise InputError("derived.apertures: two of them have the same name")

    __hash__ = object.__hash__


NO_SETTINGS = DerivedSettings()
"""Nothing beside the usual."""


def parse_derived(section):
    """DerivedSettings of the `derived:` section of a model file."""
    found = []
    for i, item in enumerate(as_list(section.get("apertures") or [], section.name("apertures"))):
        own = Section(item, f"{section.name('apertures')}.{i}")
        name = own.text("name", str(i))
        plane = own.choice("plane", ["source", "image"], "source")
        center = tuple(float(value) for value in own.numbers("center", 2))
        radius = own.number("radius", positive=True)
        sky = own.get("sky")
        source = own.integer("source", lowest=0) if own.get("source") is not None else None
        own.finish()
        found.append(Aperture(name, center, radius, plane, None if sky is None else str(sky), source))
    section.finish()
    return DerivedSettings(tuple(found))


def aperture_columns(found, aperture):
    """[(Reconstruction, flux of each of its columns in the aperture (S,), flux that is in no column)] of its channels.

    Raises:
        InputError: no such sky; nothing in the source plane to measure.
    """
    groups = by_sky(found)
    name = next(iter(groups)) if aperture.sky is None else aperture.sky
    if name not in groups:
        raise InputError(
            f"aperture {aperture.name}: the model has no sky {name!r}; it has {', '.join(map(repr, groups))}"
        )
    of = _in_the_sky if aperture.plane == "image" else _in_the_source_plane
    return [(one, *of(one, aperture)) for one in groups[name]]


def _in_the_sky(one, aperture):
    share = disc_share(one.mask, aperture.center, aperture.radius)
    columns = image_sums(one, share)
    behind = np.zeros(len(columns))
    for part in one.parts:
        behind[part.columns] = 1.0
    constant = 0.0
    for light in one.lights:
        if light.is_lensed and light.of.first >= 0:
            behind[light.of.first : light.of.stop] = 1.0
        elif light.is_lensed:
            constant += float(share @ light.image)
    return columns * behind, constant


def _in_the_source_plane(one, aperture):
    step = 2.0 * aperture.radius / _SIDE
    axis = (np.arange(_SIDE) - 0.5 * (_SIDE - 1)) * step
    x, y = (grid.ravel() for grid in np.meshgrid(axis, axis))
    inside = np.hypot(x, y) <= aperture.radius
    area = np.pi * aperture.radius**2 / inside.sum()
    x, y = aperture.center[0] + x[inside], aperture.center[1] + y[inside]
    seen = sources_seen(one)
    if not (seen if aperture.source is None else aperture.source in seen):
        raise InputError(f"aperture {aperture.name}: nothing behind the lens to measure")
    return source_columns(one, x, y, area, aperture.source)


def sources_seen(one):
    """Numbers of the sources of a Reconstruction."""
    return {part.block.source for part in one.parts} | {light.of.place for light in one.lights if light.is_lensed}


def source_columns(one, x, y, area, source=None):
    """(area times the sum of the brightness at points for each column (S,), that which is in no column).

    Args:
        one: Reconstruction.
        x, y: points in the source plane, shape (M,) [arcsec].
        area: that each point stands for [arcsec^2].
        source: number of the source; None: all behind the lens.
    """
    columns, constant = np.zeros(one.inversion.mapper.n_source), 0.0
    for part in one.parts:
        if source in (None, part.block.source):
            indices, weights = part.mesh.interpolation(jnp.asarray(x), jnp.asarray(y), part.geometry)
            indices, weights = np.asarray(indices).ravel(), np.asarray(weights).ravel()
            columns[part.columns] += area * np.bincount(indices, weights, minlength=part.mesh.n_source)
    for light in one.lights:
        if not light.is_lensed or source not in (None, light.of.place):
            continue
        profile = np.asarray(light.profile.columns(jnp.asarray(x), jnp.asarray(y))).sum(axis=0) * area
        if light.of.first >= 0:
            columns[light.of.first : light.of.stop] += profile
        else:
            constant += float(profile @ light.fluxes)
    return columns, constant


def disc_share(mask, center, radius):
    """Share of each pixel of a mask that lies in a disc, shape (N,)."""
    scale = mask.grid.pixel_scale
    offset = (np.arange(_SUB) - 0.5 * (_SUB - 1)) * scale / _SUB
    x = mask.x[:, None, None] + offset - center[0]
    y = mask.y[:, None, None] + offset[:, None] - center[1]
    return (np.hypot(x, y) <= radius).mean(axis=(1, 2))
