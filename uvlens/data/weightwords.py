"""What a wrong scale of weights comes from, in words."""

import numpy as np


def explain_factor(data, factor, error, channels):
    """A sentence on weights that look wrong, or None where they look right (to 10 %, or 5 errors).

    Args:
        data: unflagged Visibilities of one spectral window.
        factor, error: true weight over the weight in the file.
        channels: of that window.
    """
    if np.ptp(data.weight) == 0.0 and data.weight[0] in (1.0, 2.0):
        return (
            f"every weight in the file is 1: it has none, as simulators leave it (true weight / weight in the file = "
            f"{factor:.4g} +- {error:.2g})"
        )
    if abs(factor - 1.0) <= max(0.1, 5.0 * error):
        return None
    sentence = f"weights look wrong: true weight / weight in the file = {factor:.4g} +- {error:.2g}"
    tolerance = max(0.05, 5.0 * error / factor)
    if _is_bandwidth_times_time(data):
        return f"{sentence}; the weights are 2 x channel width x integration time, never scaled to Jy"
    if channels > 1 and abs(factor / channels - 1.0) < tolerance:
        sentence += f"; the weights were divided by the number of channels ({channels}), as exportuvfits does"
        return sentence + (", or those of two hands were averaged, not added" if channels == 2 else "")
    if abs(factor / 2.0 - 1.0) < tolerance:
        return f"{sentence}; a factor of two: weights of two hands averaged, not added, or sigma that of |V|"
    if abs(factor * 2.0 - 1.0) < tolerance:
        return f"{sentence}; a factor of two: weights of two hands added for one, or noise shared by pairs of channels"
    return sentence


def _is_bandwidth_times_time(data):
    """Whether the weights are 2 dnu dt for each of one or two hands."""
    if data.channel_width is None or data.interval is None:
        return False
    ratio = np.quantile(data.weight, [0.05, 0.5, 0.95]) / np.median(2.0 * data.channel_width * data.interval)
    return bool(np.ptp(ratio) < 0.02 * ratio[1] and min(abs(ratio[1] - 1.0), abs(ratio[1] / 2.0 - 1.0)) < 0.02)
