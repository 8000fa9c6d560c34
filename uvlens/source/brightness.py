"""A gradient prior that is weaker where the source is bright (after Nightingale & Dye 2015)."""

from typing import Any

import jax.numpy as jnp

from ..errors import InputError
from . import lattice
from .graph import laplacian
from .logdet import log_det_bands, log_det_dense
from .prior import AbstractRegularization, Prior, check_numbers, is_scattered

_UNSEEN = 0.01
"""Of the mean node's share of the image pixels: the share at which a node has half the signal it sees."""


class AdaptiveBrightness(AbstractRegularization):
    """Penalises differences between neighbours by a factor that follows the brightness of an image of the source.

        signal   b_i = (m_i / max m)^signal_scale,   m_i = mean brightness of the adapt image, mapped to node i, >= 0
        factor   f_i = inner b_i + outer (1 - b_i)
        s^T G s = sum over neighbours of 1/2 (f_i + f_j) w_ij (s_i - s_j)^2 + sum over ghosts of f_i w_i s_i^2

    with the weights w of the gradient prior: where f = 1 it is the gradient prior. All is dimensionless and linear:
    H doubles with `strength`, and with `inner` and `outer` together; fix one of the three.

    Args:
        strength: overall, as for Gradient.
        inner, outer: factors where the adapt image is brightest and where it is dark, > 0.
        signal_scale: >= 0; 0 gives every node that sees light the factor `inner`, larger values only the brightest.
    """

    strength: Any = "auto"
    inner: Any = 1.0
    outer: Any = 10.0
    signal_scale: Any = 1.0

    def __check_init__(self):
        check_numbers(self, inner=(0.0, False), outer=(0.0, False), signal_scale=(0.0, True))

    def prior(self, mesh, geometry, unit_area, mapper=None, adapt=None):
        """G and ln det G; on lattices by bands."""
        if adapt is None or mapper is None:
            raise InputError("AdaptiveBrightness needs an adapt image: an image of the lensed source on the mask")
        bright = signal(mapper, adapt, self.signal_scale)
        factor = self.inner * bright + self.outer * (1.0 - bright)
        scattered = is_scattered(mesh)
        i, j, weight = mesh.edges(geometry) if scattered else lattice.edges(mesh, geometry)
        weight = weight * 0.5 * (factor[i] + factor[jnp.where(j < 0, i, j)])
        if scattered:
            matrix = laplacian(i, j, weight, mesh.n_source)
            return Prior(matrix, log_det_dense(matrix))
        bands = lattice.bands_of_edges(mesh, weight)
        return Prior(bands, log_det_bands(bands))


def signal(mapper, adapt, scale):
    """b, shape (S,), 0..1: the adapt image (N,) averaged over the image pixels of each node, through the mapper.

    A node that sees (almost) no image pixel has no signal: with c_i = sum_n L_ni and c their mean,
    m_i = sum_n L_ni a_n / (c_i + 0.01 c), which is the mean wherever the node is seen at all.
    """
    seen = jnp.stack([mapper.weights, mapper.weights * jnp.asarray(adapt)[:, None]], axis=-1)
    total = jnp.zeros((mapper.n_source, 2), seen.dtype).at[mapper.indices].add(seen)
    share = _UNSEEN * jnp.mean(total[:, 0])
    mean = total[:, 1] / jnp.where(share > 0.0, total[:, 0] + share, 1.0)
    highest = jnp.max(mean)
    bright = mean > 0.0
    relative = jnp.where(bright, mean, 1.0) / jnp.where(highest > 0.0, highest, 1.0)
    return jnp.where(bright, relative**scale, 0.0)
