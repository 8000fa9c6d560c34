"""Model files: from YAML to data, normal operator and Model, every key checked before anything is computed."""

import dataclasses
from pathlib import Path

import numpy as np

from .adapt import with_adapt_images
from .apertures import NO_SETTINGS, DerivedSettings, parse_derived
from .cosmology import AbstractCosmology
from .datasection import DataEntry, parse_item
from .defaultpriors import with_default_priors
from .errors import InputError
from .imageplane import ImagePlane, parse_image_plane
from .imagesection import ImageEntry
from .jointpriors import with_joint_priors
from .lens import LensPlane
from .normal import Nuisances
from .nuisancesection import parse_nuisances
from .parse import parse_cosmology, parse_lens, parse_sources
from .parse_mass import with_maps
from .parse_priors import parse_constraints, parse_joint_priors
from .sampledamplitudes import WAYS
from .schema import Section, as_list, load_yaml
from .skies import ImageSky, less_components, load_skies
from .statedpriors import with_distributions

METHODS = ("auto", "optimize", "laplace", "svi", "nuts", "nautilus")


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """A checked model file.

    Attributes:
        path: where it came from.
        content: the mapping, variables expanded.
        data, image_plane: what to read and where to look; data_items is the `data:` list as it was written.
        lens, source: components with priors in place; a list of sources where every sky has its own.
        positions: (xy, threshold, number of the source), "auto", "none" or None.
        method, seed, options: of the fit.
        source_skies: names of the skies of each of a list of sources, () for all.
        derived: what is measured beside the usual derived quantities.
        chained: whether priors of the lens come from the posterior of an earlier stage of a pipeline.
        cosmology, reference_redshift, constraints, amplitudes: see Model.
        defaults: paths of parameters with default priors, those settled that need no data.
        nuisances: of the calibration of the data.
        weight_scale, signed: see Model.
    """

    path: Path
    content: dict
    data: tuple[DataEntry | ImageEntry, ...]
    data_items: list
    image_plane: ImagePlane
    lens: LensPlane | list[LensPlane]
    source: object
    positions: tuple | None
    method: str
    seed: int
    options: dict
    source_skies: tuple[tuple[str, ...], ...] = ()
    cosmology: AbstractCosmology | None = None
    reference_redshift: float | None = None
    derived: DerivedSettings = NO_SETTINGS
    constraints: tuple = ()
    amplitudes: str = "solved"
    defaults: tuple[str, ...] = ()
    chained: bool = False
    nuisances: Nuisances = dataclasses.field(default_factory=Nuisances)
    weight_scale: object = None
    signed: tuple[str, ...] = ()

    @staticmethod
    def read(path):
        """Read and check a model file; no data are read yet."""
        return ModelFile.of(load_yaml(path), Path(path))

    @staticmethod
    def of(content, path):
        """Check the mapping of a model file that lies, or would lie, at a path."""
        if "pipeline" in content:
            raise InputError("pipeline: stages are for `uvlens fit`; elsewhere give the best_fit.yaml of one of them")
        root = Section(content)
        entries = as_list(root.require("data"), "data")
        if not entries:
            raise InputError("data: expected at least one file, got an empty list")
        data = tuple(parse_item(Section(item, f"data.{i}"), path.parent) for i, item in enumerate(entries))
        image_plane = parse_image_plane(root.section("image_plane", {}), path.parent)
        cosmology, reference = parse_cosmology(root.get("cosmology", "Planck18"))
        lens = parse_lens(root.require("lens"), "lens", path.parent)
        source, source_skies = parse_sources(root.require("source"), path.parent)
        positions = _positions(root.get("positions"))
        constraints = parse_constraints(root.get("constraints"))
        components = {"lens": lens, "source": source, "cosmology": cosmology}
        components = with_distributions(components, root.section("numpyro_priors", {}).value)
        components = with_joint_priors(components, parse_joint_priors(root.get("joint_priors")))
        field = image_plane.nominal_field(any(isinstance(one, DataEntry) for one in data))
        components, defaults = (components, ()) if field is None else with_default_priors(components, field)
        lens, source, cosmology = (components[key] for key in ("lens", "source", "cosmology"))
        derived = parse_derived(root.section("derived", {}))
        nuisances, weight_scale = parse_nuisances(root.section("nuisances", {}))
        fit = root.section("fit", {})
        amplitudes = fit.choice("amplitudes", list(WAYS), "solved")
        method, seed, options = _fit(fit)
        chained, signed = root.boolean("chained", False), root.get("signed", [])
        if not isinstance(signed, list) or not all(isinstance(one, str) for one in signed):
            raise InputError(f"signed: expected a list of paths of fluxes, got {signed!r}")
        root.finish()
        return ModelFile(
            path=path,
            content=content,
            data=data,
            data_items=entries,
            image_plane=image_plane,
            lens=lens,
            source=source,
            positions=positions,
            method=method,
            seed=seed,
            options=options,
            source_skies=source_skies,
            cosmology=cosmology,
            reference_redshift=reference,
            derived=derived,
            constraints=constraints,
            amplitudes=amplitudes,
            defaults=defaults,
            nuisances=nuisances,
            weight_scale=weight_scale,
            chained=chained,
            signed=tuple(signed),
        )

    def replace_components(self, change):
        """The same file with `change` applied to the lens, the source and the cosmology."""
        keys = ("lens", "source", "cosmology")
        return dataclasses.replace(self, **{key: change({key: getattr(self, key)})[key] for key in keys})

    @property
    def climbing(self):
        """Options of the fit that a climb takes."""
        return {key: value for key, value in self.options.items() if key in ("n_starts", "n_screen")}

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

        guard = self.positions
        if isinstance(guard, tuple):
            guard = Positions(jnp.asarray(guard[0]), *guard[1:])
        first = (normal if isinstance(normal, list) else [normal])[0]
        origin = getattr(first, "reduction", first).phase_center
        source = [
            with_adapt_images(one, origin) for one in (self.source if isinstance(self.source, list) else [self.source])
        ]
        source = source if isinstance(self.source, list) else source[0]
        return Model(
            normal,
            with_maps(self.lens, origin),
            source,
            rays=self.image_plane.rays,
            positions=guard,
            cosmology=self.cosmology,
            reference_redshift=self.reference_redshift,
            chained=self.chained,
            constraints=self.constraints,
            amplitudes=self.amplitudes,
            weight_scale=self.weight_scale,
            signed=self.signed,
        )


