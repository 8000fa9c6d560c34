"""Searches on densities whose integrals are known: moments, evidences, certificates, several modes, processes."""

import contextlib
import signal
import subprocess
import sys
import time
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import is_alive
from scipy.stats import multivariate_normal

import uvlens as uvl
from uvlens.inference.density import Density
from uvlens.inference.draws import allowed_draws
from uvlens.inference.importance import reweight, systematic
from uvlens.inference.nuts import pooled_metric
from uvlens.inference.optimize import Optimum, adam, climb_together
from uvlens.inference.run import Run, climb_and_measure
from uvlens.inference.searches import share_of_other_modes
from uvlens.inference.workers import Workers, result_of
from uvlens.parameters import Parameters

QUICK = {"n_starts": 3, "n_screen": 12}


class Toy(eqx.Module):
    """Unit-normal priors and a likelihood written down: correlated, bent, of two modes, or undefined somewhere."""

    center: jnp.ndarray
    precision: jnp.ndarray
    kind: str = eqx.field(static=True)
    parameters: Parameters = eqx.field(static=True)
    names: ClassVar = ("a", "b", "c")
    positions: ClassVar = None
    unguarded: ClassVar = True
    chained: ClassVar = False

    @staticmethod
    def of(kind, center=(0.5, -0.3, 0.2), width=0.3, correlation=0.9):
        n = len(center)
        covariance = width**2 * ((1.0 - correlation) * np.eye(n) + correlation * np.ones((n, n)))
        parameters = Parameters({name: uvl.Normal(0.0, 1.0) for name in Toy.names[:n]})
        return Toy(jnp.asarray(center), jnp.asarray(np.linalg.inv(covariance)), kind, parameters)

    def log_likelihood(self, x):
        if self.kind == "bent":
            x = x.at[1].add(1.0 * (x[0] ** 2 - 0.5))
        offset = x - self.center
        value = -0.5 * offset @ self.precision @ offset
        if self.kind == "modes":
            other = x + 4.0 * self.center
            value = jnp.logaddexp(value, -0.5 * other @ self.precision @ other)
        if self.kind == "undefined":
            value = jnp.where(x[0] > 0.9, jnp.nan, value)
        return value

    def log_posterior(self, z):
        return self.log_likelihood(self.parameters.from_normal(z)) - 0.5 * z @ z

    def with_start(self, _):
        return self

    def posterior(self):
        """(mean, covariance, ln Z) of the Gaussian kind."""
        precision, center = np.asarray(self.precision), np.asarray(self.center)
        covariance = np.linalg.inv(precision + np.eye(len(center)))
        like = np.linalg.inv(precision)
        at_zero = multivariate_normal(np.zeros(len(center)), like + np.eye(len(center))).logpdf(center)
        return covariance @ precision @ center, covariance, at_zero + 0.5 * np.linalg.slogdet(2.0 * np.pi * like)[1]


@pytest.mark.parametrize("method", ["laplace", "svi", "nuts", "auto"])
def test_a_gaussian_posterior_is_found_exactly(method):
    toy = Toy.of("gaussian")
    result = uvl.fit(toy, method, seed=3, **QUICK)
    mean, covariance, evidence = toy.posterior()
    sigma = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(result.vectors.mean(axis=0) - mean) < 0.2 * sigma)
    assert np.allclose(np.cov(result.vectors.T) / np.outer(sigma, sigma), covariance / np.outer(sigma, sigma), atol=0.2)
    assert np.allclose(result.best_vector, mean, atol=0.02)
    if method in ("laplace", "svi"):  # re-weighting an exact approximation changes nothing
        assert result.diagnostics["pareto_k"] < 0.5 and result.diagnostics["n_effective"] > 900
        assert abs(result.log_evidence_minus_null - evidence) < 0.01
    else:
        assert result.diagnostics["r_hat_max"] < 1.02 and result.diagnostics["divergences"] == 0
    if method == "auto":
        assert result.method == "nuts" and result.diagnostics["ess_bulk_min"] > 400
        assert abs(result.diagnostics["elbo"] - evidence) < 0.05


