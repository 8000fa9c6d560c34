"""The elliptical mass profiles and what perturbs them: brute force, closed forms, published values, edges."""

import dataclasses
import inspect
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_mass
from compiling import quick
from scipy.special import beta, hyp2f1

import uvlens as uvl
from uvlens.bestfit import component_section
from uvlens.lens import (
    MASS_PROFILES,
    cored_isothermal,
    cored_power_law,
    dual_isothermal,
    elliptical_multipole,
    flexion,
    isothermal,
    multipole,
    point_mass,
    power_law,
    shear,
    sheet,
)
from uvlens.parse import parse_component
from uvlens.schema import Section

CENTER = (0.03, -0.02)
ROUND, MILD, FLAT = (0.0, 0.0), (0.12, -0.2), (-0.45, 0.6)  # q = 1, 0.62, 0.14


def _power(R, theta_E, slope, core=0.0):
    return 0.5 * (3.0 - slope) * (theta_E**2 / (core**2 + R**2)) ** (0.5 * (slope - 1.0)) if core or R else 0.0


def _at(kappa, shape, R):
    return kappa(R, *shape)


def _isothermal(R, theta_E, core):
    return _power(R, theta_E, 2.0, core)


def _dual(R, b0, a, s):
    p, r = np.hypot(a, R), np.hypot(s, R)
    return 0.5 * b0 * s * (s + a) / (p * r * (p + r)) if p else 0.0


# functions, convergence as a function of R, shape parameters before e1, e2, relative error allowed
ELLIPTICAL = {
    "SIE": (isothermal, lambda R, t: _isothermal(R, t, 0.0), [(1.2,)], 1e-12),
    "NIE": (cored_isothermal, _isothermal, [(1.2, 0.0), (1.2, 1e-4), (1.2, 0.1), (0.8, 2.0)], 1e-12),
    "EPL": (power_law, _power, [(1.2, 1.6), (1.2, 2.0), (0.8, 2.7)], 1e-11),
    "CoredEPL": (cored_power_law, _power, [(1.2, 1.6, 1e-4), (1.2, 2.0, 0.1), (0.8, 2.7, 1e-4), (0.8, 2.5, 0.0)], 1e-9),
    "DPIE": (dual_isothermal, _dual, [(1.2, 0.1, 2.0), (0.8, 0.0, 1.0), (1.2, 0.7, 0.7), (1.2, 0.02, 50.0)], 1e-12),
}

# all the profile functions, with generic numbers for their parameters
FUNCTIONS = {
    "isothermal": (isothermal, (1.2, *MILD, *CENTER)),
    "cored isothermal": (cored_isothermal, (1.2, 0.1, *MILD, *CENTER)),
    "power law": (power_law, (1.2, 2.2, *MILD, *CENTER)),
    "cored power law": (cored_power_law, (1.2, 2.2, 0.1, *MILD, *CENTER)),
    "dual isothermal": (dual_isothermal, (1.2, 0.1, 2.0, *MILD, *CENTER)),
    "point mass": (point_mass, (1.2, *CENTER)),
    "shear": (shear, (0.1, -0.05, *CENTER)),
    "sheet": (sheet, (-0.1, *CENTER)),
    "flexion": (flexion, (0.03, -0.02, 0.05, 0.01, *CENTER)),
    **{f"multipole {m}": (multipole, (m, 0.03, -0.02, 1.1, *CENTER)) for m in (1, 4)},
    **{f"elliptical multipole {m}": (elliptical_multipole, (m, 0.03, -0.02, 1.1, *MILD, *CENTER)) for m in (3, 4)},
}


@pytest.fixture(params=list(FUNCTIONS))
def functions(request):
    """(name, deflection, convergence, potential) of vectors (x, y, parameters), and the vector of parameters."""
    module, parameters = FUNCTIONS[request.param]
    order = [p for p in parameters if isinstance(p, int)]

    def of(function):
        return lambda v: function(v[0], v[1], *order, *v[2:])

    numbers = np.array([p for p in parameters if not isinstance(p, int)])
    return request.param, of(module.deflection), of(module.convergence), of(module.potential), numbers


