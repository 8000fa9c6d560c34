"""The arguments that a Model was made of, read off the Model: what is rebuilt with a change keeps every option."""

import equinox as eqx


def options_of(model):
    """{argument: value} with which `Model(**options)` is the same model.

    Default priors and sampled amplitudes are those that the Model settled; strengths that maximise the evidence are
    "evidence" again.
    """
    components = model.components
    return {
        "normal": model.skies,
        "lens": components["lens"],
        "source": _stated_sources(model),
        "rays": model.rays,
        "positions": "none" if model.unguarded else model.positions,
        "cosmology": components["cosmology"],
        "reference_redshift": model.reference_redshift,
        "constraints": model.constraints,
        "weight_scale": components.get("nuisances", {}).get("weight_scale"),
        "chained": model.chained,
        "signed": signed_paths(model),
    }


def signed_paths(model):
    """Paths of fluxes that may be negative, as `Model.parameters` has them."""
    if isinstance(model.components["source"], list):
        return model.signed
    return tuple(path.replace("source.0.", "source.", 1) for path in model.signed)


def _stated_sources(model):
    """The sources with "evidence" in the place of the number that stands for a maximised strength."""
    stated = model.components["source"]
    sources = list(stated) if isinstance(stated, list) else [stated]
    maximised = {
        (block.source, block.part) for system in model.systems for block in system.columns.blocks if block.maximised
    }
    for number, part in sorted(maximised):
        own = sources[number].pixels
        where = _strength_of(part if isinstance(own, tuple) else None)
        sources[number] = eqx.tree_at(where, sources[number], "evidence")
    return sources if isinstance(stated, list) else sources[0]


def _strength_of(part):
    if part is None:
        return lambda source: source.pixels.regularization.strength
    return lambda source: source.pixels[part].regularization.strength
