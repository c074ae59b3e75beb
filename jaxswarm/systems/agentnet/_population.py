"""Agents, embeddings and tasks of AgentNet.

Embeddings are fixed random projections of a task's type and topic plus noise, a stand-in for a text
model. Skills, types and topics are hidden from routers.

Shapes: ``N`` agents, ``K`` types, ``G`` topics of a type, ``D`` numbers of an embedding, ``P``
parts of a task, ``J`` neighbour slots.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network.process import expect_single
from jaxswarm.topology import Topology, in_neighbors
from jaxswarm.types import Key


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    """Agents, their graph and the embeddings of types and topics, made by :func:`population`.

    Attributes:
        skill: ``float32[N, K]`` hidden log-odds of success.
        prototypes: ``float32[K, D]`` of unit length, embeddings of the types, public.
        topics: ``float32[K, G, D]``, directions of the topics.
        neighbors: ``int32[N, J]``, in-neighbours.
        linked: ``bool[N, J]``, false on padding.
    """

    skill: jax.Array
    prototypes: jax.Array
    topics: jax.Array
    neighbors: jax.Array
    linked: jax.Array


class Tasks(NamedTuple):
    """Tasks, leaves ``[..., P]`` (``entry``: ``[...]``); ``kind`` and ``topic`` are hidden.

    Attributes:
        kind: ``int32``, type of each part.
        topic: ``int32``, in ``[0, G)``.
        embedding: ``float32[..., P, D]`` of unit length.
        active: ``bool``, whether the part exists.
        entry: ``float32`` in ``[0, 1)``, a uniform number that selects the agent it enters at.
        truth: ``int32``, right answer of each part, with a backend of your own; 0 when sampled.
        number: ``int32[...]``, of the task.
    """

    kind: jax.Array
    topic: jax.Array
    embedding: jax.Array
    active: jax.Array
    entry: jax.Array
    truth: jax.Array
    number: jax.Array


def population(
    key: Key,
    topology: Topology,
    num_types: int,
    *,
    num_topics: int = 8,
    size: int = 32,
    specialist_skill: float = 1.5,
    other_skill: float = -0.5,
) -> Population:
    """Make agents that are specialists of one type each, assigned in turn.

    Args:
        key: consumed.
        topology: a single graph; an agent forwards to its in-neighbours.
        num_types: ``K``, at least 1.
        num_topics: ``G``, at least 1.
        size: ``D``, at least 1.
        specialist_skill: mean log-odds of success in an agent's own type.
        other_skill: mean log-odds of success in all others.

    Raises:
        ValueError: naming the argument: a size below 1, a skill that is not finite, a sequence of
            graphs or a traced one.
    """
    checks.key(key)
    expect_single(topology, "population")
    checks.concrete("topology", topology)
    num_types = checks.whole("num_types", num_types, 1)
    num_topics = checks.whole("num_topics", num_topics, 1)
    size = checks.whole("size", size, 1)
    checks.real("specialist_skill", specialist_skill)
    checks.real("other_skill", other_skill)
    n = topology.num_agents
    keys = jax.random.split(key, 4)
    special = (jnp.arange(n) % num_types)[:, None] == jnp.arange(num_types)[None, :]
    noise = 0.4 * jax.random.normal(keys[0], (n, num_types))
    skill = jnp.where(special, specialist_skill, other_skill) + noise
    lists = in_neighbors(topology)
    return Population(
        skill,
        _unit(jax.random.normal(keys[1], (num_types, size))),
        _unit(jax.random.normal(keys[2], (num_types, num_topics, size))),
        jnp.asarray(lists.neighbors),
        jnp.asarray(lists.mask),
    )


def sample_tasks(
    key: Key, world: Population, count: int, *, parts: int = 2, part_probability: float = 0.3
) -> Tasks:
    """Draw ``count`` random tasks of one part, each further part with ``part_probability``.

    Args:
        key: consumed.
        world: types, topics and their embeddings.
        count: at least 1.
        parts: ``P``, at least 1.
        part_probability: of a further part, in ``[0, 1]``.

    Raises:
        ValueError: if ``count`` or ``parts`` is below 1, or the probability is out of range.
    """
    checks.key(key)
    checks.instance("world", world, Population, "agentnet.population(key, graph, 3)")
    count, parts = checks.whole("count", count, 1), checks.whole("parts", parts, 1)
    checks.probability("part_probability", part_probability)
    kinds, topics, size = world.topics.shape
    keys = jax.random.split(key, 5)
    kind = jax.random.randint(keys[0], (count, parts), 0, kinds)
    topic = jax.random.randint(keys[1], (count, parts), 0, topics)
    noise = _unit(jax.random.normal(keys[2], (count, parts, size)))
    embedding = _unit(world.prototypes[kind] + 0.8 * world.topics[kind, topic] + 0.35 * noise)
    extra = jax.random.uniform(keys[3], (count, parts)) < part_probability
    active = jnp.cumprod(extra.at[:, 0].set(True), axis=1).astype(bool)
    entry = jax.random.uniform(keys[4], (count,))
    return Tasks(kind, topic, embedding, active, entry, jnp.zeros_like(kind), jnp.arange(count))


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)
