"""SybilWall: compare neighbours' histories with histories that travel, so that copies meet.

A Sybil attacker sends one model from many identities. If each identity has another victim, no
victim ever sees two copies side by side. So every node passes on, with every model it sends, one
record about somebody else: whose it is, how recent, how many hops away, and its history. A node
weighs its *neighbours* by how unlike their histories are to all it has stored.

**What a history is.** The published code starts it as the first model heard and adds the difference
of successive models: that sum telescopes to the latest model, which is what ``history="model"``
keeps. From a common start of non-linear networks all models point nearly the same way; for these
``history="displacement"`` subtracts each node's own initial model, the sum without its first term.

The released code's last revision pairs the own model with a distant node's weight and loses mass;
this follows the paper and the revision before: only neighbours' weights are used, the own model
weighs 1, and what is used sums to one.

Shapes: ``N`` agents, ``D`` in-neighbour slots, ``K`` slots of a node's memory (``D`` for its
neighbours, the rest for records that travelled), ``P`` parameters.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
    C. Fung, C. Yoon, I. Beschastnikh, The limitations of federated learning in Sybil settings,
    2020 (the weights).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, errors
from jaxswarm.gossip.robust._foolsgold import foolsgold_weights
from jaxswarm.gossip.robust._neighborhoods import Neighborhoods, neighborhoods
from jaxswarm.gossip.rounds import both
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic
from jaxswarm.topology import Topology

HISTORIES = ("model", "displacement")
_NOBODY = -1
_FURTHER = 1_000_000  # rounds of age that one hop outweighs; whole numbers, exact to 2,000 hops


class Records(NamedTuple):
    """What nodes remember of others; the first ``D`` slots are the neighbours', in their order.

    Attributes:
        identity: ``int32[N, K]``, whose it is, ``-1`` in an empty slot.
        round: ``int32[N, K]``, when that node's history was last heard by a neighbour of it.
        distance: ``int32[N, K]``, hops it travelled; 1 for neighbours.
        source: ``int32[N, K]``, from whom it came.
        history: ``float32[N, K, P]``.
    """

    identity: jax.Array
    round: jax.Array
    distance: jax.Array
    source: jax.Array
    history: jax.Array


class SybilWallState(NamedTuple):
    """``records``, the initial models ``[N, P]`` or ``None``, and how many were evicted so far."""

    records: Records
    initial: Any
    evicted: jax.Array


def sybilwall(
    topology: Topology,
    *,
    decay: float = 0.8,
    traveled: int = 32,
    history: str = "model",
    gossip_histories: bool = True,
    member: int | jax.Array = 0,
    chunk: int | None = None,
) -> GossipTransformation:
    """Average with weights that fall with the similarity of histories, near and travelled.

    Args:
        topology: undirected; a single graph, or a batch of which ``member`` is used.
        decay: ``λ > 0``: a record ``d`` hops away is passed on with chance proportional to
            ``λ e^(−λ(d − 1))``. The paper's is 0.8.
        travelled: slots for records of non-neighbours, at least 1. Beyond it the furthest, then the
            oldest, gives way; evictions are counted in the state.
        history: ``"model"`` (as published) or ``"displacement"``.
        gossip_histories: false compares neighbours only: the ablation.
        member: which graph of a batch; may be traced, so that a sweep over graphs compiles once.
        chunk: agents that compare at a time, by default 64; on a CPU one, whose histories stay in
            the cache.

    Returns:
        A rule whose traffic counts a model and a record for every link. Its extra ``withholds:
        bool[N]`` names agents that pass no record on, as an attacker would not.

    Raises:
        ValueError: on ``decay <= 0``, ``travelled < 1``, ``chunk < 1``, an unknown history or a
            directed graph.
    """
    if not (decay > 0.0 and math.isfinite(decay)):
        raise ValueError(f"decay: expected a positive number, got {decay}")
    if traveled < 1:
        raise ValueError(f"traveled: expected at least 1 slot, got {traveled}")
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1 agent at a time, got {chunk}")
    if history not in HISTORIES:
        raise errors.unknown("history", history, HISTORIES)
    _expect_undirected(topology)
    lists = neighborhoods(topology)
    n, width = lists.real.shape[-2:]
    slots = width + traveled
    together = chunk or (1 if jax.default_backend() == "cpu" else 64)

    def init(params: PyTree) -> SybilWallState:
        agents.check_leading_axis(params, n, "params")
        flat, _ = agents.ravel(params)
        empty = jnp.zeros((n, slots), jnp.int32)
        records = Records(
            identity=jnp.full((n, slots), _NOBODY, jnp.int32),
            round=empty - 1,
            distance=empty,
            source=jnp.full((n, slots), _NOBODY, jnp.int32),
            history=jnp.zeros((n, slots, flat.shape[1]), jnp.float32),
        )
        initial = flat.astype(jnp.float32) if history == "displacement" else None
        return SybilWallState(records, initial, jnp.int32(0))

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: SybilWallState,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        withholds: jax.Array | None = None,
        **extra: Any,
    ) -> tuple[PyTree, SybilWallState, Traffic]:
        del extra
        agents.check_leading_axis(params, n, "params")
        index = jnp.asarray(round.index, jnp.int32)
        here = _member(lists, member) if topology.is_sequence else lists
        own, unravel = agents.ravel(params)
        told = own if messages is None else agents.ravel(messages)[0]
        own, told = own.astype(jnp.float32), told.astype(jnp.float32)
        arrived = _arrived(here, told, round, n)
        told = jnp.where(jnp.isfinite(told), told, 0.0)

        records, evicted = state.records, state.evicted
        if gossip_histories:
            passes = arrived if withholds is None else arrived & ~withholds[here.neighbors]
            carried = _picked(key, records, here, passes, decay)
            records, lost = _received(records, carried, here, width)
            evicted = evicted + lost
        told_history = told if state.initial is None else told - state.initial
        records = _heard(records, told_history, here, arrived, index, width)

        def aggregate(slot: Any) -> jax.Array:
            own, neighbors, arrived, identity, history = slot
            there = identity != _NOBODY
            near = jnp.zeros(slots, bool).at[:width].set(arrived)
            weights = foolsgold_weights(history, there, near)[:width]
            total = 1.0 + jnp.sum(weights)
            return (own + weights @ told[neighbors]) / total

        mixed = jax.lax.map(
            aggregate,
            (own, here.neighbors, arrived, records.identity, records.history),
            batch_size=min(n, together),
        )
        count = jnp.sum(arrived).astype(jnp.float32)
        size = agents.size_of_one(params)[1]
        passed = jnp.float32(0.0)
        if gossip_histories:
            passed = jnp.sum(carried.identity != _NOBODY).astype(jnp.float32)
        traffic = Traffic(count + passed, (count + passed) * size)
        return (
            unravel(mixed.astype(own.dtype)),
            SybilWallState(records, state.initial, evicted),
            (traffic),
        )

    return GossipTransformation(init, mix_fn)


def _member(lists: Neighborhoods, index: int | jax.Array) -> Neighborhoods:
    return jax.tree.map(lambda leaf: leaf[index], lists)


def _arrived(member: Neighborhoods, told: jax.Array, round: Exchange, n: int) -> jax.Array:
    """``bool[N, D]``: which slots bring a sound message this round."""
    sound = jnp.isfinite(told).all(axis=1)
    arrived = member.real & sound[member.neighbors]
    active = both(round.alive, round.participates)
    if active is not None:
        arrived &= active[:, None] & active[member.neighbors]
    if round.delivered is not None:
        arrived &= round.delivered[member.edges]
    return arrived


def _picked(
    key: jax.Array, records: Records, member: Neighborhoods, arrived: jax.Array, decay: float
) -> Records:
    """What comes along each slot: leaves ``[N, D, ...]``, identity ``-1`` where nothing does."""
    n, width = member.neighbors.shape
    receiver = jnp.arange(n, dtype=jnp.int32)

    def one(key: jax.Array, receiver: jax.Array, sender: jax.Array, comes: jax.Array) -> Records:
        identity, source = records.identity[sender], records.source[sender]
        # Neither the receiver's own, nor what it told the sender. Nobody stores its own record.
        fit = (identity != _NOBODY) & (identity != receiver) & (source != receiver)
        far = records.distance[sender].astype(jnp.float32)
        lots = -decay * (far - 1.0) + jax.random.gumbel(key, identity.shape)
        slot = jnp.argmax(jnp.where(fit, lots, -jnp.inf))
        some = comes & jnp.any(fit)
        return Records(
            identity=jnp.where(some, identity[slot], _NOBODY),
            round=records.round[sender, slot],
            distance=records.distance[sender, slot] + 1,
            source=sender,
            history=records.history[sender, slot],
        )

    keys = jax.vmap(lambda k: jax.random.split(k, width))(agents.keys(key, n))
    over_slots = jax.vmap(one, (0, None, 0, 0))
    return jax.vmap(over_slots)(keys, receiver, member.neighbors, arrived)


def _received(
    records: Records, carried: Records, member: Neighborhoods, width: int
) -> tuple[Records, jax.Array]:
    """Store what arrived, slot by slot; ``(records, evictions)``."""

    def node(mine: Records, brought: Records, neighbors: jax.Array, real: jax.Array) -> Any:
        def insert(carry: Any, new: Records) -> tuple[Any, None]:
            mine, lost = carry
            traveled = jnp.arange(mine.identity.shape[0]) >= width
            known_near = jnp.any((neighbors == new.identity) & real)
            same = traveled & (mine.identity == new.identity)
            empty = traveled & (mine.identity == _NOBODY)
            # Who gives way: the furthest, among these the oldest.
            worth = jnp.where(traveled, mine.distance * _FURTHER - mine.round, -_FURTHER)
            worst = jnp.argmax(worth)
            incoming = new.distance * _FURTHER - new.round
            held = jnp.any(same)
            place = jnp.where(
                held, jnp.argmax(same), jnp.where(jnp.any(empty), jnp.argmax(empty), worst)
            )
            fresher = new.round > mine.round[place]
            better = incoming < worth[worst]
            keep = jnp.where(held, fresher, jnp.any(empty) | better)
            keep &= (new.identity != _NOBODY) & ~known_near
            full = ~held & ~jnp.any(empty) & (new.identity != _NOBODY) & ~known_near
            stored = jax.tree.map(
                lambda old, x: old.at[place].set(jnp.where(keep, x, old[place])), mine, new
            )
            return (stored, lost + full.astype(jnp.int32)), None

        return jax.lax.scan(insert, (mine, jnp.int32(0)), brought)[0]

    stored, lost = jax.vmap(node)(records, carried, member.neighbors, member.real)
    return stored, jnp.sum(lost)


def _heard(
    records: Records,
    told: jax.Array,
    member: Neighborhoods,
    arrived: jax.Array,
    index: jax.Array,
    width: int,
) -> Records:
    """Neighbours' own slots after their messages of this round."""

    def put(field: jax.Array, new: Any) -> jax.Array:
        column = arrived.reshape(arrived.shape + (1,) * (field.ndim - 2))
        return field.at[:, :width].set(jnp.where(column, new, field[:, :width]))

    return Records(
        identity=put(records.identity, member.neighbors),
        round=put(records.round, index),
        distance=put(records.distance, 1),
        source=put(records.source, member.neighbors),
        history=put(records.history, told[member.neighbors]),
    )


def _expect_undirected(topology: Topology) -> None:
    members = [topology[t] for t in range(topology.length)] if topology.is_sequence else [topology]
    for member in members:
        mask = np.asarray(member.mask)
        senders, receivers = np.asarray(member.senders)[mask], np.asarray(member.receivers)[mask]
        n = member.num_agents
        forward = np.sort(senders.astype(np.int64) * n + receivers)
        if not np.array_equal(forward, np.sort(receivers.astype(np.int64) * n + senders)):
            raise ValueError("topology: sybilwall expects an undirected graph, got a directed one")
