"""What scans and sensitivity maps start from: the perturbed model, the point and metric of the fit, the places."""

import dataclasses
import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from .compiled import Compiled
from .errors import InputError
from .files import load_arrays, save_arrays, to_json
from .grid import PixelGrid
from .inference.density import IMPOSSIBLE, Density
from .inference.identity import fingerprint
from .inference.optimize import laplace_covariance
from .perturber import PERTURBERS, updated, with_perturber
from .results import Result
from .subhalomaps import SubhaloMaps

CHUNK = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Setup:
    """What both maps share."""

    perturbed: object
    z: np.ndarray
    metric: np.ndarray
    grid: PixelGrid
    sizes: np.ndarray
    size_name: str
    places: np.ndarray
    numbers: np.ndarray
    reoptimise: bool
    steps: int
    settings: dict

    @staticmethod
    def of(fit, grid, sizes, profile, plane, reoptimise, steps, fields, progress):
        model, best = (fit.model, fit.best_vector) if isinstance(fit, Result) else fit
        sizes = np.atleast_1d(np.asarray(sizes, dtype=float))
        if not sizes.size or not np.isfinite(sizes).all() or (np.diff(sizes) <= 0.0).any():
            raise InputError("subhalo: masses must be numbers in increasing order, at least one")
        if steps < 1:
            raise InputError(f"subhalo: steps must be at least 1, got {steps}")
        if not len(model.parameters):
            reoptimise = False
        perturbed = with_perturber(model, profile, plane, **fields)
        inside = _inside(model.skies[0].mask, grid)
        if not inside.any():
            raise InputError("subhalo: no position of the grid lies inside the mask")
        x, y = (axis[inside] for axis in grid.coordinates())
        count = len(x)
        places = np.column_stack([np.tile(x, len(sizes)), np.tile(y, len(sizes)), np.repeat(sizes, count)])
        flat = np.flatnonzero(inside.ravel())
        numbers = np.concatenate([q * inside.size + flat for q in range(len(sizes))])
        if progress is not None:
            progress("the macro model", 0.0)
        z, metric = np.zeros(0), np.zeros((0, 0))
        if len(model.parameters):
            z = np.asarray(model.parameters.to_normal(jnp.asarray(best)))
            if reoptimise:
                density = Density(model)
                z = _to_the_top(density, z, laplace_covariance(density, z))
                metric = laplace_covariance(density, z)
        settings = {"profile": profile, "plane": plane, "reoptimise": reoptimise, "steps": steps, **fields}
        settings |= {"sizes": sizes.tolist(), "grid": [list(grid.shape), grid.pixel_scale, list(grid.center)]}
        name = PERTURBERS[profile][1]
        return Setup(
            perturbed, z, metric, grid, sizes, name, places, numbers, reoptimise, steps, settings
        )  # fmt: skip

    def vector_of(self, z, place):
        """Physical vector of the perturbed model; in JAX."""
        return self.perturbed.vector(self.perturbed.macro.parameters.from_normal(z), place)

    def base(self):
        """(log posterior in z, z) of the macro model without a perturber, at the point that everything starts from."""
        model = self.perturbed.macro
        vector = model.parameters.from_normal(jnp.asarray(self.z)) if len(self.z) else jnp.zeros(0)
        value = float(Compiled(lambda model, vector: model.log_likelihood(vector), model)(vector))
        if not np.isfinite(value):
            raise InputError("subhalo: ln E of the best fit is not finite")
        return value - 0.5 * float(self.z @ self.z), self.z

    def maximised(self, climber, places, mocks=()):
        """(f, z) at places (B, 3)."""
        z = np.repeat(self.z[None], len(places), axis=0)
        if not self.reoptimise:
            return climber.values(z, places, mocks), z
        return climber.maximise(z, places, self.metric, self.steps, mocks)

    def run(self, kind, deltas, directory, resume, progress, extra=""):
        """{array: values at all places} of `deltas`, chunk by chunk, from and to a checkpoint."""
        file = None if directory is None else Path(directory) / f"subhalo_{kind}.checkpoint.npz"
        stated = to_json([fingerprint(self.perturbed.macro), self.settings, extra])
        identity = hashlib.sha256(stated.encode()).hexdigest()
        arrays: dict = {"done": np.zeros(0)}
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            saved = load_arrays(file) if resume else None
            if saved is not None:
                if str(saved.pop("identity")) != identity:
                    raise InputError(f"{file}: belongs to another scan or model; run without --resume")
                arrays = saved
        n = len(self.places)
        while (start := len(arrays["done"])) < n:
            numbers = np.arange(start, min(start + CHUNK, n))
            value, z, *more = deltas(numbers)
            new = {"done": numbers, "value": value, "z": z, **({"delta": more[0]} if more else {})}
            arrays = {key: np.concatenate([arrays[key], v]) if start else v for key, v in new.items()}
            if file is not None:
                save_arrays(file, {**arrays, "identity": np.array(identity)})
            if progress is not None:
                progress(f"{kind}: {len(arrays['done'])} of {n}", len(arrays["done"]) / n)
        return arrays

    def maps(self, kind, found, without, threshold, more=None):
        """SubhaloMaps of what `run` found."""
        shape = (len(self.sizes), *self.grid.shape)
        value, z = found["value"], found["z"]
        if without is not None:
            base, z_base = without
            posterior = np.where(value > IMPOSSIBLE / 2, value - base, np.nan)
            evidence = posterior + 0.5 * np.sum(z**2, axis=1) - 0.5 * float(z_base @ z_base)
        else:
            posterior = np.where(np.abs(value) < -IMPOSSIBLE / 2, value, np.nan)
            evidence = np.where(np.isfinite(posterior), found["delta"], np.nan)
        parameters = self.perturbed.macro.parameters
        if len(parameters):
            macro = np.asarray(jax.vmap(parameters.from_normal)(jnp.asarray(z)))
        else:
            macro = np.zeros((len(z), 0))

        def spread(values):
            full = np.full((int(np.prod(shape)), *values.shape[1:]), np.nan)
            full[self.numbers] = values
            return full.reshape((*shape, *values.shape[1:]))

        best = {"x": None, "y": None, self.size_name: None, "delta_log_evidence": float("nan")}
        best["delta_log_posterior"] = float("nan")
        if np.isfinite(posterior).any():
            i = int(np.nanargmax(posterior))
            x, y, size = (float(v) for v in self.places[i])
            best = {"x": x, "y": y, self.size_name: size, "delta_log_evidence": float(evidence[i])}
            best["delta_log_posterior"] = float(posterior[i])
        settings = self.settings | (more or {})
        maps = (spread(evidence), spread(posterior), spread(macro), best, threshold, settings)
        return SubhaloMaps(kind, self.grid, self.sizes, self.size_name, *maps)


def _to_the_top(density, z, metric, steps=12):
    """The maximum near z by quasi-Newton steps that begin with a metric: a line search without one may end far away."""
    value, gradient = density.value_and_gradient(z)
    inverse = metric
    for _ in range(steps):
        step = inverse @ gradient
        if not step @ gradient > 1e-3:
            break
        for scale in (1.0, 0.25, 0.0625):
            new_value, new_gradient = density.value_and_gradient(z + scale * step)
            if new_value > value:
                break
        else:
            break
        inverse = updated(inverse, scale * step, gradient - new_gradient)
        z, value, gradient = z + scale * step, new_value, new_gradient
    return z


def _inside(mask, grid):
    """Positions of a grid that lie in kept pixels of a mask, shape grid.shape."""
    x, y = grid.coordinates()
    column = np.round((x - mask.grid.x_axis[0]) / mask.grid.pixel_scale).astype(int)
    row = np.round((y - mask.grid.y_axis[0]) / mask.grid.pixel_scale).astype(int)
    rows, columns = mask.grid.shape
    valid = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return valid & mask.kept[np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)]
