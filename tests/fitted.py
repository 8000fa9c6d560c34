"""A small lens, its data, its model and a Result about its best fit that no search was run for."""

import jax.numpy as jnp
import numpy as np
from conftest import lensed_visibilities

import uvlens as uvl
from uvlens.inference.density import Density
from uvlens.inference.optimize import climb, laplace_covariance
from uvlens.results import Result

TRUTH = {"theta_E": 0.8, "e1": 0.1, "e2": -0.06, "center_x": 0.03, "center_y": -0.02}


def small_data(lens=None, seed=3, n=300, snr=6.0):
    """300 visibilities of a ring."""
    lens = uvl.LensPlane([uvl.SIE(**TRUTH)]) if lens is None else lens
    return lensed_visibilities(n, seed, lens, snr=snr, longest=3e5)


def small_model(data, positive=False, low=0.7, strengths=(1e-3, 1e3), **more):
    """Two free parameters of the lens and the strength."""
    normal = uvl.normal_operator(data, uvl.Mask.annulus(0.3, 1.3, 0.1))
    sie = uvl.SIE(uvl.Uniform(low, 0.9), uvl.TruncNormal(0.1, 0.1, -0.5, 0.5), -0.06, 0.03, -0.02)
    pixels = uvl.PixelSource(
        uvl.RectangularMesh(10, 10, extent=0.5), uvl.Gradient(uvl.LogUniform(*strengths)), positive
    )
    return uvl.Model(normal, uvl.LensPlane([sie], 0.5), uvl.Source(pixels, redshift=2.0), rays=2, **more)


def laplace_result(model, n_samples=200, seed=1):
    """(Result with Gaussian samples about the optimum, covariance in the unconstrained space)."""
    density = Density(model)
    z = climb(density, np.zeros(density.size), 60).x
    covariance = laplace_covariance(density, z)
    drawn = z + np.random.default_rng(seed).normal(size=(n_samples, len(z))) @ np.linalg.cholesky(covariance).T
    vectors = np.array([model.parameters.from_normal(jnp.asarray(one)) for one in drawn])
    best = np.asarray(model.parameters.from_normal(jnp.asarray(z)))
    value = density.log_likelihood(best)
    likelihood = density.log_likelihoods(vectors)
    stats = {"diverging": np.zeros(n_samples, bool), "n_steps": np.arange(n_samples)}
    options = {"method": "nuts", "seed": seed, "n_chains": 2, "log_evidence_minus_null": None, "sample_stats": stats}
    cost = {"n_evaluations": 10, "n_gradients": 5, "wall_seconds": 1.0, "notes": ("a note",)}
    diagnostics = {"r_hat_max": 1.0, "n_chains": 2, "basins": []}
    return Result(
        model=model,
        vectors=vectors,
        log_likelihood=likelihood,
        best_vector=best,
        best_log_likelihood=value,
        diagnostics=diagnostics,
        **options,
        **cost,
    ), covariance
