"""ln det and inverse of positive definite matrices as functions that JAX can differentiate.

    d ln det A = tr(A^-1 dA)        d A^-1 = -A^-1 dA A^-1

Of a banded A the derivative needs A^-1 on the bands of A alone, which its factor gives in O(S b^2) (`selected`). On a
CPU all of it is LAPACK and one compiled loop on the host, elsewhere plain JAX; both are tested against each other.
Matrices that are not positive definite, or not finite, have NaN for a value: no evidence.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from ..threads import one_blas_thread


@jax.custom_vjp
def log_det_bands(bands):
    """ln det A from its lower bands, shape (b + 1, S)."""
    return _dispatched(_host_bands, _device_bands, bands, False)[0]


def _bands_forward(bands):
    return _dispatched(_host_bands, _device_bands, bands, True)


@jax.custom_vjp
def log_det_dense(matrix):
    """ln det A of a symmetric matrix, shape (S, S)."""
    return _dispatched(_host_dense, _device_dense, matrix, False)[0]


def _dense_forward(matrix):
    return _dispatched(_host_dense, _device_dense, matrix, True)


def _log_det_backward(inverse, cotangent):
    return (cotangent * inverse,)


log_det_bands.defvjp(_bands_forward, _log_det_backward)
log_det_dense.defvjp(_dense_forward, _log_det_backward)


@jax.custom_vjp
def inverse_and_log_det(matrix):
    """(A^-1, ln det A^-1) of a symmetric matrix, shape (S, S), from one decomposition."""
    value, inverse = _dispatched(_host_dense, _device_dense, matrix, True)
    return inverse, -value


def _inverse_forward(matrix):
    inverse, log_det = inverse_and_log_det(matrix)
    return (inverse, log_det), inverse


def _inverse_backward(inverse, cotangents):
    matrix_bar, log_det_bar = cotangents
    return (-inverse @ matrix_bar @ inverse - log_det_bar * inverse,)


inverse_and_log_det.defvjp(_inverse_forward, _inverse_backward)


def _dispatched(host, device, array, gradient):
    """(value,), or (value, d value / d array), by `host` on a CPU and by `device` elsewhere."""
    shapes = (jax.ShapeDtypeStruct((), array.dtype),)
    if gradient:
        shapes += (jax.ShapeDtypeStruct(array.shape, array.dtype),)

    def call(array):
        array = np.asarray(array)
        result = (np.nan, None)
        if np.isfinite(np.sum(array)):
            with one_blas_thread():
                result = host(array, gradient)
        value, bar = result
        if not gradient:
            return (np.asarray(value),)
        return np.asarray(value), np.full(array.shape, np.nan) if bar is None else bar

    def on_host(array):
        return jax.pure_callback(call, shapes, array, vmap_method="sequential")

    return jax.lax.platform_dependent(array, cpu=on_host, default=partial(device, gradient=gradient))


def _host_bands(bands, gradient):
    from scipy.linalg.lapack import dpbtrf

    factor, info = dpbtrf(bands, lower=1)
    if info:
        return np.nan, None
    value = 2.0 * np.sum(np.log(factor[0]))
    if not gradient:
        return value, None
    from .selected import inverse_on_bands

    inverse = inverse_on_bands(np.ascontiguousarray(factor.T))
    inverse[1:] *= 2.0
    return value, inverse


def _host_dense(matrix, gradient):
    from scipy.linalg.lapack import dpotrf

    factor, info = dpotrf(matrix.T, lower=0, clean=1)
    if info:
        return np.nan, None
    value = 2.0 * np.sum(np.log(np.diagonal(factor)))
    if not gradient:
        return value, None
    from ..inversion.inverse import inverse_of
    from .selected import symmetric

    return value, symmetric(inverse_of(factor).T)


def _device_bands(bands, gradient):
    from ..inversion.banded import bands_cotangent, matrix_from_bands

    value, *bar = _device_dense(matrix_from_bands(bands), gradient)
    return (value, *(bands_cotangent(one, bands.shape[0]) for one in bar))


def _device_dense(matrix, gradient):
    factor = jnp.linalg.cholesky(matrix, symmetrize_input=False)
    value = 2.0 * jnp.sum(jnp.log(jnp.diagonal(factor)))
    if not gradient:
        return (value,)
    return value, jax.scipy.linalg.cho_solve((factor, True), jnp.eye(len(matrix)))
