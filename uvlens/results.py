"""What a fit leaves behind: samples, summary, and the files a paper is written from."""

import dataclasses
import functools
import json
import os
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from . import __version__
from .derived import shape_parameters, source_parameters, unwrap_about_mean
from .errors import InputError, UVLensWarning
from .files import save_json, write_atomically
from .model import Model
from .normal import known_rank
from .skyfiles import save_skies
from .terms import (
    describe_skies,
    log_evidence_minus_null,
    log_evidence_terms,
    n_real_data,
    n_visibilities,
    worst_certificate,
)

PRODUCTS = (
    *("summary.json", "posterior.nc", "best_fit.yaml", "normal.npz", "report.html", "log", "mask.fits"),
    *("source.fits", "source_error.fits", "model.fits", "residual.fits"),
    *("normal.*.npz", "source.*.fits", "source_error.*.fits", "model.*.fits", "residual.*.fits"),
    *("lensed_source*.fits", "model_image*.fits", "residual_sigma*.fits", "adapt.*.fits"),
)
"""Patterns of the files of a result folder; a new fit removes those of an old one first."""

N_SOURCE_SAMPLES = 60
"""Samples whose source is reconstructed for the errors of magnification and flux."""


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """The outcome of a fit.

    Attributes:
        model: the Model that was fitted.
        method, seed: of the search.
        vectors: equal-weight posterior samples of the n free parameters, shape (M, n).
        log_likelihood: ln E - ln E_null of each, shape (M,), or None (Gaussian approximation).
        n_chains: chains that the samples come from, in order.
        best_vector, best_log_likelihood: the point of highest posterior density.
        diagnostics: of the search, by name.
        log_evidence_minus_null: ln Z - ln E_null of the whole model from nested sampling, or None.
        n_evaluations, n_gradients, wall_seconds: cost.
        notes: sentences about how the data were read.
    """

    model: Model
    method: str
    seed: int
    vectors: np.ndarray
    log_likelihood: np.ndarray | None
    n_chains: int
    best_vector: np.ndarray
    best_log_likelihood: float
    diagnostics: dict
    log_evidence_minus_null: float | None
    n_evaluations: int
    n_gradients: int
    wall_seconds: float
    notes: tuple[str, ...] = ()

    @functools.cached_property
    def best(self):
        """(inversion, geometry) of the first sky at the best-fitting parameters."""
        return self.reconstructions[0].inversion, self.reconstructions[0].geometry

    @functools.cached_property
    def reconstructions(self):
        """[Reconstruction] of every channel of every sky at the best-fitting parameters."""
        return self.model.inversions(jnp.asarray(self.best_vector))

    @functools.cached_property
    def derived(self):
        """Samples of derived quantities by path: dict path -> (samples, value at the best fit)."""
        shapes = shape_parameters(self.model, self.vectors)
        at_best = shape_parameters(self.model, self.best_vector[None])
        values = {}
        for path, samples in shapes.items():
            if path.endswith("position_angle"):
                samples = unwrap_about_mean(samples)
                at_best[path] = samples.mean() + (at_best[path] - samples.mean() + 90.0) % 180.0 - 90.0
            values[path] = (samples, float(at_best[path][0]))
        n_samples = max(12, N_SOURCE_SAMPLES // len(self.reconstructions))
        stride = max(1, len(self.vectors) // n_samples)
        rows = [source_parameters(self.model, vector) for vector in self.vectors[::stride]]
        best = source_parameters(self.model, self.best_vector)
        for path in best:
            values[path] = (np.array([row[path] for row in rows]), best[path])
        return values

    @property
    def warnings(self):
        """Everything about this fit that a referee would ask about."""
        return search_warnings(self)

    def summary(self):
        """The content of `summary.json`."""
        found, normal = self.reconstructions, self.model.normal
        null, minus_null = self.model.log_evidence_null, self.log_evidence_minus_null
        best, k = log_evidence_minus_null(found), n_visibilities(self.model)
        return {
            "parameters": {
                path: statistics(self.vectors[:, i], self.best_vector[i])
                for i, path in enumerate(self.model.parameters.paths)
            },
            "derived": {path: statistics(samples, best) for path, (samples, best) in self.derived.items()},
            "log_evidence": None if minus_null is None else minus_null + null,
            "max_log_evidence": null + best,
            "max_log_evidence_minus_null": best,
            "positions_penalty": float(self.model.positions_penalty(jnp.asarray(self.best_vector))),
            "terms": log_evidence_terms(self.model, found),
            "n_visibilities": k,
            "n_real_data": n_real_data(self.model),
            "n_image_pixels": normal.mask.n_pixels,
            "n_source_pixels": self.model.n_source,
            "rank": known_rank(normal),
            "operator": normal.method,
            "positive": self.model.is_positive,
            "pixel_scale": normal.mask.grid.pixel_scale,
            "skies": describe_skies(self.model, found),
            "n_evaluations": self.n_evaluations,
            "n_gradients": self.n_gradients,
            "wall_seconds": self.wall_seconds,
            "seconds_per_evaluation": self.wall_seconds / max(1, self.n_evaluations),
            "method": self.method,
            "diagnostics": {**self.diagnostics, "kkt": worst_certificate(found)},
            "version": __version__,
            "seed": self.seed,
            "data_hashes": [one for sky in self.model.skies for one in sky.reduction.hashes],
            "warnings": self.warnings,
            "notes": list(self.notes),
        }

    def save(self, directory, *, data_section=None, phase_center=None):
        """Write summary.json, posterior.nc, best_fit.yaml, normal.npz and the FITS products to a folder.

        The FITS products need astropy and jax-finufft. Without them they are left out with a UVLensWarning;
        `write_report` adds them later.

        Args:
            directory: made if it is not there.
            data_section: the `data:` list of the model file, kept in best_fit.yaml.
            phase_center: (ra, dec) in degrees for the FITS headers; default: that of the data.
        """
        import yaml

        from .bestfit import best_fit_content
        from .products import write_fits_products

        directory = Path(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create {directory}: {error.strerror}") from None
        phase_center = phase_center or self.model.normal.reduction.phase_center
        settled = self.model.settled(jnp.asarray(self.best_vector))
        save_skies(settled.skies, directory, phase_center)
        self._save_adapt_images(directory, phase_center)
        content = best_fit_content(self, data_section)
        text = yaml.safe_dump(content, sort_keys=False, width=100)
        write_atomically(directory / "best_fit.yaml", lambda out: out.write(text.encode()))
        try:
            write_fits_products(self.reconstructions, directory, phase_center)
        except ImportError as error:
            sentence = f"no FITS products: {error}; `uvlens report {directory}` writes them where it is installed"
            warnings.warn(sentence, UVLensWarning, stacklevel=2)
        partial = directory / "posterior.nc.partial"
        self._write_posterior(partial)
        os.replace(partial, directory / "posterior.nc")
        save_json(directory / "summary.json", self.summary())

    def adapt_image(self, sky=None):
        """AdaptImage for the next model (see `uvlens.chaining.adapt_image`)."""
        from .chaining import adapt_image

        return adapt_image(self, sky)

    def source_region(self, sky=None, share=0.98):
        """(extent, center) for the next mesh (see `uvlens.chaining.source_region`)."""
        from .chaining import source_region

        return source_region(self, sky, share)

    def lens_priors(self, widen=3.0):
        """LensPlane with priors about this posterior (see `uvlens.chaining.lens_priors`)."""
        from .chaining import lens_priors

        return lens_priors(self, widen)

    def _save_adapt_images(self, directory, phase_center):
        from .wcs import write_image

        sources = self.model.components["source"]
        for number, source in enumerate(sources if isinstance(sources, list) else [sources]):
            for i, part in enumerate(source.parts):
                if part.adapt is not None:
                    file = directory / f"adapt.{number}.{i}.fits"
                    write_image(file, part.adapt.image, part.adapt.grid, phase_center=phase_center)

    def _groups(self):
        """What posterior.nc holds by group: free parameters by path and "lp", each of shape (chains, draws)."""
        shape = (self.n_chains, -1)
        groups = {
            "posterior": {p: self.vectors[:, i].reshape(shape) for i, p in enumerate(self.model.parameters.paths)}
        }
        if self.log_likelihood is not None:
            groups["sample_stats"] = {"lp": self.log_likelihood.reshape(shape)}
        return groups

    def _write_posterior(self, path):
        """The groups as ArviZ stores them; by xarray alone, because arviz takes seconds to import."""
        import xarray

        for mode, (group, values) in zip("wa", self._groups().items()):
            chains, draws = next(iter(values.values())).shape
            arrays = {name: (("chain", "draw"), array) for name, array in values.items()}
            dataset = xarray.Dataset(arrays, {"chain": np.arange(chains), "draw": np.arange(draws)})
            dataset.to_netcdf(path, mode=mode, group=group, engine="h5netcdf")

    def to_arviz(self):
        """ArviZ InferenceData: free parameters by path, shape (chains, draws)."""
        import arviz

        return arviz.from_dict(**self._groups())

    def report(self, directory="fit"):
        """Save to a folder and write its report.html; returns the path of the report."""
        from .report import write_report

        self.save(directory)
        return write_report(directory)


def statistics(samples, best):
    """Median, mean, standard deviation, 16 % and 84 % quantiles of samples (M,), and the best-fitting value."""
    samples = np.asarray(samples, dtype=float)
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return {key: None for key in ("median", "mean", "std", "q16", "q84")} | {"map": float(best)}
    low, median, high = np.quantile(samples, [0.16, 0.5, 0.84])
    return {
        "median": median,
        "mean": samples.mean(),
        "std": samples.std(),
        "q16": low,
        "q84": high,
        "map": float(best),
    }


def search_warnings(result):
    """Sentences about convergence, modes and priors that the posterior touches."""
    sentences, d = [], result.diagnostics
    if result.method == "optimize":
        sentences.append("errors are those of the Gaussian at the optimum (Laplace), not of a sampled posterior")
    if d.get("n_chains") == 1:
        sentences.append("one chain only: R-hat needs two or more")
    elif not d.get("r_hat_max", 1.0) <= 1.01:
        sentences.append(f"chains not converged: largest R-hat {d['r_hat_max']:.3f} (want < 1.01)")
    if not d.get("ess_bulk_min", np.inf) >= 400:
        sentences.append(f"smallest bulk effective sample size {d['ess_bulk_min']:.0f} (want > 400): draw more")
    if d.get("divergences", 0):
        sentences.append(f"{d['divergences']} divergent transitions")
    close = [b for b in d.get("basins", []) if b["log_posterior"] > d["basins"][0]["log_posterior"] - 10.0]
    if len(close) > 1:
        sentences.append(f"{len(close)} separate maxima within 10 in ln posterior: consider nautilus")
    sentences += _edges(result)
    if not worst_certificate(result.reconstructions)["converged"]:
        sentences.append("the positive source at the best fit did not converge")
    if result.model.is_positive:
        sentences.append(
            "the evidence of a positive source is the Gaussian formula at the constrained mode, not an integral"
        )
    return sentences


def _edges(result):
    sentences = []
    for i, (path, prior) in enumerate(zip(result.model.parameters.paths, result.model.parameters.priors)):
        bounded = {"uniform": 0, "loguniform": 0, "truncnormal": 2}.get(prior.name)
        if bounded is None or prior.parents:
            continue
        low, high = prior.arguments[bounded : bounded + 2]
        q = np.quantile(result.vectors[:, i], [0.01, 0.99])
        if prior.name == "loguniform":
            (low, high), q = np.log([low, high]), np.log(q)
        margin = 0.01 * (high - low)
        if q[0] < low + margin or q[1] > high - margin:
            sentences.append(f"the posterior of {path} touches the edge of its prior {prior}")
    return sentences


def load_results(pattern):
    """Astropy Table of many fits: one row a `summary.json`, columns medians and errors by path.

    Args:
        pattern: glob of result folders, such as "runs/*".
    """
    import glob

    from astropy.table import Table

    rows = []
    for folder in sorted(glob.glob(str(pattern))):
        file = Path(folder) / "summary.json"
        if not file.exists():
            continue
        summary = json.loads(file.read_text())
        row = {"folder": folder, "max_log_evidence": summary["max_log_evidence"], "method": summary["method"]}
        for path, values in {**summary["parameters"], **summary["derived"]}.items():
            row[path], row[f"{path}.std"] = values["median"], values["std"]
        rows.append(row)
    if not rows:
        raise InputError(f"{pattern}: no folder with a summary.json")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return Table({c: [row.get(c, np.nan) if row.get(c) is not None else np.nan for row in rows] for c in columns})
