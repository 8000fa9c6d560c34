"""Pictures of sources that are light profiles."""

import numpy as np

from .lens import caustics
from .plot import display_unit, draw_curves, draw_scale_bar, figure_of, kpc_per_arcsec, lens_curves, show_image
from .reconstruction import light_grid


def plot_profiles(one, lights, lens):
    """Brightness of the profiles of one source in its plane, linear and logarithmic, with the caustics.

    Args:
        one: Reconstruction.
        lights: its Lights that lie in this source.
        lens: Lens as the source sees it.
    """
    grid = light_grid(one, lights)
    x, y = grid.coordinates()
    factor, unit = display_unit(one)
    brightness = factor * sum(light.brightness(x, y) for light in lights)
    figure, axes = figure_of(2, 1, 5.0, 4.4)
    show_image(axes[0, 0], brightness, grid, "source", f"{unit}/arcsec$^2$")
    positive = np.log10(np.maximum(brightness, 1e-4 * brightness.max()))
    limits = (positive.max() - 3.0, positive.max())
    show_image(axes[0, 1], positive, grid, "source, logarithm", f"log$_{{10}}$ {unit}/arcsec$^2$", limits=limits)
    for axis in axes.flat:
        draw_curves(axis, caustics(lens, lens_curves(one.mask, lens)), color="cyan", linewidth=0.9)
        draw_scale_bar(axis, grid, kpc_per_arcsec(lens, lens.source_redshift))
        west, east, south, north = grid.extent
        axis.set_xlim(east, west)
        axis.set_ylim(south, north)
    return figure
