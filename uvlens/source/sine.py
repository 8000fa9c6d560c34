"""Priors on uniform lattices that are diagonal in sine waves (DST-I): those whose edges are zero.

    Phi_(ij)(pq) = phi_ip phi_jq,   phi_ip = sqrt(2 / (n + 1)) sin(pi i p / (n + 1)),   i, p = 1..n

are orthonormal, vanish on the ghost nodes i = 0 and n + 1, and have the wavenumbers k = pi p / ((n + 1) h). A field
of independent amplitudes of variance v_pq has R = Phi diag(v) Phi^T, G = R^-1 and ln det G = -sum ln v.

For a covariance C with power spectrum P, v is the spectrum of its samples on the lattice: P / h^2, the power beyond
the Nyquist wavenumber folded back. In the interior R is then C; within a scale l of the edge it is C minus its mirror
images beyond the ghost nodes, so that the variance falls to zero there: the same zero edges as everywhere else.
The gradient and curvature priors are the cases v = 1 / (a_p + a_q) and 1 / (a_p^2 + a_q^2), a = 2 - 2 cos(k h).
"""

import math

import jax.numpy as jnp
import numpy as np

from .prior import Prior, total_log

_FOLDS = 1
"""Nyquist zones on each side of the first that are folded back one by one."""


def variances(shape, ratio, power, beyond):
    """v, shape (rows, columns), of a covariance of variance 1.

    Args:
        shape: (rows, columns).
        ratio: l / h.
        power: P / l^2 as a function of (k l)^2.
        beyond: fraction of the variance above k as a function of (k l)^2; that outside the zones which are folded back
            one by one (taken as a disc of their area) is folded back evenly.
    """
    squares = []
    for n in shape:
        wave = np.pi * np.arange(1, n + 1) / (n + 1)
        zones = 2.0 * np.pi * np.arange(-_FOLDS, _FOLDS + 1)
        squares.append((wave[:, None] + zones) ** 2)
    y, x = squares
    total = jnp.sum(power(ratio**2 * (y[:, None, :, None] + x[None, :, None, :])), axis=(2, 3))
    reach = 4.0 * math.pi * (2 * _FOLDS + 1) ** 2
    return ratio**2 * total + beyond(ratio**2 * reach)


def prior(shape, variances):
    """The Prior of independent amplitudes, dense: n^2 S + n S^2 operations."""
    rows, columns = shape
    y, x = (pairs(n) for n in shape)
    partial = y @ (1.0 / variances)
    matrix = (partial @ x.T).reshape(rows, rows, columns, columns)
    matrix = matrix.transpose(0, 2, 1, 3).reshape(rows * columns, rows * columns)
    return Prior(matrix, -total_log(variances))


def waves(n):
    """phi, shape (n, n)."""
    index = np.arange(1, n + 1)
    return np.sqrt(2.0 / (n + 1)) * np.sin(np.pi * np.outer(index, index) / (n + 1))


def pairs(n):
    """phi_ip phi_jp, shape (n^2, n)."""
    phi = waves(n)
    return (phi[:, None, :] * phi[None, :, :]).reshape(n * n, n)
