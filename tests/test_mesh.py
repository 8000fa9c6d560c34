"""Lattice meshes to the contract of all meshes: partition of unity, nodes, areas, smoothness, borders, sections."""

import functools
import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import lensed_visibilities
from scipy.interpolate import BSpline

import uvlens as uvl
from uvlens.inversion import log_evidence_minus_null
from uvlens.parse_mesh import mesh_section, parse_mesh
from uvlens.schema import Section
from uvlens.source import AbstractMesh, border_of, check_mesh
from uvlens.source.density import cumulative_density, soft_range

MESHES = {
    "rectangular spline": lambda **o: uvl.RectangularMesh(7, 9, **o),
    "rectangular bilinear": lambda **o: uvl.RectangularMesh(7, 9, basis="bilinear", **o),
    "adaptive spline": lambda **o: uvl.AdaptiveMesh(7, 9, **o),
    "adaptive bilinear": lambda **o: uvl.AdaptiveMesh(7, 9, basis="bilinear", **o),
    "adaptive brightness": lambda **o: uvl.AdaptiveMesh(7, 9, density="brightness", floor=0.1, cover=0.9, **o),
}
LENS = [uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)]


@pytest.fixture(params=list(MESHES))
def mesh(request):
    return MESHES[request.param]()


MASK = uvl.Mask.disc(0.9, 0.09, center=(0.1, -0.05))


@functools.cache
def traced(rays=2):
    """(beta_x, beta_y), each (N, rays^2), of a lens with caustics and a mask off its centre."""
    return eqx.filter_jit(uvl.LensPlane(LENS).ray_trace)(*(jnp.asarray(r) for r in MASK.rays(rays)))


def brightness_of(beta_x, beta_y):
    """Weights of the rays: a spot off the middle."""
    return jnp.asarray(np.exp(-0.5 * ((np.asarray(beta_x) - 0.1) ** 2 + (np.asarray(beta_y) + 0.05) ** 2) / 0.1**2))


def made(mesh):
    """(geometry, beta_x, beta_y)."""
    beta_x, beta_y = traced()
    return geometry_of(mesh, beta_x, beta_y, brightness_of(beta_x, beta_y)), beta_x, beta_y


@eqx.filter_jit
def geometry_of(mesh, beta_x, beta_y, ray_weights=None):
    return mesh.geometry(beta_x, beta_y, ray_weights=ray_weights)


def inner_positions(mesh, geometry, n=300, seed=0):
    """Positions around which every node that counts is a node of the mesh."""
    y, x = (np.asarray(axis)[1:-1] for axis in mesh.axes(geometry))
    rng, k = np.random.default_rng(seed), 2 if mesh.basis == "spline" else 0
    return rng.uniform(x[k], x[-1 - k], n), rng.uniform(y[k], y[-1 - k], n)


def test_every_mesh_offers_all_of_the_contract(mesh):
    assert isinstance(mesh, AbstractMesh)
    geometry, beta_x, beta_y = made(mesh)
    s, (rows, columns) = mesh.n_source, mesh.shape
    assert s == rows * columns and mesh.allowed.shape == (s,) and mesh.allowed.dtype == bool and mesh.allowed.all()
    indices, weights = mesh.interpolation(beta_x, beta_y, geometry)
    assert indices.dtype == jnp.int32 and weights.dtype == jnp.float64
    assert indices.shape == weights.shape == (*beta_x.shape, mesh.entries_per_ray)
    assert int(indices.min()) >= 0 and int(indices.max()) < s
    assert all(axis.shape == (n + 2,) for axis, n in zip(mesh.axes(geometry), mesh.shape))
    assert all(part.shape == (s,) for part in (*mesh.node_positions(geometry), mesh.node_areas(geometry)))
    west, east, south, north = mesh.frame(geometry)
    x, y = mesh.node_positions(geometry)
    assert west < x.min() and x.max() < east and south < y.min() and y.max() < north
    assert isinstance(inspect.getattr_static(type(mesh), "allowed"), property)


def test_entries_are_about_those_of_a_pixel(mesh):
    """The cost model's number of nodes an image pixel sees, against the mean over the pixels: within 40 %."""
    for rays in (1, 4):
        beta = traced(rays=rays)
        geometry = geometry_of(mesh, *beta)
        indices, weights = (np.asarray(a).reshape(len(beta[0]), -1) for a in mesh.interpolation(*beta, geometry))
        seen = np.mean([len(set(i[w != 0.0])) for i, w in zip(indices, weights)])
        assert seen / 1.4 < mesh.entries(rays) < 1.4 * seen


