"""Simulate an SMA track on a bright lensed galaxy: eight antennas, a few thousand visibilities.

python simulators/sma.py --out sma.npz --configuration extended --hours 6
"""

import argparse

from uvlens.simulate.simfile import parse_simulation

CONTENT = {
    "phase_center": {"ra": "09h03m11.6s", "dec": "+00d39m06s"},
    "sky": {"size": 8.0, "pixel_scale": 0.02},
    "lens": {
        "redshift": 0.3,
        "mass": [
            {"profile": "SIE", "theta_E": 1.5, "axis_ratio": 0.8, "position_angle": 10.0},
            {"profile": "Shear", "strength": 0.04, "position_angle": 100.0},
        ],
    },
    "source": {
        "redshift": 3.0,
        "light": [
            {"profile": "Sersic", "flux": 0.02, "R_sersic": 0.25, "n_sersic": 1.0, "center_x": 0.1, "center_y": 0.05},
            {"profile": "Gaussian", "flux": 0.005, "sigma": 0.08, "center_x": -0.15, "center_y": 0.2},
        ],
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file; its name chooses the format")
    choices = ["subcompact", "compact", "extended", "vextended"]
    parser.add_argument("--configuration", default="extended", choices=choices)
    parser.add_argument("--hours", type=float, default=6.0, help="length of the track, centred on transit")
    parser.add_argument("--integration", type=float, default=300.0, help="seconds")
    parser.add_argument("--frequency", type=float, default=340e9, help="Hz")
    parser.add_argument("--tsys", type=float, default=300.0, help="system temperature [K]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    content = {
        **CONTENT,
        "array": f"sma.{a.configuration}",
        "hour_angle": [-0.5 * a.hours, 0.5 * a.hours],
        "integration": a.integration,
        "frequency": a.frequency,
        "bandwidth": 8e9,
        "noise": {"tsys": a.tsys},
        "seed": a.seed,
        "name": "SMA simulation",
    }
    data = parse_simulation(content).run()
    data.write(a.out)
    print(f"{len(data)} visibilities, {1e3 * data.sensitivity:.2f} mJy/beam, written to {a.out}")


if __name__ == "__main__":
    main()
