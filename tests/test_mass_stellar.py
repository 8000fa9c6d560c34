"""Stellar mass, deflection maps and borrowed profiles, against brute force, lenstronomy's values and round trips."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_mass
import scipy.special
from compiling import quick

import uvlens as uvl
from uvlens.lens import gaussian_mass, sersic_mass
from uvlens.lens.deflection_map import DeflectionMap
from uvlens.lens.halos import EllipticalNFW
from uvlens.lens.jaxtronomy import JAXtronomyMass
from uvlens.lens.stellar import GaussianMass, MGEMass, SersicMass, mass_following
from uvlens.priors import SameAs, Uniform

RADII = (1e-4, 0.03, 0.7, 3.0, 40.0)
SHAPES = ((0.0, 0.0), (0.1, -0.05), (2.0 / 3.0, 0.0), (-0.3, 0.4))  # up to q = 0.2
INDICES = (0.5, 0.73, 1.0, 2.6, 4.0, 8.0)
X, Y = np.array([(r * np.cos(t), r * np.sin(t)) for r in RADII for t in (0.0, 0.7, np.pi / 2)]).T


def brute_force(kappa, e1, e2):
    return np.array([reference_mass.deflection(kappa, x, y, e1, e2) for x, y in zip(X, Y)]).T


def relative(alpha, exact):
    return np.hypot(*(np.asarray(alpha) - exact)) / np.hypot(*exact)


@pytest.fixture(scope="module")
def sersic():
    return jax.jit(lambda n, e1, e2: jnp.stack(sersic_mass.deflection(X, Y, 0.5, 1.0, n, e1, e2)))


@pytest.mark.parametrize("n", INDICES)
def test_sersic_mass_equals_brute_force(sersic, n):
    b = scipy.special.gammaincinv(2.0 * n, 0.5)
    for e1, e2 in SHAPES if n in (1.0, 4.0) else SHAPES[1:3]:
        exact = brute_force(lambda r: 0.5 * np.exp(-b * (r ** (1.0 / n) - 1.0)), e1, e2)
        # 32 nodes: 1e-9, but for steep cusps on flattened ellipses
        assert relative(sersic(n, e1, e2), exact).max() < (5e-9 if n <= 4.0 else 5e-8)


def test_half_of_the_mass_lies_within_the_half_mass_radius():
    for n in (0.4, 0.5, 0.77, 1.0, 4.0, 10.0):
        assert np.isclose(sersic_mass.half_mass_constant(n), scipy.special.gammaincinv(2.0 * n, 0.5), rtol=1e-13)
    total, radius = 3.0, 0.7
    # alpha = (mass within r) / (pi r)
    kappa_eff = sersic_mass.kappa_eff(total, radius, 2.5)
    inside = sersic_mass.deflection(radius, 0.0, kappa_eff, radius, 2.5, 0.0, 0.0)[0] * np.pi * radius
    outside = sersic_mass.deflection(1e4, 0.0, kappa_eff, radius, 2.5, 0.0, 0.0)[0] * np.pi * 1e4
    assert np.isclose(inside, 0.5 * total, rtol=1e-10) and np.isclose(outside, total, rtol=1e-10)


def test_gaussian_mass_equals_brute_force():
    evaluate = jax.jit(lambda e1, e2: jnp.stack(gaussian_mass.deflection(X, Y, 2.0, 0.6, e1, e2)))
    for e1, e2 in SHAPES:
        exact = brute_force(lambda r: 2.0 / (2.0 * np.pi * 0.36) * np.exp(-0.5 * (r / 0.6) ** 2), e1, e2)
        assert relative(evaluate(e1, e2), exact).max() < 1e-10


def test_many_gaussians_are_the_sum_of_each():
    many = MGEMass((1.0, 0.4, 0.1), (0.2, 0.7, 1.5), 0.1, 0.2, 0.05, -0.03, mass_to_light=2.0)
    single = [GaussianMass(2.0 * a, s, 0.1, 0.2, 0.05, -0.03) for a, s in zip(many.amplitudes, many.sigmas)]
    x, y = X[3:9], Y[3:9]

    @quick
    def everything(mass):
        return jnp.stack([*mass.deflection(x, y), mass.convergence(x, y), mass.potential(x, y)])

    assert np.allclose(everything(many), sum(everything(one) for one in single), rtol=1e-13)


COMPONENTS = {
    "SersicMass": SersicMass(0.5, 0.8, 4.0, 0.1, -0.2, 0.03, -0.02),
    "SersicMass round": SersicMass(0.5, 0.8, 0.8),
    "GaussianMass": GaussianMass(1.5, 0.7, -0.3, 0.2, 0.03, -0.02),
}


@pytest.mark.parametrize("name", list(COMPONENTS))
def test_potential_deflection_and_convergence_agree_everywhere(name):
    component = COMPONENTS[name]
    center = np.array(component.parameters()[-2:])
    points = center + np.array([(0.0, 0.0), (1e-3, 0.0), (0.0, 1e-2), (0.8, 0.0), (0.3, -0.4), (30.0, 20.0)])

    @quick
    @jax.vmap
    def all_of(p):
        slope = jax.grad(lambda q: component.potential(*q))(p)
        matrix = jax.jacfwd(lambda q: jnp.stack(component.deflection(*q)))(p)
        return slope, jnp.stack(component.deflection(*p)), matrix, component.convergence(*p)

    slope, alpha, matrix, kappa = (np.asarray(one) for one in all_of(points))
    for one in (slope, alpha, matrix, kappa):
        assert np.isfinite(one).all()
    # ellipses: the rule of 32 nodes is not exactly a gradient
    assert np.abs(alpha[0]).max() == 0.0 and np.allclose(slope, alpha, rtol=3e-8, atol=1e-12)
    assert np.allclose(matrix, matrix.transpose(0, 2, 1), rtol=1e-8, atol=1e-9)
    assert np.allclose(0.5 * np.trace(matrix, axis1=1, axis2=2), kappa, rtol=1e-7, atol=1e-10)


def test_gradients_by_every_parameter():
    start = np.array([0.5, 0.8, 2.3, 0.0, 0.0, 0.02, -0.01])

    def total(p):
        return sum(sersic_mass.deflection(0.7, -0.4, *p))

    value = quick(total)
    numeric = reference.central_difference(lambda p: float(value(p)), start, 1e-3)
    exact = np.asarray(quick(jax.grad(total))(jnp.asarray(start)))
    assert np.abs(exact - numeric).max() < 1e-8 * np.abs(exact).max()
    # at the very centre, every derivative is a number
    assert np.isfinite(quick(jax.grad(lambda p: sum(sersic_mass.deflection(0.02, -0.01, *p))))(start)).all()


def test_mass_that_follows_light():
    """Shape and total of the light, through the ties of a model's parameters."""
    from uvlens.parameters import Parameters

    light = uvl.Sersic(2.0, Uniform(0.3, 0.9), 2.0, 0.1, 0.05, 0.2, -0.1)
    mass = mass_following(light, "lens.light.0", Uniform(0.5, 2.5))
    assert mass.R_sersic == SameAs("lens.light.0.R_sersic")
    parameters = Parameters({"lens": uvl.LensPlane([mass], light=[light])})
    assert parameters.paths == ("lens.mass.0.mass_to_light", "lens.light.0.R_sersic")
    plane = parameters.fill(jnp.array([1.5, 0.6]))["lens"]
    x, y = X[3:9], Y[3:9]
    kappa = plane.mass[0].convergence(x, y)
    assert np.allclose(kappa, 1.5 * plane.light[0].brightness(x, y), rtol=1e-10)
    gaussian = mass_following(uvl.Gaussian(2.0, 0.4, 0.1), "lens.light.0", 3.0)
    assert isinstance(gaussian, GaussianMass) and gaussian.sigma == SameAs("lens.light.0.sigma")
    follower = GaussianMass(sigma=0.4, flux=2.0, mass_to_light=3.0)
    assert np.isclose(follower.convergence(0.1, 0.2), 3.0 * uvl.Gaussian(2.0, 0.4).brightness(0.1, 0.2))


