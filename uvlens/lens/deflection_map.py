"""Deflections given on pixels: a cluster's model from another code, as two images.

    alpha(x, y) = scale x map(x, y),    scale = D_ls / D_s of the source over that of the map

interpolated by cubic splines (twice differentiable, so magnifications are continuous), linear beyond the edge.
"""

import dataclasses
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..domain import POSITIVE
from ..errors import InputError
from .interpolation import spline_coefficients, spline_value
from .mass import AbstractMass

_COMPONENTS = ("sky", "pixel")
_UNITS = ("arcsec", "pixel")


@dataclasses.dataclass(frozen=True, eq=False)
class DeflectionImages:
    """Spline coefficients of a map and where it lies; compared by identity, never a parameter.

    Attributes:
        alpha_x, alpha_y: coefficients [arcsec], East and North, [row North, column East].
        potential: coefficients [arcsec^2], or None.
        pixel_scale: arcsec.
        center: (x, y) of the middle of the map [arcsec].
    """

    alpha_x: np.ndarray
    alpha_y: np.ndarray
    potential: np.ndarray | None
    pixel_scale: float
    center: tuple[float, float]

    @property
    def shape(self):
        """(rows, columns) of the map."""
        return self.alpha_x.shape[0] - 2, self.alpha_x.shape[1] - 2

    @property
    def extent(self):
        """(x_min, x_max, y_min, y_max) of the outermost pixel centres [arcsec]."""
        (rows, columns), (x, y), h = self.shape, self.center, 0.5 * self.pixel_scale
        return x - h * (columns - 1), x + h * (columns - 1), y - h * (rows - 1), y + h * (rows - 1)


@dataclasses.dataclass(frozen=True)
class MapFiles:
    """Maps of a model file that are not read yet: until the data say where x = y = 0 is.

    Attributes:
        alpha_x, alpha_y, components, unit, potential: as for `DeflectionMap.read`.
    """

    alpha_x: str
    alpha_y: str
    components: str
    unit: str = "arcsec"
    potential: str | None = None

    def read(self, phase_center, component):
        """`component`, whose images these are, with the images themselves."""
        images = DeflectionMap.read(
            self.alpha_x,
            self.alpha_y,
            components=self.components,
            phase_center=phase_center,
            unit=self.unit,
            potential=self.potential,
        ).images
        return dataclasses.replace(component, images=images)