def test_a_climb_begins_where_it_is_told_to():
    """A mode that no start leads to is found from a point near it."""
    toy = Toy.of("modes", center=(-0.6, -0.6, -0.6))

    def ends(near):
        with contextlib.ExitStack() as stack:
            run = Run(Density(toy), 1, None, False, None, 1, stack, near)
            return climb_and_measure(run, n_starts=1, n_screen=1)[0]

    (without,) = ends(None)
    best, other = ends(np.full(3, 1.91))
    assert np.array_equal(best.z, without.z) and best.value > other.value
    assert np.all(other.z > 1.5) and other.value > other.start


def grid_moments(toy, n=161, half=4.0):
    """Mean, standard deviation and ln Z by brute force on a grid of two parameters."""
    axis = np.linspace(-half, half, n)
    values = np.array([[float(toy.log_posterior(jnp.array([x, y]))) for x in axis] for y in axis])
    weight = np.exp(values - values.max())
    cell = (axis[1] - axis[0]) ** 2
    x, y = np.meshgrid(axis, axis)
    mean = np.array([(weight * c).sum() for c in (x, y)]) / weight.sum()
    spread = np.sqrt([(weight * (c - m) ** 2).sum() / weight.sum() for c, m in zip((x, y), mean)])
    return mean, spread, np.log(weight.sum() * cell / (2.0 * np.pi)) + values.max()


@pytest.fixture(scope="module")
def bent():
    toy = Toy.of("bent", center=(0.4, -0.2), width=0.25, correlation=0.0)
    return toy, grid_moments(toy)


def test_a_bent_posterior_is_reweighted(bent):
    """A Gaussian guide is certified or refused; a flow comes closer."""
    toy, (mean, spread, evidence) = bent
    gaussian = uvl.fit(toy, "svi", seed=1, n_draws=4000, **QUICK)
    flow = uvl.fit(toy, "svi", guide="flow", seed=1, n_draws=4000, **QUICK)
    for result in (gaussian, flow):
        assert result.diagnostics["reweighted"]
        assert abs(result.log_evidence_minus_null - evidence) < 4.0 * result.diagnostics["log_evidence_error"] + 0.02
        assert np.all(np.abs(result.vectors.mean(axis=0) - mean) < 0.1 * spread)
        assert np.allclose(result.vectors.std(axis=0) / spread, 1.0, atol=0.08)
        assert result.diagnostics["elbo"] < evidence + 0.02
    assert flow.diagnostics["n_effective"] > gaussian.diagnostics["n_effective"]


def test_an_approximation_that_is_wrong_is_refused(bent):
    """A Gaussian much too narrow has weights of infinite variance: Pareto k says so, and nothing is re-weighted."""
    toy, (_, spread, _) = bent
    rng = np.random.default_rng(1)
    z = np.array([0.4, -0.2]) + 0.15 * spread * rng.normal(size=(2000, 2))
    log_q = multivariate_normal([0.4, -0.2], np.diag((0.15 * spread) ** 2)).logpdf(z)
    weighted = reweight(Density(toy), z, log_q)
    assert weighted.pareto_k > 0.7 and not weighted.is_reliable


def test_several_modes_send_auto_to_nautilus():
    toy = Toy.of("modes", center=(0.5, -0.3), width=0.1, correlation=0.0)
    result = uvl.fit(toy, "auto", seed=2, n_starts=24, n_screen=24, n_live=200, n_effective=1500)
    assert result.method == "nautilus" and "other modes" in result.diagnostics["turned_to_nautilus"]
    first = result.vectors[:, 0] > -0.5
    # each mode holds exp(-|m|^2 / 2 (1 + s^2)) of the prior
    odds = np.exp(-0.5 * (0.34 - 16 * 0.34) / (1.0 + 0.01))
    assert abs(np.log(first.sum() / (~first).sum()) - np.log(odds)) < 0.35