def test_what_stellar_mass_refuses():
    with pytest.raises(uvl.InputError, match="SersicMass: give kappa_eff, or flux and mass_to_light"):
        SersicMass(R_sersic=1.0, flux=2.0)
    with pytest.raises(uvl.InputError, match="R_sersic"):
        SersicMass(0.5)
    with pytest.raises(uvl.InputError, match="n_sersic must be in"):
        SersicMass(0.5, 1.0, 12.0)
    with pytest.raises(uvl.InputError, match="2 amplitudes and 1 sigmas"):
        MGEMass((1.0, 2.0), (0.5,))
    with pytest.raises(uvl.InputError, match="linear"):
        mass_following(uvl.Sersic("linear", 0.5), "lens.light.0", 1.0)
    with pytest.raises(uvl.InputError, match="no mass follows MGE"):
        mass_following(LikeMGE(), "lens.light.0", 1.0)


class LikeMGE:
    """Light of a kind that no mass follows."""

    flux = 1.0


LikeMGE.__name__ = "MGE"

CLUSTER = EllipticalNFW(20.0, 12.0, 0.15, -0.1, 1.7, -2.9)
"""Off-centre and asymmetric."""


def cluster_images(grid):
    x, y = np.meshgrid(grid.x_axis, grid.y_axis)
    return *(np.asarray(a) for a in CLUSTER.deflection(x, y)), np.asarray(CLUSTER.potential(x, y))


