"""The sources of channels that share one curvature matrix, each in its own units (see `normal.shared`)."""

import collections.abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp

from ..errors import InputError
from ..normal.shared import SharedChannels
from ..source.mapper import Mapper
from .evidence import System, solve_channels
from .invert import Inversion


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelInversions(collections.abc.Sequence):
    """C inversions on one curvature matrix; each is made when it is asked for, `inversions[c]`.

        s_c = shat_c / sqrt(a_c),   F_c = a_c Fbar,   H_c = a_c Hbar,   D_c = L^T d~_c,
        ln det H_c = ln det Hbar + S ln a_c      (S: rows and columns that enter the determinants)

    which is what a channel's own inversion has with W_c replaced by a_c Wbar. Its `normal` is the FFT operator of the
    channel's own reduction.

    Attributes:
        shared: the channels.
        mapper: L.
        system: Fbar, Hbar, Abar's decomposition; data vectors Dhat_c and solutions with a leading axis of channels.
    """

    shared: SharedChannels
    mapper: Mapper
    system: System

    def __len__(self):
        return len(self.shared.channels)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[c] for c in range(*index.indices(len(self)))]
        c = range(len(self))[index]
        a, whole = float(self.shared.scale[c]), self.system
        root = a**0.5
        n_determined = self.mapper.n_source if whole.n_determined is None else whole.n_determined
        solution = jax.tree.map(lambda leaf: leaf[c], whole.solution)
        system = System(
            curvature_matrix=a * whole.curvature_matrix,
            data_vector=root * whole.data_vector[c],
            regularization_matrix=a * whole.regularization_matrix,
            cholesky=root * whole.cholesky,
            solution=solution._replace(source=solution.source / root),
            log_det_regularization=whole.log_det_regularization + n_determined * jnp.log(a),
            n_determined=whole.n_determined,
        )
        return Inversion(system, self.mapper, self.shared.operators[c])

    @property
    def sources(self):
        """s_c of every channel, shape (C, S)."""
        return self.system.solution.source / jnp.sqrt(jnp.asarray(self.shared.scale))[:, None]


def invert_channels(
    shared,
    normal,
    mapper,
    regularization_matrix,
    log_det_regularization,
    allowed=None,
    positive=False,
    n_determined=None,
    constrained=None,
):
    """The inversions of all channels from one F and one decomposition.

    The sum of their `log_evidence_minus_null` is the evidence of the shared operator.

    Args:
        shared: SharedChannels.
        normal: operator of `shared.reduction`.
        mapper: Mapper of shape (N, P) onto S source pixels.
        regularization_matrix: Hbar, of the mean channel, shape (S, S).
        log_det_regularization: ln det Hbar.
        allowed: boolean, shape (S,), False where the source is fixed to 0; None: nowhere.
        positive: whether s >= 0.
        n_determined, constrained: as for `log_evidence_minus_null`.

    Returns:
        ChannelInversions, a sequence of C Inversions; whether a positive source was found says its `kkt`.

    Raises:
        InputError: an operator of other channels.
    """
    expected = shared.reduction.dirty_image.shape
    if normal.dirty_image.shape != expected:
        raise InputError(f"the operator has dirty images of shape {normal.dirty_image.shape}, the channels {expected}")
    mapper = Mapper(jnp.asarray(mapper.indices), jnp.asarray(mapper.weights, dtype=float), mapper.n_source)
    system = _solve(
        normal,
        mapper,
        jnp.asarray(regularization_matrix),
        jnp.asarray(log_det_regularization),
        jnp.ones(mapper.n_source, bool) if allowed is None else jnp.asarray(allowed),
        positive,
        n_determined,
        constrained,
    )
    return ChannelInversions(shared, mapper, system)


@eqx.filter_jit
def _solve(normal, mapper, regularization, log_det_regularization, allowed, positive, n_determined, constrained):
    return solve_channels(
        normal.curvature_matrix(mapper.indices, mapper.weights, mapper.n_source),
        jax.vmap(mapper.transposed_product)(normal.dirty_image),
        regularization,
        log_det_regularization,
        allowed,
        positive,
        n_determined=n_determined,
        constrained=constrained,
    )
