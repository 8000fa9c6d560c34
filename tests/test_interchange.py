"""Converters to other codes: both ways, and against the formulas and published values of those codes."""

import json
import math

import astropy.constants
import astropy.units
import numpy as np
import pytest
import reference_mass
from astropy.cosmology import FlatLambdaCDM, Planck18
from compiling import quick
from scipy.integrate import quad

import uvlens as uvl
from uvlens import interchange
from uvlens.conventions import lens_from_pyautolens
from uvlens.interchange import components as numbers
from uvlens.interchange import lenstronomy_light, lenstronomy_mass, sersic
from uvlens.lens.lens import Lens

FRAMES = {"east-right": 1, "east-left": -1}
EXPORTED = {"u,-v": (-1, 1), "u,v": (-1, -1)}
POINTS = np.random.default_rng(4).uniform(-2.0, 2.0, (2, 12))


def random_masses(seed=0, shear_center=True):
    rng = np.random.default_rng(seed)
    e1, e2, x, y, g1, g2, sx, sy = rng.uniform(-0.3, 0.3, 8)
    center = (sx, sy) if shear_center else ()
    return [
        uvl.SIE(1.2 + e1, e1, e2, x, y),
        uvl.EPL(0.9 + e2, 2.0 + y, e2, -e1, y, x),
        uvl.EPL(0.5, 1.8, axis_ratio=0.5 + x, position_angle=70.0),
        uvl.Shear(g1, g2, *center),
    ]


def random_lights(seed=0):
    rng = np.random.default_rng(seed)
    e1, e2, x, y = rng.uniform(-0.3, 0.3, 4)
    return [
        uvl.Sersic(1.0 + x, 0.4 + y, 1.0 + 10.0 * e1**2, e1, e2, x, y),
        uvl.Sersic(2.0, 0.6, 4.0, e2, e1, y, x),
        uvl.Gaussian(0.7, 0.3 + x, e1, -e2, y, -x),
    ]


def same(one, two, flux=None, limit=1e-12):
    """Whether components have the same fields, however stated; `flux` is that of linear ones."""
    (name, fields), (other, others) = numbers.fields_of(one, flux), numbers.fields_of(two, flux)
    assert name == other and set(fields) == set(others)
    return all(np.allclose(fields[key], others[key], rtol=limit, atol=limit) for key in fields)


def elliptical_radius(x, y, e1, e2, center_x, center_y):
    """sqrt(q X^2 + Y^2 / q) by a rotation to the axes."""
    modulus = np.hypot(e1, e2)
    q, phi = (1.0 - modulus) / (1.0 + modulus), 0.5 * np.arctan2(e2, e1)
    z = (x - center_x + 1j * (y - center_y)) * np.exp(-1j * phi)
    return np.sqrt(q * z.real**2 + z.imag**2 / q)


# lenstronomy


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("seed", range(3))
def test_lenstronomy_round_trip(frame, seed):
    masses, lights = random_masses(seed), random_lights(seed)
    back = interchange.from_lenstronomy(**interchange.to_lenstronomy(masses, frame=frame), frame=frame)
    assert len(back) == len(masses) and all(map(same, masses, back))
    settings = interchange.to_lenstronomy([*lights, uvl.PointSource(0.1, -0.2, 0.3), uvl.Background(0.01)], frame=frame)
    assert settings["point_source_model_list"] == ["UNLENSED"]
    found = interchange.from_lenstronomy(**settings, frame=frame)
    assert all(map(same, [*lights, uvl.Background(0.01), uvl.PointSource(0.1, -0.2, 0.3)], found.components))


@pytest.mark.parametrize(("frame", "sx"), FRAMES.items())
def test_lenstronomy_deflections_and_brightness(frame, sx):
    """Its documented kappa and I at the converted numbers, in its own frame, against ours on the sky."""
    sie, epl, _, shear = random_masses(1)
    settings = interchange.to_lenstronomy([sie, epl, shear], frame=frame)
    x, y = POINTS[:, 0]
    for component, kwargs in zip((sie, epl), settings["kwargs_lens"]):
        kwargs = dict(kwargs)
        theta_E, gamma = kwargs.pop("theta_E"), kwargs.pop("gamma", 2.0)
        ax, ay = reference_mass.deflection(
            lambda R, b=theta_E, g=gamma: (3.0 - g) / 2.0 * (b / R) ** (g - 1.0), sx * x, y, **kwargs
        )
        assert np.allclose(component.deflection(x, y), (sx * ax, ay), atol=1e-9)
    g1, g2 = settings["kwargs_lens"][2]["gamma1"], settings["kwargs_lens"][2]["gamma2"]
    dx, dy = sx * x - settings["kwargs_lens"][2]["ra_0"], y - settings["kwargs_lens"][2]["dec_0"]
    expected = sx * (g1 * dx + g2 * dy), g2 * dx - g1 * dy
    assert np.allclose(shear.deflection(x, y), expected, atol=1e-14)
    for light in random_lights(1)[:2]:
        kwargs = dict(interchange.to_lenstronomy(light, frame=frame)["kwargs_light"][0])
        amp, R_sersic, n = (kwargs.pop(key) for key in ("amp", "R_sersic", "n_sersic"))
        R = elliptical_radius(sx * POINTS[0], POINTS[1], **kwargs)
        b_n = 1.9992 * n - 0.3271  # its formula: the image must agree, not the number of R_sersic
        expected = amp * np.exp(-b_n * ((R / R_sersic) ** (1.0 / n) - 1.0))
        assert np.allclose(light.brightness(*POINTS), expected, rtol=1e-12)


