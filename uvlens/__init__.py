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
    "data": ("VisibilityStream", "Visibilities", "read", "stream", "weight_factor", "write"),
    "errors": ("InputError", "UVLensWarning"),
    "grid": ("Mask", "PixelGrid"),
    "imaging": ("make_image",),
    "inference": ("fit",),
    "inversion": ("Inversion", "invert"),
    "lens": ("EPL", "SIE", "LensPlane", "Shear"),
    "model": ("Model", "PixelSource", "Positions", "Source"),
    "normal": ("load_normal_operator", "normal_operator", "reduce_partitions"),
    "nufft": ("type1", "type2"),
    "prediction": ("predict",),
    "priors": ("LogNormal", "LogUniform", "Normal", "SameAs", "TruncNormal", "Uniform"),
    "results": ("Result", "load_results"),
    "simulate": ("observe",),
    "source": ("AdaptiveMesh", "Curvature", "Gradient", "Mapper", "RectangularMesh", "ZerothOrder"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME_OF)]


def __getattr__(name):
    if name in _HOME_OF:
        return getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOME_OF])
