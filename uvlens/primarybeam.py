"""Primary beams: the power pattern A(x) of a pair of dishes, which multiplies the sky of every visibility.

GaussianBeam      exp(-4 ln 2 r^2 / FWHM^2), FWHM = 1.13 lambda / D (ALMA Technical Handbook; SMA and NOEMA close to it)
AiryBeam          [(J(x) - e^2 J(e x)) / (1 - e^2)]^2, x = pi D nu r / c, e = b / D: a disc D with a blocked centre b
CasaAiryBeam      [(A J(x) - J(x D / b)) / (A - 1)]^2, A = (D / b)^2: what CASA simulates and divides by (see below)
FixedBeam         a Gaussian of a given FWHM, at one frequency or at all
FitsBeam          a picture of the power pattern

with J(x) = 2 J1(x) / x and r the distance from the pointing centre. Between antennas of two kinds A = sqrt(A_1 A_2).
CASA's form has the length ratio upside down in its second term (PBMath1DAiry), a cusp of 1 % at the centre: right for
data that CASA simulated, wrong for a telescope.
"""

import abc
import dataclasses
import functools

import numpy as np
import scipy.optimize
import scipy.special

from .conventions import ARCSEC, SPEED_OF_LIGHT
from .errors import InputError

FWHM_FACTOR = 1.13
"""FWHM of a Gaussian power pattern in lambda / D."""


class AbstractPrimaryBeam(abc.ABC):
    """A power pattern, 1 in its middle."""

    @abc.abstractmethod
    def power(self, x, y, frequency):
        """A at offsets x, y [arcsec] from the pointing centre, at one frequency [Hz] (None where it is not known)."""

    @abc.abstractmethod
    def describe(self):
        """A few words."""

    @abc.abstractmethod
    def to_dict(self):
        """Small JSON values from which `beam_from_dict` makes it again."""

    def fwhm(self, frequency):
        """Full width at half maximum along x [arcsec]."""
        if frequency is None:
            raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")

        def excess(log_radius):
            return float(self.power(np.exp(log_radius), 0.0, frequency)) - 0.5

        grid = np.linspace(np.log(0.01), np.log(1e6), 400)
        below = np.flatnonzero([excess(r) < 0.0 for r in grid])
        if not len(below) or below[0] == 0:
            raise InputError(f"the primary beam ({self.describe()}) has no half maximum")
        return 2.0 * float(np.exp(scipy.optimize.brentq(excess, grid[below[0] - 1], grid[below[0]])))

    def groups(self, antenna1, antenna2):
        """[(beam, which)]: the baselines (boolean, None: all) that share a pattern."""
        return [(self, None)]


@dataclasses.dataclass(frozen=True)
class GaussianBeam(AbstractPrimaryBeam):
    """Gaussian of FWHM 1.13 lambda / diameter [m]."""

    diameter: float

    def power(self, x, y, frequency):
        return gaussian_power(x, y, self.fwhm(frequency))

    def fwhm(self, frequency):
        if frequency is None:
            raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")
        return FWHM_FACTOR * SPEED_OF_LIGHT / (frequency * self.diameter) / ARCSEC

    def describe(self):
        return f"Gaussian, FWHM 1.13 lambda / {self.diameter:g} m"

    def to_dict(self):
        return {"gaussian_diameter": self.diameter}


@dataclasses.dataclass(frozen=True)
class FixedBeam(AbstractPrimaryBeam):
    """Gaussian of a width [arcsec] that holds at `frequency` [Hz] and goes as 1 / frequency; None: the same at all."""

    width: float
    frequency: float | None = None

    def __post_init__(self):
        if not 0.0 < self.width < np.inf:
            raise InputError(f"the FWHM of a primary beam must be a positive number of arcsec, got {self.width}")

    def power(self, x, y, frequency):
        return gaussian_power(x, y, self.fwhm(frequency))

    def fwhm(self, frequency):
        if self.frequency is None:
            return self.width
        if frequency is None:
            raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")
        return self.width * self.frequency / frequency

    def describe(self):
        return f'Gaussian, FWHM {self.width:.4g}"' + (f" at {self.frequency / 1e9:.4g} GHz" if self.frequency else "")

    def to_dict(self):
        return {"gaussian_fwhm": self.width, "frequency": self.frequency}


