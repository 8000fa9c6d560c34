"""What astronomers quote beside the fitted parameters: axis ratios, angles, Einstein radius, magnification, flux."""

import jax
import jax.numpy as jnp
import numpy as np

from .conventions import axis_ratio_from_ellipticity, polar_from_shear
from .labels import by_sky, light_name, part_labels
from .lens import Shear, effective_einstein_radius
from .terms import systems_of

SIGNIFICANT = 3.0
"""Signal to noise of the source pixels that a magnification counts."""


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
        for i, component in enumerate(model.lens(vector).mass):
            path = f"lens.mass.{i}"
            if isinstance(component, Shear):
                strength, angle = polar_from_shear(*component.components)
                values |= {f"{path}.shear_strength": strength, f"{path}.shear_position_angle": angle}
            elif hasattr(component, "ellipticity"):
                q, angle = axis_ratio_from_ellipticity(*component.ellipticity)
                values |= {f"{path}.axis_ratio": q, f"{path}.position_angle": angle}
        return {key: jnp.asarray(value, dtype=float) for key, value in values.items()}

    return {key: np.asarray(value) for key, value in jax.vmap(of)(jnp.asarray(vectors)).items()}


def source_parameters(model, vector):
    """Einstein radius, magnification and fluxes at one parameter vector (n,).

    Magnification: image flux over source flux of the source pixels with S/N > 3. Fluxes in Jy, or the unit of an image.
    Of several skies each has its own, under `source.NAME`; several sources of a sky under their numbers; the channels
    of a cube their fluxes, under `source.channel.C`; light profiles their amplitudes, under `PATH.flux`.
    """
    found = model.inversions(jnp.asarray(vector))
    lens = model.lens(jnp.asarray(vector))
    first = lens.mass[0]
    radius = 3.0 * float(getattr(first, "theta_E", 1.0))
    center = (float(getattr(first, "center_x", 0.0)), float(getattr(first, "center_y", 0.0)))
    values = {"lens.einstein_radius": effective_einstein_radius(lens, center, radius)}
    groups = by_sky(found)
    for (name, number), label in part_labels(found).items():
        members = groups[name]
        path = f"source.{label}" if label else "source"
        ratio, image_flux, source_flux = np.transpose(
            [magnification_and_flux(one, one.parts[number]) for one in members]
        )
        significant = np.isfinite(ratio)
        values |= {
            f"{path}.magnification": float(np.average(ratio[significant], weights=source_flux[significant]))
            if significant.any()
            else float("nan"),
            f"{path}.flux": float(source_flux.sum()),
            f"{path}.image_flux": float(image_flux.sum()),
            f"{path}.strength": float(members[0].parts[number].strength),
        }
        if len(members) > 1:
            values |= {f"{path}.channel.{c}.flux": float(flux) for c, flux in enumerate(source_flux)}
            values |= {f"{path}.channel.{c}.image_flux": float(flux) for c, flux in enumerate(image_flux)}
    for one in systems_of(found):
        prefix = f"source.{one.of_sky.name or 'sky'}" if len(groups) > 1 else "source"
        path, measured = f"{prefix}.effective_parameters", float(one.inversion.effective_parameters)
        values[path] = values.get(path, 0.0) + measured
    return values | light_parameters(found)


def light_parameters(found):
    """Total flux of every light profile, by path and sky."""
    values, groups = {}, by_sky(found)
    for name, members in groups.items():
        for one in members:
            for light in one.amplitudes:
                path = light_name(light) + (f".{name or 'sky'}" if len(groups) > 1 else "")
                path += f".channel.{one.channel}" if len(members) > 1 else ""
                amplitudes = np.asarray(one.inversion.source[light.first : light.stop])
                key = "level" if light.place == "sky" else "flux"
                values[f"{path}.{key}"] = float(amplitudes.sum())
    return values


def magnification_and_flux(one, part):
    """(magnification, image flux, source flux) of a Part: total fluxes; the ratio is over pixels with S/N > 3."""
    source = np.asarray(one.source(part))
    error = np.sqrt(np.diagonal(one.covariance)[part.columns])
    ones = jnp.zeros(one.inversion.mapper.indices.shape[0]).at[one.rows].set(1.0)
    per_pixel = np.asarray(one.inversion.mapper.transposed_product(ones))[part.columns]
    area = np.asarray(part.mesh.node_areas(part.geometry))
    kept = source * (source > SIGNIFICANT * error)
    below = area @ kept
    magnification = float(per_pixel @ kept / below) if below > 0.0 else float("nan")
    return magnification, float(per_pixel @ source), float(area @ source)


def circular_mean(angles, period=180.0):
    """Mean of angles that repeat with `period` [deg]."""
    phase = np.exp(2j * np.pi * np.asarray(angles) / period)
    return float(np.rad2deg(np.angle(phase.mean())) * period / 360.0 % period)


def unwrap_about_mean(angles, period=180.0):
    """The angles moved by multiples of `period` to lie within half of it from their circular mean."""
    mean = circular_mean(angles, period)
    return mean + (np.asarray(angles) - mean + 0.5 * period) % period - 0.5 * period
