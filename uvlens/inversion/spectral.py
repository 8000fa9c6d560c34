"""The evidence of a source with a free spectral index, and its exact gradient (see `uvlens.normal.spectral`).

    d ln E / d alpha = -1/2 sum (s s^T + A^-1) o dF/d alpha + s^T dD/d alpha,
    dF/d alpha = L^T (dW/d alpha) L,   dD/d alpha = L^T (d d~/d alpha)

by the same theorem that gives the other derivatives (see `evidence`).
"""

from functools import partial

import jax
import numpy as np

from ..threads import one_blas_thread


@partial(jax.custom_vjp, nondiff_argnums=(0, 7, 8))
def spectral_evidence_minus_null(
    products_at, index, indices, weights, bands, allowed, start, positive, n_determined=None, constrained=None
):
    """ln E - ln E_null - 1/2 ln det H at a spectral index, for a CPU.

    Args:
        products_at: (index, derivative) -> (HostProducts, dirty image) of W and d~, or of their derivatives.
        index: alpha.
        indices, weights, bands, allowed, start, positive, n_determined, constrained: as for
            `log_evidence_minus_null`.

    Returns:
        The value; NaN where the positive source was not found.
    """
    arguments = (index, indices, weights, bands, allowed, start, constrained)
    return _call(products_at, arguments, positive, n_determined, gradient=False)[0]


def _forward(products_at, index, indices, weights, bands, allowed, start, positive, n_determined, constrained):
    arguments = (index, indices, weights, bands, allowed, start, constrained)
    value, *derivatives = _call(products_at, arguments, positive, n_determined, gradient=True)
    return value, derivatives


def _backward(products_at, positive, n_determined, derivatives, cotangent):
    index_bar, weights_bar, bands_bar = derivatives
    return cotangent * index_bar, None, cotangent * weights_bar, cotangent * bands_bar, None, None, None


spectral_evidence_minus_null.defvjp(_forward, _backward)


def _call(products_at, arguments, positive, n_determined, gradient):
    from .host import evidence

    def call(alpha, *arrays):
        *arrays, chosen = (None if a is None else np.asarray(a) for a in arrays)
        alpha = float(alpha)
        if not np.isfinite(alpha):
            alpha, arrays[1] = 0.0, np.full_like(arrays[1], np.nan)
        products, dirty = products_at(alpha, False)
        tangent = products_at(alpha, True) if gradient else None
        options = {"tangent": tangent, "n_determined": n_determined, "constrained": chosen}
        with one_blas_thread():
            result = evidence(products, dirty, *arrays, positive, gradient, **options)
        value = np.asarray(result.value)
        if not gradient:
            return (value,)
        return value, np.asarray(result.tangent_bar), result.weights_bar, result.bands_bar

    index, _, weights, bands, *_ = arguments
    shapes = (jax.ShapeDtypeStruct((), weights.dtype),)
    if gradient:
        shapes += tuple(jax.ShapeDtypeStruct(np.shape(a), weights.dtype) for a in (index, weights, bands))
    return jax.pure_callback(call, shapes, *arguments, vmap_method="sequential")
