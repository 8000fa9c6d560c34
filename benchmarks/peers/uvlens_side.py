"""uvlens on the peer's arrays: the same problem timed, and its array-level core fed with the peer's own matrices."""

import importlib.metadata
import json
import pathlib
import platform
import resource
import subprocess
import time

import jax
import jax.numpy as jnp
import numpy as np
from cases import JITTER, JITTER_SEED, REFERENCE
from machine import machine_load, note

import uvlens as uvl
from uvlens.compiled import Compiled
from uvlens.conventions import lens_from_pyautolens


def load_arrays(folder, name):
    """(Visibilities, Mask, their slim index of each of our pixels) of a peer data set.

    Conjugated, so that its x can be read as East and its y as North; its row 0 is the top.
    """
    with np.load(folder / f"{name}.npz") as d:
        u, v = d["uv_wavelengths"].T
        data = uvl.Visibilities(u=u, v=v, vis=d["data"].conj(), weight=d["sigma"] ** -2.0)
        kept, pixel_scale = ~d["mask"], float(d["pixel_scale"])
    numbers = np.full(kept.shape, -1)
    numbers[kept] = np.arange(kept.sum())
    return data, uvl.Mask.from_array(kept[::-1], pixel_scale), numbers[::-1][kept[::-1]]


def uvlens_model(normal, case, kind):
    """The peer's model: isothermal ellipsoid and shear, bilinear mesh, one ray a pixel; every number is free."""
    free = uvl.Uniform(-10.0, 10.0)
    source = uvl.PixelSource(
        uvl.RectangularMesh(case.nodes, case.nodes, basis="bilinear"),
        uvl.Gradient(uvl.LogUniform(1e-6, 1e6)),
        positive=kind.positive,
    )
    return uvl.Model(normal, lens=[uvl.SIE(free, free, free, free, free), uvl.Shear(free, free)], source=source, rays=1)


def uvlens_strength(coefficient, normal):
    """Our strength at their coefficient c: H = c^2 (Laplacian) on a source in Jy per pixel.

    Ours is in Jy/arcsec^2: lambda = c^2 (pixel area)^2 = strength sum(w) Omega^2.
    """
    reduction = normal.reduction
    lam = coefficient**2 * normal.mask.grid.pixel_area**2
    return lam / (float(reduction.sum_weight) * reduction.resolution_area**2)


def uvlens_vector(model, peer_lens, strength):
    """Our parameter vector at the peer's lens parameters.

    Conjugating the data turns the sky of `exported="u,v"` by 180 degrees, which changes the centre only.
    """
    y, x, e_y, e_x, einstein_radius, gamma_1, gamma_2 = (float(p) for p in peer_lens)
    lens = lens_from_pyautolens(
        einstein_radius=einstein_radius,
        ell_comps=(e_y, e_x),
        centre=(-y, -x),
        shear=(gamma_1, gamma_2),
        exported="u,v",
    )
    values = {f"lens.mass.0.{key}": lens[key] for key in ("theta_E", "e1", "e2", "center_x", "center_y")}
    values |= {f"lens.mass.1.{key}": lens[key] for key in ("gamma1", "gamma2")}
    return model.parameters.median(values | {"source.pixels.regularization.strength": strength})


def run_uvlens(normal, case, kind, coefficient, repetitions):
    """Median seconds over new lens parameters each time, compiled and called twice before; and what it found."""
    model = uvlens_model(normal, case, kind)
    normal = model.normal  # the operator that suits this source
    strength = uvlens_strength(coefficient, normal)
    reference = uvlens_vector(model, REFERENCE, strength)
    rng = np.random.default_rng(JITTER_SEED)
    vectors = [uvlens_vector(model, rng.normal(REFERENCE, JITTER), strength) for _ in range(repetitions)]
    value = Compiled(lambda model, vector: model.log_likelihood(vector), model)
    value_and_gradient = Compiled(lambda model, vector: jax.value_and_grad(model.log_likelihood)(vector), model)
    function = value_and_gradient if kind.gradient else value
    started = time.perf_counter()
    jax.block_until_ready(function(reference))
    first = time.perf_counter() - started
    jax.block_until_ready((vectors, function(reference)))

    def calls():
        seconds = []
        for vector in vectors:
            started = time.perf_counter()
            jax.block_until_ready(function(vector))
            seconds.append(time.perf_counter() - started)
        return seconds

    seconds, load = machine_load(calls)
    inversion, _ = model.invert(reference)
    facts = {
        "seconds": float(np.median(seconds)),
        "min": min(seconds),
        "max": max(seconds),
        "calls": repetitions,
        "first_call_seconds": first,
        "operator": normal.method,
        "rank": None if normal.rank is None else int(normal.rank),
        "strength": strength,
        "chi_squared": inversion.terms["chi_squared"],
        "log_evidence": inversion.log_evidence,
        "kkt": inversion.kkt,
        "n_nonzero": int(np.count_nonzero(np.asarray(inversion.source))),
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        **load,
    }
    if kind.gradient:
        facts["gradient_error"] = _gradient_error(model, value, value_and_gradient, reference)
    return facts


