"""Distances, and rays through several planes, against astropy, lenstronomy and the equation written out."""

import astropy.cosmology
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick

import uvlens as uvl
from uvlens.cosmology import AstropyCosmology, FlatLambdaCDM, as_cosmology, distance_in_days
from uvlens.errors import InputError
from uvlens.lens import Lens

PAIRS = [(0.0, 0.3), (0.5, 2.0), (0.0, 9.0), (3.0, 3.5)]


@pytest.mark.parametrize(
    "theirs",
    [
        astropy.cosmology.FlatLambdaCDM(67.0, 0.31),
        astropy.cosmology.Planck18,
        astropy.cosmology.LambdaCDM(70, 0.3, 0.9),
        astropy.cosmology.LambdaCDM(70, 0.3, 0.5),
    ],
    ids=["flat", "Planck18", "closed", "open"],
)
def test_distances_are_those_of_astropy(theirs):
    for near, far in PAIRS:
        distance = theirs.angular_diameter_distance(near, far).to_value("Mpc")
        assert AstropyCosmology(theirs).angular_diameter_distance(near, far) == pytest.approx(distance, rel=1e-12)
        if theirs.name is None and theirs.Ok0 == 0.0:
            ours = FlatLambdaCDM(67.0, 0.31).angular_diameter_distance(near, far)
            assert float(ours) == pytest.approx(distance, rel=1e-12)


def test_physical_units_are_those_of_astropy():
    from astropy import constants, units

    theirs, ours = astropy.cosmology.FlatLambdaCDM(70, 0.3), FlatLambdaCDM(70.0, 0.3)
    d_l, d_s, d_ls = (theirs.angular_diameter_distance(*pair) for pair in [(0, 0.5), (0, 2.0), (0.5, 2.0)])
    sigma = constants.c**2 / (4 * np.pi * constants.G) * d_s / (d_l * d_ls) * (d_l / units.rad) ** 2
    expected = sigma.to_value("Msun / arcsec2")
    assert float(ours.critical_surface_density(0.5, 2.0)) == pytest.approx(expected, rel=1e-10)
    assert float(ours.kpc_per_arcsec(0.5)) == pytest.approx(d_l.to_value("kpc") * np.pi / 180 / 3600, rel=1e-12)
    delay = (1.5 * d_l * d_s / d_ls / constants.c).to_value("day")
    assert distance_in_days(float(ours.time_delay_distance(0.5, 2.0))) == pytest.approx(delay, rel=1e-10)


def three_planes(cosmology, om=None):
    cosmology = cosmology if om is None else FlatLambdaCDM(70.0, om)
    return Lens(
        [
            uvl.LensPlane([uvl.EPL(1.0, 2.0, 0.1, 0.05), uvl.Shear(0.03, 0.01)], redshift=0.5),
            uvl.LensPlane([uvl.SIE(0.2, 0.0, 0.0, 0.8, -0.4)], redshift=0.3),
            uvl.LensPlane([uvl.SIE(0.1, 0.1, 0.0, -0.5, 0.6)], redshift=0.8),
        ],
        2.0,
        cosmology,
    )


def test_rays_through_three_planes_follow_the_equation_in_physical_units():
    """Transverse positions and angles carried from plane to plane, an independent form of the same equation."""
    cosmology = astropy.cosmology.FlatLambdaCDM(70, 0.3)

    def comoving(*z):
        return cosmology.comoving_distance(z[0]).value if len(z) == 1 else comoving(z[1]) - comoving(z[0])

    lens = three_planes(FlatLambdaCDM(70.0, 0.3))
    x, y = np.random.default_rng(1).uniform(-1.5, 1.5, (2, 20))
    position, angle = np.zeros((2, 20)), np.stack([x, y])
    distance = 0.0
    for plane in sorted(lens.planes, key=lambda one: one.redshift):
        d = comoving(plane.redshift)
        position, distance = position + angle * (d - distance), d
        physical = comoving(2.0) / comoving(plane.redshift, 2.0)
        angle = angle - physical * np.stack(plane.deflection(*(position / d)))
    beta = (position + angle * (comoving(2.0) - distance)) / comoving(2.0)
    assert np.allclose(np.stack(lens.ray_trace(x, y)), beta, rtol=0.0, atol=1e-12)


