"""What identifies a model: its data, its mask and everything stated about it, as plain values that can be compared.

`fingerprint` is the hash of the description, which checkpoints and results carry; `difference` says in words what sets
two descriptions apart.
"""

import dataclasses
import hashlib
import json

import numpy as np

from .. import __version__
from ..files import to_json
from ..lens.lens import as_planes
from ..priors import as_prior, is_free, is_tied
from ..probing import told_apart

_SHOWN = 4
"""Differences that are spelt out; of more their number is said."""


def describe_model(model) -> dict:
    """A description of a Model in dicts, lists, numbers and text: equal for equal models, in any process.

    Keys: version, parameters (path: number, prior or tie), profiles (of each lens plane, with orders, names and hashes
    of maps), cosmology, reference_redshift, positions, rays, skies (with the hash of every data set), sources (mesh,
    prior and adapt image of every pixelised part), lights.
    """
    planes = as_planes(model.components["lens"])
    positions = model.positions
    blocks, lights = [], []
    for number, system in enumerate(model.systems):
        for block in system.columns.blocks:
            pixels = block.pixels
            blocks.append(
                {
                    "system": number,
                    "source": block.source,
                    "part": block.part,
                    "mesh": _stated(pixels.mesh),
                    "regularization": type(pixels.regularization).__name__,
                    "positive": pixels.positive,
                    "maximised": block.maximised,
                    "skies": list(block.skies),
                    "adapt": None if pixels.adapt is None else _hash(pixels.adapt.image),
                }
            )
        for one in system.columns.amplitudes + system.columns.fixed:
            lights.append([number, one.sky, one.place, one.number, _stated(one.profile)])
    described = {
        "version": __version__,
        "parameters": dict(model.parameters.describe()),
        "profiles": [[[type(one).__name__, *_static(one)] for one in plane.mass] for plane in planes],
        "redshifts": [plane.redshift for plane in planes],
        "cosmology": str(model.components["cosmology"]),
        "reference_redshift": model.reference_redshift,
        "signed": list(model.signed),
        "positions": None
        if positions is None
        else {
            "xy": np.asarray(positions.xy).tolist(),
            "threshold": positions.threshold,
            "source": positions.source,
        },
        "rays": model.n_rays,
        "constraints": list(told_apart(model.parameters, dict(enumerate(model.constraints))).values()),
        "chained": model.chained,
        "unguarded": model.unguarded,
        "skies": [_sky(sky) for sky in model.skies],
        "sources": blocks,
        "lights": lights,
    }
    return json.loads(to_json(described))


def fingerprint(model):
    """SHA-256 of `describe_model`."""
    return hashlib.sha256(json.dumps(describe_model(model), sort_keys=True).encode()).hexdigest()


def difference(old, new) -> str:
    """What sets two descriptions (of `describe_model`, or dicts that hold some) apart, in one line; "" if nothing."""
    found = _differences(old, new, ())
    shown = "; ".join(found[:_SHOWN])
    return shown if len(found) <= _SHOWN else f"{shown}; and {len(found) - _SHOWN} more"


def _sky(sky):
    observations = getattr(sky.reduction, "observations", ())
    names = [getattr(one, "name", "") or f"data set {i}" for i, one in enumerate(observations)]
    names += [f"data set {i}" for i in range(len(names), len(sky.reduction.hashes))]
    return {
        "name": sky.name,
        "sources": list(sky.sources),
        "n_channels": sky.n_channels,
        "light": _stated(sky.light),
        "over_sampling": _stated(sky.over_sampling),
        "rays": sky.rays,
        "n_image_pixels": sky.mask.n_pixels,
        "data": [[name, one] for name, one in zip(names, sky.reduction.hashes)],
    }


def _stated(value):
    """Plain values of a tree of dataclasses, every field of them: what repr leaves out differs with how it was made."""
    if is_free(value) or is_tied(value):
        return str(as_prior(value)) if is_free(value) else str(value)
    if dataclasses.is_dataclass(value):
        fields = {field.name: _stated(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [_stated(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _stated(one) for key, one in value.items()}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return float(value)
    array = np.asarray(value) if hasattr(value, "__array__") else None
    return str(value) if array is None or array.dtype == object else [list(array.shape), _hash(array)]


def _static(component):
    """What identifies a component beside its parameters: orders, names, maps."""
    fields = [field.name for field in dataclasses.fields(component) if field.metadata.get("static")]
    values = {name: getattr(component, name) for name in fields}
    maps, digest = values.pop("images", None), None
    if maps is not None:
        values["frame"] = (maps.pixel_scale, maps.center)
        digest = _hash(*(image for image in (maps.alpha_x, maps.alpha_y, maps.potential) if image is not None))
    return {name: _stated(value) for name, value in sorted(values.items())}, digest


def _hash(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _differences(old, new, place):
    if isinstance(old, dict) and isinstance(new, dict):
        found = []
        for key in dict.fromkeys((*old, *new)):
            if key not in old:
                found.append(f"{_named((*place, key))} is new ({_shown(new[key])})")
            elif key not in new:
                found.append(f"{_named((*place, key))} is gone (it was {_shown(old[key])})")
            else:
                found += _differences(old[key], new[key], (*place, key))
        return found
    if isinstance(old, list) and isinstance(new, list):
        if len(place) > 1 and place[-1] == "data":
            return _data_differences(old, new, place)
        if len(old) != len(new):
            return [f"{_named(place)}: {len(old)} before, {len(new)} now"]
        return [text for i, pair in enumerate(zip(old, new)) for text in _differences(*pair, (*place, i))]
    if old == new:
        return []
    return [f"{_named(place)}: {_shown(old)} before, {_shown(new)} now"]


def _data_differences(old, new, place):
    """Of [[name, hash]]."""
    where = _named(place)
    if len(old) != len(new):
        return [f"{where}: {len(old)} data sets before, {len(new)} now"]
    return [
        f"{where}: {now[0]}: other visibilities, weights, mask or options (hash {was[1][:9]} before, {now[1][:9]} now)"
        for was, now in zip(old, new)
        if was[1] != now[1]
    ]


_WORDS = {"parameters": "", "model": ""}


def _named(place):
    words = [str(_WORDS.get(part, part)) for part in place]
    return ".".join(word for word in words if word) or "the model"


def _shown(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
