"""What the commands of the command line do, as functions that return facts."""

import time
import warnings
from pathlib import Path

import click
import numpy as np

from .conventions import ARCSEC
from .convert import describe_compressed
from .data import check_writable, fields_of, has_fields, is_compressed, largest_field, read, weight_factor, write
from .errors import InputError, UVLensWarning
from .files import save_json, write_atomically
from .grid import MAXIMUM_SIDE, PixelGrid
from .imaging import make_image, synthesized_beam
from .modelfile import ModelFile
from .progress import Progress


def describe_data(path, options):
    """The facts that `uvlens info --json` prints."""
    if is_compressed(path):
        return describe_compressed(path)
    data, remarks = _read_one_field(path, options)
    good = data.unflagged()
    beam = synthesized_beam(good.u, good.v, good.weight)
    windows, said = _describe_windows(data)
    remarks += said
    antennas = None
    if good.antenna1 is not None and good.antenna2 is not None:
        antennas = len(np.unique(np.concatenate([good.antenna1, good.antenna2])))
    center = data.phase_center
    field = [0] if good.field is None else np.unique(good.field).tolist()
    named = fields_of(path) if has_fields(path) else {}
    return {
        "name": data.name,
        "n_visibilities": len(data),
        "n_flagged": len(data) - len(good),
        "fields": sorted(named) or field,
        "field_names": list(named.values()) or None,
        "field": field,
        "spws": windows,
        "antennas": antennas,
        "uv_range": [float(good.uv_distance.min()), float(good.uv_distance.max())],
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "sensitivity_jy_beam": good.sensitivity,
        "phase_center": None if center is None else {"ra": center[0], "dec": center[1]},
        "primary_beam_fwhm": data.primary_beam_fwhm,
        "suggested_pixel_scale": good.suggested_pixel_scale(),
        "largest_scale": 0.6 / (max(float(good.uv_distance.min()), 1.0) * ARCSEC),
        "warnings": remarks,
    }


def _read_one_field(path, options):
    """(data, remarks); where a file has several fields and none was named, the one with the most data."""
    if "field" in options or not has_fields(path):
        return read(path, **options), []
    name, listed = largest_field(path)
    remarks = [f"several fields: {listed}; this is {name}, --field says another"] if listed else []
    return read(path, field=name, **options), remarks


def _describe_windows(data):
    """Facts of each spectral window, and warnings."""
    numbers = [None] if data.spw is None else np.unique(data.spw)
    windows, remarks = [], []
    for number in numbers:
        part = data if number is None else data.select(data.spw == number)
        if not np.any(part.weight > 0.0):
            continue
        frequency = None if part.frequency is None else float(part.frequency.mean())
        channels = 1 if part.frequency is None else len(np.unique(part.frequency))
        factor, error, said = _weight_check(part.unflagged(), channels)
        remarks += said if number is None else [f"spw {number}: {sentence}" for sentence in said]
        windows.append(
            {
                "id": 0 if number is None else int(number),
                "frequency_hz": frequency,
                "n_channels": channels,
                "weight_factor": factor,
                "weight_factor_error": error,
            }
        )
    return windows, remarks


def _weight_check(data, channels):
    """(factor, its error, warnings): true weight over the weight in the file, by differencing."""
    estimate = weight_factor(data)
    if estimate is None:
        return None, None, ["weights cannot be checked: no antenna numbers, or too few repeats of a baseline"]
    factor, error = estimate[0], estimate[0] * estimate[1]
    if abs(factor - 1.0) <= max(0.1, 5.0 * error):
        return factor, error, []
    sentence = f"weights look wrong: true weight / weight in the file = {factor:.3f} +- {error:.3f}"
    if channels > 1 and abs(factor / channels - 1.0) < max(0.1, 5.0 * error / factor):
        sentence += f"; the weights were divided by the number of channels ({channels}), as exportuvfits does"
    elif abs(factor / 2.0 - 1.0) < 0.1 or abs(2.0 * factor - 1.0) < 0.1:
        sentence += "; a factor of two: sigma of |V| or of both hands in the place of one part's"
    return factor, error, [sentence]


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


def write_dirty_image(path, out, cell, size, center, options, note, weighting=None):
    """Dirty image, beam and picture of `uvlens image`."""
    from .plot import plot_data_image
    from .wcs import write_image

    if not Path(out).stem or not out.endswith(".fits"):
        raise InputError(f"--out must end in .fits, got {out}")
    if not Path(out).resolve().parent.is_dir():
        raise InputError(f"--out: there is no folder {Path(out).parent}")
    if cell is not None and not 0.0 < cell < np.inf:
        raise InputError(f"--cell must be a positive number of arcsec, got {cell}")
    if size is not None and not 8 <= size <= MAXIMUM_SIDE:
        raise InputError(f"--size must lie between 8 and {MAXIMUM_SIDE}, got {size}")
    data = read(path, **options).unflagged()
    cell = data.suggested_pixel_scale() if cell is None else cell
    if size is None:
        width = data.primary_beam_fwhm or 256 * cell
        size = int(np.clip(np.ceil(1.2 * width / cell), 64, 512))
    dirty = make_image(data, PixelGrid((size, size), cell, center), **(weighting or {}))
    base = out[: -len(".fits")]
    extra = {"phase_center": data.phase_center, "unit": "Jy/beam", "beam": dirty.beam}
    write_image(out, dirty.image, dirty.grid, **extra)
    write_image(f"{base}.psf.fits", dirty.psf, dirty.psf_grid, **extra)
    plot_data_image(dirty).savefig(f"{base}.png")
    beam = dirty.beam
    note(f'beam {beam.major:.3f}" x {beam.minor:.3f}", PA {beam.position_angle:.1f} deg')
    note(f"noise {1e6 * dirty.noise:.1f} uJy/beam, peak S/N {dirty.image.max() / dirty.noise:.1f}")
    note(f"written {out}, {base}.psf.fits, {base}.png")
    return {
        "beam": {"bmaj": beam.major, "bmin": beam.minor, "bpa": beam.position_angle},
        "noise_jy_beam": dirty.noise,
        "peak_jy_beam": float(dirty.image.max()),
        "pixel_scale": cell,
        "size": size,
    }


def run_simulation(path, out):
    """Simulate the observation of a YAML file and write it; facts of the result."""
    from .simulate.simfile import read_simulation

    simulation = read_simulation(path)
    check_writable(out)
    data = simulation.run()
    write(data, out)
    return {"n_visibilities": len(data), "sensitivity_jy_beam": data.sensitivity, "truth": simulation.truth}


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
    data_sets = model_file.load_data(lambda sentence: (notes.append(sentence), note(sentence)))
    mask = model_file.build_mask(data_sets)
    out = Path(out)
    kept = out / "reduction"
    with Progress() as progress:
        schedule = Schedule(workers, scheduler, kept, progress)
        model = model_file.build_model(model_file.build_normal(data_sets, mask, schedule=schedule))
    note(repr(model.normal))
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
    section = [
        dict(item, file=str(entry.file.resolve())) for item, entry in zip(model_file.data_items, model_file.data)
    ]
    result.save(out, data_section=section, phase_center=data_sets[0].phase_center)
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
