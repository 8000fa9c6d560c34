"""Evidences of fits of the same data, with how each was found and what it is worth.

    nested sampling     ln Z of nautilus, error 1 / sqrt(effective samples)
    reciprocal          1/Z = <phi(z) / (L(z) N(z; 0, 1))> over posterior samples, phi a Gaussian with their mean and
                        covariance cut off at Mahalanobis radius r (Robert & Wraith 2009): any sampled posterior
    Laplace             ln Z = ln L + ln N(z; 0, 1) + n/2 ln 2 pi + 1/2 ln det Sigma at the optimum, Gaussian posteriors

    importance          ln of the mean weight of draws of an approximation (svi, laplace), where they were re-weighted

in the space z where all priors are unit normals. L is E(z) / E_null; the null evidence is that of the data alone, the
same for all fits of the same data, unless calibration nuisances are marginalised: E_null is then that of the point at
which they were made linear. Fits are compared by ln Z itself, and are of the same data if the visibilities that were
given, before any gains were divided out, and the masks are the same.
"""

import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import gammaincinv, logsumexp

from .errors import InputError

_SHARE = 0.5
"""Of a Gaussian posterior's samples, inside the radius at which phi is cut off."""
_BATCHES = 10
_SAMPLED = ("nuts",)
_REWEIGHTED = ("laplace", "svi")


def evidence_of(result):
    """{log_evidence_minus_null, error [nat], method, n_parameters, log_allowed_share} of a Result.

    ln Z is for the prior as it is stated; ln Z of the prior cut to what the constraints allow, and normalised there, is
    ln Z - log_allowed_share.
    """
    n = len(result.model.parameters)
    known, diagnostics = result.log_evidence_minus_null, result.diagnostics
    if known is not None and result.method in _REWEIGHTED:
        found = (known, diagnostics.get("log_evidence_error"), "importance sampling")
    elif known is not None:
        effective = diagnostics.get("n_effective") or len(result.vectors)
        found = (known, effective**-0.5, "nested sampling")
    elif result.log_likelihood is not None and result.method in _SAMPLED and len(result.vectors) >= 20 * (n + 1):
        found = (*_reciprocal(result), "reciprocal importance sampling")
    else:
        found = (*_laplace(result), "Laplace")
    value, error, method = found
    if value is None:
        method = "none: its samples do not vary in all directions"
    found = {"log_evidence_minus_null": _number(value), "error": _number(error), "method": method, "n_parameters": n}
    return found | {"log_allowed_share": float(np.log1p(-getattr(result.model, "excluded", 0.0)))}


def data_hashes(model):
    """SHA-256 of the data of every sky as they were given, one a data set, with the mask that they are seen on.

    Unlike `Reduction.hashes` they do not know of nuisances, beams or the version.
    """
    found = []
    for sky in model.skies:
        mask = sky.reduction.mask
        stated = repr((mask.grid, hashlib.sha256(np.ascontiguousarray(mask.kept).data).hexdigest()))
        found += [hashlib.sha256(f"{one.sha256} {stated}".encode()).hexdigest() for one in sky.reduction.observations]
    return found


def compare(*fits):
    """Compare fits of the same data.

    Args:
        fits: Results, or folders of finished fits; two at least.

    Returns:
        list of dicts, the highest evidence first: name, method, n_parameters, log_evidence (ln Z),
        log_evidence_minus_null, error, delta (ln Z less that of the first), delta_error, probability (of equal prior
        odds), max_log_evidence_minus_null, warnings.

    Raises:
        InputError: fewer than two, folders without a summary, or fits of different data.
    """
    if len(fits) < 2:
        raise InputError("compare: give two fits at least")
    rows = [_row(fit, i) for i, fit in enumerate(fits)]
    first = rows[0]
    for row in rows[1:]:
        for key, word in (("data_hashes", "data, masks or weights"), ("n_real_data", "numbers of data")):
            if row[key] != first[key]:
                raise InputError(
                    f"compare: {row['name']} and {first['name']} were fitted to different {word}: their evidences are "
                    "not comparable"
                )
    rows.sort(key=lambda row: -row["log_evidence"])
    values = np.array([row["log_evidence"] for row in rows])
    for row, probability in zip(rows, np.exp(values - logsumexp(values))):
        row["delta"] = row["log_evidence"] - values[0]
        errors = (row["error"], rows[0]["error"])
        row["delta_error"] = 0.0 if row is rows[0] else None if None in errors else float(np.hypot(*errors))
        row["probability"] = float(probability)
        row["warnings"] = _warnings(row, rows)
        del row["data_hashes"], row["n_real_data"]
    return rows


