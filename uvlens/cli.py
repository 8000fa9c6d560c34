"""The command line: one function a command, each a few lines over the library; nothing heavy is imported before use."""

import os
import shlex
import sys
import warnings

import click

from . import __version__
from .cli_options import averaging_options, read_options, reduction_options, selection_keys, selection_options
from .errors import InputError, UVLensWarning
from .provenance import COMMAND_LINE


class _Group(click.Group):
    """Turns an InputError into one line and exit status 2; remembers the command line for what it writes."""

    def make_context(self, info_name, args, parent=None, **extra):
        line = shlex.join(["uvlens", *args])
        context = super().make_context(info_name, args, parent, **extra)
        context.meta[COMMAND_LINE] = line
        return context

    def invoke(self, ctx):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("always", category=UVLensWarning)
            warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except InputError as error:
                click.echo(f"uvlens: {' '.join(str(error).split())}", err=True)
                ctx.exit(2)
            except KeyboardInterrupt:
                click.echo("uvlens: interrupted", err=True)
                ctx.exit(1)
            except BrokenPipeError:  # whoever read the output has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ctx.exit(0)
            except (click.exceptions.Exit, click.Abort, click.ClickException):
                raise
            except OSError as error:
                if os.environ.get("UVLENS_DEBUG"):
                    raise
                where = f" {error.filename}" if error.filename else ""
                click.echo(f"uvlens: failed on a file{where}: {error.strerror or error}", err=True)
                ctx.exit(1)
            except Exception as error:
                if os.environ.get("UVLENS_DEBUG"):
                    raise
                text = " ".join(f"{type(error).__name__}: {error}".split())
                click.echo(f"uvlens: failed with {text[:300]} (UVLENS_DEBUG=1 shows where)", err=True)
                ctx.exit(1)


def _show_warning(message, category, *_args, **_kwargs):
    click.echo(f"warning: {message}", err=True)


def _note(sentence):
    click.echo(sentence, err=True)


def _print_json(value):
    from .files import to_json

    click.echo(to_json(value))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="uvlens")
def main():
    """Strong-lens models fitted directly to interferometric visibilities."""