def test_share_of_other_modes_counts_their_widths():
    toy = Toy.of("modes", center=(0.5, -0.3), width=0.1, correlation=0.0)
    density = Density(toy)
    tops = climb_together(density, np.array([[0.45, -0.25], [-1.9, 1.1]]))
    optima = sorted([Optimum(z, value, 0.0) for z, value in tops], key=lambda o: -o.value)
    covariance = np.eye(2) * 0.01 / 1.01
    odds = np.exp(-0.5 * (0.34 - 16 * 0.34) / 1.01)
    assert np.isclose(share_of_other_modes(density, optima, covariance), 1.0 / (1.0 + odds), rtol=0.02)


def test_what_has_no_value_is_counted_and_left_out():
    result = uvl.fit(Toy.of("undefined"), "nuts", seed=1, n_warmup=40, n_draws=100, **QUICK)
    assert np.all(result.vectors[:, 0] <= 0.9) and np.all(np.isfinite(result.log_likelihood))
    svi = uvl.fit(Toy.of("undefined"), "svi", seed=1, n_steps=40, **QUICK)
    assert svi.diagnostics["failed_evaluations"] > 0 and np.all(svi.vectors[:, 0] <= 0.9)
    nested = uvl.fit(Toy.of("undefined"), "nautilus", seed=1, n_live=100, n_effective=200)
    assert nested.diagnostics["failed_evaluations"] > 0 and np.all(nested.vectors[:, 0] <= 0.9)


def test_adam_reaches_the_same_top():
    toy = Toy.of("gaussian")
    starts = np.random.default_rng(1).normal(size=(3, 3))
    top = Density(toy).value(toy.posterior()[0])
    for z, value in adam(Density(toy), starts):
        assert top - 0.005 < value <= top and np.allclose(z, toy.posterior()[0], atol=0.02)


@pytest.fixture(scope="module")
def two_processes():
    """The chains of one run in two processes, and in this one."""
    toy = Toy.of("gaussian")
    settings = {"seed": 4, "n_warmup": 20, "n_draws": 40, **QUICK}
    return uvl.fit(toy, "nuts", workers=2, **settings), uvl.fit(toy, "nuts", **settings)


def test_processes_change_nothing_but_the_time(two_processes):
    shared, alone = two_processes
    assert shared.diagnostics["workers"] == 2
    assert np.allclose(shared.vectors, alone.vectors, atol=1e-8)
    assert shared.n_evaluations == alone.n_evaluations


