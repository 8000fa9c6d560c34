"""`mesh:` of a model file: from the section to a mesh, every key checked, and back.

mesh: {type: rectangular, shape: [30, 30], basis: spline | bilinear, extent:, center:, cover:, zero_edges:, border:}
mesh: {type: adaptive, shape: [30, 30], basis:, density: rays | brightness, floor:, cover:, zero_edges:, border:}
mesh: {type: delaunay | natural_neighbour, n_points: 900, vertices: overlay | hilbert | kmeans, zero_edges:}
"""

import dataclasses

from .errors import InputError
from .schema import as_number
from .source import AdaptiveMesh, RectangularMesh
from .source.adaptive import DENSITIES
from .source.mesh import BASES, BORDERS

LARGEST_SOURCE = 20_000
MESH_TYPES = ("rectangular", "adaptive", "delaunay", "natural_neighbour")
VERTICES = ("overlay", "hilbert", "kmeans")


def parse_mesh(section):
    """A mesh from its Section; where nodes need the mask or an image, the VertexSettings that make it later."""
    kind = section.choice("type", list(MESH_TYPES), "rectangular")
    if kind in ("delaunay", "natural_neighbour"):
        return _points(section, natural=kind == "natural_neighbour")
    rows, columns = _shape(section)
    settings = {
        "basis": section.choice("basis", list(BASES), "spline"),
        "zero_edges": section.boolean("zero_edges", False),
        "border": section.choice("border", list(BORDERS), "none"),
        "cover": section.number("cover", 1.0),
    }
    if kind == "adaptive":
        settings["density"] = section.choice("density", list(DENSITIES), "rays")
        settings["floor"] = section.number("floor", 0.5)
        mesh_class = AdaptiveMesh
    else:
        settings |= _extent(section)
        mesh_class = RectangularMesh
    section.finish()
    try:
        return mesh_class(rows, columns, **settings)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def _shape(section):
    rows, columns = section.numbers("shape", 2, [30, 30])
    if rows != int(rows) or columns != int(columns):
        raise InputError(f"{section.name('shape')}: expected two whole numbers, got {[rows, columns]}")
    _check_size(rows * columns, section.name("shape"))
    return int(rows), int(columns)


def _check_size(n_source, name):
    if n_source > LARGEST_SOURCE:
        raise InputError(f"{name}: {n_source:.3g} nodes, at most {LARGEST_SOURCE} can be solved")


def _extent(section):
    extent, center = section.get("extent"), section.get("center")
    if extent is None:
        if center is not None and any(section.numbers("center", 2)):
            raise InputError(f"{section.name('center')}: the mesh follows the rays; give an extent to fix it")
        return {}
    if section.value.get("cover") is not None:
        raise InputError(f"{section.name('cover')}: the mesh has a fixed extent; leave out one of the two")
    extent = as_number(extent, section.name("extent"), positive=True)
    return {"extent": extent, "center": section.numbers("center", 2, [0.0, 0.0])}


def _points(section, natural):
    from .source.vertices import VertexSettings

    settings = {
        "kind": section.choice("vertices", list(VERTICES), "overlay"),
        "n_points": section.integer("n_points", 900, lowest=4),
        "zero_edges": section.boolean("zero_edges", False),
        "natural": natural,
    }
    _check_size(settings["n_points"], section.name("n_points"))
    for key in ("weight_floor", "weight_power"):
        if section.get(key) is not None:
            settings[key] = section.number(key)
    for key in ("n_edge", "seed"):
        if section.get(key) is not None:
            settings[key] = section.integer(key, lowest=0)
    section.finish()
    try:
        return VertexSettings(**settings)
    except InputError as error:
        raise InputError(f"{section.path}: {error}") from None


def mesh_section(mesh):
    """The `mesh:` of a model file that gives a lattice or VertexSettings back; settings at their defaults left out."""
    fields = {field.name: (getattr(mesh, field.name), field.default) for field in dataclasses.fields(mesh)}
    if "kind" in fields:
        kind = "natural_neighbour" if mesh.natural else "delaunay"
        section = {"type": kind, "vertices": mesh.kind, "n_points": mesh.n_points}
    else:
        kind = "adaptive" if isinstance(mesh, AdaptiveMesh) else "rectangular"
        section = {"type": kind, "shape": list(mesh.shape), "basis": mesh.basis}
    done = {"rows", "columns", "basis", "kind", "natural", "n_points"}
    rest = {name: value for name, (value, default) in fields.items() if name not in done and value != default}
    return section | {name: list(value) if isinstance(value, tuple) else value for name, value in rest.items()}
