"""Simulation files: from YAML to synthetic visibilities (of an image: see `imagefile.py`).

array: alma.cycle10.4                       # a table that comes with the package, or {file: my_array.txt}
phase_center: {ra: 03h46m41.0s, dec: -52d05m02s}
hour_angle: [-0.5, 0.5]                     # hours
integration: 30                             # seconds
frequency: 343.5e9
bandwidth: 7.5e9
n_channels: 4
noise: {tsys: 120}                          # kelvin; or {sefd: Jy}, {sigma: Jy per visibility}
seed: 1
sky: {size: 8.0, pixel_scale: 0.02}         # of the model image [arcsec]; or {fits: sky.fits}
lens: ...                                   # as in a model file, numbers only
source: {light: [{profile: Gaussian, flux: 0.004, sigma: 0.1, center_x: 0.1, center_y: 0.0}]}
"""

import dataclasses
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..grid import MAXIMUM_SIDE, PixelGrid
from ..schema import Section, load_yaml
from .arrays import Array
from .observe import observe
from .sky import lensed_image, read_fits_sky
from .truth import parse_truth

_OBSERVATION = {
    "declination": None,
    "frequency": 345e9,
    "bandwidth": 7.5e9,
    "integration": 30.0,
    "efficiency": 1.0,
    "aperture_efficiency": 0.7,
    "min_elevation": 20.0,
}


@dataclasses.dataclass(frozen=True)
class Simulation:
    """A checked simulation file.

    Attributes:
        sky: (image, pixel_scale, center), Jy/pixel.
        truth: every number of the lens and the source by path, as in a model file; empty for a FITS sky.
        array, settings: arguments of `observe`.
    """

    sky: tuple
    truth: dict
    array: Array
    settings: dict

    def run(self):
        """Observe: Visibilities."""
        return observe(self.sky, self.array, **self.settings)


def read_simulation(path):
    """Read and check a simulation file."""
    path = Path(path)
    return parse_simulation(load_yaml(path), path.parent)


def parse_simulation(content, folder="."):
    """A Simulation (an ImageSimulation where it has `image:`) from its mapping; files are looked up in `folder`."""
    root = Section(content)
    if root.get("image") is not None:
        from .imagefile import parse_image_simulation

        return parse_image_simulation(root, folder)
    array, settings = parse_observation(root, folder)
    sky = root.section("sky", {})
    if sky.get("fits") is not None:
        image, truth = read_fits_sky(Path(folder) / sky.text("fits")), {}
    else:
        image, truth = _lensed_sky(root, sky, folder)
    sky.finish()
    root.finish()
    return Simulation(image, truth, array, settings)


def parse_observation(root, folder="."):
    """(Array, arguments of `observe`) of the Section of a whole file, whatever the sky."""
    return _array(root.require("array"), Path(folder)), _settings(root)


def _array(value, folder):
    if isinstance(value, dict):
        section = Section(value, "array")
        file = folder / section.text("file")
        section.finish()
        return Array.read(file)
    return Array.named(str(value))


def _settings(root):
    settings = {}
    for key, default in _OBSERVATION.items():
        if root.get(key) is not None or default is not None:
            settings[key] = root.number(key, default)
    settings["hour_angle"] = root.numbers("hour_angle", 2, [-1.0, 1.0])
    settings["n_channels"] = root.integer("n_channels", 1)
    settings["n_polarizations"] = root.integer("n_polarizations", 2)
    settings["seed"] = root.integer("seed", 1, lowest=0)
    settings["primary_beam"] = root.boolean("primary_beam", True)
    settings["name"] = root.text("name", "simulation")
    center = root.get("phase_center")
    if center is not None:
        from ..wcs import sky_position

        section = Section(center, "phase_center")
        settings["phase_center"] = sky_position(section.require("ra"), section.require("dec"), "phase_center")
        section.finish()
    noise = root.section("noise")
    kinds = [kind for kind in ("tsys", "sefd", "sigma") if noise.get(kind) is not None]
    if len(kinds) != 1:
        raise InputError("noise: give one of tsys (K), sefd (Jy), sigma (Jy per visibility)")
    settings[kinds[0]] = noise.number(kinds[0], positive=True)
    noise.finish()
    return settings


def _lensed_sky(root, sky, folder):
    brightness, truth = parse_truth(root, folder)
    size, scale = sky.number("size", 8.0, positive=True), sky.number("pixel_scale", 0.02, positive=True)
    if size / scale > MAXIMUM_SIDE:
        raise InputError(f'sky: {size:.3g}" in pixels of {scale:.3g}": more than {MAXIMUM_SIDE} a side')
    side = int(np.ceil(size / scale))
    grid = PixelGrid((side, side), scale, sky.numbers("center", 2, [0.0, 0.0]))
    image = lensed_image(lambda x, y: (x, y), brightness, grid)
    return (image, grid.pixel_scale, grid.center), truth
