"""Light profiles of one amplitude, by total flux: thin pytrees over the pure functions of `radial` and `transforms`.

Fields are numbers, or priors inside a Model. All are functions of R = sqrt(q X^2 + Y^2 / q), X along the major axis, so
that lengths are on the intermediate axis and q does not change the flux. Fields that all of them have:

    flux                         total flux [Jy], a prior on it, or "linear"
    e1, e2                       ellipticity, |e| = (1 - q) / (1 + q), phi from East to North
    center_x, center_y           arcsec East, North
    axis_ratio, position_angle   in the place of e1, e2: minor over major axis, PA of the major axis East of North [deg]
"""

from typing import Any, ClassVar

import equinox as eqx

from ..domain import CORE, LENGTH, NOT_NEGATIVE, Domain
from . import radial, transforms
from .amplitudes import as_flux
from .light import AbstractLight

SERSIC_INDEX = Domain(0.3, 10.0, "", True, True)


class Gaussian(AbstractLight):
    """Gaussian of standard deviation sigma [arcsec]: I = flux / (2 pi sigma^2) exp(-R^2 / (2 sigma^2))."""

    domains: ClassVar = {"flux": NOT_NEGATIVE, "sigma": LENGTH}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    sigma: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.gaussian(self.squared_radius(x, y), self.sigma)[..., None]

    def transform(self, squared):
        return transforms.gaussian(squared, self.sigma)[..., None]


class Sersic(AbstractLight):
    """Sersic profile, I ~ exp(-b (R / R_sersic)^(1 / n_sersic)).

    Args:
        R_sersic: radius that holds half of the light, exactly [arcsec].
        n_sersic: index, 0.3 to 10; a number or a prior.
    """

    domains: ClassVar = {"flux": NOT_NEGATIVE, "R_sersic": LENGTH, "n_sersic": SERSIC_INDEX}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    R_sersic: Any
    n_sersic: Any = 1.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.sersic(self.squared_radius(x, y), self.R_sersic, self.n_sersic)[..., None]


class CoreSersic(AbstractLight):
    """Sersic profile with a power law inside (Trujillo et al. 2004), R_sersic and n_sersic those of its outer part.

    I ~ (1 + (R_b / R)^a)^(g / a) exp(-b ((R^a + R_b^a) / R_sersic^a)^(1 / (a n))), b = b_n of the outer profile.

    Args:
        R_sersic: half-light radius of the outer profile without its core [arcsec].
        n_sersic: its index, 0.3 to 10.
        break_radius: R_b [arcsec].
        slope_inner: g, I ~ R^-g well inside the break, 0 <= g <= 1.
        sharpness: a of the transition, 0.5 to 10.
    """

    domains: ClassVar = {
        "flux": NOT_NEGATIVE,
        "R_sersic": LENGTH,
        "n_sersic": SERSIC_INDEX,
        "break_radius": LENGTH,
        "slope_inner": Domain(0.0, 1.0, "", True, True),
        "sharpness": Domain(0.5, 10.0, "", True, True),
    }
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    R_sersic: Any
    n_sersic: Any
    break_radius: Any
    slope_inner: Any
    sharpness: Any = 3.0
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        shape = self.R_sersic, self.n_sersic, self.break_radius, self.slope_inner, self.sharpness
        return radial.core_sersic(self.squared_radius(x, y), *shape)[..., None]


class Exponential(AbstractLight):
    """Exponential disc, Sersic of n = 1; R_sersic = 1.678 scale lengths holds half of its light [arcsec]."""

    domains: ClassVar = {"flux": NOT_NEGATIVE, "R_sersic": LENGTH}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    R_sersic: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.sersic(self.squared_radius(x, y), self.R_sersic, 1.0)[..., None]

    def transform(self, squared):
        return transforms.exponential(squared, self.R_sersic)[..., None]


class DeVaucouleurs(AbstractLight):
    """De Vaucouleurs' profile, Sersic of n = 4; R_sersic holds half of its light [arcsec]."""

    domains: ClassVar = {"flux": NOT_NEGATIVE, "R_sersic": LENGTH}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    R_sersic: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.sersic(self.squared_radius(x, y), self.R_sersic, 4.0)[..., None]


class Moffat(AbstractLight):
    """Moffat profile, I = flux (exponent - 1) / (pi s^2) (1 + R^2 / s^2)^-exponent.

    Args:
        scale_radius: s [arcsec]; half of the light lies within s (2^(1 / (exponent - 1)) - 1)^(1/2).
        exponent: > 1.
    """

    domains: ClassVar = {"flux": NOT_NEGATIVE, "scale_radius": LENGTH, "exponent": Domain(1.0, float("inf"))}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    scale_radius: Any
    exponent: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.moffat(self.squared_radius(x, y), self.scale_radius, self.exponent)[..., None]


class UniformDisc(AbstractLight):
    """Uniform inside `radius` [arcsec]. On pixels its edge has no gradient; `visibilities` is smooth."""

    domains: ClassVar = {"flux": NOT_NEGATIVE, "radius": LENGTH}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    radius: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.annulus(self.squared_radius(x, y), 0.0, self.radius)[..., None]

    def transform(self, squared):
        return transforms.annulus(squared, 0.0, self.radius)[..., None]


class Ring(AbstractLight):
    """Uniform between inner_radius and inner_radius + width [arcsec]. On pixels its edges have no gradient."""

    domains: ClassVar = {"flux": NOT_NEGATIVE, "inner_radius": CORE, "width": LENGTH}
    n_columns: ClassVar[int] = 1
    flux: Any = eqx.field(converter=as_flux)
    inner_radius: Any
    width: Any
    e1: Any = None
    e2: Any = None
    center_x: Any = 0.0
    center_y: Any = 0.0
    axis_ratio: Any = None
    position_angle: Any = None

    def columns(self, x, y):
        return radial.annulus(self.squared_radius(x, y), self.inner_radius, self.width)[..., None]

    def transform(self, squared):
        return transforms.annulus(squared, self.inner_radius, self.width)[..., None]


LIGHT_PROFILES = {
    "Gaussian": Gaussian,
    "Sersic": Sersic,
    "CoreSersic": CoreSersic,
    "Exponential": Exponential,
    "DeVaucouleurs": DeVaucouleurs,
    "Moffat": Moffat,
    "UniformDisc": UniformDisc,
    "Ring": Ring,
}
"""Names in a simulation file."""
