"""Calibration nuisances solved for with the lens: the outer loop that makes the data linear in them.

    fit without nuisances -> model visibilities M0 -> one pass over the data: W - U^T U about (p0 = 0, M0) -> climb from
    the last best point -> p0 + delta, new M0 -> one pass over the data ... until nothing moves

(Gauss-Newton on the nuisances with everything else maximised again in each step.) At the fixed point delta = 0, so the
linear problem has the right maximum, and its Hessian lacks the second derivatives of G alone, which the residuals of
the fit multiply and average away. What follows (a search, errors, evidence) runs on the last operator.
"""

import dataclasses
import json
import os
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .errors import InputError
from .model import Model
from .normal import Nuisances, operator_from_reduction, reduce_calibrated
from .normal.calibrated import check_calibratable
from .selfcalstate import LoopState
from .selfcalsteps import FARTHEST, Climber, Memory, images_of
from .terms import log_evidence_terms

MAX_PASSES = 8
_CLOSE = 0.1
"""Change of a nuisance over its conditional error, and of the log posterior, at which the loop ends."""


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """The end of the outer loop.

    Attributes:
        model: on the operators of the last pass: what a search takes.
        nuisances: Nuisances.
        vector: its parameters where the last climb ended, shape (n,).
        skies: numbers of the skies that have nuisances.
        passes: of each {"log_posterior", "largest_change" (of a nuisance, in its conditional errors)}.
        chi_squared_without: of the fit without nuisances.
        converged: whether the last pass moved nothing.
    """

    model: Model
    nuisances: Nuisances
    vector: np.ndarray
    skies: tuple[int, ...]
    passes: tuple[dict, ...]
    chi_squared_without: float
    converged: bool

    @property
    def warning(self):
        """A sentence where the loop did not end, or None."""
        if self.converged:
            return None
        last = self.passes[-1]["largest_change"]
        return (
            f"calibration nuisances still moved by {last:.1f} of their errors in the last of {len(self.passes)} passes"
        )

    def facts(self):
        """For summary.json."""
        return {
            "chi_squared_without_nuisances": self.chi_squared_without,
            "n_passes": len(self.passes),
            "passes": [dict(one) for one in self.passes],
            "converged": self.converged,
        }


def calibrate(
    data,
    mask,
    make_model,
    nuisances: Nuisances,
    *,
    pixel_window=False,
    method="auto",
    seed=1,
    directory=None,
    resume=False,
    progress=None,
    max_passes=MAX_PASSES,
    start=None,
    **options,
):
    """Fit data whose calibration is uncertain: the Model to search on, its nuisances marginalised about the best fit.

        found = uvl.calibrate(data, mask, lambda normal: uvl.Model(normal, lens, source), uvl.Nuisances(10.0))
        result = uvl.fit(found.model, "nuts")

    Args:
        data: Visibilities, a VisibilityStream that can be gone through again, or a list of these that see one sky.
        mask: Mask of N pixels.
        make_model: function of a normal operator that returns a Model.
        nuisances: Nuisances, the same widths for every data set, each with antennas of its own.
        pixel_window, method: as for `normal_operator`.
        seed: of the first fit.
        directory: folder that keeps the state of the loop, for `resume`; None: not kept.
        resume: continue from there.
        progress: called with (message, fraction done).
        max_passes: over the data.
        start: parameters (n,) near the best fit, to climb from instead of searching first (an earlier fit's
            `best_vector`).
        options: n_starts, n_screen of the first fit.

    Returns:
        Calibration.

    Raises:
        InputError: data that do not say what the nuisances need; see `uvlens.fit` and `normal_operator`.
    """
    from .normal import normal_operator
    from .sky import Sky

    data_sets = list(data) if isinstance(data, list | tuple) else [data]
    check_calibratable(data_sets, nuisances)
    first = normal_operator(data_sets, mask, method, pixel_window=pixel_window)
    loop = Loop([data_sets], nuisances, lambda skies: make_model(skies[0].normal), max_passes)
    return loop.run([Sky(first)], seed, directory, resume, progress, options, start)


