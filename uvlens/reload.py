"""A fit's folder as the objects it was made of: the Model with its priors, the Result with its samples.

`fitted_model.yaml` is a model file: the best fit with priors and ties back in their places, strengths that maximised
the evidence as "evidence", and where they are needed `chained: true` (the lens has the priors of an earlier fit),
`signed` (paths of fluxes that may be negative) and `numpyro_priors`. Together with the operators in `normal.npz` it is
the Model that was fitted.
"""

from pathlib import Path

from .adapt import with_adapt_images
from .errors import InputError
from .jointpriors import with_joint_priors
from .nuisancesection import parse_nuisances
from .parse import parse_cosmology, parse_lens, parse_sources
from .parse_mass import with_maps
from .parse_priors import parse_constraints, parse_joint_priors
from .rebuild import signed_paths
from .schema import Section, load_yaml
from .statedpriors import put_priors, with_distributions

FILE = "fitted_model.yaml"


def fitted_content(result, content):
    """`content` (that of best_fit.yaml) with the priors, ties and maximised strengths of the fitted model.

    Distributions of numpyro that a model file has no word for stand under `numpyro_priors`, by path.

    Raises:
        InputError: Python functions and mixtures, which cannot be written.
    """
    content = _copied(content)
    others = put_priors(content, result.model, _put)
    if result.model.unguarded:
        content["positions"] = "none"
    if result.model.chained:
        content["chained"] = True
    if result.model.signed:
        content["signed"] = list(signed_paths(result.model))
    for system in result.model.systems:
        for block in system.columns.blocks:
            if block.maximised:
                _put(content, _strength_path(result.model, block), "evidence")
    return content | ({"numpyro_priors": others} if others else {})


def load_result(directory):
    """The Result of a finished fit: model with priors, samples, derived quantities, diagnostics and settings.

    Args:
        directory: folder of a fit.

    Raises:
        InputError: not such a folder, one of another version, or a model with a free spectral index (the sums of each
            frequency are not kept).
    """
    from .inferencedata import read_posterior
    from .results import Result
    from .selfcal import Calibration

    directory = Path(directory)
    _require(directory, FILE, "normal.npz", "posterior.nc")
    paths, fields, derived, _ = read_posterior(directory / "posterior.nc")
    model = load_model(directory)
    if list(model.parameters.paths) != paths:
        raise InputError(f"{directory}: {FILE} and posterior.nc are of different models")
    if fields.get("calibration") is not None:
        fields["calibration"] = Calibration(model=model, **fields["calibration"])
    unknown = set(fields) - {name for name in Result.__dataclass_fields__}
    result = Result(model=model, **{key: value for key, value in fields.items() if key not in unknown})
    result.__dict__["derived"] = derived  # what was computed once is not computed again
    return result


def load_model(directory):
    """The Model that was fitted, priors in their places (see `load_result`)."""
    directory = Path(directory)
    _require(directory, FILE, "normal.npz")
    content = load_yaml(directory / FILE)
    sources = content["source"] if isinstance(content["source"], list) else [content["source"]]
    if any(isinstance(one.get("spectral_index"), dict) for one in sources):
        raise InputError(f"{directory}: a fit with a free spectral index does not keep what its model needs")
    return model_of(content, directory)[0]


def model_of(content, directory):
    """(Model, phase centre) of the content of a model file, on the operators of a result folder."""
    import jax.numpy as jnp

    from .model import Model, Positions
    from .skyfiles import load_skies

    others = content.get("numpyro_priors", {})
    lens = parse_lens(content["lens"], "lens", directory)
    source, _ = parse_sources(content["source"], directory)
    skies, phase_center = load_skies(directory)
    lens = with_maps(lens, phase_center)
    sources = [with_adapt_images(one, phase_center) for one in (source if isinstance(source, list) else [source])]
    source = sources if isinstance(source, list) else sources[0]
    cosmology, reference = parse_cosmology(content.get("cosmology", "Planck18"))
    tree = {"lens": lens, "source": source, "cosmology": cosmology}
    tree = with_distributions(tree, others) if others else tree
    tree = with_joint_priors(tree, parse_joint_priors(content.get("joint_priors")))
    guard = content.get("positions")
    if isinstance(guard, dict):
        guard = Positions(jnp.asarray(guard["xy"]), guard["threshold"], guard.get("source", 0))
    model = Model(
        skies,
        tree["lens"],
        tree["source"],
        rays=content["image_plane"]["rays"],
        positions=guard,
        cosmology=tree["cosmology"],
        reference_redshift=reference,
        constraints=parse_constraints(content.get("constraints")),
        weight_scale=parse_nuisances(Section(content.get("nuisances", {}), "nuisances"))[1],
        chained=bool(content.get("chained", False)),
        signed=content.get("signed", ()),
    )
    return model, phase_center


def _require(directory, *names):
    for name in names:
        if not (directory / name).exists():
            raise InputError(f"{directory}: no {name} here; is it the folder of a finished fit of this version?")


def _strength_path(model, block):
    sources = model.components["source"]
    source = sources[block.source] if isinstance(sources, list) else sources
    number = f".{block.source}" if isinstance(sources, list) else ""
    part = "" if not isinstance(source.pixels, tuple) else f".{block.part}"
    return f"source{number}.pixels{part}.regularization.strength"


def _put(content, path, value):
    """Set what stands at a dotted path; the single part of a list may stand without its number."""
    *parents, last = path.split(".")
    place = content
    for key in parents:
        if isinstance(place, list):
            place = place[int(key)]
        elif key in place:
            place = place[key]
        elif key != "0":
            raise InputError(f"{path}: a model file has no place for it")
    place[int(last) if isinstance(place, list) else last] = value


def _copied(value):
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
