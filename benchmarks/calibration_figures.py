"""What the tables of benchmarks/calibration say, and the figures of docs/calibration.md.

python benchmarks/calibration_figures.py
"""

import itertools
import json
import pathlib

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from uvlens import sbc
from uvlens.reporttable import short_names

HERE = pathlib.Path(__file__).parent
TABLES, FIGURES = HERE / "calibration", HERE.parent / "docs" / "figures"
COLOURS = ("#1f4e79", "#c8553d", "#5b8c5a", "#8a6fae", "#c9a227", "#3aa6b9", "#7a7a7a", "#000000")
TITLES = {
    "parametric": "parametric",
    "pixels": "pixels",
    "control-parametric": "parametric, noise x 1.3",
    "control-pixels": "pixels, noise x 1.3",
    "positive": "pixels, s >= 0",
}


def load(name, folder=TABLES):
    """(header, columns) of a table; a column has shape (mocks, numbers)."""
    saved = json.loads((folder / f"{name}.json").read_text())
    return saved["header"], {key: np.array(rows) for key, rows in saved["columns"].items()}


def summarise(name, folder=TABLES):
    """By parameter: p values, mean and variance of z, coverage; and what was dropped (nothing) or went wrong."""
    header, columns = load(name, folder)
    found = {"mocks": len(columns["z"]), "parameters": {}}
    for i, path in enumerate(header["paths"]):
        u, z = columns["u"][:, i], columns["z"][:, i]
        ks, chi_squared = sbc.uniformity(u)
        found["parameters"][path] = {
            "p_ks": ks,
            "p_chi_squared": chi_squared,
            "mean_z": z.mean(),
            "var_z": z.var(ddof=1),
            "coverage_68": np.mean(np.abs(u - 0.5) < 0.34),
            "coverage_95": np.mean(np.abs(u - 0.5) < 0.475),
            "shrinkage": np.median(columns["shrinkage"][:, i]),
        }
    lens = [i for i, path in enumerate(header["paths"]) if not path.endswith("strength")]
    found["p_density"] = sbc.uniformity(columns["u_density"][:, 0])
    found["var_z"] = columns["z"][:, lens].var()
    found["var_z_error"] = spread_of_variance(columns["z"][:, lens])
    found["smallest_p"] = min(
        [min(one["p_ks"], one["p_chi_squared"]) for one in found["parameters"].values()] + list(found["p_density"])
    )
    found["n_tests"] = 2 * len(header["paths"]) + 2
    found["missed"] = int(np.sum(columns["below_top"] < -0.5))
    found["divergent"] = int(np.sum(columns["divergences"] > 0))
    found["divergences"] = int(columns["divergences"].sum())
    found["smallest_ess"] = float(columns["ess"].min())
    found["median_ess"] = float(np.median(columns["ess"]))
    found["seconds"] = float(columns["seconds"].sum())
    return found


def spread_of_variance(z):
    """Standard error of the variance of all z (mocks, n), mocks resampled: parameters of a mock go together."""
    rng = np.random.default_rng(0)
    return float(np.std([z[rng.integers(len(z), size=len(z))].var() for _ in range(2000)]))


def is_calibrated(summary):
    """Ranks uniform at 1 % over all tests made, and every var(z) within 0.42 of 1."""
    variances = np.array([one["var_z"] for one in summary["parameters"].values()])
    return summary["smallest_p"] > 0.01 / summary["n_tests"] and bool(np.all(np.abs(variances - 1.0) < 0.42))


def summarise_odds(folder=TABLES):
    """Logistic regression of the truth on the odds, with and without an intercept, and what certifies the odds."""
    _, columns = load("odds", folder)
    x, true = columns["log_odds"][:, 0], columns["true"][:, 0]
    a, b, covariance = sbc.calibration_slope(x, true)
    _, alone, variance = sbc.calibration_slope(x, true, intercept=False)
    probability = 1.0 / (1.0 + np.exp(-x))
    return {
        "mocks": len(x),
        "intercept": (a, np.sqrt(covariance[0, 0])),
        "slope": (b, np.sqrt(covariance[1, 1])),
        "slope_alone": (alone, np.sqrt(variance[0, 0])),
        "log_odds_range": (x.min(), x.max()),
        "within_3": int(np.sum(np.abs(x) < 3.0)),
        # under perfect calibration: expected and found number of correct choices, and mean ln score
        "correct": (np.sum(np.maximum(probability, 1.0 - probability)), np.sum((x > 0.0) == (true > 0.5))),
        "largest_error": columns["error"].max(),
        "smallest_n_effective": columns["n_effective"].min(),
        "missed": int(np.sum(columns["below_top"] < -0.5)),
        "seconds": columns["seconds"].sum(),
    }


