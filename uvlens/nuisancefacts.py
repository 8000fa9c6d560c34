"""What a fit found of its calibration nuisances: values with errors, penalties, chi squared."""

import jax
import jax.numpy as jnp
import numpy as np

from .terms import log_evidence_terms

N_SAMPLES = 40
"""Posterior samples whose nuisances are solved for."""
_FAR = 1.0
UNITS = {"antenna_phases": "deg", "antenna_amplitudes": "ln", "flux_scale": "ln", "shift_x": "arcsec"}
UNITS["shift_y"] = UNITS["shift_x"]
ERRORS = (
    "error: of the whole posterior, lens and source included (global phase, phase gradients and amplitudes trade with "
    "flux and position and are as wide as their priors leave them); error_of_fixed_model: given the best model"
)


def nuisance_facts(result):
    """The section `nuisances` of summary.json, None where the model has none.

    The posterior of p is a mixture over samples of the parameters: the mean of its variance given them, P^-1 and what
    the solved source adds (P^-1 Q L A'^-1 L^T Q^T P^-1, at the best fit), and the variance of its mean over them.
    A factor f of the weights multiplies C'^-1 (see `weightscale`): the first is P^-1 / f, the penalty f p^T Sigma^-1 p,
    both at the best fit.
    """
    model, found = result.model, result.reconstructions
    terms = [
        (number, term) for number, sky in enumerate(model.skies) for term in getattr(sky.reduction, "nuisances", ())
    ]
    if not terms:
        return None
    best = {one.sky: one for one in reversed(found)}
    scatter = _scatter(result, terms)
    data, penalty = [], 0.0
    for i, (number, term) in enumerate(terms):
        one = best[number]
        values, covariance = term.solve(one.image)
        covariance = covariance / one.weight_scale
        own_penalty = one.weight_scale * term.penalty(values)
        total = np.diagonal(covariance) + np.diagonal(_of_source(one, term)) + scatter[i]
        penalty += own_penalty
        facts = {"data": term.name, "sky": model.skies[number].name, "penalty": own_penalty}
        rows = _rows(term, values, np.sqrt(total), np.sqrt(np.diagonal(covariance)))
        farthest = np.max(np.abs(values - term.start) / np.sqrt(np.diagonal(covariance)))
        data.append(facts | {"farthest_from_linear_point": float(farthest), "parameters": rows})
    with_penalty = log_evidence_terms(model, found)["chi_squared"]
    chi_squared = {"chi_squared": with_penalty - penalty, "chi_squared_with_penalty": with_penalty, "penalty": penalty}
    calibration = result.calibration
    if calibration is not None:
        chi_squared |= calibration.facts()
        chi_squared["change_of_chi_squared"] = with_penalty - penalty - calibration.chi_squared_without
    return chi_squared | {"errors": ERRORS, "data": data}


def nuisance_warnings(result):
    """Sentences about a loop that did not end, or a fit that ended far from where the nuisances are linear."""
    facts = result.nuisances
    if facts is None:
        return []
    found = [] if result.calibration is None or not result.calibration.warning else [result.calibration.warning]
    for one in facts["data"]:
        far = one["farthest_from_linear_point"]
        if far > _FAR:
            found.append(
                f"{one['data']}: at the best fit nuisances are {far:.1f} of their errors from where they were made "
                "linear: fit again, with priors about this fit"
            )
    return found


def _rows(term, values, errors, fixed):
    """{kind: {"unit", "sigma", "values": [...]}}."""
    found = {}
    for j, (kind, antenna, interval) in enumerate(term.keys):
        scale = float(np.rad2deg(1.0)) if kind == "antenna_phases" else 1.0
        group = found.setdefault(kind, {"unit": UNITS[kind], "sigma": scale * term.sigma[j], "values": []})
        row = {} if antenna < 0 else {"antenna": antenna, "interval": interval}
        row |= {"value": scale * values[j], "error": scale * errors[j], "error_of_fixed_model": scale * fixed[j]}
        group["values"].append(row)
    return found


def _of_source(one, term):
    """Covariance that the solved source adds, shape (m, m)."""
    system, mapper = one.inversion.system, one.inversion.mapper
    if mapper.n_source == 0:
        return np.zeros((len(term), len(term)))
    response = np.zeros((len(term), mapper.indices.shape[0]))
    response[:, one.rows] = term.response
    answers = np.asarray(jax.vmap(mapper.transposed_product)(jnp.asarray(response)))
    free = np.asarray(system.solution.source) != 0.0
    matrix = np.asarray(system.curvature_matrix + system.regularization_matrix)[np.ix_(free, free)]
    return term.spread(answers[:, free], np.linalg.inv(matrix))


def _scatter(result, terms):
    """Variance of the values over samples of the posterior, one array a term."""
    stride = max(1, len(result.vectors) // N_SAMPLES)
    values = [[] for _ in terms]
    for vector in result.vectors[::stride][:N_SAMPLES]:
        images = {one.sky: np.asarray(one.image) for one in reversed(result.model.inversions(jnp.asarray(vector)))}
        if all(np.all(np.isfinite(images[number])) for number, _ in terms):
            for own, (number, term) in zip(values, terms):
                own.append(term.change(images[number]))
    return [np.var(own, axis=0) if len(own) > 1 else np.zeros(len(term)) for own, (_, term) in zip(values, terms)]