@pytest.mark.realdata
def test_rays_through_three_planes_are_those_of_lenstronomy(data_folder):
    stored = np.load(data_folder / "oracle" / "lenstronomy_extra.npz")
    lens = Lens(
        [
            uvl.LensPlane([uvl.EPL(1.0, 2.0, 0.1, 0.0), uvl.Shear(0.03, 0.01)], redshift=0.5),
            uvl.LensPlane([uvl.SIS(0.2, 0.8, -0.4)], redshift=0.3),
            uvl.LensPlane([uvl.NFW(R_s=1.0, alpha_R_s=0.1, center_x=-0.5, center_y=0.6)], redshift=0.8),
        ],
        2.0,
        FlatLambdaCDM(70.0, 0.3),
    )
    x, y = stored["mp/x"], stored["mp/y"]
    beta = lens.ray_trace(x, y)
    assert np.allclose(x - beta[0], stored["mp/ax"], rtol=1e-8, atol=1e-10)
    assert np.allclose(y - beta[1], stored["mp/ay"], rtol=1e-8, atol=1e-10)


def test_a_cosmology_is_differentiable_and_H0_leaves_the_rays_alone():
    def beta(om, h0=70.0):
        return three_planes(FlatLambdaCDM(h0, om)).ray_trace(1.0, 0.5)[0]

    slope = (beta(0.3 + 1e-5) - beta(0.3 - 1e-5)) / 2e-5
    assert float(quick(jax.grad(beta))(0.3)) == pytest.approx(float(slope), rel=1e-6)
    assert abs(float(slope)) > 1e-4
    assert float(beta(0.3, 50.0)) == pytest.approx(float(beta(0.3)), rel=1e-13)


def test_planes_at_one_redshift_add_and_planes_behind_the_source_do_nothing():
    x, y = np.random.default_rng(2).uniform(-1.5, 1.5, (2, 10))
    mass = [uvl.SIE(1.0, 0.1, 0.0), uvl.Shear(0.05, 0.0)]
    together = Lens([uvl.LensPlane(mass, 0.5)], 2.0)
    apart = Lens([uvl.LensPlane(mass[:1], 0.5), uvl.LensPlane(mass[1:], 0.5)], 2.0)
    assert np.allclose(together.ray_trace(x, y), apart.ray_trace(x, y), atol=1e-14)
    behind = Lens([uvl.LensPlane(mass, 0.5), uvl.LensPlane([uvl.SIE(0.3)], 1.0)], 0.8, reference_redshift=2.0)
    scale = (
        AstropyCosmology().angular_diameter_distance(0.5, 0.8)
        * AstropyCosmology().angular_diameter_distance(0.0, 2.0)
        / AstropyCosmology().angular_diameter_distance(0.0, 0.8)
        / AstropyCosmology().angular_diameter_distance(0.5, 2.0)
    )
    alone = Lens(uvl.LensPlane(mass), scale=scale)
    assert np.allclose(behind.ray_trace(x, y), alone.ray_trace(x, y), atol=1e-13)


def test_one_plane_and_one_source_need_no_redshift():
    lens = Lens([uvl.SIE(1.0)])
    assert lens.cosmology is None and lens.to_source == (1.0,)
    assert np.allclose(lens.ray_trace(2.0, 0.0), (1.0, 0.0))
    assert float(lens.inverse_magnification(jnp.array(2.0), 0.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda p: Lens([p(0.5)], 0.4), "plane at redshift 0.5 is not in front of the source at 0.4"),
        (
            lambda p: Lens([p(0.5)], 0.3, reference_redshift=2.0),
            "source at redshift 0.3 is in front of the lens at 0.5",
        ),
        (lambda p: Lens([p(0.5), p(None)], 2.0), "need the redshift of each"),
        (lambda p: Lens([p(0.5), p(0.6)]), "need the redshift of each"),
        (lambda p: Lens([p(0.5), p(0.6)], 2.0, scale=0.5), "deflection_scale is for a single lens plane"),
        (lambda p: as_cosmology("Planck81"), "'Planck81' is not one of"),
        (lambda p: FlatLambdaCDM(-70.0), "H0 must be > 0, got -70.0"),
        (lambda p: FlatLambdaCDM(70.0, 1.5), "Om0 must be in \\(0, 1\\], got 1.5"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(InputError, match=words):
        make(lambda z: uvl.LensPlane([uvl.SIE(1.0)], z))
