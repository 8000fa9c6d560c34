"""Priors: distributions by name, arithmetic, joint and default priors, constraints; the guard; draws from the prior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.stats
from conftest import lensed_visibilities

import uvlens as uvl
from uvlens.defaultpriors import Field, fields_with_default, with_default_priors
from uvlens.expressions import parse_constraint, parse_expression
from uvlens.guard import check_guard, proposed_line
from uvlens.inference.density import Density
from uvlens.inference.optimize import _tempered, climb, optimize
from uvlens.inference.roughness import rms_about_polynomial, roughness_warning
from uvlens.parameters import Parameters
from uvlens.parse_priors import parse_constraints, parse_joint_priors, parse_parameter
from uvlens.probing import told_apart

PRIORS = {
    "uniform": ([1, 3], scipy.stats.uniform(1, 2)),
    "normal": ({"mean": 1, "sigma": 3}, scipy.stats.norm(1, 3)),
    "lognormal": ([1, 0.3], scipy.stats.lognorm(0.3, scale=np.e)),
    "loguniform": ([0.1, 10], scipy.stats.loguniform(0.1, 10)),
    "truncnormal": ([0, 1, -0.5, 2], scipy.stats.truncnorm(-0.5, 2)),
    "half_normal": (2.0, scipy.stats.halfnorm(scale=2)),
    "exponential": ({"rate": 3.0}, scipy.stats.expon(scale=1 / 3)),
    "laplace": ([1, 2], scipy.stats.laplace(1, 2)),
    "cauchy": ({"loc": 1, "scale": 2}, scipy.stats.cauchy(1, 2)),
    "half_cauchy": ([2.0], scipy.stats.halfcauchy(scale=2)),
    "logistic": ([1, 2], scipy.stats.logistic(1, 2)),
    "gumbel": ([1, 2], scipy.stats.gumbel_r(1, 2)),
    "weibull": ([2, 1.5], scipy.stats.weibull_min(1.5, scale=2)),
    "pareto": ([2, 1.5], scipy.stats.pareto(1.5, scale=2)),
    "gamma": ({"concentration": 2.3, "rate": 2}, scipy.stats.gamma(2.3, scale=0.5)),
    "inverse_gamma": ([1.5, 2], scipy.stats.invgamma(1.5, scale=2)),
    "beta": ([2, 5, -1, 3], scipy.stats.beta(2, 5, loc=-1, scale=4)),
    "student_t": ({"df": 3, "mean": 1, "scale": 2}, scipy.stats.t(3, 1, 2)),
    "von_mises": ([30, 4, 180], scipy.stats.vonmises(4, loc=30, scale=90 / np.pi)),
    "powerlaw": ([-1.9, 1, 10], scipy.stats.truncpareto(0.9, 10)),
}


@pytest.mark.parametrize("name", PRIORS)
def test_every_distribution_equals_scipy(name):
    """Quantiles from both ends, density, the Jacobian that makes it a unit normal, and the way back."""
    arguments, expected = PRIORS[name]
    prior = parse_parameter({name: arguments}, "x")
    z = np.linspace(-5.0, 5.0, 21)
    x = np.asarray(prior.from_normal(z, {}))
    reference = np.where(z < 0.0, expected.ppf(scipy.stats.norm.cdf(z)), expected.isf(scipy.stats.norm.sf(z)))
    assert np.allclose(x, reference, rtol=1e-8, atol=1e-9)
    assert np.allclose(prior.log_prob(x, {}), expected.logpdf(x), rtol=1e-8, atol=1e-8)
    assert np.allclose(prior.to_normal(x, {}), z, atol=1e-8)
    assert np.allclose(prior.from_unit(scipy.stats.norm.cdf(z[5:-5]), {}), x[5:-5], rtol=1e-8, atol=1e-9)
    slope = np.asarray(jax.vmap(jax.grad(lambda one: prior.from_normal(one, {})))(z))
    assert np.all(np.isfinite(slope))
    assert np.allclose(np.log(slope), scipy.stats.norm.logpdf(z) - expected.logpdf(x), atol=1e-7)
    low, high = expected.support()
    outside = [end + side for end, side in ((low, -0.1), (high, 0.1)) if np.isfinite(end) and name != "von_mises"]
    assert all(float(prior.log_prob(one, {})) == -np.inf for one in outside)


def test_mixtures_and_numpyro_objects_are_tabulated():
    mixture = parse_parameter(
        {"mixture": {"weights": [1, 3], "priors": [{"normal": [0, 1]}, {"normal": [0.5, 0.1]}]}}, "x"
    )
    skewed = uvl.priors.as_prior(dist.AsymmetricLaplace(0.2, 0.5, 2.0))
    z = np.linspace(-4.0, 4.0, 17)
    for prior, cdf in (
        (mixture, lambda x: 0.25 * scipy.stats.norm.cdf(x) + 0.75 * scipy.stats.norm.cdf(x, 0.5, 0.1)),
        (skewed, dist.AsymmetricLaplace(0.2, 0.5, 2.0).cdf),
    ):
        x = np.asarray(prior.from_normal(z, {}))
        assert np.allclose(cdf(x), scipy.stats.norm.cdf(z), atol=1e-9)
        assert np.allclose(prior.to_normal(x, {}), z, atol=1e-9)


def test_numpyro_distributions_are_told_apart():
    """What stands in none of their arguments counts too; a truncated normal is one of ours."""
    cut = uvl.priors.as_prior(dist.TruncatedNormal(0.5, 0.1, low=0.0, high=1.0))
    assert cut == uvl.TruncNormal(0.5, 0.1, 0.0, 1.0)
    one_sided = uvl.priors.as_prior(dist.TruncatedNormal(0.5, 1.0, low=0.0))
    expected, z = scipy.stats.truncnorm(-0.5, np.inf, loc=0.5), np.linspace(-6.0, 6.0, 13)
    x = np.asarray(one_sided.from_normal(z, {}))
    assert np.allclose(x, np.where(z < 0, expected.ppf(scipy.stats.norm.cdf(z)), expected.isf(scipy.stats.norm.sf(z))))
    assert np.allclose(one_sided.to_normal(x, {}), z, atol=1e-6) and one_sided.bounds == (0.0,)
    assert np.allclose(one_sided.log_prob(x, {}), expected.logpdf(x)) and one_sided.interval is None
    slope = jax.grad(lambda mean: uvl.Prior("truncnormal", ("a.b", 1.0, 0.0, np.inf)).log_prob(0.7, {"a.b": mean}))(0.5)
    assert np.isclose(slope, 0.2 - scipy.stats.norm.pdf(0.5) / scipy.stats.norm.cdf(0.5))
    assert parse_parameter({"truncnormal": [0.5, 1.0, 0.0, np.inf]}, "x") == one_sided
    with pytest.raises(uvl.InputError, match="finite"):
        uvl.TruncNormal(np.inf, 1.0, 0.0, 1.0)
    shifted = [
        uvl.priors.as_prior(dist.TransformedDistribution(dist.Normal(0.0, 1.0), dist.transforms.AffineTransform(*one)))
        for one in ((5.0, 2.0), (5.0, 2.1))
    ]
    assert str(shifted[0]) != str(shifted[1])


def test_python_functions_are_told_apart():
    def described(shift):
        tie = uvl.function_of(lambda x: x + shift, "lens.mass.0.center_x")
        wide = uvl.Normal(uvl.function_of(lambda x: x - shift, "lens.mass.0.center_x"), 1.0)
        masses = [uvl.SIS(1.0, uvl.Normal(0.0, 1.0), tie), uvl.SIS(1.0, wide)]
        return Parameters({"lens": uvl.LensPlane(masses)}).describe()

    same, other = described(0.1), described(0.2)
    assert same == described(0.1) and len([1 for one, two in zip(same, other) if one != two]) == 2
    tree = Parameters({"lens": uvl.LensPlane([uvl.SIS(uvl.Uniform(0.5, 1.5))])})
    bounds = [uvl.function_of(lambda x, low=low: x > low, "lens.mass.0.theta_E") for low in (0.9, 1.1)]
    first, second = told_apart(tree, dict(enumerate(bounds))).values()
    assert first != second and first.startswith("lambda(lens.mass.0.theta_E) = ")


def test_a_mixture_may_have_a_gap():
    """The quantile jumps over it."""
    gap = uvl.Mixture([1, 1], [uvl.Uniform(0.0, 1.0), uvl.Uniform(2.0, 3.0)])
    u = np.array([0.01, 0.2, 0.49, 0.51, 0.8, 0.99])
    assert np.allclose(gap.from_unit(u, {}), np.where(u < 0.5, 2 * u, 2 * u + 1), atol=1e-6)
    assert float(gap.log_prob(1.5, {})) == -np.inf and np.isclose(gap.log_prob(0.5, {}), np.log(0.5))


def test_an_argument_may_be_arithmetic_of_other_parameters():
    tree = {
        "lens": {
            "a": uvl.Uniform(1.0, 3.0),
            "b": uvl.Normal("0.5 * lens.a - 1", "0.1 * lens.a ** 2"),
            "c": parse_parameter({"gamma": {"concentration": 2, "rate": "lens.a"}}, "c"),
            "d": parse_parameter({"equals": "hypot(lens.a, lens.b) / 2"}, "d"),
            "e": uvl.function_of(lambda a, b: a * b, "lens.a", "lens.d"),
            "f": uvl.Uniform(0.0, uvl.function_of(lambda a: 2.0 * a, "lens.a")),
        }
    }
    parameters = Parameters(tree)
    assert parameters.paths == ("lens.a", "lens.b", "lens.c", "lens.f")
    z = jax.random.normal(jax.random.PRNGKey(0), (4,))
    x = parameters.from_normal(z)
    assert np.isclose(x[1], 0.5 * x[0] - 1 + 0.1 * x[0] ** 2 * z[1])
    assert np.isclose(x[2], scipy.stats.gamma(2, scale=1 / x[0]).ppf(scipy.stats.norm.cdf(z[2])), rtol=1e-8)
    values = parameters.values(x)
    assert np.isclose(values["lens.d"], np.hypot(x[0], x[1]) / 2) and np.isclose(
        values["lens.e"], x[0] * values["lens.d"]
    )
    assert np.allclose(parameters.to_normal(x), z, atol=1e-9)
    log_jacobian = np.linalg.slogdet(jax.jacfwd(parameters.from_normal)(z))[1]
    assert np.isclose(parameters.log_prior(x) + log_jacobian, scipy.stats.norm.logpdf(z).sum(), rtol=1e-8)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "lens.a.__class__()",
        "open(lens.a)",
        "[lens.a]",
        "lens.a if 1 else 2",
        "lens.a < 2",
        "lens.a @ 2",
        "'a' * 3",
        "unknown + 1",
        "(" * 900,
        "",
        "lambda: 1",
        "sqrt(lens.a, 2)",
    ],
)
def test_expressions_are_arithmetic_and_nothing_else(text):
    with pytest.raises(uvl.InputError):
        parse_expression(text)


def test_constraints_are_inequalities():
    one = parse_constraint("0 < lens.mass.0.e1 <= 2 * lens.mass.0.e2")
    assert one.parents == ("lens.mass.0.e1", "lens.mass.0.e2")
    assert bool(one({"lens.mass.0.e1": 0.2, "lens.mass.0.e2": 0.1}))
    assert not bool(one({"lens.mass.0.e1": 0.21, "lens.mass.0.e2": 0.1}))
    for text in ("lens.a + 1", "1 < 2", "lens.a == 2"):
        with pytest.raises(uvl.InputError):
            parse_constraint(text)
    with pytest.raises(uvl.InputError, match=r"constraints\.0"):
        parse_constraints(["lens.a"])


HALF = uvl.prior_by_name("halfnormal", 0.1)
JOINT = {
    "ellipticity": uvl.EllipticityPrior(uvl.Uniform(0.3, 1.0)),
    "ellipticity with an angle": uvl.EllipticityPrior(uvl.TruncNormal(0.7, 0.2, 0.2, 0.99), uvl.Uniform(10.0, 150.0)),
    "shear": uvl.ShearPrior(HALF),
    "position": uvl.PositionPrior(uvl.Uniform(0.1, 1.0), uvl.Uniform(0.0, 360.0), center=(0.5, -0.2)),
    "normal": uvl.MultivariateNormal([1.0, 2.0, 3.0], np.diag([1.0, 2.0, 3.0]) + 0.5),
}


@pytest.mark.parametrize("name", JOINT)
def test_joint_priors_are_unit_normals_too(name):
    members = JOINT[name]
    parameters = Parameters({"a": dict(enumerate(members))})
    z = jax.random.normal(jax.random.PRNGKey(1), (40, len(members)))
    x = jax.vmap(parameters.from_normal)(z)
    assert np.allclose(jax.vmap(parameters.to_normal)(x), z, atol=1e-8)
    assert np.allclose(jax.vmap(parameters.from_unit)(scipy.stats.norm.cdf(z)), x, atol=1e-8)
    jacobian = jax.vmap(lambda one: jnp.linalg.slogdet(jax.jacfwd(parameters.from_normal)(one))[1])(z)
    density = jax.vmap(parameters.log_prior)(x) + jacobian
    assert np.allclose(density, scipy.stats.norm.logpdf(z).sum(axis=1), atol=1e-8)
    assert np.all(np.isfinite(jax.jacfwd(parameters.from_normal)(jnp.zeros(len(members)))))


def test_joint_priors_are_uniform_in_what_they_say():
    """Axis ratio and position angle of the draws, in our own conventions."""
    from uvlens.conventions import axis_ratio_from_ellipticity, polar_from_shear

    z = jax.random.normal(jax.random.PRNGKey(2), (4000, 2))
    e = jax.vmap(Parameters({"a": dict(enumerate(JOINT["ellipticity"]))}).from_normal)(z)
    q, angle = axis_ratio_from_ellipticity(*e.T)
    assert scipy.stats.kstest(q, "uniform", (0.3, 0.7)).pvalue > 1e-3
    assert scipy.stats.kstest(angle, "uniform", (0.0, 180.0)).pvalue > 1e-3
    e = jax.vmap(Parameters({"a": dict(enumerate(JOINT["ellipticity with an angle"]))}).from_normal)(z)
    assert scipy.stats.kstest(axis_ratio_from_ellipticity(*e.T)[1], "uniform", (10.0, 140.0)).pvalue > 1e-3
    g = jax.vmap(Parameters({"a": dict(enumerate(JOINT["shear"]))}).from_normal)(z)
    strength, angle = polar_from_shear(*g.T)
    assert scipy.stats.kstest(strength, "halfnorm", (0.0, 0.1)).pvalue > 1e-3
    assert scipy.stats.kstest(angle, "uniform", (0.0, 180.0)).pvalue > 1e-3


def test_default_priors_scale_with_the_field():
    lens = uvl.LensPlane([uvl.EPL(theta_E=uvl.FREE, slope=uvl.FREE, center_x=uvl.FREE), uvl.Shear(uvl.FREE, 0.0)])
    tree, paths = with_default_priors({"lens": lens}, Field(2.0, (0.5, 0.0)))
    assert paths == ("lens.mass.0.theta_E", "lens.mass.0.slope", "lens.mass.0.center_x", "lens.mass.1.gamma1")
    assert tree["lens"].mass[0].theta_E.arguments == (0.1, 2.0)
    assert tree["lens"].mass[0].center_x == uvl.Normal(0.5, 0.2)
    assert fields_with_default(uvl.SIE) == ["theta_E", "e1", "e2", "center_x", "center_y"]
    with pytest.raises(uvl.InputError, match="flux: has no default"):
        light = uvl.Gaussian(uvl.FREE, 0.1)
        with_default_priors({"source": uvl.Source(None, (light,))}, Field(1.0, (0.0, 0.0)))


@pytest.mark.parametrize("name", list(uvl.lens.MASS_PROFILES))
def test_defaults_of_every_mass_lie_in_their_domains(name):
    """A component made of defaults alone is one that a Model takes."""
    from uvlens.domain import check_priors

    kind = uvl.lens.MASS_PROFILES[name]
    free = {key: uvl.FREE for key in fields_with_default(kind)}
    try:
        component = kind(**free, **({"order": 4} if "Multipole" in name else {}))
    except (TypeError, uvl.InputError):
        pytest.skip("needs something that has no default")
    tree, _ = with_default_priors({"lens": uvl.LensPlane([component])}, Field(1.5, (0.0, 0.0)))
    check_priors(tree, Parameters(tree))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: parse_parameter({"gama": [1, 2]}, "a.b"), "a.b: unknown prior 'gama' .*did you mean 'gamma'"),
        (lambda: parse_parameter({"gamma": {"shape": 2}}, "a.b"), "a.b: gamma has no argument 'shape'"),
        (lambda: parse_parameter({"gamma": []}, "a.b"), "concentration missing"),
        (lambda: parse_parameter({"gamma": ["lens.a", 1]}, "a.b"), "concentration shapes a tabulated quantile"),
        (lambda: parse_parameter({"student_t": [-1]}, "a.b"), "needs df > 0"),
        (lambda: parse_parameter({"mixture": {"weights": [1, 1], "priors": [{"uniform": [0, 1]}, 3]}}, "a.b"), "a.b"),
        (lambda: uvl.priors.as_prior(dist.ImproperUniform(dist.constraints.real, (), ())), "no density or no samples"),
        (lambda: uvl.priors.as_prior(dist.Poisson(2.0)), "whole numbers"),
        (lambda: uvl.priors.as_prior(dist.Normal(jnp.zeros(2), 1.0)), "one number"),
        (lambda: uvl.EllipticityPrior(uvl.Normal(0.7, 0.1)), "axis_ratio must lie"),
        (lambda: uvl.EllipticityPrior(0.7), "must be a prior"),
        (lambda: uvl.MultivariateNormal([0, 0], [[1, 2], [2, 1]]), "positive definite"),
        (lambda: Parameters({"a": JOINT["shear"][0]}), "each of them once"),
        (
            lambda: parse_joint_priors([{"parameters": ["a"], "mean": [1, 2], "covariance": [[1]]}]),
            "expected 1 numbers",
        ),
    ],
)
def test_bad_priors_are_named(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()


DATA = lensed_visibilities(200, seed=5, lens=uvl.LensPlane([uvl.SIE(0.6, 0.1, 0.0)]), width=0.06, snr=3.0)


def make_model(data=DATA, **options):
    normal = uvl.normal_operator(data, uvl.Mask.disc(1.0, 0.1))
    theta_E = options.pop("theta_E", uvl.LogUniform(0.02, 1.2))
    source = options.pop("source", uvl.PixelSource(uvl.RectangularMesh(12, 12), uvl.Gradient("evidence")))
    return uvl.Model(normal, [uvl.SIE(theta_E, options.pop("e1", 0.1), 0.0)], source, rays=2, **options)


def test_constraints_reject_and_are_measured():
    constrained = make_model(
        theta_E=uvl.Uniform(0.2, 1.2),
        e1=uvl.Uniform(0.0, 0.4),
        constraints=["lens.mass.0.e1 < lens.mass.0.theta_E - 0.4"],
    )
    vectors = np.random.default_rng(0).uniform([0.2, 0.0], [1.2, 0.4], (100_000, 2))
    assert abs(constrained.excluded - np.mean(vectors[:, 1] >= vectors[:, 0] - 0.4)) < 0.015
    value = jax.jit(lambda vector: constrained.log_likelihood(vector))
    assert np.isfinite(value(jnp.array([0.6, 0.1]))) and value(jnp.array([0.45, 0.1])) == -np.inf
    with pytest.raises(uvl.InputError, match="never true"):
        make_model(constraints=["lens.mass.0.theta_E > 2"])
    with pytest.raises(uvl.InputError, match=r"did you mean 'lens\.mass\.0\.theta_E'"):
        make_model(constraints=["lens.mass.0.thetaE > 2"])


def test_a_search_of_pixels_asks_for_positions():
    """What needs a guard is refused with the line to paste; what does not is left alone."""
    unguarded = make_model()
    with pytest.raises(uvl.InputError, match=r"positions: \{xy: \[\["):
        uvl.fit(unguarded)
    assert "threshold" in proposed_line(unguarded)
    check_guard(make_model(positions="none"))
    check_guard(make_model(positions="auto"))
    check_guard(make_model(theta_E=uvl.Prior("normal", (0.6, 0.01), is_chained=True)))
    near = uvl.Prior("normal", (0.1, 0.01), is_chained=True)
    with pytest.raises(uvl.InputError, match="needs positions"):
        check_guard(make_model(e1=near))  # theta_E is as wide as before
    check_guard(make_model(theta_E=0.6, e1=near))
    check_guard(make_model(theta_E=0.6))
    check_guard(make_model(source=uvl.Gaussian(uvl.LogUniform(0.1, 10.0), 0.1)))
    with pytest.raises(uvl.InputError, match="positions must be"):
        make_model(positions="automatic")


def test_the_guard_excludes_the_demagnified_source():
    """ln E has three maxima: 0.25 (hardly a lens), 0.6 (the truth), 0.95 (too much of one); guarded it has one."""
    guard = uvl.Positions(jnp.array([[0.60, 0.30], [-0.48, -0.24]]), 0.15)
    ends = {}
    for name, positions in (("unguarded", "none"), ("guarded", guard)):
        model = make_model(positions=positions)
        density = Density(model)
        for start in (0.25, 0.95):
            found = climb(density, np.asarray(model.parameters.to_normal(jnp.array([start]))))
            ends[name, start] = float(model.parameters.from_normal(found.x)[0])
    assert ends["unguarded", 0.25] < 0.35 and ends["unguarded", 0.95] > 0.85
    assert abs(ends["guarded", 0.25] - 0.6) < 0.03 and abs(ends["guarded", 0.95] - 0.6) < 0.03


def test_the_guard_keeps_its_weight_where_the_likelihood_is_tempered():
    """At a signal to noise of 1000 it is little beside ln E: plain climbs end demagnified, gentle ones do not."""
    lens = uvl.LensPlane([uvl.SIE(0.6, 0.1, 0.0)])
    guard = uvl.Positions(jnp.array([[0.60, 0.30], [-0.48, -0.24]]), 0.15)
    density = Density(make_model(lensed_visibilities(200, 5, lens, width=0.06, snr=50.0), positions=guard))
    physical, z = density.model.parameters.from_normal, np.array([-0.6])
    assert abs(float(physical(climb(density, z).x)[0]) - 0.6) > 0.2
    gentle = {"max_iterations": 15, "power": 500.0 / density.value(z)}
    for start in (z, -z, 3.0 * z):
        assert abs(float(physical(climb(density, start, **gentle).x)[0]) - 0.6) < 0.01
    # value and gradient belong together, and the guard is whole in them
    steps = np.array([[-0.6 - 1e-5], [-0.6 + 1e-5]])
    (low, high), _ = _tempered(density, *density.values_and_gradients(steps), steps, 1e-3)
    _, gradient = _tempered(density, *density.values_and_gradients(z[None]), z[None], 1e-3)
    assert gradient[0, 0] == pytest.approx((high - low) / 2e-5, rel=1e-4)
    (value,), _ = density.guard(z[None])
    assert value == pytest.approx(float(guard.log_penalty(density.model.lens(physical(z)))))
    (found, *_), _ = optimize(density, np.random.default_rng(1), n_starts=3, n_screen=12)
    assert abs(float(physical(found.z)[0]) - 0.6) < 0.01


def test_prior_predictive_has_the_covariance_of_the_prior():
    """s^T H s is a chi^2 of S degrees of freedom."""
    pixels = uvl.PixelSource(uvl.RectangularMesh(5, 5, extent=0.5), uvl.Gradient(1.0))
    model = make_model(theta_E=uvl.Uniform(0.4, 0.8), source=pixels)
    drawn = uvl.prior_predictive(model, 60, key=3)
    assert drawn.vectors.shape == (60, 1) and drawn.images[0].shape == (60, model.normal.mask.n_pixels)
    h = np.asarray(uvl.inversion.matrix_from_bands(model.problems(jnp.array([0.6]))[0].prior))
    s = np.array([sources[0][2] for sources in drawn.sources])
    assert scipy.stats.kstest(np.einsum("mi,ij,mj->m", s, h, s), "chi2", (25,)).pvalue > 1e-3
    assert drawn.figure().axes


def test_positive_draws_follow_the_truncated_normal():
    from uvlens.priorpredictive import _truncated

    precision = np.array([[1.0, -0.6], [-0.6, 1.5]])
    rng = np.random.default_rng(0)
    found = np.array([_truncated(precision, np.ones(2), np.array([True, False]), rng) for _ in range(3000)])
    wanted = rng.multivariate_normal(np.zeros(2), np.linalg.inv(precision), 20_000)
    wanted = wanted[wanted[:, 0] > 0.0]
    assert found[:, 0].min() >= 0.0
    assert np.allclose(found.mean(axis=0), wanted.mean(axis=0), atol=0.07)
    assert np.allclose(found.std(axis=0), wanted.std(axis=0), rtol=0.06)


def test_roughness_is_that_of_the_noise():
    steps = np.linspace(-1.0, 1.0, 400)
    noise = 0.2 * np.random.default_rng(0).normal(size=400)
    assert abs(rms_about_polynomial(steps, 5.0 - 0.5 * steps**2 + noise) - 0.2) < 0.02
    assert rms_about_polynomial(steps, np.exp(0.1 * steps)) < 1e-7
    assert roughness_warning({"a": 0.05, "b": np.nan}) is None
    assert "along b" in roughness_warning({"a": 0.05, "b": 0.3})


def sampled_and_marginalised(kind):
    """Two models of a lensed Gaussian, its amplitude normal of width 3: marginalised, and a parameter."""
    lens = [uvl.SIE(0.6, 0.1, 0.0)]
    source = uvl.Gaussian(uvl.light.Linear("marginalised", sigma=3.0), 0.1, center_x=0.06, center_y=0.03)
    if kind == "visibilities":
        normal = uvl.normal_operator(DATA, uvl.Mask.disc(1.0, 0.1))
    else:
        truth = uvl.LensPlane(lens)

        def sky(x, y):
            return 5.0 * np.asarray(
                uvl.Gaussian(1.0, 0.1, center_x=0.06, center_y=0.03).brightness(*truth.ray_trace(x, y))
            )

        image = uvl.observe_image(sky, 0.1, (24, 24), psf=0.15, exposure_time=500.0, background_rms=0.5, seed=1)
        normal = uvl.normal_operator(image, image.mask(uvl.Mask.disc(1.1, 0.1)))
    return [uvl.Model(normal, lens, source, rays=2, amplitudes=way) for way in ("solved", "sampled")]


@pytest.mark.parametrize("kind", ["visibilities", "image"])
def test_a_sampled_amplitude_integrates_to_the_marginalised_evidence(kind):
    solved, sampled = sampled_and_marginalised(kind)
    assert solved.parameters.paths == () and sampled.parameters.paths == ("source.light.0.flux",)
    (prior,) = sampled.parameters.priors
    assert prior == uvl.Normal(0.0, 3.0)
    expected = float(solved.log_likelihood(jnp.zeros(0)))
    log_prob = jax.jit(lambda a: sampled.log_prob(a[None]))
    # a parabola: its three numbers from three values, its integral by quadrature
    points = jnp.array([-1.0, 0.0, 1.0])
    values = np.array([float(log_prob(one)) for one in points])
    assert np.all(np.isfinite(values))
    curve = np.polynomial.Polynomial.fit(points, values, 2).convert()
    middle, width = -curve.coef[1] / (2 * curve.coef[2]), (-2.0 * curve.coef[2]) ** -0.5
    steps = np.linspace(-8.0, 8.0, 65)
    samples = np.array([float(log_prob(jnp.asarray(middle + width * one))) for one in steps])
    integral = np.log(np.sum(np.exp(samples - samples.max())) * width * (steps[1] - steps[0])) + samples.max()
    assert abs(integral - expected) < 1e-6


def test_sampled_amplitudes_have_stated_defaults():
    normal = uvl.normal_operator(DATA, uvl.Mask.disc(1.0, 0.1))
    lens = uvl.LensPlane([uvl.SIE(0.6)], light=(uvl.PointSource(), uvl.Background()))
    model = uvl.Model(normal, lens, uvl.Gaussian("linear", 0.1), rays=2, amplitudes="sampled")
    names = dict(zip(model.parameters.paths, (prior.name for prior in model.parameters.priors)))
    assert names == {
        "lens.light.0.flux": "loguniform",
        "lens.light.1.flux": "normal",
        "source.light.0.flux": "loguniform",
    }
    with pytest.raises(uvl.InputError, match=r"lens.light.0.flux: MGE has 3 amplitudes"):
        lens = uvl.LensPlane([uvl.SIE(0.6)], light=(uvl.MGE(3, 0.1, 1.0),))
        uvl.Model(normal, lens, uvl.Gaussian("linear", 0.1), amplitudes="sampled")
    with pytest.raises(uvl.InputError, match="amplitudes must be"):
        uvl.Model(normal, lens, uvl.Gaussian("linear", 0.1), amplitudes="forward")


MODEL = """
data: [{file: nowhere.npz}]
image_plane: {mask: {disc: {radius: 2.5}}, center: [0.5, -0.2]}
lens:
  mass:
    - profile: SIE
      priors: default
      ellipticity: {axis_ratio: {uniform: [0.3, 1.0]}, position_angle: any}
      center_x: {same_as: lens.light.0.center_x}
    - {profile: Shear, shear: {strength: {half_normal: 0.05}}}
    - {profile: SIS, theta_E: {equals: "0.1 * lens.mass.0.theta_E"}, center_x: 1.0, center_y: 1.0}
  light:
    - {profile: Sersic, priors: default, n_sersic: 4}
