"""README.md and docs/: their code runs, their model files are read, their command lines are understood."""

import os
import re
import shlex
import types
import warnings

import click
import jax
import numpy as np
import pages
import pytest
from astropy.io import fits
from conftest import random_visibilities
from fitted import small_data, small_model

import uvlens as uvl
from uvlens.cli import main
from uvlens.guard import check_guard
from uvlens.inference.searches import SEARCHES
from uvlens.modelfile import ModelFile
from uvlens.parse_priors import parse_parameter
from uvlens.pipelinefile import parse_pipeline
from uvlens.results import Result
from uvlens.simulate.simfile import parse_simulation

PYTHON, YAML, SHELL = (pages.blocks(language) for language in ("python", "yaml", "sh"))
LONG = ("working_with_results.md", "pipelines.md")
"""Pages whose code takes half a minute: run by `.ci/run`, not by `make test`."""


def test_all_blocks_are_looked_at():
    """Fences in other languages, or indented ones that the pattern misses, would go unseen."""
    known = {"python", "yaml", "sh", "text", "math", "{toctree}", "{eval-rst}", "{figure}"}
    for page in pages.PAGES:
        opened = re.findall(r"^\s*```(\S+)", page.read_text(), re.M)
        assert set(opened) <= known, page.name
        found = sum(len(one.get(page.name, ())) for one in (PYTHON, YAML, SHELL))
        assert found == sum(language in ("python", "yaml", "sh") for language in opened), page.name
    for name, changes in pages.SMALLER.items():
        text = "".join(block.text for block in PYTHON[name])
        assert all(stated in text for stated, _ in changes), name
    assert set(pages.GIVEN) <= set(PYTHON)


@pytest.fixture(scope="module", autouse=True)
def quick_compiling():
    """What runs once is not worth optimising."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    """300 visibilities of a ring, with the antennas of each and a primary beam."""
    data = small_data()
    pairs = np.transpose(np.triu_indices(12, 1))[np.arange(len(data)) % 66]
    return uvl.Visibilities(
        u=data.u,
        v=data.v,
        vis=data.vis,
        weight=data.weight,
        antenna1=pairs[:, 0],
        antenna2=pairs[:, 1],
        frequency=np.full(len(data), 3.4e11),
        name="target",
    )


@pytest.fixture(scope="module")
def fitted(observed):
    """A model of the ring, and the Result of it that stands in for a fit."""
    lens = [uvl.SIE(uvl.Uniform(0.7, 0.9), uvl.TruncNormal(0.1, 0.1, -0.5, 0.5), -0.06, 0.03, -0.02)]
    model = small_model(observed, positions="none")
    return types.SimpleNamespace(result=_stand_in(model), data=observed, mask=model.normal.mask, lens=lens)


def _measurement_set(path):
    measurement_sets = pytest.importorskip("measurement_sets")
    pytest.importorskip("arcae")
    rows = measurement_sets.point_source(times=2)
    measurement_sets.write_measurement_set(path, rows, measurement_sets.WINDOWS, antennas=[f"A{i}" for i in range(6)])


def _header(middle, scale):
    """Of a FITS image with East to the left."""
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRPIX1": middle, "CRPIX2": middle})
    header.update({"CRVAL1": 84.5, "CRVAL2": -50.5, "CDELT1": -scale / 3600.0, "CDELT2": scale / 3600.0})
    return header


def _image_files():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-3:4, -3:4]
    header = _header(65.0, 0.05)
    fits.writeto("image.fits", rng.normal(size=(129, 129)), header)
    fits.writeto("noise.fits", np.ones((129, 129)), header)
    fits.writeto("psf.fits", np.exp(-0.5 * (x**2 + y**2)) / (2.0 * np.pi))


def _deflection_files():
    """An isothermal sphere of 5", columns to the West, as FITS images of the sky are."""
    rows, columns = np.mgrid[-32:33, -32:33] * 0.5
    header = _header(33.0, 0.5)
    radius = np.sqrt(columns**2 + rows**2 + 1.0)
    fits.writeto("dx.fits", 5.0 * -columns / radius, header)
    fits.writeto("dy.fits", 5.0 * rows / radius, header)


def _stand_in(model, method="auto", *, seed=1, near=None, directory=None, **_):
    """A Result about the medians of the priors, where no search was run; what `fit` refuses is refused."""
    assert method in SEARCHES
    check_guard(model)
    if directory is not None:
        os.makedirs(directory, exist_ok=True)
    z = 0.05 * np.random.default_rng(seed).normal(size=(24, len(model.parameters)))
    vectors = np.array([model.parameters.from_normal(one) for one in z])
    best = np.asarray(model.parameters.median({}) if near is None else near)
    return Result(
        model=model,
        method="optimize",
        seed=seed,
        vectors=vectors,
        log_likelihood=None,
        n_chains=1,
        best_vector=best,
        best_log_likelihood=float(jax.jit(lambda vector: model.log_likelihood(vector))(best)),
        diagnostics={"basins": []},
        log_evidence_minus_null=None,
        n_evaluations=1,
        n_gradients=0,
        wall_seconds=1.0,
    )


