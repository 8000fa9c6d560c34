"""A reconstructed source at hand: brightness, pixels that see it, regions, against sums over the rays themselves."""

import numpy as np
import pytest
import reference
from fitted import laplace_result, small_data, small_model

import uvlens as uvl
from uvlens.apertures import Aperture, aperture_columns
from uvlens.shapes import Annulus, Polygon
from uvlens.sourcetools import SourcePlane

DISC = Annulus(0.0, 0.12, (0.06, 0.03))
TRIANGLE = Polygon(((-0.1, -0.1), (0.2, -0.05), (0.05, 0.2)))


@pytest.fixture(scope="module")
def result():
    return laplace_result(small_model(small_data()), 20)[0]


@pytest.fixture(scope="module")
def plane(result):
    return result.source_plane()


def test_brightness_is_the_basis_of_the_mesh(plane):
    """Cubic B-splines about their nodes, written out, on a grid of any spacing."""
    x, y = plane.nodes()
    rows, columns = plane.parts[0].mesh.shape
    spacing = x[1] - x[0]
    grid = uvl.PixelGrid((23, 31), 0.017, (0.05, 0.02))
    s = np.asarray(plane.found.source(plane.parts[0]))
    expected = reference.mesh_brightness(
        reference.cubic_spline, (rows, columns), x[0], y[0], spacing, s, *grid.coordinates()
    )
    assert np.allclose(plane.on_grid(grid), expected, rtol=1e-10, atol=1e-12 * np.abs(s).max())
    assert plane.brightness(5.0, 5.0) == 0.0


def test_operator_and_rays_give_the_image(plane):
    image = np.asarray(plane.found.image)
    source = np.asarray(plane.found.source(plane.parts[0]))
    assert np.allclose(plane.operator() @ source, image, rtol=1e-12, atol=1e-14 * np.abs(image).max())
    everywhere = Annulus(0.0, 50.0)
    assert np.allclose(plane.image_of(everywhere), image, rtol=1e-10, atol=1e-12 * np.abs(image).max())
    assert np.all(plane.image_share(everywhere) == 1.0)


def test_pixels_to_nodes_and_back(plane):
    """A node within reach of the rays of a pixel is seen by it: 4 x 4 nodes about each ray."""
    mask, (x, y) = plane.found.mask, plane.nodes()
    pixel = int(np.argmin(np.hypot(mask.x - 0.7, mask.y - 0.2)))
    seen = plane.source_pixels([pixel])
    spacing, (beta_x, beta_y) = x[1] - x[0], plane.trace(*(ray[pixel] for ray in mask.rays(plane.rays)))
    near = (np.abs(x[:, None] - beta_x) < 2 * spacing) & (np.abs(y[:, None] - beta_y) < 2 * spacing)
    assert np.array_equal(seen, near.any(axis=1))
    back = plane.image_pixels(seen)
    assert back[pixel] and 1 < back.sum() < mask.n_pixels
    assert np.array_equal(plane.image_pixels(np.flatnonzero(seen)), back)


@pytest.mark.parametrize("region", [DISC, TRIANGLE])
def test_a_region_is_the_sum_of_its_light(plane, region):
    """Against sums over a fine grid in both planes; the lens equation is solved by nobody but the rays."""
    measured = plane.measure(region)
    fine = uvl.PixelGrid((1200, 1200), 0.0005, (0.05, 0.03))
    x, y = fine.coordinates()
    inside = region.contains(x, y)
    flux = plane.brightness(x[inside], y[inside]).sum() * fine.pixel_area
    assert np.isclose(measured.flux, flux, rtol=2e-3)
    assert np.isclose(measured.area, inside.sum() * fine.pixel_area, rtol=2e-3)
    rays = plane.found.mask.rays(12)  # 36 times as many as the fit has
    beta = plane.trace(*rays)
    behind = region.contains(*beta)
    solid_angle = plane.found.mask.grid.pixel_area / rays[0].shape[1]
    assert np.isclose(measured.image_area, behind.sum() * solid_angle, rtol=0.03)
    image_flux = plane.brightness(beta[0][behind], beta[1][behind]).sum() * solid_angle
    assert np.isclose(measured.image_flux, image_flux, rtol=0.03)
    assert np.isclose(measured.image_flux, plane.image_of(region).sum(), rtol=1e-10)
    assert np.isclose(measured.magnification, measured.image_flux / measured.flux)


def test_errors_are_those_of_the_source(result, plane):
    """c^T A^-1 c of the aperture that is known already, and scatter of draws for the magnification."""
    measured = plane.measure(DISC)
    columns = aperture_columns([plane.found], Aperture("a", DISC.center, DISC.outer))[0][1]
    assert np.isclose(measured.flux_error, np.sqrt(columns @ plane.found.covariance @ columns), rtol=2e-3)

    def magnification(found, lenses):
        return SourcePlane(found[0], lenses[0], rays=result.model.rays).measure(DISC, errors=False).magnification

    from uvlens.quantities import source_samples

    settings = result.with_derived(functions={"region": magnification}).derived_settings
    drawn = source_samples(result.model, result.best_vector[None], 60, np.random.default_rng(1), settings)["region"]
    assert np.isclose(drawn.std(), measured.magnification_error, rtol=0.35)  # 60 draws
    assert np.isnan(plane.measure(DISC, errors=False).flux_error)


def test_wrong_words_are_one_line(result, plane):
    with pytest.raises(uvl.InputError, match="no sky 'band7'"):
        result.source_plane("band7")
    with pytest.raises(uvl.InputError, match="does not see source 3"):
        result.source_plane(source=3)
    with pytest.raises(uvl.InputError, match="no channel 2"):
        result.source_plane(channel=2)
    with pytest.raises(uvl.InputError, match="no part 1"):
        plane.operator(1)
