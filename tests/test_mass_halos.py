"""Halos against integrals of their densities, lenstronomy's values, each other, and at their edges."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_mass
from compiling import quick
from scipy.integrate import quad

import uvlens as uvl
from uvlens.lens import concentration, elliptical_nfw, gnfw, hernquist, nfw, truncated_nfw
from uvlens.lens.halos import GNFW, NFW, EllipticalNFW, Hernquist, SubhaloNFW, TruncatedNFW
from uvlens.priors import Uniform

RADII = (1e-4, 3e-2, 0.49999, 1.0, 1.0001, 7.0, 1e3)
ANGLES = (0.0, 0.7, np.pi / 2)
SHAPES = ((0.0, 0.0), (0.1, -0.05), (2.0 / 3.0, 0.0), (-0.3, 0.4))  # up to q = 0.2


def projected(density, radius):
    """2 int_0^inf density dz at z = radius sinh w."""

    def integrand(w):
        return density(radius * np.cosh(w)) * radius * np.cosh(w)

    return 2.0 * quad(integrand, 0.0, 60.0, epsabs=0.0, epsrel=1e-12, limit=900)[0]


def enclosed(density, radius):
    """2 / R int_0^R kappa R dR, with the order of the integrals changed: shells of radius s, in ln s.

    A shell of mass 4 pi s^2 rho ds puts the fraction 1 - sqrt(1 - R^2 / s^2) inside R (all of it where s < R).
    """

    def integrand(log_s):
        s = np.exp(log_s)
        ratio = min(1.0, radius / s) ** 2
        return 4.0 * s**3 * density(s) * ratio / (1.0 + np.sqrt(1.0 - ratio))

    ends = (np.log(radius) - 60.0, np.log(radius), np.log(radius) + 60.0)
    parts = [quad(integrand, a, b, epsabs=0.0, epsrel=1e-12, limit=900)[0] for a, b in itertools.pairwise(ends)]
    return sum(parts) / radius


def gnfw_density(slope):
    return lambda r: r**-slope * (1.0 + r) ** (slope - 3.0)


def positions(radii=RADII, angles=ANGLES):
    return np.array([(r * np.cos(t), r * np.sin(t)) for r in radii for t in angles]).T


def relative(alpha, exact):
    return np.hypot(*(np.asarray(alpha) - exact)) / np.hypot(*exact)


def test_round_nfw_equals_the_projected_density():
    radii = np.array([1e-8, *RADII])
    kappa, alpha = nfw.convergence(radii, 0.0, 1.0, 1.0), nfw.deflection(radii, 0.0, 1.0, 1.0)[0]
    assert np.allclose(kappa, [projected(gnfw_density(1.0), r) for r in radii], rtol=1e-11, atol=0.0)
    assert np.allclose(alpha, [enclosed(gnfw_density(1.0), r) for r in radii], rtol=1e-11, atol=0.0)
    assert np.isclose(NFW(3.0, 0.7).deflection(3.0, 0.0)[0], 0.7, rtol=1e-14)


def test_elliptical_nfw_equals_brute_force():
    x, y = positions()
    evaluate = jax.jit(lambda e1, e2: jnp.stack(elliptical_nfw.deflection(x, y, 1.0, 1.0, e1, e2)))

    def kappa(radius):
        return float(np.asarray(nfw_kappa(radius)))

    nfw_kappa = jax.jit(lambda r: nfw.convergence(r, 0.0, 1.0, 1.0))
    for e1, e2 in SHAPES:
        exact = np.array([reference_mass.deflection(kappa, *point, e1, e2) for point in zip(x, y)]).T
        # the rule of 71 nodes
        assert relative(evaluate(e1, e2), exact).max() < 2e-9


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0, 1.7, 2.0, 2.3])
def test_free_inner_slope_equals_the_projected_density(slope):
    radii = np.array(RADII)
    kappa = gnfw.convergence(radii, 0.0, 1.0, 1.0, slope)
    alpha = gnfw.deflection(radii, 0.0, 1.0, 1.0, slope)[0]
    limit = 5e-8 if slope <= 1.7 else 1e-5
    assert np.allclose(kappa, [projected(gnfw_density(slope), r) for r in radii], rtol=limit, atol=0.0)
    assert np.allclose(alpha, [enclosed(gnfw_density(slope), r) for r in radii], rtol=limit, atol=0.0)
    assert np.isclose(GNFW(3.0, 0.7, slope).deflection(3.0, 0.0)[0], 0.7, rtol=1e-12)


def test_hernquist_equals_the_projected_density():
    def density(r):
        return 1.0 / (r * (1.0 + r) ** 3)

    radii = np.array(RADII)
    assert np.allclose(
        hernquist.convergence(radii, 0.0, 1.0, 1.0), [projected(density, r) for r in radii], rtol=3e-8, atol=0.0
    )
    assert np.allclose(
        hernquist.deflection(radii, 0.0, 1.0, 1.0)[0], [enclosed(density, r) for r in radii], rtol=3e-8, atol=0.0
    )
    # kappa_s x total mass of the density, 2 pi, over pi r
    assert np.isclose(hernquist.deflection(1e6, 0.0, 1.0, 1.0)[0] * 1e6, 2.0, rtol=1e-5)


@pytest.mark.parametrize("tau", [0.1, 1.0, 5.0, 100.0])
def test_truncated_halo_equals_the_projected_density(tau):
    def density(r):
        return tau**2 / (r * (1.0 + r) ** 2 * (tau**2 + r**2))

    radii = np.array([1e-6, *RADII])
    kappa = truncated_nfw.convergence(radii, 0.0, 1.0, 1.0, tau)
    alpha = truncated_nfw.deflection(radii, 0.0, 1.0, 1.0, tau)[0]
    # kappa falls as t^-4 beyond the truncation, out of terms that fall as 1 / t
    assert np.allclose(kappa, [projected(density, r) for r in radii], rtol=1e-11, atol=1e-15)
    assert np.allclose(alpha, [enclosed(density, r) for r in radii], rtol=1e-11, atol=0.0)


COMPONENTS = {
    "NFW": NFW(2.0, 0.6, 0.03, -0.02),
    "EllipticalNFW": EllipticalNFW(2.0, 0.6, 0.1, -0.2, 0.03, -0.02),
    "TruncatedNFW": TruncatedNFW(1.0, 0.6, 3.0, 0.03, -0.02),
    "GNFW": GNFW(2.0, 0.6, 1.4, 0.03, -0.02, e1=0.1, e2=-0.2),
    "GNFW isothermal cusp": GNFW(2.0, 0.6, 2.0),
    "Hernquist": Hernquist(0.8, 0.5, 0.3, 0.2, 0.03, -0.02),
}


@pytest.mark.parametrize("name", list(COMPONENTS))
def test_potential_deflection_and_convergence_agree_everywhere(name):
    """grad psi = alpha and kappa = div alpha / 2, at the centre, on the axes, at R_s and far out; nothing is NaN."""
    component = COMPONENTS[name]
    center = component.parameters()[-2:]
    points = np.concatenate(
        [[(0.0, 0.0), (1e-5, 0.0), (0.0, 1e-2), (2.0, 0.0), (1.0, 1.0), (-300.0, 200.0)], [(0.3, -0.4)]]
    )

    @quick
    @jax.vmap
    def all_of(point):
        position = point + jnp.stack([jnp.asarray(c, dtype=float) for c in center])
        slope, matrix = (
            jax.value_and_grad(lambda p: component.potential(*p))(position)[1],
            jax.jacfwd(lambda p: jnp.stack(component.deflection(*p)))(position),
        )
        curvature = jax.hessian(lambda p: component.potential(*p))(position)
        return slope, jnp.stack(component.deflection(*position)), matrix, component.convergence(*position), curvature

    slope, alpha, matrix, kappa, curvature = (np.asarray(one) for one in all_of(jnp.asarray(points)))
    for one in (slope, alpha, matrix, kappa, curvature):
        assert np.isfinite(one).all()
    assert np.abs(alpha[0]).max() == 0.0
    assert np.allclose(slope, alpha, rtol=1e-9, atol=1e-12)
    assert np.allclose(matrix, matrix.transpose(0, 2, 1), rtol=1e-9, atol=1e-9)
    assert np.allclose(0.5 * np.trace(matrix[1:], axis1=1, axis2=2), kappa[1:], rtol=1e-9, atol=1e-12)
    assert np.allclose(curvature[2:], matrix[2:], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "profile, start",
    [
        (elliptical_nfw, [1.5, 0.4, 0.0, 0.0, 0.02, -0.01]),
        (gnfw, [1.5, 0.4, 2.0, 0.2, -0.1, 0.02, -0.01]),
        (truncated_nfw, [1.5, 0.4, 1.5, 0.02, -0.01]),
        (hernquist, [1.5, 0.4, 0.3, -0.2, 0.02, -0.01]),
    ],
)
def test_gradients_by_every_parameter(profile, start):
    """Reverse and forward mode against finite differences, at e = 0, slope 2 and tau = 1 among others."""
    start = np.array(start)

    def total(p):
        return sum(profile.deflection(0.7, -0.4, *p)) + profile.potential(0.7, -0.4, *p)

    value = quick(total)
    numeric = reference.central_difference(lambda p: float(value(p)), start, 1e-3)
    exact = np.asarray(quick(jax.grad(total))(jnp.asarray(start)))
    assert np.abs(exact - numeric).max() < 1e-8 * np.abs(exact).max()
    along = jnp.asarray(np.random.default_rng(1).normal(size=start.size))
    assert np.isclose(quick(lambda p: jax.jvp(total, (p,), (along,))[1])(jnp.asarray(start)), exact @ along, rtol=1e-12)


def test_gradients_of_magnifications():
    """Second derivatives of sums over nodes: d/dp of det d beta / d theta."""
    x, y = np.array([0.5, -0.3]), np.array([0.2, 0.9])

    def total(p):
        lens = uvl.LensPlane([GNFW(p[0], None, p[2], kappa_s=p[1], e1=p[3], e2=p[4])])
        return jnp.sum(lens.inverse_magnification(x, y))

    start = np.array([2.0, 0.3, 1.2, 0.1, 0.05])
    value = quick(total)
    numeric = reference.central_difference(lambda p: float(value(p)), start, 1e-3)
    assert np.abs(quick(jax.grad(total))(jnp.asarray(start)) - numeric).max() < 1e-7 * np.abs(numeric).max()


def test_jit_vmap_and_broadcasting():
    component = COMPONENTS["GNFW"]
    x, y = np.random.default_rng(0).uniform(-2.0, 2.0, (2, 3, 4))
    plain = np.stack(component.deflection(x, y))
    assert np.allclose(np.stack(jax.jit(component.deflection)(x, y)), plain, rtol=1e-13)
    assert np.allclose(np.stack(jax.vmap(component.deflection)(x, y)), plain, rtol=1e-13)
    grid = component.deflection(x[0][None, :], y[:, 0][:, None])
    assert grid[0].shape == (3, 4)


def test_slope_one_is_nfw_and_round_is_round():
    x, y = np.random.default_rng(0).uniform(-5.0, 5.0, (2, 30))
    exact = np.stack(quick(NFW(2.0, 0.5).deflection)(x, y))
    assert relative(quick(GNFW(2.0, 0.5, 1.0).deflection)(x, y), exact).max() < 1e-7
    assert relative(quick(EllipticalNFW(2.0, 0.5).deflection)(x, y), exact).max() < 1e-7
    assert relative(quick(TruncatedNFW(2.0, 0.5, 2e6).deflection)(x, y), exact).max() < 1e-5


def test_subhalo_holds_its_mass():
    """M200c inside r_200 by integrating rho; the lens of it by kappa = Sigma / Sigma_cr."""
    mass, c, critical = 3e9, 14.0, 210.0
    r_s, rho_s = concentration.nfw_scale(mass, c, critical)
    inside = quad(lambda r: 4.0 * np.pi * r**2 * rho_s * gnfw_density(1.0)(r / r_s), 0.0, c * r_s)[0]
    assert np.isclose(inside, mass, rtol=1e-10)
    assert np.isclose(inside / (4.0 / 3.0 * np.pi * (c * r_s) ** 3), 200.0 * critical, rtol=1e-10)
    sub = SubhaloNFW(np.log10(mass), 1.1e11, 0.16, critical, concentration=c, tau=1e6)
    R_s, _ = sub.scale
    assert np.isclose(R_s, r_s * 0.16)
    x = 0.05
    sigma = projected(lambda r: rho_s * gnfw_density(1.0)(r / r_s), x / 0.16)
    assert np.isclose(sub.convergence(x, 0.0), sigma / (1.1e11 * 0.16**2), rtol=1e-4)
    assert np.isclose(
        SubhaloNFW(9.0, 1e11, 0.1, 200.0, 0.0, 0.0, 10.0, tau=5.0).parameters()[2],
        5.0 * SubhaloNFW(9.0, 1e11, 0.1, 200.0, 0.0, 0.0, 10.0).scale[0],
    )


def test_concentrations_of_the_literature():
    """At the pivots of the published tables, where log10 c is the tabulated intercept."""
    assert np.isclose(concentration.duffy_2008(2e12 / 0.7, 0.0, 0.7), 5.71)
    assert np.isclose(concentration.duffy_2008(2e14 / 0.7, 1.0, 0.7), 5.71 * 100**-0.084 * 2**-0.47)
    # Dutton & Maccio 2014, Table 3, c200 of NFW fits: (a, b) at z = 0 and z = 1
    assert abs(np.log10(concentration.dutton_maccio_2014(1e12 / 0.671, 0.0, 0.671)) - 0.905) < 1e-12
    assert abs(np.log10(concentration.dutton_maccio_2014(1e12 / 0.671, 1.0, 0.671)) - 0.728) < 0.002


def test_subhalo_in_an_astropy_cosmology():
    from astropy.cosmology import FlatLambdaCDM

    sub = SubhaloNFW.at(0.5, 2.0, FlatLambdaCDM(70.0, 0.3), 9.0, center_x=0.3, relation="Duffy2008")
    # D_A(0.5) = 1259.1 Mpc; rho_crit = 277.54 h^2 E^2, E^2 = 0.3 x 1.5^3 + 0.7
    assert np.isclose(1.0 / sub.arcsec_per_kpc, 6.104, atol=1e-3)
    assert np.isclose(sub.critical_density, 277.54 * 0.49 * (0.3 * 1.5**3 + 0.7), rtol=1e-4)
    assert np.isclose(np.log10(sub.critical_surface_density), 10.889, atol=1e-3)
    assert sub.h == 0.7 and sub.redshift == 0.5
    doubled = SubhaloNFW.at(0.5, 2.0, FlatLambdaCDM(70.0, 0.3), 9.0, log10_concentration_offset=np.log10(2.0))
    assert doubled.scale[0] < sub.scale[0]


def test_what_halos_refuse():
    with pytest.raises(uvl.InputError, match="NFW: give alpha_R_s"):
        NFW(1.0)
    with pytest.raises(uvl.InputError, match="EllipticalNFW: give alpha_R_s"):
        EllipticalNFW(1.0, 0.5, kappa_s=0.1)
    with pytest.raises(uvl.InputError, match="slope_inner must be in"):
        GNFW(1.0, 0.5, 2.7)
    with pytest.raises(uvl.InputError, match="truncation_radius"):
        TruncatedNFW(1.0, 0.5)
    with pytest.raises(uvl.InputError, match="position_angle"):
        Hernquist(1.0, 0.5, axis_ratio=0.5)
    with pytest.raises(uvl.InputError, match="give concentration"):
        SubhaloNFW(9.0, 1e11, 0.1, 200.0)
    with pytest.raises(uvl.InputError, match="relation must be"):
        SubhaloNFW(9.0, 1e11, 0.1, 200.0, concentration=10.0, relation="Prada")
    assert EllipticalNFW(1.0, Uniform(0.1, 1.0), axis_ratio=0.8, position_angle=30.0).axis_ratio == 0.8


def of_lenstronomy(key, kwargs):
    """(component, limits of alpha, kappa relative, psi) of an entry of the oracle."""
    e = {name: kwargs[name] for name in ("e1", "e2") if name in kwargs}
    center = {"center_x": kwargs["center_x"], "center_y": kwargs["center_y"]}
    if key.startswith("NFW_ELLIPSE"):
        # 44 ellipsoids there
        return EllipticalNFW(kwargs["Rs"], kwargs["alpha_Rs"], **e, **center), 5e-6, 3e-5, 1e-5
    if key.startswith("NFW"):
        return NFW(kwargs["Rs"], kwargs["alpha_Rs"], **center), 1e-12, 1e-12, 1e-12
    if key.startswith("GNFW_ELLIPSE"):
        # Gaussians there, which leave out the mass of the cusp: 2 % of alpha at slope 1.3
        return GNFW(kwargs["Rs"], kwargs["alpha_Rs"], kwargs["gamma_in"], **center, **e), 3e-2, 1e-2, 2e-2
    if key.startswith("GNFW"):
        # their potential is integrated to 1e-4
        return GNFW(kwargs["Rs"], kwargs["alpha_Rs"], kwargs["gamma_in"], **center), 2e-8, 2e-7, 1e-4
    if key.startswith("TNFW"):
        return TruncatedNFW(kwargs["Rs"], kwargs["alpha_Rs"], kwargs["r_trunc"], **center), 1e-10, 1e-11, 1e-11
    # theirs is on the major axis
    q = (1.0 - np.hypot(*e.values())) / (1.0 + np.hypot(*e.values()))
    return Hernquist(kwargs["Rs"] * np.sqrt(q), kwargs["sigma0"] / q, **e, **center), 1e-4, 1e-4, 1e-4


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name", ["NFW", "NFW_ELLIPSE_CSE", "GNFW", "GNFW_ELLIPSE_GAUSS_DEC", "TNFW", "HERNQUIST_ELLIPSE_CSE"]
)
@pytest.mark.parametrize("number", [0, 1])
def test_oracle_of_lenstronomy(data_folder, name, number):
    key = f"{name}__{number}"
    entry = json.loads((data_folder / "oracle" / "lenstronomy_profiles.json").read_text())["profiles"][key]
    values = np.load(data_folder / "oracle" / "lenstronomy_profiles.npz")
    component, alpha_limit, kappa_limit, psi_limit = of_lenstronomy(key, entry["kwargs"])
    x, y = values[f"{key}/x"], values[f"{key}/y"]
    alpha = component.deflection(x, y)
    assert np.abs(alpha[0] - values[f"{key}/ax"]).max() < alpha_limit
    assert np.abs(alpha[1] - values[f"{key}/ay"]).max() < alpha_limit
    assert np.abs(component.convergence(x, y) / values[f"{key}/kappa"] - 1.0).max() < kappa_limit
    assert np.abs(component.potential(x, y) - values[f"{key}/psi"]).max() < psi_limit
