"""Tables of a report beside that of the parameters: data, whitened residuals, convergence, provenance."""

import html

import numpy as np

from .imaging import level, synthesized_beam
from .products import all_cells
from .residualstatistics import residual_statistics, whitened_residuals


def table(head, rows):
    """HTML of a table; cells are text. A head without any is left out, and a column where no row says anything."""
    rows = [[str(cell) for cell in row] for row in rows]
    kept = [i for i in range(len(head)) if not rows or any(row[i] for row in rows)]
    head, rows = [head[i] for i in kept], [[row[i] for i in kept] for row in rows]
    lines = ["".join(f"<th>{html.escape(cell)}</th>" for cell in head)] if any(head) else []
    lines += ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def data_section(skies):
    """Observations (visibilities, frequencies, baselines) and what they see (beam, noise, peak), of [Sky]."""
    seen = [sky for sky in skies if not sky.is_image]
    images = [sky for sky in skies if sky.is_image]
    text = ""
    if seen:
        head = ("data", "visibilities", "flagged", "antennas", "frequency", "channels", "baselines")
        rows = [_observation(one) for sky in seen for one in sky.reduction.observations]
        head_of_sky = ("sky", "beam (natural)", "noise", "peak S/N", "pixels", "scale", "99.5 % of the weight below")
        named = [_named(sky, 0, [one.name for one in seen]) for sky in seen]
        text += table(head, rows) + table(head_of_sky, map(_visibility_sky, seen, named))
    if images:
        text += table(("image", "fitted pixels", "scale", "unit", "median error", "peak S/N"), map(_image, images))
    return f"<h2>Data</h2>{text}"


def _observation(one):
    frequency = "" if one.frequency is None else f"{one.frequency / 1e9:.3f} GHz"
    baselines = f"{one.shortest / 1e3:.1f} to {one.longest / 1e3:.1f} kλ"
    antennas = "" if one.n_antennas is None else one.n_antennas
    name = one.name.rstrip("/").rsplit("/", 1)[-1]
    return name, f"{one.n_visibilities:,}", f"{one.n_flagged:,}", antennas, frequency, one.n_channels, baselines


def _named(sky, channel, names):
    """The name of a sky, with the frequency where others have the same name."""
    if names.count(sky.name) == 1 or not sky.frequencies:
        return sky.name or "all"
    return f"{sky.name} {sky.frequencies[channel] / 1e9:.4f} GHz".strip()


def _visibility_sky(sky, name):
    reduction = sky.reduction
    u, v, _, weight = all_cells(reduction)
    beam, noise = synthesized_beam(u, v, weight), reduction.sum_weight**-0.5
    peak = float(np.max(reduction.dirty_image)) * noise
    shape = f'{beam.major:.3f}" x {beam.minor:.3f}", PA {beam.position_angle:.0f} deg'
    of_channel = " a channel" if sky.n_channels > 1 else ""
    longest = f"{reduction.histogram.quantile(0.995) / 1e3:.1f} kλ"
    scale = f'{sky.mask.grid.pixel_scale:.4g}"'
    return name, shape, level(noise) + of_channel, f"{peak:.1f}", f"{sky.mask.n_pixels:,}", scale, longest


def _image(sky):
    reduction = sky.reduction
    good = reduction.weight > 0.0
    error = float(np.median(reduction.weight[good] ** -0.5))
    peak = float(np.max(reduction.data[good] * np.sqrt(reduction.weight[good])))
    scale = f'{reduction.data_mask.grid.pixel_scale:.4g}"'
    name = sky.name or reduction.name.rstrip("/").rsplit("/", 1)[-1]
    return name, f"{int(good.sum()):,}", scale, reduction.unit or "unknown", f"{error:.3g}", f"{peak:.1f}"


def residual_section(found):
    """What is left of the data of [Reconstruction] in units of its errors, beside what pure noise leaves."""
    rows, names = [], ()
    for one in found:
        values = whitened_residuals(one)
        facts = residual_statistics(values)
        names = tuple(facts)
        said = _named(one.of_sky, one.channel, [other.of_sky.name for other in found])
        rows.append((said if one.of_sky.name or len(found) > 1 else "data", f"{len(values):,}"))
        rows[-1] += tuple(f"{value:,}" if isinstance(value, int) else f"{value:.3f}" for value, _, _ in facts.values())
        rows.append(("of noise", "", *(_expected(mean, spread) for _, mean, spread in facts.values())))
    return f"<h2>Whitened residuals</h2>{table(('', 'numbers', *names), rows)}<p>{_RESIDUALS}</p>"


_RESIDUALS = (
    "Data - model over the errors: real and imaginary parts of visibilities averaged in uv cells, or fitted pixels. "
    "The fit itself takes out as many degrees of freedom as it measures source and lens parameters, so that the "
    "standard deviation lies a little below that of noise."
)


def _expected(mean, spread):
    return f"{mean:.3g}" if spread is None else f"{mean:.3g} ± {spread:.2g}"


def convergence_section(diagnostics):
    """R-hat and effective sample sizes of chains, and what else a search says of itself."""
    text = ""
    if diagnostics.get("r_hat"):
        keys = ("r_hat", "ess_bulk", "ess_tail")
        rows = [
            (path, f"{value:.4f}", *(f"{diagnostics[key][path]:,.0f}" for key in keys[1:]))
            for path, value in diagnostics["r_hat"].items()
            if value is not None
        ]
        text += table(("parameter", "R-hat", "bulk ESS", "tail ESS"), rows)
    plain = {key: value for key, value in diagnostics.items() if isinstance(value, int | float)}
    if plain:
        shown = {key: str(value) if isinstance(value, int) else f"{value:.5g}" for key, value in plain.items()}
        text += table(("search", ""), [(key.replace("_", " "), value) for key, value in shown.items()])
    return f"<h3>Convergence</h3>{text}" if text else ""


def provenance_section(summary):
    """Command, versions, seed and hashes."""
    made = summary.get("provenance") or {}
    versions = made.get("versions", {"uvlens": summary["version"]})
    rows = [("command", made["command"])] if made.get("command") else []
    rows += [("versions", ", ".join(f"{name} {version}" for name, version in versions.items()))]
    rows += [("machine", made["platform"])] if made.get("platform") else []
    rows += [("method and seed", f"{summary['method']}, {summary['seed']}")]
    rows += [("data (SHA-256)", ", ".join(summary["data_hashes"]))]
    return f"<h2>Provenance</h2><div class='wraps'>{table(('', ''), rows)}</div>"
