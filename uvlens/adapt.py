"""Adapt images: an earlier model's picture of the lensed source, which meshes and priors of the next one follow."""

import dataclasses
from pathlib import Path

import numpy as np
import scipy.ndimage

from .errors import InputError
from .grid import PixelGrid


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptImage:
    """Brightness of the lensed source on a grid; its unit does not matter.

    Args:
        image: shape `grid.shape`, [row North, column East], finite; what is negative counts as 0.
        grid: PixelGrid.
        name: for messages.

    Raises:
        InputError: shapes that differ, values that are not finite, nothing above 0.
    """

    image: np.ndarray
    grid: PixelGrid
    name: str = "adapt image"

    def __post_init__(self):
        image = np.asarray(self.image, dtype=float)
        if image.shape != self.grid.shape:
            raise InputError(f"{self.name}: shape {image.shape}, its grid {self.grid.shape}")
        if not np.isfinite(image).all():
            raise InputError(f"{self.name}: has values that are NaN or infinite")
        if not (image > 0.0).any():
            raise InputError(f"{self.name}: no pixel is brighter than 0")
        object.__setattr__(self, "image", np.maximum(image, 0.0))

    def on(self, mask):
        """Brightness at the N pixels of a mask, linear between pixels and 0 outside the image, shape (N,).

        Raises:
            InputError: an image that is 0 all over the mask.
        """
        grid = self.grid
        row = (mask.y - grid.y_axis[0]) / grid.pixel_scale
        column = (mask.x - grid.x_axis[0]) / grid.pixel_scale
        values = scipy.ndimage.map_coordinates(self.image, [row, column], order=1, mode="constant")
        if not (values > 0.0).any():
            raise InputError(f"{self.name}: nothing of it lies inside the mask")
        return values

    @staticmethod
    def of_mask(values, mask, name="adapt image"):
        """From the values (N,) at the pixels of a mask."""
        return AdaptImage(mask.to_image(np.asarray(values, dtype=float)), mask.grid, name)

    @staticmethod
    def read(path, phase_center=None, sky=""):
        """From a FITS image, or from the folder of a fit: its lensed source.

        Args:
            path: FITS file, or folder with `lensed_source.fits` (`lensed_source.SKY.fits` where it had several).
            phase_center: (ra, dec) in degrees of the origin of the fit.
            sky: whose image of a fit.

        Raises:
            InputError: no such file; not an image with square pixels, North up.
        """
        from .wcs import read_image

        path = Path(path)
        if path.is_dir():
            found = sorted(path.glob("lensed_source*.fits"))
            named = [one for one in found if one.name == f"lensed_source.{sky}.fits"]
            if not found:
                raise InputError(f"{path}: no lensed_source.fits here; is it the folder of a finished fit?")
            path = (named or found)[0]
        image, grid = read_image(path, phase_center)
        return AdaptImage(np.nan_to_num(image), grid, path.name)


@dataclasses.dataclass(frozen=True)
class AdaptFile:
    """An adapt image that is read when the origin of the fit is known.

    Args:
        path: as for `AdaptImage.read`.
        sky: whose image of a fit.
    """

    path: Path
    sky: str = ""


def with_adapt_images(source, origin):
    """A Source with its adapt images read, in the frame about `origin` (ra, dec) [deg] (None: their own)."""
    parts = [
        dataclasses.replace(part, adapt=AdaptImage.read(part.adapt.path, origin, part.adapt.sky))
        if isinstance(part.adapt, AdaptFile)
        else part
        for part in source.parts
    ]
    if source.pixels is None:
        return source
    return dataclasses.replace(source, pixels=parts[0] if isinstance(source.pixels, type(parts[0])) else tuple(parts))
