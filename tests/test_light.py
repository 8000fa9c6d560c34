"""Light profiles: fluxes and half-light radii by integration, edges, transforms, lenstronomy's values."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import reference_light
import scipy.special
from compiling import quick

import uvlens as uvl
from uvlens.conventions import axis_ratio_from_ellipticity
from uvlens.domain import confined
from uvlens.light import LIGHT_PROFILES, LINEAR_PROFILES, Linear, radial
from uvlens.light.bessel import disc_transform
from uvlens.light.half_light import half_light_exponent, incomplete_gamma
from uvlens.light.shapelets import orders
from uvlens.parameters import Parameters
from uvlens.parse_light import parse_light

FRAME = {"e1": 0.2, "e2": -0.15, "center_x": 0.07, "center_y": -0.04}
PROFILES = {
    "Gaussian": uvl.Gaussian(1.0, 0.2, **FRAME),
    "Sersic": uvl.Sersic(1.0, 0.3, 2.7, **FRAME),
    "CoreSersic": uvl.CoreSersic(1.0, 0.4, 3.2, 0.1, 0.3, 2.5, **FRAME),
    "Exponential": uvl.Exponential(1.0, 0.3, **FRAME),
    "DeVaucouleurs": uvl.DeVaucouleurs(1.0, 0.3, **FRAME),
    "Moffat": uvl.Moffat(1.0, 0.2, 2.3, **FRAME),
    "UniformDisc": uvl.UniformDisc(1.0, 0.3, **FRAME),
    "Ring": uvl.Ring(1.0, 0.3, 0.1, **FRAME),
    "MGE": uvl.MGE(3, 0.1, 0.5, **FRAME),
    "Shapelets": uvl.Shapelets(4, 0.2, 0.07, -0.04),
}
SMOOTH = [name for name in PROFILES if name not in ("UniformDisc", "Ring")]


def test_every_profile_has_a_name():
    assert set(LINEAR_PROFILES) - set(PROFILES) == {"PointSource", "Background"}
    assert all(name in LINEAR_PROFILES and getattr(uvl, name) is kind for name, kind in LIGHT_PROFILES.items())


def test_half_light_exponent():
    """P(2n, b) = 1/2 by SciPy's inverse, to 1e-13; its derivatives against differences of SciPy's."""
    n = np.linspace(0.3, 10.0, 500)
    b = np.asarray(jax.jit(half_light_exponent)(n))
    assert np.abs(b / scipy.special.gammaincinv(2 * n, 0.5) - 1.0).max() < 1e-13
    assert np.abs(np.asarray(incomplete_gamma(2 * n, b)) - scipy.special.gammainc(2 * n, b)).max() < 1e-13
    point = np.array([0.3, 0.5, 1.0, 4.0, 10.0])

    def exact(n):
        return scipy.special.gammaincinv(2 * n, 0.5)

    h = 1e-3
    first = (8 * (exact(point + h) - exact(point - h)) - (exact(point + 2 * h) - exact(point - 2 * h))) / (12 * h)
    second = (exact(point + h) + exact(point - h) - 2 * exact(point)) / h**2
    assert np.abs(quick(jax.vmap(jax.grad(half_light_exponent)))(point) - first).max() < 1e-9
    assert (
        np.abs(quick(jax.vmap(jax.grad(jax.grad(half_light_exponent))))(point) - second).max() < 2e-5
    )  # h^2 of differences


def in_radius(function, *parameters):
    """(ln R, 2 pi R^2 I) of a round profile on a fine line: its flux is their sum times the step."""
    s = np.linspace(-75.0, 45.0, 48_001)
    return s, 2.0 * np.pi * np.exp(2.0 * s) * np.asarray(function(jnp.exp(2.0 * s), *parameters))


def test_sersic_holds_its_flux_and_half_of_it_inside_its_radius():
    sersic = jax.jit(radial.sersic)
    for n in (0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 6.0, 8.0, 10.0):
        s, flux = in_radius(sersic, 0.7, n)
        assert abs(flux.sum() * (s[1] - s[0]) - 1.0) < 1e-9
        half = np.linspace(-75.0, np.log(0.7), 48_001)
        inside = 2.0 * np.pi * np.exp(2.0 * half) * np.asarray(sersic(jnp.exp(2.0 * half), 0.7, n))
        assert abs(np.trapezoid(inside, half) - 0.5) < 1e-5  # (step / n)^2 of the trapezoidal rule at its end


def test_core_sersic_holds_its_flux():
    """To 1e-10 inside its domain; without a core it is the Sersic profile."""
    core = jax.jit(radial.core_sersic)
    for n in (0.3, 1.0, 4.0, 10.0):
        for shape in ((1e-4, 0.0, 3.0), (0.05, 1.0, 10.0), (0.3, 0.3, 0.5), (2.5, 0.7, 10.0)):
            s, flux = in_radius(core, 0.7, n, *shape)
            assert abs(flux.sum() * (s[1] - s[0]) - 1.0) < 1e-10
    r = jnp.linspace(0.05, 2.0, 20)
    assert np.allclose(core(r**2, 0.7, 2.0, 1e-6, 0.3, 3.0), radial.sersic(r**2, 0.7, 2.0), rtol=1e-8)


def test_moffat_holds_its_flux():
    for exponent in (1.4, 2.5, 8.0):
        s, flux = in_radius(jax.jit(radial.moffat), 0.3, exponent)
        assert abs(flux.sum() * (s[1] - s[0]) - 1.0) < 1e-9
        radius = 0.3 * np.sqrt(2.0 ** (1.0 / (exponent - 1.0)) - 1.0)
        assert np.isclose(1.0 - (1.0 + (radius / 0.3) ** 2) ** (1.0 - exponent), 0.5)


@pytest.mark.parametrize("name", [name for name in PROFILES if name not in ("MGE", "Shapelets")])
def test_flux_on_the_sky(name):
    """2-D, elliptical, off centre, in polar coordinates about the centre: q leaves the flux as it is."""
    profile = PROFILES[name]
    q, phi = (1 - 0.25) / (1 + 0.25), 0.5 * np.arctan2(-0.15, 0.2)
    ends = [0.0, 0.3, 0.4, *np.geomspace(0.4, 4e5, 60)[1:]]
    ends = [0.0, *np.geomspace(1e-12, 0.3, 30), *ends[2:]]
    flux = reference_light.visibility(profile, [0.0], [0.0], ends, q, phi, (0.07, -0.04), 8)[0]
    # of the Moffat profile (R / s)^(2 - 2 beta) lies beyond the last panel
    assert abs(flux - 1.0) < 1e-9


def parameters_of(profile):
    """(names, values, function of a vector that gives the profile)."""
    names = [f.name for f in dataclasses.fields(profile) if f.name not in ("flux", "n_gaussians", "n_max")]
    names = [name for name in names if getattr(profile, name) is not None]
    values = jnp.array([getattr(profile, name) for name in names])
    return names, values, lambda p: dataclasses.replace(profile, **dict(zip(names, p)))


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives(name):
    """Gradients in every parameter against differences; values, gradients and Hessians finite at the centre, e = 0."""
    names, start, build = parameters_of(PROFILES[name])

    def value(p, x, y):
        return jnp.sum(build(p).columns(x, y) * jnp.arange(1.0, 1.0 + PROFILES[name].n_columns))

    everything = quick(jax.vmap(jax.value_and_grad(value, (0, 1, 2)), (None, 0, 0)))
    x, y = np.array([0.31, -0.2, 0.07]), np.array([0.12, -0.35, 0.3])
    _, (by_p, by_x, by_y) = everything(start, x, y)
    for i in range(3):
        numeric = reference.central_difference(lambda p, i=i: float(everything(p, x, y)[0][i]), np.asarray(start), 1e-4)
        assert np.abs(by_p[i] - numeric).max() < 1e-7 * np.abs(numeric).max()
    h = 1e-4
    along = [everything(start, x + k * h, y)[0] for k in (-2, -1, 1, 2)]
    across = [everything(start, x, y + k * h)[0] for k in (-2, -1, 1, 2)]
    for exact, (a, b, c, d) in ((by_x, along), (by_y, across)):
        assert np.allclose(exact, (a - 8 * b + 8 * c - d) / (12 * h), rtol=1e-6, atol=1e-7)
    center = [start[names.index(key)] for key in ("center_x", "center_y")]
    round_ = jnp.array([0.0 if key in ("e1", "e2") else value for key, value in zip(names, start)])
    both = quick(lambda *point: (value(*point), jax.hessian(value, (0, 1, 2))(*point)))
    for p in (start, round_):
        for dx, dy in ((0.0, 0.0), (0.1, 0.0), (0.0, 0.1), (1e-9, 0.0)):
            found = both(p, center[0] + dx, center[1] + dy)
            assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree_util.tree_leaves(found))
    assert all(np.all(np.isfinite(leaf)) for leaf in everything(round_, *np.array([center]).T)[1])


@pytest.mark.parametrize("name", PROFILES)
def test_jit_and_vmap_equal_the_plain_call(name):
    profile = PROFILES[name]
    x, y = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 7))
    plain = np.asarray(profile.columns(x, y))
    assert plain.shape == (7, profile.n_columns) and profile.columns(x[:6].reshape(2, 3), y[:6].reshape(2, 3)).ndim == 3
    assert np.allclose(jax.jit(profile.columns)(x, y), plain, rtol=1e-12)
    assert np.allclose(jax.vmap(profile.columns)(x, y), plain, rtol=1e-12)


def test_elliptical_radius_is_the_textbook_one():
    """R^2 = q X^2 + Y^2 / q, X along the major axis; axis ratio and PA say the same as e1, e2."""
    x, y = np.random.default_rng(1).uniform(-1.0, 1.0, (2, 20))
    q, angle = 0.6, np.deg2rad(90.0 - 25.0)
    profile = uvl.Gaussian(2.0, 0.3, axis_ratio=q, position_angle=25.0, center_x=0.1, center_y=0.2)
    major = (x - 0.1) * np.cos(angle) + (y - 0.2) * np.sin(angle)
    minor = (y - 0.2) * np.cos(angle) - (x - 0.1) * np.sin(angle)
    assert np.allclose(profile.squared_radius(x, y), q * major**2 + minor**2 / q, rtol=1e-12)
    same = uvl.Gaussian(2.0, 0.3, *profile.ellipticity, 0.1, 0.2)
    assert np.allclose(same.brightness(x, y), profile.brightness(x, y), rtol=1e-12)
    assert np.allclose(axis_ratio_from_ellipticity(*profile.ellipticity), (q, 25.0))


def test_shapelets_are_orthonormal():
    profile = uvl.Shapelets(5, 0.3, 0.1, -0.2)
    axis = np.linspace(-4.0, 4.0, 161)
    basis = np.asarray(profile.columns(*np.meshgrid(axis, axis))).reshape(-1, profile.n_columns)
    assert profile.n_columns == 21
    assert np.allclose(basis.T @ basis * (axis[1] - axis[0]) ** 2, np.eye(21), atol=1e-12)
    assert orders(2) == [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]
    assert np.isclose(profile.columns(0.1 + 0.3, -0.2)[1], np.sqrt(2 / np.pi) * np.exp(-0.5) / 0.3)  # x phi_0 phi_0


def test_disc_transform_is_the_bessel_function():
    x = np.concatenate([np.geomspace(1e-8, 1.0, 200), np.linspace(1.0, 100.0, 20_001), np.geomspace(100.0, 1e4, 2000)])
    exact = 2.0 * scipy.special.j1(x) / x
    assert np.abs(jax.jit(disc_transform)(x**2) - exact).max() < 1e-13
    slope = quick(jax.vmap(jax.grad(lambda x: disc_transform(x**2))))(x[::20])
    assert np.abs(slope + 2.0 * scipy.special.jv(2, x[::20]) / x[::20]).max() < 1e-12
    assert np.isclose(disc_transform(0.0), 1.0) and np.isclose(quick(jax.grad(disc_transform))(0.0), -0.125)


PANELS = {
    "Gaussian": np.linspace(0.0, 2.0, 21),
    "Exponential": np.linspace(0.0, 7.0, 61),
    "UniformDisc": np.linspace(0.0, 0.3, 4),
    "Ring": np.linspace(0.3, 0.4, 3),
}


@pytest.mark.parametrize("name", PANELS)
def test_visibilities_against_integration(name):
    """Sums over the ellipse in polar coordinates; the sign is that of a measurement set."""
    rng = np.random.default_rng(2)
    u, v = rng.uniform(-8e5, 8e5, (2, 12))
    u[0], v[0] = 0.0, 0.0
    profile = PROFILES[name]
    q, phi = (1 - 0.25) / (1 + 0.25), 0.5 * np.arctan2(-0.15, 0.2)
    expected = reference_light.visibility(profile, u, v, PANELS[name], q, phi, (0.07, -0.04))
    found = np.asarray(jax.jit(profile.visibilities)(u, v))
    assert found.shape == (12, 1) and np.isclose(found[0, 0], 1.0, rtol=1e-13)
    assert np.abs(found[:, 0] - expected).max() < 1e-11


def test_visibilities_of_points_and_expansions():
    rng = np.random.default_rng(3)
    u, v = rng.uniform(-8e5, 8e5, (2, 12))
    point = uvl.PointSource(0.3, -0.2, flux=1.0).visibilities(u, v)[:, 0]
    arcsec = np.pi / 180.0 / 3600.0
    assert np.allclose(point, np.exp(2j * np.pi * arcsec * (u * 0.3 - v * 0.2)), rtol=1e-12)
    columns = PROFILES["MGE"].visibilities(u, v)
    for k, sigma in enumerate(np.geomspace(0.1, 0.5, 3)):
        assert np.allclose(columns[:, k], uvl.Gaussian(1.0, sigma, **FRAME).visibilities(u, v)[:, 0], rtol=1e-12)


@pytest.mark.parametrize("name", PANELS)
def test_gradients_of_visibilities(name):
    """Smooth in every parameter, radii of edges included, also at the zero spacing."""
    _, start, build = parameters_of(PROFILES[name])
    u, v = np.array([2e5, -1e5, 0.0]), np.array([1e5, 3e5, 0.0])

    def value(p):
        return jnp.sum(jnp.abs(build(p).visibilities(u, v) - 0.3j) ** 2)

    exact, compiled = quick(jax.grad(value))(start), quick(value)
    numeric = reference.central_difference(lambda p: float(compiled(p)), np.asarray(start), 1e-4)
    assert np.abs(exact - numeric).max() < 1e-8 * np.abs(numeric).max()


def test_what_has_no_closed_form_says_so():
    assert [name for name, one in PROFILES.items() if one.has_visibilities] == [*list(PANELS), "MGE"]
    for name in ("Sersic", "Shapelets"):
        with pytest.raises(uvl.InputError, match=f"{name}: its transform has no closed form"):
            PROFILES[name].visibilities(np.zeros(1), np.zeros(1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: uvl.Sersic(1.0, 0.3, 0.2), r"Sersic: n_sersic must be in \[0.3, 10\], got 0.2"),
        (lambda: uvl.Sersic(-1.0, 0.3), "flux must be >= 0"),
        (lambda: uvl.Moffat(1.0, 0.3, 1.0), "exponent must be > 1"),
        (lambda: uvl.Ring(1.0, -0.1, 0.1), "inner_radius must be >= 0 arcsec"),
        (lambda: uvl.Gaussian(1.0, 0.3, 0.8, 0.7), "ellipticity"),
        (lambda: uvl.Exponential(1.0, 0.3, axis_ratio=0.5), "position_angle"),
        (lambda: uvl.CoreSersic(1.0, 0.3, 4.0, 0.1, 1.4), "slope_inner must be in"),
        (lambda: uvl.Shapelets(2.5, 0.3), "n_max must be a whole number"),
        (lambda: uvl.MGE(2, 0.1, 0.3, flux=1.0), 'flux must be "linear"'),
    ],
)
def test_values_without_meaning_are_refused(make, message):
    with pytest.raises(uvl.InputError, match=message):
        make()


def test_parameters_that_leave_their_domain_are_confined():
    """What a Model does with the wings of a normal prior; a linear flux is no parameter."""
    light = [uvl.Sersic("linear", jnp.array(-0.1), jnp.array(12.0)), uvl.PointSource(0.1, 0.2)]
    inside, valid = confined(light)
    assert not valid and np.all(np.isfinite(inside[0].columns(0.1, 0.2))) and inside[0].flux == Linear()
    assert confined([uvl.Sersic(jnp.array(1.0), jnp.array(0.1), jnp.array(4.0)), light[1]])[1]


def test_sections_of_every_profile():
    """All fields from a model file; fluxes as numbers, priors and amplitudes."""
    light = parse_light(
        [
            {
                "profile": "Sersic",
                "R_sersic": 0.3,
                "n_sersic": {"uniform": [0.5, 6]},
                "flux": {"loguniform": [0.1, 10]},
            },
            {"profile": "CoreSersic", "R_sersic": 1, "n_sersic": 4, "break_radius": 0.1, "slope_inner": 0.2},
            {"profile": "Exponential", "R_sersic": 0.3, "flux": 2, "axis_ratio": 0.5, "position_angle": 30},
            {"profile": "DeVaucouleurs", "R_sersic": 0.3, "amplitude": "marginalised"},
            {"profile": "Moffat", "scale_radius": 0.3, "exponent": {"uniform": [1.5, 5]}, "flux": "linear"},
            {"profile": "UniformDisc", "radius": 0.3, "flux": "1e-3"},
            {"profile": "Ring", "inner_radius": 0.3, "width": 0.1, "e1": 0.1},
            {"profile": "Shapelets", "n_max": 4, "beta": {"uniform": [0.1, 0.4]}},
            {"profile": "PointSource", "flux": 0.2},
        ],
        "lens.light",
    )
    parameters = Parameters({"light": light})
    assert parameters.paths == ("light.0.flux", "light.0.n_sersic", "light.4.exponent", "light.7.beta")
    filled = parameters.fill(jnp.array([2.0, 3.0, 2.0, 0.2]))["light"]
    assert np.isclose(filled[0].brightness(0.1, 0.2), uvl.Sersic(2.0, 0.3, 3.0).brightness(0.1, 0.2))
    assert light[2].flux == 2.0 and light[5].flux == 1e-3 and light[8].flux == 0.2
    assert light[3].flux == Linear("marginalised") and light[1].flux == Linear() and light[1].e1 == 0.0
    assert light[7].n_columns == 15 and light[2].e1 is None


@pytest.mark.realdata
def test_oracle_of_lenstronomy(data_folder):
    """Brightness of lenstronomy 1.14; its Sersic with the exact b_n, its core-Sersic with its own b_n."""
    folder = data_folder / "oracle"
    entries = json.loads((folder / "lenstronomy_light.json").read_text())["profiles"]
    values = np.load(folder / "lenstronomy_light.npz")
    compared = 0
    for key, entry in entries.items():
        kind, arguments = entry["profile"], dict(entry["kwargs"])
        x, y, expected = (values[f"{key}/{one}"] for one in ("x", "y", "I"))
        amplitude = np.asarray(arguments.pop("amp"))
        if kind.startswith("SERSIC"):
            found = uvl.Sersic(entry["total_flux_exact_bn"], **arguments).brightness(x, y)
            expected = values[f"{key}/I_exact_bn"]
        elif kind.startswith("GAUSSIAN"):
            found = uvl.Gaussian(float(amplitude), **arguments).brightness(x, y)
        elif kind == "MULTI_GAUSSIAN":
            parts = zip(amplitude, arguments.pop("sigma"))
            found = sum(uvl.Gaussian(float(flux), sigma, **arguments).brightness(x, y) for flux, sigma in parts)
        elif kind == "SHAPELETS":
            found = uvl.Shapelets(**arguments).columns(x, y) @ amplitude * arguments["beta"]
        elif kind == "CORE_SERSIC":
            n, radius = arguments["n_sersic"], arguments["Rb"]
            rest = {name: arguments[name] for name in FRAME}
            squared = uvl.Gaussian(1.0, 1.0, **rest).squared_radius(x, y)
            shape = arguments["R_sersic"], n, radius, arguments["gamma"], 3.0
            found = radial.core_sersic(squared, *shape, b=1.9992 * n - 0.3271)
            found = found * expected[0] / found[0]  # its amplitude is a brightness, not a flux
        else:
            continue
        assert np.allclose(found, expected, rtol=1e-12)
        compared += 1
    assert compared == 14
