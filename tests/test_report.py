"""The report of a small fit: figures, tables for papers and programs, statistics, provenance; its size; in print."""

import dataclasses
import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from astropy.table import Table
from fitted import TRUTH, laplace_result, small_data, small_model

import uvlens as uvl
from uvlens import plot
from uvlens.cli import main
from uvlens.inferencedata import prior_draws
from uvlens.lens import Lens
from uvlens.plot_posterior import plot_corner
from uvlens.provenance import as_command, provenance
from uvlens.reportfacts import convergence_section
from uvlens.reportpage import adequacy_of, remarks
from uvlens.reporttable import latex_value, parameter_table, short_names, unit_of
from uvlens.residualstatistics import residual_statistics, whitened_residuals

PATHS = ("lens.mass.0.theta_E", "lens.mass.0.e1", "source.pixels.regularization.strength")


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# continuous integration installs one, and fails without: what is promised of the report is not to be skipped there
needs_browser = pytest.mark.skipif(BROWSER is None and not os.environ.get("CI"), reason="no Chromium")


@pytest.fixture(scope="module")
def result():
    found, _ = laplace_result(small_model(small_data()))
    chains = {key: {path: 500.0 for path in PATHS} for key in ("ess_bulk", "ess_tail")}
    chains |= {"r_hat": {path: 1.0023 for path in PATHS}}
    return dataclasses.replace(found, provenance=provenance(), diagnostics=found.diagnostics | chains)


@pytest.fixture(scope="module")
def folder(result, tmp_path_factory):
    target = tmp_path_factory.mktemp("report")
    (target / "truth.json").write_text(json.dumps({f"lens.mass.0.{key}": value for key, value in TRUTH.items()}))
    result.report(target)
    return target


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "report.html").read_text()


