"""What astronomers quote beside the fitted parameters: axis ratios, angles, Einstein radius, magnification, flux."""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np

from .apertures import aperture_columns
from .conventions import axis_ratio_from_ellipticity, polar_from_shear
from .labels import by_sky, light_name, part_labels
from .lens import Shear, einstein_mass
from .lens.polar import einstein_radii
from .light import Background
from .sourcedraws import draw_sources, image_sums, source_errors, with_source
from .terms import systems_of

_CELLS = 60
"""Along a critical curve, a side of the box that it is sought in: 1e-7 of the Einstein radius of smooth lenses."""
SIGNIFICANT = 3.0
"""Signal to noise of the source pixels that a magnification counts."""


class Quantities(dict):
    """Derived quantities by path: (samples, value at the best fit).

    Attributes:
        of_source: paths of those measured on draws of the source for some of the samples, in place of every sample.
    """

    def __init__(self, values=(), of_source=()):
        super().__init__(values)
        self.of_source = frozenset(of_source)


def shape_parameters(model, vectors):
    """Axis ratios, position angles and shear strengths of every sample.

    Args:
        model: Model with n free parameters.
        vectors: physical parameters, shape (M, n).

    Returns:
        dict path -> array (M,).
    """

    def of(vector):
        values = {}
        for path, component in mass_components(model.filled(vector)[0]["lens"]):
            if isinstance(component, Shear):
                strength, angle = polar_from_shear(*component.components)
                values |= {f"{path}.shear_strength": strength, f"{path}.shear_position_angle": angle}
            elif hasattr(component, "axis_ratio"):
                q, angle = axis_ratio_from_ellipticity(*component.ellipticity)
                values |= {f"{path}.axis_ratio": q, f"{path}.position_angle": angle}
        return {key: jnp.asarray(value, dtype=float) for key, value in values.items()}

    return {key: np.asarray(value) for key, value in jax.vmap(of)(jnp.asarray(vectors)).items()}


def mass_components(lens):
    """[(path, component)] of the masses of a LensPlane, or of a list of them."""
    if isinstance(lens, list):
        return [(f"lens.{j}.mass.{i}", one) for j, plane in enumerate(lens) for i, one in enumerate(plane.mass)]
    return [(f"lens.mass.{i}", one) for i, one in enumerate(lens.mass)]


def lens_parameters(model, vectors, best_vector):
    """Einstein radius of the first source, and what redshifts make of it, of every sample.

    Args:
        model: Model with n free parameters.
        vectors: physical parameters, shape (M, n).
        best_vector: those at the best fit, (n,).

    Returns:
        dict path -> (array (M,), value at the best fit): lens.einstein_radius [arcsec], and where redshifts are known
        lens.einstein_mass [solar masses], lens.einstein_radius_kpc, source.kpc_per_arcsec.
    """
    mask = model.skies[0].mask
    middle = tuple(0.5 * float(axis.min() + axis.max()) for axis in (mask.x, mask.y))
    half = 0.5 * float(max(np.ptp(mask.x), np.ptp(mask.y)))
    radii, at_best = einstein_radii(model.lens, vectors, best_vector, middle, half, _CELLS)
    values = {"lens.einstein_radius": (radii, at_best)}
    with contextlib.suppress(ImportError):  # without astropy results have no physical units
        every = jnp.concatenate([jnp.asarray(vectors), jnp.asarray(best_vector)[None]])
        radius = np.append(radii, at_best)
        for path, (factor, power) in _physical_factors(model, every).items():
            found = factor * radius**power
            values[path] = (found[:-1], float(found[-1]))
    return values


