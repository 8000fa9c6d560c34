"""Simulate a JWST-like near-infrared image of a lensed galaxy behind a faint lens: data.fits, noise.fits, psf.fits.

python simulators/jwst.py --out jwst/ --exposure 600

The PSF is a Gaussian of the width of NIRCam's at 2.8 micron, without its spikes; --psf FITS takes your own.
"""

import argparse
from pathlib import Path

from uvlens.files import save_json
from uvlens.simulate.simfile import parse_simulation

CONTENT = {
    "phase_center": {"ra": "14h17m36.5s", "dec": "+52d26m40s"},
    "lens": {
        "redshift": 1.1,
        "mass": [
            {"profile": "SIE", "theta_E": 1.0, "axis_ratio": 0.7, "position_angle": 25.0},
            {"profile": "Shear", "strength": 0.04, "position_angle": 80.0},
        ],
        "light": [
            {"profile": "Sersic", "flux": 150.0, "R_sersic": 0.6, "n_sersic": 4.0, "e1": -0.1, "e2": 0.1},
        ],
    },
    "source": {
        "redshift": 4.2,
        "light": [
            {"profile": "Sersic", "flux": 10.0, "R_sersic": 0.15, "n_sersic": 1.0, "center_x": -0.08, "center_y": 0.1},
            {"profile": "Gaussian", "flux": 2.0, "sigma": 0.03, "center_x": 0.05, "center_y": 0.02},
        ],
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder")
    parser.add_argument("--pixels", type=int, default=128, help="a side")
    parser.add_argument("--pixel-scale", type=float, default=0.03, help="arcsec")
    parser.add_argument("--exposure", type=float, default=600.0, help="seconds")
    parser.add_argument("--rms", type=float, default=0.005, help="of the background [electron/s per pixel]")
    parser.add_argument("--fwhm", type=float, default=0.092, help="of the PSF [arcsec]")
    parser.add_argument("--psf", help="FITS file in the place of a Gaussian")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    image = {"shape": [a.pixels, a.pixels], "pixel_scale": a.pixel_scale, "psf": a.psf or {"gaussian": a.fwhm}}
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
