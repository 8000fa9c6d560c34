"""A rotating disc: the brightness of a line source in each channel of a cube."""

import dataclasses

import numpy as np
from scipy.special import ndtr

from ..conventions import SPEED_OF_LIGHT
from ..errors import InputError


@dataclasses.dataclass(frozen=True)
class RotatingDisc:
    """A thin exponential disc that turns, with Gaussian velocity dispersion.

        Sigma(R) = flux exp(-R / h) / (2 pi h^2 cos i),    v = velocity + (2 / pi) v_max arctan(R / r_t) sin i cos theta

    R and theta in the plane of the disc, theta from the receding side of the major axis.

    Args:
        flux: of the whole line [Jy km/s].
        scale_length: h [arcsec].
        inclination: i, 0 face on, below 90 [deg].
        position_angle: of the receding side, East of North [deg].
        v_max: of rotation [km/s].
        turnover: r_t [arcsec].
        dispersion: sigma of the line at each point [km/s].
        center: (East, North) [arcsec].
        velocity: of the centre of the disc [km/s].

    Raises:
        InputError: values that make no disc.
    """

    flux: float
    scale_length: float
    inclination: float = 45.0
    position_angle: float = 0.0
    v_max: float = 250.0
    turnover: float = 0.05
    dispersion: float = 40.0
    center: tuple[float, float] = (0.0, 0.0)
    velocity: float = 0.0

    def __post_init__(self):
        for key in ("scale_length", "turnover", "dispersion"):
            if not getattr(self, key) > 0.0:
                raise InputError(f"{key} must be positive, got {getattr(self, key)}")
        if not 0.0 <= self.inclination < 90.0:
            raise InputError(f"inclination must be from 0 to below 90 degrees, got {self.inclination}")

    def line_of_sight(self, x, y):
        """(R [arcsec], velocity along the line of sight [km/s]) at positions [arcsec]; positive: receding."""
        angle, tilt = np.deg2rad(self.position_angle), np.deg2rad(self.inclination)
        dx, dy = x - self.center[0], y - self.center[1]
        major = dx * np.sin(angle) + dy * np.cos(angle)
        minor = (dx * np.cos(angle) - dy * np.sin(angle)) / np.cos(tilt)
        radius = np.hypot(major, minor)
        cosine = major / np.where(radius > 0.0, radius, 1.0)
        speed = 2.0 / np.pi * self.v_max * np.arctan(radius / self.turnover)
        return radius, self.velocity + speed * np.sin(tilt) * cosine

    def brightness(self, x, y, low, high):
        """Mean brightness between the velocities `low` and `high` [km/s], at positions [Jy/arcsec^2]."""
        radius, velocity = self.line_of_sight(np.asarray(x), np.asarray(y))
        h = self.scale_length
        surface = self.flux * np.exp(-radius / h) / (2.0 * np.pi * h**2 * np.cos(np.deg2rad(self.inclination)))
        share = ndtr((high - velocity) / self.dispersion) - ndtr((low - velocity) / self.dispersion)
        return surface * share / (high - low)


def channel_velocities(frequencies, width, rest):
    """[(low, high)] of channels, radio convention v = c (1 - nu / rest) [km/s], positive: receding.

    Args:
        frequencies: of the channels; width: of each; rest: of v = 0 [Hz].
    """
    c = 1e-3 * SPEED_OF_LIGHT
    return [(c * (1.0 - (nu + 0.5 * width) / rest), c * (1.0 - (nu - 0.5 * width) / rest)) for nu in frequencies]
