"""Mass profiles against textbook forms, lenstronomy's values, each other, and at their edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from scipy.integrate import dblquad

import uvlens as uvl
from uvlens.lens import isothermal, power_law

COMPONENTS = {
    "SIE": uvl.SIE(1.2, 0.1, -0.05, 0.03, -0.02),
    "EPL steep": uvl.EPL(0.8, 2.2, -0.2, 0.1, 0.0, 0.0),
    "EPL shallow": uvl.EPL(1.2, 1.8, 0.1, -0.05, 0.03, -0.02),
    "Shear": uvl.Shear(0.05, -0.03),
}


@pytest.fixture(params=list(COMPONENTS))
def component(request):
    return COMPONENTS[request.param]


@pytest.fixture
def positions():
    return np.random.default_rng(0).uniform(-2.0, 2.0, (2, 40))


def test_deflection_is_the_gradient_of_the_potential(component, positions):
    x, y = positions
    h = 1e-4
    for axis, alpha in enumerate(component.deflection(x, y)):
        dx, dy = (h, 0.0) if axis == 0 else (0.0, h)
        p = component.potential
        slope = (
            8 * (p(x + dx, y + dy) - p(x - dx, y - dy)) - (p(x + 2 * dx, y + 2 * dy) - p(x - 2 * dx, y - 2 * dy))
        ) / (12 * h)
        assert np.allclose(alpha, slope, atol=1e-9)


def test_convergence_is_half_the_divergence_of_the_deflection(component, positions):
    xx, _, yy = component.hessian(*positions)
    assert np.allclose(0.5 * (xx + yy), component.convergence(*positions), atol=1e-12)


def test_jit_and_vmap_equal_the_plain_call(component, positions):
    x, y = positions
    plain = np.stack(component.deflection(x, y))
    assert np.allclose(np.stack(jax.jit(component.deflection)(x, y)), plain, rtol=1e-13)
    assert np.allclose(np.stack(jax.vmap(component.deflection)(x, y)), plain, rtol=1e-13)


@pytest.mark.parametrize("point", [(0.7, -0.4), (0.03, 0.5), (1e-3, 1e-3)])
@pytest.mark.parametrize("ellipticity", [(0.2, -0.1), (0.0, 0.0), (1e-9, 1e-9), (0.0, 0.4)])
@pytest.mark.parametrize("axis", [0, 1])
def test_gradients_of_the_isothermal_deflection(point, ellipticity, axis):
    """In every parameter, round lenses included: e = 0 is an ordinary point."""
    start = np.array([1.1, *ellipticity, 0.02, -0.01])

    def alpha(p):
        return isothermal.deflection(*point, *p)[axis]

    exact = np.asarray(jax.grad(alpha)(jnp.asarray(start)))
    numeric = reference.central_difference(lambda p: float(alpha(p)), start, 1e-4)
    assert np.all(np.isfinite(exact))
    # a point 0.02" from the centre: fourth-order differences of step 1e-4 are good to 1e-6 there
    assert np.abs(exact - numeric).max() < 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize("slope", [1.3, 2.0, 2.7])
def test_gradients_of_the_power_law(slope):
    start = np.array([1.1, slope, 0.2, -0.1, 0.02, -0.01])

    def alpha(p):
        return power_law.deflection(0.7, -0.4, *p)[0]

    numeric = reference.central_difference(lambda p: float(alpha(p)), start, 1e-3)
    assert np.abs(jax.grad(alpha)(jnp.asarray(start)) - numeric).max() < 1e-8


@pytest.mark.parametrize("q", [1.0, 0.999999, 0.8, 0.5, 0.2])
def test_isothermal_equals_the_power_law_at_slope_two(q, positions):
    e1, e2 = ((1 - q) / (1 + q) * f for f in (0.6, -0.8))
    a = np.stack(uvl.SIE(1.3, e1, e2, 0.1, 0.2).deflection(*positions))
    b = np.stack(uvl.EPL(1.3, 2.0, e1, e2, 0.1, 0.2).deflection(*positions))
    assert np.abs(a - b).max() < 1e-10


def test_round_isothermal_deflects_by_its_einstein_radius(positions):
    x, y = positions
    ax, ay = uvl.SIE(1.3).deflection(x, y)
    assert np.allclose(ax, 1.3 * x / np.hypot(x, y)) and np.allclose(ay, 1.3 * y / np.hypot(x, y))


@pytest.mark.parametrize("component", [uvl.SIE(1.0, 0.3, 0.2), uvl.EPL(1.0, 2.3, 0.1, 0.0), uvl.EPL(1.0, 1.7)])
def test_finite_at_the_centre(component):
    values, gradient = jax.value_and_grad(lambda p: sum(component.deflection(*p)))(jnp.zeros(2))
    assert values == 0.0 and np.all(np.isfinite(gradient))
    assert np.isfinite(component.convergence(0.0, 0.0)) and np.isfinite(component.potential(0.0, 0.0))


@pytest.mark.parametrize("slope", [1.8, 2.0, 2.3])
def test_mass_inside_the_intermediate_axis(slope):
    """The mean convergence inside the ellipse whose area is pi theta_E^2 is one, by direct integration."""
    q, theta_E = 0.6, 1.1
    e = (1 - q) / (1 + q)
    component = uvl.EPL(theta_E, slope, e, 0.0)  # major axis along East

    def integrand(t, r):
        x, y = r * np.cos(t) / np.sqrt(q), r * np.sin(t) * np.sqrt(q)
        return float(component.convergence(x, y)) * r

    mass = dblquad(integrand, 1e-9, theta_E, 0.0, 2 * np.pi, epsabs=1e-5, epsrel=1e-5)[0]
    assert abs(mass / (np.pi * theta_E**2) - 1.0) < 1e-4


def test_isothermal_equals_the_textbook_form():
    """Kormann et al. (1994): rotate to the axes, arctan and artanh, rotate back."""
    x, y = 0.731, -0.412
    q = (1 - np.hypot(0.1, 0.05)) / (1 + np.hypot(0.1, 0.05))
    phi = 0.5 * np.arctan2(-0.05, 0.1)
    dx, dy = x - 0.03, y + 0.02
    major, minor = dx * np.cos(phi) + dy * np.sin(phi), dy * np.cos(phi) - dx * np.sin(phi)
    f, psi = np.sqrt(1 - q**2), np.hypot(q * major, minor)
    a = 1.2 * np.sqrt(q) / f
    expected = a * np.arctan(f * major / psi), a * np.arctanh(f * minor / psi)
    ax, ay = COMPONENTS["SIE"].deflection(x, y)
    assert np.allclose([ax * np.cos(phi) + ay * np.sin(phi), ay * np.cos(phi) - ax * np.sin(phi)], expected, rtol=1e-12)


def test_axis_ratio_and_position_angle_are_an_alternative(positions):
    """PA is East of North: at PA = 0 the mass is stretched North-South, at 90 East-West."""
    north = uvl.SIE(1.0, axis_ratio=0.5, position_angle=0.0)
    assert north.convergence(0.0, 1.0) > north.convergence(1.0, 0.0)
    east = uvl.SIE(1.0, axis_ratio=0.5, position_angle=90.0)
    assert east.convergence(1.0, 0.0) > east.convergence(0.0, 1.0)
    north_east = uvl.SIE(1.0, axis_ratio=0.5, position_angle=45.0)
    assert north_east.convergence(0.7, 0.7) > north_east.convergence(-0.7, 0.7)
    from uvlens.conventions import ellipticity_from_axis_ratio

    same = uvl.SIE(1.0, *ellipticity_from_axis_ratio(0.5, 45.0))
    assert np.allclose(np.stack(same.deflection(*positions)), np.stack(north_east.deflection(*positions)))


def test_shear_stretches_images_along_its_position_angle():
    """d theta / d beta = (1 - Gamma)^-1 is largest along the PA."""
    shear = uvl.Shear(strength=0.1, position_angle=30.0)
    lens = uvl.LensPlane([shear])
    pa = np.deg2rad(30.0)
    along, across = (np.sin(pa), np.cos(pa)), (np.cos(pa), -np.sin(pa))
    assert np.allclose(np.hypot(*lens.ray_trace(*along)), 0.9)
    assert np.allclose(np.hypot(*lens.ray_trace(*across)), 1.1)


def test_half_a_pair_of_parameters_is_refused():
    with pytest.raises(uvl.InputError, match="position_angle"):
        uvl.SIE(1.0, axis_ratio=0.5)
    with pytest.raises(uvl.InputError, match="gamma1"):
        uvl.Shear(gamma1=0.1, strength=0.1, position_angle=3.0)


def test_critical_curve_of_an_isothermal_ellipse():
    """Its area is pi theta_E^2, its magnification infinite."""
    from uvlens.lens import caustics, critical_curves, effective_einstein_radius

    lens = uvl.LensPlane([uvl.SIE(1.2, 0.15, 0.1, 0.1, -0.2)])
    assert abs(effective_einstein_radius(lens, (0.1, -0.2), 3.0, 400) - 1.2) < 2e-3
    axis = np.linspace(-2.5, 2.5, 401) + 1e-3
    curves = critical_curves(lens, axis, axis)
    tangential = max(curves, key=len)
    kappa = np.asarray(lens.mass[0].convergence(tangential[:, 0], tangential[:, 1]))
    assert np.abs(kappa - 0.5).max() < 2e-3
    assert len(caustics(lens, curves)) == len(curves)


@pytest.mark.realdata
@pytest.mark.parametrize("key", ["SIE__0", "SIE__1", "EPL__0", "EPL__1", "SHEAR__0", "SHEAR__1"])
def test_oracle_of_lenstronomy(data_folder, key):
    import json

    folder = data_folder / "oracle"
    entry = json.loads((folder / "lenstronomy_profiles.json").read_text())["profiles"][key]
    values = np.load(folder / "lenstronomy_profiles.npz")
    kwargs = dict(entry["kwargs"])
    if key.startswith("SHEAR"):
        component = uvl.Shear(kwargs["gamma1"], kwargs["gamma2"])
    elif key.startswith("EPL"):
        component = uvl.EPL(slope=kwargs.pop("gamma"), **kwargs)
    else:
        component = uvl.SIE(**kwargs)
    x, y = values[f"{key}/x"], values[f"{key}/y"]
    # the oracle's SIE has a small core: alpha good to 3e-9, kappa to 1e-5 (recorded in its json)
    alpha_limit, kappa_limit = (1e-8, 1e-5) if key.startswith("SIE") else (1e-12, 1e-12)
    alpha = component.deflection(x, y)
    assert np.abs(alpha[0] - values[f"{key}/ax"]).max() < alpha_limit
    assert np.abs(alpha[1] - values[f"{key}/ay"]).max() < alpha_limit
    assert np.abs(component.potential(x, y) - values[f"{key}/psi"]).max() < 1e-8
    kappa = values[f"{key}/kappa"]
    assert np.abs(component.convergence(x, y) - kappa).max() <= kappa_limit * max(1.0, np.abs(kappa).max())
