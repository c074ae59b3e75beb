"""Rules that look at a whole neighbourhood at once: padded lists, gathered a few agents at a time.

Shapes: ``N`` agents, ``E`` directed edge slots, ``K`` in-neighbour slots, ``P`` parameters.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, errors
from jaxswarm.gossip._operator import keep
from jaxswarm.gossip.rounds import both, traffic_of
from jaxswarm.gossip.types import Exchange, Forged, GossipTransformation, PyTree, Traffic
from jaxswarm.topology import Topology
from jaxswarm.topology import weights as schemes
from jaxswarm.topology.validation import is_concrete, is_traced

CHUNK_BYTES = 2**26
"""What one gather ``[chunk, K, P]`` may take unless the caller says how many agents to chunk."""


class Neighborhoods(NamedTuple):
    """Padded in-neighbour lists; a sequence has a leading time axis.

    Attributes:
        neighbours: ``int32[..., N, K]``; padding slots point at the agent itself.
        edges: ``int32[..., N, K]``, where each slot stands in the topology's edge order.
        real: ``bool[..., N, K]``, false on padding slots.
        weights: ``float32[..., N, K]``, what the receiver gives the sender; 0 on padding slots.
    """

    neighbors: jax.Array
    edges: jax.Array
    real: jax.Array
    weights: jax.Array


class Near(NamedTuple):
    """What one agent has before it when it aggregates.

    Attributes:
        own: ``float32[P]``.
        received: ``float32[K, P]``, finite; zeros where nothing (sound) arrived.
        arrived: ``bool[K]``.
        weights: ``float32[K]``, 0 where nothing arrived.
        key: of this agent and round, for rules that draw.
        context: this agent's part of what the caller gave ``mix`` as ``context``, such as private
            test data for rules that try the models out; ``None`` if nothing was given.
        public: what the senders in the slots gave out as ``public``, leaves ``[K, ...]``, or
            ``None``; on slots where nothing arrived it means nothing.
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


Aggregate = Callable[[Near, Any], tuple[jax.Array, Any]]
"""``aggregate(near, memory) -> (new own [P], memory)`` of *one* agent."""


def neighborhoods(topology: Topology, weights: str | Any = "uniform") -> Neighborhoods:
    """The padded lists of a topology or a sequence, built on the host.

    Args:
        topology: concrete; its largest in-degree is ``K`` (at least 1).
        weights: name of a scheme of ``topology.weights.SCHEMES``, or ``[..., E]``.

    Raises:
        ValueError: for a traced topology, or weights of an unknown name or another shape.
    """
    if not is_concrete(topology):
        raise ValueError(f"{topology.name}: robust rules are built from a concrete topology")
    if isinstance(weights, str):
        if weights not in schemes.SCHEMES:
            raise errors.unknown("weights", weights, schemes.SCHEMES)
        weights = schemes.SCHEMES[weights](topology)
    values = jnp.asarray(weights, jnp.float32)
    if values.shape != topology.senders.shape:
        raise ValueError(
            f"weights: expected one per directed edge, shape {topology.senders.shape}, "
            f"got {values.shape}"
        )
    width = max(int(_in_degrees(topology).max()), 1)
    members = [topology[t] for t in range(topology.length)] if topology.is_sequence else [topology]
    lists = [_lists(member, width) for member in members]
    neighbors, edges, real = (np.stack(parts) for parts in zip(*lists, strict=True))
    if not topology.is_sequence:
        neighbors, edges, real = neighbors[0], edges[0], real[0]
        picked = values[edges]
    else:
        picked = jnp.take_along_axis(values[:, None, :], jnp.asarray(edges), axis=2)
    return Neighborhoods(
        jnp.asarray(neighbors), jnp.asarray(edges), jnp.asarray(real), jnp.where(real, picked, 0.0)
    )


