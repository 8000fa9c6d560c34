"""Fluxes as parameters, domains, planes and cosmologies in a Model, against brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import random_visibilities

import uvlens as uvl
from uvlens.cosmology import FlatLambdaCDM
from uvlens.errors import InputError
from uvlens.lens import Lens
from uvlens.quadrature import AdaptiveSampling

MASS = [uvl.SIE(0.5, 0.1, -0.05, 0.02, 0.01), uvl.Shear(0.03, -0.02)]


@pytest.fixture(scope="module")
def data():
    return random_visibilities(50, 3)


@pytest.fixture(scope="module")
def mask():
    return uvl.Mask.disc(1.0, 0.12)


def image_of(profile, mask, rays, trace=lambda x, y: (x, y)):
    """Brightness averaged over rays x rays points of every pixel [flux per pixel]."""
    x, y = (np.asarray(r) for r in mask.rays(rays))
    return np.asarray(profile.brightness(*trace(x, y))).mean(axis=1) * mask.grid.pixel_area


def log_likelihood(data, mask, image):
    """-1/2 (chi^2 - chi^2 of an empty sky) by the sum over visibilities."""
    arguments = (data.u, data.v, data.weight, data.vis, mask.x, mask.y)
    empty = reference.chi_squared(*arguments, np.zeros(mask.n_pixels))
    return -0.5 * (reference.chi_squared(*arguments, image) - empty)


def check_gradient(model, vector, rtol=1e-5):
    gradient = np.asarray(jax.jit(jax.grad(lambda vector: model.log_likelihood(vector)))(vector))
    function = jax.jit(lambda vector: model.log_likelihood(vector))
    for i in range(len(vector)):
        step = 1e-5 * max(1.0, abs(float(vector[i])))
        slope = (function(vector.at[i].add(step)) - function(vector.at[i].add(-step))) / (2 * step)
        assert gradient[i] == pytest.approx(float(slope), rel=rtol, abs=1e-6 * np.abs(gradient).max()), i


def test_a_purely_parametric_model_is_the_chi_squared_of_its_image(data, mask):
    normal = uvl.normal_operator(data, mask)
    lens_light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=0.15, e1=0.1, center_x=0.1)
    behind = uvl.Sersic(flux=uvl.LogUniform(0.1, 10.0), R_sersic=0.2, n_sersic=1.0, e2=0.2)
    source = uvl.Source(None, (behind,))
    model = uvl.Model(normal, uvl.LensPlane(MASS, light=(lens_light,)), source, rays=3)
    assert model.parameters.paths == ("lens.light.0.flux", "source.light.0.flux")
    vector = jnp.array([0.7, 2.5])
    filled = model.parameters.fill(vector)
    image = image_of(filled["lens"].light[0], mask, 3)
    image = image + image_of(filled["source"].light[0], mask, 3, uvl.LensPlane(MASS).ray_trace)
    assert float(model.log_likelihood(vector)) == pytest.approx(log_likelihood(data, mask, image), rel=1e-9)
    check_gradient(model, vector)
    (found,) = model.inversions(vector)
    assert np.allclose(found.image, image, rtol=1e-12)
    assert np.allclose(found.lensed_source, image - image_of(filled["lens"].light[0], mask, 3), rtol=1e-9, atol=1e-12)
    assert float(found.inversion.log_evidence_minus_null) == pytest.approx(float(model.log_likelihood(vector)))


def test_at_the_best_flux_a_parameter_is_what_an_optimised_amplitude_is(data, mask):
    normal = uvl.normal_operator(data, mask)

    def model(flux):
        return uvl.Model(normal, MASS, uvl.Gaussian(flux=flux, sigma=0.2, center_x=0.1, center_y=0.05), rays=2)

    linear = model("linear")
    (found,) = linear.inversions(jnp.zeros(0))
    best = jnp.array([float(found.inversion.source[0])])
    free = model(uvl.Uniform(0.0, 100.0))
    assert float(free.log_likelihood(best)) == pytest.approx(float(linear.log_likelihood(jnp.zeros(0))), rel=1e-10)
    assert float(jax.grad(free.log_likelihood)(best)[0]) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("operator", ["auto", "fft", "lowrank"])
def test_a_flux_that_is_a_parameter_beside_pixels(data, mask, operator):
    """ln E of the data less the light, by dense algebra; the gradient through both on every operator."""
    normal = uvl.normal_operator(data, mask, operator)
    mesh = uvl.RectangularMesh(7, 6, extent=0.6)
    light = uvl.Gaussian(flux=uvl.Uniform(0.0, 5.0), sigma=uvl.Uniform(0.1, 0.3))
    source = uvl.PixelSource(mesh, uvl.Gradient(0.5))
    plane = uvl.LensPlane([uvl.SIE(uvl.Normal(0.5, 0.05), 0.1, -0.05), MASS[1]], light=(light,))
    model = uvl.Model(normal, plane, source, rays=2)
    vector = jnp.array([0.52, 0.15, 1.3])
    vector = model.parameters.median(dict(zip(("lens.mass.0.theta_E", "lens.light.0.sigma"), (0.52, 0.15))))
    image = image_of(model.parameters.fill(vector)["lens"].light[0], mask, 2)
    model_vis = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image
    rest = uvl.Visibilities(data.u, data.v, data.vis - model_vis, data.weight)
    alone = uvl.Model(
        uvl.normal_operator(rest, mask, "fft"), uvl.LensPlane([uvl.SIE(0.52, 0.1, -0.05), MASS[1]]), source, rays=2
    )
    null = float(alone.normal.reduction.null_chi_squared) - float(normal.reduction.null_chi_squared)
    expected = float(alone.log_evidence_minus_null(jnp.zeros(0))) - 0.5 * null
    assert float(model.log_evidence_minus_null(vector)) == pytest.approx(expected, rel=1e-9)
    (found,) = model.inversions(vector)
    assert float(found.inversion.log_evidence_minus_null) == pytest.approx(expected, rel=1e-9)
    if operator != "fft":
        check_gradient(model, vector)


def test_outside_a_domain_the_likelihood_is_minus_infinity_and_never_nan(data, mask):
    normal = uvl.normal_operator(data, mask)
    sie = uvl.SIE(uvl.Normal(0.5, 0.5), uvl.Normal(0.0, 0.4), uvl.Normal(0.0, 0.4))
    source = uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.6), uvl.Gradient(0.5))
    model = uvl.Model(normal, [sie], source, rays=2)
    function = jax.jit(jax.value_and_grad(lambda z: model.log_posterior(z)))
    for z in ([-2.0, 0.0, 0.0], [0.0, 2.0, 2.0], [0.0, 2.5, 0.0]):
        value, gradient = function(jnp.array(z))
        assert np.isneginf(float(value)) and np.all(np.isfinite(gradient))
    value, gradient = function(jnp.array([0.1, 0.2, -0.1]))
    assert np.isfinite(float(value)) and np.all(np.isfinite(gradient))


@pytest.mark.parametrize(
    "lens, words",
    [
        (uvl.SIE(uvl.Uniform(-0.5, 1.0)), r"lens.mass.0.theta_E: must be > 0 arcsec, its prior uniform.* reaches -0.5"),
        (uvl.SIE(uvl.Normal(-1.0, 0.1)), "the median of its prior"),
        (uvl.EPL(1.0, uvl.Uniform(1.5, 3.5)), r"lens.mass.0.slope: must be in \(1, 3\)"),
        (uvl.SIE(1.0, axis_ratio=uvl.Uniform(0.5, 1.2), position_angle=10.0), "lens.mass.0.axis_ratio"),
    ],
)
def test_priors_outside_a_domain_are_refused_by_name(data, mask, lens, words):
    with pytest.raises(InputError, match=words):
        uvl.Model(uvl.normal_operator(data, mask), [lens], uvl.Gaussian(flux="linear", sigma=0.2))


def test_numbers_outside_a_domain_are_refused_by_name():
    with pytest.raises(InputError, match="theta_E must be > 0 arcsec, got -1"):
        uvl.SIE(-1.0)
    with pytest.raises(InputError, match="ellipticity"):
        uvl.SIE(1.0, 0.8, 0.8)
    with pytest.raises(InputError, match="axis_ratio must be in"):
        uvl.SIE(1.0, axis_ratio=0.0, position_angle=3.0)


def test_two_sources_at_two_redshifts_behind_two_planes_with_a_free_cosmology(data, mask):
    normal = uvl.normal_operator(data, mask)
    planes = [
        uvl.LensPlane([uvl.SIE(uvl.Uniform(0.1, 0.3), 0.0, 0.0, 0.4, 0.1)], redshift=0.8),
        uvl.LensPlane(MASS, redshift=0.3, light=(uvl.Gaussian(flux=0.5, sigma=0.1),)),
    ]
    sources = [
        uvl.Source(None, (uvl.Gaussian(flux=1.0, sigma=0.1, center_x=0.05),), redshift=1.0),
        uvl.Source(uvl.PixelSource(uvl.RectangularMesh(6, 6, extent=0.7), uvl.Gradient(0.5)), redshift=2.5),
    ]
    cosmology = FlatLambdaCDM(70.0, uvl.Uniform(0.1, 0.6))
    model = uvl.Model(normal, planes, sources, rays=2, cosmology=cosmology)
    assert set(model.parameters.paths) == {"cosmology.Om0", "lens.0.mass.0.theta_E"}
    assert model.reference_redshift == 2.5
    vector = model.parameters.median({"cosmology.Om0": 0.3, "lens.0.mass.0.theta_E": 0.2})
    check_gradient(model, vector)
    numbers = model.parameters.fill(vector)
    lenses = [Lens(numbers["lens"], z, FlatLambdaCDM(70.0, 0.3), 2.5) for z in (1.0, 2.5)]
    for k in range(2):
        ours, theirs = model.lens(vector, k).ray_trace(0.5, 0.3), lenses[k].ray_trace(0.5, 0.3)
        assert np.allclose(ours, theirs, atol=1e-13)
    image = image_of(sources[0].light[0], mask, 2, lenses[0].ray_trace)
    image = image + image_of(planes[1].light[0], mask, 2)
    (found,) = model.inversions(vector)
    pixels = np.asarray(found.image_of(found.parts[0].columns))
    assert np.allclose(found.image - pixels, image, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (([uvl.LensPlane(MASS, 0.5)], uvl.Source(None, (uvl.Gaussian("linear", 0.1),), redshift=0.4)), "not in front"),
        (([uvl.LensPlane(MASS, 0.5), uvl.LensPlane(MASS)], uvl.Gaussian("linear", 0.1)), "redshift of each"),
        (
            (
                [uvl.LensPlane(MASS, 0.5), uvl.LensPlane(MASS, 0.6)],
                uvl.Source(None, (uvl.Gaussian("linear", 0.1),), redshift=2.0, deflection_scale=0.8),
            ),
            "single lens plane",
        ),
    ],
)
def test_planes_that_cannot_be_traced_are_refused(data, mask, arguments, words):
    with pytest.raises(InputError, match=words):
        uvl.Model(uvl.normal_operator(data, mask), *arguments)


def test_adaptive_integration_of_a_lensed_cusp(data, mask):
    """A steep Sersic behind the lens: adaptive sub-pixels give ln L that 48 x 48 rays converge to."""
    light = uvl.Sersic(flux=2.0, R_sersic=0.15, n_sersic=3.0, e1=0.1, center_x=0.06, center_y=0.03)
    normal = uvl.normal_operator(data, mask)

    def value(sky, rays=2):
        return float(uvl.Model(sky, MASS, uvl.Source(None, (light,)), rays=rays).log_likelihood(jnp.zeros(0)))

    adaptive = value(uvl.Sky(normal, over_sampling=AdaptiveSampling(n_refine=80)))
    error = [abs(value(uvl.Sky(normal), rays) - adaptive) for rays in (2, 4, 16, 48)]
    assert error[3] < 0.02 * error[0] and error[3] < error[2] < error[1]


def test_transforms_of_the_visibilities_themselves(data, mask):
    """The operator that keeps the visibilities: the same ln E, and closed forms in the place of pixels."""
    kept, reduced = (uvl.normal_operator(data, mask, method) for method in ("nufft", "fft"))
    behind = uvl.Sersic(flux=uvl.Uniform(0.1, 9.0), R_sersic=0.2)
    source = uvl.Source(None, (behind,))
    vector = jnp.array([2.0])
    values = [float(uvl.Model(one, MASS, source, rays=2).log_likelihood(vector)) for one in (kept, reduced)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)
    pixels = uvl.PixelSource(uvl.RectangularMesh(5, 5, extent=0.6), uvl.Gradient(0.5))
    values = [float(uvl.Model(one, MASS, pixels, rays=2).log_likelihood(jnp.zeros(0))) for one in (kept, reduced)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    spot = uvl.Gaussian(flux=uvl.Uniform(0.0, 3.0), sigma=uvl.Uniform(0.02, 0.1), e1=0.2, center_x=0.33, center_y=-0.2)
    point = uvl.PointSource(flux=uvl.Uniform(0.0, 3.0), center_x=uvl.Uniform(-0.3, 0.3), center_y=0.15)
    model = uvl.Model(kept, uvl.LensPlane(MASS, light=(spot, point)), source, rays=2)
    vector = model.parameters.median()
    lights = model.parameters.fill(vector)["lens"].light
    image = image_of(model.parameters.fill(vector)["source"].light[0], mask, 2, uvl.LensPlane(MASS).ray_trace)
    vis = reference.fourier_matrix(data.u, data.v, mask.x, mask.y) @ image
    turn = 2.0j * np.pi * np.pi / 180.0 / 3600.0
    (major, minor), angle = 0.06 * np.array([1.2, 0.8]) / np.sqrt(0.96), 0.0
    along, across = data.u * np.cos(angle), data.v
    spread = (major * along) ** 2 + (minor * across) ** 2
    vis = vis + float(lights[0].flux) * np.exp(turn * (0.33 * data.u - 0.2 * data.v) + 0.5 * turn**2 * spread)
    vis = vis + float(lights[1].flux) * np.exp(turn * (float(lights[1].center_x) * data.u + 0.15 * data.v))
    expected = -0.5 * np.sum(data.weight * (np.abs(data.vis - vis) ** 2 - np.abs(data.vis) ** 2))
    assert float(model.log_likelihood(vector)) == pytest.approx(expected, rel=1e-9)
    check_gradient(model, vector)


PLANES_FILE = """
data: [{{file: mock.npz, weights: file}}]
image_plane: {{pixel_scale: 0.08, rays: 2, mask: {{disc: {{radius: 1.6}}}}, over_sampling: 2}}
cosmology: {{H0: 70, Om0: {om}}}
lens:
  - {{redshift: 0.8, mass: [{{profile: SIE, theta_E: 0.1, e1: 0, e2: 0, center_x: 0.5, center_y: 0.4}}]}}
  - redshift: 0.3
    mass: [{{profile: SIE, theta_E: {theta}, e1: 0.1, e2: 0}}]
    light: [{{profile: Gaussian, flux: 0.001, sigma: 0.1}}]
