"""How smooth ln E is: its scatter about a smooth curve along every lens parameter, for every mesh.

    python benchmarks/roughness.py [--data NAME] [--meshes NAME ...] [--rays 1 4] [--parameters theta_E ...]

ln E is computed at `steps` values of one lens parameter within 0.02 of its best value (centre and shear 0.01, which
change ln E as much), everything else fixed; the roughness is what is left of it after a polynomial of eighth order,
rms and largest, in nat. Gradient prior at the best
strength of the mesh, source unconstrained, 30 x 30 nodes. Data: a simulated ALMA observation and, where UVLENS_DATA
names the folder of the telescope data, SPT0346-52. The evidence is written out here with dense matrices, for any mesh
of the contract (axes of a lattice, edges of scattered nodes), apart from the package's own priors and inversion.
"""

import argparse
import functools
import json
import os
import pathlib
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl
from uvlens.benchmark import simulated_visibilities
from uvlens.source import border_of

NODES, ORDER = 30, 8
HALF_RANGE = (0.02, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01)
"""Of each of the parameters below."""
PARAMETERS = ("theta_E", "e1", "e2", "center_x", "center_y", "gamma1", "gamma2")


def meshes(mask, extent, center):
    """Name -> mesh of about 900 nodes."""
    made = {
        "rectangular spline": uvl.RectangularMesh(NODES, NODES, extent, center),
        "rectangular bilinear": uvl.RectangularMesh(NODES, NODES, extent, center, "bilinear"),
        "rectangular spline, follows rays": uvl.RectangularMesh(NODES, NODES),
        "rectangular spline, follows 98 % of rays": uvl.RectangularMesh(NODES, NODES, cover=0.98),
        "adaptive spline": uvl.AdaptiveMesh(NODES, NODES),
        "adaptive spline, relocated": uvl.AdaptiveMesh(NODES, NODES, border="relocate"),
        "adaptive bilinear": uvl.AdaptiveMesh(NODES, NODES, basis="bilinear"),
    }
    try:
        from uvlens.source.vertices import VertexSettings
    except ImportError:
        return made
    for name, natural in (("delaunay", False), ("natural neighbour", True)):
        made[name] = VertexSettings(kind="overlay", n_points=NODES**2, natural=natural).make(mask)
    return made


def data_sets():
    """Name -> (visibilities, mask, lens parameters, half width and centre of a fixed mesh)."""
    truth = (1.0, 0.1, 0.05, 0.0, 0.0, 0.03, 0.02)
    sets = {
        "simulated": (simulated_visibilities(10_000, 2.5e5), uvl.Mask.disc(1.75, 0.07), truth, 0.8, (0.0, 0.0)),
    }
    folder = os.environ.get("UVLENS_DATA")
    if folder:
        data = uvl.Visibilities.read(pathlib.Path(folder) / "spt0346" / "SPT0346-52_cont.bin")
        center = (0.599, -0.331)
        lens = (0.979, 0.273, 0.215, *center, -0.052, 0.107)  # Spilker et al. (2016), in our conventions
        sets["SPT0346-52"] = (data, uvl.Mask.disc(1.75, 0.07, center), lens, 1.0, (0.4, -0.07))
    return sets


def gradient_matrix(mesh, geometry):
    """G of the gradient prior, the integral of |grad s|^2, dense (S, S)."""
    if hasattr(mesh, "axes"):
        stiffness, mass = zip(*(_axis(axis) for axis in mesh.axes(geometry)))
        return jnp.kron(stiffness[0], mass[1]) + jnp.kron(mass[0], stiffness[1])
    i, j, weight = mesh.edges(geometry)
    inner = jnp.where(j < 0, 0.0, weight)
    there = jnp.where(j < 0, 0, j)
    g = jnp.zeros((mesh.n_source, mesh.n_source)).at[i, there].add(-inner).at[there, i].add(-inner)
    return g.at[i, i].add(weight).at[there, there].add(inner)


def _axis(nodes):
    inverse = 1.0 / jnp.diff(nodes)
    stiffness = jnp.diag(inverse[:-1] + inverse[1:]) - jnp.diag(inverse[1:-1], 1) - jnp.diag(inverse[1:-1], -1)
    return stiffness, jnp.diag(0.5 * (nodes[2:] - nodes[:-2]))


