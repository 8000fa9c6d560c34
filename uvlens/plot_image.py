"""Figures of an image: data, model through the PSF, residual."""

import numpy as np

from .plot import DIVERGING, display_unit, draw_curves, figure_of, lens_curves, show_image

_LOWEST, _HIGHEST = 2.0, 99.7
"""Percentiles between which brightness is drawn."""


def _image(one):
    """(data, model, weight) on the data grid, NaN outside the mask."""
    reduction = one.reduction
    mask, model = reduction.data_mask, reduction.predict(one.image)
    return *(mask.to_image(values, outside=np.nan) for values in (reduction.data, model)), mask.to_image(
        reduction.weight
    )


def plot_image(one, lens):
    """Data, model, data without unlensed light, and residual over the noise."""
    data, model, weight = _image(one)
    reduction, (factor, unit) = one.reduction, display_unit(one)
    grid = reduction.data_mask.grid
    figure, axes = figure_of(2, 2, 5.0, 4.4)
    seen = np.where(weight > 0.0, data, np.nan)
    arcs = reduction.predict(one.lensed_source)
    low, high = np.nanpercentile(seen, [_LOWEST, _HIGHEST])
    # the light of a lens galaxy is brighter than the arcs by far: the scale is cut off above them
    limits = (factor * low, factor * min(high, low + 3.0 * max(arcs.max(), 1e-12)))
    name = f"{unit}/pixel"
    show_image(axes[0, 0], factor * data, grid, "data", name, limits=limits)
    show_image(axes[0, 1], factor * model, grid, "model", name, limits=limits)
    unlensed = one.image - one.lensed_source
    if np.any(unlensed):
        left = data - reduction.data_mask.to_image(reduction.predict(unlensed))
        left, shown = np.where(weight > 0.0, left, np.nan), factor * np.percentile(arcs, 99.9)
        show_image(axes[1, 0], factor * left, grid, "data - light of the lens", name, limits=(-0.1 * shown, shown))
    else:
        sky = one.mask.to_image(factor * one.image, outside=np.nan)
        show_image(axes[1, 0], sky, one.mask.grid, "model before the PSF", name)
    residual = np.where(weight > 0.0, (data - model) * np.sqrt(one.weight_scale * weight), np.nan)
    axes[1, 1].set_facecolor("0.8")
    worst = np.nanmax(np.abs(residual))
    title = f"residual / noise, largest {worst:.1f}"
    show_image(axes[1, 1], residual, grid, title, "sigma", limits=(-4.0, 4.0), cmap=DIVERGING)
    curves = lens_curves(one.mask, lens)
    for axis in (axes[0, 1], axes[1, 0]):
        draw_curves(axis, curves, color="cyan", linewidth=0.9)
    mask, half = reduction.data_mask, grid.pixel_scale
    west, east = mask.x.min() - half, mask.x.max() + half
    south, north = mask.y.min() - half, mask.y.max() + half
    for axis in axes.flat:
        axis.set_xlim(east, west)
        axis.set_ylim(south, north)
    return figure
