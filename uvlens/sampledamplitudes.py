"""`amplitudes: sampled`: fluxes that a model states as linear become parameters with the priors that went with them.

    amplitude of                                        prior of the sampled flux
    marginalised, sigma given                           normal(0, sigma); halfnormal(sigma) where it must be positive
    marginalised flat, or optimised, positive           loguniform(1e-3 A, 1e3 A)
    the same, of either sign                            normal(0, 10 A)

A = max |d~| / sum_k w_k, the peak of the dirty image (of an image: of its matched filter): a scale of the data, so the
last two are no statements of knowledge; evidences depend on them. The amplitude of a Background is per arcsec^2, so its
A is divided by the solid angle that is resolved. Expansions of many columns (MGE, Shapelets) are solved for only.
"""

import equinox as eqx
import jax
import numpy as np

from .domain import Component
from .errors import InputError
from .light import Background, Linear
from .light.amplitudes import must_be_positive
from .paths import path_name
from .priors import LogUniform, Normal, prior_by_name

WAYS = ("solved", "sampled")


def scale_of(skies):
    """A of the data: the largest peak among the dirty images of some skies, in the unit of flux."""
    return max(float(np.max(np.abs(sky.reduction.dirty_image)) / sky.reduction.sum_weight) for sky in skies)


def with_sampled_amplitudes(tree, skies):
    """(the tree, priors in the place of linear fluxes, paths of fluxes that may be negative).

    Args:
        tree: {"lens": ..., "source": ...}.
        skies: [Sky], for the scale of priors that none is stated for.

    Raises:
        InputError: an expansion of many columns, by its path; light that belongs to one sky.
    """
    if any(sky.light for sky in skies):
        raise InputError("amplitudes: sampled: the light of a sky (its background) is solved for only")
    leaves, structure = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda one: isinstance(one, Component))
    changed, signed = [], []
    for key, leaf in leaves:
        flux = getattr(leaf, "flux", None)
        if isinstance(leaf, Component) and isinstance(flux, Linear):
            path = f"{path_name(key)}.flux"
            if leaf.several:
                raise InputError(
                    f"{path}: {type(leaf).__name__} has {leaf.n_columns} amplitudes, which are solved for only; "
                    f"say amplitudes: solved, or take single profiles"
                )
            prior, either_sign = _prior(leaf, skies)
            leaf = eqx.tree_at(lambda one: one.flux, leaf, prior, is_leaf=lambda one: isinstance(one, Linear))
            if either_sign:
                signed.append(path)
        changed.append(leaf)
    return jax.tree_util.tree_unflatten(structure, changed), tuple(signed)


def _prior(component, skies):
    flux, positive = component.flux, must_be_positive(component)
    if flux.sigma is not None:
        prior = prior_by_name("halfnormal", flux.sigma) if positive else Normal(0.0, flux.sigma)
        return prior, not positive
    scale = scale_of(skies)
    if isinstance(component, Background):
        scale /= skies[0].reduction.resolution_area
    scale = float(f"{scale:.2g}")
    return (LogUniform(1e-3 * scale, 1e3 * scale) if positive else Normal(0.0, 10.0 * scale)), not positive
