# %% [markdown]
# # SPT0346-52 with one Sersic profile: real ALMA data, no pixels
# 140 GHz continuum of a galaxy at z = 5.656 (Spilker et al. 2016). UVLENS_DATA names the folder with
# spt0346/SPT0346-52_cont.bin of github.com/jspilker/visilens. About a minute on two cores.

# %%
import os
from pathlib import Path

import uvlens as uvl

folder = Path(os.environ.get("UVLENS_DATA", "../shared/data"))
data = uvl.Visibilities.read(folder / "spt0346" / "SPT0346-52_cont.bin")
print(data)

# %% [markdown]
# The lens lies 0.6" to the East and 0.33" to the South of the phase centre.

# %%
mask = uvl.Mask.disc(2.0, 0.05, center=(0.6, -0.33))
normal = uvl.normal_operator(data, mask)


def shape():
    """Prior of an ellipticity component."""
    return uvl.TruncNormal(0.0, 0.3, -0.8, 0.8)


sie = uvl.SIE(uvl.Uniform(0.5, 1.5), shape(), shape(), uvl.Normal(0.6, 0.1), uvl.Normal(-0.33, 0.1))
shear = uvl.Shear(uvl.Normal(0.0, 0.1), uvl.Normal(0.0, 0.1))
sersic = uvl.Sersic(
    flux=uvl.LogUniform(1e-3, 0.1),
    R_sersic=uvl.LogUniform(0.02, 0.5),
    n_sersic=uvl.Uniform(0.3, 4.0),
    e1=shape(),
    e2=shape(),
    center_x=uvl.Normal(0.6, 0.3),
    center_y=uvl.Normal(-0.33, 0.3),
)
lens = uvl.LensPlane([sie, shear], redshift=0.8)
model = uvl.Model(normal, lens, uvl.Source(light=[sersic], redshift=5.656), rays=2)
result = uvl.fit(model, method="optimize", seed=1)

# %%
summary = result.summary()
for path, values in summary["parameters"].items():
    print(f"{path:28s} {values['median']:8.4f} +- {values['std']:.4f}")
mu, chi_squared = summary["derived"]["source.magnification"], summary["terms"]["chi_squared"]
print(f"magnification {mu['median']:.2f} +- {mu['std']:.2f}; chi^2 {chi_squared:.0f} of {summary['n_real_data']}")

# %% [markdown]
# With exact transforms theta_E is 0.996 +- 0.010 arcsec (published, through visilens: 0.979 +- 0.007), chi^2 44,794.

# %%
assert abs(summary["parameters"]["lens.mass.0.theta_E"]["median"] - 0.996) < 0.02
assert chi_squared < 44_800
