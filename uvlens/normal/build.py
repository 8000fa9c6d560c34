"""From data and mask to a normal operator, the implementation chosen by what each costs."""

import collections.abc
import dataclasses
import warnings
from functools import partial

import numpy as np

from ..conventions import ARCSEC
from ..data.stream import VisibilityStream
from ..data.visibilities import Visibilities
from ..errors import InputError, UVLensWarning
from .accumulate import ReductionSums
from .checks import check_field, check_same_sky, check_window
from .choose import SourceSize, cheapest, quickest
from .downdated import downdated
from .joint import joint_operator
from .lowrank import LowRankNormalOperator
from .partitions import Schedule, reduce_streams
from .psf import psf_operator
from .psf_reduction import is_image, reduce_image
from .reduction import Reduction
from .toeplitz import FFTNormalOperator
from .transforms import transforms_operator


def _direct(reduction, precision="float64"):
    """Imported when asked for: it cannot do without numba, the others can."""
    try:
        from .direct import DirectNormalOperator
    except ImportError as error:
        raise InputError(f"the direct operator needs numba ({error}); take fft or lowrank") from None
    return DirectNormalOperator.from_reduction(reduction, precision)


_OPERATORS = {
    "direct": _direct,
    "direct32": partial(_direct, precision="float32"),
    "fft": FFTNormalOperator.from_reduction,
    "lowrank": LowRankNormalOperator.from_reduction,
}


def normal_operator(data, mask, method="auto", *, primary_beam="auto", pixel_window=False, **options):
    """Reduce visibilities to the normal operator of a mask: done once, whatever is fitted afterwards.

    Args:
        data: Imaging or an ImagingReduction (its method is auto, direct or fft, and no other argument applies);
            Visibilities; a VisibilityStream (or a generator of Visibilities: the parts of one observation), of
            which one part is held at a time; a Reduction on the same pixels, made earlier; or a list of these that
            see the same sky (their sums add).
        mask: Mask of N pixels.
        method: "direct", "direct32" (single precision correlation), "fft", "lowrank", "nufft" (the visibilities
            themselves, see `uvlens.normal.transforms`), or "auto": the cheapest for the source of the Model that
            takes it (see `uvlens.normal.choose`).
        primary_beam: "auto" (what the data carry), "none", or an array of shape (N,).
        pixel_window: divide out the response of a square pixel (for coarse pixels).
        options: backend, eps, chunk of the transforms (see `uvlens.nufft`).

    Returns:
        A normal operator (see `uvlens.normal.operator`).

    Raises:
        InputError: a mask that lies outside the field of view, data of different skies or the same data twice, or an
            unknown method.
    """
    if method == "nufft":
        if is_image(data):
            raise InputError("method nufft is for visibilities")
        data_sets = [data] if not isinstance(data, list | tuple) else list(data)
        return transforms_operator(
            data_sets, [reduce(one, mask, primary_beam, pixel_window, **options) for one in data_sets]
        )
    return operator_from_reduction(reduce(data, mask, primary_beam, pixel_window, **options), method)


def reduce(data, mask, primary_beam="auto", pixel_window=False, schedule=None, **options):
    """The Reduction of data on a mask: what `normal_operator` makes its operator from, arguments as there.

    Streams that can be cut are reduced in partitions; `schedule` says by whom (see `uvlens.normal.partitions`).
    """
    if isinstance(data, collections.abc.Iterator):
        data = VisibilityStream(data)
    if is_image(data):
        return reduce_image(data, mask)
    data_sets = [data] if isinstance(data, Visibilities | VisibilityStream | Reduction) else list(data)
    if any(is_image(one) for one in data_sets):
        raise InputError("an image adds to no other data: make an operator of each, then joint_operator([...])")
    if not data_sets:
        raise InputError("normal_operator needs at least one data set")
    is_alone = len(data_sets) == 1
    cut = [one for one in data_sets if isinstance(one, VisibilityStream) and one.partitions]
    reduced = iter(reduce_streams(cut, mask, primary_beam, pixel_window, options, schedule or Schedule(), is_alone))
    total = None
    for one in data_sets:
        if isinstance(one, Reduction):
            reduction = one.restrict(mask)
        elif isinstance(one, VisibilityStream) and one.partitions:
            reduction = next(reduced)
        else:
            reduction = _reduce_one(one, mask, primary_beam, pixel_window, options, is_alone)
        total = reduction if total is None else total + reduction
        check_same_sky(total.observations)
    assert total is not None
    _warn_if_undersampled(total)
    return total


