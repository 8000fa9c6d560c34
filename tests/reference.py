"""Brute force of every formula, in plain NumPy: slow, short, and written from the definitions alone."""

import itertools

import numpy as np

ARCSEC = np.pi / 180.0 / 3600.0


def fourier_matrix(u, v, x, y):
    """A_ki = exp(+2 pi i (u_k x_i + v_k y_i)), x and y in arcsec."""
    return np.exp(2j * np.pi * (np.outer(u, x) + np.outer(v, y)) * ARCSEC)


def normal_matrix(u, v, weight, x, y):
    """W = Re(A^H C^-1 A)."""
    a = fourier_matrix(u, v, x, y)
    return ((a.conj().T * weight) @ a).real


def dirty_image(u, v, weight, vis, x, y):
    """d~ = Re(A^H C^-1 d)."""
    return (fourier_matrix(u, v, x, y).conj().T @ (weight * vis)).real


def dense_evidence(u, v, weight, vis, x, y, lensing_operator, regularization):
    """ln N(d; 0, C + A L H^-1 L^T A^H) of the real and imaginary parts: s integrated out exactly."""
    a = fourier_matrix(u, v, x, y) @ lensing_operator
    response = np.concatenate([a.real, a.imag])
    data = np.concatenate([vis.real, vis.imag])
    noise = np.concatenate([1.0 / weight, 1.0 / weight])
    covariance = np.diag(noise) + response @ np.linalg.solve(regularization, response.T)
    sign, log_det = np.linalg.slogdet(2.0 * np.pi * covariance)
    assert sign > 0
    return -0.5 * (data @ np.linalg.solve(covariance, data) + log_det)


def chi_squared(u, v, weight, vis, x, y, image):
    """sum w |V - A I|^2."""
    return float(np.sum(weight * np.abs(vis - fourier_matrix(u, v, x, y) @ image) ** 2))


def positive_minimum(matrix, vector):
    """argmin 1/2 s^T A s - D^T s, s >= 0, by trying every set of free indices (S <= 12)."""
    n = len(vector)
    best, best_value = np.zeros(n), 0.0
    for size in range(1, n + 1):
        for free in itertools.combinations(range(n), size):
            s = np.zeros(n)
            s[list(free)] = np.linalg.solve(matrix[np.ix_(free, free)], vector[list(free)])
            value = 0.5 * s @ matrix @ s - vector @ s
            if np.all(s >= 0.0) and value < best_value:
                best, best_value = s, value
    return best


def hat(t):
    """Linear B-spline."""
    return np.maximum(0.0, 1.0 - np.abs(t))


def cubic_spline(t):
    """Cubic B-spline."""
    t = np.abs(t)
    return np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, (2 - t) ** 3 / 6, 0.0))


def mesh_brightness(basis, shape, x0, y0, spacing, coefficients, x, y):
    """s(x, y) = sum_ij s_ij B((x - x0)/h - j) B((y - y0)/h - i), by the double loop."""
    total = np.zeros(np.shape(x))
    for i in range(shape[0]):
        for j in range(shape[1]):
            total += coefficients[i * shape[1] + j] * basis((x - x0) / spacing - j) * basis((y - y0) / spacing - i)
    return total


def difference_prior(shape, order):
    """G by summing squares of differences, ghost nodes of value 0 beyond every edge."""
    rows, columns = shape
    n = rows * columns

    def node(i, j):
        vector = np.zeros(n)
        if 0 <= i < rows and 0 <= j < columns:
            vector[i * columns + j] = 1.0
        return vector

    g = np.zeros((n, n))
    if order == 1:
        for i in range(rows):
            for j in range(-1, columns):
                g += np.outer(d := node(i, j + 1) - node(i, j), d)
        for j in range(columns):
            for i in range(-1, rows):
                g += np.outer(d := node(i + 1, j) - node(i, j), d)
    elif order == 2:
        for i in range(rows):
            for j in range(columns):
                g += np.outer(d := node(i, j + 1) - 2 * node(i, j) + node(i, j - 1), d)
                g += np.outer(d := node(i + 1, j) - 2 * node(i, j) + node(i - 1, j), d)
    else:
        g = np.eye(n)
    return g


def lattice_prior(y, x, order, area):
    """G on uneven axes, ghost nodes at both ends, by summing squares of difference quotients over dual cells."""

    def along(nodes):
        n = len(nodes) - 2
        unit = np.vstack([np.zeros(n), np.eye(n), np.zeros(n)])
        step = np.diff(nodes)
        slopes = np.diff(unit, axis=0) / step[:, None]
        cells = 0.5 * (step[1:] + step[:-1])
        second = np.diff(slopes, axis=0) / cells[:, None]
        return [
            np.diag(cells),
            sum(h * np.outer(d, d) for h, d in zip(step, slopes)),
            sum(h * np.outer(d, d) for h, d in zip(cells, second)),
        ]

    in_y, in_x = along(y), along(x)
    if order == 0:
        return np.kron(in_y[0], in_x[0]) / area
    return area ** (order - 1) * (np.kron(in_y[order], in_x[0]) + np.kron(in_y[0], in_x[order]))


def central_difference(function, point, step):
    """Gradient by fourth-order central differences, one coordinate at a time; `step` scalar or per coordinate."""
    point = np.asarray(point, dtype=float)
    steps = np.broadcast_to(step, point.shape)
    gradient = np.zeros_like(point)
    for i, h in enumerate(steps):
        e = np.zeros_like(point)
        e[i] = h
        near, far = (
            function(point + e) - function(point - e),
            function(point + 2 * e) - function(point - 2 * e),
        )
        gradient[i] = (8 * near - far) / (12 * h)
    return gradient


def psf_matrix(psf, rows, columns, data_rows, data_columns):
    """B_ij = psf[i - j + half] by the double loop: pixel j of the model spreads the PSF, its middle on j."""
    blur = np.zeros((len(data_rows), len(rows)))
    half_y, half_x = psf.shape[0] // 2, psf.shape[1] // 2
    for i in range(len(data_rows)):
        for j in range(len(rows)):
            p, q = data_rows[i] - rows[j] + half_y, data_columns[i] - columns[j] + half_x
            if 0 <= p < psf.shape[0] and 0 <= q < psf.shape[1]:
                blur[i, j] = psf[p, q]
    return blur


def gaussian_evidence(data, variance, response, regularization):
    """ln N(d; 0, N + R H^-1 R^T): s of d = R s + noise integrated out exactly."""
    covariance = np.diag(variance) + response @ np.linalg.solve(regularization, response.T)
    sign, log_det = np.linalg.slogdet(2.0 * np.pi * covariance)
    assert sign > 0
    return -0.5 * (data @ np.linalg.solve(covariance, data) + log_det)
