"""Cartesian shapelets (Refregier 2003): orthonormal Gauss-Hermite functions, int B_i B_j d^2 x = delta_ij.

    B(x, y) = phi_n(x / beta) phi_m(y / beta) / beta,    phi_n(t) = H_n(t) exp(-t^2 / 2) / sqrt(2^n n! sqrt(pi))

in the order (n, m) = (0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2), ... up to n + m = n_max. That is lenstronomy's
order; its basis functions are beta B (its amplitudes are a brightness), so that its amplitudes are ours over beta.
"""

import math

import jax.numpy as jnp


def orders(n_max):
    """The pairs (n, m), a list of (n_max + 1) (n_max + 2) / 2."""
    return [(total - m, m) for total in range(n_max + 1) for m in range(total + 1)]


def basis(dx, dy, beta, n_max):
    """Basis functions at offsets from the centre [arcsec], shape (..., E) [1/arcsec]."""
    along_x, along_y = hermite_functions(dx / beta, n_max), hermite_functions(dy / beta, n_max)
    return jnp.stack([along_x[n] * along_y[m] for n, m in orders(n_max)], axis=-1) / beta


def integrals(n_max):
    """int B d^2 x / beta of each, a list: the product of int phi_n = sqrt(2 sqrt(pi) n!) / (2^(n/2) (n/2)!), n even."""

    def along(n):
        if n % 2:
            return 0.0
        return math.sqrt(2.0 * math.sqrt(math.pi) * math.factorial(n)) / (2.0 ** (n / 2) * math.factorial(n // 2))

    return [along(n) * along(m) for n, m in orders(n_max)]


def hermite_functions(t, n_max):
    """[phi_0(t), ..., phi_n_max(t)] by the recurrence phi_(n+1) = sqrt(2/(n+1)) t phi_n - sqrt(n/(n+1)) phi_(n-1)."""
    found = [jnp.pi**-0.25 * jnp.exp(-0.5 * t**2)]
    previous = jnp.zeros_like(found[0])
    for n in range(n_max):
        found, previous = [*found, (2.0 / (n + 1)) ** 0.5 * t * found[-1] - (n / (n + 1)) ** 0.5 * previous], found[-1]
    return found
