"""The methods on the mixture: tuning on a common grid, then runs of the chosen cells.

Shapes: ``G`` cells of the grid, ``S`` seeds, ``K`` modes.
"""

import functools
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.ac_flow import mixture
from experiments.ac_flow.config import METHODS, Config
from experiments.ac_flow.methods import NO_CLIP, build
from experiments.harness.compile import jit_fast_compile
from jaxswarm import rollout
from jaxswarm.models import flow
from jaxswarm.types import ArrayLike, Params

MATCHED = 0.9  # mode entropy at which rewards are compared, as a share of the ideal's


class Job(NamedTuple):
    """One run: numbers that a compiled program takes as arguments.

    Attributes:
        key: of the run.
        seed: index of the pretrained flow.
        tau: temperature, or the share that reward-ranked fine-tuning keeps.
        alpha: weight of the penalty.
        clip: largest absolute advantage of AC-Flow.
        scale: factor of the reward.
        refresh: iterations between refreshes of the sampling copy; 0 for ``config.refresh``.
    """

    key: jax.Array
    seed: ArrayLike
    tau: ArrayLike
    alpha: ArrayLike
    clip: ArrayLike = NO_CLIP
    scale: ArrayLike = 1.0
    refresh: ArrayLike = 0


def flow_model(config: Config) -> flow.Flow:
    """Build the flow of the mixture."""
    return flow.from_network(flow.MLP(width=config.width, depth=3), (2,))


def pretrain(config: Config, keys: jax.Array) -> Any:
    """Train one flow for each key on the mixture; leaves ``[len(keys), ...]``."""
    model = flow_model(config)
    rate = optax.cosine_decay_schedule(5e-3, config.pretrain_steps)
    optimizer = optax.adam(rate)

    def train(key: jax.Array) -> Any:
        init_key, run_key = jax.random.split(key)
        params = model.init(init_key)

        def step(carry: Any, key: jax.Array) -> Any:
            params, opt_state = carry
            data_key, loss_key = jax.random.split(key)
            x = mixture.sample_mixture(data_key, 256)
            grads = jax.grad(lambda p: flow.loss(model, p, loss_key, x))(params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), None

        carry = (params, optimizer.init(params))
        return jax.lax.scan(step, carry, jax.random.split(run_key, config.pretrain_steps))[0][0]

    return jit_fast_compile(jax.vmap(train))(keys)


def audit(config: Config, params: Any, key: jax.Array) -> dict[str, jax.Array]:
    """Measure a flow: mean reward, mode shares, and the share of samples near a mode."""
    field = flow.field(flow_model(config), params)
    x = flow.sample(key, field, config.audit, (2,), num_steps=2 * config.ode_steps)
    reward = mixture.mode_reward(x, jnp.array(mixture.MODE_REWARDS))
    return {
        "reward": jnp.mean(reward),
        "shares": mixture.mode_shares(x),
        "near": mixture.near_mode(x),
    }


