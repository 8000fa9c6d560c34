"""Parameters as tables: of a page, for LaTeX, for programs (ECSV); what a parameter is called and its unit."""

import html
import io

import numpy as np

from .files import write_atomically

LABELS = {
    "theta_E": ("$\\theta_E$", "arcsec"),
    "e1": ("$e_1$", ""),
    "e2": ("$e_2$", ""),
    "slope": ("slope", ""),
    "center_x": ("$x$", "arcsec East"),
    "center_y": ("$y$", "arcsec North"),
    "gamma1": ("$\\gamma_1$", ""),
    "gamma2": ("$\\gamma_2$", ""),
    "strength": ("ln strength", "dimensionless"),
    "axis_ratio": ("$q$", ""),
    "position_angle": ("PA", "deg E of N"),
    "shear_strength": ("$\\gamma$", ""),
    "shear_position_angle": ("PA$_\\gamma$", "deg E of N, of the stretch"),
    "einstein_radius": ("", "arcsec"),
    "einstein_mass": ("", "solar masses"),
    "einstein_radius_kpc": ("", "kpc"),
    "kpc_per_arcsec": ("", "kpc/arcsec"),
    "H0": ("$H_0$", "km/s/Mpc"),
    "Om0": ("$\\Omega_m$", ""),
    "core_radius": ("core", "arcsec"),
    "truncation_radius": ("truncation", "arcsec"),
    "R_s": ("$R_s$", "arcsec"),
    "alpha_R_s": ("$\\alpha(R_s)$", "arcsec"),
    "R_sersic": ("$R_e$", "arcsec"),
    "n_sersic": ("$n$", ""),
    "sigma": ("$\\sigma$", "arcsec"),
    "radius": ("radius", "arcsec"),
    "log10_mass": ("log M", "solar masses"),
    "magnification": ("", "source pixels with S/N > 3"),
    "total_magnification": ("", "all source pixels"),
    "half_light_radius": ("", "arcsec, source pixels with S/N > 3"),
    "rms_major": ("", "arcsec"),
    "rms_minor": ("", "arcsec"),
    "flux": ("", "Jy, unlensed"),
    "image_flux": ("", "Jy, lensed"),
    "effective_parameters": ("", "measured source parameters"),
}

LATEX, ECSV = "parameters.tex", "parameters.ecsv"
_UNITS = {one: one for one in ("arcsec", "kpc", "Jy", "deg")} | {
    "solar": "solMass",
    "kpc/arcsec": "kpc / arcsec",
    "km/s/Mpc": "km / (s Mpc)",
}
"""Units as astropy has them by the first word of ours."""
_ROUNDING = 1e-12
_LARGE, _SMALL = 1e6, 1e-6
"""Sizes beyond which a number is written with its power of ten."""


def short_name(path):
    """Label of a parameter path for plots: symbol, with the component's number from the second one on."""
    *_, last = path.split(".")
    label = LABELS.get(last, (last, ""))[0] or last.replace("_", " ")
    numbers = [part for part in path.split(".") if part.isdigit()]
    return label if not numbers or numbers[-1] == "0" else f"{label} ({numbers[-1]})"


def short_names(paths):
    """Labels of several parameters; where they are alike, with what they belong to."""
    names = [short_name(path) for path in paths]
    return [
        f"{name} {_place(path)}" if names.count(name) > 1 else name for name, path in zip(names, paths, strict=True)
    ]


def _place(path):
    """lens, source, source light, ..."""
    return " ".join(part for part in path.split(".")[:-1] if not part.isdigit()).replace(" mass", "")


def unit_of(path, summary=None):
    """Unit of a parameter path, in words; with the summary of a fit that of its data and sources."""
    *place, last = path.split(".")
    words = "dimensionless" if last == "strength" else LABELS.get(last, ("", ""))[1]
    if summary is None:
        return words
    if last == "magnification" and ".".join([*place, "total_magnification"]) not in summary["derived"]:
        return ""  # of a light profile, which has no pixels
    if "Jy" in words:
        units = {one["name"]: one.get("unit", "Jy") for one in summary["skies"]}
        own = {unit for name, unit in units.items() if name in place} or set(units.values())
        return words.replace("Jy", (own.pop() or "unit of the image") if len(own) == 1 else "unit of its sky")
    return words