def draw_ranks(names):
    rows = -(-len(names) // 3)
    figure = Figure(figsize=(8.4, 2.9 * rows), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, 3, sharey=True, squeeze=False)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for axes, name in zip(panels.flat, names):
        header, columns = load(name)
        n = len(columns["u"])
        steps = (np.arange(n) + 0.5) / n
        for i, label in enumerate(short_names(header["paths"])):  # ranks are those of the logarithm too
            u = np.sort(columns["u"][:, i])
            axes.plot(u, steps - u, color=COLOURS[i], linewidth=1.1, label=label.removeprefix("ln "))
        for sign in (-1.0, 1.0):
            axes.axhline(sign * 1.628 / np.sqrt(n), color="0.6", linewidth=0.8, linestyle="--")
        axes.set(title=TITLES.get(name, name), xlabel="u", xlim=(0.0, 1.0), ylim=(-0.45, 0.3))
        axes.legend(fontsize=8, loc="lower left", ncol=4, frameon=False, columnspacing=0.8, handlelength=1.0)
    for axes in panels[:, 0]:
        axes.set_ylabel("share of mocks below u, minus u", fontsize=9)
    figure.savefig(FIGURES / "calibration_ranks.png")


def draw_odds():
    _, columns = load("odds")
    x, true = columns["log_odds"][:, 0], columns["true"][:, 0] > 0.5
    probability = 1.0 / (1.0 + np.exp(-x))
    edges = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0])
    figure = Figure(figsize=(7.4, 3.3), layout="constrained", dpi=100)
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
    for low, high in itertools.pairwise(edges):
        inside = (probability >= low) & (probability < high + (high == 1.0))
        n, k = inside.sum(), (inside & true).sum()
        if n:
            middle = (k + 0.5) / (n + 1.0)
            error = np.sqrt(middle * (1.0 - middle) / (n + 1.0))
            left.errorbar(probability[inside].mean(), k / n, error, fmt="o", color=COLOURS[0], capsize=2)
            left.annotate(f"{n}", (probability[inside].mean(), k / n), (6, -10), textcoords="offset points", fontsize=7)
    found = summarise_odds()
    slope, error = found["slope"]
    left.set(xlabel="probability of shear, from ln Z", ylabel="share of mocks with shear")
    left.set_title(f"slope {slope:.2f} +- {error:.2f}", fontsize=9)
    bins = np.arange(-4.0, 12.1, 1.0)
    for chosen, colour, label in ((~true, COLOURS[0], "SIE is true"), (true, COLOURS[1], "SIE + shear is true")):
        right.hist(np.clip(x[chosen], -3.9, 11.9), bins, color=colour, alpha=0.6, label=label)
    right.set(xlabel="ln odds of shear (ends: beyond)", ylabel="mocks")
    right.legend(fontsize=7)
    figure.savefig(FIGURES / "calibration_odds.png")


def main():
    names = [name for name in TITLES if (TABLES / f"{name}.json").exists()]
    for name in names:
        found = summarise(name)
        print(f"\n{name}: { ({key: value for key, value in found.items() if key != 'parameters'}) }")
        for path, one in found["parameters"].items():
            print(f"  {path:45s}", "  ".join(f"{key} {value:.3f}" for key, value in one.items()))
        print("  calibrated" if is_calibrated(found) else "  NOT calibrated")
    draw_ranks(names)
    if (TABLES / "odds.json").exists():
        print("\nodds:", summarise_odds())
        draw_odds()


if __name__ == "__main__":
    main()
