"""Images: W = B^T N^-1 B against dense matrices, its implementations against each other, joint operators."""

import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from conftest import random_visibilities

import uvlens as uvl
from uvlens.compiled import Compiled
from uvlens.inversion import host, log_evidence_minus_null
from uvlens.inversion.evidence import _on_device
from uvlens.normal import SourceSize, operator_from_reduction, suited
from uvlens.normal.joint import joint_operator
from uvlens.normal.psf import PSFNormalOperator, seconds
from uvlens.normal.psf_reduction import ImagingReduction, blurring_mask
from uvlens.normal.sparse import SparseLens

METHODS = ["direct", "fft"]
in_jax = eqx.filter_jit(_on_device)
LENS = [uvl.SIE(uvl.Uniform(0.3, 0.9), 0.15, -0.1, 0.02, 0.03), uvl.Shear(uvl.Normal(0.0, 0.1), -0.02)]
L_SHAPED = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.0, 0.0], [0.1, 0.5, 0.0], [0.0, 0.2, 0.0]])


def disc(shape=(18, 21), radius=0.75, scale=0.1):
    """A disc on a grid of odd and even sides."""
    grid = uvl.PixelGrid(shape, scale, (0.05, -0.1))
    x, y = grid.coordinates()
    return uvl.Mask(grid, np.hypot(x - 0.05, y + 0.1) < radius)


def image_of(mask, psf=None, seed=0, **options):
    """An ImagingReduction of noise with a bright corner, weights of all sizes, some of them 0."""
    rng = np.random.default_rng(seed)
    psf = rng.random((5, 7)) if psf is None else psf
    noise = rng.uniform(0.5, 1.5, mask.grid.shape)
    weight = np.where(rng.random(mask.grid.shape) < 0.1, 0.0, noise**-2)
    image = rng.normal(size=mask.grid.shape) + 3.0 * (mask.grid.coordinates()[0] > 0.2)
    return ImagingReduction.of(image, noise, psf / psf.sum(), mask, weight=weight, **options)


