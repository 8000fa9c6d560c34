"""Non-uniform Fourier transforms between a pixel grid and baseline coordinates, in this package's sign.

    type 2:  V_k = sum_i I_i exp(+2 pi i (u_k x_i + v_k y_i))     image -> visibilities
    type 1:  I_i = sum_k c_k exp(-2 pi i (u_k x_i + v_k y_i))     its adjoint: coefficients -> image

x, y in radians. Type 1 is complex: with c_k = w_k V_k its real part is the dirty image. This is the only file
that knows the conventions of the transform libraries; both functions work in chunks of visibilities, so memory
stays flat. Backends:

    finufft   relative error about `eps` (through jax-finufft); the default
    dft       the definition itself, exact; 8 K (rows x columns) operations
    pynufft   min-max interpolation, relative error about 1e-5 whatever `eps` says
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from .conventions import ARCSEC
from .errors import InputError
from .grid import PixelGrid

BACKENDS = ("finufft", "dft", "pynufft")
CHUNK = 2**20


def type1(u, v, coefficients, grid, *, eps=1e-12, backend="finufft", chunk=CHUNK):
    """Adjoint transform, I_i = sum_k c_k exp(-2 pi i (u_k x_i + v_k y_i)).

    Args:
        u, v: wavelengths, shape (K,).
        coefficients: complex or real, shape (K,), or (m, K) for m images at once.
        grid: PixelGrid of the image.
        eps: requested relative accuracy (finufft).
        backend: "finufft", "dft" or "pynufft".
        chunk: visibilities per transform.

    Returns:
        Complex image of `grid.shape`, or m of them, shape (m, rows, columns).
    """
    transform = _backend(backend)[0]
    coefficients = np.asarray(coefficients)
    image = np.zeros((*coefficients.shape[:-1], *grid.shape), dtype=np.complex128)
    for part in chunks(len(u), chunk):
        image += transform(u[part], v[part], coefficients[..., part].astype(np.complex128, copy=False), grid, eps)
    return image


def type2(image, u, v, grid, *, eps=1e-12, backend="finufft", chunk=CHUNK):
    """Forward transform, V_k = sum_i I_i exp(+2 pi i (u_k x_i + v_k y_i)).

    Args:
        image: shape `grid.shape` [Jy/pixel].
        u, v: wavelengths, shape (K,).
        grid, eps, backend, chunk: as for `type1`.

    Returns:
        Complex visibilities, shape (K,) [Jy].
    """
    image = np.asarray(image)
    if image.shape != grid.shape:
        raise InputError(f"image has shape {image.shape}, its grid {grid.shape}")
    transform = _backend(backend)[1]
    vis = np.empty(len(u), dtype=np.complex128)
    for part in chunks(len(u), chunk):
        vis[part] = transform(image.astype(np.complex128), u[part], v[part], grid, eps)
    return vis


def chunks(length, size):
    """Slices of at most `size` that cover range(length)."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


def _backend(name):
    try:
        return {
            "finufft": (_finufft1, _finufft2),
            "dft": (_dft1, _dft2),
            "pynufft": (_pynufft1, _pynufft2),
        }[name]
    except KeyError:
        raise InputError(f"nufft backend must be one of {', '.join(BACKENDS)}, got {name!r}") from None


def _radians_per_pixel(u, v, grid):
    """Phase advance from one pixel to the next along (rows, columns), folded into [-pi, pi)."""
    step = grid.pixel_scale * ARCSEC
    return tuple(2.0 * np.pi * (f * step - np.round(f * step)) for f in (v, u))