@pytest.fixture(scope="module")
def cluster_map():
    grid = uvl.PixelGrid((201, 240), 0.1, (1.0, -0.5))
    return grid, cluster_images(grid)


def test_map_returns_the_lens_it_was_made_of(cluster_map):
    """On 0.1" pixels, away from the cusp of the halo: errors of the splines fall as h^4."""
    grid, (alpha_x, alpha_y, psi) = cluster_map
    lens = DeflectionMap.of(alpha_x, alpha_y, grid.pixel_scale, grid.center, potential=psi)
    x, y = np.random.default_rng(0).uniform([[-10.0], [-9.0]], [[12.0], [8.0]], (2, 400))
    far = np.hypot(x - 1.7, y + 2.9) > 1.0
    x, y = x[far], y[far]
    for method, limit in (("deflection", 1e-6), ("potential", 1e-6), ("convergence", 1e-4)):
        found, exact = (np.asarray(quick(getattr(one, method))(x, y)) for one in (lens, CLUSTER))
        assert np.abs(found - exact).max() < limit
    assert np.abs(DeflectionMap(lens.images, 0.6).deflection(3.0, 2.0)[0] / lens.deflection(3.0, 2.0)[0] - 0.6) < 1e-14
    moved = DeflectionMap(lens.images, 1.0, 0.5, -0.3)
    assert np.allclose(moved.deflection(3.5, 1.7)[0], lens.deflection(3.0, 2.0)[0], rtol=1e-13)


def test_map_is_smooth_and_linear_beyond_its_edge(cluster_map):
    grid, (alpha_x, alpha_y, _) = cluster_map
    lens = DeflectionMap.of(alpha_x, alpha_y, grid.pixel_scale, grid.center)
    edge = lens.images.extent[1]
    slope = quick(jax.vmap(jax.grad(lambda x: lens.deflection(x, 0.33)[0])))
    inside, outside, far = slope(jnp.array([edge - 1e-9, edge + 1e-9, edge + 5.0]))
    assert np.isclose(inside, outside, rtol=1e-7) and np.isclose(outside, far, rtol=1e-13)
    node = grid.x_axis[77]
    curvature = quick(jax.vmap(jax.grad(jax.grad(lambda x: lens.deflection(x, 0.33)[0]))))
    left, right = curvature(jnp.array([node - 1e-9, node + 1e-9]))
    assert np.isclose(left, right, rtol=1e-5)


