"""Pipelines: what a stage hands on, stages of model files, and runs that are stopped and resumed."""

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import yaml
from click.testing import CliRunner
from conftest import assert_same_numbers, lensed_visibilities, n_drawn

import uvlens as uvl
from uvlens import chaining
from uvlens.cli import main
from uvlens.errors import UVLensWarning
from uvlens.parameters import Parameters
from uvlens.pipelinefile import parse_pipeline
from uvlens.results import Result

SIE = {"theta_E": 0.5, "e1": 0.15, "e2": -0.1, "center_x": 0.02, "center_y": 0.03}
CENTER, WIDTH = (0.06, 0.03), 0.12
PIXELS = {"mesh": {"type": "rectangular", "shape": [6, 6]}, "regularization": {"type": "gradient", "strength": 1e-2}}
QUICK = {"method": "optimize", "seed": 1, "n_starts": 1, "n_screen": 3}
CHAIN = {"method": "nuts", "seed": 2, "n_starts": 1, "n_screen": 2, "n_chains": 1, "n_warmup": 20, "n_draws": 80}
MODEL = {
    "data": [{"file": "data.npz", "weights": "file"}],
    "image_plane": {"pixel_scale": 0.11, "rays": 2, "mask": {"disc": {"radius": 0.8}}},
    "lens": {"mass": [{"profile": "SIE", **SIE, "theta_E": {"uniform": [0.35, 0.65]}}]},
    "fit": QUICK,
    "pipeline": [
        {
            "name": "simple",
            "source": {
                "light": [
                    {
                        "profile": "Gaussian",
                        "flux": {"loguniform": [0.01, 1000.0]},
                        "sigma": WIDTH,
                        "center_x": {"normal": [0.0, 0.1]},
                        "center_y": CENTER[1],
                    }
                ]
            },
        },
        {
            "name": "pixels",
            "source": {"pixels": PIXELS},
            "priors": {"from": "simple", "widen": 3.0, "floor": 0.02},
            "mesh": {"from": "simple", "margin": 1.2},
            "positions": {"from": "simple", "threshold": 0.2},
        },
        {
            "name": "adaptive",
            "source": {"pixels": {**PIXELS, "regularization": {"type": "adaptive", "strength": 1e-2}}},
            "priors": {"from": "pixels"},
            "mesh": {"from": "pixels"},
            "adapt": "pixels",
        },
    ],
}


@pytest.fixture(scope="module")
def data():
    return lensed_visibilities(150, 5, uvl.LensPlane([uvl.SIE(**SIE)]), CENTER, WIDTH)


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    data.write(folder / "data.npz")
    return folder


@pytest.fixture(scope="module")
def normal(data):
    return uvl.normal_operator(data, uvl.Mask.disc(0.8, 0.11))


def free_sie(prior=uvl.Uniform(0.35, 0.65)):
    return [uvl.SIE(**{**SIE, "theta_E": prior})]


def result_of(model, vectors, best=None):
    """A Result with any samples, as if a search had found them."""
    fields = {"method": "optimize", "seed": 1, "n_chains": 1, "diagnostics": {}, "log_evidence_minus_null": None}
    fields |= {"n_evaluations": 1, "n_gradients": 1, "wall_seconds": 1.0, "best_log_likelihood": 0.0}
    best = np.median(vectors, axis=0) if best is None else best
    return Result(model=model, vectors=vectors, log_likelihood=None, best_vector=best, **fields)


@pytest.fixture(scope="module")
def pixel_result(normal):
    """Samples about the truth of a model with a fixed mesh."""
    pixels = uvl.PixelSource(uvl.RectangularMesh(14, 14, extent=0.6), uvl.Gradient(1e-2))
    model = uvl.Model(normal, free_sie(), pixels, rays=2)
    return result_of(model, np.random.default_rng(0).normal(0.5, 0.002, (400, 1)))


