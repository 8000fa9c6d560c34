"""The few sums that a likelihood needs of an image: W = B^T N^-1 B, with B the PSF and N the noise.

    d_i = sum_j psf[i - j + h] I_j + noise_i            i: the M fitted pixels, j: the N pixels of the model
    W = B^T N^-1 B,   d~ = B^T N^-1 d,   chi^2(0) = sum_i d_i^2 / sigma_i^2,   sum_i ln(2 pi sigma_i^2)

Nothing else of an inversion knows whether its data were visibilities or an image. The PSF carries light into the
fitted pixels from beyond them: the model has every pixel that can, unless a mask says otherwise.
"""

import dataclasses
import functools
import hashlib
from typing import NamedTuple

import numpy as np

from ..data.observation import Observation
from ..errors import InputError
from ..grid import Mask, PixelGrid
from .compensated import CompensatedSum

_SAME_PIXEL = 1e-4
"""Of a pixel: what FITS headers may round off."""


class Frame(NamedTuple):
    """Where model and fitted pixels stand in one array that holds both.

    Attributes:
        shape: (rows, columns) of the bounding box of both.
        rows, columns: of the N pixels of the model.
        data_rows, data_columns: of the M fitted pixels.
    """

    shape: tuple[int, int]
    rows: np.ndarray
    columns: np.ndarray
    data_rows: np.ndarray
    data_columns: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ImagingReduction:
    """Everything a fit needs of an image, on one mask.

    Args:
        mask: the N pixels of the model: those fitted and those whose light the PSF carries into them.
        data_mask: the M fitted pixels, on the same lattice.
        data: d, shape (M,), 0 where the weight is 0 [flux per pixel].
        weight: 1 / sigma^2, shape (M,); 0 leaves a pixel out [flux^-2].
        psf: odd x odd, [row, column] as the image, the middle pixel is no offset.
        name: where the image came from.
        phase_center: (right ascension, declination) in degrees of the sky's origin, or None.
        unit: of flux, "" where it is not known.

    `of` makes one from arrays.
    """

    mask: Mask
    data_mask: Mask
    data: np.ndarray
    weight: np.ndarray
    psf: np.ndarray
    name: str = "image"
    phase_center: tuple[float, float] | None = None
    unit: str = ""

    kind = "image"
    n_visibilities = 0
    pixel_window = False
    terms = ()

    @staticmethod
    def of(image, noise, psf, mask, weight=None, model_mask=None, name="image", phase_center=None, unit=""):
        """Reduce an image.

        Args:
            image: d, shape `mask.grid.shape` [flux per pixel].
            noise: sigma of each pixel, same shape; > 0 wherever the weight is.
            psf: odd x odd kernel, taken as it is (one that sums to 1 keeps flux).
            mask: Mask of the pixels that are fitted.
            weight: 1 / sigma^2 by default; 0 leaves a pixel of the mask out.
            model_mask: Mask of the pixels of the model, on the same lattice; default: every pixel from which the
                PSF carries light into a fitted one, on a larger grid if need be.
            name, phase_center, unit: see the class.

        Raises:
            InputError: shapes that differ, a PSF of even size, noise <= 0 or values that are not finite where a pixel
                is fitted, a model mask on another lattice.
        """
        image, noise, psf = (np.asarray(a, dtype=float) for a in (image, noise, psf))
        for what, array in (("image", image), ("noise map", noise)):
            if array.shape != mask.grid.shape:
                raise InputError(f"{name}: the {what} has shape {array.shape}, the mask {mask.grid.shape}")
        _check_psf(name, psf)
        weight = _weights(name, noise[mask.kept], None if weight is None else np.asarray(weight, dtype=float), mask)
        data = image[mask.kept]
        bad = np.count_nonzero((weight > 0.0) & ~np.isfinite(data))
        if bad:
            raise InputError(f"{name}: {bad} fitted pixels are not finite; leave them out of the mask or give weight 0")
        if not np.any(weight > 0.0):
            raise InputError(f"{name}: no pixel of the mask has a weight")
        model_mask = blurring_mask(mask, psf) if model_mask is None else model_mask
        _shift(mask.grid, model_mask.grid)
        data = np.where(weight > 0.0, data, 0.0)
        return ImagingReduction(model_mask, mask, data, weight, psf, name, phase_center, unit)

    @functools.cached_property
    def frame(self):
        """Frame of model and fitted pixels."""
        down, right = _shift(self.data_mask.grid, self.mask.grid)
        rows, columns = self.data_mask.rows + down, self.data_mask.columns + right
        top, left = min(rows.min(), self.mask.rows.min()), min(columns.min(), self.mask.columns.min())
        bottom, last = max(rows.max(), self.mask.rows.max()), max(columns.max(), self.mask.columns.max())
        shape = (int(bottom - top) + 1, int(last - left) + 1)
        return Frame(shape, self.mask.rows - top, self.mask.columns - left, rows - top, columns - left)

    @functools.cached_property
    def blur(self):
        """The Blur of this PSF: B and B^T."""
        from .psf_blur import Blur

        return Blur(self.frame, self.psf)

    @functools.cached_property
    def dirty_image(self):
        """d~ = B^T N^-1 d, shape (N,) [flux^-1]."""
        return self.blur.transposed((self.weight * self.data)[None])[0]

    @functools.cached_property
    def diagonal(self):
        """diag W, shape (N,) [flux^-2]."""
        from .psf_blur import Blur

        # sums of squares: what the transforms round off must not make them negative
        return np.maximum(Blur(self.frame, self.psf**2).transposed(self.weight[None])[0], 0.0)

    @functools.cached_property
    def mean_reach(self):
        """Pixels of the model within the PSF's box about a fitted pixel, in the mean."""
        from .psf_blur import Blur

        return float(np.mean(Blur(self.frame, np.ones(self.psf.shape)).apply(np.ones((1, self.mask.n_pixels)))))

    @functools.cached_property
    def null_chi_squared(self):
        """sum d^2 / sigma^2."""
        return CompensatedSum.of(self.weight * self.data**2)

    @functools.cached_property
    def noise_normalization(self):
        """sum ln(2 pi sigma^2) over the fitted pixels that have a weight."""
        return CompensatedSum.of(np.log(2.0 * np.pi / self.weight[self.weight > 0.0]))

    @property
    def log_evidence_null(self):
        """ln E of an empty sky, -1/2 (sum d^2 / sigma^2 + noise_normalization)."""
        return -0.5 * float(self.null_chi_squared + self.noise_normalization)

    @property
    def n_real_data(self):
        """Fitted pixels with a weight above 0."""
        return int(np.count_nonzero(self.weight))

    @functools.cached_property
    def sum_weight(self):
        """Mean of diag W over the fitted pixels, each with its weight [flux^-2].

        W_jj = sum_i psf_ij^2 / sigma_i^2 is the weight that all data together give to the flux of pixel j, as
        sum_k w_k is that of visibilities.
        """
        down, right = _shift(self.data_mask.grid, self.mask.grid)
        rows, columns = self.data_mask.rows + down, self.data_mask.columns + right
        (ny, nx), diagonal = self.mask.grid.shape, self.mask.to_image(self.diagonal)
        inside = (rows >= 0) & (rows < ny) & (columns >= 0) & (columns < nx)
        values = np.where(inside, diagonal[rows.clip(0, ny - 1), columns.clip(0, nx - 1)], 0.0)
        return float(np.sum(self.weight * values) / np.sum(self.weight))

    @property
    def resolution_area(self):
        """Omega_N = pixel area / sum psf^2, the noise-equivalent area of the PSF (sum psf = 1) [arcsec^2].

        A strength is dimensionless in units of lambda_0 = sum_weight Omega_N^2: that is F of a patch of this area and
        of brightness 1, whose flux Omega_N is measured with weight sum_weight, as for visibilities.
        """
        return self.mask.grid.pixel_area * float(np.sum(self.psf)) ** 2 / float(np.sum(self.psf**2))

    @functools.cached_property
    def hashes(self):
        """(SHA-256 of image, weights, PSF and masks,)."""
        return (_digest(self.data, self.weight, self.psf, *_of_mask(self.data_mask), *_of_mask(self.mask)),)

    @functools.cached_property
    def observations(self):
        """(Observation,): what is known of the image; it has no visibilities."""
        one = Observation(
            name=self.name,
            n_visibilities=0,
            n_flagged=int(np.count_nonzero(self.weight == 0.0)),
            shortest=0.0,
            longest=0.0,
            phase_center=self.phase_center,
            primary_beam_fwhm=None,
            fields=(),
            n_antennas=None,
            frequency=None,
            n_channels=1,
            sha256=_digest(self.data, self.weight, self.psf, *_of_mask(self.data_mask)),
            unweighted_sha256=_digest(self.data, self.psf, *_of_mask(self.data_mask)),
        )
        return (one,)

    def restrict(self, mask):
        """The same image with the model on other pixels of its lattice: light beyond them is taken to be zero."""
        if mask.grid == self.mask.grid and np.array_equal(mask.kept, self.mask.kept):
            return self
        _shift(self.data_mask.grid, mask.grid)
        return dataclasses.replace(self, mask=mask)

    def predict(self, image):
        """B I, shape (M,): the model I (N,) of the sky as the fitted pixels see it."""
        return self.blur.apply(np.asarray(image, dtype=float)[None])[0]

    def dense(self):
        """W on the model's pixels, shape (N, N) [flux^-2]."""
        blur = self.dense_blur()
        return (blur.T * self.weight) @ blur

    def dense_blur(self):
        """B, shape (M, N)."""
        frame, (py, px) = self.frame, self.psf.shape
        row = frame.data_rows[:, None] - frame.rows + py // 2
        column = frame.data_columns[:, None] - frame.columns + px // 2
        inside = (row >= 0) & (row < py) & (column >= 0) & (column < px)
        return np.where(inside, self.psf[row.clip(0, py - 1), column.clip(0, px - 1)], 0.0)

    def __add__(self, other):
        raise InputError("exposures of an image have PSFs of their own and do not add: give them as separate data")

    def save(self, path, **extra):
        """Write to one file, `.npz` inside; `extra` are small JSON values kept beside the arrays."""
        from .storage import save_reduction

        save_reduction(self, path, **extra)

    @staticmethod
    def load(path):
        """Read what `save` wrote: (reduction, header)."""
        from .storage import load_reduction

        return load_reduction(path)


