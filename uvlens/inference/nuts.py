"""The No-U-Turn sampler of numpyro, chain by chain in blocks that are saved, side by side where there are workers.

Chains walk in coordinates in which the posterior is nearly a unit normal (`bend.py`): first those of the approximation
they start from (Laplace or variational), from two thirds of the warm-up on those fitted to what all chains have drawn.
"""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import hmc
from numpyro.infer.hmc_util import dual_averaging
from numpyro.infer.util import ParamInfo

from ..errors import InputError
from ..files import load_arrays, save_arrays
from .bend import PARTS, Bend, fit_bend, straight
from .density import Failures
from .workers import run_in_turns

_BLOCK = 10
_FIRST_STEP = 0.7
"""What the step size starts at and is pulled towards: right for a near-normal posterior in its own coordinates."""
_GAMMA = 0.2
"""Of dual averaging: with numpyro's 0.05 the step size swings so far in a short warm-up that its mean is too small."""
_DEEPEST = 7
_LONG = 60
"""Draws of a warm-up after two thirds of which the coordinates are fitted anew: 20 more settle a step size again."""
_COLLECTED = ("z", "gradient", "potential_energy", "diverging", "num_steps", "accept_prob", "step_size")
_FAILED = "n_failed"
"""Evaluations of a block without a finite value, at its first draw."""


@dataclasses.dataclass(frozen=True)
class Chains:
    """Draws of all chains.

    Attributes:
        z: unconstrained, shape (chains, draws, n).
        log_posterior: shape (chains, draws).
        diverging: shape (chains, draws).
        n_steps: leapfrog steps, shape (chains, draws).
        accept: acceptance probability, shape (chains, draws).
        step_size: of each chain, in the coordinates it walks in.
        states: where the chains stand, for `sample` to go on from.
    """

    z: np.ndarray
    log_posterior: np.ndarray
    diverging: np.ndarray
    n_steps: np.ndarray
    accept: np.ndarray
    step_size: np.ndarray
    states: tuple = ()


