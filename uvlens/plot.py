"""Pictures of skies and sources: functions of a Reconstruction that return a matplotlib Figure, East to the left."""

import numpy as np
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from .grid import PixelGrid
from .imaging import level, synthesized_beam
from .lens import caustics, critical_curves
from .nufft import type1
from .products import all_cells, model_cells, signal_to_noise

SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
DATA_COLOR, MODEL_COLOR = "#1f4e79", "#c8553d"
_OUTSIDE = "0.35"
"""Grey of what is not fitted: white lettering is legible on it."""


def new_figure(width, height, layout="constrained", dpi=130):
    """An empty figure [inches] that can be saved without a display."""
    figure = Figure(figsize=(width, height), layout=layout, dpi=dpi)
    FigureCanvasAgg(figure)
    return figure


def figure_of(columns, rows=1, width=3.9, height=3.6):
    """(figure, axes (rows, columns)), each panel width x height [inches]."""
    figure = new_figure(width * columns, height * rows)
    return figure, figure.subplots(rows, columns, squeeze=False)


def show_image(axes, image, grid, title, unit, *, limits=None, cmap=SEQUENTIAL, bar=True):
    """Draw an image [row North, column East] with East to the left and a colour bar (or without); what was drawn."""
    west, east, south, north = grid.extent
    axes.set_facecolor(_OUTSIDE)
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
    axes.tick_params(labelsize=8)
    if bar:
        draw_bar(drawn, axes, unit)
    return drawn


def draw_bar(drawn, axes, unit):
    """The colour bar of what was drawn, beside one panel or several."""
    bar = drawn.figure.colorbar(drawn, ax=axes, shrink=0.82, pad=0.02)
    bar.set_label(unit, fontsize=9)
    bar.ax.tick_params(labelsize=8)


def draw_beam(axes, beam, grid):
    """The synthesised beam as an ellipse in the lower left corner (East)."""
    west, east, south, north = grid.extent
    x = east - 0.09 * (east - west) - 0.25 * beam.major
    y = south + 0.09 * (north - south) + 0.25 * beam.major
    # matplotlib counts the angle from +x towards +y in data coordinates; PA from North towards East is 90 - PA
    style = {"facecolor": "0.85", "edgecolor": "black", "linewidth": 0.8}
    axes.add_patch(Ellipse((x, y), beam.major, beam.minor, angle=90.0 - beam.position_angle, **style))


def draw_scale_bar(axes, grid, kpc=None):
    """A bar of 1, 2 or 5 x 10^n arcsec in the lower right corner, and its length in kpc for `kpc` of them an arcsec."""
    west, east, south, north = grid.extent
    width, height = east - west, north - south
    longest = 0.3 * width
    power = 10.0 ** np.floor(np.log10(longest))
    length = power * max(n for n in (1.0, 2.0, 5.0) if n * power <= longest)
    x, y = west + 0.05 * width, south + 0.05 * height
    for color, thickness in (("black", 3.6), ("white", 2.0)):
        axes.plot([x, x + length], [y, y], color=color, lw=thickness, solid_capstyle="butt")
    outline = [patheffects.withStroke(linewidth=2.2, foreground="black")]
    text = f'{length:g}"' + ("" if kpc is None else f" = {length * kpc:.3g} kpc")
    style = {"color": "white", "fontsize": 9, "ha": "right", "va": "bottom", "path_effects": outline}
    axes.text(x, y + 0.02 * height, text, **style)


def kpc_per_arcsec(lens, redshift):
    """Transverse scale at a redshift in the cosmology of a Lens [kpc / arcsec], None where either is not known."""
    if lens.cosmology is None or redshift is None:
        return None
    try:
        return float(lens.cosmology.kpc_per_arcsec(redshift))
    except ImportError:  # the cosmologies by name are astropy's
        return None


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
    noise = 1e3 * (one.weight_scale * total) ** -0.5
    data, fitted = (1e3 * type1(u, v, weight * values, grid).real / total for values in (vis, predicted))
    return data, fitted, grid, synthesized_beam(u, v, weight), noise


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
    title = f"residual / noise ({level(1e-3 * noise)}), largest {worst:.1f}"
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
    ratio = signal_to_noise(brightness, error)
    show_image(axes[0, 1], ratio, grid, "source S/N", "brightness / error", limits=(0.0, ratio.max()), cmap="viridis")
    if ratio.max() > 3.0:
        axes[0, 1].contour(grid.x_axis, grid.y_axis, ratio, levels=[3.0], colors="white", linewidths=0.9)
    for axis in axes.flat:
        draw_curves(axis, inside, color="cyan", linewidth=0.9)
        draw_scale_bar(axis, grid, kpc_per_arcsec(lens, lens.source_redshift))
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
    draw_scale_bar(axes[0, 0], box, kpc_per_arcsec(lens, lens.planes[0].redshift))
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
