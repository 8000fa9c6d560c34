"""The pixelised source: meshes, the lensing operator, regularisation."""

from .adaptive import AdaptiveGeometry, AdaptiveMesh
from .border import Border, border_of
from .mapper import Mapper, dense_lensing_operator
from .mesh import AbstractMesh, check_mesh
from .rectangular import MeshGeometry, RectangularMesh
from .regularization import REGULARIZATIONS, AbstractRegularization, Curvature, Gradient, ZerothOrder

__all__ = [
    "REGULARIZATIONS",
    "AbstractMesh",
    "AbstractRegularization",
    "AdaptiveGeometry",
    "AdaptiveMesh",
    "Border",
    "Curvature",
    "Gradient",
    "Mapper",
    "MeshGeometry",
    "RectangularMesh",
    "ZerothOrder",
    "border_of",
    "check_mesh",
    "dense_lensing_operator",
]
