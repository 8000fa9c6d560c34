"""Scans for a subhalo, and maps of the mass that would be seen.

    scan          Delta(x, m) = max_z ln E(data; z, subhalo m at x) - max_z ln E(data; z)
    sensitivity   the same for mock data that hold the subhalo: d~ = W L(subhalo) s (+ noise of covariance W)

z are all parameters of the fit, maximised with ln prior by a few quasi-Newton steps on the exact gradient that begin
with the metric of the posterior; or held at the best fit (`reoptimise=False`). The evidences are those of the source
given the parameters: no volume of the subhalo's own prior is paid for, so that a threshold of 10 nat, not of 0, means a
detection (as in the literature on gravitational imaging, where 50 has also been asked for).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from .compiled import Compiled
from .errors import InputError
from .grid import PixelGrid
from .perturber import Climber
from .scanmocks import MockData, check_mocks
from .scansetup import Setup
from .subhalomaps import THRESHOLD


def subhalo_scan(
    fit,
    grid,
    sizes,
    *,
    profile="SubhaloNFW",
    plane=0,
    reoptimise=True,
    steps=4,
    refine=True,
    threshold=THRESHOLD,
    directory=None,
    resume=False,
    progress=None,
    **fields,
):
    """Look for a subhalo: Delta ln E on a grid of positions and masses.

    Args:
        fit: Result, or (Model, physical vector of its best fit).
        grid: PixelGrid of the positions; those outside the mask of the first sky are left out.
        sizes: log10 of M200c / solar mass of a SubhaloNFW; Einstein radii [arcsec] of an SIS or PointMass.
        profile, plane: of the perturber.
        reoptimise: whether the parameters of the fit follow; otherwise they stay at the best fit.
        steps: quasi-Newton steps of each.
        refine: whether position, mass and all else are optimised from the best node of the grid.
        threshold: of a detection.
        directory: folder for a checkpoint, subhalo_scan.checkpoint.npz; None keeps none.
        resume: continue from it.
        progress: called with (message, fraction done).
        fields: of the perturber, numbers (concentration=..., tau=...).

    Returns:
        SubhaloMaps.

    Raises:
        InputError: see `with_perturber`; sizes that are none; a checkpoint of another scan; no position in the mask.
    """
    setup = Setup.of(fit, grid, sizes, profile, plane, reoptimise, steps, fields, progress)
    without, z_without = setup.base()
    climber = Climber(setup.perturbed.model, setup.vector_of)

    def deltas(numbers):
        return setup.maximised(climber, setup.places[numbers])

    found = setup.run("scan", deltas, directory, resume, progress)
    maps = setup.maps("scan", found, (without, z_without), threshold)
    if refine and np.isfinite(maps.delta_log_evidence).any():
        best = _refined(setup, maps, without)
        if best is not None and best["delta_log_posterior"] >= maps.best["delta_log_posterior"]:
            maps = dataclasses.replace(maps, best=best)
    return maps


def subhalo_sensitivity(
    fit,
    grid,
    sizes,
    *,
    profile="SubhaloNFW",
    plane=0,
    reoptimise=True,
    steps=4,
    noise=None,
    threshold=THRESHOLD,
    directory=None,
    resume=False,
    progress=None,
    **fields,
):
    """Which subhaloes would be seen: Delta ln E of mock data that hold one, fitted with it and without it.

    Mock data are the dirty images of the best fit's source seen through the lens with the subhalo, W L s, no
    visibilities needed; their noise, if asked for, has the covariance W. With the subhalo (position and mass as put in)
    and without it the parameters of the fit are optimised in the same way.

    Args:
        noise: seed of the noise, the same in all mocks; None: no noise, the expectation.
        others: as for `subhalo_scan`.

    Raises:
        InputError: as `subhalo_scan`; models with cubes, spectral indices or fluxes that are parameters.
    """
    setup = Setup.of(fit, grid, sizes, profile, plane, reoptimise, steps, fields, progress)
    check_mocks(setup.perturbed.macro)
    mock = MockData(setup, noise)
    with_it = Climber(setup.perturbed.model, setup.vector_of, mocked=True)
    macro = setup.perturbed.macro
    without_it = Climber(macro, lambda z, _: macro.parameters.from_normal(z), mocked=True)

    def deltas(numbers):
        places = setup.places[numbers]
        mocks = mock(places)
        value, z = setup.maximised(with_it, places, mocks)
        without, z_without = setup.maximised(without_it, places, mocks)
        prior = 0.5 * np.sum(z**2, axis=1) - 0.5 * np.sum(z_without**2, axis=1)
        return value - without, z, value - without + prior

    found = setup.run("sensitivity", deltas, directory, resume, progress, str(noise))
    return setup.maps("sensitivity", found, None, threshold, {"noise": noise})


def position_grid(mask, n, extent=None, center=None):
    """PixelGrid of n x n positions over a square of half-side `extent` [arcsec]: by default the box of a mask."""
    x, y = mask.x, mask.y
    if center is None:
        center = (0.5 * float(x.min() + x.max()), 0.5 * float(y.min() + y.max()))
    if extent is None:
        extent = 0.5 * float(max(np.ptp(x), np.ptp(y)))
    if n < 1 or not extent > 0.0:
        raise InputError(f"subhalo: a grid needs n >= 1 and extent > 0, got {n}, {extent}")
    return PixelGrid((n, n), 2.0 * extent / n, tuple(center))


def _refined(setup, maps, without):
    """The best position, mass and macro model from the best node of the grid, by L-BFGS on everything; or None."""
    place = np.array([maps.best["x"], maps.best["y"], maps.best[setup.size_name]])
    posterior = maps.delta_log_posterior
    q, row, column = np.unravel_index(np.nanargmax(posterior), posterior.shape)
    macro, n = setup.perturbed.macro.parameters, len(setup.z)
    z = np.asarray(macro.to_normal(jnp.asarray(maps.macro[q, row, column]))) if n else np.zeros(0)
    of_size = 0.3 if setup.size_name == "log10_mass" else 0.3 * place[2]
    unit = np.array([setup.grid.pixel_scale, setup.grid.pixel_scale, of_size])
    root = np.linalg.cholesky(setup.metric) if setup.reoptimise else np.zeros((n, 0))

    def value(model, t):
        z_t = z + root @ t[: root.shape[1]]
        likelihood = model.log_likelihood(setup.vector_of(z_t, place + unit * t[root.shape[1] :]))
        return likelihood - 0.5 * jnp.sum(z_t**2), likelihood

    gradient_of = jax.value_and_grad(value, argnums=1, has_aux=True)
    function = Compiled(gradient_of, setup.perturbed.model)

    def objective(t):
        (total, _), gradient = function(jnp.asarray(t))
        if not np.isfinite(float(total)):
            return 1e10, np.zeros(len(t))
        return -float(total), -np.nan_to_num(np.asarray(gradient))

    size = root.shape[1] + 3
    bounds = [(-6.0, 6.0)] * root.shape[1] + [(-1.5, 1.5)] * 2 + [(-3.0, 3.0)]
    found = scipy.optimize.minimize(
        objective, np.zeros(size), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 25, "ftol": 1e-9}
    )
    (total, likelihood), _ = function(jnp.asarray(found.x))
    if not np.isfinite(float(total)):
        return None
    x, y, mass = (float(v) for v in place + unit * found.x[root.shape[1] :])
    base = without + 0.5 * float(setup.z @ setup.z)
    return {
        "x": x,
        "y": y,
        setup.size_name: mass,
        "delta_log_evidence": float(likelihood) - base,
        "delta_log_posterior": float(total) - without,
    }
