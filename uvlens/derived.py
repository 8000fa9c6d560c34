"""What astronomers quote beside the fitted parameters: axis ratios, angles, Einstein radius, magnification, flux."""

import jax
import jax.numpy as jnp
import numpy as np

from .conventions import axis_ratio_from_ellipticity, polar_from_shear
from .lens import Shear, effective_einstein_radius

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

    Magnification: image flux over source flux of the source pixels with S/N > 3. Fluxes in Jy. Of several skies each
    has its own, under `source.NAME`; the channels of a cube their fluxes, under `source.channel.C`.
    """
    found, strengths = model.inversions(jnp.asarray(vector)), model.strengths(jnp.asarray(vector))
    lens = model.lens(jnp.asarray(vector))
    first = lens.mass[0]
    radius = 3.0 * float(getattr(first, "theta_E", 1.0))
    center = (float(getattr(first, "center_x", 0.0)), float(getattr(first, "center_y", 0.0)))
    values = {"lens.einstein_radius": effective_einstein_radius(lens, center, radius)}
    names = [model.skies[one.sky].sky.name for one in found]
    for name in dict.fromkeys(names):
        members = [one for one, own in zip(found, names) if own == name]
        path = f"source.{name or 'sky'}" if len(set(names)) > 1 else "source"
        ratio, image_flux, source_flux = np.transpose(
            [magnification_and_flux(m.inversion, m.geometry) for m in members]
        )
        significant = np.isfinite(ratio)
        values |= {
            f"{path}.magnification": float(np.average(ratio[significant], weights=source_flux[significant]))
            if significant.any()
            else float("nan"),
            f"{path}.flux": float(source_flux.sum()),
            f"{path}.image_flux": float(image_flux.sum()),
            f"{path}.effective_parameters": float(sum(float(m.inversion.effective_parameters) for m in members)),
            f"{path}.strength": float(strengths[members[0].sky]),
        }
        if len(members) > 1:
            values |= {f"{path}.channel.{c}.flux": float(flux) for c, flux in enumerate(source_flux)}
            values |= {f"{path}.channel.{c}.image_flux": float(flux) for c, flux in enumerate(image_flux)}
    return values


def magnification_and_flux(inversion, geometry):
    """(magnification, image flux, source flux): total fluxes in Jy; the ratio is over pixels with S/N > 3."""
    source, error = np.asarray(inversion.source), np.asarray(inversion.source_error)
    per_pixel = np.asarray(inversion.mapper.transposed_product(jnp.ones(inversion.normal.mask.n_pixels)))
    area = float(geometry.spacing) ** 2
    significant = source > SIGNIFICANT * error
    kept = source * significant
    below = area * kept.sum()
    magnification = float(per_pixel @ kept / below) if below > 0.0 else float("nan")
    return magnification, float(per_pixel @ source), float(area * source.sum())


def circular_mean(angles, period=180.0):
    """Mean of angles that repeat with `period` [deg]."""
    phase = np.exp(2j * np.pi * np.asarray(angles) / period)
    return float(np.rad2deg(np.angle(phase.mean())) * period / 360.0 % period)


def unwrap_about_mean(angles, period=180.0):
    """The angles moved by multiples of `period` to lie within half of it from their circular mean."""
    mean = circular_mean(angles, period)
    return mean + (np.asarray(angles) - mean + 0.5 * period) % period - 0.5 * period
