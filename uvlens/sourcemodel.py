"""What lies behind the lens, as a user states it: pixelised sources, light profiles, and who sees them."""

from typing import Any

import equinox as eqx

from .adapt import AdaptImage
from .errors import InputError
from .light import Linear
from .priors import LogUniform
from .source import AbstractMesh, AbstractRegularization, VertexSettings

STRENGTH_RANGE = (1e-6, 1e6)
"""Of the default prior on a regularisation strength, and the bounds of `strength="evidence"`."""


class PixelSource(eqx.Module):
    """A source made of pixels.

    Args:
        mesh: where its coefficients live; VertexSettings become a mesh on the mask of the sky.
        regularization: the prior that ties neighbours together; strength "auto" is loguniform 1e-6..1e6.
        positive: require every coefficient >= 0.
        adapt: AdaptImage, for meshes and priors that follow an earlier model's brightness.
    """

    mesh: AbstractMesh | VertexSettings
    regularization: AbstractRegularization
    positive: bool = eqx.field(static=True, default=False)
    adapt: AdaptImage | None = eqx.field(static=True, default=None)


class Source(eqx.Module):
    """One source plane, or a part of one.

    Args:
        pixels: its pixelised part: a PixelSource, several that add, or none.
        light: light profiles seen through the lens, their fluxes linear or parameters.
        redshift: a number; None: that of the reference.
        spectral_index: alpha of a brightness that goes as (nu / nu_0)^alpha, nu_0 the weighted mean frequency of its
            data; None: the same at all frequencies.
        deflection_scale: its deflection over that of the masses as stated, D_ls / D_s divided by the same ratio of the
            source that the Einstein radii refer to: beta = theta - scale alpha(theta). None: from the redshifts.
        colour: for a shared source, factor of its brightness in a sky by the sky's name; 1 where there is none.
        shared: one source vector for all skies that see it; otherwise every sky has a vector of its own.
    """

    pixels: Any = ()
    light: tuple = eqx.field(converter=tuple, default=())
    redshift: Any = None
    spectral_index: Any = None
    deflection_scale: Any = None
    colour: dict = eqx.field(default_factory=dict)
    shared: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if self.colour and not self.shared:
            raise InputError("a colour belongs to a source that several skies share")
        if self.colour and any(isinstance(one.flux, Linear) for one in self.light):
            raise InputError(
                "linear fluxes are solved for in every sky: a colour is for pixels and for fluxes with priors"
            )

    @property
    def parts(self):
        """Its pixelised parts, a tuple."""
        if self.pixels is None:
            return ()
        return (self.pixels,) if isinstance(self.pixels, PixelSource) else tuple(self.pixels)


def as_source(value):
    """A Source from a Source, a PixelSource, or a light profile."""
    if isinstance(value, Source):
        return value
    return Source(pixels=value) if isinstance(value, PixelSource) else Source(pixels=None, light=(value,))


def settled_source(source):
    """(Source whose strengths are numbers or priors, whether each of its parts has a maximised strength).

    A list of sources: a list of each.

    Raises:
        InputError: a strength that is none of them; a source without pixels and light.
    """
    source = as_source(source)
    if not source.parts and not source.light:
        raise InputError("a source needs pixels or light")
    parts, maximised = [], []
    for part in source.parts:
        strength = part.regularization.strength
        if isinstance(strength, str) and strength not in ("auto", "evidence"):
            raise InputError(f'strength must be a number, a prior, "auto" or "evidence", got {strength!r}')
        if isinstance(strength, int | float) and not strength > 0.0:
            raise InputError(f"strength must be positive, got {strength}")
        maximised.append(strength == "evidence" if isinstance(strength, str) else False)
        if isinstance(strength, str):
            value = 1.0 if maximised[-1] else LogUniform(*STRENGTH_RANGE)
            part = eqx.tree_at(lambda p: p.regularization.strength, part, value)
        parts.append(part)
    if isinstance(source.pixels, PixelSource):
        return eqx.tree_at(lambda s: s.pixels, source, parts[0]), tuple(maximised)
    if source.pixels is None:
        return source, ()
    return eqx.tree_at(lambda s: s.pixels, source, tuple(parts)), tuple(maximised)
