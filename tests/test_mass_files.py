"""Mass profiles in model files: every one of them parsed, evaluated, written to best_fit.yaml and read again."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import random_visibilities

import uvlens as uvl
from uvlens.bestfit import component_section
from uvlens.errors import InputError
from uvlens.lens import MASS_PROFILES, DeflectionMap, Lens
from uvlens.lens.lens import as_planes
from uvlens.light import LIGHT_PROFILES
from uvlens.parse import parse_lens
from uvlens.parse_mass import mass_section, with_maps
from uvlens.planes import with_subhaloes

LINES = {
    "SIS": {"theta_E": 1.1},
    "SIE": {"theta_E": 1.1, "axis_ratio": 0.7, "position_angle": 20.0},
    "NIE": {"theta_E": 1.0, "core_radius": 0.05, "e1": 0.1},
    "EPL": {"theta_E": 1.0, "slope": 2.1, "e1": 0.1, "e2": -0.1},
    "CoredEPL": {"theta_E": 1.0, "slope": 1.9, "core_radius": 0.1, "e2": 0.1},
    "DPIE": {"b0": 1.0, "core_radius": 0.02, "truncation_radius": 3.0, "e1": 0.1},
    "PointMass": {"theta_E": 0.3},
    "Shear": {"strength": 0.05, "position_angle": 30.0},
    "ConvergenceSheet": {"kappa": 0.05},
    "ExternalPotential": {"F1": 0.01, "G2": -0.02},
    "Multipole": {"order": 4, "amplitude": 0.01, "angle": 10.0},
    "EllipticalMultipole": {"order": 3, "cosine": 0.01, "sine": -0.005, "e1": 0.1},
    "NFW": {"R_s": 5.0, "alpha_R_s": 1.0},
    "EllipticalNFW": {"R_s": 5.0, "kappa_s": 0.2, "e1": 0.1},
    "TruncatedNFW": {"R_s": 0.2, "alpha_R_s": 0.03, "truncation_radius": 1.0},
    "GNFW": {"R_s": 5.0, "alpha_R_s": 1.0, "slope_inner": 1.3, "e1": 0.1},
    "Hernquist": {"R_s": 1.0, "kappa_s": 0.3},
    "SubhaloNFW": {"log10_mass": 9.0, "center_x": 0.4},
    "SersicMass": {"kappa_eff": 0.3, "R_sersic": 1.0, "n_sersic": 3.0, "e2": 0.1},
    "GaussianMass": {"amplitude": 1.0, "sigma": 0.5, "e1": 0.1},
}


def lens_of(items, light=()):
    section = {"redshift": 0.5, "mass": items, "light": list(light)}
    return parse_lens(section, "lens")


@pytest.mark.parametrize("name", list(LINES))
def test_a_profile_goes_to_the_best_fit_file_and_back(name):
    plane = with_subhaloes(lens_of([{"profile": name, **LINES[name]}]), 2.0, uvl.AstropyCosmology())
    (component,) = plane.mass
    assert type(component) is MASS_PROFILES[name]
    again = with_subhaloes(lens_of([mass_section(component)]), 2.0, uvl.AstropyCosmology())
    x, y = np.random.default_rng(0).uniform(-1.5, 1.5, (2, 5))
    first, second = (np.stack(one.deflection(x, y)) for one in (plane, again))
    assert np.all(np.isfinite(first)) and np.any(first != 0.0)
    assert np.allclose(first, second, rtol=1e-13, atol=0.0)


def test_every_registered_profile_has_a_line_here():
    special = {"MGEMass", "JAXtronomyMass", "DeflectionMap"}
    assert set(LINES) | special == set(MASS_PROFILES)


def test_mass_follows_the_light_of_its_plane():
    """kappa = mass_to_light x brightness, shape and flux tied: one parameter moves both."""
    light = {"profile": "Sersic", "flux": {"uniform": [0.5, 2.0]}, "R_sersic": {"uniform": [0.3, 0.6]}, "n_sersic": 2.0}
    follows = {"profile": "MassFollowingLight", "light": 0, "mass_to_light": {"loguniform": [0.1, 2.0]}}
    plane = lens_of(
        [{"profile": "SIS", "theta_E": 0.3}, follows], [light | {"axis_ratio": 0.7, "position_angle": 40.0}]
    )
    data, mask = random_visibilities(30, 1), uvl.Mask.disc(0.8, 0.16)
    model = uvl.Model(uvl.normal_operator(data, mask), plane, uvl.Gaussian(flux="linear", sigma=0.1), rays=2)
    assert set(model.parameters.paths) == {"lens.mass.1.mass_to_light", "lens.light.0.flux", "lens.light.0.R_sersic"}
    vector = model.parameters.median({"lens.mass.1.mass_to_light": 0.7, "lens.light.0.R_sersic": 0.4})
    lens = model.lens(vector).planes[0]
    x, y = np.random.default_rng(1).uniform(-0.8, 0.8, (2, 6))
    kappa = np.asarray(lens.mass[1].convergence(x, y))
    assert np.allclose(kappa, 0.7 * np.asarray(lens.light[0].brightness(x, y)), rtol=1e-9)
    assert np.isfinite(float(model.log_likelihood(vector)))


def test_a_map_of_deflections_is_read_where_the_data_say_the_origin_is(tmp_path):
    """A cluster's map from FITS, written to a result folder and read again; East and North as they are."""
    true = uvl.EllipticalNFW(R_s=3.0, alpha_R_s=1.0, e1=0.1, e2=0.05, center_x=0.4, center_y=-0.2)
    axis = (np.arange(81) - 40) * 0.1
    x, y = np.meshgrid(axis, axis)
    ax, ay = (np.asarray(a) for a in true.deflection(x, y))
    origin = (40.0, -20.0)
    DeflectionMap.of(ax, ay, 0.1).write(tmp_path / "map", origin)
    item = {
        "profile": "DeflectionMap",
        "alpha_x": "map.alpha_x.fits",
        "alpha_y": "map.alpha_y.fits",
        "components": "sky",
    }
    stated = parse_lens({"mass": [item | {"scale": 0.8}]}, "lens", tmp_path)
    shifted = (origin[0] + 0.5 / 3600.0 / np.cos(np.radians(origin[1])), origin[1])
    near = np.random.default_rng(2).uniform(1.0, 2.0, (2, 8))
    for place, dx in ((origin, 0.0), (shifted, 0.5)):
        lens = with_maps(stated, place)
        found = np.stack(lens.deflection(near[0] - dx, near[1]))
        assert np.allclose(found, 0.8 * np.stack(true.deflection(*near)), atol=2e-6)
    lens.mass[0].write(tmp_path / "deflection_map.0", shifted)
    again = with_maps(parse_lens({"mass": [mass_section(lens.mass[0])]}, "lens", tmp_path), shifted)
    assert np.allclose(np.stack(again.deflection(*near)), np.stack(lens.deflection(*near)), atol=1e-9)


