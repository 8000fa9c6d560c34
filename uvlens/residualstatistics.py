"""What is left of the data in units of its errors, and what numbers of pure noise would be."""

import numpy as np
from scipy.stats import kurtosis, norm

from .products import all_cells, model_cells

BEYOND = 3.0


def whitened_residuals(one):
    """(data - model) / error of a Reconstruction: real and imaginary parts of its uv cells, or its fitted pixels.

    Draws of a unit normal where model and weights are right, but for what the fit itself takes out of them.
    """
    reduction = one.reduction
    if one.of_sky.is_image:
        good = reduction.weight > 0.0
        left = reduction.data[good] - reduction.predict(one.image)[good]
        return left * np.sqrt(one.weight_scale * reduction.weight[good])
    _, _, vis, weight = all_cells(reduction)
    left = (vis - np.concatenate(model_cells(one))) * np.sqrt(one.weight_scale * weight)
    return np.concatenate([left.real, left.imag])


def residual_statistics(values):
    """{name: (found, expected of n draws of a unit normal, standard deviation of that or None)} of n numbers."""
    n = len(values)
    share = 2.0 * norm.sf(BEYOND)
    largest = float(norm.isf(0.5 * -np.expm1(np.log(0.5) / n)))
    return {
        "mean": (float(values.mean()), 0.0, n**-0.5),
        "standard deviation": (float(values.std()), 1.0, (2.0 * n) ** -0.5),
        f"beyond {BEYOND:g} sigma": (int(np.sum(np.abs(values) > BEYOND)), n * share, (n * share) ** 0.5),
        "largest": (float(np.abs(values).max()), largest, None),
        "excess kurtosis": (float(kurtosis(values)), 0.0, (24.0 / n) ** 0.5),
    }
