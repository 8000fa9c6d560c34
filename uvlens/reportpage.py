"""The page of `report.html` from its figures, tables and facts."""

import base64
import html
import json

from . import __version__
from .nuisancepage import nuisance_page
from .reportfacts import convergence_section, provenance_section
from .reporttable import ECSV, LATEX, latex_table, parameter_table
from .skyfigures import sky_sections

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c2733;max-width:1080px;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem;border-bottom:1px solid #d5dde5;
padding-bottom:.2rem}h3{font-size:1rem}table{border-collapse:collapse;font-size:.88rem;margin:.6rem 0}
td,th{padding:.22rem .7rem;text-align:right;border-bottom:1px solid #e6ebf0;white-space:nowrap}
td:first-child,th:first-child{text-align:left;font-family:ui-monospace,monospace}
.units td:last-child,.units th:last-child{text-align:left;color:#5b6b7a;white-space:normal}
.wide{overflow-x:auto}.wraps td{white-space:normal;overflow-wrap:anywhere;text-align:left}
.wraps td:first-child{white-space:nowrap}
img{max-width:100%;height:auto}figure{margin:1rem 0}
figcaption{font-size:.85rem;color:#5b6b7a}.warn{background:#fff6e0;border-left:4px solid #d9a400;padding:.5rem 1rem}
pre{font-size:.8rem;white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:.6rem}
summary{cursor:pointer;color:#1f4e79}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.3rem 1.2rem;font-size:.9rem;
margin-bottom:.9rem}
.facts b{display:block;font-size:1.05rem;overflow-wrap:anywhere}
@page{size:A4;margin:14mm}
@media print{body{max-width:none;margin:0;padding:0;font-size:10pt}h2,h3{break-after:avoid}
figure,tr,.facts,.warn{break-inside:avoid}img{max-height:225mm;display:block;margin:auto}
table{font-size:7.5pt}td,th{padding:.1rem .4rem}.wide{overflow:visible}details:not([open]){display:none}
.facts{grid-template-columns:repeat(3,1fr)}}
"""

_FOUND = (("subhalo_*", "Substructure"), ("adequacy", "Is the model adequate?"))
"""Pictures that other steps leave in the folder, with a text beside them, and the section of each."""


def report_page(directory, summary, captions, sections, truth):
    """HTML of a report.

    Args:
        directory: result folder.
        summary: content of summary.json.
        captions: {name: caption} of the figures, NAME.png in the folder.
        sections: {"data", "residuals": HTML of these sections}.
        truth: true values by parameter path.
    """
    pictures = {
        key: _picture(key, (directory / f"{key}.png").read_bytes(), caption.split(".")[0], caption)
        for key, caption in captions.items()
    }
    best = html.escape((directory / "best_fit.yaml").read_text())
    posterior = "".join(pictures.get(key, "") for key in ("corner", "prior", "traces"))
    parts = [
        f"<h2>Summary</h2><div class='facts'>{_facts(summary)}</div>{remarks(summary, adequacy_of(directory))}",
        *stages_section(summary.get("stages", [])),
        sections["data"],
        *sky_sections(pictures),
        sections["residuals"],
        f"<h2>Parameters</h2><div class='wide'>{parameter_table(summary, 'parameters', truth)}</div>{_copies(summary)}",
        f"<h2>Derived</h2><div class='wide'>{parameter_table(summary, 'derived', truth)}</div>",
        nuisance_page(summary, pictures),
        f"<h2>Posterior</h2>{posterior}{convergence_section(summary['diagnostics'])}",
        *_found_pictures(directory),
        f"<h2>Best fit</h2><pre>{best}</pre>",
        provenance_section(summary),
    ]
    title = html.escape(directory.resolve().name)
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'><title>uvlens: {title}</title>"
        f"<style>{_STYLE}</style></head><body><h1>Lens model: {title}</h1>"
        f"<p>uvlens {__version__}</p>{''.join(parts)}</body></html>"
    )


def _facts(s):
    n_source = sum(sky["n_channels"] * sky["n_source_pixels"] for sky in s["skies"])
    gamma = sum(values["map"] for path, values in s["derived"].items() if path.endswith("effective_parameters"))
    evidence = s["log_evidence"] if s["log_evidence"] is not None else s["max_log_evidence"]
    name = "ln Z of the model" if s["log_evidence"] is not None else "ln E at the best fit"
    facts = {
        **({"visibilities": f"{s['n_visibilities']:,}"} if s["n_visibilities"] else {}),
        "chi squared / real numbers": f"{s['terms']['chi_squared']:,.1f} / {s['n_real_data']:,}",
        **({"source parameters measured": f"{gamma:.1f} of {n_source:,}"} if n_source else {}),
        name: f"{evidence:,.2f}",
        "image pixels": f'{s["n_image_pixels"]:,} of {s["pixel_scale"]:.4f}"',
        "operator": s["operator"] + (f", rank {s['rank']}" if s["operator"] == "lowrank" else ""),
        "method": s["method"],
        "likelihoods / gradients": f"{s['n_evaluations']:,} / {s['n_gradients']:,}",
        "time": f"{s['wall_seconds']:.0f} s, {1e3 * s['seconds_per_evaluation']:.0f} ms each",
    }
    return "".join(f"<div>{html.escape(key)}<b>{html.escape(value)}</b></div>" for key, value in facts.items())


def adequacy_of(directory):
    """What the posterior predictive checks left in the folder, in one sentence; None without them."""
    texts = [directory / f"adequacy.{kind}" for kind in ("json", "txt")]
    if not all(text.exists() for text in texts):
        return None
    return json.loads(texts[0].read_text())["adequate"], texts[1].read_text().strip()


def remarks(summary, adequacy):
    """Warnings and notes of a summary, the result of `adequacy_of` first."""
    warnings, notes = [*summary["warnings"]], [*summary["notes"]]
    if adequacy is not None:
        adequate, sentence = adequacy
        (notes if adequate else warnings).insert(0, sentence)
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in warnings)
    block = f'<div class="warn"><ul>{warnings}</ul></div>' if warnings else ""
    return block + "".join(f"<p>{html.escape(text)}</p>" for text in notes)


def _copies(summary):
    """The tables for papers and programs."""
    return (
        f"<p>The same as files: <a href='{LATEX}'>{LATEX}</a>, <a href='{ECSV}'>{ECSV}</a>.</p>"
        f"<details><summary>LaTeX</summary><pre>{html.escape(latex_table(summary))}</pre></details>"
    )


def _picture(name, png, alt, caption):
    data = base64.b64encode(png).decode()
    return (
        f'<figure id="{html.escape(name)}"><img alt="{html.escape(alt)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _found_pictures(directory):
    sections = []
    for pattern, title in _FOUND:
        figures = []
        for file in sorted(directory.glob(f"{pattern}.png")):
            text = file.with_suffix(".txt")
            caption = text.read_text().strip() if text.exists() else file.stem
            figures.append(_picture(file.stem, file.read_bytes(), title, caption))
        if figures:
            sections.append(f"<h2>{title}</h2>{''.join(figures)}")
    return sections


def stages_section(stages):
    """The stages of a pipeline with links to their reports, nothing for a single fit."""
    if not stages:
        return []
    has_ln_z = any(one["log_evidence"] is not None for one in stages)
    names = ["stage", "method", "free", *["ln Z"] * has_ln_z, "ln E at the best fit"]
    head = "".join(f"<th>{name}</th>" for name in (*names, "likelihoods", "gradients", "seconds"))
    rows = []
    for one in stages:
        name = html.escape(one["name"])
        link = name if one["folder"] == "." else f'<a href="{html.escape(one["folder"])}/report.html">{name}</a>'
        ln_z = "" if one["log_evidence"] is None else f"{one['log_evidence']:,.2f}"
        cells = [one["method"], f"{one['n_free']}", *[ln_z] * has_ln_z, f"{one['max_log_evidence']:,.2f}"]
        cells += [f"{one['n_evaluations']:,}", f"{one['n_gradients']:,}", f"{one['wall_seconds']:.0f}"]
        rows.append(f"<tr><td>{link}</td>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    return [f"<h2>Stages</h2><table><tr>{head}</tr>{''.join(rows)}</table>"]
