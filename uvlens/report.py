"""`report.html`: one self-contained page with the pictures, the numbers and where they came from."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .files import write_atomically
from .nuisancepage import nuisance_figures
from .products import write_fits_products
from .reload import model_of
from .reportfacts import data_section, residual_section
from .reportpage import report_page
from .reporttable import short_names, write_tables
from .schema import load_yaml
from .skyfigures import sky_figures


def write_report(directory, truth=None):
    """Write `report.html`, its figures as PNG and PDF and its tables from the files of a result folder.

    FITS products that the fit could not write, for want of astropy, are written too.

    Args:
        directory: folder with summary.json, posterior.nc, best_fit.yaml and normal.npz.
        truth: true values by parameter path, drawn in the corner plot; default: `truth.json` of the folder if there.

    Returns:
        Path of the report.

    Raises:
        InputError: a folder without these files.
    """
    directory = Path(directory)
    summary = _read_summary(directory)
    model, phase_center = load_best_model(directory)
    if truth is None and (directory / "truth.json").exists():
        truth = json.loads((directory / "truth.json").read_text())
    found = model.inversions(jnp.zeros(0))
    if not list(directory.glob("source*.fits")):
        write_fits_products(found, directory, phase_center)
    figures = sky_figures(found, model.lenses(jnp.zeros(0))) | _posterior_figures(directory, truth or {})
    figures |= nuisance_figures(summary)
    for name, (figure, _) in figures.items():
        figure.savefig(directory / f"{name}.png")
        figure.set_layout_engine("none")  # settled: finding it again takes as long as drawing
        figure.savefig(directory / f"{name}.pdf")
    write_tables(summary, directory)
    sections = {"data": data_section(model.skies), "residuals": residual_section(found)}
    captions = {name: caption for name, (_, caption) in figures.items()}
    page = report_page(directory, summary, captions, sections, truth or {})
    target = directory / "report.html"
    write_atomically(target, lambda stream: stream.write(page.encode()))
    return target


def _read_summary(directory):
    try:
        return json.loads((directory / "summary.json").read_text())
    except FileNotFoundError:
        raise InputError(f"{directory}: no summary.json here; is it the folder of a finished fit?") from None
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(f"{directory}/summary.json: {error}") from None


def load_best_model(directory):
    """(model at the best fit, phase centre)."""
    for name in ("best_fit.yaml", "normal.npz", "posterior.nc"):
        if not (directory / name).exists():
            raise InputError(f"{directory}: no {name} here; is it the folder of a finished fit?")
    return model_of(load_yaml(directory / "best_fit.yaml") | {"positions": None}, directory)


def _read_samples(directory, group="posterior"):
    """(samples (M, n), paths, number of chains) of a group of posterior.nc; None where it is not there."""
    import xarray

    try:
        with xarray.open_dataset(directory / "posterior.nc", group=group, engine="h5netcdf") as samples:
            paths = [str(name) for name in samples.data_vars]
            arrays = [np.asarray(samples[path]) for path in paths]
    except (OSError, KeyError):
        return None
    return np.stack([array.reshape(-1) for array in arrays], axis=1), paths, arrays[0].shape[0]


def _posterior_figures(directory, truth):
    from . import plot_posterior

    read = _read_samples(directory)
    if read is None:
        raise InputError(f"{directory}/posterior.nc: holds no posterior; fit again")
    samples, paths, n_chains = read
    logarithmic = [path.endswith("strength") and "regularization" in path for path in paths]

    def shown(values):
        return np.where(logarithmic, np.log(np.where(logarithmic, values, 1.0)), values)

    names = short_names(paths)
    true_values = [
        np.log(truth[path]) if known and truth.get(path) else truth.get(path)
        for path, known in zip(paths, logarithmic, strict=True)
    ]
    caption = "Posterior: 39 % and 86 % regions, medians and 16 to 84 % ranges"
    caption += "; red lines mark the true values." if truth else "."
    corner = plot_posterior.plot_corner(shown(samples), names, true_values if truth else None)
    figures = {"corner": (corner, caption)}
    prior = _read_samples(directory, "prior")
    if prior is not None and prior[1] == paths and len(prior[0]):
        figures["prior"] = (
            plot_posterior.plot_prior_posterior(shown(samples), shown(prior[0]), names),
            "Prior (grey) and posterior (blue, a line at its median), each scaled to its peak.",
        )
    if n_chains > 1:
        figures["traces"] = (plot_posterior.plot_traces(shown(samples), names, n_chains), "The chains.")
    return figures