def test_lenstronomy_flips_what_has_a_side():
    """x = -East: a mass to the North-East is at negative x there, stretched along the other diagonal."""
    mass = uvl.SIE(1.0, axis_ratio=0.5, position_angle=45.0, center_x=0.3, center_y=0.1)
    right, left = (interchange.to_lenstronomy(mass, frame=frame)["kwargs_lens"][0] for frame in FRAMES)
    assert right["center_x"] == 0.3 and left["center_x"] == -0.3 and left["center_y"] == 0.1
    assert right["e2"] == pytest.approx(1.0 / 3.0) and left["e2"] == -right["e2"] and left["e1"] == right["e1"]


def test_lenstronomy_planes():
    sie, epl, _, shear = random_masses(2)
    planes = [uvl.LensPlane([epl], 0.8), uvl.LensPlane([sie, shear], 0.5)]
    lens = Lens(planes, 2.0, FlatLambdaCDM(70.0, 0.3), 3.0)
    settings = interchange.to_lenstronomy(lens, frame="east-left")
    assert settings["lens_redshift_list"] == [0.5, 0.5, 0.8]
    assert (settings["z_source"], settings["z_source_convention"]) == (2.0, 3.0)
    back = interchange.from_lenstronomy(**settings, frame="east-left")
    assert np.allclose(back.ray_trace(*POINTS), lens.ray_trace(*POINTS), atol=1e-12)


def test_lenstronomy_expansions():
    mge, amplitudes = uvl.MGE(4, 0.05, 0.8, 0.1, -0.2, 0.3, 0.1), np.array([1.0, 2.0, 0.5, 3.0])
    settings = interchange.to_lenstronomy(mge, frame="east-left", amplitudes=amplitudes)
    back = interchange.from_lenstronomy(**settings, frame="east-left").components
    total = sum(one.brightness(*POINTS) for one in back)
    assert np.allclose(total, mge.columns(*POINTS) @ amplitudes, rtol=1e-12)
    with pytest.raises(uvl.InputError, match="amplitudes"):
        interchange.to_lenstronomy(mge, frame="east-left")
    with pytest.raises(uvl.InputError, match=r"shape \(4,\)"):
        interchange.to_lenstronomy(mge, frame="east-left", amplitudes=[1.0])


def test_lenstronomy_shapelets_mirror():
    """Signs of odd orders, and the factor beta between brightnesses and orthonormal coefficients."""
    fields = {"n_max": 2, "beta": 0.4, "center_x": 0.1, "center_y": 0.2, "flux": np.arange(1.0, 7.0)}
    name, kwargs = lenstronomy_light.light_to("Shapelets", fields)
    assert name == "SHAPELETS" and np.allclose(kwargs["amp"], np.arange(1.0, 7.0) / 0.4)
    (back,) = lenstronomy_light.light_from(name, kwargs)
    assert back[0] == "Shapelets" and np.allclose(back[1]["flux"], fields["flux"])
    from uvlens.interchange.lenstronomy import _odd_orders

    # (n, m) = (0,0), (1,0), (0,1), (2,0), (1,1), (0,2)
    assert np.array_equal(_odd_orders(2, -1), [1, -1, 1, 1, -1, 1])


@pytest.mark.parametrize("frame", FRAMES)
def test_lenstronomy_other_light(frame):
    """Images of what this version has, there and back; flux and shape by other names or by amplitudes."""
    from uvlens import light

    values = {
        "CoreSersic": {"R_sersic": 0.8, "n_sersic": 3.0, "break_radius": 0.1, "slope_inner": 0.2},
        "Exponential": {"R_sersic": 0.5},
        "DeVaucouleurs": {"R_sersic": 0.5},
        "UniformDisc": {"radius": 0.8},
    }
    for name, own in values.items():
        if not hasattr(light, name):
            continue
        one = getattr(light, name)(flux=1.3, e1=0.1, e2=-0.2, center_x=0.2, center_y=-0.1, **own)
        (back,) = interchange.from_lenstronomy(**interchange.to_lenstronomy(one, frame=frame), frame=frame).components
        images = [quick(profile.brightness)(*POINTS) for profile in (one, back)]
        assert np.allclose(*images, rtol=1e-12)
    if hasattr(light, "Shapelets"):
        one, amplitudes = light.Shapelets(2, 0.4, 0.1, 0.2), np.arange(1.0, 7.0)
        settings = interchange.to_lenstronomy(one, frame=frame, amplitudes=amplitudes)
        back = interchange.from_lenstronomy(**settings, frame=frame)
        assert same(back.components[0], one, amplitudes) and np.allclose(back.amplitudes, amplitudes)


RANGES = {"slope": (1.5, 2.5), "slope_inner": (0.5, 1.5), "n_sersic": (0.5, 6.0)}


TABLED = sorted({*lenstronomy_mass.MASS, *lenstronomy_mass._TO} - {"MGEMass"})


