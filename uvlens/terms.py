"""ln E of a model with its terms, added over skies and channels."""

import numpy as np


def systems_of(found):
    """One [Reconstruction] for each linear system: skies that share a source share one."""
    return list({id(one.inversion): one for one in found}.values())


def log_evidence_minus_null(found):
    """ln E - ln E_null of [Reconstruction]."""
    return float(sum(float(one.inversion.log_evidence_minus_null) for one in systems_of(found)))


def log_evidence_terms(model, found):
    """Every term of -2 ln E by name (Suyu et al. 2006), the constants of all data included.

    Args:
        model: Model.
        found: [Reconstruction], all of them.
    """
    nulls = [sky.reduction for sky in model.skies]
    inversions = [one.inversion for one in systems_of(found)]
    systems = [inversion.system for inversion in inversions]
    return {
        "chi_squared": sum(float(null.null_chi_squared) for null in nulls)
        + sum(float(inversion.chi_squared_minus_null) + inversion.null_shift[0] for inversion in inversions),
        "regularization_term": sum(float(system.regularization_term) for system in systems),
        "log_det_curvature_reg_matrix": sum(float(system.log_det_curvature_reg) for system in systems),
        "log_det_regularization_matrix": sum(float(system.log_det_regularization) for system in systems),
        "noise_normalization": sum(float(null.noise_normalization) for null in nulls)
        + sum(inversion.null_shift[1] for inversion in inversions),
    }


def worst_certificate(found):
    """The certificate (`Inversion.kkt`) with the largest residual; converged only if all are."""
    certificates = [one.inversion.kkt for one in found]
    worst = max(certificates, key=lambda kkt: np.nan_to_num(kkt["residual"], nan=np.inf))
    return worst | {"converged": all(kkt["converged"] for kkt in certificates)}


def effective_parameters(found):
    """gamma = sum of tr(A^-1 F): how many source parameters the data measure."""
    return float(sum(float(one.inversion.effective_parameters) for one in systems_of(found)))


def n_visibilities(model):
    """K of all skies."""
    return sum(sky.reduction.n_visibilities for sky in model.skies)


def n_real_data(model):
    """Real numbers of all skies: 2 K of visibilities, pixels of images."""
    return sum(sky.reduction.n_real_data for sky in model.skies)


def describe_skies(model, found):
    """Facts of every sky: a list of dicts, one entry a sky."""
    facts = []
    for i, sky in enumerate(model.skies):
        mine = [one for one in found if one.sky == i]
        reduction = sky.reduction
        facts.append(
            {
                "name": sky.name,
                "kind": "image" if sky.is_image else "visibilities",
                "unit": reduction.unit if sky.is_image else "Jy",
                "frequencies_hz": sky.frequencies,
                "n_channels": sky.n_channels,
                "n_visibilities": reduction.n_visibilities,
                "n_real_data": reduction.n_real_data,
                "n_image_pixels": sky.mask.n_pixels,
                "pixel_scale": sky.mask.grid.pixel_scale,
                "n_source_pixels": sum(part.mesh.n_source for part in mine[0].parts),
                "n_amplitudes": sum(one.stop - one.first for one in mine[0].amplitudes),
                "log_evidence_minus_null": log_evidence_minus_null(mine),
                "chi_squared": mine[0].weight_scale
                * (float(reduction.null_chi_squared) + sum(one.chi_squared_minus_null for one in mine)),
                "effective_parameters": effective_parameters(mine),
                "strength": mine[0].parts[0].strength if mine[0].parts else None,
                "operator": sky.normal.method,
            }
        )
    return facts
