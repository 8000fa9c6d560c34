"""From data by sky to normal operators by sky: channels share a curvature matrix where that changes nothing."""

from .errors import InputError
from .normal import can_share, operator_from_reduction, share_curvature
from .normal.spectral import spectral_reduction
from .normal.transforms import transforms_operator
from .sky import Sky


def sky_operators(
    data,
    sources,
    image_plane,
    mask,
    method="auto",
    shares=True,
    has_index=False,
    note=lambda _: None,
    schedule=None,
):
    """[Sky] of one SkyData: one, or one for each channel where they cannot share.

    Args:
        data: SkyData.
        sources: numbers of its source components.
        image_plane: ImagePlane, which reduces data sets on the mask.
        mask: Mask.
        method: of the operators.
        shares: whether channels may share W where they can.
        has_index: whether the source has a spectral index.
        note: called with a sentence about it.
        schedule: of reductions in partitions, or None.
    """
    if has_index:
        if len(data.channels) > 1:
            raise InputError(f"{data.name or 'cube'}: a spectral index is for merged channels, these are separate")
        spectral = spectral_reduction(data.channels[0], lambda members: image_plane.reduce(members, mask, schedule))
        note(f"spectral index about {spectral.reference_frequency / 1e9:.4f} GHz, {len(spectral.groups)} groups")
        operator = operator_from_reduction(spectral.at(0.0), method)
        return [Sky(operator, data.name, sources, spectral=spectral)]
    method = image_plane.operator if method == "auto" else method
    if method == "nufft":
        if len(data.channels) > 1:
            raise InputError("operator nufft is for merged channels, these are separate")
        alone = [image_plane.reduce([one], mask, schedule) for one in data.channels[0]]
        operator = transforms_operator(data.channels[0], alone)
        return [Sky(operator, data.name, sources, data.frequencies, over_sampling=image_plane.over_sampling)]
    reductions = [image_plane.reduce(channel, mask, schedule) for channel in data.channels]
    if len(reductions) == 1:
        operator, sampling = operator_from_reduction(reductions[0], method), image_plane.over_sampling
        return [Sky(operator, data.name, sources, data.frequencies, over_sampling=sampling)]
    assert data.frequencies is not None
    verdict = can_share(reductions) if shares else None
    if verdict is not None:
        note(f"{data.name or 'cube'}: {verdict.reason}")
    if verdict is not None and verdict.possible:
        shared = share_curvature(reductions)
        operator = operator_from_reduction(shared.reduction, method)
        sampling = image_plane.over_sampling
        return [Sky(operator, data.name, sources, data.frequencies, shared, over_sampling=sampling)]
    return [
        Sky(
            operator_from_reduction(reduction, method),
            data.name,
            sources,
            (frequency,),
            over_sampling=image_plane.over_sampling,
        )
        for reduction, frequency in zip(reductions, data.frequencies)
    ]


def image_sky(sky, sources, method="auto", note=lambda _: None):
    """The Sky of an image.

    Args:
        sky: ImageSky.
        sources: numbers of its source components.
        method: of the operator.
        note: called with a sentence about it.
    """
    from .light import Background
    from .normal import normal_operator

    entry = sky.entry
    operator = normal_operator(sky.imaging, sky.mask, method)
    light = (Background(),) if entry.background else ()
    return Sky(operator, sky.name, sources, light=light, rays=entry.rays, over_sampling=entry.over_sampling)