def _physical_factors(model, vectors):
    """{path: (factor of every vector, power of the Einstein radius that it multiplies)}.

    The Einstein mass is that which the first source sees, of a single plane: several share it.
    """
    lenses, powers = model.lenses(vectors[-1]), {}
    first = lenses[0]
    if first.cosmology is None:
        return {}
    redshift = first.planes[0].redshift
    known = redshift is not None and first.source_redshift is not None and not first.is_scaled
    is_list = isinstance(model.components["source"], list)

    def of(vector):
        lens, values = model.lens(vector), {}
        cosmology = lens.cosmology
        if known and len(first.planes) == 1:
            powers.update({"lens.einstein_mass": 2, "lens.einstein_radius_kpc": 1})
            values["lens.einstein_mass"] = einstein_mass(lens, 1.0)
            values["lens.einstein_radius_kpc"] = cosmology.kpc_per_arcsec(redshift)
        for number, one in enumerate(lenses):
            if one.source_redshift is not None:
                path = f"source.{number}.kpc_per_arcsec" if is_list else "source.kpc_per_arcsec"
                powers[path] = 0
                values[path] = cosmology.kpc_per_arcsec(one.source_redshift)
        return {path: jnp.asarray(value, dtype=float) for path, value in values.items()}

    found = jax.vmap(of)(vectors)
    return {path: (np.asarray(factor), powers[path]) for path, factor in found.items()}


def source_parameters(model, vector, settings=None):
    """Magnification, fluxes and sizes at one parameter vector (n,), the source that of the solution: dict of numbers.

    Magnification: image flux over source flux of the source pixels with S/N > 3; total_magnification: of all of them.
    half_light_radius, center_x, center_y, rms_major, rms_minor [arcsec] and position_angle [deg, East of North] are
    those of the same pixels. Fluxes in Jy, or the unit of an image. Of several skies each has its own, under
    `source.NAME`; several sources of a sky under their numbers; the channels of a cube their fluxes, under
    `source.channel.C`; light profiles their amplitudes, under `PATH.flux`; apertures under `aperture.NAME.flux`.
    """
    found = model.inversions(jnp.asarray(vector))
    values = _source_values(model, vector, found, _solutions(found), settings)
    return {path: float(value[0]) for path, value in values.items()}


def source_samples(model, vectors, n_draws, rng, settings=None):
    """The same for draws of the source from its posterior at each of some vectors (M, n): arrays (M n_draws,)."""
    rows = []
    for vector in vectors:
        found = model.inversions(jnp.asarray(vector))
        draws = {id(one.inversion): draw_sources(one.inversion, n_draws, rng) for one in found}
        values = _source_values(model, vector, found, draws, settings)
        rows.append({path: np.broadcast_to(value, (n_draws,)) for path, value in values.items()})
    nothing = np.full(n_draws, np.nan)  # a source without a significant pixel has no shape
    paths = dict.fromkeys(path for row in rows for path in row)
    return {path: np.concatenate([row.get(path, nothing) for row in rows]) for path in paths}


def _solutions(found):
    return {id(one.inversion): np.asarray(one.inversion.source)[None] for one in found}


