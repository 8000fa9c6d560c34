"""The stages of a model file fitted in turn: their models from the results of those before, data read once."""

import dataclasses
import functools
import json
import time
import warnings

import equinox as eqx

from .chaining import adapt_image, positions_of, priors_about, source_region
from .commands import check_and_report
from .constraints import describe
from .datasection import absolute_item
from .defaultpriors import field_of, with_default_priors
from .errors import InputError, UVLensWarning
from .files import write_atomically
from .guard import masses_are_chained
from .parameters import Parameters
from .pipeline import Stage, folders_of, run_pipeline
from .pipelinefile import parse_pipeline, sources_of
from .progress import Progress
from .selfcal import Loop, calibrated_skies
from .skies import ImageSky
from .source import RectangularMesh


class SharedData:
    """The data of all stages: read once, reduced once for every mask.

    Args:
        note: called with a sentence for each choice.
        schedule: of reductions in partitions.
    """

    def __init__(self, note, schedule):
        self._note, self._schedule = note, schedule
        self._read, self._reduced = [], []

    def read(self, model_file):
        """([SkyData] of a ModelFile, the image plane that they are for)."""
        # rays are traced by the Model: a stage with others has the same sums
        plane = model_file.image_plane
        plane = dataclasses.replace(plane, rays=1, given=plane.given - {"rays"})
        return _found(self._read, plane, lambda: model_file.load_data(self._note)), plane

    def skies(self, model_file):
        """[Sky] for the sources of a ModelFile."""
        data, plane = self.read(model_file)
        numbers = [model_file.sources_of(sky.name) for sky in data]
        sources = sources_of(model_file)
        asked = [_asks(sky, [sources[number] for number in own]) for sky, own in zip(data, numbers)]

        def reduce():
            mask = model_file.build_mask(data)
            skies = model_file.build_skies(data, mask, note=self._note, schedule=self._schedule)
            for sky in skies:
                self._note(f"{sky.name}: {sky.normal!r}" if sky.name else repr(sky.normal))
            return skies

        skies = _found(self._reduced, (plane, asked), reduce)
        return [sky.seeing(model_file.sources_of(sky.name)) for sky in skies]


def _asks(sky, sources):
    """What the operators of a sky depend on, beside its data and the mask: see `ModelFile.build_skies`."""
    if isinstance(sky, ImageSky):
        return ()
    alone = any(part.regularization.strength == "evidence" for one in sources for part in one.parts)
    return alone and len(sky.channels) > 1, any(one.spectral_index is not None for one in sources)


def _found(known, key, make):
    for other, value in known:
        if other == key:
            return value
    known.append((key, make()))
    return known[-1][1]


def build_stage(stage, data, note, calibrate, earlier):
    """The Model of a StageFile, given SharedData and the Results of the stages before it by name.

    Where the file has nuisances it is the Calibration that `calibrate(ModelFile, SharedData)` gives.
    """
    model_file = stage.model_file
    if stage.mesh is not None:
        model_file = _with_meshes(model_file, stage, earlier[stage.mesh.stage], note)
    if stage.adapt is not None:
        model_file = _with_adapt(model_file, earlier[stage.adapt])
    if stage.priors is not None:
        model_file = _with_priors(model_file, stage, earlier[stage.priors.stage], data, note)
    if stage.positions is not None:
        model_file = _with_positions(model_file, stage, earlier[stage.positions.stage], note)
    calibrated = model_file.nuisances
    built = calibrate(model_file, data) if calibrated else model_file.build_model(data.skies(model_file))
    excluded = (built.model if calibrated else built).excluded
    if excluded:
        note(f"{stage.name}: {describe(excluded)}")
    return built


def _calibrated(folder, resume, progress, note, model_file, data):
    """The Calibration of a stage, its state kept in the folder."""
    skies = data.read(model_file)[0]
    ready, visibilities = calibrated_skies(model_file, skies, model_file.build_mask(skies), note)
    del ready  # components are subtracted from the data of the operators as well
    loop = Loop(visibilities, model_file.nuisances, model_file.build_model)
    operators = data.skies(model_file)
    return loop.run(operators, model_file.seed, folder / "calibration", resume, progress, model_file.climbing)


def _with_parts(model_file, change):
    """The file with `change(number of the source, its sky, part)` in the place of every pixelised part."""
    changed = []
    for number, one in enumerate(sources_of(model_file)):
        names = model_file.source_skies[number] if model_file.source_skies else ()
        parts = [change(number, next(iter(names), None), part) for part in one.parts]
        if parts:
            pixels = tuple(parts) if isinstance(one.pixels, tuple) else parts[0]
            one = eqx.tree_at(lambda source: source.pixels, one, pixels)
        changed.append(one)
    return dataclasses.replace(model_file, source=changed if isinstance(model_file.source, list) else changed[0])


