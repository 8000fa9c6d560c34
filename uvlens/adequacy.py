"""Is the model adequate? Posterior predictive checks of what is left of the data.

For draws (lens, source) of the posterior, statistics of data - model against those of noise alone:

    chi^2              of all data, against the chi^2 distribution of its n real numbers (two-sided)
    peak               largest |S/N| of the dirty residual, against draws of noise of covariance W, and beyond these
                       against a Gumbel distribution of their mean and variance
    uv distance        chi^2 of the uv cells in bins of equal weight, against 2 n_cells degrees of freedom
    antenna            chi^2 of the visibilities of each antenna, where they are given (best fit)

p = P(statistic of replicated data >= that of the data | draw), averaged over draws. `p_value` is the smallest of the
first three kinds times their number: below 0.01 something is in the data that the model does not have, or the weights
are wrong. (A p of this kind is conservative: the model was fitted to the same data.)
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import chi2

from .errors import InputError
from .mocknoise import NoiseImages, noise_variance
from .products import all_cells, model_cells
from .sourcedraws import draw_sources, with_source

INADEQUATE = 0.01
_ROUNDING = 1e-15
_ENOUGH = 5
"""Draws beyond a value from which their share says how probable it is."""


@dataclasses.dataclass(frozen=True, eq=False)
class Adequacy:
    """Checks of every sky.

    Attributes:
        skies: a dict for each channel of each sky: name, channel, n_real, chi_squared (D,), p_chi_squared, peak (D,),
            peak_of_noise (R,), p_peak; of visibilities also uv_distance, uv_chi_squared, uv_degrees, uv_p (bins,).
        antennas: {number: chi^2 per real number} at the best fit, {} where nothing is known of them.
        p_value: see above.
    """

    skies: list[dict[str, Any]]
    antennas: dict[int, float]
    p_value: float

    @property
    def is_adequate(self):
        """Whether p_value >= 0.01."""
        return self.p_value >= INADEQUATE

    def facts(self):
        """Numbers for people and JSON."""
        skies = []
        for sky in self.skies:
            facts = {key: sky[key] for key in ("name", "channel", "n_real", "p_chi_squared", "p_peak")}
            facts |= {key: float(np.mean(sky[key])) for key in ("chi_squared", "peak", "peak_of_noise")}
            facts |= {key: np.asarray(sky[key]) for key in ("uv_distance", "uv_p") if key in sky}
            skies.append(facts)
        return {"p_value": self.p_value, "adequate": self.is_adequate, "skies": skies, "antennas": self.antennas}

    @property
    def sentence(self):
        """The result in one line."""
        verdict = "adequate" if self.is_adequate else "NOT adequate"
        worst = min(self.skies, key=lambda sky: min(sky["p_chi_squared"], sky["p_peak"], *sky.get("uv_p", [1.0])))
        ratio = float(np.mean(worst["chi_squared"])) / worst["n_real"]
        is_quiet = ratio < 1.0 and worst["p_chi_squared"] < INADEQUATE
        hint = ": the data scatter less than their errors say" if is_quiet else ""
        return (
            f"The model is {verdict}: p {_spelt(self.p_value)}; chi^2 / n = "
            f"{ratio:.3f} (p {_spelt(worst['p_chi_squared'])}{hint}), largest residual "
            f"{float(np.mean(worst['peak'])):.1f} sigma, of noise {float(np.mean(worst['peak_of_noise'])):.1f} "
            f"(p {_spelt(worst['p_peak'])})."
        )

    def save(self, directory):
        """adequacy.png, .txt and .json in a folder, for its report."""
        from .files import save_json

        directory = Path(directory)
        self.figure().savefig(directory / "adequacy.png")
        (directory / "adequacy.txt").write_text(self.sentence + "\n")
        save_json(directory / "adequacy.json", self.facts())

    def figure(self):
        """A row of panels for each sky: chi^2 (median, range of draws), largest residual, chi^2 by uv distance."""
        from .plot import DATA_COLOR, MODEL_COLOR, figure_of

        figure, axes = figure_of(3, len(self.skies), height=2.8)
        for row, sky in zip(axes, self.skies):
            n = sky["n_real"]
            grid = n + np.sqrt(2.0 * n) * np.linspace(-4.0, 4.0, 200)
            of_noise, of_data = chi2.pdf(grid, n), np.asarray(sky["chi_squared"]) / n
            row[0].plot(grid / n, of_noise / np.max(of_noise), color=MODEL_COLOR, label="noise alone")
            row[0].axvspan(np.min(of_data), np.max(of_data), color=DATA_COLOR, alpha=0.3, lw=0.0)
            row[0].axvline(np.median(of_data), color=DATA_COLOR, label="data")
            row[0].set(xlabel="$\\chi^2$ / real numbers", ylim=(0.0, None), yticks=[])
            shared = {"density": True, "alpha": 0.6}
            row[1].hist(sky["peak_of_noise"], color=MODEL_COLOR, label="noise alone", **shared)
            row[1].hist(sky["peak"], color=DATA_COLOR, label="data", **shared)
            row[1].set_xlabel("largest residual [$\\sigma$]")
            row[0].set_title(sky["name"] or "data", fontsize=10)
            row[1].legend(frameon=False, fontsize=8)
            if "uv_p" in sky:
                ratio, error = sky["uv_chi_squared"] / sky["uv_degrees"], np.sqrt(2.0 / sky["uv_degrees"])
                row[2].errorbar(sky["uv_distance"] / 1e3, ratio, error, fmt="o", ms=3, color=DATA_COLOR)
                row[2].axhline(1.0, color=MODEL_COLOR, lw=1.0)
                row[2].set_xlabel("uv distance [k$\\lambda$]")
                row[2].set_ylabel("$\\chi^2$ / degree of freedom")
            else:
                row[2].set_axis_off()
        return figure


def posterior_predictive(result, n_draws=20, n_replicates=100, bins=12, seed=1, data=None):
    """Adequacy of a Result.

    Args:
        result: Result.
        n_draws: draws of lens and source.
        n_replicates: draws of noise for the largest residual.
        bins: of uv distance.
        seed: of all draws.
        data: Visibilities that were fitted, for the antennas; None: without.

    Raises:
        InputError: numbers below 1; data without antennas.
    """
    for name, value in (("n_draws", n_draws), ("n_replicates", n_replicates), ("bins", bins)):
        if value < 1:
            raise InputError(f"posterior_predictive: {name} must be at least 1, got {value}")
    rng, model = np.random.default_rng(seed), result.model
    chosen = result.resample(n_draws, seed).vectors
    draws = []
    for vector in chosen:
        settled = model.settled(jnp.asarray(vector))
        found = settled.inversions(jnp.asarray(vector))
        sources = {id(one.inversion): draw_sources(one.inversion, 1, rng)[0] for one in found}
        draws.append([with_source(one, sources[id(one.inversion)]) for one in found])
    skies = [_checks(members, n_replicates, bins, rng) for members in zip(*draws)]
    every = [p for sky in skies for p in (sky["p_chi_squared"], sky["p_peak"], *sky.get("uv_p", ()))]
    antennas = {} if data is None else antenna_chi_squared(result.reconstructions, data)
    return Adequacy(skies, antennas, float(min(1.0, len(every) * min(every))))


def _checks(members, n_replicates, bins, rng):
    """The dict of one channel of one sky from its draws."""
    first = members[0]
    reduction, is_image = first.reduction, first.of_sky.is_image
    n_real = reduction.n_real_data
    chi_squared = np.array([one.chi_squared for one in members])
    sky = {"name": first.of_sky.name, "channel": first.channel, "n_real": n_real, "chi_squared": chi_squared}
    upper = float(np.mean(chi2.sf(chi_squared, n_real)))
    sky["p_chi_squared"] = min(1.0, 2.0 * min(upper, 1.0 - upper))
    if is_image:
        good = reduction.weight > 0.0
        left = [
            (reduction.data - reduction.predict(one.image))[good] * np.sqrt(one.weight_scale * reduction.weight[good])
            for one in members
        ]
        noise = [np.abs(rng.normal(size=int(good.sum()))).max() for _ in range(n_replicates)]
    else:
        sigma = np.sqrt(noise_variance(reduction))
        seen = sigma > 1e-3 * sigma.max()
        # weights f w: the dirty image of weights w has noise of covariance W / f
        left = [
            (np.asarray(one.normal.dirty_image) - one.response)[seen] / sigma[seen] * np.sqrt(one.weight_scale)
            for one in members
        ]
        draw = NoiseImages(reduction)
        noise = [np.abs(draw(rng)[seen] / sigma[seen]).max() for _ in range(n_replicates)]
    peak, noise = np.array([np.abs(one).max() for one in left]), np.array(noise)
    sky |= {"peak": peak, "peak_of_noise": noise, "p_peak": float(np.mean(tail_probability(noise, peak)))}
    return sky if is_image else sky | _by_distance(members, bins)


def tail_probability(largest, values):
    """P(a draw >= value) for each of `values`, from draws of a maximum.

    The share of the draws, and where fewer than 5 of them reach the value the tail of the Gumbel distribution of their
    mean and variance, 1 - exp(-exp(-(x - m) / b)): maxima of Gaussians fall off faster, so it is not too small.
    """
    largest, values = np.asarray(largest), np.asarray(values)
    above = np.sum(largest[:, None] >= values, axis=0)
    if len(largest) < 2 or largest.std() == 0.0:
        return (1.0 + above) / (1.0 + len(largest))
    width = np.sqrt(6.0) / np.pi * largest.std(ddof=1)
    tail = -np.expm1(-np.exp(-(values - largest.mean()) / width - np.euler_gamma))
    return np.where(above >= _ENOUGH, above / len(largest), np.minimum(tail, _ENOUGH / len(largest)))


def _by_distance(members, bins):
    """chi^2 of the uv cells in bins of equal weight."""
    u, v, vis, weight = all_cells(members[0].reduction)
    distance = np.hypot(u, v)
    order = np.argsort(distance)
    cumulative = np.cumsum(weight[order]) / weight.sum()
    number = np.empty(len(u), int)
    number[order] = np.minimum((cumulative * bins).astype(int), bins - 1)
    count = np.bincount(number, minlength=bins)
    kept = count > 0
    total = []
    for one in members:
        left = one.weight_scale * weight * np.abs(vis - np.concatenate(model_cells(one))) ** 2
        total.append(np.bincount(number, left, bins)[kept])
    middle = np.bincount(number, weight * distance, bins)[kept] / np.bincount(number, weight, bins)[kept]
    degrees = 2 * count[kept]
    upper = chi2.sf(np.array(total), degrees).mean(axis=0)
    return {
        "uv_distance": middle,
        "uv_chi_squared": np.mean(total, axis=0),
        "uv_degrees": degrees,
        "uv_p": np.minimum(1.0, 2.0 * np.minimum(upper, 1.0 - upper)),
    }


def antenna_chi_squared(found, data):
    """{antenna: chi^2 per real number of its visibilities} for the sources in `found`: data - gains x model.

    Gains are those of the fit's calibration nuisances, weights those of its weight scale.

    Raises:
        InputError: visibilities that do not say which antennas they are of.
    """
    from .prediction import gains_of, predict_reconstructed

    if data.antenna1 is None or data.antenna2 is None:
        raise InputError("posterior_predictive: these visibilities do not say which antennas they are of")
    good = data.unflagged()
    model = gains_of(found, good) * predict_reconstructed(found, good)
    left = found[0].weight_scale * good.weight * np.abs(good.vis - model) ** 2
    numbers = np.unique([good.antenna1, good.antenna2])
    return {
        int(one): float(left[mine].mean() / 2.0)
        for one in numbers
        if (mine := (good.antenna1 == one) | (good.antenna2 == one)).any()
    }


def _spelt(p_value):
    """A probability; below rounding its bound."""
    return f"= {p_value:.2g}" if p_value > _ROUNDING else f"< {_ROUNDING:.0e}"