@pytest.fixture
def positions():
    """Around the centre, on both axes, and 1e-3 and 1e-2 arcsec from it."""
    x, y = np.random.default_rng(1).uniform(-2.0, 2.0, (2, 12))
    x[:4], y[:4] = CENTER[0] + np.array([0.0, 0.7, 1e-3, 6e-3]), CENTER[1] + np.array([-0.4, 0.0, 2e-4, -8e-3])
    return x, y


@pytest.mark.parametrize("name", list(ELLIPTICAL))
def test_deflection_is_the_integral_of_the_convergence(name, positions):
    """Schramm's integrals; the brute force itself is good to 1e-12 away from singular centres."""
    module, kappa, shapes, limit = ELLIPTICAL[name]
    x, y = positions[0][:8], positions[1][:8]
    deflection = jax.jit(module.deflection)
    for shape in shapes:
        for e in (ROUND, (1e-9, 0.0), MILD, FLAT):
            alpha = np.stack(deflection(x, y, *shape, *e, *CENTER), axis=1)
            expected = np.array(
                [reference_mass.deflection(partial(_at, kappa, shape), *p, *e, *CENTER) for p in zip(x, y)]
            )
            error = np.hypot(*(alpha - expected).T) / np.hypot(*expected.T)
            assert error.max() < limit, (shape, e, error)


def test_deflection_convergence_and_potential_agree(functions, positions):
    """grad psi = alpha, and the Jacobian of alpha is symmetric with trace 2 kappa."""
    name, deflection, convergence, potential, parameters = functions
    points = np.column_stack([*positions, np.tile(parameters, (12, 1))])

    @quick
    @jax.vmap
    def everything(v):
        jacobian = jnp.stack([jnp.stack(deflection(v)), *jax.jacfwd(lambda p: jnp.stack(deflection(p)))(v).T[:2]])
        return jacobian, jax.grad(potential)(v)[:2], convergence(v)

    found, gradient, kappa = (np.asarray(a) for a in everything(points))
    alpha, by_x, by_y = found[:, 0], found[:, 1], found[:, 2]
    scale = np.abs(found[:, 1:]).max(axis=(1, 2))
    # the potential of the cored power law is an integral of its own, good to 1e-11
    assert np.abs(gradient - alpha).max() < (1e-10 if name == "cored power law" else 1e-13)
    assert np.max(np.abs(0.5 * (by_x[:, 0] + by_y[:, 1]) - kappa) / scale) < 1e-12
    assert np.max(np.abs(by_x[:, 1] - by_y[:, 0]) / scale) < 1e-12