def test_weights_sum_to_one_and_reproduce_linear_functions_of_the_node_positions(mesh):
    geometry, *_ = made(mesh)
    x, y = inner_positions(mesh, geometry)
    indices, weights = mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry)
    assert np.allclose(weights.sum(axis=-1), 1.0, atol=1e-13) and float(weights.min()) > -1e-13
    node_x, node_y = mesh.node_positions(geometry)
    for at_nodes, expected in ((node_x, x), (node_y, y), (2.0 * node_x - 3.0 * node_y + 1.0, 2.0 * x - 3.0 * y + 1.0)):
        assert np.allclose(jnp.sum(weights * at_nodes[indices], axis=-1), expected, atol=1e-13)


def test_splines_on_knots_are_scipys(mesh):
    """Every basis function, inside and outside, against scipy's B-splines on the knots continued by their end cells."""
    if not isinstance(mesh, uvl.AdaptiveMesh):
        pytest.skip("uniform lattices are compared with their definition in test_source")
    geometry, *_ = made(mesh)
    rng, degree = np.random.default_rng(1), 3 if mesh.basis == "spline" else 1
    west, east, south, north = (float(edge) for edge in mesh.frame(geometry))
    x, y = rng.uniform(2.5 * west, 2.5 * east, 400), rng.uniform(2.5 * south, 2.5 * north, 400)
    indices, weights = (np.asarray(a) for a in mesh.interpolation(jnp.asarray(x), jnp.asarray(y), geometry))
    found = np.zeros((400, mesh.n_source))
    np.add.at(found, (np.arange(400)[:, None], indices), weights)
    reach = 2 if degree == 3 else 1

    def axis(knots, at):
        h = np.diff(knots)
        tau = np.concatenate([knots[0] - h[0] * np.arange(reach, 0, -1), knots, knots[-1] + h[-1] * np.arange(1, 3)])
        pieces = [BSpline.basis_element(tau[j : j + degree + 2], extrapolate=False)(at) for j in range(len(knots))]
        return np.nan_to_num(np.stack(pieces, axis=-1))

    expected = axis(np.asarray(geometry.y_knots), y)[:, :, None] * axis(np.asarray(geometry.x_knots), x)[:, None, :]
    assert np.allclose(found, expected.reshape(400, -1), atol=1e-13)
    assert np.any(found.sum(axis=1) == 0.0) and np.any(found.sum(axis=1) > 0.5)


def test_areas_are_the_integrals_of_the_basis_functions(mesh):
    """Flux of random coefficients by a fine sum over the source plane, to the error of the sum."""
    geometry, *_ = made(mesh)
    west, east, south, north = (float(edge) for edge in mesh.frame(geometry))
    width, height = east - west, north - south
    x = np.linspace(west - 0.5 * width, east + 0.5 * width, 1200)
    y = np.linspace(south - 0.5 * height, north + 0.5 * height, 1000)
    grid_x, grid_y = np.meshgrid(x, y)
    s = np.random.default_rng(2).random(mesh.n_source)
    indices, weights = mesh.interpolation(jnp.asarray(grid_x), jnp.asarray(grid_y), geometry)
    total = float(jnp.sum(weights * s[indices])) * (x[1] - x[0]) * (y[1] - y[0])
    assert np.isclose(total, float(s @ mesh.node_areas(geometry)), rtol=2e-4)


def test_an_l_is_neither_mirrored_nor_transposed(mesh):
    """Coefficients of an L far from symmetric: at the nodes it shows where `node_positions` says it is."""
    rows, columns = mesh.shape
    shape = np.zeros((rows, columns))
    shape[1:6, 2], shape[1, 2:8] = 1.0, 1.0  # the stem runs North, the foot lies South and points East
    geometry, *_ = made(mesh)
    x, y = mesh.node_positions(geometry)
    indices, weights = mesh.interpolation(x, y, geometry)
    seen = np.asarray(jnp.sum(weights * shape.ravel()[indices], axis=-1)).reshape(rows, columns)
    assert np.corrcoef(seen.ravel(), shape.ravel())[0, 1] > 0.8
    for other in (shape[::-1], shape[:, ::-1], shape[::-1, ::-1]):
        assert np.corrcoef(seen.ravel(), other.ravel())[0, 1] < 0.5
    y_axis, x_axis = mesh.axes(geometry)
    assert np.all(np.diff(x_axis) > 0.0) and np.all(np.diff(y_axis) > 0.0)
    assert np.allclose(np.asarray(x).reshape(rows, columns), np.asarray(x_axis)[1:-1])
    assert np.allclose(np.asarray(y).reshape(rows, columns).T, np.asarray(y_axis)[1:-1])
    corner = mesh.interpolation(x_axis[-2:-1], y_axis[1:2], geometry)
    assert int(corner[0][0, jnp.argmax(corner[1][0])]) == columns - 1