def sample(
    density,
    bend,
    seed,
    *,
    n_chains=4,
    n_warmup=100,
    n_draws=400,
    target_accept=0.8,
    known=None,
    checkpoint=None,
    resume=False,
    begun=None,
    progress=None,
):
    """Sample the posterior.

    Args:
        density: Density of n parameters; its workers take a chain each.
        bend: Bend, the coordinates; chains start from draws of its unit normal. After two thirds of
            a warm-up of 60 draws or more it gives way to one that is fitted to the draws.
        seed: whole number.
        n_chains, n_warmup, n_draws: sizes.
        target_accept: mean acceptance probability aimed at.
        known: more points (M, n) with the gradients of their log posterior (M, n), for the coordinates.
        checkpoint: prefix of the files that every block is saved to, None: not saved; `resume`: continue from them,
            also to more draws than they were begun with.
        begun: `states` of Chains that are to go on.
        progress: called with (message, fraction done).

    Returns:
        Chains.

    Raises:
        InputError: checkpoints of another run.
    """
    report, total = progress or (lambda *_: None), n_warmup + n_draws
    half = 2 * n_warmup // 3 // _BLOCK * _BLOCK if n_warmup >= _LONG else 0
    settings = {"n_warmup": n_warmup - half, "target_accept": target_accept}
    stated = {"seed": seed, "n_warmup": n_warmup, "n_free": density.size, "n_chains": n_chains}
    files = [None if checkpoint is None else f"{checkpoint}.chain{i}.npz" for i in range(n_chains)]
    chains = begun
    if chains is None:
        chains = [_Chain.of(file if resume else None, stated) for file in files]
        density.add_cost(sum(chain.cost() for chain in chains))
    clock = time.perf_counter()

    def run(until, first_of, step=np.nan):
        def work(i):
            chain = chains[i]
            if chain.leaves is None:
                return begin, first_of(i)
            return advance, (chain.leaves, chain.parts, step, settings)

        def follow(i, result):
            nonlocal clock
            leaves, parts, block = result
            spent, clock = time.perf_counter() - clock, time.perf_counter()
            chains[i].extend(leaves, parts, block, spent)
            if block is not None:
                density.count(int(block["num_steps"].sum()), int(block[_FAILED].sum()))
                density.remember(block["z"], -block["potential_energy"])
            elif density.workers is not None:  # a process has counted it for itself
                density.count(1)
            chains[i].save(files[i], stated)
            done = sum(min(chain.length, total) for chain in chains)
            what = "warming up" if chains[i].length < n_warmup else "sampling"
            report(f"chain {i + 1} of {n_chains}, {what}", done / (total * n_chains))
            return work(i) if chains[i].length < until else None

        tasks = [(i, *work(i)) for i in range(n_chains) if chains[i].length < until]
        run_in_turns(density.workers, density, tasks, follow)

    def key(i, turn):
        return np.asarray(jax.random.fold_in(jax.random.fold_in(jax.random.PRNGKey(seed), i), turn))

    def first(i):
        u = np.random.default_rng([seed, i]).normal(size=density.size)
        return u, bend.parts, _FIRST_STEP, key(i, 0), settings

    def bent(i):
        return np.asarray(fitted.inverse(drawn[i, -1])), fitted.parts, steps(half), key(i, 1), settings

    def steps(n):
        """What the step sizes of all chains had settled at after n draws: one for all, lest a chain stick in a tail."""
        return float(np.median([chain.draws("step_size")[n - 1] for chain in chains])) if n else np.nan

    if half:
        run(half, first)
        drawn, slopes = (np.stack([chain.draws(name)[:half] for chain in chains]) for name in ("z", "gradient"))
        fitted = _fitted(drawn[:, half // 3 :], slopes[:, half // 3 :], bend, known)
        for chain in chains:
            if chain.length == half:
                chain.leaves = None
    run(n_warmup, bent if half else first)
    run(total, first, steps(n_warmup))
    kept = {name: np.stack([chain.draws(name)[n_warmup:total] for chain in chains]) for name in _COLLECTED}
    return Chains(
        z=kept["z"],
        log_posterior=-kept["potential_energy"],
        diverging=kept["diverging"],
        n_steps=kept["num_steps"],
        accept=kept["accept_prob"],
        step_size=kept["step_size"][:, -1],
        states=tuple(chains),
    )


def _fitted(drawn, gradient, bend, known):
    """The Bend of draws (chains, draws, n) with their gradients, in which their widths are near 1."""
    n = drawn.shape[-1]
    z, slopes = drawn.reshape(-1, n), gradient.reshape(-1, n)
    metric = pooled_metric(z, bend.covariance())
    if known is not None:
        z, slopes = np.concatenate([z, known[0]]), np.concatenate([slopes, known[1]])
    found = fit_bend(z, slopes, metric)
    # gradients know the width of the top of a mode, draws that of all of it
    u = np.asarray(jax.vmap(found.inverse)(drawn.reshape(-1, n)))
    return found.widened(np.sqrt(np.diag(pooled_metric(u, np.eye(n)))))


def pooled_metric(flat, covariance):
    """Covariance of draws (M, n) shrunk towards `covariance` (n, n), which counts as 5 n draws.

    Draws of a chain count for a third of their number: they resemble one another.
    """
    n = flat.shape[-1]
    if len(flat) < 2:
        return covariance
    count = len(flat) / 3.0
    found = np.cov(flat.T).reshape(n, n)
    return (count * found + 5.0 * n * covariance) / (count + 5.0 * n)


def begin(density, u, parts, step, key, settings):
    """(leaves of the state of a chain at u (n,), parts of its Bend, no draws): a task of `run_in_turns`.

    `step` is the step size to start from.
    """
    bend = Bend(*map(jnp.asarray, parts))
    u = jnp.asarray(u)
    z, pull = jax.vjp(bend, u)
    value, gradient = density.value_and_gradient(np.asarray(z))
    kernel, _ = _kernel(density, settings)
    first = ParamInfo(u, -jnp.asarray(value), -pull(jnp.asarray(gradient))[0])
    state = kernel["init"](first, bend, step, jnp.asarray(key))
    return _leaves(state), parts, None


def advance(density, leaves, parts, step, settings):
    """(leaves after a block, parts of the Bend, what it drew): a task of `run_in_turns`.

    `step` is the step size after the warm-up, nan: the chain's own.
    """
    kernel, state = _kernel(density, settings)
    kernel["failures"].taken()
    bend = Bend(*map(jnp.asarray, parts))
    state, block = kernel["advance"](_state(leaves, state), density.compiled.leaves, bend, step)
    leaves, block = _leaves(state), {name: np.asarray(value) for name, value in block.items()}
    failed = np.zeros(_BLOCK, dtype=int)
    failed[0] = kernel["failures"].taken()
    return leaves, parts, block | {_FAILED: failed}


def _kernel(density, settings):
    """(the compiled functions, a state as template) for this density, made once."""
    name = ("nuts", *sorted(settings.items()))
    if name not in density.kept:
        compiled, failures = density.compiled, Failures()

        def potential(leaves, bend):
            return lambda u: -failures.watch(compiled.model_of(leaves).log_posterior(bend(u)))

        init, step = hmc(potential_fn_gen=potential, algo="NUTS")
        # numpyro's own warm-up would settle the step size anew in its last tenth, on a handful of draws
        begin_averaging, average = dual_averaging(gamma=_GAMMA)

        def start(first, bend, step_size, key):
            state = init(
                first,
                0,
                step_size=step_size,
                inverse_mass_matrix=jnp.ones(density.size),
                adapt_step_size=False,
                adapt_mass_matrix=False,
                max_tree_depth=_DEEPEST,
                model_args=(compiled.leaves, bend),
                rng_key=key,
            )
            return state, begin_averaging(jnp.log(jnp.asarray(step_size)))

        def adapted(state, averages):
            """The step size towards the acceptance aimed at; its average once the warm-up is over."""
            averages = average(settings["target_accept"] - state.accept_prob, averages)
            log_step = jnp.where(averages[3] < settings["n_warmup"], averages[0], averages[1])
            own = state.adapt_state._replace(step_size=jnp.exp(log_step))
            return state._replace(adapt_state=own), averages

        @jax.jit
        def run(state, leaves, bend, given):
            def once(both, _):
                state, averages = both
                chosen = jnp.where(jnp.isnan(given), state.adapt_state.step_size, given)
                state = state._replace(adapt_state=state.adapt_state._replace(step_size=chosen))
                state = step(state, (leaves, bend), {})
                drawn = {name: getattr(state, name) for name in _COLLECTED[2:-1]}
                drawn |= {"z": bend(state.z), "gradient": bend.gradient(state.z, -state.z_grad)}
                warm = averages[3] < settings["n_warmup"]
                drawn["step_size"] = jnp.where(warm & (averages[3] > 0), jnp.exp(averages[1]), chosen)
                return jax.lax.cond(warm, adapted, lambda *both: both, state, averages), drawn

            return jax.lax.scan(once, state, None, length=_BLOCK)

        n = density.size
        nothing = ParamInfo(jnp.zeros(n), jnp.zeros(()), jnp.zeros(n))
        template = start(nothing, straight(np.zeros(n), np.eye(n)), _FIRST_STEP, jax.random.PRNGKey(0))
        density.kept[name] = {"init": start, "advance": run, "failures": failures}, template
    return density.kept[name]


def _leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def _state(leaves, template):
    own, structure = jax.tree.flatten(template)
    back = [jnp.asarray(leaf, jnp.asarray(like).dtype) for leaf, like in zip(leaves, own)]
    return jax.tree.unflatten(structure, back)


class _Chain:
    """Where one chain stands: the sampler's state and all it has drawn, warm-up included."""

    def __init__(self, leaves=None, parts=(), blocks=(), seconds=0.0, n_begun=0):
        self.leaves = leaves
        self.parts = parts
        self.blocks = list(blocks)
        self.seconds = seconds
        self.n_begun = n_begun

    @staticmethod
    def of(file, stated):
        """From its file; a new one where there is none."""
        saved = load_arrays(file)
        if saved is None:
            return _Chain()
        for key, value in stated.items():
            found = saved.get(f"set_{key}")
            if found is None or int(found) != value:
                raise InputError(f"{file}: the saved chain had {key} = {found}, this run has {value}")
        leaves = [saved[f"state_{i}"] for i in range(int(saved["n_leaves"]))]
        parts = tuple(saved[f"bend_{name}"] for name in PARTS)
        block = {name: saved[name] for name in (*_COLLECTED, _FAILED)} if "z" in saved else None
        return _Chain(leaves, parts, [] if block is None else [block], float(saved["seconds"]), int(saved["n_begun"]))

    def extend(self, leaves, parts, block, seconds):
        self.leaves, self.parts = leaves, parts
        self.blocks += [] if block is None else [block]
        self.n_begun += block is None
        self.seconds += seconds

    def save(self, file, stated):
        if file is not None:
            state = {f"state_{i}": leaf for i, leaf in enumerate(self.leaves)}
            state |= {f"bend_{name}": part for name, part in zip(PARTS, self.parts)}
            known = {f"set_{key}": np.asarray(value) for key, value in stated.items()}
            drawn = {name: self.draws(name) for name in (*_COLLECTED, _FAILED)} if self.blocks else {}
            extra = {"seconds": self.seconds, "n_leaves": len(self.leaves), "n_begun": self.n_begun}
            save_arrays(file, {**state, **known, **drawn, **extra})

    @property
    def length(self):
        """Draws so far."""
        return sum(len(block["z"]) for block in self.blocks)

    def draws(self, name):
        """All of one kind."""
        return np.concatenate([block[name] for block in self.blocks])

    def cost(self):
        """As `Density.cost`, of what was loaded."""
        n, failed = (int(self.draws(name).sum()) if self.blocks else 0 for name in ("num_steps", _FAILED))
        return np.array([n + self.n_begun, n + self.n_begun, self.seconds, failed])
