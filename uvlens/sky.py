"""One sky: what a telescope saw of the lens, as a normal operator, and which sources are fitted to it."""

import dataclasses

import equinox as eqx

from .errors import InputError
from .normal import SharedChannels
from .normal.operator import AbstractNormalOperator
from .normal.spectral import SpectralReduction
from .oversampling import around


class Sky(eqx.Module):
    """Data that see one and the same sky.

    Args:
        normal: the normal operator; one whose dirty image has shape (C, N) holds C channels that share W.
        name: for messages and files, "" where there is one.
        sources: numbers of the source components that it sees.
        frequencies: of the C channels [Hz], or None.
        shared: the SharedChannels of an operator with C channels, or None.
        spectral: the SpectralReduction of a source whose spectral index is a parameter, or None: the index, if the
            source has one, is in the sums of `normal` already.
        law: (alpha, nu_0) of an index that is in the sums of `normal`, or None.
        light: light profiles in front of the lens that this sky alone sees (the sky level of an image).
        rays: rays per side of a pixel, None for those of the model.
        over_sampling: OverSampling of light profiles; None: the rays of the pixels, of images `around` the centres of
            the light of the lens.
    """

    normal: AbstractNormalOperator
    shared: SharedChannels | None = eqx.field(static=True)
    name: str = eqx.field(static=True)
    sources: tuple[int, ...] = eqx.field(static=True)
    frequencies: tuple[float, ...] | None = eqx.field(static=True)
    spectral: SpectralReduction | None = eqx.field(static=True)
    law: tuple[float, float] | None = eqx.field(static=True)
    light: tuple = eqx.field(static=True)
    rays: int | None = eqx.field(static=True)
    over_sampling: object = eqx.field(static=True)

    def __init__(
        self,
        normal,
        name="",
        sources=(0,),
        frequencies=None,
        shared=None,
        spectral=None,
        law=None,
        light=(),
        rays=None,
        over_sampling=None,
    ):
        self.normal = normal
        self.name, self.sources = name, (sources,) if isinstance(sources, int) else tuple(sources)
        self.frequencies = None if frequencies is None else tuple(float(f) for f in frequencies)
        self.shared, self.spectral = shared, spectral
        self.law = None if law is None else (float(law[0]), float(law[1]))
        self.light, self.rays, self.over_sampling = tuple(light), rays, over_sampling

    def seeing(self, sources):
        """The same Sky with other sources."""
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return self if sources == self.sources else Sky(**own | {"sources": sources})

    def over_sampled(self, centers):
        """The same Sky; an image that says nothing of it gets more sub-pixels of light profiles about `centers`."""
        if self.over_sampling is not None or not self.is_image or not centers:
            return self
        own = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return Sky(**own | {"over_sampling": around(centers, self.mask.grid.pixel_scale)})

    @property
    def n_channels(self):
        """C."""
        return 1 if self.normal.dirty_image.ndim == 1 else self.normal.dirty_image.shape[0]

    @property
    def mask(self):
        """The N pixels of its model."""
        return self.normal.mask

    @property
    def reduction(self):
        """What its data were reduced to."""
        return self.normal.reduction

    @property
    def is_image(self):
        """Whether it is an image through a PSF rather than visibilities."""
        return getattr(self.reduction, "kind", "visibilities") == "image"


def as_skies(normal, shared, is_list):
    """[Sky] from an operator, a Sky, or a list of these, every one with the numbers of the sources that it sees.

    Args:
        normal: the operators or Skies.
        shared: whether each source is shared by all skies.
        is_list: whether sources were given as a list; a single one is seen by all skies.

    Raises:
        InputError: sources that do not fit the skies.
    """
    items = list(normal) if isinstance(normal, list | tuple) else [normal]
    everything = tuple(range(len(shared)))
    skies = []
    for i, one in enumerate(items):
        name = f"sky{i}" if len(items) > 1 else ""
        if not is_list:
            sees = (0,)
        elif isinstance(one, Sky):
            sees = one.sources
        elif len(items) == 1 or all(shared):
            sees = everything
        else:
            sees = tuple(n for n in everything if shared[n] or n == i)
        if isinstance(one, Sky):
            skies.append(one.seeing(sees))
        else:
            skies.append(Sky(one, name, sees))
    if {number for sky in skies for number in sky.sources} != set(everything) or not all(sky.sources for sky in skies):
        raise InputError(f"{len(shared)} sources for {len(items)} skies: say with Sky(sources=) which sees which")
    return skies