def test_width_rules(normal):
    """Every branch of the rule, its numbers by scipy's quantiles."""
    light = uvl.Gaussian(flux=uvl.LogUniform(0.01, 1.0), sigma=0.1, center_x=uvl.Normal(0.0, 0.1), center_y=0.0)
    mass = uvl.SIE(uvl.Uniform(0.3, 0.7), uvl.TruncNormal(0.0, 0.2, -0.5, 0.5), uvl.Normal(0.0, 0.2), 0.02, 0.03)
    model = uvl.Model(normal, [mass], light, rays=2)
    order = [
        "lens.mass.0.theta_E",
        "lens.mass.0.e1",
        "lens.mass.0.e2",
        "source.light.0.flux",
        "source.light.0.center_x",
    ]
    rng = np.random.default_rng(1)
    draws = {
        order[0]: rng.normal(0.5, 0.004, 3000),
        order[1]: rng.normal(0.1, 1e-5, 3000),
        order[2]: rng.normal(0.0, 0.15, 3000),
        order[3]: np.exp(rng.normal(-2.0, 0.1, 3000)),
        order[4]: rng.normal(0.05, 0.01, 3000),
    }
    result = result_of(model, np.stack([draws[path] for path in model.parameters.paths], axis=1))
    components, paths = chaining.priors_about(result, model.components, widen=3.0, floor=0.05)
    mass, light = components["lens"].mass[0], components["source"].light[0]
    # narrower than the prior: three standard deviations, cut off where the prior was
    expected = (np.median(draws[order[0]]), 3.0 * draws[order[0]].std(), 0.3, 0.7)
    assert mass.theta_E.name == "truncnormal" and np.allclose(mass.theta_E.arguments, expected, rtol=1e-6)
    # the floor: a twentieth of half the 16 to 84 % range of the stated prior
    stated = scipy.stats.truncnorm(-2.5, 2.5, scale=0.2)
    half = 0.5 * (stated.ppf(0.84) - stated.ppf(0.16))
    assert np.isclose(mass.e1.arguments[1], 0.05 * half, rtol=2e-6) and mass.e1.arguments[2:] == (-0.5, 0.5)
    # a larger floor widens all but sizes, which stay within 15 % of their median
    wide = chaining.priors_about(result, model.components, floor=0.8)[0]["lens"].mass[0]
    assert np.isclose(wide.theta_E.arguments[1], 0.15 * np.median(draws[order[0]]), rtol=2e-6)
    assert np.isclose(wide.e1.arguments[1], 0.8 * half, rtol=2e-6)
    # three standard deviations are wider than the prior: it stays
    assert mass.e2 == uvl.Normal(0.0, 0.2)
    # a prior of the logarithm
    log = np.log(draws[order[3]])
    assert light.flux.name == "lognormal" and np.allclose(light.flux.arguments, (np.median(log), 3.0 * log.std()))
    assert light.center_x.name == "normal" and light.center_y == 0.0
    assert sorted(paths) == sorted(path for path in order if path != order[2])
    only, paths = chaining.priors_about(result, model.components, only=["lens.mass"])
    assert only["source"].light[0].flux.name == "loguniform" and all(path.startswith("lens.mass") for path in paths)


def test_a_joint_prior_is_handed_on_whole():
    """A normal of e1 and e2 with the correlation of the samples, widened; all of them at once where that is asked."""
    ellipticity = uvl.EllipticityPrior(uvl.Uniform(0.3, 1.0))
    lens = uvl.LensPlane([uvl.SIE(uvl.Uniform(0.3, 0.7), *ellipticity, uvl.prior_by_name("halfnormal", 1.0), 0.0)])
    parameters = Parameters({"lens": lens})
    own = np.diag([0.004, 0.02, 0.01, 0.01])
    own = own @ [[1, 0.5, 0, 0], [0.5, 1, -0.8, 0], [0, -0.8, 1, 0], [0, 0, 0, 1]] @ own
    vectors = np.random.default_rng(2).multivariate_normal([0.5, 0.15, -0.1, 0.01], own, 4000)
    vectors[:, 3] = np.abs(vectors[:, 3])
    result = SimpleNamespace(model=SimpleNamespace(parameters=parameters), vectors=vectors, handed_on=None)
    components, paths = chaining.priors_about(result, {"lens": lens}, widen=3.0, floor=0.0)
    assert paths == list(parameters.paths)
    mass, covariance = components["lens"].mass[0], 9.0 * np.cov(vectors.T)
    assert mass.e1.is_chained and mass.e1.joint is mass.e2.joint and mass.theta_E.name == "truncnormal"
    assert np.allclose(mass.e1.joint.mean, np.median(vectors[:, 1:3], axis=0))
    assert np.allclose(mass.e1.joint.covariance, covariance[1:3, 1:3], rtol=1e-3)
    # a prior with one bound keeps it
    assert mass.center_x.name == "truncnormal" and mass.center_x.arguments[2:] == (0.0, np.inf)
    assert float(mass.center_x.from_normal(-5.0, {})) > 0.0
    components, paths = chaining.priors_about(result, {"lens": lens}, widen=3.0, floor=0.0, joint=True)
    found = Parameters(components)
    joint = found.priors[0].joint
    assert len(paths) == 4 and all(prior.joint is joint and prior.is_chained for prior in found.priors)
    order = [found.paths[[prior.number for prior in found.priors].index(i)] for i in range(4)]
    places = [parameters.paths.index(path) for path in order]
    assert np.allclose(joint.covariance, covariance[np.ix_(places, places)], rtol=2e-3, atol=1e-5)
    # half of a pair is not handed on, and what the fit did not narrow stays
    _, paths = chaining.priors_about(result, {"lens": lens}, only=["lens.mass.0.e1"])
    assert paths == []
    wide = SimpleNamespace(model=result.model, vectors=vectors * [1, 20, 40, 1], handed_on=None)
    assert "lens.mass.0.e1" not in chaining.priors_about(wide, {"lens": lens})[1]