def _edges(name, parameters):
    """Rows (x, y, parameters): the centre, both axes, e = 0 and 1e-9, core = 0, slope = 2."""
    rows = []
    for dx, dy in ((0.0, 0.0), (1e-9, 0.0), (0.5, 0.0), (-0.5, 0.0), (0.0, 0.5), (0.0, -0.5), (0.3, 0.4)):
        rows.append([CENTER[0] + dx, CENTER[1] + dy, *parameters])
    rows = np.array(rows)
    blocks = [rows]
    if "e1" in _names(name):
        first = 2 + _names(name).index("e1")
        for e in (ROUND, (1e-9, 0.0), (0.0, -1e-9), (0.3, 0.0)):
            block = rows.copy()
            block[:, first : first + 2] = e
            blocks.append(block)
    for field, value in (("core_radius", 0.0), ("slope", 2.0)):
        if field in _names(name):
            blocks += [block.copy() for block in blocks]
            for block in blocks[len(blocks) // 2 :]:
                block[:, 2 + _names(name).index(field)] = value
    return np.concatenate(blocks)


def _names(name):
    return [n for n in inspect.signature(FUNCTIONS[name][0].deflection).parameters if n not in ("x", "y", "order")]


def test_values_gradients_and_hessians_are_finite_everywhere(functions):
    """With respect to the position and every parameter, at every edge; of the potential value and gradient."""
    name, deflection, convergence, potential, parameters = functions

    def total(v):
        alpha_x, alpha_y = deflection(v)
        return 0.8 * alpha_x - 0.6 * alpha_y + 0.3 * convergence(v)

    def gradient(v):
        value, slope = jax.value_and_grad(total)(v)
        return slope, (value, slope)

    rows = _edges(name, parameters)
    everything = jax.vmap(lambda v: (jax.jacfwd(gradient, has_aux=True)(v), jax.value_and_grad(potential)(v)))
    for found in jax.tree_util.tree_leaves(quick(everything)(rows)):
        bad = ~np.isfinite(np.asarray(found)).reshape(len(rows), -1).all(axis=1)
        assert not bad.any(), rows[bad]


ANGULAR_SERIES = jax.jit(power_law._angular_series)


@pytest.mark.parametrize("q, limit", [(0.9, 1e-14), (0.24, 1e-14), (0.1, 2e-14), (0.05, 1e-12), (0.03, 1e-9)])
def test_series_of_the_power_law(q, limit):
    """Against the hypergeometric function, with the bound of the docstring of `power_law`."""
    modulus = (1.0 - q) / (1.0 + q)
    w = modulus * np.exp(2j * np.pi * np.linspace(0.0, 1.0, 41))
    for slope in (1.05, 1.7, 2.0, 2.6, 2.95):
        t = slope - 1.0
        series = np.asarray(ANGULAR_SERIES(jnp.asarray(w), t))
        error = np.abs(series / hyp2f1(1.0, t / 2, 2.0 - t / 2, -w) - 1.0).max()
        u = (1.0 - np.sqrt(1.0 - modulus)) / (1.0 + np.sqrt(1.0 - modulus))
        n = power_law.N_TERMS
        assert error < limit and error < 4.0 * (n + 1) * u**n / (1.0 - u) ** 2 + 1e-14


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("e", [ROUND, MILD, FLAT])
def test_elliptical_multipole_by_fourier_series(order, e):
    """psi = r F(phi) + r ln r (a cos phi + b sin phi): F'' + F = 2 r kappa - dipole, term by term.

    Up to a uniform deflection. A Fourier series of 4096 angles is exact for q = 0.14.
    """
    n = 4096
    phi = 2.0 * np.pi * np.arange(n) / n
    arguments = (order, 0.03, -0.02, 1.0, *e)
    # independent of the module: rotate to the axes
    modulus, turn = np.hypot(*e), 0.5 * np.arctan2(e[1], e[0])
    q = (1.0 - modulus) / (1.0 + modulus)
    X, Y = np.cos(phi - turn), np.sin(phi - turn)
    wave = order * (np.arctan2(Y, q * X) + turn)
    kappa = (0.03 * np.cos(wave) - 0.02 * np.sin(wave)) / (2.0 * np.sqrt(q * X**2 + Y**2 / q))
    assert np.allclose(elliptical_multipole.convergence(np.cos(phi), np.sin(phi), *arguments), kappa, atol=1e-14)
    terms, k = np.fft.fft(2.0 * kappa), np.fft.fftfreq(n, 1.0 / n)
    dipole = np.abs(k) == 1.0
    angular = np.fft.ifft(np.where(dipole, 0.0, terms / (1.0 - np.where(dipole, 0.0, k) ** 2))).real
    growth = np.fft.ifft(np.where(dipole, terms, 0.0)).real / 2.0
    uniform = []
    for r in (0.5, 2.0):
        psi = elliptical_multipole.potential(r * np.cos(phi), r * np.sin(phi), *arguments) / r
        rest = np.fft.fft(np.asarray(psi) - angular - np.log(r) * growth) / n
        assert np.abs(np.where(dipole, 0.0, rest)).max() < 1e-14
        uniform.append(rest[dipole])
    assert np.abs(uniform[0] - uniform[1]).max() < 1e-14


def test_round_multipoles_are_the_elliptical_ones_at_e_0(positions):
    for order in (1, 4):
        round_one, elliptical = (
            quick(kind(order, 0.03, 20.0, 1.1).deflection) for kind in (uvl.Multipole, uvl.EllipticalMultipole)
        )
        assert np.allclose(elliptical(*positions), round_one(*positions), atol=1e-15)


def test_multipole_displaces_the_isodensity_contour():
    """Outwards by the amplitude towards the angle, counted from East to North."""
    lens = uvl.LensPlane([uvl.SIS(1.0), uvl.Multipole(4, amplitude=0.01, angle=30.0)])
    direction = np.cos(np.deg2rad(30.0)), np.sin(np.deg2rad(30.0))
    kappa = sum(m.convergence(1.01 * direction[0], 1.01 * direction[1]) for m in lens.mass)
    assert abs(float(kappa) - 0.5) < 1e-12
    turned = uvl.Multipole(4, cosine=0.01 * np.cos(np.deg2rad(120.0)), sine=0.01 * np.sin(np.deg2rad(120.0)))
    assert np.allclose(turned.deflection(0.3, 0.4), lens.mass[1].deflection(0.3, 0.4), atol=1e-16)


def test_limits_of_the_family(positions):
    """Cores of 0, isothermal slopes, far truncations."""
    alpha = quick(lambda component, x, y: jnp.stack(component.deflection(x, y)))
    e = {"e1": 0.1, "e2": -0.2}
    sie = alpha(uvl.SIE(1.2, **e), *positions)
    assert np.allclose(alpha(uvl.NIE(1.2, 0.0, **e), *positions), sie, rtol=1e-14)
    assert np.allclose(alpha(uvl.DPIE(1.2, 0.0, 1e9, **e), *positions), sie, rtol=1e-8)
    nie = alpha(uvl.NIE(1.2, 0.1, **e), *positions)
    assert np.allclose(alpha(uvl.CoredEPL(1.2, 2.0, 0.1, **e), *positions), nie, rtol=1e-12)
    epl = alpha(uvl.EPL(1.2, 2.3, **e), *positions)
    assert np.allclose(alpha(uvl.CoredEPL(1.2, 2.3, 0.0, **e), *positions), epl, rtol=1e-14)
    assert np.allclose(alpha(uvl.SIS(1.2), *positions), alpha(uvl.SIE(1.2), *positions), rtol=1e-15)


def test_published_values_of_the_dual_isothermal():
    """PyAutoLens's dPIEMassB0, in (y, x): its radii are (1 + q) / (2 sqrt q) times ours.

    Its ellipse is 5e-7 from the brute force of its convergence, which ours meets to 1e-15.
    """
    sphere = uvl.DPIE(5.2, 2.0, 3.0, center_x=0.5, center_y=-0.7)
    assert np.allclose(sphere.deflection(0.1625, 0.1875)[::-1], [1.033080741, -0.39286169026], rtol=1e-8)
    scale = 2.0 * np.sqrt(0.5) / 1.5
    ellipse = uvl.DPIE(4.0 * scale, 2.0 * scale, 3.0 * scale, 1.0 / 3.0, 0.0)
    assert np.allclose(ellipse.deflection(0.1625, 0.1625)[::-1], [0.21461366, 0.10753914], rtol=1e-6)


def test_flexion_is_the_third_derivative_of_the_potential():
    F1, F2, G1, G2 = 0.03, -0.02, 0.05, 0.01
    component = uvl.ExternalPotential(F1, F2, G1, G2, 0.1, 0.2)
    third = quick(jax.jacfwd(jax.hessian(lambda v: component.potential(v[0], v[1]))))(jnp.array([0.7, -0.3]))
    xxx, xxy, xyy, yyy = third[0, 0, 0], third[0, 0, 1], third[0, 1, 1], third[1, 1, 1]
    expected = [(xxx + xyy) / 2, (xxy + yyy) / 2, (xxx - 3 * xyy) / 2, (3 * xxy - yyy) / 2]
    assert np.allclose(expected, [F1, F2, G1, G2], atol=1e-15)


COMPONENTS = [
    uvl.SIS(1.2, 0.03, -0.02),
    uvl.NIE(1.2, 0.1, 0.1, -0.2, 0.03, -0.02),
    uvl.CoredEPL(1.2, 2.2, 0.1, 0.1, -0.2, 0.03, -0.02),
    uvl.DPIE(1.2, 0.1, 2.0, axis_ratio=0.6, position_angle=20.0),
    uvl.PointMass(1.2, 0.03, -0.02),
    uvl.ConvergenceSheet(-0.1, 0.03, -0.02),
    uvl.ExternalPotential(0.03, -0.02, 0.05, 0.01, 0.03, -0.02),
    uvl.Multipole(3, 0.03, 20.0, 1.1, 0.03, -0.02),
    uvl.EllipticalMultipole(3, cosine=0.03, sine=-0.02, theta_E=1.1, e1=0.1, e2=-0.2),
]


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: type(c).__name__)
def test_components_are_pytrees_for_jit_vmap_and_gradients(component, positions):
    """jit = eager, vmap = loop, gradient in every field = central differences."""
    x, y = (p[4:] for p in positions)

    @jax.jit
    def total(c, x, y):
        alpha_x, alpha_y = c.deflection(x, y)
        return alpha_x - 0.7 * alpha_y

    eager = np.stack(component.deflection(x, y))
    found = np.asarray(total(component, x, y))
    assert np.allclose(found, eager[0] - 0.7 * eager[1], rtol=1e-13, atol=1e-14)
    assert np.allclose(jax.vmap(total, in_axes=(None, 0, 0))(component, x, y), found, rtol=1e-13, atol=1e-14)
    leaves, structure = jax.tree_util.tree_flatten(component)

    def of(numbers):
        return total(jax.tree_util.tree_unflatten(structure, list(numbers)), x, y).sum()

    exact = np.asarray(quick(jax.grad(of))(np.array(leaves)))
    h = 1e-5
    numeric = [(of(leaves + h * step) - of(leaves - h * step)) / (2 * h) for step in np.eye(len(leaves))]
    assert np.abs(exact - np.array(numeric)).max() < 1e-7 * max(1.0, np.abs(exact).max())


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: type(c).__name__)
def test_components_come_back_from_a_model_file(component):
    section = component_section(component, MASS_PROFILES)
    again = parse_component(Section(dict(section), "lens.mass.0"), MASS_PROFILES)
    assert type(again) is type(component)
    for field in dataclasses.fields(component):
        assert (getattr(again, field.name) or 0.0) == (getattr(component, field.name) or 0.0), field.name


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: uvl.NIE(1.0, -0.1), "NIE: core_radius must be >= 0 arcsec"),
        (lambda: uvl.CoredEPL(1.0, 3.2, 0.1), "CoredEPL: slope must be in"),
        (lambda: uvl.DPIE(1.0, 0.1, 0.0), "DPIE: truncation_radius must be > 0 arcsec"),
        (lambda: uvl.SIS(0.0), "SIS: theta_E must be > 0 arcsec"),
        (lambda: uvl.PointMass(-1.0), "PointMass: theta_E"),
        (lambda: uvl.Multipole(2.5, 0.1, 3.0), "order must be a whole number"),
        (lambda: uvl.Multipole(uvl.Uniform(1, 4), 0.1, 3.0), "order must be a whole number"),
        (lambda: uvl.Multipole(3, 0.1), "Multipole: give amplitude and angle, or cosine and sine; got amplitude"),
        (lambda: uvl.EllipticalMultipole(3, 0.1, 2.0, axis_ratio=0.5), "position_angle"),
    ],
)
def test_what_has_no_meaning_is_refused_by_name(make, words):
    with pytest.raises(uvl.InputError) as error:
        make()
    assert words in str(error.value)


