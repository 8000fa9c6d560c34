"""What the commands of the command line do, as functions that return facts."""

import contextlib
import dataclasses
import shutil
import time
import warnings
from pathlib import Path

import click

from .data import check_writable, write
from .datasection import absolute_item
from .errors import InputError, UVLensWarning
from .files import save_json, write_atomically
from .modelfile import ModelFile
from .progress import Progress
from .schema import load_yaml


def print_facts(facts, indent=""):
    """Facts as aligned lines for people."""
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        if isinstance(value, dict):
            click.echo(f"{indent}{key}:")
            print_facts({str(k): v for k, v in value.items()}, indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for i, item in enumerate(value):
                click.echo(f"{indent}{key} {i}:")
                print_facts(item, indent + "  ")
        else:
            shown = f"{value:.10g}" if isinstance(value, float) else value
            click.echo(f"{indent}{key:<{width}}  {shown}")


def run_simulation(path, out, from_fit=None, seed=None, note=lambda _: None):
    """Simulate the observation (visibilities or an image) of a YAML file and write it; facts of the result.

    Args:
        path: simulation file; None with `from_fit`: the uv coverage of the data that were fitted.
        out: to write.
        from_fit: folder of a fit whose sky is observed, or None.
        seed: of the noise; None: that of the file.
        note: called with sentences.
    """
    from .simulate.imagefile import ImageSimulation
    from .simulate.simfile import read_simulation

    if from_fit is not None:
        from .simulate.fromfit import simulate_fit

        check_writable(out)
        data, truth = simulate_fit(from_fit, path, seed, note)
        write(data, out)
        return {"n_visibilities": len(data), "sensitivity_jy_beam": data.sensitivity, "truth": truth}
    if path is None:
        raise InputError("simulate: name a simulation file, or --from-fit DIR")
    simulation = read_simulation(path)
    if seed is not None:
        simulation = dataclasses.replace(simulation, settings=simulation.settings | {"seed": seed})
    if isinstance(simulation, ImageSimulation):
        return _run_image_simulation(simulation, out)
    check_writable(out)
    data = simulation.run()
    write(data, out)
    return {"n_visibilities": len(data), "sensitivity_jy_beam": data.sensitivity, "truth": simulation.truth}


def _run_image_simulation(simulation, out):
    """data.fits, noise.fits, psf.fits and truth.json in a folder, or one NAME.fits."""
    imaging, target = simulation.run(), Path(out)
    imaging.write(target)
    single = target.suffix == ".fits"
    save_json(target.with_suffix(".truth.json") if single else target / "truth.json", simulation.truth)
    facts = {"n_pixels": imaging.data.size, "pixel_scale": imaging.grid.pixel_scale, "unit": imaging.unit}
    facts["peak_snr"] = float((imaging.data / imaging.noise).max())
    return facts | {"truth": simulation.truth}


def evaluate_model(path, settings, gradient, operator, memory, note):
    """The facts that `uvlens evaluate --json` prints."""
    from .evaluate import evaluate_file

    return evaluate_file(ModelFile.read(path), settings, gradient, operator, memory, note)


def show_models(paths):
    """(facts, page) of `uvlens fit --show-model`: of a pipeline what each stage states."""
    from .showmodel import model_facts, model_page

    facts, pages = {}, []
    for path in map(str, paths):
        for name, takes, model_file in _stages_of(path):
            found = model_facts(model_file)
            title = ", ".join(([path] if len(paths) > 1 else []) + ([f"stage {name}", *takes] if name else []))
            facts[title] = found
            pages.append((f"{title}\n" if title else "") + model_page(found))
    return facts[""] if list(facts) == [""] else facts, "\n\n".join(pages)


def _stages_of(path):
    """[(name, what it takes, ModelFile)] of the stages of a pipeline; of any other file one without a name."""
    content = load_yaml(path)
    if "pipeline" not in content:
        return [("", [], ModelFile.of(content, Path(path)))]
    from .pipelinefile import parse_pipeline

    return [(stage.name, stage.takes(), stage.model_file) for stage in parse_pipeline(content, Path(path))]


def fit_model(path, out, resume, note, workers=None, scheduler=None, progress_to=None, quick_look=None):
    """Fit a model file, or the stages of one, and write everything to a folder; the summary.

    `progress_to` is the text stream that progress is written to, default the terminal; `quick_look` as for `fit`.
    """
    from .constraints import describe
    from .guard import describe_positions
    from .inference import fit
    from .normal import Schedule
    from .normal.partitions import discard

    if not str(out).strip() or Path(out).is_file():
        raise InputError(f"--out: expected a folder, got {str(out)!r}")
    content = load_yaml(path)
    if "pipeline" in content:
        from .pipelinefit import fit_pipeline

        return fit_pipeline(content, Path(path), Path(out), resume, note, workers, scheduler, progress_to, quick_look)
    model_file = ModelFile.of(content, Path(path))
    notes = []
    started = time.strftime("%Y-%m-%d %H:%M:%S")

    def say(sentence):
        notes.append(sentence)
        note(sentence)

    skies = model_file.load_data(say)
    mask = model_file.build_mask(skies)
    out = Path(out)
    kept = out / "reduction"
    if not resume:
        shutil.rmtree(out / "calibration", ignore_errors=True)
    if model_file.nuisances:
        from .selfcal import Loop, calibrated_skies

        skies, visibilities = calibrated_skies(model_file, skies, mask, say)
    with Progress(progress_to) as progress:
        schedule, calibration = Schedule(workers, scheduler, kept, progress), None
        built = model_file.build_skies(skies, mask, note=say, schedule=schedule)
        if model_file.nuisances:
            loop = Loop(visibilities, model_file.nuisances, model_file.build_model)
            calibration = loop.run(built, model_file.seed, out / "calibration", resume, progress, model_file.climbing)
        model = model_file.build_model(built) if calibration is None else calibration.model
    for sky in model.skies:
        note(f"{sky.name}: {sky.normal!r}" if sky.name else repr(sky.normal))
    if model.excluded:
        say(describe(model.excluded))
    if model_file.positions == "auto":
        say(f"guard: {describe_positions(model.positions)}")
    with Progress(progress_to) as progress:
        result = fit(
            model,
            model_file.method,
            seed=model_file.seed,
            directory=out,
            resume=resume,
            progress=progress,
            notes=notes,
            near=None if calibration is None else calibration.vector,
            quick_look=quick_look,
            **model_file.options,
        )
    result = dataclasses.replace(result.with_derived(model_file.derived.apertures), calibration=calibration)
    note(f"{result.n_evaluations} likelihoods in {result.wall_seconds:.1f} s; writing the results")
    section = [absolute_item(item, model_file.path.parent) for item in model_file.data_items]
    result.save(out, data_section=section, phase_center=model.normal.reduction.phase_center)
    discard(kept)
    report = check_and_report(result, out, say)
    lines = [f"started {started}", *notes, repr(model.normal), f"{result.method}, seed {result.seed}"]
    lines += [f"{result.n_evaluations} likelihoods, {result.n_gradients} gradients, {result.wall_seconds:.1f} s"]
    lines += [f"warning: {text}" for text in result.warnings] + [f"finished {time.strftime('%Y-%m-%d %H:%M:%S')}"]
    # what the checkpoints belong to is kept with them (calibration/state.npz); the fit that it began from is not
    shutil.rmtree(out / "calibration" / "first", ignore_errors=True)
    write_atomically(out / "log", lambda stream: stream.write("\n".join([*lines, ""]).encode()))
    note(f"report: {report}")
    return result.summary()


def profile_model(path, note):
    """Times of the steps of a likelihood of a model file at the medians of its priors."""
    from .profiling import profile_likelihood

    model_file = ModelFile.read(path)
    skies = model_file.load_data(note)
    mask = model_file.build_mask(skies)
    if not model_file.nuisances:
        return profile_likelihood(model_file.build_model(model_file.build_skies(skies, mask)))
    from .selfcal import Loop, calibrated_skies

    skies, visibilities = calibrated_skies(model_file, skies, mask, note)
    built = model_file.build_skies(skies, mask)
    medians = model_file.build_model(built).parameters.median()
    # one pass about the model that is timed: the operator has the downdate that every likelihood of the fit has
    loop = Loop(visibilities, model_file.nuisances, model_file.build_model, max_passes=1, fixed=medians)
    return profile_likelihood(loop.run(built, model_file.seed).model)


def scan_subhaloes(
    directory, note, grid, extent, center, sizes, radii, profile, plane, fixed_macro, steps, sensitivity, noise,
    threshold, out, resume,
):  # fmt: skip
    """What `uvlens subhalo` does: maps and picture in a folder; facts of the best position."""
    from .reload import load_result
    from .schema import as_number
    from .substructure import position_grid, subhalo_scan, subhalo_sensitivity

    if (radii is None) != (profile == "SubhaloNFW"):
        raise InputError("subhalo: --einstein-radius is for --profile SIS or PointMass, --log10-mass for SubhaloNFW")
    option, text = ("--log10-mass", sizes) if radii is None else ("--einstein-radius", radii)
    values = [as_number(word, f"subhalo: {option}") for word in str(text).split(",")]
    if noise is not None and not sensitivity:
        raise InputError("subhalo: --noise is of mock data: say --sensitivity")
    result = load_result(directory)
    positions = position_grid(result.model.normal.mask, grid, extent, center or None)
    out = Path(directory if out is None else out)
    options = {"profile": profile, "plane": plane, "reoptimise": not fixed_macro, "steps": steps}
    options |= {"threshold": threshold, "directory": out, "resume": resume}
    with Progress() as progress:
        if sensitivity:
            maps = subhalo_sensitivity(result, positions, values, noise=noise, progress=progress, **options)
        else:
            maps = subhalo_scan(result, positions, values, progress=progress, **options)
    note(f"written: {maps.save(out, result.model.normal.reduction.phase_center)}")
    if out.resolve() == Path(directory).resolve() and (out / "report.html").exists():
        report_if_possible(out)
    return maps.facts()


def draw_prior_predictive(path, file, note, n=6):
    """Skies and sources of draws from the prior of a model file, in a picture."""
    from .priorpredictive import prior_predictive

    model_file = ModelFile.read(path)
    if Path(file).suffix.lower() != ".png":
        raise InputError(f"--prior-predictive: expected the name of a PNG file, got {str(file)!r}")
    skies = model_file.load_data(note)
    model = model_file.build_model(model_file.build_skies(skies, model_file.build_mask(skies), note=note))
    prior_predictive(model, n, model_file.seed).figure().savefig(file)
    note(f"{n} draws from the prior: {file}")


def check_and_report(result, out, say):
    """What ends every fit that the command line saves, a stage of a pipeline too: adequacy, then the report.

    Args:
        result: Result, saved in `out`.
        out: its folder.
        say: called with a sentence.

    Returns:
        Path of the report, or why there is none.
    """
    with contextlib.suppress(ImportError):  # the check needs transforms, as the report does
        adequacy = result.posterior_predictive(seed=result.seed)
        adequacy.save(out)
        say(adequacy.sentence)
    return report_if_possible(out)


def report_if_possible(out):
    """Path of the report, or why there is none: a fit needs fewer packages than its pictures."""
    from .report import write_report

    try:
        return write_report(out)
    except ImportError as error:
        warnings.warn(f"no report: {error}; `uvlens report {out}` writes it", UVLensWarning, stacklevel=2)
        return "not written"


def run_demo(out, note):
    """Simulate, fit and report the demonstration; truth.json holds the true parameters by path."""
    import yaml

    from .demo import MODEL, SIMULATION
    from .simulate.simfile import parse_simulation

    out = Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {out}: {error.strerror}") from None
    simulation = parse_simulation(SIMULATION)
    data = simulation.run()
    write(data, out / "demo.npz")
    save_json(out / "truth.json", simulation.truth)
    for name, content in (("simulation.yaml", SIMULATION), ("model.yaml", MODEL)):
        text = yaml.safe_dump(content, sort_keys=False, width=110)
        write_atomically(out / name, lambda stream, text=text: stream.write(text.encode()))
    note(f"simulated {len(data)} visibilities of a lensed galaxy with {SIMULATION['array']}: {out / 'demo.npz'}")
    summary = fit_model(out / "model.yaml", out, False, note)
    note(f"{'parameter':28s} {'truth':>9s} {'fitted':>9s} {'error':>8s} {'off':>6s}")
    for path, values in summary["parameters"].items():
        if path in simulation.truth:
            truth = simulation.truth[path]
            off = (values["median"] - truth) / values["std"]
            note(f"{path:28s} {truth:9.4f} {values['median']:9.4f} {values['std']:8.4f} {off:+6.1f}")
    return summary
