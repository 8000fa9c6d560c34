"""Power series in a variable in which the functions of elliptical lenses converge quickly.

Those functions of w, |w| = |e| < 1 (see `ellipse`), are analytic but for a cut along w <= -1. The map

    u = (sqrt(1 + w) - 1) / (sqrt(1 + w) + 1),     w = 4 u / (1 - u)^2

takes the plane without its cut to the unit disc: where a series in w has ratio |e|, the same function as a series in
u has ratio |u| <= (1 - sqrt(1 - |e|)) / (1 + sqrt(1 - |e|)):

    q      0.5    0.24   0.1    0.05   0.02
    |e|    0.33   0.61   0.82   0.905  0.961
    |u|    0.10   0.23   0.40   0.53   0.67
"""

import jax
import jax.numpy as jnp


def series_variable(w):
    """(u, du/dw) of complex w, Re w > -1, without cancellation at small w.

    u = w / (1 + s)^2 and du/dw = 1 / (s (1 + s)^2) with s = sqrt(1 + w); in real arithmetic, since a complex root and
    quotient cost as much as forty terms of the series.
    """
    a, b = 1.0 + w.real, w.imag
    modulus = jnp.sqrt(a * a + b * b)
    root = jnp.sqrt(0.5 * (modulus + a))  # s = root + i d
    c, d = 1.0 + root, 0.5 * b / root
    squared = (c * c + d * d) ** 2
    p, q = (c * c - d * d) / squared, -2.0 * c * d / squared  # 1 / (1 + s)^2
    u = jax.lax.complex(w.real * p - w.imag * q, w.real * q + w.imag * p)
    return u, jax.lax.complex((p * root + q * d) / modulus, (q * root - p * d) / modulus)


def real_polynomial(coefficients, u):
    """sum_n c_n u^n for real coefficients, shape (N, ...), and complex u of a shape that ... broadcasts to.

    Clenshaw's rule for the quadratic factor (v - u)(v - conj(u)): two real products a term, not four. A loop, which
    XLA cannot merge into every reduction of a gradient and so repeat there, of eight terms a pass over u.
    """
    twice, squared = 2.0 * u.real, u.real**2 + u.imag**2

    def step(carry, coefficient):
        last, previous = carry
        return (coefficient + twice * last - squared * previous, last), None

    zero = jnp.zeros_like(twice)
    (last, previous), _ = jax.lax.scan(step, (zero, zero), coefficients[:0:-1], unroll=8)
    # p(u) = c_0 + b_1 u - b_2 |u|^2
    return jax.lax.complex(coefficients[0] + u.real * last - squared * previous, u.imag * last)


def derivative(coefficients):
    """Coefficients of the derivative of a polynomial, shape (N - 1, ...)."""
    n = jnp.arange(1, coefficients.shape[0]).reshape(-1, *[1] * (coefficients.ndim - 1))
    return n * coefficients[1:]