@pytest.mark.parametrize("name", TABLED)
def test_lenstronomy_tables(name):
    """Every entry there and back, also of components that a version may lack."""
    special = {
        "CoredEPL": ("theta_E", "slope", "core_radius", "center_x", "center_y"),
        "DPIE": ("b0", "core_radius", "truncation_radius", "center_x", "center_y"),
        "SersicMass": ("kappa_eff", "R_sersic", "n_sersic", "e1", "e2", "center_x", "center_y"),
        "ExternalPotential": ("F1", "F2", "G1", "G2", "center_x", "center_y"),
        "Multipole": ("order", "amplitude", "angle", "theta_E", "center_x", "center_y"),
        "EllipticalMultipole": ("order", "amplitude", "angle", "theta_E", "e1", "e2", "center_x", "center_y"),
    }
    fields = special.get(name) or tuple(lenstronomy_mass.MASS[name][1])
    rng = np.random.default_rng(len(name))
    values = {key: float(rng.uniform(*RANGES.get(key, (0.05, 0.4)))) for key in fields}
    fixed = {"order": 3, "e2": 0.0} if "Multipole" in name else {}
    values |= {key: value for key, value in fixed.items() if key in values}
    values |= {"truncation_radius": 0.9} if "truncation_radius" in values else {}
    if name in lenstronomy_mass._ELLIPTICAL:
        values |= {"e1": 0.1, "e2": -0.2}
    theirs, parameters = lenstronomy_mass.mass_to(name, values)
    ((ours, back),) = lenstronomy_mass.mass_from(theirs, parameters)
    assert ours == name and back == pytest.approx(values, rel=1e-12)


def test_lenstronomy_cored_profiles_have_its_convergence():
    """SPL_CORE (its density, projected) and PJAFFE as documented there, at the converted numbers."""
    R, core, outer = 0.7, 0.2, 1.5
    fields = {"theta_E": 1.1, "slope": 2.3, "core_radius": core, "center_x": 0.0, "center_y": 0.0}
    _, kwargs = lenstronomy_mass.mass_to("CoredEPL", fields)
    g, r_core = kwargs["gamma"], kwargs["r_core"]
    density = kwargs["sigma0"] / r_core * r_core**g
    theirs = quad(lambda z: density * (r_core**2 + R**2 + z**2) ** (-0.5 * g), -np.inf, np.inf, epsrel=1e-12)[0]
    assert theirs == pytest.approx(0.35 * (1.1**2 / (R**2 + core**2)) ** 0.65, rel=1e-10)
    fields = {"b0": 0.9, "core_radius": core, "truncation_radius": outer, "center_x": 0.0, "center_y": 0.0}
    _, kwargs = lenstronomy_mass.mass_to("DPIE", fields)
    difference = 1.0 / math.hypot(core, R) - 1.0 / math.hypot(outer, R)
    theirs = kwargs["sigma0"] * kwargs["Ra"] * kwargs["Rs"] / (kwargs["Rs"] - kwargs["Ra"]) * difference
    assert theirs == pytest.approx(0.45 * outer / (outer - core) * difference, rel=1e-12)


def test_lenstronomy_gaussians_of_mass():
    """Amplitudes are the integral of kappa; several Gaussians share a shape."""
    fields = {"amplitudes": (0.5, 1.0), "sigmas": (0.1, 0.4), "mass_to_light": 2.0}
    fields |= {"e1": 0.1, "e2": 0.2, "center_x": 0.3, "center_y": 0.4}
    name, kwargs = lenstronomy_mass.mass_to("MGEMass", fields)
    assert name == "MULTI_GAUSSIAN_ELLIPSE_KAPPA" and np.array_equal(kwargs["amp"], [1.0, 2.0])
    ((ours, back),) = lenstronomy_mass.mass_from(name, kwargs)
    del fields["mass_to_light"]
    assert ours == "MGEMass" and back == fields | {"amplitudes": (1.0, 2.0)}
    _, kwargs = lenstronomy_mass.mass_to(
        "GaussianMass", {"flux": 3.0, "mass_to_light": 0.5, "sigma": 0.2, "center_x": 0.0, "center_y": 0.0}
    )
    assert kwargs["amp"] == 1.5


def test_angles_mirror():
    """cos m (phi - angle) is the same at the mirrored position, odd orders too; flexion likewise."""
    fields = {"order": 3.0, "angle": 25.0, "F1": 0.1, "F2": 0.2, "G1": 0.3, "G2": 0.4}
    phi = math.radians(70.0)
    x, y = math.cos(phi), math.sin(phi)

    def value(x, y, angle, F1, F2, G1, G2, order):
        third = (3.0 * F1 + G1) * x**3 + 3.0 * (F2 + G2) * x**2 * y + 3.0 * (F1 - G1) * x * y**2
        wave = math.cos(order * (math.atan2(y, x) - math.radians(angle)))
        return wave + third + (3.0 * F2 - G2) * y**3

    for sx, sy in ((1, 1), (-1, 1), (1, -1), (-1, -1)):
        assert value(sx * x, sy * y, **numbers.reflect(fields, sx, sy)) == pytest.approx(value(x, y, **fields))


