"""B, the PSF of an image, and its transpose by fast Fourier transforms on a CPU; JAX takes the same arrays.

(B I)_i = sum_j psf[i - j + h] I_j      from the N pixels of the model to the M fitted ones: a convolution
(B^T v)_j = sum_i psf[i - j + h] v_i    back: the correlation with the PSF
"""

import numpy as np
import scipy.fft


class Blur:
    """B and B^T of one PSF.

    Args:
        frame: Frame of both kinds of pixels.
        psf: odd x odd, the middle pixel is no offset.

    Attributes:
        shape: of the padded array: what wraps around reaches no pixel that is looked at.
        transform: rfft2 of the padded PSF, no offset in the corner.
        position, data_position: of the pixels in the flattened padded array, shapes (N,) and (M,).
    """

    def __init__(self, frame, psf):
        half = [min(n // 2, size - 1) for n, size in zip(psf.shape, frame.shape)]
        middle = [n // 2 for n in psf.shape]
        near = psf[
            middle[0] - half[0] : middle[0] + half[0] + 1,
            middle[1] - half[1] : middle[1] + half[1] + 1,
        ]  # offsets beyond the frame are never met
        self.shape = tuple(scipy.fft.next_fast_len(n + h, real=True) for n, h in zip(frame.shape, half))
        kernel = np.zeros(self.shape)
        for p in range(near.shape[0]):
            columns = (np.arange(near.shape[1]) - half[1]) % self.shape[1]
            kernel[(p - half[0]) % self.shape[0], columns] += near[p]
        self.transform = scipy.fft.rfft2(kernel)
        self.position = frame.rows * self.shape[1] + frame.columns
        self.data_position = frame.data_rows * self.shape[1] + frame.data_columns

    def apply(self, images):
        """B times each row of `images`, (m, N) -> (m, M)."""
        return self._convolve(images, self.position, self.transform, self.data_position)

    def transposed(self, images):
        """B^T times each row of `images`, (m, M) -> (m, N)."""
        return self._convolve(images, self.data_position, self.transform.conj(), self.position)

    def _convolve(self, images, source, transform, target):
        padded = np.zeros((len(images), self.shape[0] * self.shape[1]))
        padded[:, source] = images
        spectrum = scipy.fft.rfft2(padded.reshape(-1, *self.shape))
        spectrum *= transform
        return scipy.fft.irfft2(spectrum, self.shape).reshape(len(images), -1)[:, target]