def test_nodes_lie_where_the_rays_do():
    """The density of nodes follows floor and rays: the median node of an axis where the mixed density says it is."""
    rng = np.random.default_rng(3)
    beta_x = jnp.asarray(np.concatenate([rng.normal(0.4, 0.15, 6000), rng.uniform(-1.0, 1.0, 2000)]))
    beta_y = jnp.asarray(rng.uniform(-1.0, 1.0, 8000))
    for floor in (0.1, 0.5, 1.0):
        mesh = uvl.AdaptiveMesh(21, 21, floor=floor, basis="bilinear")
        geometry = geometry_of(mesh, beta_x, beta_y)
        low, high = geometry.x_knots[0], geometry.x_knots[-1]
        share = np.mean(np.asarray(beta_x)[:, None] < geometry.x_knots, axis=0)
        expected = floor * (geometry.x_knots - low) / (high - low) + (1.0 - floor) * share
        assert np.abs(expected - np.arange(21) / 20).max() < 0.02
    uniform = np.linspace(low, high, 21)
    assert np.allclose(geometry.x_knots, uniform, atol=1e-12)  # floor 1 is a uniform lattice
    weights = jnp.asarray((beta_y > 0.5).astype(float))
    bright = uvl.AdaptiveMesh(21, 21, density="brightness", floor=0.1)
    bright = geometry_of(bright, beta_x, beta_y, weights)
    assert np.sum(np.asarray(bright.y_knots) > 0.5) > 15
    dark = geometry_of(uvl.AdaptiveMesh(21, 21, density="brightness", floor=0.1), beta_x, beta_y, 0.0 * weights)
    assert np.allclose(np.diff(dark.x_knots), np.diff(dark.x_knots)[0])


def test_cumulative_density_and_its_quantiles():
    """u(beta) runs from 0 to 1, is the integral of its slope, and quantile is its inverse with two derivatives."""
    values = jnp.asarray(np.random.default_rng(4).normal(size=500))
    u = jax.jit(lambda values: cumulative_density(values, None, *soft_range(values), 0.2, 64))(values)
    low, high = u.low, u.low + 64 * u.width
    beta = jnp.linspace(low, high, 2001)
    fraction = u.fraction(beta)
    assert np.isclose(fraction[0], 0.0, atol=1e-14) and np.isclose(fraction[-1], 1.0, atol=1e-14)
    assert np.all(np.diff(fraction) > 0.0)
    assert np.allclose(jax.jit(u.quantile)(fraction[1:-1]), beta[1:-1], atol=1e-10)

    def median(values):
        return cumulative_density(values, None, *soft_range(values), 0.2, 64).quantile(jnp.array(0.37))

    direction = jnp.asarray(np.random.default_rng(5).normal(size=500))
    along = jax.jit(lambda t: median(values + t * direction))
    slope, curvature = jax.jit(jax.grad(along)), jax.jit(jax.grad(jax.grad(along)))
    assert np.isclose(slope(0.0), reference.central_difference(lambda t: float(along(t[0])), [0.0], 1e-4)[0], rtol=1e-6)
    assert np.isclose(curvature(0.0), (slope(1e-5) - slope(-1e-5)) / 2e-5, rtol=1e-4)


def test_gradient_is_the_finite_difference(mesh):
    """Of random coefficients summed over all rays, in lens parameters; geometry and weights both move."""
    coefficients = jnp.asarray(np.random.default_rng(6).normal(size=mesh.n_source))
    x, y = (jnp.asarray(r[:60]) for r in MASK.rays(2))
    ray_weights = brightness_of(*traced())[:60]

    @jax.jit
    @jax.value_and_grad
    def total(p):
        lens = uvl.LensPlane([uvl.SIE(p[0], 0.15, -0.1, p[1], 0.03), uvl.Shear(p[2], -0.02)])
        beta = lens.ray_trace(x, y)
        geometry = mesh.geometry(*beta, ray_weights=ray_weights)
        indices, weights = mesh.interpolation(*beta, geometry)
        return jnp.sum(weights * coefficients[indices]) + jnp.sum(mesh.node_areas(geometry) * coefficients)

    point = [0.5, 0.02, 0.05]
    found = total(jnp.asarray(point))[1]
    # bilinear weights have kinks: steps so small that few rays cross one
    step, tolerance = (1e-4, 1e-6) if mesh.basis == "spline" else (1e-8, 1e-5)
    numeric = reference.central_difference(lambda p: float(total(jnp.asarray(p))[0]), point, step)
    assert np.abs(found - numeric).max() < tolerance * np.abs(numeric).max()


