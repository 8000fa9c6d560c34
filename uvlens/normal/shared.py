"""Channels of a spectral cube that share one curvature matrix: one evidence for C right-hand sides.

With a_c the sum of weights of channel c over the mean of all channels, W_c ~ a_c Wbar and lambda_c = a_c lambda_bar
(lambda is proportional to the sum of weights at a given dimensionless strength), so that A_c = a_c Abar and

    Wbar = 1/C sum_c W_c,   dhat_c = d~_c / sqrt(a_c),   shat_c = sqrt(a_c) s_c
    sum_c (ln E_c - ln E_null,c) = -1/2 sum_c [shat_c^T Abar shat_c - 2 shat_c^T Dhat_c]
                                   - C/2 (ln det Abar - ln det Hbar)

with Abar = L^T Wbar L + lambda_bar G and Dhat_c = L^T dhat_c: one F, one decomposition, one inverse and one product
with W for all channels, and a solve for each. What W_c != a_c Wbar is worth in nat is estimated by `shared_error`.
"""

import dataclasses
import functools
import operator
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from .reduction import Reduction, ToeplitzTerm
from .shared_error import SharingError, sharing_error

TOLERANCE = 0.5
"""Nat by which ln E of all channels together may be wrong."""

_BEAM_TOLERANCE = 0.02
"""Largest difference of primary beams that are taken for one; what it does to ln E is part of the error."""


@dataclasses.dataclass(frozen=True, eq=False)
class SharedChannels:
    """C channels on one curvature matrix.

    Args:
        reduction: kernels Wbar and dirty images dhat_c, shape (C, N); null chi^2, noise normalisation, histogram,
            uv cells, observations and hashes of all channels together; its `sum_weight` is that of the mean channel,
            so that a strength makes lambda_bar of it as it makes lambda of any reduction.
        scale: a_c, shape (C,), mean 1.
        channels: the reductions they were made from.
    """

    reduction: Reduction
    scale: np.ndarray
    channels: tuple[Reduction, ...]

    @functools.cached_property
    def operators(self):
        """FFT operator of each channel's own reduction, for residuals."""
        from .build import operator_from_reduction

        return tuple(operator_from_reduction(channel, "fft") for channel in self.channels)

    @functools.cached_property
    def error(self) -> SharingError:
        """What sharing may change in ln E (see `shared_error`): seconds to minutes, once."""
        return sharing_error(self.reduction, self.scale, self.channels)


class Verdict(NamedTuple):
    """Whether channels may share a curvature matrix, why, and the nat that it costs at most (inf: not at all)."""

    possible: bool
    reason: str
    error: float


def share_curvature(reductions):
    """One curvature matrix for channels whose weights and uv coverage agree.

    Args:
        reductions: Reduction of each of the C channels, on one mask.

    Returns:
        SharedChannels; its `error` says what was neglected. `operator_from_reduction(shared.reduction, ...)` makes the
        operator of it.

    Raises:
        InputError: no channel, other masks, pixel windows or numbers of primary beams, or primary beams that differ
            by more than 2 % of their peak.
    """
    channels = tuple(reductions)
    if not channels:
        raise InputError("share_curvature needs at least one channel")
    for number, channel in enumerate(channels):
        _check(number, channel, channels[0])
    weights = np.array([channel.sum_weight for channel in channels])
    scale = weights / weights.mean()
    add = functools.partial(functools.reduce, operator.add)
    reduction = dataclasses.replace(
        channels[0],
        terms=tuple(_mean_term(terms) for terms in zip(*(channel.terms for channel in channels))),
        dirty_image=np.array([c.dirty_image / np.sqrt(a) for c, a in zip(channels, scale)]),
        null_chi_squared=add(c.null_chi_squared for c in channels),
        noise_normalization=add(c.noise_normalization for c in channels),
        histogram=add(c.histogram for c in channels),
        observations=add(c.observations for c in channels),
        hashes=add(c.hashes for c in channels),
    )
    return SharedChannels(reduction, scale, channels)


def can_share(reductions, tolerance=TOLERANCE):
    """Whether one curvature matrix serves these channels.

    Args:
        reductions: Reduction of each channel.
        tolerance: nat that ln E of all channels together may be wrong by.

    Returns:
        Verdict (possible, reason in one sentence, error in nat).
    """
    try:
        shared = share_curvature(reductions)
    except InputError as error:
        return Verdict(False, str(error), np.inf)
    error = shared.error
    n, worst = len(shared.channels), int(np.argmax(error.by_channel))
    possible = bool(error.total <= tolerance)
    reason = (
        f"one curvature matrix for {n} channels changes ln E by at most about {error.total:.2g} nat, "
        f"{'within' if possible else 'more than'} the {tolerance:g} allowed (most in channel {worst}: "
        f"{error.by_channel[worst]:.2g})"
    )
    return Verdict(possible, reason, error.total)


def _check(number, channel, first):
    if channel.dirty_image.ndim != 1:
        raise InputError(f"channel {number} holds several channels that share W already")
    if not (channel.mask.grid == first.mask.grid and np.array_equal(channel.mask.kept, first.mask.kept)):
        raise InputError(f"channel {number} is reduced on another mask than channel 0")
    if channel.pixel_window != first.pixel_window:
        raise InputError(f"channels 0 and {number} differ in pixel_window")
    if len(channel.terms) != len(first.terms):
        found = f"{len(channel.terms)}, channel 0 {len(first.terms)}"
        raise InputError(f"channel {number} has different primary beams: {found}")
    for mine, other in zip(channel.terms, first.terms):
        if (mine.primary_beam is None) != (other.primary_beam is None):
            raise InputError(f"one of channels 0 and {number} has a primary beam, the other none")
        if mine.primary_beam is None:
            continue
        difference = np.max(np.abs(mine.primary_beam - other.primary_beam)) / np.max(np.abs(other.primary_beam))
        if not difference <= _BEAM_TOLERANCE:
            raise InputError(f"the primary beams of channels 0 and {number} differ by {100 * difference:.1f} %")


def _mean_term(terms):
    beam = terms[0].primary_beam
    if beam is not None and not all(np.array_equal(term.primary_beam, beam) for term in terms):
        beam = sum(term.primary_beam for term in terms) / len(terms)
    kernel = sum(term.kernel for term in terms) / len(terms)
    return ToeplitzTerm(kernel, beam, functools.reduce(operator.add, (term.cells for term in terms)))
