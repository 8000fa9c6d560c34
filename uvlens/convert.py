"""`uvlens convert`: visibilities from one format to another, or reduced on a mask to a compressed data set."""

import time
from pathlib import Path

from .averagesection import AverageSettings, apply_averaging
from .conventions import ARCSEC
from .data import apply_weights, check_writable, format_of_name, is_compressed, read, write
from .data.compressed import SUFFIX
from .datasection import DataEntry
from .errors import InputError
from .imageplane import ImagePlane
from .modelfile import ModelFile
from .normal import Reduction, Schedule
from .outside import warn_of_emission_outside
from .progress import Progress
from .schema import as_number
from .skies import less_components, load_skies

DEFAULT_RADIUS = 3.0
"""arcsec."""

_OF_AVERAGING = ("time_average", "channel_average", "baseline_average", "smearing", "centroid")
_OF_FORMAT = {"out_sign": "sign", "out_uv_unit": "uv_unit", "precision": "precision", "telescope": "telescope"}
"""Settings that are options of the format of OUT."""
_OF_COMPRESSED = ("radius", "pixel_scale", "center", "pixel_window", "model", "workers", "scheduler")


def convert(paths, options, settings, note=lambda _: None):
    """Convert a file; the facts that `uvlens convert --json` prints.

    Args:
        paths: (IN, ..., OUT), or (OUT,) with settings["model"].
        options: of `read`.
        settings: radius, pixel_scale, center, pixel_window, weights, model, workers, scheduler; time_average,
            channel_average, baseline_average, smearing, centroid; of files of visibilities format, out_sign,
            out_uv_unit, precision, telescope; None or false where not given.
        note: called with sentences about the data.

    Raises:
        InputError: everything that can be wrong with files and settings.
    """
    settings = {key: value for key, value in settings.items() if value is not None and value is not False}
    sources, out = _split(paths, settings)
    check_writable(out, settings.get("format"))
    started = time.perf_counter()
    average = _average_settings(settings)
    if Path(out).suffix.lower() == SUFFIX:
        for key in ("format", *_OF_FORMAT):
            if key in settings:
                raise InputError(f"--{key.replace('_', '-')} is for files of visibilities, got {out}")
        facts = _compress(sources, out, options, settings, average, note)
    else:
        for key in _OF_COMPRESSED:
            if key in settings and not (key == "radius" and average):
                raise InputError(f"--{key.replace('_', '-')} is for an OUT that ends in {SUFFIX}, got {out}")
        if len(sources) > 1:
            raise InputError(f"convert: several files are added up in an OUT that ends in {SUFFIX} only, got {out}")
        facts = _rewrite(sources[0], out, options, settings, average, note)
    return facts | {"seconds": time.perf_counter() - started}


def describe_conversion(facts):
    """One line for people."""
    before, after = (_size(facts[key]) for key in ("bytes_in", "bytes_out"))
    line = f"{facts['output']}: {facts['n_visibilities']:,} visibilities, {before} -> {after}"
    if "n_image_pixels" in facts:
        line += f', {facts["n_image_pixels"]:,} pixels of {facts["pixel_scale"]:.4g}"'
    return f"{line}, {facts['seconds']:.1f} s"


def describe_compressed(path):
    """The facts that `uvlens info --json` prints about a compressed data set."""
    from .imaging import synthesized_beam
    from .products import all_cells

    reduction, header = Reduction.load(path)
    observations, grid = reduction.observations, reduction.mask.grid
    if "beam" in header:
        major, minor, angle = header["beam"]
    else:
        u, v, _, weight = all_cells(reduction)
        beam = synthesized_beam(u, v, weight)
        major, minor, angle = beam.major, beam.minor, beam.position_angle
    shortest = min(one.shortest for one in observations)
    center = reduction.phase_center
    antennas = [one.n_antennas for one in observations if one.n_antennas is not None]
    return {
        "name": Path(path).name,
        "n_visibilities": reduction.n_visibilities,
        "n_flagged": sum(one.n_flagged for one in observations),
        "fields": sorted({field for one in observations for field in one.fields}) or [0],
        "spws": [
            {
                "id": i,
                "name": one.name,
                "frequency_hz": one.frequency,
                "n_channels": one.n_channels,
                "weight_factor": None,
                "weight_factor_error": None,
            }
            for i, one in enumerate(observations)
        ],
        "antennas": max(antennas, default=None),
        "uv_range": [shortest, max(one.longest for one in observations)],
        "beam": {"bmaj": major, "bmin": minor, "bpa": angle},
        "sensitivity_jy_beam": reduction.sum_weight**-0.5,
        "phase_center": None if center is None else {"ra": center[0], "dec": center[1]},
        "primary_beam_fwhm": observations[0].primary_beam_fwhm,
        "suggested_pixel_scale": reduction.histogram.pixel_scale(),
        "largest_scale": 0.6 / (max(shortest, 1.0) * ARCSEC),
        "compressed": {
            "n_image_pixels": reduction.mask.n_pixels,
            "pixel_scale": grid.pixel_scale,
            "shape": list(grid.shape),
            "center": list(grid.center),
            "pixel_window": reduction.pixel_window,
            "log_evidence_null": reduction.log_evidence_null,
            "version": header["version"],
            "sources": header.get("sources", []),
            "notes": header.get("notes", []),
            "hashes": list(reduction.hashes),
        },
        "warnings": [],
    }


