"""AgentNet: agents that forward, split or execute tasks over a graph that evolves with success.

A task enters at a random agent (local entry: with a global best match no router would be needed).
The agent compares its own learnt capability with what it knows of its neighbours and with similar
fragments of its router memory; then it executes, executes its parts and passes on the rest, or
forwards. No agent is visited twice, so a task's path is acyclic. Outcomes change edges,
capabilities and memories.

Skills, types and topics are hidden; a router gets the embedding only. A remembered success helps an
executor if its topic is that of the task, which only the embeddings can find.

Shapes: ``N`` agents, ``K`` types, ``P`` parts of a task, ``J`` neighbour slots, ``C`` fragments.

References:
    Y. Yang et al., AgentNet: decentralized evolutionary coordination for LLM-based multi-agent
    systems, 2025 (``rule="paper"``), and its code, which differs (``rule="code"``).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.coordination.backends import AgentBackend
from jaxswarm.coordination.memory import empty_memory
from jaxswarm.systems.agentnet._population import Population, Tasks
from jaxswarm.systems.agentnet.learning import execute_parts, learn_parts, updated_edges
from jaxswarm.systems.agentnet.routing import best_agents, estimated_demand, route_task
from jaxswarm.systems.agentnet.state import (
    Choices,
    Evolution,
    NetInfo,
    NetState,
    check_choices,
    check_evolution,
)
from jaxswarm.types import ArrayLike, Key

RULES = ("paper", "code")
"""Evolution of edges and capabilities as in the paper, or as in its published code."""


class AgentNet(NamedTuple):
    """``init() -> state`` and ``step(key, state, task, choices, alive, learning)``."""

    init: Callable[[], NetState]
    step: Callable[..., tuple[NetState, NetInfo]]


def agentnet(
    world: Population,
    *,
    rule: str = "paper",
    capacity: int = 40,
    retrieved: int = 3,
    hops: int = 4,
    evolution: Evolution = Evolution(),  # noqa: B008
    capability: ArrayLike | None = None,
    backend: AgentBackend | None = None,
) -> AgentNet:
    """AgentNet as a step function over a stream of tasks, one task per step.

    Args:
        world: agents, embeddings, neighbours.
        rule: one of :data:`RULES`.
        capacity: ``C`` of each agent's two memories.
        retrieved: fragments looked up, from 1 to ``C``.
        hops: agents that a task may visit before it must be executed, at least 1.
        evolution: constants.
        capability: ``float32[N, K]``, what agents advertise at first; 0.6 of all by default.
        backend: executes the parts in place of the hidden skills, such as
            ``coordination.host_backend`` of a language model: one call for each part, with
            ``entity`` the task's number, ``event`` the part, ``demand`` its type (one-hot),
            ``context`` the number of fragments found, and the truths of the tasks. Its state starts
            anew with each task.

    Raises:
        ValueError: naming the argument.
    """
    checks.instance("world", world, Population, "agentnet.population(key, graph, 3)")
    checks.choice("rule", rule, RULES)
    capacity = checks.whole("capacity", capacity, 1)
    retrieved = checks.whole("retrieved", retrieved, 1, capacity)
    hops = checks.whole("hops", hops, 1)
    check_evolution(evolution)
    n, kinds = world.skill.shape
    first = jnp.full((n, kinds), 0.6)
    if capability is not None:
        first = jnp.asarray(checks.real("capability", capability, 0.0, shape=(n, kinds)))
    if backend is not None:
        checks.instance("backend", backend, AgentBackend, "coordination.host_backend(ask, 2, …)")
    size = world.topics.shape[2]

    def init() -> NetState:
        blank = jax.vmap(lambda _: empty_memory(capacity, size))(jnp.arange(n))
        return NetState(
            capability=first,
            weight=jnp.where(world.linked, 1.0, 0.0),
            idle=jnp.zeros((n, kinds)),
            router=blank,
            executor=blank,
            now=jnp.zeros(()),
        )

    def step(
        key: Key,
        state: NetState,
        task: Tasks,
        choices: Choices,
        alive: jax.Array,
        learning: float | jax.Array,
    ) -> tuple[NetState, NetInfo]:
        alive = jnp.asarray(checks.mask("alive", alive, (n,)))
        check_choices(choices)
        # Without a living agent a task enters nowhere: nothing is executed or learnt.
        living = alive.any()
        wanted = task.active
        task = task._replace(active=wanted & living)
        learning = jnp.asarray(checks.mask("learning", learning, ())) & living
        demand = estimated_demand(world, task.embedding)
        route = route_task(
            key,
            world,
            state,
            task,
            demand,
            choices,
            alive,
            evolution=evolution,
            retrieved=retrieved,
            hops=hops,
        )
        central = jnp.where(task.active, best_agents(state, demand, alive), -1).astype(jnp.int32)
        agent = jnp.where(choices.router, central, route.agent)
        execution = execute_parts(
            jax.random.fold_in(key, hops),
            world,
            state.executor,
            task,
            agent,
            choices,
            evolution=evolution,
            retrieved=retrieved,
            backend=backend,
        )
        success = (jnp.all(execution.right | ~wanted) & living).astype(jnp.float32)
        weight = updated_edges(
            state.weight, route, success, learning, rule=rule, evolution=evolution
        )
        state = learn_parts(
            world,
            state._replace(weight=weight),
            task,
            demand,
            agent,
            route.at[0],
            execution,
            learning,
            rule=rule,
            evolution=evolution,
        )
        info = NetInfo(
            success=success,
            hops=jnp.sum(route.moved),
            agent=jnp.where(task.active, agent, -1),
            kind=jnp.where(task.active, task.kind, -1),
            edges=jnp.sum(world.linked & (weight > evolution.threshold)),
        )
        return state, info

    return AgentNet(init, step)
