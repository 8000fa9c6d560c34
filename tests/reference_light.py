"""Brute force for light: integrals over pixels by splitting geometrically about known places, and Fourier sums."""

import numpy as np


def pixel_integrals(brightness, mask, centers, order=8, levels=12, reach=4.0):
    """Integrals of a brightness over the pixels of a mask, steep at `centers` and nowhere else.

    Squares within `reach` sides of a centre are split in 3 x 3, down to pixel / 3^levels; Gauss-Legendre in each.

    Args:
        brightness: function of (x, y), shapes (M,), with NumPy values (M,).
        centers: shape (C, 2) [arcsec].
    """
    points, weights = np.polynomial.legendre.leggauss(order)
    along_x, along_y = (a.ravel() / 2.0 for a in np.meshgrid(points, points))
    weight = np.outer(weights, weights).ravel() / 4.0
    scale, centers = mask.grid.pixel_scale, np.asarray(centers, dtype=float)
    x, y, pixel = mask.x, mask.y, np.arange(mask.n_pixels)
    side, total = scale, np.zeros(mask.n_pixels)
    for level in range(levels + 1):
        distance = np.maximum(abs(x[:, None] - centers[:, 0]), abs(y[:, None] - centers[:, 1])).min(axis=1)
        near = (distance < reach * side) & (level < levels)
        nodes = (x[~near, None] + side * along_x).ravel(), (y[~near, None] + side * along_y).ravel()
        values = brightness(*nodes).reshape(-1, len(weight)) @ weight * side**2
        np.add.at(total, pixel[~near], values)
        thirds = np.array([-1.0, 0.0, 1.0]) * side / 3.0
        step_x, step_y = (a.ravel() for a in np.meshgrid(thirds, thirds))
        x, y = (x[near, None] + step_x).ravel(), (y[near, None] + step_y).ravel()
        pixel, side = np.repeat(pixel[near], 9), side / 3.0
    return total


def padded(function, size=1 << 17):
    """A compiled function of (x, y) as one of NumPy arrays of any length, compiled once."""

    def call(x, y):
        parts = []
        for first in range(0, len(x), size):
            one, two = (np.pad(a[first : first + size], (0, max(0, first + size - len(a)))) for a in (x, y))
            parts.append(np.asarray(function(one, two))[: len(x) - first])
        return np.concatenate(parts) if parts else np.zeros(0)

    return call


def images_of(ray_trace, source, half=3.0, n=1200):
    """Image positions of a source, shape (C, 2): minima of |beta - source| on a grid, then Newton's method."""
    axis = np.linspace(-half, half, n)
    x, y = np.meshgrid(axis, axis)
    beta = [np.asarray(b) for b in ray_trace(x, y)]
    distance = np.hypot(beta[0] - source[0], beta[1] - source[1])
    inner = distance[1:-1, 1:-1]
    shifts = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    lowest = np.all([inner <= distance[1 + i : n - 1 + i, 1 + j : n - 1 + j] for i, j in shifts], axis=0)
    found = []
    for row, column in np.argwhere(lowest) + 1:
        p, h = np.array([axis[column], axis[row]]), 1e-6
        for _ in range(30):
            value = np.array([float(b) for b in ray_trace(*p)]) - source
            jacobian = np.array(
                [(np.array(ray_trace(*(p + h * e))) - np.array(ray_trace(*(p - h * e)))) / (2 * h) for e in np.eye(2)]
            ).T
            step = np.linalg.solve(jacobian, value)
            p = p - step
            if np.hypot(*step) > 0.3:
                break
        if np.hypot(*value) < 1e-9 and not any(np.hypot(*(p - q)) < 1e-4 for q in found):
            found.append(p)
    return np.array(found)


def visibility(component, u, v, radii, q, phi, center, n_angles=512, n_radii=48):
    """V = int I exp(+2 pi i (u x + v y)) of the first column of a profile, in polar coordinates of its ellipse.

    Args:
        radii: ends of panels in the elliptical radius [arcsec], each integrated by Gauss-Legendre.
        q, phi: its axis ratio and the angle of its major axis from East [rad].
        center: (x, y) [arcsec].
    """
    points, weights = np.polynomial.legendre.leggauss(n_radii)
    low, high = np.asarray(radii[:-1])[:, None], np.asarray(radii[1:])[:, None]
    radius = (0.5 * (low + high) + 0.5 * (high - low) * points).ravel()
    weight = (0.5 * (high - low) * weights).ravel() * radius * 2.0 * np.pi / n_angles
    angle = 2.0 * np.pi * np.arange(n_angles) / n_angles
    along, across = np.outer(radius, np.cos(angle)) / np.sqrt(q), np.outer(radius, np.sin(angle)) * np.sqrt(q)
    z = (along + 1j * across) * np.exp(1j * phi) + center[0] + 1j * center[1]
    brightness = np.asarray(component.columns(z.real, z.imag))[..., 0]
    arcsec = np.pi / 180.0 / 3600.0
    phases = [np.exp(2j * np.pi * arcsec * (a * z.real + b * z.imag)) for a, b in zip(u, v)]
    return np.array([np.sum(weight[:, None] * brightness * phase) for phase in phases])
