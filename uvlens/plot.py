"""The figures of a report: each function takes arrays or a result and returns a matplotlib Figure, East to the left."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from .grid import PixelGrid
from .imaging import synthesized_beam
from .lens import caustics, critical_curves
from .nufft import type1
from .products import all_cells, model_cells

SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
DATA_COLOR, MODEL_COLOR = "#1f4e79", "#c8553d"


def figure_of(columns, rows=1, width=3.9, height=3.6):
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def show_image(axes, image, grid, title, unit, *, limits=None, cmap=SEQUENTIAL):
    """Draw an image [row North, column East] with East to the left and a colour bar."""
    west, east, south, north = grid.extent
    low, high = limits if limits is not None else (np.nanmin(image), np.nanmax(image))
    drawn = axes.imshow(
        image,
        origin="lower",
        extent=(west, east, south, north),
        cmap=cmap,
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    axes.set_xlim(east, west)
    axes.set_xlabel("East offset [arcsec]")
    axes.set_ylabel("North offset [arcsec]")
    axes.set_title(title, fontsize=11)
    bar = axes.figure.colorbar(drawn, ax=axes, shrink=0.82, pad=0.02)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    axes.tick_params(labelsize=8)


def draw_beam(axes, beam, grid):
    """The synthesised beam as an ellipse in the lower left corner (East)."""
    west, east, south, north = grid.extent
    x = east - 0.09 * (east - west) - 0.25 * beam.major
    y = south + 0.09 * (north - south) + 0.25 * beam.major
    # matplotlib counts the angle from +x towards +y in data coordinates; PA from North towards East is 90 - PA
    style = {"facecolor": "0.85", "edgecolor": "black", "linewidth": 0.8}
    axes.add_patch(Ellipse((x, y), beam.major, beam.minor, angle=90.0 - beam.position_angle, **style))


def draw_curves(axes, curves, **style):
    for curve in curves:
        axes.plot(curve[:, 0], curve[:, 1], **style)


def picture_grid(mask, widen=1.4):
    """Grid of the dirty pictures: the mask's box widened, at least four pixels a mask pixel pair."""
    rows, columns = mask.grid.shape
    side = int(np.ceil(widen * max(rows, columns))) * 2
    return PixelGrid((side, side), 0.5 * mask.grid.pixel_scale, mask.grid.center)


def dirty_images(one):
    """Dirty data, model and residual [mJy/beam] with the beam and the noise [mJy/beam], from the uv cells."""
    u, v, vis, weight = all_cells(one.reduction)
    grid = picture_grid(one.mask)
    predicted = np.concatenate(model_cells(one))
    total = weight.sum()
    data, fitted = (1e3 * type1(u, v, weight * values, grid).real / total for values in (vis, predicted))
    return data, fitted, grid, synthesized_beam(u, v, weight), 1e3 * total**-0.5


def plot_dirty(one, lens):
    """Dirty data, model and residual on one colour scale, and the residual in units of the noise."""
    data, fitted, grid, beam, noise = dirty_images(one)
    figure, axes = figure_of(2, 2, 5.0, 4.4)
    limits = (min(data.min(), fitted.min()), max(data.max(), fitted.max()))
    residual = data - fitted
    for axis, image, title in zip(axes.flat, (data, fitted, residual), ("data", "model", "data - model, same scale")):
        show_image(axis, image, grid, f"dirty {title}", "mJy/beam", limits=limits)
        draw_beam(axis, beam, grid)
    worst = float(np.abs(residual).max() / noise)
    title = f"residual / noise ({noise * 1e3:.0f} $\\mu$Jy/beam), largest {worst:.1f}"
    show_image(axes[1, 1], residual / noise, grid, title, "S/N", limits=(-5.0, 5.0), cmap=DIVERGING)
    draw_beam(axes[1, 1], beam, grid)
    levels = np.array([-5, -4, -3, 3, 4, 5])
    x, y = grid.x_axis, grid.y_axis
    axes[1, 1].contour(x, y, residual / noise, levels=levels, colors="black", linewidths=0.6)
    peak = data.max() / noise
    steps = [n for n in (5, 10, 20, 40, 80, 160, 320) if n < peak]
    for axis, image in ((axes[0, 0], data), (axes[0, 1], fitted)):
        if steps:
            axis.contour(x, y, image / noise, levels=steps, colors="white", linewidths=0.4, alpha=0.7)
    curves = lens_curves(one.mask, lens)
    draw_curves(axes[0, 1], curves, color="cyan", linewidth=0.9)
    for axis in axes.flat:
        west, east, south, north = grid.extent
        axis.set_xlim(east, west)
        axis.set_ylim(south, north)
    return figure