source:
  - {{redshift: 1.0, light: [{{profile: Gaussian, flux: 0.004, sigma: 0.1, center_x: 0.1}}]}}
  - {{redshift: 2.5, light: [{{profile: Sersic, flux: {flux}, R_sersic: 0.15, n_sersic: 1, center_y: 0.05}}]}}
"""

SIMULATION = """
array: alma.cycle10.4
phase_center: {ra: 10.0, dec: -30.0}
frequency: 230.0e9
integration: 120
hour_angle: [-0.1, 0.1]
noise: {sigma: 2.0e-3}
primary_beam: false
sky: {size: 3.4, pixel_scale: 0.04}
seed: 3
"""


@pytest.mark.slow
def test_a_file_with_planes_and_two_sources_simulates_fits_and_reports(tmp_path):
    """truth -> visibilities -> parametric fit with a flux, a mass and Om0 free -> report from its folder."""
    import json

    from click.testing import CliRunner

    from uvlens.cli import main as command

    def main(words):
        result = CliRunner().invoke(command, words)
        assert result.exit_code == 0, result.output
        return 0

    model = PLANES_FILE.format(om=0.3, theta=0.8, flux=0.002)
    sky = "".join(line + "\n" for line in model.splitlines() if not line.startswith(("data", "image_plane")))
    (tmp_path / "sim.yaml").write_text(SIMULATION + sky)
    assert main(["simulate", str(tmp_path / "sim.yaml"), "--out", str(tmp_path / "mock.npz")]) == 0
    free = {"om": "{uniform: [0.1, 0.9]}", "theta": "{normal: [0.8, 0.05]}", "flux": "{loguniform: [0.0005, 0.01]}"}
    (tmp_path / "model.yaml").write_text(PLANES_FILE.format(**free))
    with open(tmp_path / "model.yaml", "a") as stream:
        stream.write("fit: {method: optimize, n_starts: 2, n_screen: 4}\n")
    assert main(["fit", str(tmp_path / "model.yaml"), "--out", str(tmp_path / "fit")]) == 0
    summary = json.loads((tmp_path / "fit" / "summary.json").read_text())
    truth = {"lens.1.mass.0.theta_E": 0.8, "source.1.light.0.flux": 0.002, "cosmology.Om0": 0.3}
    for path, value in truth.items():
        found = summary["parameters"][path]
        assert abs(found["map"] - value) < 4.0 * found["std"], path
    assert summary["terms"]["chi_squared"] == pytest.approx(2 * summary["n_visibilities"], rel=0.1)
    assert "source.1.light.0.magnification" in summary["derived"]
    (tmp_path / "fit" / "report.html").unlink()
    assert main(["report", str(tmp_path / "fit")]) == 0
    assert (tmp_path / "fit" / "source.0.fits").exists() and (tmp_path / "fit" / "source_light.1.png").exists()


@pytest.mark.realdata
def test_spt0346_as_one_sersic_profile(data_folder, tmp_path, monkeypatch):
    """An exact-transform fit from three starts found chi^2 44,794.7 for 43,338 real numbers; 44,796 is the limit."""
    import json
    from pathlib import Path

    from click.testing import CliRunner

    from uvlens.cli import main

    monkeypatch.setenv("UVLENS_DATA", str(data_folder))
    example = Path(__file__).parents[1] / "examples" / "spt0346_parametric.yaml"
    result = CliRunner().invoke(main, ["fit", str(example), "--out", str(tmp_path / "fit")])
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / "fit" / "summary.json").read_text())
    assert summary["n_visibilities"] == 21669
    assert summary["terms"]["chi_squared"] <= 44796.0
    basins = summary["diagnostics"]["basins"]
    assert basins[0]["n_starts"] >= 2  # of the climbs that went to the end
    assert summary["parameters"]["lens.mass.0.theta_E"]["median"] == pytest.approx(0.996, abs=0.03)
    assert 2.5e11 < summary["derived"]["lens.einstein_mass"]["median"] < 3.3e11  # published: 2.81e11


def test_closed_forms_are_in_the_pictures_too(data, mask):
    """Image, dirty residual and chi^2 of the operator that keeps the visibilities: those of pixels, for broad light."""
    glow = uvl.Gaussian(flux=0.7, sigma=0.2, center_x=0.1)
    models = [
        uvl.Model(uvl.normal_operator(data, mask, method), uvl.LensPlane(MASS, light=(glow,)), uvl.Gaussian(1.0, 0.2))
        for method in ("nufft", "fft")
    ]
    found = [model.inversions(jnp.zeros(0))[0] for model in models]
    assert np.allclose(found[0].image, found[1].image, rtol=1e-12)
    assert np.allclose(found[0].lensed_source, found[1].lensed_source, atol=1e-12)
    assert np.allclose(found[0].dirty_residual, found[1].dirty_residual, atol=1e-10)


def test_light_behind_another_plane_is_bent_with_every_operator(data, mask):
    front = uvl.LensPlane([uvl.SIE(0.5, 0.1, 0.0)], redshift=0.3)
    glow = uvl.Gaussian(flux=1.0, sigma=0.15, center_x=0.1)
    behind = uvl.LensPlane([uvl.SIS(0.01)], redshift=0.8, light=(glow,))
    source = uvl.Source(None, (uvl.Gaussian(0.5, 0.1),), redshift=2.0)
    values = [
        float(uvl.Model(uvl.normal_operator(data, mask, method), [front, behind], source).log_likelihood(jnp.zeros(0)))
        for method in ("nufft", "fft")
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    point = uvl.LensPlane([uvl.SIS(0.01)], redshift=0.8, light=(uvl.PointSource(flux=1.0),))
    with pytest.raises(InputError, match="PointSource belongs to the light of the lens"):
        uvl.Model(uvl.normal_operator(data, mask), [front, point], source).log_likelihood(jnp.zeros(0))


def test_a_point_on_pixels_with_a_window(mask):
    """The flux of a point comes back whether the pixels' response is divided out or not."""
    sky = uvl.Mask.disc(1.2, 0.1)
    rng = np.random.default_rng(4)
    u, v = rng.uniform(-4e5, 4e5, (2, 80))
    vis = 0.02 * np.exp(2j * np.pi * np.pi / 180 / 3600 * (0.123 * u - 0.077 * v))
    data = uvl.Visibilities(u, v, vis, np.full(80, 1e6))
    point = uvl.PointSource(center_x=0.123, center_y=-0.077)
    for window in (False, True):
        normal = uvl.normal_operator(data, sky, pixel_window=window)
        model = uvl.Model(normal, uvl.LensPlane(MASS, light=(point,)), uvl.Gaussian(0.0, 0.1), rays=1)
        (found,) = model.inversions(jnp.zeros(0))
        assert found.lights[0].flux == pytest.approx(0.02, rel=2e-5)


