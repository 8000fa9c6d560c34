"""Light profiles of lenstronomy, in its (x, y) = (East, North) frame.

Surface brightness is per arcsec^2. `amp` is the total flux of Gaussians and ellipsoids, the brightness at the radius of
Sersic profiles (see `sersic` for its b_n), a brightness for shapelets.
"""

import math

import numpy as np

from . import sersic
from .components import make, refuse
from .lenstronomy_names import CODE, SHAPE, cartesian, named, renamed

LIGHT = {
    "Gaussian": ("GAUSSIAN_ELLIPSE", {"flux": "amp", "sigma": "sigma", **SHAPE}),
    "UniformDisc": ("ELLIPSOID", {"flux": "amp", "radius": "radius", **SHAPE}),
    "Background": ("UNIFORM", {"flux": "amp"}),
}


def light_to(name, fields):
    """(their name, their parameters) of a light component of known flux."""
    if name in _TO:
        return _TO[name](fields)
    return renamed(name, fields, LIGHT)


def light_from(name, parameters):
    """[(our name, our fields)] of one of their light profiles: several Gaussians of a MULTI_GAUSSIAN."""
    theirs, parameters = cartesian(name, parameters)
    if theirs in _FROM:
        return _FROM[theirs](parameters)
    return [named(theirs, parameters, LIGHT)]


def _sersic_to(fields, n=None):
    fields = dict(fields)
    n = fields.pop("n_sersic") if n is None else n
    flux, R_sersic = fields.pop("flux"), fields.pop("R_sersic")
    b = sersic.lenstronomy(n)
    theirs = {"amp": sersic.intensity_for(flux, R_sersic, n, b), "R_sersic": sersic.radius_for(R_sersic, n, b)}
    return "SERSIC_ELLIPSE", theirs | {"n_sersic": n} | fields


def _sersic_from(parameters):
    fields = dict(parameters)
    n, amp = float(fields["n_sersic"]), float(fields.pop("amp"))
    b = sersic.lenstronomy(n)
    fields["R_sersic"] = sersic.half_light_radius(float(fields["R_sersic"]), n, b)
    fields["flux"] = sersic.total_flux(amp, fields["R_sersic"], n, b)
    return [("Sersic", fields)]


def _core_sersic_to(fields):
    fields = dict(fields)
    if fields.pop("sharpness", 3.0) != 3.0:
        raise refuse("CoreSersic of a sharpness other than 3", CODE)
    theirs = {key: fields[key] for key in ("e1", "e2", "center_x", "center_y")}
    n, flux = fields["n_sersic"], fields["flux"]
    R_sersic = sersic.radius_for(fields["R_sersic"], n, sersic.lenstronomy(n))
    shape = {"R_sersic": R_sersic, "Rb": fields["break_radius"], "n_sersic": n, "gamma": fields["slope_inner"]}
    return "CORE_SERSIC", {"amp": flux * _at_break(fields) / _core_sersic_at_break(**shape), **shape, **theirs}


def _core_sersic_from(parameters):
    fields, names = dict(parameters), {"Rb": "break_radius", "gamma": "slope_inner"}
    amp, n = float(fields.pop("amp")), float(fields["n_sersic"])
    shape = {key: float(fields[key]) for key in ("R_sersic", "Rb", "n_sersic", "gamma")}
    fields = {names.get(key, key): float(value) for key, value in fields.items()}
    fields["R_sersic"] = sersic.half_light_radius(fields["R_sersic"], n, sersic.lenstronomy(n))
    return [("CoreSersic", fields | {"flux": amp * _core_sersic_at_break(**shape) / _at_break(fields)})]


def _at_break(fields):
    """Brightness of our core-Sersic profile of unit flux at its break radius."""
    names = ("R_sersic", "n_sersic", "break_radius", "slope_inner")
    unit = make("CoreSersic", {"flux": 1.0} | {key: fields[key] for key in names})
    return float(unit.columns(fields["break_radius"], 0.0)[0])


def _core_sersic_at_break(R_sersic, Rb, n_sersic, gamma):
    """Theirs of unit amp there, its sharpness 3."""
    b = sersic.lenstronomy(n_sersic)
    reach = 2.0 ** (1.0 / (3.0 * n_sersic)) * (Rb / R_sersic) ** (1.0 / n_sersic)
    return 2.0 ** (gamma / 3.0) * math.exp(-b * (reach - 1.0))


def _mge_to(fields):
    """Their amplitudes are total fluxes; the sigmas of ours are spaced by a constant factor."""
    n, low, high = int(fields["n_gaussians"]), fields["sigma_min"], fields["sigma_max"]
    sigmas = low * (high / low) ** (np.arange(n) / max(n - 1, 1))
    shape = {key: fields[key] for key in ("e1", "e2", "center_x", "center_y")}
    return "MULTI_GAUSSIAN_ELLIPSE", {"amp": np.atleast_1d(fields["flux"]), "sigma": sigmas, **shape}


def _multi_gaussian_from(parameters):
    fields = dict(parameters)
    pairs = zip(np.atleast_1d(fields.pop("amp")), np.atleast_1d(fields.pop("sigma")))
    return [("Gaussian", {"flux": float(amp), "sigma": float(sigma), **fields}) for amp, sigma in pairs]


def _shapelets_to(fields):
    """Their basis functions are beta times ours, which are orthonormal; the order is the same."""
    amp = np.atleast_1d(fields["flux"]) / fields["beta"]
    rest = {key: fields[key] for key in ("beta", "center_x", "center_y")}
    return "SHAPELETS", {"amp": amp, "n_max": int(fields["n_max"]), **rest}


def _shapelets_from(parameters):
    fields = dict(parameters)
    flux = np.asarray(fields.pop("amp"), dtype=float) * fields["beta"]
    return [("Shapelets", fields | {"n_max": int(fields["n_max"]), "flux": flux})]


_TO = {
    "Sersic": _sersic_to,
    "Exponential": lambda fields: _sersic_to(fields, 1.0),
    "DeVaucouleurs": lambda fields: _sersic_to(fields, 4.0),
    "CoreSersic": _core_sersic_to,
    "MGE": _mge_to,
    "Shapelets": _shapelets_to,
}
_FROM = {
    "GAUSSIAN": lambda parameters: [named("GAUSSIAN_ELLIPSE", parameters, LIGHT)],
    "SERSIC": _sersic_from,
    "SERSIC_ELLIPSE": _sersic_from,
    "CORE_SERSIC": _core_sersic_from,
    "MULTI_GAUSSIAN": _multi_gaussian_from,
    "MULTI_GAUSSIAN_ELLIPSE": _multi_gaussian_from,
    "SHAPELETS": _shapelets_from,
}
