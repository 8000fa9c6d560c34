"""Simulate an ALMA cube of a lensed rotating disc: line.npz, continuum.npz and truth.json in a folder.

python simulators/cube.py --out cube/ --channels 12 --hours 1
"""

import argparse
import dataclasses
from pathlib import Path

import uvlens as uvl
from uvlens.conventions import SPEED_OF_LIGHT
from uvlens.files import save_json
from uvlens.simulate import RotatingDisc, channel_velocities, lensed_image, observe_cube

LENS = uvl.LensPlane([uvl.SIE(theta_E=1.0, e1=0.1, e2=-0.05), uvl.Shear(gamma1=0.03, gamma2=0.02)])
DISC = RotatingDisc(flux=4.0, scale_length=0.12, inclination=55.0, position_angle=30.0, center=(0.08, 0.05))
CONTINUUM = uvl.Sersic(flux=4e-3, R_sersic=0.12, n_sersic=1.0, center_x=0.08, center_y=0.05)
CENTER = (56.67, -52.08)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="folder")
    parser.add_argument("--configuration", type=int, default=4, choices=range(1, 11), help="of Cycle 10")
    parser.add_argument("--channels", type=int, default=12, help="over the line")
    parser.add_argument("--width", type=float, default=900.0, help="of all of them [km/s]")
    parser.add_argument("--hours", type=float, default=1.0, help="length of the track, centred on transit")
    parser.add_argument("--integration", type=float, default=180.0, help="seconds")
    parser.add_argument("--frequency", type=float, default=340e9, help="of the line [Hz]")
    parser.add_argument("--tsys", type=float, default=100.0, help="system temperature [K]")
    parser.add_argument("--pixel-scale", type=float, default=0.025, help="of the sky that is observed [arcsec]")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    side = 2 * round(2.5 / a.pixel_scale)
    grid = uvl.PixelGrid((side, side), a.pixel_scale)
    common = {
        "array": f"alma.cycle10.{a.configuration}",
        "phase_center": CENTER,
        "hour_angle": (-0.5 * a.hours, 0.5 * a.hours),
        "integration": a.integration,
        "tsys": a.tsys,
    }
    width = 1e3 * a.width / SPEED_OF_LIGHT * a.frequency / a.channels
    centers = [a.frequency + (i - 0.5 * (a.channels - 1)) * width for i in range(a.channels)]
    skies = [
        (lensed_image(LENS.ray_trace, lambda x, y, v=v: DISC.brightness(x, y, *v), grid), a.pixel_scale)
        for v in channel_velocities(centers, width, a.frequency)
    ]
    band = {"frequency": a.frequency, "bandwidth": a.channels * width}
    line = observe_cube(skies, seed=a.seed, name="line", **band, **common)
    dust = (lensed_image(LENS.ray_trace, CONTINUUM.brightness, grid), a.pixel_scale)
    band = {"frequency": a.frequency - 5e9, "bandwidth": 4e9}
    continuum = uvl.observe(dust, seed=a.seed + 1, name="continuum", **band, **common)
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    line.write(out / "line.npz")
    continuum.write(out / "continuum.npz")
    save_json(out / "truth.json", {"lens.mass.0.theta_E": 1.0, "disc": dataclasses.asdict(DISC)})
    print(f"{len(line)} visibilities in {a.channels} channels, {len(continuum)} of the continuum, written to {a.out}")


if __name__ == "__main__":
    main()
