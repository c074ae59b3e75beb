"""Execution of a task in AgentNet, and what its outcome changes: edges, capabilities, memories.

Shapes: ``N`` agents, ``K`` types, ``G`` topics, ``P`` parts of a task, ``J`` neighbour slots,
``C`` fragments, ``k`` retrieved.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.coordination.backends import OK, AgentBackend, Request
from jaxswarm.coordination.memory import Memory, mark_used, retrieve, store
from jaxswarm.systems.agentnet._population import Population, Tasks
from jaxswarm.systems.agentnet.routing import Route
from jaxswarm.systems.agentnet.state import Choices, Evolution, NetState
from jaxswarm.types import Key


class Execution(NamedTuple):
    """Outcome of each part: ``right bool[P]``; fragments ``slot [P, k]``, used where ``hit``."""

    right: jax.Array
    slot: jax.Array
    hit: jax.Array


def execute_parts(
    key: Key,
    world: Population,
    memory: Memory,
    task: Tasks,
    agent: jax.Array,
    choices: Choices,
    *,
    evolution: Evolution,
    retrieved: int,
    backend: AgentBackend | None = None,
) -> Execution:
    """Let agents ``[P]`` execute the parts of a task, with fragments of their executor memories.

    Args:
        key: consumed; the same random numbers whichever agents execute.
        world: hidden skills.
        memory: executor memories, leaves ``[N, ...]``.
        task: a single task.
        agent: ``int32[P]``; -1 for parts that do not exist, whose result is not used.
        choices: ablations of the memory.
        evolution: constants.
        retrieved: ``k``.
        backend: answers the parts in place of the hidden skills.
    """

    def all_parts(memory: Memory, i: jax.Array) -> Execution:
        """Outcome if agent ``i`` executed every part."""
        groups = world.topics.shape[1]
        uniform = jax.random.uniform(key, task.kind.shape)
        shuffled = _shuffled_embeddings(jax.random.fold_in(key, 1), memory)
        embedding = jnp.where(choices.shuffled, shuffled, memory.embedding)
        searched = memory._replace(embedding=embedding)
        found = [retrieve(searched, x, retrieved) for x in task.embedding]
        slot, similarity = (jnp.stack(x) for x in zip(*found, strict=True))
        hit = similarity > evolution.min_similarity
        fits = memory.content[slot] == (task.kind * groups + task.topic)[:, None]
        useful = jnp.mean(jnp.where(hit & fits, memory.outcome[slot], 0.0), axis=1)
        bonus = jnp.where(choices.executor_memory, evolution.memory_gain * useful, 0.0)
        probability = jax.nn.sigmoid(world.skill[i, task.kind] + bonus)
        return Execution(uniform < probability, slot, hit)

    own = jax.tree.map(lambda x: x[agent], memory)
    outcome = jax.vmap(all_parts)(own, agent)  # [P agents, P parts]
    diagonal = jnp.arange(agent.shape[0])
    execution = jax.tree.map(lambda x: x[diagonal, diagonal], outcome)
    return execution if backend is None else _answered(key, world, task, agent, execution, backend)


def _answered(
    key: Key,
    world: Population,
    task: Tasks,
    agent: jax.Array,
    execution: Execution,
    backend: AgentBackend,
) -> Execution:
    """The execution with answers of a backend, one call for each part."""
    parts = jnp.arange(agent.shape[0], dtype=jnp.int32)
    request = Request(
        worker=agent.astype(jnp.int32),
        entity=jnp.broadcast_to(jnp.asarray(task.number, jnp.int32), parts.shape),
        event=parts,
        demand=jax.nn.one_hot(task.kind, world.skill.shape[1]),
        context=jnp.sum(execution.hit, axis=1).astype(jnp.float32),
        truth=jnp.asarray(task.truth, jnp.int32),
        active=task.active & (agent >= 0),
    )
    _, reply = backend.answer(key, backend.init(), request)
    return execution._replace(right=(reply.status == OK) & (reply.answer == request.truth))


def _shuffled_embeddings(key: Key, memory: Memory) -> jax.Array:
    """Embeddings with the filled slots permuted (slots are filled from the first on)."""
    order = jnp.where(memory.filled, jax.random.uniform(key, memory.filled.shape), jnp.inf)
    return memory.embedding[jnp.argsort(order)]


def updated_edges(
    weight: jax.Array,
    route: Route,
    success: jax.Array,
    learning: float | jax.Array,
    *,
    rule: str,
    evolution: Evolution,
) -> jax.Array:
    """Edge weights ``[N, J]`` after a task: edges on its path move with its success.

    Args:
        weight: ``[N, J]``, before.
        route: the task's path.
        success: ``float32[]``, 0 or 1; a hop to a dead agent counts as 0.
        learning: ``bool[]``; false changes no edge.
        rule: ``"paper"`` or ``"code"``.
        evolution: constants.
    """
    for h in range(route.at.shape[0]):
        old = weight[route.at[h], route.slot[h]]
        result = jnp.where(route.arrived[h], success, 0.0)
        if rule == "paper":
            new = evolution.edge_decay * old + (1.0 - evolution.edge_decay) * result
        else:
            new = jnp.clip(old * jnp.where(result > 0, 1.1, 0.9), 0.1, 2.0)
        changed = jnp.where(route.moved[h] & learning, new, old)
        weight = weight.at[route.at[h], route.slot[h]].set(changed)
    return weight


def learn_parts(
    world: Population,
    state: NetState,
    task: Tasks,
    demand: jax.Array,
    agent: jax.Array,
    entry: jax.Array,
    execution: Execution,
    learning: float | jax.Array,
    *,
    rule: str,
    evolution: Evolution,
) -> NetState:
    """Update capabilities and memories by the outcome of each part.

    Rows of agents are updated one by one: choosing between two whole states would copy all
    memories.

    Args:
        world: numbers of topics.
        state: before.
        task: a single task.
        demand: ``float32[P, K]``.
        agent: ``int32[P]``, executors.
        entry: ``int32[]``, the agent at which the task entered, whose router remembers it.
        execution: outcomes and used fragments.
        learning: ``bool[]``; false changes nothing.
        rule: ``"paper"`` or ``"code"``.
        evolution: constants.
    """
    groups = world.topics.shape[1]
    capability, idle, router, executor = (
        state.capability,
        state.idle,
        state.router,
        state.executor,
    )
    for p in range(task.kind.shape[0]):
        i = jnp.maximum(agent[p], 0)
        learns = task.active[p] & learning
        outcome = execution.right[p].astype(jnp.float32)
        if rule == "paper":
            row = capability[i]
            rate = (1.0 - evolution.skill_decay) * demand[p]
            row = jnp.where(learns, row + rate * (outcome - row), row)
        else:
            row, idle_row = _rewarded(capability[i], idle[i], demand[p], outcome, learns)
            idle = idle.at[i].set(idle_row)
        capability = capability.at[i].set(row)
        used = (execution.slot[p], execution.hit[p])
        content = task.kind[p] * groups + task.topic[p]
        embedding, now = task.embedding[p], state.now
        executor = _insert(executor, i, embedding, content, outcome, now, learns, used)
        guide = jnp.where(learns, entry, 0)
        router = _insert(router, guide, embedding, i, outcome, now, learns, None)
    now = state.now + jnp.asarray(learning, jnp.float32)
    return state._replace(
        capability=capability, idle=idle, router=router, executor=executor, now=now
    )


def _rewarded(
    row: jax.Array, idle: jax.Array, demand: jax.Array, outcome: jax.Array, learns: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Capability and idle counter ``[K]`` by the published code's rule: growth, then decay."""
    top = jnp.arange(row.shape[0]) == jnp.argmax(demand)
    waited = jnp.where(top & (outcome > 0), 0.0, idle + 1.0)
    grown = jnp.minimum(row + 0.1 * outcome * top, 2.0)
    stale = waited >= 10.0
    grown = jnp.where(stale, jnp.maximum(0.9 * grown, 0.1), grown)
    waited = jnp.where(stale, 0.0, waited)
    return jnp.where(learns, grown, row), jnp.where(learns, waited, idle)


def _insert(
    memories: Memory,
    i: jax.Array,
    embedding: jax.Array,
    content: jax.Array,
    outcome: jax.Array,
    now: jax.Array,
    learns: jax.Array,
    used: tuple[jax.Array, jax.Array] | None,
) -> Memory:
    """Store a fragment in agent ``i``'s memory, after counting the use of retrieved ones."""
    own = jax.tree.map(lambda x: x[i], memories)
    if used is not None:
        own = mark_used(own, used[0], used[1] & learns, now)
    own = store(own, embedding, content, outcome, now, active=learns)
    return jax.tree.map(lambda x, row: x.at[i].set(row), memories, own)
