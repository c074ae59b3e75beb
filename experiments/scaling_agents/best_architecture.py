"""The best architecture by width and depth of a task, and turns of large teams (full scale)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scaling_agents.config import (
    ARCHITECTURES,
    DECENTRALIZED,
    INDEPENDENT,
    ROUNDS,
    SINGLE,
    Config,
)
from jaxswarm.coordination import layered_task
from jaxswarm.systems import scaling_agents

WIDTHS = (1, 2, 4, 8, 16)
DEPTHS = (1, 2, 4, 8)
MEMBERS = 8  # of the teams in the map
ABILITY = 0.75  # chance of a right answer
OBSERVABILITY = 0.2  # chance that what a message lost can be observed


def best_architecture_map(config: Config, key: jax.Array) -> dict[str, np.ndarray]:
    """Find the best architecture for every width and depth, and count turns of large teams.

    Args:
        config: number of tasks, and the largest team.
        key: of all runs.

    Returns:
        ``winner int[widths, depths]``, indices into ``ARCHITECTURES``; ``sizes`` and ``turns``:
        members and turns of decentralised teams with an unlimited budget.
    """
    pool = scaling_agents.team(MEMBERS)
    architecture = jax.tree.map(
        lambda *x: jnp.array(x),
        *[
            scaling_agents.architecture(name, 1 if name == SINGLE else MEMBERS, rounds=ROUNDS)
            for name in ARCHITECTURES
            if name != INDEPENDENT
        ],
    )
    winner = np.zeros((len(WIDTHS), len(DEPTHS)), int)
    for i, width in enumerate(WIDTHS):
        for j, depth in enumerate(DEPTHS):
            graph = layered_task(depth, width, 1, capacity=max(WIDTHS) * max(DEPTHS), seed=0)

            def score(arm: Any, task: jax.Array, graph: Any = graph) -> jax.Array:
                return scaling_agents.run_task(
                    key, graph, arm, pool, ABILITY, observability=OBSERVABILITY, task=task
                ).score

            def independent(task: jax.Array, graph: Any = graph) -> jax.Array:
                return scaling_agents.run_independent(
                    key, graph, MEMBERS, pool, ABILITY, observability=OBSERVABILITY, task=task,
                    rounds=ROUNDS,
                ).score  # fmt: skip

            tasks = jnp.arange(config.tasks)
            over_tasks = jax.vmap(jax.vmap(score, (None, 0)), (0, None))
            teams = jax.jit(over_tasks)(architecture, tasks).mean(axis=1)
            whole = jax.jit(jax.vmap(independent))(tasks).mean()
            means = jnp.insert(teams, ARCHITECTURES.index(INDEPENDENT), whole)
            winner[i, j] = int(jnp.argmax(means))
    sizes, turns = [], []
    size = 2
    while size <= config.largest:
        sizes.append(size)
        turns.append(_turns_of_team(size, key))
        size *= 4
    return {"winner": winner, "sizes": np.array(sizes), "turns": np.array(turns)}


def _turns_of_team(size: int, key: jax.Array) -> float:
    """Turns of a decentralised team of ``size`` members on a fully parallel task."""
    graph = layered_task(1, 12, 1, capacity=12)
    architecture = scaling_agents.architecture(DECENTRALIZED, size)
    pool = scaling_agents.team(size)
    unlimited = scaling_agents.Costs(budget=1e9)
    trace = jax.jit(
        lambda key: scaling_agents.run_task(
            key, graph, architecture, pool, ABILITY, costs=unlimited
        )
    )(key)
    return float(trace.turns)
