# %% [markdown]
# # Many lenses: a folder of model files on dask workers, and one table
# Three lenses here; the scheduler of a cluster takes three hundred in the same way (`scheduler="tcp://..."`). Fits that
# are stopped go on with `resume=True`. About a minute on two cores.

# %%
import tempfile
from pathlib import Path

import numpy as np
import yaml

import uvlens as uvl
from uvlens.simulate import lensed_image

RADII = {"alpha": 0.8, "beta": 1.0, "gamma": 1.2}


def write_lens(folder, name, theta_E, seed):
    """Data and model file of a lens."""
    truth = uvl.LensPlane([uvl.SIE(theta_E=theta_E, e1=0.1, e2=-0.05)])
    galaxy = uvl.Gaussian(flux=0.02, sigma=0.1, center_x=0.08, center_y=0.04)
    grid = uvl.PixelGrid((100, 100), 0.04)
    sky = (lensed_image(truth.ray_trace, galaxy.brightness, grid), grid.pixel_scale)
    track = {"hour_angle": (-1.5, 1.5), "integration": 600.0}
    uvl.observe(sky, "sma.extended", phase_center=(150.0, 2.0), sigma=2e-3, seed=seed, **track).write(
        folder / f"{name}.npz"
    )
    content = {
        "data": [{"file": f"{name}.npz", "weights": "file"}],
        "image_plane": {"pixel_scale": 0.12, "rays": 3, "mask": {"disc": {"radius": 1.9}}},
        "lens": {"mass": [{"profile": "SIE", "theta_E": {"uniform": [0.5, 1.5]}, "e1": 0.1, "e2": -0.05}]},
        "source": {
            "light": [
                {
                    "profile": "Gaussian",
                    "flux": {"loguniform": [1e-3, 0.5]},
                    "sigma": {"loguniform": [0.02, 0.5]},
                    "center_x": {"normal": [0.0, 0.2]},
                    "center_y": {"normal": [0.0, 0.2]},
                }
            ]
        },
        "fit": {"method": "optimize", "seed": 1, "n_starts": 2, "n_screen": 16},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))


# %% [markdown]
# Workers import the script: what starts them stands under a guard.

# %%
if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    for seed, (name, theta_E) in enumerate(RADII.items(), start=1):
        write_lens(folder, name, theta_E, seed)
    rows = uvl.fit_many(folder, folder / "fits", jobs=2, note=print)
    assert all(row["status"] == "finished" for row in rows), rows
    table = uvl.load_results(folder / "fits" / "*")
    for row in table:
        name, path = Path(row["folder"]).name, "lens.mass.0.theta_E"
        print(f"{name:6s} theta_E {row[path]:.4f} +- {row[path + '.std']:.4f}   (truth {RADII[name]})")
        assert abs(row[path] - RADII[name]) < 4.0 * row[path + ".std"]
    assert len(table) == len(RADII) and np.all(np.array(table["lens.mass.0.theta_E.std"]) < 0.05)