def write_fits(path, image, grid, *, east_left, center):
    """An image with a SIN header about `center` (ra, dec), columns running West or East."""
    from astropy.io import fits

    rows, columns = grid.shape
    sign = -1.0 if east_left else 1.0
    header = fits.Header()
    header["CTYPE1"], header["CTYPE2"], header["CUNIT1"], header["CUNIT2"] = "RA---SIN", "DEC--SIN", "deg", "deg"
    header["CRVAL1"], header["CRVAL2"] = center
    header["CDELT1"], header["CDELT2"] = sign * grid.pixel_scale / 3600.0, grid.pixel_scale / 3600.0
    header["CRPIX1"] = 0.5 * (columns + 1) - sign * grid.center[0] / grid.pixel_scale
    header["CRPIX2"] = 0.5 * (rows + 1) - grid.center[1] / grid.pixel_scale
    fits.writeto(path, image[:, ::-1] if east_left else image, header, overwrite=True)


@pytest.mark.parametrize("east_left", [True, False])
@pytest.mark.parametrize("components", ["sky", "pixel"])
def test_map_from_fits_images_lies_right_on_the_sky(tmp_path, cluster_map, east_left, components):
    grid, (alpha_x, alpha_y, psi) = cluster_map
    center = (64.03, -24.07)
    # what a code that counts in pixels would write for its x axis
    mirrored = -1.0 if components == "pixel" and east_left else 1.0
    unit = 1.0 / grid.pixel_scale if components == "pixel" else 1.0
    for name, image in (("x", mirrored * unit * alpha_x), ("y", unit * alpha_y), ("psi", unit**2 * psi)):
        write_fits(tmp_path / f"{name}.fits", image, grid, east_left=east_left, center=center)
    words = {"components": components, "unit": "pixel" if components == "pixel" else "arcsec"}
    paths = tmp_path / "x.fits", tmp_path / "y.fits"
    # x = y = 0 is 4" East and 3" South of the map's own origin
    dec = center[1] - 3.0 / 3600.0
    origin = (center[0] + 4.0 / 3600.0 / np.cos(np.deg2rad(dec)), dec)
    lens = DeflectionMap.read(*paths, phase_center=origin, potential=tmp_path / "psi.fits", scale=0.7, **words)
    x, y = np.array([1.0, 5.0, -8.0]), np.array([0.4, 6.0, 4.0])
    # shifts on the sphere of some arcsec at -24 deg: 1e-4"
    exact = 0.7 * np.stack(CLUSTER.deflection(x + 4.0, y - 3.0))
    assert np.abs(np.stack(lens.deflection(x, y)) - exact).max() < 2e-3 * np.abs(exact).max()
    assert np.abs(lens.potential(x, y) / (0.7 * CLUSTER.potential(x + 4.0, y - 3.0)) - 1.0).max() < 2e-3
    if east_left:
        other = "sky" if components == "pixel" else "pixel"
        with pytest.raises(uvl.InputError, match="curl"):
            DeflectionMap.read(*paths, **{**words, "components": other})


def test_what_maps_refuse(tmp_path, cluster_map):
    grid, (alpha_x, alpha_y, _) = cluster_map
    with pytest.raises(uvl.InputError, match="one shape"):
        DeflectionMap.of(alpha_x, alpha_y[1:], 0.1)
    with pytest.raises(uvl.InputError, match="finite"):
        DeflectionMap.of(np.full((5, 5), np.nan), np.zeros((5, 5)), 0.1)
    with pytest.raises(uvl.InputError, match="curl"):
        DeflectionMap.of(-alpha_x, alpha_y, 0.1)
    with pytest.raises(uvl.InputError, match="without a potential"):
        DeflectionMap.of(alpha_x, alpha_y, 0.1).potential(0.0, 0.0)
    write_fits(tmp_path / "a.fits", alpha_x, grid, east_left=True, center=(10.0, 5.0))
    moved = uvl.PixelGrid(grid.shape, grid.pixel_scale, (2.0, 0.0))
    write_fits(tmp_path / "b.fits", alpha_y, moved, east_left=True, center=(10.0, 5.0))
    with pytest.raises(uvl.InputError, match="same pixels"):
        DeflectionMap.read(tmp_path / "a.fits", tmp_path / "b.fits", components="sky")
    with pytest.raises(uvl.InputError, match="components must be"):
        DeflectionMap.read(tmp_path / "a.fits", tmp_path / "a.fits", components="ds9")


