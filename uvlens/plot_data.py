"""The pictures of `uvlens image`: a field, a mosaic."""

import numpy as np

from .grid import PixelGrid
from .plot import draw_beam, figure_of, show_image


def plot_data_image(dirty, title, reach=None, peaks=None):
    """The picture of `uvlens image`: the field, its emission from close by, the beam.

    Args:
        dirty: DirtyImage.
        title: of the field.
        reach: radius about (0, 0) that holds the emission [arcsec], or None.
        peaks: proposed image positions (`positions.Peak`), or None.
    """
    figure, axes = figure_of(3, 1, 5.0, 4.4)
    grid = dirty.grid
    show_image(axes[0, 0], 1e3 * dirty.image, grid, title, "mJy/beam")
    west, east, south, north = grid.extent
    width = 1.3 * reach if reach is not None else 0.25 * (east - west)
    bounds = (max(west, -width), min(east, width), max(south, -width), min(north, width))
    if not (bounds[0] < bounds[1] and bounds[2] < bounds[3]):
        bounds = grid.extent
    x, y = grid.x_axis, grid.y_axis
    rows = (y >= bounds[2]) & (y <= bounds[3])
    columns = (x >= bounds[0]) & (x <= bounds[1])
    part = dirty.image[np.ix_(rows, columns)] if rows.any() and columns.any() else dirty.image
    limits = (1e3 * float(part.min()), 1e3 * float(part.max()))
    name = f"the emission, noise {1e6 * dirty.noise:.3g} $\\mu$Jy/beam" if reach is not None else "the middle"
    show_image(axes[0, 1], 1e3 * dirty.image, grid, name, "mJy/beam", limits=limits)
    axes[0, 1].set_xlim(bounds[1], bounds[0])
    axes[0, 1].set_ylim(bounds[2], bounds[3])
    close = PixelGrid((1, 1), min(bounds[1] - bounds[0], bounds[3] - bounds[2]))
    draw_beam(axes[0, 1], dirty.beam, _moved(close, bounds))
    for one in peaks or ():
        axes[0, 1].plot(one.x, one.y, "+", color="cyan", markersize=9)
    half = min(6.0 * dirty.beam.major, 0.5 * (east - west))
    show_image(axes[0, 2], dirty.psf, dirty.psf_grid, "synthesised beam", "", cmap="viridis")
    axes[0, 2].set_xlim(half, -half)
    axes[0, 2].set_ylim(-half, half)
    return figure


def plot_mosaic(mosaic, beam, pointings, title):
    """The picture of a mosaic: flat noise, and its primary beam with the pointings."""
    figure, axes = figure_of(2, 1, 5.0, 4.4)
    grid = mosaic.grid
    show_image(axes[0, 0], 1e3 * mosaic.image, grid, f"{title}, flat noise", "mJy/beam")
    draw_beam(axes[0, 0], beam, grid)
    show_image(axes[0, 1], mosaic.primary_beam, grid, "primary beam of the mosaic", "", limits=(0, 1), cmap="viridis")
    axes[0, 1].contour(grid.x_axis, grid.y_axis, mosaic.primary_beam, levels=[0.2, 0.5], colors="white", linewidths=0.8)
    for x, y in pointings:
        axes[0, 1].plot(x, y, "+", color="white", markersize=9)
    return figure


def _moved(grid, bounds):
    """The same grid about the middle of (West, East, South, North)."""
    middle = (0.5 * (bounds[0] + bounds[1]), 0.5 * (bounds[2] + bounds[3]))
    return PixelGrid(grid.shape, grid.pixel_scale, middle)
