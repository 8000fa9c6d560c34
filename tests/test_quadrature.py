"""Integration over pixels: rules, accuracy against geometric refinement about known places, lensing, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_light
from compiling import quick

import uvlens as uvl
from uvlens.quadrature import (
    ESTIMATES,
    RULES,
    AdaptiveSampling,
    integrate_pixels,
    plan_pixels,
    refinement,
    rule_nodes,
)

SCALE, CENTER = 0.05, (0.0137, -0.0181)
MASK = uvl.Mask.from_array(np.ones((101, 101), bool), SCALE)
E1, E2 = (1 - 0.3) / (1 + 0.3) * 0.6, (1 - 0.3) / (1 + 0.3) * 0.8  # q = 0.3

LENS = uvl.LensPlane([uvl.SIE(1.2, 0.15, -0.1, 0.013, 0.021), uvl.Shear(0.04, -0.03)])
SOURCE = np.array([0.05, -0.03])
RING = uvl.Mask.disc(2.2, SCALE)
LENSED = AdaptiveSampling(order=4, n_refine=80)


def steep(x, y, n=4.0):
    """Sersic profile of R_sersic = 4 pixels, q = 0.3, its centre off the pixels' centres."""
    return uvl.Sersic(1.0, 0.2, n, E1, E2, *CENTER).columns(x, y)[..., 0]


def lensed(p):
    """Brightness of a steep source seen through SIE and shear."""
    source = uvl.Sersic(1.0, p[0], p[1], 0.2, 0.1, p[2], p[3])
    lens = uvl.LensPlane([uvl.SIE(p[4], 0.15, p[5], 0.013, 0.021), uvl.Shear(p[6], -0.03)])
    return lambda x, y: source.columns(*lens.ray_trace(x, y))[..., 0]


POINT = jnp.array([0.12, 4.0, *SOURCE, 1.2, -0.1, 0.04])


@pytest.fixture(scope="module")
def steep_reference():
    compiled = quick(steep)

    def exact(n):
        brightness = reference_light.padded(lambda x, y: compiled(x, y, n))
        return reference_light.pixel_integrals(brightness, MASK, [CENTER])

    return {n: exact(n) for n in INDICES}


