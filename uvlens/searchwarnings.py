"""What a referee would ask about a fit: convergence, modes, priors that the posterior touches."""

import numpy as np

from .terms import worst_certificate


def search_warnings(result):
    """Sentences about convergence, modes and priors that the posterior touches."""
    from .inference.importance import RELIABLE
    from .inference.roughness import roughness_warning

    sentences, d = [], result.diagnostics
    if result.method == "optimize":
        sentences.append("errors are those of the Gaussian at the optimum (Laplace), not of a sampled posterior")
    if d.get("n_chains") == 1:
        sentences.append("one chain only: R-hat needs two or more")
    elif not d.get("r_hat_max", 1.0) <= 1.01:
        sentences.append(f"chains not converged: largest R-hat {d['r_hat_max']:.3f} (want < 1.01)")
    if not d.get("ess_bulk_min", np.inf) >= 400:
        sentences.append(f"smallest bulk effective sample size {d['ess_bulk_min']:.0f} (want > 400): draw more")
    if d.get("mean_accept_probability", 1.0) < 0.4:
        accepted = d["mean_accept_probability"]
        sentences.append(f"only {100 * accepted:.0f} % of the steps of NUTS were accepted: a longer n_warmup is needed")
    if d.get("divergences", 0):
        sentences.append(f"{d['divergences']} divergent transitions")
    if d.get("pareto_k", 0.0) > RELIABLE:
        sentences.append(
            f"Pareto k {d['pareto_k']:.2f} (want < {RELIABLE}): the approximation is not the posterior, and was not "
            "re-weighted; use nuts or nautilus"
        )
    if d.get("impossible_share", 0.0) > 0.0:
        sentences.append(
            f"{100 * d['impossible_share']:.2g} % of the draws of the approximation are impossible for the model, "
            "which has no ELBO then: the posterior lies at the edge of what a domain or constraint allows"
        )
    rough = roughness_warning(d.get("roughness", {}))
    if rough and result.method != "nautilus":
        sentences.append(rough)
    if "turned_to_nautilus" in d:
        sentences.append(f"auto turned to nautilus: {d['turned_to_nautilus']}")
    if d.get("failed_evaluations", 0) > 0.01 * result.n_evaluations:
        sentences.append(f"{d['failed_evaluations']} of {result.n_evaluations} evaluations had no finite value")
    close = [b for b in d.get("basins", []) if b["log_posterior"] > d["basins"][0]["log_posterior"] - 10.0]
    if len(close) > 1 and result.method != "nautilus":
        sentences.append(f"{len(close)} separate maxima within 10 in ln posterior: consider nautilus")
    sentences += _edges(result)
    if not worst_certificate(result.reconstructions)["converged"]:
        sentences.append("the positive source at the best fit did not converge")
    if result.model.is_positive:
        sentences.append(
            "the evidence of a positive source is the Gaussian formula at the constrained mode, not an integral"
        )
    return sentences


def _edges(result):
    sentences = []
    for i, (path, prior) in enumerate(zip(result.model.parameters.paths, result.model.parameters.priors)):
        if prior.interval is None:
            continue
        low, high = prior.interval
        q = np.quantile(result.vectors[:, i], [0.01, 0.99])
        if prior.name == "loguniform":
            (low, high), q = np.log([low, high]), np.log(q)
        margin = 0.01 * (high - low)
        if q[0] < low + margin or q[1] > high - margin:
            sentences.append(f"the posterior of {path} touches the edge of its prior {prior}")
    return sentences
