"""Model files: from YAML to data, normal operator and Model, every key checked before anything is computed."""

import dataclasses
from pathlib import Path

import numpy as np

from .data import Visibilities, apply_weights, read
from .errors import InputError
from .grid import Mask
from .lens import LensPlane
from .parse import parse_lens, parse_pixel_source
from .schema import Section, as_list, as_number, load_yaml

READ_OPTIONS = ("sign", "uv_unit", "frequency", "wavelength")
BEAM_DISHES = {"alma12m": 12.0, "alma7m": 7.0, "sma": 6.0}
METHODS = ("auto", "optimize", "nuts", "nautilus")
_LATER = {"select": "data selection", "channels": "channel handling"}


@dataclasses.dataclass(frozen=True)
class DataEntry:
    """One item of `data:`."""

    file: Path
    weights: str
    primary_beam: str | float
    options: dict


@dataclasses.dataclass(frozen=True)
class ImagePlane:
    """`image_plane:`."""

    pixel_scale: float | None
    rays: int
    pixel_window: bool
    mask: tuple
    center: tuple | dict


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes:
        path: where it came from.
        content: the mapping, variables expanded.
        data, image_plane: what to read and where to look; data_items is the `data:` list as it was written.
        lens, source: components with priors in place.
        positions: (xy, threshold) or None.
        method, seed, options: of the fit.
    """

    path: Path
    content: dict
    data: tuple[DataEntry, ...]
    data_items: list
    image_plane: ImagePlane
    lens: LensPlane
    source: object
    positions: tuple | None
    method: str
    seed: int
    options: dict

    @staticmethod
    def read(path):
        """Read and check a model file; no data are read yet."""
        path = Path(path)
        content = load_yaml(path)
        root = Section(content)
        entries = as_list(root.require("data"), "data")
        if not entries:
            raise InputError("data: expected at least one file, got an empty list")
        data = tuple(_data_entry(Section(item, f"data.{i}"), path.parent) for i, item in enumerate(entries))
        image_plane = _image_plane(root.section("image_plane", {}), path.parent)
        root.text("cosmology", "Planck18")
        lens = parse_lens(root.require("lens"), "lens")
        source = parse_pixel_source(root.section("source"))
        positions = _positions(root.get("positions"))
        if root.get("nuisances") is not None:
            raise InputError("nuisances: calibration nuisances are not available in this version")
        method, seed, options = _fit(root.section("fit", {}))
        root.finish()
        return ModelFile(path, content, data, entries, image_plane, lens, source, positions, method, seed, options)

    def replace_components(self, change):
        """The same file with `change` applied to the lens and to the source."""
        return dataclasses.replace(self, **{key: change({key: getattr(self, key)})[key] for key in ("lens", "source")})

    def load_data(self, note=lambda _: None):
        """The data sets with their weights and primary beams settled; `note` gets one sentence for each choice."""
        return [_load(entry, note) for entry in self.data]

    def build_mask(self, data_sets):
        """The mask, its pixel scale from the longest baselines where the file says auto."""
        plane = self.image_plane
        scale = plane.pixel_scale or min(data.suggested_pixel_scale() for data in data_sets)
        center = _center(plane.center, data_sets[0])
        kind, *arguments = plane.mask
        if kind == "disc":
            return Mask.disc(arguments[0], scale, center)
        if kind == "annulus":
            return Mask.annulus(*arguments, scale, center)
        return Mask.from_fits(arguments[0], phase_center=data_sets[0].phase_center)

    def build_normal(self, data_sets, mask, method="auto"):
        """The normal operator of the data on the mask."""
        from .normal import normal_operator

        return normal_operator(data_sets, mask, method, pixel_window=self.image_plane.pixel_window)

    def build_model(self, normal):
        """The Model on a normal operator."""
        import jax.numpy as jnp

        from .model import Model, Positions

        guard = None if self.positions is None else Positions(jnp.asarray(self.positions[0]), self.positions[1])
        return Model(normal, self.lens, self.source, rays=self.image_plane.rays, positions=guard)


def _data_entry(section, folder):
    file = folder / Path(section.text("file")).expanduser()
    weights = section.choice("weights", ["rescale", "file", "differences"], "rescale")
    for key, what in _LATER.items():
        if section.get(key) is not None:
            raise InputError(f"{section.name(key)}: {what} is not available in this version")
    options = {key: section.get(key) for key in READ_OPTIONS if section.get(key) is not None}
    beam = section.get("primary_beam", "auto")
    if isinstance(beam, dict):
        inner = Section(beam, section.name("primary_beam"))
        beam = inner.number("gaussian", positive=True)
        inner.finish()
    elif beam not in ("auto", "none", *BEAM_DISHES):
        known = ", ".join(["auto", "none", *BEAM_DISHES, "{gaussian: FWHM}"])
        raise InputError(f"{section.name('primary_beam')}: expected one of {known}, got {beam!r}")
    section.finish()
    return DataEntry(file, weights, beam, options)


def _load(entry, note):
    from .conventions import ARCSEC, SPEED_OF_LIGHT

    data = read(entry.file, **entry.options)
    data, sentence = apply_weights(data, entry.weights)
    note(f"{data.name}: {sentence}")
    if entry.primary_beam == "none":
        return dataclasses.replace(data, primary_beam_fwhm=None)
    if isinstance(entry.primary_beam, float):
        return dataclasses.replace(data, primary_beam_fwhm=entry.primary_beam)
    if entry.primary_beam in BEAM_DISHES:
        if data.frequency is None:
            raise InputError(f"{data.name}: primary_beam {entry.primary_beam} needs the frequency, the file has none")
        dish = BEAM_DISHES[str(entry.primary_beam)]
        fwhm = 1.13 * SPEED_OF_LIGHT / float(np.mean(data.frequency)) / dish / ARCSEC
        return dataclasses.replace(data, primary_beam_fwhm=fwhm)
    beam = "none known" if data.primary_beam_fwhm is None else f'Gaussian, FWHM {data.primary_beam_fwhm:.2f}"'
    note(f"{data.name}: primary beam {beam}")
    return data


def _image_plane(section, folder):
    scale = section.get("pixel_scale", "auto")
    if scale != "auto":
        scale = as_number(scale, section.name("pixel_scale"), positive=True)
    rays = section.integer("rays", 4)
    if rays > 32:
        raise InputError(f"{section.name('rays')}: expected at most 32 per pixel side, got {rays}")
    window = section.boolean("pixel_window", False)
    mask = section.section("mask", {"disc": {"radius": 3.0}})
    if len(mask.value) != 1 or not set(mask.value) <= {"disc", "annulus", "fits"}:
        given = ", ".join(map(str, mask.value)) or "nothing"
        raise InputError(f"{mask.path}: expected one of disc, annulus, fits, got {given}")
    if "disc" in mask.value:
        inner = mask.section("disc")
        shape = ("disc", inner.number("radius", positive=True))
        inner.finish()
    elif "annulus" in mask.value:
        inner = mask.section("annulus")
        shape = ("annulus", inner.number("inner"), inner.number("outer", positive=True))
        inner.finish()
        if not 0.0 <= shape[1] < shape[2]:
            raise InputError(f"{inner.path}: expected 0 <= inner < outer, got {shape[1]} and {shape[2]}")
    else:
        shape = ("fits", folder / mask.text("fits"))
        for key in ("pixel_scale", "center"):
            if section.get(key) not in (None, "auto"):
                raise InputError(f"{section.name(key)}: a FITS mask has its own; leave this key out")
    center = section.get("center", [0.0, 0.0])
    if isinstance(center, dict):
        inner = Section(center, section.name("center"))
        center = {"ra": inner.get("ra"), "dec": inner.get("dec")}
        inner.finish()
    else:
        center = section.numbers("center", 2, [0.0, 0.0])
    section.finish()
    return ImagePlane(None if scale == "auto" else scale, rays, window, shape, center)


def _center(center, data: Visibilities):
    if not isinstance(center, dict):
        return center
    if data.phase_center is None:
        raise InputError("image_plane.center: ra, dec need data with a phase centre; give [East, North] in arcsec")
    from .wcs import sky_offset

    return sky_offset(center["ra"], center["dec"], data.phase_center)


def _positions(value):
    if value is None:
        return None
    section = Section(value, "positions")
    pairs = as_list(section.require("xy"), "positions.xy")
    xy = np.array([Section({i: pair}, "positions.xy").numbers(i, 2) for i, pair in enumerate(pairs)])
    threshold = section.number("threshold", positive=True)
    section.finish()
    if len(xy) < 2:
        raise InputError(f"positions.xy: expected at least two (x, y) pairs, got {len(xy)}")
    return xy, threshold


FIT_OPTIONS = {
    "n_starts": 1,
    "n_screen": 1,
    "n_chains": 1,
    "n_warmup": 1,
    "n_draws": 10,
    "n_live": 20,
    "n_effective": 10,
}
"""Whole-number options of the searches with their smallest value."""


def _fit(section):
    method = section.choice("method", list(METHODS), "auto")
    seed = section.integer("seed", 1, lowest=0)
    options = {
        key: section.integer(key, lowest=lowest) for key, lowest in FIT_OPTIONS.items() if section.get(key) is not None
    }
    section.finish()
    return method, seed, options
