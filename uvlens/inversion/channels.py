"""The sources of channels that share one curvature matrix, each in its own units (see `normal.shared`)."""

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import InputError
from ..normal.build import operator_from_reduction
from ..source.mapper import Mapper
from .evidence import System, solve_channels
from .invert import Inversion


def invert_channels(
    shared, normal, mapper, regularization_matrix, log_det_regularization, allowed=None, positive=False
):
    """Inversions of all channels from one F and one decomposition: s_c = shat_c / sqrt(a_c).

    F_c = a_c Fbar, H_c = a_c Hbar, D_c = L^T d~_c, ln det H_c = ln det Hbar + S ln a_c: what a channel's own inversion
    has with W_c replaced by a_c Wbar. The sum of `log_evidence_minus_null` is the evidence of the shared operator.

    Args:
        shared: SharedChannels.
        normal: operator of `shared.reduction`.
        mapper: Mapper of shape (N, P) onto S source pixels.
        regularization_matrix: Hbar, of the mean channel, shape (S, S).
        log_det_regularization: ln det Hbar.
        allowed: boolean, shape (S,), False where the source is fixed to 0; None: nowhere.
        positive: whether s >= 0.

    Returns:
        List of C Inversions; `normal` of each is the FFT operator of that channel's own reduction.

    Raises:
        InputError: an operator of other channels, or a positive solve that did not converge.
    """
    n = len(shared.channels)
    if normal.dirty_image.shape != shared.reduction.dirty_image.shape:
        raise InputError(f"the operator has dirty images of shape {normal.dirty_image.shape}, there are {n} channels")
    allowed = jnp.ones(mapper.n_source, bool) if allowed is None else jnp.asarray(allowed)
    systems = _systems(
        normal,
        Mapper(jnp.asarray(mapper.indices), jnp.asarray(mapper.weights, dtype=float), mapper.n_source),
        jnp.asarray(regularization_matrix),
        jnp.asarray(log_det_regularization),
        jnp.asarray(shared.scale),
        allowed,
        positive,
    )
    for c, system in enumerate(systems):
        if not bool(system.solution.converged):
            raise InputError(f"the positive source of channel {c} was not found; a larger regularization_matrix helps")
    operators = [operator_from_reduction(channel, "fft") for channel in shared.channels]
    return [Inversion(system, mapper, operator) for system, operator in zip(systems, operators)]


@eqx.filter_jit
def _systems(normal, mapper, regularization, log_det_regularization, scale, allowed, positive):
    shared = solve_channels(
        normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
        jax.vmap(mapper.transposed_product)(normal.dirty_image),
        regularization,
        log_det_regularization,
        allowed,
        positive,
    )
    return [_in_own_units(system, a) for system, a in zip(shared, scale)]


def _in_own_units(system, a):
    root = jnp.sqrt(a)
    return System(
        curvature_matrix=a * system.curvature_matrix,
        data_vector=root * system.data_vector,
        regularization_matrix=a * system.regularization_matrix,
        cholesky=root * system.cholesky,
        solution=system.solution._replace(source=system.solution.source / root),
        log_det_regularization=system.log_det_regularization + len(system.data_vector) * jnp.log(a),
    )
