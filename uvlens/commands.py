"""What the commands of the command line do, as functions that return facts."""

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


def run_simulation(path, out):
    """Simulate the observation (visibilities or an image) of a YAML file and write it; facts of the result."""
    from .simulate.imagefile import ImageSimulation
    from .simulate.simfile import read_simulation

    simulation = read_simulation(path)
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


def print_model(path):
    """The parameters of a model file with their priors and units."""
    from .parameters import Parameters
    from .report import unit_of

    model_file = ModelFile.read(path)
    parameters = Parameters({"lens": model_file.lens, "source": model_file.source})
    free = dict(zip(parameters.paths, parameters.priors))
    width = max(len(name) for name in parameters.all_paths)
    for name in parameters.all_paths:
        shown = free.get(name, parameters.stated(name))
        click.echo(f"{name:<{width}}  {shown}  {unit_of(name)}".rstrip())


def fit_model(path, out, resume, note, workers=None, scheduler=None):
    """Fit a model file and write everything to a folder; the summary."""
    from .inference import fit
    from .normal import Schedule
    from .normal.partitions import discard

    if not str(out).strip() or Path(out).is_file():
        raise InputError(f"--out: expected a folder, got {str(out)!r}")
    model_file = ModelFile.read(path)
    notes = []
    started = time.strftime("%Y-%m-%d %H:%M:%S")

    def say(sentence):
        notes.append(sentence)
        note(sentence)

    skies = model_file.load_data(say)
    mask = model_file.build_mask(skies)
    out = Path(out)
    kept = out / "reduction"
    with Progress() as progress:
        schedule = Schedule(workers, scheduler, kept, progress)
        model = model_file.build_model(model_file.build_skies(skies, mask, note=say, schedule=schedule))
    for sky in model.skies:
        note(f"{sky.name}: {sky.normal!r}" if sky.name else repr(sky.normal))
    with Progress() as progress:
        result = fit(
            model,
            model_file.method,
            seed=model_file.seed,
            directory=out,
            resume=resume,
            progress=progress,
            notes=notes,
            **model_file.options,
        )
    note(f"{result.n_evaluations} likelihoods in {result.wall_seconds:.1f} s; writing the results")
    section = [absolute_item(item, model_file.path.parent) for item in model_file.data_items]
    result.save(out, data_section=section, phase_center=model.normal.reduction.phase_center)
    discard(kept)
    report = _report_if_possible(out)
    lines = [f"started {started}", *notes, repr(model.normal), f"{result.method}, seed {result.seed}"]
    lines += [f"{result.n_evaluations} likelihoods, {result.n_gradients} gradients, {result.wall_seconds:.1f} s"]
    lines += [f"warning: {text}" for text in result.warnings] + [f"finished {time.strftime('%Y-%m-%d %H:%M:%S')}"]
    write_atomically(out / "log", lambda stream: stream.write("\n".join([*lines, ""]).encode()))
    note(f"report: {report}")
    return result.summary()


def _report_if_possible(out):
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
