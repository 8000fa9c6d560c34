"""Simulation files of images: from YAML to a synthetic `Imaging`.

image: {shape: [120, 120], pixel_scale: 0.05, psf: {gaussian: 0.1}}     # or psf: psf.fits; also center: [x, y]
exposure_time: 2000                         # s
noise: {background_rms: 0.01}               # electron/s per pixel; or {background_sky:, read_noise:}
phase_center: {ra: 09h46m56.68s, dec: +10d06m52.8s}       # of (x, y) = (0, 0); optional
over_sampling: {sizes: [32, 8, 4], radii: [0.1, 0.3], centers: [[0, 0]]}      # default: 8 x 8 everywhere
seed: 1
lens: {mass: [...], light: [{profile: Sersic, flux: 300, ...}]}      # numbers only; fluxes in electron/s
source: {light: [{profile: Sersic, flux: 20, ...}]}
"""

import dataclasses
from pathlib import Path

from ..data.image_files import read_plane
from ..data.imaging import Imaging
from ..data.psf import prepare_psf
from ..errors import InputError
from ..oversampling import parse_over_sampling
from ..schema import Section
from .image import observe_image
from .truth import parse_truth


@dataclasses.dataclass(frozen=True)
class ImageSimulation:
    """A checked simulation file of an image.

    Attributes:
        sky: (x, y) -> surface brightness [electron/s/arcsec^2].
        truth: every number of the lens and the source by path, as in a model file.
        settings: arguments of `observe_image`.
    """

    sky: object
    truth: dict
    settings: dict

    def run(self) -> Imaging:
        """Observe."""
        return observe_image(self.sky, **self.settings)


def parse_image_simulation(root, folder):
    """An ImageSimulation from the Section of a whole file."""
    if root.get("array") is not None:
        raise InputError("image: a file simulates an image or an array's visibilities; make two files, with one lens")
    settings = _settings(root, Path(folder))
    sky, truth = parse_truth(root, folder)
    root.finish()
    return ImageSimulation(sky, truth, settings)


def _settings(root, folder):
    from ..wcs import sky_position

    image = root.section("image")
    shape = image.numbers("shape", 2)
    settings = {
        "pixel_scale": image.number("pixel_scale", positive=True),
        "shape": tuple(int(n) if n == int(n) else n for n in shape),
        "center": image.numbers("center", 2, [0.0, 0.0]),
        "psf": _psf(image.require("psf"), image.name("psf"), folder),
        "exposure_time": root.number("exposure_time", positive=True),
        "seed": root.integer("seed", 1, lowest=0),
        "name": root.text("name", "simulation"),
    }
    image.finish()
    if root.get("over_sampling") is not None:
        settings["over_sampling"] = parse_over_sampling(root)
    center = root.get("phase_center")
    if center is not None:
        place = Section(center, "phase_center")
        settings["reference_position"] = sky_position(place.require("ra"), place.require("dec"), "phase_center")
        place.finish()
    noise = root.section("noise")
    for key in ("background_rms", "background_sky", "read_noise"):
        if noise.get(key) is not None:
            settings[key] = noise.number(key, positive=True)
    noise.finish()
    return settings


def _psf(value, name, folder):
    if isinstance(value, dict):
        section = Section(value, name)
        width = section.number("gaussian", positive=True)
        section.finish()
        return width
    if not isinstance(value, str):
        raise InputError(f"{name}: expected a FITS file or {{gaussian: FWHM in arcsec}}, got {value!r}")
    return prepare_psf(read_plane(folder / value, None, ("PSF",))[0])[0]
