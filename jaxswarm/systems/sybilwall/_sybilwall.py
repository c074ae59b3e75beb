"""SybilWall: FoolsGold weights over histories that are also exchanged beyond the neighbours.

A Sybil attacker sends one model from many identities. If each identity has another victim, no
victim receives two copies to compare. So every agent forwards, with every model it sends, one
record of another agent: its identity, how recent it is, how many hops it travelled, and the
history. An agent weighs its *neighbours* by how unlike their histories are to all that it has
stored.

**Definition of a history.** The published code starts it as the first model received and adds the
difference of successive models: that sum telescopes to the latest model, which is what
``history="model"`` keeps. From a common start of non-linear networks all models point nearly the
same way; for these ``history="displacement"`` subtracts each agent's own initial model, the sum
without its first term.

The released code's last revision pairs the own model with a distant agent's weight and loses mass;
this follows the paper and the revision before: only neighbours' weights are used, the own model
weighs 1, and the weights used sum to one.

Shapes: ``N`` agents, ``D`` in-neighbour slots, ``K`` record slots of an agent (``D`` for its
neighbours, the rest for records that travelled), ``P`` parameters.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
    C. Fung, C. Yoon, I. Beschastnikh, The limitations of federated learning in Sybil settings,
    2020 (the weights).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.robust import foolsgold_weights
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology import InNeighbors, Topology, in_neighbors, require_symmetric
from jaxswarm.topology.validation import require_topology
from jaxswarm.types import Key, Params

HISTORIES = ("model", "displacement")
_EMPTY = -1  # identity in a slot without a record
_LARGE = 1e15  # entries up to which squares of histories of 10^8 parameters stay finite
_HOP_WEIGHT = 1_000_000  # rounds of age that one hop outweighs; exact in int32 to 2,000 hops


class Records(NamedTuple):
    """Records that agents store of others; the first ``D`` slots are the neighbours', in order.

    Attributes:
        identity: ``int32[N, K]``, the agent a record is about, ``-1`` in an empty slot.
        round: ``int32[N, K]``, when a neighbour of that agent last received its model.
        distance: ``int32[N, K]``, hops it travelled; 1 for neighbours.
        source: ``int32[N, K]``, the neighbour that sent it.
        history: ``float32[N, K, P]``.
    """

    identity: jax.Array
    round: jax.Array
    distance: jax.Array
    source: jax.Array
    history: jax.Array


class SybilWallState(NamedTuple):
    """``records``, initial models ``[N, P]`` or ``None``, and the number of records evicted."""

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
    """Average with weights that fall with the similarity of stored histories (SybilWall).

    Args:
        topology: undirected; a single graph, or a batch of which ``member`` is used.
        decay: ``λ`` in ``(0, 1]``: a record ``d`` hops away is forwarded with probability ∝
            ``λ e^(−λ(d − 1))``. The paper's is 0.8.
        traveled: slots for records of non-neighbours, at least 1. When they are full, the furthest
            record, then the oldest, is replaced; evictions are counted in the state.
        history: ``"model"`` (as published) or ``"displacement"``.
        gossip_histories: false compares neighbours only: the ablation.
        member: which graph of a batch, 0 for a single one; may be traced, so that a sweep over
            graphs compiles once.
        chunk: agents whose histories are compared at a time, by default 64; on a CPU one, whose
            histories stay in the cache.

    Returns:
        A rule that supports ``messages`` and the extra ``withholds: bool[N]``, agents that forward
        no record, as an attacker would not. Its traffic counts a model and a record for every link.

    Raises:
        ValueError: on ``decay`` outside ``(0, 1]``, ``traveled < 1``, ``chunk < 1``, an unknown
            history, a ``member`` that the batch does not have or a directed graph.
    """
    require_topology(topology)
    checks.real("decay", decay, high=1.0, above=0.0)
    traveled = checks.whole("traveled", traveled, 1)
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    checks.choice("history", history, HISTORIES)
    gossip_histories = checks.flag("gossip_histories", gossip_histories)
    member = checks.index("member", member, topology.length if topology.is_sequence else 1)
    lists = InNeighbors(*map(jnp.asarray, in_neighbors(topology)))
    require_symmetric(topology, "sybilwall")
    n, width = lists.mask.shape[-2:]
    slots = width + traveled
    together = chunk or (1 if jax.default_backend() == "cpu" else 64)

    def init(params: Params) -> SybilWallState:
        agents.check_params(params, n)
        flat, _ = agents.ravel(params)
        empty = jnp.zeros((n, slots), jnp.int32)
        records = Records(
            identity=jnp.full((n, slots), _EMPTY, jnp.int32),
            round=empty - 1,
            distance=empty,
            source=jnp.full((n, slots), _EMPTY, jnp.int32),
            history=jnp.zeros((n, slots, flat.shape[1]), jnp.float32),
        )
        initial = flat.astype(jnp.float32) if history == "displacement" else None
        return SybilWallState(records, initial, jnp.int32(0))

    def mix_fn(
        key: Key, params: Params, state: SybilWallState, exchange: Exchange
    ) -> tuple[Params, SybilWallState, Traffic]:
        agents.check_params(params, n)
        withholds = exchange.extras.get("withholds")
        if withholds is not None:
            withholds = checks.mask("withholds", withholds, (n,))
        index = jnp.asarray(exchange.index, jnp.int32)
        here = _member(lists, member) if topology.is_sequence else lists
        own, unravel = agents.ravel(params)
        own = own.astype(jnp.float32)
        messages = agents.ravel(exchange.sent(params))[0].astype(jnp.float32)
        arrived = _arrived(here, messages, exchange, n)
        messages = jnp.where(jnp.isfinite(messages), messages, 0.0)

        records, evicted = state.records, state.evicted
        if gossip_histories:
            forwards = arrived if withholds is None else arrived & ~withholds[here.neighbors]
            carried = pick_records(key, records, here, forwards, decay)
            records, lost = _store_carried(records, carried, here, width)
            evicted = evicted + lost
        histories = messages if state.initial is None else messages - state.initial
        histories = _bounded(histories)
        records = _store_neighbors(records, histories, here, arrived, index, width)

        def aggregate(slot: Any) -> jax.Array:
            own, neighbors, arrived, identity, history = slot
            stored = identity != _EMPTY
            near = jnp.zeros(slots, bool).at[:width].set(arrived)
            weights = foolsgold_weights(history, stored, near)[:width]
            total = 1.0 + jnp.sum(weights)
            average = (own + weights @ messages[neighbors]) / total
            # The sum of finite models may overflow, their average cannot.
            without_sum = own / total + (weights / total) @ messages[neighbors]
            overflows = jnp.isfinite(without_sum) & ~jnp.isfinite(average)
            return jnp.where(overflows, without_sum, average)

        mixed = jax.lax.map(
            aggregate,
            (own, here.neighbors, arrived, records.identity, records.history),
            batch_size=min(n, together),
        )
        count = jnp.sum(arrived).astype(jnp.float32)
        size = agents.message_size(params)[1]
        forwarded = jnp.float32(0.0)
        if gossip_histories:
            forwarded = jnp.sum(carried.identity != _EMPTY).astype(jnp.float32)
        traffic = Traffic(count + forwarded, (count + forwarded) * size)
        state = SybilWallState(records, state.initial, evicted)
        return unravel(mixed.astype(own.dtype)), state, traffic

    return GossipTransformation(init, mix_fn, frozenset({"messages", "withholds"}))


def _member(lists: InNeighbors, index: int | jax.Array) -> InNeighbors:
    return jax.tree.map(lambda leaf: leaf[index], lists)


def _bounded(histories: jax.Array) -> jax.Array:
    """Scale down histories whose squares would overflow, which keeps their directions."""
    histories = jnp.clip(histories, -jnp.finfo(jnp.float32).max, jnp.finfo(jnp.float32).max)
    peak = jnp.max(jnp.abs(histories), axis=1, keepdims=True, initial=0.0)
    return jnp.where(peak > _LARGE, histories / jnp.maximum(peak, 1.0) * _LARGE, histories)


def _arrived(lists: InNeighbors, messages: jax.Array, exchange: Exchange, n: int) -> jax.Array:
    """Mask ``bool[N, D]`` of slots in which a finite message arrives this round."""
    finite = jnp.isfinite(messages).all(axis=1)
    arrived = lists.mask & finite[lists.neighbors]
    active = exchange.active(n)
    if active is not None:
        arrived &= active[:, None] & active[lists.neighbors]
    if exchange.delivered is not None:
        arrived &= exchange.delivered[lists.edges]
    return arrived


def pick_records(
    key: Key, records: Records, lists: InNeighbors, arrived: jax.Array, decay: float
) -> Records:
    """Draw the record that is forwarded along each slot, near ones with higher probability.

    Returns:
        Leaves ``[N, D, ...]``, identity ``-1`` where none is forwarded.
    """
    n, width = lists.neighbors.shape
    receiver = jnp.arange(n, dtype=jnp.int32)

    def pick(key: jax.Array, receiver: jax.Array, sender: jax.Array, comes: jax.Array) -> Records:
        identity, source = records.identity[sender], records.source[sender]
        # Neither about the receiver, nor received from it. No agent stores a record of itself.
        fit = (identity != _EMPTY) & (identity != receiver) & (source != receiver)
        far = records.distance[sender].astype(jnp.float32)
        priority = -decay * (far - 1.0) + jax.random.gumbel(key, identity.shape)
        slot = jnp.argmax(jnp.where(fit, priority, -jnp.inf))
        found = comes & jnp.any(fit)
        return Records(
            identity=jnp.where(found, identity[slot], _EMPTY),
            round=records.round[sender, slot],
            distance=records.distance[sender, slot] + 1,
            source=sender,
            history=records.history[sender, slot],
        )

    keys = jax.vmap(lambda k: jax.random.split(k, width))(agents.keys(key, n))
    over_slots = jax.vmap(pick, (0, None, 0, 0))
    return jax.vmap(over_slots)(keys, receiver, lists.neighbors, arrived)


def _store_carried(
    records: Records, carried: Records, lists: InNeighbors, width: int
) -> tuple[Records, jax.Array]:
    """Store the forwarded records, slot by slot; ``(records, evictions)``."""

    def store(own: Records, received: Records, neighbors: jax.Array, real: jax.Array) -> Any:
        def insert(carry: Any, new: Records) -> tuple[Any, None]:
            own, lost = carry
            traveled = jnp.arange(own.identity.shape[0]) >= width
            known_near = jnp.any((neighbors == new.identity) & real)
            same = traveled & (own.identity == new.identity)
            empty = traveled & (own.identity == _EMPTY)
            # Replaced first: the furthest, among these the oldest.
            rank = jnp.where(traveled, own.distance * _HOP_WEIGHT - own.round, -_HOP_WEIGHT)
            worst = jnp.argmax(rank)
            incoming = new.distance * _HOP_WEIGHT - new.round
            held = jnp.any(same)
            place = jnp.where(
                held, jnp.argmax(same), jnp.where(jnp.any(empty), jnp.argmax(empty), worst)
            )
            fresher = new.round > own.round[place]
            better = incoming < rank[worst]
            keep = jnp.where(held, fresher, jnp.any(empty) | better)
            keep &= (new.identity != _EMPTY) & ~known_near
            full = ~held & ~jnp.any(empty) & (new.identity != _EMPTY) & ~known_near
            stored = jax.tree.map(
                lambda old, x: old.at[place].set(jnp.where(keep, x, old[place])), own, new
            )
            return (stored, lost + full.astype(jnp.int32)), None

        return jax.lax.scan(insert, (own, jnp.int32(0)), received)[0]

    stored, lost = jax.vmap(store)(records, carried, lists.neighbors, lists.mask)
    return stored, jnp.sum(lost)


def _store_neighbors(
    records: Records,
    histories: jax.Array,
    lists: InNeighbors,
    arrived: jax.Array,
    index: jax.Array,
    width: int,
) -> Records:
    """Update the neighbours' slots by their messages of this round."""

    def put(field: jax.Array, new: Any) -> jax.Array:
        old = field[:, :width]
        return field.at[:, :width].set(jnp.where(agents.expand(arrived, old), new, old))

    return Records(
        identity=put(records.identity, lists.neighbors),
        round=put(records.round, index),
        distance=put(records.distance, 1),
        source=put(records.source, lists.neighbors),
        history=put(records.history, histories[lists.neighbors]),
    )
