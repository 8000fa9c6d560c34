"""The pixelised source: meshes, the lensing operator, regularisation."""

from .adaptive import AdaptiveGeometry, AdaptiveMesh
from .border import Border, border_of
from .delaunay import DelaunayMesh
from .mapper import Mapper, dense_lensing_operator
from .mesh import AbstractMesh, check_mesh
from .natural import NaturalNeighbourMesh
from .rectangular import MeshGeometry, RectangularMesh
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
from .vertices import VertexSettings

__all__ = [
    "REGULARIZATIONS",
    "AbstractMesh",
    "AbstractRegularization",
    "AdaptiveBrightness",
    "AdaptiveGeometry",
    "AdaptiveMesh",
    "Border",
    "Curvature",
    "DelaunayMesh",
    "ExponentialCovariance",
    "GaussianCovariance",
    "Gradient",
    "Mapper",
    "MaternCovariance",
    "MeshGeometry",
    "NaturalNeighbourMesh",
    "Prior",
    "RectangularMesh",
    "SplitCross",
    "VertexSettings",
    "ZerothOrder",
    "border_of",
    "check_mesh",
    "dense_lensing_operator",
]
