"""`pipeline:` of a model file: stages that start from the sections of the file and from the results of earlier stages.

pipeline:
  - name: simple                       # its folder is OUT/1_simple; that of the last stage is OUT
    source: {...}                      # in the place of the section of the file; lens, positions, image_plane, fit too
  - name: pixels
    priors: {from: simple, widen: 3.0, floor: 0.5, only: [lens]}
    mesh: {from: simple, share: 0.98, margin: 1.5}
    positions: {from: simple, threshold: 0.2}
  - name: adaptive
    adapt: pixels
"""

import dataclasses
import difflib
import functools
from typing import NamedTuple

from .constraints import as_constraints
from .defaultpriors import Field, with_default_priors
from .domain import check_priors
from .errors import InputError
from .modelfile import ModelFile
from .parameters import Parameters
from .pipeline import Stage
from .schema import Section, as_list, as_number
from .source import RectangularMesh
from .sourcemodel import settled_source

SECTIONS = ("lens", "source", "positions", "image_plane", "constraints", "joint_priors", "fit")
"""Sections of the file that a stage may put its own in the place of."""


class PriorsFrom(NamedTuple):
    """`priors:` of a stage, see `chaining.priors_about`."""

    stage: str
    widen: float
    floor: float
    only: tuple[str, ...]
    joint: bool


class MeshFrom(NamedTuple):
    """`mesh:` of a stage: fixed square meshes of `margin` times the extent of `chaining.source_region`."""

    stage: str
    share: float
    margin: float


class PositionsFrom(NamedTuple):
    """`positions:` of a stage, see `chaining.positions_of`."""

    stage: str
    threshold: float | None
    source: int


@dataclasses.dataclass(frozen=True)
class StageFile:
    """A checked stage: the model file it would be alone, and what it takes from earlier stages."""

    name: str
    model_file: ModelFile
    priors: PriorsFrom | None
    adapt: str | None
    mesh: MeshFrom | None
    positions: PositionsFrom | None

    def takes(self):
        """What it takes from which stage, in words."""
        found = {"priors": self.priors, "mesh": self.mesh, "positions": self.positions}
        words = [f"{key} from {one.stage}" for key, one in found.items() if one is not None]
        return words + ([f"adapt image from {self.adapt}"] if self.adapt is not None else [])


def parse_pipeline(content, path):
    """[StageFile] of a model file with a pipeline, every key of every stage checked.

    Raises:
        InputError: what a model file raises; a stage without a name, names that stand twice, a stage that takes from
            one that does not come before it; meshes or adapt images for sources that have no use for them.
    """
    content = dict(content)
    items = as_list(content.pop("pipeline"), "pipeline")
    if not items:
        raise InputError("pipeline: expected at least one stage, got an empty list")
    sections = [Section(item, f"pipeline.{i}") for i, item in enumerate(items)]
    names = [section.text("name") for section in sections]
    stages = []
    for i, section in enumerate(sections):
        if names.index(names[i]) < i:
            raise InputError(f"{section.name('name')}: two stages are called {names[i]!r}")
        stages.append(_parse_stage(section, content, path, names, i))
    return stages


def _parse_stage(section, content, path, names, i):
    earlier = functools.partial(_earlier, names=names, i=i)
    own = {key: section.get(key) for key in SECTIONS if key in section.value}
    section.get("name")
    positions = None
    if isinstance(own.get("positions"), dict) and "from" in own["positions"]:
        positions = _positions_from(Section(own.pop("positions"), section.name("positions")), earlier)
        content = {key: value for key, value in content.items() if key != "positions"}
    priors = section.get("priors")
    priors = None if priors is None else _priors_from(Section(priors, section.name("priors")), earlier)
    mesh = section.get("mesh")
    mesh = None if mesh is None else _mesh_from(Section(mesh, section.name("mesh")), earlier)
    adapt = section.get("adapt")
    adapt = None if adapt is None else earlier(adapt, section.name("adapt"))
    for key in SECTIONS:
        section.get(key)
    section.finish()
    where = f"{section.path} ({names[i]})"
    try:
        Stage(names[i], lambda _: None)
        model_file = ModelFile.of(content | own, path)
        _check(model_file, adapt, mesh, positions, priors)
    except InputError as error:
        at_top = str(error).split(":")[0].split(".")[0] in set(content) - set(own)
        raise InputError(str(error) if at_top else f"{where}: {error}") from None
    return StageFile(names[i], model_file, priors, adapt, mesh, positions)


