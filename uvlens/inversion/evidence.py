"""The evidence of a pixelised source and its exact gradient.

    F = L^T W L,   D = L^T d~,   A = F + H,   s = argmin 1/2 s^T A s - D^T s   (optionally s >= 0)
    ln E - ln E_null = -1/2 [s^T F s - 2 s^T D + s^T H s + ln det A - ln det H]

(Suyu et al. 2006). For positive sources it is the same formula at the constrained mode: the field's convention, not
a marginal likelihood. The source enters only through the minimum of a convex function, so by the envelope theorem
the gradient needs no derivative of the solver, free and positive alike:

    D_bar = s,   F_bar = H_bar = -1/2 (s s^T + A^-1),   L_bar_is = 2 (W L F_bar)_is + d~_i s_s

with ln det H, known in closed form, differentiated on its own. Where an operator holds C dirty images (channels that
share W, see `normal.shared`), the value is the sum over them with one F, one decomposition, one inverse and one
product with W:

    ln E - ln E_null = -1/2 [sum_c (s_c^T A s_c - 2 s_c^T D_c) + C (ln det A - ln det H)]
    F_bar = H_bar = -1/2 (sum_c s_c s_c^T + C A^-1),   L_bar_is = 2 (W L F_bar)_is + sum_c d~_ci s_cs

Amplitudes that are optimised and have no prior (see `docs/linear.md`) stand last in s and leave the determinants:
ln det A is that of the leading n_determined rows and columns, and the A^-1 of the derivatives the inverse of that
block with zeros around it. On a CPU value and derivatives come from `host`, elsewhere from plain JAX; both are tested
against each other.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..normal.operator import AbstractNormalOperator
from ..source.mapper import Mapper, dense_lensing_operator
from ..threads import one_blas_thread
from .banded import bands_cotangent, matrix_from_bands
from .positive import Solution, solve_positive, solve_unconstrained

_APART = 1e-11


class System(NamedTuple):
    """The linear system and its solution, S source pixels.

    Attributes:
        curvature_matrix: F, shape (S, S).
        data_vector: D, shape (S,).
        regularization_matrix: H, shape (S, S).
        cholesky: lower factor of A = F + H.
        solution: the source with its certificate.
        log_det_regularization: ln det H.
        n_determined: leading rows and columns that enter ln det A; None: all S.
    """

    curvature_matrix: Float[Array, "S S"]
    data_vector: Float[Array, " S"]
    regularization_matrix: Float[Array, "S S"]
    cholesky: Float[Array, "S S"]
    solution: Solution
    log_det_regularization: Float[Array, ""]
    n_determined: Any = None

    @property
    def chi_squared_minus_null(self):
        """s^T F s - 2 s^T D."""
        s = self.solution.source
        return s @ (self.curvature_matrix @ s) - 2.0 * s @ self.data_vector

    @property
    def regularization_term(self):
        """s^T H s."""
        s = self.solution.source
        return s @ (self.regularization_matrix @ s)

    @property
    def log_det_curvature_reg(self):
        """ln det A, of the leading block where the amplitudes behind it are optimised."""
        logs = jnp.log(jnp.diagonal(self.cholesky))
        if self.n_determined is not None:
            logs = jnp.where(jnp.arange(len(logs)) < self.n_determined, logs, 0.0)
        return 2.0 * jnp.sum(logs)

    @property
    def log_evidence_minus_null(self):
        """ln E - ln E_null."""
        return -0.5 * (
            self.chi_squared_minus_null
            + self.regularization_term
            + self.log_det_curvature_reg
            - self.log_det_regularization
        )

    def inverse(self):
        """A^-1, shape (S, S)."""
        return _inverse(self.cholesky)


def solve_system(
    curvature_matrix,
    data_vector,
    regularization_matrix,
    log_det_regularization,
    allowed,
    positive,
    start=None,
    n_determined=None,
    constrained=None,
):
    """Decompose A and solve for the source; `allowed` (boolean, shape (S,)) is False where s is fixed to 0.

    The other arguments as for `log_evidence_minus_null`.
    """
    matrix = curvature_matrix + regularization_matrix
    cholesky = jnp.linalg.cholesky(_apart(matrix, n_determined), symmetrize_input=False)
    if positive:
        solution = solve_positive(matrix, data_vector, allowed, start=start, constrained=constrained)
    else:
        solution = solve_unconstrained(matrix, data_vector, allowed)
    return System(
        curvature_matrix,
        data_vector,
        regularization_matrix,
        cholesky,
        solution,
        log_det_regularization,
        n_determined,
    )


def _apart(matrix, n_determined):
    """The matrix with optimised amplitudes that depend on one another held apart by 1e-11 of their diagonal.

    Only errors of these amplitudes are read from what this changes: they are in no determinant.
    """
    if n_determined is None:
        return matrix
    diagonal = jnp.diagonal(matrix)
    return matrix + jnp.diag(jnp.where(jnp.arange(len(diagonal)) < n_determined, 0.0, _APART * diagonal))


def solve_channels(
    curvature_matrix,
    data_vectors,
    regularization_matrix,
    log_det_regularization,
    allowed,
    positive,
    start=None,
    n_determined=None,
    constrained=None,
):
    """The System of C data vectors, shape (C, S), on one A that is decomposed once; axes as in `CHANNELS`.

    Arguments as for `solve_system`; `jax.vmap(..., in_axes=(CHANNELS,))` takes the channels one by one.
    """
    matrix = curvature_matrix + regularization_matrix
    cholesky = jnp.linalg.cholesky(_apart(matrix, n_determined), symmetrize_input=False)

    def solve(vector):
        if positive:
            return solve_positive(matrix, vector, allowed, start=start, constrained=constrained)
        return solve_unconstrained(matrix, vector, allowed)

    solutions = jax.vmap(solve)(data_vectors)
    return System(
        curvature_matrix,
        data_vectors,
        regularization_matrix,
        cholesky,
        solutions,
        log_det_regularization,
        n_determined,
    )


CHANNELS = System(None, 0, None, None, 0, None)
"""What has a leading axis of channels in the System of several."""


def assemble(
    operator,
    indices,
    weights,
    regularization,
    log_det_regularization,
    allowed,
    n_source,
    positive,
    n_determined=None,
    constrained=None,
    dirty_image=None,
):
    """System of a mapper: the chain from the mapper's entries to the solved system."""
    lensing = Mapper(indices, weights, n_source)
    dirty_image = operator.dirty_image if dirty_image is None else dirty_image
    return solve_system(
        operator.curvature_matrix(indices, weights, n_source),
        lensing.transposed_product(dirty_image),
        regularization,
        log_det_regularization,
        allowed,
        positive,
        n_determined=n_determined,
        constrained=constrained,
    )


@partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def log_evidence_minus_null(
    operator: AbstractNormalOperator,
    indices,
    weights,
    bands,
    allowed,
    start,
    positive: bool,
    n_determined: int | None = None,
    constrained=None,
    dirty_image=None,
):
    """ln E - ln E_null - C/2 ln det H as a function that JAX can differentiate, C = 1 but for channels that share W.

    (ln det H is known in closed form, or differentiated on its own: whoever calls adds C/2 of it, C =
    `operator.n_channels`. Everything else is summed over channels here.)

    Args:
        operator: the normal operator (N pixels), its dirty image of shape (N,) or (C, N); constant under
            differentiation.
        indices, weights: the mapper's entries, shape (N, P).
        bands: lower bands of H, shape (b + 1, S), or H itself, shape (S, S) (see `banded`).
        allowed: boolean, shape (S,), False where the source is fixed to 0.
        start: boolean, shape (S,), passive set the positive solver begins with; all True begins with the signs of
            the unconstrained source. On a CPU a channel begins with the set of the one before it. The value does not
            depend on it.
        positive: whether s >= 0.
        n_determined: number of leading rows and columns that enter ln det A; None: all S.
        constrained: boolean, shape (S,): where `positive` asks for s >= 0; None: everywhere.
        dirty_image: d~ in the place of the operator's, shape (N,), differentiated: that of data from which something
            is taken that is no column of L. Its derivative is L s.

    Returns:
        The value; NaN where the positive solver did not converge (for one channel at least). Entries of weight 0 are
        padding: their derivative is 0.
    """
    options = {"positive": positive, "gradient": False, "n_determined": n_determined}
    return _evaluate(operator, indices, weights, bands, allowed, start, constrained, dirty_image, **options)[0]


def _forward(operator, indices, weights, bands, allowed, start, positive, n_determined, constrained, dirty_image):
    options = {"positive": positive, "gradient": True, "n_determined": n_determined}
    value, *derivatives = _evaluate(
        operator, indices, weights, bands, allowed, start, constrained, dirty_image, **options
    )
    return value, derivatives


def _backward(positive, n_determined, derivatives, cotangent):
    weights_bar, bands_bar, *image = derivatives
    image_bar = cotangent * image[0] if image else None
    return None, None, cotangent * weights_bar, cotangent * bands_bar, None, None, None, image_bar


log_evidence_minus_null.defvjp(_forward, _backward)


def _evaluate(operator, indices, weights, bands, allowed, start, constrained, dirty_image, **options):
    """(value,), or (value, weights_bar, bands_bar) and L s where a dirty image is given.

    On the host where there is compiled code for it.
    """

    def device(*arrays):
        return _on_device(*arrays[:-2], constrained=arrays[-2], dirty_image=arrays[-1], **options)

    arguments = (operator, indices, weights, bands, allowed, start, constrained, dirty_image)
    if operator.products is None:
        return device(*arguments)
    host = partial(_on_host, **options)
    return jax.lax.platform_dependent(*arguments, cpu=host, default=device)


