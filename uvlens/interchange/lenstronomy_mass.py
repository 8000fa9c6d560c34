"""Mass profiles of lenstronomy, in its (x, y) = (East, North) frame.

Its ellipticities, Einstein radii and deflections are ours; JAXtronomy, herculens and gigalens share names and numbers.
"""

import math

import numpy as np

from . import sersic
from .components import ALPHA_AT_R_S, is_round, make, refuse
from .lenstronomy_names import CENTER, CODE, ORIGIN, SHAPE, cartesian, named, renamed

_HALO = {"R_s": "Rs", "alpha_R_s": "alpha_Rs"}

MASS = {
    "SIS": ("SIS", {"theta_E": "theta_E", **CENTER}),
    "SIE": ("SIE", {"theta_E": "theta_E", **SHAPE}),
    "NIE": ("NIE", {"theta_E": "theta_E", "core_radius": "s_scale", **SHAPE}),
    "EPL": ("EPL", {"theta_E": "theta_E", "slope": "gamma", **SHAPE}),
    "PointMass": ("POINT_MASS", {"theta_E": "theta_E", **CENTER}),
    "Shear": ("SHEAR", {"gamma1": "gamma1", "gamma2": "gamma2", **ORIGIN}),
    "ConvergenceSheet": ("CONVERGENCE", {"kappa": "kappa", **ORIGIN}),
    "NFW": ("NFW", {**_HALO, **CENTER}),
    "EllipticalNFW": ("NFW_ELLIPSE_CSE", {**_HALO, **SHAPE}),
    "TruncatedNFW": ("TNFW", {**_HALO, "truncation_radius": "r_trunc", **CENTER}),
    "GNFW": ("GNFW", {**_HALO, "slope_inner": "gamma_in", **CENTER}),
    "Hernquist": ("HERNQUIST", {"R_s": "Rs", "kappa_s": "sigma0", **CENTER}),
    "GaussianMass": ("GAUSSIAN_ELLIPSE_KAPPA", {"amplitude": "amp", "sigma": "sigma", **SHAPE}),
}
"""Our name: (theirs, {our field: their parameter})."""


def mass_to(name, fields):
    """(their name, their parameters) of a mass component.

    Raises:
        InputError: no counterpart.
    """
    if name in _TO:
        return _TO[name](fields)
    return renamed(name, fields, MASS)


def mass_from(name, parameters):
    """[(our name, our fields)] of one of their mass profiles: several of one that combines them."""
    theirs, parameters = cartesian(name, parameters)
    if theirs == _ELLIPTICAL["GNFW"]:
        shape = {key: float(parameters.pop(key, 0.0)) for key in ("e1", "e2")}
        return [("GNFW", named("GNFW", parameters, MASS)[1] | shape)]
    if theirs == "EPL_MULTIPOLE_M1M3M4":
        return _power_law_with_multipoles(parameters)
    if theirs in _FROM:
        return [_FROM[theirs](parameters)]
    return [named(theirs, parameters, MASS)]


def _cored_power_law_to(fields):
    """kappa = kappa_0 (1 + R^2 / r_core^2)^((1 - gamma) / 2): round, with a core.

    Its sigma0 is rho_0 r_core, not kappa_0 as it says: kappa_0 is sigma0 times `_projected`.
    """
    if not is_round(fields) or not fields["core_radius"] > 0.0:
        raise refuse("CoredEPL", CODE, "its SPL_CORE is round and has a core")
    t, core = fields["slope"] - 1.0, fields["core_radius"]
    central = 0.5 * (2.0 - t) * (fields["theta_E"] / core) ** t
    center = {key: fields[key] for key in ("center_x", "center_y")}
    return "SPL_CORE", {"sigma0": central / _projected(t), "r_core": core, "gamma": fields["slope"], **center}


def _cored_power_law_from(parameters):
    fields = {key: float(value) for key, value in parameters.items()}
    core, slope = fields.pop("r_core"), fields.pop("gamma")
    central = fields.pop("sigma0") * _projected(slope - 1.0)
    theta_E = core * (2.0 * central / (3.0 - slope)) ** (1.0 / (slope - 1.0))
    return "CoredEPL", {"theta_E": theta_E, "slope": slope, "core_radius": core, **fields}


