"""Figures of samples: corner plot, traces, prior against posterior."""

import numpy as np

from .plot import DATA_COLOR, MODEL_COLOR, figure_of, new_figure
from .reporttable import latex_value

_MANY = 6
"""Parameters beyond which the panels of a corner plot get smaller and their ticks fewer."""
_TICKS_AT = 2.2
"""Standard deviations from the mean; panels reach to 4.5."""


def plot_corner(samples, names, truth=None):
    """Corner plot of posterior samples, shape (M, n), medians and 16 to 84 % ranges over the panels of the diagonal."""
    import corner

    n = len(names)
    many = n > _MANY
    margin, edge = 1.2 if many else 0.95, 0.33
    side = (1.25 if many else 1.9) * n + margin + edge
    figure = new_figure(side, side, layout=None, dpi=min(130.0, 1700.0 / side))
    spread = samples.std(axis=0)
    ranges = [
        (m - 4.5 * s, m + 4.5 * s) if s > 0 else (m - 1e-6, m + 1e-6) for m, s in zip(samples.mean(axis=0), spread)
    ]
    corner.corner(
        samples,
        labels=[name.replace(" ", "\n", 1) for name in names] if many else list(names),
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
        label_kwargs={"fontsize": 13 if many else 11},
        labelpad=0.22 if many else 0.04,
        max_n_ticks=2 if many else 3,
    )
    figure.subplots_adjust(margin / side, margin / side, 1.0 - edge / side, 1.0 - edge / side)
    for axis in figure.axes:
        axis.tick_params(labelsize=9 if many else 8)
    panels = np.array(figure.axes).reshape(n, n)
    for panel, values in zip(panels.diagonal(), samples.T, strict=True):
        low, median, high = np.quantile(values, [0.16, 0.5, 0.84])
        text = latex_value({"q16": low, "median": median, "q84": high})
        panel.set_title(text, fontsize=8.5 if many else 10, pad=5.0)
    if many:
        _two_ticks(panels, samples.mean(axis=0), spread)
    return figure


def _two_ticks(panels, mean, spread):
    """Two ticks an axis well inside of every panel (n, n), so that labels of neighbours keep apart."""
    for i, (m, s) in enumerate(zip(mean, spread, strict=True)):
        decimals = int(np.clip(-np.floor(np.log10(s)), 0, 9)) if s > 0.0 else 3
        ticks = [round(m - _TICKS_AT * s, decimals), round(m + _TICKS_AT * s, decimals)]
        for panel in panels[i:, i]:
            panel.set_xticks(ticks)
        for panel in panels[i, :i]:
            panel.set_yticks(ticks)
        labels = [f"{tick:.{decimals}f}" for tick in ticks]
        panels[-1, i].set_xticklabels(labels)
        if i:
            panels[i, 0].set_yticklabels(labels)


def plot_traces(samples, names, n_chains):
    """Chains against draw number."""
    n = len(names)
    figure = new_figure(8.6, 1.1 * n + 0.6, dpi=100)
    axes = figure.subplots(n, 1, sharex=True, squeeze=False)[:, 0]
    for i, (axis, name) in enumerate(zip(axes, names)):
        for chain in samples[:, i].reshape(n_chains, -1):
            axis.plot(chain, lw=0.5)
        axis.set_ylabel(name, fontsize=8, rotation=0, ha="right", va="center")
        axis.tick_params(labelsize=7)
    axes[-1].set_xlabel("draw")
    return figure


def plot_prior_posterior(samples, prior, names):
    """Densities of posterior (M, n) and prior (P, n), each scaled to its peak, with the ratio of their widths.

    Positive priors over more than a factor of 20 are drawn, and their widths compared, in the logarithm.
    """
    n = len(names)
    columns = min(n, 4)
    figure, axes = figure_of(columns, -(-n // columns), 2.3, 1.9)
    for axis in axes.flat[n:]:
        axis.set_axis_off()
    for axis, name, own, before in zip(axes.flat, names, samples.T, prior.T):
        low, high = np.quantile(before, [0.005, 0.995])
        if low > 0.0 and high > 20.0 * low and own.min() > 0.0:
            name, own, before, low, high = f"log$_{{10}}$ {name}", *map(np.log10, (own, before, low, high))
        low, high = min(low, own.min()), max(high, own.max())
        for values, color, alpha in ((before, "0.7", 0.8), (own, DATA_COLOR, 0.85)):
            first, last = np.quantile(values, [0.001, 0.999])
            edges = np.linspace(first, max(last, first + 1e-9 * max(1.0, abs(first))), 31)
            height, _ = np.histogram(values, edges)
            axis.stairs(height / max(1, height.max()), edges, fill=True, color=color, alpha=alpha)
        # a posterior that is narrower than the line of its histogram is still seen
        axis.axvline(np.median(own), color=DATA_COLOR, lw=1.0)
        axis.set_xlim(low - 0.03 * (high - low), high + 0.03 * (high - low))
        axis.set_ylim(0.0, 1.15)
        axis.set_yticks([])
        axis.locator_params(axis="x", nbins=4)
        axis.tick_params(labelsize=7)
        axis.set_xlabel(name, fontsize=9)
        ratio = own.std() / before.std() if before.std() > 0.0 else np.nan
        axis.set_title(f"width {ratio:.2g} of the prior's", fontsize=7.5, color=MODEL_COLOR)
    return figure
