"""Runs of the experiment on scaling agent systems: all architectures on all kinds of task.

Five architectures (single, independent, centralised, decentralised, hybrid) work on twelve kinds of
task, which differ in width, depth, coupling, tools and observability, at three abilities and with
teams of three and five. All run in one engine with the same workers, random keys and token budget;
what an architecture spends on messages and checks it does not spend on work. No architecture has a
success rate of its own, and nothing is drawn from the paper's regression: scores follow from the
subtasks that were worked on, communicated and checked.

Two models are fitted to the runs. A ridge regression on the task's properties and the single
agent's runs chooses an architecture for kinds of task that were left out. The paper's regression
with twenty columns predicts scores from coordination measures; its R² is shown in the figure and is
never a threshold, because published versions disagree on it and because two of the columns,
efficiency and amplification, are computed from the score itself. The paper's error amplification
does not follow from its printed success rates; here amplification is the ratio of failure rates,
and unrecovered errors are counted separately.

The full scale takes teams to 1,024 agents and maps the best architecture over width and depth.

Limits: verdicts depend on the worker's constants (``Costs`` of the library), which have no
published source. With half of the token budget the crossing moves from 0.82 to 0.18, and the gain
of centralised teams on wide tasks falls below its threshold.

Shapes: ``K`` kinds of task, ``A`` arms (architecture and number of members), ``B`` abilities, ``S``
seeds.

References:
    Y. Kim et al., Towards a Science of Scaling Agent Systems, 2025 (version 2).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.scaling_agents.best_architecture import best_architecture_map
from experiments.scaling_agents.config import Config, arms
from experiments.scaling_agents.task_kinds import KINDS
from jaxswarm import agents
from jaxswarm.coordination import layered_task
from jaxswarm.systems import scaling_agents

CAPACITY = 12  # subtask slots of every task graph


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all architectures on all kinds of task.

    Returns:
        See :func:`run_architectures`; with ``config.largest`` also ``map``, see
        :func:`.best_architecture.best_architecture_map`.
    """
    progress("all architectures on all kinds of task")
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    results: dict[str, Any] = run_architectures(config, keys)
    if config.largest:
        progress(f"map of the best architecture, teams up to {config.largest:,}")
        results["map"] = best_architecture_map(config, keys[0])
    return jax.tree.map(np.asarray, results)


def run_architectures(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Mean measures of every arm over ``config.tasks`` tasks.

    Returns:
        ``float32[K, A, B, S]`` each: ``score``, ``turns``, ``tokens``, and the measures of
        :class:`jaxswarm.systems.scaling_agents.Measures`. Overhead, efficiency and
        amplification are ratios of means over tasks, since a single task may have no failure.
    """
    graphs = [
        layered_task(
            kind.depth, kind.width, 1, fan_in=min(kind.coupling, kind.width), capacity=CAPACITY,
            seed=index,
        )
        for index, kind in enumerate(KINDS.values())
    ]  # fmt: skip
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *graphs)
    pool = scaling_agents.team(max(config.teams))
    architectures = [scaling_agents.architecture(name, n) for name, n in arms(config)]
    architecture = jax.tree.map(lambda *x: jnp.array(x), *architectures)

    def run_seed(
        graph: Any, tools: jax.Array, shown: jax.Array, ability: jax.Array, key: jax.Array
    ) -> dict[str, jax.Array]:
        def play(arm: Any, task: jax.Array) -> Any:
            return scaling_agents.run_task(
                key, graph, arm, pool, ability, tools=tools, observability=shown, task=task
            )

        over_tasks = jax.vmap(jax.vmap(play, (None, 0)), (0, None))
        traces = over_tasks(architecture, jnp.arange(config.tasks))
        single = jax.tree.map(lambda leaf: leaf[:1], traces)
        measures = scaling_agents.measures(traces, single)
        means = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=1), measures)
        score, turns = jnp.mean(traces.score, axis=1), jnp.mean(traces.turns, axis=1)
        failures = 1.0 - score
        return means._asdict() | {
            "score": score,
            "turns": turns,
            "tokens": jnp.mean(traces.tokens, axis=1),
            "overhead": turns / turns[0] - 1.0,
            "efficiency": score / (turns / turns[0]),
            "amplification": failures / jnp.maximum(failures[0], 1e-3),
        }

    over_seeds = jax.vmap(run_seed, (None, None, None, None, 0))
    over_abilities = jax.vmap(over_seeds, (None, None, None, 0, None))
    tools = jnp.array([float(kind.tools) for kind in KINDS.values()])
    shown = jnp.array([kind.shown for kind in KINDS.values()])
    abilities = jnp.array(config.abilities)
    results = jax.jit(
        lambda: jax.lax.map(
            lambda kind: over_abilities(kind[0], kind[1], kind[2], abilities, keys),
            (stacked, tools, shown),
        )
    )()
    return {name: np.moveaxis(np.asarray(leaf), -1, 1) for name, leaf in results.items()}