def test_processes_end_with_a_parent_that_is_killed():
    """They hold a gigabyte each of a real model, and nobody tells them."""
    script = "import os, signal, sys\n"
    script += "from joblib.externals.loky import ProcessPoolExecutor\n"
    script += "from uvlens.inference.workers import _settle\n"
    script += "pool = ProcessPoolExecutor(2, initializer=_settle, initargs=(os.getpid(),))\n"
    script += "print(*{pool.submit(os.getpid).result() for _ in range(20)}, flush=True)\n"
    script += "os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=120)
    pids = [int(word) for word in done.stdout.split()]
    assert done.returncode == -signal.SIGKILL and pids
    until = time.monotonic() + 30.0
    while any(is_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(is_alive(pid) for pid in pids)


def test_an_executor_is_taken_and_nonsense_is_not():
    from concurrent.futures import ThreadPoolExecutor

    toy = Toy.of("gaussian")
    settings = {"seed": 1, "n_live": 60, "n_effective": 100}
    alone = uvl.fit(toy, "nautilus", **settings)
    with ThreadPoolExecutor(2) as pool:
        shared = uvl.fit(toy, "nautilus", workers=pool, **settings)
    assert np.allclose(shared.vectors, alone.vectors)
    with pytest.raises(uvl.InputError, match="workers"):
        uvl.fit(toy, "nautilus", workers="many", **settings)


def test_systematic_resampling_has_the_right_shares():
    weights = np.array([0.5, 0.0, 0.3, 0.2])
    counts = np.bincount(systematic(weights, np.random.default_rng(0), 1000), minlength=4)
    assert np.all(np.abs(counts - 1000 * weights) <= 1)


def test_the_pooled_metric_lies_between_its_sources():
    rng = np.random.default_rng(2)
    drawn = 2.0 * rng.normal(size=(4, 200, 2))
    flat = drawn.reshape(-1, 2)
    metric = pooled_metric(flat, np.eye(2))
    assert np.allclose(metric, 4.0 * np.eye(2), atol=0.6) and metric[0, 0] < np.cov(flat.T)[0, 0]
    assert np.allclose(pooled_metric(flat[:0], np.eye(2)), np.eye(2))


class Ordered(Toy):
    """Five parameters that have to come in order: 119 of 120 draws from the prior do not."""

    names: ClassVar = ("a", "b", "c", "d", "e")

    def filled(self, x):
        return {}, jnp.all(jnp.diff(x) > 0.0)

    def log_likelihood(self, x):
        return jnp.where(self.filled(x)[1], -0.5 * jnp.sum((x - self.center) ** 2) / 0.3**2, -jnp.inf)


def ordered():
    center = jnp.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    return Ordered(center, jnp.eye(5), "", Parameters({name: uvl.Normal(0.0, 1.0) for name in Ordered.names}))


@pytest.mark.parametrize("seed", range(3))
def test_starts_are_drawn_inside_the_constraints(seed):
    result = uvl.fit(ordered(), "optimize", seed=seed, **QUICK)
    starts = np.array([one["parameters"] for one in result.diagnostics["starts"]])
    assert np.all(np.diff(starts) > 0.0) and np.allclose(result.best_vector, ordered().center / 1.09, atol=0.01)


def test_draws_that_are_inside_stay_as_they_are():
    free = Ordered(jnp.zeros(1), jnp.eye(1), "", Parameters({"a": uvl.Normal(0.0, 1.0)}))
    expected = np.random.default_rng(1).normal(size=(5, 1))
    assert np.array_equal(allowed_draws(free, np.random.default_rng(1), 5), expected)
    assert np.all(np.diff(allowed_draws(ordered(), np.random.default_rng(1), 40)) > 0.0)


@pytest.mark.parametrize("method", ["svi", "nuts"])
def test_failures_inside_compiled_searches_are_counted(method):
    """The likelihood is undefined for a > 0.9, half a standard deviation of the posterior from its centre."""
    sizes = {"svi": {"n_steps": 20, "n_draws": 100}, "nuts": {"n_warmup": 20, "n_draws": 20, "n_chains": 1}}[method]
    toy = Toy.of("undefined", center=(0.75,), width=0.3, correlation=0.0)
    optimum = uvl.fit(toy, "optimize", seed=1, **QUICK)
    result = uvl.fit(toy, method, seed=1, **QUICK, **sizes)
    assert result.diagnostics["failed_evaluations"] > optimum.diagnostics["failed_evaluations"] + 3
    if method == "svi":
        own = result.diagnostics["failed_evaluations"] - optimum.diagnostics["failed_evaluations"]
        assert own > round(100 * result.diagnostics["impossible_share"]) > 0
        assert result.diagnostics["elbo"] is None


def test_a_resumed_nautilus_run_counts_what_it_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["uvlens.inference.fit"], "describe_model", lambda _: {})
    toy, settings = Toy.of("undefined"), {"seed": 1, "n_live": 60, "n_effective": 100}
    whole = uvl.fit(toy, "nautilus", directory=tmp_path, **settings)
    again = uvl.fit(toy, "nautilus", directory=tmp_path, resume=True, **settings)
    assert again.diagnostics["failed_evaluations"] >= whole.diagnostics["failed_evaluations"] > 10
    assert again.n_evaluations < whole.n_evaluations + 60
    assert again.wall_seconds > 0.5 * whole.wall_seconds


class LostFuture:
    def __init__(self, error):
        self.error = error

    def result(self):
        raise self.error