def _source_values(model, vector, found, draws, settings=None):
    """Quantities by path, each of shape (K,) or (1,), for K sources (K, S) of every inversion in `draws`."""
    groups, values = by_sky(found), {}
    colours = colours_of(model, model.filled(jnp.asarray(vector))[0])
    errors = {id(one.inversion): source_errors(one.inversion) for one in systems_of(found)}
    for (name, number), label in part_labels(found).items():
        members = groups[name]
        path = f"source.{label}" if label else "source"
        colour = colours.get((name, members[0].parts[number].block.source), 1.0)
        measured = [
            measure_part(one, one.parts[number], draws[id(one.inversion)], errors[id(one.inversion)]) for one in members
        ]
        flux, image_flux = (np.array([one[key] for one in measured]) for key in ("flux", "image_flux"))
        ratio = np.array([one["magnification"] for one in measured]) / colour
        weight = np.where(np.isfinite(ratio), flux, 0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.sum(weight * np.nan_to_num(ratio), axis=0) / np.sum(weight, axis=0)
            total = image_flux.sum(axis=0) / colour / flux.sum(axis=0)
        values |= {
            f"{path}.magnification": mean,
            f"{path}.total_magnification": total,
            f"{path}.flux": flux.sum(axis=0),
            f"{path}.image_flux": image_flux.sum(axis=0),
            f"{path}.strength": np.array([float(members[0].parts[number].strength)]),
        }
        if len(members) > 1:
            values |= {f"{path}.channel.{c}.flux": one for c, one in enumerate(flux)}
            values |= {f"{path}.channel.{c}.image_flux": one for c, one in enumerate(image_flux)}
        values |= {f"{path}.{key}": measured[0][key] for key in SHAPES if key in measured[0]}
    values |= _lensed_light_values(groups, colours, draws)
    for one in systems_of(found):
        if not one.inversion.mapper.n_source:
            continue
        prefix = f"source.{one.of_sky.name or 'sky'}" if len(groups) > 1 else "source"
        path, measured = f"{prefix}.effective_parameters", float(one.inversion.effective_parameters)
        values[path] = values.get(path, 0.0) + np.array([measured])
    values |= _light_values(groups, colours, draws)
    return values | (_own_values(model, vector, found, draws, settings) if settings is not None else {})


def _own_values(model, vector, found, draws, settings):
    """Apertures and functions of DerivedSettings."""
    values = {}
    for aperture in settings.apertures:
        values[aperture.path] = sum(
            draws[id(one.inversion)] @ columns + constant
            for one, columns, constant in aperture_columns(found, aperture)
        )
    if settings.functions:
        lenses = model.lenses(jnp.asarray(vector))
        for k in range(len(next(iter(draws.values())))):
            drawn = [with_source(one, draws[id(one.inversion)][k]) for one in found]
            for name, function in settings.functions.items():
                values.setdefault(name, []).append(float(function(drawn, lenses)))
    return {path: np.asarray(value, dtype=float) for path, value in values.items()}


def _light_fluxes(light, one, draws):
    """(flux (K,), image flux (K,) in the sky) of a Light."""
    if light.of.first < 0:
        return np.array([light.flux]), np.array([light.image.sum()])
    columns = slice(light.of.first, light.of.stop)
    fluxes = draws[id(one.inversion)][:, columns]
    return fluxes @ np.asarray(light.profile.integrals), fluxes @ image_sums(one)[columns]


def _light_values(groups, colours, draws):
    """Total flux of every light profile, by path and sky."""
    values = {}
    for name, members in groups.items():
        for one in members:
            for light in one.lights:
                path = light_name(light.of) + (f".{name or 'sky'}" if len(groups) > 1 else "")
                path += f".channel.{one.channel}" if len(members) > 1 else ""
                is_level = isinstance(light.profile, Background)
                if light.of.first < 0 and not light.is_lensed:
                    continue
                flux, image_flux = _light_fluxes(light, one, draws)
                if light.of.first >= 0:
                    values[f"{path}.{'level' if is_level else 'flux'}"] = flux
                if light.is_lensed:
                    values[f"{path}.image_flux"] = image_flux
                    values[f"{path}.magnification"] = _ratio(
                        image_flux / colours.get((name, light.of.place), 1.0), flux
                    )
    return values


def _lensed_light_values(groups, colours, draws):
    """Flux, image flux and magnification of skies whose sources are profiles alone.

    Magnification: image flux inside the mask over total flux.
    """
    values = {}
    for name, members in groups.items():
        lights = [(light, one) for one in members for light in one.lights if light.is_lensed]
        if not lights or any(one.parts for one in members):
            continue
        path = f"source.{name or 'sky'}" if len(groups) > 1 else "source"
        fluxes = [_light_fluxes(light, one, draws) for light, one in lights]
        flux, image_flux = (np.sum([pair[i] for pair in fluxes], axis=0) for i in range(2))
        intrinsic = np.sum(
            [pair[1] / colours.get((name, light.of.place), 1.0) for (light, _), pair in zip(lights, fluxes)], axis=0
        )
        values |= {f"{path}.flux": flux, f"{path}.image_flux": image_flux}
        values[f"{path}.magnification"] = _ratio(intrinsic, flux)
    return values


def _ratio(image_flux, flux):
    """Magnification, NaN of what has no flux."""
    flux = np.asarray(flux, dtype=float)
    return np.where(flux != 0.0, image_flux / np.where(flux != 0.0, flux, 1.0), np.nan)


def colours_of(model, filled):
    """Factor of the brightness of shared sources by (name of the sky, number of the source), 1 where there is none."""
    return {
        (sky.name, number): float(source.colour.get(sky.name, 1.0)) if source.shared else 1.0
        for sky in model.skies
        for number, source in enumerate(filled["source"])
    }


SHAPES = ("center_x", "center_y", "half_light_radius", "rms_major", "rms_minor", "position_angle")
"""Of the significant pixels of a source; the position angle of its major axis."""


def measure_part(one, part, sources, errors):
    """Flux, image flux, magnification and shape of a Part for K sources of its inversion (K, S): dict of arrays (K,).

    Magnification and shape are over the pixels whose S/N in the solution exceeds 3; shapes only with three of them.
    """
    drawn = sources[:, part.columns]
    per_pixel = image_sums(one)[part.columns]
    area = np.asarray(part.mesh.node_areas(part.geometry))
    kept = np.asarray(one.source(part)) > SIGNIFICANT * errors[part.columns]
    flux = drawn * area
    below = flux[:, kept].sum(axis=1)
    above = drawn[:, kept] @ per_pixel[kept]
    values = {
        "flux": flux.sum(axis=1),
        "image_flux": drawn @ per_pixel,
        "magnification": np.where(below > 0.0, above / np.where(below > 0.0, below, 1.0), np.nan),
    }
    if kept.sum() < 3:
        return values
    x, y = (np.asarray(axis)[kept] for axis in part.mesh.node_positions(part.geometry))
    weight = flux[:, kept] / np.where(below > 0.0, below, np.nan)[:, None]
    middle = [weight @ axis for axis in (x, y)]
    dx, dy = x - middle[0][:, None], y - middle[1][:, None]
    xx, xy, yy = (np.sum(weight * product, axis=1) for product in (dx * dx, dx * dy, dy * dy))
    half, spread = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    distance = np.hypot(dx, dy)
    order = np.argsort(distance, axis=1)
    summed = np.cumsum(np.take_along_axis(weight, order, axis=1), axis=1)
    reached = np.take_along_axis(distance, order, axis=1)
    radius = np.array([_crossing(r, total) for r, total in zip(reached, summed)])
    # phi from East towards North; position angle from North towards East
    angle = (90.0 - np.rad2deg(0.5 * np.arctan2(2.0 * xy, xx - yy))) % 180.0
    found = (*middle, radius, np.sqrt(np.maximum(half + spread, 0.0)), np.sqrt(np.maximum(half - spread, 0.0)), angle)
    return values | dict(zip(SHAPES, found))


def _crossing(radius, summed):
    """Radius at which a cumulated share reaches a half, linear between pixels."""
    i = int(np.argmax(summed >= 0.5))
    if i == 0 or not summed[i] >= 0.5:
        return float(radius[i]) if np.isfinite(summed).all() else float("nan")
    share = (0.5 - summed[i - 1]) / (summed[i] - summed[i - 1])
    return float(radius[i - 1] + share * (radius[i] - radius[i - 1]))


def circular_mean(angles, period=180.0):
    """Mean of angles that repeat with `period` [deg]."""
    phase = np.exp(2j * np.pi * np.asarray(angles) / period)
    return float(np.rad2deg(np.angle(phase.mean())) * period / 360.0 % period)


def unwrap_about_mean(angles, period=180.0):
    """The angles moved by multiples of `period` to lie within half of it from their circular mean."""
    mean = circular_mean(angles, period)
    return mean + (np.asarray(angles) - mean + 0.5 * period) % period - 0.5 * period
