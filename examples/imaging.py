# %% [markdown]
# # An image alone: lens light, source and PSF
# The same inversion as for visibilities with the PSF in the place of the beam: the light of the lens galaxy as a
# mixture of Gaussians whose fluxes are solved for, a pixelised source behind it. About a minute on two cores.

# %%
import numpy as np

import uvlens as uvl

truth = uvl.LensPlane([uvl.SIE(theta_E=1.0, e1=0.12, e2=-0.06)])
lens_galaxy = uvl.Sersic(flux=40.0, R_sersic=0.7, n_sersic=2.5, e1=0.1, e2=0.0)
galaxy = uvl.Sersic(flux=1.5, R_sersic=0.12, n_sersic=1.0, center_x=0.08, center_y=0.05)


def sky(x, y):
    """Lens galaxy and lensed source [electron/s/arcsec^2]."""
    return np.asarray(lens_galaxy.brightness(x, y)) + np.asarray(galaxy.brightness(*truth.ray_trace(x, y)))


image = uvl.observe_image(sky, 0.08, (50, 50), psf=0.16, exposure_time=2000.0, background_rms=0.01, seed=2)
print(image)

# %%
model = uvl.Model(
    uvl.normal_operator(image, image.mask(uvl.Mask.disc(1.8, 0.08))),
    uvl.LensPlane(
        [uvl.SIE(uvl.Uniform(0.7, 1.3), uvl.Normal(0.0, 0.15), uvl.Normal(0.0, 0.15))],
        light=[
            uvl.MGE(n_gaussians=10, sigma_min=0.02, sigma_max=2.5, e1=uvl.Normal(0.0, 0.1), e2=uvl.Normal(0.0, 0.1))
        ],
    ),
    uvl.PixelSource(uvl.RectangularMesh(15, 15, extent=0.45), uvl.Gradient(), positive=True),
    positions="none",
)
result = uvl.fit(model, method="optimize", seed=1, n_starts=2, n_screen=12)

# %%
summary = result.summary()
theta_E = summary["parameters"]["lens.mass.0.theta_E"]
magnification = summary["derived"]["source.magnification"]
print(f"theta_E {theta_E['median']:.4f} +- {theta_E['std']:.4f}   (truth 1.0)")
print(f"magnification {magnification['median']:.1f} +- {magnification['std']:.1f}")
print(f"chi^2 {summary['terms']['chi_squared']:.0f} of {summary['n_real_data']}")
assert abs(theta_E["median"] - 1.0) < 4.0 * theta_E["std"]
assert abs(summary["terms"]["chi_squared"] / summary["n_real_data"] - 1.0) < 0.15