def is_image(data):
    """Whether data are an Imaging or its ImagingReduction; nothing is imported to find out."""
    return isinstance(data, ImagingReduction) or all(hasattr(data, name) for name in ("psf", "noise", "grid", "weight"))


def reduce_image(data, mask, model_mask=None):
    """The ImagingReduction of Imaging on a Mask of the pixels that are fitted (`model_mask` as in `of`).

    Of an ImagingReduction: the same, with `mask` for its model unless that is the mask of its fitted pixels.
    """
    if isinstance(data, ImagingReduction):
        is_same = mask.grid == data.data_mask.grid and np.array_equal(mask.kept, data.data_mask.kept)
        return data if is_same else data.restrict(mask)
    return ImagingReduction.of(
        data.data,
        data.noise,
        data.psf,
        _on_grid(mask, data.grid, data.name),
        weight=data.weight,
        model_mask=model_mask,
        name=data.name,
        phase_center=data.reference_position,
        unit=getattr(data, "unit", ""),
    )


def _on_grid(mask, grid, name):
    """A mask on the same lattice, on the grid of the image."""
    if mask.grid == grid:
        return mask
    try:
        down, right = _shift(mask.grid, grid)
    except InputError:
        raise InputError(
            f"{name}: the mask's pixels are not those of the image ({grid.shape[0]} x {grid.shape[1]} of "
            f'{grid.pixel_scale:.6g}" about {grid.center}); take imaging.mask(mask)'
        ) from None
    rows, columns = mask.rows + down, mask.columns + right
    inside = (rows >= 0) & (rows < grid.shape[0]) & (columns >= 0) & (columns < grid.shape[1])
    kept = np.zeros(grid.shape, bool)
    kept[rows[inside], columns[inside]] = True
    if not kept.any():
        raise InputError(f"{name}: the mask lies outside the image")
    return Mask(grid, kept)