class DeflectionMap(AbstractMass):
    """Deflections interpolated from a map: `DeflectionMap.read` of FITS images, `DeflectionMap.of` arrays.

    Args:
        images: DeflectionImages, or MapFiles in a model file.
        scale: by which the map is multiplied: D_ls / D_s where it is for D_ls / D_s = 1.
        center_x, center_y: by which the map is shifted [arcsec].
    """

    profile: ClassVar[Any] = None
    domains: ClassVar = {"scale": POSITIVE}
    images: Any = eqx.field(static=True)
    scale: Any = 1.0
    center_x: Any = 0.0
    center_y: Any = 0.0

    @classmethod
    def of(cls, alpha_x, alpha_y, pixel_scale, center=(0.0, 0.0), *, potential=None, scale=1.0, **fields):
        """From arrays [row North, column East].

        Args:
            alpha_x, alpha_y: towards the East and the North [arcsec].
            pixel_scale: arcsec.
            center: (x, y) of the middle of the array [arcsec].
            potential: arcsec^2, or None.

        Raises:
            InputError: other shapes, fewer than 4 pixels a side, values that are not finite, or a deflection that is
                far from a gradient where its mirror image is close to one.
        """
        alpha_x, alpha_y = np.asarray(alpha_x, dtype=float), np.asarray(alpha_y, dtype=float)
        if alpha_x.ndim != 2 or alpha_x.shape != alpha_y.shape or min(alpha_x.shape) < 4:
            raise InputError(
                f"DeflectionMap: needs two images of one shape, 4 x 4 or more, got {alpha_x.shape} and {alpha_y.shape}"
            )
        if not (np.isfinite(alpha_x).all() and np.isfinite(alpha_y).all()):
            raise InputError("DeflectionMap: deflections must be finite")
        _refuse_mirrored(alpha_x, alpha_y)
        coefficients = None
        if potential is not None:
            potential = np.asarray(potential, dtype=float)
            if potential.shape != alpha_x.shape or not np.isfinite(potential).all():
                raise InputError(f"DeflectionMap: potential must be finite, of shape {alpha_x.shape}")
            coefficients = spline_coefficients(potential)
        images = DeflectionImages(
            spline_coefficients(alpha_x),
            spline_coefficients(alpha_y),
            coefficients,
            float(pixel_scale),
            (float(center[0]), float(center[1])),
        )
        return cls(images, scale, **fields)

    @classmethod
    def read(cls, path_x, path_y, *, components, phase_center=None, unit="arcsec", potential=None, scale=1.0, **fields):
        """From FITS images with North up and East to either side.

        Args:
            path_x, path_y: the two components.
            components: "sky": path_x holds the deflection towards the East, path_y towards the North; "pixel": along
                increasing columns and rows, as codes that know nothing of the sky write them.
            phase_center: (ra, dec) [deg] of x = y = 0; None: the middle of the map.
            unit: "arcsec" or "pixel".
            potential: path of an image in arcsec^2 (pixel^2 where unit is "pixel"), or None.

        Raises:
            InputError: another word; images that are rotated or do not agree; as `of`.
        """
        if components not in _COMPONENTS:
            raise InputError(f"DeflectionMap: components must be {' or '.join(_COMPONENTS)}, got {components!r}")
        if unit not in _UNITS:
            raise InputError(f"DeflectionMap: unit must be {' or '.join(_UNITS)}, got {unit!r}")
        alpha_x, frame, center, origin = _image(path_x, phase_center)
        alpha_y, *other, _ = _image(path_y, origin)
        if not _agree(frame, center, *other, alpha_x.shape == alpha_y.shape):
            raise InputError(f"DeflectionMap: {path_x} and {path_y} do not lie on the same pixels")
        length = frame.pixel_scale if unit == "pixel" else 1.0
        along_x = length * (-1.0 if components == "pixel" and frame.flip_x else 1.0)
        along_y = length * (-1.0 if components == "pixel" and frame.flip_y else 1.0)
        psi = None
        if potential is not None:
            psi, *other, _ = _image(potential, origin)
            if not _agree(frame, center, *other, psi.shape == alpha_x.shape):
                raise InputError(f"DeflectionMap: {path_x} and {potential} do not lie on the same pixels")
            psi = psi * length**2
        return cls.of(
            along_x * alpha_x, along_y * alpha_y, frame.pixel_scale, center, potential=psi, scale=scale, **fields
        )

    def write(self, stem, phase_center=None):
        """Its maps as FITS images `stem`.alpha_x.fits, .alpha_y.fits and .potential.fits, towards East and North."""
        from ..grid import PixelGrid
        from ..wcs import write_image

        grid = PixelGrid(self.images.shape, self.images.pixel_scale, self.images.center)
        rows, columns = np.indices(self.images.shape).astype(float)
        for name, unit in (("alpha_x", "arcsec"), ("alpha_y", "arcsec"), ("potential", "arcsec2")):
            coefficients = getattr(self.images, name)
            if coefficients is not None:
                values = np.asarray(spline_value(coefficients, rows, columns))
                write_image(f"{stem}.{name}.fits", values, grid, unit=unit, phase_center=phase_center)

    def parameters(self):
        return self.scale, self.center_x, self.center_y

    def deflection(self, x, y):
        """(alpha_x, alpha_y) [arcsec]."""
        row, column = self._position(x, y)
        return tuple(self.scale * spline_value(c, row, column) for c in (self.images.alpha_x, self.images.alpha_y))

    def convergence(self, x, y):
        """kappa, half the divergence of the interpolated deflection."""
        xx, _, yy = self.hessian(x, y)
        return 0.5 * (xx + yy)

    def potential(self, x, y):
        """psi [arcsec^2]; of the potential's image, whose gradient is the deflection as well as the pixels allow.

        Raises:
            InputError: a map without a potential.
        """
        if self.images.potential is None:
            raise InputError("DeflectionMap: this map was given without a potential")
        return self.scale * spline_value(self.images.potential, *self._position(x, y))

    def _position(self, x, y):
        """(row, column) in pixels."""
        x_low, _, y_low, _ = self.images.extent
        x, y = jnp.broadcast_arrays(jnp.asarray(x, dtype=float), jnp.asarray(y, dtype=float))
        h = self.images.pixel_scale
        return (y - self.center_y - y_low) / h, (x - self.center_x - x_low) / h


def _image(path, phase_center):
    """(image [row North, column East], its Frame, (x, y) of its middle, (ra, dec) of x = y = 0 or None)."""
    from astropy.io import fits

    from ..data.image_frame import frame_of, placed

    try:
        with fits.open(path) as hdus:
            hdu = next(hdu for hdu in hdus if hdu.data is not None and np.squeeze(hdu.data).ndim == 2)
            header, image = hdu.header, np.squeeze(np.asarray(hdu.data, dtype=float))
    except (OSError, StopIteration, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a FITS file with one image ({error})") from None
    frame = frame_of(header, image.shape, path)
    center, origin = placed(frame, None, phase_center, path)
    return frame.turned(image), frame, center, origin


def _agree(frame, center, other, other_center, same_shape):
    close = abs(other.pixel_scale / frame.pixel_scale - 1.0) < 1e-6
    near = np.hypot(center[0] - other_center[0], center[1] - other_center[1]) < 0.01 * frame.pixel_scale
    return same_shape and close and near and (frame.flip_x, frame.flip_y) == (other.flip_x, other.flip_y)


def _refuse_mirrored(alpha_x, alpha_y):
    """A deflection is a gradient: alpha_x,y = alpha_y,x; with one component of the wrong sign it is not."""
    across, along = np.gradient(alpha_x, axis=0), np.gradient(alpha_y, axis=1)
    given, mirrored = np.median(np.abs(across - along)), np.median(np.abs(across + along))
    if given > 10.0 * mirrored:
        raise InputError(
            "DeflectionMap: the curl does not vanish, but would if one component changed its sign: "
            'is it components="pixel" where "sky" was said, or the other way round?'
        )