@pytest.mark.parametrize("name", [pytest.param(one, marks=[pytest.mark.whole] * (one in LONG)) for one in PYTHON])
def test_python_runs(name, observed, request, tmp_path, monkeypatch):
    """The blocks of a page one after the other, in one namespace; a stand-in takes the place of searches."""
    todo = [block for block in PYTHON[name] if block.why is None]
    text = "".join(block.text for block in todo)
    monkeypatch.chdir(tmp_path)
    for place in ("uvlens.inference.fit", "uvlens.pipeline.fit"):
        monkeypatch.setattr(place, _stand_in)
    space = {"__name__": "page", "uvl": uvl, "np": np, "observed": observed}
    space |= {"image_files": _image_files, "deflection_files": _deflection_files}
    if "fitted" in pages.GIVEN.get(name, ""):
        space["fitted"] = request.getfixturevalue("fitted")
    if "one_sky" in pages.GIVEN.get(name, ""):
        mesh = uvl.RectangularMesh(5, 5, extent=0.4, basis="bilinear")
        source = uvl.PixelSource(mesh, uvl.Gradient(uvl.LogUniform(1e-2, 10.0)))
        normal = uvl.normal_operator(random_visibilities(), uvl.Mask.disc(1.0, 0.16), method="lowrank")
        space["one_sky"] = uvl.Model(normal, [uvl.SIE(uvl.Uniform(0.5, 0.7), 0.1)], source, rays=1)
    if "target.npz" in text:
        observed.write("target.npz")
    for path in re.findall(r'"(\w+\.ms)"', text):
        _measurement_set(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(pages.GIVEN.get(name, ""), space)
        for block in todo:
            code = "\n" * (block.line - 1) + pages.python_of(block)
            exec(compile(code, str(block.page), "exec"), space)


@pytest.mark.parametrize("name", PYTHON)
def test_python_that_is_not_run_is_python(name):
    for block in PYTHON[name]:
        compile(block.text, name, "exec")


@pytest.mark.parametrize("name", YAML)
def test_model_files_are_read(name, tmp_path):
    """By the parser of model files; what is left out with `...` is put in, fragments become part of a whole."""
    for block in YAML[name]:
        for value in pages.documents(block, tmp_path):
            content = pages.model_content(value)
            if "array" in value:
                truth = {"phase_center": {"ra": "10:00:00", "dec": "-30:00:00"}} | {"lens": pages.ELIDED["lens"]}
                light = {"light": [{"profile": "Gaussian", "flux": 1.0, "sigma": 0.1}]}
                parse_simulation(truth | {"source": light} | value, tmp_path)
            elif content is None:
                for key, one in value.items():
                    parse_parameter(one, key)
            elif "pipeline" in content:
                parse_pipeline(content, tmp_path / "model.yaml")
            else:
                ModelFile.of(content, tmp_path / "model.yaml")


@pytest.mark.parametrize("name", SHELL)
def test_command_lines_are_understood(name):
    """Commands, options and their values, as click reads them; nothing is run."""
    makefile = (pages.ROOT / "Makefile").read_text()
    for block in SHELL[name]:
        for line in block.text.replace("\\\n", " ").splitlines():
            words = re.split(r"\s[|>]", " ".join(shlex.split(line, comments=True)))[0].split()
            if not words:
                continue
            if words[0] == "make":
                assert all(re.search(rf"^{one}:", makefile, re.M) for one in words[1:] if "=" not in one), line
            elif words[0] in ("python", "python3"):
                assert words[1] == "-m" or (pages.ROOT / words[1]).is_file(), line
            elif words[0] == "uvlens":
                _parse(words[1:])
            else:
                assert words[0] in ("pip", ".venv/bin/pip", "source", "casa"), line


def _parse(words):
    """Refuses a command line as click does."""
    if words == ["--help"]:
        return
    group = click.Context(main, info_name="uvlens")
    _, command, rest = main.resolve_command(group, words)
    command.make_context(command.name, list(rest), parent=group)


def test_links_of_readme():
    """Those of the other pages are checked by Sphinx (make docs)."""
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (pages.ROOT / "README.md").read_text()):
        assert (pages.ROOT / target).exists(), target


def test_reference_has_every_public_name():
    text = (pages.ROOT / "docs" / "api.md").read_text()
    named = set(re.findall(r"^\.\. auto\w+:: uvlens\.(\w+)$", text, re.M))
    assert named == set(uvl.__all__) - {"__version__"}
    for one in named:
        getattr(uvl, one)


def test_every_page_is_in_the_table_of_contents():
    listed = set(re.findall(r"^(\w+)$", (pages.ROOT / "docs" / "index.md").read_text(), re.M))
    assert {page.stem for page in pages.PAGES} - {"README", "index"} <= listed


def test_messages_are_those_of_the_package():
    """Those that troubleshooting.md quotes are texts of the source, filled in (without the name of a file, or with)."""
    patterns = pages.texts_of_the_package()
    for message in pages.messages():
        ways = {message, message.partition(": ")[2]}
        assert any(re.fullmatch(one, told) for one in patterns for told in ways), message
