"""Priors, parameters and the whole model: transforms, gradients of every parameter, convergence with pixels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import reference
import scipy.stats
from conftest import lensed_visibilities

import uvlens as uvl
from uvlens.parameters import Parameters

LENS = [
    uvl.SIE(
        uvl.Uniform(0.3, 0.9),
        uvl.Normal(0.0, 0.2),
        uvl.TruncNormal(0.0, 0.3, -0.6, 0.6),
        dist.Normal(0.0, 0.05),
        uvl.Normal("lens.mass.0.center_x", 0.1),
    ),
    uvl.Shear(uvl.LogNormal(-3.0, 0.5), uvl.Normal(0.0, 0.05), center_x=uvl.SameAs("lens.mass.0.center_x")),
]
PATHS = (
    "lens.mass.0.theta_E",
    "lens.mass.0.e1",
    "lens.mass.0.e2",
    "lens.mass.0.center_x",
    "lens.mass.0.center_y",
    "lens.mass.1.gamma1",
    "lens.mass.1.gamma2",
)


DATA = lensed_visibilities(80, seed=11, lens=uvl.LensPlane([uvl.SIE(0.55, 0.12, -0.08), uvl.Shear(0.05, 0.03)]))


def make_model(positive=False, basis="spline", extent=0.6, method="auto", strength="auto", **options):
    data = DATA
    normal = uvl.normal_operator(data, uvl.Mask.disc(0.9, 0.12, center=(0.05, 0.0)), method)
    mesh = uvl.RectangularMesh(6, 7, extent=extent, basis=basis)
    source = uvl.PixelSource(mesh, uvl.Gradient(strength), positive=positive)
    return uvl.Model(normal, LENS, source, **options)


VECTOR = jnp.array([0.55, 0.12, -0.08, 0.01, -0.02, 0.05, 0.03, 0.02])


def test_paths_ties_and_fill():
    parameters = make_model().parameters
    assert parameters.paths == (*PATHS, "source.pixels.regularization.strength")
    filled = parameters.fill(VECTOR)
    assert filled["lens"].mass[0].theta_E == 0.55
    assert filled["lens"].mass[1].center_x == 0.01
    assert filled["source"].pixels.regularization.strength == 0.02


def test_unit_cube_normal_and_physical_agree():
    parameters = make_model().parameters
    z = jax.random.normal(jax.random.PRNGKey(0), (len(parameters),))
    x = parameters.from_normal(z)
    assert np.allclose(parameters.to_normal(x), z, atol=1e-9)
    assert np.allclose(parameters.from_unit(scipy.stats.norm.cdf(z)), x, rtol=1e-9)
    # p(x) |dx/dz| is a unit normal, dependent priors included
    log_jacobian = np.linalg.slogdet(jax.jacfwd(parameters.from_normal)(z))[1]
    expected = scipy.stats.norm.logpdf(z).sum()
    assert np.isclose(parameters.log_prior(x) + log_jacobian, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("prior", "scipy_prior"),
    [
        (uvl.Uniform(1.0, 3.0), scipy.stats.uniform(1.0, 2.0)),
        (uvl.Normal(1.0, 3.0), scipy.stats.norm(1.0, 3.0)),
        (uvl.LogNormal(1.0, 0.3), scipy.stats.lognorm(0.3, scale=np.e)),
        (uvl.LogUniform(0.1, 10.0), scipy.stats.loguniform(0.1, 10.0)),
        (uvl.TruncNormal(0.0, 1.0, -0.5, 2.0), scipy.stats.truncnorm(-0.5, 2.0)),
    ],
    ids=["uniform", "normal", "lognormal", "loguniform", "truncnormal"],
)
def test_priors_equal_scipy(prior, scipy_prior):
    u = np.linspace(0.01, 0.99, 9)
    x = prior.from_unit(u, {})
    assert np.allclose(x, scipy_prior.ppf(u), rtol=1e-6)
    assert np.allclose(prior.log_prob(x, {}), scipy_prior.logpdf(x), atol=1e-6)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("basis", ["spline", "bilinear"])
@pytest.mark.parametrize("extent", [0.6, None])
@pytest.mark.parametrize("method", ["fft", "lowrank"])
def test_gradient_of_every_parameter(positive, basis, extent, method):
    """Strength included, to 1e-6 of the largest component."""
    model = make_model(positive, basis, extent, method)
    value = jax.jit(lambda v: model.log_likelihood(v))
    exact = np.asarray(jax.jit(jax.grad(lambda v: model.log_likelihood(v)))(VECTOR))
    # bilinear sources have kinks where a ray crosses a node: a step that few rays notice
    steps = np.array([1e-5] * 7 + [1e-4]) if basis == "spline" else np.array([1e-7] * 7 + [1e-5])
    numeric = reference.central_difference(lambda p: float(value(jnp.asarray(p))), np.asarray(VECTOR), steps)
    assert np.abs(exact - numeric).max() < 1e-6 * np.abs(exact).max()


def test_gradient_of_the_unconstrained_density():
    model = make_model(True)
    z = model.parameters.to_normal(VECTOR)
    density = jax.jit(lambda z: model.log_posterior(z))
    exact = jax.grad(density)(z)
    numeric = reference.central_difference(lambda p: float(density(jnp.asarray(p))), np.asarray(z), 1e-4)
    assert np.abs(exact - numeric).max() < 1e-6 * np.abs(exact).max()


def test_model_evidence_is_the_dense_one():
    """Sub-pixel rays, mesh, strength and its unit, all together, against the multivariate normal."""
    model = make_model()
    data, mask = DATA, model.normal.mask
    lens = model.lens(VECTOR)
    x, y = mask.rays(4)
    beta_x, beta_y = (np.asarray(b) for b in lens.ray_trace(x, y))
    spacing, rows, columns = 1.2 / 6, 6, 7
    x0, y0 = -3 * spacing, -2.5 * spacing
    operator = np.stack(
        [
            reference.mesh_brightness(
                reference.cubic_spline, (rows, columns), x0, y0, spacing, unit, beta_x, beta_y
            ).mean(axis=1)
            for unit in np.eye(rows * columns)
        ],
        axis=1,
    )
    area = 0.12**2
    order = np.argsort(np.hypot(data.u, data.v))
    cumulative = np.cumsum(data.weight[order])
    u995 = np.hypot(data.u, data.v)[order][np.searchsorted(cumulative, 0.995 * cumulative[-1])]
    omega = model.normal.reduction.resolution_area
    # the histogram's bins are 0.1 % wide
    assert np.isclose(omega, (2 * u995 * reference.ARCSEC) ** -2, rtol=5e-3)
    h = 0.02 * data.weight.sum() * omega**2 * reference.difference_prior((rows, columns), 1)
    expected = reference.dense_evidence(data.u, data.v, data.weight, data.vis, mask.x, mask.y, operator * area, h)
    found = float(model.log_likelihood(VECTOR)) + model.normal.reduction.log_evidence_null
    assert np.isclose(found, expected, rtol=1e-8)


def test_flux_unit_does_not_matter():
    data = DATA
    milli = dataclasses.replace(data, vis=1e3 * data.vis, weight=1e-6 * data.weight)
    mask = uvl.Mask.disc(0.9, 0.12)
    source = uvl.PixelSource(uvl.RectangularMesh(6, 7), uvl.Curvature(0.1))
    values = [
        float(uvl.Model(uvl.normal_operator(d, mask), LENS, source).log_likelihood(VECTOR[:-1])) for d in (data, milli)
    ]
    assert np.isclose(*values, rtol=1e-9)


def test_strength_of_the_evidence_is_the_best_one():
    best = make_model(strength="evidence")
    strength = float(best.strength(VECTOR[:-1]))
    free = make_model()
    values = [float(free.log_likelihood(VECTOR.at[-1].set(strength * f))) for f in (0.8, 1.0, 1.25)]
    assert values[1] >= max(values)
    assert np.isclose(best.log_likelihood(VECTOR[:-1]), values[1], rtol=1e-9)
    numeric = reference.central_difference(
        lambda p: float(best.log_likelihood(jnp.asarray(p))), np.asarray(VECTOR[:-1]), 1e-5
    )
    exact = jax.grad(best.log_likelihood)(VECTOR[:-1])
    assert np.abs(exact - numeric).max() < 1e-5 * np.abs(exact).max()


def test_chi_squared_converges_with_pixel_scale_and_the_window_helps():
    """Against an exact transform of a fine sky: rays cure aliasing, the window cures the pixel's own response."""
    rng = np.random.default_rng(12)
    lens = uvl.LensPlane([uvl.SIE(0.5, 0.1, 0.05)])
    fine = uvl.Mask.disc(1.2, 0.0125)

    def brightness(mask, rays):
        bx, by = lens.ray_trace(*mask.rays(rays))
        spot = np.exp(-0.5 * ((bx - 0.08) ** 2 + (by + 0.05) ** 2) / 0.03**2)
        return 1e4 * np.asarray(spot).mean(axis=1) * mask.grid.pixel_area

    radius, angle = 6e5 * np.sqrt(rng.random(400)), rng.uniform(0, 2 * np.pi, 400)
    u, v = radius * np.cos(angle), radius * np.sin(angle)
    vis = reference.fourier_matrix(u, v, fine.x, fine.y) @ brightness(fine, 3)
    data = uvl.Visibilities(u, v, vis, np.full(400, 1.0))

    def chi_squared(scale, rays, window):
        mask = uvl.Mask.disc(1.2, scale)
        normal = uvl.normal_operator(data, mask, "fft", pixel_window=window)
        image = brightness(mask, rays)
        product = np.asarray(normal.apply(jnp.asarray(image)[:, None]))[:, 0]
        return float(normal.reduction.null_chi_squared) - 2 * image @ np.asarray(normal.dirty_image) + image @ product

    one, four, windowed = (chi_squared(0.1, *c) for c in ((1, False), (4, False), (4, True)))
    assert four < 0.3 * one
    assert windowed < 0.3 * four
    finer, finer_windowed = (chi_squared(0.05, 4, window) for window in (False, True))
    assert finer < 0.1 * four
    assert finer_windowed < 0.01 * windowed and finer_windowed < 0.05 * finer


