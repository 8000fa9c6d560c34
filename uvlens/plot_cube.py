"""Figures of a cube: its channels, the source's total and its velocity field."""

import numpy as np

from .conventions import SPEED_OF_LIGHT
from .lens import caustics
from .plot import DIVERGING, draw_bar, draw_curves, draw_scale_bar, figure_of, kpc_per_arcsec, lens_curves, show_image
from .products import channel_frequencies

_MOST = 12
"""Channels that are drawn; of more, evenly chosen ones."""
_COLUMNS = 6
"""Of them side by side."""
_SIGNIFICANT = 3.0


def velocities(frequencies):
    """Radio velocities about the mean frequency, c (1 - nu / nu_mean) [km/s]."""
    frequencies = np.asarray(frequencies)
    return 1e-3 * SPEED_OF_LIGHT * (1.0 - frequencies / frequencies.mean())


def plot_channels(members, lens):
    """Dirty image, residual (both over the noise) and source of every channel ([Reconstruction])."""
    frequencies, mask = channel_frequencies(members), members[0].mask
    shown = np.unique(np.linspace(0, len(members) - 1, min(_MOST, len(members))).round().astype(int))
    velocity = velocities(frequencies)
    inside = caustics(lens, lens_curves(mask, lens))
    pictures = []
    for c in shown:
        one = members[c]
        noise = one.reduction.sum_weight**-0.5
        data = mask.to_image(np.asarray(one.normal.dirty_image) * noise, np.nan)
        left = mask.to_image(one.dirty_residual / noise, np.nan)
        brightness, _, grid = one.picture(one.parts[0])
        pictures.append((data, left, 1e3 * brightness))
    top = [max(np.nanmax(picture[i]) for picture in pictures) for i in (0, 2)]
    columns = min(len(shown), _COLUMNS)
    figure, axes = figure_of(columns, 3 * -(-len(shown) // columns), 2.1, 2.2)
    for axis in axes.flat:
        axis.set_axis_off()
    for first in range(0, len(shown), columns):
        rows = axes[3 * first // columns :][:3]
        for k, (c, (data, left, source)) in enumerate(zip(shown[first:][:columns], pictures[first:])):
            title = f"{frequencies[c] / 1e9:.4f} GHz\n{velocity[c]:+.0f} km/s"
            drawn = [
                show_image(rows[0, k], data, mask.grid, title, "", limits=(-3.0, top[0]), bar=False),
                show_image(rows[1, k], left, mask.grid, "", "", limits=(-5.0, 5.0), cmap=DIVERGING, bar=False),
                show_image(rows[2, k], source, grid, "", "", limits=(0.0, top[1]), bar=False),
            ]
            draw_curves(rows[2, k], inside, color="cyan", linewidth=0.7)
            west, east, south, north = grid.extent
            rows[2, k].set_xlim(east, west)
            rows[2, k].set_ylim(south, north)
            _label(rows[:, k], is_first=k == 0)
        for row, one, unit in zip(rows, drawn, ("dirty / noise", "residual / noise", "source, mJy/arcsec$^2$")):
            draw_bar(one, list(row), unit)
    return figure


def _label(column, is_first):
    """Axes of the pictures of one channel, one above the other: what its neighbours say is not said again."""
    for axis in column:
        axis.set_axis_on()
        axis.set_xlabel("East [arcsec]" if axis is column[-1] else "", fontsize=8)
        axis.set_ylabel("North [arcsec]" if is_first else "", fontsize=8)
        axis.tick_params(labelsize=7, labelleft=is_first)
    column[0].title.set_fontsize(8)


def moments(members):
    """(integrated brightness [Jy/arcsec^2 km/s], mean velocity [km/s], grid) of the source.

        sum_c I_c dv,   sum_c v_c I_c / sum_c I_c,   v_c radio velocity about the mean frequency

    The velocity is NaN where no channel has S/N > 3.
    """
    velocity = velocities(channel_frequencies(members))
    cube, seen = [], False
    for one in members:
        brightness, error, grid = one.picture(one.parts[0])
        cube.append(brightness)
        seen = seen | (brightness > _SIGNIFICANT * error)
    cube = np.array(cube)
    total = cube.sum(axis=0)
    mean = np.tensordot(velocity, cube, axes=1) / np.where(total == 0.0, 1.0, total)
    width = float(np.mean(np.abs(np.diff(velocity)))) if len(velocity) > 1 else 1.0
    return total * width, np.where(seen & (total > 0.0), mean, np.nan), grid


def plot_moments(members, lens):
    """Integrated source and its velocity field, with the caustics."""
    total, mean, grid = moments(members)
    inside = caustics(lens, lens_curves(members[0].mask, lens))
    figure, axes = figure_of(2, 1, 5.0, 4.4)
    show_image(axes[0, 0], total, grid, "integrated source", "Jy/arcsec$^2$ km/s")
    largest = np.nanmax(np.abs(mean)) if np.isfinite(mean).any() else 1.0
    show_image(axes[0, 1], mean, grid, "mean velocity", "km/s", limits=(-largest, largest), cmap=DIVERGING)
    for axis in axes.flat:
        draw_curves(axis, inside, color="black", linewidth=0.8)
        draw_scale_bar(axis, grid, kpc_per_arcsec(lens, lens.source_redshift))
        west, east, south, north = grid.extent
        axis.set_xlim(east, west)
        axis.set_ylim(south, north)
    return figure
