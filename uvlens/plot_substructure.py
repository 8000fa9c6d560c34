"""Pictures of subhalo scans and sensitivity maps."""

import numpy as np

from .plot import figure_of, show_image


def plot_subhalo_maps(maps):
    """(figure, caption): Delta ln E over positions at the best mass, or the smallest mass that would be seen."""
    figure, axes = figure_of(1, width=5.2, height=4.6)
    one = axes[0, 0]
    x, y = maps.grid.coordinates()
    word = "log M200 [solar masses]" if maps.size_name == "log10_mass" else "Einstein radius [arcsec]"
    if maps.kind == "sensitivity":
        show_image(one, maps.smallest_size, maps.grid, "smallest subhalo that would be seen", word, cmap="viridis_r")
        return figure, f"The smallest perturber with Delta ln E = {maps.threshold:g} at each position."
    drawn = np.where(np.isfinite(maps.best_map), maps.best_map, np.nan)
    limit = float(np.nanmax(np.abs(drawn))) if np.isfinite(drawn).any() else 1.0
    show_image(one, drawn, maps.grid, "subhalo scan", "$\\Delta$ ln E", limits=(-limit, limit), cmap="RdBu_r")
    levels = [level for level in (maps.threshold, 2.0 * maps.threshold, 5.0 * maps.threshold) if level < limit]
    if levels and min(drawn.shape) > 1:
        one.contour(x, y, np.nan_to_num(drawn, nan=-limit), levels=levels, colors="black", linewidths=0.8)
    best = maps.best
    if best["x"] is not None:
        one.plot(best["x"], best["y"], "x", color="black", markersize=8)
    name = "log M" if maps.size_name == "log10_mass" else "Einstein radius"
    size, delta = best[maps.size_name], best["delta_log_evidence"]
    at = f'{best["x"]:.3f}", {best["y"]:.3f}"' if best["x"] is not None else "-"
    verdict = "above" if delta > maps.threshold else "below"
    caption = (
        f"Delta ln E of one more perturber at its best mass; cross: best position ({at}), {name} {size:.2f}, "
        f"Delta ln E {delta:.1f}, {verdict} the threshold of {maps.threshold:g}."
        if size is not None
        else "Nothing could be evaluated."
    )
    return figure, caption
