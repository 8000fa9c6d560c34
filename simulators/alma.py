"""Simulate an ALMA 12 m observation of a lensed galaxy: visibilities to any format that uvlens writes.

python simulators/alma.py --out alma.npz --configuration 5 --hours 1.0
"""

import argparse

from uvlens.demo import SIMULATION
from uvlens.simulate.simfile import parse_simulation


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file; its name chooses the format")
    parser.add_argument("--configuration", type=int, default=4, help="Cycle 10 configuration, 1 (compact) to 10")
    parser.add_argument("--hours", type=float, default=1.0, help="length of the track, centred on transit")
    parser.add_argument("--integration", type=float, default=60.0, help="seconds")
    parser.add_argument("--frequency", type=float, default=343.5e9, help="Hz")
    parser.add_argument("--channels", type=int, default=2, help="channels over the 7.5 GHz band")
    parser.add_argument("--tsys", type=float, default=150.0, help="system temperature [K]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    content = {
        **SIMULATION,
        "array": f"alma.cycle10.{a.configuration}",
        "hour_angle": [-0.5 * a.hours, 0.5 * a.hours],
        "integration": a.integration,
        "frequency": a.frequency,
        "n_channels": a.channels,
        "noise": {"tsys": a.tsys},
        "seed": a.seed,
        "name": "ALMA simulation",
    }
    data = parse_simulation(content).run()
    data.write(a.out)
    print(f"{len(data)} visibilities, {1e6 * data.sensitivity:.1f} uJy/beam, written to {a.out}")


if __name__ == "__main__":
    main()