def random_mapper(n_pixels, n_source=19, dense=2, seed=1):
    """Few neighbouring sources a pixel, repeated and zero entries, and `dense` sources that every pixel sees."""
    rng = np.random.default_rng(seed)
    near = (np.arange(n_pixels)[:, None] // 9 + rng.integers(0, 3, (n_pixels, 5))) % (n_source - dense)
    everywhere = np.tile(np.arange(n_source - dense, n_source), (n_pixels, 1))
    indices = np.concatenate([near, everywhere], axis=1).astype(np.int32)
    weights = rng.random(indices.shape) * (rng.random(indices.shape) > 0.1)
    return uvl.Mapper(indices, weights, n_source)


def dense_blur(reduction):
    """B by the double loop, positions from the coordinates of both masks."""
    mask, data, scale = reduction.mask, reduction.data_mask, reduction.mask.grid.pixel_scale

    def number(values, first):
        return np.rint((values - first) / scale).astype(int)

    at = [number(values, data.y.min()) for values in (mask.y, data.y)]
    across = [number(values, data.x.min()) for values in (mask.x, data.x)]
    return reference.psf_matrix(reduction.psf, at[0], across[0], at[1], across[1])


def spd(n, seed=2):
    """A well-conditioned H."""
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T / n + np.eye(n)


@pytest.fixture
def reduction():
    """A small image."""
    return image_of(disc())


def test_dense_matrices(reduction):
    """d~, W, its diagonal and the constants from B and N as they are defined."""
    blur = dense_blur(reduction)
    assert np.abs(reduction.dense_blur() - blur).max() == 0.0
    normal = (blur.T * reduction.weight) @ blur
    assert np.abs(reduction.dense() - normal).max() < 1e-14
    assert np.abs(reduction.diagonal - np.diag(normal)).max() < 1e-14
    assert np.abs(reduction.dirty_image - blur.T @ (reduction.weight * reduction.data)).max() < 1e-13
    used = reduction.weight > 0.0
    chi_squared = np.sum(reduction.data[used] ** 2 * reduction.weight[used])
    assert abs(float(reduction.null_chi_squared) - chi_squared) < 1e-10
    constant = np.sum(np.log(2.0 * np.pi / reduction.weight[used]))
    assert abs(float(reduction.noise_normalization) - constant) < 1e-10
    assert abs(reduction.log_evidence_null + 0.5 * (chi_squared + constant)) < 1e-10
    assert reduction.n_real_data == np.count_nonzero(used) < reduction.data_mask.n_pixels
    assert (reduction.n_visibilities, reduction.kind, reduction.pixel_window) == (0, "image", False)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("psf", ["random", "L", "larger than the mask", "one pixel"])
def test_products_are_those_of_dense_matrices(method, psf):
    """F and W L X at the entries of L, kept or made again, in compiled code and in JAX."""
    shapes = {"random": None, "L": L_SHAPED, "larger than the mask": np.random.default_rng(5).random((31, 29))}
    reduction = image_of(disc(), shapes.get(psf, np.ones((1, 1))))
    mapper = random_mapper(reduction.mask.n_pixels)
    lensing, blur = np.asarray(mapper.dense()), dense_blur(reduction)
    normal = (blur.T * reduction.weight) @ blur
    expected = lensing.T @ normal @ lensing
    right = spd(mapper.n_source, 7) - 2.0
    pulled = normal @ lensing @ right
    operator = operator_from_reduction(reduction, method)
    assert operator.method == method and operator.rank is None
    lens = SparseLens.of(mapper.indices, mapper.weights, mapper.n_source)
    at_entries = pulled[np.repeat(np.arange(lens.n_pixels), np.diff(lens.row_start)), lens.source]
    for keep in (True, False):
        curvature, kept = operator.products.curvature(lens, keep)
        assert np.abs(np.tril(curvature - expected)).max() < 1e-12 * expected.max()
        entries = operator.products.pullback(lens, kept, right)
        assert np.abs(entries - at_entries).max() < 1e-12 * np.abs(pulled).max()

    def products(operator, lensing):
        transformed = operator.transform(lensing)
        return operator.curvature(lensing, transformed), operator.pullback(transformed, right), operator.apply(lensing)

    for function in (eqx.filter_jit(products), *([products] if psf == "random" else [])):
        for found, wanted in zip(function(operator, lensing), (expected, pulled, normal @ lensing)):
            assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()
    assert np.abs(operator.predict(lensing) - blur @ lensing).max() < 1e-13
    assert np.abs(reduction.predict(lensing[:, 3]) - blur @ lensing[:, 3]).max() < 1e-13


@pytest.mark.parametrize("method", METHODS)
def test_pixels_that_see_no_source(reduction, method):
    """Rays beyond the mesh have weight 0: tiles without a source, and an L of zeros."""
    mapper = random_mapper(reduction.mask.n_pixels, dense=0)
    products = operator_from_reduction(reduction, method).products
    for weights in (mapper.weights * (reduction.mask.y > 0.2)[:, None], 0.0 * mapper.weights):
        lens = SparseLens.of(mapper.indices, weights, 19)
        lensing = np.asarray(uvl.Mapper(mapper.indices, weights, 19).dense())
        curvature, kept = products.curvature(lens, True)
        assert np.abs(np.tril(curvature - lensing.T @ reduction.dense() @ lensing)).max() < 1e-12
        pulled = reduction.dense() @ lensing @ spd(19)
        expected = pulled[np.repeat(np.arange(lens.n_pixels), np.diff(lens.row_start)), lens.source]
        assert np.abs(products.pullback(lens, kept, spd(19)) - expected).max(initial=0.0) < 1e-12


def test_large_problems_in_pieces(reduction, monkeypatch):
    """T built in several groups, and tiles that see more sources than a first buffer holds."""
    from uvlens.normal import psf_products

    mapper = random_mapper(reduction.mask.n_pixels, n_source=600, dense=0)
    lens = SparseLens.of(mapper.indices, mapper.weights, mapper.n_source)
    products = operator_from_reduction(reduction, "direct").products
    curvature, kept = products.curvature(lens, True)
    right = spd(600)
    entries = products.pullback(lens, kept, right)
    monkeypatch.setattr(psf_products, "_LARGEST_GROUP", 2**14)
    monkeypatch.setattr(psf_products, "LARGEST_KEPT", 2**10)
    pieces, kept = products.curvature(lens, True)
    assert len(psf_products._groups(kept[1])) > 1 and kept[1][0].tiles is None
    assert np.abs(np.tril(curvature - pieces)).max() < 1e-13 * curvature.max()
    assert np.abs(products.pullback(lens, kept, right) - entries).max() < 1e-13 * np.abs(entries).max()


@pytest.mark.parametrize("method", METHODS)
def test_evidence_is_the_multivariate_normal(reduction, method):
    """ln E with every constant = ln N(d; 0, B L H^-1 L^T B^T + N) of the pixels that have a weight; chi^2 too."""
    mapper, h = random_mapper(reduction.mask.n_pixels), spd(19)
    inversion = uvl.invert(operator_from_reduction(reduction, method), mapper, h)
    used = reduction.weight > 0.0
    response = (dense_blur(reduction) @ np.asarray(mapper.dense()))[used]
    data, variance = reduction.data[used], 1.0 / reduction.weight[used]
    expected = reference.gaussian_evidence(data, variance, response, h)
    assert abs(inversion.log_evidence - expected) < 1e-9 * abs(expected)
    source = np.linalg.solve((response.T / variance) @ response + h, response.T @ (data / variance))
    assert np.abs(inversion.source - source).max() < 1e-11 * np.abs(source).max()
    chi_squared = np.sum((data - response @ source) ** 2 / variance)
    assert abs(inversion.terms["chi_squared"] - chi_squared) < 1e-9 * chi_squared


def model_of(normal, positive=False, basis="spline"):
    """(model, vector) of a lens seen by an image."""
    source = uvl.PixelSource(uvl.RectangularMesh(8, 7, basis=basis), uvl.Gradient(uvl.LogUniform(1e-6, 1e6)), positive)
    return uvl.Model(normal, LENS, source, rays=2), jnp.array([0.52, 0.04, 3e-2])


@pytest.mark.parametrize("positive", [False, True])
def test_every_way_to_a_gradient(reduction, positive):
    """Direct = FFT = JAX to 1e-10, jit = eager, and central differences of ln E."""
    model, vector = model_of(operator_from_reduction(reduction, "direct"), positive)
    jitted = Compiled(lambda model, vector: jax.value_and_grad(model.log_evidence_minus_null)(vector), model)
    value, gradient = jitted(vector)
    expected = reference.central_difference(lambda v: float(jitted(jnp.asarray(v))[0]), vector, 1e-5)
    assert np.abs(gradient - expected).max() < 1e-6 * np.abs(expected).max()
    mapper, bands, log_det = model.linear_problem(vector)
    everywhere = jnp.ones(model.n_source, bool)
    arguments = (mapper.indices, mapper.weights, bands, everywhere, everywhere)
    device = in_jax(model.normal, *arguments, positive, True)
    assert abs(device[0] + 0.5 * log_det - value) < 1e-10 * abs(value)
    for method in METHODS:
        products = operator_from_reduction(reduction, method).products
        found = host.evidence(products, reduction.dirty_image, *map(np.asarray, arguments), positive, True)
        assert abs(found.value - device[0]) < 1e-10 * abs(device[0])
        assert np.abs(found.weights_bar - device[1]).max() < 1e-9 * np.abs(device[1]).max()
        assert np.abs(found.bands_bar - device[2]).max() < 1e-9 * np.abs(device[2]).max()


def test_orientation_of_an_asymmetric_psf():
    """A point 3 pixels East and 2 North of the middle: the PSF itself about it, not turned, not shifted."""
    grid = uvl.PixelGrid((15, 15), 0.1)
    mask = uvl.Mask(grid, np.ones(grid.shape, bool))
    reduction = ImagingReduction.of(np.zeros(grid.shape), np.ones(grid.shape), L_SHAPED, mask, model_mask=mask)
    point = np.isclose(mask.x, 0.3) & np.isclose(mask.y, 0.2)
    assert np.count_nonzero(point) == 1
    image = mask.to_image(reduction.predict(1.0 * point))
    expected = np.zeros(grid.shape)
    for p in range(5):
        for q in range(3):
            expected[9 + p - 2, 10 + q - 1] = L_SHAPED[p, q]
    assert np.abs(image - expected).max() < 1e-14
    assert image[8, 9] == pytest.approx(0.1) and image[10, 11] == pytest.approx(0.0, abs=1e-14)  # West, not East of it


def test_pixels_of_weight_zero_have_no_influence(reduction):
    """Whatever stands there (NaN too): the same F, D and constants, as if the pixel were not in the mask."""
    mask = disc()
    rng = np.random.default_rng(3)
    image, noise = rng.normal(size=mask.grid.shape), rng.uniform(0.5, 1.5, mask.grid.shape)
    out = mask.kept & (rng.random(mask.grid.shape) < 0.3)
    weight = np.where(out, 0.0, noise**-2)
    psf = rng.random((3, 5))
    model_mask = blurring_mask(mask, psf)
    mapper = random_mapper(model_mask.n_pixels)
    lens = SparseLens.of(mapper.indices, mapper.weights, mapper.n_source)
    found = []
    for value in (0.0, 1e6, np.nan):
        image[out], noise[out] = value, -value
        found.append(ImagingReduction.of(image, noise, psf, mask, weight=weight, model_mask=model_mask))
    kept = uvl.Mask(mask.grid, mask.kept & ~out)
    found.append(ImagingReduction.of(image, noise, psf, kept, model_mask=model_mask))
    for method in METHODS:
        curvatures = [operator_from_reduction(one, method).products.curvature(lens, False)[0] for one in found]
        assert all(np.array_equal(one, curvatures[0]) for one in curvatures[:3])
        assert np.abs(np.tril(curvatures[3] - curvatures[0])).max() < 1e-13 * curvatures[0].max()
    for one in found[1:]:
        assert np.abs(one.dirty_image - found[0].dirty_image).max() < 1e-12
        assert one.log_evidence_null == pytest.approx(found[0].log_evidence_null, rel=1e-14)
        assert one.n_real_data == found[0].n_real_data
        assert one.sum_weight == pytest.approx(found[0].sum_weight, rel=1e-12)


def test_model_mask_has_the_pixels_that_scatter_light_in():
    """Exactly the columns of B that are not zero, and the fitted pixels; beyond the image where it ends."""
    mask = disc(radius=2.0)
    reduction = image_of(mask, L_SHAPED)
    assert mask.kept.all() and reduction.mask.grid.shape == (22, 23)  # 1 and 2 more on both sides
    everything = uvl.Mask(reduction.mask.grid, np.ones(reduction.mask.grid.shape, bool))
    blur = dense_blur(image_of(mask, L_SHAPED, model_mask=everything))
    inside = np.isin(
        np.flatnonzero(everything.kept),
        np.flatnonzero(np.pad(mask.kept, ((2, 2), (1, 1)))),
    )
    assert np.array_equal(reduction.mask.kept.ravel(), (blur != 0.0).any(axis=0) | inside)
    small = blurring_mask(disc(radius=0.3), L_SHAPED)
    assert small.grid == disc().grid  # no larger than it has to be
    clipped = image_of(mask, L_SHAPED, model_mask=mask)
    both = np.isin(np.arange(reduction.mask.n_pixels), np.flatnonzero(inside[reduction.mask.kept.ravel()]))
    assert np.abs(clipped.dense() - reduction.dense()[np.ix_(both, both)]).max() < 1e-14
    assert np.array_equal(reduction.restrict(mask).dirty_image, clipped.dirty_image)


def test_units_of_a_strength():
    """Uniform noise: sum_weight = sum psf^2 / sigma^2, Omega_N = pixel area / sum psf^2, whatever unit the flux has."""
    mask = disc((40, 40), 1.5)
    psf = np.random.default_rng(4).random((5, 5))
    psf /= psf.sum()
    image, noise = np.ones(mask.grid.shape), np.full(mask.grid.shape, 0.5)
    one = ImagingReduction.of(image, noise, psf, uvl.Mask(mask.grid, np.ones((40, 40), bool)))
    # fitted pixels near the edge are seen by fewer data: the interior has the closed form
    middle = np.hypot(one.mask.x - 0.05, one.mask.y + 0.1) < 0.5
    assert np.abs(one.diagonal[middle] - np.sum(psf**2) / 0.25).max() < 1e-13
    assert one.sum_weight == pytest.approx(np.sum(psf**2) / 0.25, rel=0.1)
    assert one.resolution_area == pytest.approx(0.01 / np.sum(psf**2), rel=1e-12)
    vector = jnp.array([0.52, 0.04, 0.3])
    values, terms = [], []
    for unit in (1.0, 1e-3):
        reduction = ImagingReduction.of(unit * image, unit * noise, psf, mask)
        model = model_of(operator_from_reduction(reduction))[0]
        values.append(float(model.log_evidence_minus_null(vector)))
        terms.append(reduction.sum_weight * reduction.resolution_area**2 * unit**2)
    assert values[0] == pytest.approx(values[1], rel=1e-10) and terms[0] == pytest.approx(terms[1], rel=1e-12)


@pytest.mark.filterwarnings("ignore:pixels of")
def test_imaging_equals_visibilities():
    """The same noise and PSF told as visibilities of a cyclic box: the same ln E differences, source and gradient.

    Blurred, the n x n image is V(u) = sum_x Bhat(u) I(x) exp(2 pi i u.x) on the n^2 frequencies of the box, in white
    noise of variance n^2 sigma^2 / 2 a part and with every frequency there twice (u and -u): V / Bhat with weight
    |Bhat|^2 / (n^2 sigma^2) is what is measured of the sky.
    """
    n, scale, sigma = 18, 0.1, 0.4
    grid = uvl.PixelGrid((n, n), scale)
    mask = uvl.Mask(grid, np.hypot(*grid.coordinates()) < 0.55)  # far enough from the edges that nothing wraps
    box = uvl.Mask(grid, np.ones((n, n), bool))
    rng = np.random.default_rng(8)
    offset = np.arange(5) - 2
    psf = np.exp(-0.5 * (offset[:, None] ** 2 + (offset + 0.3 * offset[:, None]) ** 2) / 0.55**2)
    psf /= psf.sum()
    sky = np.zeros(mask.n_pixels)
    sky[rng.integers(0, mask.n_pixels, 12)] = 6.0
    blank = np.full(grid.shape, sigma)
    exact = ImagingReduction.of(np.zeros(grid.shape), blank, psf, box, model_mask=mask)
    image = box.to_image(exact.predict(sky)) + sigma * rng.normal(size=grid.shape)
    reduction = ImagingReduction.of(image, blank, psf, box, model_mask=mask)
    frequency = np.fft.fftfreq(n, scale * np.pi / 180.0 / 3600.0)
    v, u = (f.ravel() for f in np.meshgrid(frequency, frequency, indexing="ij"))
    spread = reference.fourier_matrix(u, v, scale * np.tile(offset, 5), scale * np.repeat(offset, 5)) @ psf.ravel()
    vis = reference.fourier_matrix(u, v, box.x, box.y) @ image.ravel() / spread
    weight = np.abs(spread) ** 2 / (n**2 * sigma**2)
    data = uvl.Visibilities(u=u, v=v, vis=vis, weight=weight)
    radio = uvl.normal_operator(data, mask, "fft", primary_beam="none")
    operator = operator_from_reduction(reduction, "direct")
    assert np.abs(radio.dense() - reduction.dense()).max() < 1e-6 * reduction.dense().max()
    assert np.abs(radio.dirty_image - operator.dirty_image).max() < 1e-6 * np.abs(operator.dirty_image).max()
    null_difference = float(radio.reduction.null_chi_squared) - float(reduction.null_chi_squared)
    assert abs(null_difference) < 1e-6 * float(reduction.null_chi_squared)
    values = []
    for shear in (0.0, 0.05):
        beta = uvl.LensPlane([uvl.SIE(0.3, 0.1, 0.05), uvl.Shear(shear, 0.0)]).ray_trace(*mask.rays(2))
        mesh = uvl.RectangularMesh(6, 6)
        indices, weights = mesh.interpolation(*beta, mesh.geometry(*beta))
        mapper = uvl.Mapper(indices.reshape(len(sky), -1), weights.reshape(len(sky), -1) / 4, 36)
        for positive in (False, True) if shear else (False,):
            one, other = (uvl.invert(w, mapper, 0.3 * spd(36), positive) for w in (operator, radio))
            assert np.abs(one.source - other.source).max() < 1e-6 * np.abs(one.source).max()
            values.append((float(one.log_evidence_minus_null), float(other.log_evidence_minus_null)))
    assert all(abs(a - b) < 1e-6 * max(1.0, abs(a)) for a, b in values)
    assert abs(values[0][0] - values[1][0]) > 0.1  # the two models are told apart


@pytest.mark.parametrize("order", [0, 1])
def test_joint_is_the_sum_of_its_parts(order):
    """An image and visibilities, one source: ln E with constants and F by dense matrices, device = host."""
    reduction, mask, data = image_of(disc()), uvl.Mask.disc(0.5, 0.13), random_visibilities(40)
    parts = [operator_from_reduction(reduction, "direct"), uvl.normal_operator(data, mask, "direct")][:: 1 - 2 * order]
    joint = joint_operator(parts)
    assert joint.n_pixels == reduction.mask.n_pixels + mask.n_pixels and joint.mask is None
    assert joint.method == "direct + direct" and "data, joint" in repr(joint)
    mapper, h = random_mapper(joint.n_pixels), spd(19)
    blur, sky = dense_blur(reduction), reference.fourier_matrix(data.u, data.v, mask.x, mask.y)
    lensing = np.asarray(mapper.dense())
    rows = np.split(lensing, joint.edges[1:-1])
    used = reduction.weight > 0.0
    of_image = ((blur @ rows[order])[used], reduction.data[used], 1.0 / reduction.weight[used])
    of_sky = sky @ rows[1 - order]
    response = np.concatenate([of_image[0], of_sky.real, of_sky.imag])
    real_data = np.concatenate([of_image[1], data.vis.real, data.vis.imag])
    variance = np.concatenate([of_image[2], 1.0 / data.weight, 1.0 / data.weight])
    inversion = uvl.invert(joint, mapper, h)
    expected = reference.gaussian_evidence(real_data, variance, response, h)
    assert abs(inversion.log_evidence - expected) < 1e-8 * abs(expected)
    assert joint.reduction.n_real_data == len(real_data) and joint.reduction.n_visibilities == 40
    assert len(joint.reduction.hashes) == len(joint.reduction.observations) == 2
    normal = joint.reduction.dense()
    curvature = lensing.T @ normal @ lensing
    assert np.abs(inversion.curvature_matrix - curvature).max() < 1e-9 * curvature.max()
    assert np.abs(joint.apply(lensing) - normal @ lensing).max() < 1e-9 * np.abs(normal @ lensing).max()
    everywhere = jnp.ones(19, bool)
    bands = jnp.asarray(uvl.inversion.bands_from_matrix(h))

    @jax.jit
    def value(weights):
        return log_evidence_minus_null(joint, mapper.indices, weights, bands, everywhere, everywhere, False)

    weights = jnp.asarray(mapper.weights)
    found, gradient = jax.jit(jax.value_and_grad(value))(weights)
    device = in_jax(joint, mapper.indices, weights, bands, everywhere, everywhere, False, True)
    assert abs(found - device[0]) < 1e-9 * abs(found)
    assert np.abs(gradient - device[1]).max() < 1e-9 * np.abs(gradient).max()
    direction = jnp.asarray(np.random.default_rng(6).normal(size=weights.shape)) * (weights != 0.0)
    slope = reference.central_difference(lambda t: float(value(weights + t[0] * direction)), [0.0], 1e-4)[0]
    assert abs(jnp.sum(gradient * direction) - slope) < 1e-6 * abs(slope)


def test_joint_refuses_what_it_cannot():
    with pytest.raises(uvl.InputError, match="at least one"):
        joint_operator([])
    operator = operator_from_reduction(image_of(disc()), "direct")
    with pytest.raises(uvl.InputError, match="joint_operator"):
        joint_operator([operator]) + operator
    with pytest.raises(uvl.InputError, match="separate"):
        operator + operator
    with pytest.raises(uvl.InputError, match="dense"):
        _ = operator.kernel


def test_save_and_load(reduction, tmp_path):
    """Bit for bit, hashes and header; load_normal_operator and Reduction.load tell the kinds apart."""
    from uvlens.normal import Reduction

    operator = operator_from_reduction(reduction, "direct")
    operator.save(tmp_path / "image.npz")
    found = uvl.load_normal_operator(tmp_path / "image.npz")
    assert isinstance(found, PSFNormalOperator) and found.method == "direct"
    assert np.array_equal(found.dirty_image, operator.dirty_image)
    loaded, header = Reduction.load(tmp_path / "image.npz")
    assert header["kind"] == "image" and loaded.hashes == reduction.hashes
    assert loaded.mask.grid == reduction.mask.grid and loaded.observations == reduction.observations
    assert loaded.log_evidence_null == reduction.log_evidence_null
    radio = uvl.normal_operator(random_visibilities(20), uvl.Mask.disc(0.4, 0.13))
    radio.save(tmp_path / "radio.npz")
    loaded, header = Reduction.load(tmp_path / "radio.npz")
    assert header["kind"] == loaded.kind == "visibilities" and loaded.n_real_data == 40
    changed = image_of(disc(), seed=9)
    assert changed.hashes != reduction.hashes and image_of(disc()).hashes == reduction.hashes


def test_normal_operator_of_imaging():
    """An object with the attributes of Imaging: its grid, its weights, a mask of another size on the same pixels."""
    mask = disc((18, 20))
    rng = np.random.default_rng(5)
    imaging = types.SimpleNamespace(
        data=rng.normal(size=mask.grid.shape),
        noise=np.ones(mask.grid.shape),
        weight=(rng.random(mask.grid.shape) > 0.1) * 1.0,
        psf=L_SHAPED,
        grid=mask.grid,
        name="hst",
        reference_position=(10.0, -5.0),
    )
    operator = uvl.normal_operator(imaging, mask)
    assert operator.method == "direct" and operator.choice and "image" in repr(operator)
    assert operator.reduction.phase_center == (10.0, -5.0) and operator.reduction.observations[0].name == "hst"
    smaller = uvl.Mask(uvl.PixelGrid((14, 16), 0.1, mask.grid.center), mask.kept[2:-2, 2:-2])
    again = uvl.normal_operator(imaging, smaller, "fft")
    assert again.method == "fft" and np.abs(again.dirty_image - operator.dirty_image).max() < 1e-13
    assert uvl.normal_operator(operator.reduction, mask, "fft").n_pixels == operator.n_pixels
    with pytest.raises(uvl.InputError, match=r"imaging\.mask"):
        uvl.normal_operator(imaging, uvl.Mask.disc(0.5, 0.1))
    with pytest.raises(uvl.InputError, match="outside"):
        uvl.normal_operator(imaging, uvl.Mask.disc(0.2, 0.1, (5.05, 4.9)))
    with pytest.raises(uvl.InputError, match="joint_operator"):
        uvl.normal_operator([imaging, random_visibilities(9)], mask)
    with pytest.raises(uvl.InputError, match="direct or fft"):
        uvl.normal_operator(imaging, mask, "lowrank")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"psf": np.ones((4, 5))}, "odd"),
        ({"psf": np.zeros((3, 3))}, "sum"),
        ({"noise": np.zeros((18, 21))}, "noise of"),
        ({"noise": np.ones((3, 3))}, "noise map has shape"),
        ({"image": np.full((18, 21), np.nan)}, "not finite"),
        ({"weight": np.zeros((18, 21))}, "no pixel"),
        ({"weight": -np.ones((18, 21))}, "at least 0"),
        ({"model_mask": uvl.Mask.disc(0.5, 0.2)}, "pixels of"),
        ({"model_mask": uvl.Mask.disc(0.5, 0.1, (0.02, 0.0))}, "between"),
    ],
)
def test_bad_input(change, message):
    given = {"image": np.ones((18, 21)), "noise": np.ones((18, 21)), "psf": np.ones((3, 3)), "mask": disc()}
    with pytest.raises(uvl.InputError, match=message):
        ImagingReduction.of(**(given | change))


def test_the_choice(reduction):
    """A model exchanges the operator unless it was named; a wide PSF goes by transforms, a small one directly."""
    source = SourceSize(900, 16.0)
    assert suited(operator_from_reduction(reduction, "auto"), source).choice.startswith("expected for 900")
    named = operator_from_reduction(reduction, "fft")
    assert suited(named, source) is named
    field = disc((120, 120), 6.0)
    blank = np.ones(field.grid.shape)
    small, wide = (
        ImagingReduction.of(blank, blank, np.ones((n, n)) / n**2, field, model_mask=field) for n in (11, 101)
    )
    assert operator_from_reduction(small, "auto", source).method == "direct"
    assert operator_from_reduction(wide, "auto", source).method == "fft"
    assert seconds("direct", wide, source) > seconds("direct", small, source)
    joint = joint_operator([operator_from_reduction(reduction, "auto"), named])
    assert suited(joint, source).method.endswith("+ fft") and suited(joint, source).choice
