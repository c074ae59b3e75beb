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

Members of an *independent* team each attempt the whole task; an aggregator takes one attempt
without comparing them, as the paper's does. Two arms are additions: *independent, voting* compares
the attempts by a vote, *divided* deals the subtasks to members that exchange nothing (it was called
independent before, and scores nothing on chains by construction). Checks of an answer are repeated
up to three times in every architecture, which stands for the paper's rounds of debate and review.

The worker's constants (``Costs`` of the library) have no published source and decide verdicts, so
that every claim is tested under all of ``SETTINGS``: as stated, with a third to double the budget,
twice the misreading or the length of messages, other blindness to own errors, and one round of
checks. A claim holds if it holds by its interval under every one of them; the row
shows the worst, and in how many it holds.

The full scale takes teams to 1,024 agents and maps the best architecture over width and depth.

Shapes: ``C`` settings, ``K`` kinds of task, ``A`` arms (architecture and number of members), ``B``
abilities, ``S`` seeds.

References:
    Y. Kim et al., Towards a Science of Scaling Agent Systems, 2025 (version 2).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.scaling_agents.best_architecture import best_architecture_map
from experiments.scaling_agents.config import (
    INDEPENDENT,
    ROUNDS,
    SETTINGS,
    VOTING,
    Config,
    arms,
)
from experiments.scaling_agents.task_kinds import KINDS
from jaxswarm import agents
from jaxswarm.coordination import layered_task
from jaxswarm.systems import scaling_agents

CAPACITY = 12  # subtask slots of every task graph


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all architectures on all kinds of task under all settings.

    Returns:
        See :func:`run_architectures`, ``[C, K, A, B, S]``; with ``config.largest`` also ``map``,
        see :func:`.best_architecture.best_architecture_map`.
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
        ``float32[C, K, A, B, S]`` each: ``score``, ``turns``, ``tokens``, and the measures of
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
    kinds = (
        stacked,
        jnp.array([float(kind.tools) for kind in KINDS.values()]),
        jnp.array([kind.shown for kind in KINDS.values()]),
    )
    pool = scaling_agents.team(max(config.teams))
    attempts = [(name, n) for name, n in arms(config) if name in (INDEPENDENT, VOTING)]
    architectures = [
        scaling_agents.architecture(name, n) for name, n in arms(config)[: -len(attempts)]
    ]
    architecture = jax.tree.map(lambda *x: jnp.array(x), *architectures)

    def traces_of(task: jax.Array, key: jax.Array, graph: Any, ability: jax.Array, **settings: Any):
        """Traces of all arms, leaves ``[A, ...]``."""
        rounds = jnp.broadcast_to(settings.pop("rounds"), jnp.shape(architecture.members))
        teams = jax.vmap(
            lambda arm: scaling_agents.run_task(
                key, graph, arm, pool, ability, task=task, **settings
            )
        )(architecture._replace(rounds=rounds))
        whole = [
            scaling_agents.run_independent(
                key, graph, n, pool, ability, vote=name == VOTING, rounds=rounds[0], task=task,
                **settings,
            )
            for name, n in attempts
        ]  # fmt: skip
        return jax.tree.map(lambda first, *rest: jnp.concatenate([first, jnp.stack(rest)]),
                            teams, *whole)  # fmt: skip

    def run_seed(kind: Any, setting: Any, ability: jax.Array, key: jax.Array) -> Any:
        graph, tools, shown = kind
        costs, rounds = setting
        traces = jax.vmap(
            lambda task: traces_of(
                task, key, graph, ability, tools=tools, observability=shown, costs=costs,
                rounds=rounds,
            ),
            out_axes=1,
        )(jnp.arange(config.tasks))  # fmt: skip
        single = jax.tree.map(lambda leaf: leaf[:1], traces)
        measures = scaling_agents.measures(traces, single)
        means = jax.tree.map(lambda leaf: jnp.mean(leaf, axis=1), measures)
        score, turns = jnp.mean(traces.score, axis=1), jnp.mean(traces.turns, axis=1)
        failures = jnp.maximum(1.0 - score, 0.0)  # a mean of ones may exceed 1
        return means._asdict() | {
            "score": score,
            "turns": turns,
            "tokens": jnp.mean(traces.tokens, axis=1),
            "overhead": turns / turns[0] - 1.0,
            "efficiency": score / (turns / turns[0]),
            "amplification": failures / jnp.maximum(failures[0], 1e-3),
        }

    over_seeds = jax.vmap(run_seed, (None, None, None, 0), out_axes=-1)
    over_abilities = jax.vmap(over_seeds, (None, None, 0, None), out_axes=-2)
    abilities = jnp.array(config.abilities)

    def run_setting(setting: Any) -> Any:
        return jax.lax.map(lambda kind: over_abilities(kind, setting, abilities, keys), kinds)

    results = jit_fast_compile(lambda settings: jax.lax.map(run_setting, settings))(_settings())
    return {name: np.asarray(leaf) for name, leaf in results.items()}


def _settings() -> tuple[scaling_agents.Costs, jax.Array]:
    """Costs and rounds of all settings, leaves ``[C]``."""
    costs, rounds = [], []
    for change in SETTINGS.values():
        fields = dict(change)
        rounds.append(int(fields.pop("rounds", ROUNDS)))
        costs.append(scaling_agents.Costs(**fields))
    return jax.tree.map(lambda *x: jnp.array(x), *costs), jnp.array(rounds)
