"""Meshes of points: interpolation, dual cells and vertices against brute force and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_points
from conftest import random_visibilities
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import ConvexHull

import uvlens as uvl
from uvlens.inversion import log_evidence_minus_null
from uvlens.lens import LensPlane
from uvlens.source import vertices
from uvlens.source.delaunay import DelaunayMesh
from uvlens.source.natural import NaturalNeighbourMesh
from uvlens.source.triangulation import triangulate
from uvlens.source.vertices import VertexSettings

KINDS = {"delaunay": DelaunayMesh, "natural": NaturalNeighbourMesh}
both = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def nodes(n=25, seed=0, kind="even"):
    """(x, y) of vertices: spread evenly, in clumps, on a lattice, or with three hull points nearly on a line."""
    rng = np.random.default_rng(seed)
    if kind == "lattice":
        return np.array(np.meshgrid(np.arange(5) - 2.0, 0.7 * np.arange(4) - 1.0)).reshape(2, -1)
    if kind == "clumps":
        return (rng.normal(size=(2, 3, 1)) + 0.05 * rng.normal(size=(2, 3, n // 3))).reshape(2, -1)
    x, y = rng.uniform(-1.0, 1.0, (2, n)) * np.array([[1.0], [0.7]])
    if kind == "flat hull":
        x = np.append(x, [-1.2, 0.1, 1.2, 0.0])
        y = np.append(y, [-0.9, -0.9 + 1e-7, -0.9, 0.9])
    return np.array([x, y])


def inside(n, seed, x, y):
    """(x, y) of n rays inside the hull of vertices."""
    weights = np.random.default_rng(seed).dirichlet(np.full(len(x), 0.1), n)
    return weights @ x, weights @ y


def moved(mesh, x, y):
    """The geometry with vertices traced to x, y."""
    return mesh.geometry(jnp.zeros(1), jnp.zeros(1), lambda *_: (x, y))


def brightness(mesh, geometry, values, px, py):
    indices, weights = mesh.interpolation(jnp.asarray(px), jnp.asarray(py), geometry)
    return jnp.sum(weights * jnp.asarray(values)[indices], axis=-1)


@pytest.mark.parametrize("layout", ["even", "clumps", "flat hull"])
def test_triangles_interpolate_as_scipy_does(layout):
    x, y = nodes(kind=layout)
    px, py = inside(300, 1, x, y)
    values = np.random.default_rng(2).normal(size=len(x))
    mesh = DelaunayMesh(x, y)
    found = brightness(mesh, moved(mesh, x, y), values, px, py)
    expected = LinearNDInterpolator(np.column_stack([x, y]), values)(px, py)
    assert np.allclose(found, expected, atol=1e-7)  # SciPy's triangles have a tolerance of their own near flat ones


@pytest.mark.parametrize("layout", ["even", "clumps", "lattice"])
def test_natural_weights_are_the_areas_taken_from_voronoi_cells(layout):
    x, y = nodes(14, kind=layout)
    px, py = inside(40, 3, x, y)
    mesh = NaturalNeighbourMesh(x, y)
    indices, weights = (np.asarray(a) for a in mesh.interpolation(px, py, moved(mesh, x, y)))
    points = np.column_stack([x, y])
    for k in range(len(px)):
        found = np.bincount(indices[k], weights[k], len(x))
        # the brute force cuts the plane off at 1e4: cells at the hull are cut too, by about 1e-4 of their weight
        assert np.allclose(found, reference_points.sibson(points, np.array([px[k], py[k]])), atol=2e-4)


@both
@pytest.mark.parametrize("layout", ["even", "clumps", "lattice", "flat hull"])
def test_weights_sum_to_one_and_reproduce_linear_functions(kind, layout):
    x, y = nodes(60, kind=layout)
    px, py = inside(500, 4, x, y)
    mesh = kind(x, y)
    indices, weights = mesh.interpolation(px.reshape(20, 25), py.reshape(20, 25), moved(mesh, x, y))
    assert indices.shape == weights.shape and indices.shape[:2] == (20, 25) and indices.dtype == jnp.int32
    assert np.allclose(np.sum(weights, axis=-1), 1.0, atol=1e-13)
    assert weights.min() > -1e-9
    assert np.all(np.asarray(indices)[np.asarray(weights) == 0.0] == 0)
    for values, expected in ((x, px), (y, py), (2 * x - 3 * y + 1, 2 * px - 3 * py + 1)):
        assert np.allclose(np.sum(weights * values[indices], axis=-1).ravel(), expected, atol=1e-11)


@both
def test_rays_on_vertices_and_edges(kind):
    x, y = nodes(kind="lattice")
    mesh = kind(x, y)
    geometry = moved(mesh, x, y)
    values = np.random.default_rng(5).normal(size=len(x))
    assert np.allclose(brightness(mesh, geometry, values, x, y), values, atol=1e-12)
    between = brightness(mesh, geometry, values, 0.5 * (x[:4] + x[1:5]), y[:4])  # on the hull's lower edge
    assert np.allclose(between, 0.5 * (values[:4] + values[1:5]), atol=1e-12)
    slopes = jax.grad(lambda p: jnp.sum(brightness(mesh, moved(mesh, p, y), values, p, y)))(jnp.asarray(x))
    assert np.all(np.isfinite(slopes))


@both
def test_rays_outside_fade_from_the_nearest_point_of_the_hull(kind):
    x, y = nodes(30)
    mesh = kind(x, y)
    geometry = moved(mesh, x, y)
    hull = ConvexHull(np.column_stack([x, y]))
    length = np.sqrt(2.0 / np.sqrt(3.0) * hull.volume / 30)
    assert np.isclose(geometry.fade_length, length)
    values = np.random.default_rng(6).normal(size=30)
    px, py = np.random.default_rng(7).uniform(-1.6, 1.6, (2, 400))
    outside = np.max(hull.equations @ np.array([px, py, np.ones(400)]), axis=0) > 0.0
    px, py = px[outside], py[outside]
    corner = np.column_stack([x, y])[hull.vertices]
    value = values[hull.vertices]
    steps = np.linspace(0.0, 1.0, 4001)[:, None]
    rim = np.concatenate([a + steps * (b - a) for a, b in zip(corner, np.roll(corner, -1, axis=0))])
    rim_value = np.concatenate([a + steps[:, 0] * (b - a) for a, b in zip(value, np.roll(value, -1))])
    found = brightness(mesh, geometry, values, px, py)
    for k in range(len(px)):
        distance = np.hypot(rim[:, 0] - px[k], rim[:, 1] - py[k])
        nearest = np.argmin(distance)
        expected = rim_value[nearest] * max(0.0, 1.0 - distance[nearest] / length)
        assert abs(found[k] - expected) < 3e-3
    assert np.count_nonzero(found == 0.0) > 20
    middle, normal = 0.5 * (corner[0] + corner[1]), np.array([corner[1] - corner[0]])[0][::-1] * [1.0, -1.0]
    near = brightness(mesh, geometry, values, *(middle[:, None] + np.array([[-1e-9, 1e-9]]) * normal[:, None]))
    assert np.allclose(near, 0.5 * (value[0] + value[1]), atol=1e-7)


@both
def test_mesh_is_not_mirrored_or_transposed(kind):
    """The brightest vertex lies to the North-West of the middle, in the image and in the source plane."""
    x, y = nodes(40)
    values = np.exp(-((x + 0.5) ** 2 + (y - 0.3) ** 2) / 0.1)
    mesh = kind(x, y)
    near, *others = brightness(
        mesh, moved(mesh, x, y), values, np.array([-0.5, 0.5, -0.5, 0.3]), np.array([0.3, 0.3, -0.3, -0.5])
    )
    assert near > 3.0 * max(others)
    west, east, south, north = mesh.frame(moved(mesh, x, y))
    assert west < x.min() < x.max() < east and south < y.min() < y.max() < north


@pytest.mark.parametrize("layout", ["even", "clumps", "lattice", "flat hull"])
@pytest.mark.parametrize("seed", [0, 1])
def test_dual_weights_shares_and_areas_are_those_of_cells_cut_off_at_the_hull(layout, seed):
    x, y = nodes(24, seed, layout)
    points = np.column_stack([x, y])
    hull = ConvexHull(points)
    expected, shares, areas = reference_points.dual(points, points[hull.vertices])
    mesh = NaturalNeighbourMesh(x, y)
    geometry = moved(mesh, x, y)
    i, j, weight = (np.asarray(a) for a in mesh.edges(geometry))
    found, ghost = np.zeros_like(expected), np.zeros(len(x))
    pairs = j >= 0
    np.add.at(found, (i[pairs], j[pairs]), weight[pairs])
    np.add.at(ghost, i[~pairs], weight[~pairs])
    found = found + found.T
    np.fill_diagonal(found, 0.0)
    assert weight.min() >= 0.0 and len(i) == 4 * len(x)
    tolerance = 1e-5 if layout == "flat hull" else 1e-10  # the hull of the brute force has the flat triangle's corner
    assert np.allclose(found, expected, atol=tolerance)
    assert np.allclose(ghost * geometry.fade_length, shares, atol=tolerance)
    assert np.allclose(mesh.node_areas(geometry), areas, atol=tolerance)
    assert np.isclose(ghost.sum() * geometry.fade_length, hull.area, rtol=1e-10)


def test_areas_are_integrals_of_basis_functions():
    x, y = nodes(20, 8)
    mesh = DelaunayMesh(x, y)
    geometry = moved(mesh, x, y)
    axis = np.linspace(-1.0, 1.0, 800, endpoint=False) + 1.0 / 800
    px, py = (g.ravel() for g in np.meshgrid(axis, axis))
    hull = ConvexHull(np.column_stack([x, y]))
    within = np.max(hull.equations @ np.array([px, py, np.ones(px.size)]), axis=0) < 0.0
    indices, weights = mesh.interpolation(px[within], py[within], geometry)
    integral = np.bincount(np.ravel(indices), np.ravel(weights), 20) * (axis[1] - axis[0]) ** 2
    assert np.allclose(mesh.node_areas(geometry), integral, atol=3e-4)
    for kind in KINDS.values():
        assert np.isclose(np.sum(kind(x, y).node_areas(geometry)), hull.volume, rtol=1e-12)


def test_a_linear_source_has_the_gradient_penalty_of_its_slope():
    """sum of weight (s_i - s_j)^2 = integral of |grad s|^2: exact for linear s where all circumcentres are inside."""
    x, y = nodes(kind="lattice")
    mesh = DelaunayMesh(x, y)
    i, j, weight = mesh.edges(moved(mesh, x, y))
    s = 2.0 * x - 3.0 * y
    inner = np.asarray(j) >= 0
    total = np.sum(np.asarray(weight)[inner] * (s[i] - s[j])[inner] ** 2)
    assert np.isclose(total, (4.0 + 9.0) * 4.0 * 2.1, rtol=1e-10)


def scalar(kind, n_rays, n, **options):
    """(function of rays and vertices in one vector, where to evaluate it): all that a likelihood takes from a mesh."""
    x, y = nodes(n, 9)
    mesh = kind(x, y, **options)
    px, py = np.random.default_rng(10).uniform(-1.2, 1.2, (2, n_rays))
    rng = np.random.default_rng(11)
    values, mix = jnp.asarray(rng.normal(size=n)), jnp.asarray(rng.normal(size=n_rays))
    edge_mix, area_mix = jnp.asarray(rng.normal(size=(n, n + 1))), jnp.asarray(rng.normal(size=n))

    def function(v):
        px, py, x, y = jnp.split(v, [n_rays, 2 * n_rays, 2 * n_rays + n])
        geometry = moved(mesh, x, y)
        i, j, weight = mesh.edges(geometry)
        seen = jnp.sum(mix * brightness(mesh, geometry, values, px, py))
        return seen + jnp.sum(weight * edge_mix[i, j]) + jnp.sum(area_mix * mesh.node_areas(geometry))

    return function, np.concatenate([px, py, x, y])


@pytest.mark.parametrize(
    "kind, options", [(DelaunayMesh, {}), (NaturalNeighbourMesh, {}), (NaturalNeighbourMesh, {"neighbours": 4})]
)
def test_gradient_by_rays_and_vertices(kind, options):
    function, point = scalar(kind, 30, 15, **options)
    compiled = jax.jit(jax.value_and_grad(function))
    found = np.asarray(compiled(point)[1])
    # along random directions: every component that is wrong shows in each of them
    directions = np.random.default_rng(18).normal(size=(8, len(point)))
    numeric = reference.central_difference(lambda c: float(compiled(point + c @ directions)[0]), np.zeros(8), 1e-6)
    assert np.allclose(directions @ found, numeric, atol=1e-6 * np.abs(numeric).max())
    assert np.count_nonzero(found[:60]) > 30


@both
def test_jit_is_eager_and_vmap_is_a_loop(kind):
    function, point = scalar(kind, 20, 12)
    points = point + 1e-2 * np.random.default_rng(12).normal(size=(2, len(point)))
    both_of = jax.value_and_grad(function)
    compiled = jax.jit(both_of)
    loop = [compiled(p) for p in points]
    values, slopes = jax.vmap(compiled)(points)
    assert np.allclose(values, [value for value, _ in loop], rtol=1e-13)
    assert np.allclose(slopes, [slope for _, slope in loop], rtol=1e-10, atol=1e-12)
    assert np.isclose(function(points[0]), loop[0][0], rtol=1e-13)


def test_all_but_barycentric_weights_are_continuous_where_triangles_flip():
    """Four vertices on a circle, one moved in and out of it: another diagonal, the same weights."""
    x, y = np.append(nodes(20)[0], [0.0, 0.1, 0.0, -0.1]), np.append(nodes(20)[1], [-0.1, 0.0, 0.1, 0.0])
    near = np.hypot(x[:20], y[:20]) < 0.25
    x[:20][near] += 2.0
    mesh = NaturalNeighbourMesh(x, y)
    px, py = inside(200, 13, x, y)
    px[:20], py[:20] = np.random.default_rng(14).uniform(-0.05, 0.05, (2, 20))
    matrices, tables = [], []
    for step in (-1e-9, 1e-9):
        geometry = moved(mesh, np.append(x[:-1], x[-1] + step), y)
        tables.append({tuple(sorted(t)) for t in np.asarray(geometry.simplices)})
        i, j, weight = mesh.edges(geometry)
        prior = np.zeros((24, 25))
        np.add.at(prior, (i, j), weight)
        prior[:, :24] += prior[:, :24].T
        indices, weights = mesh.interpolation(px, py, geometry)
        lensing = np.zeros((200, 24))
        np.add.at(lensing, (np.arange(200)[:, None], np.asarray(indices)), np.asarray(weights))
        np.fill_diagonal(prior, 0.0)
        matrices.append((prior, lensing, mesh.node_areas(geometry)))
    assert tables[0] != tables[1]
    for before, after in zip(*matrices):
        assert np.allclose(before, after, atol=1e-6)


def test_natural_neighbours_have_continuous_derivatives_inside():
    x, y = nodes(12, 15)
    mesh = NaturalNeighbourMesh(x, y)
    geometry = moved(mesh, x, y)
    values = np.random.default_rng(16).normal(size=12)
    line = jnp.linspace(-0.5, 0.5, 4001)
    slope = jax.grad(lambda p: jnp.sum(brightness(mesh, geometry, values, p, 0.3 * p + 0.011)))(line)
    linear = DelaunayMesh(x, y)
    kinked = jax.grad(lambda p: jnp.sum(brightness(linear, geometry, values, p, 0.3 * p + 0.011)))(line)
    assert np.abs(np.diff(slope)).max() < 0.02 * np.ptp(slope)
    assert np.abs(np.diff(kinked)).max() > 0.2 * np.ptp(kinked)


def test_neighbours_beyond_the_limit_are_left_out_and_counted():
    angle = 2.0 * np.pi * np.arange(30) / 30
    x, y = np.append(np.cos(angle), [2.0, -2.0, 0.0]), np.append(np.sin(angle), [-2.0, -2.0, 2.5])
    few, many = (NaturalNeighbourMesh(x, y, neighbours=n) for n in (20, 40))
    geometry = moved(few, x, y)
    px, py = np.array([0.1, 1.5]), np.array([0.05, -1.6])
    full = np.asarray(many.interpolation(px, py, geometry)[1])
    assert np.count_nonzero(full[0]) == 30 and np.all(many.dropped_weight(px, py, geometry) == 0.0)
    dropped = few.dropped_weight(px, py, geometry)
    assert np.isclose(dropped[0], np.sort(full[0])[:-20].sum(), rtol=1e-10) and dropped[1] == 0.0
    weights = np.asarray(few.interpolation(px, py, geometry)[1])
    assert np.allclose(np.sort(weights[0]), np.sort(full[0])[-20:] / (1.0 - dropped[0]), rtol=1e-10)


@both
@pytest.mark.parametrize(
    "trace",
    [lambda x, y: (x, 2.0 * x), lambda x, y: (0.0 * x, 0.0 * y), lambda x, y: (x.at[3].set(jnp.nan), y)],
    ids=["line", "point", "nan"],
)
def test_traced_vertices_without_a_triangulation_give_nan_and_no_crash(kind, trace):
    x, y = nodes(20)
    mesh = kind(x, y)

    @jax.jit
    def value(scale):
        geometry = mesh.geometry(jnp.zeros(1), jnp.zeros(1), lambda x, y: trace(scale * x, y))
        return jnp.sum(brightness(mesh, geometry, x, jnp.asarray(x[:5]), jnp.asarray(y[:5])))

    assert np.isnan(value(1.0))
    jax.block_until_ready(jax.grad(value)(1.0))


@both
def test_rays_that_are_not_finite_give_nan(kind):
    x, y = nodes(20)
    mesh = kind(x, y)
    _, weights = mesh.interpolation(np.array([np.nan, 0.0]), np.array([0.0, 0.0]), moved(mesh, x, y))
    assert np.any(np.isnan(weights[0])) and np.all(np.isfinite(weights[1]))


@both
def test_coinciding_traced_vertices_share_a_place(kind):
    x, y = nodes(20)
    mesh = kind(x, y)
    x[7], y[7] = x[3], y[3]
    x[8], y[8] = x[3], y[3]
    geometry = moved(mesh, x, y)
    areas = np.asarray(mesh.node_areas(geometry))
    assert np.isclose(areas.sum(), ConvexHull(np.column_stack([x, y])).volume)
    assert areas[3] > 0.0 and np.allclose(areas[[3, 7, 8]], areas[3])
    i, j, weight = (np.asarray(a) for a in mesh.edges(geometry))
    prior = np.zeros((20, 20))
    for a, b, w in zip(i, j, weight):
        d = np.eye(20)[a] - (np.eye(20)[b] if b >= 0 else 0.0)
        prior += w * np.outer(d, d)
    assert np.linalg.eigvalsh(prior).min() > 1e-4
    px, py = inside(50, 17, x, y)
    assert np.allclose(brightness(mesh, geometry, x, px, py), px, atol=1e-12)


def test_tables_are_padded_to_one_shape():
    x, y = nodes(30, kind="lattice")
    tables = triangulate(x, y)
    n = len(x)
    assert (
        tables.simplices.shape == (2 * n, 3) and tables.edge_nodes.shape == (3 * n, 2) and tables.hull.shape == (n, 2)
    )
    assert tables.n_simplices == 24 and np.all(tables.simplices[24:] == 0) and np.all(tables.neighbours[24:] == -1)
    nothing = triangulate(x, 0.0 * y)
    assert not nothing.valid and [np.shape(a) for a in nothing] == [np.shape(a) for a in tables]


@both
def test_gradient_of_an_evidence_by_the_lens(kind):
    mask = uvl.Mask.disc(0.9, 0.1)
    normal = uvl.normal_operator(random_visibilities(200), mask)
    mesh = kind(*vertices.overlay_vertices(mask, 40))
    rays = tuple(jnp.asarray(r) for r in mask.rays(2))

    def log_evidence(theta_e):
        plane = LensPlane([uvl.SIE(theta_e, 0.1, 0.05, 0.02, -0.01), uvl.Shear(0.03, 0.02)])
        beta = plane.ray_trace(*rays)
        geometry = mesh.geometry(*beta, plane.ray_trace)
        indices, weights = (a.reshape(mask.n_pixels, -1) for a in mesh.interpolation(*beta, geometry))
        diagonal = 3.0 * mesh.node_areas(geometry)
        free = jnp.ones(mesh.n_source, bool)
        value = log_evidence_minus_null(normal, indices, 0.01 * weights, diagonal[None], free, free, False)
        return value + 0.5 * jnp.sum(jnp.log(diagonal))

    compiled = jax.jit(jax.value_and_grad(log_evidence))
    value, slope = compiled(0.61)
    numeric = (compiled(0.61 + 1e-7)[0] - compiled(0.61 - 1e-7)[0]) / 2e-7
    assert np.isfinite(value)
    assert np.isclose(slope, numeric, rtol=1e-4, atol=1e-3)


@both
def test_meshes_are_static_and_hashable(kind):
    x, y = nodes(20)
    assert hash(kind(x, y)) == hash(kind(list(x), list(y))) and kind(x, y) == kind(x, y) != kind(x, y + 1.0)
    assert kind(x, y).n_source == 20 and 3.0 <= kind(x, y).entries(4) < 10.0
    assert "20 vertices" in repr(kind(x, y))


@both
def test_nodes_fixed_to_zero(kind):
    x, y = nodes(20)
    assert kind(x, y).allowed.all() and kind(x, y).allowed.dtype == bool
    hull = np.zeros(20, bool)
    hull[ConvexHull(np.column_stack([x, y])).vertices] = True
    assert np.array_equal(kind(x, y, zero_edges=True).allowed, ~hull)
    assert np.array_equal(np.flatnonzero(~kind(x, y, zero_edges=True, n_edge=3).allowed), [17, 18, 19])


@both
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.arange(6.0), 2.0 * np.arange(6.0) + 1.0, "one line"),
        (np.arange(6.0), np.arange(5.0), "one shape"),
        (np.zeros((2, 3)), np.zeros((2, 3)), "one shape"),
        (np.arange(3.0), np.array([0.0, 1.0, 0.0]), "at least 4"),
        (np.array([0.0, 1.0, 0.0, np.nan]), np.arange(4.0), "NaN"),
        (np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]), "same place"),
    ],
)
def test_bad_vertices_are_named(kind, x, y, message):
    with pytest.raises(uvl.InputError, match=message):
        kind(x, y)


def ring(mask):
    """An adapt image: a bright arc to the East on a faint ring."""
    radius, angle = np.hypot(mask.x, mask.y), np.arctan2(mask.y, mask.x)
    return np.exp(-0.5 * ((radius - 0.6) / 0.1) ** 2) * (0.05 + np.exp(-(angle**2) / 0.3))


def test_hilbert_curve_goes_from_cell_to_neighbouring_cell():
    columns, rows = (g.ravel() for g in np.meshgrid(np.arange(16), np.arange(16)))
    order = np.argsort(vertices.hilbert_order(columns, rows, 4))
    assert np.array_equal(np.sort(vertices.hilbert_order(columns, rows, 4)), np.arange(256))
    assert np.all(np.abs(np.diff(columns[order])) + np.abs(np.diff(rows[order])) == 1)


@pytest.mark.parametrize("n", [30, 300])
def test_vertices_lie_in_the_mask_where_it_is_bright(mask, n):
    inside_mask = vertices._in_mask(mask, *vertices.overlay_vertices(mask, n))
    assert inside_mask.all() and abs(len(inside_mask) - n) <= max(3, n // 50)
    image = ring(mask)
    for make in (vertices.hilbert_vertices, vertices.kmeans_vertices):
        x, y = make(mask, image, n, 0.01, 1.0)
        assert len(x) == len(y) == n and len(np.unique(np.column_stack([x, y]), axis=0)) == n
        assert vertices._in_mask(mask, x, y).all()
        again = make(mask, image, n, 0.01, 1.0)
        assert np.array_equal(x, again[0]) and np.array_equal(y, again[1])


def test_density_of_vertices_follows_the_weights():
    mask = uvl.Mask.disc(0.9, 0.05)
    image = np.where(mask.x > 0.2, 3.0, 1.0)
    share = np.sum(image[mask.x > 0.2]) / np.sum(image)
    for make in (vertices.hilbert_vertices, vertices.kmeans_vertices):
        x, _ = make(mask, image, 400)
        # k-means spreads its centres more evenly than the density it is given
        assert abs(np.mean(x > 0.2) - share) < (0.01 if make is vertices.hilbert_vertices else 0.1)
        steep, _ = make(mask, image, 400, weight_power=3.0)
        even, _ = make(mask, image, 400, weight_floor=100.0)
        assert np.mean(even > 0.2) < np.mean(x > 0.2) < np.mean(steep > 0.2)


def test_ring_of_edge_vertices_surrounds_the_mask(mask):
    x, y = vertices.edge_vertices(mask, 24)
    assert len(x) == 24 and not vertices._in_mask(mask, x, y).any()
    nearest = np.min(np.hypot(x[:, None] - mask.x, y[:, None] - mask.y), axis=1)
    assert nearest.min() > mask.grid.pixel_scale
    mesh = VertexSettings("overlay", 40, n_edge=24, zero_edges=True).make(mask)
    assert np.count_nonzero(~mesh.allowed) == 24 and not mesh.allowed[-1]


def test_settings_make_meshes():
    mask = uvl.Mask.disc(0.9, 0.1)
    image = ring(mask)
    assert isinstance(VertexSettings().make(mask), DelaunayMesh)
    mesh = VertexSettings("hilbert", 100, 0.01, natural=True).make(mask, image)
    assert isinstance(mesh, NaturalNeighbourMesh) and mesh.n_source == 100
    assert VertexSettings("kmeans", 50).adaptive and not VertexSettings().adaptive
    assert VertexSettings("kmeans", 50, seed=1).make(mask, image) != VertexSettings("kmeans", 50).make(mask, image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: VertexSettings("voronoi"), "overlay, hilbert or kmeans"),
        (lambda m: VertexSettings(n_points=2), "n_points"),
        (lambda m: VertexSettings(n_edge=2), "n_edge"),
        (lambda m: VertexSettings(weight_floor=-1.0), "weight_floor"),
        (lambda m: VertexSettings(weight_power=np.nan), "weight_power"),
        (lambda m: VertexSettings("hilbert", 50).make(m), "adapt image"),
        (lambda m: VertexSettings("kmeans", 50).make(m), "adapt image"),
        (lambda m: VertexSettings("hilbert", 50).make(m, np.ones(3)), "shape"),
        (lambda m: VertexSettings("hilbert", 50).make(m, -np.ones(m.n_pixels)), "above zero"),
        (lambda m: VertexSettings("hilbert", 50).make(m, np.full(m.n_pixels, np.nan)), "NaN"),
        (lambda m: VertexSettings("kmeans", 50).make(m, np.eye(1, m.n_pixels)[0]), "weight_floor"),
        (lambda m: VertexSettings("overlay", 16 * m.n_pixels + 1).make(m), "ask for fewer"),
        (
            lambda m: VertexSettings("overlay", 5).make(uvl.Mask.from_array(np.ones((1, 9), bool), 0.1)),
            "one line|least 4",
        ),
        (lambda m: NaturalNeighbourMesh(m.x, m.y, neighbours=2), "neighbours"),
        (lambda m: DelaunayMesh(m.x, m.y, n_edge=-1), "n_edge"),
        (lambda m: DelaunayMesh(np.cos(np.arange(9)), np.sin(np.arange(9)), zero_edges=True), "every vertex"),
    ],
)
def test_bad_settings_are_named(call, message):
    with pytest.raises(uvl.InputError, match=message):
        call(uvl.Mask.disc(0.5, 0.1))
