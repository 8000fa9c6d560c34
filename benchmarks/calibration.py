"""Are posteriors and odds honest? Ranks, errors and odds over mocks drawn from the prior (docs/calibration.md).

    python benchmarks/calibration.py parametric pixels control-parametric control-pixels positive odds [--mocks 100]
    python benchmarks/calibration.py samplers
    python benchmarks/calibration_figures.py

Every study writes benchmarks/calibration/NAME.json as it goes (a killed run continues); the last command prints the
tables and draws the figures of docs/calibration.md.

Truths are drawn from the very prior that is fitted, their visibilities are an explicit Fourier sum over the model image
plus noise in each visibility, and the data go through `normal_operator` like any others.
"""

import argparse
import json
import pathlib
import time

import jax
import numpy as np

import uvlens as uvl
from uvlens import sbc
from uvlens.conventions import ARCSEC

HERE = pathlib.Path(__file__).parent
TABLES = HERE / "calibration"
LONGEST, SIGMA = 4e5, 1e-3
"""Of the simulated array: longest baseline [wavelengths], noise of a visibility [Jy]."""
STRENGTHS, SHEAR = (1e-3, 1e-1), 0.05
"""Of the pixelised source: range of the prior of its strength; width of the prior of each component of the shear."""
THIN = 3
"""Every third draw is ranked, fewer where the chain is so correlated that these are not independent."""


class Array:
    """uv coverage, noise and image plane of all mocks."""

    def __init__(self, n_visibilities, pixel_scale, seed=7):
        rng = np.random.default_rng(seed)
        radius, angle = LONGEST * np.sqrt(rng.random(n_visibilities)), rng.uniform(0.0, 2.0 * np.pi, n_visibilities)
        self.u, self.v = radius * np.cos(angle), radius * np.sin(angle)
        self.mask = uvl.Mask.disc(1.7, pixel_scale)
        phase = np.outer(self.u, self.mask.x) + np.outer(self.v, self.mask.y)
        self.fourier = np.exp(2j * np.pi * ARCSEC * phase)

    def observe(self, image, rng, noise=1.0):
        """Visibilities of an image (N,) [Jy per pixel] with `noise` times the noise that their weights state."""
        draws = rng.normal(size=(2, len(self.u)))
        vis = self.fourier @ image + noise * SIGMA * (draws[0] + 1j * draws[1])
        return uvl.Visibilities(self.u, self.v, vis, np.full(len(self.u), SIGMA**-2))

    def operator(self, data):
        """Its normal operator."""
        return uvl.normal_operator(data, self.mask, method="lowrank")


def sie(**priors):
    """An SIE whose Einstein radius and ellipticity are free."""
    return uvl.SIE(uvl.Uniform(0.9, 1.1), uvl.Normal(0.1, 0.08), uvl.TruncNormal(0.0, 0.1, -0.3, 0.3), **priors)


def parametric(normal):
    """SIE and a Gaussian source with a sampled flux: 7 parameters."""
    source = uvl.Gaussian(
        flux=uvl.LogUniform(4e-4, 4e-3),
        sigma=uvl.LogNormal(np.log(0.12), 0.3),
        center_x=uvl.Normal(0.05, 0.08),
        center_y=uvl.Uniform(-0.2, 0.1),
    )
    return uvl.Model(normal, [sie()], uvl.Source(None, (source,)), rays=2)


def pixels(normal, positive=False, shear=None):
    """SIE (and shear of N(0, shear) in each component) and a source on a fixed 8 x 8 mesh: 4 (6) parameters."""
    mesh = uvl.RectangularMesh(8, 8, extent=0.6)
    mass = [sie()] + ([] if shear is None else [uvl.Shear(uvl.Normal(0.0, shear), uvl.Normal(0.0, shear))])
    return uvl.Model(normal, mass, uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(*STRENGTHS)), positive), rays=1)


def positive(normal):
    """The same mesh with s >= 0."""
    return pixels(normal, positive=True)


FINE, COARSE = (150, 0.125), (80, 0.18)
"""K and pixel scale [arcsec]. The data are made by the pixels of the fit: no mock has a discretisation error."""


STUDIES = {
    "parametric": (parametric, FINE, None, 1.0, 600),
    "pixels": (pixels, COARSE, None, 1.0, 240),
    "control-parametric": (parametric, FINE, None, 1.3, 600),
    "control-pixels": (pixels, COARSE, None, 1.3, 240),
    "positive": (positive, COARSE, "truncated", 1.0, 240),
    "positive-absolute": (positive, COARSE, "absolute", 1.0, 240),
}
"""Model, data, how the source of the truth is drawn, noise over the noise that the weights state, draws of a chain."""


def fit_mocks(name, n_mocks, folder=TABLES):
    """Ranks and standardised errors of n_mocks mocks, one after the other into the table."""
    make, size, source, noise, n_draws = STUDIES[name]
    array = Array(*size)
    normal = array.operator(array.observe(np.zeros(array.mask.n_pixels), np.random.default_rng(0)))
    model = make(normal)
    mocks, refit = sbc.Mocks(model, source), sbc.Refit(model, n_draws=n_draws)
    table = Table(name, {"paths": model.parameters.paths, "noise": noise, "n_draws": n_draws, "thin": THIN}, folder)
    for number in range(len(table), n_mocks):
        started, rng = time.perf_counter(), np.random.default_rng([1, number])
        truth = mocks.draw(rng)
        operator = array.operator(array.observe(truth.image, rng, noise))
        assert np.array_equal(operator.factor, normal.factor)
        density = refit.density(operator.dirty_image)
        top, covariance, value = refit.climb(operator.dirty_image, number)
        draws = refit.nuts(operator.dirty_image, top, covariance, number)
        log_density = density.value(truth.z)
        ess = smallest_ess(draws.z)
        thin = max(THIN, int(np.ceil(n_draws / ess)))
        scores = sbc.score(draws.z, truth.z, rng, thin)
        joint = sbc.score(draws.log_posterior[:, None], np.array([log_density]), rng, thin)
        table.add(
            u=scores.u,
            u_density=joint.u,
            z=scores.z,
            shrinkage=scores.shrinkage,
            below_top=[value - log_density],
            ess=[ess],
            divergences=[draws.divergences],
            seconds=[time.perf_counter() - started],
        )


