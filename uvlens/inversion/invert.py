"""One inversion at array level, with everything a user wants to see of it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..normal.operator import AbstractNormalOperator
from ..source.mapper import Mapper
from .evidence import System, assemble
from .fixed import FixedImage, nothing_to_solve


class Inversion(eqx.Module):
    """The reconstructed source and its evidence.

    Attributes:
        system: F, D, H, the decomposition of A and the solution.
        mapper: L.
        normal: the normal operator.
        fixed: FixedImage of light that is no column of L, or None.
        null_shift: what scaled weights add to chi^2(0) and to the normalisation (see `uvlens.weightscale`).
    """

    system: System
    mapper: Mapper
    normal: AbstractNormalOperator
    fixed: FixedImage | None = None
    null_shift: tuple[float, float] = (0.0, 0.0)

    @property
    def source(self):
        """s, shape (S,)."""
        return self.system.solution.source

    @property
    def kkt(self):
        """Certificate of the source: residual over max |D|, Cholesky decompositions, converged."""
        solution = self.system.solution
        return {
            "residual": float(solution.kkt_residual),
            "n_factorizations": int(solution.n_factorizations),
            "converged": bool(solution.converged),
        }

    @property
    def curvature_matrix(self):
        """F = L^T W L, shape (S, S)."""
        return self.system.curvature_matrix

    @property
    def data_vector(self):
        """D = L^T d~, shape (S,)."""
        return self.system.data_vector

    @property
    def chi_squared_minus_null(self):
        """chi^2 less that of an empty sky."""
        fixed = 0.0 if self.fixed is None else self.fixed.chi_squared_minus_null
        return self.system.chi_squared_minus_null + fixed

    @property
    def log_evidence_minus_null(self):
        """ln E - ln E_null: what inference compares."""
        fixed = 0.0 if self.fixed is None else self.fixed.chi_squared_minus_null
        return self.system.log_evidence_minus_null - 0.5 * (fixed + sum(self.null_shift))

    @property
    def log_evidence(self):
        """ln E with every constant."""
        return float(self.log_evidence_minus_null) + self.normal.reduction.log_evidence_null

    @property
    def terms(self):
        """Every term of -2 ln E, by name."""
        null = self.normal.reduction
        return {
            "chi_squared": float(null.null_chi_squared) + self.null_shift[0] + float(self.chi_squared_minus_null),
            "regularization_term": float(self.system.regularization_term),
            "log_det_curvature_reg_matrix": float(self.system.log_det_curvature_reg),
            "log_det_regularization_matrix": float(self.system.log_det_regularization),
            "noise_normalization": float(null.noise_normalization) + self.null_shift[1],
        }

    @property
    def image(self):
        """L s + m: the model of the sky at the N mask pixels [Jy/pixel], before any primary beam."""
        image = self.mapper.apply(self.source)
        return image if self.fixed is None else image + self.fixed.image

    @property
    def source_error(self):
        """One-sigma error of each source pixel, sqrt diag A^-1, shape (S,)."""
        return jnp.sqrt(jnp.diagonal(self.system.inverse()))

    @property
    def effective_parameters(self):
        """gamma = tr(A^-1 F): the number of source parameters that the data measure."""
        return jnp.sum(self.system.inverse() * self.curvature_matrix)


@eqx.filter_jit
def run_inversion(
    normal,
    mapper,
    regularization_matrix,
    log_det_regularization,
    allowed,
    positive,
    n_determined=None,
    constrained=None,
    fixed=None,
):
    """Inversion of checked arrays (see `invert`); `fixed` is a FixedImage or None."""
    if mapper.n_source == 0:
        return Inversion(nothing_to_solve(), mapper, normal, fixed)
    system = assemble(
        normal,
        mapper.indices,
        mapper.weights,
        regularization_matrix,
        log_det_regularization,
        allowed,
        mapper.n_source,
        positive,
        n_determined,
        constrained,
        None if fixed is None else fixed.dirty_image,
    )
    return Inversion(system, mapper, normal, fixed)


def invert(normal, mapper, regularization_matrix, positive=False, fixed_zero=None, n_determined=None):
    """Reconstruct a source from a normal operator, a mapper and a regularisation matrix.

    Args:
        normal: the normal operator of N pixels.
        mapper: Mapper of shape (N, P) onto S source pixels; its weights are used as they are.
        regularization_matrix: H, symmetric, positive definite on its leading n_determined rows and columns,
            shape (S, S).
        positive: require s >= 0; a boolean array of shape (S,) says of which coefficients.
        fixed_zero: indices of source pixels left out of the solve (s = 0) but kept in both determinants.
        n_determined: leading coefficients that both determinants are of; None: all S. Those behind are optimised
            amplitudes (see `docs/linear.md`).

    Returns:
        Inversion.

    Raises:
        InputError: shapes that differ, H that is not positive definite, a positive solve that did not converge.
    """
    h = np.asarray(regularization_matrix, dtype=float)
    s = mapper.n_source
    n = s if n_determined is None else n_determined
    constrained = np.broadcast_to(np.asarray(positive, dtype=bool), (s,)) if np.ndim(positive) == 0 else positive
    constrained = np.asarray(constrained)
    if constrained.shape != (s,) or constrained.dtype != bool:
        raise InputError(f"positive must be true, false, or a boolean array of shape ({s},)")
    if not 0 < n <= s:
        raise InputError(f"n_determined must be a whole number from 1 to {s}, got {n_determined}")
    if h.shape != (s, s):
        raise InputError(f"regularization_matrix has shape {h.shape}, the mapper needs ({s}, {s})")
    if mapper.indices.shape[0] != normal.n_pixels:
        raise InputError(f"mapper has {mapper.indices.shape[0]} rows, the mask {normal.n_pixels} pixels")
    if not np.allclose(h, h.T, rtol=1e-10, atol=1e-10 * np.abs(h).max()):
        raise InputError("regularization_matrix is not symmetric")
    try:
        log_det = 2.0 * float(np.sum(np.log(np.diag(np.linalg.cholesky(h[:n, :n])))))
    except np.linalg.LinAlgError:
        raise InputError("regularization_matrix is not positive definite; its edges need a finite prior") from None
    allowed = np.ones(s, bool)
    if fixed_zero is not None:
        fixed_zero = np.asarray(fixed_zero, dtype=int)
        if fixed_zero.size and not (fixed_zero.min() >= 0 and fixed_zero.max() < s):
            raise InputError(f"fixed_zero must hold indices from 0 to {s - 1}")
        allowed[fixed_zero] = False
    mapper = Mapper(jnp.asarray(mapper.indices), jnp.asarray(mapper.weights, dtype=float), s)
    inversion = run_inversion(
        normal,
        mapper,
        jnp.asarray(h),
        jnp.asarray(log_det),
        jnp.asarray(allowed),
        bool(constrained.any()),
        None if n == s else n,
        jnp.asarray(constrained),
    )
    jax.block_until_ready(inversion.source)
    if not bool(inversion.system.solution.converged):
        raise InputError(
            f"the positive source was not found in {inversion.kkt['n_factorizations']} steps "
            f"(KKT residual {inversion.kkt['residual']:.1e}); a larger regularization_matrix helps"
        )
    return inversion