def reduce_partitions(
    partitions,
    mask,
    *,
    primary_beam="auto",
    pixel_window=False,
    workers=None,
    scheduler=None,
    checkpoint=None,
    progress=None,
    **options,
):
    """The Reduction of data that are larger than memory, in threads or on a cluster, and resumed where it was stopped.

        stream = uvl.stream("huge.ms", field=0)
        reduction = uvl.reduce_partitions(stream, mask, scheduler="tcp://10.0.0.1:8786", checkpoint="huge.parts")
        normal = uvl.normal_operator(reduction, mask)

    Args:
        partitions: VisibilityStream of a file (see `uvlens.stream`), or a list of them, one for each observation.
        mask: Mask of N pixels.
        primary_beam, pixel_window, options: as for `normal_operator`.
        workers, scheduler, checkpoint, progress: see `uvlens.normal.partitions.Schedule`.

    Raises:
        InputError: as `normal_operator`; a scheduler that does not answer.
    """
    schedule = Schedule(workers, scheduler, checkpoint, progress)
    return reduce(partitions, mask, primary_beam, pixel_window, schedule, **options)


def _reduce_one(data, mask, primary_beam, pixel_window, options, is_alone):
    """The Reduction of one data set, whatever is wrong with it found as soon as it can be known."""
    sums = ReductionSums(mask, primary_beam=primary_beam, pixel_window=pixel_window, **options)
    is_known = False
    for i, part in enumerate([data] if isinstance(data, Visibilities) else data):
        if pixel_window:
            check_window(part, mask)
        if i == 0 and isinstance(primary_beam, str) and primary_beam == "auto" and part.primary_beam is not None:
            is_known = True
            check_field(part.name, part.primary_beam_fwhm, np.inf, mask, part.pointing_offset, is_alone)
        sums.add(part)
    observation = sums.observation
    if not is_known:
        check_field(observation.name, None, observation.shortest, mask)
    return sums.finish()


def operator_from_reduction(reduction: Reduction, method="auto", source: SourceSize | None = None):
    """The operator named `method` (or the cheapest for a source, "auto") on sums already made.

    Without a source "auto" takes one that is made at once; a Model then exchanges it (see `suited`).
    """
    if reduction.kind == "joint":
        return joint_operator([operator_from_reduction(part, method, source) for part in reduction.parts])
    if reduction.kind == "image":
        return psf_operator(reduction, method, source)
    if method == "auto":
        method, choice = cheapest(reduction, source) if source else quickest(reduction)
        return dataclasses.replace(_made(reduction, method), choice=choice)
    if method not in _OPERATORS:
        raise InputError(f"method must be auto, {' or '.join(_OPERATORS)}, got {method!r}")
    return _made(reduction, method)


def _made(reduction, method):
    """The operator of this name; a decomposition has its nuisances in it, others get them on top."""
    operator = _OPERATORS[method](reduction)
    return operator if method == "lowrank" else downdated(operator)


def suited(normal, source: SourceSize):
    """The operator that "auto" means for this source; one that was asked for by name stays."""
    if normal.reduction.kind == "joint":
        return joint_operator([suited(part, source) for part in normal.parts])
    if normal.reduction.kind == "image":
        return normal if normal.choice is None else psf_operator(normal.reduction, "auto", source)
    if normal.choice is None:
        return normal
    method, choice = cheapest(normal.reduction, source)
    if method == normal.method:
        return dataclasses.replace(normal, choice=choice)
    return operator_from_reduction(normal.reduction, "auto", source)


def load_normal_operator(path):
    """Read a normal operator that `save` wrote, or a compressed data set `.uvlens`."""
    reduction, header = Reduction.load(path)
    return operator_from_reduction(reduction, header.get("method", "auto"))


def _warn_if_undersampled(reduction):
    nyquist = 1.0 / (2.0 * reduction.mask.grid.pixel_scale * ARCSEC)
    longest = reduction.histogram.quantile(0.995)
    if nyquist < longest:
        warnings.warn(
            f'pixels of {reduction.mask.grid.pixel_scale:.4g}" undersample the longest baselines '
            f"(Nyquist / u_99.5 = {nyquist / longest:.2f}); suggested pixel scale "
            f'{reduction.histogram.pixel_scale():.4g}"',
            UVLensWarning,
            stacklevel=4,
        )
