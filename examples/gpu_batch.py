# %% [markdown]
# # Many likelihoods at once
# `uvl.evaluate_batch` spreads a batch of parameter vectors over every device that JAX sees: on an accelerator a batch
# shares each launch, on a CPU vectors follow one another. The same script runs on both, and gives the same numbers.

# %%
import time

import jax
import numpy as np

import uvlens as uvl
from uvlens.simulate import lensed_image

truth = uvl.LensPlane([uvl.SIE(theta_E=1.0, e1=0.1, e2=-0.05)])
galaxy = uvl.Gaussian(flux=0.01, sigma=0.1, center_x=0.08, center_y=0.04)
grid = uvl.PixelGrid((100, 100), 0.04)
data = uvl.observe(
    (lensed_image(truth.ray_trace, galaxy.brightness, grid), grid.pixel_scale),
    "sma.extended",
    declination=20.0,
    hour_angle=(-1.0, 1.0),
    integration=600.0,
    sigma=2e-3,
    seed=1,
)
model = uvl.Model(
    uvl.normal_operator(data, uvl.Mask.disc(1.8, 0.12)),
    [uvl.SIE(uvl.Uniform(0.7, 1.3), uvl.Normal(0.0, 0.2), uvl.Normal(0.0, 0.2))],
    uvl.PixelSource(uvl.RectangularMesh(10, 10, extent=0.6), uvl.Gradient()),
    positions="none",
)
print(jax.devices())

# %%
rng = np.random.default_rng(1)
vectors = np.array([model.parameters.from_normal(0.3 * z) for z in rng.normal(size=(16, len(model.parameters)))])
start = time.perf_counter()
values, gradients = uvl.evaluate_batch(model, vectors, gradient=True)
values, gradients = np.asarray(values), np.asarray(gradients)
print(f"{len(vectors)} likelihoods with gradients, the compilation included: {time.perf_counter() - start:.1f} s")

# %% [markdown]
# One by one they are the same, and the best of the batch is near the truth.

# %%
one = jax.jit(lambda vector: model.log_likelihood(vector))
assert np.allclose([float(one(vector)) for vector in vectors], values, rtol=1e-9)
assert np.isfinite(gradients).all() and gradients.shape == vectors.shape
best = dict(zip(model.parameters.paths, vectors[np.argmax(values)]))
print(f"theta_E of the best of {len(vectors)} draws: {best['lens.mass.0.theta_E']:.3f}   (truth 1.0)")
assert abs(best["lens.mass.0.theta_E"] - 1.0) < 0.1
