"""Runs of many settings and seeds as one program, and cumulative regrets at recorded episodes.

Shapes: ``B`` arms, ``S`` seeds, ``T`` episodes, ``R`` recorded episodes.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from jaxswarm import rollout
from jaxswarm.rl import tabular
from jaxswarm.systems import nora

SHORT = 200  # episodes of a run that takes less time than its compilation


def stacked(trees: list[Any]) -> Any:
    """Stack pytrees of equal shapes along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(x) for x in leaves]), *trees)


def recorded(episodes: int) -> np.ndarray:
    """Numbers of episodes after which cumulative regret is kept, ``[R]``; a quarter is one."""
    spaced = np.geomspace(1, episodes, 60).round().astype(int)
    return np.unique([*spaced, episodes // 4, episodes - episodes // 4])


def play(
    arms: Mapping[str, nora.Settings],
    worlds: tabular.EpisodicMDP,
    keys: jax.Array,
    episodes: int,
    *,
    tables: bool = False,
    sums: tabular.Sums | None = None,
    rule: str = "log_det",
) -> dict[str, dict[str, np.ndarray]]:
    """Run every arm on every seed's world.

    Args:
        arms: settings by name.
        worlds: one for each seed, leaves ``[S, ...]``; features are those of the first.
        keys: ``[S]``, the same for every arm.
        episodes: ``T``.
        tables: whether critics count visits instead of keeping matrices, for large worlds.
        sums: of offline data, leaves ``[B, S, ...]``.
        rule: what a switch depends on, see :func:`jaxswarm.systems.nora.actor_critic`.

    Returns:
        By arm: ``total [S, R]`` cumulative regret, ``switches [S, R]`` number of switches,
        ``optimism [S]``, the smallest difference of the critic's and the optimal value;
        ``times``: episodes before which the first seed's critic was fitted anew.
    """
    features = np.asarray(worlds.features[0])

    def run(settings: nora.Settings, sums: Any, world: tabular.EpisodicMDP, key: Any) -> Any:
        world = world._replace(features=jnp.asarray(features))
        critic = None
        if tables:
            critic = tabular.table_critic(
                world,
                bonus=settings.bonus,
                ridge=settings.ridge,
                on_policy=settings.on_policy,
            )
        learner = nora.actor_critic(world, settings, critic=critic, rule=rule)
        state = learner.init()
        if sums is not None:
            state = state._replace(data=tabular.statistics(sums, settings.ridge))
        return rollout(learner.step, state, episodes, key=key)[1].info

    offline = None if sums is None else 0
    over_seeds = jax.vmap(run, (None, offline, 0, 0))
    level = 0 if episodes < SHORT else 2
    over_arms = jit_fast_compile(jax.vmap(over_seeds, (0, offline, None, None)), level=level)
    info = over_arms(stacked(list(arms.values())), sums, worlds, keys)
    return {name: summary(info, b) for b, name in enumerate(arms)}


def summary(info: nora.NoraInfo, arm: Any = ...) -> dict[str, np.ndarray]:
    """What is kept of the episodes of an arm, whose leaves are ``[S, T]``."""
    regret, optimism, switched = (np.asarray(x)[arm] for x in info)
    at = recorded(regret.shape[-1]) - 1
    return {
        "total": np.cumsum(regret.astype(np.float64), axis=-1)[..., at],
        "switches": np.cumsum(switched, axis=-1)[..., at],
        "optimism": optimism.min(axis=-1),
        "times": np.flatnonzero(switched[0]).astype(np.int32) + 1,
    }


def growth_ratio(found: Mapping[str, np.ndarray], episodes: int, field: str = "total") -> Any:
    """``R(T) / R(T / 4)`` of cumulative numbers, ``[S]``: 2 for √T, 4 for T, 1 once it ends."""
    at = recorded(episodes)
    return found[field][..., -1] / found[field][..., at == episodes // 4][..., 0]


def late_regret(found: Mapping[str, np.ndarray], episodes: int) -> Any:
    """Mean regret of an episode of the last quarter, ``[S]``."""
    at = recorded(episodes)
    before = found["total"][..., at == episodes - episodes // 4][..., 0]
    return (found["total"][..., -1] - before) / (episodes // 4)
