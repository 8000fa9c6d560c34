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

import jax.numpy as jnp
import numpy as np

from ..errors import InputError
from ..grid import MAXIMUM_SIDE, PixelGrid
from ..light import LIGHT_PROFILES
from ..parameters import Parameters
from ..parse import parse_component, parse_lens
from ..schema import Section, as_list, as_number, load_yaml
from .arrays import Array
from .observe import observe
from .sky import lensed_image, read_fits_sky

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
    array = _array(root.require("array"), Path(folder))
    settings = _settings(root)
    sky = root.section("sky", {})
    if sky.get("fits") is not None:
        image, truth = read_fits_sky(Path(folder) / sky.text("fits")), {}
    else:
        image, truth = _lensed_sky(root, sky)
    sky.finish()
    root.finish()
    return Simulation(image, truth, array, settings)


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


def _lensed_sky(root, sky):
    lens = parse_lens(root.require("lens"), "lens")
    source = root.section("source")
    redshift = source.get("redshift")
    if redshift is not None:
        redshift = as_number(redshift, "source.redshift", positive=True)
    items = as_list(source.require("light"), "source.light")
    light = [parse_component(Section(item, f"source.light.{i}"), LIGHT_PROFILES) for i, item in enumerate(items)]
    source.finish()
    if not light:
        raise InputError("source.light: expected at least one profile")
    parameters = Parameters({"lens": lens, "source": {"light": light}})
    if len(parameters):
        raise InputError(f"{parameters.paths[0]}: a simulation needs a number, not a prior")
    filled = parameters.fill(jnp.zeros(0))
    lens, light = filled["lens"], filled["source"]["light"]
    size, scale = sky.number("size", 8.0, positive=True), sky.number("pixel_scale", 0.02, positive=True)
    if size / scale > MAXIMUM_SIDE:
        raise InputError(f'sky: {size:.3g}" in pixels of {scale:.3g}": more than {MAXIMUM_SIDE} a side')
    side = int(np.ceil(size / scale))
    grid = PixelGrid((side, side), scale, sky.numbers("center", 2, [0.0, 0.0]))

    def brightness(x, y):
        return sum(np.asarray(profile.brightness(x, y)) for profile in light)

    image = lensed_image(lens.ray_trace, brightness, grid)
    truth = {path: float(value) for path, value in parameters.values(jnp.zeros(0)).items()}
    truth["source.flux"] = sum(float(profile.flux) for profile in light)
    if redshift is not None:
        truth["source.redshift"] = float(redshift)
    return (image, grid.pixel_scale, grid.center), truth