def _check(model_file, adapt, mesh, positions, priors):
    """Refuse before the first stage what would be refused when this one begins."""
    sources = sources_of(model_file)
    settled = [settled_source(one)[0] for one in sources]
    components = {"lens": model_file.lens, "cosmology": model_file.cosmology}
    components["source"] = settled if isinstance(model_file.source, list) else settled[0]
    # where only the data say how large the mask is, default priors of any size serve to check the rest
    components, _ = with_default_priors(components, Field(1.0, (0.0, 0.0)))
    if model_file.weight_scale is not None:
        components["nuisances"] = {"weight_scale": model_file.weight_scale}
    parameters = Parameters(components)
    check_priors({key: one for key, one in components.items() if key != "nuisances"}, parameters, model_file.signed)
    if model_file.amplitudes != "sampled":  # whose parameters depend on the data
        as_constraints(model_file.constraints, parameters)
    parts = [part for one in sources for part in one.parts]
    chained = priors is not None and (not priors.only or any(one.startswith("lens") for one in priors.only))
    masses = any(path.startswith("lens.") and ".mass." in path for path in parameters.paths)
    if parts and masses and not chained and positions is None and model_file.positions is None:
        raise InputError(
            "positions: pixels with a free lens need them, or the search may end in a demagnified source: state them, "
            "take them or the priors of the lens from an earlier stage, or say positions: none"
        )
    if adapt is not None and not parts:
        raise InputError("adapt: this stage has no pixelised source")
    if mesh is not None and not any(isinstance(part.mesh, RectangularMesh) for part in parts):
        raise InputError("mesh: this stage has no rectangular mesh; the others follow the rays")
    if mesh is not None and any(isinstance(part.mesh, RectangularMesh) and part.mesh.cover != 1.0 for part in parts):
        raise InputError("mesh: a mesh with cover follows the rays; leave one of the two out")
    if positions is not None and positions.source >= len(sources):
        raise InputError(f"positions.source: {positions.source} is not one of the {len(sources)} sources")


def _earlier(value, name, names, i):
    """The name of a stage before the i-th."""
    value = str(value)
    if value in names[:i]:
        return value
    if value == names[i]:
        raise InputError(f"{name}: stage {value!r} cannot take from itself")
    if value in names:
        raise InputError(f"{name}: stage {value!r} comes after this one; a stage takes from those before it")
    near = difflib.get_close_matches(value, names[:i], 1)
    known = f"did you mean {near[0]!r}?" if near else f"before it: {', '.join(names[:i]) or 'none'}"
    raise InputError(f"{name}: no stage is called {value!r} ({known})")


def _priors_from(section, earlier):
    stage = earlier(section.require("from"), section.name("from"))
    floor = as_number(section.get("floor", 0.5), section.name("floor"))
    if floor < 0.0:
        raise InputError(f"{section.name('floor')}: expected a number >= 0, got {floor}")
    only = section.get("only", [])
    only = tuple(str(one) for one in (only if isinstance(only, list) else [only]))
    found = PriorsFrom(stage, section.number("widen", 3.0, positive=True), floor, only, section.boolean("joint", False))
    section.finish()
    return found


def _mesh_from(section, earlier):
    stage = earlier(section.require("from"), section.name("from"))
    share = section.number("share", 0.98, positive=True)
    if share > 1.0:
        raise InputError(f"{section.name('share')}: expected a share of the flux, at most 1, got {share}")
    found = MeshFrom(stage, share, section.number("margin", 1.5, positive=True))
    section.finish()
    return found


def _positions_from(section, earlier):
    stage = earlier(section.require("from"), section.name("from"))
    threshold = section.get("threshold", "auto")
    threshold = None if threshold == "auto" else as_number(threshold, section.name("threshold"), positive=True)
    found = PositionsFrom(stage, threshold, section.integer("source", 0, lowest=0))
    section.finish()
    return found


def sources_of(model_file):
    return model_file.source if isinstance(model_file.source, list) else [model_file.source]