def over_neighborhoods(
    topology: Topology,
    aggregate: Aggregate,
    *,
    weights: str | Any = "uniform",
    remember: Callable[[int, int, int], PyTree] | None = None,
    chunk: int | None = None,
) -> GossipTransformation:
    """A gossip rule from what one agent does with its neighbourhood.

    All agents read the messages of before the round. A message with a NaN or infinity is dropped; a
    missing one (lost, dead or absent sender, absent receiver) is not counted; an agent that gets
    none keeps its own. What ``mix`` is given as ``context``, leaves ``[N, ...]``, is handed to
    ``aggregate`` agent by agent, and ``public`` to the agents' listeners; neither is counted as
    traffic (see :func:`jaxswarm.gossip.informed`). The neighbourhoods are
    gathered ``chunk`` agents at a time, so memory is ``O(chunk · K · P)`` beside the parameters,
    whatever ``N`` is.

    Args:
        topology: who hears whom; a sequence is used cyclically.
        aggregate: what one agent does.
        weights: what the receiver gives each sender, for rules that weigh.
        remember: ``(N, K, P) -> memory``, leaves ``[N, ...]``, for rules with a state.
        chunk: agents at a time; by default as many as fit into 64 MB.

    Raises:
        ValueError: ``chunk < 1``; while mixing, leaves that do not lead with ``N`` or do not float,
            messages of another shape than the parameters.
    """
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk: expected at least 1 agent at a time, got {chunk}")
    lists = neighborhoods(topology, weights)
    n, width = lists.real.shape[-2:]

    def init(params: PyTree) -> PyTree:
        agents.check_leading_axis(params, n, "params")
        return () if remember is None else remember(n, width, agents.size_of_one(params)[0])

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        forged: Forged | None = None,
        context: PyTree = None,
        public: PyTree = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        del extra
        _expect_floating(params, n)
        _expect_alike(params, messages)
        if context is not None:
            agents.check_leading_axis(context, n, "context")
        if public is not None:
            agents.check_leading_axis(public, n, "public")
        member = lists
        if lists.real.ndim > 2:
            member = jax.tree.map(lambda x: x[jnp.asarray(round.index) % x.shape[0]], lists)
        active = both(round.alive, round.participates)
        receivers = jnp.broadcast_to(jnp.arange(n)[:, None], (n, width))
        arrived = member.real & keep(
            active, round.delivered, member.neighbors, receivers, member.edges
        )
        sent = jnp.sum(arrived).astype(jnp.float32)
        own, unravel = agents.ravel(params)
        dtype = own.dtype
        own = own.astype(jnp.promote_types(dtype, jnp.float32))
        told, sound = _sound(own if messages is None else agents.ravel(messages)[0], own.dtype)
        lies = None
        if forged is not None:
            lies, plausible = _sound(agents.ravel(forged.messages)[0], own.dtype)
            lied = forged.senders[member.neighbors]
            arrived &= jnp.where(lied, plausible[:, None], sound[member.neighbors])
        else:
            lied = jnp.zeros(arrived.shape, bool)
            arrived &= sound[member.neighbors]

        def one(slot: Any) -> tuple[jax.Array, PyTree]:
            own, lie, neighbors, lied, arrived, weights, memory, key, context = slot
            received = told[neighbors]
            if lie is not None:
                received = jnp.where(lied[:, None], lie[None], received)
            near = Near(
                own,
                jnp.where(arrived[:, None], received, 0.0),
                arrived,
                jnp.where(arrived, weights, 0.0),
                key,
                context,
                None if public is None else jax.tree.map(lambda x: x[neighbors], public),
                unravel,
            )
            new, memory = aggregate(near, memory)
            return jnp.where(jnp.any(arrived), new, own), memory

        keys = agents.keys(key, n)
        slots = (own, lies, member.neighbors, lied, arrived, member.weights, state, keys, context)
        size = CHUNK_BYTES // (own.dtype.itemsize * (width + 1) * max(own.shape[1], 1))
        size = max(size, 1) if chunk is None else chunk
        if size >= n:
            new, state = jax.vmap(one)(slots)
        else:
            new, state = jax.lax.map(one, slots, batch_size=size)
        return unravel(new.astype(dtype)), state, traffic_of(sent, params)

    return GossipTransformation(init, mix_fn)