@main.command()
@click.option("--out", default="demo", show_default=True, help="Folder for the data, the fit and the report.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def demo(out, as_json):
    """Simulate an ALMA observation of a lensed galaxy, fit it, write the report."""
    from .commands import run_demo

    summary = run_demo(out, _note)
    if as_json:
        _print_json(summary)


@main.command()
@click.argument("data")
@click.option("--sign", help="Of a FITS triplet: casa or pyautolens.")
@click.option("--uv-unit", help="Of a text table: lambda or m.")
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(data, sign, uv_unit, as_json, **selection):
    """What is in a file of visibilities."""
    from .describe import describe_data
    from .infopage import info_page

    facts = describe_data(data, read_options(sign, uv_unit, **selection))
    _print_json(facts) if as_json else click.echo(info_page(facts))


@main.command()
@click.argument("data")
@click.option("--out", required=True, help="FITS file; the beam goes to NAME.psf.fits, a picture to NAME.png.")
@click.option("--weighting", type=click.Choice(["natural", "uniform", "briggs"]), default="natural", show_default=True)
@click.option("--robust", type=float, default=0.5, show_default=True, help="Of Briggs' weights, -2 (uniform) to 2.")
@click.option("--taper", type=float, help="Smooth with a Gaussian of this full width [arcsec].")
@click.option("--primary-beam", default="auto", show_default=True, help="Of a mosaic, as in model files: casa7m, ...")
@click.option(
    "--weights",
    type=click.Choice(["file", "rescale"]),
    default="file",
    show_default=True,
    help="As they are or measured.",
)
@click.option("--cell", type=float, help="Pixel scale [arcsec]; default: from the longest baselines.")
@click.option("--size", type=int, help="Pixels a side; default: enough for the primary beam, at most 512.")
@click.option("--center", type=float, nargs=2, default=(0.0, 0.0), help="East, North offset of the middle [arcsec].")
@click.option("--sign", help="Of a FITS triplet: casa or pyautolens.")
@click.option("--uv-unit", help="Of a text table: lambda or m.")
@selection_options
@click.option("--json", "as_json", is_flag=True, help="Print beam, noise and peak as JSON.")
def image(data, out, sign, uv_unit, as_json, **settings):
    """Dirty image and beam of a file of visibilities."""
    from .dirty import write_dirty_image

    selection = {key: settings.pop(key) for key in (*selection_keys(), "stokes")}
    options = read_options(sign, uv_unit, **selection)
    facts = write_dirty_image(data, out, options, _note, **settings)
    if as_json:
        _print_json(facts)


@main.command()
@click.argument("paths", nargs=-1, metavar="[IN]... OUT")
@click.option("--radius", type=float, help="Of the mask, a disc: OUT.uvlens, or averages [arcsec; default 3.0].")
@click.option("--pixel-scale", type=float, help="OUT.uvlens: arcsec; default: from the longest baselines.")
@click.option("--center", type=float, nargs=2, help="OUT.uvlens: East, North offset of the mask [arcsec].")
@click.option("--pixel-window", is_flag=True, help="OUT.uvlens: divide out the response of a square pixel.")
@click.option(
    "--weights",
    type=click.Choice(["rescale", "antennas", "file", "differences"]),
    help="Default: rescale for OUT.uvlens.",
)
@click.option("--model", help="OUT.uvlens: take data and image_plane from a model file; IN is left out.")
@click.option("--sign", help="Of IN, a FITS triplet (casa, pyautolens) or an .npz of MPoL (mpol, casa).")
@click.option("--uv-unit", help="Of IN, a text table or an .npz of others: lambda or m (of MPoL also klambda).")
@click.option("--frequency", type=float, help="Of IN, a text table in metres or a folder for Ripple [Hz].")
@click.option("--wavelength", type=float, help="Of IN, a text table in metres [m].")
@click.option("--format", help="Of OUT, whatever its name: frank, uvtable, npz, uvfits, visilens, triplet.")
@click.option("--out-sign", help="Of OUT, a FITS triplet: pyautolens (default) or casa.")
@click.option("--out-uv-unit", help="Of OUT, a text table: lambda (default) or m.")
@click.option("--precision", help="Of OUT.uvfits: single (default; CASA reads it) or double.")
@click.option("--telescope", help="Of OUT.uvfits or OUT.npz: its name.")
@averaging_options
@selection_options
@reduction_options
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def convert(paths, as_json, sign, uv_unit, frequency, wavelength, **settings):
    """Between file formats; OUT.uvlens is the compressed data set: all that a fit on one mask needs.

    Several IN are added up in OUT.uvlens. Data larger than memory are reduced in partitions; what a run that was
    stopped has done stays in OUT.uvlens.parts, and the next one goes on from there.

    \b
    IN, recognised by its content         its options
      measurement set, UVFITS             --field --spw --stokes (--column) ...
      .npz of uvlens                      -
      .npz of frank, uvplot and others    --uv-unit
      .npz of MPoL, visread               --uv-unit --sign
      pyuvimage, .npz or folder           --spw
      text of galario, frank, uvplot      --uv-unit --frequency --wavelength
      folder of PyAutoLens (triplet)      --sign
      folder for Ripple                   --frequency
      visilens .bin                       -

    \b
    OUT, chosen by its name               its options
      .npz: keeps everything              --telescope
      .uvfits: for CASA, AIPS             --precision --telescope
      .txt .dat (.gz .bz2): as uvplot     --out-uv-unit
      the same or .npz, --format frank    -
      .bin: visilens                      -
      folder/: PyAutoLens                 --out-sign
      .uvlens: compressed                 --radius --pixel-scale --center --pixel-window --model
    """
    from .convert import convert as run
    from .convert import describe_conversion

    selection = {key: settings.pop(key) for key in (*selection_keys(), "stokes")}
    options = read_options(sign, uv_unit, **selection)
    options |= {k: v for k, v in {"frequency": frequency, "wavelength": wavelength}.items() if v is not None}
    facts = run(paths, options, settings, _note)
    _print_json(facts) if as_json else click.echo(describe_conversion(facts))


@main.command("casa-script")
@click.option("--out", help="File for the script; default: print it.")
def casa_script(out):
    """A script for people inside CASA: from a measurement set to an .npz that uvlens reads, with numpy alone.

    \b
    uvlens casa-script > export_uvlens.py
    casa --nogui -c export_uvlens.py target.ms target.npz --field LENS1 --spw 0,1
    """
    from .casa_script import script_text, write_script

    click.echo(script_text(), nl=False) if out is None else write_script(out)


@main.command()
@click.argument("simulation", required=False)
@click.option(
    "--out",
    required=True,
    help="File for the visibilities, its name chooses the format; of an image NAME.fits or a folder.",
)
@click.option("--from-fit", metavar="FIT_DIR", help="The sky is that of a fit: its source through its lens.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the noise; default: that of SIMULATION, or 1.")
@click.option("--json", "as_json", is_flag=True, help="Print what was simulated as JSON.")
def simulate(simulation, out, from_fit, seed, as_json):
    """Simulate an observation from a YAML file.

    With --from-fit, SIMULATION states a new uv coverage and noise, without lens and source; left out, they are those
    of the data that were fitted.
    """
    from .commands import run_simulation

    facts = run_simulation(simulation, out, from_fit, seed, _note)
    what = f"{facts['n_visibilities']} visibilities" if "n_visibilities" in facts else f"{facts['n_pixels']} pixels"
    _print_json(facts) if as_json else _note(f"{what} written to {out}")


@main.command()
@click.argument("model")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Value of a parameter; may be repeated.")
@click.option("--gradient", is_flag=True, help="Also the gradient of ln E for every parameter.")
@click.option(
    "--operator",
    type=click.Choice(["auto", "direct", "direct32", "fft", "lowrank"]),
    default="auto",
    show_default=True,
    help="How W is applied; direct32 correlates in single precision.",
)
@click.option("--memory", is_flag=True, help="Say what memory it takes before taking it; stop if there is not enough.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def evaluate(model, settings, gradient, operator, memory, as_json):
    """ln E of a model at fixed parameters (free ones at their prior medians unless --set)."""
    from .commands import evaluate_model, print_facts

    facts = evaluate_model(model, settings, gradient, operator, memory, _note)
    _print_json(facts) if as_json else print_facts(facts)
    if "log_evidence" not in facts:
        sys.exit(1)


@main.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@click.option("--out", help="Folder for the results.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoints in the folder.")
@click.option("--show-model", is_flag=True, help="Print the parameters with their priors, and stop.")
@click.option("--prior-predictive", help="Draw skies from the prior into this PNG, and stop.")
@click.option("--profile", is_flag=True, help="Time every step of a likelihood; without --out, that alone.")
@click.option(
    "--quick-look",
    type=click.IntRange(min=1),
    metavar="N",
    help="Draw the best model so far into OUT/quick_look.html every N likelihoods.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Fit MODELs into OUT/NAME, this many at once.")
@reduction_options
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON, of several fits what became of each.")
def fit(models, out, resume, show_model, prior_predictive, profile, quick_look, jobs, workers, scheduler, as_json):
    """Fit a model; the folder gets summary.json, posterior.nc, best_fit.yaml, FITS products and report.html.

    A model with a pipeline is fitted stage by stage. Several MODELs, or a folder of them, go to OUT/NAME, --jobs of
    them at once, on processes of their own or on the workers of --scheduler; OUT/jobs.json says what became of each,
    OUT/results.csv has a row for each. The status is 1 if any failed.
    """
    from pathlib import Path

    from .commands import draw_prior_predictive, fit_model, show_models

    if prior_predictive is not None:
        draw_prior_predictive(models[0], prior_predictive, _note)
        return
    if show_model:
        facts, page = show_models(models)
        _print_json(facts) if as_json else click.echo(page)
        return
    facts = None
    if profile:
        from .commands import profile_model
        from .profiling import print_profile

        facts = profile_model(models[0], _note)
        if out is None:
            _print_json(facts) if as_json else print_profile(facts)
            return
        if not as_json:
            print_profile(facts)
    if out is None:
        raise InputError("fit: --out names the folder for the results")
    if jobs is not None or len(models) > 1 or Path(models[0]).is_dir():
        from .jobs import fit_many, print_jobs

        if quick_look is not None:
            raise InputError("fit: --quick-look is of one model")
        rows = fit_many(models, out, jobs or 1, resume=resume, scheduler=scheduler, workers=workers, note=_note)
        _print_json({"jobs": rows} | ({} if facts is None else {"profile": facts})) if as_json else print_jobs(rows)
        if any(row["status"] == "failed" for row in rows):
            sys.exit(1)
        return
    summary = fit_model(models[0], out, resume, _note, workers, scheduler, quick_look=quick_look)
    if as_json:
        _print_json(summary | ({} if facts is None else {"profile": facts}))


@main.command()
@click.argument("directory", metavar="FIT_DIR")
@click.argument("out", required=False)
@click.option("--what", type=click.Choice(["model", "residual"]), default="model", show_default=True)
@click.option("--column", help="Of a measurement set; without OUT it is written into the set that was fitted.")
@click.option("--data", help="File to predict for; default: the one that was fitted.")
@click.option("--field", help="Number or name of the field in DATA; default: that of the fit.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(directory, out, what, column, data, field, as_json):
    """Model visibilities of a fit, or data - model, at every visibility of the file that was fitted.

    OUT.ms is a copy of the measurement set with MODEL_DATA (and CORRECTED_DATA = data - model for a residual), ready
    for tclean; OUT.uvfits a copy of a UVFITS file; other names are written as `uvlens convert` does.
    """
    from .export import export as run

    facts = run(directory, out, what=what, column=column, data=data, field=field, note=_note)
    where = f"{', '.join(facts['columns'])} of " if facts["columns"] else ""
    done = f"{facts['n_visibilities']:,} visibilities predicted, {where}{facts['output']} written"
    _print_json(facts) if as_json else _note(done)


@main.command()
@click.option("--quick", is_flag=True, help="The smallest case, three calls each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def benchmark(quick, as_json):
    """Time one evidence and its gradient on this machine, by operator."""
    from .benchmark import print_table, run

    result = run(_note, quick)
    _print_json(result) if as_json else print_table(result)


@main.command()
@click.argument("directory", metavar="FIT_DIR")
@click.option("--grid", type=click.IntRange(min=1), default=15, show_default=True, help="Positions a side.")
@click.option("--extent", type=float, help="Half the side of the square of positions [arcsec]; default: the mask.")
@click.option("--center", type=float, nargs=2, help="Its middle, East and North [arcsec]; default: that of the mask.")
@click.option("--log10-mass", "sizes", default="8.5,9,9.5,10", show_default=True, help="log10 of M200c / solar mass.")
@click.option("--einstein-radius", "radii", help="Of an SIS or PointMass in the place of masses [arcsec].")
@click.option("--profile", type=click.Choice(["SubhaloNFW", "SIS", "PointMass"]), default="SubhaloNFW")
@click.option("--plane", type=click.IntRange(min=0), default=0, help="Number of the lens plane.")
@click.option("--fixed-macro", is_flag=True, help="Hold all other parameters at the best fit.")
@click.option("--steps", type=click.IntRange(min=1), default=4, show_default=True, help="Quasi-Newton steps a point.")
@click.option("--sensitivity", is_flag=True, help="Map which subhaloes would be seen, with mock data.")
@click.option("--noise", type=int, help="Seed of noise in the mock data; default: none.")
@click.option("--threshold", type=float, default=10.0, show_default=True, help="Delta ln E of a detection.")
@click.option("--out", help="Folder for maps and picture; default: FIT_DIR.")
@click.option("--resume", is_flag=True, help="Continue from the checkpoint in the folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def subhalo(directory, as_json, **settings):
    """Scan a finished fit for a subhalo, or map the masses that would be seen."""
    from .commands import print_facts, scan_subhaloes

    facts = scan_subhaloes(directory, _note, **settings)
    _print_json(facts) if as_json else print_facts(facts)


@main.command()
@click.argument("directories", nargs=-1, required=True, metavar="FIT_DIR FIT_DIR...")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(directories, as_json):
    """Evidences of several fits of the same data, side by side."""
    from .comparison import compare, print_comparison

    rows = compare(*directories)
    _print_json(rows) if as_json else print_comparison(rows)


@main.command()
@click.argument("directory")
def report(directory):
    """Rebuild the report of a finished fit."""
    from .report import write_report

    _note(f"{write_report(directory)}")


if __name__ == "__main__":
    sys.exit(main())