def test_lenstronomy_flexion():
    """psi_xxx, psi_xxy, psi_xyy, psi_yyy of FLEXION, and the G2 of its own of FLEXIONFG."""
    fields = {"F1": 0.1, "F2": 0.2, "G1": 0.3, "G2": 0.4, "center_x": 0.0, "center_y": 0.0}
    name, kwargs = lenstronomy_mass.mass_to("ExternalPotential", fields)
    assert name == "FLEXION" and kwargs["g1"] + kwargs["g3"] == pytest.approx(2.0 * fields["F1"])
    assert kwargs["g2"] + kwargs["g4"] == pytest.approx(2.0 * fields["F2"])
    ((_, back),) = lenstronomy_mass.mass_from("FLEXIONFG", {"F1": 0.1, "F2": 0.2, "G1": 0.3, "G2": 0.4})
    # psi_yyy = (F2 - G2) / 2 and psi_xxy = (3 F2 + G2) / 2 there
    assert 0.5 * (3.0 * back["F2"] - back["G2"]) == pytest.approx(0.5 * (0.2 - 0.4))
    assert 0.5 * (back["F2"] + back["G2"]) == pytest.approx(0.5 * (3.0 * 0.2 + 0.4))


def test_lenstronomy_refuses():
    with pytest.raises(uvl.InputError, match="east-left"):
        interchange.to_lenstronomy(uvl.SIE(1.0), frame="sky")
    with pytest.raises(uvl.InputError, match=r"theta_E is .* not a number"):
        interchange.to_lenstronomy(uvl.SIE(uvl.Uniform(0.5, 1.5)), frame="east-right")
    with pytest.raises(uvl.InputError, match="ARC_PERT"):
        interchange.from_lenstronomy(lens_model_list=["ARC_PERT"], kwargs_lens=[{}], frame="east-right")
    with pytest.raises(uvl.InputError, match="gama"):
        interchange.from_lenstronomy(lens_model_list=["EPL"], kwargs_lens=[{"gama": 2.0}], frame="east-right")
    with pytest.raises(uvl.InputError, match="1 entries"):
        interchange.from_lenstronomy(lens_model_list=["EPL"], kwargs_lens=[], frame="east-right")


@pytest.mark.realdata
@pytest.mark.parametrize(
    "key",
    [
        "SIE__0",
        "EPL__1",
        "SHEAR__0",
        "PJAFFE__0",
        "NFW__0",
        "TNFW__0",
        "GAUSSIAN_ELLIPSE_KAPPA__0",
        "SPL_CORE__1",
        "MULTIPOLE__1",
        "EPL_MULTIPOLE_M1M3M4__0",
        "SERSIC__1",
        "HERNQUIST_ELLIPSE_CSE__0",
        "GNFW__0",
        "POINT_MASS__0",
        "SPP__0",
    ],
)
def test_lenstronomy_oracle(data_folder, key):
    """Deflections that lenstronomy computed, through the converter, as on a picture with East to the left."""
    frame = "east-left"
    folder = data_folder / "oracle"
    entry = json.loads((folder / "lenstronomy_profiles.json").read_text())["profiles"][key]
    values = np.load(folder / "lenstronomy_profiles.npz")
    try:
        masses = interchange.from_lenstronomy(
            lens_model_list=[entry["profile"]], kwargs_lens=[entry["kwargs"]], frame=frame
        )
    except uvl.InputError as error:
        pytest.skip(str(error))
    sx = FRAMES[frame]
    alpha = uvl.LensPlane(masses).deflection(sx * values[f"{key}/x"], values[f"{key}/y"])
    limit = max(2.0 * (entry["max_abs_grad_psi_minus_alpha"] or 0.0), 1e-5 if key.endswith("CSE__0") else 1e-7)
    assert np.abs(sx * alpha[0] - values[f"{key}/ax"]).max() < limit
    assert np.abs(alpha[1] - values[f"{key}/ay"]).max() < limit


# PyAutoLens


@pytest.mark.parametrize("exported", EXPORTED)
@pytest.mark.parametrize("seed", range(3))
def test_pyautolens_round_trip(exported, seed):
    masses, lights = random_masses(seed, shear_center=False), random_lights(seed)[:2]
    back = interchange.from_pyautolens(interchange.to_pyautolens(masses, exported=exported), exported=exported)
    assert all(map(same, masses, back))
    settings = interchange.to_pyautolens(lights, exported=exported, pixel_scale=0.05)
    assert all(map(same, lights, interchange.from_pyautolens(settings, exported=exported, pixel_scale=0.05)))


STRETCHED = {"ell_comps": (0.0, 0.333333), "einstein_radius": 1.0}
NEAR = (0.1625, 0.1625)
PINNED = [
    ({"profile": "Isothermal", **STRETCHED}, NEAR, (0.79421, 0.50734)),
    ({"profile": "PowerLaw", **STRETCHED, "slope": 2.5}, NEAR, (1.29641, 0.99629)),
    ({"profile": "PowerLaw", **STRETCHED, "slope": 1.5}, NEAR, (0.48036, 0.26729)),
    ({"profile": "ExternalShear", "gamma_1": -0.17320, "gamma_2": 0.1}, NEAR, (0.04439, -0.011895)),
    (
        {"profile": "IsothermalSph", "centre": (-0.7, 0.5), "einstein_radius": 1.3},
        (0.1875, 0.1625),
        (1.21510, -0.46208),
    ),
]


