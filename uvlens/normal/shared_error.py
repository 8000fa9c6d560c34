"""What one curvature matrix for several channels changes in ln E, estimated before any lens is known.

With W_c = a_c (Wbar + E_c) and a Gaussian posterior of the images I_c = L shat_c, of covariance P each,

    ln E(exact) - ln E(shared) = -1/2 sum_c [I_c^T E_c I_c + tr(P E_c)]
                                 + sum_c [1/2 (E_c I_c)^T P (E_c I_c) + 1/4 tr(P E_c P E_c)] + third order

(chi^2 and ln det; I_c the best images). A lens model is not known yet; taken instead is the image itself with
independent pixels of variance tau^2, which leaves the sky more freedom than a lens model does:

    P = (Wbar + 1 / tau^2)^-1,   I_c = P dhat_c,   tau^2 = max(mean_c |dhat_c|^2 - tr Wbar, tr Wbar) / tr(Wbar^2)

(the second moment of the dirty images, no less than that of noise). The image that a lens model fits is another one
within the errors, so that I^T E I has a standard deviation of 2 [(E I)^T P (E I)]^1/2. The error is

    1/2 |sum_c I_c^T E_c I_c| + 2 [sum_c (E_c I_c)^T P (E_c I_c)]^1/2 + 1/2 |tr(P sum_c E_c)| + second order.

Sums over channels keep their signs: sum_c a_c E_c = 0, and what frequencies above and below the mean do cancels for a
sky that they share. Traces come from random signs (Hutchinson 1990), one standard error added; P is applied by
conjugate gradients, W by FFT. An estimate at two standard deviations, not a theorem: tests hold it against exact
separate evidences.
"""

from typing import NamedTuple

import numpy as np
import scipy.fft

_DEVIATIONS = 2.0
_PROBES = 8
_SECOND_ORDER_PROBES = 2
_LARGEST_BLOCK = 32
"""Images transformed together."""
_RESIDUAL = 1e-3
_ITERATIONS = 400


class SharingError(NamedTuple):
    """Nat by which ln E may be wrong.

    Attributes:
        total: of all channels together, the sum of what follows.
        chi_squared: at the images that the data suggest.
        other_images: at images two standard deviations from these.
        log_det: of the determinants.
        second_order: of both.
        by_channel: 1/2 |I_c^T E_c I_c|, shape (C,): to find a channel that differs; these may cancel.
    """

    total: float
    chi_squared: float
    other_images: float
    log_det: float
    second_order: float
    by_channel: np.ndarray


def sharing_error(reduction, scale, channels, seed=0):
    """SharingError of C channels.

    Args:
        reduction: of the mean kernels, dirty image dhat (C, N).
        scale: a_c, shape (C,).
        channels: Reduction of each channel.
        seed: of the random signs.
    """
    mean, data = Product(reduction), reduction.dirty_image
    probes = np.random.default_rng(seed).choice([-1.0, 1.0], (_PROBES, data.shape[1]))
    trace, squared = mean.trace, np.mean(np.sum(mean(probes) ** 2, axis=1))
    ridge = squared / max(np.mean(np.sum(data**2, axis=1)) - trace, trace)
    images = covariance_product(mean, ridge, np.concatenate([data, probes]))
    skies, smooth = images[: len(data)], images[len(data) :]
    few = _SECOND_ORDER_PROBES
    chi_squared, variance, spread, samples = [], 0.0, 0.0, np.zeros(_PROBES)
    for sky, a, channel in zip(skies, scale, channels):
        given = np.concatenate([sky[None], smooth, probes[:few]])
        changed = Product(channel)(given) / a - mean(given)
        of_sky, of_smooth, of_probes = changed[0], changed[1 : 1 + _PROBES], changed[1 + _PROBES :]
        back = covariance_product(mean, ridge, np.concatenate([of_sky[None], of_probes]))
        chi_squared.append(sky @ of_sky)
        variance += of_sky @ back[0]
        spread += np.mean(np.sum(of_smooth[:few] * back[1:], axis=1))
        samples += np.sum(probes * of_smooth, axis=1)
    parts = (
        0.5 * abs(sum(chi_squared)),
        _DEVIATIONS * np.sqrt(max(variance, 0.0)),
        0.5 * (abs(samples.mean()) + samples.std(ddof=1) / np.sqrt(_PROBES)),
        0.5 * abs(variance) + 0.25 * abs(spread),
    )
    return SharingError(float(sum(parts)), *map(float, parts), 0.5 * np.abs(chi_squared))


class Product:
    """X -> W X for the rows of X, shape (m, N), by circulant embedding; `trace` is tr W."""

    def __init__(self, reduction):
        mask = reduction.mask
        self.rows, self.columns = mask.rows - mask.rows.min(), mask.columns - mask.columns.min()
        ny, nx = int(self.rows.max()) + 1, int(self.columns.max()) + 1
        self.shape = (scipy.fft.next_fast_len(2 * ny - 1), scipy.fft.next_fast_len(2 * nx - 1, real=True))
        self.terms, self.trace = [], 0.0
        for term in reduction.terms:
            row, column = term.kernel.shape[0] // 2, term.kernel.shape[1] // 2
            padded = np.zeros(self.shape)
            padded[: 2 * ny - 1, : 2 * nx - 1] = term.kernel[row - ny + 1 : row + ny, column - nx + 1 : column + nx]
            transform = scipy.fft.rfft2(np.roll(padded, (1 - ny, 1 - nx), axis=(0, 1)))
            beam = np.ones(mask.n_pixels) if term.primary_beam is None else term.primary_beam
            self.terms.append((transform, beam))
            self.trace += float(term.kernel[row, column] * np.sum(beam**2))

    def __call__(self, images):
        blocks = [images[i : i + _LARGEST_BLOCK] for i in range(0, len(images), _LARGEST_BLOCK)]
        return np.concatenate([self._block(block) for block in blocks])

    def _block(self, images):
        total = np.zeros_like(images)
        for transform, beam in self.terms:
            grid = np.zeros((len(images), *self.shape))
            grid[:, self.rows, self.columns] = images * beam
            grid = scipy.fft.irfft2(scipy.fft.rfft2(grid, workers=-1) * transform, self.shape, workers=-1)
            total += grid[:, self.rows, self.columns] * beam
        return total


def covariance_product(product, ridge, images):
    """(W + ridge)^-1 X for the rows of X by conjugate gradients, each to 1e-3 of its length."""
    solution, residual = np.zeros_like(images), images.copy()
    direction, square = residual.copy(), np.sum(images**2, axis=1)
    enough = _RESIDUAL**2 * square
    for _ in range(_ITERATIONS):
        going = np.flatnonzero(square > enough)
        if len(going) == 0:
            break
        p = direction[going]
        q = product(p) + ridge * p
        step = (square[going] / np.sum(p * q, axis=1))[:, None]
        solution[going] += step * p
        residual[going] -= step * q
        before = square[going]
        square[going] = np.sum(residual[going] ** 2, axis=1)
        direction[going] = residual[going] + (square[going] / before)[:, None] * p
    return solution
