"""The pixelised source: meshes, the lensing operator, regularisation."""

from .mapper import Mapper, dense_lensing_operator
from .mesh import MeshGeometry, RectangularMesh
from .regularization import REGULARIZATIONS, AbstractRegularization, Curvature, Gradient, ZerothOrder

__all__ = [
    "REGULARIZATIONS",
    "AbstractRegularization",
    "Curvature",
    "Gradient",
    "Mapper",
    "MeshGeometry",
    "RectangularMesh",
    "ZerothOrder",
    "dense_lensing_operator",
]
