"""Profiles of the COOLEST standard (Galan et al. 2023) by name.

x = -East, y = North, radii on the intermediate axis, phi counter-clockwise from +y, which is East of North: the
position angle, in (-90, 90]. phi_ext is the direction in which images are stretched. Shear and sheet are about (0, 0).
Its b_n is 1.9992 n - 0.3271 (see `sersic`). What its profiles leave open is refused: the normalisation of those with a
core (theta_E is not b there) and the unit of rho_c of its NFW.
"""

import math

from ..conventions import axis_ratio_from_ellipticity, ellipticity_from_axis_ratio, polar_from_shear, shear_from_polar
from ..errors import InputError
from . import sersic
from .components import refuse

CODE = "COOLEST"
FIELDS = ("ExternalShear", "ConvergenceSheet")
"""Profiles of a MassField, not of a Galaxy."""


def mass_to(name, fields):
    """(type, {parameter: value}) of a mass component, its x axis still to the East."""
    if name in ("SIS", "SIE"):
        return "SIE", {"theta_E": fields["theta_E"], **_shape_to(fields)}
    if name == "EPL":
        return "PEMD", {"theta_E": fields["theta_E"], "gamma": fields["slope"], **_shape_to(fields)}
    if name in ("Shear", "ConvergenceSheet"):
        if (fields["center_x"], fields["center_y"]) != (0.0, 0.0):
            raise refuse(f"{name} about another point than (0, 0)", CODE, "move the source instead")
        if name == "ConvergenceSheet":
            return "ConvergenceSheet", {"kappa_s": fields["kappa"]}
        strength, angle = polar_from_shear(fields["gamma1"], fields["gamma2"])
        return "ExternalShear", {"gamma_ext": float(strength), "phi_ext": wrapped(float(angle))}
    if name == "DPIE":
        core, truncation = fields["core_radius"], fields["truncation_radius"]
        if core == truncation:
            raise refuse("DPIE of equal radii", CODE)
        b = fields["b0"] * truncation / (truncation - core)
        return "Chameleon", {"b": b, "s_c": core, "s_t": truncation, **_shape_to(fields)}
    if name in ("NIE", "CoredEPL"):
        raise refuse(name, CODE, "the normalisation of its profiles with a core is left open")
    if "NFW" in name:
        raise refuse(name, CODE, "the unit of its rho_c is left open")
    raise refuse(name, CODE)


def mass_from(kind, values):
    """(our name, fields) of a mass profile."""
    if kind == "SIE":
        return "SIE", {"theta_E": values["theta_E"], **_shape_from(values)}
    if kind == "PEMD":
        return "EPL", {"theta_E": values["theta_E"], "slope": values["gamma"], **_shape_from(values)}
    if kind == "Chameleon":
        core, truncation = values["s_c"], values["s_t"]
        lengths = {"b0": values["b"] * (truncation - core) / truncation, "core_radius": core}
        return "DPIE", {**lengths, "truncation_radius": truncation, **_shape_from(values)}
    if kind == "ExternalShear":
        gamma1, gamma2 = shear_from_polar(values["gamma_ext"], values["phi_ext"])
        return "Shear", {"gamma1": float(gamma1), "gamma2": float(gamma2)}
    if kind == "ConvergenceSheet":
        return "ConvergenceSheet", {"kappa": values["kappa_s"]}
    raise refuse(f"{CODE}'s {kind}", "uvlens")


