"""A known image m in front of what is solved for: light whose fluxes are parameters rather than amplitudes.

    d -> d - A m:     d~' = d~ - W m,     chi^2(0)' = chi^2(0) - 2 m.d~ + m.W m

and everything else as before. Without any column of L, ln E - ln E_null is ln L = m.d~ - m.W m / 2: a parametric fit,
at the cost of one product with W however many visibilities there are.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from .evidence import System
from .positive import Solution


class FixedImage(eqx.Module):
    """What a known image changes.

    Attributes:
        image: m, shape (N,) [flux per pixel].
        dirty_image: d~ - W m, shape (N,).
        chi_squared_minus_null: m.W m - 2 m.d~.
    """

    image: Float[Array, " N"]
    dirty_image: Float[Array, " N"]
    chi_squared_minus_null: Float[Array, ""]


def take_out(operator, image, pixels=None, profiles=()):
    """The FixedImage of an image, shape (N,), under a normal operator of one dirty image; differentiable.

    Light profiles whose transforms have a closed form need no pixels under an operator that knows its visibilities:
    `pixels` is the image without theirs, V = A pixels + sum of flux V_e, and A m above becomes V.
    """
    if profiles:
        predicted = operator.predict(pixels)
        for profile in profiles:
            predicted = [
                vis + profile.flux * profile.visibilities(term.u, term.v)[:, 0]
                for vis, term in zip(predicted, operator.terms)
            ]
        chi_squared = sum(
            jnp.sum(term.weight * (jnp.abs(vis) ** 2 - 2.0 * (jnp.conj(term.vis) * vis).real))
            for vis, term in zip(predicted, operator.terms)
        )
        return FixedImage(image, operator.dirty_image - operator.dirty(predicted), chi_squared)
    response = operator.apply(image[:, None])[:, 0]
    data = operator.dirty_image
    return FixedImage(image, data - response, image @ (response - 2.0 * data))


def nothing_to_solve():
    """The System without unknowns."""
    none, square, zero = jnp.zeros(0), jnp.zeros((0, 0)), jnp.zeros(())
    solution = Solution(none, zero, jnp.zeros((), int), jnp.array(True))
    return System(square, none, square, square, solution, zero)
