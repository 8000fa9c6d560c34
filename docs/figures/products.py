"""Draws docs/figures/products.png: critical curves, caustics, images and delays of one lens (docs/products.md)."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

import uvlens as uvl
from uvlens.cosmology import FlatLambdaCDM
from uvlens.lens import ImageSearch, Lens, arrival_time

OUTLINE = [withStroke(linewidth=2.5, foreground="white")]
COLOURS = {"tangential": "#c8553d", "radial": "#1f4e79"}


def main():
    mass = [
        uvl.EPL(1.0, 1.9, axis_ratio=0.7, position_angle=60.0),
        uvl.Shear(strength=0.06, position_angle=20.0),
        uvl.SIE(0.06, 0.0, 0.0, 0.75, 0.75),
    ]
    lens = Lens([uvl.LensPlane(mass, redshift=0.5)], 2.0, FlatLambdaCDM(70.0, 0.3))
    search = ImageSearch(lens, radius=2.5)
    beta = (0.03, 0.06)
    images = search(*beta)
    delays = np.asarray(arrival_time(lens, images.x, images.y, *beta))
    delays = delays - delays.min()
    figure = Figure(figsize=(7.2, 3.7), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for curve in search.curves:
        colour = COLOURS[curve.kind]
        left.plot(*curve.points.T, color=colour, linewidth=1.2, label=curve.kind)
        right.plot(*curve.caustic.T, color=colour, linewidth=1.2)
    left.scatter(images.x, images.y, s=14.0 * np.sqrt(np.abs(images.magnification)) + 4.0, color="black", zorder=3)
    for x, y, mu, t in zip(images.x, images.y, images.magnification, delays):
        text = f"{t:.1f} d\n$\\mu$ {mu:.2g}"
        left.annotate(text, (x, y), (5, 5), textcoords="offset points", fontsize=7.5, path_effects=OUTLINE)
    right.scatter(*beta, marker="*", s=50, color="black", zorder=3)
    handles, labels = left.get_legend_handles_labels()
    kinds = dict(zip(labels, handles))
    left.legend(kinds.values(), kinds.keys(), fontsize=7, loc="lower left")
    for axes, title, size in ((left, "image plane", 1.7), (right, "source plane", 1.0)):
        axes.set(title=title, xlim=(size, -size), ylim=(-size, size), xlabel="East [arcsec]", aspect="equal")
    left.set_ylabel("North [arcsec]")
    figure.savefig(Path(__file__).with_suffix(".png"))
    print(images, delays, sep="\n")


if __name__ == "__main__":
    main()