def test_profiles_of_jaxtronomy():
    borrowed = JAXtronomyMass("SIE", {"theta_E": 1.2, "e1": 0.1, "e2": -0.05, "center_x": 0.1, "center_y": 0.2})
    own = uvl.SIE(1.2, 0.1, -0.05, 0.1, 0.2)
    x, y = X[3:9] + 0.3, Y[3:9]
    # theirs has a small core
    assert np.allclose(np.stack(borrowed.deflection(x, y)), np.stack(own.deflection(x, y)), atol=1e-7)
    assert np.allclose(borrowed.convergence(x, y), own.convergence(x, y), rtol=1e-4)
    assert np.allclose(borrowed.potential(x, y), own.potential(x, y), atol=1e-7)
    with pytest.raises(uvl.InputError, match=r"no lens profile 'SIEE': .*SIEE"):
        JAXtronomyMass("SIEE", {})
    with pytest.raises(uvl.InputError, match="arguments are theta_E"):
        JAXtronomyMass("SIS", {"theta": 1.0})


def test_jaxtronomy_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxtronomy.LensModel.profile_list_base", None)
    with pytest.raises(uvl.InputError, match="pip install jaxtronomy"):
        JAXtronomyMass("SIS", {"theta_E": 1.0})


@pytest.mark.realdata
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("name", ["SERSIC", "SERSIC_ELLIPSE_GAUSS_DEC", "GAUSSIAN", "GAUSSIAN_ELLIPSE_KAPPA"])
def test_oracle_of_lenstronomy(data_folder, name, number):
    key = f"{name}__{number}"
    k = json.loads((data_folder / "oracle" / "lenstronomy_profiles.json").read_text())["profiles"][key]["kwargs"]
    values = np.load(data_folder / "oracle" / "lenstronomy_profiles.npz")
    rest = (k.get("e1", 0.0), k.get("e2", 0.0), k["center_x"], k["center_y"])
    if name.startswith("SERSIC"):
        # b = 1.9992 n - 0.3271 there
        n, theirs = k["n_sersic"], 1.9992 * k["n_sersic"] - 0.3271
        b = scipy.special.gammaincinv(2.0 * n, 0.5)
        component = SersicMass(k["k_eff"] * np.exp(theirs - b), k["R_sersic"] * (b / theirs) ** n, n, *rest)
    else:
        component = GaussianMass(k["amp"], k["sigma"], *rest)
    # their Gaussians leave out mass at the centre: a quarter of an arcsecond of deflection at n = 4
    limit = {"SERSIC_ELLIPSE_GAUSS_DEC__0": 0.3, "SERSIC_ELLIPSE_GAUSS_DEC__1": 1e-3}.get(key, 1e-13)
    x, y = values[f"{key}/x"], values[f"{key}/y"]
    alpha = component.deflection(x, y)
    assert np.abs(alpha[0] - values[f"{key}/ax"]).max() < limit
    assert np.abs(alpha[1] - values[f"{key}/ay"]).max() < limit
    assert np.abs(component.potential(x, y) - values[f"{key}/psi"]).max() < limit
    kappa = values[f"{key}/kappa"]
    kappa_limit = 1e-12 if name.startswith("GAUSSIAN") else 0.05
    assert np.abs(component.convergence(x, y) - kappa).max() < kappa_limit * max(1.0, np.abs(kappa).max())
