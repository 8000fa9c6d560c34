"""What a fit leaves behind: samples, summary, and the files a paper is written from."""

import dataclasses
import functools
import os
import warnings
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from . import __version__
from .apertures import NO_SETTINGS, DerivedSettings
from .comparison import data_hashes, evidence_of
from .errors import InputError, UVLensWarning
from .files import save_json, write_atomically
from .lens import DeflectionMap
from .lens.lens import as_planes
from .model import Model
from .normal import known_rank
from .quantities import (
    Quantities,
    lens_parameters,
    shape_parameters,
    source_parameters,
    source_samples,
    unwrap_about_mean,
)
from .searchwarnings import search_warnings
from .skyfiles import save_skies
from .terms import (
    describe_skies,
    log_evidence_minus_null,
    log_evidence_terms,
    n_real_data,
    n_visibilities,
    worst_certificate,
)

_PICTURES = (
    *("source", "source_error", "source_snr", "model", "residual"),
    *("dirty", "dirty_model", "dirty_beam"),
)
_FIGURES = (
    *("dirty", "image", "image_plane", "source", "source_light", "channels", "moments", "uv_distance", "residuals"),
    *("corner", "prior", "traces", "antenna_phases", "antenna_amplitudes"),
)
PRODUCTS = (
    *(
        "summary.json",
        "posterior.nc",
        "best_fit.yaml",
        "fitted_model.yaml",
        "normal.npz",
        "report.html",
        "quick_look.html",
        "log",
        "mask.fits",
    ),
    "nuisances.json",
    "normal.*.npz",
    *(f"{kind}{dot}fits" for kind in _PICTURES for dot in (".", ".*.")),
    *("stage.npz", "handed_on.npz"),
    *("lensed_source*.fits", "model_image*.fits", "residual_sigma*.fits", "adapt.*.fits", "deflection_map.*.fits"),
    *("parameters.tex", "parameters.ecsv"),
    *(f"{kind}{dot}{ending}" for kind in _FIGURES for dot in (".", ".*.") for ending in ("png", "pdf")),
    *("subhalo_scan.*", "subhalo_sensitivity.*", "adequacy.*"),
)
"""Patterns of the files of a result folder; a new fit removes those of an old one first."""

