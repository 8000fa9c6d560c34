"""What the mapper of a mesh of points costs: tracing, triangulation, location, weights, and their derivative.

    python benchmarks/point_meshes.py [--points S] [--calls N]

One JSON line for each mesh: wall seconds (median) and processor seconds of all cores together (minimum, which other
work on the machine does not change), beside the floor: tracing the same rays, and the triangulation and the location
alone. Every call has new lens parameters.
"""

import argparse
import json
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.benchmark import machine
from uvlens.lens import LensPlane
from uvlens.source.location import locate
from uvlens.source.natural import NaturalNeighbourMesh
from uvlens.source.triangulation import triangulate
from uvlens.source.vertices import VertexSettings


def timed(function, calls):
    """{wall seconds (median), processor seconds (minimum)} of function(number of the call), compiled before."""
    jax.block_until_ready(function(0))
    wall, processor = [], []
    for call in range(calls):
        start = time.perf_counter(), time.process_time()
        jax.block_until_ready(function(call + 1))
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return {"wall": round(float(np.median(wall)), 4), "processor": round(float(np.min(processor)), 4)}


def plane_of(k):
    """A lens with external shear, another one for every number. Its shape changes too: with theta_E alone XLA could
    work out the deflection of all rays when it compiles."""
    return LensPlane([uvl.SIE(1.0 + 1e-3 * k, 0.1 + 1e-3 * k, 0.05), uvl.Shear(0.03, 0.02)])


def measure(mesh, mask, rays, calls):
    """Facts of one mesh."""
    x, y = (jnp.asarray(r) for r in mask.rays(rays))

    @jax.jit
    def trace(k, x, y):  # the rays are arguments: constants would be traced at compilation
        return plane_of(k).ray_trace(x, y)

    @jax.jit
    def mapper(k, x, y):
        plane = plane_of(k)
        beta = plane.ray_trace(x, y)
        return mesh.interpolation(*beta, mesh.geometry(*beta, plane.ray_trace))

    cotangent = jnp.asarray(np.random.default_rng(0).normal(size=mapper(0.0, x, y)[1].shape))
    gradient = jax.jit(jax.value_and_grad(lambda k, x, y, cotangent: jnp.sum(cotangent * mapper(k, x, y)[1])))
    plane = plane_of(0.0)
    geometry = mesh.geometry(x, y, plane.ray_trace)
    nodes = [np.asarray(a) for a in (geometry.x, geometry.y)]
    tables = [np.asarray(getattr(geometry, name)) for name in ("simplices", "neighbours", "n_simplices", "hull")]
    beta = [np.asarray(b).ravel() for b in plane.ray_trace(x, y)]
    facts = {
        "mesh": repr(mesh),
        "n_image_pixels": mask.n_pixels,
        "rays": mask.n_pixels * rays**2,
        "trace": timed(lambda k: trace(float(k), x, y), calls),
        "triangulation": timed(lambda k: triangulate(*nodes), calls),
        "location": timed(lambda k: locate(*beta, *nodes, *tables), calls),
        "mapper with trace": timed(lambda k: mapper(float(k), x, y), calls),
        "with gradient": timed(lambda k: gradient(float(k), x, y, cotangent), calls),
    }
    if isinstance(mesh, NaturalNeighbourMesh):
        dropped = np.asarray(mesh.dropped_weight(*(jnp.asarray(b) for b in beta), geometry))
        facts |= {
            "rays_beyond_the_limit": float(np.mean(dropped > 0.0)),
            "largest_dropped_weight": float(dropped.max()),
        }
    return facts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=900)
    parser.add_argument("--calls", type=int, default=15)
    a = parser.parse_args()
    mask = uvl.Mask.disc(3.0, 0.05)
    image = np.exp(-0.5 * ((np.hypot(mask.x, mask.y) - 1.0) / 0.15) ** 2)
    print(json.dumps(machine() | {"load": os.getloadavg()}))
    for kind in ("overlay", "hilbert"):
        for natural in (False, True):
            mesh = VertexSettings(kind, a.points, weight_floor=0.02, n_edge=30, natural=natural).make(mask, image)
            print(json.dumps({"vertices": kind} | measure(mesh, mask, 4, a.calls)))


if __name__ == "__main__":
    main()
