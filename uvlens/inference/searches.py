"""The searches by name: each takes a Run and gives the fields of a Result."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from scipy.special import logsumexp

from ..errors import InputError
from ..threads import n_cores
from . import nested, svi
from .bend import straight
from .chains import ESS, bent_by, sampled
from .density import IMPOSSIBLE
from .draws import allowed_draws
from .importance import reweight, systematic
from .optimize import basins, climb, laplace_covariance
from .run import CLIMBING, best, climb_and_measure, of_starts, split, vectors

_UNMIXED = 1.05
"""R-hat of chains that see different modes, for `auto`."""
_SHARE = 0.01
"""Of the posterior mass: other modes that hold more make `auto` turn to nautilus."""
_LAPLACE_DRAWS = 2000


def search_optimum(run, options):
    """Multi-start climb; draws of the Gaussian at the top, not evaluated."""
    density = run.density
    optima, covariance, known = climb_and_measure(run, **options)
    z = optima[0].z + run.rng(1).normal(size=(_LAPLACE_DRAWS, density.size)) @ np.linalg.cholesky(covariance).T
    return {
        "vectors": vectors(density, z),
        "diagnostics": of_starts(density, optima, covariance, known),
        **best(density, [optima[0].z]),
    }


def search_laplace(run, options):
    """The Gaussian at the best optimum, re-weighted to the posterior."""
    options, climbing = split(options)
    n_draws = options.pop("n_draws", 1000)
    optima, covariance, known = climb_and_measure(run, **climbing)
    q = dist.MultivariateNormal(jnp.asarray(optima[0].z), scale_tril=jnp.linalg.cholesky(jnp.asarray(covariance)))
    z = np.asarray(q.sample(jax.random.PRNGKey(run.seed), (n_draws,)))
    diagnostics = of_starts(run.density, optima, covariance, known)
    return _reweighted(run, "laplace", z, np.asarray(q.log_prob(z)), [optima[0].z], diagnostics)


def search_svi(run, options):
    """A Gaussian or a flow fitted to the posterior, re-weighted to it."""
    options, climbing = split(options)
    n_draws = options.pop("n_draws", 1000)
    optima, covariance, known = climb_and_measure(run, **climbing)
    q = _variational(run, optima[0].z, covariance, **options)
    z, log_q = q.draw(jax.random.PRNGKey(run.seed + 1), n_draws)
    diagnostics = of_starts(run.density, optima, covariance, known)
    return _reweighted(run, "svi", z, log_q, [optima[0].z], diagnostics)


def _variational(run, center, covariance, **options):
    kept = {"checkpoint": run.file("svi.npz"), "resume": run.resume, "progress": run.progress}
    return svi.approximate(run.density, center, covariance, run.seed, **options, **kept)


def _reweighted(run, name, z, log_q, candidates, diagnostics):
    density = run.density
    run.employ(len(z), n_cores())
    kept = {"checkpoint": run.file(f"{name}.weights.npz"), "resume": run.resume, "progress": run.progress}
    weighted = reweight(density, z, log_q, **kept)
    diagnostics |= {
        "elbo": weighted.elbo,
        "impossible_share": weighted.impossible_share,
        "pareto_k": weighted.pareto_k,
        "n_effective": weighted.n_effective,
        "reweighted": weighted.is_reliable,
        "log_evidence_error": weighted.log_evidence_error,
    }
    chosen = np.flatnonzero(weighted.log_posterior > IMPOSSIBLE)
    if weighted.is_reliable:
        chosen = weighted.resample(run.rng(2), max(100, int(weighted.n_effective)))
    highest = z[np.argmax(weighted.log_posterior)]
    return {
        "vectors": vectors(density, z[chosen]),
        "log_likelihood": weighted.log_posterior[chosen] + 0.5 * np.sum(z[chosen] ** 2, axis=1),
        "log_evidence_minus_null": weighted.log_evidence if weighted.is_reliable else None,
        "diagnostics": diagnostics,
        **best(density, [*candidates, highest]),
    }


def search_nuts(run, options):
    """NUTS from the optimum, in the coordinates of its Gaussian."""
    options, climbing = split(options)
    optima, covariance, known = climb_and_measure(run, **climbing)
    center, diagnostics = optima[0].z, of_starts(run.density, optima, covariance, known)
    return sampled(run, center, straight(center, covariance), options, diagnostics)


def search_nautilus(run, options):
    """Nested sampling of the whole prior."""
    density = run.density
    checked = density.values(allowed_draws(density.model, run.rng(3), 40))
    if not np.any(checked > IMPOSSIBLE):
        raise InputError("none of 40 draws from the prior has a finite evidence: check the priors against the data")
    run.employ(10_000, n_cores())
    kept = {"checkpoint": run.checkpoint, "resume": run.resume, "progress": run.progress}
    samples = nested.sample(density, run.seed, **kept, **options)
    weight = np.exp(samples.log_weight - logsumexp(samples.log_weight))
    chosen = systematic(weight, np.random.default_rng(run.seed), max(100, int(samples.n_effective)))
    highest = samples.vectors[np.argmax(samples.log_likelihood)]
    diagnostics = {"n_effective": samples.n_effective, "n_likelihoods": samples.n_likelihoods}
    top = climb(density, np.asarray(density.model.parameters.to_normal(jnp.asarray(highest))), 50).x
    return {
        "vectors": samples.vectors[chosen],
        "log_likelihood": samples.log_likelihood[chosen],
        "diagnostics": diagnostics,
        "log_evidence_minus_null": samples.log_evidence,
        **best(density, [top]),
    }


def search_auto(run, options):
    """Optimise, fit a Gaussian, sample with NUTS until it converges; nautilus where there are several modes."""
    options, climbing = split(options)
    nested_options = {key: options.pop(key) for key in ("n_live", "n_effective") if key in options}
    density = run.density
    sizes = {"n_warmup": 60, "n_draws": 200, "max_draws": 2000, "target_ess": ESS}
    sizes |= {key: options.pop(key) for key in _CHAINS if key in options}
    run.employ_for_chains(sizes)
    optima, covariance, known = climb_and_measure(run, **climbing)
    diagnostics = of_starts(density, optima, covariance, known)
    share = share_of_other_modes(density, optima, covariance)
    if share > _SHARE:
        reason = f"other modes hold {100 * share:.0f} % of the posterior by their Laplace evidence"
        return _fallen_back(run, nested_options, diagnostics, reason)
    q = _variational(run, optima[0].z, covariance, **{"n_steps": 60} | options)
    diagnostics |= {"elbo": q.elbo}
    bend, known = bent_by(run, q)
    fields = sampled(run, np.asarray(optima[0].z), bend, sizes, diagnostics, known)
    if fields["diagnostics"]["r_hat_max"] > _UNMIXED:
        reason = (
            f"R-hat {fields['diagnostics']['r_hat_max']:.2f} after {fields['diagnostics']['n_draws']} draws a chain"
        )
        return _fallen_back(run, nested_options, fields["diagnostics"], reason)
    return fields | {"method": "nuts"}


def _fallen_back(run, options, diagnostics, reason):
    fields = search_nautilus(run, options)
    kept = {"basins", "starts", "roughness"}
    fields["diagnostics"] |= {key: value for key, value in diagnostics.items() if key in kept}
    fields["diagnostics"]["turned_to_nautilus"] = reason
    return fields | {"method": "nautilus"}


def share_of_other_modes(density, optima, covariance):
    """Share of the posterior in modes other than the best, each by its Gaussian: exp(ln p) sqrt(det covariance)."""
    groups = basins(optima, covariance)
    logs = [groups[0]["log_posterior"] + 0.5 * np.linalg.slogdet(covariance)[1]]
    for group in groups[1:]:
        if group["log_posterior"] > groups[0]["log_posterior"] - 20.0:
            own = laplace_covariance(density, group["z"])
            logs.append(group["log_posterior"] + 0.5 * np.linalg.slogdet(own)[1])
    return float(1.0 - np.exp(logs[0] - logsumexp(logs)))


_CHAINS = ("n_chains", "n_warmup", "n_draws", "target_accept", "target_ess", "max_draws")
SEARCHES = {
    "auto": (search_auto, (*CLIMBING, "n_steps", "n_particles", *_CHAINS, "n_live", "n_effective")),
    "optimize": (search_optimum, CLIMBING),
    "laplace": (search_laplace, (*CLIMBING, "n_draws")),
    "svi": (search_svi, (*CLIMBING, "guide", "n_steps", "n_particles", "n_draws")),
    "nuts": (search_nuts, (*CLIMBING, *_CHAINS)),
    "nautilus": (search_nautilus, ("n_live", "n_effective")),
}
"""Name -> (function of a Run and options, names of its options)."""