def smallest_ess(z):
    """Of any parameter of one chain (M, n), bulk."""
    import arviz

    return min(float(arviz.ess(z[None, :, i], method="bulk")) for i in range(z.shape[1]))


def weigh_odds(n_mocks, folder=TABLES):
    """ln odds of SIE + shear against SIE where one of them, drawn by turns, is true."""
    array = Array(*COARSE)
    normal = array.operator(array.observe(np.zeros(array.mask.n_pixels), np.random.default_rng(0)))
    models = [pixels(normal), pixels(normal, shear=SHEAR)]
    mocks, refits = [sbc.Mocks(model) for model in models], [sbc.Refit(model) for model in models]
    table = Table("odds", {"shear": SHEAR}, folder)
    for number in range(len(table), n_mocks):
        started, rng = time.perf_counter(), np.random.default_rng([2, number])
        true = number % 2
        truth = mocks[true].draw(rng)
        dirty = array.operator(array.observe(truth.image, rng)).dirty_image
        found, tops = [], []
        for refit in refits:
            top, covariance, value = refit.climb(dirty, number)
            found.append(refit.evidence(dirty, top, covariance, number))
            tops.append(value)
        table.add(
            true=[true],
            log_odds=[found[1].log_evidence - found[0].log_evidence],
            error=[np.hypot(found[0].error, found[1].error)],
            n_effective=[one.n_effective for one in found],
            below_top=[tops[true] - refits[true].density(dirty).value(truth.z)],
            seconds=[time.perf_counter() - started],
        )


def compare_samplers(n_mocks):
    """ln Z, means and widths by importance sampling, by `uvl.fit` with nautilus and by `uvl.fit` with NUTS."""
    array = Array(*COARSE)
    normal = array.operator(array.observe(np.zeros(array.mask.n_pixels), np.random.default_rng(0)))
    makes = {
        "pixels": pixels,
        "pixels + shear": lambda normal: pixels(normal, shear=SHEAR),
        "positive": positive,
    }
    refits = {name: sbc.Refit(make(normal)) for name, make in makes.items()}
    table = Table("samplers", {})
    for number in range(n_mocks):
        for kind, (name, make) in enumerate(makes.items()):
            if len(table) > number * len(makes) + kind:
                continue
            rng = np.random.default_rng([3, number])
            truth = sbc.Mocks(make(normal)).draw(rng)
            operator = array.operator(array.observe(truth.image, rng))
            top, covariance, _ = refits[name].climb(operator.dirty_image, number)
            found = refits[name].evidence(operator.dirty_image, top, covariance, number)
            weight = np.exp(found.log_weight)
            mean = weight @ found.z
            width = np.sqrt(weight @ (found.z - mean) ** 2)
            model, row = make(operator), {}
            for method in ("nautilus", "nuts"):
                started = time.perf_counter()
                result = uvl.fit(model, method, seed=1)
                z = to_normal(model, result.vectors)
                row[f"{method}_shift"] = (z.mean(axis=0) - mean) / width
                row[f"{method}_width"] = z.std(axis=0) / width
                row[f"{method}_evaluations_seconds"] = [result.n_evaluations, time.perf_counter() - started]
                if method == "nautilus":
                    row["log_evidence_difference"] = [result.log_evidence_minus_null - found.log_evidence]
                    row["log_evidence_error"] = [found.error]
            table.add(kind=[kind], n_effective=[found.n_effective], **row)


def to_normal(model, vectors):
    """Unconstrained draws of physical ones, both (M, n)."""
    return np.asarray(jax.jit(jax.vmap(model.parameters.to_normal))(vectors))


class Table:
    """One study in benchmarks/calibration/NAME.json, written mock by mock: a header, and lists of numbers by column."""

    def __init__(self, name, header, folder=TABLES):
        self.path, self.header, self.columns = folder / f"{name}.json", json.loads(json.dumps(header)), {}
        if self.path.exists():
            saved = json.loads(self.path.read_text())
            if saved["header"] != self.header:
                raise SystemExit(f"{self.path} is of other settings: remove it")
            self.columns = saved["columns"]

    def __len__(self):
        return len(next(iter(self.columns.values()), ()))

    def add(self, **row):
        """The numbers of one mock, to three digits, and the file as it is now."""
        for key, values in row.items():
            self.columns.setdefault(key, []).append([float(f"{value:.3g}") for value in values])
        self.path.parent.mkdir(exist_ok=True)
        lines = ",\n".join(f'"{key}": {json.dumps(rows, separators=(",", ":"))}' for key, rows in self.columns.items())
        self.path.write_text(f'{{"header": {json.dumps(self.header)},\n"columns": {{\n{lines}\n}}}}\n')
        print(self.path.stem, len(self), {key: rows[-1] for key, rows in self.columns.items()}, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("studies", nargs="*", choices=[*STUDIES, "odds", "samplers"], help="what to run")
    parser.add_argument("--mocks", type=int, default=100)
    arguments = parser.parse_args()
    for name in arguments.studies:
        if name == "odds":
            weigh_odds(arguments.mocks)
        elif name == "samplers":
            compare_samplers(min(arguments.mocks, 2))
        else:
            fit_mocks(name, arguments.mocks)


if __name__ == "__main__":
    main()
