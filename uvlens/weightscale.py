"""A factor f on the weights of a sky as a parameter: noise that is not what the weights say.

    ln E(f) - ln E_null(1) = [ln E - ln E_null of f F, f D] - 1/2 (f - 1) chi^2(0) + n/2 ln f

with n real numbers of data. f F and f D come of rows of L and data times sqrt(f), through the evidence and gradient
that are there. Where calibration nuisances are marginalised f multiplies C'^-1: the widths of their priors scale with
the noise.
"""

import jax.numpy as jnp

from .errors import InputError


def check_weight_scale(stated, parameters, names):
    """Refuse scales of skies that are not there, and priors that reach below 0.

    Args:
        stated: {"weight_scale": a number or prior, or {name of a sky: one}}.
        parameters: Parameters of the model.
        names: of the skies.
    """
    scale = stated["weight_scale"]
    for name in scale if isinstance(scale, dict) else ():
        if name not in names:
            raise InputError(f"nuisances.weight_scale: no sky {name!r}; there are {', '.join(map(repr, names))}")
    values = parameters.values(parameters.median())
    for path, prior in [(path, None) for path in parameters.all_paths] + list(zip(parameters.paths, parameters.priors)):
        if path.startswith("nuisances.weight_scale"):
            value = float(values[path])
            if not value > 0.0 or (prior is not None and _lower_end(prior) < 0.0):
                raise InputError(
                    f"{path}: a factor of weights is positive, {prior or value} is not everywhere; take lognormal, "
                    "loguniform or truncnormal"
                )


def _lower_end(prior):
    """Where the support of a prior begins; 0 where other parameters decide: the evidence is NaN below."""
    return 0.0 if prior.parents else float(prior.family.bounds(*prior.arguments)[0])


def scales_of(filled, skies):
    """f of each Sky, or None where there are none."""
    if "nuisances" not in filled:
        return None
    scale = filled["nuisances"]["weight_scale"]
    values = [scale.get(sky.name, 1.0) if isinstance(scale, dict) else scale for sky in skies]
    return jnp.stack([jnp.asarray(value, dtype=float) for value in values])


def null_shift(scales, skies):
    """(change of chi^2(0), change of the normalisation) of the data of some skies."""
    null = jnp.asarray([float(sky.reduction.null_chi_squared) for sky in skies])
    count = jnp.asarray([float(sky.reduction.n_real_data) for sky in skies])
    return jnp.sum((scales - 1.0) * null), -jnp.sum(count * jnp.log(scales))