def test_positions_penalty():
    guard = uvl.Positions(jnp.array([[1.0, 0.0], [-1.0, 0.0]]), 0.2)
    assert guard.log_penalty(uvl.LensPlane([uvl.SIE(1.0)])) == 0.0
    # theta_E 0.5: the two trace to +-0.5, 1.0 apart, 0.8 too far: -(0.8 / 0.02)^2 / 2
    assert np.isclose(guard.log_penalty(uvl.LensPlane([uvl.SIE(0.5)])), -800.0)
    gradient = jax.grad(lambda t: guard.log_penalty(uvl.LensPlane([uvl.SIE(t)])))(0.5)
    assert gradient > 0.0


def test_jit_equals_eager_and_vmap_equals_loop():
    model = make_model(True)
    vectors = jnp.stack([VECTOR, VECTOR * 1.01, VECTOR * 0.98])
    loop = np.array([float(model.log_likelihood(v)) for v in vectors])
    assert np.allclose(jax.jit(lambda v: jax.vmap(model.log_likelihood)(v))(vectors), loop, rtol=1e-10)
    assert np.isclose(jax.jit(lambda v: model.log_likelihood(v))(VECTOR), loop[0], rtol=1e-11)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uvl.Uniform(1.0, 1.0), "no support"),
        (lambda: uvl.Normal(0.0, 0.0), "no support"),
        (lambda: uvl.LogUniform(0.0, 1.0), "0 < low"),
        (lambda: uvl.TruncNormal(0.0, 0.01, 5.0, 6.0), "no support"),
        (lambda: uvl.Normal(np.nan, 1.0), "finite"),
        (lambda: Parameters({"a": uvl.SameAs("b")}), "not a parameter"),
        (lambda: Parameters({"a": uvl.SameAs("b"), "b": uvl.SameAs("a")}), "circle"),
        (lambda: Parameters({"a": dist.Poisson(2.0)}), "whole numbers"),
        (lambda: make_model(strength="automatic"), "strength"),
        (lambda: make_model(strength=-1.0), "positive"),
        (lambda: uvl.Positions(jnp.zeros((1, 2)), 0.1), "two"),
    ],
)
def test_bad_input_is_named(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()
