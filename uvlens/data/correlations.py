"""From the correlations of two polarisations to Stokes I.

    I = sum_p w_p V_p / sum_p w_p,   w_I = sum_p w_p      over the parallel hands p, XX and YY or RR and LL

Each hand carries the whole of Stokes I, and sigma of the real and of the imaginary part is w^-1/2. With `stokes="both"`
a visibility counts only where both hands do: polarised emission then cancels; with "any" one hand is enough; with the
name of a hand it alone is taken.
"""

import numpy as np

from ..errors import InputError

NAMES = {1: "I", 5: "RR", 6: "RL", 7: "LR", 8: "LL", 9: "XX", 10: "XY", 11: "YX", 12: "YY"}
"""CASA's numbers of correlations; UVFITS counts downwards from -1 (RR, LL, RL, LR, XX, YY, XY, YX)."""
UVFITS_NAMES = {1: "I", -1: "RR", -2: "LL", -3: "RL", -4: "LR", -5: "XX", -6: "YY", -7: "XY", -8: "YX"}
CHOICES = ("both", "any", "XX", "YY", "RR", "LL")


def check_stokes(name, stokes):
    """Refuse what is no choice of hands."""
    if stokes not in CHOICES:
        raise InputError(f"{name}: stokes must be both or any, or one of {', '.join(CHOICES[2:])}, got {stokes!r}")


def total_intensity(name, vis, weight, hands, stokes):
    """(vis, weight) of Stokes I, shape (..., ), from arrays of shape (..., P).

    Args:
        name: of the file, for messages.
        vis: complex; not looked at where the weight is 0.
        weight: 1 / sigma^2, 0 where flagged.
        hands: names of the P correlations.
        stokes: "both", "any", or the name of one hand.

    Raises:
        InputError: no parallel hands, or an unknown choice.
    """
    check_stokes(name, stokes)
    one_hand = stokes not in ("both", "any")
    if one_hand and stokes not in hands:
        raise InputError(f"{name}: no correlation {stokes}; it has {', '.join(hands)}")
    for wanted in ((stokes,),) if one_hand else (("I",), ("XX", "YY"), ("RR", "LL")):
        chosen = [i for i, hand in enumerate(hands) if hand in wanted]
        if chosen:
            break
    else:
        raise InputError(f"{name}: no parallel hands among the correlations {', '.join(hands)}")
    weight = weight[..., chosen]
    vis = np.where(weight > 0.0, vis[..., chosen], 0.0)
    total = weight.sum(axis=-1)
    if stokes != "any":
        total = np.where(np.all(weight > 0.0, axis=-1), total, 0.0)
    mean = (weight * vis).sum(axis=-1) / np.where(total > 0.0, total, 1.0)
    return np.where(total > 0.0, mean, 0.0), total


def usable_weight(weight, flag):
    """Weights with 0 for what is flagged, and for what no weight can be: infinite, NaN or negative."""
    weight = np.asarray(weight, dtype=np.float64)
    return np.where(flag | ~np.isfinite(weight) | (weight <= 0.0), 0.0, weight)
