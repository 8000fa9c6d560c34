"""Simulate an ALMA 12 m observation of a lensed galaxy: visibilities to any format that uvlens writes.

python simulators/alma.py --out alma.npz --configuration compact --hours 1.0

compact, extended and long are configurations 2, 6 and 9 of Cycle 10: baselines to 0.3, 2.5 and 13.9 km.
"""

import argparse

from uvlens.demo import SIMULATION
from uvlens.simulate.simfile import parse_simulation

NAMED = {"compact": "2", "extended": "6", "long": "9"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="file; its name chooses the format")
    choices = [*NAMED, *map(str, range(1, 11))]
    parser.add_argument("--configuration", default="4", choices=choices, help="a name, or its number in Cycle 10")
    parser.add_argument("--hours", type=float, default=1.0, help="length of the track, centred on transit")
    parser.add_argument("--integration", type=float, default=60.0, help="seconds")
    parser.add_argument("--frequency", type=float, default=343.5e9, help="Hz")
    parser.add_argument("--channels", type=int, default=2, help="channels over the 7.5 GHz band")
    parser.add_argument("--tsys", type=float, default=150.0, help="system temperature [K]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    content = {
        **SIMULATION,
        "array": f"alma.cycle10.{NAMED.get(a.configuration, a.configuration)}",
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