def test_a_posterior_outside_the_prior_of_the_stage_is_refused(pixel_result):
    with pytest.raises(uvl.InputError, match=r"lens.mass.0.theta_E: the posterior, 0[.]\d+, lies outside"):
        chaining.priors_about(pixel_result, {"lens": uvl.LensPlane(free_sie(uvl.Uniform(0.6, 0.9)))})


def test_positions_are_the_images_of_the_brightest_pixel(pixel_result):
    """They trace back to one point, a bright one of the true source, and the threshold is that of the rule."""
    positions = chaining.positions_of(pixel_result)
    lens = pixel_result.model.lens(jnp.asarray(pixel_result.best_vector))
    beta = np.stack(lens.ray_trace(positions.xy[:, 0], positions.xy[:, 1]), axis=1)
    assert len(beta) >= 2 and np.ptp(beta, axis=0).max() < 1e-9
    assert np.hypot(*(beta[0] - CENTER)) < WIDTH
    x, y = np.asarray(positions.xy).T
    widest = np.hypot(x[:, None] - x, y[:, None] - y).max()

    def traced(theta_E):
        return jnp.stack(uvl.SIE(**{**SIE, "theta_E": theta_E}).deflection(x, y))

    beta = np.array([x, y]) - np.asarray(jax.jit(jax.vmap(traced))(pixel_result.vectors[::4, 0]))
    scatter = np.hypot(*(beta[..., None] - beta[..., None, :]).transpose(1, 0, 2, 3)).max()
    assert np.isclose(positions.threshold, max(3.0 * scatter, 0.05 * widest), rtol=1e-12)
    assert chaining.positions_of(pixel_result, 0.07).threshold == 0.07
    # the guard is at rest at the best fit
    assert positions.log_penalty(lens) == 0.0


def test_the_region_of_a_parametric_source(normal):
    """A square about the centre of a Gaussian that holds 98 % of its flux, by its error function."""
    light = uvl.Gaussian(flux=1.0, sigma=WIDTH, center_x=CENTER[0], center_y=CENTER[1])
    result = result_of(uvl.Model(normal, free_sie(), light, rays=2), np.full((5, 1), 0.5))
    extent, center = result.source_region(share=0.9)
    assert np.allclose(center, CENTER, atol=0.005)
    assert np.isclose(extent, WIDTH * scipy.stats.norm.ppf(0.5 + 0.5 * np.sqrt(0.9)), rtol=0.03)