def test_evidence_is_differentiable():
    """ln E by the package's evidence, its gradient in lens parameters against differences, and no kink in between."""
    data = lensed_visibilities(120, 9, uvl.LensPlane(LENS), center=(0.05, -0.05))
    normal = uvl.normal_operator(data, uvl.Mask.disc(0.8, 0.11), "lowrank")
    mesh = MESHES["adaptive brightness"]()
    x, y = (jnp.asarray(r) for r in normal.mask.rays(2))
    weights = jnp.exp(-0.5 * ((jnp.hypot(x, y) - 0.5) / 0.15) ** 2)  # an Einstein ring
    everywhere = jnp.ones(mesh.n_source, bool)
    bands = jnp.ones((1, mesh.n_source)) * 0.1

    @jax.jit
    @jax.value_and_grad
    def evidence(p):
        beta = uvl.LensPlane([uvl.SIE(p[0], 0.15, p[1], 0.02, 0.03), uvl.Shear(0.05, -0.02)]).ray_trace(x, y)
        indices, w = mesh.interpolation(*beta, mesh.geometry(*beta, ray_weights=weights))
        n = len(x)
        w = w.reshape(n, -1) * normal.mask.grid.pixel_area / x.shape[1]
        return log_evidence_minus_null(normal, indices.reshape(n, -1), w, bands, everywhere, everywhere, False)

    point = [0.51, -0.1]
    numeric = reference.central_difference(lambda p: float(evidence(jnp.asarray(p))[0]), point, 1e-4)
    assert np.allclose(evidence(jnp.asarray(point))[1], numeric, rtol=1e-5)
    scan = np.linspace(-0.01, 0.01, 41)
    curve = np.array([float(evidence(jnp.array([0.5 + t, -0.1]))[0]) for t in scan])
    assert np.ptp(curve) > 1.0
    assert np.std(curve - np.polyval(np.polyfit(scan, curve, 6), scan)) < 1e-3


@pytest.mark.parametrize("name", ["rectangular spline", "adaptive brightness"])
def test_jit_vmap_and_static_shapes(name):
    mesh = MESHES[name]()
    beta_x, beta_y = traced()
    weights = brightness_of(beta_x, beta_y)

    def both(beta_x, beta_y):
        geometry = mesh.geometry(beta_x, beta_y, ray_weights=weights)
        return geometry, *mesh.interpolation(beta_x, beta_y, geometry)

    beta_x, beta_y, weights = beta_x[:70], beta_y[:70], weights[:70]
    traces = []
    jitted = jax.jit(lambda x, y: traces.append(0) or both(x, y))
    # what is not jitted compiles one operation after the other: half a minute for the adaptive mesh's geometry
    eager = both if name == "rectangular spline" else lambda x, y: (g := jitted(x, y)[0], *mesh.interpolation(x, y, g))
    for a, b in zip(jax.tree.leaves(eager(beta_x, beta_y)), jax.tree.leaves(jitted(beta_x, beta_y))):
        assert a.shape == b.shape and np.allclose(a, b, atol=1e-12)
    batched = jax.jit(jax.vmap(lambda f: both(f * beta_x, beta_y)))(jnp.array([1.0, 1.3, 0.7]))
    for i, f in enumerate([1.0, 1.3, 0.7]):
        for a, b in zip(jax.tree.leaves(jitted(f * beta_x, beta_y)), jax.tree.leaves(batched)):
            assert np.allclose(a, b[i], atol=1e-12)
    assert len(traces) == 1


@pytest.mark.parametrize("name", ["rectangular spline", "adaptive spline", "adaptive brightness"])
def test_rays_on_a_line_or_in_a_point_give_no_nan(name):
    mesh = MESHES[name]()

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1))
    def total(x, y):
        geometry = mesh.geometry(x, y, ray_weights=jnp.ones(90))
        indices, weights = mesh.interpolation(x, y, geometry)
        return jnp.sum(weights * jnp.cos(indices)) + jnp.sum(mesh.node_areas(geometry))

    for beta_x in (jnp.linspace(-1.0, 1.0, 90), jnp.full(90, 0.3), jnp.tile(jnp.array([0.1, 0.2]), 45)):
        value, gradient = total(beta_x, jnp.full(90, -0.2))
        assert np.isfinite(value) and np.all(np.isfinite(jnp.stack(gradient)))