def test_workers_that_are_lost_get_one_line():
    from asyncio import CancelledError

    killed = type("KilledWorker", (Exception,), {})("task was on 3 workers that died. More")
    for error in (killed, CancelledError("task")):
        with pytest.raises(uvl.InputError, match="a worker process died"):
            result_of(LostFuture(error))
    with pytest.raises(ZeroDivisionError):
        result_of(LostFuture(ZeroDivisionError()))


def test_a_small_model_goes_with_the_tasks_of_an_executor(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        assert isinstance(Workers(Toy.of("gaussian"), pool, tmp_path)._source, bytes)
        large = Toy.of("gaussian")
        large = eqx.tree_at(lambda toy: toy.precision, large, np.ones((400, 400)))
        with Workers(large, pool, tmp_path) as workers:
            assert [str(one) for one in tmp_path.iterdir()] == [workers._source]
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(2, threads_per_worker=1, dashboard_address=None, memory_limit=0)
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_a_dask_client_changes_nothing_but_the_time(client, two_processes):
    toy = Toy.of("gaussian")
    shared = uvl.fit(toy, "nuts", workers=client, seed=4, n_warmup=20, n_draws=40, **QUICK)
    assert shared.diagnostics["workers"] == 2
    assert np.allclose(shared.vectors, two_processes[1].vectors, atol=1e-8)


@pytest.mark.parametrize("n_starts", [1, 3])
def test_a_stage_starts_where_the_earlier_one_ended(monkeypatch, n_starts):
    """Its first climb is from the median of priors of an earlier fit, at full weight; the others are tempered."""
    from uvlens.inference import optimize as module

    class Bright(Toy):
        def log_likelihood(self, x):
            return super().log_likelihood(x) + 1e7

    class Chained(Bright):
        chained: ClassVar = True

    asked = []

    def climbs(density, starts, max_iterations=200, power=1.0, progress=None):
        asked.append((np.array(starts), power))
        return climb_together(density, starts, max_iterations, power, progress)

    monkeypatch.setattr(module, "climb_together", climbs)
    own = Toy.of("correlated", width=0.003)
    plain, toy = (kind(own.center, own.precision, own.kind, own.parameters) for kind in (Bright, Chained))
    optima, starts = module.optimize(Density(toy), np.random.default_rng(1), n_starts=n_starts, n_screen=6)
    assert np.allclose(optima[0].z, toy.posterior()[0], atol=1e-3)
    last, power = asked[-1]
    assert power == 1.0 and not last[0].any() and len(starts) == n_starts and not starts[0]["z"].any()
    assert (len(asked) == 1) == (n_starts == 1) and all(power < 1.0 for _, power in asked[:-1])
    # without an earlier fit the start at the median is tempered as the others are
    asked.clear()
    module.optimize(Density(plain), np.random.default_rng(1), n_starts=1, n_screen=1)
    assert asked[0][1] < 1.0 and not asked[0][0].any() and asked[-1][0].any()


def test_the_strength_of_that_start_is_looked_for():
    """The best of nine decades apart, of all sources alike; without strengths, or where none is better, as it was."""
    from uvlens.inference.optimize import _with_best_strength

    class Sources:
        def __init__(self, best):
            strength = {"pixels": {"regularization": {"strength": uvl.LogUniform(1e-6, 1e6)}}}
            self.model, self.best = self, best
            self.parameters = Parameters({"lens": uvl.Normal(0.0, 1.0), "source": [strength, strength]})

        def values(self, z):
            physical = np.array([self.parameters.from_normal(jnp.asarray(row)) for row in z])
            return -np.sum((np.log10(physical[:, 1:]) - self.best) ** 2, axis=1)

    z = np.zeros(3)
    found, value = _with_best_strength(Sources(-2.5), z, -12.5)
    strengths = np.log10(np.asarray(Sources(0.0).parameters.from_normal(jnp.asarray(found)))[1:])
    assert found[0] == 0.0 and np.allclose(strengths, -2.4) and np.isclose(value, -0.02)
    same, value = _with_best_strength(Sources(-2.5), z, 0.0)
    assert same is z and value == 0.0