def _split(paths, settings):
    """([IN, ...], OUT)."""
    if len(paths) < (1 if "model" in settings else 2):
        raise InputError(f"convert: expected IN and OUT (OUT alone with --model), got {len(paths)} names")
    return list(paths[:-1]), paths[-1]


def _average_settings(settings):
    """AverageSettings of the options, None where there are none."""
    given = [key for key in _OF_AVERAGING if key in settings]
    if not given:
        return None
    if not {"time_average", "channel_average", "baseline_average"} & set(given):
        name = given[0].replace("_", "-")
        raise InputError(f"--{name}: say --time-average, --channel-average or --baseline-average, too")
    time_bin, channels = settings.get("time_average"), settings.get("channel_average")
    if time_bin not in (None, "auto"):
        time_bin = as_number(time_bin, "--time-average", positive=True)
    smearing, centroid = settings.get("smearing"), settings.get("centroid", "weighted")
    return AverageSettings(time_bin, channels, "baseline_average" in given, smearing, centroid)


def _compress(sources, out, options, settings, average, note):
    from .imaging import synthesized_beam
    from .normal.partitions import discard
    from .products import all_cells

    entries, plane = _what_to_reduce(sources, options, settings, average)
    notes = []

    def say(sentence):
        notes.append(sentence)
        note(sentence)

    skies = load_skies(entries, say, plane)
    if len(skies) > 1 or len(skies[0].channels) > 1:
        raise InputError("a compressed data set holds one sky and no separate channels; convert them one by one")
    mask = plane.build_mask(skies[0].data_sets)
    data_sets = less_components(skies[0], mask, say).data_sets
    warn_of_emission_outside(data_sets, mask)
    kept = f"{out}.parts"
    with Progress() as progress:
        schedule = Schedule(settings.get("workers"), settings.get("scheduler"), kept, progress)
        reduction = plane.reduce(data_sets, mask, schedule)
    u, v, _, weight = all_cells(reduction)
    beam = synthesized_beam(u, v, weight)
    reduction.save(
        out,
        weights=[mode for entry in entries for mode in _weights_of(entry)],
        sources=[str(entry.file) for entry in entries],
        notes=notes,
        beam=(beam.major, beam.minor, beam.position_angle),
    )
    discard(kept)
    return {
        "output": str(out),
        "inputs": [str(entry.file) for entry in entries],
        "format": "compressed",
        "n_visibilities": reduction.n_visibilities,
        "n_image_pixels": mask.n_pixels,
        "pixel_scale": mask.grid.pixel_scale,
        "center": list(mask.grid.center),
        "pixel_window": reduction.pixel_window,
        "log_evidence_null": reduction.log_evidence_null,
        "hashes": list(reduction.hashes),
        "bytes_in": sum(_bytes(entry.file) for entry in entries),
        "bytes_out": _bytes(out),
        "notes": notes,
    }


def _weights_of(entry):
    """What was done to the weights of a data set: one word, or those of a compressed one."""
    return Reduction.load(entry.file)[1].get("weights", []) if is_compressed(entry.file) else [entry.weights]


def _what_to_reduce(sources, options, settings, average):
    """(data entries, image plane) of a model file, or of the options."""
    if "model" in settings:
        said_there = ("radius", "pixel_scale", "center", "pixel_window", "weights", *_OF_AVERAGING)
        extra = [key for key in said_there if key in settings]
        if extra or options:
            name = next(iter([*extra, *options])).replace("_", "-")
            raise InputError(f"--{name}: with --model this is said in the model file")
        model_file = ModelFile.read(settings["model"])
        given = [Path(source).resolve() for source in sources]
        if given and given != [entry.file.resolve() for entry in model_file.data]:
            raise InputError(
                f"{sources[0]}: not the one data file of {settings['model']}; leave IN out to take them all"
            )
        return model_file.data, model_file.image_plane
    for key in ("radius", "pixel_scale"):
        if key in settings and not 0.0 < settings[key] < float("inf"):
            raise InputError(f"--{key.replace('_', '-')} must be a positive number of arcsec, got {settings[key]}")
    given = {{"radius": "mask"}.get(key, key) for key in settings}
    weights = settings.get("weights", "rescale")
    entries = [
        DataEntry(Path(source), weights, "auto", options, frozenset(given), average=average) for source in sources
    ]
    shape = ("disc", settings.get("radius", DEFAULT_RADIUS))
    window = settings.get("pixel_window", False)
    plane = ImagePlane(
        settings.get("pixel_scale"), 4, window, shape, settings.get("center", (0.0, 0.0)), frozenset(given)
    )
    return entries, plane


def _rewrite(source, out, options, settings, average, note):
    data = read(source, **options)
    data, sentence = apply_weights(data, settings.get("weights", "file"))
    notes = [sentence]
    note(f"{data.name}: {sentence}")
    radius = settings.get("radius", DEFAULT_RADIUS)
    data = apply_averaging(data, average, radius, lambda text: (notes.append(text), note(text)))
    form = settings.get("format") or format_of_name(out)
    chosen = {option: settings[key] for key, option in _OF_FORMAT.items() if key in settings}
    if form == "npz":
        chosen |= {"source": str(source), "weight_scale": sentence}
    write(data, out, form, **chosen)
    return {
        "output": str(out),
        "inputs": [str(source)],
        "format": form,
        "n_visibilities": len(data),
        "bytes_in": _bytes(source),
        "bytes_out": _bytes(out),
        "notes": notes,
    }


def _bytes(path):
    path = Path(path)
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


def _size(n_bytes):
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} GB"