def _gradient_error(model, value, value_and_gradient, vector):
    """Largest difference from central differences over the lens parameters, over the largest component."""
    gradient = np.asarray(value_and_gradient(vector)[1])
    lens = [i for i, path in enumerate(model.parameters.paths) if path.startswith("lens.")]
    numeric = []
    for i in lens:
        step = jnp.zeros(len(vector)).at[i].set(1e-6)
        numeric.append(float(value(vector + step) - value(vector - step)) / 2e-6)
    return float(np.abs(gradient[lens] - numeric).max() / np.abs(gradient[lens]).max())


def compare_core(folder, oracle, normals, data_sets, write):
    """uvlens's inversion fed with the peer's mapper and H, against the terms it wrote down for them."""
    for file in sorted(oracle.glob("*.npz")):
        facts = json.loads(file.with_suffix(".json").read_text())
        if facts["data"] not in data_sets:
            continue
        data, mask, order = load_arrays(folder, facts["data"])
        with np.load(file) as arrays:
            o = dict(arrays)
        used = np.arange(o["pix_weights_for_sub_slim_index"].shape[1]) < o["pix_sizes_for_sub_slim_index"][:, None]
        mapper = uvl.Mapper(
            np.where(used, o["pix_indexes_for_sub_slim_index"], 0)[order],
            np.where(used, o["pix_weights_for_sub_slim_index"], 0.0)[order],
            len(o["data_vector"]),
        )
        positive = bool(facts["pos"])
        fixed = o["zeroed_pixels"] if positive and facts["edges"] else None
        timed = normals.get(facts["data"]) or uvl.normal_operator(data, mask)
        for normal in {n.method: n for n in (timed, uvl.normal_operator(data, mask, "fft"))}.values():
            note(f"  {file.stem}, operator {normal.method}")
            inversion = uvl.invert(normal, mapper, o["regularization_matrix"], positive, fixed_zero=fixed)
            write(
                {
                    "record": "core",
                    "oracle": file.stem,
                    "operator": normal.method,
                    **core_differences(inversion, o, facts),
                }
            )


def core_differences(inversion, arrays, facts):
    """Of F, D (relative to their largest element), chi^2, ln det A and ln E, uvlens minus peer."""
    ours, theirs = inversion.terms, facts["terms"]

    def relative(ours, theirs):
        return float(np.abs(np.asarray(ours) - theirs).max() / np.abs(theirs).max())

    log_det = theirs["log_det_curvature_reg_matrix_term"]
    return {
        "positive": bool(facts["pos"]),
        "n_source_pixels": len(arrays["data_vector"]),
        "chi_squared": ours["chi_squared"],
        "delta_chi_squared": ours["chi_squared"] - theirs["chi_squared"],
        "delta_log_det_relative": (ours["log_det_curvature_reg_matrix"] - log_det) / abs(log_det),
        "delta_regularization_term": ours["regularization_term"] - theirs["regularization_term"],
        "delta_log_evidence": inversion.log_evidence - theirs["log_evidence"],
        "delta_curvature_relative": relative(inversion.curvature_matrix, arrays["curvature_matrix"]),
        "delta_data_vector_relative": relative(inversion.data_vector, arrays["data_vector"]),
        "peer_versions": facts["versions"],
    }


def uvlens_versions():
    """Of uvlens (with the commit, where there is one) and what it runs on."""
    command = ["git", "-C", str(pathlib.Path(uvl.__file__).parent), "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    packages = {name: importlib.metadata.version(name) for name in ("jax", "jaxlib", "numpy", "scipy")}
    return {"uvlens": uvl.__version__, "commit": commit, "python": platform.python_version(), **packages}