def light_to(name, fields):
    """(type, {parameter: value}) of a light component of known flux."""
    if name == "Background":
        return "Uniform", {"A": fields["flux"]}
    if name == "Gaussian":
        b = sersic.lenstronomy(0.5)
        radius = fields["sigma"] * math.sqrt(2.0 * b)
        peak = fields["flux"] / (2.0 * math.pi * fields["sigma"] ** 2)
        own = {"I_eff": peak * math.exp(-b), "theta_eff": radius, "n": 0.5}
        return "Sersic", own | _shape_to(fields)
    n = {"Sersic": fields.get("n_sersic"), "Exponential": 1.0, "DeVaucouleurs": 4.0}.get(name)
    if n is None:
        raise refuse(name, CODE)
    if not 0.5 <= n <= 10.0:
        raise refuse(f"a Sersic index of {n}", CODE, "it must lie in [0.5, 10]")
    b = sersic.lenstronomy(n)
    radius = sersic.radius_for(fields["R_sersic"], n, b)
    own = {"I_eff": float(sersic.intensity_for(fields["flux"], fields["R_sersic"], n, b)), "theta_eff": radius, "n": n}
    return "Sersic", own | _shape_to(fields)


def light_from(kind, values):
    """(our name, fields) of an analytical light profile."""
    if kind == "Uniform":
        return "Background", {"flux": values["A"]}
    if kind != "Sersic":
        raise refuse(f"{CODE}'s {kind}", "uvlens")
    n = values["n"]
    b = sersic.lenstronomy(n)
    R_sersic = sersic.half_light_radius(values["theta_eff"], n, b)
    flux = float(sersic.total_flux(values["I_eff"], R_sersic, n, b))
    return "Sersic", {"flux": flux, "R_sersic": R_sersic, "n_sersic": n, **_shape_from(values)}


def statistics_of(parameter, path, summary):
    """Posterior statistics of one of their parameters, or None: mean, median, 16th and 84th percentile.

    Args:
        parameter: its name in the standard.
        path: of the component in the model, "lens.mass.0".
        summary: what `Result.summary` gives: "parameters" and "derived" by path.
    """
    known = {**summary.get("derived", {}), **summary.get("parameters", {})}
    names = _OURS.get(parameter, (parameter,))
    found = next((known[f"{path}.{name}"] for name in names if f"{path}.{name}" in known), None)
    if found is None or found.get("median") is None:
        return None
    mean, median, low, high = (found[key] for key in ("mean", "median", "q16", "q84"))
    if parameter == "center_x":
        mean, median, low, high = -mean, -median, -high, -low
    if parameter in ("phi", "phi_ext"):
        shift = wrapped(median) - median
        mean, median, low, high = mean + shift, median + shift, low + shift, high + shift
    return {"mean": mean, "median": median, "percentile_16th": low, "percentile_84th": high}


_OURS = {
    "gamma": ("slope",),
    "kappa_s": ("kappa",),
    "q": ("axis_ratio",),
    "phi": ("position_angle",),
    "gamma_ext": ("strength", "shear_strength"),
    "phi_ext": ("position_angle", "shear_position_angle"),
    "b": (),
    "s_c": ("core_radius",),
    "s_t": ("truncation_radius",),
    "n": ("n_sersic",),
    "theta_eff": (),
    "I_eff": (),
    "A": ("flux",),
}


def wrapped(angle):
    """An angle of period 180 in (-90, 90] [deg]."""
    return 90.0 - (90.0 - angle) % 180.0


def value_of(kind, name, entry):
    """The point estimate of a parameter.

    Raises:
        InputError: there is none.
    """
    value = (entry.get("point_estimate") or {}).get("value")
    if value is None:
        raise InputError(f"{CODE}: {kind} has no point estimate of {name}")
    return float(value)


def _shape_to(fields):
    q, angle = axis_ratio_from_ellipticity(fields.get("e1", 0.0), fields.get("e2", 0.0))
    center = {"center_x": -fields["center_x"], "center_y": fields["center_y"]}
    return {"q": float(q), "phi": wrapped(float(angle)), **center}


def _shape_from(values):
    e1, e2 = ellipticity_from_axis_ratio(values["q"], values["phi"])
    center = {"center_x": -values["center_x"], "center_y": values["center_y"]}
    return {"e1": float(e1), "e2": float(e2), **center}