def test_every_figure_is_on_the_page_as_png_and_as_pdf(folder, page):
    names = ("dirty", "source", "image_plane", "uv_distance", "residuals", "corner", "prior", "traces")
    for name in names:
        assert f'<figure id="{name}">' in page
        assert (folder / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert (folder / f"{name}.pdf").read_bytes()[:5] == b"%PDF-"
    assert page.count("data:image/png;base64") == len(names)
    assert len(page) < 15e6 and "http" not in page and "<script" not in page


def test_sections_say_what_was_fitted_and_how(folder, page, result):
    text = re.sub(r"<[^>]+>", " ", page)
    for words in ("Data", "beam (natural)", "Whitened residuals", "Convergence", "1.0023", "Provenance"):
        assert words in text
    assert f"numpy {np.__version__}" in text and result.model.normal.reduction.hashes[0] in text
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["provenance"]["versions"]["uvlens"] == uvl.__version__
    # 300 visibilities of unit weight: 1 / sqrt(300) Jy/beam
    assert "57.7 mJy/beam" in text


def test_tables_are_read_by_astropy_and_latex(folder):
    summary = json.loads((folder / "summary.json").read_text())
    table = Table.read(folder / "parameters.ecsv")
    table.add_index("path")
    row = table.loc["lens.mass.0.theta_E"]
    assert row["median"] == summary["parameters"]["lens.mass.0.theta_E"]["median"] and row["unit"] == "arcsec"
    assert set(table["path"]) == {*summary["parameters"], *summary["derived"]}
    text = (folder / "parameters.tex").read_text()
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert all(line.count("&") - line.count("\\&") == 3 for line in rows)
    assert "$\\theta_E$ & \\texttt{lens.mass.0.theta\\_E} & $0." in text
    # outside of mathematics nothing is left that LaTeX would take for a command
    plain = re.sub(r"\$[^$]*\$|\\texttt\{[^}]*\}|\\[a-z]+(\{[^}]*\})*|\\\\", "", text)
    assert not set(plain) & set("_^%#{}$")


def test_numbers_are_written_to_two_digits_of_their_errors():
    s = {"median": 0.90123, "q16": 0.8891, "q84": 0.91432, "std": 0.0126}
    assert latex_value(s) == "$0.901^{+0.013}_{-0.012}$"
    mass = {"median": 2.345e11, "q16": 2.335e11, "q84": 2.357e11, "std": 1.1e9}
    assert latex_value(mass) == "$(2.345^{+0.012}_{-0.010}) \\times 10^{11}$"
    assert latex_value({"median": 0.5, "q16": 0.5, "q84": 0.5, "std": 0.0}) == "$0.5000$"
    assert unit_of("lens.mass.0.theta_E") == "arcsec"
    two = [{"name": "band7", "unit": "Jy"}, {"name": "hst", "unit": "electron/s"}]
    summary = {"derived": {"source.magnification": 0, "source.total_magnification": 0}, "skies": two}
    assert unit_of("source.magnification", summary) == "source pixels with S/N > 3"
    assert unit_of("source.light.0.magnification", summary) == ""
    assert unit_of("source.hst.flux", summary) == "electron/s, unlensed"
    assert unit_of("source.band7.image_flux", summary) == "Jy, lensed"
    assert unit_of("lens.light.0.flux", summary) == "unit of its sky, unlensed"
    assert unit_of("source.flux", summary | {"skies": [{"name": "", "unit": ""}]}) == "unit of the image, unlensed"


def test_the_page_has_numbers_with_their_powers_and_no_errors_of_constants():
    mass = {"median": 2.345e11, "q16": 2.335e11, "q84": 2.357e11, "std": 1.1e9, "map": 2.3451e11}
    scale = {"median": 6.0256, "q16": 6.0256, "q84": 6.0256, "std": 0.0, "map": 6.0256}
    summary = {"derived": {"lens.einstein_mass": mass, "source.kpc_per_arcsec": scale}, "skies": []}
    rows = parameter_table(summary, "derived", {}).split("<tr>")[2:]
    cells = [re.findall(r"<td>([^<]*)</td>", row) for row in rows]
    assert cells[0][1:5] == ["2.345e+11", "0.010e+11", "0.012e+11", "2.345e+11"]
    assert cells[1][1:5] == ["6.0256", "", "", "6.0256"]


def test_what_the_checks_of_the_model_say_comes_first(tmp_path):
    summary = {"warnings": ["a warning"], "notes": ["a note"]}
    assert "model" not in remarks(summary, adequacy_of(tmp_path))
    for adequate, expected in (
        (False, "<li>The model is so.</li><li>a warning"),
        (True, "<p>The model is so.</p><p>a"),
    ):
        (tmp_path / "adequacy.json").write_text(json.dumps({"adequate": adequate}))
        (tmp_path / "adequacy.txt").write_text("The model is so.\n")
        assert expected in remarks(summary, adequacy_of(tmp_path))


def test_names_that_are_alike_say_what_they_belong_to():
    paths = ["lens.mass.0.center_x", "source.light.0.center_x", "lens.mass.1.gamma1"]
    assert short_names(paths) == ["$x$ lens", "$x$ source light", "$\\gamma_1$ (1)"]


def test_prior_draws_follow_the_prior_and_its_domain(result):
    drawn = prior_draws(result.model, 1, 4000)
    theta, e1, strength = drawn.T
    assert 0.7 < theta.min() < 0.705 and 0.895 < theta.max() < 0.9
    assert e1.mean() == pytest.approx(0.1, abs=0.01) and e1.std() == pytest.approx(0.1, abs=0.01)
    assert np.log10(strength).mean() == pytest.approx(0.0, abs=0.15)
    bound = uvl.Model(
        result.model.normal,
        uvl.LensPlane([uvl.SIE(uvl.Uniform(0.0, 1.0), uvl.Uniform(-0.5, 0.5))]),
        result.model.components["source"],
        constraints="lens.mass.0.theta_E > 0.5",
    )
    assert prior_draws(bound, 1, 500)[:, 0].min() > 0.5


def test_whitened_residuals_add_up_to_chi_squared(result):
    """Of the cells: what is left, less the scatter inside cells that no model of theirs can reach."""
    one = result.reconstructions[0]
    values = whitened_residuals(one)
    cells = one.reduction.terms[0].cells
    inside = float(one.reduction.null_chi_squared) - float(np.sum(cells.weight * np.abs(cells.vis) ** 2))
    assert np.sum(values**2) + inside == pytest.approx(one.chi_squared, rel=1e-2)  # cells are averages
    facts = residual_statistics(np.random.default_rng(2).normal(size=40_000))
    for name in ("mean", "standard deviation", "beyond 3 sigma", "excess kurtosis"):
        found, expected, spread = facts[name]
        assert abs(found - expected) < 3.5 * spread
    assert facts["largest"][1] == pytest.approx(4.3, abs=0.1)


def test_scale_bars_are_round_numbers_with_their_kpc():
    _, axes = plot.figure_of(1)
    plot.draw_scale_bar(axes[0, 0], uvl.PixelGrid((100, 100), 0.013), kpc=6.2)
    line, text = axes[0, 0].lines[0], axes[0, 0].texts[0].get_text()
    assert abs(line.get_xdata()[1] - line.get_xdata()[0]) == pytest.approx(0.2) and text == '0.2" = 1.24 kpc'
    known = Lens([uvl.LensPlane([uvl.SIE(1.0)], 0.5)], 2.0, "Planck18")
    assert plot.kpc_per_arcsec(known, 2.0) == pytest.approx(8.6, abs=0.1)
    assert plot.kpc_per_arcsec(Lens([uvl.LensPlane([uvl.SIE(1.0)])]), None) is None


def overlaps(boxes):
    return [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]


def test_twelve_parameters_do_not_overlap_in_the_corner():
    paths = [f"lens.mass.0.{one}" for one in ("theta_E", "e1", "e2", "center_x", "center_y")]
    paths += ["lens.mass.1.gamma1", "lens.mass.1.gamma2", "source.pixels.regularization.strength"]
    paths += [f"source.light.0.{one}" for one in ("center_x", "center_y", "R_sersic", "n_sersic")]
    scale = np.array([1.0, 0.1, 0.1, 0.02, 0.02, 0.05, 0.05, 5.0, 0.01, 0.01, 0.1, 2.0])
    samples = scale * (1.0 + 1e-3 * np.random.default_rng(1).normal(size=(2000, 12)))
    figure = plot_corner(samples, short_names(paths))
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    labels = [one for axes in figure.axes for axis in (axes.xaxis, axes.yaxis) for one in shown_labels(axis)]
    labels += [axes.title for axes in figure.axes if axes.title.get_text()]
    boxes = [one.get_window_extent(renderer).padded(-1.0) for one in labels]
    assert len(boxes) > 72 and not overlaps(boxes)
    page = figure.bbox
    assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1 for box in boxes)


