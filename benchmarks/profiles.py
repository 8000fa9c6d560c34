"""What every mass and light profile costs at 1e5 rays, value and gradient: the table of docs/profile_speed.md.

    python benchmarks/profiles.py [--rays 100000] [--calls 7] [NAME ...]

Mass: both components of the deflection; light: the brightness. The gradient is that of a weighted sum over the rays by
every parameter, value included. float64, compiled, the smallest of the calls; one profile after the other, so that
other work on the machine shows up as scatter between lines.
"""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np

import uvlens as uvl

SHAPE = {"e1": 0.1, "e2": -0.2, "center_x": 0.03, "center_y": -0.02}
CENTER = {"center_x": 0.03, "center_y": -0.02}
MASS = {
    "SIS": uvl.SIS(1.2, **CENTER),
    "SIE": uvl.SIE(1.2, **SHAPE),
    "NIE": uvl.NIE(1.2, 0.1, **SHAPE),
    "EPL": uvl.EPL(1.2, 2.2, **SHAPE),
    "CoredEPL": uvl.CoredEPL(1.2, 2.2, 0.1, **SHAPE),
    "DPIE": uvl.DPIE(1.2, 0.1, 2.0, **SHAPE),
    "PointMass": uvl.PointMass(1.2, **CENTER),
    "Shear": uvl.Shear(0.1, -0.05),
    "ConvergenceSheet": uvl.ConvergenceSheet(0.1, **CENTER),
    "ExternalPotential": uvl.ExternalPotential(0.03, -0.02, 0.05, 0.01, **CENTER),
    "Multipole 4": uvl.Multipole(4, cosine=0.03, sine=-0.02, **CENTER),
    "EllipticalMultipole 4": uvl.EllipticalMultipole(4, cosine=0.03, sine=-0.02, **SHAPE),
    "NFW": uvl.NFW(5.0, 0.6, **CENTER),
    "EllipticalNFW": uvl.EllipticalNFW(5.0, 0.6, **SHAPE),
    "TruncatedNFW": uvl.TruncatedNFW(5.0, 0.6, 20.0, **CENTER),
    "GNFW": uvl.GNFW(5.0, 0.6, 1.3, **SHAPE),
    "Hernquist": uvl.Hernquist(0.8, 0.5, **SHAPE),
    "SubhaloNFW": uvl.SubhaloNFW(9.0, 1e11, 0.16, 210.0, **CENTER, concentration=14.0),
    "SersicMass": uvl.SersicMass(0.5, 0.8, 3.0, **SHAPE),
    "GaussianMass": uvl.GaussianMass(1.5, 0.7, **SHAPE),
    "MGEMass of 5": uvl.MGEMass((1.0, 0.8, 0.6, 0.4, 0.2), (0.1, 0.2, 0.4, 0.8, 1.6), **SHAPE),
}
LIGHT = {
    "Gaussian": uvl.Gaussian(1.0, 0.4, **SHAPE),
    "Sersic": uvl.Sersic(1.0, 0.4, 3.0, **SHAPE),
    "CoreSersic": uvl.CoreSersic(1.0, 0.4, 3.0, 0.1, 0.3, **SHAPE),
    "Exponential": uvl.Exponential(1.0, 0.4, **SHAPE),
    "DeVaucouleurs": uvl.DeVaucouleurs(1.0, 0.4, **SHAPE),
    "Moffat": uvl.Moffat(1.0, 0.4, 2.5, **SHAPE),
    "UniformDisc": uvl.UniformDisc(1.0, 0.4, **SHAPE),
    "Ring": uvl.Ring(1.0, 0.4, 0.1, **SHAPE),
    "MGE of 20": uvl.MGE(20, 0.01, 2.0, **SHAPE),
    "Shapelets, n_max 6": uvl.Shapelets(6, 0.3, **CENTER),
}


def milliseconds(function, *arguments, calls):
    """The smallest of some calls, after one that compiles."""
    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def measure(component, evaluate, rays, calls):
    """(value, value and gradient) [ms] of evaluate(component, x, y), an array whose last axis is the rays."""
    x, y, weight = np.random.default_rng(0).uniform(-3.0, 3.0, (3, rays))
    numbers, structure = jax.tree_util.tree_flatten(component)
    start = jnp.array(numbers, dtype=float)

    def value(p):
        return evaluate(jax.tree_util.tree_unflatten(structure, list(p)), x, y)

    def total(p):
        found = value(p)
        return jnp.sum(found * weight * jnp.arange(1.0, 1.0 + found.shape[0])[:, None])

    return (
        milliseconds(jax.jit(value), start, calls=calls),
        milliseconds(jax.jit(jax.value_and_grad(total)), start, calls=calls),
    )


def main():
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    arguments.add_argument("names", nargs="*")
    arguments.add_argument("--rays", type=int, default=100_000)
    arguments.add_argument("--calls", type=int, default=7)
    chosen = arguments.parse_args()
    for title, profiles, evaluate in (
        ("mass", MASS, lambda one, x, y: jnp.stack(one.deflection(x, y))),
        ("light", LIGHT, lambda one, x, y: jnp.moveaxis(one.columns(x, y), -1, 0)),
    ):
        print(f"| {title} | value [ms] | with gradient [ms] | ratio |\n|---|---|---|---|")
        for name, component in profiles.items():
            if chosen.names and name.split()[0].rstrip(",") not in chosen.names:
                continue
            value, gradient = measure(component, evaluate, chosen.rays, chosen.calls)
            print(f"| {name} | {value:.1f} | {gradient:.1f} | {gradient / value:.1f} |", flush=True)
        print()


if __name__ == "__main__":
    main()