@pytest.mark.parametrize(("profile", "point", "expected"), PINNED)
@pytest.mark.parametrize(("exported", "signs"), EXPORTED.items())
def test_pyautolens_published_deflections(profile, point, expected, exported, signs):
    """Values that its own tests hold it to (y first, 5 digits), on our sky."""
    (mass,) = interchange.from_pyautolens([profile], exported=exported)
    (sx, sy), (y, x) = signs, point
    alpha_x, alpha_y = mass.deflection(sx * x, sy * y)
    assert (sy * float(alpha_y), sx * float(alpha_x)) == pytest.approx(expected, abs=1.5e-5)


def test_pyautolens_radii_of_other_profiles():
    """Its NFW and dPIE are functions of sqrt(X^2 + Y^2 / q^2), resp. of that times 2 q / (1 + q): published values."""
    nfw = numbers.reflect(
        _fields("NFW", centre=(0.3, 0.2), ell_comps=(0.03669, 0.172614), kappa_s=2.5, scale_radius=4.0)
    )
    kappa_s, R_s = nfw.pop("alpha_R_s") / numbers.ALPHA_AT_R_S / nfw["R_s"], nfw.pop("R_s")

    def kappa(R):
        t = R / R_s
        root = np.sqrt(abs(1.0 - t**2))
        inner = np.arccosh(1.0 / t) / root if t < 1.0 else np.arctan(root) / root
        return 2.0 * kappa_s * (1.0 - inner) / (t**2 - 1.0)

    alpha = reference_mass.deflection(kappa, 0.1625, 0.1625, **nfw)
    assert alpha[::-1] == pytest.approx((-2.59480, -0.44204), abs=2e-5)
    dpie = _fields("dPIEMassB0", ell_comps=(0.0, 0.333333), b0=4.0, ra=2.0, rs=3.0)
    b0, a, s = (dpie.pop(key) for key in ("b0", "core_radius", "truncation_radius"))
    alpha = reference_mass.deflection(
        lambda R: 0.5 * b0 * s / (s - a) * (1 / np.hypot(a, R) - 1 / np.hypot(s, R)), 0.1625, 0.1625, **dpie
    )
    assert alpha[::-1] == pytest.approx((0.21461366, 0.10753914), abs=1e-7)


def test_pyautolens_sersic_image():
    """Its documented profile and b_n at the converted numbers, per pixel."""
    light = random_lights(2)[0]
    (given,) = interchange.to_pyautolens(light, exported="u,-v", pixel_scale=0.1)
    (y, x), (e_y, e_x), n = given["centre"], given["ell_comps"], given["sersic_index"]
    R = elliptical_radius(-POINTS[0], POINTS[1], e_x, e_y, x, y)
    b = sersic.ciotti_bertin(n)
    expected = given["intensity"] * np.exp(-b * ((R / given["effective_radius"]) ** (1.0 / n) - 1.0))
    assert np.allclose(0.01 * light.brightness(*POINTS), expected, rtol=1e-12)
    with pytest.raises(uvl.InputError, match="pixel_scale"):
        interchange.to_pyautolens(light, exported="u,-v")


@pytest.mark.parametrize("exported", EXPORTED)
def test_pyautolens_agrees_with_the_short_form(exported):
    shape = {"centre": (0.1, -0.2), "ell_comps": (0.1, -0.2), "einstein_radius": 1.3, "slope": 2.1}
    old = lens_from_pyautolens(**shape, shear=(0.03, -0.05), exported=exported)
    shear = {"profile": "ExternalShear", "gamma_1": 0.03, "gamma_2": -0.05}
    epl, shear = interchange.from_pyautolens([{"profile": "PowerLaw", **shape}, shear], exported=exported)
    fields = numbers.fields_of(epl)[1] | {key: numbers.fields_of(shear)[1][key] for key in ("gamma1", "gamma2")}
    assert fields == pytest.approx(old, rel=1e-14)


def test_pyautolens_reads_its_objects_and_refuses():
    class Isothermal:
        centre, ell_comps, einstein_radius = (0.1, -0.2), (0.1, 0.0), 1.2

    (sie,) = interchange.from_pyautolens(Isothermal(), exported="u,v")
    assert isinstance(sie, uvl.SIE) and (sie.center_x, sie.center_y) == (0.2, -0.1)
    with pytest.raises(uvl.InputError, match="exported"):
        interchange.from_pyautolens([], exported="yes")
    with pytest.raises(uvl.InputError, match="Gaussian"):
        interchange.to_pyautolens(uvl.Gaussian(1.0, 0.2), exported="u,v", pixel_scale=1.0)
    with pytest.raises(uvl.InputError, match="cNFW"):
        interchange.from_pyautolens([{"profile": "cNFW"}], exported="u,v")
    with pytest.raises(uvl.InputError, match="Shear about"):
        interchange.to_pyautolens(uvl.Shear(0.1, 0.0, 0.2, 0.0), exported="u,v")


def _fields(name, **given):
    from uvlens.interchange.pyautolens import _from

    return _from(name, given, None)[1]


# visilens