def _from_lenstronomy(profile, k):
    """Components from its keyword arguments."""
    k = dict(k)
    center = {"center_x": k.pop("center_x", k.pop("ra_0", 0.0)), "center_y": k.pop("center_y", k.pop("dec_0", 0.0))}
    e = {"e1": k.pop("e1", 0.0), "e2": k.pop("e2", 0.0)}
    angle = np.rad2deg(0.5 * np.arctan2(e["e2"], e["e1"]))
    modulus = np.hypot(e["e1"], e["e2"])
    q = (1.0 - modulus) / (1.0 + modulus)
    if profile == "SIE":
        return [uvl.SIE(k["theta_E"], **e, **center)]
    if profile == "SIS":
        return [uvl.SIS(k["theta_E"], **center)]
    if profile == "NIE":
        return [uvl.NIE(k["theta_E"], k["s_scale"], **e, **center)]
    if profile in ("EPL", "SPP"):
        return [uvl.EPL(k["theta_E"], k["gamma"], **e, **center)]
    if profile == "SPL_CORE":
        slope = k["gamma"]
        # of the three-dimensional density: sigma0 is half of what remains on the axis
        central = k["sigma0"] * beta(0.5, 0.5 * (slope - 1.0))
        theta_E = k["r_core"] * (2.0 * central / (3.0 - slope)) ** (1.0 / (slope - 1.0))
        return [uvl.CoredEPL(theta_E, slope, k["r_core"], **center)]
    if profile == "PJAFFE":
        return [uvl.DPIE(2.0 * k["sigma0"] * k["Ra"], k["Ra"], k["Rs"], **center)]
    if profile == "POINT_MASS":
        return [uvl.PointMass(k["theta_E"], **center)]
    if profile == "SHEAR":
        return [uvl.Shear(k["gamma1"], k["gamma2"], **center)]
    if profile == "CONVERGENCE":
        return [uvl.ConvergenceSheet(k["kappa"], **center)]
    if profile == "MULTIPOLE":
        return [uvl.Multipole(k["m"], k["a_m"], np.rad2deg(k["phi_m"]), k["r_E"], **center)]
    if profile == "MULTIPOLE_ELL":
        e1 = (1.0 - k["q"]) / (1.0 + k["q"])
        return [uvl.EllipticalMultipole(k["m"], k["a_m"], np.rad2deg(k["phi_m"]), k["r_E"], e1, 0.0, **center)]
    assert profile == "EPL_MULTIPOLE_M1M3M4"
    terms = [
        uvl.Multipole(
            m,
            k[f"a{m}_a"] * k["theta_E"] / np.sqrt(q),
            angle + np.rad2deg(k[f"delta_phi_m{m}"]),
            k["theta_E"],
            **center,
        )
        for m in (1, 3, 4)
    ]
    return [uvl.EPL(k["theta_E"], k["gamma"], **e, **center), *terms]


