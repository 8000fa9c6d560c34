"""Amplitudes that are solved for: what `flux="linear"` means, and the prior that goes with it.

A component of E unit-flux images c_e adds the columns c_e to the lensing operator and its amplitudes a_e [the unit of
flux] to the source vector, [pixels, marginalised amplitudes, optimised amplitudes]. For each of them

    marginalised, sigma given   a ~ N(0, sigma^2): H_ee = 1 / sigma^2, ln det H gains -2 ln sigma
    marginalised, no sigma      a flat: H_ee = 0, nothing in ln det H, ln E gains 1/2 ln 2 pi
    optimised                   H_ee = 0, no part of either determinant: ln E at the best amplitude

(see docs/linear.md for which of these can be compared with which).
"""

import math
from typing import NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from ..errors import InputError

AMPLITUDES = ("optimised", "marginalised")


class Linear(eqx.Module):
    """A flux that is an amplitude of the linear system; it has no parameters.

    Args:
        amplitude: "optimised" (default) or "marginalised".
        sigma: of a marginalised amplitude's Gaussian prior about 0 [unit of flux; of a Background per arcsec^2];
            None: flat.
        positive: whether the amplitude must be >= 0. None: where it is optimised and no background's; a marginalised
            amplitude is exact only where it may have either sign.

    Raises:
        InputError: another word, a sigma that is not positive or belongs to an optimised amplitude.
    """

    amplitude: str = eqx.field(static=True, default="optimised")
    sigma: float | None = eqx.field(static=True, default=None)
    positive: bool | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if self.amplitude not in AMPLITUDES:
            raise InputError(f"amplitude must be {' or '.join(AMPLITUDES)}, got {self.amplitude!r}")
        if self.sigma is None:
            return
        if self.amplitude == "optimised":
            raise InputError("amplitude_sigma belongs to a marginalised amplitude: say amplitude: marginalised")
        if not (math.isfinite(self.sigma) and self.sigma > 0.0):
            raise InputError(f"amplitude_sigma must be a positive number, got {self.sigma}")


def as_flux(value):
    """A flux as it is stated: a number, a prior, a Linear, or "linear" for Linear()."""
    if not isinstance(value, str):
        return value
    if value != "linear":
        raise InputError(f'flux must be a number, a prior or "linear", got {value!r}')
    return Linear()


class AmplitudePrior(NamedTuple):
    """The prior of E amplitudes in the order of the system, which is not that of the components.

    Attributes:
        order: shape (E,); column e of the system is column order[e] of `light_columns` (marginalised first).
        diagonal: H_ee, shape (E,).
        log_det: sum of ln H_ee over those that have a Gaussian prior.
        n_optimised: how many of the last columns leave both determinants: n_determined = S + E - n_optimised.
        constant: what ln E gains, n/2 ln 2 pi for n flat ones.
        constrained: boolean, shape (E,), where the amplitude must be >= 0.
    """

    order: np.ndarray
    diagonal: Float[np.ndarray, " E"]
    log_det: float
    n_optimised: int
    constant: float
    constrained: Bool[np.ndarray, " E"]


def amplitude_prior(components):
    """AmplitudePrior of the columns of light components, all of them of linear flux.

    Raises:
        InputError: a component whose flux is no amplitude.
    """
    fluxes = [flux for component in components for flux in [_linear(component)] * component.n_columns]
    signs = [sign for component in components for sign in [must_be_positive(component)] * component.n_columns]
    optimised = np.array([flux.amplitude == "optimised" for flux in fluxes], bool)
    order = np.argsort(optimised, kind="stable")
    precision = np.array([0.0 if flux.sigma is None else flux.sigma**-2.0 for flux in fluxes])
    gaussian = precision > 0.0
    n_flat = int(np.count_nonzero(~optimised & ~gaussian))
    return AmplitudePrior(
        order,
        precision[order],
        float(np.sum(np.log(precision[gaussian]))),
        int(np.count_nonzero(optimised)),
        0.5 * n_flat * math.log(2.0 * math.pi),
        np.array(signs, bool)[order],
    )


def column_names(components, path):
    """Name of each column, E in all: `path`.0 of a component of one column, `path`.1[3] of one that has several."""
    names = []
    for i, component in enumerate(components):
        name, n = f"{path}.{i}", component.n_columns
        names += [name] if n == 1 and not component.several else [f"{name}[{k}]" for k in range(n)]
    return names


def _linear(component):
    if not isinstance(component.flux, Linear):
        raise InputError(f'{type(component).__name__}: an amplitude needs flux="linear"')
    return component.flux


def must_be_positive(component):
    """Whether the amplitudes of a component must be >= 0."""
    flux = _linear(component)
    if flux.positive is not None:
        return flux.positive
    return flux.amplitude == "optimised" and not component.either_sign
