"""Figures of visibilities: amplitude, phase and residual against uv distance; histograms of whitened residuals."""

import itertools

import numpy as np

from .conventions import ARCSEC
from .plot import DATA_COLOR, MODEL_COLOR, figure_of, new_figure
from .products import all_cells, model_cells
from .residualstatistics import whitened_residuals

_BINS = 24
_LARGEST_PHASE_ERROR = 60.0
"""Degrees beyond which the phase of a bin says nothing and is not drawn."""


def plot_uv_distance(one, bins=_BINS):
    """Amplitude and phase of data and model against uv distance, and what is left of real and imaginary parts.

    Bins of equal weight. The phase is that of the weighted mean visibility of each bin, over v >= 0, about the centroid
    of the model (about the phase centre it would show little but where the lens is).
    """
    u, v, vis, weight = all_cells(one.reduction)
    weight = one.weight_scale * weight
    predicted = np.concatenate(model_cells(one))
    distance = np.hypot(u, v)
    x, y = centroid(one)
    turn = np.exp(-2j * np.pi * ARCSEC * (u * x + v * y))
    middle, rows = [], []
    for chosen in _bins_of_equal_weight(distance, weight, bins):
        w = weight[chosen]
        total = w.sum()
        noise = 2.0 * len(chosen) / total
        power, model_power = (np.sum(w * np.abs(a[chosen]) ** 2) / total for a in (vis, predicted))
        residual = np.sum(w * (vis - predicted)[chosen]) / total
        scatter = 2.0 * np.sqrt(len(chosen) + total * max(power - noise, 0.0)) / total
        means = [np.sum(w * (a * turn)[chosen]) / total for a in (vis, predicted)]
        middle.append(np.sum(w * distance[chosen]) / total / 1e3)
        rows.append((power - noise, scatter, model_power, residual.real, residual.imag, total**-0.5, *means))
    columns = [np.array(column) for column in zip(*rows)]
    power, scatter, model_power, real, imaginary, error, mean, model_mean = columns
    middle = np.array(middle)
    figure = new_figure(10.0, 7.6)
    top, between, bottom = figure.subplots(3, 1, sharex=True, height_ratios=[2, 1, 1])
    amplitude = np.sqrt(np.maximum(power, 0.0))
    amplitude_error = scatter / (2.0 * np.maximum(amplitude, np.sqrt(scatter)))
    top.errorbar(middle, 1e3 * amplitude, 1e3 * amplitude_error, fmt="o", ms=4, color=DATA_COLOR, label="data")
    top.plot(middle, 1e3 * np.sqrt(model_power), color=MODEL_COLOR, lw=1.6, label="model")
    top.set_ylabel("rms amplitude, noise removed [mJy]")
    top.set_ylim(bottom=0.0)
    top.legend(frameon=False)
    _draw_phases(between, middle, mean, model_mean, error)
    shift = 0.004 * (middle.max() - middle.min())
    style = {"fmt": "o", "ms": 3.5, "lw": 1.0}
    bottom.errorbar(middle - shift, 1e3 * real, 1e3 * error, color=DATA_COLOR, label="real", **style)
    bottom.errorbar(middle + shift, 1e3 * imaginary, 1e3 * error, color="0.55", label="imaginary", **style)
    bottom.axhline(0.0, color="black", lw=0.7)
    bottom.set_xlabel("uv distance [k$\\lambda$]")
    bottom.set_ylabel("data - model [mJy]")
    bottom.legend(frameon=False, ncols=2, fontsize=9)
    figure.align_ylabels()
    return figure


def centroid(one):
    """(x, y) of the model of the sky [arcsec], the middle of its mask where it has no flux."""
    flux = np.maximum(one.image, 0.0)
    flux = flux if flux.sum() > 0.0 else np.ones_like(flux)
    return float(np.average(one.mask.x, weights=flux)), float(np.average(one.mask.y, weights=flux))


def _bins_of_equal_weight(distance, weight, bins):
    """Indices of the cells of each bin, those without any left out."""
    order = np.argsort(distance)
    cumulative = np.cumsum(weight[order])
    bounds = np.searchsorted(cumulative, np.linspace(0.0, cumulative[-1], bins + 1))
    return [order[low:high] for low, high in itertools.pairwise(bounds) if high > low]


def _draw_phases(axis, middle, mean, model_mean, error):
    """Phases [deg] of the means of bins; the error of a phase is that of the part across the mean."""
    with np.errstate(divide="ignore"):
        phase_error = np.rad2deg(error / np.abs(mean))
    seen = phase_error < _LARGEST_PHASE_ERROR
    phase, model = (np.rad2deg(np.angle(values)) for values in (mean, model_mean))
    # the turn of the data nearest to the model: a point at 179 deg belongs to a model at -179
    phase = model + (phase - model + 180.0) % 360.0 - 180.0
    phase -= 360.0 * np.rint(np.where(np.abs(phase) > 225.0, phase, 0.0) / 360.0)
    axis.errorbar(middle[seen], phase[seen], phase_error[seen], fmt="o", ms=4, color=DATA_COLOR)
    axis.plot(middle, model, "o", ms=7, mfc="none", mec=MODEL_COLOR, mew=1.2)
    axis.set_ylabel("phase [deg]")
    reach = max(np.abs(model).max(), np.abs(phase[seen]).max() if seen.any() else 0.0)
    axis.set_yticks([-180, -90, 0, 90, 180] if reach > 60.0 else [-60, -30, 0, 30, 60])
    axis.set_ylim(*((-225.0, 225.0) if reach > 60.0 else (-75.0, 75.0)))
    axis.axhline(0.0, color="0.7", lw=0.7)


def plot_residual_histogram(one):
    """Whitened residuals of the uv cells or pixels of a Reconstruction, against a unit normal."""
    is_image = one.of_sky.is_image
    what, cells = ("pixels", "") if is_image else ("real numbers", ", uv cells")
    values = whitened_residuals(one)
    figure, axes = figure_of(1, 1, 5.0, 3.6)
    axis = axes[0, 0]
    edges = np.linspace(-5.0, 5.0, 61)
    axis.hist(values, edges, density=True, color=DATA_COLOR, alpha=0.75, label=f"{len(values)} {what}")
    x = np.linspace(-5.0, 5.0, 300)
    axis.plot(x, np.exp(-0.5 * x**2) / np.sqrt(2.0 * np.pi), color=MODEL_COLOR, lw=1.6, label="unit normal")
    axis.set_xlabel(f"(data - model) / error{cells}")
    axis.set_ylabel("density")
    axis.set_title(f"mean {values.mean():+.3f}, standard deviation {values.std():.3f}", fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    return figure
