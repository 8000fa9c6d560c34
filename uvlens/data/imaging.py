"""An image of the sky with its noise and its point spread function: what HST, JWST, Euclid or a camera gives."""

import dataclasses
import warnings

import numpy as np

from ..errors import InputError, UVLensWarning
from ..grid import Mask, PixelGrid
from .psf import prepare_psf


@dataclasses.dataclass(frozen=True, eq=False)
class Imaging:
    """An image on square pixels, [row North, column East], with independent Gaussian noise in every pixel.

        chi^2 = sum_i weight_i (data_i - model_i)^2,    weight_i = 1 / noise_i^2, or exactly 0 where it must not count

    Args:
        data: flux per pixel, in `unit`; NaN: weight 0.
        noise: its standard deviation; NaN or infinite: weight 0.
        psf: kernel, odd-sized, made to sum to 1 (with a warning if it did not); see `uvlens.data.psf`.
        grid: PixelGrid of the data.
        weight: 1 / noise^2 or 0; None: 1 / noise^2.
        reference_position: (ra, dec) of (x, y) = (0, 0) [deg], or None.
        unit: of the data, e.g. "electron/s".
        name: for messages.

    Raises:
        InputError: shapes that differ, noise that is not positive, a PSF that cannot be one.
    """

    data: np.ndarray
    noise: np.ndarray
    psf: np.ndarray
    grid: PixelGrid
    weight: np.ndarray = None  # pyright: ignore[reportAssignmentType]
    reference_position: tuple[float, float] | None = None
    unit: str = ""
    name: str = "image"

    def __post_init__(self):
        data, noise = (np.array(a, dtype=np.float64) for a in (self.data, self.noise))
        for what, array in (("data", data), ("noise", noise)):
            if array.shape != self.grid.shape:
                raise InputError(f"{self.name}: {what} has shape {array.shape}, the grid {self.grid.shape}")
        known = np.isfinite(data) & np.isfinite(noise)
        wrong = known & (noise <= 0.0)
        if wrong.any():
            raise InputError(
                f"{self.name}: the noise is zero or negative in {np.count_nonzero(wrong)} of {noise.size} pixels; "
                "set it to NaN where the data are to be left out"
            )
        if not known.any():
            raise InputError(f"{self.name}: no pixel has both a value and a noise")
        weight = np.zeros(data.shape)
        weight[known] = noise[known] ** -2.0
        if self.weight is not None:
            weight = _checked_weight(np.array(self.weight, dtype=np.float64), weight, self.name)
        # what has no weight is never used; finite numbers keep sums and pictures free of NaN
        data[~np.isfinite(data)] = 0.0
        noise[~(np.isfinite(noise) & (noise > 0.0))] = np.median(noise[known])
        psf, said = prepare_psf(self.psf)
        if psf.shape != np.shape(self.psf) or np.any(np.abs(psf - self.psf) > 1e-6 * psf.max()):
            warnings.warn(f"{self.name}: {'; '.join(said)}", UVLensWarning, stacklevel=3)
        position = self.reference_position
        if position is not None:
            position = (float(position[0]), float(position[1]))
        for key, value in (("data", data), ("noise", noise), ("weight", weight), ("psf", psf)):
            object.__setattr__(self, key, value)
        object.__setattr__(self, "reference_position", position)

    def __repr__(self):
        rows, columns = self.grid.shape
        psf = " x ".join(map(str, self.psf.shape))
        return f'Imaging({self.name}: {rows} x {columns} pixels of {self.grid.pixel_scale:g}", psf {psf})'

    @staticmethod
    def read(file, noise=None, psf=None, **options):
        """Imaging from FITS files; arguments and errors as of `uvlens.data.image_files.read_image`."""
        from .image_files import read_image

        return read_image(file, noise, psf, **options)

    def write(self, path):
        """Write data.fits, noise.fits and psf.fits to a folder, or one file NAME.fits with HDUs SCI, ERR, PSF."""
        from .image_files import write_image_files

        write_image_files(self, path)

    @property
    def phase_center(self):
        """(ra, dec) of (x, y) = (0, 0) [deg], or None: `reference_position` by the name that visibilities use."""
        return self.reference_position

    @property
    def n_excluded(self):
        """Pixels of weight 0."""
        return int(np.count_nonzero(self.weight == 0.0))

    def scale_noise(self, region):
        """The same image with weight exactly 0 in a region: the limit of infinite noise.

        Its pixels stay in the model, which may put any light there; they count neither in chi^2 nor in the
        normalisation of the noise.

        Args:
            region: boolean array of the shape of the data, Mask, a shape of `uvlens.shapes` or a list of these.
        """
        weight = np.where(self.inside(region), 0.0, self.weight)
        if not weight.any():
            raise InputError(f"{self.name}: the region covers every pixel; none is left to fit")
        return dataclasses.replace(self, weight=weight)

    def inside(self, region):
        """Boolean array of the pixels whose centres lie in a region (argument as of `scale_noise`)."""
        from ..shapes import FitsFile, Pixels, inside_any

        if isinstance(region, np.ndarray):
            if region.shape != self.grid.shape or region.dtype != bool:
                raise InputError(
                    f"{self.name}: a region must be a boolean array of shape {self.grid.shape}, "
                    f"got {region.dtype} of shape {region.shape}"
                )
            return region
        shapes = region if isinstance(region, list | tuple) else [region]
        shapes = [Pixels(one) if isinstance(one, Mask) else one for one in shapes]
        shapes = [one.read(self.reference_position) if isinstance(one, FitsFile) else one for one in shapes]
        if not shapes:
            return np.zeros(self.grid.shape, dtype=bool)
        return inside_any(shapes, *self.grid.coordinates())

    def mask(self, region):
        """Mask of the data pixels in a region (argument as of `scale_noise`): those that are fitted.

        Raises:
            InputError: no pixel of the image, or none with a weight, lies in it.
        """
        kept = self.inside(region)
        if not (kept & (self.weight > 0.0)).any():
            west, east, south, north = self.grid.extent
            raise InputError(
                f"{self.name}: the mask holds no pixel of the image that has a weight; the image reaches from "
                f'{west:.3g}" to {east:.3g}" East and {south:.3g}" to {north:.3g}" North'
            )
        return Mask(self.grid, kept)

    def moved(self, dx, dy):
        """The same image with its pixels dx, dy further to the East and North [arcsec]: a registration error undone."""
        x, y = self.grid.center
        return dataclasses.replace(self, grid=dataclasses.replace(self.grid, center=(x + dx, y + dy)))

    def placed_at(self, origin):
        """The same image in the frame about another position: pixels keep their RA and Dec.

        Args:
            origin: (ra, dec) that is to be (x, y) = (0, 0) [deg].

        Raises:
            InputError: an image whose own position is not known, or one more than half a degree away.
        """
        from ..wcs import sky_offset

        if self.reference_position is None:
            raise InputError(f"{self.name}: no sky coordinates, so it cannot be placed; give center: [x, y] in arcsec")
        dx, dy = sky_offset(*self.reference_position, origin)
        if not np.hypot(dx, dy) < 1800.0:
            raise InputError(
                f"{self.name}: lies {np.hypot(dx, dy) / 3600.0:.2f} degrees from the origin of the fit at "
                f"ra {origin[0]:.5f}, dec {origin[1]:.5f}; are these the same object?"
            )
        return dataclasses.replace(self.moved(dx, dy), reference_position=tuple(origin))