# limits for alpha, kappa (relative to its maximum) and psi; 1e-12 where none is stated
ORACLE_LIMITS = {
    "SIE": (1e-8, 1e-5, 1e-8),  # its SIE has a small core, its kappa of SIE and NIE is a difference
    "NIE": (1e-10, 2e-5, 1e-10),
    "POINT_MASS": (1e-12, None, 1e-12),
}
ORACLE = [
    "SIE",
    "SIS",
    "NIE",
    "EPL",
    "SPP",
    "SPL_CORE",
    "PJAFFE",
    "POINT_MASS",
    "SHEAR",
    "CONVERGENCE",
    "MULTIPOLE",
    "MULTIPOLE_ELL",
    "EPL_MULTIPOLE_M1M3M4",
]


@pytest.mark.realdata
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("profile", ORACLE)
def test_oracle_of_lenstronomy(data_folder, profile, number):
    key = f"{profile}__{number}"
    entry = json.loads((data_folder / "oracle" / "lenstronomy_profiles.json").read_text())["profiles"][key]
    with np.load(data_folder / "oracle" / "lenstronomy_profiles.npz") as file:
        x, y, ax, ay, kappa, psi = (file[f"{key}/{name}"] for name in ("x", "y", "ax", "ay", "kappa", "psi"))
    lens = _from_lenstronomy(profile, entry["kwargs"])
    alpha = sum(np.stack(c.deflection(x, y)) for c in lens) - np.stack([ax, ay])
    difference = sum(np.asarray(c.potential(x, y)) for c in lens) - psi
    if key == "MULTIPOLE_ELL__0":
        # the logarithm of m = 3 has another constant there: a uniform deflection of 6e-4
        uniform = alpha.mean(axis=1)
        center = entry["kwargs"]["center_x"], entry["kwargs"]["center_y"]
        alpha = alpha - uniform[:, None]
        difference = difference - uniform[0] * (x - center[0]) - uniform[1] * (y - center[1])
    limits = ORACLE_LIMITS.get(profile, (1e-12, 1e-12, 1e-12))
    assert np.abs(alpha).max() < limits[0]
    if limits[1] is not None:
        found = sum(np.asarray(c.convergence(x, y)) for c in lens)
        assert np.abs(found - kappa).max() < limits[1] * max(1.0, np.abs(kappa).max())
    if np.isfinite(psi).all():  # SPL_CORE has none
        assert np.ptp(difference) < limits[2]
