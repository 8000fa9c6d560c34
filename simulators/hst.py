"""Simulate an HST-like image of a lensed galaxy behind an early-type lens: data.fits, noise.fits, psf.fits, truth.json.

python simulators/hst.py --out hst/ --exposure 2000
"""

import argparse
from pathlib import Path

from uvlens.files import save_json
from uvlens.simulate.simfile import parse_simulation

CONTENT = {
    "image": {"shape": [120, 120], "pixel_scale": 0.05, "psf": {"gaussian": 0.1}},
    "exposure_time": 2000.0,
    "noise": {"background_rms": 0.01},
    "phase_center": {"ra": "09h46m00.0s", "dec": "+10d06m00s"},
    "over_sampling": {"sizes": [32, 8, 4], "radii": [0.1, 0.3], "centers": [[0.0, 0.0]]},
    "lens": {
        "redshift": 0.2,
        "mass": [
            {"profile": "SIE", "theta_E": 1.3, "axis_ratio": 0.8, "position_angle": 110.0},
            {"profile": "Shear", "strength": 0.05, "position_angle": 30.0},
        ],
        "light": [
            {"profile": "Sersic", "flux": 900.0, "R_sersic": 1.5, "n_sersic": 4.0, "e1": 0.05, "e2": 0.05},
        ],
    },
    "source": {
        "redshift": 0.6,
        "light": [
            {"profile": "Sersic", "flux": 12.0, "R_sersic": 0.12, "n_sersic": 1.0, "center_x": 0.15, "center_y": -0.1},
        ],
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder")
    parser.add_argument("--pixels", type=int, default=120, help="a side")
    parser.add_argument("--exposure", type=float, default=2000.0, help="seconds")
    parser.add_argument("--rms", type=float, default=0.01, help="of the background [electron/s per pixel]")
    parser.add_argument("--fwhm", type=float, default=0.1, help="of the PSF [arcsec]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    image = CONTENT["image"] | {"shape": [a.pixels, a.pixels], "psf": {"gaussian": a.fwhm}}
    content = {
        **CONTENT,
        "image": image,
        "exposure_time": a.exposure,
        "noise": {"background_rms": a.rms},
        "seed": a.seed,
    }
    simulation = parse_simulation(content)
    imaging = simulation.run()
    imaging.write(Path(a.out))
    save_json(Path(a.out) / "truth.json", simulation.truth)
    peak = float((imaging.data / imaging.noise).max())
    print(f"{a.pixels} x {a.pixels} pixels, highest S/N {peak:.0f}, written to {a.out}")


if __name__ == "__main__":
    main()
