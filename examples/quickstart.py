# %% [markdown]
# # Quickstart: visibilities to a lens model in Python
# The same objects that `uvlens demo` uses, on a small simulation (under a minute on two cores).

# %%
import numpy as np

import uvlens as uvl
from uvlens.simulate import lensed_image

# %% [markdown]
# A lens and a source that no Sersic profile describes, seen by ALMA.

# %%
truth = uvl.LensPlane([uvl.SIE(theta_E=1.0, e1=0.1, e2=-0.05), uvl.Shear(gamma1=0.03, gamma2=0.02)])


def source(x, y):
    """Two clumps [Jy/arcsec^2]."""
    first = np.exp(-0.5 * ((x - 0.10) ** 2 + (y - 0.05) ** 2) / 0.08**2)
    return 0.02 * (first + 0.6 * np.exp(-0.5 * ((x + 0.08) ** 2 + (y - 0.12) ** 2) / 0.06**2))


grid = uvl.PixelGrid((200, 200), 0.025)
image = lensed_image(truth.ray_trace, source, grid)
data = uvl.observe(
    (image, grid.pixel_scale),
    "alma.cycle10.3",
    declination=-30.0,
    hour_angle=(-0.2, 0.2),
    integration=180.0,
    sigma=4e-3,
    seed=1,
)
print(data)

# %% [markdown]
# Reduce once, then every likelihood costs the same however many visibilities there were.

# %%
mask = uvl.Mask.disc(radius=1.8, pixel_scale=data.suggested_pixel_scale())
normal = uvl.normal_operator(data, mask, pixel_window=True)
print(normal)

model = uvl.Model(
    normal,
    lens=[
        uvl.SIE(
            theta_E=uvl.Uniform(0.6, 1.4),
            e1=uvl.TruncNormal(0.0, 0.2, -0.5, 0.5),
            e2=uvl.TruncNormal(0.0, 0.2, -0.5, 0.5),
        ),
        uvl.Shear(gamma1=uvl.Normal(0.0, 0.05), gamma2=uvl.Normal(0.0, 0.05)),
    ],
    source=uvl.PixelSource(uvl.RectangularMesh(16, 16, extent=0.45), uvl.Gradient(), positive=True),
    positions="auto",  # images that must meet behind the lens, read off the data
)
result = uvl.fit(model, method="optimize", seed=1)

# %%
summary = result.summary()
for path, values in summary["parameters"].items():
    print(f"{path:40s} {values['median']:8.4f} +- {values['std']:.4f}")
theta_E = summary["parameters"]["lens.mass.0.theta_E"]
assert abs(theta_E["median"] - 1.0) < 3.5 * theta_E["std"]
