"""best_fit.yaml: the model at its best-fitting parameters, numbers in the place of priors."""

import dataclasses
import itertools

import jax.numpy as jnp
import numpy as np

from .cosmology import FlatLambdaCDM
from .errors import InputError
from .lens import DeflectionMap
from .lens.lens import as_planes
from .light import LINEAR_PROFILES, Linear
from .nuisancesection import nuisances_section
from .oversampling import sampling_section
from .parse_mass import mass_section
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
    plane = {"rays": model.rays, "pixel_window": model.normal.reduction.pixel_window}
    sampling = next((sky.over_sampling for sky in model.skies if not sky.is_image), None)
    plane |= {} if sampling is None else {"over_sampling": sampling_section(sampling)}
    plane |= {"operator": "nufft"} if any(sky.normal.method == "nufft" for sky in model.skies) else {}
    mask = mask_section(stated)
    if "fits" not in mask["mask"]:
        plane |= {"pixel_scale": stated.grid.pixel_scale, "center": list(stated.grid.center)}
    content["image_plane"] = plane | mask
    if model.positions is not None:
        content["positions"] = {
            "xy": np.asarray(model.positions.xy).tolist(),
            "threshold": model.positions.threshold,
            "source": model.positions.source,
        }
    nuisances = {} if result.calibration is None else nuisances_section(result.calibration.nuisances)
    if "nuisances" in filled:
        scale = filled["nuisances"]["weight_scale"]
        named = {name: float(one) for name, one in scale.items()} if isinstance(scale, dict) else float(scale)
        nuisances["weight_scale"] = named
    content |= {"nuisances": nuisances} if nuisances else {}
    content |= _cosmology_section(filled["cosmology"], model.reference_redshift)
    maps = itertools.count()
    planes = [_plane_section(plane, maps) for plane in as_planes(lens)]
    content["lens"] = planes if isinstance(lens, list) else planes[0]
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


def _plane_section(plane, maps):
    mass = [mass_section(one, next(maps) if isinstance(one, DeflectionMap) else 0) for one in plane.mass]
    content = {**_redshift(plane), "mass": mass}
    if plane.light:
        seen_by = plane.light_skies or [()] * len(plane.light)
        content["light"] = [
            component_section(one, LINEAR_PROFILES) | ({"sky": list(names)} if names else {})
            for one, names in zip(plane.light, seen_by)
        ]
    return content


def _cosmology_section(cosmology, reference):
    if isinstance(cosmology, FlatLambdaCDM):
        content = {"H0": float(cosmology.H0), "Om0": float(cosmology.Om0)}
    else:
        content = _astropy_section(cosmology)
    return {"cosmology": content | ({} if reference is None else {"reference_redshift": reference})}


def _astropy_section(cosmology):
    """By its name, or by H0 and Om0 of a flat one without radiation."""
    if isinstance(cosmology.known.stated, str):
        return {"name": cosmology.known.stated}
    import astropy.cosmology

    own = cosmology.known.cosmology
    if isinstance(own.name, str) and own.name in astropy.cosmology.available:
        return {"name": own.name}
    if isinstance(own, astropy.cosmology.FlatLambdaCDM) and float(own.Tcmb0.value) == 0.0:
        return {"H0": float(own.H0.value), "Om0": float(own.Om0)}
    raise InputError(f"best_fit.yaml cannot say which cosmology {own} is: use a name, or uvl.FlatLambdaCDM(H0, Om0)")


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
    elif flux is not None:
        section["flux"] = float(flux)
    return section


def plain(value):
    """A number as YAML writes it, anything else as it is."""
    if isinstance(value, bool | str | int):
        return value
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    return float(value)


def _source_section(source, number, strengths):
    content = _redshift(source)
    if source.spectral_index is not None:
        content["spectral_index"] = float(source.spectral_index)
    if source.deflection_scale is not None:
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