def lens_curves(mask, lens, nodes=400):
    """Critical curves inside the box of the mask."""
    west, east, south, north = boxed(mask).extent
    # an irrational number of cells keeps nodes off the singular centres of profiles
    x = np.linspace(west, east, nodes) + 0.37 * (east - west) / nodes
    y = np.linspace(south, north, nodes) + 0.37 * (north - south) / nodes
    return critical_curves(lens, x, y)


def display_unit(one):
    """(factor, name) of the flux that pictures show: mJy, or the unit of an image."""
    return (1e3, "mJy") if one.flux_unit == "Jy" else (1.0, one.flux_unit)


def plot_source(one, part, lens):
    """Reconstructed source (a Part) with caustics, and its signal to noise."""
    brightness, error, grid = one.picture(part)
    factor, unit = display_unit(one)
    inside = caustics(lens, lens_curves(one.mask, lens))
    figure, axes = figure_of(2, 1, 5.0, 4.4)
    show_image(axes[0, 0], factor * brightness, grid, "source", f"{unit}/arcsec$^2$")
    ratio = brightness / np.where(error > 0.0, error, np.inf)
    show_image(axes[0, 1], ratio, grid, "source S/N", "brightness / error", limits=(0.0, ratio.max()), cmap="viridis")
    if ratio.max() > 3.0:
        axes[0, 1].contour(grid.x_axis, grid.y_axis, ratio, levels=[3.0], colors="white", linewidths=0.9)
    for axis in axes.flat:
        draw_curves(axis, inside, color="cyan", linewidth=0.9)
        west, east, south, north = grid.extent
        axis.set_xlim(east, west)
        axis.set_ylim(south, north)
    return figure


def plot_image_plane(one, lens):
    """Model sky with critical curves (without the light in front of the lens), and the magnification."""
    mask, (factor, unit) = one.mask, display_unit(one)
    box = boxed(mask)
    figure, axes = figure_of(2, 1, 5.0, 4.4)
    image = mask.to_image(factor * one.lensed_source / mask.grid.pixel_area, outside=np.nan)
    title = "model sky" if one.lensed_source is one.image else "lensed source"
    show_image(axes[0, 0], image, mask.grid, f"{title} and critical curves", f"{unit}/arcsec$^2$")
    draw_curves(axes[0, 0], lens_curves(mask, lens), color="cyan", linewidth=0.9)
    fine = PixelGrid((300, 300), max(box.shape) * box.pixel_scale / 300, box.center)
    x, y = fine.coordinates()
    magnification = 1.0 / np.abs(np.asarray(lens.inverse_magnification(x, y)))
    levels = np.log10(np.clip(magnification, 0.1, 100.0))
    show_image(axes[0, 1], levels, fine, "magnification", "log$_{10}$ |$\\mu$|", limits=(-1.0, 2.0), cmap="viridis")
    west, east, south, north = box.extent
    axes[0, 0].set_xlim(east, west)
    axes[0, 0].set_ylim(south, north)
    return figure


def boxed(mask):
    """The part of a mask's grid that its pixels fill."""
    (top, bottom), (left, right) = ((n.min(), n.max()) for n in (mask.rows, mask.columns))
    middle = (
        0.5 * (mask.grid.x_axis[left] + mask.grid.x_axis[right]),
        0.5 * (mask.grid.y_axis[top] + mask.grid.y_axis[bottom]),
    )
    return PixelGrid((int(bottom - top) + 1, int(right - left) + 1), mask.grid.pixel_scale, middle)


