"""Discretisation noise of ln E: its scatter about a smooth curve along every parameter, near the optimum.

A mesh whose weights have kinks puts steps and kinks into ln E. Searches with gradients and Laplace's approximation see
them when they are no longer small against 1 nat; B-splines on lattices have none (docs/meshes.md has the values).
"""

import numpy as np

LARGEST = 0.1
"""Of the roughness that a gradient search takes without harm [nat]."""
_ORDER = 4


def roughness(density, z, covariance, n_points=11):
    """Rms scatter of the log density about a polynomial of fourth order, within 1 sigma of the optimum.

    Along each coordinate, at `n_points` equal steps within +- its conditional standard deviation; the rms is divided by
    the fraction of degrees of freedom that the polynomial leaves, so that white noise gives its standard deviation.

    Args:
        density: Density of n parameters; n * n_points evaluations, no gradients.
        z: the optimum, unconstrained, shape (n,).
        covariance: of the Gaussian there, shape (n, n).
        n_points: at least 8.

    Returns:
        dict parameter path -> rms [nat]; NaN along a coordinate where the density is not finite everywhere.
    """
    z, paths = np.asarray(z, dtype=float), density.model.parameters.paths
    sigma = np.diag(np.linalg.inv(covariance)) ** -0.5
    steps = np.linspace(-1.0, 1.0, n_points)
    found = {}
    for i, path in enumerate(paths):
        offset = np.zeros(len(z))
        offset[i] = sigma[i]
        values = np.array([density.value(z + step * offset) for step in steps])
        found[path] = rms_about_polynomial(steps, values)
    return found


def rms_about_polynomial(steps, values, order=_ORDER):
    """Standard deviation of what a polynomial leaves of values (M,), M > order + 1; NaN where one is impossible."""
    if np.any(values < -1e29) or not np.all(np.isfinite(values)):
        return float("nan")
    rest = values - np.polynomial.Polynomial.fit(steps, values, order)(steps)
    return float(np.sqrt(np.sum(rest**2) / (len(values) - order - 1)))


def roughness_warning(found):
    """A sentence where the roughness of a gradient search is too large, else None.

    Args:
        found: of `roughness`.
    """
    finite = {path: value for path, value in found.items() if np.isfinite(value)}
    if not finite or max(finite.values()) <= LARGEST:
        return None
    path = max(finite, key=lambda one: finite[one])
    return (
        f"ln E is rough: {finite[path]:.2g} nat about a smooth curve along {path} (want < {LARGEST}): take a spline "
        f"basis on a rectangular mesh, more rays per pixel, or nautilus, which uses no gradients"
    )