def blurring_mask(mask, psf):
    """Mask of all pixels from which the PSF carries light into a pixel of `mask`, those of `mask` among them.

    On the grid of `mask`, or on one that is larger by as many pixels on either side where that is not enough.
    """
    import scipy.ndimage

    half_y, half_x = (n // 2 for n in psf.shape)
    support = psf[::-1, ::-1] != 0.0
    support[half_y, half_x] = True
    padded = np.pad(mask.kept, ((half_y, half_y), (half_x, half_x)))
    kept = scipy.ndimage.binary_dilation(padded, support)
    rows, columns = np.nonzero(kept.any(axis=1))[0], np.nonzero(kept.any(axis=0))[0]
    (ny, nx), grid = mask.grid.shape, mask.grid
    more_y = max(0, half_y - int(rows[0]), int(rows[-1]) - (half_y + ny - 1))
    more_x = max(0, half_x - int(columns[0]), int(columns[-1]) - (half_x + nx - 1))
    kept = kept[half_y - more_y : half_y + ny + more_y, half_x - more_x : half_x + nx + more_x]
    return Mask(PixelGrid((ny + 2 * more_y, nx + 2 * more_x), grid.pixel_scale, grid.center), kept)


def _check_psf(name, psf):
    if psf.ndim != 2 or not all(n % 2 for n in psf.shape):
        raise InputError(f"{name}: the PSF needs an odd number of rows and columns, got shape {psf.shape}")
    if not (np.all(np.isfinite(psf)) and np.sum(psf) > 0.0):
        raise InputError(f"{name}: the PSF must be finite and sum to more than 0 (1 keeps flux)")


def _weights(name, noise, weight, mask):
    """1 / sigma^2 of the fitted pixels, shape (M,)."""
    if weight is not None and weight.shape != mask.grid.shape:
        raise InputError(f"{name}: the weights have shape {weight.shape}, the mask {mask.grid.shape}")
    chosen = None if weight is None else weight[mask.kept]
    if chosen is not None and not (np.all(np.isfinite(chosen)) and np.all(chosen >= 0.0)):
        raise InputError(f"{name}: weights must be finite and at least 0")
    used = np.ones(noise.shape, bool) if chosen is None else chosen > 0.0
    bad = np.count_nonzero(used & ~((noise > 0.0) & np.isfinite(noise)))
    if bad:
        raise InputError(
            f"{name}: the noise of {bad} fitted pixels is not a positive number; leave them out of the mask"
        )
    return 1.0 / noise**2 if chosen is None else chosen


def _shift(data_grid, model_grid):
    """(rows, columns) that take an index of the data's grid to one of the model's grid."""
    scale = data_grid.pixel_scale
    if abs(model_grid.pixel_scale - scale) * max(model_grid.shape) > _SAME_PIXEL * scale:
        raise InputError(f'the image has pixels of {scale:.6g}", the model\'s mask {model_grid.pixel_scale:.6g}"')
    down = (data_grid.y_axis[0] - model_grid.y_axis[0]) / scale
    right = (data_grid.x_axis[0] - model_grid.x_axis[0]) / scale
    if max(abs(down - round(down)), abs(right - round(right))) > _SAME_PIXEL:
        raise InputError("the pixels of the model's mask lie between those of the image: give both one lattice")
    return round(down), round(right)


def _of_mask(mask):
    grid = mask.grid
    return np.array([*grid.shape, grid.pixel_scale, *grid.center], dtype=float), mask.kept


def _digest(*arrays):
    total = hashlib.sha256()
    for array in arrays:
        total.update(repr((array.shape, array.dtype.str)).encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()
