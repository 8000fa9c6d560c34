"""From data by sky to normal operators by sky: channels share a curvature matrix where that changes nothing."""

from .normal import can_share, operator_from_reduction, share_curvature
from .sky import Sky


def sky_operators(data, source, image_plane, mask, method="auto", shares=True, note=lambda _: None):
    """[Sky] of one SkyData: one, or one for each channel where they cannot share.

    Args:
        data: SkyData.
        source: number of its source component.
        image_plane: ImagePlane, which reduces data sets on the mask.
        mask: Mask.
        method: of the operators.
        shares: whether channels may share W where they can.
        note: called with a sentence about it.
    """
    reductions = [image_plane.reduce(channel, mask) for channel in data.channels]
    if len(reductions) == 1:
        return [Sky(operator_from_reduction(reductions[0], method), data.name, source, data.frequencies)]
    assert data.frequencies is not None
    verdict = can_share(reductions) if shares else None
    if verdict is not None:
        note(f"{data.name or 'cube'}: {verdict.reason}")
    if verdict is not None and verdict.possible:
        shared = share_curvature(reductions)
        operator = operator_from_reduction(shared.reduction, method)
        return [Sky(operator, data.name, source, data.frequencies, shared)]
    return [
        Sky(operator_from_reduction(reduction, method), data.name, source, (frequency,))
        for reduction, frequency in zip(reductions, data.frequencies)
    ]
