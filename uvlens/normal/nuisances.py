"""Calibration nuisances, linearised about a fiducial model and marginalised: a low-rank downdate of W.

    d_k = G_k M_k + n_k,   ln G_k = sum_j T_kj p_j,   p ~ N(0, Sigma)

with T_kj = +-i for the phases of the two antennas of k, 1 for their ln amplitudes and for a ln flux scale, 2 pi i
(u_k, v_k) for a shift. The data are divided by G of the current values p0 (weights times |G|^2); what is left,
delta = p - p0 ~ N(-p0, Sigma), is linear about the visibilities M0 of a fiducial model: d' = M + B delta + n', B_kj =
T_kj M0_k. So C' = C + B Sigma B^T, and by the matrix inversion lemma

    Q = Re(B^H C^-1 A),   b = Re(B^H C^-1 d'),   P = Re(B^H C^-1 B) + Sigma^-1,   c = b - Sigma^-1 p0
    W' = W - Q^T P^-1 Q = W - U^T U,      d~' = d~ - Q^T P^-1 c
    chi^2(0)' = chi^2(0) - c^T P^-1 c + p0^T Sigma^-1 p0,   ln det C' = ln det C + ln det Sigma + ln det P

The sums Q (m x N), b and P are made in one pass over the data (`calibrated.py`); a likelihood then costs the same for
any number of visibilities. Given a model image I, delta = P^-1 (c - Q I), with the covariance P^-1.
"""

import dataclasses
import functools
import hashlib

import numpy as np
import scipy.linalg

from ..errors import InputError
from .compensated import CompensatedSum

KINDS = ("antenna_phases", "antenna_amplitudes", "flux_scale", "shift_x", "shift_y")
"""In rad, ln, ln, arcsec, arcsec."""