def test_rays_that_leave_fade_out_without_nan(mesh):
    """Brightness of a mesh of ones falls to 0 beyond the edge without a jump, and far away nothing is NaN."""
    geometry, *_ = made(mesh)
    west, east, *_ = (float(edge) for edge in mesh.frame(geometry))
    middle = 0.5 * float(geometry.y0 * 2 + geometry.spacing * 6 if hasattr(geometry, "y0") else geometry.y_knots[3] * 2)

    def seen(x):
        return jnp.sum(mesh.interpolation(x, jnp.full_like(x, middle), geometry)[1], axis=-1)

    x = jnp.linspace(0.5 * (west + east), east + (east - west), 4001)
    profile = np.asarray(seen(x))
    assert np.isclose(profile[0], 1.0) and profile[-1] == 0.0
    assert np.all(np.diff(profile) < 1e-12) and np.abs(np.diff(profile)).max() < 0.05
    far = jnp.array([1e9, -1e9, 1e30])
    assert np.all(np.asarray(seen(far)) == 0.0)
    assert np.all(np.isfinite(jax.jit(jax.vmap(jax.grad(lambda x: seen(x[None])[0])))(far)))


def test_zero_edges_are_the_outermost_nodes():
    for kind in (uvl.RectangularMesh, uvl.AdaptiveMesh):
        allowed = kind(5, 7, zero_edges=True).allowed.reshape(5, 7)
        assert allowed[1:-1, 1:-1].all() and allowed.sum() == 15


def test_cover_leaves_demagnified_rays_out():
    """A disc around the lens: rays of its middle land at theta_E, rays of its rim nearer; 90 % spans less."""
    lens = uvl.LensPlane([uvl.SIE(0.8, 0.0, 0.0, 0.0, 0.0)])
    beta = lens.ray_trace(*(jnp.asarray(r) for r in uvl.Mask.disc(1.2, 0.08).rays(4)))
    for kind in (uvl.RectangularMesh, uvl.AdaptiveMesh):
        all_rays, most = (kind(9, 9, cover=c).frame(geometry_of(kind(9, 9, cover=c), *beta)) for c in (1.0, 0.9))
        assert most[1] - most[0] < 0.75 * (all_rays[1] - all_rays[0])
        share = np.mean((np.asarray(beta[0]) > float(most[0])) & (np.asarray(beta[0]) < float(most[1])))
        assert 0.89 < share < 0.96


def test_relocation_moves_what_lies_beyond_the_border_and_nothing_else():
    lens = uvl.LensPlane([uvl.SIE(0.8, 0.05, 0.03, 0.01, -0.02)])
    mask = uvl.Mask.disc(1.2, 0.05, center=(0.01, -0.02))
    border = border_of(mask)
    edge_x, edge_y = (np.asarray(b) for b in lens.ray_trace(jnp.asarray(border.x), jnp.asarray(border.y)))
    assert np.abs(np.hypot(border.x - 0.01, border.y + 0.02) - 1.2).max() < 0.07
    beta_x, beta_y = lens.ray_trace(*(jnp.asarray(r) for r in mask.rays(2)))
    moved_x, moved_y = jax.jit(lambda x, y: border.relocate(x, y, lens.ray_trace))(beta_x, beta_y)
    center = edge_x.mean(), edge_y.mean()
    before = np.hypot(beta_x - center[0], beta_y - center[1])
    after = np.hypot(moved_x - center[0], moved_y - center[1])
    radius = np.hypot(edge_x - center[0], edge_y - center[1])
    assert before.max() > 1.5 * radius.max()
    assert after.max() < 1.01 * radius.max() and np.all(after < before + 1e-12)
    inside = before < 0.8 * radius.min()
    assert inside.any() and np.abs((after - before)[inside]).max() < 2e-6 * radius.max()
    beyond = before > 1.2 * radius.max()
    assert np.all(after[beyond] > 0.95 * radius.min())
    angles = np.arctan2(moved_y - center[1], moved_x - center[0]) - np.arctan2(beta_y - center[1], beta_x - center[0])
    assert np.abs(np.sin(angles)).max() < 1e-9

    @jax.jit
    @jax.value_and_grad
    def total(p):
        lens = uvl.LensPlane([uvl.SIE(p[0], 0.05, 0.03, p[1], -0.02)])
        x, y = border.relocate(beta_x[::9], beta_y[::9], lens.ray_trace)
        return jnp.sum(jnp.sin(3.0 * x) + jnp.cos(2.0 * y))

    numeric = reference.central_difference(lambda p: float(total(jnp.asarray(p))[0]), [0.8, 0.01], 1e-4)
    assert np.allclose(total(jnp.array([0.8, 0.01]))[1], numeric, rtol=1e-6)


