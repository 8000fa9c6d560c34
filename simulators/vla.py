"""Simulate a VLA observation of a lensed galaxy: 27 antennas, 35 GHz.

python simulators/vla.py --out vla.npz --configuration B --hours 4
"""

import argparse

from uvlens.simulate.simfile import parse_simulation

CONTENT = {
    "phase_center": {"ra": "11h35m26.3s", "dec": "-01d46m06s"},
    "bandwidth": 4e9,
    "aperture_efficiency": 0.4,
    "sky": {"size": 8.0, "pixel_scale": 0.02},
    "lens": {
        "redshift": 0.6,
        "mass": [
            {"profile": "SIE", "theta_E": 1.2, "axis_ratio": 0.75, "position_angle": 40.0},
            {"profile": "Shear", "strength": 0.05, "position_angle": 120.0},
        ],
    },
    "source": {
        "redshift": 3.1,
        "light": [
            {"profile": "Sersic", "flux": 1e-3, "R_sersic": 0.3, "n_sersic": 1.0, "center_x": 0.1, "center_y": -0.05},
        ],
    },
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file; its name chooses the format")
    parser.add_argument("--configuration", default="B", choices=list("ABCD"), help="A: 36 km, B: 11, C: 3.4, D: 1")
    parser.add_argument("--hours", type=float, default=4.0, help="length of the track, centred on transit")
    parser.add_argument("--integration", type=float, default=120.0, help="seconds")
    parser.add_argument("--frequency", type=float, default=35e9, help="Hz")
    parser.add_argument("--tsys", type=float, default=50.0, help="system temperature [K]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    content = {
        **CONTENT,
        "array": f"vla.{a.configuration.lower()}",
        "hour_angle": [-0.5 * a.hours, 0.5 * a.hours],
        "integration": a.integration,
        "frequency": a.frequency,
        "noise": {"tsys": a.tsys},
        "seed": a.seed,
        "name": "VLA simulation",
    }
    data = parse_simulation(content).run()
    data.write(a.out)
    print(f"{len(data)} visibilities, {1e6 * data.sensitivity:.1f} uJy/beam, written to {a.out}")


if __name__ == "__main__":
    main()
