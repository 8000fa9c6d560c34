"""The pixelised source: meshes, the lensing operator, regularisation."""

from .delaunay import DelaunayMesh
from .mapper import Mapper, dense_lensing_operator
from .mesh import MeshGeometry, RectangularMesh
from .natural import NaturalNeighbourMesh
from .regularization import REGULARIZATIONS, AbstractRegularization, Curvature, Gradient, ZerothOrder
from .vertices import VertexSettings

__all__ = [
    "REGULARIZATIONS",
    "AbstractRegularization",
    "Curvature",
    "DelaunayMesh",
    "Gradient",
    "Mapper",
    "MeshGeometry",
    "NaturalNeighbourMesh",
    "RectangularMesh",
    "VertexSettings",
    "ZerothOrder",
    "dense_lensing_operator",
]