def test_the_region_of_a_source_has_its_faint_halo(pixel_result, monkeypatch):
    """A clump of 40 % of the flux in a halo of which no pixel has S/N 3, both Gaussians: by their error functions."""
    x, y = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-1.0, 1.0, 401)] * 2))

    def gaussian(flux, sigma, a):
        return flux / (2.0 * np.pi * sigma**2) * np.exp(-0.5 * ((x - a) ** 2 + y**2) / sigma**2)

    halo = gaussian(0.6, 0.15, 0.1)
    brightness = halo + gaussian(0.4, 0.02, 0.1)
    error = np.where(halo > 1e-3 * halo.max(), halo / 2.5, halo.max())
    points = x, y, brightness, np.full(x.size, 0.005**2), brightness / error
    monkeypatch.setattr(chaining, "_points", lambda *_: points)
    extent, center = chaining.source_region(pixel_result, share=0.9)
    inside = lambda e: sum(f * (2 * scipy.stats.norm.cdf(e / s) - 1) ** 2 for f, s in ((0.6, 0.15), (0.4, 0.02)))  # noqa: E731
    assert np.allclose(center, (0.1, 0.0), atol=0.003)
    assert np.isclose(extent, scipy.optimize.brentq(lambda e: inside(e) - 0.9, 0.01, 1.0), rtol=0.03)


def test_what_was_handed_on_is_remembered_to_the_last_bit(pixel_result, tmp_path):
    """Rebuilt with other numbers in its place, a fit still hands on what its file says."""
    import dataclasses

    first = dataclasses.replace(pixel_result, handed_on=tmp_path / "handed_on.npz")
    region, adapt, positions = first.source_region(), first.adapt_image(source=0), chaining.positions_of(first)
    again = dataclasses.replace(first, best_vector=first.best_vector + 1e-12)
    assert again.source_region() == region
    assert np.array_equal(again.adapt_image(source=0).image, adapt.image)
    assert np.array_equal(chaining.positions_of(again).xy, positions.xy)
    # of a model with one source its image is that of the sky
    assert np.allclose(adapt.image, first.adapt_image().image)


