"""COOLEST (Galan et al. 2023, JOSS 8, 5567): a model as one JSON template, FITS files beside it, both ways.

The standard was made for images: it asks for electrons per second, a pixel size and a PSF. Of an interferometer the
pixels are those of the image plane of the fit, the PSF is the synthesized beam where it is given, and `meta` says the
unit, and what was observed, under "interferometry". No package is needed to write or read; `coolest` opens the result.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import __version__
from ..errors import InputError
from ..files import save_json
from ..grid import Mask
from ..lens.plane import LensPlane
from . import coolest_grids as grids
from .components import fields_of, lights_of, make, masses_of
from .coolest_context import cosmology_entry, facts, origin_text, read_cosmology, read_origin, redshifts, summary, units
from .coolest_grids import IrregularPixels, RegularPixels
from .coolest_profiles import CODE, FIELDS, light_from, light_to, mass_from, mass_to, statistics_of, value_of


class Coolest(NamedTuple):
    """What a template holds.

    Attributes:
        planes: LensPlanes in order of redshift, with their light.
        sources: light components, RegularPixels and IrregularPixels of what lies behind.
        source_redshift: of the source.
        cosmology: an astropy FlatLambdaCDM, or None.
        origin: (ra, dec) of (0, 0) [deg].
        meta: of the template.
    """

    planes: tuple[LensPlane, ...]
    sources: tuple
    source_redshift: float | None
    cosmology: Any
    origin: tuple[float, float]
    meta: dict


def write_coolest(
    path,
    lens,
    sources=(),
    *,
    lens_light=(),
    redshift=None,
    source_redshift=None,
    cosmology=None,
    data=None,
    grid=None,
    image=None,
    psf=None,
    beam=None,
    noise=None,
    phase_center=None,
    unit="Jy",
    result=None,
    meta=None,
):
    """Write a template; returns its path.

    Args:
        path: of the .json file; FITS files go beside it under its stem.
        lens: a LensPlane, a Lens of one plane, or mass components.
        sources: light components, RegularPixels or IrregularPixels.
        lens_light: light components of the lens.
        redshift, source_redshift: of lens and source; None: those of `lens`, where it has them.
        cosmology: anything with H0 and Om0, flat LambdaCDM; None leaves it open.
        data: Visibilities (or a list), for what `meta` says of the observation.
        grid: Mask or PixelGrid of the image plane. Without it the instrument has pixels of 1 arcsec and no field.
        image, psf: a picture of the data (dirty image [unit / beam]) and of the beam on pixels of the same scale.
        beam: with major, minor [arcsec]; in the place of psf, its geometric mean as the FWHM.
        noise: its standard deviation in the picture: a number, or a picture (which lenstronomy needs to open it).
        phase_center: (ra, dec) [deg] of (0, 0); None: that of the data.
        unit: of fluxes; sources on pixels are written in `unit` per pixel of the image plane.
        result: a Result, its `summary`, or its folder: posterior statistics of the parameters.
        meta: entries added to "meta".

    Raises:
        InputError: a profile that the standard has no counterpart for, several planes, numbers that are missing.
    """
    path = _json_path(path)
    grid = grid.grid if isinstance(grid, Mask) else grid
    redshift, source_redshift, cosmology = redshifts(lens, redshift, source_redshift, cosmology)
    data = [] if data is None else list(data) if isinstance(data, list | tuple) else [data]
    if phase_center is None:
        phase_center = next((one.phase_center for one in data if one.phase_center is not None), None)
    pixel_size = 1.0 if grid is None else grid.pixel_scale
    writer = _Writer(path, summary(result), pixel_size, phase_center, unit)
    masses = [mass_to(*fields_of(one)) for one in masses_of(lens)]
    galaxy = [(i, one) for i, one in enumerate(masses) if one[0] not in FIELDS]
    field = [(i, one) for i, one in enumerate(masses) if one[0] in FIELDS]
    entities = [writer.entity("Galaxy", "lens", redshift, galaxy, lights_of(tuple(lens_light)), "lens.light", 0)]
    if field:
        entities.append(writer.entity("MassField", "external field", redshift, field, (), "", len(entities)))
    if sources:
        entities.append(writer.entity("Galaxy", "source", source_redshift, (), sources, "source.light", len(entities)))
    template = {
        "standard": CODE,
        "mode": "MAP",
        "coordinates_origin": origin_text(phase_center),
        "cosmology": cosmology_entry(cosmology),
        "lensing_entities": entities,
        "observation": writer.observation(grid, image, noise),
        "instrument": writer.instrument(psf, beam),
        "likelihoods": None,
        "meta": {"modeling_code": f"uvlens {__version__}", "units": units(unit), **facts(data), **(meta or {})},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_json(path, template)
    return path


def read_coolest(path):
    """A Coolest from a template.

    Raises:
        InputError: no template, a profile that has no counterpart, a file that it refers to and that is not there.
    """
    path = _json_path(path)
    try:
        template = json.loads(path.read_text())
        entities = template["lensing_entities"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a {CODE} template ({error})") from None
    pixel_area = float((template.get("instrument") or {}).get("pixel_size") or 1.0) ** 2
    planes, lights, sources = {}, {}, []
    furthest = max((e["redshift"] for e in entities if e["redshift"] is not None), default=None)
    for entity in entities:
        z, mass = entity["redshift"], entity.get("mass_model") or []
        behind = not mass and (z is None or z == furthest)
        found = [_read_light(path.parent, one, pixel_area) for one in entity.get("light_model") or []]
        if behind:
            sources += found
            continue
        planes.setdefault(z, []).extend(_read_mass(one) for one in mass)
        lights.setdefault(z, []).extend(found)
    order = sorted(planes, key=lambda z: -1.0 if z is None else z)
    behind = [e["redshift"] for e in entities if not e.get("mass_model")]
    return Coolest(
        tuple(LensPlane(planes[z], z, lights[z]) for z in order),
        tuple(sources),
        furthest if furthest in behind else None,
        read_cosmology(template.get("cosmology")),
        read_origin(template.get("coordinates_origin") or {}),
        template.get("meta") or {},
    )


class _Writer:
    """What all entries of one template share."""

    def __init__(self, path, summary, pixel_size, phase_center, unit):
        self.path, self.summary, self.pixel_size = path, summary, pixel_size
        self.phase_center, self.unit = phase_center, unit

    def entity(self, kind, name, redshift, masses, lights, light_path, number):
        """A Galaxy or MassField; `masses` are pairs (number in the model, (type, values))."""
        entry = {"type": kind, "name": name, "redshift": redshift}
        short = kind.lower()
        entry["mass_model"] = [
            self._profile(one, f"lens.mass.{i}", f"{number}-{short}-mass-{j}") for j, (i, one) in enumerate(masses)
        ]
        if kind == "Galaxy":
            entry["light_model"] = [
                self._light(one, f"{light_path}.{j}", f"{number}-{short}-light-{j}") for j, one in enumerate(lights)
            ]
        return entry

    def observation(self, grid, image, noise):
        if grid is None:
            nothing = {"fits_file": {"path": None}, "field_of_view_x": [0, 0], "field_of_view_y": [0, 0]}
            pixels = nothing | {"num_pix_x": 0, "num_pix_y": 0}
        elif image is None:
            pixels = {"fits_file": {"path": None}, **grids.regular_entry(grid)}
        else:
            pixels = grids.write_regular(self._beside("image"), image, grid, self.phase_center, f"{self.unit}/beam")
        level: dict[str, Any] = {"type": None}
        if np.ndim(noise) == 2:
            picture = grids.write_regular(self._beside("noise"), noise, grid, self.phase_center, f"{self.unit}/beam")
            level = {"type": "NoiseMap", "noise_map": picture}
        elif noise is not None:
            level = {"type": "UniformGaussianNoise", "std_dev": float(noise)}
        nothing = {"exposure_time": None, "mag_zero_point": None, "mag_sky_brightness": None}
        return {"pixels": pixels, "noise": level, **nothing}

    def instrument(self, psf, beam):
        entry: dict[str, Any] = {"type": None, "description": "synthesized beam of an interferometer"}
        if psf is not None:
            psf = np.asarray(psf, dtype=float)
            grid = grids.PixelGrid(psf.shape, self.pixel_size)
            entry |= {"type": "PixelatedPSF", "pixels": grids.write_regular(self._beside("psf"), psf, grid)}
        elif beam is not None:
            fwhm = float(np.sqrt(beam.major * beam.minor)) / self.pixel_size
            entry |= {"type": "GaussianPSF", "fwhm": fwhm}
        return {"name": "interferometer", "band": "", "pixel_size": self.pixel_size, "readout_noise": 0.0, "psf": entry}

    def _light(self, one, path, identity):
        if isinstance(one, RegularPixels):
            values = np.asarray(one.image, dtype=float) * self.pixel_size**2
            entry = grids.write_regular(self._beside(path), values, one.grid, unit=f"{self.unit}/pixel")
            return {"type": "PixelatedRegularGrid", "id": identity, "parameters": {"pixels": entry}}
        if isinstance(one, IrregularPixels):
            values = np.asarray(one.brightness, dtype=float) * self.pixel_size**2
            entry = grids.write_irregular(self._beside(path), one.x, one.y, values)
            return {"type": "IrregularGrid", "id": identity, "parameters": {"pixels": entry}}
        (light,) = lights_of(one)
        return self._profile(light_to(*fields_of(light)), path, identity)

    def _profile(self, one, path, identity):
        kind, values = one
        nothing = {"mean": None, "median": None, "percentile_16th": None, "percentile_84th": None}
        parameters = {
            name: {
                "id": f"{identity}-{kind}-{name}",
                "fixed": False,
                "point_estimate": {"value": float(value)},
                "posterior_stats": statistics_of(name, path, self.summary) or nothing,
                "prior": {"type": None},
            }
            for name, value in values.items()
        }
        return {"type": kind, "id": f"{identity}-{kind}", "parameters": parameters}

    def _beside(self, name):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self.path.with_name(f"{self.path.stem}.{name}.fits")


def _read_mass(entry):
    kind = entry["type"]
    values = {name: value_of(kind, name, one) for name, one in entry["parameters"].items()}
    return make(*mass_from(kind, values))


def _read_light(folder, entry, pixel_area):
    kind, parameters = entry["type"], entry["parameters"]
    if kind == "PixelatedRegularGrid":
        image, grid = grids.read_regular(folder, parameters["pixels"])
        return RegularPixels(image / pixel_area, grid)
    if kind == "IrregularGrid":
        x, y, z = grids.read_irregular(folder, parameters["pixels"])
        return IrregularPixels(x, y, z / pixel_area)
    return make(*light_from(kind, {name: value_of(kind, name, one) for name, one in parameters.items()}))


def _json_path(path):
    path = Path(path)
    return path if path.suffix == ".json" else path.with_name(path.name + ".json")
