# %% [markdown]
# # Few visibilities: a night with eight antennas of the SMA
# A thousand visibilities say little about the shape of a source: a Sersic profile is what they can bear, and the
# normal operator has a low rank. Under a minute on two cores.

# %%
import uvlens as uvl
from uvlens.simulate import lensed_image

truth = uvl.LensPlane([uvl.SIE(theta_E=1.5, e1=0.1, e2=-0.05)])
galaxy = uvl.Sersic(flux=0.02, R_sersic=0.25, n_sersic=1.0, center_x=0.2, center_y=0.1)
grid = uvl.PixelGrid((200, 200), 0.04)
data = uvl.observe(
    (lensed_image(truth.ray_trace, galaxy.brightness, grid), grid.pixel_scale),
    "sma.extended",
    declination=10.0,
    hour_angle=(-3.0, 3.0),
    integration=600.0,
    frequency=340e9,
    bandwidth=8e9,
    tsys=300.0,
    seed=1,
)
print(data)
print(f"{1e3 * data.sensitivity:.2f} mJy/beam")

# %% [markdown]
# Baselines up to 226 m: the beam is 0.7 arcsec. Pixels of 0.1 arcsec and 4 x 4 rays in each are plenty.

# %%
normal = uvl.normal_operator(data, uvl.Mask.disc(3.0, 0.1))
model = uvl.Model(
    normal,
    [uvl.SIE(uvl.Uniform(1.0, 2.0), uvl.Normal(0.0, 0.1), uvl.Normal(0.0, 0.1))],
    uvl.Sersic(
        flux=uvl.LogUniform(1e-3, 0.2),
        R_sersic=uvl.LogUniform(0.05, 1.0),
        n_sersic=1.0,
        center_x=uvl.Normal(0.0, 0.3),
        center_y=uvl.Normal(0.0, 0.3),
    ),
)
result = uvl.fit(model, method="optimize", seed=1, n_starts=3, n_screen=24)
summary = result.summary()
for path, true in {"lens.mass.0.theta_E": 1.5, "source.light.0.flux": 0.02, "source.light.0.R_sersic": 0.25}.items():
    found = summary["parameters"][path]
    print(f"{path:26s} {found['median']:8.4f} +- {found['std']:.4f}   (truth {true})")
    assert abs(found["median"] - true) < 4.0 * found["std"]

# %%
assert summary["parameters"]["lens.mass.0.theta_E"]["std"] < 0.1