def _projected(t):
    """int (1 + z^2)^(-(t + 1) / 2) dz = sqrt(pi) Gamma(t / 2) / Gamma((t + 1) / 2)."""
    return math.sqrt(math.pi) * math.gamma(0.5 * t) / math.gamma(0.5 * (t + 1.0))


def _dual_isothermal_to(fields):
    """kappa = sigma0 Ra Rs / (Rs - Ra) (1 / sqrt(Ra^2 + R^2) - 1 / sqrt(Rs^2 + R^2)): round, with a core."""
    core, truncation = fields["core_radius"], fields["truncation_radius"]
    if not is_round(fields) or not core > 0.0:
        raise refuse("DPIE", CODE, "its PJAFFE is round and has a core; PJAFFE_ELLIPSE_POTENTIAL is another profile")
    own = {"sigma0": 0.5 * fields["b0"] / core, "Ra": core, "Rs": truncation}
    return "PJAFFE", own | {key: fields[key] for key in ("center_x", "center_y")}


def _dual_isothermal_from(parameters):
    fields = {key: float(value) for key, value in parameters.items()}
    core, truncation = sorted((fields.pop("Ra"), fields.pop("Rs")))
    # it sorts its radii, sigma0 stays
    own = {"b0": 2.0 * fields.pop("sigma0") * core, "core_radius": core, "truncation_radius": truncation}
    return "DPIE", own | fields


def _sersic_mass_to(fields):
    fields = dict(fields)
    if "mass_to_light" in fields:
        total = fields.pop("mass_to_light") * fields.pop("flux")
        n = fields["n_sersic"]
        fields["kappa_eff"] = float(sersic.intensity_for(total, fields["R_sersic"], n, sersic.exact(n)))
    n, R_sersic = fields["n_sersic"], fields["R_sersic"]
    b = sersic.lenstronomy(n)
    # the convergence at the centre is the same
    k_eff = fields.pop("kappa_eff") * math.exp(sersic.exact(n) - b)
    parameters = {"k_eff": k_eff} | fields | {"R_sersic": sersic.radius_for(R_sersic, n, b)}
    if not is_round(fields):
        return "SERSIC_ELLIPSE_GAUSS_DEC", parameters
    return "SERSIC", {key: value for key, value in parameters.items() if key not in ("e1", "e2")}


def _sersic_mass_from(parameters):
    fields = {key: float(value) for key, value in parameters.items()}
    n = fields["n_sersic"]
    b = sersic.lenstronomy(n)
    kappa_eff = fields.pop("k_eff") * math.exp(b - sersic.exact(n))
    return "SersicMass", {"kappa_eff": kappa_eff} | fields | {
        "R_sersic": sersic.half_light_radius(fields["R_sersic"], n, b)
    }


def _gaussian_mass_to(fields):
    fields = dict(fields)
    if "mass_to_light" in fields:
        fields["amplitude"] = fields.pop("mass_to_light") * fields.pop("flux")
    return renamed("GaussianMass", fields, MASS)


def _gaussians_to(fields):
    amp = fields["mass_to_light"] * np.asarray(fields["amplitudes"], dtype=float)
    shape = {key: fields[key] for key in ("e1", "e2", "center_x", "center_y")}
    return "MULTI_GAUSSIAN_ELLIPSE_KAPPA", {"amp": amp, "sigma": np.asarray(fields["sigmas"], dtype=float), **shape}


def _gaussians_from(parameters):
    fields = dict(parameters)
    factor = float(fields.pop("scale_factor", 1.0))
    amplitudes = tuple(factor * float(value) for value in np.atleast_1d(fields.pop("amp")))
    sigmas = tuple(float(value) for value in np.atleast_1d(fields.pop("sigma")))
    return "MGEMass", {"amplitudes": amplitudes, "sigmas": sigmas} | {key: float(fields[key]) for key in fields}


