"""The sky of a simulation file: lens, its light, the sources behind it, every parameter a number."""

import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..lens import Lens
from ..lens.lens import as_planes
from ..light import LIGHT_PROFILES, Linear
from ..parameters import Parameters
from ..parse import parse_component, parse_cosmology, parse_lens
from ..parse_mass import with_maps
from ..planes import with_subhaloes
from ..schema import Section, as_list, as_number


def parse_truth(root, folder=None):
    """(brightness(x, y) of the whole sky, truth by path) of a simulation file's `cosmology`, `lens` and `source`.

        lens: {mass: [...], light: [{profile: Sersic, flux: 0.1, ...}]}        # or a list of planes with redshifts
        source: {redshift: 2.0, light: [...]}                                  # or a list of sources

    Args:
        root: Section of the file.
        folder: that paths of deflection maps are relative to; they lie about their middle, or by their own header.

    Raises:
        InputError: a prior in the place of a number, a source without light, redshifts in the wrong order.
    """
    cosmology, reference = parse_cosmology(root.get("cosmology", "Planck18"))
    lens = parse_lens(root.require("lens"), "lens", folder)
    source_items = root.require("source")
    sources = [
        _source(Section(one, f"source.{i}" if isinstance(source_items, list) else "source"))
        for i, one in enumerate(as_list(source_items, "source"))
    ]
    light = [one for _, one in sources]
    redshifts = [redshift for redshift, _ in sources]
    is_list = isinstance(source_items, list)
    known = [z for z in redshifts if z is not None]
    reference = max(known, default=None) if reference is None else reference
    lens = with_subhaloes(with_maps(lens, None), reference, cosmology)
    tree = {"lens": lens, "source light": light if is_list else light[0], "cosmology": cosmology}
    parameters = Parameters(tree)
    if len(parameters):
        path = parameters.paths[0].replace(" light.", ".light.")
        raise InputError(f"{path}: a simulation needs a number, not a prior")
    for i, plane in enumerate(as_planes(lens)):
        for j, profile in enumerate(plane.light):
            if isinstance(profile.flux, Linear):
                place = f"lens.{i}" if isinstance(lens, list) else "lens"
                raise InputError(f"{place}.light.{j}.flux: a simulation needs a number")
    filled = parameters.fill(jnp.zeros(0))
    lens, light = filled["lens"], filled["source light"] if is_list else [filled["source light"]]
    lenses = [Lens(lens, redshift, cosmology, reference) for redshift in redshifts]

    def brightness(x, y):
        total = 0.0
        for plane, profiles in enumerate(one.light for one in as_planes(lens)):
            if profiles:
                place = lenses[0].deflections(x, y)[lenses[0].order.index(plane)][:2]
                total = total + sum(np.asarray(profile.brightness(*place)) for profile in profiles)
        for one, profiles in zip(lenses, light):
            beta = one.ray_trace(x, y)
            total = total + sum(np.asarray(profile.brightness(*beta)) for profile in profiles)
        return total

    return brightness, _truth(parameters, light, known, is_list)


def _truth(parameters, light, redshifts, is_list):
    """Numbers by path, total flux of the sources, redshift of a single one."""
    truth = {}
    for path, value in parameters.values(jnp.zeros(0)).items():
        if path.startswith("source light."):
            number, _, rest = path.removeprefix("source light.").partition(".")
            path = f"source.{number}.light.{rest}" if is_list else f"source.light.{number}.{rest}"
        truth[path] = float(value)
    truth["source.flux"] = sum(float(profile.flux) for profiles in light for profile in profiles)
    if len(light) == 1 and redshifts:
        truth["source.redshift"] = float(redshifts[0])
    return truth


def _source(section):
    """(redshift or None, profiles)."""
    redshift = section.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, section.name("redshift"), positive=True)
    profiles = _profiles(section.require("light"), section.name("light"))
    section.finish()
    if not profiles:
        raise InputError(f"{section.name('light')}: expected at least one profile")
    return redshift, profiles


def _profiles(value, path):
    items = as_list(value, path)
    return [parse_component(Section(item, f"{path}.{i}"), LIGHT_PROFILES) for i, item in enumerate(items)]