N_SOURCE_SAMPLES = 60
"""Samples whose source is reconstructed for the errors of magnification and flux."""
N_SOURCE_DRAWS = 8
"""Draws of each of these sources from its posterior at fixed lens parameters."""


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
        sample_stats: what the search knew of each sample, by ArviZ's names (diverging, tree_depth, n_steps,
            acceptance_rate, ...), arrays of shape (M,).
        derived_settings: apertures and functions that are measured beside the usual derived quantities.
        stages: of the last fit of a pipeline, facts of every stage.
        handed_on: file that keeps what this fit handed on to later ones (see `handedon.remembered`), or None.
        calibration: the Calibration whose model this is, or None.
        provenance: what made this fit: command, versions, platform (see `uvlens.provenance`).
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
    sample_stats: dict = dataclasses.field(default_factory=dict)
    derived_settings: DerivedSettings = NO_SETTINGS
    stages: tuple[dict, ...] = ()
    handed_on: Path | None = None
    calibration: Any = None
    provenance: dict = dataclasses.field(default_factory=dict)

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
        """Quantities: dict path -> (samples, value at the best fit), those of the source on draws of it."""
        shapes = shape_parameters(self.model, self.vectors)
        at_best = shape_parameters(self.model, self.best_vector[None])
        values = {}
        for path, samples in shapes.items():
            if path.endswith("position_angle"):
                samples = unwrap_about_mean(samples)
                at_best[path] = samples.mean() + (at_best[path] - samples.mean() + 90.0) % 180.0 - 90.0
            values[path] = (samples, float(at_best[path][0]))
        values |= lens_parameters(self.model, self.vectors, self.best_vector)
        n_samples = max(12, N_SOURCE_SAMPLES // len(self.reconstructions))
        stride = max(1, len(self.vectors) // n_samples)
        rng, settings = np.random.default_rng(self.seed), self.derived_settings
        drawn = source_samples(self.model, self.vectors[::stride], N_SOURCE_DRAWS, rng, settings)
        best = source_parameters(self.model, self.best_vector, settings)
        for path in best:
            samples = drawn.get(path, np.array([np.nan]))
            samples = unwrap_about_mean(samples) if path.endswith("position_angle") else samples
            values[path] = (samples, best[path])
        return Quantities(values, best)

    def derived_covariance(self, paths=None):
        """(paths, covariance (Q, Q)) of derived quantities of the source, those of apertures by default.

        Raises:
            InputError: quantities that are unknown or were not measured on the same draws.
        """
        paths = [one.path for one in self.derived_settings.apertures] if paths is None else list(paths)
        unknown = [path for path in paths if path not in self.derived]
        if unknown:
            raise InputError(f"derived_covariance: {unknown[0]!r} is not a derived quantity of this fit")
        samples = [np.asarray(self.derived[path][0]) for path in paths]
        if len({len(one) for one in samples}) > 1:
            raise InputError("derived_covariance: these quantities are of different samples; take those of the source")
        return paths, np.atleast_2d(np.cov(samples)) if paths else np.zeros((0, 0))

    def with_derived(self, apertures=(), functions=None):
        """The same Result with apertures and functions among its derived quantities (see `uvlens.apertures`)."""
        return dataclasses.replace(self, derived_settings=DerivedSettings(tuple(apertures), functions or {}))

    def resample(self, n, seed=1):
        """The Result with n of its samples: evenly spread among them from a random start, in order.

        More than there are: drawn with repetition. Their order within chains is given up (n_chains = 1).
        """
        if n < 1:
            raise InputError(f"resample: n must be at least 1, got {n}")
        rng, size = np.random.default_rng(seed), len(self.vectors)
        chosen = np.floor((rng.random() + np.arange(n)) * size / n).astype(int) % size
        chosen = np.sort(chosen) if n <= size else np.sort(rng.integers(0, size, n))
        likelihood = None if self.log_likelihood is None else self.log_likelihood[chosen]
        stats = {key: np.asarray(value)[chosen] for key, value in self.sample_stats.items()}
        changes = {"vectors": self.vectors[chosen], "log_likelihood": likelihood, "sample_stats": stats}
        return dataclasses.replace(self, **changes, n_chains=1)

    def posterior_predictive(self, n_draws=20, n_replicates=100, bins=12, seed=1, data=None):
        """Adequacy: what is left of the data against noise alone (see `uvlens.adequacy`)."""
        from .adequacy import posterior_predictive

        return posterior_predictive(self, n_draws, n_replicates, bins, seed, data)

    def _aperture_covariance(self):
        if not self.derived_settings.apertures:
            return None
        paths, covariance = self.derived_covariance()
        return {"paths": paths, "covariance": covariance}

    @functools.cached_property
    def nuisances(self):
        """What was found of calibration nuisances (see `nuisancefacts`), or None."""
        from .nuisancefacts import nuisance_facts

        return nuisance_facts(self)

    @property
    def warnings(self):
        """Everything about this fit that a referee would ask about."""
        from .nuisancefacts import nuisance_warnings

        return search_warnings(self) + nuisance_warnings(self)

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
            "evidence": evidence_of(self),
            "aperture_covariance": self._aperture_covariance(),
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
            **({} if self.nuisances is None else {"nuisances": self.nuisances}),
            "n_evaluations": self.n_evaluations,
            "n_gradients": self.n_gradients,
            "wall_seconds": self.wall_seconds,
            "seconds_per_evaluation": self.wall_seconds / max(1, self.n_evaluations),
            "method": self.method,
            "diagnostics": {**self.diagnostics, "kkt": worst_certificate(found)},
            "version": __version__,
            "seed": self.seed,
            "data_hashes": [one for sky in self.model.skies for one in sky.reduction.hashes],
            "given_data_hashes": data_hashes(self.model),
            "warnings": self.warnings,
            "notes": list(self.notes),
            "provenance": self.provenance,
            **({"stages": list(self.stages)} if self.stages else {}),
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
        from .inferencedata import write_posterior
        from .products import write_fits_products
        from .reload import FILE, fitted_content

        directory = Path(directory)
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create {directory}: {error.strerror}") from None
        phase_center = phase_center or self.model.normal.reduction.phase_center
        settled = self.model.settled(jnp.asarray(self.best_vector))
        save_skies(settled.skies, directory, phase_center)
        self._save_adapt_images(directory, phase_center)
        planes = as_planes(self.model.components["lens"])
        maps = [one for plane in planes for one in plane.mass if isinstance(one, DeflectionMap)]
        for i, one in enumerate(maps):
            one.write(directory / f"deflection_map.{i}", phase_center)
        content = best_fit_content(self, data_section)
        files = {"best_fit.yaml": content}
        try:
            files[FILE] = fitted_content(self, content)
        except InputError as error:
            warnings.warn(f"no {FILE}, load_result will not work: {error}", UVLensWarning, stacklevel=2)
        for name, stated in files.items():
            text = yaml.safe_dump(stated, sort_keys=False, width=100)
            write_atomically(directory / name, lambda out, text=text: out.write(text.encode()))
        try:
            write_fits_products(self.reconstructions, directory, phase_center)
        except ImportError as error:
            sentence = f"no FITS products: {error}; `uvlens report {directory}` writes them where it is installed"
            warnings.warn(sentence, UVLensWarning, stacklevel=2)
        partial = directory / "posterior.nc.partial"
        write_posterior(self, partial)
        os.replace(partial, directory / "posterior.nc")
        if self.nuisances is not None:
            save_json(directory / "nuisances.json", self.nuisances)
        save_json(directory / "summary.json", self.summary())

    def adapt_image(self, sky=None, source=None):
        """AdaptImage for the next model (see `uvlens.chaining.adapt_image`)."""
        from .chaining import adapt_image

        return adapt_image(self, sky, source)

    def source_region(self, sky=None, share=0.98, source=None):
        """(extent, center) for the next mesh (see `uvlens.chaining.source_region`)."""
        from .chaining import source_region

        return source_region(self, sky, share, source)

    def source_plane(self, sky=None, channel=0, source=None):
        """SourcePlane of the best fit: brightness, pixels and fluxes of regions (see `uvlens.sourcetools`)."""
        from .sourcetools import source_plane

        return source_plane(self, sky, channel, source)

    def lens_priors(self, widen=3.0, floor=0.5):
        """LensPlane with priors about this posterior (see `uvlens.chaining.lens_priors`)."""
        from .chaining import lens_priors

        return lens_priors(self, widen, floor)

    def _save_adapt_images(self, directory, phase_center):
        from .wcs import write_image

        sources = self.model.components["source"]
        for number, source in enumerate(sources if isinstance(sources, list) else [sources]):
            for i, part in enumerate(source.parts):
                if part.adapt is not None:
                    file = directory / f"adapt.{number}.{i}.fits"
                    write_image(file, part.adapt.image, part.adapt.grid, phase_center=phase_center)

    def to_arviz(self):
        """arviz.InferenceData: posterior, sample_stats, log_likelihood, derived (see `uvlens.inferencedata`)."""
        from .inferencedata import inference_data

        return inference_data(self)

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
