"""Model files: from YAML to data, normal operator and Model, every key checked before anything is computed."""

import dataclasses
from pathlib import Path

import numpy as np

from .adapt import with_adapt_images
from .datasection import DataEntry, parse_item
from .errors import InputError
from .imageplane import ImagePlane, parse_image_plane
from .imagesection import ImageEntry
from .lens import LensPlane
from .parse import parse_lens, parse_sources
from .schema import Section, as_list, load_yaml
from .skies import ImageSky, less_components, load_skies

METHODS = ("auto", "optimize", "nuts", "nautilus")


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes:
        path: where it came from.
        content: the mapping, variables expanded.
        data, image_plane: what to read and where to look; data_items is the `data:` list as it was written.
        lens, source: components with priors in place; a list of sources where every sky has its own.
        positions: (xy, threshold) or None.
        method, seed, options: of the fit.
        source_skies: names of the skies of each of a list of sources, () for all.
    """

    path: Path
    content: dict
    data: tuple[DataEntry | ImageEntry, ...]
    data_items: list
    image_plane: ImagePlane
    lens: LensPlane
    source: object
    positions: tuple | None
    method: str
    seed: int
    options: dict
    source_skies: tuple[tuple[str, ...], ...] = ()

    @staticmethod
    def read(path):
        """Read and check a model file; no data are read yet."""
        path = Path(path)
        content = load_yaml(path)
        root = Section(content)
        entries = as_list(root.require("data"), "data")
        if not entries:
            raise InputError("data: expected at least one file, got an empty list")
        data = tuple(parse_item(Section(item, f"data.{i}"), path.parent) for i, item in enumerate(entries))
        image_plane = parse_image_plane(root.section("image_plane", {}), path.parent)
        root.text("cosmology", "Planck18")
        lens = parse_lens(root.require("lens"), "lens")
        source, source_skies = parse_sources(root.require("source"), path.parent)
        positions = _positions(root.get("positions"))
        if root.get("nuisances") is not None:
            raise InputError("nuisances: calibration nuisances are not available in this version")
        method, seed, options = _fit(root.section("fit", {}))
        root.finish()
        return ModelFile(
            path, content, data, entries, image_plane, lens, source, positions, method, seed, options, source_skies
        )

    def replace_components(self, change):
        """The same file with `change` applied to the lens and to the source."""
        return dataclasses.replace(self, **{key: change({key: getattr(self, key)})[key] for key in ("lens", "source")})

    def load_data(self, note=lambda _: None):
        """The data by sky (SkyData), weights and primary beams settled; `note` gets a sentence for each choice."""
        return load_skies(self.data, note, self.image_plane)

    def build_mask(self, skies):
        """The mask of the visibilities: that of compressed data, its pixel scale from the longest baselines where
        nothing says it; None where there are images alone, which bring their own.
        """
        data_sets = [one for sky in skies if not isinstance(sky, ImageSky) for one in sky.data_sets]
        return self.image_plane.build_mask(data_sets) if data_sets else None

    def build_skies(self, skies, mask, method="auto", note=lambda _: None, schedule=None):
        """[Sky]: the normal operators of the data on the mask, channels sharing one where they can.

        What `subtract:` names is taken out first; emission outside the mask is warned of. A Schedule says who reduces
        what does not fit in memory.
        """
        from .operators import image_sky, sky_operators
        from .outside import warn_of_emission_outside

        sources = self.source if isinstance(self.source, list) else [self.source]
        known = {name for names in self.source_skies for name in names}
        for sky in skies:
            if not self.sources_of(sky.name):
                raise InputError(f"data: no source has sky: {sky.name!r}; source has {', '.join(map(repr, known))}")
        unknown = known - {sky.name for sky in skies}
        if unknown:
            listed = ", ".join(repr(sky.name) for sky in skies)
            raise InputError(f"source: no data have sky: {unknown.pop()!r}; data has {listed}")
        found = []
        for sky in skies:
            numbers = self.sources_of(sky.name)
            own = [sources[number] for number in numbers]
            if isinstance(sky, ImageSky):
                found.append(image_sky(sky, numbers, method, note))
                continue
            shares = not any(part.regularization.strength == "evidence" for one in own for part in one.parts)
            has_index = any(one.spectral_index is not None for one in own)
            ready = less_components(sky, mask, note)
            found += sky_operators(ready, numbers, self.image_plane, mask, method, shares, has_index, note, schedule)
            warn_of_emission_outside(ready.observations, mask)
        return found

    def sources_of(self, sky):
        """Numbers of the sources that the sky of this name sees: those that name it, and those that name none."""
        if not isinstance(self.source, list):
            return (0,)
        return tuple(i for i, names in enumerate(self.source_skies) if not names or sky in names)

    def build_model(self, normal):
        """The Model on normal operators (those of `build_skies`, or one)."""
        import jax.numpy as jnp

        from .model import Model, Positions

        guard = None if self.positions is None else Positions(jnp.asarray(self.positions[0]), self.positions[1])
        first = (normal if isinstance(normal, list) else [normal])[0]
        origin = getattr(first, "reduction", first).phase_center
        source = [
            with_adapt_images(one, origin) for one in (self.source if isinstance(self.source, list) else [self.source])
        ]
        source = source if isinstance(self.source, list) else source[0]
        return Model(normal, self.lens, source, rays=self.image_plane.rays, positions=guard)


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
