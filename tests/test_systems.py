"""Several meshes, skies and light profiles in one linear system, against dense algebra written out here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

import uvlens as uvl
from uvlens.errors import InputError
from uvlens.oversampling import OverSampling
from uvlens.sky import Sky

LENS = [uvl.SIE(0.8, 0.1, 0.05, 0.02, -0.01), uvl.Shear(0.03, -0.02)]


def observed(seed=1, n=160, longest=2.2e5):
    rng = np.random.default_rng(seed)
    u, v = rng.normal(0.0, longest / 2.5, (2, n))
    vis = 0.02 * np.exp(-((u**2 + v**2) / 1.5e5**2)) * np.exp(2j * np.pi * (u * 1e-6)) + 0.002 * (
        rng.normal(size=n) + 1j * rng.normal(size=n)
    )
    return uvl.Visibilities(u=u, v=v, vis=vis, weight=np.full(n, 0.002**-2.0))


def pictured(seed=2, side=23, scale=0.13):
    rng = np.random.default_rng(seed)
    grid = uvl.PixelGrid((side, side), scale, (0.05, -0.03))
    x, y = grid.coordinates()
    ring = np.exp(-0.5 * ((np.hypot(x, 1.1 * y) - 0.8) / 0.15) ** 2) * (1.0 + 0.4 * np.sin(np.arctan2(y, x)))
    noise = 0.05 * (1.0 + 0.3 * rng.random(grid.shape))
    py, px = np.mgrid[-2:3, -2:3]
    psf = np.exp(-0.5 * (py**2 + 1.4 * px**2 + 0.5 * px * py) / 1.1**2)
    image = ring + noise * rng.normal(size=grid.shape)
    return uvl.Imaging(data=image, noise=noise, psf=psf / psf.sum(), grid=grid)


def lensing_matrix(mesh, mask, rays, lens, scale=1.0, others=()):
    """L of one mesh by looping over rays, N x S, in flux per arcsec^2; `others`: masks whose rays stretch the mesh."""

    def traced(mask):
        x, y = mask.rays(rays)
        bx, by = lens.ray_trace(jnp.asarray(x), jnp.asarray(y))
        return x + scale * (np.asarray(bx) - x), y + scale * (np.asarray(by) - y)

    every = [traced(one) for one in (others or [mask])]
    geometry = mesh.geometry(*(jnp.asarray(np.concatenate([e[i].ravel() for e in every])) for i in range(2)))
    bx, by = traced(mask)
    matrix = np.zeros((mask.n_pixels, mesh.n_source))
    for r in range(bx.shape[1]):
        indices, weights = mesh.interpolation(jnp.asarray(bx[:, r]), jnp.asarray(by[:, r]), geometry)
        for p in range(indices.shape[1]):
            np.add.at(matrix, (np.arange(mask.n_pixels), np.asarray(indices[:, p])), np.asarray(weights[:, p]))
    return matrix * mask.grid.pixel_area / bx.shape[1], geometry


def prior_matrix(regularization, mesh, geometry, strength, reduction):
    prior = regularization.prior(mesh, geometry, reduction.resolution_area)
    dense = np.asarray(uvl.inversion.matrix_from_bands(prior.matrix))
    return strength * reduction.sum_weight * reduction.resolution_area**2 * dense


def whitened_visibilities(data, mask):
    """(response, data) of real numbers of unit noise."""
    response = reference.fourier_matrix(data.u, data.v, mask.x, mask.y)
    root = np.sqrt(data.weight)[:, None]
    stacked = np.concatenate([(root * response).real, (root * response).imag])
    return stacked, np.concatenate([(root[:, 0] * data.vis).real, (root[:, 0] * data.vis).imag])


def whitened_image(reduction):
    root = np.sqrt(reduction.weight)
    return root[:, None] * reduction.dense_blur(), root * reduction.data


def gaussian_evidence(design, data, h, determined=None):
    """ln E - ln E_null by dense algebra; `determined` leading columns enter the determinants."""
    n = len(h) if determined is None else determined
    f, d = design.T @ design, design.T @ data
    s = np.linalg.solve(f + h, d)
    value = 0.5 * s @ d - 0.5 * np.linalg.slogdet((f + h)[:n, :n])[1] + 0.5 * np.linalg.slogdet(h[:n, :n])[1]
    return value, s


def test_two_meshes_on_two_source_planes():
    """A second, farther source is deflected more; both are in one system."""
    data, mask = observed(), uvl.Mask.disc(1.4, 0.12)
    normal = uvl.normal_operator(data, mask)
    near, far = uvl.RectangularMesh(8, 8, extent=0.6), uvl.RectangularMesh(6, 7, extent=0.9, basis="bilinear")
    sources = [
        uvl.Source(uvl.PixelSource(near, uvl.Gradient(0.7))),
        uvl.Source(uvl.PixelSource(far, uvl.ZerothOrder(2.0)), deflection_scale=uvl.Normal(1.3, 0.1)),
    ]
    model = uvl.Model(normal, LENS, sources, rays=2)
    assert model.parameters.paths == ("source.1.deflection_scale",)
    vector = jnp.array([1.25])
    lens = model.lens(vector)
    parts = [lensing_matrix(near, mask, 2, lens), lensing_matrix(far, mask, 2, lens, 1.25)]
    h = np.zeros((106, 106))
    h[:64, :64] = prior_matrix(uvl.Gradient(0.7), near, parts[0][1], 0.7, normal.reduction)
    h[64:, 64:] = prior_matrix(uvl.ZerothOrder(2.0), far, parts[1][1], 2.0, normal.reduction)
    response, numbers = whitened_visibilities(data, mask)
    expected, s = gaussian_evidence(response @ np.hstack([parts[0][0], parts[1][0]]), numbers, h)
    assert np.isclose(float(model.log_evidence_minus_null(vector)), expected, rtol=1e-9)
    (found,) = model.inversions(vector)
    assert np.allclose(found.inversion.source, s, rtol=1e-6, atol=1e-9 * np.abs(s).max())
    assert np.allclose(found.source(found.parts[1]), s[64:], rtol=1e-6, atol=1e-9 * np.abs(s).max())
    check_gradient(model, vector)


def test_a_source_that_an_image_and_visibilities_share():
    """One source vector, a colour between the two, rows of both: the stacked Gaussian problem."""
    data, imaging = observed(), pictured()
    mask = uvl.Mask.disc(1.3, 0.13)
    alma = uvl.normal_operator(data, mask)
    hst = uvl.normal_operator(imaging, imaging.mask(np.hypot(*imaging.grid.coordinates()) < 1.25))
    mesh = uvl.RectangularMesh(9, 8)
    source = uvl.Source(uvl.PixelSource(mesh, uvl.Gradient(0.5)), shared=True, colour={"hst": uvl.LogUniform(1.0, 1e3)})
    model = uvl.Model([Sky(alma, "alma"), Sky(hst, "hst")], LENS, source, rays=2)
    assert len(model.systems) == 1 and model.parameters.paths == ("source.colour.hst",)
    colour = 40.0
    masks = (alma.mask, hst.mask)
    rows = [lensing_matrix(mesh, one, 2, uvl.LensPlane(LENS), others=masks) for one in masks]
    responses = [whitened_visibilities(data, alma.mask), whitened_image(hst.reduction)]
    design = np.vstack([responses[0][0] @ rows[0][0], colour * responses[1][0] @ rows[1][0]])
    h = prior_matrix(uvl.Gradient(0.5), mesh, rows[0][1], 0.5, alma.reduction)
    expected, s = gaussian_evidence(design, np.concatenate([responses[0][1], responses[1][1]]), h)
    vector = jnp.array([colour])
    assert np.isclose(float(model.log_evidence_minus_null(vector)), expected, rtol=1e-9)
    found = model.inversions(vector)
    assert [one.of_sky.name for one in found] == ["alma", "hst"]
    for one, (matrix, _), factor in zip(found, rows, (1.0, colour)):
        assert np.allclose(one.image, factor * matrix @ s, rtol=1e-6, atol=1e-9 * np.abs(one.image).max())
    chi_squared = [
        np.sum((numbers - response @ (factor * matrix @ s)) ** 2) - np.sum(numbers**2)
        for (response, numbers), (matrix, _), factor in zip(responses, rows, (1.0, colour))
    ]
    assert np.allclose([one.chi_squared_minus_null for one in found], chi_squared, rtol=1e-8)
    check_gradient(model, vector)


def test_an_image_with_pixels_lens_light_and_sky_level():
    """Pixels and marginalised or optimised amplitudes: the same Gaussian integral, or its maximum."""
    imaging = pictured()
    kept = imaging.mask(np.hypot(*imaging.grid.coordinates()) < 1.25)
    hst = uvl.normal_operator(imaging, kept)
    mesh = uvl.RectangularMesh(8, 8, extent=0.7)
    light = uvl.MGE(n_gaussians=3, sigma_min=0.1, sigma_max=0.5, e1=uvl.Normal(0.1, 0.1), e2=0.0)
    lens = uvl.LensPlane(LENS, light=[light])
    sky = Sky(hst, light=(uvl.Background(),), over_sampling=OverSampling((3,)))
    model = uvl.Model(sky, lens, uvl.PixelSource(mesh, uvl.Gradient(0.3)), rays=3)
    vector = jnp.array([0.12])
    matrix, geometry = lensing_matrix(mesh, hst.mask, 3, lens)
    x, y = hst.mask.rays(3)
    filled = uvl.MGE(n_gaussians=3, sigma_min=0.1, sigma_max=0.5, e1=0.12, e2=0.0)
    columns = np.asarray(filled.columns(jnp.asarray(x.ravel()), jnp.asarray(y.ravel())))
    columns = columns.reshape(*x.shape, 3).mean(axis=1) * hst.mask.grid.pixel_area
    ones = np.full((len(x), 1), hst.mask.grid.pixel_area)
    response, numbers = whitened_image(hst.reduction)
    design = response @ np.hstack([matrix, columns, ones])
    h = np.zeros((68, 68))
    h[:64, :64] = prior_matrix(uvl.Gradient(0.3), mesh, geometry, 0.3, hst.reduction)
    (found,) = model.inversions(vector)
    amplitudes = np.asarray(found.inversion.source[64:])
    assert amplitudes[:3].min() >= 0.0
    used = np.concatenate([np.ones(64, bool), amplitudes != 0.0])
    expected, s = gaussian_evidence(design[:, used], numbers, h[np.ix_(used, used)], 64)
    assert np.isclose(float(model.log_evidence_minus_null(vector)), expected, rtol=1e-8)
    assert np.allclose(np.asarray(found.inversion.source)[used], s, rtol=1e-5, atol=1e-8 * np.abs(s).max())
    check_gradient(model, vector)


def check_gradient(model, vector, step=1e-6):
    gradient = np.asarray(jax.jit(jax.grad(model.log_evidence_minus_null))(vector))
    for i in range(len(vector)):
        h = step * max(1.0, abs(float(vector[i])))
        values = [float(model.log_evidence_minus_null(vector.at[i].add(sign * h))) for sign in (1.0, -1.0)]
        numeric = (values[0] - values[1]) / (2.0 * h)
        assert np.isclose(gradient[i], numeric, rtol=2e-5, atol=2e-6 * max(1.0, np.abs(gradient).max()))


def test_separate_sources_add_up():
    """Skies without a shared source have evidences that add, each its own source."""
    data, mask = [observed(seed) for seed in (1, 2)], uvl.Mask.disc(1.2, 0.13)
    operators = [uvl.normal_operator(one, mask) for one in data]
    source = uvl.PixelSource(uvl.RectangularMesh(7, 7), uvl.Gradient(0.5))
    both = uvl.Model(operators, LENS, source, rays=2)
    alone = [uvl.Model(one, LENS, source, rays=2) for one in operators]
    nothing = jnp.zeros(0)
    total = sum(float(one.log_evidence_minus_null(nothing)) for one in alone)
    assert np.isclose(float(both.log_evidence_minus_null(nothing)), total, rtol=1e-12)


def test_what_does_not_fit_together():
    normal = uvl.normal_operator(observed(), uvl.Mask.disc(1.2, 0.13))
    part = uvl.PixelSource(uvl.RectangularMesh(7, 7), uvl.Gradient(0.5))
    with pytest.raises(InputError, match="2 sources for 1 skies"):
        uvl.Model([Sky(normal, sources=(0,))], LENS, [part, part])
    with pytest.raises(InputError, match="needs pixels or light"):
        uvl.Model(normal, LENS, uvl.Source(None))
    with pytest.raises(InputError, match="skies share"):
        uvl.Source(part, colour={"hst": 2.0})
    twice = uvl.PixelSource(uvl.RectangularMesh(7, 7), uvl.Gradient("evidence"))
    with pytest.raises(InputError, match="one pixelised source"):
        uvl.Model(normal, LENS, uvl.Source((twice, twice)))


def test_more_nodes_than_rays_are_refused():
    normal = uvl.normal_operator(observed(), uvl.Mask.disc(0.6, 0.13))
    with pytest.raises(InputError, match=r"nodes for .* rays"):
        uvl.Model(normal, LENS, uvl.PixelSource(uvl.RectangularMesh(40, 40), uvl.Gradient(1.0)), rays=2)


def test_rays_are_moved_to_the_border():
    """A relocated border changes ln E where rays land beyond it, and keeps its gradient exact."""
    data, mask = observed(), uvl.Mask.disc(1.4, 0.12)
    lens = [uvl.SIE(uvl.Uniform(0.6, 1.0), 0.1, 0.05, 0.02, -0.01)]
    values = []
    for border in ("none", "relocate"):
        mesh = uvl.RectangularMesh(8, 8, border=border)
        model = uvl.Model(uvl.normal_operator(data, mask), lens, uvl.PixelSource(mesh, uvl.Gradient(0.5)), rays=2)
        values.append(float(model.log_evidence_minus_null(jnp.array([0.8]))))
    assert np.isfinite(values).all() and abs(values[0] - values[1]) > 1e-3
    check_gradient(model, jnp.array([0.8]))


def test_images_sample_the_light_of_the_lens_where_it_is_steep():
    """Without a word about it an image gets 32 x 32 sub-pixels about the centre of the light, others their rays."""
    imaging = pictured()
    hst = uvl.normal_operator(imaging, imaging.mask(np.hypot(*imaging.grid.coordinates()) < 1.0))
    light = uvl.Sersic(flux="linear", R_sersic=0.4, n_sersic=4.0, center_x=uvl.Normal(0.1, 0.01))
    model = uvl.Model(
        hst, uvl.LensPlane(LENS, light=[light]), uvl.PixelSource(uvl.RectangularMesh(6, 6), uvl.Gradient(1.0))
    )
    sampling = model.skies[0].over_sampling
    assert sampling.centers == ((0.1, 0.0),) and sampling.sizes[0] == 32
    alma = uvl.normal_operator(observed(), uvl.Mask.disc(1.2, 0.13))
    assert (
        uvl.Model(
            alma, uvl.LensPlane(LENS, light=[light]), uvl.PixelSource(uvl.RectangularMesh(6, 6), uvl.Gradient(1.0))
        )
        .skies[0]
        .over_sampling
        is None
    )


def test_the_strength_of_the_evidence_beside_amplitudes():
    """With light of the lens in the system, ln E is largest at the strength that is found."""
    imaging = pictured()
    hst = uvl.normal_operator(imaging, imaging.mask(np.hypot(*imaging.grid.coordinates()) < 1.25))
    lens = uvl.LensPlane(LENS, light=[uvl.Gaussian(flux="linear", sigma=0.3)])

    def model(strength):
        return uvl.Model(
            hst, lens, uvl.PixelSource(uvl.RectangularMesh(8, 8, extent=0.7), uvl.Gradient(strength), True), 2
        )

    nothing = jnp.zeros(0)
    found = float(model("evidence").strength(nothing))
    around = model(uvl.LogUniform(1e-6, 1e6))
    values = [float(around.log_evidence_minus_null(jnp.array([found * f]))) for f in (0.8, 1.0, 1.25)]
    assert values[1] > max(values[0], values[2])
    assert np.isclose(float(model("evidence").log_evidence_minus_null(nothing)), values[1], atol=1e-6)
