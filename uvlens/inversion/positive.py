"""The source that minimises 1/2 s^T A s - D^T s subject to s >= 0, as a function that JAX can call.

Two implementations of the same steps (see `pivoting`): on a CPU, LAPACK on the passive set alone (its size changes
from step to step); elsewhere, fixed shapes with the active rows and columns replaced by those of the identity.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ..threads import one_blas_thread
from .passive import DenseSystem
from .pivoting import (
    DESCENT_STEPS,
    GRADIENT_TOLERANCE,
    PATIENCE,
    SINGLE_MOVES,
    SUFFICIENT,
    positive_minimum,
    stubborn_minimum,
)


class Solution(NamedTuple):
    """A source and the proof that it solves the problem.

    Attributes:
        source: s, shape (S,), exactly >= 0 where positivity was asked for.
        kkt_residual: the larger of max |A s - D| where s is free and max(D - A s) where s is held at 0, over max |D|.
        n_factorizations: Cholesky decompositions used.
        converged: whether every sign is right.
    """

    source: Float[Array, " S"]
    kkt_residual: Float[Array, ""]
    n_factorizations: Int[Array, ""]
    converged: Bool[Array, ""]


class _State(NamedTuple):
    passive: Bool[Array, " S"]
    source: Float[Array, " S"]
    wrong: Bool[Array, " S"]
    fewest_wrong: Int[Array, ""]
    lowest: Float[Array, ""]
    patience: Int[Array, ""]
    steps: Int[Array, ""]


def solve_unconstrained(matrix, vector, allowed):
    """Solution of A s = D on the allowed indices (boolean, shape (S,)), 0 elsewhere."""
    source = _solve_on(matrix, vector, allowed)
    return Solution(source, _kkt(matrix, vector, source, allowed, positive=False), jnp.array(1), jnp.array(True))


def solve_positive(matrix, vector, allowed, max_steps=200, start=None, constrained=None):
    """Solution with s >= 0 on the allowed indices, 0 elsewhere.

    Args:
        matrix: A, symmetric positive definite, shape (S, S).
        vector: D, shape (S,).
        allowed: boolean, shape (S,); False fixes s to 0.
        max_steps: of pivoting; after that many, or where it runs in circles, come projected Newton steps, on a CPU
            also Lawson & Hanson's algorithm (else converged = False).
        start: boolean, shape (S,), passive set to begin with (of a similar problem); None begins with the signs of
            the unconstrained minimum. The solution does not depend on it.
        constrained: boolean, shape (S,), where s >= 0 is asked for; None: everywhere.
    """
    start = jnp.ones_like(allowed) if start is None else start
    constrained = jnp.ones_like(allowed) if constrained is None else jnp.asarray(constrained)
    scale = jnp.diagonal(matrix) ** -0.5
    source, passive, steps, converged = jax.lax.platform_dependent(
        matrix * scale[:, None] * scale,
        vector * scale,
        allowed,
        start,
        constrained,
        cpu=lambda *arguments: _pivot_on_host(*arguments[:4], max_steps, arguments[4]),
        default=lambda *arguments: _pivot_on_device(*arguments[:4], max_steps, arguments[4]),
    )
    source = source * scale
    residual = _kkt(matrix, vector, source, passive, positive=True, allowed=allowed)
    return Solution(source, residual, steps, converged)


def _pivot_on_device(matrix, vector, allowed, start, max_steps, constrained=True):
    """(source, passive, steps, converged) for a matrix of unit diagonal, in fixed shapes."""
    tolerance = GRADIENT_TOLERANCE * jnp.max(jnp.abs(vector))
    n = len(vector)
    constrained = jnp.broadcast_to(constrained, allowed.shape)

    def attempt(passive, steps, fewest, lowest, patience):
        source = _solve_on(matrix, vector, passive)
        gradient = matrix @ source - vector
        wrong = jnp.where(passive, constrained & (source < 0.0), allowed & (gradient < -tolerance))
        return _State(passive, source, wrong, fewest, lowest, patience, steps + 1)

    def step(state):
        count = jnp.sum(state.wrong)
        feasible = ~jnp.any(state.wrong & state.passive)
        objective = jnp.where(feasible, -0.5 * vector @ state.source, jnp.inf)
        progress = (count < state.fewest_wrong) | (objective < state.lowest)
        patience = jnp.where(progress, PATIENCE, state.patience - 1)
        largest = n - 1 - jnp.argmax(state.wrong[::-1])
        move = jnp.where(patience >= 0, state.wrong, jnp.arange(n) == largest)
        fewest, lowest = jnp.minimum(count, state.fewest_wrong), jnp.minimum(objective, state.lowest)
        return attempt(state.passive ^ move, state.steps, fewest, lowest, patience)

    def unfinished(state):
        return jnp.any(state.wrong) & (state.steps < max_steps) & (state.patience >= -SINGLE_MOVES)

    first = attempt(
        allowed & (start | ~constrained), jnp.array(0), jnp.array(n + 1), jnp.array(jnp.inf), jnp.array(PATIENCE)
    )
    final = jax.lax.while_loop(unfinished, step, first)
    final = _descend_on_device(matrix, vector, allowed, constrained, tolerance, final)
    converged = ~jnp.any(final.wrong) & jnp.all(jnp.isfinite(final.source))
    source = jnp.where(constrained, jnp.maximum(final.source, 0.0), final.source)
    return source, final.passive, final.steps, converged


class _Descent(NamedTuple):
    source: Float[Array, " S"]
    gradient: Float[Array, " S"]
    value: Float[Array, ""]
    last: Any
    steps: Int[Array, ""]


def _descend_on_device(matrix, vector, allowed, constrained, tolerance, pivoted):
    """`pivoting.projected_newton` in fixed shapes, from s = 0; no step where pivoting found the source."""

    def newton(state):
        passive = allowed & (~constrained | (state.source > 0.0) | (state.gradient < -tolerance))
        target = _solve_on(matrix, vector, passive)
        at_target = matrix @ target - vector
        wrong = jnp.where(passive, constrained & (target < 0.0), allowed & (at_target < -tolerance))
        last = pivoted._replace(passive=passive, source=target, wrong=wrong, steps=state.last.steps + 1)

        def trial(fraction):
            source = state.source + fraction * (target - state.source)
            source = jnp.where(constrained, jnp.maximum(source, 0.0), source)
            gradient = matrix @ source - vector
            return fraction, source, gradient, 0.5 * source @ (gradient - vector)

        def too_long(at):
            fraction, source, _, value = at
            enough = value <= state.value + SUFFICIENT * state.gradient @ (source - state.source)
            return ~enough & (fraction > 1e-15)

        _, source, gradient, value = jax.lax.while_loop(too_long, lambda at: trial(0.5 * at[0]), trial(jnp.array(1.0)))
        return _Descent(source, gradient, value, last, state.steps + 1)

    def unfinished(state):
        return jnp.any(state.last.wrong) & (state.steps < DESCENT_STEPS)

    first = _Descent(jnp.zeros_like(vector), -vector, jnp.zeros(()), pivoted, jnp.array(0))
    return jax.lax.while_loop(unfinished, newton, first).last


def _pivot_on_host(matrix, vector, allowed, start, max_steps, constrained):
    """The same through a callback into LAPACK."""
    shapes = (
        jax.ShapeDtypeStruct(vector.shape, vector.dtype),
        jax.ShapeDtypeStruct(allowed.shape, allowed.dtype),
        jax.ShapeDtypeStruct((), jnp.asarray(0).dtype),
        jax.ShapeDtypeStruct((), bool),
    )

    def call(*arguments):
        matrix, vector, allowed, start, constrained = (np.asarray(argument) for argument in arguments)
        with one_blas_thread():
            system = DenseSystem(matrix, vector)
            found = positive_minimum(
                system, allowed, None if start.all() else start, max_steps, constrained=constrained
            )
            if not found.converged:
                found = stubborn_minimum(system, allowed, constrained)
        return (
            found.source,
            found.passive,
            np.asarray(found.n_factorizations, shapes[2].dtype),
            np.bool_(found.converged),
        )

    return jax.pure_callback(call, shapes, matrix, vector, allowed, start, constrained, vmap_method="sequential")


def _solve_on(matrix, vector, chosen):
    """s with A s = D on the chosen indices and 0 elsewhere, refined once."""
    both = chosen[:, None] & chosen
    masked = jnp.where(both, matrix, jnp.eye(len(vector), dtype=matrix.dtype))
    cholesky = jnp.linalg.cholesky(masked, symmetrize_input=False)
    right = jnp.where(chosen, vector, 0.0)
    source = jax.scipy.linalg.cho_solve((cholesky, True), right)
    return source + jax.scipy.linalg.cho_solve((cholesky, True), right - masked @ source)


def _kkt(matrix, vector, source, passive, *, positive, allowed=None):
    gradient = matrix @ source - vector
    residual = jnp.max(jnp.where(passive, jnp.abs(gradient), 0.0))
    if positive:
        residual = jnp.maximum(residual, jnp.max(jnp.where(allowed & ~passive, -gradient, 0.0)))
    largest = jnp.max(jnp.abs(vector))
    return residual / jnp.where(largest > 0.0, largest, 1.0)