def shown_labels(axis):
    """Texts of an axis that are drawn."""
    ticks = [one for tick in axis.get_major_ticks() for one in (tick.label1, tick.label2)]
    low, high = sorted(axis.get_view_interval())
    inside = [one for one, at in zip(ticks, np.repeat(axis.get_majorticklocs(), 2)) if low <= at <= high]
    return [one for one in [*inside, axis.label] if one.get_visible() and one.get_text()]


def test_convergence_of_searches_without_chains():
    assert "n effective" in convergence_section({"n_effective": 812.3, "basins": []})
    assert convergence_section({"basins": []}) == ""


def test_the_command_is_remembered():
    context = main.make_context("uvlens", ["fit", "my model.yaml", "--out", "x"])
    with context:
        assert provenance()["command"] == "uvlens fit 'my model.yaml' --out x"
    assert provenance()["command"] is None
    with as_command("uvlens fit models --jobs 2"):
        assert provenance()["command"] == "uvlens fit models --jobs 2"
    with as_command(None):
        assert provenance()["command"] is None


def chromium(tmp_path, page, *options):
    """What a browser without a network makes of a page: (stdout, stderr)."""
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--enable-logging=stderr"]
    settings = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", *offline]
    assert BROWSER, "no Chromium in the path: apt install chromium"
    command = [BROWSER, *settings, *options, page.resolve().as_uri()]
    done = subprocess.run(command, check=True, capture_output=True, timeout=120, text=True)
    return done.stdout, done.stderr


