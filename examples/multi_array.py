# %% [markdown]
# # One sky, two configurations: short and long baselines in one fit
# ALMA's compact configuration holds the flux of the ring, the extended one its width. Their sums add in one normal
# operator, each with its own primary beam; data of another telescope join the list in the same way. Under a minute on
# two cores.

# %%
import uvlens as uvl
from uvlens.simulate import lensed_image

truth = uvl.LensPlane([uvl.SIE(theta_E=1.0, e1=0.12, e2=-0.06)])
galaxy = uvl.Sersic(flux=8e-3, R_sersic=0.15, n_sersic=1.0, center_x=0.1, center_y=0.05)
grid = uvl.PixelGrid((200, 200), 0.02)
image = lensed_image(truth.ray_trace, galaxy.brightness, grid)


def observed(array, integration, seed):
    """A short track."""
    return uvl.observe(
        (image, grid.pixel_scale),
        array,
        declination=-30.0,
        hour_angle=(-0.2, 0.2),
        integration=integration,
        sigma=0.02,
        seed=seed,
        name=array,
    )


compact = observed("alma.cycle10.1", 360.0, 1)
extended = observed("alma.cycle10.4", 360.0, 2)
single = observed("sma.extended", 120.0, 3)
sets = {"compact": [compact], "extended": [extended], "all": [compact, extended, single]}

# %%
mask = uvl.Mask.disc(1.8, 0.06)
errors = {}
for name, data in sets.items():
    model = uvl.Model(
        uvl.normal_operator(data, mask, pixel_window=True),
        [uvl.SIE(uvl.Uniform(0.7, 1.3), uvl.Normal(0.0, 0.15), uvl.Normal(0.0, 0.15))],
        uvl.Sersic(
            flux=uvl.LogUniform(1e-3, 0.1),
            R_sersic=uvl.LogUniform(0.03, 0.5),
            n_sersic=1.0,
            center_x=uvl.Normal(0.0, 0.2),
            center_y=uvl.Normal(0.0, 0.2),
        ),
        rays=3,
    )
    values = uvl.fit(model, method="optimize", seed=1, n_starts=2, n_screen=16).summary()["parameters"]
    found = values["lens.mass.0.theta_E"]
    print(f"{name:9s} theta_E {found['median']:.4f} +- {found['std']:.4f}   (truth 1.0)")
    assert abs(found["median"] - 1.0) < 4.0 * found["std"]
    errors[name] = found["std"]

# %%
assert errors["all"] < min(errors["compact"], errors["extended"])
