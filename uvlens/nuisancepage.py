"""Calibration nuisances in a report: a picture for each kind of an antenna's, and the table of all."""

import html

import numpy as np

_WORDS = {
    "antenna_phases": "Antenna phases",
    "antenna_amplitudes": "Antenna amplitudes (ln)",
    "flux_scale": "Flux scale (ln)",
    "shift_x": "Shift East",
    "shift_y": "Shift North",
}


def nuisance_figures(summary):
    """{name: (figure, caption)} from a summary: values of the antennas of every data set with their errors."""
    from .plot import figure_of

    facts, figures = summary.get("nuisances"), {}
    if not facts:
        return figures
    for kind in ("antenna_phases", "antenna_amplitudes"):
        shown = [one for one in facts["data"] if kind in one["parameters"]]
        if not shown:
            continue
        figure, axes = figure_of(len(shown), 1, 8.0, 2.6)
        for axis, one in zip(np.ravel(axes), shown):
            _draw(axis, one["parameters"][kind], one["data"] if len(shown) > 1 else "")
        caption = f"{_WORDS[kind]} with their errors, lens and source included; dotted: the width of the prior."
        figures[kind] = (figure, caption)
    return figures


def _draw(axis, group, title):
    rows = group["values"]
    antennas = [row["antenna"] for row in rows]
    intervals = sorted({row["interval"] for row in rows})
    offsets = {one: 0.6 * (i + 0.5) / len(intervals) - 0.3 for i, one in enumerate(intervals)}
    x = np.array([row["antenna"] + offsets[row["interval"]] for row in rows])
    value, error = (np.array([row[key] for row in rows]) for key in ("value", "error"))
    axis.axhline(0.0, color="0.7", lw=0.8)
    for sign in (-1.0, 1.0):
        axis.axhline(sign * group["sigma"], color="0.7", lw=0.8, ls=":")
    axis.errorbar(x, value, error, fmt="o", ms=3.5, lw=1.0, color="#2f5d8a")
    axis.set_xlim(min(antennas) - 0.8, max(antennas) + 0.8)
    axis.set_xlabel("antenna")
    axis.set_ylabel("phase [deg]" if group["unit"] == "deg" else "ln amplitude")
    axis.set_title(title)


def nuisance_page(summary, pictures):
    """The section of the page, "" where there are none."""
    facts = summary.get("nuisances")
    if not facts:
        return ""
    text = f"chi squared {facts['chi_squared']:,.1f}, penalty of the nuisances {facts['penalty']:,.1f}"
    if "change_of_chi_squared" in facts:
        before = facts["chi_squared_without_nuisances"]
        text += f"; without nuisances {before:,.1f}, so that they change it by {facts['change_of_chi_squared']:+,.1f}"
        text += f" ({facts['n_passes']} passes over the data)"
    rows = []
    for one in facts["data"]:
        for kind, group in one["parameters"].items():
            for row in group["values"]:
                which = "" if "antenna" not in row else f"antenna {row['antenna']}, interval {row['interval']}"
                cells = [one["data"], _WORDS[kind], which]
                cells += [f"{row[key]:.4g}" for key in ("value", "error", "error_of_fixed_model")]
                cells.append(group["unit"])
                rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    names = ("data", "nuisance", "of", "value", "error", "error, model fixed", "unit")
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    shown = "".join(pictures.get(kind, "") for kind in ("antenna_phases", "antenna_amplitudes"))
    table = f"<details><summary>All values</summary><table>{head}{''.join(rows)}</table></details>"
    return f"<h2>Calibration</h2><p>{html.escape(text)}.</p>{shown}<p>{html.escape(facts['errors'])}</p>{table}"