source:
  pixels: {mesh: {type: rectangular, shape: [10, 10]}, regularization: {type: gradient, strength: auto}}
joint_priors:
  - {parameters: [lens.mass.2.center_x, lens.mass.2.center_y], mean: [1, 1], covariance: [[0.01, 0.005], [0.005, 0.01]]}
constraints: ["lens.light.0.R_sersic > 0.5 * lens.mass.0.theta_E"]
positions: auto
"""


def test_show_model_prints_every_parameter(tmp_path):
    """No data are needed: the file names one that is not there."""
    import json

    from click.testing import CliRunner

    from uvlens.cli import main

    (tmp_path / "model.yaml").write_text(MODEL)
    page = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--show-model"], catch_exceptions=False)
    assert page.exit_code == 0, page.output
    lines = page.stdout.splitlines()
    (line,) = [one for one in lines if one.startswith("lens.mass.0.theta_E ")]
    assert "loguniform(0.125, 2.5)" in line and "arcsec" in line and line.endswith("default")
    assert any("= 0.1 * lens.mass.0.theta_E" in one and one.endswith("tied") for one in lines)
    assert "excludes" in page.stdout and "positions: auto" in page.stdout
    found = CliRunner().invoke(main, ["fit", str(tmp_path / "model.yaml"), "--show-model", "--json"])
    rows = {row["path"]: row for row in json.loads(found.stdout)["parameters"]}
    assert rows["lens.mass.2.center_x"]["kind"] == "free" and abs(rows["lens.mass.2.center_x"]["q975"] - 1.196) < 0.02
    assert rows["lens.mass.1.gamma1"]["prior"].startswith("shear(strength halfnormal")
    assert rows["lens.mass.0.center_x"]["value"] == "= lens.light.0.center_x"
    assert rows["source.pixels.regularization.strength"]["kind"] == "default"
    for change, message in (("axis_ratio: {uniform", "axis_ratio: {normal"), ("any}", "any}\n      e1: 0.1")):
        (tmp_path / "bad.yaml").write_text(MODEL.replace(change, message, 1))
        bad = CliRunner().invoke(main, ["fit", str(tmp_path / "bad.yaml"), "--show-model"])
        assert bad.exit_code == 2 and "lens.mass.0" in bad.stderr and len(bad.stderr.splitlines()) == 1
    # what a fit would refuse: a prior that leaves its domain, a search without a guard
    (tmp_path / "bad.yaml").write_text(MODEL.replace("positions: auto\n", ""))
    bad = CliRunner().invoke(main, ["fit", str(tmp_path / "bad.yaml"), "--show-model"])
    assert bad.exit_code == 0 and "positions: missing" in bad.stdout
    (tmp_path / "bad.yaml").write_text(MODEL.replace("n_sersic: 4", "n_sersic: {uniform: [-0.5, 4.0]}"))
    bad = CliRunner().invoke(main, ["fit", str(tmp_path / "bad.yaml"), "--show-model"])
    assert bad.exit_code == 2 and "n_sersic" in bad.stderr and "reaches -0.5" in bad.stderr