@dataclasses.dataclass
class Loop:
    """The outer loop over skies.

    Args:
        data: data sets of each sky, None for one without nuisances (an image).
        nuisances: Nuisances.
        make_model: [Sky] -> Model.
        max_passes: over the data.
        fixed: a parameter vector (n,) that is kept, the nuisances alone being solved for; None: everything is fitted.
    """

    data: list
    nuisances: Nuisances
    make_model: Any
    max_passes: int = MAX_PASSES
    fixed: Any = None

    def run(self, skies, seed=1, directory=None, resume=False, progress=None, options=None, start=None):
        """The Calibration of skies whose operators know of no nuisances."""
        report = progress or (lambda *_: None)
        for own, sky in zip(self.data, skies):
            if own is not None and (sky.spectral is not None or sky.n_channels > 1):
                raise InputError("nuisances are for merged channels without a spectral index")
            if own is not None and sky.normal.method == "nufft":
                raise InputError("nuisances: operator nufft has none; leave image_plane.operator out")
        model = self.make_model(skies)
        identity = self._identity(model, seed)
        file = None if directory is None else os.path.join(directory, "state.npz")
        state = LoopState.load(file, identity) if resume else None
        if state is None:
            state = self._first(model, start, seed, directory, resume, progress, options or {})
            state.save(file, identity)
        climber, memory = None, Memory(state.steps)
        while True:
            model = self.make_model(self._skies(skies, state))
            if state.done:
                break
            i = len(state.passes) + 1
            report(f"calibration, pass {i} of at most {self.max_passes}", (i - 1) / self.max_passes)
            climber = climber.on(model) if climber else Climber(model)
            vector, value = (state.vector, np.nan) if self.fixed is not None else climber.climb(state.vector)
            terms = [term for term in _terms(model, self.data)]
            images = climber.images(vector)
            solved = [term.solve(images[number]) for number, term in terms]
            start = np.concatenate([term.start for _, term in terms])
            found = np.concatenate([values for values, _ in solved])
            error = np.concatenate([np.sqrt(np.diagonal(covariance)) for _, covariance in solved])
            entry = {"log_posterior": value, "largest_change": float(np.max(np.abs(found - start) / error))}
            still = entry["largest_change"] < _CLOSE
            if still and state.passes and self.fixed is None:
                still = abs(value - state.passes[-1]["log_posterior"]) < _CLOSE
            passes = (*state.passes, entry)
            state = dataclasses.replace(state, vector=vector, passes=passes)
            if still or i >= self.max_passes:
                # the operator at hand is about a point from which nothing moves: it is kept
                state = dataclasses.replace(state, done=True, converged=bool(still))
                state.save(file, identity)
                break
            z = np.asarray(model.parameters.to_normal(jnp.asarray(vector))) if len(vector) else vector
            found, z = memory.ahead(start / error, found / error, z)
            if len(vector):
                vector = np.asarray(model.parameters.from_normal(jnp.asarray(np.clip(z, -FARTHEST, FARTHEST))))
            values = _by_data_set(terms, found * error, len(images))
            point = {"vector": vector, "images": climber.images(vector), "values": values}
            state = dataclasses.replace(state, **point, steps=tuple(memory.steps))
            state.save(file, identity)
        numbers = tuple(i for i, own in enumerate(self.data) if own is not None)
        ends = state.vector, numbers, state.passes, state.chi_squared_without, state.converged
        return Calibration(model, self.nuisances, *ends)

    def _first(self, model, start, seed, directory, resume, progress, options):
        """The fit without nuisances."""
        if self.fixed is None and start is not None:
            vector, _ = Climber(model).climb(np.asarray(start, dtype=float))
        elif self.fixed is None and len(model.parameters):
            from .inference import fit

            folder = None if directory is None else os.path.join(directory, "first")
            vector = fit(
                model, "optimize", seed=seed, directory=folder, resume=resume, progress=progress, **options
            ).best_vector
        else:
            vector = np.zeros(0) if self.fixed is None else np.asarray(self.fixed)
        chi_squared = log_evidence_terms(model, model.inversions(jnp.asarray(vector)))["chi_squared"]
        images = images_of(model, vector)
        return LoopState(np.asarray(vector), images, [[] for _ in images], (), float(chi_squared))

    def _skies(self, skies, state):
        """The skies on operators about a state."""
        found = []
        for sky, own, image, values in zip(skies, self.data, state.images, state.values):
            if own is None:
                found.append(sky)
                continue
            old = sky.normal.reduction
            options = {"phase_center": old.phase_center, "pixel_window": old.pixel_window}
            starts = values or [{}] * len(own)
            parts = [
                reduce_calibrated(one, old.mask, self.nuisances, image, start, **options)
                for one, start in zip(own, starts)
            ]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            total = dataclasses.replace(total, observations=old.observations)
            operator = operator_from_reduction(total, "auto" if sky.normal.choice else sky.normal.method)
            found.append(eqx.tree_at(lambda s: s.normal, sky, operator, is_leaf=lambda leaf, s=sky: leaf is s.normal))
        return found

    def _identity(self, model, seed):
        """What the state belongs to: everything stated about the model without nuisances, and about these."""
        from .inference.identity import describe_model

        fixed = None if self.fixed is None else np.asarray(self.fixed).tolist()
        stated = {"nuisances": dataclasses.asdict(self.nuisances), "seed": seed, "max_passes": self.max_passes}
        return json.loads(json.dumps({"model": describe_model(model), **stated, "fixed": fixed}))


def _terms(model, data):
    """[(number of the sky, NuisanceTerm)]."""
    return [
        (number, term)
        for number, (sky, own) in enumerate(zip(model.skies, data))
        if own is not None
        for term in sky.reduction.nuisances
    ]


def _by_data_set(terms, values, n_skies):
    """Values by sky, data set and key."""
    found, first = [[] for _ in range(n_skies)], 0
    for number, term in terms:
        found[number].append(dict(zip(term.keys, values[first : first + len(term)].tolist())))
        first += len(term)
    return found


def calibrated_skies(model_file, skies, mask, note=lambda _: None):
    """(skies, data of each) of a ModelFile with nuisances: what the loop takes, components subtracted for good.

    Raises:
        InputError: data that do not say what the nuisances need; images alone; separate channels.
    """
    from .skies import ImageSky, less_components

    ready = [sky if isinstance(sky, ImageSky) else less_components(sky, mask, note) for sky in skies]
    data = [None if isinstance(sky, ImageSky) else list(sky.channels[0]) for sky in ready]
    if all(own is None for own in data):
        raise InputError("nuisances: these are for visibilities, and there are images alone")
    if any(len(sky.channels) > 1 for sky in ready if not isinstance(sky, ImageSky)):
        raise InputError("nuisances are for merged channels, these are separate")
    for own in data:
        if own is not None:
            check_calibratable(own, model_file.nuisances)
    return ready, data