@dataclasses.dataclass(frozen=True)
class AiryBeam(AbstractPrimaryBeam):
    """Uniformly lit disc of a diameter with a blocked centre [m]."""

    diameter: float
    blockage: float = 0.0

    def power(self, x, y, frequency):
        if frequency is None:
            raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")
        radius = np.hypot(x, y) * ARCSEC
        argument = np.pi * self.diameter * frequency / SPEED_OF_LIGHT * radius
        ratio = self.blockage / self.diameter
        return ((_jinc(argument) - ratio**2 * _jinc(ratio * argument)) / (1.0 - ratio**2)) ** 2

    def describe(self):
        return f"Airy, {self.diameter:g} m with {self.blockage:g} m blocked"

    def to_dict(self):
        return {"airy_diameter": self.diameter, "blockage": self.blockage}


@dataclasses.dataclass(frozen=True)
class CasaAiryBeam(AbstractPrimaryBeam):
    """The Airy pattern as CASA codes it; diameter and blockage in m (10.7 and 0.75 for ALMA, 6.25 and 0.75 at 7 m)."""

    diameter: float
    blockage: float

    def power(self, x, y, frequency):
        if frequency is None:
            raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")
        arcmin, ghz = np.hypot(x, y) / 60.0, frequency / 1e9
        argument = 7.016 / (1.566 * 60.0) * self.diameter / 24.5 * arcmin * ghz
        ratio = self.diameter / self.blockage
        return ((ratio**2 * _jinc(argument) - _jinc(ratio * argument)) / (ratio**2 - 1.0)) ** 2

    def describe(self):
        return f"CASA's Airy, {self.diameter:g} m with {self.blockage:g} m blocked"

    def to_dict(self):
        return {"casa_airy_diameter": self.diameter, "blockage": self.blockage}


@dataclasses.dataclass(frozen=True)
class FitsBeam(AbstractPrimaryBeam):
    """A FITS image of the power pattern, its reference pixel on the pointing centre, North up.

    Used as it is at all frequencies, or scaled as 1 / frequency if `frequency` [Hz] says where it holds (the header's
    RESTFRQ or a FREQ axis is not trusted for this). Outside the image the beam is 0.
    """

    path: str
    frequency: float | None = None

    def power(self, x, y, frequency):
        from scipy.ndimage import map_coordinates

        image, step, reference = _read_beam(self.path)
        stretch = 1.0
        if self.frequency is not None:
            if frequency is None:
                raise InputError(f"the primary beam ({self.describe()}) needs the frequency, which is not known")
            stretch = frequency / self.frequency
        column = reference[0] + np.asarray(x) * stretch / step[0]
        row = reference[1] + np.asarray(y) * stretch / step[1]
        shape = np.broadcast_shapes(np.shape(column), np.shape(row))
        where = np.stack([np.broadcast_to(a, shape).ravel() for a in (row, column)])
        return map_coordinates(image, where, order=3, mode="constant", cval=0.0).reshape(shape)

    def describe(self):
        return f"FITS image {self.path}"

    def to_dict(self):
        return {"fits": self.path, "frequency": self.frequency}


@dataclasses.dataclass(frozen=True)
class PairBeam(AbstractPrimaryBeam):
    """Between antennas of two kinds: the geometric mean of their power patterns."""

    first: AbstractPrimaryBeam
    second: AbstractPrimaryBeam

    def power(self, x, y, frequency):
        product = self.first.power(x, y, frequency) * self.second.power(x, y, frequency)
        return np.sqrt(np.maximum(product, 0.0))

    def describe(self):
        return f"({self.first.describe()}) with ({self.second.describe()})"

    def to_dict(self):
        return {"pair": [self.first.to_dict(), self.second.to_dict()]}