def _number_in(result, model_file, number):
    """The number that source `number` has in an earlier result: None, all of them, where their lists differ."""
    known = result.model.components["source"]
    same = isinstance(known, list) and isinstance(model_file.source, list) and len(known) == len(model_file.source)
    return number if same else None


def _with_meshes(model_file, stage, result, note):
    def change(number, sky, part):
        if not isinstance(part.mesh, RectangularMesh):
            return part
        extent, center = source_region(result, sky, stage.mesh.share, _number_in(result, model_file, number))
        extent *= stage.mesh.margin
        note(f'{stage.name}: mesh within {extent:.3g}" of ({center[0]:.3g}, {center[1]:.3g}), by {stage.mesh.stage}')
        return dataclasses.replace(part, mesh=dataclasses.replace(part.mesh, extent=extent, center=center))

    return _with_parts(model_file, change)


def _with_adapt(model_file, result):
    def change(number, sky, part):
        if part.adapt is not None:
            return part
        return dataclasses.replace(part, adapt=adapt_image(result, sky, _number_in(result, model_file, number)))

    return _with_parts(model_file, change)


def _with_priors(model_file, stage, result, data, note):
    handed = stage.priors
    components = {key: getattr(model_file, key) for key in ("lens", "source", "cosmology")}
    components, _ = with_default_priors(components, lambda: field_of(data.skies(model_file)[0].mask))
    components, paths = priors_about(result, components, handed.widen, handed.floor, handed.only, handed.joint)
    if not paths:
        raise InputError(f"priors: the posterior of {handed.stage} narrows no parameter that is free in both")
    note(f"{stage.name}: priors about the posterior of {handed.stage}: {', '.join(paths)}")
    chained = masses_are_chained(Parameters(components))
    return dataclasses.replace(model_file, chained=chained, **components)


def _with_positions(model_file, stage, result, note):
    asked = stage.positions
    try:
        found = positions_of(result, asked.threshold, asked.source)
    except InputError as error:
        sentence = f"{stage.name}: no guard of positions from {asked.stage}: {error}"
        warnings.warn(sentence, UVLensWarning, stacklevel=2)
        note(sentence)
        return dataclasses.replace(model_file, positions=None)
    note(f'{stage.name}: {len(found.xy)} positions by {asked.stage}, threshold {found.threshold:.3g}"')
    return dataclasses.replace(model_file, positions=(found.xy, found.threshold, found.source))


def fit_pipeline(content, path, out, resume, note, workers=None, scheduler=None, progress_to=None, quick_look=None):
    """Fit the stages of a model file, each into its folder; the summary of the last one.

    Args:
        content: of the file, with its `pipeline:`.
        path: of the file, for what is relative to it.
        out: Path of the folder of the last stage, in which are those of the others.
        resume, note, workers, scheduler, progress_to, quick_look: as for `commands.fit_model`.
    """
    from .normal import Schedule
    from .normal.partitions import discard

    stages, notes, checks = parse_pipeline(content, path), [], []
    started = time.strftime("%Y-%m-%d %H:%M:%S")

    def say(sentence):
        notes.append(sentence)
        note(sentence)

    def finish(result, folder):
        name = next(name for name, own in folders.items() if own == folder)
        check_and_report(result, folder, lambda sentence: checks.append(f"{name}: {sentence}") or note(checks[-1]))

    folders = folders_of([stage.name for stage in stages], out)
    entries = stages[-1].model_file.data_items
    section = [absolute_item(item, path.parent) for item in entries]
    kept = out / "reduction"
    with Progress(progress_to) as progress:
        data = SharedData(say, Schedule(workers, scheduler, kept, progress))
        run_pipeline(
            [
                _as_stage(one, data, say, functools.partial(_calibrated, folders[one.name], resume, progress, say))
                for one in stages
            ],
            out,
            resume=resume,
            progress=progress,
            note=note,
            notes=notes,
            data_section=section,
            finish=finish,
            quick_look=quick_look,
        )
    discard(kept)
    summary = json.loads((out / "summary.json").read_text())
    lines = [f"started {started}", *notes, *checks]
    for one in summary["stages"]:
        lines.append(f"{one['name']}: {one['method']}, seed {one['seed']}, {one['n_evaluations']} likelihoods, ")
        lines[-1] += f"{one['n_gradients']} gradients, {one['wall_seconds']:.1f} s"
    lines += [f"warning: {text}" for text in summary["warnings"]] + [f"finished {time.strftime('%Y-%m-%d %H:%M:%S')}"]
    write_atomically(out / "log", lambda stream: stream.write("\n".join([*lines, ""]).encode()))
    note(f"report: {out / 'report.html'}")
    return summary


def _as_stage(stage, data, note, calibrate):
    own = stage.model_file
    build = functools.partial(build_stage, stage, data, note, calibrate)
    return Stage(stage.name, build, own.method, own.seed, own.options, own.derived.apertures)