INDICES = (0.3, 0.5, 1.0, 2.0, 4.0, 7.0, 10.0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("order", [3, 5, 9])
def test_rules_are_exact_for_polynomials(rule, order):
    degrees = {"gauss-legendre": 2 * order - 1, "clenshaw-curtis": order - 1, "uniform": 1}
    degree = degrees.get(rule, (3 * order - 1) // 2)
    nodes, weights = rule_nodes(rule, order)
    assert len(nodes) == order and np.all(weights > 0.0) and np.all(np.diff(nodes) > 0.0)
    for k in range(degree + 1):
        exact = 0.0 if k % 2 else 0.5**k / (k + 1)
        assert abs(weights @ nodes**k - exact) < 1e-14


def test_published_kronrod_rule():
    """Seven nodes (Kronrod 1965, table)."""
    nodes, weights = rule_nodes("gauss-kronrod", 7)
    assert np.allclose(2 * nodes[4:], [0.434243749346802558, 0.774596669241483377, 0.960491268708020283], rtol=1e-13)
    expected = [0.450916538658474142, 0.401397414775962223, 0.268488089868333440, 0.104656226026467265]
    assert np.allclose(2 * weights[3:], expected, rtol=1e-12)


def test_a_steep_pixel_is_good_to_1e5_with_15_evaluations(steep_reference):
    """n = 4, R_sersic = 4 pixels, q = 0.3: every pixel; 256 equal sub-pixels are 300 times worse."""
    exact, sampling = steep_reference[4.0], AdaptiveSampling()
    assert sampling.evaluations(MASK.n_pixels) <= 15 * MASK.n_pixels
    assert np.abs(jax.jit(lambda: sampling.integrate(steep, MASK))() / exact - 1.0).max() < 1e-5
    uniform = jax.jit(lambda: integrate_pixels(steep, MASK, "uniform", 16, 0))()
    assert np.abs(uniform / exact - 1.0).max() > 1e-3


def test_every_index(steep_reference):
    """From 0.3 to 10, errors in units of the brightest pixel; one compilation, the index a parameter."""
    integrate = jax.jit(lambda n: integrate_pixels(lambda x, y: steep(x, y, n), MASK))
    for n, exact in steep_reference.items():
        found = np.asarray(integrate(n))
        assert np.abs(found - exact).max() < 1e-5 * exact.max()
        assert abs(found.sum() / exact.sum() - 1.0) < 3e-6


@pytest.mark.parametrize(
    ("rule", "order", "estimate", "limit"),
    [
        ("gauss-legendre", 4, "both", 1e-5),
        ("gauss-legendre", 3, "clenshaw-curtis", 1e-5),
        ("clenshaw-curtis", 5, "clenshaw-curtis", 1e-4),
        ("gauss-kronrod", 5, "gauss-legendre", 1e-5),
        ("uniform", 4, "gauss-legendre", 5e-3),
    ],
)
def test_rules_and_estimates(steep_reference, rule, order, estimate, limit):
    """Other rules; the estimated error covers the true one in the brightest pixels."""
    arguments = rule, order, 8, 20, estimate
    values, errors = quick(lambda: integrate_pixels(steep, MASK, *arguments, with_error=True))()
    exact = steep_reference[4.0]
    assert np.abs(values / exact - 1.0).max() < limit
    bright = np.argsort(exact)[-20:]
    assert np.all(np.abs(values - exact)[bright] < 1.01 * errors[bright])


def test_several_columns_share_the_pieces():
    """(M, E) brightness: every column as well as it is alone with the same pieces."""
    mge = uvl.MGE(3, 0.01, 0.2, E1, E2, *CENTER)
    columns = quick(lambda: integrate_pixels(mge.columns, MASK))()
    first = quick(
        lambda: integrate_pixels(lambda x, y: mge.columns(x, y)[:, 0], MASK, chosen=refinement(mge.columns, MASK))
    )
    assert columns.shape == (MASK.n_pixels, 3)
    assert np.allclose(columns[:, 0], first())
    assert np.abs(columns.sum(axis=0) - 1.0).max() < 2e-5


@pytest.fixture(scope="module")
def lensed_reference():
    """Refined about the four images and the singular centre of the lens."""
    images = reference_light.images_of(quick(LENS.ray_trace), SOURCE)
    assert len(images) == 4
    brightness = reference_light.padded(jax.jit(lensed(POINT)))
    places = np.vstack([images, [[0.013, 0.021]]])
    return reference_light.pixel_integrals(brightness, RING, places, levels=10, reach=8.0)


def test_every_image_of_a_lensed_source(lensed_reference):
    """Errors in units of the brightest pixel; too few pieces leave images behind."""
    integrate = quick(lambda sampling: sampling.integrate(lensed(POINT), RING), static_argnums=0)
    worst = [
        np.abs(integrate(sampling) - lensed_reference).max() / lensed_reference.max()
        for sampling in (LENSED, AdaptiveSampling(n_refine=10), AdaptiveSampling(16, 0, rule="uniform"))
    ]
    assert worst[0] < 1e-6 and worst[1] > 1e-4 and worst[2] > 1e-3


def test_plan_is_the_same_integral():
    """Its SubGrid has the nodes that were kept, in the order of the pixels, weights of a pixel adding up to 1."""
    plan = LENSED.plan(lensed(POINT), RING)
    assert np.all(np.diff(plan.pixel) >= 0) and len(plan.x) <= LENSED.evaluations(RING.n_pixels, chosen=True)
    assert np.allclose(np.bincount(plan.pixel, plan.weight), 1.0, rtol=1e-12)
    brightness = lensed(POINT)
    values = RING.grid.pixel_area * plan.average(quick(brightness)(plan.x, plan.y))
    assert np.allclose(values, quick(lambda: LENSED.integrate(brightness, RING))(), rtol=1e-10)
    moved = lensed(POINT.at[2].add(0.002).at[4].add(0.003))  # 1/25 of a pixel: still far better than uniform
    found = RING.grid.pixel_area * plan.average(quick(moved)(plan.x, plan.y))
    exact = quick(lambda: integrate_pixels(moved, RING, order=6, n_refine=200))()
    assert np.abs(found - exact).max() < 2e-3 * exact.max()


def test_gradients_through_the_lens():
    """At squares that stay the same, against differences: a cusp of n = 1, whose slope is finite."""
    point = POINT.at[1].set(1.0)
    chosen = quick(lambda: refinement(lensed(point), RING, order=4, n_refine=80))()
    pattern = np.random.default_rng(0).normal(size=RING.n_pixels)

    @quick
    def value(p):
        return pattern @ integrate_pixels(lensed(p), RING, order=4, n_refine=80, chosen=chosen)

    exact = quick(jax.grad(lambda p: pattern @ LENSED.integrate(lensed(p), RING)))(point)
    numeric = reference.central_difference(lambda p: float(value(p)), np.asarray(point), 1e-6)
    assert np.abs(exact - numeric).max() < 1e-6 * np.abs(numeric).max()


def test_gradients_are_integrals_of_derivatives():
    """n = 4, where dI / dx diverges as R^(-3/4): every pixel, by refinement about the images."""
    images = reference_light.images_of(quick(LENS.ray_trace), SOURCE)
    places = np.vstack([images, [[0.013, 0.021]]])
    # jax.jit: evaluated at millions of points
    derivative = jax.jit(lambda x, y, along: jax.jvp(lambda p: lensed(p)(x, y), (POINT,), (along,))[1])
    integral = quick(lambda along: jax.jvp(lambda p: LENSED.integrate(lensed(p), RING), (POINT,), (along,))[1])
    for i, limit in ((0, 1e-5), (4, 5e-3)):
        along = jnp.zeros(7).at[i].set(1.0)
        brightness = reference_light.padded(lambda x, y, along=along: derivative(x, y, along))
        exact = reference_light.pixel_integrals(brightness, RING, places, levels=10, reach=8.0)
        found = integral(along)
        assert np.abs(found - exact).max() < limit * np.abs(exact).max()


def test_small_masks_and_vmap():
    """More pieces asked for than there are: all are split. A batch equals its loop."""
    mask = uvl.Mask.disc(0.06, SCALE)
    few = AdaptiveSampling(2, 2, 500)
    assert few.evaluations(mask.n_pixels) == (mask.n_pixels + 2 * 9 * 500) * (4 + 1)
    integrate = quick(lambda n: few.integrate(lambda x, y: steep(x, y, n), mask))
    for n, found in zip((1.0, 4.0), jax.vmap(integrate)(jnp.array([1.0, 4.0]))):
        assert np.allclose(found, integrate(n), rtol=1e-12)
    plan = plan_pixels(steep, mask, levels=0)
    assert len(plan.x) == 9 * mask.n_pixels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": 0}, "order must be a whole number from 1"),
        ({"levels": -1}, "levels must be a whole number from 0"),
        ({"n_refine": 2.5}, "n_refine must be a whole number"),
        ({"rule": "simpson"}, "rule must be gauss-legendre or"),
        ({"estimate": "none"}, "estimate must be"),
        ({"rule": "gauss-kronrod", "order": 4}, "must be odd"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(uvl.InputError, match=message):
        AdaptiveSampling(**settings)


def test_settings_are_hashable():
    assert hash(AdaptiveSampling()) == hash(AdaptiveSampling()) and len(ESTIMATES) == 3
    with pytest.raises(uvl.InputError, match=r"chosen must have shape \(8, 20\)"):
        integrate_pixels(steep, MASK, chosen=())