def _origin_phase(u, v, grid):
    """exp(2 pi i u.x0), x0 the position of the pixel (rows // 2, columns // 2): the libraries' origin."""
    x0, y0 = ((c + (n // 2 - 0.5 * (n - 1)) * grid.pixel_scale) * ARCSEC for c, n in zip(grid.center, grid.shape[::-1]))
    return np.exp(2j * np.pi * (u * x0 + v * y0))


class Transform(NamedTuple):
    """Both transforms of one data set and one grid, as functions that JAX differentiates; `transform` makes it.

    Attributes:
        points: phase advance from pixel to pixel along (rows, columns), each of shape (K,).
        phase: of the origin, shape (K,).
        shape: (rows, columns).
        eps: requested relative accuracy.
    """

    points: tuple
    phase: Any
    shape: tuple[int, int]
    eps: float

    def forward(self, image):
        """V_k = sum_i I_i exp(+2 pi i (u_k x_i + v_k y_i)), shape (K,), of an image of `shape`."""
        from jax_finufft import nufft2

        return nufft2(image.astype(complex), *self.points, eps=self.eps, iflag=+1) * self.phase

    def adjoint(self, coefficients):
        """I_i = sum_k c_k exp(-2 pi i (u_k x_i + v_k y_i)), complex, of `shape`."""
        from jax_finufft import nufft1

        return nufft1(self.shape, coefficients * self.phase.conj(), *self.points, eps=self.eps, iflag=-1)


def transform(u, v, grid, eps=1e-12):
    """The Transform between baselines u, v (K,) [wavelengths] and a PixelGrid."""
    points = tuple(jnp.asarray(axis) for axis in _radians_per_pixel(u, v, grid))
    return Transform(points, jnp.asarray(_origin_phase(u, v, grid)), tuple(grid.shape), eps)


def _finufft1(u, v, c, grid, eps):
    from jax_finufft import nufft1

    c = c * np.conj(_origin_phase(u, v, grid))
    points = _radians_per_pixel(u, v, grid)
    padding = _compiled_length(len(u)) - len(u)
    if padding:
        c = np.pad(c, [(0, 0)] * (c.ndim - 1) + [(0, padding)])
        points = [np.pad(axis, (0, padding)) for axis in points]
    return np.asarray(nufft1(grid.shape, c, *points, eps=eps, iflag=-1))


def _compiled_length(length):
    """Length to fill up to with zeros: 16 an octave, so that JAX compiles for few of them."""
    step = 1 << max(0, length.bit_length() - 5)
    return -(-length // step) * step


def _finufft2(image, u, v, grid, eps):
    from jax_finufft import nufft2

    points = _radians_per_pixel(u, v, grid)
    padding = _compiled_length(len(u)) - len(u)
    if padding:
        points = [np.pad(axis, (0, padding)) for axis in points]
    vis = np.asarray(nufft2(image, *points, eps=eps, iflag=+1))
    return vis[: len(u)] * _origin_phase(u, v, grid)


def _dft_factors(u, v, grid, size=4096):
    for part in chunks(len(u), size):
        x_phase = np.exp(2j * np.pi * np.outer(u[part], grid.x_axis * ARCSEC))
        y_phase = np.exp(2j * np.pi * np.outer(v[part], grid.y_axis * ARCSEC))
        yield part, x_phase, y_phase


def _dft1(u, v, c, grid, eps):
    image = np.zeros((), dtype=np.complex128)
    for part, x_phase, y_phase in _dft_factors(u, v, grid):
        image = image + (c[..., part, None] * y_phase.conj()).swapaxes(-1, -2) @ x_phase.conj()
    return image


def _dft2(image, u, v, grid, eps):
    vis = np.empty(len(u), dtype=np.complex128)
    for part, x_phase, y_phase in _dft_factors(u, v, grid):
        vis[part] = np.einsum("kr,kr->k", y_phase @ image, x_phase)
    return vis


def _pynufft_plan(u, v, grid):
    """A plan on the grid padded to even sides of at least 32, where the interpolation keeps its accuracy."""
    from pynufft import NUFFT

    rows, columns = (max(32, n + n % 2) for n in grid.shape)
    extra = (columns - grid.shape[1], rows - grid.shape[0])
    center = tuple(c + 0.5 * n * grid.pixel_scale for c, n in zip(grid.center, extra))
    padded = PixelGrid((rows, columns), grid.pixel_scale, center)
    plan = NUFFT()
    omega = np.stack(_radians_per_pixel(u, v, padded), axis=1)
    plan.plan(omega, padded.shape, (2 * rows, 2 * columns), (8, 8))
    return plan, padded


def _pynufft2(image, u, v, grid, eps):
    plan, padded = _pynufft_plan(u, v, grid)
    full = np.zeros(padded.shape, dtype=np.complex128)
    full[: grid.shape[0], : grid.shape[1]] = image
    # its sign is the opposite one: transform the conjugate image, conjugate the result
    return np.conj(plan.forward(np.conj(full))) * _origin_phase(u, v, padded)


def _pynufft1(u, v, c, grid, eps):
    plan, padded = _pynufft_plan(u, v, grid)
    c = c * np.conj(_origin_phase(u, v, padded))
    # its adjoint divides by the number of cells of the oversampled grid
    cells = 4.0 * padded.shape[0] * padded.shape[1]
    images = [plan.adjoint(np.conj(one)) for one in np.atleast_2d(c)]
    return cells * np.conj(images).reshape(*c.shape[:-1], *padded.shape)[..., : grid.shape[0], : grid.shape[1]]
