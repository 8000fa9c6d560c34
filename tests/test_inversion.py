"""The inversion against a dense multivariate normal, exhaustive positive solves, and finite differences."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import lensed_visibilities, random_visibilities

import uvlens as uvl
from uvlens.inversion import (
    bands_from_matrix,
    best_coefficient,
    log_evidence_minus_null,
    solve_positive,
    strength_spectrum,
)
from uvlens.inversion.passive import DenseSystem
from uvlens.inversion.pivoting import positive_minimum
from uvlens.inversion.positive import _pivot_on_device

SHAPE = (5, 6)
H = 2.0 * uvl.Gradient(1.0).matrix(SHAPE).toarray()
METHODS = ["direct", "fft", "lowrank"]


def lens_mapper(mask, basis="bilinear", rays=2, extent=0.5):
    """Mapper of an isothermal lens onto a small mesh, Jy per pixel for a source in Jy/arcsec^2."""
    x, y = mask.rays(rays)
    lens = uvl.LensPlane([uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)])
    beta_x, beta_y = lens.ray_trace(jnp.asarray(x), jnp.asarray(y))
    mesh = uvl.RectangularMesh(*SHAPE, extent=extent, center=(0.05, -0.05), basis=basis)
    indices, weights = mesh.interpolation(beta_x, beta_y, mesh.geometry(beta_x, beta_y))
    area = mask.grid.pixel_area / rays**2
    n = mask.n_pixels
    return uvl.Mapper(np.asarray(indices).reshape(n, -1), np.asarray(weights).reshape(n, -1) * area, mesh.n_source)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("basis", "rays"), [("bilinear", 1), ("bilinear", 3), ("spline", 2)])
def test_evidence_is_that_of_the_dense_normal(visibilities, mask, method, basis, rays):
    """ln E = ln N(d; 0, C + A L H^-1 L^T A^H), to 1e-8 relative (low rank drops 1e-10 of W)."""
    d = visibilities
    mapper = lens_mapper(mask, basis, rays)
    inversion = uvl.invert(uvl.normal_operator(d, mask, method), mapper, H)
    arguments = (d.u, d.v, d.weight, d.vis, mask.x, mask.y)
    expected = reference.dense_evidence(*arguments, np.asarray(mapper.dense()), H)
    assert np.isclose(inversion.log_evidence, expected, rtol=1e-8, atol=0)
    image = np.asarray(inversion.image)
    assert np.isclose(inversion.terms["chi_squared"], reference.chi_squared(*arguments, image), rtol=1e-9)
    total = inversion.terms["chi_squared"] + inversion.terms["regularization_term"]
    total += inversion.terms["log_det_curvature_reg_matrix"] - inversion.terms["log_det_regularization_matrix"]
    assert np.isclose(inversion.log_evidence, -0.5 * (total + inversion.terms["noise_normalization"]), rtol=1e-13)


def test_source_error_and_effective_parameters(visibilities, mask):
    """sqrt diag A^-1 and tr(A^-1 F), by explicit inverses."""
    inversion = uvl.invert(uvl.normal_operator(visibilities, mask), lens_mapper(mask), H)
    inverse = np.linalg.inv(np.asarray(inversion.curvature_matrix) + H)
    assert np.allclose(inversion.source_error, np.sqrt(np.diag(inverse)))
    assert np.isclose(inversion.effective_parameters, np.trace(inverse @ np.asarray(inversion.curvature_matrix)))


def test_invariances(visibilities, mask):
    """Order, conjugate pairs, and a visibility split in two of half the weight leave ln E (differences) alone."""
    d, mapper = visibilities, lens_mapper(mask)

    def ratio(data):
        return float(uvl.invert(uvl.normal_operator(data, mask), mapper, H).log_evidence_minus_null)

    first = ratio(d)
    order = np.random.default_rng(0).permutation(len(d))
    flip = np.where(np.arange(len(d)) % 2, 1.0, -1.0)
    conjugated = np.where(flip > 0, d.vis, d.vis.conj())
    split = d.select(np.repeat(np.arange(len(d)), 2)).with_weights_scaled(0.5)
    assert np.isclose(ratio(d.select(order)), first, rtol=1e-10)
    assert np.isclose(ratio(uvl.Visibilities(d.u * flip, d.v * flip, conjugated, d.weight)), first, rtol=1e-10)
    assert np.isclose(ratio(split), first, rtol=1e-10)


def test_phase_centre_shift_moves_the_model(visibilities):
    """Moving the phase centre by (dx, dy) and the mask by (-dx, -dy) changes nothing."""
    d, (dx, dy) = visibilities, (0.37, -0.21)
    phase = np.exp(-2j * np.pi * (d.u * dx + d.v * dy) * reference.ARCSEC)
    moved = uvl.Visibilities(d.u, d.v, d.vis * phase, d.weight)
    a = uvl.Mask.disc(0.8, 0.12, center=(0.1, 0.1))
    b = uvl.Mask.disc(0.8, 0.12, center=(0.1 - dx, 0.1 - dy))
    mapper = uvl.Mapper(np.arange(a.n_pixels)[:, None] % 30, np.ones((a.n_pixels, 1)), 30)
    results = [uvl.invert(uvl.normal_operator(*pair), mapper, H) for pair in ((d, a), (moved, b))]
    assert np.isclose(*(float(r.log_evidence_minus_null) for r in results), rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_positive_source_equals_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(9, 9))
    matrix, vector = root @ root.T + 0.01 * np.eye(9), rng.normal(size=9)
    solution = solve_positive(jnp.asarray(matrix), jnp.asarray(vector), jnp.ones(9, bool))
    assert bool(solution.converged)
    assert np.allclose(solution.source, reference.positive_minimum(matrix, vector), atol=1e-10)


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("n", [40, 200])
def test_positive_certificate_at_every_scale(n, scale):
    rng = np.random.default_rng(n)
    root = rng.normal(size=(n, n // 2))
    matrix = scale * (root @ root.T + 1e-6 * np.eye(n))
    vector = scale * rng.normal(size=n)
    allowed = np.ones(n, bool)
    allowed[::7] = False
    solution = jax.jit(solve_positive)(jnp.asarray(matrix), jnp.asarray(vector), jnp.asarray(allowed))
    s = np.asarray(solution.source)
    gradient = (matrix @ s - vector) / np.abs(vector).max()
    assert bool(solution.converged) and s.min() >= 0.0 and np.all(s[~allowed] == 0.0)
    assert np.abs(gradient[s > 0]).max() <= 1e-10
    assert gradient[(s == 0) & allowed].min() >= -1e-10


def test_device_and_host_pivoting_agree_and_vmap():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(3, 30, 30))
    matrices = root @ root.transpose(0, 2, 1) + 0.1 * np.eye(30)
    scale = np.stack([np.diag(m) for m in matrices]) ** -0.5
    matrices = matrices * scale[:, :, None] * scale[:, None, :]
    vectors, allowed = rng.normal(size=(3, 30)), np.ones(30, bool)
    device = jax.vmap(lambda m, v: _pivot_on_device(m, v, jnp.asarray(allowed), jnp.asarray(allowed), 300)[0])(
        jnp.asarray(matrices), jnp.asarray(vectors)
    )
    batched = jax.vmap(lambda m, v: solve_positive(m, v, jnp.asarray(allowed)).source)(
        jnp.asarray(matrices), jnp.asarray(vectors)
    )
    for i in range(3):
        host = positive_minimum(DenseSystem(matrices[i], vectors[i]), allowed).source
        assert np.allclose(device[i], host, atol=1e-12) and np.allclose(batched[i], host, atol=1e-12)


def test_positive_solver_gives_up_honestly():
    solution = solve_positive(jnp.eye(3) * jnp.nan, jnp.ones(3), jnp.ones(3, bool))
    assert not bool(solution.converged)


def test_fixed_zero_leaves_the_determinants_alone(visibilities, mask):
    normal, mapper, fixed = uvl.normal_operator(visibilities, mask), lens_mapper(mask), np.array([0, 5, 7])
    free, held = uvl.invert(normal, mapper, H), uvl.invert(normal, mapper, H, fixed_zero=fixed)
    assert np.all(np.asarray(held.source)[fixed] == 0.0)
    for key in ("log_det_curvature_reg_matrix", "log_det_regularization_matrix"):
        assert np.isclose(free.terms[key], held.terms[key], rtol=1e-13)
    keep = np.setdiff1d(np.arange(30), fixed)
    a = np.asarray(held.curvature_matrix) + H
    assert np.allclose(np.asarray(held.source)[keep], np.linalg.solve(a[np.ix_(keep, keep)], held.data_vector[keep]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("positive", [False, True])
def test_gradient_in_weights_and_strength(method, positive):
    """Every kind of non-zero weight, and lambda, to 1e-6 of the largest component."""
    d, mask = random_visibilities(80, seed=7, signal=20.0), uvl.Mask.disc(0.8, 0.12)
    normal, mapper = uvl.normal_operator(d, mask, method), lens_mapper(mask, "spline")
    n = mapper.n_source

    @jax.jit
    def value(weights, lam):
        log_det = n * jnp.log(lam) + np.linalg.slogdet(H)[1]
        allowed = jnp.ones(n, bool)
        bands = lam * bands_from_matrix(H)
        value = log_evidence_minus_null(normal, mapper.indices, weights, bands, allowed, allowed, positive)
        return value + 0.5 * log_det

    weights = jnp.asarray(mapper.weights)
    exact, exact_lam = jax.grad(value, (0, 1))(weights, 1.3)
    exact = np.asarray(exact).ravel()
    assert np.all(exact[np.asarray(weights).ravel() == 0.0] == 0.0)  # padding
    chosen = np.argsort(np.abs(exact))[[-1, -2, -100, -500, -1000]]
    flat = np.asarray(weights).ravel()

    def moved(p):
        changed = flat.copy()
        changed[chosen] = p
        return float(value(jnp.asarray(changed.reshape(weights.shape)), 1.3))

    numeric = reference.central_difference(moved, flat[chosen], 1e-4 * np.abs(flat).max())
    assert np.abs(exact[chosen] - numeric).max() < 1e-6 * np.abs(exact).max()
    numeric_lam = reference.central_difference(lambda p: float(value(weights, p[0])), [1.3], 1e-3)[0]
    assert abs(exact_lam - numeric_lam) < 1e-6 * abs(numeric_lam)


def test_strength_spectrum_gives_the_evidence_of_every_strength(visibilities, mask):
    normal, mapper = uvl.normal_operator(visibilities, mask), lens_mapper(mask)
    inversion = uvl.invert(normal, mapper, H)
    spectrum = strength_spectrum(inversion.curvature_matrix, inversion.data_vector, jnp.asarray(H))
    for lam in (1e-3, 1.0, 50.0):
        direct = uvl.invert(normal, mapper, lam * H)
        assert np.isclose(spectrum.log_evidence_minus_null(lam), direct.log_evidence_minus_null, rtol=1e-8)
        assert np.isclose(spectrum.effective_parameters(lam), direct.effective_parameters, rtol=1e-8)


@pytest.mark.parametrize("positive", [False, True])
def test_best_strength_maximises_the_evidence(mask, positive):
    lens = uvl.LensPlane([uvl.SIE(0.5, 0.15, -0.1, 0.02, 0.03), uvl.Shear(0.05, -0.02)])
    d = lensed_visibilities(150, 9, lens, center=(0.05, -0.05))
    normal, mapper = uvl.normal_operator(d, mask), lens_mapper(mask)
    inversion = uvl.invert(normal, mapper, H)
    arguments = (inversion.curvature_matrix, inversion.data_vector, jnp.asarray(H), 1e-8, 1e6)
    best = float(best_coefficient(*arguments, positive=positive))

    def evidence(lam):
        return float(uvl.invert(normal, mapper, lam * H, positive=positive).log_evidence_minus_null)

    assert 1e-7 < best < 1e5
    assert evidence(best) >= max(evidence(best * f) for f in (0.5, 0.9, 1.1, 2.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"h": np.eye(3)}, "regularization_matrix"),
        ({"h": np.zeros((30, 30))}, "positive definite"),
        ({"mask": uvl.Mask.disc(0.5, 0.12)}, "rows"),
    ],
)
def test_bad_input_is_named(visibilities, change, message):
    mask = uvl.Mask.disc(0.8, 0.12)
    normal = uvl.normal_operator(visibilities, change.get("mask", mask))
    with pytest.raises(uvl.InputError, match=message):
        uvl.invert(normal, lens_mapper(mask), change.get("h", H))


@pytest.mark.realdata
@pytest.mark.parametrize("method", ["direct", "fft"])
@pytest.mark.parametrize(
    ("data", "oracle", "positive"),
    [
        ("sma_190", "sma_190_bilinear20_constant_pos1_edges1", True),
        ("sma_190", "sma_190_uniform20_constant_pos0_edges1", False),
        ("alma_1e5", "alma_1e5_bilinear30_constant_pos0_edges1", False),
    ],
)
def test_pyautolens_matrices(data_folder, data, oracle, positive, method):
    """Fed with PyAutoLens's own mapper and H: its F, D and chi^2 terms (peer data, conjugated, rows flipped)."""
    folder = data_folder.parent / "peer"
    if not folder.is_dir():
        pytest.skip("no peer data")
    d, o = np.load(folder / f"{data}.npz"), np.load(folder / "oracle" / f"{oracle}.npz")
    expected = json.loads((folder / "oracle" / f"{oracle}.json").read_text())["terms"]
    kept = ~d["mask"]
    numbers = np.full(kept.shape, -1)
    numbers[kept] = np.arange(kept.sum())
    mask = uvl.Mask.from_array(kept[::-1], float(d["pixel_scale"]))
    order = numbers[::-1][kept[::-1]]  # their slim index of each of our pixels
    entries = np.arange(o["pix_weights_for_sub_slim_index"].shape[1]) < o["pix_sizes_for_sub_slim_index"][:, None]
    weights = np.where(entries, o["pix_weights_for_sub_slim_index"], 0.0)[order]
    indices = np.where(entries, o["pix_indexes_for_sub_slim_index"], 0)[order]
    mapper = uvl.Mapper(indices, weights, len(o["data_vector"]))
    u, v = d["uv_wavelengths"].T
    vis = uvl.Visibilities(u, v, d["data"].conj(), d["sigma"] ** -2.0)
    fixed = o["zeroed_pixels"] if positive else None
    normal = uvl.normal_operator(vis, mask, method)
    inversion = uvl.invert(normal, mapper, o["regularization_matrix"], positive, fixed_zero=fixed)
    scale = np.abs(o["curvature_matrix"]).max()
    assert np.abs(inversion.curvature_matrix - o["curvature_matrix"]).max() < 1e-8 * scale
    assert np.abs(inversion.data_vector - o["data_vector"]).max() < 1e-8 * np.abs(o["data_vector"]).max()
    terms = inversion.terms
    tolerance = 1e-6 if positive else 1e-8
    assert np.isclose(terms["chi_squared"], expected["chi_squared"], rtol=tolerance)
    assert np.isclose(terms["regularization_term"], expected["regularization_term"], rtol=tolerance)
    name = "log_det_curvature_reg_matrix"
    assert np.isclose(terms[name], expected[f"{name}_term"], rtol=1e-8)
    assert np.isclose(terms["noise_normalization"], expected["noise_normalization"], rtol=1e-10)
    # their ln det H carries an absolute 1e-8 on the diagonal
    assert abs(inversion.log_evidence - expected["log_evidence"]) < 0.5
    s, theirs = np.asarray(inversion.source), o["reconstruction"]
    if not positive:
        assert np.abs(s - theirs).max() < 1e-8 * np.abs(theirs).max()
        return
    allowed = np.ones(len(s), bool)
    allowed[fixed] = False
    gradient = (o["curvature_matrix"] + o["regularization_matrix"]) @ s - o["data_vector"]
    gradient /= np.abs(o["data_vector"]).max()
    assert s.min() >= 0.0 and np.all(s[~allowed] == 0.0)
    assert np.abs(gradient[s > 0.0]).max() <= 1e-10 and gradient[allowed & (s == 0.0)].min() >= -1e-10
    assert np.abs(s - theirs).max() < 1e-5 * theirs.max()  # their solver stops earlier