def _on_host(
    operator, indices, weights, bands, allowed, start, constrained, dirty_image, positive, gradient, n_determined
):
    from .host import evidence

    products, own = operator.products, np.asarray(operator.reduction.dirty_image)

    def call(*arrays):
        *arrays, chosen, given = (None if a is None else np.asarray(a) for a in arrays)
        options = {"n_determined": n_determined, "constrained": chosen}
        with one_blas_thread():
            result = evidence(products, own if given is None else given, *arrays, positive, gradient, **options)
        value = np.asarray(result.value)
        if not gradient:
            return (value,)
        derivatives = result.weights_bar, result.bands_bar
        if given is None:
            return value, *derivatives
        return value, *derivatives, np.sum(arrays[1] * result.solution.source[arrays[0]], axis=1)

    shapes = (jax.ShapeDtypeStruct((), weights.dtype),)
    if gradient:
        like = (weights, bands) if dirty_image is None else (weights, bands, dirty_image)
        shapes += tuple(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in like)
    arguments = (indices, weights, bands, allowed, start, constrained, dirty_image)
    return jax.pure_callback(call, shapes, *arguments, vmap_method="sequential")


def _on_device(
    operator,
    indices,
    weights,
    bands,
    allowed,
    start,
    positive,
    gradient,
    n_determined=None,
    constrained=None,
    dirty_image=None,
):
    if operator.dirty_image.ndim > 1:
        return _channels_on_device(
            operator, indices, weights, bands, allowed, start, constrained, positive, gradient, n_determined
        )
    n_source = bands.shape[1]
    data = operator.dirty_image if dirty_image is None else dirty_image
    lensing_operator = dense_lensing_operator(indices, weights, n_source)
    transformed = operator.transform(lensing_operator)
    system = solve_system(
        operator.curvature(lensing_operator, transformed),
        lensing_operator.T @ data,
        matrix_from_bands(bands),
        jnp.zeros(()),
        allowed,
        positive,
        start,
        n_determined,
        constrained,
    )
    # a source that was not found has no evidence: searches count such points and never accept them
    value = jnp.where(system.solution.converged, system.log_evidence_minus_null, jnp.nan)
    if not gradient:
        return (value,)
    s = system.solution.source
    matrix_bar = -0.5 * (jnp.outer(s, s) + _leading_inverse(system.cholesky, n_determined))
    product = 2.0 * operator.pullback(transformed, matrix_bar)
    rows = jnp.arange(indices.shape[0])[:, None]
    weights_bar = product[rows, indices] + data[:, None] * s[indices]
    weights_bar = jnp.where(weights == 0.0, 0.0, weights_bar)
    derivatives = weights_bar, bands_cotangent(matrix_bar, bands.shape[0])
    return (value, *derivatives) if dirty_image is None else (value, *derivatives, lensing_operator @ s)


def _channels_on_device(
    operator, indices, weights, bands, allowed, start, constrained, positive, gradient, n_determined
):
    """The same for a dirty image of shape (C, N)."""
    lensing_operator = dense_lensing_operator(indices, weights, bands.shape[1])
    transformed = operator.transform(lensing_operator)
    dirty_images = operator.dirty_image
    systems = solve_channels(
        operator.curvature(lensing_operator, transformed),
        dirty_images @ lensing_operator,
        matrix_from_bands(bands),
        jnp.zeros(()),
        allowed,
        positive,
        start,
        n_determined,
        constrained,
    )
    value = jnp.sum(jax.vmap(lambda one: one.log_evidence_minus_null, in_axes=(CHANNELS,))(systems))
    value = jnp.where(jnp.all(systems.solution.converged), value, jnp.nan)
    if not gradient:
        return (value,)
    s = systems.solution.source
    matrix_bar = -0.5 * (s.T @ s + len(s) * _leading_inverse(systems.cholesky, n_determined))
    product = 2.0 * operator.pullback(transformed, matrix_bar) + dirty_images.T @ s
    weights_bar = product[jnp.arange(indices.shape[0])[:, None], indices]
    weights_bar = jnp.where(weights == 0.0, 0.0, weights_bar)
    return value, weights_bar, bands_cotangent(matrix_bar, bands.shape[0])


def _inverse(cholesky):
    return jax.scipy.linalg.cho_solve((cholesky, True), jnp.eye(len(cholesky)))


def _leading_inverse(cholesky, n_determined):
    """Inverse of the leading block of A, zero beyond it."""
    if n_determined is None or n_determined == len(cholesky):
        return _inverse(cholesky)
    beyond = len(cholesky) - n_determined
    return jnp.pad(_inverse(cholesky[:n_determined, :n_determined]), ((0, beyond), (0, beyond)))