class Runner:
    """Runs jobs of one method through a single compiled program, ``at_once`` side by side.

    Args:
        config: sizes.
        method: a key of :data:`METHODS`.
        shapes: of the pretrained flows, leaves ``[S, ...]``; they may still be in training.
    """

    def __init__(self, config: Config, method: str, shapes: Params):
        self._size, self._refresh = config.at_once, config.refresh
        model = flow_model(config)

        def run_one(pretrained: Params, job: Job) -> tuple[dict[str, jax.Array], Params]:
            def reward(x: jax.Array) -> jax.Array:
                return jnp.asarray(job.scale) * mixture.mode_reward(
                    x, jnp.array(mixture.MODE_REWARDS)
                )

            learner = build(
                config, method, model, reward, job.tau, job.alpha, clip=job.clip,
                refresh=job.refresh,
            )  # fmt: skip
            init_key, run_key, audit_key = jax.random.split(job.key, 3)
            params = jax.tree.map(lambda leaf: leaf[job.seed], pretrained)
            state = learner.init(params, init_key)
            state, records = rollout(
                learner.step, state, config.steps, key=run_key, every=max(config.steps // 20, 1)
            )
            curve = records.info.reward / job.scale
            return audit(config, state.params, audit_key) | {"curve": curve}, state.params

        example = self._stack([Job(jax.random.key(0), 0, 0.0, 0.0)])
        program = jit_fast_compile(jax.vmap(run_one, (None, 0)))
        self._program = program.lower(shapes, example).compile()

    def _stack(self, jobs: list[Job]) -> Job:
        """Jobs with leaves ``[at_once]``, the last one repeated if there are fewer."""
        jobs = jobs + [jobs[-1]] * (self._size - len(jobs))
        keys, *numbers = zip(*jobs, strict=True)
        seeds, taus, alphas, clips, scales, refreshes = numbers
        tau, alpha, clip, scale = (
            jnp.array(each, jnp.float32) for each in (taus, alphas, clips, scales)
        )
        waits = jnp.array([each or self._refresh for each in refreshes])
        return Job(jnp.stack(keys), jnp.array(seeds), tau, alpha, clip, scale, waits)

    def __call__(self, pretrained: Params, jobs: list[Job]) -> tuple[dict[str, np.ndarray], Any]:
        """Measurements and parameters of all jobs, leaves ``[len(jobs), ...]``."""
        found = [
            self._program(pretrained, self._stack(jobs[first : first + self._size]))
            for first in range(0, len(jobs), self._size)
        ]
        joined = jax.tree.map(
            lambda *leaves: np.concatenate([np.asarray(x) for x in leaves])[: len(jobs)], *found
        )
        measured, params = joined
        return measured | {"entropy": np.asarray(mixture.entropy(measured["shares"]))}, params


def ideal(config: Config, key: jax.Array) -> dict[str, np.ndarray]:
    """Measure the reward-tilted mixture, and the mixture itself, on exact samples."""
    sample_key, pick_key = jax.random.split(key)
    x = mixture.sample_mixture(sample_key, 200_000)
    rewards = mixture.mode_reward(x, jnp.array(mixture.MODE_REWARDS))
    tilted = mixture.tilted_ideal(pick_key, x, mixture.SHARPNESS * rewards, 50_000)
    shares = mixture.mode_shares(tilted)
    reward = jnp.mean(mixture.mode_reward(tilted, jnp.array(mixture.MODE_REWARDS)))
    return {
        "reward": np.asarray(reward),
        "entropy": np.asarray(mixture.entropy(shares)),
        "shares": np.asarray(shares),
        "data_reward": np.asarray(jnp.mean(rewards)),
    }


def cells(config: Config, method: str) -> np.ndarray:
    """The grid of a method, ``[G, 2]``: temperatures (or shares) and penalties."""
    first = config.shares if method == "reward_ranked" else config.taus
    return np.array([(tau, alpha) for tau in first for alpha in config.alphas])


class Bracket(NamedTuple):
    """Two neighboring penalties of one temperature between which diversity is matched.

    Attributes:
        tau: the temperature, or the share that is kept.
        low: the smaller penalty: less diversity, more reward.
        high: the larger penalty, of at least the wanted diversity.
    """

    tau: float
    low: float
    high: float


def choose(cells: np.ndarray, reward: np.ndarray, entropy: np.ndarray, wanted: float) -> Bracket:
    """Choose the temperature of highest reward at a given mode entropy.

    The mean reward of each temperature at the wanted entropy is interpolated between the two
    neighboring penalties whose mean entropies bracket it.

    Args:
        cells: ``[G, 2]``, temperatures and penalties.
        reward: ``[G, S]`` of the tuning seeds.
        entropy: ``[G, S]``.
        wanted: mode entropy.

    Returns:
        The bracket; without any, the most diverse cell twice.
    """
    mean = np.nan_to_num(reward.mean(1), nan=-1e9)
    diverse = np.nan_to_num(entropy.mean(1))
    best, found = -np.inf, None
    for tau in np.unique(cells[:, 0]):
        rows = np.flatnonzero(cells[:, 0] == tau)
        rows = rows[np.argsort(cells[rows, 1])]
        for low, high in itertools.pairwise(rows):
            if diverse[low] < wanted <= diverse[high]:
                at = matched(mean[[low, high]], diverse[[low, high]], wanted)
                if at > best:
                    best, found = float(at), Bracket(tau, cells[low, 1], cells[high, 1])
    if found is None:
        tau, alpha = cells[diverse.argmax()]
        found = Bracket(tau, alpha, alpha)
    return found


def matched(reward: np.ndarray, entropy: np.ndarray, wanted: float) -> np.ndarray:
    """Reward at the wanted entropy on the line through two runs, leading axis 2.

    The line is followed at most half its length beyond either run.
    """
    rise = entropy[1] - entropy[0]
    weight = (wanted - entropy[0]) / np.where(np.abs(rise) > 1e-6, rise, 1.0)
    return reward[0] + np.clip(weight, -0.5, 1.5) * (reward[1] - reward[0])


def clip_of(config: Config, method: str) -> float:
    """The clipping threshold of a method."""
    return config.clip if method == "ac_flow" else NO_CLIP


Run = Callable[[list[Job]], tuple[dict[str, np.ndarray], Any]]
"""Runs jobs of one method from the pretrained flows, see :class:`Runner`."""


def pretrain_and_compile(config: Config, keys: jax.Array) -> tuple[Params, dict[str, Run]]:
    """Pretrain the flows, and meanwhile compile one program for each method.

    Returns:
        The flows, see :func:`pretrain`, and every method's runs; the AC-Flow arms share theirs.
    """
    shapes = jax.eval_shape(jax.vmap(flow_model(config).init), keys)
    with ThreadPoolExecutor(2) as pool:
        training = pool.submit(pretrain, config, keys)
        own = [name for name in METHODS if "unclipped" not in name]
        programs = {name: Runner(config, name, shapes) for name in own}
        pretrained = training.result()
    made: dict[str, Run] = {
        name: functools.partial(program, pretrained) for name, program in programs.items()
    }
    return pretrained, made | {"ac_flow_unclipped": made["ac_flow"]}


def compare_methods(
    config: Config, run_of: dict[str, Run], wanted: float, progress: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Tune every method on the grid, then run the chosen cells and the two kinds of stress.

    Returns:
        For each method ``grid`` (``cells [G, 2]``, ``reward`` and ``entropy [G, S]``), ``bracket``
        (temperature and two penalties), ``low`` and ``chosen`` (measurements at the smaller and the
        larger penalty, ``[S, ...]``), ``matched [S]`` (the reward at the wanted entropy, between
        the two), ``scaled_SCALE`` (as ``chosen``, with the reward times SCALE) and, for ORW-CFM and
        AC-Flow, ``alpha_0``; and the parameters of the chosen runs.
    """
    keys = jax.random.split(jax.random.key(config.seed + 1), config.tuning_seeds + config.seeds)
    tuning = range(config.tuning_seeds)
    testing = range(config.tuning_seeds, config.tuning_seeds + config.seeds)

    def tune_and_run(method: str) -> tuple[dict[str, Any], Params]:
        run, grid, clip = run_of[method], cells(config, method), clip_of(config, method)
        measured, _ = run(
            [Job(keys[s], s, cell[0], cell[1], clip) for cell in grid for s in tuning]
        )
        reward, entropy = (measured[name].reshape(len(grid), -1) for name in ("reward", "entropy"))
        bracket = choose(grid, reward, entropy, wanted)

        def at(alpha: float, scale: float = 1.0) -> tuple[dict[str, np.ndarray], Params]:
            return run([Job(keys[s], s, bracket.tau, alpha, clip, scale) for s in testing])

        low, _ = at(bracket.low)
        high, params = at(bracket.high)
        rewards, entropies = (np.stack([low[name], high[name]]) for name in ("reward", "entropy"))
        found = {
            "grid": {"cells": grid, "reward": reward, "entropy": entropy},
            "bracket": np.array(bracket),
            "low": low,
            "chosen": high,
            "matched": matched(rewards, entropies, wanted),
        }
        if method in ("orw_cfm", "naive", "ac_flow"):
            for scale in config.scales[1:]:
                found[f"scaled_{scale:g}"] = at(bracket.high, scale)[0]
        if method in ("orw_cfm", "ac_flow"):
            found["alpha_0"] = at(0.0)[0]
        return found, params

    progress("mixture: all methods, two at a time")
    programs = list(dict.fromkeys(run_of.values()))
    sharing = [[name for name in METHODS if run_of[name] is program] for program in programs]
    sharing.sort(key=len, reverse=True)
    with ThreadPoolExecutor(2) as pool:
        groups = pool.map(lambda names: {name: tune_and_run(name) for name in names}, sharing)
        made = {name: pair for group in groups for name, pair in group.items()}
    results = {name: made[name][0] for name in METHODS}
    return results, {name: made[name][1] for name in METHODS}
