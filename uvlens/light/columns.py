"""Columns of the lensing operator for light of known shape: images of unit flux on the pixels of a mask.

    c_ie = pixel_area sum_m weight_m I_e(x_m)       over the sub-pixels m of pixel i       [1/pixel]

with the weights of a pixel adding up to 1. Light behind the lens is the same at the traced sub-pixels. A point has no
brightness: its column holds the weights that interpolate a band-limited function on the pixels to its position,

    sum_i c_i exp(2 pi i u.x_i) = exp(2 pi i u.x_0)    for |u_x|, |u_y| <= 1 / (4 pixel_scale),

pixels that sample the longest baseline twice as finely as it needs, to 2e-6 of the flux. Along an axis the 16 weights
minimise the squared error over |frequency| <= 0.255 / pixel_scale with their sum held at 1: a linear function of sines
and cosines of x_0. The source must lie 8 pixels inside the mask; what reaches beyond is lost.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from .sets import Background, PointSource

WIDTH = 16
"""Pixels along an axis that a point source is spread over."""
_BAND = 0.51
"""Of the Nyquist frequency of the pixels, up to which the squared error is made small."""


def light_columns(components, sub_x, sub_y, pixel, weight, n_pixels, pixel_area, lensed=False, window=False):
    """Images of unit flux of all columns of light components, in the components' order.

    Differentiable in the parameters of the components and in the positions, at fixed `pixel`.

    Args:
        components: light with `n_columns` columns each, E in all.
        sub_x, sub_y: positions of sub-pixels, shape (M,) [arcsec]: in the image plane, or traced to the source plane.
        pixel: image pixel of each, shape (M,).
        weight: of each in its pixel's mean, shape (M,), adding up to 1 in every pixel.
        n_pixels: N.
        pixel_area: arcsec^2.
        lensed: whether the positions are traced ones.
        window: whether the transform of the image is divided by the response of a square pixel, which a point does not
            have: its weights then carry it.

    Returns:
        Shape (N, E) [1/pixel; arcsec^2/pixel for a Background].

    Raises:
        InputError: a PointSource or Background behind a lens.
    """
    images = []
    for component in components:
        if lensed and isinstance(component, PointSource | Background):
            name = type(component).__name__
            raise InputError(f"{name} belongs to the light of the lens (its foremost plane), not to what a lens bends")
        if isinstance(component, PointSource):
            scale = jnp.sqrt(pixel_area)
            axes = [
                axis_weights((jax.ops.segment_sum(weight * sub, pixel, n_pixels)) / scale, center / scale, window)
                for sub, center in ((sub_x, component.center_x), (sub_y, component.center_y))
            ]
            images.append((axes[0] * axes[1])[:, None])
        else:
            brightness = component.columns(sub_x, sub_y) * weight[:, None]
            images.append(pixel_area * jax.ops.segment_sum(brightness, pixel, n_pixels))
    return jnp.concatenate(images, axis=1) if images else jnp.zeros((n_pixels, 0))


def axis_weights(pixel, center, window=False):
    """Weights at pixels, shape (N,), that interpolate to `center`; both in units of the pixel scale.

    The pixels lie on a lattice of spacing 1; those further than WIDTH / 2 from the centre get 0. `window`: see
    `light_columns`.
    """
    origin = pixel[0]
    position = center - origin
    base = jnp.floor(jax.lax.stop_gradient(position))
    nodes = np.arange(WIDTH) - (WIDTH // 2 - 1)
    table = _interpolation(nodes, position - base, window)
    k = jnp.round(jax.lax.stop_gradient(pixel - origin) - base).astype(jnp.int32) - int(nodes[0])
    return jnp.where((k >= 0) & (k < WIDTH), table[jnp.clip(k, 0, WIDTH - 1)], 0.0)


def _interpolation(nodes, t, window=False):
    """Weights of the nodes for a position t in [0, 1): the minimum of int |sum w_k e^(i om k) - e^(i om t)|^2 d om.

    Least squares on Gauss-Legendre frequencies; the sum is 1 exactly, by a multiplier.
    """
    frequencies, roots, inverse, along = _least_squares(nodes)
    if window:
        roots = roots * np.sinc(frequencies / (2.0 * np.pi))
    exact = jnp.concatenate([roots * jnp.cos(frequencies * t), roots * jnp.sin(frequencies * t)])
    weights = jnp.asarray(inverse) @ exact
    return weights + (1.0 - jnp.sum(weights)) * along


def _least_squares(nodes):
    """(frequencies, roots of their weights, pseudo-inverse, direction of the multiplier) of the weights' problem."""
    points, weights = np.polynomial.legendre.leggauss(2 * WIDTH)
    frequencies, roots = 0.5 * np.pi * _BAND * (points + 1.0), np.sqrt(weights)
    phases = np.outer(frequencies, nodes)
    inverse = np.linalg.pinv(np.concatenate([roots[:, None] * np.cos(phases), roots[:, None] * np.sin(phases)]), 1e-13)
    along = inverse @ inverse.sum(axis=0)
    return frequencies, roots, inverse, along / along.sum()


def column_entries(columns, first_index):
    """(indices, weights), both (N, E), of columns (N, E) as entries of a Mapper, the first at `first_index` of s."""
    n_pixels, n_columns = columns.shape
    indices = jnp.broadcast_to(first_index + jnp.arange(n_columns, dtype=jnp.int32), (n_pixels, n_columns))
    return indices, columns