def poisson_noise(data, exposure_time, background_rms, gain=1.0):
    """Noise of an image whose background is measured and whose sources count photons.

        sigma^2 = background_rms^2 + max(data, 0) / (gain exposure_time)

    Args:
        data: sky-subtracted rate [counts/s per pixel].
        exposure_time: a number, or a map of the shape of the data [s].
        background_rms: scatter of empty sky [counts/s per pixel].
        gain: electrons per count; 1 for data in electrons/s.

    Returns:
        sigma, of the shape and unit of the data; NaN where the data are.

    Raises:
        InputError: a value that is not positive.
    """
    data = np.asarray(data, dtype=np.float64)
    for name, value in (("exposure_time", exposure_time), ("background_rms", background_rms), ("gain", gain)):
        value = np.asarray(value, dtype=np.float64)
        if value.shape not in ((), data.shape) or not (np.isfinite(value).all() and (value > 0.0).all()):
            raise InputError(f"noise: {name} must be positive and finite, a number or of shape {data.shape}")
    return np.sqrt(np.square(background_rms) + np.maximum(data, 0.0) / (np.asarray(gain) * exposure_time))


def _checked_weight(weight, expected, name):
    if weight.shape != expected.shape:
        raise InputError(f"{name}: weight has shape {weight.shape}, the data {expected.shape}")
    wrong = (weight != 0.0) & ~np.isclose(weight, expected, rtol=1e-6, atol=0.0)
    if wrong.any():
        raise InputError(f"{name}: weight must be 1 / noise^2 or 0, it is neither in {np.count_nonzero(wrong)} pixels")
    return np.where(weight != 0.0, expected, 0.0)
