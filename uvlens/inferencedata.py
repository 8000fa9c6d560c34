"""posterior.nc: samples, what the search knew of each, derived quantities and everything else that a Result holds.

    posterior        free parameters by path                                              (chain, draw)
    prior            the same, drawn from the prior                                         (chain, draw)
    sample_stats     lp = ln E - ln E_null + ln prior; what the search kept of each draw     (chain, draw)
    log_likelihood   log_evidence_minus_null: ln E - ln E_null                              (chain, draw)
    derived          quantities of every sample by path                                    (chain, draw)
    derived_source   those that need the source, a few draws of it for some of the samples (source_draw)

Attributes of the file: version, seed, method, model_fingerprint, data_hashes (JSON), model (JSON, what identifies it)
and result (JSON, the other fields of the Result).
"""

import dataclasses
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from . import __version__
from .apertures import Aperture, DerivedSettings
from .errors import InputError
from .normal import Nuisances
from .quantities import Quantities

_NOT_KEPT = ("model", "vectors", "log_likelihood", "sample_stats", "derived_settings", "handed_on", "calibration")
"""Fields of a Result that are arrays of the file, in another one, or objects of their own (`_objects`)."""

_PRIOR_DRAWS = 1000
"""Draws from the prior that are kept, for pictures."""


def datasets(result):
    """The groups as {name: xarray.Dataset}."""
    import xarray

    shape = (result.n_chains, -1)
    chains = {"chain": np.arange(result.n_chains), "draw": np.arange(len(result.vectors) // result.n_chains)}
    groups = {"posterior": {p: result.vectors[:, i] for i, p in enumerate(result.model.parameters.paths)}}
    stats = {key: np.asarray(value) for key, value in result.sample_stats.items()}
    if result.log_likelihood is not None:
        stats.setdefault("lp", result.log_likelihood + log_priors(result.model, result.vectors))
        groups["log_likelihood"] = {"log_evidence_minus_null": result.log_likelihood}
    if stats:
        groups["sample_stats"] = stats
    derived = {path: np.asarray(samples) for path, (samples, _) in result.derived.items()}
    of_source = getattr(result.derived, "of_source", ())
    groups["derived"] = {path: values for path, values in derived.items() if path not in of_source}
    found = {
        name: xarray.Dataset(
            {key: (("chain", "draw"), value.reshape(shape)) for key, value in values.items()}, coords=chains
        )
        for name, values in groups.items()
    }
    prior = prior_draws(result.model, result.seed)
    found["prior"] = xarray.Dataset(
        {path: (("chain", "draw"), prior[None, :, i]) for i, path in enumerate(result.model.parameters.paths)}
    )
    rest = {path: values for path, values in derived.items() if path not in groups["derived"]}
    if rest:
        first = len(next(iter(rest.values())))
        names = {n: "source_draw" if n == first else f"source_draw_{n}" for n in map(len, rest.values())}
        found["derived_source"] = xarray.Dataset({path: ((names[len(one)],), one) for path, one in rest.items()})
    for name in ("derived", "derived_source"):
        if name in found:
            best = {path: float(result.derived[path][1]) for path in map(str, found[name].data_vars)}
            found[name].attrs["best_fit"] = json.dumps(best)
    return found


def attributes(result):
    """The attributes of the file."""
    from .inference.identity import describe_model, fingerprint

    kept = [field.name for field in dataclasses.fields(result) if field.name not in _NOT_KEPT]
    fields = {name: getattr(result, name) for name in kept} | _objects(result)
    return {
        "inference_library": "uvlens",
        "inference_library_version": __version__,
        "version": __version__,
        "seed": result.seed,
        "method": result.method,
        "model_fingerprint": fingerprint(result.model),
        "data_hashes": json.dumps([one for sky in result.model.skies for one in sky.reduction.hashes]),
        "model": json.dumps(describe_model(result.model)),
        "result": json.dumps(fields, default=_encoded),
    }


def inference_data(result):
    """arviz.InferenceData of a Result."""
    import arviz

    return arviz.InferenceData(attrs=attributes(result), **datasets(result))


def write_posterior(result, path):
    """The file, by xarray alone, because arviz takes seconds to import."""
    import xarray

    root = xarray.Dataset(attrs=attributes(result))
    root.to_netcdf(path, mode="w", engine="h5netcdf")
    for name, dataset in datasets(result).items():
        dataset.to_netcdf(path, mode="a", group=name, engine="h5netcdf")


def read_posterior(path):
    """What `write_posterior` wrote, as fields.

    Returns:
        (paths of the free parameters, dict of the fields of a Result but its model, derived quantities, attributes);
        `calibration` is the fields of a Calibration but its model, or None.

    Raises:
        InputError: not such a file, or one of another version.
    """
    import xarray

    try:
        with xarray.open_dataset(path, engine="h5netcdf") as root:
            attrs = dict(root.attrs)
        groups = {}
        for name in ("posterior", "sample_stats", "log_likelihood", "derived", "derived_source"):
            try:
                with xarray.open_dataset(path, group=name, engine="h5netcdf") as one:
                    groups[name] = one.load()
            except (OSError, KeyError, ValueError):
                continue
        stated = json.loads(attrs["result"], object_hook=_decoded)
        posterior = groups["posterior"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not the posterior of a fit of this version ({error}); fit again") from None
    paths = [str(name) for name in posterior.data_vars]
    fields = dict(stated)
    fields["vectors"] = np.stack([np.asarray(posterior[path]).reshape(-1) for path in paths], axis=1)
    fields |= {name: tuple(stated.get(name, ())) for name in ("notes", "stages")}
    fields |= _read_objects(stated)
    likelihood = groups.get("log_likelihood")
    fields["log_likelihood"] = None if likelihood is None else _flat(likelihood, "log_evidence_minus_null")
    stats = groups.get("sample_stats")
    fields["sample_stats"] = {} if stats is None else {str(key): _flat(stats, key) for key in stats.data_vars}
    derived = Quantities(of_source=map(str, groups["derived_source"].data_vars if "derived_source" in groups else ()))
    for name in ("derived", "derived_source"):
        if name in groups:
            best = json.loads(groups[name].attrs["best_fit"])
            derived |= {str(key): (_flat(groups[name], key), best[str(key)]) for key in groups[name].data_vars}
    return paths, fields, derived, attrs


def _objects(result):
    """What JSON says of apertures, of the file that was handed on, and of the Calibration; functions are not kept."""
    calibration = result.calibration
    own = [field.name for field in dataclasses.fields(calibration)] if calibration is not None else []
    stated = {name: getattr(calibration, name) for name in own if name != "model"}
    if stated:
        stated["nuisances"] = dataclasses.asdict(stated["nuisances"])
    return {
        "derived_settings": {"apertures": [dataclasses.asdict(one) for one in result.derived_settings.apertures]},
        "handed_on": None if result.handed_on is None else str(result.handed_on),
        "calibration": stated or None,
    }


def _read_objects(stated):
    """The fields that `_objects` stated."""
    apertures = (stated.get("derived_settings") or {}).get("apertures", ())
    apertures = tuple(Aperture(**one | {"center": tuple(one["center"])}) for one in apertures)
    handed_on, calibration = stated.get("handed_on"), stated.get("calibration")
    if calibration is not None:
        tuples = {name: tuple(calibration[name]) for name in ("skies", "passes")}
        calibration = calibration | tuples | {"nuisances": Nuisances(**calibration["nuisances"])}
    return {
        "derived_settings": DerivedSettings(apertures),
        "handed_on": None if handed_on is None else Path(handed_on),
        "calibration": calibration,
    }


def prior_draws(model, seed, n=_PRIOR_DRAWS):
    """Draws from the prior of a Model inside its domains and constraints, at most n, shape (P, n_free)."""
    z = np.random.default_rng(seed).normal(size=(2 * n, len(model.parameters)))

    def of(z):
        vector = model.parameters.from_normal(z)
        return vector, model.filled(vector)[1]

    vectors, holds = jax.jit(jax.vmap(of))(jnp.asarray(z))
    return np.asarray(vectors)[np.asarray(holds)][:n]


def log_priors(model, vectors):
    """ln prior of every sample, shape (M,)."""
    return np.asarray(jax.jit(jax.vmap(model.parameters.log_prior))(jnp.asarray(vectors)))


def _flat(dataset, key):
    return np.asarray(dataset[key]).reshape(-1)


def _encoded(value):
    """JSON of what JSON has no word for."""
    if isinstance(value, np.ndarray):
        return {"__array__": value.tolist()}
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):
        return {"__array__": np.asarray(value).tolist()}
    return str(value)


def _decoded(value):
    return np.asarray(value["__array__"]) if set(value) == {"__array__"} else value
