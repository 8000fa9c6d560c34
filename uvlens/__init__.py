"""uvlens: strong-lens models fitted directly to interferometric visibilities.

Importing this package switches JAX to float64; the public names below are loaded when they are first used.
"""

import importlib
import os
import sys

__version__ = "0.1.0"

if "jax" in sys.modules:
    sys.modules["jax"].config.update("jax_enable_x64", True)
else:
    os.environ["JAX_ENABLE_X64"] = "1"

_HOMES = {
    "batch": ("evaluate_batch",),
    "data": (
        "Imaging",
        "VisibilityStream",
        "Visibilities",
        "apply_weights",
        "read",
        "stream",
        "weight_factor",
        "write",
    ),
    "errors": ("InputError", "UVLensWarning"),
    "grid": ("Mask", "PixelGrid"),
    "imaging": ("make_image",),
    "inference": ("fit",),
    "inversion": ("Inversion", "invert"),
    "comparison": ("compare",),
    "cosmology": ("AstropyCosmology", "FlatLambdaCDM"),
    "lens": (
        "DPIE",
        "EPL",
        "GNFW",
        "NFW",
        "NIE",
        "SIE",
        "SIS",
        "ConvergenceSheet",
        "CoredEPL",
        "DeflectionMap",
        "EllipticalMultipole",
        "EllipticalNFW",
        "ExternalPotential",
        "GaussianMass",
        "Hernquist",
        "JAXtronomyMass",
        "Lens",
        "LensPlane",
        "MGEMass",
        "Multipole",
        "PointMass",
        "SersicMass",
        "Shear",
        "SubhaloNFW",
        "TruncatedNFW",
        "mass_following",
    ),
    "model": ("Model", "PixelSource", "Positions", "Source"),
    "normal": ("Nuisances", "load_normal_operator", "normal_operator", "reduce_partitions"),
    "nufft": ("type1", "type2"),
    "pipeline": ("Stage", "run_pipeline"),
    "prediction": ("predict",),
    "profiling": ("profile_likelihood",),
    "reload": ("load_result",),
    "apertures": ("Aperture",),
    "priors": (
        "FREE",
        "LogNormal",
        "LogUniform",
        "Mixture",
        "Normal",
        "Prior",
        "SameAs",
        "TruncNormal",
        "Uniform",
        "prior_by_name",
    ),
    "expressions": ("function_of",),
    "jointpriors": ("EllipticityPrior", "MultivariateNormal", "PositionPrior", "ShearPrior"),
    "priorpredictive": ("prior_predictive",),
    "results": ("Result",),
    "resultstable": ("load_results",),
    "selfcal": ("calibrate",),
    "simulate": ("observe", "observe_image"),
    "sky": ("Sky",),
    "subhalomaps": ("SubhaloMaps",),
    "substructure": ("position_grid", "subhalo_scan", "subhalo_sensitivity"),
    "adapt": ("AdaptImage",),
    "jobs": ("fit_many",),
    "light": (
        "MGE",
        "Background",
        "CoreSersic",
        "DeVaucouleurs",
        "Exponential",
        "Gaussian",
        "Moffat",
        "PointSource",
        "Ring",
        "Sersic",
        "Shapelets",
        "UniformDisc",
    ),
    "source": (
        "AdaptiveBrightness",
        "AdaptiveMesh",
        "Curvature",
        "DelaunayMesh",
        "ExponentialCovariance",
        "GaussianCovariance",
        "Gradient",
        "Mapper",
        "MaternCovariance",
        "NaturalNeighbourMesh",
        "RectangularMesh",
        "SplitCross",
        "VertexSettings",
        "ZerothOrder",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name):
    if name in _HOME_OF:
        return getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME_OF])
