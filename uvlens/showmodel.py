"""`uvlens fit --show-model`: every parameter with its prior, central range and unit."""

import jax
import jax.numpy as jnp
import numpy as np

from .constraints import as_constraints, excluded_shares
from .defaultpriors import field_of, with_default_priors
from .domain import check_priors
from .guard import wants_guard
from .parameters import Parameters
from .pipelinefile import sources_of
from .priors import Free
from .sourcemodel import settled_source

N_DRAWS = 2000
"""Of the prior, for the ranges of dependent and joint priors."""


def model_facts(model_file):
    """What `--show-model --json` prints.

    Args:
        model_file: ModelFile. Data are read only where a default prior needs them.

    Returns:
        dict with "parameters": one {path, kind (free, default, tied, fixed), prior | value, unit, median, q025, q975} a
        number of the model in the order of its sections; "constraints"; "excluded_prior_share"; "positions", with
        "positions_missing" where a fit would be refused without; "method".

    Raises:
        InputError: as for the model.
    """
    from .reporttable import unit_of

    components = {"lens": model_file.lens, "source": model_file.source, "cosmology": model_file.cosmology}
    components, late = with_default_priors(components, lambda: _field(model_file))
    strengths = _automatic(components["source"])
    source = components["source"]
    components["source"] = (
        [settled_source(one)[0] for one in source] if isinstance(source, list) else settled_source(source)[0]
    )
    parameters = Parameters(components)
    check_priors(components, parameters, model_file.signed)
    defaults = {*model_file.defaults, *late, *strengths}
    values = _draws(parameters)
    rows = []
    for path in parameters.all_paths:
        stated = parameters.stated(path)
        free = path in parameters.paths
        row = {"path": path, "unit": unit_of(path)}
        if free:
            prior = parameters.priors[parameters.paths.index(path)]
            low, middle, high = np.quantile(values[path], [0.025, 0.5, 0.975])
            if not prior.parents and not hasattr(prior, "joint"):
                low, middle, high = (float(prior.from_unit(u, {})) for u in (0.025, 0.5, 0.975))
            row |= {"kind": "default" if path in defaults else "free", "prior": str(prior)}
            row |= {"median": float(middle), "q025": float(low), "q975": float(high)}
        elif parameters.is_tied(path):
            row |= {"kind": "tied", "value": f"= {getattr(stated, 'path', stated)}"}
        else:
            number = isinstance(stated, int | float)
            row |= {"kind": "fixed", "value": float(stated) if number else str(stated)}
        rows.append(row)
    constraints = as_constraints(model_file.constraints, parameters)
    facts = {"parameters": rows, "n_free": len(parameters), "constraints": [one.text for one in constraints]}
    if constraints:
        facts["excluded_prior_share"], each = excluded_shares(constraints, parameters)
        facts["excluded_by_each"] = list(each)
    guard = model_file.positions
    facts["positions"] = (
        guard if isinstance(guard, str) or guard is None else f"{len(guard[0])} within {guard[1]:g} arcsec"
    )
    pixels = any(one.parts for one in sources_of(model_file))
    if guard is None and wants_guard(pixels, parameters, model_file.chained):
        facts["positions_missing"] = True
    return facts | {"method": model_file.method, "seed": model_file.seed}


def model_page(facts):
    """The facts as aligned lines for people."""
    rows = facts["parameters"]
    table = []
    for row in rows:
        if "prior" in row:
            span = f"{_short(row['q025'])} .. {_short(row['q975'])}"
            note = "default" if row["kind"] == "default" else ""
            table.append((row["path"], row["prior"], span, row["unit"], note))
        else:
            value = row["value"]
            shown = _short(value) if isinstance(value, float) else value
            table.append((row["path"], shown, "", row["unit"], row["kind"] if row["kind"] == "tied" else "fixed"))
    head = ("parameter", "prior or value", "central 95 %", "unit", "")
    widths = [max(len(line[k]) for line in [head, *table]) for k in range(4)]
    lines, section = ["  ".join(text.ljust(width) for text, width in zip(head, widths)).rstrip()], None
    for line in table:
        own = line[0].rpartition(".")[0]
        if section is not None and own != section:
            lines.append("")
        section = own
        lines.append("  ".join([*(text.ljust(width) for text, width in zip(line, widths)), line[4]]).rstrip())
    lines += ["", f"{facts['n_free']} free parameters, method {facts['method']}, seed {facts['seed']}"]
    if facts["positions"]:
        lines.append(f"positions: {facts['positions']}")
    elif "positions_missing" in facts:
        lines.append("positions: missing; a fit of a pixelised source with a free lens asks for them (positions: auto)")
    for text, share in zip(facts["constraints"], facts.get("excluded_by_each", ())):
        lines.append(f"constraint: {text}  (excludes {100.0 * share:.3g} % of the prior)")
    if facts["constraints"]:
        lines.append(f"constraints exclude {100.0 * facts['excluded_prior_share']:.3g} % of the prior in all")
    return "\n".join(lines)


def _short(value):
    return f"{value:.4g}"


def _field(model_file):
    """The Field of a model whose image plane the data decide."""
    data = model_file.load_data()
    mask = model_file.build_mask(data)
    return field_of(data[0].imaging.mask if mask is None else mask)


def _automatic(source):
    """Paths of the strengths that are "auto"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(
        {"source": source}, is_leaf=lambda one: isinstance(one, Free | str)
    )
    from .paths import path_name

    return {path_name(key) for key, leaf in leaves if isinstance(leaf, str) and leaf == "auto"}


def _draws(parameters):
    """Samples of every number of the prior by path."""
    z = jax.random.normal(jax.random.PRNGKey(0), (N_DRAWS, len(parameters)))
    vectors = np.asarray(jax.jit(jax.vmap(parameters.from_normal))(z)) if len(parameters) else jnp.zeros((N_DRAWS, 0))
    return {path: vectors[:, i] for i, path in enumerate(parameters.paths)}