def test_a_subhalo_is_placed_by_the_redshifts_of_the_model():
    data, mask = random_visibilities(30, 1), uvl.Mask.disc(0.8, 0.16)
    normal, source = uvl.normal_operator(data, mask), uvl.Source(None, (uvl.Gaussian("linear", 0.1),), redshift=2.0)
    halo = uvl.SubhaloNFW(log10_mass=uvl.Uniform(7.0, 10.0), center_x=0.3)
    model = uvl.Model(normal, uvl.LensPlane([uvl.SIS(0.5), halo], redshift=0.5), source, rays=2)
    assert model.parameters.paths == ("lens.mass.1.log10_mass",)
    alone = uvl.SubhaloNFW.at(0.5, 2.0, uvl.AstropyCosmology("Planck18").known.cosmology, 9.0, center_x=0.3)
    placed = model.lens(jnp.array([9.0])).mass[1]
    assert np.allclose(placed.deflection(0.5, 0.1), alone.deflection(0.5, 0.1), rtol=1e-12)
    with pytest.raises(InputError, match="redshifts of the lens and of the source"):
        uvl.Model(normal, [uvl.SIS(0.5), halo], uvl.Gaussian("linear", 0.1))


@pytest.mark.parametrize(
    "item, words",
    [
        ({"profile": "NWF", "R_s": 1.0}, "did you mean 'NFW'"),
        ({"profile": "NFW", "R_s": 1.0}, "lens.mass.0: NFW: give alpha_R_s .* or kappa_s"),
        ({"profile": "NFW", "R_s": -1.0, "kappa_s": 0.1}, "lens.mass.0: NFW: R_s must be > 0 arcsec, got -1"),
        ({"profile": "Multipole", "order": 0, "cosine": 0.1, "sine": 0.0}, "order must be a whole number >= 1"),
        ({"profile": "MassFollowingLight", "light": 3, "mass_to_light": 1.0}, "there is no lens.light.3"),
        ({"profile": "DeflectionMap", "alpha_x": "a.fits", "alpha_y": "b.fits"}, "components"),
        (
            {"profile": "SIE", "theta_E": 1.0, "axis_ratio": 1.5, "position_angle": 0.0},
            r"axis_ratio must be in \(0, 1\]",
        ),
        ({"profile": "SIE", "theta_E": 1.0, "e1": 0.9, "e2": 0.9}, "ellipticity"),
        ({"profile": "SubhaloNFW", "log10_mass": 9, "relation": "Duffy"}, "relation must be"),
    ],
)
def test_bad_lines_are_refused_by_name(item, words):
    with pytest.raises(InputError, match=words):
        lens_of([item])