def _halo_to(name):
    """Haloes by kappa_s instead of alpha_R_s."""

    def convert(fields):
        fields = dict(fields)
        if "kappa_s" in fields:
            fields["alpha_R_s"] = _alpha_at(name, fields)
            del fields["kappa_s"]
        return _maybe_elliptical(name, fields)

    return convert


def _alpha_at(name, fields):
    """Deflection of a round halo at its scale radius."""
    if name != "GNFW":
        return ALPHA_AT_R_S * fields["kappa_s"] * fields["R_s"]
    round_one = make(name, {key: fields[key] for key in ("R_s", "kappa_s", "slope_inner")})
    return float(round_one.deflection(fields["R_s"], 0.0)[0])


def _maybe_elliptical(name, fields):
    """One of theirs for round profiles, another for elliptical ones."""
    if name not in _ELLIPTICAL:
        return renamed(name, fields, MASS)
    shape = {key: fields.pop(key) for key in ("e1", "e2") if key in fields}
    theirs, parameters = renamed(name, fields, MASS)
    return (theirs, parameters) if is_round(shape) else (_ELLIPTICAL[name], parameters | shape)


_ELLIPTICAL = {"GNFW": "GNFW_ELLIPSE_GAUSS_DEC", "Hernquist": "HERNQUIST_ELLIPSE_CSE"}


def _hernquist_to(fields):
    """Elliptical, as it computes it: Rs on the major axis and a convergence of sigma0 / q."""
    theirs, parameters = _maybe_elliptical("Hernquist", dict(fields))
    if theirs == "HERNQUIST_ELLIPSE_CSE":
        q = _axis_ratio(parameters)
        parameters |= {"Rs": parameters["Rs"] / math.sqrt(q), "sigma0": q * parameters["sigma0"]}
    return theirs, parameters


def _hernquist_from(parameters):
    fields = {key: float(value) for key, value in parameters.items()}
    q = _axis_ratio(fields)
    own = {"R_s": math.sqrt(q) * fields.pop("Rs"), "kappa_s": fields.pop("sigma0") / q}
    return "Hernquist", own | fields


def _axis_ratio(parameters):
    modulus = math.hypot(parameters.get("e1", 0.0), parameters.get("e2", 0.0))
    return (1.0 - modulus) / (1.0 + modulus)


def _potential_to(fields):
    """Third derivatives of the potential: g1 = xxx, g2 = xxy, g3 = xyy, g4 = yyy."""
    F1, F2, G1, G2 = (fields[key] for key in ("F1", "F2", "G1", "G2"))
    own = {"g1": 0.5 * (3.0 * F1 + G1), "g2": 0.5 * (F2 + G2), "g3": 0.5 * (F1 - G1), "g4": 0.5 * (3.0 * F2 - G2)}
    return "FLEXION", own | {"ra_0": fields["center_x"], "dec_0": fields["center_y"]}


def _potential_from(parameters):
    g1, g2, g3, g4 = (float(parameters.get(key, 0.0)) for key in ("g1", "g2", "g3", "g4"))
    own = {"F1": 0.5 * (g1 + g3), "F2": 0.5 * (g2 + g4), "G1": 0.5 * (g1 - 3.0 * g3), "G2": 0.5 * (3.0 * g2 - g4)}
    return "ExternalPotential", own | {
        "center_x": float(parameters.get("ra_0", 0.0)),
        "center_y": float(parameters.get("dec_0", 0.0)),
    }


def _flexion_from(parameters):
    """FLEXIONFG: its G2 is not that of the literature, psi_yyy = (F2 - G2) / 2 and psi_xxy = (3 F2 + G2) / 2."""
    F1, F2, G1, G2 = (float(parameters[key]) for key in ("F1", "F2", "G1", "G2"))
    own = {"g1": 0.5 * (3.0 * F1 + G1), "g2": 0.5 * (3.0 * F2 + G2), "g3": 0.5 * (F1 - G1), "g4": 0.5 * (F2 - G2)}
    return _potential_from(dict(parameters) | own)