def test_fluxes_and_magnifications_of_what_is_no_plain_sum():
    """Shapelets integrate to their flux; a colour is no magnification; nothing is divided by a flux of 0."""
    from uvlens.quantities import source_parameters

    x, y = uvl.Mask.disc(3.0, 0.05).rays(1)
    shapelets = uvl.Shapelets(3, 0.3)
    columns = np.asarray(shapelets.columns(np.asarray(x).ravel(), np.asarray(y).ravel()))
    assert np.allclose(columns.sum(axis=0) * 0.05**2, shapelets.integrals, atol=1e-10)
    data, mask = random_visibilities(40, 5), uvl.Mask.disc(1.0, 0.12)
    skies = [uvl.Sky(uvl.normal_operator(data, mask, "fft"), name) for name in ("a", "b")]
    light = uvl.Gaussian(flux=1.0, sigma=0.1)
    source = uvl.Source(None, (light,), shared=True, colour={"b": 3.0})
    values = source_parameters(uvl.Model(skies, MASS, source, rays=2), jnp.zeros(0))
    assert values["source.b.magnification"] == pytest.approx(values["source.a.magnification"], rel=1e-12)
    assert values["source.b.image_flux"] == pytest.approx(3.0 * values["source.a.image_flux"], rel=1e-12)
    dark = uvl.Model(skies[0], MASS, uvl.Gaussian(flux=0.0, sigma=0.1), rays=2)
    assert np.isnan(source_parameters(dark, jnp.zeros(0))["source.magnification"])


def test_a_model_of_optimised_amplitudes_alone_has_a_gradient(data, mask, capfd):
    light = uvl.Gaussian(flux="linear", sigma=uvl.Uniform(0.1, 0.3))
    model = uvl.Model(uvl.normal_operator(data, mask), MASS, light, rays=2)
    check_gradient(model, jnp.array([0.2]))
    assert "DTRTRI" not in capfd.readouterr().err