@dataclasses.dataclass(frozen=True)
class Nuisances:
    """Which nuisances the data sets of a fit have, and the widths of their priors.

    Args:
        antenna_phases: rms of the phase of every antenna [degrees]; 0: none.
        antenna_amplitudes: rms of the ln amplitude of every antenna; 0: none.
        flux_scale: rms of the ln flux scale of a data set; 0: none.
        shift: rms of the shift of a data set along x and along y [arcsec]; 0: none.
        interval: seconds after which antennas get new phases and amplitudes; "scan": with every scan; None: never.

    Raises:
        InputError: a width that is negative or not finite, an interval that is not positive.
    """

    antenna_phases: float = 0.0
    antenna_amplitudes: float = 0.0
    flux_scale: float = 0.0
    shift: float = 0.0
    interval: float | str | None = None

    def __post_init__(self):
        for key in ("antenna_phases", "antenna_amplitudes", "flux_scale", "shift"):
            value = getattr(self, key)
            if not (isinstance(value, int | float) and 0.0 <= value < np.inf):
                raise InputError(f"nuisances.{key}: expected an rms >= 0, got {value!r}")
        is_length = isinstance(self.interval, int | float) and not isinstance(self.interval, bool)
        if self.interval not in (None, "scan") and not (is_length and 0.0 < self.interval < np.inf):
            raise InputError(f'nuisances.interval: expected seconds > 0 or "scan", got {self.interval!r}')

    def __bool__(self):
        return any((self.antenna_phases, self.antenna_amplitudes, self.flux_scale, self.shift))

    @property
    def sigmas(self):
        """Width of the prior of each kind that is there, in its unit."""
        values = (np.deg2rad(self.antenna_phases), self.antenna_amplitudes, self.flux_scale, self.shift, self.shift)
        return {kind: float(value) for kind, value in zip(KINDS, values) if value > 0.0}

    @property
    def of_antennas(self):
        """Whether antennas are among them."""
        return self.antenna_phases > 0.0 or self.antenna_amplitudes > 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class NuisanceTerm:
    """The m nuisances of one data set, as sums over its visibilities.

    Args:
        name: of the data set.
        keys: (kind, antenna, interval) of each; antenna -1 for what the whole data set has.
        sigma: widths of their priors, shape (m,).
        start: values p0 that the data were divided by, shape (m,).
        response: Q, shape (m, N).
        data: b, shape (m,).
        gram: Re(B^H C^-1 B), shape (m, m).
        fiducial: identifies the fiducial image.
        interval, origin: of Nuisances, and the time at which the first one in seconds begins [s].
    """

    name: str
    keys: tuple[tuple[str, int, int], ...]
    sigma: np.ndarray
    start: np.ndarray
    response: np.ndarray
    data: np.ndarray
    gram: np.ndarray
    fiducial: str
    interval: float | str | None = None
    origin: float | None = None

    def __len__(self):
        return len(self.keys)

    @property
    def precision(self):
        """P, shape (m, m)."""
        return self.gram + np.diag(self.sigma**-2.0)

    @functools.cached_property
    def _factor(self):
        """R, upper triangular in units of sigma: S P S = R^T R with S = diag(sigma)."""
        return scipy.linalg.cholesky(self.sigma[:, None] * self.precision * self.sigma, lower=False)

    @property
    def _pull(self):
        """c = b - Sigma^-1 p0."""
        return self.data - self.start / self.sigma**2

    def _solve(self, right):
        """P^-1 times an array of shape (m,) or (m, n)."""
        sigma = self.sigma if right.ndim == 1 else self.sigma[:, None]
        return sigma * scipy.linalg.cho_solve((self._factor, False), sigma * right)

    @functools.cached_property
    def downdate(self):
        """U with W' = W - U^T U, shape (m, N)."""
        return scipy.linalg.solve_triangular(self._factor, self.sigma[:, None] * self.response, trans="T")

    @functools.cached_property
    def dirty_change(self):
        """d~' - d~, shape (N,)."""
        return -self.response.T @ self._solve(self._pull)

    @property
    def null_change(self):
        """chi^2(0)' - chi^2(0)."""
        return float(np.sum((self.start / self.sigma) ** 2) - self._pull @ self._solve(self._pull))

    @property
    def log_det_change(self):
        """ln det C' - ln det C."""
        return 2.0 * float(np.sum(np.log(np.diagonal(self._factor))))

    def change(self, image):
        """delta at a model image (N,) [flux per pixel], shape (m,)."""
        return self._solve(self._pull - self.response @ np.asarray(image))

    def solve(self, image):
        """(values p, their covariance P^-1) given a model image (N,), shapes (m,) and (m, m)."""
        return self.start + self.change(image), self._solve(np.eye(len(self)))

    def spread(self, answers, covariance):
        """What the error of the source adds to that covariance, shape (m, m).

        Args:
            answers: Q L, shape (m, S).
            covariance: A'^-1 of the source, the nuisances marginalised, shape (S, S).
        """
        slope = self._solve(answers)
        return slope @ covariance @ slope.T

    def penalty(self, values):
        """p^T Sigma^-1 p."""
        return float(np.sum((values / self.sigma) ** 2))

    def chi_squared_change(self, image):
        """chi^2 at p - chi^2 at p0 of the same image, to second order in p - p0; penalties not counted."""
        delta, image = self.change(image), np.asarray(image)
        return float(delta @ (self.gram @ delta) - 2.0 * delta @ (self.data - self.response @ image))

    def restrict(self, chosen):
        """The same on some of the pixels."""
        return dataclasses.replace(self, response=np.ascontiguousarray(self.response[:, chosen]))

    def digest(self):
        """SHA-256 of what it was made from."""
        stated = repr((self.name, self.keys, self.sigma.tolist(), self.start.tolist(), self.fiducial))
        return hashlib.sha256(stated.encode()).hexdigest()


def marginalised(reduction, term, log_gains):
    """The Reduction of data divided by their gains, with the nuisances marginalised.

    Args:
        reduction: of one data set, divided by its gains.
        term: its NuisanceTerm.
        log_gains: CompensatedSum of 2 ln |G_k|^2, which takes the normalisation back to the undivided data.
    """
    return dataclasses.replace(
        reduction,
        dirty_image=reduction.dirty_image + term.dirty_change,
        null_chi_squared=reduction.null_chi_squared + CompensatedSum.of([term.null_change]),
        noise_normalization=reduction.noise_normalization + log_gains + CompensatedSum.of([term.log_det_change]),
        nuisances=(term,),
        hashes=tuple(hashlib.sha256((one + term.digest()).encode()).hexdigest() for one in reduction.hashes),
    )