def write(folder, change=None, name="model.yaml"):
    content = json.loads(json.dumps(MODEL))
    if change is not None:
        change(content)
    (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / name


def test_a_model_file_with_stages(folder, monkeypatch):
    """Parametric, pixelised, adaptive: each from the one before; one reduction; links, facts, and a second --resume."""
    monkeypatch.setattr("uvlens.results.source_parameters", lambda *_: {})  # seconds of every stage
    monkeypatch.setattr(Result, "posterior_predictive", lambda *_, **__: SimpleNamespace(save=str, sentence=""))
    monkeypatch.setattr("uvlens.commands.report_if_possible", lambda folder: (folder / "report.html").touch())
    reduced = []
    reduce = uvl.modelfile.ModelFile.build_skies
    monkeypatch.setattr(uvl.modelfile.ModelFile, "build_skies", lambda *a, **b: reduced.append(1) or reduce(*a, **b))
    out = folder / "fit"
    run = ["fit", str(write(folder)), "--out", str(out)]
    done = CliRunner().invoke(main, run, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert len(reduced) == 1
    summary = json.loads((out / "summary.json").read_text())
    simple, pixels = (json.loads((out / name / "summary.json").read_text()) for name in ("1_simple", "2_pixels"))
    assert [one["name"] for one in summary["stages"]] == ["simple", "pixels", "adaptive"]
    assert [one["folder"] for one in summary["stages"]] == ["1_simple", "2_pixels", "."]
    for own, stage in zip((simple, pixels, summary), summary["stages"]):
        assert np.isclose(stage["max_log_evidence"], own["max_log_evidence"], rtol=1e-9)
        assert (stage["n_evaluations"], stage["method"]) == (own["n_evaluations"], own["method"])
    assert "lens.mass.0.theta_E" in " ".join(summary["notes"])
    # every stage knew the answer of the one before, and found the truth
    for one in (simple, pixels, summary):
        theta_E = one["parameters"]["lens.mass.0.theta_E"]
        assert abs(theta_E["median"] - 0.5) < 5.0 * theta_E["std"] + 0.03
    best = yaml.safe_load((out / "2_pixels" / "best_fit.yaml").read_text())
    assert best["positions"]["threshold"] == 0.2 and best["source"]["pixels"]["mesh"]["extent"] < 0.6
    assert (out / "adapt.0.0.fits").exists() and "adaptive: optimize" in (out / "log").read_text()

    from uvlens.reportpage import stages_section

    page = "".join(stages_section(summary["stages"]))
    assert 'href="2_pixels/report.html"' in page and 'href="."' not in page

    monkeypatch.setattr("uvlens.pipeline.fit", None)  # nothing is searched again
    again = CliRunner().invoke(main, [*run, "--resume", "--json"], catch_exceptions=False)
    assert again.exit_code == 0 and json.loads(again.stdout) == summary
    # a stage of other settings does not pass for a finished one
    other = write(folder, lambda content: content["pipeline"][1]["priors"].update(widen=4.0), "other.yaml")
    refused = CliRunner().invoke(main, ["fit", str(other), "--out", str(out), "--resume"])
    assert refused.exit_code == 2 and "2_pixels holds another stage: lens.mass.0.theta_E: " in refused.stderr


@pytest.mark.whole
def test_stages_end_as_other_fits_do(folder, monkeypatch):
    """Apertures measured, adequacy checked, what constraints exclude said; other workers are no other stage."""

    def measured(value):  # seconds of every stage
        return lambda model, vector, *rest: {one.path: value for one in rest[-1].apertures}

    checked = SimpleNamespace(sentence="adequate", save=lambda folder: (folder / "adequacy.json").touch())
    monkeypatch.setattr(Result, "posterior_predictive", lambda *_, **__: checked)
    monkeypatch.setattr("uvlens.results.source_samples", measured(np.ones(4)))
    monkeypatch.setattr("uvlens.results.source_parameters", measured(1.0))
    monkeypatch.setattr("uvlens.commands.report_if_possible", lambda folder: (folder / "report.html").touch())

    def parametric(content):
        content["pipeline"] = [content["pipeline"][0], {**content["pipeline"][0], "name": "again"}]
        content["constraints"] = ["lens.mass.0.theta_E > 0.4"]
        content["derived"] = {"apertures": [{"name": "core", "center": [0.06, 0.03], "radius": 0.1}]}

    out = folder / "ended"
    file = write(folder, parametric, "ended.yaml")
    run = ["fit", str(file), "--out", str(out)]
    assert CliRunner().invoke(main, run, catch_exceptions=False).exit_code == 0
    for one in (out / "1_simple", out):
        summary = json.loads((one / "summary.json").read_text())
        assert summary["derived"]["aperture.core.flux"]["median"] > 0.0 and (one / "adequacy.json").exists()
        assert any("constraints exclude" in note for note in summary["notes"])
    assert "again: adequate" in (out / "log").read_text()
    # an aperture that is new is measured without another search, and another number of workers is no other fit
    monkeypatch.setattr("uvlens.pipeline.fit", None)

    def more(content):
        parametric(content)
        content["derived"]["apertures"].append({"name": "wide", "center": [0.06, 0.03], "radius": 0.4})
        content["fit"] = {**QUICK, "workers": 1}

    write(folder, more, "ended.yaml")
    assert CliRunner().invoke(main, [*run, "--resume"], catch_exceptions=False).exit_code == 0
    assert "aperture.wide.flux" in json.loads((out / "1_simple" / "summary.json").read_text())["derived"]


class Stopped(Exception):
    pass


def test_stages_in_python_continue_where_they_were_stopped(normal, tmp_path):
    """Stopped in the chain of the second stage: the same draws and costs, the first stage is not searched again."""
    calls = []

    def simple(earlier):
        light = uvl.Gaussian(flux=uvl.LogUniform(0.01, 1e3), sigma=WIDTH, center_x=CENTER[0], center_y=CENTER[1])
        return uvl.Model(normal, free_sie(), light, rays=2)

    def pixels(earlier):
        first = earlier["simple"]
        mesh = uvl.RectangularMesh(6, 6, *first.source_region())
        source = uvl.PixelSource(mesh, uvl.Gradient(1e-2))
        return uvl.Model(normal, first.lens_priors(), source, rays=2, chained=True)

    def stage(name, build, settings):
        options = {key: value for key, value in settings.items() if key not in ("method", "seed")}
        return uvl.Stage(name, build, settings["method"], settings["seed"], options)

    stages = [stage("simple", simple, QUICK), stage("pixels", pixels, CHAIN)]
    whole = uvl.run_pipeline(stages)
    assert whole["pixels"].model.chained and not whole["simple"].model.chained
    saved = pytest.MonkeyPatch()
    saved.setattr(Result, "save", lambda self, folder, **_: (folder / "summary.json").write_text("{}"))

    def stop(message, fraction):
        calls.append(message)
        if message.startswith("pixels: chain") and "sampling" in message and len(calls) > 12:
            raise Stopped

    with pytest.raises(Stopped):
        uvl.run_pipeline(stages, tmp_path, progress=stop)
    assert (tmp_path / "1_simple" / "summary.json").exists() and not (tmp_path / "summary.json").exists()
    messages = []
    resumed = uvl.run_pipeline(stages, tmp_path, resume=True, progress=lambda message, _: messages.append(message))
    saved.undo()
    assert not any(message.startswith("simple") for message in messages)
    assert 0 < sum("chain" in message for message in messages) < (20 + 80) / 10
    for name in whole:
        assert np.array_equal(whole[name].vectors, resumed[name].vectors)
        assert whole[name].best_log_likelihood == resumed[name].best_log_likelihood
        assert whole[name].n_evaluations == resumed[name].n_evaluations
    facts = [[{**one, "wall_seconds": 0.0} for one in run["pixels"].stages] for run in (whole, resumed)]
    assert facts[0] == facts[1]


def edit(*path_and_value):
    *parents, last, value = path_and_value

    def change(content):
        for key in parents:
            content = content[key]
        content[last] = value

    return change


BAD = {
    "unknown stage": (
        edit("pipeline", 1, "priors", {"from": "simpel"}),
        r"priors.from: no stage .*did you mean 'simple'",
    ),
    "itself": (edit("pipeline", 1, "mesh", {"from": "pixels"}), "mesh.from: stage 'pixels' cannot take from itself"),
    "cycle": (edit("pipeline", 1, "adapt", "adaptive"), "adapt: stage 'adaptive' comes after this one"),
    "unknown key": (edit("pipeline", 1, "prior", {}), "pipeline.1.prior: unknown key .*'priors'"),
    "key of priors": (edit("pipeline", 1, "priors", {"from": "simple", "wide": 2}), "wide: unknown key .*'widen'"),
    "widen": (edit("pipeline", 1, "priors", "widen", -1.0), "widen: expected a positive number"),
    "no name": (lambda content: content["pipeline"][1].pop("name"), "pipeline.1.name: missing"),
    "name twice": (edit("pipeline", 1, "name", "simple"), "two stages are called 'simple'"),
    "name of a folder": (edit("pipeline", 1, "name", "a/b"), "pipeline.1 .*a stage's name"),
    "in a stage": (edit("pipeline", 1, "source", "pixels", "mesh", "shape", 3), "pipeline.1 .*mesh.shape: expected 2"),
    "in the file": (edit("lens", "mass", 0, "thetaE", 1.0), "uvlens: lens.mass.0.thetaE: unknown key"),
    "no pixels": (
        lambda c: c["pipeline"].insert(1, {**c["pipeline"][0], "name": "x", "adapt": "simple"}),
        "no pixelised",
    ),
    "mesh of rays": (
        edit("pipeline", 1, "source", "pixels", "mesh", {"type": "adaptive", "shape": [6, 6]}),
        "no rectangular mesh",
    ),
    "nothing": (edit("pipeline", []), "pipeline: expected at least one stage"),
    "threshold": (edit("pipeline", 1, "positions", "threshold", 0.0), "positions.threshold: expected a positive"),
    "source of positions": (edit("pipeline", 1, "positions", "source", 2), "positions.source: 2 is not one"),
    "no guard": (
        lambda c: [c["pipeline"][1].pop(key) for key in ("priors", "positions")],
        r"pipeline.1 \(pixels\): positions: pixels with a free lens need them",
    ),
    "constraint": (
        edit("constraints", ["source.light.0.center_x < 1"]),
        r"pipeline.1 \(pixels\): constraint 'source.light.0.center_x < 1'",
    ),
    "outside its domain": (
        edit("pipeline", 1, "lens", {"mass": [{"profile": "SIE", "theta_E": {"uniform": [-1.0, 1.0]}}]}),
        "pipeline.1 .*theta_E",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pipelines_get_one_line(folder, name, tmp_path):
    change, message = BAD[name]
    file = write(folder, change, "bad.yaml")
    result = CliRunner().invoke(main, ["fit", str(file), "--out", str(tmp_path / "out")])
    lines = [line for line in result.stderr.splitlines() if line.startswith("uvlens:")]
    assert result.exit_code == 2 and len(lines) == 1 and "Traceback" not in result.output
    import re

    assert re.search(message, lines[0]), lines[0]
    assert not (tmp_path / "out").exists()


def test_other_commands_say_what_to_do_with_a_pipeline(folder):
    result = CliRunner().invoke(main, ["evaluate", str(write(folder))])
    assert result.exit_code == 2 and "best_fit.yaml" in result.stderr
    shown = CliRunner().invoke(main, ["fit", str(write(folder)), "--show-model"])
    assert shown.exit_code == 0 and "stage pixels" in shown.stdout and "uniform(0.35, 0.65)" in shown.stdout


def test_default_priors_wait_for_the_mask(folder, normal):
    """`free` in a stage whose mask only the data settle: checked without, about the posterior with the mask's size."""
    from uvlens.pipelinefit import _with_priors

    def change(content):
        content["image_plane"] = {"rays": 2}
        content["lens"]["mass"][0]["theta_E"] = "free"
        content["lens"]["mass"][0]["center_x"] = "free"
        content["pipeline"][1]["priors"]["only"] = ["lens.mass.0.center_x"]

    stage = parse_pipeline(yaml.safe_load(write(folder, change, "free.yaml").read_text()), folder / "free.yaml")[1]
    prior = uvl.Uniform(-0.2, 0.2)
    parameters = Parameters({"lens": uvl.LensPlane([uvl.SIE(0.5, center_x=prior)])})
    vectors = np.random.default_rng(1).normal(0.02, 0.001, (200, 1))
    result = SimpleNamespace(model=SimpleNamespace(parameters=parameters), vectors=vectors, handed_on=None)
    data = SimpleNamespace(skies=lambda model_file: [SimpleNamespace(mask=normal.mask)])
    found = _with_priors(stage.model_file, stage, result, data, lambda sentence: None)
    mass = found.lens.mass[0]
    assert mass.center_x.is_chained and mass.theta_E.name == "loguniform" and not found.chained
    assert mass.theta_E.interval[1] == uvl.defaultpriors.field_of(normal.mask).radius


def test_a_source_with_one_image_gives_no_guard(folder, normal):
    """Said in a warning, and the stage goes on without."""
    from uvlens.pipelinefit import _with_positions

    light = uvl.Gaussian(flux=1.0, sigma=0.05, center_x=0.75, center_y=0.0)
    result = result_of(uvl.Model(normal, free_sie(), light, rays=2), np.full((5, 1), 0.5))
    stage = parse_pipeline(yaml.safe_load(write(folder).read_text()), folder / "model.yaml")[1]
    notes = []
    with pytest.warns(UVLensWarning, match="has . images"):
        model_file = _with_positions(stage.model_file, stage, result, notes.append)
    assert model_file.positions is None and len(notes) == 1


@pytest.mark.slow
def test_a_run_killed_in_its_second_stage_gives_the_numbers_of_one_that_was_not(folder, tmp_path):
    """kill -9 between two checkpoints of the chain of the second stage, then --resume."""

    def two(content):
        content["pipeline"] = content["pipeline"][:2]
        content["pipeline"][1]["fit"] = {**CHAIN, "n_draws": 3000}

    file = write(folder, two, "killed.yaml")
    command = [sys.executable, "-m", "uvlens.cli", "fit", str(file), "--out"]
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    out = tmp_path / "killed"
    process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    chain = out / "checkpoint.chain0.npz"
    while not n_drawn(chain):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert n_drawn(chain) < 3000 and not (out / "summary.json").exists()
    stamp = (out / "1_simple" / "summary.json").stat().st_mtime_ns
    resumed = subprocess.run([*command, str(out), "--resume"], check=True, capture_output=True, text=True)
    assert "stage simple (1 of 2): finished before" in resumed.stderr
    assert (out / "1_simple" / "summary.json").stat().st_mtime_ns == stamp
    summaries = [json.loads((tmp_path / name / "summary.json").read_text()) for name in ("whole", "killed")]
    for key in ("parameters", "derived", "max_log_evidence", "terms", "n_evaluations", "n_gradients"):
        assert_same_numbers(summaries[0][key], summaries[1][key], key)