@dataclasses.dataclass(frozen=True)
class MixedBeam(AbstractPrimaryBeam):
    """Antennas of several kinds.

    Args:
        beams: of the kinds.
        kind: number of the kind of each antenna, by antenna number.
    """

    beams: tuple[AbstractPrimaryBeam, ...]
    kind: tuple[int, ...]

    def power(self, x, y, frequency):
        raise InputError("the antennas are of several kinds: their beam needs antenna numbers")

    def fwhm(self, frequency):
        return max(beam.fwhm(frequency) for beam in self.beams)

    def groups(self, antenna1, antenna2):
        if antenna1 is None or antenna2 is None:
            raise InputError("the antennas are of several kinds, and the data have no antenna numbers")
        if max(antenna1.max(), antenna2.max()) >= len(self.kind):
            raise InputError(f"the primary beam knows {len(self.kind)} antennas, the data have more")
        kind, n = np.array(self.kind), len(self.beams)
        a, b = kind[antenna1], kind[antenna2]
        pair = np.minimum(a, b) * n + np.maximum(a, b)
        found = []
        for code in np.unique(pair):
            first, second = self.beams[code // n], self.beams[code % n]
            found.append((first if first == second else PairBeam(first, second), pair == code))
        return found

    def describe(self):
        return "; ".join(beam.describe() for beam in self.beams)

    def to_dict(self):
        return {"mixed": [beam.to_dict() for beam in self.beams], "kind": list(self.kind)}


NAMED_BEAMS = {
    "alma12m": GaussianBeam(12.0),
    "alma7m": GaussianBeam(7.0),
    "sma": GaussianBeam(6.0),
    "casa12m": CasaAiryBeam(10.7, 0.75),
    "casa7m": CasaAiryBeam(6.25, 0.75),
}
"""What `primary_beam:` of a model file may name."""


def beam_of_dishes(diameters):
    """The Gaussian beam of dishes with these diameters [m], by antenna number; None where one is not known."""
    diameters = np.asarray(diameters, dtype=float)
    if not len(diameters) or not np.all(np.isfinite(diameters) & (diameters > 0.0)):
        return None
    kinds, kind = np.unique(diameters, return_inverse=True)
    beams = tuple(GaussianBeam(float(diameter)) for diameter in kinds)
    return beams[0] if len(beams) == 1 else MixedBeam(beams, tuple(int(k) for k in kind))


def beam_from_dict(values):
    """The beam that `to_dict` described, None for None.

    Raises:
        InputError: a description that no release wrote.
    """
    if values is None:
        return None
    if "mixed" in values:
        return MixedBeam(tuple(map(beam_from_dict, values["mixed"])), tuple(values["kind"]))
    if "pair" in values:
        return PairBeam(*map(beam_from_dict, values["pair"]))
    for key, kind in (
        ("gaussian_diameter", GaussianBeam),
        ("gaussian_fwhm", FixedBeam),
        ("airy_diameter", AiryBeam),
        ("casa_airy_diameter", CasaAiryBeam),
        ("fits", FitsBeam),
    ):
        if key in values:
            return kind(*values.values())
    raise InputError(f"a primary beam that this release does not know: {values}")


def gaussian_power(x, y, fwhm):
    """exp(-4 ln 2 (x^2 + y^2) / fwhm^2); x, y, fwhm in arcsec."""
    return np.exp(-4.0 * np.log(2.0) * (np.asarray(x) ** 2 + np.asarray(y) ** 2) / fwhm**2)


def _jinc(x):
    """2 J1(x) / x, 1 at 0."""
    x = np.asarray(x, dtype=float)
    safe = np.where(np.abs(x) < 1e-8, 1.0, x)
    return np.where(np.abs(x) < 1e-8, 1.0, 2.0 * scipy.special.j1(safe) / safe)


@functools.lru_cache(maxsize=8)
def _read_beam(path):
    """(image [row, column], step (x, y) [arcsec], reference pixel (x, y) from 0)."""
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            header, image = hdus[0].header, np.squeeze(np.asarray(hdus[0].data, dtype=float))
        step = tuple(float(header[f"CDELT{axis}"]) * 3600.0 for axis in (1, 2))
        reference = tuple(float(header[f"CRPIX{axis}"]) - 1.0 for axis in (1, 2))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a FITS image of a primary beam ({error})") from None
    if image.ndim != 2:
        raise InputError(f"{path}: a primary beam is one image, this file has shape {image.shape}")
    return np.nan_to_num(image), step, reference