def evidence(normal, mesh, rays):
    """(parameters, strength) -> ln E - ln E_null, compiled."""
    x, y = (jnp.asarray(r) for r in normal.mask.rays(rays))
    border = border_of(normal.mask) if getattr(mesh, "border", "none") == "relocate" else None
    unit = normal.reduction.sum_weight * normal.reduction.resolution_area**2

    @jax.jit
    def value(p, strength):
        lens = uvl.LensPlane([uvl.SIE(*p[:5]), uvl.Shear(p[5], p[6])])
        beta = lens.ray_trace(x, y)
        if border is not None:
            beta = border.relocate(*beta, lens.ray_trace)
        geometry = mesh.geometry(*beta, ray_trace=lens.ray_trace)
        indices, weights = mesh.interpolation(*beta, geometry)
        indices, weights = (a.reshape(len(x), -1) for a in (indices, weights))
        weights = weights * (normal.mask.grid.pixel_area / x.shape[1])
        f = normal.curvature_matrix(indices, weights, mesh.n_source)
        d = uvl.Mapper(indices, weights, mesh.n_source).transposed_product(normal.dirty_image)
        h = strength * unit * gradient_matrix(mesh, geometry)
        factor, factor_h = jnp.linalg.cholesky(f + h), jnp.linalg.cholesky(h)
        half = jax.scipy.linalg.solve_triangular(factor, d, lower=True)
        log_dets = jnp.sum(jnp.log(jnp.diagonal(factor_h)) - jnp.log(jnp.diagonal(factor)))
        return 0.5 * half @ half + log_dets

    return value


def best_strength(value, truth):
    """The power of 10 at which ln E is largest."""
    strengths = 10.0 ** np.arange(-4.0, 3.0)
    return strengths[np.argmax([float(value(truth, s)) for s in strengths])]


def roughness(value, truth, strength, k, steps):
    """(rms, largest, range) of ln E about its polynomial along parameter k."""
    t = np.linspace(-1.0, 1.0, steps)
    curve = np.array([float(value(truth.at[k].add(HALF_RANGE[k] * step), strength)) for step in t])
    left = curve - np.polynomial.chebyshev.chebval(t, np.polynomial.chebyshev.chebfit(t, curve, ORDER))
    return float(np.sqrt(np.mean(left**2))), float(np.abs(left).max()), float(np.ptp(curve))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["simulated", "SPT0346-52"], help="one data set, both by default")
    parser.add_argument("--meshes", nargs="+", help="names, all by default")
    parser.add_argument("--rays", nargs="+", type=int, default=[1, 4], help="rays per side of a pixel")
    parser.add_argument("--parameters", nargs="+", choices=PARAMETERS, default=list(PARAMETERS))
    parser.add_argument("--steps", type=int, default=81)
    parser.add_argument("--out", help="also write one JSON line a row to this file")
    a = parser.parse_args()
    lines = []
    for data_name, (data, mask, truth, extent, center) in data_sets().items():
        if a.data not in (None, data_name):
            continue
        normal = uvl.normal_operator(data, mask, "lowrank")
        print(f"\n{data_name}: {len(data)} visibilities, N {mask.n_pixels}, rank {normal.rank}; rms / largest [nat]")
        print("| mesh | rays | strength | ln E | " + " | ".join(a.parameters) + " |")
        print("|---" * (4 + len(a.parameters)) + "|")
        truth = jnp.asarray(truth)
        for name, mesh in meshes(mask, extent, center).items():
            for rays in a.rays if a.meshes is None or name in a.meshes else []:
                started, value = time.perf_counter(), evidence(normal, mesh, rays)
                strength = best_strength(value, truth)
                along = functools.partial(roughness, value, truth, strength, steps=a.steps)
                found = {p: along(k=PARAMETERS.index(p)) for p in a.parameters}
                best = float(value(truth, strength))
                cells = [f"{rms:.4f} / {largest:.4f}" for rms, largest, _ in found.values()]
                print(
                    f"| {name} | {rays} x {rays} | {strength:.2g} | {best:.2f} | " + " | ".join(cells) + " |",
                    flush=True,
                )
                lines.append(
                    {"data": data_name, "mesh": name, "rays": rays, "strength": strength, "log_evidence": best}
                )
                lines[-1] |= {"roughness": found, "seconds": time.perf_counter() - started}
    if a.out:
        pathlib.Path(a.out).write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
