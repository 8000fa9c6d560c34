"""Emission elsewhere in the field, taken out of the data before they are reduced.

    minimise  sum_k w_k |V_k - sum_j f_j M_jk - sum_i s_i exp(2 pi i u_k.x_i)|^2,   M_jk = g_j(u_k) exp(2 pi i u_k.x_j)

over the fluxes f_j of points and Gaussians and any sky s inside the mask, whose sidelobes would bias them. g = 1 for a
point, exp(-(pi FWHM |u|)^2 / (4 ln 2)) for a Gaussian. Fluxes are apparent ones, primary beam not divided out.
"""

import dataclasses

import numpy as np

from .conventions import ARCSEC
from .data.stream import VisibilityStream
from .emission import DirtySums, dirty_sums, sky_on_pixels, survey_grid
from .errors import InputError
from .nufft import type1
from .outside import pixels_of
from .schema import Section, as_list

_ROUNDS = 30
_CONVERGED = 0.02
"""Errors of the flux."""


@dataclasses.dataclass(frozen=True)
class Component:
    """A point, or a circular Gaussian.

    Args:
        x, y: offset East, North of the phase centre [arcsec].
        fwhm: of the Gaussian [arcsec], 0 for a point.
    """

    x: float
    y: float
    fwhm: float = 0.0

    def visibilities(self, u, v):
        """Of 1 Jy, shape (K,)."""
        phase = np.exp(2j * np.pi * ARCSEC * (u * self.x + v * self.y))
        if self.fwhm == 0.0:
            return phase
        return phase * np.exp(-((np.pi * self.fwhm * ARCSEC) ** 2) * (u**2 + v**2) / (4.0 * np.log(2.0)))

    def describe(self):
        """A few words."""
        kind = f'Gaussian of {self.fwhm:g}"' if self.fwhm else "point"
        return f"{kind} at [{self.x:g}, {self.y:g}]"


def fit_components(data, components, mask):
    """Fluxes of components together with the sky inside a mask.

    Args:
        data: Visibilities.
        components: list of Component, none inside the mask.
        mask: Mask.

    Returns:
        (fluxes, errors), each of shape (len(components),) [Jy]; the errors hold for a known sky inside the mask.

    Raises:
        InputError: components inside the mask, or two that the data cannot tell apart.
    """
    good = data.unflagged()
    x0, y0 = mask.grid.center
    width = 2.0 * max(np.abs(mask.x - x0).max(), np.abs(mask.y - y0).max()) + 6.0 * mask.grid.pixel_scale
    part, grid = survey_grid(good, width, mask.grid.center)
    kept, sums = pixels_of(mask, grid), dirty_sums(part, grid)
    if not kept.any():
        raise InputError(f"{data.name}: subtract: the mask has no pixel in the field")
    for one in components:
        if np.hypot(mask.x - one.x, mask.y - one.y).min() <= mask.grid.pixel_scale:
            raise InputError(f"{data.name}: subtract: the {one.describe()} lies inside the mask")
    models = np.array([one.visibilities(part.u, part.v) for one in components])
    weighted = part.weight * models
    gram = (weighted.conj() @ models.T).real
    scale = np.sqrt(np.diag(gram))
    if np.linalg.cond(gram / np.outer(scale, scale)) > 1e6:
        raise InputError(f"{data.name}: subtract: the data cannot tell the components apart")
    images = type1(part.u, part.v, weighted, grid, eps=1e-7).real
    projected, inverse = (weighted.conj() @ part.vis).real, np.linalg.inv(gram)
    errors, flux = np.sqrt(np.diag(inverse)), inverse @ projected
    for _ in range(_ROUNDS):
        rest = DirtySums(grid, sums.dirty - np.tensordot(flux, images, 1), sums.kernel)
        sky = sky_on_pixels(rest, kept)
        before, flux = flux, inverse @ (projected - np.tensordot(images, sky, 2))
        if np.all(np.abs(flux - before) < _CONVERGED * errors):
            return flux, errors
    raise InputError(f"{data.name}: subtract: the components cannot be told from emission in the mask; a patch there")


def subtract_components(data, components, mask, note=lambda _: None):
    """Data without components, whose fluxes `fit_components` finds; `note` gets a sentence with flux and error."""
    if not components:
        return data
    if isinstance(data, VisibilityStream):
        raise InputError(f"{data.name}: subtract needs all data in memory; average the data first, or use a patch")
    fluxes, errors = fit_components(data, components, mask)
    vis = data.vis.copy()
    for one, flux, error in zip(components, fluxes, errors):
        vis -= flux * one.visibilities(data.u, data.v)
        said = f"{1e3 * flux:.4g} +- {1e3 * error:.2g} mJy (apparent, {flux / error:.1f} sigma)"
        note(f"{data.name}: subtracted the {one.describe()}: {said}")
    return dataclasses.replace(data, vis=vis)


def parse_components(value, name):
    """Tuple of Component from a `subtract:` list."""
    found = []
    for i, item in enumerate(as_list(value, name)):
        section = Section(item, f"{name}.{i}")
        if list(section.value) == ["point"]:
            found.append(Component(*section.numbers("point", 2)))
        elif list(section.value) == ["gaussian"]:
            inner = section.section("gaussian")
            found.append(Component(*inner.numbers("center", 2), inner.number("fwhm", positive=True)))
            inner.finish()
        else:
            expected = "{point: [x, y]} or {gaussian: {center: [x, y], fwhm: arcsec}}"
            raise InputError(
                f"{section.path}: expected {expected}, got {', '.join(map(str, section.value)) or 'nothing'}"
            )
    return tuple(found)