def print_comparison(rows):
    """The rows for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("fit", "parameters", "ln Z", "+-", "delta ln Z", "odds", "method"):
        table.add_column(column, justify="left" if column in ("fit", "method") else "right")
    for row in rows:
        error = "" if row["error"] is None else f"{row['error']:.2f}"
        odds = f"{np.exp(max(row['delta'], -700.0)):.3g}"
        values = (f"{row['log_evidence']:.2f}", error, f"{row['delta']:.2f}", odds)
        table.add_row(row["name"], str(row["n_parameters"]), *values, row["method"])
    console = Console()
    console.print(table)
    for text in dict.fromkeys(text for row in rows for text in row["warnings"]):
        console.print(f"warning: {text}", markup=False)


def _row(fit, number):
    if isinstance(fit, str | Path):
        file = Path(fit) / "summary.json"
        try:
            summary = json.loads(file.read_text())
        except (OSError, ValueError):
            raise InputError(f"{fit}: no summary.json here; is it the folder of a finished fit?") from None
        if not summary.get("evidence") or "given_data_hashes" not in summary:
            raise InputError(f"{fit}: its summary has no evidence: written by an earlier version, fit again")
        name, evidence, hashes = str(fit), summary["evidence"], summary["given_data_hashes"]
        null = summary["max_log_evidence"] - summary["max_log_evidence_minus_null"]
        best, positive = summary["max_log_evidence_minus_null"], summary["positive"]
        n_real = summary["n_real_data"]
    else:
        from .terms import n_real_data

        name, evidence, best = f"fit {number}", evidence_of(fit), float(fit.best_log_likelihood)
        hashes, null = data_hashes(fit.model), fit.model.log_evidence_null
        positive, n_real = fit.model.is_positive, n_real_data(fit.model)
    if evidence["log_evidence_minus_null"] is None:
        raise InputError(f"compare: {name} has no evidence: its samples do not vary in all directions")
    row = {
        "name": name,
        "log_evidence": null + evidence["log_evidence_minus_null"],
        **evidence,
        "max_log_evidence_minus_null": best,
        "positive": positive,
    }
    return row | {"data_hashes": hashes, "n_real_data": n_real}


def _warnings(row, rows):
    found = []
    if row["positive"]:
        found.append(
            f"{row['name']}: the evidence of a positive source is the Gaussian formula at the constrained mode"
        )
    if len({one["positive"] for one in rows}) > 1:
        found.append("positive and free sources are compared: their evidences are of different kinds")
    if len({one["method"] for one in rows}) > 1:
        found.append("the evidences were found by different methods")
    if row.get("log_allowed_share", 0.0) < 0.0:
        found.append(
            f"{row['name']}: ln Z is for the prior as it is stated; of the prior cut to what its constraints allow it "
            f"is {-row['log_allowed_share']:.3g} larger"
        )
    if row["method"] == "Laplace":
        found.append(f"{row['name']}: Laplace assumes a Gaussian posterior with a single maximum")
    return found


def _in_z(result, vectors):
    return np.asarray(jax.jit(jax.vmap(result.model.parameters.to_normal))(jnp.asarray(vectors)))


def _laplace(result):
    """(ln Z, None): the covariance that of the samples, the peak that of the best vector; (None, None) without one."""
    n = len(result.model.parameters)
    z = _in_z(result, result.best_vector[None])[0]
    samples = _in_z(result, result.vectors)
    sign, log_det = np.linalg.slogdet(np.atleast_2d(np.cov(samples.T)).reshape(n, n))
    if not sign > 0.0 or len(samples) <= n:
        return None, None
    return result.best_log_likelihood - 0.5 * z @ z + 0.5 * log_det, None


def _reciprocal(result):
    """(ln Z, its error over batches of consecutive samples)."""
    z = _in_z(result, result.vectors)
    n = z.shape[1]
    middle, covariance = z.mean(axis=0), np.atleast_2d(np.cov(z.T))
    root = np.linalg.cholesky(covariance)
    squared = np.sum(np.linalg.solve(root, (z - middle).T) ** 2, axis=0)
    radius = _chi_squared_quantile(n, _SHARE)
    inside = squared < radius
    log_phi = -0.5 * squared - np.log(np.diag(root)).sum() - np.log(_SHARE)
    log_target = result.log_likelihood - 0.5 * np.sum(z**2, axis=1)
    # both Gaussians have the factor (2 pi)^(-n/2)
    terms = np.where(inside, log_phi - log_target, -np.inf)
    if not inside.any():
        return _laplace(result)
    total = logsumexp(terms) - np.log(len(z))
    batches = [logsumexp(part) - np.log(len(part)) for part in np.array_split(terms, _BATCHES)]
    ratios = np.exp(np.array(batches) - total)
    return -total, float(ratios.std(ddof=1) / np.sqrt(_BATCHES))


def _chi_squared_quantile(n, share):
    return 2.0 * gammaincinv(0.5 * n, share)


def _number(value):
    return None if value is None else float(value)
