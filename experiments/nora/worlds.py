"""Worlds of the NORA experiment: locks, a decoy, chains, and random linear processes.

Shapes: ``S`` seeds, ``T`` episodes.
"""

from collections.abc import Callable

import jax
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.nora.config import TARGETS, Config
from experiments.nora.play import play, stacked
from jaxswarm import rollout
from jaxswarm.rl import tabular
from jaxswarm.systems import nora

MAZE = 40  # states of the decoy's region without reward
DECOY_HORIZON = 5
SAFE = 0.5  # return of the decoy's safe action
RIVER = (6, 20)  # states and steps of RiverSwim
SEA = 16  # size of DeepSea
LINEAR = (12, 3, 5, 4)  # states, actions, steps and features of the random linear processes


def locks(
    config: Config, seeds: int, horizon: int | None = None, slip: float | None = None
) -> tabular.EpisodicMDP:
    """A lock with its own code for each seed, leaves ``[S, ...]``."""
    return stacked(
        [
            tabular.combination_lock(
                config.horizon if horizon is None else horizon,
                config.actions,
                slip=config.slip if slip is None else slip,
                distractor=config.distractor,
                seed=config.seed + seed,
            )
            for seed in range(seeds)
        ]
    )


def decoy() -> tabular.EpisodicMDP:
    """A choice between a sure return and a large region without reward, better only at first sight.

    In state 0 action 0 leads to the end with a reward of ``SAFE``; action 1 to one of ``MAZE``
    states, drawn uniformly, as every action in them does. Nothing is earned there, but as long as
    their pairs of state and action have few visits, an optimistic critic prefers them.
    """
    H, end = DECOY_HORIZON, MAZE + 1
    transition = np.zeros((H, MAZE + 2, 2, MAZE + 2))
    transition[:, : MAZE + 1, :, 1 : MAZE + 1] = 1.0 / MAZE
    transition[:, 0, 0] = np.eye(MAZE + 2)[end]
    transition[:, end, :, end] = 1.0
    reward = np.zeros((H, MAZE + 2, 2))
    reward[0, 0, 0] = SAFE
    return tabular.episodic_mdp(transition, reward)


def same(world: tabular.EpisodicMDP, seeds: int) -> tabular.EpisodicMDP:
    """One world for all seeds, leaves ``[S, ...]``."""
    return stacked([world] * seeds)


def decoy_regrets(config: Config, keys: jax.Array) -> Results:
    """Regrets with and without resets, at two rates, and of rare LSVI-UCB, on the decoy."""
    own = {"bonus": config.bonus, "rate": config.rate}
    fast = {"bonus": config.bonus, "rate": 10 * config.rate}
    arms = {
        "NORA": nora.settings_of("nora", **own),
        "no reset": nora.settings_of("no reset", **own),
        "NORA, rate × 10": nora.settings_of("nora", **fast),
        "no reset, rate × 10": nora.settings_of("no reset", **fast),
        "rare LSVI-UCB": nora.settings_of("rare lsvi-ucb", **own),
    }
    return play(arms, same(decoy(), config.seeds), keys, config.decoy_episodes, tables=True)


def chain_regrets(config: Config, keys: jax.Array, progress: Callable[[str], None]) -> Results:
    """Regrets of NORA, its variant without optimism, and LSVI-UCB on two chains."""
    found = {}
    sea = stacked([tabular.deep_sea(SEA, seed=config.seed + s) for s in range(config.seeds)])
    river = same(tabular.river_swim(*RIVER), config.seeds)
    for name, worlds, bonus in (
        ("DeepSea", sea, config.bonus),
        ("RiverSwim", river, config.river_bonus),
    ):
        progress(name)
        own = {"bonus": bonus, "rate": config.rate}
        arms = {
            "NORA": nora.settings_of("nora", **own),
            "no optimism": nora.settings_of("no optimism", rate=config.rate),
            "LSVI-UCB": nora.settings_of("lsvi-ucb", **own),
        }
        found[name] = play(arms, worlds, keys, config.chain_episodes, tables=True)
    return found


def times_to_targets(config: Config, key: jax.Array) -> Results:
    """Episodes until NORA's mean regret is small, on random linear processes.

    Returns:
        ``times [S, targets]``: first episode after which the mean regret so far is at most a share
        of ``TARGETS`` of a uniform policy's regret; infinite where it is never.
    """
    seeds = config.rate_seeds
    worlds = stacked(
        [tabular.random_linear_mdp(*LINEAR, seed=config.seed + s) for s in range(seeds)]
    )
    settings = nora.settings_of("nora", bonus=config.bonus, rate=config.rate)

    def run(world: tabular.EpisodicMDP, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        learner = nora.actor_critic(world, settings, bernoulli=True)
        _, records = rollout(learner.step, learner.init(), config.rate_episodes, key=key)
        best = world.start @ tabular.value_iteration(world).value[0]
        uniform = tabular.expected_return(world, tabular.uniform_policy(world))
        return records.info.regret, best - uniform

    regret, scale = jit_fast_compile(jax.vmap(run))(worlds, jax.random.split(key, seeds))
    total = np.cumsum(np.asarray(regret, np.float64), axis=1)
    mean = total / np.arange(1, config.rate_episodes + 1) / np.asarray(scale)[:, None]
    reached = mean[:, None, :] <= np.array(TARGETS)[:, None]
    first = np.where(reached.any(axis=2), reached.argmax(axis=2) + 1.0, np.inf)
    return {"times": first, "scale": np.asarray(scale)}
