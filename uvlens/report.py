"""`report.html`: one self-contained page with the pictures, the numbers and where they came from."""

import base64
import contextlib
import html
import io
import json
import platform
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from . import __version__
from .errors import InputError
from .files import write_atomically
from .nuisancepage import nuisance_figures, nuisance_page
from .products import write_fits_products
from .reload import model_of
from .schema import load_yaml
from .skyfigures import sky_figures, sky_sections

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

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d5dde5;
padding-bottom:.2rem}table{border-collapse:collapse;font-size:.88rem}td,th{padding:.22rem .7rem;text-align:right;
border-bottom:1px solid #e6ebf0}td:first-child,th:first-child{text-align:left;font-family:ui-monospace,monospace}
td:last-child,th:last-child{text-align:left;color:#5b6b7a}
td,th{white-space:nowrap}img{max-width:100%;height:auto}figure{margin:1rem 0}
figcaption{font-size:.85rem;color:#5b6b7a}.warn{background:#fff6e0;border-left:4px solid #d9a400;padding:.5rem 1rem}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.3rem 1.2rem;font-size:.9rem}
.facts b{display:block;font-size:1.05rem}
@media print{body{max-width:none}h2{break-after:avoid}figure{break-inside:avoid}}
"""


def write_report(directory, truth=None):
    """Write `report.html` and PNG figures from the files of a result folder; returns the path of the report.

    FITS products that the fit could not write, for want of astropy, are written too.

    Args:
        directory: folder with summary.json, posterior.nc, best_fit.yaml and normal.npz.
        truth: true values by parameter path, drawn in the corner plot; default: `truth.json` of the folder if there.

    Raises:
        InputError: a folder without these files.
    """
    directory = Path(directory)
    summary = _read_summary(directory)
    model, phase_center = load_best_model(directory)
    samples, paths, n_chains = _read_samples(directory)
    if truth is None and (directory / "truth.json").exists():
        truth = json.loads((directory / "truth.json").read_text())
    found = model.inversions(jnp.zeros(0))
    if not list(directory.glob("source*.fits")):
        write_fits_products(found, directory, phase_center)
    figures = sky_figures(found, model.lenses(jnp.zeros(0))) | _posterior_figures(samples, paths, n_chains, truth or {})
    figures |= nuisance_figures(summary)
    for name, (figure, _) in figures.items():
        figure.savefig(directory / f"{name}.png")
    page = _page(directory, summary, figures, paths, truth or {})
    target = directory / "report.html"
    write_atomically(target, lambda stream: stream.write(page.encode()))
    return target


def short_name(path):
    """Label of a parameter path for plots: symbol, with the component's number from the second one on."""
    *_, last = path.split(".")
    label = LABELS.get(last, (last, ""))[0] or last
    numbers = [part for part in path.split(".") if part.isdigit()]
    return label if not numbers or numbers[-1] == "0" else f"{label} ({numbers[-1]})"


def unit_of(path):
    """Unit of a parameter path, in words."""
    last = path.split(".")[-1]
    return "dimensionless" if last == "strength" else LABELS.get(last, ("", ""))[1]


def _read_summary(directory):
    try:
        return json.loads((directory / "summary.json").read_text())
    except FileNotFoundError:
        raise InputError(f"{directory}: no summary.json here; is it the folder of a finished fit?") from None
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{directory}/summary.json: {error}") from None


def load_best_model(directory):
    """(model at the best fit, phase centre)."""
    for name in ("best_fit.yaml", "normal.npz", "posterior.nc"):
        if not (directory / name).exists():
            raise InputError(f"{directory}: no {name} here; is it the folder of a finished fit?")
    return model_of(load_yaml(directory / "best_fit.yaml") | {"positions": None}, directory)


def _read_samples(directory):
    import xarray

    with xarray.open_dataset(directory / "posterior.nc", group="posterior", engine="h5netcdf") as posterior:
        paths = [str(name) for name in posterior.data_vars]
        arrays = [np.asarray(posterior[path]) for path in paths]
    return np.stack([array.reshape(-1) for array in arrays], axis=1), paths, arrays[0].shape[0]


def _posterior_figures(samples, paths, n_chains, truth):
    from . import plot

    logarithmic = [path.endswith("strength") and "regularization" in path for path in paths]
    shown = np.where(logarithmic, np.log(np.where(logarithmic, samples, 1.0)), samples)
    names = [short_name(path) for path in paths]
    true_values = [truth.get(path) for path in paths]
    figures = {
        "corner": (
            plot.plot_corner(shown, names, true_values if truth else None),
            "Posterior: 39 % and 86 % regions, medians and 16 to 84 % ranges"
            + ("; red lines mark the true values." if truth else "."),
        ),
    }
    if n_chains > 1:
        figures["traces"] = (plot.plot_traces(shown, names, n_chains), "The chains.")
    return figures


def _embed(name, figure, caption):
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    data = base64.b64encode(stream.getvalue()).decode()
    alt = html.escape(caption.split(".")[0])
    return (
        f'<figure id="{name}"><img alt="{alt}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


_FOUND = (("subhalo_*", "Substructure"), ("adequacy", "Is the model adequate?"))
"""Pictures that other steps leave in the folder, with a text beside them, and the section of each."""


def _found_pictures(directory):
    sections = []
    for pattern, title in _FOUND:
        figures = []
        for file in sorted(directory.glob(f"{pattern}.png")):
            text = file.with_suffix(".txt")
            caption = html.escape(text.read_text().strip() if text.exists() else file.stem)
            data = base64.b64encode(file.read_bytes()).decode()
            figures.append(
                f'<figure id="{file.stem}"><img alt="{title}" src="data:image/png;base64,{data}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        if figures:
            sections.append(f"<h2>{title}</h2>{''.join(figures)}")
    return sections


def _table(values, truth):
    head = "<tr><th>parameter</th><th>median</th><th>-</th><th>+</th><th>best fit</th>"
    head += ("<th>truth</th><th>sigma off</th>" if truth else "") + "<th>unit</th></tr>"
    rows = []
    for path, s in values.items():
        if s["median"] is None:
            continue
        digits = _digits(s["std"])
        cells = [s["median"], s["median"] - s["q16"], s["q84"] - s["median"], s["map"]]
        text = "".join(f"<td>{_number(value, digits)}</td>" for value in cells)
        if truth:
            known = truth.get(path)
            off = None if known is None or not s["std"] else (s["median"] - known) / s["std"]
            text += f"<td>{'' if known is None else _number(known, digits)}</td>"
            text += f"<td>{'' if off is None else f'{off:+.1f}'}</td>"
        rows.append(f"<tr><td>{html.escape(path)}</td>{text}<td>{html.escape(unit_of(path))}</td></tr>")
    return f"<table>{head}{''.join(rows)}</table>"


def _digits(sigma):
    """Decimals that show two significant figures of an error."""
    if not sigma or not np.isfinite(sigma):
        return 4
    return int(np.clip(1 - np.floor(np.log10(sigma)), 0, 9))


def _number(value, digits):
    if value is None:
        return ""
    return f"{value:.2e}" if digits >= 9 or abs(value) >= 1e6 else f"{value:.{digits}f}"


def _page(directory, summary, figures, paths, truth):
    terms, s = summary["terms"], summary
    n_real = s["n_real_data"]
    n_source = sum(sky["n_channels"] * sky["n_source_pixels"] for sky in s["skies"])
    gamma = sum(values["map"] for path, values in s["derived"].items() if path.endswith("effective_parameters"))
    evidence = s["log_evidence"] if s["log_evidence"] is not None else s["max_log_evidence"]
    name = "ln Z of the model" if s["log_evidence"] is not None else "ln E at the best fit"
    facts = {
        **({"visibilities": f"{s['n_visibilities']:,}"} if s["n_visibilities"] else {}),
        "chi squared / real numbers": f"{terms['chi_squared']:,.1f} / {n_real:,}",
        **({"source parameters measured": f"{gamma:.1f} of {n_source:,}"} if n_source else {}),
        name: f"{evidence:,.2f}",
        "image pixels": f'{s["n_image_pixels"]:,} of {s["pixel_scale"]:.4f}"',
        "operator": s["operator"] + (f", rank {s['rank']}" if s["operator"] == "lowrank" else ""),
        "method": s["method"],
        "likelihoods / gradients": f"{s['n_evaluations']:,} / {s['n_gradients']:,}",
        "time": f"{s['wall_seconds']:.0f} s, {1e3 * s['seconds_per_evaluation']:.0f} ms each",
    }
    grid = "".join(f"<div>{html.escape(key)}<b>{html.escape(value)}</b></div>" for key, value in facts.items())
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in s["warnings"])
    block = f'<div class="warn"><ul>{warnings}</ul></div>' if warnings else ""
    block += "".join(f"<p>{html.escape(text)}</p>" for text in s["notes"])
    pictures = {key: _embed(key, figure, caption) for key, (figure, caption) in figures.items()}
    best = html.escape((directory / "best_fit.yaml").read_text())
    versions = html.escape(", ".join(f"{key} {value}" for key, value in _versions().items()))
    hashes = html.escape(", ".join(h[:16] for h in s["data_hashes"]))
    sections = [
        f"<h2>Summary</h2><div class='facts'>{grid}</div>{block}",
        *_stages(s.get("stages", [])),
        *sky_sections(pictures),
        f"<h2>Parameters</h2>{_table(s['parameters'], truth)}",
        f"<h2>Derived</h2>{_table(s['derived'], truth)}",
        nuisance_page(summary, pictures),
        f"<h2>Posterior</h2>{pictures['corner']}{pictures.get('traces', '')}",
        *_found_pictures(directory),
        f"<h2>Best fit</h2><pre>{best}</pre>",
        f"<h2>Provenance</h2><p>{versions}; seed {s['seed']}; data {hashes}</p>",
    ]
    title = html.escape(directory.resolve().name)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>uvlens: {title}</title>"
        f"<style>{_STYLE}</style></head><body><h1>Lens model: {title}</h1>"
        f"<p>uvlens {__version__}</p>{''.join(sections)}</body></html>"
    )


def _stages(stages):
    """The stages of a pipeline with links to their reports, nothing for a single fit."""
    if not stages:
        return []
    head = "<tr><th>stage</th><th>method</th><th>free</th><th>ln Z</th><th>ln E at the best fit</th>"
    head += "<th>likelihoods</th><th>gradients</th><th>seconds</th></tr>"
    rows = []
    for one in stages:
        name = html.escape(one["name"])
        link = name if one["folder"] == "." else f'<a href="{html.escape(one["folder"])}/report.html">{name}</a>'
        ln_z = "" if one["log_evidence"] is None else f"{one['log_evidence']:,.2f}"
        cells = [one["method"], f"{one['n_free']}", ln_z, f"{one['max_log_evidence']:,.2f}"]
        cells += [f"{one['n_evaluations']:,}", f"{one['n_gradients']:,}", f"{one['wall_seconds']:.0f}"]
        rows.append(f"<tr><td>{link}</td>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    return [f"<h2>Stages</h2><table>{head}{''.join(rows)}</table>"]


def _versions():
    import importlib.metadata

    packages = ("jax", "numpy", "scipy", "numpyro", "equinox", "jax-finufft", "nautilus-sampler")
    versions = {"uvlens": __version__, "Python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions
