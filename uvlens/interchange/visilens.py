"""visilens: SIELens, ExternalShear and its sources as dictionaries, both ways.

Its x axis points West. As its code has it (`class_utils.py`, `calc_likelihood.py`):

    SIELens         q = 1 - e, PA East of North; theta_E = sqrt(4 G M / c^2 D_ls / (D_l D_s)) on the intermediate axis,
                    so that M = pi theta_E^2 Sigma_cr
    ExternalShear   about the first lens; `shearangle` is the PA of the perturber, stretch + 90 deg
    sources         of lensed ones x, y are offsets from the first lens
    SersicSource    PA from West towards North: East of North + 90 deg (not "from the lens major axis", as its
                    documentation says); majax (reff in other versions) along the major axis; flux total, b_n the
                    expansion of Ciotti & Bertin
    GaussSource     width: sigma, round

A shear about another point displaces all sources by the same vector: they are moved to make up for it.
"""

import math
from collections.abc import Mapping

from ..conventions import axis_ratio_from_ellipticity, ellipticity_from_axis_ratio, polar_from_shear, shear_from_polar
from ..cosmology import as_cosmology
from ..errors import InputError
from . import sersic
from .components import fields_of, is_round, lights_of, make, masses_of, refuse

CODE = "visilens"


def to_visilens(lens, sources=(), *, unlensed=(), redshift, source_redshift, cosmology=None):
    """Arguments of visilens's classes for a lens and its sources.

    Args:
        lens: a LensPlane or components: SIE (or SIS), Shear.
        sources: light behind the lens: Sersic, Gaussian, ... with numbers for fluxes [Jy].
        unlensed: light in front of it.
        redshift, source_redshift: of the lens and the source.
        cosmology: for masses; None: Planck18. visilens takes astropy's distances as they are handed to it.

    Returns:
        {"lens": [dict], "source": [dict]}: "class" and the arguments of that class; an SIELens also has "theta_E"
        [arcsec], which is what its M comes to.

    Raises:
        InputError: no counterpart, no SIE.
    """
    masses = sorted((fields_of(one) for one in masses_of(lens)), key=lambda named: named[0] == "Shear")
    if not masses or masses[0][0] not in ("SIE", "SIS"):
        raise InputError(f"{CODE} needs an SIE: positions and shear refer to the first")
    critical = _critical_density(cosmology, redshift, source_redshift)
    lenses = [_lens_to(name, fields, redshift, critical) for name, fields in masses]
    x, y = masses[0][1]["center_x"], masses[0][1]["center_y"]
    moved_x, moved_y = _displacement(masses, x, y)
    center = (x - moved_x, y - moved_y)
    found = [_source_to(*fields_of(one), source_redshift, True, center) for one in lights_of(tuple(sources))]
    found += [_source_to(*fields_of(one), redshift, False, (0.0, 0.0)) for one in lights_of(tuple(unlensed))]
    return {"lens": lenses, "source": found}


def from_visilens(lens, source=(), *, source_redshift=None, cosmology=None):
    """Components from visilens's lens and source lists.

    Args:
        lens, source: its objects, or dicts as `to_visilens` gives them; parameters may be its dicts with a "value".
        source_redshift: where a mass is to become an Einstein radius and no source says it.
        cosmology: None: Planck18.

    Returns:
        {"lens": components, "source": lensed light, "unlensed": light}.

    Raises:
        InputError: a class that is not known, no SIELens.
    """
    lens, source = _settings(lens), _settings(source)
    first = next((given for name, given in lens if name == "SIELens"), None)
    if first is None:
        raise InputError(f"{CODE}: the lens needs an SIELens: positions and shear refer to the first")
    redshifts = [given.get("z") for _, given in source if given.get("lensed", True)]
    source_redshift = redshifts[0] if source_redshift is None and redshifts else source_redshift
    center = (-first["x"], first["y"])
    masses = [_lens_from(name, given, center, source_redshift, cosmology) for name, given in lens]
    lights = {True: [], False: []}
    for name, given in source:
        lensed = bool(given.get("lensed", True))
        lights[lensed].append(_source_from(name, given, center if lensed else (0.0, 0.0)))
    return {"lens": tuple(masses), "source": tuple(lights[True]), "unlensed": tuple(lights[False])}


def _displacement(masses, x, y):
    """What a shear about the lens displaces sources by, against the same shear about its own centre: Gamma (c - x)."""
    moved_x = moved_y = 0.0
    for name, fields in masses:
        if name == "Shear":
            dx, dy = fields["center_x"] - x, fields["center_y"] - y
            moved_x -= fields["gamma1"] * dx + fields["gamma2"] * dy
            moved_y -= fields["gamma2"] * dx - fields["gamma1"] * dy
    return moved_x, moved_y


def _critical_density(cosmology, redshift, source_redshift):
    return float(as_cosmology(cosmology).critical_surface_density(redshift, source_redshift))


def _lens_to(name, fields, redshift, critical):
    if name == "Shear":
        strength, angle = polar_from_shear(fields["gamma1"], fields["gamma2"])
        return {"class": "ExternalShear", "shear": float(strength), "shearangle": (float(angle) + 90.0) % 180.0}
    if name not in ("SIE", "SIS"):
        raise refuse(name, CODE)
    q, angle = axis_ratio_from_ellipticity(fields.get("e1", 0.0), fields.get("e2", 0.0))
    mass = math.pi * fields["theta_E"] ** 2 * critical
    own = {"M": mass, "e": 1.0 - float(q), "PA": float(angle), "theta_E": fields["theta_E"]}
    return {"class": "SIELens", "z": redshift, "x": -fields["center_x"], "y": fields["center_y"], **own}


def _lens_from(name, given, center, source_redshift, cosmology):
    if name == "ExternalShear":
        gamma1, gamma2 = shear_from_polar(given["shear"], given["shearangle"] - 90.0)
        values = {"gamma1": float(gamma1), "gamma2": float(gamma2)}
        return make("Shear", values | {"center_x": center[0], "center_y": center[1]})
    if name != "SIELens":
        raise refuse(f"{CODE}'s {name}", "uvlens")
    theta_E = given.get("theta_E")
    if theta_E is None:
        if source_redshift is None:
            raise InputError(f"{CODE}: the mass of an SIELens needs source_redshift")
        theta_E = math.sqrt(given["M"] / (math.pi * _critical_density(cosmology, given["z"], source_redshift)))
    e1, e2 = ellipticity_from_axis_ratio(1.0 - given["e"], given["PA"])
    values = {"theta_E": float(theta_E), "e1": float(e1), "e2": float(e2)}
    return make("SIE", values | {"center_x": -given["x"], "center_y": given["y"]})


def _source_to(name, fields, redshift, lensed, center):
    x, y = fields["center_x"] - center[0], fields["center_y"] - center[1]
    common = {"z": redshift, "lensed": lensed, "xoff": -x, "yoff": y, "flux": fields["flux"]}
    if name == "Gaussian":
        if not is_round(fields):
            raise refuse("an elliptical Gaussian", CODE, "its GaussSource is round")
        return {"class": "GaussSource", **common, "width": fields["sigma"]}
    if name == "PointSource":
        if lensed:
            raise refuse("a lensed PointSource", CODE)
        return {"class": "PointSource", **common}
    n = {"Sersic": fields.get("n_sersic"), "Exponential": 1.0, "DeVaucouleurs": 4.0}.get(name)
    if n is None:
        raise refuse(name, CODE)
    q, angle = axis_ratio_from_ellipticity(fields["e1"], fields["e2"])
    majax = sersic.radius_for(fields["R_sersic"], n, sersic.ciotti_bertin(n)) / math.sqrt(float(q))
    shape = {"majax": majax, "index": n, "axisratio": float(q), "PA": (float(angle) + 90.0) % 180.0}
    return {"class": "SersicSource", **common, **shape}


def _source_from(name, given, center):
    fields = {"flux": given["flux"], "center_x": center[0] - given["xoff"], "center_y": center[1] + given["yoff"]}
    if name == "GaussSource":
        return make("Gaussian", fields | {"sigma": given["width"]})
    if name == "PointSource":
        return make("PointSource", fields)
    if name != "SersicSource":
        raise refuse(f"{CODE}'s {name}", "uvlens")
    n, q = given["index"], given["axisratio"]
    major = given["majax"] if "majax" in given else given["reff"]
    e1, e2 = ellipticity_from_axis_ratio(q, given["PA"] - 90.0)
    R_sersic = sersic.half_light_radius(major * math.sqrt(q), n, sersic.ciotti_bertin(n))
    return make("Sersic", fields | {"R_sersic": R_sersic, "n_sersic": n, "e1": float(e1), "e2": float(e2)})


def _settings(items):
    """[(class, arguments)] of dicts or objects, one or several."""
    found = []
    for item in items if isinstance(items, list | tuple) else [items]:
        given = dict(item) if isinstance(item, Mapping) else {k: v for k, v in vars(item).items() if k[0] != "_"}
        name = given.pop("class", None) or type(item).__name__
        values = {key: value["value"] if isinstance(value, Mapping) else value for key, value in given.items()}
        found.append((name, values))
    return found