def plot_uv_distance(one, bins=24):
    """Amplitude against uv distance for data and model, and binned residuals of the real and imaginary parts."""
    u, v, vis, weight = all_cells(one.reduction)
    predicted = np.concatenate(model_cells(one))
    distance = np.hypot(u, v)
    order = np.argsort(distance)
    # bins of equal weight
    cumulative = np.cumsum(weight[order])
    bounds = np.searchsorted(cumulative, np.linspace(0.0, cumulative[-1], bins + 1))
    middle, rows = [], []
    for low, high in itertools.pairwise(bounds):
        chosen = order[low:high]
        if not len(chosen):
            continue
        w = weight[chosen]
        total = w.sum()
        noise = 2.0 * len(chosen) / total
        power, model_power = (np.sum(w * np.abs(a[chosen]) ** 2) / total for a in (vis, predicted))
        residual = np.sum(w * (vis - predicted)[chosen]) / total
        scatter = 2.0 * np.sqrt(len(chosen) + total * max(power - noise, 0.0)) / total
        middle.append(np.sum(w * distance[chosen]) / total / 1e3)
        rows.append((power - noise, scatter, model_power, residual.real, residual.imag, total**-0.5))
    middle, (power, scatter, model_power, real, imaginary, error) = np.array(middle), np.array(rows).T
    figure = Figure(figsize=(8.6, 5.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    amplitude = np.sqrt(np.maximum(power, 0.0))
    amplitude_error = scatter / (2.0 * np.maximum(amplitude, np.sqrt(scatter)))
    top.errorbar(middle, 1e3 * amplitude, 1e3 * amplitude_error, fmt="o", ms=4, color=DATA_COLOR, label="data")
    top.plot(middle, 1e3 * np.sqrt(model_power), color=MODEL_COLOR, lw=1.6, label="model")
    top.set_ylabel("rms amplitude, noise removed [mJy]")
    top.set_ylim(bottom=0.0)
    top.legend(frameon=False)
    shift = 0.004 * (middle.max() - middle.min())
    style = {"fmt": "o", "ms": 3.5, "lw": 1.0}
    bottom.errorbar(middle - shift, 1e3 * real, 1e3 * error, color=DATA_COLOR, label="real", **style)
    bottom.errorbar(middle + shift, 1e3 * imaginary, 1e3 * error, color="0.55", label="imaginary", **style)
    bottom.axhline(0.0, color="black", lw=0.7)
    bottom.set_xlabel("uv distance [k$\\lambda$]")
    bottom.set_ylabel("data - model [mJy]")
    bottom.legend(frameon=False, ncols=2, fontsize=9)
    return figure


def plot_residual_histogram(one):
    """Residuals of the uv cells over their errors, against a unit normal."""
    _, _, vis, weight = all_cells(one.reduction)
    residual = (vis - np.concatenate(model_cells(one))) * np.sqrt(weight)
    values = np.concatenate([residual.real, residual.imag])
    return histogram_of_residuals(values, "real numbers", "(data - model) / error, uv cells")


def histogram_of_residuals(values, what, label):
    """Residuals over their errors, against a unit normal; `what` they are, and the label of the axis."""
    figure, axes = figure_of(1, 1, 5.0, 3.6)
    axis = axes[0, 0]
    edges = np.linspace(-5.0, 5.0, 61)
    axis.hist(values, edges, density=True, color=DATA_COLOR, alpha=0.75, label=f"{len(values)} {what}")
    x = np.linspace(-5.0, 5.0, 300)
    axis.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi), color=MODEL_COLOR, lw=1.6, label="unit normal")
    axis.set_xlabel(label)
    axis.set_ylabel("density")
    axis.set_title(f"mean {values.mean():+.3f}, standard deviation {values.std():.3f}", fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    return figure


def plot_corner(samples, names, truth=None):
    """Corner plot of posterior samples, shape (M, n)."""
    import corner

    n = len(names)
    figure = Figure(figsize=(1.9 * n + 0.8, 1.9 * n + 0.8), dpi=max(60, 110 - 4 * n))
    FigureCanvasAgg(figure)
    spread = samples.std(axis=0)
    ranges = [
        (m - 4.5 * s, m + 4.5 * s) if s > 0 else (m - 1e-6, m + 1e-6) for m, s in zip(samples.mean(axis=0), spread)
    ]
    corner.corner(
        samples,
        labels=list(names),
        truths=truth,
        truth_color=MODEL_COLOR,
        color=DATA_COLOR,
        fig=figure,
        range=ranges,
        bins=28,
        smooth=1.0,
        quantiles=[0.16, 0.5, 0.84],
        plot_datapoints=False,
        fill_contours=True,
        levels=(0.393, 0.865),
        label_kwargs={"fontsize": 11},
        labelpad=0.04,
        max_n_ticks=3,
    )
    for axis in figure.axes:
        axis.tick_params(labelsize=8)
    return figure


def plot_traces(samples, names, n_chains):
    """Chains against draw number."""
    n = len(names)
    figure = Figure(figsize=(8.6, 1.1 * n + 0.6), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for i, (axis, name) in enumerate(zip(axes, names)):
        for chain in samples[:, i].reshape(n_chains, -1):
            axis.plot(chain, lw=0.5)
        axis.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
        axis.tick_params(labelsize=7)
    axes[-1].set_xlabel("draw")
    return figure
