"""Both turns on a task: graphs are executed, failures get a second one, rewards are added up.

Shapes: ``B`` tasks, ``N`` slots.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination import AgentBackend
from jaxswarm.systems.agent_conductor._execution import Outcome, execute, no_program
from jaxswarm.systems.agent_conductor._settings import Options, Rewards, check_options
from jaxswarm.systems.agent_conductor.density import graph_reward
from jaxswarm.systems.agent_conductor.graphs import (
    ROLES,
    RoleGraph,
    graph_size,
    occupied,
)
from jaxswarm.systems.agent_conductor.world import (
    NOT_EXECUTED,
    VERDICTS,
    CodeTasks,
    CodeWorld,
    check_tasks,
)
from jaxswarm.types import ArrayLike, Key

NUM_PAST = len(VERDICTS) + len(ROLES) + 2
"""Numbers that a second turn observes of the first."""


class Turn(NamedTuple):
    """One turn on each task: the graph, what became of it, and whether the turn took place."""

    observation: jax.Array
    graph: RoleGraph
    outcome: Outcome
    used: jax.Array


class Episode(NamedTuple):
    """Both turns on each task.

    Attributes:
        first: the first turn.
        second: the second; ``used`` where the first program failed.
        max_nodes: ``int32[B]``, bound that follows from the difficulty.
        difficulty: ``int32[B]``, as inferred, or as given.
        passed: ``bool[B]``, after the last turn.
        tokens: ``float32[B]``, of all agents and turns.
        reward: ``float32[B]``.
    """

    first: Turn
    second: Turn
    max_nodes: jax.Array
    difficulty: jax.Array
    passed: jax.Array
    tokens: jax.Array
    reward: jax.Array


def replay_function(
    backend: AgentBackend, world: CodeWorld, rewards: Rewards
) -> Callable[..., Episode]:
    """Make ``replay`` of the conductor, which executes given graphs."""

    def replay(
        key: Key,
        tasks: CodeTasks,
        first: RoleGraph,
        second: RoleGraph | None = None,
        *,
        max_nodes: ArrayLike | None = None,
        options: Options = Options(),  # noqa: B008
    ) -> Episode:
        """Execute given graphs ``[B, N]``; a failed task gets ``second``, by default ``first``."""
        checks.key(key)
        tasks, options = check_tasks(tasks), check_options(options)
        checks.instance("first", first, RoleGraph, "agent_conductor.role_graph(…)")
        second = first if second is None else second
        checks.instance("second", second, RoleGraph, "agent_conductor.role_graph(…)")
        both = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(each) for each in x]), first, second)
        count, slots = jnp.shape(first.role)
        most = jnp.full(count, slots) if max_nodes is None else jnp.asarray(max_nodes)

        def written(turn: jax.Array, key: Key, past: jax.Array) -> tuple[jax.Array, RoleGraph]:
            del key, past
            return jnp.zeros((count, 0)), jax.tree.map(lambda x: x[turn], both)

        turns = two_turns(key, backend, world, tasks, most, options, written, jnp.int32(0))
        return finished(*turns, most, jnp.full(count, -1), rewards, options)

    return replay


def two_turns(
    key: Key,
    backend: AgentBackend,
    world: CodeWorld,
    tasks: CodeTasks,
    most: jax.Array,
    options: Options,
    written: Callable[..., tuple[jax.Array, RoleGraph]],
    repeat: jax.Array,
) -> tuple[Turn, Turn]:
    """Execute ``written(turn, key, past) -> (observation, graph)``, again where it failed."""
    count = tasks.task.shape[0]
    keys = jax.random.split(key, 3)

    def turn(carry: Any, number: jax.Array) -> tuple[Any, Turn]:
        state, program, used, past = carry
        seen, graph = written(number, keys[number], past)
        state, outcome = execute(
            keys[2], world, backend, state, tasks, graph, max_nodes=most, program=program,
            event=2 * repeat + number, active=used,
        )  # fmt: skip
        again = used & ~outcome.passed & (outcome.error == 0) & options.second_turn
        return (state, outcome.program, again, past_turn(graph, outcome)), Turn(
            seen, graph, outcome, used
        )

    start = (
        backend.init(), no_program(count), jnp.ones(count, bool), jnp.zeros((count, NUM_PAST))
    )  # fmt: skip
    _, turns = jax.lax.scan(turn, start, jnp.arange(2))
    first, second = (jax.tree.map(lambda x, t=t: x[t], turns) for t in range(2))
    return first, second


def past_turn(graph: RoleGraph, outcome: Outcome) -> jax.Array:
    """What a second turn observes of the first: verdict, roles and size, ``float32[B, ...]``."""
    slots = jnp.shape(graph.role)[-1]
    roles = jax.nn.one_hot(graph.role, len(ROLES)) * occupied(graph)[..., None]
    size = graph_size(graph)
    sizes = jnp.stack([size.edges / slots, size.steps / slots], axis=-1)
    verdict = jax.nn.one_hot(outcome.verdict, len(VERDICTS))
    return jnp.concatenate([verdict, jnp.sum(roles, axis=1) / 2.0, sizes], axis=-1)


def finished(
    first: Turn,
    second: Turn,
    most: jax.Array,
    level: jax.Array,
    rewards: Rewards,
    options: Options,
) -> Episode:
    passed = first.outcome.passed | (second.used & second.outcome.passed)
    tokens = first.outcome.tokens + jnp.where(second.used, second.outcome.tokens, 0.0)
    reward = _reward(first, second, most, rewards, options)
    return Episode(first, second, most, level, passed, tokens, reward)


def _reward(
    first: Turn, second: Turn, most: jax.Array, rewards: Rewards, options: Options
) -> jax.Array:
    """Reward of trajectories: the last outcome, sparsity averaged over turns, format errors."""
    turns = (first, second)
    weight = rewards.graph * jnp.asarray(options.density)
    sparse = [graph_reward(turn.graph, most, weight) for turn in turns]
    sparse = jnp.where(second.used, (sparse[0] + sparse[1]) / 2.0, sparse[0])
    verdict = jnp.where(second.used, second.outcome.verdict, first.outcome.verdict)
    error = jnp.where(second.used, second.outcome.error, first.outcome.error)
    gained = options.execution * rewards.by_verdict()[verdict] + sparse
    return jnp.where(verdict == NOT_EXECUTED, rewards.by_format()[error], gained)