def visilens_source_position(given, x, y):
    """Source-plane position of (x, y) = (West, North) as its code has it (Kormann et al. 1994; Keeton et al. 2000)."""
    first = given["lens"][0]
    dx, dy, angle = x - first["x"], y - first["y"], np.deg2rad(first["PA"])
    z = (dx + 1j * dy) * np.exp(-1j * angle)
    f = 1.0 - first["e"]
    f_prime, phi = np.sqrt(1.0 - f**2), np.angle(z)
    pull = np.arcsinh(np.cos(phi) * f_prime / f) + 1j * np.arcsin(np.sin(phi) * f_prime)
    alpha = first["theta_E"] * np.sqrt(f) / f_prime * pull * np.exp(1j * angle)
    for shear in given["lens"][1:]:
        g, twice = shear["shear"], 2.0 * np.deg2rad(shear["shearangle"])
        alpha = alpha + g * (np.cos(twice) * dx + np.sin(twice) * dy)
        alpha = alpha + 1j * g * (np.sin(twice) * dx - np.cos(twice) * dy)
    return x - alpha.real, y - alpha.imag


def visilens_sersic(given, first, x, y):
    """Brightness of its SersicSource on its (West, North) source plane."""
    angle, n = np.deg2rad(given["PA"]), given["index"]
    dx, dy = x - given["xoff"] - first["x"], y - given["yoff"] - first["y"]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), -dx * np.sin(angle) + dy * np.cos(angle)
    R = np.hypot(along, across / given["axisratio"])
    b = sersic.ciotti_bertin(n)
    area = 2.0 * np.pi * given["majax"] ** 2 * given["axisratio"] * np.exp(b) * n * math.gamma(2.0 * n)
    return given["flux"] * b ** (2.0 * n) / area * np.exp(-b * ((R / given["majax"]) ** (1.0 / n) - 1.0))


REDSHIFTS = {"redshift": 0.8, "source_redshift": 5.656}