def parameter_table(summary, kind, truth):
    """HTML table of the "parameters" or "derived" of a summary, with true values by path where there are any."""
    values = summary[kind]
    truth = {path: truth[path] for path in values if path in truth}
    head = "<tr><th>parameter</th><th>median</th><th>-</th><th>+</th><th>best fit</th>"
    head += ("<th>truth</th><th>sigma off</th>" if truth else "") + "<th>unit</th></tr>"
    rows = []
    for path, s in values.items():
        if s["median"] is None:
            continue
        power, digits = _power(s), _digits(_error(s) / 10.0 ** _power(s))
        errors = [s["median"] - s["q16"], s["q84"] - s["median"]] if _error(s) else [None, None]
        shown = [s["median"], *errors, s["map"]]
        text = "".join(f"<td>{_scaled(value, power, digits)}</td>" for value in shown)
        if truth:
            known = truth.get(path)
            off = None if known is None or not s["std"] else (s["median"] - known) / s["std"]
            text += f"<td>{_scaled(known, power, digits)}</td>"
            text += f"<td>{'' if off is None else f'{off:+.1f}'}</td>"
        rows.append(f"<tr><td>{html.escape(path)}</td>{text}<td>{html.escape(unit_of(path, summary))}</td></tr>")
    return f"<table class='units'>{head}{''.join(rows)}</table>"


def write_tables(summary, directory):
    """Write parameters.tex and parameters.ecsv of a summary to a folder."""
    for name, text in ((LATEX, latex_table(summary)), (ECSV, ecsv_table(summary))):
        write_atomically(directory / name, lambda stream, text=text: stream.write(text.encode()))


def latex_table(summary):
    """A tabular environment: symbol, path, median with the distances to the 16 % and 84 % quantiles, unit."""
    lines = [r"\begin{tabular}{llrl}", r"\hline", r"Parameter & Path & Value & Unit \\", r"\hline"]
    for kind in ("parameters", "derived"):
        for path, s in summary[kind].items():
            if s["median"] is not None:
                name = short_name(path)
                # figures show its logarithm, tables itself
                name = "strength" if name == "ln strength" else name if "$" in name else _escaped(name)
                cells = [name, rf"\texttt{{{_escaped(path)}}}", latex_value(s), _escaped(unit_of(path, summary))]
                lines.append(" & ".join(cells) + r" \\")
        lines.append(r"\hline")
    return "\n".join([*lines, r"\end{tabular}", ""])


def latex_value(s):
    """$0.901^{+0.012}_{-0.011}$ of statistics, a power of ten outside where it is large."""
    values = [s["median"], s["q84"] - s["median"], s["median"] - s["q16"]]
    power = _power(s)
    error = _error(s) / 10.0**power
    median, up, down = (_number(value / 10.0**power, _digits(error)) for value in values)
    text = f"{median}^{{+{up}}}_{{-{down}}}" if error else median
    return f"$({text}) \\times 10^{{{power}}}$" if power else f"${text}$"


def _escaped(text):
    for plain, written in (("_", r"\_"), ("%", r"\%"), (">", "$>$"), ("<", "$<$")):
        text = text.replace(plain, written)
    return text


def ecsv_table(summary):
    """ECSV text: a row for each parameter and derived quantity, columns of summary.json, astropy's names of units."""
    from astropy.table import Table

    rows = [(path, kind, s) for kind in ("parameters", "derived") for path, s in summary[kind].items()]
    table = Table()
    table["path"] = [path for path, _, _ in rows]
    table["kind"] = ["free" if kind == "parameters" else "derived" for _, kind, _ in rows]
    for key in ("median", "q16", "q84", "mean", "std", "map"):
        table[key] = [np.nan if s[key] is None else float(s[key]) for _, _, s in rows]
    table["unit"] = [_astropy_unit(unit_of(path, summary)) for path, _, _ in rows]
    table["meaning"] = [unit_of(path, summary) for path, _, _ in rows]
    table.meta = {"uvlens": summary["version"], "seed": summary["seed"], "method": summary["method"]}
    stream = io.StringIO()
    table.write(stream, format="ascii.ecsv")
    return stream.getvalue()


def _astropy_unit(words):
    """The unit that words begin with, "" for none."""
    return _UNITS.get(words.split()[0].rstrip(","), "") if words else ""


def _error(s):
    """Half of the distance between the 16 % and 84 % quantiles, 0 where it is rounding."""
    half = 0.5 * (s["q84"] - s["q16"])
    return half if half > _ROUNDING * abs(s["median"]) else 0.0


def _digits(sigma):
    """Decimals that show two significant figures of an error."""
    if not sigma or not np.isfinite(sigma):
        return 4
    return int(np.clip(1 - np.floor(np.log10(sigma)), 0, 9))


def _power(s):
    """The power of ten that is written beside statistics, 0 for numbers of everyday size."""
    size = max(abs(s["median"]), _error(s))
    return int(np.floor(np.log10(size))) if size >= _LARGE or 0.0 < size < _SMALL else 0


def _number(value, digits):
    return f"{value:.{digits}f}"


def _scaled(value, power, digits):
    """HTML of a number with its power of ten, nothing of None."""
    if value is None:
        return ""
    text = _number(value / 10.0**power, digits)
    return f"{text}e{power:+03d}" if power else text