@pytest.mark.parametrize("name", list(LIGHT_PROFILES))
def test_light_goes_to_the_best_fit_file_and_back(name):
    kind = LIGHT_PROFILES[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    numbers = {"R_sersic": 0.3, "sigma": 0.2, "n_sersic": 2.0, "e1": 0.1, "center_x": 0.05, "radius": 0.4}
    numbers |= {"break_radius": 0.05, "slope_inner": 0.3, "scale_radius": 0.2, "exponent": 3.0}
    numbers |= {"inner_radius": 0.2, "width": 0.3}
    item = {"profile": name, "flux": 1.5} | {key: value for key, value in numbers.items() if key in fields}
    plane = lens_of([{"profile": "SIS", "theta_E": 1.0}], [item])
    again = lens_of([{"profile": "SIS", "theta_E": 1.0}], [component_section(plane.light[0], LIGHT_PROFILES)])
    x, y = np.random.default_rng(3).uniform(-0.5, 0.5, (2, 5))
    first, second = (np.asarray(one.light[0].brightness(x, y)) for one in (plane, again))
    assert np.allclose(first, second, rtol=1e-13)


def test_light_of_a_plane_behind_another_is_lensed_by_it():
    """Light at z = 0.8 behind a lens at 0.3: its image is that of a source there."""
    data, mask = random_visibilities(30, 1), uvl.Mask.disc(1.0, 0.16)
    normal = uvl.normal_operator(data, mask, "fft")
    front = uvl.LensPlane([uvl.SIE(0.5, 0.1, 0.0)], redshift=0.3)
    glow = uvl.Gaussian(flux=1.0, sigma=0.15, center_x=0.1)
    behind = uvl.LensPlane([uvl.SIS(1e-9)], redshift=0.8, light=(glow,))
    nothing = uvl.Gaussian(flux=0.0, sigma=0.1)
    model = uvl.Model(normal, [front, behind], uvl.Source(None, (nothing,), redshift=2.0), rays=2)
    as_source = uvl.Model(normal, front, uvl.Source(None, (glow,), redshift=0.8), rays=2, reference_redshift=2.0)
    values = [float(one.log_likelihood(jnp.zeros(0))) for one in (model, as_source)]
    assert values[0] == pytest.approx(values[1], rel=1e-7)
    assert isinstance(model.lens(jnp.zeros(0)), Lens) and len(as_planes(model.components["lens"])) == 2


def test_an_expansion_of_gaussians_goes_to_the_best_fit_file_and_back():
    item = {
        "profile": "MGEMass",
        "amplitudes": [0.5, 0.3],
        "sigmas": [0.2, 0.6],
        "axis_ratio": 0.8,
        "position_angle": 9,
    }
    plane = lens_of([item])
    again = lens_of([mass_section(plane.mass[0])])
    found = [np.stack(one.deflection(0.3, 0.4)) for one in (plane, again)]
    assert np.allclose(*found, rtol=1e-13) and np.all(found[0] != 0.0)


def test_a_simulation_has_the_mass_of_a_model_file():
    from uvlens.schema import Section
    from uvlens.simulate.truth import parse_truth

    content = {
        "lens": [
            {
                "redshift": 0.5,
                "mass": [
                    {"profile": "SIS", "theta_E": 0.8},
                    {"profile": "SubhaloNFW", "log10_mass": 9.5, "center_x": 0.7},
                    {"profile": "MassFollowingLight", "light": 0, "mass_to_light": 0.4},
                ],
                "light": [{"profile": "Sersic", "flux": 0.5, "R_sersic": 0.4, "n_sersic": 2.0}],
            }
        ],
        "source": {"redshift": 2.0, "light": [{"profile": "Gaussian", "flux": 1.0, "sigma": 0.1}]},
    }
    brightness, truth = parse_truth(Section(content))
    assert np.all(np.isfinite(brightness(np.array([0.5, -0.8]), np.array([0.3, 0.1]))))
    assert truth["lens.0.light.0.flux"] == 0.5 and truth["source.light.0.sigma"] == 0.1
    assert truth["lens.0.mass.1.log10_mass"] == 9.5
    content["lens"][0]["light"][0]["flux"] = "linear"
    content["lens"][0]["mass"].pop()
    with pytest.raises(InputError, match=r"lens\.0\.light\.0\.flux: a simulation needs a number"):
        parse_truth(Section(content))
