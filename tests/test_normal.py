"""The normal operator against its definition: W, the dirty image, the constants, sums, files."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import random_visibilities

import uvlens as uvl
from uvlens.normal.compensated import CompensatedSum

METHODS = ["fft", "lowrank"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("backend", ["finufft", "dft"])
def test_w_and_dirty_image_equal_the_definition(visibilities, mask, method, backend):
    d = visibilities
    normal = uvl.normal_operator(d, mask, method, backend=backend)
    w = reference.normal_matrix(d.u, d.v, d.weight, mask.x, mask.y)
    dirty = reference.dirty_image(d.u, d.v, d.weight, d.vis, mask.x, mask.y)
    assert np.abs(normal.dense() - w).max() < 1e-10 * np.abs(w).max()
    assert np.abs(normal.dirty_image - dirty).max() < 1e-10 * np.abs(dirty).max()
    x = np.random.default_rng(0).normal(size=(mask.n_pixels, 37))
    # low rank leaves 1e-10 of the diagonal
    tolerance = 1e-10 if method == "fft" else 1e-8
    assert np.abs(normal.apply(jnp.asarray(x)) - w @ x).max() < tolerance * np.abs(w @ x).max()


def test_kernel_gives_w_by_offsets(visibilities, mask):
    normal = uvl.normal_operator(visibilities, mask, "fft")
    ny, nx = mask.grid.shape
    kernel = np.asarray(normal.kernel)
    assert kernel.shape == (2 * ny - 1, 2 * nx - 1)
    i, j = 0, mask.n_pixels - 1
    row, column = mask.rows[i] - mask.rows[j] + ny - 1, mask.columns[i] - mask.columns[j] + nx - 1
    assert np.isclose(kernel[row, column], normal.dense()[i, j], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_products_with_a_mapper(visibilities, mask, method):
    rng = np.random.default_rng(4)
    operator = rng.normal(size=(mask.n_pixels, 7))
    right = rng.normal(size=(7, 5))
    d = visibilities
    w = reference.normal_matrix(d.u, d.v, d.weight, mask.x, mask.y)
    normal = uvl.normal_operator(d, mask, method)

    @jax.jit
    def products(normal, operator, right):
        transformed = normal.transform(operator)
        return normal.curvature(operator, transformed), normal.pullback(transformed, right)

    curvature, pullback = products(normal, jnp.asarray(operator), jnp.asarray(right))
    assert np.abs(curvature - operator.T @ w @ operator).max() < 1e-8 * np.abs(curvature).max()
    assert np.abs(pullback - w @ operator @ right).max() < 1e-8 * np.abs(pullback).max()


def test_constants(visibilities, mask):
    d = visibilities
    reduction = uvl.normal_operator(d, mask).reduction
    assert np.isclose(float(reduction.null_chi_squared), np.sum(d.weight * np.abs(d.vis) ** 2), rtol=1e-14)
    assert np.isclose(float(reduction.noise_normalization), 2 * np.sum(np.log(2 * np.pi / d.weight)), rtol=1e-13)
    assert np.isclose(reduction.sum_weight, d.weight.sum(), rtol=1e-12)
    assert reduction.n_visibilities == len(d)


def test_compensated_sum_keeps_what_float64_drops():
    total = CompensatedSum.of(np.array([1e16, 1.0, 1e-3])) + CompensatedSum.of(np.array([-1e16, 2.0]))
    assert abs(float(total) - 3.001) < 1e-12
    # 1e-3 added a million times to 1e9: a running float64 sum is off by 1e-2 or so
    parts = CompensatedSum.of(np.array([1e9]))
    for _ in range(100):
        parts += CompensatedSum.of(np.full(10_000, 1e-3))
    assert abs((parts.leading - 1e9) + parts.remainder - 1000.0) < 1e-9


@pytest.mark.parametrize("method", METHODS)
def test_operators_add_over_data_sets(mask, method):
    a, b = random_visibilities(40, seed=1), random_visibilities(50, seed=2)
    both = uvl.normal_operator([a, b], mask, method)
    summed = uvl.normal_operator(a, mask, method) + uvl.normal_operator(b, mask, method)
    joined = uvl.Visibilities(*(np.concatenate([getattr(a, k), getattr(b, k)]) for k in ("u", "v", "vis", "weight")))
    direct = uvl.normal_operator(joined, mask, method)
    for other in (both, summed):
        assert np.allclose(other.dense(), direct.dense(), rtol=0, atol=1e-9 * np.abs(direct.dense()).max())
        assert np.allclose(other.dirty_image, direct.dirty_image)
        assert np.isclose(other.reduction.log_evidence_null, direct.reduction.log_evidence_null, rtol=1e-13)
        assert np.isclose(other.reduction.resolution_area, direct.reduction.resolution_area, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_primary_beams_of_two_data_sets(mask, method):
    """W = P1 W1 P1 + P2 W2 P2, d~ = P1 d1 + P2 d2."""
    sets = [random_visibilities(30, seed=s, primary_beam=f) for s, f in ((1, 3.0), (2, 2.0))]
    w, dirty = 0.0, 0.0
    for d in sets:
        beam = np.exp(-4 * np.log(2) * (mask.x**2 + mask.y**2) / d.primary_beam_fwhm**2)
        w = w + beam[:, None] * reference.normal_matrix(d.u, d.v, d.weight, mask.x, mask.y) * beam
        dirty = dirty + beam * reference.dirty_image(d.u, d.v, d.weight, d.vis, mask.x, mask.y)
    normal = uvl.normal_operator(sets, mask, method)
    identity = jnp.eye(mask.n_pixels)
    assert np.abs(normal.apply(identity) - w).max() < 1e-8 * np.abs(w).max()
    assert np.allclose(normal.dirty_image, dirty)


def test_pixel_window_divides_by_the_response_of_a_pixel(mask):
    """chi^2 with the window is that of the model divided by sinc(u dx) sinc(v dx)."""
    d = random_visibilities(50, seed=5)
    step = mask.grid.pixel_scale * reference.ARCSEC
    window = np.sinc(d.u * step) * np.sinc(d.v * step)
    image = np.random.default_rng(6).random(mask.n_pixels) * 0.1
    model = reference.fourier_matrix(d.u, d.v, mask.x, mask.y) @ image / window
    expected = np.sum(d.weight * np.abs(d.vis - model) ** 2)
    normal = uvl.normal_operator(d, mask, "fft", pixel_window=True)
    product = np.asarray(normal.apply(jnp.asarray(image)[:, None]))[:, 0]
    found = float(normal.reduction.null_chi_squared) - 2 * image @ np.asarray(normal.dirty_image) + image @ product
    assert np.isclose(found, expected, rtol=1e-10)


@pytest.mark.parametrize("method", METHODS)
def test_save_and_load(visibilities, mask, method, tmp_path):
    beamed = dataclasses.replace(visibilities, primary_beam=5.0)
    normal = uvl.normal_operator(beamed, mask, method)
    normal.save(tmp_path / "normal.npz")
    loaded = uvl.load_normal_operator(tmp_path / "normal.npz")
    assert loaded.method == method
    assert np.array_equal(loaded.dense(), normal.dense())
    assert np.array_equal(loaded.dirty_image, normal.dirty_image)
    assert loaded.reduction.log_evidence_null == normal.reduction.log_evidence_null
    assert loaded.reduction.hashes == normal.reduction.hashes


def test_hash_follows_data_mask_and_options(visibilities, mask):
    def hash_of(data, mask, **options):
        return uvl.normal_operator(data, mask, "fft", **options).reduction.hashes

    first = hash_of(visibilities, mask)
    vis = visibilities.vis.copy()
    vis[3] += 1e-12
    kept = mask.kept.copy()
    kept[np.unravel_index(np.flatnonzero(kept)[0], kept.shape)] = False
    assert hash_of(visibilities, mask) == first
    assert hash_of(dataclasses.replace(visibilities, vis=vis), mask) != first
    assert hash_of(visibilities, uvl.Mask(mask.grid, kept)) != first
    assert hash_of(visibilities, mask, pixel_window=True) != first


def test_flagged_visibilities_change_nothing(visibilities, mask):
    weight = np.concatenate([visibilities.weight, [0.0, 0.0]])
    extra = {k: np.concatenate([getattr(visibilities, k), [1e3, 2e3]]) for k in ("u", "v")}
    vis = np.concatenate([visibilities.vis, [1e6, -1e6]])
    flagged = uvl.normal_operator(uvl.Visibilities(vis=vis, weight=weight, **extra), mask)
    plain = uvl.normal_operator(visibilities, mask)
    assert np.array_equal(flagged.dirty_image, plain.dirty_image)
    assert flagged.reduction.n_visibilities == len(visibilities)


def test_coarse_pixels_are_warned_about(visibilities):
    with pytest.warns(uvl.UVLensWarning, match="undersample"):
        uvl.normal_operator(visibilities, uvl.Mask.disc(2.0, 0.5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: uvl.normal_operator(d, uvl.Mask.disc(1.0, 0.1, center=(900.0, 0.0))), "outside the field"),
        (lambda d: uvl.normal_operator(d, uvl.Mask.disc(1.0, 0.1), "cholesky"), "method"),
        (lambda d: uvl.normal_operator([], uvl.Mask.disc(1.0, 0.1)), "at least one"),
        (lambda d: uvl.normal_operator(d, uvl.Mask.disc(1.0, 0.1), primary_beam="airy"), "primary_beam"),
        (
            lambda d: uvl.normal_operator(
                dataclasses.replace(d, primary_beam=10.0), uvl.Mask.disc(1.0, 0.1, center=(15.0, 0.0))
            ),
            "primary beam",
        ),
    ],
)
def test_bad_input_is_named(visibilities, call, message):
    with pytest.raises(uvl.InputError, match=message):
        call(visibilities)
