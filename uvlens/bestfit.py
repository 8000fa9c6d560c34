"""best_fit.yaml: the model at its best-fitting parameters, numbers in the place of priors."""

import dataclasses

import jax.numpy as jnp
import numpy as np

from .lens import MASS_PROFILES
from .light import LINEAR_PROFILES, Linear
from .parse_mesh import mesh_section
from .parse_regularization import regularization_section
from .products import mask_section, stated_mask


def best_fit_content(result, data_section=None):
    """A model file with numbers in the place of priors: the model at the best-fitting parameters."""
    model = result.model
    filled = model.parameters.fill(jnp.asarray(result.best_vector))
    lens, sources = filled["lens"], filled["source"]
    content = {} if data_section is None else {"data": data_section}
    stated = stated_mask(model.skies)
    plane = {"rays": round(np.sqrt(model.n_rays)), "pixel_window": model.normal.reduction.pixel_window}
    mask = mask_section(stated)
    if "fits" not in mask["mask"]:
        plane |= {"pixel_scale": stated.grid.pixel_scale, "center": list(stated.grid.center)}
    content["image_plane"] = plane | mask
    if model.positions is not None:
        content["positions"] = {
            "xy": np.asarray(model.positions.xy).tolist(),
            "threshold": model.positions.threshold,
        }
    content["lens"] = {**_redshift(lens), "mass": [component_section(one, MASS_PROFILES) for one in lens.mass]}
    if lens.light:
        seen_by = lens.light_skies or [()] * len(lens.light)
        content["lens"]["light"] = [
            component_section(one, LINEAR_PROFILES) | ({"sky": list(names)} if names else {})
            for one, names in zip(lens.light, seen_by)
        ]
    strengths = {}
    for one in result.reconstructions:
        for part in one.parts:
            strengths.setdefault((part.block.source, part.block.part), set()).add(part.strength)
    if isinstance(sources, list):
        skies = model.skies
        content["source"] = []
        for number, source in enumerate(sources):
            names = [sky.name for sky in skies if number in sky.sources]
            names = list(dict.fromkeys(names))
            seen = {"skies": names} if source.shared else {"sky": names[0] if len(names) == 1 else names}
            content["source"].append({**seen, **_source_section(source, number, strengths)})
    else:
        content["source"] = _source_section(sources, 0, strengths)
    return content


def component_section(component, registry):
    """A profile by name with its numbers."""
    name = next(name for name, kind in registry.items() if type(component) is kind)
    values = {f.name: getattr(component, f.name) for f in dataclasses.fields(component)}
    flux = values.pop("flux", None)
    section = {"profile": name, **{key: plain(value) for key, value in values.items() if value is not None}}
    if isinstance(flux, Linear):
        section |= {"flux": "linear", "amplitude": flux.amplitude}
        section |= {} if flux.sigma is None else {"amplitude_sigma": flux.sigma}
        section |= {} if flux.positive is None else {"positive": flux.positive}
    return section


def plain(value):
    """A number as YAML writes it, anything else as it is."""
    if isinstance(value, bool | str | int):
        return value
    return float(value)


def _source_section(source, number, strengths):
    content = _redshift(source)
    if source.spectral_index is not None:
        content["spectral_index"] = float(source.spectral_index)
    if not (isinstance(source.deflection_scale, float) and source.deflection_scale == 1.0):
        content["deflection_scale"] = float(source.deflection_scale)
    if source.colour:
        content["colour"] = {name: float(value) for name, value in source.colour.items()}
    parts = []
    for i, part in enumerate(source.parts):
        found = strengths[number, i]
        # strengths that differ between skies were maximised in each
        regularization = regularization_section(part.regularization, found.pop() if len(found) == 1 else "evidence")
        section = {"mesh": mesh_section(part.mesh), "regularization": regularization, "positive": part.positive}
        if part.adapt is not None:
            section["adapt"] = f"adapt.{number}.{i}.fits"
        parts.append(section)
    if parts:
        content["pixels"] = parts[0] if len(parts) == 1 else parts
    if source.light:
        content["light"] = [component_section(one, LINEAR_PROFILES) for one in source.light]
    return content


def _redshift(part):
    return {} if part.redshift is None else {"redshift": float(part.redshift)}