@needs_browser
def test_it_opens_in_a_browser_without_a_network(page, tmp_path):
    """Every picture is decoded, nothing else is asked for, nothing is said on the console; a broken page is caught."""
    counting = """<script>addEventListener("load", () => {
        const images = [...document.images], asked = performance.getEntriesByType("resource").map((one) => one.name);
        const broken = images.filter((one) => !one.complete || one.naturalWidth == 0).length;
        const foreign = asked.filter((name) => !name.startsWith("data:")).length;
        document.title = [images.length, broken, foreign].join(" ");
    });</script>"""
    wrong = page.replace("data:image/png;base64,", "data:image/png;base64,AAAA", 1)
    broken_end = '<img src="http://127.0.0.1:9/missing.png"><script>throw Error("no")</script></body>'
    wrong = wrong.replace("</body>", broken_end)
    for content, broken, foreign, said in ((page, 0, 0, False), (wrong, 2, 1, True)):
        assert "</body>" in content
        (tmp_path / "page.html").write_text(content.replace("</body>", f"{counting}</body>"))
        found, log = chromium(tmp_path, tmp_path / "page.html", "--dump-dom", "--virtual-time-budget=5000")
        numbers = [int(one) for one in re.search(r"<title>([\d ]+)</title>", found)[1].split()]
        assert numbers == [8 + (broken > 0), broken, foreign]
        assert ("CONSOLE" in log) == said, log


@needs_browser
def test_it_prints_on_a4(folder, tmp_path):
    target = tmp_path / "report.pdf"
    chromium(tmp_path, folder / "report.html", f"--print-to-pdf={target}")
    content = target.read_bytes()
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox \[([^]]*)\]", content)}
    # A4 is 595.3 x 841.9 points
    assert boxes and all(abs(box[2] - 595.3) < 1.5 and abs(box[3] - 841.9) < 1.5 for box in boxes)


def test_priors_of_scales_are_drawn_in_their_logarithm():
    """Widths too are compared there: 0.1 of a decade in three decades, and 0.5 in 0.3 to 4, which stays as it is."""
    from uvlens.plot_posterior import plot_prior_posterior

    uniform = np.random.default_rng(1).random((2, 20000, 2))
    prior = np.stack([10.0 ** (3.0 * uniform[0, :, 0]), 0.3 + 3.7 * uniform[0, :, 1]], axis=1)
    samples = np.stack([10.0 ** (1.0 + 0.1 * uniform[1, :, 0]), 1.0 + 0.5 * uniform[1, :, 1]], axis=1)
    scale, index = plot_prior_posterior(samples, prior, ["flux", "n"]).axes[:2]
    assert scale.get_xlabel() == "log$_{10}$ flux" and index.get_xlabel() == "n"
    widths = [float(axis.get_title().split()[1]) for axis in (scale, index)]
    assert widths == pytest.approx([0.1 / 3.0, 0.5 / 3.7], rel=0.05)
    assert -0.1 < scale.get_xlim()[0] < 0.05 and 2.95 < scale.get_xlim()[1] < 3.1


def test_stages_have_a_column_of_ln_z_where_one_has_it():
    from uvlens.reportpage import stages_section

    stage = {"name": "one", "folder": ".", "method": "optimize", "n_free": 3, "log_evidence": None}
    stage |= {"max_log_evidence": 12.5, "n_evaluations": 10, "n_gradients": 9, "wall_seconds": 2.0}
    (without,) = stages_section([stage])
    (with_it,) = stages_section([stage, stage | {"log_evidence": 1234.567}])
    assert "ln Z" not in without and without.count("<th>") == without.count("<td>") == 7
    assert "<td>1,234.57</td>" in with_it and with_it.count("<td>") == 2 * with_it.count("<th>") == 16