def with_own(near: Near) -> tuple[jax.Array, jax.Array]:
    """``(values [K + 1, P], valid [K + 1])``: all voices, the own first (if it is finite)."""
    sound = jnp.isfinite(near.own).all()
    own = jnp.where(sound, near.own, 0.0)
    values = jnp.concatenate([own[None], near.received])
    return values, jnp.concatenate([sound[None], near.arrived])


def expect_majority(
    topology: Topology, num_byzantine: Any, rule: str, needed: Callable[[int], int], said: str
) -> jax.Array:
    """``num_byzantine`` as ``int32[]``, after checking that every neighbourhood can outvote it.

    Args:
        topology: whose smallest neighbourhood decides.
        num_byzantine: attackers among the neighbours of one agent; may be traced, then unchecked.
        rule: named in the message.
        needed: ``b -> n``, the voices (own included) that ``b`` attackers take.
        said: the condition in words.

    Raises:
        ValueError: if ``b`` is negative or too much for an agent, which is named.
    """
    if is_traced(num_byzantine):
        return jnp.asarray(num_byzantine, jnp.int32)
    given = np.asarray(num_byzantine)
    if given.ndim or not np.issubdtype(given.dtype, np.integer) or given < 0:
        raise ValueError(f"num_byzantine: expected a whole number >= 0, got {num_byzantine!r}")
    degrees = _in_degrees(topology).min(axis=0)
    least = int(np.argmin(degrees))
    if degrees[least] + 1 < needed(int(given)):
        raise ValueError(
            f"num_byzantine: {rule} tolerates b attackers if {said}; agent {least} has "
            f"n = {degrees[least] + 1} voices (its own included), too few for b = {int(given)}"
        )
    return jnp.asarray(given, jnp.int32)


def _in_degrees(topology: Topology) -> np.ndarray:
    """``int[T, N]`` on the host, so that rules may be built while ``jit`` traces."""
    mask = np.atleast_2d(np.asarray(topology.mask))
    receivers = np.atleast_2d(np.asarray(topology.receivers))
    n = topology.num_agents
    return np.stack([np.bincount(r[m], minlength=n) for r, m in zip(receivers, mask, strict=True)])


def _lists(topology: Topology, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    n = topology.num_agents
    mask = np.asarray(topology.mask)
    ends = np.where(mask, np.asarray(topology.receivers), n)
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], np.arange(n))
    counts = np.searchsorted(ends[order], np.arange(n), side="right") - starts
    slots = np.arange(width)[None, :]
    real = slots < counts[:, None]
    edges = np.zeros((n, width), np.int32)
    edges[real] = order[(starts[:, None] + slots)[real]]
    neighbors = np.repeat(np.arange(n, dtype=np.int32)[:, None], width, axis=1)
    neighbors[real] = np.asarray(topology.senders)[edges[real]]
    return neighbors, edges, real


def _sound(matrix: jax.Array, dtype: Any) -> tuple[jax.Array, jax.Array]:
    matrix = matrix.astype(dtype)
    sound = jnp.isfinite(matrix).all(axis=1)
    return jnp.where(sound[:, None], matrix, 0.0), sound


def _expect_floating(params: PyTree, n: int) -> None:
    agents.check_leading_axis(params, n, "params")
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        if not jnp.issubdtype(jnp.result_type(leaf), jnp.floating):
            raise ValueError(
                f"params: leaf {jax.tree_util.keystr(path)}: only floating leaves can be "
                f"aggregated, got {jnp.result_type(leaf)}"
            )


def _expect_alike(params: PyTree, messages: PyTree | None) -> None:
    if messages is None:
        return
    shapes, told = jax.tree.map(jnp.shape, params), jax.tree.map(jnp.shape, messages)
    if jax.tree.structure(params) != jax.tree.structure(messages) or shapes != told:
        raise ValueError(f"messages: expected the parameters' shapes {shapes}, got {told}")
