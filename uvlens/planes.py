"""Planes and sources of a model: the reference redshift, subhaloes placed, the lens as each source sees it."""

import dataclasses

from .cosmology import as_astropy
from .errors import InputError
from .lens import Lens, SubhaloNFW
from .lens.lens import check_redshifts
from .parameters import Parameters


def lenses_of(filled, reference):
    """[Lens] as each source sees it, from components filled with numbers; `reference` is a redshift or None."""
    return [
        Lens(filled["lens"], source.redshift, filled["cosmology"], reference, source.deflection_scale)
        for source in filled["source"]
    ]


def reference_of(planes, sources, given):
    """Redshift of the source that deflections are stated for, or None; refuses what cannot be traced."""
    stated = [source for source in sources if source.deflection_scale is None]
    for place, one in [("lens", plane) for plane in planes] + [("source", source) for source in sources]:
        if one.redshift is not None and not isinstance(one.redshift, int | float):
            raise InputError(f"{place}: a redshift is a number, not a prior")
    redshifts = [source.redshift for source in stated]
    known = [z for z in redshifts if z is not None]
    reference = given if given is not None else max(known, default=None)
    if len(stated) < len(sources):
        check_redshifts(planes, [], reference, scaled=True)
    check_redshifts(planes, redshifts if known else [], reference)
    return reference


def with_subhaloes(lens, reference, cosmology):
    """The LensPlane, or list of them, with subhaloes placed at their redshifts (see `SubhaloNFW`)."""
    if isinstance(lens, list):
        return [with_subhaloes(plane, reference, cosmology) for plane in lens]
    if not any(isinstance(one, SubhaloNFW) and not one.is_placed for one in lens.mass):
        return lens
    numbers = Parameters({"cosmology": cosmology})
    settled = as_astropy(numbers.fill(numbers.median())["cosmology"])
    mass = [one.placed(lens.redshift, reference, settled) if isinstance(one, SubhaloNFW) else one for one in lens.mass]
    return dataclasses.replace(lens, mass=tuple(mass))
