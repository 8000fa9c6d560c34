"""A source whose brightness goes as (nu / nu_0)^alpha, alpha free: W and the dirty image as functions of alpha.

The data are reduced in groups of frequency, each a Reduction of its own with kernels W_g and dirty images d~_g. With
f_g = (nu_g / nu_0)^alpha a group sees f_g I, as if its primary beam were f_g A_g:

    W(alpha) = sum_g f_g^2 A_g W_g A_g,   d~(alpha) = sum_g f_g d~_g
    dW/d alpha = sum_g 2 ln(nu_g / nu_0) f_g^2 A_g W_g A_g,   d d~/d alpha = sum_g ln(nu_g / nu_0) f_g d~_g

Groups whose beams agree on the mask share one kernel, the sum of theirs times f_g^2: a likelihood costs the same as
with alpha fixed, its gradient one product with W more. Within a group of relative width d the exponent is off by
(alpha d)^2 / 24 of the flux: 4e-6 for d = 0.5 % and alpha = 2.
"""

import dataclasses

import numpy as np

from ..data import Visibilities, VisibilityStream
from ..errors import InputError
from .choose import seconds
from .reduction import Reduction, ToeplitzTerm
from .toeplitz import FFTNormalOperator

GROUP_WIDTH = 0.005
"""Of ln nu."""
_SAME_BEAM = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class SpectralReduction:
    """Reductions by group of frequency.

    Args:
        groups: Reduction of each group, on one mask.
        log_ratio: ln(nu_g / nu_0), shape (G,).
        reference_frequency: nu_0 [Hz], the weighted mean.
    """

    groups: tuple[Reduction, ...]
    log_ratio: np.ndarray
    reference_frequency: float

    def at(self, index):
        """The Reduction at a spectral index: every sum that plots, products and residuals need."""
        total = None
        for x, group in zip(self.log_ratio, self.groups):
            factor = float(np.exp(index * x))
            terms = [self._seen(term, factor) for term in group.terms]
            scaled = dataclasses.replace(group, terms=tuple(terms), dirty_image=factor * group.dirty_image)
            total = scaled if total is None else total + scaled
        assert total is not None
        return total

    def _seen(self, term, factor):
        """A term whose beam carries the factor."""
        n = self.groups[0].mask.n_pixels
        beam = np.full(n, factor) if term.primary_beam is None else factor * term.primary_beam
        return dataclasses.replace(term, primary_beam=beam)

    def merged(self, index, derivative=False):
        """(terms, dirty image) of W and d~ at a spectral index, or of their derivatives; equal beams in one term."""
        kernels, beams = [], []
        dirty = np.zeros(self.groups[0].mask.n_pixels)
        for x, group in zip(self.log_ratio, self.groups):
            factor = np.exp(index * x)
            dirty += (x * factor if derivative else factor) * group.dirty_image
            power = 2.0 * x * factor**2 if derivative else factor**2
            for term in group.terms:
                where = next((i for i, beam in enumerate(beams) if _agree(beam, term.primary_beam)), None)
                if where is None:
                    beams.append(term.primary_beam)
                    kernels.append(power * term.kernel)
                else:
                    kernels[where] = kernels[where] + power * term.kernel
        cells = self.groups[0].terms[0].cells
        return [ToeplitzTerm(kernel, beam, cells) for kernel, beam in zip(kernels, beams)], dirty


class ProductsAt:
    """(index, derivative) -> (HostProducts, dirty image): W and d~ at a spectral index, or their derivatives.

    Args:
        spectral: SpectralReduction.
        source: SourceSize, by which direct correlation or Fourier transforms are chosen.
    """

    def __init__(self, spectral, source):
        self.spectral = spectral
        reduction = dataclasses.replace(spectral.groups[0], terms=tuple(spectral.merged(0.0)[0]))
        self.is_direct = seconds("direct", reduction, source, 0) < seconds("fft", reduction, source, 0)

    def __call__(self, index, derivative):
        terms, dirty = self.spectral.merged(index, derivative)
        reduction = dataclasses.replace(self.spectral.groups[0], terms=tuple(terms), dirty_image=dirty)
        if self.is_direct:
            from .direct import DirectProducts

            return DirectProducts(reduction.mask, reduction.terms), dirty
        return FFTNormalOperator.from_reduction(reduction).products, dirty


def _agree(a, b):
    if a is None or b is None:
        return a is b
    return float(np.max(np.abs(a - b))) <= _SAME_BEAM


def frequency_groups(data_sets, width=GROUP_WIDTH):
    """[(ln nu, [data])]: data sets cut into groups of frequency, in steps of ln nu.

    Raises:
        InputError: data without frequencies, or at one frequency only.
    """
    groups = {}
    for data in data_sets:
        if not isinstance(data, Visibilities | VisibilityStream):
            raise InputError(f"{data!r}: a spectral index needs visibilities, not a compressed data set")
        for number in _steps(data, width):
            groups.setdefault(number, []).append(_of_step(data, number, width))
    if len(groups) < 2:
        raise InputError("a spectral index needs data at several frequencies, these are at one")
    return [(number * width, groups[number]) for number in sorted(groups)]


def _number(part, width):
    if part.frequency is None:
        raise InputError(f"{part.name}: a spectral index needs the frequency of every visibility")
    return np.rint(np.log(part.frequency) / width).astype(np.int64)


def _steps(data, width):
    parts = [data] if isinstance(data, Visibilities) else data
    return sorted({int(n) for part in parts for n in np.unique(_number(part.unflagged(), width))})


def _of_step(data, number, width):
    def keep(part):
        part = part.unflagged()
        which = _number(part, width) == number
        return part.select(which) if which.any() else None

    if isinstance(data, Visibilities):
        return keep(data)
    return VisibilityStream(lambda: (part for part in map(keep, data) if part is not None), data.name)


def spectral_reduction(data_sets, reduce):
    """SpectralReduction of data sets; `reduce` makes the Reduction of a list of them."""
    groups, frequencies, weights = [], [], []
    for _, members in frequency_groups(data_sets):
        reduction = reduce(members)
        groups.append(reduction)
        counts = [one.n_visibilities for one in reduction.observations]
        frequencies.append(np.average([one.frequency for one in reduction.observations], weights=counts))
        weights.append(reduction.sum_weight)
    reference = float(np.average(frequencies, weights=weights))
    return SpectralReduction(tuple(groups), np.log(np.array(frequencies) / reference), reference)
