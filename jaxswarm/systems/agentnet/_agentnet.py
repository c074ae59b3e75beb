"""AgentNet: agents who forward, split or execute tasks over edges that evolve with success.

A task enters at a random agent (local entry: a global best match would hide the router). The agent
compares its own learnt capability with what it sees of its neighbours and with similar fragments of
its router memory; then it executes, does its parts and passes on the rest, or forwards. No agent is
visited twice, so a task's way is acyclic. Outcomes change edges, capabilities and memories.

Embeddings are fixed random projections of a task's type and topic plus noise, a stand-in for a text
model. Skills, types and topics are hidden; a router sees the embedding only. A remembered success
helps an executor if its topic is that of the task, which keys alone decide how to find.

Shapes: ``N`` agents, ``K`` types, ``G`` topics of a type, ``D`` numbers of an embedding, ``P``
parts of a task, ``J`` neighbour slots, ``C`` fragments.

References: Y. Yang et al., AgentNet: decentralized evolutionary coordination for LLM-based
    multi-agent systems, 2025 (``rule="paper"``), and its code, which differs (``rule="code"``).
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.coordination.memory import Memory, empty_memory, remembered, retrieve, touched
from jaxswarm.topology import Topology, in_neighbors

RULES = ("paper", "code")
EXECUTED, SPLIT, FORWARDED = 0, 1, 2


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Population:
    """The world. Build it with :func:`population`.

    Attributes:
        skill: ``float32[N, K]`` hidden log-odds of success.
        prototypes: ``float32[K, D]`` of unit length, embeddings of the types, public.
        topics: ``float32[K, G, D]``, directions of the topics.
        neighbours: ``int32[N, J]``.
        linked: ``bool[N, J]``, false on padding.
    """

    skill: Any
    prototypes: Any
    topics: Any
    neighbors: Any
    linked: Any


class Tasks(NamedTuple):
    """Tasks, leaves ``[..., P]`` (``entry``: ``[...]``); ``kind`` and ``topic`` are hidden.

    Attributes:
        kind: ``int32``.
        topic: ``int32``, in ``[0, G)``.
        key: ``float32[..., P, D]`` of unit length, the embedding.
        active: ``bool``, whether the part exists.
        entry: ``float32`` in ``[0, 1)``, the lot that says where it enters.
    """

    kind: jax.Array
    topic: jax.Array
    key: jax.Array
    active: jax.Array
    entry: jax.Array


class Choices(NamedTuple):
    """What an arm does; all may be traced.

    Attributes:
        random_operation: execute, split or forward by lot.
        random_next: forward to any unvisited neighbour.
        router: one router who sees everybody's capability chooses who does each part.
        routed: false: whom the task meets executes it.
        executor_memory: fragments help to execute.
        shuffled: their keys are permuted.
    """

    random_operation: Any = False
    random_next: Any = False
    router: Any = False
    routed: Any = True
    executor_memory: Any = True
    shuffled: Any = False


class Evolution(NamedTuple):
    """Constants; all may be traced.

    Attributes:
        edge_memory: ``alpha`` of ``w <- alpha w + (1 - alpha) success``.
        skill_memory: ``beta`` of the capabilities.
        threshold: edges at or below it are not used.
        margin: a neighbour must be better by this.
        help: log-odds that a full set of fitting fragments adds.
        likeness: below it a fragment is not retrieved.
        trust: weight of the router's memory.
        edge_weight: weight of the edge in the choice of the next agent.
    """

    edge_memory: Any = 0.9
    skill_memory: Any = 0.9
    threshold: Any = 0.3
    margin: Any = 0.05
    help: Any = 1.2
    likeness: Any = 0.7
    trust: Any = 0.2
    edge_weight: Any = 0.05


class NetState(NamedTuple):
    """``capability [N, K]``, ``weight [N, J]``, ``idle [N, K]``; memories ``[N, ...]``; ``now``."""

    capability: jax.Array
    weight: jax.Array
    idle: jax.Array
    router: Memory
    executor: Memory
    now: jax.Array


class NetInfo(NamedTuple):
    """Of one task.

    Attributes:
        success: ``float32[]``, 1 if all parts are right.
        hops: ``int32[]``.
        agent: ``int32[P]``, who did the part; -1 where there is none.
        kind: ``int32[P]``, its type; -1 where there is none.
        edges: ``int32[]``, in use.
    """

    success: jax.Array
    hops: jax.Array
    agent: jax.Array
    kind: jax.Array
    edges: jax.Array


class AgentNet(NamedTuple):
    """``init() -> state`` and ``step(key, state, task, choices, alive, learning)``."""

    init: Any
    step: Any


def population(
    key: jax.Array,
    topology: Topology,
    num_types: int,
    *,
    num_topics: int = 8,
    size: int = 32,
    speciality: float = 1.5,
    other: float = -0.5,
) -> Population:
    """Agents with one speciality each, dealt in turn; neighbours are those they hear.

    Raises:
        ValueError: if a number is below 1.
    """
    for name, value in (("num_types", num_types), ("num_topics", num_topics), ("size", size)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    n = topology.num_agents
    keys = jax.random.split(key, 4)
    special = (jnp.arange(n) % num_types)[:, None] == jnp.arange(num_types)[None, :]
    noise = 0.4 * jax.random.normal(keys[0], (n, num_types))
    skill = jnp.where(special, speciality, other) + noise
    lists = in_neighbors(topology)
    return Population(
        skill,
        _unit(jax.random.normal(keys[1], (num_types, size))),
        _unit(jax.random.normal(keys[2], (num_types, num_topics, size))),
        jnp.asarray(lists.neighbors),
        jnp.asarray(lists.mask),
    )


def tasks(
    key: jax.Array, world: Population, count: int, *, parts: int = 2, more: float = 0.3
) -> Tasks:
    """``count`` random tasks of one part, each further part with chance ``more``.

    Raises:
        ValueError: if ``count`` or ``parts`` is below 1 (a task demands something).
    """
    if count < 1 or parts < 1:
        raise ValueError(f"count, parts: expected at least 1 each, got {count}, {parts}")
    kinds, topics, size = world.topics.shape
    keys = jax.random.split(key, 5)
    kind = jax.random.randint(keys[0], (count, parts), 0, kinds)
    topic = jax.random.randint(keys[1], (count, parts), 0, topics)
    noise = _unit(jax.random.normal(keys[2], (count, parts, size)))
    embedding = _unit(world.prototypes[kind] + 0.8 * world.topics[kind, topic] + 0.35 * noise)
    extra = jax.random.uniform(keys[3], (count, parts)) < more
    active = jnp.cumprod(extra.at[:, 0].set(True), axis=1).astype(bool)
    return Tasks(kind, topic, embedding, active, jax.random.uniform(keys[4], (count,)))


def agentnet(
    world: Population,
    *,
    rule: str = "paper",
    capacity: int = 40,
    retrieved: int = 3,
    hops: int = 4,
    evolution: Evolution = Evolution(),  # noqa: B008
) -> AgentNet:
    """The system: one task per step.

    Args:
        world: agents, embeddings, neighbours.
        rule: one of :data:`RULES`: how edges and capabilities move.
        capacity: ``C`` of each agent's two memories.
        retrieved: fragments looked up, at most ``C``.
        hops: agents that a task may meet before it must be executed.
        evolution: constants.

    Raises:
        ValueError: naming the argument.
    """
    if rule not in RULES:
        raise ValueError(f"rule: expected one of {RULES}, got {rule!r}")
    if not 1 <= retrieved <= capacity:
        raise ValueError(f"retrieved: expected 1 to capacity={capacity}, got {retrieved}")
    if hops < 1:
        raise ValueError(f"hops: expected at least 1, got {hops}")
    check_evolution(evolution)
    n, kinds = world.skill.shape
    groups, size = world.topics.shape[1:]
    slots = world.neighbors.shape[1]

    def init() -> NetState:
        blank = jax.vmap(lambda _: empty_memory(capacity, size))(jnp.arange(n))
        return NetState(
            jnp.full((n, kinds), 0.6),
            jnp.where(world.linked, 1.0, 0.0),
            jnp.zeros((n, kinds)),
            blank,
            blank,
            jnp.zeros(()),
        )

    def needs(key: jax.Array) -> jax.Array:
        sharp = jnp.maximum(key @ world.prototypes.T, 0.0) ** 4
        return sharp / jnp.maximum(sharp.sum(axis=-1, keepdims=True), 1e-9)

    def advice(memory: Memory, key: jax.Array, who: jax.Array) -> jax.Array:
        """Trust in agents ``who [J]`` from similar tasks."""
        slot, like = retrieve(memory, key, retrieved)
        weight = (like > evolution.likeness) * (memory.outcome[slot] - 0.5)
        return jnp.sum((memory.content[slot][None, :] == who[:, None]) * weight[None, :], axis=1)

    def execute(key: jax.Array, memory: Memory, i: Any, task: Tasks, choices: Choices) -> Any:
        """``(bool[P], slots [P, k], hits [P, k])`` if agent ``i`` did every part."""
        lots = jax.random.uniform(key, task.kind.shape)
        order = jax.random.permutation(jax.random.fold_in(key, 1), capacity)
        count = jnp.sum(memory.filled)
        # A permutation of the filled part: fragments fill slots from the first on.
        shift = jnp.where(jnp.arange(capacity) < count, (order % jnp.maximum(count, 1)), order)
        keys = jnp.where(choices.shuffled, memory.key[shift], memory.key)
        found = [retrieve(memory._replace(key=keys), k, retrieved) for k in task.key]
        slot, like = (jnp.stack(x) for x in zip(*found, strict=True))
        hit = like > evolution.likeness
        fits = memory.content[slot] == (task.kind * groups + task.topic)[:, None]
        useful = jnp.mean(hit * fits * memory.outcome[slot], axis=1)
        bonus = jnp.where(choices.executor_memory, evolution.help * useful, 0.0)
        chance = jax.nn.sigmoid(world.skill[i, task.kind] + bonus)
        return lots < chance, slot, hit

    def step(
        key: jax.Array, state: NetState, task: Tasks, choices: Choices, alive: Any, learning: Any
    ) -> tuple[NetState, NetInfo]:
        demand = needs(task.key)  # [P, K], all that a router knows
        living = jnp.flatnonzero(alive, size=n, fill_value=-1)
        count = jnp.sum(alive)
        first = living[jnp.minimum((task.entry * count).astype(jnp.int32), count - 1)]
        known = jnp.where(alive[:, None], state.capability @ demand.T, -jnp.inf)
        best = jnp.argmax(known, axis=0)  # of each part, for a router who sees everybody
        stay = choices.router | ~jnp.asarray(choices.routed)

        def hop(carry: Any, index: jax.Array) -> tuple[Any, Any]:
            at, left, seen, agent = carry
            keys = jax.random.split(jax.random.fold_in(key, index), 3)
            others, weight = world.neighbors[at], state.weight[at]
            fit = world.linked[at] & (weight > evolution.threshold) & ~seen[others]
            memory = jax.tree.map(lambda x: x[at], state.router)
            who = jnp.concatenate([others, at[None]])
            view = state.capability[who] @ demand.T  # [J + 1, P]
            told = jnp.stack([advice(memory, k, who) for k in task.key], axis=1)
            view = view + evolution.trust * told
            mine, theirs = view[-1], view[:-1] + evolution.edge_weight * weight[:, None]
            rival = jnp.max(jnp.where(fit[:, None], view[:-1], -jnp.inf), axis=0)
            keep = left & (mine >= rival - evolution.margin)
            # By lot: everything, the best part, nothing.
            lot = jax.random.randint(keys[0], (), 0, 3)
            one = left & (jnp.arange(left.shape[0]) == jnp.argmax(jnp.where(left, mine, -jnp.inf)))
            by_lot = jnp.where(lot == EXECUTED, left, jnp.where(lot == SPLIT, one, False))
            keep = jnp.where(choices.random_operation, by_lot, keep)
            last = ~fit.any() | stay | (index == hops - 1)
            keep = jnp.where(last, left, keep)
            rest = left & ~keep
            score = jnp.sum(jnp.where(rest[None, :], theirs, 0.0), axis=1)
            lots = jax.random.uniform(keys[1], (slots,))
            score = jnp.where(choices.random_next, lots, score)
            slot = jnp.argmax(jnp.where(fit, score, -jnp.inf))
            to = others[slot]
            moved = rest.any()
            there = moved & alive[to]  # no answer from the dead: the hop is lost
            seen = seen.at[at].set(True).at[to].set(seen[to] | moved)
            agent = jnp.where(keep, at, agent)
            after = (jnp.where(there, to, at), rest, seen, agent)
            return after, (at, slot, moved, there)

        none = jnp.full(task.kind.shape, -1, jnp.int32)
        start = (first.astype(jnp.int32), task.active, jnp.zeros(n, bool), none)
        (_, _, _, agent), (at, slot, moved, there) = jax.lax.scan(hop, start, jnp.arange(hops))

        central = jnp.where(task.active, best, -1).astype(jnp.int32)
        agent = jnp.where(choices.router, central, agent)
        dice = jax.random.fold_in(key, hops)
        own = jax.tree.map(lambda x: x[agent], state.executor)
        right, used, hit = jax.vmap(lambda m, i: execute(dice, m, i, task, choices))(own, agent)
        diagonal = jnp.arange(agent.shape[0])
        right, used, hit = right[diagonal, diagonal], used[diagonal, diagonal], hit[
            diagonal, diagonal
        ]  # fmt: skip
        success = jnp.all(right | ~task.active)

        # Evolution: edges by the outcome of the parts that crossed them, capabilities by part.
        weight = state.weight
        outcome = success.astype(jnp.float32)
        for h in range(hops):
            old = weight[at[h], slot[h]]
            result = jnp.where(there[h], outcome, 0.0)
            if rule == "paper":
                new = evolution.edge_memory * old + (1.0 - evolution.edge_memory) * result
            else:
                new = jnp.clip(old * jnp.where(result > 0, 1.1, 0.9), 0.1, 2.0)
            weight = weight.at[at[h], slot[h]].set(jnp.where(moved[h] & learning, new, old))
        capability, idle, executor, router = (
            state.capability, state.idle, state.executor, state.router,
        )  # fmt: skip
        for p in range(task.kind.shape[0]):
            who = jnp.maximum(agent[p], 0)
            did = task.active[p] & learning
            good = right[p].astype(jnp.float32)
            row = capability[who]
            if rule == "paper":
                rate = (1.0 - evolution.skill_memory) * demand[p]
                row = jnp.where(did, row + rate * (good - row), row)
            else:
                top = jnp.arange(kinds) == jnp.argmax(demand[p])
                waited = jnp.where(top & (good > 0), 0.0, idle[who] + 1.0)
                grown = jnp.minimum(row + 0.1 * good * top, 2.0)
                stale = waited >= 10.0
                grown = jnp.where(stale, jnp.maximum(0.9 * grown, 0.1), grown)
                row = jnp.where(did, grown, row)
                waited = jnp.where(stale, 0.0, waited)
                idle = idle.at[who].set(jnp.where(did, waited, idle[who]))
            capability = capability.at[who].set(row)
            content = task.kind[p] * groups + task.topic[p]
            executor = _insert(
                executor, who, task.key[p], content, good, state.now, did, (used[p], hit[p])
            )
            guide = jnp.where(did, at[0], 0)
            router = _insert(router, guide, task.key[p], who, good, state.now, did, None)
        # Rows are gated one by one: choosing between two whole states would copy all memories.
        later = state.now + jnp.asarray(learning, jnp.float32)
        after = NetState(capability, weight, idle, router, executor, later)
        info = NetInfo(
            outcome,
            jnp.sum(moved),
            jnp.where(task.active, agent, -1),
            jnp.where(task.active, task.kind, -1),
            jnp.sum(world.linked & (weight > evolution.threshold)),
        )
        return after, info

    return AgentNet(init, step)


def _insert(
    memories: Memory, who: Any, key: Any, content: Any, outcome: Any, now: Any, did: Any, used: Any
) -> Memory:
    own = jax.tree.map(lambda x: x[who], memories)
    if used is not None:
        own = touched(own, used[0], used[1] & did, now)
    own = remembered(own, key, content, outcome, now, active=did)
    return jax.tree.map(lambda x, row: x.at[who].set(row), memories, own)


def check_evolution(evolution: Evolution) -> None:
    """Refuse constants that make no sense, where they are concrete.

    Raises:
        ValueError: naming the constant.
    """
    from jaxswarm.topology.validation import is_traced

    for name in ("edge_memory", "skill_memory"):
        value = getattr(evolution, name)
        if not is_traced(value) and not 0 <= value <= 1:
            raise ValueError(f"{name}: expected a number in [0, 1], got {value}")


def _unit(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)
