"""Build gossip rules from a function of one agent's whole neighbourhood.

Neighbourhoods are padded lists, gathered a few agents at a time.

Shapes: ``N`` agents, ``E`` directed edge slots, ``K`` in-neighbour slots, ``P`` parameters.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks, errors
from jaxswarm.checks import is_traced
from jaxswarm.gossip._operator import check_delivered, float_dtype, keep
from jaxswarm.gossip.traffic import Traffic, no_traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology import Topology, degrees, in_neighbors, require_topology
from jaxswarm.topology import weights as schemes
from jaxswarm.types import Key, Params, PyTree

CHUNK_BYTES = {"cpu": 3 * 2**19, "gpu": 2**26, "tpu": 2**26}
"""Size limit of one gather ``[chunk, K + 1, P]`` by backend, unless the caller sets ``chunk``. On
a CPU it stays within the second-level caches: an aggregate reads its candidates many times."""

SUPPORTS = frozenset({"messages", "per_receiver", "context", "public"})
"""What rules of :func:`over_neighborhoods` support."""


class WeightedLists(NamedTuple):
    """Padded in-neighbour lists and weights; of a sequence with a leading time axis.

    Attributes:
        neighbors: ``int32[..., N, K]``; padding slots hold the agent itself.
        edges: ``int32[..., N, K]``, position of each slot in the topology's edge order.
        mask: ``bool[..., N, K]``, false on padding slots.
        weights: ``float32[..., N, K]``, what the receiver gives the sender; 0 on padding slots.
    """

    neighbors: jax.Array
    edges: jax.Array
    mask: jax.Array
    weights: jax.Array


class Neighborhood(NamedTuple):
    """What one agent aggregates in a round.

    Attributes:
        own: ``float32[P]``, its own model.
        received: ``float32[K, P]``, finite; zeros where no (finite) message arrived.
        arrived: ``bool[K]``.
        weights: ``float32[K]``, 0 where nothing arrived.
        key: random key of this agent and round.
        context: this agent's part of the exchange's extra ``context``, such as private test data
            on which models are tried; ``None`` if nothing was given.
        public: what the senders in the slots publish as the extra ``public``, leaves ``[K, ...]``,
            or ``None``; undefined on slots where nothing arrived.
        stack: ``[M, P] -> models``, rows as a pytree of ``M`` stacked models.
    """

    own: jax.Array
    received: jax.Array
    arrived: jax.Array
    weights: jax.Array
    key: Any = None
    context: Any = None
    public: Any = None
    stack: Any = None


Aggregate = Callable[[Neighborhood, Any], tuple[jax.Array, Any]]
"""``aggregate(neighborhood, state) -> (new own model [P], state)`` of *one* agent."""


def over_neighborhoods(
    topology: Topology,
    aggregate: Aggregate,
    *,
    weights: str | Any = "uniform",
    init_state: Callable[[int, int, int], PyTree] | None = None,
    chunk: int | None = None,
) -> GossipTransformation:
    """Build a gossip rule from a function that aggregates the neighbourhood of one agent.

    All agents read the messages of before the round. A message with an entry that is NaN, infinite,
    or so large that the sum over a neighbourhood could overflow is dropped; a missing one (lost,
    sender or receiver absent) is not counted; an agent that gets none keeps its own model and
    state. The extra ``context``, leaves ``[N, ...]``, is handed to ``aggregate`` agent by
    agent, and ``public`` to the out-neighbours; neither is counted as traffic (see
    :func:`jaxswarm.gossip.with_extras`). The neighbourhoods are gathered ``chunk`` agents at a
    time, so memory is ``O(chunk · K · P)`` beside the parameters, whatever ``N`` is.

    Args:
        topology: the graph; a sequence is used cyclically.
        aggregate: ``aggregate(neighborhood, state) -> (model [P], state)`` of one agent.
        weights: what the receiver gives each sender: a scheme of ``topology.weights.SCHEMES`` or
            ``[..., E]``.
        init_state: ``(N, K, P) -> state``, leaves ``[N, ...]``, for rules with a state.
        chunk: agents at a time; by default as many as fit into a CPU's caches (1.5 MB of
            candidates), on other devices into 64 MB.

    Returns:
        A rule that supports ``messages``, ``per_receiver``, ``context`` and ``public``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> def largest(near, state):
        ...     received = jnp.where(near.arrived[:, None], near.received, -jnp.inf)
        ...     return jnp.maximum(near.own, received.max(axis=0)), state
        >>> rule = over_neighborhoods(topology.ring(5), largest)
        >>> x = jnp.array([[1.0], [5.0], [2.0], [3.0], [4.0]])
        >>> y, _, _ = jax.jit(rule.mix)(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        >>> y.ravel().tolist()
        [5.0, 5.0, 5.0, 4.0, 4.0]

    Raises:
        ValueError: no concrete topology, ``chunk < 1``, unknown or wrong weights; while mixing,
            leaves that do not lead with ``N`` or are not floating, messages of other shapes than
            the parameters.
    """
    chunk = None if chunk is None else checks.whole("chunk", chunk, 1)
    checks.function("aggregate", aggregate)
    lists = _weighted_lists(topology, weights)
    n, width = lists.mask.shape[-2:]
    num_edges = topology.num_edge_slots

    def init(params: Params) -> PyTree:
        agents.check_leading_axis(params, n, "params")
        return () if init_state is None else init_state(n, width, agents.message_size(params)[0])

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        agents.check_params(params, n)
        context, public = exchange.extras.get("context"), exchange.extras.get("public")
        for name, extra in (("context", context), ("public", public)):
            if extra is not None:
                agents.check_leading_axis(extra, n, name)
        member = lists
        if lists.mask.ndim > 2:
            member = jax.tree.map(lambda x: x[jnp.asarray(exchange.index) % x.shape[0]], lists)
        active = exchange.active(n)
        if not width:  # a graph without edges
            return params, state, no_traffic()
        receivers = jnp.broadcast_to(jnp.arange(n)[:, None], (n, width))
        delivered = exchange.delivered
        if delivered is not None:
            delivered = check_delivered(delivered, num_edges)
        kept = keep(active, delivered, member.neighbors, receivers, member.edges)
        arrived = member.mask & kept
        num_messages = jnp.sum(arrived).astype(jnp.float32)
        own, unravel = agents.ravel(params)
        dtype = own.dtype
        own = own.astype(jnp.promote_types(dtype, jnp.float32))
        largest = float(jnp.finfo(own.dtype).max) / (4.0 * (width + 1))
        messages, finite = _finite(agents.ravel(exchange.sent(params))[0], own.dtype, largest)
        replaced = None
        if exchange.per_receiver is not None:
            replaced, plausible = _finite(
                agents.ravel(exchange.per_receiver.messages)[0], own.dtype, largest
            )
            is_replaced = exchange.per_receiver.senders[member.neighbors]
            arrived &= jnp.where(is_replaced, plausible[:, None], finite[member.neighbors])
        else:
            is_replaced = jnp.zeros(arrived.shape, bool)
            arrived &= finite[member.neighbors]

        def aggregate_one(slot: Any) -> tuple[jax.Array, PyTree]:
            own, other, neighbors, is_replaced, arrived, weights, state, key, context = slot
            received = messages[neighbors]
            if other is not None:
                received = jnp.where(is_replaced[:, None], other[None], received)
            neighborhood = Neighborhood(
                own,
                jnp.where(arrived[:, None], received, 0.0),
                arrived,
                jnp.where(arrived, weights, 0.0),
                key,
                context,
                None if public is None else jax.tree.map(lambda x: x[neighbors], public),
                unravel,
            )
            new, new_state = aggregate(neighborhood, state)
            some = jnp.any(arrived)
            state = jax.tree.map(lambda a, b: jnp.where(some, a, b), new_state, state)
            return jnp.where(some, new, own), state

        slots = (
            own,
            replaced,
            member.neighbors,
            is_replaced,
            arrived,
            member.weights,
            state,
            agents.keys(key, n),
            context,
        )
        size = chunk
        if size is None:
            size = _chunk(n, own.dtype.itemsize * (width + 1) * max(own.shape[1], 1))
        if size >= n:
            new, state = jax.vmap(aggregate_one)(slots)
        else:
            new, state = jax.lax.map(aggregate_one, slots, batch_size=size)
        return unravel(new.astype(dtype)), state, traffic_of(num_messages, params)

    return GossipTransformation(init, mix_fn, SUPPORTS)


def candidates(neighborhood: Neighborhood) -> tuple[jax.Array, jax.Array]:
    """List the candidate models of one agent: its own (if finite) first, then the received ones.

    Returns:
        ``(values [K + 1, P], valid bool[K + 1])``.
    """
    finite = jnp.isfinite(neighborhood.own).all()
    own = jnp.where(finite, neighborhood.own, 0.0)
    values = jnp.concatenate([own[None], neighborhood.received])
    return values, jnp.concatenate([finite[None], neighborhood.arrived])


def require_majority(
    topology: Topology, num_byzantine: Any, rule: str, needed: Callable[[int], int], condition: str
) -> jax.Array:
    """Check that every neighbourhood is large enough for ``num_byzantine`` Byzantine neighbours.

    Args:
        topology: whose smallest neighbourhood decides.
        num_byzantine: ``b``, Byzantine neighbours of one agent; may be traced, then unchecked.
        rule: named in the message.
        needed: ``b -> n``, the candidates (own model included) that a rule needs against ``b``.
        condition: the condition in words.

    Returns:
        ``b`` as ``int32[]``.

    Raises:
        ValueError: if ``b`` is negative or too large for an agent, which is named.
    """
    if is_traced(num_byzantine):
        return jnp.asarray(num_byzantine, jnp.int32)
    require_topology(topology)
    given = checks.whole("num_byzantine", num_byzantine)
    smallest = np.atleast_2d(degrees(topology)[0]).min(axis=0)
    agent = int(np.argmin(smallest))
    if smallest[agent] + 1 < needed(given):
        raise ValueError(
            f"num_byzantine: {rule} tolerates b Byzantine neighbours if {condition}; agent {agent} "
            f"has n = {smallest[agent] + 1} candidates (its own included), too few for "
            f"b = {given}"
        )
    return jnp.asarray(given, jnp.int32)


def _weighted_lists(topology: Topology, weights: str | Any) -> WeightedLists:
    lists = in_neighbors(topology)
    if isinstance(weights, str):
        if weights not in schemes.SCHEMES:
            raise errors.unknown("weights", weights, schemes.SCHEMES)
        weights = schemes.SCHEMES[weights](topology)
    checks.real("weights", weights, shape=None)
    xp = jnp if is_traced(weights) else np  # on the host where possible: nothing is compiled
    values = xp.asarray(weights, float_dtype())
    if values.shape != topology.senders.shape:
        raise ValueError(
            f"weights: expected one per directed edge, shape {topology.senders.shape}, "
            f"got {values.shape}"
        )
    neighbors, edges, mask = lists
    if topology.is_sequence:
        picked = xp.take_along_axis(values[:, None, :], edges, axis=2)
    else:
        picked = values[edges] if values.size else xp.zeros(edges.shape, values.dtype)
    picked = xp.where(mask, picked, values.dtype.type(0))
    return WeightedLists(*(jax.device_put(part) for part in (neighbors, edges, mask, picked)))


def _chunk(n: int, bytes_per_agent: int) -> int:
    """Agents at a time; a divisor of ``n`` if one is near, so that no remainder is compiled."""
    limit = CHUNK_BYTES.get(jax.default_backend(), CHUNK_BYTES["gpu"]) // bytes_per_agent
    limit = min(max(limit, 1), n)
    return next((size for size in range(limit, limit // 2, -1) if n % size == 0), limit)


def _finite(matrix: jax.Array, dtype: Any, largest: float) -> tuple[jax.Array, jax.Array]:
    matrix = matrix.astype(dtype)
    finite = (jnp.abs(matrix) <= largest).all(axis=1)  # false for NaN, too
    return jnp.where(finite[:, None], matrix, 0.0), finite