def _multipole_to(fields):
    own = {"m": int(fields["order"]), "a_m": fields["amplitude"], "phi_m": math.radians(fields["angle"])}
    return "MULTIPOLE", own | {"r_E": fields["theta_E"]} | {key: fields[key] for key in ("center_x", "center_y")}


def _multipole_from(parameters):
    fields = {key: float(value) for key, value in parameters.items()}
    own = {"order": int(fields.pop("m")), "amplitude": fields.pop("a_m"), "angle": math.degrees(fields.pop("phi_m"))}
    return "Multipole", own | {"theta_E": fields.pop("r_E", 1.0)} | fields


def _power_law_with_multipoles(parameters):
    """An EPL and circular multipoles: amplitudes in units of theta_E / sqrt(q), angles from the major axis."""
    parameters = {key: float(value) for key, value in parameters.items()}
    waves = {m: (parameters.pop(f"a{m}_a"), parameters.pop(f"delta_phi_m{m}")) for m in (1, 3, 4)}
    e1, e2, theta_E = (parameters[key] for key in ("e1", "e2", "theta_E"))
    modulus, phi = math.hypot(e1, e2), 0.5 * math.atan2(e2, e1)
    unit = theta_E * math.sqrt((1.0 + modulus) / (1.0 - modulus))
    center = {key: parameters.get(key, 0.0) for key in ("center_x", "center_y")}
    found = [named("EPL", parameters, MASS)]
    for m, (amplitude, turn) in waves.items():
        fields = {"m": m, "a_m": amplitude * unit, "phi_m": phi + turn, "r_E": theta_E, **center}
        found += [_multipole_from(fields)] if amplitude else []
    return found


def _elliptical_multipole_to(fields):
    """Its ellipses have their major axis along x; its deflection of odd orders is ours and a constant vector."""
    e1, e2 = fields["e1"], fields["e2"]
    if e1 < 0.0 or abs(e2) > 1e-12:
        raise refuse("an EllipticalMultipole", CODE, "the major axis of its MULTIPOLE_ELL lies along x")
    name, parameters = _multipole_to({key: value for key, value in fields.items() if key not in ("e1", "e2")})
    return f"{name}_ELL", parameters | {"q": (1.0 - e1) / (1.0 + e1)}


def _elliptical_multipole_from(parameters):
    parameters = dict(parameters)
    q = float(parameters.pop("q"))
    return "EllipticalMultipole", _multipole_from(parameters)[1] | {"e1": (1.0 - q) / (1.0 + q), "e2": 0.0}


_TO = {
    "CoredEPL": _cored_power_law_to,
    "DPIE": _dual_isothermal_to,
    "SersicMass": _sersic_mass_to,
    "Hernquist": _hernquist_to,
    "GaussianMass": _gaussian_mass_to,
    "MGEMass": _gaussians_to,
    "ExternalPotential": _potential_to,
    "Multipole": _multipole_to,
    "EllipticalMultipole": _elliptical_multipole_to,
    **{name: _halo_to(name) for name in ("NFW", "EllipticalNFW", "TruncatedNFW", "GNFW")},
}
_FROM = {
    "SPL_CORE": _cored_power_law_from,
    "PJAFFE": _dual_isothermal_from,
    "MULTI_GAUSSIAN": _gaussians_from,
    "MULTI_GAUSSIAN_ELLIPSE_KAPPA": _gaussians_from,
    "GAUSSIAN": lambda parameters: named("GAUSSIAN_ELLIPSE_KAPPA", parameters, MASS),
    "HERNQUIST_ELLIPSE_CSE": _hernquist_from,
    "FLEXION": _potential_from,
    "FLEXIONFG": _flexion_from,
    "MULTIPOLE": _multipole_from,
    "MULTIPOLE_ELL": _elliptical_multipole_from,
    "SERSIC": _sersic_mass_from,
    "SERSIC_ELLIPSE_GAUSS_DEC": _sersic_mass_from,
}
