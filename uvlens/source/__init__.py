"""The pixelised source: meshes, the lensing operator, regularisation."""

from .mapper import Mapper, dense_lensing_operator
from .mesh import MeshGeometry, RectangularMesh
from .regularization import (
    REGULARIZATIONS,
    AbstractRegularization,
    AdaptiveBrightness,
    Curvature,
    ExponentialCovariance,
    GaussianCovariance,
    Gradient,
    MaternCovariance,
    Prior,
    SplitCross,
    ZerothOrder,
)

__all__ = [
    "REGULARIZATIONS",
    "AbstractRegularization",
    "AdaptiveBrightness",
    "Curvature",
    "ExponentialCovariance",
    "GaussianCovariance",
    "Gradient",
    "Mapper",
    "MaternCovariance",
    "MeshGeometry",
    "Prior",
    "RectangularMesh",
    "SplitCross",
    "ZerothOrder",
    "dense_lensing_operator",
]