def _positions(value):
    if value is None or value in ("none", "auto"):
        return value
    section = Section(value, "positions")
    pairs = as_list(section.require("xy"), "positions.xy")
    xy = np.array([Section({i: pair}, "positions.xy").numbers(i, 2) for i, pair in enumerate(pairs)])
    threshold = section.number("threshold", positive=True)
    source = section.integer("source", 0, lowest=0)
    section.finish()
    if len(xy) < 2:
        raise InputError(f"positions.xy: expected at least two (x, y) pairs, got {len(xy)}")
    return xy, threshold, source


FIT_OPTIONS = {
    "n_starts": 1,
    "n_screen": 1,
    "n_chains": 1,
    "n_warmup": 1,
    "n_draws": 10,
    "n_live": 20,
    "n_effective": 10,
    "n_steps": 10,
    "n_particles": 1,
    "target_ess": 10,
    "max_draws": 10,
}
"""Whole-number options of the searches with their smallest value."""


def _fit(section):
    method = section.choice("method", list(METHODS), "auto")
    seed = section.integer("seed", 1, lowest=0)
    options = {
        key: section.integer(key, lowest=lowest) for key, lowest in FIT_OPTIONS.items() if section.get(key) is not None
    }
    for key, names in (("optimizer", ["lbfgs", "adam"]), ("guide", ["gaussian", "flow"])):
        if section.get(key) is not None:
            options[key] = section.choice(key, names, names[0])
    if section.get("target_accept") is not None:
        options["target_accept"] = section.number("target_accept", positive=True)
    if section.get("workers") is not None:
        options["workers"] = section.integer("workers", lowest=1)
    section.finish()
    return method, seed, options