@pytest.mark.parametrize("shear", [uvl.Shear(0.06, -0.1), uvl.Shear(0.06, -0.1, 0.5, 0.3)])
def test_visilens_traces_and_shines_the_same(shear):
    """A lensed Sersic behind SIE and shear, wherever the shear is centred: the same image of the sky."""
    sie, source = uvl.SIE(0.98, 0.1, 0.25, 0.6, -0.33), random_lights(1)[0]
    given = interchange.to_visilens([shear, sie], [source], **REDSHIFTS)
    x, y = POINTS
    theirs = visilens_sersic(given["source"][0], given["lens"][0], *visilens_source_position(given, -x, y))
    ours = source.brightness(*uvl.LensPlane([sie, shear]).ray_trace(x, y))
    assert np.allclose(theirs, ours, rtol=1e-11, atol=1e-15)
    back = interchange.from_visilens(**given)
    again = back["source"][0].brightness(*uvl.LensPlane(back["lens"]).ray_trace(x, y))
    assert np.allclose(again, ours, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("seed", range(3))
def test_visilens_round_trip(seed):
    sie, *_, shear = random_masses(seed)
    shear = uvl.Shear(*shear.components, sie.center_x, sie.center_y)
    lights = [*random_lights(seed)[:2], uvl.Gaussian(0.5, 0.2, 0.0, 0.0, 0.1, 0.3)]
    front = [uvl.Gaussian(0.1, 0.3, 0.0, 0.0, -0.2, 0.4), uvl.PointSource(0.1, 0.2, 0.01)]
    given = interchange.to_visilens([sie, shear], lights, unlensed=front, **REDSHIFTS)
    for one in given["lens"]:
        one.pop("theta_E", None)  # from the mass alone
    back = interchange.from_visilens(**given)
    assert all(map(same, [sie, shear, *lights, *front], [*back["lens"], *back["source"], *back["unlensed"]]))


def test_visilens_published_numbers():
    """SPT0346-52 as Spilker et al. (2016) quote it: a perturber at PA 122.1 deg stretches along 32.1 deg."""
    lens = [
        {"class": "SIELens", "z": 0.8, "x": -0.60, "y": -0.33, "M": 1.0, "theta_E": 0.979, "e": 0.515, "PA": 70.9},
        {"class": "ExternalShear", "shear": {"value": 0.119, "fixed": False}, "shearangle": {"value": 122.1}},
    ]
    source = {"class": "SersicSource", "z": 5.656, "lensed": True, "xoff": -0.217, "yoff": 0.269, "flux": 0.002}
    source |= {"reff": 0.12, "index": 0.81, "axisratio": 0.711, "PA": 10.0}
    found = interchange.from_visilens(lens, source)
    sie, shear = found["lens"]
    q, angle = uvl.conventions.axis_ratio_from_ellipticity(sie.e1, sie.e2)
    assert (float(q), float(angle)) == pytest.approx((0.485, 70.9)) and (sie.center_x, sie.center_y) == (0.60, -0.33)
    strength, angle = uvl.conventions.polar_from_shear(*shear.components)
    assert (float(strength), float(angle)) == pytest.approx((0.119, 32.1))
    twice = math.radians(2.0 * 122.1)
    assert shear.components == pytest.approx((0.119 * math.cos(twice), -0.119 * math.sin(twice)))
    assert (found["source"][0].center_x, found["source"][0].center_y) == pytest.approx((0.817, -0.061))


def test_visilens_mass():
    """theta_E = sqrt(4 G M / c^2 D_ls / (D_l D_s)) with astropy's constants and distances."""
    (lens,) = interchange.to_visilens(uvl.SIE(0.979), cosmology="Planck18", **REDSHIFTS)["lens"]
    G, c, u = astropy.constants.G, astropy.constants.c, astropy.units
    D_l, D_s = (Planck18.angular_diameter_distance(z) for z in (0.8, 5.656))
    D_ls = Planck18.angular_diameter_distance(0.8, 5.656)
    theta = np.sqrt((4.0 * G * lens["M"] * u.Msun / c**2 * D_ls / (D_l * D_s)).to_value(""))
    assert (theta * u.rad).to_value("arcsec") == pytest.approx(0.979, rel=1e-8)


def test_visilens_refuses():
    with pytest.raises(uvl.InputError, match="EPL"):
        interchange.to_visilens([uvl.SIE(1.0), uvl.EPL(1.0)], **REDSHIFTS)
    with pytest.raises(uvl.InputError, match="needs an SIE"):
        interchange.to_visilens([uvl.Shear(0.1, 0.0)], **REDSHIFTS)
    with pytest.raises(uvl.InputError, match="elliptical Gaussian"):
        interchange.to_visilens(uvl.SIE(1.0), [uvl.Gaussian(1.0, 0.2, 0.1, 0.0)], **REDSHIFTS)
    with pytest.raises(uvl.InputError, match="lensed PointSource"):
        interchange.to_visilens(uvl.SIE(1.0), [uvl.PointSource(0.0, 0.0, 1.0)], **REDSHIFTS)


# COOLEST


def coolest_model():
    sie, epl, _, shear = random_masses(3, shear_center=False)
    return uvl.LensPlane([sie, shear, epl], 0.5), random_lights(3)[:2]


def coolest_pixels():
    """A source that is brighter to the North-East, not square."""
    grid = uvl.PixelGrid((6, 8), 0.1, (0.3, -0.2))
    x, y = grid.coordinates()
    rng = np.random.default_rng(0)
    points = rng.uniform(-0.5, 0.5, (2, 9))
    return [
        interchange.RegularPixels(1.0 + x + 0.5 * y, grid),
        interchange.IrregularPixels(*points, rng.random(9)),
    ]


def test_coolest_round_trip(tmp_path):
    plane, sources = coolest_model()
    light = random_lights(5)[0]
    cosmology = FlatLambdaCDM(70.0, 0.3)
    path = interchange.write_coolest(
        tmp_path / "model", plane, sources, lens_light=[light], source_redshift=2.0, cosmology=cosmology,
        phase_center=(10.5, -30.25),
    )  # fmt: skip
    found = interchange.read_coolest(path)
    (back,) = found.planes
    order = [plane.mass[0], plane.mass[2], plane.mass[1]]  # galaxies first
    assert all(map(same, order, back.mass)) and all(map(same, sources, found.sources)) and same(light, back.light[0])
    assert back.redshift == 0.5 and found.source_redshift == 2.0 and found.origin == pytest.approx((10.5, -30.25))
    assert float(found.cosmology.Om0) == 0.3 and found.meta["units"]["flux"] == "Jy"
    # x grows to the West, phi is the position angle
    sie = json.loads(path.read_text())["lensing_entities"][0]["mass_model"][0]["parameters"]
    values = {name: entry["point_estimate"]["value"] for name, entry in sie.items()}
    q, angle = uvl.conventions.axis_ratio_from_ellipticity(plane.mass[0].e1, plane.mass[0].e2)
    assert values["center_x"] == -plane.mass[0].center_x and values["q"] == pytest.approx(float(q))
    assert -90.0 < values["phi"] <= 90.0 and (values["phi"] - float(angle)) % 180.0 == pytest.approx(0.0, abs=1e-9)


def test_coolest_pixels(tmp_path):
    plane, _ = coolest_model()
    regular, irregular = coolest_pixels()
    mask = uvl.Mask.disc(1.0, 0.05)
    path = interchange.write_coolest(tmp_path / "pixels.json", plane, [regular, irregular], grid=mask)
    back, points = interchange.read_coolest(path).sources
    rows, columns = regular.grid.shape
    # padded with zeros to a square
    assert np.allclose(back.image[:rows, :columns], regular.image) and not back.image[rows:].any()
    assert np.allclose(back.grid.x_axis[:columns], regular.grid.x_axis) and back.grid.shape == (8, 8)
    assert np.allclose(back.grid.y_axis[:rows], regular.grid.y_axis)
    assert all(np.allclose(one, other) for one, other in zip(points, irregular))
    # on disk: first column East, values per pixel of the image plane
    from astropy.io import fits

    stored = fits.getdata(tmp_path / "pixels.source.light.0.fits")
    assert np.allclose(stored[:rows, ::-1][:, :columns], regular.image * 0.05**2)


def test_coolest_posterior(tmp_path):
    plane, sources = coolest_model()
    center = {"mean": 0.30, "median": 0.31, "std": 0.1, "q16": 0.2, "q84": 0.45, "map": 0.3}
    angle = {"mean": 120.0, "median": 121.0, "std": 1.0, "q16": 119.0, "q84": 122.5, "map": 120.5}
    summary = {"parameters": {"lens.mass.0.center_x": center}, "derived": {"lens.mass.2.position_angle": angle}}
    path = interchange.write_coolest(tmp_path / "posterior", plane, sources, result=summary)
    lens = json.loads(path.read_text())["lensing_entities"][0]["mass_model"]
    # mirrored, and moved to (-90, 90]
    expected = {"mean": -0.30, "median": -0.31, "percentile_16th": -0.45, "percentile_84th": -0.2}
    assert lens[0]["parameters"]["center_x"]["posterior_stats"] == expected
    expected = {"mean": -60.0, "median": -59.0, "percentile_16th": -61.0, "percentile_84th": -57.5}
    assert lens[1]["parameters"]["phi"]["posterior_stats"] == pytest.approx(expected)
    assert lens[0]["parameters"]["theta_E"]["posterior_stats"]["median"] is None
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    again = interchange.write_coolest(tmp_path / "again", plane, sources, result=tmp_path)
    assert json.loads(again.read_text())["lensing_entities"] == json.loads(path.read_text())["lensing_entities"]


def test_coolest_describes_the_interferometer(tmp_path, visibilities):
    plane, sources = coolest_model()
    grid = uvl.PixelGrid((20, 20), 0.05)
    picture = np.random.default_rng(0).normal(size=(20, 20))
    path = interchange.write_coolest(
        tmp_path / "data", plane, sources, data=visibilities, grid=grid, image=picture, psf=picture, noise=1e-4,
        meta={"target": "simulated"},
    )  # fmt: skip
    template = json.loads(path.read_text())
    facts = template["meta"]["interferometry"]
    assert facts["data"][0]["n_visibilities"] == 60 and template["meta"]["target"] == "simulated"
    assert facts["data"][0]["longest_baseline_wavelengths"] == pytest.approx(
        np.hypot(visibilities.u, visibilities.v).max()
    )
    assert template["observation"]["noise"] == {"type": "UniformGaussianNoise", "std_dev": 1e-4}
    assert template["instrument"]["psf"]["type"] == "PixelatedPSF"
    assert template["observation"]["pixels"]["field_of_view_x"] == pytest.approx([-0.5, 0.5])


def test_coolest_opens_in_its_own_package(tmp_path, visibilities):
    """Template and files load there, and its own formulas give our deflections and images at x = -East."""
    pytest.importorskip("coolest")
    from coolest.api.profiles import light as their_light
    from coolest.api.profiles import mass as their_mass
    from coolest.template.json import JSONSerializer

    plane, sources = coolest_model()
    grid = uvl.PixelGrid((20, 20), 0.05)
    picture = np.zeros((20, 20))
    path = interchange.write_coolest(
        tmp_path / "model", plane, [*sources, *coolest_pixels()], source_redshift=2.0, data=visibilities, grid=grid,
        image=picture, psf=picture, noise=1e-4, cosmology=FlatLambdaCDM(70.0, 0.3),
    )  # fmt: skip
    opened = JSONSerializer(str(path.with_suffix(""))).load(verbose=False)
    lens, field, source = opened.lensing_entities
    epl, shear = plane.mass[2], plane.mass[1]
    values = {name: parameter.point_estimate.value for name, parameter in lens.mass_model[1].parameters.items()}
    alpha = their_mass.PEMD().deflection(-POINTS[0], POINTS[1], **values)
    assert np.allclose(epl.deflection(*POINTS), (-alpha[0], alpha[1]), atol=1e-12)
    values = {name: parameter.point_estimate.value for name, parameter in field.mass_model[0].parameters.items()}
    alpha = their_mass.ExternalShear().deflection(-POINTS[0], POINTS[1], **values)
    assert np.allclose(shear.deflection(*POINTS), (-alpha[0], alpha[1]), atol=1e-13)
    values = {name: parameter.point_estimate.value for name, parameter in source.light_model[0].parameters.items()}
    image = their_light.Sersic().evaluate_surface_brightness(-POINTS[0], POINTS[1], **values)
    assert np.allclose(sources[0].brightness(*POINTS), image, rtol=1e-11)
    x, _, z = source.light_model[3].parameters["pixels"].get_xyz(directory=str(tmp_path))
    assert np.allclose(-x, coolest_pixels()[1].x) and np.allclose(z, coolest_pixels()[1].brightness * 0.05**2)


def test_coolest_refuses(tmp_path):
    plane, sources = coolest_model()
    two = Lens([uvl.LensPlane([uvl.SIE(1.0)], 0.3), plane], 2.0)
    with pytest.raises(uvl.InputError, match="2 planes"):
        interchange.write_coolest(tmp_path / "a", two, sources)
    with pytest.raises(uvl.InputError, match="PointSource"):
        interchange.write_coolest(tmp_path / "a", plane, [uvl.PointSource(0.0, 0.0, 1.0)])
    with pytest.raises(uvl.InputError, match=r"0\.5, 10"):
        interchange.write_coolest(tmp_path / "a", plane, [uvl.Sersic(1.0, 0.2, 0.4)])
    with pytest.raises(uvl.InputError, match="Shear about"):
        interchange.write_coolest(tmp_path / "a", [uvl.Shear(0.1, 0.0, 0.2, 0.0)], sources)
    with pytest.raises(uvl.InputError, match="template"):
        interchange.read_coolest(tmp_path / "nothing")


def test_gaussian_as_a_sersic_of_coolest(tmp_path):
    """A Gaussian is a Sersic profile of n = 1/2, whose b is not its exact one either."""
    gaussian = uvl.Gaussian(0.7, 0.3, 0.1, -0.2, 0.1, 0.2)
    path = interchange.write_coolest(tmp_path / "g", uvl.SIE(1.0), [gaussian])
    (back,) = interchange.read_coolest(path).sources
    assert np.allclose(back.brightness(*POINTS), gaussian.brightness(*POINTS), rtol=1e-11)