def test_borders_of_rings_arcs_and_points_are_finite():
    """The hole of an annulus is no border; arcs and single pixels move rays without NaN, also at the centroid."""
    ring = border_of(uvl.Mask.annulus(0.4, 0.9, 0.05))
    assert np.hypot(ring.x, ring.y).min() > 0.75
    kept = np.zeros((20, 20), bool)
    kept[3:6, 4:9], kept[15, 15] = True, True
    for mask in (uvl.Mask.from_array(kept, 0.1), uvl.Mask.from_array(np.ones((1, 1)), 0.1)):
        border = border_of(mask)
        x = jnp.array([np.mean(border.x), 5.0, 0.0])

        def total(x, border=border):
            return jnp.sum(jnp.stack(border.relocate(x, 0.3 * x, lambda x, y: (x, y))))

        assert np.all(np.isfinite(jnp.stack(jax.jit(jax.value_and_grad(total))(x)[1:])))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uvl.AdaptiveMesh(2, 9), "3 x 3"),
        (lambda: uvl.AdaptiveMesh(9.0, 9), "whole numbers"),
        (lambda: uvl.AdaptiveMesh(9, 9, basis="nearest"), "basis"),
        (lambda: uvl.AdaptiveMesh(9, 9, density="light"), "density"),
        (lambda: uvl.AdaptiveMesh(9, 9, floor=0.0), "floor"),
        (lambda: uvl.AdaptiveMesh(9, 9, floor=float("nan")), "floor"),
        (lambda: uvl.AdaptiveMesh(9, 9, cover=0.3), "cover"),
        (lambda: uvl.RectangularMesh(9, 9, border="move"), "border"),
        (lambda: check_mesh(uvl.AdaptiveMesh(9, 9), 80), "81 nodes for 80 rays"),
    ],
)
def test_bad_settings_are_named(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({}, uvl.RectangularMesh(30, 30)),
        ({"shape": [5, 7], "extent": 1, "center": [0.1, 0.2]}, uvl.RectangularMesh(5, 7, 1.0, (0.1, 0.2))),
        ({"shape": [9, 9], "cover": 0.98, "zero_edges": True}, uvl.RectangularMesh(9, 9, cover=0.98, zero_edges=True)),
        ({"type": "adaptive"}, uvl.AdaptiveMesh(30, 30)),
        (
            {"type": "adaptive", "shape": [9, 8], "basis": "bilinear", "density": "brightness", "floor": 0.1},
            uvl.AdaptiveMesh(9, 8, "bilinear", "brightness", 0.1),
        ),
        ({"type": "adaptive", "border": "relocate"}, uvl.AdaptiveMesh(30, 30, border="relocate")),
    ],
)
def test_sections_make_meshes_and_meshes_sections(section, expected):
    mesh = parse_mesh(Section(section, "mesh"))
    assert mesh == expected
    assert parse_mesh(Section(mesh_section(mesh), "mesh")) == mesh


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"type": "adaptiv"}, "did you mean 'adaptive'"),
        ({"type": "adaptive", "extent": 1.0}, "mesh.extent"),
        ({"type": "rectangular", "density": "rays"}, "mesh.density"),
        ({"type": "rectangular", "extent": 1.0, "cover": 0.9}, "mesh.cover"),
        ({"type": "rectangular", "center": [0.0, 0.1]}, "mesh.center"),
        ({"shape": [2, 9]}, "mesh: .*3 x 3"),
        ({"shape": [3.5, 9]}, "whole numbers"),
        ({"shape": [300, 300]}, "at most"),
        ({"type": "adaptive", "floor": 2}, "floor"),
        ({"border": "relocated"}, "did you mean 'relocate'"),
        ({"zero_edges": "yes"}, "true or false"),
    ],
)
def test_bad_sections_are_named(section, message):
    with pytest.raises(uvl.InputError, match=message):
        parse_mesh(Section(section, "mesh"))
