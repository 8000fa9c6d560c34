"""Which columns a linear system has: blocks of source pixels, then amplitudes of light profiles."""

from typing import NamedTuple

import numpy as np

from .errors import InputError
from .lens import LensPlane
from .lens.lens import as_planes
from .light import Linear, amplitude_prior
from .source import AbstractMesh, VertexSettings
from .sourcemodel import PixelSource


class Block(NamedTuple):
    """A pixelised source.

    Attributes:
        source, part: numbers of the source component and of its part.
        pixels: the part as it was stated, priors in place.
        mesh: its mesh, made of its settings where these need a mask.
        skies: numbers of the skies that see it, within the system.
        first: its first column.
        maximised: whether its strength maximises the evidence.
    """

    source: int
    part: int
    pixels: PixelSource
    mesh: AbstractMesh
    skies: tuple[int, ...]
    first: int
    maximised: bool

    @property
    def stop(self):
        """The column after its last."""
        return self.first + self.mesh.n_source


class Amplitudes(NamedTuple):
    """A light profile in one sky, and the columns that its amplitudes are.

    Attributes:
        sky: number within the system.
        place: "sky", "lens", or the number of a source.
        number: of the profile there.
        profile: as it was stated.
        plane: number of the lens plane, or the source, in the list of them; None where there is no list.
        first: its first column; -1 of a profile whose flux is a parameter: it has none.
    """

    sky: int
    place: str | int
    number: int
    profile: object
    plane: int | None = None
    first: int = -1

    @property
    def stop(self):
        """The column after its last."""
        return self.first + self.profile.n_columns

    @property
    def prior(self):
        """AmplitudePrior of them."""
        return amplitude_prior([self.profile])

    @property
    def is_optimised(self):
        """Whether they leave both determinants."""
        return self.prior.n_optimised > 0

    def component(self, filled, skies):
        """The profile filled with numbers."""
        if self.place == "sky":
            return skies[self.sky].light[self.number]
        if self.place == "lens":
            return as_planes(filled["lens"])[self.plane or 0].light[self.number]
        return filled["source"][self.place].light[self.number]


class Columns(NamedTuple):
    """The columns of a system: [blocks, marginalised amplitudes, optimised amplitudes].

    Attributes:
        blocks: of source pixels.
        amplitudes: of light profiles.
        fixed: profiles that are no columns, their fluxes being parameters.
    """

    blocks: tuple[Block, ...]
    amplitudes: tuple[Amplitudes, ...]
    fixed: tuple[Amplitudes, ...] = ()

    @property
    def n_pixels(self):
        """Coefficients of the pixelised sources."""
        return self.blocks[-1].stop if self.blocks else 0

    @property
    def n_source(self):
        """S: all columns."""
        return self.amplitudes[-1].stop if self.amplitudes else self.n_pixels

    @property
    def n_determined(self):
        """Columns that enter the determinants: all but optimised amplitudes."""
        return next((one.first for one in self.amplitudes if one.is_optimised), self.n_source)

    @property
    def allowed(self):
        """False where a node is fixed to zero, shape (S,)."""
        parts = [np.asarray(block.mesh.allowed) for block in self.blocks]
        return np.concatenate([*parts, np.ones(self.n_source - self.n_pixels, bool)])

    @property
    def constrained(self):
        """True where a coefficient must not be negative, shape (S,)."""
        parts = [np.full(block.mesh.n_source, block.pixels.positive) for block in self.blocks]
        parts += [one.prior.constrained for one in self.amplitudes]
        return np.concatenate([*parts, np.zeros(0, bool)])


def columns_of(skies, sources, lens, is_list=True):
    """The Columns of a system.

    Args:
        skies: its members.
        sources: [(Source as settled, which of its parts have maximised strengths)] of the model.
        lens: the LensPlane, or a list of them, as stated.
        is_list: whether the sources were stated as a list.
    """
    blocks, first = [], 0
    for number, (source, maximised) in enumerate(sources):
        seen_by = tuple(k for k, sky in enumerate(skies) if number in sky.sources)
        for part, pixels in enumerate(source.parts):
            for group in [seen_by] if source.shared else [(k,) for k in seen_by]:
                if group:
                    mesh = _made(pixels, skies[group[0]].mask)
                    blocks.append(Block(number, part, pixels, mesh, group, first, maximised[part]))
                    first = blocks[-1].stop
    lights = []
    for k, sky in enumerate(skies):
        for number, plane in enumerate(as_planes(lens)):
            plane_number = None if isinstance(lens, LensPlane) else number
            for i, (profile, names) in enumerate(zip(plane.light, plane.light_skies or [()] * len(plane.light))):
                if not names or sky.name in names:
                    lights.append(Amplitudes(k, "lens", i, profile, plane_number))
        for number in sky.sources:
            own = number if is_list else None
            lights += [Amplitudes(k, number, i, profile, own) for i, profile in enumerate(sources[number][0].light)]
        lights += [Amplitudes(k, "sky", i, profile) for i, profile in enumerate(sky.light)]
    fixed = tuple(light for light in lights if not isinstance(light.profile.flux, Linear))
    amplitudes = []
    linear = (light for light in lights if isinstance(light.profile.flux, Linear))
    for light in sorted(linear, key=lambda light: amplitude_prior([light.profile]).n_optimised > 0):
        amplitudes.append(light._replace(first=first))
        first = amplitudes[-1].stop
    if not first and not fixed:
        raise InputError("a sky without a source: nothing to fit to it")
    return Columns(tuple(blocks), tuple(amplitudes), fixed)


def _made(pixels, mask):
    """The mesh of a pixelised source on the mask of the first sky that sees it."""
    if not isinstance(pixels.mesh, VertexSettings):
        return pixels.mesh
    return pixels.mesh.make(mask, None if pixels.adapt is None else pixels.adapt.on(mask))
