"""Routing of one task in AgentNet: execute, split or forward, hop by hop.

Shapes: ``N`` agents, ``K`` types, ``P`` parts of a task, ``J`` neighbour slots, ``H`` hops.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.coordination.memory import Memory, retrieve
from jaxswarm.systems.agentnet._population import Population, Tasks
from jaxswarm.systems.agentnet.state import Choices, Evolution, NetState
from jaxswarm.types import Key

EXECUTED, SPLIT, FORWARDED = 0, 1, 2


class Route(NamedTuple):
    """The path of a task.

    Attributes:
        agent: ``int32[P]``, the agent that kept each part; -1 where there is none.
        at: ``int32[H]``, the agent at each hop.
        slot: ``int32[H]``, the neighbour slot it would forward to.
        moved: ``bool[H]``, whether it forwarded.
        arrived: ``bool[H]``, whether the next agent was alive.
    """

    agent: jax.Array
    at: jax.Array
    slot: jax.Array
    moved: jax.Array
    arrived: jax.Array


class _Carry(NamedTuple):
    at: jax.Array  # the agent that has the task
    left: jax.Array  # bool[P], parts not kept yet
    visited: jax.Array  # bool[N]
    agent: jax.Array  # int32[P], agents that kept parts


def estimated_demand(world: Population, embedding: jax.Array) -> jax.Array:
    """Shares of the types ``[..., K]`` that an embedding ``[..., D]`` resembles."""
    sharp = jnp.maximum(embedding @ world.prototypes.T, 0.0) ** 4
    return sharp / jnp.maximum(sharp.sum(axis=-1, keepdims=True), 1e-9)


def route_task(
    key: Key,
    world: Population,
    state: NetState,
    task: Tasks,
    demand: jax.Array,
    choices: Choices,
    alive: jax.Array,
    *,
    evolution: Evolution,
    retrieved: int,
    hops: int,
) -> Route:
    """Send a task from agent to agent until all its parts are kept.

    Args:
        key: hop ``h`` uses ``fold_in(key, h)``.
        world: agents and neighbours.
        state: capabilities, edges and memories.
        task: a single task.
        demand: ``float32[P, K]`` of :func:`estimated_demand`, all that a router knows of a task.
        choices: ablations.
        alive: ``bool[N]``; dead agents do not answer.
        evolution: constants.
        retrieved: fragments looked up in the router's memory.
        hops: agents that a task may visit.
    """
    n = alive.shape[0]
    slots = world.neighbors.shape[1]
    stay = choices.router | ~jnp.asarray(choices.routed)

    def hop(carry: _Carry, index: jax.Array) -> tuple[_Carry, tuple[jax.Array, ...]]:
        at, left, visited, agent = carry.at, carry.left, carry.visited, carry.agent
        keys = jax.random.split(jax.random.fold_in(key, index), 3)
        neighbors, weight = world.neighbors[at], state.weight[at]
        usable = world.linked[at] & (weight > evolution.threshold) & ~visited[neighbors]
        score = _scores(state, task, demand, at, neighbors, evolution, retrieved)  # [J + 1, P]
        usable = usable & ~jnp.isnan(score[:-1]).any(axis=1)  # nothing is known of a NaN
        own, others = score[-1], score[:-1] + evolution.edge_weight * weight[:, None]
        best_other = jnp.max(jnp.where(usable[:, None], score[:-1], -jnp.inf), axis=0)
        keep = left & (own >= best_other - evolution.margin)
        keep = jnp.where(choices.random_operation, _random_operation(keys[0], left, own), keep)
        last = ~usable.any() | stay | (index == hops - 1)
        keep = jnp.where(last, left, keep)
        rest = left & ~keep
        total = jnp.sum(jnp.where(rest[None, :], others, 0.0), axis=1)
        total = jnp.where(choices.random_next, jax.random.uniform(keys[1], (slots,)), total)
        slot = jnp.argmax(jnp.where(usable, total, -jnp.inf))
        to = neighbors[slot]
        moved = rest.any()
        arrived = moved & alive[to]  # a dead agent does not answer: the hop is lost
        visited = visited.at[at].set(True).at[to].set(visited[to] | moved)
        agent = jnp.where(keep, at, agent)
        after = _Carry(jnp.where(arrived, to, at), rest, visited, agent)
        return after, (at, slot, moved, arrived)

    none = jnp.full(task.kind.shape, -1, jnp.int32)
    start = _Carry(_entry(task, alive), task.active, jnp.zeros(n, bool), none)
    end, path = jax.lax.scan(hop, start, jnp.arange(hops))
    return Route(end.agent, *path)


def best_agents(state: NetState, demand: jax.Array, alive: jax.Array) -> jax.Array:
    """The living agent of highest capability for each part ``[P]``: a central router's choice."""
    capability = jnp.where(alive[:, None], state.capability @ demand.T, -jnp.inf)
    return jnp.argmax(capability, axis=0)


def _entry(task: Tasks, alive: jax.Array) -> jax.Array:
    """A uniformly random living agent ``int32[]``, by the task's ``entry``."""
    n = alive.shape[0]
    living = jnp.flatnonzero(alive, size=n, fill_value=-1)
    count = jnp.sum(alive)
    first = living[jnp.minimum((task.entry * count).astype(jnp.int32), count - 1)]
    return first.astype(jnp.int32)


def _scores(
    state: NetState,
    task: Tasks,
    demand: jax.Array,
    at: jax.Array,
    neighbors: jax.Array,
    evolution: Evolution,
    retrieved: int,
) -> jax.Array:
    """Scores ``[J + 1, P]`` of the neighbours and, last, agent ``at`` itself for each part."""
    memory = jax.tree.map(lambda x: x[at], state.router)
    agents = jnp.concatenate([neighbors, at[None]])
    score = state.capability[agents] @ demand.T
    remembered = [_past_success(memory, x, agents, evolution, retrieved) for x in task.embedding]
    return score + evolution.memory_weight * jnp.stack(remembered, axis=1)


def _past_success(
    memory: Memory, embedding: jax.Array, agents: jax.Array, evolution: Evolution, retrieved: int
) -> jax.Array:
    """Success of ``agents [J + 1]`` in similar tasks, centred at 0, by the router's memory."""
    slot, similarity = retrieve(memory, embedding, retrieved)
    similar = similarity > evolution.min_similarity
    concerned = similar[None, :] & (memory.content[slot][None, :] == agents[:, None])
    return jnp.sum(jnp.where(concerned, memory.outcome[slot][None, :] - 0.5, 0.0), axis=1)


def _random_operation(key: Key, left: jax.Array, own: jax.Array) -> jax.Array:
    """Parts ``bool[P]`` to keep by a random operation: all, the best one, or none."""
    operation = jax.random.randint(key, (), 0, 3)
    best = left & (jnp.arange(left.shape[0]) == jnp.argmax(jnp.where(left, own, -jnp.inf)))
    return jnp.where(operation == EXECUTED, left, jnp.where(operation == SPLIT, best, False))
